"""Blocks of an event stream, and what can be wrong with them. No I/O.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mcp_echo.faults.answer import Answer, Piece
from mcp_echo.http.accept import EVENT_STREAM

REUSED_ID = b"0"
"""The id of every event where ids are used again."""

_SPLIT_WAIT = 0.05
"""Seconds between the two halves of a character, so that they come in two packets."""

_COMMENT_LINE = 1024
"""Bytes of a line of a comment."""


def message(data: bytes, event_id: str | None = None) -> bytes:
    """Return a ``message`` event."""
    named = b"" if event_id is None else b"id: %b\n" % event_id.encode()
    return b"event: message\n%bdata: %b\n\n" % (named, data)


def as_stream(answer: Answer) -> Answer:
    """Return an answer that opens an event stream in the place of one that is a message."""
    return answer.with_header("Content-Type", EVENT_STREAM).with_header("Cache-Control", "no-cache")


def is_event(block: bytes) -> bool:
    """Return whether a block carries a message, and is no comment, keep-alive or event id alone."""
    return bool(data_of(block)) and not block.startswith(b"event: keep-alive\n")


def data_of(block: bytes) -> bytes | None:
    """Return the data of an event; None for a block without any."""
    found = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(found) if found else None


def with_data(block: bytes, data: bytes) -> bytes:
    """Return an event with other data."""
    kept = [line for line in block.rstrip(b"\n").split(b"\n") if not line.startswith(b"data:")]
    return b"\n".join([*kept, *(b"data: " + line for line in data.split(b"\n"))]) + b"\n\n"


def with_id(block: bytes, event_id: bytes | None) -> bytes:
    """Return an event with another id; None for without one."""
    kept = [line for line in block.rstrip(b"\n").split(b"\n") if not line.startswith(b"id:")]
    return b"\n".join([*([] if event_id is None else [b"id: " + event_id]), *kept]) + b"\n\n"


def _split(block: bytes, _size: int) -> Sequence[Piece]:
    """Return a block in two pieces, between the bytes of its first character that has several."""
    at = next((place for place, byte in enumerate(block) if byte >= 0x80), None)
    if at is None:
        block, at = ": é\n".encode() + block, 2
    return (Piece(block[: at + 1]), Piece(block[at + 1 :], _SPLIT_WAIT))


def _flooded(block: bytes, size: int) -> Sequence[Piece]:
    line = b":" + b" " * (_COMMENT_LINE - 2) + b"\n"
    return (
        Piece(line * (size // _COMMENT_LINE) + b":" + b" " * (size % _COMMENT_LINE) + b"\n\n"),
        Piece(block),
    )


CHANGES: dict[str, Callable[[bytes, int], Sequence[Piece]]] = {
    "duplicate": lambda block, _: (Piece(block), Piece(block)),
    "no-id": lambda block, _: (Piece(with_id(block, None)),),
    "crlf": lambda block, _: (Piece(block.replace(b"\n", b"\r\n")),),
    "split-utf8": _split,
    "comment-flood": _flooded,
    "id-reused": lambda block, _: (Piece(with_id(block, REUSED_ID)),),
}
"""How events are written → what is written in the place of one."""
