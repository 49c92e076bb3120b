"""The same head again and again on one connection: what was read in it counts, and no more than that."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransportWithDisconnection

from mcp_echo.transport.oauth import guard
from tests.transport.oauth.support import FORM, INITIALIZE, OAuthTestCase


class OneConnection:
    """A connection that is kept, with each request the same but for what is asked for."""

    def __init__(self, site: Any) -> None:
        self._transport = StringTransportWithDisconnection()
        self._transport.protocol = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337))
        self._transport.protocol.makeConnection(self._transport)

    def post(self, path: str, token: str, host: str = "localhost:3000") -> int:
        """Return the status of an answer."""
        body = json.dumps(INITIALIZE).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
            "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return self.send(head.encode() + body)

    def get(self, path: str) -> int:
        """Return the status of an answer."""
        return self.send(f"GET {path} HTTP/1.1\r\nHost: localhost:3000\r\n\r\n".encode())

    def send(self, data: bytes) -> int:
        """Return the status of the answer to some bytes."""
        self._transport.clear()
        self._transport.protocol.dataReceived(data)
        return int(self._transport.value().split(b" ", 2)[1])


class RepeatedHeadTests(OAuthTestCase):
    wishes = {"challenge": "oauth", "scopes": ["read"], "tokenSeconds": 100}

    def setUp(self) -> None:
        super().setUp()
        self.connection = OneConnection(self.service.site)
        self.mine = self.tokens()

    def post(self, **more: str) -> int:
        """Return the status of the answer to a request with the token."""
        return self.connection.post(self.place.mcp, **{"token": self.mine["access_token"], **more})

    def test_in_a_repeated_head_the_token_is_read_no_more(self) -> None:
        """benchmarks/budget.py: a challenged echo costs at most 1.25 times as much as a plain one."""
        assert self.post() == 200
        with patch.object(guard, "_bearer", wraps=guard._bearer) as read:
            assert [self.post() for _ in range(3)] == [200, 200, 200]
        assert read.call_count == 0

    def test_a_revoked_token_is_refused_though_its_head_is_known(self) -> None:
        """RFC 7009 section 2.1."""
        assert self.post() == 200
        form = {"token": self.mine["access_token"], "client_id": self.mine["client_id"]}
        self.request("POST", self.place.path("revoke"), urlencode(form).encode(), FORM)
        assert self.post() == 401

    def test_an_expired_token_is_refused_though_its_head_is_known(self) -> None:
        """RFC 6750 section 3.1."""
        assert self.post() == 200
        self.clock.advance(101)
        assert self.post() == 401

    def test_another_token_another_host_and_another_trace_are_others(self) -> None:
        """RFC 8707 section 2: a token is for one resource, and that has the host in its name."""
        other = self.make(**self.wishes)
        assert self.post() == 200
        assert self.post(token=self.mine["access_token"][:-4] + "AAAA") == 401
        assert self.post(host="127.0.0.1:3000") == 401
        assert self.connection.post(other.mcp, self.mine["access_token"]) == 401
        assert self.post() == 200
