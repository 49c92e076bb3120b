"""What clients answer to questions of the server."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Raw

from mcp_echo.protocol import strict_json
from mcp_echo.protocol.jsonrpc import Response
from mcp_echo.tools.base import AskError

MAX_ANSWER = 256 * 1024
"""Largest answer to a question that is read, in bytes: it is shown, and in the modern era carried on."""

MAX_ANSWER_VALUES = 10_000
"""Most JSON values in one: it is held as it came and masked, with a sentence for whatever is wrong in it."""


class _Error(msgspec.Struct):
    code: int


def error_code(response: Response) -> int | None:
    """Return the JSON-RPC code of an error that a client answers with; None for a result."""
    if response.error is None:
        return None
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(response.error, type=_Error).code
    return None


def read_answer(raw: Raw) -> Any:
    """Return a client's answer, decoded.

    Raises:
        AskError: It is larger than answers are read.
    """
    data = bytes(raw)
    if len(data) > MAX_ANSWER:
        raise AskError(f"The client's answer has {len(data)} bytes; up to {MAX_ANSWER} are read")
    try:
        return strict_json.read(data, MAX_ANSWER_VALUES)
    except strict_json.NotJson as error:
        raise AskError(f"The client's answer cannot be read: {error}") from None
