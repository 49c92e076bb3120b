"""How somebody wants a trace to be protected: the arguments, and what becomes of them. No I/O."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from mcp_echo.oauth.errors import OAuthError
from mcp_echo.oauth.protection import (
    DEFAULT_SCOPES,
    PROTECTION,
    TOKEN_SECONDS,
    Algorithm,
    Challenge,
    Consent,
    Protection,
)
from mcp_echo.oauth.registration import KnownClient, add_known
from mcp_echo.oauth.state import AUTHORIZATION, AuthorizationState
from mcp_echo.redaction import quoted
from mcp_echo.settings.names import did_you_mean, nearest
from mcp_echo.settings.table import Settings
from mcp_echo.watch.parts import Parts
from mcp_echo.watch.traces import Trace

MOST_SCOPES = 32
"""Scopes of one trace."""

MOST_KNOWN = 10
"""Clients that are registered with a trace."""

_SCOPE = re.compile(r"[!#-\[\]-~]{1,64}")
"""RFC 6749 section 3.3, and not longer than anybody's."""


class ProtectionArguments(
    msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename="camel", kw_only=True
):
    """How a trace is to be protected, as a tool takes it: models read it with every list of tools."""

    challenge: Annotated[Challenge, Meta(description="Whether to ask for a token.")] = "off"
    scopes: Annotated[list[str] | None, Meta(description="For all calls.")] = None
    tool_scopes: Annotated[dict[str, list[str]] | None, Meta(description="Other ones by tool.")] = None

    @property
    def server(self) -> ServerWishes:
        """What its authorization server is to be like."""
        return ServerWishes()


class ServerWishes(NamedTuple):
    """What the authorization server of a trace is to be like; None for what nobody says."""

    consent: Consent | None = None
    clients: list[KnownClient] | None = None
    token_seconds: int | None = None
    algorithm: Algorithm | None = None


class CannotProtect(ValueError):
    """A trace cannot be protected in this way; the message says why, and what to do."""


class Protected(NamedTuple):
    """What a protected trace begins with."""

    protection: Protection
    state: AuthorizationState


def protected_as(
    wanted: ProtectionArguments, settings: Settings, tools: Collection[str], now: float
) -> Protected | None:
    """Return what a trace begins with that is to be protected; None for one that is not.

    Args:
        wanted: How it is to be protected.
        settings: What else is set.
        tools: The names of all tools.
        now: Seconds since the epoch.

    Raises:
        CannotProtect: It is not possible.
    """
    if wanted.challenge == "off":
        _check_nothing_else(wanted)
        return None
    check_names(settings)
    if wanted.challenge == "token" and not settings.issuers:
        raise CannotProtect(
            "challenge token takes tokens of other issuers, and none is set: name them in MCP_ECHO_ISSUERS, "
            "or use challenge oauth"
        )
    protection = _protection(wanted, wanted.server)
    _check_scopes(protection)
    _check_tools(protection, tools)
    return Protected(protection, _with_clients(wanted.server.clients or [], now))


def _protection(wanted: ProtectionArguments, server: ServerWishes) -> Protection:
    return Protection(
        challenge=wanted.challenge,
        scopes=list(DEFAULT_SCOPES if wanted.scopes is None else wanted.scopes),
        tool_scopes={tool: list(scopes) for tool, scopes in (wanted.tool_scopes or {}).items()},
        consent=server.consent or "auto",
        token_seconds=server.token_seconds or TOKEN_SECONDS,
        algorithm=server.algorithm or "ES256",
    )


async def protect(parts: Parts, trace: Trace, protected: Protected) -> None:
    """Protect a trace that nobody knows yet.

    Raises:
        TracesUnavailable: It cannot be kept.
        TraceGone: The trace has ended.
    """
    protection, state = protected

    def keep(copy: Any, value: msgspec.Struct) -> None:
        for name in value.__struct_fields__:
            setattr(copy, name, getattr(value, name))

    await parts.change(trace, PROTECTION, lambda copy: keep(copy, protection))
    if state.clients:
        await parts.change(trace, AUTHORIZATION, lambda copy: keep(copy, state))


def protection_of_plain(settings: Settings) -> Protection:
    """Return how plain ``/mcp`` is protected: by the outside issuers that are set, or else its own server."""
    if settings.challenge == "off":
        return Protection()
    return Protection("token" if settings.issuers else "oauth", list(DEFAULT_SCOPES))


def _check_nothing_else(wanted: ProtectionArguments) -> None:
    given = {"scopes": wanted.scopes, "toolScopes": wanted.tool_scopes, **wanted.server._asdict()}
    for name, value in given.items():
        if value is not None:
            raise CannotProtect(f"{name} means nothing without a challenge: add challenge oauth or token")


def _check_scopes(protection: Protection) -> None:
    everything = protection.grantable
    if len(everything) > MOST_SCOPES or len(protection.tool_scopes) > MOST_SCOPES:
        raise CannotProtect(f"There are {len(everything)} scopes; {MOST_SCOPES} at most, and as many tools")
    wrong = next((each for each in everything if not _SCOPE.fullmatch(each)), None)
    if wrong is not None:
        raise CannotProtect(
            f"{quoted(wrong)} is no scope: it has 1 to 64 characters, and no blank, quote or backslash"
        )


def _check_tools(protection: Protection, tools: Collection[str]) -> None:
    """Insist on tools that are there: a scope of another one would never be asked for."""
    for name in protection.tool_scopes:
        if name not in tools:
            near = did_you_mean(nearest(name, tools))
            raise CannotProtect(f"toolScopes names {quoted(name)}, and there is no such tool{near}")


def check_names(settings: Settings) -> None:
    """Insist on names that nobody else can choose: tokens are bound to them.

    Raises:
        CannotProtect: Any Host is answered for, and nothing says which one clients use.
    """
    if "*" in settings.allowed_hosts and settings.public_url is None:
        raise CannotProtect(
            "A challenge names this server, and MCP_ECHO_ALLOWED_HOSTS * lets clients call it anything: set "
            "MCP_ECHO_PUBLIC_URL to where clients reach it"
        )


def _with_clients(clients: list[KnownClient], now: float) -> AuthorizationState:
    state = AuthorizationState()
    for each in clients:
        try:
            add_known(state, each, now)
        except OAuthError as error:
            raise CannotProtect(
                f"The client {each.client_id[:40]} cannot be used: {error.description}"
            ) from None
    return state
