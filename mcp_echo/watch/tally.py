"""What has been answered and refused so far: an observer that counts it for those who scrape. No I/O.

Plain integers in dictionaries: a request is counted with one look-up and one bisection, and whoever reads the
counts does the adding up. Labels are bounded: what a client makes up is counted as ``other``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Iterator, Mapping
from typing import NamedTuple

from mcp_echo.watch.seen import Era, Event, Seen

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets that spans of time are sorted into, in seconds."""

OTHER = "other"
"""What a name that only a client knows is counted as."""


class Answered(NamedTuple):
    """What requests are told apart by."""

    method: str | None
    """The JSON-RPC method; None where no request was read."""
    tool: str | None
    """The tool of a ``tools/call``; None for other methods, and where its name was not read."""
    revision: str | None
    """The protocol revision; None where it is unknown."""
    era: Era | None
    """None where the message was too broken to tell."""
    status: int | str
    """The HTTP status that goes with the answer, or ``cancelled``."""
    error: int | None
    """The JSON-RPC error code; None for a result."""


class Histogram:
    """Spans of time, sorted into buckets."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)
        """How many fell into each bucket; the last is for those above every bound."""
        self.sum = 0.0
        """Seconds, of all together."""

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.sum += seconds

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Yield each upper bound with how many are not above it; the last bound is infinity."""
        total = 0
        for bound, count in zip((*SECONDS, float("inf")), self.counts, strict=True):
            total += count
            yield bound, total


class _Series:
    """The count of one combination of labels."""

    __slots__ = ("count", "durations")

    def __init__(self, durations: Histogram) -> None:
        self.count = 0
        self.durations = durations


class Tally:
    """Counts the requests of one server."""

    def __init__(self) -> None:
        self._methods: Container[str] = ()
        self._tools: Container[str] = ()
        self._revisions: Container[str] = ()
        self._series: dict[
            tuple[str | None, str | None, str | None, Era | None, int | str, int | None], _Series
        ]
        self._series = {}
        self.durations: dict[str | None, Histogram] = {}
        """Method → seconds from a request's arrival to its answer."""
        self.refused: dict[int, int] = {}
        """HTTP status → requests refused before a JSON-RPC message was looked at."""

    def expect(self, methods: Container[str], tools: Container[str], revisions: Container[str]) -> None:
        """Say which names are counted by themselves; any other is counted as `OTHER`, revisions as None."""
        self._methods, self._tools, self._revisions = methods, tools, revisions

    def see(self, event: Event) -> None:
        """Count the requests of an exchange, or its refusal."""
        if not isinstance(event, Seen):
            return
        if event.refusal is not None:
            status = event.refusal.status
            self.refused[status] = self.refused.get(status, 0) + 1
        for each in event.messages:
            if each.outcome is not None:
                # What has no id is no request, and is counted only if it is refused.
                method = None if each.id is None else each.method
                labels = (method, each.tool, each.revision, each.era, each.outcome, each.error)
                series = self._series.get(labels) or self._bounded(Answered(*labels))
                series.count += 1
                series.durations.observe(each.seconds or 0.0)

    def _bounded(self, labels: Answered) -> _Series:
        """Return where to count what is counted for the first time, or names what only a client knows."""
        method, tool, revision, era, status, error = labels
        if method is not None and method not in self._methods:
            method = OTHER
        if tool is not None and tool not in self._tools:
            tool = OTHER
        if revision not in self._revisions:
            revision = None
        durations = self.durations.setdefault(method, Histogram())
        return self._series.setdefault((method, tool, revision, era, status, error), _Series(durations))

    @property
    def requests(self) -> Mapping[Answered, int]:
        """How many requests of each kind there were."""
        return {Answered(*labels): series.count for labels, series in self._series.items()}
