"""Outside issuers: where their keys are, and what their documents say. No I/O.

RFC 8414 section 3, OpenID Connect Discovery 1.0 section 4, RFC 7517.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import jwt as pyjwt
import msgspec

from mcp_echo.oauth.names import OPENID_METADATA, SERVER_METADATA
from mcp_echo.oauth.verify import ALGORITHMS, Key

MOST_KEYS = 32
"""Keys of one issuer that are looked at."""

_LONGEST_KEY = 4096
"""Characters of one key; one of 16,384 bits has 2,800, and no more is calculated with."""

_MEMBERS = ("kty", "crv", "n", "e", "x", "y")
"""What a public key is made of."""

_TYPES = {"EC": "ES256", "RSA": "RS256", "OKP": "EdDSA"}
"""Type of key → an algorithm that reads it."""


class NotOfIssuer(ValueError):
    """A document that is no issuer's, or of another one; the message is a clause about it."""


class _Metadata(msgspec.Struct):
    issuer: str
    jwks_uri: str


class _Jwks(msgspec.Struct):
    keys: list[dict[str, Any]]


_read_metadata = msgspec.json.Decoder(_Metadata).decode
_read_jwks = msgspec.json.Decoder(_Jwks).decode


def metadata_places(issuer: str) -> list[str]:
    """Return where an issuer's metadata may be, in the order that MCP has for clients."""
    parts = urlsplit(issuer)
    base, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    places = [f"{base}{SERVER_METADATA}{path}", f"{base}{OPENID_METADATA}{path}"]
    return [*places, f"{base}{path}{OPENID_METADATA}"] if path else places


def jwks_place(issuer: str, body: bytes) -> str:
    """Return where the keys of an issuer are.

    Args:
        issuer: The issuer.
        body: Its metadata.

    Raises:
        NotOfIssuer: It is of another issuer, or sends whoever asks to another host.
    """
    try:
        metadata = _read_metadata(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotOfIssuer(f"the metadata cannot be read ({error})") from None
    if metadata.issuer != issuer:
        raise NotOfIssuer(f"the metadata is of the issuer {metadata.issuer[:200]} (RFC 8414 section 3.3)")
    try:
        one, other = urlsplit(metadata.jwks_uri), urlsplit(issuer)
    except ValueError:
        raise NotOfIssuer("jwks_uri is no URL") from None
    if (one.scheme, one.netloc.lower()) != (other.scheme, other.netloc.lower()):
        raise NotOfIssuer(
            "jwks_uri leads to another host, and only that of the issuer is asked: where the issuer is to be "
            "believed, name the address in MCP_ECHO_ISSUERS as ISSUER=ADDRESS"
        )
    return metadata.jwks_uri


def keys_in(body: bytes) -> Sequence[Key]:
    """Return the keys of a JWKS that verify signatures; others are left out (RFC 7517 section 5).

    Raises:
        NotOfIssuer: It is no JWKS, or has no such key.
    """
    try:
        entries = _read_jwks(body).keys
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotOfIssuer(f"the JWKS cannot be read ({error})") from None
    keys = [key for key in map(_key, entries[:MOST_KEYS]) if key is not None]
    if not keys:
        raise NotOfIssuer("the JWKS has no key that verifies signatures")
    return tuple(keys)


def _key(entry: dict[str, Any]) -> Key | None:
    public = {name: entry[name] for name in _MEMBERS if name in entry}
    if not _verifies(entry) or len(str(public)) > _LONGEST_KEY:
        return None
    algorithm, kid = entry.get("alg"), entry.get("kid")
    try:
        key = pyjwt.PyJWK(public, algorithm or _algorithm_of(public)).key
    except Exception:  # What calculates with a key of anybody's fails in many ways, and each says the same.
        return None
    return Key(kid if isinstance(kid, str) else None, algorithm, key)


def _verifies(entry: dict[str, Any]) -> bool:
    """Return whether a key is for signatures of a kind that is taken."""
    kind, algorithm = entry.get("kty"), entry.get("alg")
    return kind in _TYPES and entry.get("use", "sig") == "sig" and algorithm in (None, *ALGORITHMS)


def _algorithm_of(public: dict[str, Any]) -> str:
    curves = {"P-384": "ES384", "P-521": "ES512"}
    return curves.get(str(public.get("crv")), _TYPES[public["kty"]])
