"""One connection that is made again whenever it is lost."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mcp_echo.stores.redis.wire import RedisWire

LEAST_DELAY = 0.1
MOST_DELAY = 1.0
"""Seconds between two attempts to connect: not all nodes at once, and soon enough after a restart."""


class LinkHooks(NamedTuple):
    """What a link asks of the code that uses its connection."""

    greet: Callable[[RedisWire], Coroutine[Deferred[Any], Any, None]]
    """Does what is to be done first on one; a failure is one of the connection."""
    up: Callable[[RedisWire], None]
    """Told of each connection that is ready for use."""
    down: Callable[[str], None]
    """Told when one was lost, or could not be made, and why."""
    rest: Callable[[], float] = lambda: 0.0
    """Seconds to wait with the next attempt, at least."""


class Link:
    """Keeps a connection.

    Args:
        clock: For deadlines and delays.
        dial: Makes a connection.
        timeout: Seconds that connecting may take, and greeting as well.
        hooks: Who uses it.
    """

    def __init__(
        self, clock: IReactorTime, dial: Callable[[], Deferred[RedisWire]], timeout: float, hooks: LinkHooks
    ) -> None:
        self._clock = clock
        self._dial = dial
        self._timeout = timeout
        self._hooks = hooks
        self._attempt: Deferred[None] | None = None
        self._again: IDelayedCall | None = None
        self._delay = LEAST_DELAY
        self._open: set[RedisWire] = set()
        """Connections that have not ended, also those given up."""
        self._ended: Deferred[None] | None = None
        """Fires with the end of the last of them; None until it is to stop."""
        self.wire: RedisWire | None = None
        """The connection that is ready for use."""

    def start(self) -> None:
        """Connect, and go on connecting."""
        self._again = None
        self._attempt = Deferred.fromCoroutine(self._connect())
        self._attempt.addErrback(lambda failure: failure.trap(CancelledError))

    def stop(self) -> Deferred[None]:
        """Let go; return what fires once nothing is left."""
        self._ended = Deferred()
        self.wire = None
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._attempt is not None:
            self._attempt.cancel()
        for wire in list(self._open):
            wire.abort()
        ended = self._ended
        self._check_ended()
        return ended

    def drop(self, reason: str) -> None:
        """Give up the connection that is in use, and make another."""
        if self.wire is not None:
            self.wire.abort()
            self._fail(reason)

    async def _connect(self) -> None:
        wire = None
        lost: list[str] = []
        try:
            wire = await self._dial().addTimeout(self._timeout, self._clock)
            self._open.add(wire)
            wire.on_lost = lambda reason: self._lost(wire, reason, lost)
            await Deferred.fromCoroutine(self._hooks.greet(wire)).addTimeout(self._timeout, self._clock)
        except CancelledError:
            if wire is not None:
                wire.abort()
            raise
        # Whatever it is that a server, a resolver or OpenSSL comes up with, it is no reason to stop trying.
        except Exception as error:
            if wire is not None:
                wire.abort()
            self._fail(lost[0] if lost else self._told(error))
        else:
            self._attempt = None
            self._delay = LEAST_DELAY
            self.wire = wire
            self._hooks.up(wire)

    def _told(self, error: Exception) -> str:
        if isinstance(error, defer.TimeoutError):
            return f"no answer within {self._timeout:g} s"
        return str(error).strip() or type(error).__name__

    def _lost(self, wire: RedisWire, reason: str, lost: list[str]) -> None:
        lost.append(reason)
        self._open.discard(wire)
        if self.wire is wire:
            self._fail(reason)
        self._check_ended()

    def _fail(self, reason: str) -> None:
        self.wire = None
        self._attempt = None
        if self._ended is not None:
            return
        self._hooks.down(reason)
        # No secret: it only has to differ from node to node.
        delay = max(self._hooks.rest(), self._delay * random.uniform(0.5, 1.0))  # noqa: S311
        self._delay = min(MOST_DELAY, self._delay * 2)
        self._again = self._clock.callLater(delay, self.start)

    def _check_ended(self) -> None:
        if self._ended is not None and not self._open and not self._ended.called:
            self._ended.callback(None)
