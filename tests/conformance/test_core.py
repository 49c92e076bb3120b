"""The core fixtures, word for word as the suite documents them; the suite itself looks at shapes alone.

The duty is in https://github.com/modelcontextprotocol/conformance unless a test says otherwise.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

import jsonschema
import pytest

from mcp_echo.conformance import SETS, add
from mcp_echo.offer import diagnostic_offer
from mcp_echo.protocol.errors import InvalidParams
from mcp_echo.protocol.revisions import KNOWN
from mcp_echo.tools.base import ArgumentError, AskError
from tests.conformance.support import Fixtures
from tests.tools.support import Scene, finished

MODERN = "2026-07-28"
NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
ALICE = {"action": "accept", "content": {"name": "Alice"}}
PARIS = {"role": "assistant", "content": {"type": "text", "text": "Paris"}, "model": "m"}
ROOTS = {"roots": [{"uri": "file:///a"}]}

TOOLS = """test_simple_text test_image_content test_audio_content test_embedded_resource
test_multiple_content_types test_tool_with_logging test_error_handling test_tool_with_progress test_sampling
test_elicitation test_elicitation_sep1034_defaults test_elicitation_sep1330_enums json_schema_2020_12_tool
test_reconnection test_missing_capability test_streaming_elicitation test_logging_tool
test_trigger_tool_change test_trigger_prompt_change test_header_param test_input_required_result_elicitation
test_input_required_result_sampling test_input_required_result_list_roots
test_input_required_result_request_state test_input_required_result_tampered_state
test_input_required_result_multiple_inputs test_input_required_result_multi_round
test_input_required_result_capabilities""".split()


def sampling(words: str) -> tuple[str, dict[str, Any]]:
    message = {"role": "user", "content": {"type": "text", "text": words}}
    return ("sampling/createMessage", {"messages": [message], "maxTokens": 100})


def form(message: str, schema: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return ("elicitation/create", {"message": message, "requestedSchema": schema})


def one_of(name: str, kind: str, required: bool = True) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": kind}}, "required": [name] if required else []}


# The offer.


def test_the_fixtures_stand_behind_the_diagnostic_offer() -> None:
    """Our choice: they add and change nothing else, so that the judged server is the shipped one."""
    scene = Scene()
    plain = diagnostic_offer(scene.facts.settings)
    offer = add(plain, ["core"])
    assert list(offer.tools) == [*plain.tools, *TOOLS]
    assert list(offer.resources) == [
        *plain.resources,
        "test://static-text",
        "test://static-binary",
        "test://watched-resource",
    ]
    assert [template.uri for template in offer.templates[len(plain.templates) :]] == [
        "test://template/{id}/data"
    ]
    assert list(offer.prompts) == [
        *plain.prompts,
        "test_simple_prompt",
        "test_prompt_with_arguments",
        "test_prompt_with_embedded_resource",
        "test_prompt_with_image",
        "test_input_required_result_prompt",
    ]
    for kind in ("tools", "resources", "prompts"):
        for name, thing in getattr(plain, kind).items():
            assert getattr(offer, kind)[name] is thing
    assert (offer.extensions, offer.methods, offer.templates[: len(plain.templates)]) == (
        plain.extensions,
        plain.methods,
        plain.templates,
    )


def test_every_thing_is_listed_with_a_name_and_a_description() -> None:
    """The suite insists on both for tools and prompts."""
    offer = Fixtures("all").offer
    for things in (offer.tools.values(), offer.resources.values(), offer.templates, offer.prompts.values()):
        for thing in things:
            described = thing.describe(KNOWN[-1])
            assert described["name"] == thing.name
            assert described["description"]


def test_sets_are_added_by_name_in_any_order_and_once() -> None:
    """MCP_ECHO_CONFORMANCE: our setting."""
    plain = diagnostic_offer(Scene().facts.settings)
    everything = list(add(plain, ["all"]).tools)
    assert everything == list(add(plain, SETS).tools)
    assert everything == list(add(plain, [*reversed(SETS), "core", "all"]).tools)
    assert add(plain, []) is plain
    assert not set(TOOLS) & set(add(plain, ["skills"]).tools)


def test_an_unknown_set_is_refused_by_name() -> None:
    """Our choice: a typing error must not start a server that offers less than meant."""
    plain = diagnostic_offer(Scene().facts.settings)
    with pytest.raises(ValueError, match=r"^cor is no set of fixtures; sets are core, .*, all$"):
        add(plain, ["tasks", "cor"])


# Content.


def resource(uri: str, mime_type: str, words: str) -> dict[str, Any]:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": mime_type, "text": words}}


EMBEDDED = resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")
MIXED = resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')


@pytest.mark.parametrize(
    ("tool", "words", "kinds", "resources", "is_error"),
    [
        ("test_simple_text", "This is a simple text response for testing.", [], [], False),
        ("test_image_content", None, ["image"], [], False),
        ("test_audio_content", None, ["audio"], [], False),
        ("test_embedded_resource", None, ["resource"], [EMBEDDED], False),
        (
            "test_multiple_content_types",
            "Multiple content types test:",
            ["image", "resource"],
            [MIXED],
            False,
        ),
        ("test_error_handling", "This tool intentionally returns an error for testing", [], [], True),
    ],
)
def test_content_is_as_documented(
    tool: str, words: str | None, kinds: list[str], resources: list[Any], is_error: bool
) -> None:
    """Tools that answer the same each time."""
    answer = Fixtures().call(tool)
    assert (answer.text, answer.is_error, answer.structured) == (words, is_error, None)
    assert [block["type"] for block in answer.content] == kinds
    assert [block for block in answer.content if block["type"] == "resource"] == resources


def test_the_image_is_a_png_that_can_be_decoded() -> None:
    """RFC 2083: the signature, chunks with true checksums, pixels that inflate."""
    (block,) = Fixtures().call("test_image_content").content
    assert (set(block), block["mimeType"]) == ({"type", "data", "mimeType"}, "image/png")
    data = base64.b64decode(block["data"], validate=True)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, chunks = 8, {}
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length) == (zlib.crc32(kind + body),)
        chunks[kind] = body
        place += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height = struct.unpack_from(">II", chunks[b"IHDR"])
    assert (width, height) == (1, 1)
    assert zlib.decompress(chunks[b"IDAT"])


def test_the_sound_is_a_wave_file() -> None:
    """The suite insists on this very media type."""
    (block,) = Fixtures().call("test_audio_content").content
    data = base64.b64decode(block["data"], validate=True)
    assert (set(block), block["mimeType"]) == ({"type", "data", "mimeType"}, "audio/wav")
    assert (data[:4], data[8:12]) == (b"RIFF", b"WAVE")


# Notifications.


def test_the_log_messages_are_as_documented() -> None:
    """Three of level info, 50 ms apart."""
    scene = Fixtures()
    scene.log_level = "debug"
    assert not scene.call("test_tool_with_logging").is_error
    assert [(method, params["level"], params["data"]) for method, params in scene.outlet.notified] == [
        ("notifications/message", "info", words)
        for words in ("Tool execution started", "Tool processing data", "Tool execution completed")
    ]
    assert scene.outlet.times == [0, 0.05, 0.1]


@pytest.mark.parametrize("token", ["progress-test-1", 0])
def test_the_progress_is_as_documented(token: int | str) -> None:
    """0, 50 and 100 of 100 with the request's token, 50 ms apart."""
    scene = Fixtures()
    scene.progress_token = token
    assert not scene.call("test_tool_with_progress").is_error
    assert scene.outlet.notified == [
        ("notifications/progress", {"progressToken": token, "progress": done, "total": 100})
        for done in (0, 50, 100)
    ]
    assert scene.outlet.times == [0, 0.05, 0.1]


@pytest.mark.parametrize("tool", ["test_tool_with_logging", "test_tool_with_progress", "test_logging_tool"])
def test_nothing_is_sent_that_was_not_asked_for(tool: str) -> None:
    """2026-07-28 server/utilities/logging: MUST NOT; basic/utilities/progress: only with a token."""
    scene = Fixtures(revision=MODERN)
    assert not scene.call(tool).is_error
    assert scene.outlet.notified == []


def test_the_logging_tool_logs_when_asked_to() -> None:
    """The counterpart of the test above."""
    scene = Fixtures(revision=MODERN)
    scene.log_level = "info"
    scene.call("test_logging_tool")
    assert [method for method, _ in scene.outlet.notified] == ["notifications/message"]


@pytest.mark.parametrize(
    ("tool", "which"), [("test_trigger_tool_change", "tools"), ("test_trigger_prompt_change", "prompts")]
)
def test_a_change_is_announced_to_who_asked_for_it(tool: str, which: str) -> None:
    """2026-07-28 basic/patterns/subscriptions: and to nobody else."""
    scene = Fixtures(revision=MODERN)
    told: list[str] = []

    class Ear:
        list_changed = resource_updated = staticmethod(told.append)

    for each in ("tools", "prompts", "resources"):
        scene.facts.changes.watch_list(each, Ear())
    scene.call(tool)
    assert told == [which]


def test_the_connection_is_closed_before_the_result() -> None:
    """SEP-1699: the client comes back for it."""
    scene = Fixtures()
    assert scene.text("test_reconnection") == "Reconnection test completed"
    assert scene.outlet.hung_up == [0]
    assert scene.elapsed > 0


# Questions.


@pytest.mark.parametrize(
    ("tool", "arguments", "answers", "asked", "words"),
    [
        (
            "test_sampling",
            {"prompt": "Say hi"},
            {"sampling": PARIS},
            {"sampling": sampling("Say hi")},
            "LLM response: Paris",
        ),
        (
            "test_elicitation",
            {"message": "Who?"},
            {"elicitation": {"action": "accept", "content": {"username": "u", "email": "e"}}},
            {
                "elicitation": form(
                    "Who?",
                    {
                        "type": "object",
                        "properties": {
                            "username": {"type": "string", "description": "User's response"},
                            "email": {"type": "string", "description": "User's email address"},
                        },
                        "required": ["username", "email"],
                    },
                )
            },
            'User response: action=accept, content={"username":"u","email":"e"}',
        ),
        (
            "test_missing_capability",
            {},
            {"sampling": PARIS},
            {"sampling": sampling("Say hello")},
            "LLM response: Paris",
        ),
        (
            "test_streaming_elicitation",
            {},
            {"user_name": ALICE},
            {"user_name": form("What is your name?", NAME)},
            "Hello, Alice!",
        ),
        (
            "test_input_required_result_elicitation",
            {},
            {"user_name": ALICE},
            {"user_name": form("What is your name?", NAME)},
            "Hello, Alice!",
        ),
        (
            "test_input_required_result_sampling",
            {},
            {"capital_question": PARIS},
            {"capital_question": sampling("What is the capital of France?")},
            "The model says: Paris",
        ),
        (
            "test_input_required_result_list_roots",
            {},
            {"client_roots": ROOTS},
            {"client_roots": ("roots/list", {})},
            'The client\'s roots: [{"uri":"file:///a"}]',
        ),
        (
            "test_input_required_result_multiple_inputs",
            {},
            {"user_name": ALICE, "greeting": PARIS, "client_roots": ROOTS},
            {
                "user_name": form("What is your name?", NAME),
                "greeting": sampling("Suggest a greeting."),
                "client_roots": ("roots/list", {}),
            },
            "All answered: user_name, greeting, client_roots",
        ),
        (
            "test_input_required_result_multi_round",
            {},
            {"step1": ALICE, "step2": {"action": "accept", "content": {"color": "red"}}},
            {
                "step1": form("Step 1: your name?", NAME),
                "step2": form("Step 2: your color?", one_of("color", "string")),
            },
            'Both steps done: {"name":"Alice"}, {"color":"red"}',
        ),
    ],
)
def test_a_question_is_as_documented(
    tool: str, arguments: Any, answers: dict[str, Any], asked: dict[str, Any], words: str
) -> None:
    """The keys, the methods and the params of the questions, and the text that the answers lead to."""
    scene = Fixtures(answers=answers)
    assert scene.text(tool, arguments) == words
    assert scene.questions == asked


def test_three_questions_come_at_once_and_two_one_after_the_other() -> None:
    """SEP-2322: several inputs in one round, and several rounds."""
    scene = Fixtures(answers={"user_name": ALICE, "greeting": PARIS, "client_roots": ROOTS})
    scene.call("test_input_required_result_multiple_inputs")
    assert [len(questions) for questions in scene.outlet.asked] == [3]
    scene = Fixtures(answers={"step1": ALICE, "step2": ALICE})
    scene.call("test_input_required_result_multi_round")
    assert [list(questions) for questions in scene.outlet.asked] == [["step1"], ["step2"]]


@pytest.mark.parametrize(
    ("tool", "properties"),
    [
        (
            "test_elicitation_sep1034_defaults",
            {
                "name": ("string", "John Doe"),
                "age": ("integer", 30),
                "score": ("number", 95.5),
                "status": ("string", "active"),
                "verified": ("boolean", True),
            },
        ),
    ],
)
def test_the_defaults_are_as_documented(tool: str, properties: dict[str, Any]) -> None:
    """SEP-1034: each kind of field with its default."""
    scene = Fixtures(answers={"form": {"action": "accept", "content": {"name": "x"}}})
    assert scene.text(tool) == 'Elicitation completed: action=accept, content={"name":"x"}'
    schema = scene.questions["form"].params["requestedSchema"]
    found = {name: (each["type"], each["default"]) for name, each in schema["properties"].items()}
    assert found == properties
    assert schema["properties"]["status"]["enum"] == ["active", "inactive", "pending"]
    assert schema["required"] == []


def test_the_enums_are_as_documented() -> None:
    """SEP-1330: every way to write a choice."""
    scene = Fixtures(answers={"form": {"action": "decline"}})
    assert scene.text("test_elicitation_sep1330_enums") == (
        "Elicitation completed: action=decline, content=null"
    )
    ordinals = ("First", "Second", "Third")
    options = ["option1", "option2", "option3"]
    assert scene.questions["form"].params["requestedSchema"]["properties"] == {
        "untitledSingle": {"type": "string", "enum": options},
        "titledSingle": {
            "type": "string",
            "oneOf": [
                {"const": f"value{n}", "title": f"{word} Option"} for n, word in enumerate(ordinals, 1)
            ],
        },
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
        "titledMulti": {
            "type": "array",
            "items": {
                "anyOf": [
                    {"const": f"value{n}", "title": f"{word} Choice"} for n, word in enumerate(ordinals, 1)
                ]
            },
        },
    }


@pytest.mark.parametrize("tool", ["request_state", "tampered_state"])
@pytest.mark.parametrize(
    ("revision", "since", "state"),
    [(MODERN, 1.7e9, "state-ok"), (MODERN, None, "state-missing"), ("2025-11-25", None, "state-ok")],
)
def test_the_state_is_reported_as_documented(
    tool: str, revision: str, since: float | None, state: str
) -> None:
    """SEP-2322: state-ok if requestState came back; in the legacy era the session holds it."""
    scene = Fixtures(answers={"confirm": {"action": "accept", "content": {"ok": True}}}, revision=revision)
    scene.outlet.since = since
    assert scene.text(f"test_input_required_result_{tool}") == f'Confirmed with {{"ok":true}}: {state}'
    assert scene.questions == {"confirm": form("Do you confirm?", one_of("ok", "boolean"))}


@pytest.mark.parametrize(
    ("capabilities", "asked"),
    [
        ({}, []),
        ({"sampling": {}}, ["greeting"]),
        ({"roots": {}, "elicitation": {}}, ["user_name", "client_roots"]),
        ({"elicitation": {"url": {}}}, []),
    ],
)
def test_only_what_is_declared_is_asked(capabilities: dict[str, Any], asked: list[str]) -> None:
    """2026-07-28 basic/patterns/mrtr: only kinds that the client declares."""
    answers = {"user_name": ALICE, "greeting": PARIS, "client_roots": ROOTS}
    scene = Fixtures(answers=answers, capabilities=capabilities, revision=MODERN)
    words = scene.text("test_input_required_result_capabilities")
    assert words == f"Answered: {', '.join(asked) or 'nothing was asked'}"
    assert list(scene.questions) == asked


def test_a_question_that_fails_ends_the_tool() -> None:
    """Our choice: the server tells the client why, as for every tool that asks."""
    scene = Fixtures(answers={"sampling": AskError("The client answered with an error: {}")})
    with pytest.raises(AskError, match="answered with an error"):
        scene.call("test_sampling", {"prompt": "p"})


@pytest.mark.parametrize(("tool", "argument"), [("test_sampling", "prompt"), ("test_elicitation", "message")])
def test_the_argument_is_required(tool: str, argument: str) -> None:
    """The documented input schemas."""
    assert Fixtures().tools[tool].describe(KNOWN[-1])["inputSchema"]["required"] == [argument]
    with pytest.raises(ArgumentError, match=argument):
        Fixtures().call(tool)


# Schemas.

SCHEMA_2020_12 = json.loads(
    """{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","$defs":{"address":{
    "$anchor":"addressDef","type":"object","properties":{"street":{"type":"string"},"city":{"type":"string"}}
    }},"properties":{"name":{"type":"string"},"address":{"$ref":"#/$defs/address"},"contactMethod":{
    "type":"string","enum":["phone","email"]},"phone":{"type":"string"},"email":{"type":"string"}},
    "allOf":[{"anyOf":[{"required":["phone"]},{"required":["email"]}]}],
    "if":{"properties":{"contactMethod":{"const":"phone"}},"required":["contactMethod"]},
    "then":{"required":["phone"]},"else":{"required":["email"]},"additionalProperties":false}"""
)


@pytest.mark.parametrize("revision", KNOWN, ids=lambda revision: revision.name)
def test_the_schema_of_the_dialect_is_published_untouched(revision: Any) -> None:
    """SEP-1613 and SEP-2106: keywords of JSON Schema 2020-12 reach the client as they are."""
    assert Fixtures().tools["json_schema_2020_12_tool"].describe(revision)["inputSchema"] == SCHEMA_2020_12


@pytest.mark.parametrize(
    "arguments",
    [
        {"email": "e"},
        {"phone": "p"},
        {"phone": "p", "email": "e"},
        {"contactMethod": "phone", "phone": "p"},
        {"contactMethod": "phone", "email": "e"},
        {"contactMethod": "email", "email": "e"},
        {"contactMethod": "email", "phone": "p"},
        {"contactMethod": "post", "email": "e"},
        {"contactMethod": 7, "email": "e"},
        {},
        {"name": "n"},
        {"name": 7, "email": "e"},
        {"email": "e", "extra": 1},
        {"email": "e", "address": {"street": "s", "city": "c", "zip": "z"}},
        {"email": "e", "address": {"street": 7}},
        [],
    ],
)
def test_the_tool_takes_what_its_schema_takes(arguments: Any) -> None:
    """2025-11-25 server/tools, Security Considerations: servers MUST validate all tool inputs."""
    fits = jsonschema.Draft202012Validator(SCHEMA_2020_12).is_valid(arguments)
    try:
        answer = Fixtures().text("json_schema_2020_12_tool", arguments)
    except ArgumentError:
        assert not fits
    else:
        assert fits
        assert answer.startswith("Valid: {")


def test_the_header_tool_mirrors_one_argument() -> None:
    """2026-07-28 server/tools, x-mcp-header."""
    tool = Fixtures().tools["test_header_param"]
    schema = tool.describe(KNOWN[-1])["inputSchema"]
    assert (schema["properties"]["region"]["type"], schema["required"]) == ("string", ["region"])
    assert (schema["properties"]["region"]["x-mcp-header"], tool.headers) == (
        "Region",
        {("region",): "Region"},
    )


# Resources and prompts.


@pytest.mark.parametrize(
    ("uri", "mime_type", "content"),
    [
        ("test://static-text", "text/plain", {"text": "This is the content of the static text resource."}),
        ("test://watched-resource", "text/plain", {"text": "Watched resource content"}),
    ],
)
def test_a_resource_is_as_documented(uri: str, mime_type: str, content: Any) -> None:
    """Its URI, its type and its text."""
    scene = Fixtures()
    found = scene.offer.resources[uri]
    assert (found.uri, found.mime_type, found.read(scene.request())) == (uri, mime_type, content)


def test_the_binary_resource_is_the_image() -> None:
    """An image/png as a blob."""
    scene = Fixtures()
    found = scene.offer.resources["test://static-binary"]
    (image,) = scene.call("test_image_content").content
    assert (found.mime_type, found.read(scene.request())) == ("image/png", {"blob": image["data"]})


def test_the_template_is_as_documented() -> None:
    """Read as test://template/123/data."""
    scene = Fixtures()
    template = scene.offer.templates[-1]
    variable = template.match("test://template/123/data")
    assert (variable, template.mime_type) == ("123", "application/json")
    assert template.read(scene.request(), "123") == {
        "text": '{"id":"123","templateTest":true,"data":"Data for ID: 123"}'
    }


def message(content: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": content}


def text(words: str) -> dict[str, Any]:
    return message({"type": "text", "text": words})


@pytest.mark.parametrize(
    ("name", "given", "messages"),
    [
        ("test_simple_prompt", {}, [text("This is a simple prompt for testing.")]),
        (
            "test_prompt_with_arguments",
            {"arg1": "testValue1", "arg2": "it's"},
            [text("Prompt with arguments: arg1='testValue1', arg2='it's'")],
        ),
        (
            "test_prompt_with_embedded_resource",
            {"resourceUri": "test://example-resource"},
            [
                message(
                    resource(
                        "test://example-resource",
                        "text/plain",
                        "Embedded resource content for testing.",
                    )
                ),
                text("Please process the embedded resource above."),
            ],
        ),
    ],
)
def test_a_prompt_is_as_documented(name: str, given: dict[str, str], messages: list[Any]) -> None:
    """The messages, with the arguments in them."""
    scene = Fixtures()
    prompt = scene.offer.prompts[name]
    prompt.check(given)
    assert prompt.render(scene.request(), given) == messages


def test_the_prompt_with_an_image_is_as_documented() -> None:
    """The image, then the text."""
    scene = Fixtures()
    image, words = scene.offer.prompts["test_prompt_with_image"].render(scene.request(), {})
    assert image == message(scene.call("test_image_content").content[0])
    assert words == text("Please analyze the image above.")


def test_a_prompt_may_ask_first() -> None:
    """SEP-2322: prompts/get may be answered with a question, too."""
    scene = Fixtures(answers={"user_context": {"action": "accept", "content": {"context": "c"}}})
    prompt: Any = scene.offer.prompts["test_input_required_result_prompt"]
    assert finished(prompt.render(scene.request(), {})) == [text('The context: {"context":"c"}')]
    assert scene.questions == {"user_context": form("What is the context?", one_of("context", "string"))}


@pytest.mark.parametrize(
    ("name", "required"),
    [
        ("test_simple_prompt", []),
        ("test_prompt_with_arguments", ["arg1", "arg2"]),
        ("test_prompt_with_embedded_resource", ["resourceUri"]),
        ("test_prompt_with_image", []),
    ],
)
def test_a_prompt_needs_the_documented_arguments(name: str, required: list[str]) -> None:
    """Required ones are refused when they are missing."""
    prompt = Fixtures().offer.prompts[name]
    assert [argument.name for argument in prompt.arguments if argument.required] == required
    assert len(prompt.arguments) == len(required)
    if required:
        with pytest.raises(InvalidParams, match=required[-1]):
            prompt.check(dict.fromkeys(required[:-1], "x"))


def test_the_arguments_can_be_completed() -> None:
    """The suite completes arg1 from "test"."""
    arg1, arg2 = Fixtures().offer.prompts["test_prompt_with_arguments"].arguments
    assert arg1.complete("test") == arg2.complete("test") == ["testValue1", "testValue2"]


def test_the_sound_is_a_wave_file_whose_sizes_are_true() -> None:
    """The RIFF format: the sizes in the header are those of what follows."""
    (block,) = Fixtures().call("test_audio_content").content
    assert block["mimeType"] == "audio/wav"
    data = base64.b64decode(block["data"], validate=True)
    riff, size, wave = struct.unpack_from("<4sI4s", data)
    assert (riff, size, wave) == (b"RIFF", len(data) - 8, b"WAVE")
    name, length = struct.unpack_from("<4sI", data, 36)
    assert (name, length) == (b"data", len(data) - 44)
