"""What is wrong with the claims of a token: their names, their types, and the times in them. No I/O.

RFC 7519 section 4.1 (registered claims) and section 2 (NumericDate: a JSON number of seconds).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mcp_echo.auth.jwt import LONGEST_SHOWN, Token, article, cut, json_type, quoted, seconds
from mcp_echo.protocol.texts import moment, span

LAST_SECOND = 253402300799
"""9999-12-31 23:59:59 UTC in seconds since the epoch, the last moment a calendar date can name."""

USUAL_LEEWAY = 60
"""Seconds of a clock's error that many verifiers forgive; the status itself is without leeway."""

_TIMES = ("iat", "nbf", "exp")
_REGISTERED = ("iss", "sub", "aud", "jti", *_TIMES)
# RFC 7519 section 4.1, RFC 8693 section 4.2, RFC 9068 section 2.2.
_TEXTS = ("iss", "sub", "jti", "scope", "client_id")
# What people write in place of a registered claim, without case, blanks and punctuation.
_MEANT = {
    **{name: name for name in _REGISTERED},
    **dict.fromkeys(("expire", "expires", "expiresat", "expiresin", "expiration", "expiry"), "exp"),
    "issuedat": "iat",
    "notbefore": "nbf",
    "issuer": "iss",
    "subject": "sub",
    "audience": "aud",
}
_UNITS = ((10**11, 10**3, "milliseconds"), (10**14, 10**6, "microseconds"), (10**17, 10**9, "nanoseconds"))
_SHORTEST_TIME = 10**8
"""Seconds; a time before 1973-03-03 is a span that was meant for a time."""


def claim_problems(claims: dict[str, Any], raw: bytes) -> Iterator[str]:
    """Yield what is wrong with the names and types of claims.

    Args:
        claims: The claims.
        raw: The JSON that they were written as.
    """
    for name in repeated_claims(raw):
        yield f"{name} is given more than once: verifiers differ in which they take (RFC 7519 section 4)"
    yield from _misspelled(claims)
    for name in _TEXTS:
        if name in claims:
            yield from _text(name, claims[name])
    if "aud" in claims:
        yield from _audience(claims["aud"])


def time_problems(token: Token, wall: float) -> Iterator[str]:
    """Yield what is wrong with the times in a token at ``wall``, seconds since the epoch."""
    claims = token.payload or {}
    for name in _TIMES:
        if name in claims:
            yield from _time(name, claims[name])
    yield from _order(token)
    yield from _clock(token, wall)


def repeated_claims(raw: bytes) -> list[str]:
    """Return the registered claims that are given more than once, where verifiers differ in which they take.

    Args:
        raw: The JSON object that the claims were written as.
    """
    # A name can only be repeated where it stands twice, or is spelled with an escape.
    if b"\\u" not in raw and all(raw.count(b'"%b"' % name.encode()) < 2 for name in _REGISTERED):
        return []
    repeated: list[str] = []

    def note(members: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in members]
        repeated[:] = [name for name in _REGISTERED if names.count(name) > 1]

    # The outermost object is the last that is complete.
    json.loads(raw, object_pairs_hook=note, parse_int=len, parse_float=len)
    return repeated


def _misspelled(claims: dict[str, Any]) -> Iterator[str]:
    for name in claims:
        if len(name) > LONGEST_SHOWN:
            continue
        meant = _MEANT.get("".join(filter(str.isalnum, name)).lower())
        if meant is not None and name != meant and meant not in claims:
            yield f"{quoted(name)} is not registered: verifiers look for {meant} (RFC 7519 section 4.1)"


def _text(name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{name} is {article(json_type(value))}, not a string"
    elif name in ("iss", "sub"):
        yield from _blanks(name, value)


def _audience(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _blanks("aud", value)
    elif not isinstance(value, list):
        yield f"aud is {article(json_type(value))}, not a string or a list of strings"
    elif not value:
        yield "aud is an empty list, in which verifiers find no audience"
    elif odd := [each for each in value if not isinstance(each, str)]:
        yield f"aud is a list with {article(json_type(odd[0]))} in it, not one of strings"


def _blanks(name: str, value: str) -> Iterator[str]:
    if not value:
        yield f"{name} is empty"
    elif value != value.strip():
        yield f"{name} has a blank at its beginning or end, which verifiers compare as well"


def _time(name: str, value: Any) -> Iterator[str]:
    count = seconds(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        yield f"{name} is {article(json_type(value))}, not a number of seconds{_lenient(count)}"
    if count is None or isinstance(value, bool):
        return
    for least, unit, what in reversed(_UNITS):
        if least <= count < least * 1000:
            meant = f"{what}, which mean {moment(count / unit)}"
            year = 1970 + int(count // 31_556_952)
            yield f"{name} is {_number(value)}: {meant}; to verifiers they are seconds, of the year {year}"
            return
    if count < 0 or count > LAST_SECOND:
        yield f"{name} is not a time that a calendar can show: {_number(value)}"
    elif count < _SHORTEST_TIME:
        yield f"{name} is {_number(value)}, which is {moment(count)}: a span of time, where a time belongs?"


def _lenient(count: float | None) -> str:
    return "" if count is None else "; some verifiers accept it, others refuse it"


def _order(token: Token) -> Iterator[str]:
    times = (("nbf", token.not_before), ("iat", token.issued))
    for name, count in times:
        if count is not None and token.expires is not None and count >= token.expires:
            yield f"{name} is not before exp: the token is never valid"


def _clock(token: Token, wall: float) -> Iterator[str]:
    """Yield what depends on whose clock is right."""
    issued, expires, starts = token.issued, token.expires, token.not_before
    if issued is not None and wall < issued <= LAST_SECOND:
        ahead = f"iat is {span(issued - wall)} ahead of this server's clock"
        yield f"{ahead}, which says {moment(wall)}: some verifiers refuse that"
    lenient = f"verifiers with a leeway of {USUAL_LEEWAY} s"
    if expires is not None and 0 <= wall - expires < USUAL_LEEWAY:
        yield f"exp was {span(wall - expires)} ago: {lenient} still take the token"
    elif starts is not None and 0 < starts - wall <= USUAL_LEEWAY:
        yield f"nbf is {span(starts - wall)} ahead: {lenient} take the token already"


def _number(value: Any) -> str:
    return cut(value if isinstance(value, str) else json.dumps(value))
