"""Long-lived requests: one connection that consumes a session's queue, and the beat that keeps them alive."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Literal, get_args

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from mcp_echo.eras.exchange import StreamResponse
from mcp_echo.transport import sse
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.transport.edge.writing import unsent
from mcp_echo.transport.oauth.leases import Lease
from mcp_echo.transport.stream_states import NEXT, Event, State
from mcp_echo.watch.observer import Watch
from mcp_echo.watch.seen import Ending, StreamEvent, StreamEventKind

RECONNECT_MILLISECONDS = 500
"""How soon clients may come back after the server has closed their streams to restart."""

SHORTEST_LEASE = 0.05
"""Seconds after which a stream is looked at again whose time was to be over by another clock."""

LONGEST_LEASE = 86_400.0
"""Seconds after which it is looked at in any case."""

Kind = Literal["listening", "answer", "subscription"]
"""A session's listening stream (GET, or /sse), the answer to a request, or a ``subscriptions/listen``."""


class Written:
    """What all streams together have written.

    One object that they share: each stream's own would cost more memory than it tells.
    """

    __slots__ = ("bytes", "events")

    def __init__(self) -> None:
        self.events = 0
        """Messages."""
        self.bytes = 0
        """Bytes of the events that carried them."""


@implementer(IPushProducer)
class EventStream:
    """A response that carries one stream of a session until the stream ends or the client leaves.

    Nothing is buffered here: while the client does not read, messages stay in the session's bounded queue.

    Args:
        exchange: What it answers; its header lines must be complete.
        stream_response: What to carry, and how.
        opening: The bytes to open with, so that the response head leaves at once.
        keep_alive: The bytes to send when there was nothing else to send.
        streams: All streams of the server: they count what is written, and tell observers.
        lease: How long it may stay open; None for as long as it likes.
    """

    __slots__ = (
        "_done",
        "_exchange",
        "_keep_alive",
        "_lease",
        "_log",
        "_opened",
        "_opening",
        "_paused",
        "_quiet",
        "_stalled",
        "_state",
        "_stream",
        "_stream_response",
        "_streams",
        "_timer",
        "_why",
        "_written",
    )

    def __init__(
        self,
        exchange: HttpExchange,
        stream_response: StreamResponse,
        opening: bytes,
        keep_alive: bytes,
        streams: Streams,
        *,
        lease: Lease | None = None,
    ) -> None:
        self._exchange = exchange
        self._stream_response = stream_response
        self._log = stream_response.log
        self._stream = stream_response.stream
        self._opening = opening
        self._keep_alive = keep_alive
        self._streams = streams
        self._lease = lease
        self._timer: IDelayedCall | None = None
        self._opened: float | None = None
        self._written = 0.0
        self._why: Ending = "ended"
        self._done: Deferred[None] = Deferred(self._left)
        self._state: State = "open"
        self._quiet = self._stalled = False
        self._paused = 0.0

    @property
    def _is_read(self) -> bool:
        """Whether a client may read what is written."""
        return self._state in ("open", "paused")

    @property
    def kind(self) -> Kind:
        """What it is to its client."""
        if self._stream.listening:
            return "listening"
        return "answer" if self._stream_response.farewell is None else "subscription"

    def start(self) -> Deferred[None]:
        """Write what the stream has, and each message that comes, until it ends.

        No coroutine: one that is cancelled leaves a traceback behind, which holds the connection, with all
        that its client did not take, until the next full garbage collection.

        Returns:
            A Deferred that fires when this response is over. Cancelling it lets go of the stream; the stream
            itself lives on for a client that resumes it.
        """
        _prepare(self._exchange.transport)
        # Before the first write, so that a client that reads nothing is noticed from the first byte on.
        self._exchange.registerProducer(self, True)
        self._exchange.open(200)
        # A fault may have refused it, or cut it behind what it opens with.
        if self._is_read:
            self._write(self._opening)
            self._opened = self._written
            self._tell("resume" if self._stream.resumed else "open")
        if self._is_read:
            self._log.attach(self._stream, self)
            self.wake()
            self._look_at_lease()
        return self._done

    def _tell(self, kind: StreamEventKind, **more: Any) -> None:
        watch, stream_response = self._streams.watch, self._stream_response
        session, tag = stream_response.session, stream_response.stream.tag
        watch.tell(StreamEvent(kind, watch.now(), session, tag, **more))

    def closed(self) -> None:
        """Tell of the end; of one without a session its trace hears only where its token has ended it."""
        trace = self._lease.trace if self._lease is not None and self._why.startswith("token-") else None
        if self._opened is not None:
            now = self._streams.watch.now()
            silent = now - self._written
            self._tell("close", why=self._why, seconds=now - self._opened, trace=trace, silent=silent)

    def _write(self, data: bytes) -> None:
        self._exchange.write(data)
        self._written = self._streams.watch.now()

    def _step(self, event: Event) -> None:
        self._state = NEXT[self._state].get(event, self._state)

    def _left(self, _done: Deferred[None]) -> None:
        """The client has left, which nobody waits for any more."""
        self._why = "left"
        self._let_go()

    def _let_go(self) -> None:
        self._step("done")
        self._stop_timer()
        if self._stream.reader is self:
            self._log.detach(self._stream)

    def wake(self) -> None:
        """Write what there is to write; called by the queue with each message, so nothing here is put off."""
        while self._state == "open" and self._write_next():
            pass
        if self._stream.ended and not self._stream.unread:
            self._finish("ended")

    def _finish(self, why: Ending) -> None:
        """End this response, once."""
        if self._state == "over":
            return
        self._why = why
        # On the way out of a lost connection the request has no channel to unregister from.
        if self._state != "gone":
            self._exchange.unregisterProducer()
        self._let_go()
        self._done.callback(None)

    def _write_next(self) -> bool:
        """Write one message; return whether there was one."""
        event = self._log.take(self._stream) if self._is_read else None
        if event is None:
            return False
        self._quiet = False
        event_id = event.id_on(self._stream) if self._stream_response.resumable else None
        block = sse.message(event.data, event_id)
        self._write(block)
        written = self._streams.written
        written.events += 1
        written.bytes += len(block)
        return True

    def replaced(self) -> None:
        """End this response: another connection carries the stream now."""
        self._finish("replaced")

    def leave_unless_answering(self, why: Ending = "stopping") -> None:
        """End this response, unless it is the answer to a request, which is let come: the server stops."""
        if self.kind != "answer":
            self._leave(why)

    def _look_at_lease(self) -> None:
        """Close a stream that may not stay open, and look again at the end of what it is allowed by.

        The answer to a request comes in any case: the token was good when that was taken on.
        """
        if self._lease is None or self._state == "over" or self.kind == "answer":
            return
        self._stop_timer()
        why = self._lease.over()
        if why is not None:
            self._leave(why)
            return
        seconds = min(max(self._lease.seconds(), SHORTEST_LEASE), LONGEST_LEASE)
        self._timer = self._streams.clock.callLater(seconds, self._look_at_lease)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def leave(self) -> None:
        """End this response: the server hangs up, and its client is to come back."""
        self._tell("hang-up", retry=RECONNECT_MILLISECONDS if self._stream_response.resumable else None)
        self._leave("hang-up")

    def cut(self, retry: int | None) -> None:
        """End this response in the middle, as a fault was ordered.

        Args:
            retry: Milliseconds that the client is told to wait before it comes back; None for nothing.
        """
        if retry is not None and self._is_read:
            self._tell("hang-up", retry=retry if self._stream_response.resumable else None)
            self._write(sse.retry(retry))
        self._finish("cut")

    def _leave(self, why: Ending) -> None:
        """End this response in the way its era has for it.

        What waits for this connection goes with it, whether the client keeps up or not: much of it nobody can
        come back for. It is bounded, and so is the time that the client has to take it.
        """
        while self._write_next():
            pass
        if self._is_read:
            if self._stream_response.resumable:
                self._write(sse.retry(RECONNECT_MILLISECONDS))
            if self._stream_response.farewell is not None:
                self._write(sse.message(self._stream_response.farewell, None))
        self._finish(why)

    def beat(self) -> None:
        """Send a keep-alive, unless something was sent since the last beat, or nothing may be."""
        self._look_at_lease()
        if self._quiet and self._state == "open" and not self._stream.hushed:
            self._write(self._keep_alive)
        self._quiet = True
        if self._state == "paused":
            self._look_at_stall()

    def _look_at_stall(self) -> None:
        """Tell once of a client that has read nothing for long."""
        seconds = self._streams.watch.now() - self._paused
        if seconds >= self._streams.stall and not self._stalled:
            self._stalled = True
            size, sent = unsent(self._exchange.transport)
            self._tell("stalled", seconds=seconds, waiting=size - sent)

    def pauseProducing(self) -> None:
        """The client does not keep up; called again with every write until it does."""
        if self._state == "open":
            self._paused, self._stalled = self._streams.watch.now(), False
        self._step("paused")

    def resumeProducing(self) -> None:
        """The client has caught up."""
        self._step("resumed")
        self.wake()

    def stopProducing(self) -> None:
        """The client has left."""
        self._step("left")


def _prepare(transport: object) -> None:
    """Have the kernel notice that a client's machine has vanished."""
    # Under TLS too this is the TCP socket; in memory there is none.
    connection = getattr(transport, "socket", None)
    if isinstance(connection, socket.socket) and connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


class Streams:
    """Every event stream of a server that is connected now.

    Args:
        clock: Times the keep-alives, and the streams that may stay open for some time only.
        interval: Seconds between two of them.
        watch: Is told when a stream is opened and closed.
        stall: Seconds that a client may read nothing before that is told of.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, interval: float, watch: Watch, stall: float) -> None:
        self.clock = clock
        self.watch = watch
        self.stall = stall
        self._interval = interval
        self._open: set[EventStream] = set()
        self._stopping = False
        self.written = Written()
        self.also_stop: list[Callable[[], None]] = []
        """Called when all streams are ended, for those that are none of a session."""
        self._beat = LoopingCall(self._beat_all)
        self._beat.clock = clock

    def __len__(self) -> int:
        return len(self._open)

    def by_kind(self) -> dict[str, int]:
        """Return how many streams of each kind are connected now."""
        found: dict[str, int] = dict.fromkeys(get_args(Kind), 0)
        for stream in self._open:
            found[stream.kind] += 1
        return found

    def carry(self, stream: EventStream) -> Deferred[None]:
        """Run ``stream``; the Deferred fires when it is over and may be cancelled when the client leaves."""
        self._open.add(stream)
        running = maybeDeferred(stream.start)
        if self._stopping:
            stream.leave_unless_answering()
        return running.addBoth(self._over, stream)

    def _over(self, outcome: None, stream: EventStream) -> None:
        self._open.discard(stream)
        stream.closed()
        self._beat_no_more()
        return outcome

    def start(self) -> None:
        """Begin to send keep-alives."""
        self._beat.start(self._interval, now=False).addErrback(
            lambda failure: self._log.failure("Keep-alives have stopped", failure)
        )

    def stop(self) -> None:
        """End every stream that would go on for ever; the others are kept alive until they end."""
        self._stopping = True
        for stop in self.also_stop:
            stop()
        # A copy: a stream that ends leaves the set at once.
        for stream in list(self._open):
            stream.leave_unless_answering()
        self._beat_no_more()

    def _beat_no_more(self) -> None:
        if self._stopping and not self._open and self._beat.running:
            self._beat.stop()

    def _beat_all(self) -> None:
        for stream in list(self._open):
            stream.beat()
