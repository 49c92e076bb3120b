"""Everything that the server offers can be worked on twice; what cannot is caught by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from mcp_echo.offer import offer
from mcp_echo.tools.base import Answer, Call, NoArguments, Tool
from mcp_echo.tools.catalogue import catalogue
from tests.tools.test_catalogue import TOOLS
from tests.transport.engine_support import OnAnEngine
from tests.transport.support import BOTH, ModernTestCase, Posted, modern_message, routing_headers
from tests.twice import CalledOut

PARAMS: dict[str, dict[str, Any]] = {
    "completion/complete": {
        "ref": {"type": "ref/prompt", "name": "none"},
        "argument": {"name": "a", "value": "b"},
    },
    "initialize": {"protocolVersion": "2025-11-25"},
    "logging/setLevel": {"level": "debug"},
    "resources/subscribe": {"uri": "echo://session"},
    "resources/unsubscribe": {"uri": "echo://session"},
    "subscriptions/listen": {"notifications": {"toolsListChanged": True}},
}
"""Method → params that it works on; it needs none if it is not here."""


class EverythingTests(OnAnEngine, ModernTestCase):
    """Our rule: a tool, a resource, a prompt, a method may be worked on any number of times."""

    settings = {"MCP_ECHO_CONFORMANCE": "all", "MCP_ECHO_CALL_RATE": "0"}

    def setUp(self) -> None:
        super().setUp()
        self.session = self.initialize("2025-11-25")
        self.offer = self.service.server.legacy._methods.offer

    def ask(self, method: str, params: dict[str, Any]) -> None:
        """Ask in both eras; the store looks at what is done: see `tests.twice`."""
        legacy = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        modern = modern_message(method, params)
        in_session = {"Accept": BOTH, "Mcp-Session-Id": self.session}
        for message, headers in ((legacy, in_session), (modern, routing_headers(modern))):
            answer = Posted(self, message, headers)
            self.pass_time(5.0, 0.5)
            assert answer.status in (200, 400, 404), (method, params, answer.status, answer.body)
            assert b"-32603" not in answer.body, (method, params, answer.body)
            self.leave()

    def test_every_tool(self) -> None:
        """With the calls that the catalogue's own test makes."""
        handle = self.handle()
        for name in self.offer.tools:
            published = TOOLS.get(name)
            for arguments in ({},) if published is None else published.calls:
                self.ask("tools/call", {"name": name, "arguments": arguments})
                if published is not None and "session" in published.takes and name != "closeEchoSession":
                    self.ask("tools/call", {"name": name, "arguments": {**arguments, "session": handle}})
        self.ask("tools/call", {"name": "closeEchoSession", "arguments": {"session": handle}})

    def test_every_resource(self) -> None:
        """Those behind a handle, too."""
        handle = self.handle()
        templates = [template.uri.partition("{")[0] + handle for template in self.offer.templates]
        for uri in (*self.offer.resources, *templates, f"{templates[0]}/messages"):
            self.ask("resources/read", {"uri": uri})

    def test_every_prompt(self) -> None:
        """With a value for each argument."""
        for prompt in self.offer.prompts.values():
            arguments = {argument.name: "x" for argument in prompt.arguments}
            self.ask("prompts/get", {"name": prompt.name, "arguments": arguments})

    def test_every_method(self) -> None:
        """Of both eras."""
        server = self.service.server
        for method in sorted(server.legacy.methods | server._modern.methods):
            if method not in ("tools/call", "resources/read", "prompts/get"):
                self.ask(method, PARAMS.get(method, {}))

    def test_a_get_and_a_delete(self) -> None:
        """A stream that is opened, one that a client comes back to, and the end."""
        self.listen(self.session)
        self.leave()
        self.listen(self.session, **{"Last-Event-ID": "g1-0"})
        assert self.request("DELETE", headers={"Mcp-Session-Id": self.session}).status == 204


_called: list[int] = []


def _counting(_call: Call, _arguments: NoArguments) -> Answer:
    _called.append(1)
    return Answer(f"called {len(_called)} times", None)


def _announcing(call: Call, _arguments: NoArguments) -> Answer:
    call.context.subscriptions.list_changed("tools")
    return Answer("announced", None)


def _asking(call: Call, _arguments: NoArguments) -> Answer:
    call.effects.then(_called.append, 1)
    return Answer("asked", None)


class CaughtTests(OnAnEngine, ModernTestCase):
    """The tests above must be able to fail."""

    def offered(self, run: Callable[[Call, NoArguments], Any]) -> int | None:
        """Return the status of a call of a tool that is added to the catalogue."""
        _called.clear()
        tool = Tool("rogue", "Rogue", "A tool for this test.", NoArguments, None, run)
        with patch.object(offer, "catalogue", lambda settings: {**catalogue(settings), "rogue": tool}):
            self.serve({})
        return self.modern("tools/call", {"name": "rogue", "arguments": {}}).status

    def test_a_tool_that_counts_its_calls_is_caught(self) -> None:
        """Its second answer is another one."""
        assert self.offered(_counting) == 500
        (error,) = self.flushLoggedErrors(AssertionError)
        assert "called 1 times" in error.getErrorMessage()
        assert "called 2 times" in error.getErrorMessage()

    def test_a_tool_that_calls_out_is_caught_by_its_name(self) -> None:
        """The message says who called what, and what to do."""
        assert self.offered(_announcing) == 500
        (error,) = self.flushLoggedErrors(CalledOut)
        message = error.getErrorMessage()
        assert message.startswith(
            "_announcing calls SharedSubscriptions.list_changed while it may be worked on"
        ), message

    def test_what_a_tool_asks_for_happens_once(self) -> None:
        """Our promise: an effect happens when the request is kept, once."""
        assert self.offered(_asking) == 200
        assert _called == [1]
