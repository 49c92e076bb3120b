"""The edge with a real kernel under it: clients that go on sending, do not read, or are too many."""

from __future__ import annotations

import json
import resource
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Needs, Start
from tests.e2e.daemon import MODULE, Daemon, running
from tests.e2e.wire import Wire
from tests.ports import free_port

pytestmark = pytest.mark.slow

MEBIBYTE = 1024 * 1024
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"

WITH_FEW_DESCRIPTORS = (
    sys.executable,
    "-c",
    "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]),) * 2); "
    "os.execv(sys.argv[2], sys.argv[2:])",
)


def connect(daemon: Daemon) -> socket.socket:
    return socket.create_connection(("127.0.0.1", daemon.port), timeout=15)


def read_to_end(connection: socket.socket) -> bytes:
    """Return what comes until the server has closed its side."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 40
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def resident_bytes(daemon: Daemon) -> int:
    pages = int(Path(f"/proc/{daemon.process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def unsent_bytes(daemon: Daemon) -> int:
    """Return what the kernel holds for the clients of a daemon: written, and not taken yet (proc_net_tcp)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = [row for row in rows if int(row[1].partition(":")[2], 16) == daemon.port]
    return sum(int(row[4].partition(":")[0], 16) for row in ours)


def open_files(daemon: Daemon) -> int:
    return len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir()))


@pytest.mark.parametrize("coding", ["declared", "chunked"])
def test_a_client_that_is_still_sending_sees_the_413(daemon: Daemon, coding: str) -> None:
    """RFC 9112 section 9.6: a server that closes at once may have its answer thrown away by a reset."""
    head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n"
    piece = b"x" * 65536
    if coding == "declared":
        head += b"Content-Length: %d\r\n\r\n" % (8 * MEBIBYTE)
    else:
        head += b"Transfer-Encoding: chunked\r\n\r\n"
        piece = b"%x\r\n%b\r\n" % (len(piece), piece)
    for _ in range(5):
        with connect(daemon) as connection:
            connection.sendall(head)
            for _ in range(8 * MEBIBYTE // 65536):
                connection.sendall(piece)
            answer = read_to_end(connection)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == -32600


def test_a_client_that_is_done_sending_gets_its_answer(daemon: Daemon) -> None:
    """RFC 9112 section 9.6: TCP can be closed in one direction, and `nc` and others do so."""
    for _ in range(20):
        with connect(daemon) as connection:
            connection.sendall(HEALTH)
            connection.shutdown(socket.SHUT_WR)
            assert read_to_end(connection).startswith(b"HTTP/1.1 200 OK\r\n")


@contextmanager
def few_descriptors(tmp_path: Path, limit: int, *arguments: str) -> Iterator[Daemon]:
    """Run a daemon that may have `limit` files open."""
    port = free_port()
    command = [*WITH_FEW_DESCRIPTORS, str(limit), *MODULE, "--port", str(port), *arguments]
    with running(command, tmp_path, port) as daemon:
        yield daemon


def is_served(connection: socket.socket) -> bool:
    """Return whether the server has kept a connection and answers on it."""
    with suppress(OSError):
        connection.settimeout(1)
        connection.sendall(HEALTH)
        return connection.recv(12) == b"HTTP/1.1 200"
    return False


def test_connections_beyond_the_limit_are_closed_and_those_within_it_are_served(tmp_path: Path) -> None:
    """MCP_ECHO_MAX_CONNECTIONS: by default 64 descriptors are left for everything else."""
    with few_descriptors(tmp_path, 128, "--max-connections-per-address", "1000") as daemon:
        with ExitStack() as stack:
            connections = [stack.enter_context(connect(daemon)) for _ in range(150)]
            assert sum(map(is_served, connections)) == 64
        daemon.wait_until_healthy()
        assert daemon.log().count("MCP_ECHO_MAX_CONNECTIONS") == 1


def test_a_server_without_descriptors_left_recovers(tmp_path: Path) -> None:
    """accept(2), EMFILE: a limit that is set too high must not take the server down either."""
    most = ("--max-connections", "1000", "--max-connections-per-address", "1000")
    with few_descriptors(tmp_path, 64, *most) as daemon:
        with ExitStack() as stack:
            connections = [stack.enter_context(connect(daemon)) for _ in range(150)]
            served = sum(map(is_served, connections))
            assert 30 < served < 64
        daemon.wait_until_healthy()
        assert "EMFILE" in daemon.log()


def test_clients_that_never_read_cost_little_and_are_dropped(start: Start) -> None:
    """Our choice: 20 of them, who ask for 6 MB each, take less than 96 MiB of memory together."""
    daemon = start("--stall-timeout", "4")
    clients = 20
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(daemon.port, "2025-06-18")) for _ in range(clients)]
        before = resident_bytes(daemon)
        at_most = 0
        for wire in wires:
            stack.enter_context(deaf_call(daemon, wire))
            at_most = max(at_most, resident_bytes(daemon) - before)
        wait_until(lambda: daemon.log().count("Dropping the connection") == clients)
        at_most = max(at_most, resident_bytes(daemon) - before)
        assert at_most < 96 * MEBIBYTE, f"{at_most / MEBIBYTE:.0f} MiB"
        states = [wire.ask("tools/call", {"name": "sessionInfo"})[0]["result"] for wire in wires]
        waiting = [state["structuredContent"]["pendingMessages"] for state in states]
        assert sum(waiting) > 0, "what was not taken waits for the client to come back"


PIPELINED = {
    "echo": ("tools/call", {"name": "echo", "arguments": {"message": "x" * 20_000}}),
    "a long echo": ("tools/call", {"name": "echo", "arguments": {"message": "x" * 60_000}}),
    "tools/list": ("tools/list", {}),
    "health": None,
}


@pytest.mark.parametrize("name", PIPELINED)
def test_a_client_that_pipelines_and_never_reads_costs_next_to_nothing(name: str, start: Start) -> None:
    """RFC 9112 section 9.3.2 lets a client send ahead; ours is what that may cost: 2 MiB, for a while."""
    daemon = start("--stall-timeout", "3")
    with Wire(daemon.port, "2025-06-18") as wire, socket.socket() as connection:
        request = pipelined(wire, PIPELINED[name])
        # What a few of them cost anyway is no matter of this one.
        with connect(daemon) as warm:
            warm.sendall(request * 20)
            warm.recv(65536)
            time.sleep(0.3)
        before = at_most = resident_bytes(daemon)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", daemon.port))
        connection.settimeout(0.2)
        flood, sent = request * (1 + 500_000 // len(request)), 0
        deadline = time.monotonic() + 12
        while "Dropping the connection" not in daemon.log():
            assert time.monotonic() < deadline, "it is still there"
            with suppress(TimeoutError, ConnectionError):
                sent += connection.send(flood)
            at_most = max(at_most, resident_bytes(daemon))
        assert sent > len(request) * 20, "it did not send ahead"
        assert at_most - before < 2 * MEBIBYTE, f"{(at_most - before) / MEBIBYTE:.1f} MiB"
        assert wire.ask("ping")[0]["result"] == {}


def test_two_thousand_clients_that_pipeline_and_never_read_cost_little_each(start: Start) -> None:
    """As above, together: 160 KiB each, with small requests, and as much again in the kernel.

    All programs of a machine share the kernel's memory for TCP: who takes it all keeps them all waiting.
    """
    clients = 2000
    daemon = start(
        *("--stall-timeout", "60", "--max-connections", "5000", "--max-connections-per-address", "5000"),
        env={"MCP_ECHO_CALL_RATE": "0"},
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with Wire(daemon.port, "2025-06-18") as wire, ExitStack() as stack:
            flood = pipelined(wire, ("tools/list", {})) * 400
            before = resident_bytes(daemon)
            for _ in range(clients):
                connection = stack.enter_context(socket.socket())
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.connect(("127.0.0.1", daemon.port))
                connection.setblocking(False)
                with suppress(BlockingIOError):
                    connection.send(flood)
            # Answered in turn: until then all of them have been read from.
            wire.ask("ping")
            each = (resident_bytes(daemon) - before) / clients
            assert each < 160 * 1024, f"{each / 1024:.0f} KiB"
            held = unsent_bytes(daemon) / clients
            assert 0 < held < 160 * 1024, f"{held / 1024:.0f} KiB"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def pipelined(wire: Wire, call: tuple[str, dict[str, Any]] | None) -> bytes:
    """Return a request of a session; None for one of its health."""
    if call is None:
        return HEALTH
    method, params = call
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    return (
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: %b\r\n"
        b"Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (wire.session_id.encode(), len(body), body)
    )


def test_another_protocol_on_the_port_is_named_and_ended_at_once(daemon: Daemon) -> None:
    """Our choice (https://github.com/aaronsb/obsidian-mcp-plugin/issues/18): the log says what it was."""
    context = ssl.create_default_context()
    began = time.monotonic()
    with pytest.raises(ssl.SSLError), connect(daemon) as plain:
        context.wrap_socket(plain, server_hostname="localhost")
    assert time.monotonic() - began < 2
    for sent, named in (
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"this is HTTP/2"),
        (b"PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n", b"this is the PROXY protocol"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", b"this is SSH"),
    ):
        with connect(daemon) as connection:
            connection.sendall(sent)
            assert named in read_to_end(connection)
    for name in ("this is TLS", "this is HTTP/2", "this is the PROXY protocol", "this is SSH"):
        (line,) = [each for each in daemon.log().splitlines() if name in each]
        assert "peer=127.0.0.1" in line


def deaf_call(daemon: Daemon, wire: Wire) -> socket.socket:
    """Ask twice for three progress notifications of 1 MB, on a connection that nobody reads."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", daemon.port))
    params = {"name": "clientProbe", "arguments": {"feature": "progress"}}
    params["_meta"] = {"progressToken": "x" * 1_000_000}
    body = json.dumps({"jsonrpc": "2.0", "id": "deaf", "method": "tools/call", "params": params}).encode()
    call = (
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: %b\r\n"
        b"Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (wire.session_id.encode(), len(body), body)
    )
    connection.sendall(call)
    connection.settimeout(0.2)
    # The server reads this one only if the kernel has taken the whole answer to the first.
    with suppress(TimeoutError):
        connection.sendall(call)
    return connection


SLOW = {
    "headers": ["-H", "-i", "1"],
    "body": ["-B", "-i", "1", "-s", "8192"],
    "read": ["-X", "-k", "10", "-n", "1", "-w", "10", "-y", "20", "-z", "5"],
}


@pytest.mark.parametrize("attack", SLOW)
def test_slow_clients_are_all_let_go(attack: str, start: Start, program: Needs) -> None:
    """slowhttptest(1): the well-known attacks, from a tool that was not written for this server."""
    tool = program("slowhttptest")
    timeouts = [f"--{name}-timeout=2" for name in ("header", "body", "idle", "stall")]
    daemon = start(*timeouts)
    before = open_files(daemon)
    target = ["-u", f"{daemon.base}/mcp", "-c", "100", "-r", "100", "-l", "60"]
    with subprocess.Popen([tool, *SLOW[attack], *target], stdout=subprocess.DEVNULL) as attackers:
        try:
            wait_until(lambda: open_files(daemon) > before + 90)
            # Long before the attackers give up. They look in with a connection more from time to time.
            wait_until(lambda: open_files(daemon) <= before + 1)
        finally:
            attackers.kill()
    daemon.wait_until_healthy()
