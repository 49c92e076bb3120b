"""The message log of a shared session, as a request and the connections on one node see it. No I/O."""

from __future__ import annotations

import secrets
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from mcp_echo.cluster.cached_session import Draft, HeldStream
from mcp_echo.cluster.stream_log import StreamLog, Unkept
from mcp_echo.sessions.event_log import NOBODY, Event, Reader, Stream, event_id

if TYPE_CHECKING:
    from mcp_echo.cluster.session import SharedSession

_TAGS = 10**15


class SharedLog:
    """The message log of a shared session; see `mcp_echo.sessions.event_log.EventLog`.

    Args:
        session: The session.
    """

    __slots__ = ("_session",)

    def __init__(self, session: SharedSession) -> None:
        self._session = session

    @property
    def _stream_log(self) -> StreamLog:
        return self._session.stream_log

    @property
    def dropped(self) -> int:
        """Messages that were pushed out, or not kept, before any stream had taken them."""
        return self._stream_log.summary.dropped

    @property
    def messages(self) -> list[bytes]:
        """The messages in the log, oldest first."""
        return [entry.data for entry in self._stream_log.entries]

    @property
    def pending(self) -> int:
        """How many messages no connection has taken yet, as far as is known here."""
        held = self._session.cached.streams.values()
        return self._stream_log.waiting + sum(not event.kept for stream in held for event in stream.unread)

    @property
    def open_streams(self) -> int:
        """How many streams have a connection, on whichever node."""
        return len(self._stream_log.held_streams())

    @property
    def listeners(self) -> int:
        """How many connections listen, on whichever node."""
        return sum(state.listening for state in self._stream_log.held_streams())

    def listen(self) -> HeldStream:
        """Open a new listening stream; it takes what is queued and then what comes."""
        stream_log, cached = self._session.working.stream_log, self._session.cached
        stream_log.abandon(cached.attended)
        tag = stream_log.listen()
        return HeldStream(tag, True, stream_log.states[tag].acknowledged)

    def answer(self) -> HeldStream:
        """Open the stream of one request's answer; it carries only what is appended to it."""
        # At random: late work must not wait to know which numbers other nodes have given.
        stream = HeldStream(f"r{secrets.randbelow(_TAGS)}", False, self._session.cached.known)
        self._session.do(lambda draft: draft.stream_log.answer(stream.tag))
        return stream

    def find(self, last_event_id: str) -> Stream | None:
        """Return the stream that ``last_event_id`` names; None when it is malformed or no longer known."""
        named = event_id(last_event_id)
        state = self._stream_log.states.get(named[0]) if named else None
        if named is None or state is None:
            return None
        stream = HeldStream(state.tag, state.listening, min(named[1], self._stream_log.summary.sequence))
        if state.is_held(self._stream_log.now):
            here = self._session.cached.streams.get(state.tag)
            stream.reader = NOBODY if here is None else here.reader
        return stream

    def has_gap(self, last_event_id: str) -> bool:
        """Return whether messages may have come after that event that nobody can get any more."""
        named = event_id(last_event_id)
        state = self._stream_log.states.get(named[0]) if named else None
        return named is None or state is None or state.gone > named[1]

    def resume(self, last_event_id: str) -> Stream | None:
        """Return the stream that ``last_event_id`` names, set back to just behind that event, or None."""
        stream = self.find(last_event_id)
        if stream is not None:
            stream.reader = None
            stream.resumed = True
            self._session.do(lambda draft: draft.stream_log.resume(stream.tag))
        return stream

    def queue(self, data: bytes) -> bool:
        """Append a message for whichever listening stream reads; return whether one does now."""
        self._session.do(lambda draft: draft.stream_log.queue(data), len(data))
        return self.listeners > 0

    def burst(self) -> AbstractContextManager[None]:
        """Do nothing: all that one request adds is kept at once, and connections read after that."""
        return nullcontext()

    def append(self, stream: Stream, data: bytes) -> bool:
        """Append a message that belongs on ``stream`` alone; see `mcp_echo.sessions.event_log.Log.append`."""
        self._session.do(lambda draft: draft.stream_log.append(stream.tag, data))
        return stream.reader is not None or stream.tag in self._stream_log.states

    def end(self, stream: Stream) -> None:
        """Say that nothing will follow on ``stream``; its connection closes once it has written the rest."""
        self._session.do(lambda draft: draft.stream_log.end(stream.tag))

    # The connections on this node.

    def attach(self, stream: Stream, reader: Reader) -> None:
        """Let a connection read ``stream`` from now on, in place of the one that did."""
        self._session.cached.attach(_held(stream), reader)

    def detach(self, stream: Stream) -> None:
        """Take the connection off ``stream``; what it had not been given goes back to the queue."""
        held = _held(stream)
        lost = self._session.cached.detach(held)
        if lost is not None:
            self._session.later(lambda draft: _release(draft, held, lost))

    def take(self, stream: Stream) -> Event | None:
        """Return the next message for ``stream``'s connection to write, or None."""
        if not stream.unread:
            return None
        event = stream.unread.pop(0)
        _held(stream).written = event.sequence
        self._session.delivered()
        return event

    def unread(self, stream: Stream) -> tuple[int, int]:
        """Return how many messages wait for ``stream``'s connection, and their bytes, as far as is known."""
        state = self._stream_log.states.get(stream.tag)
        kept = [] if state is None else self._stream_log.of_stream(stream.tag, state.acknowledged)
        here = self._session.cached.streams.get(stream.tag)
        unkept = [] if here is None else [event for event in here.unread if not event.kept]
        sizes = [len(entry.data) for entry in kept] + [len(event.data) for event in unkept]
        return len(sizes), sum(sizes)

    def position(self, stream: Stream) -> str:
        """Return an event id of ``stream`` from which a client that has seen nothing yet can resume."""
        return f"{stream.tag}-{_held(stream).written}"

    def hang_up(self, stream: Stream) -> None:
        """Close the connection that reads ``stream``; the stream goes on, for the client to resume."""
        held = self._session.cached.streams.get(stream.tag)
        if held is not None and held.reader is not None:
            held.reader.leave()


def _held(stream: Stream) -> HeldStream:
    if not isinstance(stream, HeldStream):
        raise TypeError(f"{stream.tag} is no stream of a shared session")
    return stream


def _release(draft: Draft, stream: HeldStream, lost: list[Unkept]) -> None:
    for message in lost:
        draft.stream_log.lose(len(message.data))
    if stream.came_back:
        # On this very node: what that connection has written, the next one knows when it leaves.
        return
    draft.stream_log.wrote(stream.tag, stream.written)
    draft.stream_log.release(stream.tag)
