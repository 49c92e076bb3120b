"""Where figures are scraped: the site for it, and /metrics in both formats.

https://prometheus.io/docs/instrumenting/exposition_formats/ and https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from prometheus_client import exposition
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import CollectorRegistry
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from mcp_echo.config import Settings
from mcp_echo.protocol.accept import prefers_openmetrics
from mcp_echo.transport.exchange import joined
from mcp_echo.transport.site import EchoSite

MAX_CONNECTIONS = 16
"""Connections of those who scrape; as with clients, one more is closed at once."""

TEXT = b"text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = b"application/openmetrics-text; version=1.0.0; charset=utf-8"


class MetricsSite(EchoSite):
    """The site for those who scrape, held to the same deadlines as the one for clients.

    Args:
        resource: Answers every request.
        reactor: Times the deadlines and the drain.
        settings: The limits, but for that on connections: these must take no room from clients.
    """

    _bound = "the metrics port takes"

    def __init__(self, resource: MetricsResource, reactor: IReactorTime, settings: Settings) -> None:
        most = replace(settings, max_connections=MAX_CONNECTIONS, max_connections_per_address=MAX_CONNECTIONS)
        super().__init__(resource, reactor, most)


class MetricsResource(Resource):
    """Answers GET and HEAD on /metrics, in the format that the client prefers.

    Any Host may ask, as with /health: scrapers know the server by names of their own.

    Args:
        registry: What to show.
        refresh: Called before each answer, to get what is to be shown; None where it is there.
    """

    isLeaf = True
    _log = Logger("mcp_echo")

    def __init__(
        self, registry: CollectorRegistry, refresh: Callable[[], Deferred[None]] | None = None
    ) -> None:
        super().__init__()
        self._registry = registry
        self._refresh = refresh

    def render(self, request: Request) -> bytes | int:
        """Answer a scrape; every other request is refused in a line of plain text."""
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        if request.path != b"/metrics":
            return _body(request, 404, b"Not found; the figures are at /metrics\n")
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"allow", b"GET, HEAD")
            return _body(request, 405, b"Method not allowed; this path takes GET and HEAD\n")
        if self._refresh is None:
            return self._figures(request)
        left: list[Failure] = []
        request.notifyFinish().addErrback(left.append)
        refreshed = self._refresh().addCallback(self._answer, request, left)
        refreshed.addErrback(lambda failure: self._log.failure("A scrape failed", failure))
        return NOT_DONE_YET

    def _answer(self, _: None, request: Request, left: list[Failure]) -> None:
        if left:
            return
        body = self._figures(request)
        if body:
            request.setHeader(b"content-length", b"%d" % len(body))
            request.write(body)
        request.finish()

    def _figures(self, request: Request) -> bytes:
        request.setHeader(b"cache-control", b"no-store")
        if prefers_openmetrics(joined(request, b"accept")):
            request.setHeader(b"content-type", OPENMETRICS)
            return _body(request, 200, openmetrics.generate_latest(self._registry))
        request.setHeader(b"content-type", TEXT)
        return _body(request, 200, exposition.generate_latest(self._registry))


def _body(request: Request, status: int, body: bytes) -> bytes:
    request.setResponseCode(status)
    if request.method != b"HEAD":
        return body
    # twisted.web would drop the body as well, and log that it had to.
    request.setHeader(b"content-length", b"%d" % len(body))
    return b""
