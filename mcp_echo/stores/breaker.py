"""Whether an engine that has failed is tried again. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from twisted.logger import Logger

FAILURES = 3
"""Batches that fail in a row before operations are refused without being tried."""
TRIAL_SECONDS = 1.0
"""Time between two trials."""
QUIET_SECONDS = 60.0
"""Time for which a second outage is not logged: what fails now and then must not fill the log."""


class Breaker:
    """Counts failures, and logs once when they begin and once when they are over.

    Args:
        where: What fails, as the log names it; no password in it.
        seconds: The steady clock.
    """

    _log = Logger("mcp_echo")

    def __init__(self, where: str, seconds: Callable[[], float]) -> None:
        self.state: Literal["closed", "open", "half-open"] = "closed"
        self.failures = 0
        """Batches that failed since the start."""
        self.last_failure: str | None = None
        self.in_a_row = 0
        """Batches that failed since one did not."""
        self._where = where
        self._seconds = seconds
        self._quiet_until = float("-inf")
        self._logged = False

    @property
    def refuses(self) -> bool:
        """Whether operations are refused without being tried."""
        return self.state != "closed"

    def try_again(self) -> None:
        """Note that one batch is tried."""
        if self.refuses:
            self.state = "half-open"

    def succeeded(self) -> None:
        """Note that a batch was carried out."""
        if self._logged:
            self._logged = False
            self._log.info("The session store {where} works again", where=self._where)
        self.in_a_row = 0
        self.state = "closed"

    def failed(self, why: str) -> None:
        """Note that a batch was not carried out."""
        if not self.in_a_row and self._seconds() >= self._quiet_until:
            self._logged = True
            self._quiet_until = self._seconds() + QUIET_SECONDS
            self._log.error(
                "The session store {where} does not work: {why}; requests that need it are answered with 503",
                where=self._where,
                why=why,
            )
        self.failures += 1
        self.in_a_row += 1
        self.last_failure = why
        if self.in_a_row >= FAILURES:
            self.state = "open"
