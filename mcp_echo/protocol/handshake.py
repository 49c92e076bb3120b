"""The legacy era: the handshake of the revisions with ``initialize`` and ``Mcp-Session-Id``. No I/O.

https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import Raw

from mcp_echo.protocol.errors import InvalidParams, InvalidRequest, UnsupportedRevision
from mcp_echo.protocol.modern import VERSION_HEADER, disagreement
from mcp_echo.protocol.params import UNREADABLE, read
from mcp_echo.protocol.revisions import Revision, Supported
from mcp_echo.redaction import quoted

MAX_SELF_DESCRIPTION = 16 * 1024
"""Largest ``initialize`` params kept with a session, in bytes: names and capabilities, not payload."""


class Initialize(msgspec.Struct, frozen=True):
    """The params of ``initialize`` that everyone sends; the rest may be missing."""

    protocolVersion: str
    capabilities: dict[str, Any] = {}
    clientInfo: dict[str, Any] = {}


class _Implementation(msgspec.Struct, frozen=True):
    name: str
    version: str


class _Capabilities(msgspec.Struct, frozen=True):
    """The capabilities that a client may declare, each of which is an object."""

    experimental: dict[str, Any] = {}
    roots: dict[str, Any] = {}
    sampling: dict[str, Any] = {}
    elicitation: dict[str, Any] = {}
    tasks: dict[str, Any] = {}


class _StrictInitialize(msgspec.Struct, frozen=True):
    protocolVersion: str
    capabilities: _Capabilities
    clientInfo: _Implementation


class _Asked(msgspec.Struct, frozen=True):
    protocolVersion: str


_decode = msgspec.json.Decoder(Initialize).decode
_decode_asked = msgspec.json.Decoder(_Asked).decode
_decode_strict = msgspec.json.Decoder(_StrictInitialize).decode


def read_initialize(params: Raw, strict: bool) -> Initialize:
    """Return the params of an ``initialize`` request.

    Args:
        params: Undecoded JSON.
        strict: Whether to insist on everything that the schema requires.

    Raises:
        InvalidParams: Something is missing, of a wrong type or too large.
    """
    if len(bytes(params)) > MAX_SELF_DESCRIPTION:
        raise InvalidParams(f"Invalid initialize params: larger than {MAX_SELF_DESCRIPTION} bytes")
    try:
        if strict:
            _decode_strict(params)
        return cast(Initialize, read(_decode, params))
    except UNREADABLE as error:
        raise InvalidParams(f"Invalid initialize params: {error}") from None


def asked_for(params: Raw) -> str | None:
    """Return the revision that an ``initialize`` with these params asks for; None where it names none."""
    try:
        return _decode_asked(params).protocolVersion
    except UNREADABLE:
        return None


def check_initialize_header(header: str | None, params: Raw) -> None:
    """Refuse an ``initialize`` whose header names another revision than it asks for.

    The header comes after ``initialize``; one that is sent with it cannot be a negotiated revision yet.

    Raises:
        InvalidRequest: They differ.
    """
    asked = asked_for(params)
    if header is not None and asked is not None and header != asked:
        told = disagreement(VERSION_HEADER, quoted(header), f"asks for {quoted(asked)}")
        raise InvalidRequest(f"Invalid request: {told}")


def check_version_header(header: str | None, supported: Supported) -> Revision | None:
    """Return the revision that ``MCP-Protocol-Version`` names, or None when there is no such header.

    A supported revision other than the session's is let pass: it says what the client can read, and the
    specification leaves the case open.

    Raises:
        UnsupportedRevision: The revision is none that this server speaks.
    """
    if header is None:
        return None
    revision = supported.get(header)
    if revision is None:
        raise UnsupportedRevision(header, supported.names)
    return revision


def check_version_header_strictly(header: Revision | None, negotiated: Revision) -> None:
    """Insist on the header that clients must send after ``initialize``, with the negotiated value.

    Raises:
        InvalidRequest: It is missing or names another revision.
    """
    if not negotiated.version_header or header is negotiated:
        return
    found = "is missing" if header is None else f"says {header.name}"
    raise InvalidRequest(f"MCP-Protocol-Version {found}; this session speaks {negotiated.name}")
