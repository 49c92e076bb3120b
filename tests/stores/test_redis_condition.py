"""What is counted, shown and logged of Redis, on a clock that stands still until told otherwise."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogLevel

from mcp_echo.stores.redis.address import parse_address
from mcp_echo.stores.redis.condition import FULL_FOR, Condition
from tests.logged import Events

UNKNOWN = "not connected yet"
OOM = "OOM command not allowed when used memory > 'maxmemory'."


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def condition(clock: Clock) -> Condition:
    return Condition(clock.seconds, parse_address("redis://me:pass\u2028word@redis.example"))


def test_at_first_nothing_is_known(condition: Condition) -> None:
    """Interface, StoreHealth."""
    assert condition.health() == (
        "redis",
        "redis://redis.example:6379/0",
        False,
        "closed",
        None,
        0,
        None,
        UNKNOWN,
    )


def test_neither_log_nor_health_shows_the_password_whoever_quotes_it(
    condition: Condition, events: Events
) -> None:
    """Interface, StoreHealth.last_failure; Redis quotes arguments of commands that it does not know."""
    reason = (
        "ERR unknown command 'AUTH', with args beginning with: 'me' 'pass\u2028word'\r\n\x1b[31m" + "x" * 999
    )
    condition.deaf(reason)
    condition.up()
    for _ in range(3):
        condition.deaf(reason)
    for _ in range(3):
        condition.down(reason)
    condition.failed(f"OOM {reason}")
    shown = [*events.texts(LogLevel.error), str(condition.health().last_failure)]
    assert len(shown) == 4
    for text in shown:
        assert "word" not in text.replace("password", "")
        assert text.isprintable()
        assert len(text) < 400


def test_a_connection_lost_and_made_again_is_no_outage(condition: Condition, events: Events) -> None:
    """Our choice: one that an idle time-out has closed is nobody's worry."""
    condition.up()
    condition.down("closed")
    assert not condition.health().available
    condition.up()
    assert condition.health().available
    assert events == []


def test_an_outage_is_logged_once_and_so_is_its_end(
    condition: Condition, clock: Clock, events: Events
) -> None:
    """hardening: open after 3 failures."""
    condition.up()
    for _ in range(20):
        condition.down("refused")
        clock.advance(1)
        condition.breaker.begin()
    assert condition.health()[2:4] == (False, "half-open")
    condition.up()
    condition.up()
    assert [event["log_level"] for event in events] == [LogLevel.error, LogLevel.info]
    assert "redis.example" in events.texts(LogLevel.error)[0]
    assert "after 18.0 s" in events.texts(LogLevel.info)[0]


def test_want_of_memory_is_logged_once_until_it_has_not_been_seen_for_a_while(
    condition: Condition, clock: Clock, events: Events
) -> None:
    """Our choice: with little left, some changes fit and others do not, and each would be two lines."""
    condition.up()
    for _ in range(20):
        condition.failed(OOM)
        clock.advance(FULL_FOR / 2)
        condition.answered(0.001)
    assert len(events) == 1
    clock.advance(FULL_FOR)
    condition.answered(0.001)
    condition.answered(0.001)
    assert [event["log_level"] for event in events] == [LogLevel.error, LogLevel.info]
    condition.failed(OOM)
    assert len(events) == 3


def test_failures_are_counted(condition: Condition) -> None:
    """Interface, StoreHealth.failures: batches, and attempts to connect, which are one as well."""
    condition.down("refused")
    condition.up()
    condition.failed("ERR something")
    condition.down("lost, with nothing on the way")
    assert condition.health()[5:7] == (2, "lost, with nothing on the way")
