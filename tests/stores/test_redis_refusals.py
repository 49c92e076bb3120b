"""A Redis that is there and does not keep what it is given: who hears of it, and when it is over."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.logger import LogLevel

from mcp_echo.cluster.engine import Applied, Broadcast, Change, Entry, Found, Secret
from tests.contracts.test_engine import swept, until
from tests.logged import Events
from tests.ports import free_port
from tests.stores.redis_server import RedisServer
from tests.stores.redis_support import Start, attempt, change, create, load, own, refused

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_tracebacks")]

Act = Callable[[RedisServer, str], object]


class Cause(NamedTuple):
    """What keeps Redis from keeping anything, and how it ends."""

    begin: Act
    end: Act
    reason: str
    """What the operator reads of it."""


def wrong_type(name: str) -> Cause:
    return Cause(
        lambda server, base: (server.ask("DEL", base + name), server.ask("SET", base + name, "somebody's")),
        lambda server, base: server.ask("DEL", base + name),
        "WRONGTYPE",
    )


def lacks(right: str) -> Cause:
    take, give = right.replace("+", "-"), right
    return Cause(
        lambda server, _: server.ask("ACL", "SETUSER", "default", take),
        lambda server, _: server.ask("ACL", "SETUSER", "default", give),
        "NOPERM|ACL failure|can't run",
    )


def keys_only(*patterns: str) -> Cause:
    return Cause(
        lambda server, _: server.ask("ACL", "SETUSER", "default", "resetkeys", *patterns),
        lambda server, _: server.ask("ACL", "SETUSER", "default", "allkeys"),
        "NOPERM|ACL failure",
    )


def set_to(name: str, value: str, before: str, reason: str) -> Cause:
    return Cause(
        lambda server, _: server.ask("CONFIG", "SET", name, value),
        lambda server, _: server.ask("CONFIG", "SET", name, before),
        reason,
    )


COMMANDS = "hset hget hmget hdel xadd xdel xtrim xrange zadd zcard zrange zrangebyscore zrem del time publish"
COMMANDS += " zremrangebyscore zremrangebyrank pexpire pexpireat rpush ltrim lrange setnx get evalsha"
NAMES = "index sizes totals ended shares fresh most holders".split()
SHARED = [f"~*:{name}" for name in NAMES]
CAUSES = {
    "no memory": set_to("maxmemory", "1", "0", "OOM"),
    "too few replicas": set_to("min-replicas-to-write", "1", "0", "NOREPLICAS"),
    "a replica": Cause(
        lambda server, _: server.ask("REPLICAOF", "127.0.0.1", str(free_port())),
        lambda server, _: server.ask("REPLICAOF", "NO", "ONE"),
        "READONLY",
    ),
    "totals of another version": Cause(
        lambda server, base: server.ask("HSET", f"{base}totals", "until", "tomorrow"),
        lambda server, base: server.ask("DEL", f"{base}totals"),
        "compare|arithmetic|script",
    ),
    **{f"a {name} of another type": wrong_type(name) for name in [*NAMES, "bus"]},
    **{f"no {command}": lacks(f"+{command}") for command in COMMANDS.split()},
    "no key of a log": keys_only("~*}:s:*", "~*}:own:*", *SHARED, "~*:bus", "~*:secret"),
    "no bus": keys_only("~*}:[sq]:*", "~*}:own:*", *SHARED, "~*:secret"),
    "no channel": Cause(
        lambda server, _: server.ask("ACL", "SETUSER", "default", "resetchannels"),
        lambda server, _: server.ask("ACL", "SETUSER", "default", "allchannels"),
        "NOPERM|ACL failure|channel",
    ),
}


def full_change(name: str) -> Change:
    """Return a change with everything in it."""
    return change(name, 1, "alice", add=(Entry(1, "", b"m"),), echo=b"echo", tell=("b",))


async def is_noticed(engine: Any, server: RedisServer) -> None:
    """Do what clients and the clock have done, until somebody is refused; or a connection is made anew."""
    for number in range(20):
        if not engine.health().available:
            return
        if number == 10:
            server.says("CLIENT", "KILL", "TYPE", "pubsub")
        await attempt(engine, create(f"{uuid.uuid4()}", owner="alice"))
        await attempt(engine, full_change("one" if number == 0 else f"{number}"))
        try:
            await swept(engine)
            await engine.submit(Broadcast(b"payload"))
            await engine.submit(Secret(b"secret"))
        except Exception:
            pass
        await deferLater(reactor, 0.02)
    raise AssertionError("nothing is wrong")


@pytest.mark.parametrize("cause", CAUSES.values(), ids=CAUSES)
@pytest_twisted.ensureDeferred
async def test_while_nothing_is_kept_nobody_is_told_that_all_is_well(
    start: Start, server: RedisServer, events: Events, cause: Cause
) -> None:
    """docs/scaling.md: `/ready` is true of writing, the reason is said, once in the log, and it heals."""
    address = own(server, prefix="p")
    engine, _ = await start(address, limit_per_principal=10)
    await engine.submit(create("one", owner="alice"))
    cause.begin(server, "p{0}:")
    await is_noticed(engine, server)
    for _ in range(3):
        await deferLater(reactor, 0.15)
        assert not engine.health().available
    assert re.search(cause.reason, str(engine.health().reason)), engine.health()
    (line,) = events.texts(LogLevel.error)
    assert re.search(cause.reason, line), line
    cause.end(server, "p{0}:")
    await until(lambda: engine.health().available)
    assert engine.health().reason is None
    assert isinstance(await engine.submit(create("after", owner="bob")), Applied)
    assert isinstance(await engine.submit(change("after", 1, "bob")), Applied)


@pytest.mark.parametrize("cause", ["no memory", "a sizes of another type", "no xadd", "a replica"])
@pytest_twisted.ensureDeferred
async def test_what_is_so_from_the_start_is_known_from_the_start(
    start: Start, server: RedisServer, events: Events, cause: str
) -> None:
    """Our choice: not with the first request of a client."""
    CAUSES[cause].begin(server, "p{0}:")
    engine, _ = await start(own(server, prefix="p"), wait=False)
    await until(lambda: events.texts(LogLevel.error) != [])
    assert not engine.health().available
    assert re.search(CAUSES[cause].reason, str(engine.health().reason))
    CAUSES[cause].end(server, "p{0}:")
    await until(lambda: engine.health().available)


@pytest_twisted.ensureDeferred
async def test_a_shard_that_is_spoilt_is_an_outage_until_it_is_mended(
    start: Start, server: RedisServer
) -> None:
    """Our choice: a node is ready if it keeps whatever comes, and another may do better."""
    engine, _ = await start(own(server, "&shards=4", prefix="p"))
    CAUSES["a sizes of another type"].begin(server, "p{2}:")
    for _ in range(40):
        await attempt(engine, create(f"{uuid.uuid4()}"))
    for _ in range(3):
        await deferLater(reactor, 0.15)
        assert not engine.health().available
    CAUSES["a sizes of another type"].end(server, "p{2}:")
    await until(lambda: engine.health().available)


@pytest_twisted.ensureDeferred
async def test_one_session_that_is_spoilt_is_said_and_no_outage(
    start: Start, server: RedisServer, events: Events
) -> None:
    """Our choice: it is refused with 503, all others are kept, and the log is told of it now and then."""
    engine, _ = await start(own(server, prefix="p"))
    for name in ("one", "two"):
        await engine.submit(create(name))
    server.ask("SET", "p{0}:q:one", "no stream")
    for _ in range(5):
        await refused(engine, change("one", 1, add=(Entry(1, "", b"m"),)))
        await deferLater(reactor, 0.05)
        assert engine.health().available
    assert isinstance(await engine.submit(change("two", 1)), Applied)
    (line,) = events.texts(LogLevel.error)
    assert "one record" in line
    assert "WRONGTYPE" in line


@pytest_twisted.ensureDeferred
async def test_a_trial_leaves_nothing_and_changes_nothing(start: Start, server: RedisServer) -> None:
    """Our choice: it is made in the middle of everything."""
    engine, _ = await start(own(server, prefix="p"))
    assert server.text("KEYS", "p*") == ""
    await engine.submit(create("one"))
    await engine.submit(Broadcast(b"payload"))
    keys = sorted(server.text("KEYS", "p*").split())
    digests = server.text("DEBUG", "DIGEST-VALUE", *keys)
    await engine.call(engine._codec.trial(0))
    assert sorted(server.text("KEYS", "p*").split()) == keys
    assert server.text("DEBUG", "DIGEST-VALUE", *keys) == digests


@pytest.mark.parametrize(
    "policy", ["allkeys-lru", "allkeys-random", "volatile-lru", "volatile-ttl", "noeviction"]
)
@pytest_twisted.ensureDeferred
async def test_a_redis_that_takes_sessions_away_is_warned_about(
    start: Start, server: RedisServer, events: Events, policy: str
) -> None:
    """https://redis.io/docs/latest/develop/reference/eviction/: all keys of sessions have an expiry."""
    server.ask("CONFIG", "SET", "maxmemory-policy", policy)
    engine, _ = await start(own(server))
    server.ask("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: not engine.health().available)
    await until(lambda: engine.health().available)
    warnings = events.texts(LogLevel.warn)
    assert len(warnings) == (policy != "noeviction")
    assert all(policy in line and "set maxmemory-policy noeviction" in line for line in warnings)


@pytest_twisted.ensureDeferred
async def test_who_may_not_ask_for_the_policy_works_all_the_same(
    start: Start, server: RedisServer, events: Events
) -> None:
    """docs/scaling.md: the rights that are needed do not include INFO."""
    server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    server.ask("ACL", "SETUSER", "default", "-info")
    engine, _ = await start(own(server))
    assert isinstance(await engine.submit(create("one")), Applied)
    assert events == []


class Quotes(Protocol):
    """Answers each command with an error that quotes part of it."""

    def dataReceived(self, data: bytes) -> None:
        words = data.split(b"\r\n")[2::2]
        quoted = b" ".join(b"'%.20b'" % word for word in words)
        self.transport.write(b"-ERR no such thing: %.128b\r\n" % quoted)


@pytest_twisted.ensureDeferred
async def test_no_part_of_a_password_is_shown_whatever_quotes_it(start: Start, events: Events) -> None:
    """SECURITY.md: it is shown nowhere; a proxy, or an old Redis, quotes the beginning of a long one."""
    password = "correct-horse-battery-staple" * 9
    port = reactor.listenTCP(0, Factory.forProtocol(Quotes), interface="127.0.0.1")
    try:
        address = f"redis://me:{password}@127.0.0.1:{port.getHost().port}?timeout=0.2"
        engine, _ = await start(address, wait=False)
        await until(lambda: engine.health().breaker == "open")
        shown = [*events.texts(LogLevel.error), *map(str, engine.health())]
        assert not [text for text in shown if "correct" in text or "staple" in text]
        assert "AUTH" in str(engine.health().reason)
    finally:
        await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_sums_of_sessions_that_are_gone_with_the_time_are_gone(
    start: Start, server: RedisServer
) -> None:
    """Our choice: where Redis's clock was set forward, its keys expire at different moments."""
    engine, _ = await start(own(server, prefix="p"))
    await engine.submit(create("one"))
    until_when = engine.now() - 1
    server.ask("HSET", "p{0}:totals", "until", str(until_when), "handles", "7", "queued", "99")
    await attempt(engine, load("none"))
    assert engine.totals.handles == 0
    assert engine.totals.held == (0, 0, 0)


@pytest_twisted.ensureDeferred
async def test_no_session_has_lived_for_less_than_no_time(start: Start, server: RedisServer) -> None:
    """Our choice: where Redis's clock was set back, a session ends before it was made."""
    engine, _ = await start(own(server, prefix="p"))
    await engine.submit(create("one"))
    assert isinstance(await engine.submit(load("one")), Found)
    server.ask("ZADD", "p{0}:index", "1", "one")
    assert [ended.lifetime for ended in await swept(engine)] == [0]
