"""What the identity headers of a request say of its caller, as facts of the hops that set them. No I/O."""

from __future__ import annotations

from typing import Any

import msgspec

from mcp_echo.auth import jwt, lookalikes
from mcp_echo.auth.identity_headers import Fact, IdentityHeader, joined, plain, row_of, rows_of
from mcp_echo.http.headers import Headers
from mcp_echo.redaction import mask_json, mask_tokens

# Which claims tell a fact, where no header of its own does (RFC 7519 section 4.1.2, OpenID Connect Core 5.1).
_CLAIMS: dict[Fact, tuple[str, ...]] = {
    "user_id": ("sub",),
    "user_name": ("name", "preferred_username"),
    "email": ("email",),
}


class Identity(msgspec.Struct, rename="camel"):
    """A header that says who is calling, and who sets it."""

    header: str
    hop: str
    """Who sets the header, by its name; anybody can who reaches the server past that hop."""
    tells: str
    claims: dict[str, Any] | None
    """What is written in it, where that is a JWT or JSON in base64; secrets in it are masked."""
    problem: str | None
    """Why it could not be read."""


def told(headers: Headers, fact: Fact) -> str | None:
    """Return what the first header that tells a fact says, several lines joined, tokens in it masked."""
    for row in rows_of(fact):
        value = joined(headers, row.name)
        if value:
            return _on_one_line(mask_tokens(plain(row, value)))
    return None


def told_by_claims(identities: list[Identity], fact: Fact) -> str | None:
    """Return what the claims of a gateway's say of a fact."""
    for claims in (each.claims for each in identities if each.claims is not None):
        values = (claims.get(name) for name in _CLAIMS.get(fact, ()))
        found = next((value for value in values if isinstance(value, str) and value), None)
        if found is not None:
            return _on_one_line(found)
    return None


def _on_one_line(text: str) -> str:
    # A header's value has no line feed, but what is written in it can have one.
    return text.replace("\n", "\\n")


def identities_of(headers: Headers, *, reveal: bool) -> list[Identity]:
    """Return every identity header of a request once, in the order they came.

    Args:
        headers: The request's headers.
        reveal: Whether secrets in claims are shown.
    """
    names = dict.fromkeys(name.lower() for name, _ in headers)
    rows = ((name, row) for name in names if (row := row_of(name)) is not None)
    return [_identity(headers, name, row, reveal=reveal) for name, row in rows]


def _identity(headers: Headers, name: str, row: IdentityHeader, *, reveal: bool) -> Identity:
    value = headers.get(name) or ""
    spelled = (
        row.name if not row.name.endswith("*") else next(key for key, _ in headers if key.lower() == name)
    )
    claims, problem = _claims(row, value) if value and row.form in ("jwt", "json") else (None, None)
    if claims is not None and not reveal:
        claims = mask_json(claims)
    return Identity(
        spelled, row.hop, row.fact.replace("_", " "), claims, problem or _doubled(headers, name, row)
    )


def _claims(row: IdentityHeader, value: str) -> tuple[dict[str, Any] | None, str | None]:
    if row.form == "json":
        claims = lookalikes.json_object(lookalikes.from_base64(value) or b"")
        return claims, None if claims is not None else "it is not a JSON object in base64"
    try:
        token = jwt.read(value)
    except jwt.NotAToken as error:
        return None, f"it is not a JWT: {error}"
    return token.payload, None if token.payload is not None else "it is encrypted (JWE)"


def _doubled(headers: Headers, name: str, row: IdentityHeader) -> str | None:
    lines = len(headers.all(name))
    if lines == 1 or row.fact in ("groups", "more"):
        return None
    return f"it came in {lines} lines, and names one caller: a hop and the client have set it?"
