"""The HTTP server: its connections, how many there may be, and their orderly end."""

from __future__ import annotations

import resource as descriptors
import time
from collections.abc import Callable
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web import http
from twisted.web.http import datetimeToString
from twisted.web.resource import IResource
from twisted.web.server import Site

from mcp_echo.config import Settings
from mcp_echo.protocol.proxies import TrustedProxies
from mcp_echo.state.limits import share_of
from mcp_echo.transport.channel import EchoChannel, channel_class
from mcp_echo.transport.neighbours import Neighbours
from mcp_echo.transport.refusals import EdgeCounts
from mcp_echo.transport.request import EchoRequest

LOOK_SECONDS = 1.0
"""Seconds between two looks at all deadlines: how late one may be noticed."""

LINGER = 0.5
"""Seconds that idle connections stay open when the server stops.

Whoever is about to send a request on one does not know yet that the server stops: closing at once would lose
the request. Within this time it is answered, and told that the connection closes."""

_KEPT_DESCRIPTORS = 64
_FEWEST_CONNECTIONS = 16


class _Stall(NamedTuple):
    """A client that was to take something."""

    deadline: float
    unsent: tuple[int, int]


class EchoSite(Site):
    """A site that knows its connections, holds them to their deadlines, and can let them finish.

    Args:
        resource: Answers every request.
        reactor: Times the deadlines and the drain.
        settings: The limits.
        wall: The wall clock.
    """

    noisy = False
    _log = Logger()
    _bound = "MCP_ECHO_MAX_CONNECTIONS allows"
    """What says how many connections there may be, for the log."""

    def __init__(
        self,
        resource: IResource,
        reactor: IReactorTime,
        settings: Settings,
        wall: Callable[[], float] = time.time,
    ) -> None:
        # MCP bodies are JSON: parsing forms would cost time and, for large ones, a great deal of memory.
        super().__init__(resource, EchoRequest, reactor=reactor, timeout=None, parsePOSTFormSubmission=False)
        # HTTP/1.1 alone, as Twisted lets a factory choose: the generic protocol would wrap each connection.
        self.protocol = channel_class(settings)  # type: ignore[assignment]
        self.settings = settings
        self.counts = EdgeCounts()
        self.seconds = reactor.seconds
        self.max_body = settings.max_message_size
        self.max_chunked = settings.max_message_size * 5 // 4 + 64 * 1024
        """Bytes that the chunks of a body may take on the wire."""
        self.max_connections = connection_limit(settings.max_connections)
        share = share_of(settings.max_connections_per_address, self.max_connections)
        self._neighbours = Neighbours(share, TrustedProxies(settings.trusted_proxies))
        self._clock = reactor
        self._wall = wall
        self._second = 0
        self._date = b""
        self._channels: set[EchoChannel] = set()
        self._stalls: dict[EchoChannel, _Stall] = {}
        self._full = False
        self.draining = False
        """True once every connection is to be closed as soon as its request is answered."""
        self._drained: Deferred[None] | None = None
        self._timers: list[IDelayedCall] = []
        self._look = LoopingCall(self._look_at_deadlines)
        self._look.clock = reactor

    def start(self) -> None:
        """Hold connections to their deadlines from now on."""
        # The loop ends only when the last connection has: `_look_at_deadlines` lets nothing out.
        self._look.start(LOOK_SECONDS, now=False)

    def buildProtocol(self, addr: IAddress | None) -> EchoChannel | None:  # type: ignore[override]  # ours
        """Take a connection, or close it at once when there are as many as may be."""
        if len(self._channels) >= self.max_connections:
            self._turn_away()
            return None
        neighbour = self._neighbours.name(addr)
        if not self._neighbours.has_room(neighbour):
            self.counts.connections_over_share += 1
            return None
        channel: EchoChannel = super().buildProtocol(addr)
        channel.neighbour = neighbour
        return channel

    def _turn_away(self) -> None:
        self.counts.connections_refused += 1
        # Said once, and not again before there has been room for a while.
        if not self._full:
            self._full = True
            self._log.warn(
                "There are {count} connections, as many as {bound}: closing new ones",
                count=self.max_connections,
                bound=self._bound,
            )

    def date(self) -> bytes:
        """Return the time for the ``Date`` header, written once a second."""
        second = int(self._wall())
        if second != self._second:
            self._second, self._date = second, datetimeToString(second)
        return self._date

    def made(self, channel: EchoChannel) -> None:
        """Remember a connection."""
        self._channels.add(channel)
        self._neighbours.came(channel.neighbour)
        self.counts.connections_accepted += 1

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._channels)

    def log(self, request: http.Request) -> None:
        """Write no access log: it costs more than the request; a debug log has requests and answers."""

    def lost(self, channel: EchoChannel) -> None:
        """Forget a connection that has ended."""
        if channel in self._channels:
            self._channels.discard(channel)
            self._neighbours.left(channel.neighbour)
        self._stalls.pop(channel, None)
        if self._full and len(self._channels) <= self.max_connections * 9 // 10:
            self._full = False
            self._log.info(
                "There is room for connections again; {count} have been refused since the start",
                count=self.counts.connections_refused,
            )
        self._note_if_drained()

    def watch(self, channel: EchoChannel) -> None:
        """Drop a connection whose client takes nothing of what is written to it for too long.

        Called again and again while it is so.
        """
        if channel in self._channels and channel not in self._stalls:
            self._stalls[channel] = self._stall_of(channel)

    def unwatch(self, channel: EchoChannel) -> None:
        """The client has taken everything."""
        self._stalls.pop(channel, None)

    def _stall_of(self, channel: EchoChannel) -> _Stall:
        return _Stall(self.seconds() + self.settings.stall_timeout, channel.unsent())

    def _look_at_deadlines(self) -> None:
        # An exception would end the LoopingCall, and nothing would be timed from then on.
        try:
            now = self.seconds()
            # Copies: what is closed may be gone at once.
            for channel in [each for each in self._channels if each.deadline <= now]:
                channel.expire()
            for channel, stall in list(self._stalls.items()):
                if stall.deadline <= now:
                    self._drop_if_stalled(channel, stall)
        except Exception:
            self._log.failure("Looking at the deadlines of connections failed")

    def _drop_if_stalled(self, channel: EchoChannel, stall: _Stall) -> None:
        if channel.unsent() != stall.unsent:
            self._stalls[channel] = self._stall_of(channel)
            return
        self.counts.stalls += 1
        self._log.info(
            "Dropping the connection of {peer}, which has taken nothing for {seconds:g} s",
            peer=channel.getPeer(),
            seconds=self.settings.stall_timeout,
        )
        channel.transport.abortConnection()

    def drain(self, timeout: float) -> Deferred[None]:
        """Let the connections finish what they are doing.

        Args:
            timeout: Seconds after which the ones that are left are aborted.

        Returns:
            A Deferred that fires when no connection is left.
        """
        drained: Deferred[None] = Deferred()
        self._drained = drained
        self.draining = True
        self._timers = [
            self._clock.callLater(timeout, self._abort_late),
            self._clock.callLater(min(LINGER, timeout), self._close_idle),
        ]
        for channel in list(self._channels):
            channel.finish()
        self._note_if_drained()
        return drained

    def abort(self) -> None:
        """Drop every connection now."""
        for channel in list(self._channels):
            channel.abort()

    def _note_if_drained(self) -> None:
        if self._channels or self._drained is None:
            return
        drained, self._drained = self._drained, None
        for timer in self._timers:
            if timer.active():
                timer.cancel()
        if self._look.running:
            self._look.stop()
        drained.callback(None)

    def _close_idle(self) -> None:
        for channel in list(self._channels):
            channel.close_unless_busy()

    def _abort_late(self) -> None:
        self._log.warn("Aborting {count} connections that did not finish in time", count=len(self._channels))
        self.abort()


def connection_limit(configured: int) -> int:
    """Return how many connections there may be at once.

    Args:
        configured: The setting; 0 for what the soft limit on file descriptors leaves room for.
    """
    if configured:
        return configured
    soft, _ = descriptors.getrlimit(descriptors.RLIMIT_NOFILE)
    if soft == descriptors.RLIM_INFINITY:
        return 1_000_000
    return max(_FEWEST_CONNECTIONS, soft - _KEPT_DESCRIPTORS)
