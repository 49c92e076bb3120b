"""Stories of clients that list and call, give up and try again; and of web pages."""

from __future__ import annotations

from typing import Any

from tests.watch.rules.building import LEGACY, MODERN
from tests.watch.rules.over_time import Case, Story

TOOLS, CHANGED = "tools/list", "notifications/tools/list_changed"
LATER = {"answer_headers": (("Retry-After", "10"),)}
CUT: dict[str, Any] = {"left": 60.0, "last": None, "streamed": True}


def page(revision: str = LEGACY, **facts: Any) -> Story:
    """A client lists one page of two."""
    return (
        Story(revision).ready().post(TOOLS, message={"result": {"next_cursor": "c0", "entries": 50}}, **facts)
    )


def next_page(story: Story) -> Story:
    """It asks for the next."""
    return story.post(TOOLS, message={"params": {"cursor": "c0"}})


def told(revision: str = LEGACY) -> Story:
    """A client is told that the tools have changed."""
    return Story(revision).ready().sent(CHANGED, "written")


def modern_page() -> Story:
    """The same in the modern era."""
    message = {"result": {"next_cursor": "c0"}, "params": {"modern": True}}
    return Story(MODERN).post(TOOLS, message=message)


def cancelled(story: Story, named: int | str, wait: float = 60, **facts: Any) -> Story:
    """Cancel a request, and wait."""
    message = {"params": {"cancels": named}}
    return story.post("notifications/cancelled", message=message, **facts).wait(wait)


def busy(status: int = 429) -> Story:
    """A call is refused for a time."""
    return Story().ready().call(status=status, message={"outcome": status}, **LATER)


CASES = {
    "pagination-not-followed": Case(
        broken=[
            (page().call().wait(10), "saw 50 entries of tools/list and went on"),
            (modern_page().call().wait(10), "saw a page of tools/list"),
            (page().post(TOOLS, message={"result": {"next_cursor": "c0"}}).call().wait(10), "went on"),
        ],
        kept=[
            next_page(page()).call().wait(60),
            next_page(page().call()).wait(60),
            page().wait(60),
            page().post("ping").post("prompts/get").wait(60),
            page().call().wait(5),
            page().call("s2").wait(60),
            Story().ready().post(TOOLS).call().wait(60),
        ],
    ),
    "list-changed-ignored": Case(
        broken=[
            (told().call().wait(30), "that its tools have changed, and has used one since"),
            (
                Story(MODERN)
                .sent(CHANGED, "written", session=None, caller="192.0.2.7 example")
                .call()
                .wait(30),
                "its tools have changed",
            ),
        ],
        kept=[
            told().post(TOOLS).call().wait(60),
            told().call().post(TOOLS).wait(60),
            # Whoever uses no tool needs no look at them.
            told().post("prompts/get").wait(600),
            told().wait(600),
            told().call().wait(20),
            told().wait(-0.9).call().wait(600),
            Story().ready().sent(CHANGED, "waiting").call().wait(600),
        ],
    ),
    "tool-unlisted": Case(
        broken=[
            (Story().ready().call().call(), "echo was called, and no tools/list has come before"),
            (Story(MODERN).call(), "echo was called"),
        ],
        kept=[
            Story().ready().post(TOOLS).call(),
            Story().ready().post(TOOLS).ready("s2").call("s2"),
            Story(MODERN).post(TOOLS).call(),
            # The session is older than what is known here.
            Story().call(),
        ],
    ),
    "call-abandoned": Case(
        broken=[
            (Story().ready().call(**CUT).wait(80), "hung up on tools/call (echo) after 60 s"),
            (Story().ready().call(left=2.0, status=None).wait(12), "has not cancelled it"),
        ],
        kept=[
            Story()
            .ready()
            .call(message={"id": 9}, **CUT)
            .wait(60)
            .post("notifications/cancelled", message={"params": {"cancels": 9}})
            .wait(90),
            # The notification came first.
            Story()
            .ready()
            .post("notifications/cancelled", message={"params": {"cancels": 9}})
            .call(message={"id": 9}, **CUT)
            .wait(90),
            Story().ready().call(message={"outcome": "cancelled"}, **CUT).wait(90),
            Story().ready().call(**CUT).wait(60).stream("resume", "r1").wait(90),
            Story().ready().call(**CUT).wait(60).get(headers={"Last-Event-ID": "r1-1"}).wait(90),
            Story().ready().call(**CUT).wait(60).delete().wait(90),
            Story().initialize(left=1.0, status=None).wait(90),
            Story(MODERN).call(**CUT).wait(90),
            Story().ready().call().wait(90),
        ],
    ),
    "cancellation-unknown": Case(
        broken=[
            (cancelled(Story().ready(), 99), "notifications/cancelled names the request 99"),
            # A number as text is another id.
            (cancelled(Story().ready().call(message={"id": 7}), "7"), "the request '7'"),
        ],
        kept=[
            # It was answered meanwhile.
            cancelled(Story().ready().call(message={"id": 7}), 7),
            # It is recorded when its work has ended.
            cancelled(Story().ready(), 7, 20).call(message={"id": 7}).wait(60),
            # Nobody knows what came before.
            cancelled(Story(), 7),
            cancelled(Story().ready(), 7, partial=True),
        ],
    ),
    "retry-after-ignored": Case(
        broken=[
            (busy().wait(2).call(), "came again after 3.0 s; Retry-After of the 429 asked for 10 s"),
            (busy(503).call(), "of the 503 asked for 10 s"),
            # It was refused before it was read, and is the same to the byte.
            (Story().post(None, status=429, **LATER).post(None), "POST came again after 998 ms"),
        ],
        kept=[
            busy().wait(10).call(),
            busy().post(TOOLS),
            Story().post(None, status=429, **LATER).post(None, body_hash="another"),
            busy().call("s2", address="192.0.2.8"),
            busy().call("s2"),
            busy().wait(-0.9).call(connection=2),
            Story().ready().call(status=503).call(),
        ],
    ),
    "call-repeated": Case(
        broken=[
            (
                Story().ready().call(**CUT).wait(60).call(),
                "1.0 s after it was left before its answer: it has come 2",
            ),
            (Story().ready().call(status=500, message={"outcome": 500}).call(), "after it was answered 500"),
        ],
        kept=[
            Story().ready().call().call(),
            busy(503).wait(10).call(),
            Story().ready().call(**CUT).wait(300).call(),
            Story().ready().call(**CUT).wait(60).call(message={"params": {"arguments": "beef"}}),
            Story().ready().call(status=503, refusal="ServerStopping", message={"outcome": 503}).call(),
            # What is cut has to be sent again there.
            Story(MODERN).call(**CUT).wait(60).call(),
        ],
    ),
    "preflight-without-request": Case(
        broken=[
            (
                Story().browser("OPTIONS", "content-type").wait(5),
                "The preflight for POST from https://page.example was granted",
            ),
        ],
        kept=[
            Story().browser("OPTIONS", "content-type").browser("POST").wait(60),
            Story().browser("OPTIONS", "content-type", granted=False).wait(60),
            Story().browser("OPTIONS", "x-other").wait(60),
            Story().browser("OPTIONS", status=403).wait(60),
            Story().browser("OPTIONS").wait(2),
            Story().call().wait(60),
        ],
    ),
    "preflight-for-second-only": Case(
        broken=[
            (
                Story()
                .browser("OPTIONS", "content-type")
                .browser("POST")
                .browser("OPTIONS", "content-type,mcp-session-id"),
                "needs mcp-session-id allowed",
            ),
        ],
        kept=[
            Story().browser("OPTIONS", "content-type").browser("POST").browser("OPTIONS", "Content-Type"),
            Story().browser("OPTIONS", "content-type").browser("OPTIONS", "content-type,mcp-session-id"),
            Story().browser("POST").call(),
        ],
    ),
}
