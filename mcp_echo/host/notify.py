"""What systemd is told: ready, how many sessions, still alive, stopping. sd_notify(3), without its library.

https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

STATUS_INTERVAL = 5.0
"""Seconds between two looks at whether the status line has changed."""


class NotifySocket:
    """The datagram socket that a service manager listens on.

    Args:
        address: A path, or a name in the abstract name space behind ``@``, as in ``NOTIFY_SOCKET``.
    """

    _log = Logger("mcp_echo")

    def __init__(self, address: str) -> None:
        self._shown = address
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket: socket.socket | None = None
        self._failing = False

    def tell(self, *assignments: str) -> bool:
        """Send one message; return whether it left. A failure is logged once, and no reason to stop."""
        try:
            if self._socket is None:
                # Kept, so that the watchdog is told even when no descriptor is left for another.
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                # A service manager that does not read must not hold up the clients.
                self._socket.setblocking(False)
            self._socket.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            if not self._failing:
                self._log.warn(
                    "NOTIFY_SOCKET {address} takes no messages: {error}", address=self._shown, error=error
                )
            self._failing = True
            return False
        self._failing = False
        return True

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Notices:
    """Keeps a service manager informed, if there is one.

    Args:
        clock: Times the messages.
        environ: Where the service manager has left word: ``NOTIFY_SOCKET``, ``WATCHDOG_USEC``,
            ``WATCHDOG_PID``.
        status: Returns the line that ``systemctl status`` shows.
    """

    _log = Logger("mcp_echo")

    def __init__(self, clock: IReactorTime, environ: Mapping[str, str], status: Callable[[], str]) -> None:
        address = environ.get("NOTIFY_SOCKET")
        self._socket = NotifySocket(address) if address else None
        self._environ = environ
        self._status = status
        self._ready_told = False
        self._status_told: str | None = None
        self._reports = LoopingCall(self._report)
        self._watchdog = LoopingCall(self._tell, "WATCHDOG=1")
        self._reports.clock = self._watchdog.clock = clock

    def ready(self) -> None:
        """Say that the port listens; from now on tell the status and that the reactor turns."""
        if self._socket is None:
            return
        self._reports.start(STATUS_INTERVAL).addErrback(self._ended)
        interval = watchdog_interval(self._environ, os.getpid())
        if interval is not None:
            self._watchdog.start(interval).addErrback(self._ended)

    def stopping(self, seconds: float) -> None:
        """Say that the service stops.

        Args:
            seconds: How long that may take. systemd waits for it, where TimeoutStopSec= is shorter.
        """
        self._tell("STOPPING=1", f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def stopped(self) -> None:
        """Say no more."""
        for loop in (self._reports, self._watchdog):
            if loop.running:
                loop.stop()
        if self._socket is not None:
            self._socket.close()

    def _tell(self, *assignments: str) -> bool:
        return self._socket is not None and self._socket.tell(*assignments)

    def _report(self) -> None:
        status = self._status()
        assignments = [] if self._ready_told else ["READY=1"]
        if status != self._status_told:
            assignments.append(f"STATUS={status}")
        # What did not leave is said again the next time.
        if assignments and self._tell(*assignments):
            self._ready_told, self._status_told = True, status

    def _ended(self, failure: Failure) -> None:
        self._log.failure("The service manager is not informed any more", failure)


def watchdog_interval(environ: Mapping[str, str], pid: int) -> float | None:
    """Return how often ``WATCHDOG=1`` is due, in seconds, or None where nobody waits for it.

    Half the time the service manager waits, as sd_watchdog_enabled(3) has it.

    Args:
        environ: The environment variables.
        pid: This process, which is not meant when ``WATCHDOG_PID`` names another.
    """
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not (microseconds.isascii() and microseconds.isdigit()) or int(microseconds) == 0:
        return None
    return int(microseconds) / 2e6
