"""Fetching small documents that others have: bounded in size and time, and never led anywhere else."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, cast

from treq.client import HTTPClient
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, BrowserLikePolicyForHTTPS, ResponseDone, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from zope.interface import implementer

from mcp_echo.redaction import one_line

SECONDS = 3.0
"""How long a whole fetch may take, in seconds."""


class NotFetched(Exception):
    """It could not be fetched; the message is a clause that says why."""


class Fetcher:
    """Fetches.

    Args:
        client: Sends the requests.
        clock: Times them.
    """

    def __init__(self, client: HTTPClient, clock: Any) -> None:
        self._client = client
        self._clock = clock

    async def fetch(self, url: str, most: int) -> bytes:
        """Return what is at an address.

        Args:
            url: The address.
            most: Bytes that it may have.

        Raises:
            NotFetched: It could not be had within bounds.
        """
        reading = _Reading(most)
        whole = Deferred.fromCoroutine(self._whole(url, reading))
        timer = self._clock.callLater(SECONDS, whole.cancel)
        try:
            return await whole
        except NotFetched:
            raise
        except Exception as error:
            reading.stop()
            # Where it was cancelled, that shows as whatever was going on.
            late = not timer.active()
            raise NotFetched(f"it took longer than {SECONDS:g} s" if late else _why(error)) from None
        finally:
            if timer.active():
                timer.cancel()

    async def _whole(self, url: str, reading: _Reading) -> bytes:
        headers = Headers({"Accept": ["application/json"], "Accept-Encoding": ["identity"]})
        response = await self._client.get(url, headers=headers, allow_redirects=False, unbuffered=True)
        if response.code != 200:
            reading.stop()
            hint = ", and redirects are not followed" if 300 <= response.code < 400 else ""
            response.original.deliverBody(reading)
            raise NotFetched(f"it was answered with {response.code}{hint}")
        response.original.deliverBody(reading)
        return await reading.whole


class _Reading(Protocol):
    """Reads a body, as far as it may be long.

    Args:
        most: Bytes.
    """

    def __init__(self, most: int) -> None:
        self.whole: Deferred[bytes] = Deferred()
        self._left = most
        self._most = most
        self._pieces: list[bytes] = []
        self._over = False

    def connectionMade(self) -> None:
        """Begin; what is not to be read is hung up on."""
        if self._over:
            self._hang_up()

    def dataReceived(self, data: bytes) -> None:
        """Take a piece."""
        if self._over:
            return
        self._left -= len(data)
        if self._left >= 0:
            self._pieces.append(data)
            return
        self.stop()
        self._end(Failure(NotFetched(f"it is longer than {self._most} bytes")))

    def connectionLost(self, reason: Failure = Failure(ResponseDone())) -> None:  # noqa: B008
        """The body is over, or the connection is lost."""
        if self._over:
            return
        self._over = True
        self._end(b"".join(self._pieces) if reason.check(ResponseDone) else reason)

    def stop(self) -> None:
        """Read no more."""
        self._over = True
        self._hang_up()

    def _hang_up(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def _end(self, result: bytes | Failure) -> None:
        if not self.whole.called:
            self.whole.callback(cast(bytes, result))


def _why(error: Exception) -> str:
    reason: Any = error
    if isinstance(error, ResponseFailed) and error.reasons:
        reason = error.reasons[0].value
    if isinstance(reason, NotFetched):
        return str(reason)
    if isinstance(reason, DNSLookupError):
        return "its host has no address"
    if isinstance(reason, ConnectError):
        return "its host cannot be reached"
    return one_line(f"{type(reason).__name__}: {reason}")[:200]


@implementer(IAgent)
class _Uncompressed:
    """Takes no answer that is written in another way than it is: a small one may become a large one."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def request(self, *arguments: Any, **more: Any) -> Deferred[Any]:
        """Send a request."""
        return self._agent.request(*arguments, **more).addCallback(self._checked)

    @staticmethod
    def _checked(response: Any) -> Any:
        codings = response.headers.getRawHeaders(b"content-encoding", [])
        if any(each.strip().lower() not in (b"", b"identity") for each in codings):
            # Nobody reads it, and whoever sends it is hung up on.
            response.deliverBody(_stopped())
            raise NotFetched("it is compressed")
        return response


def _stopped() -> _Reading:
    reading = _Reading(0)
    reading.stop()
    return reading


def fetcher_of_keys(reactor: Any) -> Fetcher:
    """Return what fetches from hosts that the operator has named, wherever they are."""
    return Fetcher(HTTPClient(_Uncompressed(Agent(reactor, connectTimeout=SECONDS))), reactor)


def fetcher_of_documents(reactor: Any) -> Fetcher:
    """Return what fetches from public addresses alone (basic/authorization, Server-Side Request Forgery)."""
    agent = Agent.usingEndpointFactory(reactor, _PublicEndpoints(reactor))
    return Fetcher(HTTPClient(_Uncompressed(agent)), reactor)


@implementer(IAgentEndpointFactory)
class _PublicEndpoints:
    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._policy = BrowserLikePolicyForHTTPS()

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """Return an endpoint by TLS."""
        if uri.scheme != b"https":
            raise NotFetched("its address is not https")
        options = self._policy.creatorForNetloc(uri.host, uri.port)
        return wrapClientTLS(options, PublicEndpoint(self._reactor, uri.host.decode("ascii"), uri.port))


@implementer(IStreamClientEndpoint)
class PublicEndpoint:
    """Connects to a host by the very address that was found to be public: names may change between two looks.

    Args:
        reactor: Connects.
        host: The host.
        port: The port.
    """

    def __init__(self, reactor: Any, host: str, port: int) -> None:
        self._reactor = reactor
        self._host = host
        self._port = port

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect to it."""
        return self._addresses().addCallback(self._connect, factory)

    def _addresses(self) -> Deferred[Sequence[str]]:
        receiver = _Addresses()
        self._reactor.nameResolver.resolveHostName(receiver, self._host, self._port)
        return receiver.all

    def _connect(self, addresses: Sequence[str], factory: IProtocolFactory) -> Deferred[IProtocol]:
        if not addresses:
            raise NotFetched("its host has no address")
        if not all(ip_address(each).is_global for each in addresses):
            raise NotFetched("its host has an address that is not public")
        kind = TCP6ClientEndpoint if ":" in addresses[0] else TCP4ClientEndpoint
        endpoint = kind(self._reactor, addresses[0], self._port, timeout=SECONDS)
        return maybeDeferred(endpoint.connect, factory)


@implementer(IResolutionReceiver)
class _Addresses:
    def __init__(self) -> None:
        self.all: Deferred[Sequence[str]] = Deferred()
        self._found: list[str] = []

    def resolutionBegan(self, resolution: IHostResolution) -> None:
        """Begin."""

    def addressResolved(self, address: IAddress) -> None:
        """Take an address."""
        self._found.append(cast(Any, address).host)

    def resolutionComplete(self) -> None:
        """There are no more."""
        self.all.callback(self._found)
