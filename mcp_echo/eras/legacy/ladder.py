"""The legacy era: sessions made by ``initialize``, found by ``Mcp-Session-Id``.

https://modelcontextprotocol.io/specification/2025-11-25/basic/transports and …/basic/lifecycle
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from mcp_echo.eras.clients import describe_client
from mcp_echo.eras.exchange import Exchange, Reply, StreamResponse, Timers, open_stream
from mcp_echo.eras.legacy.answering import Answering
from mcp_echo.eras.legacy.back_channel import LegacyBackChannel
from mcp_echo.eras.legacy.batch import Batch, check_batches, check_no_initialize
from mcp_echo.eras.legacy.methods import SessionMethods
from mcp_echo.eras.legacy.notes import take_note
from mcp_echo.eras.legacy.strict import Strictness
from mcp_echo.eras.methods import INSTRUCTIONS, Methods
from mcp_echo.eras.refusals import refuse
from mcp_echo.eras.running import Runner
from mcp_echo.protocol.errors import (
    InvalidParams,
    InvalidRequest,
    McpError,
    SessionNotFound,
    SessionRequired,
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
from mcp_echo.protocol.jsonrpc import Message, Request, result_bytes
from mcp_echo.protocol.meta import check_meta
from mcp_echo.protocol.revisions import LEGACY, Revision
from mcp_echo.protocol.session_ids import node_tag
from mcp_echo.sessions.event_log import Stream
from mcp_echo.sessions.held import STREAM_BYTES
from mcp_echo.sessions.key import session_key
from mcp_echo.sessions.session import UNKNOWN_CLIENT, Client, Session, Terms
from mcp_echo.sessions.tombstones import fate
from mcp_echo.watch.journal import Journal

_SESSION_REQUIRED = {
    "GET": (
        "Mcp-Session-Id header required: a GET without one is how the transport of 2024-11-05 (HTTP+SSE) "
        "begins. Use Streamable HTTP and POST initialize here, or /sse of a server started with --legacy-sse"
    )
}
"""HTTP method → what to tell a client that names no session; `_INITIALIZE_FIRST` for all others."""
_INITIALIZE_FIRST = "Mcp-Session-Id header required: send initialize to get a session"


class LegacyEra:
    """Serves the revisions with a handshake and sessions.

    Args:
        methods: What the server can do.
        journal: Where unexpected failures are written down.
        timers: Ways to wait.
        runner: Has requests worked on.
    """

    def __init__(self, methods: Methods, journal: Journal, timers: Timers, runner: Runner) -> None:
        self._methods = methods
        self._context = methods.context
        self._tag = node_tag(methods.context.store.node)
        self._supported = methods.supported
        self._own = SessionMethods(methods)
        self.answering = Answering(methods.context, self._own.table, journal, timers, runner)
        """What answers its requests."""
        self.strict = Strictness(self.methods)
        """What is asked of strict exchanges beyond what is asked of all."""

    @property
    def methods(self) -> frozenset[str]:
        """The methods it knows."""
        return frozenset({*self._own.table, "initialize"})

    # The ladder: one POST body, the first failing rung answers.

    def post(self, message: Message | list[Message], exchange: Exchange) -> Reply | None:
        """Return the reply to one POST body; None when an event stream or later work answers.

        Raises:
            McpError: The whole POST is refused.
        """
        exchange.seen.era = "legacy"
        exchange.reject_ambiguous()
        named = check_version_header(exchange.version, self._supported)
        if isinstance(message, Request):
            return self._request(message, named, exchange)
        if isinstance(message, list):
            return self._array(message, named, exchange)
        session = self._session(exchange, named, may_create=False, notice=True)
        if exchange.strict:
            self.strict.check(message, session, named, exchange)
        take_note(message, session, exchange, exchange.seen)
        return Reply(202)

    def _request(self, request: Request, named: Revision | None, exchange: Exchange) -> Reply | None:
        if request.method == "initialize":
            return self._initialize(request, exchange)
        if request.method == "ping" and exchange.session_id is None and not exchange.strict:
            # Needs no state, so none is made: a prober must not fill the store.
            exchange.seen.begin("legacy", request, None if named is None else named.name)
            exchange.seen.end(exchange.seen.elapsed())
            return Reply(200, result_bytes(request.id, {}))
        session = self._session(exchange, named, may_create=True)
        if exchange.strict:
            self.strict.check(request, session, named, exchange)
        return self.answering.answer(request, LegacyBackChannel(session, exchange, self.answering.asking))

    def _array(self, messages: list[Message], named: Revision | None, exchange: Exchange) -> Reply | None:
        if exchange.session_id is None:
            # Before a session is made for it, which a refused array would leave behind.
            check_batches(named or self._supported.assumed)
            check_no_initialize(messages)
        asks = any(isinstance(each, Request) for each in messages)
        session = self._session(exchange, named, may_create=True, notice=not asks)
        if exchange.strict:
            self.strict.check(messages, session, named, exchange)
        back_channel = LegacyBackChannel(session, exchange, self.answering.asking)
        return Batch(back_channel, self.answering).answer(messages)

    def _session(
        self, exchange: Exchange, named: Revision | None, *, may_create: bool, notice: bool = False
    ) -> Session:
        """Return the session a request belongs to; without an id one is made, where that is allowed."""
        if exchange.session_id is not None:
            session = self._use(exchange.session_id, exchange, notice=notice)
            seen = exchange.seen
            seen.session, seen.client, seen.revision = session.id, session.client, session.revision.name
            return session
        revision = named or self._supported.assumed
        if exchange.strict or not may_create or revision is None:
            raise SessionRequired(_SESSION_REQUIRED.get(exchange.http_method, _INITIALIZE_FIRST))
        session = self.new_session(exchange, revision, UNKNOWN_CLIENT)
        exchange.then(exchange.announce, session)
        return session

    def _use(self, session_id: str, exchange: Exchange, *, notice: bool = False) -> Session:
        """Return a session; see `SessionStore.use`. Its owner is told what became of one that is gone."""
        try:
            return self._context.store.use(session_id, exchange.principal, notice=notice)
        except SessionNotFound:
            tombstone = self._context.tombstones.find(session_id, exchange.principal)
            exchange.seen.tombstone = tombstone
            raise SessionNotFound(None if tombstone is None else fate(tombstone)) from None

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
        session = store.create(session_key(exchange.principal, self._tag), terms, address)
        exchange.then(exchange.began, session)
        return session

    def session_ended(self, session_id: str) -> None:
        """Tell a session that is over nothing more."""
        self.strict.ended(session_id)
        self._own.session_ended(session_id)

    # The handshake.

    def _initialize(self, request: Request, exchange: Exchange) -> Reply | None:
        if exchange.session_id is not None:
            self._use(exchange.session_id, exchange)
            raise InvalidRequest(
                "This session has begun already; send initialize without Mcp-Session-Id to begin another"
            )
        if exchange.strict:
            check_initialize_header(exchange.version, request.params)
        params, revision = self._negotiate(request.params, exchange)
        session = self.new_session(exchange, revision, describe_client(params))
        if exchange.strict:
            self.strict.began(session, request.id, exchange)
        exchange.then(exchange.announce, session)
        session.record.requests += 1
        body = result_bytes(request.id, self.initialize_result(revision))
        session.answered(self._context.now() - exchange.arrived)
        seen = exchange.seen
        seen.begin("legacy", request, revision.name)
        seen.end(seen.elapsed())
        return LegacyBackChannel(session, exchange, self.answering.asking).finish(Reply(200, body))

    def _negotiate(self, params: Raw, exchange: Exchange) -> tuple[Initialize, Revision]:
        """Return the params of an ``initialize`` and the revision to answer it with.

        Raises:
            McpError: The params are wrong, or the legacy era is switched off.
        """
        if exchange.strict:
            check_meta(params, self._supported.negotiate(asked_for(params) or "") or LEGACY[0])
        read = read_initialize(params, exchange.strict)
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

    # Streams and endings.

    def listen(self, exchange: Exchange) -> None:
        """Open the stream that a GET reads, with a comment if what was asked for is not all there.

        An id in ``Last-Event-ID`` that is unknown here opens a new stream: a 404 would end the session.

        Raises:
            McpError: There is no such session, the revision is not spoken, or there are too many streams.
        """
        session, last_seen = self._existing_session(exchange), exchange.last_event_id
        has_gap = last_seen is not None and session.log.has_gap(last_seen)
        if has_gap:
            exchange.seen.gap = "the messages after it are gone, or no stream of this session has it"
        is_open = self._is_open(session, last_seen)
        limits = self._context.limits
        if not is_open:
            limits.check_streams(session, exchange)
            limits.check_hold(exchange.caller(), STREAM_BYTES, exchange)
        resumed = session.log.resume(last_seen) if last_seen else None
        stream = resumed or session.log.listen()
        session.follow_lists()
        exchange.then(self._own.watch_lists, session)
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
            raise WrongHttpMethod(
                "Revision 2026-07-28 has no sessions, and opens no streams with GET", ["POST"]
            )

    def _existing_session(self, exchange: Exchange) -> Session:
        self.refuse_modern(exchange)
        exchange.reject_ambiguous()
        named = check_version_header(exchange.version, self._supported)
        session = self._session(exchange, named, may_create=False)
        if exchange.strict:
            check_version_header_strictly(named, session.revision)
        return session

    # The transport of 2024-11-05.

    def post_to_stream(self, message: Message, session: Session, stream: Stream, exchange: Exchange) -> None:
        """Take a message whose answer goes to its session's one stream.

        Raises:
            McpError: It breaks a rule that strict mode enforces.
        """
        if exchange.strict:
            self.strict.check(message, session, None, exchange, has_header=False)
        if not isinstance(message, Request):
            take_note(message, session, exchange, exchange.seen)
        elif message.method == "initialize":
            session.log.append(stream, self._initialize_on_stream(message, session, exchange))
        else:
            back_channel = LegacyBackChannel(session, exchange, self.answering.asking)
            self.answering.append(message, back_channel, stream)

    def _initialize_on_stream(self, request: Request, session: Session, exchange: Exchange) -> bytes:
        try:
            params, revision = self._negotiate(request.params, exchange)
        except McpError as error:
            return refuse(request, exchange, exchange.seen, error, "legacy")
        session.record.requests += 1
        exchange.seen.begin("legacy", request, revision.name)
        exchange.seen.end(exchange.seen.elapsed())
        session.speak(revision, describe_client(params))
        return result_bytes(request.id, self.initialize_result(revision))
