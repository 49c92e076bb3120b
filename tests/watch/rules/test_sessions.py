"""The id of a session, and what became of the session."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_echo.watch.records import Tombstone
from mcp_echo.watch.rules.rule import Broken
from mcp_echo.watch.rules.table import RULES
from tests.watch.rules.building import MODERN, SESSION, exchange
from tests.watch.rules.cases import Case, assert_case, outcome_of

MADE = 1_800_000_000.0
ENDED = Tombstone(made=MADE, node="b", used=MADE + 180, ended=MADE + 240, reason="expired")
ELSEWHERE = Tombstone(node="b", shared=False)
UNKNOWN: dict[str, Any] = {"known": False, "status": 404}
WITH_ID = {"Mcp-Session-Id": SESSION}
WITHOUT = exchange(headers={"Mcp-Session-Id": None}, session_form="none", session=None, known=False)

CASES = {
    "session-id-joined": Case(
        broken=[(exchange(session_form="doubled", **UNKNOWN), "Mcp-Session-Id is one id joined with itself")],
        held=[exchange()],
        silent=[WITHOUT, exchange(revision=MODERN, session_form="doubled")],
    ),
    "session-id-characters": Case(
        broken=[(exchange(session_form="characters", **UNKNOWN), "characters outside 0x21 to 0x7E")],
        held=[exchange()],
        silent=[WITHOUT, exchange(session_form="foreign", **UNKNOWN)],
    ),
    "session-id-invented": Case(
        broken=[
            (exchange(session_form="foreign", **UNKNOWN), "is not as this server makes its ids"),
            (exchange(session_form="undefined", **UNKNOWN), "the name of a value that was not there"),
            (exchange(session_form="quoted", **UNKNOWN), "is an id in quotation marks"),
        ],
        held=[exchange(), exchange(**UNKNOWN)],
        silent=[
            WITHOUT,
            exchange(session_form="elsewhere", **UNKNOWN),
            exchange(session_form="foreign", tombstone=ENDED, **UNKNOWN),
            exchange(session_form="foreign"),
            exchange(revision=MODERN, session_form="foreign"),
        ],
    ),
    "initialize-with-dead-id": Case(
        broken=[
            (
                exchange("initialize", headers=WITH_ID, tombstone=ENDED, **UNKNOWN),
                "initialize came with the id of a session that ended 2027-01-15T08:04:00.000Z",
            ),
        ],
        held=[exchange("initialize")],
        silent=[
            exchange(tombstone=ENDED, **UNKNOWN),
            # Nothing is known of that id, or it lives on elsewhere.
            exchange("initialize", headers=WITH_ID, **UNKNOWN),
            exchange("initialize", headers=WITH_ID, tombstone=ELSEWHERE, **UNKNOWN),
        ],
    ),
    "session-expired": Case(
        broken=[
            (
                exchange(tombstone=ENDED, **UNKNOWN),
                "This session existed (made 2027-01-15T08:00:00.000Z on node b, last used "
                "2027-01-15T08:03:00.000Z), and ended 2027-01-15T08:04:00.000Z: nobody used it",
            ),
            (
                exchange(tombstone=Tombstone(ended=MADE, reason="closed"), **UNKNOWN),
                "This session existed, and ended 2027-01-15T08:00:00.000Z: DELETE or a fault ended it",
            ),
            (exchange(tombstone=Tombstone(ended=MADE, reason="displaced"), **UNKNOWN), "needed its room"),
        ],
        silent=[exchange(), exchange(**UNKNOWN), exchange(tombstone=ELSEWHERE, **UNKNOWN)],
    ),
    "session-made-elsewhere": Case(
        broken=[
            (
                exchange(session_form="elsewhere", tombstone=ELSEWHERE, **UNKNOWN),
                "The id names the node of tag b, and its request arrived at the one of tag ca97 (a)",
            ),
        ],
        held=[exchange(), exchange(session_form="elsewhere")],
        silent=[
            WITHOUT,
            exchange(session_form="elsewhere", **UNKNOWN),
            exchange(tombstone=ENDED, **UNKNOWN),
            exchange(tombstone=Tombstone(shared=False), **UNKNOWN),
            exchange(tombstone=Tombstone(node="b", ended=MADE, shared=False), **UNKNOWN),
        ],
    ),
}


@pytest.mark.parametrize("rule_id", CASES)
def test_the_id_of_a_session_is_judged_by_its_rules(rule_id: str) -> None:
    """2025-11-25 basic/transports, Session Management."""
    assert_case(RULES[rule_id], CASES[rule_id])


def test_a_session_that_has_ended_is_found_once() -> None:
    """Our choice: a finding is counted by what it is about, and a client may try the same id for hours."""
    outcome = outcome_of(RULES["session-expired"], exchange(tombstone=ENDED, **UNKNOWN))
    assert isinstance(outcome, Broken)
    assert outcome.key == SESSION
