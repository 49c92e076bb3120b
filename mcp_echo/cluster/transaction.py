"""How what one request has changed in shared sessions is kept. No I/O."""

from __future__ import annotations

from collections.abc import Callable

from mcp_echo.cluster.cached_session import Draft, Replica
from mcp_echo.cluster.engine import Applied, Change, Close, Conflict, Create, Full, Missing
from mcp_echo.cluster.repository import Keeping
from mcp_echo.cluster.session import SharedSession
from mcp_echo.cluster.session_cache import Copies
from mcp_echo.cluster.unit import Unit
from mcp_echo.protocol.errors import SessionNotFound, TooManySessions
from mcp_echo.sessions.store import Statistics, refusal_for


class Commits:
    """Keeps the work of requests.

    Args:
        keeping: Has changes kept.
        copies: Those of this node.
        statistics: Counts what was made, refused and ended.
        limit: How many sessions may live at once, for the sentence that says so.
        limit_per_principal: How many of them one principal may have, likewise.
        limit_per_address: How many of them one address may have, likewise.
    """

    def __init__(
        self,
        keeping: Keeping,
        copies: Copies,
        statistics: Statistics,
        limit: int,
        limit_of: Callable[[str | None], int],
    ) -> None:
        self._keeping = keeping
        self._copies = copies
        self._statistics = statistics
        self._limit = limit
        self._limit_of = limit_of

    async def keep(self, unit: Unit) -> bool:
        """Keep what a request has changed; return False if it has to be worked on once more."""
        if await self._keep(unit):
            self._statistics.created += len(unit.new)
            return True
        for session, _ in unit.new:
            await self._unmake(unit, session.replica)
        return False

    async def _unmake(self, unit: Unit, replica: Replica) -> None:
        """End what was made, if it was: the next attempt makes it anew, so that nothing counts twice."""
        if unit.replicas.pop(replica.id, None) is not None:
            self._copies.forget(replica)
            self._copies.unlock(replica)
            await self._keeping.submit(Close(replica.id, replica.owner, replica.handle))

    async def _keep(self, unit: Unit) -> bool:
        for session, create in unit.new:
            if not await self._make(unit, session, create):
                return False
        first = True
        # What was used last decides the answer; of the others only counts and messages change.
        for session in reversed(unit.sessions.values()):
            if any(session is made for made, _ in unit.new):
                continue
            if not await self._keep_session(unit, session, may_retry=not first):
                return False
            first = False
        for session in unit.closed:
            if not await self._close(unit, session):
                return False
        return True

    async def _make(self, unit: Unit, session: SharedSession, create: Create) -> bool:
        draft = session.seal()
        change = draft.change(self._keeping.mark())
        outcome = await self._keeping.submit(create._replace(state=change.state, used=change.used))
        if isinstance(outcome, Full):
            self._refuse(unit, create.owner, outcome)
            return False
        if not isinstance(outcome, Applied):
            raise SessionNotFound
        replica = session.replica
        replica.created = replica.used = outcome.created
        self._copies.remember(replica)
        await self._copies.lock(replica)
        unit.replicas[replica.id] = replica
        if change.add or change.held.echoed:
            # A record begins with its state alone.
            replica.version = 1
            change = change._replace(version=1)
            outcome = await self._keeping.submit(change)
            if isinstance(outcome, Missing):
                self._lost(unit, replica)
            if not isinstance(outcome, Applied):
                return False
        self._applied(session, change)
        return True

    def _refuse(self, unit: Unit, owner: str | None, full: Full) -> None:
        """Have the next attempt refused."""
        if full.whose == "holder":
            self._statistics.count_refusal(owner)
            unit.refusal = refusal_for(owner)(self._limit_of(owner), full.seconds)
        else:
            self._statistics.refused += 1
            unit.refusal = TooManySessions(self._limit, full.seconds)

    async def _keep_session(self, unit: Unit, session: SharedSession, *, may_retry: bool) -> bool:
        base, replica = session.replica.kept, session.replica
        draft = session.seal()
        while True:
            change = draft.change(self._keeping.mark())
            outcome = await self._keeping.submit(change)
            if isinstance(outcome, Applied):
                self._applied(session, change, draft)
                return True
            if isinstance(outcome, Conflict):
                await self._keeping.follow(replica, outcome.record, change.known)
            elif isinstance(outcome, Missing):
                self._lost(unit, replica)
            if not may_retry or isinstance(outcome, Missing):
                return may_retry
            draft = self._keeping.draft(replica, self._keeping.engine.now())
            session.redo(draft, base)

    def _applied(self, session: SharedSession, change: Change, draft: Draft | None = None) -> None:
        session.close_draft()
        self._keeping.apply(draft or session.draft, change)

    async def _close(self, unit: Unit, session: SharedSession) -> bool:
        replica = session.replica
        tell = tuple(sorted((replica.ledger.holders() | set(replica.kept.watchers)) - {self._keeping.node}))
        outcome = await self._keeping.submit(Close(replica.id, replica.owner, replica.handle, tell))
        if isinstance(outcome, Applied):
            lifetime = max(0, self._keeping.engine.now() - outcome.created) / 1000
            self._statistics.count_end("closed", lifetime)
            unit.effects.insert(0, lambda: self._keeping.gone(replica, "closed"))
            return True
        self._lost(unit, replica)
        return False

    def _lost(self, unit: Unit, replica: Replica) -> None:
        """Have the next attempt find that a session is not there, or make it anew if it made it."""
        self._keeping.gone(replica)
        unit.missing.add(replica.id)
        unit.replicas.pop(replica.id, None)
        self._copies.unlock(replica)
