"""The one seam before requests are answered: whether an order may fire at one, and what it does then."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from mcp_echo.faults.answer import Answer, World
from mcp_echo.faults.asked import Asked, asked_by
from mcp_echo.faults.orders import FAULTS, Claim, claim, may_fire, request
from mcp_echo.protocol.errors import TracesUnavailable
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.transport.faults.exchange import FaultyExchange, Hit
from mcp_echo.transport.faults.holds import Holds
from mcp_echo.transport.guards import Guards
from mcp_echo.transport.oauth.assembly import OAuth
from mcp_echo.transport.routing import Handler
from mcp_echo.transport.telling import tell_request
from mcp_echo.watch.insight import Insight
from mcp_echo.watch.parts import TraceGone
from mcp_echo.watch.traces import Trace

_HIT = (b"GET", b"POST")
"""The methods of requests that a fault may hit; a preflight is never one."""


class FaultSeam:
    """Has the orders of traces fire.

    Args:
        insight: The traces.
        oauth: Knows their names and keys.
        guards: Who may ask at all.
        clock: Tells the time that requests are held for.
    """

    def __init__(self, insight: Insight, oauth: OAuth, guards: Guards, clock: IReactorTime) -> None:
        self._parts = insight.parts
        self._wall = insight.clocks.wall
        self._oauth = oauth
        self._guards = guards
        self._node = insight.node
        self._holds = Holds(clock)
        self.failed: Callable[[HttpExchange, Failure], None] = lambda _http, _failure: None
        """Answers a request whose handler has failed."""
        self.broken: Callable[[HttpExchange, Failure], None] = lambda _http, _failure: None
        """Told of an answer that could not be made faulty, for a reason that nobody expects."""
        self.end_session: Callable[[HttpExchange], Deferred[None]]
        """Ends the session that a request names."""

    def around(self, http: HttpExchange, handler: Handler) -> Handler:
        """Return what answers a request of a trace, in which an order may fire."""
        trace: Trace | None = http.seen.trace
        if trace is None or FAULTS.name not in trace.parts or http.head.method not in _HIT:
            return handler
        asked, now = asked_by(http.head, http.body, http.seen.leg), self._wall()
        http.body = request(FAULTS.read(trace), asked, http.body, now) or http.body
        if not may_fire(FAULTS.read(trace), asked, now):
            return handler
        return lambda asking: self._answer(asking, trace, asked, handler)

    async def _answer(self, http: HttpExchange, trace: Trace, asked: Asked, handler: Handler) -> None:
        fired = await self._claim(trace, asked, None)
        if http.transport is None:
            return
        faulty = FaultyExchange(http, self._hit(http, trace, asked))
        try:
            if fired is not None:
                await self._answer_instead(faulty, trace, asked, fired)
                return
            later = handler(faulty)
            if later is not None:
                await later
        except Exception:
            self.failed(faulty, Failure())

    async def _answer_instead(self, faulty: FaultyExchange, trace: Trace, asked: Asked, fired: Claim) -> None:
        self._guards.check(faulty)
        tell_request(faulty)
        if getattr(fired.fault, "forget", False):
            await self.end_session(faulty)
        sending = fired.fault.instead(asked, self._world(faulty, trace, fired.chance))
        if sending.answer is not None:
            answer = sending.answer._replace(lines=(*faulty.lines, *sending.answer.lines))
            sending = sending._replace(answer=answer)
        await faulty.send(fired, sending)

    def _hit(self, http: HttpExchange, trace: Trace, asked: Asked) -> Hit:
        return Hit(
            asked=asked,
            trace=trace.id,
            claim=lambda answer: self._claim(trace, asked, answer),
            world=lambda chance: self._world(http, trace, chance),
            is_disarmed=lambda number: _is_disarmed(trace, number),
            holds=self._holds,
            spawn=self._spawn,
        )

    def _spawn(self, http: FaultyExchange, work: Coroutine[Any, Any, None]) -> None:
        def broken(failure: Failure) -> None:
            self.broken(http, failure)
            http.break_off("close")

        Deferred.fromCoroutine(work).addErrback(broken)

    async def _claim(self, trace: Trace, asked: Asked, answer: Answer | None) -> Claim | None:
        """Return the order that fires; none does while what is ordered cannot be reached."""
        now = self._wall()
        # Most answers are none that an order can change, and need no round trip.
        if not may_fire(FAULTS.read(trace), asked, now):
            return None
        try:
            return await self._parts.change(
                trace, FAULTS, lambda state: claim(state, asked, answer, now, self._node)
            )
        except (TracesUnavailable, TraceGone):
            return None

    def _world(self, http: HttpExchange, trace: Trace, chance: float) -> World:
        names = self._oauth.guard.names(http, trace)
        key = self._oauth.keys.known(trace)
        return World(self._wall(), names.resource, names.resource_metadata, names.issuer, key, chance)


def _is_disarmed(trace: Trace, number: int) -> bool:
    found = (each for each in FAULTS.read(trace).orders if each.number == number)
    return any(each.disarmed for each in found)
