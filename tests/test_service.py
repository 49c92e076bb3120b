"""The service: sweeping, listening, stopping."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase

from mcp_echo.host.listening import Place, StartError, endpoint_description
from mcp_echo.protocol.errors import SessionNotFound
from mcp_echo.protocol.revisions import Supported
from mcp_echo.service import (
    Clocks,
    EchoService,
    Sweeper,
    build,
)
from mcp_echo.sessions.session import UNKNOWN_CLIENT
from mcp_echo.settings.load import load
from mcp_echo.settings.table import ConfigError, Settings
from mcp_echo.transport.edge.site import LINGER
from mcp_echo.transport.ports import Listener
from tests.making import session_in


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
        service = EchoService(clock, load({}, environ), clocks=Clocks(clock.seconds, clock.seconds))
        service.startService()
        session_in(service.store, None, Supported().offered, UNKNOWN_CLIENT)
        for now, living in ((60, 1), (120, 0)):
            clock.advance(60)
            assert (clock.seconds(), len(service.store)) == (now, living)
        assert service.store.statistics.sweeps == 2
        service.stopService()
        assert clock.getDelayedCalls() == []

    def test_one_failing_sweep_does_not_end_the_sweeping(self) -> None:
        """LoopingCall stops for good on an exception; sessions would pile up."""
        clock, store = Clock(), FailingStore()
        sweeper = Sweeper(clock, cast(Any, store).expire, "session cleanup", 60)
        sweeper.startService()
        clock.pump([60, 60, 60])
        assert store.sweeps == 3
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        sweeper.stopService()
        assert clock.getDelayedCalls() == []


class ClockJumpTests(SynchronousTestCase):
    def test_a_wall_clock_that_jumps_neither_ends_nor_revives_a_session(self) -> None:
        """Our choice: time passes on the steady clock; the wall clock, which can be set, is shown."""
        clock, wall = Clock(), Clock()
        wall.advance(1_700_000_000)
        environ = {"MCP_SESSION_TIMEOUT": "100", "MCP_SESSION_CLEANUP_INTERVAL": "10"}
        service = EchoService(clock, load({}, environ), clocks=Clocks(clock.seconds, wall.seconds))
        service.startService()
        session = session_in(service.store, None, Supported().offered, UNKNOWN_CLIENT)
        for jump in (86_400 * 365, -86_400 * 3650, 86_400 * 3285):
            wall.rightNow += jump
            clock.advance(30)
            assert len(service.store) == 1, jump
        clock.advance(10)
        assert len(service.store) == 0
        for jump in (-1000, 1000):
            wall.rightNow += jump
            self.assertRaises(SessionNotFound, service.store.use, session.id, None)
        service.stopService()


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
            ({"MCP_PROTOCOL_VERSION": "2020-01-01"}, "MCP_ECHO_PROTOCOL_VERSION"),
            ({"MCP_PROTOCOL_VERSIONS_SUPPORTED": "2025-06-18,x"}, "MCP_ECHO_PROTOCOL_VERSIONS_SUPPORTED"),
            ({"MCP_ECHO_ALLOWED_ORIGINS": "localhost"}, "MCP_ECHO_ALLOWED_ORIGINS: 'localhost'"),
            ({"MCP_ECHO_ALLOWED_HOSTS": "a b"}, "MCP_ECHO_ALLOWED_HOSTS: 'a b'"),
        ):
            error = self.assertRaises(ConfigError, build, MemoryReactorClock(), load({}, environ))
            assert named in str(error)
            assert "\n" not in str(error)


class Port:
    """A port that says whether it is open, and takes its time to close."""

    def __init__(self) -> None:
        self.open = True
        self.closed: Deferred[None] = Deferred()

    def stopListening(self) -> Deferred[None]:
        self.open = False
        return self.closed


class Endpoint:
    """An endpoint that listens when its test says so."""

    def __init__(self, outcome: Deferred[Any] | None = None) -> None:
        self.port = Port()
        self.outcome = succeed(self.port) if outcome is None else outcome

    def listen(self, _factory: object) -> Deferred[Any]:
        return self.outcome


class ListenerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.whole = EchoService(
            self.clock, load({}, {}), clocks=Clocks(self.clock.seconds, self.clock.seconds)
        )
        self.told: list[str] = []

    def listener(self, endpoint: Endpoint) -> Listener:
        place = Place(cast(Any, endpoint), "here", lambda: self.told.append("refused"))
        return Listener(
            place,
            self.whole.site,
            10,
            health=self.whole.health,
            streams=self.whole.streams,
            listening=lambda _port: self.told.append("listening"),
        )

    def started(self, endpoint: Endpoint) -> Listener:
        listener = self.listener(endpoint)
        listener.privilegedStartService()
        listener.startService()
        return listener

    def connect(self) -> StringTransportWithDisconnection:
        channel = self.whole.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337))
        transport = StringTransportWithDisconnection()
        transport.protocol = channel
        transport.abortConnection = transport.loseConnection
        channel.makeConnection(transport)
        return transport

    def test_a_port_that_cannot_be_had_ends_the_start_in_one_line(self) -> None:
        """A daemon that runs on without a port helps nobody."""
        for reason in (CannotListenError("127.0.0.1", 3000, OSError("in use")), PermissionError(13, "no")):
            listener = self.listener(Endpoint(fail(reason)))
            error = self.assertRaises(StartError, listener.privilegedStartService)
            assert str(error).startswith("cannot listen on here")
        assert self.told == []

    def test_a_port_that_is_refused_later_stops_the_server(self) -> None:
        """Our choice, as above: endpoints are plugins, and some take their time."""
        outcome: Deferred[Any] = Deferred()
        listener = self.started(Endpoint(outcome))
        outcome.errback(CannotListenError("127.0.0.1", 3000, OSError("in use")))
        assert self.told == ["refused"]
        self.successResultOf(listener.stopService())

    def test_it_says_that_it_listens_once_it_does(self) -> None:
        """sd_notify(3): READY=1 means that startup is finished."""
        outcome: Deferred[Any] = Deferred()
        endpoint = Endpoint(outcome)
        self.started(endpoint)
        assert self.told == []
        outcome.callback(endpoint.port)
        assert self.told == ["listening"]

    def test_a_stop_before_the_port_listens_gives_it_up(self) -> None:
        """Our choice: nothing may be left behind that listens later."""
        outcome: Deferred[Any] = Deferred()
        listener = self.started(Endpoint(outcome))
        self.successResultOf(listener.stopService())
        assert (outcome.called, self.told) == (True, [])

    def test_stopping_closes_the_port_and_says_that_it_drains(self) -> None:
        endpoint = Endpoint()
        listener = self.started(endpoint)
        assert endpoint.port.open
        stopped = listener.stopService()
        assert (endpoint.port.open, self.whole.health.draining) == (False, True)
        endpoint.port.closed.callback(None)
        self.successResultOf(stopped)
        assert self.clock.getDelayedCalls() == []

    def test_no_connection_is_closed_before_the_port_is(self) -> None:
        """A client whose connection closes opens another: the port must refuse it, not take and lose it."""
        endpoint = Endpoint()
        listener = self.started(endpoint)
        transport = self.connect()
        stopped = listener.stopService()
        self.clock.advance(LINGER)
        assert transport.connected
        endpoint.port.closed.callback(None)
        self.clock.advance(LINGER)
        assert not transport.connected
        self.successResultOf(stopped)

    def test_a_port_that_does_not_close_does_not_keep_the_server(self) -> None:
        """Our choice: connections are drained all the same, and the log has the reason."""
        endpoint = Endpoint()
        stopped = self.started(endpoint).stopService()
        endpoint.port.closed.errback(OSError("no"))
        self.successResultOf(stopped)
        assert len(self.flushLoggedErrors(OSError)) == 1

    def test_hurrying_ends_what_is_left_at_once(self) -> None:
        """Our choice: who asks twice does not want to wait."""
        endpoint = Endpoint()
        endpoint.port.closed.callback(None)
        listener = self.started(endpoint)
        # As of a client that does not read the end of its answer.
        transport = self.connect()
        transport.loseConnection = lambda: None
        stopped = listener.stopService()
        self.clock.advance(5)
        self.assertNoResult(stopped)
        listener.hurry()
        self.successResultOf(stopped)
        assert self.clock.getDelayedCalls() == []

    def test_hurrying_before_the_drain_has_begun_leaves_no_time_for_it(self) -> None:
        """Two signals may come in one turn of the reactor, before it has stopped anything."""
        endpoint = Endpoint()
        listener = self.started(endpoint)
        self.connect()
        stopped = listener.stopService()
        listener.hurry()
        endpoint.port.closed.callback(None)
        self.clock.advance(0)
        self.successResultOf(stopped)


def test_defaults_are_what_a_laptop_wants() -> None:
    """Bound to loopback, known to nobody else."""
    settings: Settings = load({}, {}).settings
    assert (settings.host, settings.port, settings.reveal_secrets) == ("127.0.0.1", "3000", False)
