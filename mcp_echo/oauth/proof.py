"""What a DPoP proof says, held against the request that it came with (RFC 9449 section 4.3). No I/O.

A proof is made for one method and one URL, as the client sees them: behind a proxy that rewrites either, it
fits what the client sent and not what arrives.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple

import jwt as pyjwt

from mcp_echo.auth import jwt
from mcp_echo.http.differences import differs_in
from mcp_echo.oauth.keys import thumbprint
from mcp_echo.oauth.verify import ALGORITHMS, CLOCK_SECONDS, Check, is_signed, shown
from mcp_echo.protocol.texts import moment, span

_SECRET = ("d", "p", "q", "k")


class ProvenRequest(NamedTuple):
    """What a proof has to fit."""

    method: str
    url: str
    """As the request arrived, without its query."""
    token: str | None
    """The access token that it came with."""
    claims: Mapping[str, Any]
    """What that says; empty where it says nothing."""
    wall: float


def judge_proof(text: str, request: ProvenRequest) -> list[Check]:
    """Return what is true of a proof."""
    try:
        proof = jwt.read(text)
    except jwt.NotAToken as error:
        return [Check("proofForm", False, note=f"it is no JWT: {error}")]
    claims, header = proof.payload or {}, proof.header
    checks = [_form(header), *_key(text, header)]
    checks += [
        Check("proofMethod", claims.get("htm") == request.method, _shown(claims.get("htm")), request.method),
        _url(claims.get("htu"), request.url),
        _time(proof, request.wall),
    ]
    if request.token is not None:
        wanted = _hash(request.token)
        checks.append(Check("proofToken", claims.get("ath") == wanted, _shown(claims.get("ath")), wanted))
    return [*checks, _binding(header, request.claims)]


def _form(header: Mapping[str, Any]) -> Check:
    found = header.get("typ")
    return Check("proofForm", found == "dpop+jwt", _shown(found), "dpop+jwt")


def _key(text: str, header: Mapping[str, Any]) -> list[Check]:
    jwk, algorithm = header.get("jwk"), header.get("alg")
    if not isinstance(jwk, dict):
        return [Check("proofKey", False, note="its header has no jwk, so that nobody knows the key")]
    if any(name in jwk for name in _SECRET):
        return [Check("proofKey", False, note="its jwk has a private key in it")]
    if algorithm not in ALGORITHMS:
        return [Check("proofKey", False, _shown(algorithm), ", ".join(sorted(ALGORITHMS)))]
    try:
        key = pyjwt.PyJWK({name: jwk[name] for name in sorted(jwk.keys() & _PUBLIC)}, algorithm).key
    except Exception:  # What calculates with a key of anybody's fails in many ways, and each says the same.
        return [Check("proofKey", False, note="its jwk is no key for its algorithm")]
    signed = is_signed(text, key, str(algorithm))
    return [Check("proofKey", signed, note=None if signed else "the key in it did not sign it")]


_PUBLIC = frozenset({"kty", "crv", "n", "e", "x", "y"})


def _url(found: object, wanted: str) -> Check:
    if found == wanted:
        return Check("proofUrl", True, wanted)
    differs = list(differs_in(found, wanted)) if isinstance(found, str) else []
    note = "it was made for another URL, or a proxy has changed what the client asked for"
    return Check("proofUrl", False, _shown(found), wanted, differs, note)


def _time(proof: jwt.Token, wall: float) -> Check:
    issued = proof.issued
    if issued is None:
        return Check("proofTime", False, note="it has no iat")
    away = span(abs(wall - issued))
    held = abs(wall - issued) <= CLOCK_SECONDS
    return Check(
        "proofTime", held, away, f"{CLOCK_SECONDS} s", note=f"this server's clock says {moment(wall)}"
    )


def _binding(header: Mapping[str, Any], claims: Mapping[str, Any]) -> Check:
    confirmation = claims.get("cnf")
    wanted = confirmation.get("jkt") if isinstance(confirmation, dict) else None
    try:
        found = thumbprint(header["jwk"]) if isinstance(header.get("jwk"), dict) else None
    except ValueError:
        found = None
    if wanted is None:
        return Check("proofBinding", None, found, note="the token is bound to no key (cnf.jkt)")
    return Check("proofBinding", found == wanted, found, _shown(wanted))


def _hash(token: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(token.encode("ascii", "replace")).digest()).rstrip(b"=").decode()


def _shown(value: object) -> str | None:
    return None if value is None else shown(str(value))
