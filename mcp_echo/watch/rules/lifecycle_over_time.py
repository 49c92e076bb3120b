"""What shows only over several records: who comes when, from ``initialize`` on, and who answers. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mcp_echo.watch.records import (
    ExchangeRecord,
    JsonId,
    MessageRecord,
    SentRecord,
)
from mcp_echo.watch.rules import questions_over_time
from mcp_echo.watch.rules.facts import is_modern
from mcp_echo.watch.rules.memory import Awaited, Remembered
from mcp_echo.watch.rules.over_time import (
    Earlier,
    OverTime,
    answered,
    as_of,
    asked,
    begins_session,
    brings_session,
    clock,
    connection_of,
    earlier,
    requests_of,
    revision_of,
    session_of,
    who,
)
from mcp_echo.watch.rules.pages import HANDSHAKE, R2024_11_05, SESSIONS, pages, sessions
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule

INITIALIZED_AFTER = 10.0
"""Seconds that ``notifications/initialized`` may take once the session is in use."""

STAYS_AFTER = 10.0
"""Seconds in which a client that was offered another revision goes on."""

MOST_IDS = 1000
"""Request ids that are remembered, of all sessions together."""

_FREE = frozenset({"initialize", "ping"})
"""What may come before ``initialize`` has been answered."""


class _Used(NamedTuple):
    """A request id that was used."""

    number: int
    in_vain: str | None
    """The fingerprint of a request that was not answered, or refused: it may be sent anew."""


class IdReused(OverTime):
    """A request has an id that the client has used in this session before.

    2025-11-25 basic/index, Requests: it MUST NOT have been used before within the same session. The same
    bytes again, after a refusal or a connection that was lost before the answer, are left alone: clients send
    them anew once they have a token, or have waited, and so may something on the way. An ``initialize`` that
    comes with the id of a session is no request of that session: it is to begin another one.
    """

    def __init__(self) -> None:
        self._ids: Remembered[tuple[str, bool, JsonId], _Used] = Remembered(MOST_IDS)

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Compare each id with those of the session so far."""
        session = session_of(record)
        if session is None:
            return
        for message in requests_of(record):
            begins_another = message.method == "initialize" and brings_session(record)
            if message.id is not None and not begins_another:
                yield self._compare(record, session, message, message.id)

    def _compare(
        self, record: ExchangeRecord, session: str, message: MessageRecord, number: JsonId
    ) -> Outcome:
        key = (session, isinstance(number, str), number)
        before = self._ids.get(key)
        if before is None or (before.in_vain is not None and before.in_vain == record.body_hash):
            in_vain = record.left is not None or (record.status or 500) >= 400
            self._ids.put(key, _Used(record.number, record.body_hash if in_vain else None))
            return Held(record.number, revision_of(record))
        return Broken(
            exchange=record.number,
            summary=f"The id {number!r} of {message.method} was used in this session before, by request"
            f" {before.number}",
            subject="body:/id",
            found=repr(number),
            wanted="an id that this session has not used",
            revision=revision_of(record),
            key=str(record.number),
        )


class ResponseUnasked(OverTime):
    """A response comes to a question that the server has not asked.

    One that comes after its question was given up is late, and lawful.
    """

    def __init__(self) -> None:
        self._questions: Remembered[tuple[str, JsonId], bool] = Remembered()

    def sent(self, record: SentRecord) -> Iterable[Outcome]:
        """Remember what was asked."""
        if record.kind == "request" and record.session is not None and record.id is not None:
            self._questions.put((record.session, record.id), True)
        return ()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Look for the question of each response."""
        session = session_of(record)
        if session is None or not brings_session(record):
            return
        for message in record.messages:
            if message.kind != "response":
                continue
            if not message.stray:
                yield Held(record.number, revision_of(record))
            elif message.id is None or (session, message.id) not in self._questions:
                yield Broken(
                    exchange=record.number,
                    summary=f"A response has the id {message.id!r}; the server has asked no question with it",
                    subject="body:/id",
                    found=repr(message.id),
                    wanted="the id of a question of the server's",
                    revision=revision_of(record),
                    key=str(record.number),
                )


class RequestBeforeInitialize(OverTime):
    """A request comes without a session, and nothing from there has begun one.

    After an ``initialize`` it is the session id that is missing, which is another rule's.
    """

    def __init__(self) -> None:
        self._begun: Remembered[str, bool] = Remembered()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Look whether anybody has introduced himself from there."""
        if asked(record, "initialize") is not None:
            self._begun.put(who(record), True)
            self._begun.put(connection_of(record), True)
            yield Held(record.number, revision_of(record))
            return
        if record.session_form != "none" or is_modern(record) or self._begun.forgot:
            return
        early = next((each for each in requests_of(record) if each.method not in _FREE), None)
        if early is None or who(record) in self._begun or connection_of(record) in self._begun:
            return
        yield Broken(
            exchange=record.number,
            summary=f"{early.method} came before initialize, without a session id",
            subject="body:/method",
            found=early.method,
            wanted="initialize",
            revision=revision_of(record),
            key=str(record.number),
        )


class InitializedNeverSent(OverTime):
    """A session is used, and its client does not say that it is ready.

    A request that comes before the notification breaks no rule, and may have overtaken it. One without a
    session id is of the newest session from there: without the id nobody else would know, either.
    """

    def __init__(self) -> None:
        self._begun: Remembered[str, Earlier] = Remembered()
        self._newest: Remembered[str, str] = Remembered()
        self._awaited: Awaited[str, Broken] = Awaited()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Wait for the notification from the first use on."""
        if begins_session(record) is not None and record.session is not None:
            self._begun.put(record.session, earlier(record))
            self._newest.put(who(record), record.session)
            return
        if is_modern(record):
            return
        session = record.session if brings_session(record) else self._newest.get(who(record))
        if session is None:
            return
        if asked(record, "notifications/initialized") is not None:
            self._awaited.take(session)
            if self._begun.take(session) is not None:
                yield Held(record.number, revision_of(record))
        elif _uses(record):
            self._used(session, record)

    def _used(self, session: str, record: ExchangeRecord) -> None:
        begun = self._begun.get(session)
        if begun is None or self._awaited.get(session) is not None:
            return
        what = next((each.method for each in requests_of(record)), record.http_method)
        self._awaited.put(
            session,
            max(begun.answered, record.at) + INITIALIZED_AFTER,
            Broken(
                exchange=record.number,
                summary=f"initialize was answered at {clock(begun.answered)} and {what} has come since, but"
                " no notifications/initialized",
                subject="absence:notifications/initialized",
                wanted="notifications/initialized after the answer to initialize",
                revision=begun.revision,
                key=session,
                client=begun.client,
            ),
        )

    def due(self, now: float) -> Iterator[Outcome]:
        """Return the sessions whose clients have not said so in time."""
        for _, deadline, broken in self._awaited.overdue(now):
            yield as_of(broken, deadline)


def _uses(record: ExchangeRecord) -> bool:
    if record.http_method == "GET":
        return brings_session(record)
    return any(each.method not in _FREE for each in requests_of(record))


class LeftAfterCounterOffer(OverTime):
    """A client that was offered another revision than it asked for does not come back."""

    def __init__(self) -> None:
        self._awaited: Awaited[str, Broken] = Awaited()
        self._callers: Remembered[str, str] = Remembered()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Wait for any request after the offer."""
        if record.http_method == "DELETE" or is_modern(record):
            return
        session = record.session if brings_session(record) else self._callers.get(who(record))
        if session is not None and self._awaited.take(session) is not None:
            yield Held(record.number, revision_of(record))
        opening = begins_session(record)
        if opening is not None and record.session is not None:
            self._offer(record, record.session, opening)

    def _offer(self, record: ExchangeRecord, session: str, opening: MessageRecord) -> None:
        wanted, offered = opening.params.protocol_version, opening.result.protocol_version
        if wanted is None or offered is None or wanted == offered:
            return
        self._callers.put(who(record), session)
        self._awaited.put(
            session,
            answered(record) + STAYS_AFTER,
            Broken(
                exchange=record.number,
                summary=f"The client asked for {wanted}, was offered {offered} at {clock(answered(record))},"
                " and has sent nothing since",
                subject="body:/params/protocolVersion",
                found=wanted,
                wanted=offered,
                revision=offered,
                key=session,
                client=record.client,
            ),
        )

    def due(self, now: float) -> Iterator[Outcome]:
        """Return those who have not come back."""
        for _, deadline, broken in self._awaited.overdue(now):
            yield as_of(broken, deadline)


ROWS = (
    Rule(
        id="id-reused",
        level="error",
        title="Each request of a session has an id of its own.",
        advice="Count ids up within a session, and never start again.",
        keyword="MUST NOT",
        pages=pages("basic/messages#requests", R2024_11_05) | pages("basic#requests", *SESSIONS),
        begin=IdReused,
    ),
    Rule(
        id="response-unasked",
        level="warning",
        title="A response answers a question of the server's.",
        advice="Send back the id of the question as it came, with its type, in the session that it came in.",
        pages=sessions("sending-messages-to-the-server"),
        begin=ResponseUnasked,
    ),
    Rule(
        id="request-before-initialize",
        level="error",
        title="initialize comes before every other request but ping.",
        advice="Send initialize first, and wait for its answer. Strict servers answer 400 without it.",
        keyword="MUST",
        pages=pages("basic/lifecycle#initialization", *HANDSHAKE),
        begin=RequestBeforeInitialize,
    ),
    Rule(
        id="initialized-never-sent",
        level="error",
        title="notifications/initialized follows the answer to initialize.",
        advice="POST notifications/initialized, with the session id, as soon as initialize is answered."
        " Servers that wait for it show fewer tools, or none.",
        keyword="MUST",
        confidence="likely",
        pages=pages("basic/lifecycle#initialization", *HANDSHAKE),
        begin=InitializedNeverSent,
    ),
    Rule(
        id="client-left-after-counter-offer",
        level="warning",
        title="A client that is offered another revision goes on with it where it can.",
        advice="Accept the offered revision if the client speaks it, and else say which revisions it speaks.",
        confidence="likely",
        pages=pages("basic/lifecycle#version-negotiation", *HANDSHAKE),
        begin=LeftAfterCounterOffer,
    ),
    *questions_over_time.ROWS,
)
"""The rules of this module, and those about what clients do with questions."""
