"""What the value of an Authorization field says, and which character breaks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.auth import credentials
from mcp_echo.auth.credentials import MOST_PROBLEMS
from mcp_echo.redaction.schemes import SCHEMES
from tests.tools.support import jwt

TOKEN = jwt({"sub": "x"})


@pytest.mark.parametrize("scheme", [scheme.name for scheme in SCHEMES])
def test_every_known_scheme_is_read_in_any_spelling(scheme: str) -> None:
    """RFC 9110 section 11.1: case-insensitive."""
    for spelled in (scheme, scheme.lower(), scheme.upper()):
        given = credentials.read(f"{spelled} eDp5")
        assert (given.scheme, given.token, given.plausible) == (spelled, "eDp5", True)


@pytest.mark.parametrize(
    ("value", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("BEARER a.b-c_d~e+f/g==", "a.b-c_d~e+f/g=="),
        ("Basic eDp5", None),
        ("Bearer", None),
        ("Bearer a b", None),
        ("Bearerabc", None),
        ("", None),
    ],
)
def test_only_a_well_formed_bearer_token_is_one(value: str, token: str | None) -> None:
    """RFC 6750 section 2.1."""
    assert credentials.read(value).bearer == token


# What arrives in Authorization, the scheme in it, the token in it, and the first thing wrong with it.
BROKEN: list[tuple[str, str | None, str, str]] = [
    ("", None, "", "Authorization is empty: an unset variable in the client?"),
    ("Bearer", "Bearer", "", "Nothing follows Bearer: an unset variable in the client?"),
    ("bearer  ", "bearer", "", "Nothing follows bearer: an unset variable in the client?"),
    ("Basic", "Basic", "", "Nothing follows Basic: an unset variable in the client?"),
    (
        "Bearer Bearer abc",
        "Bearer",
        "abc",
        "The scheme is doubled: after the first, Bearer stands at character 8",
    ),
    (
        "Bearer bearer abc",
        "Bearer",
        "abc",
        "The scheme is doubled: after the first, bearer stands at character 8",
    ),
    (
        "Bearer Basic eDp5",
        "Bearer",
        "eDp5",
        "The scheme is doubled: after the first, Basic stands at character 8",
    ),
    ("Bearer Bearer", "Bearer", "", "The scheme is doubled: after the first, Bearer stands at character 8"),
    (
        "Bearer a,Bearer b",
        "Bearer",
        "a,Bearer b",
        "A comma (,) at character 9: two credentials in one value?",
    ),
    ("Bearer abc, def", "Bearer", "abc, def", "A comma (,) at character 11: two credentials in one value?"),
    ("Bearer a;b", "Bearer", "a;b", "A semicolon (;) at character 9: two credentials in one value?"),
    ('"Bearer abc"', "Bearer", "abc", 'A quotation mark (") at character 1'),
    ("'Bearer abc'", "Bearer", "abc", "An apostrophe (') at character 1"),
    ('Bearer "abc"', "Bearer", "abc", 'A quotation mark (") at character 8'),
    ("Bearer 'abc", "Bearer", "abc", "An apostrophe (') at character 8"),
    ('Bearer abc"', "Bearer", 'abc"', 'A quotation mark (") at character 11'),
    ("Bearer \u201cabc\u201d", "Bearer", "abc", "Left double quotation mark (U+201C) at character 8"),
    ("Bearer \xe9t\xe9", "Bearer", "\xe9t\xe9", "Latin small letter e with acute (U+00E9) at character 8"),
    (r"Bearer abc\n", "Bearer", r"abc\n", r"A backslash (\) at character 11: an escape such as \n"),
    ("Bearer abc\n", "Bearer", "abc\n", "A line feed at character 11"),
    (
        "Bearer a\u200bbc",
        "Bearer",
        "a\u200bbc",
        "Zero width space (U+200B) at character 9: it cannot be seen",
    ),
    (
        "Bearer \ufeffabc",
        "Bearer",
        "abc",
        "Zero width no-break space (U+FEFF) at character 8, before anything else",
    ),
    (
        "\ufeffBearer abc",
        "Bearer",
        "abc",
        "Zero width no-break space (U+FEFF) at character 1, before anything",
    ),
    ("Bearer\xa0abc", "Bearer", "abc", "No-break space (U+00A0) at character 7, where a space belongs"),
    ("Bearer\tabc", "Bearer", "abc", "A tab at character 7, where a space belongs"),
    ("Bearer a bc", "Bearer", "a bc", "A space at character 9: a token has no blanks"),
    ("Bearer a\tbc", "Bearer", "a\tbc", "A tab at character 9: a token has no blanks"),
    ("Bearer:abc", "Bearer", "abc", "A colon (:) at character 7, where a space belongs"),
    ("Bearer: abc", "Bearer", "abc", "A colon (:) at character 7, where a space belongs"),
    ("bearer=abc", "bearer", "abc", "An equals sign (=) at character 7, where a space belongs"),
    ("Bearer-abc", "Bearer", "abc", "The character - at character 7, where a space belongs"),
    ("Bearer%20abc", "Bearer", "abc", "A percent-encoded blank at character 7, where a space belongs"),
    ("Bearer+abc", "Bearer", "abc", "A plus sign (+) at character 7, where a space belongs"),
    ("Basic:eDp5", "Basic", "eDp5", "A colon (:) at character 6, where a space belongs"),
    ("Bearereyj", "Bearer", "eyj", "No space between Bearer and what begins at character 7"),
    (f"DPoP{TOKEN}", "DPoP", TOKEN, "No space between DPoP and what begins at character 5"),
    (
        "Authorization: Bearer abc",
        "Bearer",
        "abc",
        "The value begins with the header's own name, at character 1",
    ),
    (
        "Bearer Authorization: Bearer abc",
        "Bearer",
        "abc",
        "The value begins with the header's own name, at character 8",
    ),
    (
        "Bearer a%2Eb",
        "Bearer",
        "a%2Eb",
        "A percent sign (%) at character 9: percent-encoding belongs into URLs",
    ),
    ("Bearer abc...xyz", "Bearer", "abc...xyz", "Three dots at character 11: a shortened copy"),
    (
        "Bearer abc\u2026",
        "Bearer",
        "abc\u2026",
        "Horizontal ellipsis (U+2026) at character 11: a shortened copy",
    ),
    ("Bearer abc****", "Bearer", "abc****", "The character * at character 11: a masked copy"),
    (
        "Bearer a=b",
        "Bearer",
        "a=b",
        "An equals sign (=) at character 9: in a token it stands only at the end",
    ),
    (
        "Bearer <abc1>",
        "Bearer",
        "<abc1>",
        "An angle bracket (<) at character 8: a variable that was not filled in?",
    ),
    (
        'Bearer {"access_token":"a"}',
        "Bearer",
        '{"access_token":"a"}',
        "JSON at character 8: send the access_token",
    ),
    (
        '{"Authorization":"Bearer a"}',
        None,
        '{"Authorization":"Bearer a"}',
        "JSON at character 1, where a scheme",
    ),
    (TOKEN, None, TOKEN, "No scheme: a JWT begins at character 1, without Bearer and a space before it"),
    ("abcdef", None, "abcdef", "No scheme: Authorization is a scheme, a space and the credentials"),
    ("Baerer abc", None, "Baerer abc", "The first word looks like a misspelt scheme"),
    ("\u0412earer abc", None, "\u0412earer abc", "Cyrillic capital letter ve (U+0412) at character 1"),
    ("Bearer b'abc'", "Bearer", "b'abc'", "Bytes as Python shows them at character 8"),
    ("Basic Og==", "Basic", "Og==", "Basic credentials of an empty user name and an empty password"),
    ("Basic eDp5Cg==", "Basic", "eDp5Cg==", "Basic credentials whose password ends with a line feed"),
    (
        "Basic user:pass",
        "Basic",
        "user:pass",
        "Basic credentials are base64, which a colon (:) at character 11 is not: user",
    ),
    ("Basic eA==", "Basic", "eA==", "Basic credentials without a colon between user name and password"),
    ("Basic eDp", "Basic", "eDp", "Basic credentials are base64, which 3 of its characters cannot be"),
    (
        "Basic JHtVU0VSfTpw",
        "Basic",
        "JHtVU0VSfTpw",
        "Basic credentials whose user name or password is a placeholder",
    ),
    (
        "correct horse battery staple",
        None,
        "correct horse battery staple",
        "The first word is not a known scheme",
    ),
]


@pytest.mark.parametrize(("value", "scheme", "token", "problem"), BROKEN, ids=lambda value: repr(value)[:40])
def test_what_breaks_credentials_is_named_with_its_place(
    value: str, scheme: str | None, token: str, problem: str
) -> None:
    """Our choice: the character and where it stands are what one has to look for."""
    given = credentials.read(value)
    assert given.problems[0].startswith(problem)
    assert (given.scheme, given.token, given.is_placeholder) == (scheme, token, False)
    assert not given.plausible
    assert given.bearer is None


@pytest.mark.parametrize(
    "placeholder", ["${UNSET_VAR}", "$TOKEN", "%TOKEN%", "{{token}}", "<token>", "undefined", "null"]
)
def test_a_placeholder_is_named_and_keeps_no_secret(placeholder: str) -> None:
    """Our choice: it tells at once which variable was not set."""
    alone, after = credentials.read(placeholder), credentials.read(f"Bearer {placeholder}")
    assert (alone.scheme, after.scheme, after.token) == (None, "Bearer", placeholder)
    assert alone.problems[0].startswith(f"{placeholder} at character 1 is a placeholder")
    assert after.problems[0].startswith(f"{placeholder} at character 8 is a placeholder")
    assert (alone.is_placeholder, after.is_placeholder) == (True, True)
    assert (alone.plausible, after.plausible) == (False, False)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("Token abc", "Token is not a registered scheme: servers that take OAuth tokens expect Bearer"),
        ("Foo abc", "The first word is not a known scheme"),
    ],
)
def test_what_some_server_may_take_is_plausible_and_told(value: str, problem: str) -> None:
    """RFC 9110 section 11.4: a scheme, a space and a token68; the registry is open."""
    given = credentials.read(value)
    assert given.plausible
    assert given.problems[0].startswith(problem)


@pytest.mark.parametrize(
    "value",
    [
        'Digest username="u", realm="r", nonce="n", uri="/", response="0"',
        "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu/s3/aws4_request, SignedHeaders=host, Signature=00",
        'OAuth realm="x", oauth_token="y"',
        'Token token="abc"',
        "Negotiate YII=",
    ],
)
def test_lists_of_parameters_are_credentials(value: str) -> None:
    """RFC 9110 section 11.2: a scheme is followed by one token68 or by parameters."""
    assert credentials.read(value).plausible


ALPHABET = st.text(alphabet="Bearer basic:=,;'\"\u201c\u200b\xa0\t\n%20{}$<>.eyJ+/\\x\xe9", max_size=60)


@given(ALPHABET | st.text(max_size=60) | ALPHABET.map("Bearer ".__add__))
def test_any_value_is_read_and_an_implausible_one_says_why(value: str) -> None:
    """Our choice: it is whatever a client sends."""
    given = credentials.read(value)
    assert given.plausible or given.problems
    assert len(given.problems) <= MOST_PROBLEMS + 1
    assert given.token in value


@given(
    st.text(alphabet="0123456789ghijklm-_~+/ ,;'\"%{}<>\u2026*", min_size=12, max_size=60).map("q7".__add__)
)
def test_no_problem_contains_the_credentials(token: str) -> None:
    """Our choice: problems are shown to whoever reads the answer."""
    for value in (token, f"Bearer {token}", f"Basic {token}", f"Bearer: {token}"):
        given = credentials.read(value)
        assert given.is_placeholder or not any(token.strip() in problem for problem in given.problems)


def test_problems_are_bounded() -> None:
    """Our choice: one value of a header breaks in many ways and takes one screen."""
    given = credentials.read("Bearer " + "!\"#$%&'()*,:;<>?@[]^`{|}" * 50)
    assert len(given.problems) == MOST_PROBLEMS
    assert len(credentials.read('"' * 5000 + "Bearer " * 500).problems) <= MOST_PROBLEMS + 1
