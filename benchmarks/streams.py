"""Measure event streams: how soon messages reach 500 of them, and what 2,000 idle ones cost.

    python benchmarks/streams.py [--seconds N]

Every trigger is one tool call that queues a message in each of the sessions, so that the server has 500
messages to deliver at once, 20 times a second. The clock starts when the call is sent.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import statistics
import sys
import time

from budget import Connection, Server, allow_many_files, running

STREAMS = 500
PER_SECOND = 20
IDLE_STREAMS = 2_000
KEEP_ALIVE_SECONDS = 15.0
IDLE_BEATS = 10
SPED_UP = 15
"""How many times more often than by default the idle streams are kept alive while that is measured."""

_TRIGGER = (
    b'{"jsonrpc":"2.0","id":%d,"method":"tools/call",'
    b'"params":{"name":"test_trigger_tool_change","arguments":{}}}'
)
_GOALS = {"p99 milliseconds": 20.0, "percent of a core": 2.0}


def _daemon(port: int, *options: str) -> list[str]:
    # Thousands of sessions come from one address here.
    most = ["--max-sessions", "5000", "--initialize-rate", "0"]
    return [sys.executable, "-m", "mcp_echo", "--port", str(port), *most, *options]


def _open(server: Server, count: int) -> list[socket.socket]:
    """Return ``count`` sockets, each with an open stream of a session of its own."""
    first = Connection(server.port)
    streams = []
    for _ in range(count):
        stream = Connection(server.port)
        stream.listen(first.session())
        streams.append(stream.socket)
    return streams


def delivery(seconds: float) -> tuple[list[float], list[int], int]:
    """Return the delays of all messages in seconds, how many each stream got, and how many each was due."""
    with running(lambda port: _daemon(port, "--conformance=core")) as server:
        trigger = Connection(server.port)
        session = trigger.session()
        streams = _open(server, STREAMS)
        selector = selectors.DefaultSelector()
        got = [0] * STREAMS
        for place, stream in enumerate(streams):
            stream.setblocking(False)
            selector.register(stream, selectors.EVENT_READ, place)
        sent: list[float] = []
        delays: list[float] = []
        due = int(seconds * PER_SECOND)
        begun = time.monotonic()
        while min(got) < due and time.monotonic() - begun < seconds + 10:
            if len(sent) < due and time.monotonic() - begun >= len(sent) / PER_SECOND:
                sent.append(time.monotonic())
                trigger.send(_TRIGGER % len(sent), session)
            for key, _ in selector.select(timeout=0.001):
                data = streams[key.data].recv(65536)
                now = time.monotonic()
                for _ in range(data.count(b"event: message")):
                    delays.append(now - sent[min(got[key.data], len(sent) - 1)])
                    got[key.data] += 1
        for stream in streams:
            stream.close()
        return delays, got, due


def idle_percent() -> float:
    """Return the share of a core that idle streams take with the default keep-alive."""
    beat = KEEP_ALIVE_SECONDS / SPED_UP
    with running(lambda port: _daemon(port, "--keepalive-interval", str(beat))) as server:
        streams = _open(server, IDLE_STREAMS)
        before = server.cpu_seconds()
        time.sleep(beat * IDLE_BEATS)
        spent = server.cpu_seconds() - before
        for stream in streams:
            stream.close()
    return 100 * spent / IDLE_BEATS / KEEP_ALIVE_SECONDS


def main() -> int:
    """Measure both; return 1 if a message was lost or came twice, or a goal is missed."""
    parser = argparse.ArgumentParser(description="Measure event streams.")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long messages are sent")
    seconds = parser.parse_args().seconds
    allow_many_files()
    delays, got, due = delivery(seconds)
    wrong = sum(count != due for count in got)
    p99 = statistics.quantiles(delays, n=100)[98] * 1000
    median = statistics.median(delays) * 1000
    print(f"{STREAMS} streams, {due} messages each: p50 {median:.1f} ms, p99 {p99:.1f} ms")
    print(f"streams that got more or fewer than they were due: {wrong}")
    percent = idle_percent()
    print(
        f"{IDLE_STREAMS} idle streams, kept alive every {KEEP_ALIVE_SECONDS:g} s: {percent:.2f} % of a core"
    )
    return 1 if wrong or p99 > _GOALS["p99 milliseconds"] or percent > _GOALS["percent of a core"] else 0


if __name__ == "__main__":
    sys.exit(main())
