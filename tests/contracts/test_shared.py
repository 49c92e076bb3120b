"""Everything that holds for sessions in memory, with sessions that are kept elsewhere.

A client must not be able to tell, so that the same tests run once more, on an engine in plain dicts. They do
not run under trial, which takes every test for a quick one.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import tests.eras
import tests.fixtures
import tests.metrics
import tests.transport
from tests.transport.engine_support import OnAnEngine
from tests.transport.support import ServerTestCase

ROOMS = (tests.eras, tests.fixtures, tests.metrics, tests.transport)
NOT_AGAIN = (
    "test_shared_server",
    "test_shared_tombstones",
    "test_shared_traces",
    "test_twice",
)
"""Modules whose servers have an engine already."""
MODULES = [
    importlib.import_module(f"{room.__name__}.{module.name}")
    for room in ROOMS
    for module in pkgutil.iter_modules(room.__path__)
    if module.name.startswith("test_") and module.name not in NOT_AGAIN
]

_DIRECT = "takes sessions from the store outside of any request, which only memory allows"
_OWN = "looks at how the memory of the server counts"
_SHARES = "an engine has no sums of what each client's sessions hold"
_REPORT = "looks into the observer, or expects the report to have the request that asks for it"
_TEXT = "reckons with a number as the id of a question, which is a text where a node has to be named"
_ELSEWHERE = "an answer may be for another node, which is asked"
_ENDS = "a node does not know when others used a session last, and hears of ends late, or at the next sweep"
_NAMED = "test_a_node_that_has_a_name_takes_no_session_of_its_former_life_for_that_of_another"
OTHERWISE: dict[str, str] = {
    "ExpiryTests.test_two_calls_after_the_session_has_expired_and_initialize_with_its_id": _ENDS,
    "IdOfTraceTests.test_a_response_has_the_id_of_a_question": _ELSEWHERE,
    f"TombstoneFindingTests.{_NAMED}": "all nodes have one store",
    "TombstoneFindingTests.test_a_session_of_another_node_is_told_of": "all nodes have one store",
    "TombstoneFindingTests.test_calls_with_an_expired_id_are_told_of": _ENDS,
    "TombstoneOwnerTests.test_a_session_that_expired_unseen_is_remembered": _ENDS,
    "TombstoneOwnerTests.test_the_owner_of_a_displaced_session_is_told_so": _ENDS,
    "TombstoneOwnerTests.test_the_owner_of_an_expired_session_is_told_its_life": _ENDS,
    "StateTests.test_messages_from_the_queue_to_the_stream": _DIRECT,
    "StateTests.test_totals_outlive_the_sessions_that_made_them": _DIRECT,
    "StateTests.test_sessions_from_their_beginning_to_their_end": "an engine counts lifetimes to the expiry",
    "LimitTests.test_what_all_sessions_hold_together": _DIRECT,
    "LimitTests.test_what_one_client_holds_beyond_its_share": _DIRECT,
    "StateShareTests.test_one_address_that_fills_its_share_leaves_another_s_state_kept": _SHARES,
    "StateShareTests.test_who_has_filled_its_share_is_told_why_nothing_can_be_replayed": _SHARES,
    "StateShareTests.test_a_principal_has_its_share_wherever_it_comes_from": _SHARES,
    "StateShareTests.test_handles_count_in_the_share_of_their_maker": _SHARES,
    "OwnerTests.test_the_messages_of_the_old_transport_come_from_who_opened_the_stream": _DIRECT,
    "GetTests.test_an_expired_session_ends_its_streams": "asks how many a sweep has ended before it is over",
    "KeepAliveTests.test_a_busy_stream_needs_none": _DIRECT,
    "QuestionTests.test_a_client_that_does_not_answer_is_reported_in_time": _DIRECT,
    "QuestionTests.test_an_answer_counts_once_and_under_its_own_id_alone": _TEXT,
    "QuestionTests.test_an_answer_that_is_not_utf_8_is_refused_and_the_question_stays_open": _TEXT,
    "QuestionTests.test_a_malformed_answer_in_a_batch_is_told_of_too": _TEXT,
    "QuestionTests.test_a_malformed_answer_is_refused_and_told_of": _TEXT,
    "QuestionTests.test_an_answer_to_a_question_that_is_over_is_told_from_one_to_none": _TEXT,
    "QuestionTests.test_an_answer_with_another_id_is_told_beside_the_id_of_the_question": _TEXT,
    "QuestionTests.test_only_so_many_strays_are_told_of": _TEXT,
    "ModernReportTests.test_another_caller_s_client_of_the_same_name_is_not_seen": _REPORT,
    "ReportTests.test_a_proper_client_has_no_findings": _REPORT,
    "ResourceTests.test_a_legacy_subscription_to_what_cannot_be_read_is_refused_as_reading_it_is": _DIRECT,
    "IdTests.test_a_response_has_the_id_of_a_question": _ELSEWHERE,
    "OldTransportTests.test_the_rules_hold_on_the_transport_of_2024_11_05_too": _DIRECT,
    "StateTests.test_a_message_that_is_lost_is_counted_and_the_operator_told": _DIRECT,
    "StateTests.test_an_answer_larger_than_a_queue_is_streamed_and_not_kept": _DIRECT,
    "StateTests.test_health_tells_the_sums_and_when_there_is_no_room": _OWN,
    "StateTests.test_what_modern_streams_have_written_is_not_held": _DIRECT,
    "HealthTests.test_health_has_the_documented_shape_and_true_numbers": "shows the memory store",
    "HealthTests.test_ready_until_the_server_drains": "shows the memory store",
}
"""Test → why it does not hold here."""


def _shared(case: type[ServerTestCase]) -> type[ServerTestCase]:
    members = {name: None for name in dir(case) if f"{case.__name__}.{name}" in OTHERWISE}
    return type(
        f"Shared{case.__name__}",
        (OnAnEngine, case),
        {**members, "__module__": __name__, "pytestmark": pytest.mark.slow},
    )


for _module in MODULES:
    for _name, _case in inspect.getmembers(_module, inspect.isclass):
        if issubclass(_case, ServerTestCase) and _case.__module__ == _module.__name__:
            # By its module as well: several modules have a class of the same name.
            _place = _module.__name__.rpartition(".")[2].title().replace("_", "").removeprefix("Test")
            globals()[f"Shared{_place}{_name}"] = _shared(_case)


def test_what_does_not_hold_here_holds_in_memory() -> None:
    """Guards the list above and the rooms: a test that is not found in them would not be missed."""
    cases = [each for name, each in globals().items() if name.startswith("Shared")]
    memory = {f"{case.__bases__[1].__name__}.{name}" for case in cases for name in dir(case)}
    assert set(OTHERWISE) - memory == set()
