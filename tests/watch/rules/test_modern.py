"""What a request of the modern era says of itself, twice."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mcp_echo.watch.masking import Masker
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.rule import Broken, Held
from mcp_echo.watch.rules.table import RULES
from tests.credentials import jws, plain
from tests.watch.rules.building import LEGACY, MODERN, SESSION, exchange
from tests.watch.rules.cases import Case, assert_case, outcome_of

VERSION = "MCP-Protocol-Version"
WRAPPED = "=?base64?SGVsbG8=?="
MASKER = Masker(b"a key")
SECRET = jws("a secret").text


def call(headers: dict[str, Any] | None = None, **facts: Any) -> ExchangeRecord:
    return exchange("tools/call", MODERN, headers, **facts)


def mismatch(said: str, headers: dict[str, Any]) -> ExchangeRecord:
    """Return a call that was refused because a header and the body differ."""
    message = {"error": -32020, "outcome": 400, "result": {"message": said}}
    return call(headers, message=message, status=400)


CASES = {
    "method-header": Case(
        broken=[
            (call({"Mcp-Method": "tools/list"}), "Mcp-Method is tools/list, and the body says tools/call"),
            (call({"Mcp-Method": "Tools/Call"}), "Mcp-Method is Tools/Call"),
            (call({"Mcp-Method": None}), "Mcp-Method is missing, and the body says tools/call"),
        ],
        held=[call(), exchange(revision=MODERN)],
        silent=[
            exchange(),
            exchange("notifications/cancelled", MODERN, {"Mcp-Method": None}),
            call({"Mcp-Method": None}, path="/t/{trace}/token"),
            # Of no era that anybody knows.
            exchange(
                headers={VERSION: "1.0"},
                message={"error": -32022, "outcome": 400, "era": "modern", "revision": "1.0"},
                era="modern",
            ),
        ],
    ),
    "name-header": Case(
        broken=[
            (
                mismatch("header and body disagree: the header Mcp-Name says 'x'", {"Mcp-Name": "x"}),
                "Mcp-Name is x, and the body says echo",
            ),
            (call({"Mcp-Name": None}), "Mcp-Name is missing, and the body says echo"),
            (
                exchange("tasks/get", MODERN, {"Mcp-Name": None}, message={"name": "t1"}),
                "and the body says t1",
            ),
        ],
        # What is masked differs from the header, which the server has held against the name itself.
        held=[call(), call(message={"name": "ec… (40)"}), call({"Mcp-Name": "=?base64?ZWNobw==?="})],
        silent=[
            exchange(revision=MODERN, headers={"Mcp-Name": None}),
            exchange(revision=MODERN, headers={"Mcp-Name": None}, message={"name": "echo"}),
            call({"Mcp-Name": None}, message={"name": None}),
            mismatch("Mcp-Method is missing; the body says 'tools/call'", {"Mcp-Method": None}),
            mismatch("A header value in the base64 form is not base64", {"Mcp-Name": "=?base64?!?="}),
            exchange("tools/call"),
        ],
    ),
    "param-header": Case(
        broken=[
            (
                mismatch("Mcp-Param-Region is missing; the argument region is given", {}),
                "Mcp-Param-Region is missing; the argument region is given",
            ),
            (
                mismatch(
                    "Mcp-Param-Region says 'a', the argument region something else", {"mcp-param-region": "a"}
                ),
                "Mcp-Param-Region says 'a'",
            ),
        ],
        held=[call({"Mcp-Param-Region": "eu"})],
        silent=[
            call(),
            mismatch("Mcp-Name is missing", {"Mcp-Name": None}),
            mismatch("Mcp-Name is missing", {"Mcp-Name": None, "Mcp-Param-Region": "eu"}),
            exchange(revision=MODERN),
            # A tool says what it likes.
            call(message={"result": {"message": "Mcp-Param-Region is a header"}}),
        ],
    ),
    "header-encoding": Case(
        broken=[
            (
                call({"Mcp-Name": "=?base64?SGVsbG8?="}),
                "Mcp-Name is =?base64?SGVsbG8?=, which is neither",
            ),
            (call({"Mcp-Param-A": "=?base64?SGVs!!!bG8=?="}), "Mcp-Param-A is"),
            (call({"Mcp-Param-A": "zürich"}), "Mcp-Param-A is zürich"),
        ],
        held=[
            call(),
            call({"Mcp-Name": WRAPPED}),
            # Not wrapped exactly, it stands for itself.
            call({"Mcp-Param-A": "=?base64?SGVsbG8"}),
            call({"Mcp-Param-A": "SGVsbG8"}),
            call({"Mcp-Param-Token": MASKER.header("Mcp-Param-Token", WRAPPED)}),
        ],
        silent=[
            exchange(revision=MODERN),
            exchange("tools/call", headers={"Mcp-Name": "=?base64?!?="}),
            # As records have what may not be read there: a handle in a URI, and a secret.
            call({"Mcp-Name": MASKER.header("Mcp-Name", f"echo://session/es_{'A' * 43}")}),
            call({"Mcp-Name": MASKER.header("Mcp-Name", f"=?base64?{plain(SECRET)}?=")}),
        ],
    ),
    "routing-header-in-legacy-era": Case(
        broken=[
            (
                exchange(headers={"mcp-method": "tools/list"}),
                "mcp-method came with a request of an earlier revision",
            ),
            (exchange("tools/call", headers={"Mcp-Method": "a", "Mcp-Name": "b"}), "Mcp-Method and Mcp-Name"),
            (exchange(headers={"Mcp-Param-A": "b"}), "Mcp-Param-A came with"),
        ],
        held=[exchange(), exchange("initialize")],
        silent=[
            call(),
            replace(exchange(headers={"Mcp-Method": "a"}), era=None),
            exchange(headers={"Mcp-Method": "a"}, path="/t/{trace}/token"),
            # As a server has it that speaks earlier revisions only.
            exchange("server/discover", MODERN, era="legacy", status=400),
        ],
    ),
    "meta-incomplete": Case(
        broken=[
            (
                call(message={"params": {"lacks": ("io.modelcontextprotocol/clientCapabilities",)}}),
                "_meta lacks io.modelcontextprotocol/clientCapabilities",
            ),
        ],
        held=[call()],
        silent=[
            exchange(),
            exchange("initialize", message={"params": {"lacks": ("clientInfo",)}}),
            exchange("initialize", MODERN, message={"params": {"lacks": ("clientInfo",)}}),
        ],
    ),
    "meta-without-client": Case(
        broken=[
            (
                call(message={"params": {"client": None, "client_version": None}}),
                "tools/call names no client in _meta",
            ),
        ],
        held=[
            call(),
            call(message={"params": {"client": None}}),
            call(message={"params": {"client_version": None}}),
        ],
        # Its header alone is of the modern era.
        silent=[
            exchange(),
            call(message={"params": {"modern": False, "client": None, "client_version": None}}),
        ],
    ),
    "version-header-meta": Case(
        broken=[
            # The body decides about the era, and the answer names the revision of the header.
            (
                call({VERSION: LEGACY}, message={"error": -32020, "revision": LEGACY}),
                f"{VERSION} is {LEGACY}, and the body says {MODERN}",
            ),
        ],
        held=[call()],
        silent=[
            call({VERSION: None}),
            call(message={"params": {"modern": False, "protocol_version": None}}),
            exchange(headers={VERSION: "2025-06-18"}),
        ],
    ),
    "event-id-in-modern-era": Case(
        broken=[
            (call({"Last-Event-ID": "g1-2"}), "POST came with Last-Event-ID, and streams of 2026-07-28"),
            (
                replace(
                    exchange(None, MODERN, {"Last-Event-ID": "g1-2"}, http_method="GET", status=405),
                    era=None,
                    revision=None,
                ),
                "GET came with Last-Event-ID",
            ),
            (
                exchange(None, MODERN, http_method="GET", status=405),
                f"A GET came with {VERSION}: {MODERN}, which opens streams with POST alone",
            ),
        ],
        held=[call()],
        silent=[
            exchange(None, http_method="GET", headers={"Last-Event-ID": "g1-2"}),
            exchange(None, MODERN, http_method="DELETE", status=405),
            exchange(None, MODERN, http_method="GET", path="/.well-known/oauth-protected-resource"),
            exchange(),
        ],
    ),
    "session-id-in-modern-era": Case(
        broken=[(call({"Mcp-Session-Id": SESSION}), "Mcp-Session-Id came with a request of 2026-07-28")],
        held=[call()],
        silent=[exchange(), call({"Mcp-Session-Id": SESSION}, path="/t/{trace}/token")],
    ),
}


@pytest.mark.parametrize("rule_id", CASES)
def test_a_modern_request_is_judged_by_its_rules(rule_id: str) -> None:
    """2026-07-28 basic, _meta; basic/transports/streamable-http, Request Metadata."""
    assert_case(RULES[rule_id], CASES[rule_id])


def test_a_header_of_another_revision_is_held_against_the_body() -> None:
    """2026-07-28 basic/versioning: the body says which era a request is of, and the rules are that era's."""
    record = replace(call({VERSION: LEGACY}), revision=LEGACY)
    assert isinstance(outcome_of(RULES["version-header-meta"], record), Broken)
    assert isinstance(outcome_of(RULES["method-header"], record), Held)
