"""What a node does for shared sessions beside requests: late changes, leases, looks. No I/O."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from mcp_echo.cluster.cached_session import UNKNOWN, Draft, Operation, Replica
from mcp_echo.cluster.engine import Applied, Conflict, Found, Peek, Sweep, Swept
from mcp_echo.cluster.repository import Keeping
from mcp_echo.cluster.session_cache import Copies, Waits
from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.sessions.store import Statistics

RETRY = 0.5
"""Seconds between two tries to keep a change that could not be kept."""

T = TypeVar("T")
Spawn = Callable[[Coroutine[Any, Any, None]], Callable[[], None]]


class Upkeep:
    """Looks after the sessions on which something on this node depends.

    Args:
        keeping: Has changes kept.
        copies: Those of this node.
        waits: Ways to wait.
        spawn: Starts work that goes on by itself.
    """

    def __init__(self, keeping: Keeping, copies: Copies, waits: Waits, spawn: Spawn) -> None:
        self._keeping = keeping
        self._copies = copies
        self._waits = waits
        self._spawn = spawn
        self._flushing: set[str] = set()
        self._unacknowledged: set[str] = set()
        self.stopping = False
        """True once nothing is tried again any more."""

    @property
    def is_idle(self) -> bool:
        """Whether no late change waits to be kept."""
        return not self._flushing

    def later(self, replica: Replica, operation: Operation, size: int = 0) -> None:
        """Make a change as soon as may be; see `mcp_echo.cluster.session.Keeper.later`."""
        if replica.has_ended:
            for lost in replica.carry_out(operation):
                self._keeping.lose(lost)
            return
        known = self._copies.get(replica.id)
        if known is None:
            self._copies.remember(replica)
        else:
            replica = known
        if size and sum(size for _, size in replica.later) + size > self._keeping.bounds.bytes:
            self._keeping.lose(size)
            return
        replica.later.append((operation, size))
        if replica.id not in self._flushing:
            self._flushing.add(replica.id)
            self._spawn(self._flush(replica))

    async def _flush(self, replica: Replica) -> None:
        try:
            while replica.later:
                try:
                    await self._flush_once(replica)
                except StoreUnavailable as error:
                    replica.settle(error)
                    # Nothing is lost: it is tried again for as long as it takes.
                    if self.stopping:
                        return
                    await self._waits.sleep(RETRY)
        finally:
            self._flushing.discard(replica.id)
            replica.settle(None)

    async def settle(self, session_id: str) -> None:
        """Wait until the late changes of a session are kept that there are by now.

        Raises:
            StoreUnavailable: They could not be at the first try; they will be.
        """
        replica = self._copies.get(session_id)
        if replica is None or not replica.later:
            return
        promise = self._waits.promise(None)
        replica.settling.append(promise)
        error = await promise
        if error is not None:
            raise error

    async def _flush_once(self, replica: Replica) -> None:
        await self._copies.lock(replica)
        try:
            while replica.later:
                operations = list(replica.later)
                draft = self._keeping.draft(replica, self._keeping.engine.now())
                for operation, _ in operations:
                    operation(draft)
                mark = self._keeping.mark()
                change = draft.change(mark)
                # Until the answer is there, it may have been carried out or not.
                replica.tried[mark] = len(operations)
                outcome = await self._keeping.submit(change)
                if isinstance(outcome, Applied):
                    replica.drop_tried(mark)
                    self._keeping.apply(draft, change)
                    self._keeping.lose_unclaimed(replica)
                elif isinstance(outcome, Conflict):
                    await self._keeping.follow(replica, outcome.record, change.known)
                    # What had come to something is told by what is kept now; the rest had not.
                    replica.tried.clear()
                else:
                    self._keeping.gone(replica)
        finally:
            self._copies.unlock(replica)

    def noticed(self, replica: Replica) -> None:
        """A connection has taken a message; see `mcp_echo.cluster.session.Keeper.noticed`."""
        self._unacknowledged.add(replica.id)

    def acknowledge(self) -> None:
        """Keep what the connections here have taken; called every `ACKNOWLEDGE` seconds."""
        noticed, self._unacknowledged = self._unacknowledged, set()
        for session_id in noticed:
            replica = self._copies.get(session_id)
            if replica is not None and replica.streams:
                self.later(replica, _note_written)

    def beat(self) -> None:
        """Renew the leases of what is held here, and look at it anew; called every `HEARTBEAT` seconds."""
        for replica in self._copies:
            if replica.streams:
                self.later(replica, _renew)
            elif replica.watched or replica.running or replica.expected:
                self._look(replica)

    def nudged(self, record_id: str) -> None:
        """A record has changed, or has ended; see `mcp_echo.cluster.engine.Listener.nudged`."""
        replica = self._copies.get(record_id)
        if replica is not None and replica.needed:
            self._look(replica)

    def caught_up(self) -> None:
        """Look at everything held; see `mcp_echo.cluster.engine.Listener.caught_up`."""
        for replica in self._copies:
            if replica.needed:
                self._look(replica)

    def replaced(self) -> None:
        """Believe no copy any more; see `mcp_echo.cluster.engine.Listener.replaced`."""
        for replica in self._copies:
            if replica.needed:
                replica.version = UNKNOWN
                self._look(replica)
            else:
                self._copies.forget(replica)

    def _look(self, replica: Replica) -> None:
        # One that is still to begin sees all that has happened until then.
        if not replica.look_is_due:
            replica.look_is_due = True
            self._spawn(self.look_at(replica))

    async def look_at(self, replica: Replica) -> None:
        """Follow what others have changed of a session."""
        await self._copies.lock(replica)
        replica.look_is_due = False
        try:
            known = replica.known
            outcome = await self._keeping.submit(Peek(replica.id, known))
            if isinstance(outcome, Found):
                if outcome.record.version != replica.version:
                    await self._keeping.follow(replica, outcome.record, known)
            else:
                self._keeping.gone(replica)
        except StoreUnavailable:
            # The next heartbeat, or the end of the outage, looks again.
            return
        finally:
            self._copies.unlock(replica)

    async def surely(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """Return what ``work`` returns, which is tried for as long as the engine cannot be reached."""
        while not self.stopping:
            with suppress(StoreUnavailable):
                return await work()
            await self._waits.sleep(RETRY)
        return None

    async def sweep(self, statistics: Statistics) -> None:
        """End the sessions whose time is up, and count them, with those that gave way to others."""
        with suppress(StoreUnavailable):
            swept = await self._keeping.engine.submit(Sweep())
            for ended in swept.ended if isinstance(swept, Swept) else ():
                statistics.count_end(ended.reason, ended.lifetime / 1000)
                replica = self._copies.get(ended.id)
                if replica is None:
                    self._keeping.ended(ended.id, ended.reason, None)
                else:
                    self._keeping.gone(replica, ended.reason)
        now = self._keeping.engine.now()
        for replica in self._copies:
            # Another node's sweep may have taken it.
            if replica.needed and now - replica.used >= replica.stored.timeout:
                await self.look_at(replica)


def _note_written(draft: Draft) -> None:
    """Change nothing but what the connections here have taken, which every change tells."""
    draft.ledger  # noqa: B018  # drawing it is what notes them


def _renew(draft: Draft) -> None:
    draft.ledger.renew(draft.replica.attended)
