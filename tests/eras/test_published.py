"""Every answer of every tool against the schema that the same server has listed for it."""

from __future__ import annotations

from typing import Any

import jsonschema

from tests.tools.test_catalogue import TOOLS
from tests.transport.support import BOTH, Answer, ModernTestCase, Posted

LEGACY = ("2025-06-18", "2025-11-25")
"""The revisions with sessions that have schemas of results."""


class PublishedTests(ModernTestCase):
    def listed(self, answer: Answer) -> dict[str, Any]:
        tools = {tool["name"]: tool for tool in answer.json["result"]["tools"]}
        assert tools.keys() == TOOLS.keys()
        return tools

    def check(self, tool: dict[str, Any], arguments: dict[str, Any], posted: Posted) -> None:
        """Hold a call and its answer against what is published."""
        # One of them waits for a client that answers.
        for _ in range(4):
            if not posted.over:
                self.pass_time(3)
        answer = posted.messages[-1] if posted.messages else posted.json
        result = answer["result"]
        assert not result["isError"], result
        jsonschema.Draft202012Validator(tool["inputSchema"]).validate(arguments)
        jsonschema.Draft202012Validator(tool["outputSchema"]).validate(result["structuredContent"])
        assert None not in result["structuredContent"].values()

    def test_a_legacy_answer_fits_what_was_listed(self) -> None:
        """server/tools of both, Output Schema: servers MUST provide results that conform to it."""
        for revision in LEGACY:
            session = self.initialize(revision)
            tools = self.listed(self.rpc("tools/list", session=session))
            for name, tool in TOOLS.items():
                for arguments in tool.calls:
                    params = {"name": name, "arguments": arguments}
                    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
                    posted = Posted(self, body, {"Accept": BOTH, "Mcp-Session-Id": session})
                    self.check(tools[name], arguments, posted)

    def test_a_modern_answer_fits_what_was_listed(self) -> None:
        """2026-07-28 server/tools, Output Schema, as above, with and without state behind a handle."""
        state = {"session": self.handle()}
        self.tool("echo", {"message": "before", **state})
        tools = self.listed(self.modern("tools/list"))
        for name, tool in TOOLS.items():
            for arguments in tool.calls:
                if not tool.needs_handle_where_stateless:
                    posted = self.post("tools/call", {"name": name, "arguments": arguments})
                    self.check(tools[name], arguments, posted)
                if "session" in tool.takes:
                    posted = self.post("tools/call", {"name": name, "arguments": {**arguments, **state}})
                    self.check(tools[name], {**arguments, **state}, posted)
        posted = self.post("tools/call", {"name": "closeEchoSession", "arguments": state})
        self.check(tools["closeEchoSession"], state, posted)
