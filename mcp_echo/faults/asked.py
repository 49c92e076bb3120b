"""What a request asks for, as far as faults want to know it. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec

from mcp_echo.http.accept import parse_accept
from mcp_echo.protocol.strict_json import is_read
from mcp_echo.watch.seen import Head, Leg

MOST_MESSAGES = 100
"""Messages of a batch that are looked at."""


class _Params(msgspec.Struct):
    name: str | None = None


class _Message(msgspec.Struct):
    method: str | None = None
    id: int | str | None = None
    params: _Params | None = None


_decode = msgspec.json.Decoder(_Message | list[_Message]).decode


class Asked(NamedTuple):
    """One HTTP request to a trace."""

    http_method: str
    leg: Leg | None = None
    """Which leg of an OAuth flow it is; None for MCP."""
    methods: Sequence[str] = ()
    """The JSON-RPC methods of its messages; nothing where they cannot be read."""
    tools: Sequence[str] = ()
    """The tools that it calls."""
    id: int | str | None = None
    """The id of its only request; None where there is none, or more than one message."""
    session: bool = False
    """Whether it names a session."""
    token: bool = False
    """Whether it brings a token."""
    streams: bool = False
    """Whether its client takes an event stream for an answer."""
    grant: str | None = None
    """Of the token endpoint, which grant."""
    headers: frozenset[str] = frozenset()
    """The names of its header fields, in lower case."""

    @property
    def is_request(self) -> bool:
        """Whether it is a POST of one JSON-RPC request to MCP."""
        return self.leg is None and self.id is not None


def asked_by(head: Head, body: bytes, leg: Leg | None) -> Asked:
    """Return what a request asks for.

    Args:
        head: Its head.
        body: Its body.
        leg: Which leg of an OAuth flow it is; None for MCP.
    """
    headers = head.headers()
    asked = Asked(
        head.method.decode("latin-1"),
        leg,
        session=bool(head.values(b"mcp-session-id")),
        token=bool(head.values(b"authorization")),
        streams=parse_accept(", ".join(head.values(b"accept")) or None).event_stream,
        headers=frozenset(name.lower() for name, _ in headers),
    )
    if leg is not None:
        return asked._replace(grant=_grant(body)) if leg == "token" else asked
    return _with_messages(asked, body)


def _with_messages(asked: Asked, body: bytes) -> Asked:
    if not body or not is_read(body):
        return asked
    try:
        found = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return asked
    messages = found[:MOST_MESSAGES] if isinstance(found, list) else [found]
    return asked._replace(
        methods=tuple(each.method for each in messages if each.method is not None),
        tools=tuple(
            each.params.name
            for each in messages
            if each.method == "tools/call" and each.params is not None and each.params.name is not None
        ),
        id=found.id if isinstance(found, _Message) and found.method is not None else None,
    )


def _grant(body: bytes) -> str | None:
    values = parse_qs(body[:16_384].decode("latin-1")).get("grant_type")
    return values[0] if values else None


def read_object(data: bytes) -> dict[str, Any] | None:
    """Return the JSON object that bytes are; None where they are none."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def is_response(data: bytes, asked: Asked) -> bool:
    """Return whether a message answers a request."""
    value = read_object(data)
    return value is not None and "method" not in value and "id" in value and value["id"] == asked.id
