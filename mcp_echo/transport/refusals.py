"""Answers to what is refused before any route has seen it."""

from __future__ import annotations

from http import HTTPStatus

from twisted.web.http import datetimeToString
from twisted.web.server import version

from mcp_echo.protocol.errors import McpError
from mcp_echo.protocol.jsonrpc import error_bytes


def refusal(error: McpError, *, head_only: bool) -> bytes:
    """Return a whole HTTP response that says ``error`` and that the connection ends.

    Nothing the client sent is in its header fields.

    Args:
        error: What is wrong.
        head_only: Whether the request was a HEAD, whose answer has no body (RFC 9110 section 9.3.2).
    """
    body = error_bytes(None, error)
    phrase = HTTPStatus(error.status).phrase.encode()
    more = "".join(f"{name}: {value}\r\n" for name, value in error.headers.items()).encode()
    head = (
        b"HTTP/1.1 %d %b\r\nServer: %b\r\nDate: %b\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
        b"%bConnection: close\r\n\r\n"
    ) % (error.status, phrase, version, datetimeToString(), len(body), more)
    return head if head_only else head + body


class EdgeCounts:
    """What the edge of the server has taken in and turned away since it started."""

    __slots__ = (
        "connections_accepted",
        "connections_over_share",
        "connections_refused",
        "idle_closed",
        "refusals",
        "stalls",
    )

    def __init__(self) -> None:
        self.connections_accepted = 0
        """Connections that were taken."""
        self.connections_refused = 0
        """Connections closed at once because there were as many as may be."""
        self.connections_over_share = 0
        """Connections closed at once because their address had as many as it may."""
        self.idle_closed = 0
        """Connections closed because no request came for long."""
        self.refusals: dict[int, int] = {}
        """HTTP status → requests refused with it before any route saw them."""
        self.stalls = 0
        """Connections dropped because the client did not take what waited for it."""

    def refused(self, status: int) -> None:
        """Count a request that is refused with this HTTP status."""
        self.refusals[status] = self.refusals.get(status, 0) + 1
