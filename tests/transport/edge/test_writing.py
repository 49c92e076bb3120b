"""Pieces of event streams go to the socket itself, and nothing overtakes anything.

Our choice: for a message to many streams, a turn of the reactor for each of them is most of what it costs.
"""

from __future__ import annotations

import socket

from twisted.internet import tcp
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from mcp_echo.settings.load import load
from mcp_echo.transport.edge.connection import Connection
from mcp_echo.transport.edge.site import EchoSite
from tests.transport.edge.test_site import Recorder


@implementer(IReactorFDSet)
class Watcher(Clock):
    """A reactor that only remembers whom it was asked to watch."""

    def __init__(self) -> None:
        super().__init__()
        self.writers: set[object] = set()

    def addReader(self, reader: object) -> None:
        pass

    def removeReader(self, reader: object) -> None:
        pass

    def addWriter(self, writer: object) -> None:
        self.writers.add(writer)

    def removeWriter(self, writer: object) -> None:
        self.writers.discard(writer)


class LocalConnection(tcp.Connection):
    """One end of a pair of connected sockets."""

    connected = 1

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 1)

    getHost = getPeer

    def setTcpNoDelay(self, enabled: bool) -> None:
        """The sockets of the pair are no TCP sockets."""

    def connectionLost(self, reason: object) -> None:
        """The test closes the socket."""


class PromptWritingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.watcher = Watcher()
        ours, self.client = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(self.client.close)
        for end in (ours, self.client):
            end.setblocking(False)
        site = EchoSite(Recorder(), self.watcher, load({}, {}).settings)
        self.channel: Connection = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        self.transport = LocalConnection(ours, self.channel, self.watcher)
        self.channel.makeConnection(self.transport)

    def received(self) -> bytes:
        """Return what has come, and let the transport write on in turns until nothing waits."""
        came = b""
        while True:
            try:
                came += self.client.recv(1 << 20)
            except BlockingIOError:
                if self.transport not in self.watcher.writers:
                    return came
                assert self.transport.doWrite() is None

    def test_a_piece_is_on_its_way_without_a_turn_of_the_reactor(self) -> None:
        self.channel.write(b"5\r\nhello\r\n")
        assert self.client.recv(100) == b"5\r\nhello\r\n"
        assert self.watcher.writers == set()

    def test_what_the_socket_does_not_take_follows_in_order(self) -> None:
        pieces = [bytes([number]) * 100_000 for number in range(20)]
        for piece in pieces:
            self.channel.write(piece)
        assert self.watcher.writers == {self.transport}
        assert self.received() == b"".join(pieces)

    def test_a_piece_does_not_overtake_what_was_written_before_it(self) -> None:
        self.transport.write(b"the head, ")
        self.channel.write(b"then the piece")
        assert self.received() == b"the head, then the piece"

    def test_a_broken_connection_is_left_for_the_reactor_to_find(self) -> None:
        self.client.close()
        self.channel.write(b"lost")
        assert self.watcher.writers == {self.transport}
        assert self.transport.doWrite() is not None

    def test_nothing_is_sent_on_a_connection_that_is_being_closed(self) -> None:
        self.transport.write(b"last words")
        self.transport.loseConnection()
        self.transport.doWrite()
        self.channel.write(b"too late")
        assert self.client.recv(100) == b"last words"
