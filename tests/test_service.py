"""The service: sweeping, listening, stopping."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from mcp_echo.config import ConfigError, Settings, load
from mcp_echo.protocol.revisions import Supported
from mcp_echo.service import EchoService, Listener, StartError, Sweeper, build, endpoint_description
from mcp_echo.state.session import UNKNOWN_CLIENT


class FailingStore:
    """A store whose first sweep fails."""

    def __init__(self) -> None:
        self.sweeps = 0

    def expire(self) -> int:
        self.sweeps += 1
        if self.sweeps == 1:
            raise ZeroDivisionError("once")
        return 0


class SweeperTests(SynchronousTestCase):
    def test_expired_sessions_end_without_a_request(self) -> None:
        """MCP_SESSION_TIMEOUT, MCP_SESSION_CLEANUP_INTERVAL."""
        clock = Clock()
        environ = {"MCP_SESSION_TIMEOUT": "100", "MCP_SESSION_CLEANUP_INTERVAL": "60"}
        service = EchoService(clock, load({}, environ), clock.seconds, clock.seconds)
        service.startService()
        service.store.create(None, Supported().offered, UNKNOWN_CLIENT)
        for now, living in ((60, 1), (120, 0)):
            clock.advance(60)
            assert (clock.seconds(), len(service.store)) == (now, living)
        assert service.store.statistics.sweeps == 2
        service.stopService()
        assert clock.getDelayedCalls() == []

    def test_one_failing_sweep_does_not_end_the_sweeping(self) -> None:
        """LoopingCall stops for good on an exception; sessions would pile up."""
        clock, store = Clock(), FailingStore()
        sweeper = Sweeper(clock, cast(Any, store), 60)
        sweeper.startService()
        clock.pump([60, 60, 60])
        assert store.sweeps == 3
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        sweeper.stopService()
        assert clock.getDelayedCalls() == []


class EndpointTests(SynchronousTestCase):
    def describe(self, **environ: str) -> str:
        return endpoint_description(load({}, environ).settings)

    def test_a_number_is_a_tcp_port_on_the_host(self) -> None:
        """MCP_ECHO_HOST, MCP_ECHO_PORT."""
        assert self.describe() == "tcp:3000:interface=127.0.0.1"
        assert self.describe(MCP_ECHO_HOST="::1", MCP_ECHO_PORT="80") == r"tcp:80:interface=\:\:1"

    def test_anything_else_is_an_endpoint_description(self) -> None:
        """twisted.internet.endpoints.serverFromString."""
        assert self.describe(MCP_ECHO_PORT="unix:/run/x") == "unix:/run/x"

    def test_it_listens_where_it_was_told(self) -> None:
        reactor = MemoryReactorClock()
        service = build(reactor, load({}, {"MCP_ECHO_HOST": "127.0.0.2", "MCP_ECHO_PORT": "3456"}))
        service.privilegedStartService()
        ((port, _, _, interface),) = reactor.tcpServers
        assert (port, interface) == (3456, "127.0.0.2")

    def test_impossible_settings_end_the_start(self) -> None:
        for environ, named in (
            ({"MCP_ECHO_PORT": "bogus:1"}, "MCP_ECHO_PORT"),
            ({"MCP_ECHO_PORT": "tcp:x"}, "MCP_ECHO_PORT"),
            ({"MCP_PROTOCOL_VERSION": "2020-01-01"}, "MCP_PROTOCOL_VERSION"),
            ({"MCP_PROTOCOL_VERSIONS_SUPPORTED": "2025-06-18,x"}, "MCP_PROTOCOL_VERSIONS_SUPPORTED"),
            ({"MCP_ECHO_ALLOWED_ORIGINS": "localhost"}, "localhost"),
            ({"MCP_ECHO_ALLOWED_HOSTS": "a b"}, "a b"),
        ):
            error = self.assertRaises(ConfigError, build, MemoryReactorClock(), load({}, environ))
            assert named in str(error)
            assert "\n" not in str(error)


class Endpoint:
    """A port that can be refused, and says when it is closed."""

    def __init__(self, refuse: Exception | None = None) -> None:
        self.refuse = refuse
        self.running = False

    def privilegedStartService(self) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.running = True

    def startService(self) -> None:
        pass

    def stopService(self) -> Deferred[None]:
        self.running = False
        return succeed(None)


class ListenerTests(SynchronousTestCase):
    def listener(self, endpoint: Endpoint) -> tuple[Listener, EchoService, Clock]:
        clock = Clock()
        whole = EchoService(clock, load({}, {}), clock.seconds, clock.seconds)
        listener = Listener(
            cast(Any, endpoint), whole.site, whole.health, whole.streams, drain_timeout=10, where="here"
        )
        return listener, whole, clock

    def test_a_port_that_cannot_be_had_ends_the_start_in_one_line(self) -> None:
        """A daemon that runs on without a port helps nobody."""
        for reason in (CannotListenError("127.0.0.1", 3000, OSError("in use")), PermissionError(13, "no")):
            listener, _, _ = self.listener(Endpoint(reason))
            error = self.assertRaises(StartError, listener.privilegedStartService)
            assert str(error).startswith("cannot listen on here")

    def test_stopping_closes_the_port_and_says_that_it_drains(self) -> None:
        endpoint = Endpoint()
        listener, whole, clock = self.listener(endpoint)
        listener.privilegedStartService()
        listener.startService()
        assert endpoint.running
        self.successResultOf(listener.stopService())
        assert (endpoint.running, whole.health.draining) == (False, True)
        assert clock.getDelayedCalls() == []


def test_defaults_are_what_a_laptop_wants() -> None:
    """Bound to loopback, known to nobody else."""
    settings: Settings = load({}, {}).settings
    assert (settings.host, settings.port, settings.reveal_secrets) == ("127.0.0.1", "3000", False)
