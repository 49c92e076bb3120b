"""The figures of all workers together: what is added up, what is not, and what those that are gone leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from mcp_echo.metrics import figures as metrics
from mcp_echo.metrics.figures import PREFIX, Figure, counter, gauge

WORKERS = Figure(
    "workers",
    "Worker processes: wanted (MCP_ECHO_WORKERS), alive (those that take connections).",
    ("state",),
)
RESTARTS = Figure("worker_restarts", "Workers started in the place of ones that have ended.")

Rule = Callable[[Iterable[float]], float]

PART: Rule = sum
"""Each worker tells its part of the whole."""
SHARED: Rule = max
"""Each worker tells the same: of the store that they share, or of the settings."""
WORST: Rule = min
"""What is true of all only if it is true of each."""
LATEST: Rule = min
"""What any of them has done, all of them have: seconds since then, or the time of a beginning."""

RULES: Mapping[str, Rule] = {
    **{
        PREFIX + figure.name: rule
        for figure, rule in (
            (metrics.SESSIONS, SHARED),
            (metrics.SESSIONS_LIMIT, SHARED),
            (metrics.SINCE_SWEEP, LATEST),
            (metrics.STREAMS, PART),
            # The engine of a shared store keeps these sums for everybody.
            (metrics.WAITING, SHARED),
            (metrics.QUEUE_BYTES, SHARED),
            (metrics.STATE_BYTES, SHARED),
            (metrics.STATE_LIMIT, SHARED),
            (metrics.STORE, SHARED),
            (metrics.STORE_AVAILABLE, WORST),
            # A state that any of them is in.
            (metrics.STORE_BREAKER, SHARED),
            (metrics.STORE_LATENCY, SHARED),
            (metrics.HELD_BYTES, PART),
            (metrics.CONNECTIONS, PART),
            # Each worker may have as many, so that all together may have so many.
            (metrics.CONNECTIONS_LIMIT, PART),
            # The parent's own is among them, and is the longest.
            (metrics.UPTIME, SHARED),
            (metrics.BUILD, SHARED),
            # Told by the parent alone.
            (WORKERS, PART),
        )
    },
    "process_virtual_memory_bytes": PART,
    "process_resident_memory_bytes": PART,
    "process_open_fds": PART,
    # As with connections: what may be open in all processes, beside what is.
    "process_max_fds": PART,
    "process_start_time_seconds": LATEST,
    "python_info": SHARED,
}
"""How each gauge comes out of those of the workers. Counters and histograms are always added up."""

_Labels = tuple[tuple[str, str], ...]


def add_up(parts: Iterable[Iterable[Metric]]) -> list[Metric]:
    """Return the figures of several processes as those of one.

    Args:
        parts: The figures of each process.
    """
    families: dict[str, Metric] = {}
    values: dict[str, dict[tuple[str, _Labels], list[float]]] = {}
    for part in parts:
        for family in part:
            families.setdefault(family.name, family)
            samples = values.setdefault(family.name, {})
            for sample in family.samples:
                key = (sample.name, tuple(sorted(sample.labels.items())))
                samples.setdefault(key, []).append(sample.value)
    return [_together(family, values[name]) for name, family in families.items()]


def _together(family: Metric, values: Mapping[tuple[str, _Labels], list[float]]) -> Metric:
    rule = PART if _only_grows(family) else RULES.get(family.name, PART)
    total = Metric(family.name, family.documentation, family.type)
    for (name, labels), each in values.items():
        total.add_sample(name, dict(labels), rule(each))
    return total


def _only_grows(family: Metric) -> bool:
    return family.type in ("counter", "histogram")


@dataclass(eq=False)
class ParentCollector(Collector):
    """What only the parent knows."""

    workers: Callable[[], Mapping[str, int]]
    """Returns how many workers there are by state."""
    restarts: Callable[[], int]
    """Returns how many were started again."""
    failures: Callable[[], int]
    """Returns how many unexpected exceptions the parent has logged."""
    uptime: Callable[[], float]
    """Returns the seconds since it started."""

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield gauge(WORKERS, self.workers())
        yield counter(RESTARTS, self.restarts())
        yield counter(metrics.FAILURES, self.failures())
        yield gauge(metrics.UPTIME, self.uptime())


class FleetCollector(Collector):
    """Adds up what each worker has told last, what is left of those that are gone, and the parent's own.

    Args:
        own: The parent's own figures.
    """

    def __init__(self, own: CollectorRegistry) -> None:
        self._own = own
        self._last: dict[Any, list[Metric]] = {}
        self._gone: list[Metric] = []

    def told(self, worker: object, figures: list[Metric]) -> None:
        """Keep what a worker has told in the place of what it told before."""
        self._last[worker] = figures

    def gone(self, worker: object) -> None:
        """Keep of a worker that has ended what it has counted: a counter does not go down."""
        last = self._last.pop(worker, [])
        self._gone = add_up([self._gone, [family for family in last if _only_grows(family)]])

    def describe(self) -> list[Metric]:
        """Describe nothing, so that a registry takes it without asking."""
        return []

    def collect(self) -> list[Metric]:
        """Return every metric. Those of the workers come first, in their order."""
        return add_up([*self._last.values(), self._gone, self._own.collect()])
