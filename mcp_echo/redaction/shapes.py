"""Which texts are secrets by the look of them, whatever they are called.

A text is taken apart once, from left to right, into the runs of characters that a token can have; each run is
looked at once, and what it encodes once more. So the time it takes grows with the text and no faster.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import unquote

from mcp_echo.redaction.names import is_secret_name
from mcp_echo.redaction.prefixes import TOKEN

MAX_LAYERS = 3
"""How many encodings one inside the other are looked through; what is wrapped more often is masked."""

_TOKEN_RUN = re.compile(r"[A-Za-z0-9_+/=.~-]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_PASETO = re.compile(r"v[0-9]\.(?:local|public)\.[A-Za-z0-9_-]{16,}")
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Members of a JSON Web Key that make it a private or secret one (RFC 7518 sections 6.2.2, 6.3.2, 6.4.1)."""

_OBJECT = re.compile(r"(?<![A-Za-z0-9])(?:ey[AIJKL]|ew[0ok])")
"""How base64 of a JSON object begins: a brace, and a quote or white space after it."""

_XML = re.compile(
    r"(?<![A-Za-z0-9])(?:PD94bWw|PHNhbWx|PFJlc3BvbnNl|PEFzc2VydGlvb|PEF1dGhuUmVxdWVzd|PHMycDpSZXNwb25zZ)"
)
"""How base64 of XML and of SAML's elements begins, with the usual prefixes of their name space."""

_PARTS = re.compile(r"[^/=.~]+")

Judge = Callable[[str], bool]
"""Tells whether a text has a secret in it."""


class Shape(NamedTuple):
    """One look that tells a secret."""

    name: str
    source: str
    finds: Callable[[str, Judge], int]
    """Returns the place in a run where the secret begins, or -1; the judge looks into what is encoded."""


def _jose(run: str, judge: Judge) -> int:
    """Find a JWS, JWE or unfinished one, padded or not, or base64 of JSON that has a secret in it."""
    found = _OBJECT.search(run)
    if found is None:
        return _glued(run)
    rest = run[found.start() :]
    return found.start() if "." in rest.rstrip(".") or _hides(rest, judge) else -1


def _glued(run: str) -> int:
    """Find a token that begins in the middle of a word, as when the blank after its scheme is missing."""
    start = run.find("eyJ")
    head, dot, _ = run[start:].partition(".")
    return start if start >= 0 and dot and decoded_base64(head) is not None else -1


def _hides(run: str, judge: Judge) -> bool:
    """Return whether base64 hides a secret: what it cannot be read as might be one."""
    decoded = decoded_base64(run)
    return decoded is None or judge(decoded)


def decoded_base64(text: str) -> str | None:
    """Return the text that base64 in either alphabet, padded or not, encodes; None when it encodes none."""
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    with suppress(binascii.Error, ValueError):
        return b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode("utf-8")
    return None


def _encoded(run: str, judge: Judge) -> int:
    """Find base64 of a text that has a secret in it."""
    if _is_encoded_secret(run, judge):
        return 0
    # A slash and an equals sign are of the alphabet, and stand between other things as well.
    parts = (part for part in _PARTS.finditer(run) if _is_encoded_secret(part[0], judge))
    return next((part.start() for part in parts), -1)


def _is_encoded_secret(text: str, judge: Judge) -> bool:
    if not _BASE64.fullmatch(text):
        return False
    decoded = decoded_base64(text)
    return decoded is not None and _is_text(decoded) and judge(decoded)


def _is_text(decoded: str) -> bool:
    return all(line.isprintable() for line in decoded.splitlines())


def _first(pattern: re.Pattern[str]) -> Callable[[str, Judge], int]:
    def find(run: str, _judge: Judge) -> int:
        found = pattern.search(run)
        return found.start() if found else -1

    return find


SHAPES = (
    Shape("JWS, JWE, and JSON with a secret in base64", "RFC 7515, RFC 7516, RFC 7519", _jose),
    Shape("PASETO", "https://github.com/paseto-standard/paseto-spec", _first(_PASETO)),
    Shape("SAML and other XML in base64", "SAML 2.0 bindings, section 3.5.4", _first(_XML)),
    Shape("tokens with a published prefix", "the table of prefixes, row by row", _first(TOKEN)),
    Shape("text with a secret in base64", "RFC 4648", _encoded),
)
"""What is masked in a run of token characters, from where it begins to the end of the run."""


def begins_secret(run: str, judge: Judge) -> int:
    """Return the place in a run of token characters where a secret begins, or -1."""
    places = [place for shape in SHAPES if (place := shape.finds(run, judge)) >= 0]
    return min(places, default=-1)


def in_runs(text: str, replace: Callable[[str], str]) -> str:
    """Return ``text`` with each run of token characters, of 8 at least, replaced."""
    return _TOKEN_RUN.sub(lambda run: replace(run[0]) if len(run[0]) >= 8 else run[0], text)


def unescaped(text: str) -> str | None:
    """Return percent-encoded text decoded, or None when nothing is encoded."""
    return unquote(text) if "%" in text else None


def is_private_member(name: str, value: dict[str, Any]) -> bool:
    """Return whether a member of this object is a secret: by its name, or as a part of a private key."""
    return is_secret_name(name) or (name in PRIVATE_MEMBERS and "kty" in value)


def json_of(text: str) -> Any:
    """Return the JSON object or array that ``text`` is, or None."""
    if text[:1] not in "{[":
        return None
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    return None
