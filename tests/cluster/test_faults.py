"""Sessions on several nodes where requests are refused, given up, or answered by nobody."""

from __future__ import annotations

import pytest
from msgspec import Raw
from twisted.internet.defer import CancelledError, Deferred

from mcp_echo.cluster.maintenance import RETRY
from mcp_echo.cluster.session import SharedSession
from mcp_echo.cluster.store import HEARTBEAT
from mcp_echo.cluster.stream_log import LEASE, MAX_STREAMS, Bounds
from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.protocol.jsonrpc import Response
from tests.cluster.test_store import Cluster, echo, texts
from tests.nodes import CollectingStore, reading


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def test_a_stream_whose_beginning_was_refused_takes_no_messages(cluster: Cluster) -> None:
    """A store whose answer was lost may have kept the stream: the client comes again, and nobody reads it."""
    session_id = cluster.a.create()
    cluster.a.on(session_id, echo)
    cluster.a.engine.stepping = True
    refused = cluster.a.start(lambda store: reading(store, session_id, None))
    cluster.a.engine.step(0, "answer lost")
    cluster.a.engine.stepping = False
    refused.addErrback(lambda failure: failure.trap(StoreUnavailable))
    reader = cluster.a.listen(session_id)
    cluster.b.queue(session_id, b"news")
    assert texts(reader) == [b"news"]
    assert cluster.a.on(session_id, lambda session: session.open_streams) == 1


def test_a_stream_whose_beginning_was_refused_is_let_go_with_the_next_beat(cluster: Cluster) -> None:
    """Our choice: it would count among the streams that are open, for as long as another one is."""
    session_id = cluster.a.create()
    reader = cluster.a.listen(session_id)
    cluster.a.engine.stepping = True
    refused = cluster.a.start(lambda store: reading(store, session_id, None))
    cluster.a.engine.step(0, "answer lost")
    cluster.a.engine.stepping = False
    refused.addErrback(lambda failure: failure.trap(StoreUnavailable))
    cluster.advance(HEARTBEAT)
    cluster.a.store.maintenance.beat()
    assert cluster.a.on(session_id, lambda session: session.open_streams) == 1
    assert reader.open


def test_any_number_of_requests_may_wait_when_all_are_refused(cluster: Cluster) -> None:
    """Our promise: an outage ends. Refused one inside the other, they would go too deep."""
    session_id = cluster.a.create()
    cluster.a.on(session_id, echo)
    cluster.a.engine.stepping = True
    ends: list[type] = []
    for _ in range(1000):
        work = cluster.a.start(lambda store: echo(store.use(session_id, None)))
        work.addBoth(lambda end: ends.append(end.type))
    cluster.a.engine.available = cluster.a.engine.stepping = False
    cluster.a.engine.step()
    assert ends == [StoreUnavailable] * 1000
    cluster.a.engine.available = True
    assert cluster.a.on(session_id, echo) == 2


@pytest.mark.parametrize("place", [0, 1])
def test_who_leaves_while_waiting_holds_up_nobody(cluster: Cluster, place: int) -> None:
    """Our promise: a session is not lost with one request for it."""
    session_id = cluster.a.create()
    cluster.a.on(session_id, echo)
    cluster.a.engine.stepping = True
    first = cluster.a.start(lambda store: echo(store.use(session_id, None)))
    waiting = [cluster.a.start(lambda store: echo(store.use(session_id, None))) for _ in range(2)]
    waiting[place].addErrback(lambda failure: failure.trap(CancelledError))
    waiting[place].cancel()
    while cluster.a.engine.under_way:
        cluster.a.engine.step()
    cluster.a.engine.stepping = False
    assert (first.result, waiting[1 - place].result) == (2, 3)
    assert cluster.a.on(session_id, echo) == 4


def test_a_message_that_is_not_kept_does_not_hide_one_that_is(cluster: Cluster) -> None:
    """Our choice: what finds no room goes to who listens, behind what was queued before it."""
    node = cluster.node("narrow", Bounds(100, 50))
    session_id = node.create()
    reader = node.listen(session_id)

    def queue_two(session: SharedSession) -> None:
        session.log.queue(b"kept")
        session.log.queue(b"x" * 60)

    node.on(session_id, queue_two)
    assert texts(reader) == [b"kept", b"x" * 60]


def test_an_answer_from_the_client_counts_once_it_is_kept(cluster: Cluster) -> None:
    """Our promise: what a request sets off does not happen in an attempt that comes to nothing."""
    session_id = cluster.a.create()
    promise: Deferred[object] = Deferred()
    kept = _Kept(promise)
    number = cluster.a.on(session_id, lambda session: session.expect_answer(kept))

    def answer(store: CollectingStore) -> None:
        session = store.use(session_id, None)
        store.after(lambda: session.take_expected(number).keep("yes"))

    cluster.a.engine.stepping = True
    refused = cluster.a.start(answer)
    cluster.a.engine.step(0, "refused")
    refused.addErrback(lambda failure: failure.trap(StoreUnavailable))
    assert not promise.called
    cluster.a.engine.stepping = False
    cluster.a.do(answer)
    assert promise.result == "yes"
    assert cluster.a.on(session_id, lambda session: session.take_expected(number)) is None


class _Waiting:
    """A question that waits, and what it is told instead of an answer."""

    def __init__(self) -> None:
        self.kept: list[Response] = []
        self.told: list[str] = []
        self.keep = self.kept.append
        self.astray = self.told.append


@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.parametrize(
    ("message_id", "refused", "told"),
    [
        (1, False, ["An answer came with id 1"]),
        ("1", False, ['An answer came with id "1"']),
        (None, False, ["An answer came without an id"]),
        ("a.7", False, ['An answer came with id "a.7"']),
        ("a.1", True, ['An answer came with id "a.1" and was refused as malformed']),
        # Another node's question: it waits there, or has waited there.
        ("c.1", False, []),
        ("c.1", True, []),
    ],
)
def test_an_answer_to_nothing_is_told_to_the_node_that_waits(
    cluster: Cluster, name: str, message_id: int | str | None, refused: bool, told: list[str]
) -> None:
    """clientProbe: a client whose POSTs reach another node is told the same of its wrong ids."""
    session_id = cluster.a.create()
    waiting = _Waiting()
    assert cluster.a.on(session_id, lambda session: session.expect_answer(waiting)) == "a.1"
    response = None if refused else Response(message_id, Raw(b"{}"), None)
    getattr(cluster, name).on(session_id, lambda session: session.pass_answer(message_id, response))
    assert (waiting.told, waiting.kept) == (told, [])


def test_an_answer_that_reaches_another_node_is_handed_on(cluster: Cluster) -> None:
    """Our promise: a client need not know which node asked."""
    session_id = cluster.a.create()
    waiting = _Waiting()
    number = cluster.a.on(session_id, lambda session: session.expect_answer(waiting))
    response = Response(number, Raw(b'{"roots":[]}'), None)
    cluster.b.on(session_id, lambda session: session.pass_answer(number, response))
    assert ([bytes(each.result) for each in waiting.kept], waiting.told) == ([b'{"roots":[]}'], [])


class _Kept:
    def __init__(self, deferred: Deferred[object]) -> None:
        self.keep = deferred.callback


def test_more_streams_than_are_remembered_may_be_open(cluster: Cluster) -> None:
    """MCP_ECHO_MAX_STREAMS_PER_SESSION may be more than what is remembered of those that are not."""
    session_id = cluster.a.create()
    readers = [cluster.a.listen(session_id) for _ in range(MAX_STREAMS + 3)]
    cluster.b.queue(session_id, b"news")
    assert [texts(reader) for reader in readers] == [[b"news"], *[[]] * (MAX_STREAMS + 2)]


def test_what_was_forgotten_with_a_stream_is_forgotten_by_all(cluster: Cluster) -> None:
    """Our promise: what a session holds is counted the same on every node."""
    session_id = cluster.a.create()

    def answer(session: SharedSession) -> None:
        stream = session.log.answer()
        session.log.append(stream, b"answer")
        session.log.end(stream)

    cluster.a.queue(session_id, b"waits")
    cluster.a.on(session_id, answer)
    cluster.advance(LEASE / 1000)
    cluster.b.on(session_id, echo)
    for _ in range(MAX_STREAMS):
        cluster.a.on(session_id, answer)
    cluster.b.on(session_id, echo)
    kept = sum(len(entry.data) for entry in cluster.records.records[session_id].entries.values())
    assert cluster.b.on(session_id, lambda session: session.queue_bytes) == kept


def test_a_client_that_leaves_twice_is_told_nothing_twice(cluster: Cluster) -> None:
    """What its second connection was written is not given back because its first one is let go late."""
    session_id = cluster.a.create()
    first = cluster.a.listen(session_id)
    cluster.a.queue(session_id, b"one")
    cluster.a.engine.available = False
    first.drop()
    cluster.a.engine.available = True
    second = cluster.a.listen(session_id, first.got[-1][0])
    cluster.a.queue(session_id, b"two")
    second.drop()
    cluster.advance(RETRY)
    assert texts(second) == [b"two"]
    assert texts(cluster.a.listen(session_id)) == []


def test_a_beat_that_comes_late_does_not_let_go_of_what_was_just_read(cluster: Cluster) -> None:
    """How far a stream was written is kept with its release, which an outage may put behind a beat."""
    session_id = cluster.a.create()
    reader = cluster.a.listen(session_id)
    cluster.a.queue(session_id, b"one")
    cluster.a.engine.available = False
    cluster.a.store.maintenance.beat()
    reader.drop()
    cluster.a.engine.available = True
    cluster.advance(RETRY)
    assert texts(reader) == [b"one"]
    assert texts(cluster.a.listen(session_id)) == []
