"""What shows only over several records: how modern clients answer what a request is answered with questions.

No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mcp_echo.watch.records import ExchangeRecord, JsonId, MessageRecord
from mcp_echo.watch.rules.facts import is_modern
from mcp_echo.watch.rules.memory import Awaited, Remembered
from mcp_echo.watch.rules.over_time import (
    OverTime,
    answered,
    as_of,
    called,
    clock,
    requests_of,
    revision_of,
    who,
)
from mcp_echo.watch.rules.pages import R2026_07_28, pages
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule

ROUND_TRIPS = pages("basic/patterns/mrtr#client-requirements-basic-workflow", R2026_07_28)

RETRIED_WITHIN = 60.0
"""Seconds in which a client comes back with what it was asked for."""

_MOST_OPEN = 8
"""Questions to one call that are open at once."""


class Ask(NamedTuple):
    """A request was answered with questions, with a state to send back, or with both."""

    number: int
    id: JsonId | None
    state: str | None
    keys: tuple[str, ...]


class Retry(NamedTuple):
    """A request that brings answers, or a state."""

    record: ExchangeRecord
    message: MessageRecord
    ask: Ask | None
    """What it answers, as far as that is certain."""
    open: tuple[Ask, ...]
    """All that the same call of the same caller has been asked, and that is not answered yet."""
    complete: bool
    """Whether nothing that was asked has been forgotten."""

    def broken(
        self, summary: str, *, subject: str, found: str | None = None, wanted: str | None = None
    ) -> Broken:
        """Return that this retry breaks a rule."""
        return Broken(
            exchange=self.record.number,
            summary=summary,
            subject=subject,
            found=found,
            wanted=wanted,
            revision=revision_of(self.record),
            key=f"{self.record.number} {self.message.id!r}",
        )

    def held(self) -> Held:
        """Return that it keeps a rule."""
        return Held(self.record.number, revision_of(self.record))

    @property
    def refused(self) -> bool:
        """Whether it was answered with an error."""
        return self.message.error is not None

    @property
    def has_stateful(self) -> bool:
        """Whether the call was given a state that has not come back."""
        return any(ask.state is not None for ask in self.open)


Call = tuple[str, str, str]
"""Caller, method, and the name of what is called."""


class RoundTrips(OverTime):
    """What was asked in the answers to requests, and what comes of it."""

    def __init__(self) -> None:
        self._states: Remembered[str, Ask] = Remembered()
        self._open: Remembered[Call, list[Ask]] = Remembered()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Compare each retry with what was asked."""
        if not is_modern(record):
            return
        for message in requests_of(record):
            call = (who(record), message.method or "", message.name or "")
            outcome = self._retry(record, message, call) if _is_retry(message) else None
            if outcome is not None:
                yield outcome
            if _is_asked(message):
                self._ask(record, message, call)

    def _ask(self, record: ExchangeRecord, message: MessageRecord, call: Call) -> None:
        ask = Ask(record.number, message.id, message.result.state, message.result.asks)
        asks = self._open.get(call)
        if asks is None:
            asks = self._open.put(call, [])
        asks.append(ask)
        del asks[:-_MOST_OPEN]
        if ask.state is not None:
            self._states.put(ask.state, ask)
        self.asked(record, message, call)

    def _retry(self, record: ExchangeRecord, message: MessageRecord, call: Call) -> Outcome | None:
        asks = self._open.get(call) or []
        state = message.params.state
        ask = self._states.get(state) if state is not None else _without_state(asks)
        complete = not (self._states.forgot or self._open.forgot)
        outcome = self.retried(Retry(record, message, ask, tuple(asks), complete))
        if ask in asks:
            asks.remove(ask)
        return outcome

    def asked(self, record: ExchangeRecord, message: MessageRecord, call: Call) -> None:
        """Learn that a request was answered with questions."""

    def retried(self, retry: Retry) -> Outcome | None:
        """Return what a retry shows; None where the rule does not apply to it."""
        raise NotImplementedError


def _is_retry(message: MessageRecord) -> bool:
    return message.params.inputs is not None or message.params.state is not None


def _is_asked(message: MessageRecord) -> bool:
    return message.error is None and (message.result.state is not None or bool(message.result.asks))


def _without_state(asks: list[Ask]) -> Ask | None:
    return next((ask for ask in asks if ask.state is None), None)


class StateNotEchoed(RoundTrips):
    """A retry lacks the state that its request was answered with."""

    def retried(self, retry: Retry) -> Outcome | None:
        """Look for the state."""
        if retry.ask is not None:
            return None if retry.ask.state is None else retry.held()
        if retry.message.params.state is not None or not retry.has_stateful:
            return None
        return retry.broken(
            f"{called(retry.message)} came back without the requestState that it was given",
            subject="body:/params/requestState",
            wanted="the requestState of the answer, unchanged",
        )


class StateChanged(RoundTrips):
    """A retry has another state than its request was answered with, and is refused for it.

    What is not refused may be a state that another node has given out.
    """

    def retried(self, retry: Retry) -> Outcome | None:
        """Compare the state."""
        if retry.ask is not None:
            return None if retry.ask.state is None else retry.held()
        if retry.message.params.state is None or not retry.has_stateful or not retry.refused:
            return None
        return retry.broken(
            f"{called(retry.message)} came back with another requestState than it was given",
            subject="body:/params/requestState",
            found=retry.message.params.state,
            wanted=next(ask.state for ask in retry.open if ask.state is not None),
        )


class StateInvented(RoundTrips):
    """A request brings a state though it was given none, and is refused for it."""

    def retried(self, retry: Retry) -> Outcome | None:
        """Look for where the state may be from."""
        if retry.ask is not None:
            return retry.held()
        state = retry.message.params.state
        if state is None or retry.has_stateful or not (retry.refused and retry.complete):
            return None
        return retry.broken(
            f"{called(retry.message)} brings a requestState; no answer to it had one",
            subject="body:/params/requestState",
            found=state,
            wanted="no requestState",
        )


class InputsUnasked(RoundTrips):
    """A request brings answers, and nothing was asked."""

    def retried(self, retry: Retry) -> Outcome | None:
        """Look for the questions."""
        inputs = retry.message.params.inputs
        if not inputs:
            return None
        asks = [*retry.open, *([retry.ask] if retry.ask is not None else [])]
        if any(ask.keys for ask in asks):
            return retry.held()
        if not retry.complete or (retry.ask is None and retry.message.params.state and not retry.refused):
            return None
        return retry.broken(
            f"{called(retry.message)} answers {', '.join(inputs)}; nothing was asked",
            subject="body:/params/inputResponses",
            found=", ".join(inputs),
            wanted="no inputResponses",
        )


class RetrySameId(RoundTrips):
    """A retry has the id of the request that was answered with questions."""

    def retried(self, retry: Retry) -> Outcome | None:
        """Compare the ids."""
        if retry.ask is None or retry.ask.id is None:
            return None
        before, now = retry.ask.id, retry.message.id
        if (type(before), before) != (type(now), now):
            return retry.held()
        return retry.broken(
            f"The retry of {called(retry.message)} has the id {now!r} again",
            subject="body:/id",
            found=repr(now),
            wanted="another id: it is a request of its own",
        )


class InputRequiredAbandoned(RoundTrips):
    """A client is asked for something and does not come back."""

    def __init__(self) -> None:
        super().__init__()
        self._awaited: Awaited[Call, Broken] = Awaited()

    def asked(self, record: ExchangeRecord, message: MessageRecord, call: Call) -> None:
        """Wait for the client."""
        asks = ", ".join(message.result.asks) or "to come back"
        self._awaited.put(
            call,
            answered(record) + RETRIED_WITHIN,
            Broken(
                exchange=record.number,
                summary=f"{called(message)} was answered with input_required ({asks}) at"
                f" {clock(answered(record))}, and was not retried since",
                subject="absence:inputResponses",
                wanted="the same request again, with inputResponses and requestState",
                revision=revision_of(record),
                key=f"{record.number} {message.id!r}",
                client=record.client,
            ),
        )

    def retried(self, retry: Retry) -> Outcome | None:
        """Await the client no more."""
        message = retry.message
        awaited = self._awaited.take((who(retry.record), message.method or "", message.name or ""))
        return None if awaited is None else retry.held()

    def due(self, now: float) -> Iterator[Outcome]:
        """Return what was not retried in time."""
        for _, deadline, broken in self._awaited.overdue(now):
            yield as_of(broken, deadline)


ROWS = (
    Rule(
        id="state-not-echoed",
        level="error",
        title="A retry brings the requestState that it was given.",
        advice="Keep requestState of the input_required result and send it with the retry.",
        keyword="MUST",
        pages=ROUND_TRIPS,
        conformance="sep-2322-client-request-state-echoed",
        begin=StateNotEchoed,
    ),
    Rule(
        id="state-changed",
        level="error",
        title="A retry brings requestState as it was given.",
        advice="Send requestState byte for byte: do not parse it, decode it or write it anew.",
        keyword="MUST NOT",
        pages=ROUND_TRIPS,
        conformance="sep-2322-client-request-state-echoed",
        begin=StateChanged,
    ),
    Rule(
        id="state-invented",
        level="error",
        title="A request brings no requestState unless it was given one.",
        advice="Leave requestState out where the answer had none, and out of every other request.",
        keyword="MUST NOT",
        pages=ROUND_TRIPS,
        conformance="sep-2322-client-no-state-omitted",
        begin=StateInvented,
    ),
    Rule(
        id="inputs-unasked",
        level="warning",
        title="A request brings inputResponses only to what it was asked.",
        advice="Send inputResponses with the retry of the request that asked, and with no other.",
        keyword="MUST NOT",
        pages=ROUND_TRIPS,
        conformance="sep-2322-client-parallel-isolation",
        begin=InputsUnasked,
    ),
    Rule(
        id="retry-same-id",
        level="error",
        title="A retry has a JSON-RPC id of its own.",
        advice="Give the retry a new id: it is another request.",
        keyword="MUST",
        pages=ROUND_TRIPS,
        conformance="sep-2322-client-jsonrpc-id-different",
        begin=RetrySameId,
    ),
    Rule(
        id="input-required-abandoned",
        level="warning",
        title="A client that is asked for input comes back.",
        advice="Handle input_required: ask the user, then send the request again with inputResponses. A"
        " client that"
        " cannot should not declare the capability.",
        confidence="likely",
        pages=ROUND_TRIPS,
        begin=InputRequiredAbandoned,
    ),
)
"""The rules of this module."""
