"""One HTTP request to /mcp, as the server wants to know it, and the ways it is answered."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest

from mcp_echo.protocol.accept import parse_accept
from mcp_echo.protocol.errors import InvalidRequest
from mcp_echo.protocol.headers import Headers
from mcp_echo.protocol.proxies import Caller
from mcp_echo.server import Carriage, Reply
from mcp_echo.state.session import Session
from mcp_echo.transport.callers import Callers, header_values
from mcp_echo.transport.request import EchoRequest

Carry = Callable[[EchoRequest, Carriage, bytes | None], Deferred[None]]
Send = Callable[[IRequest, Reply], bytes]


class HttpExchange:
    """A request and its answer: at once, later, or as an event stream.

    Args:
        request: The HTTP request.
        arrived: Seconds of the steady clock when it was complete.
        carry: Answers with an event stream.
        send: Writes the head of a reply and returns its body.
        callers: Tells who sends it.

    Raises:
        InvalidRequest: A trusted proxy does not say clearly who the caller is.
    """

    __slots__ = (
        "_ambiguous",
        "_callers",
        "_carry",
        "_done",
        "_over",
        "_request",
        "_running",
        "_send",
        "_until_left",
        "_when_over",
        "accepted",
        "arrived",
        "last_event_id",
        "left",
        "principal",
        "session_id",
        "version",
    )

    def __init__(
        self, request: EchoRequest, arrived: float, carry: Carry, send: Send, callers: Callers
    ) -> None:
        self._callers = callers
        self.principal = callers.principal(request) if callers.believes else None
        self._request = request
        self._carry = carry
        self._send = send
        self._over: Deferred[None] | None = None
        self._running: Deferred[Any] | None = None
        self._until_left = False
        self._when_over: list[Callable[[], None]] | None = []
        self._done: Deferred[bytes | None] | None = None
        self.arrived = arrived
        # One look at all fields is cheaper than a look for each; twisted.web spells their names like this.
        fields = dict(request.requestHeaders.getAllRawHeaders())
        self.accepted = parse_accept(_list_value(fields.get(b"Accept")))
        self._ambiguous: str | None = None
        self.session_id = self._single(fields, b"Mcp-Session-Id")
        self.version = self._single(fields, b"Mcp-Protocol-Version")
        self.last_event_id = self._single(fields, b"Last-Event-Id")
        self.left = False

    def _single(self, fields: Mapping[bytes, Sequence[bytes]], name: bytes) -> str | None:
        values = fields.get(name)
        if values is None:
            return None
        if len(values) > 1 and len(set(values)) > 1:
            self._ambiguous = f"{name.decode()} is given {len(values)} times"
        return values[0].decode("latin-1")

    def insist_on_one(self) -> None:
        """Refuse a request whose session, version or event is named twice, differently.

        Raises:
            InvalidRequest: One of them is.
        """
        if self._ambiguous is not None:
            raise InvalidRequest(f"Invalid request: {self._ambiguous}")

    @property
    def http_method(self) -> str:
        """The HTTP method."""
        return str(self._request.method.decode("ascii", "backslashreplace"))

    def caller(self) -> Caller:
        """Return what is known of who sends it; asked for while its headers are still there."""
        return self._callers.caller(self._request, self.principal)

    def headers(self) -> Headers:
        """Return the header fields as they came."""
        return self._request.wire_headers()

    def values(self, name: str) -> list[str]:
        """Return every value of a header field."""
        return header_values(self._request, name)

    def secrets(self) -> frozenset[str]:
        """Return the secrets in its header and body."""
        return self._request.secrets()

    def let_go(self) -> None:
        """Let go of the body: it is read."""
        self._request.let_go()

    def announce(self, session: Session) -> None:
        """Send the session's id in the response head."""
        self._request.setHeader(b"mcp-session-id", session.id.encode())

    @property
    def done(self) -> Deferred[bytes | None]:
        """Fires with the rest of the body when the answer is complete; cancelled when the client leaves."""
        if self._done is None:
            self._done = Deferred(self._left)
        return self._done

    def open_stream(self, carriage: Carriage, opening: bytes | None = None) -> None:
        """Answer with an event stream.

        Args:
            carriage: What to carry.
            opening: The bytes to open it with; None for what the carriage asks for.
        """
        self._over = self._carry(self._request, carriage, opening)
        self._over.addBoth(self._stream_over)

    def _stream_over(self, _outcome: object) -> None:
        self._tell_over()
        if not self.done.called:
            self.done.callback(None)

    def when_over(self, do: Callable[[], None]) -> None:
        """Call ``do`` when the event stream has ended or the client has left; now if that has been."""
        if self._when_over is None:
            do()
        else:
            self._when_over.append(do)

    def _tell_over(self) -> None:
        waiting, self._when_over = self._when_over, None
        for do in waiting or ():
            do()

    def run(self, work: Coroutine[Any, Any, Reply | None], *, until_left: bool) -> Callable[[], None]:
        """Answer with what ``work`` returns in the end."""
        self._until_left = until_left
        running = Deferred.fromCoroutine(work)
        if not running.called:
            # What is over already may have left other work to answer.
            self._running = running
        running.addCallbacks(self._replied, self._failed)
        return running.cancel

    def _replied(self, reply: Reply | None) -> None:
        # An event stream answers for itself; and who has left gets no answer.
        if reply is not None and not self.done.called:
            body = self._send(self._request, reply)
            # It would be sent in chunks otherwise.
            self._request.setHeader(b"content-length", b"%d" % len(body))
            self.done.callback(body)

    def _failed(self, failure: Failure) -> None:
        if not self.done.called:
            self.done.errback(failure)

    def _left(self, _done: Deferred[bytes | None]) -> None:
        """The client has gone: let go of the stream, and of the work where the era has it so."""
        self.left = True
        if self._over is not None:
            self._over.cancel()
        if self._until_left and self._running is not None:
            self._running.cancel()
        self._tell_over()


def joined(request: IRequest, name: bytes) -> str | None:
    """Return the value of a list header, which may be spread over several lines (RFC 9110 section 5.3)."""
    return _list_value(request.requestHeaders.getRawHeaders(name))


def _list_value(values: Sequence[bytes] | None) -> str | None:
    return b", ".join(values).decode("latin-1") if values else None
