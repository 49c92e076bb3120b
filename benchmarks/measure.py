"""Runs one server at a time on one core, loads it from another, and reads what that cost from /proc."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

from peers import Environment, Peer

SCRIPT = Path(__file__).with_name("call_echo.lua")
ALONE = Path(__file__).with_name("alone.py")
ADDRESS = "127.0.0.1"
REVISION = "2025-06-18"
MESSAGE = "hello world"
CONNECTIONS = 32
# Sessions made before the first reading of memory per session: what the first requests load for good
# (modules, caches, compiled code) is not to be counted as sessions.
SESSIONS_BEFORE_READING = 100
# Of seven digits, as call_echo.lua wants them, and far enough apart that no id is used twice in a session.
FIRST_WARM_UP_ID = 1_000_000
FIRST_ID = 2_000_000
START_SECONDS = 60
SETTLE_SECONDS = 1.0
STOP_SECONDS = 15
HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "User-Agent": "python-httpx2/2.16.2",
}


class MeasureError(Exception):
    """A server did not start, did not answer as it should, or the load generator failed."""


@dataclass(frozen=True)
class Cores:
    """The two cores of a run.

    Attributes:
        server: Number of the server's core.
        load: Number of the load generator's core.
    """

    server: int
    load: int


@dataclass(frozen=True)
class Round:
    """What one run of the load generator showed, or the medians of several.

    Attributes:
        requests_per_second: Answers per second.
        cpu_us: CPU time of the server per request, in microseconds.
        p50_us: Median latency in microseconds.
        p99_us: 99th percentile of latency in microseconds.
        start_bytes: Resident memory of the server after its start.
    """

    requests_per_second: float
    cpu_us: float
    p50_us: float
    p99_us: float
    start_bytes: float


@dataclass(frozen=True)
class SessionCost:
    """What a session costs.

    Attributes:
        resident_bytes: Resident memory of an idle one.
        handshake_us: CPU time of the server for its ``initialize`` and ``notifications/initialized``, in
            microseconds.
    """

    resident_bytes: float
    handshake_us: float


def median(rounds: Sequence[Round]) -> Round:
    """Return the medians, each taken for itself."""
    return Round(
        *(statistics.median(getattr(each, name) for each in rounds) for name in Round.__match_args__)
    )


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return probe.getsockname()[1]


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the third on, the process's state."""
    # The second is the command's name in parentheses, which may have spaces in it.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def processes(root: int) -> list[int]:
    """Return a process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            with suppress(OSError):  # ended since
                parents.setdefault(int(_stat(int(each.name))[1]), []).append(int(each.name))
    found = [root]
    for pid in found:
        found += parents.get(pid, [])
    return found


def cpu_seconds(root: int) -> float:
    """Return the CPU time of a process: all its threads and children, ended ones included."""
    # utime, stime, cutime and cstime are fields 14 to 17 of the whole line; the first two count all threads.
    ticks = _sum(root, lambda pid: sum(int(field) for field in _stat(pid)[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_bytes(root: int) -> int:
    """Return the resident memory of a process and its children."""
    pages = _sum(root, lambda pid: int(Path(f"/proc/{pid}/statm").read_text().split()[1]))
    return pages * os.sysconf("SC_PAGE_SIZE")


def _sum(root: int, read: Callable[[int], int]) -> int:
    """Return the sum of a figure over a process and all that descend from it."""
    total = 0
    for pid in processes(root):
        with suppress(OSError):  # ended since
            total += read(pid)
    return total


class Server:
    """A peer's server, running from entry to exit of the ``with`` block, on a free port.

    Args:
        environment: What to start.
        core: The core it may use.
    """

    def __init__(self, environment: Environment, core: int) -> None:
        self.port = free_port()
        self._core = core
        self._environment = environment

    def __enter__(self) -> Server:
        """Start it, and wait until it accepts connections.

        Raises:
            MeasureError: It does not.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="mcp-echo-bench-")
        self._log = Path(self._folder.name, "log")
        command = [part.replace("{port}", str(self.port)) for part in self._environment.command]
        try:
            with self._log.open("wb") as log:
                # taskset becomes the server (exec), so this is the server's own process.
                self._process = subprocess.Popen(  # noqa: S603  # commands of peers.py
                    ["taskset", "-c", str(self._core), *command],  # noqa: S607
                    cwd=self._folder.name,
                    env=_plain_environment(self._folder.name),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # an interrupt from the terminal is for us to handle
                )
        except BaseException:
            self._folder.cleanup()
            raise
        try:
            self._wait_until_it_listens()
            time.sleep(SETTLE_SECONDS)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it; an error of the measurement gets a note of what it printed last."""
        if isinstance(error, MeasureError) and (words := self.last_words()):
            error.add_note(f"it printed last: {words}")
        self._stop()

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def last_words(self) -> str:
        """Return the end of what it printed, as one line."""
        return " | ".join(self._log.read_text(errors="replace").splitlines()[-5:])

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise MeasureError(f"ended at its start: {self.last_words()}")
            with suppress(OSError), socket.create_connection((ADDRESS, self.port), timeout=1):
                return
            time.sleep(0.05)
        raise MeasureError(f"did not listen within {START_SECONDS} s: {self.last_words()}")

    def _stop(self) -> None:
        # Its children are of its process group: it leads one, having been started in a session of its own.
        try:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._folder.cleanup()


def _plain_environment(home: str) -> dict[str, str]:
    """Return an environment without settings of this user's, which servers would take for theirs."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, "LANG": "C.UTF-8"}


class Client:
    """Makes sessions over one connection.

    Args:
        port: The server's port.
    """

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection(ADDRESS, port, timeout=30)

    def __enter__(self) -> Client:
        """Return itself; the connection is made with the first request."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._connection.close()

    def open_session(self) -> str:
        """Make a session as clients do, and return its id.

        Raises:
            MeasureError: The server makes none.
        """
        parameters = {
            "protocolVersion": REVISION,
            "capabilities": {},
            "clientInfo": {"name": "mcp-echo-bench", "version": "1"},
        }
        session, _ = self._post({"method": "initialize", "params": parameters, "id": 0}, None)
        if not session:
            raise MeasureError("answered initialize without a session id")
        self._post({"method": "notifications/initialized"}, session)
        return session

    def check_echo(self, session: str, call_id: int = 1) -> None:
        """Call the tool once.

        Args:
            session: The session to call it in.
            call_id: The request's id, which the session has not seen yet.

        Raises:
            MeasureError: The answer does not have the message.
        """
        call = {
            "method": "tools/call",
            "params": {"name": "echo", "arguments": {"message": MESSAGE}},
            "id": call_id,
        }
        _, body = self._post(call, session)
        if not is_echo(body, call_id):
            raise MeasureError(f"answered echo with {body[:200]!r}")

    def _post(self, message: dict[str, Any], session: str | None) -> tuple[str | None, bytes]:
        of_session = {"Mcp-Session-Id": session, "Mcp-Protocol-Version": REVISION} if session else {}
        try:
            body = json.dumps(message | {"jsonrpc": "2.0"}).encode()
            self._connection.request("POST", "/mcp", body, HEADERS | of_session)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, HTTPException) as error:
            raise MeasureError(f"no answer to {message['method']}: {error!r}") from error
        if not 200 <= response.status < 300:
            raise MeasureError(f"answered {message['method']} with {response.status}: {text[:200]!r}")
        return response.getheader("Mcp-Session-Id"), text


def is_echo(body: bytes, call_id: int) -> bool:
    """Return whether a body answers echo with our message, as JSON or as the first event of a stream.

    Args:
        body: The body, whatever is in it.
        call_id: The id of the request that it answers.
    """
    for line in [body, *body.splitlines()]:
        with suppress(ValueError):
            answer = json.loads(line.removeprefix(b"data:"))
            break
    else:
        return False
    try:
        result = answer["result"]
        text = result["content"][0]["text"]
        return answer["id"] == call_id and not result.get("isError") and MESSAGE in text
    except (LookupError, TypeError):  # of another form than an answer has
        return False


def read_wrk(output: str) -> dict[str, int]:
    """Return the figures that call_echo.lua printed at the end.

    Args:
        output: What wrk wrote on standard output.

    Raises:
        MeasureError: There are none, or they tell of errors, or of no answer at all.
    """
    lines = [line for line in output.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise MeasureError(f"wrk gave no figures: {output.strip()[-300:]}")
    result = json.loads(lines[0].removeprefix("RESULT "))
    if result["errors"] or not result["requests"]:
        # A request may count in both: an answer of another status than success is an answer and an error.
        raise MeasureError(f"{result['requests']} answers and {result['errors']} errors under load")
    return result


def run_wrk(
    port: int, sessions: Path, first_id: int, seconds: int, core: int, *, modern: bool = False
) -> dict[str, int]:
    """Load the server, and return what call_echo.lua printed at the end.

    Args:
        port: The server's port.
        sessions: A file with the ids of its sessions, or the handles of the modern era.
        first_id: The first request's id.
        seconds: How long to load it.
        core: The load generator's core.
        modern: Whether to call in the modern era.

    Raises:
        MeasureError: wrk failed, or not every answer was a success.
    """
    load = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", str(SCRIPT)]
    load += [f"http://{ADDRESS}:{port}", "--", str(sessions), str(first_id)]
    load += ["modern"] if modern else []
    try:
        run = subprocess.run(  # noqa: S603  # our own command
            ["taskset", "-c", str(core), *load],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + 60,
        )
    except subprocess.TimeoutExpired as error:
        raise MeasureError(f"wrk did not end within {error.timeout} s") from error
    if run.returncode:
        raise MeasureError(f"wrk failed: {(run.stderr or run.stdout).strip()[-300:]}")
    return read_wrk(run.stdout)


def measure_load(
    peer: Peer, environment: Environment, cores: Cores, seconds: int, warm_up_seconds: int
) -> Round:
    """Start the peer's server, load it, and stop it.

    Args:
        peer: The peer.
        environment: Its environment.
        cores: The cores to use.
        seconds: How long to load it.
        warm_up_seconds: How long to load it before, unmeasured.

    Raises:
        MeasureError: It failed.
    """
    with Server(environment, cores.server) as server, tempfile.TemporaryDirectory() as folder:
        start_bytes = resident_bytes(server.pid)
        with Client(server.port) as client:
            ids = [client.open_session() if peer.has_sessions else str(uuid4()) for _ in range(CONNECTIONS)]
            client.check_echo(ids[0])
        sessions = Path(folder, "sessions")
        sessions.write_text("\n".join(ids) + "\n")
        run_wrk(server.port, sessions, FIRST_WARM_UP_ID, warm_up_seconds, cores.load)
        cpu_before = cpu_seconds(server.pid)
        result = run_wrk(server.port, sessions, FIRST_ID, seconds, cores.load)
        cpu = cpu_seconds(server.pid) - cpu_before
        with Client(server.port) as client:
            client.check_echo(ids[0], 2)  # what wrk does not see: a server that stalled, or broke, meanwhile
    return Round(
        requests_per_second=result["requests"] / result["microseconds"] * 1e6,
        cpu_us=cpu / result["requests"] * 1e6,
        p50_us=result["p50_us"],
        p99_us=result["p99_us"],
        start_bytes=start_bytes,
    )


def measure_sessions(environment: Environment, cores: Cores, sessions: int) -> SessionCost:
    """Return what an idle session costs, over as many sessions as told, made over one connection.

    The first sessions are made before the first reading, and are not counted.

    Raises:
        MeasureError: The server failed, or did not make that many sessions.
    """
    counted = sessions - SESSIONS_BEFORE_READING
    with Server(environment, cores.server) as server, Client(server.port) as client:
        first = client.open_session()
        for _ in range(SESSIONS_BEFORE_READING - 1):
            client.open_session()
        memory, cpu = resident_bytes(server.pid), cpu_seconds(server.pid)
        for _ in range(counted):
            client.open_session()
        memory, cpu = resident_bytes(server.pid) - memory, cpu_seconds(server.pid) - cpu
        client.check_echo(first)  # no session was given up to make room
    return SessionCost(memory / counted, cpu / counted * 1e6)


def measure_alone(python: Path, cores: Cores, rounds: int) -> str:
    """Return a table of what is measured of mcp-echo alone, by alone.py.

    Args:
        python: The interpreter of an environment that has mcp-echo with its stores.
        cores: The cores to use.
        rounds: Alternating rounds of each echo.

    Raises:
        MeasureError: It failed.
    """
    # It chooses its cores itself, of those that it may use.
    command = ["taskset", "-c", f"{cores.server},{cores.load}", str(python), str(ALONE)]
    run = subprocess.run(  # noqa: S603  # our own script
        [*command, "--rounds", str(rounds)],
        # Not in a checkout, whose package would take the place of the installed one.
        cwd=tempfile.gettempdir(),
        env=_plain_environment(str(Path.home())),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise MeasureError(f"{ALONE.name} failed: {run.stderr.strip()[-300:]}")
    return run.stdout.strip()


def cores_to_use() -> Cores | None:
    """Return the first two cores this process may use; None if there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[0], usable[1]) if len(usable) > 1 else None


def missing_program() -> str | None:
    """Return what to install before anything can be measured, if anything."""
    for program, package in (("wrk", "wrk"), ("taskset", "util-linux")):
        if shutil.which(program) is None:
            return f"{program} is not installed; on Debian: apt-get install {package}"
    return None
