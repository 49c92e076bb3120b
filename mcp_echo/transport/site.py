"""The HTTP server: header lines kept as they came, bodies bounded and in memory, connections drained."""

from __future__ import annotations

from io import BytesIO

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.http import HTTPChannel
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from mcp_echo.protocol.headers import Headers as WireHeaders

_NO_HEADERS = Headers()


class EchoRequest(Request):
    """A request that remembers its header lines and refuses to grow without bound."""

    # Every answer names its own type; twisted.web's text/html would invite browsers to render what is echoed.
    defaultContentType = None

    def __init__(self, channel: EchoChannel, *args: object, **kwargs: object) -> None:
        super().__init__(channel, *args, **kwargs)
        self.header_lines: list[bytes] = []
        self.too_large = False
        self._received = 0
        self._limit = channel.site.max_body

    def gotLength(self, length: int | None) -> None:  # noqa: ARG002  # Twisted's signature
        """Keep the body in memory: it is bounded, and a temporary file costs more than it saves."""
        self._body = self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Take in a piece of the body; beyond the limit it is only counted."""
        self._received += len(data)
        if self._received > self._limit:
            self.too_large = True
            self._body.truncate(0)
        else:
            self._body.write(data)

    def forget(self) -> None:
        """Let go of the heads of request and response, once sent: a stream may be open for days."""
        self.responseHeaders = Headers()
        self.header_lines = []
        self.requestHeaders = _NO_HEADERS
        self._body = self.content = BytesIO()

    def wire_headers(self) -> WireHeaders:
        """Return the header fields as they came: order, spelling, repetition."""
        pairs = (line.partition(b":") for line in self.header_lines)
        return WireHeaders(
            (name.decode("latin-1"), value.strip(b" \t").decode("latin-1")) for name, _, value in pairs
        )


class EchoChannel(HTTPChannel):
    """An HTTP/1.1 connection."""

    site: EchoSite

    def connectionMade(self) -> None:
        """Tell the site of a connection that has come about."""
        super().connectionMade()
        self.site.made(self)

    def headerReceived(self, line: bytes) -> bool:
        """Keep the line as it came; twisted.web itself merges and re-spells header fields."""
        accepted: bool = super().headerReceived(line)
        if accepted:
            self.requests[-1].header_lines.append(line)
        return accepted

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the site, which may be waiting for the last connection to end."""
        super().connectionLost(reason)
        self.site.lost(self)

    def finish(self) -> None:
        """Close when the request in hand is answered, or now if there is none."""
        if self.requests:
            self.persistent = False
        else:
            self.loseConnection()


class EchoSite(Site):
    """A site that knows its connections and can let them finish.

    Args:
        resource: The root resource.
        reactor: Times the drain.
        max_body: Largest request body, in bytes.
    """

    # HTTP/1.1 alone, as Twisted lets a factory choose: the generic protocol would wrap each connection.
    protocol = EchoChannel  # type: ignore[assignment]
    noisy = False
    _log = Logger()

    def __init__(self, resource: IResource, reactor: IReactorTime, max_body: int) -> None:
        # MCP bodies are JSON: parsing forms would cost time and, for large ones, a great deal of memory.
        super().__init__(resource, EchoRequest, reactor=reactor, parsePOSTFormSubmission=False)
        self.max_body = max_body
        self._clock = reactor
        self._channels: set[EchoChannel] = set()
        self._drained: Deferred[None] | None = None
        self._deadline: IDelayedCall | None = None

    def made(self, channel: EchoChannel) -> None:
        """Remember a connection."""
        self._channels.add(channel)

    def log(self, request: http.Request) -> None:
        """Write no access log: it costs more than the request; a debug log has requests and answers."""

    def lost(self, channel: EchoChannel) -> None:
        """Forget a connection that has ended."""
        self._channels.discard(channel)
        self._note_if_drained()

    def drain(self, timeout: float) -> Deferred[None]:
        """Let the connections finish what they are doing.

        Args:
            timeout: Seconds after which the ones that are left are aborted.

        Returns:
            A Deferred that fires when no connection is left.
        """
        drained: Deferred[None] = Deferred()
        self._drained = drained
        self._deadline = self._clock.callLater(timeout, self._abort)
        for channel in list(self._channels):
            channel.finish()
        self._note_if_drained()
        return drained

    def _note_if_drained(self) -> None:
        if self._channels or self._drained is None:
            return
        drained, self._drained = self._drained, None
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        drained.callback(None)

    def _abort(self) -> None:
        self._log.warn("Aborting {count} connections that did not finish in time", count=len(self._channels))
        for channel in list(self._channels):
            channel.forceAbortClient()
