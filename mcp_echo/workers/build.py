"""Several worker processes that serve on one port, and the parent that holds it for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.internet.interfaces import IListeningPort

from mcp_echo.host.listening import Place, endpoint, endpoint_description, metrics_description
from mcp_echo.host.start import Start
from mcp_echo.settings.table import Settings
from mcp_echo.workers.launch import Launch
from mcp_echo.workers.parent import Fleet


def build_fleet(
    reactor: Any,
    settings: Settings,
    launch: Launch,
    give_up: Callable[[str], None],
    environ: Mapping[str, str],
) -> Fleet:
    """Return the parent of the workers that the settings describe, ready to be started.

    Args:
        reactor: Runs the parent.
        settings: Those of the server.
        launch: How a worker is started.
        give_up: Told the reason, in one line, why the workers cannot start.
        environ: Where a service manager has left word.

    Raises:
        ConfigError: A setting is not possible.
    """
    fleet = Fleet(reactor, settings, launch, give_up, environ)
    description, scraped = endpoint_description(settings), metrics_description(settings)
    place = Place(endpoint(reactor, description, "MCP_ECHO_PORT"), description, reactor.stop)
    fleet.hold(place, partial(_announce, settings, description))
    if scraped is not None:
        _show_metrics(fleet, reactor, settings, scraped)
    return fleet


def _announce(settings: Settings, description: str, port: IListeningPort) -> None:
    Start(settings, description, port.getHost()).announce()


def _show_metrics(fleet: Fleet, reactor: Any, settings: Settings, description: str) -> None:
    # Only a parent that is asked for figures has a use for a web server.
    from prometheus_client import ProcessCollector
    from prometheus_client.registry import CollectorRegistry

    from mcp_echo.host.logs import FailureCount
    from mcp_echo.metrics.exposition import MetricsSite, Scrapes
    from mcp_echo.metrics.workers import FleetCollector, ParentCollector
    from mcp_echo.transport.ports import MetricsPort
    from mcp_echo.workers.scrape import Scrape, asking

    started, failures = time.monotonic(), FailureCount()
    own, shown = CollectorRegistry(), CollectorRegistry()
    own.register(
        ParentCollector(
            lambda: {"wanted": fleet.wanted, "alive": len(fleet.serving)},
            lambda: fleet.restarts,
            lambda: failures.count,
            lambda: time.monotonic() - started,
        )
    )
    ProcessCollector(registry=own)
    collector = FleetCollector(own)
    shown.register(collector)
    scrape = Scrape(reactor, lambda: fleet.serving, collector, asking(reactor))
    site = MetricsSite(Scrapes(shown, scrape), reactor, settings)
    place = Place(endpoint(reactor, description, "MCP_ECHO_METRICS_PORT"), description, reactor.stop)
    port = MetricsPort(place, site, settings.drain_timeout, None, failures)
    fleet.show_metrics(port, collector.gone)
