"""How the place where records are kept is doing: what is counted, shown and logged of it. No I/O."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from mcp_echo.sessions.store import StoreHealth
from mcp_echo.stores.breaker import Breaker


class Trouble:
    """What goes wrong for a while: the log is told once when it begins, and once when it is over.

    Args:
        where: What is in trouble, without any password.
        now: A steady clock, in seconds.
        shown: Takes out of a reason what must not be shown.
        begins: What is logged when it begins, with places for ``{where}`` and ``{reason}``.
        ends: What is logged when it is over, with places for ``{where}`` and the ``{seconds}`` it has lasted;
            empty where nobody can tell, so that it begins anew each time.
        threshold: How often in a row it has to be seen before it is told of.
        quiet: Seconds after it was told of in which it is not told of again.
        calm: Seconds without it after which it is over.
    """

    _log = Logger("mcp_echo")

    def __init__(
        self,
        where: str,
        now: Callable[[], float],
        shown: Callable[[str], str] = str,
        *,
        begins: str,
        ends: str = "",
        threshold: int = 1,
        quiet: float = 0.0,
        calm: float = 0.0,
    ) -> None:
        self.where = where
        self.shown = shown
        self._now = now
        self._begins = begins
        self._ends = ends
        self._threshold = threshold
        self._quiet = quiet
        self._calm = calm
        self._times = 0
        """How often it was seen since it was over."""
        self._last = 0.0
        self._since: float | None = None
        """When it began; None where the log knows of none."""
        self._quiet_until = float("-inf")

    def seen(self, reason: str) -> None:
        """It has happened."""
        self._times += 1
        now = self._last = self._now()
        if self._since is not None or self._times < self._threshold or now < self._quiet_until:
            return
        self._since = now if self._ends else None
        self._quiet_until = now + self._quiet
        self._log.error(self._begins, where=self.where, reason=self.shown(reason))

    def over(self) -> None:
        """It has not happened where it could have."""
        if not self._times or self._now() - self._last < self._calm:
            return
        self._times = 0
        if self._since is not None:
            self._log.info(self._ends, where=self.where, seconds=self._now() - self._since)
            self._since = None


class Health:
    """Counts what works and what does not, and has outages logged.

    Args:
        kind: See `StoreHealth.kind`.
        outage: What is logged when nothing is kept, and when everything is again.
        now: A steady clock, in seconds.
        reason: Why nothing is kept before anything is known; None where nothing speaks against it.
    """

    def __init__(
        self, kind: str, outage: Trouble, now: Callable[[], float], reason: str | None = None
    ) -> None:
        self.breaker = Breaker(now)
        self.reason = reason
        """Why nothing is kept, as far as is known, without any password; None while it is."""
        self._kind = kind
        self._outage = outage
        self._latency: float | None = None
        self._failures = 0
        self._last_failure: str | None = None

    def answered(self, seconds: float | None) -> None:
        """A batch was carried out; the time it took is None if that is no measure of anything."""
        if seconds is not None:
            self._latency = seconds
        self.breaker.succeeded()

    def failed(self, reason: str) -> None:
        """A batch, or a part of one, was not carried out."""
        self._failures += 1
        self._last_failure = self._outage.shown(reason)

    def lost(self, reason: str) -> None:
        """Nothing is kept until a trial has gone well."""
        self.reason = self._last_failure = self._outage.shown(reason)
        self.breaker.failed()
        self._outage.seen(reason)

    def keeps(self) -> None:
        """A trial went well: what is given is kept."""
        self.reason = None
        self.breaker.succeeded()
        self._outage.over()

    def report(self) -> StoreHealth:
        """Return it for those who ask."""
        return StoreHealth(
            self._kind,
            self._outage.where,
            self.reason is None,
            self.breaker.state,
            self._latency,
            self._failures,
            self._last_failure,
            self.reason,
        )
