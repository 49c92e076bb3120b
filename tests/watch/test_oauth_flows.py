"""What clients did to be let in, step by step, and the sentence that says how it stands."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from mcp_echo.watch.findings import Flow
from mcp_echo.watch.oauth_flows import MOST_FLOWS
from mcp_echo.watch.records import ExchangeRecord, Record
from mcp_echo.watch.report import report_about
from mcp_echo.watch.rules.table import RULES
from tests.watch.recordings import names, records
from tests.watch.rules.building import MODERN
from tests.watch.rules.oauth_stories import ELSEWHERE, LOST, ROOT, asked
from tests.watch.rules.oauth_story import ADMIN, OTHER, READ, OauthStory, story
from tests.watch.rules.oauth_token_stories import granted, refused, steps_up
from tests.watch.rules.over_time import BEGUN
from tests.watch.rules.test_over_time_bounds import as_another, histories
from tests.watch.test_flows import flows_of, steps_of

LET_IN = "challenge:done resource-metadata:done server-metadata:done register:done authorize:done token:done"
TWICE = LET_IN.replace("metadata:done", "metadata:repeated")

REAL = {
    "oauth-mcpremote": f"{TWICE} first-call:done".replace("challenge:done", "challenge:repeated").replace(
        "authorize:done", "authorize:repeated"
    ),
    "oauth-py1": f"{LET_IN} first-call:done",
    "oauth-py2": f"{LET_IN} first-call:done",
    "oauth-ts1": f"{TWICE} first-call:done",
    "oauth-ts2": f"{TWICE} first-call:done",
    "stepup-py1": f"{LET_IN} first-call:done step-up:done",
    "stepup-py2": f"{LET_IN} first-call:done step-up:done",
    "stepup-ts1": f"{TWICE} first-call:done refresh:done step-up:failed",
    "stepup-ts2": f"{TWICE} first-call:done step-up:done",
}


def oauth_flows(history: list[Record], now: float) -> list[Flow]:
    """Return the flows of OAuth."""
    return [flow for flow in flows_of(history, now) if flow.kind == "oauth"]


def flow_of(told: OauthStory) -> Flow:
    """Return the one flow of OAuth of a story, as it stands at its end."""
    (flow,) = oauth_flows(told.records, told.now)
    return flow


def stands(told: OauthStory) -> tuple[str, str]:
    """Return how the flow of a story stands, and what is said of it."""
    flow = flow_of(told)
    return flow.state, flow.verdict


@pytest.mark.parametrize("name", [*names("oauth"), *names("stepup")])
def test_all_that_a_real_client_does_is_one_flow(name: str) -> None:
    """Our choice: what was recorded, with what these clients lawfully do twice."""
    history = records(name)
    (flow,) = oauth_flows(history, history[-1].at + 3600)
    assert flow.state == ("failed" if name == "stepup-ts1" else "complete"), flow.verdict
    assert steps_of(flow) == REAL[name]
    assert flow.client is not None
    assert flow.revision is not None


@pytest.mark.parametrize("name", names("plain"))
def test_whoever_is_not_challenged_has_no_flow(name: str) -> None:
    """Our choice: mcp-remote looks for metadata wherever it connects."""
    history = records(name)
    assert oauth_flows(history, history[-1].at) == []


@pytest.mark.parametrize("name", [*names("oauth"), *names("stepup")])
def test_a_request_that_was_challenged_is_no_failure_of_what_follows(name: str) -> None:
    """Our choice: 401 is the way in; what a client does once it is in, is told beside it."""
    history = records(name)
    others = [flow for flow in flows_of(history, history[-1].at) if flow.kind != "oauth"]
    assert others
    assert "failed" not in {flow.state for flow in others}


def test_a_client_that_stops_after_the_token_is_told_after_thirty_seconds() -> None:
    """Our choice: what 17 reports were about."""
    told = story().granted()
    assert stands(told) == ("running", "A token was issued at 08:00:05.002; first-call may come yet")
    assert steps_of(flow_of(told)) == LET_IN
    told.wait(30)
    assert stands(told) == (
        "stopped",
        "A token was issued at 08:00:05.002 and nothing has come with it; from that address came since:"
        " nothing",
    )
    assert steps_of(flow_of(told)) == f"{LET_IN} first-call:missing"
    told.use()
    assert flow_of(told).state == "complete"
    assert steps_of(flow_of(told)) == f"{LET_IN} first-call:done"


def test_what_came_instead_of_the_token_is_listed() -> None:
    """Our choice: whoever reads it sees who stopped."""
    told = story().granted().challenge().use(None).wait(30)
    assert flow_of(told).verdict.endswith(
        "came since: POST /t/{trace}/mcp initialize without a token (401) and POST /t/{trace}/mcp tools/call"
        " (echo) without a token (200)"
    )


STOPPED = {
    "resource-metadata": (
        story().challenge(),
        "The client was challenged at 08:00:00.002, and the client has not",
    ),
    "server-metadata": (
        story().challenge().read(),
        "and that of its authorization server has not been asked for",
    ),
    "authorize": (
        story().found().register(),
        "c-1 was registered at 08:00:03.002, and nobody has come to authorize",
    ),
    "consent": (
        asked(code=None, answered={"asks": True}, facts={"status": 200}),
        "and nobody has answered it",
    ),
    "token": (
        asked(),
        "The browser was sent back with a code at 08:00:04.002, and the client has not redeemed it",
    ),
    "refresh": (refused(), "The token was refused at 08:00:08.002, and no refresh token has come since"),
    "step-up": (
        granted().no_scope(),
        "tools/call (echo) was refused at 08:00:08.002 for want of mcp:admin, and",
    ),
}


@pytest.mark.parametrize("step", STOPPED)
def test_the_step_that_never_came_is_missing_once_its_time_is_over(step: str) -> None:
    """Our choice: each step has a deadline, a person's a longer one."""
    told, said = STOPPED[step]
    assert flow_of(told).state == "running"
    assert flow_of(told).verdict.endswith(f"{step} may come yet")
    state, verdict = stands(told.wait(300))
    assert (state, said in verdict) == ("stopped", True), verdict
    assert {each.step for each in flow_of(told).steps if each.state == "missing"} == {step}


def test_what_a_client_may_leave_out_is_skipped() -> None:
    """Our choice: a client that is registered before, knows the metadata, and is asked for no consent."""
    flow = flow_of(story().authorize(client_id="before").token(client_id="before").use())
    assert flow.state == "complete"
    assert "before was known before" in flow.verdict
    skipped = {step.step for step in flow.steps if step.state == "skipped"}
    assert skipped >= {"challenge", "resource-metadata", "server-metadata", "register", "consent"}


def test_a_refusal_of_the_server_has_failed_until_it_is_done_again() -> None:
    """RFC 6749 section 5.2."""
    told = asked().token(None, {"description": "The code is spent."})
    assert stands(told) == ("failed", "token got invalid_grant at 08:00:05.002: The code is spent")
    assert flow_of(told.authorize("c0000002").token(code="c0000002").use()).state == "complete"
    declined = asked(code=None, answered={"asks": True}, facts={"status": 200})
    declined.leg("consent", {}, {"error": "access_denied", "state": "d0000001"}, status=302)
    assert stands(declined) == ("failed", "consent got access_denied at 08:00:05.002")
    assert stands(story().found().register(None)) == ("failed", "register got 400 at 08:00:03.002")


def test_a_page_that_asks_is_a_step_of_its_own() -> None:
    """Our choice: where the server consents by itself, it is skipped."""
    told = asked(code=None, answered={"asks": True}, facts={"status": 200})
    told.leg("consent", {}, {"code": "c0000001", "state": "d0000001"}, status=302, **ELSEWHERE).token().use()
    assert flow_of(told).state == "complete"
    assert "authorize:done consent:done token:done" in steps_of(flow_of(told))


def test_a_token_that_is_refused_is_refreshed() -> None:
    """RFC 6749 section 1.5."""
    flow = flow_of(refused().refresh().use(OTHER))
    assert flow.state == "complete"
    assert "first-call:done refresh:done" in steps_of(flow)
    # Nobody has to use a token that was refreshed ahead of time.
    assert flow_of(granted().refresh().wait(600)).state == "complete"


def test_a_step_up_is_done_when_the_client_asks_and_failed_when_that_does_not_help() -> None:
    """2026-07-28 basic/authorization, Step-Up Authorization Flow."""
    done = steps_up().token(OTHER, {"scope": (*READ, *ADMIN)}, code="c0000010").use(OTHER)
    assert flow_of(done).state == "complete"
    assert "step-up:done" in steps_of(flow_of(done))
    vain = granted().no_scope().refresh().no_scope(OTHER)
    assert stands(vain) == (
        "failed",
        "tools/call (echo) was refused for want of mcp:admin again at 08:00:10.002",
    )
    assert "step-up:failed" in steps_of(flow_of(vain))


def test_another_authorization_server_is_waited_for() -> None:
    """Our choice: of what is not seen, only the token that comes of it is told."""
    told = story().challenge().read(servers=("https://login.example",))
    assert stands(told) == (
        "running",
        "The client was sent to https://login.example at 08:00:01.002, which is not seen here; first-call may"
        " come yet",
    )
    assert flow_of(told.wait(300)).verdict.endswith("and no token has come since")
    flow = flow_of(story().challenge().read(servers=("https://login.example",)).use("f0000009"))
    assert flow.state == "complete"
    assert "1 request with a token" in flow.verdict


def test_legs_are_of_one_flow_whichever_way_they_come() -> None:
    """Our choice: a browser comes from another address, and a program over many connections."""
    told = (
        story().found().register().authorize(facts=ELSEWHERE).token(facts={"connection": 5}).use(**ELSEWHERE)
    )
    assert flow_of(told).state == "complete"
    # Nothing is known of the client id but that somebody is on the way to authorize.
    browser = story().found().authorize(client_id="before", facts=ELSEWHERE).token(client_id="before").use()
    assert steps_of(flow_of(browser)).startswith("challenge:done resource-metadata:done")


def test_two_clients_at_one_address_are_two_flows() -> None:
    """Our choice, where they say different names or the first is in already."""
    named = {"message": {"params": {"client": "other"}}, "client": "other"}
    told = story().challenge().challenge(connection=2, **named).wait(60)
    assert [flow.client and flow.client.name for flow in oauth_flows(told.records, told.now)] == [
        "example",
        "other",
    ]
    again = (
        granted().challenge().read().server().authorize("c0000002").token(OTHER, code="c0000002").use(OTHER)
    )
    first, second = oauth_flows(again.records, again.now)
    assert (first.state, second.state) == ("complete", "complete")
    assert steps_of(second) == f"{LET_IN} first-call:done".replace("register:done ", "")


def test_metadata_at_a_wrong_place_is_no_step() -> None:
    """Our choice: the finding says where it was looked for, the flow that it was not found."""
    told = story().challenge()
    told.post(None, None, **{**LOST, "path": ROOT})
    told.wait(30)
    assert steps_of(flow_of(told)) == "challenge:done resource-metadata:missing"


def test_a_flow_binds_the_revision_of_the_request_that_was_challenged() -> None:
    """Our choice: as its findings do."""
    assert flow_of(story(MODERN).challenge("server/discover").read()).revision == MODERN
    unknown = {"http_method": "GET", "headers": {"MCP-Protocol-Version": None}}
    told = story().challenge(None, **unknown)
    told.records[-1] = as_unknown(told.records[-1])
    assert flow_of(told).revision is None
    assert flow_of(told.challenge()).revision == "2025-11-25"


def as_unknown(record: Record) -> Record:
    """Return a record that says no revision."""
    assert isinstance(record, ExchangeRecord)
    return replace(record, revision=None, client=None)


@settings(max_examples=60, deadline=None)
@given(histories())
def test_any_order_of_legs_makes_flows(history: list[Record]) -> None:
    """Records of several nodes come merged: no order is promised."""
    for flow in flows_of(history, BEGUN + 5000):
        assert flow.verdict
        assert not flow.verdict.endswith(".")


def test_flows_are_bounded() -> None:
    """Our choice: whoever writes into a trace must not fill the memory of the server."""
    told = story().challenge().read()
    many = [as_another(record, client) for client in range(3 * MOST_FLOWS) for record in told.records]
    numbered = [replace(each, number=place) for place, each in enumerate(many, 1)]
    assert len(oauth_flows(numbered, told.now)) == MOST_FLOWS


def test_a_way_in_that_has_stopped_is_the_first_thing_to_know() -> None:
    """Our choice: where no rule is broken, too; what an error says comes before it."""
    told = story().found().register().wait(60)
    assert report_about(told.records, RULES, told.now, "trace").verdict == (
        "The client was not let in: c-1 was registered at 08:00:03.002, and nobody has come to authorize"
        " since."
    )
    assert report_about(told.authorize().token().use().records, RULES, told.now, "trace").verdict == (
        "Nothing is wrong in what was seen: 7 exchanges."
    )
    silent = story().granted().wait(30)
    assert report_about(silent.records, RULES, silent.now, "trace").verdict.startswith(
        "Something is wrong: A token was issued at 08:00:05.002 to c-1 at 192.0.2.7, and nothing has come"
    )


def test_a_step_up_that_stopped_is_told_of_as_such() -> None:
    """Our choice: a client that is in is not said to be out."""
    told = granted().no_scope().wait(90)
    assert report_about(told.records, {}, told.now, "trace").verdict.startswith(
        "The client was not given more: tools/call (echo) was refused"
    )


def elsewhere(number: int) -> dict[str, object]:
    """Return the place of another client."""
    return {"address": f"198.51.100.{number}", "peer": f"198.51.100.{number}", "connection": number}


def test_a_verifier_joins_a_token_to_the_request_whose_challenge_it_fits() -> None:
    """RFC 7636 section 4.6: whoever has the verifier has asked for the code, wherever it comes from."""
    told = story().found().register().authorize(None, {"state": None}, state=None)
    told.token(client_id=None, code="c0000009", facts=elsewhere(7))
    assert steps_of(flow_of(told)).startswith("challenge:done resource-metadata:done")
    other = story().found().register().authorize(None, {"state": None}, state=None)
    other.token(client_id=None, code="c0000009", proves="another-challenge", facts=elsewhere(7))
    assert len(oauth_flows(other.records, other.now)) == 2


def test_one_way_in_alone_is_certain_wherever_its_legs_come_from() -> None:
    """Our choice: there is nobody else in the trace that a leg could be of."""
    assert flow_of(story().granted().use()).likely is False


def test_what_only_an_address_joins_is_likely_where_there_are_others() -> None:
    """docs/oauth.md: by address only as likely."""
    told = story().found()
    told.challenge(**elsewhere(7)).read(**elsewhere(7))
    told.server(connection=99)
    mine, other = oauth_flows(told.records, told.now)
    assert (mine.likely, other.likely) == (True, False)


def test_a_token_of_an_issuer_that_is_not_seen_is_likely_that_of_who_waits_for_one() -> None:
    """docs/oauth.md, as above: who was given it is seen by nobody here."""
    told = story().challenge().read(servers=("https://as.example",)).use("a0000009")
    flow = flow_of(told)
    assert (flow.state, flow.likely) == ("complete", True)


@pytest.mark.parametrize("text", ["{trace}", "{", "{0}", "{}", "%s"])
def test_whatever_a_client_says_is_text_in_the_sentence_about_it(text: str) -> None:
    """Our choice: names of tools, ids of clients and of issuers are anybody's."""
    assert f"for want of {text}" in flow_of(granted().no_scope(scope=(text,))).verdict
    assert f"{text} was registered at" in flow_of(story().found().register(text)).verdict
    lost = story().challenge().read(servers=(f"https://as.example/{text}",))
    assert f"https://as.example/{text} at" in flow_of(lost).verdict
