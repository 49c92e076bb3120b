"""Answering the legs of an OAuth flow: who may ask, by which method, and what an answer looks like."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from mcp_echo.faults.orders import names_other_issuer
from mcp_echo.oauth.errors import OAuthError
from mcp_echo.oauth.names import Names, Place, place_of
from mcp_echo.oauth.protection import Protection
from mcp_echo.oauth.state import AUTHORIZATION, OTHER_AUTHORIZATION, AuthorizationState
from mcp_echo.protocol.errors import OriginRefused
from mcp_echo.protocol.jsonrpc import encode
from mcp_echo.transport.edge.answer import JSON, UNCACHED, Lines, line, lines_of
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.transport.guards import Guards
from mcp_echo.transport.oauth.consent_page import PAGE, error_page
from mcp_echo.transport.oauth.guard import TokenGuard
from mcp_echo.transport.routing import Handler, wrong_method
from mcp_echo.transport.telling import tell_answer, tell_request
from mcp_echo.watch.insight import Insight
from mcp_echo.watch.parts import Part, TraceGone
from mcp_echo.watch.seen import Leg
from mcp_echo.watch.traces import Trace


class LegRequest(NamedTuple):
    """One request of a flow."""

    http: HttpExchange
    trace: Trace
    protection: Protection
    names: Names
    """As the authorization server that is asked calls itself."""
    part: Part[AuthorizationState]
    """The state of that server."""


class LegAnswer(NamedTuple):
    """Its answer."""

    status: int
    body: bytes = b""
    lines: Lines = ()


class LegRoute(NamedTuple):
    """What answers one leg."""

    methods: Sequence[str]
    answer: Callable[[LegRequest], Awaitable[LegAnswer]]
    page: bool = False
    """Whether a browser shows it to a person, and not a program reads it."""


_ALONE = line(b"Referrer-Policy", b"no-referrer")


def json_answer(value: Any, status: int = 200, lines: Lines = ()) -> LegAnswer:
    """Return an answer for programs, which nobody keeps (RFC 6749 section 5.1)."""
    return LegAnswer(status, encode(value), (JSON, *UNCACHED, _ALONE, *lines))


def page_answer(page: bytes, status: int = 200) -> LegAnswer:
    """Return an answer for people."""
    return LegAnswer(status, page, PAGE)


def redirect(uri: str, status: int) -> LegAnswer:
    """Return an answer that sends a browser on: never 307, which takes a form along (RFC 9700 4.12)."""
    return LegAnswer(status, b"", (line(b"Location", uri.encode()), UNCACHED[0], _ALONE))


class OAuthLegs:
    """Finds what answers the legs of a flow.

    Args:
        insight: The traces.
        guard: Knows the names of resources.
        guards: Who may ask at all.
        routes: Leg → what answers it.
    """

    def __init__(
        self, insight: Insight, guard: TokenGuard, guards: Guards, routes: dict[Leg, LegRoute]
    ) -> None:
        self._insight = insight
        self._guard = guard
        self._guards = guards
        self._routes = routes

    def find(self, http: HttpExchange, trace: Trace | None) -> Handler | None:
        """Return what answers a request of a flow; None where it is none, or there is nothing to authorize.

        Args:
            http: The request.
            trace: Where it belongs; None for nowhere.
        """
        place = place_of(http.head.path.decode("latin-1"))
        if place is None:
            return None
        if place.prefix == "" and (trace is None or not self._has(trace, place)):
            # Nothing is there: somebody looks at the root for what a trace has.
            self._insight.join(http.seen)
            if http.seen.joined is not None:
                return None
        http.seen.leg = place.leg
        if trace is None or not self._has(trace, place):
            return None
        return lambda asked: self._serve(asked, trace, place)

    def _has(self, trace: Trace, place: Place) -> bool:
        """Return whether a trace has something at a place."""
        challenge = self._guard.protection(trace).challenge
        if (place.prefix == "") is not (trace is self._insight.standing):
            return False
        if place.server and not _has_other_issuer(trace):
            return False
        return challenge == "oauth" or (challenge == "token" and place.leg == "resource-metadata")

    async def _serve(self, http: HttpExchange, trace: Trace, place: Place) -> None:
        names = self._guard.names(http, trace)._replace(server=place.server)
        route, part = self._routes[place.leg], OTHER_AUTHORIZATION if place.server else AUTHORIZATION
        self._check(http, names, place.leg)
        method = http.head.method.decode("ascii")
        if method == "OPTIONS":
            self._preflight(http, route)
            return
        if method not in route.methods:
            raise wrong_method([*(each for each in route.methods if each != "HEAD"), "OPTIONS"])
        tell_request(http)
        await self._answer(LegRequest(http, trace, self._guard.protection(trace), names, part), route)

    def _check(self, http: HttpExchange, names: Names, leg: Leg) -> None:
        """Let only those ask who may; a form comes from a page of this server, or from nowhere."""
        if leg != "consent":
            self._guards.check(http)
            return
        self._guards.check_host(http)
        if http.joined(b"origin") not in (None, names.base):
            raise OriginRefused("Origin not allowed: only the page that asks may answer")

    def _preflight(self, http: HttpExchange, route: LegRoute) -> None:
        http.add_header(b"Allow", ", ".join((*route.methods, "OPTIONS")).encode())
        if b"origin" in http.head.fields:
            requested = http.joined(b"access-control-request-headers")
            http.lines.extend(lines_of(self._guards.cors.preflight_headers(requested)))
        tell_answer(http, 204)
        http.reply(204)

    async def _answer(self, asked: LegRequest, route: LegRoute) -> None:
        try:
            answer = await route.answer(asked)
        except OAuthError as error:
            answer = _refusal(error, page=route.page)
        except TraceGone:
            answer = _refusal(OAuthError("invalid_request", "This trace has ended", 404), page=route.page)
        http = asked.http
        http.lines.extend(answer.lines)
        tell_answer(http, answer.status, answer.body)
        http.reply(answer.status, answer.body)


def _has_other_issuer(trace: Trace) -> bool:
    """Return whether clients of a trace are sent to another authorization server, or have been there."""
    return OTHER_AUTHORIZATION.name in trace.parts or names_other_issuer(trace)


def _refusal(error: OAuthError, *, page: bool) -> LegAnswer:
    if page:
        return page_answer(error_page(error.description), error.status)
    # Who is to authenticate is told how (RFC 6749 section 5.2, RFC 9110 section 15.5.2).
    lines = lines_of([("WWW-Authenticate", 'Basic realm="mcp-echo"')] if error.status == 401 else [])
    return json_answer({"error": error.code, "error_description": error.description}, error.status, lines)
