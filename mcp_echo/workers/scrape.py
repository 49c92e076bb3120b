"""Asking the workers for their figures, each on the socket that its place names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IResponse
from zope.interface import implementer

from mcp_echo.host.twisted_private import connect_quietly
from mcp_echo.metrics.workers import FleetCollector
from mcp_echo.workers.child import WorkerProcess

SCRAPE_SECONDS = 2.0
"""Seconds that a worker may take to tell its figures; after that what it told last is shown."""

Ask = Callable[[str], Deferred[bytes]]
"""Returns what the server on a Unix socket answers at /metrics."""


@dataclass(eq=False)
class Scrape:
    """Has a collector know what the workers count now."""

    clock: Any
    """Times the answers."""
    workers: Callable[[], Iterable[WorkerProcess]]
    """Returns the workers to ask."""
    collector: FleetCollector
    """Is told."""
    ask: Ask
    """Asks one."""
    _waiting: list[Deferred[None]] = field(default_factory=list, init=False)
    _log = Logger("mcp_echo")

    def __call__(self) -> Deferred[None]:
        """Return a Deferred that fires when every worker has answered or has had its time."""
        # Two at once share the answers: an older one must not overwrite a newer one, and a counter go down.
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            DeferredList([self._scrape(worker) for worker in self.workers()]).addCallback(self._over)
        return waiting

    def _over(self, _: object) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def _scrape(self, worker: WorkerProcess) -> Deferred[None]:
        asked = self.ask(worker.assignment.metrics).addTimeout(SCRAPE_SECONDS, self.clock)
        return asked.addCallback(self._told, worker).addErrback(self._not_told, worker)

    def _told(self, body: bytes, worker: WorkerProcess) -> None:
        figures: list[Metric] = list(text_string_to_metric_families(body.decode()))
        # One that has ended meanwhile has been counted among those that are gone.
        if worker in self.workers():
            self.collector.told(worker, figures)

    def _not_told(self, failure: Failure, worker: WorkerProcess) -> None:
        self._log.warn(
            "Worker {number} sends no figures, so its last ones are shown: {reason}",
            number=worker.assignment.number,
            reason=failure.getErrorMessage() or type(failure.value).__name__,
        )


@implementer(IAgentEndpointFactory)
@dataclass(frozen=True)
class _ToSocket:
    """Connects to a Unix socket, whatever the URI."""

    reactor: Any
    path: str

    def endpointForURI(self, uri: object) -> UNIXClientEndpoint:  # noqa: ARG002  # Twisted's interface
        """Return where to connect."""
        return UNIXClientEndpoint(self.reactor, self.path)


def asking(reactor: Any) -> Ask:
    """Return what asks for figures over HTTP."""
    pool = HTTPConnectionPool(reactor, persistent=False)
    connect_quietly(pool)

    def ask(path: str) -> Deferred[bytes]:
        agent = Agent.usingEndpointFactory(reactor, _ToSocket(reactor, path), pool)
        # This format alone tells the types of all figures, to be told again in either.
        headers = Headers({b"accept": [b"application/openmetrics-text; version=1.0.0"]})
        asked: Deferred[IResponse] = agent.request(b"GET", b"http://localhost/metrics", headers)
        return asked.addCallback(readBody)

    return ask
