"""One node's copy of a session that an engine keeps, and the connections that read it here. No I/O.

The copy follows what is kept; it is never changed by itself. A change is worked out on a draft of it, carried
out by the engine if the copy was up to date, and only then applied here: messages reach a connection after
they are kept, and whatever a client was answered stays true when this node is gone.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from copy import copy
from dataclasses import InitVar, dataclass, field
from typing import Any

import msgspec

from mcp_echo.cluster.engine import Change, KeptRecord, SessionBytes
from mcp_echo.cluster.record import StoredSession, decode, decode_echo, encode, encode_echo
from mcp_echo.cluster.stream_log import Bounds, StreamLog, StreamState, Summary, Unkept
from mcp_echo.protocol.jsonrpc import MessageId
from mcp_echo.sessions.event_log import Event, Reader, Stream, surplus
from mcp_echo.sessions.key import SessionKey
from mcp_echo.sessions.session import Echo, Running, go_astray

UNKNOWN = 0
"""The version of a copy of which it is not known whether it was ever kept: no record has it."""

MARKS = 8
"""Nodes whose last change of a session is remembered in it."""


class HeldStream(Stream):
    """A stream that is read on this node."""

    __slots__ = ("came_back", "is_new", "offered", "written")

    def __init__(self, tag: str, listening: bool, after: int) -> None:
        super().__init__(tag, listening)
        self.came_back = False
        """True once its client reads it again, on another connection to this node."""
        self.is_new = True
        """True until it is known to be kept."""
        self.offered = after
        """The highest sequence that was put in ``unread``."""
        self.written = after
        """The highest sequence that its connection has taken."""

    def offer(self, sequence: int, data: bytes, kept: bool) -> None:
        """Let its connection take a message."""
        event = Event(data)
        event.sequence, event.stream, event.kept = sequence, self, kept
        self.unread.append(event)
        self.offered = max(self.offered, sequence)

    def take_unkept(self) -> list[Unkept]:
        """Return what waits for its connection and is not kept; from now on nothing waits."""
        unkept = [Unkept(self.tag, event.sequence, event.data) for event in self.unread if not event.kept]
        self.unread.clear()
        return unkept


def question_id(node: str, number: int) -> str:
    """Return the id of a question that a node asks a client."""
    return f"{node}.{number}"


_QUESTION_ID = re.compile(r"([A-Za-z0-9_-]{1,40})\.([0-9]{1,15})", re.ASCII)


def asked_by(message_id: MessageId | None) -> tuple[str | None, int]:
    """Return the node, and its number, of the question that an id names; no node where it names none."""
    named = _QUESTION_ID.fullmatch(message_id) if isinstance(message_id, str) else None
    return (named[1], int(named[2])) if named else (None, 0)


Operation = Callable[["Draft"], None]
"""A change that can be worked out anew on whatever is kept by then."""


@dataclass(slots=True, eq=False)
class CachedSession:
    """A copy of one session."""

    key: SessionKey
    """What it is found by."""
    record: InitVar[KeptRecord]
    """What is kept."""
    bounds: InitVar[Bounds]
    """How much its log keeps."""
    node: InitVar[str]
    """The name of this node."""
    id: str = field(init=False)
    owner: str | None = field(init=False)
    handle: bool = field(init=False)
    version: int = UNKNOWN
    stored: StoredSession = field(init=False)
    echo: Echo | None = None
    stream_log: StreamLog = field(init=False)
    held: SessionBytes = field(init=False)
    """What it holds, as it is kept."""
    cache_bytes: int = 0
    """The memory that it takes, about, as the cache has counted it."""
    created: int = field(init=False)
    used: int = field(init=False)
    streams: dict[str, HeldStream] = field(default_factory=dict)
    """Tag → stream, of those that a connection on this node reads."""
    busy: bool = False
    """Whether a change of it is under way on this node."""
    waiting: deque[Any] = field(default_factory=deque)
    """Promises to those that wait for their turn to change it."""
    later: list[tuple[Operation, int]] = field(default_factory=list)
    """Changes that are to be made as soon as may be, and the bytes of messages in each."""
    leaving: dict[str, HeldStream] = field(default_factory=dict)
    """Tag → stream, of those that lost their connection here, until it is kept that they did."""
    settling: list[Any] = field(default_factory=list)
    """Promises to those that wait until these changes are kept."""
    tried: dict[int, int] = field(default_factory=dict)
    """Mark → how many of them a try took, for tries of which it is not known how they ended."""
    unclaimed: list[Unkept] = field(default_factory=list)
    """Messages that were not kept, for streams that have no connection here yet."""
    uncounted: int = 0
    """Messages lost on the way to a connection here, which what is kept does not tell yet."""
    has_ended: bool = False
    look_is_due: bool = False
    """Whether this node is about to look whether others have changed it."""
    stays: bool = False
    """Whether something on this node has to hear of its end."""
    watched: bool = False
    """Whether its echoes have a listener on this node."""
    seen_echoes: int = 0
    """The echo count that was told here, while its echoes have a listener."""
    running: dict[int | str, Running] = field(default_factory=dict)
    expected: dict[str, Any] = field(default_factory=dict)
    asked: int = 0
    in_flight: int = 0
    calls_due: float = 0.0

    def __post_init__(self, record: KeptRecord, bounds: Bounds, node: str) -> None:
        self.id, self.owner, self.handle = self.key
        self.created = record.created
        self.stream_log = StreamLog(Summary(), [], bounds, node)
        self.follow(record)

    def go_astray(self, message_id: MessageId | None, *, refused: bool) -> None:
        """Tell the questions that this node has asked of an answer that is none to any of them.

        Args:
            message_id: The answer's id; one that names another node's question concerns that node alone.
            refused: Whether the answer was malformed.
        """
        asking, number = asked_by(message_id)
        if asking in (None, self.stream_log.node):
            asked = asking is not None and number <= self.asked
            go_astray(self.expected.values(), message_id, refused=refused, asked=asked)

    @property
    def needed(self) -> bool:
        """Whether something on this node depends on it, so that it must not be forgotten."""
        return bool(
            self.busy or self.waiting or self.streams or self.later or self.watched or self.running
            or self.expected or self.stays
        )  # fmt: skip

    @property
    def known(self) -> int:
        """The highest sequence whose messages are here, as far as the copy can be believed."""
        return 0 if self.version == UNKNOWN else self.stream_log.summary.sequence

    def follow(self, record: KeptRecord, known: int = 0) -> bool:
        """Take over what is kept.

        Args:
            record: What is kept.
            known: The sequence up to which its messages were left out, because they were known here.

        Returns:
            False when messages have moved since the copy was made, and the record has to be read from the
            first message on; nothing is taken over then.

        Raises:
            TypeError, ValueError, msgspec.MsgspecError: It is not what was kept; nothing is taken over.
        """
        if not _is_sound(record):
            raise TypeError("a number is none, or a message")
        stored, echo = decode(record.state), decode_echo(record.echo)
        before = self.stream_log
        if known and stored.log.moves != before.summary.moves:
            return False
        old = [entry for entry in before.entries if stored.log.first <= entry.sequence <= known]
        self.version, self.stored, self.used = record.version, stored, record.used
        self.stream_log = StreamLog(stored.log, [*old, *record.entries], before.bounds, before.node)
        self.echo = echo
        self.held = self.stream_log.held(echo)
        for stream in self.streams.values():
            state = self.stream_log.states.get(stream.tag)
            if state is not None and state.owner == self.stream_log.node:
                # Who pushed them out has counted them as lost, and could not know that they wait here.
                self.uncounted -= self._note_pushed_out(stream)
        return True

    def apply(self, draft: Draft, change: Change, now: int) -> None:
        """Take over a change that was carried out."""
        self.version = change.version + 1
        self.stored, self.echo, self.held = draft.stored, draft.echo, change.held
        if draft.touch:
            self.used = now
        if draft.worked_log is not None:
            self.stream_log = draft.worked_log.adopt()
            self.uncounted -= draft.counted

    @property
    def attended(self) -> set[str]:
        """The tags of the streams that are read here, or were until just now: how far is yet to be kept."""
        return {*self.streams, *self.leaving}

    def settle(self, error: Exception | None) -> None:
        """Tell those who wait that the late changes are kept, or what has kept them from it."""
        settling, self.settling = self.settling, []
        for promise in settling:
            promise.keep(error)

    def drop_tried(self, mark: int) -> None:
        """Forget the late changes that a try has made, if it is one of this node's."""
        made = self.tried.get(mark)
        if made is None:
            return
        del self.later[:made]
        self.tried.clear()
        if not self.later:
            self.leaving.clear()

    # The connections on this node.

    def deliver(self, unkept: list[Unkept]) -> list[int]:
        """Let the connections here take what is theirs, and end those that have nothing more to come.

        Args:
            unkept: Messages that were not kept, which only a connection that is there now can still get, or
                one that is about to be there; see ``unclaimed``.

        Returns:
            The sizes of messages lost, because a connection does not take them.
        """
        self.unclaimed += [message for message in unkept if message.stream not in self.streams]
        lost: list[int] = []
        # A copy: a stream that ends leaves at once.
        for stream in list(self.streams.values()):
            lost += self._deliver_to(stream, [message for message in unkept if message.stream == stream.tag])
        self.uncounted += len(lost)
        return lost

    def _deliver_to(self, stream: HeldStream, unkept: list[Unkept]) -> list[int]:
        state = self.stream_log.states.get(stream.tag)
        if state is None and stream.is_new:
            return []
        stream.is_new = False
        if state is None or state.owner != self.stream_log.node:
            return [len(message.data) for message in [*unkept, *self._taken_over(stream)]]
        return self._feed(stream, state, unkept)

    def _feed(self, stream: HeldStream, state: StreamState, unkept: list[Unkept]) -> list[int]:
        """Let the connection of a stream take what is new; return the sizes of messages lost."""
        before = stream.offered
        self._note_pushed_out(stream)
        coming = self._coming(stream, unkept)
        for sequence, data, kept in coming:
            stream.offer(sequence, data, kept)
        stream.ended = state.ended
        if stream.reader is not None and (stream.unread or stream.ended):
            stream.reader.wake()
        # Only what comes has others give way: what one request has brought has time until then.
        return self._bound(stream, before) if coming else []

    def _coming(self, stream: HeldStream, unkept: list[Unkept]) -> list[tuple[int, bytes, bool]]:
        """Return the sequence and data of what is new for a connection, and whether it is kept."""
        kept = self.stream_log.of_stream(stream.tag, stream.offered)
        coming = [(entry.sequence, entry.data, True) for entry in kept]
        return sorted(coming + [(message.sequence, message.data, False) for message in unkept])

    def _note_pushed_out(self, stream: HeldStream) -> int:
        """Have what was pushed out of the log wait for its connection alone; return how many messages."""
        if not stream.unread:
            return 0
        kept = {entry.sequence for entry in self.stream_log.of_stream(stream.tag, 0)}
        gone = [event for event in stream.unread if event.kept and event.sequence not in kept]
        for event in gone:
            event.kept = False
        return len(gone)

    def _bound(self, stream: HeldStream, before: int) -> list[int]:
        """Bound the news that only waits for a connection that does not read at the moment.

        An answer waits until its connection takes it, see `mcp_echo.sessions.event_log.EventLog`. There are
        answers on the one stream of a session of revision 2024-11-05, too.

        Args:
            stream: The stream.
            before: The highest sequence it had before it was given what came last.

        Returns:
            The sizes of messages lost.
        """
        if not stream.listening or stream.tag == self.stored.record.legacy_stream:
            return []
        beyond = [
            event
            for event in surplus(stream.unread, *self.stream_log.bounds)
            if not event.kept and event.sequence <= before
        ]
        for event in beyond:
            stream.unread.remove(event)
        return [len(event.data) for event in beyond]

    def drop_unclaimed(self) -> list[int]:
        """Forget what was not kept and no connection has come for; return the sizes."""
        unclaimed, self.unclaimed = self.unclaimed, []
        return [len(message.data) for message in unclaimed]

    def _taken_over(self, stream: HeldStream) -> list[Unkept]:
        """Close the connection: another one reads the stream now, or its lease ran out.

        Returns:
            What only this connection could have got.
        """
        self.streams.pop(stream.tag, None)
        self._note_pushed_out(stream)
        unkept = stream.take_unkept()
        reader, stream.reader = stream.reader, None
        if reader is not None:
            reader.replaced()
        return unkept

    def attach(self, stream: HeldStream, reader: Reader) -> None:
        """Let a connection read a stream from now on, in place of the one that did."""
        before = self.streams.get(stream.tag)
        own = [] if before is None or before is stream else self._taken_over(before)
        left = self.leaving.pop(stream.tag, None)
        if left is not None:
            left.came_back = True
        stream.reader = reader
        self.streams[stream.tag] = stream
        own += [message for message in self.unclaimed if message.stream == stream.tag]
        self.unclaimed = [message for message in self.unclaimed if message.stream != stream.tag]
        self._deliver_to(stream, own)

    def detach(self, stream: HeldStream) -> list[Unkept] | None:
        """Take the connection off a stream.

        Returns:
            What only this connection could have got; None if the stream is another's by now.
        """
        stream.reader = None
        if self.streams.get(stream.tag) is not stream:
            return None
        del self.streams[stream.tag]
        self._note_pushed_out(stream)
        self.leaving[stream.tag] = stream
        return stream.take_unkept()

    def end(self) -> list[int]:
        """End the listening streams here: the session is over.

        A request that is still being worked on gets its answer, and its stream ends with that.

        Returns:
            The sizes of messages lost.
        """
        self.has_ended = True
        later, self.later = self.later, []
        lost = [size for operation, _ in later for size in self.carry_out(operation)]
        for promise in list(self.expected.values()):
            promise.keep(None)
        for stream in [stream for stream in self.streams.values() if stream.listening]:
            stream.ended = True
            if stream.reader is not None:
                stream.reader.wake()
            self.streams.pop(stream.tag, None)
        return lost

    def carry_out(self, operation: Operation) -> list[int]:
        """Make a change after the end: nothing of it is kept, but connections here get what is theirs.

        Returns:
            The sizes of messages lost.
        """
        draft = Draft(self, self.stream_log.now, lambda _size: False)
        operation(draft)
        if draft.worked_log is None:
            return []
        stream_log = draft.worked_log
        unkept, lost = stream_log.unkept, stream_log.lost
        self.stream_log = stream_log.adopt()
        return lost + self.deliver(unkept)


@dataclass(slots=True, eq=False)
class Draft:
    """A change of a session while it is worked out."""

    cached: CachedSession
    """The copy it begins from, which stays as it is."""
    now: int
    """Milliseconds of the engine's clock."""
    has_room: Callable[[int], bool]
    """Whether all sessions together may hold so many bytes more."""
    patient: bool = False
    """Whether leases of other nodes are left alone though they have run out."""
    version: int = field(init=False)
    stored: StoredSession = field(init=False)
    echo: Echo | None = field(init=False)
    echo_refused: bool = False
    """Whether there was no room to keep the last echo."""
    touch: bool = False
    counted: int = 0
    """Messages lost here that the change tells of."""
    worked_log: StreamLog | None = None

    def __post_init__(self) -> None:
        cached = self.cached
        self.version, self.echo = cached.version, cached.echo
        # Its log is copied when that is changed.
        self.stored = msgspec.structs.replace(cached.stored, record=copy(cached.stored.record))

    @property
    def stream_log(self) -> StreamLog:
        """The log, to be changed."""
        if self.worked_log is None:
            self.worked_log = self.cached.stream_log.copy(self.now, self.has_room, self.patient)
            self.counted = self.cached.uncounted
            self.worked_log.summary.dropped += self.counted
            for stream in self.cached.streams.values():
                self.worked_log.wrote(stream.tag, stream.written)
                self.worked_log.note_read_here(stream.tag)
        return self.worked_log

    def change(self, mark: int) -> Change:
        """Return the change for the engine to carry out.

        Args:
            mark: The number of this change among those of this node.
        """
        cached, stored, before = self.cached, self.stored, self.cached.stored
        stream_log = self.stream_log if cached.streams else self.worked_log
        tell: set[str] = set()
        if stream_log is None:
            # As it was, but for the echo.
            stream_log, held = cached.stream_log, cached.held
        else:
            stored.log = stream_log.settle()
            held = stream_log.held(None)
            if stream_log.changed:
                tell = stream_log.owners() | cached.stream_log.owners()
        if stored.record.echo_count != before.record.echo_count:
            tell.update(stored.watchers)
            tell.discard(cached.stream_log.node)
        if stored.record.subscriptions is not before.record.subscriptions:
            self._forget_told()
        stored.marks = _marked(stored.marks, cached.stream_log.node, mark)
        echo: Any = msgspec.UNSET
        if self.echo is not cached.echo:
            echo = None if self.echo is None else encode_echo(self.echo)
        return Change(
            cached.id,
            cached.owner,
            cached.handle,
            self.version,
            self.touch,
            encode(stored),
            echo,
            tuple(stream_log.removed),
            tuple(stream_log.added.values()),
            SessionBytes(held.queued, 0 if self.echo is None else self.echo.size, held.waiting),
            cached.known,
            tuple(sorted(tell)),
            stored.record.used,
        )

    def _forget_told(self) -> None:
        """Forget what was told of resources that nobody has subscribed to any more."""
        wanted = self.stored.record.subscriptions
        self.stored.told = {uri: count for uri, count in self.stored.told.items() if uri in wanted}


def _marked(marks: dict[str, int], node: str, mark: int) -> dict[str, int]:
    """Return the marks with this node's; the one that was made longest ago makes room."""
    marked = dict(marks)
    marked.pop(node, None)
    marked[node] = mark
    while len(marked) > MARKS:
        del marked[next(iter(marked))]
    return marked


def _is_sound(record: KeptRecord) -> bool:
    """Return whether a record has the types that it was kept with; what keeps it need not know of any."""
    numbers = (record.version, record.created, record.used, *(entry.sequence for entry in record.entries))
    messages = ((type(entry.stream), type(entry.data)) for entry in record.entries)
    return all(type(each) is int for each in numbers) and all(types == (str, bytes) for types in messages)
