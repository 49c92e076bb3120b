"""A clock that all nodes have in common, as exactly as each can tell. No I/O."""

from __future__ import annotations

from collections.abc import Callable

from mcp_echo.sessions.store import Clock

WINDOW_SECONDS = 30.0
"""Seconds after which an answer of the engine says nothing any more about its clock."""


class AgreedClock:
    """The clock of the engine.

    A node knows it by the answers that it gets, and takes each of them for as old as the moment at which it
    reads it. So the one that was read soonest, which puts the clock furthest ahead, is nearest to the truth.

    Args:
        engine_now: The milliseconds of the engine's clock, as of its last answer.
        steady: A clock that never jumps, in seconds.
    """

    def __init__(self, engine_now: Callable[[], int], steady: Clock) -> None:
        self._engine_now = engine_now
        self._steady = steady
        self._begun = steady()
        self._before = self._ahead = float("-inf")

    def __call__(self) -> float:
        """Return its seconds."""
        now = self._steady()
        if now - self._begun > WINDOW_SECONDS:
            self._begun, self._before, self._ahead = now, self._ahead, float("-inf")
        self._ahead = max(self._ahead, self._engine_now() / 1000 - now)
        return now + max(self._before, self._ahead)
