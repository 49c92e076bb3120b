"""What is counted and logged when SQLite cannot carry operations out. No I/O."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from mcp_echo.stores.breaker import Breaker, State

QUIET_SECONDS = 60.0
"""Time for which a second outage is not logged: what fails now and then must not fill the log."""


class Outages:
    """Counts failures, and logs once when they begin and once when they are over.

    Args:
        where: What fails, as the log names it; no password in it.
        seconds: The steady clock.
    """

    _log = Logger("mcp_echo")

    def __init__(self, where: str, seconds: Callable[[], float]) -> None:
        self.failures = 0
        """Batches that failed since the start."""
        self.last_failure: str | None = None
        self.in_a_row = 0
        """Batches that failed since a trial went well; others that went well between them do not count."""
        self._breaker = Breaker(seconds)
        self._where = where
        self._seconds = seconds
        self._quiet_until = float("-inf")
        self._logged = False

    @property
    def reason(self) -> str | None:
        """Why nothing can be written, as far as is known; None if it can."""
        return self.last_failure if self.in_a_row else None

    @property
    def state(self) -> State:
        """The state of the breaker."""
        return self._breaker.state

    @property
    def refuses(self) -> bool:
        """Whether operations are refused without being tried."""
        return self._breaker.refuses

    def try_again(self) -> None:
        """Note that one batch is tried."""
        self._breaker.begin()

    def succeeded(self, tried: bool = True) -> None:
        """Note that a batch was carried out.

        Args:
            tried: Whether a trial was among it: where that cannot be carried out, other things may be.
        """
        self._breaker.succeeded()
        if not tried:
            return
        self.in_a_row = 0
        if self._logged:
            self._logged = False
            self._log.info("The session store {where} works again", where=self._where)

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
        self._breaker.failed()
