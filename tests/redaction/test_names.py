"""Which names say that what they name is a secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.redaction.names import ABOUT, LAST, NOUNS, OTHERWISE, Noun, is_secret_name, is_secret_parameter

SECRET = """
    Authorization Proxy-Authorization X-Original-Authorization authorisation X-Emby-Authorization Cookie
    Set-Cookie Cookie2 cookies JSESSIONID PHPSESSID ASP.NET_SessionId connect.sid csrftoken X-Api-Key
    ApiKey api_key apikey X-API-KEYS Ocp-Apim-Subscription-Key x-functions-key X-Goog-Api-Key X-Auth-Key
    access_key accessKeyId AWSAccessKeyId privateKey private-key secretKey X-MasterKey key Key
    signing_key SSH_KEY X-Key encryptionKey AccountKey SharedAccessKey token access_token accessToken
    X-Amzn-Oidc-Accesstoken refreshToken id_token_hint PRIVATE-TOKEN X-Vault-Token device_token
    subject_token X-Token-1 tokens bearer X-Bearer-Value secret client_secret clientSecret CLIENT_SECRET
    secret_number secrets X-Secret-Value password passwd passphrase X-User-Pwd pass password2
    password_confirmation passwordConfirm newPassword passcode credentials X-Amz-Credential credential
    jwt JWT X-Jwt assertion client_assertion Cf-Access-Jwt-Assertion signature X-Hub-Signature-256
    X-Amz-Signature Stripe-Signature Signature code_verifier DPoP X-Registry-Auth auth X-Auth basicAuth
    sig otp totp pin hmac SAMLResponse SAMLRequest ticket Mcp-Session-Id sessionId session_id
    X-Session-Token SAMLart X-Pass-Word Access-Key-Id SAML-Response
""".split()

NONE = """
    Host Accept User-Agent Origin Referer X-Request-Id X-User-Id Content-Length traceparent Mcp-Name
    Last-Event-ID X-Jwt-Claim-Sub X-Jwt-Claim-Email X-Jwt-Kid Idempotency-Key Signature-Input
    Sec-WebSocket-Key Surrogate-Key X-Cache-Key partitionKey primary_key sortKey routing-key
    Public-Key-Pins publicKey X-Token-Type token_type tokenType tokenLength token_endpoint
    X-Token-Expires X-Auth-Method X-Key-Id key_id kid X-Api-Key-Id X-Signature-Timestamp
    X-Signature-Algorithm X-Password-Policy X-Cookie-Name client_assertion_type maxTokens max_tokens
    total_tokens promptTokens progressToken nextPageToken pageToken continuationToken next_token monkey
    keyboard turkey keyword tokenizer author oauth passenger bypass Authenticate WWW-Authenticate code
    state nonce session sessions
""".split()


@pytest.mark.parametrize("name", SECRET)
def test_names_of_secrets_are_known_however_they_are_written(name: str) -> None:
    """Our choice, after the sources that the table names."""
    assert is_secret_name(name)


@pytest.mark.parametrize("name", NONE)
def test_names_that_tell_something_about_a_secret_are_no_secrets(name: str) -> None:
    """A diagnosis needs what is no secret."""
    assert not is_secret_name(name)


@pytest.mark.parametrize("noun", [*NOUNS, *LAST], ids=lambda noun: noun.word)
@pytest.mark.parametrize("form", ["{}", "X-{}", "x_{}", "my.{}", "{}1", "X-Backend-{}"])
def test_each_noun_of_the_table_names_a_secret(noun: Noun, form: str) -> None:
    """Each row's own source."""
    for word in (noun.word, noun.word.upper(), noun.word.title()):
        assert is_secret_name(form.format(word))
    assert noun.source


@pytest.mark.parametrize("last", sorted(ABOUT))
def test_each_last_word_of_the_table_makes_a_name_tell_about_a_secret(last: str) -> None:
    """Our choice."""
    assert not is_secret_name(f"X-Token-{last.title()}")


@pytest.mark.parametrize(
    ("noun", "before"), [(noun, word) for noun, words in OTHERWISE.items() for word in sorted(words)]
)
def test_each_word_before_a_noun_makes_it_something_else(noun: str, before: str) -> None:
    """Our choice."""
    assert not is_secret_name(f"{before}_{noun}")
    assert not is_secret_name(f"x-{before}-{noun}")


@given(st.text(max_size=40), st.sampled_from(["token", "secret", "password", "credential"]))
def test_whatever_stands_before_a_noun_it_names_a_secret_unless_the_table_says_otherwise(
    before: str, noun: str
) -> None:
    """Our choice: a vendor's prefix makes no secret harmless."""
    last = "".join(character for character in before if character.isalpha()).lower()
    if not last.endswith(tuple(OTHERWISE["token"])):
        assert is_secret_name(f"{before}-{noun}")


def test_a_code_is_a_secret_in_a_url_and_none_in_json() -> None:
    """RFC 6749 section 4.1.2, and JSON-RPC 2.0 section 5.1, whose errors have a code."""
    assert is_secret_parameter("code")
    assert not is_secret_name("code")


@given(st.text())
def test_any_text_can_be_a_name(name: str) -> None:
    """A client names its members as it likes."""
    assert is_secret_name(name) in (True, False)
