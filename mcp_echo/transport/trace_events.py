"""The records of a trace as they come, as events; a slow reader is waited for, if they are kept."""

from __future__ import annotations

from bisect import bisect_right
from itertools import islice

import msgspec
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from mcp_echo.protocol.errors import TooManyRequests
from mcp_echo.transport.edge.answer import line, lines_of
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.watch.records import (
    ExchangeRecord,
    NodeChange,
    ProbeRecord,
    Record,
    SentRecord,
    SessionChange,
    StreamRecord,
)
from mcp_echo.watch.traces import MOST_READERS, Trace

_KINDS = {
    ExchangeRecord: b"exchange",
    StreamRecord: b"stream",
    SessionChange: b"session",
    SentRecord: b"sent",
    NodeChange: b"node",
    ProbeRecord: b"probe",
}

BEAT_SECONDS = 15.0
"""Seconds between two beats, which tell how many records were left out."""


_LINES = lines_of(
    (
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("X-Accel-Buffering", "no"),
    )
)


class TooManyReaders(TooManyRequests):
    """As many read the events of a trace as may."""

    def __init__(self) -> None:
        super().__init__(
            f"Too many readers: {MOST_READERS} may read the events of a trace at a time", retry_after=5
        )


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
        self._last = 0
        """The number of the last record that the reader has."""
        self._left_out = 0
        """How many records the reader lacks that came after those it has, and are kept no more."""
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
        # Numbers begin anew where the server does: then the reader has nothing of what is here.
        self._last = after if after <= self._newest else 0
        self._catch_up()

    def end(self) -> None:
        """End the stream."""
        self._stop()
        self._http.unregisterProducer()
        self._http.finish()

    def pauseProducing(self) -> None:
        """Write nothing until the reader has caught up."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Go on behind the last record that the reader has."""
        self._paused = False
        self._catch_up()
        self._beat()

    def stopProducing(self) -> None:
        """The reader has gone."""
        self._stop()

    def _take(self, record: Record | None) -> None:
        if record is None:
            self._http.write(b"event: end\ndata: {}\n\n")
            self.end()
        elif not self._paused:
            self._write(record)

    @property
    def _newest(self) -> int:
        """The number of the newest record; 0 where there is none."""
        records = self._trace.records
        return records[-1].number if records else 0

    def _catch_up(self) -> None:
        """Write the records that the reader does not have, as far as it reads them."""
        records = self._trace.records
        if self._last and records:
            self._left_out += max(0, records[0].number - self._last - 1)
        for record in islice(records, bisect_right(records, self._last, key=_number), None):
            if self._paused:
                return
            self._write(record)

    def _write(self, record: Record) -> None:
        self._last = record.number
        data = msgspec.json.encode(record)
        self._http.write(b"id: %d\nevent: %b\ndata: %b\n\n" % (record.number, _KINDS[type(record)], data))

    def _beat(self) -> None:
        if not self._paused:
            trace = self._trace
            oldest = trace.records[0].number if trace.records else 0
            beat = {
                "leftOut": self._left_out,
                "dropped": trace.dropped,
                "oldest": oldest,
                "newest": self._newest,
            }
            self._http.write(b"event: beat\ndata: %b\n\n" % msgspec.json.encode(beat))

    def _stop(self) -> None:
        if self._beats.running:
            self._beats.stop()
        self._others.discard(self)
        if self._take in self._trace.readers:
            self._trace.readers.remove(self._take)


def _number(record: Record) -> int:
    return record.number
