"""An HTTP/1.1 connection: how long it may take, how much it may send, and how it ends when it does more.

Deadlines are a number in a slot, which the site looks at about once a second: a timer for each request costs
more than all other checks together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING

from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableDescriptor,
    IHalfCloseableProtocol,
    ITCPTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Connection
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request
from zope.interface import implementer

from mcp_echo.config import Settings
from mcp_echo.protocol.errors import (
    BodyTooLarge,
    HeadTooLarge,
    MalformedHttp,
    McpError,
    RequestTooSlow,
    ServerStopping,
    TargetTooLong,
)
from mcp_echo.transport.head import check_head, may_persist, origin_form
from mcp_echo.transport.refusals import refusal

if TYPE_CHECKING:
    from mcp_echo.transport.site import EchoSite

NEVER = math.inf

_SLASH = ord("/")
_BODY_SETTING = "ECHO_MAX_MESSAGE_SIZE"

DRAIN_SECONDS = 5.0
"""How long a refused client that goes on sending is listened to, so that it gets to see the answer."""

DRAIN_BYTES = 16 * 1024 * 1024
"""How much of what it sends is thrown away meanwhile."""

_RETRY_AFTER = 1
"""Whole seconds until a client that was turned away may try again: a restart takes about as long."""


class Awaited(Enum):
    """What a connection waits for."""

    REQUEST = "a request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    ANSWER = "an answer of ours"
    CLOSE = "the client, which has been refused, to stop sending"


# Looking a member up costs more than what is done with it.
_REQUEST, _HEAD, _BODY, _ANSWER, _CLOSE = Awaited


@implementer(IHalfCloseableProtocol)
class EchoChannel(HTTPChannel):
    """An HTTP/1.1 connection."""

    site: EchoSite
    transport: ITCPTransport
    awaited = _REQUEST
    deadline = NEVER
    """Seconds of the site's clock by which it has to be there."""
    _refused = False
    _chunked_bytes = 0
    _drained = 0
    _host: IAddress | None = None
    neighbour: str | None = None
    """In whose share of the connections it counts; None for nobody's."""

    def connectionMade(self) -> None:
        """Tell the site of a connection that has come about."""
        super().connectionMade()
        self._await(_REQUEST, self.site.settings.idle_timeout)
        self.site.made(self)

    def _await(self, what: Awaited, seconds: float) -> None:
        self.awaited = what
        self.deadline = self.site.seconds() + seconds

    def getHost(self) -> IAddress:
        """Return the address the connection came to; twisted.web asks for each request, by a system call."""
        if self._host is None:
            self._host = super().getHost()
        return self._host

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Write a piece of an event stream, to the socket itself where nothing waits to be written before it.

        The reactor would begin to watch the socket, come back to it in its next turn, write and cease to
        watch it: for a message on its way to many streams that is more than all the rest it costs.
        """
        data = b"".join(iovec)
        transport = self.transport
        if isinstance(transport, Connection) and _has_written_all(transport):
            sent = transport.writeSomeData(data)
            # Otherwise the connection is broken, which the reactor will find out too.
            if isinstance(sent, int):
                data = data[sent:]
        if data:
            super().write(data)

    def dataReceived(self, data: bytes) -> None:
        """Take in what has come."""
        if self._refused:
            self._discard(data)
            return
        # Not HTTPChannel's, which does no more than reset its timer.
        LineReceiver.dataReceived(self, data)
        if self.awaited is _REQUEST and (self._buffer or self.requests):
            self._await(_HEAD, self.site.settings.header_timeout)

    def headerReceived(self, line: bytes) -> bool:
        """Keep the line as it came; twisted.web itself merges and re-spells header fields."""
        try:
            accepted: bool = super().headerReceived(line)
        except ValueError:
            # Python reads no number of more than 4,300 digits.
            self.refuse(BodyTooLarge(f"The body is larger than {self.site.max_body} bytes ({_BODY_SETTING})"))
            return False
        if accepted:
            self.requests[-1].header_lines.append(line)
        return accepted

    def allHeadersReceived(self) -> None:
        """Go on with the request, or refuse it before the client is told to send its body."""
        request = self.requests[-1]
        headers = request.requestHeaders
        # One look at all fields is cheaper than a look for each, which is what HTTPChannel's method takes.
        fields = dict(headers.getAllRawHeaders())
        try:
            check_head(fields, request.header_lines, self._command, self._version, self.length)
            if self._path[0] != _SLASH:
                self._path = origin_form(headers, self._command, self._path)
            if self.length is not None and self.length > self.site.max_body:
                raise BodyTooLarge(f"The body is larger than {self.site.max_body} bytes ({_BODY_SETTING})")
        except McpError as error:
            self.refuse(error)
            return
        self.persistent = not self.site.draining and may_persist(fields.get(b"Connection"), self._version)
        if not self.persistent:
            _announce_close(request)
        request.gotLength(self.length)
        if self.length != 0:
            self._chunked_bytes = 0
            self._await(_BODY, self.site.settings.body_timeout)
            # Nothing else can be expected, or it would have been refused.
            if b"Expect" in fields and self._version == b"HTTP/1.1":
                self._send100Continue()

    def rawDataReceived(self, data: bytes) -> None:
        """Take in a part of a body, or what the client sends ahead while its request is answered."""
        if self._handlingRequest:
            super().rawDataReceived(data)
            # twisted.web stops reading at 16 KiB, but not while the client does not read either.
            if self._waitingForTransport:
                self._networkProducer.pauseProducing()
            return
        try:
            if self.length is None:
                self._count_chunked(len(data))
            super().rawDataReceived(data)
        except BodyTooLarge as error:
            self.refuse(error)

    def _count_chunked(self, size: int) -> None:
        """Bound what chunks cost: in the smallest, five bytes of six are framing."""
        self._chunked_bytes += size
        if self._chunked_bytes > self.site.max_chunked:
            raise BodyTooLarge("The chunks are larger than ECHO_MAX_MESSAGE_SIZE allows")

    def allContentReceived(self) -> None:
        """Have the request answered, in whatever time it takes."""
        # A request without a body that was refused for its head comes here all the same.
        if self._refused:
            return
        self.awaited = _ANSWER
        self.deadline = NEVER
        super().allContentReceived()

    def requestDone(self, request: Request) -> None:
        """Wait for the next request."""
        # First, for what is already there of the next one is looked at in between.
        self._await(_REQUEST, self.site.settings.idle_timeout)
        super().requestDone(request)

    def expire(self) -> None:
        """Do what is due when the deadline has passed."""
        settings = self.site.settings
        if self.awaited is _HEAD:
            limit = f"{settings.header_timeout:g} s (MCP_ECHO_HEADER_TIMEOUT)"
            self.refuse(RequestTooSlow(f"The request's head was not complete after {limit}"))
        elif self.awaited is _BODY:
            limit = f"{settings.body_timeout:g} s (MCP_ECHO_BODY_TIMEOUT)"
            self.refuse(RequestTooSlow(f"The request's body was not complete after {limit}"))
        elif self.awaited is _REQUEST:
            self.site.counts.idle_closed += 1
            self.loseConnection()
        else:
            self.transport.abortConnection()

    def refuse(self, error: McpError) -> None:
        """Answer with ``error`` and end the connection; nothing more that comes on it is read.

        Closing at once would have the kernel reset the connection of a client that is still sending, which
        then loses the answer (RFC 9112 section 9.6): the server stops writing first, and reading later.
        """
        if self._refused:
            return
        self._refused = True
        self.clearLineBuffer()
        self.site.counts.refused(error.status)
        self.transport.write(refusal(error, head_only=getattr(self, "_command", None) == b"HEAD"))
        self._networkProducer.resumeProducing()
        # It is the transport, which is a consumer as well.
        self._networkProducer.unregisterProducer()  # type: ignore[attr-defined]
        if IHalfCloseableDescriptor.providedBy(self.transport) and not self.isSecure():
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()
        self._await(_CLOSE, DRAIN_SECONDS)

    def _discard(self, data: bytes) -> None:
        self._drained += len(data)
        if self._drained > DRAIN_BYTES:
            self.transport.abortConnection()

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: ARG002  # Twisted's signature
        """Refuse a line that is too long."""
        self._refuse_head()

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Refuse what twisted.web's parser does not take, and heads that are too large for it."""
        if self._receivedHeaderSize > self.totalHeadersSize or self._receivedHeaderCount > self.maxHeaders:
            self._refuse_head()
        else:
            self.refuse(MalformedHttp("Invalid request: this is not HTTP/1.1 as RFC 9112 has it"))

    def _refuse_head(self) -> None:
        settings = self.site.settings
        if not self.requests:
            limit = f"{settings.max_header_bytes} bytes (MCP_ECHO_MAX_HEADER_BYTES)"
            self.refuse(TargetTooLong(f"The request line is longer than {limit}"))
            return
        self.refuse(
            HeadTooLarge(
                f"The header fields are more than {settings.max_headers} (MCP_ECHO_MAX_HEADERS) "
                f"or larger than {settings.max_header_bytes} bytes (MCP_ECHO_MAX_HEADER_BYTES)"
            )
        )

    def pauseProducing(self) -> None:
        """The client does not take what is written; it may do so for a while."""
        super().pauseProducing()
        self.site.watch(self)

    def resumeProducing(self) -> None:
        """The client has taken everything."""
        self.site.unwatch(self)
        super().resumeProducing()

    def unsent(self) -> tuple[int, int]:
        """Return what changes whenever the client takes something."""
        return len(getattr(self.transport, "dataBuffer", b"")), getattr(self.transport, "offset", 0)

    def loseConnection(self) -> None:
        """Close once everything is written; a client that does not take it is not waited for for ever."""
        super().loseConnection()
        self.awaited = _ANSWER
        self.deadline = NEVER
        self.site.watch(self)

    def readConnectionLost(self) -> None:
        """The client sends no more.

        It gets what has been written. If its answer is still being worked on it counts as gone, for one that
        has left looks the same.
        """
        if self._refused or not self.requests:
            self.loseConnection()
        else:
            self.transport.abortConnection()

    def writeConnectionLost(self) -> None:
        """Nothing more will be written, as intended."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the site, which may be waiting for the last connection to end."""
        super().connectionLost(reason)
        self.site.lost(self)

    def finish(self) -> None:
        """Answer the request in hand and no other one; turn away one that is still being received."""
        if self._handlingRequest:
            self.persistent = False
            # None is left on a connection that closes already, after its last answer.
            if self.requests and not self.requests[0].startedWriting:
                _announce_close(self.requests[0])
        elif self.requests or self._buffer:
            # It may never be complete.
            self.refuse(ServerStopping(_RETRY_AFTER))

    def close_unless_busy(self) -> None:
        """Do the same, or close the connection if nothing has come on it."""
        if self._handlingRequest or self.requests or self._buffer:
            self.finish()
        else:
            self.loseConnection()

    def abort(self) -> None:
        """Drop the connection with all that is still to be sent on it."""
        self.transport.abortConnection()


def _has_written_all(transport: Connection) -> bool:
    """Return whether this is a plain, open socket whose buffer is empty."""
    return (
        not transport.TLS
        and bool(transport.connected)
        and not transport.disconnecting
        # Twisted has no public way to ask what waits in the buffer.
        and not transport._tempDataBuffer
        and transport.offset == len(transport.dataBuffer)
    )


def _announce_close(request: Request) -> None:
    request.responseHeaders.setRawHeaders(b"Connection", [b"close"])


def channel_class(settings: Settings) -> type[EchoChannel]:
    """Return the class of a site's connections.

    twisted.web reads its limits from attributes; of the class, they cost a connection nothing.
    """

    class LimitedChannel(EchoChannel):
        maxHeaders = settings.max_headers
        totalHeadersSize = settings.max_header_bytes
        MAX_LENGTH = settings.max_header_bytes

    return LimitedChannel
