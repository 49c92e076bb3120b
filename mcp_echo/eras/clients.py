"""What clients say of themselves, kept once for all that say the same."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from mcp_echo.protocol.handshake import MAX_SELF_DESCRIPTION, Initialize
from mcp_echo.sessions.session import Client


def describe_client(params: Initialize) -> Client:
    """Return what a client says of itself in ``initialize``."""
    return shared_client(msgspec.json.encode([params.clientInfo, params.capabilities]))


class _Said(msgspec.Struct, array_like=True):
    info: _Info
    capabilities: Raw


class _Info(msgspec.Struct):
    name: Any = None
    version: Any = None


_decode = msgspec.json.Decoder(_Said).decode


def shared_client(described: bytes) -> Client:
    """Return one object for all clients that say the same of themselves: most sessions share a few.

    Args:
        described: A JSON array of ``clientInfo`` and the capabilities.
    """
    # What is kept is bounded: modern requests may say more of themselves than initialize may.
    return _read_client(described) if len(described) > MAX_SELF_DESCRIPTION else _kept_client(described)


def _read_client(described: bytes) -> Client:
    said = _decode(described)
    name, version = said.info.name, said.info.version
    return Client(
        name if isinstance(name, str) else None,
        version if isinstance(version, str) else None,
        said.capabilities,
    )


_kept_client = lru_cache(maxsize=256)(_read_client)
