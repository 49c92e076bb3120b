"""The keys that an authorization server signs with. No I/O; making one takes a while.

RFC 7517 (JWK), RFC 7638 (thumbprint), RFC 9068 (JWT access tokens).
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, cast

import jwt as pyjwt
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from mcp_echo.oauth.protection import Algorithm
from mcp_echo.watch.parts import Part

_RSA_BITS = 2048

_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}
"""Type of key → what its thumbprint is of, in this order (RFC 7638 section 3.2, RFC 8037 section 2)."""


class SealedKey(msgspec.Struct, array_like=True):
    """The key of one authorization server, as it is kept."""

    sealed: str = ""
    """The private key under the seal of the server; empty while there is none."""


SIGNING_KEY = Part("signing-key", SealedKey)
"""The key of a trace's authorization server, made when it is first needed."""


def new_key(algorithm: Algorithm) -> bytes:
    """Return a new private key in PKCS #8; an RSA one may take a second."""
    key: Any
    if algorithm == "ES256":
        key = ec.generate_private_key(ec.SECP256R1())
    elif algorithm == "RS256":
        key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    else:
        key = ed25519.Ed25519PrivateKey.generate()
    data: bytes = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return data


class SigningKey:
    """A key to sign with.

    Args:
        data: What `new_key` has made.
    """

    def __init__(self, data: bytes) -> None:
        self._key: Any = serialization.load_der_private_key(data, None)
        self.public: Any = self._key.public_key()
        """What others verify with."""
        public = self.public
        if isinstance(public, ec.EllipticCurvePublicKey):
            self.algorithm, jwk = "ES256", ECAlgorithm.to_jwk(public, as_dict=True)
        elif isinstance(public, rsa.RSAPublicKey):
            self.algorithm, jwk = "RS256", RSAAlgorithm.to_jwk(public, as_dict=True)
        else:
            self.algorithm, jwk = "EdDSA", OKPAlgorithm.to_jwk(cast(Any, public), as_dict=True)
        self.id = thumbprint(jwk)
        """What tokens name it by."""
        self.jwk: dict[str, Any] = {**_public(jwk), "kid": self.id, "use": "sig", "alg": self.algorithm}
        """It as others see it."""

    def sign(self, claims: Mapping[str, Any], kind: str, kid: str | None = None) -> str:
        """Return a token.

        Args:
            claims: What it says.
            kind: Its ``typ``.
            kid: What it names the key by; None for its id.
        """
        return pyjwt.encode(dict(claims), self._key, self.algorithm, {"typ": kind, "kid": kid or self.id})

    def read(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that was signed with it, whatever its time.

        Raises:
            InvalidTokenError: It was not.
        """
        claims: dict[str, Any] = pyjwt.decode(
            token, self.public, algorithms=[self.algorithm], options=_SIGNATURE_ALONE
        )
        return claims


_SIGNATURE_ALONE: Any = {
    f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
}


def _public(jwk: Mapping[str, Any]) -> dict[str, Any]:
    return {name: jwk[name] for name in _MEMBERS[jwk["kty"]]}


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """Return the SHA-256 thumbprint of a public key (RFC 7638).

    Raises:
        ValueError: It is of a type that has none here, or lacks a member.
    """
    members = _MEMBERS.get(str(jwk.get("kty")))
    if members is None or not all(isinstance(jwk.get(name), str) for name in members):
        raise ValueError("no key of type EC, RSA or OKP with all of its members")
    text = json.dumps({name: jwk[name] for name in members}, separators=(",", ":"))
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
