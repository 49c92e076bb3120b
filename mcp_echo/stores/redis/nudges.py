"""Hearing at once what other nodes do: what Redis pushes to a connection, and the bus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mcp_echo.cluster.engine import EngineListener
from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.stores.health import Trouble
from mcp_echo.stores.redis.answers import Heard
from mcp_echo.stores.redis.codec import Codec, ScriptCall
from mcp_echo.stores.redis.wire import RedisWire

LOOK_INTERVAL = 5.0
"""Seconds between two looks at the bus: what is published may be lost, what is on the bus is not."""
SUBSCRIBE_INTERVAL = 1.0
"""Seconds between two attempts to subscribe on a connection where that is refused."""


class Nudges:
    """Tells a listener what other nodes have changed and broadcast.

    Args:
        clock: For delays.
        codec: Knows the channels.
        submit: Carries out an operation.
        listener: Who is told.
        node: The name of this node, which is not told what it has told.
    """

    _log = Logger("mcp_echo")

    def __init__(
        self,
        clock: IReactorTime,
        codec: Codec,
        submit: Callable[[ScriptCall], Deferred[Any]],
        listener: EngineListener,
        node: str,
    ) -> None:
        self._clock = clock
        self._codec = codec
        self._submit = submit
        self._listener = listener
        self._node = node.encode("utf-8", "surrogatepass")
        self._behind = False
        """Whether the listener is to be told that it may have missed something."""
        self._looking = False
        self._look_again = False
        self._place: bytes | None = None
        self._look_call: IDelayedCall | None = None
        self._wire: RedisWire | None = None
        """The connection that is listened to."""
        self._again: IDelayedCall | None = None
        self._stopped = False

    def start(self) -> None:
        """Look at the bus now and then."""
        self._look_call = self._clock.callLater(LOOK_INTERVAL, self._look_now_and_then)

    def stop(self) -> None:
        """Listen no more."""
        self._stopped = True
        for call in (self._look_call, self._again):
            if call is not None and call.active():
                call.cancel()

    def connected(self, wire: RedisWire, deafness: Trouble) -> None:
        """Hear what is published from now on, over a connection that is ready for use.

        Args:
            wire: The connection.
            deafness: Told when Redis does not let this node listen, and when it does.
        """
        if self._wire is not None:
            self._wire.on_message = None
        self._wire = wire
        wire.on_message = self._hear
        Deferred.fromCoroutine(self._subscribe(wire, deafness))

    async def _subscribe(self, wire: RedisWire, deafness: Trouble) -> None:
        try:
            for channel in (self._codec.channel, self._codec.bus_channel):
                await wire.call("SUBSCRIBE", channel)
        except Exception as error:
            # A user of its own may have no right to it; that nobody listens must not end the commands.
            if not wire.is_lost and not self._stopped:
                deafness.seen(str(error))
                self._again = self._clock.callLater(SUBSCRIBE_INTERVAL, self._subscribe_again, wire, deafness)
            return
        deafness.over()
        self._behind = True
        self.look()

    def _subscribe_again(self, wire: RedisWire, deafness: Trouble) -> None:
        if wire is self._wire and not wire.is_lost:
            Deferred.fromCoroutine(self._subscribe(wire, deafness))

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
                self._listener.receive(payload)

    def _look_now_and_then(self) -> None:
        self._look_call = self._clock.callLater(LOOK_INTERVAL, self._look_now_and_then)
        self.look()

    def _hear(self, channel: bytes, message: bytes) -> None:
        if channel == self._codec.bus_channel:
            if message != self._node:
                self.look()
        # A trial says nothing.
        elif message:
            try:
                self._listener.invalidated(message.decode("utf-8", "surrogatepass"))
            except Exception:
                # The connection is not to blame, and must not pay.
                self._log.failure("Handling the notice of a change failed")
