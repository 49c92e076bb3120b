"""A worker's side: its place, the port it shares, and what it does when its parent dies."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast
from unittest import mock

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mcp_echo import __main__
from mcp_echo.settings.load import load
from mcp_echo.settings.table import ConfigError
from mcp_echo.tap import Options
from mcp_echo.workers.assignment import VARIABLE, Assignment, assignment_in
from mcp_echo.workers.worker import FEW, LOOK_AWAY, ParentWatch, adopted, shared_endpoint
from tests.certificates import make_certificate

PLACE = Assignment(2, "/run/x", "/run/x/2.metrics", "k" * 43 + "=", "asyncio")


class PlaceTests(SynchronousTestCase):
    def test_a_worker_reads_what_its_parent_wrote(self) -> None:
        environ = {VARIABLE: PLACE.written(), "HOME": "/"}
        assert assignment_in(environ) == PLACE
        assert environ == {"HOME": "/"}
        assert assignment_in(environ) is None

    def test_what_no_parent_wrote_is_refused(self) -> None:
        """A variable of that name in an operator's file must not make a worker without a parent."""
        for written in ("", "4", "{}", '{"number": 1}', '{"nonsense": 1}'):
            self.assertRaises(ConfigError, assignment_in, {VARIABLE: written})

    def test_the_settings_of_a_worker_are_the_operators(self) -> None:
        """environmentDump shows the same values and origins in every worker, and no key that nobody set."""
        environ = {"MCP_ECHO_WORKERS": "4", "MCP_ECHO_REVEAL_SECRETS": "true", VARIABLE: PLACE.written()}
        with mock.patch.dict(os.environ, environ, clear=True):
            options = Options()
            options.parseOptions(["--port=3210"])
        del environ[VARIABLE]
        effective = load({"port": "3210"}, environ)
        assert options.assignment == PLACE
        assert options.effective.values == effective.values
        assert options.effective.origins == effective.origins
        assert len(effective.warnings) == 1
        assert options.effective.warnings == (), "the parent has said them"
        assert options.effective.settings.state_key == PLACE.state_key

    def test_the_key_of_the_operator_is_taken_where_there_is_one(self) -> None:
        """MCP_ECHO_STATE_KEY: servers that share clients have the same."""
        key = "x" * 43 + "="
        assert PLACE.settle(load({"state_key": key}, {})).settings.state_key == key

    def test_a_worker_takes_its_parents_reactor_and_leaves_its_process_group(self) -> None:
        """Ctrl-C goes to the group: a worker that heard it beside the parent's signal would stop at once."""
        for environ, arguments, left in (
            ({VARIABLE: PLACE.written()}, ["--reactor=asyncio"], 1),
            ({}, [], 0),
        ):
            with mock.patch.dict(os.environ, environ, clear=True), mock.patch("os.setsid") as setsid:
                assert __main__._as_worker() == arguments
            assert setsid.call_count == left


class SharedPortTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.held = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.held.close)

    def share(self, description: str, factory: Factory, connections: int = 0) -> Any:
        """Return a port that listens as a worker's does."""
        descriptor = os.dup(self.held.fileno())
        endpoint = shared_endpoint(
            self.reactor, description, "MCP_ECHO_PORT", lambda: connections, descriptor
        )
        port = self.successResultOf(endpoint.listen(factory))
        self.addCleanup(port.connectionLost, Failure(ConnectionDone()))
        return port

    def test_every_kind_of_endpoint_listens_on_the_parents_port(self) -> None:
        """MCP_ECHO_PORT takes any endpoint; what wraps one, such as haproxy, still does."""
        for description, wrapped in (
            ("tcp:3000:interface=127.0.0.1", False),
            ("unix:/run/mcp.sock", False),
            ("systemd:domain=INET:name=mcp-echo", False),
            ("systemd:domain=INET:index=0", False),
            ("haproxy:tcp:3000", True),
            ("haproxy:systemd:domain=INET:index=0", True),
        ):
            factory = Factory.forProtocol(Protocol)
            port = self.share(description, factory)
            assert port.socket.getsockname() == self.held.getsockname()
            assert (port.factory is not factory) == wrapped, description

    def test_each_worker_adds_tls_itself(self) -> None:
        """An ``ssl:`` endpoint: the port that is held knows nothing of it."""
        with TemporaryDirectory() as directory:
            certificate, key = make_certificate(Path(directory), "localhost")
            factory = Factory.forProtocol(Protocol)
            port = self.share(f"ssl:0:privateKey={key}:certKey={certificate}", factory)
        assert isinstance(port.factory, TLSMemoryBIOFactory)
        assert port.factory.wrappedFactory is factory

    def test_what_is_no_endpoint_is_refused(self) -> None:
        error = self.assertRaises(ConfigError, shared_endpoint, self.reactor, "bogus:1", "MCP_ECHO_PORT", int)
        assert "MCP_ECHO_PORT" in str(error)

    def test_a_worker_that_has_connections_leaves_the_next_to_others(self) -> None:
        """Our choice: many clients that come at once and stay must not all be one worker's."""
        for connections, looking in ((FEW - 1, 1), (FEW, 0)):
            port = self.share("tcp:0", Factory.forProtocol(Protocol), connections)
            with ExitStack() as stack:
                for _ in range(3):
                    stack.enter_context(socket.create_connection(self.held.getsockname()))
                for taken in (1, 2, 3):
                    port.doRead()
                    assert port.sessionno == taken
                    assert self.reactor.getReaders().count(port) == looking
                    self.reactor.advance(LOOK_AWAY)
                    assert port in self.reactor.getReaders()
                for transport in [each for each in self.reactor.getReaders() if each is not port]:
                    cast(Any, transport).connectionLost(Failure(ConnectionDone()))
            self.reactor.removeReader(port)

    def test_a_port_that_is_closed_while_it_looks_away_stays_closed(self) -> None:
        port = self.share("tcp:0", Factory.forProtocol(Protocol), FEW)
        port.doRead()
        port.stopReading()
        port.connected = False
        self.reactor.advance(LOOK_AWAY)
        assert port not in self.reactor.getReaders()

    def test_a_worker_neither_removes_a_unix_socket_nor_changes_its_mode(self) -> None:
        """It is the parent's, and others still serve on it; with a port of its own Twisted does both."""
        with TemporaryDirectory() as directory:
            path = Path(directory) / "mcp.sock"
            with socket.socket(socket.AF_UNIX) as held:
                held.bind(str(path))
                held.listen()
                path.chmod(0o600)
                port = cast(Any, adopted(self.reactor, os.dup(held.fileno()), Factory(), int))
                assert path.stat().st_mode & 0o777 == 0o600
                port.connectionLost(Failure(ConnectionDone()))
                assert path.exists()

    def test_a_worker_that_stops_leaves_the_port_to_the_others(self) -> None:
        """shutdown(2) ends a port in every process that has it; Twisted forgets that for Unix sockets."""
        with TemporaryDirectory() as directory:
            path = str(Path(directory) / "mcp.sock")
            for held in (socket.socket(socket.AF_UNIX), socket.socket(socket.AF_INET)):
                with held:
                    held.bind(path if held.family == socket.AF_UNIX else ("127.0.0.1", 0))
                    held.listen()
                    port = cast(Any, adopted(self.reactor, os.dup(held.fileno()), Factory(), int))
                    port.connectionLost(Failure(ConnectionDone()))
                    with socket.socket(held.family) as client:
                        client.settimeout(5)
                        client.connect(held.getsockname())


class ParentWatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name) / "mcp-echo-x"
        self.directory.mkdir()
        reading, self.parent = os.pipe()
        self.addCleanup(os.close, reading)
        self.reactor = MemoryReactorClock()
        self.stops = 0
        assignment = Assignment(1, str(self.directory), "", "")
        self.watch = ParentWatch(self.reactor, assignment, self.stop, reading)
        self.watch.startService()

    def stop(self) -> None:
        self.stops += 1

    def test_a_worker_stops_when_its_parent_is_gone_and_tidies_up_after_it(self) -> None:
        """Our choice: nobody would restart it, count it or stop it, and it would hold the port for ever."""
        (reader,) = self.reactor.getReaders()
        os.close(self.parent)
        cast(Any, reader).doRead()
        assert self.stops == 1
        assert self.reactor.getReaders() == []
        assert self.directory.exists(), "its own sockets are in there until it has stopped"
        for call, arguments, keywords in self.reactor.triggers["after"]["shutdown"]:
            call(*arguments, **keywords)
        assert not self.directory.exists()

    def test_a_worker_that_stops_is_not_hurried_by_the_end_of_its_parent(self) -> None:
        """A second request to stop drops connections."""
        self.watch.stopService()
        assert self.reactor.getReaders() == []
        os.close(self.parent)
        assert self.stops == 0
