"""What a client that sends and does not read can make a connection hold, and when it is read from."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import ISSLTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from mcp_echo.transport.edge import connection as edge
from mcp_echo.transport.edge.states import NEXT, RECEIVING
from tests.transport.edge.test_connection import GET, POST, Connection, EdgeTestCase

SEGMENT = 65536
"""Bytes that Twisted reads from a socket at once."""


class ReadingTests(EdgeTestCase):
    """RFC 9112 has no bound on what is sent ahead; ours is what one read from the socket brings."""

    def feed(self, channel: edge.Connection, connection: Connection, data: bytes) -> int:
        """Send as a kernel does, which is read from only while reading goes on; return the bytes taken."""
        taken = 0
        while taken < len(data) and connection.connected and connection.producerState == "producing":
            channel.dataReceived(data[taken : taken + SEGMENT])
            taken += len(data[taken : taken + SEGMENT])
        return taken

    def test_reading_stops_while_an_answer_is_worked_on_and_goes_on_behind_it(self) -> None:
        channel, connection = self.connect()
        channel.dataReceived(GET.replace(b"/ ", b"/slow ") + b"\r\n")
        assert connection.producerState == "producing", "or nobody would notice that the client has left"
        assert self.feed(channel, connection, (GET + b"\r\n") * 10_000) == SEGMENT
        assert len(self.recorder.requests) == 1
        self.recorder.requests[0].reply(200, b"late")
        assert connection.producerState == "producing"
        assert len(self.recorder.requests) > 1000

    def test_reading_stops_while_answers_wait_and_so_does_answering(self) -> None:
        for body in (b"", b"x" * 20_000):
            self.recorder.requests.clear()
            channel, connection = self.connect()
            connection.full = True
            flood = (POST + b"Content-Length: %d\r\n\r\n" % len(body) + body) * (400_000 // (len(body) + 60))
            assert self.feed(channel, connection, flood) == SEGMENT
            assert len(self.recorder.requests) == 1, "the first answer did not leave"
            answers = len(connection.value())
            connection.full = False
            channel.resumeProducing()
            assert len(connection.value()) > answers
            assert connection.producerState == "producing"

    def test_what_a_stalled_client_has_sent_is_let_go_with_it(self) -> None:
        """MCP_ECHO_STALL_TIMEOUT."""
        channel, connection = self.connect()
        connection.full = True
        self.feed(channel, connection, (GET + b"\r\n") * 5000)
        self.clock.pump([1] * 11)
        assert connection.aborted
        assert self.site.counts.stalls == 1
        assert (channel._data, channel.exchange) == (b"", None)

    def test_a_refused_client_is_read_from_again(self) -> None:
        """RFC 9112 section 9.6: or it would not see why."""
        channel, connection = self.connect()
        channel.dataReceived(GET)
        channel.pauseProducing()
        assert connection.producerState == "paused"
        self.site.drain(10)
        assert b" 503 " in connection.value()
        assert connection.producerState == "producing"

    def test_a_request_that_is_not_read_has_all_its_time_left(self) -> None:
        """MCP_ECHO_HEADER_TIMEOUT is the client's time, not ours."""
        channel, connection = self.connect()
        connection.dataBuffer = b"x" * 100_000
        channel.dataReceived(GET)
        channel.pauseProducing()
        for _ in range(5):
            self.clock.pump([1] * 9)
            connection.offset += 1000
        channel.resumeProducing()
        self.clock.pump([1] * 9)
        assert connection.connected
        assert connection.value() == b""
        self.clock.pump([1] * 2)
        assert b" 408 " in connection.value()


class HandshakeTests(EdgeTestCase):
    """A TLS client has the time of a head for its handshake, for it is the head of all that it sends."""

    def tls(self) -> tuple[edge.Connection, Connection]:
        channel = self.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337))
        assert channel is not None
        connection = Connection()
        directlyProvides(connection, ISSLTransport)
        connection.protocol = channel
        channel.makeConnection(connection)
        return channel, connection

    def test_half_a_handshake_is_not_held_longer_than_half_a_head(self) -> None:
        _, connection = self.tls()
        self.clock.pump([1] * 9)
        assert connection.connected
        self.clock.pump([1] * 2)
        assert connection.aborted

    def test_a_connection_that_is_agreed_on_may_be_idle(self) -> None:
        channel, connection = self.tls()
        channel.handshakeCompleted()
        self.clock.pump([1] * 60)
        assert connection.connected
        channel.dataReceived(GET + b"\r\n")
        assert b" 200 OK" in connection.value()


class StateTests(SynchronousTestCase):
    def test_every_state_can_be_come_to_and_left(self) -> None:
        """A row that nothing leads to is out of date."""
        reached = {"handshake", "awaiting"} | {state for events in NEXT.values() for state in events.values()}
        assert reached == set(NEXT)
        assert {state for state in NEXT if not NEXT[state]} == {"refused"}

    def test_what_can_be_refused_is_what_is_received(self) -> None:
        """An answer that is worked on is not overtaken by a refusal."""
        assert {state for state, events in NEXT.items() if "refused" in events} == RECEIVING
