"""One connection to Redis: commands in order, and what Redis pushes meanwhile.

hiredis reads RESP3 and does no I/O. https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import hiredis
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

_NOT_ALL_HERE = object()


class RedisWire(Protocol):
    """A connection to Redis."""

    transport: Any

    def __init__(self) -> None:
        self._reader = hiredis.Reader(notEnoughData=_NOT_ALL_HERE)
        self._waiting: deque[Deferred[Any]] = deque()
        """Answers that are due, in the order of the commands."""
        self._reason: str | None = None
        self.is_lost = False
        self.on_lost: Callable[[str], None] | None = None
        """Told why the connection has ended."""
        self.on_message: Callable[[bytes, bytes], None] | None = None
        """Told of each message that is published: its channel, and what it says; raises nothing."""

    def call(self, *arguments: str | bytes | int) -> Deferred[Any]:
        """Send a command; return its reply.

        The reply to ``SUBSCRIBE`` is what Redis pushes to confirm it, so it takes one channel at a time.
        """
        if self.is_lost:
            return fail(ConnectionLost())
        # Its stub has commands of one word.
        self.transport.write(hiredis.pack_command(arguments))  # type: ignore[arg-type]
        answer: Deferred[Any] = Deferred()
        self._waiting.append(answer)
        return answer

    def abort(self) -> None:
        """Close the connection at once: what it still brings is for nobody."""
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Take what Redis sent; what is none of Redis's ends the connection."""
        self._reader.feed(data)
        while not self.is_lost:
            try:
                reply = self._reader.gets()
            except hiredis.ProtocolError:
                self._give_up()
                return
            if reply is _NOT_ALL_HERE:
                return
            self._take(reply)

    def _take(self, reply: Any) -> None:
        if isinstance(reply, hiredis.PushNotification) and reply[0] == b"message":
            if self.on_message is not None:
                self.on_message(reply[1], reply[2])
        elif isinstance(reply, hiredis.PushNotification) and reply[0] != b"subscribe":
            # Such as invalidations, which nobody here has asked for.
            return
        elif not self._waiting:
            self._give_up()
        elif isinstance(reply, hiredis.ReplyError):
            self._waiting.popleft().errback(reply)
        else:
            self._waiting.popleft().callback(reply)

    def _give_up(self) -> None:
        self._reason = "the server there is not Redis"
        self.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell why, and fail what waits for an answer."""
        self.is_lost = True
        if self.on_lost is not None:
            self.on_lost(self._reason or _told(reason))
        waiting, self._waiting = self._waiting, deque()
        for answer in waiting:
            answer.errback(ConnectionLost())


def _told(why: Failure) -> str:
    # OpenSSL's errors have no message, but a list of what it found.
    for found in getattr(why.value, "args", ()):
        if isinstance(found, list) and found and isinstance(found[0], tuple):
            return "; ".join(str(each[-1]) for each in found)
    return why.getErrorMessage() or type(why.value).__name__


def wires() -> Factory:
    """Return what makes connections."""
    made: Factory = Factory()
    made.protocol = RedisWire
    made.noisy = False
    return made
