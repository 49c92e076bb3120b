"""Reading a JSON Web Token without trusting it: every step checked, nothing decrypted, inflated or fetched.

RFC 7515 (JWS compact serialisation), RFC 7516 (JWE), RFC 7519 (claims).
"""

from __future__ import annotations

import binascii
import math
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from typing import Any, Literal

from mcp_echo.protocol import strict_json

LAST_SECOND = 253402300799
"""9999-12-31 23:59:59 UTC in seconds since the epoch, the last moment a calendar date can name."""

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)

Status = Literal["VALID", "EXPIRED", "NOT YET VALID", "NO EXPIRY"]


class NotAToken(ValueError):
    """The text is no JWT; the message says at which step that shows."""


@dataclass(slots=True)
class Token:
    """What a token says of itself. None of it is verified."""

    kind: Literal["JWS", "JWE"]
    header: dict[str, Any]
    payload: dict[str, Any] | None
    """The claims; None for a JWE, which is never opened."""
    signature_bytes: int
    issued: float | None = None
    not_before: float | None = None
    expires: float | None = None
    problems: list[str] = field(default_factory=list)
    """What a verifier would stumble over."""

    def status(self, wall: float) -> Status | None:
        """Return what the times in the token say at ``wall``; None for a JWE."""
        if self.payload is None:
            return None
        if self.expires is not None and wall >= self.expires:
            return "EXPIRED"
        if self.not_before is not None and wall < self.not_before:
            return "NOT YET VALID"
        return "VALID" if self.expires is not None else "NO EXPIRY"


def read(text: str) -> Token:
    """Return what the compact JWT ``text`` says.

    Raises:
        NotAToken: It is none.
    """
    parts = text.split(".", 5)
    if len(parts) == 5:
        return _read_encrypted(parts)
    if len(parts) != 3:
        count = "more than 5" if len(parts) > 5 else str(len(parts))
        raise NotAToken(
            f"it has {count} part{'' if count == '1' else 's'} separated by dots; a JWT has three"
        )
    header = _object(parts[0], "header")
    payload = _object(parts[1], "payload")
    signature = _bytes(parts[2], "signature") if parts[2] else b""
    token = Token("JWS", header, payload, len(signature))
    _note_algorithm(token)
    token.issued = _time(token, "iat")
    token.not_before = _time(token, "nbf")
    token.expires = _time(token, "exp")
    return token


def _read_encrypted(parts: list[str]) -> Token:
    token = Token("JWE", _object(parts[0], "header"), None, 0)
    token.problems.append(
        "This is an encrypted token (JWE): only its header can be read, and only that is shown"
    )
    return token


def _bytes(part: str, name: str) -> bytes:
    # Python's decoder skips characters outside the alphabet, which would make two texts one token.
    if not _BASE64URL.fullmatch(part):
        raise NotAToken(f"its {name} is not base64url")
    try:
        return urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raise NotAToken(f"its {name} is not base64url: the length is impossible") from None


def _object(part: str, name: str) -> dict[str, Any]:
    raw = _bytes(part, name)
    try:
        value = strict_json.read(raw)
    except strict_json.NotJson as error:
        raise NotAToken(f"its {name} is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise NotAToken(f"its {name} is a JSON {_json_type(value)}, not an object")
    return value


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "object"
    return "array" if isinstance(value, list) else "number"


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "ao" else f"a {noun}"


def _note_algorithm(token: Token) -> None:
    algorithm = token.header.get("alg")
    if not isinstance(algorithm, str):
        token.problems.append("The header names no algorithm (alg)")
    elif algorithm.lower() == "none":
        token.problems.append("alg is none: the token is not signed, anyone can have written it")
    if token.signature_bytes == 0:
        token.problems.append("The signature is missing")


def _time(token: Token, claim: str) -> float | None:
    value = (token.payload or {}).get(claim)
    if value is None:
        if claim in (token.payload or {}):
            token.problems.append(f"{claim} is null, not a number of seconds")
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        token.problems.append(f"{claim} is {_a(_json_type(value))}, not a number of seconds")
        return None
    if (isinstance(value, float) and not math.isfinite(value)) or not 0 <= value <= LAST_SECOND:
        token.problems.append(f"{claim} is no time a calendar can show")
        return None
    return float(value)
