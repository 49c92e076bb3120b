"""What the store in memory does beyond the contract of `SessionStore`."""

from __future__ import annotations

import gc
import tracemalloc
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mcp_echo.protocol.errors import SessionNotFound, TooManySessions
from mcp_echo.protocol.revisions import Supported
from mcp_echo.sessions.event_log import EventLog
from mcp_echo.sessions.memory import MemoryStore
from mcp_echo.sessions.session import UNKNOWN_CLIENT, Session
from mcp_echo.sessions.store import StoreLimits
from tests.examples import examples
from tests.making import handle_in, session_in

REVISION = Supported().offered


class WatchedSession(Session):
    """Counts how often its age is asked for."""

    looks = 0

    def is_expired(self, now: float) -> bool:
        WatchedSession.looks += 1
        return super().is_expired(now)


def test_the_sweep_stops_at_the_first_living_session_of_each_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our choice: a sweep costs what it ends and one look more, not what there is, since it blocks the
    reactor."""
    time = 0.0
    store = MemoryStore(StoreLimits(60, 1000), lambda: time)
    monkeypatch.setattr("mcp_echo.sessions.memory.Session", WatchedSession)
    for moment in range(100):
        time = float(moment)
        session_in(store, None, REVISION, UNKNOWN_CLIENT)
        handle_in(store, None, REVISION, UNKNOWN_CLIENT, timeout=30)
    time = 102.0
    store.expire()
    time = 104.0
    WatchedSession.looks = 0
    assert store.expire() == 2 + 2
    assert WatchedSession.looks == 2 + 2 + 1


def test_time_for_room_is_measured_over_every_timeout() -> None:
    """RFC 9110 section 10.2.3: Retry-After is when there is room, whoever's time is up first."""
    time = 0.0
    store = MemoryStore(StoreLimits(60, 2), lambda: time)
    session_in(store, None, REVISION, UNKNOWN_CLIENT)
    handle_in(store, None, REVISION, UNKNOWN_CLIENT, timeout=7)
    time = 3.0
    with pytest.raises(TooManySessions) as refusal:
        session_in(store, None, REVISION, UNKNOWN_CLIENT)
    assert refusal.value.headers == {"Retry-After": "5"}


def test_the_same_object_comes_back() -> None:
    """Our choice: in one process a session is one object, never a copy."""
    store = MemoryStore(StoreLimits(60, 1), lambda: 0.0)
    session = session_in(store, None, REVISION, UNKNOWN_CLIENT)
    assert store.use(session.id, None) is session


def test_each_session_gets_its_queue_from_the_store() -> None:
    """Our choice: the bounds of a queue are settings, which the store passes on."""
    store = MemoryStore(StoreLimits(60, 2), lambda: 0.0, lambda: EventLog(max_messages=1))
    first, second = (session_in(store, None, REVISION, UNKNOWN_CLIENT) for _ in range(2))
    first.log.queue(b"a")
    first.log.queue(b"b")
    assert (first.pending, first.dropped, second.pending) == (1, 1, 0)


@pytest.mark.slow
@pytest.mark.parametrize("addresses", [1, 5000])
@pytest.mark.parametrize("used", [False, True])
def test_a_session_takes_little_memory_whoever_has_it(addresses: int, used: bool) -> None:
    """Our choice: 1.5 KiB at most, the account of its holder's share among them, also where each has one."""
    store = MemoryStore(StoreLimits(60, 10_000), lambda: 0.0)
    gc.collect()
    tracemalloc.start()
    for number in range(5000):
        session_in(store, None, REVISION, UNKNOWN_CLIENT, f"10.0.{number % addresses}").record.used = used
    store._shares.first_to_give_way(None)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken / 5000 <= 1536


class Model(NamedTuple):
    """What is to be true of one session."""

    last_activity: float
    timeout: float
    handle: bool


class StoreMachine(RuleBasedStateMachine):
    """The store beside a dictionary of what lives in it."""

    TIMEOUT = 10
    LIMIT = 4
    # The last is the store's own.
    TIMEOUTS = (3, 8, 25, None)

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self.store = MemoryStore(StoreLimits(self.TIMEOUT, self.LIMIT), lambda: self.time)
        self.models: dict[str, Model] = {}
        self.ended = self.refused = self.created = 0

    def living(self) -> set[str]:
        return {
            each for each, model in self.models.items() if self.time - model.last_activity < model.timeout
        }

    @rule(seconds=st.integers(1, 6))
    def advance(self, seconds: int) -> None:
        self.time += seconds

    @rule(handle=st.booleans(), timeout=st.sampled_from(TIMEOUTS))
    def create(self, handle: bool, timeout: float | None) -> None:
        try:
            if handle:
                session = handle_in(self.store, None, REVISION, UNKNOWN_CLIENT, timeout=timeout)
            else:
                session = session_in(self.store, None, REVISION, UNKNOWN_CLIENT)
        except TooManySessions:
            self.refused += 1
            assert len(self.living()) == self.LIMIT
        else:
            assert len(self.living()) < self.LIMIT
            self.created += 1
            own = timeout if handle and timeout is not None else self.TIMEOUT
            self.models[session.id] = Model(self.time, own, handle)

    @precondition(lambda self: self.models)
    @rule(which=st.integers(0, 10), close=st.booleans(), as_what_it_is=st.sampled_from([True, True, False]))
    def use_or_close(self, which: int, close: bool, as_what_it_is: bool) -> None:
        # By place, since ids are random and a failure must be found again.
        session_id = list(self.models)[which % len(self.models)]
        model = self.models[session_id]
        alive = session_id in self.living() and as_what_it_is
        handle = model.handle is as_what_it_is
        try:
            if close:
                self.store.close(session_id, None, handle)
            else:
                self.store.use(session_id, None, handle)
        except SessionNotFound:
            assert not alive
            return
        assert alive
        if close:
            del self.models[session_id]
        else:
            self.models[session_id] = model._replace(last_activity=self.time)

    @rule()
    def expire(self) -> None:
        held = len(self.store)
        assert self.store.expire() == held - len(self.living())
        assert {session.id for session in self.store} == self.living()

    @invariant()
    def counts_agree(self) -> None:
        held = {session.id for session in self.store}
        assert self.living() <= held
        assert len(held) == len(self.store) <= self.LIMIT
        statistics = self.store.statistics
        assert (statistics.created, statistics.refused) == (self.created, self.refused)
        assert statistics.created == statistics.expired + statistics.closed + len(held)
        for session in self.store:
            model = self.models[session.id]
            assert (session.last_activity, session.timeout, session.handle) == model


TestStoreAgainstAModel = StoreMachine.TestCase
TestStoreAgainstAModel.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)
