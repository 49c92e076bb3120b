"""The modern era: what every request says of itself, and the headers that have to agree. No I/O.

https://modelcontextprotocol.io/specification/2026-07-28/basic and
https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, get_args

import msgspec
from msgspec import UNSET, Raw, UnsetType

from mcp_echo.protocol.errors import HeaderMismatch, InvalidParams, MetaIncomplete
from mcp_echo.protocol.params import UNREADABLE, Decode, read, read_without_nulls
from mcp_echo.redaction import quoted

PREFIX = "io.modelcontextprotocol/"
VERSION_KEY = f"{PREFIX}protocolVersion"
CAPABILITIES_KEY = f"{PREFIX}clientCapabilities"
SERVER_INFO_KEY = f"{PREFIX}serverInfo"
VERSION_HEADER = "MCP-Protocol-Version"
SUBSCRIPTION_KEY = f"{PREFIX}subscriptionId"

NAMED_BY = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
"""Methods that need ``Mcp-Name``, and the member of their params it has to equal."""

_CAPABILITIES_BY_METHOD = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}

_SENTINEL = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.ASCII)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9/._-]*", re.ASCII)
"""What stands for itself in a header and has no base64 form: all names and versions that are in use."""
_VISIBLE = re.compile(r"[\x20-\x7e\t]*")


class Meta(msgspec.Struct, frozen=True):
    """The reserved members of a modern request's ``_meta``; a missing one is UNSET."""

    version: str | UnsetType = msgspec.field(name=VERSION_KEY, default=UNSET)
    capabilities: Raw | UnsetType = msgspec.field(name=CAPABILITIES_KEY, default=UNSET)
    client_info: Raw | UnsetType = msgspec.field(name=f"{PREFIX}clientInfo", default=UNSET)
    log_level: str | UnsetType = msgspec.field(name=f"{PREFIX}logLevel", default=UNSET)
    progress_token: int | str | UnsetType = msgspec.field(name="progressToken", default=UNSET)


_UNDECODED = tuple(each.name for each in msgspec.structs.fields(Meta) if Raw in get_args(each.type))
"""The members whose value is not read here, so that null fits: it stands for an absent one."""


class _Claim(msgspec.Struct):
    version: Raw | UnsetType = msgspec.field(name=VERSION_KEY, default=UNSET)


class _Claiming(msgspec.Struct):
    meta: _Claim | UnsetType = msgspec.field(name="_meta", default=UNSET)


class _WithMeta(msgspec.Struct):
    meta: Meta | UnsetType = msgspec.field(name="_meta", default=UNSET)


_decode_claim = msgspec.json.Decoder(_Claiming).decode
_decode_meta = msgspec.json.Decoder(_WithMeta).decode


def is_claimed(params: Raw) -> bool:
    """Return whether the params' ``_meta`` names a protocol version: the mark of a modern request."""
    raw = bytes(params)
    # Quick, since every request passes here; where there is a backslash the key may be written otherwise.
    if b"protocolVersion" not in raw and b"\\" not in raw:
        return False
    try:
        meta = _decode_claim(params).meta
    except UNREADABLE:
        return False
    return meta is not UNSET and meta.version is not UNSET


def read_meta(params: Raw) -> Meta:
    """Return the ``_meta`` of a modern request.

    Raises:
        MetaIncomplete: A required member is missing, or a member has a wrong type.
    """
    meta = _meta_in(params)
    if meta is UNSET or meta.version is UNSET or meta.capabilities is UNSET:
        raise MetaIncomplete(f"Invalid params: {told_lacking(meta)}")
    for name, member in (("clientInfo", meta.client_info), (CAPABILITIES_KEY, meta.capabilities)):
        if member is not UNSET and bytes(member)[:1] != b"{":
            raise MetaIncomplete(f"Invalid params: {name} must be an object")
    return meta


def _meta_in(params: Raw) -> Meta | UnsetType:
    try:
        meta: Meta | UnsetType = read(_decode_meta, params).meta
    except UNREADABLE as error:
        raise MetaIncomplete(f"Invalid params: {error}") from None
    if meta is UNSET or b"null" not in bytes(params):
        return meta
    absent = {name: UNSET for name in _UNDECODED if _is_null(getattr(meta, name))}
    return msgspec.structs.replace(meta, **absent) if absent else meta


def _is_null(member: Raw | UnsetType) -> bool:
    return member is not UNSET and bytes(member) == b"null"


def told_lacking(meta: Meta | UnsetType) -> str:
    """Return the sentence that names the required members which a ``_meta`` does not have."""
    found = {} if meta is UNSET else {CAPABILITIES_KEY: meta.capabilities, VERSION_KEY: meta.version}
    missing = [key for key in (CAPABILITIES_KEY, VERSION_KEY) if found.get(key, UNSET) is UNSET]
    return f"_meta lacks {' and '.join(missing)}"


def what_is_lacking(params: Raw) -> str:
    """Return the sentence that says what keeps a request without a claim from being a modern one."""
    try:
        return told_lacking(_decode_meta(params).meta)
    except UNREADABLE as error:
        return str(error)


def claimed_version(params: Raw) -> str | None:
    """Return the revision that a request's ``_meta`` names; None where it names none readably."""
    try:
        claim = _decode_claim(params).meta
        version = None if claim is UNSET or claim.version is UNSET else msgspec.json.decode(claim.version)
    except UNREADABLE:
        return None
    return version if isinstance(version, str) else None


def disagreement(name: str, header: str, body: str) -> str:
    """Return the sentence that says what a header and the body of one request say.

    Args:
        name: The name of the header.
        header: What it says, as it is to be shown.
        body: What the body does, with its verb.
    """
    return f"header and body disagree: the header {name} says {header}, the body {body}"


def decode_header(value: str) -> str:
    """Return what a routing header's value stands for: itself, or the text in its base64 form.

    Raises:
        HeaderMismatch: The base64 form is broken, or the value has characters no header may have.
    """
    if not _VISIBLE.fullmatch(value):
        raise HeaderMismatch("A header value has characters outside visible ASCII; use the base64 form")
    wrapped = _SENTINEL.fullmatch(value)
    if wrapped is None:
        return value
    if not _BASE64.fullmatch(wrapped[1]):
        raise HeaderMismatch("A header value in the base64 form is not base64")
    try:
        return b64decode(wrapped[1], validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise HeaderMismatch("A header value in the base64 form is not UTF-8 in base64") from None


HeaderValues = Callable[[str], list[str]]
"""Returns every value of a header field, in order."""


def one_value(values: HeaderValues, name: str) -> str | None:
    """Return the value of a routing header, decoded, or None when it is missing.

    Raises:
        HeaderMismatch: It came more than once, or is malformed.
    """
    found = values(name)
    if len(found) > 1:
        raise HeaderMismatch(f"{name} is given {len(found)} times")
    return decode_header(found[0]) if found else None


def check_header(values: HeaderValues, name: str, expected: str) -> None:
    """Insist on a header that says what the body says.

    Raises:
        HeaderMismatch: It is missing or says something else.
    """
    if values(name) == [expected] and _PLAIN.fullmatch(expected):
        return
    found = one_value(values, name)
    if found is None:
        raise HeaderMismatch(f"{name} is missing; the body says {quoted(expected)}")
    if found != expected:
        raise HeaderMismatch(disagreement(name, quoted(found), f"says {quoted(expected)}"))


class _Name(msgspec.Struct):
    name: str


class _Uri(msgspec.Struct):
    uri: str


class _TaskId(msgspec.Struct):
    taskId: str


# One decoder a member: what stands in another member must not hide the one that counts.
_decode_named = {
    each.__struct_fields__[0]: msgspec.json.Decoder(each).decode for each in (_Name, _Uri, _TaskId)
}


def check_routing_headers(values: HeaderValues, method: str, params: Raw) -> None:
    """Check ``Mcp-Method`` and, for the methods that have one, ``Mcp-Name``.

    Raises:
        HeaderMismatch: One is missing, malformed or disagrees with the body.
    """
    check_header(values, "Mcp-Method", method)
    member = NAMED_BY.get(method)
    if member is None:
        return
    try:
        named = getattr(_decode_named[member](params), member)
    except UNREADABLE:
        # The body names nothing, so there is nothing to agree with: the method's own check tells.
        one_value(values, "Mcp-Name")
        return
    check_header(values, "Mcp-Name", named)


Path = tuple[str, ...]
"""The members that lead from a call's arguments to one value."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_MIRRORED_TYPES = frozenset({"string", "integer", "boolean", "null"})


def mirrored_arguments(schema: dict[str, Any]) -> dict[Path, str]:
    """Return which arguments clients mirror, and the suffix of the ``Mcp-Param-`` header of each.

    An annotation that breaks a rule counts for nothing: a client that obeys does not offer the tool, so that
    there is no header to expect of it.
    2026-07-28 basic/transports/streamable-http, Schema Extension.

    Args:
        schema: The ``inputSchema`` of a tool.
    """
    found = dict(_annotations(schema, ()))
    names = [suffix.lower() for suffix in found.values()]
    return {path: suffix for path, suffix in found.items() if names.count(suffix.lower()) == 1}


def _annotations(schema: dict[str, Any], path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the annotations that are names of headers, on values that a header can hold."""
    properties = schema.get("properties")
    for name, each in properties.items() if isinstance(properties, dict) else ():
        if not isinstance(each, dict):
            continue
        suffix = each.get("x-mcp-header")
        if isinstance(suffix, str) and _TOKEN.fullmatch(suffix) and _is_mirrored_type(each):
            yield (*path, name), suffix
        yield from _annotations(each, (*path, name))


def _is_mirrored_type(schema: dict[str, Any]) -> bool:
    """Return whether every value of this schema is text, an integer, a boolean or nothing."""
    choices = schema.get("anyOf")
    if isinstance(choices, list):
        return all(isinstance(each, dict) and _is_mirrored_type(each) for each in choices)
    types = schema.get("type")
    named = types if isinstance(types, list) else [types]
    return all(isinstance(each, str) and each in _MIRRORED_TYPES for each in named)


def check_parameter_headers(
    values: HeaderValues, mirrored: dict[Path, str], arguments: dict[str, Any]
) -> None:
    """Check the ``Mcp-Param-…`` headers of a tool call.

    Args:
        values: The request's headers.
        mirrored: What `mirrored_arguments` returns of the tool's schema.
        arguments: The call's arguments.

    Raises:
        HeaderMismatch: A header is missing, malformed or disagrees with its argument.
    """
    for path, suffix in mirrored.items():
        name, argument = f"Mcp-Param-{suffix}", ".".join(path)
        value = _value_at(path, arguments)
        found = one_value(values, name)
        if value is None:
            if found is not None:
                raise HeaderMismatch(f"{name} is given, the argument {argument} is not")
            continue
        if found is None:
            raise HeaderMismatch(f"{name} is missing; the argument {argument} is given")
        if not _agrees(found, value):
            raise HeaderMismatch(f"{name} says {quoted(found)}, the argument {argument} something else")


def _value_at(path: Path, arguments: Any) -> Any:
    """Return the value that ``path`` leads to; None where there is none."""
    for member in path:
        if not isinstance(arguments, dict):
            return None
        arguments = arguments.get(member)
    return arguments


def _agrees(header: str, value: Any) -> bool:
    if isinstance(value, bool):
        return header == ("true" if value else "false")
    if isinstance(value, (int, float)):
        return _NUMBER.fullmatch(header) is not None and Decimal(header) == Decimal(value)
    return bool(header == value)


def required_capability(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return what a client has to declare for the server to ask it this."""
    capability = _CAPABILITIES_BY_METHOD[method]
    if capability == "elicitation" and params.get("mode") == "url":
        return {capability: {"url": {}}}
    return {capability: {}}


def is_declared(capabilities: dict[str, Any], method: str, params: dict[str, Any]) -> bool:
    """Return whether a client with these capabilities may be asked this.

    ``elicitation: {}`` means forms (2025-11-25 client/elicitation, Capabilities).
    """
    ((capability, modes),) = required_capability(method, params).items()
    declared = capabilities.get(capability)
    if not isinstance(declared, dict):
        return False
    if capability != "elicitation":
        return True
    return "url" in declared if modes else (not declared or "form" in declared)


_ANSWER_MEMBERS = {
    "elicitation/create": ("action",),
    "sampling/createMessage": ("role", "content"),
    "roots/list": ("roots",),
}


def is_answer(method: str, answer: Any) -> bool:
    """Return whether an answer to a question of ours has what every answer to it has."""
    return isinstance(answer, dict) and all(member in answer for member in _ANSWER_MEMBERS[method])


def read_params(decode: Decode, params: Raw) -> Any:
    """Return decoded params; null is taken for an absent member.

    Raises:
        InvalidParams: They do not fit.
    """
    try:
        try:
            return decode(params)
        except msgspec.ValidationError:
            return read_without_nulls(decode, params)
    except UNREADABLE as error:
        raise InvalidParams(f"Invalid params: {error}") from None
