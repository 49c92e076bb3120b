"""Where sessions live: the `SessionStore` interface, and what any store tells of itself. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from mcp_echo.protocol.errors import (
    TooManySessionsForAddress,
    TooManySessionsForHolder,
    TooManySessionsForPrincipal,
)
from mcp_echo.sessions.budget import StateBudget
from mcp_echo.sessions.key import SessionKey
from mcp_echo.sessions.session import Session, Terms

Clock = Callable[[], float]
EndReason = Literal["expired", "closed", "displaced"]
"""Nobody used it for too long; its client ended it; never used, it gave way to a new one."""


SAMPLE = 64
"""How many records of a holder are looked at to tell when it may make one more."""


class Counts(NamedTuple):
    """What all nodes have made and ended since the records were begun with."""

    created: int = 0
    expired: int = 0
    """Taken away because nobody used them."""
    closed: int = 0
    displaced: int = 0
    """Taken away, never used, to make room for others."""


class StoreHealth(NamedTuple):
    """How the place where sessions are kept is doing."""

    kind: str
    """``sqlite`` or ``redis``; ``memory`` where there is no engine."""
    where: str
    """Where it is, without any password."""
    available: bool
    """Whether it keeps what it is given, as far as is known: to be there, or to be read, is not enough."""
    breaker: Literal["closed", "open", "half-open"]
    """Open: operations are refused without being tried. Half-open: one is being tried."""
    latency: float | None
    """Seconds that the last batch of operations took; None before the first."""
    failures: int
    """Batches that failed since the start."""
    last_failure: str | None
    """What the last of them failed with, without any password."""
    reason: str | None = None
    """Why it is not available, without any password; None while it is."""


@dataclass(slots=True)
class Statistics:
    """What this process has done in a store since it started."""

    created: int = 0
    expired: int = 0
    """Sessions that ended because nobody used them."""
    closed: int = 0
    """Sessions that a client ended with DELETE."""
    displaced: int = 0
    """Sessions that were never used and gave way to new ones."""
    refused: int = 0
    """Sessions that were not made because the store was full."""
    refused_to_principals: int = 0
    """Sessions that were not made because their principal has as many as it may."""
    refused_to_addresses: int = 0
    """The same of addresses, where no principal is known."""
    lifetime_seconds: float = 0.0
    """Seconds from creation to end, of all ended sessions together."""
    sweeps: int = 0
    last_sweep: float | None = None
    """The steady clock's seconds at the last sweep; None before the first."""

    @property
    def average_lifetime(self) -> float | None:
        """Mean seconds from creation to end; None while no session has ended."""
        ended = self.expired + self.closed + self.displaced
        return self.lifetime_seconds / ended if ended else None

    def count_end(self, reason: EndReason, lifetime: float) -> None:
        """Count a session that has ended, ``lifetime`` seconds after it was made."""
        if reason == "expired":
            self.expired += 1
        elif reason == "closed":
            self.closed += 1
        else:
            self.displaced += 1
        self.lifetime_seconds += lifetime

    def count_refusal(self, principal: str | None) -> None:
        """Count a session that was not made because its holder, a principal or an address, has too many."""
        if principal is None:
            self.refused_to_addresses += 1
        else:
            self.refused_to_principals += 1


def refusal_for(principal: str | None) -> type[TooManySessionsForHolder]:
    """Return what to refuse a holder with that has too many: the principal if there is one, or an address."""
    return TooManySessionsForAddress if principal is None else TooManySessionsForPrincipal


class Holdings(NamedTuple):
    """What all sessions hold."""

    storage: int
    """Bytes of the sessions and their last echoes."""
    echoes: int
    """Bytes of the last echoes alone."""
    queues: int
    """Bytes of messages in all queues, those kept for resuming included."""
    waiting: int
    """Messages in all queues that no connection has taken yet."""


class SessionShare(NamedTuple):
    """What a caller has of the sessions, and of what they may hold."""

    held: int
    """How many sessions and handles it has, at this moment; none of them has expired."""
    most: int
    """How many it may have, if nobody else takes the room."""
    state: int | None
    """Bytes of its queued messages and last echoes; None where no share bounds them."""
    state_left: int | None
    """How many more there is room for; None likewise."""


class StoreLimits(NamedTuple):
    """How many sessions there may be, and for how long."""

    timeout: float
    """Seconds of idleness after which a session is gone."""
    sessions: int
    """How many may live at once, handles included."""
    per_principal: int | None = None
    """How many of them one principal may have; None for any number."""
    per_address: int | None = None
    """How many of them one address may have, where no principal is known; None for any number."""

    def of(self, principal: str | None) -> int | None:
        """Return how many a principal may have, or an address where it is None."""
        return self.per_address if principal is None else self.per_principal


class SessionStore(Protocol):
    """What the server needs of a place for sessions."""

    statistics: Statistics
    timeout: float
    """Seconds of idleness after which a session is gone."""
    limit: int
    """How many sessions may live at once."""
    node: str
    """The name of this process among those that may serve a client."""

    @property
    def handles(self) -> int:
        """How many of those that live are named by a handle."""

    @property
    def budget(self) -> StateBudget:
        """Counts what all sessions hold."""

    @property
    def holdings(self) -> Holdings:
        """What all sessions hold."""

    @property
    def counts(self) -> Counts | None:
        """What all nodes together have made and ended; None where `statistics` tells it: there is but one."""

    def health(self) -> StoreHealth:
        """Return how the place where they are kept is doing."""

    def __len__(self) -> int: ...

    def create(self, key: SessionKey, terms: Terms, address: str | None = None) -> Session:
        """Make a session, or state that is named by a handle, which counts as one.

        Where there are too many, one that was never used gives way.

        Args:
            key: Its new id, and who makes it.
            terms: What it is made with.
            address: The maker's network address, in whose share it counts where there is no principal.

        Raises:
            TooManySessions: As many as ``limit`` live already.
            TooManySessionsForHolder: The principal, or else the address, has as many as it may.
        """

    def use(
        self, session_id: str, principal: str | None, handle: bool = False, notice: bool = False
    ) -> Session:
        """Return the session and count this as activity, and as a use.

        Args:
            session_id: The id or the handle.
            principal: Who asks, or None.
            handle: Whether a handle is meant; a handle is no session id, nor the other way round.
            notice: Whether it is for a notification, or an answer, alone: that is activity, but no use. Every
                client sends ``notifications/initialized``, also one that then has nothing to ask.

        Raises:
            SessionNotFound: No such session, it has expired, or it is another principal's.
        """

    def knows(self, session_id: str) -> bool:
        """Return whether this process knows a session or handle of this id, of any owner: for the log."""

    def share(self, principal: str | None, address: str) -> SessionShare:
        """Return what a caller has of the sessions; see `create` for who that is."""

    def close(self, session_id: str, principal: str | None, handle: bool = False) -> None:
        """End a session on its client's wish.

        Raises:
            SessionNotFound: As for `use`.
        """

    def expire(self) -> int:
        """End every session whose time is up; return how many."""
