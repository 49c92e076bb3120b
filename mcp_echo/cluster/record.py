"""What a store keeps of a session, and how it is written. No I/O."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import astuple

from mcp_echo.cluster.stream_log import Summary
from mcp_echo.sessions.record import SessionRecord
from mcp_echo.sessions.session import Client, Echo


class StoredSession(msgspec.Struct, array_like=True):
    """What is kept of a session, but for its last echo and the messages in its log."""

    revision: str
    client: bytes
    """The name, version and capabilities of the client, as JSON."""
    minted: str
    """The node that made it."""
    timeout: int
    """Milliseconds of idleness after which it is gone."""
    told: dict[str, int] = {}
    """URI of a handle's state → the echo count its subscriber here was told of."""
    watchers: list[str] = []
    """Nodes that have a listener for its echoes."""
    lists: str = ""
    """The node that tells it of changed lists: the one where it listened last."""
    marks: dict[str, int] = {}
    """Node → the number of the last change it made, so that a change is never made twice."""
    log: Summary = msgspec.field(default_factory=Summary)
    record: SessionRecord = msgspec.field(default_factory=SessionRecord)
    """What requests change of it."""


# Nodes of several versions share sessions, so that each member has kept the place it had at first: those of
# the record stand in two spans, and what is added to it follows the second.
_FIRST, _LAST = 4, 13
"""Where the first span begins, and where it ends."""
_SECOND = 18
"""Where the second span begins."""


class _KeptEcho(msgspec.Struct, array_like=True):
    message: str
    data: str | None
    mime_type: str | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Any]).decode
_decode_echo = msgspec.msgpack.Decoder(_KeptEcho).decode


def encode_echo(echo: Echo) -> bytes:
    """Return an echo as it is kept."""
    return _encode(_KeptEcho(echo.message, echo.data, echo.mime_type))


def describe(client: Client) -> bytes:
    """Return what a client said of itself as it is kept."""
    return msgspec.json.encode([client.name, client.version, client.capabilities])


@lru_cache(maxsize=256)
def client_of(described: bytes) -> Client:
    """Return the client that `describe` has described; most sessions share a few."""
    return Client(*msgspec.json.decode(described))


def encode(stored: StoredSession) -> bytes:
    """Return what is kept of a session as the engine keeps it."""
    *before, record = astuple(stored)
    members, size = astuple(record), _LAST - _FIRST
    return _encode((*before[:_FIRST], *members[:size], *before[_FIRST:], *members[size:]))


def decode(state: bytes) -> StoredSession:
    """Return what is kept of a session.

    Raises:
        msgspec.MsgspecError: It is not what was kept.
    """
    kept = _decode(state)
    record = [*kept[_FIRST:_LAST], *kept[_SECOND:]]
    return msgspec.convert([*kept[:_FIRST], *kept[_LAST:_SECOND], record], StoredSession)


def decode_echo(kept: bytes | None) -> Echo | None:
    """Return an echo that is kept."""
    if kept is None:
        return None
    echo = _decode_echo(kept)
    return Echo(echo.message, echo.data, echo.mime_type)


def merged(before: SessionRecord, made: SessionRecord, others: SessionRecord) -> SessionRecord:
    """Return what becomes of a record that a request has changed and others as well.

    Args:
        before: As it was when the request was worked on.
        made: What the request made of it.
        others: What others have made of it meanwhile.
    """
    return SessionRecord(*map(_merged, astuple(before), astuple(made), astuple(others)))


def _merged(before: Any, made: Any, others: Any) -> Any:
    if made == before:
        return others
    if isinstance(made, frozenset):
        return (others | made) - (before - made)
    # A flag is no number.
    if isinstance(made, int | float) and not isinstance(made, bool):
        return others + made - before
    return made
