"""The clock that nodes have in common."""

from __future__ import annotations

from mcp_echo.cluster.agreed_clock import WINDOW_SECONDS, AgreedClock


class _Engine:
    """An engine whose answers are read late."""

    def __init__(self) -> None:
        self.steady = 100.0
        self.ahead = 900.0
        """Seconds by which its clock is ahead of the steady one."""
        self.late = 0.0
        """Seconds that the last answer was read too late."""

    def now(self) -> int:
        return round((self.steady + self.ahead - self.late) * 1000)


def test_an_answer_that_is_read_late_does_not_put_the_clock_back() -> None:
    """Our choice: records of one client that comes to two nodes have to be put in order."""
    engine = _Engine()
    clock = AgreedClock(engine.now, lambda: engine.steady)
    assert clock() == 1000.0
    engine.steady, engine.late = 101.0, 0.4
    assert clock() == 1001.0


def test_a_clock_that_was_put_back_is_followed_in_a_while() -> None:
    """Our choice: an operator may set the clock of the store."""
    engine = _Engine()
    clock = AgreedClock(engine.now, lambda: engine.steady)
    clock()
    engine.ahead = 0.0
    for _ in range(3):
        engine.steady += WINDOW_SECONDS + 1
        clock()
    assert clock() == engine.steady
