"""createEchoSession, closeEchoSession, and the tools that take a handle.

The duty is in "Stateful Tools" of https://modelcontextprotocol.io/specification/2026-07-28/server/tools
unless a test says otherwise.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from mcp_echo.tools.base import ArgumentError
from tests.tools.support import Scene, wire

MODERN = "2026-07-28"
ADVICE = "is unknown or has expired. Call createEchoSession and pass the session it returns."


@pytest.fixture
def scene() -> Scene:
    return Scene({"session_timeout": "600"}, revision=MODERN)


def create(scene: Scene, **arguments: object) -> str:
    return str(wire(scene.call("createEchoSession", arguments))["session"])


def test_a_new_handle_is_told_with_its_time(scene: Scene) -> None:
    """The result names the handle, and how long its state is kept."""
    answer = scene.call("createEchoSession", {"label": "mine"})
    structured = wire(answer)
    assert re.fullmatch(r"es_[A-Za-z0-9_-]{32}", structured["session"])
    assert answer.text == (
        "🆕 Echo Session Created\n"
        "\n"
        f"Session: {structured['session']}\n"
        "Expires: 2024-01-01 12:10:00 UTC (10m 0s after its last use)\n"
        "\n"
        "Pass it as `session` to echo, replayLastEcho and sessionInfo."
    )
    del structured["session"]
    assert structured == {"label": "mine", "expiresAt": "2024-01-01T12:10:00.000Z", "ttlSeconds": 600.0}


def test_the_description_says_how_long_state_is_kept() -> None:
    """A model has to know: the lifetime, and that a restart ends it."""
    description = Scene({"session_timeout": "90.5"}).tools["createEchoSession"].description
    assert "90.5 s after its last use" in description
    assert "lost when the server restarts" in description


@pytest.mark.parametrize(("asked", "kept"), [(None, 600), (1, 1), (599, 599), (600, 600), (86400, 600)])
def test_the_lifetime_is_the_one_asked_for_up_to_the_server_s(
    scene: Scene, asked: int | None, kept: int
) -> None:
    """Our choice: MCP_SESSION_TIMEOUT is the operator's word, and bounds every client's."""
    answer = wire(scene.call("createEchoSession", {} if asked is None else {"ttlSeconds": asked}))
    assert answer["ttlSeconds"] == kept
    scene.advance(kept - 0.5)
    assert not scene.call("sessionInfo", {"session": answer["session"]}).is_error
    scene.advance(kept)
    assert scene.call("sessionInfo", {"session": answer["session"]}).is_error


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"ttlSeconds": 0}, "$.ttlSeconds"),
        ({"ttlSeconds": 86401}, "$.ttlSeconds"),
        ({"ttlSeconds": 1.5}, "$.ttlSeconds"),
        ({"ttlSeconds": "60"}, "$.ttlSeconds"),
        ({"label": "x" * 101}, "$.label"),
        ({"label": 7}, "$.label"),
        ({"session": "mine"}, "`session`"),
    ],
)
def test_nobody_makes_a_handle_that_the_server_would_not(scene: Scene, arguments: object, named: str) -> None:
    """Our choice: bounded, and never a handle of the client's own invention."""
    with pytest.raises(ArgumentError) as refusal:
        scene.call("createEchoSession", arguments)
    assert named in str(refusal.value)
    assert [each for each in scene.store if each.handle] == []


def test_a_full_server_says_so_in_a_result(scene: Scene) -> None:
    """2026-07-28 server/tools, Error Handling: a tool that cannot do its work answers with isError."""
    scene.store.limit = 2
    scene.call("echo", {"message": "hi", "session": create(scene)})
    scene.session.record.used = True
    answer = scene.call("createEchoSession")
    assert (answer.is_error, answer.structured) == (True, None)
    assert "MCP_ECHO_MAX_SESSIONS" in answer.text
    assert "2 sessions" in answer.text
    assert scene.store.statistics.refused == 1


# The tools that take a handle.


def test_state_is_kept_from_call_to_call(scene: Scene) -> None:
    """State that spans requests is named by an identifier which the client passes on."""
    handle = create(scene)
    assert scene.text("echo", {"message": "one", "session": handle}) == (
        f"one\n\nSession: {handle}\nEcho count in session: 1"
    )
    second = scene.call("echo", {"message": "two", "session": handle})
    assert wire(second) == {"message": "two", "session": handle, "echoCount": 2}
    assert scene.text("replayLastEcho", {"session": handle}) == (
        "🔄 Replaying last echo:\ntwo\n\nOriginal echo count: 2\nThis session has replayed 1 messages"
    )


def test_two_handles_are_two_states(scene: Scene) -> None:
    """As above: nothing but the handle decides."""
    first, second = create(scene), create(scene)
    scene.call("echo", {"message": "mine", "session": first})
    assert "Call echo first" in scene.call("replayLastEcho", {"session": second}).text


def test_a_modern_echo_without_a_handle_keeps_nothing(scene: Scene) -> None:
    """2026-07-28 basic, Statelessness: MUST NOT rely on earlier requests."""
    before = scene.session.record.echo_count
    answer = scene.call("echo", {"message": "hi"})
    assert (answer.text, wire(answer)) == ("hi", {"message": "hi"})
    assert scene.session.record.echo_count == before


@pytest.mark.parametrize("tool", ["replayLastEcho", "sessionInfo"])
@pytest.mark.parametrize("arguments", [{}, {"session": None}])
def test_a_modern_call_without_the_handle_it_needs_says_where_to_get_one(
    scene: Scene, tool: str, arguments: object
) -> None:
    """SEP-1303: a model corrects itself by what it is told; it need not know that the era has no session."""
    answer = scene.call(tool, arguments)
    assert (answer.is_error, answer.text) == (
        True,
        "Revision 2026-07-28 has no protocol session, and no handle was given. Call createEchoSession and "
        "pass the session it returns.",
    )


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-11-25", MODERN])
@pytest.mark.parametrize("arguments", [{}, {"session": None}])
def test_closing_without_a_handle_says_which_to_pass(revision: str, arguments: object) -> None:
    """As above; a protocol session ends with DELETE alone."""
    answer = Scene(revision=revision).call("closeEchoSession", arguments)
    assert answer.is_error
    assert "pass the session that createEchoSession returned" in answer.text
    assert "DELETE ends" in answer.text


@pytest.mark.parametrize("tool", ["replayLastEcho", "sessionInfo", "closeEchoSession"])
def test_a_handle_of_another_type_is_refused(scene: Scene, tool: str) -> None:
    """2026-07-28 server/tools, Security Considerations: servers MUST validate all tool inputs."""
    with pytest.raises(ArgumentError, match="session"):
        scene.call(tool, {"session": 7})


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-11-25", MODERN])
@pytest.mark.parametrize("tool", ["echo", "replayLastEcho", "sessionInfo", "closeEchoSession"])
@pytest.mark.parametrize(
    ("handle", "told"),
    [("", "`session` is empty"), ("{{session}}", "the placeholder {{session}}"), ("null", "the word null")],
)
def test_what_is_no_handle_is_told_for_what_it_is(revision: str, tool: str, handle: str, told: str) -> None:
    """SEP-1303, as above; each form has its test in test_misnamed.py."""
    arguments = {"session": handle, **({"message": "m"} if tool == "echo" else {})}
    answer = Scene(revision=revision).call(tool, arguments)
    assert (answer.is_error, answer.structured) == (True, None)
    assert told in answer.text
    assert "Call createEchoSession and pass the session it returns." in answer.text
    instead = "Without session the protocol session is used."
    assert (instead in answer.text) is (revision != MODERN and tool != "closeEchoSession")


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-11-25"])
def test_a_legacy_call_may_name_a_handle_or_mean_its_session(revision: str) -> None:
    """Our choice: a handle made in one era is good in the other."""
    scene = Scene(revision=revision)
    handle = create(scene)
    scene.call("echo", {"message": "in the session"})
    scene.call("echo", {"message": "in the handle", "session": handle})
    assert "in the session\n" in scene.text("replayLastEcho", {"session": None})
    assert "in the handle\n" in scene.text("replayLastEcho", {"session": handle})
    assert wire(scene.call("sessionInfo"))["session"] == scene.session.id
    assert (scene.session.record.echo_count, scene.session.record.replay_count) == (1, 1)


def test_session_info_shows_the_state_behind_a_handle(scene: Scene) -> None:
    """Our choice: what is really there; the era has no handshake, so initialized means nothing."""
    handle = create(scene, label="my\x1blabel", ttlSeconds=60)
    scene.call("echo", {"message": "m", "session": handle})
    scene.advance(30)
    answer = scene.call("sessionInfo", {"session": handle})
    lines = answer.text.splitlines()
    for line in (
        f"- Session ID: {handle}",
        r"- Label: my\x1blabel",
        "- Created: 2024-01-01 12:00:00 UTC",
        "- Last Activity: 2024-01-01 12:00:30 UTC",
        "- Time Until Expiry: 1m 0s",
        "- Total Requests: 2",
        "- Echo Count: 1",
        "- Message Queue: 1 pending",
        "- Initialized: not applicable: state named by a handle, no protocol session",
        "- Protocol Version: 2026-07-28",
        "- Client: test-client v1.0",
    ):
        assert line in lines
    structured = wire(answer)
    assert (structured["label"], structured["isHandle"]) == ("my\x1blabel", True)


def test_a_state_without_a_label_shows_none(scene: Scene) -> None:
    """Our choice: a label is for whoever gave one."""
    assert "Label" not in scene.text("sessionInfo", {"session": create(scene)})


def test_an_echo_is_news_to_who_listens_to_its_handle(scene: Scene) -> None:
    """2026-07-28 basic/patterns/subscriptions: notifications/resources/updated names the resource."""
    told: list[str] = []

    class Ear:
        def list_changed(self, which: str) -> None:
            told.append(which)

        def resource_updated(self, uri: str) -> None:
            told.append(uri)

    handle, other = create(scene), create(scene)
    for name in (handle, other):
        for uri in (f"echo://session/{name}", f"echo://session/{name}/messages"):
            scene.context.subscriptions.watch(uri, Ear())
    scene.call("echo", {"message": "m", "session": handle})
    scene.call("echo", {"message": "m"})
    assert told == [f"echo://session/{handle}", f"echo://session/{handle}/messages"]
    state = scene.store.use(handle, None, handle=True)
    assert [json.loads(message)["params"]["data"] for message in state.log.messages] == [
        {"event": "echo", "echoCount": 1}
    ]


# Handles that lead nowhere.


def test_an_unknown_an_expired_and_a_foreign_handle_read_the_same(scene: Scene) -> None:
    """From hijacking advisories: a guess must not learn whether a handle exists."""
    expired, closed = create(scene, ttlSeconds=1), create(scene)
    scene.call("closeEchoSession", {"session": closed})
    scene.principal = "alice"
    foreign = create(scene)
    scene.principal = None
    scene.advance(1)
    for tool, rest in (("echo", {"message": "m"}), ("replayLastEcho", {}), ("sessionInfo", {})):
        for handle in ("es_" + "0" * 32, expired, closed, foreign):
            answer = scene.call(tool, {**rest, "session": handle})
            assert (answer.is_error, answer.structured, answer.content) == (True, None, ())
            assert answer.text == f"Echo session {handle} {ADVICE}"


def test_a_foreign_handle_is_neither_closed_nor_kept_alive(scene: Scene) -> None:
    """Our choice, as above."""
    scene.principal = "alice"
    foreign = create(scene)
    scene.principal = "bob"
    scene.advance(599)
    assert scene.call("closeEchoSession", {"session": foreign}).text == f"Echo session {foreign} {ADVICE}"
    scene.principal = "alice"
    assert not scene.call("sessionInfo", {"session": foreign}).is_error


@pytest.mark.parametrize(
    ("handle", "shown"),
    [("\x1b[2J\u202e", r"\x1b[2J\u202e, which"), ("x" * 5000, f"is {'x' * 64}, which")],
)
def test_a_made_up_handle_drives_no_terminal_and_fills_no_screen(
    scene: Scene, handle: str, shown: str
) -> None:
    """Our choice: what a client invents is shown escaped and cut."""
    text = scene.call("sessionInfo", {"session": handle}).text
    assert shown in text
    assert handle not in text


def test_a_closed_handle_is_gone_and_tells_what_was_in_it(scene: Scene) -> None:
    """A server SHOULD let clients end what they have made."""
    handle = create(scene)
    for _ in range(3):
        scene.call("echo", {"message": "m", "session": handle})
    answer = scene.call("closeEchoSession", {"session": handle})
    assert answer.text == f"👋 Echo Session Closed\n\nSession: {handle}\nEchoes in it: 3"
    assert wire(answer) == {"session": handle, "echoCount": 3}
    assert handle not in {each.id for each in scene.store}
    assert scene.call("closeEchoSession", {"session": handle}).is_error


def test_closing_ends_handles_and_no_protocol_session() -> None:
    """Our choice: a protocol session ends with DELETE alone."""
    scene = Scene()
    for session in (scene.session.id, None):
        assert scene.call("closeEchoSession", {"session": session}).is_error
    assert list(scene.store) == [scene.session]


def test_other_tools_show_no_handle(scene: Scene) -> None:
    """Our choice: a handle is all that protects its state, so no other caller sees it."""
    handle: Any = create(scene)
    for tool in ("healthProbe", "requestTiming", "authContext", "printHeader", "environmentDump"):
        answer = scene.call(tool)
        assert handle not in answer.text + repr(wire(answer))
