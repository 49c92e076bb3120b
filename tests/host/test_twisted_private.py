"""What the private names of Twisted are used for; a Twisted that has changed them fails here first."""

from __future__ import annotations

import socket
from pathlib import Path

from twisted.internet import tcp, unix
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.web.client import HTTPConnectionPool

from mcp_echo.host import twisted_private
from tests.transport.edge.test_writing import Watcher


def test_a_connection_whose_buffer_is_not_empty_has_not_written_all() -> None:
    """`tcp.Connection._tempDataBuffer`: what was written in this turn of the reactor."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        connection = tcp.Connection(ours, Protocol(), Watcher())
        connection.connected = 1
        assert twisted_private.has_written_all(connection)
        connection.write(b"x")
        assert not twisted_private.has_written_all(connection)
        connection.doWrite()
        assert twisted_private.has_written_all(connection)
        connection.write(b"x" * 10_000_000)
        connection.doWrite()
        assert not twisted_private.has_written_all(connection), "the socket has not taken it all"


def listening(family: int, address: object) -> socket.socket:
    port = socket.socket(family)
    port.bind(address)
    port.listen()
    port.setblocking(False)
    return port


def test_a_port_that_is_left_open_is_open_for_the_others() -> None:
    """`tcp.Port._shouldShutdown`: a shutdown is of the socket, which all descriptors share."""
    with listening(socket.AF_INET, ("127.0.0.1", 0)) as others:
        port = twisted_private.tcp_port(tcp.Port, Watcher(), others.fileno(), socket.AF_INET, Factory())
        port.startListening()
        assert port.getHost().port == others.getsockname()[1]
        twisted_private.leave_open_for_others(port)
        port.connectionLost(None)
        with socket.create_connection(others.getsockname(), 5):
            others.accept()[0].close()


def test_the_file_of_a_unix_port_stays(tmp_path: Path) -> None:
    """`unix.Port._bindPath`: Twisted removes the file of a port that it closes."""
    path = tmp_path / "port"
    with listening(socket.AF_UNIX, str(path)) as others:
        before = path.stat().st_mode
        port = twisted_private.unix_port(unix.Port, Watcher(), others.fileno(), Factory())
        port.startListening()
        port.connectionLost(None)
        assert path.stat().st_mode == before


def test_a_quiet_pool_makes_quiet_connections() -> None:
    """`HTTPConnectionPool._factory`: what its connections are made by."""
    pool = HTTPConnectionPool(MemoryReactorClock())
    assert pool._factory.noisy
    twisted_private.connect_quietly(pool)
    assert not pool._factory.noisy
    assert HTTPConnectionPool._factory.noisy, "other pools are as they were"
