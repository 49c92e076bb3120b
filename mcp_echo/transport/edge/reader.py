"""From the bytes of a connection to one request after another; llhttp knows the grammar and the framing.

llhttp reads on from one request into the next. So it is fed no further than the next place where a request
may end: a body of known length after that length, and everything else after an empty line (RFC 9112 sections
2.1 and 7.1). A request that is complete is then the last thing that was fed, and what follows waits unread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from mcp_echo.protocol.errors import BodyTooLarge, HeadTooLarge, MalformedHttp, McpError, TargetTooLong
from mcp_echo.transport.edge.head import Head
from mcp_echo.transport.edge.misread import error_for
from mcp_echo.transport.edge.repeated import LONGEST, RepeatedHead

_EMPTY_LINE = b"\r\n\r\n"

FRAMING_WINDOW = 4096
"""Bytes of a chunked body among which a chunk must begin or go on: no line of its framing may be longer."""


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What a request may take."""

    head_bytes: int
    """Bytes of the request line and the header lines (``MCP_ECHO_MAX_HEADER_BYTES``)."""
    fields: int
    """Header lines (``MCP_ECHO_MAX_HEADERS``)."""
    body: int
    """Bytes of the body (``MCP_ECHO_MAX_MESSAGE_SIZE``)."""
    chunked: int
    """Bytes that the body may take on the wire when it comes in chunks."""


class RequestReader:
    """Reads the requests of one connection.

    Args:
        limits: What each may take.
    """

    __slots__ = (
        "_before",
        "_body",
        "_headed",
        "_left",
        "_limits",
        "_misread",
        "_moved",
        "_parser",
        "_persistent",
        "_pieces",
        "_remembered",
        "_room",
        "_taken",
        "complete",
        "head",
    )

    def __init__(self, limits: RequestLimits) -> None:
        self._limits = limits
        self._parser = HttpRequestParser(self)
        self._remembered: RepeatedHead | None = None
        self._begin()

    def _begin(self) -> None:
        self.head: Head | None = None
        """The head of the request, once it is complete."""
        self.complete = False
        """Whether the request is."""
        self._pieces: list[bytes] = []
        self._taken = 0
        self._before = b""
        self._headed = self._persistent = False
        self._misread: str | None = None
        self._body: bytearray | bytes = b""
        self._room = self._limits.body

    def take(self) -> tuple[Head, bytes]:
        """Return the request that is complete, and begin with the next one."""
        head, body = self.head, bytes(self._body)
        self._begin()
        return head, body  # type: ignore[return-value]  # of a complete request the head is there

    def forget(self) -> None:
        """Let go of the head that may come again."""
        self._remembered = None

    def close(self) -> None:
        """Let go of the parser, which holds this object; nothing more will be read."""
        del self._parser
        self.forget()
        self._begin()

    @property
    def received(self) -> int:
        """Bytes of the body that are here."""
        return len(self._body)

    @property
    def answers_head(self) -> bool:
        """Whether the request is a HEAD, whose answer has no body (RFC 9110 section 9.3.2)."""
        if self.head is not None:
            return self.head.method == b"HEAD"
        return b"".join(self._pieces[:5])[:5] == b"HEAD "

    def read(self, data: bytes, at: int) -> int:
        """Take in what came, no further than to where a request may end, and return how far that is.

        Args:
            data: What came.
            at: Where in it to begin.

        Raises:
            McpError: It is no request, or a larger one than may be.
        """
        if self.head is None:
            return self._read_repeated(data, at) or self._read_head(data, at)
        if self.head.chunked:
            return self._read_chunks(data, at)
        end = min(len(data), at + self._left)
        self._left -= end - at
        self._feed(data[at:end])
        return end

    def _read_repeated(self, data: bytes, at: int) -> int:
        """Take in a whole request whose head is remembered, and return where it ends; 0 if this is none."""
        if self._remembered is None or self._taken:
            return 0
        found = self._remembered.read(data, at)
        if found is None:
            return 0
        head, begin = found
        end = begin + head.length
        if end > len(data) or begin - at > self._limits.head_bytes or head.length > self._limits.body:
            return 0
        self.head, self._body, self.complete = head, data[begin:end], True
        return end

    def _read_head(self, data: bytes, at: int) -> int:
        end = self._after_empty_line(data, at)
        most = at + self._limits.head_bytes - self._taken
        until = min(len(data) if end is None else end, most)
        piece = data[at:until]
        self._taken += until - at
        self._pieces.append(piece)
        if self._misread is None:
            try:
                self._feed(piece)
            except HttpParserError as error:
                self._misread = str(error)
                self._refuse_misread(self._misread)
        elif b"\n" in piece:
            self._refuse_misread(self._misread)
        if until == end:
            self._finish_head()
        elif until == most:
            raise self._head_too_large()
        else:
            self._before = (self._before + piece)[-3:]
        return until

    def _refuse_misread(self, reason: str) -> None:
        """Refuse what llhttp does not take, once the line is here that tells what it is."""
        error = error_for(b"".join(self._pieces), reason)
        if error is not None:
            raise error

    def _head_too_large(self) -> TargetTooLong | HeadTooLarge:
        limit = f"{self._limits.head_bytes} bytes (MCP_ECHO_MAX_HEADER_BYTES)"
        if b"\r\n" in b"".join(self._pieces):
            return HeadTooLarge(f"The header fields are larger than {limit}")
        return TargetTooLong(f"The request line is longer than {limit}")

    def _finish_head(self) -> None:
        raw = b"".join(self._pieces)
        if not self._headed:
            raise cast(McpError, error_for(raw, "an empty line stands where a head goes on"))
        self.head = head = Head(raw[:-4])
        head.check(self._limits.fields)
        if head.length > self._limits.body:
            raise self._body_too_large()
        head.persistent = self._persistent and head.version == b"HTTP/1.1"
        self._left = head.length
        self._pieces = []
        self._taken, self._before, self._moved = 0, b"", True
        self._body = bytearray()
        self._remembered = None if head.chunked or len(raw) > LONGEST else RepeatedHead(raw, head)
        if self.complete and (head.chunked or head.length):
            self._decline_upgrade(head)

    def _decline_upgrade(self, head: Head) -> None:
        """Read the body of a request that offers another protocol; httptools expects none there."""
        framing = b"Transfer-Encoding: chunked" if head.chunked else b"Content-Length: %d" % head.length
        self._parser = HttpRequestParser(self)
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)
        self.complete = False

    def _body_too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"The body is larger than {self._limits.body} bytes (MCP_ECHO_MAX_MESSAGE_SIZE)")

    def _read_chunks(self, data: bytes, at: int) -> int:
        window = at + FRAMING_WINDOW - self._taken % FRAMING_WINDOW
        most = at + self._limits.chunked - self._taken
        end = self._after_empty_line(data, at)
        until = min(len(data) if end is None else end, window, most)
        piece = data[at:until]
        self._taken += until - at
        self._feed(piece)
        if self.complete:
            return until
        if until == window:
            if not self._moved:
                raise MalformedHttp("Invalid request: a line of the framing of chunks is too long")
            self._moved = False
        if until == most:
            raise BodyTooLarge("The chunks are larger than MCP_ECHO_MAX_MESSAGE_SIZE allows")
        self._before = (self._before + piece)[-3:]
        return until

    def _after_empty_line(self, data: bytes, at: int) -> int | None:
        """Return where the next empty line ends, which may have begun with what was read before."""
        if self._before:
            seam = (self._before + data[at : at + 3]).find(_EMPTY_LINE)
            if seam >= 0:
                return at + seam + 4 - len(self._before)
        found = data.find(_EMPTY_LINE, at)
        return None if found < 0 else found + 4

    def _feed(self, piece: bytes) -> None:
        """Have llhttp read on; what it says of a head is interpreted by `_read_head`."""
        try:
            self._parser.feed_data(piece)
        except HttpParserUpgrade:
            # A server declines by answering.
            return
        except HttpParserError as error:
            if self._room < 0:
                raise self._body_too_large() from None
            if self.head is None:
                raise
            raise MalformedHttp(
                f"Invalid request: the body is not framed as RFC 9112 has it ({error})"
            ) from None

    def on_headers_complete(self) -> None:
        """llhttp has come to the end of a head."""
        self._headed = True
        self._persistent = self._parser.should_keep_alive()

    def on_chunk_header(self) -> None:
        """llhttp has read the size of a chunk."""
        self._moved = True

    def on_body(self, data: bytes) -> None:
        """llhttp has come upon a piece of the body.

        Raises:
            BodyTooLarge: It is more than may come; llhttp stops there.
        """
        self._moved = True
        self._room -= len(data)
        if self._room < 0:
            raise self._body_too_large()
        self._body += data

    def on_message_complete(self) -> None:
        """llhttp has come to the end of a request."""
        self.complete = True
