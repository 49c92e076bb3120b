"""The tools as clients see them listed, and their results against their own schemas."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from mcp_echo.protocol.revisions import KNOWN, LEGACY, Revision
from tests.tools.support import UNREADABLE, Scene, jwt, wire

NAMES = [
    "echo",
    "replayLastEcho",
    "printHeader",
    "bearerDecode",
    "authContext",
    "requestTiming",
    "corsAnalysis",
    "environmentDump",
    "healthProbe",
    "sessionInfo",
    "whoIStheGOAT",
    "createEchoSession",
    "closeEchoSession",
    "clientProbe",
]

ARGUMENTS = {
    "echo": {"message", "uppercase", "session", "data", "mimeType"},
    "replayLastEcho": {"session"},
    "sessionInfo": {"session"},
    "printHeader": {"category"},
    "bearerDecode": {"token"},
    "whoIStheGOAT": {"subject"},
    "createEchoSession": {"label", "ttlSeconds"},
    "closeEchoSession": {"session"},
    "clientProbe": {"feature", "mode", "seconds"},
}

REQUIRED = {"echo": ["message"], "closeEchoSession": ["session"], "clientProbe": ["feature"]}
# Without a protocol session, state has to be named.
REQUIRED_WHERE_STATELESS = REQUIRED | {"replayLastEcho": ["session"], "sessionInfo": ["session"]}

# Tools that make, change or end state, and those that reach beyond the server.
CHANGING = {"echo", "replayLastEcho", "createEchoSession", "closeEchoSession"}
NOT_TWICE_THE_SAME = CHANGING | {"clientProbe"}
REACHING_OUT = {"clientProbe"}

tools = pytest.mark.parametrize("name", NAMES)
revisions = pytest.mark.parametrize("revision", KNOWN, ids=lambda revision: revision.name)


def describe(name: str, revision: Revision = LEGACY[-1]) -> dict[str, Any]:
    return Scene().tools[name].describe(revision)


def schema_of_result(name: str) -> Any:
    return describe(name)["outputSchema"]


def test_the_tools_are_listed_in_order() -> None:
    """The documented eleven, then ours; 2025-11-25 server/tools: clients cache the list, so its order is
    stable."""
    assert list(Scene().tools) == NAMES
    assert [tool.name for tool in Scene().tools.values()] == NAMES


@tools
@revisions
def test_a_tool_takes_the_documented_arguments(name: str, revision: Revision) -> None:
    """The tool's specified arguments; an unknown one is refused. 2026-07-28 server/tools, Stateful Tools:
    the need for a handle is expressed in the schema."""
    schema = describe(name, revision)["inputSchema"]
    assert set(schema["properties"]) == ARGUMENTS.get(name, set())
    required = REQUIRED_WHERE_STATELESS if revision.stateless else REQUIRED
    assert schema.get("required", []) == required.get(name, [])
    assert schema["additionalProperties"] is False
    assert all(each["description"].endswith(".") for each in schema["properties"].values())


@tools
@pytest.mark.parametrize("member", ["inputSchema", "outputSchema"])
def test_schemas_are_object_schemas_at_the_root(name: str, member: str) -> None:
    """2025-11-25 schema, Tool: type is "object"; JSON Schema 2020-12 is the default dialect."""
    schema = describe(name)[member]
    assert schema["type"] == "object"
    assert isinstance(schema["properties"], dict)
    jsonschema.Draft202012Validator.check_schema(schema)


@tools
@revisions
def test_a_description_has_only_what_its_revision_knows(name: str, revision: Revision) -> None:
    """Changelogs: annotations came with 2025-03-26, title and outputSchema with 2025-06-18."""
    expected = {
        "2024-11-05": {"name", "description", "inputSchema"},
        "2025-03-26": {"name", "description", "inputSchema", "annotations"},
    }.get(revision.name, {"name", "title", "description", "inputSchema", "outputSchema", "annotations"})
    described = describe(name, revision)
    assert set(described) == expected
    assert described["name"] == name


@tools
def test_annotations_tell_which_tools_change_the_session(name: str) -> None:
    """2025-11-25 schema, ToolAnnotations."""
    hints = describe(name)["annotations"]
    assert hints["readOnlyHint"] is (name not in CHANGING)
    assert hints["idempotentHint"] is (name not in NOT_TWICE_THE_SAME)
    assert hints["openWorldHint"] is (name in REACHING_OUT)
    assert hints["destructiveHint"] is False


@tools
def test_no_diagnostic_tool_mirrors_an_argument_to_a_header(name: str) -> None:
    """2026-07-28 server/tools, x-mcp-header: SHOULD NOT be used for secrets, and a handle is one."""
    tool = Scene().tools[name]
    assert tool.headers == {}
    assert "x-mcp-header" not in str(tool.describe(KNOWN[-1]))


TOKEN = jwt({"sub": "x", "iat": 1, "exp": 1e30, "nested": {"a": [1, None, "b"]}})
HEADERS = [
    ("Authorization", f"Bearer {TOKEN}"),
    ("Origin", "https://odd.example"),
    ("X-User-Id", "1"),
    ("X-Odd", "\x9b"),
]

CALLS = [(name, {}) for name in NAMES if name not in REQUIRED] + [
    ("echo", {"message": "\u2028", "data": "aGk=", "mimeType": "image/png"}),
    ("printHeader", {"category": "mcp"}),
    ("bearerDecode", {"token": "nonsense"}),
    ("bearerDecode", {"token": f"{TOKEN.partition('.')[0]}.a.b.c.d"}),
    ("whoIStheGOAT", {"subject": "x"}),
    ("createEchoSession", {"label": "x", "ttlSeconds": 1}),
    ("clientProbe", {"feature": "sampling"}),
    ("clientProbe", {"feature": "list-changed"}),
]


@pytest.mark.parametrize("machine", [None, UNREADABLE], ids=["machine", "no-machine"])
@pytest.mark.parametrize("headers", [[], HEADERS], ids=["bare", "headers"])
@pytest.mark.parametrize(("name", "arguments"), CALLS)
def test_a_structured_result_fits_its_own_schema(
    name: str, arguments: object, headers: list[tuple[str, str]], machine: Any
) -> None:
    """2025-11-25 server/tools, Output Schema: servers MUST provide results that conform."""
    scene = Scene(machine=machine)
    scene.call("echo", {"message": "before"})
    answer = scene.call(name, arguments, headers)
    assert not answer.is_error
    jsonschema.Draft202012Validator(schema_of_result(name)).validate(wire(answer))


@pytest.mark.parametrize("name", ["echo", "replayLastEcho", "sessionInfo", "closeEchoSession"])
@revisions
def test_a_result_about_a_handle_fits_the_schema_too(name: str, revision: Revision) -> None:
    """2025-11-25 and 2026-07-28 server/tools, Output Schema, as above."""
    scene = Scene(revision=revision.name)
    handle = wire(scene.call("createEchoSession"))["session"]
    scene.call("echo", {"message": "before", "session": handle})
    arguments = {"session": handle, **({"message": "m"} if name == "echo" else {})}
    answer = scene.call(name, arguments)
    assert not answer.is_error
    jsonschema.Draft202012Validator(schema_of_result(name)).validate(wire(answer))


@tools
def test_a_schema_is_strict_enough_to_refuse_something_else(name: str) -> None:
    """A schema that takes anything would make the test above worthless."""
    assert not jsonschema.Draft202012Validator(schema_of_result(name)).is_valid({})
