"""Sessions that several processes serve, or that outlive one: the store, and requests on it. No I/O.

Theory of operation. The engine keeps one record of each session. A record has a version, which each change
raises by one; a change that was worked out from another version is a conflict, and changes nothing. Each node
has copies of the sessions that it has used lately; a copy may be behind. A request is a transaction::

      ┌──────── unread: a session that it asks for is not here ────────┐
      v                                                                │
    reading ──> working on drafts of the copies ───────────────────────┤
      ^                                                                │
      └── conflict: the copy follows what is kept ── keeping the drafts
                                                              │
                                   kept ──> effects happen ──> the answer leaves

- Working never waits, and nothing leaves it: it changes drafts and asks for effects. What it came to is
  dropped with both when it has to be done again: see `mcp_echo.sessions.effects`.
- One session decides the answer, the one that was used last: its change must fit the version it was worked
  out from. What the request did to others is made a late change, and the answer waits for that.
- A late change can be made on whatever is kept by then. So is everything that no request waits for: what a
  coroutine does after its request is kept, what a connection has taken, a lease that is renewed. It has a
  mark, so that one whose answer was lost is not made twice: see `maintenance`.
- A stream is read on one node, its owner, for as long as that renews its lease. A message belongs to one
  stream or waits for the next that listens, and reaches a connection once it is kept: see `stream_log`.
- A change names the nodes that have to hear of it; they look at the record, and deliver what is theirs.
  Such news may be lost: each node looks at all that it holds with each heartbeat. Answers to questions,
  cancellations and changed lists go to all nodes: see `bus`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, NamedTuple, TypeVar

from mcp_echo.cluster.budget import SharedBudget
from mcp_echo.cluster.bus import Bus
from mcp_echo.cluster.engine import Engine
from mcp_echo.cluster.maintenance import Maintenance
from mcp_echo.cluster.record import StoredSession, describe
from mcp_echo.cluster.repository import Repository, StoreHooks
from mcp_echo.cluster.session import SharedSession
from mcp_echo.cluster.session_cache import SessionCache, Waits
from mcp_echo.cluster.stream_log import Bounds
from mcp_echo.cluster.transaction import Transaction
from mcp_echo.sessions.key import SessionKey
from mcp_echo.sessions.session import Terms
from mcp_echo.sessions.store import (
    Clock,
    Counts,
    Holdings,
    SessionShare,
    Statistics,
    StoreHealth,
    StoreLimits,
)

HEARTBEAT = 15.0
"""Seconds between two looks at everything that is held here, in case a nudge was lost."""

ACKNOWLEDGE = 1.0
"""Seconds until the others know what a connection here has taken."""

T = TypeVar("T")


class Runtime(NamedTuple):
    """What a store needs of the process that it is in."""

    now: Clock
    """The steady clock."""
    timers: Waits
    """Ways to wait."""
    spawn: Callable[[Coroutine[Any, Any, None]], Callable[[], None]]
    """Starts work that goes on by itself."""


class SharedStore:
    """Sessions that an engine keeps.

    It is a `SessionStore` for a request that is being worked on, and only then.

    Args:
        engine: Keeps them.
        limits: How many sessions there may be.
        bounds: How much the log of one session keeps.
        budget: Counts what they hold.
        runtime: Time, and work that goes on by itself.
        hooks: Who is told of what happens.
    """

    def __init__(
        self,
        engine: Engine,
        limits: StoreLimits,
        *,
        bounds: Bounds,
        budget: SharedBudget,
        runtime: Runtime,
        hooks: StoreHooks,
    ) -> None:
        self.engine = engine
        self.node = engine.node
        self.timeout, self.limit = limits.timeout, limits.sessions
        self._limits = limits
        self.budget = budget
        self.statistics = Statistics()
        self.now, timers, spawn = runtime
        self.cache = SessionCache(timers.promise)
        self.repository = Repository(engine, self.cache, budget, bounds, hooks)
        self.maintenance = Maintenance(self.repository, self.cache, timers, spawn)
        self.bus = Bus(self.node, self.cache, self.maintenance)
        self._timers = timers
        self._spawn = spawn
        self._transaction: Transaction | None = None

    # What a request that is being worked on asks for.

    def __len__(self) -> int:
        return self.engine.totals.records

    @property
    def handles(self) -> int:
        """How many of the sessions that live are named by a handle."""
        return self.engine.totals.handles

    @property
    def holdings(self) -> Holdings:
        """What all sessions hold: what the engine keeps, and what only waits for a connection here.

        The sessions themselves are counted with the mean size of those that were changed here lately.
        """
        held, own = self.engine.totals.held, self.budget
        return Holdings(
            held.echoed + round(len(self) * self.repository.mean_state),
            held.echoed,
            held.queued + own.queues,
            held.waiting + own.waiting,
        )

    @property
    def counts(self) -> Counts | None:
        """What all nodes have made and ended since the store was made."""
        return self.engine.counts

    def agreed_now(self) -> float:
        """Return the seconds of the clock that all nodes have in common."""
        return self.engine.now() / 1000

    def health(self) -> StoreHealth:
        """Return how the engine is doing."""
        return self.engine.health()

    @property
    def transaction(self) -> Transaction:
        """The work that is being done at this moment."""
        if self._transaction is None:
            raise RuntimeError("sessions of a shared store can be had only while a request is worked on")
        return self._transaction

    def use(
        self, session_id: str, principal: str | None, handle: bool = False, notice: bool = False
    ) -> SharedSession:
        """Return a session; see `SessionStore.use`."""
        return self.transaction.use(SessionKey(session_id, principal, handle), notice)

    def share(self, principal: str | None, address: str) -> SessionShare:
        """Return what a caller has of the sessions; see `SessionStore.share`."""
        most = min(self.limit, self.limit_of(principal))
        return SessionShare(self.transaction.held_by(principal, address, most), most, None, None)

    def limit_of(self, principal: str | None) -> int:
        """Return how many sessions a principal may have, or an address for None."""
        limit = self._limits.of(principal)
        return self.limit if limit is None else limit

    def create(self, key: SessionKey, terms: Terms, address: str | None = None) -> SharedSession:
        """Make a session; see `SessionStore.create`."""
        revision, client, timeout, label = terms
        stored = StoredSession(revision.name, describe(client), self.node, max(1, round(timeout * 1000)))
        stored.record.label = label
        return self.transaction.create(key, stored, revision, address)

    def knows(self, session_id: str) -> bool:
        """Return whether this node has a copy of such a session; see `SessionStore.knows`."""
        return self.cache.get(session_id) is not None

    def close(self, session_id: str, principal: str | None, handle: bool = False) -> None:
        """End a session; see `SessionStore.close`."""
        self.transaction.close(SessionKey(session_id, principal, handle))

    # One request.

    async def perform(
        self,
        work: Callable[[], T],
        wants: Iterable[SessionKey] = (),
        happen: Callable[[], None] | None = None,
    ) -> T:
        """Return what ``work`` returns, once all that it has changed is kept.

        Args:
            work: Works on sessions without waiting, and does nothing else: it is done again as often as
                others were faster, or as it needs a session that is not here yet.
            wants: Sessions that it is known to need.
            happen: Does what else is to come of it; called once, while nobody else changes these sessions.

        Raises:
            StoreUnavailable: What it changed could not be kept, or what it needs could not be read.
            Exception: What ``work`` raises; what it changed before is kept.
        """
        transaction = Transaction(self, wants)
        try:
            while True:
                await transaction.obtain()
                result, error = self._attempt(transaction, work)
                if await transaction.keep():
                    break
            for cached in transaction.ended:
                self.repository.gone(cached, "closed")
                self.bus.bury(cached, "closed")
            if happen is not None:
                happen()
        finally:
            transaction.release()
        for session_id in transaction.late:
            await self.maintenance.settle(session_id)
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def _attempt(self, transaction: Transaction, work: Callable[[], T]) -> tuple[T | None, Exception | None]:
        transaction.begin()
        self._transaction = transaction
        try:
            return work(), None
        except Exception as error:
            return None, error
        finally:
            self._transaction = None

    async def settle(self, session_id: str) -> None:
        """Wait until the late changes of a session are kept; see `Maintenance.settle`."""
        await self.maintenance.settle(session_id)

    async def surely(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """Return what ``work`` returns, which is tried for as long as the engine cannot be reached."""
        return await self.maintenance.surely(work)

    # What happens elsewhere; see `EngineListener`.

    def invalidated(self, record_id: str) -> None:
        """A record has changed, or has ended."""
        self.maintenance.invalidated(record_id)

    def receive(self, payload: bytes) -> None:
        """Another node has broadcast this."""
        self.bus.receive(payload)

    def caught_up(self) -> None:
        """Look at everything held."""
        self.maintenance.caught_up()

    def replaced(self) -> None:
        """The records are others than until now."""
        self.maintenance.replaced()

    # The end of sessions, and of the store.

    def expire(self) -> int:
        """Begin to end every session whose time is up; return 0, since it is not known yet how many."""
        self.statistics.sweeps += 1
        self.statistics.last_sweep = self.now()
        self._spawn(self.maintenance.sweep(self.statistics))
        return 0

    async def stop(self) -> None:
        """Keep what is still to be kept, and let go of the engine."""
        for _ in range(40):
            if self.maintenance.is_idle:
                break
            await self._timers.sleep(0.05)
        self.maintenance.stopping = True
        await self.engine.stop()
