"""The fixtures of the core scenarios, with the texts that their documentation asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mcp_echo.offer import Offer
from mcp_echo.offer.prompts import Argument, Messages, Prompt, text, user_message
from mcp_echo.offer.resources import Resource, Template, json_content
from mcp_echo.protocol.modern import is_answer, is_declared
from mcp_echo.tools.base import Answer, ArgumentError, AskError, Call, NoArguments, Question, Tool

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
"""One pixel."""
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA=="
"""One sample of silence."""

_STEP = 0.05
"""Seconds between the notifications of one tool."""

IMAGE = {"type": "image", "data": PNG, "mimeType": "image/png"}
AUDIO = {"type": "audio", "data": WAV, "mimeType": "audio/wav"}


def embedded(uri: str, mime_type: str, words: str) -> dict[str, Any]:
    """Return an embedded resource."""
    return {"type": "resource", "resource": {"uri": uri, "mimeType": mime_type, "text": words}}


EMBEDDED = embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")
MIXED = embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')


def says(words: str | None, *content: dict[str, Any], is_error: bool = False) -> Callable[..., Answer]:
    """Return a tool that always answers the same."""

    def run(_call: Call, _arguments: msgspec.Struct) -> Answer:
        return Answer(words, None, content, is_error)

    return run


def elicitation(message: str, properties: dict[str, Any], required: list[str] | None = None) -> Question:
    """Return a question to the user in form mode."""
    schema = {"type": "object", "properties": properties}
    if required is not None:
        schema["required"] = required
    return Question("elicitation/create", {"message": message, "requestedSchema": schema})


def sampling(words: str) -> Question:
    """Return a question to the client's model."""
    message = {"role": "user", "content": text(words)}
    return Question("sampling/createMessage", {"messages": [message], "maxTokens": 100})


ROOTS = Question("roots/list", {})
ASK_NAME = elicitation("What is your name?", {"name": {"type": "string"}}, ["name"])


def shown(value: Any) -> str:
    """Return a value as JSON."""
    return msgspec.json.encode(value).decode()


async def ask(call: Call, key: str, question: Question) -> Any:
    """Return the client's answer to one question.

    Raises:
        AskError: It could not be asked, or answered with an error.
    """
    return (await ask_all(call, {key: question}))[key]


async def ask_all(call: Call, questions: dict[str, Question]) -> dict[str, Any]:
    """Return the client's answers to several questions.

    Raises:
        AskError: One could not be asked, or was answered with an error.
    """
    answers = await call.outlet.ask(questions)
    for answer in answers.values():
        if isinstance(answer, AskError):
            raise answer
    for key, question in questions.items():
        if not is_answer(question.method, answers[key]):
            raise AskError(f"The client's answer to {question.method} lacks what its schema requires")
    return answers


# Notifications.


async def _with_logging(call: Call, _: NoArguments) -> Answer:
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        call.log("info", words)
        await call.outlet.sleep(_STEP)
    return Answer("Tool with logging executed successfully", None)


async def _with_progress(call: Call, _: NoArguments) -> Answer:
    for done in (0, 50, 100):
        call.progress(done, 100)
        await call.outlet.sleep(_STEP)
    return Answer("Tool with progress executed successfully", None)


def _logging_tool(call: Call, _: NoArguments) -> Answer:
    call.log("info", "A log message, since this request asks for some")
    return Answer("Logged what this request asks for", None)


def _change_tools(call: Call, _: NoArguments) -> Answer:
    call.facts.changes.list_changed("tools")
    return Answer("Announced a change of the tools", None)


def _change_prompts(call: Call, _: NoArguments) -> Answer:
    call.facts.changes.list_changed("prompts")
    return Answer("Announced a change of the prompts", None)


async def _reconnection(call: Call, _: NoArguments) -> Answer:
    call.outlet.hang_up()
    await call.outlet.sleep(2 * _STEP)
    return Answer("Reconnection test completed", None)


# Questions.


class _Prompted(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    prompt: Annotated[str, Meta(description="What to ask the model.")]


class _Messaged(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    message: Annotated[str, Meta(description="What to ask the user.")]


async def _sampling(call: Call, arguments: _Prompted) -> Answer:
    answer = await ask(call, "sampling", sampling(arguments.prompt))
    return Answer(f"LLM response: {_words(answer.get('content'))}", None)


def _words(content: Any) -> str:
    return str(content.get("text")) if isinstance(content, dict) else shown(content)


async def _elicitation(call: Call, arguments: _Messaged) -> Answer:
    question = elicitation(
        arguments.message,
        {
            "username": {"type": "string", "description": "User's response"},
            "email": {"type": "string", "description": "User's email address"},
        },
        ["username", "email"],
    )
    answer = await ask(call, "elicitation", question)
    return Answer(f"User response: action={answer['action']}, content={shown(answer.get('content'))}", None)


_DEFAULTS = elicitation(
    "Please review and update the form fields with defaults",
    {
        "name": {"type": "string", "description": "User name", "default": "John Doe"},
        "age": {"type": "integer", "description": "User age", "default": 30},
        "score": {"type": "number", "description": "User score", "default": 95.5},
        "status": {
            "type": "string",
            "description": "User status",
            "enum": ["active", "inactive", "pending"],
            "default": "active",
        },
        "verified": {"type": "boolean", "description": "Verification status", "default": True},
    },
    [],
)


def _titled(prefix: str, word: str) -> list[dict[str, str]]:
    return [
        {"const": f"{prefix}{number}", "title": f"{ordinal} {word}"}
        for number, ordinal in enumerate(("First", "Second", "Third"), 1)
    ]


_OPTIONS = ["option1", "option2", "option3"]
_ENUMS = elicitation(
    "Please select options from the enum fields",
    {
        "untitledSingle": {"type": "string", "enum": _OPTIONS},
        "titledSingle": {"type": "string", "oneOf": _titled("value", "Option")},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _OPTIONS}},
        "titledMulti": {"type": "array", "items": {"anyOf": _titled("value", "Choice")}},
    },
    [],
)


def completes(question: Question) -> Callable[[Call, NoArguments], Awaitable[Answer]]:
    """Return a tool that asks the user and reports the answer."""

    async def run(call: Call, _: NoArguments) -> Answer:
        answer = await ask(call, "form", question)
        content = shown(answer.get("content"))
        return Answer(f"Elicitation completed: action={answer['action']}, content={content}", None)

    return run


async def _missing_capability(call: Call, _: NoArguments) -> Answer:
    answer = await ask(call, "sampling", sampling("Say hello"))
    return Answer(f"LLM response: {_words(answer.get('content'))}", None)


# Input required: the questions of the modern era, which work in the legacy one too.


def _name(answer: Any) -> str:
    content = answer.get("content")
    return str(content.get("name")) if isinstance(content, dict) else "whoever you are"


async def _ask_elicitation(call: Call, _: NoArguments) -> Answer:
    return Answer(f"Hello, {_name(await ask(call, 'user_name', ASK_NAME))}!", None)


async def _ask_sampling(call: Call, _: NoArguments) -> Answer:
    answer = await ask(call, "capital_question", sampling("What is the capital of France?"))
    return Answer(f"The model says: {_words(answer.get('content'))}", None)


async def _ask_roots(call: Call, _: NoArguments) -> Answer:
    answer = await ask(call, "client_roots", ROOTS)
    return Answer(f"The client's roots: {shown(answer['roots'])}", None)


_CONFIRM = elicitation("Do you confirm?", {"ok": {"type": "boolean"}}, ["ok"])


async def _ask_with_state(call: Call, _: NoArguments) -> Answer:
    answer = await ask(call, "confirm", _CONFIRM)
    state = "state-ok" if call.outlet.since is not None or not call.revision.stateless else "state-missing"
    return Answer(f"Confirmed with {shown(answer.get('content'))}: {state}", None)


async def _ask_several(call: Call, _: NoArguments) -> Answer:
    questions = {
        "user_name": ASK_NAME,
        "greeting": sampling("Suggest a greeting."),
        "client_roots": ROOTS,
    }
    answers = await ask_all(call, questions)
    return Answer(f"All answered: {', '.join(answers)}", None)


async def _ask_twice(call: Call, _: NoArguments) -> Answer:
    first = await ask(
        call, "step1", elicitation("Step 1: your name?", {"name": {"type": "string"}}, ["name"])
    )
    second = await ask(
        call, "step2", elicitation("Step 2: your color?", {"color": {"type": "string"}}, ["color"])
    )
    return Answer(f"Both steps done: {shown(first.get('content'))}, {shown(second.get('content'))}", None)


async def _ask_what_is_declared(call: Call, _: NoArguments) -> Answer:
    possible = {"user_name": ASK_NAME, "greeting": sampling("Suggest a greeting."), "client_roots": ROOTS}
    declared = call.client.capabilities
    questions = {
        key: question
        for key, question in possible.items()
        if is_declared(declared, question.method, question.params)
    }
    answers = await ask_all(call, questions)
    return Answer(f"Answered: {', '.join(answers) or 'nothing was asked'}", None)


# Schemas.

_SCHEMA_2020_12 = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


class _Address(msgspec.Struct, frozen=True):
    street: str | msgspec.UnsetType = msgspec.UNSET
    city: str | msgspec.UnsetType = msgspec.UNSET


class _Contact(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    name: str | msgspec.UnsetType = msgspec.UNSET
    address: _Address | msgspec.UnsetType = msgspec.UNSET
    contactMethod: str | msgspec.UnsetType = msgspec.UNSET
    phone: str | msgspec.UnsetType = msgspec.UNSET
    email: str | msgspec.UnsetType = msgspec.UNSET


def _contact(_call: Call, arguments: _Contact) -> Answer:
    """Check what the schema says beyond types: ``contactMethod``'s values, and which detail it needs."""
    unset = msgspec.UNSET
    if arguments.contactMethod not in (unset, "phone", "email"):
        raise ArgumentError(
            "json_schema_2020_12_tool", ValueError("contactMethod is neither phone nor email")
        )
    needed = "phone" if arguments.contactMethod == "phone" else "email"
    if getattr(arguments, needed) is unset:
        raise ArgumentError(
            "json_schema_2020_12_tool", ValueError(f"Object missing required field `{needed}`")
        )
    return Answer(f"Valid: {shown(arguments)}", None)


class _Region(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    region: Annotated[
        str,
        Meta(description="Mirrored to Mcp-Param-Region.", extra_json_schema={"x-mcp-header": "Region"}),
    ]


def _header_param(_call: Call, arguments: _Region) -> Answer:
    return Answer(f"Region: {arguments.region}", None)


def fixture(
    name: str, description: str, run: Any, arguments: type[Any] = NoArguments, schema: Any = None
) -> Tool[Any]:
    """Return a fixture tool."""
    return Tool(name, name, description, arguments, None, run, input_schema=schema)


_TOOLS = (
    fixture("test_simple_text", "Answers with text.", says("This is a simple text response for testing.")),
    fixture("test_image_content", "Answers with an image.", says(None, IMAGE)),
    fixture("test_audio_content", "Answers with audio.", says(None, AUDIO)),
    fixture("test_embedded_resource", "Answers with a resource.", says(None, EMBEDDED)),
    fixture(
        "test_multiple_content_types",
        "Answers with text, an image and a resource.",
        says("Multiple content types test:", IMAGE, MIXED),
    ),
    fixture("test_tool_with_logging", "Sends three log messages.", _with_logging),
    fixture(
        "test_error_handling",
        "Always fails.",
        says("This tool intentionally returns an error for testing", is_error=True),
    ),
    fixture("test_tool_with_progress", "Sends three progress notifications.", _with_progress),
    fixture("test_sampling", "Asks the client's model.", _sampling, _Prompted),
    fixture("test_elicitation", "Asks the user.", _elicitation, _Messaged),
    fixture("test_elicitation_sep1034_defaults", "Asks with default values.", completes(_DEFAULTS)),
    fixture("test_elicitation_sep1330_enums", "Asks with every kind of enum.", completes(_ENUMS)),
    fixture(
        "json_schema_2020_12_tool", "Has a schema of dialect 2020-12.", _contact, _Contact, _SCHEMA_2020_12
    ),
    fixture("test_reconnection", "Closes the connection before its result.", _reconnection),
    fixture("test_missing_capability", "Needs the capability sampling.", _missing_capability),
    fixture("test_streaming_elicitation", "Asks the user for a name.", _ask_elicitation),
    fixture("test_logging_tool", "Logs if the request asks for log messages.", _logging_tool),
    fixture("test_trigger_tool_change", "Announces a change of the tools.", _change_tools),
    fixture("test_trigger_prompt_change", "Announces a change of the prompts.", _change_prompts),
    fixture("test_header_param", "Has an argument mirrored to a header.", _header_param, _Region),
    fixture("test_input_required_result_elicitation", "Asks for a name.", _ask_elicitation),
    fixture("test_input_required_result_sampling", "Asks for a capital.", _ask_sampling),
    fixture("test_input_required_result_list_roots", "Asks for the roots.", _ask_roots),
    fixture("test_input_required_result_request_state", "Asks with state.", _ask_with_state),
    fixture("test_input_required_result_tampered_state", "Refuses changed state.", _ask_with_state),
    fixture("test_input_required_result_multiple_inputs", "Asks three things at once.", _ask_several),
    fixture("test_input_required_result_multi_round", "Asks twice.", _ask_twice),
    fixture("test_input_required_result_capabilities", "Asks what it may.", _ask_what_is_declared),
)

_RESOURCES = (
    Resource(
        "test://static-text",
        "static-text",
        "Static text",
        "A static text resource.",
        lambda _: {"text": "This is the content of the static text resource."},
        "text/plain",
    ),
    Resource(
        "test://static-binary",
        "static-binary",
        "Static binary",
        "A static image.",
        lambda _: {"blob": PNG},
        "image/png",
    ),
    Resource(
        "test://watched-resource",
        "watched-resource",
        "Watched resource",
        "A resource to subscribe to.",
        lambda _: {"text": "Watched resource content"},
        "text/plain",
    ),
)


def _template_data(_call: Call, variable: str) -> dict[str, Any]:
    return json_content({"id": variable, "templateTest": True, "data": f"Data for ID: {variable}"})


_TEMPLATES = (
    Template(
        "test://template/{id}/data", "template-data", "Template data", "Data for an id.", _template_data
    ),
)


def _with_arguments(_call: Call, given: dict[str, str]) -> Messages:
    words = f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"
    return [user_message(text(words))]


def _with_resource(_call: Call, given: dict[str, str]) -> Messages:
    resource = embedded(given["resourceUri"], "text/plain", "Embedded resource content for testing.")
    return [user_message(resource), user_message(text("Please process the embedded resource above."))]


async def _asking_prompt(call: Call, _: dict[str, str]) -> Messages:
    question = elicitation("What is the context?", {"context": {"type": "string"}}, ["context"])
    answer = await ask(call, "user_context", question)
    return [user_message(text(f"The context: {shown(answer.get('content'))}"))]


def _prompt(name: str, description: str, render: Any, *arguments: Argument) -> Prompt:
    return Prompt(name, name, description, arguments, render)


_SUGGESTED = ("testValue1", "testValue2")
_PROMPTS = (
    _prompt(
        "test_simple_prompt",
        "A prompt without arguments.",
        lambda *_: [user_message(text("This is a simple prompt for testing."))],
    ),
    _prompt(
        "test_prompt_with_arguments",
        "A prompt with two arguments.",
        _with_arguments,
        Argument("arg1", "First test argument.", required=True, suggestions=_SUGGESTED),
        Argument("arg2", "Second test argument.", required=True, suggestions=_SUGGESTED),
    ),
    _prompt(
        "test_prompt_with_embedded_resource",
        "A prompt with a resource in it.",
        _with_resource,
        Argument("resourceUri", "URI of the resource to embed.", required=True),
    ),
    _prompt(
        "test_prompt_with_image",
        "A prompt with an image in it.",
        lambda *_: [user_message(IMAGE), user_message(text("Please analyze the image above."))],
    ),
    _prompt("test_input_required_result_prompt", "A prompt that asks the user first.", _asking_prompt),
)


def add_tools(offer: Offer, tools: Iterable[Tool[Any]]) -> Offer:
    """Return ``offer`` with further tools behind its own."""
    return replace(offer, tools={**offer.tools, **{tool.name: tool for tool in tools}})


def add(offer: Offer) -> Offer:
    """Return ``offer`` with the core fixtures."""
    return replace(
        add_tools(offer, _TOOLS),
        resources={**offer.resources, **{resource.uri: resource for resource in _RESOURCES}},
        templates=(*offer.templates, *_TEMPLATES),
        prompts={**offer.prompts, **{prompt.name: prompt for prompt in _PROMPTS}},
    )
