"""The sums over all sessions, and the bound on them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from mcp_echo.protocol.errors import McpError
from mcp_echo.protocol.revisions import Supported
from mcp_echo.sessions.budget import Budget, StateBudget
from mcp_echo.sessions.event_log import EventLog
from mcp_echo.sessions.key import SessionKey
from mcp_echo.sessions.memory import MemoryStore
from mcp_echo.sessions.session import UNKNOWN_CLIENT, Echo, Session, Terms
from mcp_echo.sessions.store import StoreLimits
from tests.examples import examples
from tests.making import handle_in, session_in
from tests.sessions.test_event_log import Connection, queued

REVISION = Supported().offered


def log_in(budget: Budget, max_messages: int = 100, max_bytes: int = 1000, keeps: bool = True) -> EventLog:
    return EventLog(max_messages, max_bytes, budget, keeps)


def session_of(budget: Budget) -> Session:
    return Session(SessionKey("id", None, False), Terms(REVISION, UNKNOWN_CLIENT, 60), 0.0, budget=budget)


def test_a_queue_makes_room_out_of_its_own_when_all_together_are_full() -> None:
    """Our choice: whoever has much gives way first, and nobody loses a message by another's."""
    budget = StateBudget(100)
    greedy, modest = log_in(budget), log_in(budget)
    queued(modest, b"m" * 10)
    queued(greedy, *[b"g" * 30] * 3)
    assert budget.used == 100
    queued(greedy, b"G" * 50)
    assert (greedy.messages, greedy.dropped) == ([b"g" * 30, b"G" * 50], 2)
    assert (modest.messages, modest.dropped, budget.used) == ([b"m" * 10], 0, 90)


def test_a_message_that_all_of_a_queue_could_not_make_room_for_is_dropped_alone() -> None:
    """Our choice: nothing is thrown away to no avail, and the loss is counted."""
    budget = StateBudget(100)
    greedy, modest = log_in(budget), log_in(budget)
    queued(greedy, b"g" * 80)
    queued(modest, b"m" * 15, b"M" * 30)
    assert (modest.messages, modest.dropped, modest.pending) == ([b"m" * 15], 1, 1)
    assert (budget.used, budget.messages_refused) == (95, 1)


def test_what_was_queued_and_lost_is_summed_over_all_queues() -> None:
    """Our choice: sums that go on when a queue has gone, and that nobody has to walk over sessions for."""
    budget = StateBudget(100)
    full, other = log_in(budget, max_messages=2), log_in(budget, max_bytes=50)
    queued(full, *[b"f"] * 3)
    queued(other, b"o", b"O" * 51)
    full.close()
    assert (budget.messages_queued, budget.messages_dropped) == (4, 2)
    assert (full.dropped, other.dropped, budget.messages_too_large) == (1, 1, 1)


@pytest.mark.parametrize("kind", ["listen", "answer"])
def test_who_reads_now_gets_what_cannot_be_kept(kind: str) -> None:
    """Our choice: a full server still answers; only what could be resumed is less."""
    budget = StateBudget(100)
    greedy, answering = log_in(budget), log_in(budget)
    queued(greedy, b"g" * 100)
    reader = Connection(answering, getattr(answering, kind)())
    answering.append(reader.stream, b"the answer")
    assert (reader.got, answering.messages, answering.dropped) == ([b"the answer"], [], 0)
    assert (budget.used, budget.waiting, budget.messages_refused) == (100, 1, 0)


def test_an_answer_waits_for_its_connection_however_full_the_server_is() -> None:
    """Our choice: the answer is owed, and costs no more than one that is no stream."""
    budget = StateBudget(100)
    greedy, answering = log_in(budget), log_in(budget)
    queued(greedy, b"g" * 100)
    reader = Connection(answering, answering.answer(), fast=False)
    answering.append(reader.stream, b"1" * 20)
    answering.append(reader.stream, b"2" * 20)
    assert budget.used == 140
    reader.read()
    assert (reader.got, budget.used) == ([b"1" * 20, b"2" * 20], 100)


def test_a_listener_that_does_not_read_gets_no_more_than_there_is_room_for() -> None:
    """Our choice: the bound holds against clients that open streams and let them fill."""
    budget = StateBudget(100)
    greedy, stalled = log_in(budget), log_in(budget)
    queued(greedy, b"g" * 100)
    reader = Connection(stalled, stalled.listen(), fast=False)
    queued(stalled, b"1" * 20)
    assert (stalled.pending, stalled.dropped, budget.used) == (0, 1, 100)
    reader.fast = True
    queued(stalled, b"2" * 20)
    assert (reader.got, budget.used) == ([b"2" * 20], 100)


def test_an_answer_of_many_messages_waits_whole_and_goes_with_its_connection() -> None:
    """Our choice: what waits is bounded by what one request can be answered with, and by the stall limit."""
    budget = StateBudget(100)
    greedy, answering = log_in(budget), log_in(budget, max_messages=3)
    queued(greedy, b"g" * 100)
    reader = Connection(answering, answering.answer(), fast=False)
    for number in range(10):
        answering.append(reader.stream, b"%d" % number * 10)
    assert (answering.bytes, answering.dropped, budget.used) == (100, 0, 200)
    reader.leave()
    assert (answering.bytes, answering.dropped, budget.used) == (0, 10, 100)


def test_only_messages_that_nobody_is_about_to_take_make_room_for_others() -> None:
    """Our choice: what waits for a connection stays in memory either way, so letting it go frees nothing."""
    budget = StateBudget(100)
    greedy, answering = log_in(budget), log_in(budget)
    queued(greedy, b"g" * 60)
    reader = Connection(answering, answering.answer(), fast=False)
    answering.append(reader.stream, b"1" * 30)
    answering.append(reader.stream, b"2" * 20)
    assert answering.messages == [b"1" * 30], "it can still be resumed"
    reader.read()
    assert reader.got == [b"1" * 30, b"2" * 20]
    answering.append(reader.stream, b"3" * 20)
    assert answering.messages == [b"3" * 20], "what was taken makes room"


def test_an_echo_that_does_not_fit_is_forgotten_and_counted() -> None:
    """Our choice: an older echo must not be replayed as the last one."""
    budget = StateBudget(3000)
    talking = session_of(budget)
    talking.remember_echo(Echo("x" * 2000))
    assert budget.used == budget.echoes > 2000
    talking.remember_echo(Echo("y" * 3000))
    assert (talking.last_echo, talking.record.echo_count, budget.used, budget.echoes_refused) == (
        None,
        2,
        0,
        1,
    )
    talking.remember_echo(Echo("z" * 2000))
    assert talking.last_echo is not None
    assert talking.last_echo.message == "z" * 2000


def test_a_full_budget_is_told_of_once_until_half_of_it_was_free() -> None:
    """Our choice: an operator wants one line, not one for every message of a flood."""
    told: list[str] = []
    budget = StateBudget(100, told.append)
    greedy, modest = log_in(budget), log_in(budget)
    queued(greedy, b"g" * 100)
    queued(modest, *[b"m" * 10] * 5)
    assert len(told) == 1
    assert "MCP_ECHO_MAX_STATE_BYTES" in told[0]
    greedy.close()
    queued(greedy, b"g" * 100)
    assert (budget.used, len(told)) == (0, 1), "what is over asks for no room"
    queued(log_in(budget), b"2" * 40)
    queued(modest, b"m" * 70)
    assert len(told) == 2


def test_each_large_message_that_is_lost_is_told_of() -> None:
    """Our choice: it needs a large request each, and nobody reads about it anywhere else."""
    told: list[str] = []
    budget = StateBudget(10_000, told.append)
    log = log_in(budget)
    queued(log, b"x" * 1001)
    assert (len(told), budget.messages_too_large, budget.messages_refused) == (1, 1, 0)
    assert "MCP_ECHO_MAX_QUEUE_BYTES" in told[0]
    Connection(log, log.listen())
    queued(log, b"x" * 1001)
    assert len(told) == 1, "this one was delivered"


def test_a_client_that_has_left_is_no_loss_of_room() -> None:
    """Our choice: the counters tell of the limit, not of clients that leave."""
    told: list[str] = []
    budget = StateBudget(100, told.append)
    log = log_in(budget, max_bytes=10, keeps=False)
    reader = Connection(log, log.answer(), fast=False)
    log.append(reader.stream, b"x" * 50)
    reader.leave()
    log.append(reader.stream, b"x" * 50)
    assert (told, budget.messages_too_large, budget.used, budget.waiting) == ([], 0, 0, 0)


# The share of each holder.


def test_who_has_filled_its_share_leaves_room_for_others() -> None:
    """Our choice: what a holder adds beyond its share is not kept, whichever of its sessions adds it."""
    told: list[str] = []
    budget = StateBudget(10_000, told.append, share=5000)
    first, second = session_of(budget.of("greedy")), session_of(budget.of("greedy"))
    other = session_of(budget.of("modest"))
    first.remember_echo(Echo("g" * 4000))
    second.remember_echo(Echo("G" * 4000))
    second.log.queue(b"g" * 2000)
    other.remember_echo(Echo("m" * 4000))
    other.log.queue(b"m" * 500)
    assert (first.last_echo is None, second.last_echo is None, other.last_echo is None) == (
        False,
        True,
        False,
    )
    assert (second.dropped, other.dropped, other.pending) == (1, 0, 1)
    assert (budget.echoes_refused_to_holders, budget.messages_refused_to_holders) == (1, 1)
    assert (budget.echoes_refused, budget.messages_refused) == (0, 0)
    assert len(told) == 1, "one line for the operator, whatever more is refused"
    assert "MCP_ECHO_MAX_STATE_BYTES_PER_CLIENT" in told[0]


def test_what_is_refused_for_all_is_not_counted_against_a_share() -> None:
    """Our choice: the operator reads which of the two bounds to raise."""
    told: list[str] = []
    budget = StateBudget(100, told.append, share=60)
    one, other = log_in(budget.of("one")), log_in(budget.of("other"))
    queued(one, b"1" * 60)
    queued(other, b"2" * 30, b"2" * 50)
    assert (budget.messages_refused, budget.messages_refused_to_holders) == (1, 0)
    assert "MCP_ECHO_MAX_STATE_BYTES allows" in told[0]


def test_a_queue_makes_room_out_of_its_own_when_the_share_is_full() -> None:
    """Our choice: as where all together are full."""
    budget = StateBudget(200, share=100)
    log, sibling = log_in(budget.of("one")), log_in(budget.of("one"))
    queued(sibling, b"s" * 40)
    queued(log, b"1" * 30, b"2" * 30, b"3" * 30)
    assert (log.messages, sibling.messages) == ([b"2" * 30, b"3" * 30], [b"s" * 40])
    assert (budget.of("one").used, budget.of("one").left, budget.used) == (100, 0, 100)


def test_an_answer_that_is_owed_counts_until_it_is_read_though_its_session_is_over() -> None:
    """Our choice: who ends sessions with unread answers does not get a new share for it."""
    budget = StateBudget(200, share=100)
    session = session_of(budget.of("one"))
    reader = Connection(session.log, session.log.answer(), fast=False)
    session.log.append(reader.stream, b"a" * 80)
    session.end()
    assert (budget.of("one").used, budget.of("other").left) == (80, 100)
    reader.read()
    assert (budget.of("one").used, budget.used) == (0, 0)


def test_a_holder_is_forgotten_with_all_that_it_had() -> None:
    """Our choice: memory for those who have something, not for all who ever came."""
    store = MemoryStore(StoreLimits(10, 1000), lambda: 0.0, budget=StateBudget(1000, share=500))
    for number in range(100):
        session = session_in(store, None, REVISION, UNKNOWN_CLIENT, f"10.0.0.{number}")
        session.log.queue(b"m")
        assert len(store.budget._holders or ()) == 1
        store.close(session.id, None)
        del session
        assert len(store.budget._holders or ()) == 0


class BudgetMachine(RuleBasedStateMachine):
    """Sessions that come, echo, are told things, read them or not, resume, and go."""

    sessions = Bundle("sessions")
    connections = Bundle("connections")

    LIMIT, SHARE = 2000, 900
    HOLDERS = ("principal alice", "principal bob", "address 10.0.0.1")

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self.budget = StateBudget(self.LIMIT, share=self.SHARE)
        self.store = MemoryStore(
            StoreLimits(10, 5, per_principal=3),
            lambda: self.time,
            lambda: EventLog(5, 300),
            budget=self.budget,
        )
        self.logs: list[EventLog] = []
        """The queues ever made; those of ended sessions may still be read."""
        self.holders: dict[int, str | None] = {}
        """Whose each queue is, by its place in the list."""

    def log_of(self, session: Session) -> EventLog:
        if session.log not in self.logs:
            self.holders[len(self.logs)] = session.holder
            self.logs.append(session.log)
        return session.log

    @rule(
        target=sessions,
        principal=st.sampled_from([None, "alice", "bob"]),
        address=st.sampled_from([None, "10.0.0.1"]),
        handle=st.booleans(),
    )
    def create(self, principal: str | None, address: str | None, handle: bool) -> object:
        make: Any = handle_in if handle else session_in
        try:
            return make(self.store, principal, REVISION, UNKNOWN_CLIENT, address=address)
        except McpError:
            return multiple()

    @rule(session=sessions, text=st.sampled_from(["a", "ä", "😀"]), length=st.integers(0, 400))
    def echo(self, session: Session, text: str, length: int) -> None:
        session.remember_echo(Echo(text * length))

    @rule(session=sessions, size=st.integers(1, 400))
    def queue(self, session: Session, size: int) -> None:
        self.log_of(session).queue(b"q" * size)

    @rule(target=connections, session=sessions, listening=st.booleans(), fast=st.booleans())
    def connect(self, session: Session, listening: bool, fast: bool) -> Connection:
        log = self.log_of(session)
        return Connection(log, log.listen() if listening else log.answer(), fast=fast)

    @rule(connection=connections, size=st.integers(1, 400), last=st.booleans())
    def append(self, connection: Connection, size: int, last: bool) -> None:
        if connection.stream.ended:
            return
        connection.log.append(connection.stream, b"a" * size)
        if last:
            connection.log.end(connection.stream)

    @rule(connection=connections, at_most=st.integers(1, 5))
    def read(self, connection: Connection, at_most: int) -> None:
        if connection.stream.reader is connection:
            connection.read(at_most)

    @rule(connection=consumes(connections))
    def leave(self, connection: Connection) -> None:
        if connection.stream.reader is connection:
            connection.leave()

    @rule(target=connections, connection=connections, fast=st.booleans(), which=st.integers(0, 5))
    def resume(self, connection: Connection, fast: bool, which: int) -> object:
        if not connection.ids:
            return multiple()
        stream = connection.log.resume(connection.ids[which % len(connection.ids)])
        return multiple() if stream is None else Connection(connection.log, stream, fast=fast)

    @rule(session=sessions)
    def close(self, session: Session) -> None:
        try:
            self.store.close(session.id, session.principal, session.handle)
        except McpError:
            return

    @rule(seconds=st.integers(1, 6))
    def advance(self, seconds: int) -> None:
        self.time += seconds
        self.store.expire()

    @invariant()
    def the_sums_are_exact(self) -> None:
        """used == the sum over everything that is held."""
        living = list(self.store)
        assert self.budget.echoes == sum(each.last_echo.size for each in living if each.last_echo)
        assert self.budget.queues == sum(log.bytes for log in self.logs)
        assert self.budget.waiting == sum(log.pending for log in self.logs)
        assert self.budget.sessions == sum(each._own_size for each in living)
        for log in self.logs:
            held = {id(event): event for event in log._events}
            for stream in log._streams.values():
                held.update((id(event), event) for event in stream.unread)
            assert log.bytes == sum(len(event.data) for event in held.values())
            assert log._kept_bytes == sum(map(len, log.messages))

    def logs_of(self, holder: str | None) -> list[EventLog]:
        return [log for place, log in enumerate(self.logs) if self.holders[place] == holder]

    @invariant()
    def the_sums_of_each_holder_are_exact(self) -> None:
        """And so never below zero; together with what nobody known holds they are all there is."""
        for holder in self.HOLDERS:
            living = [each for each in self.store if each.holder == holder]
            budget = self.budget.of(holder)
            assert budget.echoes == sum(each.last_echo.size for each in living if each.last_echo)
            assert budget.queues == sum(log.bytes for log in self.logs_of(holder))
            assert budget.left == max(0, min(self.SHARE - budget.used, self.LIMIT - self.budget.used))

    @staticmethod
    def owed(logs: list[EventLog]) -> int:
        return sum(
            len(event.data)
            for log in logs
            for stream in log._streams.values()
            for event in stream.unread
            if event.due and not event.kept
        )

    @invariant()
    def the_bounds_hold_but_for_answers_that_are_owed(self) -> None:
        assert self.budget.used - self.owed(self.logs) <= self.LIMIT
        for holder in self.HOLDERS:
            assert self.budget.of(holder).used - self.owed(self.logs_of(holder)) <= self.SHARE
        for log in self.logs:
            assert len(log) <= log._max_messages
            assert log._kept_bytes <= log._max_bytes

    def teardown(self) -> None:
        """When all sessions are over and all clients gone, nothing is held."""
        self.time += 100
        self.store.expire()
        for log in self.logs:
            for stream in list(log._streams.values()):
                if stream.reader is not None:
                    log.detach(stream)
        assert (self.budget.used, self.budget.waiting, self.budget.sessions) == (0, 0, 0)
        assert {self.budget.of(holder).used for holder in self.HOLDERS} == {0}


TestBudgetAgainstTheSum = BudgetMachine.TestCase
TestBudgetAgainstTheSum.settings = settings(
    max_examples=examples(200), stateful_step_count=40, deadline=None, report_multiple_bugs=False
)
