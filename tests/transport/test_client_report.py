"""conformanceReport: what a client did, told to that client alone."""

from __future__ import annotations

import json
from typing import Any

from mcp_echo.fixtures.client import MAX_CLIENTS, MAX_NAMES
from mcp_echo.http.accept import JSON
from tests.transport.support import META, ModernTestCase, ServerTestCase, claim

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
        assert report["seenBy"] == self.store.node
        assert report["protocolVersions"] == ["2025-11-25"]
        assert "Accept" in report["headers"]

    def test_missing_headers_are_found(self) -> None:
        """Sending Messages, rule 2; Protocol Version Header."""
        session = self.initialize("2025-11-25")
        self.rpc("ping", session=session)
        findings = " ".join(self.report(session)["findings"])
        assert "Accept does not list" in findings
        assert "MCP-Protocol-Version is missing" in findings

    def test_each_revision_is_judged_by_its_own_rules(self) -> None:
        """The header came with 2025-06-18, the endpoint whose clients list two types with 2025-03-26."""
        accept, version = "Accept does not list", "MCP-Protocol-Version is missing"
        for revision, due in (
            ("2024-11-05", []),
            ("2025-03-26", [accept]),
            ("2025-06-18", [accept, version]),
            ("2025-11-25", [accept, version]),
        ):
            session = self.initialize(revision)
            self.rpc("ping", session=session, Accept="application/json")
            text = self.text("conformanceReport", session=session, Accept="application/json")
            for rule in (accept, version):
                assert (rule in text) is (rule in due), (revision, rule)
            assert ("✅ no rule" in text) is (due == [])

    def test_a_client_of_2025_03_26_without_the_version_header_has_no_findings(self) -> None:
        """2025-03-26 basic/transports: the revision has no such header."""
        session = self.rpc("initialize", {"protocolVersion": "2025-03-26"}, Accept=BOTH).header(
            "Mcp-Session-Id"
        )
        self.notify("notifications/initialized", session=session, Accept=BOTH)
        self.rpc("tools/list", session=session, Accept=BOTH)
        assert "Finding" not in self.text("conformanceReport", session=session, Accept=BOTH)

    def test_before_the_handshake_nothing_is_due(self) -> None:
        """Protocol Version Header: on all subsequent requests."""
        session = self.rpc("initialize", {"protocolVersion": "2025-11-25"}).header("Mcp-Session-Id")
        assert self.report(session)["findings"] == []

    def test_how_soon_it_reconnected_is_measured_against_retry(self) -> None:
        """Sending Messages, rule 6: the client MUST respect retry; it SHOULD come back with the event id."""
        for delay, resumes, delays, found in (
            (0.6, True, [0.6], []),
            (0.1, True, [0.1], ["Reconnected before the 500 ms that retry asked for (Sending Messages)"]),
            (
                0.6,
                False,
                [],
                [
                    "1 of the streams that the server closed early has not been resumed with Last-Event-ID "
                    "so far (Resumability and Redelivery)"
                ],
            ),
            (0.1, False, [], []),
        ):
            session = self.initialize_properly()
            answer = self.reconnecting(session)
            self.clock.advance(delay)
            fields = {"MCP-Protocol-Version": "2025-11-25"}
            event_id = {"Last-Event-ID": answer.events[0]["id"]} if resumes else {}
            listening = self.listen(session, **fields, **event_id)
            assert [message.get("id") for message in listening.messages] == ([1] if resumes else [])
            report = self.report(session)
            assert [round(each, 3) for each in report["reconnectDelays"]] == delays
            assert report["findings"] == found
        self.leave()

    def test_a_stream_that_is_opened_meanwhile_is_no_reconnection(self) -> None:
        """Listening for Messages: a client opens one to listen whenever it likes."""
        session = self.initialize_properly()
        answer = self.reconnecting(session)
        self.listen(session, **{"MCP-Protocol-Version": "2025-11-25"})
        self.clock.advance(0.6)
        resumed = {"MCP-Protocol-Version": "2025-11-25", "Last-Event-ID": answer.events[0]["id"]}
        self.listen(session, **resumed)
        report = self.report(session)
        assert ([round(each, 3) for each in report["reconnectDelays"]], report["findings"]) == ([0.6], [])
        self.leave()

    def initialize_properly(self) -> str:
        session = self.rpc("initialize", {"protocolVersion": "2025-11-25"}, Accept=BOTH).header(
            "Mcp-Session-Id"
        )
        assert session is not None
        headers = {"Accept": BOTH, "MCP_Protocol_Version": "2025-11-25"}
        self.notify("notifications/initialized", session=session, **headers)
        return session

    def reconnecting(self, session: str) -> Any:
        """Call the tool whose stream the server closes early."""
        call = {"name": "test_reconnection", "arguments": {}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        fields = {"Mcp-Session-Id": session, "Accept": BOTH, "MCP-Protocol-Version": "2025-11-25"}
        answer = self.request("POST", body=body, headers=fields)
        assert b"retry: 500" in answer.body
        return answer

    def test_clients_see_their_own_record_alone(self) -> None:
        one, two = self.initialize("2025-11-25"), self.initialize_properly()
        self.rpc("ping", session=one)
        assert self.report(two)["findings"] == []

    def test_words_in_an_argument_are_no_answers_of_a_legacy_client(self) -> None:
        """2026-07-28 basic/patterns/mrtr: no rule of an older revision."""
        session = self.initialize_properly()
        arguments = {"message": json.dumps({"inputResponses": {}})}
        self.proper("tools/call", {"name": "echo", "arguments": arguments, "inputResponses": {}}, session)
        assert self.report(session)["findings"] == []

    def test_a_session_made_for_the_call_is_told_of(self) -> None:
        """Our choice: the client may have been another session's until now."""
        text = self.text("conformanceReport", Accept=BOTH)
        assert "This request carried no session id: a new session was made for it" in text

    def test_a_session_that_is_over_leaves_no_record(self) -> None:
        """Our choice: nobody can ask for it any more."""
        session = self.initialize_properly()
        assert len(self.observer) == 1
        self.request("DELETE", headers={"Mcp-Session-Id": session})
        assert len(self.observer) == 0

    @property
    def observer(self) -> Any:
        return self.service.server.legacy._observer

    def test_an_unknown_session_id_makes_no_record(self) -> None:
        """Our choice: who invents ids must not push out what others have left here."""
        session = self.initialize_properly()
        for number in range(MAX_CLIENTS + 5):
            assert self.rpc("ping", session=f"invented-{number}").status == 404
            self.request("POST", body={"jsonrpc": "2.0", "method": "x"}, headers={"Mcp-Session-Id": "x"})
        assert len(self.observer) == 1
        assert self.report(session)["requests"] == {"notifications/initialized": 1, "tools/call": 1}

    def test_only_so_many_clients_are_remembered(self) -> None:
        """Our limit."""
        self.serve({"MCP_ECHO_CONFORMANCE": "client", "MCP_MAX_SESSIONS": "1000"})
        for _ in range(MAX_CLIENTS + 5):
            self.initialize("2025-11-25")
        assert len(self.observer) == MAX_CLIENTS

    def test_who_has_most_records_makes_room_for_more(self) -> None:
        """Our choice: one caller cannot push out another's record, however many sessions it makes."""
        proxied = {"MCP_ECHO_CONFORMANCE": "client", "MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1"}
        self.serve({**proxied, "MCP_MAX_SESSIONS": "1000", "MCP_ECHO_INITIALIZE_RATE": "0"})
        mine = {"X_Forwarded_For": "192.0.2.1"}
        session = self.rpc("initialize", {"protocolVersion": "2025-11-25"}, **mine).header("Mcp-Session-Id")
        assert session is not None
        self.rpc("ping", session=session, **mine)
        for _ in range(MAX_CLIENTS + 5):
            self.initialize("2025-11-25")
        assert self.report(session)["requests"]["ping"] == 1

    def test_names_that_a_client_makes_up_are_bounded(self) -> None:
        """Our limit: methods, and whatever else is kept by its name."""
        session = self.initialize_properly()
        for number in range(2 * MAX_NAMES):
            self.proper(f"made/up-{number}", {}, session)
        counts = self.report(session)["requests"]
        assert len(counts) == MAX_NAMES + 1
        assert sum(counts.values()) == 2 * MAX_NAMES + 2

    def test_a_client_of_an_older_revision_may_offer_what_a_later_one_forbids(self) -> None:
        """2026-07-28 server/tools, x-mcp-header: a rule of that revision."""
        result = self.call("invalid_space_in_header", {"value": "x"}, session=self.initialize_properly())
        assert (result["isError"], "may offer this tool" in result["content"][0]["text"]) == (False, True)


class ModernReportTests(ModernTestCase):
    """Records of clients that have no session: by caller and by what the client says of itself."""

    settings = {"MCP_ECHO_CONFORMANCE": "core,client", "MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1"}

    def named(self, name: str = "acme", version: str = "1") -> dict[str, Any]:
        capabilities = {"elicitation": {}}
        return claim(capabilities=capabilities, **{f"{META}clientInfo": {"name": name, "version": version}})

    def report(self, headers: dict[str, Any] | None = None, **client: str) -> dict[str, Any]:
        found = self.tool("conformanceReport", meta=self.named(**client), headers=headers)
        result: dict[str, Any] = found["structuredContent"]
        return result

    def test_another_caller_s_client_of_the_same_name_is_not_seen(self) -> None:
        """Our choice: what reached the server from somebody is that one's alone."""
        callers = (
            {"X-Forwarded-For": "192.0.2.1", "X-Trace-Of": "theirs"},
            {"X-Forwarded-For": "192.0.2.1", "X-User-Id": "alice", "X-Trace-Of": "theirs"},
            {"X-Forwarded-For": "192.0.2.1", "X-User-Id": "bob", "X-Trace-Of": "theirs"},
            {"X-Forwarded-For": "2001:db8::1", "X-Trace-Of": "theirs"},
        )
        for headers in callers:
            self.modern("tools/list", meta=self.named(), headers=headers)
        found = self.report({"X-Forwarded-For": "192.0.2.2"})
        assert found["requests"] == {"tools/call": 1}
        assert "X-Trace-Of" not in found["headers"]
        for headers in callers:
            assert self.report(headers)["requests"] == {"tools/list": 1, "tools/call": 1}

    def test_another_client_of_the_same_caller_is_another(self) -> None:
        """Our choice: name and version both count, however they are put together."""
        for client in ({"name": "acme", "version": "2"}, {"name": "acme 1", "version": ""}, {"name": "b"}):
            self.modern("tools/list", meta=self.named(**client))
        assert self.report()["requests"] == {"tools/call": 1}

    def test_a_request_that_is_refused_for_its_headers_is_seen_and_found(self) -> None:
        """Request Metadata: Mcp-Method on all requests."""
        self.modern("tools/list", meta=self.named(), headers={"Mcp-Method": None, "Accept": JSON})
        findings = " ".join(self.report()["findings"])
        assert "Mcp-Method is missing" in findings
        assert "Accept does not list" in findings

    def test_what_says_nothing_of_its_sender_makes_no_record(self) -> None:
        """Our choice, as for session ids."""
        for meta in ({}, {f"{META}protocolVersion": "2026-07-28"}):
            self.modern("tools/list", meta=meta)
        assert len(self.service.server._modern._observer) == 0

    def test_a_state_is_missed_only_where_one_was_given(self) -> None:
        """basic/patterns/mrtr: what was given MUST be sent back; what was not is not missed."""
        for name, state, found in (
            ("test_mrtr_echo_state", True, None),
            ("test_mrtr_echo_state", False, "requestState was not echoed"),
            ("echo", False, None),
            ("test_mrtr_unrelated", False, "a call that had not asked"),
            ("test_mrtr_no_state", False, None),
        ):
            self.serve(self.settings)
            params: dict[str, Any] = {"name": name, "arguments": {"message": "m"} if name == "echo" else {}}
            first = self.modern("tools/call", params, meta=self.named()).json["result"]
            answer = {"action": "accept", "content": {"name": "Ada"}}
            retry = {**params, "inputResponses": dict.fromkeys(first.get("inputRequests", {"x": 1}), answer)}
            if state:
                retry["requestState"] = first["requestState"]
            self.modern("tools/call", retry, message_id=2, meta=self.named())
            findings = self.report()["findings"]
            assert (len(findings), found is None or found in findings[0]) == (int(found is not None), True), (
                name
            )

    def test_a_state_that_was_never_given_is_found(self) -> None:
        """basic/patterns/mrtr: requestState is the server's to give."""
        answer = {"user_name": {"action": "accept", "content": {"name": "Ada"}}}
        retry = {"name": "test_mrtr_no_state", "arguments": {}, "inputResponses": answer}
        self.modern("tools/call", {**retry, "requestState": "mine"}, meta=self.named())
        assert "none had been given" in self.report()["findings"][0]
