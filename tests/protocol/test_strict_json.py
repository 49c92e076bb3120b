"""JSON as strictly as it is read everywhere: request bodies and tokens."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.protocol.strict_json import MAX_DEPTH, NotJson, read


def nested(depth: int, opening: str = "[", closing: str = "]", core: str = "1") -> bytes:
    return (opening * depth + core + closing * depth).encode()


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"]":0,"x":', "}]")])
def test_nesting_is_bounded_to_the_level(opening: str, closing: str) -> None:
    """RFC 8259 section 9 allows a bound; our choice: one that does not depend on the stack below."""
    levels = opening.count("[{") + 1
    deepest = MAX_DEPTH // levels
    read(nested(deepest, opening, closing))
    with pytest.raises(NotJson, match=f"more than {MAX_DEPTH} levels"):
        read(nested(deepest + 1, opening, closing))


@pytest.mark.parametrize(
    "core", ['"' + "[" * 1000 + '"', '"\\"' + "{" * 1000 + '\\\\"', "[],{}," * 500 + "0"]
)
def test_brackets_in_strings_or_side_by_side_are_no_depth(core: str) -> None:
    """Our choice: what is bounded is depth, not how many arrays and objects there are."""
    body = nested(MAX_DEPTH - 1, core=core)
    assert read(body) == json.loads(body)


@given(st.recursive(st.text('[]{}"\\', max_size=3), lambda inner: st.lists(inner, max_size=3), max_leaves=9))
def test_depth_is_counted_as_it_is(value: object) -> None:
    """As above, compared with a count on the decoded value."""

    def depth(of: object) -> int:
        return 1 + max(map(depth, of), default=0) if isinstance(of, list) else 0

    outside = MAX_DEPTH - depth(value)
    text = json.dumps(value)
    read(nested(outside, core=text))
    with pytest.raises(NotJson):
        read(nested(outside + 1, core=text))


texts = st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=100) | texts)
def test_whatever_is_read_is_json_and_whatever_is_not_says_why(data: bytes) -> None:
    """Our choice: no bytes raise anything but NotJson, and what is read, others read as well."""
    value = reason = None
    try:
        value = read(data)
    except NotJson as error:
        reason = str(error)
    assert reason != ""
    if reason is None:
        assert json.loads(data) == value
