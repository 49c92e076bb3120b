"""The client's end of a call in each era: where notifications go and answers come from."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import msgspec

from mcp_echo.offer import Observer
from mcp_echo.protocol.errors import CapabilityMissing, InvalidParams
from mcp_echo.protocol.jsonrpc import Response, notification_bytes, request_bytes
from mcp_echo.protocol.modern import is_answer, is_declared, required_capability
from mcp_echo.redaction import mask_json
from mcp_echo.server.exchange import Carriage, Exchange, Patience, Promise
from mcp_echo.state.budget import StateBudget
from mcp_echo.state.events import EventLog, Stream
from mcp_echo.state.session import Session
from mcp_echo.tools.base import AskError, InputRequired, Question


class LegacyOutlet:
    """The answer stream of one POST, opened by the first message that has to come before the result.

    A client that reads no stream here finds the messages in its session's queue.

    Args:
        session: The session.
        exchange: The HTTP request.
        patience: Ways to wait.
        answer_timeout: Seconds that the client has for an answer.
        observer: Told when the server hangs up.
    """

    __slots__ = ("_answer_timeout", "_exchange", "_observer", "_patience", "_session", "opened", "since")

    def __init__(
        self,
        session: Session,
        exchange: Exchange,
        patience: Patience,
        answer_timeout: float,
        observer: Observer | None = None,
    ) -> None:
        self.since: float | None = None
        self._observer = observer
        self._session = session
        self._exchange = exchange
        self._patience = patience
        self._answer_timeout = answer_timeout
        self.opened: Stream | None = None

    def open(self) -> Stream:
        """Return the stream, opened now if it was not yet."""
        if self.opened is None:
            log = self._session.log
            self.opened = log.answer()
            primed = self._session.revision.priming_event
            self._exchange.open_stream(Carriage(log, self.opened, resumable=True, primed=primed))
        return self.opened

    def send(self, data: bytes) -> bool:
        """Send a message ahead of the result; return whether a stream has taken it."""
        if self._exchange.accepted.names_event_stream:
            return self._session.log.append(self.open(), data)
        return self._session.log.queue(data)

    def notify(self, method: str, params: dict[str, Any]) -> bool:
        """Send a notification ahead of the result; see `mcp_echo.tools.base.Outlet.notify`."""
        return self.send(notification_bytes(method, params))

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Let time pass."""
        return self._patience.sleep(seconds)

    def hang_up(self) -> bool:
        """Close the connection and leave the stream for the client to come back to (rule 6, SEP-1699)."""
        if not (self._session.revision.priming_event and self._exchange.accepted.names_event_stream):
            return False
        self._session.log.hang_up(self.open())
        if self._observer is not None:
            self._observer.hung_up(self._session)
        return True

    async def ask(self, questions: dict[str, Question]) -> dict[str, Any]:
        """Return the client's answers: results, or an `AskError` each.

        Raises:
            AskError: No stream leads to the client, or it has not declared the capability.
        """
        self._insist_on_a_way(questions)
        promises = {key: self._send_question(question) for key, question in questions.items()}
        try:
            return {key: await self._answer(promise) for key, (_, promise) in promises.items()}
        finally:
            for number, promise in promises.values():
                self._session.take_expected(number)
                promise.drop()

    def _insist_on_a_way(self, questions: dict[str, Question]) -> None:
        if not self._session.initialized:
            # basic/lifecycle, Initialization: until then only pings and log messages.
            raise AskError("The client has not sent notifications/initialized yet, so it is not asked")
        for question in questions.values():
            if not self._session.revision.can_ask(question.method, question.params):
                raise AskError(f"Revision {self._session.revision.name} has no such {question.method}")
            if not is_declared(dict(self._session.client.capabilities), question.method, question.params):
                needed = required_capability(question.method, question.params)
                raise AskError(f"The client does not declare the capability {', '.join(needed)}")
        if not self._exchange.accepted.names_event_stream and not self._session.open_streams:
            raise AskError("The client reads no event stream, so it cannot be asked")

    def _send_question(self, question: Question) -> tuple[int | str, Promise]:
        promise = self._patience.promise(self._answer_timeout)
        number = self._session.expect_answer(promise)
        self.send(request_bytes(number, question.method, question.params))
        return number, promise

    async def _answer(self, promise: Promise) -> Any:
        try:
            response: Response = await promise
        except TimeoutError:
            return AskError(f"The client did not answer within {self._answer_timeout:g} s")
        if response.result is None:
            error = mask_json(msgspec.json.decode(response.error or b"null"))
            return AskError(f"The client answered with an error: {msgspec.json.encode(error).decode()}")
        try:
            return msgspec.json.decode(response.result)
        except msgspec.MsgspecError as error:
            return AskError(f"The client's answer cannot be read: {error}")


class ModernOutlet:
    """The response of one modern POST, and the answers it brought for questions of an earlier one.

    Args:
        exchange: The HTTP request.
        patience: Ways to wait.
        capabilities: What the client declares in this request.
        answers: What it has answered in earlier rounds.
        responses: What it answers in this one.
        since: Seconds since the epoch when it was first asked; None if it was not yet.
        budget: Counts what waits to be written.
    """

    def __init__(
        self,
        exchange: Exchange,
        patience: Patience,
        capabilities: dict[str, Any],
        answers: dict[str, Any],
        responses: dict[str, Any],
        since: float | None,
        budget: StateBudget,
    ) -> None:
        self._budget = budget
        self.principal = exchange.principal
        self.reads_json = exchange.accepted.json
        self._exchange = exchange
        self._patience = patience
        self._capabilities = capabilities
        self._answers = answers
        self._responses = responses
        self.since = since
        self.log: EventLog | None = None
        self.opened: Stream | None = None

    def open(self, farewell: bytes | None = None) -> tuple[EventLog, Stream]:
        """Return the response stream, opened now if it was not yet."""
        if self.log is None or self.opened is None:
            # Nobody can come back to it, so that nothing is kept once it is written.
            self.log = EventLog(budget=self._budget, keeps=False)
            self.opened = self.log.answer()
            self._exchange.open_stream(Carriage(self.log, self.opened, farewell=farewell))
        return self.log, self.opened

    def notify(self, method: str, params: dict[str, Any]) -> bool:
        """Send a notification ahead of the result; a client that reads no stream can be told nothing."""
        if not self._exchange.accepted.event_stream:
            return False
        log, stream = self.open()
        return log.append(stream, notification_bytes(method, params))

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Let time pass."""
        return self._patience.sleep(seconds)

    def hang_up(self) -> bool:
        """Do nothing: a modern stream that is closed cannot be resumed."""
        return False

    async def ask(self, questions: dict[str, Question]) -> dict[str, Any]:
        """Return the client's answers, once they have all come.

        Raises:
            InputRequired: Some have not.
            CapabilityMissing: The client has not declared that it can be asked this.
            InvalidParams: An answer is none to its question.
        """
        for question in questions.values():
            if not is_declared(self._capabilities, question.method, question.params):
                raise CapabilityMissing(required_capability(question.method, question.params))
        for key, question in questions.items():
            if key in self._responses:
                self._answers[key] = _checked(key, question, self._responses[key])
        missing = {key: question for key, question in questions.items() if key not in self._answers}
        if missing:
            raise InputRequired(missing, self._answers)
        return {key: self._answers[key] for key in questions}


def _checked(key: str, question: Question, answer: Any) -> Any:
    if not is_answer(question.method, answer):
        raise InvalidParams(f"inputResponses.{key} is no answer to {question.method}")
    return answer
