"""One HTTP request: header lines kept as they came, the body bounded and in memory."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, cast

from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.server import Request
from twisted.web.server import version as server_version

from mcp_echo.protocol.errors import BodyTooLarge
from mcp_echo.protocol.headers import Headers as WireHeaders
from mcp_echo.protocol.strict_json import is_read
from mcp_echo.redaction import secrets_in

if TYPE_CHECKING:
    from mcp_echo.transport.channel import EchoChannel

_NO_HEADERS = Headers()


class EchoRequest(Request):
    """A request that remembers its header lines and refuses to grow without bound."""

    # Every answer names its own type; twisted.web's text/html would invite browsers to render what is echoed.
    defaultContentType = None
    _body_secrets: frozenset[str] = frozenset()
    """The secrets of a body that is no longer here."""

    def __init__(self, channel: EchoChannel, *args: object, **kwargs: object) -> None:
        super().__init__(channel, *args, **kwargs)
        self.header_lines: list[bytes] = []
        self._room = channel.site.max_body

    def gotLength(self, length: int | None) -> None:  # noqa: ARG002  # Twisted's signature
        """Keep the body in memory: it is bounded, and a temporary file costs more than it saves."""
        self._body = self.content = BytesIO()

    def parseCookies(self) -> None:
        """Leave cookies alone: nobody here asks for them, and the tools show the lines as they came."""

    def handleContentChunk(self, data: bytes) -> None:
        """Take in a piece of the body.

        Raises:
            BodyTooLarge: It is more than may come.
        """
        self._room -= len(data)
        if self._room < 0:
            raise BodyTooLarge("The body is larger than ECHO_MAX_MESSAGE_SIZE allows")
        self._body.write(data)

    def process(self) -> None:
        """Have the site's one resource answer.

        twisted.web would unquote the path's segments, walk a tree of resources by them, and write the date
        anew for each request.
        """
        if self.path == b"*":
            super().process()
            return
        self.site = site = cast("EchoChannel", self.channel).site
        self.setHeader(b"server", server_version)
        self.setHeader(b"date", site.date())
        self.prepath, self.postpath = [], self.path[1:].split(b"/")
        try:
            self.render(site.resource)
        except Exception:
            self.processingFailed(Failure())

    def connectionLost(self, reason: Failure) -> None:
        """Let go of the connection, with what could not be written to it.

        An event stream and its request hold each other; what they hold would stay until the next full
        garbage collection.
        """
        super().connectionLost(reason)
        self.producer = None
        self.transport = None

    def secrets(self) -> frozenset[str]:
        """Return the secrets in the header and in what has been received of the body, read or not."""
        body = self._body.getvalue()
        # What is too much to be read is too much to be looked through.
        return secrets_in(self.wire_headers(), body if is_read(body) else b"") | self._body_secrets

    def let_go(self) -> None:
        """Let go of the body, which has been read, but for the secrets in it."""
        self._body_secrets |= secrets_in((), self._body.getvalue())
        self._body = self.content = BytesIO()

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
