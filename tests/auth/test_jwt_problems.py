"""What verifiers stumble over in a token, told with the claim as the token spells it."""

from __future__ import annotations

from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.auth import jwt as reader
from mcp_echo.auth.jwt_algorithms import RSA, SIGNATURE_BYTES, SMALLEST_RSA
from mcp_echo.auth.jwt_problems import problems_of
from tests.tools.support import NOON, RS256, base64url, jwt

NOW = int(NOON)
GOOD: dict[str, Any] = {
    "iss": "https://a",
    "sub": "x",
    "aud": "y",
    "jti": "z",
    "iat": NOW - 60,
    "exp": NOW + 600,
}


def problems(claims: Any = GOOD, header: Any = RS256, **options: str) -> list[str]:
    return problems_of(reader.read(jwt(claims, header, **options)), NOON)


def test_a_good_token_has_no_problems() -> None:
    """Our choice: whoever reads a problem looks for it."""
    assert problems() == []
    assert (
        problems(
            {**GOOD, "aud": ["y", "z"], "nbf": NOW - 60.5}, {"alg": "RS256", "typ": "at+jwt", "kid": "k"}
        )
        == []
    )


# The claims and the beginning of what is told of them, and nothing else is.
CLAIMS: list[tuple[Any, str]] = [
    ({"sub": 7}, "sub is a number, not a string"),
    ({"sub": None}, "sub is null, not a string"),
    ({"sub": ""}, "sub is empty"),
    ({"sub": "x "}, "sub has a blank at its beginning or end"),
    ({"iss": ["https://a"]}, "iss is an array, not a string"),
    ({"iss": " https://a"}, "iss has a blank at its beginning or end"),
    ({"jti": 1}, "jti is a number, not a string"),
    ({"scope": ["a", "b"]}, "scope is an array, not a string"),
    ({"client_id": 1}, "client_id is a number, not a string"),
    ({"aud": 1}, "aud is a number, not a string or a list of strings"),
    ({"aud": {}}, "aud is an object, not a string or a list of strings"),
    ({"aud": ["a", 1]}, "aud is a list with a number in it"),
    ({"aud": ["a", None]}, "aud is a list with null in it"),
    ({"aud": []}, "aud is an empty list"),
    ({"aud": "y\n"}, "aud has a blank at its beginning or end"),
    (b'{"sub":"a","sub":"b"}', "sub is given more than once"),
    (b'{"exp":4102444800,"s":{"exp":1},"\\u0065xp":4102444801}', "exp is given more than once"),
    ({"Exp": NOW + 600}, "Exp is not registered: verifiers look for exp"),
    ({"EXP": NOW + 600}, "EXP is not registered: verifiers look for exp"),
    ({"expires_at": NOW + 600}, "expires_at is not registered: verifiers look for exp"),
    ({"expiresAt": NOW + 600}, "expiresAt is not registered: verifiers look for exp"),
    ({"exp ": NOW + 600}, '"exp " is not registered: verifiers look for exp'),
    ({"SUB": "x"}, "SUB is not registered: verifiers look for sub"),
    ({"issuer": "x"}, "issuer is not registered: verifiers look for iss"),
    ({"not_before": NOW}, "not_before is not registered: verifiers look for nbf"),
    ({"exp": "soon"}, "exp is a string, not a number of seconds"),
    ({"exp": None}, "exp is null, not a number of seconds"),
    ({"exp": []}, "exp is an array, not a number of seconds"),
    ({"exp": {}}, "exp is an object, not a number of seconds"),
    ({"exp": True}, "exp is a boolean, not a number of seconds; some verifiers accept it"),
    ({"exp": "1516242622"}, "exp is a string, not a number of seconds; some verifiers accept it"),
    ({"iat": "1516242622"}, "iat is a string, not a number of seconds; some verifiers accept it"),
    ({"nbf": "x"}, "nbf is a string, not a number of seconds"),
    (
        {"exp": 1484425965097},
        "exp is 1484425965097: milliseconds, which mean 2017-01-14 20:32:45 UTC; to verifiers",
    ),
    ({"exp": 1484425965097.5}, "exp is 1484425965097.5: milliseconds, which mean 2017-01-14 20:32:45 UTC"),
    ({"exp": 1484425965097123}, "exp is 1484425965097123: microseconds, which mean 2017-01-14 20:32:45 UTC"),
    (
        {"exp": 1484425965097123456},
        "exp is 1484425965097123456: nanoseconds, which mean 2017-01-14 20:32:45 UTC",
    ),
    ({"nbf": 1484425965097}, "nbf is 1484425965097: milliseconds, which mean 2017-01-14 20:32:45 UTC"),
    ({"exp": -1}, "exp is not a time that a calendar can show: -1"),
    ({"exp": 1e30}, "exp is not a time that a calendar can show: 1e+30"),
    (b'{"exp": ' + b"9" * 400 + b"}", "exp is not a time that a calendar can show: 9999"),
    (b'{"exp": -' + b"9" * 400 + b"}", "exp is not a time that a calendar can show: -9999"),
    ({"exp": "9" * 400}, "exp is a string, not a number of seconds; some verifiers accept it"),
    ({"exp": "9" * 5000}, "exp is a string, not a number of seconds"),
    ({"exp": 3600}, "exp is 3600, which is 1970-01-01 01:00:00 UTC: a span of time, where a time belongs?"),
    ({"nbf": NOW + 900, "exp": NOW + 600}, "nbf is not before exp: the token is never valid"),
    (
        {"nbf": NOW, "exp": NOW + 600, "iat": NOW + 700},
        "iat is not before exp: the token is never valid",
    ),
    ({"iat": NOW + 90}, "iat is 1m 30s ahead of this server's clock, which says 2024-01-01 12:00:00 UTC"),
    ({"exp": NOW - 12}, "exp was 12s ago: verifiers with a leeway of 60 s still take the token"),
    ({"nbf": NOW + 12}, "nbf is 12s ahead: verifiers with a leeway of 60 s take the token already"),
]


@pytest.mark.parametrize(("claims", "problem"), CLAIMS, ids=lambda value: repr(value)[:50])
def test_what_verifiers_refuse_in_claims_is_told(claims: Any, problem: str) -> None:
    """RFC 7519 sections 2 and 4; the claim is named as the token spells it."""
    assert problems(claims)[0].startswith(problem)


def test_milliseconds_are_told_of_a_string_too() -> None:
    """Our choice: two slips in one claim are two sentences."""
    first, second = problems({"exp": "1484425965097"})
    assert first.startswith("exp is a string")
    assert second.startswith("exp is 1484425965097: milliseconds, which mean 2017-01-14")


@pytest.mark.parametrize("leeway", [-1, 60, 61])
def test_beyond_the_usual_leeway_nothing_is_said_of_it(leeway: int) -> None:
    """Our choice: a minute is what libraries and providers suggest for a clock's error."""
    assert not any("leeway" in each for each in problems({"exp": NOW - leeway}))


# RFC 7515 appendix A.3.1
EC_256 = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}


# The header and the beginning of what is told of it.
HEADERS: list[tuple[dict[str, Any], str]] = [
    ({}, "The header names no algorithm (alg)"),
    ({"alg": 5}, "The header names no algorithm (alg)"),
    ({"ALG": "RS256"}, "The header names no algorithm (alg)"),
    ({"alg": "none"}, "alg is none: the token is not signed"),
    ({"alg": "rs256"}, "alg is rs256, and has to be written RS256"),
    ({"alg": "RS-256"}, "alg is RS-256, and has to be written RS256"),
    ({"alg": "RSA-OAEP"}, "alg is RSA-OAEP, which encrypts keys and signs nothing"),
    ({"alg": "RS257"}, "alg is RS257, which is not a signature algorithm"),
    ({"alg": "x" * 99}, f"alg is {'x' * 60}…, which is not a signature algorithm"),
    ({"alg": "ES256"}, "The signature has 256 bytes, where ES256 makes 64: as RS256 and its like do"),
    ({"alg": "RS256", "enc": "A256GCM"}, "The header has an enc, which belongs to a JWE of five parts"),
    (
        {"alg": "RS256", "kid": 1},
        "Verifiers refuse the header's kid: Key ID header parameter must be a string",
    ),
    ({"alg": "RS256", "kid": None}, "Verifiers refuse the header's kid: "),
    (
        {"alg": "RS256", "crit": []},
        "Verifiers refuse the header's crit: Invalid 'crit' header: must be a non-empty",
    ),
    ({"alg": "RS256", "crit": "exp"}, "Verifiers refuse the header's crit: Invalid 'crit' header"),
    (
        {"alg": "RS256", "crit": ["exp"], "exp": 1},
        "Verifiers refuse the header's crit: Unsupported critical extension",
    ),
    (
        {"alg": "RS256", "crit": ["b64"]},
        "Verifiers refuse the header's crit: Critical extension 'b64' is missing",
    ),
    ({"alg": "RS256", "b64": True}, "b64 is in the header and not in crit"),
    ({"alg": "RS256", "typ": 1}, "typ is a number, not a string"),
    ({"alg": "RS256", "typ": "dpop+jwt"}, "typ is dpop+jwt: this proves a key, and is not an access token"),
    ({"alg": "RS256", "typ": "JWE"}, "typ is JWE, which this token is not"),
    ({"alg": "RS256", "jwk": {"kty": "EC", "d": "x"}}, "The header's jwk has a secret key"),
    ({"alg": "HS256", "jwk": {"kty": "oct", "k": "AAAA"}}, "The header's jwk has a secret key"),
    (
        {"alg": "HS256", "jwk": {"kty": "oct", "k": "AAAA"}},
        "The header's jwk is too short: The HMAC key is 3 bytes",
    ),
    (
        {"alg": "RS256", "jwk": {"kty": "RSA", "n": base64url(b"\xff" * 127), "e": "AQAB"}},
        "The header's jwk is too short",
    ),
    (
        {"alg": "ES256", "jwk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}},
        "The header's jwk is not a key for ES256",
    ),
    ({"alg": "ES384", "jwk": EC_256}, "The header's jwk is not a key for ES384"),
    ({"alg": "RS256", "jwk": EC_256}, "The header's jwk is not a key for RS256"),
    ({"alg": "RS256", "jwk": {}}, "The header's jwk is not a key for RS256"),
    ({"alg": "RS256", "jwk": "x"}, "jwk is a string, not an object"),
    ({"alg": "RS256", "Kid": "x"}, "Kid is not a header parameter: kid is"),
]


@pytest.mark.parametrize(("header", "problem"), HEADERS, ids=lambda value: repr(value)[:50])
def test_what_verifiers_refuse_in_headers_is_told(header: dict[str, Any], problem: str) -> None:
    """RFC 7515 section 4.1, RFC 7797 section 6, RFC 9449 section 4.2."""
    assert any(each.startswith(problem) for each in problems(header=header))


LENGTHS = [
    *((name, (size,)) for name, sizes in SIGNATURE_BYTES.items() for size in sizes),
    *((name, (SMALLEST_RSA, 384, 512)) for name in sorted(RSA)),
]


@pytest.mark.parametrize(("algorithm", "sizes"), LENGTHS)
def test_a_signature_of_the_wrong_length_is_told(algorithm: str, sizes: tuple[int, ...]) -> None:
    """RFC 7518 section 3, RFC 8037 section 3.1: the algorithm decides, and for RSA the key."""
    header = {"alg": algorithm}
    for size in sizes:
        assert problems(header=header, signature=base64url(b"s" * size)) == []
    for size in (sizes[0] - 1, 1):
        (told,) = problems(header=header, signature=base64url(b"s" * size))
        assert told.startswith(f"The signature has {size} bytes, where {algorithm} makes ")
    assert problems(header=header, signature="") == ["The signature is missing"]


def test_an_ecdsa_signature_in_asn_1_is_told() -> None:
    """RFC 7518 section 3.4: R and S alone; OpenSSL and many key stores write a DER sequence."""
    (told,) = problems(header={"alg": "ES256"}, signature=base64url(b"\x30\x45" + b"s" * 69))
    assert told.endswith("it is in ASN.1, and has to be R and S alone (RFC 7518 section 3.4)")


EC_CURVES = {"ES256": ec.SECP256R1, "ES256K": ec.SECP256K1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512", *EC_CURVES])
def test_signatures_are_as_long_as_pyjwt_makes_them(algorithm: str) -> None:
    """The table's numbers, measured."""
    key: Any = ec.generate_private_key(EC_CURVES[algorithm]()) if algorithm in EC_CURVES else "k" * 64
    token = reader.read(pyjwt.encode(GOOD, key, algorithm))
    assert (len(token.signature),) == SIGNATURE_BYTES[algorithm]
    assert problems_of(token, NOON) == []


def test_signatures_of_edwards_curves_and_rsa_are_as_long_as_pyjwt_makes_them() -> None:
    """The table's numbers, measured."""
    made = [
        len(reader.read(pyjwt.encode(GOOD, key.generate(), "EdDSA")).signature)
        for key in (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)
    ]
    assert tuple(made) == SIGNATURE_BYTES["EdDSA"]
    key = rsa.generate_private_key(65537, 2048)
    for algorithm in sorted(RSA):
        assert len(reader.read(pyjwt.encode(GOOD, key, algorithm)).signature) == SMALLEST_RSA


def jwe(header: dict[str, Any], key: int, vector: int, tag: int) -> str:
    return ".".join([base64url(header), *(base64url(b"x" * size) for size in (key, vector, 9, tag))])


# The header of a JWE, the bytes of its encrypted key, vector and tag, and what is told of it.
ENCRYPTED: list[tuple[dict[str, Any], int, int, int, str | None]] = [
    ({"alg": "RSA-OAEP", "enc": "A256GCM"}, 256, 12, 16, None),
    ({"alg": "dir", "enc": "A128CBC-HS256"}, 0, 16, 16, None),
    ({"alg": "ECDH-ES", "enc": "A256CBC-HS512"}, 0, 16, 32, None),
    ({"alg": "A256KW", "enc": "A192CBC-HS384"}, 40, 16, 24, None),
    ({"alg": "RSA-OAEP"}, 256, 12, 16, "The header names no content encryption (enc)"),
    ({"alg": "RSA-OAEP", "enc": 1}, 256, 12, 16, "The header names no content encryption (enc)"),
    ({"alg": "RSA-OAEP", "enc": "AES"}, 256, 12, 16, "enc is AES, which is not a content encryption"),
    ({"enc": "A256GCM"}, 256, 12, 16, "The header names no algorithm (alg)"),
    (
        {"alg": "RS256", "enc": "A256GCM"},
        256,
        12,
        16,
        "alg is RS256, which is not a key management algorithm",
    ),
    (
        {"alg": "dir", "enc": "A256GCM"},
        8,
        12,
        16,
        "alg is dir, and the encrypted key, the second part, must be empty",
    ),
    (
        {"alg": "RSA-OAEP", "enc": "A256GCM"},
        0,
        12,
        16,
        "alg is RSA-OAEP, and the encrypted key, the second part, is",
    ),
    (
        {"alg": "dir", "enc": "A256GCM"},
        0,
        16,
        16,
        "The initialization vector has 16 bytes, where A256GCM has 12",
    ),
    ({"alg": "dir", "enc": "A256GCM"}, 0, 12, 12, "The tag has 12 bytes, where A256GCM has 16"),
]


@pytest.mark.parametrize(("header", "key", "vector", "tag", "problem"), ENCRYPTED)
def test_what_is_wrong_with_an_encrypted_token_is_told(
    header: dict[str, Any], key: int, vector: int, tag: int, problem: str | None
) -> None:
    """RFC 7516 sections 4.1 and 5.1, RFC 7518 sections 4 and 5."""
    token = reader.read(jwe(header, key, vector, tag))
    assert token.kind == "JWE"
    encrypted, *told = problems_of(token, NOON)
    assert encrypted.startswith("This is an encrypted token (JWE)")
    assert told == [] if problem is None else len(told) == 1 and told[0].startswith(problem)


def test_padding_is_told_and_the_token_read() -> None:
    """AWS load balancers pad the parts of X-Amzn-Oidc-Data; RFC 7515 section 2 has no padding."""
    header, payload, signature = jwt(GOOD).split(".")
    payload += "=" * (-len(payload) % 4)
    token = reader.read(f"{header}.{payload}.{signature}")
    assert token.payload == GOOD
    (told,) = problems_of(token, NOON)
    assert told.startswith(
        f"There is padding (=) at character {len(header) + len(payload.rstrip('=')) + 2}, in: payload"
    )


def test_a_key_that_fits_is_no_problem() -> None:
    """RFC 9449 section 4.2: a proof has the public key in its header."""
    signature = base64url(b"s" * 64)
    assert problems(header={"alg": "ES256", "jwk": EC_256}, signature=signature) == []


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**10, 10**21)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.integers().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(
    st.dictionaries(
        st.sampled_from(["exp", "iat", "nbf", "sub", "iss", "aud", "jti", "Exp", "scope"]), VALUES
    ),
    st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "enc", "cty"]), VALUES),
)
def test_no_token_that_can_be_read_breaks_the_judgement(
    claims: dict[str, Any], header: dict[str, Any]
) -> None:
    """Our choice: every member is typed before it is used."""
    try:
        token = reader.read(jwt(claims, header))
    except reader.NotAToken:
        return
    assert all(each and len(each) < 300 for each in problems_of(token, NOON))
    assert token.status(NOON) is not None


@given(
    st.fixed_dictionaries(
        {"kty": st.sampled_from(["RSA", "EC", "OKP", "oct", "AKP", ""])},
        optional={
            "crv": st.sampled_from(
                ["P-256", "P-384", "P-521", "secp256k1", "Ed25519", "Ed448", "X25519", "x"]
            ),
            "alg": st.sampled_from(["RS256", "ES256", "x"]),
            **dict.fromkeys(
                ("n", "e", "d", "p", "q", "dp", "dq", "qi", "oth", "x", "y", "k"),
                VALUES | st.binary(max_size=70).map(base64url),
            ),
        },
    ),
    st.sampled_from([*SIGNATURE_BYTES, *sorted(RSA), "none", "x"]),
)
def test_no_key_in_a_header_breaks_the_judgement(key: dict[str, Any], algorithm: str) -> None:
    """Our choice: whatever calculates with a key may fail at one that is none."""
    assert all(problems(header={"alg": algorithm, "jwk": key}))
