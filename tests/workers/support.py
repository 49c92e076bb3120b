"""Workers that are no processes, and the parent that has them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast
from unittest import mock

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mcp_echo.host.listening import Place
from mcp_echo.settings.load import load
from mcp_echo.workers.child import WorkerProcess
from mcp_echo.workers.launch import Launch
from mcp_echo.workers.parent import Fleet


class FakeProcess:
    """A process that does nothing, and remembers which signals it got."""

    def __init__(
        self, protocol: WorkerProcess, words: list[str], environ: Mapping[str, str], fds: dict[int, Any]
    ) -> None:
        self.protocol = protocol
        self.words = words
        self.environ = environ
        self.fds = fds
        self.pid = 4000
        self.signals: list[int] = []
        self.ended = False

    def signalProcess(self, number: int) -> None:
        if self.ended:
            raise ProcessExitedAlready
        self.signals.append(number)

    def report(self, *assignments: str) -> None:
        """Say something to the parent, as notify.py does."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto("\n".join(assignments).encode(), self.environ["NOTIFY_SOCKET"])
        cast(Any, self.protocol)._reader.doRead()

    def complain(self, text: str) -> None:
        """Write to standard error."""
        self.protocol.childDataReceived(2, text.encode())

    def end(self, status: int | None = 0, number: int | None = None) -> None:
        """Come to an end."""
        self.ended = True
        reason = ProcessDone(0) if status == 0 else ProcessTerminated(status, number, 0)
        self.protocol.processEnded(Failure(reason))


class SpawningReactor(MemoryReactorClock):
    """A reactor that starts fake processes."""

    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[FakeProcess] = []
        self.full = False
        self.pids = 4000

    def spawnProcess(  # type: ignore[override]
        self, protocol: Any, executable: Any, args: Any = (), env: Any = None, **more: Any
    ) -> Any:
        assert executable == args[0]
        if self.full:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        process = FakeProcess(protocol, list(args), env, more["childFDs"])
        self.pids += 1
        process.pid = self.pids
        self.spawned.append(process)
        protocol.makeConnection(process)
        return process


class HeldEndpoint:
    """Where a fake port listens at once.

    Args:
        port: The port.
    """

    def __init__(self, port: HeldPort) -> None:
        self._port = port

    def listen(self, _factory: object) -> Deferred[HeldPort]:
        return succeed(self._port)


class HeldPort:
    """A port that notes whether it is read and whether it listens."""

    def __init__(self) -> None:
        self.reading = self.listening = True

    def stopReading(self) -> None:
        self.reading = False

    def stopListening(self) -> None:
        self.listening = False

    def fileno(self) -> int:
        return 77

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 3210)


class FleetTestCase(SynchronousTestCase):
    """A parent with fake workers."""

    settings: Mapping[str, str] = {"MCP_ECHO_WORKERS": "2", "MCP_ECHO_STORE": "sqlite:x"}
    variables: Mapping[str, str] = {}
    launch = Launch({"HOME": "/", "WATCHDOG_PID": "1", "LISTEN_FDS": "1"}, ["--strict"], "asyncio")

    def setUp(self) -> None:
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.temporary = Path(temporary.name)
        patched = mock.patch("tempfile.tempdir", temporary.name)
        patched.start()
        self.addCleanup(patched.stop)
        self.reactor = SpawningReactor()
        self.reasons: list[str] = []
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        self.manager.bind(str(self.temporary / "systemd"))
        self.manager.setblocking(False)
        logs = capturedLogs()
        self.logged = logs.__enter__()
        self.addCleanup(logs.__exit__, None, None, None)
        self.port = HeldPort()
        self.addCleanup(self.forget)
        self.announced: list[Any] = []
        self.fleet = self.begin()

    def forget(self) -> None:
        """Close the sockets of workers that never end."""
        for process in self.workers:
            cast(Any, process.protocol)._forget()

    def environ(self) -> dict[str, str]:
        told = {"NOTIFY_SOCKET": str(self.temporary / "systemd"), "WATCHDOG_USEC": "20000000"}
        return {**told, **self.variables}

    def begin(self) -> Fleet:
        """Start a parent."""
        fleet = Fleet(
            self.reactor, load({}, self.settings).settings, self.launch, self.reasons.append, self.environ()
        )
        self.addCleanup(fleet.notices.stopped)
        place = Place(cast(Any, HeldEndpoint(self.port)), "tcp:3000", lambda: None)
        fleet.hold(place, self.announced.append)
        fleet.privilegedStartService()
        fleet.startService()
        call, arguments, keywords = self.reactor.whenRunningHooks[-1]
        call(*arguments, **keywords)
        return fleet

    @property
    def workers(self) -> list[FakeProcess]:
        """The processes that run."""
        return [process for process in self.reactor.spawned if not process.ended]

    def ready(self) -> None:
        """Have all workers say that they are ready."""
        for process in self.workers:
            process.report("READY=1", "STATUS=Serving: 3 sessions, 2 streams")

    def told(self) -> list[str]:
        """Return what the service manager has been told since the last look."""
        heard: list[str] = []
        while True:
            try:
                heard += self.manager.recv(4096).decode().splitlines()
            except BlockingIOError:
                return heard

    def lines(self) -> list[str]:
        """Return the log."""
        return [formatEvent(event) for event in self.logged]

    def directories(self) -> list[Path]:
        """Return the private directories that are there."""
        return list(self.temporary.glob("mcp-echo-*"))

    def stop(self) -> Any:
        """Begin to stop; return the Deferred."""
        return self.fleet.stopService()

    def signals(self) -> list[list[int]]:
        """Return what each process that runs was sent."""
        return [process.signals for process in self.workers]
