"""Effects: what is to happen once what a request has changed is kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from mcp_echo.sessions.effects import AtOnce, Collected
from tests.growth import ONE_AT_A_TIME, check_linear


def test_effects_happen_in_their_order() -> None:
    """Our promise: a stream is open before something is written to it."""
    happened: list[int] = []
    effects = Collected()
    for number in range(3):
        effects.add(happened.append, (number,))
    assert happened == []
    effects.happen()
    assert happened == [0, 1, 2]


def test_effects_of_one_function_are_counted_apart_from_others() -> None:
    """Our choice: a limit counts what earlier messages of the same batch have asked for."""
    happened: list[int] = []
    effects = Collected()
    effects.add(happened.append, (1,))
    effects.add(happened.append, (2,))
    effects.add(happened.extend, ([3],))
    assert [effects.count(do) for do in (happened.append, happened.extend, happened.clear)] == [2, 1, 0]


def test_where_everything_happens_at_once_nothing_is_expected() -> None:
    """Interface, Effects.then: it returns what the function has returned."""
    effects = AtOnce()
    assert (effects.then(max, 1, 2), effects.expected(max)) == (2, 0)


@pytest.mark.slow
@ONE_AT_A_TIME
def test_a_batch_counts_its_effects_in_time_proportional_to_their_number() -> None:
    """Our choice: whatever a client sends takes time linear in it, a batch as well."""
    happened: list[int] = []

    def add_and_count(number: int) -> None:
        effects = Collected()
        for each in range(number):
            effects.count(happened.append)
            effects.add(happened.append, (each,))

    def make(size: int) -> Callable[[], object]:
        return partial(add_and_count, size // 16)

    check_linear(make, 64 * 1024)
