"""What a trace asks of those who come to it: a token, and which scopes. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from mcp_echo.watch.parts import Part

Challenge = Literal["off", "token", "oauth"]
"""No token is asked for; one of an outside issuer; one of the trace's own authorization server."""

Consent = Literal["auto", "page"]
"""Redirect URIs that lead to the user's own machine are consented to at once; a page asks about every one."""

Algorithm = Literal["ES256", "RS256", "EdDSA"]

OFFLINE_ACCESS = "offline_access"
"""The scope that asks for a refresh token (OpenID Connect Core section 11)."""

DEFAULT_SCOPES = ("mcp",)
"""The scopes of a trace that names none."""

TOKEN_SECONDS = 3600
"""How long an access token lasts where nobody says otherwise."""


class Protection(msgspec.Struct, array_like=True):
    """How one trace is protected."""

    challenge: Challenge = "off"
    scopes: list[str] = []
    """What a request needs, and what the challenge asks for."""
    tool_scopes: dict[str, list[str]] = {}
    """Tool → what a call of it needs instead."""
    consent: Consent = "auto"
    token_seconds: int = TOKEN_SECONDS
    algorithm: Algorithm = "ES256"

    @property
    def all_scopes(self) -> list[str]:
        """Every scope of it, in an order that stays."""
        return list(dict.fromkeys([*self.scopes, *(each for of in self.tool_scopes.values() for each in of)]))

    @property
    def grantable(self) -> list[str]:
        """What its authorization server can grant; what it has granted is kept as places in this list."""
        return list(dict.fromkeys([*self.all_scopes, OFFLINE_ACCESS]))

    def needed(self, tools: Iterable[str | None]) -> list[str]:
        """Return all that messages need at once.

        Args:
            tools: The tool that each calls; None for those that call none.
        """
        wanted = (scope for tool in tools for scope in self.tool_scopes.get(tool or "", self.scopes))
        return list(dict.fromkeys(wanted))


PROTECTION = Part("protection", Protection)
"""How a trace is protected; it begins with it."""


def missing(needed: Sequence[str], granted: Iterable[str]) -> list[str]:
    """Return the scopes that are needed and not granted."""
    have = set(granted)
    return [each for each in needed if each not in have]


def scopes_in(claims: Mapping[str, object]) -> list[str]:
    """Return the scopes of a token: ``scope`` (RFC 9068 section 2.2.3), or ``scp`` as Entra and Okta do."""
    for name in ("scope", "scp"):
        value = claims.get(name)
        if isinstance(value, str):
            return value.split()
        if isinstance(value, list):
            return [each for each in value if isinstance(each, str)]
    return []
