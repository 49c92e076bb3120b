"""PyJWT as referee: what it refuses is told, and what is told beyond that is listed with the reason.

The corpus is the published examples of RFC 7515, 7516, 7519, 7520, 7797, 8037 and 9449, the header and claims
of RFC 9068 section 2.2, and tokens made here. PyJWT is asked about each member alone, since it stops at the
first that it refuses.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import jwt as pyjwt
import jwt.api_jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.auth import jwt as reader
from mcp_echo.auth.jwt_problems import problems_of
from tests.tools.support import NOON, RS256, base64url, padded
from tests.tools.support import jwt as made

NOW = int(NOON)
PUBLISHED: dict[str, str] = json.loads((Path(__file__).parent / "jwt_corpus.json").read_text())
CLAIMS = ("exp", "nbf", "iat", "sub", "jti", "aud", "iss")
HEADER = ("kid", "crit", "b64")
UNREADABLE = frozenset({"the token"})

HEADER_9068 = {"typ": "at+JWT", "alg": "RS256", "kid": "RjEwOwOA"}
CLAIMS_9068 = {
    "iss": "https://authorization-server.example.com/",
    "sub": "5ba552d67",
    "aud": "https://rs.example.com/",
    "exp": 1639528912,
    "iat": 1618354090,
    "jti": "dbe39bf3a3ba4238a513f51d6e1691c4",
    "client_id": "s6BhdRkqt3",
    "scope": "openid profile reademail",
}


def with_claims(**claims: Any) -> str:
    return made(claims)


def with_header(**header: Any) -> str:
    return made({"sub": "x"}, {**RS256, **header})


MADE = {
    "RFC 9068 2.2": made(CLAIMS_9068, HEADER_9068),
    "nothing": "",
    "opaque": "opaque",
    "two parts": "e30.e30",
    "four parts": made({}) + ".e30",
    "six parts": "a.b.c.d.e.f",
    "no claims": made({}),
    "payload a list": made([]),
    "payload a number": made(b"1"),
    "header a list": made({}, []),
    "no JSON": made(b"{"),
    "a BOM": made(b"\xef\xbb\xbf{}"),
    "UTF-16": made('{"sub":"x"}'.encode("utf-16-le")),
    "UTF-8 cut": made(b'{"sub":"\xc3"}'),
    "NaN": made(b'{"x":NaN}'),
    "half a character": made(b'{"x":"\\ud800"}'),
    "200 levels": made(b'{"x":' + b"[" * 200 + b"]" * 200 + b"}"),
    "5000 digits": made(b'{"x":' + b"9" * 5000 + b"}"),
    "exp 1e400": made(b'{"exp":1e400}'),
    "sub twice": made(b'{"sub":"a","sub":"b"}'),
    "padded": padded(with_claims(sub="x")),
    "padded too much": with_claims(sub="x") + "==",
    "padding alone": f"{base64url(RS256)}.=.AAAA",
    "standard base64": f"{base64url(RS256)}.e30.ab+/",
    "a blank inside": f"{base64url(RS256)}.e3 0.AAAA",
    "a line end": with_claims(sub="x") + "\n",
    "bits too many": f"{base64url(RS256)}.e31.AAAA",
    "no signature": made({}, signature=""),
    "no payload": f"{base64url(RS256)}..AAAA",
    "nested": made(made({}).encode(), {**RS256, "cty": "JWT"}),
    "JWE": f"{base64url({'alg': 'dir', 'enc': 'A256GCM'})}..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA",
    "SD-JWT": made({}) + "~WyJhIl0~",
    "PASETO": "v4.public.AAAA",
    "exp future": with_claims(exp=NOW + 600),
    "exp past": with_claims(exp=NOW - 600),
    "exp now": with_claims(exp=NOW),
    "exp in a second": with_claims(exp=NOW + 1),
    "exp in half a second": with_claims(exp=NOW + 0.5),
    "exp text past": with_claims(exp=str(NOW - 600)),
    "exp text future": with_claims(exp=str(NOW + 600)),
    "exp text with blanks": with_claims(exp=f" {NOW - 600}\n"),
    "exp text in Arabic digits": with_claims(exp="١٢٣"),
    "exp text fraction": with_claims(exp="1516242622.5"),
    "exp text power": with_claims(exp="1e9"),
    "exp empty": with_claims(exp=""),
    "exp word": with_claims(exp="soon"),
    "exp null": with_claims(exp=None),
    "exp true": with_claims(exp=True),
    "exp list": with_claims(exp=[NOW + 600]),
    "exp object": with_claims(exp={"s": NOW + 600}),
    "exp negative": with_claims(exp=-1),
    "exp zero": with_claims(exp=0),
    "exp float": with_claims(exp=NOW + 600.75),
    "exp milliseconds": with_claims(exp=1484425965097),
    "exp microseconds": with_claims(exp=1484425965097123),
    "exp huge": made(b'{"exp":' + b"9" * 400 + b"}"),
    "exp 1e30": with_claims(exp=1e30),
    "Exp past": with_claims(Exp=NOW - 600),
    "expires_at past": with_claims(expires_at=NOW - 600),
    "nbf past": with_claims(nbf=NOW - 1),
    "nbf now": with_claims(nbf=NOW),
    "nbf future": with_claims(nbf=NOW + 1),
    "nbf in half a second": with_claims(nbf=NOW + 0.5),
    "nbf text future": with_claims(nbf=str(NOW + 600)),
    "nbf word": with_claims(nbf="soon"),
    "nbf null": with_claims(nbf=None),
    "nbf milliseconds": with_claims(nbf=1484425965097),
    "nbf after exp": with_claims(nbf=NOW - 10, exp=NOW - 20),
    "iat past": with_claims(iat=NOW - 1),
    "iat now": with_claims(iat=NOW),
    "iat future": with_claims(iat=NOW + 1),
    "iat text": with_claims(iat=str(NOW - 600)),
    "iat word": with_claims(iat="x"),
    "iat null": with_claims(iat=None),
    "iat milliseconds": with_claims(iat=1484425965097),
    "iat after exp": with_claims(iat=NOW - 10, exp=NOW - 20),
    "sub number": with_claims(sub=7),
    "sub null": with_claims(sub=None),
    "sub empty": with_claims(sub=""),
    "sub blank at its end": with_claims(sub="x "),
    "jti number": with_claims(jti=7),
    "jti null": with_claims(jti=None),
    "iss number": with_claims(iss=7),
    "iss list": with_claims(iss=["https://a"]),
    "iss text": with_claims(iss="https://a"),
    "aud text": with_claims(aud="y"),
    "aud list": with_claims(aud=["y", "z"]),
    "aud number": with_claims(aud=7),
    "aud object": with_claims(aud={"a": 1}),
    "aud list with a number": with_claims(aud=["y", 7]),
    "aud empty list": with_claims(aud=[]),
    "aud null": with_claims(aud=None),
    "kid text": with_header(kid="k"),
    "kid number": with_header(kid=1),
    "kid null": with_header(kid=None),
    "crit empty": with_header(crit=[]),
    "crit text": with_header(crit="exp"),
    "crit unknown": with_header(crit=["exp"], exp=1),
    "crit with a number": with_header(crit=[1]),
    "crit without b64": with_header(crit=["b64"]),
    "crit with b64": with_header(crit=["b64"], b64=True),
    "b64 without crit": with_header(b64=True),
    "b64 false": with_header(b64=False, crit=["b64"]),
    "b64 false without crit": made({}, {"alg": "HS256", "b64": False}),
    "alg none": made({}, {"alg": "none"}, signature=""),
    "alg missing": made({}, {}),
    "alg number": made({}, {"alg": 5}),
    "typ number": with_header(typ=5),
}
CORPUS = {**PUBLISHED, **MADE}

# Where the two differ: what is told and PyJWT takes, what it refuses and is not told, and why.
DIFFERENCES: dict[str, tuple[set[str], set[str], str]] = {
    "a BOM": ({"the token"}, set(), "RFC 8259 section 8.1: no byte order mark; Python guesses the encoding"),
    "UTF-16": ({"the token"}, set(), "RFC 8259 section 8.1: JSON is UTF-8; Python guesses the encoding"),
    "NaN": ({"the token"}, set(), "RFC 8259 section 6: NaN is no JSON; Python takes it"),
    "half a character": (
        {"the token"},
        set(),
        "RFC 8259 section 8.2: it can be written in no encoding again",
    ),
    "200 levels": ({"the token"}, set(), "our bound is 128 levels, RFC 8259 section 9"),
    "exp 1e400": ({"the token"}, {"exp"}, "to us the number makes it no JSON, to PyJWT the claim unreadable"),
    "sub twice": ({"sub"}, set(), "RFC 7519 section 4: the last counts or it is refused; verifiers differ"),
    "exp in half a second": (set(), {"exp"}, "RFC 7519 section 2 allows fractions, which PyJWT cuts off"),
    "nbf in half a second": ({"nbf"}, set(), "likewise"),
    "exp text future": (
        {"exp"},
        set(),
        "RFC 7519 section 2: a number; PyJWT reads text, other verifiers do not",
    ),
    "iat text": ({"iat"}, set(), "likewise"),
    "exp milliseconds": ({"exp"}, set(), "a valid time, in a year that nobody meant"),
    "exp microseconds": ({"exp"}, set(), "likewise"),
    "exp huge": ({"exp"}, set(), "a valid time that no calendar has"),
    "exp 1e30": ({"exp"}, set(), "likewise"),
    "nbf after exp": ({"nbf"}, set(), "each alone is right; together they leave no time"),
    "iat after exp": ({"iat"}, set(), "likewise"),
    "sub empty": ({"sub"}, set(), "text, and nobody's name"),
    "sub blank at its end": ({"sub"}, set(), "text, and most likely not the one that was meant"),
    "aud empty list": (
        {"aud"},
        set(),
        "to PyJWT there is no audience then, which it refuses only when it wants one",
    ),
    "aud null": ({"aud"}, set(), "likewise"),
    "b64 without crit": ({"b64"}, set(), "RFC 7797 section 6: must be listed; PyJWT asks it only of false"),
}


# What PyJWT says of a member of the header that it refuses; what it says of others is of the whole token.
REFUSALS = (
    ("Key ID header parameter", "kid"),
    ("Invalid 'crit' header", "crit"),
    ("ritical extension", "crit"),
    ("requires 'b64' to be listed", "b64"),
)


class AtNoon(datetime):
    """A clock that stands at the moment every test begins at."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime.fromtimestamp(NOON, tz or UTC)


def refused(token: str) -> frozenset[str]:
    """Return which members PyJWT refuses, each asked for alone."""
    options: dict[str, Any] = {"verify_signature": False}
    try:
        pyjwt.decode_complete(token, options=options)
    except pyjwt.InvalidTokenError as error:
        return next((frozenset({name}) for words, name in REFUSALS if words in str(error)), UNREADABLE)
    with mock.patch.object(jwt.api_jwt, "datetime", AtNoon):
        return frozenset(claim for claim in CLAIMS if _refuses(token, claim))


def _refuses(token: str, claim: str) -> bool:
    wanted: dict[str, Any] = {"aud": {"audience": "somebody"}, "iss": {"issuer": "somebody"}}.get(claim, {})
    try:
        pyjwt.decode(token, options={"verify_signature": False, f"verify_{claim}": True}, **wanted)
    except (pyjwt.InvalidAudienceError, pyjwt.InvalidIssuerError) as error:
        # That it is somebody else's is no fault of the token's.
        return "format" in str(error) or "must be a string" in str(error)
    except pyjwt.MissingRequiredClaimError:
        return False
    except pyjwt.InvalidTokenError:
        return True
    return False


def told(token: str) -> frozenset[str]:
    """Return which members our problems begin with, and those that the status is about."""
    try:
        read = reader.read(token)
    except reader.NotAToken:
        return UNREADABLE
    if read.payload is None:
        # A JWE is none of PyJWT's tokens; that it is one is what we tell.
        return UNREADABLE
    problems = problems_of(read, NOON)
    begun = {name for name in (*CLAIMS, *HEADER) for each in problems if each.startswith(f"{name} ")}
    begun |= {
        name
        for name in HEADER
        for each in problems
        if each.startswith(f"Verifiers refuse the header's {name}:")
    }
    by_status = {"EXPIRED": {"exp"}, "INVALID EXPIRY": {"exp"}, "NOT YET VALID": {"nbf"}}
    return frozenset(begun | by_status.get(read.status(NOON) or "", set()))


@pytest.mark.parametrize("name", CORPUS)
def test_the_two_agree_or_it_is_said_why_not(name: str) -> None:
    """Our choice: a person wants to know of a token what a verifier will say."""
    theirs, ours = refused(CORPUS[name]), told(CORPUS[name])
    more, less, _ = DIFFERENCES.get(name, (set(), set(), ""))
    assert (ours - theirs, theirs - ours) == (more, less)


def test_every_difference_is_one_and_has_a_reason() -> None:
    """Our choice: a row for which the two agree is out of date."""
    for name, (more, less, why) in DIFFERENCES.items():
        assert name in CORPUS
        assert more or less
        assert len(why) > 5


# The keys with which the examples of the RFCs are verified.
KEYS = {
    "RFC 7515 A.1, RFC 7519 3.1: HS256": {
        "kty": "oct",
        "alg": "HS256",
        "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    },
    "RFC 7515 A.3: ES256": {
        "kty": "EC",
        "crv": "P-256",
        "alg": "ES256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    },
    "RFC 8037 A.4: EdDSA": {
        "kty": "OKP",
        "crv": "Ed25519",
        "alg": "EdDSA",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    },
}


@pytest.mark.parametrize("name", KEYS)
def test_the_published_examples_are_what_was_published(name: str) -> None:
    """Our choice: an example with a slip in it would be a row about nothing."""
    pyjwt.PyJWS().decode(PUBLISHED[name], pyjwt.PyJWK(KEYS[name]))


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name.startswith(("RFC 7516", "RFC 7520 5"))])
def test_the_published_encrypted_tokens_have_nothing_wrong(name: str) -> None:
    """RFC 7516 appendix A, RFC 7520 section 5: every algorithm there with the sizes that we expect of it."""
    token = reader.read(PUBLISHED[name])
    assert token.kind == "JWE"
    assert len(problems_of(token, NOON)) == 1


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(NOW - 100, NOW + 100),
    st.integers(NOW - 100, NOW + 100).map(str),
    st.text(max_size=4),
    st.lists(st.text(max_size=2) | st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)


@given(
    st.dictionaries(st.sampled_from(CLAIMS), VALUES),
    st.dictionaries(st.sampled_from([*HEADER, "typ", "x"]), VALUES),
)
def test_whatever_pyjwt_refuses_is_told(claims: dict[str, Any], header: dict[str, Any]) -> None:
    """Our choice, as above; what is told beyond that is advice."""
    token = made(claims, {**RS256, **header})
    theirs, ours = refused(token), told(token)
    assert theirs <= ours or ours == UNREADABLE
