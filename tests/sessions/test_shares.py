"""Whose sessions there are in memory, which gives way, and which expires first, beside plain lists."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_echo.protocol.revisions import Supported
from mcp_echo.sessions.key import SessionKey
from mcp_echo.sessions.lanes import Lanes
from mcp_echo.sessions.session import UNKNOWN_CLIENT, Session, Terms
from mcp_echo.sessions.shares import Shares
from mcp_echo.sessions.store import SAMPLE

REVISION = Supported().offered
HOLDERS = ["alice", "bob", "carol", None]


def session(
    number: int,
    holder: str | None = None,
    now: float = 0.0,
    timeout: float = 60,
    kind: type[Session] = Session,
) -> Session:
    terms = Terms(REVISION, UNKNOWN_CLIENT, timeout)
    return kind(SessionKey(f"{number}", None, False), terms, now, holder=holder)


def of(living: list[Session], holder: str | None) -> list[Session]:
    return [each for each in living if holder is not None and each.holder == holder]


whats = st.sampled_from(["add", "add", "add", "use", "end"])
steps = st.lists(st.tuples(whats, st.integers(0, 99), st.booleans()), min_size=10, max_size=60)


@settings(deadline=None)
@given(steps)
def test_who_gives_way_is_who_has_most_and_never_who_has_less(walk: list[tuple[str, int, bool]]) -> None:
    """Our choice: see the module; whatever came before, and however often it was asked."""
    shares, living = Shares(), list[Session]()
    for number, (what, which, looks) in enumerate(walk):
        if what == "add" or not living:
            shares.add(made := session(number, HOLDERS[which % len(HOLDERS)]))
            living.append(made)
        elif what == "use":
            living[which % len(living)].record.used = True
        else:
            shares.remove(living.pop(which % len(living)))
        for holder in HOLDERS if looks else ():
            own = [each for each in of(living, holder) if not each.record.used]
            check_first(shares, living, holder)
            assert shares.oldest_unused_of(holder) is (own[0] if own else None)
        assert [shares.held_by(each) for each in HOLDERS] == [len(of(living, each)) for each in HOLDERS]
    assert len(shares) == len({each.holder for each in living} - {None})


def check_first(shares: Shares, living: list[Session], newcomer: str | None) -> None:
    fresh = [each for each in living if each.holder is not None and not each.record.used]
    most = max((len(of(living, each.holder)) for each in fresh), default=0)
    oldest = [next(each for each in fresh if each.holder == holder) for holder in {f.holder for f in fresh}]
    giving = [each for each in oldest if len(of(living, each.holder)) == most]
    found = shares.first_to_give_way(newcomer)
    assert found in giving if giving and most >= len(of(living, newcomer)) else found is None


def test_to_find_who_gives_way_costs_the_same_however_many_there_are() -> None:
    """Our choice: a flood must not make each further session dearer than the one before."""
    looks: list[int] = []
    for count in (100, 10_000):
        shares = Shares()
        for number in range(count):
            shares.add(session(number, f"holder {number % (count // 2)}", kind=Watched))
        before = Watched.looks
        for number in range(50):
            given_way = shares.first_to_give_way(None)
            assert given_way is not None
            shares.remove(given_way)
            shares.add(session(count + number, "new", kind=Watched))
        looks.append(Watched.looks - before)
    assert looks[1] <= looks[0] + 50


class Watched(Session):
    """Counts how often somebody looks whether it was used."""

    looks = 0

    @property
    def used(self) -> bool:  # type: ignore[override]
        Watched.looks += 1
        return False

    @used.setter
    def used(self, used: bool) -> None:
        """Stay as it is."""


def test_old_entries_of_the_ranking_do_not_pile_up() -> None:
    """Our choice: a store that is never full must not grow by the sessions that have come and gone."""
    shares = Shares()
    for number in range(10_000):
        shares.add(made := session(number, f"holder {number % 3}"))
        shares.remove(made)
    assert len(shares._ranking) <= 2 * 3 + SAMPLE + 1


@settings(deadline=None)
@given(steps)
def test_the_first_to_expire_is_the_first_to_expire(walk: list[tuple[str, int, bool]]) -> None:
    """Our choice: whichever were used, and however many timeouts there are."""
    lanes, living = Lanes(), list[Session]()
    for number, (what, which, looks) in enumerate(walk):
        now = float(number)
        if what == "add" or not living:
            lanes.add(made := session(number, None, now, float(3 + which % 3 * 10)))
            living.append(made)
        elif what == "use":
            each = living[which % len(living)]
            each.last_activity = now
            lanes.touch(each)
        else:
            lanes.remove(living.pop(which % len(living)))
        if looks:
            first = lanes.first()
            ends = [each.ends for each in living]
            assert (None if first is None else first.ends) == min(ends, default=None)
