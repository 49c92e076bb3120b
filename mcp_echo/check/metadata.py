"""Finds the documents that lead a client from a protected server to its authorization server.

RFC 9728 (protected resource metadata), RFC 8414 (authorization server metadata), and what MCP asks of both:
https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from mcp_echo.check.wire import HttpAnswer, Wire

MOST_SERVERS = 3
"""Authorization servers whose metadata is looked for."""

_RESOURCE = "oauth-protected-resource"
_LONGEST_URL = 2000
_NAMED = re.compile(r'resource_metadata="?([^",\s]+)', re.IGNORECASE)


@dataclass(kw_only=True, slots=True)
class AuthorizationServer:
    """An authorization server that a resource names."""

    issuer: str
    answer: HttpAnswer | None = None
    """Its metadata; None where it is in none of the places."""
    tried: list[HttpAnswer] = field(default_factory=list)


@dataclass(kw_only=True, slots=True)
class Metadata:
    """What was found."""

    challenge: HttpAnswer | None = None
    """The 401 that it began with; None where there was none."""
    named: str | None = None
    """The address that the challenge names."""
    resource: HttpAnswer | None = None
    """The metadata of the resource; None where it is in none of the places."""
    tried: list[HttpAnswer] = field(default_factory=list)
    """What was asked for it."""
    servers: list[AuthorizationServer] = field(default_factory=list)

    @property
    def document(self) -> dict[str, Any]:
        """The metadata of the resource; empty where there is none."""
        return (self.resource.document if self.resource is not None else None) or {}


async def find_metadata(wire: Wire, url: str, challenge: HttpAnswer | None) -> Metadata:
    """Look for the documents where they must be.

    Args:
        wire: Sends requests.
        url: The address of the MCP server.
        challenge: The 401 that names the first document; None where there was none.
    """
    found = Metadata(challenge=challenge, named=_named(challenge))
    places = [found.named] if found.named is not None else resource_places(url)
    found.resource = await _first(wire, places, found.tried)
    named = found.document.get("authorization_servers")
    issuers = [each for each in named if isinstance(each, str)] if isinstance(named, list) else []
    for issuer in issuers[:MOST_SERVERS]:
        server = AuthorizationServer(issuer=issuer)
        server.answer = await _first(wire, server_places(issuer), server.tried)
        found.servers.append(server)
    return found


def _named(challenge: HttpAnswer | None) -> str | None:
    match = None if challenge is None else _NAMED.search(challenge.value("WWW-Authenticate") or "")
    return None if match is None else match[1]


def resource_places(url: str) -> list[str]:
    """Return where the metadata of a resource may be, the first place first (RFC 9728 section 3.1)."""
    parts = urlsplit(url)
    paths = dict.fromkeys([f"/.well-known/{_RESOURCE}{parts.path.rstrip('/')}", f"/.well-known/{_RESOURCE}"])
    return [urlunsplit((parts.scheme, parts.netloc, path, "", "")) for path in paths]


def server_places(issuer: str) -> list[str]:
    """Return where the metadata of an authorization server may be (RFC 8414 3.1, OpenID Discovery)."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    paths = [f"/.well-known/oauth-authorization-server{path}", f"/.well-known/openid-configuration{path}"]
    if path:
        paths.append(f"{path}/.well-known/openid-configuration")
    return [urlunsplit((parts.scheme, parts.netloc, each, "", "")) for each in paths]


async def _first(wire: Wire, places: list[str], tried: list[HttpAnswer]) -> HttpAnswer | None:
    for place in places:
        if not _is_fetched(place):
            continue
        answer = await wire.send("GET", place, (("Accept", "application/json"),))
        tried.append(answer)
        if answer.status == 200 and answer.document is not None:
            return answer
    return None


def _is_fetched(place: str) -> bool:
    try:
        parts = urlsplit(place)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        return False
    return bool(known) and len(place) <= _LONGEST_URL and place.isascii() and place.isprintable()
