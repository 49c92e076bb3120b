"""Resuming, and progress."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.table import RULES
from tests.watch.rules.building import MODERN, exchange
from tests.watch.rules.cases import Case, assert_case

EVENT = {"Last-Event-ID": "g1-12"}


def get(**facts: Any) -> ExchangeRecord:
    return exchange(None, http_method="GET", **{"streamed": True, **facts})


def slow(revision: str = "2025-11-25", **message: Any) -> ExchangeRecord:
    return exchange("tools/call", revision, message={"seconds": 31.24, **message})


CASES = {
    "event-id-on-post": Case(
        broken=[(exchange(headers=EVENT), "A POST came with Last-Event-ID")],
        held=[get(headers=EVENT)],
        silent=[exchange(), get(), exchange(revision=MODERN, headers=EVENT)],
    ),
    "event-id-unknown": Case(
        broken=[
            (
                get(headers=EVENT, gap="its stream is not kept any more"),
                "Last-Event-ID is g1-12, from which nothing can be resumed: its stream is not kept any more",
            ),
        ],
        held=[get(headers=EVENT)],
        silent=[
            get(),
            exchange(headers=EVENT, streamed=True),
            get(headers=EVENT, status=404, streamed=False),
        ],
    ),
    "no-progress-token": Case(
        broken=[
            (slow(), "The call of echo took 31.2 s and had no progressToken"),
            (slow(MODERN), "had no progressToken"),
            (slow("2024-11-05", name=None), "The call of a tool took"),
        ],
        held=[slow(params={"progress": "string"}), slow(params={"progress": "integer"})],
        silent=[
            exchange("tools/call"),
            slow(seconds=10.0),
            slow(seconds=None, outcome=None),
            exchange(message={"seconds": 31.0}),
        ],
    ),
    "progress-token-type": Case(
        broken=[
            (exchange("tools/call", message={"params": {"progress": "other"}}), "neither a string nor"),
            (
                exchange("tools/call", MODERN, message={"params": {"progress": "other"}}),
                "the server tells no progress",
            ),
        ],
        held=[exchange("tools/call", message={"params": {"progress": "string"}})],
        silent=[exchange("tools/call")],
    ),
}


@pytest.mark.parametrize("rule_id", CASES)
def test_streams_and_progress_are_judged_by_their_rules(rule_id: str) -> None:
    """2025-11-25 basic/transports, Resumability and Redelivery; basic/utilities/progress, Progress Flow."""
    assert_case(RULES[rule_id], CASES[rule_id])
