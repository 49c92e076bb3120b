"""What is counted, shown and logged of a store, on a clock that stands still until told otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogLevel

from mcp_echo.stores.breaker import THRESHOLD
from mcp_echo.stores.health import EngineHealth, Notice, Trouble
from tests.logged import Events

BEGINS = "{where} is down: {reason}"
ENDS = "{where} is up after {seconds:.0f} s"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> EngineHealth:
    return EngineHealth("kind", trouble(clock), clock.seconds)


def trouble(clock: Clock, **more: Any) -> Trouble:
    notice = Notice(**{"begins": BEGINS, "ends": ENDS, **more})
    return Trouble(notice, "the store", clock.seconds)


def levels(events: Events) -> list[LogLevel]:
    return [event["log_level"] for event in events]


def fail(health: EngineHealth, times: int = 1, reason: str = "why") -> None:
    for _ in range(times):
        health.failed(reason)
        health.lost(reason)


# What is logged


def test_trouble_is_logged_once_when_it_begins_and_once_when_it_is_over(clock: Clock, events: Events) -> None:
    """docs/scaling.md: one line with the reason, and one when it is over; not one a request."""
    seen = trouble(clock)
    for _ in range(20):
        seen.seen("no disk")
        clock.advance(1)
    for _ in range(2):
        seen.over()
    assert events.texts(LogLevel.error) == ["the store is down: no disk"]
    assert events.texts(LogLevel.info) == ["the store is up after 20 s"]


def test_trouble_that_did_not_last_is_not_told_of(clock: Clock, events: Events) -> None:
    """Our choice: what is over before it was told of has no end to tell of either."""
    seen = trouble(clock, threshold=3)
    for _ in range(10):
        seen.seen("why")
        seen.seen("why")
        seen.over()
    assert events == []
    for _ in range(3):
        seen.seen("why")
    assert levels(events) == [LogLevel.error]


def test_trouble_in_quick_succession_does_not_fill_the_log(clock: Clock, events: Events) -> None:
    """Our choice: what is nearly full fails now and then; the first of it says all."""
    seen = trouble(clock, quiet=60)
    for _ in range(100):
        seen.seen("why")
        seen.over()
    assert levels(events) == [LogLevel.error, LogLevel.info]
    clock.advance(60)
    seen.seen("why")
    seen.over()
    assert levels(events) == [LogLevel.error, LogLevel.info] * 2


def test_trouble_that_lasts_is_told_of_though_it_follows_another_closely(
    clock: Clock, events: Events
) -> None:
    """docs/scaling.md: while nothing is kept the log says why."""
    seen = trouble(clock, quiet=60)
    seen.seen("for a moment")
    seen.over()
    for _ in range(70):
        seen.seen("for long")
        clock.advance(1)
    assert events.texts(LogLevel.error) == ["the store is down: for a moment", "the store is down: for long"]


def test_trouble_that_comes_and_goes_is_over_once_it_has_not_come_for_a_while(
    clock: Clock, events: Events
) -> None:
    """Our choice: with little memory left, some changes fit and others do not."""
    seen = trouble(clock, calm=10)
    for _ in range(5):
        seen.seen("why")
        clock.advance(9)
        seen.over()
    assert levels(events) == [LogLevel.error]
    clock.advance(1)
    seen.over()
    assert levels(events) == [LogLevel.error, LogLevel.info]


def test_trouble_without_an_end_is_told_of_again_after_a_while(clock: Clock, events: Events) -> None:
    """docs/scaling.md: of a session that is spoilt the log is told once a minute."""
    seen = trouble(clock, ends="", quiet=60)
    for _ in range(121):
        seen.seen("why")
        clock.advance(1)
    assert levels(events) == [LogLevel.error] * 3


# What is counted and shown


def test_at_first_nothing_speaks_against_it_unless_something_does(health: EngineHealth, clock: Clock) -> None:
    """Interface, StoreHealth."""
    assert health.report() == ("kind", "the store", True, "closed", None, 0, None, None)
    new = EngineHealth("kind", trouble(clock), clock.seconds, "not connected yet")
    assert (new.report().available, new.report().reason) == (False, "not connected yet")


def test_operations_are_tried_until_several_batches_in_a_row_have_failed(health: EngineHealth) -> None:
    """Our choice: one failure is no outage."""
    for _ in range(10):
        fail(health, THRESHOLD - 1)
        health.answered(0.5)
    fail(health, THRESHOLD - 1)
    assert not health.breaker.refuses
    fail(health, reason="the last")
    assert health.breaker.refuses
    assert health.report()[2:] == (False, "open", 0.5, 11 * (THRESHOLD - 1) + 1, "the last", "the last")


def test_only_a_trial_shows_that_all_is_well(health: EngineHealth, events: Events) -> None:
    """docs/scaling.md: a store is available if it keeps what it is given; to be read is not enough."""
    fail(health)
    health.answered(0.1)
    assert (health.report().available, health.report().reason) == (False, "why")
    health.keeps()
    assert (health.report().available, health.report().reason) == (True, None)
    assert health.report().last_failure == "why"
    assert levels(events) == [LogLevel.error, LogLevel.info]


def test_a_part_that_failed_is_counted_and_is_no_outage(health: EngineHealth, events: Events) -> None:
    """Interface, StoreHealth.failures."""
    health.failed("one of many")
    assert health.report()[2:] == (True, "closed", None, 1, "one of many", None)
    assert events == []


def test_what_answers_nobody_is_no_measure(health: EngineHealth) -> None:
    """Interface, StoreHealth.latency."""
    health.answered(0.1)
    health.answered(None)
    assert health.report().latency == 0.1


def test_neither_log_nor_report_shows_what_must_not_be_shown(clock: Clock, events: Events) -> None:
    """Interface, StoreHealth.last_failure: without any password."""
    outage = Trouble(Notice(BEGINS), "there", clock.seconds, lambda text: text.replace("word", "***"))
    health = EngineHealth("kind", outage, clock.seconds)
    health.failed("word 1")
    assert health.report().last_failure == "*** 1"
    health.lost("word 2")
    assert (health.report().last_failure, health.report().reason) == ("*** 2", "*** 2")
    assert events.texts(LogLevel.error) == ["there is down: *** 2"]
