"""Faults of the tools that are listed, and of what they return. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mcp_echo.faults import events
from mcp_echo.faults.answer import Answer, Piece, Sending, World
from mcp_echo.faults.asked import Asked, read_object
from mcp_echo.faults.fault import Fault

_UNKNOWN_TOOL = -32602
"""https://modelcontextprotocol.io/specification/2025-11-25/server/tools#error-handling"""


class MessageFault(Fault):
    """A fault that changes the JSON-RPC message which answers a request, in a body or on a stream."""

    def hits(self, asked: Asked) -> bool:
        """Return whether it is one request."""
        return super().hits(asked) and asked.is_request

    def changed(self, asked: Asked, message: dict[str, Any]) -> dict[str, Any] | None:
        """Return what the message becomes; None where it is not one that this fault changes."""
        raise NotImplementedError

    def _changed(self, asked: Asked, data: bytes) -> bytes | None:
        message = read_object(data)
        if message is None or "method" in message or message.get("id") != asked.id:
            return None
        changed = self.changed(asked, message)
        return None if changed is None else msgspec.json.encode(changed)

    def changes(self, asked: Asked, answer: Answer) -> bool:
        """Return whether it changes the answer; on a stream the answer is yet to come."""
        return answer.body is None or self._changed(asked, answer.body) is not None

    def whole(self, asked: Asked, answer: Answer, world: World) -> Sending:
        """Return the other answer."""
        changed = None if answer.body is None else self._changed(asked, answer.body)
        return Sending(answer if changed is None else answer.with_body(changed))

    def event(self, asked: Asked, block: bytes) -> Sequence[Piece]:
        """Return the event with the other answer."""
        changed = self._changed(asked, events.data_of(block) or b"")
        return (Piece(block if changed is None else events.with_data(block, changed)),)


class Tools(MessageFault):
    """Lists other tools than there are."""

    summary = (
        "Leaves a tool out of tools/list and takes no calls of it, gives it another name, or asks for more."
    )

    as_: Literal["hide", "rename", "schema-change"] = "hide"
    tool: Annotated[str, Meta(min_length=1, max_length=100)] = "echo"

    @property
    def new_name(self) -> str:
        """What it is called where it has another name."""
        return f"{self.tool}Renamed"

    def hits(self, asked: Asked) -> bool:
        """Return whether it lists tools, or calls one that is there no more by this name."""
        is_call = self.as_ != "schema-change" and self.tool in asked.tools
        return super().hits(asked) and ("tools/list" in asked.methods or is_call)

    def request(self, asked: Asked, body: bytes) -> bytes | None:
        """Return the call of a tool by its true name, where it is called by its new one."""
        if self.as_ != "rename" or not asked.is_request or self.new_name not in asked.tools:
            return None
        message = read_object(body) or {}
        return msgspec.json.encode({**message, "params": {**message["params"], "name": self.tool}})

    def changed(self, asked: Asked, message: dict[str, Any]) -> dict[str, Any] | None:
        """Return the other list, or that there is no such tool."""
        if asked.tools:
            error = {"code": _UNKNOWN_TOOL, "message": f"Unknown tool: {self.tool}"}
            return {"jsonrpc": "2.0", "id": message["id"], "error": error}
        result = message.get("result")
        listed = result.get("tools") if isinstance(result, dict) else None
        if not isinstance(listed, list) or not any(self._is_it(each) for each in listed):
            return None
        others = [new for each in listed if (new := self._listed(each)) is not None]
        return {**message, "result": {**(result or {}), "tools": others}}

    def _is_it(self, tool: Any) -> bool:
        return isinstance(tool, dict) and tool.get("name") == self.tool

    def _listed(self, tool: Any) -> Any:
        if not self._is_it(tool):
            return tool
        if self.as_ == "hide":
            return None
        if self.as_ == "rename":
            return {**tool, "name": self.new_name}
        schema = tool.get("inputSchema") or {}
        more = {**schema.get("properties", {}), "addedByFault": {"type": "string"}}
        required = [*schema.get("required", []), "addedByFault"]
        return {**tool, "inputSchema": {**schema, "properties": more, "required": required}}


class ToolError(MessageFault):
    """Says that a tool has failed."""

    summary = "Answers the call of a tool with isError, as if it had failed."

    message: Annotated[str, Meta(max_length=1000)] = "The tool has failed, as a fault was ordered."

    def hits(self, asked: Asked) -> bool:
        """Return whether it calls a tool."""
        return super().hits(asked) and bool(asked.tools)

    def changed(self, asked: Asked, message: dict[str, Any]) -> dict[str, Any] | None:
        """Return the result of a tool that has failed."""
        result = message.get("result")
        if not isinstance(result, dict):
            return None
        kept = {name: value for name, value in result.items() if name in ("resultType", "_meta")}
        failed = {**kept, "content": [{"type": "text", "text": self.message}], "isError": True}
        return {**message, "result": failed}
