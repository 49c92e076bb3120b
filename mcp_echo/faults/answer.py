"""An answer on its way out, and how it is sent. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from mcp_echo.faults.asked import read_object
from mcp_echo.oauth.keys import SigningKey

UNCACHED = b"Cache-Control: no-store\r\n"
UNCACHED_JSON = (b"Content-Type: application/json\r\n", UNCACHED)
"""The header lines of what a fault answers in the place of the server."""


class Answer(NamedTuple):
    """An answer: complete, or the beginning of an event stream."""

    status: int
    lines: tuple[bytes, ...] = ()
    """Header lines with their line ends, beside those that every answer has."""
    body: bytes | None = b""
    """None for an event stream that opens."""
    is_end: bool = False
    """Whether it is the end of an event stream on which its request was not answered."""

    def values(self, name: str) -> list[str]:
        """Return the values of a header field."""
        start = f"{name.lower()}:".encode()
        found = (each for each in self.lines if each.lower().startswith(start))
        return [each.partition(b":")[2].strip().decode("latin-1") for each in found]

    def with_header(self, name: str, *values: str) -> Answer:
        """Return the answer with these values of a header field, and no other ones."""
        start = f"{name.lower()}:".encode()
        kept = [each for each in self.lines if not each.lower().startswith(start)]
        new = [f"{name}: {value}\r\n".encode("latin-1", "replace") for value in values]
        return self._replace(lines=(*kept, *new))

    def with_body(self, body: bytes, media_type: str | None = None) -> Answer:
        """Return the answer with another body; see `with_header` for the type."""
        answer = self._replace(body=body)
        return answer if media_type is None else answer.with_header("Content-Type", media_type)

    def read(self) -> dict[str, Any] | None:
        """Return the JSON object that it is; None where it is none."""
        return read_object(self.body or b"")

    def with_json(self, value: Mapping[str, Any]) -> Answer:
        """Return the answer with another JSON object for a body."""
        return self._replace(body=msgspec.json.encode(value))


class Piece(NamedTuple):
    """What is written at a time."""

    data: bytes
    wait: float = 0.0
    """Seconds to wait before."""


Cut = Literal["close", "reset"]
"""The connection is closed before the answer has ended, or reset."""


class Sending(NamedTuple):
    """How an answer is sent."""

    answer: Answer | None
    """None for not a single byte."""
    wait: float = 0.0
    """Seconds to wait before."""
    pieces: Sequence[Piece] = ()
    """What is written in the place of the body, if that is not written at once."""
    rate: int | None = None
    """Bytes a second; None for as fast as the client reads."""
    cut: Cut | None = None
    """How the connection ends behind what is written; None for the ordinary end."""
    each: float = 0.0
    """Of an event stream, seconds to wait before each event."""
    quiet: float = 0.0
    """Of an event stream, seconds behind its opening in which nothing is written."""


class World(NamedTuple):
    """What a fault may know beside the request and the answer."""

    now: float
    """Seconds since the epoch."""
    resource: str
    """The name of the protected resource."""
    metadata: str
    """Where its metadata is."""
    issuer: str
    """The name of its authorization server."""
    key: SigningKey | None = None
    """What its tokens are signed with; None where there is none yet."""
    chance: float = 0.0
    """A number from 0 to 1 that the order's seed gives."""
