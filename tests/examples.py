"""How many examples a test has for which the usual number is not right."""

from __future__ import annotations

from hypothesis import settings

USUAL = 100
"""What Hypothesis makes up where nothing else is said."""


def examples(number: int) -> int:
    """Return how many examples a test has in this run.

    Args:
        number: How many it has where a test has the usual number, as it has outside of a quick run.
    """
    return max(1, number * settings().max_examples // USUAL)
