"""conformanceReport: what a client did, told to that client alone."""

from __future__ import annotations

from typing import Any

from mcp_echo.conformance.client import MAX_CLIENTS
from tests.transport.support import ServerTestCase

BOTH = "application/json, text/event-stream"


class ReportTests(ServerTestCase):
    settings = {"MCP_ECHO_CONFORMANCE": "core,client"}

    def report(self, session: str) -> dict[str, Any]:
        headers = {"Accept": BOTH, "MCP_Protocol_Version": "2025-11-25"}
        result: dict[str, Any] = self.call("conformanceReport", session=session, **headers)[
            "structuredContent"
        ]
        return result

    def proper(self, method: str, params: dict[str, Any], session: str) -> None:
        self.rpc(method, params, session=session, Accept=BOTH, MCP_Protocol_Version="2025-11-25")

    def test_a_proper_client_has_no_findings(self) -> None:
        session = self.rpc(
            "initialize",
            {
                "protocolVersion": "2025-11-25",
                "capabilities": {"roots": {}},
                "clientInfo": {"name": "c", "version": "1"},
            },
            Accept=BOTH,
        ).header("Mcp-Session-Id")
        self.proper("tools/list", {}, session)
        report = self.report(session)
        assert report["findings"] == []
        assert (report["client"], report["capabilities"]) == ("c", ["roots"])
        assert report["requests"] == {"tools/list": 1, "tools/call": 1}
        assert report["protocolVersions"] == ["2025-11-25"]
        assert "Accept" in report["headers"]

    def test_missing_headers_are_found(self) -> None:
        """Sending Messages, rule 2; Protocol Version Header."""
        session = self.initialize("2025-11-25")
        self.rpc("ping", session=session)
        findings = " ".join(self.report(session)["findings"])
        assert "Accept does not list" in findings
        assert "MCP-Protocol-Version is missing" in findings

    def test_how_soon_it_reconnected_is_measured_against_retry(self) -> None:
        """Sending Messages, rule 6: the client MUST respect retry."""
        for delay, resumes, found in ((0.6, True, 0), (0.1, True, 1), (0.6, False, 1)):
            session = self.initialize("2025-11-25")
            call = {"name": "test_reconnection", "arguments": {}}
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
            fields = {"Mcp-Session-Id": session, "Accept": BOTH, "MCP-Protocol-Version": "2025-11-25"}
            answer = self.request("POST", body=body, headers=fields)
            assert b"retry: 500" in answer.body
            self.clock.advance(delay)
            event_id = {"Last-Event-ID": answer.events[0]["id"]} if resumes else {}
            listening = self.listen(session, **event_id)
            assert [message.get("id") for message in listening.messages] == ([1] if resumes else [])
            report = self.report(session)
            assert [round(each, 3) for each in report["reconnectDelays"]] == [delay]
            assert len(report["findings"]) == found, report["findings"]
        self.leave()

    def test_clients_see_their_own_record_alone(self) -> None:
        one, two = self.initialize("2025-11-25"), self.initialize("2025-11-25")
        self.rpc("ping", session=one)
        assert self.report(two)["findings"] == []

    def test_only_so_many_clients_are_remembered(self) -> None:
        self.serve({"MCP_ECHO_CONFORMANCE": "client", "MCP_MAX_SESSIONS": "1000"})
        observer = self.service.server._observer
        for _ in range(MAX_CLIENTS + 5):
            self.initialize("2025-11-25")
        assert len(observer._records) == MAX_CLIENTS
