"""What shows only over several records: how clients open, leave and take up event streams. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mcp_echo.watch.records import (
    ExchangeRecord,
    SentRecord,
    SessionChange,
    StreamRecord,
)
from mcp_echo.watch.rules.memory import Awaited, Remembered
from mcp_echo.watch.rules.over_time import (
    Earlier,
    Holders,
    OverTime,
    answered,
    brings_session,
    crossed,
    earlier,
    revision_of,
    seconds,
)
from mcp_echo.watch.rules.pages import R2025_11_25, pages, sessions
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule

STORM = 5
"""Streams that are over at once, from which on it is a storm."""

STORM_WITHIN = 10.0
"""Seconds in which they come."""

SHORT = 1.0
"""Seconds below which a stream is over at once."""

NO_WAIT = 1.0
"""Seconds from the end of one to the next, below which a client does not wait."""

HEARD_WITHIN = 30.0
"""Seconds that messages wait before it is told that nobody listens."""

_TOLD = 10
"""Messages that wait of which the methods are told."""

EARLY = 0.9
"""Share of the time to wait from which on a client has waited."""


class GetRetriedAfter405(OverTime):
    """A client asks again for a stream after it was told that there is none.

    To come back for a stream that was cut, with ``Last-Event-ID``, is another question than to listen: each
    is answered once.
    """

    def __init__(self) -> None:
        self._refused: Remembered[tuple[str, str], Earlier] = Remembered()
        self._heeds: Remembered[str, bool] = Remembered()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Compare each GET with those that were refused."""
        session = record.session
        if not brings_session(record) or session is None:
            return
        if record.http_method != "GET":
            if self._heeds.take(session):
                yield Held(record.number, revision_of(record))
            return
        asked = ",".join(record.values("last-event-id"))
        before = self._refused.get((session, asked))
        if before is not None and not crossed(before, record):
            yield Broken(
                exchange=record.number,
                summary=f"GET was answered 405 and came again {seconds(record.at - before.answered)} later",
                subject="method",
                found="GET",
                wanted="no further GET in this session",
                revision=before.revision,
                key=str(record.number),
                client=before.client,
            )
        if record.status == 405:
            if before is None:
                self._heeds.put(session, True)
            self._refused.put((session, asked), earlier(record))


class GetStorm(OverTime):
    """A client opens one stream after the other without waiting, each of which is over at once."""

    def __init__(self) -> None:
        self._ends: Remembered[str, list[float]] = Remembered()
        self._holders = Holders()

    def exchange(self, record: ExchangeRecord) -> Iterable[Outcome]:
        """Count what was refused."""
        self._holders.note(record)
        if record.http_method != "GET" or record.streamed or not brings_session(record):
            return ()
        return self._short(record.session or "", record.number, record.at, answered(record))

    def stream(self, record: StreamRecord) -> Iterable[Outcome]:
        """Count what the client itself has left, or replaced by another."""
        if record.kind != "close" or record.session is None or not record.tag.startswith("g"):
            return ()
        if (record.seconds or 0.0) >= SHORT:
            holder = self._holders.of(record.session)
            return () if holder is None else (Held(record.number, holder.revision),)
        if record.why not in ("left", "replaced"):
            return ()
        return self._short(record.session, record.number, record.at - (record.seconds or 0.0), record.at)

    def _short(self, session: str, number: int, begun: float, ended: float) -> Iterator[Outcome]:
        ends = self._ends.get(session)
        if ends is None:
            ends = self._ends.put(session, [])
        if ends and begun - ends[-1] >= NO_WAIT:
            ends.clear()
        ends.append(ended)
        del ends[:-STORM]
        span = ends[-1] - ends[0]
        if len(ends) < STORM or not 0 <= span <= STORM_WITHIN:
            return
        ends.clear()
        holder = self._holders.of(session)
        yield Broken(
            exchange=number,
            summary=f"{STORM} streams were asked for in {seconds(span)}, each of which was over within a"
            " second",
            subject="method",
            found=f"{STORM} in {seconds(span)}",
            wanted="a longer wait from one try to the next",
            revision=None if holder is None else holder.revision,
            key=f"{session} {number}",
            client=None if holder is None else holder.client,
        )


class GetNeverOpened(OverTime):
    """Messages wait for a stream, and the client opens none."""

    def __init__(self) -> None:
        self._awaited: Awaited[str, list[SentRecord]] = Awaited()
        self._holders = Holders()

    def sent(self, record: SentRecord) -> Iterable[Outcome]:
        """Wait for a client that listens."""
        if record.session is None:
            return ()
        if record.state != "waiting":
            self._awaited.take(record.session)
            return ()
        waiting = self._awaited.get(record.session)
        if waiting is None:
            self._awaited.put(record.session, record.at + HEARD_WITHIN, [record])
        elif len(waiting) < _TOLD:
            waiting.append(record)
        return ()

    def exchange(self, record: ExchangeRecord) -> Iterable[Outcome]:
        """Learn whose session it is."""
        self._holders.note(record)
        return ()

    def stream(self, record: StreamRecord) -> Iterable[Outcome]:
        """A client listens."""
        if record.session is None or record.kind not in ("open", "resume"):
            return ()
        holder = self._holders.of(record.session)
        waited = self._awaited.take(record.session)
        return () if waited is None or holder is None else (Held(record.number, holder.revision),)

    def change(self, record: SessionChange) -> Iterable[Outcome]:
        """Nobody needs to listen any more."""
        if record.kind == "end":
            self._awaited.take(record.session)
        return ()

    def due(self, now: float) -> Iterator[Outcome]:
        """Return the sessions in which messages have waited too long."""
        for session, deadline, waiting in self._awaited.overdue(now):
            holder = self._holders.of(session)
            methods = ", ".join(sorted({each.method for each in waiting}))
            yield Broken(
                exchange=waiting[0].number,
                summary=f"{methods} waits since {seconds(HEARD_WITHIN)}, and the client has opened no stream",
                subject="absence:GET",
                wanted="GET, to listen",
                at=deadline,
                revision=None if holder is None else holder.revision,
                key=f"{session} {waiting[0].number}",
                client=None if holder is None else holder.client,
            )


class ResumedWithoutId(OverTime):
    """A client that was asked back to the stream it listened on does not say what it has had of it.

    Only where every stream begins with an id is it known that the client has one to send.
    """

    def __init__(self) -> None:
        self._asked_back: Remembered[str, StreamRecord] = Remembered()

    def stream(self, record: StreamRecord) -> Iterable[Outcome]:
        """Remember who was asked back."""
        if record.kind == "hang-up" and record.session is not None and record.tag.startswith("g"):
            self._asked_back.put(record.session, record)
        return ()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Look for the id that it brings."""
        if record.http_method != "GET" or not brings_session(record):
            return
        left = self._asked_back.take(record.session or "")
        if left is None or record.at < left.at:
            return
        if record.values("last-event-id"):
            yield Held(record.number, revision_of(record))
            return
        yield Broken(
            exchange=record.number,
            summary="The server asked the client back to its stream; it came without Last-Event-ID, and"
            " what was"
            " sent meanwhile may be lost",
            subject="absence:Last-Event-ID",
            wanted="Last-Event-ID with the id of the last event",
            revision=revision_of(record),
            key=str(record.number),
        )


class RetryNotRespected(OverTime):
    """A client comes back to a stream sooner than it was told to."""

    def __init__(self) -> None:
        self._asked_back: Remembered[tuple[str, str], StreamRecord] = Remembered()
        self._holders = Holders()

    def exchange(self, record: ExchangeRecord) -> Iterable[Outcome]:
        """Learn whose session it is."""
        self._holders.note(record)
        return ()

    def stream(self, record: StreamRecord) -> Iterator[Outcome]:
        """Compare when it was asked back with when it comes."""
        if record.session is None:
            return
        key = (record.session, record.tag)
        if record.kind == "hang-up" and record.retry is not None:
            self._asked_back.put(key, record)
        if record.kind != "resume":
            return
        before = self._asked_back.take(key)
        holder = self._holders.of(record.session)
        if before is None or before.retry is None or holder is None:
            return
        waited = (record.at - before.at) * 1000
        if waited >= before.retry * EARLY or waited < 0:
            yield Held(record.number, holder.revision)
            return
        yield Broken(
            exchange=record.number,
            summary=f"The client came back after {waited:.0f} ms; retry asked it to wait {before.retry} ms",
            subject="stream",
            found=f"{waited:.0f} ms",
            wanted=f"{before.retry} ms",
            revision=holder.revision,
            key=str(record.number),
            client=holder.client,
        )


class StreamNotRead(OverTime):
    """A client opens a stream and does not read it."""

    def __init__(self) -> None:
        self._stalled: Remembered[tuple[str, str], bool] = Remembered()

    def stream(self, record: StreamRecord) -> Iterable[Outcome]:
        """Look for streams that stall."""
        key = (record.session or "", record.tag)
        if record.kind == "close":
            return () if self._stalled.take(key) else (Held(record.number),)
        if record.kind != "stalled":
            return ()
        self._stalled.put(key, True)
        broken = Broken(
            exchange=record.number,
            summary=f"The client has not read its stream for {seconds(record.seconds or 0.0)};"
            f" {record.waiting} bytes wait at least",
            subject="stream",
            found=f"{record.waiting} bytes not read",
            wanted="that the client reads what it asked for",
            key=f"{record.node} {key} {record.number}",
        )
        return (broken,)


ROWS = (
    Rule(
        id="get-retried-after-405",
        level="warning",
        title="A GET that was answered 405 is not repeated: the server offers no stream.",
        advice="Accept the 405, and go on without a listening stream.",
        pages=sessions("listening-for-messages-from-the-server"),
        begin=GetRetriedAfter405,
    ),
    Rule(
        id="get-storm",
        level="error",
        title="A client waits before it opens a stream again.",
        advice="Wait longer after each stream that was over at once, and obey retry.",
        pages=sessions("listening-for-messages-from-the-server"),
        begin=GetStorm,
    ),
    Rule(
        id="get-never-opened",
        level="info",
        title="A client listens for what the server sends unasked.",
        advice="Open a GET stream if the client is to hear of changes, or is to answer questions.",
        keyword="MAY",
        confidence="likely",
        pages=sessions("listening-for-messages-from-the-server"),
        begin=GetNeverOpened,
    ),
    Rule(
        id="resume-without-event-id",
        level="warning",
        title="A client that comes back to a stream says which event it had last.",
        advice="Keep the id of the last event and send it as Last-Event-ID.",
        keyword="SHOULD",
        pages=pages("basic/transports#resumability-and-redelivery", R2025_11_25),
        conformance="client-sse-last-event-id",
        begin=ResumedWithoutId,
    ),
    Rule(
        id="retry-not-respected",
        level="error",
        title="A client waits as long as retry says before it comes back.",
        advice="Read the retry field of the stream and wait that many milliseconds.",
        keyword="MUST",
        pages=pages("basic/transports#sending-messages-to-the-server", R2025_11_25),
        conformance="client-sse-retry-timing",
        begin=RetryNotRespected,
    ),
    Rule(
        id="stream-not-read",
        level="warning",
        title="A client reads the streams that it opens.",
        advice="Read on while a call runs, or close the stream: the server drops a connection that is"
        " not read.",
        begin=StreamNotRead,
    ),
)
"""The rules of this module."""
