"""Which events of a stream came together though they were written apart. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

SHARE = 0.2
"""Of the time over which events were written: those that came within less of it came together."""

FEWEST = 3
"""Events that it takes to tell."""

SHORTEST = 0.25
"""Seconds over which events must have been written: a network may delay some of them by less."""


class Timed(NamedTuple):
    """When an event was written, and when it arrived; seconds since the first one was written."""

    written: float
    arrived: float


class Clump(NamedTuple):
    """Events that came together though they were written apart."""

    first: int
    """The place of its first event, from 0."""
    events: int
    """How many there are."""
    written: float
    """Seconds over which they were written."""
    arrived: float
    """Seconds within which they arrived."""
    at: float
    """When the first of them arrived; seconds since the first event of all was written."""


def clumps(times: Sequence[Timed]) -> list[Clump]:
    """Return the clumps, each as large as it can be, in their order.

    Args:
        times: At most as many as one probe has events, in the order in which they were written.
    """
    found: list[Clump] = []
    first = 0
    while first <= len(times) - FEWEST:
        clump = _from(times, first)
        if clump is not None:
            found.append(clump)
        first += 1 if clump is None else clump.events
    return found


def is_enough(times: Sequence[Timed]) -> bool:
    """Return whether events are enough, and far enough apart, to tell whether they come together."""
    return len(times) >= FEWEST and times[-1].written - times[0].written >= SHORTEST


def _from(times: Sequence[Timed], first: int) -> Clump | None:
    """Return the largest clump that begins with an event."""
    begin = times[first]
    for last in range(len(times) - 1, first + FEWEST - 2, -1):
        written = times[last].written - begin.written
        arrived = times[last].arrived - begin.arrived
        if written >= SHORTEST and arrived <= SHARE * written:
            return Clump(first, last - first + 1, written, max(arrived, 0.0), begin.arrived)
    return None
