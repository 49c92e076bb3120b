"""An exchange whose answer a fault may change: the one seam that answers go through.

Theory of operation. Whatever the server answers comes here first. With the whole answer, or with the opening
of an event stream, it is decided whether an order fires; until that is known, which on a shared store takes a
round trip, nothing is written::

    reply ──> deciding ──> held ──> written, in pieces or at once ──> over
    open  ──> deciding ──> held ──> opened, and then event by event: see `mcp_echo.transport.faults.stream`
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from mcp_echo.faults.answer import Answer, Cut, Piece, Sending, World
from mcp_echo.faults.asked import Asked
from mcp_echo.faults.fault import MOST_SECONDS
from mcp_echo.faults.orders import Claim
from mcp_echo.http.accept import EVENT_STREAM
from mcp_echo.protocol.errors import McpError
from mcp_echo.protocol.jsonrpc import error_bytes
from mcp_echo.transport.edge.answer import JSON, lines_of
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.transport.edge.writing import reset_at_end
from mcp_echo.transport.faults.holds import Holds
from mcp_echo.transport.faults.sending import marked, paced
from mcp_echo.transport.faults.stream import FaultyStream
from mcp_echo.transport.telling import tell_answer


@dataclass(frozen=True, slots=True)
class Hit:
    """What the seam knows of a request that an order may fire at.

    Args:
        asked: What it asks for.
        trace: The id of its trace.
        claim: Returns the order that fires at an answer; None for none.
        world: Returns what a fault may know.
        is_disarmed: Returns whether an order is called off.
        holds: Counts what is held.
        spawn: Runs work that answers later.
    """

    asked: Asked
    trace: str
    claim: Callable[[Answer], Awaitable[Claim | None]]
    world: Callable[[float], World]
    is_disarmed: Callable[[int], bool]
    holds: Holds
    spawn: Callable[[FaultyExchange, Coroutine[Any, Any, None]], None]


class FaultyExchange(HttpExchange):
    """An exchange with a trace in which an order may fire.

    Args:
        exchange: The exchange whose place it takes.
        hit: What is known of the request.
    """

    __slots__ = ("_claim", "_forgets", "_producer", "_release", "_replying", "_stream", "_time", "hit")

    def __init__(self, exchange: HttpExchange, hit: Hit) -> None:
        connection = exchange.hand_over()
        assert connection is not None  # noqa: S101  # whoever has left is not answered
        super().__init__(connection, exchange.head, exchange.body, exchange.seen)
        connection.exchange = self
        self.lines = exchange.lines
        self.hit = hit
        self._claim: Claim | None = None
        self._release: Callable[[], None] | None = None
        self._replying = self._forgets = False
        self._time = float(MOST_SECONDS)
        """Seconds that it may be held yet."""
        self._producer: Any = None
        self._stream: FaultyStream | None = None

    # What the server does; see `HttpExchange`.

    def reply(self, status: int, body: bytes = b"") -> None:
        """Answer, unless an order fires; a stream ends where it is."""
        if self._producer is not None:
            self.finish()
        elif self._connection is not None and not self._replying:
            self._replying = True
            self.hit.spawn(self, self._reply(Answer(status, tuple(self.lines), body)))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Have the stream told when its client, or a fault, does not keep up."""
        self._producer = producer
        self._stream = FaultyStream(self, producer)
        super().registerProducer(self._stream, streaming)

    def open(self, status: int) -> None:
        """Open an event stream, once it is known whether an order fires."""
        if self._connection is not None and self._stream is not None:
            self.hit.spawn(self, self._stream.open(Answer(status, tuple(self.lines), None)))

    def write(self, data: bytes) -> None:
        """Write a piece of a stream as soon as the fault lets it."""
        if self._connection is not None and self._stream is not None:
            self._stream.write(data)

    def finish(self) -> None:
        """End a stream behind what waits."""
        if self._stream is not None:
            self._stream.finish()

    def forget(self) -> None:
        """Let go of all that came, once the stream is open."""
        if self.begun:
            super().forget()
        else:
            self._forgets = True

    def lose(self) -> None:
        """The client has gone away, unless it was sent away."""
        self.let_pass()
        if not self.answered:
            super().lose()

    # Whole answers.

    def send(self, claim: Claim, sending: Sending) -> Coroutine[Any, Any, None]:
        """Send what a fault sends in the place of an answer of the server."""
        self._replying = True
        return self._send(claim, sending)

    async def _reply(self, answer: Answer) -> None:
        claim = await self.hit.claim(answer)
        if claim is None:
            self._write_whole(answer)
        else:
            await self._send(claim, claim.fault.whole(self.hit.asked, answer, self.hit.world(claim.chance)))

    async def _send(self, claim: Claim, sending: Sending) -> None:
        try:
            self.fires(claim, sending)
            await self.wait(sending.wait)
            if sending.answer is None:
                self.break_off(sending.cut or "close")
            elif sending.pieces or sending.rate is not None:
                await self._write_pieces(marked(sending.answer, claim), sending)
            else:
                self._write_whole(marked(sending.answer, claim), told=self.seen.leg is not None)
        except McpError as error:
            self.refuse(error)
        finally:
            self.let_pass()

    def _write_whole(self, answer: Answer, *, told: bool = False) -> None:
        """Send an answer.

        Args:
            answer: The answer.
            told: Whether to tell of it in the place of the one that the server would have given: what a
                client of OAuth does next is about the token, or the name, that it has been given.
        """
        self.lines = list(answer.lines)
        if told:
            tell_answer(self, answer.status, answer.body or b"")
        super().reply(answer.status, answer.body or b"")

    async def _write_pieces(self, answer: Answer, sending: Sending) -> None:
        self.begin(answer)
        self.seen.streamed = answer.values("Content-Type") == [EVENT_STREAM]
        for piece in paced(sending.pieces or (Piece(answer.body or b""),), sending.rate):
            await self.wait(piece.wait)
            self.put(piece.data)
        if sending.cut is None:
            self.end()
        else:
            self.break_off(sending.cut)

    # What whole answers and streams are made of.

    @property
    def is_gone(self) -> bool:
        """Whether nobody reads any more."""
        return self._connection is None

    def fires(self, claim: Claim, sending: Sending) -> None:
        """Note which order fires, and count the exchange as held where it is.

        Raises:
            TooManyHeld: There are as many as may be.
        """
        self._claim = claim
        self.seen.fault, self.seen.order = claim.mark, claim.number
        if sending.wait or sending.quiet or sending.each or sending.rate is not None:
            self._release = self.hit.holds.take(self.hit.trace)

    def let_pass(self) -> None:
        """Count the exchange as held no more."""
        release, self._release = self._release, None
        if release is not None:
            release()

    async def wait(self, seconds: float) -> None:
        """Let time pass, unless the client leaves, the order is called off, or it was held long enough."""
        seconds = min(seconds, self._time)
        if seconds > 0:
            self._time -= seconds
            await self.hit.holds.wait(seconds, self._need_not_wait)
            if not self._time:
                self.let_pass()

    def _need_not_wait(self) -> bool:
        return self.is_gone or (self._claim is not None and self.hit.is_disarmed(self._claim.number))

    def begin(self, answer: Answer) -> None:
        """Write the head of an answer that comes in pieces."""
        self.lines = list(answer.lines)
        super().open(answer.status)
        if self._forgets:
            super().forget()

    def put(self, data: bytes) -> None:
        """Write a piece of it."""
        super().write(data)

    def end(self) -> None:
        """End it."""
        super().finish()
        self.let_pass()

    def refuse(self, error: McpError) -> None:
        """Answer with an error: what is ordered cannot be done."""
        self.seen.refusal = error
        self.lines = [JSON, *lines_of(error.headers.items())]
        super().reply(error.status, error_bytes(self.hit.asked.id, error))

    def break_off(self, how: Cut) -> None:
        """End in the middle of an answer, or before its first byte."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self.answered = True
        self._left = None
        self.let_pass()
        self.seen.last = self.seen.watch.now()
        self.seen.settle()
        if how == "reset":
            reset_at_end(connection.transport)
            connection.abort()
        else:
            connection.finish()
            connection.answered()
