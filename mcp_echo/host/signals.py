"""What the signals of an operator do, in the reactor's own time."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger


class SignalReactions(Service):
    """Calls a function for a signal: from the start on, in the time of the reactor, once that runs.

    It has to start before whatever tells that the server is there, for who hears of that may send a signal. A
    signal that somebody else has taken or told to be ignored (``nohup``, a debugger, a shell that starts
    a job in the background) is left alone; the reactor's own reaction is replaced. What is called stays
    called until the process ends: a service that is stopping hears signals too.

    Args:
        reactor: Calls the functions (IReactorCore and IReactorFromThreads, which no type joins).
        reactions: What to call for which signal.
    """

    def __init__(self, reactor: Any, reactions: Mapping[signal.Signals, Callable[[], None]]) -> None:
        self._reactor = reactor
        self._reactions = reactions

    def privilegedStartService(self) -> None:
        """React from now on, and go on to when the reactor has installed its own signal handlers."""
        super().privilegedStartService()
        self._install()
        self._reactor.callWhenRunning(self._install)

    def _install(self) -> None:
        for number in self._reactions:
            before = signal.getsignal(number)
            # Twice: the reactor takes some of them when it begins to run.
            if _is_default(number, before) or getattr(before, "__self__", None) is self._reactor:
                signal.signal(number, self._received)

    def _received(self, number: int, _frame: FrameType | None) -> None:
        # Python runs this between two instructions of whatever is being done; the reactor has a safe place.
        self._reactor.callFromThread(self._reactions[signal.Signals(number)])


def _is_default(number: signal.Signals, handler: object) -> bool:
    """Return whether nobody has taken a signal; Python takes SIGINT, for KeyboardInterrupt."""
    return handler is signal.SIG_DFL or (number is signal.SIGINT and handler is signal.default_int_handler)


@dataclass(eq=False)
class StopRequests:
    """What asks the server to stop: once for an orderly end, twice for an end at once."""

    stop: Callable[[], None]
    """Stops the reactor."""
    hurry: Callable[[], None]
    """Drops the connections that are waited for."""
    drain_timeout: float
    """Seconds the requests in flight may take."""
    _asked: bool = field(default=False, init=False)
    _log = Logger("mcp_echo")

    def __call__(self) -> None:
        """Take one request to stop."""
        if self._asked:
            self._log.warn("Asked to stop again: dropping the connections that are left")
            self.hurry()
            return
        self._asked = True
        self._log.info(
            "Asked to stop: requests in flight have {timeout:g} s (MCP_ECHO_DRAIN_TIMEOUT); "
            "asked again, the server stops at once",
            timeout=self.drain_timeout,
        )
        self.stop()
