"""What bytes are that llhttp does not take for the head of a request, and what to say of them."""

from __future__ import annotations

import re

from mcp_echo.protocol.errors import (
    BodyTooLarge,
    HttpMethodUnknown,
    HttpVersionUnsupported,
    MalformedHttp,
    McpError,
    OtherProtocol,
)

_TLS_HANDSHAKE = b"\x16"
"""What a TLS connection begins with (RFC 8446 section 5.1), and no HTTP request."""
_OTHER_PROTOCOLS = (
    # RFC 9113 section 3.4.
    (b"PRI * HTTP/2", "HTTP/2, and this port speaks HTTP/1.1"),
    # https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
    (b"PROXY ", "the PROXY protocol, which a port takes that listens on haproxy:tcp:…"),
    # RFC 4253 section 4.2.
    (b"SSH-", "SSH, and this port speaks HTTP/1.1"),
)
"""What the first line of another protocol begins with, and what it is."""

_REQUEST_LINE = re.compile(rb"[!-~]+ [^ ]+ HTTP/[0-9.]+")


def error_for(head: bytes, reason: str) -> McpError | None:
    """Return what is wrong with a head; None while its first line has to be awaited.

    What is said depends on the bytes alone, never on the pieces in which they come.

    Args:
        head: As much of it as is here.
        reason: llhttp's, a fixed phrase.
    """
    if head.startswith(_TLS_HANDSHAKE):
        return OtherProtocol("Invalid request: this is TLS, and this port speaks plain HTTP: use http://")
    line, end, _ = head.partition(b"\n")
    if not end:
        return None
    line = line.removesuffix(b"\r")
    for beginning, what in _OTHER_PROTOCOLS:
        if line.startswith(beginning):
            return OtherProtocol(f"Invalid request: this is {what}")
    if reason == "Invalid HTTP version":
        return HttpVersionUnsupported("HTTP version not supported: this port speaks HTTP/1.1")
    if reason == "Content-Length overflow":
        return BodyTooLarge(
            "The body is larger than any limit (MCP_ECHO_MAX_MESSAGE_SIZE): see Content-Length"
        )
    if reason == "Invalid method encountered" and _REQUEST_LINE.fullmatch(line):
        return HttpMethodUnknown("Unknown HTTP method; methods are written in capitals")
    return MalformedHttp(f"Invalid request: this is not HTTP/1.1 as RFC 9112 has it ({reason})")
