"""The text/event-stream format. https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from __future__ import annotations

KEEP_ALIVE_EVENT = b'event: keep-alive\ndata: {"type":"ping"}\n\n'
"""A keep-alive that listeners for ``keep-alive`` see; MCP clients skip it, and some log a warning."""

KEEP_ALIVE_COMMENT = b": keep-alive\n\n"
"""A keep-alive that no listener sees."""

GAP_COMMENT = b": messages may be missing after this Last-Event-ID: not all of them were kept\n\n"
"""What a client is told that comes back for more than there is; the specification has no message for it."""

OPENING_COMMENT = b": open\n\n"
"""The first bytes of a stream that has nothing to say yet: proxies hold headers back until a body starts."""


def message(data: bytes, event_id: str | None) -> bytes:
    """Return a ``message`` event.

    Args:
        data: One line of JSON.
        event_id: The id that a client resumes from; None where streams cannot be resumed.
    """
    if event_id is None:
        return b"event: message\ndata: %b\n\n" % data
    return b"event: message\nid: %b\ndata: %b\n\n" % (event_id.encode(), data)


def endpoint(uri: str) -> bytes:
    """Return the event that tells a client of revision 2024-11-05 where to send its messages."""
    return b"event: endpoint\ndata: %b\n\n" % uri.encode()


def priming(event_id: str) -> bytes:
    """Return the event with an id and no data that lets a client resume before the first message.

    https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#sending-messages-to-the-server
    """
    return b"id: %b\ndata:\n\n" % event_id.encode()


def retry(milliseconds: int) -> bytes:
    """Return the field that tells the client how long to wait before it reconnects."""
    return b"retry: %d\n\n" % milliseconds
