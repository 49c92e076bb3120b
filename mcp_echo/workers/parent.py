"""The parent of several workers: it holds the port, starts them, starts them again, and stops them.

It never takes a connection itself.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.logger import Logger

from mcp_echo.host.listening import STOP_MARGIN, Place
from mcp_echo.host.notify import Notices, watchdog_interval
from mcp_echo.settings.table import Settings
from mcp_echo.workers.assignment import Assignment
from mcp_echo.workers.child import WorkerProcess
from mcp_echo.workers.held import HeldPort
from mcp_echo.workers.launch import Launch, new_state_key

if TYPE_CHECKING:
    from mcp_echo.transport.ports import MetricsPort

WATCHDOG = 30.0
"""Seconds without a word after which a worker is replaced, where no service manager has named a time."""

STEADY = 10.0
"""Seconds after which a worker that dies has not died of its start."""

DELAYS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0)
"""Seconds before a worker is started again, after its first early death, its second, and so on."""


class _Slot:
    """What stays of a worker from one life to the next."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: WorkerProcess | None = None
        self.restart: IDelayedCall | None = None
        self._early_deaths = 0

    def delay(self, lived: float) -> float:
        """Return the seconds to wait before the next life, after one that has ended.

        Args:
            lived: Seconds that it took.
        """
        if lived >= STEADY:
            self._early_deaths = 0
        chosen = DELAYS[min(self._early_deaths, len(DELAYS) - 1)]
        self._early_deaths += 1
        return chosen


class Fleet(MultiService):
    """Several workers on one port.

    Args:
        reactor: Runs the parent.
        settings: How many workers, and how long they may take to stop.
        launch: How one is started.
        give_up: Told the reason, in one line, why the workers cannot start.
        environ: Where a service manager has left word.
    """

    _log = Logger("mcp_echo")

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        launch: Launch,
        give_up: Callable[[str], None],
        environ: Mapping[str, str],
    ) -> None:
        super().__init__()
        interval = watchdog_interval(environ, os.getpid())
        self.restarts = 0
        """How many workers were started in the place of others."""
        self.gone: Callable[[WorkerProcess], None] = lambda _: None
        """Called with each worker that has ended."""
        self.notices = Notices(reactor, environ, self.status)
        self.metrics: MetricsPort | None = None
        self._reactor = reactor
        self._drain_timeout = settings.drain_timeout
        self._launch = launch
        self._give_up = give_up
        self._patience = WATCHDOG if interval is None else 2 * interval
        self._slots = [_Slot(number) for number in range(1, settings.workers + 1)]
        self._state_key = new_state_key()
        # RuntimeDirectory= in the unit; systemd takes away what a parent that was killed leaves in there.
        self._runtime = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or None
        self._directory: Path | None = None
        self._port: IListeningPort | None = None
        self._announce: Callable[[], None] = lambda: None
        self._lives = 0
        self._begun = False
        self._stopping = False
        self._all_gone: Deferred[None] = Deferred()

    def hold(self, place: Place, announce: Callable[[IListeningPort], None]) -> None:
        """Hold a place for the workers while the service runs; see `HeldPort`.

        Args:
            place: The place.
            announce: Called with the port once all workers serve on it.
        """

        def held(port: IListeningPort) -> None:
            self._port = port
            self._announce = partial(announce, port)
            # Until it runs, the reactor does not hear of a process that has ended.
            self._reactor.callWhenRunning(self._start_all)

        HeldPort(place, held).setServiceParent(self)

    def show_metrics(self, port: MetricsPort, gone: Callable[[WorkerProcess], None]) -> None:
        """Show the figures of all workers on a port while the service runs.

        Args:
            port: Where.
            gone: Called with each worker that has ended.
        """
        self.metrics = port
        self.gone = gone
        port.setServiceParent(self)

    @property
    def wanted(self) -> int:
        """How many workers there are to be."""
        return len(self._slots)

    @property
    def alive(self) -> list[WorkerProcess]:
        """The workers whose processes run."""
        return [slot.process for slot in self._slots if slot.process is not None]

    @property
    def serving(self) -> list[WorkerProcess]:
        """The workers that take connections."""
        return [process for process in self.alive if process.serving]

    def status(self) -> str:
        """Return what all workers do now, in one line."""
        doing = "Draining" if self._stopping else "Serving"
        counts = [re.findall(r"(\d{1,15}) (?:sessions|streams)", process.status) for process in self.alive]
        told = [(int(found[0]), int(found[1])) for found in counts if len(found) == 2]
        # The sessions are those of the one store, which each worker counts; the streams are its own.
        sessions = max((sessions for sessions, _ in told), default=0)
        streams = sum(streams for _, streams in told)
        left = len(self.alive if self._stopping else self.serving)
        return f"{doing}: {left} of {self.wanted} workers, {sessions} sessions, {streams} streams"

    def rotated(self) -> None:
        """Have the workers go on in a new log file."""
        self._signal(signal.SIGHUP)

    def hurry(self) -> None:
        """Have the workers drop the connections that they wait for."""
        self._signal(signal.SIGTERM)
        if self.metrics is not None:
            self.metrics.hurry()

    def _signal(self, number: signal.Signals) -> None:
        for process in self.alive:
            process.signal(number)

    def stopService(self) -> Deferred[Any]:
        """Stop: hold the port no more, have all workers stop at once, and wait for them."""
        self._stopping = True
        # As long as a worker may take, and as long again for killing what is left after that.
        self.notices.stopping(self._drain_timeout + 2 * STOP_MARGIN)
        for slot in self._slots:
            if slot.restart is not None and slot.restart.active():
                slot.restart.cancel()
        closed = super().stopService()
        self._signal(signal.SIGTERM)
        late = self._reactor.callLater(self._drain_timeout + STOP_MARGIN, self._kill_late)
        self._note_if_all_gone()
        return DeferredList([closed, self._all_gone]).addCallback(self._stopped, late)

    def _stopped(self, _: object, late: IDelayedCall) -> None:
        if late.active():
            late.cancel()
        self.notices.stopped()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _kill_late(self) -> None:
        for process in self.alive:
            self._log.error(
                "Worker {number} (process {pid}) did not stop in time: killing it",
                number=process.assignment.number,
                pid=process.pid,
            )
            process.signal(signal.SIGKILL)

    def _start_all(self) -> None:
        if self._stopping:
            return
        try:
            self._directory = Path(tempfile.mkdtemp(prefix="mcp-echo-", dir=self._runtime))
        except OSError as error:
            self._give_up(f"no directory can be made for the workers: {error}")
            return
        for slot in self._slots:
            self._start(slot)

    def _start(self, slot: _Slot) -> None:
        if self._stopping or self._directory is None or self._port is None:
            return
        self._lives += 1
        assignment = Assignment(
            slot.number,
            str(self._directory),
            str(self._directory / f"{self._lives}.metrics"),
            self._state_key,
            self._launch.reactor,
        )
        process = WorkerProcess(
            self._reactor,
            assignment,
            reports=self._directory / f"{self._lives}.notify",
            patience=self._patience,
            ready=self._worker_ready,
            ended=lambda process: self._worker_ended(slot, process),
        )
        slot.process = process
        try:
            process.start(self._launch, self._port.fileno())  # type: ignore[attr-defined]  # as above
        except OSError as error:
            process.end = f"no process: {error}"
            self._worker_ended(slot, process)

    def _worker_ready(self, process: WorkerProcess) -> None:
        self._log.info(
            "Worker {number} (process {pid}) is ready", number=process.assignment.number, pid=process.pid
        )
        if not self._begun and len(self.serving) == self.wanted:
            self._begun = True
            self.notices.ready()
            self._announce()

    def _worker_ended(self, slot: _Slot, process: WorkerProcess) -> None:
        slot.process = None
        self.gone(process)
        if self._stopping:
            self._note_stopped(process)
        elif not self._begun and not process.was_ready:
            # Nobody has been served yet, and whoever starts the server waits for word.
            self._stopping = True
            self._give_up(f"worker {slot.number} cannot start: {process.complaint or process.end}")
        else:
            self._start_again(slot, process)

    def _note_stopped(self, process: WorkerProcess) -> None:
        level = self._log.info if process.end == "exit status 0" else self._log.warn
        level("Worker {number} has stopped: {end}", number=process.assignment.number, end=process.end)
        self._note_if_all_gone()

    def _start_again(self, slot: _Slot, process: WorkerProcess) -> None:
        delay = slot.delay(process.lived)
        self._log.error(
            "Worker {number} (process {pid}) has ended: {end}{complaint}; starting it again{when}",
            number=slot.number,
            pid=process.pid,
            end=process.end,
            complaint="" if process.was_ready else f" ({process.complaint})",
            when=f" in {delay:g} s" if delay else "",
        )
        self.restarts += 1
        slot.restart = self._reactor.callLater(delay, self._start, slot)

    def _note_if_all_gone(self) -> None:
        if not self.alive and not self._all_gone.called:
            self._all_gone.callback(None)
