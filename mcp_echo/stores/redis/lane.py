"""The way of operations to Redis: one batch of each shard at a time, to the server that has it."""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import attrgetter
from typing import NamedTuple

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcp_echo.stores.batching import Queue, Room, unavailable
from mcp_echo.stores.redis.answers import (
    Later,
    NotCarriedOut,
    ScriptAnswer,
    concerns_all,
    is_full,
    read_answer,
)
from mcp_echo.stores.redis.cluster import Servers
from mcp_echo.stores.redis.codec import ScriptCall
from mcp_echo.stores.redis.script import run_script
from mcp_echo.stores.redis.server import Means
from mcp_echo.stores.redis.wire import RedisWire

MOVING_RETRY = 0.05
"""Seconds until a shard whose slot moves from one server to another is tried again."""

# https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#redirection-and-resharding
_SLOT_MOVED = re.compile(r"MOVED \d+ (\S+)")
_SLOT_MOVES = re.compile(r"ASK |TRYAGAIN")


_is_look = attrgetter("is_look")


class _Sent(NamedTuple):
    wire: RedisWire
    calls: list[ScriptCall]
    since: float
    deadline: IDelayedCall


class Lane:
    """Sends the operations of one shard.

    Args:
        shard: Which one.
        means: What it works with.
        servers: Know which of them has the shard, and are told how it does.
        room: Bounds what waits in all shards.
        take: Told of each answer, with its shard.
    """

    _log = Logger("mcp_echo")

    def __init__(
        self,
        shard: int,
        means: Means,
        servers: Servers,
        room: Room,
        take: Callable[[int, ScriptAnswer], None],
    ) -> None:
        self.queue: Queue[ScriptCall] = Queue(self._send, room)
        """What waits."""
        self._shard = shard
        self._clock: IReactorTime = means.reactor
        self._steady = means.steady
        self._codec = means.codec
        self._timeout = servers.address.timeout
        self._follows = servers.address.cluster
        """Whether the shard is followed from server to server."""
        self._servers = servers
        self._take = take
        self._sent: _Sent | None = None
        """What is on the way."""
        self._giving_up: IDelayedCall | None = None
        """When what waits is refused."""
        self._retry: IDelayedCall | None = None
        """When it is tried again while the slot moves."""
        self._is_moving = False
        """Whether the last batch was sent back, to go to another server or to go later."""

    def disconnected(self, reason: str) -> None:
        """Fail what is on the way; what waits may wait a while for another connection."""
        if self._sent is not None:
            self._fail(self._sent, reason, unusable=False)
        else:
            self.queue.go_on()

    def give_up(self) -> None:
        """Refuse all that waits."""
        self._lose_patience()
        self.queue.refuse()

    def _be_patient(self) -> None:
        if self._giving_up is None:
            self._giving_up = self._clock.callLater(self._timeout, self.give_up)

    def _lose_patience(self) -> None:
        """Have what waits not be refused."""
        for call in (self._giving_up, self._retry):
            if call is not None and call.active():
                call.cancel()
        self._giving_up = self._retry = None

    def _send(self) -> None:
        """Send what waits, unless there is no connection."""
        wire = self._servers.owners[self._shard].wire
        if wire is None:
            self._be_patient()
            return
        if self._giving_up is not None and not self._is_moving:
            self._lose_patience()
        calls = self.queue.take()
        keys, argument = self._codec.batch(self._shard, calls)
        deadline = self._clock.callLater(self._timeout, self._time_out)
        sent = self._sent = _Sent(wire, calls, self._steady(), deadline)
        reply = run_script(wire, keys, argument)
        reply.addCallback(self._read, sent).addErrback(self._read_failure, sent)

    def _time_out(self) -> None:
        if self._sent is not None:
            # What is still answered must not be taken for the answer to something else.
            self._fail(self._sent, f"no answer within {self._timeout:g} s", unusable=True)

    def _read(self, reply: bytes, sent: _Sent) -> None:
        if self._sent is not sent:
            # Given up, and so is its connection.
            return
        calls = sent.calls
        answer = read_answer(reply, len(calls))
        self._end(sent)
        if self._is_moving:
            self._is_moving = False
            self._lose_patience()
        looks = all(map(_is_look, calls))
        self._servers.owners[self._shard].answered(None if looks else self._steady() - sent.since)
        self._take(self._shard, answer)
        outcomes = answer.outcomes
        while isinstance(outcomes[-1], Later):
            outcomes.pop()
        for place, outcome in enumerate(outcomes):
            if isinstance(outcome, NotCarriedOut) and not calls[place].may_be_refused:
                unusable = concerns_all(outcome.reason)
                self._servers.failed(sent.wire, self._shard, outcome.reason, unusable=unusable)
                outcomes[place] = unavailable()
        self.queue.done(outcomes)

    def _read_failure(self, failure: Failure, sent: _Sent) -> None:
        if self._sent is not sent:
            # Given up, and so is its connection, which is how this comes to be known.
            if not sent.wire.is_lost:
                self._log.failure("Handling an answer of Redis failed", failure)
            return
        reason = failure.getErrorMessage().strip()
        if self._follows and (_SLOT_MOVED.match(reason) or _SLOT_MOVES.match(reason)):
            self._follow(sent, reason)
        else:
            self._fail(sent, reason, unusable=not is_full(reason))

    def _follow(self, sent: _Sent, reason: str) -> None:
        """Send a batch again that was not carried out: to another server, or once its slot is there."""
        self._end(sent)
        self.queue.put_back()
        self._is_moving = True
        self._be_patient()
        if self._retry is None or not self._retry.active():
            self._retry = self._clock.callLater(MOVING_RETRY, self.queue.go_on)
        found = _SLOT_MOVED.match(reason)
        if found is not None:
            self._servers.moved(self._shard, found[1])

    def _fail(self, sent: _Sent, reason: str, *, unusable: bool) -> None:
        self._end(sent)
        # First: whoever hears of it may try again at once, and not over this connection.
        self._servers.failed(sent.wire, self._shard, reason, unusable=unusable)
        self.queue.fail()

    def _end(self, sent: _Sent) -> None:
        self._sent = None
        if sent.deadline.active():
            sent.deadline.cancel()
