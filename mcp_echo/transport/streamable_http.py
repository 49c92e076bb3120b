"""The HTTP face of the server: Klein routes for /mcp, /health and /ready."""

from __future__ import annotations

import gzip
from typing import Any, cast

from klein import Klein
from klein.resource import KleinResource
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from mcp_echo.config import Settings
from mcp_echo.protocol.accept import EVENT_STREAM, accepts_gzip, parse_accept
from mcp_echo.protocol.errors import (
    BodyTooLarge,
    InternalError,
    InvalidRequest,
    McpError,
    NotAcceptable,
    RouteNotFound,
    WrongHttpMethod,
    WrongMediaType,
)
from mcp_echo.protocol.headers import Headers
from mcp_echo.protocol.jsonrpc import decode, encode, error_bytes
from mcp_echo.server import Journal, Reply, Server
from mcp_echo.state.events import Stream
from mcp_echo.state.session import Session
from mcp_echo.transport import sse
from mcp_echo.transport.guards import Guards
from mcp_echo.transport.health import Health
from mcp_echo.transport.site import EchoRequest
from mcp_echo.transport.streams import EventStream, Streams

COMPRESS_FROM = 1024
"""Smallest JSON answer worth compressing, in bytes."""


class HttpExchange:
    """One request to /mcp, as `mcp_echo.server` wants to know it.

    Args:
        request: The HTTP request.
        http: The face it came in through.
        arrived: Seconds of the steady clock.
    """

    principal: str | None = None
    """Nobody vouches for callers."""

    def __init__(self, request: EchoRequest, http: StreamableHttp, arrived: float) -> None:
        self._request = request
        self._http = http
        self.arrived = arrived
        self.accepted = parse_accept(_joined(request, b"accept"))
        self.session_id = _single(request, b"mcp-session-id")
        self.version = _single(request, b"mcp-protocol-version")
        self.last_event_id = _single(request, b"last-event-id")
        self.over: Deferred[None] | None = None
        """Fires when the event stream that answers the request is over; None while there is none."""

    @property
    def http_method(self) -> str:
        """The HTTP method."""
        return str(self._request.method.decode("ascii", "backslashreplace"))

    @property
    def peer(self) -> str:
        """The address the request came from."""
        return str(self._request.getClientAddress())

    def headers(self) -> Headers:
        """Return the header fields as they came."""
        return self._request.wire_headers()

    def announce(self, session: Session) -> None:
        """Send the session's id in the response head."""
        self._request.setHeader(b"mcp-session-id", session.id.encode())

    def open_stream(self, session: Session, stream: Stream) -> None:
        """Answer with an event stream."""
        self.over = self._http.open_stream(self._request, session, stream)


def _single(request: IRequest, name: bytes) -> str | None:
    """Return the value of a header that may come once.

    Raises:
        InvalidRequest: It came twice, with different values.
    """
    values = request.requestHeaders.getRawHeaders(name)
    if not values:
        return None
    if len(values) > 1 and len(set(values)) > 1:
        raise InvalidRequest(f"Invalid request: {name.decode()} is given {len(values)} times")
    return str(values[0].decode("latin-1"))


def _joined(request: IRequest, name: bytes) -> str | None:
    """Return the value of a list header, which may be spread over several lines (RFC 9110 section 5.3)."""
    values = request.requestHeaders.getRawHeaders(name)
    return b", ".join(values).decode("latin-1") if values else None


class _Root(KleinResource):
    """Klein's resource, which logs a traceback and answers in plain text when a path is not UTF-8."""

    def __init__(self, http: StreamableHttp) -> None:
        super().__init__(http.app)
        self._http = http

    def render(self, request: IRequest) -> Any:
        """Answer a request by its route."""
        if not request.path.isascii() or b"%" in request.path:
            return self._http.not_found(request)
        return super().render(request)


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
        self._listen_keep_alive = (
            sse.KEEP_ALIVE_EVENT if settings.keepalive_style == "event" else sse.KEEP_ALIVE_COMMENT
        )

    def resource(self) -> KleinResource:
        """Return the root resource."""
        return _Root(self)

    @app.route("/mcp", methods=["POST"])
    def post(self, request: IRequest) -> Deferred[None] | bytes:
        """Take one JSON-RPC message, or a batch where the revision has them."""
        exchange = self._exchange(request)
        self._check_post(request, exchange)
        body = request.content.read()
        self._journal.debug("Request", body=body, peer=exchange.peer)
        reply = self._server.post(decode(body, self._settings.max_batch), exchange)
        if exchange.over is not None:
            return exchange.over
        self._journal.debug("Answer", status=reply.status, body=reply.body)
        return self._send(request, reply)

    @app.route("/mcp", methods=["GET"])
    def get(self, request: IRequest) -> Deferred[None]:
        """Carry a session's queue for as long as the client listens."""
        if request.method == b"HEAD":
            raise _wrong_method(["GET", "POST", "DELETE", "OPTIONS"])
        exchange = self._exchange(request)
        if not exchange.accepted.event_stream or (
            self._settings.strict and not exchange.accepted.names_event_stream
        ):
            raise NotAcceptable(f"Not acceptable: GET is answered with {EVENT_STREAM}; list it in Accept")
        session, stream = self._server.listen(exchange)
        return self.open_stream(request, session, stream)

    @app.route("/mcp", methods=["DELETE"])
    def delete(self, request: IRequest) -> bytes:
        """End a session."""
        self._server.close(self._exchange(request))
        request.setResponseCode(204)
        return b""

    @app.route("/mcp", methods=["OPTIONS"])
    def options(self, request: IRequest) -> bytes:
        """Answer a browser's preflight."""
        self._guards.check(request)
        request.setHeader("Allow", ", ".join(self._guards.cors.methods))
        if request.getHeader(b"origin") is not None:
            requested = _joined(request, b"access-control-request-headers")
            for name, value in self._guards.cors.preflight_headers(requested):
                request.setHeader(name, value)
        request.setResponseCode(204)
        return b""

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

    @app.handle_errors(McpError)
    def refused(self, request: IRequest, failure: Failure) -> bytes:
        """Answer a request that was refused before it became a message."""
        return self._refuse(request, cast(McpError, failure.value))

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

    @app.handle_errors(Exception)
    def failed(self, request: IRequest, failure: Failure) -> bytes:
        """Answer a request that hit a fault of ours; the details go to the log alone."""
        self._journal.failure("A request failed", failure=failure)
        return self._refuse(request, InternalError("Internal error; the server's log has the details"))

    def _refuse(self, request: IRequest, error: McpError) -> bytes:
        return self._send(request, Reply(error.status, error_bytes(None, error), error.headers))

    def _exchange(self, request: IRequest) -> HttpExchange:
        self._guards.check(request)
        return HttpExchange(cast(EchoRequest, request), self, self._server.facts.now())

    def _check_post(self, request: IRequest, exchange: HttpExchange) -> None:
        accepted = exchange.accepted
        if cast(EchoRequest, request).too_large:
            raise BodyTooLarge(
                f"The body is larger than {self._settings.max_message_size} bytes (ECHO_MAX_MESSAGE_SIZE)"
            )
        if not (accepted.json or accepted.event_stream):
            raise NotAcceptable(f"Not acceptable: answers are application/json or {EVENT_STREAM}")
        if not self._settings.strict:
            return
        if not (accepted.names_json and accepted.names_event_stream):
            raise NotAcceptable(f"Not acceptable: Accept must list application/json and {EVENT_STREAM}")
        media_type = (request.getHeader(b"content-type") or b"").partition(b";")[0].strip().lower()
        if media_type != b"application/json":
            raise WrongMediaType("Unsupported media type: Content-Type must be application/json")

    def open_stream(self, request: IRequest, session: Session, stream: Stream) -> Deferred[None]:
        """Answer ``request`` with an event stream; the Deferred fires when it is over."""
        request.setHeader(b"content-type", EVENT_STREAM.encode())
        request.setHeader(b"cache-control", b"no-cache, no-transform")
        # nginx and others pass on at once what they would otherwise collect.
        request.setHeader(b"x-accel-buffering", b"no")
        opening = sse.OPENING_COMMENT
        if session.revision.priming_event:
            opening = sse.priming(session.log.position(stream))
        keep_alive = self._listen_keep_alive if stream.listening else sse.KEEP_ALIVE_COMMENT
        return self._streams.carry(
            EventStream(cast(EchoRequest, request), session.log, stream, opening, keep_alive)
        )

    def _send(self, request: IRequest, reply: Reply) -> bytes:
        body = reply.body
        request.setResponseCode(reply.status)
        if body:
            request.setHeader(b"content-type", b"application/json")
            request.setHeader(b"cache-control", b"no-store")
            request.setHeader(b"x-content-type-options", b"nosniff")
            body = self._compressed(request, body)
        for name, value in reply.headers.items():
            request.setHeader(name, value)
        request.setHeader(b"content-length", b"%d" % len(body))
        return body

    def _compressed(self, request: IRequest, body: bytes) -> bytes:
        if not self._settings.enable_compression:
            return body
        request.responseHeaders.addRawHeader(b"vary", b"Accept-Encoding")
        if len(body) < COMPRESS_FROM or not accepts_gzip(_joined(request, b"accept-encoding")):
            return body
        request.setHeader(b"content-encoding", b"gzip")
        return gzip.compress(body, compresslevel=6, mtime=0)


def _wrong_method(allowed: list[str]) -> WrongHttpMethod:
    return WrongHttpMethod(f"Method not allowed; this path takes {', '.join(allowed)}", allowed)
