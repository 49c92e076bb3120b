"""sessionInfo."""

from __future__ import annotations

import pytest

from mcp_echo.sessions.session import UNKNOWN_CLIENT, Client, Echo
from tests.making import handle_in, session_in
from tests.sessions.test_event_log import Connection
from tests.tools.support import Scene, wire


def test_session_info_tells_what_the_server_knows_of_the_session() -> None:
    """The tool's specified answer, with values that are measured."""
    scene = Scene(revision="2025-06-18", client=Client("test-client", "1.0", {"roots": {}, "sampling": {}}))
    session = scene.session
    scene.advance(300)
    scene.store.use(session.id, None)
    session.record.initialized = True
    session.record.requests, session.record.replay_count = 42, 2
    for _ in range(5):
        scene.call("echo", {"message": "m"})
    for _ in range(3):
        session.log.queue(b"{}")
    scene.advance(30)
    answer = scene.call("sessionInfo")
    assert answer.text == (
        "📊 Session Information\n"
        "\n"
        "🔑 Session Details:\n"
        f"- Session ID: {session.id}\n"
        "- Principal: none (peer 127.0.0.1 is not in MCP_ECHO_TRUSTED_PROXIES: "
        "headers are shown, not believed)\n"
        f"- Made By: {scene.store.node}\n"
        f"- Served By: {scene.store.node}\n"
        "- Created: 2024-01-01 12:00:00 UTC\n"
        "- Last Activity: 2024-01-01 12:05:00 UTC\n"
        "- Age: 5m 30s\n"
        "- Time Until Expiry: 59m 30s\n"
        "\n"
        "📈 Session Metrics:\n"
        "- Total Requests: 42\n"
        "- Echo Count: 5\n"
        "- Replay Count: 2\n"
        "- Message Queue: 3 pending\n"
        "\n"
        "⚖️ Your Share:\n"
        "- Sessions: 0 (1000 more)\n"
        "- Held by Requests and Streams: 0B (16MB more)\n"
        "- Messages and Last Echoes: 0B (32MB more)\n"
        "- This Session: 4 more streams, 97 more messages\n"
        "\n"
        "🧠 Session State:\n"
        "- Initialized: ✅\n"
        "- Protocol Version: 2025-06-18\n"
        "- Findings: none in what was recorded\n"
        "- Client: test-client v1.0"
    )
    structured = wire(answer)
    assert (structured["age"], structured["timeUntilExpiry"]) == (330.0, 3570.0)
    assert structured["clientCapabilities"] == ["roots", "sampling"]


def test_the_caller_s_share_is_what_it_has_and_has_left() -> None:
    """Our choice: whoever is about to be refused can see it coming; of others it sees nothing."""
    scene = Scene()
    context = scene.context
    session_in(scene.store, None, scene.revision, UNKNOWN_CLIENT, scene.caller.address).log.queue(b"12345")
    echoing = handle_in(scene.store, None, scene.revision, UNKNOWN_CLIENT, address=scene.caller.address)
    echoing.remember_echo(Echo("m"))
    session_in(scene.store, None, scene.revision, UNKNOWN_CLIENT, "10.0.0.9").log.queue(b"123456789")
    context.limits.hold(scene.caller, 1000)
    context.limits.hold(scene.caller._replace(address="10.0.0.9"), 5000)
    Connection(scene.session.log, scene.session.log.listen(), fast=False)
    scene.session.log.queue(b"{}")
    state = 5 + Echo("m").size
    share = wire(scene.call("sessionInfo"))["share"]
    assert share == {
        "sessions": 2,
        "sessionsLeft": 998,
        "heldBytes": 1000,
        "heldLeft": (1 << 24) - 1000,
        "stateBytes": state,
        "stateLeft": (1 << 25) - state,
        "streamsLeft": 3,
        "queueLeft": 99,
    }


@pytest.mark.parametrize(
    ("client", "line"),
    [
        (UNKNOWN_CLIENT, "- Client: unknown (no name was given in this session)"),
        (Client("\x1b]0;x\x07", "\u202e1"), r"- Client: \x1b]0;x\x07 v\u202e1"),
    ],
)
def test_a_client_is_shown_as_it_named_itself(client: Client, line: str) -> None:
    """Our choice: without initialize nothing is made up, and no name drives a terminal."""
    text = Scene(client=client).text("sessionInfo")
    assert text.splitlines()[-1] == line
    assert "- Initialized: ❌ (no notifications/initialized has come in this session)\n" in text


def test_a_client_without_a_version_is_shown_without_one() -> None:
    """Our choice: a lenient server takes an initialize without a version, and must not print None for it."""
    assert Scene(client=Client("curl", None)).text("sessionInfo").splitlines()[-1] == "- Client: curl"


def test_dropped_messages_are_told_of() -> None:
    """Our choice: a loss must not go unnoticed."""
    scene = Scene()
    for _ in range(102):
        scene.session.log.queue(b"{}")
    assert "- Message Queue: 100 pending (2 dropped)\n" in scene.text("sessionInfo")


def test_other_sessions_are_not_shown() -> None:
    """Our choice: one caller learns nothing of another."""
    scene = Scene()
    other = scene.new_session(Client("other-client", "9"))
    for tool in ("sessionInfo", "healthProbe", "requestTiming", "authContext"):
        answer = scene.call(tool)
        assert other.id not in answer.text + repr(wire(answer))
        assert "other-client" not in answer.text + repr(wire(answer))
