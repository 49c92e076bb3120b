"""Answers to what is refused before any route has seen it, and what the edge counts of connections."""

from __future__ import annotations

from mcp_echo.protocol.errors import McpError
from mcp_echo.protocol.jsonrpc import error_bytes
from mcp_echo.transport.edge.answer import JSON, UNCACHED, Heads, Lines, lines_of
from mcp_echo.watch.seen import Seen


def refusal(heads: Heads, seen: Seen, error: McpError, lines: Lines, *, head_only: bool) -> bytes:
    """Return a whole answer that says ``error`` and that the connection ends.

    Nothing the client sent is in its header lines.

    Args:
        heads: Writes the head.
        seen: What is seen of the request.
        error: What is wrong.
        lines: Header lines beside those that every refusal has.
        head_only: Whether the request was a HEAD, whose answer has no body (RFC 9110 section 9.3.2).
    """
    body = error_bytes(None, error)
    whole = (JSON, *UNCACHED, *lines_of(error.headers.items()), *lines)
    head = heads.head(error.status, whole, len(body), last=True)
    seen.status, seen.sent = error.status, len(body)
    seen.first = seen.last = seen.arrived
    return head if head_only else head + body


class EdgeCounts:
    """What the edge of the server has done to connections since it started."""

    __slots__ = (
        "connections_accepted",
        "connections_over_share",
        "connections_refused",
        "idle_closed",
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
        self.stalls = 0
        """Connections dropped because the client did not take what waited for it."""
