"""What stands where a JWT was expected, and is told for what it is."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.auth import jwt as reader
from mcp_echo.redaction.prefixes import PREFIXES
from tests.growth import ONE_AT_A_TIME, best_of_both, is_steep, repeated
from tests.tools.support import RS256, Scene, base64url, jwt, wire

TOKEN = jwt({"sub": "x"})
HEADER = base64url(RS256)


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


LOOKALIKES = {
    "a placeholder": ("${TOKEN}", "it is ${TOKEN}, a placeholder that was not filled in"),
    "a token response": (json.dumps({"access_token": TOKEN}), "a whole token response"),
    "an ID token response": (json.dumps({"id_token": TOKEN}), "a whole token response"),
    "an error response": ('{"error":"invalid_grant"}', "an error response"),
    "a JWK": ('{"kty":"RSA","n":"AQAB","e":"AQAB"}', "a key (JWK, RFC 7517)"),
    "a private JWK": ('{"kty":"EC","d":"AQAB"}', "a private key (JWK, RFC 7517)"),
    "a JWK set": ('{"keys":[]}', "a set of keys"),
    "a JWS in JSON": ('{"payload":"e30","signatures":[]}', "a JWS in JSON (RFC 7515 section 7.2.1)"),
    "a flattened JWS": (
        '{"payload":"e30","signature":"AA"}',
        "a JWS in flattened JSON (RFC 7515 section 7.2.2)",
    ),
    "a JWE in JSON": ('{"ciphertext":"AA","protected":"e30"}', "a JWE in JSON (RFC 7516 section 7.2)"),
    "claims": ('{"iss":"https://a","sub":"x"}', "claims alone, not encoded and not signed"),
    "a header": ('{"alg":"RS256"}', "a token's header alone"),
    "a service account": ('{"private_key":"x","client_email":"y"}', "key file of a Google service account"),
    "other JSON": ("[1]", "it is JSON: neither an object nor a token"),
    "broken JSON": ('{"access_token":', "it is JSON: neither an object nor a token"),
    "PEM": ("-----BEGIN RSA PRIVATE KEY-----\nAAAA", "it is a PEM file (rsa private key)"),
    "PEM in base64": (base64_of(b"-----BEGIN CERTIFICATE-----"), "a PEM file in base64"),
    "SAML": (base64_of(b'<samlp:Response xmlns:samlp="urn:x">'), "it is a SAML message in base64"),
    "SAML in XML": ('<saml2:Assertion ID="x">', "it is XML: a SAML assertion?"),
    "PASETO v4 public": ("v4.public.eyJzdWIiOiJ4In0AAAA", "it is a PASETO v4.public token (signed)"),
    "PASETO v2 local": ("v2.local.AAAA.footer", "it is a PASETO v2.local token (encrypted)"),
    "an SD-JWT": (f"{TOKEN}~WyJhIl0~WyJiIl0~", "it is an SD-JWT (RFC 9901): a JWT, then 2 disclosures"),
    "an SD-JWT with a key": (
        f"{TOKEN}~WyJhIl0~{TOKEN}",
        "then 1 disclosures behind a tilde (~) each and a key binding JWT",
    ),
    "a nested JWT": (jwt(TOKEN.encode(), {**RS256, "cty": "JWT"}), "it is a nested JWT"),
    "a nested JWE": (jwt(b"e30.a.b.c.d", {**RS256, "cty": "JWT"}), "it is a nested JWT"),
    "a detached payload": (f"{HEADER}..{base64url(b's' * 256)}", "its payload is detached"),
    "an unencoded payload": (
        f"{base64url({'alg': 'HS256', 'b64': False, 'crit': ['b64']})}.plain.AAAA",
        "its payload is not encoded (b64 is false, RFC 7797)",
    ),
    "cut off": (TOKEN.rpartition(".")[0], "it is cut off, its signature is missing"),
    "shortened": (f"{TOKEN[:20]}...{TOKEN[-5:]}", "a shortened copy: three dots at character 21"),
    "shortened by an ellipsis": (f"{TOKEN[:20]}…", "a shortened copy: an ellipsis at character 21"),
    "percent-encoded": (TOKEN.replace(".", "%2E"), "it is percent-encoded: %2E at character 41"),
    "encoded twice": (base64_of(TOKEN.encode()), "a JWT that was encoded in base64 once more"),
    "Basic credentials": (base64_of(b"alice:secret"), "a user name of 5 characters, a colon and a password"),
    "base64 of JSON": (base64_of(b'{"auth_typ":"aad","claims":[]}'), "the principal of Azure App Service"),
    "base64 of claims": (
        base64url({"iss": "https://a"}),
        "it has 1 part, with no signature: base64 of JSON, claims",
    ),
    "a cookie": (f"session={TOKEN}", "it has a name before it: the token begins at character 9"),
    "a URL": (f"https://a.example/cb#access_token={TOKEN}", "it is a URL"),
    "a Flask session": ("eyJ1c2VyIjoxfQ.Zx1abw.c2lnbmF0dXJl", "a signed session of a web framework?"),
    "a Fernet token": ("gAAAAABnRk5k" + "Zm9v" * 20, "it is a Fernet token, which is encrypted"),
    "a UUID": ("550e8400-e29b-41d4-a716-446655440000", "it is a UUID"),
    "an opaque token": ("at-14fa32273d86abd1bdce81f1", "it has 1 part, without a dot"),
    "four parts": (f"{TOKEN}.AAAA", "it has 4 parts separated by dots; a JWT has three"),
}


@pytest.mark.parametrize("what", LOOKALIKES)
def test_what_is_no_jwt_is_told_for_what_it_is(what: str) -> None:
    """Our choice: a wrong kind of token is the commonest finding, and its name is half the way home."""
    text, words = LOOKALIKES[what]
    answer = Scene().call("bearerDecode", {"token": text})
    assert wire(answer)["isJwt"] is False
    assert words in wire(answer)["problems"][0]


def test_a_token_without_alg_is_told_where_it_breaks() -> None:
    """Our choice: what it may be instead is said of what looks like that alone."""
    with pytest.raises(reader.NotAToken, match="its signature is not base64url: a space at character 12"):
        reader.read("e30.e30.abc def")


@pytest.mark.parametrize("row", PREFIXES, ids=lambda row: row.prefix)
def test_an_opaque_token_is_told_by_its_issuer_s_prefix(row: object) -> None:
    """Each issuer's own page, named in the table."""
    prefix, kind = row.prefix, row.kind  # type: ignore[attr-defined]
    with pytest.raises(reader.NotAToken) as refused:
        reader.read(prefix + "a1B2" * 25)
    assert f"by its prefix {prefix} it is a token of the kind {kind}" in str(refused.value)


@given(st.text(max_size=80) | st.binary(max_size=60).map(base64_of) | st.text(max_size=20).map("eyJ".__add__))
def test_whatever_it_is_no_secret_of_it_is_shown(text: str) -> None:
    """Our choice: problems are shown; what was decoded is not quoted in them."""
    try:
        reader.read(text)
    except reader.NotAToken as error:
        said = str(error)
    else:
        return
    for start in range(len(text) - 12):
        piece = text[start : start + 12]
        assert piece not in said or "placeholder" in said


@ONE_AT_A_TIME
@pytest.mark.parametrize(
    "unit", ["eyJ", ".", "~", "%2E", "…", "{", "v4.public.", "a=eyJ", "<saml", "AAAA", " ", "-"]
)
def test_time_grows_with_the_text_and_no_faster(unit: str) -> None:
    """Our choice: a token may be as long as a body, so that nothing may look at it again and again."""
    short, long = (partial(refuse, repeated(unit, length)) for length in (40_000, 320_000))
    assert not is_steep(*best_of_both(short, long, 3), 3)


def refuse(text: str) -> None:
    with suppress(reader.NotAToken):
        reader.read(text)
