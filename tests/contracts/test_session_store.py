"""What every session store must do. A further store is one line in ``FACTORIES``."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

import pytest

from mcp_echo.protocol.errors import SessionNotFound, TooManySessions, TooManySessionsForPrincipal
from mcp_echo.protocol.revisions import MODERN, Supported
from mcp_echo.state.budget import StateBudget
from mcp_echo.state.events import EventLog, Stream
from mcp_echo.state.session import Client, Echo, Session
from mcp_echo.state.store import Clock, EndReason, MemoryStore, SessionStore

TIMEOUT = 60.0
LIMIT = 3
OWN_LIMIT = 2
"""Sessions of one principal."""
REVISION = Supported().offered
MODERN_REVISION = MODERN[-1]
CLIENT = Client("test-client", "1.0", {"roots": {}})

Ended = Callable[[Session, EndReason], None]
# A store with this timeout, limit, steady clock, wall clock, listener for endings, budget and limit for each
# principal.
Factory = Callable[[float, int, Clock, Clock, Ended, StateBudget, int], SessionStore]


def memory(
    timeout: float,
    limit: int,
    now: Clock,
    wall: Clock,
    ended: Ended,
    budget: StateBudget,
    limit_per_principal: int,
) -> SessionStore:
    return MemoryStore(timeout, limit, now, wall, EventLog, ended, budget, limit_per_principal)


FACTORIES: list[Factory] = [memory]


class Bench:
    """A store on clocks that stand still until told otherwise, and the endings it has told of."""

    def __init__(self, factory: Factory) -> None:
        self.time = 1000.0
        self.endings: list[tuple[str, EndReason]] = []
        self.store = factory(
            TIMEOUT,
            LIMIT,
            lambda: self.time,
            lambda: self.time + 1_700_000_000,
            self.ended,
            StateBudget(),
            OWN_LIMIT,
        )
        self.watched: Stream | None = None
        self.seen_at_the_ending: tuple[bool, int] | None = None
        """At the last ending told of: whether the watched stream had ended, how many sessions lived."""

    def ended(self, session: Session, reason: EndReason) -> None:
        self.endings.append((session.id, reason))
        if self.watched is not None:
            self.seen_at_the_ending = (self.watched.ended, len(self.store))

    def create(self, principal: str | None = None) -> Session:
        return self.store.create(principal, REVISION, CLIENT)

    def create_handle(self, principal: str | None = None, timeout: float | None = None) -> Session:
        return self.store.create_handle(principal, MODERN_REVISION, CLIENT, timeout, "a label")

    def advance(self, seconds: float) -> None:
        self.time += seconds

    def living(self) -> set[str]:
        assert len(list(self.store)) == len(self.store)
        return {session.id for session in self.store}


@pytest.fixture(params=FACTORIES, ids=lambda factory: factory.__name__)
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.param)


def test_a_new_session_knows_who_made_it_and_when(bench: Bench) -> None:
    """Design of the interface: what `create` is told is what the session says."""
    session = bench.create("alice")
    assert (session.principal, session.revision, session.client) == ("alice", REVISION, CLIENT)
    assert (session.created, session.last_activity) == (1000.0, 1000.0)
    assert (session.created_at, session.last_activity_at) == (1_700_001_000.0, 1_700_001_000.0)


def test_ids_are_random_uuids_and_never_the_same(bench: Bench) -> None:
    """2025-11-25 basic/transports, Session Management: ids SHOULD be globally unique and secure; RFC 9562
    section 5.4 for version 4."""
    ids = set()
    for _ in range(200):
        session = bench.create()
        parsed = uuid.UUID(session.id)
        assert (parsed.version, str(parsed)) == (4, session.id)
        ids.add(session.id)
        bench.store.close(session.id, None)
    assert len(ids) == 200


def test_a_session_is_found_by_its_id(bench: Bench) -> None:
    """Design of the interface: state lasts from request to request."""
    session = bench.create()
    session.requests = 7
    assert bench.store.use(session.id, None).requests == 7


@pytest.mark.parametrize("principal", [None, "alice"])
def test_every_use_counts_as_activity(bench: Bench, principal: str | None) -> None:
    """Our choice: a session lives as long as it is used."""
    session = bench.create(principal)
    for _ in range(5):
        bench.advance(TIMEOUT - 1)
        used = bench.store.use(session.id, principal)
    assert (used.last_activity, used.last_activity_at) == (bench.time, bench.time + 1_700_000_000)
    assert used.created == 1000.0


def test_an_expired_session_is_gone_before_the_sweep(bench: Bench) -> None:
    """2025-11-25 basic/transports, Session Management: 404 once a session is over, however rarely the sweep
    runs."""
    session = bench.create()
    bench.advance(TIMEOUT)
    with pytest.raises(SessionNotFound):
        bench.store.use(session.id, None)
    assert bench.living() == set()
    assert bench.endings == [(session.id, "expired")]


def test_a_session_lives_until_the_last_moment(bench: Bench) -> None:
    """Our choice: the timeout is how long a session may be idle."""
    session = bench.create()
    bench.advance(TIMEOUT - 0.001)
    assert bench.store.use(session.id, None).id == session.id


@pytest.mark.parametrize("operation", ["use", "close"])
def test_all_the_ways_to_have_no_session_read_the_same(bench: Bench, operation: str) -> None:
    """Our choice, from hijacking advisories: a guess must not learn whether an id exists."""
    others, closed, anonymous = bench.create("alice"), bench.create("bob"), bench.create(None)
    bench.store.close(closed.id, "bob")
    attempts = [
        (others.id, "bob"),
        (others.id, None),
        (others.id, ""),
        (anonymous.id, "bob"),
        (closed.id, "bob"),
        (str(uuid.uuid4()), "bob"),
        ("", None),
        ("x" * 5000, None),
        ("\x00", None),
        (others.id.upper(), "alice"),
    ]
    texts = set()
    for session_id, principal in attempts:
        with pytest.raises(SessionNotFound) as refusal:
            getattr(bench.store, operation)(session_id, principal)
        texts.add((refusal.value.message, refusal.value.code, refusal.value.status, repr(refusal.value.data)))
    bench.advance(TIMEOUT)
    with pytest.raises(SessionNotFound) as refusal:
        getattr(bench.store, operation)(others.id, "alice")
    texts.add((refusal.value.message, refusal.value.code, refusal.value.status, repr(refusal.value.data)))
    assert len(texts) == 1


def test_a_stranger_s_attempt_is_no_activity(bench: Bench) -> None:
    """Our choice: nobody keeps another's session alive, or ends it."""
    session = bench.create("alice")
    bench.advance(TIMEOUT - 1)
    for attempt in (bench.store.use, bench.store.close):
        with pytest.raises(SessionNotFound):
            attempt(session.id, "bob")
    assert session.last_activity == 1000.0
    assert bench.store.use(session.id, "alice").id == session.id


def test_the_limit_is_exact_and_a_refusal_leaves_nothing(bench: Bench) -> None:
    """Our choice: MCP_MAX_SESSIONS sessions may live, not one more; a refused one counts as refused only."""
    living = {bench.create().id for _ in range(LIMIT)}
    for refusals in (1, 2):
        with pytest.raises(TooManySessions):
            bench.create()
        assert bench.store.statistics.refused == refusals
    assert bench.living() == living
    assert bench.store.statistics.created == LIMIT
    assert bench.endings == []


@pytest.mark.parametrize(("idle", "seconds"), [(0, 60), (30, 31), (59.5, 1)])
def test_a_refusal_says_when_there_may_be_room(bench: Bench, idle: float, seconds: int) -> None:
    """RFC 9110 section 10.2.3: Retry-After, in whole seconds; our choice: a minute at most."""
    bench.create()
    bench.advance(idle)
    for _ in range(LIMIT - 1):
        bench.create()
    with pytest.raises(TooManySessions) as refusal:
        bench.create()
    assert refusal.value.headers == {"Retry-After": str(seconds)}
    assert str(LIMIT) in refusal.value.message


def test_an_expired_session_makes_room_before_the_sweep(bench: Bench) -> None:
    """Our choice: a place is free from the moment its session has expired."""
    first = bench.create()
    bench.advance(TIMEOUT / 2)
    rest = {bench.create().id for _ in range(LIMIT - 1)}
    bench.advance(TIMEOUT / 2)
    new = bench.create()
    assert bench.living() == {new.id, *rest}
    assert bench.endings == [(first.id, "expired")]


def test_closing_makes_room(bench: Bench) -> None:
    """2025-11-25 basic/transports, Session Management: DELETE ends a session."""
    sessions = [bench.create() for _ in range(LIMIT)]
    bench.store.close(sessions[0].id, None)
    with pytest.raises(SessionNotFound):
        bench.store.use(sessions[0].id, None)
    bench.create()
    assert bench.endings == [(sessions[0].id, "closed")]


def test_the_sweep_ends_what_has_expired_and_nothing_else(bench: Bench) -> None:
    """Our choice: idle sessions are reclaimed without anyone asking for them."""
    kept, idle, also_idle = (bench.create() for _ in range(3))
    bench.advance(TIMEOUT - 1)
    bench.store.use(kept.id, None)
    bench.advance(1)
    assert bench.store.expire() == 2
    assert bench.living() == {kept.id}
    assert sorted(bench.endings) == sorted([(idle.id, "expired"), (also_idle.id, "expired")])
    assert bench.store.expire() == 0


def test_the_statistics_tell_what_happened(bench: Bench) -> None:
    """healthProbe and /health show them: every figure is counted where the thing happens."""
    closed, swept, found_expired = (bench.create() for _ in range(3))
    assert bench.store.statistics.average_lifetime is None
    assert (bench.store.statistics.sweeps, bench.store.statistics.last_sweep) == (0, None)
    bench.advance(10)
    bench.store.close(closed.id, None)
    bench.store.use(swept.id, None)
    bench.advance(50)
    with pytest.raises(SessionNotFound):
        bench.store.use(found_expired.id, None)
    bench.advance(10)
    bench.store.expire()
    statistics = bench.store.statistics
    assert (statistics.created, statistics.expired, statistics.closed, statistics.refused) == (3, 2, 1, 0)
    assert (statistics.sweeps, statistics.last_sweep) == (1, bench.time)
    assert statistics.lifetime_seconds == 10 + 60 + 70
    assert statistics.average_lifetime == 140 / 3


def test_an_ending_ends_the_streams_before_it_is_told_of(bench: Bench) -> None:
    """Our choice: whoever hears of an ending sees it finished."""
    session = bench.create()
    bench.watched = session.log.listen()
    bench.store.close(session.id, None)
    assert bench.seen_at_the_ending == (True, 0)


def test_the_limits_can_be_read(bench: Bench) -> None:
    """The tools show them."""
    assert (bench.store.timeout, bench.store.limit) == (TIMEOUT, LIMIT)


def test_a_principal_has_only_so_many_sessions_and_handles(bench: Bench) -> None:
    """Our choice: one principal must not take every place; the refusal is its own, with 429 and the time
    until its first session may have expired."""
    first = bench.create("alice")
    bench.advance(10)
    bench.create_handle("alice", timeout=30)
    for make in (bench.create, bench.create_handle):
        with pytest.raises(TooManySessionsForPrincipal) as refusal:
            make("alice")
        assert (refusal.value.status, refusal.value.headers) == (429, {"Retry-After": "31"})
    assert (bench.store.statistics.refused_to_principals, bench.store.statistics.refused) == (2, 0)
    bench.create("bob")
    bench.store.close(first.id, "alice")
    assert bench.create("alice").principal == "alice"


def test_who_is_nobody_in_particular_has_no_share(bench: Bench) -> None:
    """Our choice: callers that nobody vouches for are bounded by MCP_MAX_SESSIONS alone."""
    for _ in range(LIMIT):
        bench.create(None)
    with pytest.raises(TooManySessions):
        bench.create(None)


def test_what_has_expired_takes_no_place_of_its_principal_s(bench: Bench) -> None:
    """Our choice: room is there before the sweep comes."""
    bench.create_handle("alice", timeout=5)
    kept = bench.create("alice")
    bench.advance(5)
    made = bench.create("alice")
    assert bench.living() == {kept.id, made.id}


def test_a_principal_that_is_gone_leaves_nothing_behind(bench: Bench) -> None:
    """Our choice: names are many, and each place they took is free again, however their sessions ended."""
    for _ in range(20):
        bench.create("alice")
        closed = bench.create_handle("alice")
        bench.store.close(closed.id, "alice", handle=True)
        bench.advance(TIMEOUT)
        bench.store.expire()
    assert bench.living() == set()
    for _ in range(OWN_LIMIT):
        bench.create("alice")


def test_the_budget_counts_what_the_sessions_hold(bench: Bench) -> None:
    """healthProbe shows the sums, and MCP_ECHO_MAX_STATE_BYTES bounds them."""
    budget = bench.store.budget
    session, handle = bench.create(), bench.create_handle()
    session.log.queue(b"12345")
    handle.remember_echo(Echo("hello"))
    assert (budget.queues, budget.waiting, budget.echoes) == (5, 1, Echo("hello").size)
    assert budget.sessions > 0
    bench.store.close(handle.id, None, handle=True)
    assert (budget.queues, budget.echoes) == (5, 0)
    bench.advance(TIMEOUT)
    bench.store.expire()
    assert (budget.used, budget.waiting, budget.sessions) == (0, 0, 0)


# Handles.


def test_handles_are_counted_among_the_living(bench: Bench) -> None:
    """Design of the interface: how many there are is known without a walk over all."""
    bench.create()
    closed, _ = bench.create_handle(), bench.create_handle(timeout=5)
    assert (len(bench.store), bench.store.handles) == (3, 2)
    bench.store.close(closed.id, None, handle=True)
    assert (len(bench.store), bench.store.handles) == (2, 1)
    bench.time += 5
    bench.store.expire()
    assert (len(bench.store), bench.store.handles) == (1, 0)
    bench.time += TIMEOUT
    bench.store.expire()
    assert (len(bench.store), bench.store.handles) == (0, 0)


def test_a_new_handle_knows_who_made_it_and_how_long_it_lasts(bench: Bench) -> None:
    """Design of the interface: what `create_handle` is told is what the state says."""
    own, given = bench.create_handle("alice"), bench.create_handle("alice", 5)
    assert (given.principal, given.revision, given.client) == ("alice", MODERN_REVISION, CLIENT)
    assert (given.handle, given.label, given.timeout, own.timeout) == (True, "a label", 5, TIMEOUT)
    session = bench.create()
    assert (session.handle, session.label, session.timeout) == (False, None, TIMEOUT)


def test_handles_are_unguessable_and_no_uuids(bench: Bench) -> None:
    """2026-07-28 server/tools, Stateful Tools: without authentication a handle is all that protects the
    state; our choice: 192 bits, and a form that nobody takes for a session id."""
    handles = set()
    for _ in range(200):
        handle = bench.create_handle().id
        assert re.fullmatch(r"es_[A-Za-z0-9_-]{32}", handle)
        handles.add(handle)
        bench.store.close(handle, None, handle=True)
    assert len(handles) == 200


def test_a_handle_is_found_as_a_handle(bench: Bench) -> None:
    """2026-07-28 basic, Statelessness: state that spans requests is named by what the client passes on."""
    made = bench.create_handle("alice")
    made.echo_count = 7
    assert bench.store.use(made.id, "alice", handle=True).echo_count == 7


@pytest.mark.parametrize("operation", ["use", "close"])
def test_a_handle_is_no_session_id_nor_the_other_way_round(bench: Bench, operation: str) -> None:
    """Our choice: handles end in the logs of chats, and must not open a protocol session, nor end one."""
    handle, session = bench.create_handle(), bench.create()
    bench.advance(1)
    for name, as_handle in ((handle.id, False), (session.id, True)):
        with pytest.raises(SessionNotFound) as refusal:
            getattr(bench.store, operation)(name, None, as_handle)
        assert refusal.value.message == "Session not found or expired"
    assert bench.living() == {handle.id, session.id}
    assert (handle.last_activity, session.last_activity) == (1000.0, 1000.0)


@pytest.mark.parametrize("operation", ["use", "close"])
def test_a_handle_is_its_maker_s_alone(bench: Bench, operation: str) -> None:
    """2026-07-28 server/tools, Stateful Tools: a handle is checked against the caller where there is one."""
    made, anonymous = bench.create_handle("alice"), bench.create_handle(None)
    for name, principal in ((made.id, "bob"), (made.id, None), (made.id, ""), (anonymous.id, "bob")):
        with pytest.raises(SessionNotFound):
            getattr(bench.store, operation)(name, principal, handle=True)
    assert bench.living() == {made.id, anonymous.id}


def test_a_handle_has_a_timeout_of_its_own(bench: Bench) -> None:
    """Our choice: its maker says how long it is kept after its last use."""
    short, long, session = bench.create_handle(timeout=5), bench.create_handle(), bench.create()
    bench.advance(4.999)
    bench.store.use(short.id, None, handle=True)
    bench.advance(5)
    with pytest.raises(SessionNotFound):
        bench.store.use(short.id, None, handle=True)
    assert bench.endings == [(short.id, "expired")]
    assert bench.living() == {long.id, session.id}


def test_the_sweep_ends_what_has_expired_by_its_own_timeout(bench: Bench) -> None:
    """Our choice: no idle state outlives its time because another's is longer."""
    session, short, shorter = bench.create(), bench.create_handle(timeout=7), bench.create_handle(timeout=5)
    bench.advance(6)
    assert bench.store.expire() == 1
    assert bench.living() == {session.id, short.id}
    bench.advance(1)
    assert bench.store.expire() == 1
    assert bench.endings == [(shorter.id, "expired"), (short.id, "expired")]


def test_a_closed_handle_is_gone(bench: Bench) -> None:
    """Our choice: closeEchoSession ends it, and it counts as closed."""
    made = bench.create_handle()
    bench.store.close(made.id, None, handle=True)
    with pytest.raises(SessionNotFound):
        bench.store.use(made.id, None, handle=True)
    assert bench.endings == [(made.id, "closed")]
    assert (bench.store.statistics.created, bench.store.statistics.closed) == (1, 1)


def test_handles_and_sessions_share_one_limit(bench: Bench) -> None:
    """Our choice: MCP_MAX_SESSIONS bounds memory, whichever way it is taken."""
    kept, short = bench.create(), bench.create_handle(timeout=5)
    bench.create_handle()
    for make in (bench.create, bench.create_handle):
        with pytest.raises(TooManySessions) as refusal:
            make()
        assert refusal.value.headers == {"Retry-After": "6"}
    assert bench.store.statistics.refused == 2
    bench.advance(5)
    bench.create_handle()
    assert kept.id in bench.living()
    assert bench.endings == [(short.id, "expired")]
