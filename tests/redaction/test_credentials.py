"""No known kind of credential is shown, in whatever text it stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.redaction import excerpt, mask_header, mask_json, mask_tokens
from mcp_echo.redaction.names import is_secret_name
from mcp_echo.redaction.text import LONGEST_QUOTE
from tests.credentials import CREDENTIALS, WRAPPINGS, Credential

SECRET = "c4naryQ7Zx81Lm3Tv9"

kinds = pytest.mark.parametrize("kind", CREDENTIALS)


def check(credential: Credential, shown: str) -> None:
    assert [secret for secret in credential.secrets if secret in shown] == [], shown


@kinds
def test_a_credential_is_masked_by_its_shape_in_a_header_of_any_name(kind: str) -> None:
    """Each kind's own specification."""
    credential = CREDENTIALS[kind](SECRET)
    for wrap in WRAPPINGS.values():
        check(credential, mask_header("X-Whatever", wrap(credential.text)))


@kinds
def test_a_credential_is_masked_wherever_it_stands_in_json(kind: str) -> None:
    """Our choice: bodies are logged, and errors quote them."""
    credential = CREDENTIALS[kind](SECRET)
    for wrap in WRAPPINGS.values():
        check(credential, repr(mask_json({"a": [wrap(credential.text)], wrap(credential.text): 1})))


@kinds
def test_what_a_cut_leaves_of_a_credential_is_masked_too(kind: str) -> None:
    """A text is cut before it is masked, and no half of a secret may be left."""
    credential = CREDENTIALS[kind](SECRET)
    for short in range(0, len(credential.text), 7):
        text = f"{'a ' * ((LONGEST_QUOTE - short) // 2)}{credential.text} and more"
        check(credential, excerpt(text))


@kinds
def test_masking_twice_changes_nothing(kind: str) -> None:
    """What has been masked passes other masks on its way out."""
    masked = mask_tokens(f"got {CREDENTIALS[kind](SECRET).text} today")
    assert mask_tokens(masked) == masked


texts = st.text(st.sampled_from("abcXYZ019 .,:;=&?#%@/+-_~'\"{}[]()<>\n")) | st.text()


@given(texts, st.sampled_from(sorted(CREDENTIALS)), texts)
def test_a_credential_is_masked_between_any_two_texts(before: str, kind: str, after: str) -> None:
    """Whatever a client writes around it, with a blank between."""
    credential = CREDENTIALS[kind](SECRET)
    check(credential, mask_tokens(f"{before} {credential.text} {after}"))


@given(st.text())
def test_any_text_can_be_masked_for_good(text: str) -> None:
    """A mask must not fail, and so show more than a secret."""
    mask_tokens(text).encode("utf-8", "surrogatepass")
    mask_header("X-Whatever", text)


HARMLESS = {
    "Accept": "application/json, text/event-stream;q=0.9",
    "baggage": "userId=alice,serverNode=DF%2028,isProduction=false",
    "Forwarded": 'for=192.0.2.60;proto=http;by=203.0.113.43, for="[2001:db8::1]"',
    "Host": "localhost:3000",
    "If-None-Match": 'W/"e30f9a12-abcdef", "33a64df551425fcc55e4d42a148795d9f25f89d4"',
    "Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324",
    "Last-Event-ID": "g1-12",
    "Mcp-Name": "echo://session/es",
    "Priority": "u=1, i",
    "Referer": "https://app.example/page?tab=keys&sort=token_type#top",
    "Sec-CH-UA": '"Chromium";v="128", "Not;A=Brand";v="24"',
    "Signature-Input": 'sig1=("@method" "@authority");created=1618884473;keyid="test-key-rsa-pss"',
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0",
    "Via": "1.1 varnish, 1.1 google",
    "X-Amz-Cf-Id": "Zm9vYmFyLWJhei1xdXV4LWNvcmdlLWdyYXVsdA==",
    "X-Amzn-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793",
    "X-Forwarded-Client-Cert": 'By=spiffe://cluster.local/ns/a;Hash=468ed33be74eee65;Subject="CN=a"',
    "X-Jwt-Claim-Sub": "alice",
    "X-MS-CLIENT-PRINCIPAL": "eyJhdXRoX3R5cCI6ImFhZCIsImNsYWltcyI6W3sidHlwIjoibiIsInZhbCI6ImEifV19",
    "X-Request-Id": "631fc62c-7c06-4d0f-8a9e-7f7a3a8d2b11",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_no_secret_is_shown(name: str) -> None:
    """A diagnosis needs what is no secret; each is an example of its own specification or vendor."""
    assert not is_secret_name(name)
    assert mask_header(name, HARMLESS[name]) == HARMLESS[name]


@pytest.mark.parametrize(
    "placeholder",
    ["${UNSET_VAR}", "$TOKEN", "%API_KEY%", "{{token}}", "{token}", "<your token>", "undefined", "null",
     "None", "[object Object]", "YOUR_TOKEN_HERE", "your-api-key", "$(TOKEN)", "${env:MY_TOKEN}"],
)  # fmt: skip
def test_a_placeholder_that_nobody_filled_in_is_shown(placeholder: str) -> None:
    """It is no secret, and it is the fault that somebody looks for."""
    assert mask_header("Authorization", f"Bearer {placeholder}") == f"Bearer {placeholder}"
    assert mask_header("X-Api-Key", placeholder) == placeholder
    assert mask_json({"token": placeholder}) == {"token": placeholder}


@pytest.mark.parametrize(
    "secret",
    ["$ecret99", "$2b$12$abcdefghijk", "{hunter2}!", "correct horse battery staple", "%41%42", "null1"],
)
def test_a_secret_that_looks_a_little_like_a_placeholder_is_masked(secret: str) -> None:
    """The doubt speaks for the mask."""
    assert secret not in mask_header("Authorization", secret)
    assert secret not in mask_header("X-Api-Key", secret)


def test_a_first_word_that_is_no_scheme_is_not_shown() -> None:
    """RFC 9110 section 11.4: what has no scheme is a secret from its first character on."""
    assert mask_header("Authorization", "correct horse battery staple").startswith("[28 characters")
