"""JSON-RPC batches, which revision 2025-03-26 alone has.

https://modelcontextprotocol.io/specification/2025-03-26/basic#batching
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from mcp_echo.protocol.errors import InvalidRequest, McpError
from mcp_echo.protocol.jsonrpc import Malformed, Message, Request
from mcp_echo.protocol.revisions import Revision
from mcp_echo.server.exchange import Exchange, Patience, Promise, Reply
from mcp_echo.server.outlets import LegacyOutlet
from mcp_echo.state.session import Session

_NO_INITIALIZE = "Invalid request: initialize must not be part of a batch"

Perform = Callable[[Request, Session, Exchange, LegacyOutlet], Reply | Coroutine[Any, Any, Reply | None]]
Refuse = Callable[[Message, Exchange, McpError], bytes]
TakeNote = Callable[[Message, Session], None]
Spawn = Callable[[Coroutine[Any, Any, None]], Callable[[], None]]


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

    Args:
        session: The session it belongs to.
        exchange: The HTTP request.
        outlet: The client's end, shared by all its requests.
        perform: Answers one request, now or later.
        refuse: Answers one message that gets no further.
        take_note: Acts on a message that wants no answer.
        patience: Ways to wait.
        spawn: Starts work that goes on by itself.
    """

    def __init__(
        self,
        session: Session,
        exchange: Exchange,
        outlet: LegacyOutlet,
        perform: Perform,
        refuse: Refuse,
        take_note: TakeNote,
        patience: Patience,
        spawn: Spawn,
    ) -> None:
        self._session = session
        self._exchange = exchange
        self._outlet = outlet
        self._perform = perform
        self._refuse = refuse
        self._take_note = take_note
        self._patience = patience
        self._spawn = spawn

    def answer(self, messages: list[Message]) -> Reply | None:
        """Return the reply; None when an event stream or later work answers.

        Raises:
            InvalidRequest: The session's revision has no batches.
        """
        check_batches(self._session.revision)
        answers = [self._element(message) for message in messages]
        ready = [answer for answer in answers if isinstance(answer, bytes)]
        if any(answer is not None and not isinstance(answer, bytes) for answer in answers):
            self._exchange.run(self._later(answers), until_left=False)
            return None
        return self._deliver(ready)

    def _element(self, message: Message) -> bytes | Promise | None:
        """Return the response to one element, or a promise of it, or None where none is due."""
        if isinstance(message, Malformed):
            if message.is_response:
                self._session.pass_answer(message.id, None)
            return self._refuse(message, self._exchange, message.error)
        if not isinstance(message, Request):
            self._take_note(message, self._session)
            return None
        if message.method == "initialize":
            return self._refuse(message, self._exchange, InvalidRequest(_NO_INITIALIZE))
        answer = self._perform(message, self._session, self._exchange, self._outlet)
        if not isinstance(answer, Coroutine):
            return answer.body
        # Each goes on by itself: none waits for another, and each can be cancelled.
        promise = self._patience.promise(None)
        running = self._session.begin(message.id)
        running.stop = self._spawn(_keep(promise, answer))
        return promise

    async def _later(self, answers: list[bytes | Promise | None]) -> Reply | None:
        bodies = [each if each is None or isinstance(each, bytes) else await each for each in answers]
        return self._deliver([body for body in bodies if body])

    def _deliver(self, bodies: list[bytes]) -> Reply | None:
        accepted = self._exchange.accepted
        if self._outlet.opened is None:
            if not bodies:
                return Reply(202)
            if accepted.json and not accepted.names_event_stream:
                return Reply(200, b"[" + b",".join(bodies) + b"]")
        stream = self._outlet.open()
        for body in bodies:
            self._session.log.append(stream, body)
        self._session.log.end(stream)
        return None


async def _keep(promise: Promise, pending: Awaitable[Reply | None]) -> None:
    answer = await pending
    promise.keep(None if answer is None else answer.body)
