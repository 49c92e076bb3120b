"""clientProbe: what the server sends, what it makes of the answer, and what it complains about."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from mcp_echo.protocol.progress import progress_token
from mcp_echo.sessions.session import Client
from mcp_echo.tools.base import ArgumentError, AskError, InputRequired, NoAnswer, Pong, Question
from tests.sessions.test_event_log import Connection
from tests.tools.support import NOON, Nobody, Scene, finished, wire

LEGACY, MODERN = "2025-11-25", "2026-07-28"
EVERYTHING = {"sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {}}
SAMPLED = {"role": "assistant", "content": {"type": "text", "text": "pong"}, "model": "m"}
ACCEPTED = {"action": "accept", "content": {"answer": "yes"}}

VERDICTS = {
    "answered": "✅ no problem found",
    "unacknowledged": "❔ sent; nothing acknowledges it, so look in the client whether it arrived",
    "problem": "❌ see the problems above",
}

eras = pytest.mark.parametrize("revision", [LEGACY, MODERN])


class Answering(Nobody):
    """A client's end that answers what it is told to, and takes a quarter of a second for it."""

    def __init__(self, advance: Callable[[float], None], answer: Any) -> None:
        super().__init__(advance)
        self._answer = answer
        self.asked: dict[str, Question] = {}

    async def ask(self, questions: dict[str, Question]) -> dict[str, Any]:
        self.asked = questions
        self._advance(0.25)
        if isinstance(self._answer, InputRequired):
            raise self._answer
        return dict.fromkeys(questions, self._answer)


class Interrupted(Nobody):
    """A client's end that cancels after a quarter of a second."""

    class Cancelled(Exception):
        """What a cancelled wait raises."""

    async def sleep(self, seconds: float) -> None:
        self._advance(min(seconds, 0.25))
        raise self.Cancelled


def scene_with(
    answer: Any = None, revision: str = LEGACY, capabilities: dict[str, Any] = EVERYTHING
) -> tuple[Scene, Answering]:
    scene = Scene(revision=revision, client=Client("c", "1", capabilities))
    scene.back_channel = client = Answering(scene.advance, answer)
    return scene, client


def probe(scene: Scene, feature: str, **arguments: Any) -> Any:
    """Return the structured report; the text has to say the same."""
    answer = scene.call("clientProbe", {"feature": feature, **arguments})
    report = wire(answer)
    assert not answer.is_error
    assert answer.text.startswith(f"🧪 Client Probe: {feature}\n\n")
    verdict = "answered" if report["answer"] is not None else "unacknowledged"
    assert report["verdict"] == ("problem" if report["problems"] else verdict)
    assert answer.text.splitlines()[-1] == f"Verdict: {VERDICTS[report['verdict']]}"
    for problem in report["problems"]:
        assert f"- Problem: {problem}\n" in answer.text
    return report


# Questions.


@eras
@pytest.mark.parametrize(
    ("feature", "method", "answer"),
    [
        ("sampling", "sampling/createMessage", SAMPLED),
        ("elicitation", "elicitation/create", ACCEPTED),
        ("elicitation", "elicitation/create", {"action": "decline"}),
        ("elicitation", "elicitation/create", {"action": "cancel"}),
        ("roots", "roots/list", {"roots": []}),
        ("roots", "roots/list", {"roots": [{"uri": "file:///a", "name": "a"}]}),
    ],
)
def test_a_good_answer_is_reported_without_a_problem(
    feature: str, method: str, answer: Any, revision: str
) -> None:
    """Schemas of CreateMessageResult, ElicitResult and ListRootsResult."""
    scene, client = scene_with(answer, revision)
    assert probe(scene, feature) == {
        "feature": feature,
        "era": "modern" if revision == MODERN else "legacy",
        "protocolVersion": revision,
        "declared": True,
        "sent": [method],
        "answer": answer,
        "roundTrip": 0.25,
        "problems": [],
        "verdict": "answered",
    }
    assert [question.method for question in client.asked.values()] == [method]


def test_the_text_tells_the_same_to_people() -> None:
    """The tool's answer, in full."""
    scene, _ = scene_with({"action": "accept", "content": {"answer": "\u202eno"}})
    assert scene.text("clientProbe", {"feature": "elicitation"}) == (
        "🧪 Client Probe: elicitation\n"
        "\n"
        "- Era: legacy (2025-11-25)\n"
        "- Declared: ✅\n"
        "- Sent: elicitation/create\n"
        '- Answer: {"action":"accept","content":{"answer":"\\u202eno"}}\n'
        "- Round Trip: 250.00ms\n"
        "\n"
        "Verdict: ✅ no problem found"
    )


@eras
@pytest.mark.parametrize(
    ("feature", "mode", "capabilities", "needed"),
    [
        ("sampling", "form", {"roots": {}}, '{"sampling":{}}'),
        ("roots", "form", {}, '{"roots":{}}'),
        ("elicitation", "form", {}, '{"elicitation":{}}'),
        ("elicitation", "form", {"elicitation": {"url": {}}}, '{"elicitation":{}}'),
        ("elicitation", "url", {"elicitation": {}}, '{"elicitation":{"url":{}}}'),
    ],
)
def test_a_client_is_not_asked_what_it_does_not_declare(
    feature: str, mode: str, capabilities: dict[str, Any], needed: str, revision: str
) -> None:
    """2025-11-25 basic/lifecycle, Operation: only capabilities that were negotiated; our choice: it is told
    which one is missing, as it would have to be written."""
    scene, client = scene_with(SAMPLED, revision, capabilities)
    report = probe(scene, feature, mode=mode)
    assert (report["declared"], report["sent"], report["answer"], report["roundTrip"]) == (
        False,
        [],
        None,
        None,
    )
    told = f"The capability {needed} was not declared in this session, so the client is not asked"
    if revision == MODERN:
        told = f"This request does not declare the capability {needed}, so the client is not asked"
    assert report["problems"] == [told]
    assert client.asked == {}


@pytest.mark.parametrize(
    ("feature", "answer", "problems"),
    [
        ("sampling", {}, ["role is missing", "content is missing", "model is missing"]),
        ("sampling", {"role": "assistant", "content": {}}, ["model is missing"]),
        ("sampling", "pong", ["The answer is not an object"]),
        ("sampling", None, ["The answer is not an object"]),
        ("roots", {}, ["roots is missing or not a list"]),
        ("roots", {"roots": {}}, ["roots is missing or not a list"]),
        (
            "roots",
            {"roots": [{"uri": "file:///a"}, {"uri": "https://a"}, {}, "file:///a", {"uri": 7}]},
            [f"Root {place} has no file:// URI" for place in (1, 2, 3, 4)],
        ),
        ("elicitation", {}, ["action is None, not accept, decline or cancel"]),
        ("elicitation", {"action": "ok"}, ["action is 'ok', not accept, decline or cancel"]),
        *(
            (
                "elicitation",
                {"action": "accept", **content},
                ["content does not fit the requested schema: answer must be a string"],
            )
            for content in ({}, {"content": None}, {"content": {}}, {"content": {"answer": 7}})
        ),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(feature: str, answer: Any, problems: list[str]) -> None:
    """Schemas, as above: what a client gets wrong is what the probe is for; the answer is shown all the
    same."""
    scene, _ = scene_with(answer)
    report = probe(scene, feature)
    assert (report["problems"], report["answer"], report["roundTrip"]) == (problems, answer, 0.25)


def test_a_web_page_needs_no_content_in_the_answer() -> None:
    """2025-11-25 client/elicitation, URL Mode: accept means that the user agreed to go there."""
    scene, _ = scene_with({"action": "accept"})
    assert probe(scene, "elicitation", mode="url")["problems"] == []


@pytest.mark.parametrize("feature", ["sampling", "elicitation", "roots"])
@pytest.mark.parametrize(("error", "seconds"), [(NoAnswer("No answer came"), None), (AskError("No"), 0.25)])
def test_an_answer_that_does_not_come_is_a_problem(
    feature: str, error: AskError, seconds: float | None
) -> None:
    """Our choice: the reason is part of the report, and the probe itself has not failed; what took no round
    trip has no time for one."""
    scene, _ = scene_with(error)
    report = probe(scene, feature)
    assert report["problems"] == [str(error)]
    assert (report["declared"], report["answer"], report["roundTrip"]) == (True, None, seconds)
    assert len(report["sent"]) == 1


def test_a_client_that_cannot_be_asked_is_a_problem_and_nothing_was_sent() -> None:
    """Our choice, as above: where no stream leads to the client, asking fails at once."""
    scene = Scene(client=Client("c", "1", EVERYTHING))
    report = probe(scene, "roots")
    assert (report["problems"], report["sent"]) == (["Nobody answers probe"], [])


def test_what_came_in_place_of_the_answer_is_a_problem_even_where_the_answer_came() -> None:
    """JSON-RPC 2.0, Response object: an answer has the id of its question; one that has another is a fault of
    the client's whatever else it sends."""
    scene, client = scene_with(SAMPLED)
    client.strays.append('An answer came with id "1", the question has id 1')
    report = probe(scene, "sampling")
    assert (report["answer"], report["problems"]) == (SAMPLED, client.strays)


@pytest.mark.parametrize("feature", ["sampling", "roots", "logging", "list-changed", "ping"])
def test_a_session_made_for_the_call_is_told_of_before_what_follows_from_it(feature: str) -> None:
    """Our choice: nothing was declared in a session that has just begun, and the client may have declared it
    in the one that it forgot to name."""
    scene, client = scene_with(SAMPLED, capabilities={})
    client.session_made = True
    first, *more = probe(scene, feature)["problems"]
    assert first.startswith("This request carried no session id: a new session was made for it")
    assert more


@pytest.mark.parametrize("feature", ["progress", "cancellation"])
def test_what_a_request_asks_for_itself_needs_no_session(feature: str) -> None:
    """Our choice: a session that was made for the call changes nothing about these."""
    scene = Scene()
    scene.back_channel.session_made = True
    assert "session id" not in " ".join(probe(scene, feature, seconds=0.1)["problems"])


def test_a_modern_client_is_asked_through_the_result() -> None:
    """2026-07-28 basic/patterns/mrtr: the answers come with another request."""
    scene, _ = scene_with(InputRequired({}, {}), MODERN)
    with pytest.raises(InputRequired):
        scene.call("clientProbe", {"feature": "sampling"})


def test_the_time_to_a_modern_answer_begins_with_the_first_request() -> None:
    """2026-07-28 basic/patterns/mrtr: the first request is over by then; the state says when it was made."""
    scene, client = scene_with(SAMPLED, MODERN)
    client.since = NOON - 7.5
    assert probe(scene, "sampling")["roundTrip"] == 7.75


@pytest.mark.parametrize(
    ("revision", "arguments", "params"),
    [
        (LEGACY, {"feature": "roots"}, {}),
        (MODERN, {"feature": "roots"}, {}),
        (LEGACY, {"feature": "elicitation"}, {"mode": "form"}),
        (MODERN, {"feature": "elicitation"}, {"mode": "form"}),
        # Modes came with 2025-11-25.
        ("2025-06-18", {"feature": "elicitation"}, {}),
    ],
)
def test_a_question_has_only_what_its_revision_knows(
    revision: str, arguments: dict[str, Any], params: dict[str, Any]
) -> None:
    """Schemas of the revisions, ElicitRequest."""
    scene, client = scene_with({"roots": []}, revision)
    scene.call("clientProbe", arguments)
    asked = client.asked["probe"].params
    assert {key: value for key, value in asked.items() if key not in ("message", "requestedSchema")} == params


@pytest.mark.parametrize(("revision", "identified"), [(LEGACY, True), (MODERN, False)])
def test_a_web_page_is_named_with_an_id_where_there_is_one(revision: str, identified: bool) -> None:
    """2025-11-25 client/elicitation: elicitationId is required; the modern era has none."""
    scene, client = scene_with({"action": "decline"}, revision)
    scene.call("clientProbe", {"feature": "elicitation", "mode": "url"})
    asked = client.asked["probe"].params
    assert (asked["mode"], asked["url"]) == ("url", "https://example.com/mcp-echo-probe")
    assert ("elicitationId" in asked) is identified


# Notifications.


@eras
def test_progress_is_sent_with_the_request_s_token(revision: str) -> None:
    """2025-11-25 and 2026-07-28 basic/utilities/progress: the token MUST be the request's, progress MUST
    increase."""
    scene = Scene(revision=revision)
    scene.progress_token = "t"
    report = probe(scene, "progress")
    assert scene.back_channel.notified == [
        (
            "notifications/progress",
            {"progressToken": "t", "progress": done, "total": 100, "message": f"{done} of 100"},
        )
        for done in (0, 50, 100)
    ]
    assert report["sent"] == [f"notifications/progress {done}/100" for done in (0, 50, 100)]
    assert (report["declared"], report["answer"], report["problems"]) == (None, None, [])
    assert scene.elapsed == pytest.approx(0.15)


def test_a_token_may_be_zero() -> None:
    """2025-11-25 schema, ProgressToken: a string or a number."""
    scene = Scene()
    scene.progress_token = 0
    assert probe(scene, "progress")["problems"] == []


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"1.5", "progressToken is 1.5; it must be a string or an integer"),
        (b"true", "progressToken is true; it must be a string or an integer"),
        (b"null", "progressToken is null; it must be a string or an integer"),
    ],
)
def test_a_token_of_a_wrong_type_is_told_from_none(raw: bytes, told: str) -> None:
    """2025-11-25 basic/utilities/progress: tokens MUST be a string or integer value."""
    scene = Scene()
    scene.progress_token = progress_token(msgspec.Raw(b'{"_meta":{"progressToken":%b}}' % raw))
    report = probe(scene, "progress")
    assert report["problems"] == [f"The request's {told}; so no progress is sent"]
    assert (report["sent"], scene.back_channel.notified) == ([], [])


class Deaf(Nobody):
    """A client's end that takes so many notifications and no more."""

    obstacle = "This request's Accept does not list text/event-stream"

    def __init__(self, advance: Callable[[float], None], takes: int) -> None:
        super().__init__(advance)
        self._takes = takes

    def notify(self, method: str, params: dict[str, Any]) -> bool:
        super().notify(method, params)
        return len(self.notified) <= self._takes


@eras
@pytest.mark.parametrize(("feature", "count"), [("progress", 3), ("logging", 8)])
@pytest.mark.parametrize("takes", [0, 1])
def test_only_what_was_handed_to_somebody_counts_as_sent(
    feature: str, count: int, takes: int, revision: str
) -> None:
    """Our choice: a client that reads JSON alone is sent nothing, and told why."""
    scene = Scene(revision=revision)
    scene.progress_token, scene.log_level = 1, "debug"
    scene.back_channel = Deaf(scene.advance, takes)
    report = probe(scene, feature)
    assert len(report["sent"]) == takes
    assert report["problems"] == [f"{Deaf.obstacle}: {count - takes} of {count} could not be sent"]


# Pings.


class Ponging(Nobody):
    """A client's end that answers pings."""

    def __init__(self, advance: Callable[[float], None], pongs: dict[str, Pong]) -> None:
        super().__init__(advance)
        self._pongs = pongs

    async def ping(self) -> dict[str, Pong]:
        return self._pongs


def test_a_ping_is_measured_on_each_stream() -> None:
    """2025-11-25 basic/utilities/ping, Behavior Requirements: MUST be answered with an empty result."""
    scene = Scene()
    scene.back_channel = Ponging(scene.advance, {"a": Pong({}, 0.25), "b": Pong({"_meta": {}}, 0.5)})
    report = probe(scene, "ping")
    assert report["sent"] == ["ping on a", "ping on b"]
    assert report["answer"] == {
        "a": {"answer": {}, "roundTrip": 0.25},
        "b": {"answer": {"_meta": {}}, "roundTrip": 0.5},
    }
    assert (report["roundTrip"], report["problems"]) == (0.5, [])


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"pong": True}, 'The answer is {"pong":true}; it must be {}'),
        ("pong", 'The answer is "pong"; it must be {}'),
        (None, "The answer is null; it must be {}"),
        ([], "The answer is []; it must be {}"),
        (AskError("The client answered with an error: {}"), "The client answered with an error: {}"),
    ],
)
def test_a_ping_that_is_answered_otherwise_is_a_problem_of_its_stream(answer: Any, told: str) -> None:
    """2025-11-25 basic/utilities/ping, as above; the other stream's answer is shown all the same."""
    scene = Scene()
    scene.back_channel = Ponging(scene.advance, {"a": Pong(answer, 0.5), "b": Pong({}, 0.25)})
    report = probe(scene, "ping")
    assert report["problems"] == [f"On a: {told}"]
    assert report["answer"] == {"b": {"answer": {}, "roundTrip": 0.25}}


def test_where_no_stream_is_no_ping_is_sent() -> None:
    """Our choice: said, with the reason."""
    scene = Scene()
    scene.back_channel.obstacle = Deaf.obstacle
    report = probe(scene, "ping")
    assert report["problems"] == [f"{Deaf.obstacle}, and no stream of a GET is open, so no ping is sent"]
    assert (report["sent"], report["answer"], report["roundTrip"]) == ([], None, None)


def test_the_modern_era_has_no_ping() -> None:
    """2026-07-28 changelog: ping was removed."""
    scene = Scene(revision=MODERN)
    assert probe(scene, "ping")["problems"] == [f"Revision {MODERN} has no ping, so none is sent"]


# Words, levels.


def test_progress_has_words_since_they_are_known() -> None:
    """Changelog of 2025-03-26: message in ProgressNotification."""
    scene = Scene(revision="2024-11-05")
    scene.progress_token = 1
    scene.call("clientProbe", {"feature": "progress"})
    assert [set(params) for _, params in scene.back_channel.notified] == [
        {"progressToken", "progress", "total"}
    ] * 3


def test_without_a_token_no_progress_is_sent() -> None:
    """2025-11-25 basic/utilities/progress: only where the request has asked for it."""
    scene = Scene()
    assert probe(scene, "progress")["problems"] == [
        "The request has no progressToken in its _meta, so no progress is sent"
    ]
    assert scene.back_channel.notified == []


@pytest.mark.parametrize(
    ("wanted", "levels"),
    [
        ("debug", "debug info notice warning error critical alert emergency"),
        ("critical", "critical alert emergency"),
        ("emergency", "emergency"),
    ],
)
def test_every_level_the_client_wants_is_sent(wanted: str, levels: str) -> None:
    """2025-11-25 server/utilities/logging: that level and the more severe ones."""
    scene = Scene()
    scene.log_level = wanted
    report = probe(scene, "logging")
    assert scene.back_channel.notified == [
        (
            "notifications/message",
            {"level": level, "logger": "mcp-echo", "data": {"probe": "logging", "level": level}},
        )
        for level in levels.split()
    ]
    assert report["sent"] == [f"notifications/message {level}" for level in levels.split()]
    assert report["problems"] == []


@pytest.mark.parametrize(
    ("revision", "how"), [(LEGACY, "logging/setLevel in this session"), (MODERN, "logLevel in _meta")]
)
def test_without_a_level_no_log_message_is_sent(revision: str, how: str) -> None:
    """2026-07-28 server/utilities/logging: MUST NOT be sent unless the request asks; our choice in the
    legacy era, where it is left to the server."""
    scene = Scene(revision=revision)
    assert probe(scene, "logging")["problems"] == [
        f"The client asked for no log messages with {how}, so none is sent"
    ]
    assert scene.back_channel.notified == []


# Cancellation.


@pytest.mark.parametrize(
    ("revision", "how"),
    [
        (LEGACY, "No notifications/cancelled for this request came in this session"),
        (MODERN, "The client did not close the response stream"),
    ],
)
def test_a_client_that_does_not_cancel_is_told_how(revision: str, how: str) -> None:
    """2025-11-25 basic/utilities/cancellation; 2026-07-28 basic/transports/streamable-http, Cancellation."""
    scene = Scene(revision=revision)
    assert probe(scene, "cancellation", seconds=1.5)["problems"] == [f"{how} within 1.5 s"]
    assert scene.elapsed == 1.5


@eras
def test_a_cancelled_probe_goes_no_further(revision: str) -> None:
    """2025-11-25 basic/utilities/cancellation: no response; what was found out waits in the session's queue,
    where there is one."""
    scene = Scene(revision=revision)
    scene.back_channel = Interrupted(scene.advance)
    with pytest.raises(Interrupted.Cancelled):
        scene.call("clientProbe", {"feature": "cancellation"})
    queued = [json.loads(message)["params"] for message in scene.session.log.messages]
    found = {
        "level": "notice",
        "logger": "mcp-echo",
        "data": {"probe": "cancellation", "outcome": "cancelled after 250.00ms"},
    }
    assert queued == ([found] if revision == LEGACY else [])


# Lists.


class Reading(Nobody):
    """A client's end that asks for a list again while the server waits."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene.advance)
        self._scene = scene

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self._scene.context.subscriptions.note_read(self._scene.request().reader)


def read(scene: Scene) -> None:
    """Have the scene's session read by a GET that takes nothing."""
    log = scene.session.log
    Connection(log, log.listen(), fast=False)


def listen(scene: Scene, *lists: Any) -> list[str]:
    """Listen to changes of these lists and return what will be heard."""
    told: list[str] = []

    class Ear:
        reader = scene.request().reader
        list_changed = resource_updated = staticmethod(told.append)

    for which in lists:
        scene.context.subscriptions.watch_list(which, Ear())
    return told


def test_a_session_s_stream_is_told_of_all_three_lists() -> None:
    """2025-11-25 server/tools, prompts and resources: notifications/…/list_changed."""
    scene = Scene()
    scene.back_channel = Reading(scene)
    read(scene)
    report = probe(scene, "list-changed")
    methods = [f"notifications/{which}/list_changed" for which in ("tools", "prompts", "resources")]
    assert [json.loads(message)["method"] for message in scene.session.log.messages] == methods
    assert (report["sent"], report["answer"], report["problems"]) == (
        methods,
        "the client asked for a list again",
        [],
    )
    assert report["roundTrip"] == pytest.approx(0.05)


def test_modern_subscriptions_are_told_of_what_they_asked_for() -> None:
    """2026-07-28 basic/patterns/subscriptions: nothing that was not asked for MUST be sent."""
    scene = Scene(revision=MODERN)
    scene.back_channel = Reading(scene)
    told = listen(scene, "prompts")
    report = probe(scene, "list-changed")
    assert (told, report["sent"]) == (["prompts"], ["notifications/prompts/list_changed"])
    assert (report["answer"], report["problems"]) == ("the client asked for a list again", [])


def test_a_modern_client_that_does_not_listen_is_told_how() -> None:
    """2026-07-28 basic/patterns/subscriptions: subscriptions/listen is the only way to hear of changes."""
    scene = Scene(revision=MODERN)
    report = probe(scene, "list-changed")
    told = [
        "No subscription of this client is open on this node, so nothing is announced: open "
        "subscriptions/listen with toolsListChanged first"
    ]
    assert (report["problems"], report["sent"], scene.elapsed) == (told, [], 0)


def test_another_client_s_subscription_is_not_told_and_does_not_count() -> None:
    """clientProbe tests its caller; nobody else is told of lists that have not changed."""
    scene = Scene(revision=MODERN)
    told = listen(scene, "tools")
    scene.session.client = Client("another", "1")
    report = probe(scene, "list-changed")
    assert (report["sent"], told) == ([], [])


def test_a_legacy_client_that_does_not_listen_is_told_how() -> None:
    """2025-11-25 basic/transports, Listening for Messages; nothing is left in the queue for later."""
    scene = Scene()
    report = probe(scene, "list-changed")
    told = ["No GET stream of this session is open, so nothing is announced: open one first"]
    assert (report["problems"], report["sent"], scene.elapsed) == (told, [], 0)
    assert scene.session.log.messages == []


@eras
def test_a_client_that_does_not_ask_again_is_told_so(revision: str) -> None:
    """Our choice: a list that changed is worth asking for again, and the wait is the caller's to set."""
    scene = Scene(revision=revision)
    listen(scene, "tools")
    read(scene)
    assert probe(scene, "list-changed", seconds=0.5)["problems"] == [
        "The client asked for no list again within 0.5 s"
    ]
    assert scene.elapsed == pytest.approx(0.5, abs=0.06)


# Arguments.


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, "`feature`"),
        ({"feature": "tools"}, "$.feature"),
        ({"feature": "elicitation", "mode": "voice"}, "$.mode"),
        ({"feature": "cancellation", "seconds": 0}, "$.seconds"),
        ({"feature": "cancellation", "seconds": 30.1}, "$.seconds"),
        ({"feature": "cancellation", "second": 1}, "`second`"),
    ],
)
def test_wrong_arguments_are_named(arguments: object, named: str) -> None:
    """Our choice: a wait has a bound, and a typing error is no default."""
    with pytest.raises(ArgumentError) as refusal:
        Scene().call("clientProbe", arguments)
    assert named in str(refusal.value)


def test_a_probe_waits_for_the_client_and_for_nothing_else() -> None:
    """Our choice: a probe of something that is there at once is over at once."""
    scene, _ = scene_with(SAMPLED)
    probe = scene.tools["clientProbe"]
    work = probe.run(scene.request(), probe.read(msgspec.Raw(b'{"feature":"sampling"}')))
    assert finished(work).text.startswith("🧪")
