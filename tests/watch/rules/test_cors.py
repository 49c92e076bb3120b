"""Preflights: whether a browser goes on."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.table import RULES
from tests.watch.rules.building import exchange, refused
from tests.watch.rules.cases import Case, assert_case

ALLOWED = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS"),
    ("Access-Control-Allow-Headers", "Content-Type, Authorization, Mcp-Session-Id"),
)


def preflight(
    asks: str | None = "content-type,mcp-session-id", method: str = "POST", **facts: Any
) -> ExchangeRecord:
    """Return a browser's preflight and the answer that lets it go on."""
    lines = {
        "Accept": "*/*",
        "Origin": "https://app.example",
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": asks,
        "Mcp-Session-Id": None,
        "MCP-Protocol-Version": None,
    }
    usual = {"http_method": "OPTIONS", "status": 204, "answer_headers": ALLOWED, **facts}
    return exchange(None, headers=lines, **usual)


CASES = {
    "preflight-refused": Case(
        broken=[
            (
                refused(
                    preflight(answer_headers=()), "OriginRefused", 403, reason="Origin not allowed; add it"
                ),
                "The browser of https://app.example sends no POST to /mcp: its preflight was answered 403 "
                "(Origin not allowed; add it)",
            ),
            (preflight(answer_headers=ALLOWED[1:]), "has no Access-Control-Allow-Origin"),
            (preflight(method="PUT"), "does not allow PUT"),
            (refused(preflight(path="/t/{trace}/nothing"), "RouteNotFound", 404), "to /nothing"),
        ],
        held=[
            preflight(),
            preflight(method="DELETE"),
            preflight(method="PUT", answer_headers=(*ALLOWED[:1], ("Access-Control-Allow-Methods", "*"))),
            preflight(answer_headers=ALLOWED[:1]),
        ],
        silent=[
            exchange(),
            preflight(status=None),
            exchange(None, http_method="OPTIONS"),
            # No browser's.
            replace(preflight(), headers=(("Access-Control-Request-Method", "POST"),)),
            replace(preflight(), http_method="POST"),
        ],
    ),
    "preflight-header-not-allowed": Case(
        broken=[
            (
                preflight("content-type,x-tenant,X-Trace"),
                "A page of https://app.example sends x-tenant and x-trace, which are not allowed here",
            ),
            (
                preflight(
                    "x-tenant,authorization",
                    answer_headers=(*ALLOWED[:2], ("Access-Control-Allow-Headers", "*")),
                ),
                "sends authorization, which is not allowed",
            ),
        ],
        held=[preflight(), preflight(None), preflight("CONTENT-TYPE")],
        silent=[
            exchange(),
            preflight("x-tenant", answer_headers=()),
            preflight("x-tenant", status=None),
        ],
    ),
}


@pytest.mark.parametrize("rule_id", CASES)
def test_a_preflight_is_judged_by_its_rules(rule_id: str) -> None:
    """https://fetch.spec.whatwg.org/#cors-preflight-fetch"""
    assert_case(RULES[rule_id], CASES[rule_id])
