"""Whom a trusted proxy is believed to speak for."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.auth.proxies import (
    MAX_HOPS,
    MAX_PRINCIPAL,
    NamesNobody,
    TrustedProxies,
    named_principal,
    parse_address,
    single_value,
    token_principal,
)
from mcp_echo.protocol.errors import InvalidRequest

TRUSTED = TrustedProxies(["10.0.0.1", "192.168.0.0/16", "2001:db8::/32"])


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("10.0.0.1", True),
        ("10.0.0.2", False),
        ("192.168.255.255", True),
        ("::ffff:10.0.0.1", True),
        ("2001:db8:1::1", True),
        ("2001:db9::1", False),
        ("::1", False),
        ("unix", False),
        ("", False),
        ("10.0.0.1.evil.example", False),
    ],
)
def test_only_the_peers_that_are_listed_are_trusted(peer: str, trusted: bool) -> None:
    """Our choice: addresses are compared as addresses, never as text."""
    assert TRUSTED.trusts(peer) is trusted


def test_a_unix_socket_is_trusted_where_it_is_listed() -> None:
    """Our choice: a peer there has no address, and permissions of the file say who it can be."""
    assert TrustedProxies(["unix"]).trusts("unix")
    assert not TrustedProxies(["unix"]).trusts("10.0.0.1")
    assert (bool(TrustedProxies(["unix"])), bool(TrustedProxies([]))) == (True, False)


@pytest.mark.parametrize("entry", ["localhost", "10.0.0.1/8", "10.0.0.1:80", "*", ""])
def test_what_is_no_address_cannot_be_trusted(entry: str) -> None:
    """Our choice: a name would have to be looked up, and the wrong answer would be believed."""
    with pytest.raises(ValueError, match=r"\S"):
        TrustedProxies([entry])


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        ([], "10.0.0.1"),
        (["203.0.113.7"], "203.0.113.7"),
        (["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        (["198.51.100.1", "203.0.113.7, 192.168.3.4"], "203.0.113.7"),
        (["203.0.113.7,192.168.3.4,10.0.0.1"], "203.0.113.7"),
        (["192.168.1.1, 192.168.1.2"], "192.168.1.1"),
        (["203.0.113.7:5123"], "203.0.113.7"),
        (["[2001:db9::7]:5123"], "2001:db9::7"),
        (["2001:db9::7"], "2001:db9::7"),
        (["::ffff:203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7, unknown"], "10.0.0.1"),
        (["203.0.113.7, unknown, 192.168.1.1"], "192.168.1.1"),
        (["203.0.113.7,"], "10.0.0.1"),
        (["203.0.113.7" + ", 192.168.1.1" * MAX_HOPS], "192.168.1.1"),
    ],
)
def test_the_client_is_the_last_address_that_no_trusted_proxy_has(
    forwarded_for: list[str], client: str
) -> None:
    """Each proxy appends whom it was called by: what stands left of an untrusted address is hearsay."""
    assert TRUSTED.client("10.0.0.1", forwarded_for) == client


@given(st.lists(st.text(max_size=50), max_size=5))
def test_no_forwarded_header_raises(forwarded_for: list[str]) -> None:
    """Our choice: it is whatever a client sends."""
    client = TRUSTED.client("10.0.0.1", forwarded_for)
    assert parse_address(client) is not None


@given(st.text(max_size=100))
def test_what_a_client_invents_left_of_its_address_changes_nothing(invented: str) -> None:
    """The attack that walking from the right is for."""
    assert TRUSTED.client("10.0.0.1", [f"{invented},203.0.113.7"]) == "203.0.113.7"


@pytest.mark.parametrize(
    ("values", "principal"),
    [([], None), ([""], None), (["alice"], "alice"), (["a" * MAX_PRINCIPAL], "a" * MAX_PRINCIPAL)],
)
def test_a_header_names_one_principal_or_nobody(values: list[str], principal: str | None) -> None:
    """Our choice: an empty value is what proxies send for callers that are not logged in."""
    assert named_principal(values, "X-User-Id") == principal


@pytest.mark.parametrize(
    "values", [["alice", "bob"], ["alice", "alice"], ["", "alice"], ["a" * (MAX_PRINCIPAL + 1)]]
)
def test_a_header_that_does_not_name_one_principal_is_refused(values: list[str]) -> None:
    """Our choice: guessing which of two is meant, or cutting a name short, makes one principal another."""
    with pytest.raises(InvalidRequest, match="X-User-Id"):
        named_principal(values, "X-User-Id")


@pytest.mark.parametrize(
    "name", ["-", "anonymous", "null", "undefined", "al%69ce", "J\xc3\xbcrgen", "{6F9619FF}"]
)
def test_a_name_is_taken_as_it_is(name: str) -> None:
    """Our choice: what a gateway means by a word is not guessed, and nothing in it is decoded."""
    assert named_principal([name], "X-User-Id") == name


@pytest.mark.parametrize(
    "name",
    [
        "\xa0",
        "\xa0\u200b",
        "\x85",
        "${USER}",
        "%USER%",
        "(null)",
        "{{user}}",
        "{http.auth.user.id}",
    ],
)
def test_a_name_that_nobody_has_is_refused(name: str) -> None:
    """Our choice: blanks, and variables that a gateway left as they were, would make all callers one."""
    with pytest.raises(InvalidRequest, match=r"X-User-Id .*; it must name the caller"):
        named_principal([name], "X-User-Id")


@given(st.text(max_size=30), st.text(max_size=10), st.none() | st.text(max_size=10))
def test_no_name_reads_like_what_a_token_names(name: str, subject: str, issuer: str | None) -> None:
    """Our choice: in a store that outlives a change of the setting they stay different principals."""
    try:
        by_token = token_principal({"sub": subject} | ({} if issuer is None else {"iss": issuer}))
    except InvalidRequest:
        return
    for each in (name, by_token):
        with suppress(InvalidRequest):
            assert named_principal([each], "X-User-Id") != by_token


@given(st.text(alphabet='[]"a', min_size=1), st.text(alphabet='[]"a', min_size=1))
def test_two_names_are_two_principals(one: str, other: str) -> None:
    """Our choice: however a name is written down, it stays apart from all others."""
    same = named_principal([one], "X-User-Id") == named_principal([other], "X-User-Id")
    assert same is (one == other)


def test_a_field_that_may_have_one_value_has_one() -> None:
    """Our choice, as above."""
    assert (single_value([], "A"), single_value(["b"], "A")) == (None, "b")
    with pytest.raises(InvalidRequest, match="A is given 2 times"):
        single_value(["b", "b"], "A")


@pytest.mark.parametrize(
    ("claims", "principal"),
    [
        ({"iss": "https://a", "sub": "alice"}, '["https://a","alice"]'),
        ({"sub": "alice"}, '[null,"alice"]'),
        ({"iss": "", "sub": " alice"}, '[""," alice"]'),
    ],
)
def test_a_token_names_a_principal_by_issuer_and_subject(claims: dict[str, str], principal: str) -> None:
    """RFC 7519 section 4.1.2: a subject is unique within its issuer."""
    assert token_principal(claims) == principal


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        (None, "it is encrypted"),
        ({}, "it has no sub"),
        ({"iss": "https://a"}, "it has no sub"),
        ({"Sub": "alice"}, "it has no sub"),
        ({"sub": 7}, "its sub is not a string"),
        ({"sub": None}, "its sub is not a string"),
        ({"sub": ["alice"]}, "its sub is not a string"),
        ({"sub": ""}, "its sub is empty"),
        ({"sub": " \u200b"}, "its sub is empty, or has no visible character"),
        ({"sub": "alice", "iss": 7}, "its iss is not a string"),
        ({"sub": "alice", "iss": None}, "its iss is not a string"),
    ],
)
def test_a_token_without_a_name_that_can_be_read_is_refused(
    claims: dict[str, object] | None, reason: str
) -> None:
    """Our choice: who has a token is not nobody, whose sessions are those of all who are nobody."""
    with pytest.raises(NamesNobody, match=reason):
        token_principal(claims)


def test_a_token_with_a_subject_that_is_too_long_is_refused() -> None:
    """Our choice: it must not become nobody, whose sessions are everybody's."""
    with pytest.raises(InvalidRequest, match="iss and sub"):
        token_principal({"iss": "https://a", "sub": "a" * MAX_PRINCIPAL})


@given(*[st.text(min_size=1, max_size=20).map("s".__add__)] * 4)
def test_two_tokens_name_one_principal_only_if_both_claims_agree(a: str, b: str, c: str, d: str) -> None:
    """RFC 7519 section 4.1.2; no text in one claim can stand for part of the other."""
    same = token_principal({"iss": a, "sub": b}) == token_principal({"iss": c, "sub": d})
    assert same is ((a, b) == (c, d))
