"""The records of a trace as they come, as an event stream; what its reader is too slow for is counted."""

from __future__ import annotations

import msgspec
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from mcp_echo.protocol.errors import TooManyRequests
from mcp_echo.transport.edge.answer import line, lines_of
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.watch.records import ExchangeRecord, Record, SentRecord, SessionChange, StreamRecord
from mcp_echo.watch.traces import MOST_READERS, Trace

_KINDS = {
    ExchangeRecord: b"exchange",
    StreamRecord: b"stream",
    SessionChange: b"session",
    SentRecord: b"sent",
}

BEAT_SECONDS = 15.0
"""Seconds between two beats, which tell how many records were left out."""


_LINES = lines_of(
    (("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer"), ("X-Accel-Buffering", "no"))
)


class TooManyReaders(TooManyRequests):
    """As many read the events of a trace as may."""

    def __init__(self) -> None:
        super().__init__(f"Too many readers: {MOST_READERS} may read the events of a trace at a time", 5)


@implementer(IPushProducer)
class TraceEvents:
    """One reader of the events of a trace.

    Args:
        http: What it answers.
        trace: The trace.
        others: The streams that are open, with this one while it is.
        reactor: Times the beat.
    """

    def __init__(
        self, http: HttpExchange, trace: Trace, others: set[TraceEvents], reactor: IReactorTime
    ) -> None:
        self._http = http
        self._trace = trace
        self._others = others
        self._paused = False
        self._left_out = 0
        self._beats = LoopingCall(self._beat)
        self._beats.clock = reactor

    def start(self, after: int) -> None:
        """Write what is there, and then whatever comes.

        Args:
            after: The number of the last record that the reader has.

        Raises:
            TooManyReaders: As many read as may.
        """
        if len(self._trace.readers) >= MOST_READERS:
            raise TooManyReaders
        http = self._http
        http.lines.append(line(b"Content-Type", b"text/event-stream"))
        http.lines.extend(_LINES)
        http.when_left(self._stop)
        http.open(200)
        http.registerProducer(self, True)
        self._trace.readers.append(self._take)
        self._others.add(self)
        self._beats.start(BEAT_SECONDS, now=True)
        for record in list(self._trace.records):
            if record.number > after:
                self._take(record)

    def end(self) -> None:
        """End the stream."""
        self._stop()
        self._http.unregisterProducer()
        self._http.finish()

    def pauseProducing(self) -> None:
        """Leave records out until the reader has caught up."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Go on, and say what was left out."""
        self._paused = False
        self._beat()

    def stopProducing(self) -> None:
        """The reader has gone."""
        self._stop()

    def _take(self, record: Record | None) -> None:
        if record is None:
            self._http.write(b"event: end\ndata: {}\n\n")
            self.end()
        elif self._paused:
            self._left_out += 1
        else:
            data = msgspec.json.encode(record)
            self._http.write(b"id: %d\nevent: %b\ndata: %b\n\n" % (record.number, _KINDS[type(record)], data))

    def _beat(self) -> None:
        if not self._paused:
            beat = {"leftOut": self._left_out, "dropped": self._trace.dropped}
            self._http.write(b"event: beat\ndata: %b\n\n" % msgspec.json.encode(beat))

    def _stop(self) -> None:
        if self._beats.running:
            self._beats.stop()
        self._others.discard(self)
        if self._take in self._trace.readers:
            self._trace.readers.remove(self._take)
