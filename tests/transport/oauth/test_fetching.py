"""Fetching what others have: bounded in size and time, never led elsewhere, and to public addresses alone."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

from treq.client import HTTPClient
from treq.testing import RequestTraversalAgent
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import URI
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from mcp_echo.oauth.registration import InvalidDocument
from mcp_echo.transport.oauth.documents import Documents
from mcp_echo.transport.oauth.fetching import (
    SECONDS,
    Fetcher,
    NotFetched,
    PublicEndpoint,
    _PublicEndpoints,
    _Uncompressed,
)


class _Answer(Resource):
    isLeaf = True

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        super().__init__()
        self._answer = answer
        self.asked: list[bytes] = []

    def render_GET(self, request: Any) -> Any:
        self.asked.append(request.uri)
        return self._answer(request)


class FetchTests(SynchronousTestCase):
    def fetch(self, answer: Callable[[Any], Any]) -> Deferred[bytes]:
        self.clock = Clock()
        self.resource = _Answer(answer)
        self.agent: Any = RequestTraversalAgent(self.resource)
        fetcher = Fetcher(HTTPClient(_Uncompressed(self.agent)), self.clock)
        fetched = Deferred.fromCoroutine(fetcher.fetch("https://a.example/keys", 1000))
        self.agent.flush()
        return fetched

    def why(self, fetched: Deferred[bytes]) -> str:
        return str(self.failureResultOf(fetched, NotFetched).value)

    def test_a_small_document_comes_whole(self) -> None:
        """The ordinary case."""
        assert self.successResultOf(self.fetch(lambda _: b"x" * 1000)) == b"x" * 1000

    def test_a_large_one_is_given_up(self) -> None:
        """Our choice: nothing is kept without bound."""
        assert self.why(self.fetch(lambda _: b"x" * 1_000_000)) == "it is longer than 1000 bytes"

    def test_a_slow_one_is_given_up(self) -> None:
        """Our choice: the time is for all of it, also where a part has come."""

        def slowly(request: Any) -> int:
            request.write(b"x")
            return int(NOT_DONE_YET)

        for answer in (lambda _: NOT_DONE_YET, slowly):
            fetched = self.fetch(answer)
            self.assertNoResult(fetched)
            self.clock.advance(SECONDS)
            assert self.why(fetched) == "it took longer than 3 s"

    def test_a_redirect_is_not_followed(self) -> None:
        """Our choice (SSRF): a link-local address is one step away."""

        def elsewhere(request: Any) -> bytes:
            request.setResponseCode(302)
            request.setHeader(b"Location", b"http://169.254.169.254/latest/meta-data/")
            return b""

        assert "redirects are not followed" in self.why(self.fetch(elsewhere))
        assert self.resource.asked == [b"/keys"]

    def test_what_is_compressed_is_not_unpacked(self) -> None:
        """Our choice: a kilobyte may become a gigabyte."""

        def compressed(request: Any) -> bytes:
            request.setHeader(b"Content-Encoding", b"gzip")
            return gzip.compress(b"x" * 1_000_000)

        assert self.why(self.fetch(compressed)) == "it is compressed"

    def test_an_error_is_said(self) -> None:
        """Our choice: what happened is in the message."""

        def missing(request: Any) -> bytes:
            request.setResponseCode(404)
            return b"no"

        assert self.why(self.fetch(missing)) == "it was answered with 404"


@implementer(IHostnameResolver)
class _Resolver:
    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    def resolveHostName(self, receiver: Any, *_: Any, **__: Any) -> Any:
        receiver.resolutionBegan(None)
        for each in self._addresses:
            kind = IPv6Address if ":" in each else IPv4Address
            receiver.addressResolved(kind("TCP", each, 443))
        receiver.resolutionComplete()
        return receiver


class PublicEndpointTests(SynchronousTestCase):
    def connect(self, *addresses: str) -> tuple[Any, Deferred[Any]]:
        reactor: Any = MemoryReactorClock()
        reactor.nameResolver = _Resolver(*addresses)
        return reactor, PublicEndpoint(reactor, "a.example", 443).connect(Factory())

    def test_only_public_addresses_are_connected_to(self) -> None:
        """2025-11-25 basic/authorization, Client ID Metadata Documents: SSRF."""
        for address in (
            "127.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "192.168.1.1",
            "::1",
            "fd00::1",
        ):
            reactor, connected = self.connect(address)
            assert "not public" in str(self.failureResultOf(connected, NotFetched).value)
            assert reactor.tcpClients == []

    def test_one_address_that_is_not_public_is_one_too_many(self) -> None:
        """DNS rebinding: which of them is taken must not matter."""
        _, connected = self.connect("93.184.215.14", "127.0.0.1")
        self.failureResultOf(connected, NotFetched)

    def test_it_connects_to_the_address_that_was_looked_at(self) -> None:
        """DNS rebinding: the name is not resolved a second time."""
        for address in ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"):
            reactor, _ = self.connect(address)
            assert [client[:2] for client in reactor.tcpClients] == [(address, 443)]

    def test_a_host_without_an_address_is_said_to_have_none(self) -> None:
        """Our choice."""
        _, connected = self.connect()
        assert "no address" in str(self.failureResultOf(connected, NotFetched).value)

    def test_it_is_https_or_nothing(self) -> None:
        """draft-ietf-oauth-client-id-metadata-document section 3."""
        endpoints = _PublicEndpoints(MemoryReactorClock())
        with self.assertRaises(NotFetched):
            endpoints.endpointForURI(URI.fromBytes(b"http://a.example/"))


class DocumentTests(SynchronousTestCase):
    def test_only_the_listed_hosts_are_asked(self) -> None:
        """docs: MCP_ECHO_CLIENT_HOSTS; draft-ietf-oauth-client-id-metadata-document section 3."""
        asked: list[str] = []

        async def fetch(url: str, most: int) -> bytes:
            asked.append(url)
            assert most == 5120
            return b'{"client_id":"x","redirect_uris":["https://a.example/cb"]}'

        documents = Documents(["a.example"], fetch)
        for url in (
            "https://b.example/client",
            "https://a.example.b.example/client",
            "https://a.example:8443/client",
            "https://u@a.example/client",
            "https://a.example",
            "https://a.example/",
            "https://a.example/x/../client",
            "https://a.example/client#x",
            "https://a.example/" + "x" * 400,
            "https://[a/client",
        ):
            self.failureResultOf(Deferred.fromCoroutine(documents.fetch(url)), InvalidDocument)
        assert asked == []
        read = self.successResultOf(Deferred.fromCoroutine(documents.fetch("https://a.example/client")))
        assert read.redirect_uris == ["https://a.example/cb"]
        assert not Documents([], fetch)
