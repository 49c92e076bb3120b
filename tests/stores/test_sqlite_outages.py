"""When an engine that fails is tried again, and what the log says of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.logger import globalLogPublisher

from mcp_echo.stores.breaker import THRESHOLD
from mcp_echo.stores.sqlite.outages import QUIET_SECONDS, Outages


class Bench:
    """A breaker, the time, and the lines of the log."""

    def __init__(self) -> None:
        self.time = 0.0
        self.outages = Outages("the store", lambda: self.time)
        self.lines: list[str] = []

    def note(self, event: dict[str, Any]) -> None:
        self.lines.append(event["log_level"].name)

    def outage(self, failures: int = 1) -> None:
        for _ in range(failures):
            self.outages.failed("disk I/O error")
        self.outages.succeeded()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    globalLogPublisher.addObserver(made.note)
    yield made
    globalLogPublisher.removeObserver(made.note)


def test_operations_are_tried_until_several_batches_in_a_row_have_failed(bench: Bench) -> None:
    """Our choice: one failure is no outage."""
    for _ in range(THRESHOLD - 1):
        bench.outages.failed("why")
    bench.outage(THRESHOLD - 1)
    for _ in range(THRESHOLD - 1):
        bench.outages.failed("why")
        assert not bench.outages.refuses
    bench.outages.failed("the last")
    assert (bench.outages.refuses, bench.outages.state) == (True, "open")
    assert (bench.outages.failures, bench.outages.last_failure) == (3 * THRESHOLD - 2, "the last")


def test_one_batch_at_a_time_is_tried_until_one_succeeds(bench: Bench) -> None:
    """Our choice: half-open is for the trial only."""
    for _ in range(THRESHOLD):
        bench.outages.failed("why")
    for _ in range(2):
        bench.outages.try_again()
        assert (bench.outages.refuses, bench.outages.state) == (True, "half-open")
        bench.outages.failed("why")
        assert bench.outages.state == "open"
    bench.outages.try_again()
    bench.outages.succeeded()
    assert (bench.outages.refuses, bench.outages.state, bench.outages.in_a_row) == (False, "closed", 0)


def test_a_trial_of_what_was_not_given_up_changes_nothing(bench: Bench) -> None:
    """Our choice: as long as operations are tried anyway, a trial is one of them."""
    bench.outages.failed("why")
    bench.outages.try_again()
    assert bench.outages.state == "closed"


def test_an_outage_is_logged_when_it_begins_and_when_it_is_over(bench: Bench) -> None:
    """Our choice: not once a request."""
    bench.outages.failed("why")
    bench.time += 2 * QUIET_SECONDS
    bench.outage(100)
    bench.outages.succeeded()
    assert bench.lines == ["error", "info"]


def test_outages_in_quick_succession_do_not_fill_the_log(bench: Bench) -> None:
    """Our choice: what is nearly full fails now and then; the first of it says all."""
    for _ in range(100):
        bench.outage()
    assert bench.lines == ["error", "info"]
    bench.time += QUIET_SECONDS
    bench.outage()
    assert bench.lines == ["error", "info"] * 2
