"""One Redis server: the connection to it, how it is doing, and the shards that it has."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from twisted.internet import defer
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.stores.breaker import PAUSE
from mcp_echo.stores.redis.address import RedisAddress
from mcp_echo.stores.redis.answers import Answer, Refused, is_full, read_answer
from mcp_echo.stores.redis.batches import run_script
from mcp_echo.stores.redis.codec import Call, Codec
from mcp_echo.stores.redis.condition import Condition
from mcp_echo.stores.redis.dial import Dialer, eviction_policy
from mcp_echo.stores.redis.link import Link
from mcp_echo.stores.redis.wire import RedisWire

Learn = Callable[["Server", RedisWire], Coroutine[Any, Any, None]]
"""Asks a connection what the cluster looks like."""


class Owner(Protocol):
    """Who uses the server."""

    def take(self, shard: int, answer: Answer) -> None:
        """The script has answered at the greeting."""

    def up(self, server: Server) -> None:
        """It can be reached."""

    def down(self, server: Server, reason: str) -> None:
        """It cannot be reached."""

    def call(self, call: Call) -> Deferred[Any]:
        """Carry out an operation."""


class Server:
    """A Redis server.

    Args:
        reactor: Connects, and keeps the time.
        address: Where it is, and how it is to be used.
        codec: Writes the trials.
        steady: A clock that only goes forward, in seconds.
        owner: Who uses it.
        learn: Asks a new connection what the cluster looks like; None where there is none.
    """

    def __init__(
        self,
        reactor: Any,
        address: RedisAddress,
        codec: Codec,
        steady: Callable[[], float],
        *,
        owner: Owner,
        learn: Learn | None,
    ) -> None:
        self.address = address
        self.shards: set[int] = set()
        self.condition = Condition(steady, address)
        self._reactor = reactor
        self._codec = codec
        self._owner = owner
        self._learn = learn
        self._full: str | None = None
        """What it said at the greeting if it has no memory left."""
        self._suspects: set[int] = set()
        """Shards that a trial was refused in, and that have to be tried before a connection is used."""
        self._trials: dict[int, Deferred[Any]] = {}
        """Shard → trials that go on in it."""
        self._stopping = False
        self._link: Link | None = None

    @property
    def wire(self) -> RedisWire | None:
        """The connection that is ready for use."""
        return None if self._link is None else self._link.wire

    def open(self) -> Link:
        """See that everything is there that is needed to connect, and return the link.

        Raises:
            EngineRefused: Something is missing.
        """
        self._link = Dialer(self._reactor, self.address).link(
            self._greet, self._up, self._down, lambda: self.condition.breaker.wait
        )
        return self._link

    def start(self) -> None:
        """Connect, and go on connecting."""
        link = self._link or self.open()
        link.start()

    def end_trials(self) -> None:
        """Find out no more what it refuses."""
        self._stopping = True
        for trial in list(self._trials.values()):
            trial.cancel()

    def stop(self) -> Deferred[None]:
        """Let go; return what fires once nothing is left."""
        self.end_trials()
        return succeed(None) if self._link is None else self._link.stop()

    async def _greet(self, wire: RedisWire) -> None:
        self.condition.breaker.begin()
        self._full = None
        if self._learn is not None:
            await self._learn(self, wire)
        shards = {min(self.shards, default=0), *self._suspects} & self.shards
        for shard in sorted(shards):
            await self._greet_shard(wire, shard)
        self._suspects.clear()
        self.condition.policy_is(await eviction_policy(wire))

    async def _greet_shard(self, wire: RedisWire, shard: int) -> None:
        keys, argument = self._codec.batch(shard, [self._codec.trial(shard)])
        answer = read_answer(await run_script(wire, keys, argument), 1)
        outcome = answer.outcomes[0]
        if isinstance(outcome, Refused):
            if not is_full(outcome.reason):
                raise ValueError(outcome.reason)
            # It may be read, and room be made.
            self._full = outcome.reason
        self._owner.take(shard, answer)

    def _up(self, _: RedisWire) -> None:
        self.condition.up()
        self._owner.up(self)
        if self._full is not None:
            self.failed(min(self.shards, default=0), self._full, unusable=False)

    def _down(self, reason: str) -> None:
        self.condition.down(reason)
        self._owner.down(self, reason)

    def failed(self, shard: int, reason: str, *, unusable: bool) -> None:
        """A batch, or a part of one, was not carried out.

        Args:
            shard: Where.
            reason: Why.
            unusable: Whether nothing more is to be had over this connection.
        """
        self.condition.failed(reason)
        if unusable:
            self._drop(reason)
        elif self.condition.connected and shard not in self._trials and not self._stopping:
            self._trials[shard] = Deferred.fromCoroutine(self._try(shard, reason))
            self._trials[shard].addErrback(_over).addCallback(lambda _: self._tried(shard))

    def _drop(self, reason: str) -> None:
        if self._link is not None:
            self._link.drop(reason)

    def _tried(self, shard: int) -> None:
        del self._trials[shard]

    async def _try(self, shard: int, reason: str) -> None:
        """Find out whether more is refused than what was, and when that is over."""
        # Not from within what tells of it.
        await deferLater(self._reactor, 0)
        while isinstance(outcome := await self._owner.call(self._codec.trial(shard)), Refused):
            if not is_full(outcome.reason):
                # Nothing is kept in this shard any more; whether it is again, the next greeting finds out.
                self._suspects.add(shard)
                self._drop(outcome.reason)
                return
            self.condition.full(outcome.reason)
            await deferLater(self._reactor, PAUSE)
        self.condition.keeps()
        if not is_full(reason):
            self.condition.spoilt(reason)


def _over(failure: Failure) -> None:
    # What has kept a trial from being made is an outage, which ends with a greeting.
    failure.trap(defer.CancelledError, StoreUnavailable)
