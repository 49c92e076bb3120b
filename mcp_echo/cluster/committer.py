"""How what one request has changed in shared sessions is kept. No I/O."""

from __future__ import annotations

from collections.abc import Callable

from mcp_echo.cluster.cached_session import CachedSession, Operation
from mcp_echo.cluster.engine import Applied, Change, Close, Conflict, Create, Full, Missing
from mcp_echo.cluster.repository import Repository
from mcp_echo.cluster.session import SharedSession
from mcp_echo.cluster.session_cache import SessionCache
from mcp_echo.cluster.transaction import Transaction
from mcp_echo.protocol.errors import SessionNotFound, TooManySessions
from mcp_echo.sessions.store import Statistics, refusal_for


class Committer:
    """Keeps the work of requests.

    Args:
        repository: Has changes kept.
        cache: Those of this node.
        statistics: Counts what was made, refused and ended.
        limit: How many sessions may live at once, for the sentence that says so.
        limit_of: Returns how many of them a principal may have, or an address for None, likewise.
        later: Makes a change as soon as may be.
    """

    def __init__(
        self,
        repository: Repository,
        cache: SessionCache,
        statistics: Statistics,
        limit: int,
        limit_of: Callable[[str | None], int],
        later: Callable[[CachedSession, Operation], None],
    ) -> None:
        self._repository = repository
        self._cache = cache
        self._statistics = statistics
        self._limit = limit
        self._limit_of = limit_of
        self._later = later

    async def keep(self, transaction: Transaction) -> bool:
        """Keep what a request has changed; return False if it has to be worked on once more."""
        if await self._keep(transaction):
            self._statistics.created += len(transaction.new)
            return True
        for session, _ in transaction.new:
            await self._unmake(transaction, session.cached)
        return False

    async def _unmake(self, transaction: Transaction, cached: CachedSession) -> None:
        """End what was made, if it was: the next attempt makes it anew, so that nothing counts twice."""
        if transaction.locked.pop(cached.id, None) is not None:
            self._cache.forget(cached)
            self._cache.unlock(cached)
            await self._repository.submit(Close(cached.id, cached.owner, cached.handle))

    async def _keep(self, transaction: Transaction) -> bool:
        for session, create in transaction.new:
            if not await self._make(transaction, session, create):
                return False
        made = {session.id for session, _ in transaction.new}
        used = [session for session in transaction.sessions.values() if session.id not in made]
        # What was used last decides the answer.
        if used and not await self._keep_session(transaction, used.pop()):
            return False
        # From here on nothing is worked on again.
        for session in transaction.closed.values():
            await self._close(transaction, session)
        for session in used:
            if session.id not in transaction.closed:
                self._later(session.cached, session.kept_later())
                transaction.late.append(session.id)
            session.settle()
        return True

    async def _make(self, transaction: Transaction, session: SharedSession, create: Create) -> bool:
        change = session.working.change(self._repository.mark())
        outcome = await self._repository.submit(create._replace(state=change.state, used=change.used))
        if isinstance(outcome, Full):
            self._refuse(transaction, create.owner, outcome)
            return False
        if not isinstance(outcome, Applied):
            raise SessionNotFound
        cached = session.cached
        cached.created = cached.used = outcome.created
        self._cache.remember(cached)
        await self._cache.lock(cached)
        transaction.locked[cached.id] = cached
        if change.add or change.held.echoed:
            # A record begins with its state alone.
            cached.version = 1
            change = change._replace(version=1)
            outcome = await self._repository.submit(change)
            if isinstance(outcome, Missing):
                self._lost(transaction, cached)
            if not isinstance(outcome, Applied):
                return False
        self._applied(session, change)
        return True

    def _refuse(self, transaction: Transaction, owner: str | None, full: Full) -> None:
        """Have the next attempt refused."""
        if full.whose == "holder":
            self._statistics.count_refusal(owner)
            transaction.refusal = refusal_for(owner)(self._limit_of(owner), full.seconds)
        else:
            self._statistics.refused += 1
            transaction.refusal = TooManySessions(self._limit, full.seconds)

    async def _keep_session(self, transaction: Transaction, session: SharedSession) -> bool:
        cached, draft = session.cached, session.working
        change = draft.change(self._repository.mark())
        outcome = await self._repository.submit(change)
        if isinstance(outcome, Applied):
            self._applied(session, change)
            return True
        if isinstance(outcome, Conflict):
            await self._repository.follow(cached, outcome.record, change.known)
        elif isinstance(outcome, Missing):
            self._lost(transaction, cached)
        return False

    def _applied(self, session: SharedSession, change: Change) -> None:
        draft = session.working
        session.settle()
        self._repository.apply(draft, change)

    async def _close(self, transaction: Transaction, session: SharedSession) -> None:
        cached = session.cached
        tell = tuple(
            sorted((cached.stream_log.owners() | set(cached.stored.watchers)) - {self._repository.node})
        )
        outcome = await self._repository.submit(Close(cached.id, cached.owner, cached.handle, tell))
        if isinstance(outcome, Applied):
            lifetime = max(0, self._repository.engine.now() - outcome.created) / 1000
            self._statistics.count_end("closed", lifetime)
            transaction.ended.append(cached)
        else:
            # Another node was faster; it is over all the same.
            self._lost(transaction, cached)

    def _lost(self, transaction: Transaction, cached: CachedSession) -> None:
        """Have the next attempt find that a session is not there, or make it anew if it made it."""
        self._repository.gone(cached)
        transaction.missing.add(cached.id)
        transaction.locked.pop(cached.id, None)
        self._cache.unlock(cached)
