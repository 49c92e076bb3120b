"""Keeps records in Redis, or in what speaks its protocol, such as Valkey.

Every operation is carried out by one Lua script, which checks that a record is there and whose it is, and
expires all that belongs to it together. Operations that come while others are on their way go together, as
one call. What is published is only a nudge: whatever must not be lost is in a stream, and is looked for there
as well.

Redis should have ``maxmemory-policy noeviction``: one that evicts takes away sessions and counts that are in
use. All keys of one shard are in one slot of a cluster, whose servers are found and followed with
``cluster=true``; see `mcp_echo.stores.redis.cluster`. With several shards the limit is divided over them, so
that a full one refuses although another has room, and so is the limit for each address; the limit for each
owner holds for each of them. Which record gives way to a new one is decided within its shard.

A user of its own needs the keys ``<prefix>{*``, the channels ``<prefix>:*``, and the commands
``+@connection +@scripting +@read +@write +@pubsub +time``, in a cluster ``+cluster|slots +cluster|myid`` as
well; with ``+info`` it is warned when Redis evicts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred, fail, gatherResults

from mcp_echo.cluster.engine import (
    Count,
    Counted,
    Ended,
    EngineListener,
    Operation,
    Outcome,
    RecordLimits,
    SessionBytes,
    Sweep,
    Swept,
    Totals,
)
from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.sessions.store import Counts, StoreHealth
from mcp_echo.stores.batching import Room, unavailable
from mcp_echo.stores.health import SESSIONS, Purpose
from mcp_echo.stores.redis.address import parse_address
from mcp_echo.stores.redis.answers import ScriptAnswer, SweptSlice
from mcp_echo.stores.redis.cluster import Servers
from mcp_echo.stores.redis.codec import Codec, ScriptCall
from mcp_echo.stores.redis.lane import Lane
from mcp_echo.stores.redis.nudges import Nudges
from mcp_echo.stores.redis.server import Means, ShardServer

_NOTHING = Totals()


class RedisEngine:
    """An `Engine` whose records are in Redis.

    Args:
        reactor: Connects, and keeps the time.
        address: The whole setting; see `mcp_echo.stores.redis.address`.
        limits: How many records there may be.
        node: The name of this node.
        steady: A clock that only goes forward, in seconds.
        wall: The machine's clock in seconds, which counts until Redis has told its own.
        purpose: What the log says is kept.

    Raises:
        EngineRefused: The address cannot be used.
    """

    faults: tuple[type[Exception], ...] = ()

    def __init__(
        self,
        reactor: Any,
        address: str,
        limits: RecordLimits,
        node: str,
        *,
        steady: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        purpose: Purpose = SESSIONS,
    ) -> None:
        self.node = node
        self.totals = _NOTHING
        """The sums as of the last batch of each shard; see `Engine.totals`."""
        self._reactor = reactor
        self._address = parse_address(address)
        if purpose.suffix:
            # All of it in one slot: it is little, and its limit is not to be divided.
            prefix = self._address.prefix + purpose.suffix
            self._address = self._address._replace(prefix=prefix, shards=1)
        shards = self._address.shards
        self._codec = Codec(self._address.prefix, shards, node, limits)
        self._steady = steady
        means, room = Means(reactor, steady, self._codec, purpose), Room()
        self._servers = Servers(means, self._address, self)
        self._lanes = [Lane(shard, means, self._servers, room, self.take) for shard in range(shards)]
        self._shard_totals = [_NOTHING] * shards
        self._shard_counts = [Counts()] * shards
        self._ahead = wall() - steady()
        """Seconds by which Redis's clock is ahead of the steady one."""
        self._nudges: Nudges | None = None
        self._stopping = False

    def open(self) -> None:
        """See that everything is there that is needed to connect; a Redis that is down may come up later.

        Raises:
            EngineRefused: Something is missing.
        """
        self._servers.open()

    def start(self, listener: EngineListener) -> None:
        """Connect, and go on connecting; see `Engine.start`."""
        self._nudges = Nudges(self._reactor, self._codec, self.call, listener, self.node)
        self._nudges.start()
        self._servers.start()

    def stop(self) -> Deferred[None]:
        """Finish what waits, as far as Redis answers, and let go."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._stopping = True
        self._servers.ask_no_more()
        with suppress(defer.TimeoutError):
            finishing = Deferred.fromCoroutine(self._finish())
            await finishing.addTimeout(self._address.timeout, self._reactor)
        if self._nudges is not None:
            self._nudges.stop()
        end = self._servers.stop()
        for lane in self._lanes:
            lane.disconnected("the server stops")
            lane.give_up()
        await end

    async def _finish(self) -> None:
        for lane in self._lanes:
            await lane.queue.finish()

    def now(self) -> int:
        """Return the milliseconds of Redis's clock, as of its last answer and what has passed since."""
        return int((self._steady() + self._ahead) * 1000)

    def submit(self, operation: Operation) -> Deferred[Outcome]:
        """Carry out an operation; see `Engine.submit`."""
        if type(operation) is Count:
            return Deferred.fromCoroutine(self._count(operation))
        if type(operation) is Sweep:
            return Deferred.fromCoroutine(self._sweep())
        return self.call(self._codec.operation(operation))

    async def _count(self, count: Count) -> Outcome:
        calls = [self.call(self._codec.count(shard, count)) for shard in range(self._address.shards)]
        try:
            found = await gatherResults(calls, consumeErrors=True)
        except defer.FirstError as error:
            error.subFailure.raiseException()
        return Counted(sum(each.records for each in found))

    async def _sweep(self) -> Outcome:
        ended: list[Ended] = []
        refusal = None
        for shard in range(self._address.shards):
            more = True
            while more:
                try:
                    swept: SweptSlice = await self.call(self._codec.sweep(shard))
                except StoreUnavailable as error:
                    # The servers of other shards may be there.
                    refusal = error
                    break
                ended += swept.ended
                more = swept.more
        if refusal is not None and not ended:
            raise refusal
        return Swept(ended)

    @property
    def counts(self) -> Counts:
        """What was made and has ended, as of the last batch of each shard; see `Engine.counts`."""
        return Counts(*map(sum, zip(*self._shard_counts, strict=True)))

    def health(self) -> StoreHealth:
        """Return how it is doing; of several servers, how the one is that is doing worst."""
        found = [server.health.report() for server in self._servers.in_use()]
        worst = next((each for each in found if not each.available), found[0])
        return worst._replace(
            where=self._address.where,
            failures=sum(each.failures for each in found),
            latency=max((each.latency for each in found if each.latency is not None), default=None),
        )

    def call(self, call: ScriptCall) -> Deferred[Any]:
        """Carry out an operation, unless its server is known to be of no use."""
        if self._stopping or self._servers.owners[call.shard].health.breaker.refuses:
            return fail(unavailable())
        # First, where Redis refuses what it has no memory for: no more once a batch has written something.
        return self._lanes[call.shard].queue.add(call, call.size, call.may_be_refused)

    def up(self, server: ShardServer) -> None:
        """A server can be reached; see `Owner`."""
        for shard in list(server.shards):
            self._lanes[shard].queue.go_on()
        if 0 in server.shards:
            self._listen_to(server)

    def down(self, server: ShardServer, reason: str) -> None:
        """A server cannot be reached; see `Owner`."""
        lanes = [self._lanes[shard] for shard in server.shards]
        for lane in lanes:
            lane.disconnected(reason)
        if server.health.breaker.refuses:
            for lane in lanes:
                lane.give_up()
        self._servers.learn_again()

    def joined(self, shard: int) -> None:
        """A shard is on another server from now on, which can be reached; see `Owner`."""
        self._lanes[shard].queue.go_on()
        if shard == 0:
            self._listen_to(self._servers.owners[0])

    def _listen_to(self, server: ShardServer) -> None:
        # Each server of a cluster is told of what is published on any.
        if self._nudges is not None and server.wire is not None:
            self._nudges.connected(server.wire, server.deafness)

    def take(self, shard: int, answer: ScriptAnswer) -> None:
        """Take what the script tells beside its outcomes; see `Owner`."""
        self._ahead = answer.now / 1000 - self._steady()
        self._shard_counts[shard] = answer.counts
        before, self._shard_totals[shard] = self._shard_totals[shard], answer.totals
        # With one shard its sums are all there are.
        if self.totals == before:
            self.totals = answer.totals
        else:
            self.totals = _exchanged(self.totals, before, answer.totals)


def _exchanged(totals: Totals, before: Totals, now: Totals) -> Totals:
    """Return sums in which those of one shard are others than before."""
    held = SessionBytes(
        *(all_of - old + new for all_of, old, new in zip(totals.held, before.held, now.held, strict=True))
    )
    return Totals(
        totals.records - before.records + now.records, totals.handles - before.handles + now.handles, held
    )
