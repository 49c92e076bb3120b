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

from mcp_echo.http.accept import prefers_openmetrics
from mcp_echo.settings.table import Settings
from mcp_echo.transport.edge.answer import Lines
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.transport.edge.head import Head
from mcp_echo.transport.edge.site import EchoSite
from mcp_echo.watch.journal import Journal
from mcp_echo.watch.observer import Watch

MAX_CONNECTIONS = 16
"""Connections of those who scrape; as with clients, one more is closed at once."""

TEXT = b"text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = b"application/openmetrics-text; version=1.0.0; charset=utf-8"


class MetricsSite(EchoSite):
    """The site for those who scrape, held to the same deadlines as the one for clients.

    Args:
        scrapes: Answers every request.
        reactor: Times the deadlines and the drain.
        settings: The limits, but for that on connections: these must take no room from clients.
    """

    _bound = "the metrics port takes"

    def __init__(self, scrapes: Scrapes, reactor: IReactorTime, settings: Settings) -> None:
        most = replace(settings, max_connections=MAX_CONNECTIONS, max_connections_per_address=MAX_CONNECTIONS)
        journal = Journal(self._log)
        watch = Watch((journal.see,), reactor.seconds, journal.failure)
        super().__init__(scrapes, reactor, most, watch=watch)


class Scrapes:
    """Answers GET and HEAD on /metrics, in the format that the client prefers.

    Any Host may ask, as with /health: scrapers know the server by names of their own.

    Args:
        registry: What to show.
        refresh: Called before each answer, to get what is to be shown; None where it is there.
    """

    _log = Logger("mcp_echo")

    def __init__(
        self, registry: CollectorRegistry, refresh: Callable[[], Deferred[None]] | None = None
    ) -> None:
        self._registry = registry
        self._refresh = refresh

    def answer(self, exchange: HttpExchange) -> None:
        """Answer a scrape; every other request is refused in a line of plain text."""
        if exchange.head.path != b"/metrics":
            _refuse(exchange, 404, b"Not found; the figures are at /metrics\n")
        elif exchange.head.method not in (b"GET", b"HEAD"):
            exchange.add_header(b"Allow", b"GET, HEAD")
            _refuse(exchange, 405, b"Method not allowed; this path takes GET and HEAD\n")
        elif self._refresh is None:
            self._show(exchange)
        else:
            refreshed = self._refresh().addCallback(lambda _: self._show(exchange))
            refreshed.addErrback(lambda failure: self._log.failure("A scrape failed", failure))

    def refusal_lines(self, head: Head) -> Lines:  # noqa: ARG002  # an application's signature
        """Return nothing: no page reads figures."""
        return ()

    def _show(self, exchange: HttpExchange) -> None:
        exchange.add_header(b"Cache-Control", b"no-store")
        if prefers_openmetrics(exchange.joined(b"accept")):
            exchange.add_header(b"Content-Type", OPENMETRICS)
            exchange.reply(200, openmetrics.generate_latest(self._registry))
        else:
            exchange.add_header(b"Content-Type", TEXT)
            exchange.reply(200, exposition.generate_latest(self._registry))


def _refuse(exchange: HttpExchange, status: int, text: bytes) -> None:
    exchange.add_header(b"Content-Type", b"text/plain; charset=utf-8")
    exchange.reply(status, text)
