"""Putting the OAuth of a server together."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from twisted.internet.threads import deferToThreadPool

from mcp_echo.settings.table import Settings
from mcp_echo.transport.guards import Guards
from mcp_echo.transport.oauth.authorization import AuthorizationLegs
from mcp_echo.transport.oauth.consent import Consents
from mcp_echo.transport.oauth.documents import Documents
from mcp_echo.transport.oauth.endpoints import ProgramLegs
from mcp_echo.transport.oauth.fetching import fetcher_of_documents, fetcher_of_keys
from mcp_echo.transport.oauth.guard import TokenGuard
from mcp_echo.transport.oauth.issuers import Fetch, IssuerKeys
from mcp_echo.transport.oauth.legs import LegRoute, OAuthLegs
from mcp_echo.transport.oauth.signing import InThread, TraceKeys
from mcp_echo.watch.insight import Insight
from mcp_echo.watch.seen import Leg

_SECRET_BYTES = 32


class Outside(NamedTuple):
    """What a server's OAuth has of the world: what takes a while, and what is elsewhere."""

    in_thread: InThread
    fetch_keys: Fetch
    fetch_document: Fetch


def outside(reactor: Any) -> Outside:
    """Return the world as a reactor has it."""

    def in_thread(work: Callable[[Any], bytes], algorithm: Any) -> Any:
        return deferToThreadPool(reactor, reactor.getThreadPool(), work, algorithm)

    return Outside(
        in_thread,
        fetcher_of_keys(reactor).fetch,
        fetcher_of_documents(reactor).fetch,
    )


class OAuth(NamedTuple):
    """The OAuth of a server."""

    guard: TokenGuard
    legs: OAuthLegs
    keys: TraceKeys


def oauth_of(
    insight: Insight,
    settings: Settings,
    world: Outside,
    new_secret: Callable[[], str] | None = None,
) -> OAuth:
    """Return the OAuth of a server.

    Args:
        insight: Its traces.
        settings: Issuers, hosts, and where clients reach it.
        world: What is elsewhere.
        new_secret: Makes codes, tokens and ids; None for what nobody can guess.

    Raises:
        ValueError: A host or origin in the settings is malformed.
    """
    random = new_secret or (lambda: secrets.token_urlsafe(_SECRET_BYTES))
    clocks, parts = insight.clocks, insight.parts
    keys = TraceKeys(parts, insight.seal, world.in_thread)
    issuers = IssuerKeys(settings.issuers, world.fetch_keys, clocks.now)
    guard = TokenGuard(insight, keys, issuers, settings, clocks.wall)
    documents = Documents(settings.client_hosts, world.fetch_document)
    people = AuthorizationLegs(
        parts=parts,
        consents=Consents(insight.seal, random),
        documents=documents,
        hosts=settings.redirect_hosts,
        wall=clocks.wall,
        new_secret=random,
    )
    programs = ProgramLegs(
        parts=parts,
        keys=keys,
        guard=guard,
        wall=clocks.wall,
        new_secret=random,
        takes_documents=bool(documents),
    )
    return OAuth(guard, OAuthLegs(insight, guard, Guards(settings), _routes(people, programs)), keys)


def _routes(people: AuthorizationLegs, programs: ProgramLegs) -> dict[Leg, LegRoute]:
    read, write = ("GET", "HEAD"), ("POST",)
    return {
        "resource-metadata": LegRoute(read, programs.resource_metadata),
        "server-metadata": LegRoute(read, programs.server_metadata),
        "jwks": LegRoute(read, programs.jwks),
        "register": LegRoute(write, programs.register),
        "authorize": LegRoute(("GET",), people.authorize, page=True),
        "consent": LegRoute(write, people.consent, page=True),
        "token": LegRoute(write, programs.token),
        "revoke": LegRoute(write, programs.revoke),
        "introspect": LegRoute(write, programs.introspect),
    }
