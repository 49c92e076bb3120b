"""What is wrong with how a token is signed or encrypted, as far as that shows without a key. No I/O.

RFC 7518 (algorithms), RFC 8037 (EdDSA), RFC 8812 (secp256k1), RFC 9864 (fully specified algorithms).
"""

from __future__ import annotations

from collections.abc import Iterator

from mcp_echo.auth.jwt import Part, Token, quoted

SIGNATURE_BYTES: dict[str, tuple[int, ...]] = {
    "HS256": (32,),
    "HS384": (48,),
    "HS512": (64,),
    "ES256": (64,),
    "ES256K": (64,),
    "ES384": (96,),
    "ES512": (132,),
    "EdDSA": (64, 114),
    "Ed25519": (64,),
    "Ed448": (114,),
}
"""Algorithm → bytes of its signature (RFC 7518 sections 3.2 and 3.4, RFC 8037 section 3.1, RFC 8812)."""

RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
"""Algorithms whose signature is as long as the key: 2048 bits or more (RFC 7518 sections 3.3 and 3.5)."""

SMALLEST_RSA = 256
"""Bytes of 2048 bits."""

_SIGNING = {name.lower(): name for name in (*SIGNATURE_BYTES, *RSA)}
_KEY_MANAGEMENT = frozenset(
    """RSA1_5 RSA-OAEP RSA-OAEP-256 RSA-OAEP-384 RSA-OAEP-512 A128KW A192KW A256KW dir ECDH-ES ECDH-ES+A128KW
    ECDH-ES+A192KW ECDH-ES+A256KW A128GCMKW A192GCMKW A256GCMKW PBES2-HS256+A128KW PBES2-HS384+A192KW
    PBES2-HS512+A256KW""".split()
)
# Content encryption → bytes of the initialization vector and of the tag (RFC 7518 section 5).
_ENCRYPTION = {
    "A128GCM": (12, 16),
    "A192GCM": (12, 16),
    "A256GCM": (12, 16),
    "A128CBC-HS256": (16, 16),
    "A192CBC-HS384": (16, 24),
    "A256CBC-HS512": (16, 32),
}
_WITHOUT_ENCRYPTED_KEY = frozenset({"dir", "ECDH-ES"})


def signing_problems(token: Token) -> Iterator[str]:
    """Yield what is wrong with a JWS's algorithm and with the length of its signature."""
    algorithm = token.header.get("alg")
    if not isinstance(algorithm, str):
        yield "The header names no algorithm (alg)"
    elif algorithm.lower() == "none":
        yield "alg is none: the token is not signed, anyone can have written it"
        if token.signature:
            yield f"alg is none, and the signature has {len(token.signature)} bytes (RFC 7519 section 6)"
    elif algorithm in SIGNATURE_BYTES or algorithm in RSA:
        yield from _length(algorithm, token.signature)
    else:
        yield _unknown(algorithm)
    if not token.signature:
        yield "The signature is missing"
    if "enc" in token.header:
        yield "The header has an enc, which belongs to a JWE of five parts, and this token has three"


def _unknown(algorithm: str) -> str:
    shown = quoted(algorithm)
    meant = _SIGNING.get(algorithm.lower().replace("-", "").replace("_", ""))
    if meant is not None:
        return f"alg is {shown}, and has to be written {meant}"
    if algorithm in _KEY_MANAGEMENT:
        return f"alg is {shown}, which encrypts keys and signs nothing: is this a JWE that was cut off?"
    return f"alg is {shown}, which is not a signature algorithm of RFC 7518 or RFC 8037"


def _length(algorithm: str, signature: bytes) -> Iterator[str]:
    length = len(signature)
    if algorithm in RSA and 0 < length < SMALLEST_RSA:
        yield (
            f"The signature has {length} bytes, where {algorithm} makes {SMALLEST_RSA} or more: "
            "cut off, or made with a key of less than 2048 bits (RFC 7518 section 3.3)"
        )
    elif length not in SIGNATURE_BYTES.get(algorithm, (length,)) and length > 0:
        wanted = " or ".join(map(str, SIGNATURE_BYTES[algorithm]))
        why = _why(algorithm, signature)
        yield f"The signature has {length} bytes, where {algorithm} makes {wanted}: {why}"


def _why(algorithm: str, signature: bytes) -> str:
    if algorithm.startswith("ES") and signature[0] == 0x30:
        return "it is in ASN.1, and has to be R and S alone (RFC 7518 section 3.4)"
    others = [name for name, sizes in SIGNATURE_BYTES.items() if len(signature) in sizes]
    if others:
        return f"as {', '.join(others)} do"
    return (
        "as RS256 and its like do"
        if len(signature) in (256, 384, 512)
        else "cut off, or of another algorithm"
    )


def encryption_problems(token: Token) -> Iterator[str]:
    """Yield what is wrong with a JWE's algorithms and the sizes of its parts."""
    yield "This is an encrypted token (JWE): only its header can be read, and only that is shown"
    algorithm, encryption = token.header.get("alg"), token.header.get("enc")
    if not isinstance(algorithm, str):
        yield "The header names no algorithm (alg)"
    elif algorithm not in _KEY_MANAGEMENT:
        yield f"alg is {quoted(algorithm)}, which is not a key management algorithm (RFC 7518 section 4.1)"
    elif (algorithm in _WITHOUT_ENCRYPTED_KEY) is bool(token.parts[1].text):
        must = "must be empty" if algorithm in _WITHOUT_ENCRYPTED_KEY else "is empty"
        yield f"alg is {algorithm}, and the encrypted key, the second part, {must} (RFC 7516 section 5.1)"
    if not isinstance(encryption, str):
        yield "The header names no content encryption (enc), which a JWE has (RFC 7516 section 4.1.2)"
    elif encryption not in _ENCRYPTION:
        yield f"enc is {quoted(encryption)}, which is not a content encryption (RFC 7518 section 5.1)"
    else:
        yield from _sizes(encryption, token.parts[2], token.parts[4])


def _sizes(encryption: str, vector: Part, tag: Part) -> Iterator[str]:
    for part, wanted in zip((vector, tag), _ENCRYPTION[encryption], strict=True):
        length = len(part.text.rstrip("=")) * 3 // 4
        if length != wanted:
            yield f"The {part.name} has {length} bytes, where {encryption} has {wanted}"
