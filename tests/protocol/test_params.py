"""Null stands for an absent member, and for nothing else.

Our choice: clients fill in what a schema names, and write null for what nobody gave.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw, UnsetType

from mcp_echo.protocol.params import read


class Inner(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What has members of its own."""

    flag: bool = False
    word: str = "none"


class Outer(msgspec.Struct, rename="camel"):
    """What has every kind of member."""

    needed: str
    some_count: int = 7
    inner: Inner = Inner()
    perhaps: Inner | UnsetType = UNSET
    words: dict[str, str] = {}
    data: dict[str, Any] = {}
    anything: Any = 1
    raw: Raw | UnsetType = UNSET


_decode = msgspec.json.Decoder(Outer).decode


def decoded(value: object) -> Outer:
    found = read(_decode, Raw(json.dumps(value).encode()))
    assert isinstance(found, Outer)
    return found


@pytest.mark.parametrize(
    "nulls",
    [
        {"someCount": None},
        {"inner": None},
        {"inner": {"flag": None, "word": None}},
        {"perhaps": None},
        {"perhaps": {"flag": None}},
        {"words": None},
        {"words": {"a": None}},
        {"data": None},
        {"someCount": None, "inner": {"word": None}, "words": {"a": None}, "raw": None},
    ],
)
def test_a_null_member_reads_as_if_it_were_absent(nulls: dict[str, Any]) -> None:
    absent = {"perhaps": {}} if isinstance(nulls.get("perhaps"), dict) else {}
    assert decoded({"needed": "n", **nulls}) == decoded({"needed": "n", **absent})


def test_a_member_that_is_needed_is_missing_when_it_is_null() -> None:
    with pytest.raises(msgspec.ValidationError, match="missing required field `needed`"):
        decoded({"needed": None})


def test_a_null_that_is_data_stays() -> None:
    """What a client says of itself, and its answers, are shown as they came."""
    data = {"a": None, "b": {"c": [None]}}
    found = decoded({"needed": "n", "someCount": None, "data": data, "anything": None})
    assert (found.data, found.anything, found.some_count) == (data, None, 7)


def test_what_is_wrong_beside_a_null_is_still_refused() -> None:
    for wrong in (
        {"someCount": "7"},
        {"inner": {"flag": None, "odd": None}},
        {"inner": [None]},
        {"words": {"a": 1}},
    ):
        with pytest.raises(msgspec.ValidationError):
            decoded({"needed": "n", "perhaps": None, **wrong})


@pytest.mark.parametrize("text", [b"[]", b"1", b'"x"', b"{", b'{"needed":"\xff","someCount":null}'])
def test_what_is_no_object_is_refused_as_before(text: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        read(_decode, Raw(text))


members = st.fixed_dictionaries(
    {"needed": st.text()},
    optional={
        "someCount": st.none() | st.integers(-9, 9),
        "inner": st.none()
        | st.fixed_dictionaries(
            {}, optional={"flag": st.none() | st.booleans(), "word": st.none() | st.text()}
        ),
        "words": st.none() | st.dictionaries(st.text(), st.none() | st.text()),
        "data": st.none() | st.dictionaries(st.text(), st.none() | st.integers()),
        "unknown": st.none() | st.integers(),
    },
)


@given(members)
def test_null_and_absence_are_the_same_for_any_object(value: dict[str, Any]) -> None:
    without = {name: each for name, each in value.items() if each is not None}
    for member in ("inner", "words"):
        if member in without:
            without[member] = {name: each for name, each in without[member].items() if each is not None}
    assert decoded(value) == decoded(without)
