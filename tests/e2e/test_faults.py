"""What goes wrong around a daemon, and how it ends: signals, a blocked process, a full disk, restarts."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.conftest import Needs, Start
from tests.e2e.daemon import (
    MODULE,
    OPERATORS_SIGNALS,
    STOP_SECONDS,
    Daemon,
    activated,
    environment,
    running,
    spawn,
)
from tests.e2e.load import Load
from tests.e2e.service_manager import ServiceManager
from tests.e2e.wire import JSON, Wire
from tests.ports import free_port

pytestmark = pytest.mark.slow

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}

INHERIT = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_FDNAMES="mcp", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Hands a listening socket on as systemd does (sd_listen_fds(3)), which keeps it open itself."""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    """A service manager that hears what the daemon says."""
    with ServiceManager(tmp_path) as listening:
        yield listening


def _session(daemon: Daemon) -> str:
    with Wire(daemon.port, "2025-06-18") as wire:
        return str(wire.session_id)


def _post(message: object, session: str) -> bytes:
    """Return a POST as bytes."""
    body = json.dumps(message).encode()
    fields = {**JSON, "Host": "localhost", "Mcp-Session-Id": session, "Content-Length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST /mcp HTTP/1.1\r\n{lines}\r\n".encode() + body


def _rest(connection: socket.socket) -> bytes:
    """Return all that comes until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def _status_line(answer: bytes) -> bytes:
    return answer.partition(b"\r\n")[0]


# Stopping.


def test_sigterm_under_load_loses_no_request(start: Start) -> None:
    """RFC 9112 section 9.6: who is told that the connection closes sends nothing more on it.

    Each request gets a complete answer, or its connection is refused before it is sent.
    """
    daemon = start()
    with Load(daemon.port, _session(daemon)) as load:
        load.wait_for("answered", 200)
        daemon.terminate()
        load.join()
    assert set(load.outcomes) == {"answered", "refused"}
    assert [client.told_to_close for client in load.clients] == [1] * len(load.clients)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_drained_stop_exits_with_0(number: signal.Signals, start: Start) -> None:
    """Our choice: it did what it was asked to do; twistd would die of the signal that asked."""
    daemon = start()
    daemon.process.send_signal(number)
    assert daemon.process.wait(STOP_SECONDS) == 0
    assert "Asked to stop" in daemon.log()


@pytest.mark.parametrize("number", OPERATORS_SIGNALS)
def test_a_daemon_hears_signals_that_the_tests_were_told_to_ignore(
    number: signal.Signals, start: Start
) -> None:
    """Guards all tests that send signals: shells ignore SIGINT in the background, and nohup(1) SIGHUP."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        daemon = start()
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)
    daemon.process.send_signal(number)
    # Without a LOG_FILE to reopen it leaves SIGHUP to the system, which ends it.
    assert daemon.process.wait(STOP_SECONDS) == (-number if number is signal.SIGHUP else 0)


def test_a_connection_that_is_open_is_told_of_the_drain(start: Start) -> None:
    """/ready, as a load balancer asks it: on the connection it has, before that is closed."""
    daemon = start()
    ready = b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as connection:
        connection.sendall(ready)
        assert _status_line(connection.recv(65536)) == b"HTTP/1.1 200 OK"
        daemon.process.send_signal(signal.SIGTERM)
        _wait_until_refused(daemon.port)
        connection.sendall(ready)
        answer = _rest(connection)
    assert _status_line(answer) == b"HTTP/1.1 503 Service Unavailable"
    assert b"\r\nConnection: close\r\n" in answer
    assert daemon.process.wait(STOP_SECONDS) == 0


def _wait_until_refused(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.01)
    raise AssertionError("the port is still open")


def test_a_request_that_is_half_sent_is_turned_away_at_once(start: Start) -> None:
    """RFC 9110 section 15.6.4: nobody waits for the rest, and the client is told to come again."""
    daemon = start(env={"MCP_ECHO_DRAIN_TIMEOUT": "60"})
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as connection:
        connection.sendall(_post(PING, _session(daemon))[:-10])
        time.sleep(0.1)
        daemon.process.send_signal(signal.SIGTERM)
        answer = _rest(connection)
    assert _status_line(answer) == b"HTTP/1.1 503 Service Unavailable"
    assert b"\r\nRetry-After: 1\r\n" in answer
    assert daemon.process.wait(STOP_SECONDS) == 0


def _in_flight(daemon: Daemon, seconds: int) -> socket.socket:
    """Return a connection on which the daemon is at work, for that long."""
    call = {"name": "clientProbe", "arguments": {"feature": "cancellation", "seconds": seconds}}
    connection = socket.create_connection(("127.0.0.1", daemon.port), timeout=15)
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call}
    connection.sendall(_post(message, _session(daemon)))
    # Its answer to a later request on another connection says that the first has been taken in hand.
    _session(daemon)
    assert select.select([connection], [], [], 0) == ([], [], [])
    return connection


def test_a_request_in_flight_is_finished(start: Start) -> None:
    """MCP_ECHO_DRAIN_TIMEOUT: time for it; here more than the request takes."""
    daemon = start()
    with _in_flight(daemon, seconds=2) as connection:
        daemon.process.send_signal(signal.SIGTERM)
        answer = _rest(connection)
    assert _status_line(answer) == b"HTTP/1.1 200 OK"
    assert b'"result"' in answer
    assert daemon.process.wait(STOP_SECONDS) == 0


def test_a_second_signal_ends_the_wait(start: Start) -> None:
    """Our choice: who asks twice does not want to wait; the reactor would only log that it is not running."""
    daemon = start(env={"MCP_ECHO_DRAIN_TIMEOUT": "60"})
    with _in_flight(daemon, seconds=30) as connection:
        daemon.process.send_signal(signal.SIGTERM)
        _wait_until_refused(daemon.port)
        assert daemon.process.poll() is None
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(5) == 0
        with pytest.raises(ConnectionResetError):
            _rest(connection)
    assert "ReactorNotRunning" not in daemon.log()
    assert "dropping the connections" in daemon.log()


def test_a_request_that_takes_longer_than_the_drain_is_cut_off(start: Start) -> None:
    """MCP_ECHO_DRAIN_TIMEOUT: a client cannot keep a server from stopping."""
    daemon = start(env={"MCP_ECHO_DRAIN_TIMEOUT": "1"})
    with _in_flight(daemon, seconds=30):
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(5) == 0
    assert "Aborting 1 connections that did not finish in time" in daemon.log()


# Dying.


def test_after_a_kill_a_new_start_serves_at_once(start: Start, tmp_path: Path) -> None:
    """Nothing is left behind that would be in the way: no lock, no pid file, no port that is held."""
    daemon = start()
    with Load(daemon.port, _session(daemon)) as load:
        load.wait_for("answered", 100)
        daemon.process.kill()
        daemon.process.wait()
        load.join()
    # Who was asking when it happened saw the connection break, which no client takes for an answer.
    assert set(load.outcomes) <= {"answered", "refused", "ConnectionResetError", "RemoteDisconnected"}
    with running([*MODULE, "--port", str(daemon.port)], tmp_path, daemon.port) as again:
        assert _session(again)


# The service manager.


def test_the_service_manager_is_told_of_the_whole_life(start: Start, manager: ServiceManager) -> None:
    """sd_notify(3): READY=1 when the port listens, a status, WATCHDOG=1 in time, STOPPING=1."""
    daemon = start(env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "500000"})
    assert manager.wait_for("READY=1")[0] == "READY=1"
    _session(daemon)
    assert "WATCHDOG=1" in manager.wait_for("STATUS=Serving: 1 sessions, 0 streams")
    daemon.terminate()
    heard = manager.wait_for("STOPPING=1")
    assert "READY=1" not in heard
    assert heard[-1] == "EXTEND_TIMEOUT_USEC=15000000"


def test_a_port_that_is_taken_is_never_reported_ready(manager: ServiceManager, tmp_path: Path) -> None:
    """sd_notify(3): READY=1 promises service."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [*MODULE, "--port", str(taken.getsockname()[1])]
        env = environment({"NOTIFY_SOCKET": manager.address})
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, timeout=30, check=False)
    assert done.returncode == 1
    assert manager.heard_within(0.1) == []


def test_a_process_that_is_blocked_is_no_longer_heard_of(start: Start, manager: ServiceManager) -> None:
    """systemd.service(5), WatchdogSec=: silence is how systemd learns that the daemon hangs."""
    daemon = start(env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"})
    manager.wait_for("WATCHDOG=1")
    daemon.process.send_signal(signal.SIGSTOP)
    manager.heard_within(0.3)
    assert manager.heard_within(1) == []
    daemon.process.send_signal(signal.SIGCONT)
    manager.wait_for("WATCHDOG=1", seconds=2)


# The log.


def test_a_full_disk_stops_the_log_and_nothing_else(start: Start) -> None:
    """Our choice: /dev/full answers as a full disk does; standard error has it, once."""
    daemon = start(env={"LOG_FILE": "/dev/full"})
    for _ in range(3):
        assert _session(daemon)
    [line] = daemon.log().splitlines()
    assert line.startswith("mcp-echo: log lines are lost until they can be written again: ")
    assert line.endswith("No space left on device")


def test_the_log_goes_on_when_there_is_room_again(start: Start, tmp_path: Path) -> None:
    """A limit on the size of files (setrlimit(2)) fills up as a disk does, and can be lifted from outside."""
    file = tmp_path / "mcp-echo.log"
    environ = {"LOG_FILE": str(file), "MCP_ECHO_LOG_FORMAT": "json", "MCP_ECHO_ACCESS_LOG": "off"}
    daemon = start(env=environ)
    _, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE)
    room = file.stat().st_size + 10
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (room, hard))
    for _ in range(3):
        assert _session(daemon)
    assert file.stat().st_size == room
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert _session(daemon)
    *_, torn, loss, created = file.read_text().splitlines()
    assert len(torn) == 10
    assert json.loads(loss)["message"] == "3 log lines could not be written"
    assert json.loads(created)["message"] == "Session created"
    assert len(daemon.log().splitlines()) == 1


def test_standard_output_that_nobody_reads_does_not_end_the_daemon(tmp_path: Path) -> None:
    """Our choice: the journal may be restarted under a daemon, which sees a broken pipe from then on."""
    port = free_port()
    reading, writing = os.pipe()
    with (tmp_path / "errors.txt").open("wb") as errors:
        process = spawn(
            [*MODULE, "--port", str(port)], cwd=tmp_path, env=environment(), stdout=writing, stderr=errors
        )
    os.close(writing)
    daemon = Daemon(process, tmp_path / "errors.txt", port)
    try:
        daemon.wait_until_healthy()
        os.close(reading)
        assert _session(daemon)
        assert _session(daemon)
        daemon.terminate()
    finally:
        process.kill()
        process.wait()
    [line] = daemon.log().splitlines()
    assert "Broken pipe" in line


def test_sighup_goes_on_in_a_new_log_file(start: Start, tmp_path: Path) -> None:
    """logrotate(8), postrotate: the old file has been moved away, and no line is lost."""
    file, rotated = tmp_path / "mcp-echo.log", tmp_path / "mcp-echo.log.1"
    daemon = start(env={"LOG_FILE": str(file)})
    file.rename(rotated)
    assert _session(daemon)
    daemon.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while not (file.exists() and "reopened on SIGHUP" in file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert _session(daemon)
    assert [text.count("Session created") for text in (rotated.read_text(), file.read_text())] == [1, 1]


def test_a_log_file_that_cannot_be_reopened_is_written_on(start: Start, tmp_path: Path) -> None:
    """Our choice: better in the file that was moved away than nowhere."""
    file, rotated = tmp_path / "mcp-echo.log", tmp_path / "mcp-echo.log.1"
    daemon = start(env={"LOG_FILE": str(file)})
    file.rename(rotated)
    file.mkdir()
    daemon.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while "Still writing to the log file as it was" not in rotated.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert _session(daemon)
    assert "Session created" in rotated.read_text()


# Restarts.


def test_a_restart_behind_a_socket_unit_refuses_nobody(program: Needs, tmp_path: Path) -> None:
    """systemd.socket(5): the socket outlives the service, and connections wait in it for the next one."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        activate = activated(program("systemd-socket-activate"), "--fdname=mcp")
        inherit = [sys.executable, "-c", INHERIT, str(listening.fileno())]
        command = [*inherit, *activate, *MODULE, "--port", "systemd:domain=INET:name=mcp"]
        clients = ExitStack()
        loads: list[Load] = []
        for starts in range(3):
            with running(command, tmp_path, port, keep=[listening.fileno()]):
                if not loads:
                    loads = [
                        clients.enter_context(Load(port, None, 1, keep, until_refused=False))
                        for keep in (True, False)
                    ]
                for load in loads:
                    load.wait_for("answered", 50)
                if starts == 2:
                    clients.close()
        assert [set(load.outcomes) for load in loads] == [{"answered"}, {"answered"}]
        # Twice the daemon stopped under the client that keeps its connection.
        assert loads[0].clients[0].told_to_close == 2
