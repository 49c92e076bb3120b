"""Keeps records in Redis, or in what speaks its protocol, such as Valkey.

Every operation is carried out by one Lua script, which checks that a record is there and whose it is, and
expires all that belongs to it together. Operations that come while others are on their way go together, as
one call. What is published is only a nudge: whatever must not be lost is in a stream, and is looked for there
as well.

Redis should have ``maxmemory-policy noeviction``: one that evicts takes away sessions and counts that are in
use. All keys of one shard are in one slot of a cluster; the connection leads to one server, however, and does
not follow a cluster from node to node. With several shards the limit is divided over them, so that a full one
refuses although another has room, and so is the limit for each address; the limit for each owner holds for
each of them. Which record gives way to a new one is decided within its shard.

A user of its own needs the keys ``<prefix>{*``, the channels ``<prefix>:*``, and the commands
``+@connection +@scripting +@read +@write +@pubsub +time``; with ``+info`` it is warned when Redis evicts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred, fail, gatherResults
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.state.engine import (
    Count,
    Counted,
    Counts,
    Ended,
    EngineHealth,
    Held,
    Listener,
    Operation,
    Outcome,
    Totals,
)
from mcp_echo.stores.breaker import PAUSE
from mcp_echo.stores.redis_address import parse_address
from mcp_echo.stores.redis_answers import Answer, Refused, Swept, is_full, read_answer
from mcp_echo.stores.redis_batches import Batches, run_script, unavailable
from mcp_echo.stores.redis_codec import Call, Codec
from mcp_echo.stores.redis_condition import Condition
from mcp_echo.stores.redis_dial import Dialer, eviction_policy
from mcp_echo.stores.redis_link import Link, Wire
from mcp_echo.stores.redis_nudges import Nudges

_NOTHING = Totals()


class RedisEngine:
    """An `Engine` whose records are in Redis.

    Args:
        reactor: Connects, and keeps the time.
        address: The whole setting; see `redis_address`.
        limit: How many records there may be.
        limit_per_principal: How many of them one owner may have; None for any number.
        node: The name of this node.
        steady: A clock that only goes forward, in seconds.
        wall: The machine's clock in seconds, which counts until Redis has told its own.
        limit_per_address: How many of them one address may have, where there is no owner; None likewise.

    Raises:
        EngineRefused: The address cannot be used.
    """

    shared = True
    faults: tuple[type[Exception], ...] = ()

    def __init__(
        self,
        reactor: Any,
        address: str,
        *,
        limit: int,
        limit_per_principal: int | None,
        node: str,
        steady: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        limit_per_address: int | None = None,
    ) -> None:
        self.node = node
        self.totals = _NOTHING
        """The sums as of the last batch of each shard; see `Engine.totals`."""
        self._reactor = reactor
        self._address = parse_address(address)
        shards = self._address.shards
        self._codec = Codec(self._address.prefix, shards, node, limit, limit_per_principal, limit_per_address)
        self._condition = Condition(steady, self._address)
        self._batches = Batches(
            reactor, self._codec, shards, self._address.timeout, self._answered, self._failed, steady
        )
        self._shard_totals = [_NOTHING] * shards
        self._shard_counts = [Counts()] * shards
        self._steady = steady
        self._ahead = wall() - steady()
        """Seconds by which Redis's clock is ahead of the steady one."""
        self._dialer: Dialer | None = None
        self._link: Link | None = None
        self._nudges: Nudges | None = None
        self._untold: list[Ended] = []
        """What was taken away by sweeps that could not go on to their end."""
        self._stopping = False
        self._full: str | None = None
        """What Redis said at the greeting if it has no memory left."""
        self._suspects: set[int] = set()
        """Shards that a trial was refused in, and that have to be tried before a connection is used."""
        self._trials: dict[int, Deferred[Any]] = {}
        """Shard → trials that go on in it."""

    def open(self) -> None:
        """See that everything is there that is needed to connect; a Redis that is down may come up later.

        Raises:
            EngineRefused: Something is missing.
        """
        self._dialer = Dialer(self._reactor, self._address)

    def start(self, listener: Listener) -> None:
        """Connect, and go on connecting; see `Engine.start`."""
        dialer = self._dialer or Dialer(self._reactor, self._address)
        self._dialer = dialer
        link = self._link = dialer.command_link(
            self._greet, self._up, self._down, lambda: self._condition.breaker.wait
        )
        nudges = self._nudges = Nudges(
            self._reactor,
            self._codec,
            self._call,
            dialer.subscriber_link,
            listener,
            self.node,
            self._condition,
        )
        link.start()
        nudges.start()

    def stop(self) -> Deferred[None]:
        """Finish what waits, as far as Redis answers, and let go."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._stopping = True
        for trials in list(self._trials.values()):
            trials.cancel()
        with suppress(defer.TimeoutError):
            await self._batches.finish().addTimeout(self._address.timeout, self._reactor)
        ends = [part.stop() for part in (self._link, self._nudges) if part is not None]
        self._batches.disconnected("the server stops")
        self._batches.give_up()
        await gatherResults(ends)

    def now(self) -> int:
        """Return the milliseconds of Redis's clock, as of its last answer and what has passed since."""
        return int((self._steady() + self._ahead) * 1000)

    def submit(self, operation: Operation) -> Deferred[Outcome]:
        """Carry out an operation; see `Engine.submit`."""
        if self._stopping or self._condition.breaker.refuses:
            return fail(unavailable())
        if isinstance(operation, Count):
            return self._count(operation)
        return self._batches.submit(self._codec.operation(operation))

    def _count(self, count: Count) -> Deferred[Outcome]:
        calls = [
            self._batches.submit(self._codec.count(shard, count)) for shard in range(self._address.shards)
        ]
        counted = gatherResults(calls, consumeErrors=True)
        return counted.addCallbacks(lambda found: Counted(sum(each.records for each in found)), _first)

    def sweep(self) -> Deferred[list[Ended]]:
        """Take away the records that have expired; see `Engine.sweep`."""
        return Deferred.fromCoroutine(self._sweep())

    async def _sweep(self) -> list[Ended]:
        for shard in range(self._address.shards):
            more = True
            while more:
                swept: Swept = await self._call(self._codec.sweep(shard))
                self._untold += swept.ended
                more = swept.more
        untold, self._untold = self._untold, []
        return untold

    def broadcast(self, payload: bytes) -> Deferred[None]:
        """Tell every other node; see `Engine.broadcast`."""
        return self._call(self._codec.broadcast(payload)).addCallback(lambda _: None)

    def secret(self, proposal: bytes) -> Deferred[bytes]:
        """Return the secret that all nodes share; see `Engine.secret`."""
        return self._call(self._codec.secret(proposal))

    @property
    def counts(self) -> Counts:
        """What was made and has ended, as of the last batch of each shard; see `Engine.counts`."""
        return Counts(*map(sum, zip(*self._shard_counts, strict=True)))

    def health(self) -> EngineHealth:
        """Return how it is doing."""
        return self._condition.health()

    def _call(self, call: Call) -> Deferred[Any]:
        if self._stopping or self._condition.breaker.refuses:
            return fail(unavailable())
        return self._batches.submit(call)

    async def _greet(self, wire: Wire) -> None:
        self._condition.breaker.begin()
        self._full = None
        for shard in sorted({0, *self._suspects}):
            await self._greet_shard(wire, shard)
        self._suspects.clear()
        self._condition.policy_is(await eviction_policy(wire))

    async def _greet_shard(self, wire: Wire, shard: int) -> None:
        keys, argument = self._codec.batch(shard, [self._codec.trial(shard)])
        answer = read_answer(await run_script(wire, keys, argument), 1)
        outcome = answer.outcomes[0]
        if isinstance(outcome, Refused):
            if not is_full(outcome.reason):
                raise ValueError(outcome.reason)
            # It may be read, and room be made.
            self._full = outcome.reason
        self._take(shard, answer)

    def _up(self, wire: Wire) -> None:
        self._condition.up()
        self._batches.connected(wire)
        if self._full is not None:
            self._failed(0, self._full, unusable=False)

    def _down(self, reason: str) -> None:
        self._condition.down(reason)
        self._batches.disconnected(reason)
        if self._condition.breaker.refuses:
            self._batches.give_up()

    def _answered(self, shard: int, answer: Answer, seconds: float | None) -> None:
        self._condition.answered(seconds)
        self._take(shard, answer)

    def _take(self, shard: int, answer: Answer) -> None:
        self._ahead = answer.now / 1000 - self._steady()
        self._shard_counts[shard] = answer.counts
        before, self._shard_totals[shard] = self._shard_totals[shard], answer.totals
        self.totals = _exchanged(self.totals, before, answer.totals)

    def _failed(self, shard: int, reason: str, unusable: bool) -> None:
        self._condition.failed(reason)
        if unusable:
            self._drop(reason)
        elif self._condition.connected and shard not in self._trials and not self._stopping:
            self._trials[shard] = Deferred.fromCoroutine(self._try(shard, reason))
            self._trials[shard].addErrback(_over).addCallback(lambda _: self._tried(shard))

    def _tried(self, shard: int) -> None:
        del self._trials[shard]

    def _drop(self, reason: str) -> None:
        if self._link is not None:
            self._link.drop(reason)

    async def _try(self, shard: int, reason: str) -> None:
        """Find out whether more is refused than what was, and when that is over."""
        # Not from within what tells of it.
        await deferLater(self._reactor, 0)
        while isinstance(outcome := await self._call(self._codec.trial(shard)), Refused):
            if not is_full(outcome.reason):
                # Nothing is kept in this shard any more; whether it is again, the next greeting finds out.
                self._suspects.add(shard)
                self._drop(outcome.reason)
                return
            self._condition.full(outcome.reason)
            await deferLater(self._reactor, PAUSE)
        self._condition.keeps()
        if not is_full(reason):
            self._condition.spoilt(reason)


def _first(failure: Failure) -> Failure:
    """Return what the first of several calls failed with."""
    error = failure.value
    return error.subFailure if isinstance(error, defer.FirstError) else failure


def _over(failure: Failure) -> None:
    # What has kept a trial from being made is an outage, which ends with a greeting.
    failure.trap(defer.CancelledError, StoreUnavailable)


def _exchanged(totals: Totals, before: Totals, now: Totals) -> Totals:
    """Return sums in which those of one shard are others than before."""
    if totals == before:
        return now
    held = Held(
        *(all_of - old + new for all_of, old, new in zip(totals.held, before.held, now.held, strict=True))
    )
    return Totals(
        totals.records - before.records + now.records, totals.handles - before.handles + now.handles, held
    )
