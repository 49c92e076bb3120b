"""JSON-RPC batches, which revision 2025-03-26 alone has.

https://modelcontextprotocol.io/specification/2025-03-26/basic#batching
"""

from __future__ import annotations

from typing import NamedTuple

from mcp_echo.eras.exchange import Promise, Reply
from mcp_echo.eras.legacy.answering import Answering, LateReply
from mcp_echo.eras.legacy.back_channel import LegacyBackChannel
from mcp_echo.eras.legacy.notes import take_note
from mcp_echo.eras.refusals import refuse
from mcp_echo.protocol.errors import InvalidRequest, McpError
from mcp_echo.protocol.jsonrpc import Malformed, Message, Request
from mcp_echo.protocol.revisions import Revision
from mcp_echo.watch.seen import Asked

_NO_INITIALIZE = "Invalid request: initialize must not be part of a batch"


def check_batches(revision: Revision | None) -> None:
    """Refuse an array where the revision has no batches.

    Raises:
        InvalidRequest: It has none.
    """
    if revision is not None and not revision.batches:
        raise InvalidRequest(f"Invalid request: revision {revision.name} takes one message a POST, no array")


def check_no_initialize(messages: list[Message]) -> None:
    """Refuse an array that begins a session, which it must not.

    Raises:
        InvalidRequest: There is an ``initialize`` in it.
    """
    if any(isinstance(each, Request) and each.method == "initialize" for each in messages):
        raise InvalidRequest(_NO_INITIALIZE)


class Batch:
    """One array of messages and its answer.

    On an event stream each response goes out as soon as it is there, so that none waits for another. In one
    JSON array they come together, in the order of the requests.

    Args:
        back_channel: The client's end, shared by all its requests.
        answering: Answers each of them.
    """

    def __init__(self, back_channel: LegacyBackChannel, answering: Answering) -> None:
        self._session = back_channel.session
        self._exchange = back_channel.exchange
        self._back_channel = back_channel
        self._answering = answering
        accepted = self._exchange.accepted
        self._streams = accepted.names_event_stream or not accepted.json

    def answer(self, messages: list[Message]) -> Reply | None:
        """Return the reply; None when an event stream or later work answers.

        Raises:
            InvalidRequest: The session's revision has no batches.
        """
        check_batches(self._session.revision)
        with self._session.log.burst():
            asked = [Asked() for _ in messages]
            answers = [self._element(*each) for each in zip(messages, asked, strict=True)]
        self._exchange.seen.batch = asked
        if any(isinstance(answer, Promised) for answer in answers):
            self._exchange.then(self._wait, answers)
            return None
        return self._end([answer for answer in answers if isinstance(answer, bytes)])

    def _element(self, message: Message, asked: Asked) -> bytes | Promised | None:
        """Return the response to one element, or a promise of it; None if none is due or it has gone out."""
        if isinstance(message, Malformed):
            if message.is_response:
                self._exchange.then(self._session.pass_answer, message.id, None)
            return self._answered(self._refuse(message, asked, message.error))
        if not isinstance(message, Request):
            take_note(message, self._session, self._exchange, asked)
            return None
        if message.method == "initialize":
            return self._answered(self._refuse(message, asked, InvalidRequest(_NO_INITIALIZE)))
        answer = self._answering.result(message, self._back_channel, asked)
        if isinstance(answer, Reply):
            return self._answered(answer.body)
        later = Promised(self._answering.asking.timers.promise(None))
        self._exchange.then(self._start, answer, later)
        return later

    def _refuse(self, message: Message | list[Message], asked: Asked, error: McpError) -> bytes:
        return refuse(message, self._exchange, asked, error, "legacy")

    def _start(self, reply: LateReply, later: Promised) -> None:
        # Each goes on by itself: none waits for another, and each can be cancelled.
        running = self._session.begin(reply.request.id)
        running.stop = self._answering.spawn(self._keep(reply, later))

    def _wait(self, answers: list[bytes | Promised | None]) -> None:
        self._exchange.run(self._rest(answers), until_left=False)

    def _answered(self, body: bytes) -> bytes | None:
        """Send a response where the client reads a stream; return it where it has to wait for the others."""
        if not self._streams:
            return body
        self._session.log.append(self._back_channel.open(), body)
        return None

    async def _keep(self, reply: LateReply, later: Promised) -> None:
        answer = await reply.make()
        later.promise.keep(None if answer is None else self._answered(answer.body))

    async def _rest(self, answers: list[bytes | Promised | None]) -> Reply | None:
        """Wait for what comes later, and end the answer."""
        bodies = [await each.promise if isinstance(each, Promised) else each for each in answers]
        reply = self._end([body for body in bodies if body])
        return await self._answering.settled(reply, [], self._back_channel)

    def _end(self, bodies: list[bytes]) -> Reply | None:
        if self._back_channel.opened is not None:
            self._session.log.end(self._back_channel.opened)
            return None
        # Without any request there is nothing to answer, and cancelled ones are not answered.
        return Reply(200, b"[" + b",".join(bodies) + b"]") if bodies else Reply(202)


class Promised(NamedTuple):
    """A response that is being worked on."""

    promise: Promise
    """Kept with the response; with None where it has gone out, or is not to."""
