"""One HTTP request and its answer: at once, later, or in pieces for as long as it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IConsumer, ISSLTransport
from zope.interface import implementer

from mcp_echo.http.headers import Headers
from mcp_echo.protocol.strict_json import is_read
from mcp_echo.redaction import secrets_in
from mcp_echo.transport.edge.answer import LAST_CHUNK, chunk, line
from mcp_echo.transport.edge.head import Head, text_of
from mcp_echo.transport.edge.writing import write_now
from mcp_echo.watch.observer import Watch
from mcp_echo.watch.seen import Seen

if TYPE_CHECKING:
    from mcp_echo.transport.edge.connection import Connection

_NO_SECRETS: frozenset[str] = frozenset()

_NOBODY = Watch((), lambda: 0.0, lambda _: None)
_TOLD = Seen(watch=_NOBODY, peer="", connection=0, head=None, received=0, arrived=0.0)
"""Takes what happens on streams that were told of when they opened, for nobody."""


@implementer(IConsumer)
class HttpExchange:
    """One request and its answer.

    Args:
        connection: Where it came, and where the answer goes.
        head: The request's head.
        body: Its body.
        seen: What is seen of it.
    """

    __slots__ = (
        "_body_secrets",
        "_connection",
        "_left",
        "answered",
        "begun",
        "body",
        "head",
        "lines",
        "seen",
    )

    def __init__(self, connection: Connection, head: Head, body: bytes, seen: Seen) -> None:
        self._connection: Connection | None = connection
        self.seen = seen
        """What observers will be told of it."""
        self.head = head
        self.body = body
        self.begun = False
        """Whether the head of an answer that comes in pieces has been written."""
        self.answered = False
        """Whether the answer is complete."""
        self.lines: list[bytes] = []
        """Header lines of the answer beside those that every answer has."""
        self._left: Callable[[], None] | None = None
        self._body_secrets = _NO_SECRETS

    @property
    def transport(self) -> Any:
        """What the answer is written to; None once the client has gone."""
        return None if self._connection is None else self._connection.transport

    @property
    def is_secure(self) -> bool:
        """Whether it came by TLS."""
        return ISSLTransport.providedBy(self.transport)

    def values(self, name: bytes) -> list[str]:
        """Return every value of a header field, whose name is given in lower case."""
        return self.head.values(name)

    def joined(self, name: bytes) -> str | None:
        """Return the value of a list field, which may be spread over several lines (RFC 9110 section 5.3).

        Args:
            name: Its name in lower case.
        """
        found = self.head.fields.get(name)
        return text_of(b", ".join(found)) if found else None

    def headers(self) -> Headers:
        """Return the header fields as they came: order, spelling, repetition."""
        return self.head.headers()

    def secrets(self) -> frozenset[str]:
        """Return the secrets in the header and the body, whether that is still here or not."""
        # What is too much to be read is too much to be looked through.
        body = self.body if is_read(self.body) else b""
        return secrets_in(self.headers(), body) | self._body_secrets

    def let_go(self) -> None:
        """Let go of the body, which has been read, but for the secrets in it."""
        self._body_secrets |= secrets_in((), self.body)
        self.body = b""

    def forget(self) -> None:
        """Let go of all that came, and have it told of; an event stream may be open for days."""
        seen, self.seen = self.seen, _TOLD
        seen.settle()
        self.body = b""
        self.head = self.head.without_fields()
        if self._connection is not None:
            self._connection.forget()

    def add_header(self, name: bytes, value: bytes) -> None:
        """Have the answer say this too."""
        self.lines.append(line(name, value))

    def hand_over(self) -> Connection | None:
        """Have another exchange answer in the place of this one; return the connection."""
        connection, self._connection = self._connection, None
        return connection

    def when_left(self, do: Callable[[], None]) -> None:
        """Call ``do`` if the client goes away before it is answered."""
        self._left = do

    def reply(self, status: int, body: bytes = b"") -> None:
        """Answer; a client that has left gets nothing, and an answer that has begun ends where it is."""
        if self._connection is None:
            return
        if self.begun:
            self.finish()
            return
        seen = self.seen
        seen.status = status
        seen.sent = len(body)
        seen.lines = self.lines
        head = self._connection.answer_head(status, self.lines, len(body))
        write_now(self._connection.transport, head if self.head.method == b"HEAD" else head + body)
        seen.first = seen.watch.now()
        self._finished(seen.first)

    def open(self, status: int) -> None:
        """Begin an answer that comes in pieces."""
        if self._connection is None:
            return
        if self.head.version == b"HTTP/1.1":
            self.lines.append(b"Transfer-Encoding: chunked\r\n")
        self._connection.write(self._connection.answer_head(status, self.lines, None))
        self.seen.status = status
        self.seen.lines = self.lines
        self.seen.first = self.seen.watch.now()
        self.seen.streamed = True
        self.begun = True
        self.lines = []

    def write(self, data: bytes) -> None:
        """Write a piece of the answer."""
        if self._connection is not None and data:
            self.seen.sent += len(data)
            self._connection.write(chunk(data) if self.head.version == b"HTTP/1.1" else data)

    def finish(self) -> None:
        """End an answer that came in pieces."""
        if self._connection is None:
            return
        if self.head.version == b"HTTP/1.1":
            self._connection.write(LAST_CHUNK)
        self._finished(self.seen.watch.now())

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: ARG002
        """Have the producer of the pieces told when the client does not keep up."""
        if self._connection is not None:
            self._connection.carry(producer)

    def unregisterProducer(self) -> None:
        """Tell it no more."""
        if self._connection is not None:
            self._connection.carry(None)

    def _finished(self, now: float) -> None:
        connection, self._connection = self._connection, None
        self.answered = True
        self._left = None
        self.seen.last = now
        self.seen.settle()
        if connection is not None:
            connection.answered()

    def lose(self) -> None:
        """The client has gone away."""
        self._connection = None
        self.seen.left = self.seen.watch.now()
        left, self._left = self._left, None
        if left is not None:
            left()
        self.seen.settle()
