"""Sends one request and reads its answer, with the times of its pieces: bounded in time and in size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer
from zope.interface import implementer

from mcp_echo import __version__
from mcp_echo.check.events import messages_in
from mcp_echo.http.origins import parse_origin
from mcp_echo.report.address import origin_of
from mcp_echo.report.fetch import why_not

MOST = 4 * 1024 * 1024
"""Bytes of one answer that are read."""

Fields = Sequence[tuple[str, str]]
"""Name, value of header lines."""


@dataclass(kw_only=True, slots=True)
class HttpAnswer:
    """What came back for one request."""

    number: int
    """Counted from 1."""
    method: str
    url: str
    status: int = 0
    """0 where nothing was answered in time."""
    headers: Fields = ()
    """Before anything is decoded."""
    body: bytearray = field(default_factory=bytearray)
    """Decoded, as far as it was read."""
    head: float = 0.0
    """Seconds from the request to the head of the answer."""
    pieces: list[tuple[float, int]] = field(default_factory=list)
    """Seconds from the request to each piece of the body, and its bytes."""
    ended: float | None = None
    """Seconds from the request to when the other side ended the answer; None where it has not."""
    error: str | None = None
    """Why there is no answer, or not all of it, in one sentence."""

    def value(self, name: str) -> str | None:
        """Return the value of a header, its lines joined; None without one."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None

    @property
    def media_type(self) -> str:
        """The media type of the body, in lower case."""
        return (self.value("Content-Type") or "").partition(";")[0].strip().lower()

    @property
    def is_stream(self) -> bool:
        """Whether it is an event stream."""
        return self.media_type == "text/event-stream"

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The JSON-RPC messages in the body."""
        return messages_in(self.body, is_stream=self.is_stream)

    @property
    def document(self) -> dict[str, Any] | None:
        """The JSON object that the body is; None where it is none."""
        try:
            return msgspec.json.decode(self.body, type=dict[str, Any])
        except msgspec.MsgspecError:
            return None

    @property
    def response(self) -> dict[str, Any] | None:
        """The first JSON-RPC response in the body, whatever its id; None where there is none."""
        return next((each for each in self.messages if "result" in each or "error" in each), None)

    @property
    def result(self) -> dict[str, Any] | None:
        """The result of that response; None where it has none."""
        result = (self.response or {}).get("result")
        return result if isinstance(result, dict) else None

    def response_to(self, request_id: int) -> dict[str, Any] | None:
        """Return the JSON-RPC response to a request; None where there is none."""
        for each in self.messages:
            if each.get("id") == request_id and ("result" in each or "error" in each):
                return each
        return None


class CannotCheck(Exception):
    """Nothing can be said of the server; the message says why and what to do, in one line."""


class Wire:
    """Sends requests.

    Args:
        reactor: Measures the time.
        agent: Connects and sends.
        timeout: Seconds that an answer may take to begin, and to end.
        headers: Name, value of headers that go to the servers in `origins`, and to nobody else.
        origins: Addresses of the servers that may have them.
    """

    def __init__(
        self, reactor: Any, agent: IAgent, timeout: float, headers: Fields, origins: Sequence[str]
    ) -> None:
        self._reactor = reactor
        self._agent = agent
        self.timeout = timeout
        self._headers = headers
        self._origins = {parse_origin(origin_of(each)) for each in origins}
        self.producer: Callable[[Any], Any] = IBodyProducer
        """Makes of bytes what an agent sends."""
        self.sent = 0
        """Requests so far."""

    async def send(
        self,
        method: str,
        url: str,
        headers: Fields = (),
        body: bytes | None = None,
        *,
        seconds: float | None = None,
        patience: float | None = None,
        until: Callable[[HttpAnswer], bool] = lambda _answer: False,
    ) -> HttpAnswer:
        """Send a request and return its answer, whatever it is; redirects are not followed.

        Args:
            method: The HTTP method.
            url: The address.
            headers: Header lines beside those of the command line.
            body: The body; None for none.
            seconds: How long to read the body; None for as long as an answer may take.
            patience: How long the answer may take to begin; None for as long as answers may.
            until: Says, whenever a piece has come, whether that is enough.
        """
        self.sent += 1
        patience = self.timeout if patience is None else patience
        answer = HttpAnswer(number=self.sent, method=method, url=url)
        begun = self._reactor.seconds()
        note = _Noting(self._agent, answer)
        client = HTTPClient(note, data_to_body_producer=self.producer)
        asking = client.request(
            method, url, headers=self._fields(url, headers), data=body, allow_redirects=False, unbuffered=True
        )
        try:
            response = await asking.addTimeout(patience, self._reactor)
            answer.status = response.code
            answer.head = self._reactor.seconds() - begun
            reading = _Reading(self._reactor, answer, begun, until)
            response.deliverBody(reading)
            await reading.done(self.timeout if seconds is None else seconds)
        except Exception as error:
            # What is cancelled for being late fails in a way of its own, depending on how far it came.
            is_late = self._reactor.seconds() - begun >= patience
            late = f"no answer came within {patience:g} s: give more with --timeout, or try again"
            answer.error = late if is_late else why_not(origin_of(url), error)
        return answer

    def _fields(self, url: str, headers: Fields) -> Headers:
        given = self._headers if parse_origin(origin_of(url)) in self._origins else ()
        named = {name.lower() for name, _ in given}
        own = [("User-Agent", f"mcp-echo/{__version__}"), *headers]
        fields = Headers()
        for name, value in [*given, *(each for each in own if each[0].lower() not in named)]:
            fields.addRawHeader(name, value)
        return fields


@implementer(IAgent)
class _Noting:
    """Keeps the header lines of an answer before they are changed by what decodes it."""

    def __init__(self, agent: IAgent, answer: HttpAnswer) -> None:
        self._agent = agent
        self._answer = answer

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: Any = None
    ) -> Deferred[Any]:
        return self._agent.request(method, uri, headers, bodyProducer).addCallback(self._note)

    def _note(self, response: Any) -> Any:
        self._answer.headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, values in response.headers.getAllRawHeaders()
            for value in values
        ]
        return response


class _Reading(Protocol):
    """Reads a body until it ends, is enough, is too long, or takes too long."""

    def __init__(
        self, reactor: Any, answer: HttpAnswer, begun: float, until: Callable[[HttpAnswer], bool]
    ) -> None:
        self._reactor = reactor
        self._answer = answer
        self._begun = begun
        self._until = until
        self._over: Deferred[None] = Deferred()
        self._stopped = False

    def done(self, seconds: float) -> Deferred[None]:
        """Return what fires when it is over, and see that it is after some seconds."""
        if not self._over.called:
            timer = self._reactor.callLater(seconds, self._stop)
            self._over.addBoth(lambda _: timer.cancel() if timer.active() else None)
        return self._over

    def dataReceived(self, data: bytes) -> None:
        if self._stopped:
            return
        answer = self._answer
        if len(answer.body) + len(data) > MOST:
            answer.error = f"the answer is longer than {MOST >> 20} MiB"
            self._stop()
            return
        answer.body += data
        answer.pieces.append((self._reactor.seconds() - self._begun, len(data)))
        if self._until(answer):
            self._stop()

    def connectionLost(self, reason: Failure = Failure(ResponseDone())) -> None:  # noqa: B008  # as Protocol
        if not self._stopped:
            self._answer.ended = self._reactor.seconds() - self._begun
            if not reason.check(ResponseDone, PotentialDataLoss):
                self._answer.error = "the connection broke in the middle of the answer"
        self._finish()

    def _stop(self) -> None:
        self._stopped = True
        # Where there is no connection any more, there is nothing to close.
        lose = getattr(self.transport, "loseConnection", None)
        if lose is not None:
            lose()
        self._finish()

    def _finish(self) -> None:
        if not self._over.called:
            self._over.callback(None)
