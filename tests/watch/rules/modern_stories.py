"""Stories of modern clients: what they are asked and told, and what they make of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp_echo.protocol.revisions import KNOWN
from tests.watch.rules.building import LEGACY, MODERN
from tests.watch.rules.over_time import Case, Story, retry


def asked(state: str | None = "51a7e", *keys: str, number: int = 1) -> Story:
    """A call is answered with questions, with a state, or with both."""
    return retry(Story(MODERN), {"id": number, "result": {"state": state, "asks": keys or ("name",)}})


def back(
    story: Story,
    state: str | None = "51a7e",
    *,
    inputs: tuple[str, ...] | None = ("name",),
    message: Mapping[str, Any] | None = None,
) -> Story:
    """The client comes back."""
    return retry(story, {"params": {"state": state, "inputs": inputs}, **(message or {})})


FAILED = {"error": -32602}


def refused(error: int, status: int = 400, method: str = "server/discover", **message: Any) -> Story:
    """A modern request is refused."""
    return retry(Story(MODERN), {"error": error, "outcome": status, **message}, method, status=status)


def mismatch(header: str = "Mcp-Param-Region") -> Story:
    """A call lacks a header."""
    return refused(-32020, method="tools/call", result={"message": f"{header} is missing"})


def unspoken(*supported: str, before: bool = True) -> Story:
    """A client that may have used the modern revision asks for another."""
    story = Story(MODERN)
    if before:
        story.post("server/discover")
    message = {
        "error": -32022,
        "params": {"protocol_version": "2099-01-01"},
        "result": {"supported": supported},
    }
    return retry(story, message, "tools/list", status=400)


def falls_back(story: Story, **facts: Any) -> Story:
    """The client begins a session."""
    return story.post("initialize", revision=LEGACY, **facts)


STATEFUL = Case(
    broken=[],
    kept=[
        back(asked()),
        back(back(asked(), message={"result": {"state": "2", "asks": ("b",)}}), "2"),
        asked().call(),
        Story(MODERN).call(),
    ],
)

CASES = {
    "era-fallback": Case(
        broken=[
            (
                falls_back(refused(-32601, 404)),
                f"went back to {LEGACY} after server/discover was answered 404 (-32601) in 2 ms",
            ),
            (falls_back(Story(MODERN).post("server/discover")), "was answered 200 in 2 ms"),
            (
                falls_back(Story(MODERN).post("tools/list", message={"error": -32603}, status=None)),
                "not at all",
            ),
        ],
        kept=[
            falls_back(refused(-32601, 404).wait(60)),
            falls_back(refused(-32601, 404), address="192.0.2.8"),
            falls_back(refused(-32601, 404), message={"params": {"client": "another"}}),
            falls_back(Story(MODERN).call()),
            Story().ready(),
        ],
    ),
    "era-fallback-wrong": Case(
        broken=[
            (falls_back(refused(-32020)), "was answered 400 (-32020), which a modern server says"),
            (falls_back(refused(-32021, method="tools/list")), "tools/list was answered 400 (-32021)"),
        ],
        kept=[
            falls_back(refused(-32601, 404)),
            # Of the revisions that are spoken here it may know none but legacy ones.
            falls_back(refused(-32022)),
            refused(-32020).call(),
        ],
    ),
    "mismatch-not-retried": Case(
        broken=[(mismatch().wait(30), "tools/call (echo) was answered -32020")],
        kept=[
            mismatch().post("tools/list").call().wait(60),
            mismatch("Mcp-Name").wait(60),
            mismatch().wait(20),
        ],
    ),
    "version-not-retried": Case(
        broken=[(unspoken(MODERN, LEGACY).wait(30), "asked for 2099-01-01, was told that")],
        kept=[
            unspoken(MODERN).post("tools/list").wait(60),
            unspoken(MODERN, before=False).wait(60),
            unspoken(KNOWN[0].name).wait(60),
            unspoken(MODERN).wait(20),
        ],
    ),
    "state-not-echoed": Case(
        broken=[(back(asked(), None), "tools/call (echo) came back without the requestState")],
        kept=[*STATEFUL.kept, back(asked(None), None), back(Story(MODERN), None)],
    ),
    "state-changed": Case(
        broken=[(back(asked(), "other", message=FAILED), "with another requestState")],
        kept=[
            *STATEFUL.kept,
            # It was taken, so that somebody has given it out.
            back(asked(), "other"),
            back(asked(), None, message=FAILED),
            back(Story(MODERN), "other", message=FAILED),
        ],
    ),
    "state-invented": Case(
        broken=[
            (back(Story(MODERN), "other", message=FAILED), "brings a requestState; no answer to it had one"),
            (back(asked(None), "other", message=FAILED), "no answer to it had one"),
        ],
        kept=[
            *STATEFUL.kept,
            back(Story(MODERN), "other"),
            back(asked(), "other", message=FAILED),
            back(back(asked()), message=FAILED),
        ],
    ),
    "inputs-unasked": Case(
        broken=[
            (back(Story(MODERN), None), "answers name; nothing was asked"),
            (back(asked(None), None, message={"name": "another"}), "nothing was asked"),
        ],
        kept=[*STATEFUL.kept, back(asked(None), None), back(Story(MODERN), "of another node")],
    ),
    "retry-same-id": Case(
        broken=[
            (back(asked(number=5), message={"id": 5}), "has the id 5 again"),
            (back(asked(None, number=5), None, message={"id": 5}), "has the id 5 again"),
        ],
        kept=[
            *STATEFUL.kept,
            back(asked(number=5), message={"id": "5"}),
            asked(number=5).call(message={"id": 5}),
        ],
    ),
    "input-required-abandoned": Case(
        broken=[
            (asked("51a7e", "name", "age").wait(60), "was answered with input_required (name, age)"),
            (asked().call().wait(60), "and was not retried since"),
        ],
        kept=[back(asked()).wait(90), back(asked(None), None).wait(90), asked().wait(50)],
    ),
}
