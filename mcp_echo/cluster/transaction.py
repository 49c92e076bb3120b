"""One request's work on shared sessions, from the first attempt until what it changed is kept. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from mcp_echo.cluster.cached_session import CachedSession
from mcp_echo.cluster.engine import (
    Applied,
    Close,
    Conflict,
    Count,
    Counted,
    Create,
    Full,
    KeptRecord,
    Missing,
)
from mcp_echo.cluster.record import StoredSession, encode
from mcp_echo.cluster.session import Keeper, SharedSession
from mcp_echo.protocol.errors import SessionNotFound, TooManySessions, TooManySessionsForHolder
from mcp_echo.protocol.revisions import KNOWN, Revision
from mcp_echo.sessions.key import SessionKey
from mcp_echo.sessions.limits import holder_of
from mcp_echo.sessions.store import Clock, Statistics, refusal_for

_REVISIONS = {revision.name: revision for revision in KNOWN}


class Sessions(Keeper, Protocol):
    """What a transaction needs of the store."""

    now: Clock
    statistics: Statistics
    limit: int
    """How many sessions may live at once."""

    def limit_of(self, principal: str | None) -> int:
        """Return how many sessions a principal may have, or an address for None."""


class Transaction:
    """One request's work on sessions, from the first attempt until what it changed is kept.

    Args:
        store: The store.
        wants: Sessions that it is known to need.
    """

    def __init__(self, store: Sessions, wants: Iterable[SessionKey]) -> None:
        self._store = store
        self._repository = store.repository
        self._cache = store.repository.cache
        self._wants = {want.id: want for want in wants}
        self._locked: dict[str, CachedSession] = {}
        """Those that are this transaction's to change."""
        self._missing: set[str] = set()
        """Sessions that are known not to be there, or not to be the caller's."""
        self._counted: dict[Count, int] = {}
        """How many sessions each caller asked about has, as the engine counted them since the last change."""
        self._refusal: TooManySessions | TooManySessionsForHolder | None = None
        self.ended: list[CachedSession] = []
        """Those that it has closed."""
        self.late: list[str] = []
        """Sessions whose part of the work is kept late, for which the answer has to wait."""

    def begin(self) -> None:
        """Begin an attempt: nothing of an earlier one has happened."""
        self.sessions: dict[str, SharedSession] = {}
        self._used: list[SharedSession] = []
        """Those of them that were there before; the one that was used last decides the answer."""
        self.new: list[tuple[SharedSession, Create]] = []
        self._closed: dict[str, SharedSession] = {}
        self._unread: list[SessionKey] = []
        """Sessions that were asked for and are not here, so that it has to be worked on again with them."""
        self._uncounted: list[Count] = []
        """The same of callers whose sessions have to be counted."""

    # What the work asks for.

    def use(self, want: SessionKey, notice: bool = False) -> SharedSession:
        """Return a session; see `SessionStore.use`."""
        session = self.sessions.get(want.id)
        if session is None:
            session = self._draw(want)
        elif want.id in self._closed or (session.principal, session.handle) != (want.owner, want.handle):
            raise SessionNotFound
        draft = session.working
        draft.touch = True
        if not notice:
            draft.stored.record.used = True
        return session

    def _draw(self, want: SessionKey) -> SharedSession:
        cached = self._locked.get(want.id) or self._take(want)
        revision = _REVISIONS.get(cached.stored.revision)
        # One that this node does not know is another version's, which may serve it.
        if cached.owner != want.owner or cached.handle is not want.handle or revision is None:
            raise SessionNotFound
        session = self._session(cached, revision)
        self._used.append(session)
        return session

    def _take(self, want: SessionKey) -> CachedSession:
        if want.id in self._missing or not want.is_possible:
            raise SessionNotFound
        cached = self._cache.take(want.id)
        if cached is None:
            self._unread.append(want)
            raise SessionNotFound
        self._locked[want.id] = cached
        return cached

    def _session(self, cached: CachedSession, revision: Revision) -> SharedSession:
        draft = self._repository.draft(cached)
        session = SharedSession(self._store, cached, draft, revision, self._store.now())
        self.sessions[cached.id] = session
        return session

    def create(
        self, key: SessionKey, stored: StoredSession, revision: Revision, address: str | None
    ) -> SharedSession:
        """Return a new session, which is kept with the rest of the work."""
        if self._refusal is not None:
            raise self._refusal
        now = self._repository.engine.now()
        record = KeptRecord(0, encode(stored), None, now, now, ())
        session = self._session(self._repository.copy_of(key, record), revision)
        self.new.append((session, Create(*key, stored.timeout, b"", address)))
        return session

    def close(self, want: SessionKey) -> None:
        """End a session; see `SessionStore.close`."""
        session = self.use(want)
        self._closed[session.id] = session

    def held_by(self, principal: str | None, address: str, most: int) -> int:
        """Return how many sessions a caller has, with what this attempt has made and ended so far.

        Args:
            principal: Who the caller is, or None.
            address: The caller's network address.
            most: How many it may have: one that it makes beyond that takes the place of another of its own.
        """
        count = Count(principal, address)
        counted = self._counted.get(count)
        if counted is None:
            self._uncounted.append(count)
            return 0
        holder = holder_of(principal, address)
        made = sum(holder_of(create.owner, create.address) == holder for _, create in self.new)
        # The address that made a session without a principal is not known here; it is taken for the caller's.
        ended = sum(session.principal == principal for session in self._closed.values())
        return max(0, min(counted + made, max(counted, most)) - ended)

    # What the work needs, and what becomes of it.

    async def obtain(self) -> None:
        """Have every session that is needed here, and to oneself.

        Raises:
            StoreUnavailable: One could not be read.
        """
        # In one order for all, so that no two wait for each other.
        for want in sorted(self._wants.values()):
            if want.id in self._locked or want.id in self._missing:
                continue
            cached = self._cache.take(want.id) or await self._wait_for(want)
            if cached is None:
                self._missing.add(want.id)
            else:
                self._locked[want.id] = cached

    async def _wait_for(self, want: SessionKey) -> CachedSession | None:
        cached = await self._repository.find(want)
        if cached is not None:
            await self._cache.lock(cached)
        return cached

    def release(self) -> None:
        """Let others have what was this transaction's."""
        locked, self._locked = self._locked, {}
        for cached in locked.values():
            if cached.unclaimed:
                self._repository.lose_unclaimed(cached)
            self._cache.unlock(cached)

    async def keep(self) -> bool:
        """Keep what the attempt has changed; return False if it has to be worked on once more.

        Raises:
            StoreUnavailable: It could not be kept.
        """
        if self._unread or self._uncounted:
            await self._learn()
            return False
        if (self.new and not await self._make_all()) or (self._used and not await self._keep_deciding()):
            # Others have changed what is there.
            self._counted.clear()
            await self._unmake()
            return False
        # From here on nothing is worked on again.
        for session in self._closed.values():
            await self._close(session)
        for session in self._used[:-1]:
            self._keep_late(session)
        self._store.statistics.created += len(self.new)
        return True

    async def _learn(self) -> None:
        """Come to know what the attempt lacked."""
        if self._unread:
            self._wants.update((want.id, want) for want in self._unread)
            # All of them are obtained anew, in their order.
            self.release()
            return
        for count in self._uncounted:
            outcome = await self._repository.submit(count)
            if isinstance(outcome, Counted):
                self._counted[count] = outcome.records

    async def _make_all(self) -> bool:
        for session, create in self.new:
            if not await self._make(session, create):
                return False
        return True

    async def _make(self, session: SharedSession, create: Create) -> bool:
        cached, draft = session.cached, session.working
        change = draft.change(next(self._repository.marks))
        outcome = await self._repository.submit(create._replace(state=change.state, used=change.used))
        if isinstance(outcome, Full):
            self._refuse(create.owner, outcome)
            return False
        if not isinstance(outcome, Applied):
            raise SessionNotFound
        cached.created = cached.used = outcome.created
        self._cache.remember(cached)
        await self._cache.lock(cached)
        self._locked[cached.id] = cached
        if change.add or change.held.echoed:
            # A record begins with its state alone.
            cached.version = 1
            change = change._replace(version=1)
            outcome = await self._repository.submit(change)
            if isinstance(outcome, Missing):
                self._lost(cached)
            if not isinstance(outcome, Applied):
                return False
        session.settle()
        self._repository.apply(draft, change)
        return True

    def _refuse(self, owner: str | None, full: Full) -> None:
        """Have the next attempt refused."""
        statistics, store = self._store.statistics, self._store
        if full.whose == "holder":
            statistics.count_refusal(owner)
            self._refusal = refusal_for(owner)(store.limit_of(owner), full.seconds)
        else:
            statistics.refused += 1
            self._refusal = TooManySessions(store.limit, full.seconds)

    async def _unmake(self) -> None:
        """End what was made: the next attempt makes it anew, so that nothing counts twice."""
        for session, _ in self.new:
            cached = self._locked.pop(session.id, None)
            if cached is not None:
                self._cache.forget(cached)
                self._cache.unlock(cached)
                await self._repository.submit(Close(cached.id, cached.owner, cached.handle))

    async def _keep_deciding(self) -> bool:
        """Keep what becomes of the session that decides the answer; return False if others were faster."""
        session = self._used[-1]
        cached, draft = session.cached, session.working
        change = draft.change(next(self._repository.marks))
        outcome = await self._repository.submit(change)
        if isinstance(outcome, Applied):
            session.settle()
            self._repository.apply(draft, change)
            return True
        if isinstance(outcome, Conflict):
            await self._repository.follow(cached, outcome.record, change.known)
        elif isinstance(outcome, Missing):
            self._lost(cached)
        return False

    def _keep_late(self, session: SharedSession) -> None:
        if session.id not in self._closed:
            self._store.maintenance.later(session.cached, session.kept_later())
            self.late.append(session.id)
        session.settle()

    async def _close(self, session: SharedSession) -> None:
        cached, repository = session.cached, self._repository
        tell = (cached.stream_log.owners() | set(cached.stored.watchers)) - {repository.node}
        close = Close(cached.id, cached.owner, cached.handle, tuple(sorted(tell)))
        outcome = await repository.submit(close)
        if isinstance(outcome, Applied):
            lifetime = max(0, repository.engine.now() - outcome.created) / 1000
            self._store.statistics.count_end("closed", lifetime)
            self.ended.append(cached)
        else:
            # Another node was faster; it is over all the same.
            self._lost(cached)

    def _lost(self, cached: CachedSession) -> None:
        """Have the next attempt find that a session is not there, or make it anew if it made it."""
        self._repository.gone(cached)
        self._missing.add(cached.id)
        self._locked.pop(cached.id, None)
        self._cache.unlock(cached)
