"""What shows only over several records: how clients give calls up, and repeat them. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mcp_echo.watch.records import ExchangeRecord, JsonId, MessageRecord, StreamRecord
from mcp_echo.watch.rules.facts import is_modern
from mcp_echo.watch.rules.memory import Awaited, Remembered
from mcp_echo.watch.rules.over_time import (
    Earlier,
    OverTime,
    as_of,
    begins_session,
    called,
    crossed,
    earlier,
    holder_of,
    requests_of,
    revision_of,
    seconds,
    session_of,
)
from mcp_echo.watch.rules.pages import HANDSHAKE, pages, sessions
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule
from mcp_echo.watch.seen import CANCELLED

CANCELLED_WITHIN = 10.0
"""Seconds in which the cancellation, or the client itself, may follow a hang-up."""

ENDED_WITHIN = 30.0
"""Seconds in which the work on a request that is cancelled has ended, and the request is recorded."""

MOST_IDS = 600
"""Request ids that are remembered, of all sessions together."""

REPEATED_WITHIN = 120.0
"""Seconds in which the same call again is a repetition."""

EARLY = 0.9
"""Share of the time to wait from which on a client has waited."""

_BUSY = (429, 503)


class CallAbandoned(OverTime):
    """A client hangs up before the answer and cancels nothing.

    One that comes back for the stream, or ends its session, has not left anything behind.
    """

    def __init__(self) -> None:
        self._awaited: Awaited[tuple[str, JsonId], Broken] = Awaited()
        self._cancelled: Remembered[tuple[str, JsonId], bool] = Remembered()
        self._back: Remembered[str, float] = Remembered()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Wait for a cancellation after each hang-up."""
        session = session_of(record)
        if session is None:
            return
        for message in record.messages:
            if message.method == "notifications/cancelled" and message.params.cancels is not None:
                self._cancelled.put((session, message.params.cancels), True)
                if self._awaited.take((session, message.params.cancels)) is not None:
                    yield Held(record.number, revision_of(record))
        if record.http_method == "DELETE" or record.values("last-event-id"):
            self._came_back(session, record.at)
        elif record.left is not None:
            for message in requests_of(record):
                self._left(record, session, message)

    def _left(self, record: ExchangeRecord, session: str, message: MessageRecord) -> None:
        if message.id is None or message.method == "initialize" or message.outcome == CANCELLED:
            return
        at = record.at + (record.left or 0.0)
        if (session, message.id) in self._cancelled or (self._back.get(session) or 0.0) >= at:
            return
        self._awaited.put(
            (session, message.id),
            at + CANCELLED_WITHIN,
            Broken(
                exchange=record.number,
                summary=f"The client hung up on {called(message)} after {seconds(record.left or 0.0)},"
                " and has"
                " not cancelled it",
                subject="absence:notifications/cancelled",
                wanted="notifications/cancelled with the id of the request",
                revision=revision_of(record),
                key=str(record.number),
                client=record.client,
            ),
        )

    def _came_back(self, session: str, at: float) -> None:
        self._back.put(session, max(at, self._back.get(session) or 0.0))
        for key, _ in self._awaited.items():
            if key[0] == session:
                self._awaited.take(key)

    def stream(self, record: StreamRecord) -> Iterable[Outcome]:
        """A client has come back."""
        if record.kind == "resume" and record.session is not None:
            self._came_back(record.session, record.at)
        return ()

    def due(self, now: float) -> Iterator[Outcome]:
        """Return the requests that were left and not cancelled."""
        for _, deadline, broken in self._awaited.overdue(now):
            yield as_of(broken, deadline)


class CancellationUnknown(OverTime):
    """A client cancels a request that it has not sent in this session.

    basic/utilities/cancellation, Behavior Requirements: only what was issued before. A request that is
    cancelled is recorded when its work has ended, after its cancellation. One that was answered meanwhile may
    be named.
    """

    def __init__(self) -> None:
        self._begun: Remembered[str, bool] = Remembered()
        self._ids: Remembered[tuple[str, bool, JsonId], bool] = Remembered(MOST_IDS)
        self._awaited: Awaited[tuple[str, bool, JsonId], Broken] = Awaited()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Look for the request of each cancellation."""
        session = session_of(record)
        if session is None:
            return
        if begins_session(record) is not None:
            self._begun.put(session, True)
        for message in requests_of(record):
            if message.id is not None:
                key = (session, isinstance(message.id, str), message.id)
                self._ids.put(key, True)
                if self._awaited.take(key) is not None:
                    yield Held(record.number, revision_of(record))
        if session in self._begun and not record.partial:
            yield from self._cancelled(record, session)

    def _cancelled(self, record: ExchangeRecord, session: str) -> Iterator[Outcome]:
        for message in record.messages:
            named = message.params.cancels
            if named is None:
                continue
            key = (session, isinstance(named, str), named)
            if key in self._ids:
                yield Held(record.number, revision_of(record))
            else:
                self._awaited.put(key, record.at + ENDED_WITHIN, _of_nothing(record, named))

    def due(self, now: float) -> Iterator[Outcome]:
        """Return the cancellations whose request has not come."""
        for _, deadline, broken in self._awaited.overdue(now):
            if not self._ids.forgot:
                yield as_of(broken, deadline)


def _of_nothing(record: ExchangeRecord, named: JsonId) -> Broken:
    return Broken(
        exchange=record.number,
        summary=f"notifications/cancelled names the request {named!r}; none with that id has come in this"
        " session",
        subject="body:/params/requestId",
        found=repr(named),
        wanted="the id of a request of this session, with its type",
        revision=revision_of(record),
        key=str(record.number),
        client=record.client,
    )


class RetryAfterIgnored(OverTime):
    """A request comes again before the time that Retry-After has named."""

    def __init__(self) -> None:
        self._refused: Remembered[tuple[str, ...], tuple[Earlier, int]] = Remembered()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Compare each request with those that were refused for a time."""
        key = _same_request(record)
        if key is None:
            return
        before = self._refused.get(key)
        if before is not None and not crossed(before[0], record):
            yield self._again(record, *before)
        wait = record.answered("Retry-After") or ""
        if record.status in _BUSY and wait.isascii() and wait.isdigit():
            self._refused.put(key, (earlier(record), int(wait[:6])))
        else:
            self._refused.take(key)

    @staticmethod
    def _again(record: ExchangeRecord, before: Earlier, wait: int) -> Outcome:
        waited = record.at - before.answered
        if waited >= wait * EARLY:
            return Held(record.number, revision_of(record))
        what = called(record.messages[0]) if record.messages else record.http_method
        return Broken(
            exchange=record.number,
            summary=f"{what} came again after {seconds(waited)}; Retry-After of the {before.status} asked for"
            f" {wait} s",
            subject="body:/method",
            found=seconds(waited),
            wanted=f"{wait} s",
            revision=before.revision,
            key=str(record.number),
            client=before.client,
        )


def _same_request(record: ExchangeRecord) -> tuple[str, ...] | None:
    """Return what is equal for requests that ask the same; None for those of which that is not known."""
    message, holder = record.message, holder_of(record)
    if message is not None:
        params = message.params
        return (holder, message.method or "", message.name or "", params.arguments or params.cursor or "")
    return None if record.body_hash is None else (holder, record.http_method, record.path, record.body_hash)


class CallRepeated(OverTime):
    """A call comes again that was left before its answer, or that has failed in the server."""

    def __init__(self) -> None:
        self._failed: Remembered[tuple[str, str, str], tuple[Earlier, str, int]] = Remembered()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Compare each call with those that came to nothing."""
        for message in requests_of(record):
            if message.method == "tools/call" and message.params.arguments is not None:
                yield from self._call(record, message, message.params.arguments)

    def _call(self, record: ExchangeRecord, message: MessageRecord, arguments: str) -> Iterator[Outcome]:
        key = (holder_of(record), message.name or "", arguments)
        before = self._failed.take(key)
        if before is not None and 0 <= record.at - before[0].answered <= REPEATED_WITHIN:
            yield self._again(record, message, *before)
        else:
            yield Held(record.number, revision_of(record))
        why = _came_to_nothing(record, message)
        if why is not None:
            times = 1 if before is None else before[2] + 1
            left = earlier(record)._replace(answered=record.at + (record.left or record.last or 0.0))
            self._failed.put(key, (left, why, times))

    @staticmethod
    def _again(
        record: ExchangeRecord, message: MessageRecord, before: Earlier, why: str, times: int
    ) -> Outcome:
        return Broken(
            exchange=record.number,
            summary=f"{called(message)} came again with the same arguments,"
            f" {seconds(record.at - before.answered)}"
            f" after it {why}: it has come {times + 1} times, and may have run as often",
            subject="body:/params",
            found=f"{times + 1} times",
            wanted="once",
            revision=revision_of(record),
            key=str(record.number),
        )


def _came_to_nothing(record: ExchangeRecord, message: MessageRecord) -> str | None:
    """Return why a call that may have run has to be asked for again; None where it has not.

    One that was refused for a time is to be repeated; so is one of the modern era whose stream was cut.
    """
    if record.answered("Retry-After") is not None or record.refusal is not None:
        return None
    if record.left is not None and message.outcome != CANCELLED and not is_modern(record):
        return "was left before its answer"
    if isinstance(message.outcome, int) and message.outcome >= 500:
        return f"was answered {message.outcome}"
    return None


ROWS = (
    Rule(
        id="call-abandoned",
        level="warning",
        title="A client that gives a request up cancels it.",
        advice="Send notifications/cancelled before hanging up. Where a hop cuts the call, typically"
        " after 60 or"
        " 300 s, ask for progress, and raise its time-out.",
        keyword="SHOULD",
        confidence="likely",
        pages=sessions("sending-messages-to-the-server"),
        begin=CallAbandoned,
    ),
    Rule(
        id="cancellation-unknown",
        level="error",
        title="A cancellation names a request that the client has sent.",
        advice="Send requestId as the id of the request was sent, a number as a number, in the same session.",
        keyword="MUST",
        confidence="likely",
        pages=pages("basic/utilities/cancellation#behavior-requirements", *HANDSHAKE),
        begin=CancellationUnknown,
    ),
    Rule(
        id="retry-after-ignored",
        level="warning",
        title="A client waits as long as Retry-After says.",
        advice="Read Retry-After of a 429 or 503 and repeat the request no sooner.",
        url="https://www.rfc-editor.org/rfc/rfc9110.html#section-10.2.3",
        begin=RetryAfterIgnored,
    ),
    Rule(
        id="call-repeated",
        level="warning",
        title="A client does not simply repeat a call that may have run.",
        advice="Repeat a call only where the tool is idempotent (idempotentHint), or where it cannot"
        " have run.",
        begin=CallRepeated,
    ),
)
"""The rules of this module."""
