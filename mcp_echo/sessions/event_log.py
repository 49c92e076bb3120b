"""A session's message queue, which is also its event log. No I/O.

One bounded first-in-first-out list per session. A message that belongs to the answer of a request is
appended to that request's stream; every other one is queued for whichever listening stream reads next. What
has been written stays in the log until it is pushed out, so that a client that lost its connection can resume
with ``Last-Event-ID``.

The bounds of the log say what can be resumed, never what a connection gets that reads: a message that there
is no room to keep, or none any more, waits for the connection of its stream, and is forgotten once that has
taken it or is lost. What belongs to an answer waits however much it is, as it would if it were no stream.
News waits within the bounds of a queue; what one request adds at once counts from the next message on, since
no connection can read while it is added.

Rules: each message goes out on exactly one stream; event ids are unique in the session and name their
stream; a resumed stream never replays another stream's messages.
https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#resumability-and-redelivery
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from operator import attrgetter
from typing import Protocol, TypeVar

from mcp_echo.sessions.budget import Budget, StateBudget

MAX_MESSAGES = 100
"""Messages kept per session unless told otherwise."""

MAX_BYTES = 256 * 1024
"""Bytes of messages kept per session unless told otherwise."""

_ANY = 1 << 62
"""A sequence higher than any."""

_EVENT_ID = re.compile(r"([gr]\d{1,15})-(\d{1,15})", re.ASCII)


class Reader(Protocol):
    """A connection that carries a stream."""

    def wake(self) -> None:
        """There is something to take, or the stream has ended."""

    def replaced(self) -> None:
        """Another connection carries the stream from now on."""

    def leave(self) -> None:
        """Close, and ask the client to come back for the rest."""


class Nobody:
    """Stands for a connection that is not on this node, or not there any more."""

    def wake(self) -> None:
        """Do nothing: what there is waits, or is taken on another node."""

    def replaced(self) -> None:
        """Do nothing: here is nothing to close."""

    def leave(self) -> None:
        """Do nothing: here is nothing to close."""


NOBODY = Nobody()


class Event:
    """One message, and where it stands in its log."""

    __slots__ = ("data", "due", "kept", "sequence", "stream", "waiting", "written")

    def __init__(self, data: bytes, *, due: bool = False) -> None:
        self.data = data
        self.due = due
        """True for a part of the answer to a request; False for news."""
        self.kept = False
        """True while it is in the log; False for one that only waits for its connection to write it."""
        self.sequence = 0
        """Its place among all events given to streams; a new one each time it is given to one."""
        self.stream: Stream | None = None
        self.waiting = True
        """True while a connection is still to take it, for the first time or again."""
        self.written = False
        """True once a connection has taken it."""

    def id_on(self, stream: Stream) -> str:
        """Return the event's id on the stream it was given to, which the id names."""
        return f"{stream.tag}-{self.sequence}"


class Stream:
    """One logical stream of a session: listening (GET) or the answer to a request (POST).

    It outlives connections; at most one connection reads it at a time.
    """

    __slots__ = ("ended", "gone", "hushed", "listening", "reader", "resumed", "tag", "unread")

    def __init__(self, tag: str, listening: bool) -> None:
        self.tag = tag
        self.listening = listening
        # Lists, though queues: an empty deque takes ten times the memory, and idle streams are many.
        self.unread: list[Event] = []
        self.reader: Reader | None = None
        """The connection; None while there is none."""
        self.resumed = False
        """True while its connection is one that came back for it."""
        self.ended = False
        """True when no message will follow: the request is answered, or the session is over."""
        self.hushed = False
        """True while not even a keep-alive may be sent: somebody tries what silence does to it."""
        self.gone = 0
        """The highest sequence of its messages that are kept no more, or were not kept."""


async def hushed(stream: Stream | None, wait: Awaitable[None]) -> None:
    """Wait, and have a stream carry no keep-alive for as long.

    Args:
        stream: The stream; None where there is none to be silent.
        wait: What to wait for.
    """
    if stream is None:
        await wait
        return
    stream.hushed = True
    try:
        await wait
    finally:
        stream.hushed = False


class Log(Protocol):
    """A session's message queue, as those use it who put messages in it and who carry them."""

    @property
    def dropped(self) -> int:
        """Messages that were pushed out, or not kept, before any stream had taken them."""

    @property
    def messages(self) -> list[bytes]:
        """The messages in the log, oldest first."""

    @property
    def listeners(self) -> int:
        """How many connections listen, or have come back for the rest of an answer."""

    def listen(self) -> Stream:
        """Open a new listening stream; it takes what is queued and then what comes."""

    def answer(self) -> Stream:
        """Open the stream of one request's answer; it carries only what is appended to it."""

    def find(self, last_event_id: str) -> Stream | None:
        """Return the stream that ``last_event_id`` names; None when it is malformed or no longer known."""

    def has_gap(self, last_event_id: str) -> bool:
        """Return whether messages may have come after that event that nobody can get any more."""

    def resume(self, last_event_id: str) -> Stream | None:
        """Return the stream that ``last_event_id`` names, set back to just behind that event, or None."""

    def attach(self, stream: Stream, reader: Reader) -> None:
        """Let a connection read ``stream`` from now on, in place of the one that did."""

    def detach(self, stream: Stream) -> None:
        """Take the connection off ``stream``; what it had not been given goes back to the queue."""

    def take(self, stream: Stream) -> Event | None:
        """Return the next message for ``stream``'s connection to write, or None."""

    def unread(self, stream: Stream) -> tuple[int, int]:
        """Return how many messages wait for ``stream``'s connection, and their bytes."""

    def position(self, stream: Stream) -> str:
        """Return an event id of ``stream`` from which a client that has seen nothing yet can resume."""

    def queue(self, data: bytes) -> bool:
        """Append a message for whichever listening stream reads; return whether one does now."""

    def burst(self) -> AbstractContextManager[None]:
        """Add messages without letting them push each other out before a connection can read any."""

    def append(self, stream: Stream, data: bytes) -> bool:
        """Append a part of an answer, which belongs on ``stream`` alone.

        Returns:
            Whether its connection has it, or is to get it, or a client that comes back for it can.
        """

    def hang_up(self, stream: Stream) -> None:
        """Close the connection that reads ``stream``; the stream goes on, for the client to resume."""

    def end(self, stream: Stream) -> None:
        """Say that nothing will follow on ``stream``; its connection closes once it has written the rest."""


def event_id(last_event_id: str) -> tuple[str, int] | None:
    """Return the stream and the sequence that an event id names, or None if it is none."""
    parsed = _EVENT_ID.fullmatch(last_event_id)
    return (parsed[1], int(parsed[2])) if parsed else None


class EventLog:
    """The queue of one session.

    Args:
        max_messages: Messages kept, delivered or not; the oldest is dropped for one more.
        max_bytes: Bytes of messages kept; the oldest are dropped for one more.
        budget: Counts the bytes of all queues together; None for one of its own, without limit.
        keeps: Whether what was written stays for a client that resumes; where nobody can, it goes at once.
    """

    __slots__ = (
        "_before_burst",
        "_budget",
        "_events",
        "_keeps",
        "_kept_bytes",
        "_max_bytes",
        "_max_messages",
        "_queued",
        "_sequence",
        "_streams",
        "_streams_made",
        "bytes",
        "dropped",
    )

    def __init__(
        self,
        max_messages: int = MAX_MESSAGES,
        max_bytes: int = MAX_BYTES,
        budget: Budget | None = None,
        keeps: bool = True,
    ) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._before_burst = _ANY
        """The highest sequence of which messages may be too many; those after it are still being added."""
        self._budget: Budget = StateBudget() if budget is None else budget
        self._keeps = keeps
        self._events: list[Event] = []
        self._queued: list[Event] = []
        self._streams: dict[str, Stream] = {}
        self._streams_made = 0
        self._sequence = 0
        self._kept_bytes = 0
        self.bytes = 0
        """Bytes of messages held: those in the log, and those that only wait for their connection."""
        self.dropped = 0
        """Messages that were pushed out, or not kept, before any stream had taken them."""

    def __len__(self) -> int:
        return len(self._events)

    def count_in(self, budget: Budget) -> None:
        """Have another budget count what this log holds, which is nothing yet."""
        self._budget = budget

    @property
    def messages(self) -> list[bytes]:
        """The messages in the log, oldest first."""
        return [event.data for event in self._events]

    @property
    def pending(self) -> int:
        """How many messages no connection has taken yet."""
        return len(self._queued) + sum(len(stream.unread) for stream in self._streams.values())

    @property
    def open_streams(self) -> int:
        """How many streams have a connection."""
        return sum(stream.reader is not None for stream in self._streams.values())

    @property
    def listeners(self) -> int:
        """How many connections listen, or have come back for the rest of an answer."""
        return sum(
            stream.reader is not None and (stream.listening or stream.resumed)
            for stream in self._streams.values()
        )

    def listen(self) -> Stream:
        """Open a new listening stream; it takes what is queued and then what comes."""
        return self._new_stream("g", listening=True)

    def answer(self) -> Stream:
        """Open the stream of one request's answer; it carries only what is appended to it."""
        return self._new_stream("r", listening=False)

    def _new_stream(self, kind: str, *, listening: bool) -> Stream:
        self._streams_made += 1
        stream = Stream(f"{kind}{self._streams_made}", listening)
        self._streams[stream.tag] = stream
        return stream

    def find(self, last_event_id: str) -> Stream | None:
        """Return the stream that ``last_event_id`` names; None when it is malformed or no longer known."""
        named = event_id(last_event_id)
        return self._streams.get(named[0]) if named else None

    def has_gap(self, last_event_id: str) -> bool:
        """Return whether messages may have come after that event that nobody can get any more."""
        named = event_id(last_event_id)
        stream = self._streams.get(named[0]) if named else None
        return named is None or stream is None or stream.gone > named[1]

    def resume(self, last_event_id: str) -> Stream | None:
        """Return the stream that ``last_event_id`` names, set back to just behind that event.

        Returns:
            The stream, or None when the id is malformed or its stream is no longer known.
        """
        stream = self.find(last_event_id)
        if stream is None:
            return None
        seen = int(last_event_id.partition("-")[2])
        held = self._held_for(stream)
        for event in held:
            # What was never written has to go out whatever the client claims to have seen.
            event.waiting = event.sequence > seen or not event.written
            if not (event.kept or event.waiting):
                self._release(event)
        self._budget.whole.waiting -= len(stream.unread)
        stream.unread = [event for event in held if event.waiting]
        self._budget.whole.waiting += len(stream.unread)
        stream.resumed = True
        return stream

    def _held_for(self, stream: Stream) -> list[Event]:
        """Return the messages of a stream that are in the log or wait for its connection, oldest first."""
        held = [event for event in self._events if event.stream is stream]
        held += [event for event in stream.unread if not event.kept]
        return sorted(held, key=attrgetter("sequence"))

    def attach(self, stream: Stream, reader: Reader) -> None:
        """Let a connection read ``stream`` from now on, in place of the one that did.

        Args:
            stream: A stream of this log.
            reader: The connection; woken at once if there is something for it.
        """
        before, stream.reader = stream.reader, reader
        if before is not None:
            before.replaced()
        if stream.listening:
            self._give_queued(stream)
        if stream.unread or stream.ended:
            reader.wake()

    def _give_queued(self, stream: Stream) -> None:
        queued, self._queued = self._queued, []
        for event in queued:
            self._give(stream, event)

    def _give(self, stream: Stream, event: Event) -> None:
        self._sequence += 1
        event.sequence = self._sequence
        event.stream = stream
        stream.unread.append(event)
        # It may have been forgotten, when the last that could be resumed from it made room for this.
        self._streams[stream.tag] = stream

    def detach(self, stream: Stream) -> None:
        """Take the connection off ``stream``; what it had not been given goes back to the queue."""
        stream.reader = None
        stream.resumed = False
        for event in [event for event in stream.unread if not event.kept]:
            self._drop(event)
        if stream.listening:
            self._take_back(stream)
            self._offer_queued()
        if not self._keeps:
            self._forget_unread()
        self._forget_if_spent(stream)

    def _take_back(self, stream: Stream) -> None:
        """Queue again what no connection has taken; what one has taken stays the stream's own."""
        waiting, stream.unread = stream.unread, []
        for event in waiting:
            if event.written:
                event.waiting = False
                self._budget.whole.waiting -= 1
            else:
                event.stream = None
        self._queued[:0] = [event for event in waiting if not event.written]

    def _offer_queued(self) -> None:
        listener = self._listener()
        if listener is None or not self._queued:
            return
        self._give_queued(listener)
        self._wake(listener)

    def _listener(self) -> Stream | None:
        return next(
            (stream for stream in self._streams.values() if stream.listening and stream.reader is not None),
            None,
        )

    @staticmethod
    def _wake(stream: Stream) -> None:
        if stream.reader is not None:
            stream.reader.wake()

    def take(self, stream: Stream) -> Event | None:
        """Return the next message for ``stream``'s connection to write, or None."""
        if not stream.unread:
            return None
        event = stream.unread.pop(0)
        event.waiting = False
        event.written = True
        self._budget.whole.waiting -= 1
        if not (event.kept and self._keeps):
            self._release(event)
        return event

    def unread(self, stream: Stream) -> tuple[int, int]:
        """Return how many messages wait for ``stream``'s connection, and their bytes."""
        return len(stream.unread), sum(len(event.data) for event in stream.unread)

    def position(self, stream: Stream) -> str:
        """Return an event id of ``stream`` from which a client that has seen nothing yet can resume."""
        first = stream.unread[0].sequence - 1 if stream.unread else self._sequence
        return f"{stream.tag}-{first}"

    def queue(self, data: bytes) -> bool:
        """Append a message for whichever listening stream reads; return whether one does now."""
        listener = self._listener()
        return self._append(Event(data), listener) and listener is not None

    def append(self, stream: Stream, data: bytes) -> bool:
        """Append a part of an answer, which belongs on ``stream`` alone; see `Log.append`."""
        return self._append(Event(data, due=True), stream)

    def tell(self, stream: Stream, data: bytes) -> None:
        """Append news that belongs on ``stream`` alone."""
        self._append(Event(data), stream)

    def _append(self, event: Event, stream: Stream | None) -> bool:
        if not self._take_in(event, stream):
            return False
        if stream is None:
            self._queued.append(event)
            return True
        self._give(stream, event)
        self._wake(stream)
        if event.waiting and not event.due:
            self._bound_news(stream)
        return event.written or event.waiting

    def _take_in(self, event: Event, stream: Stream | None) -> bool:
        """Hold a message, in the log or else for its connection alone; return False if it is lost."""
        read_now = stream is not None and stream.reader is not None
        kept = (self._keeps or read_now) and self._make_room(len(event.data))
        if kept or read_now:
            self._hold(event, kept=kept)
            return True
        self._count_loss(event)
        if stream is not None:
            self._sequence += 1
            stream.gone = self._sequence
        return False

    def _hold(self, event: Event, *, kept: bool) -> None:
        size = len(event.data)
        event.kept = kept
        if kept:
            self._events.append(event)
            self._kept_bytes += size
        self.bytes += size
        self._budget.count_queued(size)
        self._budget.whole.waiting += 1
        self._budget.whole.messages_queued += 1

    def _release(self, event: Event) -> None:
        """Hold a message no longer, wherever it stands."""
        size = len(event.data)
        if event.stream is not None:
            event.stream.gone = max(event.stream.gone, event.sequence)
        if event.kept:
            self._events.remove(event)
            self._kept_bytes -= size
        self.bytes -= size
        self._budget.count_queued(-size)
        if event.waiting:
            waiting = self._queued if event.stream is None else event.stream.unread
            waiting.remove(event)
            event.waiting = False
            self._budget.whole.waiting -= 1

    def _make_room(self, size: int) -> bool:
        """Push the oldest messages out for one of ``size`` bytes; return whether it can be kept then."""
        if size > self._max_bytes or not self._could_make_room(size):
            return False
        while self._events and not (
            len(self._events) < self._max_messages
            and self._kept_bytes + size <= self._max_bytes
            and self._budget.has_room(size)
        ):
            self._push_out(self._events[0])
        return True

    def _could_make_room(self, size: int) -> bool:
        """Return whether all queues together have room, at the least once the messages here have gone."""
        if self._budget.has_room(size):
            return True
        freed = sum(len(event.data) for event in self._events if not _is_coming(event))
        return self._budget.has_room(size - freed)

    def _push_out(self, event: Event) -> None:
        """Keep a message no longer; a connection that is to take it still gets it."""
        if not _is_coming(event):
            self._drop(event)
            return
        self._events.remove(event)
        self._kept_bytes -= len(event.data)
        event.kept = False

    def _drop(self, event: Event) -> None:
        """Let a message go, and count it if nobody has seen it."""
        stream = event.stream
        self._release(event)
        if not event.written:
            self._count_loss(event)
        if stream is not None:
            self._forget_if_spent(stream)

    def _count_loss(self, event: Event) -> None:
        self.dropped += 1
        self._budget.whole.messages_dropped += 1
        if self._keeps and not event.kept:
            self._budget.lose_message(len(event.data), self._max_bytes)

    @contextmanager
    def burst(self) -> Iterator[None]:
        """Add messages without letting them push each other out before a connection can read any."""
        self._before_burst = self._sequence
        try:
            yield
        finally:
            self._before_burst = _ANY

    def _bound_news(self, stream: Stream) -> None:
        """Bound the news that waits for a connection that does not read at the moment."""
        if len(stream.unread) > self._max_messages or self.bytes > self._max_bytes:
            self._drop_surplus(stream)
        if not self._budget.has_room(0):
            self._drop_unkept(stream)

    def _drop_surplus(self, stream: Stream) -> None:
        """Let go of news that is too much for one queue."""
        news = [event for event in stream.unread if not event.due]
        for event in surplus(news, self._max_messages, self._max_bytes):
            if event.sequence <= self._before_burst:
                self._drop(event)

    def _drop_unkept(self, stream: Stream) -> None:
        """Let go of news that is in no log, until all queues together are within their limit."""
        for event in [event for event in stream.unread if not (event.due or event.kept)]:
            if self._budget.has_room(0):
                break
            self._drop(event)

    def hang_up(self, stream: Stream) -> None:
        """Close the connection that reads ``stream``; the stream goes on, for the client to resume."""
        if stream.reader is not None:
            stream.reader.leave()

    def end(self, stream: Stream) -> None:
        """Say that nothing will follow on ``stream``; its connection closes once it has written the rest."""
        stream.ended = True
        self._wake(stream)
        self._forget_if_spent(stream)

    def close(self) -> None:
        """End the listening streams: the session is over, and nobody can come back for what was written.

        A request that is still being worked on gets its answer, and its stream ends with that.
        """
        for stream in list(self._streams.values()):
            if stream.listening:
                self.end(stream)
        self._keeps = False
        self._forget_unread()

    def _forget_unread(self) -> None:
        """Forget what no connection is going to take."""
        for event in list(self._events):
            if not event.waiting or event.stream is None or event.stream.reader is None:
                self._release(event)

    def _forget_if_spent(self, stream: Stream) -> None:
        """Drop a stream that nobody reads and that has nothing left to resume from."""
        if stream.reader is not None or not (stream.listening or stream.ended):
            return
        if not any(event.stream is stream for event in self._events):
            self._streams.pop(stream.tag, None)


class _Message(Protocol):
    """Something with the bytes of a message."""

    @property
    def data(self) -> bytes:
        """The bytes."""


Waiting = TypeVar("Waiting", bound=_Message)


def surplus(waiting: Iterable[Waiting], max_messages: int, max_bytes: int) -> list[Waiting]:
    """Return the oldest of some messages, which are too many to wait for a connection.

    One that is larger than all together may be waits for itself, so that it costs no other.

    Args:
        waiting: The messages, oldest first.
        max_messages: How many may wait.
        max_bytes: Bytes that they may have together.
    """
    small: list[Waiting] = []
    large: list[Waiting] = []
    for each in waiting:
        (large if len(each.data) > max_bytes else small).append(each)
    count = len(small)
    size = sum(len(each.data) for each in small)
    beyond = large[:-1]
    for each in small:
        if count <= max_messages and size <= max_bytes:
            break
        count, size = count - 1, size - len(each.data)
        beyond.append(each)
    return beyond


def _is_coming(event: Event) -> bool:
    """Return whether a connection is about to take an event."""
    return event.waiting and event.stream is not None and event.stream.reader is not None
