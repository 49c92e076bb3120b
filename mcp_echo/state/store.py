"""Where sessions live: the `SessionStore` interface and the store in memory. No I/O."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal, NamedTuple, Protocol

from mcp_echo.protocol.errors import SessionNotFound, TooManySessions, TooManySessionsForPrincipal
from mcp_echo.protocol.revisions import Revision
from mcp_echo.state.budget import StateBudget
from mcp_echo.state.engine import Counts, EngineHealth
from mcp_echo.state.events import EventLog
from mcp_echo.state.session import Client, Session

Clock = Callable[[], float]
EndReason = Literal["expired", "closed"]


@dataclass(slots=True)
class Statistics:
    """What this process has done in a store since it started."""

    created: int = 0
    expired: int = 0
    """Sessions that ended because nobody used them."""
    closed: int = 0
    """Sessions that a client ended with DELETE."""
    refused: int = 0
    """Sessions that were not made because the store was full."""
    refused_to_principals: int = 0
    """Sessions that were not made because their principal has as many as it may."""
    lifetime_seconds: float = 0.0
    """Seconds from creation to end, of all ended sessions together."""
    sweeps: int = 0
    last_sweep: float | None = None
    """The steady clock's seconds at the last sweep; None before the first."""

    @property
    def average_lifetime(self) -> float | None:
        """Mean seconds from creation to end; None while no session has ended."""
        ended = self.expired + self.closed
        return self.lifetime_seconds / ended if ended else None


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


def new_node(name: str | None = None) -> str:
    """Return a name for this process that no other one has.

    Args:
        name: What the operator calls it, or None.
    """
    return f"{name or 'node'}-{secrets.token_hex(4)}"


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

    def health(self) -> EngineHealth:
        """Return how the place where they are kept is doing."""

    def __len__(self) -> int: ...

    def create(self, principal: str | None, revision: Revision, client: Client) -> Session:
        """Make a session with a new id.

        Raises:
            TooManySessions: As many as ``limit`` live already.
            TooManySessionsForPrincipal: The principal, if there is one, has as many as it may.
        """

    def create_handle(
        self,
        principal: str | None,
        revision: Revision,
        client: Client,
        timeout: float | None = None,
        label: str | None = None,
    ) -> Session:
        """Make state that requests name by a handle; it counts as a session.

        Args:
            principal: Who makes it, or None.
            revision: The revision of the request.
            client: What the client said of itself.
            timeout: Seconds of idleness after which it is gone; None for the store's own.
            label: What its maker calls it, or None.

        Raises:
            TooManySessions: As many as ``limit`` live already.
            TooManySessionsForPrincipal: The principal, if there is one, has as many as it may.
        """

    def use(self, session_id: str, principal: str | None, handle: bool = False) -> Session:
        """Return the session and count this as activity.

        Args:
            session_id: The id or the handle.
            principal: Who asks, or None.
            handle: Whether a handle is meant; a handle is no session id, nor the other way round.

        Raises:
            SessionNotFound: No such session, it has expired, or it is another principal's.
        """

    def knows(self, session_id: str) -> bool:
        """Return whether this process knows a session or handle of this id, whoever's it is: for the log."""

    def close(self, session_id: str, principal: str | None, handle: bool = False) -> None:
        """End a session on its client's wish.

        Raises:
            SessionNotFound: As for `use`.
        """

    def expire(self) -> int:
        """End every session whose time is up; return how many."""


class MemoryStore:
    """Sessions of one process, gone with it.

    Sessions with the same timeout are kept in a lane of their own, in the order of their last activity, so
    that the expired ones are always at the front of a lane.

    Args:
        timeout: Seconds of idleness after which a session is gone.
        limit: How many sessions may live at once.
        now: The steady clock.
        new_log: Makes a session's message queue.
        ended: Told of every session that ends, and why.
        budget: Counts what all sessions hold; None for one of its own, without limit.
        limit_per_principal: How many sessions one principal may have; None for any number.
        node: The name of this process; None for a new one.
    """

    def __init__(
        self,
        timeout: float,
        limit: int,
        now: Clock,
        new_log: Callable[[], EventLog] = EventLog,
        ended: Callable[[Session, EndReason], None] | None = None,
        budget: StateBudget | None = None,
        limit_per_principal: int | None = None,
        node: str | None = None,
    ) -> None:
        self.timeout = timeout
        self.limit = limit
        self.node = new_node() if node is None else node
        self.handles = 0
        self.counts: Counts | None = None
        self.budget = StateBudget() if budget is None else budget
        self._limit_per_principal = limit_per_principal
        self.statistics = Statistics()
        self._now = now
        self._new_log = new_log
        self._ended = ended
        self._sessions: dict[str, Session] = {}
        self._lanes: dict[float, dict[str, Session]] = {}
        self._owned: dict[str, dict[str, Session]] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._sessions.values())

    @property
    def holdings(self) -> Holdings:
        """What all sessions hold, counted as it changes."""
        budget = self.budget
        return Holdings(budget.sessions + budget.echoes, budget.echoes, budget.queues, budget.waiting)

    def health(self) -> EngineHealth:
        """Return that memory is well."""
        return EngineHealth("memory", "memory:", True, "closed", None, 0, None)

    def create(self, principal: str | None, revision: Revision, client: Client) -> Session:
        """Make a session; see `SessionStore.create`."""
        return self._add(str(uuid.uuid4()), principal, revision, client, self.timeout)

    def create_handle(
        self,
        principal: str | None,
        revision: Revision,
        client: Client,
        timeout: float | None = None,
        label: str | None = None,
    ) -> Session:
        """Make state that is named by a handle; see `SessionStore.create_handle`."""
        handle = f"es_{secrets.token_urlsafe(24)}"
        kept = self.timeout if timeout is None else timeout
        return self._add(handle, principal, revision, client, kept, handle=True, label=label)

    def _make_room(self) -> None:
        if len(self._sessions) >= self.limit:
            self.expire()
        if len(self._sessions) >= self.limit:
            self.statistics.refused += 1
            raise TooManySessions(self.limit, self._seconds_until_room())

    def _make_room_for(self, principal: str) -> None:
        limit = self._limit_per_principal
        own = self._owned.get(principal, {})
        if limit is None or len(own) < limit:
            return
        now = self._now()
        for session in [session for session in own.values() if session.is_expired(now)]:
            self._end(session, "expired")
        if len(own) >= limit:
            self.statistics.refused_to_principals += 1
            raise TooManySessionsForPrincipal(limit, self._seconds_until_one_ends(own.values()))

    def _add(
        self,
        session_id: str,
        principal: str | None,
        revision: Revision,
        client: Client,
        timeout: float,
        handle: bool = False,
        label: str | None = None,
    ) -> Session:
        if principal is not None:
            self._make_room_for(principal)
        self._make_room()
        session = Session(
            session_id,
            principal,
            revision,
            client,
            self._now(),
            timeout,
            handle,
            label,
            self._new_log,
            self.budget,
        )
        self._sessions[session.id] = session
        if principal is not None:
            self._owned.setdefault(principal, {})[session.id] = session
        self._lanes.setdefault(session.timeout, {})[session.id] = session
        self.statistics.created += 1
        self.handles += handle
        return session

    def _seconds_until_room(self) -> int:
        return self._seconds_until_one_ends(next(iter(lane.values())) for lane in self._lanes.values())

    def _seconds_until_one_ends(self, sessions: Iterable[Session]) -> int:
        now = self._now()
        remaining = min(session.timeout - (now - session.last_activity) for session in sessions)
        # An hour's wait is no use to a client that polls; room may come earlier by a DELETE.
        return max(1, min(60, int(remaining) + 1))

    def use(self, session_id: str, principal: str | None, handle: bool = False) -> Session:
        """Return a session; see `SessionStore.use`."""
        session = self._find(session_id, principal, handle)
        session.last_activity = self._now()
        lane = self._lanes[session.timeout]
        # By its own id, not by the caller's copy, which the lane would keep alive.
        del lane[session.id]
        lane[session.id] = session
        return session

    def knows(self, session_id: str) -> bool:
        """Return whether a session or handle of this id lives; see `SessionStore.knows`."""
        return session_id in self._sessions

    def _find(self, session_id: str, principal: str | None, handle: bool) -> Session:
        session = self._sessions.get(session_id)
        if session is None or session.principal != principal or session.handle is not handle:
            raise SessionNotFound
        if session.is_expired(self._now()):
            self._end(session, "expired")
            raise SessionNotFound
        return session

    def close(self, session_id: str, principal: str | None, handle: bool = False) -> None:
        """End a session; see `SessionStore.close`."""
        self._end(self._find(session_id, principal, handle), "closed")

    def expire(self) -> int:
        """End the expired sessions; the walk along a lane stops at its first living one."""
        now = self._now()
        expired = [
            session
            for lane in self._lanes.values()
            for session in takewhile(lambda session: session.is_expired(now), lane.values())
        ]
        for session in expired:
            self._end(session, "expired")
        self.statistics.sweeps += 1
        self.statistics.last_sweep = now
        return len(expired)

    def _end(self, session: Session, reason: EndReason) -> None:
        del self._sessions[session.id]
        lane = self._lanes[session.timeout]
        del lane[session.id]
        if not lane:
            del self._lanes[session.timeout]
        self._disown(session)
        self.handles -= session.handle
        if reason == "expired":
            self.statistics.expired += 1
        else:
            self.statistics.closed += 1
        self.statistics.lifetime_seconds += self._now() - session.created
        session.end()
        if self._ended is not None:
            self._ended(session, reason)

    def _disown(self, session: Session) -> None:
        if session.principal is None:
            return
        own = self._owned[session.principal]
        del own[session.id]
        if not own:
            del self._owned[session.principal]
