"""Questions to the client, which a modern server asks by answering: the client sends its request again.

https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from mcp_echo.auth.sealed import Seal, binding
from mcp_echo.eras.exchange import Exchange
from mcp_echo.protocol.errors import InvalidRequest
from mcp_echo.protocol.jsonrpc import MessageId, Request
from mcp_echo.protocol.modern import read_params
from mcp_echo.sessions.session import shown_id
from mcp_echo.tools.base import InputRequired, ServerContext, input_requests


class _Retry(msgspec.Struct, frozen=True):
    inputResponses: dict[str, Raw] | UnsetType = UNSET
    requestState: str | UnsetType = UNSET


_read_retry = msgspec.json.Decoder(_Retry).decode
_read_members = msgspec.json.Decoder(dict[str, Raw]).decode

_NOT_BOUND = frozenset({"_meta", "inputResponses", "requestState"})
"""Params that differ between a request and its retry."""


class Rounds(NamedTuple):
    """What a client has been asked and has answered."""

    answers: dict[str, Any]
    """What it has answered in earlier rounds."""
    responses: dict[str, Raw]
    """What it answers in this one."""
    since: float | None
    """Seconds of the clock of `ServerContext.agreed` when it was first asked; None if it was not yet."""


class Questions:
    """Asks clients, and reads what they send back.

    Args:
        context: What tools may know.
        seal: Seals what the client carries from request to request.
    """

    def __init__(self, context: ServerContext, seal: Seal) -> None:
        self._context = context
        self._seal = seal

    def read(self, request: Request, exchange: Exchange) -> Rounds:
        """Return what a request brings of earlier rounds, and of this one.

        Raises:
            McpError: It brings a state that is none of its own.
        """
        raw = bytes(request.params)
        if b"requestState" not in raw and b"inputResponses" not in raw and b"\\" not in raw:
            return Rounds({}, {}, None)
        retry: _Retry = read_params(_read_retry, request.params)
        responses = {} if retry.inputResponses is UNSET else retry.inputResponses
        if retry.inputResponses is not UNSET:
            exchange.seen.retry = retry.requestState is not UNSET
        if retry.requestState is UNSET:
            return Rounds({}, responses, None)
        opened = self._seal.open(retry.requestState, tie(request, exchange.principal))
        if exchange.strict and opened.get("id") == request.id:
            raise InvalidRequest(
                f"Invalid request: the id {shown_id(request.id)} is that of the request which was answered "
                "with this requestState; a retry needs one of its own"
            )
        return Rounds(opened["answers"], responses, opened["since"])

    def ask(
        self, asked: InputRequired, since: float | None, bound: str, message_id: MessageId, exchange: Exchange
    ) -> dict[str, Any]:
        """Return the result that asks.

        Args:
            asked: The questions, and what is answered already.
            since: When the client was first asked; see `Rounds`.
            bound: The request that the state is for; see `tie`.
            message_id: Its id.
            exchange: The HTTP request.
        """
        exchange.seen.asks = True
        state = {
            "answers": asked.answers,
            "since": self._context.agreed_now if since is None else since,
            "id": message_id,
        }
        return {
            "resultType": "input_required",
            "inputRequests": input_requests(asked.requests),
            "requestState": self._seal.seal(state, bound),
        }


def tie(request: Request, principal: str | None) -> str:
    """Return what names this very request, however its JSON is written."""
    params: dict[str, Raw] = read_params(_read_members, request.params)
    bound = {key: msgspec.json.decode(raw) for key, raw in params.items() if key not in _NOT_BOUND}
    return binding(principal, request.method, bound)
