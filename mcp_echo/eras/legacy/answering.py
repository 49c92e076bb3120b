"""The answers to the requests of sessions: one to each, now or later, refused or not, and counted once."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple

from mcp_echo.eras.exchange import Reply, Timers
from mcp_echo.eras.legacy.back_channel import Asking, LegacyBackChannel
from mcp_echo.eras.methods import LateResult, MethodTable
from mcp_echo.eras.refusals import brief, refuse
from mcp_echo.eras.running import Runner
from mcp_echo.protocol.errors import InternalError, McpError, StoreUnavailable
from mcp_echo.protocol.jsonrpc import Message, Request, error_bytes, result_bytes
from mcp_echo.protocol.progress import progress_token
from mcp_echo.sessions.event_log import Stream
from mcp_echo.tools.base import Call, ServerContext
from mcp_echo.watch.journal import Journal
from mcp_echo.watch.seen import CANCELLED, Asked


class LateReply(NamedTuple):
    """The response to a request that takes its time."""

    request: Request
    """What is left of the request."""
    make: Callable[[], Coroutine[Any, Any, Reply | None]]
    """Begins the work, and returns what it answers; None where the request was cancelled."""


class Answering:
    """Answers the requests of sessions.

    Args:
        context: What tools may know.
        table: The methods.
        journal: Where unexpected failures are written down.
        timers: Ways to wait.
        runner: Tells when what late work has changed is kept.
    """

    def __init__(
        self, context: ServerContext, table: MethodTable, journal: Journal, timers: Timers, runner: Runner
    ) -> None:
        self._context = context
        self._table = table
        self._journal = journal
        self._runner = runner
        self.asking = Asking(timers, context.settings.client_timeout, context.now)
        """How clients are asked, and waited for."""
        self.spawn = context.spawn

    def result(self, request: Request, back_channel: LegacyBackChannel, asked: Asked) -> Reply | LateReply:
        """Return the JSON-RPC response to one request with its HTTP status, now or later.

        Args:
            request: The request.
            back_channel: The client's end, with the session and the HTTP request.
            asked: What is seen of it.
        """
        session, exchange, context = back_channel.session, back_channel.exchange, self._context
        record, revision = session.record, session.revision
        record.requests += 1
        asked.era, asked.revision = "legacy", revision.name
        asked.method, asked.id = request.method, request.id
        call = Call(
            context=context,
            request=exchange,
            session=session,
            client=session.client,
            revision=revision,
            back_channel=back_channel,
            log_level=record.log_level,
            progress_token=progress_token(request.params),
        )
        refused = None
        try:
            result = self._table[request.method](request.params, call)
            if isinstance(result, LateResult):
                exchange.then(exchange.let_go)
                short = brief(request)
                return LateReply(short, partial(self._result_later, short, result, back_channel, call, asked))
            answer = Reply(200, result_bytes(request.id, result))
        except Exception as error:
            refused = self._failure(request, back_channel, error)
            answer = _refusal(request, refused)
        seconds = context.now() - exchange.arrived
        session.answered(seconds)
        asked.tool, asked.outcome, asked.seconds = call.tool, answer.status, seconds
        asked.error = None if refused is None else refused.code
        return answer

    async def _result_later(
        self,
        request: Request,
        later: LateResult,
        back_channel: LegacyBackChannel,
        call: Call,
        asked: Asked,
    ) -> Reply | None:
        session, seen = back_channel.session, back_channel.exchange.seen
        seen.pending += 1
        try:
            answer = Reply(200, result_bytes(request.id, await later.make()))
            asked.end(seen.elapsed(), call.tool)
        except Exception as error:
            running = session.running(request.id)
            if running is not None and running.cancelled:
                asked.end(seen.elapsed(), call.tool, CANCELLED)
                return None
            refused = self._failure(request, back_channel, error)
            answer = _refusal(request, refused)
            asked.end(seen.elapsed(), call.tool, answer.status, refused.code)
        finally:
            session.finish(request.id)
            seen.settle()
        session.answered(self._context.now() - call.arrived)
        return answer

    def _failure(self, request: Request, back_channel: LegacyBackChannel, error: Exception) -> McpError:
        """Return what to tell the client of an exception."""
        if isinstance(error, McpError):
            return error
        exchange, session_id = back_channel.exchange, back_channel.session.id
        secrets = exchange.secrets()
        exchange.then(self._journal.failed, "A method failed", error, session_id, request.method, secrets)
        return InternalError()

    async def settled(
        self, reply: Reply | None, message: Message | list[Message], back_channel: LegacyBackChannel
    ) -> Reply | None:
        """Return a reply once what its work has changed in the session is kept, or why it is not."""
        if reply is None:
            return None
        try:
            await self._runner.settle(back_channel.session)
        except StoreUnavailable as error:
            exchange = back_channel.exchange
            body = refuse(message, exchange, exchange.seen, error, "legacy")
            return Reply(error.status, body, error.headers)
        return reply

    # To a request that is the only one of its POST.

    def answer(self, request: Request, back_channel: LegacyBackChannel) -> Reply | None:
        """Return the reply to a POST; None when an event stream or later work answers."""
        exchange = back_channel.exchange
        answer = self.result(request, back_channel, exchange.seen)
        if isinstance(answer, Reply):
            return back_channel.finish(answer)
        exchange.then(self._start, answer, back_channel)
        return None

    def _start(self, later: LateReply, back_channel: LegacyBackChannel) -> None:
        # A client that disconnects has not cancelled its request (Sending Messages, rule 6).
        running = back_channel.session.begin(later.request.id)
        running.stop = back_channel.exchange.run(self._answer_later(later, back_channel), until_left=False)

    async def _answer_later(self, later: LateReply, back_channel: LegacyBackChannel) -> Reply | None:
        answer = await later.make()
        if answer is not None:
            return await self.settled(back_channel.finish(answer), later.request, back_channel)
        # Cancelled: the stream ends without a response (basic/utilities/cancellation, Behavior).
        if back_channel.opened is None:
            return Reply(202)
        back_channel.session.log.end(back_channel.opened)
        return None

    # To a request whose answer goes to the session's one stream.

    def append(self, request: Request, back_channel: LegacyBackChannel, stream: Stream) -> None:
        """Append the answer to a stream, now or later."""
        back_channel.opened = stream
        answer = self.result(request, back_channel, back_channel.exchange.seen)
        if isinstance(answer, Reply):
            back_channel.session.log.append(stream, answer.body)
        else:
            back_channel.exchange.then(self._start_appending, answer, back_channel, stream)

    def _start_appending(self, later: LateReply, back_channel: LegacyBackChannel, stream: Stream) -> None:
        running = back_channel.session.begin(later.request.id)
        running.stop = self.spawn(_append_later(later, back_channel, stream))


async def _append_later(later: LateReply, back_channel: LegacyBackChannel, stream: Stream) -> None:
    answer = await later.make()
    if answer is not None:
        back_channel.session.log.append(stream, answer.body)


def _refusal(request: Request, error: McpError) -> Reply:
    return Reply(error.status, error_bytes(request.id, error), error.headers)
