"""Signals: what is done about them, and whose they are."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from mcp_echo.host.signals import SignalReactions, StopRequests


class SignallingReactor(MemoryReactorClock):
    """A reactor that reacts to SIGUSR1 itself, as the real one does to SIGTERM."""

    def __init__(self) -> None:
        super().__init__()
        self.queued: list[Callable[[], None]] = []

    def own(self, *_: object) -> None:
        raise AssertionError("the reactor's own reaction was to be replaced")

    def callFromThread(self, function: Callable[[], None], *_: Any) -> None:
        self.queued.append(function)


class SignalReactionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = SignallingReactor()
        self.told: list[str] = []
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.signal(signal.SIGUSR1, signal.SIG_DFL))

    def react(self) -> None:
        """Start the service, and the reactor."""
        reactions = {signal.SIGUSR1: lambda: self.told.append("signal")}
        service = SignalReactions(self.reactor, reactions)
        service.privilegedStartService()
        for call, arguments, keywords in self.reactor.whenRunningHooks:
            call(*arguments, **keywords)
        self.service = service

    def test_a_signal_is_answered_in_the_time_of_the_reactor(self) -> None:
        """Python runs signal handlers between any two instructions."""
        for before in (signal.SIG_DFL, self.reactor.own):
            signal.signal(signal.SIGUSR1, before)
            self.react()
            os.kill(os.getpid(), signal.SIGUSR1)
            assert self.told == []
            self.reactor.queued.pop()()
            assert self.told.pop() == "signal"

    def test_a_signal_that_comes_before_the_reactor_runs_is_answered_when_it_does(self) -> None:
        """Whoever has read the address, or has heard that a worker is ready, may send one at once."""
        reactions = {signal.SIGUSR1: lambda: self.told.append("signal")}
        SignalReactions(self.reactor, reactions).privilegedStartService()
        os.kill(os.getpid(), signal.SIGUSR1)
        self.reactor.queued.pop()()
        assert self.told == ["signal"]

    def test_ctrl_c_is_answered_before_the_reactor_runs_too(self) -> None:
        """KeyboardInterrupt comes between any two instructions, and the log swallows it."""
        self.addCleanup(
            signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler)
        )
        reactions = {signal.SIGINT: lambda: self.told.append("signal")}
        SignalReactions(self.reactor, reactions).privilegedStartService()
        os.kill(os.getpid(), signal.SIGINT)
        self.reactor.queued.pop()()
        assert self.told == ["signal"]

    def test_a_signal_that_is_ignored_or_somebody_elses_is_left_alone(self) -> None:
        """nohup(1) ignores SIGHUP, a shell SIGINT for what it starts in the background; pdb takes it."""
        for before in (signal.SIG_IGN, signal.default_int_handler, lambda *_: None):
            signal.signal(signal.SIGUSR1, before)
            self.react()
            assert signal.getsignal(signal.SIGUSR1) is before

    def test_a_service_that_stops_hears_signals_still(self) -> None:
        """The second one of two may come then."""
        self.react()
        self.service.stopService()
        os.kill(os.getpid(), signal.SIGUSR1)
        self.reactor.queued.pop()()
        assert self.told == ["signal"]


class StopRequestTests(SynchronousTestCase):
    def test_the_first_request_stops_and_the_second_hurries(self) -> None:
        """Our choice; the reactor, asked twice, would log that it is not running."""
        told: list[str] = []
        stop = StopRequests(lambda: told.append("stop"), lambda: told.append("hurry"), 10)
        for _ in range(3):
            stop()
        assert told == ["stop", "hurry", "hurry"]
