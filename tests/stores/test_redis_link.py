"""How a connection is made again, on a clock that stands still until told otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from mcp_echo.stores.redis.link import LEAST_DELAY, MOST_DELAY, Link, LinkHooks

TIMEOUT = 0.5


class Wire:
    """A connection that can be lost."""

    def __init__(self) -> None:
        self.on_lost: Callable[[str], None] | None = None
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True

    def lose(self, reason: str) -> None:
        """Have it end, by itself or as it was to."""
        assert self.on_lost is not None
        self.on_lost(reason)


class Bench:
    """A link to what can be made to fail."""

    def __init__(self, rest: float = 0.0) -> None:
        self.clock = Clock()
        self.works = True
        self.hangs = False
        self.attempts: list[float] = []
        """When one was made."""
        self.told: list[Any] = []
        """Connections that were ready, and reasons why there was none."""
        self.greeting: Deferred[None] | None = None
        """What greeting waits for."""
        self.rest = rest
        hooks = LinkHooks(self.greet, self.told.append, self.told.append, lambda: self.rest)
        self.link = Link(self.clock, self.dial, TIMEOUT, hooks)

    def dial(self) -> Deferred[Wire]:
        self.attempts.append(self.clock.seconds())
        if self.hangs:
            return Deferred()
        return succeed(Wire()) if self.works else fail(ConnectionRefusedError("refused"))

    async def greet(self, _: Wire) -> None:
        if self.greeting is not None:
            await self.greeting

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([0.01] * round(seconds * 100))

    def delays(self) -> list[float]:
        """Return the times from attempt to attempt."""
        return [later - sooner for sooner, later in zip(self.attempts, self.attempts[1:], strict=False)]


def test_attempts_come_soon_at_first_and_then_once_a_second_or_more_often() -> None:
    """hardening: set the delay to 1 with jitter; our choice: a second at most, so that it is found again
    within two."""
    bench = Bench()
    bench.works = False
    bench.link.start()
    bench.pass_time(60)
    delays = bench.delays()
    assert all(delay <= MOST_DELAY + 0.02 for delay in delays)
    assert delays[0] <= LEAST_DELAY + 0.02
    assert min(delays[10:]) >= MOST_DELAY / 2 - 0.02
    assert len({round(delay, 2) for delay in delays[10:]}) > 5
    assert all("refused" in reason for reason in bench.told)


def test_no_attempt_comes_before_the_rest_is_over() -> None:
    """hardening: one probe a second while the breaker is open."""
    bench = Bench(rest=5)
    bench.works = False
    bench.link.start()
    bench.pass_time(60)
    assert min(bench.delays()) >= 5


def test_after_success_attempts_come_soon_again() -> None:
    """Our choice: a connection that worked is worth another try at once."""
    bench = Bench()
    bench.works = False
    bench.link.start()
    bench.pass_time(20)
    bench.works = True
    bench.pass_time(MOST_DELAY + 0.1)
    bench.link.wire.lose("gone")
    lost_at = bench.clock.seconds()
    bench.pass_time(LEAST_DELAY + 0.02)
    assert bench.attempts[-1] - lost_at <= LEAST_DELAY + 0.02
    assert bench.link.wire is not None


@pytest.mark.parametrize("where", ["dial", "greet"])
def test_an_attempt_that_hangs_is_given_up(where: str) -> None:
    """hardening: nothing waits for ever."""
    bench = Bench()
    bench.hangs = where == "dial"
    bench.greeting = Deferred()
    bench.link.start()
    bench.pass_time(TIMEOUT + 0.02)
    assert bench.told == ["no answer within 0.5 s"]
    bench.hangs, bench.greeting = False, None
    bench.pass_time(1)
    assert bench.told[1:] == [bench.link.wire]


def test_a_connection_that_is_lost_while_it_is_greeted_says_why() -> None:
    """Our choice: a certificate that was refused is a better reason than a lost connection."""
    bench = Bench()
    wires: list[Wire] = []
    bench.greeting = Deferred()
    dial = bench.dial
    bench.link._dial = lambda: dial().addCallback(lambda wire: wires.append(wire) or wire)  # type: ignore[func-returns-value]
    bench.link.start()
    wires[0].lose("certificate verify failed")
    bench.greeting.errback(ConnectionError("Lost connection"))
    assert bench.told == ["certificate verify failed"]


def test_a_dropped_connection_is_closed_and_replaced_and_its_end_is_no_news() -> None:
    """Our choice: what it still brings is for nobody."""
    bench = Bench()
    bench.link.start()
    first = bench.link.wire
    bench.link.drop("too slow")
    bench.link.drop("too slow")
    assert first.aborted
    assert bench.told == [first, "too slow"]
    bench.pass_time(1)
    first.lose("aborted")
    assert bench.told[2:] == [bench.link.wire]
    assert bench.link.wire is not first


def test_it_ends_with_its_last_connection() -> None:
    """Interface, stop: let go of everything."""
    bench = Bench()
    bench.link.start()
    first = bench.link.wire
    bench.link.drop("too slow")
    bench.pass_time(1)
    second = bench.link.wire
    ended = bench.link.stop()
    assert second.aborted
    second.lose("aborted")
    assert not ended.called
    first.lose("aborted")
    assert ended.called
    assert bench.clock.getDelayedCalls() == []
    assert bench.told == [first, "too slow", second]


@pytest.mark.parametrize("where", ["dial", "greet", "pause"])
def test_it_ends_at_any_time(where: str) -> None:
    """Interface, stop: let go of everything, whatever is being done."""
    bench = Bench()
    bench.hangs, bench.works = where == "dial", where != "pause"
    bench.greeting = Deferred()
    bench.link.start()
    before = list(bench.told)
    ended = bench.link.stop()
    for wire in list(bench.link._open):
        assert wire.aborted
        wire.lose("aborted")
    assert ended.called
    assert bench.clock.getDelayedCalls() == []
    assert bench.told == before
