"""The head of a request: what it accepts, how it is spelled, who sends it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.rule import Broken
from mcp_echo.watch.rules.table import RULES
from tests.watch.rules.building import MODERN, exchange, refused
from tests.watch.rules.cases import Case, assert_case, outcome_of

BOTH = "application/json, text/event-stream"
OLD = "2024-11-05"


def get(**facts: Any) -> ExchangeRecord:
    return exchange(None, http_method="GET", streamed=True, **facts)


CASES = {
    "accept-incomplete": Case(
        broken=[
            (exchange(headers={"Accept": "application/json"}), "lacks text/event-stream"),
            (exchange(headers={"Accept": "text/event-stream"}), "lacks application/json"),
            (exchange(headers={"Accept": "text/html"}), "lacks application/json and text/event-stream"),
            (exchange("tools/call", MODERN, {"Accept": "application/json"}), "Accept is application/json"),
            # Refused before anybody knows the session; its header tells.
            (
                refused(exchange(headers={"Accept": "text/html"}), "NotAcceptable", 406),
                "Accept is text/html",
            ),
            (
                exchange(headers={"Accept": "application/json, text/event-stream;q=0"}),
                "lacks text/event-stream",
            ),
        ],
        held=[
            exchange(),
            exchange(headers={"Accept": ["application/json", "text/event-stream"]}),
            exchange(headers={"Accept": "text/event-stream;q=0.5, application/json, */*;q=0.1"}),
        ],
        silent=[
            exchange(headers={"Accept": "*/*"}),
            exchange(headers={"Accept": None}),
            exchange(revision=OLD, headers={"Accept": "application/json"}),
            exchange(path="/t/{trace}/token", headers={"Accept": "application/json"}),
            exchange(complete=False, headers={"Accept": "application/json"}),
            get(),
        ],
    ),
    "accept-wildcard": Case(
        broken=[
            (exchange(headers={"Accept": "*/*"}), "Accept is */*"),
            (exchange(headers={"Accept": None}), "There is no Accept"),
            (
                exchange(headers={"Accept": "application/json, text/*"}),
                "it must list application/json and text/event-stream by name",
            ),
            (
                exchange(headers={"Accept": "text/event-stream, */*"}),
                "it must list application/json and text/event-stream by name",
            ),
        ],
        held=[exchange(), exchange(revision=MODERN)],
        silent=[
            exchange(headers={"Accept": "application/json"}),
            exchange(headers={"Accept": "text/event-stream"}),
            exchange(revision=OLD, headers={"Accept": None}),
            refused(exchange(headers={"Accept": None}), "MalformedHttp", 400),
        ],
    ),
    "get-accept": Case(
        broken=[
            (get(headers={"Accept": "application/json"}), "Accept is application/json"),
            (get(headers={"Accept": None}), "there is no Accept"),
            (get(headers={"Accept": "*/*"}), "it must list text/event-stream"),
        ],
        held=[get(), get(headers={"Accept": BOTH})],
        silent=[
            exchange(headers={"Accept": "application/json"}),
            get(revision=MODERN, headers={"Accept": "application/json"}),
            # A browser, or a load balancer that looks whether somebody is there.
            get(headers={"Accept": "text/html,*/*;q=0.8", "Mcp-Session-Id": None}),
        ],
    ),
    "content-type-wrong": Case(
        broken=[
            (exchange(headers={"Content-Type": "text/plain"}), "Content-Type is text/plain"),
            (exchange(headers={"Content-Type": None}), "There is no Content-Type"),
        ],
        held=[exchange(), exchange(headers={"Content-Type": "Application/JSON; charset=utf-8"})],
        silent=[get(), exchange(path="/t/{trace}/register", headers={"Content-Type": "text/plain"})],
    ),
    "header-repeated": Case(
        broken=[
            (
                exchange(headers={"Mcp-Session-Id": ["0f3a91c2…", "0f3a91c2…"]}),
                "Mcp-Session-Id came in 2 lines; it takes one value: 0f3a91c2…; 0f3a91c2…",
            ),
            (
                exchange(headers={"Authorization": ["Bearer (jwt)", "Bearer (jwt)"]}),
                "Authorization came in 2",
            ),
            (exchange("tools/call", MODERN, {"mcp-param-X": ["a", "b"]}), "a; b"),
            (exchange(headers={"Origin": ["https://a.example"] * 3}), "Origin came in 3 lines"),
        ],
        held=[exchange(), exchange(headers={"Accept": ["application/json", "text/event-stream"]})],
        silent=[replace(exchange(), headers=(("Accept", BOTH),))],
    ),
    "host-refused": Case(
        broken=[
            (
                refused(
                    exchange(headers={"Host": "mcp.internal:8080", "X-Forwarded-Host": "mcp.example.com"}),
                    "HostRefused",
                    421,
                ),
                "Host is mcp.internal:8080, which no entry of MCP_ECHO_ALLOWED_HOSTS allows; mcp.internal "
                "would; X-Forwarded-Host says mcp.example.com",
            ),
            (refused(exchange(headers={"Host": "[::1]:80"}), "HostRefused", 421), "[::1] would"),
            (refused(exchange(headers={"Host": "a b"}), "HostRefused", 421), "it is not a host name"),
        ],
        held=[exchange()],
        silent=[exchange(headers={"Host": None})],
    ),
    "origin-refused": Case(
        broken=[
            (
                refused(exchange(headers={"Origin": "https://evil.example"}), "OriginRefused", 403),
                "Origin is https://evil.example, which no entry of MCP_ECHO_ALLOWED_ORIGINS allows",
            ),
        ],
        held=[exchange(headers={"Origin": "https://app.example"})],
        silent=[exchange()],
    ),
    "path-spelling": Case(
        broken=[
            (exchange(path="/t/{trace}/mcp/"), "/mcp/ is another resource"),
            (exchange(path="//mcp"), "//mcp is another resource"),
            (refused(exchange(path="/MCP"), "RouteNotFound", 404), "/MCP is another resource"),
            (
                refused(exchange(path="/t/{trace}/mcp/mcp"), "RouteNotFound", 404),
                "/mcp/mcp is another resource",
            ),
        ],
        held=[exchange(), exchange(path="/mcp")],
        silent=[
            exchange(path="/t/{trace}/authorize"),
            exchange(path="/.well-known/oauth-protected-resource/t/{trace}/mcp"),
            exchange(path="/"),
        ],
    ),
    "cookie-sent": Case(
        broken=[(exchange(headers={"Cookie": "(3 cookies)"}), "The request has a Cookie")],
        silent=[exchange(), exchange(path="/t/{trace}/authorize", headers={"Cookie": "(1 cookie)"})],
    ),
    "user-agent-missing": Case(
        broken=[
            (exchange(headers={"User-Agent": None}), "POST /mcp has no User-Agent"),
            (
                exchange(None, path="/t/{trace}/token", headers={"User-Agent": None}),
                "POST /token has no User-Agent",
            ),
        ],
        held=[exchange()],
        silent=[
            refused(exchange(headers={"User-Agent": None}), "OtherProtocol", 400),
            exchange(headers={"User-Agent": None}, http_method=""),
            exchange(headers={"User-Agent": None}, complete=False),
        ],
    ),
    "expected-header-absent": Case(
        broken=[
            (exchange(expects=("X-Tenant", "user-agent")), "X-Tenant should have arrived with POST"),
            (exchange(expects=("X-A", "X-B")), "X-A and X-B should have arrived"),
        ],
        held=[exchange(expects=("X-Tenant",), headers={"x-tenant": "a"})],
        silent=[
            exchange(),
            exchange(expects=("X-Tenant",), http_method="OPTIONS"),
            exchange(expects=("X-Tenant",), path="/t/{trace}/token"),
        ],
    ),
}


@pytest.mark.parametrize("rule_id", CASES)
def test_a_head_is_judged_by_its_rules(rule_id: str) -> None:
    """RFC 9110 and the specification: basic/transports, Sending Messages to the Server."""
    assert_case(RULES[rule_id], CASES[rule_id])


def test_the_place_of_a_repeated_header_is_that_of_its_second_line() -> None:
    """Our choice: whoever looks at the lines sees which is one too many."""
    record = exchange()
    lines = (("mcp-session-id", "a"), *record.headers)
    outcome = outcome_of(RULES["header-repeated"], replace(record, headers=lines))
    assert isinstance(outcome, Broken)
    assert outcome.subject == f"header:{[name for name, _ in lines].index('Mcp-Session-Id')}"


@pytest.mark.parametrize("rule_id", ["accept-incomplete", "accept-wildcard", "get-accept"])
def test_a_finding_has_what_was_there_and_what_was_to_be_there(rule_id: str) -> None:
    """Our choice: whoever reads a finding sees the two beside each other."""
    for record, _ in CASES[rule_id].broken:
        outcome = outcome_of(RULES[rule_id], record)
        assert isinstance(outcome, Broken)
        assert (outcome.found or "") == ", ".join(record.values("Accept"))
        assert "text/event-stream" in (outcome.wanted or "")
