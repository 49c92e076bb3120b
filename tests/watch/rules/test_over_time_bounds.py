"""Rules about several records, whatever comes, in whatever order, and however much of it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_echo.watch.judge import Judge
from mcp_echo.watch.records import (
    ExchangeRecord,
    ProbeRecord,
    Record,
    SentRecord,
    SessionChange,
    StreamRecord,
)
from mcp_echo.watch.rules.memory import MOST, Awaited, Remembered
from mcp_echo.watch.rules.rule import Broken, Held
from tests.watch.rules.over_time import BEGUN, RULES
from tests.watch.rules.test_over_time import CASES

EVERY = [
    record
    for case in CASES.values()
    for story in (*(story for story, _ in case.broken), *case.kept)
    for record in story.records[:40]
]


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    """Records of all stories, in any order, at any time."""
    chosen = draw(st.lists(st.sampled_from(EVERY), max_size=30))
    moved = []
    for number, record in enumerate(chosen, 1):
        at = BEGUN + draw(st.floats(-100, 1000, allow_nan=False))
        moved.append(msgspec.structs.replace(record, number=number, at=at))
    return moved


@settings(max_examples=150, deadline=None)
@given(histories())
def test_any_order_of_records_is_judged(history: list[Record]) -> None:
    """Records of several nodes come merged, and those of long requests after others: no order is promised."""
    for rule in RULES.values():
        assert rule.begin is not None
        state = rule.begin()
        for record in history:
            for outcome in state.see(record):
                assert isinstance(outcome, Held | Broken)
                assert outcome.exchange == record.number or outcome.exchange <= len(history)
        assert all(isinstance(outcome, Held | Broken) for outcome in state.due(BEGUN + 5000))


@settings(max_examples=150, deadline=None)
@given(histories(), st.floats(0, 2000, allow_nan=False))
def test_what_is_due_is_told_once(history: list[Record], later: float) -> None:
    """Our choice: the deadlines are looked at from time to time, and by several readers."""
    for rule in RULES.values():
        assert rule.begin is not None
        state = rule.begin()
        for record in history:
            list(state.see(record))
        list(state.due(BEGUN + later))
        assert list(state.due(BEGUN + later)) == [], rule.id


@settings(max_examples=100, deadline=None)
@given(histories())
def test_each_breach_has_a_key_of_its_own(history: list[Record]) -> None:
    """Our choice: an occurrence is told from another by its key, so that none is counted twice."""
    judge = Judge(RULES)
    for record in history:
        judge.see(record)
    judge.due(BEGUN + 5000)
    for finding in judge.findings():
        assert finding.summary
    for rule in RULES.values():
        assert rule.begin is not None
        state = rule.begin()
        for record in history:
            assert all(not isinstance(each, Broken) or each.key for each in state.see(record)), rule.id
        assert all(not isinstance(each, Broken) or each.key for each in state.due(BEGUN + 5000)), rule.id


def crowd(name: str, count: int) -> Iterator[Record]:
    """The stories of a rule, each time with another client; nobody asks what is due."""
    case = CASES[name]
    for client in range(count):
        for story in (*(story for story, _ in case.broken), *case.kept):
            for record in story.records[:10]:
                yield as_another(record, client)


def as_another(record: Record, client: int) -> Record:
    """Return a record of another client."""
    session = f"session {client}" if record.session else None
    if isinstance(record, ExchangeRecord):
        return msgspec.structs.replace(
            record, session=session, address=f"address {client}", connection=client, client=f"client {client}"
        )
    if isinstance(record, SentRecord):
        return msgspec.structs.replace(record, session=session, caller=f"caller {client}")
    if isinstance(record, StreamRecord | ProbeRecord):
        return msgspec.structs.replace(record, session=session)
    assert isinstance(record, SessionChange)
    return msgspec.structs.replace(record, session=f"session {client}")


@pytest.mark.parametrize("name", RULES)
def test_a_rule_remembers_no_more_of_a_crowd_than_of_half_of_it(name: str) -> None:
    """Our choice: whoever writes into a trace must not fill the memory of the server."""
    sizes = []
    for count in (300, 600):
        begin = RULES[name].begin
        assert begin is not None
        state = begin()
        for record in crowd(name, count):
            list(state.see(record))
        sizes.append(len(pickle.dumps(state)))
    assert sizes[1] <= sizes[0] * 1.1 + 2000, sizes
    assert sizes[1] <= 400_000, sizes


def test_what_was_not_touched_for_longest_is_forgotten() -> None:
    """Our choice: an active client is remembered however many others come."""
    remembered: Remembered[int, str] = Remembered(3)
    for key in (1, 2, 3):
        remembered.put(key, "x")
    assert not remembered.forgot
    assert remembered.get(1) == "x"
    remembered.put(4, "x")
    assert list(remembered) == [3, 1, 4]
    assert remembered.forgot


def test_what_is_awaited_is_overdue_once() -> None:
    """Our choice, as above."""
    awaited: Awaited[str, str] = Awaited()
    awaited.put("a", 10.0, "A")
    awaited.put("b", 20.0, "B")
    assert awaited.overdue(9.9) == []
    assert awaited.overdue(10.0) == [("a", 10.0, "A")]
    assert awaited.overdue(10.0) == []
    assert awaited.take("b") == "B"
    assert awaited.overdue(99.0) == []


def test_what_is_awaited_is_bounded() -> None:
    """Our choice, as above."""
    awaited: Awaited[int, str] = Awaited()
    for key in range(3 * MOST):
        awaited.put(key, 1.0, "x")
    assert len(awaited) == MOST
