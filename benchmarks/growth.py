"""Measure how the cost of a request grows with sessions, streams, message size and queue depth.

    python benchmarks/growth.py [--only PART] [--fill MIB]

Prints the tables of docs/performance.md. CPU time comes from /proc, and memory is resident memory; requests
per second are wrk's, with the server on one core and wrk on another.
"""

# ruff: noqa: S603  # runs the servers it measures
from __future__ import annotations

import argparse
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

from budget import CONNECTIONS, Connection, Server, allow_many_files, running
from measure import FIRST_ID, FIRST_WARM_UP_ID, Cores, cores_to_use, free_port, missing_program, run_wrk

SECONDS = 6
WARM_UP_SECONDS = 2
ROUNDS = 3
HANDSHAKES = 5_000
QUEUED = 10_000
KEPT = 10_000
STARTS = 5
ROOM = (
    "--max-sessions=2000000",
    "--max-sessions-per-address=2000000",
    "--max-connections-per-address=1000000",
    f"--max-held-bytes={1 << 40}",
    "--initialize-rate=0",
    "--call-rate=0",
    f"--max-queue-bytes={1 << 30}",
    f"--max-state-bytes={1 << 30}",
)
"""Limits that are not what is measured, and would end it."""

_SUBSCRIBE = b'{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"echo://session"}}'
_EVENT = b"event: message\n"
_IMPORT = "import twisted.web.server, klein"


@contextmanager
def daemon(cores: Cores, *options: str) -> Iterator[Server]:
    """Run a daemon with room for what is measured, on its own core."""
    command = [sys.executable, "-m", "mcp_echo", *ROOM, *options]
    with running(lambda port: ["taskset", "-c", str(cores.server), *command, "--port", str(port)]) as server:
        yield server


def echo(number: int, message: bytes = b"hello world") -> bytes:
    return (
        b'{"jsonrpc":"2.0","id":%d,"method":"tools/call",'
        b'"params":{"name":"echo","arguments":{"message":"%b"}}}' % (number, message)
    )


class Sessions:
    """Sessions of a server, made over one connection as fast as it goes."""

    def __init__(self, server: Server) -> None:
        self._connection = Connection(server.port)
        self.ids: list[bytes] = []

    def grow(self, count: int) -> list[bytes]:
        """Make sessions until there are ``count``; return their ids."""
        while len(self.ids) < count:
            self.ids.append(self._connection.session())
        return self.ids

    def handles(self, count: int) -> list[bytes]:
        """Return the handles of newly made modern state."""
        session = self.grow(1)[0]
        return [self._connection.handle(session) for _ in range(count)]


def _load(server: Server, cores: Cores, ids: Sequence[bytes], *, modern: bool = False) -> tuple[float, float]:
    """Return requests per second and microseconds of CPU a request: the medians of some rounds."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        sessions = Path(folder, "sessions")
        sessions.write_bytes(b"\n".join(ids[:CONNECTIONS]) + b"\n")
        run_wrk(server.port, sessions, FIRST_WARM_UP_ID, WARM_UP_SECONDS, cores.load, modern=modern)
        for _ in range(ROUNDS):
            before = server.cpu_seconds()
            run = run_wrk(server.port, sessions, FIRST_ID, SECONDS, cores.load, modern=modern)
            cpu = (server.cpu_seconds() - before) / run["requests"] * 1e6
            found.append((run["requests"] / run["microseconds"] * 1e6, cpu))
    return statistics.median(rate for rate, _ in found), statistics.median(cpu for _, cpu in found)


def _table(*rows: Sequence[object]) -> None:
    head, *body = rows
    print("| " + " | ".join(map(str, head)) + " |")
    print("| " + " | ".join(["---:"] * len(head)) + " |")
    for row in body:
        print("| " + " | ".join(_shown(each) for each in row) + " |")
    print(flush=True)


def _shown(figure: object) -> str:
    if not isinstance(figure, float):
        return f"{figure:,}" if isinstance(figure, int) else str(figure)
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.2f}" if figure < 10 else f"{figure:.1f}"


def eras(cores: Cores) -> None:
    """The same echo in both eras, and the handshake of the legacy one."""
    rows = []
    with daemon(cores) as server:
        sessions = Sessions(server)
        for name, ids, modern in (
            ("legacy (2025-06-18, session)", sessions.grow(CONNECTIONS), False),
            ("modern (2026-07-28, handle)", sessions.handles(CONNECTIONS), True),
        ):
            rows.append((name, *_load(server, cores, ids, modern=modern)))
        before = server.cpu_seconds()
        sessions.grow(HANDSHAKES + CONNECTIONS)
        handshake = (server.cpu_seconds() - before) / HANDSHAKES * 1e6
    _table(("echo", "requests/s", "CPU µs"), *rows)
    _table(("handshake", "CPU µs"), ("`initialize` + `notifications/initialized`", handshake))


def sessions(cores: Cores) -> None:
    """An echo while more and more sessions live."""
    rows = []
    with daemon(cores) as server:
        made = Sessions(server)
        for count in (100, 1_000, 10_000, 100_000):
            ids = made.grow(count)
            rate, cpu = _load(server, cores, ids)
            rows.append((count, rate, cpu, server.resident_bytes() / 2**20))
    _table(("live sessions", "requests/s", "CPU µs", "resident MiB"), *rows)


def streams(cores: Cores) -> None:
    """An echo while more and more idle streams are open."""
    rows = []
    with daemon(cores) as server:
        made = Sessions(server)
        opened: list[Connection] = []
        made.grow(CONNECTIONS)
        start = server.resident_bytes()
        for count in (0, 500, 2_000, 8_000):
            ids = made.grow(CONNECTIONS + count)
            for session in ids[CONNECTIONS + len(opened) :]:
                stream = Connection(server.port)
                stream.listen(session)
                opened.append(stream)
            rate, cpu = _load(server, cores, ids)
            each = (server.resident_bytes() - start) / count / 1024 if count else 0.0
            rows.append((count, rate, cpu, each))
    _table(("open idle streams", "requests/s", "CPU µs", "KiB a stream and its session"), *rows)


def sizes(cores: Cores) -> None:
    """Echoes of larger and larger messages."""
    rows = []
    with daemon(cores) as server:
        session = Sessions(server).grow(1)[0]
        connection = Connection(server.port)
        for size in (10, 1_000, 10_000, 100_000, 1_000_000):
            requests = max(50, min(5_000, 20_000_000 // size))
            message = b"x" * size
            connection.ask(echo(0, message), session)
            before = server.cpu_seconds()
            for number in range(requests):
                connection.ask(echo(number, message), session)
            cpu = (server.cpu_seconds() - before) / requests * 1e6
            rows.append((size, cpu, size / cpu))
    _table(("message bytes", "CPU µs", "MB echoed per CPU second"), *rows)


def queues(cores: Cores) -> None:
    """Echoes that each queue a notification nobody reads yet, and then the reading."""
    rows = [_queue(cores, depth) for depth in (100, 1_000, 10_000)]
    _table(
        (
            "most messages in a queue",
            "CPU µs an echo while it fills",
            "CPU µs an echo once it is full",
            "bytes a message",
            "CPU µs to deliver one",
        ),
        *rows,
    )


def _queue(cores: Cores, depth: int) -> tuple[int, float, float, float, float]:
    with daemon(cores, "--max-queue-messages", str(depth)) as server:
        ids = Sessions(server).grow(QUEUED // depth)
        connection = Connection(server.port)
        for session in ids:
            connection.ask(_SUBSCRIBE, session)
        memory = server.resident_bytes()
        filling = _echoes(server, connection, ids, depth)
        each = (server.resident_bytes() - memory) / QUEUED
        full = _echoes(server, connection, ids[:1], QUEUED)
        before = server.cpu_seconds()
        for session in ids:
            _drain(server, session, depth)
        return depth, filling, full, each, (server.cpu_seconds() - before) / QUEUED * 1e6


def _echoes(server: Server, connection: Connection, ids: Sequence[bytes], count: int) -> float:
    """Return the CPU time, in microseconds, of each of ``count`` echoes to each of the sessions."""
    before = server.cpu_seconds()
    for session in ids:
        for number in range(count):
            connection.ask(echo(number), session)
    return (server.cpu_seconds() - before) / count / len(ids) * 1e6


def _drain(server: Server, session: bytes, depth: int) -> None:
    """Read a session's whole queue."""
    stream = Connection(server.port)
    stream.socket.settimeout(10)
    stream.open_stream(session)
    got, rest = 0, b""
    while got < depth:
        rest += stream.socket.recv(1 << 20)
        got += rest.count(_EVENT)
        # Half an event at the end is counted with what comes next.
        rest = rest.rpartition(_EVENT)[2][-len(_EVENT) :]
    stream.close()


def stores(cores: Cores) -> None:
    """The same echo with sessions in memory, in SQLite and in Redis, in both eras; Redis beside wrk."""
    rows = []
    memory: tuple[float, float] | None = None
    with tempfile.TemporaryDirectory() as folder, redis_server(cores, folder) as redis:
        kinds = [("memory", "memory:"), ("sqlite", f"sqlite:{folder}/sessions.db"), ("redis", redis)]
        for name, address in [each for each in kinds if each[1]]:
            with daemon(cores, "--store", address) as server:
                made = Sessions(server)
                legacy = _load(server, cores, made.grow(CONNECTIONS))
                modern = _load(server, cores, made.handles(CONNECTIONS), modern=True)
            memory = memory or (legacy[0], modern[0])
            rows.append((name, *legacy, legacy[0] / memory[0], *modern, modern[0] / memory[1]))
    _table(
        ("store", "requests/s", "CPU µs", "÷ memory", "modern requests/s", "modern CPU µs", "÷ memory"), *rows
    )


def kept(cores: Cores) -> None:
    """What sessions and queued messages take in Redis, made through the daemon, and in a file of SQLite."""
    rows = []
    with tempfile.TemporaryDirectory() as folder, redis_server(cores, folder) as redis:
        file = Path(folder, "sessions.db")
        if redis is not None:
            port = int(redis.rpartition(":")[2])
            rows.append(("redis", *_kept(cores, redis, lambda: _used_memory(port))))
        rows.append(("sqlite", *_kept(cores, f"sqlite:{file}", lambda: _pages(file))))
    _table(
        ("store", "bytes a session", "bytes more for an echo of 11", "bytes a queued message of 135"), *rows
    )


def _kept(cores: Cores, address: str, used: Callable[[], int]) -> tuple[float, float, float]:
    with daemon(cores, "--store", address) as server:
        made = Sessions(server)
        made.grow(CONNECTIONS)
        before = used()
        ids = made.grow(CONNECTIONS + KEPT)[CONNECTIONS:]
        session = (used() - before) / KEPT
        connection = Connection(server.port)
        before = used()
        _echoes(server, connection, ids[: KEPT // 10], 1)
        echo = (used() - before) / (KEPT // 10)
        handles = made.handles(KEPT // 100)
        before = used()
        for handle in handles:
            for number in range(100):
                connection.ask(_handle_echo(number, handle), ids[0])
        return session, echo, (used() - before) / len(handles) / 100


def _handle_echo(number: int, handle: bytes) -> bytes:
    """An echo with a handle, which queues its news."""
    return (
        b'{"jsonrpc":"2.0","id":%d,"method":"tools/call",'
        b'"params":{"name":"echo","arguments":{"message":"hello world","session":"%b"}}}' % (number, handle)
    )


def _used_memory(port: int) -> int:
    with socket.create_connection(("127.0.0.1", port), 10) as asked:
        asked.sendall(b"INFO memory\r\n")
        answer = b""
        while b"used_memory_human" not in answer:
            answer += asked.recv(65536)
    return int(answer.partition(b"used_memory:")[2].partition(b"\r")[0])


def _pages(file: Path) -> int:
    with closing(sqlite3.connect(file)) as asked:
        asked.execute("PRAGMA wal_checkpoint(PASSIVE)")
        size: int = asked.execute("PRAGMA page_count").fetchone()[0]
        size -= asked.execute("PRAGMA freelist_count").fetchone()[0]
        return size * int(asked.execute("PRAGMA page_size").fetchone()[0])


@contextmanager
def redis_server(cores: Cores, folder: str) -> Iterator[str | None]:
    """Run a Redis server on the core of the load; give its address, or None where there is none."""
    if shutil.which("redis-server") is None:
        print("redis-server is not installed: without Redis", file=sys.stderr)
        yield None
        return
    port = free_port()
    options = [
        "--bind",
        "127.0.0.1",
        "--port",
        str(port),
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        folder,
    ]
    process = subprocess.Popen(
        ["taskset", "-c", str(cores.load), "redis-server", *options],  # noqa: S607
        stdout=subprocess.DEVNULL,
    )
    try:
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def starts(cores: Cores) -> None:
    """The time from the command to the first answer, beside that of the imports it cannot do without."""
    rows = []
    for name, start in (("mcp-echo to its first /health", _start_daemon), (f"`{_IMPORT}`", _import)):
        seconds = [start(cores) for _ in range(STARTS)]
        rows.append((name, statistics.median(seconds) * 1000))
    _table(("start", "ms"), *rows)


def _import(cores: Cores) -> float:
    begun = time.monotonic()
    subprocess.run(["taskset", "-c", str(cores.server), sys.executable, "-c", _IMPORT], check=True)  # noqa: S607
    return time.monotonic() - begun


def _start_daemon(cores: Cores) -> float:
    port = free_port()
    twistd = Path(sys.executable).with_name("twistd")
    command = [str(twistd), "-n", "--pidfile=", "mcp-echo", "--port", str(port)]
    begun = time.monotonic()
    process = subprocess.Popen(
        ["taskset", "-c", str(cores.server), *command],  # noqa: S607
        stdout=subprocess.DEVNULL,
    )
    try:
        while True:
            with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                answer.read()
                return time.monotonic() - begun
            if process.poll() is not None:
                raise SystemExit("growth: the daemon does not start")
            time.sleep(0.005)
    finally:
        process.terminate()
        process.wait()


def fill(cores: Cores, mebibytes: int) -> None:
    """Make sessions until the server's resident memory is as large as told."""
    with daemon(cores) as server:
        made = Sessions(server)
        while server.resident_bytes() < mebibytes * 2**20:
            made.grow(len(made.ids) + 1_000)
        _table(("resident MiB", "idle sessions"), (mebibytes, len(made.ids)))


PARTS: dict[str, Callable[[Cores], None]] = {
    each.__name__: each for each in (eras, sessions, streams, sizes, queues, stores, kept, starts)
}


def take_cores() -> Cores | None:
    """Return the cores, with this process on the one of the load; None, and say why, if there are not two."""
    missing, cores = missing_program(), cores_to_use()
    if missing is not None or cores is None:
        print(missing or "two cores are needed", file=sys.stderr)
        return None
    allow_many_files()
    os.sched_setaffinity(0, {cores.load})
    return cores


def main() -> int:
    """Measure what was asked for; return 2 if this machine cannot."""
    parser = argparse.ArgumentParser(description="Measure how costs grow.")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="this alone; may be repeated")
    parser.add_argument("--fill", type=int, metavar="MIB", help="only count the sessions that fit in MIB")
    given = parser.parse_args()
    cores = take_cores()
    if cores is None:
        return 2
    if given.fill:
        fill(cores, given.fill)
        return 0
    for name in given.only or PARTS:
        PARTS[name](cores)
    return 0


if __name__ == "__main__":
    sys.exit(main())
