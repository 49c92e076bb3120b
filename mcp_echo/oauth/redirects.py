"""Where a browser may be sent with a code: redirect URIs, as registered and as used. No I/O.

RFC 6749 section 3.1.2, RFC 8252 section 7 (native apps), RFC 9700 sections 2.1 and 4.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlencode, urlsplit

from mcp_echo.http.origins import parse_authority

LONGEST = 400
"""Characters of a redirect URI."""

_PLAIN = re.compile(r"[a-z][a-z0-9+.-]{0,31}:[!#-;=?-Z\[\]_a-z~]+", re.IGNORECASE)
"""A scheme, and after it what a URI may have; no quote, bracket or backslash that browsers read their way."""

_NOT_FOR_APPS = frozenset(
    """about blob chrome data file filesystem ftp javascript mailto resource tel vbscript view-source ws wss
    """.split()
)
"""Schemes that browsers or systems act upon themselves."""

_LOOPBACK = frozenset({"127.0.0.1", "[::1]", "localhost"})


class BadRedirectUri(ValueError):
    """A URI that no browser is sent to with a code; the message is a clause about it."""


def check_redirect_uri(uri: str) -> None:
    """Insist on a URI that a client may register.

    Raises:
        BadRedirectUri: It is none.
    """
    if len(uri) > LONGEST or not _PLAIN.fullmatch(uri):
        raise BadRedirectUri(f"it is no absolute URI of at most {LONGEST} characters")
    parts = _split(uri)
    if "#" in uri:
        raise BadRedirectUri("it has a fragment (RFC 6749 section 3.1.2)")
    if parts.scheme in ("http", "https"):
        _check_web(parts)
    elif parts.scheme in _NOT_FOR_APPS:
        raise BadRedirectUri(f"{parts.scheme} is no scheme of an app")


def _check_web(parts: SplitResult) -> None:
    if "@" in parts.netloc:
        raise BadRedirectUri("it has user information before the host")
    if parse_authority(parts.netloc) is None:
        raise BadRedirectUri("it has no host")
    if parts.scheme == "http" and not _is_loopback(parts):
        raise BadRedirectUri("http is for loopback addresses alone (RFC 9700 section 2.6); use https")


def _split(uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        raise BadRedirectUri("it is no URI") from None
    return parts


def is_loopback(uri: str) -> bool:
    """Return whether a URI leads to the machine that the browser runs on (RFC 8252 section 7.3)."""
    return _is_loopback(_split(uri))


def _is_loopback(parts: SplitResult) -> bool:
    authority = parse_authority(parts.netloc)
    return parts.scheme in ("http", "https") and authority is not None and authority.host in _LOOPBACK


def host_of(uri: str) -> str:
    """Return what a person is told of where a URI leads: its host, or the scheme of an app."""
    parts = _split(uri)
    return parts.netloc.lower() if parts.scheme in ("http", "https") else f"the app for {parts.scheme}:"


def is_registered(uri: str, registered: Iterable[str]) -> bool:
    """Return whether a URI is one of those that a client has registered.

    They are compared as they are written; of a loopback address any port will do, since a native app takes
    the one that is free (RFC 8252 section 7.3, RFC 9700 section 2.1).
    """
    return any(uri == each or _differ_in_port(uri, each) for each in registered)


def _differ_in_port(uri: str, registered: str) -> bool:
    try:
        check_redirect_uri(uri)
    except BadRedirectUri:
        return False
    one, other = _split(uri), _split(registered)
    if not (_is_loopback(one) and _is_loopback(other)):
        return False
    same_host = parse_host(one) == parse_host(other)
    return same_host and one._replace(netloc="") == other._replace(netloc="")


def parse_host(parts: SplitResult) -> str | None:
    """Return the host of a URI without its port."""
    authority = parse_authority(parts.netloc)
    return None if authority is None else authority.host


def with_parameters(uri: str, parameters: dict[str, str]) -> str:
    """Return a redirect URI with parameters behind those that it has (RFC 6749 section 4.1.2)."""
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(parameters)}"
