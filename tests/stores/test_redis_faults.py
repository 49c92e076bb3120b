"""What happens when Redis, or the way to it, fails: everybody is told at once, and nothing needs a restart.

No test asserts how long anything takes; each waits for what must come, with patience.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.logger import LogLevel

from mcp_echo.cluster.engine import Applied, Close, Found, Missing, Outcome, Peek, Totals
from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.stores.redis import nudges as redis_nudges
from mcp_echo.stores.redis.engine import RedisEngine
from tests.contracts.test_engine import PATIENCE, begin, swept, until
from tests.logged import Events
from tests.ports import free_port
from tests.stores.redis_server import RedisServer
from tests.stores.redis_support import (
    Between,
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


@pytest_twisted.async_yield_fixture
async def between(server: RedisServer) -> AsyncIterator[Between]:
    """A way to a server that can be disturbed."""
    made = Between(server)
    await made.open()
    yield made
    await made.close()


async def comes_back(engine: RedisEngine, operation: Any = None) -> Outcome:
    """Return the outcome of an operation as soon as it is not refused."""
    for _ in range(PATIENCE * 100):
        outcome = await attempt(engine, operation or Peek("never made"))
        if outcome is not None:
            return outcome
        await deferLater(reactor, 0.01)
    raise AssertionError(engine.health())


async def outage(engine: RedisEngine) -> None:
    """Wait until Redis counts as gone."""
    await until(lambda: engine.health().breaker == "open")


@pytest_twisted.ensureDeferred
async def test_a_redis_that_is_down_at_the_start_is_waited_for(start: Start, events: Events) -> None:
    """Our choice: after a power cut nobody says in which order machines start."""
    server = RedisServer()
    server.stop()
    try:
        engine, ears = await start(own(server), wait=False)
        await refused(engine, create("one"))
        await outage(engine)
        assert not engine.health().available
        assert ears.times_caught_up == 0
        server.start()
        assert await comes_back(engine) == Missing()
        assert engine.health().available
        await until(lambda: ears.times_caught_up == 1)
    finally:
        server.remove()
    assert len(events.texts(LogLevel.error)) == 1


@pytest_twisted.ensureDeferred
async def test_a_redis_that_was_restarted_is_found_again(
    start: Start, server: RedisServer, events: Events
) -> None:
    """hardening: StoreUnavailable meanwhile, without being tried once that is known; Retry-After 1 to 3,
    jittered; scripts are gone after a restart; usable again without a restart of this server."""
    address = own(server)
    engine, ears = await start(address)
    other, _ = await start(address, "b")
    await engine.submit(create("one"))
    server.stop()
    refusals = [(await refused(engine, load("one"))).retry_after]
    await outage(engine)
    for _ in range(50):
        outcome: Deferred[Outcome] = engine.submit(load("one"))
        assert outcome.called
        with pytest.raises(StoreUnavailable) as refusal:
            await outcome
        refusals.append(refusal.value.retry_after)
    assert set(refusals) == {1, 2, 3}
    health = engine.health()
    assert (health.available, health.failures > 0) == (False, True)
    assert "refused" in str(health.last_failure)
    server.start()
    assert await comes_back(engine, load("one")) == Missing()
    assert engine.health()[2:4] == (True, "closed")
    await until(lambda: ears.times_caught_up > 1)
    assert isinstance(await comes_back(other, create("two")), Applied)
    await other.submit(change("two", 1, tell=("a",)))
    await until(lambda: ears.nudges == ["two"])
    await outage_is_told_once(events, nodes=2)


async def outage_is_told_once(events: Events, nodes: int = 1) -> None:
    """Our choice: one line when it begins, one when it is over."""
    lines = events.texts(LogLevel.error)
    assert len(lines) == nodes, lines
    assert all("cannot be used" in line for line in lines)
    over = [line for line in events.texts(LogLevel.info) if "there again" in line]
    assert len(over) == nodes, over


@pytest_twisted.ensureDeferred
async def test_what_waits_when_redis_is_found_to_be_gone_is_refused_then(
    start: Start, server: RedisServer
) -> None:
    """Our choice: an answer now is worth more than a chance later, however long the time-out."""
    engine, _ = await start(own(server, "&timeout=60"))
    server.stop()
    await until(lambda: not engine.health().available)
    waiting = begin(attempt(engine, create("one")))
    await until(lambda: waiting.called)
    assert engine.health().breaker == "open"
    assert await waiting is None


@pytest_twisted.ensureDeferred
async def test_a_redis_that_hangs_holds_nobody_up(start: Start, server: RedisServer, events: Events) -> None:
    """hardening: every call ends after the time-out; then nothing is tried but one trial a second."""
    engine, _ = await start(own(server, "&timeout=0.1"))
    await engine.submit(create("one"))
    server.freeze()
    try:
        for _ in range(3):
            await refused(engine, load("one"))
        await outage(engine)
        assert engine.submit(load("one")).addErrback(lambda _: None).called
        assert "no answer" in str(engine.health().last_failure)
        assert engine._servers.owners[0].health.breaker.wait > 0
    finally:
        server.thaw()
    assert isinstance(await comes_back(engine, load("one")), Found)
    await outage_is_told_once(events)


@pytest_twisted.ensureDeferred
async def test_a_short_hang_is_survived(start: Start, server: RedisServer, events: Events) -> None:
    """Our choice: a fork for a snapshot stops Redis for a moment."""
    engine, _ = await start(own(server, "&timeout=10"))
    await engine.submit(create("one"))
    server.freeze()
    outcomes = [engine.submit(load("one")) for _ in range(10)]
    await deferLater(reactor, 0.3)
    server.thaw()
    assert all(isinstance(outcome, Found) for outcome in await gatherResults(outcomes))
    assert engine.health().failures == 0
    assert events == []


@pytest_twisted.ensureDeferred
async def test_scripts_that_redis_has_forgotten_are_told_it_again(start: Start, server: RedisServer) -> None:
    """hardening: NOSCRIPT after a restart: fall back to EVAL."""
    engine, _ = await start(own(server))
    await engine.submit(create("one"))
    server.ask("SCRIPT", "FLUSH")
    outcomes = await gatherResults([engine.submit(load("one")) for _ in range(5)])
    assert all(isinstance(outcome, Found) for outcome in outcomes)
    assert engine.health().failures == 0


@pytest_twisted.ensureDeferred
async def test_a_connection_that_was_killed_is_replaced(
    start: Start, server: RedisServer, events: Events
) -> None:
    """hardening: nudges get lost with a connection, and whoever listens is told; a moment is no outage."""
    engine, ears = await start(own(server))
    await engine.submit(create("one"))
    server.ask("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: ears.times_caught_up == 2)
    assert isinstance(await comes_back(engine, change("one", 1)), Applied)
    assert isinstance(await engine.submit(load("one")), Found)
    assert events.texts(LogLevel.error) == []


@pytest_twisted.ensureDeferred
async def test_what_has_not_been_sent_waits_for_the_next_connection(
    start: Start, server: RedisServer
) -> None:
    """Our choice: a lost connection fails what was on the way, for nobody knows whether it was done."""
    engine, _ = await start(own(server, "&timeout=5"))
    await engine.submit(create("one"))
    server.ask("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: not engine.health().available)
    assert isinstance(await engine.submit(load("one")), Found)


@pytest_twisted.ensureDeferred
async def test_a_connection_that_hangs_is_replaced_though_nobody_asks_for_anything(
    start: Start, between: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our choice: a firewall that forgets a connection tells nobody."""
    monkeypatch.setattr(redis_nudges, "LOOK_INTERVAL", 0.1)
    _, ears = await start(between.address())
    between.deaf = True
    await deferLater(reactor, 0.3)
    between.deaf = False
    await until(lambda: ears.times_caught_up == 2)


# Late answers


@pytest_twisted.ensureDeferred
async def test_a_late_answer_is_nobody_else_s(start: Start, between: Between) -> None:
    """hardening: no reply desync; our choice: after a time-out the connection is not used any more."""
    engine, _ = await start(between.address("&timeout=0.2"))
    for name in ("one", "two"):
        await engine.submit(create(name, state=name.encode()))
    before = between.connections
    between.holding = True
    late = begin(attempt(engine, load("one")))
    assert await late is None
    between.release()
    found = await comes_back(engine, load("two"))
    assert isinstance(found, Found)
    assert found.record.state == b"two"
    assert between.connections > before
    await until(lambda: between.open_connections == 1)


@pytest_twisted.ensureDeferred
async def test_a_change_whose_answer_was_lost_is_done_once(start: Start, between: Between) -> None:
    """Interface, StoreUnavailable: it may have been carried out; the version tells."""
    engine, _ = await start(between.address("&timeout=0.2"))
    await engine.submit(create("one"))
    between.holding = True
    assert await attempt(engine, change("one", 1, state=b"done")) is None
    between.release()
    found = await comes_back(engine, load("one"))
    assert isinstance(found, Found)
    assert found.record[:2] == (2, b"done")
    assert engine.totals == Totals(1)


@pytest_twisted.ensureDeferred
async def test_connections_that_are_reset_again_and_again_do_no_harm(start: Start, between: Between) -> None:
    """Our choice: whatever a load balancer does, counters come out exact."""
    engine, _ = await start(between.address())
    await engine.submit(create("one", state=b"0"))
    for _ in range(10):
        begin(attempt(engine, load("one")))
        between.cut()
        found = await comes_back(engine, load("one"))
        assert isinstance(found, Found)
        count = int(found.record.state)
        raised = change("one", found.record.version, state=b"%d" % (count + 1))
        assert isinstance(await comes_back(engine, raised), Applied)
    found = await comes_back(engine, load("one"))
    assert isinstance(found, Found)
    assert found.record[:2] == (11, b"10")


@pytest_twisted.ensureDeferred
async def test_a_port_that_resets_every_connection_is_an_outage(
    start: Start, between: Between, events: Events
) -> None:
    """Our choice: a load balancer without anything behind it."""
    engine, _ = await start(between.address())
    between.refusing = True
    between.cut()
    await outage(engine)
    between.refusing = False
    assert await comes_back(engine) == Missing()
    await outage_is_told_once(events)


# Answers that say no


@pytest_twisted.ensureDeferred
async def test_a_redis_without_memory_refuses_what_takes_memory_and_nothing_else(
    start: Start, server: RedisServer, events: Events
) -> None:
    """hardening: noeviction, map the OOM error to 503; our choice: it is there, and closing makes room."""
    engine, _ = await start(own(server))
    for name in ("one", "two"):
        await engine.submit(create(name))
    server.ask("CONFIG", "SET", "maxmemory", "1")
    for _ in range(5):
        await refused(engine, create("three"))
        await refused(engine, change("one", 1))
    assert isinstance(await engine.submit(load("one")), Found)
    assert engine.health()[2:4] == (False, "closed")
    assert "OOM" in str(engine.health().reason)
    outcomes = await gatherResults([begin(attempt(engine, each)) for each in (change("one", 1), load("one"))])
    assert [type(outcome) for outcome in outcomes] == [type(None), Found]
    assert isinstance(await engine.submit(Close("two", None, False)), Applied)
    assert engine.totals == Totals(1)
    server.ask("CONFIG", "SET", "maxmemory", "0")
    assert isinstance(await engine.submit(change("one", 1)), Applied)
    assert isinstance(await engine.submit(create("three")), Applied)
    await until(lambda: engine.health().available)
    assert engine.health().reason is None
    (line,) = events.texts(LogLevel.error)
    assert "memory" in line


@pytest_twisted.ensureDeferred
async def test_a_server_that_has_become_a_replica_is_left(
    start: Start, server: RedisServer, events: Events
) -> None:
    """Our choice: after a failover the address leads to another server, if one connects again."""
    engine, _ = await start(own(server))
    await engine.submit(create("one"))
    server.ask("REPLICAOF", "127.0.0.1", str(free_port()))
    await refused(engine, change("one", 1))
    await outage(engine)
    assert "READONLY" in str(engine.health().last_failure)
    server.ask("REPLICAOF", "NO", "ONE")
    assert isinstance(await comes_back(engine, change("one", 1)), Applied)
    await outage_is_told_once(events)


@pytest_twisted.ensureDeferred
async def test_rights_that_are_taken_away_are_an_outage_until_they_are_given_again(
    start: Start, server: RedisServer, events: Events
) -> None:
    """Our choice: an answer that no operation over this connection will be carried out ends it."""
    engine, _ = await start(own(server))
    server.ask("ACL", "SETUSER", "default", "-evalsha")
    await refused(engine, create("one"))
    await outage(engine)
    assert "NOPERM" in str(engine.health().last_failure)
    server.ask("ACL", "SETUSER", "default", "+evalsha")
    assert isinstance(await comes_back(engine, create("one")), Applied)
    await outage_is_told_once(events)


@pytest_twisted.ensureDeferred
async def test_what_is_asked_before_the_start_is_refused() -> None:
    """hardening: whatever waits for a connection does not wait for ever."""
    await refused(make("redis://localhost?timeout=0.05"), create("one"))


class Speaks(Protocol):
    """Answers everything with the same."""

    answer = b""
    open: ClassVar[set[Speaks]] = set()

    def connectionMade(self) -> None:
        self.open.add(self)

    def connectionLost(self, _: Any = None) -> None:
        self.open.remove(self)

    def dataReceived(self, _: bytes) -> None:
        self.transport.write(self.answer)


ANSWERS = {
    b"-LOADING Redis is loading the dataset in memory\r\n": "LOADING",
    b"-MASTERDOWN Link with MASTER is down\r\n": "MASTERDOWN",
    b"-CLUSTERDOWN The cluster is down\r\n": "CLUSTERDOWN",
    b"-MOVED 1 10.0.0.1:6379\r\n": "MOVED",
    b"HTTP/1.1 400 Bad Request\r\n\r\n": "not Redis",
    b"-ERR unknown command 'HELLO'\r\n": "Redis 6",
    b"-NOPROTO unsupported protocol version\r\n": "Redis 6",
    b"\xff\xfe\r\n": "not Redis",
    b"$x\r\n": "",
    b"+OK\r\n": "does not run the script",
    b"$4\r\nabcd\r\n": "does not run the script",
    b"$8\r\n\x00\x00\x00\x04\x93\x01\x02\x03\r\n": "does not run the script",
    b":1\r\n": "does not run the script",
    b"*0\r\n": "does not run the script",
    b"$-1\r\n": "does not run the script",
    b"\x1b[31m\r\n": "not Redis",
    b"": "no answer",
}


@pytest.mark.parametrize(("answer", "reason"), ANSWERS.items())
@pytest_twisted.ensureDeferred
async def test_whatever_answers_in_place_of_redis_is_an_outage(
    start: Start, events: Events, answer: bytes, reason: str
) -> None:
    """Our choice: refused with 503; the log names the reason once, without a traceback; connections that are
    of no use are closed."""
    speaks = type("SpeaksThis", (Speaks,), {"answer": answer})
    port = reactor.listenTCP(0, Factory.forProtocol(speaks), interface="127.0.0.1")
    try:
        engine, _ = await start(f"redis://127.0.0.1:{port.getHost().port}?timeout=0.1", wait=False)
        await outage(engine)
        await refused(engine, create("one"))
        (line,) = events.texts(LogLevel.error)
        assert re.search(reason, line), line
        assert line.isprintable()
        assert re.search(reason, str(engine.health().last_failure))
        await until(lambda: len(Speaks.open) <= 1)
    finally:
        await port.stopListening()
    await engine.stop()
    await until(lambda: not Speaks.open)


# The end


@pytest.mark.parametrize("state", ["works", "hangs", "is gone", "never was"])
@pytest_twisted.ensureDeferred
async def test_nothing_is_left_after_the_end(server: RedisServer, state: str) -> None:
    """Interface, stop: finish what was begun, and let go of everything, whatever Redis does."""
    before = set(map(id, reactor.getDelayedCalls())), len(reactor.getReaders())
    engine = make(own(server, "&timeout=0.1"))
    if state == "never was":
        server.stop()
    engine.open()
    engine.start(Listener())
    if state != "never was":
        await until(lambda: engine.health().available)
    if state == "is gone":
        server.stop()
        await outage(engine)
    if state == "hangs":
        server.freeze()
    begun = [begin(attempt(engine, create(f"{number}"))) for number in range(3)]
    await engine.stop()
    assert all(each.called for each in begun)
    outcomes = [await each for each in begun]
    assert [type(outcome) for outcome in outcomes] == [Applied if state == "works" else type(None)] * 3
    await refused(engine, create("late"))
    with pytest.raises(StoreUnavailable):
        await swept(engine)
    # Once more is no harm.
    await engine.stop()
    left = [call for call in reactor.getDelayedCalls() if id(call) not in before[0]]
    assert left == []
    assert len(reactor.getReaders()) == before[1]


class Listener:
    """One that does not care."""

    def invalidated(self, record_id: str) -> None: ...
    def receive(self, payload: bytes) -> None: ...
    def caught_up(self) -> None: ...
