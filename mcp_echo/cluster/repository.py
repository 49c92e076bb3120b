"""How the copies on one node and what is kept of sessions come to be the same. No I/O."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import NamedTuple

import msgspec

from mcp_echo.cluster.budget import SharedBudget
from mcp_echo.cluster.cached_session import CachedSession, Draft
from mcp_echo.cluster.engine import Change, Engine, Found, KeptRecord, Load, Outcome, Peek
from mcp_echo.cluster.engine import Operation as EngineOperation
from mcp_echo.cluster.session_cache import SessionCache
from mcp_echo.cluster.stream_log import LEASE, Bounds, Unkept
from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.sessions.key import SessionKey
from mcp_echo.sessions.store import EndReason

_MEAN_OVER = 64
"""Changes over which the mean size of a session is taken, each counting less the longer it is ago."""

SPOILT_QUIET = 60_000
"""Milliseconds between two lines of the log about records that cannot be used."""
SPOILT_RETRY = 30
"""Seconds after which a record that cannot be used may be another one."""


class StoreHooks(NamedTuple):
    """Who is told of what happens to shared sessions."""

    ended: Callable[[str, EndReason, CachedSession | None], None]
    """Told of every session that has ended here, and why."""
    echoed: Callable[[str], None]
    """Told of every echo in a session whose echoes have a listener here."""
    tell: Callable[[str], None] | None = None
    """Told, in a sentence for the operator, of what could not be kept or used."""


class Repository:
    """Has changes of sessions kept, and follows those of others.

    Args:
        engine: Keeps them.
        cache: Those of this node.
        budget: Counts what all sessions hold.
        bounds: How much the log of one session keeps.
        hooks: Who is told of what happens.
    """

    def __init__(
        self,
        engine: Engine,
        cache: SessionCache,
        budget: SharedBudget,
        bounds: Bounds,
        hooks: StoreHooks,
    ) -> None:
        self.engine = engine
        self.node = engine.node
        self.cache = cache
        self.budget = budget
        self.bounds = bounds
        self.ended, self._echoed, self._tell = hooks
        self.telling: int | None = None
        """The echo count that is being told of now."""
        self.mean_state = 0.0
        """Bytes that a session takes without messages and echo: the mean of those changed here lately."""
        self._spoilt_until = 0
        """Milliseconds of the engine's clock until which no further record is told of that cannot be used."""
        self.marks = count((secrets.randbits(32) << 16) + 1)
        """The numbers of the changes that this node makes."""
        self._cut_off = -LEASE
        """Milliseconds of the engine's clock when it could not be reached last."""

    def copy_of(self, key: SessionKey, record: KeptRecord) -> CachedSession:
        """Return a copy of a session, from what is kept of it."""
        return CachedSession(key, record, self.bounds, self.node)

    async def find(self, want: SessionKey) -> CachedSession | None:
        """Return the copy of a session, read if it is not here; None if there is none, or it is another's.

        Raises:
            StoreUnavailable: It could not be read.
        """
        cached = self.cache.use(want.id)
        if cached is not None or not want.is_possible:
            return cached
        outcome = await self.submit(Load(*want))
        if not isinstance(outcome, Found):
            return None
        # Another request may have read it meanwhile.
        cached = self.cache.get(want.id)
        if cached is None:
            with self._reading():
                cached = self.copy_of(want, outcome.record)
            self.cache.remember(cached)
        return cached

    def draft(self, cached: CachedSession) -> Draft:
        """Return a draft of a session, which begins from its copy."""
        now = self.engine.now()
        # After an outage the leases of all have run out: those who live get the time to say so.
        # A clock that was set back meanwhile tells nothing of it.
        patient = 0 <= now - self._cut_off < LEASE
        return Draft(cached, now, self.budget.has_room, patient)

    async def submit(self, operation: EngineOperation) -> Outcome:
        """Have the engine carry out an operation.

        Raises:
            StoreUnavailable: See `Engine.submit`; or what the engine keeps is not what it should be.
        """
        try:
            return await self.engine.submit(operation)
        except StoreUnavailable:
            self._cut_off = self.engine.now()
            raise
        except self.engine.faults as error:
            raise self._spoilt(error) from None

    def _spoilt(self, error: Exception) -> StoreUnavailable:
        """Return the refusal where a record cannot be used; the operator hears of one a minute."""
        now = self.engine.now()
        if self._tell is not None and not self._spoilt_until - SPOILT_QUIET <= now < self._spoilt_until:
            self._spoilt_until = now + SPOILT_QUIET
            self._tell(
                "Another program has changed a session in the store; requests for it get 503 until it "
                f"expires ({type(error).__name__}: {error}); find out what else writes to the store"
            )
        return StoreUnavailable(SPOILT_RETRY)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Refuse a record that is not what was kept.

        Raises:
            StoreUnavailable: It is not.
        """
        try:
            yield
        except (msgspec.MsgspecError, TypeError, ValueError, AttributeError) as error:
            raise self._spoilt(error) from None

    def apply(self, draft: Draft, change: Change) -> None:
        """Take over what was kept, and let the connections here have what is theirs."""
        cached, stream_log = draft.cached, draft.worked_log
        unkept: list[Unkept] = []
        if stream_log is not None:
            unkept = stream_log.unkept
            self.budget.messages_queued += stream_log.queued
            for size in stream_log.lost:
                self.lose(size)
        if draft.echo_refused:
            self.budget.refuse_echo()
        size = len(change.state)
        self.mean_state += (size - self.mean_state) / _MEAN_OVER if self.mean_state else size
        cached.apply(draft, change, self.engine.now())
        self.cache.count(cached)
        self._deliver(cached, unkept)

    def lose(self, size: int) -> None:
        """Count a message that is lost."""
        self.budget.messages_dropped += 1
        self.budget.lose_message(size, self.bounds.bytes)

    def _deliver(self, cached: CachedSession, unkept: list[Unkept]) -> None:
        """Let connections here have what is theirs, and those who want to hear of echoes hear of them."""
        if cached.streams or unkept:
            for size in cached.deliver(unkept):
                self.lose(size)
        if cached.watched:
            self._tell_echoes(cached)

    def lose_unclaimed(self, cached: CachedSession) -> None:
        """Count what was not kept and no connection has come for as lost."""
        for size in cached.drop_unclaimed():
            self.lose(size)

    def _tell_echoes(self, cached: CachedSession) -> None:
        while cached.seen_echoes < cached.stored.record.echo_count:
            cached.seen_echoes += 1
            self.telling = cached.seen_echoes
            try:
                self._echoed(cached.id)
            finally:
                self.telling = None

    async def follow(self, cached: CachedSession, record: KeptRecord, known: int) -> None:
        """Take over what another node has kept.

        A record may have gone back: to the copy that an operator has put in the place of a file, or to what
        was known by the replica of Redis that has taken over.
        """
        gone_back = record.version < cached.version or known > cached.known
        with self._reading():
            if gone_back or not cached.follow(record, known):
                outcome = await self.submit(Peek(cached.id))
                if isinstance(outcome, Found):
                    cached.follow(outcome.record)
        self.cache.count(cached)
        # Of a try that had come to something only the answer was lost.
        cached.drop_tried(cached.stored.marks.get(self.node, 0))
        self._deliver(cached, [])

    def gone(self, cached: CachedSession, reason: EndReason | None = None) -> None:
        """A session has ended, on this node or another: let go of everything that hangs on it.

        Args:
            cached: The copy.
            reason: Why; None where that is not known here.
        """
        if not self.cache.has(cached):
            return
        self.cache.forget(cached)
        for size in cached.end():
            self.lose(size)
        if reason is None:
            idle = self.engine.now() - cached.used
            if idle < cached.stored.timeout and not cached.stored.record.used:
                # It was closed or gave way: whoever did that tells of it, and nothing here hangs on it.
                return
            # What had time left when it was last seen was closed, by a request to another node.
            reason = "expired" if idle >= cached.stored.timeout else "closed"
        self.ended(cached.id, reason, cached)
