"""Operations on their way to Redis: those that come while others are on the way go together, as one batch."""

from __future__ import annotations

import hashlib
import random
import re
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.stores.redis.answers import Answer, Later, Refused, concerns_all, is_full, read_answer
from mcp_echo.stores.redis.codec import Call, Codec
from mcp_echo.stores.redis.wire import RedisWire

BATCH_CALLS = 256
BATCH_BYTES = 4 << 20
"""What one batch holds: Redis does nothing else while it works on one."""
WAITING_CALLS = 10_000
WAITING_BYTES = 64 << 20
"""What may wait: more than Redis does within a time-out would be in vain."""
MOVING_RETRY = 0.05
"""Seconds until a shard whose slot moves from one server to another is tried again."""

_SOURCE = Path(__file__).with_name("script.lua").read_bytes()
# No secret: it is how Redis names scripts.
_NAME = hashlib.sha1(_SOURCE, usedforsecurity=False).hexdigest()

# https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#redirection-and-resharding
_SLOT_MOVED = re.compile(r"MOVED \d+ (\S+)")
_SLOT_MOVES = re.compile(r"ASK |TRYAGAIN")


def unavailable() -> StoreUnavailable:
    """Return the refusal, with a time to come back that is not everybody's."""
    return StoreUnavailable(random.randint(1, 3))  # noqa: S311


async def run_script(wire: RedisWire, keys: list[bytes], argument: bytes) -> Any:
    """Run the script on a connection; return its reply."""
    try:
        return await wire.call("EVALSHA", _NAME, len(keys), *keys, argument)
    except Exception as error:
        # After a restart or a failover Redis knows no scripts. https://redis.io/docs/latest/commands/evalsha/
        if not str(error).startswith("NOSCRIPT"):
            raise
    return await wire.call("EVAL", _SOURCE, len(keys), *keys, argument)


class _Waiting(NamedTuple):
    call: Call
    answer: Deferred[Any]


class _Batch(NamedTuple):
    shard: int
    wire: RedisWire
    calls: list[_Waiting]
    since: float
    deadline: IDelayedCall


class _Lane:
    """What is to be carried out in one shard."""

    def __init__(self) -> None:
        self.waiting: deque[_Waiting] = deque()
        self.batch: _Batch | None = None
        """What is on the way."""
        self.patience: IDelayedCall | None = None
        """When what waits is refused."""
        self.retry: IDelayedCall | None = None
        """When it is tried again while its slot moves."""
        self.is_moving = False
        """Whether the last batch was sent back to be sent elsewhere, or later."""

    def lose_patience(self) -> None:
        """Have what waits not be refused."""
        for call in (self.patience, self.retry):
            if call is not None and call.active():
                call.cancel()
        self.patience = self.retry = None


class Batches:
    """Sends operations, one batch a shard at a time.

    Args:
        clock: For deadlines.
        codec: Writes the batches.
        shards: How many shards there are.
        timeout: Seconds that Redis has to answer.
        wire_of: Returns the connection to the server of a shard; None while there is none.
        answered: Told of each answer: of which shard, what, how many seconds it took; None if it
            was for nobody.
        failed: Told of each failure: of which shard, over which connection, its reason, whether that
            connection is to be given up.
        moved: Told that a shard is on another server, of which address; None where servers are not followed.
        steady: A clock that only goes forward, in seconds.
    """

    _log = Logger("mcp_echo")

    def __init__(
        self,
        clock: IReactorTime,
        codec: Codec,
        shards: int,
        timeout: float,
        *,
        wire_of: Callable[[int], RedisWire | None],
        answered: Callable[[int, Answer, float | None], None],
        failed: Callable[[int, RedisWire, str, bool], None],
        moved: Callable[[int, str], None] | None,
        steady: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._codec = codec
        self._timeout = timeout
        self._wire_of = wire_of
        self._answered = answered
        self._failed = failed
        self._moved = moved
        self._steady = steady
        self._lanes = [_Lane() for _ in range(shards)]
        self._waiting = 0
        self._bytes = 0
        self._idle: Deferred[None] | None = None

    def submit(self, call: Call) -> Deferred[Any]:
        """Have an operation carried out; return its outcome."""
        if self._waiting >= WAITING_CALLS or self._bytes + call.size > WAITING_BYTES:
            return fail(unavailable())
        answer: Deferred[Any] = Deferred()
        waiting = self._lanes[call.shard].waiting
        # First, where Redis refuses what it has no memory for: no more once a batch has written something.
        (waiting.appendleft if call.may_be_refused else waiting.append)(_Waiting(call, answer))
        self._waiting += 1
        self._bytes += call.size
        self._send(call.shard)
        return answer

    def connected(self, shards: Iterable[int]) -> None:
        """Send what waits for these shards, whose server can be reached now."""
        for shard in list(shards):
            self._send(shard)

    def disconnected(self, shards: Iterable[int], reason: str) -> None:
        """Fail what is on the way; what waits may wait a while for another connection."""
        for shard in list(shards):
            lane = self._lanes[shard]
            if lane.batch is not None:
                self._fail(lane.batch, reason, unusable=False)
            if lane.waiting:
                self._be_patient(shard)

    def give_up(self, shards: Iterable[int]) -> None:
        """Fail all that waits."""
        refused: list[_Waiting] = []
        for shard in list(shards):
            lane = self._lanes[shard]
            lane.lose_patience()
            refused += lane.waiting
            lane.waiting.clear()
        self._waiting -= len(refused)
        self._bytes -= sum(each.call.size for each in refused)
        for each in refused:
            each.answer.errback(unavailable())
        self._check_idle()

    def finish(self) -> Deferred[None]:
        """Return what fires once nothing waits or is on the way."""
        self._idle = Deferred()
        idle = self._idle
        self._check_idle()
        return idle

    def _be_patient(self, shard: int) -> None:
        lane = self._lanes[shard]
        if lane.patience is None:
            lane.patience = self._clock.callLater(self._timeout, self.give_up, (shard,))

    def _take(self, lane: _Lane) -> list[_Waiting]:
        taken: list[_Waiting] = []
        size = 0
        waiting = lane.waiting
        while (
            waiting and len(taken) < BATCH_CALLS and (not taken or size + waiting[0].call.size <= BATCH_BYTES)
        ):
            taken.append(waiting.popleft())
            size += taken[-1].call.size
        self._waiting -= len(taken)
        self._bytes -= size
        return taken

    def _send(self, shard: int) -> None:
        """Send what waits, unless a batch is on the way or there is no connection."""
        lane = self._lanes[shard]
        if lane.batch is not None or not lane.waiting:
            return
        wire = self._wire_of(shard)
        if wire is None:
            self._be_patient(shard)
            return
        if not lane.is_moving:
            lane.lose_patience()
        calls = self._take(lane)
        keys, argument = self._codec.batch(shard, [each.call for each in calls])
        deadline = self._clock.callLater(self._timeout, self._time_out, shard)
        batch = lane.batch = _Batch(shard, wire, calls, self._steady(), deadline)
        reply = Deferred.fromCoroutine(run_script(wire, keys, argument))
        reply.addCallback(self._read, batch).addErrback(self._read_failure, batch)

    def _time_out(self, shard: int) -> None:
        batch = self._lanes[shard].batch
        if batch is not None:
            # What is still answered must not be taken for the answer to something else.
            self._fail(batch, f"no answer within {self._timeout:g} s", unusable=True)

    def _read(self, reply: bytes, batch: _Batch) -> None:
        lane = self._lanes[batch.shard]
        if lane.batch is not batch:
            # Given up, and so is its connection.
            return
        answer = read_answer(reply, len(batch.calls))
        self._end(batch)
        if lane.is_moving:
            lane.is_moving = False
            lane.lose_patience()
        looks = all(each.call.is_look for each in batch.calls)
        self._answered(batch.shard, answer, None if looks else self._steady() - batch.since)
        told = list(zip(batch.calls, answer.outcomes, strict=True))
        self._put_back(lane, [each for each, outcome in told if isinstance(outcome, Later)])
        # Redis works on the next ones while these are told.
        self._send(batch.shard)
        for waiting, outcome in told:
            if isinstance(outcome, Refused) and not waiting.call.may_be_refused:
                self._failed(batch.shard, batch.wire, outcome.reason, concerns_all(outcome.reason))
                waiting.answer.errback(unavailable())
            elif not isinstance(outcome, Later):
                waiting.answer.callback(outcome)
        self._check_idle()

    def _read_failure(self, failure: Failure, batch: _Batch) -> None:
        if self._lanes[batch.shard].batch is not batch:
            # Given up, and so is its connection, which is how this comes to be known.
            if not batch.wire.is_lost:
                self._log.failure("What Redis answered was not taken", failure)
            return
        reason = failure.getErrorMessage().strip()
        if self._moved is not None and (_SLOT_MOVED.match(reason) or _SLOT_MOVES.match(reason)):
            self._follow(batch, reason)
            return
        self._fail(batch, reason, unusable=not is_full(reason))
        self._send(batch.shard)

    def _follow(self, batch: _Batch, reason: str) -> None:
        """Send a batch again that was not carried out: to another server, or once its slot is there."""
        lane = self._lanes[batch.shard]
        self._end(batch)
        self._put_back(lane, batch.calls)
        lane.is_moving = True
        self._be_patient(batch.shard)
        lane.retry = self._clock.callLater(MOVING_RETRY, self._send, batch.shard)
        found = _SLOT_MOVED.match(reason)
        if found is not None and self._moved is not None:
            self._moved(batch.shard, found[1])

    def _put_back(self, lane: _Lane, calls: list[_Waiting]) -> None:
        lane.waiting.extendleft(reversed(calls))
        self._waiting += len(calls)
        self._bytes += sum(each.call.size for each in calls)

    def _fail(self, batch: _Batch, reason: str, *, unusable: bool) -> None:
        self._end(batch)
        # First: whoever hears of it may try again at once, and not over this connection.
        self._failed(batch.shard, batch.wire, reason, unusable)
        for waiting in batch.calls:
            waiting.answer.errback(unavailable())
        self._check_idle()

    def _end(self, batch: _Batch) -> None:
        self._lanes[batch.shard].batch = None
        if batch.deadline.active():
            batch.deadline.cancel()

    def _check_idle(self) -> None:
        if self._idle is None or self._idle.called or self._waiting:
            return
        if all(lane.batch is None for lane in self._lanes):
            self._idle.callback(None)
