"""The HTTP server below the routes: header lines, bodies, connections."""

from __future__ import annotations

import json
import sys

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase

from mcp_echo.settings.load import load
from mcp_echo.transport.edge.answer import Lines
from mcp_echo.transport.edge.connection import Connection
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.transport.edge.head import Head
from mcp_echo.transport.edge.repeated import LONGEST
from mcp_echo.transport.edge.site import LINGER, EchoSite

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
SLOW = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"


class Recorder:
    """Keeps every request; answers those to / and leaves the others open."""

    def __init__(self) -> None:
        self.requests: list[HttpExchange] = []
        self.bodies: list[bytes] = []

    def answer(self, exchange: HttpExchange) -> None:
        self.requests.append(exchange)
        self.bodies.append(exchange.body)
        if exchange.head.path == b"/":
            exchange.reply(200, b"ok")

    def refusal_lines(self, head: Head) -> Lines:  # noqa: ARG002
        return ()


class SiteTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.recorder = Recorder()
        self.site = EchoSite(self.recorder, self.clock, load({}, {}).settings)

    def connect(self) -> tuple[Connection, StringTransportWithDisconnection]:
        channel = self.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337))
        transport = StringTransportWithDisconnection()
        transport.protocol = channel
        channel.makeConnection(transport)
        return channel, transport

    def post(self, body: bytes, head: bytes) -> HttpExchange:
        channel, _ = self.connect()
        channel.dataReceived(b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n" + body)
        return self.recorder.requests[-1]


class RepeatedHeadTests(SiteTestCase):
    """Our choice: a head that comes again is not read anew, and means what it meant."""

    def ask_again(self, first: bytes, second: bytes) -> list[HttpExchange]:
        channel, _ = self.connect()
        channel.dataReceived(first)
        channel.dataReceived(second)
        return self.recorder.requests

    def test_what_lets_go_of_its_head_takes_it_from_no_later_request(self) -> None:
        """An event stream may end at once, and the next request on the connection have the same head."""
        request = b"POST / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok"
        channel, _ = self.connect()
        for _ in range(2):
            channel.dataReceived(request)
            self.recorder.requests[-1].forget()
        channel.dataReceived(request)
        assert self.recorder.requests[-1].values(b"x-a") == ["1"]

    def test_a_request_that_stays_keeps_no_head_for_the_next_one(self) -> None:
        channel, _ = self.connect()
        channel.dataReceived(b"GET /stays HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n\r\n")
        (request,) = self.recorder.requests
        fields = request.head.fields
        request.forget()
        # This name, and the argument.
        assert sys.getrefcount(fields) == 2

    def test_a_longer_head_is_read_anew(self) -> None:
        long = b"GET / HTTP/1.1\r\nHost: x\r\nX-A: %b\r\n\r\n" % (b"a" * LONGEST)
        first, second = self.ask_again(long, long)
        assert first.head is not second.head
        assert list(first.headers()) == list(second.headers())


class HeaderTests(SiteTestCase):
    def test_lines_are_kept_in_order_and_spelling_with_repetition(self) -> None:
        """What printHeader shows; twisted.web's own Headers merges and re-spells."""
        request = self.post(b"", b"x-b: 1\r\nACCEPT:a\r\nx-B:  2 \r\nContent-Length: 0\r\n")
        assert list(request.headers()) == [
            ("Host", "x"),
            ("x-b", "1"),
            ("ACCEPT", "a"),
            ("x-B", "2"),
            ("Content-Length", "0"),
        ]

    def test_values_outside_ascii_are_kept_byte_for_byte(self) -> None:
        """RFC 9110 section 5.5: obs-text; what is UTF-8 is nothing else, nearly always."""
        for value in (b"J\xf6rg", b"J\xc3\xb6rg"):
            request = self.post(b"", b"X-Name: " + value + b"\r\nContent-Length: 0\r\n")
            assert request.headers().get("x-name") == "J\xf6rg"
            assert request.values(b"x-name") == ["J\xf6rg"]


class BodyTests(SiteTestCase):
    def test_a_body_is_read_whole_declared_or_not(self) -> None:
        for head, body in (
            (b"Content-Length: 100\r\n", b"y" * 100),
            (
                b"Transfer-Encoding: chunked\r\n",
                b"32\r\n" + b"y" * 50 + b"\r\n32\r\n" + b"y" * 50 + b"\r\n0\r\n\r\n",
            ),
        ):
            self.post(body, head)
            assert self.recorder.bodies[-1] == b"y" * 100


class DrainTests(SiteTestCase):
    """RFC 9112 section 9.6: a server that is to close a connection says so and reads no request more."""

    def connect(self) -> tuple[Connection, StringTransportWithDisconnection]:
        channel, transport = super().connect()
        transport.abortConnection = transport.loseConnection
        return channel, transport

    def test_idle_connections_are_closed_once_nothing_can_be_on_its_way(self) -> None:
        """Our choice: a request that was sent before the client could know is not lost."""
        channel, transport = self.connect()
        channel.dataReceived(GET)
        _, unused = self.connect()
        drained = self.site.drain(10)
        assert transport.connected
        assert unused.connected
        self.clock.advance(LINGER)
        self.successResultOf(drained)
        assert not transport.connected
        assert not unused.connected
        assert self.clock.getDelayedCalls() == []

    def test_a_request_during_the_drain_is_answered_and_the_last(self) -> None:
        channel, transport = self.connect()
        channel.dataReceived(GET)
        assert b"close" not in transport.value()
        transport.clear()
        drained = self.site.drain(10)
        channel.dataReceived(GET + GET)
        assert transport.value().startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nConnection: close\r\n" in transport.value()
        assert transport.value().count(b"HTTP/1.1") == 1
        self.successResultOf(drained)
        assert self.clock.getDelayedCalls() == []

    def test_a_request_in_flight_is_waited_for(self) -> None:
        channel, transport = self.connect()
        channel.dataReceived(SLOW)
        drained = self.site.drain(10)
        self.clock.advance(9)
        self.assertNoResult(drained)
        self.recorder.requests[-1].open(200)
        self.recorder.requests[-1].write(b"late")
        self.recorder.requests[-1].finish()
        self.successResultOf(drained)
        assert transport.value().endswith(b"late\r\n0\r\n\r\n")
        assert b"\r\nConnection: close\r\n" in transport.value()
        assert self.clock.getDelayedCalls() == []

    def test_an_answer_that_has_begun_goes_on(self) -> None:
        channel, transport = self.connect()
        channel.dataReceived(SLOW)
        self.recorder.requests[-1].open(200)
        self.recorder.requests[-1].write(b"early")
        drained = self.site.drain(10)
        self.clock.advance(5)
        self.recorder.requests[-1].finish()
        self.successResultOf(drained)
        assert transport.value().endswith(b"early\r\n0\r\n\r\n")

    def test_a_request_that_is_half_received_is_turned_away_at_once(self) -> None:
        """RFC 9110 section 15.6.4: 503, with Retry-After; the rest may never come."""
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
        for part in (b"POS", b"POST / HTTP/1.1\r\n", head[:-2], head, head + b"{"):
            channel, transport = self.connect()
            channel.dataReceived(part)
            transport.loseConnection = lambda: None
            self.site.drain(10)
            channel.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
            response, _, body = transport.value().partition(b"\r\n\r\n")
            assert response.startswith(b"HTTP/1.1 503 Service Unavailable\r\n"), part
            assert b"\r\nRetry-After: 1" in response
            assert b"\r\nConnection: close" in response
            assert json.loads(body)["error"]["message"].startswith("The server is stopping")
            assert b"\r\nContent-Length: %d\r\n" % len(body) in response
            channel.connectionLost()
        assert self.recorder.requests == []

    def test_a_request_that_is_half_received_when_idle_connections_close_is_turned_away(self) -> None:
        """Our choice: what begins during the drain has until then."""
        channel, transport = self.connect()
        drained = self.site.drain(10)
        channel.dataReceived(b"POST / HTTP/1.1\r\n")
        self.clock.advance(LINGER)
        self.successResultOf(drained)
        assert transport.value().startswith(b"HTTP/1.1 503 ")

    def test_a_connection_that_closes_already_is_left_to(self) -> None:
        """As of a client that asked for that and does not read its answer; in the end it is aborted."""
        channel, transport = self.connect()
        lose, transport.loseConnection = transport.loseConnection, lambda: None
        channel.dataReceived(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = transport.value()
        drained = self.site.drain(10)
        self.clock.pump([LINGER, 9])
        self.assertNoResult(drained)
        assert transport.value() == answer
        lose()
        self.successResultOf(drained)

    def test_what_does_not_finish_in_time_is_aborted(self) -> None:
        """MCP_ECHO_DRAIN_TIMEOUT."""
        channel, transport = self.connect()
        channel.dataReceived(SLOW)
        drained = self.site.drain(10)
        self.clock.pump([LINGER, 9])
        self.assertNoResult(drained)
        self.clock.advance(0.5)
        self.successResultOf(drained)
        assert not transport.connected

    def test_idle_connections_do_not_outlast_a_short_drain(self) -> None:
        self.connect()
        drained = self.site.drain(LINGER / 2)
        self.clock.advance(LINGER / 2)
        self.successResultOf(drained)

    def test_without_connections_it_is_over_at_once(self) -> None:
        self.successResultOf(self.site.drain(10))
        assert self.clock.getDelayedCalls() == []
