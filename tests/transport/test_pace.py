"""What goes on at plain /mcp where more comes than is recorded."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

from mcp_echo.watch import pace
from mcp_echo.watch.insight import Insight
from mcp_echo.watch.traces import Trace
from tests.transport.support import BOTH, ServerTestCase, modern_message, routing_headers

REVISION = "2025-11-25"


class PaceTestCase(ServerTestCase):
    """A client that keeps all rules, but for what a test has it break."""

    settings = {"MCP_SESSION_TIMEOUT": "600"}

    def setUp(self) -> None:
        super().setUp()
        insight = self.service.insight
        assert insight is not None
        assert insight.plain is not None
        self.insight: Insight = insight
        self.plain: Trace = insight.plain
        self.number = 100

    def post(self, method: str | bytes, session: str | None = None, **fields: str) -> int:
        """Send a message, which is given whole or has an id that was not used; return the status."""
        self.number += 1
        headers = {"Accept": BOTH, "Content-Type": "application/json", "User-Agent": "tests"}
        if session is not None:
            headers |= {"Mcp-Session-Id": session, "MCP-Protocol-Version": REVISION}
        body = method if isinstance(method, bytes) else self.message(method)
        self.length = len(body)
        answer = self.request("POST", body=body, headers={**headers, **fields})
        self.made = answer.header("Mcp-Session-Id")
        return answer.status

    def message(self, method: str) -> bytes:
        body: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if not method.startswith("notifications/"):
            body["id"] = self.number
        if method == "tools/call":
            body["params"] = {"name": "echo", "arguments": {"message": "m"}}
        if method == "initialize":
            client = {"name": "tests", "version": "1"}
            body["params"] = {"protocolVersion": REVISION, "capabilities": {}, "clientInfo": client}
        return json.dumps(body).encode()

    def delete(self, session: str) -> None:
        self.request("DELETE", headers={"Mcp-Session-Id": session, "MCP-Protocol-Version": REVISION})

    def opened(self, initialized: bool = True) -> str:
        """Return a new session, whose client has listed the tools."""
        self.post("initialize")
        session = self.made
        assert session is not None
        if initialized:
            self.post("notifications/initialized", session)
        self.post("tools/list", session)
        return session

    def flood(self, session: str, calls: int = 100, **fields: str) -> None:
        """Call the same tool again and again within a moment."""
        for _ in range(calls):
            assert self.post("tools/call", session, **fields) == 200

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.insight.look()

    @property
    def exchanges(self) -> int:
        """How many have come."""
        return self.insight.report(self.plain).exchanges

    @property
    def unrecorded(self) -> int:
        """How many of them were only counted."""
        return self.insight.report(self.plain).unrecorded

    @property
    def found(self) -> dict[str, int]:
        """Rule → how often it was broken."""
        return {each.id: each.count for each in self.insight.report(self.plain).findings}


class PassingTests(PaceTestCase):
    def test_what_comes_again_and_again_is_counted_and_nothing_is_forgotten_for_it(self) -> None:
        """Our choice: recording has a budget, not a price; what is awaited is awaited on."""
        session = self.opened(initialized=False)
        self.flood(session, 300)
        assert self.exchanges == 302
        assert self.unrecorded == 252
        # Awaited since the first use, before the flood.
        self.wait(11)
        assert self.found == {"initialized-never-sent": 1}

    def test_what_is_new_has_its_record_in_the_midst_of_it(self) -> None:
        """Our choice: the rules about several exchanges go on."""
        session = self.opened()
        self.flood(session)
        self.delete(session)
        assert self.post("tools/list", session) == 404
        self.wait(0.5)
        assert self.post("tools/list", session) == 404
        assert self.found["session-kept-after-404"] == 1

    def test_what_the_head_breaks_is_counted_on(self) -> None:
        """Our choice: a rule about one exchange is broken as often as it comes."""
        session = self.opened()
        self.flood(session, 200, Accept="*/*")
        assert self.unrecorded == 153
        assert self.found == {"accept-wildcard": 200}
        assert self.insight.found["accept-wildcard"] == 200
        recorded = {each.number for each in self.plain.records}
        (finding,) = self.insight.report(self.plain).findings
        assert {each.exchange for each in finding.evidence} <= recorded

    def test_what_the_body_breaks_is_counted_where_it_was_seen(self) -> None:
        """Our choice: nothing is said of a body that nobody has looked at."""
        session = self.opened()
        fields = {"Mcp-Session-Id": session, "MCP-Protocol-Version": REVISION, "Accept": BOTH}
        for number in range(1000, 1200):
            meta = {"progressToken": [1]}
            params = {"name": "echo", "arguments": {"message": "m"}, "_meta": meta}
            body = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
            headers = {"Content-Type": "application/json", "User-Agent": "tests", **fields}
            assert self.request("POST", body=body, headers=headers).status == 200
        assert self.found == {"progress-token-type": 47}

    def test_a_session_for_more_than_one_call_is_not_taken_for_one_of_a_single_call(self) -> None:
        """Our choice: no rule accuses a client for what was not recorded."""
        busy = self.opened()
        for _ in range(5):
            self.clock.advance(1)
            self.flood(busy, 60)
            session = self.opened()
            self.flood(session, 3)
            self.delete(session)
        assert self.unrecorded > 5
        self.wait(61)
        assert "session-per-call" not in self.found

    def test_a_preflight_is_followed_by_a_call_that_is_like_those_before(self) -> None:
        """Our choice: what may be awaited is recorded, however much comes."""
        session = self.opened()
        origin = {"Origin": "http://localhost:5173"}
        self.flood(session, **origin)
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        self.request("OPTIONS", headers={**origin, **asked})
        self.flood(session, 1, **origin)
        self.wait(60)
        assert "preflight-without-request" not in self.found

    def test_a_modern_call_that_is_like_those_before_is_no_silence_after_an_error(self) -> None:
        """Our choice: as above."""
        message = modern_message("tools/call", {"name": "echo", "arguments": {"message": "m"}})
        headers = {**routing_headers(message), "Content-Type": "application/json", "User-Agent": "tests"}
        for _ in range(100):
            assert self.request("POST", body=message, headers=headers).status == 200
        assert self.unrecorded == 50
        unspoken = {**headers, "MCP-Protocol-Version": "2099-01-01"}
        message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2099-01-01"
        assert self.request("POST", body=message, headers=unspoken).status == 400
        message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28"
        assert self.request("POST", body=message, headers=headers).status == 200
        assert self.unrecorded == 50
        self.wait(60)
        assert "version-not-retried" not in self.found

    def test_what_comes_with_such_a_head_and_is_something_else_leaves_a_gap(self) -> None:
        """Our choice: what was not recorded may have been what is awaited."""
        session = self.opened(initialized=False)
        self.flood(session)
        told = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
        assert self.post(told.ljust(self.length), session) == 202
        assert self.unrecorded == 53
        self.wait(11)
        assert self.found == {}

    def test_a_report_about_a_session_counts_what_was_passed_over(self) -> None:
        """Our choice: a number of exchanges is that of all of them."""
        session, other = self.opened(), self.opened()
        self.flood(session, 100)
        self.flood(other, 10)
        report = self.insight.report_about_session(self.plain, session, "session")
        assert report.exchanges == 103
        assert report.unrecorded == 100 - (50 - 6)
        assert self.unrecorded == report.unrecorded + 8

    def test_who_reads_finds_all_counted_that_has_come(self) -> None:
        """Our choice: what is summed once a second is summed before anybody reads."""
        session = self.opened()
        self.flood(session, 100)
        shown = self.request("GET", f"/t/{self.plain.id}/exchanges").json
        assert shown["unrecorded"] == 100 - (50 - 3)

    def test_a_head_that_is_forgotten_loses_no_call(self) -> None:
        """Our choice: of calls from more heads than are remembered each is counted."""
        first = self.opened()
        self.flood(first, 100)
        with patch.object(pace, "MOST_CALLS", 1):
            self.wait(1)
            self.flood(self.opened(), 3)
        assert self.exchanges == 3 + 100 + 3 + 3
