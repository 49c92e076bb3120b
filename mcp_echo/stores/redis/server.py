"""One Redis server: the connection to it, how it is doing, and the shards that it has."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, Protocol

from twisted.internet import defer
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.stores.breaker import PAUSE, THRESHOLD
from mcp_echo.stores.health import SESSIONS, EngineHealth, Notice, Purpose, Trouble
from mcp_echo.stores.redis.address import RedisAddress
from mcp_echo.stores.redis.answers import NotCarriedOut, ScriptAnswer, is_full, read_answer
from mcp_echo.stores.redis.codec import Codec, ScriptCall
from mcp_echo.stores.redis.dial import Dialer, eviction_policy
from mcp_echo.stores.redis.link import Link, LinkHooks
from mcp_echo.stores.redis.script import run_script
from mcp_echo.stores.redis.wire import RedisWire

FULL_FOR = 10.0
"""Seconds without a refusal for want of memory after which it counts as over."""
SPOILT_QUIET = 60.0
"""Seconds between two lines of the log about sessions that were spoilt."""

_DEAFNESS = Notice(
    "Redis at {where} does not let this node subscribe, so it hears late of other nodes: {reason}",
    "Redis at {where} lets this node subscribe again",
    threshold=THRESHOLD,
)
_SPOILT = Notice(
    "Redis at {where} refuses changes of one record, and keeps the others: {reason}; find out what "
    "else writes to its keys",
    quiet=SPOILT_QUIET,
)


def _outage(purpose: Purpose) -> Notice:
    return Notice(
        f"Redis at {{where}} cannot be used as {purpose.name}; until it can, {purpose.refused}: {{reason}}",
        f"Redis at {{where}} is there again as {purpose.name}, after {{seconds:.1f}} s",
        threshold=THRESHOLD,
    )


def _shortage(purpose: Purpose) -> Notice:
    return Notice(
        "Redis at {where} has no memory left, so nothing more is kept until it has: raise maxmemory, "
        f"or {purpose.saves}: {{reason}}",
        "Redis at {where} has memory again",
        calm=FULL_FOR,
    )


Learn = Callable[["ShardServer", RedisWire], Coroutine[Any, Any, None]]
"""Asks a connection what the cluster looks like."""


class Means(NamedTuple):
    """What all parts of the engine work with."""

    reactor: Any
    """Connects, and keeps the time."""
    steady: Callable[[], float]
    """A clock that only goes forward, in seconds."""
    codec: Codec
    """Writes the operations."""
    purpose: Purpose = SESSIONS


class Owner(Protocol):
    """Who uses the server."""

    def take(self, shard: int, answer: ScriptAnswer) -> None:
        """The script has answered at the greeting."""

    def up(self, server: ShardServer) -> None:
        """It can be reached."""

    def down(self, server: ShardServer, reason: str) -> None:
        """It cannot be reached."""

    def joined(self, shard: int) -> None:
        """A shard is on another server from now on, which can be reached."""

    def call(self, call: ScriptCall) -> Deferred[Any]:
        """Carry out an operation."""


class ShardServer:
    """A Redis server.

    Args:
        means: What it works with.
        address: Where it is, and how it is to be used.
        owner: Who uses it.
        learn: Asks a new connection what the cluster looks like; None where there is none.
    """

    _log = Logger("mcp_echo")

    def __init__(self, means: Means, address: RedisAddress, owner: Owner, learn: Learn | None) -> None:
        self.address = address
        self.shards: set[int] = set()
        about = address.where, means.steady, address.shown
        self.health = EngineHealth(
            "redis", Trouble(_outage(means.purpose), *about), means.steady, "not connected yet"
        )
        self.deafness = Trouble(_DEAFNESS, *about)
        self._shortage = Trouble(_shortage(means.purpose), *about)
        self._spoilt = Trouble(_SPOILT, *about)
        self._policy: str | None = None
        self._is_of_sessions = means.purpose is SESSIONS
        self._reactor = means.reactor
        self._codec = means.codec
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
        self.wire: RedisWire | None = None
        """The connection that is ready for use."""

    def open(self) -> Link:
        """See that everything is there that is needed to connect, and return the link.

        Raises:
            EngineRefused: Something is missing.
        """
        dialer = Dialer(self._reactor, self.address)

        async def greet(wire: RedisWire) -> None:
            await dialer.begin(wire)
            await self._greet(wire)

        hooks = LinkHooks(greet, self._up, self._down, lambda: self.health.breaker.wait)
        self._link = Link(self._reactor, dialer.connect, self.address.timeout, hooks)
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
        self.wire = None
        return succeed(None) if self._link is None else self._link.stop()

    async def _greet(self, wire: RedisWire) -> None:
        self.health.breaker.begin()
        self._full = None
        if self._learn is not None:
            await self._learn(self, wire)
        shards = {min(self.shards, default=0), *self._suspects} & self.shards
        for shard in sorted(shards):
            await self._greet_shard(wire, shard)
        self._suspects.clear()
        self._warn_of(await eviction_policy(wire))

    async def _greet_shard(self, wire: RedisWire, shard: int) -> None:
        keys, argument = self._codec.batch(shard, [self._codec.trial(shard)])
        answer = read_answer(await run_script(wire, keys, argument), 1)
        outcome = answer.outcomes[0]
        if isinstance(outcome, NotCarriedOut):
            if not is_full(outcome.reason):
                raise ValueError(outcome.reason)
            # It may be read, and room be made.
            self._full = outcome.reason
        self._owner.take(shard, answer)

    def _warn_of(self, policy: str | None) -> None:
        """Warn of what Redis takes away when its memory is full; None where it has not told."""
        # Of one server the engine of the sessions tells.
        if self._is_of_sessions and policy not in (None, "noeviction", self._policy):
            self._log.warn(
                "Redis at {where} may evict sessions that are in use when its memory is full "
                "(maxmemory-policy {policy}): set maxmemory-policy noeviction",
                where=self.address.where,
                policy=policy,
            )
        self._policy = policy

    def _up(self, wire: RedisWire) -> None:
        self.wire = wire
        self.health.keeps()
        self._owner.up(self)
        if self._full is not None:
            self.failed(min(self.shards, default=0), self._full, unusable=False)

    def _down(self, reason: str) -> None:
        if self.wire is None:
            # What was on the way is counted by itself; an attempt is a batch that failed, its trial.
            self.health.failed(reason)
        self.wire = None
        self.health.lost(reason)
        self._owner.down(self, reason)

    def answered(self, seconds: float | None) -> None:
        """A batch was answered; the time it took is None if it was for nobody."""
        self.health.answered(seconds)
        if self._shortage.times:
            self._shortage.over()

    def failed(self, shard: int, reason: str, *, unusable: bool) -> None:
        """A batch, or a part of one, was not carried out.

        Args:
            shard: Where.
            reason: Why.
            unusable: Whether nothing more is to be had over this connection.
        """
        self.health.failed(reason)
        if is_full(reason):
            self._is_full(reason)
        if unusable:
            self._drop(reason)
        elif self.wire is not None and shard not in self._trials and not self._stopping:
            self._trials[shard] = Deferred.fromCoroutine(self._try(shard, reason))
            self._trials[shard].addErrback(_over).addCallback(lambda _: self._tried(shard))

    def _is_full(self, reason: str) -> None:
        self.health.reason = self.address.shown(reason)
        self._shortage.seen(reason)

    def _drop(self, reason: str) -> None:
        if self._link is not None:
            self._link.drop(reason)

    def _tried(self, shard: int) -> None:
        del self._trials[shard]

    async def _try(self, shard: int, reason: str) -> None:
        """Find out whether more is refused than what was, and when that is over."""
        # Not from within what tells of it.
        await deferLater(self._reactor, 0)
        while isinstance(outcome := await self._owner.call(self._codec.trial(shard)), NotCarriedOut):
            if not is_full(outcome.reason):
                # Nothing is kept in this shard any more; whether it is again, the next greeting finds out.
                self._suspects.add(shard)
                self._drop(outcome.reason)
                return
            self._is_full(outcome.reason)
            await deferLater(self._reactor, PAUSE)
        self.health.keeps()
        if not is_full(reason):
            # Everything is possible, but for one session that is not what was kept of it.
            self._spoilt.seen(reason)


def _over(failure: Failure) -> None:
    # What has kept a trial from being made is an outage, which ends with a greeting.
    failure.trap(defer.CancelledError, StoreUnavailable)
