"""JSON-RPC 2.0 messages: bytes to a checked message, and results to bytes. No I/O.

https://www.jsonrpc.org/specification and https://modelcontextprotocol.io/specification/2025-11-25/basic
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from mcp_echo.protocol import strict_json
from mcp_echo.protocol.errors import MAX_MESSAGE, BodyTooLarge, InvalidRequest, McpError, ParseError
from mcp_echo.redaction import mask_json, mask_tokens

MessageId = int | str

NO_PARAMS = Raw(b"{}")

MAX_BATCH = 100
"""Longest batch read, unless told otherwise."""


class Request(msgspec.Struct, frozen=True):
    """A message that wants an answer; ``params`` is an undecoded JSON object."""

    id: MessageId
    method: str
    params: Raw


class Notification(msgspec.Struct, frozen=True):
    """A message that wants none."""

    method: str
    params: Raw


class Response(msgspec.Struct, frozen=True):
    """A client's answer to a request of ours: ``result`` or ``error`` is set, undecoded."""

    id: MessageId | None
    result: Raw | None
    error: Raw | None


class Malformed(msgspec.Struct, frozen=True):
    """Something that is no message, with the id to answer it under if it had a readable one."""

    error: McpError
    id: MessageId | None = None
    is_response: bool = False
    """Whether it would have answered a request of ours."""


Message = Request | Notification | Response | Malformed


class _Envelope(msgspec.Struct):
    jsonrpc: Literal["2.0"]
    id: int | str | UnsetType | None = UNSET
    method: str | UnsetType = UNSET
    params: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET


class _Identified(msgspec.Struct):
    id: Any = None


class _ErrorObject(msgspec.Struct, omit_defaults=True):
    code: int
    message: str
    data: Any = None


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_identified = msgspec.json.Decoder(_Identified).decode
_decode_elements = msgspec.json.Decoder(list[Raw]).decode
_encoder = msgspec.json.Encoder()

# One type a member: the decoder takes the last of several, but hands each it meets to a hook.
_Members = msgspec.defstruct(
    "_Members", [(name, type(name, (), {}), None) for name in _Envelope.__struct_fields__]
)
_ESCAPED_LETTER = re.compile(rb"\\u00[67]")

# A terminal or a log viewer that prints an answer must not be driven by what a client had echoed: DEL, C1,
# the two Unicode line ends (which also end lines in JavaScript) and bidirectional controls leave as
# \u escapes. C0 controls always do (RFC 8259 section 7).
_UNSAFE_IN_TERMINALS = re.compile(
    rb"\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2(?:\x80[\x8e\x8f\xa8-\xae]|\x81[\xa6-\xa9])"
)
"""DEL, U+0080 to U+009F, U+061C, U+200E and U+200F, U+2028 to U+202E, U+2066 to U+2069, in UTF-8."""
_PIECE = re.compile(rb".{1,65536}[\x80-\xbf]*+", re.DOTALL)
"""Bytes that end where a character does."""
_ESCAPES = {
    code: f"\\u{code:04x}" for code in range(0x7F, 0x3000) if _UNSAFE_IN_TERMINALS.match(chr(code).encode())
}


def encode(value: Any) -> bytes:
    """Return ``value`` as JSON on one line, free of characters that act on a terminal."""
    data = _encoder.encode(value)
    if data.isascii():
        return data.replace(b"\x7f", b"\\u007f")
    if _UNSAFE_IN_TERMINALS.search(data) is None:
        return data
    # Piece by piece, since text that is decoded and escaped takes several times its size.
    return b"".join(map(_escaped, _PIECE.findall(data)))


def _escaped(piece: bytes) -> bytes:
    # A table is quick where there are many of them.
    return piece.decode().translate(_ESCAPES).encode() if _UNSAFE_IN_TERMINALS.search(piece) else piece


def result_bytes(message_id: MessageId, result: Any) -> bytes:
    """Return the JSON-RPC response that carries ``result``."""
    return encode({"jsonrpc": "2.0", "id": message_id, "result": result})


def error_bytes(message_id: MessageId | None, error: McpError, modern: bool = False) -> bytes:
    """Return the JSON-RPC error response for ``error``.

    Args:
        message_id: The request's id; None leaves ``id`` out, as the schema has it for unreadable ids.
        error: What went wrong.
        modern: Whether the request is of the modern era.
    """
    body: dict[str, Any] = {"jsonrpc": "2.0"}
    if message_id is not None:
        body["id"] = message_id
    # Errors quote what they refuse, and end up in chats and tickets.
    message, data = mask_tokens(error.message), mask_json(error.data, MAX_MESSAGE)
    body["error"] = _ErrorObject(error.code_in(modern), message, data)
    return encode(body)


def request_bytes(message_id: MessageId, method: str, params: dict[str, Any]) -> bytes:
    """Return a request to the client."""
    return encode({"jsonrpc": "2.0", "id": message_id, "method": method, "params": params})


def notification_bytes(method: str, params: dict[str, Any]) -> bytes:
    """Return a notification to the client."""
    return encode({"jsonrpc": "2.0", "method": method, "params": params})


def decode(
    body: bytes, max_batch: int = MAX_BATCH, max_values: int = strict_json.MAX_VALUES
) -> Message | list[Message]:
    """Return the message in ``body``, or the list of them when it is a JSON array.

    Whatever is wrong comes back as a `Malformed`, never as an exception: an array may hold good and bad.

    Args:
        body: What should be JSON in UTF-8.
        max_batch: Most elements of an array.
        max_values: Most JSON values, names of members counted.
    """
    try:
        whole = strict_json.read(body, max_values, "body")
    except strict_json.TooManyValues:
        return Malformed(
            BodyTooLarge(
                f"The body has more JSON values than MCP_ECHO_MAX_JSON_VALUES allows ({max_values}; each "
                "array, object, name of a member, string, number, true, false and null is one): send less in "
                "one message, or raise the setting"
            )
        )
    except strict_json.NotJson as error:
        return Malformed(ParseError(f"Parse error: {error}"))
    if not isinstance(whole, list):
        # It can be thirty times the body, and what comes next makes values of its own.
        del whole
        return _read_message(body)
    if not whole:
        return _malformed("an empty array holds no message")
    if len(whole) > max_batch:
        return _malformed(
            f"a batch of {len(whole)} messages, more than MCP_ECHO_MAX_BATCH allows ({max_batch})"
        )
    del whole
    return [_read_message(bytes(raw)) for raw in _decode_elements(body)]


def _read_message(body: bytes) -> Message:
    """Return the message in ``body``; what is none is answered under the id that it has all the same."""
    try:
        envelope = _decode_envelope(body)
    except msgspec.ValidationError as error:
        return _malformed(str(error), _readable_id(body))
    if envelope.method is UNSET or _may_repeat(body):
        repeated = _repeated(body)
        if repeated is not None:
            known_id = None if repeated == "id" else _readable_id(body)
            return _malformed(f"the member {repeated} is given more than once", known_id)
    return _checked(envelope)


def _malformed(what: str, message_id: MessageId | None = None, *, is_response: bool = False) -> Malformed:
    return Malformed(InvalidRequest(f"Invalid request: {what}"), message_id, is_response)


def _readable_id(body: bytes) -> MessageId | None:
    try:
        candidate = _decode_identified(body).id
    except msgspec.ValidationError:
        return None
    return candidate if isinstance(candidate, (int, str)) and not isinstance(candidate, bool) else None


def _may_repeat(body: bytes) -> bool:
    """Return whether a request may name a member of its envelope twice: never False when it does."""
    return (
        body.count(b'"id"') > 1
        or body.count(b'"method"') > 1
        or body.count(b'"params"') > 1
        or body.count(b'"jsonrpc"') > 1
        # The names are lower-case letters, so another spelling of one escapes such a letter.
        or (b"\\" in body and _ESCAPED_LETTER.search(body) is not None)
    )


def _repeated(body: bytes) -> str | None:
    """Return a member of the envelope that an object names more than once, or None.

    Which of the two counts differs from parser to parser (RFC 8259 section 4), so that what a gateway has
    checked need not be what the server does.
    """
    met: list[str] = []

    def meet(member: type, _value: Any) -> Any:
        met.append(member.__name__)
        return member()

    msgspec.json.decode(body, type=_Members, dec_hook=meet)
    return next((name for name in met if met.count(name) > 1), None)


def _checked(envelope: _Envelope) -> Message:
    params = NO_PARAMS if envelope.params is UNSET else envelope.params
    message_id = envelope.id
    if envelope.method is UNSET:
        return _checked_response(envelope)
    if bytes(params)[:1] != b"{":
        return _malformed("params must be an object", None if message_id is UNSET else message_id)
    if message_id is UNSET:
        return Notification(envelope.method, params)
    if message_id is None:
        return _malformed("id must be a string or an integer, not null")
    return Request(message_id, envelope.method, params)


def _checked_response(envelope: _Envelope) -> Response | Malformed:
    message_id = None if envelope.id is UNSET else envelope.id
    result = None if envelope.result is UNSET else envelope.result
    error = None if envelope.error is UNSET else envelope.error
    if result is None and error is None:
        return _malformed("a message has a method, a result or an error", message_id)
    if result is not None and error is not None:
        return _malformed("a response has a result or an error, not both", message_id, is_response=True)
    if message_id is None and error is None:
        return _malformed("a result needs the id of its request", is_response=True)
    return Response(message_id, result, error)
