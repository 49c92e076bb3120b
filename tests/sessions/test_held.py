"""What waiting requests and open streams hold together."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.auth.proxies import Caller
from mcp_echo.protocol.errors import TooMuchHeld, TooMuchHeldByOne
from mcp_echo.sessions.held import HeldBytes, Hold
from mcp_echo.sessions.limits import Limits, holder_of, share_of
from mcp_echo.settings.load import load

ALICE = Caller("10.0.0.1", "10.0.0.1", True, "alice", "X-User-Id")
NOBODY = Caller("10.0.0.1", "10.0.0.1", False, None, None)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 60), st.booleans()), max_size=60))
def test_the_sums_are_what_is_held_and_never_more_than_may_be(steps: list[tuple[str, int, bool]]) -> None:
    """Our choice: refused exactly when a share, or all together, would be exceeded; let go of once."""
    held, open_holds = HeldBytes(100, 60), list[tuple[str, int, Hold]]()
    for holder, size, ends in steps:
        if ends and open_holds:
            _, _, hold = open_holds.pop(size % len(open_holds))
            hold.release()
            hold.release()
        sums = Counter[str]()
        for each, of, _ in open_holds:
            sums[each] += of
        try:
            open_holds.append((holder, size, held.hold(holder, size)))
            sums[holder] += size
        except TooMuchHeldByOne:
            assert sums[holder] + size > 60
        except TooMuchHeld:
            assert sums.total() + size > 100
        assert max(sums.values(), default=0) <= 60
        assert held.total == sums.total() <= 100
        assert {each: held.of(each) for each in "abc"} == {each: sums[each] for each in "abc"}
    for _, _, hold in open_holds:
        hold.release()
    assert (held.total, len(held)) == (0, 0)


def test_a_principal_and_an_address_have_shares_of_their_own() -> None:
    """Our choice: who is known by name is not refused for what others at its address do."""
    limits = Limits(load({"max_held_bytes": "100000"}, {}).settings)
    limits.hold(NOBODY, 50_000)
    with pytest.raises(TooMuchHeldByOne) as refusal:
        limits.hold(NOBODY, 1)
    assert "MCP_ECHO_MAX_HELD_BYTES_PER_CLIENT" in refusal.value.message
    limits.hold(ALICE, 50_000)
    with pytest.raises(TooMuchHeld) as full:
        limits.hold(NOBODY._replace(address="10.0.0.2"), 1)
    assert full.value.headers == {"Retry-After": "5"}
    assert (limits.held.refused, limits.held.refused_to_holders) == (1, 1)


@pytest.mark.parametrize(
    ("configured", "bound", "share"), [(0, 1000, 500), (0, 1, 1), (0, 3, 2), (7, 1000, 7), (2000, 1000, 2000)]
)
def test_a_share_is_half_of_the_bound_unless_it_is_set(configured: int, bound: int, share: int) -> None:
    """Our choice: whatever the bound, there is something left of it for somebody else, unless it is 1."""
    assert share_of(configured, bound) == share


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((None, "10.0.0.1"), (None, "::ffff:10.0.0.1"), True),
        ((None, "2001:db8::1"), (None, "2001:DB8::ffff%eth0"), True),
        ((None, "2001:db8::1"), (None, "2001:db8:0:1::1"), False),
        (("10.0.0.1", "10.0.0.1"), (None, "10.0.0.1"), False),
        (("address 10.0.0.1", "10.0.0.2"), (None, "10.0.0.1"), False),
        (("alice", "10.0.0.1"), ("alice", "10.0.0.2"), True),
        (("", "10.0.0.1"), (None, "10.0.0.1"), False),
    ],
)
def test_holders_are_told_apart(
    one: tuple[str | None, str], other: tuple[str | None, str], same: bool
) -> None:
    """Our choice: a name cannot be that of an address; RFC 4291 section 2.5.5.2 for mapped addresses."""
    assert (holder_of(*one) == holder_of(*other)) is same
