"""The tools as clients see them listed, and their results against their own schemas."""

from __future__ import annotations

from typing import Any, NamedTuple

import jsonschema
import pytest

from mcp_echo.protocol.jsonrpc import encode
from mcp_echo.protocol.revisions import KNOWN, LEGACY, Revision
from mcp_echo.tools.base import ArgumentError
from tests.tools import schema_rules
from tests.tools.support import UNREADABLE, Scene, jwt, sent, wire

TOKEN = jwt({"sub": "x", "iat": 1, "exp": 1e30, "nested": {"a": [1, None, "b"]}})


class Published(NamedTuple):
    """What a tool is listed as, and calls that it answers well; a new tool is one entry below."""

    takes: frozenset[str] = frozenset()
    needs: tuple[str, ...] = ()
    """The arguments without which it does nothing."""
    needs_handle_where_stateless: bool = False
    changes: bool = False
    """Whether it makes, changes or ends state."""
    reaches_out: bool = False
    """Whether it reaches beyond the server."""
    calls: tuple[dict[str, Any], ...] = ({},)


TOOLS = {
    "echo": Published(
        frozenset({"message", "uppercase", "session", "data", "mimeType"}),
        needs=("message",),
        changes=True,
        calls=({"message": "m"}, {"message": "\u2028", "data": "aGk=", "mimeType": "image/png"}),
    ),
    "replayLastEcho": Published(frozenset({"session"}), needs_handle_where_stateless=True, changes=True),
    "printHeader": Published(frozenset({"category"}), calls=({}, {"category": "mcp"})),
    "bearerDecode": Published(
        frozenset({"token", "header"}),
        calls=(
            {},
            {"token": "nonsense"},
            {"token": f"{TOKEN.partition('.')[0]}.a.b.c.d"},
            {"header": "X-Missing"},
        ),
    ),
    "authContext": Published(),
    "requestTiming": Published(),
    "corsAnalysis": Published(),
    "environmentDump": Published(),
    "healthProbe": Published(),
    "sessionInfo": Published(frozenset({"session"}), needs_handle_where_stateless=True),
    "whoIStheGOAT": Published(frozenset({"subject"}), calls=({}, {"subject": "x"})),
    "createEchoSession": Published(
        frozenset({"label", "ttlSeconds"}), changes=True, calls=({}, {"label": "x", "ttlSeconds": 1})
    ),
    "closeEchoSession": Published(frozenset({"session"}), needs=("session",), changes=True, calls=()),
    "clientProbe": Published(
        frozenset({"feature", "mode", "seconds"}),
        needs=("feature",),
        reaches_out=True,
        calls=({"feature": "sampling"}, {"feature": "list-changed"}, {"feature": "logging"}),
    ),
    "streamProbe": Published(
        frozenset({"events", "every", "bytes", "silence"}),
        reaches_out=True,
        calls=({}, {"events": 3, "silence": 2}),
    ),
    "tokenExplain": Published(
        frozenset({"token", "trace"}), calls=({}, {"token": TOKEN}, {"token": "ghp_" + "x" * 36})
    ),
    "createTrace": Published(
        frozenset({"label", "expect", "strict", "seconds", "challenge", "scopes", "toolScopes", "faults"}),
        changes=True,
        calls=(
            {},
            {"label": "x", "expect": ["X-Tenant"], "strict": True, "seconds": 60},
            {"challenge": "oauth", "scopes": ["a"], "toolScopes": {"echo": ["b"]}},
            {"faults": [{"fault": "reject", "options": {"status": 429}}]},
        ),
    ),
    "clientReport": Published(frozenset({"trace", "level"}), calls=({}, {"level": "error"})),
    "flowTimeline": Published(frozenset({"trace"}), calls=({},)),
    # tests/transport/test_compare.py calls it: it needs two traces.
    "compareTraces": Published(frozenset({"trace", "with"}), needs=("trace", "with"), calls=()),
    # tests/transport/test_faults.py calls them: they need a trace that was made.
    "armFault": Published(
        frozenset({"trace", "fault", "options", "match", "when", "disarm"}), changes=True, calls=()
    ),
    "drillPlan": Published(frozenset({"trace", "plan"}), changes=True, calls=()),
}

NAMES = list(TOOLS)

tools = pytest.mark.parametrize("name", NAMES)
revisions = pytest.mark.parametrize("revision", KNOWN, ids=lambda revision: revision.name)


def describe(name: str, revision: Revision = LEGACY[-1]) -> dict[str, Any]:
    return Scene().tools[name].describe(revision)


def free_texts(name: str) -> tuple[str, ...]:
    """Return the arguments of a tool that take any text."""
    arguments = describe(name)["inputSchema"]["properties"].items()
    return tuple(
        each for each, schema in arguments if schema.get("type") == "string" and "enum" not in schema
    )


def schema_of_result(name: str) -> Any:
    return describe(name)["outputSchema"]


def test_the_tools_are_listed_in_order() -> None:
    """The documented eleven, then ours; 2025-11-25 server/tools: clients cache the list, so its order is
    stable."""
    unlisted = [name for name in Scene().tools if name not in TOOLS]
    assert not unlisted, f"write an entry of TOOLS in {__file__} for {', '.join(unlisted)}"
    assert list(Scene().tools) == NAMES, "TOOLS has the order of the catalogue"
    assert [tool.name for tool in Scene().tools.values()] == NAMES


@tools
@revisions
def test_a_tool_takes_the_documented_arguments(name: str, revision: Revision) -> None:
    """The tool's specified arguments; an unknown one is refused. 2026-07-28 server/tools, Stateful Tools:
    the need for a handle is expressed in the schema."""
    schema = describe(name, revision)["inputSchema"]
    tool = TOOLS[name]
    assert schema["properties"].keys() == tool.takes
    handle = ("session",) if revision.stateless and tool.needs_handle_where_stateless else ()
    assert tuple(schema.get("required", ())) == (*tool.needs, *handle)
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
    """2025-11-25 schema, ToolAnnotations: what is not said has its default, and what only reads is neither
    destructive nor idempotent."""
    tool = TOOLS[name]
    hints = {"destructiveHint": False} if tool.changes else {"readOnlyHint": True}
    if not tool.reaches_out:
        hints["openWorldHint"] = False
    assert describe(name)["annotations"] == hints


@tools
def test_a_title_is_said_once(name: str) -> None:
    """2025-06-18 schema, BaseMetadata: title; before, only the annotations had one."""
    title = Scene().tools[name].title
    old = describe(name, LEGACY[1])
    assert (old["annotations"]["title"], "title" in old) == (title, False)
    assert describe(name)["title"] == title


@tools
def test_a_description_tells_what_comes_back_and_when_to_call(name: str) -> None:
    """Our choice: a model chooses by it, so that it says more than what the tool is."""
    description = Scene().tools[name].description
    assert "return" in description.lower(), "say what it returns"
    assert "Call it " in description
    assert description.endswith(".")


@tools
def test_no_diagnostic_tool_mirrors_an_argument_to_a_header(name: str) -> None:
    """2026-07-28 server/tools, x-mcp-header: SHOULD NOT be used for secrets, and a handle is one."""
    tool = Scene().tools[name]
    assert tool.headers == {}
    assert "x-mcp-header" not in str(tool.describe(KNOWN[-1]))


HEADERS = [
    ("Authorization", f"Bearer {TOKEN}"),
    ("Origin", "https://odd.example"),
    ("X-User-Id", "1"),
    ("X-Odd", "\x9b"),
]

CALLS = [(name, arguments) for name, tool in TOOLS.items() for arguments in tool.calls]


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
    jsonschema.Draft202012Validator(schema_of_result(name)).validate(sent(answer))


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
    jsonschema.Draft202012Validator(schema_of_result(name)).validate(sent(answer))


@tools
def test_a_schema_is_strict_enough_to_refuse_something_else(name: str) -> None:
    """A schema that takes anything would make the test above worthless."""
    assert not jsonschema.Draft202012Validator(schema_of_result(name)).is_valid({})


# What every client reads.

FIRST_TOOLS = 14
"""The tools that the list began with, which may be long; each later one has its share."""
FIRST_BYTES, LATER_BYTES = 14_000, 950
LONGEST_BYTES = 1_400
"""Of one later tool, where others leave it room."""


def listed(revision: Revision) -> list[dict[str, Any]]:
    return [tool.describe(revision) for tool in Scene().tools.values()]


def length(value: object) -> int:
    return len(encode(value))


@revisions
def test_the_list_is_short_enough_for_a_model_to_have_it_at_hand(revision: Revision) -> None:
    """Our choice: clients give all of it to the model with every turn."""
    entries = listed(revision)
    later = entries[FIRST_TOOLS:]
    assert length({"tools": entries}) <= FIRST_BYTES + LATER_BYTES * len(later)
    assert [entry["name"] for entry in later if length(entry) > LONGEST_BYTES] == []


@revisions
@pytest.mark.parametrize("binary", ["true", "false"])
def test_schemas_keep_to_what_every_client_reads(revision: Revision, binary: str) -> None:
    """The rules and their sources are in `schema_rules`."""
    for tool in Scene({"enable_binary": binary}).tools.values():
        entry = tool.describe(revision)
        assert schema_rules.faults_in(entry["inputSchema"], of_arguments=True) == [], tool.name
        if "outputSchema" in entry:
            assert schema_rules.faults_in(entry["outputSchema"]) == [], tool.name


OPTIONAL = [
    (name, argument, tool.calls[0])
    for name, tool in TOOLS.items()
    for argument in sorted(tool.takes - set(tool.needs))
    if tool.calls
]


@revisions
@pytest.mark.parametrize(("name", "argument", "enough"), OPTIONAL)
def test_null_is_an_absent_argument(name: str, argument: str, enough: Any, revision: Revision) -> None:
    """Our choice: clients fill in every argument of a schema, with null for what nobody gave."""
    scene = Scene(revision=revision.name)
    scene.call("echo", {"message": "before"})
    left_out, null = scene.call(name, enough), scene.call(name, {**enough, argument: None})
    assert null.is_error == left_out.is_error


@pytest.mark.parametrize(("name", "required"), [("echo", "message"), ("clientProbe", "feature")])
def test_null_is_no_value_for_an_argument_that_is_required(name: str, required: str) -> None:
    """As above: it is missing, and the refusal says which."""
    with pytest.raises(ArgumentError, match=f"missing required field `{required}`"):
        Scene().call(name, {required: None})
