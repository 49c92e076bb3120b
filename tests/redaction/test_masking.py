"""Keeping secrets out of whatever leaves the server."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.host.logs import _SHORTEST_MASKED
from mcp_echo.redaction import (
    fingerprint,
    mask,
    mask_cookies,
    mask_credentials,
    mask_header,
    mask_json,
    mask_known,
    mask_session_ids,
    mask_tokens,
    mask_userinfo,
    one_line,
    printable,
    secrets_in,
    split_credentials,
)
from mcp_echo.redaction.names import is_secret_name

# The upper-case Z at the start cannot come from the masks' own words or from hexadecimal digits.
secrets = st.from_regex(r"Z[A-Za-z0-9._~+/-]{7,60}", fullmatch=True)
quiet_words = st.from_regex(r"[a-y]{1,10}", fullmatch=True)


@given(st.text(st.characters(categories=["L", "N"]), max_size=_SHORTEST_MASKED - 1))
def test_short_text_of_letters_and_digits_alone_has_nothing_to_mask(text: str) -> None:
    """Our choice, which the log relies on to pass such text by."""
    assert mask_session_ids(mask_tokens(text), lambda _: True) == text


SECRET_HEADERS = [
    "X-Serverless-Authorization",
    "X-MasterKey",
    "X-Auth",
    "X-Passphrase",
    "X-User-Pwd",
    "Authorization",
    "Cookie",
    "Mcp-Session-Id",
    "Proxy-Authorization",
    "Set-Cookie",
    "X-Amz-Security-Token",
    "X-Api-Key",
    "X-Auth-Request-Access-Token",
    "X-Auth-Token",
    "X-CSRF-Token",
    "X-Forwarded-Access-Token",
    "X-Id-Token",
    "Private-Token",
    "Cf-Access-Jwt-Assertion",
    "X-Client-Secret",
    "X-Hub-Signature-256",
    "apikey",
    "X-Password",
]


def test_a_mask_tells_length_and_fingerprint() -> None:
    """Our choice: enough to see whether two requests carried the same secret."""
    digest = hashlib.sha256(b"hunter2!").hexdigest()
    assert fingerprint("hunter2!") == digest[:8]
    assert mask("hunter2!") == f"[8 characters, sha256 {digest[:8]}]"


@given(st.text())
def test_any_text_can_be_masked(secret: str) -> None:
    """Our choice: a lone surrogate must not make the mask fail and so show more than the secret."""
    assert mask(secret).startswith(f"[{len(secret)} characters, sha256 ")


@pytest.mark.parametrize("name", SECRET_HEADERS)
def test_headers_that_carry_secrets_are_known_in_any_spelling(name: str) -> None:
    """RFC 9110 section 5.1: field names are case-insensitive."""
    assert is_secret_name(name)
    assert is_secret_name(name.upper())


@pytest.mark.parametrize(
    "name", ["Host", "User-Agent", "X-User-Id", "X-Token-Type", "Accept", "X-Request-Id"]
)
def test_other_headers_are_shown(name: str) -> None:
    """Our choice: a diagnosis needs what is no secret."""
    assert not is_secret_name(name)
    assert mask_header(name, "value") == "value"


@given(st.sampled_from(SECRET_HEADERS), secrets)
def test_no_secret_header_value_survives(name: str, secret: str) -> None:
    """Our choice: secrets are redacted by default."""
    for value in (secret, f"Bearer {secret}", f"a={secret}; b={secret}", f"sid={secret}"):
        assert secret not in mask_header(name, value)


@given(secrets, secrets)
def test_no_cookie_value_survives_and_names_stay(first: str, second: str) -> None:
    """RFC 6265 section 4.2.1: names tell which cookie was lost; values are the secret."""
    shown = mask_cookies(f"sid={first};theme={second}=x; {first}")
    assert first not in shown
    assert second not in shown
    assert re.findall(r"(\w+)=", shown) == ["sid", "theme"]


@given(secrets)
def test_no_credentials_survive_and_the_scheme_stays(secret: str) -> None:
    """RFC 9110 section 11.4: the scheme is no secret and the first thing to look at."""
    assert mask_credentials(f"Bearer {secret}") == f"Bearer {mask(secret)}"
    assert mask_credentials(f"Digest  {secret}, x={secret}") == f"Digest {mask(f'{secret}, x={secret}')}"
    assert secret not in mask_credentials(secret)


@given(secrets.filter(lambda secret: "/" not in secret), quiet_words)
def test_no_password_in_a_url_survives(secret: str, host: str) -> None:
    """RFC 3986 section 3.2.1: applications should not render the user information of a URL."""
    url = f"redis://user:{secret}@{host}:6379/0"
    assert mask_userinfo(url) == f"redis://***@{host}:6379/0"
    assert mask_header("Referer", f"see {url} and {url}").count("***") == 2


def test_an_at_sign_in_a_path_is_no_user_information() -> None:
    """RFC 3986 section 3.2: the authority ends at the first slash."""
    assert mask_userinfo("https://example.com/@name") == "https://example.com/@name"


SECRET_MEMBERS = [
    "token",
    "access_token",
    "client_secret",
    "password",
    "apiKey",
    "api-key",
    "credentials",
    "jwt",
]


@given(st.sampled_from(SECRET_MEMBERS), secrets, quiet_words)
def test_no_secret_member_survives_at_any_depth(member: str, secret: str, other: str) -> None:
    """Our choice: JSON that is logged is redacted like headers are."""
    shown = mask_json({other: [{member: secret}, {"ok": other}], member: secret})
    assert secret not in repr(shown)
    assert other in repr(shown)


@given(secrets)
def test_no_secret_inside_a_secret_member_survives(secret: str) -> None:
    """Our choice: what stands under a member named for secrets is secret, however it is wrapped."""
    for wrapped in ([secret], {"value": secret}, {"a": [{"b": secret}]}):
        assert secret not in repr(mask_json({"tokens": wrapped}))


def test_a_jwt_is_masked_wherever_it_stands() -> None:
    """RFC 7519: a token is recognisable by its encoded header, whatever the member is called."""
    token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJaIn0.c2ln"
    shown = mask_json({"note": f"got {token} today", "list": [token]})
    assert token not in repr(shown)
    assert shown["note"] == f"got {mask(token)} today"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | quiet_words,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(quiet_words.filter(lambda w: w not in {"jwt"}), inner, max_size=3)
        ),
    )
)
def test_json_without_secrets_stays_as_it_is(value: object) -> None:
    """Our choice: redaction must not disturb what it does not hide."""
    if not re.search(r"token|secret|passw|apikey|credential|signature|jwt|assertion", repr(value)):
        assert mask_json(value) == value


# Characters that act on a terminal, a log viewer or the reading order, listed on their own.
ACTING = "".join(
    map(
        chr,
        (
            *range(0x20),
            *range(0x7F, 0xA0),
            0x061C,
            0x200E,
            0x200F,
            *range(0x2028, 0x202F),
            *range(0x2066, 0x206A),
        ),
    )
)
texts = st.text(st.sampled_from(ACTING + "\ud800\udfff") | st.characters())


@given(texts)
def test_shown_text_acts_on_nothing_and_can_be_encoded(text: str) -> None:
    """Our choice: what a client sent must not drive the terminal of the person who reads it."""
    shown = printable(text)
    assert not set(shown) & (set(ACTING) - set("\n\t"))
    shown.encode("utf-8")


@given(texts)
def test_a_log_line_is_one_line(text: str) -> None:
    """CWE-117: a line feed in what a client sent must not begin a line of its own."""
    shown = one_line(text)
    assert not set(shown) & set(ACTING)
    assert len(shown.splitlines()) <= 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", r"\x1b[31m"),
        ("a\u2028b", r"a\u2028b"),
        ("\r\n\t", "\\x0d\n\t"),
        ("\ud800", r"\ud800"),
        ("é😀", "é😀"),
    ],
)
def test_acting_characters_are_shown_as_escapes_and_others_as_they_are(text: str, shown: str) -> None:
    """Our choice: visible, not dropped, for a diagnosis."""
    assert printable(text) == shown


@pytest.mark.parametrize("value", ["Q7x9 and more", "a1 b2", "Zx81", "twenty-one-letters-or-more rest"])
def test_a_blank_in_a_secret_makes_no_scheme_of_its_beginning(value: str) -> None:
    """RFC 9110 section 11.4 puts a scheme first; what has none is a secret from its first character on."""
    assert split_credentials(value) == (None, value)


@pytest.mark.parametrize("scheme", ["Bearer", "basic", "AWS4-HMAC-SHA256", "SCRAM-SHA-256", "PrivateToken"])
def test_a_scheme_is_told_from_its_credentials(scheme: str) -> None:
    """RFC 9110 section 11.4; the registered schemes, and plain words for those that are not."""
    assert split_credentials(f"{scheme} Zx81") == (scheme, "Zx81")


def test_credentials_in_running_text_are_masked_and_sentences_stay() -> None:
    """Our choice: a digit tells the one from the other."""
    assert "s3cr3tvalue" not in mask_tokens("sent Authorization: Bearer s3cr3tvalue, got 401")
    assert mask_tokens("a bearer certificate and basic authentication") == (
        "a bearer certificate and basic authentication"
    )


def test_a_number_under_a_telling_name_is_masked() -> None:
    """Our choice: a PIN is a secret; how many tokens a model may use is none."""
    assert "8341" not in str(mask_json({"password": 8341}))
    assert mask_json({"maxTokens": 8341, "secret": None}) == {"maxTokens": 8341, "secret": None}


def test_secrets_of_a_request_are_masked_in_whatever_quotes_them() -> None:
    """Our choice: code that fails quotes a header, a cookie, an argument, as it is or as repr has it."""
    fields = [
        ("Authorization", "Basic dTpwdw=="),
        ("Cookie", "sid=c00kie"),
        ("X-Api-Key", "it's"),
        ("A", "b"),
    ]
    secrets = secrets_in(fields, b'{"arguments":{"password":"pa\\nss","n":1},"tokens":[90210]}')
    quoted = f"{fields} dTpwdw== c00kie {{'password': 'pa\\nss'}} 90210"

    shown = mask_known(quoted, secrets)

    assert all(secret not in shown for secret in ("dTpwdw==", "c00kie", "it's", "pa\\nss", "90210"))
    assert "('A', 'b')" in shown


def test_a_body_that_is_no_json_has_no_members_to_look_for() -> None:
    """Our choice: the failure to read it is not the failure to be written down."""
    assert secrets_in([], b"\xff") == secrets_in([], b"[" * 100_000) == frozenset()


def test_what_is_too_short_to_guard_anything_is_not_looked_for() -> None:
    """Our choice: to mask each 1 in a traceback would leave nothing to read."""
    assert secrets_in([("X-Api-Key", "1")], b'{"token":"on"}') == frozenset()
