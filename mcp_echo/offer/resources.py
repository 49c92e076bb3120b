"""Resources: the server's and the session's state under ``echo://`` URIs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any

import msgspec

from mcp_echo.protocol.errors import ResourceNotFound, SessionNotFound
from mcp_echo.protocol.jsonrpc import encode
from mcp_echo.protocol.revisions import Revision
from mcp_echo.redaction import excerpt
from mcp_echo.sessions.session import Session
from mcp_echo.tools.base import Call, ServerContext
from mcp_echo.tools.handles import MESSAGES_URI, STATE_URI
from mcp_echo.tools.session import describe_session
from mcp_echo.tools.system import effective_settings, measure

SERVER_URI = "echo://server"
SESSION_URI = "echo://session"
JSON = "application/json"

Content = dict[str, Any]
"""The ``text`` or ``blob`` of a resource, without URI and type."""


def json_content(value: Any) -> Content:
    """Return ``value`` as a resource's text."""
    return {"text": encode(value).decode()}


def no_resource(uri: str) -> ResourceNotFound:
    """Return the error for a URI that leads nowhere."""
    return ResourceNotFound(f"Resource not found: {excerpt(uri)}", {"uri": uri})


@dataclass(frozen=True, slots=True)
class Resource:
    """One readable thing."""

    uri: str
    name: str
    title: str
    description: str
    read: Callable[[Call], Any]
    """Returns `Content`, or is an ``async def`` that does, where it takes its time."""
    mime_type: str = JSON

    @property
    def is_later(self) -> bool:
        """Whether it takes its time: `read` is an ``async def``, which begins once its request is kept."""
        return iscoroutinefunction(self.read)

    def describe(self, revision: Revision) -> dict[str, Any]:
        """Return the entry in ``resources/list``, with only what ``revision`` knows."""
        return {"uri": self.uri, **_described(self, revision)}


@dataclass(frozen=True, slots=True)
class Template:
    """Readable things whose URIs differ in one place, written ``{…}`` in ``uri`` (RFC 6570 level 1)."""

    uri: str
    name: str
    title: str
    description: str
    read: Callable[[Call, str], Any]
    mime_type: str = JSON
    exists: Callable[[ServerContext, str], bool] = lambda _context, _variable: True
    """Whether the variable leads to something; of handles, it is their owner's alone to know."""

    @property
    def is_later(self) -> bool:
        """Whether it takes its time; see `Resource.is_later`."""
        return iscoroutinefunction(self.read)

    def describe(self, revision: Revision) -> dict[str, Any]:
        """Return the entry in ``resources/templates/list``, with only what ``revision`` knows."""
        return {"uriTemplate": self.uri, **_described(self, revision)}

    def leads_to(self, context: ServerContext, uri: str) -> bool:
        """Return whether ``uri`` fits, and there may be something behind it."""
        variable = self.match(uri)
        return variable is not None and self.exists(context, variable)

    def match(self, uri: str) -> str | None:
        """Return what stands in the place of the variable in ``uri``, or None if it does not fit."""
        before, after = re.split(r"\{\w{1,64}\}", self.uri)
        found = re.fullmatch(f"{re.escape(before)}([^/?#]+){re.escape(after)}", uri)
        return found[1] if found else None


def _described(thing: Resource | Template, revision: Revision) -> dict[str, Any]:
    entry = {"name": thing.name}
    if revision.titles:
        entry["title"] = thing.title
    return {**entry, "description": thing.description, "mimeType": thing.mime_type}


def _server(call: Call) -> Content:
    return json_content(
        {"settings": effective_settings(call.context.effective), "health": measure(call.context)}
    )


def _own_session(call: Call) -> Content:
    if call.session is None:
        raise no_resource(SESSION_URI)
    return json_content(describe_session(call, call.session))


def _by_handle(call: Call, handle: str, uri: str) -> Session:
    try:
        return call.context.store.use(handle, call.principal, handle=True)
    except SessionNotFound:
        raise no_resource(uri.format(session=handle)) from None


def _state(call: Call, handle: str) -> Content:
    return json_content(describe_session(call, _by_handle(call, handle, STATE_URI)))


def _messages(call: Call, handle: str) -> Content:
    log = _by_handle(call, handle, MESSAGES_URI).log
    return json_content({"dropped": log.dropped, "messages": [msgspec.Raw(data) for data in log.messages]})


RESOURCES = {
    resource.uri: resource
    for resource in (
        Resource(
            SERVER_URI,
            "server",
            "Server",
            "The server's settings, where each came from, and its health. Read it to check the set-up.",
            _server,
        ),
        Resource(
            SESSION_URI,
            "session",
            "Your session",
            "What the server knows of your protocol session. Read it when the session may be lost; subscribe "
            "to hear of changes.",
            _own_session,
        ),
    )
}

TEMPLATES = (
    Template(
        STATE_URI,
        "echo-session",
        "Echo session",
        "The state behind a handle from createEchoSession. Read it to see what is kept; subscribe to hear of "
        "changes.",
        _state,
    ),
    Template(
        MESSAGES_URI,
        "echo-session-messages",
        "Messages of an echo session",
        "The message queue behind a handle, oldest first. Read it when notifications do not arrive; "
        "subscribe to hear of new messages.",
        _messages,
    ),
)
