"""Every message fits the revision it is sent in: by the official models, and key by key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.e2e import conversation, environments
from tests.e2e.conftest import Needs
from tests.e2e.conversation import CLIENTS, HANDLE, MODERN, PROBED, calls, tool
from tests.e2e.daemon import MODULE, Daemon, running
from tests.e2e.wire import Message, ModernWire, Wire
from tests.ports import free_port

pytestmark = pytest.mark.slow

LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
REVISIONS = (*LEGACY, MODERN)

BYTES = "AAEC"
SESSION = {"uri": "echo://session"}

METHODS = {
    "sampling": "sampling/createMessage",
    "elicitation": "elicitation/create",
    "roots": "roots/list",
}
ANSWERS = {METHODS[feature]: answer for feature, answer in PROBED.items()}
DECLARED: Message = {"sampling": {}, "elicitation": {}, "roots": {}}


def _tool_calls(**state: str) -> tuple[Message, ...]:
    """Return calls of all tools, with every shape their results have."""
    return (
        *calls(**state),
        *(
            tool("echo", message="bytes", data=BYTES, mimeType=mime_type, **state)
            for mime_type in ("image/png", "audio/wav", "application/octet-stream")
        ),
        tool("replayLastEcho", session="unknown"),
        tool("clientProbe", feature="logging"),
    )


READING: tuple[tuple[str, Message], ...] = (
    ("tools/list", {}),
    ("resources/list", {}),
    ("resources/templates/list", {}),
    ("resources/read", {"uri": "echo://server"}),
    ("resources/read", {"uri": f"echo://session/{HANDLE}"}),
    ("resources/read", {"uri": f"echo://session/{HANDLE}/messages"}),
    ("prompts/list", {}),
    ("prompts/get", {"name": "diagnose-auth"}),
    ("prompts/get", {"name": "diagnose-session", "arguments": {"symptom": "a lost session"}}),
    ("completion/complete", conversation.SCRIPTS[MODERN]["complete"]),
)
"""What both eras have beside tools/call."""

CONVERSATION: tuple[tuple[str, Message], ...] = (
    ("ping", {}),
    *(("tools/call", call) for call in _tool_calls()),
    *READING,
    ("resources/read", SESSION),
    ("resources/subscribe", SESSION),
    ("logging/setLevel", {"level": "debug"}),
    ("tools/call", tool("echo", message="with logs and a changed resource")),
    ("tools/call", {**tool("clientProbe", feature="progress"), "_meta": {"progressToken": "token"}}),
    ("resources/unsubscribe", SESSION),
)
"""Every method the server offers to a session."""

REFUSED: tuple[tuple[str, Message], ...] = (
    ("tools/call", {"name": "nothing"}),
    ("tools/call", tool("clientProbe", feature="nothing")),
    ("resources/read", {"uri": "echo://nothing"}),
    ("prompts/get", {"name": "nothing"}),
    ("nothing", {}),
)
"""What is answered with errors, or in some revisions with results that say so."""

LOUD = {"_meta": {"io.modelcontextprotocol/logLevel": "debug"}}

MODERN_CONVERSATION: tuple[tuple[str, Message], ...] = (
    ("server/discover", {}),
    *(("tools/call", call) for call in _tool_calls(session=HANDLE)),
    *READING,
    ("tools/call", {**tool("echo", message="with logs", session=HANDLE), **LOUD}),
    ("tools/call", {**tool("clientProbe", feature="progress"), "_meta": {"progressToken": "token"}}),
)
"""Every method the server offers without a session, but for subscriptions/listen."""

MISMATCHES = (
    {"Mcp-Method": "tools/list"},
    {"Mcp-Name": "echo"},
    {"MCP-Protocol-Version": "2025-11-25"},
    {"Mcp-Name": "=?base64?broken?="},
)


class Record:
    """What a server said in one conversation.

    Args:
        revision: The revision it was held in.
    """

    def __init__(self, revision: str) -> None:
        self.revision = revision
        self.messages: list[tuple[str, Message]] = []
        """Each with the method it belongs to."""
        self._handle = HANDLE

    def fill(self, params: Message) -> Message:
        """Return params with the handle that was made."""
        filled: Message = json.loads(json.dumps(params).replace(HANDLE, self._handle))
        return filled

    def add(self, method: str, response: Message, before: Iterable[Message] = ()) -> Message:
        """Write down the response to a request and what came before it; return its result, if it has one."""
        self.messages += [(message["method"], message) for message in before]
        self.messages.append((method, response))
        result: Message = response.get("result", {})
        if made := re.search(r"Echo Session Created.*?(es_[\w-]+)", json.dumps(result)):
            self._handle = made[1]
        return result

    def note(self, *notifications: Message) -> None:
        """Write down what came unasked."""
        self.messages += [(message["method"], message) for message in notifications]

    def of(self, method: str) -> list[Message]:
        """Return the final results of a method."""
        results = [
            message["result"] for named, message in self.messages if named == method and "result" in message
        ]
        return [result for result in results if result.get("resultType", "complete") == "complete"]

    def said(self) -> list[str]:
        """Return the methods of what the server said by itself, in order."""
        return [message["method"] for _, message in self.messages if "method" in message]

    def codes(self) -> set[int]:
        """Return the codes of its errors."""
        return {message["error"]["code"] for _, message in self.messages if "error" in message}

    def entries(self) -> list[Message]:
        """Return what the validator reads."""
        return [
            {"revision": self.revision, "method": method, "message": message}
            for method, message in self.messages
        ]


def _features(revision: str) -> list[str]:
    """Return what the server may ask a client of this revision for."""
    return [feature for feature in PROBED if feature != "elicitation" or revision >= "2025-06-18"]


def _legacy_record(port: int, revision: str) -> Record:
    """Hold the conversation of the legacy era."""
    record = Record(revision)
    capabilities = {feature: {} for feature in _features(revision)}
    with Wire(port, revision, capabilities, ANSWERS) as wire:
        record.add("initialize", wire.welcome)
        assert wire.welcome["result"]["protocolVersion"] == revision
        for method, params in CONVERSATION:
            record.add(method, *wire.ask(method, record.fill(params)))
        assert not record.codes()
        for feature in _features(revision):
            probed = record.add("tools/call", *wire.ask("tools/call", tool("clientProbe", feature=feature)))
            assert "✅ no problem found" in probed["content"][0]["text"]
        for method, params in REFUSED:
            record.add(method, *wire.ask(method, params))
        stream = wire.listen()
        wire.ask("tools/call", tool("clientProbe", feature="list-changed", seconds=0.01))
        while "notifications/resources/list_changed" not in record.said():
            record.note(next(stream))
    return record


def _modern_record(daemon: Daemon) -> Record:
    """Hold the conversation of the modern era, to the end of the server."""
    record = Record(MODERN)
    with ModernWire(daemon.port, MODERN, DECLARED) as wire:
        for method, params in MODERN_CONVERSATION:
            record.add(method, *wire.ask(method, record.fill(params)))
        assert not record.codes()
        for feature in PROBED:
            _probe(record, wire, feature)
        for method, params in REFUSED:
            record.add(method, *wire.ask(method, params))
        for headers in MISMATCHES:
            record.add("tools/call", *wire.ask("tools/call", tool("healthProbe"), headers))
        unsupported = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2999-01-01"}}
        record.add("ping", *wire.ask("ping", unsupported, {"MCP-Protocol-Version": "2999-01-01"}))
        _listen(record, wire, daemon)
    return record


def _probe(record: Record, wire: ModernWire, feature: str) -> None:
    """Be asked for something, and answer with the same call again."""
    params = tool("clientProbe", feature=feature)
    asked = record.add("tools/call", *wire.ask("tools/call", params))
    assert asked["resultType"] == "input_required"
    responses = {key: ANSWERS[question["method"]] for key, question in asked["inputRequests"].items()}
    retry = {**params, "inputResponses": responses, "requestState": asked["requestState"]}
    answered = record.add("tools/call", *wire.ask("tools/call", retry))
    assert "✅ no problem found" in answered["content"][0]["text"]


def _listen(record: Record, wire: ModernWire, daemon: Daemon) -> None:
    """Hear of everything there is to hear of, and of the server's end."""
    lists = {f"{which}ListChanged": True for which in ("tools", "prompts", "resources")}
    watched = record.fill({"resourceSubscriptions": [f"echo://session/{HANDLE}"]})
    stream = wire.listen({**lists, **watched})
    record.note(next(stream))
    for params in (
        tool("echo", message="a changed resource", session=HANDLE),
        tool("clientProbe", feature="list-changed", seconds=0.01),
    ):
        record.add("tools/call", *wire.ask("tools/call", record.fill(params)))
    record.note(*(next(stream) for _ in range(4)))
    daemon.terminate()
    record.add("subscriptions/listen", next(stream))


@pytest.fixture(scope="module")
def last_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that a conversation may end."""
    port = free_port()
    with running([*MODULE, "--port", str(port)], tmp_path_factory.mktemp("last"), port) as started:
        yield started


@pytest.fixture(scope="module")
def records(daemon: Daemon, last_daemon: Daemon) -> dict[str, Record]:
    """The conversation in each revision."""
    legacy = {revision: _legacy_record(daemon.port, revision) for revision in LEGACY}
    return {**legacy, MODERN: _modern_record(last_daemon)}


@pytest.fixture(scope="module")
def verdict(records: dict[str, Record], client_environment: Needs) -> dict[str, Any]:
    """What the official models say of all of it."""
    python = environments.python(client_environment(environments.SDK_2))
    entries = [entry for record in records.values() for entry in record.entries()]
    return conversation.run([python, str(CLIENTS / "validate.py")], entries)


def test_every_message_is_valid_by_the_official_models(verdict: dict[str, Any]) -> None:
    """The schema of each revision is binding: results, errors, notifications and questions MUST conform."""
    assert verdict["errors"] == []


@pytest.mark.parametrize("revision", LEGACY)
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


def test_the_modern_conversation_has_every_method_of_its_schema(verdict: dict[str, Any]) -> None:
    """Our choice: the server offers all of 2026-07-28, so the test above has to have seen all of it."""
    seen = {"subscriptions/listen", *(method for method, _ in MODERN_CONVERSATION)}
    assert seen == set(verdict["methods"][MODERN])


@pytest.mark.parametrize("revision", LEGACY)
def test_a_legacy_conversation_brought_every_kind_of_message(
    records: dict[str, Record], revision: str
) -> None:
    """Our choice: guards the test above against judging less than it says."""
    record = records[revision]
    assert set(record.said()) == {
        *(METHODS[feature] for feature in _features(revision)),
        "notifications/message",
        "notifications/progress",
        "notifications/resources/updated",
        *(f"notifications/{which}/list_changed" for which in ("tools", "prompts", "resources")),
    }
    assert record.codes() == {-32601, -32602, -32002}


def test_the_modern_conversation_brought_every_kind_of_message(records: dict[str, Record]) -> None:
    """Our choice, as above; questions are no messages here but results (basic/patterns/mrtr)."""
    record = records[MODERN]
    asked = [
        question["method"]
        for _, message in record.messages
        for question in message.get("result", {}).get("inputRequests", {}).values()
    ]
    assert asked == list(ANSWERS)
    assert set(record.said()) == {
        "notifications/message",
        "notifications/progress",
        "notifications/subscriptions/acknowledged",
        "notifications/resources/updated",
        *(f"notifications/{which}/list_changed" for which in ("tools", "prompts", "resources")),
    }
    assert record.codes() == {-32601, -32602, -32020, -32022}
    assert record.of("subscriptions/listen")


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
    "2026-07-28": {"resultType"},
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


def _server_info(record: Record) -> Message:
    """Return what the server says of itself, wherever its revision has that."""
    if record.revision in LEGACY:
        info: Message = record.of("initialize")[0]["serverInfo"]
    else:
        info = record.of("server/discover")[0]["_meta"]["io.modelcontextprotocol/serverInfo"]
    return info


def _keys(objects: Iterable[Message]) -> set[str]:
    return {key for each in objects for key in each}


@pytest.mark.parametrize("revision", REVISIONS)
def test_no_answer_has_a_key_that_its_revision_does_not_know(
    records: dict[str, Record], revision: str
) -> None:
    """Down-rendering: the changelog of each revision says which members it added.

    The official models let unknown members pass, and use one model for all legacy revisions.
    """
    record = records[revision]
    tools = record.of("tools/list")[0]["tools"]
    calls = record.of("tools/call")
    listed = record.of("resources/list")[0]["resources"] + record.of("prompts/list")[0]["prompts"]
    blocks = [block for result in calls for block in result["content"]]
    assert _keys([_server_info(record)]) <= _known(IMPLEMENTATION, revision)
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
    answered = [result for result in calls if not result["isError"]]
    assert all(("structuredContent" in result) is (revision >= "2025-06-18") for result in answered)
    assert any(block["type"] == "audio" for block in blocks) is (revision >= "2025-03-26")
