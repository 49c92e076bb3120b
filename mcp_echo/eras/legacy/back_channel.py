"""The client's end of a call in a session: where notifications go and answers come from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from mcp_echo.eras.client_answers import error_code, read_answer
from mcp_echo.eras.exchange import Exchange, Promise, Reply, StreamResponse, Timers
from mcp_echo.protocol.jsonrpc import Response, notification_bytes, request_bytes
from mcp_echo.protocol.modern import is_declared, required_capability
from mcp_echo.redaction import mask_json
from mcp_echo.sessions.event_log import Stream, hushed
from mcp_echo.sessions.session import Session, shown_id
from mcp_echo.sessions.store import Clock
from mcp_echo.tools.base import PROGRESS, SESSION_MADE, AskError, NoAnswer, Pong, Question
from mcp_echo.watch.seen import SentEvent, SentState

PING = Question("ping", {})

PADDING = "mcp-echo/padding"
"""What makes a ping larger, in its ``_meta``."""

CANCELLED = "notifications/cancelled"

MAX_STRAYS = 3
"""Answers to nothing that are told of with one question."""


class Asking(NamedTuple):
    """How clients are asked, and waited for."""

    timers: Timers
    seconds: float
    """How long a client has for an answer."""
    now: Clock
    """The steady clock, in seconds."""


class _Open:
    """A question to the client that waits for its answer.

    Args:
        promise: Timers for the answer.
        send: Sends on the stream that the question goes out on.
        now: The steady clock, in seconds.
    """

    __slots__ = ("_now", "begun", "method", "number", "promise", "seconds", "send", "strays")

    def __init__(self, promise: Promise, send: Callable[[bytes], bool], now: Clock) -> None:
        self.number: int | str = 0
        """Its id, once it has one."""
        self.method = ""
        self.promise = promise
        self.send = send
        self.strays: list[str] = []
        """What came instead of its answer, as sentences."""
        self.seconds: float | None = None
        """How long the answer took; None while there is none."""
        self._now = now
        self.begun = now()

    def keep(self, response: Response | None) -> None:
        """Here is the answer; None where the session has ended."""
        if response is not None:
            self.seconds = self._now() - self.begun
        self.promise.keep(response)

    def astray(self, what: str) -> None:
        """Something came that is not an answer to any question that is open."""
        if len(self.strays) < MAX_STRAYS:
            self.strays.append(f"{what}, the question has id {shown_id(self.number)}")


class _Ping:
    """A ping on its way; see `mcp_echo.tools.base.SentPing`.

    Args:
        session: The session of the client.
        now: The steady clock, in seconds.
    """

    __slots__ = ("_now", "_session", "answered", "number", "refused", "written")

    def __init__(self, session: Session, now: Clock) -> None:
        self._session = session
        self._now = now
        self.answered: float | None = None
        self.refused = False
        self.number = session.expect_answer(self)
        self.written = now()

    def keep(self, response: Response | None) -> None:
        """Here is the answer; None where the session has ended."""
        if response is not None:
            self.answered = self._now()
            self.refused = response.error is not None

    def astray(self, what: str) -> None:
        """Pass over what is no answer to it."""

    def drop(self) -> None:
        """Take no answer any more."""
        self._session.take_expected(self.number)


class LegacyBackChannel:
    """The answer stream of one POST, opened by the first message that has to come before the result.

    For a client that reads no stream here, log messages and questions go to its session's queue. Progress
    stays out: a listening stream is for what no running request is related to (basic/transports, Listening
    for Messages, rule 4), and after the response there must be none (basic/utilities/progress).

    Args:
        session: The session.
        exchange: The HTTP request.
        asking: How the client is asked.
    """

    __slots__ = ("_asking", "_strays", "exchange", "opened", "session", "since")

    def __init__(self, session: Session, exchange: Exchange, asking: Asking) -> None:
        self.since: float | None = None
        self.session = session
        self.exchange = exchange
        self._asking = asking
        self._strays: list[str] | None = None
        self.opened: Stream | None = None

    @property
    def session_made(self) -> bool:
        """Whether the session was made for this very request, which named none."""
        return self.exchange.session_id is None and self.session.record.legacy_stream is None

    @property
    def obstacle(self) -> str | None:
        """Why nothing can be sent on a stream of this request's own; None where it can."""
        if self._has_stream:
            return None
        return "This request's Accept does not list text/event-stream"

    @property
    def strays(self) -> list[str]:
        """What came while the client was asked, and was no answer to a question."""
        return self._strays or []

    def open(self) -> Stream:
        """Return the stream, opened now if it was not yet."""
        if self.opened is None:
            session, log = self.session, self.session.log
            self.opened = log.answer()
            primed = session.revision.priming_event
            stream_response = StreamResponse(
                log, self.opened, resumable=True, primed=primed, session=session.id
            )
            self.exchange.then(self.exchange.open_stream, stream_response)
        return self.opened

    def send(self, data: bytes) -> bool:
        """Send a message ahead of the result; return whether a stream has taken it."""
        if self._has_stream:
            return self.session.log.append(self.open(), data)
        return self.session.log.queue(data)

    def finish(self, reply: Reply) -> Reply | None:
        """Send one JSON body, on the stream if there is one or the client reads nothing else.

        Returns:
            The reply to the HTTP request; None where the stream is its answer.
        """
        if self.opened is None and (self.exchange.accepted.json or reply.status != 200):
            return reply
        stream = self.open()
        self.session.log.append(stream, reply.body)
        self.session.log.end(stream)
        return None

    @property
    def _has_stream(self) -> bool:
        return self.opened is not None or self.exchange.accepted.names_event_stream

    def notify(self, method: str, params: dict[str, Any]) -> bool:
        """Send a notification ahead of the result; see `mcp_echo.tools.base.BackChannel.notify`."""
        if method == PROGRESS and not self._has_stream:
            return False
        return self.send(notification_bytes(method, params))

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Let time pass."""
        return self._asking.timers.sleep(seconds)

    def hang_up(self) -> bool:
        """Close the connection and leave the stream for the client to come back to (rule 6, SEP-1699)."""
        if not (self.session.revision.priming_event and self.exchange.accepted.names_event_stream):
            return False
        self.session.log.hang_up(self.open())
        return True

    async def ask(self, questions: dict[str, Question]) -> dict[str, Any]:
        """Return the client's answers: results, or an `AskError` each.

        A question that is not answered in time is cancelled (basic/lifecycle, Timeouts: SHOULD), and so is
        one whose request is cancelled or whose session ends: what asked it waits no longer.

        Raises:
            AskError: No stream leads to the client, or it has not declared the capability.
        """
        self._insist_on_a_way(questions)
        put = await self._put({key: (question, self.send) for key, question in questions.items()})
        return {key: answer for key, (answer, _) in put.items()}

    async def ping(self) -> dict[str, Pong]:
        """Ping the client on each stream that leads to it; see `mcp_echo.tools.base.BackChannel.ping`."""
        pongs = await self._put({way: (PING, send) for way, send in self._ways()})
        return {way: Pong(answer, opened.seconds) for way, (answer, opened) in pongs.items()}

    def ways(self) -> list[str]:
        """Return the streams that lead to the client; see `mcp_echo.tools.base.BackChannel.ways`."""
        return [way for way, _ in self._ways()]

    def send_ping(self, way: str, padding: str) -> _Ping:
        """Ping the client, and wait for nothing; see `mcp_echo.tools.base.BackChannel.send_ping`.

        Raises:
            AskError: The stream has not taken it, or is there no more.
        """
        send = dict(self._ways()).get(way)
        ping = _Ping(self.session, self._asking.now)
        params = {"_meta": {PADDING: padding}} if padding else {}
        if send is None or not send(request_bytes(ping.number, PING.method, params)):
            ping.drop()
            raise AskError(f"No ping could be sent on {way}")
        told = SentEvent("written", ping.written, "request", PING.method, self.session.id, ping.number)
        self.exchange.seen.watch.tell(told)
        return ping

    async def silence(self, seconds: float) -> None:
        """Let time pass in which the stream carries nothing; see `BackChannel.silence`."""
        await hushed(self.opened, self._asking.timers.sleep(seconds))

    async def _put(
        self, questions: dict[str, tuple[Question, Callable[[bytes], bool]]]
    ) -> dict[str, tuple[Any, _Open]]:
        """Send questions, each on its stream, and return what came of each."""
        opened: dict[str, _Open] = {}
        answers: dict[str, tuple[Any, _Open]] = {}
        try:
            for key, (question, send) in questions.items():
                opened[key] = self._open(question, send)
            for key, each in opened.items():
                answers[key] = (await self._answer(each), each)
        finally:
            for key, each in opened.items():
                reason = answers[key][0] if key in answers else "The request that asked this was cancelled"
                self._close(each, str(reason))
        return answers

    def _ways(self) -> Iterator[tuple[str, Callable[[bytes], bool]]]:
        """Yield the streams that lead to the client, by name, and what sends on each."""
        if self.opened is not None and self.opened.listening:
            # The transport of 2024-11-05 has one stream for everything.
            yield "the session's one stream", self.send
            return
        if self.exchange.accepted.names_event_stream:
            yield "the stream of this POST", self.send
        if self.session.log.listeners:
            yield "the stream of a GET", self.session.log.queue

    def _insist_on_a_way(self, questions: dict[str, Question]) -> None:
        if self.session_made:
            raise AskError(f"{SESSION_MADE}, and nothing is known of its client, so the client is not asked")
        if not self.session.record.initialized:
            # basic/lifecycle, Initialization: until then only pings and log messages.
            raise AskError(
                "No notifications/initialized has come in this session, so the client is not asked"
            )
        for question in questions.values():
            if not self.session.revision.can_ask(question.method, question.params):
                raise AskError(f"Revision {self.session.revision.name} has no such {question.method}")
            if not is_declared(self.session.client.capabilities, question.method, question.params):
                needed = required_capability(question.method, question.params)
                raise AskError(f"This session's client has not declared the capability {', '.join(needed)}")
        if self.obstacle is not None and not self.session.open_streams:
            raise AskError(
                f"{self.obstacle}, and no stream of the session is open, so the client is not asked"
            )

    def _open(self, question: Question, send: Callable[[bytes], bool]) -> _Open:
        """Send a question.

        Raises:
            AskError: No stream has taken it.
        """
        opened = _Open(self._asking.timers.promise(self._asking.seconds), send, self._asking.now)
        opened.number = self.session.expect_answer(opened)
        if not send(request_bytes(opened.number, question.method, question.params)):
            self.session.take_expected(opened.number)
            opened.promise.drop()
            raise AskError(
                f"No stream of the session has taken {question.method}, so the client is not asked"
            )
        opened.method = question.method
        self._tell(opened, "written" if self._has_stream or self.session.log.listeners else "waiting")
        return opened

    def _tell(self, opened: _Open, state: SentState, error: int | None = None) -> None:
        now = self._asking.now()
        seconds = None if state in ("waiting", "written") else now - opened.begun
        self.exchange.seen.watch.tell(
            SentEvent(state, now, "request", opened.method, self.session.id, opened.number, error, seconds)
        )

    def _close(self, opened: _Open, reason: str) -> None:
        """Wait no longer for an answer: cancel the question if it is open, and note what came instead."""
        if self.session.take_expected(opened.number) is not None:
            opened.send(notification_bytes(CANCELLED, {"requestId": opened.number, "reason": reason}))
        opened.promise.drop()
        if opened.strays:
            self._strays = list(dict.fromkeys([*self.strays, *opened.strays]))

    async def _answer(self, opened: _Open) -> Any:
        try:
            response: Response | None = await opened.promise
        except TimeoutError:
            self._tell(opened, "unanswered")
            return NoAnswer(f"No answer came in this session within {self._asking.seconds:g} s")
        if response is None:
            return NoAnswer("The session ended before the client answered")
        self._tell(opened, "answered", error_code(response))
        try:
            if response.result is not None:
                return read_answer(response.result)
            error = mask_json(read_answer(response.error or Raw(b"null")))
        except AskError as unreadable:
            return unreadable
        return AskError(f"The client answered with an error: {msgspec.json.encode(error).decode()}")
