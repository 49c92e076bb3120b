"""A server that counts, and whoever scrapes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import treq.testing
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families as text_families
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.web.resource import Resource

from mcp_echo.host.listening import Place
from mcp_echo.service import EchoService
from mcp_echo.transport.ports import MetricsPort
from tests.transport.support import Answer, ModernTestCase

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_of(families: Iterable[Metric]) -> Samples:
    """Return every sample by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def requests_in(samples: Samples) -> dict[tuple[str, ...], float]:
    """Return the counts of requests by method, tool, revision, era, status and error."""
    names = ("method", "tool", "revision", "era", "status", "error")
    return {
        tuple(dict(labels)[name] for name in names): value
        for (metric, labels), value in samples.items()
        if metric == "mcp_echo_requests_total"
    }


class MetricsTestCase(ModernTestCase):
    """A server that counts, and a scraper."""

    settings = {"MCP_ECHO_METRICS_PORT": "9464"}
    port: MetricsPort

    def serve(self, environ: dict[str, str]) -> None:
        super().serve(environ)
        self.port = self.measuring(self.service)
        self._scraper = treq.testing.StubTreq(Resource())
        self._scraper._agent._serverFactory = self.port.site

    def measuring(self, service: EchoService) -> MetricsPort:
        endpoint = TCP4ServerEndpoint(MemoryReactorClock(), 9464)
        service.show_metrics(Place(endpoint, "tcp:9464", lambda: None))
        assert service.metrics is not None
        return service.metrics

    def tearDown(self) -> None:
        """Nothing may stay behind once the clients are gone."""
        self.leave()
        assert self.clock.getDelayedCalls() == []

    def ask(
        self, method: str, path: str = "/metrics", data: bytes | None = None, accept: str = "*/*"
    ) -> Answer:
        """Return the answer to one request to the metrics port."""
        sent: Deferred[Any] = self._scraper.request(
            method, f"http://localhost:9464{path}", data=data, headers={"Accept": accept}
        )
        self._scraper.flush()
        response = self.successResultOf(sent)
        collected: list[bytes] = []
        reading = treq.collect(response, collected.append)
        self._scraper.flush()
        self.successResultOf(reading)
        # The scraper keeps its connection, whose idle timer is no business of the tests.
        for pump in list(self._scraper._agent._pumps):
            pump.clientIO.abortConnection()
        self._scraper.flush()
        return Answer(response, b"".join(collected))

    def scrape(self) -> Samples:
        return samples_of(text_families(self.ask("GET").body.decode()))

    def value(self, name: str, **labels: str) -> float:
        """Return one figure."""
        return self.scrape()["mcp_echo_" + name, frozenset(labels.items())]

    def counted(self) -> dict[tuple[str, ...], float]:
        return requests_in(self.scrape())
