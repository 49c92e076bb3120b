"""Keeping secrets out of whatever leaves the server: answers, logs, error texts. No I/O."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
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
        "x-auth",
        "x-auth-request-access-token",
        "x-auth-token",
        "x-csrf-token",
        "x-forwarded-access-token",
        "x-id-token",
    }
)
_SECRET_WORDS = re.compile(
    r"token|secret|passw|passphrase|[-_]pwd$|^pwd$|api[-_]?key|access[-_]?key|key$|credential|signature|jwt"
    r"|assertion|authori[sz]ation$|cookies?$|session[-_]?id$|verifier",
    re.IGNORECASE,
)
_SECRET_PARAMETER = re.compile(
    r"([?&#][^=&#\s]*(?:token|secret|passw|key|credential|signature|jwt|assertion|code)[^=&#\s]*=)([^&#\s]+)",
    re.IGNORECASE,
)
_SHORTEST_SECRET = 4
"""Characters; what is shorter guards nothing, and to mask it would mask half the text."""
# Names that sound like a secret's without being one: what a token is called, how long it is or may be.
_NOT_SECRET = frozenset({"x-token-type", "tokentype", "tokenlength", "maxtokens", "progresstoken"})
# The registered schemes (https://www.iana.org/assignments/http-authschemes) and some that vendors use; of
# others only a plain word counts, since a blank in the middle of a secret makes no scheme of its beginning.
_SCHEMES = "apikey|aws4-hmac-sha256|basic|bearer|digest|dpop|gnap|hawk|hoba|negotiate|ntlm|oauth|token"
_SCHEME = re.compile(
    rf"({_SCHEMES}|scram-sha-1|scram-sha-256|[a-z][a-z-]{{1,19}})[ \t]+(\S.*)", re.DOTALL | re.IGNORECASE
)
# In running text a digit tells credentials from the sentence's next word.
_CREDENTIALS = re.compile(rf"\b({_SCHEMES})[ \t]+(?=[^\s\"',;]*[0-9])([^\s\"',;]{{8,}})", re.IGNORECASE)
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


def split_credentials(value: str) -> tuple[str | None, str]:
    """Return the scheme of an ``Authorization`` style value, None if it has none, and the rest."""
    parts = _SCHEME.fullmatch(value)
    return (parts[1], parts[2]) if parts else (None, value)


def mask_credentials(value: str) -> str:
    """Return an ``Authorization`` style value with its scheme kept and the rest masked."""
    scheme, rest = split_credentials(value)
    return mask(rest) if scheme is None else f"{scheme} {mask(rest)}"


def mask_cookies(value: str) -> str:
    """Return a ``Cookie`` value with the names kept and the values masked."""
    pairs = (pair.strip().partition("=") for pair in value.split(";"))
    return "; ".join(f"{name}={mask(content)}" if equals else mask(name) for name, equals, content in pairs)


def is_secret_header(name: str) -> bool:
    """Return whether a header of this name carries something that must not be shown."""
    return name.lower() in _SECRET_HEADERS or _sounds_secret(name)


def _sounds_secret(name: str) -> bool:
    return bool(_SECRET_WORDS.search(name)) and name.lower() not in _NOT_SECRET


def mask_header(name: str, value: str) -> str:
    """Return a header's value as it may be shown."""
    if not is_secret_header(name):
        return mask_tokens(value)
    if name.lower().endswith("authorization"):
        return mask_credentials(value)
    if name.lower() in ("cookie", "set-cookie"):
        return mask_cookies(value)
    return mask(value)


def mask_json(value: Any) -> Any:
    """Return decoded JSON, masked: members that sound secret, and what `mask_tokens` finds in the others."""
    if isinstance(value, dict):
        return {mask_tokens(key): _mask_member(key, content) for key, content in value.items()}
    if isinstance(value, list):
        return [mask_json(element) for element in value]
    if isinstance(value, str):
        return mask_tokens(value)
    return value


def _mask_member(name: str, value: Any) -> Any:
    return _mask_whole(value) if _sounds_secret(name) else mask_json(value)


def _mask_whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {mask_tokens(key): _mask_whole(content) for key, content in value.items()}
    if isinstance(value, list):
        return [_mask_whole(element) for element in value]
    # True, false and null keep no secret; a number may be a PIN.
    return value if value is None or isinstance(value, bool) else mask(str(value))


def mask_tokens(text: str) -> str:
    """Return ``text``, masked: what looks like a JWT, credentials after their scheme, secrets in URLs."""
    hidden = _JWT.sub(lambda found: mask(found[0]), mask_userinfo(text))
    hidden = _CREDENTIALS.sub(lambda found: f"{found[1]} {mask(found[2])}", hidden)
    return _SECRET_PARAMETER.sub(lambda found: f"{found[1]}{mask(found[2])}", hidden)


def secrets_in(fields: Iterable[tuple[str, str]], body: bytes) -> frozenset[str]:
    """Return the secrets of a request, whole and in the pieces that code works with and may quote.

    Args:
        fields: The header fields.
        body: What should be JSON.
    """
    found = {part for name, value in fields if is_secret_header(name) for part in _parts(value)}
    # What cannot be read, no code has taken a secret from.
    with suppress(ValueError, RecursionError):
        found.update(_telling_values(json.loads(body), telling=False))
    return frozenset(secret for secret in found if len(secret) >= _SHORTEST_SECRET)


def _parts(value: str) -> Iterator[str]:
    """Yield a header's value, its credentials, and the cookies in it."""
    yield value
    yield split_credentials(value)[1]
    for pair in value.split(";"):
        yield pair.strip().partition("=")[2] or pair.strip()


def _telling_values(value: Any, *, telling: bool) -> Iterator[str]:
    if isinstance(value, dict):
        for name, content in value.items():
            yield from _telling_values(content, telling=telling or _sounds_secret(name))
    elif isinstance(value, list):
        for element in value:
            yield from _telling_values(element, telling=telling)
    elif telling and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        yield str(value)


def mask_known(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` with each of ``secrets`` masked, as it is and as ``repr`` writes it."""
    for secret in sorted(secrets, key=len, reverse=True):
        for written in (secret, repr(secret)[1:-1]):
            text = text.replace(written, mask(secret))
    return text


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
