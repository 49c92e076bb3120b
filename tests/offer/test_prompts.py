"""The prompts, and the completion of their arguments."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_echo.offer.prompts import PROMPTS, Argument, Prompt, text, user_message
from mcp_echo.protocol.errors import InvalidParams
from mcp_echo.protocol.revisions import KNOWN, Revision
from tests.tools.support import Scene

prompts = pytest.mark.parametrize("prompt", PROMPTS.values(), ids=lambda prompt: prompt.name)
revisions = pytest.mark.parametrize("revision", KNOWN, ids=lambda revision: revision.name)

NEEDY = Prompt(
    "needy",
    "Needy",
    "Needs two arguments.",
    (Argument("one", "1.", required=True), Argument("two", "2.", required=True), Argument("three", "3.")),
    lambda _, given: [user_message(text(str(given)))],
)


def words(prompt: Prompt, given: dict[str, str]) -> str:
    """Return the text of a prompt of one message."""
    messages: Any = prompt.render(Scene().request(), given)
    (message,) = messages
    assert (message["role"], message["content"]["type"], set(message)) == (
        "user",
        "text",
        {"role", "content"},
    )
    return str(message["content"]["text"])


def test_the_prompts_are_listed_in_order() -> None:
    """Our choice: a list that clients keep is the same each time."""
    assert list(PROMPTS) == ["diagnose-auth", "diagnose-session"]


@prompts
@revisions
def test_an_entry_has_only_what_its_revision_knows(prompt: Prompt, revision: Revision) -> None:
    """Changelog of 2025-06-18: title; schema, Prompt and PromptArgument."""
    title = {"title": prompt.title} if revision.name >= "2025-06-18" else {}
    assert prompt.describe(revision) == {
        "name": prompt.name,
        **title,
        "description": prompt.description,
        "arguments": [
            {"name": "symptom", "description": "What goes wrong, in your own words.", "required": False}
        ],
    }


@prompts
def test_a_prompt_leads_through_tools_that_are_there(prompt: Prompt) -> None:
    """Our choice: an instruction that names a tool must not outlive it."""
    scene = Scene()
    instructions = words(prompt, {})
    named = [name for name in scene.tools if name in instructions]
    assert len(named) >= 3
    for line in instructions.splitlines():
        if ". Call " in line:
            assert line.partition(". Call ")[2].split()[0].strip(":,") in scene.tools


@prompts
def test_what_was_reported_follows_the_instructions(prompt: Prompt) -> None:
    """Our choice: the instructions are the same with a symptom and without."""
    plain = words(prompt, {})
    assert words(prompt, {"symptom": "it's {broken}"}) == f"{plain}\n\nWhat was reported: it's {{broken}}"
    assert words(prompt, {"symptom": ""}) == plain


# Arguments.


@pytest.mark.parametrize("given", [{"one": "a", "two": "b"}, {"one": "", "two": "", "three": ""}])
def test_the_arguments_a_prompt_takes_are_let_pass(given: dict[str, str]) -> None:
    """2025-11-25 server/prompts: required arguments are needed, others are not."""
    NEEDY.check(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Prompt needy needs the argument one, two"),
        ({"two": "b"}, "Prompt needy needs the argument one"),
        ({"one": "a", "two": "b", "four": "d", "five": "e"}, "Prompt needy takes no argument five, four"),
        ({"One": "a", "two": "b"}, "Prompt needy takes no argument One"),
    ],
)
def test_missing_and_unknown_arguments_are_named(given: dict[str, str], message: str) -> None:
    """2025-11-25 server/prompts, Error Handling: -32602 for missing arguments; our choice: for unknown ones
    too, since they are typing errors."""
    with pytest.raises(InvalidParams) as refusal:
        NEEDY.check(given)
    assert refusal.value.message == message


@prompts
def test_a_diagnosis_needs_nothing(prompt: Prompt) -> None:
    """Our choice: a person who cannot name the symptom is helped all the same."""
    prompt.check({})
    prompt.check({"symptom": "x"})
    with pytest.raises(InvalidParams):
        prompt.check({"symtpom": "x"})


# Completion.

COLOURS = Argument("colour", "A colour.", suggestions=("Red", "dark red", "green"))


@pytest.mark.parametrize(
    ("begun", "offered"),
    [
        ("", ["Red", "dark red", "green"]),
        ("red", ["Red", "dark red"]),
        ("RED", ["Red", "dark red"]),
        ("re", ["Red", "dark red", "green"]),
        ("dark ", ["dark red"]),
        ("blue", []),
        (".", []),
        (" red", ["dark red"]),
    ],
)
def test_completion_offers_what_contains_what_was_begun(begun: str, offered: list[str]) -> None:
    """2025-11-25 server/utilities/completion: suggestions by what was typed; our choice: anywhere in them
    and in any case, since symptoms are sentences."""
    assert COLOURS.complete(begun) == offered


def test_an_argument_without_suggestions_has_none() -> None:
    """2025-11-25 server/utilities/completion: values may be empty."""
    assert Argument("free", "Anything.").complete("") == []


@prompts
def test_completion_finds_every_symptom(prompt: Prompt) -> None:
    """2025-11-25 schema, CompleteResult: at most 100 values."""
    (symptom,) = prompt.arguments
    assert 0 < len(symptom.suggestions) <= 100
    assert symptom.complete("") == list(symptom.suggestions)
    for each in symptom.suggestions:
        assert each in symptom.complete(each[3:].upper())
