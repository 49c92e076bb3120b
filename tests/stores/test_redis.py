"""What is Redis's own: keys and their lives, batches, connections.

What all engines share is in tests/contracts, what happens when Redis fails is in test_redis_faults.py.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater
from twisted.logger import LogLevel

from mcp_echo.cluster.engine import (
    Applied,
    Broadcast,
    Change,
    Close,
    Count,
    Create,
    EngineRefused,
    Entry,
    Found,
    Full,
    Missing,
    Peek,
    RecordLimits,
    Secret,
    SessionBytes,
    Totals,
)
from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.stores import batching
from mcp_echo.stores.redis import lane as redis_lane
from mcp_echo.stores.redis import nudges as redis_nudges
from mcp_echo.stores.redis import script as redis_script
from mcp_echo.stores.redis.codec import Codec
from tests.certificates import make_certificate
from tests.contracts.test_engine import begin, swept, until
from tests.logged import Events
from tests.stores.redis_server import RedisServer, shared_server
from tests.stores.redis_support import (
    LONG,
    Start,
    attempt,
    change,
    create,
    load,
    make,
    own,
    refused,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_tracebacks")]


@pytest.fixture
def prefix() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def address(prefix: str) -> str:
    return own(shared_server(), prefix=prefix)


def keys(prefix: str) -> set[str]:
    """Return the names of all keys of one test, without what they begin with."""
    found = shared_server().text("KEYS", f"{prefix}*").split()
    return {name.removeprefix(prefix + "{0}:") for name in found}


def remaining(prefix: str, name: str) -> int:
    """Return the milliseconds that a key has left; -1 for ever, -2 if it is not there."""
    return shared_server().number("PTTL", f"{prefix}{{0}}:{name}")


def expiries(prefix: str) -> tuple[int, int]:
    """Return when the hash and the log of the session expire."""
    hash_key, log_key = (f"{prefix}{{0}}:{kind}:one" for kind in "sq")
    one, two = (shared_server().number("PEXPIRETIME", key) for key in (hash_key, log_key))
    return one, two


# What is kept

SIZES = [0, 1, 31, 32, 255, 256, 65_535, 65_536, 1_048_576]


@pytest.mark.parametrize("size", SIZES)
@pytest_twisted.ensureDeferred
async def test_any_bytes_of_any_length_come_back_as_they_were(start: Start, address: str, size: int) -> None:
    """Interface, Record: state and echo are bytes; MessagePack writes lengths in several ways."""
    engine, _ = await start(address)
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    await engine.submit(create("one", state=data))
    made = await engine.submit(change("one", 1, state=data[::-1], echo=data, add=(Entry(1, "s", data),)))
    assert isinstance(made, Applied)
    found = await engine.submit(load("one"))
    assert found.record[1:3] == (data[::-1], data)
    assert found.record.entries == (Entry(1, "s", data),)


@pytest_twisted.ensureDeferred
async def test_large_numbers_stay_exact(start: Start, address: str) -> None:
    """Our choice: Lua's numbers are floating point, and are exact up to 2**53."""
    engine, _ = await start(address)
    await engine.submit(create("one"))
    sequence, held = 2**53 - 1, SessionBytes(2**52, 2**51 + 1, 2**31 + 7)
    await engine.submit(change("one", 1, add=(Entry(sequence, "", b"m"),), held=held))
    found = await engine.submit(load("one", known=sequence - 1))
    assert [entry.sequence for entry in found.record.entries] == [sequence]
    assert engine.totals == Totals(1, 0, held)


@pytest_twisted.ensureDeferred
async def test_more_messages_than_lua_takes_arguments_are_dropped_at_once(start: Start, address: str) -> None:
    """Interface, Change.drop: any number; Lua's unpack takes about 8,000."""
    engine, _ = await start(address)
    await engine.submit(create("one"))
    all_of_them = tuple(Entry(number, "", b"m") for number in range(1, 9001))
    await engine.submit(change("one", 1, add=all_of_them))
    assert len((await engine.submit(load("one"))).record.entries) == 9000
    await engine.submit(change("one", 2, drop=tuple(range(1, 9001))))
    assert (await engine.submit(load("one"))).record.entries == ()


@pytest_twisted.ensureDeferred
async def test_to_make_a_record_again_finds_the_one_that_is_there(start: Start, address: str) -> None:
    """Interface, StoreUnavailable: when the answer was lost it may have been made; the sums stay right."""
    engine, _ = await start(address)
    first = await engine.submit(create("one", owner="alice"))
    assert await engine.submit(create("one", owner="alice")) == first
    assert engine.totals == Totals(1)
    await refused(engine, create("one", owner="bob"))
    assert isinstance(await engine.submit(load("one", "alice")), Found)


# How long it is kept


@pytest_twisted.ensureDeferred
async def test_all_of_a_session_expires_together(start: Start, address: str, prefix: str) -> None:
    """hardening: every write expires hash and stream together; a change that is no use leaves the expiry."""
    engine, _ = await start(address)
    made = await engine.submit(create("one", timeout=50_000))
    for version in (1, 2):
        await deferLater(reactor, 0.005)
        await engine.submit(change("one", version, touch=False, add=(Entry(version, "", b"m"),)))
        assert expiries(prefix) == (made.created + 50_000, made.created + 50_000)
    await engine.submit(change("one", 3))
    used = (await engine.submit(load("one"))).record.used
    assert used > made.created
    assert expiries(prefix) == (used + 50_000, used + 50_000)


@pytest_twisted.ensureDeferred
async def test_nothing_brings_back_what_has_expired(start: Start, address: str, prefix: str) -> None:
    """hardening: HSET on an expired key makes one that never expires."""
    engine, _ = await start(address)
    await engine.submit(create("one", timeout=30, owner="alice"))
    await engine.submit(change("one", 1, "alice", add=(Entry(1, "", b"m"),)))
    await deferLater(reactor, 0.05)
    assert await engine.submit(change("one", 2, "alice", add=(Entry(2, "", b"m"),))) == Missing()
    assert await engine.submit(Close("one", "alice", False)) == Missing()
    assert not keys(prefix) & {"s:one", "q:one"}


@pytest_twisted.ensureDeferred
async def test_the_time_decides_whether_a_session_has_expired(
    start: Start, address: str, prefix: str
) -> None:
    """Our choice: not whether Redis has come to take it away."""
    engine, _ = await start(address)
    await engine.submit(create("one", timeout=30))
    shared_server().ask("PERSIST", f"{prefix}{{0}}:s:one")
    await deferLater(reactor, 0.05)
    for operation in (change("one", 1), load("one"), Peek("one"), Close("one", None, False)):
        assert await engine.submit(operation) == Missing()


@pytest_twisted.ensureDeferred
async def test_a_session_that_somebody_has_spoilt_harms_no_other(
    start: Start, address: str, prefix: str
) -> None:
    """Our choice: operations go together, but each fails for itself."""
    engine, _ = await start(address)
    for name in ("one", "two", "three"):
        await engine.submit(create(name, state=name.encode()))
        await engine.submit(change(name, 1, state=name.encode(), add=(Entry(1, "", b"m"),)))
    shared_server().ask("SET", f"{prefix}{{0}}:q:two", "no stream")
    looks = [begin(attempt(engine, load(name))) for name in ("one", "one", "two", "three", "two", "one")]
    outcomes = await gatherResults(looks)
    states = [outcome and outcome.record.state for outcome in outcomes]
    assert states == [b"one", b"one", None, b"three", None, b"one"]
    health = engine.health()
    assert (health.available, health.breaker, health.failures) == (True, "closed", 2)
    assert "WRONGTYPE" in str(health.last_failure)


@pytest_twisted.ensureDeferred
async def test_no_key_lives_for_ever_and_none_goes_before_its_sessions(
    start: Start, address: str, prefix: str
) -> None:
    """Our choice: a server that nobody comes back to is left empty, but for the secret."""
    engine, _ = await start(address, limit=3, limit_per_principal=3)
    await engine.submit(create("gone", timeout=1))
    for name, timeout in (("short", 1000), ("long", 90_000_000), ("mid", 2000)):
        await deferLater(reactor, 0.01)
        await engine.submit(create(name, timeout, "alice")._replace(used=False))
        await engine.submit(change(name, 1, "alice", add=(Entry(1, "", b"m"),)))
    await engine.submit(Broadcast(b"payload"))
    await engine.submit(Secret(b"secret"))
    lives = {name: remaining(prefix, name) for name in keys(prefix)}
    for name in ("index", "sizes", "totals", "ended", "shares", "fresh", "most", "holders"):
        assert lives.pop(name) > 90_000_000, name
    assert lives.pop("secret") == -1
    assert len(lives) == 7
    assert min(lives.values()) > 0


@pytest_twisted.ensureDeferred
async def test_a_use_keeps_the_keys_that_it_needs(start: Start, address: str, prefix: str) -> None:
    """Our choice: as above, for a session that is used for longer than those keys were to live at first."""
    engine, _ = await start(address, limit_per_principal=3)
    await engine.submit(create("one", owner="alice")._replace(used=False))
    shared = {f"{prefix}{{0}}:{name}" for name in keys(prefix) if name != "s:one"}
    assert len(shared) == 7
    for name in shared:
        shared_server().ask("PEXPIRE", name, "60000")
    shared_server().ask("HSET", f"{prefix}{{0}}:totals", "until", str(engine.now() + 60_000))
    await engine.submit(change("one", 1, "alice"))
    assert min(shared_server().number("PTTL", name) for name in shared) > LONG


@pytest_twisted.ensureDeferred
async def test_what_has_ended_leaves_nothing(start: Start, address: str, prefix: str) -> None:
    """Our choice: figures of sessions that are gone would pile up, for the key lives as long as any session
    does."""
    engine, _ = await start(address, limit=3)
    for number in range(6):
        await engine.submit(create(f"{number}", timeout=1))
        await deferLater(reactor, 0.01)
    await swept(engine)
    assert keys(prefix) == {"totals"}


@pytest_twisted.ensureDeferred
async def test_keys_that_became_empty_and_came_again_do_not_live_for_ever(
    start: Start, address: str, prefix: str
) -> None:
    """Redis takes away a key with its last member: the next one has no expiry."""
    engine, _ = await start(address, limit_per_principal=3)
    for _ in range(2):
        await engine.submit(create("one", owner="alice")._replace(used=False))
        lives = [remaining(prefix, name) for name in keys(prefix) if name != "s:one"]
        assert len(lives) == 7
        assert min(lives) > LONG
        await engine.submit(Close("one", "alice", False))
    assert keys(prefix) == {"totals"}


@pytest_twisted.ensureDeferred
async def test_what_was_broadcast_is_kept_for_a_minute(start: Start, address: str, prefix: str) -> None:
    """Interface, Broadcast: for a minute; and no more than so many."""
    engine, _ = await start(address)
    for age in (61_000, 59_000):
        place = f"{engine.now() - age}-0"
        shared_server().ask("XADD", f"{prefix}{{0}}:bus", place, "n", "b", "p", "old")
    await engine.submit(Broadcast(b"new"))
    assert shared_server().number("XLEN", f"{prefix}{{0}}:bus") == 2


# Limits over shards


@pytest.mark.parametrize(
    ("limit", "shards"), [(1000, 1), (1000, 16), (1, 16), (15, 16), (17, 16), (1023, 1024)]
)
def test_the_parts_of_the_limit_add_up_to_it(limit: int, shards: int) -> None:
    """docs/scaling.md: the limit is exact, however many shards there are."""
    codec = Codec("p", shards, "a", RecordLimits(limit))
    parts: dict[int, int] = {}
    for number in range(50 * shards):
        call = codec.operation(create(f"{number}"))
        parts[call.shard] = call.body[6]
    assert len(parts) == shards
    assert sum(parts.values()) == limit
    assert max(parts.values()) - min(parts.values()) <= 1


@pytest_twisted.ensureDeferred
async def test_no_more_records_than_may_be_over_all_shards(start: Start) -> None:
    """docs/scaling.md: as above, by making them; a full shard refuses although another has room."""
    engine, _ = await start(own(shared_server(), "&shards=4"), limit=10)
    outcomes = [await engine.submit(create(f"{number}")) for number in range(200)]
    assert Counter(map(type, outcomes)) == {Applied: 10, Full: 190}
    assert {outcome.seconds for outcome in outcomes if isinstance(outcome, Full)} == {60}
    assert engine.totals == Totals(10)


@pytest_twisted.ensureDeferred
async def test_the_share_of_an_owner_holds_for_each_shard(start: Start) -> None:
    """docs/scaling.md."""
    engine, _ = await start(own(shared_server(), "&shards=4"), limit_per_principal=2)
    outcomes = [await engine.submit(create(f"{number}", owner="alice")) for number in range(100)]
    assert Counter(map(type, outcomes)) == {Applied: 8, Full: 92}
    assert {outcome.whose for outcome in outcomes if isinstance(outcome, Full)} == {"holder"}


@pytest_twisted.ensureDeferred
async def test_the_share_of_an_address_is_divided_over_the_shards(start: Start) -> None:
    """docs/scaling.md: of all shards together it has no more than it may, and 1 at least of each."""
    engine, _ = await start(own(shared_server(), "&shards=4"), limit=100, limit_per_address=10)
    made = [Create(f"{number}", None, False, LONG, b"", "10.0.0.1", used=True) for number in range(100)]
    outcomes = [await engine.submit(each) for each in made]
    assert Counter(map(type, outcomes)) == {Applied: 10, Full: 90}


@pytest_twisted.ensureDeferred
async def test_a_count_over_shards_whose_connection_is_lost_is_refused_once(start: Start) -> None:
    """Interface, Engine.submit: StoreUnavailable, as for any operation; nothing is left in the log."""
    engine, _ = await start(own(shared_server(), "&shards=4"))
    counting = engine.submit(Count("alice", "10.0.0.1"))
    engine._servers.owners[0].failed(0, "lost", unusable=True)
    with pytest.raises(StoreUnavailable):
        await counting


@pytest_twisted.ensureDeferred
async def test_what_an_older_node_has_used_or_ended_gives_way_to_none(
    start: Start, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nodes of two versions share sessions: an older one keeps no account of shares."""
    engine, _ = await start(address, limit_per_address=3)
    new = {
        name: Create(name, None, False, LONG, b"", "10.0.0.1")
        for name in ("one", "two", "three", "four", "five")
    }
    for name in ("one", "two", "three"):
        await engine.submit(new[name])
    older = redis_script._SOURCE
    # As that one writes what it has changed, and takes away what it has ended.
    for now, then in (
        (b"waiting, logged, is_fresh)\n", b"waiting, logged)\n"),
        (b"local place = was_fresh", b"local place = false"),
        (b"local function disown(ids)", b"local function disown(ids) if true then return end"),
    ):
        assert older.count(now) == 1
        older = older.replace(now, then)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(redis_script, "_SOURCE", older)
        elsewhere.setattr(redis_script, "_NAME", hashlib.sha1(older, usedforsecurity=False).hexdigest())
        await engine.submit(Change("one", None, False, 1, True, b"used", used=True))
        await engine.submit(Close("two", None, False))
    assert [type(await engine.submit(new[name])) for name in ("four", "five")] == [Applied, Applied]
    left = [name for name in new if isinstance(await engine.submit(Peek(name)), Found)]
    assert left == ["one", "four", "five"]


# Batches


@pytest_twisted.ensureDeferred
async def test_operations_that_come_together_go_together(
    start: Start, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our choice: one call for many is what makes it fast; not too many, for nobody else is served
    meanwhile."""
    engine, _ = await start(address)
    sizes: list[int] = []
    batch = Codec.batch

    def count(codec: Codec, shard: int, calls: Any) -> Any:
        sizes.append(len(calls))
        return batch(codec, shard, calls)

    monkeypatch.setattr(Codec, "batch", count)
    await gatherResults([engine.submit(create(f"{number}")) for number in range(600)])
    assert sizes == [1, 256, 256, 87]
    sizes.clear()
    await gatherResults([engine.submit(create(f"large {n}", state=bytes(1_500_000))) for n in range(5)])
    assert sizes == [1, 2, 2]


@pytest_twisted.ensureDeferred
async def test_answers_that_are_long_come_in_several(
    start: Start, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our choice: 256 echoes of a megabyte are no answer that anybody wants in one piece."""
    engine, _ = await start(f"{address}&timeout=10")
    names = [f"{number}" for number in range(30)]
    for name in names:
        await engine.submit(create(name))
        await engine.submit(change(name, 1, echo=name.encode() * 500_000))
    heard: list[str] = []
    sizes: list[int] = []
    read = redis_lane.read_answer

    def count(reply: Any, count: int) -> Any:
        sizes.append(len(reply))
        return read(reply, count)

    monkeypatch.setattr(redis_lane, "read_answer", count)

    async def look(name: str) -> None:
        found = await engine.submit(load(name))
        assert found.record.echo == name.encode() * 500_000
        heard.append(name)

    await gatherResults([begin(look(name)) for name in names])
    assert heard == names
    assert max(sizes) < 10_000_000
    assert sum(sizes) > 20_000_000


@pytest_twisted.ensureDeferred
async def test_what_would_wait_too_long_is_refused_at_once(
    start: Start, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our choice: what waits is bounded, in number and in size."""
    engine, _ = await start(address)
    monkeypatch.setattr(batching, "WAITING_CALLS", 5)
    outcomes = [engine.submit(create(f"{number}")) for number in range(8)]
    for outcome in outcomes[6:]:
        assert outcome.called
        with pytest.raises(Exception, match="is unavailable"):
            await outcome
    assert all(isinstance(outcome, Applied) for outcome in await gatherResults(outcomes[:6]))
    monkeypatch.setattr(batching, "WAITING_BYTES", 10_000)
    first = engine.submit(create("first"))
    await refused(engine, create("large", state=bytes(10_000)))
    assert isinstance(await first, Applied)


@pytest_twisted.ensureDeferred
async def test_what_has_been_done_does_not_count_as_waiting(
    start: Start, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our choice: as above; a count that only grows would end in refusing everything."""
    engine, _ = await start(address)
    monkeypatch.setattr(batching, "WAITING_CALLS", 5)
    monkeypatch.setattr(batching, "WAITING_BYTES", 5000)
    for number in range(50):
        assert isinstance(await engine.submit(create(f"{number}")), Applied)
    for _ in range(20):
        looks = [engine.submit(load(f"{number}")) for number in range(5)]
        assert all(isinstance(outcome, Found) for outcome in await gatherResults(looks))


# Who else is there


@pytest_twisted.ensureDeferred
async def test_a_broadcast_whose_nudge_was_lost_is_heard_all_the_same(
    start: Start, address: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """hardening: the stream is the truth, what is published is a nudge."""
    monkeypatch.setattr(redis_nudges, "LOOK_INTERVAL", 0.05)
    _, ears = await start(address)
    shared_server().ask("XADD", f"{prefix}{{0}}:bus", "*", "n", "b", "p", "unpublished")
    await until(lambda: ears.broadcasts == [b"unpublished"])


@pytest_twisted.ensureDeferred
async def test_nodes_with_another_prefix_are_strangers(start: Start) -> None:
    """Our choice: one Redis serves several."""
    one, _ = await start(own(shared_server()), "a")
    two, ears = await start(own(shared_server()), "b")
    await one.submit(create("one"))
    await one.submit(change("one", 1, tell=("b",)))
    await one.submit(Broadcast(b"payload"))
    assert await two.submit(Peek("one")) == Missing()
    assert await one.submit(Secret(b"one")) != await two.submit(Secret(b"two"))
    assert (ears.nudges, ears.broadcasts) == ([], [])


@pytest_twisted.ensureDeferred
async def test_a_database_may_be_named(start: Start, server: RedisServer) -> None:
    """docs/scaling.md: redis://host/db."""
    one, _ = await start(f"{server.address}/3?prefix=p")
    two, _ = await start(f"{server.address}/4?prefix=p", "b")
    await one.submit(create("one"))
    assert await two.submit(Peek("one")) == Missing()
    assert server.text("-n", "3", "EXISTS", "p{0}:s:one") == "1"
    assert one.health().where == f"{server.address}/3"


# Who may use it

PASSWORD = "p@ss:w/o?r#d %é"
ENCODED = "p%40ss%3Aw%2Fo%3Fr%23d%20%25%C3%A9"
RIGHTS = ["~p{*", "&p:*", "-@all", "+@connection", "+@scripting", "+@read", "+@write", "+@pubsub", "+time"]


@pytest_twisted.ensureDeferred
async def test_a_user_with_no_more_rights_than_documented_can_do_everything(
    start: Start, server: RedisServer
) -> None:
    """docs/scaling.md, and https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/"""
    server.ask("ACL", "SETUSER", "m@e", "on", f">{PASSWORD}", *RIGHTS)
    server.ask("ACL", "SETUSER", "default", "off")
    address = server.address.replace("//", f"//m%40e:{ENCODED}@") + "?prefix=p"
    one, _ = await start(address)
    two, ears = await start(address, "b")
    await one.submit(create("one", owner="alice"))
    await one.submit(change("one", 1, "alice", add=(Entry(1, "", b"m"),), tell=("b",)))
    await one.submit(Broadcast(b"payload"))
    await until(lambda: (ears.nudges, ears.broadcasts) == (["one"], [b"payload"]))
    assert isinstance(await two.submit(Close("one", "alice", False)), Applied)
    assert await swept(two) == []
    assert await one.submit(Secret(b"one")) == await two.submit(Secret(b"two"))


@pytest.mark.parametrize(
    ("user", "reason"),
    [(f"default:{ENCODED}x", "WRONGPASS"), (f":{ENCODED}x", "WRONGPASS"), ("", "NOAUTH")],
)
@pytest_twisted.ensureDeferred
async def test_a_wrong_password_is_said_but_not_shown(
    start: Start, server: RedisServer, events: Events, user: str, reason: str
) -> None:
    """Our choice: refused with 503, and the operator reads why."""
    server.ask("CONFIG", "SET", "requirepass", PASSWORD)
    engine, _ = await start(server.address.replace("//", f"//{user}@" if user else "//"), wait=False)
    await refused(engine, create("one"))
    await until(lambda: engine.health().breaker == "open")
    (line,) = events.texts(LogLevel.error)
    assert reason in line
    assert reason in engine.health().last_failure
    assert "p@ss" not in repr(events) + repr(engine.health())
    assert "p%40ss" not in repr(events) + repr(engine.health())


@pytest.mark.parametrize("lacking", ["&p:*", "+@write", "~p{*", "+@scripting"])
@pytest_twisted.ensureDeferred
async def test_a_right_that_lacks_is_noticed_at_once(
    start: Start, server: RedisServer, events: Events, lacking: str
) -> None:
    """Our choice: not with the first change of the first session, half of which is done by then."""
    server.ask("ACL", "SETUSER", "me", "on", ">word", *(right for right in RIGHTS if right != lacking))
    engine, _ = await start(server.address.replace("//", "//me:word@") + "?prefix=p", wait=False)
    await until(lambda: engine.health().breaker == "open")
    (line,) = events.texts(LogLevel.error)
    assert re.search("NOPERM|ACL failure|can't", line), line


@pytest_twisted.ensureDeferred
async def test_a_node_that_may_not_listen_says_so_once(
    start: Start, server: RedisServer, events: Events
) -> None:
    """Our choice: it serves all the same, and hears of others late."""
    server.ask("ACL", "SETUSER", "me", "on", ">word", *RIGHTS, "-subscribe")
    engine, ears = await start(server.address.replace("//", "//me:word@") + "?prefix=p", wait=False)
    await until(lambda: events.texts(LogLevel.error) != [])
    assert isinstance(await engine.submit(create("one")), Applied)
    server.ask("ACL", "SETUSER", "me", "+subscribe")
    await until(lambda: ears.times_caught_up == 1)
    (line,) = events.texts(LogLevel.error)
    assert "NOPERM" in line
    assert len([text for text in events.texts(LogLevel.info) if "subscribe again" in text]) == 1


# TLS


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[RedisServer]:
    made = RedisServer(tls=make_certificate(tmp_path, "localhost"))
    yield made
    made.remove()


@pytest_twisted.ensureDeferred
async def test_redis_can_be_reached_over_tls(start: Start, tls_server: RedisServer, tmp_path: Path) -> None:
    """docs/scaling.md: rediss:, with an authority of one's own."""
    one, _ = await start(f"{tls_server.address}?cafile={tmp_path}/certificate.pem")
    _, ears = await start(f"{tls_server.address}?cafile={tmp_path}/certificate.pem", "b")
    await one.submit(create("one"))
    assert isinstance(await one.submit(change("one", 1, echo=bytes(300_000), tell=("b",))), Applied)
    await until(lambda: ears.nudges == ["one"])
    assert one.health().where == f"{tls_server.address}/0"


@pytest.mark.parametrize("options", ["", "?cafile={}/other/certificate.pem", "127.0.0.1"])
@pytest_twisted.ensureDeferred
async def test_a_certificate_that_proves_nothing_is_refused(
    start: Start, tls_server: RedisServer, tmp_path: Path, events: Events, options: str
) -> None:
    """RFC 9525: authority and name are checked; our choice: the log says that it was the certificate."""
    (tmp_path / "other").mkdir()
    make_certificate(tmp_path / "other", "localhost")
    address = tls_server.address + options.format(tmp_path)
    if options == "127.0.0.1":
        address = f"rediss://127.0.0.1:{tls_server.port}?cafile={tmp_path}/certificate.pem"
    engine, _ = await start(address, wait=False)
    await until(lambda: engine.health().breaker == "open")
    (line,) = events.texts(LogLevel.error)
    assert re.search("certificate|[Vv]erif|service identity", line), line


# Before the start


@pytest.mark.parametrize(
    "content", [None, "no certificate", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"]
)
def test_a_file_that_holds_no_certificates_is_refused(tmp_path: Path, content: str | None) -> None:
    """Interface, open: one line for the operator."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(EngineRefused, match=re.escape(f"cafile {path}")) as refusal:
        make(f"rediss://localhost?cafile={path}").open()
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize(("missing", "address"), [("hiredis", "redis://h"), ("OpenSSL", "rediss://h")])
def test_what_has_to_be_installed_is_said(missing: str, address: str) -> None:
    """Interface, open: one line for the operator."""
    program = f"""
import sys
sys.modules[{missing!r}] = None
from mcp_echo.settings.table import ConfigError
from mcp_echo.settings.load import load
from mcp_echo.stores.choose import open_engine
from mcp_echo.cluster.engine import EngineRefused
try:
    open_engine(None, load({{}}, {{"MCP_ECHO_STORE": {address!r}}}).settings, "a").open()
except (ConfigError, EngineRefused) as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install 'mcp-echo-daemon[redis]'" in ran.stdout
    assert ran.stdout.count("\n") == 1


def test_nothing_installs_a_reactor_before_it_is_chosen() -> None:
    """twistd installs the reactor that was asked for after it has read the plugins."""
    program = "; ".join(
        [
            "import sys",
            "import mcp_echo.stores.redis.engine",
            "assert 'twisted.internet.reactor' not in sys.modules",
        ]
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
