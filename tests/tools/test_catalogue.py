"""The tools as clients see them listed, and their results against their own schemas."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from mcp_echo.protocol.revisions import LEGACY, Revision
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
]

ARGUMENTS = {
    "echo": {"message", "uppercase", "data", "mimeType"},
    "printHeader": {"category"},
    "bearerDecode": {"token"},
    "whoIStheGOAT": {"subject"},
}

tools = pytest.mark.parametrize("name", NAMES)
revisions = pytest.mark.parametrize("revision", LEGACY, ids=lambda revision: revision.name)


def describe(name: str, revision: Revision = LEGACY[-1]) -> dict[str, Any]:
    return Scene().tools[name].describe(revision)


def test_the_tools_are_listed_in_order() -> None:
    """The documented eleven; 2025-11-25 server/tools: clients cache the list, so its order is stable."""
    assert list(Scene().tools) == NAMES
    assert [tool.name for tool in Scene().tools.values()] == NAMES


@tools
def test_a_tool_takes_the_documented_arguments(name: str) -> None:
    """The tool's specified arguments; an unknown one is refused."""
    schema = describe(name)["inputSchema"]
    assert set(schema["properties"]) == ARGUMENTS.get(name, set())
    assert schema.get("required", []) == (["message"] if name == "echo" else [])
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
    changes = name in ("echo", "replayLastEcho")
    assert (hints["readOnlyHint"], hints["idempotentHint"]) == (not changes, not changes)
    assert (hints["destructiveHint"], hints["openWorldHint"]) == (False, False)


TOKEN = jwt({"sub": "x", "iat": 1, "exp": 1e30, "nested": {"a": [1, None, "b"]}})
HEADERS = [
    ("Authorization", f"Bearer {TOKEN}"),
    ("Origin", "https://odd.example"),
    ("X-User-Id", "1"),
    ("X-Odd", "\x9b"),
]

CALLS = [(name, {}) for name in NAMES if name != "echo"] + [
    ("echo", {"message": "\u2028", "data": "aGk=", "mimeType": "image/png"}),
    ("printHeader", {"category": "mcp"}),
    ("bearerDecode", {"token": "nonsense"}),
    ("bearerDecode", {"token": f"{TOKEN.partition('.')[0]}.a.b.c.d"}),
    ("whoIStheGOAT", {"subject": "x"}),
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
    jsonschema.Draft202012Validator(describe(name)["outputSchema"]).validate(wire(answer))


@tools
def test_a_schema_is_strict_enough_to_refuse_something_else(name: str) -> None:
    """A schema that takes anything would make the test above worthless."""
    assert not jsonschema.Draft202012Validator(describe(name)["outputSchema"]).is_valid({})
