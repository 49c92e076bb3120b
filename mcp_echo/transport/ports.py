"""The ports that the server listens on, from the start to the orderly end of the last connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from mcp_echo.host.listening import Listening, Place
from mcp_echo.host.logs import FailureCount
from mcp_echo.host.start import reached
from mcp_echo.transport.edge.site import EchoSite
from mcp_echo.transport.health import Health
from mcp_echo.transport.lag import ReactorLag
from mcp_echo.transport.streams import Streams


class Port(Listening):
    """A listening port and the connections it brought, with an orderly end.

    Args:
        place: Where to listen.
        site: Keeps the connections.
        drain_timeout: Seconds the requests in flight may take.
    """

    def __init__(self, place: Place, site: EchoSite, drain_timeout: float) -> None:
        super().__init__(place, site)
        self.site = site
        self._drain_timeout = drain_timeout

    def startService(self) -> None:
        """Take connections and hold them to their deadlines.

        Raises:
            StartError: The port cannot be had.
        """
        super().startService()
        self.site.start()

    def stopService(self) -> Deferred[Any]:
        """Take no more connections, let the requests in flight finish."""
        super().stopService()
        # The port is closed before any connection is: a client that is told that its connection closes opens
        # another one at once, and would find a port that takes it and then loses it.
        return maybeDeferred(self._close).addBoth(self._drain)

    def hurry(self) -> None:
        """Wait for nothing any more."""
        self._drain_timeout = 0
        self.site.abort()

    def _drain(self, closed: object) -> Deferred[None]:
        if isinstance(closed, Failure):
            self._log.failure("The port could not be closed", closed)
        return self.site.drain(self._drain_timeout)


class Listener(Port):
    """The port that clients use, with their streams.

    Args:
        place: Where to listen.
        site: Keeps the connections.
        drain_timeout: Seconds the requests in flight may take.
        health: Told when the end begins.
        streams: Ended before the connections are waited for.
        listening: Told of the port once it listens.
    """

    def __init__(
        self,
        place: Place,
        site: EchoSite,
        drain_timeout: float,
        *,
        health: Health,
        streams: Streams,
        listening: Callable[[IListeningPort], None],
    ) -> None:
        super().__init__(place, site, drain_timeout)
        self._health = health
        self._streams = streams
        self._listening = listening

    def startService(self) -> None:
        """Take connections, hold them to their deadlines and keep their streams alive.

        Raises:
            StartError: The port cannot be had.
        """
        super().startService()
        self._streams.start()

    def _take_connections(self, port: IListeningPort) -> IListeningPort:
        self._listening(port)
        return super()._take_connections(port)

    def stopService(self) -> Deferred[Any]:
        """Take no more connections, end the streams, let the requests in flight finish."""
        self._health.draining = True
        return super().stopService()

    def _drain(self, closed: object) -> Deferred[None]:
        self._streams.stop()
        return super()._drain(closed)


class MetricsPort(Port):
    """The port that is scraped, and what is measured only for those who scrape.

    Args:
        place: Where to listen.
        site: Keeps the connections.
        drain_timeout: Seconds a scrape in flight may take.
        lag: Measures how late the reactor is; None where that keeps no client waiting.
        failures: Counts unexpected exceptions.
    """

    def __init__(
        self,
        place: Place,
        site: EchoSite,
        drain_timeout: float,
        lag: ReactorLag | None,
        failures: FailureCount,
    ) -> None:
        super().__init__(place, site, drain_timeout)
        self._lag = lag
        self.failures = failures

    def startService(self) -> None:
        """Take connections and begin to measure.

        Raises:
            StartError: The port cannot be had.
        """
        super().startService()
        if self._lag is not None:
            self._lag.start()
        globalLogPublisher.addObserver(self.failures)

    def _take_connections(self, port: IListeningPort) -> IListeningPort:
        if not self._place.quiet:
            where = reached(self._place.description, port.getHost())
            self._log.info("Serving metrics at {metrics}", metrics=where.at("/metrics"))
        return super()._take_connections(port)

    def stopService(self) -> Deferred[Any]:
        """Take no more connections, let a scrape in flight finish, measure no more."""
        globalLogPublisher.removeObserver(self.failures)
        if self._lag is not None:
            self._lag.stop()
        return super().stopService()
