"""How many requests faults hold, and for how long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from mcp_echo.protocol.errors import TooManyRequests

MOST_OF_TRACE = 8
"""Requests of one trace that are held at a time."""

MOST = 32
"""Requests of all traces that are held at a time."""

LOOK_SECONDS = 0.5
"""Seconds after which it is noticed that a request need not be held any longer."""


class TooManyHeld(TooManyRequests):
    """As many requests are held by faults as may be."""

    def __init__(self) -> None:
        super().__init__(
            f"A fault would hold this request, and {MOST_OF_TRACE} of a trace or {MOST} in all are held "
            "already: wait, or disarm the faults",
            retry_after=1,
        )


class Holds:
    """Counts what is held.

    Args:
        clock: Tells the time.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._held: Counter[str] = Counter()

    def take(self, trace: str) -> Callable[[], None]:
        """Count a request of a trace as held; return what counts it no more.

        Raises:
            TooManyHeld: There are as many as may be.
        """
        if self._held[trace] >= MOST_OF_TRACE or self._held.total() >= MOST:
            raise TooManyHeld
        self._held[trace] += 1

        def release() -> None:
            self._held[trace] -= 1
            if not self._held[trace]:
                del self._held[trace]

        return release

    async def wait(self, seconds: float, is_over: Callable[[], bool]) -> None:
        """Let time pass, or less where there is nothing to wait for any more."""
        until = self._clock.seconds() + seconds
        while not is_over() and self._clock.seconds() < until:
            left = until - self._clock.seconds()
            # A callable that takes no argument, for a Deferred that nobody cancels.
            await deferLater(self._clock, min(left, LOOK_SECONDS), lambda: None)
