"""How a protected resource and its authorization server are called, and where they are. No I/O.

Their names are compared byte for byte by clients, so that each is made in one place.
https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization#canonical-server-uri
"""

from __future__ import annotations

import re
from typing import NamedTuple, get_args

from mcp_echo.watch.seen import Leg

RESOURCE_METADATA = "/.well-known/oauth-protected-resource"
SERVER_METADATA = "/.well-known/oauth-authorization-server"
OPENID_METADATA = "/.well-known/openid-configuration"

MCP = "/mcp"

OTHER_SERVER = "/other-issuer"
"""Where a trace has a second authorization server, below its path: a fault sends clients there."""


class Names(NamedTuple):
    """The names of one protected resource."""

    base: str
    """Where clients reach this server, without a slash at its end."""
    prefix: str
    """The path of the trace; empty for plain ``/mcp``."""
    server: str = ""
    """Below that, the path of the authorization server that is asked: empty for the first one."""

    @property
    def resource(self) -> str:
        """The resource itself, as ``resource`` and ``aud`` have it (RFC 8707 section 2)."""
        return f"{self.base}{self.prefix}{MCP}"

    @property
    def issuer(self) -> str:
        """The authorization server (RFC 8414 section 2)."""
        return f"{self.base}{self.prefix}{self.server}"

    @property
    def resource_metadata(self) -> str:
        """Where its metadata is (RFC 9728 section 3.1)."""
        return f"{self.base}{RESOURCE_METADATA}{self.prefix}{MCP}"

    def endpoint(self, name: str) -> str:
        """Return the address of an endpoint of its authorization server."""
        return f"{self.issuer}/{name}"


def names_at(base: str, prefix: str) -> Names:
    """Return the names of what is at a path of a server.

    Args:
        base: Where clients reach the server. A host is spelled in lower case in names, however it came.
        prefix: The path of the trace; empty for plain ``/mcp``.
    """
    return Names(base.lower(), prefix)


_TRACE = re.compile(rf"(/t/[A-Za-z0-9_-]{{32}})({OTHER_SERVER})?")


class Place(NamedTuple):
    """Where a request of an OAuth flow goes."""

    leg: Leg
    prefix: str = ""
    """The path of the trace; empty for plain ``/mcp``."""
    server: str = ""
    """See `Names.server`."""


_PLACES: tuple[tuple[Leg, str, str], ...] = (
    ("resource-metadata", RESOURCE_METADATA, MCP),
    ("server-metadata", SERVER_METADATA, ""),
    ("server-metadata", OPENID_METADATA, ""),
    ("server-metadata", "", OPENID_METADATA),
    *((leg, "", f"/{leg}") for leg in get_args(Leg) if not leg.endswith("-metadata")),
)
"""Leg, what its path has before that of the trace, and what behind it."""


def place_of(path: str) -> Place | None:
    """Return which leg of a flow a path is for; None for none.

    The root of the resource's metadata is that of plain ``/mcp`` (basic/authorization, Protected Resource
    Metadata Discovery Requirements).
    """
    if path == RESOURCE_METADATA:
        return Place("resource-metadata")
    for leg, before, behind in _PLACES:
        if path.startswith(before) and path.endswith(behind):
            prefix = path[len(before) : len(path) - len(behind)]
            if not prefix:
                return Place(leg)
            within = _TRACE.fullmatch(prefix)
            if within is not None and not (within[2] and leg == "resource-metadata"):
                return Place(leg, within[1], within[2] or "")
    return None
