"""Reading a JSON Web Token without trusting it: every step checked, nothing decrypted, inflated or fetched.

RFC 7515 (JWS compact serialisation), RFC 7516 (JWE), RFC 7519 (claims). What the token says is judged in
`jwt_problems`, what is no token is told for what it is in `lookalikes`.
"""

from __future__ import annotations

import binascii
import json
import math
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from mcp_echo.auth import lookalikes
from mcp_echo.auth.credentials import hint_at, name_of
from mcp_echo.protocol import strict_json

Status = Literal["VALID", "EXPIRED", "NOT YET VALID", "NO EXPIRY", "INVALID EXPIRY"]

LONGEST_SHOWN = 60
"""Characters of a member's name or value that a sentence shows."""

_NOT_BASE64URL = re.compile(r"[^A-Za-z0-9_-]", re.ASCII)
_COMPACT = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){0,2}")


class NotAToken(ValueError):
    """The text is no JWT; the message says at which step that shows, or what it is instead."""


class Part(NamedTuple):
    """One part of a compact token."""

    name: str
    text: str
    at: int
    """The place of its first character in the token, counted from 1."""


@dataclass(slots=True)
class Token:
    """What a token says of itself. None of it is verified."""

    kind: Literal["JWS", "JWE"]
    header: dict[str, Any]
    payload: dict[str, Any] | None
    """The claims; None for a JWE, which is never opened."""
    parts: tuple[Part, ...]
    signature: bytes = b""
    """What the third part of a JWS holds."""
    raw_payload: bytes = b""
    """The claims as they are written."""

    @property
    def issued(self) -> float | None:
        """Seconds since the epoch of ``iat`` as verifiers count them; None where they cannot."""
        return seconds(self._claim("iat"))

    @property
    def not_before(self) -> float | None:
        """Seconds since the epoch of ``nbf``, likewise."""
        return seconds(self._claim("nbf"))

    @property
    def expires(self) -> float | None:
        """Seconds since the epoch of ``exp``, likewise."""
        return seconds(self._claim("exp"))

    def _claim(self, name: str) -> Any:
        return None if self.payload is None else self.payload.get(name)

    def status(self, wall: float) -> Status | None:
        """Return what the times in the token say at ``wall``, without leeway; None for a JWE.

        A time that is written as text counts where verifiers count it, as PyJWT does.
        """
        if self.payload is None:
            return None
        expires, not_before = self.expires, self.not_before
        if expires is not None and wall >= expires:
            return "EXPIRED"
        if not_before is not None and wall < not_before:
            return "NOT YET VALID"
        if expires is not None:
            return "VALID"
        return "INVALID EXPIRY" if "exp" in self.payload else "NO EXPIRY"


def seconds(value: Any) -> float | None:
    """Return the seconds that a lenient verifier takes a claim for, or None."""
    if not isinstance(value, (int, float, str)):
        return None
    try:
        return float(int(value) if isinstance(value, str) else value)
    except OverflowError:
        return math.inf if int(value) > 0 else -math.inf
    except ValueError:
        return None


def read(text: str) -> Token:
    """Return what the compact JWT ``text`` says.

    Raises:
        NotAToken: It is none.
    """
    try:
        return _read(text)
    except NotAToken:
        instead = lookalikes.told(text)
        if instead is None:
            raise
        raise NotAToken(instead) from None


def _read(text: str) -> Token:
    texts = text.split(".", 5)
    if len(texts) == 5:
        return _read_encrypted(
            _parts(texts, "header", "encrypted key", "initialization vector", "ciphertext", "tag")
        )
    if len(texts) != 3:
        count = "more than 5" if len(texts) > 5 else str(len(texts))
        raise NotAToken(
            f"it has {count} part{'' if count == '1' else 's'} separated by dots; a JWT has three"
        )
    parts = _parts(texts, "header", "payload", "signature")
    header = _object(parts[0], decoded(parts[0]))
    payload = _payload(header, parts[1])
    signature = decoded(parts[2]) if parts[2].text else b""
    return Token("JWS", header, _object(parts[1], payload), parts, signature, payload)


def _read_encrypted(parts: tuple[Part, ...]) -> Token:
    header = _object(parts[0], decoded(parts[0]))
    for part in parts[1:]:
        # What is encrypted is not looked at, but it has to be there in the form of a JWE.
        if part.text:
            decoded(part)
    return Token("JWE", header, None, parts)


def _parts(texts: list[str], *names: str) -> tuple[Part, ...]:
    parts, at = [], 1
    for name, text in zip(names, texts, strict=True):
        parts.append(Part(name, text, at))
        at += len(text) + 1
    return tuple(parts)


def _payload(header: dict[str, Any], part: Part) -> bytes:
    """Return the bytes of the second part, where they can be claims.

    Raises:
        NotAToken: They are elsewhere, not encoded, or a token themselves.
    """
    if header.get("b64") is False:
        raise NotAToken(
            "its payload is not encoded (b64 is false, RFC 7797), which section 7 forbids in a JWT"
        )
    if not part.text:
        raise NotAToken(
            "its payload is detached: the second part is empty (RFC 7515 appendix F), and travels elsewhere"
        )
    raw = decoded(part)
    if _COMPACT.fullmatch(raw):
        raise NotAToken(
            "it is a nested JWT: its payload is a token itself (RFC 7519 section 5.2); decode that one"
        )
    return raw


def decoded(part: Part) -> bytes:
    """Return the bytes of a part; padding is taken where it is right, as some verifiers take it.

    Raises:
        NotAToken: The part is not base64url.
    """
    bare = part.text.rstrip("=") if part.text.endswith("=") else part.text
    # Python's decoder skips characters outside the alphabet, which would make two texts one token.
    odd = _NOT_BASE64URL.search(bare)
    if odd is not None:
        where = f"{name_of(odd[0])} at character {part.at + odd.start()}"
        raise NotAToken(f"its {part.name} is not base64url: {where}{_hint(odd[0])}")
    if not bare:
        raise NotAToken(f"its {part.name} is not base64url: it is empty")
    if len(bare) % 4 == 1 or (part.text != bare and len(part.text) != len(bare) + -len(bare) % 4):
        raise NotAToken(
            f"its {part.name} is not base64url: the length is impossible, something is cut off or added"
        )
    return _canonical(bare, part)


def _canonical(bare: str, part: Part) -> bytes:
    try:
        raw = urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except (binascii.Error, ValueError):
        raise NotAToken(f"its {part.name} is not base64url") from None
    if urlsafe_b64encode(raw).rstrip(b"=") != bare.encode():
        place = part.at + len(bare) - 1
        raise NotAToken(f"its {part.name} is not base64url: character {place}, its last, has bits too many")
    return raw


def _hint(character: str) -> str:
    return ": standard base64 has it, a token has - and _" if character in "+/" else hint_at(character)


def _object(part: Part, raw: bytes) -> dict[str, Any]:
    try:
        value = strict_json.read(raw)
    except strict_json.NotJson as error:
        raise NotAToken(f"its {part.name} is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise NotAToken(f"its {part.name} is a JSON {json_type(value)}, not an object")
    return value


def json_type(value: Any) -> str:
    """Return what JSON calls the type of a decoded value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "object"
    return "array" if isinstance(value, list) else "number"


def article(noun: str) -> str:
    """Return a JSON type with its article."""
    if noun == "null":
        return noun
    return f"an {noun}" if noun[0] in "ao" else f"a {noun}"


def cut(text: str) -> str:
    """Return the beginning of a text from a token on one line, as much as a sentence can show."""
    text = text.replace("\n", "\\n")
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def quoted(text: str) -> str:
    """Return a text from a token as a sentence shows it: in quotes where it is no plain word."""
    plain = text.isascii() and text.replace("-", "").replace("_", "").isalnum()
    return cut(text) if plain else json.dumps(cut(text), ensure_ascii=False)
