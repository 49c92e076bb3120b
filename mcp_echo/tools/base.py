"""What a tool is, what it is told, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from mcp_echo.config import Effective, Settings
from mcp_echo.protocol.errors import McpError
from mcp_echo.protocol.headers import Headers
from mcp_echo.protocol.revisions import Revision
from mcp_echo.state.session import Session
from mcp_echo.state.store import Clock, SessionStore
from mcp_echo.tools.machine import Machine


@dataclass(frozen=True, slots=True)
class Facts:
    """What every tool may know of the server."""

    effective: Effective
    """The settings, and where each came from."""
    store: SessionStore
    machine: Machine
    now: Clock
    """Seconds of a clock that never jumps."""
    wall: Clock
    """Seconds since the epoch."""
    started: float
    """`now` when the server started."""

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.effective.settings

    @property
    def uptime(self) -> float:
        """Seconds since the server started."""
        return self.now() - self.started


class Call:
    """One request, as a tool sees it.

    Args:
        facts: What is known of the server.
        session: The session it belongs to.
        revision: The protocol revision it is in.
        headers: Gives the HTTP headers; called at most once, since most tools never look.
        http_method: The HTTP method that carried it.
        peer: The address it came from, for people.
        arrived: Seconds of the steady clock when the request was complete.
        notify: Sends a notification ahead of the result: method and params.
    """

    __slots__ = (
        "_headers",
        "_read_headers",
        "arrived",
        "facts",
        "http_method",
        "notify",
        "peer",
        "revision",
        "session",
    )

    def __init__(
        self,
        facts: Facts,
        session: Session,
        revision: Revision,
        headers: Callable[[], Headers],
        http_method: str,
        peer: str,
        arrived: float,
        notify: Callable[[str, dict[str, Any]], None],
    ) -> None:
        self.facts = facts
        self.session = session
        self.revision = revision
        self._read_headers = headers
        self._headers: Headers | None = None
        self.http_method = http_method
        self.peer = peer
        self.arrived = arrived
        self.notify = notify

    @property
    def headers(self) -> Headers:
        """The HTTP headers of the request that carried the call."""
        if self._headers is None:
            self._headers = self._read_headers()
        return self._headers


class NoArguments(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The arguments of a tool that takes none."""


class ToolError(Exception):
    """A tool could not do its work; the message goes to the caller as an ``isError`` result."""


class Answer:
    """What a tool answers.

    Args:
        text: The answer for people.
        structured: The same facts for programs, as the tool's result type; None only with ``is_error``.
        content: Further content blocks after the text, as MCP has them on the wire.
        is_error: True when the tool could not do its work.
    """

    __slots__ = ("content", "is_error", "structured", "text")

    def __init__(
        self,
        text: str,
        structured: msgspec.Struct | None,
        content: tuple[dict[str, Any], ...] = (),
        is_error: bool = False,
    ) -> None:
        self.text = text
        self.structured = structured
        self.content = content
        self.is_error = is_error


Arguments = TypeVar("Arguments", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Tool(Generic[Arguments]):
    """One tool of the catalogue.

    ``arguments`` is the one definition of what it takes: the input schema, the validation and the error
    texts all come from it. ``result`` gives the output schema in the same way.
    """

    name: str
    title: str
    description: str
    arguments: type[Arguments]
    result: type[msgspec.Struct]
    run: Callable[[Call, Arguments], Answer]
    idempotent: bool = True
    read_only: bool = True
    _decode: Callable[[bytes | msgspec.Raw], Arguments] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_decode", msgspec.json.Decoder(self.arguments).decode)

    def call(self, call: Call, arguments: msgspec.Raw) -> Answer:
        """Validate ``arguments``, undecoded JSON, and run the tool.

        Raises:
            ArgumentError: The arguments do not fit the tool's definition.
        """
        try:
            decoded = self._decode(arguments)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ArgumentError(self.name, error) from error
        try:
            return self.run(call, decoded)
        except ToolError as error:
            return Answer(str(error), None, is_error=True)

    def describe(self, revision: Revision) -> dict[str, Any]:
        """Return the tool's entry in ``tools/list``, with only what ``revision`` knows."""
        entry: dict[str, Any] = {"name": self.name, "description": self.description}
        if revision.titles:
            entry["title"] = self.title
        entry["inputSchema"] = schema(self.arguments)
        if revision.structured_content:
            entry["outputSchema"] = schema(self.result)
        if revision.annotations:
            entry["annotations"] = {
                "title": self.title,
                "readOnlyHint": self.read_only,
                "destructiveHint": False,
                "idempotentHint": self.idempotent,
                "openWorldHint": False,
            }
        return entry


class ArgumentError(Exception):
    """A tool's arguments do not fit its definition.

    Args:
        tool: The tool's name.
        error: What the validator said.
    """

    def __init__(self, tool: str, error: Exception) -> None:
        reason = "the JSON is nested too deeply" if isinstance(error, RecursionError) else str(error)
        super().__init__(f"Invalid arguments for tool {tool}: {reason}")


def schema(of: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the JSON Schema of a struct: itself at the root, nested structs under ``$defs``."""
    (_, components) = msgspec.json.schema_components([of], ref_template="#/$defs/{name}")
    definitions: dict[str, Any] = dict(components)
    root: dict[str, Any] = {
        key: value for key, value in definitions.pop(of.__name__).items() if key != "title"
    }
    root.pop("description", None)
    if definitions:
        root["$defs"] = definitions
    return root


class UnknownToolError(McpError):
    """No tool has this name."""

    code = -32602
    status = 200

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown tool: {name}")


Catalogue = Mapping[str, Tool[Any]]
