"""The legacy era: sessions made by ``initialize``, found by ``Mcp-Session-Id``.

https://modelcontextprotocol.io/specification/2025-11-25/basic/transports and …/basic/lifecycle
"""

from __future__ import annotations

from functools import partial
from typing import Any, TypeGuard

import msgspec
from msgspec import Raw

from mcp_echo.eras.back_channels import LegacyBackChannel
from mcp_echo.eras.batch import Batch, LateReply, check_batches, check_no_initialize
from mcp_echo.eras.clients import describe_client
from mcp_echo.eras.exchange import Exchange, Reply, StreamResponse, Timers, open_stream
from mcp_echo.eras.methods import INSTRUCTIONS, LateResult, Methods, read_uri
from mcp_echo.eras.refusals import brief, refuse
from mcp_echo.eras.running import Runner
from mcp_echo.eras.strict import Strictness
from mcp_echo.offer.resources import no_resource
from mcp_echo.protocol.errors import (
    InternalError,
    InvalidParams,
    InvalidRequest,
    McpError,
    SessionRequired,
    StoreUnavailable,
    WrongHttpMethod,
)
from mcp_echo.protocol.handshake import (
    Initialize,
    asked_for,
    check_initialize_header,
    check_version_header,
    check_version_header_strictly,
    read_initialize,
)
from mcp_echo.protocol.jsonrpc import (
    Malformed,
    Message,
    MessageId,
    Notification,
    Request,
    Response,
    error_bytes,
    result_bytes,
)
from mcp_echo.protocol.levels import LOG_LEVELS
from mcp_echo.protocol.meta import check_meta
from mcp_echo.protocol.modern import read_params
from mcp_echo.protocol.progress import progress_token
from mcp_echo.protocol.revisions import LEGACY, Revision, Supported
from mcp_echo.redaction import quoted
from mcp_echo.sessions.event_log import Stream
from mcp_echo.sessions.held import STREAM_BYTES
from mcp_echo.sessions.key import session_key
from mcp_echo.sessions.session import UNKNOWN_CLIENT, Client, Session, Terms
from mcp_echo.sessions.subscriptions import LISTS, List
from mcp_echo.tools.base import Call
from mcp_echo.watch.journal import Journal
from mcp_echo.watch.seen import CANCELLED, Asked

MAX_SUBSCRIPTIONS = 64
"""Subscriptions per session; there are far fewer resources."""

_SESSION_REQUIRED = {
    "GET": (
        "Mcp-Session-Id header required: a GET without one is how the transport of 2024-11-05 (HTTP+SSE) "
        "begins. Use Streamable HTTP and POST initialize here, or /sse of a server started with --legacy-sse"
    )
}
"""HTTP method → what to tell a client that names no session; `_INITIALIZE_FIRST` for all others."""
_INITIALIZE_FIRST = "Mcp-Session-Id header required: send initialize to get a session"


class _Level(msgspec.Struct, frozen=True):
    level: str


class _Cancelled(msgspec.Struct, frozen=True):
    requestId: int | str


_read_level = msgspec.json.Decoder(_Level).decode
_read_cancelled = msgspec.json.Decoder(_Cancelled).decode


class _SessionListener:
    """Queues for a session the news it asked for."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.reader = session.id

    def list_changed(self, which: List) -> None:
        """Queue that a list has changed."""
        self._session.tell_list_changed(which)

    def resource_updated(self, uri: str) -> None:
        """Queue that a resource has changed."""
        self._session.tell_changed(uri)

    def told_until(self, uri: str, count: int) -> None:
        """Note of which echoes another node tells the session."""
        self._session.told_until(uri, count)


class LegacyEra:
    """Serves the revisions with a handshake and sessions.

    Args:
        methods: What the server can do.
        supported: The revisions it speaks.
        journal: Where unexpected failures are written down.
        timers: Ways to wait.
        runner: Has requests worked on.
    """

    def __init__(
        self,
        methods: Methods,
        supported: Supported,
        journal: Journal,
        timers: Timers,
        runner: Runner,
    ) -> None:
        self._methods = methods
        self._context = methods.context
        self._supported = supported
        self._journal = journal
        self._timers = timers
        self._runner = runner
        settings = methods.context.settings
        self._answer_timeout = settings.client_timeout
        self._listeners: dict[str, _SessionListener] = {}
        self._table = {
            **methods.table,
            "ping": self._ping,
            "logging/setLevel": self._set_level,
            "resources/subscribe": self._subscribe,
            "resources/unsubscribe": self._unsubscribe,
        }
        self.strict = Strictness(self.methods) if settings.strict else None
        """What is asked of clients beyond the lenient mode; None in it."""

    @property
    def methods(self) -> frozenset[str]:
        """The methods it knows."""
        return frozenset({*self._table, "initialize"})

    # The ladder: one POST body, the first failing rung answers.

    def post(self, message: Message | list[Message], exchange: Exchange) -> Reply | None:
        """Return the reply to one POST body; None when an event stream or later work answers.

        Raises:
            McpError: The whole POST is refused.
        """
        seen = exchange.seen
        seen.era = "legacy"
        exchange.reject_ambiguous()
        named = check_version_header(exchange.version, self._supported)
        if isinstance(message, Request) and message.method == "initialize":
            return self._initialize(message, exchange)
        if exchange.session_id is None and self.strict is None and _is_ping(message):
            # Needs no state, so none is made: a prober must not fill the store.
            seen.begin("legacy", message, None if named is None else named.name)
            seen.end(seen.elapsed())
            return Reply(200, result_bytes(message.id, {}))
        if isinstance(message, list) and exchange.session_id is None:
            # Before a session is made for it, which a refused array would leave behind.
            check_batches(named or self._supported.assumed)
            check_no_initialize(message)
        session = self._session(
            exchange,
            named,
            may_create=isinstance(message, (Request, list)),
            notice=not isinstance(message, Request) and not _asks(message),
        )
        if self.strict is not None:
            self.strict.check(message, session, named, exchange)
        if isinstance(message, Request):
            return self._answer(message, session, exchange)
        if isinstance(message, list):
            return self._batch(session, exchange).answer(message)
        self.take_note(message, session, exchange, seen)
        return Reply(202)

    def _session(
        self, exchange: Exchange, named: Revision | None, *, may_create: bool, notice: bool = False
    ) -> Session:
        """Return the session a request belongs to; without an id one is made, where that is allowed."""
        if exchange.session_id is not None:
            session = self._context.store.use(exchange.session_id, exchange.principal, notice=notice)
            seen = exchange.seen
            seen.session, seen.client, seen.revision = session.id, session.client, session.revision.name
            return session
        revision = named or self._supported.assumed
        if self.strict is not None or not may_create or revision is None:
            raise SessionRequired(_SESSION_REQUIRED.get(exchange.http_method, _INITIALIZE_FIRST))
        session = self.new_session(exchange, revision, UNKNOWN_CLIENT)
        exchange.then(exchange.announce, session)
        return session

    def new_session(self, exchange: Exchange, revision: Revision, client: Client) -> Session:
        """Make a session of a request's caller.

        Raises:
            TooManySessions: The store is full.
            TooManyRequests: The caller makes too many, or makes them too fast.
        """
        address = exchange.caller().address
        self._context.limits.admit_session(address, exchange.arrived, exchange)
        store = self._context.store
        terms = Terms(revision, client, store.timeout)
        session = store.create(session_key(exchange.principal), terms, address)
        exchange.then(exchange.began, session)
        return session

    def session_ended(self, session_id: str) -> None:
        """Tell a session that is over nothing more."""
        if self.strict is not None:
            self.strict.ended(session_id)
        listener = self._listeners.pop(session_id, None)
        if listener is not None:
            self._context.subscriptions.forget(listener)

    # The handshake.

    def _initialize(self, request: Request, exchange: Exchange) -> Reply | None:
        if exchange.session_id is not None:
            self._context.store.use(exchange.session_id, exchange.principal)
            raise InvalidRequest(
                "This session has begun already; send initialize without Mcp-Session-Id to begin another"
            )
        if self.strict is not None:
            check_initialize_header(exchange.version, request.params)
        params, revision = self.negotiate(request.params)
        session = self.new_session(exchange, revision, describe_client(params))
        if self.strict is not None:
            self.strict.began(session, request.id, exchange)
        exchange.then(exchange.announce, session)
        session.record.requests += 1
        body = result_bytes(request.id, self.initialize_result(revision))
        session.answered(self._context.now() - exchange.arrived)
        seen = exchange.seen
        seen.begin("legacy", request, revision.name)
        seen.end(seen.elapsed())
        return self._finish(Reply(200, body), self._back_channel(session, exchange), session, exchange)

    def negotiate(self, params: Raw) -> tuple[Initialize, Revision]:
        """Return the params of an ``initialize`` and the revision to answer it with.

        Raises:
            McpError: The params are wrong, or the legacy era is switched off.
        """
        if self.strict is not None:
            check_meta(params, self._supported.negotiate(asked_for(params) or "") or LEGACY[0])
        read = read_initialize(params, self.strict is not None)
        revision = self._supported.negotiate(read.protocolVersion)
        if revision is None:
            names = self._supported.names
            raise InvalidParams(
                f"Only revisions without initialize are supported here: {', '.join(names)}",
                {"supported": names, "requested": read.protocolVersion},
            )
        return read, revision

    def initialize_result(self, revision: Revision) -> dict[str, Any]:
        """Return the result of ``initialize``."""
        return {
            "protocolVersion": revision.name,
            "capabilities": self._methods.capabilities(revision),
            "serverInfo": self._methods.implementation(revision),
            "instructions": INSTRUCTIONS,
        }

    # Answers.

    def _batch(self, session: Session, exchange: Exchange) -> Batch:
        back_channel = self._back_channel(session, exchange)
        return Batch(
            session,
            exchange,
            back_channel,
            self.result,
            self.take_note,
            self._runner.settle,
            self._timers,
            self._context.spawn,
        )

    def _back_channel(self, session: Session, exchange: Exchange) -> LegacyBackChannel:
        return LegacyBackChannel(session, exchange, self._timers, self._answer_timeout, self._context.now)

    def _answer(self, request: Request, session: Session, exchange: Exchange) -> Reply | None:
        back_channel = self._back_channel(session, exchange)
        answer = self.result(request, session, exchange, back_channel, exchange.seen)
        if isinstance(answer, Reply):
            return self._finish(answer, back_channel, session, exchange)
        exchange.then(self._start, answer, back_channel, session, exchange)
        return None

    def _start(
        self, later: LateReply, back_channel: LegacyBackChannel, session: Session, exchange: Exchange
    ) -> None:
        # A client that disconnects has not cancelled its request (Sending Messages, rule 6).
        running = session.begin(later.request.id)
        running.stop = exchange.run(
            self._answer_later(later, back_channel, session, exchange), until_left=False
        )

    async def _answer_later(
        self, later: LateReply, back_channel: LegacyBackChannel, session: Session, exchange: Exchange
    ) -> Reply | None:
        answer = await later.make()
        if answer is not None:
            reply = self._finish(answer, back_channel, session, exchange)
            return await self._settled(reply, later.request, session, exchange)
        # Cancelled: the stream ends without a response (basic/utilities/cancellation, Behavior).
        if back_channel.opened is None:
            return Reply(202)
        session.log.end(back_channel.opened)
        return None

    async def _settled(
        self, reply: Reply | None, request: Request, session: Session, exchange: Exchange
    ) -> Reply | None:
        """Return a reply once what its work has changed in its session is kept."""
        if reply is None:
            return None
        try:
            await self._runner.settle(session)
        except StoreUnavailable as error:
            body = refuse(request, exchange, exchange.seen, error, "legacy")
            return Reply(error.status, body, error.headers)
        return reply

    @staticmethod
    def _finish(
        reply: Reply, back_channel: LegacyBackChannel, session: Session, exchange: Exchange
    ) -> Reply | None:
        """Send one JSON body, on the stream if there is one or the client reads nothing else."""
        if back_channel.opened is None and (exchange.accepted.json or reply.status != 200):
            return reply
        stream = back_channel.open()
        session.log.append(stream, reply.body)
        session.log.end(stream)
        return None

    def result(
        self,
        request: Request,
        session: Session,
        exchange: Exchange,
        back_channel: LegacyBackChannel,
        asked: Asked,
    ) -> Reply | LateReply:
        """Return the JSON-RPC response to one request with its HTTP status, now or later.

        What comes later is None if the request was cancelled meanwhile.
        """
        session.record.requests += 1
        asked.era, asked.revision = "legacy", session.revision.name
        asked.method, asked.id = request.method, request.id
        call = Call(self._context, exchange, session, session.client, session.revision, back_channel)
        call.log_level = session.record.log_level
        call.progress_token = progress_token(request.params)
        refused = None
        try:
            result = self._methods.perform(self._table, request.method, request.params, call)
            if isinstance(result, LateResult):
                exchange.then(exchange.let_go)
                short = brief(request)
                work = partial(self._result_later, short, result, session, exchange, call, asked)
                return LateReply(short, work)
            answer = Reply(200, result_bytes(request.id, result))
        except Exception as error:
            refused = self._failure(request, session, exchange, error)
            answer = _refusal(request, refused)
        seconds = self._context.now() - exchange.arrived
        session.answered(seconds)
        asked.tool, asked.outcome, asked.seconds = call.tool, answer.status, seconds
        asked.error = None if refused is None else refused.code
        return answer

    async def _result_later(
        self,
        request: Request,
        later: LateResult,
        session: Session,
        exchange: Exchange,
        call: Call,
        asked: Asked,
    ) -> Reply | None:
        seen = exchange.seen
        seen.pending += 1
        try:
            answer = Reply(200, result_bytes(request.id, await later.make()))
            asked.end(seen.elapsed(), call.tool)
        except Exception as error:
            running = session.running(request.id)
            if running is not None and running.cancelled:
                asked.end(seen.elapsed(), call.tool, CANCELLED)
                return None
            refused = self._failure(request, session, exchange, error)
            answer = _refusal(request, refused)
            asked.end(seen.elapsed(), call.tool, answer.status, refused.code)
        finally:
            session.finish(request.id)
            seen.settle()
        session.answered(self._context.now() - exchange.arrived)
        return answer

    def _failure(self, request: Request, session: Session, exchange: Exchange, error: Exception) -> McpError:
        """Return what to tell the client of an exception."""
        if isinstance(error, McpError):
            return error
        secrets = exchange.secrets()
        exchange.then(self._journal.failed, "A method failed", error, session.id, request.method, secrets)
        return InternalError()

    def post_to_stream(self, message: Message, session: Session, stream: Stream, exchange: Exchange) -> None:
        """Take a message whose answer goes to its session's one stream (transport of 2024-11-05).

        Raises:
            McpError: It breaks a rule that strict mode enforces.
        """
        if self.strict is not None:
            self.strict.check(message, session, None, exchange, has_header=False)
        seen = exchange.seen
        if not isinstance(message, Request):
            self.take_note(message, session, exchange, seen)
            return
        back_channel = self._back_channel(session, exchange)
        back_channel.opened = stream
        if message.method == "initialize":
            session.log.append(stream, self._initialize_on_stream(message, session, exchange))
            return
        answer = self.result(message, session, exchange, back_channel, seen)
        if isinstance(answer, Reply):
            session.log.append(stream, answer.body)
            return
        exchange.then(self._start_posted, answer, session, stream)

    def _start_posted(self, later: LateReply, session: Session, stream: Stream) -> None:
        running = session.begin(later.request.id)
        running.stop = self._context.spawn(self._append_later(later, session, stream))

    def _initialize_on_stream(self, request: Request, session: Session, exchange: Exchange) -> bytes:
        try:
            params, revision = self.negotiate(request.params)
        except McpError as error:
            return refuse(request, exchange, exchange.seen, error, "legacy")
        session.record.requests += 1
        exchange.seen.begin("legacy", request, revision.name)
        exchange.seen.end(exchange.seen.elapsed())
        session.speak(revision, describe_client(params))
        return result_bytes(request.id, self.initialize_result(revision))

    @staticmethod
    async def _append_later(later: LateReply, session: Session, stream: Stream) -> None:
        answer = await later.make()
        if answer is not None:
            session.log.append(stream, answer.body)

    # What wants no answer.

    @staticmethod
    def take_note(message: Message, session: Session, exchange: Exchange, asked: Asked) -> None:
        """Act on a message that wants no answer.

        Raises:
            McpError: It is a malformed response, or one that cannot be taken.
        """
        asked.begin("legacy", message, session.revision.name)
        if isinstance(message, Response):
            exchange.then(_take_answer, message, session, asked)
        elif isinstance(message, Notification):
            if message.method == "notifications/initialized":
                session.record.initialized = True
            elif message.method == "notifications/cancelled":
                exchange.then(_cancel, message.params, session)
        elif isinstance(message, Malformed):
            exchange.then(session.pass_answer, message.id, None)
            raise message.error

    # Streams and endings.

    def listen(self, exchange: Exchange) -> None:
        """Open the stream that a GET reads, with a comment if what was asked for is not all there.

        An id in ``Last-Event-ID`` that is unknown here opens a new stream: a 404 would end the session.

        Raises:
            McpError: There is no such session, the revision is not spoken, or there are too many streams.
        """
        session, last_seen = self._existing_session(exchange), exchange.last_event_id
        has_gap = last_seen is not None and session.log.has_gap(last_seen)
        is_open = self._is_open(session, last_seen)
        limits = self._context.limits
        if not is_open:
            limits.check_streams(session, exchange)
            limits.check_hold(exchange.caller(), STREAM_BYTES, exchange)
        resumed = session.log.resume(last_seen) if last_seen else None
        stream = resumed or session.log.listen()
        session.follow_lists()
        exchange.then(self._watch_lists, session)
        # The priming event belongs on the streams of POST alone (Sending Messages, rule 6); clients that read
        # each event as JSON report one here as an error.
        stream_response = StreamResponse(
            session.log, stream, resumable=True, has_gap=has_gap, session=session.id
        )
        exchange.then(open_stream, exchange, stream_response, None, limits, is_open)

    @staticmethod
    def _is_open(session: Session, last_event_id: str | None) -> bool:
        """Return whether a client comes back to a stream that is still open, which takes no more room."""
        found = session.log.find(last_event_id) if last_event_id else None
        return found is not None and found.reader is not None

    def close(self, exchange: Exchange) -> None:
        """End the session of a DELETE.

        Raises:
            McpError: There is no such session, or the revision is not spoken.
        """
        session = self._existing_session(exchange)
        self._context.store.close(session.id, exchange.principal)

    def refuse_modern(self, exchange: Exchange) -> None:
        """Refuse a GET or DELETE of the modern era, which has neither.

        Raises:
            WrongHttpMethod: The version header names a modern revision, or only those are spoken.
        """
        revision = self._supported.get(exchange.version or "")
        if (revision is not None and revision.stateless) or not self._supported.legacy:
            raise WrongHttpMethod("The revision 2026-07-28 has no streams by GET and no sessions", ["POST"])

    def _existing_session(self, exchange: Exchange) -> Session:
        self.refuse_modern(exchange)
        exchange.reject_ambiguous()
        named = check_version_header(exchange.version, self._supported)
        session = self._session(exchange, named, may_create=False)
        if self.strict is not None:
            check_version_header_strictly(named, session.revision)
        return session

    def _listener(self, session: Session) -> _SessionListener:
        session.stay()
        return self._listeners.setdefault(session.id, _SessionListener(session))

    def _watch_lists(self, session: Session) -> None:
        listener = self._listener(session)
        subscriptions = self._context.subscriptions
        for which in LISTS:
            subscriptions.watch_list(which, listener)
        for uri in session.record.subscriptions:
            subscriptions.rewatch(uri, listener, session.principal)

    # Methods that only this era has.

    def _ping(self, _params: Raw, _call: Call) -> Any:
        return {}

    def _set_level(self, params: Raw, call: Call) -> Any:
        level = read_params(_read_level, params).level
        if level not in LOG_LEVELS:
            raise InvalidParams(f"Invalid log level {quoted(level)}; levels are {', '.join(LOG_LEVELS)}")
        _session_of(call).record.log_level = level
        return {}

    def _subscribe(self, params: Raw, call: Call) -> Any:
        session, uri = _session_of(call), read_params(read_uri, params).uri
        if not self._methods.has_resource(uri, call.principal):
            raise no_resource(uri)
        wanted = session.record.subscriptions | {uri}
        if len(wanted) > MAX_SUBSCRIPTIONS:
            raise InvalidParams(f"A session may subscribe to {MAX_SUBSCRIPTIONS} resources at most")
        session.record.subscriptions = wanted
        call.effects.then(self._watch, uri, session)
        return {}

    def _unsubscribe(self, params: Raw, call: Call) -> Any:
        session, uri = _session_of(call), read_params(read_uri, params).uri
        # What was subscribed to may be gone by now, and is let go of all the same.
        if uri not in session.record.subscriptions and not self._methods.has_resource(uri, call.principal):
            raise no_resource(uri)
        session.record.subscriptions -= {uri}
        call.effects.then(self._unwatch, uri, session)
        return {}

    def _watch(self, uri: str, session: Session) -> None:
        self._context.subscriptions.watch(uri, self._listener(session))

    def _unwatch(self, uri: str, session: Session) -> None:
        self._context.subscriptions.unwatch(uri, self._listener(session))


def _is_ping(message: Message | list[Message]) -> TypeGuard[Request]:
    return isinstance(message, Request) and message.method == "ping"


def _asks(message: Message | list[Message]) -> bool:
    """Return whether a body, which is no request, is an array with one in it."""
    return isinstance(message, list) and any(isinstance(each, Request) for each in message)


def _session_of(call: Call) -> Session:
    if call.session is None:
        raise SessionRequired("This method needs a session")
    return call.session


def _take_answer(response: Response, session: Session, asked: Asked) -> None:
    promise = session.take_expected(response.id)
    asked.stray = promise is None
    if promise is None:
        session.pass_answer(response.id, response)
    else:
        promise.keep(response)


def _cancel(params: Raw, session: Session) -> None:
    """Stop a request that is being worked on; unknown and finished ones are ignored, as they should be."""
    try:
        request_id: MessageId = _read_cancelled(params).requestId
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    running = session.running(request_id)
    if running is None:
        session.pass_cancellation(request_id)
    else:
        running.cancel()


def _refusal(request: Request, error: McpError) -> Reply:
    return Reply(error.status, error_bytes(request.id, error), error.headers)
