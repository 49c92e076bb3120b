"""One request's work on shared sessions, from the first attempt until what it changed is kept. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from mcp_echo.cluster.cached_session import CachedSession
from mcp_echo.cluster.engine import Count, Create, Record
from mcp_echo.cluster.record import StoredSession, encode
from mcp_echo.cluster.repository import Repository
from mcp_echo.cluster.session import Keeper, SharedSession
from mcp_echo.cluster.session_cache import SessionCache
from mcp_echo.protocol.errors import SessionNotFound, TooManySessions, TooManySessionsForHolder
from mcp_echo.protocol.revisions import Revision
from mcp_echo.sessions.limits import holder_of
from mcp_echo.sessions.store import Clock, SessionKey


class Sessions(Keeper, Protocol):
    """What a transaction needs of the store."""

    now: Clock

    @property
    def cache(self) -> SessionCache:
        """The copies of this node."""

    @property
    def repository(self) -> Repository:
        """Has changes kept."""


class Transaction:
    """One request's work on sessions, from the first attempt until what it changed is kept.

    Args:
        store: The store.
        wants: Sessions that it is known to need.
    """

    def __init__(self, store: Sessions, wants: Iterable[SessionKey]) -> None:
        self.store = store
        self.wants = {want.id: want for want in wants}
        self.late: list[str] = []
        """Sessions whose part of the work is kept late, for which the answer has to wait."""
        self.ended: list[CachedSession] = []
        """Those that it has closed."""
        self.locked: dict[str, CachedSession] = {}
        """Those that are this transaction's to change."""
        self.missing: set[str] = set()
        """Sessions that are known not to be there, or not to be the caller's."""
        self.refusal: TooManySessions | TooManySessionsForHolder | None = None
        self.counted: dict[Count, int] = {}
        """How many sessions each caller asked about has, as the engine counted them since the last change."""
        self.begin()

    def begin(self) -> None:
        """Begin an attempt: nothing of an earlier one has happened."""
        self.sessions: dict[str, SharedSession] = {}
        self.closed: dict[str, SharedSession] = {}
        self.new: list[tuple[SharedSession, Create]] = []
        self.unread: list[SessionKey] = []
        """Sessions that were asked for and are not here, so that it has to be worked on again with them."""
        self.uncounted: list[Count] = []
        """The same of callers whose sessions have to be counted."""

    def use(self, want: SessionKey, notice: bool = False) -> SharedSession:
        """Return a session; see `SessionStore.use`."""
        session = self.sessions.get(want.id)
        if session is None:
            session = self._draw(want)
        elif want.id in self.closed or (session.principal, session.handle) != (want.owner, want.handle):
            raise SessionNotFound
        session.working.touch = True
        record = session.record
        record.used = record.used or not notice
        return session

    def _draw(self, want: SessionKey) -> SharedSession:
        if want.id in self.missing or not want.is_possible:
            raise SessionNotFound
        cached = self.locked.get(want.id) or self.store.cache.take(want.id)
        if cached is None:
            self.unread.append(want)
            raise SessionNotFound
        self.locked[want.id] = cached
        if cached.owner != want.owner or cached.handle is not want.handle or cached.revision is None:
            raise SessionNotFound
        return self._session(cached, cached.revision)

    def _session(self, cached: CachedSession, revision: Revision) -> SharedSession:
        store = self.store
        engine_now = store.repository.engine.now()
        draft = store.repository.draft(cached, engine_now)
        session = SharedSession(store, cached, draft, engine_now, store.now(), revision)
        self.sessions[cached.id] = session
        return session

    def create(
        self, want: SessionKey, stored: StoredSession, revision: Revision, address: str | None
    ) -> SharedSession:
        """Return a new session, which is kept with the rest of the work."""
        if self.refusal is not None:
            raise self.refusal
        now = self.store.repository.engine.now()
        record = Record(0, encode(stored), None, now, now, ())
        cached = CachedSession(
            want.id, want.owner, want.handle, record, self.store.repository.bounds, self.store.node
        )
        session = self._session(cached, revision)
        self.new.append((session, Create(want.id, want.owner, want.handle, stored.timeout, b"", address)))
        return session

    def close(self, want: SessionKey) -> None:
        """End a session; see `SessionStore.close`."""
        session = self.use(want)
        self.closed[session.id] = session

    def held_by(self, principal: str | None, address: str, most: int) -> int:
        """Return how many sessions a caller has, with what this attempt has made and ended so far.

        Args:
            principal: Who the caller is, or None.
            address: The caller's network address.
            most: How many it may have: one that it makes beyond that takes the place of another of its own.
        """
        count = Count(principal, address)
        counted = self.counted.get(count)
        if counted is None:
            self.uncounted.append(count)
            return 0
        holder = holder_of(principal, address)
        made = sum(holder_of(create.owner, create.address) == holder for _, create in self.new)
        # The address that made a session without a principal is not known here; it is taken for the caller's.
        ended = sum(session.principal == principal for session in self.closed.values())
        return max(0, min(counted + made, max(counted, most)) - ended)
