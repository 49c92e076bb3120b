"""A trace that misbehaves, and a client of it."""

from __future__ import annotations

from typing import Any

from mcp_echo.watch.records import Record
from tests.transport.support import BOTH, Answer, Posted
from tests.transport.test_traces import JSON, TraceTestCase


class FaultTestCase(TraceTestCase):
    """A test with a trace of its own, whose address MCP is at."""

    wishes: dict[str, Any] = {}

    def setUp(self) -> None:
        super().setUp()
        self.made = self.make(**self.wishes)
        self.endpoint = f"/t/{self.made['trace']}/mcp"

    def arm(self, fault: str, options: dict[str, Any] | None = None, **members: Any) -> Any:
        """Arm an order; return it as it is told."""
        order = {"fault": fault, "options": options or {}, **members}
        answer = self.request("POST", self.path(self.made, "faults"), order, JSON)
        assert answer.status == 201, answer.body
        return answer.json

    def orders(self) -> list[Any]:
        """Return every order as it is told."""
        found: list[Any] = self.get(self.path(self.made, "faults"))["orders"]
        return found

    def session(self, revision: str = "2025-11-25") -> str:
        """Return the id of a new session."""
        return self.initialize(revision, clientInfo={"name": "tests", "version": "1"}, capabilities={})

    def echo(self, session: str, message_id: Any = 2, **headers: str) -> Answer:
        """Return the answer to a call of echo."""
        params = {"name": "echo", "arguments": {"message": "héllo"}}
        return self.rpc("tools/call", params, session, message_id, Accept=BOTH, **headers)

    def begin_call(self, session: str, tool: str = "echo", message_id: int = 2, **arguments: Any) -> Posted:
        """Return an answer that may come later."""
        arguments = arguments or {"message": "héllo"}
        params: dict[str, Any] = {"name": tool, "arguments": arguments, "_meta": {"progressToken": "t"}}
        message = {"jsonrpc": "2.0", "id": message_id, "method": "tools/call", "params": params}
        return Posted(self, message, {"Accept": BOTH, **JSON, "Mcp-Session-Id": session})

    def progress(self, session: str, message_id: int = 2) -> Posted:
        """Return the stream of a call that sends progress three times, 50 ms apart."""
        return self.begin_call(session, "clientProbe", message_id, feature="progress")

    def pass_time(self, seconds: float, step: float = 0.05) -> None:
        """Let time pass, and bring along what has been written."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.client.flush()

    def records(self) -> list[Record]:
        """Return every record of the trace."""
        assert self.service.insight is not None
        trace = self.service.insight.traces.find(self.made["trace"])
        return [] if trace is None else list(trace.records)

    def last_exchange(self) -> Any:
        """Return the newest record."""
        return self.exchanges(self.made)[-1]
