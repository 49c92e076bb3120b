"""The client's end of a modern call: where notifications go and answers come from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Raw

from mcp_echo.auth.proxies import Caller
from mcp_echo.eras.client_answers import read_answer
from mcp_echo.eras.exchange import Exchange, StreamResponse, Timers
from mcp_echo.eras.modern.rounds import Rounds
from mcp_echo.protocol.errors import CapabilityMissing, InvalidParams
from mcp_echo.protocol.jsonrpc import notification_bytes
from mcp_echo.protocol.modern import is_answer, is_declared, required_capability
from mcp_echo.sessions.event_log import EventLog, Stream, hushed
from mcp_echo.sessions.session import Client
from mcp_echo.tools.base import AskError, InputRequired, Pong, Question, SentPing


class ModernBackChannel:
    """The response of one modern POST, and the answers it brought for questions of an earlier one.

    Args:
        exchange: The HTTP request.
        timers: Ways to wait.
        client: What the client declares in this request.
        rounds: What it has been asked and has answered before.
        new_log: Makes a log for a caller that keeps only what waits to be written.
    """

    def __init__(
        self,
        exchange: Exchange,
        timers: Timers,
        client: Client,
        rounds: Rounds,
        new_log: Callable[[Caller], EventLog],
    ) -> None:
        self._new_log = new_log
        self.exchange = exchange
        self._timers = timers
        self._client = client
        self._rounds = rounds
        self.since = rounds.since
        self.log: EventLog | None = None
        self.opened: Stream | None = None

    session_made = False
    strays: tuple[str, ...] = ()

    @property
    def obstacle(self) -> str | None:
        """Why nothing can be sent ahead of the result; None where it can."""
        if self.exchange.accepted.event_stream:
            return None
        return "This request's Accept does not take text/event-stream"

    def open(self, farewell: bytes | None = None) -> tuple[EventLog, Stream]:
        """Return the response stream, opened now if it was not yet."""
        if self.log is None or self.opened is None:
            self.log = self._new_log(self.exchange.caller())
            self.opened = self.log.answer()
            stream_response = StreamResponse(self.log, self.opened, farewell=farewell)
            self.exchange.then(self.exchange.open_stream, stream_response)
        return self.log, self.opened

    def notify(self, method: str, params: dict[str, Any]) -> bool:
        """Send a notification ahead of the result; a client that reads no stream can be told nothing."""
        if not self.exchange.accepted.event_stream:
            return False
        log, stream = self.open()
        return bool(self.exchange.then(log.append, stream, notification_bytes(method, params)))

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Let time pass."""
        return self._timers.sleep(seconds)

    def ways(self) -> tuple[str, ...]:
        """Return no stream: a modern server pings nobody."""
        return ()

    def send_ping(self, way: str, padding: str) -> SentPing:  # noqa: ARG002  # there is none
        """Ping nobody.

        Raises:
            AskError: Always.
        """
        raise AskError("A modern server sends no requests, so that no ping is sent")

    async def silence(self, seconds: float) -> None:
        """Let time pass in which the response stream carries nothing; see `BackChannel.silence`."""
        await hushed(self.opened, self._timers.sleep(seconds))

    def hang_up(self) -> bool:
        """Do nothing: a modern stream that is closed cannot be resumed."""
        return False

    async def ping(self) -> dict[str, Pong]:
        """Ping nobody: a modern server sends no requests (basic/transports/streamable-http, Receiving)."""
        return {}

    async def ask(self, questions: dict[str, Question]) -> dict[str, Any]:
        """Return the client's answers, once they have all come.

        Raises:
            InputRequired: Some have not.
            CapabilityMissing: The client has not declared that it can be asked this.
            InvalidParams: An answer is none to its question.
        """
        self._insist_on_capabilities(questions)
        answers, responses = self._rounds.answers, self._rounds.responses
        for key, question in questions.items():
            if key in responses:
                answers[key] = _checked(key, question, responses[key])
        missing = {key: question for key, question in questions.items() if key not in answers}
        if missing:
            raise InputRequired(missing, answers)
        return {key: answers[key] for key in questions}

    def _insist_on_capabilities(self, questions: dict[str, Question]) -> None:
        capabilities = self._client.capabilities
        for question in questions.values():
            if not is_declared(capabilities, question.method, question.params):
                raise CapabilityMissing(required_capability(question.method, question.params))


def _checked(key: str, question: Question, raw: Raw) -> Any:
    try:
        answer = read_answer(raw)
    except AskError as error:
        raise InvalidParams(f"inputResponses.{key}: {error}") from None
    if not is_answer(question.method, answer):
        raise InvalidParams(f"inputResponses.{key} is not an answer to {question.method}")
    return answer
