"""The head of a request: its parts, and what has to be true of them before anything else is read.

https://www.rfc-editor.org/rfc/rfc9112. llhttp has read the same bytes before, and takes more than is right.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from mcp_echo.http.headers import Headers
from mcp_echo.protocol.errors import (
    ExpectationFailed,
    HeadTooLarge,
    HttpMethodUnknown,
    HttpVersionUnsupported,
    MalformedHttp,
    OtherProtocol,
)

# RFC 3986 section 3.2: a name or an address, and perhaps a port; "Host:" may be empty (RFC 9112 section 3.2).
_AUTHORITY = re.compile(
    rb"(\[[0-9A-Fa-f:.]{2,45}\]|([A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2}){0,255})(:[0-9]{0,5})?"
)
_ABSOLUTE = re.compile(rb"https?://([^/?#]+)(/[^#]*|\?[^#]*)?", re.IGNORECASE)
_HTTP_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")
_LONGEST_HOST = 300
_SLASH = ord("/")
_LINE_END = b"\r\n"


class Head:
    """A request's head, which `check` has to pass before it means anything.

    Args:
        raw: Its bytes as they came, without the empty line at their end.
    """

    __slots__ = (
        "_words",
        "bearing",
        "chunked",
        "fields",
        "length",
        "meaning",
        "method",
        "path",
        "persistent",
        "query",
        "raw",
        "version",
    )

    def __init__(self, raw: bytes) -> None:
        self.meaning: Any = None
        """What the application has read in it, kept here since the same head may come again."""
        self.bearing: Any = None
        """What is known by its token, likewise; see `mcp_echo.transport.oauth.guard`."""
        self.persistent = False
        """Whether another request may follow on the connection (RFC 9112 section 9.3)."""
        self.raw = raw
        """Its bytes as they came, without the empty line."""
        request_line, *lines = raw.split(b"\r\n")
        self._words = request_line.split(b" ")
        self.method = self._words[0]
        self.path = self.query = self.version = b""
        self.fields = _fields(lines)
        """Name in lower case → values, one for each line, without white space around them."""
        self.length = 0
        """Bytes of the body, where it does not come in chunks."""
        self.chunked = False

    def check(self, most_fields: int) -> None:
        """See that the head is one that can be answered.

        Args:
            most_fields: Header lines it may have (``MCP_ECHO_MAX_HEADERS``).

        Raises:
            MalformedHttp: It breaks the grammar, or the framing of the body is ambiguous.
            HeadTooLarge: It has more header lines.
            HttpVersionUnsupported: It is of another version of HTTP.
            HttpMethodUnknown: The method is none here.
            ExpectationFailed: More is expected than 100-continue.
        """
        if self.raw.count(b"\r\n") > most_fields:
            raise HeadTooLarge(f"The header fields are more than {most_fields} (MCP_ECHO_MAX_HEADERS)")
        if len(self._words) != 3 or self.method[0] in _LINE_END:
            raise MalformedHttp(
                "Invalid request: a request line has a method, a target and HTTP/1.1, one space between them"
            )
        _, target, self.version = self._words
        fields = self.fields
        self._check_version()
        self._check_host(fields.get(b"host"))
        self._check_framing(fields.get(b"transfer-encoding"), fields.get(b"content-length"))
        if self.method == b"CONNECT":
            raise HttpMethodUnknown("CONNECT is not supported: this is not a proxy")
        if b"expect" in fields and self.version == b"HTTP/1.1":
            self._check_expectations(fields[b"expect"])
        if b"upgrade" in fields:
            self._check_upgrade(fields[b"upgrade"])
        if target[0] != _SLASH:
            target = self._origin_form(target)
        elif b"#" in target:
            raise MalformedHttp("Invalid request: the target has a fragment (#), which stays with the client")
        self.path, _, self.query = target.partition(b"?")

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits to be told to send the body (RFC 9110 section 10.1.1)."""
        return b"expect" in self.fields and self.version == b"HTTP/1.1"

    def values(self, name: bytes) -> list[str]:
        """Return every value of a header field, whose name is given in lower case."""
        return [text_of(value) for value in self.fields.get(name, ())]

    def headers(self) -> Headers:
        """Return the header fields as they came: order, spelling, repetition."""
        pairs = (line.partition(b":") for line in self.raw.split(b"\r\n")[1:])
        return Headers((name.decode("ascii"), text_of(value.strip(b" \t"))) for name, _, value in pairs)

    def with_length(self, raw: bytes, length: bytes) -> Head:
        """Return a head that says the same but for the length of the body.

        Args:
            raw: Its bytes, without the empty line.
            length: The digits of its ``Content-Length``, as this head has one.
        """
        other = self._copy(raw, {**self.fields, b"content-length": [length]})
        other.length = int(length)
        other.meaning, other.bearing = self.meaning, self.bearing
        return other

    def without_fields(self) -> Head:
        """Return the head without what takes room; an event stream may be open for days."""
        return self._copy(b"", {})

    def _copy(self, raw: bytes, fields: dict[bytes, list[bytes]]) -> Head:
        other = Head.__new__(Head)
        other.raw, other.fields = raw, fields
        other.meaning, other.bearing, other.length = None, None, self.length
        other.method, other.path, other.query = self.method, self.path, self.query
        other.version, other.persistent, other.chunked = self.version, self.persistent, self.chunked
        return other

    def _check_version(self) -> None:
        if self.version == b"HTTP/1.1" or self.version == b"HTTP/1.0":
            return
        if _HTTP_VERSION.fullmatch(self.version):
            raise HttpVersionUnsupported("HTTP version not supported: this port speaks HTTP/1.1")
        raise MalformedHttp("Invalid request: the request line does not end in HTTP/1.1")

    def _check_host(self, hosts: list[bytes] | None) -> None:
        """Refuse a missing, a repeated and a malformed Host (RFC 9112 section 3.2: MUST be 400)."""
        if hosts is None:
            if self.version == b"HTTP/1.1":
                raise MalformedHttp("Invalid request: HTTP/1.1 requests name the server in a Host header")
        elif len(hosts) != 1:
            raise MalformedHttp(f"Invalid request: Host is given {len(hosts)} times")
        elif len(hosts[0]) > _LONGEST_HOST or not _is_authority(hosts[0]):
            raise MalformedHttp("Invalid request: Host is not a host name with an optional port")

    def _check_framing(self, codings: list[bytes] | None, lengths: list[bytes] | None) -> None:
        """Refuse all codings but ``chunked`` (RFC 9112 sections 6.1 and 6.3); llhttp has read the length."""
        if lengths is not None:
            self.length = int(lengths[0])
        if codings is None:
            return
        self.chunked = True
        if lengths is not None or self.version != b"HTTP/1.1" or b",".join(codings).lower() != b"chunked":
            raise MalformedHttp("Invalid request: Transfer-Encoding must be chunked, once and alone")

    @staticmethod
    def _check_expectations(expected: list[bytes]) -> None:
        members = (member.strip().lower() for value in expected for member in value.split(b","))
        if any(member and member != b"100-continue" for member in members):
            raise ExpectationFailed("Expectation failed: Expect can only be 100-continue")

    @staticmethod
    def _check_upgrade(offered: list[bytes]) -> None:
        """Refuse a WebSocket, whose client cannot go on without one; other offers are declined in silence."""
        if any(b"websocket" in value.lower() for value in offered):
            raise OtherProtocol(
                "Invalid request: this is a WebSocket handshake, and MCP is spoken over plain HTTP: "
                "POST JSON-RPC messages to /mcp (Streamable HTTP)"
            )

    def _origin_form(self, target: bytes) -> bytes:
        """Return what a target that does not begin with a slash is here (RFC 9112 section 3.2)."""
        if target == b"*" and self.method == b"OPTIONS":
            return target
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None or len(absolute[1]) > _LONGEST_HOST or not _is_authority(absolute[1]):
            raise MalformedHttp("Invalid request: the target is neither a path nor an http URI")
        # RFC 9112 section 3.2.2: Host is ignored, and replaced by what the target names.
        self.fields[b"host"] = [absolute[1]]
        path: bytes = absolute[2] or b"/"
        return path if path[0] == _SLASH else b"/" + path


def text_of(value: bytes) -> str:
    """Return a header value as text: UTF-8 where it is that, else Latin-1 (RFC 9110 section 5.5)."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _fields(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in found:
            found[name].append(value.strip(b" \t"))
        else:
            found[name] = [value.strip(b" \t")]
    return found


@lru_cache(64)
def _is_authority(text: bytes) -> bool:
    return _AUTHORITY.fullmatch(text) is not None
