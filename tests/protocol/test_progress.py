"""The token by which a request asks for news of its progress.

Unless a test says otherwise, its duty is in "Progress Flow" of
https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/progress
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from mcp_echo.protocol.progress import WrongToken, progress_token

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def read(params: Any) -> Any:
    return progress_token(Raw(params if isinstance(params, bytes) else json.dumps(params).encode()))


@given(_values)
def test_text_and_integers_are_tokens_and_all_else_is_of_a_wrong_type(value: Any) -> None:
    """Progress tokens MUST be a string or integer value; 1.0 is the integer 1 to JSON Schema."""
    found = read({"_meta": {"progressToken": value}, "arguments": {}})
    whole = isinstance(value, float) and value.is_integer()
    if whole or (isinstance(value, int | str) and not isinstance(value, bool)):
        assert (found, type(found)) == (value, int if whole else type(value))
    else:
        assert isinstance(found, WrongToken)
        assert found.reason.startswith("progressToken is ")
        assert found.reason.endswith("; it must be a string or an integer")


@given(_values)
def test_meta_is_an_object_or_of_a_wrong_type(value: Any) -> None:
    """Schema, RequestParams: an object."""
    found = read({"_meta": value})
    assert isinstance(found, WrongToken) is (not isinstance(value, dict) or "progressToken" in value)


@pytest.mark.parametrize("params", [{}, {"_meta": {}}, {"progressToken": 1}, {"a": {"_meta": {"x": 1}}}])
def test_a_request_without_a_token_has_none(params: Any) -> None:
    """A token is given in `_meta` of the params and nowhere else."""
    assert read(params) is None


@pytest.mark.parametrize(
    ("raw", "token"),
    [
        (rb'{"\u005fmeta":{"progressToke\u006e":7}}', 7),
        (b'{ "_meta" : { "progressToken" : "x" } }', "x"),
        (b'{"_meta":{"progressToken":123456789012345678901234567890}}', 123456789012345678901234567890),
    ],
)
def test_a_token_is_found_however_its_json_is_written(raw: bytes, token: Any) -> None:
    """RFC 8259."""
    assert read(raw) == token


@pytest.mark.parametrize(
    "raw",
    [
        b'{"_meta":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"_meta":{"progressToken":"\xff"}}',
        b'{"_meta":',
    ],
)
def test_what_cannot_be_read_is_left_to_who_reads_the_rest(raw: bytes) -> None:
    """Our choice: one error for one fault."""
    found = read(raw)
    assert found is None or "_meta is an array" in found.reason
