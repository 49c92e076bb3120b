"""What clients say of themselves, kept once for all that say the same."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from mcp_echo.protocol.legacy import MAX_SELF_DESCRIPTION, Initialize
from mcp_echo.state.session import Client


def describe_client(params: Initialize) -> Client:
    """Return what a client says of itself in ``initialize``."""
    return shared_client(msgspec.json.encode([params.clientInfo, params.capabilities]))


def shared_client(described: bytes) -> Client:
    """Return one object for all clients that say the same of themselves: most sessions share a few.

    Args:
        described: A JSON array of ``clientInfo`` and the capabilities.
    """
    # What is kept is bounded: modern requests may say more of themselves than initialize may.
    return _read_client(described) if len(described) > MAX_SELF_DESCRIPTION else _kept_client(described)


def _read_client(described: bytes) -> Client:
    info, capabilities = msgspec.json.decode(described)
    name, version = info.get("name"), info.get("version")
    return Client(
        name if isinstance(name, str) else None,
        version if isinstance(version, str) else None,
        capabilities,
    )


_kept_client = lru_cache(maxsize=256)(_read_client)
