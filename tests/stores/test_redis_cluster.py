"""A Redis Cluster of three servers, whose slots move and whose servers die while it is used."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater
from twisted.logger import LogLevel

from mcp_echo.cluster.engine import Applied, Broadcast, Found, Missing
from mcp_echo.stores.redis import nudges as redis_nudges
from mcp_echo.stores.redis.address import CLUSTER_SHARDS, parse_address
from mcp_echo.stores.redis.slots import SLOTS, Where, read_slots, read_where, slot_of
from tests.contracts.test_engine import swept, until
from tests.logged import Events
from tests.stores.redis_cluster import RedisCluster, shared_cluster
from tests.stores.redis_support import Start, attempt, change, create, load

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_tracebacks")]


@pytest.fixture
def cluster() -> Iterator[RedisCluster]:
    """A cluster of the test's own."""
    made = RedisCluster()
    yield made
    made.remove()


def own(cluster: RedisCluster, options: str = "") -> str:
    return f"{cluster.address}&prefix={uuid.uuid4()}{options}"


async def begin(start: Start, address: str, node: str = "a") -> Any:
    """Start an engine, and wait until each server can be reached."""
    engine, ears = await start(address, node)
    await until(lambda: engine.health().available)
    return engine, ears


def shard_of(engine: Any, name: str) -> int:
    return int(engine._codec.operation(load(name)).shard)


# What a cluster tells


def test_the_slot_of_a_shard_is_the_one_that_redis_reckons() -> None:
    """Redis cluster specification, Hash tags."""
    server = shared_cluster().servers[0]
    for shard in range(200):
        assert slot_of(shard) == server.number("CLUSTER", "KEYSLOT", f"mcp-echo{{{shard}}}:s:x")


def test_slots_are_read_with_their_masters() -> None:
    """https://redis.io/docs/latest/commands/cluster-slots/: a host may be missing, or not known yet."""
    reply = [
        [0, 1, [b"10.0.0.1", 6379, b"one", []], [b"10.0.0.9", 6379, b"replica", []]],
        [2, 2, [None, 6380, b"two", []]],
        [5, 16383, [b"?", 6381, b"three"]],
    ]
    slots = read_slots(reply, b"two", "asked")
    one, two, three = Where("10.0.0.1", 6379), Where("asked", 6380), Where("asked", 6381)
    assert slots.owners[:6] == [one, one, two, None, None, three]
    assert (slots.here, len(slots.owners)) == (two, SLOTS)


@pytest.mark.parametrize(
    "reply", [None, b"OK", [1], [[0, 1]], [[0, 1, [b"h", b"x", b"n"]]], [[0, 70000, [b"h", 1, b"n"]]]]
)
def test_what_tells_no_slots_is_refused(reply: object) -> None:
    """Our choice: whatever answers, the reason is one sentence."""
    with pytest.raises(ValueError, match="slots"):
        read_slots(reply, b"n", "h")


def test_where_a_slot_has_moved_is_read() -> None:
    """Redis cluster specification, MOVED Redirection: an empty host is the one that was asked."""
    assert read_where("10.0.0.1:6379", "asked") == Where("10.0.0.1", 6379)
    assert read_where("::1:6379", "asked") == Where("::1", 6379)
    assert read_where(":6379", "asked") == Where("asked", 6379)


def test_an_address_of_a_cluster_has_shards_and_no_database() -> None:
    """docs/scaling.md."""
    assert parse_address("redis://h?cluster=true").shards == CLUSTER_SHARDS
    assert parse_address("redis://h?cluster=true&shards=3").shards == 3
    for wrong in ("redis://h/1?cluster=true", "redis://h?cluster=yes"):
        with pytest.raises(Exception, match="cluster"):
            parse_address(wrong)


# What is kept in it


@pytest_twisted.ensureDeferred
async def test_records_are_spread_over_all_servers_with_one_connection_to_each(
    start: Start, cluster: RedisCluster
) -> None:
    """Our choice: commands and what is pushed share a connection."""
    engine, _ = await begin(start, own(cluster))
    for number in range(100):
        assert isinstance(await engine.submit(create(f"{number}")), Applied)
    for number in range(100):
        assert isinstance(await engine.submit(load(f"{number}")), Found)
    assert engine.totals.records == 100
    assert all(server.number("DBSIZE") > 10 for server in cluster.servers)
    for server in cluster.servers:
        clients = [each for each in server.text("CLIENT", "LIST").splitlines() if "resp=3" in each]
        assert len(clients) == 1


@pytest.mark.parametrize("shard", range(3))
@pytest_twisted.ensureDeferred
async def test_a_nudge_is_heard_from_whichever_server(start: Start, shard: int) -> None:
    """Redis cluster specification, Publish/Subscribe: every server passes on what is published on one."""
    address = own(shared_cluster(), "&shards=3")
    one, _ = await begin(start, address)
    _, ears = await begin(start, address, "b")
    name = next(f"{number}" for number in range(100) if shard_of(one, f"{number}") == shard)
    await one.submit(create(name))
    await one.submit(change(name, 1, tell=("b",)))
    await one.submit(Broadcast(b"payload"))
    await until(lambda: (ears.nudges, ears.broadcasts) == ([name], [b"payload"]))


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_asked_by_another_name_is_no_other_server(
    start: Start, cluster: RedisCluster
) -> None:
    """Our choice: the cluster has names of its own for its servers."""
    engine, _ = await begin(start, own(cluster).replace("127.0.0.1", "localhost"))
    for number in range(50):
        assert isinstance(await engine.submit(create(f"{number}")), Applied)
    assert len(engine._servers.all()) == 3


# Slots that move


class Counting:
    """Raises a counter in each of some records, again and again, as nodes do: with what is kept."""

    def __init__(self, engine: Any, names: list[str]) -> None:
        self.engine = engine
        self.names = names
        self.done = dict.fromkeys(names, 0)
        """How often each was raised, as far as is known."""
        self.unknown = dict.fromkeys(names, 0)
        """How often nobody was told whether it was."""
        self.going_on = True

    async def run(self) -> None:
        """Go on until told otherwise."""
        await gatherResults([pytest_twisted.defer.ensureDeferred(self._raise(name)) for name in self.names])

    async def _raise(self, name: str) -> None:
        while self.going_on:
            found = await attempt(self.engine, load(name))
            if isinstance(found, Found):
                record = found.record
                state = b"%d" % (int(record.state) + 1)
                outcome = await attempt(self.engine, change(name, record.version, state=state))
                self.done[name] += isinstance(outcome, Applied)
                self.unknown[name] += outcome is None
            await deferLater(reactor, 0.001)

    async def check(self) -> None:
        """See that nothing was lost and nothing done twice."""
        for name in self.names:
            found = await self.engine.submit(load(name))
            assert isinstance(found, Found)
            assert self.done[name] <= int(found.record.state) <= self.done[name] + self.unknown[name]


@pytest_twisted.ensureDeferred
async def test_a_slot_that_moves_under_load_loses_nothing(
    start: Start, cluster: RedisCluster, events: Events
) -> None:
    """Redis cluster specification, Redirection and resharding: MOVED, ASK, TRYAGAIN."""
    engine, _ = await begin(start, own(cluster, "&shards=3&timeout=2"))
    names = [f"{number}" for number in range(30)]
    for name in names:
        await engine.submit(create(name, state=b"0"))
    counting = Counting(engine, names)
    running = pytest_twisted.defer.ensureDeferred(counting.run())
    slot = slot_of(0)
    for place in range(3):
        to = cluster.servers[place]
        if cluster.owner(slot) is to:
            continue
        await deferLater(reactor, 0.1)
        before = sum(counting.done.values())
        cluster.begin_move(slot, to)
        while cluster.move_keys(slot, to, 3):
            await deferLater(reactor, 0.02)
        cluster.end_move(slot, to)
        await until(lambda before=before: sum(counting.done.values()) > before + 100)
    counting.going_on = False
    await running
    await counting.check()
    assert sum(counting.unknown.values()) == 0
    assert events.texts(LogLevel.error) == []
    assert engine.health().available


@pytest_twisted.ensureDeferred
async def test_a_slot_that_takes_long_to_move_is_refused_after_a_while(
    start: Start, cluster: RedisCluster
) -> None:
    """Our choice: 503 with Retry-After rather than a request that hangs."""
    engine, _ = await begin(start, own(cluster, "&shards=3&timeout=0.3"))
    name = next(f"{number}" for number in range(100) if shard_of(engine, f"{number}") == 0)
    await engine.submit(create(name))
    slot = slot_of(0)
    to = next(each for each in cluster.servers if each is not cluster.owner(slot))
    cluster.begin_move(slot, to)
    cluster.move_keys(slot, to, 1)
    assert await attempt(engine, load(name)) is None
    while cluster.move_keys(slot, to):
        pass
    cluster.end_move(slot, to)
    assert isinstance(await engine.submit(load(name)), Found)
    assert engine.health().available


@pytest_twisted.ensureDeferred
async def test_nudges_are_heard_when_all_slots_have_left_a_server(
    start: Start, cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our choice: a server that has nothing is let go of, with what listens on it."""
    slot, other = slot_of(0), slot_of(1)
    old, new = cluster.owner(slot), cluster.owner(other)
    assert old is not new
    # The server that is named stays.
    address = own(cluster, "&shards=2&timeout=0.2").replace(str(cluster.servers[0].port), str(new.port))
    monkeypatch.setattr(redis_nudges, "LOOK_INTERVAL", 60)
    one, ears = await begin(start, address)
    cluster.begin_move(slot, new)
    while cluster.move_keys(slot, new):
        pass
    cluster.end_move(slot, new)
    assert await swept(one) == []
    assert one._servers.in_use() == [one._servers.all()[0]]
    await until(lambda: "resp=3" not in old.text("CLIENT", "LIST"))
    two, _ = await begin(start, address, "b")
    await two.submit(Broadcast(b"payload"))
    await until(lambda: ears.broadcasts == [b"payload"])


@pytest_twisted.ensureDeferred
async def test_a_slot_comes_back_to_a_server_that_was_let_go_of(start: Start, cluster: RedisCluster) -> None:
    """Our choice: a server that connects anew while it is let go of is none to come back to."""
    slot = slot_of(0)
    old = cluster.owner(slot)
    new = next(each for each in cluster.servers if each is not old)
    address = own(cluster, "&shards=1&timeout=1").replace(str(cluster.servers[0].port), str(new.port))
    engine, _ = await begin(start, address)
    await engine.submit(create("one"))
    for to in (new, old):
        cluster.begin_move(slot, to)
        while cluster.move_keys(slot, to):
            pass
        cluster.end_move(slot, to)
        assert isinstance(await engine.submit(load("one")), Found)
        if to is new:
            old.ask("CLIENT", "KILL", "TYPE", "pubsub")
            await deferLater(reactor, 0.5)
            assert "resp=3" in old.text("CLIENT", "LIST"), "it has not connected anew"
            await until(lambda: "resp=3" not in old.text("CLIENT", "LIST"))


# Servers that die


@pytest_twisted.ensureDeferred
async def test_a_server_that_takes_over_is_found(start: Start, cluster: RedisCluster) -> None:
    """Redis cluster specification, Replica election: the others know, whoever it is."""
    slot = slot_of(0)
    gone = cluster.owner(slot)
    left = [each for each in cluster.servers if each is not gone]
    address = own(cluster, "&shards=1").replace(str(cluster.servers[0].port), str(left[0].port))
    engine, _ = await begin(start, address)
    gone.stop()
    await until(lambda: not engine.health().available)
    for server in left:
        server.ask("CLUSTER", "SETSLOT", str(slot), "NODE", left[1].text("CLUSTER", "MYID"))
    await until(lambda: engine.health().available)
    assert isinstance(await engine.submit(create("one")), Applied)
    assert left[1].number("DBSIZE") > 0


@pytest_twisted.ensureDeferred
async def test_what_is_on_other_servers_goes_on_while_one_is_gone(
    start: Start, cluster: RedisCluster, events: Events
) -> None:
    """Our choice: an outage is one of the sessions that are there; and over once they can be made again."""
    engine, ears = await begin(start, own(cluster))
    names = [f"{number}" for number in range(100)]
    for name in names:
        await engine.submit(create(name))
    gone = cluster.owner(slot_of(5))
    there = [name for name in names if cluster.owner(slot_of(shard_of(engine, name))) is not gone]
    assert 20 < len(there) < 80
    gone.stop()
    await until(lambda: not engine.health().available)
    await until(lambda: engine.health().breaker == "open")
    for name in names:
        outcome = await attempt(engine, load(name))
        assert isinstance(outcome, Found) == (name in there), outcome
    (line,) = events.texts(LogLevel.error)
    assert f":{gone.port}/" in line
    brief = [await attempt(engine, create(f"brief {number}", timeout=1)) for number in range(50)]
    made = sum(each is not None for each in brief)
    assert 10 < made < 40
    await deferLater(reactor, 0.01)
    assert len(await swept(engine)) == made
    gone.start()
    await until(lambda: engine.health().available)
    cluster.wait_until_whole()
    # Nothing is saved here.
    lost = next(name for name in names if name not in there)
    await until_kept(engine, lost)
    assert len([text for text in events.texts(LogLevel.info) if "there again" in text]) == 1
    assert ears.times_caught_up > 0


async def until_kept(engine: Any, name: str) -> None:
    """Make a record that was lost anew, as soon as that can be."""
    for _ in range(500):
        if await attempt(engine, load(name)) == Missing() and await attempt(engine, create(name)) is not None:
            return
        await deferLater(reactor, 0.01)
    raise AssertionError("it cannot be made")


@pytest_twisted.ensureDeferred
async def test_a_node_that_starts_while_a_server_is_gone_finds_it_later(
    start: Start, cluster: RedisCluster
) -> None:
    """Our choice: a restart of this server must not need all of the cluster."""
    address = own(cluster)
    gone = cluster.owner(slot_of(5))
    gone.stop()
    first = next(each for each in cluster.servers if each is not gone)
    address = address.replace(f":{cluster.servers[0].port}", f":{first.port}")
    engine, _ = await start(address, wait=False)
    await until(lambda: engine._servers.owners[5].health.breaker.refuses)
    assert not engine.health().available
    gone.start()
    await until(lambda: engine.health().available)
