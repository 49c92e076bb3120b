"""A port that is held for the workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from mcp_echo.host.listening import Listening, Place
from mcp_echo.host.twisted_private import leave_open_for_others


class PortHolder(Factory):
    """Takes no connection: the port is held for others."""

    noisy = False

    def buildProtocol(self, addr: object) -> None:
        """Take none."""


class HeldPort(Listening):
    """A port that listens, and takes no connection.

    Args:
        place: Where to listen.
        held: Called with the port once it listens.
    """

    def __init__(self, place: Place, held: Callable[[IListeningPort], None]) -> None:
        super().__init__(place, PortHolder())
        self._held = held

    def _take_connections(self, port: IListeningPort) -> IListeningPort:
        held: Any = port
        # Before the reactor has a chance to accept one.
        held.stopReading()
        leave_open_for_others(held)
        self._held(port)
        return port

    def stopService(self) -> Deferred[Any]:
        """Hold the port no more; the workers may have it still."""
        super().stopService()
        return maybeDeferred(self._close).addErrback(self._close_failed)

    def _close_failed(self, failure: Failure) -> None:
        self._log.failure("The port could not be closed", failure)
