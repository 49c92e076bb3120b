"""How late the reactor is: what keeps one client waiting while another is served."""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mcp_echo.watch.tally import Histogram

INTERVAL = 0.25
"""Seconds between two measurements: often enough to meet most blocks, seldom enough to cost nothing."""


class ReactorLag:
    """Measures how late a timer is that is due every `INTERVAL`.

    All measurements are kept as a histogram, not the worst since somebody looked: two who look would each see
    half of it.

    Args:
        clock: The reactor.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.lateness = Histogram()
        self._clock = clock
        self._next: IDelayedCall | None = None
        self._due = 0.0

    def start(self) -> None:
        """Measure from now on."""
        self._due = self._clock.seconds() + INTERVAL
        self._next = self._clock.callLater(INTERVAL, self._measure)

    def stop(self) -> None:
        """Measure no more."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _measure(self) -> None:
        # A clock may call a hair early; that is no lateness.
        self.lateness.observe(max(0.0, self._clock.seconds() - self._due))
        self.start()
