"""Stories of clients that open streams, leave them and come back."""

from __future__ import annotations

from typing import Any

from mcp_echo.protocol.revisions import KNOWN
from tests.watch.rules.over_time import Case, Story

REFUSED: dict[str, Any] = {"status": 405, "streamed": False}
BEFORE_PRIMING = KNOWN[2].name


def again(event_id: str | None) -> dict[str, Any]:
    """What a client sends that comes back for a stream."""
    return {"headers": {"Last-Event-ID": event_id}}


def streams(count: int, pause: float = 0, **facts: Any) -> Story:
    """Streams are opened one after the other, each over at once."""
    story = Story().ready()
    for _ in range(count):
        story.wait(pause - 0.5).get().wait(-0.5).stream("close", **{"why": "left", "seconds": 0.2, **facts})
    return story


def refused(count: int) -> Story:
    """Streams are asked for one after the other, and refused."""
    story = Story().ready()
    for _ in range(count):
        story.get(**REFUSED)
    return story


def told_to_wait(milliseconds: int, waits: float, revision: str | None = None) -> Story:
    """A client is asked back, and comes after some seconds."""
    story = Story(*([revision] if revision else [])).ready()
    return story.stream("hang-up", "r1", retry=milliseconds).wait(waits - 1).stream("resume", "r1")


CHANGED = "notifications/tools/list_changed"

CASES = {
    "get-retried-after-405": Case(
        broken=[
            (refused(2), "was answered 405 and came again 998 ms later"),
            (
                Story()
                .ready()
                .get(**REFUSED)
                .get(**REFUSED, **again("r1-1"))
                .get(**REFUSED, **again("r1-1")),
                "came again 998 ms later",
            ),
        ],
        kept=[
            refused(1).call(),
            # To come back for a stream that was cut is another question.
            Story().ready().get(**REFUSED).get(**REFUSED, **again("r1-1")),
            Story().ready().get(**REFUSED).ready("s2").get("s2", **REFUSED),
            Story().ready().get(**REFUSED).wait(-0.9).get(**REFUSED, connection=2),
            Story().get(None, **REFUSED).get(None, **REFUSED),
        ],
    ),
    "get-storm": Case(
        broken=[
            (streams(5), "5 streams were asked for in 4.0 s"),
            (streams(5, why="replaced"), "5 streams were asked for"),
            (refused(5), "5 streams were asked for in 4.0 s"),
        ],
        kept=[
            streams(4),
            streams(9, pause=10),
            # It waits a second each time.
            streams(9, pause=0.5),
            streams(9, seconds=30.0),
            # The server has ended them.
            streams(9, why="stopping"),
            streams(9, why="hang-up"),
            streams(9, tag="r1"),
        ],
    ),
    "get-never-opened": Case(
        broken=[
            (Story().ready().sent(CHANGED, "waiting").wait(30), f"{CHANGED} waits since 30 s"),
            (Story().ready().sent(CHANGED, "waiting").sent(CHANGED, "waiting").wait(30), CHANGED),
        ],
        kept=[
            Story().ready().sent(CHANGED, "waiting").get().stream("open").wait(60),
            Story().ready().sent(CHANGED, "waiting").sent(CHANGED, "written").wait(60),
            Story().ready().sent(CHANGED, "waiting").expire().wait(60),
            Story().ready().sent(CHANGED, "waiting").wait(20),
            Story().ready().sent(CHANGED, "written").wait(60),
        ],
    ),
    "resume-without-event-id": Case(
        broken=[(Story().ready().get().stream("hang-up").get(), "came without Last-Event-ID")],
        kept=[
            Story().ready().get().stream("hang-up").get(**again("g1-0")).get(),
            Story().ready().get().stream("hang-up", "r1").get(),
            Story().ready().get().stream("close", why="left").get(),
            Story().ready().get().stream("hang-up").ready("s2").get("s2"),
            # Nothing says that there was an id to send.
            Story(BEFORE_PRIMING).ready().get().stream("hang-up").get(),
        ],
    ),
    "retry-not-respected": Case(
        broken=[(told_to_wait(3000, 1.5), "came back after 1500 ms; retry asked it to wait 3000 ms")],
        kept=[
            told_to_wait(3000, 2.8),
            told_to_wait(3000, 60),
            told_to_wait(3000, 1.5, BEFORE_PRIMING),
            Story().ready().stream("hang-up", "r1").stream("resume", "r1"),
            Story().ready().stream("hang-up", "r1", retry=3000).stream("resume", "r2"),
        ],
    ),
    "stream-not-read": Case(
        broken=[
            (Story().ready().stream("stalled", seconds=5.0, waiting=70000), "for 5.0 s; 70000 bytes wait"),
        ],
        kept=[Story().ready().stream("open").stream("close", why="left", seconds=1.0)],
    ),
}
