"""Several workers on one port, as an operator meets them: MCP_ECHO_WORKERS."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.conftest import Needs
from tests.e2e.daemon import MODULE, STOP_SECONDS, Daemon, activated, environment, running, script
from tests.e2e.service_manager import ServiceManager
from tests.e2e.test_metrics import Samples, scrape
from tests.e2e.wire import JSON, Wire, messages
from tests.ports import free_port

pytestmark = pytest.mark.slow


def store_in(directory: Path) -> str:
    """Return the option that has workers share a file."""
    return f"--store=sqlite:{directory / 'sessions.db'}"


def command_of(directory: Path) -> list[str]:
    """Return the command of a daemon with two workers."""
    return [*MODULE, "--workers=2", store_in(directory)]


def twistd_of(directory: Path, *options: str) -> list[str]:
    """Return the same with options of twistd's."""
    return [script("twistd"), *options, "mcp-echo", "--workers=2", store_in(directory)]


@contextmanager
def fleet(
    directory: Path,
    *arguments: str,
    where: int | Path | None = None,
    command: Sequence[str] | None = None,
    env: dict[str, str] | None = None,
) -> Iterator[Daemon]:
    """Run two workers and wait until both serve."""
    port = free_port() if where is None else where
    listening = [f"--port={port}"] if isinstance(port, int) and where is None else []
    with running(
        [*(command or command_of(directory)), *listening, *arguments], directory, port, env
    ) as daemon:
        wait_until(lambda: len(workers(daemon)) == 2 and daemon.log().count(" is ready") >= 2, daemon)
        yield daemon


def wait_until(holds: Callable[[], bool], daemon: Daemon) -> None:
    """Return as soon as something holds."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, daemon.log()
        time.sleep(0.02)


def workers(daemon: Daemon) -> list[int]:
    """Return the processes of the workers."""
    return sorted(child.pid for child in psutil.Process(daemon.process.pid).children())


def gone(pid: int) -> bool:
    """Return whether a process has ended."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


class Client:
    """A client that stays on one connection, and so with one worker.

    Args:
        daemon: Whose port to connect to.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=15)
        self._headers = dict(JSON)
        self._daemon = daemon
        assert self.get("/health").status == 200
        self.worker = self._holder()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @property
    def socket(self) -> socket.socket:
        assert self._connection.sock is not None
        return self._connection.sock

    def _holder(self) -> int:
        """Return the process that has the other end of the connection, from /proc (proc(5))."""
        here, there = (f":{end[1]:04X}" for end in (self.socket.getsockname(), self.socket.getpeername()))
        for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(there) and fields[2].endswith(here):
                inode = f"socket:[{fields[9]}]"
        for pid in workers(self._daemon):
            files = Path(f"/proc/{pid}/fd").iterdir()
            if inode in {str(file.readlink()) for file in files if file.is_symlink()}:
                return pid
        raise AssertionError("no worker has the connection")

    def get(self, path: str) -> http.client.HTTPResponse:
        self._connection.request("GET", path)
        response = self._connection.getresponse()
        response.read()
        return response

    def send(self, method: str, params: dict[str, Any]) -> None:
        """Send a request, and read nothing."""
        message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        self._connection.request("POST", "/mcp", json.dumps(message), self._headers)

    def receive(self) -> Any:
        """Return what has been answered."""
        response = self._connection.getresponse()
        if session := response.headers.get("Mcp-Session-Id"):
            self._headers["Mcp-Session-Id"] = session
        *_, answer = messages(response)
        response.read()
        return answer

    def ask(self, method: str, **params: Any) -> Any:
        self.send(method, params)
        return self.receive()

    def initialize(self) -> None:
        who = {"name": "client", "version": "1"}
        self.ask("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=who)

    def begin_to_wait(self, seconds: int) -> None:
        """Have the worker at work for that long."""
        self.send(
            "tools/call",
            {"name": "clientProbe", "arguments": {"feature": "cancellation", "seconds": seconds}},
        )

    def listen(self) -> http.client.HTTPResponse:
        """Open the session's stream."""
        self._connection.request("GET", "/mcp", headers={**self._headers, "Accept": "text/event-stream"})
        response = self._connection.getresponse()
        assert response.status == 200
        return response


@contextmanager
def clients(daemon: Daemon, each: int = 1) -> Iterator[list[Client]]:
    """Connect until each worker has that many clients; yield them, those of one worker first."""
    with ExitStack() as stack:
        found: dict[int, list[Client]] = {pid: [] for pid in workers(daemon)}
        for _ in range(60):
            client = stack.enter_context(Client(daemon))
            found[client.worker].append(client)
            if min(map(len, found.values())) >= each:
                break
        assert min(map(len, found.values())) >= each
        yield [client for pid in sorted(found) for client in found[pid][:each]]


def taken_in_hand(busy: Client, other: Client) -> None:
    """Return when a worker is at work for one client, since it has answered a later request of another."""
    assert busy.worker == other.worker
    other.get("/health")
    assert select.select([busy.socket], [], [], 0) == ([], [], [])


# Serving.


def test_every_worker_serves_on_the_one_port(tmp_path: Path) -> None:
    """Our choice: with --workers the port is shared; the parent takes no connection."""
    with fleet(tmp_path) as daemon, clients(daemon, each=2) as connected:
        assert {client.worker for client in connected} == set(workers(daemon))
        for client in connected:
            assert client.ask("ping")["result"] == {}


def test_the_settings_of_a_worker_are_those_of_the_operator(tmp_path: Path) -> None:
    """environmentDump: each value and where it came from, in any worker; nothing private is warned about."""
    with (
        fleet(tmp_path, "--page-size=7", env={"MCP_MAX_SESSIONS": "9"}) as daemon,
        clients(daemon) as connected,
    ):
        answers = []
        for client in connected:
            client.initialize()
            answer = client.ask("tools/call", name="environmentDump", arguments={})
            answers.append(answer["result"]["structuredContent"]["settings"])
        port = daemon.port
    assert answers[0] == answers[1]
    shown = {each["name"]: (each["value"], each["origin"]) for each in answers[0]}
    assert shown["MCP_ECHO_PAGE_SIZE"] == ("7", "option --page-size")
    assert shown["MCP_MAX_SESSIONS"] == ("9", "environment MCP_MAX_SESSIONS")
    assert shown["MCP_ECHO_PORT"] == (str(port), "option --port")
    assert shown["MCP_ECHO_WORKERS"] == ("2", "option --workers")
    assert shown["MCP_ECHO_STATE_KEY"] == ("(not set)", "default")
    assert shown["MCP_ECHO_METRICS_PORT"][1] == "default"
    assert "is no setting" not in daemon.log()


def test_a_session_is_served_by_every_worker_and_outlives_the_one_that_made_it(tmp_path: Path) -> None:
    """MCP_ECHO_STORE: what the workers share."""
    with fleet(tmp_path) as daemon, clients(daemon) as (first, second):
        first.initialize()
        first.ask("tools/call", name="echo", arguments={"message": "from the first"})
        second._headers = first._headers
        answer = second.ask("tools/call", name="replayLastEcho", arguments={})
        assert "from the first" in json.dumps(answer)
        os.kill(first.worker, signal.SIGKILL)
        answer = second.ask("tools/call", name="replayLastEcho", arguments={})
        assert "from the first" in json.dumps(answer)


def test_clients_that_open_a_connection_for_each_request_keep_their_session(tmp_path: Path) -> None:
    """MCP_ECHO_WORKERS: no client has to know that there are several."""
    with fleet(tmp_path) as daemon, Wire(daemon.port, "2025-11-25") as wire:
        for number in range(20):
            answer, _ = wire.ask("tools/call", {"name": "echo", "arguments": {"message": f"m{number}"}})
            assert answer["result"]["structuredContent"]["message"] == f"m{number}"


def test_a_unix_socket_is_shared_and_stays_while_workers_come_and_go(tmp_path: Path) -> None:
    """MCP_ECHO_PORT takes any endpoint; the name in the file system belongs to the parent."""
    path = tmp_path / "mcp.sock"
    with fleet(tmp_path, f"--port=unix:{path}:mode=600", where=path) as daemon:
        before = workers(daemon)
        for number, pid in enumerate(before, 1):
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: daemon.log().count(" is ready") >= 2 + number, daemon)  # noqa: B023
        assert path.stat().st_mode & 0o777 == 0o600
        daemon.wait_until_healthy()
        assert set(before).isdisjoint(workers(daemon))
    assert not path.exists()


def test_a_socket_of_systemd_is_shared(program: Needs, tmp_path: Path) -> None:
    """sd_listen_fds(3): the socket is passed to the parent alone."""
    port = free_port()
    wrapper = activated(program("systemd-socket-activate"), f"--listen=127.0.0.1:{port}", "--fdname=mcp")
    command = [*wrapper, *command_of(tmp_path), "--port", "systemd:domain=INET:name=mcp"]
    with fleet(tmp_path, where=port, command=command) as daemon, clients(daemon) as connected:
        for client in connected:
            assert client.ask("ping")["result"] == {}


def test_workers_take_the_reactor_that_twistd_was_told_to_take(tmp_path: Path) -> None:
    """twistd --reactor: it is the workers who serve."""
    command = [*twistd_of(tmp_path, "--nodaemon", "--pidfile=", "--reactor=asyncio"), "--debug"]
    with fleet(tmp_path, command=command) as daemon:
        assert daemon.log().count("reactor class: twisted.internet.asyncioreactor.") == 3


def test_twistd_in_the_background_logs_what_its_workers_write(tmp_path: Path) -> None:
    """Our choice: in the background there is no standard output, and only the parent writes twistd.log."""
    port, log, pidfile = free_port(), tmp_path / "twistd.log", tmp_path / "twistd.pid"
    command = twistd_of(tmp_path, f"--rundir={tmp_path}", f"--pidfile={pidfile}", f"--logfile={log}")
    subprocess.run([*command, f"--port={port}"], cwd=tmp_path, env=environment(), check=True, timeout=30)
    parent = int(pidfile.read_text())
    try:
        deadline = time.monotonic() + 20
        while log.read_text().count(" is ready") < 2:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        children = psutil.Process(parent).children()
    finally:
        os.kill(parent, signal.SIGTERM)
    psutil.wait_procs([*children, psutil.Process(parent)], STOP_SECONDS)
    assert all(gone(pid) for pid in (parent, *(child.pid for child in children)))
    assert not pidfile.exists()
    assert log.read_text().count(f"Serving MCP at http://127.0.0.1:{port}/mcp by 2 workers") == 1
    for number in (1, 2):
        assert re.search(rf"Asked to stop: .* worker={number}$", log.read_text(), re.MULTILINE)


# Dying.


def test_a_worker_that_is_killed_is_replaced_and_the_other_goes_on(tmp_path: Path) -> None:
    """Our choice: requests in the hands of others are not lost."""
    with fleet(tmp_path) as daemon, clients(daemon, each=2) as (victim, _, busy, other):
        busy.initialize()
        busy.begin_to_wait(2)
        taken_in_hand(busy, other)
        os.kill(victim.worker, signal.SIGKILL)
        wait_until(lambda: daemon.log().count(" is ready") == 3, daemon)
        assert f"(process {victim.worker}) has ended: signal 9 (SIGKILL); starting it again" in daemon.log()
        assert "result" in busy.receive()
        assert len(workers(daemon)) == 2
        assert busy.worker in workers(daemon)
        assert victim.worker not in workers(daemon)
        with clients(daemon) as again:
            assert {client.worker for client in again} == set(workers(daemon))


def test_a_worker_that_somebody_stops_drains_and_is_replaced(tmp_path: Path) -> None:
    """SIGTERM to one worker, as to renew them one by one: its clients get their answers."""
    with fleet(tmp_path) as daemon, clients(daemon, each=2) as (busy, other, *_):
        busy.initialize()
        busy.begin_to_wait(2)
        taken_in_hand(busy, other)
        os.kill(busy.worker, signal.SIGTERM)
        assert "result" in busy.receive()
        wait_until(lambda: daemon.log().count(" is ready") == 3, daemon)
        with clients(daemon) as again:
            assert {client.worker for client in again} == set(workers(daemon))


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    """Our choice: nobody would stop or replace them; they finish what they have, and free the port."""
    private = {"TMPDIR": str(tmp_path)}
    with fleet(tmp_path, env=private) as daemon, clients(daemon, each=2) as (busy, other, *_):
        (directory,) = {assignment(pid)["directory"] for pid in workers(daemon)}
        busy.initialize()
        busy.begin_to_wait(2)
        taken_in_hand(busy, other)
        children = workers(daemon)
        daemon.process.kill()
        daemon.process.wait()
        assert "result" in busy.receive()
        wait_until(lambda: all(gone(pid) for pid in children), daemon)
        assert not Path(directory).exists()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", daemon.port))


def assignment(pid: int) -> Any:
    """Return what a worker was told of its place."""
    return json.loads(psutil.Process(pid).environ()["MCP_ECHO_WORKER_PLACE"])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--allowed-hosts=a b"], "'a b' is not a host name"),
        pytest.param(["--store=sqlite:/nowhere/at/all.db"], "--store"),
    ],
)
def test_workers_that_cannot_start_end_the_start_in_one_line(
    arguments: list[str], complaint: str, tmp_path: Path
) -> None:
    """Our choice: as one server that cannot start, and no loop of attempts."""
    command = [*command_of(tmp_path), f"--port={free_port()}", *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=30, check=False
    )
    [line] = done.stderr.splitlines()
    assert line.startswith("mcp-echo: worker ")
    assert complaint in line
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    assert "starting it again" not in done.stdout


def test_workers_without_a_store_to_share_are_refused_in_one_line(tmp_path: Path) -> None:
    """Our choice: a session would be there in one request and gone in the next."""
    done = subprocess.run(
        [*MODULE, "--workers=4", "--store=memory:"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    [line] = done.stderr.splitlines()
    assert line.startswith("python -m mcp_echo: --workers cannot be 4 while --store is memory:")
    assert done.returncode == 2


def test_a_port_that_is_taken_ends_the_start_before_any_worker(tmp_path: Path) -> None:
    """Our choice: the parent holds the port, and fails as a single server does."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [*command_of(tmp_path), f"--port={taken.getsockname()[1]}"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=30, check=False
        )
    [line] = done.stderr.splitlines()
    assert line.startswith("mcp-echo: cannot listen on tcp:")
    assert done.returncode == 1
    assert "worker=" not in done.stdout


# Stopping.


def test_requests_and_streams_end_in_order_when_the_parent_stops(tmp_path: Path) -> None:
    """As with a single server: what is in flight is answered, streams close with retry:, exit status 0."""
    with fleet(tmp_path) as daemon, clients(daemon, each=2) as (busy, other, listening, _):
        busy.initialize()
        listening.initialize()
        stream = listening.listen()
        busy.begin_to_wait(2)
        taken_in_hand(busy, other)
        daemon.process.send_signal(signal.SIGTERM)
        assert b"retry: " in stream.read()
        assert "result" in busy.receive()
        assert daemon.process.wait(STOP_SECONDS) == 0
    assert daemon.log().count(" has stopped: exit status 0") == 2


def test_a_second_signal_hurries_the_workers(tmp_path: Path) -> None:
    """Our choice: who asks twice does not want to wait."""
    patient = {"MCP_ECHO_DRAIN_TIMEOUT": "60"}
    with fleet(tmp_path, env=patient) as daemon, clients(daemon, each=2) as (busy, other, *_):
        busy.initialize()
        busy.begin_to_wait(30)
        taken_in_hand(busy, other)
        daemon.process.send_signal(signal.SIGTERM)
        wait_until(lambda: daemon.log().count("Asked to stop:") == 3, daemon)
        assert daemon.process.poll() is None
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(STOP_SECONDS) == 0
        with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
            busy.receive()


def test_ctrl_c_reaches_the_workers_through_their_parent_alone(tmp_path: Path) -> None:
    """setsid(2): a terminal sends SIGINT to its process group; a worker that hears two drops connections."""
    with fleet(tmp_path) as daemon, clients(daemon, each=2) as (busy, other, *_):
        group = os.getpgid(daemon.process.pid)
        assert [os.getpgid(pid) for pid in workers(daemon)] == workers(daemon)
        assert group not in workers(daemon)
        busy.initialize()
        busy.begin_to_wait(2)
        taken_in_hand(busy, other)
        daemon.process.send_signal(signal.SIGINT)
        assert "result" in busy.receive()
        assert daemon.process.wait(STOP_SECONDS) == 0


def test_a_worker_that_hangs_does_not_keep_the_parent_from_stopping(tmp_path: Path) -> None:
    """MCP_ECHO_DRAIN_TIMEOUT: what is left after it and a margin is killed."""
    with fleet(tmp_path, env={"MCP_ECHO_DRAIN_TIMEOUT": "1"}) as daemon:
        stuck = workers(daemon)[0]
        os.kill(stuck, signal.SIGSTOP)
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(STOP_SECONDS) == 0
    assert f"(process {stuck}) did not stop in time: killing it" in daemon.log()


# Watching.


def test_the_service_manager_hears_of_the_whole_from_the_parent(tmp_path: Path) -> None:
    """sd_notify(3): READY=1 once every worker is, sums in the status, WATCHDOG=1, STOPPING=1."""
    with ServiceManager(tmp_path) as manager:
        env = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "2000000"}
        with fleet(tmp_path, env=env) as daemon, clients(daemon) as (first, second):
            assert manager.wait_for("READY=1")[0] == "READY=1"
            assert daemon.log().count(" is ready") == 2
            for client in (first, second):
                client.initialize()
                client.listen()
            manager.wait_for("STATUS=Serving: 2 of 2 workers, 2 sessions, 2 streams")
            os.kill(first.worker, signal.SIGSTOP)
            wait_until(lambda: "has said nothing for 2 s: killing it" in daemon.log(), daemon)
            wait_until(lambda: daemon.log().count(" is ready") == 3, daemon)
            assert "READY=1" not in manager.wait_for("WATCHDOG=1")
            daemon.terminate()
            assert manager.wait_for("STOPPING=1")[-1] == "EXTEND_TIMEOUT_USEC=20000000"


def figures(port: int) -> Samples:
    """Return all figures, in the format that tells most of them apart."""
    return scrape(port, "openmetrics")


def test_counters_are_summed_and_do_not_go_down_with_a_worker(tmp_path: Path) -> None:
    """Prometheus takes a counter that goes down for a restart, and counts everything twice."""
    port = free_port()
    with fleet(tmp_path, f"--metrics-port={port}") as daemon, clients(daemon) as connected:
        for client in connected:
            for _ in range(3):
                client.ask("ping")
        pings = next(key for key in figures(port) if key[0] == "mcp_echo_requests_total")
        before = scrape(port, "text")
        assert before[pings] == 6
        assert before["mcp_echo_workers", frozenset({("state", "alive")})] == 2
        assert before["mcp_echo_connections", frozenset()] >= 2
        os.kill(connected[0].worker, signal.SIGKILL)
        wait_until(lambda: daemon.log().count(" is ready") == 3, daemon)
        connected[1].ask("ping")
        after = figures(port)
        assert after[pings] == 7
        assert after["mcp_echo_worker_restarts_total", frozenset()] == 1
        grown = {key for key in before if key[0].endswith(("_total", "_count", "_bucket"))}
        assert {key for key in grown if after[key] < before[key]} == set()


# The log.


def test_all_workers_go_on_in_a_new_log_file(tmp_path: Path) -> None:
    """LOG_FILE, SIGHUP: each line is whole and says whose it is; none goes to the one that was moved away."""
    file = tmp_path / "mcp-echo.log"
    env = {"LOG_FILE": str(file), "MCP_ECHO_LOG_FORMAT": "json"}
    with running([*command_of(tmp_path), f"--port={(port := free_port())}"], tmp_path, port, env) as daemon:
        wait_until(lambda: file.read_text().count(" is ready") == 2, daemon)
        file.rename(tmp_path / "old.log")
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: file.exists() and file.read_text().count("it was reopened") == 3, daemon)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert {line.get("worker") for line in lines} == {None, 1, 2}
    assert daemon.log() == ""
