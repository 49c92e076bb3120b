"""The handshake of the legacy revisions."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from mcp_echo.protocol.errors import InvalidParams, InvalidRequest, UnsupportedRevision
from mcp_echo.protocol.handshake import (
    MAX_SELF_DESCRIPTION,
    check_version_header,
    check_version_header_strictly,
    read_initialize,
)
from mcp_echo.protocol.revisions import LEGACY, Revision, Supported

FULL = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"roots": {"listChanged": True}},
    "clientInfo": {"name": "test-client", "version": "1.0", "title": "Test"},
}


def raw(value: object) -> Raw:
    return Raw(json.dumps(value).encode())


@pytest.mark.parametrize("strict", [False, True])
def test_a_complete_initialize_is_read(strict: bool) -> None:
    """2025-11-25 basic/lifecycle, Initialization; members that are not known are let pass."""
    params = read_initialize(raw({**FULL, "_meta": {}}), strict)
    assert params.protocolVersion == FULL["protocolVersion"]
    assert params.capabilities == FULL["capabilities"]
    assert params.clientInfo == FULL["clientInfo"]


def test_a_lenient_server_needs_the_version_alone() -> None:
    """Our choice: what people type with curl works as long as it harms nobody."""
    params = read_initialize(raw({"protocolVersion": "2025-06-18"}), strict=False)
    assert (params.capabilities, params.clientInfo) == ({}, {})


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"capabilities": None}, "capabilities"),
        ({"clientInfo": None}, "clientInfo"),
        ({"clientInfo": {"name": "x"}}, "version"),
        ({"clientInfo": {"version": "1"}}, "name"),
        ({"clientInfo": {"name": 1, "version": "1"}}, "name"),
    ],
)
def test_a_strict_server_needs_everything_the_schema_requires(changed: dict[str, object], named: str) -> None:
    """2025-11-25 schema, InitializeRequestParams and Implementation."""
    params = {key: value for key, value in {**FULL, **changed}.items() if value is not None}
    with pytest.raises(InvalidParams, match=named):
        read_initialize(raw(params), strict=True)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "params",
    [
        b"{}",
        b'{"protocolVersion":1}',
        b'{"protocolVersion":null}',
        b'{"protocolVersion":"x","capabilities":[]}',
        b'{"protocolVersion":"x","clientInfo":"me"}',
        b'{"protocolVersion":"\xff"}',
        b'{"protocolVersion":"x","capabilities":{"a":' + b"[" * 3000 + b"]" * 3000 + b"}}",
    ],
    ids=lambda params: repr(params[:50]) if isinstance(params, bytes) else str(params),
)
def test_what_no_client_should_send_is_refused_in_either_mode(params: bytes, strict: bool) -> None:
    """JSON-RPC section 5.1: -32602 for invalid params."""
    with pytest.raises(InvalidParams, match=r"^Invalid initialize params: ") as refusal:
        read_initialize(Raw(params), strict)
    assert refusal.value.code == -32602


@pytest.mark.parametrize(("excess", "accepted"), [(0, True), (1, False)])
def test_a_self_description_is_bounded_to_the_byte(excess: int, accepted: bool) -> None:
    """Our choice: it is kept as long as the session, so that it must not hold a payload."""
    frame = b'{"protocolVersion":"%s"}'
    params = Raw(frame % (b"x" * (MAX_SELF_DESCRIPTION + excess - len(frame) + 2)))
    assert len(bytes(params)) == MAX_SELF_DESCRIPTION + excess
    if accepted:
        assert read_initialize(params, strict=False).protocolVersion.startswith("xx")
    else:
        with pytest.raises(InvalidParams, match=f"larger than {MAX_SELF_DESCRIPTION} bytes"):
            read_initialize(params, strict=False)


@given(st.binary(max_size=100), st.booleans())
def test_nothing_else_than_a_refusal_is_raised(params: bytes, strict: bool) -> None:
    """Our choice: an exception of another kind would read as our own fault."""
    with contextlib.suppress(InvalidParams):
        read_initialize(Raw(params), strict)


def test_no_version_header_means_no_revision() -> None:
    """2025-11-25 basic/transports, Protocol Version Header: its absence is no error."""
    assert check_version_header(None, Supported()) is None


@pytest.mark.parametrize("revision", LEGACY, ids=lambda revision: revision.name)
def test_a_supported_version_header_names_its_revision(revision: Revision) -> None:
    """2025-11-25 basic/transports, Protocol Version Header."""
    assert check_version_header(revision.name, Supported()) is revision


@pytest.mark.parametrize("header", ["", "1999-01-01", "2025-06-18, 2025-06-18", "\x1b[31m"])
def test_an_unsupported_version_header_is_refused_with_the_supported_ones(header: str) -> None:
    """2025-11-25 basic/transports, Protocol Version Header: MUST be 400."""
    with pytest.raises(UnsupportedRevision) as refusal:
        check_version_header(header, Supported(["2025-06-18", "2024-11-05"]))
    assert refusal.value.status == 400
    assert refusal.value.data == {"supported": ["2025-06-18", "2024-11-05"], "requested": header}
    assert "2025-06-18, 2024-11-05" in refusal.value.message
    assert "\x1b" not in refusal.value.message


OLD, NEW = Supported().get("2025-03-26"), Supported().get("2025-11-25")


@pytest.mark.parametrize(
    ("header", "negotiated", "problem"),
    [
        (None, OLD, None),
        (NEW, OLD, None),
        (NEW, NEW, None),
        (None, NEW, "is missing; this session speaks 2025-11-25"),
        (OLD, NEW, "says 2025-03-26; this session speaks 2025-11-25"),
    ],
)
def test_a_strict_server_insists_on_the_negotiated_header_where_there_is_one(
    header: Revision | None, negotiated: Revision, problem: str | None
) -> None:
    """From 2025-06-18 on clients MUST send MCP-Protocol-Version after initialize; before, none existed."""
    if problem is None:
        check_version_header_strictly(header, negotiated)
        return
    with pytest.raises(InvalidRequest, match=problem) as refusal:
        check_version_header_strictly(header, negotiated)
    assert refusal.value.status == 400
