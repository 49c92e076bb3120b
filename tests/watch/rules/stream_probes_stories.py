"""Stories of streams that something on the way collects, or cuts."""

from __future__ import annotations

from typing import Any

from tests.watch.rules.over_time import Case, Story

CADENCE = (0.0, 0.3, 0.6, 0.9, 1.2)
"""When five events are written."""


def answered(*milliseconds: float | None, written: tuple[float, ...] = CADENCE, **facts: Any) -> Story:
    """Events are written, and answered after these milliseconds."""
    times = [None if each is None else each / 1000 for each in milliseconds]
    return Story().ready().probe(written, times, **facts)


def left(*silences: float, why: str = "left") -> Story:
    """Streams are opened one after the other, and closed by the other end when they were silent for long."""
    story = Story().ready()
    for silent in silences:
        story.get().wait(silent - 1).stream("close", why=why, seconds=silent + 3, silent=silent)
    return story


CASES = {
    "stream-cut-idle": Case(
        broken=[
            (left(60.0, 60.4, 59.8), "cuts after 60 s of silence, as 3 streams one after the other show"),
            (left(12.0, 60.0, 60.4, 59.8), "cuts after 60 s"),
            # A probe needs one.
            (Story().ready().probe((0.0,), (0.02,), cut=2.004), "cuts after 2.0 s of silence, as a probe"),
            (Story().probe((0.0, 0.3), way="address", session=None, cut=9.99), "cuts after 10.0 s"),
        ],
        kept=[
            Story().ready().probe(CADENCE, silence=3.0),
            answered(46, 309, 608, 904, 1207),
            left(60.0, 60.4),
            left(60.0, 62.0, 60.0),
            left(60.0, 61.0, 75.0),
            # The server has ended them.
            left(60.0, 60.0, 60.0, why="stopping"),
            left(60.0, 60.0, 60.0, why="ended"),
            # A client that listens for a second and goes.
            left(1.0, 1.0, 1.0),
        ],
    ),
    "stream-buffered": Case(
        broken=[
            # Seen, through a relay that holds what comes for two seconds.
            (
                answered(2220, 2236, 2256, 2269, 2276),
                "5 events written over 1.2 s arrived together after 2.2 s: something on the way collects",
            ),
            (answered(2220, 2236, 2256, 2269, 2276, hop="relay"), "after 2.2 s: relay collects them"),
            # The last one, written after a long silence, pushes the others out.
            (
                answered(9010, 9012, 9013, 9013, 9014, written=(0.0, 0.3, 0.6, 0.9, 9.0)),
                "5 events written over 9.0 s arrived together after 9.0 s",
            ),
            # Two clumps are one finding, which tells of the larger one.
            (
                answered(620, 621, 625, 1820, 1822, 1823, 1826, written=(0.0, 0.3, 0.6, 0.9, 1.2, 1.5, 1.8)),
                "4 events written over 900 ms arrived together after 1.8 s",
            ),
            (answered(1500, None, 1501, None, 1501), "3 events written over 1.2 s"),
        ],
        kept=[
            # Seen, on the direct way.
            answered(46, 309, 608, 904, 1207),
            # Each is as late as the others.
            answered(2000, 2300, 2600, 2900, 3200),
            # A network that is slow for a moment.
            answered(10, 700, 710, 910, 1210),
            answered(None, None, None, None, None),
            answered(300, 301),
            answered(80, 81, 82, written=(0.0, 0.05, 0.1)),
            Story().ready().probe(CADENCE),
        ],
    ),
}
