"""Refusing a message: the response that says so, and its place in the counts."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from mcp_echo.eras.exchange import Exchange
from mcp_echo.eras.methods import read_call
from mcp_echo.protocol.errors import McpError
from mcp_echo.protocol.jsonrpc import NO_PARAMS, Malformed, Message, Request, error_bytes
from mcp_echo.protocol.modern import read_params
from mcp_echo.sessions.store import Clock
from mcp_echo.watch.tally import Era, Tally


class Refusals:
    """Answers messages that get no further, and counts them.

    Args:
        tally: Where they are counted; None when nobody wants to know.
        now: The steady clock.
    """

    def __init__(self, tally: Tally | None, now: Clock) -> None:
        self._tally = tally
        self._now = now

    def answer(
        self, message: Message | list[Message], exchange: Exchange, error: McpError, era: Era | None
    ) -> bytes:
        """Return the JSON-RPC response to a refused message.

        Args:
            message: The message, or an array that is refused as a whole.
            exchange: The HTTP request that carried it.
            error: Why it is refused.
            era: Whose rules refuse it; None where it is too broken to tell.
        """
        if self._tally is not None:
            self._count(self._tally, message, exchange, error, era)
        message_id = message.id if isinstance(message, (Request, Malformed)) else None
        return error_bytes(message_id, error, era == "modern")

    def _count(
        self,
        tally: Tally,
        message: Message | list[Message],
        exchange: Exchange,
        error: McpError,
        era: Era | None,
    ) -> None:
        method = tool = None
        if isinstance(message, Request):
            method, tool = message.method, _tool(message)
        modern = era == "modern"
        seconds = self._now() - exchange.arrived
        exchange.then(
            tally.answered,
            *(method, tool, exchange.version, era, error.status_in(modern), error.code_in(modern), seconds),
        )


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
