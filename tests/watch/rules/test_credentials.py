"""Credentials: where they are, and what they look like."""

from __future__ import annotations

import pytest

from mcp_echo.watch.rules.table import RULES
from tests.watch.rules.building import MODERN, exchange
from tests.watch.rules.cases import Case, assert_case

BEARER = {"Authorization": "Bearer (jwt, 812, 5d41402a)"}

CASES = {
    "token-in-query": Case(
        broken=[
            (exchange(query=(("access_token", "(jwt, 812)"),)), "The URL has the credential access_token"),
            (exchange(revision=MODERN, query=(("a", "1"), ("API_Key", "(16)"))), "credential API_Key"),
        ],
        held=[exchange(), exchange(query=(("session_id", "0f3a91c2…"), ("token", "")))],
        silent=[
            exchange(revision="2024-11-05", query=(("token", "(12)"),)),
            exchange(path="/t/{trace}/revoke", query=(("token", "(12)"),)),
        ],
    ),
    "authorization-malformed": Case(
        broken=[
            (exchange(headers={"Authorization": ""}, authorization="empty"), "has no value"),
            (exchange(headers=BEARER, authorization="no-credential"), "is one word"),
            (exchange(headers=BEARER, authorization="undefined"), "the name of a value that was not there"),
            (exchange(headers=BEARER, authorization="doubled"), "names its scheme twice"),
            (exchange(headers=BEARER, authorization="quoted"), "is in quotation marks"),
            (exchange(headers=BEARER, authorization="malformed"), "breaks the grammar"),
        ],
        held=[exchange(headers=BEARER, authorization="well-formed")],
        silent=[exchange()],
    ),
}


@pytest.mark.parametrize("rule_id", CASES)
def test_credentials_are_judged_by_their_rules(rule_id: str) -> None:
    """2025-11-25 basic/authorization, Token Requirements; RFC 9110 section 11.6.2."""
    assert_case(RULES[rule_id], CASES[rule_id])
