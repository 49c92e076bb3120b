"""The message log of a session that several nodes serve: what is in it, and whose it is. No I/O.

It keeps the promises of `mcp_echo.sessions.event_log.EventLog` where the streams of one session may be read
on several nodes, one of which may die at any moment:

- Each message belongs to one stream, or waits until one listens. One that comes while a stream listens
  belongs to it at once, wherever that is read.
- A stream has one owner, the node that reads it, for as long as that renews its lease. Another node takes it
  over when its client comes back there.
- What the owner has written is known up to its last word. What it had not, when it let go or its lease ran
  out, waits again for whichever stream listens; a client that resumes the stream itself gets the rest there.
- The bounds say what can be resumed, never what a connection gets that reads. A message that there is no room
  to keep, or none any more, waits for its connection on this node, outside the log. One that is on its way
  to a connection on another node stays over and above the bounds until that has taken it.
- A message gets a new sequence number each time it is given to a stream, so that within one stream the
  numbers only grow, and ``Last-Event-ID`` always means "everything after that".

Rules: https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#resumability-and-redelivery
"""

from __future__ import annotations

from collections.abc import Callable, Container
from copy import copy
from dataclasses import InitVar, dataclass, field
from typing import NamedTuple

import msgspec

from mcp_echo.cluster.engine import Entry, SessionBytes
from mcp_echo.sessions.event_log import surplus
from mcp_echo.sessions.session import Echo

LEASE = 45_000
"""Milliseconds for which a node holds a stream without saying so again: three missed heartbeats."""

MAX_STREAMS = 64
"""Streams remembered; of those that nobody holds, the oldest is forgotten for one more."""


class StreamState(msgspec.Struct, array_like=True):
    """One stream, as all nodes know it."""

    tag: str
    listening: bool
    owner: str = ""
    """The node that reads it; empty while none does."""
    lease_until: int = 0
    """Milliseconds of the engine's clock when the lease of the owner runs out."""
    acknowledged: int = 0
    """The highest sequence that is known to have been written to its client."""
    ended: bool = False
    """True when no message will follow."""
    gone: int = 0
    """The highest sequence of its messages that are kept no more, or were not kept."""

    def is_held(self, now: int) -> bool:
        """Return whether a node reads it, as far as is known."""
        return bool(self.owner) and self.lease_until > now


class Summary(msgspec.Struct, array_like=True):
    """The log without its messages, which is small enough to be kept as a whole."""

    sequence: int = 0
    """The highest sequence given so far."""
    first: int = 1
    """The sequence of the oldest message kept, or the next one to be given."""
    moves: int = 0
    """How often messages were given another place; a copy from before has to be read anew."""
    listened: int = 0
    """Listening streams made so far."""
    dropped: int = 0
    """Messages that were pushed out, or not kept, before any stream had taken them."""
    states: list[StreamState] = []


class Bounds(NamedTuple):
    """How much one log keeps."""

    messages: int
    bytes: int


class Unkept(NamedTuple):
    """A message that there was no room to keep, for the stream that it belongs to."""

    stream: str
    sequence: int
    data: bytes


@dataclass(slots=True, eq=False)
class StreamLog:
    """A copy of one session's log, to read and to work out a change with."""

    summary: Summary
    """What is known beside the messages; it belongs to the log from now on."""
    entries: list[Entry]
    """The messages, oldest first; they belong to the log as well."""
    bounds: Bounds
    """How much is kept."""
    node: str
    """The name of this node."""
    counted: InitVar[int | None] = None
    """Bytes of the messages; None to have them counted."""
    now: int = 0
    """Milliseconds of the engine's clock at which the change is worked out."""
    has_room: Callable[[int], bool] = lambda _size: True  # the default of a field
    """Whether all sessions together may hold so many bytes more."""
    patient: bool = False
    """Whether leases of other nodes are left alone though they have run out."""
    states: dict[str, StreamState] = field(init=False)
    size: int = field(init=False)
    """Bytes of the messages."""
    before: int = field(init=False)
    """Bytes when the copy was made, which all sessions' bytes together include."""
    here: set[str] = field(default_factory=set)
    """Tags of the streams that a connection on this node reads, or is about to."""
    added: dict[int, Entry] = field(default_factory=dict)
    """What was added since the copy was made, by sequence."""
    removed: list[int] = field(default_factory=list)
    """Sequences of what was taken out since then."""
    unkept: list[Unkept] = field(default_factory=list)
    """What found no room, but has a connection on this node that may take it yet."""
    queued: int = 0
    """Messages that have come since then, lost ones aside."""
    lost: list[int] = field(default_factory=list)
    """Sizes of the messages lost since the copy was made."""
    changed: bool = False
    """Whether anything was changed since then."""

    def __post_init__(self, counted: int | None) -> None:
        self.states = {state.tag: state for state in self.summary.states}
        self.size = sum(len(entry.data) for entry in self.entries) if counted is None else counted
        self.before = self.size

    def copy(self, now: int, has_room: Callable[[int], bool], patient: bool = False) -> StreamLog:
        """Return a copy to work out a change with.

        Args:
            now: Milliseconds of the engine's clock.
            has_room: Whether all sessions together may hold so many bytes more.
            patient: Whether leases of other nodes are left alone though they have run out.
        """
        states = [copy(state) for state in self.summary.states]
        summary = msgspec.structs.replace(self.summary, states=states)
        twin = StreamLog(summary, [*self.entries], self.bounds, self.node, self.size)
        twin.now, twin.has_room, twin.patient = now, has_room, patient
        return twin

    def adopt(self) -> StreamLog:
        """Return it as what is kept from now on: what it changed has been carried out."""
        self.added, self.removed, self.unkept, self.lost, self.changed = {}, [], [], [], False
        self.queued, self.before = 0, self.size
        return self

    # What there is.

    @property
    def waiting(self) -> int:
        """How many messages no connection has taken yet, as far as is known."""
        written = {state.tag: state.acknowledged for state in self.states.values()}
        return sum(
            not entry.stream or entry.sequence > written.get(entry.stream, entry.sequence)
            for entry in self.entries
        )

    def held(self, echo: Echo | None) -> SessionBytes:
        """Return what it holds, with the last echo."""
        return SessionBytes(self.size, 0 if echo is None else echo.size, self.waiting)

    def _is_written(self, entry: Entry) -> bool:
        if not entry.stream:
            return False
        state = self.states.get(entry.stream)
        return state is None or entry.sequence <= state.acknowledged

    def held_streams(self) -> list[StreamState]:
        """Return the streams that a node reads, as far as is known."""
        return [state for state in self.states.values() if state.is_held(self.now)]

    def owners(self) -> set[str]:
        """Return the nodes, this one aside, that read a stream or did when last heard of."""
        return {state.owner for state in self.states.values() if state.owner} - {self.node}

    def of_stream(self, tag: str, after: int) -> list[Entry]:
        """Return the messages of a stream whose sequence is greater than ``after``."""
        return [entry for entry in self.entries if entry.stream == tag and entry.sequence > after]

    # Messages.

    def queue(self, data: bytes) -> None:
        """Append a message for whichever listening stream reads, now or later."""
        listener = self._listener()
        self.append("" if listener is None else listener.tag, data)

    def _listener(self) -> StreamState | None:
        return next((state for state in self.held_streams() if state.listening and not state.ended), None)

    def append(self, tag: str, data: bytes) -> None:
        """Append a message that belongs on one stream alone, or on none yet."""
        self.changed = True
        elsewhere = self._is_elsewhere(tag)
        if elsewhere and self.has_room(self.size - self.before + len(data)):
            self._send(tag, data)
        elif not elsewhere and self._make_room(len(data)):
            self._add(tag, data)
        elif tag in self.here:
            self.unkept.append(Unkept(tag, self._next(), data))
            self._note_gone(tag, self.summary.sequence)
        else:
            self.lose(len(data))
            self._note_gone(tag, self._next())
            return
        self.queued += 1

    def _note_gone(self, tag: str, sequence: int) -> None:
        state = self.states.get(tag)
        if state is not None:
            state.gone = max(state.gone, sequence)

    def _next(self) -> int:
        self.summary.sequence += 1
        return self.summary.sequence

    def _add(self, tag: str, data: bytes) -> None:
        entry = Entry(self._next(), tag, data)
        self.entries.append(entry)
        self.added[entry.sequence] = entry
        self.size += len(data)
        if tag and tag not in self.states:
            # It was forgotten when the last that could be resumed from it made room for this.
            self._remember(StreamState(tag, tag.startswith("g"), acknowledged=entry.sequence - 1))

    def lose(self, size: int) -> None:
        """Count a message of ``size`` bytes that nobody will get."""
        self.summary.dropped += 1
        self.lost.append(size)

    def _make_room(self, size: int) -> bool:
        """Push the oldest messages out for one of ``size`` bytes; return whether it can be kept then."""
        resting, rest = self._resting()
        if size > self.bounds.bytes or not self.has_room(self.size - self.before - rest + size):
            return False
        self._trim(resting, rest, 1, size)
        return True

    def _resting(self) -> tuple[list[Entry], int]:
        """Return the messages that are not on their way to another node, and their bytes."""
        if not any(self._is_elsewhere(tag) for tag in self.states):
            return self.entries, self.size
        resting = [entry for entry in self.entries if not self._is_in_transit(entry)]
        return resting, sum(len(entry.data) for entry in resting)

    def _is_elsewhere(self, tag: str) -> bool:
        """Return whether another node reads a stream, as far as is known."""
        state = self.states.get(tag)
        return state is not None and state.is_held(self.now) and state.owner != self.node

    def _is_in_transit(self, entry: Entry) -> bool:
        return self._is_elsewhere(entry.stream) and not self._is_written(entry)

    def _trim(self, resting: list[Entry], rest: int, more: int = 0, size: int = 0) -> None:
        """Push out the oldest messages, until the others are within the bounds together with those to come.

        Args:
            resting: Those that count.
            rest: Their bytes.
            more: How many are to come.
            size: Their bytes.
        """
        pushed: list[Entry] = []
        count, total = len(resting) + more, self.size - self.before + size
        for entry in resting:
            if (
                count <= self.bounds.messages
                and rest + size <= self.bounds.bytes
                and (not size or self.has_room(total))
            ):
                break
            pushed.append(entry)
            count, rest, total = count - 1, rest - len(entry.data), total - len(entry.data)
        for entry in pushed:
            self._push_out(entry)

    def _send(self, tag: str, data: bytes) -> None:
        """Add a message for a stream that another node reads, at the cost of older ones that go there."""
        self._add(tag, data)
        going = [entry for entry in self.entries if self._is_in_transit(entry)]
        for entry in surplus(going, self.bounds.messages, self.bounds.bytes):
            # What one request adds does not push itself out: nobody can take it before it is kept.
            if entry.sequence not in self.added:
                self._push_out(entry)

    def _push_out(self, entry: Entry) -> None:
        if not self._is_written(entry):
            self._let_wait(entry)
        if entry is not self.entries[0]:
            # Other nodes see by the oldest one what was pushed out, but not what went from the middle.
            self.summary.moves += 1
        self._take_out(entry)
        self._note_gone(entry.stream, entry.sequence)
        if entry.stream in self.states:
            self._forget_if_spent(self.states[entry.stream])

    def _let_wait(self, entry: Entry) -> None:
        """Leave a message that is kept no longer to its connection here, or else count it as lost."""
        if entry.stream not in self.here:
            self.lose(len(entry.data))
        elif entry.sequence in self.added:
            self.unkept.append(Unkept(entry.stream, entry.sequence, entry.data))

    def _take_out(self, entry: Entry) -> None:
        self.entries.remove(entry)
        self.size -= len(entry.data)
        if self.added.pop(entry.sequence, None) is None:
            self.removed.append(entry.sequence)

    # Streams.

    def listen(self) -> str:
        """Open a new listening stream, held here; it gets what waits. Return its tag."""
        self.summary.listened += 1
        state = StreamState(f"g{self.summary.listened}", True, acknowledged=self.summary.sequence)
        self._remember(state)
        self._hold(state)
        self.recover()
        return state.tag

    def answer(self, tag: str) -> None:
        """Open the stream of one request's answer, held here; it carries only what is appended to it."""
        if tag not in self.states:
            self._remember(StreamState(tag, False, acknowledged=self.summary.sequence))
        self._hold(self.states[tag])

    def resume(self, tag: str) -> None:
        """Read a stream on this node from now on, in place of the one that did."""
        if tag in self.states:
            self._hold(self.states[tag])
            self.recover()

    def _hold(self, state: StreamState) -> None:
        self.changed = True
        state.owner, state.lease_until = self.node, self.now + LEASE
        self.here.add(state.tag)

    def renew(self, read: Container[str]) -> None:
        """Say again that this node reads what it reads, and see to what others have left behind.

        Args:
            read: The tags of the streams that it does read.
        """
        self.abandon(read)
        for state in self.states.values():
            if state.owner == self.node:
                self._hold(state)
        self.recover()

    def abandon(self, read: Container[str]) -> None:
        """Let go of streams that this node is said to hold and does not read.

        A request that opened one is refused when the answer of the store is lost, but it was kept.

        Args:
            read: The tags of the streams that it does read.
        """
        for state in [
            state for state in self.states.values() if state.owner == self.node and state.tag not in read
        ]:
            self._let_go(state)

    def note_read_here(self, tag: str) -> None:
        """Note that a connection on this node reads a stream, unless another node has taken it over."""
        state = self.states.get(tag)
        if state is not None and state.owner == self.node:
            self.here.add(tag)

    def wrote(self, tag: str, sequence: int) -> None:
        """Note what the connection on this node has written."""
        state = self.states.get(tag)
        if state is not None and state.owner == self.node and state.acknowledged < sequence:
            state.acknowledged = sequence
            self.changed = True

    def release(self, tag: str) -> None:
        """Read a stream here no more; what was not written waits for whichever listens."""
        state = self.states.get(tag)
        if state is None or state.owner != self.node:
            return
        self._let_go(state)
        self.recover()

    def _let_go(self, state: StreamState) -> None:
        self.changed = True
        state.owner, state.lease_until = "", 0
        self.here.discard(state.tag)
        if state.listening:
            self._move(self.of_stream(state.tag, state.acknowledged), "")
        self._forget_if_spent(state)

    def recover(self) -> None:
        """Let go of listening streams whose owner is silent, and give what waits to one that is read."""
        overdue = [state for state in self.states.values() if state.owner and state.lease_until <= self.now]
        for state in () if self.patient else overdue:
            self._let_go(state)
        listener = self._listener()
        if listener is not None:
            self._move([], listener.tag)

    def _move(self, back: list[Entry], tag: str) -> None:
        """Put ``back`` before all that waits, and give both to a stream, or to none for the time being."""
        waiting = [entry for entry in self.entries if not entry.stream]
        moving = [*back, *waiting]
        if not (back or (tag and waiting)):
            return
        self.changed = True
        self.summary.moves += 1
        for entry in moving:
            self._take_out(entry)
        for entry in moving:
            self._add(tag, entry.data)

    def end(self, tag: str) -> None:
        """Say that nothing will follow on a stream."""
        state = self.states.get(tag)
        if state is not None:
            state.ended = self.changed = True
            self._forget_if_spent(state)

    def _forget_if_spent(self, state: StreamState) -> None:
        """Drop a stream that nobody reads and that has nothing left to resume from."""
        if state.owner or not (state.listening or state.ended):
            return
        if not any(entry.stream == state.tag for entry in self.entries):
            self.states.pop(state.tag, None)
            self.changed = True

    def _remember(self, state: StreamState) -> None:
        self.changed = True
        self.states[state.tag] = state
        if len(self.states) > MAX_STREAMS:
            others = (other for other in self.states.values() if other is not state)
            idle = next((other for other in others if not other.is_held(self.now)), None)
            if idle is not None:
                self._forget(idle)

    def _forget(self, state: StreamState) -> None:
        for entry in self.of_stream(state.tag, 0):
            self._push_out(entry)
        self.states.pop(state.tag, None)

    def settle(self) -> Summary:
        """Return what is to be kept beside the messages, which are within their bounds then."""
        self._trim(*self._resting())
        self.summary.states = list(self.states.values())
        self.summary.first = self.entries[0].sequence if self.entries else self.summary.sequence + 1
        return self.summary
