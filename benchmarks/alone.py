"""Measure mcp-echo by itself: both eras, the stores, streams, and clients that send ahead and never read.

    python benchmarks/alone.py [--rounds N] [--seconds S]

Prints a table; `run.py` puts it into RESULTS.md. CPU time comes from /proc, and memory is resident memory;
calls are wrk's, with the server on one core and wrk, and Redis, on another.
"""

from __future__ import annotations

import argparse
import gc
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path

from budget import CONNECTIONS, Connection, Server, post, stream_kib
from growth import Sessions, daemon, echo, redis_server, take_cores
from measure import FIRST_ID, FIRST_WARM_UP_ID, Cores, run_wrk
from streams import PER_SECOND, STREAMS, change_for_all, delivery, echoes_for_few

WARM_UP_SECONDS = 2
FLOOD_SECONDS = 10
FLOOD_BYTES = (20, 20_000, 60_000)
"""Lengths of the messages that are sent ahead."""
FLOODS = 2_000
DELIVERY_SECONDS = 10.0
MIB = 1024 * 1024

Row = tuple[str, str]
"""What was measured, and how much it is."""


@dataclass
class Load:
    """A kind of echo, and what each round of it showed.

    Attributes:
        name: What it is.
        server: Who answers it.
        ids: The ids of the sessions, or the handles.
        modern: Whether it is of the modern era.
    """

    name: str
    server: Server
    ids: Sequence[bytes]
    modern: bool = False

    def __post_init__(self) -> None:
        self.rates: list[float] = []
        self.cpu: list[float] = []
        self.p99: list[float] = []

    def round(self, cores: Cores, seconds: int) -> None:
        """Load the server once."""
        with tempfile.NamedTemporaryFile() as sessions:
            Path(sessions.name).write_bytes(b"\n".join(self.ids) + b"\n")
            where = (self.server.port, Path(sessions.name))
            if not self.rates:
                run_wrk(*where, FIRST_WARM_UP_ID, WARM_UP_SECONDS, cores.load, modern=self.modern)
            before = self.server.cpu_seconds()
            found = run_wrk(*where, FIRST_ID, seconds, cores.load, modern=self.modern)
        self.rates.append(found["requests"] / found["microseconds"] * 1e6)
        self.cpu.append((self.server.cpu_seconds() - before) / found["requests"] * 1e6)
        self.p99.append(found["p99_us"] / 1000)

    def row(self, base: Load) -> Row:
        """Return the medians, beside those of another echo from the same rounds."""
        rate, cpu, p99 = (statistics.median(each) for each in (self.rates, self.cpu, self.p99))
        ratio = statistics.median(mine / other for mine, other in zip(self.rates, base.rates, strict=True))
        beside = "" if self is base else f", {ratio:.2f} times the calls of the first"
        return self.name, f"{rate:,.0f}/s, {cpu:.0f} µs CPU, p99 {p99:.1f} ms{beside}"


def echoes(cores: Cores, rounds: int, seconds: int) -> Iterator[Row]:
    """Yield what an echo costs in both eras and on each store, in alternating rounds."""
    with tempfile.TemporaryDirectory() as folder, redis_server(cores, folder) as redis, ExitStack() as stack:
        loads = []
        for store in filter(None, ("memory:", f"sqlite:{folder}/sessions.db", redis)):
            server = stack.enter_context(daemon(cores, "--store", store))
            name, made = store.partition(":")[0], Sessions(server)
            loads.append(Load(f"echo, {name}", server, made.grow(CONNECTIONS)))
            loads.append(Load(f"modern echo, {name}", server, made.handles(CONNECTIONS), modern=True))
        for _ in range(rounds):
            for load in loads:
                load.round(cores, seconds)
    yield from (load.row(loads[0]) for load in loads)


def repeated(cores: Cores) -> Row:
    """Return what an echo costs whose head is that of the request before, and what one of another head."""
    found = {}
    with daemon(cores) as server:
        connection, sessions = Connection(server.port), Sessions(server).grow(2)
        for kind in (1, 2):
            for many in (1_000, 10_000):
                before = server.cpu_seconds()
                for number in range(many):
                    connection.ask(echo(1_000_000 + number), sessions[number % kind])
                found[kind] = (server.cpu_seconds() - before) / many * 1e6
    return (
        "echo, one after the other over one connection",
        f"{found[1]:.0f} µs CPU of one session, {found[2]:.0f} of two in turn, so that each head is another",
    )


def streams(cores: Cores) -> Iterator[Row]:
    """Yield what open streams cost, and how soon messages reach them."""
    yield "an idle stream with its connection", f"{stream_kib():.1f} KiB"
    gc.disable()  # the reader's own pauses are not the server's
    for name, calls in (("all at once", change_for_all), ("spread", echoes_for_few)):
        delays, wrong = delivery(DELIVERY_SECONDS, cores, calls)
        p50, p99 = statistics.median(delays) * 1000, statistics.quantiles(delays, n=100)[98] * 1000
        yield (
            f"{PER_SECOND} messages/s to each of {STREAMS} streams, {name}",
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, streams with too few or too many: {wrong}",
        )
    gc.enable()


def floods(cores: Cores) -> Iterator[Row]:
    """Yield what clients take that send ahead and read nothing."""
    for size in FLOOD_BYTES:
        most = _flood(cores, size) / MIB
        yield (
            f"one connection that pipelines echoes of {size:,} bytes for {FLOOD_SECONDS} s and never reads",
            f"{most:.1f} MiB above rest at most",
        )
    yield f"each of {FLOODS:,} such connections together, small requests", f"{_many(cores) / 1024:.0f} KiB"


def _deaf(server: Server) -> socket.socket:
    """Return a connection whose client will read nothing."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.port))
    connection.setblocking(False)
    return connection


def _flood(cores: Cores, size: int) -> int:
    with daemon(cores) as server:
        session = Sessions(server).grow(1)[0]
        request = post(echo(1, b"x" * size), session)
        warm = Connection(server.port)
        for _ in range(20):
            warm.ask(echo(1, b"x" * size), session)
        flood = request * (1 + 500_000 // len(request))
        with closing(_deaf(server)) as connection:
            before = most = server.resident_bytes()
            until = time.monotonic() + FLOOD_SECONDS
            while time.monotonic() < until:
                with suppress(BlockingIOError):
                    connection.send(flood)
                most = max(most, server.resident_bytes())
    return most - before


def _many(cores: Cores) -> float:
    with daemon(cores) as server, ExitStack() as stack:
        made = Sessions(server)
        flood = post(b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}', made.grow(1)[0]) * 400
        before = server.resident_bytes()
        for _ in range(FLOODS):
            connection = stack.enter_context(closing(_deaf(server)))
            with suppress(BlockingIOError):
                connection.send(flood)
        # It is answered in its turn: until then all of them have been read from.
        made.grow(2)
        return (server.resident_bytes() - before) / FLOODS


def main() -> int:
    """Measure everything; return 2 if this machine cannot."""
    parser = argparse.ArgumentParser(description="Measure mcp-echo by itself.")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds of each echo")
    parser.add_argument("--seconds", type=int, default=6, help="seconds of a round")
    given = parser.parse_args()
    cores = take_cores()
    if cores is None:
        return 2
    print("| mcp-echo | |\n| --- | --- |")
    for rows in (
        echoes(cores, given.rounds, given.seconds),
        [repeated(cores)],
        streams(cores),
        floods(cores),
    ):
        for what, found in rows:
            print(f"| {what} | {found} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
