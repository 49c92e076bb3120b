"""Answers to what is refused before any route has seen it, and how often that was."""

from __future__ import annotations

from mcp_echo.protocol.errors import McpError
from mcp_echo.protocol.jsonrpc import error_bytes
from mcp_echo.transport.edge.answer import JSON, UNCACHED, Heads, Lines, lines_of


def refusal(heads: Heads, error: McpError, lines: Lines, *, head_only: bool) -> bytes:
    """Return a whole answer that says ``error`` and that the connection ends.

    Nothing the client sent is in its header lines.

    Args:
        heads: Writes the head.
        error: What is wrong.
        lines: Header lines beside those that every refusal has.
        head_only: Whether the request was a HEAD, whose answer has no body (RFC 9110 section 9.3.2).
    """
    body = error_bytes(None, error)
    whole = (JSON, *UNCACHED, *lines_of(error.headers.items()), *lines)
    head = heads.head(error.status, whole, len(body), last=True)
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
