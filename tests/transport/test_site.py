"""The HTTP server below the routes: header lines, bodies, connections."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from mcp_echo.config import load
from mcp_echo.transport.channel import EchoChannel
from mcp_echo.transport.request import EchoRequest
from mcp_echo.transport.site import EchoSite


class Recorder(Resource):
    """Keeps every request; answers those to / and leaves the others open."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[EchoRequest] = []
        self.bodies: list[bytes] = []

    def render(self, request: EchoRequest) -> bytes | int:
        self.requests.append(request)
        self.bodies.append(request.content.read())
        return b"ok" if request.path == b"/" else NOT_DONE_YET


class SiteTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.recorder = Recorder()
        self.site = EchoSite(self.recorder, self.clock, load({}, {}).settings)

    def connect(self) -> tuple[EchoChannel, StringTransportWithDisconnection]:
        channel = self.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337))
        transport = StringTransportWithDisconnection()
        transport.protocol = channel
        channel.makeConnection(transport)
        return channel, transport

    def post(self, body: bytes, head: bytes) -> EchoRequest:
        channel, _ = self.connect()
        channel.dataReceived(b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n" + body)
        return self.recorder.requests[-1]


class HeaderTests(SiteTestCase):
    def test_lines_are_kept_in_order_and_spelling_with_repetition(self) -> None:
        """What printHeader shows; twisted.web's own Headers merges and re-spells."""
        request = self.post(b"", b"x-b: 1\r\nACCEPT:a\r\nx-B:  2 \r\nContent-Length: 0\r\n")
        assert list(request.wire_headers()) == [
            ("Host", "x"),
            ("x-b", "1"),
            ("ACCEPT", "a"),
            ("x-B", "2"),
            ("Content-Length", "0"),
        ]

    def test_values_outside_ascii_are_kept_byte_for_byte(self) -> None:
        """RFC 9110 section 5.5: obs-text."""
        request = self.post(b"", b"X-Name: J\xf6rg\r\nContent-Length: 0\r\n")
        assert request.wire_headers().get("x-name") == "J\xf6rg"


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
    def test_idle_connections_are_closed_at_once(self) -> None:
        channel, transport = self.connect()
        channel.dataReceived(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.successResultOf(self.site.drain(10))
        assert transport.disconnecting or not transport.connected
        assert self.clock.getDelayedCalls() == []

    def test_a_request_in_flight_is_waited_for(self) -> None:
        channel, transport = self.connect()
        channel.dataReceived(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        drained = self.site.drain(10)
        self.clock.advance(9)
        self.assertNoResult(drained)
        self.recorder.requests[-1].write(b"late")
        self.recorder.requests[-1].finish()
        self.successResultOf(drained)
        assert b"late" in transport.value()
        assert self.clock.getDelayedCalls() == []

    def test_what_does_not_finish_in_time_is_aborted(self) -> None:
        channel, transport = self.connect()
        channel.dataReceived(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        transport.abortConnection = transport.loseConnection
        drained = self.site.drain(10)
        self.clock.advance(10)
        self.successResultOf(drained)
        assert not transport.connected

    def test_without_connections_it_is_over_at_once(self) -> None:
        self.successResultOf(self.site.drain(10))
        assert self.clock.getDelayedCalls() == []
