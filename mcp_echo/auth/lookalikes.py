"""What stands where a JWT was expected and is none, told for what it is. Nothing is decrypted or inflated."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable
from typing import Any

from mcp_echo.protocol import strict_json
from mcp_echo.redaction.placeholders import is_placeholder
from mcp_echo.redaction.prefixes import prefix_of

_PASETO = re.compile(r"(v[1-4])\.(local|public)\.")
_PEM = re.compile(r"\s*-----BEGIN ([A-Z0-9 ]{1,40})-----")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_NAMED = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,60}[=:][ \t]*(?=eyJ)")
_URL = re.compile(r"https?://", re.IGNORECASE)
_ENCODED_DOT = re.compile(r"%2e", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{4,}={0,2}", re.ASCII)
_WIDE_TO_STANDARD = str.maketrans("-_", "+/")
_QUOTE = re.compile("[\"'`“”‘’]")
_NOTHING = re.compile(r"\Z")
# Version 0x80 and a time of which the first three bytes are zero until the year 2106.
_FERNET = re.compile("gAAAAA")

# What a JSON object is by a member that it has; the first that fits.
_OBJECTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("ciphertext",), "a JWE in JSON (RFC 7516 section 7.2); a JWT is in the compact form"),
    (("payload", "signatures"), "a JWS in JSON (RFC 7515 section 7.2.1); a JWT is in the compact form"),
    (
        ("payload", "signature"),
        "a JWS in flattened JSON (RFC 7515 section 7.2.2); a JWT is in the compact form",
    ),
    (
        ("access_token",),
        "a whole token response (RFC 6749 section 5.1): the token is its member access_token",
    ),
    (("id_token",), "a whole token response: the token is its member id_token"),
    (("token",), "a whole response: the token is its member token"),
    (("error",), "an error response (RFC 6749 section 5.2), without a token"),
    (
        ("private_key", "client_email"),
        "the key file of a Google service account, which is a secret, not a token",
    ),
    (("kty", "d"), "a private key (JWK, RFC 7517), not a token"),
    (("kty",), "a key (JWK, RFC 7517), not a token"),
    (("keys",), "a set of keys (JWK Set, RFC 7517), not a token"),
    (("alg",), "a token's header alone, not encoded and not signed"),
    (("iss",), "claims alone, not encoded and not signed"),
    (("sub",), "claims alone, not encoded and not signed"),
    (("auth_typ",), "the principal of Azure App Service (X-MS-CLIENT-PRINCIPAL), which is not signed"),
    ((), "a JSON object, not a token"),
)


def told(text: str) -> str | None:
    """Return a clause that says what ``text`` is instead of a JWT; None where nothing better is known."""
    return next((said for look in _LOOKS if (said := look(text)) is not None), None)


def object_told(value: dict[str, Any]) -> str:
    """Return what a decoded JSON object is."""
    return next(said for members, said in _OBJECTS if all(member in value for member in members))


def from_base64(text: str) -> bytes | None:
    """Return what base64 in either alphabet, padded or not, says; None where it is none."""
    if not _BASE64.fullmatch(text):
        return None
    bare = text.rstrip("=").translate(_WIDE_TO_STANDARD)
    try:
        return b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def json_object(raw: bytes) -> dict[str, Any] | None:
    """Return the JSON object in ``raw``, or None where there is none."""
    try:
        value = strict_json.read(raw)
    except strict_json.NotJson:
        return None
    return value if isinstance(value, dict) else None


def _placeholder(text: str) -> str | None:
    return f"it is {text}, a placeholder that was not filled in" if is_placeholder(text) else None


def _issuer_s(text: str) -> str | None:
    row = prefix_of(text)
    return (
        None
        if row is None
        else f"it is opaque: by its prefix {row.prefix} it is a token of the kind {row.kind}"
    )


def _json(text: str) -> str | None:
    if not text.startswith(("{", "[")):
        return None
    value = json_object(text.encode("utf-8", "replace"))
    return f"it is JSON: {'neither an object nor a token' if value is None else object_told(value)}"


def _pem(text: str) -> str | None:
    found = _PEM.match(text)
    return None if found is None else f"it is a PEM file ({found[1].lower()}), not a token"


def _xml(text: str) -> str | None:
    if not text.startswith("<"):
        return None
    return (
        "it is XML: a SAML assertion?" if "saml" in text[:4000].lower() else "it is XML or a tag, not a token"
    )


def _paseto(text: str) -> str | None:
    found = _PASETO.match(text)
    if found is None:
        return None
    purpose = "encrypted" if found[2] == "local" else "signed"
    return f"it is a PASETO {found[1]}.{found[2]} token ({purpose}), another format than JWT"


def _sd_jwt(text: str) -> str | None:
    if "~" not in text or not text.startswith("eyJ"):
        return None
    binding = "" if text.endswith("~") else " and a key binding JWT"
    return (
        f"it is an SD-JWT (RFC 9901): a JWT, then {text.count('~') - 1} disclosures behind a tilde (~) each"
        f"{binding}; the JWT ends before character {text.index('~') + 1}"
    )


def _named(text: str) -> str | None:
    found = _NAMED.match(text)
    return (
        None if found is None else f"it has a name before it: the token begins at character {found.end() + 1}"
    )


def _percent_encoded(text: str) -> str | None:
    found = _ENCODED_DOT.search(text)
    return (
        None
        if found is None
        else f"it is percent-encoded: {found[0]} at character {found.start() + 1} is a dot"
    )


def _shortened(text: str) -> str | None:
    for mark, name in (("...", "three dots"), ("…", "an ellipsis")):
        if mark in text:
            return f"it is a shortened copy: {name} at character {text.index(mark) + 1}, where more belongs"
    return None


def _truncated(text: str) -> str | None:
    parts = text.split(".")
    if not text.startswith("eyJ") or len(parts) != 2:
        return None
    header = json_object(from_base64(parts[0]) or b"")
    if header is None or "alg" not in header:
        return None
    return "it has 2 parts separated by dots, and a JWT has three: it is cut off, its signature is missing"


def _signed_cookie(text: str) -> str | None:
    """Tell signed sessions of web frameworks: JSON, a time and a signature, without an algorithm."""
    parts = text.split(".")
    if len(parts) != 3:
        return None
    first, second = (from_base64(part) for part in parts[:2])
    header = json_object(first or b"")
    if header is None or "alg" in header or second is None or json_object(second) is not None:
        return None
    return (
        "its first part is JSON without alg, and its second is not JSON: a signed session of a web framework?"
    )


def _encoded(text: str) -> str | None:
    raw = from_base64(text)
    if raw is None:
        return None
    if raw.startswith(b"eyJ"):
        return "it is a JWT that was encoded in base64 once more: decode it first"
    if raw.startswith(b"<") and b"saml" in raw[:4000].lower():
        return "it is a SAML message in base64, which is XML, not a JWT"
    if raw.startswith(b"-----BEGIN"):
        return "it is a PEM file in base64, not a token"
    value = json_object(raw) if raw.startswith(b"{") else None
    if value is not None:
        return f"it has 1 part, with no signature: base64 of JSON, {object_told(value)}"
    return _user_and_password(raw)


def _user_and_password(raw: bytes) -> str | None:
    try:
        user, colon, _ = raw.decode().partition(":")
    except UnicodeDecodeError:
        return None
    if not colon or not raw.decode().isprintable():
        return None
    return f"it is base64 of a user name of {len(user)} characters, a colon and a password: Basic credentials"


def _one_part(text: str) -> str | None:
    if "." in text:
        return None
    return "it has 1 part, without a dot, and a JWT has three: an opaque token says nothing to a decoder"


Look = Callable[[str], str | None]


def _begins(beginning: re.Pattern[str], told: str) -> Look:
    """Return a look that tells a text by how it begins."""
    return lambda text: told if beginning.match(text) else None


_LOOKS: tuple[Look, ...] = (
    _begins(_NOTHING, "it has 1 part, which is empty"),
    _placeholder,
    _issuer_s,
    _json,
    _pem,
    _xml,
    _paseto,
    _sd_jwt,
    _begins(
        _QUOTE,
        "it begins with a quotation mark, at character 1: the token is what stands between the quotes",
    ),
    _named,
    _begins(_URL, "it is a URL, not a token"),
    _percent_encoded,
    _shortened,
    _truncated,
    _begins(_UUID, "it is a UUID: an opaque token, an API key or a session id"),
    _begins(_FERNET, "it is a Fernet token, which is encrypted"),
    _signed_cookie,
    _encoded,
    _one_part,
)
