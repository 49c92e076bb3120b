"""``mcp-echo check --stream``: how events come, and when silence is cut."""

from __future__ import annotations

import json
from typing import Any

from mcp_echo.check.check import judged
from mcp_echo.check.stream_checks import CHECKS
from mcp_echo.check.streaming import Watched, arrivals_of
from mcp_echo.check.wire import HttpAnswer
from mcp_echo.watch.rules.rule import Broken, Held
from tests.check.support import GoodServer, answered, ran, result

EVENTS = "text/event-stream"


def watched(times: tuple[float, ...] = (), step: float | None = 0.05, **idle: Any) -> Watched:
    """Return what was seen of a call whose events came at some times, and of a stream that is silent."""
    call = answered(Content_Type=EVENTS)
    stream = answered(Content_Type=EVENTS, **idle.pop("headers", {}))
    stream.ended = None
    for name, value in idle.items():
        setattr(stream, name, value)
    return Watched(call=call, step=step, idle=stream, seconds=20, arrivals=list(times))


def outcome(seen: Watched, check: str) -> Any:
    (found,) = (each.outcome for each in judged(CHECKS, seen) if each.check.id == check)
    return found


def test_events_that_come_together_were_held_back() -> None:
    """Three events, 50 ms apart: the tool of mcp-echo sends them so."""
    assert isinstance(outcome(watched((0.01, 0.06, 0.11)), "stream-buffered"), Held)
    held_back = outcome(watched((0.120, 0.121, 0.122)), "stream-buffered")
    assert held_back.summary.startswith("3 events within 2 ms, after 0.12 s of nothing")
    assert outcome(watched((0.1, 0.1)), "stream-buffered") is None


def test_events_of_another_server_are_measured_by_the_time_of_the_call() -> None:
    """Our choice: how far apart they were sent is not known then."""
    assert isinstance(outcome(watched((0.25, 0.5, 0.75, 1.0), None), "stream-buffered"), Held)
    assert isinstance(outcome(watched((1.0, 1.0, 1.001), None), "stream-buffered"), Broken)
    assert outcome(watched((0.1, 0.1, 0.1), None), "stream-buffered") is None


def test_a_stream_that_is_compressed_cut_or_late_is_named() -> None:
    assert isinstance(outcome(watched(headers={"Content_Encoding": "gzip"}), "stream-compressed"), Broken)
    assert isinstance(outcome(watched(), "stream-compressed"), Held)
    cut = outcome(watched(ended=2.02, pieces=[(0.01, 8)]), "stream-cut-idle")
    assert cut.summary == "The stream ended after 2.0 s, 2.0 s after the last byte"
    assert isinstance(outcome(watched(), "stream-cut-idle"), Held)
    assert isinstance(outcome(watched(head=3.0), "stream-head-late"), Broken)
    assert isinstance(outcome(watched(status=0, error="no answer"), "stream-head-late"), Broken)
    assert isinstance(outcome(watched(head=0.1), "stream-head-late"), Held)
    silence = outcome(watched(pieces=[(0.0, 8), (15.0, 8)]), "stream-keep-alive")
    assert silence.summary == "The longest silence on the stream was 15.0 s, of 20 s"


def test_an_event_has_come_when_its_last_line_has() -> None:
    """Pieces and events have nothing to do with each other; comments are no events."""
    answer = HttpAnswer(number=1, method="POST", url="", headers=[("Content-Type", EVENTS)])
    for at, piece in ((0.1, b": open\n\ndata: 1\n\ndata: 2\n"), (0.2, b"\nid: 1\ndata: 3\n\n")):
        answer.body += piece
        answer.pieces.append((at, len(piece)))
    assert arrivals_of(answer) == [0.1, 0.2, 0.2]


def test_the_command_watches_a_server_without_a_tool_to_call() -> None:
    done = ran(GoodServer(), "--stream", "--seconds", "3", "--format", "json")
    assert "stream-not-seen" in done.findings
    # The server in memory ends its stream at once.
    assert done.findings["stream-cut-idle"]["level"] == "warning"


def test_a_tool_of_one_s_own_is_called() -> None:
    """The design: any MCP server."""
    server = GoodServer(request=(200, {}, result(3)))
    done = ran(server, "--stream", "--call", 'slow {"steps":4}', "--format", "json")
    assert "application/json" in done.findings["stream-not-seen"]["summary"]


def test_a_server_without_a_handshake_cannot_be_watched() -> None:
    done = ran(GoodServer(initialize=(400, {}, json.dumps({}).encode())), "--stream")
    assert (done.status, done.told) == (
        2,
        "mcp-echo: there is no session to watch: initialize was answered with 400\n",
    )
