"""``GET …/probe/stream``: events that say when they were written, for whoever notes when they arrive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from urllib.parse import parse_qsl

import msgspec
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from zope.interface import implementer

from mcp_echo.protocol.errors import InvalidRequest, TooManyRequests
from mcp_echo.protocol.texts import timestamp
from mcp_echo.tools.probed import ProbeWishes
from mcp_echo.tools.probing import SHORTEST_CUT
from mcp_echo.transport import sse
from mcp_echo.transport.edge.answer import line, lines_of
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.watch.insight import Insight
from mcp_echo.watch.seen import ProbeEvent
from mcp_echo.watch.traces import Trace

MOST_OF_ONE = 8
"""Such streams of one trace at a time."""

MOST_OF_ALL = 32
"""Such streams of all traces at a time."""

_LINES = lines_of(
    (
        # As the streams of MCP have it, so that gateways do with this one what they do with those.
        ("Cache-Control", "no-cache, no-transform"),
        ("X-Accel-Buffering", "no"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    )
)


class TooManyProbes(TooManyRequests):
    """As many streams are probed as may be."""

    def __init__(self) -> None:
        super().__init__(
            f"Too many probes: {MOST_OF_ONE} streams of a trace may be probed at a time, and {MOST_OF_ALL} in"
            " all",
            retry_after=5,
        )


class _Written(msgspec.Struct, omit_defaults=True):
    """What an event says."""

    event: int
    """Counted from 1."""
    of: int
    sent: str
    """The time of the server's wall clock; ISO 8601 with milliseconds."""
    since: float
    """Seconds since the first event was written."""
    padding: str = ""


class ProbeStreams:
    """The streams that are probed now.

    Args:
        insight: Records what comes of them.
        reactor: Times them.
    """

    def __init__(self, insight: Insight, reactor: IReactorTime) -> None:
        self.insight = insight
        self.reactor = reactor
        self._open: set[ProbeStream] = set()
        self._of: Counter[str] = Counter()

    def answer(self, http: HttpExchange, trace: Trace) -> None:
        """Answer with the events that the query asks for.

        Raises:
            InvalidRequest: It asks for what cannot be.
            TooManyProbes: As many streams are probed as may be.
        """
        wishes = wishes_in(http.head.query)
        if len(self._open) >= MOST_OF_ALL or self._of[trace.id] >= MOST_OF_ONE:
            raise TooManyProbes
        stream = ProbeStream(http, trace, wishes, self)
        self._open.add(stream)
        self._of[trace.id] += 1
        stream.start()

    def over(self, stream: ProbeStream, trace: Trace) -> None:
        """Count one less."""
        if stream in self._open:
            self._open.discard(stream)
            self._of -= Counter((trace.id,))

    def stop(self) -> None:
        """End every one: the server stops."""
        for stream in list(self._open):
            stream.end()


def wishes_in(query: bytes) -> ProbeWishes:
    """Return what a query asks for.

    Raises:
        InvalidRequest: It asks for what cannot be.
    """
    given = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    try:
        wishes = msgspec.convert(dict(given), ProbeWishes, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"Invalid request: {error}") from None
    problem = wishes.problem()
    if problem is not None:
        raise InvalidRequest(f"Invalid request: {problem}")
    return wishes


@implementer(IPushProducer)
class ProbeStream:
    """One stream that is probed.

    Args:
        http: What it answers.
        trace: Where what comes of it is recorded.
        wishes: What to write.
        streams: All of them.
    """

    def __init__(self, http: HttpExchange, trace: Trace, wishes: ProbeWishes, streams: ProbeStreams) -> None:
        self._http = http
        self._trace = trace
        self._wishes = wishes
        self._streams = streams
        self._now: Callable[[], float] = streams.reactor.seconds
        self._written: list[float] = []
        self._next: IDelayedCall | None = None
        self._paused = False
        self._is_due = False

    def start(self) -> None:
        """Write the first event at once, and each other one at its time."""
        http = self._http
        http.lines.append(line(b"Content-Type", b"text/event-stream"))
        http.lines.extend(_LINES)
        http.when_left(self._left)
        http.open(200)
        http.registerProducer(self, True)
        http.write(sse.OPENING_COMMENT)
        self._write()

    def end(self) -> None:
        """End the stream."""
        self._let_go()
        self._http.unregisterProducer()
        self._http.finish()

    def pauseProducing(self) -> None:
        """Write nothing until the reader has caught up: an event is not held here."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Write what was due."""
        self._paused = False
        if self._is_due:
            self._write()

    def stopProducing(self) -> None:
        """The reader has gone; `_left` is told of it."""

    def _write(self) -> None:
        """Write an event, and have the next one written when it is time."""
        self._next = None
        self._is_due = self._paused
        if self._paused:
            return
        wishes, clocks = self._wishes, self._streams.insight.clocks
        now = self._now()
        self._written.append(now)
        number, begun = len(self._written), self._written[0]
        event = _Written(
            number,
            wishes.events,
            timestamp(clocks.wall()),
            round(now - begun, 4),
            "x" * wishes.bytes,
        )
        self._http.write(sse.message(msgspec.json.encode(event), None))
        if number == wishes.events:
            self._tell(silence=now - self._written[-2] if wishes.silence else 0.0)
            self.end()
            return
        due = begun + wishes.when(number + 1)
        self._next = self._streams.reactor.callLater(max(0.0, due - now), self._write)

    def _left(self) -> None:
        """The other end has closed it before it was over."""
        silence = self._now() - self._written[-1]
        # Where the reader was waited for, it was not the silence that it has left for.
        if silence >= SHORTEST_CUT and not self._paused:
            self._tell(cut=silence)
        self._let_go()

    def _tell(self, *, silence: float = 0.0, cut: float | None = None) -> None:
        insight = self._streams.insight
        begun = self._written[0]
        event = ProbeEvent(
            at=insight.clocks.now(),
            trace=insight.traces.find(self._trace.id),
            way="address",
            written=tuple(each - begun for each in self._written),
            silence=round(silence, 3),
            cut=None if cut is None else round(cut, 3),
            head=self._http.head,
        )
        insight.recorder.see(event)

    def _let_go(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._is_due = False
        self._streams.over(self, self._trace)
