"""What is counted, shown and logged of a Redis server, on a clock that stands still until told otherwise."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel

from mcp_echo.cluster.engine import RecordLimits
from mcp_echo.stores.redis.address import parse_address
from mcp_echo.stores.redis.codec import Codec
from mcp_echo.stores.redis.server import FULL_FOR, Means, ShardServer
from tests.logged import Events

OOM = "OOM command not allowed when used memory > 'maxmemory'."
WIRE: Any = object()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> ShardServer:
    address = parse_address("redis://me:pass\u2028word@redis.example")
    owner = Mock(call=lambda _: Deferred())
    means = Means(clock, clock.seconds, Codec("p", 1, "a", RecordLimits(1)))
    return ShardServer(means, address, owner, learn=None)


def test_at_first_nothing_is_known(server: ShardServer) -> None:
    """Interface, StoreHealth."""
    where, unknown = "redis://redis.example:6379/0", "not connected yet"
    assert server.health.report() == ("redis", where, False, "closed", None, 0, None, unknown)


def test_neither_log_nor_health_shows_the_password_whoever_quotes_it(
    server: ShardServer, events: Events
) -> None:
    """Interface, StoreHealth.last_failure; Redis quotes arguments of commands that it does not know."""
    reason = (
        "ERR unknown command 'AUTH', with args beginning with: 'me' 'pass\u2028word'\r\n\x1b[31m" + "x" * 999
    )
    for _ in range(3):
        server.deafness.seen(reason)
    for _ in range(3):
        server._down(reason)
    server.failed(0, f"OOM {reason}", unusable=False)
    shown = [*events.texts(LogLevel.error), *map(str, server.health.report()[6:])]
    assert len(shown) == 5
    for text in shown:
        assert "word" not in text.replace("password", "")
        assert text.isprintable()
        assert len(text) < 400


def test_a_connection_lost_and_made_again_is_no_outage(server: ShardServer, events: Events) -> None:
    """Our choice: one that an idle time-out has closed is nobody's worry."""
    server._up(WIRE)
    server._down("closed")
    assert not server.health.report().available
    server._up(WIRE)
    assert server.health.report().available
    assert events == []


def test_an_outage_is_logged_once_and_so_is_its_end(
    server: ShardServer, clock: Clock, events: Events
) -> None:
    """hardening: open after 3 failures."""
    server._up(WIRE)
    for _ in range(20):
        server._down("refused")
        clock.advance(1)
        server.health.breaker.begin()
    assert server.health.report()[2:4] == (False, "half-open")
    server._up(WIRE)
    server._up(WIRE)
    assert [event["log_level"] for event in events] == [LogLevel.error, LogLevel.info]
    assert "redis.example" in events.texts(LogLevel.error)[0]
    assert "after 18.0 s" in events.texts(LogLevel.info)[0]


def test_want_of_memory_is_logged_once_until_it_has_not_been_seen_for_a_while(
    server: ShardServer, clock: Clock, events: Events
) -> None:
    """Our choice: with little left, some changes fit and others do not, and each would be two lines."""
    server._up(WIRE)
    for _ in range(20):
        server.failed(0, OOM, unusable=False)
        assert "OOM" in str(server.health.report().reason)
        clock.advance(FULL_FOR / 2)
        server.answered(0.001)
    assert len(events) == 1
    clock.advance(FULL_FOR)
    server.answered(0.001)
    server.answered(0.001)
    assert [event["log_level"] for event in events] == [LogLevel.error, LogLevel.info]
    server.failed(0, OOM, unusable=False)
    assert len(events) == 3


def test_failures_are_counted(server: ShardServer) -> None:
    """Interface, StoreHealth.failures: batches, and attempts to connect, which are one as well."""
    server._down("refused")
    server._up(WIRE)
    server.failed(0, "ERR something", unusable=False)
    server._down("lost, with nothing on the way")
    assert server.health.report()[5:7] == (2, "lost, with nothing on the way")
