"""An event stream that a fault may change, event by event.

Events wait here for as long as a fault lets them. From `MOST_WAITING` bytes on, the server's stream is told
that its reader does not keep up, so that messages stay where they are bounded.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from mcp_echo.faults import events
from mcp_echo.faults.answer import Answer, Cut, Piece, Sending
from mcp_echo.faults.asked import is_response
from mcp_echo.faults.orders import Claim
from mcp_echo.protocol.errors import McpError
from mcp_echo.transport.faults.sending import marked, paced
from mcp_echo.transport.sse import KEEP_ALIVE_COMMENT, KEEP_ALIVE_EVENT

if TYPE_CHECKING:
    from mcp_echo.transport.faults.exchange import FaultyExchange

MOST_WAITING = 64 * 1024
"""Bytes of events that wait here before the stream is told to wait."""

_KEEP_ALIVES = (KEEP_ALIVE_COMMENT, KEEP_ALIVE_EVENT)


class Source(Protocol):
    """What the server writes a stream with."""

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def cut(self, retry: int | None) -> None:
        """End in the middle."""


@implementer(IPushProducer)
class FaultyStream:
    """The events of one exchange on their way out.

    Args:
        exchange: Writes them.
        source: Where they come from.
    """

    def __init__(self, exchange: FaultyExchange, source: Source) -> None:
        self._exchange = exchange
        self._source = source
        self._claim: Claim | None = None
        self._sending = Sending(None)
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        """Bytes that wait."""
        self._is_open = self._is_writing = self._is_ending = False
        self._is_quiet = self._has_answer = False
        self._is_congested = self._has_paused = False
        """Whether the client does not keep up, and whether the source waits for what is written here."""
        self._cut: Cut | None = None
        self._events = 0

    # Its pace.

    def pauseProducing(self) -> None:
        """The client does not keep up."""
        self._is_congested = True
        self._source.pauseProducing()

    def resumeProducing(self) -> None:
        """The client has caught up."""
        self._is_congested = False
        if not self._has_paused:
            self._source.resumeProducing()

    def stopProducing(self) -> None:
        """The client has left, which the exchange is told."""

    @property
    def _is_full(self) -> bool:
        return self._bytes >= MOST_WAITING

    def _take(self) -> bytes:
        block = self._waiting.popleft()
        self._bytes -= len(block)
        return block

    # Its life.

    async def open(self, answer: Answer) -> None:
        """Open it, once it is known whether an order fires."""
        exchange, hit = self._exchange, self._exchange.hit
        claim = self._claim = await hit.claim(answer)
        try:
            if claim is not None:
                self._sending = claim.fault.whole(hit.asked, answer, hit.world(claim.chance))
                exchange.fires(claim, self._sending)
                await exchange.wait(self._sending.wait)
                answer = marked(self._sending.answer or answer, claim)
        except McpError as error:
            exchange.refuse(error)
            self._source.cut(None)
            return
        if exchange.is_gone:
            return
        exchange.begin(answer)
        self._is_open, self._is_quiet = True, self._sending.quiet > 0
        self._go_on()
        await exchange.wait(self._sending.quiet)
        self._is_quiet = False
        if not self._sending.each and self._sending.rate is None:
            # It may be open for days yet.
            exchange.let_pass()
        self._go_on()

    def write(self, data: bytes) -> None:
        """Take a block, to be written as soon as the fault lets it; no keep-alive breaks a silence."""
        if self._is_quiet and data in _KEEP_ALIVES:
            return
        self._waiting.append(data)
        self._bytes += len(data)
        self._go_on()
        if self._is_full and not self._has_paused:
            self._has_paused = True
            self._source.pauseProducing()

    def finish(self) -> None:
        """End it behind what waits."""
        self._is_ending = True
        self._go_on()

    def _go_on(self) -> None:
        if self._is_open and not self._is_writing and not self._exchange.is_gone:
            self._is_writing = True
            self._exchange.hit.spawn(self._exchange, self._write_waiting())

    async def _write_waiting(self) -> None:
        try:
            while self._may_write:
                await self._write(self._take())
            if self._is_ending and not self._waiting and not self._exchange.is_gone:
                await self._end()
        finally:
            self._is_writing = False
        if self._has_paused and not self._is_full:
            self._has_paused = False
            if not (self._is_ending or self._is_congested or self._exchange.is_gone):
                self._source.resumeProducing()

    @property
    def _may_write(self) -> bool:
        if not self._waiting or self._exchange.is_gone:
            return False
        # What the stream opens with comes before a silence.
        return not (self._is_quiet and events.is_event(self._waiting[0]))

    async def _write(self, block: bytes) -> None:
        claim, sending, asked = self._claim, self._sending, self._exchange.hit.asked
        is_event = events.is_event(block)
        self._has_answer |= is_event and is_response(events.data_of(block) or b"", asked)
        pieces = [Piece(block)]
        if claim is not None and is_event:
            await self._exchange.wait(sending.each)
            self._events += 1
            pieces = list(claim.fault.event(asked, block))
        for piece in paced(pieces, sending.rate):
            await self._exchange.wait(piece.wait)
            self._exchange.put(piece.data)
        if claim is not None:
            self._cut_if_due(claim)

    def _cut_if_due(self, claim: Claim) -> None:
        cut = None if self._cut or self._exchange.is_gone else claim.fault.cut_after(self._events)
        if cut is not None:
            self._cut = cut
            # What was written before is all that comes.
            self._waiting.clear()
            self._bytes = 0
            self._source.cut(claim.fault.retry)

    async def _end(self) -> None:
        if self._cut is not None:
            self._exchange.break_off(self._cut)
            return
        if self._claim is None and self._exchange.hit.asked.is_request and not self._has_answer:
            await self._answer_after_end()
        self._exchange.end()

    async def _answer_after_end(self) -> None:
        """Answer a request that was cancelled, if that is ordered."""
        hit, ended = self._exchange.hit, Answer(200, body=b"", is_end=True)
        claim = await hit.claim(ended)
        if claim is not None:
            sending = claim.fault.whole(hit.asked, ended, hit.world(claim.chance))
            self._exchange.fires(claim, sending)
            if sending.answer is not None:
                self._exchange.put(events.message(sending.answer.body or b""))
