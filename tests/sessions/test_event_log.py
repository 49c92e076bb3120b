"""The queue of a session: what goes out where, in which order, and what is kept."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.sessions.budget import StateBudget
from mcp_echo.sessions.event_log import MAX_BYTES, MAX_MESSAGES, EventLog, Stream


class Connection:
    """A reader that takes everything as soon as it is woken or, when not ``fast``, nothing until `read`."""

    def __init__(self, log: EventLog, stream: Stream, *, fast: bool = True) -> None:
        self.log = log
        self.stream = stream
        self.fast = fast
        self.got: list[bytes] = []
        self.ids: list[str] = []
        self.woken = 0
        self.lost = False
        log.attach(stream, self)

    def wake(self) -> None:
        self.woken += 1
        if self.fast:
            self.read()

    def replaced(self) -> None:
        self.lost = True

    def read(self, at_most: int = 10**6) -> None:
        while at_most and (event := self.log.take(self.stream)) is not None:
            self.got.append(event.data)
            self.ids.append(event.id_on(self.stream))
            at_most -= 1

    def leave(self) -> None:
        self.log.detach(self.stream)


def resumed(log: EventLog, event_id: str) -> Stream:
    stream = log.resume(event_id)
    assert stream is not None
    return stream


def queued(log: EventLog, *messages: bytes) -> None:
    for message in messages:
        log.queue(message)


def test_what_was_queued_goes_to_the_first_listener_in_order() -> None:
    """Documented behaviour: GET polls for queued messages, first in, first out."""
    log = EventLog()
    queued(log, b"1", b"2", b"3")
    assert log.pending == 3
    listener = Connection(log, log.listen())
    assert listener.got == [b"1", b"2", b"3"]
    queued(log, b"4")
    assert listener.got == [b"1", b"2", b"3", b"4"]
    assert (log.pending, len(log), log.dropped) == (0, 4, 0)


def test_a_message_goes_to_one_of_two_listeners() -> None:
    """2025-11-25 basic/transports, Multiple Connections: each message on only one stream, never broadcast."""
    log = EventLog()
    first, second = Connection(log, log.listen()), Connection(log, log.listen())
    queued(log, b"1", b"2")
    assert first.got + second.got == [b"1", b"2"]


def test_an_answer_stays_on_its_stream() -> None:
    """2025-11-25 basic/transports: a response MUST NOT come on the GET stream."""
    log = EventLog()
    listener, answer = Connection(log, log.listen()), Connection(log, log.answer())
    log.append(answer.stream, b"progress")
    queued(log, b"news")
    log.append(answer.stream, b"result")
    log.end(answer.stream)
    assert (listener.got, answer.got) == ([b"news"], [b"progress", b"result"])
    assert (answer.stream.ended, listener.stream.ended) == (True, False)


def test_event_ids_are_unique_and_name_their_stream() -> None:
    """2025-11-25 basic/transports, Resumability: unique across all streams of the session."""
    log = EventLog()
    readers = [Connection(log, log.listen()), Connection(log, log.answer()), Connection(log, log.answer())]
    for number in range(5):
        queued(log, b"q%d" % number)
        for reader in readers[1:]:
            log.append(reader.stream, b"a")
    ids = [event_id for reader in readers for event_id in reader.ids]
    assert len(set(ids)) == len(ids) == 15
    for reader in readers:
        assert {event_id.partition("-")[0] for event_id in reader.ids} == {reader.stream.tag}


@pytest.mark.parametrize("seen", range(5))
def test_resuming_replays_what_came_after_the_last_event(seen: int) -> None:
    """2025-11-25 basic/transports, Resumability: messages after the last event id, on that stream."""
    log = EventLog()
    lost = Connection(log, log.listen())
    position = log.position(lost.stream)
    queued(log, b"1", b"2", b"3", b"4")
    lost.leave()
    queued(log, b"5")
    stream = log.resume([position, *lost.ids][seen])
    assert stream is lost.stream
    again = Connection(log, stream)
    assert again.got == [b"1", b"2", b"3", b"4", b"5"][seen:]
    assert log.dropped == 0


def test_resuming_one_stream_never_replays_another_s_messages() -> None:
    """2025-11-25 basic/transports, Resumability: MUST NOT replay messages of a different stream."""
    log = EventLog()
    answer, listener = Connection(log, log.answer()), Connection(log, log.listen())
    queued(log, b"news")
    log.append(answer.stream, b"a")
    queued(log, b"more")
    log.append(answer.stream, b"b")
    log.end(answer.stream)
    answer.leave()
    listener.leave()
    stream = log.resume(answer.ids[0])
    assert stream is not None
    again = Connection(log, stream)
    assert (again.got, stream.ended) == ([b"b"], True)


def test_an_answer_can_be_read_later_by_a_client_that_was_cut_off() -> None:
    """2025-11-25 basic/transports: a disconnection is no cancellation; the answer waits to be resumed."""
    log = EventLog()
    answer = Connection(log, log.answer())
    position = log.position(answer.stream)
    answer.leave()
    log.append(answer.stream, b"result")
    log.end(answer.stream)
    assert answer.got == []
    stream = log.resume(position)
    assert stream is answer.stream
    assert Connection(log, stream).got == [b"result"]


def test_what_a_slow_listener_had_not_been_given_goes_to_the_next() -> None:
    """Our choice: only what was written counts as delivered."""
    log = EventLog()
    slow = Connection(log, log.listen(), fast=False)
    queued(log, b"1", b"2", b"3")
    slow.read(at_most=1)
    slow.leave()
    assert log.pending == 2
    queued(log, b"4")
    assert Connection(log, log.listen()).got == [b"2", b"3", b"4"]
    assert slow.got == [b"1"]


def test_a_waiting_listener_takes_over_at_once() -> None:
    """Our choice: as above, with a second connection already there."""
    log = EventLog()
    slow = Connection(log, log.listen(), fast=False)
    other = Connection(log, log.listen())
    queued(log, b"1", b"2")
    slow.leave()
    assert other.got == [b"1", b"2"]


def test_a_second_connection_on_a_stream_replaces_the_first() -> None:
    """Our choice: a client that reconnects is not kept out by its own lost connection."""
    log = EventLog()
    first = Connection(log, log.listen())
    queued(log, b"1")
    second = Connection(log, first.stream)
    queued(log, b"2")
    assert (first.lost, first.got, second.got, log.open_streams) == (True, [b"1"], [b"2"], 1)


def test_a_connection_is_woken_for_what_waits_and_for_the_end() -> None:
    """Our choice: attaching to a stream with something to say must not wait for the next message."""
    log = EventLog()
    answer = log.answer()
    log.append(answer, b"a")
    log.end(answer)
    connection = Connection(log, answer, fast=False)
    assert connection.woken == 1
    assert Connection(log, log.listen(), fast=False).woken == 0


def test_the_oldest_message_makes_room_for_one_more_than_the_limit() -> None:
    """Documented behaviour: at most 100 messages a session, the oldest removed."""
    log = EventLog()
    queued(log, *(b"%d" % number for number in range(MAX_MESSAGES)))
    assert (len(log), log.dropped) == (MAX_MESSAGES, 0)
    queued(log, b"last")
    assert (len(log), log.dropped) == (MAX_MESSAGES, 1)
    got = Connection(log, log.listen()).got
    assert (got[0], got[-1], len(got)) == (b"1", b"last", MAX_MESSAGES)


def test_the_oldest_messages_make_room_for_bytes() -> None:
    """Our choice: 100 large messages must not hold a hundred times a request's size."""
    log = EventLog()
    queued(log, b"a" * (MAX_BYTES // 2), b"b" * (MAX_BYTES // 2))
    assert (log.bytes, log.dropped) == (MAX_BYTES, 0)
    queued(log, b"c")
    assert (log.bytes, log.dropped) == (MAX_BYTES // 2 + 1, 1)


def test_a_message_larger_than_the_queue_is_not_kept_and_pushes_nothing_out() -> None:
    """Our choice: one message must not take more than a whole queue may."""
    log = EventLog(max_bytes=10)
    queued(log, b"a", b"b" * 11)
    assert (log.messages, log.bytes, log.dropped) == ([b"a"], 1, 1)
    queued(log, b"c" * 9)
    assert (log.messages, log.bytes, log.dropped) == ([b"a", b"c" * 9], 10, 1)


@pytest.mark.parametrize("kind", ["listen", "answer"])
@pytest.mark.parametrize("fast", [True, False])
def test_a_message_larger_than_the_queue_reaches_who_reads_the_stream(kind: str, fast: bool) -> None:
    """Our choice: what cannot be kept is delivered all the same, in its turn, and then gone."""
    log = EventLog(max_bytes=10)
    reader = Connection(log, getattr(log, kind)(), fast=fast)
    for message in (b"1", b"2" * 50, b"3"):
        log.append(reader.stream, message)
    log.end(reader.stream)
    reader.read()
    assert (reader.got, log.dropped) == ([b"1", b"2" * 50, b"3"], 0)
    assert (log.messages, log.bytes, log.pending) == ([b"1", b"3"], 2, 0)


def test_what_cannot_be_kept_is_lost_with_the_connection_that_did_not_read_it() -> None:
    """Our choice: there is nothing to resume it from; the loss is counted."""
    log = EventLog(max_bytes=10)
    reader = Connection(log, log.listen(), fast=False)
    queued(log, b"1", b"2" * 50)
    reader.leave()
    assert (log.bytes, log.pending, log.dropped) == (1, 1, 1)
    assert Connection(log, log.listen()).got == [b"1"]


def test_a_connection_that_takes_a_stream_over_gets_what_cannot_be_kept() -> None:
    """2025-11-25 basic/transports, Resumability: what was never written is due to whoever comes back."""
    log = EventLog(max_bytes=10)
    old = Connection(log, log.answer(), fast=False)
    log.append(old.stream, b"1")
    old.read()
    log.append(old.stream, b"2" * 50)
    stream = log.resume(old.ids[0])
    assert stream is old.stream
    again = Connection(log, stream)
    assert (again.got, old.lost, log.bytes, log.pending) == ([b"2" * 50], True, 1, 0)


def test_large_messages_do_not_pile_up_before_a_listener_that_does_not_read() -> None:
    """Our choice: a stalled client costs one of them, the newest; the others are counted as dropped."""
    log = EventLog(max_bytes=10)
    reader = Connection(log, log.listen(), fast=False)
    queued(log, *(b"%d" % number * 50 for number in range(5)))
    assert (log.bytes, log.pending, log.dropped) == (50, 1, 4)
    reader.read()
    assert reader.got == [b"4" * 50]
    queued(log, b"5")
    reader.read()
    assert reader.got[1:] == [b"5"]


def test_a_log_that_is_closed_keeps_nothing_but_what_is_being_read() -> None:
    """Our choice: the memory of a session goes with it, but for what a connection is still to be told."""
    log = EventLog()
    reader = Connection(log, log.answer(), fast=False)
    queued(log, b"1")
    log.append(reader.stream, b"22")
    log.close()
    assert (log.bytes, log.pending) == (2, 1)
    queued(log, b"3")
    assert (log.bytes, log.pending) == (2, 1)
    reader.read()
    assert (reader.got, log.bytes) == ([b"22"], 0)


def test_a_log_that_cannot_be_resumed_keeps_nothing_that_was_written() -> None:
    """2026-07-28 basic/transports/streamable-http: the modern era has no resumption, so there is no use."""
    log = EventLog(keeps=False)
    reader = Connection(log, log.answer(), fast=False)
    for message in (b"1", b"2", b"3"):
        log.append(reader.stream, message)
    reader.read(at_most=2)
    assert (log.messages, log.bytes) == ([b"3"], 1)
    reader.leave()
    log.append(reader.stream, b"4")
    assert (log.messages, log.bytes, log.pending) == ([], 0, 0)


def test_connections_that_listen_are_counted() -> None:
    """MCP_ECHO_MAX_STREAMS_PER_SESSION bounds them: what listens, and what came back for an answer."""
    log = EventLog()
    listener, answer = Connection(log, log.listen()), Connection(log, log.answer())
    assert (log.listeners, log.open_streams) == (1, 2)
    log.append(answer.stream, b"1")
    answer.leave()
    stream = log.resume(answer.ids[0])
    assert stream is not None
    again = Connection(log, stream)
    assert (log.listeners, log.open_streams) == (2, 2)
    again.leave()
    listener.leave()
    assert (log.listeners, log.open_streams) == (0, 0)


def test_what_was_written_is_pushed_out_without_counting_as_dropped() -> None:
    """Our choice: `dropped` tells of losses."""
    log = EventLog(max_messages=2)
    listener = Connection(log, log.listen())
    queued(log, b"1", b"2", b"3", b"4")
    assert (len(log), log.dropped, listener.got) == (2, 0, [b"1", b"2", b"3", b"4"])


@pytest.mark.parametrize("kind", ["listen", "answer"])
def test_a_stream_that_nobody_reads_drops_its_oldest_too(kind: str) -> None:
    """Our choice: bounded for every kind of stream."""
    log = EventLog(max_messages=2)
    stream = getattr(log, kind)()
    for message in (b"1", b"2", b"3"):
        log.append(stream, message)
    assert (Connection(log, stream).got, log.dropped) == ([b"2", b"3"], 1)


@pytest.mark.parametrize("bounds", [{"max_messages": 2}, {"max_bytes": 20}, {"budget": StateBudget(25)}])
def test_an_answer_reaches_its_connection_whole_after_a_pause(bounds: Any) -> None:
    """Every request has its answer: what the log has no room for any more still waits for its connection."""
    log = EventLog(**bounds)
    reader = Connection(log, log.answer(), fast=False)
    messages = [b"%010d" % number for number in range(50)]
    for message in messages:
        log.append(reader.stream, message)
    log.end(reader.stream)
    assert (log.bytes, len(log)) == (500, 2), "the bounds say what can be resumed"
    reader.read()
    assert (reader.got, log.dropped, log.bytes, len(log)) == (messages, 0, 20, 2)


def test_a_burst_of_one_request_reaches_a_listener_that_cannot_read_meanwhile() -> None:
    """Our choice: a connection reads between two requests, so that one's news must not count as its delay."""
    log = EventLog(max_messages=3)
    reader = Connection(log, log.listen(), fast=False)
    queued(log, b"before", b"and", b"before")
    with log.burst():
        queued(log, *(b"%d" % number for number in range(30)))
    assert (log.pending, log.dropped) == (30, 3), "what was there before gives way"
    reader.read(at_most=29)
    queued(log, b"after")
    reader.read()
    assert (reader.got, log.dropped) == ([*(b"%d" % number for number in range(30)), b"after"], 3)


def test_a_burst_is_bounded_from_the_next_message_on() -> None:
    """Our choice: a connection that does not read costs a queue, and for a moment what one request adds."""
    log = EventLog(max_messages=3)
    reader = Connection(log, log.listen(), fast=False)
    with log.burst():
        queued(log, *(b"%d" % number for number in range(30)))
    queued(log, b"after")
    assert (log.pending, log.dropped) == (3, 28)
    reader.read()
    assert reader.got == [b"28", b"29", b"after"]


def test_answers_on_a_stream_make_no_news_give_way() -> None:
    """Revision 2024-11-05 has both on one stream: each is bounded by its own rule."""
    log = EventLog(max_messages=2, max_bytes=100)
    reader = Connection(log, log.listen(), fast=False)
    queued(log, b"news")
    answers = [b"answer %d" % number for number in range(20)]
    for answer in answers:
        log.append(reader.stream, answer)
    queued(log, b"more news")
    reader.read()
    assert (reader.got, log.dropped) == ([b"news", *answers, b"more news"], 0)


def test_what_was_pushed_out_while_a_replay_was_due_is_held_no_longer_than_that() -> None:
    """Our choice: nothing stays in memory that nobody can ask for."""
    log = EventLog(max_messages=1)
    reader = Connection(log, log.answer())
    log.append(reader.stream, b"1")
    first = reader.ids[0]
    reader.leave()
    again = Connection(log, resumed(log, f"{reader.stream.tag}-0"), fast=False)
    log.append(reader.stream, b"2")
    assert (log.bytes, log.pending) == (2, 2), "the replay waits, though it was pushed out"
    last = Connection(log, resumed(log, first))
    assert (again.lost, last.got, log.bytes, log.pending) == (True, [b"2"], 1, 0)


def test_streams_that_are_over_are_forgotten() -> None:
    """Our choice: a session that opens a stream with every request holds none of them in the end."""
    log = EventLog(max_messages=3)
    for _ in range(50):
        listener, answer = Connection(log, log.listen()), Connection(log, log.answer())
        log.append(answer.stream, b"a")
        log.end(answer.stream)
        listener.leave()
        answer.leave()
    assert len(log._streams) <= 3
    assert log.open_streams == 0


def test_a_message_for_a_stream_that_was_forgotten_waits_for_its_client() -> None:
    """Our choice: nothing that is held is out of the count, or out of reach."""
    log = EventLog(max_messages=1)
    listener = Connection(log, log.listen())
    log.append(listener.stream, b"early")
    listener.leave()
    log.append(listener.stream, b"late")
    assert log.pending == 1
    back = log.resume(f"{listener.stream.tag}-0")
    assert back is not None
    assert Connection(log, back).got == [b"late"]


def test_closing_ends_what_listens_and_lets_answers_come() -> None:
    """2025-11-25 basic/transports: a terminated session has no streams; our choice: requests have answers."""
    log = EventLog()
    listener, waiting = Connection(log, log.listen()), Connection(log, log.answer())
    log.close()
    assert [(reader.stream.ended, reader.woken) for reader in (listener, waiting)] == [(True, 1), (False, 0)]
    log.append(waiting.stream, b"the answer")
    log.end(waiting.stream)
    assert (waiting.got, waiting.stream.ended, log.bytes) == ([b"the answer"], True, 0)


@pytest.mark.parametrize(
    "event_id",
    [
        "",
        "g1",
        "g1-",
        "-1",
        "x1-1",
        "g1-1-1",
        "g1--1",
        " g1-0",
        "g1-0\n",
        "G1-0",
        "g١-0",
        "g1-" + "9" * 16,
        "g2-0",
        "r1-0",
    ],
)
def test_an_id_that_names_no_stream_resumes_none(event_id: str) -> None:
    """Our choice: an id that was not given out here reads as no id."""
    log = EventLog()
    Connection(log, log.listen())
    assert log.resume(event_id) is None


@given(st.text())
def test_no_event_id_raises(event_id: str) -> None:
    """Our choice: Last-Event-ID is whatever a client sends."""
    log = EventLog()
    log.listen()
    log.resume(event_id)


def test_an_id_from_the_future_loses_nothing() -> None:
    """Our choice: an id never given out makes the log neither forget what it holds nor fail later."""
    log = EventLog(max_messages=3)
    slow = Connection(log, log.listen(), fast=False)
    queued(log, b"1", b"2")
    log.resume(f"{slow.stream.tag}-999")
    queued(log, b"3", b"4", b"5")
    slow.read()
    assert slow.got == [b"3", b"4", b"5"]
    assert log.dropped == 2


def test_messages_that_change_hands_stay_in_order() -> None:
    """2025-11-25 basic/transports, Resumability: an event id is a cursor in its stream, so ids only grow."""
    log = EventLog()
    first = Connection(log, log.listen(), fast=False)
    queued(log, b"1")
    first.read()
    second = Connection(log, log.listen(), fast=False)
    first.leave()
    queued(log, b"2")
    stream = log.resume(first.ids[-1])
    assert stream is not None
    again = Connection(log, stream, fast=False)
    queued(log, b"3")
    second.leave()
    again.read()
    assert sorted(again.got) == [b"2", b"3"]
    numbers = [int(event_id.partition("-")[2]) for event_id in again.ids]
    assert numbers == sorted(numbers)


def test_a_log_tells_whether_a_stream_has_taken_a_message() -> None:
    """What a tool reports to have sent is what a connection reads or can come back for."""
    log = EventLog(max_bytes=10)
    assert log.queue(b"nobody listens") is False
    answer = log.answer()
    assert log.append(answer, b"resumable") is True
    assert log.append(answer, b"too large to be kept") is False
    reader = Connection(log, answer, fast=False)
    assert log.append(answer, b"too large to be kept") is True
    reader.leave()
    Connection(log, log.listen())
    assert log.queue(b"read") is True


def test_a_log_that_is_closed_takes_no_message() -> None:
    """Nobody can come back for it."""
    log = EventLog()
    answer = log.answer()
    log.close()
    assert (log.append(answer, b"late"), log.queue(b"late")) == (False, False)
