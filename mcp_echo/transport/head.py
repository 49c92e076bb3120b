"""What has to be true of a request's head before anything else of the request is read.

https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from twisted.web.http_headers import Headers

from mcp_echo.protocol.errors import (
    ExpectationFailed,
    HttpMethodUnknown,
    MalformedHttp,
)

Fields = Mapping[bytes, Sequence[bytes]]

_CONTROLS = bytes(byte for byte in (*range(0x20), 0x7F) if byte != 0x09)

# RFC 3986 section 3.2: a name or an address, and perhaps a port; "Host:" may be empty (RFC 9112 section 3.2).
_AUTHORITY = re.compile(
    rb"(\[[0-9A-Fa-f:.]{2,45}\]|([A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2}){0,255})(:[0-9]{0,5})?"
)
_ABSOLUTE = re.compile(rb"https?://([^/?#]+)(/[^#]*|\?[^#]*)?", re.IGNORECASE)
_LONGEST_HOST = 300


def check_head(
    fields: Fields, lines: Sequence[bytes], method: bytes, version: bytes, length: int | None
) -> None:
    """Let a request's head pass, or refuse it.

    Args:
        fields: The header fields, their names spelled as twisted.web does.
        lines: The header lines.
        method: The HTTP method.
        version: ``HTTP/1.1`` or ``HTTP/1.0``.
        length: Bytes of the body, None when it comes in chunks.

    Raises:
        MalformedHttp: The head breaks the grammar, or the framing of the body is ambiguous.
        HttpMethodUnknown: The method is none.
        ExpectationFailed: More is expected than 100-continue.
    """
    _check_values(lines)
    _check_host(fields.get(b"Host"), version)
    if b"Transfer-Encoding" in fields and (length is not None or version != b"HTTP/1.1"):
        # RFC 9112 sections 6.1 and 6.3: chunked has to be the last coding, and HTTP/1.0 has none.
        raise MalformedHttp("Invalid request: Transfer-Encoding says something else than chunked")
    # Method names are case-sensitive (RFC 9110 section 9.1); there is nowhere to connect to.
    if not method.isupper() or method == b"CONNECT":
        raise HttpMethodUnknown("This HTTP method is not known here; methods are written in capitals")
    if b"Expect" in fields and version == b"HTTP/1.1":
        _check_expectations(fields[b"Expect"])


def _check_values(lines: Sequence[bytes]) -> None:
    """Refuse control characters other than tabs (RFC 9110 section 5.5)."""
    text = b"".join(lines)
    if len(text.translate(None, _CONTROLS)) != len(text):
        raise MalformedHttp("Invalid request: a header value has a control character in it")


def _check_host(hosts: Sequence[bytes] | None, version: bytes) -> None:
    """Refuse a missing, a repeated and a malformed Host (RFC 9112 section 3.2: MUST be 400)."""
    if hosts is None:
        if version == b"HTTP/1.1":
            raise MalformedHttp("Invalid request: HTTP/1.1 requests name the server in a Host header")
    elif len(hosts) != 1:
        raise MalformedHttp(f"Invalid request: Host is given {len(hosts)} times")
    elif len(hosts[0]) > _LONGEST_HOST or not _is_authority(hosts[0]):
        raise MalformedHttp("Invalid request: Host is no host name with an optional port")


@lru_cache(64)
def _is_authority(text: bytes) -> bool:
    return _AUTHORITY.fullmatch(text) is not None


def _check_expectations(expected: Sequence[bytes]) -> None:
    members = (member.strip().lower() for value in expected for member in value.split(b","))
    if any(member and member != b"100-continue" for member in members):
        raise ExpectationFailed("Expectation failed: Expect can only be 100-continue")


def origin_form(headers: Headers, method: bytes, target: bytes) -> bytes:
    """Return what a target that does not begin with a slash is here (RFC 9112 section 3.2).

    Args:
        headers: The header fields; ``Host`` is replaced by what an absolute target names.
        method: The HTTP method.
        target: The request target as it came.

    Raises:
        MalformedHttp: It is in none of the forms that the method can have.
    """
    if target == b"*" and method == b"OPTIONS":
        return target
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or len(absolute[1]) > _LONGEST_HOST or not _is_authority(absolute[1]):
        raise MalformedHttp("Invalid request: the target is neither a path nor an http URI")
    # RFC 9112 section 3.2.2: Host is ignored, and replaced by what the target names.
    headers.setRawHeaders(b"Host", [absolute[1]])
    path = absolute[2] or b"/"
    return path if path.startswith(b"/") else b"/" + path


def may_persist(connection: Sequence[bytes] | None, version: bytes) -> bool:
    """Return whether another request may follow on the connection (RFC 9112 section 9.3).

    Args:
        connection: The values of ``Connection``, which is a list (RFC 9110 section 7.6.1).
        version: ``HTTP/1.1`` or ``HTTP/1.0``.
    """
    if version != b"HTTP/1.1":
        return False
    if connection is None:
        return True
    return b"close" not in (option.strip().lower() for value in connection for option in value.split(b","))
