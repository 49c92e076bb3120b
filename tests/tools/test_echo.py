"""echo and replayLastEcho."""

from __future__ import annotations

import pytest

from mcp_echo.tools.base import ArgumentError
from tests.tools.support import Scene, wire


def test_echo_answers_with_the_message_and_counts_it() -> None:
    """The tool's specified answer."""
    scene = Scene()
    assert scene.text("echo", {"message": "Hello, stateful world!", "uppercase": True}) == (
        f"HELLO, STATEFUL WORLD!\n\nSession: {scene.session.id}\nEcho count in session: 1"
    )
    second = scene.call("echo", {"message": "again"})
    assert second.text.endswith("Echo count in session: 2")
    assert wire(second) == {"message": "again", "session": scene.session.id, "echoCount": 2}


def test_replay_answers_with_the_last_echo_as_it_was_answered() -> None:
    """The tool's specified answer."""
    scene = Scene()
    scene.call("echo", {"message": "first"})
    scene.call("echo", {"message": "Hello, stateful world!", "uppercase": True})
    assert scene.text("replayLastEcho") == (
        "🔄 Replaying last echo:\n"
        "HELLO, STATEFUL WORLD!\n"
        "\n"
        "Original echo count: 2\n"
        "This session has replayed 1 messages"
    )
    assert wire(scene.call("replayLastEcho")) == {
        "message": "HELLO, STATEFUL WORLD!",
        "originalEchoCount": 2,
        "replayCount": 2,
    }


def test_nothing_to_replay_is_an_error_that_says_what_to_do() -> None:
    """2025-11-25 server/tools, Error Handling: a tool's failure is a result with isError."""
    scene = Scene()
    answer = scene.call("replayLastEcho")
    assert (answer.is_error, answer.structured) == (True, None)
    assert "Call echo first" in answer.text
    assert scene.session.record.replay_count == 0


def test_a_session_replays_only_its_own_echo() -> None:
    """State belongs to one session."""
    scene = Scene()
    scene.call("echo", {"message": "mine"})
    scene.session = scene.new_session()
    assert scene.call("replayLastEcho").is_error


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("", ""),
        ("\x1b[31m\x07", r"\x1b[31m\x07"),
        ("a\u2028\u202eb", r"a\u2028\u202eb"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_an_echo_drives_no_terminal(message: str, shown: str) -> None:
    """Our choice: the text escapes what acts on a terminal; the structured result is as sent."""
    scene = Scene()
    answer = scene.call("echo", {"message": message})
    assert answer.text.startswith(f"{shown}\n\nSession: ")
    assert wire(answer)["message"] == message
    assert f"\n{shown}\n\n" in scene.text("replayLastEcho")


@pytest.mark.parametrize(
    ("mime_type", "revision", "block"),
    [
        ("image/png", "2024-11-05", {"type": "image", "data": "aGk=", "mimeType": "image/png"}),
        ("audio/wav", "2025-03-26", {"type": "audio", "data": "aGk=", "mimeType": "audio/wav"}),
        (
            "audio/wav",
            "2024-11-05",
            {
                "type": "resource",
                "resource": {"uri": "echo://last-echo/data", "mimeType": "audio/wav", "blob": "aGk="},
            },
        ),
        (
            None,
            "2025-11-25",
            {
                "type": "resource",
                "resource": {
                    "uri": "echo://last-echo/data",
                    "mimeType": "application/octet-stream",
                    "blob": "aGk=",
                },
            },
        ),
    ],
)
def test_bytes_come_back_in_the_richest_block_the_revision_has(
    mime_type: str | None, revision: str, block: object
) -> None:
    """Schemas of the revisions: audio content came with 2025-03-26."""
    scene = Scene(revision=revision)
    arguments = {"message": "m", "data": "aGk=", **({"mimeType": mime_type} if mime_type else {})}
    assert scene.call("echo", arguments).content == (block,)
    assert scene.call("replayLastEcho").content == (block,)


def test_bytes_that_are_no_base64_are_refused_and_not_remembered() -> None:
    """2025-11-25 server/tools, Error Handling; RFC 4648 section 3.3: foreign characters are refused."""
    scene = Scene()
    for data in ("a", "!!!!", "aGk", "aGk=\n"):
        answer = scene.call("echo", {"message": "m", "data": data})
        assert answer.is_error
        assert "data is not base64" in answer.text
    assert scene.session.record.echo_count == 0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, "`message`"),
        ({"message": 1}, "$.message"),
        ({"message": None}, "`message`"),
        ({"message": "m", "uppercase": "yes"}, "$.uppercase"),
        ({"message": "m", "upercase": True}, "`upercase`"),
        ({"message": "m", "data": "aGk=", "mimeType": "no type"}, "$.mimeType"),
        ([], "object"),
    ],
)
def test_wrong_arguments_are_named(arguments: object, named: str) -> None:
    """Our choice: the text names the tool and the argument; SEP-1303: a model corrects itself by it."""
    with pytest.raises(ArgumentError, match=r"^Invalid arguments for tool echo: ") as refusal:
        Scene().call("echo", arguments)
    assert named in str(refusal.value)


def test_without_binary_support_echo_takes_no_bytes() -> None:
    """ECHO_ENABLE_BINARY=false."""
    scene = Scene({"enable_binary": "false"})
    with pytest.raises(ArgumentError, match="`data`"):
        scene.call("echo", {"message": "m", "data": "aGk="})
    assert set(scene.tools["echo"].describe(scene.revision)["inputSchema"]["properties"]) == {
        "message",
        "uppercase",
        "session",
    }
