"""Operations on their way to Redis: those that come while others are on the way go together, as one batch."""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.stores.redis_answers import Answer, Later, Refused, concerns_all, is_full, read_answer
from mcp_echo.stores.redis_codec import Call, Codec
from mcp_echo.stores.redis_link import Wire

BATCH_CALLS = 256
BATCH_BYTES = 4 << 20
"""What one batch holds: Redis does nothing else while it works on one."""
WAITING_CALLS = 10_000
WAITING_BYTES = 64 << 20
"""What may wait: more than Redis does within a time-out would be in vain."""

_SOURCE = Path(__file__).with_name("redis_script.lua").read_bytes()
# No secret: it is how Redis names scripts.
_NAME = hashlib.sha1(_SOURCE, usedforsecurity=False).hexdigest()


def unavailable() -> StoreUnavailable:
    """Return the refusal, with a time to come back that is not everybody's."""
    return StoreUnavailable(random.randint(1, 3))  # noqa: S311


async def run_script(wire: Wire, keys: list[bytes], argument: bytes) -> Any:
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
    wire: Wire
    calls: list[_Waiting]
    since: float
    deadline: IDelayedCall


class Batches:
    """Sends operations, one batch a shard at a time.

    Args:
        clock: For deadlines.
        codec: Writes the batches.
        shards: How many shards there are.
        timeout: Seconds that Redis has to answer.
        answered: Told of each answer: of which shard, what, how many seconds it took; None if it
            was for nobody.
        failed: Told of each failure: of which shard, its reason, whether the connection is to be given up.
        steady: A clock that only goes forward, in seconds.
    """

    _log = Logger("mcp_echo")

    def __init__(
        self,
        clock: IReactorTime,
        codec: Codec,
        shards: int,
        timeout: float,
        answered: Callable[[int, Answer, float | None], None],
        failed: Callable[[int, str, bool], None],
        steady: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._codec = codec
        self._timeout = timeout
        self._answered = answered
        self._failed = failed
        self._steady = steady
        self._lanes: list[deque[_Waiting]] = [deque() for _ in range(shards)]
        self._on_the_way: dict[int, _Batch] = {}
        self._waiting = 0
        self._bytes = 0
        self._patience: IDelayedCall | None = None
        self._wire: Wire | None = None
        self._idle: Deferred[None] | None = None

    def submit(self, call: Call) -> Deferred[Any]:
        """Have an operation carried out; return its outcome."""
        if self._waiting >= WAITING_CALLS or self._bytes + call.size > WAITING_BYTES:
            return fail(unavailable())
        answer: Deferred[Any] = Deferred()
        lane = self._lanes[call.shard]
        # First, where Redis refuses what it has no memory for: no more once a batch has written something.
        (lane.appendleft if call.may_be_refused else lane.append)(_Waiting(call, answer))
        self._waiting += 1
        self._bytes += call.size
        if self._wire is None:
            self._be_patient()
        elif call.shard not in self._on_the_way:
            self._send(call.shard)
        return answer

    def connected(self, wire: Wire) -> None:
        """Send what waits, and from now on what comes."""
        self._wire = wire
        self._lose_patience()
        for shard, lane in enumerate(self._lanes):
            if lane:
                self._send(shard)

    def disconnected(self, reason: str) -> None:
        """Fail what is on the way; what waits may wait a while for another connection."""
        self._wire = None
        for batch in list(self._on_the_way.values()):
            self._fail(batch, reason, unusable=False)
        if self._waiting:
            self._be_patient()

    def give_up(self) -> None:
        """Fail all that waits."""
        self._lose_patience()
        waiting = [each for lane in self._lanes for each in lane]
        for lane in self._lanes:
            lane.clear()
        self._waiting = self._bytes = 0
        for each in waiting:
            each.answer.errback(unavailable())
        self._check_idle()

    def finish(self) -> Deferred[None]:
        """Return what fires once nothing waits or is on the way."""
        self._idle = Deferred()
        idle = self._idle
        self._check_idle()
        return idle

    def _be_patient(self) -> None:
        if self._patience is None:
            self._patience = self._clock.callLater(self._timeout, self._out_of_patience)

    def _out_of_patience(self) -> None:
        self._patience = None
        self.give_up()

    def _lose_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _take(self, shard: int) -> list[_Waiting]:
        lane = self._lanes[shard]
        taken: list[_Waiting] = []
        size = 0
        while lane and len(taken) < BATCH_CALLS and (not taken or size + lane[0].call.size <= BATCH_BYTES):
            taken.append(lane.popleft())
            size += taken[-1].call.size
        self._waiting -= len(taken)
        self._bytes -= size
        return taken

    def _send(self, shard: int) -> None:
        calls = self._take(shard)
        keys, argument = self._codec.batch(shard, [each.call for each in calls])
        deadline = self._clock.callLater(self._timeout, self._time_out, shard)
        batch = self._on_the_way[shard] = _Batch(shard, self._wire, calls, self._steady(), deadline)
        reply = Deferred.fromCoroutine(run_script(self._wire, keys, argument))
        reply.addCallback(self._read, batch).addErrback(self._read_failure, batch)

    def _go_on(self, shard: int) -> None:
        if self._lanes[shard] and self._wire is not None and shard not in self._on_the_way:
            self._send(shard)

    def _time_out(self, shard: int) -> None:
        # What is still answered must not be taken for the answer to something else.
        self._fail(self._on_the_way[shard], f"no answer within {self._timeout:g} s", unusable=True)

    def _read(self, reply: bytes, batch: _Batch) -> None:
        if self._on_the_way.get(batch.shard) is not batch:
            # Given up, and so is its connection.
            return
        answer = read_answer(reply, len(batch.calls))
        self._end(batch)
        looks = all(each.call.is_look for each in batch.calls)
        self._answered(batch.shard, answer, None if looks else self._steady() - batch.since)
        self._put_back(batch, answer.outcomes)
        # Redis works on the next ones while these are told.
        self._go_on(batch.shard)
        for waiting, outcome in zip(batch.calls, answer.outcomes, strict=True):
            if isinstance(outcome, Refused) and not waiting.call.may_be_refused:
                self._failed(batch.shard, outcome.reason, concerns_all(outcome.reason))
                waiting.answer.errback(unavailable())
            elif not isinstance(outcome, Later):
                waiting.answer.callback(outcome)
        self._check_idle()

    def _read_failure(self, failure: Failure, batch: _Batch) -> None:
        if self._on_the_way.get(batch.shard) is not batch:
            # Given up, and so is its connection, which is how this comes to be known.
            if not batch.wire.is_lost:
                self._log.failure("What Redis answered was not taken", failure)
            return
        reason = failure.getErrorMessage().strip()
        self._fail(batch, reason, unusable=not is_full(reason))
        self._go_on(batch.shard)

    def _put_back(self, batch: _Batch, outcomes: list[Any]) -> None:
        later = [each for each, told in zip(batch.calls, outcomes, strict=True) if isinstance(told, Later)]
        self._lanes[batch.shard].extendleft(reversed(later))
        self._waiting += len(later)
        self._bytes += sum(each.call.size for each in later)

    def _fail(self, batch: _Batch, reason: str, *, unusable: bool) -> None:
        self._end(batch)
        # First: whoever hears of it may try again at once, and not over this connection.
        self._failed(batch.shard, reason, unusable)
        for waiting in batch.calls:
            waiting.answer.errback(unavailable())
        self._check_idle()

    def _end(self, batch: _Batch) -> None:
        del self._on_the_way[batch.shard]
        if batch.deadline.active():
            batch.deadline.cancel()

    def _check_idle(self) -> None:
        if self._idle is not None and not self._idle.called and not self._waiting and not self._on_the_way:
            self._idle.callback(None)
