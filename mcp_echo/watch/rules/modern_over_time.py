"""What shows only over several records: how clients of both eras choose, and take errors of 2026-07-28.

No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mcp_echo.watch.records import ExchangeRecord, MessageRecord
from mcp_echo.watch.rules import round_trips_over_time
from mcp_echo.watch.rules.facts import is_modern
from mcp_echo.watch.rules.memory import Awaited, Remembered
from mcp_echo.watch.rules.over_time import (
    Earlier,
    OverTime,
    answered,
    as_of,
    asked,
    called,
    clock,
    earlier,
    requests_of,
    revision_of,
    seconds,
    who,
)
from mcp_echo.watch.rules.pages import R2026_07_28, modern, pages
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule

FALLS_BACK_WITHIN = 10.0
"""Seconds in which ``initialize`` after a modern request is told as the same client's."""

TRIES_AGAIN_WITHIN = 30.0
"""Seconds in which a client makes good what an error has told it."""

HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION = -32020, -32021, -32022


class _Tried(NamedTuple):
    """The newest modern request of a caller."""

    exchange: Earlier
    message: MessageRecord
    took: float
    """Seconds."""


class _Fallbacks(OverTime):
    """A client tries the modern era and goes on with ``initialize``."""

    def __init__(self) -> None:
        self._tried: Remembered[str, _Tried] = Remembered()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Compare each ``initialize`` with what was tried before."""
        caller = who(record)
        opening = asked(record, "initialize")
        if opening is not None and not is_modern(record):
            tried = self._tried.take(caller)
            if tried is not None and _same_client(tried, opening, record):
                yield from self.fell_back(record, opening, tried)
            return
        message = next(iter(requests_of(record)), None)
        if message is not None and is_modern(record):
            self._tried.put(caller, _Tried(earlier(record), message, answered(record) - record.at))
            if message.error is None and message.method != "server/discover":
                yield Held(record.number, revision_of(record))

    def fell_back(self, record: ExchangeRecord, opening: MessageRecord, tried: _Tried) -> Iterator[Outcome]:
        """Yield what the way back shows."""
        raise NotImplementedError


def _same_client(tried: _Tried, opening: MessageRecord, record: ExchangeRecord) -> bool:
    names = {tried.message.params.client, opening.params.client} - {None}
    soon = 0 <= record.at - tried.exchange.answered <= FALLS_BACK_WITHIN
    went_on = tried.message.error is None and tried.message.method != "server/discover"
    return len(names) <= 1 and soon and not went_on


class EraFallback(_Fallbacks):
    """Tells that a client went back to the legacy era, and after what."""

    def fell_back(self, record: ExchangeRecord, opening: MessageRecord, tried: _Tried) -> Iterator[Outcome]:
        """Tell it."""
        came = _answer(tried)
        yield Broken(
            exchange=record.number,
            summary=f"The client went back to {opening.params.protocol_version or 'initialize'} after"
            f" {called(tried.message)} was answered {came} in {seconds(tried.took)}",
            subject="body:/method",
            found="initialize",
            revision=tried.exchange.revision,
            key=str(record.number),
        )


class EraFallbackWrong(_Fallbacks):
    """A client goes back to the legacy era after an error that only a modern server gives.

    After -32022 it may be right to: what is spoken here may be none of its modern revisions.
    """

    def fell_back(self, record: ExchangeRecord, opening: MessageRecord, tried: _Tried) -> Iterator[Outcome]:
        """Look at the error."""
        del opening
        if tried.message.error not in (HEADER_MISMATCH, MISSING_CAPABILITY):
            return
        yield Broken(
            exchange=record.number,
            summary=f"{called(tried.message)} was answered {_answer(tried)}, which a modern server says, and"
            " the client fell back to initialize",
            subject="body:/method",
            found="initialize",
            wanted="the request again, with what the error names put right",
            revision=tried.exchange.revision,
            key=str(record.number),
        )


def _answer(tried: _Tried) -> str:
    status = "not at all" if tried.exchange.status is None else str(tried.exchange.status)
    return status if tried.message.error is None else f"{status} ({tried.message.error})"


class MismatchNotRetried(OverTime):
    """A call lacks a header that its tool asks for, and does not come again with it."""

    def __init__(self) -> None:
        self._awaited: Awaited[tuple[str, str], Broken] = Awaited()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Wait for the call to come again."""
        for message in requests_of(record):
            if message.method != "tools/call" or not is_modern(record):
                continue
            key = (who(record), message.name or "")
            if self._awaited.take(key) is not None:
                yield Held(record.number, revision_of(record))
            if message.error == HEADER_MISMATCH and "mcp-param-" in (message.result.message or "").lower():
                self._refused(record, message, key)

    def _refused(self, record: ExchangeRecord, message: MessageRecord, key: tuple[str, str]) -> None:
        self._awaited.put(
            key,
            answered(record) + TRIES_AGAIN_WITHIN,
            Broken(
                exchange=record.number,
                summary=f"{called(message)} was answered {HEADER_MISMATCH} at {clock(answered(record))}"
                " and has"
                " not come again since",
                subject="absence:tools/call",
                wanted="tools/list, and the call again with the headers that its schema names",
                revision=revision_of(record),
                key=str(record.number),
                client=record.client,
            ),
        )

    def due(self, now: float) -> Iterator[Outcome]:
        """Return the calls that have not come again."""
        for _, deadline, broken in self._awaited.overdue(now):
            yield as_of(broken, deadline)


class VersionNotRetried(OverTime):
    """A client is told which revisions are spoken, has used one of them before, and stops.

    Of one that has never used any of them it is not known whether it could.
    """

    def __init__(self) -> None:
        self._spoken: Remembered[str, set[str]] = Remembered()
        self._awaited: Awaited[str, Broken] = Awaited()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Wait for another try."""
        caller = who(record)
        for message in requests_of(record):
            if message.error == UNSUPPORTED_VERSION:
                self._refused(record, message, caller)
                continue
            if message.revision is not None and message.error is None:
                self._speaks(caller, message.revision)
            if self._awaited.take(caller) is not None:
                yield Held(record.number, R2026_07_28)

    def _speaks(self, caller: str, revision: str) -> None:
        spoken = self._spoken.get(caller)
        if spoken is None:
            spoken = self._spoken.put(caller, set())
        if len(spoken) < 10:
            spoken.add(revision)

    def _refused(self, record: ExchangeRecord, message: MessageRecord, caller: str) -> None:
        common = set(message.result.supported) & (self._spoken.get(caller) or set())
        if not common:
            return
        self._awaited.put(
            caller,
            answered(record) + TRIES_AGAIN_WITHIN,
            Broken(
                exchange=record.number,
                summary=f"{called(message)} asked for"
                f" {message.params.protocol_version or 'another revision'},"
                f" was told that {', '.join(message.result.supported)} are spoken, and the client has"
                " stopped",
                subject="body:/params/_meta",
                found=message.params.protocol_version,
                wanted=", ".join(sorted(common)),
                revision=R2026_07_28,
                key=str(record.number),
                client=record.client,
            ),
        )

    def due(self, now: float) -> Iterator[Outcome]:
        """Return those who have not tried again."""
        for _, deadline, broken in self._awaited.overdue(now):
            yield as_of(broken, deadline)


ROWS = (
    Rule(
        id="era-fallback",
        level="info",
        title="A client of both eras stays with the modern one where the server speaks it.",
        advice="Look at what the modern request was answered with, and by whom: a gateway may not pass"
        " it on.",
        pages=modern("backward-compatibility"),
        begin=EraFallback,
    ),
    Rule(
        id="era-fallback-wrong",
        level="warning",
        title="A client does not fall back after an error that a modern server gives.",
        advice="Read the body of a 400 before falling back: -32020, -32021 and -32022 are a modern"
        " server's. Put"
        " the request right and send it again.",
        keyword="SHOULD",
        pages=modern("backward-compatibility"),
        begin=EraFallbackWrong,
    ),
    Rule(
        id="mismatch-not-retried",
        level="warning",
        title="A call that lacks headers of its parameters comes again with them.",
        advice="After -32020 list the tools, and repeat the call with the headers that x-mcp-header names.",
        keyword="SHOULD",
        confidence="likely",
        pages=modern("client-behavior"),
        begin=MismatchNotRetried,
    ),
    Rule(
        id="version-not-retried",
        level="warning",
        title="A client that is told which revisions are spoken uses one that it knows.",
        advice="Take a revision of the error's supported list that the client speaks, and send the"
        " request again.",
        keyword="SHOULD",
        confidence="likely",
        pages=pages("basic/versioning#protocol-version-negotiation", R2026_07_28),
        conformance="sep-2575-client-retry-supported-version",
        begin=VersionNotRetried,
    ),
    *round_trips_over_time.ROWS,
)
"""The rules of this module, and those about requests that are answered with questions."""
