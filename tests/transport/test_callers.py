"""Who is calling, whatever stands in the header that says so."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.protocol.errors import InvalidRequest
from mcp_echo.settings.load import load
from mcp_echo.transport.identity import CallerIdentity
from tests.tools.support import base64url, jwt, padded
from tests.watch.support import seen

REFUSED = object()
SOURCES = ("x-user-id", "subject")
CALLERS = {
    source: CallerIdentity(load({"trusted_proxies": "127.0.0.1", "principal_from": source}, {}).settings)
    for source in SOURCES
}
FIELDS = {"x-user-id": b"x-user-id", "subject": b"authorization"}


def principal(source: str, *lines: bytes) -> object:
    """Return whom the lines of the header name: a principal, None for nobody, or `REFUSED`."""
    fields = {FIELDS[source]: [line.decode("latin-1") for line in lines]}
    exchange: Any = SimpleNamespace(values=lambda name: fields.get(name, []), seen=seen())
    try:
        return CALLERS[source].principal(exchange)
    except InvalidRequest:
        return REFUSED


def bearer(**claims: Any) -> bytes:
    return f"Bearer {jwt(claims)}".encode()


# What goes wrong with a value on its way: each takes the value of one caller and makes it another.
SLIPS = st.sampled_from(
    [
        lambda value: value,
        lambda value: value[:-1],
        lambda value: value[1:],
        lambda value: value[: len(value) // 2],
        lambda value: value + b" ",
        lambda value: value + b"=",
        lambda value: b" " + value,
        lambda value: b'"' + value + b'"',
        lambda value: value.replace(b" ", b"\t", 1),
        lambda value: value.replace(b" ", b"\xc2\xa0", 1),
        lambda value: value.replace(b" ", b"", 1),
        lambda value: value.replace(b" ", b"  ", 1),
        lambda value: value.replace(b" ", b": ", 1),
        lambda value: value.replace(b".", b"%2E"),
        lambda value: value.replace(b".", b"..", 1),
        lambda value: value.swapcase(),
        lambda value: value.lower(),
        lambda value: b"Bearer " + value,
        lambda value: value + b", " + value,
        lambda value: value.replace(b"Bearer", b"DPoP"),
        lambda value: value.replace(b"Bearer ", b""),
        lambda value: value.replace(b"Bearer ", b"Basic "),
        lambda value: value + b"\xe2\x80\x8b",
        lambda value: value.replace(b"e", b"\xc3\xa9", 1),
        lambda value: value * 3,
    ]
)


@given(st.sampled_from(SOURCES), st.lists(SLIPS, min_size=1, max_size=3))
def test_two_callers_are_two_whatever_happens_to_what_names_them(source: str, slips: list[Any]) -> None:
    """Our choice: nobody is taken for another or for nobody; where it cannot be told, refused is right."""
    values = [b"a" * 40, b"b" * 40] if source == "x-user-id" else [bearer(sub="alice"), bearer(sub="bob")]
    named = []
    for value in values:
        for slip in slips:
            value = slip(value)
        assert value
        # Blanks around a value are none of it (RFC 9110 section 5.5).
        named.append(principal(source, value.strip(b" \t")))
    assert None not in named
    assert named[0] != named[1] or named[0] is REFUSED


# What HTTP lets a field's value be: no line ends, and no blanks around it (RFC 9110 section 5.5).
FIELD_VALUES = st.binary(max_size=60).map(lambda value: value.translate(None, b"\r\n").strip(b" \t"))


@given(st.sampled_from(SOURCES), FIELD_VALUES.filter(bool))
def test_only_no_value_at_all_is_nobody(source: str, value: bytes) -> None:
    """Our choice: whoever sends something is somebody, or is refused."""
    for sent in (value, b"Bearer " + value):
        assert principal(source, sent) is not None
    assert principal(source, value, value) is REFUSED


@pytest.mark.parametrize("source", SOURCES)
def test_an_empty_value_is_none(source: str) -> None:
    """Our choice: what proxies send for callers that are not logged in."""
    assert (principal(source), principal(source, b"")) == (None, None)


CLAIM = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=6), st.lists(st.text(max_size=2), max_size=2)
)


@given(*[st.fixed_dictionaries({}, optional={"iss": CLAIM, "sub": CLAIM})] * 2)
def test_tokens_name_one_principal_only_where_both_claims_agree(one: Any, other: Any) -> None:
    """RFC 7519 section 4.1.2; a claim of another type names nobody, and is not left out."""
    named = [principal("subject", bearer(**claims)) for claims in (one, other)]
    assert None not in named
    assert named[0] != named[1] or named[0] is REFUSED or one == other


@given(st.text(max_size=10), st.text(max_size=10))
def test_the_two_sources_name_nobody_alike(issuer: str, subject: str) -> None:
    """Our choice: in a store that outlives a change of the setting nobody inherits another's sessions."""
    by_token = principal("subject", bearer(iss=issuer, sub=subject))
    if isinstance(by_token, str):
        assert principal("x-user-id", by_token.encode("utf-8").strip(b" \t")) != by_token


def test_padding_changes_nobody_s_name() -> None:
    """AWS load balancers pad the parts of a token; who it is about stays the same."""
    plain = f"{base64url({'alg': 'none'})}.{base64url({'sub': 'al'})}."
    assert padded(plain) != plain
    assert principal("subject", b"Bearer " + padded(plain).encode()) == principal(
        "subject", b"Bearer " + plain.encode()
    )
