"""What a trace keeps beside its records, in the memory of one process."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from mcp_echo.watch.parts import Part, PartsInMemory, TraceGone
from mcp_echo.watch.rules.table import RULES
from mcp_echo.watch.traces import TraceLimits, Traces, Wanted


class _Count(msgspec.Struct):
    counted: int = 0


COUNT = Part("count", _Count)


def _traces() -> Traces:
    return Traces(TraceLimits(10, 60, 10, 10_000, 100_000), RULES, lambda: 0.0)


def _raise(part: _Count) -> None:
    part.counted = 99
    raise ValueError("no")


def _count(part: _Count) -> int:
    part.counted += 1
    return part.counted


def test_a_part_begins_with_its_defaults_and_stays_what_it_was_changed_to() -> None:
    """Our choice: a part is there as soon as its trace is."""
    traces = _traces()
    trace = traces.plan(Wanted(), "a", 1)
    traces.add(trace)
    parts = PartsInMemory(lambda each: traces.find(each.id) is each)
    assert COUNT.read(trace).counted == 0
    assert asyncio.run(parts.change(trace, COUNT, _count)) == 1
    assert asyncio.run(parts.change(trace, COUNT, _count)) == 2
    assert COUNT.read(trace).counted == 2


def test_work_that_fails_changes_nothing() -> None:
    """Our choice: what is not kept has not happened."""
    traces = _traces()
    trace = traces.plan(Wanted(), "a", 1)
    traces.add(trace)
    parts = PartsInMemory(lambda each: traces.find(each.id) is each)
    asyncio.run(parts.change(trace, COUNT, _count))
    with pytest.raises(ValueError, match="no"):
        asyncio.run(parts.change(trace, COUNT, _raise))
    assert COUNT.read(trace).counted == 1


def test_a_trace_that_has_ended_takes_no_change() -> None:
    """Our choice: nobody is to think that something was kept which is gone."""
    traces = _traces()
    trace = traces.plan(Wanted(), "a", 1)
    traces.add(trace)
    parts = PartsInMemory(lambda each: traces.find(each.id) is each)
    traces.end(trace, "deleted")
    with pytest.raises(TraceGone):
        asyncio.run(parts.change(trace, COUNT, _count))
