"""What the service manager is told. sd_notify(3), sd_watchdog_enabled(3)."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from mcp_echo.host.notify import STATUS_INTERVAL, Notices, watchdog_interval
from mcp_echo.protocol.revisions import Supported
from mcp_echo.service import Clocks, EchoService
from mcp_echo.sessions.session import UNKNOWN_CLIENT
from mcp_echo.settings.load import load
from tests.making import session_in


class NotifyTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = str(Path(directory.name) / "notify")
        self.bind(self.path)
        self.status = "quiet"
        self.logged: list[Any] = []
        globalLogPublisher.addObserver(self.logged.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged.append)

    def bind(self, address: str) -> None:
        """Be the service manager at an address."""
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        self.manager.setblocking(False)
        self.manager.bind(address)

    def notices(self, **environ: str) -> Notices:
        notices = Notices(self.clock, {"NOTIFY_SOCKET": self.path, **environ}, lambda: self.status)
        self.addCleanup(notices.stopped)
        return notices

    def told(self) -> list[str]:
        """Return the messages that have come, each as one string."""
        messages = []
        while True:
            try:
                messages.append(self.manager.recv(4096).decode())
            except BlockingIOError:
                return messages

    def complaints(self) -> list[Any]:
        return [event["address"] for event in self.logged if "NOTIFY_SOCKET" in (event["log_format"] or "")]


class NoticesTests(NotifyTestCase):
    def test_readiness_is_told_once_and_the_status_when_it_changes(self) -> None:
        notices = self.notices()
        assert self.told() == []
        notices.ready()
        assert self.told() == ["READY=1\nSTATUS=quiet"]
        self.clock.advance(STATUS_INTERVAL)
        assert self.told() == []
        self.status = "busy"
        self.clock.advance(STATUS_INTERVAL)
        assert self.told() == ["STATUS=busy"]

    def test_a_name_in_the_abstract_name_space_is_found(self) -> None:
        """unix(7); systemd itself listens there in containers."""
        name = f"mcp-echo-test-{os.getpid()}"
        self.bind(f"\0{name}")
        self.notices(NOTIFY_SOCKET=f"@{name}").ready()
        assert self.told() == ["READY=1\nSTATUS=quiet"]

    def test_a_stop_is_told_with_the_time_it_may_take(self) -> None:
        """Where TimeoutStopSec= is shorter than the drain, systemd would kill the server during it."""
        notices = self.notices()
        notices.ready()
        self.told()
        notices.stopping(15)
        assert self.told() == ["STOPPING=1\nEXTEND_TIMEOUT_USEC=15000000"]

    def test_the_watchdog_hears_from_a_reactor_that_turns(self) -> None:
        notices = self.notices(WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getpid()))
        notices.ready()
        assert self.told() == ["READY=1\nSTATUS=quiet", "WATCHDOG=1"]
        self.clock.pump([14, 1, 14, 1])
        assert self.told() == ["WATCHDOG=1"] * 2
        notices.stopping(15)
        self.clock.advance(15)
        assert self.told()[-1] == "WATCHDOG=1", "a drain is no reason to be restarted"
        notices.stopped()
        assert self.clock.getDelayedCalls() == []

    def test_without_a_watchdog_there_is_no_beat(self) -> None:
        self.notices().ready()
        self.clock.advance(STATUS_INTERVAL * 10)
        assert self.told() == ["READY=1\nSTATUS=quiet"]

    def test_without_a_service_manager_nothing_happens(self) -> None:
        for environ in ({}, {"NOTIFY_SOCKET": "", "WATCHDOG_USEC": "30000000"}):
            notices = Notices(self.clock, environ, lambda: self.status)
            with mock.patch("socket.socket", side_effect=AssertionError):
                notices.ready()
                notices.stopping(15)
                notices.stopped()
            assert self.clock.getDelayedCalls() == []

    def test_a_socket_that_fails_is_logged_once_and_nothing_ends(self) -> None:
        """Our choice: clients are served whether or not anybody watches."""
        for address in ("/nowhere/notify", "vsock:2:1234", "/" + "x" * 200):
            notices = self.notices(NOTIFY_SOCKET=address, WATCHDOG_USEC="10000000")
            notices.ready()
            self.clock.pump([5] * 4)
            notices.stopping(15)
            notices.stopped()
            assert self.complaints() == [address]
            self.logged.clear()

    def test_a_service_manager_that_does_not_read_holds_up_nobody(self) -> None:
        """A full queue is no reason to wait: what was not taken is said again, and READY=1 above all."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            with self.assertRaises(BlockingIOError):
                while True:
                    other.sendto(b"x", self.path)
        self.notices().ready()
        assert self.complaints() == [self.path]
        assert set(self.told()) == {"x"}
        self.clock.advance(STATUS_INTERVAL)
        assert self.told() == ["READY=1\nSTATUS=quiet"]


class WatchdogIntervalTests(SynchronousTestCase):
    def test_it_is_half_the_time_for_the_process_that_is_meant(self) -> None:
        for environ, interval in (
            ({"WATCHDOG_USEC": "30000000"}, 15),
            ({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "77"}, 0.5),
            ({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "78"}, None),
            ({"WATCHDOG_USEC": "0"}, None),
            ({"WATCHDOG_USEC": "-1"}, None),
            ({"WATCHDOG_USEC": "soon"}, None),
            ({"WATCHDOG_USEC": ""}, None),
            ({}, None),
        ):
            assert watchdog_interval(environ, 77) == interval, environ


class EchoServiceTests(NotifyTestCase):
    def test_the_status_counts_sessions_and_streams_and_names_the_drain(self) -> None:
        """What systemctl status shows."""
        service = EchoService(
            self.clock,
            load({}, {}),
            clocks=Clocks(self.clock.seconds, self.clock.seconds),
            environ={"NOTIFY_SOCKET": self.path, "WATCHDOG_USEC": "30000000"},
        )
        service.startService()
        service.notices.ready()
        session_in(service.store, None, Supported().offered, UNKNOWN_CLIENT)
        self.clock.advance(STATUS_INTERVAL)
        assert self.told() == [
            "READY=1\nSTATUS=Serving: 0 sessions, 0 streams",
            "WATCHDOG=1",
            "STATUS=Serving: 1 sessions, 0 streams",
        ]
        service.health.draining = True
        assert service.status() == "Draining: 1 sessions, 0 streams"
        self.successResultOf(service.stopService())
        assert self.told() == ["STOPPING=1\nEXTEND_TIMEOUT_USEC=15000000"]
        assert self.clock.getDelayedCalls() == []
