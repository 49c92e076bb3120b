"""An HTTP/1.1 connection: what it does in each of its states, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import (
    IHalfCloseableDescriptor,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    ISSLTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from mcp_echo.protocol.errors import McpError, ServerStopping
from mcp_echo.transport.edge.answer import Lines
from mcp_echo.transport.edge.deadlines import NEVER
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.transport.edge.reader import RequestReader
from mcp_echo.transport.edge.states import AWAITING, NEXT, RECEIVING, Event, State
from mcp_echo.transport.edge.writing import write_now

if TYPE_CHECKING:
    from mcp_echo.transport.edge.site import EchoSite

DRAIN_BYTES = 16 * 1024 * 1024
"""How much of what a refused client goes on sending is thrown away."""

_RETRY_AFTER = 1
"""Whole seconds until a client that was turned away may try again: a restart takes about as long."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CR = ord("\r")


@implementer(IHalfCloseableProtocol, IHandshakeListener, IPushProducer)
class Connection(Protocol):
    """An HTTP/1.1 connection; see `states` for what it does when.

    Args:
        site: Keeps the connections and answers the requests.
        neighbour: In whose share of the connections it counts; None for nobody's.
    """

    transport: Any

    def __init__(self, site: EchoSite, neighbour: str | None) -> None:
        self.site = site
        self.number = 0
        """Which connection it is, counted from 1 by the site."""
        self.host: str | None = None
        """The network address of the other end, once the site has asked for it."""
        self.neighbour = neighbour
        self.state: State = "awaiting"
        self.deadline = NEVER
        """Seconds of the site's clock by which the state has to be left."""
        self._settled: State | None = None
        """The state that the deadline is for."""
        self._reader = RequestReader(site.limits)
        self._data = b""
        self._at = 0
        self._going_on = False
        self._congested = False
        self._reading = True
        self._persistent = True
        self._drained = 0
        self.exchange: HttpExchange | None = None
        self._carried: IPushProducer | None = None

    @property
    def peer(self) -> Any:
        """The address of the other end; behind a balancer that says so, of the other end there."""
        return self.transport.getPeer()

    def connectionMade(self) -> None:
        """Tell the site of a connection that has come about."""
        if ISSLTransport.providedBy(self.transport):
            self.state = "handshake"
        self.transport.registerProducer(self, True)
        self.site.made(self)
        self._settle()

    def handshakeCompleted(self) -> None:
        """TLS is agreed on."""
        if self.state == "handshake":
            self._step("ready")
            self._settle()

    def _step(self, event: Event) -> None:
        self.state = NEXT[self.state][event]
        self._settled = None

    def _settle(self) -> None:
        """Set the deadline of a state that is new, and read only while there is room for more."""
        if self._settled is None:
            self._settled = self.state
            self.deadline = self.site.seconds() + self.site.time_limits[self.state]
        if self.state == "closing":
            return
        wanted = not self._congested and not (self._data and self.state == "answering")
        if wanted != self._reading:
            self._reading = wanted
            if wanted:
                self.transport.resumeProducing()
            else:
                self.transport.pauseProducing()

    def dataReceived(self, data: bytes) -> None:
        """Take in what has come."""
        if self.state == "refused":
            self._discard(data)
            return
        if self.state == "closing":
            return
        self._data = self._data + data if self._data else data
        self._go_on()

    def _go_on(self) -> None:
        """Take in and answer what is here, one request after another."""
        self._going_on = True
        try:
            while self._at < len(self._data) and not self._congested and self.state in RECEIVING:
                if self.state in AWAITING:
                    if self._data[self._at] == _CR and not self._skip_empty_lines():
                        break
                    self._step("begun")
                self._receive()
        except McpError as error:
            self.refuse(error)
        finally:
            self._going_on = False
        self._data = self._data[self._at :]
        self._at = 0
        self._settle()

    def _receive(self) -> None:
        """Take in what is here of one request, and answer it if that is all."""
        reader = self._reader
        self._at = reader.read(self._data, self._at)
        if reader.complete:
            self._answer()
        elif self.state == "head" and reader.head is not None:
            self._step("headed")
            if reader.head.expects_continue:
                self.write(_CONTINUE)

    def _skip_empty_lines(self) -> bool:
        """Skip empty lines ahead of a request (RFC 9112 section 2.2); return whether one has begun."""
        data = self._data
        while data.startswith(b"\r\n", self._at):
            self._at += 2
        return data[self._at : self._at + 2] not in (b"", b"\r")

    def _answer(self) -> None:
        head, body = self._reader.take()
        self._step("received")
        self._persistent = head.persistent and not self.site.draining
        self.exchange = exchange = HttpExchange(self, head, body, self.site.seen(self, head, len(body)))
        self.site.answer(exchange)

    def answer_head(self, status: int, lines: Lines, length: int | None) -> bytes:
        """Return the head of an answer, which says whether this connection closes behind it."""
        return self.site.heads.head(status, lines, length, last=not self._persistent)

    def write(self, data: bytes) -> None:
        """Write to the client."""
        write_now(self.transport, data)

    def forget(self) -> None:
        """Let go of what is here in case the request in hand comes again."""
        self._reader.forget()

    def answered(self) -> None:
        """The answer to the request in hand is written."""
        self.exchange = self._carried = None
        if self._persistent:
            self._step("answered")
            if not self._going_on:
                self._go_on()
        else:
            self._step("answered last")
            self._close()

    def _close(self) -> None:
        """Close once everything is written; a client that does not take it is not waited for for ever."""
        self._data, self._at = b"", 0
        self.site.watch(self)
        # TLS closes no connection that somebody may still write to.
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        self._settle()

    def end(self) -> None:
        """Close a connection that nothing is in hand on."""
        self._step("ended")
        self._close()

    def carry(self, producer: IPushProducer | None) -> None:
        """Tell a producer when the client does not keep up with it, and when it does again."""
        self._carried = producer
        if producer is not None and self._congested:
            producer.pauseProducing()

    def pauseProducing(self) -> None:
        """More than 64 KiB wait for the client; said again with each write until it has taken everything."""
        self._congested = True
        # Not the client alone keeps this connection waiting: from here on the site looks whether it reads.
        self.deadline = NEVER
        self.site.watch(self)
        if self._carried is not None:
            self._carried.pauseProducing()
        if not self._going_on:
            self._settle()

    def resumeProducing(self) -> None:
        """The client has taken everything."""
        self._congested = False
        self._settled = None
        self.site.unwatch(self)
        if self._carried is not None:
            self._carried.resumeProducing()
        if not self._going_on:
            self._go_on()

    def stopProducing(self) -> None:
        """The connection is lost, which `connectionLost` is told as well."""

    def refuse(self, error: McpError) -> None:
        """Answer with ``error`` and end the connection; nothing more that comes on it is read.

        Closing at once would have the kernel reset the connection of a client that is still sending, which
        then loses the answer (RFC 9112 section 9.6): the server stops writing first, and reading later.
        """
        self._step("refused")
        self._data, self._at, self._congested = b"", 0, False
        self.site.refuse(error, self, self._reader)
        self.transport.unregisterProducer()
        plain = not ISSLTransport.providedBy(self.transport)
        if plain and IHalfCloseableDescriptor.providedBy(self.transport):
            self.transport.loseWriteConnection()  # type: ignore[attr-defined]
        else:
            self.transport.loseConnection()
        self._settle()

    def _discard(self, data: bytes) -> None:
        self._drained += len(data)
        if self._drained > DRAIN_BYTES:
            self.abort()

    def readConnectionLost(self) -> None:
        """The client sends no more.

        It gets what has been written. If its answer is still being worked on it counts as gone, for one that
        has left looks the same.
        """
        if self.state in AWAITING:
            self.end()
        elif self.state in ("closing", "refused"):
            self.transport.loseConnection()
        else:
            self.abort()

    def writeConnectionLost(self) -> None:
        """Nothing more will be written, as intended."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002  # Twisted's signature
        """Let go of the request in hand, and tell the site, which may await the last connection's end."""
        self.deadline = NEVER
        if self.state in ("head", "body"):
            self.site.seen(self, self._reader.head, self._reader.received).settle()
        exchange, self.exchange, self._carried = self.exchange, None, None
        self._data = b""
        self._reader.close()
        if exchange is not None:
            exchange.lose()
        self.site.lost(self)

    def finish(self) -> None:
        """Answer the request in hand and no other one; turn away one that may never be complete."""
        if self.state == "answering":
            self._persistent = False
        elif self.state in ("head", "body"):
            self.refuse(ServerStopping(_RETRY_AFTER))

    def close_unless_busy(self) -> None:
        """Do the same, or close the connection if nothing has come on it."""
        if self.state in AWAITING:
            self.end()
        else:
            self.finish()

    def abort(self) -> None:
        """Drop the connection with all that is still to be sent on it."""
        self.transport.abortConnection()
