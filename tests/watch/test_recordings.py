"""Real clients, as they were recorded: what is found, and what is not."""

from __future__ import annotations

import pytest

from mcp_echo.watch.records import ExchangeRecord
from tests.watch.recordings import DIRECTORY, records
from tests.watch.replay import found, left

PLAIN = {
    "plain-fastmcp": set[str](),
    "plain-insp1": set(),
    "plain-insp2": set(),
    "plain-mcpremote": {"routing-header-in-legacy-era", "session-duplicate", "tool-unlisted"},
    "plain-py1": set(),
    "plain-py2": set(),
    "plain-ts1": set(),
    "plain-ts2auto": set(),
    "plain-ts2default": set(),
}

DRILLS = {
    "drill-404-py1": {"session-not-reestablished"},
    "drill-404-ts1": {"session-not-reestablished"},
    "drill-404-ts2": {"session-not-reestablished"},
    "drill-429-py1": set[str](),
    "drill-429-ts2": set(),
    "drill-503-ts1": set(),
    "drill-cut-py1": {"get-retried-after-405"},
    "drill-cut-py2modern": {"event-id-in-modern-era"},
    "drill-cut-ts1": set(),
    "drill-html-py1": {"get-retried-after-405"},
    "drill-wrongid-py1": {"get-retried-after-405"},
    "drill-wrongid-py2modern": set(),
    "drill-wrongid-ts1": set(),
}

NOTICED = {"registration-kind"}
"""What is told of every client that registers itself."""

OAUTH = {
    # Its registration was answered with more than is kept, so that nobody knows which client it is.
    "oauth-mcpremote": {"routing-header-in-legacy-era", "session-duplicate", "tool-unlisted"},
    "oauth-py1": {*NOTICED, "user-agent-missing"},
    "oauth-py2": {*NOTICED, "user-agent-missing"},
    "oauth-ts1": NOTICED,
    "oauth-ts2": NOTICED,
}

STEP_UP = {
    "stepup-py1": {*NOTICED, "user-agent-missing", "token-scope", "step-up-drops-scope"},
    "stepup-py2": {*NOTICED, "user-agent-missing", "token-scope"},
    "stepup-ts1": {*NOTICED, "token-scope", "step-up-refreshed"},
    "stepup-ts2": {*NOTICED, "token-scope"},
}


def test_every_recording_is_told_of_here() -> None:
    """A new recording must not go unread."""
    told = {*PLAIN, *DRILLS, *OAUTH, *STEP_UP}
    assert sorted(told) == sorted(path.stem for path in DIRECTORY.glob("*.txt"))


@pytest.mark.parametrize("name", PLAIN)
def test_a_client_that_goes_about_its_business_gets_no_error(name: str) -> None:
    """Our choice: no rule accuses a client that is right; these nine are in daily use."""
    findings = found(records(name))
    assert findings.keys() == PLAIN[name], [finding.summary for finding in findings.values()]
    assert [finding.id for finding in findings.values() if finding.level == "error"] == []


@pytest.mark.parametrize("name", DRILLS)
def test_what_a_client_makes_of_a_fault_is_found(name: str) -> None:
    """2025-11-25 basic/transports, Session Management: a client that gets 404 MUST begin a new session."""
    assert found(records(name)).keys() == DRILLS[name]


@pytest.mark.parametrize("name", OAUTH)
def test_a_client_that_is_let_in_by_oauth_gets_no_error(name: str) -> None:
    """Our choice: whatever of OAuth these five leave out or do twice is lawful."""
    findings = found(records(name))
    assert findings.keys() == OAUTH[name], [finding.summary for finding in findings.values()]
    assert [finding.id for finding in findings.values() if finding.level != "info"] == []


@pytest.mark.parametrize("name", STEP_UP)
def test_what_a_client_makes_of_a_scope_that_it_lacks_is_found(name: str) -> None:
    """2026-07-28 basic/authorization, Step-Up Authorization Flow: ask anew, for the union."""
    findings = found(records(name))
    assert findings.keys() == STEP_UP[name], [finding.summary for finding in findings.values()]


def test_a_step_up_that_helps_resolves_what_the_token_lacked() -> None:
    """Our choice: what is resolved stays, and says so."""
    assert [found(records(name))["token-scope"].resolved for name in STEP_UP] == [True, True, False, True]


@pytest.mark.parametrize("name", ["plain-ts1", "plain-insp1", "plain-insp2", "plain-mcpremote"])
def test_a_session_that_a_client_leaves_behind_is_told_when_it_expires(name: str) -> None:
    """2025-11-25 basic/transports, Session Management: clients SHOULD send DELETE when they are done."""
    kept = records(name)
    made = [each for each in kept if isinstance(each, ExchangeRecord) and each.made]
    assert found(left(kept))["session-never-deleted"].count == len(made)


def test_what_was_recorded_is_read_whole() -> None:
    """A record that a loader has dropped could break no rule."""
    kept = [each for each in records("plain-py1") if isinstance(each, ExchangeRecord)]
    methods = [each.message.method if each.message else each.http_method for each in kept]
    wanted = ["initialize", "notifications/initialized", "GET", "tools/list", "tools/call", "DELETE"]
    assert methods == wanted
    assert [each.status for each in kept] == [200, 202, 200, 200, 200, 204]
    assert {each.revision for each in kept} == {"2025-11-25"}
    assert {each.client for each in kept} == {"mcp"}
    assert len({each.session for each in kept}) == 1
