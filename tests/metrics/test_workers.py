"""The figures of all workers together."""

from __future__ import annotations

from typing import Any, cast

from prometheus_client.core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from mcp_echo.metrics import figures as metrics
from mcp_echo.metrics.workers import RULES, FleetCollector, ParentCollector, add_up
from mcp_echo.workers.scrape import SCRAPE_SECONDS, Scrape
from tests.metrics.scraping import MetricsTestCase, Samples, samples_of

TEXT = """# TYPE mcp_echo_requests counter
mcp_echo_requests_total{{method="ping"}} {requests}
# TYPE mcp_echo_request_seconds histogram
mcp_echo_request_seconds_bucket{{method="ping",le="0.1"}} {requests}
mcp_echo_request_seconds_bucket{{method="ping",le="+Inf"}} {requests}
mcp_echo_request_seconds_count{{method="ping"}} {requests}
mcp_echo_request_seconds_sum{{method="ping"}} 0.5
# TYPE mcp_echo_sessions gauge
mcp_echo_sessions{{kind="session"}} {sessions}
# TYPE mcp_echo_streams gauge
mcp_echo_streams{{kind="listening"}} {streams}
# TYPE mcp_echo_last_sweep_age_seconds gauge
mcp_echo_last_sweep_age_seconds {age}
# TYPE mcp_echo_build info
mcp_echo_build_info{{version="1"}} 1
# TYPE process_start_time_seconds gauge
process_start_time_seconds {age}
# EOF
"""


def text(requests: int = 0, sessions: int = 0, streams: int = 0, age: int = 0) -> str:
    """Return what a worker tells."""
    return TEXT.format(requests=requests, sessions=sessions, streams=streams, age=age)


def told(**values: int) -> list[Metric]:
    """Return it as it is read."""
    return list(text_string_to_metric_families(text(**values)))


def value(samples: Samples, name: str, **labels: str) -> float:
    """Return one figure."""
    return samples[name, frozenset(labels.items())]


class RuleTests(MetricsTestCase):
    def test_there_is_a_rule_for_each_gauge_that_a_worker_shows_and_for_no_other(self) -> None:
        """A new gauge is a part of a whole, or the same in all workers: somebody has to decide."""
        shown = {
            family.name
            for family in text_string_to_metric_families(
                self.ask("GET", accept="application/openmetrics-text; version=1.0.0").body.decode()
            )
            if family.type not in ("counter", "histogram")
        }
        assert set(RULES) == shown | {"mcp_echo_workers"}

    def test_every_figure_that_is_declared_has_a_rule_or_only_grows(self) -> None:
        declared = {each.name for each in vars(metrics).values() if isinstance(each, metrics.Figure)}
        growing = {
            family.name.removeprefix(metrics.PREFIX)
            for family in text_string_to_metric_families(
                self.ask("GET", accept="application/openmetrics-text; version=1.0.0").body.decode()
            )
            if family.type in ("counter", "histogram")
        }
        assert declared == {name for name in declared if metrics.PREFIX + name in RULES or name in growing}


class AddUpTests(SynchronousTestCase):
    def test_parts_are_added_and_what_is_the_same_is_not(self) -> None:
        parts = (
            told(requests=3, sessions=5, streams=2, age=9),
            told(requests=4, sessions=5, streams=1, age=7),
        )
        total = samples_of(add_up(parts))
        assert value(total, "mcp_echo_requests_total", method="ping") == 7
        assert value(total, "mcp_echo_request_seconds_bucket", method="ping", le="+Inf") == 7
        assert value(total, "mcp_echo_request_seconds_sum", method="ping") == 1
        assert value(total, "mcp_echo_sessions", kind="session") == 5
        assert value(total, "mcp_echo_streams", kind="listening") == 3
        assert value(total, "mcp_echo_last_sweep_age_seconds") == 7
        assert value(total, "process_start_time_seconds") == 7
        assert value(total, "mcp_echo_build_info", version="1") == 1

    def test_what_only_one_has_counted_is_shown(self) -> None:
        other = text(requests=4).replace('method="ping"', 'method="tools/call"')
        total = samples_of(add_up([told(requests=3), text_string_to_metric_families(other)]))
        assert value(total, "mcp_echo_requests_total", method="ping") == 3
        assert value(total, "mcp_echo_requests_total", method="tools/call") == 4

    def test_the_sum_can_be_written_and_read_again(self) -> None:
        """OpenMetrics demands an order of samples that the sum must keep."""
        collector = FleetCollector(CollectorRegistry())
        collector.told("one", told(requests=3))
        collector.told("two", told(requests=4))
        registry = CollectorRegistry()
        registry.register(collector)
        written = generate_latest(registry).decode()
        again = {family.name: family for family in text_string_to_metric_families(written)}
        assert again["mcp_echo_build"].type == "info"
        assert value(samples_of(again.values()), "mcp_echo_requests_total", method="ping") == 7


class FleetCollectorTests(SynchronousTestCase):
    def setUp(self) -> None:
        own = CollectorRegistry()
        own.register(ParentCollector(lambda: {"wanted": 2, "alive": 1}, lambda: 6, lambda: 1, lambda: 99.0))
        self.collector = FleetCollector(own)

    def requests(self) -> float:
        return value(samples_of(self.collector.collect()), "mcp_echo_requests_total", method="ping")

    def test_the_parent_tells_what_only_it_knows(self) -> None:
        samples = samples_of(self.collector.collect())
        assert value(samples, "mcp_echo_workers", state="wanted") == 2
        assert value(samples, "mcp_echo_workers", state="alive") == 1
        assert value(samples, "mcp_echo_worker_restarts_total") == 6
        assert value(samples, "mcp_echo_log_failures_total") == 1
        assert value(samples, "mcp_echo_uptime_seconds") == 99

    def test_a_counter_does_not_go_down_when_a_worker_ends(self) -> None:
        """Prometheus takes that for a restart, and adds the whole sum a second time."""
        self.collector.told("one", told(requests=3, streams=2))
        self.collector.told("two", told(requests=4, streams=1))
        assert self.requests() == 7
        self.collector.gone("one")
        assert self.requests() == 7
        self.collector.told("three", told(requests=1))
        self.collector.gone("two")
        assert self.requests() == 8
        self.collector.gone("three")
        assert self.requests() == 8

    def test_what_a_worker_had_goes_with_it(self) -> None:
        self.collector.told("one", told(requests=3, streams=2))
        self.collector.told("two", told(requests=4, streams=1))
        self.collector.gone("one")
        assert value(samples_of(self.collector.collect()), "mcp_echo_streams", kind="listening") == 1

    def test_a_worker_that_ends_before_anybody_asked_leaves_nothing(self) -> None:
        self.collector.gone("one")
        assert ("mcp_echo_requests_total", frozenset({("method", "ping")})) not in samples_of(
            self.collector.collect()
        )


class FakeWorker:
    """A worker that tells its figures when a test wants it to."""

    def __init__(self, number: int) -> None:
        self.assignment = self
        self.number = number
        self.metrics = f"/run/{number}.metrics"


class ScrapeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.workers = [FakeWorker(1), FakeWorker(2)]
        self.asked: list[tuple[str, Deferred[bytes]]] = []
        self.collector = FleetCollector(CollectorRegistry())
        self.scrape = Scrape(self.clock, lambda: cast(Any, self.workers), self.collector, self.ask)

    def ask(self, path: str) -> Deferred[bytes]:
        answer: Deferred[bytes] = Deferred()
        self.asked.append((path, answer))
        return answer

    def requests(self) -> float:
        return value(samples_of(self.collector.collect()), "mcp_echo_requests_total", method="ping")

    def answer(self, number: int, requests: int) -> None:
        self.asked[number][1].callback(text(requests=requests).encode())

    def test_all_workers_are_asked_and_waited_for(self) -> None:
        over = self.scrape()
        assert [path for path, _ in self.asked] == ["/run/1.metrics", "/run/2.metrics"]
        self.answer(0, 3)
        self.assertNoResult(over)
        self.answer(1, 4)
        self.successResultOf(over)
        assert self.requests() == 7

    def test_one_that_does_not_answer_in_time_is_shown_with_what_it_told_last(self) -> None:
        """Prometheus itself gives a scrape 10 s."""
        self.scrape()
        self.answer(0, 3)
        self.answer(1, 4)
        over = self.scrape()
        self.answer(2, 5)
        self.clock.advance(SCRAPE_SECONDS - 0.1)
        self.assertNoResult(over)
        with capturedLogs() as logged:
            self.clock.advance(0.1)
        self.successResultOf(over)
        assert self.requests() == 9
        assert "Worker 2 sends no figures" in formatEvent(logged[0])

    def test_an_answer_that_is_none_is_no_reason_to_fail(self) -> None:
        with capturedLogs():
            over = self.scrape()
            self.asked[0][1].callback(b"\xff nonsense")
            self.answer(1, 4)
        self.successResultOf(over)
        assert self.requests() == 4

    def test_two_scrapers_at_once_share_the_answers(self) -> None:
        """An older answer that comes later must not take a counter down."""
        first, second = self.scrape(), self.scrape()
        assert len(self.asked) == 2
        self.answer(0, 3)
        self.answer(1, 4)
        self.successResultOf(first)
        self.successResultOf(second)
        third = self.scrape()
        assert len(self.asked) == 4
        self.assertNoResult(third)
        self.answer(2, 3)
        self.answer(3, 4)

    def test_the_answer_of_a_worker_that_has_ended_meanwhile_does_not_count_twice(self) -> None:
        self.scrape()
        self.answer(0, 3)
        self.answer(1, 4)
        self.scrape()
        self.collector.gone(self.workers.pop())
        self.answer(2, 3)
        self.answer(3, 4)
        assert self.requests() == 7

    def test_without_workers_there_is_nothing_to_wait_for(self) -> None:
        self.workers.clear()
        self.successResultOf(self.scrape())
        self.successResultOf(self.scrape())
