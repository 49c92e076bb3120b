"""Sessions on several nodes: what a request sees, what is kept, and who gets which message."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
from twisted.internet.task import Clock

from mcp_echo.cluster.engine import Change, Close, Count, Create, Operation, Outcome
from mcp_echo.cluster.maintenance import RETRY
from mcp_echo.cluster.session import SharedSession
from mcp_echo.cluster.store import HEARTBEAT, SharedStore
from mcp_echo.cluster.stream_log import LEASE, Bounds
from mcp_echo.protocol.errors import SessionNotFound, StoreUnavailable, TooManySessions
from mcp_echo.sessions.key import SessionKey
from mcp_echo.sessions.session import Echo
from tests.engines import DictRecords
from tests.making import handle_in, session_in
from tests.nodes import BOUNDS, CLIENT, REVISION, Node, Reader, reading


class Cluster:
    """Nodes that share sessions, on one clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.records = DictRecords()
        self.a, self.b = self.node("a"), self.node("b")

    def node(self, name: str, bounds: Bounds = BOUNDS) -> Node:
        return Node(self.records, name, self.clock, bounds=bounds)

    def advance(self, seconds: float) -> None:
        self.records.advance(seconds)
        self.clock.advance(seconds)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def echo(session: SharedSession) -> int:
    session.remember_echo(Echo("hello"))
    return session.record.echo_count


def queue_twenty(session: SharedSession) -> None:
    for number in range(20):
        session.log.queue(b"%010d" % number)


def texts(reader: Reader) -> list[bytes]:
    return [data for _, data in reader.got]


def test_a_session_made_on_one_node_is_used_on_the_other(cluster: Cluster) -> None:
    """Our promise: any node serves any session."""
    session_id = cluster.a.create("alice")
    assert cluster.b.on(session_id, echo, "alice") == 1
    assert cluster.a.on(session_id, echo, "alice") == 2
    seen = cluster.b.on(session_id, lambda session: (session.last_echo, session.node), "alice")
    assert (seen[0].message, seen[1]) == ("hello", "a")


def test_what_another_owns_reads_like_what_is_not_there(cluster: Cluster) -> None:
    """Our choice, from hijacking advisories: a guess must not learn whether an id exists."""
    session_id = cluster.a.create("alice")
    for node in (cluster.a, cluster.b):
        with pytest.raises(SessionNotFound):
            node.on(session_id, echo, "bob")
        with pytest.raises(SessionNotFound):
            node.do(lambda store: store.use(session_id, "alice", handle=True))


def test_two_nodes_that_count_at_the_same_time_count_exactly(cluster: Cluster) -> None:
    """Our promise: an answer that says how many echoes there were says it of no other echo."""
    session_id = cluster.a.create()
    counts: list[int] = []
    nodes = (cluster.a, cluster.b)
    for node in nodes:
        node.engine.stepping = True
    for _ in range(20):
        for node in nodes:
            work = node.start(lambda store: echo(store.use(session_id, None)))
            work.addCallback(counts.append)
    while any(node.engine.under_way for node in nodes):
        for node in nodes:
            if node.engine.under_way:
                node.engine.step()
    assert sorted(counts) == list(range(1, 41))


def test_a_share_is_counted_anew_when_another_node_was_faster(cluster: Cluster) -> None:
    """Our choice: the answer that goes out tells what there was when it was last worked on."""
    a, b = cluster.a, cluster.b
    session_id = a.create("alice")

    def held(store: SharedStore) -> int:
        store.use(session_id, "alice")
        return store.share("alice", "10.0.0.1").held

    a.engine.stepping = True
    told: list[int] = []
    a.start(held).addCallback(told.append)
    a.engine.step()
    b.on(session_id, echo, "alice")
    b.create("alice")
    while a.engine.under_way:
        a.engine.step()
    assert told == [2]
    counts = [each for each in a.engine.submitted if isinstance(each, Count)]
    assert counts == [Count("alice", "10.0.0.1")] * 2


def test_a_session_that_was_made_before_another_attempt_is_counted_once(cluster: Cluster) -> None:
    """Our choice: what an earlier attempt has made is there, and is not one more."""
    a, b = cluster.a, cluster.b
    session_id = a.create("alice")

    def held(store: SharedStore) -> int:
        store.use(session_id, "alice")
        handle_in(store, "alice", REVISION, CLIENT)
        return store.share("alice", "10.0.0.1").held

    a.engine.stepping = True
    told: list[int] = []
    a.start(held).addCallback(told.append)
    a.engine.step()
    b.on(session_id, echo, "alice")
    while a.engine.under_way:
        a.engine.step()
    assert told == [2]
    assert cluster.records.totals().records == 2


def test_what_a_request_did_with_a_new_session_counts_once_however_often_it_is_worked_on(
    cluster: Cluster,
) -> None:
    """Our choice: a session that another attempt had made is ended, and nobody was told of it."""
    a, b = cluster.a, cluster.b
    other = a.create("alice")
    a.on(other, echo, "alice")
    b.on(other, echo, "alice")

    def work(store: SharedStore) -> str:
        made = session_in(store, "alice", REVISION, CLIENT)
        made.record.requests += 1
        made.log.queue(b"news")
        echo(made)
        echo(store.use(other, "alice"))
        return made.id

    made = a.do(work)
    assert a.on(made, lambda session: (session.record.echo_count, session.record.requests), "alice") == (1, 1)
    assert a.on(made, lambda session: session.log.messages, "alice") == [b"news"]
    assert a.on(other, lambda session: session.record.echo_count, "alice") == 3
    assert set(cluster.records.records) == {made, other}
    assert a.store.statistics.created == 2


def test_a_request_whose_closing_another_node_has_done_already_counts_once(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our choice: it is closed, as was asked; what the request did besides is not done again for that."""
    a, b = cluster.a, cluster.b
    session_id = a.create()
    handle = a.do(lambda store: handle_in(store, None, REVISION, CLIENT)).id
    submit = a.engine.submit

    async def late(operation: Operation) -> Outcome:
        if isinstance(operation, Close) and operation.id == handle:
            b.do(lambda store: store.close(handle, None, handle=True))
        return await submit(operation)

    monkeypatch.setattr(a.engine, "submit", late)

    def work(store: SharedStore) -> None:
        session = store.use(session_id, None)
        session.record.requests += 1
        session.log.queue(b"news")
        store.close(handle, None, handle=True)

    a.do(work)
    assert b.on(session_id, lambda session: (session.record.requests, session.log.messages)) == (1, [b"news"])
    assert set(cluster.records.records) == {session_id}


def test_a_session_made_beside_one_that_is_refused_is_not_left_behind(cluster: Cluster) -> None:
    """Our choice: nobody was told its id, so that it would only take room."""
    node = Node(cluster.records, "c", cluster.clock, limit=1)

    def work(store: SharedStore) -> None:
        session_in(store, "alice", REVISION, CLIENT).record.used = True
        session_in(store, "alice", REVISION, CLIENT)

    with pytest.raises(TooManySessions):
        node.do(work)
    assert cluster.records.records == {}


def test_what_was_known_before_the_records_were_replaced_fills_no_gap(cluster: Cluster) -> None:
    """Interface, Listener.replaced: a request that was under way meanwhile believes what is kept."""
    a = cluster.a
    session_id = a.create()
    a.queue(session_id, b"1")
    before = deepcopy(cluster.records.records)
    a.queue(session_id, b"lost")
    a.engine.stepping = True
    a.start(lambda store: store.use(session_id, None).log.queue(b"2"))
    cluster.records.records = before
    a.store.replaced()
    while a.engine.under_way:
        a.engine.step()
    cached = a.store.cache.get(session_id)
    assert cached is not None
    assert [entry.data for entry in cached.stream_log.entries] == [b"1", b"2"]


def test_a_message_that_the_bound_leaves_no_room_for_is_refused_and_was_never_queued(
    cluster: Cluster,
) -> None:
    """docs/metrics.md: no_room, on its way to another node as well as here."""
    a, b = cluster.a, cluster.b
    full, session_id = a.create(), a.create()
    a.queue(full, b"x" * 80)
    for node, lost in ((a, 1), (b, 1)):
        budget = node.store.budget
        budget.limit = 100
        queued = budget.messages_queued
        node.queue(session_id, b"y" * 30)
        assert (budget.messages_dropped, budget.messages_refused) == (lost, lost)
        assert budget.messages_queued == queued
        a.listen(session_id).paused = True


def test_a_holder_has_no_room_where_the_engine_keeps_all_that_may_be_kept(cluster: Cluster) -> None:
    """MCP_ECHO_MAX_STATE_BYTES bounds what is kept and what waits on this node together."""
    a = cluster.a
    a.queue(a.create(), b"x" * 80)
    budget = a.store.budget
    budget.limit = 100
    holder = budget.of("10.0.0.1")
    assert [holder.has_room(size) for size in (20, 21)] == [True, False]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_sessions_that_are_lost_while_they_are_made_are_made_anew(cluster: Cluster, steps: int) -> None:
    """Our choice: FLUSHALL in the middle of a request costs it another attempt, and not one after another."""
    a = cluster.a

    def work(store: SharedStore) -> list[str]:
        made = [handle_in(store, "alice", REVISION, CLIENT) for _ in range(2)]
        for session in made:
            session.remember_echo(Echo("hello"))
        return [session.id for session in made]

    a.engine.stepping = True
    told: list[list[str]] = []
    a.start(work).addCallback(told.append)
    for _ in range(steps):
        a.engine.step()
    cluster.records.records.clear()
    for _ in range(10):
        if a.engine.under_way:
            a.engine.step()
    a.engine.stepping = False
    (ids,) = told
    # The last one was made after the loss; one that had been made before went with the rest.
    assert a.on(ids[-1], lambda session: session.last_echo is not None, "alice")


def test_a_request_that_asks_for_no_share_has_nothing_counted(cluster: Cluster) -> None:
    """Our choice: what one tool tells costs the others nothing."""
    session_id = cluster.a.create("alice")
    cluster.a.on(session_id, echo, "alice")
    assert [type(each) for each in cluster.a.engine.submitted] == [Create, Change]


def test_a_share_that_cannot_be_counted_is_the_outage_that_it_is(cluster: Cluster) -> None:
    """Our choice: no number is made up, and what the request did has not happened."""
    a = cluster.a
    session_id = a.create("alice")

    def held(store: SharedStore) -> int:
        store.use(session_id, "alice").record.requests += 1
        return store.share("alice", "10.0.0.1").held

    a.engine.available = False
    with pytest.raises(StoreUnavailable):
        a.do(held)
    a.engine.available = True
    assert a.do(held) == 1
    assert cluster.b.on(session_id, lambda session: session.record.requests, "alice") == 1


def test_an_echo_that_is_not_kept_is_counted_once(cluster: Cluster) -> None:
    """healthProbe shows the count; the request is worked on again when the other node was faster."""
    session_id = cluster.a.create()
    cluster.b.on(session_id, echo)
    cluster.a.on(session_id, lambda session: session.remember_echo(Echo("x" * (1 << 20))))
    assert cluster.a.on(session_id, lambda session: (session.record.echo_count, session.last_echo)) == (
        2,
        None,
    )
    assert cluster.a.store.budget.echoes_refused == 1


def test_a_message_is_counted_once_however_often_it_changes_hands(cluster: Cluster) -> None:
    """docs/metrics.md: how many messages were ever put in a queue."""
    session_id = cluster.a.create()
    for _ in range(3):
        cluster.a.queue(session_id, b"1")
    for _ in range(2):
        reader = cluster.a.listen(session_id)
        reader.paused = True
        reader.drop()
    assert cluster.a.store.budget.messages_queued == 3


def test_one_request_cannot_fill_more_than_there_is_room(cluster: Cluster) -> None:
    """Our choice: MCP_ECHO_MAX_STATE_BYTES bounds what it queues as if each message came by itself."""
    session_id, other = cluster.a.create(), cluster.a.create()
    cluster.a.on(other, lambda session: session.remember_echo(Echo("x" * ((1 << 20) - 300))))
    cluster.a.on(session_id, queue_twenty)
    kept = cluster.a.on(session_id, lambda session: session.log.messages)
    assert cluster.a.engine.totals.held.queued == 10 * len(kept)
    assert 0 < len(kept) < 20
    room = (1 << 20) - cluster.a.store.budget.used
    assert 0 <= room < 10


def test_nothing_leaves_before_it_is_kept(cluster: Cluster) -> None:
    """Our promise: what a client was answered survives the node that answered."""
    session_id = cluster.a.create()
    reader = cluster.a.listen(session_id)
    cluster.a.engine.stepping = True
    done: list[str] = []

    def work(store: SharedStore) -> None:
        store.use(session_id, None).log.queue(b"1")
        store.after(lambda: done.append("effect"))

    cluster.a.start(work).addCallback(lambda _: done.append("answer"))
    assert (reader.got, done) == ([], [])
    cluster.a.engine.step()
    assert (texts(reader), done) == ([b"1"], ["effect", "answer"])


def test_what_could_not_be_kept_has_not_happened(cluster: Cluster) -> None:
    """Our choice: 503 means that the same request may be sent again."""
    session_id = cluster.a.create()
    reader = cluster.a.listen(session_id)
    cluster.a.engine.available = False
    with pytest.raises(StoreUnavailable):
        cluster.a.queue(session_id, b"1")
    cluster.a.engine.available = True
    cluster.a.queue(session_id, b"2")
    assert texts(reader) == [b"2"]
    assert cluster.a.on(session_id, lambda session: session.log.messages) == [b"2"]


def test_a_stream_gets_what_the_other_node_queues(cluster: Cluster) -> None:
    """2025-11-25 basic/transports, Listening for Messages; our promise: on whichever node it is read."""
    session_id = cluster.a.create()
    cluster.b.queue(session_id, b"0")
    reader = cluster.a.listen(session_id)
    for number in range(1, 6):
        cluster.b.queue(session_id, b"%d" % number)
    assert texts(reader) == [b"%d" % number for number in range(6)]
    assert [event_id.partition("-")[0] for event_id, _ in reader.got] == ["g1"] * 6


def test_a_stream_is_resumed_on_another_node_after_a_death(cluster: Cluster) -> None:
    """2025-11-25 basic/transports, Resumability and Redelivery."""
    session_id = cluster.a.create()
    reader = cluster.a.listen(session_id)
    cluster.b.queue(session_id, b"1")
    reader.paused = True
    cluster.b.queue(session_id, b"2")
    last_id = reader.got[-1][0]
    cluster.a.kill()
    cluster.b.queue(session_id, b"3")
    resumed = cluster.b.listen(session_id, last_id)
    cluster.b.queue(session_id, b"4")
    assert texts(resumed) == [b"2", b"3", b"4"]


def test_a_stream_has_one_holder(cluster: Cluster) -> None:
    """2025-11-25 basic/transports, Multiple Connections: each message on only one stream; ours: whoever
    comes back takes it over."""
    session_id = cluster.a.create()
    first = cluster.a.listen(session_id)
    cluster.a.queue(session_id, b"1")
    second = cluster.b.listen(session_id, first.got[-1][0])
    cluster.a.queue(session_id, b"2")
    assert (first.open, second.open) == (False, True)
    assert (texts(first), texts(second)) == ([b"1"], [b"2"])
    third = cluster.b.listen(session_id, second.got[-1][0])
    assert (second.open, third.open) == (False, True)


def test_what_a_dead_node_had_not_written_goes_to_the_next_listener(cluster: Cluster) -> None:
    """Our promise: nothing is lost with a node, though its client may not say where it stopped."""
    session_id = cluster.a.create()
    reader = cluster.a.listen(session_id)
    reader.paused = True
    cluster.b.queue(session_id, b"1")
    cluster.a.kill()
    next_reader = cluster.b.listen(session_id)
    assert texts(next_reader) == []
    cluster.advance(LEASE / 1000)
    cluster.b.store.maintenance.beat()
    assert texts(next_reader) == [b"1"]


def test_a_connection_that_is_lost_leaves_its_rest_to_the_next(cluster: Cluster) -> None:
    """Our promise, as for sessions in memory."""
    session_id = cluster.a.create()
    reader = cluster.a.listen(session_id)
    cluster.b.queue(session_id, b"1")
    reader.paused = True
    cluster.b.queue(session_id, b"2")
    reader.drop()
    assert texts(cluster.b.listen(session_id)) == [b"2"]


def test_a_lost_nudge_is_made_up_for_by_the_heartbeat(cluster: Cluster) -> None:
    """Our promise: what is published is a nudge only; the log is the truth."""
    session_id = cluster.a.create()
    reader = cluster.a.listen(session_id)
    listener = cluster.records.nodes.pop("a")
    cluster.b.queue(session_id, b"1")
    assert texts(reader) == []
    cluster.records.nodes["a"] = listener
    cluster.advance(HEARTBEAT)
    cluster.a.store.maintenance.beat()
    assert texts(reader) == [b"1"]


@pytest.mark.parametrize("fate", ["refused", "answer lost"])
def test_late_work_is_kept_once_however_often_it_is_tried(cluster: Cluster, fate: str) -> None:
    """Our promise: what is on its way when the engine fails is neither lost nor doubled."""
    session_id = cluster.a.create()
    session = cluster.a.do(lambda store: store.use(session_id, None))
    cluster.a.engine.stepping = True
    session.log.queue(b"late")
    cluster.a.engine.step(0, fate)
    session.log.queue(b"later")
    cluster.advance(RETRY)
    while cluster.a.engine.under_way:
        cluster.a.engine.step()
    cluster.a.engine.stepping = False
    assert cluster.b.on(session_id, lambda session: session.log.messages) == [b"late", b"later"]


def test_a_lost_connection_lets_nothing_go_that_its_client_has_come_back_for(cluster: Cluster) -> None:
    """Our promise: the old connection's end, noticed late, takes nothing from the new one."""
    session_id = cluster.a.create()
    first = cluster.a.listen(session_id)
    cluster.a.queue(session_id, b"1")
    cluster.a.engine.stepping = True
    back: list[Reader] = []
    cluster.a.start(lambda store: reading(store, session_id, first.got[-1][0])).addCallback(back.append)
    first.drop()
    while cluster.a.engine.under_way:
        cluster.a.engine.step()
    cluster.a.engine.stepping = False
    cluster.b.queue(session_id, b"2")
    assert texts(back[0]) == [b"2"]
    assert back[0].open


def test_a_session_that_has_ended_elsewhere_ends_here(cluster: Cluster) -> None:
    """2025-11-25 basic/transports, Session Management: 404 from then on, and its streams end."""
    session_id = cluster.a.create()
    reader = cluster.a.listen(session_id)
    cluster.b.do(lambda store: store.close(session_id, None))
    assert not reader.open
    with pytest.raises(SessionNotFound):
        cluster.a.on(session_id, echo)
    assert cluster.a.ended == cluster.b.ended == [(session_id, "closed")]


def test_a_copy_of_what_was_closed_elsewhere_does_not_read_as_expired(cluster: Cluster) -> None:
    """Our choice: an operator must not look for a timeout that never was."""
    session_id = cluster.a.create()
    cluster.a.on(session_id, echo)
    cluster.b.do(lambda store: store.close(session_id, None))
    with pytest.raises(SessionNotFound):
        cluster.a.on(session_id, echo)
    assert cluster.a.ended == [(session_id, "closed")]


def test_of_a_copy_that_was_never_used_only_who_ended_it_tells(cluster: Cluster) -> None:
    """Our choice: here nothing tells whether it was closed or gave way to another."""
    session_id = cluster.a.create()
    cluster.b.do(lambda store: store.close(session_id, None))
    with pytest.raises(SessionNotFound):
        cluster.a.on(session_id, echo)
    assert (cluster.a.ended, cluster.b.ended) == ([], [(session_id, "closed")])


def test_a_copy_of_what_has_expired_reads_as_expired(cluster: Cluster) -> None:
    """Our choice: so it is told also before a sweep has found it."""
    session_id = cluster.a.create()
    cluster.advance(1000)
    with pytest.raises(SessionNotFound):
        cluster.a.on(session_id, echo)
    assert cluster.a.ended == [(session_id, "expired")]


def test_an_open_stream_ends_with_the_expiry_of_its_session(cluster: Cluster) -> None:
    """Our choice, as in memory: a stream does not keep its session alive."""
    session_id = cluster.a.create()
    reader = cluster.a.listen(session_id)
    cluster.advance(1000)
    cluster.b.store.expire()
    cluster.a.store.expire()
    assert not reader.open
    assert len(cluster.a.store) == len(cluster.b.store) == 0


def test_echoes_anywhere_are_told_where_somebody_watches_once_each(cluster: Cluster) -> None:
    """2026-07-28 basic/patterns/subscriptions; our promise: on whichever node it is listened."""
    handle = cluster.a.do(lambda store: handle_in(store, None, REVISION, CLIENT)).id
    cached = cluster.a.store.cache.get(handle)
    assert cached is not None
    cached.watched = True
    cluster.a.store.maintenance.later(cached, lambda draft: setattr(draft.stored, "watchers", ["a"]))
    for node in (cluster.a, cluster.b, cluster.b):
        node.on(handle, echo)
    assert cluster.a.echoed == [handle] * 3
    assert cluster.b.echoed == []


def test_waiting_requests_get_their_turn_when_the_engine_fails(cluster: Cluster) -> None:
    """Our promise: a failure costs the requests it hits, and none that wait behind them."""
    session_id = cluster.a.create()
    cluster.a.engine.stepping = True
    outcomes: list[object] = []
    for _ in range(3):
        cluster.a.start(lambda store: echo(store.use(session_id, None))).addBoth(outcomes.append)
    cluster.a.engine.step(0, "refused")
    while cluster.a.engine.under_way:
        cluster.a.engine.step()
    assert outcomes[0].check(StoreUnavailable)  # type: ignore[attr-defined]
    assert outcomes[1:] == [1, 2]


def test_two_requests_that_need_the_same_two_sessions_do_not_wait_for_each_other(cluster: Cluster) -> None:
    """Our promise: whatever order requests name sessions in, all are answered."""
    first, second = cluster.a.create(), cluster.a.create()
    cluster.a.engine.stepping = True
    done: list[str] = []

    def both(*order: str) -> Callable[[SharedStore], None]:
        def work(store: SharedStore) -> None:
            for session_id in order:
                echo(store.use(session_id, None))

        return work

    for order in ((first, second), (second, first)):
        cluster.a.start(both(*order), SessionKey(order[0], None, False)).addCallback(
            lambda _: done.append("done")
        )
    while cluster.a.engine.under_way:
        cluster.a.engine.step()
    assert done == ["done", "done"]
    cluster.a.engine.stepping = False
    for session_id in (first, second):
        assert cluster.b.on(session_id, lambda session: session.record.echo_count) == 2


def test_after_an_outage_no_node_judges_the_others_before_they_could_speak(cluster: Cluster) -> None:
    """Our promise: streams stay open over an outage, however long, and nothing comes twice for it."""
    session_id = cluster.a.create()
    readers = [cluster.a.listen(session_id), cluster.b.listen(session_id)]
    for node in (cluster.a, cluster.b):
        node.engine.available = False
        node.store.maintenance.beat()
    cluster.advance(2 * LEASE / 1000)
    cluster.a.engine.available = True
    cluster.advance(RETRY)
    assert [reader.open for reader in readers] == [True, True]
    cluster.b.engine.available = True
    cluster.advance(RETRY)
    cluster.a.queue(session_id, b"1")
    assert [reader.open for reader in readers] == [True, True]
    assert sorted(text for reader in readers for text in texts(reader)) == [b"1"]


def test_a_dead_node_s_streams_do_not_count_for_ever(cluster: Cluster) -> None:
    """Our choice: MCP_ECHO_MAX_STREAMS_PER_SESSION counts streams that somebody reads."""
    session_id = cluster.a.create()
    cluster.a.listen(session_id)
    cluster.a.kill()
    assert cluster.b.on(session_id, lambda session: session.log.listeners) == 1
    cluster.advance(LEASE / 1000)
    assert cluster.b.on(session_id, lambda session: session.log.listeners) == 0


def test_a_copy_from_before_messages_moved_is_read_anew(cluster: Cluster) -> None:
    """Our promise: what a stream gave back is there once, whichever node looks, and when it looked last."""
    session_id = cluster.a.create()
    reader = cluster.a.listen(session_id)
    for number in range(3):
        cluster.a.queue(session_id, b"%d" % number)
        # What was taken stays where it is, before what moves.
        reader.paused = True
    assert cluster.b.on(session_id, lambda session: session.log.messages) == [b"0", b"1", b"2"]
    reader.drop()
    cluster.a.queue(session_id, b"3")
    assert cluster.b.on(session_id, lambda session: session.log.messages) == [b"0", b"1", b"2", b"3"]
    assert texts(cluster.b.listen(session_id)) == [b"1", b"2", b"3"]


def test_a_session_is_the_same_after_it_was_forgotten_and_read_again(cluster: Cluster) -> None:
    """Our promise: what is kept is all there is to a session."""
    handle = cluster.a.do(
        lambda store: handle_in(store, "alice", REVISION, CLIENT, timeout=60.0, label="a label")
    ).id

    def change(session: SharedSession) -> None:
        session.record.initialized, session.record.log_level = True, "info"
        session.record.subscriptions = frozenset({"echo://session"})
        session.remember_echo(Echo("text", "ZGF0YQ==", "image/png"))
        session.record.replay_count += 1
        session.record.requests += 2
        session.answered(0.5)
        session.log.queue(b"{}")

    cluster.a.on(handle, change, "alice")

    def context(session: SharedSession) -> tuple[object, ...]:
        echo, client = session.last_echo, session.client
        assert echo is not None
        return (
            *(
                session.record.initialized,
                session.record.log_level,
                session.record.subscriptions,
                session.record.label,
                session.timeout,
            ),
            *(
                echo.message,
                echo.data,
                echo.mime_type,
                session.record.echo_count,
                session.record.replay_count,
            ),
            *(
                session.record.requests,
                session.record.responses,
                session.record.response_seconds,
                session.log.messages,
            ),
            *(client.name, client.version, dict(client.capabilities), session.revision, session.node),
        )

    assert cluster.b.on(handle, context, "alice") == cluster.a.on(handle, context, "alice")
    assert cluster.b.on(handle, context, "alice")[-1] == "a"
