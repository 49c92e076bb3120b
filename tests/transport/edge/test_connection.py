"""What is refused before any route sees it, how long a connection may take, and how many there may be."""

from __future__ import annotations

import gc
import json
import re
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHalfCloseableDescriptor, IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from mcp_echo.settings.load import load
from mcp_echo.transport.edge import connection as edge
from mcp_echo.transport.edge.connection import DRAIN_BYTES
from mcp_echo.transport.edge.deadlines import DRAIN_SECONDS
from mcp_echo.transport.edge.site import LINGER, EchoSite, connection_limit
from mcp_echo.watch.observer import Watch
from mcp_echo.watch.tally import Tally
from tests.transport.edge.test_site import Recorder
from tests.transport.support import ServerTestCase, send

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


@implementer(IHalfCloseableDescriptor)
class Connection(StringTransportWithDisconnection):
    """A TCP connection in memory that can be closed in one direction, and remembers how it ended."""

    def __init__(self) -> None:
        super().__init__(IPv4Address("TCP", "127.0.0.1", 3000), IPv4Address("TCP", "127.0.0.1", 31337))
        self.half_closed = False
        self.aborted = False
        self.full = False
        self.dataBuffer = b""
        self.offset = 0

    def write(self, data: bytes) -> None:
        super().write(data)
        # As tcp.Connection does with every write that its buffer has no room for.
        if self.full and self.producer is not None:
            self.producer.pauseProducing()

    def writeSequence(self, data: list[bytes]) -> None:
        self.write(b"".join(data))

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def unregisterProducer(self) -> None:
        # As tcp.Connection does, once too often is no error.
        self.producer = None

    def loseConnection(self) -> None:
        # As tcp.Connection does, it lets go of whom it served.
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        super().loseConnection()
        self.protocol = None

    def abortConnection(self) -> None:
        self.aborted = True
        self.loseConnection()


class Answered:
    """The bytes of one HTTP response, taken apart."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        self.status_line, *lines = head.decode().split("\r\n")
        self.status = int(self.status_line.split()[1])
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}

    @property
    def error(self) -> Any:
        return json.loads(self.body)


class EdgeTestCase(SynchronousTestCase):
    """A site whose resource records what comes through; `settings` are environment variables."""

    settings: dict[str, str] = {}

    def setUp(self) -> None:
        self.clock = Clock()
        self.recorder = Recorder()
        self.serve(self.settings)

    def serve(self, environ: dict[str, str]) -> None:
        self.tally = Tally()
        watch = Watch((self.tally.see,), self.clock.seconds, self.fail)
        self.site = EchoSite(self.recorder, self.clock, load({}, environ).settings, watch=watch)
        self.site.start()

    def connect(self) -> tuple[edge.Connection, Connection]:
        channel = self.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337))
        assert channel is not None
        connection = Connection()
        connection.protocol = channel
        channel.makeConnection(connection)
        return channel, connection

    def send(self, data: bytes) -> Connection:
        channel, connection = self.connect()
        channel.dataReceived(data)
        return connection

    def refused(self, data: bytes) -> Answered:
        """Return the refusal that the bytes of one connection are answered with."""
        before = len(self.recorder.requests)
        connection = self.send(data)
        assert len(self.recorder.requests) == before, "it came through"
        assert connection.half_closed, "the client is still to be listened to for a while"
        return Answered(connection.value())

    def drip(self, channel: edge.Connection, data: bytes, seconds: int) -> None:
        """Send a byte a second."""
        for number in range(seconds):
            channel.dataReceived(data[number : number + 1])
            self.clock.advance(1)


REFUSED = {
    # RFC 9112 section 3.2: MUST be 400.
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (GET + b"Host: localhost\r\n\r\n", 400),
    "two Hosts, one empty": (GET + b"Host:\r\n\r\n", 400),
    "Host with a path": (b"GET / HTTP/1.1\r\nHost: localhost/x\r\n\r\n", 400),
    "Host with a user": (b"GET / HTTP/1.1\r\nHost: a@localhost\r\n\r\n", 400),
    "Host with a blank": (b"GET / HTTP/1.1\r\nHost: local host\r\n\r\n", 400),
    "two names in one Host": (b"GET / HTTP/1.1\r\nHost: localhost, evil.example\r\n\r\n", 400),
    "Host with a port that is none": (b"GET / HTTP/1.1\r\nHost: localhost:x\r\n\r\n", 400),
    "Host that is too long": (b"GET / HTTP/1.1\r\nHost: " + b"a" * 301 + b"\r\n\r\n", 400),
    "two Hosts in HTTP/1.0": (b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    # RFC 9112 section 3.2: the forms a target has.
    "authority as target": (b"GET localhost:3000 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "asterisk with GET": (b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "another scheme": (b"GET ftp://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a target with a user": (b"GET http://a@localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a target with a fragment": (b"GET http://localhost/#x HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a target without a host": (b"GET http:/// HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "absolute target, no Host": (b"GET http://localhost/ HTTP/1.1\r\n\r\n", 400),
    "a relative path": (b"GET mcp HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    # RFC 9110 section 9.1: case-sensitive; unknown ones are 501.
    "lower-case method": (b"post / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 501),
    "mixed-case method": (b"Get / HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
    "CONNECT": (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n", 501),
    # RFC 9112 sections 2.2, 3 and 5, RFC 9110 section 5.5.
    "no HTTP": (b"hello\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "a blank before the colon": (GET + b"X : 1\r\n\r\n", 400),
    "no colon": (GET + b"X\r\n\r\n", 400),
    "a name that is no token": (GET + b"X(): 1\r\n\r\n", 400),
    "NUL in a value": (GET + b"X: a\x00b\r\n\r\n", 400),
    "CR in a value": (GET + b"X: a\rb\r\n\r\n", 400),
    "ESC in a value": (GET + b"X: a\x1b[2Jb\r\n\r\n", 400),
    "DEL in a value": (GET + b"X: \x7f\r\n\r\n", 400),
    # RFC 9112 section 5.2: reject it, or replace it by a blank.
    "a folded value": (GET + b"X: a\r\n b\r\n\r\n", 400),
    "BEL in a folded value": (GET + b"X: a\r\n \x07\r\n\r\n", 400),
    # RFC 9112 section 6: where the body ends.
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400),
    "two equal lengths": (POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
    "a list of lengths": (POST + b"Content-Length: 1, 1\r\n\r\nx", 400),
    "a signed length": (POST + b"Content-Length: +1\r\n\r\nx", 400),
    "a negative length": (POST + b"Content-Length: -1\r\n\r\nx", 400),
    "a hexadecimal length": (POST + b"Content-Length: 0x1\r\n\r\nx", 400),
    "length and chunks": (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunks and length": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
    "another coding": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "no coding": (POST + b"Transfer-Encoding: identity\r\n\r\n", 400),
    "no coding and a length": (POST + b"Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nx", 400),
    "chunks in HTTP/1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a chunk of no size": (POST + b"Transfer-Encoding: chunked\r\n\r\nx\r\n", 400),
    "a chunk longer than it says": (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n", 400),
    # RFC 9110 section 10.1.1.
    "an expectation": (POST + b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\n", 417),
    "one more expectation": (POST + b"Expect: 100-continue, x=1\r\nContent-Length: 1\r\n\r\n", 417),
    "an expectation on another line": (POST + b"Expect: 100-continue\r\nExpect: x\r\n\r\n", 417),
    # RFC 9110 section 15.5.14.
    "a length over the limit": (POST + b"Content-Length: 1048577\r\n\r\n", 413),
    "a length of 5,000 digits": (POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
    # RFC 6585 section 5 and RFC 9112 section 3.
    "101 header lines": (GET + b"X: 1\r\n" * 100 + b"\r\n", 431),
    "header lines of more than 16 KiB": (GET + (b"X: " + b"x" * 1000 + b"\r\n") * 17 + b"\r\n", 431),
    "a header line of more than 16 KiB": (GET + b"X: " + b"x" * 16384 + b"\r\n\r\n", 431),
    "a header line without end": (GET + b"X: " + b"x" * 20000, 431),
    "a request line of more than 16 KiB": (b"GET /" + b"x" * 16384 + b" HTTP/1.1\r\n", 414),
    "a request line without end": (b"GET /" + b"x" * 20000, 414),
}  # fmt: skip

TAKEN = {
    "a name": GET + b"\r\n",
    "a name and a port": b"GET / HTTP/1.1\r\nHost: LocalHost:3000\r\n\r\n",
    "an address": b"GET / HTTP/1.1\r\nHost: [::1]:3000\r\n\r\n",
    "an empty Host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "HTTP/1.0 without Host": b"GET / HTTP/1.0\r\n\r\n",
    "a tab in a value": GET + b"X: a\tb\r\n\r\n",
    "bytes outside ASCII in a value": GET + b"X: J\xf6rg\r\n\r\n",
    "100 header lines": GET + b"X: 1\r\n" * 99 + b"\r\n",
    "a body that is expected": POST + b"Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
    "an expectation in HTTP/1.0": b"POST / HTTP/1.0\r\nExpect: x\r\nContent-Length: 1\r\n\r\nx",
    "an empty line ahead": b"\r\n" + GET + b"\r\n",
    "a length of zero": POST + b"Content-Length: 0\r\n\r\n",
    "the largest body": POST + b"Content-Length: 1048576\r\n\r\n" + b"x" * 1048576,
    "a method of our own": b"PURGE / HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


class RefusalTests(EdgeTestCase):
    def test_what_breaks_the_rules_is_refused_in_json(self) -> None:
        """RFC 9112, RFC 9110; and our choice that a client finds a JSON-RPC error wherever it looks."""
        for name, (data, status) in REFUSED.items():
            answer = self.refused(data)
            assert answer.status == status, name
            assert answer.error["error"]["code"] == -32600, name
            assert len(answer.body) == int(answer.headers["content-length"]), name
            for header, value in (
                ("content-type", "application/json"),
                ("cache-control", "no-store"),
                ("x-content-type-options", "nosniff"),
                ("connection", "close"),
            ):
                assert answer.headers[header] == value, name
            assert "date" in answer.headers, "RFC 9110 section 6.6.1"

    def test_what_keeps_to_the_rules_comes_through(self) -> None:
        """The test above must not pass because nothing comes through."""
        for number, (name, data) in enumerate(TAKEN.items(), 1):
            connection = self.send(data)
            assert len(self.recorder.requests) == number, name
            assert b" 200 OK\r\n" in connection.value(), name

    def test_each_refusal_is_counted_under_its_status(self) -> None:
        """Our choice: what is refused is refused in sight of the operator."""
        expected: dict[int, int] = {}
        for data, status in REFUSED.values():
            self.send(data)
            expected[status] = expected.get(status, 0) + 1
        assert self.tally.refused == expected

    def test_nothing_of_the_connection_is_read_after_a_refusal(self) -> None:
        """RFC 9112 section 11.2: what follows an ambiguous request may have been smuggled in."""
        for name, (data, _) in REFUSED.items():
            channel, connection = self.connect()
            channel.dataReceived(data + GET + b"\r\n")
            channel.dataReceived(GET + b"\r\n")
            assert connection.value().count(b"Connection: close\r\n") == 1, name
        assert self.recorder.requests == []

    def test_a_request_in_any_pieces_is_refused_all_the_same(self) -> None:
        """TCP has no messages: a request may come byte by byte."""
        for name, (data, status) in REFUSED.items():
            if len(data) > 1000:
                continue
            channel, connection = self.connect()
            for byte in data:
                channel.dataReceived(bytes([byte]))
            assert Answered(connection.value()).status == status, name

    def test_the_answers_say_which_setting_to_change(self) -> None:
        """Our choice: whoever meets a limit is told its name."""
        for name, setting in (
            ("a length over the limit", "MCP_ECHO_MAX_MESSAGE_SIZE"),
            ("a length of 5,000 digits", "MCP_ECHO_MAX_MESSAGE_SIZE"),
            ("101 header lines", "MCP_ECHO_MAX_HEADERS"),
            ("a header line without end", "MCP_ECHO_MAX_HEADER_BYTES"),
            ("a request line without end", "MCP_ECHO_MAX_HEADER_BYTES"),
        ):
            assert setting in self.refused(REFUSED[name][0]).error["error"]["message"], name

    def test_nothing_the_client_sent_comes_back(self) -> None:
        """Our choice: a refusal is no way to have this server say something."""
        answer = self.send(b"MARK MARK HTTP/1.1\r\nHost: MARK/\r\nMARK: \x1bMARK\r\n\r\n")
        assert b"MARK" not in answer.value()

    def test_a_refused_head_request_is_answered_with_a_head(self) -> None:
        """RFC 9110 section 9.3.2: MUST NOT send content."""
        answer = self.refused(b"HEAD / HTTP/1.1\r\n\r\n")
        assert (answer.status, answer.body) == (400, b"")
        assert int(answer.headers["content-length"]) > 0

    def test_a_transport_that_cannot_be_closed_halfway_is_closed(self) -> None:
        """Our choice; an answer may be lost there, the server goes on."""
        channel = self.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337))
        transport = StringTransportWithDisconnection()
        transport.protocol = channel
        channel.makeConnection(transport)
        channel.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
        assert b" 400 " in transport.value()
        assert not transport.connected

    def test_limits_are_settings(self) -> None:
        """MCP_ECHO_MAX_HEADERS, MCP_ECHO_MAX_HEADER_BYTES."""
        self.serve({"MCP_ECHO_MAX_HEADERS": "3", "MCP_ECHO_MAX_HEADER_BYTES": "256"})
        assert b" 200 OK" in self.send(GET + b"A: 1\r\nB: 1\r\n\r\n").value()
        assert self.refused(GET + b"A: 1\r\nB: 1\r\nC: 1\r\n\r\n").status == 431
        assert self.refused(GET + b"A: " + b"x" * 256 + b"\r\n\r\n").status == 431


class TargetTests(EdgeTestCase):
    def test_an_absolute_target_is_its_path_and_names_the_host(self) -> None:
        """RFC 9112 section 3.2.2: MUST accept; MUST ignore the received Host."""
        for target, path, host in (
            (b"http://localhost:3000/?x=1", b"/", b"localhost:3000"),
            (b"HTTPS://[::1]/a/b", b"/a/b", b"[::1]"),
            (b"http://localhost", b"/", b"localhost"),
            (b"http://localhost?x=1", b"/", b"localhost"),
        ):
            self.send(b"GET " + target + b" HTTP/1.1\r\nHost: other.example\r\n\r\n")
            request = self.recorder.requests[-1]
            assert (request.head.path, request.values(b"host")) == (path, [host.decode()]), target
            assert request.headers().get("host") == "other.example", "shown as it came"


class GuardedTargetTests(ServerTestCase):
    def test_the_host_of_an_absolute_target_has_to_be_allowed(self) -> None:
        """DNS rebinding: the allow-list holds for the host that counts."""
        body = b"Content-Length: 2\r\n\r\n{}"
        for host, other, status in (
            (b"evil.example", b"localhost", 421),
            (b"localhost", b"evil.example", 400),
        ):
            channel = self.service.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337))
            connection = Connection()
            connection.protocol = channel
            channel.makeConnection(connection)
            channel.dataReceived(b"POST http://%b/mcp HTTP/1.1\r\nHost: %b\r\n%b" % (host, other, body))
            assert Answered(connection.value()).status == status

    def test_options_may_ask_for_the_server_as_a_whole(self) -> None:
        """RFC 9112 section 3.2.4."""
        answer = send(self.service.site, b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 204 No Content\r\n")
        assert b"Content-Length" not in answer, "RFC 9110 section 8.6"


class BodyTests(EdgeTestCase):
    settings = {"ECHO_MAX_MESSAGE_SIZE": "1024"}

    def chunked(self, *chunks: bytes) -> bytes:
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        return POST + b"Transfer-Encoding: chunked\r\n\r\n" + body

    def test_a_declared_body_is_refused_before_it_is_asked_for(self) -> None:
        """RFC 9110 section 10.1.1: a final status instead of 100 spares the client the upload."""
        data = POST + b"Expect: 100-continue\r\nContent-Length: 1025\r\n\r\n"
        connection = self.send(data)
        assert connection.value().startswith(b"HTTP/1.1 413 ")

    def test_a_body_that_fits_is_asked_for(self) -> None:
        """RFC 9110 section 10.1.1."""
        channel, connection = self.connect()
        channel.dataReceived(POST + b"Expect: 100-continue\r\nContent-Length: 1024\r\n\r\n")
        assert connection.value() == b"HTTP/1.1 100 Continue\r\n\r\n"
        channel.dataReceived(b"x" * 1024)
        assert self.recorder.bodies == [b"x" * 1024]

    def test_chunks_are_counted_as_they_come(self) -> None:
        """Our choice: a body of unknown length is refused with the first byte too many."""
        channel, connection = self.connect()
        channel.dataReceived(self.chunked(b"x" * 600, b"x" * 424))
        assert connection.value() == b""
        channel.dataReceived(b"1\r\nx")
        assert Answered(connection.value()).status == 413
        assert self.recorder.requests == []

    def test_chunks_up_to_the_limit_come_through(self) -> None:
        """The test above must not pass because chunks are refused."""
        self.send(self.chunked(b"x" * 1000, b"x" * 24, b""))
        assert self.recorder.bodies == [b"x" * 1024]

    def test_chunks_that_are_mostly_framing_are_refused(self) -> None:
        """Our choice: a body may take a quarter more on the wire, and 64 KiB, for its framing."""
        channel, connection = self.connect()
        channel.dataReceived(self.chunked())
        extension = b"1;" + b"e" * 1000 + b"\r\nx\r\n"
        sent = 0
        while not connection.value():
            channel.dataReceived(extension)
            sent += len(extension)
        assert Answered(connection.value()).status == 413
        assert 1024 * 5 / 4 + 65536 < sent < 1024 * 5 / 4 + 65536 + 2 * len(extension)

    def test_the_next_body_on_the_connection_is_counted_afresh(self) -> None:
        """Keep-alive: each request has the whole limit."""
        channel, _ = self.connect()
        for _ in range(100):
            channel.dataReceived(self.chunked(b"x" * 1024, b""))
        assert len(self.recorder.bodies) == 100

    def test_a_client_that_goes_on_sending_is_listened_to_for_a_while(self) -> None:
        """RFC 9112 section 9.6: closing at once could cost it the answer; 5 s or 16 MiB are enough."""
        channel, connection = self.connect()
        channel.dataReceived(POST + b"Content-Length: 99999999\r\n\r\n")
        self.clock.advance(DRAIN_SECONDS - 1)
        channel.dataReceived(b"x" * DRAIN_BYTES)
        assert connection.connected
        channel.dataReceived(b"x")
        assert connection.aborted
        channel, connection = self.connect()
        channel.dataReceived(POST + b"Content-Length: 99999999\r\n\r\n")
        self.clock.advance(DRAIN_SECONDS)
        assert connection.aborted


class DeadlineTests(EdgeTestCase):
    def test_a_head_that_drips_is_answered_with_408(self) -> None:
        """RFC 9110 section 15.5.9; MCP_ECHO_HEADER_TIMEOUT, which no byte extends."""
        channel, connection = self.connect()
        self.drip(channel, GET + b"X: " + b"x" * 100, 9)
        assert connection.value() == b""
        self.drip(channel, b"xx", 2)
        answer = Answered(connection.value())
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert "MCP_ECHO_HEADER_TIMEOUT" in answer.error["error"]["message"]

    def test_a_body_that_drips_is_answered_with_408(self) -> None:
        """RFC 9110 section 15.5.9; MCP_ECHO_BODY_TIMEOUT, declared or in chunks."""
        for head in (b"Content-Length: 100\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n40\r\n"):
            channel, connection = self.connect()
            channel.dataReceived(POST + head)
            self.drip(channel, b"x" * 60, 29)
            assert connection.value() == b""
            self.drip(channel, b"xx", 2)
            answer = Answered(connection.value())
            assert answer.status == 408
            assert "MCP_ECHO_BODY_TIMEOUT" in answer.error["error"]["message"]

    def test_a_chunk_size_that_drips_is_answered_with_408(self) -> None:
        """The same: the line before a chunk is part of the body's time."""
        channel, connection = self.connect()
        channel.dataReceived(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        self.drip(channel, b"0" * 60, 31)
        assert Answered(connection.value()).status == 408

    def test_a_head_in_time_leaves_the_body_its_own_time(self) -> None:
        """Our choice: two deadlines, one after the other."""
        channel, connection = self.connect()
        self.drip(channel, GET, 9)
        channel.dataReceived(GET[9:].replace(b"GET", b"POST") + b"Content-Length: 2\r\n\r\n")
        self.clock.advance(29)
        channel.dataReceived(b"xx")
        assert self.recorder.bodies == [b"xx"]
        assert b" 200 OK" in connection.value()

    def test_an_idle_connection_is_closed_without_a_word(self) -> None:
        """RFC 9112 section 9.5; MCP_ECHO_IDLE_TIMEOUT. A client would take words for its next answer."""
        channel, connection = self.connect()
        channel.dataReceived(GET + b"\r\n")
        connection.clear()
        self.clock.advance(64)
        assert connection.connected
        self.clock.advance(1)
        assert (connection.connected, connection.value()) == (False, b"")
        assert self.site.counts.idle_closed == 1

    def test_a_connection_on_which_nothing_ever_comes_is_closed_as_well(self) -> None:
        """Our choice: it is idle from the beginning."""
        _, connection = self.connect()
        self.clock.advance(65)
        assert not connection.connected

    def test_each_request_gives_the_connection_its_time_again(self) -> None:
        """RFC 9112 section 9.3: persistent connections."""
        channel, connection = self.connect()
        for _ in range(5):
            channel.dataReceived(GET + b"\r\n")
            self.clock.advance(60)
        assert connection.connected
        assert len(self.recorder.requests) == 5

    def test_an_answer_may_take_its_time(self) -> None:
        """Our choice: the deadlines are the client's; a stream is open for days."""
        channel, connection = self.connect()
        channel.dataReceived(GET.replace(b"/ ", b"/slow ") + b"\r\n")
        self.clock.advance(3600)
        self.recorder.requests[-1].reply(200, b"late")
        assert b"late" in connection.value()
        self.clock.advance(64)
        assert connection.connected
        self.clock.advance(1)
        assert not connection.connected

    def test_a_piece_of_a_pipelined_request_starts_its_time(self) -> None:
        """Our choice: it counts from when the request before it is answered, synchronously or not."""
        for path in (b"/ ", b"/slow "):
            channel, connection = self.connect()
            channel.dataReceived(GET.replace(b"/ ", path) + b"\r\nGET / HT")
            self.clock.advance(9)
            if path == b"/slow ":
                self.recorder.requests[-1].reply(200)
                self.clock.advance(9)
            connection.clear()
            self.clock.advance(2)
            assert Answered(connection.value()).status == 408

    def test_one_timer_serves_all_connections(self) -> None:
        """Our choice: a timer for each request would cost more than every check."""
        for _ in range(50):
            channel, _ = self.connect()
            channel.dataReceived(GET + b"\r\n" + GET)
        assert len(self.clock.getDelayedCalls()) == 1

    def test_the_timer_ends_with_the_last_connection(self) -> None:
        """A stopped server leaves nothing behind."""
        self.send(GET + b"\r\n")
        drained = self.site.drain(10)
        self.clock.advance(LINGER)
        self.successResultOf(drained)
        assert self.clock.getDelayedCalls() == []

    def test_one_failure_does_not_end_the_timing(self) -> None:
        """LoopingCall stops for good on an exception; connections would pile up."""
        broken, _ = self.connect()
        self.clock.advance(1)
        _, connection = self.connect()
        self.patch(broken, "end", lambda: 1 / 0)
        self.clock.pump([1] * 64)
        assert connection.connected
        self.site.lost(broken)
        self.clock.advance(1)
        assert not connection.connected
        assert self.flushLoggedErrors(ZeroDivisionError)


class PipelineTests(EdgeTestCase):
    def test_requests_sent_ahead_are_answered_in_order(self) -> None:
        """RFC 9112 section 9.3.2."""
        names = [b"X-Number: %d\r\n\r\n" % number for number in range(20)]
        connection = self.send(b"".join(GET + name for name in names))
        assert connection.value().count(b"HTTP/1.1 200 OK") == 20
        seen = [request.values(b"x-number") for request in self.recorder.requests]
        assert seen == [[str(number)] for number in range(20)]

    def test_a_refusal_comes_after_the_answers_before_it(self) -> None:
        """RFC 9112 section 9.3.2: in the order of the requests."""
        channel, connection = self.connect()
        channel.dataReceived(GET.replace(b"/ ", b"/slow ") + b"\r\n" + b"GET / HTTP/1.1\r\n\r\n")
        assert connection.value() == b""
        self.recorder.requests[-1].reply(200, b"first")
        assert re.search(rb"200 OK.*first.*400 Bad Request", connection.value(), re.DOTALL)

    def test_close_among_other_options_closes(self) -> None:
        """RFC 9110 section 7.6.1: Connection is a list."""
        for value, open_afterwards in (
            (b"close", False),
            (b"TE, Close", False),
            (b"close,TE", False),
            (b"keep-alive", True),
        ):
            connection = self.send(GET + b"Connection: " + value + b"\r\n\r\n")
            assert connection.connected is open_afterwards, value

    def test_what_is_sent_ahead_is_bounded_even_by_a_client_that_reads_nothing(self) -> None:
        """Nothing a client sends is buffered without bound."""
        channel, connection = self.connect()
        channel.dataReceived(GET.replace(b"/ ", b"/slow ") + b"\r\n")
        channel.pauseProducing()
        channel.dataReceived(b"x" * 1000)
        assert connection.producerState == "paused", "the kernel holds the client back from here on"


class HalfCloseTests(EdgeTestCase):
    def test_a_client_that_is_done_sending_gets_what_has_been_written(self) -> None:
        """RFC 9112 section 9.6; without this interface Twisted throws it away."""
        channel, connection = self.connect()
        assert IHalfCloseableProtocol.providedBy(channel)
        channel.dataReceived(GET + b"\r\n")
        channel.readConnectionLost()
        assert (connection.connected, connection.aborted) == (False, False)

    def test_a_client_whose_answer_is_being_worked_on_counts_as_gone(self) -> None:
        """Our choice: one that has left looks the same, and what it waits for would never end."""
        channel, connection = self.connect()
        channel.dataReceived(GET.replace(b"/ ", b"/slow ") + b"\r\n")
        gone: list[str] = []
        self.recorder.requests[-1].when_left(lambda: gone.append("gone"))
        channel.readConnectionLost()
        assert connection.aborted
        assert gone == ["gone"]

    def test_a_refused_client_that_stops_sending_is_let_go(self) -> None:
        """There is nothing to wait for any more."""
        channel, connection = self.connect()
        channel.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
        channel.readConnectionLost()
        assert (connection.connected, connection.aborted) == (False, False)


class ConnectionLimitTests(EdgeTestCase):
    settings = {"MCP_ECHO_MAX_CONNECTIONS": "20", "MCP_ECHO_MAX_CONNECTIONS_PER_ADDRESS": "20"}

    @contextmanager
    def warnings(self) -> Iterator[list[str]]:
        seen: list[str] = []

        def observe(event: Any) -> None:
            if event["log_namespace"].startswith("mcp_echo"):
                seen.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        try:
            yield seen
        finally:
            globalLogPublisher.removeObserver(observe)

    def knock(self) -> bool:
        return self.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337)) is not None

    def test_connections_beyond_the_limit_are_closed_at_once_and_counted(self) -> None:
        """MCP_ECHO_MAX_CONNECTIONS; twisted.internet closes a connection without a protocol."""
        for _ in range(20):
            self.connect()
        assert [self.knock() for _ in range(5)] == [False] * 5
        assert self.site.counts.connections_refused == 5

    def test_it_is_said_once_and_again_when_there_is_room(self) -> None:
        """Our choice: a flood must not flood the log, and one that comes and goes is no news."""
        connections = [self.connect()[1] for _ in range(20)]
        with self.warnings() as seen:
            for _ in range(100):
                self.knock()
            connections.pop().loseConnection()
            connections.append(self.connect()[1])
            self.knock()
            assert len(seen) == 1
            assert "MCP_ECHO_MAX_CONNECTIONS" in seen[0]
            connections.pop().loseConnection()
            connections.pop().loseConnection()
            assert len(seen) == 2
        assert self.knock()

    def test_the_default_leaves_descriptors_for_everything_else(self) -> None:
        """Our choice: the limit has to come before the kernel's."""
        from mcp_echo.transport.edge import site

        for soft, expected in ((1024, 960), (100, 36), (32, 16), (site.descriptors.RLIM_INFINITY, 1_000_000)):
            self.patch(site.descriptors, "getrlimit", lambda _, soft=soft: (soft, soft))
            assert connection_limit(0) == expected
            assert connection_limit(7) == 7


class StallTests(ServerTestCase):
    """A client that takes nothing of what is written to it."""

    def setUp(self) -> None:
        super().setUp()
        self.service.site.start()
        self.session = self.initialize("2025-11-25")
        self.rpc("resources/subscribe", {"uri": "echo://session"}, session=self.session)

    def open(self, data: bytes | None = None, full: bool = False) -> tuple[edge.Connection, Connection]:
        channel = self.service.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337))
        assert channel is not None
        connection = Connection()
        connection.protocol = channel
        channel.makeConnection(connection)
        if full:
            # As tcp.Connection does with a write that its buffer has no room for.
            self.patch(
                connection, "write", lambda data: (connection.io.write(data), channel.pauseProducing())
            )
        session = b"Mcp-Session-Id: " + self.session.encode() + b"\r\n\r\n"
        channel.dataReceived(data or b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n" + session)
        return channel, connection

    def stir(self, times: int) -> None:
        for _ in range(times):
            self.call("echo", {"message": "x"}, session=self.session)

    def test_a_stalled_stream_is_dropped_and_counted(self) -> None:
        """MCP_ECHO_STALL_TIMEOUT."""
        _, connection = self.open()
        connection.producer.pauseProducing()
        self.clock.advance(9)
        connection.producer.pauseProducing()
        assert connection.connected
        self.clock.advance(1)
        assert connection.aborted
        assert self.service.site.counts.stalls == 1
        assert len(self.service.streams) == 0

    def test_what_it_was_not_given_waits_for_it(self) -> None:
        """Resumability: no message is lost with a connection."""
        _, connection = self.open()
        connection.producer.pauseProducing()
        self.stir(3)
        self.clock.advance(10)
        assert connection.aborted
        assert "Message Queue: 3 pending" in self.text("sessionInfo", session=self.session)
        assert len(self.listen(self.session).messages) == 3

    def test_a_stream_that_is_read_again_goes_on(self) -> None:
        """Our choice: the time begins anew with each stall."""
        _, connection = self.open()
        for _ in range(5):
            connection.producer.pauseProducing()
            self.clock.advance(9)
            connection.producer.resumeProducing()
            self.clock.advance(9)
        assert connection.connected
        assert self.service.site.counts.stalls == 0
        connection.loseConnection()

    def test_a_client_that_takes_a_little_now_and_then_is_no_stalled_one(self) -> None:
        """Our choice: slow is not dead; a large answer over a poor line takes longer than the timeout."""
        _, connection = self.open()
        connection.dataBuffer = b"x" * 100_000
        connection.producer.pauseProducing()
        for _ in range(5):
            self.clock.advance(9)
            connection.offset += 10_000
        assert connection.connected
        self.clock.pump([1] * 20)
        assert connection.aborted

    def test_a_stream_that_answers_a_post_is_dropped_the_same_way(self) -> None:
        """What it was to carry can be fetched again with its event id (rule 2 of resumability)."""
        body = b'{"jsonrpc":"2.0","id":7,"method":"tools/list"}'
        _, connection = self.open(
            b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
            b"Mcp-Session-Id: %b\r\nContent-Length: %d\r\n\r\n" % (self.session.encode(), len(body)) + body,
            full=True,
        )
        primed = connection.value().partition(b"\nid: ")[2].split()[0].decode()
        self.clock.advance(10)
        assert connection.aborted
        assert b"event: message" not in connection.value()
        again = self.listen(self.session, **{"Last-Event-ID": primed})
        assert [message["id"] for message in again.messages] == [7]

    def test_an_answer_that_is_not_taken_does_not_keep_a_closing_connection(self) -> None:
        """Twisted waits for ever for the last bytes to be taken."""
        channel, connection = self.open(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.patch(connection, "loseConnection", lambda: None)
        channel.end()
        self.clock.advance(9)
        assert not connection.aborted
        self.clock.advance(1)
        assert connection.aborted

    def test_what_a_dropped_stream_held_is_released_at_once(self) -> None:
        """Our choice: a cycle would keep its buffers until the next full garbage collection."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        channel, connection = self.open()
        connection.producer.pauseProducing()
        held = weakref.ref(channel), weakref.ref(connection)
        self.clock.advance(10)
        assert connection.aborted
        del channel, connection
        assert [ref() for ref in held] == [None, None]
