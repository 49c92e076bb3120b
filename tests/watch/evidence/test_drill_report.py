"""The report of a drill plan, and what evidence tells of faults."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from msgspec.structs import replace

from mcp_echo.watch.drill_report import MOST, Planned, drill_report
from mcp_echo.watch.evidence.as_json import as_json
from mcp_echo.watch.evidence.markdown import markdown
from mcp_echo.watch.evidence.room import FOR_DRILLS
from mcp_echo.watch.findings import Report
from mcp_echo.watch.report import report_about
from mcp_echo.watch.rules.table import RULES
from tests.watch.evidence.support import said
from tests.watch.evidence.test_markdown import HOSTILE, TEXTS, skeleton
from tests.watch.rules.over_time import Story

PLAN = (Planned(1, "session-lost 404", "over"), Planned(2, "reject 429", "armed"))


def kept_dead_id() -> Story:
    """A client whose session is said to be gone, and that does not heed it."""
    facts = {"fault": "session-lost 404", "order": 1, "status": 404, "known": False}
    answer = (("X-MCP-Echo-Fault", "session-lost 404"),)
    return Story().ready().call(**facts, answer_headers=answer).wait(-0.9).call()


def report(story: Story) -> Report:
    """What is known of a story at its end."""
    return report_about(story.records, RULES, story.now, "trace")


def test_a_report_has_what_was_hit_what_came_of_it_and_which_rule_it_broke() -> None:
    """A drill's verdict, and as a finding where a rule is broken."""
    story = kept_dead_id()
    (drill,) = report(story).drills
    assert (drill.order, drill.exchange, drill.shown, drill.outcome) == (1, 3, 4, "kept-dead-id")
    assert (drill.request, drill.status, drill.milliseconds) == ("tools/call (echo)", 404, 98)
    assert drill.findings == ("session-kept-after-404",)
    assert report(Story().ready().call()).drills == ()


def test_what_never_came_is_told_with_the_fault_that_it_was_due_to() -> None:
    """2025-11-25 basic/transports, Session Management: a client that gets 404 MUST begin a new session."""
    story = Story().ready().call(fault="session-lost 404", order=1, status=404).wait(40)
    (drill,) = report(story).drills
    assert (drill.outcome, drill.findings) == ("nothing-yet", ("session-not-reestablished",))


def test_what_a_client_gets_wrong_anyway_is_not_told_with_the_fault() -> None:
    """Our choice: it did so before, and needs no fault for it."""
    headers = {"Accept": "application/json"}
    wrong = {"headers": headers, "findings": ("accept-incomplete",)}
    story = Story().ready().call(fault="answer html", order=1, **wrong).call(**wrong)
    (drill,) = report(story).drills
    assert (drill.outcome, drill.findings) == ("repeated", ())
    usual = Story().ready().call(**wrong).call(fault="answer html", order=1).call(**wrong)
    (drill,) = report(usual).drills
    assert (drill.outcome, drill.findings) == ("repeated", ())


def test_a_stream_that_is_taken_up_too_early_breaks_its_rule_with_the_drill() -> None:
    """2025-11-25 basic/transports: the client MUST respect retry."""
    story = Story().ready().call(fault="cut", order=1, streamed=True, last=None)
    story.wait(-0.99).stream("open", "r1").wait(-1).stream("hang-up", "r1", retry=500).wait(-0.9)
    story.get(headers={"Last-Event-ID": "r1-1"}).wait(-0.999).stream("resume", "r1")
    (drill,) = report(story).drills
    assert (drill.outcome, drill.findings) == ("did-not-wait", ("retry-not-respected",))
    # The call is recorded when its work has ended, which may be later.
    story.records[2] = replace(story.records[2], number=99)
    assert report(story).drills[0].findings == ("retry-not-respected",)


def test_a_plan_is_told_order_by_order_with_links() -> None:
    """Our choice: whoever reads the issue sees what was ordered, what was sent and what the text says."""
    story = kept_dead_id()
    text = drill_report(report(story), story.records, "session-loss", PLAN).decode()
    wanted = [
        "**Drill:** `session-loss`; 1 of 2 orders hit something\n",
        "- Client: `example` `1.0`",
        "- Era: legacy, revision `2025-11-25`",
        "## Order 1: `session-lost 404`\n\n`Sent the dead session id again after 98 ms.`",
        "- What was hit: exchange 3, `tools/call (echo)` → 404, at `",
        "- What the client did: kept-dead-id, exchange 4, `tools/call (echo)`, after 98 ms",
        "- Rules that it broke: [session-kept-after-404](<https://modelcontextprotocol.io/",
        "X-MCP-Echo-Fault: session-lost 404",
        "POST /t/{trace}/mcp HTTP/1.1",
        "## Order 2: `reject 429`\n\nIt has hit nothing: it is armed.",
        "## Findings\n\n- Error: `session-kept-after-404`: `The session was answered 404",
    ]
    places = [text.index(each) for each in wanted]
    assert places == sorted(places)


def test_a_plan_is_told_without_the_orders_that_are_not_its_own() -> None:
    """Our choice: orders may have been armed before, or beside it."""
    story = kept_dead_id().call(fault="answer html", order=7)
    text = drill_report(report(story), story.records, "session-loss", PLAN).decode()
    assert "; 1 of 2 orders hit something" in text
    assert "answer html" not in text


def test_without_a_plan_every_order_that_hit_something_is_told() -> None:
    """Our choice: orders may be given one by one."""
    story = kept_dead_id()
    text = drill_report(report(story), story.records).decode()
    assert text.startswith("**Drill:** orders; 1 hit something\n")
    assert text.count("## Order ") == 1


def test_a_report_fits_into_an_issue() -> None:
    """Our choice: GitHub takes 65,536 characters."""
    story = Story().ready()
    for _ in range(100):
        story.call(fault="reject 500", order=1, status=500, headers={"X-Long": ["x" * 5000] * 40})
    text = drill_report(report(story), story.records)
    assert 0.3 * MOST < len(text) <= MOST
    assert b"are left out, to save room" in text


def test_evidence_has_what_was_hit_and_says_what_it_leaves_out() -> None:
    """Our choice: the newest drills stay."""
    story = kept_dead_id()
    text = markdown(report(story), story.records).decode()
    assert "## Faults\n\n- Order 1, `session-lost 404`: hit exchange 3, `tools/call (echo)`, `20" in text
    assert (
        "`Sent the dead session id again after 98 ms.` (kept-dead-id, exchange 4;"
        " breaks `session-kept-after-404`)"
    ) in text
    many = Story().ready()
    for _ in range(200):
        many.call(fault="reject 500", order=1, status=500)
    evidence = json.loads(as_json(report(many), many.records))
    shown, lost = evidence["report"]["drills"], evidence["cut"]["drills"]
    assert len(shown) + lost == 200
    assert shown[-1]["exchange"] == 202
    assert 0.8 * FOR_DRILLS < len(json.dumps(shown)) < 1.2 * FOR_DRILLS
    text = markdown(report(many), many.records).decode()
    left_out = int(text.partition("## Faults\n\n*The oldest ")[2].partition(" faults are left out")[0])
    assert text.count("- Order 1, ") + left_out == 200


@given(TEXTS)
def test_no_text_of_a_client_becomes_structure(text: str) -> None:
    """Our choice: it is pasted where others read it."""
    assert skeleton(drill_report(*said(text)).decode()) == skeleton(drill_report(*said("C")).decode())


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_what_is_hostile_stays_code(text: str) -> None:
    """Our choice, as above."""
    assert skeleton(drill_report(*said(text)).decode()) == skeleton(drill_report(*said("C")).decode())


def test_addresses_are_not_told() -> None:
    """docs/evidence.md: evidence says of nobody where it came from."""
    story = (
        Story()
        .ready()
        .call(
            fault="answer html", order=1, headers={"X-Forwarded-For": "203.0.113.77"}, path="/t/{trace}/mcp"
        )
    )
    story.call(headers={"X-Forwarded-For": "203.0.113.77"})
    assert b"203.0.113" not in drill_report(report(story), story.records)
