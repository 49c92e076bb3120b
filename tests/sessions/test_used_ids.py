"""Ids that were used before, told in bounded memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.sessions.used_ids import MAX_OTHERS, UsedIds

_ids = st.integers(-5, 20) | st.text("ab", max_size=3) | st.integers() | st.text(max_size=100)


@given(st.lists(_ids, max_size=MAX_OTHERS))
def test_an_id_is_known_exactly_if_it_was_used(ids: list[int | str]) -> None:
    """2025-11-25 basic, Requests: MUST NOT have been used; as long as no more are kept than may be."""
    used, seen = UsedIds(), set()
    for each in ids:
        assert (each in used) is ((type(each), each) in seen)
        used.add(each)
        seen.add((type(each), each))


def test_integers_that_are_counted_up_are_remembered_for_good() -> None:
    """Our promise: what nearly all clients do."""
    used = UsedIds()
    for number in range(100_000):
        used.add(number)
    assert (0 in used, 99_999 in used, 100_000 in used, -1 in used, "0" in used) == (
        True,
        True,
        False,
        False,
        False,
    )
    assert len(used._others) == 0


def test_of_all_others_the_last_are() -> None:
    """Our promise, and our limit."""
    used = UsedIds()
    for number in range(MAX_OTHERS + 1):
        used.add(f"id-{number}")
    assert ("id-0" in used, "id-1" in used, f"id-{MAX_OTHERS}" in used) == (False, True, True)
    assert len(used._others) == MAX_OTHERS


def test_long_ids_are_kept_short() -> None:
    """Our limit: an id may be as long as a body."""
    used = UsedIds()
    used.add("x" * 1_000_000)
    assert ("x" * 1_000_000 in used, "x" * 999_999 in used) == (True, False)
    (kept,) = used._others
    assert len(kept) == 16
