"""The HTTP face of the server: Klein routes for /mcp, /health and /ready."""

from __future__ import annotations

import gzip
from typing import cast

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from mcp_echo.config import Settings
from mcp_echo.protocol.accept import EVENT_STREAM, accepts_gzip, parse_accept
from mcp_echo.protocol.errors import (
    InternalError,
    InvalidRequest,
    McpError,
    NotAcceptable,
    RouteNotFound,
    WrongHttpMethod,
    WrongMediaType,
)
from mcp_echo.protocol.jsonrpc import Message, decode, encode, error_bytes
from mcp_echo.server import Carriage, Journal, Reply, Server
from mcp_echo.transport import sse
from mcp_echo.transport.callers import Callers
from mcp_echo.transport.exchange import HttpExchange, joined
from mcp_echo.transport.guards import Guards
from mcp_echo.transport.health import Health
from mcp_echo.transport.legacy_sse import MESSAGES_PATH, LegacySse
from mcp_echo.transport.request import EchoRequest
from mcp_echo.transport.routing import DirectResource
from mcp_echo.transport.streams import EventStream, Streams

COMPRESS_FROM = 1024
"""Smallest JSON answer worth compressing, in bytes."""


class StreamableHttp:
    """The Streamable HTTP transport of one server.

    Args:
        server: Answers the messages.
        settings: Limits, strictness, compression, keep-alives.
        health: Answers /health and /ready.
        streams: Keeps the event streams.
        journal: Where unexpected failures are written down.

    Raises:
        ValueError: A host or origin in the settings is malformed.
    """

    app = Klein()

    def __init__(
        self, server: Server, settings: Settings, health: Health, streams: Streams, journal: Journal
    ) -> None:
        self._server = server
        self._settings = settings
        self._health = health
        self._streams = streams
        self._journal = journal
        self._guards = Guards(settings)
        self._callers = Callers(settings)
        self._legacy_sse = LegacySse(server, settings.legacy_sse)

    def resource(self) -> DirectResource:
        """Return the root resource."""
        return DirectResource(self.app, self._failed, self.not_found)

    def _failed(self, request: IRequest, failure: Failure) -> bytes:
        if failure.check(McpError):
            return self._refuse(request, cast(McpError, failure.value))
        secrets = cast(EchoRequest, request).secrets()
        self._journal.failure("A request failed", failure=failure, secrets=secrets)
        return self._refuse(request, InternalError())

    @app.route("/mcp", methods=["POST"])
    def post(self, request: IRequest) -> Deferred[bytes | None] | bytes:
        """Take one JSON-RPC message, or a batch where the revision has them."""
        exchange = self._exchange(request)
        self._check_post(request, exchange)
        return self._answer(request, exchange, self._server.post(self._read(request, exchange), exchange))

    def _answer(
        self, request: IRequest, exchange: HttpExchange, reply: Reply | None
    ) -> Deferred[bytes | None] | bytes:
        """Send a reply, now or when it comes."""
        return exchange.done if reply is None else self._reply(request, reply)

    def _reply(self, request: IRequest, reply: Reply) -> bytes:
        if self._journal.verbose:
            self._journal.debug("Answer", status=reply.status, body=reply.body)
        return self._send(request, reply)

    @app.route("/mcp", methods=["GET"])
    def get(self, request: IRequest) -> Deferred[bytes | None]:
        """Carry a session's queue for as long as the client listens."""
        if request.method == b"HEAD":
            raise _wrong_method(["GET", "POST", "DELETE", "OPTIONS"])
        exchange = self._exchange(request)
        self._server.legacy.refuse_modern(exchange)
        if not exchange.accepted.event_stream or (
            self._settings.strict and not exchange.accepted.names_event_stream
        ):
            raise NotAcceptable(f"Not acceptable: GET is answered with {EVENT_STREAM}; list it in Accept")
        self._server.listen(exchange)
        return exchange.done

    @app.route("/mcp", methods=["DELETE"])
    def delete(self, request: IRequest) -> Deferred[bytes | None] | bytes:
        """End a session."""
        exchange = self._exchange(request)
        return self._answer(request, exchange, self._server.close(exchange))

    @app.route("/mcp", methods=["OPTIONS"])
    def options(self, request: IRequest) -> bytes:
        """Answer a browser's preflight."""
        self._guards.check(request)
        request.setHeader("Allow", ", ".join(self._guards.cors.methods))
        if request.getHeader(b"origin") is not None:
            requested = joined(request, b"access-control-request-headers")
            for name, value in self._guards.cors.preflight_headers(requested):
                request.setHeader(name, value)
        request.setResponseCode(204)
        return b""

    @app.route("/sse", methods=["GET"])
    def open_sse(self, request: IRequest) -> Deferred[bytes | None]:
        """Open the stream of a client of revision 2024-11-05."""
        if request.method == b"HEAD":
            raise _wrong_method(["GET"])
        return self._legacy_sse.open(self._exchange(request))

    @app.route(MESSAGES_PATH, methods=["POST"])
    def post_sse(self, request: IRequest) -> Deferred[bytes | None] | bytes:
        """Take a message of a client of revision 2024-11-05."""
        exchange = self._exchange(request)
        message = self._read(request, exchange)
        named = request.args.get(b"session_id")
        session_id = named[0].decode("latin-1") if named else None
        return self._answer(request, exchange, self._legacy_sse.post(message, session_id, exchange))

    @app.route("/health", methods=["GET"])
    def health(self, request: IRequest) -> bytes:
        """Say that the process is alive, with its session counts; any Host may ask."""
        self._guards.check_origin(request)
        return self._send(request, Reply(200, encode(self._health.health())))

    @app.route("/ready", methods=["GET"])
    def ready(self, request: IRequest) -> bytes:
        """Say whether new requests should be sent here; any Host may ask."""
        self._guards.check_origin(request)
        status, body = self._health.ready()
        return self._send(request, Reply(status, encode(body)))

    @app.handle_errors(HTTPException)
    def not_routed(self, request: IRequest, failure: Failure) -> bytes:
        """Answer a request that fits no route."""
        reason = failure.value
        if isinstance(reason, MethodNotAllowed):
            allowed = sorted(set(reason.valid_methods or ()) - {"HEAD"})
            return self._refuse(request, _wrong_method(allowed))
        return self.not_found(request)

    def not_found(self, request: IRequest) -> bytes:
        """Answer a request for a path that does not exist; the ones that do are plain ASCII."""
        return self._refuse(request, RouteNotFound("Not found; this server has /mcp, /health and /ready"))

    def _refuse(self, request: IRequest, error: McpError) -> bytes:
        if self._server.tally is not None:
            self._server.tally.refused_with(error.status)
        body = self._send(request, Reply(error.status, error_bytes(None, error), error.headers))
        # Klein would send it in chunks.
        request.setHeader(b"content-length", b"%d" % len(body))
        return body

    def _exchange(self, request: IRequest) -> HttpExchange:
        self._guards.check(request)
        if self._settings.strict:
            _check_query(request)
        now = self._server.facts.now()
        return HttpExchange(cast(EchoRequest, request), now, self._carry, self._reply, self._callers)

    def _read(self, request: IRequest, exchange: HttpExchange) -> Message | list[Message]:
        body = request.content.read()
        if self._journal.verbose:
            self._journal.debug("Request", body=body, peer=exchange.caller().address)
        return decode(body, self._settings.max_batch, self._settings.max_json_values)

    def _check_post(self, request: IRequest, exchange: HttpExchange) -> None:
        accepted = exchange.accepted
        if not (accepted.json or accepted.event_stream):
            raise NotAcceptable(f"Not acceptable: answers are application/json or {EVENT_STREAM}")
        if not self._settings.strict:
            return
        if not (accepted.names_json and accepted.names_event_stream):
            raise NotAcceptable(f"Not acceptable: Accept must list application/json and {EVENT_STREAM}")
        media_type = (request.getHeader(b"content-type") or b"").partition(b";")[0].strip().lower()
        if media_type != b"application/json":
            raise WrongMediaType("Unsupported media type: Content-Type must be application/json")

    def _carry(self, request: EchoRequest, carriage: Carriage, opening: bytes | None) -> Deferred[None]:
        request.setHeader(b"content-type", EVENT_STREAM.encode())
        request.setHeader(b"cache-control", b"no-cache, no-transform")
        # nginx and others pass on at once what they would otherwise collect.
        request.setHeader(b"x-accel-buffering", b"no")
        if opening is None:
            opening = sse.OPENING_COMMENT
            if carriage.primed:
                opening = sse.priming(carriage.log.position(carriage.stream))
        if carriage.has_gap:
            opening = sse.GAP_COMMENT + opening
        keep_alive = self._keep_alive(request, carriage)
        running = self._streams.carry(
            EventStream(request, carriage, opening, keep_alive, self._streams.written)
        )
        if carriage.stream.listening or carriage.farewell is not None:
            request.forget()
        return running

    def _keep_alive(self, request: EchoRequest, carriage: Carriage) -> bytes:
        """Return the keep-alive that a stream's reader takes.

        Several MCP clients log a warning for each event that they do not know; readers that ask for events
        alone, such as EventSource, see an event and never a comment.
        """
        style = self._settings.keepalive_style if carriage.stream.listening else "comment"
        # A stream of /sse cannot be resumed, and only MCP clients read one.
        if style == "auto" and carriage.resumable:
            accepted = parse_accept(joined(request, b"accept"))
            return sse.KEEP_ALIVE_EVENT if accepted.event_stream_alone else sse.KEEP_ALIVE_COMMENT
        return sse.KEEP_ALIVE_EVENT if style == "event" else sse.KEEP_ALIVE_COMMENT

    def _send(self, request: IRequest, reply: Reply) -> bytes:
        body = reply.body
        request.setResponseCode(reply.status)
        if body:
            request.setHeader(b"content-type", b"application/json")
            # The answer to a POST is not cached unless it says so (RFC 9110 section 9.3.3).
            if reply.status != 200 or request.method != b"POST":
                request.setHeader(b"cache-control", b"no-store")
                request.setHeader(b"x-content-type-options", b"nosniff")
            body = self._compressed(request, body)
        for name, value in reply.headers.items():
            request.setHeader(name, value)
        return body

    def _compressed(self, request: IRequest, body: bytes) -> bytes:
        if not self._settings.enable_compression:
            return body
        request.responseHeaders.addRawHeader(b"vary", b"Accept-Encoding")
        if len(body) < COMPRESS_FROM or not accepts_gzip(joined(request, b"accept-encoding")):
            return body
        request.setHeader(b"content-encoding", b"gzip")
        return gzip.compress(body, compresslevel=6, mtime=0)


def _check_query(request: IRequest) -> None:
    """Refuse an access token in the URL (RFC 6750 section 2.3; basic/authorization, Token Requirements)."""
    if request.args is not None and b"access_token" in request.args:
        raise InvalidRequest("Invalid request: an access token must not be in the URL; use Authorization")


def _wrong_method(allowed: list[str]) -> WrongHttpMethod:
    return WrongHttpMethod(f"Method not allowed; this path takes {', '.join(allowed)}", allowed)
