"""Refusing a message: the response that says so, and what is noted of it."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from mcp_echo.eras.exchange import Exchange
from mcp_echo.eras.methods import read_call
from mcp_echo.protocol.errors import McpError
from mcp_echo.protocol.jsonrpc import NO_PARAMS, Message, Request, Response, error_bytes
from mcp_echo.protocol.modern import read_params
from mcp_echo.watch.seen import Asked, Era


def refuse(
    message: Message | list[Message], exchange: Exchange, asked: Asked, error: McpError, era: Era | None
) -> bytes:
    """Return the JSON-RPC response to a message that gets no further.

    Args:
        message: The message, or an array that is refused as a whole.
        exchange: The HTTP request that carried it.
        asked: What is seen of it.
        error: Why it is refused.
        era: Whose rules refuse it; None where it is too broken to tell.
    """
    modern = era == "modern"
    if isinstance(message, list):
        exchange.seen.batch = None
    asked.begin(era, message, exchange.version)
    tool = _tool(message) if isinstance(message, Request) else None
    asked.end(exchange.seen.elapsed(), tool, error.status_in(modern), error.code_in(modern))
    # The id of a response is one of ours.
    return error_bytes(None if isinstance(message, Response) else asked.id, error, modern)


def _tool(request: Request) -> str | None:
    """Return the tool that a refused request names, if it names one readably."""
    if request.method != "tools/call":
        return None
    try:
        name: str = read_params(read_call, request.params).name
    except McpError:
        return None
    return name


def brief(message: Request) -> Request:
    """Return what is left of a request that is read: all that its answer, or its refusal, needs of it.

    The params hold on to the whole body that they came in.
    """
    tool = _tool(message)
    params = NO_PARAMS if tool is None else Raw(msgspec.json.encode({"name": tool}))
    return Request(message.id, message.method, params)
