"""Every answer fits the revision it is given in: by the official models, and key by key."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from typing import Any

import pytest

from tests.e2e import environments
from tests.e2e.conftest import Needs
from tests.e2e.conversation import CALLS, CLIENTS
from tests.e2e.daemon import Daemon
from tests.e2e.wire import Message, Wire

REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")

BYTES = "AAEC"
SESSION = {"uri": "echo://session"}

CONVERSATION: tuple[tuple[str, Message], ...] = (
    ("ping", {}),
    ("tools/list", {}),
    *(("tools/call", call) for call in CALLS),
    *(
        (
            "tools/call",
            {"name": "echo", "arguments": {"message": "bytes", "data": BYTES, "mimeType": mime_type}},
        )
        for mime_type in ("image/png", "audio/wav", "application/octet-stream")
    ),
    ("resources/list", {}),
    ("resources/templates/list", {}),
    ("resources/read", {"uri": "echo://server"}),
    ("resources/read", SESSION),
    ("resources/subscribe", SESSION),
    ("prompts/list", {}),
    ("prompts/get", {"name": "diagnose-auth"}),
    ("prompts/get", {"name": "diagnose-session", "arguments": {"symptom": "a lost session"}}),
    ("logging/setLevel", {"level": "debug"}),
    ("tools/call", {"name": "echo", "arguments": {"message": "with logs and a changed resource"}}),
    ("resources/unsubscribe", SESSION),
)
"""Every method the server offers, with every shape its results have."""


class Record:
    """One conversation in one revision, written down.

    Args:
        port: Where the daemon listens.
        revision: The revision to hold it in.
    """

    def __init__(self, port: int, revision: str) -> None:
        self.revision = revision
        self.results: list[tuple[str, Message]] = []
        self.notifications: list[Message] = []
        with Wire(port, revision) as wire:
            assert wire.welcome["protocolVersion"] == revision
            self.results.append(("initialize", wire.welcome))
            for method, params in CONVERSATION:
                response, notifications = wire.ask(method, params)
                assert "result" in response, response
                self.results.append((method, response["result"]))
                self.notifications += notifications
            self.notifications.append(next(wire.listen()))

    def of(self, method: str) -> list[Message]:
        """Return the results of a method."""
        return [result for named, result in self.results if named == method]

    def entries(self) -> list[Message]:
        """Return what the validator reads."""
        results = [
            {"revision": self.revision, "method": method, "result": result} for method, result in self.results
        ]
        notifications = [
            {"revision": self.revision, "method": each["method"], "params": each["params"]}
            for each in self.notifications
        ]
        return results + notifications


@pytest.fixture(scope="module")
def records(daemon: Daemon) -> dict[str, Record]:
    """The conversation in each revision."""
    return {revision: Record(daemon.port, revision) for revision in REVISIONS}


@pytest.fixture(scope="module")
def verdict(records: dict[str, Record], client_environment: Needs) -> dict[str, Any]:
    """What the official models say of all of it."""
    python = environments.python(client_environment(environments.SDK_2))
    entries = [entry for record in records.values() for entry in record.entries()]
    done = subprocess.run(
        [python, str(CLIENTS / "validate.py")],
        input=json.dumps(entries).encode(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_message_is_valid_by_the_official_models(verdict: dict[str, Any]) -> None:
    """The schema of each revision is binding: every result and notification MUST conform to it."""
    assert verdict["errors"] == []


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_method_that_is_not_in_the_conversation_is_not_offered(
    daemon: Daemon, verdict: dict[str, Any], revision: str
) -> None:
    """Our choice: what the server offers is what the test above has seen; JSON-RPC 2.0 section 5.1."""
    seen = {"initialize", *(method for method, _ in CONVERSATION)}
    unseen = set(verdict["methods"][revision]) - seen
    with Wire(daemon.port, revision) as wire:
        codes = {method: wire.ask(method)[0]["error"]["code"] for method in unseen}
    assert seen <= set(verdict["methods"][revision])
    assert codes == dict.fromkeys(unseen, -32601)


def test_the_conversation_brought_both_kinds_of_notification(records: dict[str, Record]) -> None:
    """Our choice: guards the test above against judging an empty list of notifications."""
    for record in records.values():
        methods = [each["method"] for each in record.notifications]
        assert methods == ["notifications/message"] * 2 + ["notifications/resources/updated"]


# Keys by the revision that brought them, from the changelogs and schemas of
# https://modelcontextprotocol.io/specification
IMPLEMENTATION = {
    "2024-11-05": {"name", "version"},
    "2025-06-18": {"title"},
    "2025-11-25": {"description", "icons", "websiteUrl"},
}
TOOL = {
    "2024-11-05": {"name", "description", "inputSchema"},
    "2025-03-26": {"annotations"},
    "2025-06-18": {"title", "outputSchema", "_meta"},
    "2025-11-25": {"icons", "execution"},
}
TOOL_RESULT = {
    "2024-11-05": {"content", "isError", "_meta"},
    "2025-06-18": {"structuredContent"},
}
LISTED = {
    "2024-11-05": {"name", "description", "uri", "mimeType", "arguments", "annotations"},
    "2025-06-18": {"title", "_meta"},
    "2025-11-25": {"icons"},
}
CONTENT_TYPES = {"2024-11-05": {"text", "image", "resource"}, "2025-03-26": {"audio"}}


def _known(table: dict[str, set[str]], revision: str) -> set[str]:
    """Return what a table allows up to a revision."""
    return set().union(*(keys for since, keys in table.items() if since <= revision))


def _keys(objects: Iterable[Message]) -> set[str]:
    return {key for each in objects for key in each}


@pytest.mark.parametrize("revision", REVISIONS)
def test_no_answer_has_a_key_that_its_revision_does_not_know(
    records: dict[str, Record], revision: str
) -> None:
    """Down-rendering: the changelog of each revision says which members it added.

    The official models let unknown members pass, and use one model for all four revisions.
    """
    record = records[revision]
    tools = record.of("tools/list")[0]["tools"]
    calls = record.of("tools/call")
    listed = record.of("resources/list")[0]["resources"] + record.of("prompts/list")[0]["prompts"]
    blocks = [block for result in calls for block in result["content"]]
    assert _keys([record.of("initialize")[0]["serverInfo"]]) <= _known(IMPLEMENTATION, revision)
    assert _keys(tools) <= _known(TOOL, revision)
    assert _keys(calls) <= _known(TOOL_RESULT, revision)
    assert _keys(listed) <= _known(LISTED, revision)
    assert {block["type"] for block in blocks} <= _known(CONTENT_TYPES, revision)


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_revision_shows_what_it_brought(records: dict[str, Record], revision: str) -> None:
    """The other direction: members a revision knows are not held back from it (its changelog, as above)."""
    record = records[revision]
    tools = record.of("tools/list")[0]["tools"]
    listed = record.of("resources/list")[0]["resources"] + record.of("prompts/list")[0]["prompts"]
    calls = record.of("tools/call")
    blocks = [block for result in calls for block in result["content"]]
    assert all(("annotations" in tool) is (revision >= "2025-03-26") for tool in tools)
    assert all(("title" in each) is (revision >= "2025-06-18") for each in [*tools, *listed])
    assert all(("outputSchema" in tool) is (revision >= "2025-06-18") for tool in tools)
    assert all(("structuredContent" in result) is (revision >= "2025-06-18") for result in calls)
    assert any(block["type"] == "audio" for block in blocks) is (revision >= "2025-03-26")
