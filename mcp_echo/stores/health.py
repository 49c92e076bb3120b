"""How the place where records are kept is doing: what is counted, shown and logged of it. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from twisted.logger import Logger

from mcp_echo.sessions.store import StoreHealth
from mcp_echo.stores.breaker import Breaker


class Notice(NamedTuple):
    """How the log is told of one kind of trouble."""

    begins: str
    """What is logged when it begins, with places for ``{where}`` and ``{reason}``."""
    ends: str = ""
    """What is logged when it is over, with places for ``{where}`` and the ``{seconds}`` it has lasted; empty
    where nobody can tell, so that it begins anew each time."""
    threshold: int = 1
    """How often in a row it has to be seen before it is told of."""
    quiet: float = 0.0
    """Seconds after it was told of in which it is not told of again."""
    calm: float = 0.0
    """Seconds without it after which it is over."""


class Purpose(NamedTuple):
    """What is kept in a place, for the log."""

    name: str
    """What the place is called: ``session store``."""
    refused: str
    """What comes of it that the place cannot be reached."""
    saves: str
    """How less of it is kept."""
    suffix: str = ""
    """What the place's name has at its end, so that it is not the place of the sessions."""


SESSIONS = Purpose(
    "session store",
    "requests for sessions are refused with 503",
    "have fewer or smaller sessions (MCP_ECHO_MAX_SESSIONS, MCP_ECHO_MAX_STATE_BYTES)",
)
TRACES = Purpose(
    "trace store",
    "nothing is recorded, and all else goes on",
    "have fewer or smaller traces (MCP_ECHO_TRACES, MCP_ECHO_TRACE_BYTES)",
    "-traces",
)


class Trouble:
    """What goes wrong for a while: the log is told once when it begins, and once when it is over.

    Args:
        notice: What is logged, and when.
        where: What is in trouble, without any password.
        now: A steady clock, in seconds.
        shown: Takes out of a reason what must not be shown.
    """

    _log = Logger("mcp_echo")

    def __init__(
        self, notice: Notice, where: str, now: Callable[[], float], shown: Callable[[str], str] = str
    ) -> None:
        self.where = where
        self.shown = shown
        self._now = now
        self._notice = notice
        self.times = 0
        """How often it was seen since it was over."""
        self._last = 0.0
        self._since: float | None = None
        """When it began; None where the log knows of none."""
        self._quiet_until = float("-inf")

    def seen(self, reason: str) -> None:
        """It has happened."""
        self.times += 1
        notice, now = self._notice, self._now()
        self._last = now
        if self._since is not None or self.times < notice.threshold or now < self._quiet_until:
            return
        self._since = now if notice.ends else None
        self._quiet_until = now + notice.quiet
        self._log.error(notice.begins, where=self.where, reason=self.shown(reason))

    def over(self) -> None:
        """It has not happened where it could have."""
        if not self.times or self._now() - self._last < self._notice.calm:
            return
        self.times = 0
        if self._since is not None:
            self._log.info(self._notice.ends, where=self.where, seconds=self._now() - self._since)
            self._since = None


class EngineHealth:
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
