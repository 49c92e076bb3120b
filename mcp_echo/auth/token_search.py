"""Where a request has tokens: in an argument, in ``Authorization``, in the headers of gateways. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from mcp_echo.auth import credentials
from mcp_echo.auth.credentials import Credentials
from mcp_echo.auth.identity_headers import rows_of
from mcp_echo.http.headers import Headers

_AUTHORIZATION = (
    "authorization",
    "proxy-authorization",
    "x-forwarded-authorization",
    "x-serverless-authorization",
)

_BEARERS = ("bearer", "dpop", "jwt", "token")
# RFC 9110 section 5.1
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}", re.ASCII)

TOKEN_HEADERS = tuple(row.name for row in rows_of("credential", "claims") if row.form != "json")
"""Headers that carry tokens beside ``Authorization``, in the order they are looked in."""

_KNOWN = frozenset({*_AUTHORIZATION, *(name.lower() for name in TOKEN_HEADERS)})
"""Names in lower case that may be repeated, whatever the request has."""


class FoundToken(NamedTuple):
    """A token, or why there is none."""

    source: str
    """Where it was looked for."""
    token: str | None
    problems: tuple[str, ...] = ()
    """What is wrong around the token; without one, why."""


def in_argument(text: str) -> FoundToken:
    """Return the token in an argument, whatever it was pasted with."""
    given = credentials.read_token(text)
    return FoundToken("argument", given.token, given.problems)


def in_header(headers: Headers, name: str) -> FoundToken:
    """Return the token in the header of this name.

    A name that neither the request has nor a gateway is known for is not repeated: a token may have been
    pasted in its place.
    """
    if not _NAME.fullmatch(name):
        return FoundToken("header", None, (f"No token: header is not the name of a header{_length(name)}",))
    lines = headers.all(name)
    if not lines and name.lower() not in _KNOWN:
        problem = f"No token: the request has no header of that name{_length(name)}"
        return FoundToken("header", None, (problem,))
    source = f"{name} header"
    if not lines:
        return FoundToken(source, None, (f"No token: the request has no header {name}",))
    given = credentials_in(name, lines[0])
    twice = (f"{name} came in {len(lines)} lines; this is the first",) if len(lines) > 1 else ()
    if not given.token:
        return FoundToken(source, None, twice + (given.problems or (f"No token: {name} is empty",)))
    return FoundToken(source, given.token, twice + given.problems)


def _length(name: str) -> str:
    return f" ({len(name)} characters); pass a token as `token`"


def credentials_in(name: str, value: str) -> Credentials:
    """Return what a header says that carries a token: with a scheme before it, or alone."""
    return credentials.read(value) if name.lower() in _AUTHORIZATION else credentials.read_token(value)


def in_request(headers: Headers) -> FoundToken:
    """Return the token in ``Authorization`` or else in the first known header that has one."""
    value = headers.get("Authorization")
    given = None if value is None else credentials.read(value)
    if given is not None and given.token and (given.scheme or "Bearer").lower() in _BEARERS:
        return in_header(headers, "Authorization")
    elsewhere = next(tokens_elsewhere(headers), None)
    return _nothing(given) if elsewhere is None else in_header(headers, elsewhere)


def tokens_elsewhere(headers: Headers) -> Iterator[str]:
    """Yield the headers beside ``Authorization`` that have tokens."""
    return (name for name in TOKEN_HEADERS if headers.get(name))


def _nothing(given: Credentials | None) -> FoundToken:
    if given is None:
        problem = "No token: pass `token`, or send an Authorization header"
        return FoundToken("Authorization header", None, (problem,))
    reason = "is not a Bearer token" if given.token else "has no token"
    problem = f"No token: Authorization {reason}; pass `token`, or send Authorization: Bearer and the token"
    return FoundToken("Authorization header", None, (problem, *given.problems))
