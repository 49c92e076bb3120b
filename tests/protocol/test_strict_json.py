"""JSON as strictly as it is read everywhere: request bodies and tokens."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.protocol.strict_json import MAX_DEPTH, MAX_VALUES, NotJson, TooManyValues, is_read, read
from tests import json_shapes
from tests.growth import ONE_AT_A_TIME, best_of_both, is_steep
from tests.json_shapes import Shape, counted, filled


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


@pytest.mark.parametrize("before", [b'"[",', b'["]"],', b'{"a":"{"},', b'[[],"a"],'])
def test_depth_is_counted_through_the_whole_text(before: bytes) -> None:
    """As above, with more before the deepest place than is looked at in one piece."""
    read(b"[" + before * 3000 + nested(MAX_DEPTH - 1) + b"]")
    with pytest.raises(NotJson, match=f"more than {MAX_DEPTH} levels"):
        read(b"[" + before * 3000 + nested(MAX_DEPTH) + b"]")
    deep = b"[" * 100 + before * 3000 + b"0" + b"]" * 100
    read(b"[" + deep + b"," + nested(MAX_DEPTH - 1) + b"]")
    with pytest.raises(NotJson, match=f"more than {MAX_DEPTH} levels"):
        read(b"[" * 100 + before * 3000 + nested(29) + b"]" * 100)


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


# The names of an object's members count as well.
COUNTED = [
    (b"1", 1),
    (b'"a,b:[{"', 1),
    (b"[]", 1),
    (b"{ }", 1),
    (b"[[ ],{\n}]", 3),
    (b'[1, "\\"", null ,true]', 5),
    (b'{"a":1}', 3),
    (b'{"a":{"b":[0]},"c":""}', 8),
]


@pytest.mark.parametrize(("unit", "values"), COUNTED)
@pytest.mark.parametrize("limit", [10, 1000, 1024, 50_000])
def test_values_are_bounded_to_the_value(unit: bytes, values: int, limit: int) -> None:
    """Our choice: what takes memory is counted, and what only looks like it, in strings, is not."""
    read(filled(unit, values, limit), limit)
    with pytest.raises(TooManyValues, match=f"more than {limit} values"):
        read(filled(unit, values, limit + 1), limit)


awkward = st.text('[]{}",:\\ \n', max_size=4)
trees = st.recursive(
    awkward | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(awkward, inner, max_size=4),
    max_leaves=20,
)


@given(trees, st.sampled_from([None, 1]))
def test_values_are_counted_as_they_are(tree: object, indent: int | None) -> None:
    """As above, compared with a count on the decoded value; deep enough to be looked at."""
    outside = 2 * MAX_DEPTH
    text = json.dumps([[[]] * outside, tree], indent=indent).encode()
    count = 2 + outside + counted(tree)
    read(text, count)
    with pytest.raises(TooManyValues):
        read(text, count - 1)


@given(
    st.binary(max_size=30), st.sampled_from([b"[", b"[[]],", b'"', b'{"a":', b"\\", b'"\\"', b",", b'{"":['])
)
def test_a_long_text_that_is_no_json_says_so(middle: bytes, opening: bytes) -> None:
    """Our choice: what is no JSON is not called too long, unless it is too deep to be looked at."""
    with pytest.raises(NotJson) as refused:
        read(opening * 400 + middle, 100)
    assert not isinstance(refused.value, TooManyValues)


shapes = pytest.mark.parametrize("shape", json_shapes.ALL.values(), ids=json_shapes.ALL)


def try_to_read(body: bytes) -> None:
    with suppress(NotJson):
        read(body)


def peak_of(do: Callable[[], object]) -> int:
    """Return how many bytes are taken at most while something is done."""
    gc.collect()
    tracemalloc.start()
    try:
        do()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@shapes
@pytest.mark.parametrize("count", [MAX_VALUES, 8 * MAX_VALUES])
def test_memory_is_bounded_by_the_length(shape: Shape, count: int) -> None:
    """Our choice: 8 times the text and 8 MiB, of which reading alone may take five eighths."""
    body = shape(count)
    assert peak_of(lambda: try_to_read(body)) <= (8 * len(body) + 8 * 2**20) * 5 // 8


@ONE_AT_A_TIME
@shapes
@pytest.mark.parametrize("least", [MAX_VALUES // 8, 2 * MAX_VALUES], ids=["read", "refused"])
def test_time_grows_as_the_length_does(shape: Shape, least: int) -> None:
    """Our choice: twice the text takes at most 2.6 times the time; here it is doubled three times.

    What has too many values is looked through for what is no JSON, which takes longer than to read it.
    """
    short, long = (partial(try_to_read, shape(size)) for size in (least, 8 * least))
    assert not is_steep(*best_of_both(short, long, 3), 3)


@shapes
def test_what_is_read_can_be_told_without_reading_it(shape: Shape) -> None:
    """Our choice: what looks at a body after a failure does not look into one that nobody has read."""
    for count in (100, MAX_VALUES + 100):
        body = shape(count)
        taken = True
        try:
            read(body)
        except NotJson:
            taken = False
        assert is_read(body) is taken
