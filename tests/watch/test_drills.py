"""The verdict of a drill: what a client did after a fault had hit it.

Source of each outcome: `mcp_echo.watch.drill_outcomes`; what real clients did is in tests/recordings.
"""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_echo.watch.drill_outcomes import MEANINGS, DrillVerdict, Outcome
from mcp_echo.watch.drill_watch import WATCHED, Watched
from mcp_echo.watch.drills import MOST_WATCHED, verdict_of, verdicts
from mcp_echo.watch.oauth_records import OauthRecord
from mcp_echo.watch.records import ExchangeRecord, Record
from tests.watch.recordings import records
from tests.watch.rules.building import MODERN
from tests.watch.rules.over_time import BEGUN, Story
from tests.watch.rules.test_over_time_bounds import histories

RETRY: Any = (("Retry-After", "1"),)
TOKEN = "Bearer [12 characters, sha256 #{}]"

OTHER_PLACE: dict[str, Any] = {"connection": 9, "address": "192.0.2.99", "peer": "192.0.2.99"}


def leg(name: Any, **facts: Any) -> dict[str, Any]:
    """A step of OAuth, which gives no name and comes by a connection of its own."""
    path = facts.pop("path", f"/t/{{trace}}/{name}")
    return {
        "method": None,
        "session": None,
        "http_method": "GET",
        "path": path,
        "connection": 7,
        "client": None,
        "oauth": OauthRecord(leg=name),
        **facts,
    }


def lost(status: int = 404) -> Story:
    """A call whose session is said to be gone."""
    unknown: dict[str, Any] = {"known": False, "client": None, "client_version": None}
    return Story().ready().call(fault=f"session-lost {status}", order=1, status=status, **unknown)


def hit(fault: str, **facts: Any) -> Story:
    """A call that was hit."""
    return Story().ready().call(fault=fault, order=1, **facts)


def busy(status: int = 429) -> Story:
    """A call that is to be repeated after a second."""
    return hit(f"reject {status}", status=status, answer_headers=RETRY)


def cut(retry: int | None = 300) -> Story:
    """A call whose stream was cut 10 ms after it had come."""
    story = hit("cut", streamed=True, last=None).wait(-0.995).stream("open", "r1").wait(-0.995)
    return story.stream("hang-up", "r1", retry=retry).wait(-1).stream("close", "r1", why="hang-up").wait(-1)


def resumed(story: Story, event_id: str = "r1-1", **facts: Any) -> Story:
    """A client comes back for the rest of a stream."""
    return story.get(headers={"Last-Event-ID": event_id}, **facts)


def slow(**facts: Any) -> Story:
    """A call that took its time; what came meanwhile comes behind it."""
    story = hit("delay", **facts)
    story.now -= 1
    return story


def modern(fault: str, **facts: Any) -> Story:
    """A call of the modern era that was hit."""
    return Story(MODERN).post("tools/list").call(fault=fault, order=1, **facts)


def document(fault: str = "metadata wrong-resource", name: str = "resource-metadata", **facts: Any) -> Story:
    """A step of OAuth that was hit."""
    return Story().post(**leg(name, fault=fault, order=1, **facts))


STORIES: list[tuple[Story, Outcome, str]] = [
    # The session is gone.
    (lost().wait(-0.8).initialize("s2"), "began-anew", "Began anew after 198 ms."),
    (lost(400).wait(-0.8).initialize("s2", connection=5), "began-anew", "Began anew after 198 ms."),
    (lost().wait(-0.9).call(), "kept-dead-id", "Sent the dead session id again after 98 ms."),
    (lost(401).get(), "kept-dead-id", "Sent the dead session id again after 998 ms."),
    (lost().delete().initialize("s2"), "began-anew", "Began anew after 1,998 ms."),
    (lost().delete(), "ended", "Ended the session with DELETE after 998 ms."),
    (lost().initialize("s2", **OTHER_PLACE), "nothing-yet", "Nothing has come for"),
    (lost().initialize("s2", client="another", connection=5), "nothing-yet", "Nothing has come for"),
    # What left before the answer had arrived knows nothing of it.
    (lost().wait(-0.9).call(connection=5).initialize("s2"), "began-anew", "Began anew after 1,098 ms."),
    (
        hit("reject 404", status=404).wait(-0.9).call(),
        "kept-dead-id",
        "Sent the dead session id again after 98 ms.",
    ),
    # The client is asked to wait.
    (busy().wait(0.2).call(), "waited", "Came back after 1,198 ms, as Retry-After: 1 asks."),
    (busy(503).wait(-0.9).call(), "did-not-wait", "Came back after 98 ms; Retry-After asked for 1 s."),
    (busy().wait(-0.9).post("ping").wait(0.5).call(), "waited", "Came back after 1,598 ms"),
    (busy().wait(-0.9).post("ping"), "went-on", "Went on with ping after 98 ms."),
    (busy().wait(-0.9).post("ping").delete(), "went-on", "Went on with ping after 98 ms."),
    (hit("reject 503", status=503).wait(-0.9).call(), "repeated", "Sent the same request again after 98 ms."),
    # The stream is cut.
    (
        resumed(cut().wait(0.5)),
        "resumed",
        "Resumed after 500 ms with the right Last-Event-ID.",
    ),
    (
        resumed(cut().wait(0.5), status=405, streamed=False),
        "resumed",
        "Came back after 500 ms with Last-Event-ID; it was answered 405.",
    ),
    (resumed(cut().wait(0.1)), "did-not-wait", "Came back after 100 ms; retry asked for 300 ms."),
    (resumed(cut(None).wait(0.1)), "resumed", "Resumed after 100 ms"),
    (
        resumed(cut().wait(0.5), gap="the stream is not known"),
        "resumed-wrong",
        "Came back after 500 ms with a Last-Event-ID that leads nowhere.",
    ),
    (resumed(cut().wait(0.5), "g1-4").wait(-0.5).call(), "repeated", "Sent the same request again after"),
    (cut().wait(0.1).post("ping").call(), "repeated", "Sent the same request again after"),
    (cut().get(), "nothing-yet", "Nothing has come for"),
    (
        modern("cut", streamed=True, last=None)
        .wait(-0.5)
        .post(None, http_method="GET", headers={"Last-Event-ID": "x-1"}),
        "resumed-wrong",
        "Came back after 498 ms with Last-Event-ID, which 2026-07-28 does not have.",
    ),
    (modern("cut", streamed=True, last=None).call(), "repeated", "Sent the same request again after 998 ms."),
    (
        resumed(
            hit("cut", streamed=True, last=None)
            .wait(-0.99)
            .stream("open", "r1")
            .stream("open", "r2")
            .stream("close", "r2", why="ended")
            .stream("hang-up", "r1", retry=300)
            .wait(-0.5)
        ),
        "resumed",
        "Resumed after 500 ms with the right Last-Event-ID.",
    ),
    # The answer is wrong.
    (hit("answer wrong-id").wait(11), "nothing-yet", "Nothing has come for 12 s: it may wait"),
    (hit("answer wrong-id").wait(100), "silent", "Nothing has come in 75 s."),
    (
        hit("answer wrong-id").post(
            "notifications/cancelled", message={"params": {"cancels": 3}}, status=202
        ),
        "cancelled",
        "Cancelled the request after 998 ms.",
    ),
    (
        hit("answer null-id").post(
            "notifications/cancelled", message={"params": {"cancels": "3"}}, status=202
        ),
        "nothing-yet",
        "Nothing has come for",
    ),
    (hit("answer html").post("ping"), "went-on", "Went on with ping after 998 ms."),
    (hit("answer html").get(), "nothing-yet", "Nothing has come for"),
    (resumed(hit("answer html"), "g1-1"), "nothing-yet", "Nothing has come for"),
    (hit("answer html").wait(-0.9).post("ping", connection=5), "nothing-yet", "Nothing has come for"),
    (hit("answer html").wait(80).call(), "silent", "Nothing has come in 75 s."),
    (
        Story(MODERN).call(fault="answer html", order=1, proxied=True).call(proxied=True, client="another"),
        "nothing-yet",
        "Nothing has come for",
    ),
    (hit("answer html").post("ping", "s2"), "nothing-yet", "Nothing has come for"),
    (hit("empty").delete(), "ended", "Ended the session with DELETE after 998 ms."),
    (hit("empty").initialize("s2"), "began-anew", "Began anew after 998 ms."),
    (modern("answer wrong-id").initialize("s1", revision="2025-11-25"), "began-anew", "Fell back to"),
    (modern("answer wrong-id").post("tools/list", client="another", connection=5), "nothing-yet", "Nothing"),
    # The answer takes its time.
    (slow(first=2.0, last=2.0), "stayed", "Waited 2,000 ms for the answer."),
    (slow(status=None, first=None, last=None, left=5.0), "left", "Hung up after 5,000 ms, before the answer"),
    (
        slow(status=None, first=None, last=None, left=5.0)
        .wait(5)
        .post("notifications/cancelled", message={"params": {"cancels": 3}}, status=202),
        "cancelled",
        "Cancelled the request after 5,000 ms.",
    ),
    (
        slow(status=None, first=None, last=None, left=5.0)
        .wait(7)
        .post("notifications/cancelled", message={"params": {"cancels": 3}}, status=202),
        "cancelled",
        "Cancelled the request after 7,000 ms.",
    ),
    (slow(first=20.0, last=20.0).wait(9).initialize("s2"), "began-anew", "Began anew after 9,000 ms."),
    (slow(first=0.1, last=None, streamed=True).wait(100), "nothing-yet", "Nothing has come for"),
    (slow(first=20.0, last=20.0).wait(10).call(), "repeated", "Sent the same request again after 10 s."),
    (slow(first=2.0, last=2.0).wait(1).post("ping").wait(5).call(), "stayed", "Waited 2,000 ms"),
    (
        slow(status=None, first=None, last=5.0).wait(1).post("ping").wait(4).call(),
        "repeated",
        "Sent the same request again after 1,000 ms.",
    ),
    (slow(status=None, first=None, last=5.0).wait(7), "nothing-yet", "Nothing has come for 2.0 s: it may"),
    (
        slow(first=0.1, last=None, streamed=True)
        .wait(0.1)
        .stream("open", "r1")
        .wait(3)
        .stream("close", "r1", why="left"),
        "left",
        "Hung up after 4,100 ms",
    ),
    # The answer is elsewhere.
    (
        hit("redirect 307", status=307).wait(-0.9).call(path="/t/{trace}/mcp/"),
        "followed",
        "Followed the redirect after 98 ms.",
    ),
    (
        hit("redirect 301", status=301).wait(-0.9).get(path="/t/{trace}/mcp/"),
        "followed",
        "Followed the redirect with GET after 98 ms.",
    ),
    (hit("redirect 307", status=307).call(), "repeated", "Sent the same request again"),
    # The answer asks for another token.
    (
        hit("challenge no-metadata", status=401).post(**leg("resource-metadata")),
        "asked-for-token",
        "Asked for resource-metadata after 998 ms.",
    ),
    (
        hit("token rejected", status=401, headers={"Authorization": TOKEN.format("aaaaaaaa")}).call(
            headers={"Authorization": TOKEN.format("bbbbbbbb")}
        ),
        "asked-for-token",
        "Came back with another token after 998 ms.",
    ),
    (
        hit("token rejected", status=401, headers={"Authorization": TOKEN.format("aaaaaaaa")}).call(
            headers={"Authorization": TOKEN.format("aaaaaaaa")}
        ),
        "repeated",
        "Sent the same request again after 998 ms.",
    ),
    (
        hit("token rejected", status=401, headers={"Authorization": TOKEN.format("aaaaaaaa")}).call(),
        "repeated",
        "Sent the same request again after 998 ms.",
    ),
    # A step of OAuth is not as it should be.
    (
        document("issuer iss-wrong", "authorize").post(**leg("authorize", query=(("state", "another"),))),
        "repeated",
        "Took the same step again after 998 ms.",
    ),
    (document().post(**leg("server-metadata")), "went-on", "Went on with server-metadata after 998 ms."),
    (document().wait(80), "silent", "Nothing has come in 75 s."),
    (document().post(**leg("resource-metadata")), "repeated", "Sent the same request again after 998 ms."),
    (
        document().post(**leg("resource-metadata", path="/.well-known/other")),
        "asked-elsewhere",
        "Asked /.well-known/other after 998 ms.",
    ),
    (
        document("issuer code-expired", "token", status=400).post(**leg("authorize")),
        "began-anew",
        "Began again with authorize after 998 ms.",
    ),
    (document("issuer iss-wrong", "authorize").post(**leg("token")), "went-on", "Went on with token"),
]


@pytest.mark.parametrize(("story", "outcome", "summary"), STORIES)
def test_what_a_client_does_is_told(story: Story, outcome: Outcome, summary: str) -> None:
    """Our choice: one meaning for each outcome, and a sentence for people."""
    ((_, found),) = verdicts(story.records, story.now)
    assert (found.outcome, found.summary[: len(summary)]) == (outcome, summary)
    assert found.summary.endswith(".")
    (first,) = (each for each in story.records if isinstance(each, ExchangeRecord) and each.fault)
    assert verdict_of(first, story.records, story.now) == found


def test_every_outcome_is_told_of_and_has_its_story() -> None:
    """Our choice: an outcome that nobody has seen is none."""
    told = {outcome for _, outcome, _ in STORIES} | {"unwatched"}
    assert told == set(MEANINGS) == set(get_args(Outcome))


def test_what_shows_an_outcome_is_named() -> None:
    """Our choice: whoever reads a verdict can look at what it rests on."""
    story = lost().initialize("s2")
    ((_, found),) = verdicts(story.records, story.now)
    assert (found.exchange, found.milliseconds) == (4, 998)
    ((_, nothing),) = verdicts(lost().records, BEGUN)
    assert (nothing.exchange, nothing.milliseconds) == (None, None)


def test_each_hit_of_an_order_has_a_verdict_of_its_own() -> None:
    """An order that may fire twice has met what the client did in between."""
    story = lost().call(fault="session-lost 404", order=1, status=404).initialize("s2")
    told = [(first.number, found.outcome) for first, found in verdicts(story.records, story.now)]
    assert told == [(3, "kept-dead-id"), (4, "began-anew")]


def test_no_verdict_is_made_up_of_what_was_not_looked_at() -> None:
    """Our choice: what many faults at once cost is bounded, and is told where it costs a verdict."""
    story = Story()
    for number in range(MOST_WATCHED + 1):
        fields: dict[str, Any] = {"client": f"client {number}", "connection": number}
        story.call(f"s{number}", fault="answer wrong-id", order=1, **fields).wait(-1)
    story.wait(1).call("s0", client="client 0", connection=0)
    outcomes = [found.outcome for _, found in verdicts(story.records, story.now)]
    assert outcomes == ["unwatched", *["nothing-yet"] * MOST_WATCHED]


def test_a_client_that_was_silent_long_enough_is_silent_however_many_are_hit() -> None:
    """As above: the bound costs nothing where all is known."""
    story = Story()
    for number in range(MOST_WATCHED + 1):
        fields: dict[str, Any] = {"client": f"client {number}", "connection": number}
        story.call(f"s{number}", fault="answer wrong-id", order=1, **fields).wait(WATCHED)
    assert {found.outcome for _, found in verdicts(story.records, story.now)} == {"silent"}


def test_what_many_faults_cost_grows_with_the_records_and_not_with_their_square(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Our choice: whoever has a trace misbehave all the time must not make its report dear."""
    looks = 0

    class Counted(Watched):
        def see(self, record: Record) -> bool:
            nonlocal looks
            looks += 1
            return super().see(record)

    monkeypatch.setattr("mcp_echo.watch.drills.Watched", Counted)
    story = Story()
    for number in range(500):
        story.call(f"s{number}", fault="answer wrong-id", order=1, client=f"{number}", connection=number)
        story.wait(-1)
    verdicts(story.records, story.now)
    assert looks <= len(story.records) * MOST_WATCHED


SAID = {
    "drill-404-py1": ("session-lost 404", "ended", "Ended the session with DELETE after 3 ms."),
    "drill-404-ts1": ("session-lost 404", "silent", "Nothing has come in 75 s."),
    "drill-404-ts2": ("session-lost 404", "silent", "Nothing has come in 75 s."),
    "drill-429-py1": ("reject 429", "silent", "Nothing has come in 76 s."),
    "drill-429-ts2": ("reject 429", "silent", "Nothing has come in 76 s."),
    "drill-503-ts1": ("reject 503", "silent", "Nothing has come in 76 s."),
    "drill-cut-py1": (
        "cut",
        "resumed",
        "Came back after 306 ms with Last-Event-ID; it was answered 405.",
    ),
    "drill-cut-py2modern": (
        "cut",
        "resumed-wrong",
        "Came back after 312 ms with Last-Event-ID, which 2026-07-28 does not have.",
    ),
    "drill-cut-ts1": ("cut", "resumed", "Came back after 322 ms with Last-Event-ID; it was answered 405."),
    "drill-html-py1": ("answer html", "silent", "Nothing has come in 75 s."),
    "drill-wrongid-py1": ("answer wrong-id", "silent", "Nothing has come in 75 s."),
    "drill-wrongid-py2modern": ("answer wrong-id", "silent", "Nothing has come in 75 s."),
    "drill-wrongid-ts1": ("answer wrong-id", "silent", "Nothing has come in 75 s."),
}
"""Recording → the fault of its one ``tools/call``, and what is said of it long after."""


@pytest.mark.parametrize("name", SAID)
def test_what_real_clients_did_is_told(name: str) -> None:
    """tests/recordings/README.md: a stand-in for a server answered one ``tools/call`` as a fault would."""
    fault, outcome, summary = SAID[name]
    kept = hit_at_the_call(records(name), fault)
    ((first, found),) = verdicts(kept, kept[-1].at + 1000)
    assert (found.outcome, found.summary) == (outcome, summary)
    soon = verdict_of(first, kept, first.at + 12)
    assert soon.outcome == ("nothing-yet" if outcome == "silent" else outcome)


def hit_at_the_call(kept: list[Record], fault: str) -> list[Record]:
    """Return records with the first ``tools/call`` marked as hit."""
    place = next(
        place
        for place, each in enumerate(kept)
        if isinstance(each, ExchangeRecord) and each.message and each.message.method == "tools/call"
    )
    return [
        msgspec.structs.replace(each, fault=fault, order=1) if number == place else each
        for number, each in enumerate(kept)
    ]


FAULTS = sorted(
    {
        each.fault
        for story, *_ in STORIES
        for each in story.records
        if isinstance(each, ExchangeRecord) and each.fault
    }
)


@st.composite
def faulted(draw: st.DrawFn) -> list[Record]:
    """Records of anything, in any order, some of which were hit by something."""
    kept: list[Record] = []
    for record in draw(histories()):
        fault = draw(st.none() | st.sampled_from(FAULTS))
        hits = isinstance(record, ExchangeRecord) and fault is not None
        kept.append(msgspec.structs.replace(record, fault=fault, order=1) if hits else record)
    return kept


@settings(max_examples=300, deadline=None)
@given(faulted(), st.floats(-200, 3000, allow_nan=False))
def test_each_exchange_that_was_hit_has_one_verdict(kept: list[Record], later: float) -> None:
    """Our choice: whatever comes, in whatever order, there is something true to say of each."""
    found = verdicts(kept, BEGUN + later)
    wanted = {each.number for each in kept if isinstance(each, ExchangeRecord) and each.fault is not None}
    assert sorted(first.number for first, _ in found) == sorted(wanted)
    numbers = {each.number for each in kept}
    for first, verdict in found:
        assert isinstance(verdict, DrillVerdict)
        assert verdict.outcome in MEANINGS
        assert verdict.exchange is None or verdict.exchange in numbers
        assert (verdict.milliseconds is None) is (verdict.exchange is None)
        assert verdict == verdict_of(first, kept, BEGUN + later)
