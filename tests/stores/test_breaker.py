"""When an engine that fails is tried again, and what the log says of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.logger import globalLogPublisher

from mcp_echo.stores.breaker import FAILURES, QUIET_SECONDS, Breaker


class Bench:
    """A breaker, the time, and the lines of the log."""

    def __init__(self) -> None:
        self.time = 0.0
        self.breaker = Breaker("the store", lambda: self.time)
        self.lines: list[str] = []

    def note(self, event: dict[str, Any]) -> None:
        self.lines.append(event["log_level"].name)

    def outage(self, failures: int = 1) -> None:
        for _ in range(failures):
            self.breaker.failed("disk I/O error")
        self.breaker.succeeded()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    globalLogPublisher.addObserver(made.note)
    yield made
    globalLogPublisher.removeObserver(made.note)


def test_operations_are_tried_until_several_batches_in_a_row_have_failed(bench: Bench) -> None:
    """Our choice: one failure is no outage."""
    for _ in range(FAILURES - 1):
        bench.breaker.failed("why")
    bench.outage(FAILURES - 1)
    for _ in range(FAILURES - 1):
        bench.breaker.failed("why")
        assert not bench.breaker.refuses
    bench.breaker.failed("the last")
    assert (bench.breaker.refuses, bench.breaker.state) == (True, "open")
    assert (bench.breaker.failures, bench.breaker.last_failure) == (3 * FAILURES - 2, "the last")


def test_one_batch_at_a_time_is_tried_until_one_succeeds(bench: Bench) -> None:
    """Our choice: half-open is for the trial only."""
    for _ in range(FAILURES):
        bench.breaker.failed("why")
    for _ in range(2):
        bench.breaker.try_again()
        assert (bench.breaker.refuses, bench.breaker.state) == (True, "half-open")
        bench.breaker.failed("why")
        assert bench.breaker.state == "open"
    bench.breaker.try_again()
    bench.breaker.succeeded()
    assert (bench.breaker.refuses, bench.breaker.state, bench.breaker.in_a_row) == (False, "closed", 0)


def test_a_trial_of_what_was_not_given_up_changes_nothing(bench: Bench) -> None:
    """Our choice: as long as operations are tried anyway, a trial is one of them."""
    bench.breaker.failed("why")
    bench.breaker.try_again()
    assert bench.breaker.state == "closed"


def test_an_outage_is_logged_when_it_begins_and_when_it_is_over(bench: Bench) -> None:
    """Our choice: not once a request."""
    bench.breaker.failed("why")
    bench.time += 2 * QUIET_SECONDS
    bench.outage(100)
    bench.breaker.succeeded()
    assert bench.lines == ["error", "info"]


def test_outages_in_quick_succession_do_not_fill_the_log(bench: Bench) -> None:
    """Our choice: what is nearly full fails now and then; the first of it says all."""
    for _ in range(100):
        bench.outage()
    assert bench.lines == ["error", "info"]
    bench.time += QUIET_SECONDS
    bench.outage()
    assert bench.lines == ["error", "info"] * 2
