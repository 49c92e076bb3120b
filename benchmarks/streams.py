"""Measure event streams: how soon messages reach 500 of them, and what 2,000 idle ones cost.

    python benchmarks/streams.py [--seconds N]

Each of 500 streams is due 20 messages a second, in two ways: all at once, when one tool call queues a message
in every session and the server has 500 to deliver in one go, 20 times a second; and spread, when 25 handles
are echoed to in turn and each is watched by 20 of the sessions. The clock starts when the call is sent.
"""

from __future__ import annotations

import argparse
import gc
import os
import selectors
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from budget import Connection, Server, allow_many_files, running
from measure import Cores, cores_to_use

STREAMS = 500
PER_SECOND = 20
HANDLES = 25
IDLE_STREAMS = 2_000
KEEP_ALIVE_SECONDS = 15.0
IDLE_BEATS = 10
SPED_UP = 15
"""How many times more often than by default the idle streams are kept alive while that is measured."""

_CHANGE = (
    b'{"jsonrpc":"2.0","id":%d,"method":"tools/call",'
    b'"params":{"name":"test_trigger_tool_change","arguments":{}}}'
)
_ECHO = (
    b'{"jsonrpc":"2.0","id":%%d,"method":"tools/call",'
    b'"params":{"name":"echo","arguments":{"message":"news","session":"%b"}}}'
)
_WATCH = b'{"jsonrpc":"2.0","id":2,"method":"resources/subscribe","params":{"uri":"echo://session/%b"}}'
_GOALS = {"p99 milliseconds": 20.0, "percent of a core": 2.0}


def _daemon(cores: Cores, port: int, *options: str) -> list[str]:
    # Thousands of sessions come from one address here.
    most = ["--max-sessions", "5000", "--max-sessions-per-address", "5000", "--initialize-rate", "0"]
    most += ["--max-connections-per-address", "1000000", "--max-held-bytes-per-client", str(1 << 30)]
    most += ["--max-held-bytes", str(1 << 30)]
    daemon = [sys.executable, "-m", "mcp_echo", "--port", str(port), *most, *options]
    return ["taskset", "-c", str(cores.server), *daemon]


@dataclass
class Call:
    """A call that is made again and again.

    Attributes:
        body: The request, with a place for its id.
        streams: The places of the streams it brings a message to.
        per_second: How often it is made.
    """

    body: bytes
    streams: Sequence[int]
    per_second: float


def _open(server: Server, count: int) -> tuple[list[socket.socket], list[bytes]]:
    """Return ``count`` sockets, each with an open stream of a session of its own, and the sessions."""
    first = Connection(server.port)
    streams, sessions = [], []
    for _ in range(count):
        stream = Connection(server.port)
        sessions.append(first.session())
        stream.listen(sessions[-1])
        streams.append(stream.socket)
    return streams, sessions


def change_for_all(_trigger: Connection, _session: bytes, _sessions: list[bytes]) -> list[Call]:
    """Return the one call that brings a message to every stream."""
    return [Call(_CHANGE, range(STREAMS), PER_SECOND)]


def echoes_for_few(trigger: Connection, session: bytes, sessions: list[bytes]) -> list[Call]:
    """Return a call for each of several handles, which each bring a message to a part of the streams."""
    calls = []
    for number in range(HANDLES):
        handle = trigger.handle(session)
        watching = range(number, STREAMS, HANDLES)
        for place in watching:
            trigger.ask(_WATCH % handle, sessions[place])
        calls.append(Call(_ECHO % handle, watching, PER_SECOND))
    return calls


class Delivery:
    """Messages on their way to many streams, and when each was sent.

    Args:
        streams: The sockets of the streams.
    """

    def __init__(self, streams: Sequence[socket.socket]) -> None:
        self._streams = streams
        self._selector = selectors.DefaultSelector()
        for place, stream in enumerate(streams):
            stream.setblocking(False)
            self._selector.register(stream, selectors.EVENT_READ, place)
        self._sent: list[list[float]] = [[] for _ in streams]
        self.got = [0] * len(streams)
        self.delays: list[float] = []

    def note_sent(self, places: Iterable[int]) -> None:
        """Note that a message is on its way to these streams now."""
        now = time.monotonic()
        for place in places:
            self._sent[place].append(now)

    def read(self) -> None:
        """Take what has come, and note how long it took."""
        for key, _ in self._selector.select(timeout=0.001):
            place = key.data
            data = self._streams[place].recv(65536)
            now = time.monotonic()
            for _ in range(data.count(b"event: message")):
                sent = self._sent[place]
                self.delays.append(now - sent[min(self.got[place], len(sent) - 1)])
                self.got[place] += 1


def delivery(
    seconds: float, cores: Cores, make_calls: Callable[[Connection, bytes, list[bytes]], list[Call]]
) -> tuple[list[float], int]:
    """Return the delays of all messages in seconds, and how many streams got too few or too many."""
    with running(lambda port: _daemon(cores, port, "--conformance=core")) as server:
        trigger = Connection(server.port)
        session = trigger.session()
        streams, sessions = _open(server, STREAMS)
        calls = make_calls(trigger, session, sessions)
        messages = Delivery(streams)
        due = int(seconds * PER_SECOND)
        begun = time.monotonic() + 0.1
        # The calls take turns, so that they are evenly spread over time.
        times = [
            (begun + (number + place / len(calls)) / call.per_second, number, call)
            for number in range(due)
            for place, call in enumerate(calls)
        ]
        for when, number, call in times:
            while time.monotonic() < when:
                messages.read()
            messages.note_sent(call.streams)
            trigger.send(call.body % number, session)
        while min(messages.got) < due and time.monotonic() < times[-1][0] + 10:
            messages.read()
        messages.read()
        for stream in streams:
            stream.close()
        return messages.delays, sum(count != due for count in messages.got)


def idle_percent(cores: Cores) -> float:
    """Return the share of a core that idle streams take with the default keep-alive."""
    beat = KEEP_ALIVE_SECONDS / SPED_UP
    with running(lambda port: _daemon(cores, port, "--keepalive-interval", str(beat))) as server:
        streams, _ = _open(server, IDLE_STREAMS)
        before = server.cpu_seconds()
        time.sleep(beat * IDLE_BEATS)
        spent = server.cpu_seconds() - before
        for stream in streams:
            stream.close()
    return 100 * spent / IDLE_BEATS / KEEP_ALIVE_SECONDS


def main() -> int:
    """Measure both; return 1 if a message was lost, came twice or a goal is missed, 2 without two cores."""
    parser = argparse.ArgumentParser(description="Measure event streams.")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long messages are sent")
    seconds = parser.parse_args().seconds
    cores = cores_to_use()
    if cores is None:
        print("two cores are needed: one for the server, one for its clients", file=sys.stderr)
        return 2
    allow_many_files()
    os.sched_setaffinity(0, {cores.load})
    gc.disable()  # the reader's own pauses are not to be counted as the server's
    missed = False
    for name, calls in (("all at once", change_for_all), ("spread", echoes_for_few)):
        delays, wrong = delivery(seconds, cores, calls)
        median, p99 = statistics.median(delays) * 1000, statistics.quantiles(delays, n=100)[98] * 1000
        print(
            f"{STREAMS} streams, {PER_SECOND} messages/s each, {name}: p50 {median:.1f} ms, p99 {p99:.1f} ms"
            f", streams with too few or too many: {wrong}",
            flush=True,
        )
        missed |= bool(wrong) or p99 > _GOALS["p99 milliseconds"]
    percent = idle_percent(cores)
    print(
        f"{IDLE_STREAMS} idle streams, kept alive every {KEEP_ALIVE_SECONDS:g} s: {percent:.2f} % of a core"
    )
    return 1 if missed or percent > _GOALS["percent of a core"] else 0


if __name__ == "__main__":
    sys.exit(main())
