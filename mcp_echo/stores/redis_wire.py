"""Connections to Redis, on txredisapi's protocols. To be imported only once the reactor is installed.

txredisapi imports the global reactor. Its connection pools are not used: a command that waits for a
connection in them waits for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import txredisapi
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

Lost = Callable[[str], None]


class _Wire:
    """What both kinds of connection have in common; a mix-in for txredisapi's protocols."""

    transport: Any
    execute_command: Callable[..., Deferred[Any]]

    def __init__(self) -> None:
        # Replies stay bytes, and digits stay text.
        super().__init__(charset=None, convertNumbers=False)  # type: ignore[call-arg]
        self.on_lost: Lost | None = None
        self.is_lost = False
        self._reason: str | None = None

    def call(self, *arguments: object) -> Deferred[Any]:
        """Send a command; return its reply."""
        return self.execute_command(*arguments)

    def abort(self) -> None:
        """Close the connection at once: what it still brings is for nobody."""
        self.transport.abortConnection()

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        """Take what Redis sent; what is none of Redis's ends the connection instead of filling the log."""
        try:
            super().dataReceived(data, unpause)  # type: ignore[misc]
        except (ValueError, txredisapi.RedisError):
            self._reason = "what answers is not Redis"
            self.abort()

    def connectionLost(self, why: Failure) -> None:
        """Tell why, and fail what waits for an answer."""
        self.is_lost = True
        if self.on_lost is not None:
            self.on_lost(self._reason or _told(why))
        super().connectionLost(why)  # type: ignore[misc]


def _told(why: Failure) -> str:
    # OpenSSL's errors have no message, but a list of what it found.
    for found in getattr(why.value, "args", ()):
        if isinstance(found, list) and found and isinstance(found[0], tuple):
            return "; ".join(str(each[-1]) for each in found)
    return why.getErrorMessage() or type(why.value).__name__


class CommandWire(_Wire, txredisapi.RedisProtocol):
    """A connection for commands."""


class SubscriberWire(_Wire, txredisapi.SubscriberProtocol):
    """A connection for messages that are published."""

    on_message: Callable[[bytes, bytes], None] | None = None
    """Told of each message: its channel, and what it says."""

    def messageReceived(self, _pattern: bytes | None, channel: bytes, message: bytes) -> None:
        """Hand on a message."""
        if self.on_message is not None:
            self.on_message(channel, message)


def factory(wire: type[CommandWire] | type[SubscriberWire]) -> Any:
    """Return what makes connections of a kind."""
    made: Any = Factory()
    made.protocol = wire
    made.noisy = False
    return made
