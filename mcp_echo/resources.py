"""Resources: the server's and the session's state under ``echo://`` URIs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcp_echo.protocol.errors import ResourceNotFound
from mcp_echo.protocol.jsonrpc import encode
from mcp_echo.protocol.revisions import Revision
from mcp_echo.tools.base import Call
from mcp_echo.tools.session import describe_session
from mcp_echo.tools.system import effective_settings, measure

SESSION_URI = "echo://session"

MAX_SUBSCRIPTIONS = 64
"""Subscriptions per session; there are far fewer resources."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One readable thing; ``read`` gives its content, JSON-encodable."""

    uri: str
    name: str
    title: str
    description: str
    read: Callable[[Call], Any]

    def describe(self, revision: Revision) -> dict[str, Any]:
        """Return the entry in ``resources/list``, with only what ``revision`` knows."""
        entry = {"uri": self.uri, "name": self.name}
        if revision.titles:
            entry["title"] = self.title
        return {**entry, "description": self.description, "mimeType": "application/json"}


def _read_server(call: Call) -> Any:
    return {"settings": effective_settings(call.facts.effective), "health": measure(call.facts)}


RESOURCES = {
    resource.uri: resource
    for resource in (
        Resource(
            "echo://server",
            "server",
            "Server",
            "The server's settings, where each came from, and its health.",
            _read_server,
        ),
        Resource(
            SESSION_URI,
            "session",
            "Your session",
            "What the server knows of your session. Subscribe to hear of changes.",
            describe_session,
        ),
    )
}


def read(uri: str, call: Call) -> dict[str, Any]:
    """Return the result of ``resources/read``.

    Raises:
        ResourceNotFound: There is no such resource.
    """
    resource = RESOURCES.get(uri)
    if resource is None:
        raise ResourceNotFound(f"Resource not found: {uri}", {"uri": uri})
    text = encode(resource.read(call)).decode()
    return {"contents": [{"uri": uri, "mimeType": "application/json", "text": text}]}
