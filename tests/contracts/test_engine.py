"""What every engine must do, whatever keeps its records. A further engine is one line in ``BENCHES``."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults
from twisted.internet.task import deferLater

from mcp_echo.cluster.engine import (
    Applied,
    Broadcast,
    Change,
    Close,
    Conflict,
    Count,
    Counted,
    Create,
    Ended,
    Engine,
    Entry,
    Found,
    Full,
    Load,
    Missing,
    Operation,
    Outcome,
    Peek,
    Secret,
    SecretKept,
    SessionBytes,
    Sweep,
    Swept,
    Totals,
)
from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.sessions.store import Counts
from mcp_echo.stores.redis.engine import RedisEngine
from mcp_echo.stores.sqlite.clock import FileClock, boot
from mcp_echo.stores.sqlite.engine import SqliteEngine
from tests.engines import BROADCASTS_KEPT, EPOCH, DictEngine, DictRecords, record_limits
from tests.stores.redis_cluster import shared_cluster
from tests.stores.redis_server import shared_server

LONG = 3_600_000
"""Milliseconds of idleness that no test waits for."""
PATIENCE = 10
"""Seconds until what has not come will not come."""


class Ears:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.nudges: list[str] = []
        self.broadcasts: list[bytes] = []
        self.times_caught_up = 0
        self.times_replaced = 0

    def invalidated(self, record_id: str) -> None:
        self.nudges.append(record_id)

    def receive(self, payload: bytes) -> None:
        self.broadcasts.append(payload)

    def caught_up(self) -> None:
        self.times_caught_up += 1

    def replaced(self) -> None:
        self.times_replaced += 1


class Bench:
    """Several nodes on the same records, and a way to let time pass.

    Args:
        directory: An empty one.
    """

    has_limits = True
    """Whether limits hold for all records together."""
    moment = 1000
    """Milliseconds that are long enough to tell before from after."""
    exact = True
    """Whether the clock stands still until told otherwise."""
    marks: tuple[pytest.MarkDecorator, ...] = ()
    """What is said of all tests on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.time = EPOCH
        self.ears: dict[str, Ears] = {}
        self.engines: list[Engine] = []

    def make(self, node: str, **limits: int | None) -> Engine:
        """Return an engine that is neither open nor started."""
        raise NotImplementedError

    async def engine(
        self,
        node: str = "a",
        *,
        limit: int = 1000,
        limit_per_principal: int | None = None,
        limit_per_address: int | None = None,
    ) -> Engine:
        """Return an engine that works and listens; all of them use the same records."""
        engine = self.make(
            node,
            limit=limit,
            limit_per_principal=limit_per_principal,
            limit_per_address=limit_per_address,
        )
        engine.open()
        self.ears[node] = ears = Ears()
        engine.start(ears)
        self.engines.append(engine)
        await until(lambda: ears.times_caught_up > 0)
        return engine

    async def advance(self, moments: float) -> None:
        """Let time pass."""
        self.time += round(moments * self.moment)

    async def close(self) -> None:
        """Stop all engines, and let go of everything."""
        for engine in self.engines:
            await engine.stop()


class Dicts(Bench):
    """The reference."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.records = DictRecords()

    def make(self, node: str, **limits: Any) -> Engine:
        return DictEngine(self.records, node, **limits)

    async def advance(self, moments: float) -> None:
        await super().advance(moments)
        self.records.time = self.time


class Sqlite(Bench):
    """SQLite on a file of the test's own; its clock is an argument."""

    def make(self, node: str, **limits: Any) -> Engine:
        return SqliteEngine(
            reactor,
            f"sqlite:{self.directory}/records.db",
            record_limits(**limits),
            node,
            FileClock(lambda: self.time / 1000, lambda: self.time / 1000, boot()),
        )


class Redis(Bench):
    """Redis, with keys of the test's own; its clock goes on by itself."""

    moment = 100
    exact = False
    marks = (pytest.mark.slow,)

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.address = f"{self.server()}prefix={uuid.uuid4()}"

    def server(self) -> str:
        """Return the address, to which options can be added."""
        return f"{shared_server().address}?"

    def make(self, node: str, **limits: Any) -> Engine:
        return RedisEngine(reactor, self.address, record_limits(**limits), node)

    async def advance(self, moments: float) -> None:
        await deferLater(reactor, (moments * self.moment + 5) / 1000)


class RedisCluster(Redis):
    """A Redis Cluster of three servers, where a script may touch one slot only; the records are spread over
    16, and limits are divided among them: tests/stores/test_redis.py."""

    has_limits = False

    def server(self) -> str:
        return f"{shared_cluster().address}&"


# An engine whose clock is a server's has `exact = False`, a shorter `moment`, and sleeps in `advance`.
BENCHES: list[type[Bench]] = [Dicts, Sqlite, Redis, RedisCluster]


def with_limits(test: Any) -> Any:
    """Run a test only where limits hold for all records together."""
    test.needs_limits = True
    return test


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on all benches that can do what it needs."""
    if "bench" in metafunc.fixturenames:
        needs_limits = getattr(metafunc.function, "needs_limits", False)
        benches = [bench for bench in BENCHES if bench.has_limits or not needs_limits]
        params = [pytest.param(bench, id=bench.__name__.lower(), marks=bench.marks) for bench in benches]
        metafunc.parametrize("bench", params, indirect=True)


@pytest_twisted.async_yield_fixture
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    made = request.param(tmp_path)
    yield made
    await made.close()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what happens by itself."""
    for _ in range(PATIENCE * 100):
        if is_so():
            return
        await deferLater(reactor, 0.01)
    raise AssertionError("it has not happened")


def begin(work: Awaitable[Any]) -> Deferred[Any]:
    """Begin something without waiting for it."""
    return work if isinstance(work, Deferred) else ensureDeferred(work)


async def together(*works: Awaitable[Any]) -> list[Any]:
    """Return the results of what is done at the same time."""
    return list(await gatherResults([begin(work) for work in works], consumeErrors=True))


def create(
    name: str,
    owner: str | None = None,
    handle: bool = False,
    timeout: int = LONG,
    state: bytes = b"new",
    address: str | None = None,
    used: bool = True,
) -> Create:
    """Return the creation of a record that is in use, unless told otherwise."""
    return Create(name, owner, handle, timeout, state, address, used)


def fresh(name: str, holder: str, **more: Any) -> Create:
    """Return the creation of a record that is not in use; who is no address is a principal."""
    whose = {"address": holder} if holder[0].isdigit() else {"owner": holder}
    return create(name, used=False, **whose, **more)


def change(name: str, version: int, owner: str | None = None, handle: bool = False, **more: Any) -> Change:
    return Change(name, owner, handle, version, **{"touch": True, "state": b"changed", **more})


def entries(*sequences: int) -> tuple[Entry, ...]:
    return tuple(Entry(sequence, f"s{sequence % 2}", b"%d" % sequence) for sequence in sequences)


async def found(engine: Engine, name: str, known: int = 0) -> Any:
    outcome = await engine.submit(Peek(name, known))
    assert isinstance(outcome, Found), outcome
    return outcome.record


async def swept(engine: Engine) -> list[Ended]:
    """Sweep, and return what has ended."""
    outcome = await engine.submit(Sweep())
    assert isinstance(outcome, Swept), outcome
    return outcome.ended


# Records


@pytest_twisted.ensureDeferred
async def test_a_new_record_is_what_it_was_made_of(bench: Bench) -> None:
    """Interface, Create: its first version is 1; nothing is in it but the state."""
    engine = await bench.engine()
    before = engine.now()
    made = await engine.submit(create("one", state=b"\x00any bytes\xff"))
    assert isinstance(made, Applied)
    record = await found(engine, "one")
    assert record == (1, b"\x00any bytes\xff", None, made.created, made.created, ())
    if bench.exact:
        assert made.created == before == bench.time


@pytest_twisted.ensureDeferred
async def test_what_one_node_made_every_node_finds(bench: Bench) -> None:
    """Interface: records are shared; any node serves any session."""
    one, two = await bench.engine("a"), await bench.engine("b")
    await one.submit(create("one", "alice"))
    assert isinstance(await two.submit(change("one", 1, "alice", state=b"by b")), Applied)
    assert (await found(one, "one")).state == b"by b"


@pytest_twisted.ensureDeferred
async def test_a_change_is_kept_as_a_whole(bench: Bench) -> None:
    """Interface, Change: state, last echo, log and version change together."""
    engine = await bench.engine()
    made = await engine.submit(create("one"))
    more = {"echo": b"hello", "add": entries(1, 2), "held": SessionBytes(2, 5, 2)}
    assert await engine.submit(change("one", 1, **more)) == made
    record = await found(engine, "one")
    assert record[:3] == (2, b"changed", b"hello")
    assert record.entries == entries(1, 2)
    assert engine.totals == Totals(1, 0, SessionBytes(2, 5, 2))


@pytest_twisted.ensureDeferred
async def test_the_last_echo_stays_until_it_is_replaced_or_taken_away(bench: Bench) -> None:
    """Interface, Change.echo: UNSET leaves it, None takes it away; nothing is a value too."""
    engine = await bench.engine()
    await engine.submit(create("one"))
    seen = []
    for version, more in enumerate([{}, {"echo": b""}, {}, {"echo": b"x" * 9}, {"echo": None}, {}], start=1):
        await engine.submit(change("one", version, **more))
        seen.append((await found(engine, "one")).echo)
    assert seen == [None, b"", b"", b"x" * 9, None, None]


@pytest_twisted.ensureDeferred
async def test_a_large_echo_and_large_messages_are_kept(bench: Bench) -> None:
    """Interface, Record: an echo may be as large as a request."""
    engine = await bench.engine()
    await engine.submit(create("one"))
    echo, message = bytes(range(256)) * 4096, Entry(1, "s", b"m" * 250_000)
    await engine.submit(change("one", 1, echo=echo, add=(message,)))
    record = await found(engine, "one")
    assert (record.echo, record.entries) == (echo, (message,))


@pytest_twisted.ensureDeferred
async def test_a_change_of_an_old_version_changes_nothing_and_is_told_the_new_one(bench: Bench) -> None:
    """Interface, Conflict: answered with what is kept, but for the entries that are known."""
    one, two = await bench.engine("a"), await bench.engine("b")
    await one.submit(create("one"))
    first = {"state": b"first", "echo": b"e", "add": entries(1, 2, 3), "held": SessionBytes(3, 1, 0)}
    await one.submit(change("one", 1, **first))
    kept = await found(one, "one")
    stale = {"add": entries(4), "drop": (1,), "echo": None, "held": SessionBytes(9, 9, 9), "known": 1}
    for version in (1, 3, 0):
        outcome = await two.submit(change("one", version, **stale))
        assert outcome == Conflict(kept._replace(entries=entries(2, 3)))
    assert await found(one, "one") == kept
    assert two.totals == Totals(1, 0, SessionBytes(3, 1, 0))


@pytest.mark.parametrize("known", [0, 1, 2, 3, 99])
@pytest_twisted.ensureDeferred
async def test_only_entries_that_are_not_known_are_told(bench: Bench, known: int) -> None:
    """Interface, Load.known and Peek.known: a node keeps what it has seen."""
    engine = await bench.engine()
    await engine.submit(create("one"))
    await engine.submit(change("one", 1, add=entries(1, 2, 3)))
    expected = tuple(entry for entry in entries(1, 2, 3) if entry.sequence > known)
    loaded = await engine.submit(Load("one", None, False, known))
    assert loaded == await engine.submit(Peek("one", known))
    assert isinstance(loaded, Found)
    assert loaded.record.entries == expected


@pytest_twisted.ensureDeferred
async def test_entries_are_dropped_and_added_in_order(bench: Bench) -> None:
    """Interface, Change.drop and Change.add: oldest first, whatever the gaps; what is not there is no
    harm."""
    engine = await bench.engine()
    await engine.submit(create("one"))
    await engine.submit(change("one", 1, add=entries(1, 2, 9)))
    await engine.submit(change("one", 2, drop=(2, 7), add=entries(10, 11, 100)))
    assert (await found(engine, "one")).entries == entries(1, 9, 10, 11, 100)
    await engine.submit(change("one", 3, drop=(1, 9, 10, 11, 100)))
    assert (await found(engine, "one")).entries == ()


@pytest_twisted.ensureDeferred
async def test_logs_of_different_records_do_not_mix(bench: Bench) -> None:
    """Interface, Entry: a sequence is a place in the log of one session."""
    engine = await bench.engine()
    for name in ("one", "two"):
        await engine.submit(create(name))
        await engine.submit(change(name, 1, add=(Entry(1, "", name.encode()),)))
    await engine.submit(change("one", 2, drop=(1,)))
    assert (await found(engine, "two")).entries == (Entry(1, "", b"two"),)


# Whose they are

OTHERS = [
    ("alice", "bob"),
    ("alice", None),
    ("alice", ""),
    ("", None),
    (None, "bob"),
    (None, ""),
    ("a", "A"),
    ("\udce9", "?"),
    ("\udce9", "\udcea"),
]


def on(name: str, owner: str | None, handle: bool) -> list[Operation]:
    """Return one operation of each kind that asks who owns the record."""
    return [change(name, 1, owner, handle), Load(name, owner, handle), Close(name, owner, handle)]


@pytest.mark.parametrize(("owner", "other"), OTHERS)
@pytest_twisted.ensureDeferred
async def test_a_record_is_missing_for_all_but_its_owner(
    bench: Bench, owner: str | None, other: str | None
) -> None:
    """Interface: to anybody else it is missing; None is an owner like any other, and so is an empty name."""
    engine = await bench.engine()
    await engine.submit(create("one", owner))
    for operation in on("one", other, False):
        assert await engine.submit(operation) == Missing()
    assert (await found(engine, "one")).version == 1
    for operation, kind in zip(on("one", owner, False), (Applied, Found, Applied), strict=True):
        assert isinstance(await engine.submit(operation), kind)


@pytest.mark.parametrize("handle", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_handle_is_no_session_id_nor_the_other_way_round(bench: Bench, handle: bool) -> None:
    """Interface, Create.handle."""
    engine = await bench.engine()
    await engine.submit(create("one", handle=handle))
    for operation in on("one", None, not handle):
        assert await engine.submit(operation) == Missing()
    assert engine.totals.handles == handle
    for operation, kind in zip(on("one", None, handle), (Applied, Found, Applied), strict=True):
        assert isinstance(await engine.submit(operation), kind)
    assert engine.totals == Totals()


@pytest_twisted.ensureDeferred
async def test_a_node_that_holds_the_streams_may_look_whoever_owns_the_record(bench: Bench) -> None:
    """Interface, Peek."""
    engine = await bench.engine()
    await engine.submit(create("one", "alice", handle=True))
    assert (await found(engine, "one")).state == b"new"
    assert await engine.submit(Peek("two")) == Missing()


NAMES = ["", "o'ne", "on\x00e", "%", "*", "\ud800", "é" * 500, "one\n", "{one}", ":"]


@pytest.mark.parametrize("name", NAMES)
@pytest_twisted.ensureDeferred
async def test_a_name_that_nobody_made_is_missing(bench: Bench, name: str) -> None:
    """Interface, Missing: ids come from clients, who may send anything."""
    engine = await bench.engine()
    await engine.submit(create("one"))
    for operation in [*on(name, None, False), Peek(name)]:
        assert await engine.submit(operation) == Missing()


@with_limits
@pytest.mark.parametrize("owner", [*NAMES, "ali\udce9"])
@pytest_twisted.ensureDeferred
async def test_an_owner_may_have_any_name(bench: Bench, owner: str) -> None:
    """Interface, Create.owner: names come from proxies and tokens."""
    engine = await bench.engine(limit_per_principal=1)
    assert isinstance(await engine.submit(create("one", owner)), Applied)
    assert isinstance(await engine.submit(create("two", owner)), Full)
    assert await engine.submit(Load("one", owner + "x", False)) == Missing()
    assert isinstance(await engine.submit(Close("one", owner, False)), Applied)


# Time


@pytest_twisted.ensureDeferred
async def test_a_record_lives_as_long_as_it_is_used(bench: Bench) -> None:
    """Interface, Change.touch: its time to live begins anew."""
    engine = await bench.engine()
    made = await engine.submit(create("one", timeout=5 * bench.moment))
    assert isinstance(made, Applied)
    for version in range(1, 5):
        await bench.advance(3)
        assert await engine.submit(change("one", version)) == made
    record = await found(engine, "one")
    assert record.used >= record.created + 12 * bench.moment
    if bench.exact:
        assert record.used == bench.time


@pytest_twisted.ensureDeferred
async def test_neither_a_look_nor_a_change_without_touch_nor_a_conflict_is_a_use(bench: Bench) -> None:
    """Interface, Change.touch and Load: otherwise the time to live stays as it is."""
    engine = await bench.engine()
    await engine.submit(create("one", timeout=5 * bench.moment))
    await bench.advance(3)
    assert isinstance(await engine.submit(change("one", 1, touch=False, add=entries(1))), Applied)
    assert isinstance(await engine.submit(change("one", 9)), Conflict)
    assert isinstance(await engine.submit(Load("one", None, False)), Found)
    record = await found(engine, "one")
    assert record.used == record.created
    await bench.advance(3)
    assert await engine.submit(Peek("one")) == Missing()


@pytest_twisted.ensureDeferred
async def test_an_expired_record_is_missing_before_any_sweep(bench: Bench) -> None:
    """Interface, Missing: there is none, or it has expired, which reads the same; nothing brings it back."""
    engine = await bench.engine()
    await engine.submit(create("one", timeout=2 * bench.moment))
    await bench.advance(2)
    for operation in [*on("one", None, False), Peek("one")]:
        assert await engine.submit(operation) == Missing()
    assert [ended.id for ended in await swept(engine)] == ["one"]


@pytest_twisted.ensureDeferred
async def test_a_record_lives_until_the_last_moment(bench: Bench) -> None:
    """Interface, Create.timeout: where the clock can be set, to the millisecond."""
    engine = await bench.engine()
    await engine.submit(create("one", timeout=5 * bench.moment))
    if bench.exact:
        bench_time = 5 - 1 / bench.moment
        await bench.advance(bench_time)
        assert isinstance(await engine.submit(Peek("one")), Found)
        await bench.advance(1 / bench.moment)
        assert await engine.submit(Peek("one")) == Missing()


@pytest_twisted.ensureDeferred
async def test_time_goes_on(bench: Bench) -> None:
    """Interface, now: milliseconds of the engine's clock, which all nodes share."""
    one, two = await bench.engine("a"), await bench.engine("b")
    before = one.now()
    await bench.advance(3)
    assert one.now() - before >= 3 * bench.moment
    assert abs(one.now() - two.now()) < bench.moment


@pytest_twisted.ensureDeferred
async def test_a_sweep_returns_each_ended_record_once_with_its_lifetime(bench: Bench) -> None:
    """Interface, Sweep and Ended: from its creation to its expiry, whenever the sweep comes; closed ones have
    not expired."""
    one, two = await bench.engine("a"), await bench.engine("b")
    moment = bench.moment
    await one.submit(create("short", timeout=3 * moment))
    await one.submit(create("used", timeout=4 * moment))
    await one.submit(create("closed", timeout=3 * moment))
    await one.submit(create("long", "alice", True))
    await one.submit(Close("closed", None, False))
    assert await swept(one) == []
    await bench.advance(2)
    await two.submit(change("used", 1))
    await bench.advance(5)
    ended = [*await swept(two), *await swept(one), *await swept(two)]
    assert sorted(each.id for each in ended) == ["short", "used"]
    lifetimes = {each.id: each.lifetime for each in ended}
    assert lifetimes["short"] == 3 * moment
    assert lifetimes["used"] >= 6 * moment
    if bench.exact:
        assert lifetimes["used"] == 6 * moment
    assert one.totals == two.totals == Totals(1, 1, SessionBytes())


@pytest_twisted.ensureDeferred
async def test_a_sweep_takes_away_any_number(bench: Bench) -> None:
    """Interface, Sweep: all that have expired, however many."""
    engine = await bench.engine(limit=5000)
    names = [f"{number}" for number in range(1203)]
    await together(*(engine.submit(create(name, timeout=bench.moment)) for name in names))
    await engine.submit(create("long"))
    await bench.advance(30)
    assert sorted(ended.id for ended in await swept(engine)) == sorted(names)
    assert engine.totals == Totals(1)


@pytest_twisted.ensureDeferred
async def test_two_sweeps_at_the_same_time_tell_of_each_ending_once(bench: Bench) -> None:
    """Interface, Sweep: endings are counted, on whichever node."""
    one, two = await bench.engine("a"), await bench.engine("b")
    for number in range(40):
        await one.submit(create(f"{number}", timeout=bench.moment))
    await bench.advance(3)
    ended = await together(swept(one), swept(two), swept(one))
    assert sorted(Counter(each.id for some in ended for each in some).values()) == [1] * 40


# Limits


@with_limits
@pytest_twisted.ensureDeferred
async def test_no_more_records_than_may_be(bench: Bench) -> None:
    """Interface, Full: sessions and handles of all owners count; a closed one makes room."""
    engine = await bench.engine(limit=3)
    await engine.submit(create("one", timeout=20_000))
    await engine.submit(create("two", "alice", timeout=10_000))
    await engine.submit(create("three", "alice", True))
    for owner, handle in ((None, False), ("alice", True), ("bob", False)):
        full = await engine.submit(create("four", owner, handle))
        assert isinstance(full, Full)
        assert full.whose == "all"
        assert full.seconds in (10, 11)
    assert await engine.submit(Peek("four")) == Missing()
    assert engine.totals == Totals(3, 1)
    await engine.submit(Close("one", None, False))
    assert isinstance(await engine.submit(create("four")), Applied)


@with_limits
@pytest_twisted.ensureDeferred
async def test_no_more_records_of_one_owner_than_its_share(bench: Bench) -> None:
    """Interface, Create.owner: where one is named it counts against its share; its share is looked at first,
    since to wait for others would not help."""
    engine = await bench.engine(limit=5, limit_per_principal=2)
    await engine.submit(create("one", "alice", timeout=20_000))
    await engine.submit(create("two", "alice", True, timeout=30_000))
    await engine.submit(create("three", "bob", timeout=5_000))
    for _ in range(2):
        full = await engine.submit(create("four", "alice"))
        assert isinstance(full, Full)
        assert full.whose == "holder"
        assert full.seconds in (20, 21)
        await engine.submit(create(f"nobody's {engine.totals.records}", None))
    assert engine.totals.records == 5
    await engine.submit(Close("two", "alice", True))
    assert isinstance(await engine.submit(create("four", "alice")), Applied)


@with_limits
@pytest_twisted.ensureDeferred
async def test_nobody_in_particular_has_no_share(bench: Bench) -> None:
    """Interface, Create.owner: None is not limited."""
    engine = await bench.engine(limit=10, limit_per_principal=2)
    made = [await engine.submit(create(f"{number}")) for number in range(10)]
    assert all(isinstance(outcome, Applied) for outcome in made)


@with_limits
@pytest.mark.parametrize(("timeout", "seconds"), [(1, {1}), (LONG, {60}), (2_500, {2, 3}), (60_500, {60})])
@pytest_twisted.ensureDeferred
async def test_the_seconds_to_wait_are_whole_and_at_most_a_minute(
    bench: Bench, timeout: int, seconds: set[int]
) -> None:
    """Interface, Full.seconds: from 1 to 60."""
    if timeout == 1 and not bench.exact:
        timeout = 500
    engine = await bench.engine(limit=2, limit_per_principal=1)
    await engine.submit(create("one", "alice", timeout=timeout))
    await engine.submit(create("two", timeout=LONG))
    for owner in ("alice", None):
        full = await engine.submit(create("three", owner))
        assert isinstance(full, Full)
        assert full.seconds in seconds


@with_limits
@pytest_twisted.ensureDeferred
async def test_expired_records_never_count_against_a_limit(bench: Bench) -> None:
    """Interface, Create: if there is room; those it takes away are told of by the next sweep, once."""
    engine = await bench.engine(limit=3, limit_per_principal=2)
    for name, owner in (("one", "alice"), ("two", "alice"), ("three", None)):
        await engine.submit(create(name, owner, timeout=2 * bench.moment))
    await bench.advance(3)
    assert isinstance(await engine.submit(create("four", "alice")), Applied)
    assert isinstance(await engine.submit(create("five", "alice")), Applied)
    assert isinstance(await engine.submit(create("six", "alice")), Full)
    assert isinstance(await engine.submit(create("six")), Applied)
    assert sorted(ended.id for ended in await swept(engine)) == ["one", "three", "two"]
    assert await swept(engine) == []
    assert engine.totals == Totals(3)


@pytest_twisted.ensureDeferred
async def test_a_holder_s_records_are_counted_on_every_node(bench: Bench) -> None:
    """Interface, Count: all of a principal's, or of an address where no principal is known; a /64 is one."""
    nodes = [await bench.engine("a"), await bench.engine("b")]
    for number in range(5):
        await nodes[number % 2].submit(create(f"alice's {number}", "alice", number == 0, address="10.0.0.1"))
    for number, address in enumerate(
        ("10.0.0.1", "10.0.0.1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::")
    ):
        await nodes[0].submit(fresh(f"nobody's {number}", address))
    await nodes[0].submit(create("whoever's"))
    counted = {
        Count("alice", "10.0.0.1"): 5,
        Count("alice", "10.0.0.9"): 5,
        Count(None, "10.0.0.1"): 2,
        Count(None, "2001:db8::3"): 2,
        Count("10.0.0.1", "10.0.0.1"): 0,
        Count("\udcff", "10.0.0.1"): 0,
        Count(None, "10.0.0.9"): 0,
    }
    for node in nodes:
        assert {count: await node.submit(count) for count in counted} == {
            count: Counted(records) for count, records in counted.items()
        }


@pytest_twisted.ensureDeferred
async def test_a_record_that_has_ended_is_not_counted(bench: Bench) -> None:
    """Interface, Count: nor is one that has expired and was not swept; the next sweep tells of it, once."""
    engine = await bench.engine()
    await engine.submit(create("short", "alice", timeout=2 * bench.moment))
    await engine.submit(create("another's", "bob", timeout=2 * bench.moment))
    for name in ("closed", "kept", "used"):
        await engine.submit(create(name, "alice", timeout=LONG))
    await engine.submit(Close("closed", "alice", False))
    await engine.submit(change("used", 1, "alice", used=True))
    assert await engine.submit(Count("alice", "10.0.0.1")) == Counted(3)
    await bench.advance(3)
    assert await engine.submit(Count("alice", "10.0.0.1")) == Counted(2)
    assert await engine.submit(Count("bob", "10.0.0.1")) == Counted(0)
    assert sorted(ended.id for ended in await swept(engine)) == ["another's", "short"]
    assert await swept(engine) == []
    assert engine.totals == Totals(2)
    assert engine.counts == Counts(created=5, expired=2, closed=1)


@pytest_twisted.ensureDeferred
async def test_a_count_comes_after_what_was_asked_before_it(bench: Bench) -> None:
    """Interface, Engine.submit: operations that go together are carried out in their order."""
    engine = await bench.engine()
    asked = [create("one", "alice"), Count("alice", ""), create("two", "alice"), Count("alice", "")]
    outcomes = await together(*map(engine.submit, asked))
    # Where records are spread, each place has an order of its own.
    assert outcomes[3] == Counted(2)
    if bench.has_limits:
        assert outcomes[1] == Counted(1)


@pytest_twisted.ensureDeferred
async def test_a_count_that_cannot_be_had_is_refused_as_any_operation(bench: Bench) -> None:
    """Interface, Engine.submit: StoreUnavailable, however many places would have to be asked."""
    engine = await bench.engine()
    if isinstance(engine, DictEngine):
        engine.available = False
    else:
        await engine.stop()
    with pytest.raises(StoreUnavailable):
        await engine.submit(Count("alice", "10.0.0.1"))


@with_limits
@pytest_twisted.ensureDeferred
async def test_a_limit_is_exact_when_nodes_create_at_the_same_time(bench: Bench) -> None:
    """Interface, Create: 105 attempts at a limit of 100 give exactly 100."""
    nodes = [await bench.engine("a", limit=100), await bench.engine("b", limit=100)]
    attempts = [nodes[number % 2].submit(create(f"{number}")) for number in range(105)]
    outcomes = Counter(type(outcome) for outcome in await together(*attempts))
    assert outcomes == {Applied: 100, Full: 5}
    for node in nodes:
        await swept(node)
        assert node.totals == Totals(100)


@with_limits
@pytest_twisted.ensureDeferred
async def test_a_share_is_exact_when_nodes_create_at_the_same_time(bench: Bench) -> None:
    """Interface, Create.owner, as above."""
    nodes = [await bench.engine("a", limit_per_principal=10), await bench.engine("b", limit_per_principal=10)]
    attempts = [nodes[number % 2].submit(create(f"{number}", "alice")) for number in range(25)]
    assert Counter(type(outcome) for outcome in await together(*attempts)) == {Applied: 10, Full: 15}


# Shares


async def outcomes_of(engine: Engine, *operations: Operation) -> list[type]:
    return [type(await engine.submit(operation)) for operation in operations]


async def names_left(engine: Engine, *names: str) -> list[str]:
    return [name for name in names if isinstance(await engine.submit(Peek(name)), Found)]


@with_limits
@pytest_twisted.ensureDeferred
async def test_an_address_has_a_share_where_there_is_no_owner(bench: Bench) -> None:
    """Interface, Create.address: a holder's share is looked at first; a /64 is one address."""
    engine = await bench.engine(limit=9, limit_per_principal=1, limit_per_address=2)
    for number in range(2):
        await engine.submit(create(f"{number}", address=f"2001:db8::{number}", timeout=20_000))
    full = await engine.submit(create("2", address="2001:db8::2"))
    assert isinstance(full, Full)
    assert full.whose == "holder"
    assert full.seconds in (20, 21)
    elsewhere = [create("3", address="2001:db8:0:1::1"), create("4", "alice", address="2001:db8::1")]
    assert await outcomes_of(engine, *elsewhere) == [Applied, Applied]
    assert await outcomes_of(engine, create("5", "alice", address="10.0.0.1")) == [Full]
    await engine.submit(Close("0", None, False))
    assert await outcomes_of(engine, create("6", address="2001:db8::3")) == [Applied]


@with_limits
@pytest.mark.parametrize("holder", ["alice", "10.0.0.1"])
@pytest_twisted.ensureDeferred
async def test_in_a_full_share_the_oldest_that_is_not_in_use_gives_way(bench: Bench, holder: str) -> None:
    """Interface, Create.used and Ended: it is told of once, with its lifetime, as displaced."""
    engine = await bench.engine(limit=9, limit_per_principal=3, limit_per_address=3)
    await engine.submit(fresh("another's", "bob"))
    owner = None if holder[0].isdigit() else holder
    for name in ("one", "two", "three"):
        await engine.submit(fresh(name, holder, handle=name == "two"))
    await engine.submit(change("one", 1, owner, used=True, held=SessionBytes(1, 1, 1)))
    await engine.submit(
        change("two", 1, owner, handle=True, held=SessionBytes(10, 10, 10), add=entries(1), echo=b"e")
    )
    await bench.advance(1)
    assert await outcomes_of(engine, fresh("four", holder), fresh("five", holder)) == [Applied, Applied]
    assert engine.totals == Totals(4, 0, SessionBytes(1, 1, 1))
    left = await names_left(engine, "another's", "one", "two", "three", "four", "five")
    assert left == ["another's", "one", "four", "five"]
    ended = await swept(engine)
    assert [(each.id, each.reason) for each in ended] == [("two", "displaced"), ("three", "displaced")]
    assert all(bench.moment <= each.lifetime < LONG for each in ended)
    assert await swept(engine) == []
    for name in ("four", "five"):
        await engine.submit(change(name, 1, owner, used=True))
    assert await outcomes_of(engine, fresh("six", holder)) == [Full]


@with_limits
@pytest_twisted.ensureDeferred
async def test_when_all_is_full_the_holder_that_has_most_gives_way(bench: Bench) -> None:
    """Interface, Create.used: the oldest of the holder that has most, of those that have one not in use."""
    engine = await bench.engine(limit=6)
    for name, holder in (("a", "alice"), ("b", "bob"), ("c", "10.0.0.1"), ("d", "10.0.0.1")):
        await engine.submit(fresh(name, holder))
    for name in ("e", "f"):
        await engine.submit(create(name, "bob"))
    # Bob has three, of which one is not in use.
    assert await outcomes_of(engine, fresh("g", "carol")) == [Applied]
    assert await names_left(engine, *"abcdefg") == [*"acdefg"]
    # Bob has two as well, but both are in use.
    assert await outcomes_of(engine, fresh("h", "dave"), fresh("i", "bob")) == [Applied, Full]
    assert await names_left(engine, *"acdefgh") == [*"adefgh"]
    assert [ended.id for ended in await swept(engine)] == ["b", "c"]


@with_limits
@pytest_twisted.ensureDeferred
async def test_nobody_gives_way_to_a_holder_that_has_more(bench: Bench) -> None:
    """Interface, Create.used: whoever has most of all cannot push out those that have less."""
    engine = await bench.engine(limit=4)
    for name in ("one", "two", "three"):
        await engine.submit(create(name, address="10.0.0.1"))
    await engine.submit(fresh("four", "10.0.0.2"))
    full = await engine.submit(fresh("five", "10.0.0.1"))
    assert isinstance(full, Full)
    assert full.whose == "all"
    assert await outcomes_of(engine, fresh("six", "10.0.0.3"), create("seven", address="10.0.0.3")) == [
        Applied,
        Applied,
    ]
    assert await names_left(engine, "one", "two", "three", "four", "six", "seven") == [
        *("one", "two", "three", "seven")
    ]


@with_limits
@pytest_twisted.ensureDeferred
async def test_what_is_nobody_s_never_gives_way(bench: Bench) -> None:
    """Interface, Create.address: without owner and address there is no share to count against."""
    engine = await bench.engine(limit=2, limit_per_principal=1, limit_per_address=1)
    assert await outcomes_of(engine, create("one", used=False), create("two", used=False)) == [Applied] * 2
    assert await outcomes_of(engine, create("three", used=False), fresh("four", "alice")) == [Full] * 2


@with_limits
@pytest_twisted.ensureDeferred
async def test_a_place_is_free_again_however_its_record_ended(bench: Bench) -> None:
    """Interface, Create.address: each ending frees one place, once."""
    engine = await bench.engine(limit=9, limit_per_address=2)
    for number in range(5):
        short = create(f"s{number}", address="10.0.0.1", timeout=bench.moment)
        closed = create(f"c{number}", address="10.0.0.1")
        assert await outcomes_of(engine, short, closed, create("x", address="10.0.0.1")) == [
            *(Applied, Applied, Full)
        ]
        assert await outcomes_of(engine, Close(f"c{number}", None, False)) == [Applied]
        assert await outcomes_of(engine, Close(f"c{number}", None, False)) == [Missing]
        assert await outcomes_of(engine, fresh("f", "10.0.0.1"), fresh("g", "10.0.0.1")) == [Applied, Applied]
        assert await outcomes_of(engine, Close("g", None, False)) == [Applied]
        await bench.advance(2)
        if number % 2:
            await swept(engine)
    assert engine.totals.records <= 1


# Sums


@with_limits
@pytest_twisted.ensureDeferred
async def test_the_sums_are_right_after_every_kind_of_ending(bench: Bench) -> None:
    """Interface, Totals: over all records that have not been swept."""
    engine = await bench.engine(limit=4)
    for place, timeout in enumerate((LONG, LONG, 2 * bench.moment, 2 * bench.moment)):
        await engine.submit(create(f"{place}", handle=place % 2 == 1, timeout=timeout))
        held = SessionBytes(10**place, 2 * 10**place, 3 * 10**place)
        await engine.submit(change(f"{place}", 1, handle=place % 2 == 1, held=held))
    assert engine.totals == Totals(4, 2, SessionBytes(1111, 2222, 3333))
    await engine.submit(change("1", 2, handle=True, held=SessionBytes()))
    assert engine.totals == Totals(4, 2, SessionBytes(1101, 2202, 3303))
    await engine.submit(Close("0", None, False))
    assert engine.totals == Totals(3, 2, SessionBytes(1100, 2200, 3300))
    await bench.advance(3)
    for name in ("4", "5"):
        assert isinstance(await engine.submit(create(name)), Applied)
    await swept(engine)
    assert engine.totals == Totals(3, 1, SessionBytes())


@pytest_twisted.ensureDeferred
async def test_a_sweep_learns_the_sums_from_other_nodes(bench: Bench) -> None:
    """Interface, Sweep: it brings the sums up to date."""
    one, two = await bench.engine("a"), await bench.engine("b")
    await one.submit(create("one", handle=True))
    await one.submit(change("one", 1, handle=True, held=SessionBytes(1, 2, 3)))
    await swept(two)
    assert two.totals == one.totals == Totals(1, 1, SessionBytes(1, 2, 3))


# Endings


@pytest_twisted.ensureDeferred
async def test_a_closed_record_is_missing_for_everyone(bench: Bench) -> None:
    """Interface, Close: its log and its last echo go with it; another of the same name begins empty."""
    one, two = await bench.engine("a"), await bench.engine("b")
    made = await one.submit(create("one"))
    await one.submit(change("one", 1, echo=b"e", add=entries(1, 2)))
    assert await two.submit(Close("one", None, False)) == made
    for engine in (one, two):
        for operation in [*on("one", None, False), Peek("one")]:
            assert await engine.submit(operation) == Missing()
    await one.submit(create("one"))
    assert (await found(two, "one"))[:3] == (1, b"new", None)
    assert (await found(two, "one")).entries == ()


@pytest_twisted.ensureDeferred
async def test_the_log_of_an_expired_record_goes_with_it(bench: Bench) -> None:
    """Interface, Sweep: it takes away the record, and all of it."""
    engine = await bench.engine()
    await engine.submit(create("one", timeout=2 * bench.moment))
    await engine.submit(change("one", 1, echo=b"e", add=entries(1, 2)))
    await bench.advance(3)
    await swept(engine)
    await engine.submit(create("one"))
    record = await found(engine, "one")
    assert (record.version, record.echo, record.entries) == (1, None, ())


@pytest_twisted.ensureDeferred
async def test_what_was_begun_is_finished_when_a_node_stops(bench: Bench) -> None:
    """Interface, stop: nothing that was taken on is dropped."""
    one, two = await bench.engine("a"), await bench.engine("b")
    begun = [begin(one.submit(create(f"{number}"))) for number in range(20)]
    await one.stop()
    assert all(isinstance(outcome, Applied) for outcome in await gatherResults(begun))
    for number in range(20):
        assert (await found(two, f"{number}")).version == 1


# Other nodes


@pytest_twisted.ensureDeferred
async def test_a_nudge_reaches_the_nodes_named_and_no_others(bench: Bench) -> None:
    """Interface, Change.tell and Close.tell: the nodes that hold its streams hear, once it is done."""
    nodes = {name: await bench.engine(name) for name in "abc"}
    await nodes["a"].submit(create("one"))
    await nodes["a"].submit(create("two"))
    assert isinstance(await nodes["a"].submit(change("one", 1, tell=("b",))), Applied)
    await until(lambda: bench.ears["b"].nudges == ["one"])
    await nodes["a"].submit(Close("two", None, False, tell=("b", "c", "nobody")))
    await until(lambda: "two" in bench.ears["b"].nudges and "two" in bench.ears["c"].nudges)
    assert [bench.ears[name].nudges for name in "abc"] == [[], ["one", "two"], ["two"]]


@pytest_twisted.ensureDeferred
async def test_a_node_does_not_nudge_itself(bench: Bench) -> None:
    """Interface, Change.tell: whoever changes a record knows."""
    one, two = await bench.engine("a"), await bench.engine("b")
    await one.submit(create("one"))
    await one.submit(change("one", 1, tell=("a", "b")))
    await until(lambda: bench.ears["b"].nudges == ["one"])
    await two.submit(Broadcast(b"after it"))
    await until(lambda: bench.ears["a"].broadcasts == [b"after it"])
    assert bench.ears["a"].nudges == []


@pytest_twisted.ensureDeferred
async def test_what_changes_nothing_nudges_nobody(bench: Bench) -> None:
    """Interface, Change.tell: once it is done."""
    one = await bench.engine("a")
    await bench.engine("b")
    await one.submit(create("one"))
    assert isinstance(await one.submit(change("one", 7, tell=("b",))), Conflict)
    assert await one.submit(change("one", 1, "bob", tell=("b",))) == Missing()
    assert await one.submit(Close("one", "bob", False, tell=("b",))) == Missing()
    await one.submit(create("two"))
    await one.submit(change("two", 1, tell=("b",)))
    await until(lambda: "two" in bench.ears["b"].nudges)
    assert bench.ears["b"].nudges == ["two"]


@pytest_twisted.ensureDeferred
async def test_no_change_goes_unheard_however_many_there_are(bench: Bench) -> None:
    """Interface, Listener.invalidated: one nudge may stand for several changes, and the last is not lost."""
    one, two = await bench.engine("a"), await bench.engine("b")
    heard = []
    await one.submit(create("one"))
    for version in range(1, 101):
        await one.submit(change("one", version, state=b"%d" % version, tell=("b",)))
    await until(lambda: bench.ears["b"].nudges != [])
    for _ in range(PATIENCE * 100):
        heard.append((await found(two, "one")).state)
        if heard[-1] == b"100":
            break
    assert heard[-1] == b"100"
    assert set(bench.ears["b"].nudges) == {"one"}


@pytest_twisted.ensureDeferred
async def test_a_nudge_comes_after_the_change_it_tells_of(bench: Bench) -> None:
    """Interface, Change.tell: who looks when nudged sees the change."""
    one, two = await bench.engine("a"), await bench.engine("b")
    await one.submit(create("one"))
    seen: list[Deferred[Outcome]] = []
    bench.ears["b"].invalidated = lambda name: seen.append(begin(two.submit(Peek(name))))  # type: ignore[method-assign]
    await one.submit(change("one", 1, state=b"told", tell=("b",)))
    await until(lambda: seen != [])
    outcome = await seen[0]
    assert isinstance(outcome, Found)
    assert outcome.record.state == b"told"


@pytest_twisted.ensureDeferred
async def test_a_broadcast_reaches_every_other_node_once(bench: Bench) -> None:
    """Interface, Broadcast: not the one that sent it."""
    nodes = {name: await bench.engine(name) for name in "abc"}
    payloads = [b"first", b"\x00\xff", b""]
    for payload in payloads:
        await nodes["a"].submit(Broadcast(payload))
    await nodes["b"].submit(Broadcast(b"of b"))
    await until(lambda: len(bench.ears["c"].broadcasts) == 4 and len(bench.ears["b"].broadcasts) == 3)
    await until(lambda: bench.ears["a"].broadcasts == [b"of b"])
    assert bench.ears["b"].broadcasts == payloads
    assert bench.ears["c"].broadcasts == [*payloads, b"of b"]


@pytest.mark.parametrize("after_sweep", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_node_that_comes_within_a_minute_hears_what_was_broadcast(
    bench: Bench, after_sweep: bool
) -> None:
    """Interface, Broadcast: those that cannot hear it now hear it later, for a minute."""
    one = await bench.engine("a")
    if bench.exact:
        await one.submit(Broadcast(b"long ago"))
        await bench.advance(BROADCASTS_KEPT / bench.moment + 1)
    await one.submit(Broadcast(b"just now"))
    if after_sweep:
        await swept(one)
    await bench.engine("b")
    await until(lambda: bench.ears["b"].broadcasts == [b"just now"])
    await one.submit(Broadcast(b"at last"))
    await until(lambda: bench.ears["b"].broadcasts == [b"just now", b"at last"])
    assert bench.ears["a"].broadcasts == []


@pytest_twisted.ensureDeferred
async def test_all_nodes_share_one_secret(bench: Bench) -> None:
    """Interface, Secret: the first proposal is kept, whoever asks at the same time or later."""
    one, two = await bench.engine("a"), await bench.engine("b")
    first, second = await together(one.submit(Secret(b"\x00one")), two.submit(Secret(b"two")))
    assert first == second
    assert first in (SecretKept(b"\x00one"), SecretKept(b"two"))
    three = await bench.engine("c")
    assert await three.submit(Secret(b"three")) == first


# At the same time


async def raise_counter(engine: Engine, name: str, times: int) -> None:
    """Count up in a record, from a copy, until each of ``times`` has been counted."""
    record = await found(engine, name)
    while times:
        state = b"%d" % (int(record.state) + 1)
        outcome = await engine.submit(change(name, record.version, state=state))
        if isinstance(outcome, Applied):
            times -= 1
            record = record._replace(version=record.version + 1, state=state)
        else:
            assert isinstance(outcome, Conflict)
            record = outcome.record


@pytest_twisted.ensureDeferred
async def test_a_counter_that_many_nodes_raise_comes_out_exact(bench: Bench) -> None:
    """Interface: whoever works out a change from a copy need not hold a lock."""
    one, two = await bench.engine("a"), await bench.engine("b")
    await one.submit(create("one", state=b"0"))
    await together(*(raise_counter(node, "one", 25) for node in (one, two) for _ in range(2)))
    record = await found(one, "one")
    assert (record.version, record.state) == (101, b"100")


@with_limits
@pytest_twisted.ensureDeferred
async def test_operations_together_are_each_answered_for_itself(bench: Bench) -> None:
    """Interface, submit: carried out together with others, each wholly or not at all, in their order."""
    engine = await bench.engine(limit=2)
    outcomes = await together(
        engine.submit(create("one")),
        engine.submit(change("one", 1, echo=b"kept", add=entries(1), held=SessionBytes(1, 4, 1))),
        engine.submit(change("one", 1, echo=b"stale", add=entries(2), held=SessionBytes(9, 9, 9))),
        engine.submit(change("one", 2, "bob", held=SessionBytes(9, 9, 9))),
        engine.submit(create("two", handle=True)),
        engine.submit(create("three")),
        engine.submit(Close("two", None, True)),
        engine.submit(Peek("one")),
    )
    kinds = [Applied, Applied, Conflict, Missing, Applied, Full, Applied, Found]
    assert [type(outcome) for outcome in outcomes] == kinds
    assert outcomes[-1].record[:3] == (2, b"changed", b"kept")
    assert outcomes[-1].record.entries == entries(1)
    assert engine.totals == Totals(1, 0, SessionBytes(1, 4, 1))


# Health


@pytest_twisted.ensureDeferred
async def test_what_was_made_and_has_ended_is_counted_for_all_nodes(bench: Bench) -> None:
    """Interface, Counts: of all nodes, since the records were begun with; a trial or a refusal is none."""
    one, two = await bench.engine("a"), await bench.engine("b")
    for number in range(3):
        await one.submit(create(f"{number}"))
    await two.submit(create("short", timeout=bench.moment))
    await two.submit(Close("0", None, False))
    await two.submit(Close("0", None, False))
    await bench.advance(2)
    assert len(await swept(one)) == 1
    for engine in (one, two):
        await engine.submit(Peek("1"))
        if bench.has_limits:
            assert engine.counts == Counts(4, 1, 1)
    late = await bench.engine("c")
    await late.submit(create("4"))
    if bench.has_limits:
        assert late.counts == Counts(5, 1, 1)
        assert late.totals == Totals(3)


@pytest_twisted.ensureDeferred
async def test_an_engine_says_how_it_is_doing(bench: Bench) -> None:
    """Interface, StoreHealth."""
    engine = await bench.engine("a node")
    assert engine.node == "a node"
    assert engine.health().latency is None
    await engine.submit(create("one"))
    health = engine.health()
    assert health[2:4] == (True, "closed")
    assert health[5:] == (0, None, None)
    assert health.latency is not None
    assert 0 <= health.latency < PATIENCE


# All of it


class Walk:
    """Random operations, the same on the engine and on the reference."""

    def __init__(self, seed: int, moment: int) -> None:
        self.random = random.Random(seed)
        self.moment = moment
        self.sequence = 0
        self.made: dict[str, tuple[str | None, bool]] = {"never made": (None, False)}
        """Owner and kind of each record, the newest last."""
        self.attempts = 0
        self.versions: Counter[str] = Counter()
        """The version of each record as last heard of."""

    def operation(self, expiring: bool) -> Operation:
        pick = self.random.choice
        name = pick(list(self.made)[-5:])
        owner, handle = self.made[name]
        if self.random.random() < 0.2:
            owner, handle = pick([None, "alice"]), pick([False, True])
        kind = pick([Create, Create, Change, Change, Change, Change, Load, Peek, Close])
        if kind is Create:
            self.attempts += 1
            timeout = pick([3, 7]) * self.moment if expiring else LONG
            owner, handle = pick([None, "alice"]), pick([False, True])
            in_use = pick([False, False, True])
            return Create(f"{self.attempts}", owner, handle, timeout, b"new", "10.0.0.1", in_use)
        if kind is Load:
            return Load(name, owner, handle, self.random.randrange(self.sequence + 1))
        if kind is Peek:
            return Peek(name, self.random.randrange(self.sequence + 1))
        if kind is Close:
            return Close(name, owner, handle)
        return self.change(name, owner, handle)

    def change(self, name: str, owner: str | None, handle: bool) -> Change:
        add = entries(*range(self.sequence + 1, self.sequence + 1 + self.random.randrange(3)))
        self.sequence += len(add)
        more: dict[str, Any] = self.random.choice([{}, {"echo": None}, {"echo": b"e%d" % self.sequence}])
        return Change(
            name,
            owner,
            handle,
            max(0, self.versions[name] - self.random.choice([0, 0, 0, 1])),
            self.random.random() < 0.5,
            b"%d" % self.random.randrange(1000),
            drop=tuple(self.random.choices(range(1, self.sequence + 2), k=self.random.randrange(4))),
            add=add,
            held=SessionBytes(*(self.random.randrange(100) for _ in range(3))),
            known=self.random.randrange(self.sequence + 1),
            used=self.random.random() < 0.5,
            **more,
        )

    def heard(self, operation: Operation, outcome: Outcome) -> None:
        """Note what the reference answered, so that most changes are of the version that is kept."""
        name = operation.id
        if isinstance(outcome, Found | Conflict):
            self.versions[name] = outcome.record.version
        elif isinstance(outcome, Applied) and isinstance(operation, Create):
            self.versions[name] = 1
            self.made[name] = (operation.owner, operation.handle)
        elif isinstance(outcome, Applied) and isinstance(operation, Change):
            self.versions[name] += 1


def timeless(outcome: Any) -> Any:
    """Return an outcome without what depends on a clock that goes on by itself."""
    if isinstance(outcome, Applied):
        return Applied(0)
    if isinstance(outcome, Full):
        return outcome._replace(seconds=0)
    if isinstance(outcome, Found | Conflict):
        return outcome._replace(record=outcome.record._replace(created=0, used=0))
    return outcome


@with_limits
@pytest.mark.parametrize("seed", range(8))
@pytest_twisted.ensureDeferred
async def test_every_outcome_is_that_of_the_reference(bench: Bench, seed: int) -> None:
    """Interface, all of it: under random operations on two nodes, with time passing where it can be set."""
    walk, model = Walk(seed, bench.moment), DictRecords(bench.time)
    # Odd, so that of two holders one has more: which of two gives way that have as many, is not said.
    limits = {"limit": 5, "limit_per_principal": 3, "limit_per_address": 4}
    nodes = [(await bench.engine(name, **limits), DictEngine(model, name, **limits)) for name in "ab"]
    kinds: Counter[type] = Counter()
    for _ in range(300):
        engine, reference = walk.random.choice(nodes)
        if walk.random.random() < 0.1:
            # Those that made room are told of by the node where they did.
            ended = [ended for node, _ in nodes for ended in await swept(node)]
            expected_ended = await swept(reference)
            if not bench.exact:
                ended, expected_ended = (
                    [each._replace(lifetime=0) for each in e] for e in (ended, expected_ended)
                )
            assert sorted(ended) == sorted(expected_ended)
            continue
        if bench.exact and walk.random.random() < 0.15:
            await bench.advance(walk.random.choice([0.5, 1, 2]))
            model.time = bench.time
        operation = walk.operation(expiring=bench.exact)
        outcome, expected_outcome = await engine.submit(operation), await reference.submit(operation)
        if bench.exact:
            assert outcome == expected_outcome, operation
        else:
            assert timeless(outcome) == timeless(expected_outcome), operation
        assert engine.totals == reference.totals
        walk.heard(operation, expected_outcome)
        kinds[type(expected_outcome)] += 1
    assert set(kinds) == {Applied, Found, Conflict, Missing, Full}
