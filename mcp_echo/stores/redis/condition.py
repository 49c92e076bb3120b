"""How Redis is doing: what is counted, shown and logged of it."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from mcp_echo.redaction import one_line
from mcp_echo.sessions.store import StoreHealth
from mcp_echo.stores.breaker import THRESHOLD, Breaker
from mcp_echo.stores.redis.address import RedisAddress
from mcp_echo.stores.redis.answers import is_full

FULL_FOR = 10.0
"""Seconds without a refusal for want of memory after which it counts as over."""

SPOILT_QUIET = 60.0
"""Seconds between two lines of the log about sessions that were spoilt."""


class Condition:
    """Counts what works and what does not; an outage is logged once, and so is its end.

    Args:
        now: A steady clock, in seconds.
        address: Where Redis is.
    """

    _log = Logger("mcp_echo")

    def __init__(self, now: Callable[[], float], address: RedisAddress) -> None:
        self._now = now
        self._address = address
        self._failures = 0
        self._last_failure: str | None = None
        self._latency: float | None = None
        self._since = 0.0
        self._full_until: float | None = None
        """When it counts as over that there is no memory left; None while there is."""
        self._refusal: str | None = None
        """Why nothing is kept though there is a connection; None if it is, as far as is known."""
        self._policy: str | None = None
        self._spoilt_until = 0.0
        """When the log is told again of a session that was spoilt."""
        self._deaf = 0
        """Failures in a row to listen."""
        self.connected = False
        """Whether there is a connection that is ready for use."""
        self.breaker = Breaker(now)

    def up(self) -> None:
        """A connection is ready for use: on it a trial went well, or failed for want of memory."""
        self.connected = True
        self._refusal = None
        if self.breaker.succeeded():
            self._log.info(
                "Redis at {where} is there again, after {seconds:.1f} s",
                where=self._address.where,
                seconds=self._now() - self._since,
            )

    def down(self, reason: str) -> None:
        """A connection was lost, or could not be made."""
        # What was on the way is counted by itself; an attempt is a batch that failed, its trial.
        self._failures += not self.connected
        self.connected = False
        self._last_failure = self._shown(reason)
        if self.breaker.failed():
            self._since = self._now()
            self._log.error(
                "Redis at {where} cannot be used; until it can, requests for sessions are refused: {reason}",
                where=self._address.where,
                reason=self._last_failure,
            )

    def answered(self, seconds: float | None) -> None:
        """A batch was answered; the time it took is None if it was for nobody."""
        if seconds is not None:
            self._latency = seconds
        self.breaker.succeeded()
        if self._full_until is not None and self._now() > self._full_until:
            self._full_until = None
            self._log.info("Redis at {where} has memory again", where=self._address.where)

    def failed(self, reason: str) -> None:
        """A batch, or a part of one, was not carried out."""
        self._failures += 1
        self._last_failure = self._shown(reason)
        if is_full(reason):
            self.full(reason)

    def full(self, reason: str) -> None:
        """Nothing more is kept for want of memory."""
        self._refusal = self._shown(reason)
        if self._full_until is None:
            self._log.error(
                "Redis at {where} has no memory left, so that nothing more is kept until it has: raise "
                "maxmemory, or have fewer or smaller sessions (MCP_MAX_SESSIONS, MCP_ECHO_MAX_STATE_BYTES): "
                "{reason}",
                where=self._address.where,
                reason=self._refusal,
            )
        self._full_until = self._now() + FULL_FOR

    def keeps(self) -> None:
        """A trial went well: what Redis is given is kept."""
        self._refusal = None

    def spoilt(self, reason: str) -> None:
        """Something was refused, though everything is possible: a session is not what was kept of it."""
        if self._now() >= self._spoilt_until:
            self._spoilt_until = self._now() + SPOILT_QUIET
            self._log.error(
                "Redis at {where} refuses what is done to one session, and keeps others: {reason}; see who "
                "else writes to its keys",
                where=self._address.where,
                reason=self._shown(reason),
            )

    def policy_is(self, policy: str | None) -> None:
        """Redis has told what it takes away when its memory is full; None if it has not."""
        if policy not in (None, "noeviction", self._policy):
            self._log.warn(
                "Redis at {where} may take away sessions that are in use when its memory is full "
                "(maxmemory-policy {policy}): set maxmemory-policy noeviction",
                where=self._address.where,
                policy=policy,
            )
        self._policy = policy

    def deaf(self, reason: str) -> None:
        """Redis refuses to tell this node what is published."""
        # An outage of Redis is told of already.
        self._deaf = self._deaf + 1 if self.connected else 0
        if self._deaf == THRESHOLD:
            self._log.error(
                "Redis at {where} does not let this node listen, which will hear of others late: {reason}",
                where=self._address.where,
                reason=self._shown(reason),
            )

    def hears(self) -> None:
        """What happens elsewhere is heard at once."""
        if self._deaf >= THRESHOLD:
            self._log.info("Redis at {where} lets this node listen again", where=self._address.where)
        self._deaf = 0

    def health(self) -> StoreHealth:
        """Return it for those who ask."""
        available = self.connected and not self.breaker.refuses and self._refusal is None
        return StoreHealth(
            "redis",
            self._address.where,
            available,
            self.breaker.state,
            self._latency,
            self._failures,
            self._last_failure,
            None if available else self._refusal or self._last_failure or "not connected yet",
        )

    def _shown(self, reason: str) -> str:
        # Redis quotes what it did not understand.
        password = self._address.password
        return one_line(reason.replace(password, "***") if password else reason)[:200]
