"""What is kept of a session elsewhere, and how it is written. No I/O."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from mcp_echo.cluster.stream_log import Summary
from mcp_echo.sessions.session import Client, Echo


class Kept(msgspec.Struct, array_like=True):
    """What is kept of a session, but for its last echo and the messages in its log.

    New members go to the end and have a default, so that nodes of two versions can share sessions.
    """

    revision: str
    client: bytes
    """The name, version and capabilities of the client, as JSON."""
    minted: str
    """The node that made it."""
    timeout: int
    """Milliseconds of idleness after which it is gone."""
    label: str | None = None
    initialized: bool = False
    requests: int = 0
    responses: int = 0
    response_seconds: float = 0.0
    echo_count: int = 0
    replay_count: int = 0
    log_level: str | None = None
    subscriptions: list[str] = []
    told: dict[str, int] = {}
    """URI of a handle's state → the echo count its subscriber here was told of."""
    watchers: list[str] = []
    """Nodes where somebody wants to hear of its echoes."""
    lists: str = ""
    """The node that tells it of changed lists: the one where it listened last."""
    marks: dict[str, int] = {}
    """Node → the number of the last change it made, so that a change is never made twice."""
    log: Summary = msgspec.field(default_factory=Summary)
    legacy_stream: str | None = None
    """The tag of its one stream, where its transport is that of 2024-11-05."""
    used: bool = False


class _KeptEcho(msgspec.Struct, array_like=True):
    message: str
    data: str | None
    mime_type: str | None


_encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Kept).decode
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


def encode(kept: Kept) -> bytes:
    """Return what is kept of a session as the engine keeps it."""
    return _encode(kept)


def decode_echo(kept: bytes | None) -> Echo | None:
    """Return an echo that is kept."""
    if kept is None:
        return None
    echo = _decode_echo(kept)
    return Echo(echo.message, echo.data, echo.mime_type)
