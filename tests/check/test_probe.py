"""``mcp-echo check --stream`` on ``…/probe/stream``: when events were written, and when they came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcp_echo.check.check import judged
from mcp_echo.check.probe_checks import CHECKS, Probed
from mcp_echo.check.probing import is_probe, probed
from mcp_echo.check.wire import HttpAnswer
from mcp_echo.watch.rules.rule import Broken, Held
from tests.check.support import GoodServer, ran

PLACE = f"/t/{'k' * 32}/probe/stream"
URL = f"http://mcp.example{PLACE}"
STREAM = {"Content-Type": "text/event-stream"}


def event(number: int, since: float, of: int = 5) -> bytes:
    """Return an event as the server writes it."""
    told = {"event": number, "of": of, "sent": "2026-11-30T00:00:00.000Z", "since": since}
    return b"event: message\ndata: %b\n\n" % json.dumps(told).encode()


def came(*times: float, of: int = 5, ended: float | None = 2.0, **fields: Any) -> Probed:
    """Return what was seen where events, written 300 ms apart, came at some times."""
    answer = HttpAnswer(
        number=1, method="GET", url=URL, status=200, headers=list(STREAM.items()), ended=ended
    )
    for number, at in enumerate(times, 1):
        piece = event(number, round((number - 1) * 0.3, 1), of)
        answer.body += piece
        answer.pieces.append((at, len(piece)))
    for name, value in fields.items():
        setattr(answer, name, value)
    return probed(answer)


def outcome(seen: Probed, check: str) -> Any:
    (found,) = (each.outcome for each in judged(CHECKS, seen) if each.check.id == check)
    return found


def test_events_that_come_as_they_were_written_were_not_held_back() -> None:
    """docs/gateways.md: the events say when they were written."""
    direct = came(0.02, 0.32, 0.62, 0.92, 1.22)
    assert isinstance(outcome(direct, "stream-buffered"), Held)
    # Late, and each as late as the others: the way is long.
    assert isinstance(outcome(came(1.0, 1.3, 1.6, 1.9, 2.2), "stream-buffered"), Held)
    assert outcome(direct, "stream-cadence").summary == (
        "Events written after 0, 300, 600, 900, 1200 ms came after 20, 320, 620, 920, 1220 ms"
    )
    assert outcome(came(0.1, 0.4, of=2), "stream-buffered") is None


def test_events_that_come_together_were_held_back() -> None:
    """As above, and for sure: when they were written is known."""
    found = outcome(came(1.25, 1.251, 1.252, 1.252, 1.253), "stream-buffered")
    assert found.summary == (
        "5 events within 3 ms, after 1.25 s, which were written over 1.20 s: they were held back"
    )
    (check,) = (each for each in CHECKS if each.id == "stream-buffered")
    assert check.confidence == "certain"


def test_a_stream_that_ends_before_its_last_event_was_cut() -> None:
    """Our choice: the events say how many there are to be."""
    cut = outcome(came(0.0, 0.3, ended=5.3), "stream-cut-idle")
    assert cut.summary == "The stream ended after 5.3 s, 5.0 s after the last byte: 2 of 5 events came"
    silent = outcome(came(0.0, 0.3, ended=None), "stream-cut-idle")
    assert silent.summary == "2 of 5 events came, and then nothing more"
    assert isinstance(outcome(came(0.0, 0.3, of=2), "stream-cut-idle"), Held)
    assert outcome(came(), "stream-cut-idle") is None


def test_compression_and_a_late_head_are_named() -> None:
    """As of every stream."""
    gzip = came(0.0, headers=[*STREAM.items(), ("Content-Encoding", "gzip")])
    assert isinstance(outcome(gzip, "stream-compressed"), Broken)
    assert isinstance(outcome(came(0.0), "stream-compressed"), Held)
    assert isinstance(outcome(came(4.0, head=4.0), "stream-head-late"), Broken)
    assert isinstance(outcome(came(status=0, error="no answer"), "stream-head-late"), Broken)


def test_what_is_no_event_of_a_probe_is_passed_over() -> None:
    """Our choice: whatever an answer says."""
    body = b'data: {"since":"x","of":"y"}\n\ndata: []\n\ndata: {"since":null}\n\ndata: 1\n\n'
    answer = HttpAnswer(number=1, method="GET", url=URL, headers=list(STREAM.items()), body=bytearray(body))
    answer.pieces.append((0.1, len(body)))
    seen = probed(answer)
    assert (seen.wanted, seen.times) == (0, [])


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        (URL, True),
        (f"{URL}?events=3", True),
        (f"https://mcp.example/prefix{PLACE}", True),
        ("http://mcp.example/mcp", False),
        (f"http://mcp.example/t/{'k' * 32}/mcp", False),
        (f"http://mcp.example/v/{'k' * 32}/probe/stream", False),
    ],
)
def test_the_address_of_a_probe_is_known_by_its_path(url: str, wanted: bool) -> None:
    """Our interface: behind a prefix as well."""
    assert is_probe(url) is wanted


def test_the_command_reads_a_probe_and_asks_for_silence() -> None:
    """Our interface: --seconds is the silence, where the address asks for nothing."""
    body = b": open\n\n" + b"".join(event(number, (number - 1) * 0.3) for number in range(1, 6))
    server = GoodServer(elsewhere=(200, STREAM, body))
    done = ran(server, "--stream", "--seconds", "300", URL, "--format", "json")
    assert [request.uri for request in server.asked] == [f"{PLACE}?silence=120".encode()]
    # The server in memory sends everything at once.
    assert done.findings["stream-buffered"]["count"] == 1
    assert done.status == 1
    server = GoodServer(elsewhere=(200, STREAM, body))
    ran(server, "--stream", f"{URL}?events=5")
    assert [request.uri for request in server.asked] == [f"{PLACE}?events=5".encode()]


def test_what_is_no_stream_cannot_be_checked() -> None:
    """Our choice: the server's own sentence says why."""
    said = {"error": {"code": -32600, "message": "Not found: there is no such trace; POST /t makes one"}}
    done = ran(GoodServer(elsewhere=(404, {}, said)), "--stream", URL)
    assert (done.status, done.told) == (
        2,
        f"mcp-echo: the probe was answered with 404: {said['error']['message']}\n",
    )
