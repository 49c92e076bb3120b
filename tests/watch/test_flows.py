"""What clients did, step by step, and the sentence that says how it stands."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given, settings

from mcp_echo.watch.findings import Flow
from mcp_echo.watch.flows import MOST_FLOWS, Flows
from mcp_echo.watch.records import Record
from mcp_echo.watch.steps import MOST_EXCHANGES
from tests.watch.recordings import names, records
from tests.watch.rules.building import LEGACY, MODERN
from tests.watch.rules.modern_stories import asked, back
from tests.watch.rules.over_time import BEGUN, Story, retry
from tests.watch.rules.sessions_stories import GONE
from tests.watch.rules.test_over_time_bounds import crowd, histories


def flows_of(history: list[Record], now: float) -> tuple[Flow, ...]:
    flows = Flows()
    for record in history:
        flows.see(record)
    return flows.flows(now)


def flow_of(story: Story) -> Flow:
    """Return the one flow of a story, as it stands at its end."""
    (flow,) = flows_of(story.records, story.now)
    return flow


def steps_of(flow: Flow) -> str:
    """Return the steps with their states, those left out without."""
    return " ".join(f"{step.step}:{step.state}" for step in flow.steps if step.state != "skipped")


LISTED = "initialize:done initialized:done list:done"

PLAIN = {
    "plain-fastmcp": ["discover:done list:done call:done"],
    "plain-insp1": [f"{LISTED} get-stream:done"],
    "plain-insp2": [f"{LISTED} get-stream:done"],
    "plain-mcpremote": [
        "initialize:done initialized:done get-stream:done",
        "initialize:done initialized:done call:done get-stream:done",
    ],
    "plain-py1": [f"{LISTED} call:done get-stream:done delete:done"],
    "plain-py2": ["discover:done list:done call:done"],
    "plain-ts1": [f"{LISTED} call:done get-stream:done"],
    "plain-ts2auto": ["discover:done list:done call:done"],
    "plain-ts2default": [f"{LISTED} call:done get-stream:done"],
}


@pytest.mark.parametrize("name", names("plain"))
def test_the_flow_of_a_real_client_is_complete(name: str) -> None:
    """Our choice: what was recorded of clients that went about their business."""
    history = records(name)
    flows = flows_of(history, history[-1].at + 3600)
    assert [flow.state for flow in flows] == ["complete"] * len(flows)
    assert [steps_of(flow) for flow in flows] == PLAIN[name]
    assert all(flow.client is not None and flow.revision is not None for flow in flows)


@pytest.mark.parametrize("name", [each for each in names("drill") if "404" in each])
def test_the_flow_of_a_client_that_gives_up_after_404_says_so(name: str) -> None:
    """2025-11-25 basic/transports, Session Management: it MUST start a new session."""
    history = records(name)
    (flow,) = flows_of(history, history[-1].at + 60)
    assert flow.state == "failed"
    assert flow.verdict.startswith("The session was answered 404 at 15:22:4")
    assert flow.verdict.endswith("and no new initialize has come since")
    assert {step.step: step.state for step in flow.steps}["call"] == "failed"


def test_nothing_after_initialize_is_told_once_its_time_is_over() -> None:
    """2025-11-25 basic/lifecycle, Initialization: notifications/initialized MUST follow."""
    story = Story().initialize()
    flow = flow_of(story)
    assert (flow.state, flow.verdict) == (
        "running",
        "initialize was answered at 08:00:00.002, and nothing has come yet",
    )
    assert steps_of(flow) == "initialize:done"
    flow = flow_of(story.wait(9.1))
    assert (flow.state, flow.verdict) == (
        "stopped",
        "initialize was answered at 08:00:00.002 and nothing has come with the session id since",
    )
    assert steps_of(flow) == "initialize:done initialized:missing"


def test_a_client_that_never_says_that_it_is_ready_is_told_from_one_that_is_gone() -> None:
    """As above."""
    flow = flow_of(Story().initialize().post("tools/list").get().wait(10))
    assert flow.state == "stopped"
    assert "list, get-stream came since, but no notifications/initialized" in flow.verdict


def test_a_client_that_is_ready_and_asks_nothing_is_waited_for() -> None:
    """Our choice: nobody has to ask anything."""
    flow = flow_of(Story().ready().wait(600))
    assert (flow.state, flow.verdict) == (
        "running",
        "The client is ready since 08:00:01.000; it has asked for nothing yet",
    )
    flow = flow_of(Story().ready().wait(600).expire())
    assert flow.verdict.endswith("it expired at 08:10:02.000, without DELETE")


def test_a_session_that_was_made_without_initialize_says_so() -> None:
    """2025-11-25 basic/lifecycle, Initialization: it MUST be the first interaction."""
    flow = flow_of(Story().post("tools/list", session_form="none", made=True))
    assert flow.state == "stopped"
    assert steps_of(flow) == "initialize:missing list:done"
    assert "A request without initialize made the session" in flow.verdict


def test_an_initialize_that_was_refused_has_failed() -> None:
    """Our choice: no session, no next step."""
    message = {"error": -32602}
    flow = flow_of(Story().initialize(None, status=400, message=message).initialize(None, status=400))
    assert (flow.state, flow.verdict) == ("failed", "initialize got 400 at 08:00:01.002")
    assert steps_of(flow) == "initialize:failed"
    assert flow.steps[0].count == 2


def test_a_session_that_is_begun_anew_is_a_flow_of_its_own() -> None:
    """2025-11-25 basic/transports, Session Management."""
    story = Story().ready().call(**GONE).ready("s2").call("s2")
    old, new = flows_of(story.records, story.now)
    assert (old.session, old.state) == ("s1", "failed")
    assert old.verdict.endswith("and a new one was begun at 08:00:03.000")
    assert (new.session, new.state) == ("s2", "complete")


def test_a_session_that_another_client_begins_is_not_taken_for_it() -> None:
    """Our choice: a caller's sessions are told from those of others."""
    story = Story().ready().call(**GONE).ready("s2", address="192.0.2.8").call("s2", address="192.0.2.8")
    assert flows_of(story.records, story.now)[0].verdict.endswith("no new initialize has come since")


def test_a_client_that_does_not_come_back_for_an_answer_has_stopped() -> None:
    """2025-11-25 basic/transports, Sending Messages: the client SHOULD poll the stream."""
    story = Story().ready().call(streamed=True).stream("hang-up", "r1", retry=500)
    assert flow_of(story).state == "complete"
    flow = flow_of(story.wait(29))
    assert flow.state == "stopped"
    assert "resume:missing" in steps_of(flow)
    assert flow.verdict == (
        "The client was asked at 08:00:03.000 to come back for the rest of an answer, and has not"
    )
    flow = flow_of(story.get(headers={"Last-Event-ID": "r1-0"}))
    assert flow.state == "complete"
    assert "resume:done" in steps_of(flow)


def test_a_stream_that_is_taken_up_again_is_not_waited_for() -> None:
    """As above, where the event comes before the exchange."""
    story = Story().ready().call().stream("hang-up", "r1").stream("resume", "r1").wait(600)
    assert flow_of(story).state == "complete"


def test_what_comes_more_often_than_needed_is_repeated() -> None:
    """Our choice: lawful, and good to know."""
    page: dict[str, Any] = {"params": {"cursor": "c0"}}
    once = Story().ready().post("tools/list").post("tools/list", message=page).post("prompts/list").get()
    assert "list:done get-stream:done" in steps_of(flow_of(once))
    twice = once.post("tools/list").get().post("notifications/initialized")
    assert steps_of(flow_of(twice)) == (
        "initialize:done initialized:repeated list:repeated get-stream:repeated"
    )


def test_what_may_be_left_out_is_told_once_the_flow_is_there() -> None:
    """Our choice: as long as it runs, it may come yet."""
    assert [step.step for step in flow_of(Story().ready()).steps] == ["initialize", "initialized"]
    skipped = {step.step for step in flow_of(Story().ready().call()).steps if step.state == "skipped"}
    assert skipped == {"list", "get-stream", "resume", "delete"}
    assert [step.step for step in flow_of(asked()).steps] == ["call", "input-required"]
    skipped = {step.step for step in flow_of(back(asked())).steps if step.state == "skipped"}
    assert skipped == {"discover", "list", "listen"}


def test_a_flow_tells_what_has_failed_in_the_end() -> None:
    """Our choice: a client whose last call failed is not simply done."""
    flow = flow_of(Story().ready().post("tools/list").call(status=503, message={"outcome": 503}))
    assert flow.state == "complete"
    assert flow.verdict.endswith(
        "1 call, the last at 08:00:03.000; the session is open; call got 503 at 08:00:03.002"
    )
    flow = flow_of(Story().ready().call(status=None, last=None))
    assert flow.verdict == "Every request failed; the last got no answer at 08:00:02.002"
    flow = flow_of(Story().ready().call(left=60.0, status=None))
    assert flow.state == "failed"
    assert "no answer (the client had left after 60 s)" in flow.verdict


def test_what_worked_once_has_not_failed_every_time() -> None:
    """As above: the sentence says no more than was seen."""
    flow = flow_of(Story().ready().call().call(status=503, message={"outcome": 503}))
    assert flow.state == "complete"
    assert flow.verdict.endswith(
        "2 calls, the last at 08:00:03.000; the session is open; call got 503 at 08:00:03.002"
    )


def test_a_session_says_how_it_ended() -> None:
    """Our choice: by its client, by time, or for want of room."""
    assert "ended the session with DELETE" in flow_of(Story().ready().call().delete()).verdict
    assert "it expired at" in flow_of(Story().ready().call().expire()).verdict
    assert "made room for others" in flow_of(Story().ready().call().expire(reason="displaced")).verdict


def test_a_modern_flow_waits_for_the_retry() -> None:
    """2026-07-28 basic/patterns/mrtr: the client sends the request again, with what it was asked for."""
    flow = flow_of(asked())
    assert (flow.kind, flow.state) == ("modern", "running")
    assert flow.verdict == (
        "tools/call (echo) was answered with questions at 08:00:00.002, and may come again"
    )
    flow = flow_of(asked().wait(60))
    assert flow.state == "stopped"
    assert steps_of(flow) == "call:done input-required:done retry:missing"
    assert flow.verdict.endswith("and has not come again since")
    flow = flow_of(back(asked()).wait(600))
    assert (flow.state, steps_of(flow)) == ("complete", "call:done input-required:done retry:done")
    assert flow.verdict == "2 calls; the last request came at 08:00:01.000"
    assert "retry:done" in steps_of(flow_of(back(asked(None), None)))


def test_a_modern_flow_in_which_nothing_worked_has_failed() -> None:
    """Our choice, as above."""
    story = retry(Story(MODERN), {"error": -32022}, "server/discover", status=400)
    flow = flow_of(story)
    assert flow.state == "failed"
    assert flow.verdict == "Every request failed; the last got 400 (-32022) at 08:00:00.002"
    assert flow_of(story.post("server/discover")).state == "complete"


@pytest.mark.parametrize("client", ["example", None])
def test_a_client_that_goes_back_to_sessions_is_told_from_one_that_gives_up(client: str | None) -> None:
    """2026-07-28 basic/versioning, Backward Compatibility: the client sends initialize then."""
    message = {"error": -32600, "outcome": 400}
    story = Story(MODERN).post("server/discover", status=400, message=message, client=client)
    (modern,) = flows_of(story.records, story.now)
    assert modern.verdict == "Every request failed; the last got 400 (-32600) at 08:00:00.002"
    story.revision = LEGACY
    modern, *legacy = flows_of(story.ready().call().ready("s2").call("s2").records, story.now)
    assert modern.verdict.endswith("at 08:00:00.002, and a session was begun at 08:00:01.000")
    assert [flow.state for flow in (modern, *legacy)] == ["failed", "complete", "complete"]


def test_a_session_beside_a_modern_flow_that_works_is_nothing_to_tell() -> None:
    """As above."""
    story = Story(MODERN).post("server/discover")
    story.revision = LEGACY
    story.ready().revision = MODERN
    story.post("server/discover", status=400, message={"error": -32020, "outcome": 400})
    modern, _ = flows_of(story.records, story.now)
    assert modern.state == "complete"
    assert modern.verdict.endswith("; discover got 400 (-32020) at 08:00:03.002")


def test_what_was_refused_before_its_name_was_read_is_of_the_client_from_there() -> None:
    """Our choice: a caller with and without its name is one."""
    story = Story(MODERN).post("server/discover").call(client=None, status=400, message={"error": -32020})
    flow = flow_of(story)
    assert steps_of(flow) == "discover:done call:failed"
    assert flow.verdict.endswith("; call got 400 (-32020) at 08:00:01.002")


def test_clients_of_one_address_have_flows_of_their_own() -> None:
    """Our choice: by the names that they give themselves."""
    story = Story(MODERN).call().call(client="another")
    assert len(flows_of(story.records, story.now)) == 2


def test_a_listening_client_takes_that_step() -> None:
    """2026-07-28 basic/patterns/subscriptions."""
    story = Story(MODERN).post("subscriptions/listen", streamed=True, last=None)
    assert steps_of(flow_of(story)) == "listen:done"


def test_steps_name_their_first_exchanges_only() -> None:
    """Our choice: a flow of a thousand calls is as short as one of ten."""
    story = Story().ready()
    for _ in range(30):
        story.call()
    (call,) = (step for step in flow_of(story).steps if step.step == "call")
    assert call.count == 30
    assert call.exchanges == tuple(range(3, 3 + MOST_EXCHANGES))
    assert call.at == "2027-01-15T08:00:02.000Z"


def test_flows_are_bounded_and_the_idle_ones_go_first() -> None:
    """Our choice: whoever writes into a trace must not fill the memory of the server."""
    story = Story().ready("first")
    for place in range(3 * MOST_FLOWS):
        story.ready(f"s{place}").call("first")
    flows = flows_of(story.records, story.now)
    assert len(flows) == MOST_FLOWS
    assert flows[0].session == "first"


def test_a_crowd_takes_no_more_room_than_half_of_it() -> None:
    """As above, of whatever comes."""
    sizes = []
    for count in (150, 300):
        flows = Flows()
        for name in ("session-kept-after-404", "input-required-abandoned", "get-storm"):
            for record in crowd(name, count):
                flows.see(record)
        sizes.append(len(pickle.dumps(flows)))
    assert sizes[1] <= sizes[0] * 1.1


@settings(max_examples=200, deadline=None)
@given(histories())
def test_any_order_of_records_makes_flows(history: list[Record]) -> None:
    """Records of several nodes come merged: no order is promised. Whoever looks changes nothing."""
    flows = Flows()
    for record in history:
        flows.see(record)
    for now in (BEGUN, BEGUN + 5000):
        shown = flows.flows(now)
        assert shown == flows.flows(now)
        assert all(flow.verdict and not flow.verdict.endswith(".") for flow in shown)
        assert [flow.begun for flow in shown] == sorted(flow.begun for flow in shown)
