"""The transport of revision 2024-11-05: a stream on /sse that carries every answer, and POSTs to /messages.

https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
"""

from __future__ import annotations

from functools import partial

from mcp_echo.eras.exchange import Exchange, Reply, StreamResponse, open_stream
from mcp_echo.eras.refusals import refuse
from mcp_echo.eras.server import Server
from mcp_echo.protocol.errors import (
    InvalidRequest,
    RouteNotFound,
    SessionNotFound,
    TooMuchUnread,
)
from mcp_echo.protocol.jsonrpc import Malformed, Message, Request
from mcp_echo.protocol.revisions import Revision
from mcp_echo.sessions.event_log import Stream
from mcp_echo.sessions.held import STREAM_BYTES
from mcp_echo.sessions.session import UNKNOWN_CLIENT, Session
from mcp_echo.transport import sse
from mcp_echo.transport.exchange import McpExchange

MESSAGES_PATH = "/messages"


class LegacySse:
    """Sessions that live as long as their stream.

    Args:
        server: Answers the messages.
        enabled: Whether the transport is offered at all.
    """

    def __init__(self, server: Server, enabled: bool) -> None:
        self._server = server
        oldest = next(iter(server.supported.legacy.values()), None)
        self._revision = oldest if enabled else None

    def open(self, exchange: McpExchange) -> None:
        """Make a session and carry its stream, which begins with where to send messages to.

        Raises:
            RouteNotFound: The transport is not offered.
            TooManySessions: The store is full.
            TooMuchHeld: All streams and waiting requests hold as much as they may.
            TooManyRequests: The caller makes too many sessions, or makes them too fast.
        """
        revision = self._offered()
        self._server.within(exchange, None, self._open, exchange, revision)

    def _open(self, exchange: Exchange, revision: Revision) -> None:
        limits = self._server.context.limits
        limits.check_hold(exchange.caller(), STREAM_BYTES, exchange)
        session = self._server.legacy.new_session(exchange, revision, UNKNOWN_CLIENT)
        stream = session.log.listen()
        session.record.legacy_stream = stream.tag
        # Its stream is open from now on.
        session.record.used = True
        opening = sse.endpoint(f"{MESSAGES_PATH}?session_id={session.id}")
        stream_response = StreamResponse(session.log, stream, session=session.id)
        exchange.then(exchange.when_over, partial(self._left, session))
        exchange.then(open_stream, exchange, stream_response, opening, limits)

    def _offered(self) -> Revision:
        if self._revision is None:
            raise RouteNotFound("Not found; start the server with --legacy-sse to serve this transport")
        return self._revision

    def _left(self, session: Session) -> None:
        """End the session with its connection (2024-11-05 basic/lifecycle, Shutdown)."""
        store = self._server.context.store
        self._server.run_detached(lambda: store.close(session.id, session.principal), session)

    def post(
        self, message: Message | list[Message], session_id: str | None, exchange: McpExchange
    ) -> Reply | None:
        """Take one message; what it answers comes on the session's stream.

        Raises:
            RouteNotFound: The transport is not offered.
            InvalidRequest: The session is not named, or the body is an array.
            TooMuchUnread: The client does not read what has been answered.
            SessionNotFound: There is no such session, or it has no stream.
        """
        self._offered()
        if session_id is None:
            raise InvalidRequest("session_id is missing: POST messages to the address in the endpoint event")
        return self._server.within(exchange, session_id, self._post, message, session_id, exchange)

    def _post(self, message: Message | list[Message], session_id: str, exchange: Exchange) -> Reply:
        session = self._server.context.store.use(session_id, exchange.principal)
        stream = session.log.find(f"{session.record.legacy_stream}-0")
        if session.record.legacy_stream is None or stream is None:
            raise SessionNotFound
        seen = exchange.seen
        seen.session, seen.client = session.id, session.client
        if isinstance(message, Malformed):
            body = refuse(message, exchange, seen, message.error, "legacy")
            return Reply(message.error.status, body)
        if isinstance(message, list):
            raise InvalidRequest("Invalid request: this transport takes one message a POST, no array")
        if isinstance(message, Request):
            self._check_unread(session, stream)
        self._server.legacy.post_to_stream(message, session, stream, exchange)
        return Reply(202)

    def _check_unread(self, session: Session, stream: Stream) -> None:
        """Refuse a request while so much waits on the stream that its answer must wait for a client to read.

        An answer that was promised is never dropped, so that there must not be more of them without end. What
        may wait is what a POST of the later transport may wait for: a batch.

        Raises:
            TooMuchUnread: The client does not read what has been answered.
        """
        settings = self._server.context.settings
        messages, size = session.log.unread(stream)
        if messages >= settings.max_batch or size >= settings.max_message_size:
            raise TooMuchUnread
