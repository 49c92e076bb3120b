"""Prompts: ready instructions that lead a model through a diagnosis with this server's tools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any

from mcp_echo.protocol.errors import InvalidParams
from mcp_echo.protocol.revisions import Revision
from mcp_echo.tools.base import Call

Messages = list[dict[str, Any]]


def user_message(content: dict[str, Any]) -> dict[str, Any]:
    """Return a prompt message of the user's."""
    return {"role": "user", "content": content}


def text(words: str) -> dict[str, Any]:
    """Return a text content block."""
    return {"type": "text", "text": words}


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a prompt; ``suggestions`` are what completion offers."""

    name: str
    description: str
    required: bool = False
    suggestions: tuple[str, ...] = ()

    def complete(self, begun: str) -> list[str]:
        """Return the suggestions that contain what the user has begun to write."""
        # No text is shorter in lower case, and a long one is not written out for nothing.
        possible = (each for each in self.suggestions if len(begun) <= len(each.lower()))
        return [each for each in possible if begun.lower() in each.lower()]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt."""

    name: str
    title: str
    description: str
    arguments: tuple[Argument, ...]
    render: Callable[[Call, dict[str, str]], Any]
    """Returns `Messages`, or is an ``async def`` that does, where it takes its time."""

    @property
    def is_later(self) -> bool:
        """Whether it takes its time: `render` is an ``async def``, which begins once its request is kept."""
        return iscoroutinefunction(self.render)

    def describe(self, revision: Revision) -> dict[str, Any]:
        """Return the entry in ``prompts/list``, with only what ``revision`` knows."""
        entry: dict[str, Any] = {"name": self.name}
        if revision.titles:
            entry["title"] = self.title
        arguments = [
            {"name": argument.name, "description": argument.description, "required": argument.required}
            for argument in self.arguments
        ]
        return {**entry, "description": self.description, "arguments": arguments}

    def check(self, given: dict[str, str]) -> None:
        """Insist on the arguments it takes.

        Raises:
            InvalidParams: A required one is missing, or one is given that it does not take.
        """
        if unknown := sorted(set(given) - {argument.name for argument in self.arguments}):
            raise InvalidParams(f"Prompt {self.name} takes no argument {', '.join(unknown)}")
        needed = {argument.name for argument in self.arguments if argument.required}
        if missing := sorted(needed - set(given)):
            raise InvalidParams(f"Prompt {self.name} needs the argument {', '.join(missing)}")


def _diagnosis(
    name: str, title: str, description: str, instructions: str, symptoms: tuple[str, ...]
) -> Prompt:
    def render(_call: Call, given: dict[str, str]) -> Messages:
        reported = given.get("symptom")
        words = f"{instructions}\n\nWhat was reported: {reported}" if reported else instructions
        return [user_message(text(words))]

    symptom = Argument(
        "symptom",
        "What goes wrong, in your own words.",
        suggestions=symptoms,
    )
    return Prompt(name, title, description, (symptom,), render)


PROMPTS = {
    prompt.name: prompt
    for prompt in (
        _diagnosis(
            "diagnose-auth",
            "Diagnose authentication",
            "Find out which credentials reach the server and what is wrong with them. Use it when calls are "
            "refused with 401 or 403, or run as the wrong user.",
            "Find out why authentication fails between this client and the MCP server.\n"
            "1. Call authContext: which identity headers arrived, which are missing?\n"
            "2. Call printHeader with category auth: was Authorization passed through unchanged?\n"
            "3. Call bearerDecode: is the token a JWT, has it expired, do iss, aud and scope fit?\n"
            "4. Call corsAnalysis if the client runs in a browser.\n"
            "Then name the hop that most likely lost or changed the credentials, and the fix.",
            (
                "401 although a token was sent",
                "403 for one tool only",
                "the gateway drops the Authorization header",
                "the token has another audience than the server expects",
                "it works from curl but not from a browser",
            ),
        ),
        _diagnosis(
            "diagnose-session",
            "Diagnose the session",
            "Find out whether state survives from request to request. Use it when a session is lost, changes "
            "its id or gets no notifications.",
            "Find out whether this client keeps its state on the MCP server.\n"
            "1. If there is a protocol session, call sessionInfo and note the id, the age and the request "
            "count. Otherwise call createEchoSession and pass its handle as session from here on.\n"
            "2. Call echo with a message you will recognise, then replayLastEcho.\n"
            "3. Call sessionInfo again: is the id the same, did the counts grow by what you did?\n"
            "4. If not, call printHeader with category mcp: which MCP headers arrived at all?\n"
            "Then say whether the client, a gateway or an expiry lost the state, and how you know.",
            (
                "404 Session not found or expired",
                "the session id changes with every request",
                "notifications do not arrive",
                "the stream breaks off after a minute",
                "state is there on one replica only",
            ),
        ),
    )
}
