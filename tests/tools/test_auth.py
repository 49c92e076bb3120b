"""bearerDecode and authContext."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.auth import credentials
from mcp_echo.auth.identity_headers import IdentityHeader, row_of, rows_of
from mcp_echo.auth.token_search import TOKEN_HEADERS
from mcp_echo.redaction import fingerprint, mask, printable
from tests.auth.test_credentials import BROKEN
from tests.tools.support import NOON, RS256, Scene, base64url, jwt, padded, wire

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


@pytest.mark.parametrize("argument", [jwt(CLAIMS), f" Bearer  {jwt(CLAIMS)}\n", f"bearer {jwt(CLAIMS)}"])
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
        "verifiedBy": None,
        "problems": [],
        "otherSources": [],
    }


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ([], "No token: pass `token`, or send an Authorization header"),
        (
            [("Authorization", "Basic eDp5")],
            "No token: Authorization is not a Bearer token; pass `token`, or send Authorization: Bearer and "
            "the token",
        ),
    ],
)
def test_nothing_to_decode_says_what_to_do(headers: list[tuple[str, str]], problem: str) -> None:
    """Our choice: the absence of a token is what one came to find out."""
    assert Scene().text("bearerDecode", headers=headers) == (
        f"🔍 JWT Token Analysis\n\n⏱️ Token Status:\n- Status: NOT A JWT\n- Problem: {problem}"
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
        ({"exp": "soon"}, "INVALID EXPIRY"),
        ({"exp": None}, "INVALID EXPIRY"),
        ({"exp": str(NOON - 1).partition(".")[0]}, "EXPIRED"),
        ({"exp": str(NOON + 1).partition(".")[0]}, "VALID"),
        ({"exp": True}, "EXPIRED"),
        ({"exp": -1}, "EXPIRED"),
        ({"exp": 1484425965097}, "VALID"),
        ({"Exp": 1}, "NO EXPIRY"),
    ],
)
def test_the_status_follows_the_times(claims: object, status: str) -> None:
    """RFC 7519 sections 4.1.4 and 4.1.5: not on or after exp, not before nbf."""
    assert f"- Status: {status}\n" in Scene().text("bearerDecode", {"token": jwt(claims)})


DEEP = b'{"a":' + b"[" * 2500 + b"]" * 2500 + b"}"

# What is no JWT, and the words that say where it shows; what it is instead is in test_lookalikes.
NO_TOKENS = [
    ("", "1 part"),
    ("opaque-access-token", "1 part"),
    ("a.b", "2 parts"),
    ("a.b.c.d", "4 parts"),
    ("a.b.c.d.e.f", "more than 5 parts"),
    ("." * 8000, "a shortened copy: three dots at character 1"),
    ("..", "header is not base64url: it is empty"),
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
    (f"{base64url(RS256)}.ab!d.c2ln", "payload is not base64url: the character ! at character 44"),
    (
        f"{base64url(RS256)}.ab+/.c2ln",
        "payload is not base64url: a plus sign (+) at character 44: standard base64",
    ),
    (f"{base64url(RS256)}.ab d.c2ln", "payload is not base64url: a space at character 44"),
    (
        f"{base64url(RS256)}.abc\nd.c2ln",
        "payload is not base64url: a line feed at character 45: the value was wrapped",
    ),
    (f"{base64url(RS256)}.e30==.c2ln", "the length is impossible"),
    (f"{base64url(RS256)}.e.c2ln", "the length is impossible"),
    (f"{base64url(RS256)}.e31.c2ln", "payload is not base64url: character 44, its last, has bits too many"),
    (jwt({}, signature="sig nature"), "signature is not base64url: a space at character 49"),
    (jwt({}, signature="caf\u00e9"), "signature is not base64url: latin small letter e with acute (U+00E9)"),
]


@pytest.mark.parametrize(("token", "words"), NO_TOKENS, ids=lambda value: repr(value[:40]))
def test_what_is_no_jwt_is_told_where_it_fails(token: str, words: str) -> None:
    """RFC 7519 section 7.2, step by step; never an exception, whatever the token."""
    for arguments, headers in (({"token": token}, []), ({}, [("X-Auth-Token", token)])):
        answer = Scene().call("bearerDecode", arguments, headers)
        lines = answer.text.splitlines()
        assert lines[2:4] == ["⏱️ Token Status:", "- Status: NOT A JWT"]
        assert lines[4].startswith("- Problem: ")
        assert wire(answer)["isJwt"] is False
        if arguments or token:
            assert words in wire(answer)["problems"][0]


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


@pytest.mark.parametrize(("alg", "key"), [("RSA-OAEP", base64url(b"k" * 256)), ("dir", "")])
def test_an_encrypted_token_shows_its_header_alone(alg: str, key: str) -> None:
    """RFC 7516 section 3.1: five parts; nothing is decrypted or inflated, whatever the header asks for."""
    header = {"alg": alg, "enc": "A256GCM", "zip": "DEF"}
    token = f"{base64url(header)}.{key}.{base64url(b'i' * 12)}.{base64url(b'c' * 50)}.{base64url(b't' * 16)}"
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


TOKEN = "x" * 847


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


@pytest.mark.parametrize(
    ("scheme", "shown"), [("Bearer", "Bearer"), ("bearer  ", "bearer"), ("Basic", "Basic")]
)
def test_a_scheme_without_credentials_is_not_authenticated(scheme: str, shown: str) -> None:
    """Our choice: what a client sends whose variable is not set."""
    answer = Scene().call("authContext", headers=[("Authorization", scheme)])
    assert (
        f"- Token Type: {shown}\n"
        "- Token Length: 0 characters\n"
        "- Token Preview: none\n"
        f"- Problem: Nothing follows {shown}: an unset variable in the client?\n"
    ) in answer.text
    assert "- Authentication: ❌ Not authenticated" in answer.text
    assert wire(answer)["tokenFingerprint"] is None


@pytest.mark.parametrize("value", [row[0] for row in BROKEN], ids=lambda value: repr(value)[:40])
def test_what_no_server_can_take_is_not_authenticated_and_told(value: str) -> None:
    """Our choice: the problem is what one has come to find out; what may be a secret stays masked."""
    answer = Scene().call("authContext", headers=[("Authorization", value)])
    told = list(credentials.read(value).problems)
    assert wire(answer)["authenticated"] is False
    assert wire(answer)["problems"] == told
    assert f"- Problem: {printable(told[0])}\n" in answer.text


@pytest.mark.parametrize("placeholder", ["${UNSET_VAR}", "{{token}}", "undefined", "YOUR_TOKEN_HERE"])
@pytest.mark.parametrize("name", ["Authorization", "X-Auth-Token"])
def test_a_placeholder_is_shown(placeholder: str, name: str) -> None:
    """Our choice: it is no secret, and tells which variable was not set."""
    value = f"Bearer {placeholder}"
    answer = Scene().call("authContext", headers=[(name, value)])
    assert f"- Token Preview: {placeholder}\n" in answer.text
    assert f"- {name}: ✅ {value}\n" in answer.text
    assert wire(answer)["authenticated"] is False


def test_a_token_that_looks_like_a_jwt_has_to_be_one() -> None:
    """Our choice: a JWT that was cut off is a credential nowhere; an opaque token may be one."""
    for token, authenticated in ((jwt(CLAIMS), True), (jwt(CLAIMS)[:-400], False), ("eyJrIjoiT0", True)):
        answer = wire(Scene().call("authContext", headers=[("Authorization", f"Bearer {token}")]))
        assert answer["authenticated"] is authenticated
        assert bool(answer["problems"]) is not authenticated


def test_authorization_in_two_lines_is_told() -> None:
    """RFC 9110 section 11.6.2: one field; a hop that adds its own makes two."""
    twice = [("Authorization", "Bearer abc"), ("authorization", "Bearer abcd")]
    answer = Scene().call("authContext", headers=twice)
    assert wire(answer)["problems"] == [
        "Authorization came in 2 lines: servers differ in which of them they take"
    ]
    assert wire(answer)["authenticated"] is False
    assert f"- Authorization: ✅ Bearer {mask('abc')}, Bearer {mask('abcd')}\n" in answer.text


def test_a_gateway_that_vouches_outweighs_credentials_that_nobody_can_take() -> None:
    """Our choice: the headers then do name a caller, and the problem is told all the same."""
    answer = wire(Scene().call("authContext", headers=[("Authorization", "Bearer"), ("X-User-Id", "u")]))
    assert (answer["authenticated"], answer["userId"], len(answer["problems"])) == (True, "u", 1)


def test_groups_in_several_lines_are_one_list() -> None:
    """RFC 9110 section 5.3: a proxy may send a line a group."""
    headers = [("X-Forwarded-Groups", "g1"), ("X-Forwarded-Groups", "g2")]
    answer = Scene().call("authContext", headers=headers)
    assert wire(answer)["groups"] == "g1, g2"
    assert "- Groups: g1, g2\n" in answer.text
    assert "- X-Forwarded-Groups: ✅ g1, g2\n" in answer.text


AZURE = base64.b64encode(b'{"auth_typ":"aad","claims":[{"typ":"name","val":"A"}]}').decode()
# What a gateway sends, and what authContext makes of it: a member of its result and the value.
GATEWAYS: list[tuple[str, list[tuple[str, str]], str, object]] = [
    ("AWS", [("x-amzn-oidc-identity", "u"), ("x-amzn-oidc-data", padded(jwt({"sub": "u"})))], "userId", "u"),
    ("AWS data", [("x-amzn-oidc-data", padded(jwt({"sub": "u", "email": "e@x"})))], "email", "e@x"),
    ("AWS token", [("x-amzn-oidc-accesstoken", "12345678")], "tokenLength", 8),
    ("Azure", [("X-MS-CLIENT-PRINCIPAL-ID", "u"), ("X-MS-CLIENT-PRINCIPAL", AZURE)], "userId", "u"),
    ("Azure name", [("X-MS-CLIENT-PRINCIPAL-NAME", "n")], "userName", "n"),
    ("Azure token", [("X-MS-TOKEN-AAD-ACCESS-TOKEN", "12345678")], "tokenLength", 8),
    ("Google", [("X-Goog-Authenticated-User-Id", "accounts.google.com:1")], "userId", "1"),
    ("Google mail", [("X-Goog-Authenticated-User-Email", "accounts.google.com:e@x")], "email", "e@x"),
    ("Google IAP", [("X-Goog-IAP-JWT-Assertion", jwt({"sub": "u"}))], "userId", "u"),
    ("Cloudflare", [("Cf-Access-Authenticated-User-Email", "e@x")], "email", "e@x"),
    ("Cloudflare JWT", [("Cf-Access-Jwt-Assertion", jwt({"sub": "u", "email": "e@x"}))], "email", "e@x"),
    ("oauth2-proxy", [("X-Auth-Request-User", "u")], "userId", "u"),
    ("Authelia", [("Remote-User", "u"), ("Remote-Groups", "g")], "groups", "g"),
    ("authentik", [("X-authentik-username", "u")], "userId", "u"),
    ("Pomerium", [("X-Pomerium-Jwt-Assertion", jwt({"sub": "u"}))], "userId", "u"),
    ("Pomerium claim", [("X-Pomerium-Claim-Email", "e@x")], "email", "e@x"),
    ("Tailscale", [("Tailscale-User-Login", "u@x")], "userId", "u@x"),
    (
        "Tailscale name",
        [("Tailscale-User-Login", "u"), ("Tailscale-User-Name", "=?utf-8?q?=C3=BC?=")],
        "userName",
        "ü",
    ),
    ("Istio", [("X-Jwt-Payload", base64url({"sub": "u"}))], "userId", "u"),
    ("Kong", [("X-Consumer-Custom-ID", "u"), ("X-Consumer-Username", "n")], "userName", "n"),
    ("Kong OIDC", [("X-Userinfo", base64.b64encode(b'{"sub":"u"}').decode())], "userId", "u"),
    ("Grafana", [("X-WEBAUTH-USER", "u")], "userId", "u"),
]


@pytest.mark.parametrize(
    ("headers", "member", "value"), [row[1:] for row in GATEWAYS], ids=[row[0] for row in GATEWAYS]
)
def test_what_a_gateway_says_of_the_caller_is_understood(
    headers: list[tuple[str, str]], member: str, value: object
) -> None:
    """Each gateway's documentation, named in the table; and the hop that should have sent it is named."""
    answer = Scene().call("authContext", headers=headers)
    structured = wire(answer)
    assert structured[member] == value
    assert structured["authenticated"] is (
        member != "userName" or any(structured[each] for each in ("userId", "email"))
    )
    for told, (name, _) in zip(structured["identities"], headers, strict=True):
        row = row_of(name)
        assert row is not None
        assert (told["hop"], told["problem"]) == (row.hop, None)
        assert f"- {told['header']}: {told['tells']}, set by {row.hop}\n" in answer.text + "\n"


def test_the_claims_of_a_gateway_are_decoded_and_its_signature_is_not_shown() -> None:
    """AWS load balancers pad the parts of their JWT; what could be sent again is not shown."""
    token = padded(jwt({"sub": "u", "password": "hunter2", "exp": 1}))
    answer = Scene().call("authContext", headers=[("X-Amzn-Oidc-Data", token)])
    (told,) = wire(answer)["identities"]
    assert told["claims"] == {"sub": "u", "password": mask("hunter2"), "exp": 1}
    assert '  {"sub": "u", "password": ' in answer.text
    assert token.split(".")[2] not in answer.text + repr(wire(answer))
    assert "hunter2" not in answer.text + repr(wire(answer))
    assert "hunter2" in Scene({"reveal_secrets": "true"}).text(
        "authContext", headers=[("X-Amzn-Oidc-Data", token)]
    )


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("Cf-Access-Jwt-Assertion", "nonsense", "it is not a JWT: it has 1 part"),
        ("X-MS-CLIENT-PRINCIPAL", "nonsense", "it is not a JSON object in base64"),
        ("X-Userinfo", base64url([1]), "it is not a JSON object in base64"),
        (
            "X-Goog-IAP-JWT-Assertion",
            f"{base64url({'alg': 'dir', 'enc': 'A256GCM'})}....",
            "it is encrypted (JWE)",
        ),
    ],
)
def test_an_identity_header_that_cannot_be_read_says_why(name: str, value: str, problem: str) -> None:
    """Our choice: that a header is there and says nothing is a finding."""
    answer = Scene().call("authContext", headers=[(name, value)])
    (told,) = wire(answer)["identities"]
    assert told["problem"].startswith(problem)
    assert f"  Problem: {problem}" in answer.text


def test_a_caller_who_is_named_twice_is_told() -> None:
    """Our choice: a hop that adds where it should overwrite lets the client's own value through."""
    answer = Scene().call("authContext", headers=[("X-User-Id", "admin"), ("X-User-Id", "alice")])
    (told,) = wire(answer)["identities"]
    assert told["problem"] == "it came in 2 lines, and names one caller: a hop and the client have set it?"
    assert wire(answer)["userId"] == "admin, alice"


def test_the_token_of_a_named_header_is_decoded() -> None:
    """Our choice: gateways have headers of their own for tokens."""
    headers = [("Authorization", "Bearer opaque"), ("cf-access-jwt-assertion", jwt(CLAIMS))]
    answer = Scene().call("bearerDecode", {"header": "Cf-Access-Jwt-Assertion"}, headers)
    assert wire(answer)["payload"] == CLAIMS
    assert wire(answer)["source"] == "Cf-Access-Jwt-Assertion header"
    assert answer.text == f"{DECODED}\n- Source: Cf-Access-Jwt-Assertion header"


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ([], "No token: the request has no header of that name (7 characters)"),
        ([("X-Token", "")], "No token: X-Token is empty"),
        ([("X-Token", "Bearer")], "Nothing follows Bearer: an unset variable in the client?"),
        ([("X-Token", "opaque")], "This is not a JWT: it has 1 part"),
        ([("X-Token", jwt({})), ("X-Token", jwt({}))], "X-Token came in 2 lines; this is the first"),
    ],
)
def test_a_named_header_without_a_token_says_why(headers: list[tuple[str, str]], problem: str) -> None:
    """Our choice: that is what one came to find out."""
    answer = Scene().call("bearerDecode", {"header": "X-Token"}, headers)
    assert wire(answer)["problems"][0].startswith(problem)
    assert f"- Problem: {problem}" in answer.text


def test_null_is_no_argument() -> None:
    """Our interface: an optional argument may be null."""
    headers = [("Authorization", f"Bearer {jwt(CLAIMS)}")]
    assert Scene().text("bearerDecode", {"token": None, "header": None}, headers) == DECODED


def test_a_token_and_a_header_are_one_too_many() -> None:
    """Our choice: which of the two is meant would be a guess."""
    answer = Scene().call("bearerDecode", {"token": "a", "header": "b"})
    assert answer.is_error
    assert answer.text == "Give bearerDecode a token or the name of a header, not both"


@pytest.mark.parametrize("name", TOKEN_HEADERS)
def test_without_authorization_the_headers_of_gateways_are_looked_in(name: str) -> None:
    """Our choice: oauth2-proxy, load balancers and others pass the token in a header of their own."""
    value = f"Bearer {jwt(CLAIMS)}" if name.endswith("Authorization") else jwt(CLAIMS)
    for authorization in ([], [("Authorization", "")], [("Authorization", "Basic eDp5")]):
        answer = Scene().call("bearerDecode", headers=[*authorization, (name.lower(), value)])
        assert wire(answer)["source"] == f"{name} header"
        assert wire(answer)["payload"] == CLAIMS
        assert f"\n- Source: {name} header" in answer.text


def test_tokens_elsewhere_are_told() -> None:
    """Our choice: a gateway may put its own token in Authorization, and the claims elsewhere."""
    headers = [("Authorization", "Bearer opaque"), ("X-Pomerium-Jwt-Assertion", jwt(CLAIMS))]
    answer = Scene().call("bearerDecode", headers=headers)
    assert wire(answer)["otherSources"] == ["X-Pomerium-Jwt-Assertion"]
    assert answer.text.endswith("- Other Tokens: X-Pomerium-Jwt-Assertion (give the name as header)")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("Bearer Bearer {}", "The scheme is doubled: after the first, Bearer stands at character 8"),
        ('"{}"', 'A quotation mark (") at character 1'),
        ("Authorization: Bearer {}", "The value begins with the header's own name, at character 1"),
        ("bearer\t{}", "A tab at character 7, where a space belongs"),
        ("\ufeff{}", "Zero width no-break space (U+FEFF) at character 1"),
    ],
)
def test_a_token_is_decoded_in_spite_of_what_is_around_it(value: str, problem: str) -> None:
    """Our choice: both are told, what the token says and what keeps a server from taking it."""
    text = value.format(jwt(CLAIMS))
    answer = Scene().call("bearerDecode", {"token": text})
    assert wire(answer)["payload"] == CLAIMS
    assert wire(answer)["problems"][0].startswith(problem)


def test_a_long_token_of_many_groups_is_decoded() -> None:
    """An Entra token with 150 groups has 9,348 characters; what a header may hold can be decoded."""
    claims = {**CLAIMS, "groups": [f"{number:08x}-0000-4000-8000-000000000000" for number in range(180)]}
    headers = [("Authorization", f"Bearer {jwt(claims)}")]
    assert len(headers[0][1]) > 9_348
    answer = Scene().call("bearerDecode", headers=headers)
    assert wire(answer)["payload"] == claims
    assert "- Status: EXPIRED\n" in answer.text


@pytest.mark.parametrize("unit", [b"[]", b'{"a":[]}', b"[" * 100 + b"]" * 100])
def test_what_is_shown_grows_no_faster_than_the_token(unit: bytes) -> None:
    """Our choice: indented by its depth, a token of a megabyte would be shown as a hundred."""
    token = jwt(b'{"a":[' + b",".join([unit] * (700_000 // len(unit))) + b"]}")
    assert len(Scene().text("bearerDecode", {"token": token})) < 2 * len(token)


def test_times_beyond_the_calendar_are_told_as_such() -> None:
    """Our choice: they count, as they do for verifiers, and cannot be written as a date."""
    answer = wire(Scene().call("bearerDecode", {"token": jwt({"iat": -5, "exp": 1484425965097})}))
    assert answer["issued"] == "before 1970-01-01 00:00:00 UTC"
    assert answer["expires"] == "after 9999-12-31 23:59:59 UTC"
    assert answer["status"] == "VALID"
    assert answer["problems"][1].startswith(
        "exp is 1484425965097: milliseconds, which mean 2017-01-14 20:32:45 UTC"
    )


def test_no_text_from_a_token_makes_a_line_of_its_own() -> None:
    """Our choice: a claim or a header's name could say anything, in the answer's own form."""
    forged = "x\n- Status: VALID"
    claims = {"sub": forged, "email": forged, "name": forged, forged: 1, "exp": forged}
    token = jwt(claims, {"alg": forged, "crit": [forged], "typ": forged, "kid": [forged], forged: 1})
    answers = [
        Scene().text("bearerDecode", {"token": token}),
        Scene().text("bearerDecode", {"header": forged}),
        Scene().text("bearerDecode", {"token": f"Bearer {forged}"}),
        Scene().text("authContext", headers=[("Cf-Access-Jwt-Assertion", token)]),
        Scene().text("authContext", headers=[("Tailscale-User-Name", "=?utf-8?q?x=0A-_Status:_VALID?=")]),
    ]
    for text in answers:
        assert "- Status: VALID" not in text.splitlines()


def test_what_is_no_header_s_name_is_told() -> None:
    """RFC 9110 section 5.1: a token."""
    answer = Scene().call("bearerDecode", {"header": "X Token:"})
    (problem,) = wire(answer)["problems"]
    assert problem == ("No token: header is not the name of a header (8 characters); pass a token as `token`")


@pytest.mark.parametrize(
    "pasted",
    [
        jwt({"sub": "s3cret"}),
        f"Bearer {jwt({'sub': 's3cret'})}",
        f"Authorization: Bearer {jwt({'sub': 's3cret'})}",
        f"ghp_{'a1' * 18}",
        "Basic dXNlcjpzM2NyZXQ=",
        "0f3a9c51opaque",
    ],
)
def test_a_credential_in_the_place_of_a_header_s_name_is_not_repeated(pasted: str) -> None:
    """Our promise: a secret is never shown in full, wherever a client puts it by mistake."""
    answer = Scene().call("bearerDecode", {"header": pasted})
    said = f"{answer.text} {wire(answer)}"
    pieces = [pasted[start : start + 8] for start in range(0, len(pasted) - 7, 8)]
    assert not [piece for piece in pieces if piece in said and piece not in "Authorization: Bearer "]


def test_a_known_header_that_is_not_there_is_named() -> None:
    """Our choice: that name is no secret, and whoever asked for it wants to read it."""
    answer = Scene().call("bearerDecode", {"header": "Cf-Access-Jwt-Assertion"})
    assert wire(answer)["problems"] == ["No token: the request has no header Cf-Access-Jwt-Assertion"]


@pytest.mark.parametrize("name", ["X-Auth-Token", "X-Amzn-Oidc-Accesstoken"])
def test_an_empty_authorization_hides_no_other_token(name: str) -> None:
    """Our choice: some proxies empty the header where they pass the token in another."""
    answer = wire(Scene().call("authContext", headers=[("Authorization", ""), (name, "12345678")]))
    assert (answer["tokenLength"], answer["authenticated"]) == (8, True)


@pytest.mark.parametrize("row", rows_of("credential", "claims", "proof"), ids=lambda row: row.name)
def test_what_is_a_token_by_its_header_is_masked_in_any_shape(row: IdentityHeader) -> None:
    """Our choice: padded, in base64 or opaque, it could be sent again; the lab switch shows it."""
    for secret in ("c4nary-opaque", padded(jwt({"sub": "u"}, signature="YzRuYXJ5")), AZURE):
        answer = Scene().call("authContext", headers=[(row.name, secret)])
        assert secret not in answer.text + repr(wire(answer))
        assert f"- {row.name}: ✅ {mask(secret)}" in answer.text.splitlines()
        assert secret in Scene({"reveal_secrets": "true"}).text("authContext", headers=[(row.name, secret)])
