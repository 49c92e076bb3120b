"""The share of the connections that one address may have."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.logger import formatEvent

from mcp_echo.auth.proxies import TrustedProxies
from mcp_echo.transport.edge.neighbours import Neighbours
from tests.logged import Events, observed
from tests.transport.support import ServerTestCase


def tcp(host: str) -> IAddress:
    kind = IPv6Address if ":" in host else IPv4Address
    return kind("TCP", host, 31337)


class ShareTests(ServerTestCase):
    settings = {"MCP_ECHO_MAX_CONNECTIONS": "20", "MCP_ECHO_TRUSTED_PROXIES": "10.9.9.9"}

    def connect(self, address: IAddress) -> StringTransportWithDisconnection | None:
        """Return a new connection, or None if it was closed at once."""
        channel = self.service.site.buildProtocol(address)
        if channel is None:
            return None
        transport = StringTransportWithDisconnection(peerAddress=address)
        transport.protocol = channel
        channel.makeConnection(transport)
        return transport

    def taken(self, address: IAddress, attempts: int = 30) -> int:
        return sum(self.connect(address) is not None for _ in range(attempts))

    def test_one_address_may_have_half_of_the_connections(self) -> None:
        """Our choice: whoever opens as many as it can leaves room for others; the rest is counted."""
        assert self.taken(tcp("10.0.0.1")) == 10
        assert self.service.site.counts.connections_over_share == 20
        assert self.service.site.counts.connections_refused == 0
        assert self.taken(tcp("10.0.0.2"), 3) == 3

    def test_an_ipv6_subscriber_is_one_address(self) -> None:
        """RFC 6177: a subscriber has a /64 at least; RFC 4291 section 2.5.5.2 for mapped IPv4 addresses."""
        assert sum(self.taken(tcp(f"2001:db8::{number}"), 1) for number in range(1, 20)) == 10
        assert self.taken(tcp("2001:db8:0:1::1"), 3) == 3
        assert self.taken(tcp("10.0.0.1"), 5) + self.taken(tcp("::ffff:10.0.0.1"), 10) == 7

    def test_the_share_can_be_set(self) -> None:
        self.serve({**self.settings, "MCP_ECHO_MAX_CONNECTIONS_PER_ADDRESS": "3"})
        assert self.taken(tcp("10.0.0.1")) == 3

    def test_a_gateway_may_have_all(self) -> None:
        """Our choice: a trusted proxy brings the connections of many clients."""
        assert self.taken(tcp("10.9.9.9")) == 20

    def test_a_unix_socket_may_have_all(self) -> None:
        """Our choice: it has no address to tell its clients apart by."""
        assert self.taken(UNIXAddress("/run/mcp.sock")) == 20

    def test_a_connection_that_ends_makes_room(self) -> None:
        transports = [self.connect(tcp("10.0.0.1")) for _ in range(10)]
        for transport in transports:
            assert transport is not None
            assert self.connect(tcp("10.0.0.1")) is None
            transport.loseConnection()
            assert self.connect(tcp("10.0.0.1")) is not None

    def test_the_log_hears_once_of_a_crowd(self) -> None:
        """Our choice: a flood must not flood the log; one that comes back after a while is news."""
        events = Events()
        with observed(events.append):
            transports = [self.connect(tcp("10.0.0.1")) for _ in range(30)]
            for transport in transports[:2]:
                assert transport is not None
                transport.loseConnection()
            self.taken(tcp("10.0.0.1"), 5)
        lines = [formatEvent(event) for event in events if "connections" in formatEvent(event)]
        assert len(lines) == 2
        assert "10.0.0.1 has 10 connections" in lines[0]
        assert "MCP_ECHO_MAX_CONNECTIONS_PER_ADDRESS" in lines[0]


@given(
    st.lists(st.tuples(st.sampled_from(["10.0.0.1", "10.0.0.2", "2001:db8::1"]), st.booleans()), max_size=80)
)
def test_each_address_has_what_it_has_open_and_never_more_than_its_share(
    steps: list[tuple[str, bool]],
) -> None:
    """Our choice: an ending frees its place once, and an address without connections costs nothing."""
    neighbours, opened = Neighbours(3, TrustedProxies([])), {}
    for host, comes in steps:
        name, count = neighbours.name(tcp(host)), opened.get(host, 0)
        assert neighbours.has_room(name) is (count < 3)
        if comes and count < 3:
            neighbours.came(name)
            opened[host] = count + 1
        elif not comes and count:
            neighbours.left(name)
            opened[host] = count - 1
    assert len(neighbours) == sum(count > 0 for count in opened.values())
