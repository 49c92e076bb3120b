"""What clients do with the questions that the server asks them, in the legacy era. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mcp_echo.watch.records import ExchangeRecord, JsonId, SentRecord, StreamRecord
from mcp_echo.watch.rules.memory import Remembered
from mcp_echo.watch.rules.over_time import OverTime, asked, begins_session, revision_of, seconds
from mcp_echo.watch.rules.pages import HANDSHAKE, pages
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule

_METHOD_NOT_FOUND = -32601

_SERVES = {
    "sampling/createMessage": "sampling",
    "elicitation/create": "elicitation",
    "roots/list": "roots",
}
"""Question of the server's → the capability that promises an answer."""


class _Client(NamedTuple):
    """Who is asked."""

    revision: str
    name: str | None
    capabilities: tuple[str, ...]


def _client(record: ExchangeRecord) -> _Client:
    opening = asked(record, "initialize")
    declared = opening.params.capabilities if opening is not None else None
    return _Client(revision_of(record), record.client, declared or ())


class QuestionRule(OverTime):
    """What a client does with the questions that reach it."""

    def __init__(self) -> None:
        self._waiting: Remembered[tuple[str, JsonId | None], bool] = Remembered()
        self._left: Remembered[str, float] = Remembered()

    def stream(self, record: StreamRecord) -> Iterable[Outcome]:
        """Remember who has left: he gets no questions."""
        if record.kind == "close" and record.session is not None:
            self._left.put(record.session, record.at)
        return ()

    def sent(self, record: SentRecord) -> Iterator[Outcome]:
        """Judge what has come of a question that did reach its client."""
        if record.kind != "request" or record.session is None:
            return
        key = (record.session, record.id)
        if record.state == "waiting":
            self._waiting.put(key, True)
        elif record.state == "written":
            self._waiting.take(key)
        elif record.state == "answered" or self._reached(record, key):
            self._waiting.take(key)
            yield from self.came_to(record, record.session)

    def _reached(self, record: SentRecord, key: tuple[str, JsonId | None]) -> bool:
        left = self._left.get(key[0])
        return key not in self._waiting and (left is None or left < record.at - (record.seconds or 0.0))

    def came_to(self, record: SentRecord, session: str) -> Iterable[Outcome]:
        """Return what an answer, or its absence, shows."""
        del record, session
        return ()


class CapabilityNotServed(QuestionRule):
    """A client declares a capability and knows nothing of the questions that it is for.

    People may take their time over what they are asked, so that only the list of roots, which asks nobody,
    has to come in time.
    """

    def __init__(self) -> None:
        super().__init__()
        self._clients: Remembered[str, _Client] = Remembered()

    def exchange(self, record: ExchangeRecord) -> Iterable[Outcome]:
        """Remember what the client declares."""
        if begins_session(record) is not None and record.session is not None:
            self._clients.put(record.session, _client(record))
        return ()

    def came_to(self, record: SentRecord, session: str) -> Iterator[Outcome]:
        """Compare the answer with what was declared."""
        capability = _SERVES.get(record.method)
        begun = self._clients.get(session)
        if capability is None or begun is None or capability not in begun.capabilities:
            return
        if record.state == "answered" and record.error != _METHOD_NOT_FOUND:
            yield Held(record.number, begun.revision)
        elif record.state == "answered" or record.method == "roots/list":
            came = "-32601, method not found" if record.state == "answered" else "no answer"
            yield Broken(
                exchange=record.number,
                summary=f"The client declares {capability}; {record.method} got {came}",
                subject=f"absence:{record.method}",
                found=came,
                wanted=f"an answer to {record.method}",
                revision=begun.revision,
                key=str(record.number),
                client=begun.name,
            )


class PingUnanswered(QuestionRule):
    """A ping of the server's gets no answer, or an error."""

    def __init__(self) -> None:
        super().__init__()
        self._clients: Remembered[str, _Client] = Remembered()

    def exchange(self, record: ExchangeRecord) -> Iterable[Outcome]:
        """Remember whose session it is."""
        if begins_session(record) is not None and record.session is not None:
            self._clients.put(record.session, _client(record))
        return ()

    def came_to(self, record: SentRecord, session: str) -> Iterator[Outcome]:
        """Say what has come of the ping."""
        begun = self._clients.get(session)
        if record.method != "ping" or begun is None:
            return
        if record.state == "answered" and record.error is None:
            yield Held(record.number, begun.revision)
            return
        since = "" if record.seconds is None else f" in {seconds(record.seconds)}"
        came = f"the error {record.error}" if record.state == "answered" else f"no answer{since}"
        yield Broken(
            exchange=record.number,
            summary=f"A ping of the server's got {came}",
            subject="absence:response",
            found=came,
            wanted="an empty result",
            revision=begun.revision,
            key=str(record.number),
            client=begun.name,
        )


ROWS = (
    Rule(
        id="capability-not-served",
        level="error",
        title="A client answers the questions that the capabilities it declares are for.",
        advice="Register a handler for the capability, or do not declare it.",
        pages=pages("basic/lifecycle#capability-negotiation", *HANDSHAKE),
        begin=CapabilityNotServed,
    ),
    Rule(
        id="ping-unanswered",
        level="error",
        title="A ping is answered promptly, with an empty result.",
        advice="Answer ping on every session whose stream is read. Servers may end a session that does not.",
        keyword="MUST",
        confidence="likely",
        pages=pages("basic/utilities/ping#behavior-requirements", *HANDSHAKE),
        begin=PingUnanswered,
    ),
)
"""The rules of this module."""
