"""bearerDecode and authContext."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.protocol.headers import Headers
from mcp_echo.redaction import fingerprint, mask
from mcp_echo.tools.auth import bearer_token
from tests.tools.support import NOON, RS256, Scene, base64url, jwt, wire

CLAIMS = {"sub": "user123", "name": "John Doe", "iat": 1516239022, "exp": 1516242622}

DECODED = (
    "🔍 JWT Token Analysis\n"
    "\n"
    "Header:\n"
    "{\n"
    '  "alg": "RS256",\n'
    '  "typ": "JWT"\n'
    "}\n"
    "\n"
    "Payload:\n"
    "{\n"
    '  "sub": "user123",\n'
    '  "name": "John Doe",\n'
    '  "iat": 1516239022,\n'
    '  "exp": 1516242622\n'
    "}\n"
    "\n"
    "⏱️ Token Status:\n"
    "- Issued: 2018-01-18 01:30:22 UTC\n"
    "- Expires: 2018-01-18 02:30:22 UTC\n"
    "- Status: EXPIRED\n"
    "- Signature: not verified (anyone could have written this token)"
)


@pytest.mark.parametrize("argument", [jwt(CLAIMS), f" Bearer  {jwt(CLAIMS)}\n", f"bearer\t{jwt(CLAIMS)}"])
def test_a_token_given_as_argument_is_decoded(argument: str) -> None:
    """The tool's specified answer; pasted with its scheme it is the same token."""
    assert Scene().text("bearerDecode", {"token": argument}) == DECODED


def test_without_an_argument_the_authorization_header_is_decoded() -> None:
    """The tool's specified argument: uses the Authorization header if not provided."""
    answer = Scene().call("bearerDecode", headers=[("authorization", f"BEARER {jwt(CLAIMS)}")])
    assert answer.text == DECODED
    assert wire(answer) == {
        "source": "Authorization header",
        "isJwt": True,
        "kind": "JWS",
        "header": RS256,
        "payload": CLAIMS,
        "status": "EXPIRED",
        "issued": "2018-01-18 01:30:22 UTC",
        "notBefore": None,
        "expires": "2018-01-18 02:30:22 UTC",
        "signatureVerified": False,
        "problems": [],
    }


@pytest.mark.parametrize(
    ("headers", "reason"),
    [([], "the request has none"), ([("Authorization", "Basic eDp5")], "it is not a Bearer token")],
)
def test_nothing_to_decode_says_why(headers: list[tuple[str, str]], reason: str) -> None:
    """Our choice: the absence of a token is what one came to find out."""
    assert Scene().text("bearerDecode", headers=headers) == (
        "🔍 JWT Token Analysis\n"
        "\n"
        "⏱️ Token Status:\n"
        "- Status: NOT A JWT\n"
        f"- Problem: Nothing to decode: no token argument, and of the Authorization header {reason}"
    )


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"exp": NOON + 1}, "VALID"),
        ({"exp": NOON}, "EXPIRED"),
        ({"exp": NOON + 0.5, "nbf": NOON + 0.1}, "NOT YET VALID"),
        ({"exp": NOON + 9, "nbf": NOON}, "VALID"),
        ({"nbf": NOON + 1}, "NOT YET VALID"),
        ({}, "NO EXPIRY"),
        ({"exp": "soon"}, "NO EXPIRY"),
    ],
)
def test_the_status_follows_the_times(claims: object, status: str) -> None:
    """RFC 7519 sections 4.1.4 and 4.1.5: not on or after exp, not before nbf."""
    assert f"- Status: {status}\n" in Scene().text("bearerDecode", {"token": jwt(claims)})


DEEP = b'{"a":' + b"[" * 2500 + b"]" * 2500 + b"}"

# What is no JWT, and the words that say where it shows.
NO_TOKENS = [
    ("", "1 part"),
    ("opaque-access-token", "1 part"),
    ("a.b", "2 parts"),
    ("a.b.c.d", "4 parts"),
    ("a.b.c.d.e.f", "more than 5 parts"),
    ("." * 8000, "more than 5 parts"),
    ("..", "header is not base64url"),
    (jwt([1, 2]), "payload is a JSON array, not an object"),
    (jwt("text"), "payload is a JSON string, not an object"),
    (jwt(b"null"), "payload is a JSON null, not an object"),
    (jwt(b"true"), "payload is a JSON boolean, not an object"),
    (jwt(b"1"), "payload is a JSON number, not an object"),
    (jwt({}, header=[]), "header is a JSON array, not an object"),
    (jwt(DEEP), "payload is not JSON (the JSON is nested more than 128 levels deep)"),
    (jwt({}, header=DEEP), "header is not JSON (the JSON is nested more than 128 levels deep)"),
    (jwt(b"\xff\xfe"), "payload is not JSON (not UTF-8 (byte 0))"),
    (jwt(b'{"exp": NaN}'), "payload is not JSON"),
    (jwt(b'{"exp": Infinity}'), "payload is not JSON"),
    (jwt(b'{"exp": 1e400}'), "payload is not JSON (Number out of range"),
    (jwt(b"{"), "payload is not JSON"),
    (jwt(b'{"a":' + b"9" * 5000 + b"}"), "payload is not JSON"),
    (f"{base64url(RS256)}.ab!d.c2ln", "payload is not base64url"),
    (f"{base64url(RS256)}.ab+/.c2ln", "payload is not base64url"),
    (f"{base64url(RS256)}.e30=.c2ln", "payload is not base64url"),
    (f"{base64url(RS256)}.e.c2ln", "the length is impossible"),
    (jwt({}, signature="sig nature"), "signature is not base64url"),
    (jwt({}, signature="caf\u00e9"), "signature is not base64url"),
]


@pytest.mark.parametrize(("token", "words"), NO_TOKENS, ids=lambda value: repr(value[:40]))
def test_what_is_no_jwt_is_told_where_it_fails(token: str, words: str) -> None:
    """RFC 7519 section 7.2, step by step; never an exception, whatever the token."""
    for arguments, headers in (({"token": token}, []), ({}, [("Authorization", f"Bearer {token}")])):
        answer = Scene().call("bearerDecode", arguments, headers)
        lines = answer.text.splitlines()
        assert lines[2:4] == ["⏱️ Token Status:", "- Status: NOT A JWT"]
        assert lines[4].startswith("- Problem: ")
        assert wire(answer)["isJwt"] is False
        if arguments or (" " not in token and token):
            assert words in lines[4]


# Claims that no calendar or verifier can use, and the problem that is named; the rest is still shown.
ODD_CLAIMS = [
    (b'{"exp": 1e30}', "exp is no time a calendar can show"),
    (b'{"exp": 1e18}', "exp is no time a calendar can show"),
    (b'{"exp": -1}', "exp is no time a calendar can show"),
    (b'{"exp": 253402300800}', "exp is no time a calendar can show"),
    (b'{"exp": ' + b"9" * 400 + b"}", "exp is no time a calendar can show"),
    (b'{"exp": "1516242622"}', "exp is a string, not a number of seconds"),
    (b'{"exp": null}', "exp is null, not a number of seconds"),
    (b'{"exp": []}', "exp is an array, not a number of seconds"),
    (b'{"exp": true}', "exp is a boolean, not a number of seconds"),
    (b'{"exp": {}}', "exp is an object, not a number of seconds"),
    (b'{"iat": "x"}', "iat is a string, not a number of seconds"),
    (b'{"nbf": "x"}', "nbf is a string, not a number of seconds"),
]


@pytest.mark.parametrize(("payload", "problem"), ODD_CLAIMS, ids=lambda value: repr(value[:40]))
def test_a_time_that_is_none_is_a_problem_and_no_failure(payload: bytes, problem: str) -> None:
    """RFC 7519 section 2, NumericDate: a JSON number of seconds."""
    answer = Scene().call("bearerDecode", {"token": jwt(payload)})
    assert problem in answer.text
    assert "- Status: NO EXPIRY\n" in answer.text
    assert "Expires:" not in answer.text
    assert len(wire(answer)["problems"]) == 1


@pytest.mark.parametrize("time", [0, 253402300799, 253402300799.9])
def test_the_first_and_last_time_of_the_calendar_can_be_shown(time: float) -> None:
    """Our choice: 1970-01-01 to 9999-12-31."""
    Scene().text("bearerDecode", {"token": jwt({"exp": time, "iat": time, "nbf": time})})


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE"])
def test_an_unsigned_token_is_called_so(algorithm: str) -> None:
    """RFC 7519 section 6; a verifier that takes alg none in any spelling takes every token."""
    text = Scene().text("bearerDecode", {"token": jwt({}, header={"alg": algorithm}, signature="")})
    assert "- Problem: alg is none: the token is not signed, anyone can have written it\n" in text
    assert text.endswith("- Problem: The signature is missing")


@pytest.mark.parametrize("header", [{}, {"alg": None}, {"alg": 5}, {"alg": []}])
def test_a_header_without_an_algorithm_is_a_problem(header: object) -> None:
    """RFC 7515 section 4.1.1: alg MUST be present."""
    text = Scene().text("bearerDecode", {"token": jwt({}, header=header)})
    assert text.endswith("- Problem: The header names no algorithm (alg)")


@pytest.mark.parametrize("alg", ["RSA-OAEP", "dir"])
def test_an_encrypted_token_shows_its_header_alone(alg: str) -> None:
    """RFC 7516 section 3.1: five parts; nothing is decrypted or inflated, whatever the header asks for."""
    header = {"alg": alg, "enc": "A256GCM", "zip": "DEF"}
    token = f"{base64url(header)}.a.b.c.d"
    answer = Scene().call("bearerDecode", {"token": token})
    assert "Payload" not in answer.text
    assert '"zip": "DEF"' in answer.text
    assert answer.text.endswith(
        "⏱️ Token Status:\n"
        "- Status: ENCRYPTED (JWE)\n"
        "- Signature: none to verify in a JWE\n"
        "- Problem: This is an encrypted token (JWE): only its header can be read, and only that is shown"
    )
    assert wire(answer)["payload"] is None


@pytest.mark.parametrize("place", ["payload", "header"])
def test_half_a_character_in_a_token_harms_nothing(place: str) -> None:
    """RFC 8259 section 8.2: JSON may escape a lone surrogate, which UTF-8 cannot carry."""
    odd = b'{"alg":"RS256","a":"\\ud800","\\udfff":1}'
    token = jwt(odd) if place == "payload" else jwt({}, header=odd)
    assert "half a character" in Scene().text("bearerDecode", {"token": token})


def test_a_token_drives_no_terminal() -> None:
    """Our choice: claims are shown, not acted on."""
    text = Scene().text("bearerDecode", {"token": jwt({"\x1b[2J": "\x9b\u202e\u2028"})})
    assert not set(text) & set("\x1b\x9b\u202e\u2028")


@given(st.text(max_size=60) | st.builds(jwt, st.binary(max_size=30), st.just(RS256), st.text(max_size=3)))
def test_no_token_raises(token: str) -> None:
    """Our choice: a decoder for debugging meets broken tokens above all."""
    assert Scene().text("bearerDecode", {"token": token.encode("utf-8", "replace").decode()})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["exp", "iat", "nbf", "alg", "a"]), inner, max_size=4)
        ),
    ),
    st.recursive(
        st.integers() | st.text(max_size=5),
        lambda inner: st.dictionaries(st.sampled_from(["alg", "typ"]), inner),
    ),
)
def test_no_claims_raise(payload: object, header: object) -> None:
    """Our choice, as above: every claim is typed before it is used."""
    assert Scene().text("bearerDecode", {"token": jwt(payload, header)})


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Bearer", None),
        ("Bearer a b", None),
        ("Bearerabc", None),
    ],
)
def test_the_bearer_token_is_read_from_the_header(header: str, token: str | None) -> None:
    """RFC 6750 section 2.1; RFC 9110 section 11.1: the scheme is case-insensitive."""
    assert bearer_token(Headers([("Authorization", header)])) == token


TOKEN = "x" * 847
MISSING = "X-Auth-Token"


def test_auth_context_puts_together_what_the_headers_say() -> None:
    """The tool's specified answer; a preview shows length and fingerprint in place of the token."""
    headers = [
        ("Authorization", f"Bearer {TOKEN}"),
        ("X-User-Id", "12345"),
        ("X-User-Name", "johndoe"),
        ("X-GitHub-User", "johndoe"),
        ("X-Request-Id", "req_abc123"),
    ]
    scene = Scene()
    answer = scene.call("authContext", headers=headers)
    assert answer.text == (
        "🔐 Authentication Context\n"
        "\n"
        "👤 User Information:\n"
        "- User ID: 12345\n"
        "- Username: johndoe\n"
        "- GitHub User: johndoe\n"
        "\n"
        "🎫 Token Details:\n"
        "- Token Type: Bearer\n"
        "- Token Length: 847 characters\n"
        f"- Token Preview: [847 characters, sha256 {fingerprint(TOKEN)}]\n"
        "\n"
        "🔑 Derived Information:\n"
        "- Authentication: ✅ Authenticated (as the headers say; this server verifies nothing)\n"
        f"- Session: {scene.session.id}\n"
        "- Principal: none (peer 127.0.0.1 is not in MCP_ECHO_TRUSTED_PROXIES: "
        "headers are shown, not believed)\n"
        "- Request ID: req_abc123\n"
        "\n"
        "📨 Headers:\n"
        f"- Authorization: ✅ Bearer {mask(TOKEN)}\n"
        "- X-User-Id: ✅ 12345\n"
        "- X-User-Name: ✅ johndoe\n"
        "- X-GitHub-User: ✅ johndoe\n"
        "- X-Request-Id: ✅ req_abc123\n"
        "- X-Auth-Token: ❌ missing"
    )
    assert wire(answer)["tokenFingerprint"] == fingerprint(TOKEN)


def test_auth_context_of_an_anonymous_request() -> None:
    """Our choice: what is missing is said, line by line."""
    scene = Scene()
    assert scene.text("authContext") == (
        "🔐 Authentication Context\n"
        "\n"
        "👤 User Information:\n"
        "- User ID: not given\n"
        "- Username: not given\n"
        "- GitHub User: not given\n"
        "\n"
        "🎫 Token Details:\n"
        "- Token Type: none\n"
        "- Token Length: 0 characters\n"
        "- Token Preview: none\n"
        "\n"
        "🔑 Derived Information:\n"
        "- Authentication: ❌ Not authenticated (as the headers say; this server verifies nothing)\n"
        f"- Session: {scene.session.id}\n"
        "- Principal: none (peer 127.0.0.1 is not in MCP_ECHO_TRUSTED_PROXIES: "
        "headers are shown, not believed)\n"
        "- Request ID: not given\n"
        "\n"
        "📨 Headers:\n"
        "- Authorization: ❌ missing\n"
        "- X-User-Id: ❌ missing\n"
        "- X-User-Name: ❌ missing\n"
        "- X-Auth-Token: ❌ missing\n"
        "- X-GitHub-User: ❌ missing\n"
        "- X-Request-Id: ❌ missing"
    )


@pytest.mark.parametrize(
    ("headers", "member", "value"),
    [
        ([("X-Auth-Request-User", "u")], "userId", "u"),
        ([("Remote-User", "u")], "userId", "u"),
        ([("X-User-Id", ""), ("X-Forwarded-User", "u")], "userId", "u"),
        ([("Remote-Name", "n")], "userName", "n"),
        ([("X-Forwarded-Email", "e@x")], "email", "e@x"),
        ([("X-Auth-Request-Groups", "g,h")], "groups", "g,h"),
        ([("X-Forwarded-Access-Token", "12345678")], "tokenLength", 8),
        ([("Authorization", "Basic eDp5")], "tokenType", "Basic"),
        ([("Authorization", "Bearer abc")], "tokenLength", 3),
        ([("Authorization", "Bearer\tabc")], "tokenLength", 3),
        ([("X-User-Id", "u")], "authenticated", True),
        ([("X-User-Name", "n")], "authenticated", False),
    ],
)
def test_auth_context_knows_the_headers_of_the_usual_proxies(
    headers: list[tuple[str, str]], member: str, value: object
) -> None:
    """oauth2-proxy, Authelia, authentik and Traefik document these names."""
    assert wire(Scene().call("authContext", headers=headers))[member] == value


@pytest.mark.parametrize(
    "value", ["s3cr3t-api-key-1234", "Bearer s3cr3t-api-key-1234", "Token token=s3cr3t-api-key-1234"]
)
def test_credentials_without_a_scheme_are_no_token_type(value: str) -> None:
    """Our choice: secrets are redacted; some clients send a bare key in Authorization."""
    answer = Scene().call("authContext", headers=[("Authorization", value)])
    assert "s3cr3t-api-key-1234" not in answer.text + repr(wire(answer))
