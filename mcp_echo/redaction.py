"""Keeping secrets out of whatever leaves the server: answers, logs, error texts. No I/O."""

from __future__ import annotations

import hashlib
import re
from typing import Any

_SECRET_HEADERS = frozenset(
    {
        "authorization",
        "cookie",
        "mcp-session-id",
        "proxy-authorization",
        "set-cookie",
        "x-amz-security-token",
        "x-api-key",
        "x-auth-request-access-token",
        "x-auth-token",
        "x-csrf-token",
        "x-forwarded-access-token",
        "x-id-token",
    }
)
_WORDS = r"token|secret|passw|api[-_]?key|[-_]key$|credential|signature|jwt|assertion"
_SECRET_WORDS = re.compile(_WORDS, re.IGNORECASE)
_SECRET_PARAMETER = re.compile(
    r"([?&][^=&#\s]*(?:token|secret|passw|key|credential|signature|jwt|assertion|code)[^=&#\s]*=)([^&#\s]+)",
    re.IGNORECASE,
)
# Header values that name a secret without being one.
_NOT_SECRET = frozenset({"x-token-type"})
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31})[ \t]+(\S.*)", re.DOTALL)
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){2,4}")
_SESSION_ID = re.compile(r"\b(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|es_[A-Za-z0-9_-]{22,})")
_USERINFO = re.compile(r"(?<=://)[^/\s]+(?=@)")
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def fingerprint(secret: str) -> str:
    """Return the first 8 hexadecimal digits of the secret's SHA-256: enough to compare, useless to replay."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def mask(secret: str) -> str:
    """Return a description of ``secret`` that does not contain it."""
    return f"[{len(secret)} characters, sha256 {fingerprint(secret)}]"


def mask_credentials(value: str) -> str:
    """Return an ``Authorization`` style value with its scheme kept and the rest masked."""
    parts = _SCHEME.fullmatch(value)
    return f"{parts[1]} {mask(parts[2])}" if parts else mask(value)


def mask_cookies(value: str) -> str:
    """Return a ``Cookie`` value with the names kept and the values masked."""
    pairs = (pair.strip().partition("=") for pair in value.split(";"))
    return "; ".join(f"{name}={mask(content)}" if equals else mask(name) for name, equals, content in pairs)


def is_secret_header(name: str) -> bool:
    """Return whether a header of this name carries something that must not be shown."""
    name = name.lower()
    return name in _SECRET_HEADERS or (name not in _NOT_SECRET and bool(_SECRET_WORDS.search(name)))


def mask_header(name: str, value: str) -> str:
    """Return a header's value as it may be shown."""
    if not is_secret_header(name):
        return mask_tokens(value)
    if name.lower() in ("authorization", "proxy-authorization"):
        return mask_credentials(value)
    if name.lower() in ("cookie", "set-cookie"):
        return mask_cookies(value)
    return mask(value)


def mask_json(value: Any) -> Any:
    """Return decoded JSON with secret-sounding members, and whatever looks like a JWT, masked."""
    if isinstance(value, dict):
        return {key: _mask_member(key, content) for key, content in value.items()}
    if isinstance(value, list):
        return [mask_json(element) for element in value]
    if isinstance(value, str):
        return mask_tokens(value)
    return value


def _mask_member(name: str, value: Any) -> Any:
    return _mask_whole(value) if _SECRET_WORDS.search(name) else mask_json(value)


def _mask_whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _mask_whole(content) for key, content in value.items()}
    if isinstance(value, list):
        return [_mask_whole(element) for element in value]
    return mask(value) if isinstance(value, str) else value


def mask_tokens(text: str) -> str:
    """Return ``text`` with what looks like a JWT, and the secrets in URLs, masked."""
    hidden = _JWT.sub(lambda found: mask(found[0]), mask_userinfo(text))
    return _SECRET_PARAMETER.sub(lambda found: f"{found[1]}{mask(found[2])}", hidden)


def mask_session_ids(text: str) -> str:
    """Return ``text`` with every session id and handle replaced by its fingerprint."""
    return _SESSION_ID.sub(lambda found: f"[session {fingerprint(found[0])}]", text)


def mask_userinfo(text: str) -> str:
    """Return ``text`` with the user and password of any URL in it masked."""
    return _USERINFO.sub("***", text)


def printable(text: str) -> str:
    r"""Return ``text`` with the characters that act on a terminal or a log shown as ``\\x1b`` or ``\\u2028``.

    Line feeds and tabs stay.
    """
    # Most text has none, which str can tell in half the time.
    return text if text.isprintable() else _CONTROLS.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(text: str) -> str:
    """Return ``text`` as `printable` does, with line feeds and tabs escaped too: for log lines."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")
