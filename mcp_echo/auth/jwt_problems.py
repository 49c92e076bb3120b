"""What verifiers stumble over in a token. Nothing is verified here, and nobody is asked.

What PyJWT knows of headers it is asked for. Of claims it raises for the first that is wrong, where a person
wants all of them: these are told in `jwt_claims`, and a test holds the two to the same verdicts. A problem
names a member as the token spells it, and shows nothing of its value but times, types and what is public.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import jwt as pyjwt

from mcp_echo.auth.jwt import Token, article, cut, json_type, quoted
from mcp_echo.auth.jwt_algorithms import encryption_problems, signing_problems
from mcp_echo.auth.jwt_claims import claim_problems, time_problems

_LONGEST_KEY = 4096
"""Characters; an RSA key of 16,384 bits has 2,800, and no more is calculated with."""

_PUBLIC = ("kty", "crv", "n", "e", "x", "y", "k")
"""Members that a key is checked by; with a private one whole primes would be looked for."""

_HEADER_NAMES = ("alg", "typ", "kid", "cty", "enc", "crit")


def problems_of(token: Token, wall: float) -> list[str]:
    """Return what verifiers stumble over, a sentence each.

    Args:
        token: The token.
        wall: Seconds since the epoch of the moment that it is judged at.
    """
    if token.payload is None:
        return [*_padding(token), *encryption_problems(token), *_header(token.header)]
    return [
        *_padding(token),
        *signing_problems(token),
        *_header(token.header),
        *claim_problems(token.payload, token.raw_payload),
        *time_problems(token, wall),
    ]


def _padding(token: Token) -> Iterator[str]:
    padded = [part for part in token.parts if part.text.endswith("=")]
    if padded:
        names = ", ".join(part.name for part in padded)
        place = padded[0].at + len(padded[0].text.rstrip("="))
        yield (
            f"There is padding (=) at character {place}, in: {names}. AWS load balancers write such tokens, "
            "which RFC 7515 section 2 does not have: strict verifiers refuse them"
        )


def _header(header: dict[str, Any]) -> Iterator[str]:
    """Yield what PyJWT refuses of ``kid`` and ``crit``, and what else is odd."""
    for name in ("kid", "crit"):
        if name in header:
            yield from _refused_header(name, header)
    if "b64" in header and "b64" not in _list(header.get("crit")):
        yield "b64 is in the header and not in crit, which must list it (RFC 7797 section 6)"
    if "typ" in header:
        yield from _type(header["typ"])
    if "jwk" in header:
        yield from _key(header["jwk"], header.get("alg"))
    yield from _misspelled(header)


def _misspelled(header: dict[str, Any]) -> Iterator[str]:
    for name in header:
        if name not in _HEADER_NAMES and name.lower() in _HEADER_NAMES and name.lower() not in header:
            yield f"{quoted(name)} is not a header parameter: {name.lower()} is (names are case-sensitive)"


def _type(value: Any) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"typ is {article(json_type(value))}, not a string"
    elif value.lower() in ("dpop+jwt", "application/dpop+jwt"):
        yield "typ is dpop+jwt: this proves a key, and is not an access token (RFC 9449 section 4.2)"
    elif value.lower() in ("jwe", "jose+json"):
        yield f"typ is {quoted(value)}, which this token is not"


def _refused_header(name: str, header: dict[str, Any]) -> Iterator[str]:
    """Yield why PyJWT refuses a member of the header, asked with no more of the header than it looks at."""
    asked = {key: value for key, value in header.items() if key == name or (name == "crit" and key != "kid")}
    encoded = urlsafe_b64encode(json.dumps(asked).encode()).decode().rstrip("=")
    try:
        pyjwt.get_unverified_header(f"{encoded}..")
    except pyjwt.InvalidTokenError as error:
        yield f"Verifiers refuse the header's {name}: {cut(str(error))}"


def _key(key: Any, algorithm: Any) -> Iterator[str]:
    """Yield what PyJWT says of a key in the header: that it is none, none for the algorithm, or too short."""
    if not isinstance(key, dict):
        yield f"jwk is {article(json_type(key))}, not an object"
        return
    if "d" in key or "k" in key:
        yield "The header's jwk has a secret key: whoever sees the token can sign in its name"
    public = {name: key[name] for name in _PUBLIC if name in key}
    if isinstance(algorithm, str) and len(json.dumps(public)) <= _LONGEST_KEY:
        yield from _unfit(public, algorithm)


def _unfit(key: dict[str, Any], algorithm: str) -> Iterator[str]:
    try:
        read = pyjwt.PyJWK(key, algorithm)
        short = read.Algorithm.check_key_length(read.Algorithm.prepare_key(read.key))
    except Exception:  # What calculates with a key of anybody's fails in many ways, and each says the same.
        yield f"The header's jwk is not a key for {quoted(algorithm)}"
    else:
        if short is not None:
            yield f"The header's jwk is too short: {cut(short.split('.')[0])}"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
