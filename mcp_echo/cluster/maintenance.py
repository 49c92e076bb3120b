"""What a node does for shared sessions beside requests: late changes, leases, looks. No I/O."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from mcp_echo.cluster.cached_session import UNKNOWN, CachedSession, Draft, Operation
from mcp_echo.cluster.engine import Applied, Broadcast, Conflict, Found, Peek, Sweep, Swept
from mcp_echo.cluster.repository import Repository
from mcp_echo.cluster.session_cache import SessionCache, Waits
from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.sessions.key import SessionKey
from mcp_echo.sessions.store import EndReason, Statistics

RETRY = 0.5
"""Seconds between two tries to keep a change that could not be kept."""

T = TypeVar("T")
Spawn = Callable[[Coroutine[Any, Any, None]], Callable[[], None]]


class Maintenance:
    """Looks after the sessions on which something on this node depends.

    Args:
        repository: Has changes kept.
        cache: Those of this node.
        timers: Ways to wait.
        spawn: Starts work that goes on by itself.
    """

    def __init__(self, repository: Repository, cache: SessionCache, timers: Waits, spawn: Spawn) -> None:
        self._repository = repository
        self._cache = cache
        self._timers = timers
        self._spawn = spawn
        self._flushing: set[str] = set()
        self._unacknowledged: set[str] = set()
        self.stopping = False
        """True once nothing is tried again any more."""
        self.bury: Callable[[CachedSession, EndReason], object] = lambda _cached, _reason: None
        """Tells other nodes of a session that this one has ended."""

    def engine_now(self) -> int:
        """Return the milliseconds of the engine's clock."""
        return self._repository.engine.now()

    @property
    def is_idle(self) -> bool:
        """Whether no late change waits to be kept."""
        return not self._flushing

    def later(self, cached: CachedSession, operation: Operation, size: int = 0) -> None:
        """Make a change as soon as may be.

        Args:
            cached: Of which session.
            operation: The change.
            size: Bytes of messages in it, if they may be lost when too many wait.
        """
        if cached.has_ended:
            for lost in cached.carry_out(operation):
                self._repository.lose(lost)
            return
        known = self._cache.get(cached.id)
        if known is None:
            self._cache.remember(cached)
        else:
            cached = known
        if size and sum(size for _, size in cached.later) + size > self._repository.bounds.bytes:
            self._repository.lose(size)
            return
        cached.later.append((operation, size))
        if cached.id not in self._flushing:
            self._flushing.add(cached.id)
            self._spawn(self._flush(cached))

    async def _flush(self, cached: CachedSession) -> None:
        try:
            while cached.later:
                try:
                    await self._flush_once(cached)
                except StoreUnavailable as error:
                    cached.settle(error)
                    # Nothing is lost: it is tried again for as long as it takes.
                    if self.stopping:
                        return
                    await self._timers.sleep(RETRY)
        finally:
            self._flushing.discard(cached.id)
            cached.settle(None)

    async def settle(self, session_id: str) -> None:
        """Wait until the late changes of a session are kept that there are by now.

        Raises:
            StoreUnavailable: They could not be at the first try; they will be.
        """
        cached = self._cache.get(session_id)
        if cached is None or not cached.later:
            return
        promise = self._timers.promise(None)
        cached.settling.append(promise)
        error = await promise
        if error is not None:
            raise error

    async def _flush_once(self, cached: CachedSession) -> None:
        await self._cache.lock(cached)
        try:
            while cached.later:
                operations = list(cached.later)
                draft = self._repository.draft(cached)
                for operation, _ in operations:
                    operation(draft)
                mark = next(self._repository.marks)
                change = draft.change(mark)
                # Until the answer is there, it may have been carried out or not.
                cached.tried[mark] = len(operations)
                outcome = await self._repository.submit(change)
                if isinstance(outcome, Applied):
                    cached.drop_tried(mark)
                    self._repository.apply(draft, change)
                    self._repository.lose_unclaimed(cached)
                elif isinstance(outcome, Conflict):
                    await self._repository.follow(cached, outcome.record, change.known)
                    # What had come to something is told by what is kept now; the rest had not.
                    cached.tried.clear()
                else:
                    self._repository.gone(cached)
        finally:
            self._cache.unlock(cached)

    def delivered(self, cached: CachedSession) -> None:
        """A connection has taken a message, which others may want to know in time."""
        self._unacknowledged.add(cached.id)

    def acknowledge(self) -> None:
        """Keep what the connections here have taken; called every `ACKNOWLEDGE` seconds."""
        delivered, self._unacknowledged = self._unacknowledged, set()
        for session_id in delivered:
            cached = self._cache.get(session_id)
            if cached is not None and cached.streams:
                self.later(cached, _note_written)

    def beat(self) -> None:
        """Renew the leases of what is held here, and look at it anew; called every `HEARTBEAT` seconds."""
        for cached in self._cache:
            if cached.streams:
                self.later(cached, _renew)
            elif cached.watched or cached.running or cached.expected:
                self._look(cached)

    def invalidated(self, record_id: str) -> None:
        """A record has changed, or has ended; see `mcp_echo.cluster.engine.EngineListener.invalidated`."""
        cached = self._cache.get(record_id)
        if cached is not None and cached.needed:
            self._look(cached)

    def caught_up(self) -> None:
        """Look at everything held; see `mcp_echo.cluster.engine.EngineListener.caught_up`."""
        for cached in self._cache:
            if cached.needed:
                self._look(cached)

    def replaced(self) -> None:
        """Believe no copy any more; see `mcp_echo.cluster.engine.EngineListener.replaced`."""
        for cached in self._cache:
            if cached.needed:
                cached.version = UNKNOWN
                self._look(cached)
            else:
                self._cache.forget(cached)

    def _look(self, cached: CachedSession) -> None:
        # One that is still to begin sees all that has happened until then.
        if not cached.look_is_due:
            cached.look_is_due = True
            self._spawn(self.look_at(cached))

    async def look_at(self, cached: CachedSession) -> None:
        """Follow what others have changed of a session."""
        await self._cache.lock(cached)
        cached.look_is_due = False
        try:
            known = cached.known
            outcome = await self._repository.submit(Peek(cached.id, known))
            if isinstance(outcome, Found):
                if outcome.record.version != cached.version:
                    await self._repository.follow(cached, outcome.record, known)
            else:
                self._repository.gone(cached)
        except StoreUnavailable:
            # The next heartbeat, or the end of the outage, looks again.
            return
        finally:
            self._cache.unlock(cached)

    async def surely(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """Return what ``work`` returns, which is tried for as long as the engine cannot be reached."""
        while not self.stopping:
            with suppress(StoreUnavailable):
                return await work()
            await self._timers.sleep(RETRY)
        return None

    def broadcast(self, payload: bytes) -> None:
        """Tell every other node, as soon as may be."""
        self._spawn(self._broadcast(payload))

    async def _broadcast(self, payload: bytes) -> None:
        await self.surely(lambda: self._repository.engine.submit(Broadcast(payload)))

    def bring_for(self, want: SessionKey, do: Callable[[CachedSession], None]) -> None:
        """Call ``do`` with a copy of a session as soon as it is here, if it is the owner's."""
        self._spawn(self._bring_for(want, do))

    async def _bring_for(self, want: SessionKey, do: Callable[[CachedSession], None]) -> None:
        cached = await self.surely(lambda: self._repository.find(want))
        if cached is not None and (cached.owner, cached.handle) == (want.owner, want.handle):
            do(cached)

    async def sweep(self, statistics: Statistics) -> None:
        """End the sessions whose time is up, and count them, with those that gave way to others."""
        with suppress(StoreUnavailable):
            swept = await self._repository.engine.submit(Sweep())
            for ended in swept.ended if isinstance(swept, Swept) else ():
                statistics.count_end(ended.reason, ended.lifetime / 1000)
                cached = self._cache.get(ended.id)
                if cached is None:
                    self._repository.ended(ended.id, ended.reason, None)
                else:
                    self._repository.gone(cached, ended.reason)
                    self.bury(cached, ended.reason)
        now = self._repository.engine.now()
        for cached in self._cache:
            # Another node's sweep may have taken it.
            if cached.needed and now - cached.used >= cached.stored.timeout:
                await self.look_at(cached)


def _note_written(draft: Draft) -> None:
    """Change nothing but what the connections here have taken, which every change tells."""
    draft.stream_log  # noqa: B018  # drawing it is what notes them


def _renew(draft: Draft) -> None:
    draft.stream_log.renew(draft.cached.attended)
