"""When to leave something alone that fails. Pure.

https://learn.microsoft.com/azure/architecture/patterns/circuit-breaker
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half-open"]

THRESHOLD = 3
"""Failures in a row that open it."""
PAUSE = 1.0
"""Seconds from a failure to the next trial while it is open."""


class Breaker:
    """Opens after some failures in a row; then lets one trial through now and then, until one succeeds.

    Args:
        now: A steady clock, in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._failures = 0
        self._trial_from = 0.0
        self._on_trial = False
        self.refuses = False
        """Whether what is no trial must not be tried."""

    @property
    def state(self) -> State:
        """Half-open: a trial is being made, and everything else is refused as when it is open."""
        if not self.refuses:
            return "closed"
        return "half-open" if self._on_trial else "open"

    @property
    def wait(self) -> float:
        """Seconds until a trial may be made; 0 while it is closed."""
        return max(0.0, self._trial_from - self._now()) if self.refuses else 0.0

    def begin(self) -> None:
        """A trial is being made. No matter while it is closed."""
        self._on_trial = self.refuses

    def succeeded(self) -> None:
        """It worked."""
        self._failures = 0
        self.refuses = self._on_trial = False

    def failed(self) -> None:
        """It did not work."""
        self._failures += 1
        if self.refuses or self._failures >= THRESHOLD:
            self.refuses, self._on_trial = True, False
            self._trial_from = self._now() + PAUSE
