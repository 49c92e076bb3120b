"""What the store in memory does beyond the contract of `SessionStore`."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mcp_echo.protocol.errors import SessionNotFound, TooManySessions
from mcp_echo.protocol.revisions import Supported
from mcp_echo.state.events import EventLog
from mcp_echo.state.session import UNKNOWN_CLIENT, Session
from mcp_echo.state.store import MemoryStore

REVISION = Supported().offered


class WatchedSession(Session):
    """Counts how often its age is asked for."""

    looks = 0

    def is_expired(self, now: float, timeout: float) -> bool:
        WatchedSession.looks += 1
        return super().is_expired(now, timeout)


def test_the_sweep_stops_at_the_first_living_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our choice: a sweep costs what it ends, not what there is, since it blocks the reactor."""
    time = 0.0
    store = MemoryStore(60, 1000, lambda: time, lambda: time)
    monkeypatch.setattr("mcp_echo.state.store.Session", WatchedSession)
    for moment in range(100):
        time = float(moment)
        store.create(None, REVISION, UNKNOWN_CLIENT)
    time = 62.0
    WatchedSession.looks = 0
    assert store.expire() == 3
    assert WatchedSession.looks == 4


def test_the_same_object_comes_back() -> None:
    """Our choice: in one process a session is one object, never a copy."""
    store = MemoryStore(60, 1, lambda: 0.0, lambda: 0.0)
    session = store.create(None, REVISION, UNKNOWN_CLIENT)
    assert store.use(session.id, None) is session


def test_each_session_gets_its_queue_from_the_store() -> None:
    """Our choice: the bounds of a queue are settings, which the store passes on."""
    store = MemoryStore(60, 2, lambda: 0.0, lambda: 0.0, lambda: EventLog(max_messages=1))
    first, second = (store.create(None, REVISION, UNKNOWN_CLIENT) for _ in range(2))
    first.log.queue(b"a")
    first.log.queue(b"b")
    assert (first.pending, first.dropped, second.pending) == (1, 1, 0)


class StoreMachine(RuleBasedStateMachine):
    """The store beside a dictionary of last activities."""

    TIMEOUT = 10
    LIMIT = 4

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self.store = MemoryStore(self.TIMEOUT, self.LIMIT, lambda: self.time, lambda: self.time)
        self.last_activity: dict[str, float] = {}
        self.ended = self.refused = self.created = 0

    def living(self) -> set[str]:
        return {each for each, last in self.last_activity.items() if self.time - last < self.TIMEOUT}

    @rule(seconds=st.integers(1, 6))
    def advance(self, seconds: int) -> None:
        self.time += seconds

    @rule()
    def create(self) -> None:
        try:
            session = self.store.create(None, REVISION, UNKNOWN_CLIENT)
        except TooManySessions:
            self.refused += 1
            assert len(self.living()) == self.LIMIT
        else:
            assert len(self.living()) < self.LIMIT
            self.created += 1
            self.last_activity[session.id] = self.time

    @precondition(lambda self: self.last_activity)
    @rule(which=st.integers(0, 10), close=st.booleans())
    def use_or_close(self, which: int, close: bool) -> None:
        # By place, since ids are random and a failure must be found again.
        session_id = list(self.last_activity)[which % len(self.last_activity)]
        alive = session_id in self.living()
        try:
            if close:
                self.store.close(session_id, None)
            else:
                self.store.use(session_id, None)
        except SessionNotFound:
            assert not alive
            return
        assert alive
        if close:
            del self.last_activity[session_id]
        else:
            self.last_activity[session_id] = self.time

    @rule()
    def expire(self) -> None:
        self.store.expire()
        assert {session.id for session in self.store} == self.living()

    @invariant()
    def counts_agree(self) -> None:
        held = {session.id for session in self.store}
        assert self.living() <= held
        assert len(held) == len(self.store) <= self.LIMIT
        statistics = self.store.statistics
        assert (statistics.created, statistics.refused) == (self.created, self.refused)
        assert statistics.created == statistics.expired + statistics.closed + len(held)
        order = [session.last_activity for session in self.store]
        assert order == sorted(order)


TestStoreAgainstAModel = StoreMachine.TestCase
TestStoreAgainstAModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
