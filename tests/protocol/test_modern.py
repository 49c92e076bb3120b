"""What a modern request says of itself, and the headers that have to agree with it.

Unless a test says otherwise, its duty is in "Request Metadata" and "Server Validation" of
https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from mcp_echo.protocol.errors import HeaderMismatch, InvalidParams, MetaIncomplete
from mcp_echo.protocol.modern import (
    CAPABILITIES_KEY,
    NAMED_BY,
    VERSION_KEY,
    check_parameter_headers,
    check_routing_headers,
    decode_header,
    is_claimed,
    is_declared,
    mirrored_arguments,
    read_meta,
    read_params,
    required_capability,
)

VERSION = "2026-07-28"
DEEP = b'{"_meta":{"' + VERSION_KEY.encode() + b'":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"


def raw(value: object) -> Raw:
    return Raw(value if isinstance(value, bytes) else json.dumps(value).encode())


def having(*fields: tuple[str, str]) -> Callable[[str], list[str]]:
    """Return the headers of a request as the checks ask for them."""
    return lambda wanted: [value for name, value in fields if name.lower() == wanted.lower()]


def sentinel(text: str) -> str:
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def meta(**changes: Any) -> dict[str, Any]:
    members = {VERSION_KEY: VERSION, CAPABILITIES_KEY: {}, **changes}
    return {"_meta": {key: value for key, value in members.items() if value is not UNSET}}


# The claim.


@pytest.mark.parametrize(
    ("params", "claimed"),
    [
        (meta(), True),
        ({"_meta": {VERSION_KEY: VERSION}}, True),
        ({"_meta": {VERSION_KEY: ""}}, True),
        # Wrong, but a claim: the ladder has an answer to it.
        ({"_meta": {VERSION_KEY: 7}}, True),
        ({"_meta": {VERSION_KEY: None}}, True),
        # Escaped as some encoders do by default.
        (b'{"_meta":{"io.modelcontextprotocol\\/protocolVersion":"2026-07-28"}}', True),
        (b'{"_meta":{"io.modelcontextprotocol/\\u0070rotocolVersion":"2026-07-28"}}', True),
        ({}, False),
        ({"_meta": {}}, False),
        ({"_meta": {CAPABILITIES_KEY: {}}}, False),
        ({"_meta": {"progressToken": VERSION_KEY}}, False),
        ({"arguments": {"_meta": {VERSION_KEY: VERSION}}}, False),
        ({VERSION_KEY: VERSION}, False),
        ({"message": VERSION_KEY}, False),
        ({"_meta": VERSION_KEY}, False),
        ({"_meta": [VERSION_KEY]}, False),
        ({"_meta": {VERSION_KEY.upper(): VERSION}}, False),
        (b"", False),
        (b"[]", False),
        (b'{"_meta":{"' + VERSION_KEY.encode(), False),
        (DEEP, False),
    ],
)
def test_a_request_is_modern_if_its_meta_names_a_version(params: object, claimed: bool) -> None:
    """2026-07-28 basic/versioning, Backward Compatibility: the body decides, and nothing else in it does."""
    assert is_claimed(raw(params)) is claimed


# The metadata.


def test_the_reserved_members_are_read() -> None:
    """2026-07-28 basic, _meta."""
    given = meta(
        **{
            CAPABILITIES_KEY: {"sampling": {}},
            "io.modelcontextprotocol/clientInfo": {"name": "c", "version": "1"},
            "io.modelcontextprotocol/logLevel": "info",
            "progressToken": "p",
            "traceparent": "00-1-2-01",
            "com.example/own": 1,
        }
    )
    read = read_meta(raw(given))
    assert read.version == VERSION
    assert msgspec.json.decode(read.capabilities) == {"sampling": {}}
    assert (read.log_level, read.progress_token) == ("info", "p")
    assert msgspec.json.decode(read.client_info) == {"name": "c", "version": "1"}


def test_only_the_version_and_the_capabilities_are_required() -> None:
    """2026-07-28 basic, _meta: clientInfo is a SHOULD of clients, which servers must not insist on."""
    read = read_meta(raw(meta()))
    assert (read.client_info, read.log_level, read.progress_token) == (UNSET, UNSET, UNSET)


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({}, [VERSION_KEY, CAPABILITIES_KEY]),
        ({"_meta": {}}, [VERSION_KEY, CAPABILITIES_KEY]),
        (meta(**{VERSION_KEY: UNSET}), [VERSION_KEY]),
        (meta(**{CAPABILITIES_KEY: UNSET}), [CAPABILITIES_KEY]),
    ],
)
def test_what_is_missing_is_named(params: object, named: list[str]) -> None:
    """2026-07-28 basic, _meta: without a required member, -32602 and 400; our choice: each one by name."""
    with pytest.raises(MetaIncomplete) as refusal:
        read_meta(raw(params))
    found = [key for key in (VERSION_KEY, CAPABILITIES_KEY) if key in refusal.value.message]
    assert found == named


@pytest.mark.parametrize(
    "params",
    [
        {"_meta": 1},
        {"_meta": None},
        meta(**{VERSION_KEY: 7}),
        meta(**{VERSION_KEY: None}),
        meta(**{CAPABILITIES_KEY: []}),
        meta(**{CAPABILITIES_KEY: None}),
        meta(**{"io.modelcontextprotocol/logLevel": 1}),
        meta(**{"io.modelcontextprotocol/clientInfo": "curl"}),
        meta(progressToken={}),
        b"[]",
        b"{",
        b'{"_meta":"\xff"}',
        DEEP,
    ],
)
def test_a_member_of_a_wrong_type_is_refused(params: object) -> None:
    """2026-07-28 basic, _meta, and its schema."""
    with pytest.raises(MetaIncomplete, match=r"^Invalid params: "):
        read_meta(raw(params))


def test_white_space_changes_nothing() -> None:
    """RFC 8259 section 2: insignificant white space is allowed around every token."""
    described = meta(**{"io.modelcontextprotocol/clientInfo": {"name": "c"}})
    spaced = json.dumps(described, indent=4, separators=(" ,\n", "\t: \n")).encode()
    assert is_claimed(raw(spaced))
    assert msgspec.json.decode(read_meta(raw(spaced)).client_info) == {"name": "c"}


# Values of headers.


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("", ""),
        ("plain text\twith a tab", "plain text\twith a tab"),
        ("=?base64?SGVsbG8=?=", "Hello"),
        ("=?base64??=", ""),
        (sentinel("é\u2028\n 🙂"), "é\u2028\n 🙂"),
        (sentinel("=?base64?SGVsbG8=?="), "=?base64?SGVsbG8=?="),
        # Not wrapped exactly, so literal.
        ("SGVsbG8=", "SGVsbG8="),
        ("=?base64?SGVsbG8=", "=?base64?SGVsbG8="),
        ("SGVsbG8=?=", "SGVsbG8=?="),
        ("=?BASE64?SGVsbG8=?=", "=?BASE64?SGVsbG8=?="),
        ("=?Base64?SGVsbG8=?=", "=?Base64?SGVsbG8=?="),
        (" =?base64?SGVsbG8=?=", " =?base64?SGVsbG8=?="),
        ("=?utf-8?b?SGVsbG8=?=", "=?utf-8?b?SGVsbG8=?="),
        ("=?base64?=", "=?base64?="),
    ],
)
def test_a_header_means_itself_or_what_its_base64_form_wraps(value: str, meant: str) -> None:
    """Value Encoding: the wrapping is exact and lower-case, everything else is literal."""
    assert decode_header(value) == meant


@pytest.mark.parametrize(
    "value",
    [
        "=?base64?SGVsbG8?=",
        "=?base64?SGVs!!!bG8=?=",
        "=?base64?SGVsbG8==?=",
        "=?base64?=SGVsbG8?=",
        "=?base64?SGVs bG8=?=",
        "=?base64?-_-_?=",
        "=?base64?A?=",
        "=?base64?/w==?=",
        "=?base64?7aCA?=",
        "é",
        "Привет",
        "\u0663",
        "a\x7f",
        "a\nb",
        "a\x00",
        "=?base64?SGVsbG8=\n?=",
    ],
)
def test_a_malformed_header_is_a_mismatch(value: str) -> None:
    """Value Encoding: bad padding, a foreign alphabet and invalid characters are refused with -32020;
    RFC 3629 section 3: surrogates are no UTF-8."""
    with pytest.raises(HeaderMismatch):
        decode_header(value)


@given(st.text() | st.text("=?base64SGVsbG8+/-_ \n\xff").map(lambda text: f"=?base64?{text}?="))
@example("=?base64?" + "A" * 100_001 + "?=")
def test_any_header_is_read_or_refused(value: str) -> None:
    """Our choice: nothing that a client writes into a header is a fault of ours."""
    try:
        decoded = decode_header(value)
    except HeaderMismatch:
        return
    assert isinstance(decoded, str)


@given(st.text())
def test_every_text_survives_the_base64_form(text: str) -> None:
    """Value Encoding: any UTF-8 text can be sent."""
    assert decode_header(sentinel(text)) == text


# Mcp-Method and Mcp-Name.

CALL = ("Mcp-Method", "tools/call")


@pytest.mark.parametrize(("method", "member"), [*NAMED_BY.items(), ("tools/list", None)])
def test_headers_that_agree_are_let_pass(method: str, member: str | None) -> None:
    """Standard Request Headers: Mcp-Method always, Mcp-Name for the methods that name something."""
    params = {} if member is None else {member: "x y"}
    fields = [("mcp-method", method), *([] if member is None else [("MCP-NAME", "x y")])]
    check_routing_headers(having(*fields), method, raw(params))


def test_the_methods_that_name_something_are_the_specified_ones() -> None:
    """Standard Request Headers, and the tasks extension."""
    assert NAMED_BY == {
        "tools/call": "name",
        "prompts/get": "name",
        "resources/read": "uri",
        "tasks/get": "taskId",
        "tasks/update": "taskId",
        "tasks/cancel": "taskId",
    }


@pytest.mark.parametrize(
    ("params", "header"),
    [
        ({"name": "é"}, sentinel("é")),
        ({"name": "echo"}, sentinel("echo")),
        ({"name": ""}, ""),
        ({"name": "SGVsbG8="}, "SGVsbG8="),
    ],
)
def test_a_name_is_compared_by_what_it_means(params: object, header: str) -> None:
    """Value Encoding: MUST be decoded before comparing."""
    check_routing_headers(having(CALL, ("Mcp-Name", header)), "tools/call", raw(params))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ([("Mcp-Name", "echo")], "Mcp-Method is missing"),
        ([("Mcp-Method", ""), ("Mcp-Name", "echo")], "Mcp-Method says ''"),
        ([("Mcp-Method", "tools/list"), ("Mcp-Name", "echo")], "Mcp-Method says 'tools/list'"),
        ([("Mcp-Method", "Tools/Call"), ("Mcp-Name", "echo")], "Mcp-Method says 'Tools/Call'"),
        ([CALL, CALL, ("Mcp-Name", "echo")], "Mcp-Method is given 2 times"),
        ([CALL], "Mcp-Name is missing"),
        ([CALL, ("Mcp-Name", "Echo")], "Mcp-Name says 'Echo'"),
        ([CALL, ("Mcp-Name", "echo"), ("Mcp-Name", "echo")], "Mcp-Name is given 2 times"),
        ([CALL, ("Mcp-Name", "=?base64?ZWNobw?=")], "not base64"),
        ([CALL, ("Mcp-Name", "\xe9cho")], "outside visible ASCII"),
    ],
)
def test_headers_that_disagree_are_refused(fields: list[tuple[str, str]], told: str) -> None:
    """Server Validation; Case Sensitivity: values are compared exactly, as RFC 9110 has them only once."""
    with pytest.raises(HeaderMismatch) as refusal:
        check_routing_headers(having(*fields), "tools/call", raw({"name": "echo"}))
    assert told in refusal.value.message


@pytest.mark.parametrize("params", [{}, {"name": 7}, {"name": None}, {"uri": "echo"}, b"[]", DEEP])
def test_a_body_that_names_nothing_is_left_to_the_method(params: object) -> None:
    """Our choice: there is nothing to disagree with, and -32602 tells what is wrong."""
    check_routing_headers(having(CALL), "tools/call", raw(params))
    with pytest.raises(HeaderMismatch):
        check_routing_headers(having(CALL, ("Mcp-Name", "\xff")), "tools/call", raw(params))


# Mcp-Param-….

REGION = {("region",): "Region"}
ANNOTATED = {**REGION, ("count",): "Count"}


def agrees(value: object, header: str) -> bool:
    try:
        check_parameter_headers(
            having(("mcp-param-region", header)), {("region",): "Region"}, {"region": value}
        )
    except HeaderMismatch:
        return False
    return True


_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
_keywords = st.sampled_from(["properties", "x-mcp-header", "type", "anyOf", "items", "a", "b"])
_near_numbers = st.text("0123456789+-.eE_ ", max_size=12)


@given(
    _scalars | st.lists(_scalars, max_size=2) | st.dictionaries(st.text(max_size=3), _scalars, max_size=2),
    st.text() | _near_numbers | _near_numbers.map(sentinel),
)
def test_any_argument_and_any_header_agree_or_do_not(value: object, header: str) -> None:
    """Our choice: nothing that a client writes into a header is a fault of ours."""
    assert agrees(value, header) in (True, False)


@pytest.mark.parametrize(
    ("value", "header", "expected"),
    [
        ("Hello", "Hello", True),
        ("Hello", "=?base64?SGVsbG8=?=", True),
        ("SGVsbG8=", "SGVsbG8=", True),
        ("é", sentinel("é"), True),
        ("", "", True),
        ("Hello", "hello", False),
        ("Hello", "", False),
        ("42", "42.0", False),
        (42, "42", True),
        (42, "42.0", True),
        (42, "4.2e1", True),
        (42, " 42 ", False),
        (42.0, "42", True),
        (42.0, "42.0", True),
        (1000, "1_000", False),
        (2**53, str(2**53 + 1), False),
        (-1, "-1", True),
        (2**53 - 1, str(2**53 - 1), True),
        (2**53 - 1, str(2**53 - 2), False),
        (0, "", False),
        (0, "zero", False),
        (0, "nan", False),
        (10**400, "inf", False),
        (True, "true", True),
        (False, "false", True),
        (True, "True", False),
        (True, "1", False),
        (1, "true", False),
        (False, "", False),
        ([], "[]", False),
    ],
)
def test_a_header_says_what_its_argument_says(value: object, header: str, expected: bool) -> None:
    """Server Behavior for Custom Headers: different values are refused, integers SHOULD be compared as
    numbers, booleans are true or false."""
    assert agrees(value, header) is expected


@pytest.mark.parametrize(
    ("fields", "arguments", "told"),
    [
        ([], {"region": "x"}, "Mcp-Param-Region is missing"),
        ([("Mcp-Param-Region", "x")], {}, "the argument region is not"),
        ([("Mcp-Param-Region", "x")], {"region": None}, "the argument region is not"),
        ([("Mcp-Param-Region", "x"), ("Mcp-Param-Region", "x")], {"region": "x"}, "given 2 times"),
        ([("Mcp-Param-Region", "\x80")], {"region": "\x80"}, "outside visible ASCII"),
        ([("Mcp-Param-Region", "\x80")], {}, "outside visible ASCII"),
        ([("Mcp-Param-Region", "x")], {"region": "x", "count": 1}, "Mcp-Param-Count is missing"),
    ],
)
def test_a_header_and_its_argument_come_together(
    fields: list[tuple[str, str]], arguments: dict[str, Any], told: str
) -> None:
    """Server Behavior for Custom Headers: one without the other is refused."""
    with pytest.raises(HeaderMismatch) as refusal:
        check_parameter_headers(having(*fields), ANNOTATED, arguments)
    assert told in refusal.value.message


@pytest.mark.parametrize("arguments", [{}, {"region": None}, {"other": "x"}])
def test_no_argument_needs_no_header(arguments: dict[str, Any]) -> None:
    """Server Behavior for Custom Headers: null and absent arguments have none, other headers are ignored."""
    check_parameter_headers(having(("Mcp-Param-Unheard-Of", "x")), ANNOTATED, arguments)


@pytest.mark.parametrize("arguments", [{"place": {"region": "x"}}, {"place": {"region": "y"}}])
def test_an_argument_within_another_is_found_by_its_path(arguments: dict[str, Any]) -> None:
    """Schema Extension: the value at the exact property path."""
    nested = {("place", "region"): "Region"}
    same = arguments["place"]["region"] == "x"
    with nullcontext() if same else pytest.raises(HeaderMismatch, match=r"the argument place\.region"):
        check_parameter_headers(having(("Mcp-Param-Region", "x")), nested, arguments)


@pytest.mark.parametrize("arguments", [{}, {"place": None}, {"place": "x"}, {"place": []}, {"place": {}}])
def test_a_path_that_leads_nowhere_needs_no_header(arguments: dict[str, Any]) -> None:
    """Schema Extension: no value at that path, no header; a value of another kind is the tool's to refuse."""
    check_parameter_headers(having(), {("place", "region"): "Region"}, arguments)


def mirrored(**properties: Any) -> dict[tuple[str, ...], str]:
    return mirrored_arguments({"type": "object", "properties": properties})


TEXT, NUMBER = {"type": "string"}, {"type": "number"}


@pytest.mark.parametrize(
    "schema",
    [
        *({"type": each} for each in ("string", "integer", "boolean")),
        {"type": ["string", "null"]},
        {"anyOf": [TEXT, {"type": "null"}]},
    ],
)
def test_a_legal_annotation_names_its_header(schema: dict[str, Any]) -> None:
    """Schema Extension: on text, integers and booleans; beside them null, which has no header."""
    assert mirrored(a={**schema, "x-mcp-header": "Region"}) == {("a",): "Region"}


def test_objects_within_objects_are_looked_through() -> None:
    """Schema Extension: nested properties are permitted where every step is a properties key."""
    inner = {"type": "object", "properties": {"region": {**TEXT, "x-mcp-header": "Region"}}}
    assert mirrored(place=inner) == {("place", "region"): "Region"}


@pytest.mark.parametrize(
    "annotation",
    ["", " ", "My Region", "Region:", "Région", "Region\t1", "a\r\nb", "\x7f", 7, None, [], {}, True],
)
def test_an_annotation_that_names_no_header_counts_for_nothing(annotation: Any) -> None:
    """Schema Extension: a token of RFC 9110; clients drop the tool, and calls of it are answered all the
    same."""
    assert mirrored(a={**TEXT, "x-mcp-header": annotation}) == {}


@pytest.mark.parametrize(
    "schema",
    [
        NUMBER,
        {"type": "object"},
        {"type": "array", "items": TEXT},
        {"type": ["string", "number"]},
        {"anyOf": [TEXT, NUMBER]},
        {"anyOf": [True]},
        {"type": 7},
        {"$ref": "#/$defs/a"},
        {},
    ],
)
def test_an_annotation_on_what_no_header_holds_counts_for_nothing(schema: dict[str, Any]) -> None:
    """Schema Extension: primitive types only, and no number."""
    assert mirrored(a={**schema, "x-mcp-header": "A"}) == {}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {**TEXT, "x-mcp-header": "A"}},
        {"oneOf": [{"properties": {"b": {**TEXT, "x-mcp-header": "A"}}}]},
        {"type": "object", "properties": []},
        True,
    ],
)
def test_an_annotation_that_no_properties_lead_to_counts_for_nothing(schema: Any) -> None:
    """Schema Extension: statically reachable."""
    assert mirrored(a=schema) == {}


def test_two_annotations_of_one_name_count_for_nothing() -> None:
    """Schema Extension: unique whatever the case; the third one stays."""
    names = {"a": "Region", "b": "REGION", "c": "Zone"}
    marked = {name: {**TEXT, "x-mcp-header": suffix} for name, suffix in names.items()}
    assert mirrored(**marked) == {("c",): "Zone"}


DELIMITERS = set(' ()<>@,;:\\"/[]?={}')
"""RFC 9110 section 5.6.2: what no token has, beside what is not visible."""


@given(st.recursive(_scalars, lambda inner: st.lists(inner) | st.dictionaries(_keywords, inner)))
def test_any_schema_is_looked_through(schema: Any) -> None:
    """Our choice: what is found are names that a header can have, whatever a schema says."""
    for suffix in mirrored_arguments({"properties": schema}).values():
        assert (suffix.isascii(), suffix.isprintable(), DELIMITERS & set(suffix)) == (True, True, set())
        assert suffix


# Capabilities.

FORM, URL = {"message": "m"}, {"mode": "url"}


@pytest.mark.parametrize(
    ("method", "params", "capabilities", "declared"),
    [
        ("sampling/createMessage", {}, {"sampling": {}}, True),
        ("sampling/createMessage", {}, {"sampling": {"tools": {}}}, True),
        ("sampling/createMessage", {}, {"sampling": None}, False),
        ("sampling/createMessage", {}, {"elicitation": {}, "roots": {}}, False),
        ("roots/list", {}, {"roots": {}}, True),
        ("roots/list", {}, {"roots": {"listChanged": True}}, True),
        ("roots/list", {}, {}, False),
        ("elicitation/create", FORM, {"elicitation": {}}, True),
        ("elicitation/create", {"mode": "form"}, {"elicitation": {"form": {}}}, True),
        ("elicitation/create", FORM, {"elicitation": {"form": {}, "url": {}}}, True),
        ("elicitation/create", FORM, {"elicitation": {"url": {}}}, False),
        ("elicitation/create", FORM, {"elicitation": True}, False),
        ("elicitation/create", URL, {"elicitation": {"url": {}}}, True),
        ("elicitation/create", URL, {"elicitation": {"form": {}, "url": {}}}, True),
        ("elicitation/create", URL, {"elicitation": {}}, False),
        ("elicitation/create", URL, {"elicitation": {"form": {}}}, False),
        ("elicitation/create", URL, {}, False),
    ],
)
def test_a_client_is_asked_only_what_it_declares(
    method: str, params: dict[str, Any], capabilities: dict[str, Any], declared: bool
) -> None:
    """2025-11-25 client/elicitation, Capabilities: an empty object means forms; servers MUST NOT send modes
    that are not declared."""
    assert is_declared(capabilities, method, params) is declared


@pytest.mark.parametrize(
    ("method", "params", "required"),
    [
        ("sampling/createMessage", {}, {"sampling": {}}),
        ("roots/list", {}, {"roots": {}}),
        ("elicitation/create", FORM, {"elicitation": {}}),
        ("elicitation/create", URL, {"elicitation": {"url": {}}}),
    ],
)
def test_what_has_to_be_declared_would_do(
    method: str, params: dict[str, Any], required: dict[str, Any]
) -> None:
    """2026-07-28 schema, MissingRequiredClientCapabilityError: what a client would have to declare."""
    assert required_capability(method, params) == required
    assert is_declared(required, method, params)


@pytest.mark.parametrize("params", [b"{", b"[]", b'{"name":1}', b'"\xff"', b"[" * 100_000])
def test_params_that_do_not_fit_are_invalid(params: bytes) -> None:
    """JSON-RPC section 5.1: -32602, whatever is wrong with them."""

    class Named(msgspec.Struct):
        name: str

    with pytest.raises(InvalidParams, match=r"^Invalid params: "):
        read_params(msgspec.json.Decoder(Named).decode, raw(params))


@pytest.mark.parametrize("beside", [{"uri": 7}, {"taskId": None}, {"uri": []}])
def test_a_member_that_names_nothing_here_hides_no_disagreement(beside: dict[str, Any]) -> None:
    """Server Validation: Mcp-Name is compared with the one member that the method names by."""
    with pytest.raises(HeaderMismatch):
        check_routing_headers(
            having(CALL, ("Mcp-Name", "other")), "tools/call", raw({"name": "echo", **beside})
        )
