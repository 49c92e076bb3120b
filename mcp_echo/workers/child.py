"""One worker, from its start to its end, as its parent sees it."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcp_echo.host.descriptor import DescriptorReader
from mcp_echo.redaction import mask_tokens
from mcp_echo.workers.assignment import Assignment
from mcp_echo.workers.launch import Launch

START_SECONDS = 60.0
"""Seconds that a worker may take until it is ready."""

GRACE = 1.0
"""Seconds in which a report may still be read that came while the parent itself stood still."""

_CALLED = re.compile(r"(?:mcp-echo|python -m mcp_echo): ")
"""What a worker says that it is called."""

LONGEST_LINE = 2 * 1024 * 1024
"""Bytes of output without an end of line that are kept."""


class WorkerProcess(ProcessProtocol):
    """One life of a worker.

    Args:
        reactor: Runs the parent.
        assignment: The worker's.
        reports: The path of the socket on which it reports to the parent.
        patience: Seconds without a report after which it is killed.
        ready: Called once the worker serves.
        ended: Called when it has ended.
    """

    _log = Logger("mcp_echo")

    def __init__(
        self,
        reactor: Any,
        assignment: Assignment,
        *,
        reports: Path,
        patience: float,
        ready: Callable[[WorkerProcess], None],
        ended: Callable[[WorkerProcess], None],
    ) -> None:
        self.assignment = assignment
        self.was_ready = False
        """Whether it has ever served."""
        self.stopping = False
        """Whether it has said that it stops."""
        self.status = ""
        """What it said last about itself."""
        self.pid: int | None = None
        self.end = ""
        """How it has ended, in words."""
        self.started: float = reactor.seconds()
        self._reactor = reactor
        self._path = reports
        self._patience = patience
        self._ready = ready
        self._ended = ended
        self._socket: socket.socket | None = None
        self._reader: DescriptorReader | None = None
        self._silence: IDelayedCall | None = None
        self._output = _Lines(self._relay)
        self._complaints = b""

    @property
    def serving(self) -> bool:
        """Whether it takes connections."""
        return self.was_ready and not self.stopping

    @property
    def lived(self) -> float:
        """Seconds since it was started."""
        return float(self._reactor.seconds() - self.started)

    @property
    def complaint(self) -> str:
        """The last line that it wrote to standard error before it was ready."""
        lines = self._complaints.decode("utf-8", "backslashreplace").split("\n")
        said = [line for line in lines if line.strip()]
        return mask_tokens(_CALLED.sub("", said[-1], count=1)) if said else ""

    def start(self, launch: Launch, port: int) -> None:
        """Start it.

        Raises:
            OSError: The machine does not take another process, or another socket.
        """
        try:
            self._listen()
            environment = launch.environment(self.assignment, self._path, self._patience)
            launch.spawn(self._reactor, self, environment, port)
        except OSError:
            self._forget()
            raise
        self._silence = self._reactor.callLater(START_SECONDS, self._silent)

    def _listen(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(self._path))
        self._reader = DescriptorReader(self._reactor, self._socket.fileno(), self._read_reports)
        self._reader.start()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is there."""
        if self.transport is not None:
            with suppress(ProcessExitedAlready):
                self.transport.signalProcess(int(number))

    def connectionMade(self) -> None:
        """Note which process it is."""
        self.pid = cast(Any, self.transport).pid

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N803  # Twisted's interface
        """Take what it has written: log lines where it has no log of its own, or complaints."""
        if childFD == 1:
            self._output.add(data)
        elif self.was_ready:
            _complain(data)
        else:
            # A worker that cannot start says why in its last line; the parent decides who is to know.
            self._complaints = (self._complaints + data)[-LONGEST_LINE:]

    def processEnded(self, reason: Failure) -> None:
        """Note how it has ended, and tell."""
        # What it has reported last may still be in the socket.
        self._read_reports()
        self._forget()
        self._output.end()
        self.end = _ending(reason)
        self._ended(self)

    def _forget(self) -> None:
        if self._silence is not None and self._silence.active():
            self._silence.cancel()
        if self._reader is not None:
            self._reader.stop()
        if self._socket is not None:
            self._socket.close()
        self._socket = self._reader = None
        self._path.unlink(missing_ok=True)

    def _read_reports(self) -> None:
        if self._socket is None:
            return
        with suppress(BlockingIOError):
            while True:
                self._told(self._socket.recv(4096).decode("utf-8", "replace").split("\n"))

    def _told(self, assignments: list[str]) -> None:
        for assignment in assignments:
            name, _, value = assignment.partition("=")
            if name == "STATUS":
                self.status = value
            elif name == "STOPPING":
                self.stopping = True
        if "READY=1" in assignments and not self.was_ready:
            self._begin_to_serve()
        if self.was_ready and self._silence is not None and self._silence.active():
            self._silence.reset(self._patience)

    def _begin_to_serve(self) -> None:
        self.was_ready = True
        complaints, self._complaints = self._complaints, b""
        _complain(complaints)
        self._ready(self)

    def _silent(self) -> None:
        # If the parent stood still itself, reports are waiting that it has not read yet.
        self._silence = self._reactor.callLater(GRACE, self._kill_silent)

    def _kill_silent(self) -> None:
        self._log.error(
            "Worker {number} (process {pid}) has said nothing for {seconds:g} s: killing it",
            number=self.assignment.number,
            pid=self.pid,
            seconds=self._patience if self.was_ready else START_SECONDS,
        )
        self.signal(signal.SIGKILL)

    def _relay(self, line: str) -> None:
        self._log.info("{line}", line=line)


class _Lines:
    """Cuts output into lines.

    Args:
        tell: Takes each line.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._begun = b""

    def add(self, data: bytes) -> None:
        """Take more output."""
        *lines, rest = (self._begun + data).split(b"\n")
        self._begun = rest[-LONGEST_LINE:]
        for line in lines:
            self._tell(line.decode("utf-8", "backslashreplace"))

    def end(self) -> None:
        """Tell what is left without an end of line."""
        if self._begun:
            self.add(b"\n")


def _complain(data: bytes) -> None:
    """Write to standard error, if there is one."""
    if sys.__stderr__ is not None and data:
        with suppress(OSError):
            os.write(2, data)


def _ending(reason: Failure) -> str:
    if reason.check(ProcessDone):
        return "exit status 0"
    number = getattr(reason.value, "signal", None)
    if number is not None:
        with suppress(ValueError):
            return f"signal {number} ({signal.Signals(number).name})"
        return f"signal {number}"
    return f"exit status {getattr(reason.value, 'exitCode', None)}"
