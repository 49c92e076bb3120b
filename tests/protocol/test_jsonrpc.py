"""Bytes to checked messages and back: whatever arrives, an answer can be made of it."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.protocol.errors import InternalError, InvalidRequest, ParseError
from mcp_echo.protocol.jsonrpc import (
    Malformed,
    Notification,
    Request,
    Response,
    decode,
    encode,
    error_bytes,
    notification_bytes,
    result_bytes,
)

PARSE_ERROR = -32700
INVALID_REQUEST = -32600

ids = st.integers(-(2**63), 2**63) | st.text(max_size=20)
# Any text that UTF-8 can carry.
texts = st.text(st.characters(codec="utf-8"), max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def whole(body: bytes) -> object:
    """Return what ``body`` decodes to when it is one message, its params decoded too."""
    message = decode(body)
    assert not isinstance(message, list)
    return message


def malformed(body: bytes) -> Malformed:
    message = whole(body)
    assert isinstance(message, Malformed), message
    return message


@pytest.mark.parametrize("message_id", [0, -1, 7, 2**70, "", "a-b"])
def test_a_request_is_read_with_its_id_as_sent(message_id: object) -> None:
    """JSON-RPC section 4: an id is a string or a number, and the answer repeats it unchanged."""
    body = json.dumps({"jsonrpc": "2.0", "id": message_id, "method": "ping", "params": {"a": [1]}}).encode()
    message = whole(body)
    assert isinstance(message, Request)
    assert (message.id, message.method, json.loads(bytes(message.params))) == (
        message_id,
        "ping",
        {"a": [1]},
    )


def test_missing_params_read_as_an_empty_object() -> None:
    """JSON-RPC section 4: params may be left out."""
    message = whole(b'{"jsonrpc":"2.0","id":1,"method":"ping"}')
    assert isinstance(message, Request)
    assert bytes(message.params) == b"{}"


def test_space_around_params_does_not_matter() -> None:
    """RFC 8259 section 2: white space is allowed around structural characters."""
    assert isinstance(whole(b'{"jsonrpc":"2.0" , "id":1,"method":"x","params" : \t\n {} }\r\n'), Request)


def test_a_message_without_an_id_is_a_notification() -> None:
    """JSON-RPC section 4.1."""
    message = whole(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
    assert isinstance(message, Notification)
    assert (message.method, bytes(message.params)) == ("notifications/initialized", b"{}")


@pytest.mark.parametrize(
    ("body", "message_id", "result", "error"),
    [
        (b'{"jsonrpc":"2.0","id":3,"result":{"a":1}}', 3, {"a": 1}, None),
        (b'{"jsonrpc":"2.0","id":"x","error":{"code":1}}', "x", None, {"code": 1}),
        (b'{"jsonrpc":"2.0","id":null,"error":{}}', None, None, {}),
        (b'{"jsonrpc":"2.0","error":{}}', None, None, {}),
    ],
)
def test_a_response_carries_a_result_or_an_error(
    body: bytes, message_id: object, result: object, error: object
) -> None:
    """JSON-RPC section 5: an error may come without an id when the request's was unreadable."""
    message = whole(body)
    assert isinstance(message, Response)
    assert message.id == message_id
    assert [part and json.loads(bytes(part)) for part in (message.result, message.error)] == [result, error]


DEEP = b"[" * 3000 + b"]" * 3000


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is empty"),
        (b" \r\n", "the body is empty"),
        (b'{"jsonrpc":"2.0","id":5,"method":"x"', "truncated"),
        (b'{"jsonrpc":"2.0","id":5,"method":"x"} x', "trailing characters"),
        (b"\xef\xbb\xbf{}", "the body begins with a byte order mark"),
        (b"\xff", "byte 0"),
        *(
            ('{"jsonrpc":"2.0","id":5,"method":"é"}'.encode(encoding), words)
            for encoding, words in {
                "utf-8-sig": "begins with a byte order mark",
                "utf-16": "begins with a byte order mark of UTF-16; it must be in UTF-8",
                "utf-16-le": "seems to be in UTF-16; it must be in UTF-8",
                "utf-16-be": "seems to be in UTF-16; it must be in UTF-8",
                "utf-32": "begins with a byte order mark of UTF-32; it must be in UTF-8",
                "utf-32-le": "seems to be in UTF-32; it must be in UTF-8",
                "utf-32-be": "seems to be in UTF-32; it must be in UTF-8",
            }.items()
        ),
        (b"\xff\xfe", "not UTF-8 (byte 0)"),
        (b"\x00\x01\x02\x03\x04", "invalid character (byte 0)"),
        (b'{"jsonrpc":"2.0","id":5,"method":"\xff"}', "not UTF-8"),
        (b'{"jsonrpc":"2.0","id":"\xc3","method":"x"}', "not UTF-8"),
        (b'{"jsonrpc":"2.0","id":5,"method":"x","params":{"a":NaN}}', "byte 51"),
        (b'{"jsonrpc":"2.0","id":5,"method":"x","params":{"a":-Infinity}}', "invalid"),
        (b"[NaN]", "byte 1"),
        (b'{"jsonrpc":"2.0","id":5,"method":"x","params":{"a":"\\ud800"}}', "Parse error"),
        (b'{"jsonrpc":"2.0","id":"\\ud800 and more","method":"x"}', "Parse error"),
        (b'{"jsonrpc":"2.0","id":5,"method":"x","params":{"a":"\x00"}}', "invalid"),
        (b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"x"}', "Integer value out of range"),
        (b'{"jsonrpc":"2.0","id":5,"method":"x","params":{"a":1e400}}', "out of range"),
        (b'{"jsonrpc":"2.0","id":5,"method":"x","params":{"a":[-1E+999]}}', "out of range"),
        (b'{"jsonrpc":"2.0","id":5,"method":"x","unknown":1e400}', "out of range"),
        (b'{"jsonrpc":"2.0","id":1e400,"method":"x"}', "out of range"),
        (b'{"jsonrpc":"2.0","id":5,"method":"x","params":{"a":' + b"9" * 5000 + b"}}", "out of range"),
        (b'[{"jsonrpc":"2.0","id":5,"method":"x","params":{"a":1e400}}]', "out of range"),
        (DEEP, "more than 128 levels"),
        (
            b'{"jsonrpc":"2.0","id":5,"method":"x","params":{"a":' + DEEP + b"}}",
            "more than 128 levels",
        ),
        (b'{"jsonrpc":' + DEEP + b"}", "more than 128 levels"),
    ],
    ids=lambda value: repr(value[:60]) if isinstance(value, bytes) else None,
)
def test_what_is_not_json_in_utf_8_is_a_parse_error_without_an_id(body: bytes, words: str) -> None:
    """JSON-RPC section 5.1: -32700, and no id can be trusted. RFC 8259 section 8.1: UTF-8, no byte order
    mark; our choice: NaN, numbers out of range (section 6 allows to bound it), nesting that exhausts the
    parser and lone surrogates are refused, wherever they stand."""
    found = malformed(body)
    assert isinstance(found.error, ParseError)
    assert (found.error.code, found.error.status, found.id) == (PARSE_ERROR, 400, None)
    assert words in found.error.message


@pytest.mark.parametrize(
    ("body", "message_id", "words"),
    [
        (b"null", None, "got `null`"),
        (b"1", None, "got `int`"),
        (b'"x"', None, "got `str`"),
        (b"{}", None, "missing required field `jsonrpc`"),
        (b'{"id":7,"method":"x"}', 7, "missing required field `jsonrpc`"),
        (b'{"jsonrpc":"1.0","id":"a","method":"x"}', "a", "'1.0'"),
        (b'{"jsonrpc":2.0,"id":1,"method":"x"}', 1, "$.jsonrpc"),
        (b'{"jsonrpc":"2.0","id":true,"method":"x"}', None, "`$.id`"),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"x"}', None, "`$.id`"),
        (b'{"jsonrpc":"2.0","id":1.0,"method":"x"}', None, "`$.id`"),
        (b'{"jsonrpc":"2.0","id":{},"method":"x"}', None, "`$.id`"),
        (b'{"jsonrpc":"2.0","id":[1],"method":"x"}', None, "`$.id`"),
        (b'{"jsonrpc":"2.0","id":null,"method":"x"}', None, "not null"),
        (b'{"jsonrpc":"2.0","id":5,"method":7}', 5, "`$.method`"),
        (b'{"jsonrpc":"2.0","id":5,"method":null}', 5, "`$.method`"),
        (b'{"jsonrpc":"2.0","id":5,"method":"x","params":[1]}', 5, "params must be an object"),
        (b'{"jsonrpc":"2.0","id":5,"method":"x","params":null}', 5, "params must be an object"),
        (b'{"jsonrpc":"2.0","id":5,"method":"x","params":"{}"}', 5, "params must be an object"),
        (b'{"jsonrpc":"2.0","method":"x","params":1}', None, "params must be an object"),
        (b'{"jsonrpc":"2.0"}', None, "a method, a result or an error"),
        (b'{"jsonrpc":"2.0","id":5}', 5, "a method, a result or an error"),
        (b'{"jsonrpc":"2.0","id":5,"result":{},"error":{}}', 5, "not both"),
        (b'{"jsonrpc":"2.0","result":{}}', None, "needs the id"),
        (b'{"jsonrpc":"2.0","id":null,"result":{}}', None, "needs the id"),
        (b"[]", None, "empty array"),
    ],
)
def test_json_that_is_no_message_is_an_invalid_request_under_its_readable_id(
    body: bytes, message_id: object, words: str
) -> None:
    """JSON-RPC section 5.1: -32600; section 5: the id is repeated if there was one to detect. MCP 2025-11-25
    basic, Requests: an id is a string or an integer and not null."""
    found = malformed(body)
    assert isinstance(found.error, InvalidRequest)
    assert (found.error.code, found.error.status, found.id) == (INVALID_REQUEST, 400, message_id)
    assert words in found.error.message


@pytest.mark.parametrize(
    ("body", "message_id", "member"),
    [
        (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}', None, "id"),
        (b'{"jsonrpc":"2.0","id":null,"id":2,"method":"x"}', None, "id"),
        (b'{"id":1,"jsonrpc":"2.0","id":1,"method":"x"}', None, "id"),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","method":"x"}', 1, "method"),
        (b'{"method":"x","jsonrpc":"2.0","id":1,"params":{"a":"id"},"method":"y"}', 1, "method"),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":{},"params":{"a":1}}', 1, "params"),
        (b'{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"x"}', 1, "jsonrpc"),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","m\\u0065thod":"y"}', 1, "method"),
        (b'{"jsonrpc":"2.0","\\u0069d":1,"method":"x","i\\u0064":2}', None, "id"),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","\\u0070arams":{},"params":{}}', 1, "params"),
        (b'{"jsonrpc":"2.0","method":"notifications/x","method":"notifications/y"}', None, "method"),
        (b'{"jsonrpc":"2.0","id":1,"result":{},"result":{}}', 1, "result"),
        (b'{"jsonrpc":"2.0","id":1,"error":{},"error":{}}', 1, "error"),
    ],
)
def test_a_member_of_the_envelope_given_twice_is_an_invalid_request(
    body: bytes, message_id: object, member: str
) -> None:
    """RFC 8259 section 4: what a repeated name means is unpredictable; our choice: it means nothing here."""
    found = malformed(body)
    assert isinstance(found.error, InvalidRequest)
    assert (found.error.status, found.id) == (400, message_id)
    assert f"the member {member} is given more than once" in found.error.message


@pytest.mark.parametrize(
    "params",
    [
        b'{"id":1,"method":"x","jsonrpc":"2.0","params":{"id":2}}',
        b'{"a":"\\"id\\": \\"method\\"","\\u0069d":"\\u0070arams"}',
        b'{"x\\"id":1,"id":2}',
    ],
)
def test_the_names_of_the_envelope_may_stand_inside_params(params: bytes) -> None:
    """Our choice: only the envelope's own members are looked at; tools may name their arguments so."""
    message = whole(b'{"jsonrpc":"2.0","id":1,"method":"x","params":' + params + b"}")
    assert isinstance(message, Request)
    assert bytes(message.params) == params


_ENVELOPE = ["jsonrpc", "id", "method", "params"]
_VALUES = {"jsonrpc": '"2.0"', "id": "1", "method": '"x"', "params": '{"id":{"method":"params"}}'}


@st.composite
def envelopes(draw: st.DrawFn) -> tuple[list[str], bytes]:
    """Return the names of an object's members, and the object, its names escaped here and there."""
    extra = st.lists(st.sampled_from([*_ENVELOPE, "other", "id\\", '"id']), max_size=3)
    names = draw(st.permutations([*_ENVELOPE, *draw(extra)]))
    members = []
    for name in names:
        at = draw(st.integers(0, len(name) - 1))
        plain = json.dumps(name) if draw(st.booleans()) else None
        escaped = f'"{json.dumps(name[:at])[1:-1]}\\u{ord(name[at]):04x}{json.dumps(name[at + 1 :])[1:-1]}"'
        gap = draw(st.sampled_from(["", " ", "\n"]))
        members.append(f"{plain or escaped}{gap}:{gap}{_VALUES.get(name, '0')}")
    return names, ("{" + ",".join(members) + "}").encode()


@given(envelopes())
def test_no_repeated_member_is_missed_however_it_is_written(envelope: tuple[list[str], bytes]) -> None:
    """As above, compared with the names as they were generated."""
    names, body = envelope
    repeated = any(names.count(name) > 1 for name in _ENVELOPE)
    assert isinstance(whole(body), Malformed if repeated else Request)


def test_an_array_is_read_element_by_element() -> None:
    """JSON-RPC section 6: a bad element is answered for itself and spoils no other."""
    body = b'[{"jsonrpc":"2.0","id":5,"method":"x"}, 1, [{"jsonrpc":"2.0","method":"x"}], {"id":"a"}, null]'
    messages = decode(body)
    assert isinstance(messages, list)
    assert [type(message) for message in messages] == [Request, Malformed, Malformed, Malformed, Malformed]
    refused = [message for message in messages if isinstance(message, Malformed)]
    assert [message.error.code for message in refused] == [INVALID_REQUEST] * 4
    assert [message.id for message in refused] == [None, None, "a", None]
    assert "got `array`" in refused[1].error.message


def test_one_unreadable_element_makes_the_whole_array_unreadable() -> None:
    """JSON-RPC section 6: what is not JSON gets one answer, not one per element."""
    found = malformed(b'[{"jsonrpc":"2.0","id":5,"method":"x"}, nul]')
    assert found.error.code == PARSE_ERROR


@pytest.mark.parametrize(
    ("before", "opening", "closing"),
    [
        (b"", b"[", b"]"),
        (b'{"jsonrpc":', b"[", b"]"),
        (b'{"jsonrpc":"2.0","method":"x","params":', b'{"a":', b"}"),
        (b"[", b'{"id":[', b"]}"),
    ],
)
def test_at_no_depth_does_nesting_raise(before: bytes, opening: bytes, closing: bytes) -> None:
    """Our choice: how deep a parser gets depends on the stack below it, so every depth is tried."""
    after = {b"{": b"}", b"[": b"]", b"": b""}[before[:1]]
    raised = []
    for depth in range(1, 1100):
        try:
            decode(before + opening * depth + b"1" + closing * depth + after)
        except RecursionError:
            raised.append(depth)
    assert raised == []


@given(st.binary(max_size=200))
def test_no_bytes_at_all_raise(body: bytes) -> None:
    """Our choice: `decode` answers every body with a message, a list of them, or what is wrong."""
    found = decode(body)
    for message in found if isinstance(found, list) else [found]:
        assert isinstance(message, (Request, Notification, Response, Malformed))


@given(json_values, st.integers(0, 200), st.binary(min_size=1, max_size=3))
def test_no_damaged_message_raises(value: object, place: int, damage: bytes) -> None:
    """Our choice: as above, with bodies that are nearly right."""
    body = encode({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"a": value}})
    decode(body[:place] + damage + body[place:])


@given(json_values)
def test_any_json_in_an_array_gives_one_message_an_element(value: object) -> None:
    """JSON-RPC section 6: elements are judged one by one."""
    assert len(list(decode(encode([value, value])))) == 2  # type: ignore[arg-type]


@given(ids, st.text(st.characters(codec="utf-8")), st.dictionaries(texts, json_values, max_size=3))
def test_a_request_survives_the_wire(message_id: int | str, method: str, params: dict[str, object]) -> None:
    """Encoding and decoding are each other's inverse."""
    body = encode({"jsonrpc": "2.0", "id": message_id, "method": method, "params": params})
    message = decode(body)
    assert isinstance(message, Request)
    assert (message.id, message.method) == (message_id, method)
    assert msgspec.json.decode(message.params) == params


# Written here on its own, so that a character missing from the module's list is missed by it alone.
FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069]"
)
NASTY = [
    *range(0x20),
    *range(0x7E, 0xA1),
    0x061C,
    *range(0x200D, 0x2010),
    *range(0x2027, 0x2030),
    *range(0x2065, 0x206A),
]
nasty = st.sampled_from([chr(code) for code in NASTY])
anything = st.recursive(
    st.text(nasty | st.characters(codec="utf-8")) | json_values,
    lambda inner: st.dictionaries(st.text(nasty), inner, max_size=3),
)


@given(anything)
def test_what_is_sent_is_one_line_that_drives_no_terminal_and_reads_back_the_same(value: object) -> None:
    """SSE ends a field at a line end; our choice: no control or bidirectional character leaves raw."""
    data = encode(value)
    assert FORBIDDEN.search(data.decode("utf-8")) is None
    assert json.loads(data) == value
    assert msgspec.json.decode(data) == value


def test_every_forbidden_character_leaves_as_an_escape() -> None:
    """As above, exhaustively: DEL and C1, U+2028/9, and the Bidi_Control characters of Unicode."""
    acting = [code for code in range(0x20, 0x3000) if FORBIDDEN.match(chr(code))]
    assert len(acting) == 33 + 2 + 3 + 5 + 4
    for code in acting:
        assert encode(chr(code)) == f'"\\u{code:04x}"'.encode()


def test_a_result_repeats_the_id() -> None:
    """JSON-RPC section 5."""
    assert result_bytes("a", {"b": 1}) == b'{"jsonrpc":"2.0","id":"a","result":{"b":1}}'


def test_an_error_for_an_unreadable_id_has_no_id_member() -> None:
    """2025-11-25 schema, JSONRPCErrorResponse: id is optional and, if there, a string or a number."""
    expected = b'{"jsonrpc":"2.0","error":{"code":-32603,"message":"Oh"}}'
    assert error_bytes(None, InternalError("Oh")) == expected


@pytest.mark.parametrize("message_id", [0, ""])
def test_an_id_that_is_false_in_python_is_an_id(message_id: object) -> None:
    """JSON-RPC section 5: 0 and the empty string are ids like any other."""
    assert json.loads(error_bytes(message_id, InternalError("Oh", {"a": 1}))) == {  # type: ignore[arg-type]
        "jsonrpc": "2.0",
        "id": message_id,
        "error": {"code": -32603, "message": "Oh", "data": {"a": 1}},
    }


def test_a_notification_has_no_id() -> None:
    """JSON-RPC section 4.1."""
    expected = b'{"jsonrpc":"2.0","method":"notifications/x","params":{"a":null}}'
    assert notification_bytes("notifications/x", {"a": None}) == expected
