"""Hearing at once what other nodes do: a connection that is subscribed, and the bus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.state.engine import Listener
from mcp_echo.stores.redis_answers import Heard
from mcp_echo.stores.redis_codec import Call, Codec
from mcp_echo.stores.redis_condition import Condition
from mcp_echo.stores.redis_link import Greet, Link, Wire

LOOK_INTERVAL = 5.0
"""Seconds between two looks at the bus: what is published may be lost, what is on the bus is not."""
PING_INTERVAL = 2.0
"""Seconds between two pings; one that was not answered by the next ends the connection."""


class Nudges:
    """Tells a listener what happens elsewhere.

    Args:
        clock: For delays.
        codec: Knows the channels.
        submit: Carries out an operation.
        link: Makes the link, told what to do with a connection that is new, ready, lost.
        listener: Who is told.
        node: The name of this node, which is not told what it has told.
        condition: Told when Redis does not let this node listen, and when it does.
    """

    _log = Logger("mcp_echo")

    def __init__(
        self,
        clock: IReactorTime,
        codec: Codec,
        submit: Callable[[Call], Deferred[Any]],
        link: Callable[[Greet, Callable[[Wire], None], Callable[[str], None]], Link],
        listener: Listener,
        node: str,
        condition: Condition,
    ) -> None:
        self._clock = clock
        self._codec = codec
        self._submit = submit
        self._listener = listener
        self._node = node.encode("utf-8", "surrogatepass")
        self._condition = condition
        self._link = link(self._subscribe, self._up, self._down)
        self._behind = False
        """Whether the listener is to be told that it may have missed something."""
        self._looking = False
        self._look_again = False
        self._place: bytes | None = None
        self._look_call: IDelayedCall | None = None
        self._ping_call: IDelayedCall | None = None
        self._answered = True
        self._stopped = False

    def start(self) -> None:
        """Begin to listen."""
        self._link.start()
        self._look_call = self._clock.callLater(LOOK_INTERVAL, self._look_now_and_then)

    def stop(self) -> Deferred[None]:
        """Listen no more."""
        self._stopped = True
        for call in (self._look_call, self._ping_call):
            if call is not None and call.active():
                call.cancel()
        return self._link.stop()

    def drop(self, reason: str) -> None:
        """Listen on another connection: this one may be one to a server that nobody tells anything."""
        self._link.drop(reason)

    def look(self) -> None:
        """Read the bus, and tell what is new on it."""
        self._look_again = True
        if not self._looking and not self._stopped:
            self._looking = True
            Deferred.fromCoroutine(self._look())

    async def _look(self) -> None:
        try:
            while self._look_again:
                self._look_again = False
                behind = self._behind
                heard: Heard = await self._submit(self._codec.listen(self._place))
                self._tell(heard)
                self._look_again |= heard.more
                if behind and not heard.more and not self._stopped:
                    self._behind = False
                    self._listener.caught_up()
        except StoreUnavailable:
            # The next look finds it.
            pass
        finally:
            self._looking = False

    def _tell(self, heard: Heard) -> None:
        for place, node, payload in heard.entries:
            self._place = place
            if node != self._node and not self._stopped:
                self._listener.told(payload)

    def _look_now_and_then(self) -> None:
        self._look_call = self._clock.callLater(LOOK_INTERVAL, self._look_now_and_then)
        self.look()

    async def _subscribe(self, wire: Wire) -> None:
        wire.on_message = self._hear
        # One by one: the protocol takes one answer for one command.
        await wire.call("SUBSCRIBE", self._codec.channel)
        await wire.call("SUBSCRIBE", self._codec.bus_channel)

    def _up(self, wire: Wire) -> None:
        self._condition.hears()
        self._behind = True
        self._answered = True
        self._ping_call = self._clock.callLater(PING_INTERVAL, self._ping, wire)
        self.look()

    def _down(self, reason: str) -> None:
        if self._ping_call is not None and self._ping_call.active():
            self._ping_call.cancel()
        self._condition.deaf(reason)

    def _ping(self, wire: Wire) -> None:
        if not self._answered:
            self._link.drop(f"no answer within {PING_INTERVAL:g} s")
            return
        self._answered = False
        wire.call("PING").addCallbacks(self._pong, lambda _: None)
        self._ping_call = self._clock.callLater(PING_INTERVAL, self._ping, wire)

    def _pong(self, _: object) -> None:
        self._answered = True

    def _hear(self, channel: bytes, message: bytes) -> None:
        if channel == self._codec.bus_channel:
            if message != self._node:
                self.look()
        # A trial says nothing.
        elif message:
            try:
                self._listener.nudged(message.decode("utf-8", "surrogatepass"))
            except Exception:
                # The connection is not to blame, and must not pay.
                self._log.failure("A nudge was not taken")
