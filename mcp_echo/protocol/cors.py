"""Cross-origin rules: what browsers are told, and what they would do with it. No I/O.

https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from mcp_echo.config import Settings
from mcp_echo.protocol.headers import Headers
from mcp_echo.protocol.origins import AllowedOrigins

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
# Added on the way by proxies, not by the page.
_ADDED_BY_PROXIES = (
    "cf-", "forwarded", "proxy-", "remote-", "sec-", "via", "x-auth-request-", "x-forwarded-",
    "x-github-user", "x-real-ip", "x-request-id", "x-user-", "x-webauth-",
)  # fmt: skip

_PARAMETER_HEADER = re.compile(r"mcp-param-[!#$%&'*+.^_`|~0-9a-z-]{1,64}", re.IGNORECASE)


class Verdict(NamedTuple):
    """What a browser would do with one request and its answer."""

    origin: str | None
    allowed: bool
    preflight_for: tuple[str, ...]
    """Why a preflight comes first: the method and headers that need one."""
    problems: tuple[str, ...]


class CorsPolicy:
    """What one server tells browsers.

    Args:
        allowed: The origins let in.
        credentials: Whether browsers may send cookies.
        max_age: Seconds a preflight answer may be kept.
    """

    methods = METHODS
    headers = REQUEST_HEADERS
    exposed = EXPOSED_HEADERS

    def __init__(self, allowed: AllowedOrigins, credentials: bool, max_age: int) -> None:
        self.allowed = allowed
        self.credentials = credentials
        self.max_age = max_age

    @staticmethod
    @lru_cache(maxsize=8)
    def of(settings: Settings) -> CorsPolicy:
        """Return the policy that ``settings`` describe."""
        allowed = AllowedOrigins(settings.allowed_origins)
        return CorsPolicy(allowed, settings.cors_credentials, settings.cors_max_age)

    @property
    def origins(self) -> tuple[str, ...]:
        """The allowed origins as configured."""
        return self.allowed.entries

    @property
    def any_origin(self) -> bool:
        """Whether every web page may call."""
        return self.allowed.any

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
        """Return what a browser would do, had a page sent a request with these headers."""
        origin = headers.get("Origin")
        custom = _non_simple(headers)
        problems = list(self._problems(origin, headers, custom))
        method = (http_method,) if http_method not in ("GET", "HEAD", "POST") else ()
        return Verdict(
            origin,
            allowed=origin is not None and not problems,
            preflight_for=(*method, *custom) if origin is not None else (),
            problems=tuple(problems),
        )

    def _problems(self, origin: str | None, headers: Headers, custom: Iterable[str]) -> Iterable[str]:
        if origin is None:
            return
        if not self.allowed.allows(origin):
            yield f"Origin {origin} is not in MCP_ECHO_ALLOWED_ORIGINS"
        known = {name.lower() for name in self.headers}
        for name in custom:
            if name.lower() not in known and not _PARAMETER_HEADER.fullmatch(name):
                yield f"Header {name} is not allowed: a preflight asking for it fails"
        if headers.get("Cookie") is not None and not self.credentials:
            yield "Cookies were sent, but credentials are not allowed: the page cannot read the answer"


def _non_simple(headers: Headers) -> list[str]:
    """Return the names of the headers a script must ask a preflight for."""
    custom = []
    for name, value in headers:
        lower = name.lower()
        simple_type = lower == "content-type" and value.partition(";")[0].strip().lower() in _SIMPLE_TYPES
        if (
            simple_type
            or lower in _SAFELISTED
            or lower in _SET_BY_BROWSER
            or lower.startswith(_ADDED_BY_PROXIES)
        ):
            continue
        custom.append(name)
    return custom
