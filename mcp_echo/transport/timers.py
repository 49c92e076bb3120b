"""Waiting, for tools that know no Twisted."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater


class DeferredPromise:
    """A promise kept by a Deferred.

    Args:
        clock: Times it.
        seconds: How long there is to keep it; None for as long as it takes.
    """

    def __init__(self, clock: IReactorTime, seconds: float | None) -> None:
        self._deferred: Deferred[Any] = Deferred()
        if seconds is not None:
            self._deferred.addTimeout(seconds, clock, onTimeoutCancel=self._too_late)

    @staticmethod
    def _too_late(_result: object, _seconds: float) -> None:
        raise TimeoutError

    def keep(self, value: Any) -> None:
        """It is known now; too late is no harm."""
        if not self._deferred.called:
            self._deferred.callback(value)

    def drop(self) -> None:
        """Nobody waits for it any more."""
        if not self._deferred.called:
            self._deferred.addErrback(lambda _: None)
            self._deferred.cancel()

    def __await__(self) -> Generator[Any, None, Any]:
        return self._deferred.__await__()


class ReactorTimers:
    """Timers on a reactor's clock.

    Args:
        clock: The clock.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock

    def sleep(self, seconds: float) -> Deferred[None]:
        """Let time pass."""
        return deferLater(self._clock, seconds)

    def promise(self, seconds: float | None) -> DeferredPromise:
        """Return a promise that there are ``seconds`` to keep; None for no limit."""
        return DeferredPromise(self._clock, seconds)
