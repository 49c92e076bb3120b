"""What every session store must do, wherever it keeps them. A further store is one bench more."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from mcp_echo.cluster.stream_log import Bounds
from mcp_echo.protocol.errors import (
    SessionNotFound,
    TooManySessions,
    TooManySessionsForAddress,
    TooManySessionsForHolder,
    TooManySessionsForPrincipal,
)
from mcp_echo.sessions.session import Client, Echo, Session
from mcp_echo.sessions.store import Holdings, SessionStore
from tests.contracts.session_stores import (
    ADDRESS_LIMIT,
    BENCHES,
    BOUNDS,
    CLIENT,
    LIMIT,
    MAX_BYTES,
    MODERN_REVISION,
    OWN_LIMIT,
    REVISION,
    START,
    TIMEOUT,
    Bench,
    Memory,
    Seen,
    Shared,
    look,
    until,
)
from tests.making import session_in
from tests.nodes import Reader


@pytest_twisted.async_yield_fixture(params=BENCHES, ids=lambda bench: bench.__name__.lower())
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    made = request.param(tmp_path, **getattr(request.function, "sizes", {}))
    await made.open()
    yield made
    await made.stop()


def with_sizes(**sizes: Any) -> Callable[[Any], Any]:
    """Give a test a store with other limits."""

    def mark(test: Any) -> Any:
        test.sizes = sizes
        return test

    return mark


async def refusal_of(attempt: Awaitable[object], kind: type[Exception] = SessionNotFound) -> Any:
    """Return what an attempt is refused with."""
    with pytest.raises(kind) as refusal:
        await attempt
    return refusal.value


def attempt(bench: Bench, operation: str, *arguments: Any, **more: Any) -> Awaitable[object]:
    work: Awaitable[object] = getattr(bench, operation)(*arguments, **more)
    return work


def echo(session: Session) -> int:
    session.remember_echo(Echo("hello"))
    return session.record.echo_count


def texts(reader: Reader | None) -> list[bytes]:
    assert reader is not None
    return [data for _, data in reader.got]


# Sessions.


@pytest_twisted.ensureDeferred
async def test_a_new_session_knows_who_made_it_and_when(bench: Bench) -> None:
    """Design of the interface: what `create` is told is what the session says."""
    session = await bench.create("alice")
    assert (session.principal, session.revision) == ("alice", REVISION.name)
    assert session.client == (CLIENT.name, CLIENT.version, CLIENT.capabilities)
    assert (session.created, session.last_activity) == (START, START)
    assert await bench.use(session.id, "alice") == session


@pytest_twisted.ensureDeferred
async def test_ids_are_random_uuids_and_never_the_same(bench: Bench) -> None:
    """2025-11-25 basic/transports, Session Management: ids SHOULD be globally unique and secure; RFC 9562
    section 5.8 for version 8."""
    ids = set()
    for _ in range(200):
        session = await bench.create()
        parsed = uuid.UUID(session.id)
        assert (parsed.version, str(parsed)) == (8, session.id)
        ids.add(session.id)
        await bench.close(session.id)
    assert len(ids) == 200


@pytest_twisted.ensureDeferred
async def test_a_session_is_found_by_its_id(bench: Bench) -> None:
    """Design of the interface: state lasts from request to request."""
    session = await bench.create()
    await bench.use(session.id, then=lambda session: setattr(session.record, "requests", 7))
    assert (await bench.use(session.id)).requests == 7


@pytest.mark.parametrize("principal", [None, "alice"])
@pytest_twisted.ensureDeferred
async def test_every_use_counts_as_activity(bench: Bench, principal: str | None) -> None:
    """Our choice: a session lives as long as it is used."""
    session = await bench.create(principal)
    for _ in range(5):
        bench.advance(TIMEOUT - 1)
        used = await bench.use(session.id, principal)
    assert used.last_activity == bench.time
    assert used.created == START


@pytest_twisted.ensureDeferred
async def test_an_expired_session_is_gone_before_the_sweep(bench: Bench) -> None:
    """2025-11-25 basic/transports, Session Management: 404 once a session is over, however rarely the sweep
    runs."""
    session = await bench.create()
    bench.advance(TIMEOUT)
    await refusal_of(bench.use(session.id))
    assert await bench.living() == set()
    if isinstance(bench, Memory):
        assert bench.endings == [(session.id, "expired")]
    await bench.sweep()
    assert bench.endings == [(session.id, "expired")]


@pytest_twisted.ensureDeferred
async def test_a_session_lives_until_the_last_moment(bench: Bench) -> None:
    """Our choice: the timeout is how long a session may be idle."""
    session = await bench.create()
    bench.advance(TIMEOUT - 0.001)
    assert (await bench.use(session.id)).id == session.id


@pytest.mark.parametrize("operation", ["use", "close"])
@pytest_twisted.ensureDeferred
async def test_all_the_ways_to_have_no_session_read_the_same(bench: Bench, operation: str) -> None:
    """Our choice, from hijacking advisories: a guess must not learn whether an id exists."""
    others, closed, anonymous = await bench.create("alice"), await bench.create("bob"), await bench.create()
    await bench.close(closed.id, "bob")
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
    # Every node is asked: one of them may know more of it than the others.
    refusals = [
        await refusal_of(attempt(bench, operation, session_id, principal))
        for session_id, principal in attempts
        for _ in range(2)
    ]
    bench.advance(TIMEOUT)
    for _ in range(2):
        refusals.append(await refusal_of(attempt(bench, operation, others.id, "alice")))
    assert len({(each.message, each.code, each.status, repr(each.data)) for each in refusals}) == 1


@pytest_twisted.ensureDeferred
async def test_a_stranger_s_attempt_is_no_activity(bench: Bench) -> None:
    """Our choice: nobody keeps another's session alive, or ends it."""
    session = await bench.create("alice")
    bench.advance(TIMEOUT - 1)
    for operation in ("use", "close"):
        for _ in range(2):
            await refusal_of(attempt(bench, operation, session.id, "bob"))
    bench.advance(0.5)
    assert (await bench.use(session.id, "alice")).id == session.id
    bench.advance(TIMEOUT - 1)
    await refusal_of(bench.use(session.id, "bob"))
    bench.advance(1)
    await refusal_of(bench.use(session.id, "alice"))


@pytest_twisted.ensureDeferred
async def test_the_limit_is_exact_and_a_refusal_leaves_nothing(bench: Bench) -> None:
    """Our choice: MCP_MAX_SESSIONS sessions may live, not one more; a refused one counts as refused only."""
    living = {(await bench.create()).id for _ in range(LIMIT)}
    for refusals in (1, 2):
        await refusal_of(bench.create(), TooManySessions)
        assert bench.statistics["refused"] == refusals
    assert await bench.living() == living
    assert await bench.counts() == (LIMIT, 0)
    assert bench.statistics["created"] == LIMIT
    assert bench.endings == []


@pytest_twisted.ensureDeferred
async def test_the_limit_is_exact_however_many_ask_at_once(bench: Bench) -> None:
    """Our choice: MCP_MAX_SESSIONS holds for all who share the sessions together."""

    def make(store: SessionStore) -> bool:
        try:
            session_in(store, None, REVISION, CLIENT)
        except TooManySessions:
            return False
        return True

    assert sum(await bench.together([make] * 12)) == LIMIT
    assert await bench.counts() == (LIMIT, 0)
    assert (bench.statistics["created"], bench.statistics["refused"]) == (LIMIT, 12 - LIMIT)


@pytest.mark.parametrize(("idle", "seconds"), [(0, 60), (30, 31), (59.5, 1)])
@pytest_twisted.ensureDeferred
async def test_a_refusal_says_when_there_may_be_room(bench: Bench, idle: float, seconds: int) -> None:
    """RFC 9110 section 10.2.3: Retry-After, in whole seconds; our choice: a minute at most."""
    await bench.create()
    bench.advance(idle)
    for _ in range(LIMIT - 1):
        await bench.create()
    refusal = await refusal_of(bench.create(), TooManySessions)
    assert refusal.headers == {"Retry-After": str(seconds)}
    assert str(LIMIT) in refusal.message


@pytest_twisted.ensureDeferred
async def test_an_expired_session_makes_room_before_the_sweep(bench: Bench) -> None:
    """Our choice: a place is free from the moment its session has expired."""
    first = await bench.create()
    bench.advance(TIMEOUT / 2)
    rest = {(await bench.create()).id for _ in range(LIMIT - 1)}
    bench.advance(TIMEOUT / 2)
    new = await bench.create()
    assert await bench.living() == {new.id, *rest}
    if isinstance(bench, Memory):
        assert bench.endings == [(first.id, "expired")]
    await bench.sweep()
    assert bench.endings == [(first.id, "expired")]


@pytest_twisted.ensureDeferred
async def test_closing_makes_room(bench: Bench) -> None:
    """2025-11-25 basic/transports, Session Management: DELETE ends a session."""
    sessions = [await bench.create() for _ in range(LIMIT)]
    await bench.close(sessions[0].id)
    for _ in range(2):
        await refusal_of(bench.use(sessions[0].id))
    await bench.create()
    assert bench.endings == [(sessions[0].id, "closed")]


@pytest_twisted.ensureDeferred
async def test_the_sweep_ends_what_has_expired_and_nothing_else(bench: Bench) -> None:
    """Our choice: idle sessions are reclaimed without anyone asking for them."""
    kept, idle, also_idle = [await bench.create() for _ in range(3)]
    bench.advance(TIMEOUT - 1)
    await bench.use(kept.id)
    bench.advance(1)
    assert await bench.sweep() == 2
    assert await bench.living() == {kept.id}
    assert sorted(bench.endings) == sorted([(idle.id, "expired"), (also_idle.id, "expired")])
    assert await bench.sweep() == 0


@pytest_twisted.ensureDeferred
async def test_the_statistics_tell_what_happened(bench: Bench) -> None:
    """healthProbe and /health show them: every figure is counted where the thing happens."""
    closed, swept, found_expired = [await bench.create() for _ in range(3)]
    assert {store.statistics.average_lifetime for store in bench.stores} == {None}
    assert {(each.statistics.sweeps, each.statistics.last_sweep) for each in bench.stores} == {(0, None)}
    bench.advance(10)
    await bench.close(closed.id)
    await bench.use(swept.id)
    bench.advance(50)
    await refusal_of(bench.use(found_expired.id))
    bench.advance(10)
    await bench.sweep()
    statistics = bench.statistics
    assert [statistics[name] for name in ("created", "expired", "closed", "refused")] == [3, 2, 1, 0]
    assert {(each.statistics.sweeps, each.statistics.last_sweep) for each in bench.stores} == {
        (1, bench.time)
    }
    assert statistics["lifetime_seconds"] == 10 + 60 + 70
    if isinstance(bench, Memory):
        assert bench.store.statistics.average_lifetime == 140 / 3


@pytest_twisted.ensureDeferred
async def test_a_life_that_ended_by_itself_is_counted(bench: Bench) -> None:
    """Our choice: to the moment when it was found over; an engine knows when it was over."""
    await bench.create()
    bench.advance(TIMEOUT + 5)
    await bench.sweep()
    assert bench.statistics["lifetime_seconds"] == (TIMEOUT if isinstance(bench, Shared) else TIMEOUT + 5)


@pytest_twisted.ensureDeferred
async def test_an_ending_ends_the_streams_before_it_is_told_of(bench: Bench) -> None:
    """Our choice: whoever hears of an ending sees it finished."""
    session = await bench.create()
    bench.watched = await bench.listen(session.id, node=0)
    await bench.close(session.id, node=0)
    await bench.settle()
    assert bench.seen_at_the_endings == [(True, 0)]
    assert bench.endings == [(session.id, "closed")]


@pytest_twisted.ensureDeferred
async def test_an_ending_ends_the_streams_wherever_they_are_read(bench: Bench) -> None:
    """2025-11-25 basic/transports, Session Management; our promise: on whichever node the DELETE comes in."""
    session = await bench.create()
    reader = await bench.listen(session.id, node=0)
    assert reader is not None
    await bench.close(session.id, node=1)
    await until(lambda: not reader.open)


@pytest_twisted.ensureDeferred
async def test_an_expiry_ends_the_streams(bench: Bench) -> None:
    """Our choice: a stream does not keep its session alive, wherever it is read."""
    session = await bench.create()
    readers = [await bench.listen(session.id), await bench.listen(session.id)]
    bench.advance(TIMEOUT)
    await bench.sweep()
    assert [reader is not None and reader.open for reader in readers] == [False, False]
    assert bench.endings == [(session.id, "expired")]


@pytest_twisted.ensureDeferred
async def test_the_limits_can_be_read(bench: Bench) -> None:
    """The tools show them."""
    assert {(store.timeout, store.limit) for store in bench.stores} == {(TIMEOUT, LIMIT)}


@pytest_twisted.ensureDeferred
async def test_a_principal_has_only_so_many_sessions_and_handles(bench: Bench) -> None:
    """Our choice: one principal must not take every place; the refusal is its own, with 429 and the time
    until its first session may have expired."""
    first = await bench.create("alice")
    bench.advance(10)
    await bench.create_handle("alice", timeout=30)
    for make in (bench.create, bench.create_handle):
        refusal = await refusal_of(make("alice"), TooManySessionsForPrincipal)
        assert (refusal.status, refusal.headers) == (429, {"Retry-After": "31"})
        assert str(OWN_LIMIT) in refusal.message
    assert (bench.statistics["refused_to_principals"], bench.statistics["refused"]) == (2, 0)
    await bench.create("bob")
    await bench.close(first.id, "alice")
    assert (await bench.create("alice")).principal == "alice"


@pytest_twisted.ensureDeferred
async def test_an_address_has_only_so_many_where_no_principal_is_known(bench: Bench) -> None:
    """Our choice: one address must not take every place; who is known by name does not count there."""
    await bench.create(address="10.0.0.1")
    bench.advance(10)
    await bench.create_handle(timeout=30, address="10.0.0.1")
    for make in (bench.create, bench.create_handle):
        refusal = await refusal_of(make(address="10.0.0.1"), TooManySessionsForAddress)
        assert (refusal.status, refusal.headers) == (429, {"Retry-After": "31"})
        assert f"{ADDRESS_LIMIT} sessions" in refusal.message
    assert (bench.statistics["refused_to_addresses"], bench.statistics["refused"]) == (2, 0)
    await bench.create("alice", address="10.0.0.1")
    await refusal_of(bench.create(address="10.0.0.2"), TooManySessions)


@with_sizes(limit=6, limit_per_principal=2, limit_per_address=2)
@pytest.mark.parametrize("whose", [{"principal": "alice"}, {"address": "2001:db8::1"}])
@pytest_twisted.ensureDeferred
async def test_in_a_full_share_the_oldest_never_used_session_gives_way(
    bench: Bench, whose: dict[str, str]
) -> None:
    """Our choice: a client that makes one session after the other pushes out its own alone; the first refusal
    is of one that has used all of them."""
    other = await bench.create("bob", used=False)
    first, second = [await bench.create(**whose, used=False) for _ in range(2)]
    bench.advance(5)
    await bench.use(second.id, whose.get("principal"), notice=True)
    third = await bench.create(**whose, used=False)
    assert await bench.living() == {other.id, second.id, third.id}
    await refusal_of(bench.use(first.id, whose.get("principal")))
    for session in (second, third):
        await bench.use(session.id, whose.get("principal"))
    await refusal_of(bench.create(**whose), TooManySessionsForHolder)
    await bench.sweep()
    await bench.settle()
    assert bench.endings == [(first.id, "displaced")]
    assert [bench.statistics[each] for each in ("created", "displaced", "lifetime_seconds")] == [4, 1, 5]


@with_sizes(limit=4)
@pytest_twisted.ensureDeferred
async def test_in_a_full_store_the_holder_that_has_most_gives_way(bench: Bench) -> None:
    """Our choice: whoever comes for the first time finds room as long as some session was never used."""
    flood = [await bench.create(address="10.0.0.1", used=False) for _ in range(2)]
    (other,) = [await bench.create(address="10.0.0.2", used=False)]
    await bench.create_handle(address="10.0.0.3", used=False)
    new = await bench.create(address="10.0.0.4", used=False)
    assert flood[0].id not in await bench.living()
    assert {flood[1].id, other.id, new.id} <= await bench.living()
    for session in (flood[1], other, new):
        await bench.use(session.id)
    last = await bench.create(address="10.0.0.5")
    await refusal_of(bench.create(address="10.0.0.6"), TooManySessions)
    assert await bench.living() == {flood[1].id, other.id, new.id, last.id}
    assert bench.statistics["refused"] == 1


@pytest.mark.parametrize("kind", ["a request", "work that goes on", "a stream"])
@with_sizes(limit=2)
@pytest_twisted.ensureDeferred
async def test_a_session_that_is_in_use_gives_way_to_none(bench: Bench, kind: str) -> None:
    """Our choice: only what nobody has used ends without loss."""
    made = await bench.create(address="10.0.0.1", used=False)
    if kind == "a request":
        await bench.use(made.id)
    elif kind == "work that goes on":
        await bench.use(made.id, notice=True, then=lambda session: session.expect_work())
    else:
        await bench.listen(made.id)
    for _ in range(3):
        await bench.create(address="10.0.0.1", used=False)
    assert made.id in await bench.living()


@pytest_twisted.ensureDeferred
async def test_who_is_nobody_in_particular_has_no_share(bench: Bench) -> None:
    """Our choice: what has neither a principal nor an address is bounded by MCP_MAX_SESSIONS alone."""
    for _ in range(LIMIT):
        await bench.create(None, used=False)
    await refusal_of(bench.create(None), TooManySessions)


@pytest_twisted.ensureDeferred
async def test_what_has_expired_takes_no_place_of_its_principal_s(bench: Bench) -> None:
    """Our choice: room is there before the sweep comes."""
    await bench.create_handle("alice", timeout=5)
    kept = await bench.create("alice")
    bench.advance(5)
    made = await bench.create("alice")
    assert await bench.living() == {kept.id, made.id}


@pytest_twisted.ensureDeferred
async def test_a_principal_that_is_gone_leaves_nothing_behind(bench: Bench) -> None:
    """Our choice: names are many, and each place they took is free again, however their sessions ended."""
    for _ in range(20):
        await bench.create("alice")
        closed = await bench.create_handle("alice")
        await bench.close(closed.id, "alice", handle=True)
        bench.advance(TIMEOUT)
        await bench.sweep()
    assert await bench.living() == set()
    for _ in range(OWN_LIMIT):
        await bench.create("alice")


def told(store: SessionStore, principal: str | None) -> tuple[int, int]:
    """Return what a caller is told of its sessions: how many it has, and how many it may have."""
    share = store.share(principal, "10.0.0.1")
    return share.held, share.most


def told_after_one_more(store: SessionStore, principal: str | None) -> tuple[int, int]:
    """Return what a caller is told in the request that makes another session of its."""
    session_in(store, principal, REVISION, CLIENT, "10.0.0.1")
    return told(store, principal)


@pytest.mark.parametrize("principal", ["alice", None])
@pytest_twisted.ensureDeferred
async def test_a_caller_s_share_is_what_it_has_now(bench: Bench, principal: str | None) -> None:
    """Interface, SessionStore.share: sessions and handles of the principal, or else of the address."""

    async def share() -> tuple[int, int]:
        return await bench.perform(lambda store: told(store, principal))

    most = OWN_LIMIT if principal else ADDRESS_LIMIT
    assert await share() == (0, most)
    await bench.create("bob", address="10.0.0.1")
    made = await bench.create(principal, address="10.0.0.1")
    assert await share() == (1, most)
    await bench.create_handle(principal, timeout=5, address="10.0.0.1")
    assert await share() == (2, most)
    await bench.close(made.id, principal)
    assert await share() == (1, most)
    bench.advance(5)
    assert await share() == (0, most)


@pytest.mark.parametrize("principal", ["alice", None])
@pytest_twisted.ensureDeferred
async def test_a_share_tells_what_the_request_itself_has_done(bench: Bench, principal: str | None) -> None:
    """Our choice: a session that is made for a call counts in what the call is told."""
    handle = await bench.create_handle(principal, address="10.0.0.1", used=False)

    def work(store: SessionStore) -> list[int]:
        def held() -> int:
            return store.share(principal, "10.0.0.1").held

        seen = [held()]
        session_in(store, "bob", REVISION, CLIENT, "10.0.0.1")
        seen.append(held())
        session_in(store, principal, REVISION, CLIENT, "10.0.0.1")
        seen.append(held())
        store.close(handle.id, principal, handle=True)
        seen.append(held())
        return seen

    assert await bench.perform(work) == [1, 1, 2, 1]
    assert (await bench.perform(lambda store: store.share(principal, "10.0.0.1"))).held == 1


@pytest.mark.parametrize("principal", ["alice", None])
@pytest_twisted.ensureDeferred
async def test_a_full_share_is_no_more_than_full(bench: Bench, principal: str | None) -> None:
    """Our choice: one's oldest unused session gives way, so that one has not one more than one may."""
    for _ in range(2):
        await bench.create(principal, address="10.0.0.1", used=False)

    assert await bench.perform(lambda store: told_after_one_more(store, principal)) == (2, 2)
    assert await bench.perform(lambda store: told(store, principal)) == (2, 2)


@with_sizes(limit=2, limit_per_principal=9, limit_per_address=9)
@pytest.mark.parametrize("principal", ["alice", None])
@pytest_twisted.ensureDeferred
async def test_a_share_is_no_larger_than_the_store(bench: Bench, principal: str | None) -> None:
    """Our choice: nobody is told of room that is not there."""
    for _ in range(2):
        await bench.create(principal, address="10.0.0.1", used=False)

    assert await bench.perform(lambda store: told_after_one_more(store, principal)) == (2, 2)


# What they hold.


@pytest_twisted.ensureDeferred
async def test_the_budget_counts_what_the_sessions_hold(bench: Bench) -> None:
    """healthProbe shows the sums, and MCP_ECHO_MAX_STATE_BYTES bounds them."""
    session, handle = await bench.create(), await bench.create_handle()
    await bench.queue(session.id, b"12345")
    await bench.use(handle.id, handle=True, then=echo)
    size = Echo("hello").size
    held = await bench.holdings()
    assert (held.queues, held.waiting, held.echoes) == (5, 1, size)
    assert held.storage > held.echoes
    assert {store.budget.used for store in bench.stores} == {5 + size}
    await bench.close(handle.id, handle=True)
    held = await bench.holdings()
    assert (held.queues, held.echoes) == (5, 0)
    bench.advance(TIMEOUT)
    await bench.sweep()
    assert await bench.holdings() == Holdings(0, 0, 0, 0)
    assert {store.budget.used for store in bench.stores} == {0}


@pytest.mark.parametrize("ending", ["close", "expire", "make room", "replace"])
@pytest_twisted.ensureDeferred
async def test_the_sums_are_exact_after_every_kind_of_ending(bench: Bench, ending: str) -> None:
    """Our choice: what is counted once is taken off once, however it goes."""
    session = await bench.create()
    await bench.use(session.id, then=lambda session: session.remember_echo(Echo("x" * 99)))
    await bench.queue(session.id, b"1", b"22", b"333")
    if ending == "close":
        await bench.close(session.id)
    elif ending == "replace":
        await bench.use(session.id, then=lambda session: session.remember_echo(Echo("é", "YQ==", "a/b")))
        held = await bench.holdings()
        assert held[1:] == (Echo("é", "YQ==", "a/b").size, 6, 3)
        await bench.close(session.id)
    else:
        bench.advance(TIMEOUT)
    if ending == "make room":
        rest = [await bench.create() for _ in range(LIMIT)]
        for each in rest:
            await bench.close(each.id)
    await bench.sweep()
    assert await bench.holdings() == Holdings(0, 0, 0, 0)
    assert await bench.counts() == (0, 0)
    assert len(bench.endings) == bench.statistics["created"]


@pytest_twisted.ensureDeferred
async def test_what_there_is_no_room_for_is_not_kept_and_counted(bench: Bench) -> None:
    """Our choice: MCP_ECHO_MAX_STATE_BYTES bounds what all sessions hold together; the session goes on."""
    session = await bench.create()
    await bench.use(session.id, then=echo)
    refused = await bench.use(session.id, then=lambda session: session.remember_echo(Echo("x" * MAX_BYTES)))
    assert refused is None
    seen = await bench.use(session.id)
    assert (seen.echo_count, seen.last_echo) == (2, None)
    assert (await bench.holdings()).echoes == 0
    assert bench.losses["echoes_refused"] == 1
    await bench.queue(session.id, b"x" * (BOUNDS.bytes + 1))
    seen = await bench.use(session.id)
    assert (seen.messages, seen.pending, seen.dropped) == ([], 0, 1)
    assert (bench.losses["messages_dropped"], bench.losses["messages_too_large"]) == (1, 1)
    room = MAX_BYTES - Echo("").size - 10
    await bench.use(session.id, then=lambda session: session.remember_echo(Echo("x" * room)))
    await bench.holdings()
    await bench.queue(session.id, b"0123456789", b"-")
    seen = await bench.use(session.id)
    assert (seen.messages, seen.dropped) == ([b"-"], 2)
    assert (await bench.holdings()).queues == 1


# What a session remembers.


@pytest_twisted.ensureDeferred
async def test_counters_and_the_last_echo_last_from_use_to_use(bench: Bench) -> None:
    """replayLastEcho and sessionInfo show them, on whichever node."""
    session = await bench.create()
    for number in range(1, 5):
        await bench.use(
            session.id, then=lambda session, n=number: session.remember_echo(Echo(f"echo {n}", "YQ==", "a/b"))
        )

    def replay(session: Session) -> Echo | None:
        session.record.replay_count += 1
        return session.last_echo

    for _ in range(3):
        replayed = await bench.use(session.id, then=replay)
        assert replayed is not None
        assert (replayed.message, replayed.data, replayed.mime_type) == ("echo 4", "YQ==", "a/b")
    seen = await bench.use(session.id)
    assert (seen.echo_count, seen.replay_count) == (4, 3)
    assert seen.last_echo == ("echo 4", "YQ==", "a/b")


@pytest_twisted.ensureDeferred
async def test_everything_that_is_known_of_a_session_lasts(bench: Bench) -> None:
    """Design of the interface: nothing that a request has learned is forgotten before the next."""
    client = Client("ünï", None, {"a": {"b": [1, 2.5, None, True, "é"]}, "elicitation": {}})
    made = await bench.perform(lambda store: look(session_in(store, "al/ice é", REVISION, client)))

    def learn(session: Session) -> Seen:
        session.record.initialized = True
        session.record.requests += 3
        session.record.log_level = "warning"
        session.record.subscriptions = frozenset({"echo://a", "echo://é"})
        session.answered(0.25)
        session.answered(0.5)
        return look(session)

    learned = await bench.use(made.id, "al/ice é", then=learn)
    assert learned == made._replace(
        initialized=True,
        requests=3,
        log_level="warning",
        subscriptions=frozenset({"echo://a", "echo://é"}),
        responses=2,
        response_seconds=0.75,
    )
    for _ in range(2):
        assert await bench.use(made.id, "al/ice é") == learned
    assert learned.client == ("ünï", None, client.capabilities)


TEXTS = ["", "é" * 300, "\x00\x7f\x1f", "\u2028 \U0001f600", "x" * 1500, "\N{BYTE ORDER MARK}"]


def new(text: str) -> str:
    """Return an equal text that nobody has used yet."""
    return json.loads(json.dumps(text))  # type: ignore[no-any-return]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
@pytest_twisted.ensureDeferred
async def test_any_text_is_echoed_as_it_is_and_counted_alike(bench: Bench, text: str) -> None:
    """Our choice: what is echoed comes back unchanged; its size is the same wherever it is counted."""
    session = await bench.create()
    # Python makes a text larger when it is first encoded: each is a new one, as requests have them.
    size = Echo(new(text), None, new(text)).size
    made = Echo(new(text), None, new(text))
    await bench.use(session.id, then=lambda session: session.remember_echo(made))
    for _ in range(2):
        seen = await bench.use(session.id)
        assert (seen.last_echo, seen.echo_size) == ((text, None, text), size)
    assert (await bench.holdings()).echoes == size


@pytest_twisted.ensureDeferred
async def test_what_one_request_has_changed_the_next_one_sees(bench: Bench) -> None:
    """Our promise: an answer says what is so, on whichever node the next request comes in."""
    session, other = await bench.create(), await bench.create("alice")

    def work(store: SessionStore) -> None:
        first, second = store.use(session.id, None), store.use(other.id, "alice")
        assert store.use(session.id, None) is first
        echo(first)
        echo(second)
        first.log.queue(b"1")
        assert first.log.messages == [b"1"]

    await bench.perform(work)
    for _ in range(2):
        seen = await bench.use(session.id)
        assert (seen.echo_count, seen.messages) == (1, [b"1"])
        assert (await bench.use(other.id, "alice")).echo_count == 1


@pytest_twisted.ensureDeferred
async def test_what_a_refused_request_had_changed_stays(bench: Bench) -> None:
    """Our choice: a request that fails has been made all the same, and counts."""
    session = await bench.create()

    def work(store: SessionStore) -> None:
        store.use(session.id, None).record.requests += 1
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        await bench.perform(work)
    assert (await bench.use(session.id)).requests == 1


@with_sizes(limit=50)
@pytest_twisted.ensureDeferred
async def test_counts_are_exact_however_many_count_at_once(bench: Bench) -> None:
    """Our promise: each answer says a number of echoes that no other one says."""
    session, handle = await bench.create(), await bench.create_handle()

    def work(store: SessionStore) -> tuple[int, int]:
        return echo(store.use(session.id, None)), echo(store.use(handle.id, None, handle=True))

    counts = await bench.together([work] * 30)
    # The answer is about what was used last; of what was used beside it, the sum is right in the end.
    assert sorted(second for _, second in counts) == list(range(1, 31))
    if isinstance(bench, Memory):
        assert sorted(first for first, _ in counts) == list(range(1, 31))
    assert (await bench.use(session.id)).echo_count == 30
    assert (await bench.use(handle.id, handle=True)).echo_count == 30
    assert (await bench.holdings()).echoes == 2 * Echo("hello").size


@with_sizes(bounds=Bounds(1000, 100_000))
@pytest_twisted.ensureDeferred
async def test_no_message_is_lost_or_doubled_however_many_come_at_once(bench: Bench) -> None:
    """2025-11-25 basic/transports, Multiple Connections; our promise: from whichever node they come."""
    session = await bench.create()
    reader = await bench.listen(session.id)

    def sender(number: int) -> Callable[[SessionStore], None]:
        return lambda store: store.use(session.id, None).log.queue(b"%d" % number)

    await bench.together([sender(number) for number in range(30)])
    await until(lambda: len(texts(reader)) == 30)
    assert sorted(texts(reader)) == sorted(b"%d" % number for number in range(30))
    assert reader is not None
    assert len({event_id for event_id, _ in reader.got}) == 30
    assert (await bench.use(session.id)).messages == texts(reader)


# The queue.


@pytest_twisted.ensureDeferred
async def test_what_is_queued_waits_in_order_for_who_listens(bench: Bench) -> None:
    """2025-11-25 basic/transports, Listening for Messages; seed: a queue of its own for each session."""
    session, other = await bench.create(), await bench.create()
    for number in range(4):
        await bench.queue(session.id, b"%d" % number)
    await bench.queue(other.id, b"other")
    seen = await bench.use(session.id)
    assert (seen.messages, seen.pending) == ([b"0", b"1", b"2", b"3"], 4)
    assert (seen.dropped, seen.queue_bytes) == (0, 4)
    reader = await bench.listen(session.id)
    assert reader is not None
    assert texts(reader) == [b"0", b"1", b"2", b"3"]
    numbers = [int(event_id.partition("-")[2]) for event_id, _ in reader.got]
    assert numbers == sorted(set(numbers))
    assert {event_id.partition("-")[0] for event_id, _ in reader.got} == {reader.stream.tag}
    await bench.settle()
    seen = await bench.use(session.id)
    assert (seen.pending, seen.dropped, seen.messages) == (0, 0, [b"0", b"1", b"2", b"3"])
    assert (await bench.holdings())[2:] == (4 + 5, 1)


@pytest_twisted.ensureDeferred
async def test_who_listens_gets_what_comes(bench: Bench) -> None:
    """2025-11-25 basic/transports, Listening for Messages; our promise: from whichever node it comes."""
    session = await bench.create()
    reader = await bench.listen(session.id)
    for number in range(4):
        await bench.queue(session.id, b"%d" % number)
    await until(lambda: len(texts(reader)) == 4)
    assert texts(reader) == [b"0", b"1", b"2", b"3"]


@pytest_twisted.ensureDeferred
async def test_each_message_goes_out_on_one_stream(bench: Bench) -> None:
    """2025-11-25 basic/transports, Multiple Connections: MUST send each message on only one stream."""
    session = await bench.create()
    readers = [await bench.listen(session.id, node=place) for place in (0, 1, 0)]
    for number in range(6):
        await bench.queue(session.id, b"%d" % number)
    await bench.settle()
    assert sorted(text for reader in readers for text in texts(reader)) == [b"%d" % n for n in range(6)]
    assert (await bench.use(session.id)).open_streams == 3


@pytest_twisted.ensureDeferred
async def test_a_lost_connection_s_rest_goes_to_the_next_before_what_came_later(bench: Bench) -> None:
    """Our promise: nothing is lost with a connection, and the order stays."""
    session = await bench.create()
    first = await bench.listen(session.id)
    assert first is not None
    await bench.queue(session.id, b"1")
    await bench.settle()
    first.paused = True
    await bench.queue(session.id, b"2", b"3")
    await bench.settle()
    first.drop()
    await bench.settle()
    await bench.queue(session.id, b"4")
    assert (await bench.use(session.id)).pending == 3
    assert texts(first) == [b"1"]
    assert texts(await bench.listen(session.id)) == [b"2", b"3", b"4"]


@pytest_twisted.ensureDeferred
async def test_a_client_that_comes_back_gets_what_followed_what_it_has_seen(bench: Bench) -> None:
    """2025-11-25 basic/transports, Resumability and Redelivery: after the last event id, on that stream."""
    session = await bench.create()
    first = await bench.listen(session.id)
    assert first is not None
    for number in range(3):
        await bench.queue(session.id, b"%d" % number)
    await bench.settle()
    first.drop()
    await bench.settle()
    for place, (event_id, _) in enumerate(first.got):
        back = await bench.listen(session.id, event_id)
        assert back is not None
        assert back.got == first.got[place + 1 :]
        back.drop()
        await bench.settle()
    again = await bench.listen(session.id, first.got[0][0])
    await bench.queue(session.id, b"new")
    await until(lambda: texts(again) == [b"1", b"2", b"new"])


@pytest_twisted.ensureDeferred
async def test_who_comes_back_replaces_the_connection_that_was_there(bench: Bench) -> None:
    """Our choice: a client that reconnects is believed before its old connection is known to be dead."""
    session = await bench.create()
    for there in range(2):
        old = await bench.listen(session.id, node=there)
        assert old is not None
        await bench.queue(session.id, b"1", node=there)
        await bench.settle()
        assert texts(old) == [b"1"]
        new = await bench.listen(session.id, old.got[-1][0], node=1)
        await bench.settle()
        assert not old.open
        await bench.queue(session.id, b"2", node=there)
        await bench.settle()
        assert (texts(old), texts(new)) == ([b"1"], [b"2"])
        assert new is not None
        new.drop()
        await bench.settle()


UNKNOWN_EVENTS = [
    "",
    "g1",
    "g9-1",
    "r1-1",
    "g1-1\n",
    "g-1",
    "1",
    "g1-" + "9" * 20,
    "g\N{ARABIC-INDIC DIGIT ONE}-1",
]


@pytest_twisted.ensureDeferred
async def test_an_event_id_that_is_none_finds_nothing(bench: Bench) -> None:
    """Our choice: what a client makes up is no stream."""
    session = await bench.create()
    await bench.listen(session.id)
    for event_id in UNKNOWN_EVENTS:
        found = await bench.use(
            session.id, then=lambda session, event_id=event_id: session.log.find(event_id)
        )
        assert found is None, event_id
        assert await bench.listen(session.id, event_id) is None, event_id


@pytest_twisted.ensureDeferred
async def test_an_event_of_another_session_finds_nothing_of_its(bench: Bench) -> None:
    """2025-11-25 basic/transports, Resumability: MUST NOT replay messages of a different stream."""
    session, other = await bench.create(), await bench.create()
    reader = await bench.listen(other.id)
    assert reader is not None
    await bench.queue(other.id, b"secret", b"secret too")
    await bench.settle()
    assert await bench.listen(session.id, reader.got[0][0]) is None


@pytest_twisted.ensureDeferred
async def test_an_answer_s_stream_carries_its_own_messages_alone(bench: Bench) -> None:
    """2025-11-25 basic/transports, Multiple Connections and Resumability; our promise: the rest of an answer
    is there for a client that comes back for it, on any node."""
    session = await bench.create()

    def answer(store: SessionStore) -> Reader:
        log = store.use(session.id, None).log
        stream = log.answer()
        reader = Reader(log, stream)
        log.queue(b"queued")
        log.append(stream, b"one")
        log.append(stream, b"two")
        bench.after(store, reader.start)
        return reader

    reader = await bench.perform(answer, node=0)
    assert texts(reader) == [b"one", b"two"]
    # Work that goes on after the request.
    reader.drop()
    reader.log.append(reader.stream, b"three")
    reader.log.end(reader.stream)
    await bench.settle()
    listener = await bench.listen(session.id, node=1)
    assert texts(listener) == [b"queued"]
    back = await bench.listen(session.id, reader.got[0][0], node=1)
    assert back is not None
    assert texts(back) == [b"two", b"three"]
    assert not back.open


@pytest.mark.parametrize("late", [False, True])
@pytest_twisted.ensureDeferred
async def test_what_is_too_large_to_be_kept_reaches_the_connection_that_waits_for_it(
    bench: Bench, late: bool
) -> None:
    """Our choice: bounds are for what nobody reads; an answer gets to its client whatever its size, in its
    place, and also when work goes on after the request."""
    session = await bench.create()
    messages = [b"one", b"x" * (BOUNDS.bytes + 1), b"two", b"y" * (BOUNDS.bytes + 1)]

    def answer(store: SessionStore) -> Reader:
        log = store.use(session.id, None).log
        reader = Reader(log, log.answer())
        bench.after(store, reader.start)
        if not late:
            append(reader)
        return reader

    def append(reader: Reader) -> None:
        for message in messages:
            reader.log.append(reader.stream, message)
        reader.log.end(reader.stream)

    reader = await bench.perform(answer)
    if late:
        append(reader)
    await until(lambda: not reader.open)
    assert texts(reader) == messages
    assert (await bench.use(session.id)).dropped == 0
    assert bench.losses["messages_dropped"] == 0


MANY = [b"%d" % number for number in range(5 * BOUNDS.messages)]
"""More messages than a queue holds."""


@pytest.mark.parametrize("late", [False, True])
@pytest_twisted.ensureDeferred
async def test_an_answer_of_more_than_a_queue_holds_reaches_its_connection_after_a_pause(
    bench: Bench, late: bool
) -> None:
    """Our promise: every request has its answer; the bounds say only what can be resumed."""
    session = await bench.create()

    def answer(store: SessionStore) -> Reader:
        log = store.use(session.id, None).log
        reader = Reader(log, log.answer())
        reader.paused = True
        bench.after(store, reader.start)
        if not late:
            append(reader)
        return reader

    def append(reader: Reader) -> None:
        for message in MANY:
            reader.log.append(reader.stream, message)
        reader.log.end(reader.stream)

    reader = await bench.perform(answer, node=0)
    if late:
        append(reader)
    await bench.settle()
    assert len((await bench.use(session.id)).messages) <= BOUNDS.messages
    reader.paused = False
    reader.wake()
    assert (texts(reader), reader.open) == (MANY, False)
    assert (await bench.use(session.id)).dropped == 0
    assert bench.losses["messages_dropped"] == 0


@pytest.mark.parametrize("node", [0, 1])
@pytest_twisted.ensureDeferred
async def test_what_one_request_brings_reaches_who_listens_though_a_queue_holds_less(
    bench: Bench, node: int
) -> None:
    """Our promise: no connection can read before the request is done, on whichever node it is."""
    session = await bench.create()
    reader = await bench.listen(session.id, node=0, paused=True)
    assert reader is not None

    def work(store: SessionStore) -> None:
        log = store.use(session.id, None).log
        with log.burst():
            for message in MANY:
                log.queue(message)

    await bench.perform(work, node=node)
    await bench.settle()
    # A request that brings nothing pushes nothing out.
    await bench.use(session.id, node=0)
    await bench.settle()
    reader.paused = False
    reader.wake()
    await until(lambda: len(texts(reader)) == len(MANY))
    assert texts(reader) == MANY
    # What the connection has taken is known a little later, and the log is within its bounds from then on.
    await bench.settle()
    seen = await bench.use(session.id)
    assert (len(seen.messages) <= BOUNDS.messages, seen.dropped) == (True, 0)


@pytest_twisted.ensureDeferred
async def test_a_late_answer_larger_than_a_queue_reaches_a_client_that_came_back_elsewhere(
    bench: Bench,
) -> None:
    """2025-11-25 basic/transports, Resumability; our promise: on whichever node."""
    session = await bench.create()

    def answer(store: SessionStore) -> Reader:
        log = store.use(session.id, None).log
        reader = Reader(log, log.answer())
        log.append(reader.stream, b"first")
        bench.after(store, reader.start)
        return reader

    reader = await bench.perform(answer, node=0)
    assert texts(reader) == [b"first"]
    reader.drop()
    await bench.settle()
    back = await bench.listen(session.id, reader.got[0][0], node=1)
    assert back is not None
    await bench.settle()
    large = b"x" * (3 * BOUNDS.bytes)
    reader.log.append(reader.stream, large)
    reader.log.end(reader.stream)
    await until(lambda: not back.open)
    assert texts(back) == [large]
    assert (await bench.use(session.id)).dropped == 0


@pytest_twisted.ensureDeferred
async def test_a_connection_that_takes_over_gets_what_only_waited_for_the_one_before(bench: Bench) -> None:
    """2025-11-25 basic/transports, Resumability: what was never written is due to whoever comes back."""
    session = await bench.create()

    def answer(store: SessionStore) -> Reader:
        log = store.use(session.id, None).log
        reader = Reader(log, log.answer())
        reader.paused = True
        bench.after(store, reader.start)
        log.append(reader.stream, b"x" * (BOUNDS.bytes + 1))
        log.append(reader.stream, b"last")
        return reader

    reader = await bench.perform(answer, node=0)
    back = await bench.listen(session.id, f"{reader.stream.tag}-0", node=0)
    assert [len(text) for text in texts(back)] == [BOUNDS.bytes + 1, 4]
    assert (reader.open, texts(reader)) == (False, [])


@pytest_twisted.ensureDeferred
async def test_what_is_lost_with_a_connection_is_counted_and_told_to_who_comes_back(bench: Bench) -> None:
    """Our promise: nothing is lost silently."""
    session = await bench.create()

    def answer(store: SessionStore) -> Reader:
        log = store.use(session.id, None).log
        reader = Reader(log, log.answer())
        reader.paused = True
        bench.after(store, reader.start)
        for message in MANY:
            log.append(reader.stream, message)
        return reader

    reader = await bench.perform(answer, node=0)
    position = f"{reader.stream.tag}-0"
    reader.drop()
    await bench.settle()
    assert await bench.use(session.id, then=lambda each: each.log.has_gap(position))
    seen = await bench.use(session.id)
    assert (seen.dropped, bench.losses["messages_dropped"]) == (len(MANY) - BOUNDS.messages,) * 2
    back = await bench.listen(session.id, position)
    assert texts(back) == MANY[-BOUNDS.messages :]
    assert back is not None
    assert not await bench.use(session.id, then=lambda each: each.log.has_gap(back.got[0][0]))


@pytest_twisted.ensureDeferred
async def test_a_request_that_outlives_its_session_is_answered(bench: Bench) -> None:
    """Our promise: what was taken is answered; only what listens ends with the session."""
    session = await bench.create()

    def answer(store: SessionStore) -> Reader:
        log = store.use(session.id, None).log
        reader = Reader(log, log.answer())
        bench.after(store, reader.start)
        return reader

    reader = await bench.perform(answer, node=0)
    listening = await bench.listen(session.id, node=0)
    assert listening is not None
    await bench.perform(lambda store: store.close(session.id, None), node=0)
    await until(lambda: not listening.open)
    assert reader.open
    reader.log.append(reader.stream, b"the answer")
    reader.log.end(reader.stream)
    assert (texts(reader), reader.open) == ([b"the answer"], False)
    assert (await bench.holdings()).queues == 0


@pytest_twisted.ensureDeferred
async def test_what_is_too_large_to_be_kept_reaches_who_listens_in_its_place(bench: Bench) -> None:
    """Our choice, as for answers; our promise: from the node where the client listens."""
    session = await bench.create()
    reader = await bench.listen(session.id, node=0)
    messages = [b"one", b"x" * (BOUNDS.bytes + 1), b"two"]
    await bench.queue(session.id, *messages, node=0)
    assert texts(reader) == messages


@pytest_twisted.ensureDeferred
async def test_a_connection_that_does_not_read_holds_no_more_than_a_queue(bench: Bench) -> None:
    """Our choice: nothing is buffered without bound; what was counted as lost is not delivered later."""
    session = await bench.create()
    reader = await bench.listen(session.id, node=0)
    assert reader is not None
    reader.paused = True
    for number in range(4 * BOUNDS.messages):
        await bench.queue(session.id, b"%d" % number, node=number % 2)
    await bench.settle()
    assert len(reader.stream.unread) == BOUNDS.messages
    for _ in range(10):
        await bench.queue(session.id, b"x" * (BOUNDS.bytes + 1), node=0)
    await bench.settle()
    assert sum(len(event.data) for event in reader.stream.unread) < 3 * BOUNDS.bytes
    seen = await bench.use(session.id)
    assert seen.pending >= BOUNDS.messages
    assert seen.dropped >= 3 * BOUNDS.messages
    reader.paused = False
    reader.wake()
    assert [text for text in texts(reader) if text in seen.messages] == seen.messages
    assert len(texts(reader)) == BOUNDS.messages + 1


@pytest_twisted.ensureDeferred
async def test_what_a_connection_that_does_not_read_costs_is_counted_exactly(bench: Bench) -> None:
    """Our promise: nothing is lost silently, and nothing counted that was not lost."""
    session = await bench.create()
    reader = await bench.listen(session.id, node=0, paused=True)
    assert reader is not None
    for message in MANY:
        await bench.queue(session.id, message, node=0)
    reader.paused = False
    reader.wake()
    await bench.settle()
    lost = len(MANY) - BOUNDS.messages
    assert texts(reader) == MANY[lost:]
    assert ((await bench.use(session.id)).dropped, bench.losses["messages_dropped"]) == (lost, lost)


@pytest_twisted.ensureDeferred
async def test_the_oldest_messages_go_when_there_are_too_many(bench: Bench) -> None:
    """Seed: 100 messages, the oldest is dropped; our choice: what nobody had taken is counted."""
    session = await bench.create()
    for number in range(BOUNDS.messages + 3):
        await bench.queue(session.id, b"%d" % number)
    kept = [b"%d" % number for number in range(3, BOUNDS.messages + 3)]
    seen = await bench.use(session.id)
    assert (seen.messages, seen.pending, seen.dropped) == (kept, len(kept), 3)
    reader = await bench.listen(session.id)
    assert texts(reader) == kept
    # Other nodes hear of it a moment later.
    await bench.settle()
    await bench.queue(session.id, b"x", b"y")
    await bench.settle()
    seen = await bench.use(session.id)
    # What was taken is no loss.
    assert (seen.messages, seen.pending, seen.dropped) == ([*kept[2:], b"x", b"y"], 0, 3)
    assert (bench.losses["messages_queued"], bench.losses["messages_dropped"]) == (BOUNDS.messages + 5, 3)


@pytest_twisted.ensureDeferred
async def test_the_oldest_messages_go_when_they_are_too_large(bench: Bench) -> None:
    """Our choice: MCP_ECHO_MAX_QUEUE_BYTES bounds each queue, to the byte."""
    session = await bench.create()
    half = BOUNDS.bytes // 2
    await bench.queue(session.id, b"a" * half, b"b" * half)
    assert (await bench.use(session.id)).queue_bytes == BOUNDS.bytes
    await bench.queue(session.id, b"c")
    seen = await bench.use(session.id)
    assert (seen.messages, seen.queue_bytes, seen.dropped) == ([b"b" * half, b"c"], half + 1, 1)
    await bench.queue(session.id, b"d" * BOUNDS.bytes)
    seen = await bench.use(session.id)
    assert (seen.messages, seen.dropped) == ([b"d" * BOUNDS.bytes], 3)
    assert (await bench.holdings())[2:] == (BOUNDS.bytes, 1)
    await bench.queue(session.id, b"e" * (BOUNDS.bytes + 1))
    seen = await bench.use(session.id)
    assert (seen.messages, seen.dropped) == ([b"d" * BOUNDS.bytes], 4)


@pytest_twisted.ensureDeferred
async def test_what_was_pushed_out_is_not_replayed(bench: Bench) -> None:
    """Our choice: a client that was away for too long gets what is left, and the stream goes on."""
    session = await bench.create()
    reader = await bench.listen(session.id)
    assert reader is not None
    for number in range(BOUNDS.messages + 2):
        await bench.queue(session.id, b"%d" % number)
    await bench.settle()
    reader.drop()
    await bench.settle()
    back = await bench.listen(session.id, reader.got[0][0])
    assert texts(back) == texts(reader)[2:]


# Handles.


@pytest_twisted.ensureDeferred
async def test_handles_are_counted_among_the_living(bench: Bench) -> None:
    """Design of the interface: how many there are is known without a walk over all."""
    await bench.create()
    closed, _ = await bench.create_handle(), await bench.create_handle(timeout=5)
    assert await bench.counts() == (3, 2)
    await bench.close(closed.id, handle=True)
    assert await bench.counts() == (2, 1)
    bench.advance(5)
    await bench.sweep()
    assert await bench.counts() == (1, 0)
    bench.advance(TIMEOUT)
    await bench.sweep()
    assert await bench.counts() == (0, 0)


@pytest_twisted.ensureDeferred
async def test_a_new_handle_knows_who_made_it_and_how_long_it_lasts(bench: Bench) -> None:
    """Design of the interface: what `create_handle` is told is what the state says."""
    own, given = await bench.create_handle("alice"), await bench.create_handle("alice", 5)
    assert (given.principal, given.revision) == ("alice", MODERN_REVISION.name)
    assert given.client == (CLIENT.name, CLIENT.version, CLIENT.capabilities)
    assert (given.handle, given.label, given.timeout, own.timeout) == (True, "a label", 5, TIMEOUT)
    session = await bench.create()
    assert (session.handle, session.label, session.timeout) == (False, None, TIMEOUT)
    assert await bench.use(given.id, "alice", handle=True) == given


@pytest_twisted.ensureDeferred
async def test_handles_are_unguessable_and_no_uuids(bench: Bench) -> None:
    """2026-07-28 server/tools, Stateful Tools: without authentication a handle is all that protects the
    state; our choice: 192 bits, and a form that nobody takes for a session id."""
    handles = set()
    for _ in range(200):
        handle = (await bench.create_handle()).id
        assert re.fullmatch(r"es_[A-Za-z0-9_-]{32}", handle)
        handles.add(handle)
        await bench.close(handle, handle=True)
    assert len(handles) == 200


@pytest_twisted.ensureDeferred
async def test_a_handle_is_found_as_a_handle(bench: Bench) -> None:
    """2026-07-28 basic, Statelessness: state that spans requests is named by what the client passes on."""
    made = await bench.create_handle("alice")
    for count in range(1, 4):
        assert await bench.use(made.id, "alice", handle=True, then=echo) == count


@pytest.mark.parametrize("operation", ["use", "close"])
@pytest_twisted.ensureDeferred
async def test_a_handle_is_no_session_id_nor_the_other_way_round(bench: Bench, operation: str) -> None:
    """Our choice: handles end in the logs of chats, and must not open a protocol session, nor end one."""
    handle, session = await bench.create_handle(), await bench.create()
    bench.advance(1)
    for name, as_handle in ((handle.id, False), (session.id, True)):
        for _ in range(2):
            refusal = await refusal_of(attempt(bench, operation, name, None, as_handle))
            assert refusal.message == "Session not found or expired"
    assert await bench.living() == {handle.id, session.id}
    # Nor is it activity.
    bench.advance(TIMEOUT - 1)
    await refusal_of(bench.use(handle.id, handle=True))
    await refusal_of(bench.use(session.id))


@pytest.mark.parametrize("operation", ["use", "close"])
@pytest_twisted.ensureDeferred
async def test_a_handle_is_its_maker_s_alone(bench: Bench, operation: str) -> None:
    """2026-07-28 server/tools, Stateful Tools: a handle is checked against the caller where there is one."""
    made, anonymous = await bench.create_handle("alice"), await bench.create_handle(None)
    for name, principal in ((made.id, "bob"), (made.id, None), (made.id, ""), (anonymous.id, "bob")):
        for _ in range(2):
            await refusal_of(attempt(bench, operation, name, principal, handle=True))
    assert await bench.living() == {made.id, anonymous.id}


@pytest_twisted.ensureDeferred
async def test_a_handle_has_a_timeout_of_its_own(bench: Bench) -> None:
    """Our choice: its maker says how long it is kept after its last use."""
    short, long = await bench.create_handle(timeout=5), await bench.create_handle()
    session = await bench.create()
    bench.advance(4.999)
    await bench.use(short.id, handle=True)
    bench.advance(5)
    await refusal_of(bench.use(short.id, handle=True))
    assert await bench.living() == {long.id, session.id}
    if isinstance(bench, Memory):
        assert bench.endings == [(short.id, "expired")]
    await bench.sweep()
    assert bench.endings == [(short.id, "expired")]


@pytest_twisted.ensureDeferred
async def test_the_sweep_ends_what_has_expired_by_its_own_timeout(bench: Bench) -> None:
    """Our choice: no idle state outlives its time because another's is longer."""
    session = await bench.create()
    short, shorter = await bench.create_handle(timeout=7), await bench.create_handle(timeout=5)
    bench.advance(6)
    assert await bench.sweep() == 1
    assert await bench.living() == {session.id, short.id}
    bench.advance(1)
    assert await bench.sweep() == 1
    assert bench.endings == [(shorter.id, "expired"), (short.id, "expired")]


@pytest_twisted.ensureDeferred
async def test_a_closed_handle_is_gone(bench: Bench) -> None:
    """Our choice: closeEchoSession ends it, and it counts as closed."""
    made = await bench.create_handle()
    await bench.close(made.id, handle=True)
    for _ in range(2):
        await refusal_of(bench.use(made.id, handle=True))
    assert bench.endings == [(made.id, "closed")]
    assert (bench.statistics["created"], bench.statistics["closed"]) == (1, 1)


@pytest_twisted.ensureDeferred
async def test_handles_and_sessions_share_one_limit(bench: Bench) -> None:
    """Our choice: MCP_MAX_SESSIONS bounds memory, whichever way it is taken."""
    kept, short = await bench.create(), await bench.create_handle(timeout=5)
    await bench.create_handle()
    for make in (bench.create, bench.create_handle):
        refusal = await refusal_of(make(), TooManySessions)
        assert refusal.headers == {"Retry-After": "6"}
    assert bench.statistics["refused"] == 2
    bench.advance(5)
    await bench.create_handle()
    assert kept.id in await bench.living()
    await bench.sweep()
    assert bench.endings == [(short.id, "expired")]
