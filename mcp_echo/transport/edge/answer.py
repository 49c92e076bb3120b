"""The bytes of answers: status line, header lines, and bodies in chunks (RFC 9112 sections 4 to 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus

from twisted.web.http import datetimeToString

from mcp_echo import __version__

Lines = Iterable[bytes]
"""Header lines, each with its line end."""

JSON = b"Content-Type: application/json\r\n"
UNCACHED = (b"Cache-Control: no-store\r\n", b"X-Content-Type-Options: nosniff\r\n")
"""The lines of answers that nobody keeps, and that no browser takes for something else."""

_SERVER = b"mcp-echo/" + __version__.encode()

# As IANA has registered them; what Python says differs from version to version.
_PHRASES = {each.value: each.phrase for each in HTTPStatus}
_PHRASES |= {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}

_LAST = b"Connection: close\r\n\r\n"

_WITHOUT_BODY = frozenset({204, 304})
"""Statuses whose answers have neither body nor length (RFC 9110 sections 6.4.1 and 8.6)."""


class Heads:
    """Writes the heads of answers; what is the same in each within a second is written once.

    Args:
        wall: The wall clock, for ``Date``.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._second = 0
        self._begun: dict[int, bytes] = {}
        """Status → the lines that each answer with it begins with."""

    def head(self, status: int, lines: Lines, length: int | None, *, last: bool) -> bytes:
        """Return the head of an answer.

        Args:
            status: Its status.
            lines: Its header lines beside those that every answer has.
            length: Bytes of its body, None when it comes in chunks or until the connection ends.
            last: Whether the connection closes behind it.
        """
        second = int(self._wall())
        if second != self._second:
            self._second = second
            self._begun.clear()
        begun = self._begun.get(status) or self._begin(status)
        end = _LAST if last else b"\r\n"
        if length is None or status in _WITHOUT_BODY:
            return begun + b"".join(lines) + end
        return b"%bContent-Length: %d\r\n%b" % (begun + b"".join(lines), length, end)

    def _begin(self, status: int) -> bytes:
        # A status that nobody has registered has none (RFC 9112 section 4).
        phrase = _PHRASES.get(status, "")
        date = datetimeToString(self._second)
        begun = b"HTTP/1.1 %d %b\r\nServer: %b\r\nDate: %b\r\n" % (status, phrase.encode(), _SERVER, date)
        self._begun[status] = begun
        return begun


def line(name: bytes, value: bytes) -> bytes:
    """Return a header line."""
    return b"%b: %b\r\n" % (name, value)


def lines_of(fields: Iterable[tuple[str, str]]) -> tuple[bytes, ...]:
    """Return the header lines of names and values."""
    return tuple(line(name.encode(), value.encode()) for name, value in fields)


def chunk(data: bytes) -> bytes:
    """Return a piece of a body as a chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
