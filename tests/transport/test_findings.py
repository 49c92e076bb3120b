"""What a whole server says of clients that break rules, and of those that do not."""

from __future__ import annotations

from typing import Any

from tests.transport.support import BOTH, MODERN, ServerTestCase, modern_message, routing_headers

JSON = {"Content-Type": "application/json", "User-Agent": "tests", "Accept": BOTH}


class FindingsTests(ServerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.made = self.request("POST", "/t", {}, JSON).json
        self.at = f"/t/{self.made['trace']}"

    def post(self, method: str, params: Any = None, message_id: Any = 1, **headers: str) -> Any:
        body: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if message_id is not None:
            body["id"] = message_id
        if params is not None:
            body["params"] = params
        fields = {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.request("POST", f"{self.at}/mcp", body, fields)

    def begin_session(self, revision: str, *, initialized: bool = True) -> dict[str, str]:
        params = {
            "protocolVersion": revision,
            "capabilities": {},
            "clientInfo": {"name": "tests", "version": "1"},
        }
        session = self.post("initialize", params, 0).header("Mcp-Session-Id")
        own = {"Mcp_Session_Id": session}
        if initialized:
            self.post("notifications/initialized", None, None, **own, **self.version(revision))
        return own

    def version(self, revision: str) -> dict[str, str]:
        return {"MCP_Protocol_Version": revision} if revision >= "2025-06-18" else {}

    def findings(self, level: str = "warning") -> dict[str, Any]:
        report = self.request("GET", f"{self.at}/report").json
        levels = ("error", "warning", "info")
        wanted = levels[: levels.index(level) + 1]
        return {each["id"]: each for each in report["findings"] if each["level"] in wanted}

    def test_a_rule_binds_the_revisions_that_have_it(self) -> None:
        """2025-06-18 changelog: the version header is of that revision on."""
        own = self.begin_session("2025-03-26")
        for message_id in (1, 2):
            self.post("tools/list", None, message_id, **own)
        assert self.findings("info") == {}
        own = self.begin_session("2025-06-18")
        for message_id in (1, 2):
            self.post("tools/list", None, message_id, **own)
        assert set(self.findings("warning")) == {"version-header-missing"}
        (found,) = self.findings("warning").values()
        assert found["count"] == 2
        assert found["rule"]["url"].startswith(
            "https://modelcontextprotocol.io/specification/2025-06-18/basic/transports#protocol-version-header"
        )

    def test_what_never_comes_is_said_when_its_time_is_over(self) -> None:
        """basic/lifecycle, Initialization; basic/transports, Session Management."""
        self.begin_session("2025-11-25", initialized=False)
        self.post("tools/list", None, 1, **self.version("2025-11-25"))
        self.clock.advance(11)
        found = self.findings("error")
        assert "1 of 1" in found["session-id-not-returned"]["summary"]

    def test_what_never_comes_is_noticed_before_anybody_asks(self) -> None:
        """Our choice: whoever watches, scrapes or subscribes hears of it in time."""
        own = self.begin_session("2025-11-25", initialized=False)
        self.post("tools/list", None, 1, **own, **self.version("2025-11-25"))
        told: list[object] = []
        insight = self.service.insight
        assert insight is not None
        insight.traces.changed = told.append
        for _ in range(12):
            self.clock.advance(1)
            insight.look()
        assert insight.found["initialized-never-sent"] == 1
        assert len(told) == 1

    def test_a_client_that_does_both_is_accused_of_neither(self) -> None:
        own = self.begin_session("2025-11-25")
        self.post("tools/list", None, 1, **own, **self.version("2025-11-25"))
        self.clock.advance(60)
        assert self.findings() == {}

    def test_whoever_uses_a_session_and_has_not_said_that_it_is_initialized_is_told(self) -> None:
        own = self.begin_session("2025-11-25", initialized=False)
        self.post("tools/list", None, 1, **own, **self.version("2025-11-25"))
        self.clock.advance(11)
        assert set(self.findings()) == {"initialized-never-sent"}

    def test_what_was_found_and_wanted_is_said_of_headers_and_bodies(self) -> None:
        own = self.begin_session("2025-11-25")
        session, version = own["Mcp_Session_Id"], self.version("2025-11-25")
        self.post("ping", None, 1, Mcp_Session_Id=f"{session}, {session}", **version)
        meta = {"_meta": {"progressToken": 1.5}}
        self.post("tools/list", meta, 2, **own, **version)
        self.request(
            "POST",
            f"{self.at}/mcp",
            {"jsonrpc": "2.0", "id": "never-asked", "result": {}},
            {**JSON, "Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"},
        )
        found = self.findings()
        assert {"session-id-joined", "progress-token-type", "response-unasked"} <= set(found)

    def test_what_a_modern_header_says_and_the_body_does_not_is_told(self) -> None:
        message = modern_message("tools/call", {"name": "echo", "arguments": {"message": "a"}})
        headers = {**JSON, **routing_headers(message), "Mcp-Name": "other"}
        self.request("POST", f"{self.at}/mcp", message, headers)
        found = self.findings("error")
        assert set(found) == {"name-header"}
        assert found["name-header"]["revision"] == MODERN
        assert found["name-header"]["evidence"][0]["found"] == "other"

    def test_what_comes_to_other_places_is_told(self) -> None:
        """Foreign origins, well-known documents, preflights and other spellings."""
        self.request("POST", f"{self.at}/mcp", b"{}", {**JSON, "Origin": "http://evil.example"})
        self.request("GET", f"/.well-known/oauth-protected-resource{self.at}/mcp")
        preflight = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
        self.request("OPTIONS", f"{self.at}/mcp", None, preflight)
        self.request("DELETE", f"{self.at}/mcp/")
        report = self.request("GET", f"{self.at}/report").json
        assert report["exchanges"] == 4
        assert {"origin-refused", "preflight-refused", "path-spelling"} <= set(self.findings())

    def test_flows_tell_what_was_done_and_what_is_missing(self) -> None:
        own = self.begin_session("2025-11-25")
        version = self.version("2025-11-25")
        self.post("tools/list", None, 1, **own, **version)
        self.post("tools/call", {"name": "echo", "arguments": {"message": "a"}}, 2, **own, **version)
        self.request("DELETE", f"{self.at}/mcp", None, {**JSON, "Mcp-Session-Id": own["Mcp_Session_Id"]})
        (flow,) = self.request("GET", f"{self.at}/report").json["flows"]
        assert (flow["kind"], flow["state"]) == ("legacy", "complete")
        done = [step["step"] for step in flow["steps"] if step["state"] == "done"]
        assert done == ["initialize", "initialized", "list", "call", "delete"]

    def test_nobody_is_changed_by_ids_that_nobody_has(self) -> None:
        """Our choice: what a client makes up must cost nobody anything."""
        self.begin_session("2025-11-25")
        before = len(self.service.store)
        for place in range(205):
            self.post("ping", None, place, Mcp_Session_Id=f"00000000-0000-4000-8000-{place:012x}")
        assert len(self.service.store) == before
        report = self.request("GET", f"{self.at}/report").json
        assert [flow["state"] for flow in report["flows"]] == ["running"]

    def test_evidence_comes_in_every_form(self) -> None:
        self.begin_session("2025-11-25")
        for form, kind in (
            ("md", "text/markdown; charset=utf-8"),
            ("json", "application/json"),
            ("har", "application/json"),
            ("sarif", "application/sarif+json"),
            ("junit", "application/xml; charset=utf-8"),
        ):
            answer = self.request("GET", f"{self.at}/evidence.{form}")
            assert (answer.status, answer.header("Content-Type")) == (200, kind)
            assert self.made["trace"] not in answer.body.decode()

    def test_findings_are_counted_for_those_who_scrape(self) -> None:
        """docs/metrics.md: mcp_echo_findings_total."""
        self.request("DELETE", f"{self.at}/mcp/")
        assert self.service.insight is not None
        assert self.service.insight.found["path-spelling"] == 1

    def test_events_end_when_the_server_stops(self) -> None:
        listening = self.begin("GET", f"{self.at}/events")
        assert listening.code == 200
        self.service.streams.start()
        self.service.streams.stop()
        self.client.flush()
        assert self.service.http._traces is not None
        assert self.service.http._traces.events == set()
