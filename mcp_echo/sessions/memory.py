"""The store in memory: sessions of one process, gone with it. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mcp_echo.protocol.errors import SessionNotFound, TooManySessions
from mcp_echo.protocol.session_ids import new_node
from mcp_echo.sessions.budget import StateBudget
from mcp_echo.sessions.event_log import EventLog
from mcp_echo.sessions.key import SessionKey
from mcp_echo.sessions.lanes import Lanes
from mcp_echo.sessions.limits import holder_of
from mcp_echo.sessions.session import Session, Terms
from mcp_echo.sessions.shares import Shares
from mcp_echo.sessions.store import (
    Clock,
    Counts,
    EndReason,
    Holdings,
    SessionShare,
    Statistics,
    StoreHealth,
    StoreLimits,
    refusal_for,
)


class MemoryStore:
    """Sessions of one process, gone with it.

    Args:
        limits: How many sessions there may be.
        now: The steady clock.
        new_log: Makes a session's message queue.
        ended: Told of every session that ends, and why.
        budget: Counts what all sessions hold; None for one of its own, without limit.
        node: The name of this process; None for a new one.
    """

    def __init__(
        self,
        limits: StoreLimits,
        now: Clock,
        new_log: Callable[[], EventLog] = EventLog,
        *,
        ended: Callable[[Session, EndReason], None] | None = None,
        budget: StateBudget | None = None,
        node: str | None = None,
    ) -> None:
        self.timeout, self.limit = limits.timeout, limits.sessions
        self._limit_of = limits.of
        self.node = new_node() if node is None else node
        self.handles = 0
        self.counts: Counts | None = None
        self.budget = StateBudget() if budget is None else budget
        self.statistics = Statistics()
        self._now = now
        self._new_log = new_log
        self._ended = ended
        self._sessions: dict[str, Session] = {}
        self._lanes = Lanes()
        self._shares = Shares()

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._sessions.values())

    @property
    def holdings(self) -> Holdings:
        """What all sessions hold, counted as it changes."""
        budget = self.budget
        return Holdings(budget.sessions + budget.echoes, budget.echoes, budget.queues, budget.waiting)

    def health(self) -> StoreHealth:
        """Return that memory is well."""
        return StoreHealth("memory", "memory:", True, "closed", None, 0, None)

    def create(self, key: SessionKey, terms: Terms, address: str | None = None) -> Session:
        """Make a session; see `SessionStore.create`."""
        holder = holder_of(key.owner, address)
        self._make_room_for(holder, key.owner)
        self._make_room(holder)
        budget = self.budget.of(holder)
        session = Session(key, terms, self._now(), new_log=self._new_log, budget=budget, holder=holder)
        self._sessions[session.id] = session
        self._lanes.add(session)
        self._shares.add(session)
        self.statistics.created += 1
        self.handles += key.handle
        return session

    def _make_room_for(self, holder: str | None, principal: str | None) -> None:
        """Have a holder stay within its share with one more."""
        limit = self._limit_of(principal)
        if holder is None or limit is None or self._shares.held_by(holder) < limit:
            return
        self._end_expired()
        if self._shares.held_by(holder) < limit:
            return
        session = self._shares.oldest_unused_of(holder)
        if session is None:
            self.statistics.count_refusal(principal)
            wait = self._seconds_until_one_ends(self._shares.sample_of(holder))
            raise refusal_for(principal)(limit, wait)
        self._end(session, "displaced")

    def _make_room(self, holder: str | None) -> None:
        """Have room for one more session of a holder."""
        if len(self._sessions) < self.limit:
            return
        self.expire()
        if len(self._sessions) < self.limit:
            return
        session = self._shares.first_to_give_way(holder)
        if session is None:
            self.statistics.refused += 1
            raise TooManySessions(self.limit, self._seconds_until_one_ends([self._lanes.first()]))
        self._end(session, "displaced")

    def _seconds_until_one_ends(self, sessions: Iterable[Session | None]) -> int:
        now = self._now()
        # An hour's wait is no use to a client that polls; room may come earlier by a DELETE.
        return max(1, min([60, *(int(each.ends - now) + 1 for each in sessions if each is not None)]))

    def use(
        self, session_id: str, principal: str | None, handle: bool = False, notice: bool = False
    ) -> Session:
        """Return a session; see `SessionStore.use`."""
        now = self._now()
        session = self._find(session_id, principal, handle, now)
        session.last_activity = now
        self._lanes.touch(session)
        if not notice:
            session.record.used = True
        return session

    def knows(self, session_id: str) -> bool:
        """Return whether a session or handle of this id lives; see `SessionStore.knows`."""
        return session_id in self._sessions

    def _find(self, session_id: str, principal: str | None, handle: bool, now: float) -> Session:
        session = self._sessions.get(session_id)
        if session is None or session.principal != principal or session.handle is not handle:
            raise SessionNotFound
        if session.is_expired(now):
            self._end(session, "expired")
            raise SessionNotFound
        return session

    def share(self, principal: str | None, address: str) -> SessionShare:
        """Return what a caller has of the sessions; see `SessionStore.share`."""
        self._end_expired()
        limit = self._limit_of(principal)
        holder = holder_of(principal, address)
        held, state = self._shares.held_by(holder), self.budget.of(holder)
        most = self.limit if limit is None else min(limit, self.limit)
        return SessionShare(held, most, state.used, state.left)

    def close(self, session_id: str, principal: str | None, handle: bool = False) -> None:
        """End a session; see `SessionStore.close`."""
        self._end(self._find(session_id, principal, handle, self._now()), "closed")

    def expire(self) -> int:
        """End the expired sessions; what this costs is what it ends."""
        ended = self._end_expired()
        self.statistics.sweeps += 1
        self.statistics.last_sweep = self._now()
        return ended

    def _end_expired(self) -> int:
        now, ended = self._now(), 0
        session = self._lanes.first()
        while session is not None and session.is_expired(now):
            self._end(session, "expired")
            ended += 1
            session = self._lanes.first()
        return ended

    def _end(self, session: Session, reason: EndReason) -> None:
        del self._sessions[session.id]
        self._lanes.remove(session)
        self._shares.remove(session)
        self.handles -= session.handle
        self.statistics.count_end(reason, self._now() - session.created)
        session.end()
        if self._ended is not None:
            self._ended(session, reason)
