"""Prompts: ready instructions that lead a model through a diagnosis with this server's tools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mcp_echo.protocol.errors import InvalidParams
from mcp_echo.protocol.revisions import Revision


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a prompt; always optional text."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt; ``text`` takes the arguments by name, ``symptom`` being one line or nothing."""

    name: str
    title: str
    description: str
    text: str
    arguments: tuple[Argument, ...]

    def describe(self, revision: Revision) -> dict[str, Any]:
        """Return the entry in ``prompts/list``, with only what ``revision`` knows."""
        entry: dict[str, Any] = {"name": self.name}
        if revision.titles:
            entry["title"] = self.title
        arguments = [
            {"name": argument.name, "description": argument.description, "required": False}
            for argument in self.arguments
        ]
        return {**entry, "description": self.description, "arguments": arguments}

    def get(self, given: dict[str, str]) -> dict[str, Any]:
        """Return the result of ``prompts/get``.

        Raises:
            InvalidParams: An argument is given that the prompt does not take.
        """
        names = {argument.name for argument in self.arguments}
        if unknown := sorted(set(given) - names):
            raise InvalidParams(f"Prompt {self.name} takes no argument {', '.join(unknown)}")
        reported = given.get("symptom")
        text = f"{self.text}\n\nWhat was reported: {reported}" if reported else self.text
        message = {"role": "user", "content": {"type": "text", "text": text}}
        return {"description": self.description, "messages": [message]}


_SYMPTOM = Argument("symptom", "What goes wrong, in your own words.")

PROMPTS = {
    prompt.name: prompt
    for prompt in (
        Prompt(
            "diagnose-auth",
            "Diagnose authentication",
            "Find out which credentials reach the server and what is wrong with them.",
            "Find out why authentication fails between this client and the MCP server.\n"
            "1. Call authContext: which identity headers arrived, which are missing?\n"
            "2. Call printHeader with category auth: was Authorization passed through unchanged?\n"
            "3. Call bearerDecode: is the token a JWT, has it expired, do iss, aud and scope fit?\n"
            "4. Call corsAnalysis if the client runs in a browser.\n"
            "Then name the hop that most likely lost or changed the credentials, and the fix.",
            (_SYMPTOM,),
        ),
        Prompt(
            "diagnose-session",
            "Diagnose the session",
            "Find out whether session state survives from request to request.",
            "Find out whether this client keeps its MCP session.\n"
            "1. Call sessionInfo and note the session id, its age and the request count.\n"
            "2. Call echo with a message you will recognise, then replayLastEcho.\n"
            "3. Call sessionInfo again: is the id the same, did the counts grow by what you did?\n"
            "4. If not, call printHeader with category mcp: did Mcp-Session-Id arrive at all?\n"
            "Then say whether the client, a gateway or an expiry lost the session, and how you know.",
            (_SYMPTOM,),
        ),
    )
}


def get(name: str, given: dict[str, str]) -> dict[str, Any]:
    """Return the result of ``prompts/get``.

    Raises:
        InvalidParams: No such prompt, or it does not take an argument.
    """
    prompt = PROMPTS.get(name)
    if prompt is None:
        raise InvalidParams(f"Unknown prompt: {name}")
    return prompt.get(given)
