"""A trace that was made strict: below it all holds that holds with --strict, and beside it nothing does.

The same tests as those of --strict, with one lenient server, a strict trace and a plain one.
"""

from __future__ import annotations

from typing import Any

from tests.eras import test_post, test_strict
from tests.transport.support import ServerTestCase
from tests.transport.test_traces import JSON


class OfTrace(ServerTestCase):
    """Where a test asks a strict server it asks a strict trace, and for a lenient one a plain trace."""

    settings = {"MCP_ECHO_CLIENT_TIMEOUT": "5"}

    def setUp(self) -> None:
        ServerTestCase.setUp(self)
        self._addresses = {strict: self.make(strict) for strict in (True, False)}
        self.ask(strict=True)

    def make(self, strict: bool | None) -> str:
        """Return the path of a new trace."""
        wanted: dict[str, Any] = {} if strict is False else {"strict": strict}
        made = self.request("POST", "/t", wanted, JSON)
        assert made.status == 201
        return f"/t/{made.json['trace']}/mcp"

    def ask(self, *, strict: bool) -> None:
        """Talk to the strict or to the plain trace from now on."""
        self.endpoint = self._addresses[strict]


class ProperOfTraceTests(OfTrace, test_strict.ProperTests):
    pass


class HandshakeOfTraceTests(OfTrace, test_strict.HandshakeTests):
    pass


class SessionOfTraceTests(OfTrace, test_strict.SessionTests):
    pass


class IdOfTraceTests(OfTrace, test_strict.IdTests):
    pass


class MetaOfTraceTests(OfTrace, test_strict.MetaTests):
    pass


class UseOfTraceTests(OfTrace, test_strict.UseTests):
    pass


class ModernOfTraceTests(OfTrace, test_strict.ModernTests):
    pass


class HttpOfTraceTests(OfTrace, test_post.StrictTests):
    pass


class BesideTests(OfTrace):
    def test_beside_a_strict_trace_nobody_is_held_to_more(self) -> None:
        """Our choice: who makes a trace strict changes nothing for others."""
        bare = {"protocolVersion": "2025-06-18"}
        assert self.rpc("initialize", bare).status == 406
        for endpoint in (self._addresses[False], self.make(None), "/mcp"):
            self.endpoint = endpoint
            assert self.rpc("initialize", bare).status == 200, endpoint
            assert self.rpc("tools/list").status == 200, endpoint
            assert self.request("POST", "/mcp?access_token=x", b"[]").status == 400
            assert b"must not be in the URL" not in self.request("POST", "/mcp?access_token=x", b"[]").body

    def test_a_tool_makes_one_too_and_says_that_it_is_strict(self) -> None:
        """docs: createTrace."""
        self.endpoint = "/mcp"
        session = self.initialize()
        result = self.call("createTrace", {"strict": True}, session=session)
        made = result["structuredContent"]
        assert "Strict: what breaks a MUST or SHOULD is refused" in result["content"][0]["text"]
        plain = self.call("createTrace", session=session)
        assert "Strict" not in plain["content"][0]["text"]
        self.endpoint = f"/t/{made['trace']}/mcp"
        assert self.rpc("initialize", {"protocolVersion": "2025-06-18"}).status == 406

    def test_on_a_strict_server_every_trace_is_strict(self) -> None:
        """docs: --strict holds all clients to the rules."""
        self.serve(test_strict.STRICT)
        self.endpoint = self.make(False)
        assert self.rpc("initialize", {"protocolVersion": "2025-06-18"}).status == 406

    def test_what_is_no_yes_or_no_is_refused(self) -> None:
        """Our choice: bad input gets a clear error, and nothing is made."""
        assert self.request("POST", "/t", {"strict": "yes"}, JSON).status == 400
