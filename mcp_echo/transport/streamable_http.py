"""The HTTP face of the server: Klein routes for /mcp, /health and /ready."""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Coroutine
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mcp_echo.eras.exchange import Reply, StreamResponse
from mcp_echo.eras.server import Server
from mcp_echo.http.accept import EVENT_STREAM, Accepted, accepts_gzip, parse_accept
from mcp_echo.protocol.errors import (
    InternalError,
    InvalidRequest,
    McpError,
    NotAcceptable,
    WrongMediaType,
)
from mcp_echo.protocol.jsonrpc import Message, decode, encode, error_bytes
from mcp_echo.redaction import quoted
from mcp_echo.settings.table import Settings
from mcp_echo.transport import sse
from mcp_echo.transport.edge.answer import JSON, UNCACHED, Lines, lines_of
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.transport.edge.head import Head
from mcp_echo.transport.exchange import McpExchange
from mcp_echo.transport.guards import Guards, check_json
from mcp_echo.transport.health import Health
from mcp_echo.transport.identity import CallerIdentity
from mcp_echo.transport.landing import Landing
from mcp_echo.transport.legacy_sse import MESSAGES_PATH, LegacySse
from mcp_echo.transport.oauth.assembly import OAuth
from mcp_echo.transport.oauth.guard import TakenToken, TokenGuard
from mcp_echo.transport.routing import Handler, Routes, wrong_method
from mcp_echo.transport.streams import EventStream, Streams
from mcp_echo.transport.telling import tell_answer, tell_request
from mcp_echo.transport.trace_routes import TraceRoutes
from mcp_echo.watch.journal import Journal

COMPRESS_FROM = 1024
"""Smallest JSON answer worth compressing, in bytes."""

_WHOLE_SERVER = b"*"
"""What OPTIONS alone may ask about (RFC 9110 section 9.3.7)."""
_FOR_ANY_HOST = frozenset({b"/health", b"/ready"})

_JSON: tuple[bytes, ...] = (JSON,)
_JSON_UNCACHED = (JSON, *UNCACHED)

_HERE = "Streamable HTTP is at /mcp, and this server has /health and /ready"
_INSTEAD = {b"/sse": "Streamable HTTP is at /mcp"}
"""Path → what to tell a client whose method it does not take."""
_MEANT = {
    "mcp": "MCP is at /mcp, spelled exactly so",
    "sse": "the transport of 2024-11-05 is at /sse, spelled exactly so",
    "messages": "messages of the transport of 2024-11-05 go to /messages, spelled exactly so",
    "health": "it is /health, spelled exactly so",
    "ready": "it is /ready, spelled exactly so",
}
"""Path in lower case, without slashes at its ends → what to tell a client that spells it otherwise."""


class StreamableHttp:
    """The Streamable HTTP transport of one server.

    Args:
        server: Answers the messages.
        settings: Limits, strictness, compression, keep-alives.
        health: Answers /health and /ready.
        streams: Keeps the event streams.
        journal: Where unexpected failures are written down.
        traces: What is below /t/ and /v/, and the trace of /mcp; None where nothing is recorded.
        landing: Answers GET /, and gives the files that pages load.
        oauth: Who may use what is protected; None where nothing can be.

    Raises:
        ValueError: A host or origin in the settings is malformed.
    """

    app = Klein()

    def __init__(
        self,
        *,
        server: Server,
        settings: Settings,
        health: Health,
        streams: Streams,
        journal: Journal,
        traces: TraceRoutes | None,
        landing: Landing,
        oauth: OAuth | None,
    ) -> None:
        self._server = server
        self._settings = settings
        self._health = health
        self._streams = streams
        self._journal = journal
        self._traces = traces
        self._landing = landing
        self._tokens = None if oauth is None else oauth.guard
        self._guards = Guards(settings)
        self._identity = CallerIdentity(settings)
        self._legacy_sse = LegacySse(server, settings.legacy_sse)
        self._routes = Routes(self.app, self, _MEANT, _HERE, _INSTEAD)
        self._find = self._routes.handlers.get
        self._admit = None if traces is None else traces.admit
        if traces is not None:
            traces.again = self.answer
            traces.seam.failed = self._failed
            traces.seam.end_session = self._end_session

    def answer(self, exchange: HttpExchange) -> None:
        """Answer a request, by its route or by what keeps it from one."""
        head = exchange.head
        handler = self._find((head.path, head.method))
        try:
            if handler is None:
                handler = self._otherwise(exchange)
            elif self._admit is not None and head.path not in _FOR_ANY_HOST:
                self._admit(exchange.seen)
            if handler is not None:
                # Only a token can have to be waited for.
                if self._tokens is not None and b"authorization" in head.fields:
                    later = self._once_ready(exchange, handler, self._tokens)
                else:
                    later = handler(exchange)
                if later is not None:
                    Deferred.fromCoroutine(later).addErrback(partial(self._failed, exchange))
                return
            self._guard(exchange)
            if head.path == _WHOLE_SERVER:
                exchange.reply(204)
                return
            raise self._routes.refusal(head.path)
        except Exception:
            self._failed(exchange, Failure())

    def _otherwise(self, exchange: HttpExchange) -> Handler | None:
        """Return what answers a request that no route does: a page, or a trace."""
        shown = self._landing.find(exchange)
        if shown is not None or self._traces is None or exchange.head.path in _FOR_ANY_HOST:
            return shown
        return self._traces.find(exchange, self._find)

    def _once_ready(
        self, exchange: HttpExchange, handler: Handler, tokens: TokenGuard
    ) -> Coroutine[Any, Any, None] | None:
        """Answer a request once it is known whose token it brings; nearly always that is now."""
        waiting = tokens.preparing(exchange)
        return handler(exchange) if waiting is None else self._when(waiting, exchange, handler)

    @staticmethod
    async def _when(waiting: Awaitable[object], exchange: HttpExchange, handler: Handler) -> None:
        """Answer a request when something has been waited for, if its client has waited as well."""
        await waiting
        later = None if exchange.transport is None else handler(exchange)
        if later is not None:
            await later

    def refusal_lines(self, head: Head) -> Lines:
        """Return the CORS headers that a page needs to see why its request was refused."""
        return self._guards.cors_lines(head)

    def _guard(self, exchange: HttpExchange) -> None:
        """Check who may talk to the server at all; any Host may ask for its health."""
        if exchange.head.path in _FOR_ANY_HOST:
            self._guards.check_origin(exchange)
        else:
            self._guards.check(exchange)

    def _failed(self, exchange: HttpExchange, failure: Failure) -> None:
        error = failure.value
        if not isinstance(error, McpError):
            self._journal.failure("A request failed", failure=failure, secrets=exchange.secrets())
            error = InternalError()
        self._refuse(exchange, error)

    @app.route("/mcp", methods=["POST"])
    @app.route("/mcp/", methods=["POST"])
    def post(self, http: HttpExchange) -> None:
        """Take one JSON-RPC message, or a batch where the revision has them."""
        exchange = self._exchange(http)
        self._check_post(http, exchange)
        self._send(http, self._server.post(self._read_allowed(http, exchange), exchange))

    @app.route("/mcp", methods=["GET"])
    @app.route("/mcp/", methods=["GET"])
    def get(self, http: HttpExchange) -> None:
        """Carry a session's queue for as long as the client listens."""
        if http.head.method == b"HEAD":
            raise wrong_method(["GET", "POST", "DELETE", "OPTIONS"])
        exchange = self._exchange(http)
        self._check_scopes(http, exchange, None)
        self._server.legacy.refuse_modern(exchange)
        if not exchange.accepted.event_stream or (
            exchange.strict and not exchange.accepted.names_event_stream
        ):
            raise NotAcceptable(f"Not acceptable: GET is answered with {EVENT_STREAM}; list it in Accept")
        self._server.listen(exchange)

    @app.route("/mcp", methods=["DELETE"])
    @app.route("/mcp/", methods=["DELETE"])
    def delete(self, http: HttpExchange) -> None:
        """End a session."""
        exchange = self._exchange(http)
        # Whoever may no longer use its session may still end it.
        self._send(http, self._server.close(exchange))

    @app.route("/mcp", methods=["OPTIONS"])
    @app.route("/mcp/", methods=["OPTIONS"])
    def options(self, http: HttpExchange) -> None:
        """Answer a browser's preflight."""
        self._guards.check(http)
        http.add_header(b"Allow", ", ".join(self._guards.cors.methods).encode())
        if b"origin" in http.head.fields:
            requested = http.joined(b"access-control-request-headers")
            http.lines.extend(lines_of(self._guards.cors.preflight_headers(requested)))
        http.reply(204)

    @app.route("/sse", methods=["GET"])
    def open_sse(self, http: HttpExchange) -> None:
        """Open the stream of a client of revision 2024-11-05."""
        if http.head.method == b"HEAD":
            raise wrong_method(["GET"])
        exchange = self._exchange(http)
        self._check_scopes(http, exchange, None)
        self._legacy_sse.open(exchange)

    @app.route(MESSAGES_PATH, methods=["POST"])
    def post_sse(self, http: HttpExchange) -> None:
        """Take a message of a client of revision 2024-11-05."""
        exchange = self._exchange(http)
        message = self._read_allowed(http, exchange)
        named = _query(http).get("session_id")
        self._send(http, self._legacy_sse.post(message, named[0] if named else None, exchange))

    @app.route("/health", methods=["GET"])
    def health(self, http: HttpExchange) -> None:
        """Say that the process is alive, with its session counts; any Host may ask."""
        self._guards.check_origin(http)
        self._send(http, Reply(200, encode(self._health.health())))

    @app.route("/ready", methods=["GET"])
    def ready(self, http: HttpExchange) -> None:
        """Say whether new requests should be sent here; any Host may ask."""
        self._guards.check_origin(http)
        status, body = self._health.ready()
        self._send(http, Reply(status, encode(body)))

    def _end_session(self, http: HttpExchange) -> Deferred[None]:
        """End the session that a request names, whatever the request asks for, without an answer."""
        ended: Deferred[None] = Deferred()

        def over(_http: HttpExchange, _outcome: object) -> None:
            ended.callback(None)

        exchange = McpExchange(http, self._carry, over, over, self._identity, strict=False)
        try:
            if self._server.close(exchange) is not None:
                ended.callback(None)
        except McpError:
            ended.callback(None)
        return ended

    def _refuse(self, http: HttpExchange, error: McpError) -> None:
        http.seen.refusal, http.seen.outcome = error, None
        self._send(http, Reply(error.status, error_bytes(None, error), error.headers))

    def _exchange(self, http: HttpExchange) -> McpExchange:
        self._guards.check(http)
        exchange = McpExchange(
            http, self._carry, self._send, self._failed, self._identity, strict=self._settings.strict
        )
        if exchange.strict:
            _check_query(http)
        trace = http.seen.trace
        # Nearly nothing is protected, and what is has its protection among the parts of its trace.
        if self._tokens is not None and (self._tokens.asks_plain or (trace is not None and trace.parts)):
            token = self._token(http, self._tokens)
            if token is not None:
                exchange.belongs_to(token)
        return exchange

    @staticmethod
    def _token(http: HttpExchange, tokens: TokenGuard) -> TakenToken | None:
        """Return the token of a request, or refuse it with its message told of."""
        try:
            return tokens.check(http)
        except McpError:
            # The message says which revision its client speaks, and so what it makes of this is held to.
            if http.body:
                tell_request(http)
            raise

    def _read_allowed(self, http: HttpExchange, exchange: McpExchange) -> Message | list[Message]:
        """Return the message of a request, which its token has the scopes for."""
        message = self._read(http)
        if exchange.token is not None:
            self._check_scopes(http, exchange, *(message if isinstance(message, list) else [message]))
        return message

    def _check_scopes(self, http: HttpExchange, exchange: McpExchange, *messages: Message | None) -> None:
        if self._tokens is not None and exchange.token is not None:
            self._tokens.check_scopes(http, messages, exchange.token)

    def _read(self, http: HttpExchange) -> Message | list[Message]:
        tell_request(http)
        return decode(http.body, self._settings.max_batch, self._settings.max_json_values)

    def _check_post(self, http: HttpExchange, exchange: McpExchange) -> None:
        accepted = exchange.accepted
        if not (accepted.json or accepted.event_stream):
            raise NotAcceptable(f"Not acceptable: answers are application/json or {EVENT_STREAM}")
        coding = http.head.fields.get(b"content-encoding")
        if coding is not None and [each.lower() for each in coding] != [b"identity"]:
            shown = quoted(http.joined(b"content-encoding") or "")
            raise WrongMediaType(
                f"Unsupported media type: the body has the Content-Encoding {shown}; send it as it is"
            )
        if exchange.strict:
            _check_post_strictly(http, accepted)

    def _carry(
        self,
        http: HttpExchange,
        stream_response: StreamResponse,
        opening: bytes | None,
        token: TakenToken | None,
    ) -> Deferred[None]:
        http.add_header(b"Content-Type", EVENT_STREAM.encode())
        http.add_header(b"Cache-Control", b"no-cache, no-transform")
        # nginx and others pass on at once what they would otherwise collect.
        http.add_header(b"X-Accel-Buffering", b"no")
        if opening is None:
            opening = sse.OPENING_COMMENT
            if stream_response.primed:
                opening = sse.priming(stream_response.log.position(stream_response.stream))
        if stream_response.has_gap:
            opening = sse.GAP_COMMENT + opening
        keep_alive = self._keep_alive(http, stream_response)
        tell_answer(http, 200)
        lease = None if token is None or self._tokens is None else self._tokens.lease(http, token)
        stream = EventStream(http, stream_response, opening, keep_alive, self._streams, lease=lease)
        running = self._streams.carry(stream)
        if stream_response.stream.listening or stream_response.farewell is not None:
            http.forget()
        return running

    def _keep_alive(self, http: HttpExchange, stream_response: StreamResponse) -> bytes:
        """Return the keep-alive that a stream's reader takes.

        Several MCP clients log a warning for each event that they do not know; readers that ask for events
        alone, such as EventSource, see an event and never a comment.
        """
        style = self._settings.keepalive_style if stream_response.stream.listening else "comment"
        # A stream of /sse cannot be resumed, and only MCP clients read one.
        if style == "auto" and stream_response.resumable:
            accepted = parse_accept(http.joined(b"accept"))
            return sse.KEEP_ALIVE_EVENT if accepted.event_stream_alone else sse.KEEP_ALIVE_COMMENT
        return sse.KEEP_ALIVE_EVENT if style == "event" else sse.KEEP_ALIVE_COMMENT

    def _send(self, http: HttpExchange, reply: Reply | None) -> None:
        """Send a reply; there is none yet where an event stream or later work answers."""
        if reply is None:
            return
        body = reply.body
        if body:
            lines = _JSON
            # The answer to a POST is not cached unless it says so (RFC 9110 section 9.3.3).
            if reply.status != 200 or http.head.method != b"POST":
                lines = _JSON_UNCACHED
            http.lines.extend(lines)
            if self._settings.enable_compression:
                body = self._compressed(http, body)
        if reply.headers:
            http.lines.extend(lines_of(reply.headers.items()))
        tell_answer(http, reply.status, reply.body)
        http.reply(reply.status, body)

    @staticmethod
    def _compressed(http: HttpExchange, body: bytes) -> bytes:
        http.add_header(b"Vary", b"Accept-Encoding")
        if len(body) < COMPRESS_FROM or not accepts_gzip(http.joined(b"accept-encoding")):
            return body
        http.add_header(b"Content-Encoding", b"gzip")
        return gzip.compress(body, compresslevel=6, mtime=0)


def _check_post_strictly(http: HttpExchange, accepted: Accepted) -> None:
    """Insist on what clients must send and most servers do not need (basic/transports, Sending Messages)."""
    if not (accepted.names_json and accepted.names_event_stream):
        raise NotAcceptable(f"Not acceptable: Accept must list application/json and {EVENT_STREAM}")
    check_json(http)


def _query(http: HttpExchange) -> dict[str, list[str]]:
    """Return the parameters of the query: name → values."""
    return parse_qs(http.head.query.decode("latin-1"), keep_blank_values=True, encoding="latin-1")


def _check_query(http: HttpExchange) -> None:
    """Refuse an access token in the URL (RFC 6750 section 2.3; basic/authorization, Token Requirements)."""
    if "access_token" in _query(http):
        raise InvalidRequest("Invalid request: an access token must not be in the URL; use Authorization")
