"""Operations that wait for one another, and are carried out together. No I/O."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, fail

from mcp_echo.protocol.errors import StoreUnavailable

BATCH_CALLS = 256
BATCH_BYTES = 4 << 20
"""What one batch holds: nothing else is done while it is worked on."""
WAITING_CALLS = 10_000
WAITING_BYTES = 64 << 20
"""What may wait: more than can be done within a time-out would be in vain."""

T = TypeVar("T")


def unavailable() -> StoreUnavailable:
    """Return the refusal, with a time to come back that is not everybody's."""
    return StoreUnavailable(random.randint(1, 3))  # noqa: S311


class Room:
    """How much waits, in all the queues that share it."""

    def __init__(self) -> None:
        self.calls = 0
        self.bytes = 0


class Queue(Generic[T]):
    """Has operations carried out in order, one batch at a time; those that come meanwhile are the next one.

    So the price of a batch is shared by all who wait, and the more wait the less it is.

    Args:
        begin: Called when some wait and none are on the way: takes them with `take`, now or once it can, and
            tells what became of them with `done`, `fail` or `put_back`.
        room: Bounds what waits.
    """

    def __init__(self, begin: Callable[[], object], room: Room) -> None:
        self._begin = begin
        self._room = room
        self._waiting: deque[tuple[T, int, Deferred[Any]]] = deque()
        self._batch: list[tuple[T, int, Deferred[Any]]] = []
        """What is on the way."""
        self._finished: list[Deferred[None]] = []

    def add(self, operation: T, size: int = 0, first: bool = False) -> Deferred[Any]:
        """Have an operation carried out; return its outcome.

        Args:
            operation: Which one.
            size: Its bytes, about.
            first: Whether it is carried out before those that wait already.

        Raises:
            StoreUnavailable: Too much waits, or it was refused later.
        """
        room = self._room
        if room.calls >= WAITING_CALLS or room.bytes + size > WAITING_BYTES:
            return fail(unavailable())
        answer: Deferred[Any] = Deferred()
        (self._waiting.appendleft if first else self._waiting.append)((operation, size, answer))
        room.calls += 1
        room.bytes += size
        if not self._batch:
            self._begin()
        return answer

    def go_on(self) -> None:
        """Have what waits carried out, unless a batch is on the way."""
        if self._waiting and not self._batch:
            self._begin()

    def take(self) -> list[T]:
        """Return the next batch, which is on the way from now on."""
        waiting, batch, size = self._waiting, self._batch, 0
        operations: list[T] = []
        while waiting and len(batch) < BATCH_CALLS and (not batch or size + waiting[0][1] <= BATCH_BYTES):
            batch.append(waiting.popleft())
            operations.append(batch[-1][0])
            size += batch[-1][1]
        self._room.calls -= len(batch)
        self._room.bytes -= size
        return operations

    def done(self, outcomes: Sequence[Any]) -> None:
        """The batch was carried out, as far as there are outcomes; the rest of it waits again.

        Args:
            outcomes: One an operation; one that is an exception is what it failed with.
        """
        batch, self._batch = self._batch, []
        if len(outcomes) < len(batch):
            self._wait_again(batch[len(outcomes) :])
        # The next ones are worked on while these are told.
        if self._waiting:
            self._begin()
        for (_, _, answer), outcome in zip(batch, outcomes, strict=False):
            if isinstance(outcome, Exception):
                answer.errback(outcome)
            else:
                answer.callback(outcome)
        if self._finished:
            self._check_finished()

    def fail(self) -> None:
        """Refuse the batch: it was not carried out, as far as is known."""
        self.done([unavailable() for _ in self._batch])

    def put_back(self) -> None:
        """Have the batch wait again: it was not carried out, and is to be with the next `go_on`."""
        batch, self._batch = self._batch, []
        self._wait_again(batch)

    def refuse(self) -> None:
        """Refuse all that waits."""
        waiting, self._waiting = self._waiting, deque()
        self._room.calls -= len(waiting)
        self._room.bytes -= sum(size for _, size, _ in waiting)
        for _, _, answer in waiting:
            answer.errback(unavailable())
        self._check_finished()

    def finish(self) -> Deferred[None]:
        """Return what fires once nothing waits or is on the way."""
        finished: Deferred[None] = Deferred()
        self._finished.append(finished)
        self._check_finished()
        return finished

    def _wait_again(self, batch: list[tuple[T, int, Deferred[Any]]]) -> None:
        self._waiting.extendleft(reversed(batch))
        self._room.calls += len(batch)
        self._room.bytes += sum(size for _, size, _ in batch)

    def _check_finished(self) -> None:
        if self._finished and not self._waiting and not self._batch:
            finished, self._finished = self._finished, []
            for each in finished:
                each.callback(None)
