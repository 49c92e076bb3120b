"""The same bytes mean the same in whatever pieces they come, and another parser reads them alike."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

import h11
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock

from mcp_echo.settings.load import load
from mcp_echo.transport.edge.site import EchoSite
from tests.examples import examples
from tests.transport.edge.test_connection import REFUSED, TAKEN, Connection
from tests.transport.edge.test_site import Recorder

SETTINGS = load(
    {}, {"ECHO_MAX_MESSAGE_SIZE": "2000", "MCP_ECHO_MAX_HEADER_BYTES": "1024", "MCP_ECHO_MAX_HEADERS": "12"}
).settings
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"


class Outcome(NamedTuple):
    """What the bytes of one connection come to."""

    requests: list[tuple[bytes, bytes, tuple[tuple[str, str], ...], bytes]]
    """Method, path with query, header fields and body of each."""
    answers: bytes
    ended: bool


def outcome(pieces: list[bytes]) -> Outcome:
    """Return what a connection makes of pieces that come one after another."""
    recorder, clock = Recorder(), Clock()
    site = EchoSite(recorder, clock, SETTINGS, wall=lambda: 0.0)
    protocol = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337))
    assert protocol is not None
    connection = Connection()
    connection.protocol = protocol
    protocol.makeConnection(connection)
    for piece in pieces:
        if piece and connection.connected:
            protocol.dataReceived(piece)
    # Who sends head and body at once is not told to go on (RFC 9110 section 10.1.1).
    answers = connection.value().replace(INTERIM, b"")
    requests = [
        (
            each.head.method,
            b"?".join(filter(None, (each.head.path, each.head.query))),
            tuple(each.headers()),
            body,
        )
        for each, body in zip(recorder.requests, recorder.bodies, strict=True)
    ]
    return Outcome(requests, answers, connection.half_closed or not connection.connected)


def chunked(body: bytes, sizes: list[int]) -> bytes:
    """Return a body in chunks of about these sizes."""
    found, at = [], 0
    for size in sizes:
        piece = body[at : at + size]
        at += size
        if piece:
            found.append(b"%x\r\n%b\r\n" % (len(piece), piece))
    if body[at:]:
        found.append(b"%X;a=b\r\n%b\r\n" % (len(body[at:]), body[at:]))
    return b"".join(found) + b"0\r\n\r\n"


BODIES = st.one_of(
    st.binary(max_size=60),
    # What ends a head, and what may look like the end of chunks.
    st.lists(st.sampled_from([b"\r\n", b"\r\n\r\n", b"0", b"\r", b"\n", b"x"]), max_size=30).map(b"".join),
)


H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
FIELDS = [b"", b"", b"X-A: 1\r\nx-a:  2 \r\n", b"X: \xe4\r\n", b"Connection: close\r\n", H2C]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Return a request that is one, or nearly."""
    method = draw(st.sampled_from([b"GET", b"POST", b"DELETE", b"HEAD"]))
    # Answered is what goes to /.
    head = method + draw(st.sampled_from([b" /", b" /?a=b", b" /"])) + b" HTTP/1.1\r\nHost: x\r\n"
    head += draw(st.sampled_from(FIELDS))
    body = draw(BODIES)
    if draw(st.booleans()):
        sizes = draw(st.lists(st.integers(1, 20), max_size=5))
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, sizes)
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


GREETING = b"POST / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nContent-Length: 5\r\n\r\n"


def of_length(length: int, padding: int = 1) -> bytes:
    """Return a request with a body of this length."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nX-B: %b\r\n\r\n"
    return head % (length, b"b" * padding) + b"y" * length


MOST = SETTINGS.max_header_bytes + 1 - len(of_length(0))
"""The padding of the longest head that there may be."""
INSIDE = b"GET / HTTP/1.1\r\nA: "
"""Behind it, the bytes of a head are none of a request's own."""
SPOILT = st.sampled_from(
    [b"\r", b"\n", b"\r\n", b" ", b"\t", b"\0", b":", b"0", b"chunked", b"\r\n\r\n", b"\x80"]
)


EXPECTING = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok"


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Return the bytes of a connection: requests one after another, some repeated, spoilt or cut short."""
    each = st.one_of(requests(), st.sampled_from(SHORT))
    data = b"".join(
        one * draw(st.sampled_from([1, 1, 2, 3])) for one in draw(st.lists(each, min_size=1, max_size=4))
    )
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(SPOILT) + data[at + draw(st.integers(0, 2)) :]
    return data


def bytewise(data: bytes) -> list[bytes]:
    """Return the bytes one by one."""
    return [data[place : place + 1] for place in range(len(data))]


SHORT = [each for each, *_ in REFUSED.values() if len(each) < 500]
SHORT += [each for each in TAKEN.values() if len(each) < 500]


@settings(max_examples=examples(300))
@given(streams(), st.lists(st.integers(0, 400), max_size=12))
@example(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n", [])
@example(b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3, [1, 2, 3])
@example(EXPECTING * 3, [len(EXPECTING)])
@example((GREETING + b"hello") * 3, [len(GREETING) + 5, 2 * len(GREETING) + 7])
@example(of_length(5) + of_length(6) + of_length(0) + of_length(40), [])
@example(of_length(5) + of_length(2001), [])
@example(of_length(5, MOST) + of_length(10, MOST), [])
@example(of_length(5) + of_length(6).replace(b": 6", b": 6x"), [])
@example(of_length(5) + of_length(6).replace(b": 6", b": 6, 6"), [])
@example(of_length(5) + of_length(6).replace(b": 6", b": "), [])
@example(GREETING + b"hello" + INSIDE + GREETING + b"hello", [len(GREETING + b"hello" + INSIDE)])
def test_the_pieces_in_which_bytes_come_change_nothing(data: bytes, places: list[int]) -> None:
    """TCP has no messages; a proxy and a server that see different requests are how smuggling works."""
    whole = outcome([data])
    ends = sorted({min(place, len(data)) for place in places})
    pieces = [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]
    assert outcome(pieces) == whole
    assert outcome(bytewise(data)) == whole


def test_every_known_head_means_the_same_byte_by_byte() -> None:
    """As above, for what is refused and what is taken by name, and for each limit."""
    known = [each for each, *_ in REFUSED.values()] + list(TAKEN.values())
    for data in known:
        if len(data) < 30_000:
            assert outcome([data[place : place + 1] for place in range(len(data))]) == outcome([data]), data[
                :80
            ]


Request = tuple[bytes, bytes, tuple[tuple[str, str], ...], bytes]


def reference(data: bytes) -> list[Request]:
    """Return the requests that h11 finds in the bytes of a connection, up to the first that it refuses."""
    found: list[Request] = []
    with suppress(h11.RemoteProtocolError):
        while True:
            # RFC 9112 section 2.2: a server SHOULD ignore empty lines here; h11 does not.
            while data.startswith(b"\r\n"):
                data = data[2:]
            connection = h11.Connection(h11.SERVER, max_incomplete_event_size=100_000)
            connection.receive_data(data)
            request = connection.next_event()
            if not isinstance(request, h11.Request) or request.method == b"CONNECT":
                break
            body = b""
            while isinstance(event := connection.next_event(), h11.Data):
                body += bytes(event.data)
            if not isinstance(event, h11.EndOfMessage):
                break
            fields = [
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in request.headers.raw_items()
            ]
            found.append((request.method, request.target, tuple(fields), body))
            if connection.their_state is h11.MUST_CLOSE:
                break
            data = connection.trailing_data[0]
    return found


@settings(max_examples=examples(500))
@given(streams())
def test_another_parser_finds_the_same_requests(data: bytes) -> None:
    """RFC 9112: what is taken here is what h11 takes, in the same order, framed alike; less may be taken."""
    ours = outcome([data]).requests
    assert ours == reference(data)[: len(ours)]


@given(st.lists(requests(), min_size=1, max_size=5))
def test_requests_that_keep_to_the_rules_are_all_found(each: list[bytes]) -> None:
    """The test above must not pass because nothing is taken."""
    data = b"".join(each)
    ends = (number for number, one in enumerate(each, 1) if b"\r\nConnection: close\r\n" in one)
    last = next(ends, len(each))
    ours = outcome([data])
    assert len(ours.requests) == last
    assert ours.requests == reference(data)
    assert ours.answers.count(b"HTTP/1.1 200 OK") == last
