"""How what one request has changed in shared sessions is kept. No I/O."""

from __future__ import annotations

from collections.abc import Callable

from mcp_echo.cluster.cached_session import Operation, Replica
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
        limit_of: Returns how many of them a principal may have, or an address for None, likewise.
        later: Makes a change as soon as may be.
    """

    def __init__(
        self,
        keeping: Keeping,
        copies: Copies,
        statistics: Statistics,
        limit: int,
        limit_of: Callable[[str | None], int],
        later: Callable[[Replica, Operation], None],
    ) -> None:
        self._keeping = keeping
        self._copies = copies
        self._statistics = statistics
        self._limit = limit
        self._limit_of = limit_of
        self._later = later

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
        made = {session.id for session, _ in unit.new}
        used = [session for session in unit.sessions.values() if session.id not in made]
        # What was used last decides the answer.
        if used and not await self._keep_session(unit, used.pop()):
            return False
        for session in used:
            self._later(session.replica, session.kept_later())
            session.settle()
            unit.late.append(session.id)
        for session in unit.closed:
            if not await self._close(unit, session):
                return False
        return True

    async def _make(self, unit: Unit, session: SharedSession, create: Create) -> bool:
        change = session.working.change(self._keeping.mark())
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

    async def _keep_session(self, unit: Unit, session: SharedSession) -> bool:
        replica, draft = session.replica, session.working
        change = draft.change(self._keeping.mark())
        outcome = await self._keeping.submit(change)
        if isinstance(outcome, Applied):
            self._applied(session, change)
            return True
        if isinstance(outcome, Conflict):
            await self._keeping.follow(replica, outcome.record, change.known)
        elif isinstance(outcome, Missing):
            self._lost(unit, replica)
        return False

    def _applied(self, session: SharedSession, change: Change) -> None:
        draft = session.working
        session.settle()
        self._keeping.apply(draft, change)

    async def _close(self, unit: Unit, session: SharedSession) -> bool:
        replica = session.replica
        tell = tuple(sorted((replica.ledger.holders() | set(replica.stored.watchers)) - {self._keeping.node}))
        outcome = await self._keeping.submit(Close(replica.id, replica.owner, replica.handle, tell))
        if isinstance(outcome, Applied):
            lifetime = max(0, self._keeping.engine.now() - outcome.created) / 1000
            self._statistics.count_end("closed", lifetime)
            unit.ended.append(replica)
            return True
        self._lost(unit, replica)
        return False

    def _lost(self, unit: Unit, replica: Replica) -> None:
        """Have the next attempt find that a session is not there, or make it anew if it made it."""
        self._keeping.gone(replica)
        unit.missing.add(replica.id)
        unit.replicas.pop(replica.id, None)
        self._copies.unlock(replica)
