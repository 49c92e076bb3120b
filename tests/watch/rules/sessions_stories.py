"""Stories of clients that lose their sessions, begin too many, or leave them behind."""

from __future__ import annotations

from typing import Any

from tests.watch.rules.building import MODERN
from tests.watch.rules.over_time import Case, Story

GONE: dict[str, Any] = {"status": 404, "known": False}
LOST: dict[str, Any] = {"fault": "session-lost 404", "order": 1, "status": 404}
VIA = {"headers": {"Via": "1.1 gateway"}}


def lost(**facts: Any) -> Story:
    """A client is told that its session is gone."""
    return Story().ready().call(**GONE, **facts)


def visits(count: int, calls: int = 1, pause: float = 0) -> Story:
    """A client begins sessions one after the other."""
    story = Story()
    for place in range(count):
        story.wait(pause).ready(f"s{place}")
        for _ in range(calls):
            story.call(f"s{place}")
        story.delete(f"s{place}")
    return story


def through_a_hop(count: int, **facts: Any) -> Story:
    """Sessions are begun and never used."""
    story = Story()
    for place in range(count):
        story.initialize(f"s{place}", **facts).call(None, **facts)
    return story


CASES = {
    "session-id-not-returned": Case(
        broken=[
            (
                Story().initialize().post("tools/list", None),
                "did not come back with tools/list (1 of 1 requests)",
            ),
            (Story().initialize().call(None).call(None), "(2 of 2 requests)"),
            # Once it has come back, only the same connection tells.
            (Story().ready().call(None), "tools/call (echo) (1 of 2 requests)"),
        ],
        kept=[
            Story().ready().call(),
            Story().ready().call(None, connection=9),
            Story().initialize().initialize("s2").ready("s3"),
            Story().initialize().call(None, address="192.0.2.8", connection=9),
            Story().initialize().wait(60).call(None),
            Story().initialize().get(None, status=400, streamed=False),
            Story().initialize(None).call(None),
            Story().initialize().post("ping", None).ready("s2"),
            Story(MODERN).call(),
        ],
    ),
    "session-kept-after-404": Case(
        broken=[
            (lost().call(**GONE), "is still used 998 ms later (once)"),
            (lost().get(**GONE, streamed=False), "was answered 404"),
            (lost(peer="127.0.0.1").wait(-0.9).call(peer="127.0.0.1", connection=2, **GONE), "98 ms later"),
        ],
        kept=[
            lost(),
            lost().delete(**GONE),
            lost().ready("s2").call("s2"),
            # Another request was on its way when the first was answered.
            lost().wait(-0.9).call(connection=2, **GONE),
            Story().ready().call(status=200, message={"error": -32602}).call(),
            Story().ready().call(path="/wrong", **GONE).call(),
        ],
    ),
    "session-not-reestablished": Case(
        broken=[
            (lost().wait(30), "no new initialize has come since"),
            (lost().delete(**GONE).wait(30), "was answered 404"),
            (lost().initialize("s2", address="192.0.2.8", connection=9).wait(30), "no new initialize"),
        ],
        kept=[
            lost().initialize("s2").wait(60),
            lost().wait(20),
            Story().ready().delete(**GONE).wait(60),
            # A late request in a session that has been replaced already.
            Story().ready().ready("s2").call(**GONE).wait(60),
        ],
    ),
    "hop-response-unseen": Case(
        broken=[
            (through_a_hop(4, **VIA), "3 session ids in a row were given to example through a hop (Via)"),
            (through_a_hop(4, proxied=True), "through a hop (a trusted proxy)"),
        ],
        kept=[
            through_a_hop(9),
            through_a_hop(3, **VIA),
            through_a_hop(2, **VIA).ready("s9", **VIA).initialize("s10", **VIA),
        ],
    ),
    "session-duplicate": Case(
        broken=[(Story().ready().ready("s2"), "2 sessions were begun within 2.0 s from one place")],
        kept=[
            Story().ready().call(),
            Story().initialize().ready("s2"),
            Story().ready().initialize("s2").call("s2", status=400),
            Story().ready().wait(60).ready("s2"),
            Story().ready().ready("s2", address="192.0.2.8"),
        ],
    ),
    "session-per-call": Case(
        broken=[
            (visits(3), "3 sessions within 8.0 s had one call each"),
            # Without DELETE a session is over when the next is begun.
            (Story().ready().call().ready("b").call("b").ready("c").call("c").ready("d"), "3 sessions"),
        ],
        kept=[
            visits(2),
            visits(9, calls=2),
            visits(9, calls=0),
            visits(9, pause=60),
            Story().ready().call().ready("b").call("b").ready("c").call("c").call("c").ready("d"),
            # Its client was told to begin another one, each time.
            Story().ready().call(**LOST).ready("b").call("b", **LOST).ready("c").call("c", **LOST).ready("d"),
        ],
    ),
    "session-never-deleted": Case(
        broken=[(Story().ready().call().wait(1800).expire(), "has expired; no DELETE came")],
        kept=[
            Story().ready().call().delete().expire(reason="closed"),
            Story().ready().call().delete(status=401).wait(1800).expire(),
            Story().ready().call().expire(reason="displaced"),
            # Its client was told that there is nothing to delete.
            Story().ready().call(fault="session-lost 400", order=1, status=400).wait(1800).expire(),
            Story().ready().call().wait(1800),
        ],
    ),
}
