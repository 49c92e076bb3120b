"""A head that comes again: clients send the same one with each call of a session, but for the body's length.

What was made of these bytes before is what would be made of them now, so that they need not be read anew.
"""

from __future__ import annotations

import re

from mcp_echo.transport.edge.head import Head

LONGEST = 4096
"""Bytes of the longest head that is remembered."""

_LENGTH = b"\r\ncontent-length:"
_DIGITS = re.compile(rb"[0-9]{1,12}")


class RepeatedHead:
    """A head that has been read, and may come again.

    Args:
        raw: Its bytes, with the empty line.
        head: What was read, all of it checked.
    """

    __slots__ = ("_after", "_before", "_head", "_raw")

    def __init__(self, raw: bytes, head: Head) -> None:
        self._raw = raw
        self._head = head
        self._before, self._after = raw, b""
        lengths = head.fields.get(b"content-length", ())
        if len(lengths) == 1:
            start = raw.index(lengths[0], raw.lower().index(_LENGTH) + len(_LENGTH))
            self._before, self._after = raw[:start], raw[start + len(lengths[0]) :]

    def read(self, data: bytes, at: int) -> tuple[Head, int] | None:
        """Return the head that begins somewhere, and where it ends; None if it is another one.

        Args:
            data: What came.
            at: Where in it the head would begin.
        """
        if data.startswith(self._raw, at):
            return self._head, at + len(self._raw)
        if not self._after or not data.startswith(self._before, at):
            return None
        length = _DIGITS.match(data, at + len(self._before))
        if length is None or not data.startswith(self._after, length.end()):
            return None
        end = length.end() + len(self._after)
        # The next body is likely to be as long as this one.
        self._raw = data[at:end]
        self._head = self._head.with_length(data[at : end - 4], length[0])
        return self._head, end
