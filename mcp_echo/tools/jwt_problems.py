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

from mcp_echo.tools.jwt import Token, article, cut, json_type, quoted
from mcp_echo.tools.jwt_algorithms import encryption_problems, signing_problems
from mcp_echo.tools.jwt_claims import claim_problems, time_problems

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
    key = header.get("jwk")
    if isinstance(key, dict) and "d" in key:
        yield "The header's jwk has a private key (d): whoever sees the token can sign in its name"
    for name in header:
        if name not in _HEADER_NAMES and name.lower() in _HEADER_NAMES and name.lower() not in header:
            yield f"{quoted(name)} is no header parameter: {name.lower()} is (names are case-sensitive)"


def _type(value: Any) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"typ is {article(json_type(value))}, not a string"
    elif value.lower() in ("dpop+jwt", "application/dpop+jwt"):
        yield "typ is dpop+jwt: this is the proof of a key, and no access token (RFC 9449 section 4.2)"
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


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
