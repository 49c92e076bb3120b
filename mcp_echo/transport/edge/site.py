"""The HTTP server: its connections, how many there may be, and their orderly end."""

from __future__ import annotations

import resource as descriptors
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from mcp_echo.auth.proxies import TrustedProxies
from mcp_echo.protocol.errors import McpError
from mcp_echo.sessions.limits import share_of
from mcp_echo.settings.table import Settings
from mcp_echo.transport.edge.answer import Heads, Lines
from mcp_echo.transport.edge.connection import Connection
from mcp_echo.transport.edge.deadlines import expire, time_limits
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.transport.edge.head import Head
from mcp_echo.transport.edge.neighbours import Neighbours
from mcp_echo.transport.edge.peers import host_of
from mcp_echo.transport.edge.reader import RequestLimits, RequestReader
from mcp_echo.transport.edge.refusals import EdgeCounts, refusal
from mcp_echo.transport.edge.writing import unsent
from mcp_echo.watch.observer import Watch
from mcp_echo.watch.seen import Seen

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


class Application(Protocol):
    """What answers requests."""

    def answer(self, exchange: HttpExchange) -> None:
        """Answer a request, now or later; raises nothing."""

    def refusal_lines(self, head: Head) -> Lines:
        """Return header lines for the refusal of a request that `answer` is not called for."""


class EchoSite(Factory):
    """Knows its connections, holds them to their deadlines, and can let them finish.

    Args:
        application: Answers every request.
        reactor: Times the deadlines and the drain.
        settings: The limits.
        wall: The wall clock.
        watch: Is told of every exchange; None for nobody.
    """

    noisy = False
    _log = Logger()
    _bound = "MCP_ECHO_MAX_CONNECTIONS allows"
    """What says how many connections there may be, for the log."""

    def __init__(
        self,
        application: Application,
        reactor: IReactorTime,
        settings: Settings,
        wall: Callable[[], float] = time.time,
        watch: Watch | None = None,
    ) -> None:
        self._application = application
        self.answer = application.answer
        self.settings = settings
        self.counts = EdgeCounts()
        self.seconds = reactor.seconds
        self.point = watch or Watch((), self.seconds, lambda _: None)
        most = settings.max_message_size
        self.limits = RequestLimits(
            head_bytes=settings.max_header_bytes,
            fields=settings.max_headers,
            body=most,
            # A quarter for the framing, and more for bodies that are small.
            chunked=most * 5 // 4 + 64 * 1024,
        )
        self.time_limits = time_limits(settings)
        self.max_connections = connection_limit(settings.max_connections)
        share = share_of(settings.max_connections_per_address, self.max_connections)
        self._neighbours = Neighbours(share, TrustedProxies(settings.trusted_proxies))
        self._clock = reactor
        self.heads = Heads(wall)
        self._open: set[Connection] = set()
        self._stalls: dict[Connection, _Stall] = {}
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

    def buildProtocol(self, addr: IAddress | None) -> Connection | None:
        """Take a connection, or close it at once when there are as many as may be."""
        if len(self._open) >= self.max_connections:
            self._turn_away()
            return None
        neighbour = self._neighbours.name(addr)
        if not self._neighbours.has_room(neighbour):
            self.counts.connections_over_share += 1
            return None
        return Connection(self, neighbour)

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

    def made(self, connection: Connection) -> None:
        """Remember a connection."""
        self._open.add(connection)
        self._neighbours.came(connection.neighbour)
        self.counts.connections_accepted += 1
        connection.number = self.counts.connections_accepted

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def lost(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        if connection in self._open:
            self._open.discard(connection)
            self._neighbours.left(connection.neighbour)
        self._stalls.pop(connection, None)
        if self._full and len(self._open) <= self.max_connections * 9 // 10:
            self._full = False
            self._log.info(
                "There is room for connections again; {count} have been refused since the start",
                count=self.counts.connections_refused,
            )
        self._note_if_drained()

    def watch(self, connection: Connection) -> None:
        """Drop a connection whose client takes nothing of what is written to it for too long.

        Called again and again while it is so.
        """
        if connection in self._open and connection not in self._stalls:
            self._stalls[connection] = self._stall_of(connection)

    def unwatch(self, connection: Connection) -> None:
        """The client has taken everything."""
        self._stalls.pop(connection, None)

    def seen(self, connection: Connection, head: Head | None, received: int) -> Seen:
        """Return what is seen of a request; see `Seen` for the arguments."""
        if connection.host is None:
            # Not before: a balancer says who it is ahead of the first request.
            connection.host = host_of(connection.peer)
        return Seen(
            watch=self.point,
            peer=connection.host,
            connection=connection.number,
            head=head,
            received=received,
            arrived=self.point.now(),
        )

    def refuse(self, error: McpError, connection: Connection, reader: RequestReader) -> None:
        """Answer a request that no route has seen."""
        head = reader.head
        seen = self.seen(connection, head, reader.received)
        seen.refusal = error
        lines = () if head is None else self._application.refusal_lines(head)
        connection.write(refusal(self.heads, seen, error, lines, head_only=reader.answers_head))
        seen.settle()

    def _stall_of(self, connection: Connection) -> _Stall:
        return _Stall(self.seconds() + self.settings.stall_timeout, unsent(connection.transport))

    def _look_at_deadlines(self) -> None:
        # An exception would end the LoopingCall, and nothing would be timed from then on.
        try:
            now = self.seconds()
            # Copies: what is closed may be gone at once.
            for connection in [each for each in self._open if each.deadline <= now]:
                expire(connection, self.settings)
            for connection, stall in list(self._stalls.items()):
                if stall.deadline <= now:
                    self._drop_if_stalled(connection, stall)
        except Exception:
            self._log.failure("Looking at the deadlines of connections failed")

    def _drop_if_stalled(self, connection: Connection, stall: _Stall) -> None:
        if unsent(connection.transport) != stall.unsent:
            self._stalls[connection] = self._stall_of(connection)
            return
        self.counts.stalls += 1
        self._log.info(
            "Dropping the connection of {peer}, which has taken nothing for {seconds:g} s",
            peer=connection.peer,
            seconds=self.settings.stall_timeout,
        )
        connection.abort()

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
        for connection in list(self._open):
            connection.finish()
        self._note_if_drained()
        return drained

    def abort(self) -> None:
        """Drop every connection now."""
        for connection in list(self._open):
            connection.abort()

    def _note_if_drained(self) -> None:
        if self._open or self._drained is None:
            return
        drained, self._drained = self._drained, None
        for timer in self._timers:
            if timer.active():
                timer.cancel()
        if self._look.running:
            self._look.stop()
        drained.callback(None)

    def _close_idle(self) -> None:
        for connection in list(self._open):
            connection.close_unless_busy()

    def _abort_late(self) -> None:
        self._log.warn("Aborting {count} connections that did not finish in time", count=len(self._open))
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
