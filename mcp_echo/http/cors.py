"""Cross-origin rules: what browsers are told, and what they would do with it. No I/O.

https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from mcp_echo.http.headers import Headers
from mcp_echo.http.hops import known_hop
from mcp_echo.http.origins import AllowedOrigins, Authority, default_port, parse_authority, parse_origin
from mcp_echo.settings.table import Settings

METHODS = ("GET", "POST", "DELETE", "OPTIONS")

REQUEST_HEADERS = (
    "Content-Type",
    "Authorization",
    "Mcp-Session-Id",
    "MCP-Protocol-Version",
    "Mcp-Method",
    "Mcp-Name",
    "Last-Event-ID",
    "Accept",
    "traceparent",
    "tracestate",
    "baggage",
)
EXPOSED_HEADERS = ("Mcp-Session-Id", "MCP-Protocol-Version", "WWW-Authenticate", "Retry-After")

# Fetch: "CORS-safelisted request-header", and the "forbidden request-headers" that scripts cannot set.
_SAFELISTED = frozenset({"accept", "accept-language", "content-language", "range"})
_SIMPLE_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
_SET_BY_BROWSER = frozenset(
    """accept-charset accept-encoding access-control-request-headers access-control-request-method connection
    content-length cookie date dnt expect host keep-alive origin priority referer te trailer transfer-encoding
    upgrade user-agent via cache-control pragma""".split()
)
_SET_BY_BROWSER_PREFIXES = ("sec-", "access-control-request-")

_PARAMETER_HEADER = re.compile(r"mcp-param-[!#$%&'*+.^_`|~0-9a-z-]{1,64}", re.IGNORECASE)


class Verdict(NamedTuple):
    """What one request tells of what a browser would do with its answer."""

    origin: str | None
    cross_origin: bool | None
    """Whether it is from another origin; None where that cannot be told."""
    readable: bool | None
    """Whether the answer lets the page read it, as it leaves this server; None where that cannot be told."""
    method_needs_preflight: bool
    preflight_for: tuple[str, ...]
    """The headers that need a preflight, if it was the page that set them."""
    from_hops: tuple[str, ...]
    """Headers of names that hops are known to add, which say nothing of the page."""
    problems: tuple[str, ...]
    uncertain: tuple[str, ...]
    """What would be a problem, and may be none, since a hop may have added it."""


@dataclass(frozen=True)
class CorsPolicy:
    """What one server tells browsers."""

    allowed: AllowedOrigins
    """The origins let in."""
    credentials: bool
    """Whether browsers may send cookies."""
    max_age: int
    """Seconds a preflight answer may be kept."""

    methods = METHODS
    headers = REQUEST_HEADERS
    exposed = EXPOSED_HEADERS

    @staticmethod
    @lru_cache(maxsize=8)
    def of(settings: Settings) -> CorsPolicy:
        """Return the policy that ``settings`` describe."""
        allowed = AllowedOrigins(settings.allowed_origins)
        return CorsPolicy(allowed, settings.cors_credentials, settings.cors_max_age)

    def answer_headers(self, origin: str) -> list[tuple[str, str]]:
        """Return the headers that let a page of the allowed ``origin`` read an answer.

        ``*`` never goes with credentials: browsers refuse the pair, and a reflected origin in its place
        would open the server to every page.
        """
        if self.allowed.any:
            fields = [("Access-Control-Allow-Origin", "*")]
        else:
            fields = [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
        if self.credentials:
            fields.append(("Access-Control-Allow-Credentials", "true"))
        fields.append(("Access-Control-Expose-Headers", ", ".join(self.exposed)))
        return fields

    def preflight_headers(self, requested: str | None) -> list[tuple[str, str]]:
        """Return what the answer to a preflight carries beside `answer_headers`.

        Args:
            requested: ``Access-Control-Request-Headers``, or None. The ``Mcp-Param-`` headers in it are
                allowed by name, since no wildcard covers them beside ``Authorization``.
        """
        names = [name.strip() for name in (requested or "").split(",")]
        parameters = [name for name in names if _PARAMETER_HEADER.fullmatch(name)]
        return [
            ("Access-Control-Allow-Methods", ", ".join(self.methods)),
            ("Access-Control-Allow-Headers", ", ".join((*self.headers, *parameters))),
            ("Access-Control-Max-Age", str(self.max_age)),
        ]

    def judge(self, headers: Headers, http_method: str) -> Verdict:
        """Return what can be told of a browser, had its page sent this request.

        A preflight is a request of its own, and what it asked for does not show in the one that follows. Nor
        does a header show who has set it: a page, or a hop on the way.
        """
        origin = headers.get("Origin")
        if origin is None:
            return Verdict(None, None, None, False, (), (), (), ())
        custom, from_hops = _set_by_pages(headers)
        allowed = self.allowed.allows(origin)
        problems = () if allowed else (f"Origin {origin} is not in MCP_ECHO_ALLOWED_ORIGINS",)
        cookies = headers.get("Cookie") is not None and not self.credentials
        return Verdict(
            origin,
            cross_origin=None if _is_same_host(origin, headers) else True,
            readable=None if allowed and cookies else allowed,
            method_needs_preflight=http_method not in ("GET", "HEAD", "POST"),
            preflight_for=tuple(custom),
            from_hops=tuple(from_hops),
            problems=problems,
            uncertain=(*(_COOKIES for _ in range(cookies)), *self._uncertain(custom)),
        )

    def _uncertain(self, custom: Iterable[str]) -> Iterable[str]:
        known = {name.lower() for name in self.headers}
        for name in custom:
            if name.lower() not in known and not _PARAMETER_HEADER.fullmatch(name):
                yield (
                    f"The page or a hop may have set {name}. It is not an allowed header: if the page set "
                    "it, the preflight fails, and the browser does not send the request"
                )


_COOKIES = (
    "The page or a hop may have set Cookie. Credentials are not allowed: a page that sends cookies "
    "cannot read the answer"
)


def _is_same_host(origin: str, headers: Headers) -> bool:
    """Return whether a page's origin has the name and port that the request is for; no scheme shows there."""
    parsed = parse_origin(origin)
    host = parse_authority(headers.get("Host") or "")
    if parsed is None or host is None:
        return False
    return Authority(parsed.host, parsed.port) == host._replace(port=host.port or default_port(parsed.scheme))


def _set_by_pages(headers: Headers) -> tuple[list[str], list[str]]:
    """Return the names of the headers that a script needs a preflight for, and of those that hops add."""
    custom: dict[str, None] = {}
    from_hops: dict[str, None] = {}
    for name, value in headers:
        lower = name.lower()
        simple_type = lower == "content-type" and value.partition(";")[0].strip().lower() in _SIMPLE_TYPES
        if known_hop(lower) is not None:
            from_hops[name] = None
        elif not (
            simple_type
            or lower in _SAFELISTED
            or lower in _SET_BY_BROWSER
            or lower.startswith(_SET_BY_BROWSER_PREFIXES)
        ):
            custom[name] = None
    return list(custom), list(from_hops)
