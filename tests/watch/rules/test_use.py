"""Cursors and arguments."""

from __future__ import annotations

import pytest

from mcp_echo.watch.rules.table import RULES
from tests.watch.rules.building import MODERN, exchange
from tests.watch.rules.cases import Case, assert_case

CURSOR = {"cursor": "a81f"}

CASES = {
    "cursor-invented": Case(
        broken=[
            (
                exchange(
                    message={
                        "params": CURSOR,
                        "error": -32602,
                        "result": {"message": "Invalid cursor: 'page2'"},
                    }
                ),
                "tools/list came with a cursor that this server did not give",
            ),
        ],
        held=[exchange(message={"params": CURSOR}), exchange(revision=MODERN, message={"params": CURSOR})],
        silent=[
            exchange(),
            exchange(message={"params": CURSOR, "outcome": None}),
            exchange(message={"params": CURSOR, "error": -32601, "result": {"message": "Method not found"}}),
        ],
    ),
    "arguments-invalid": Case(
        broken=[
            (
                exchange(
                    "tools/call",
                    "2025-06-18",
                    message={"error": -32602, "result": {"message": "Invalid arguments for tool echo: x"}},
                ),
                "Invalid arguments for tool echo: x",
            ),
            # Since 2025-11-25 it is a result that says so.
            (
                exchange("tools/call", message={"result": {"message": "Invalid arguments for tool echo: x"}}),
                "Invalid arguments for tool echo: x",
            ),
        ],
        held=[exchange("tools/call"), exchange("tools/call", MODERN)],
        silent=[
            exchange(),
            exchange("tools/call", message={"error": -32602, "result": {"message": "Unknown tool: x"}}),
            exchange("tools/call", message={"outcome": None, "seconds": None}),
        ],
    ),
}


@pytest.mark.parametrize("rule_id", CASES)
def test_lists_and_calls_are_judged_by_their_rules(rule_id: str) -> None:
    """2025-11-25 server/utilities/pagination, Implementation Guidelines; server/tools, Error Handling."""
    assert_case(RULES[rule_id], CASES[rule_id])
