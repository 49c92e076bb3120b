"""Who is at the other end of a connection."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import UNIXAddress

from mcp_echo.auth.proxies import UNIX


def host_of(address: Any) -> str:
    """Return the network address of a peer, or the word ``unix``."""
    return UNIX if isinstance(address, UNIXAddress) else str(getattr(address, "host", address))
