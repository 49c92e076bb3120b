"""When Redis is left alone, and when it is tried again."""

from __future__ import annotations

from twisted.internet.task import Clock

from mcp_echo.stores.breaker import PAUSE, THRESHOLD, Breaker


def opened(clock: Clock) -> Breaker:
    """Return a breaker that has just opened."""
    breaker = Breaker(clock.seconds)
    assert states_while_failing(breaker) == ["closed"] * (THRESHOLD - 1) + ["open"]
    return breaker


def states_while_failing(breaker: Breaker) -> list[str]:
    """Have it fail as often as opens it, and return its state after each time."""
    states: list[str] = []
    for _ in range(THRESHOLD):
        breaker.failed()
        states.append(breaker.state)
    return states


def test_it_lets_everything_through_at_first() -> None:
    """Our choice: nothing is known against it."""
    breaker = Breaker(Clock().seconds)
    assert (breaker.state, breaker.refuses, breaker.wait) == ("closed", False, 0)


def test_it_opens_after_three_failures_in_a_row() -> None:
    """hardening: open after 3 failures."""
    assert THRESHOLD == 3
    breaker = opened(Clock())
    assert (breaker.state, breaker.refuses) == ("open", True)


def test_failures_that_are_not_in_a_row_leave_it_closed() -> None:
    """hardening: a batch that failed alone is no outage."""
    breaker = Breaker(Clock().seconds)
    for _ in range(10):
        breaker.failed()
        breaker.failed()
        assert breaker.state == "closed"
        breaker.succeeded()


def test_a_trial_is_made_after_a_pause() -> None:
    """hardening: a half-open probe each second."""
    assert PAUSE == 1
    clock = Clock()
    breaker = opened(clock)
    assert breaker.wait == 1
    clock.advance(0.75)
    assert breaker.wait == 0.25
    clock.advance(0.25)
    assert breaker.wait == 0


def test_during_a_trial_everything_else_is_refused() -> None:
    """Our choice: one probe finds out as much as a thousand."""
    breaker = opened(Clock())
    breaker.begin()
    assert (breaker.state, breaker.refuses) == ("half-open", True)


def test_a_trial_that_succeeds_closes_it() -> None:
    """hardening: recovery without a restart."""
    breaker = opened(Clock())
    breaker.begin()
    breaker.succeeded()
    assert (breaker.state, breaker.refuses, breaker.wait) == ("closed", False, 0)


def test_a_trial_that_fails_opens_it_for_another_pause() -> None:
    """hardening: each second."""
    clock = Clock()
    breaker = opened(clock)
    clock.advance(5)
    breaker.begin()
    breaker.failed()
    assert (breaker.state, breaker.wait) == ("open", 1)


def test_one_that_has_closed_needs_three_failures_again() -> None:
    """Our choice: what was is over."""
    breaker = opened(Clock())
    breaker.begin()
    breaker.succeeded()
    assert states_while_failing(breaker) == ["closed", "closed", "open"]


def test_to_begin_while_it_is_closed_changes_nothing() -> None:
    """Our choice: the first connection of all is no trial."""
    breaker = Breaker(Clock().seconds)
    breaker.begin()
    assert breaker.state == "closed"
