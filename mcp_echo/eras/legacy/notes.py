"""Messages of a session that want no answer: notifications, and the client's answers."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from mcp_echo.eras.exchange import Exchange
from mcp_echo.protocol.jsonrpc import Malformed, Message, MessageId, Notification, Response
from mcp_echo.sessions.session import Session
from mcp_echo.watch.seen import Asked


class _Cancelled(msgspec.Struct, frozen=True):
    requestId: int | str


_read_cancelled = msgspec.json.Decoder(_Cancelled).decode


def take_note(message: Message, session: Session, exchange: Exchange, asked: Asked) -> None:
    """Act on a message that wants no answer.

    Args:
        message: The message.
        session: The session it is for.
        exchange: The HTTP request that carried it.
        asked: What is seen of it.

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
