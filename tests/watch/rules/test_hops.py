"""What a head tells of proxies."""

from __future__ import annotations

import pytest

from mcp_echo.watch.rules.table import RULES
from tests.watch.rules.building import exchange, refused
from tests.watch.rules.cases import Case, assert_case

BEHIND = {"X-Forwarded-For": "203.0.113.9"}
PAGE = {"Origin": "https://mcp.example", **BEHIND}

CASES = {
    "proxy-host-rewritten": Case(
        broken=[
            (
                exchange(
                    proxied=True, headers={"Host": "127.0.0.1:3000", "X-Forwarded-Host": "mcp.example.com"}
                ),
                "The proxy was asked for mcp.example.com and asks this server for 127.0.0.1:3000",
            ),
            (
                exchange(proxied=True, headers={"Host": "backend", "Forwarded": 'for=a;Host="mcp.example"'}),
                "asked for mcp.example and asks",
            ),
        ],
        held=[
            exchange(proxied=True, headers={"X-Forwarded-Host": "mcp.example"}),
            exchange(proxied=True, headers={"X-Forwarded-Host": "MCP.example:443, inner.example"}),
        ],
        silent=[
            exchange(proxied=True),
            # Anybody may write this; only of a trusted proxy is it known.
            exchange(headers={"X-Forwarded-Host": "mcp.example.com"}),
            exchange(proxied=True, headers={"Host": None, "X-Forwarded-Host": "mcp.example.com"}),
        ],
    ),
    "proxy-scheme-lost": Case(
        broken=[
            (
                exchange(headers=PAGE),
                "Origin is https://mcp.example, which is this server: the client came by https, and no "
                "header says so",
            ),
            (
                exchange(headers={**PAGE, "X-Forwarded-Proto": "http"}),
                "the proxy says that the client came by http",
            ),
            (exchange(headers={**BEHIND, "CF-Visitor": '{"scheme":"https"}'}), "CF-Visitor says https"),
            (
                exchange(headers=BEHIND, canonical="https://mcp.example/"),
                "The address of this server is https://mcp.example/",
            ),
            (
                exchange(
                    headers={**BEHIND, "Forwarded": "for=a;proto=http", "CF-Visitor": '{"scheme":"https"}'}
                ),
                "the proxy says that the client came by http",
            ),
            (
                exchange(
                    headers={**BEHIND, "Host": "mcp.example:8443", "Origin": "https://mcp.example:8443"}
                ),
                "Origin is https://mcp.example:8443",
            ),
            (
                exchange(
                    headers={
                        **BEHIND,
                        "Host": "127.0.0.1:3000",
                        "X-Forwarded-Host": "mcp.example.com",
                        "Origin": "https://mcp.example.com",
                    }
                ),
                "Origin is https://mcp.example.com",
            ),
            (exchange(headers={**BEHIND, "Referer": "https://mcp.example/page"}), "Referer is https://mcp"),
        ],
        held=[
            exchange(headers={**PAGE, "X-Forwarded-Proto": "https"}),
            exchange(headers={**PAGE, "Forwarded": "for=203.0.113.9;proto=https, for=10.0.0.1;proto=http"}),
        ],
        silent=[
            exchange(),
            # Plain HTTP through a proxy is no fault.
            exchange(headers=BEHIND),
            exchange(headers={**BEHIND, "X-Forwarded-Proto": "http"}),
            exchange(headers={**BEHIND, "Origin": "https://app.example"}),
            exchange(headers={"Origin": "https://mcp.example"}),
            exchange(headers={**BEHIND, "Origin": "http://mcp.example"}),
            exchange(headers={**BEHIND, "Origin": "http://mcp.example:443"}),
            exchange(headers={**BEHIND, "Origin": "https://mcp.example:8443"}),
            exchange(headers=BEHIND, canonical="http://mcp.example/"),
            # What came of it may lack what would have said so.
            refused(exchange(headers=PAGE), "HeadTooLarge", 431),
        ],
    ),
    "proxy-chain": Case(
        broken=[
            (exchange(headers={"Via": ["1.1 a", "1.1 b"]}), "1 header came that proxies add: Via"),
            (
                exchange(headers={**BEHIND, "CF-Ray": "8a"}),
                "2 headers came that proxies add: X-Forwarded-For",
            ),
        ],
        silent=[exchange(), exchange(headers={"traceparent": "00-…"}), exchange(headers=BEHIND, path="/")],
    ),
}


@pytest.mark.parametrize("rule_id", CASES)
def test_what_proxies_do_is_judged_by_its_rules(rule_id: str) -> None:
    """RFC 7239 sections 5.3 and 5.4; RFC 9110 section 7.6.3."""
    assert_case(RULES[rule_id], CASES[rule_id])
