"""Benches for session stores: what they promise can be asked of each in the same words.

All clocks stand still until told otherwise, also that of Redis, so that every time is exact everywhere.
"""

from __future__ import annotations

import hashlib
import itertools
import time
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, gatherResults
from twisted.internet.task import deferLater

from mcp_echo.cluster.budget import SharedBudget
from mcp_echo.cluster.cached_session import CachedSession
from mcp_echo.cluster.engine import Engine, Found, Peek
from mcp_echo.cluster.repository import StoreHooks
from mcp_echo.cluster.store import Runtime
from mcp_echo.cluster.stream_log import Bounds
from mcp_echo.protocol.revisions import MODERN, Supported
from mcp_echo.sessions.budget import StateBudget
from mcp_echo.sessions.event_log import EventLog
from mcp_echo.sessions.memory import MemoryStore
from mcp_echo.sessions.session import Client, Session
from mcp_echo.sessions.store import EndReason, Holdings, SessionStore, Statistics, StoreLimits
from mcp_echo.stores.redis import script as redis_script
from mcp_echo.stores.redis.engine import RedisEngine
from mcp_echo.stores.sqlite.clock import FileClock, boot
from mcp_echo.stores.sqlite.engine import SqliteEngine
from mcp_echo.transport.timers import ReactorTimers
from tests.engines import DictEngine, DictRecords, record_limits
from tests.making import handle_in, session_in
from tests.nodes import CollectingStore, Reader
from tests.stores.redis_server import shared_server

TIMEOUT = 60.0
LIMIT = 3
OWN_LIMIT = 2
"""Sessions of one principal."""
ADDRESS_LIMIT = 2
"""Sessions of one address."""
BOUNDS = Bounds(messages=6, bytes=200)
"""Of each queue."""
MAX_BYTES = 4000
"""Of all queues and echoes together."""
START = 1000.0
"""Where the steady clock begins."""
EPOCH = 1_700_000_000
"""How far the wall clock is ahead of it, unless there is a reason for another one."""
REVISION = Supported().offered
MODERN_REVISION = MODERN[-1]
CLIENT = Client("test-client", "1.0", {"roots": {}})
PATIENCE = 10
"""Seconds until what has not come will not come."""

T = TypeVar("T")
Work = Callable[[SessionStore], T]


class Seen(NamedTuple):
    """What is seen of a session, in values that nothing changes any more."""

    id: str
    principal: str | None
    revision: str
    client: tuple[Any, ...]
    handle: bool
    label: str | None
    timeout: float
    created: float
    last_activity: float
    initialized: bool
    requests: int
    responses: int
    response_seconds: float
    echo_count: int
    replay_count: int
    last_echo: tuple[str, str | None, str | None] | None
    echo_size: int
    log_level: str | None
    subscriptions: frozenset[str]
    messages: list[bytes]
    pending: int
    dropped: int
    queue_bytes: int
    open_streams: int


def look(session: Session) -> Seen:
    """Return what is seen of a session."""
    client, echo = session.client, session.last_echo
    return Seen(
        session.id,
        session.principal,
        session.revision.name,
        (client.name, client.version, dict(client.capabilities)),
        session.handle,
        session.record.label,
        session.timeout,
        session.created,
        session.last_activity,
        session.record.initialized,
        session.record.requests,
        session.record.responses,
        session.record.response_seconds,
        session.record.echo_count,
        session.record.replay_count,
        None if echo is None else (echo.message, echo.data, echo.mime_type),
        0 if echo is None else echo.size,
        session.record.log_level,
        session.record.subscriptions,
        list(session.log.messages),
        session.pending,
        session.dropped,
        session.queue_bytes,
        session.open_streams,
    )


class Bench:
    """A store, and the endings it has told of.

    Where several processes can share one, each thing that is done is done by another process than the one
    before, unless the test names one.

    Args:
        directory: An empty one.
        limit: Sessions that may live at once.
        limit_per_principal: How many of them one principal may have.
        bounds: Of each queue.
    """

    epoch = EPOCH

    def __init__(
        self,
        directory: Path,
        limit: int = LIMIT,
        limit_per_principal: int = OWN_LIMIT,
        bounds: Bounds = BOUNDS,
        limit_per_address: int = ADDRESS_LIMIT,
    ) -> None:
        self.directory = directory
        self.limit = limit
        self.limit_per_principal = limit_per_principal
        self.limit_per_address = limit_per_address
        self.bounds = bounds
        self.time = START
        self.told: list[tuple[str, EndReason]] = []
        self.watched: Reader | None = None
        self.seen_at_the_endings: list[tuple[bool, int]] = []
        """At each ending told of: whether the watched connection was over, how many sessions lived."""
        self.stores: list[Any] = []

    @property
    def limits(self) -> dict[str, int]:
        """The limits, as an engine takes them."""
        return {
            "limit": self.limit,
            "limit_per_principal": self.limit_per_principal,
            "limit_per_address": self.limit_per_address,
        }

    def wall(self) -> float:
        """Return the seconds of the wall clock."""
        return self.time + self.epoch

    async def open(self) -> None:
        """Make the store."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Let go of everything."""

    @property
    def store_limits(self) -> StoreLimits:
        """How many sessions there may be."""
        return StoreLimits(TIMEOUT, self.limit, self.limit_per_principal, self.limit_per_address)

    # What a request does.

    async def perform(self, work: Work[T], node: int | None = None) -> T:
        """Do what one request does to sessions."""
        raise NotImplementedError

    def after(self, store: SessionStore, effect: Callable[[], object]) -> None:
        """Do something once what a request has changed is kept."""
        raise NotImplementedError

    async def create(
        self,
        principal: str | None = None,
        node: int | None = None,
        address: str | None = None,
        used: bool = True,
    ) -> Seen:
        """Make a session, which is in use unless told otherwise."""

        def create(store: SessionStore) -> Seen:
            session = session_in(store, principal, REVISION, CLIENT, address)
            session.record.used = used
            return look(session)

        return await self.perform(create, node)

    async def create_handle(
        self,
        principal: str | None = None,
        timeout: float | None = None,
        address: str | None = None,
        used: bool = True,
    ) -> Seen:
        """Make state that is named by a handle, which is in use unless told otherwise."""

        def create(store: SessionStore) -> Seen:
            maker = store, principal, MODERN_REVISION, CLIENT
            session = handle_in(*maker, timeout=timeout, label="a label", address=address)
            session.record.used = used
            return look(session)

        return await self.perform(create)

    async def use(
        self,
        session_id: str,
        principal: str | None = None,
        handle: bool = False,
        then: Callable[[Any], T] = look,  # type: ignore[assignment]
        node: int | None = None,
        notice: bool = False,
    ) -> T:
        """Use a session; return what ``then`` returns."""
        return await self.perform(lambda store: then(store.use(session_id, principal, handle, notice)), node)

    async def close(
        self, session_id: str, principal: str | None = None, handle: bool = False, node: int | None = None
    ) -> None:
        """End a session on its client's wish."""
        await self.perform(lambda store: store.close(session_id, principal, handle), node)

    async def queue(
        self,
        session_id: str,
        *messages: bytes,
        principal: str | None = None,
        handle: bool = False,
        node: int | None = None,
    ) -> None:
        """Queue messages."""

        def queue(session: Session) -> None:
            for message in messages:
                session.log.queue(message)

        await self.use(session_id, principal, handle, queue, node)

    async def listen(
        self,
        session_id: str,
        last_event_id: str | None = None,
        principal: str | None = None,
        handle: bool = False,
        node: int | None = None,
        paused: bool = False,
    ) -> Reader | None:
        """Open a listening stream, or come back to the one that is named; None if it is not known."""

        def listen(store: SessionStore) -> Reader | None:
            log = store.use(session_id, principal, handle).log
            stream = log.listen() if last_event_id is None else log.resume(last_event_id)
            if stream is None:
                return None
            reader = Reader(log, stream)
            reader.paused = paused
            self.after(store, reader.start)
            return reader

        return await self.perform(listen, node)

    async def together(self, works: Iterable[Work[T]]) -> list[T]:
        """Do what many requests do at the same time, on all nodes."""
        begun = [ensureDeferred(self.perform(work)) for work in works]
        return list(await gatherResults(begun, consumeErrors=True))

    # What becomes of it.

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds

    async def settle(self) -> None:
        """Let everybody know what everybody has done."""

    async def beat(self) -> None:
        """Have everybody say that they are there, as they do every few seconds."""

    async def sweep(self) -> int:
        """Sweep; return how many sessions that has ended."""
        raise NotImplementedError

    async def living(self) -> set[str]:
        """Return the ids of the sessions that live."""
        raise NotImplementedError

    async def counts(self) -> tuple[int, int]:
        """Return how many sessions there are, expired ones that no sweep has found aside, and handles."""
        raise NotImplementedError

    async def holdings(self) -> Holdings:
        """Return what all sessions hold."""
        raise NotImplementedError

    @property
    def endings(self) -> list[tuple[str, EndReason]]:
        """The endings told of, each once."""
        return list(dict.fromkeys(self.told))

    def note_end(self, session_id: str, reason: EndReason, living: int) -> None:
        """Note that a session has ended."""
        self.told.append((session_id, reason))
        if self.watched is not None:
            self.seen_at_the_endings.append((not self.watched.open, living))

    @property
    def statistics(self) -> Counter[str]:
        """What all nodes have counted."""
        counts: Counter[str] = Counter()
        for store in self.stores:
            statistics: Statistics = store.statistics
            counts.update({name: getattr(statistics, name) for name in COUNTED})
        return counts

    @property
    def losses(self) -> Counter[str]:
        """What all nodes have counted as lost."""
        counts: Counter[str] = Counter()
        for store in self.stores:
            counts.update({name: getattr(store.budget, name) for name in LOSSES})
        return counts


COUNTED = (
    "created",
    "expired",
    "closed",
    "displaced",
    "refused",
    "refused_to_principals",
    "refused_to_addresses",
    "lifetime_seconds",
)
LOSSES = ("messages_queued", "messages_dropped", "messages_refused", "messages_too_large", "echoes_refused")


class Memory(Bench):
    """The memory of one process."""

    async def open(self) -> None:
        self.store = MemoryStore(
            self.store_limits,
            lambda: self.time,
            lambda: EventLog(*self.bounds),
            ended=lambda session, reason: self.note_end(session.id, reason, len(self.store)),
            budget=StateBudget(MAX_BYTES),
        )
        self.stores = [self.store]

    async def perform(self, work: Work[T], node: int | None = None) -> T:  # noqa: ARG002  # there is one
        return work(self.store)

    def after(self, _store: SessionStore, effect: Callable[[], object]) -> None:
        effect()

    async def sweep(self) -> int:
        return self.store.expire()

    async def living(self) -> set[str]:
        assert len(list(self.store)) == len(self.store)
        return {session.id for session in self.store}

    async def counts(self) -> tuple[int, int]:
        return len(self.store), self.store.handles

    async def holdings(self) -> Holdings:
        return self.store.holdings

    @property
    def endings(self) -> list[tuple[str, EndReason]]:
        assert len(set(self.told)) == len(self.told)
        return self.told


class WatchedStore(CollectingStore):
    """A store that lets its bench know when it can begin, and what it has made."""

    has_caught_up = False

    def caught_up(self) -> None:
        self.has_caught_up = True
        super().caught_up()


class Shared(Bench):
    """Two processes that share sessions."""

    def engine(self, node: str) -> Engine:
        """Return an engine of the same records as all others."""
        raise NotImplementedError

    async def open(self) -> None:
        self.turns = itertools.count()
        self.running: set[Deferred[Any]] = set()
        self.made: list[str] = []
        for name in ("a", "b"):
            self.stores.append(await self.start(name))

    async def start(self, name: str) -> WatchedStore:
        """Start one more process."""
        engine = self.engine(name)
        store = WatchedStore(
            engine,
            self.store_limits,
            bounds=self.bounds,
            budget=SharedBudget(MAX_BYTES, engine),
            runtime=Runtime(lambda: self.time, ReactorTimers(reactor), self.spawn),
            hooks=StoreHooks(self.note_shared_end, lambda _handle: None),
        )
        engine.open()
        engine.start(store)
        await until(lambda: store.has_caught_up)
        return store

    def note_shared_end(self, session_id: str, reason: EndReason, _replica: CachedSession | None) -> None:
        # By itself no node knows of an ending before the engine does.
        self.note_end(session_id, reason, min(len(store) for store in self.stores))

    def spawn(self, work: Coroutine[Any, Any, None]) -> Callable[[], None]:
        running = Deferred.fromCoroutine(work)
        running.addErrback(lambda failure: failure.trap(CancelledError))
        if not running.called:
            self.running.add(running)
            running.addBoth(lambda _: self.running.discard(running))
        return running.cancel

    async def stop(self) -> None:
        for store in self.stores:
            await store.stop()

    async def perform(self, work: Work[T], node: int | None = None) -> T:
        place = next(self.turns) if node is None else node
        store = self.stores[place % len(self.stores)]
        return await store.perform(lambda: self.noting(store, work(store)))  # type: ignore[no-any-return]

    def noting(self, store: WatchedStore, result: T) -> T:
        """Note what a request has made."""
        made = [session.id for session, _ in store.transaction.new]
        store.after(lambda: self.made.extend(made))
        return result

    def after(self, store: SessionStore, effect: Callable[[], object]) -> None:
        assert isinstance(store, WatchedStore)
        store.after(effect)

    async def settle(self) -> None:
        # Twice: what one does now, another has to hear of.
        for _ in range(2):
            for store in self.stores:
                store.maintenance.acknowledge()
            await self.rest()
            for store in self.stores:
                store.caught_up()
            await self.rest()

    async def beat(self) -> None:
        for store in self.stores:
            store.maintenance.beat()
        await self.rest()

    async def rest(self) -> None:
        """Wait until nothing goes on by itself."""
        if self.running:
            await until(lambda: not self.running)

    async def sweep(self) -> int:
        before = self.statistics["expired"]
        for store in self.stores:
            # It goes on by itself.
            assert store.expire() == 0
            await self.rest()
        return int(self.statistics["expired"] - before)

    async def living(self) -> set[str]:
        engine = self.stores[0].engine
        living = [name for name in self.made if isinstance(await engine.submit(Peek(name)), Found)]
        return set(living)

    async def counts(self) -> tuple[int, int]:
        (counts,) = {(len(store), store.handles) for store in await self.up_to_date()}
        return counts

    async def holdings(self) -> Holdings:
        holdings: list[Holdings] = [store.holdings for store in await self.up_to_date()]
        # The bytes of the sessions themselves are about right, on each node by what it has seen of them.
        assert len({each[1:] for each in holdings}) == 1
        return holdings[0]

    async def up_to_date(self) -> list[Any]:
        """Return the stores once each knows the sums."""
        for store in self.stores:
            await store.engine.submit(Peek(str(uuid.UUID(int=0))))
        return self.stores


class Dicts(Shared):
    """An engine in plain dicts, which does everything at once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.records = DictRecords(self.milliseconds)

    @property
    def milliseconds(self) -> int:
        """The wall clock."""
        return round(self.wall() * 1000)

    def engine(self, node: str) -> Engine:
        return DictEngine(self.records, node, **self.limits)

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        self.records.time = self.milliseconds


class Sqlite(Shared):
    """SQLite on a file."""

    def engine(self, node: str) -> Engine:
        return SqliteEngine(
            reactor,
            f"sqlite:{self.directory}/sessions.db",
            record_limits(**self.limits),
            node,
            FileClock(lambda: self.time, self.wall, boot()),
        )


class Redis(Shared):
    """Redis, with keys of the test's own, and with a clock that it reads from one of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.server = shared_server()
        self.prefix = str(uuid.uuid4())
        # Keys also expire by the clock of the machine: that has to come last.
        self.epoch = int(time.time()) + 1_000_000
        self.patch = pytest.MonkeyPatch()
        self.replace_clock(b"call('TIME')")
        self.advance(0)

    def replace_clock(self, clock: bytes) -> None:
        """Have the script ask for a key where it asks for the time."""
        source = redis_script._SOURCE
        assert source.count(clock) == 1
        key = f"{self.prefix}:clock".encode()
        source = source.replace(clock, b"{ call('HGET', '%b', 's'), call('HGET', '%b', 'us') }" % (key, key))
        self.patch.setattr(redis_script, "_SOURCE", source)
        name = hashlib.sha1(source, usedforsecurity=False).hexdigest()
        self.patch.setattr(redis_script, "_NAME", name)

    def engine(self, node: str) -> Engine:
        return RedisEngine(
            reactor,
            # A machine that is busy with other tests is no failure.
            f"{self.server.address}?prefix={self.prefix}&timeout=10",
            record_limits(**self.limits),
            node,
            steady=lambda: self.time,
            wall=self.wall,
        )

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        seconds, microseconds = divmod(round(self.wall() * 1_000_000), 1_000_000)
        self.server.ask("HSET", f"{self.prefix}:clock", "s", str(seconds), "us", str(microseconds))

    async def stop(self) -> None:
        await super().stop()
        self.patch.undo()


BENCHES: list[Any] = [Memory, Dicts, Sqlite, pytest.param(Redis, marks=pytest.mark.slow)]
"""One for each kind of store."""


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what happens by itself."""
    for _ in range(PATIENCE * 500):
        if is_so():
            return
        await deferLater(reactor, 0.002)
    raise AssertionError("it has not happened")
