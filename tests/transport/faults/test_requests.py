"""Faults that answer in the place of the server. docs/faults.md."""

from __future__ import annotations

from tests.transport.faults.support import FaultTestCase
from tests.transport.support import BOTH


class SessionLostTests(FaultTestCase):
    def test_a_session_is_lost_once_and_marked(self) -> None:
        """The answer is that of a session which is gone (basic/transports, Session Management)."""
        session = self.session()
        for status in (404, 400, 401, 403, 410, 503):
            self.arm("session-lost", {"status": status})
            lost, after = self.echo(session), self.echo(session)
            assert (lost.status, lost.header("X-MCP-Echo-Fault")) == (status, f"session-lost {status}")
            assert lost.json == {
                "jsonrpc": "2.0",
                "id": 2,
                "error": {"code": -32603, "message": "Session not found or expired"},
            }
            assert lost.header("Content-Security-Policy") == "sandbox; default-src 'none'"
            assert (after.status, after.header("X-MCP-Echo-Fault")) == (200, None)

    def test_initialize_has_no_session_to_lose(self) -> None:
        """Our choice: a client that begins anew is let begin."""
        self.arm("session-lost")
        begun = self.rpc("initialize", {"protocolVersion": "2025-11-25"})
        assert begun.status == 200
        assert self.echo(begun.header("Mcp-Session-Id") or "").status == 404

    def test_a_session_that_is_forgotten_is_gone(self) -> None:
        session = self.session()
        self.arm("session-lost", {"forget": True})
        assert self.echo(session).status == 404
        after = self.echo(session)
        assert after.status == 404
        assert after.header("X-MCP-Echo-Fault") is None
        assert "closed by DELETE or by a fault" in after.json["error"]["message"]

    def test_a_session_that_is_kept_after_404_is_a_finding_as_ever(self) -> None:
        session = self.session()
        self.arm("session-lost")
        self.echo(session)
        self.clock.advance(1)
        self.echo(session)
        found = {each["id"] for each in self.get(self.path(self.made, "report"))["findings"]}
        assert "session-kept-after-404" in found

    def test_the_record_says_which_order_and_the_order_what_came_of_it(self) -> None:
        session = self.session()
        number = self.arm("session-lost")["number"]
        self.echo(session)
        record = self.last_exchange()
        assert (record["fault"], record["order"], record["status"]) == ("session-lost 404", number, 404)
        assert record["messages"][0]["method"] == "tools/call"
        self.clock.advance(0.25)
        self.echo(session)
        (order,) = self.orders()
        assert (order["state"], order["fired"]) == ("over", 1)
        (firing,) = order["firings"]
        assert firing["exchange"] == record["number"]
        assert firing["outcome"] == "kept-dead-id"
        assert "250 ms" in firing["verdict"]


class OtherRequestFaultTests(FaultTestCase):
    def test_a_refusal_has_its_status_and_when_to_come_back(self) -> None:
        session = self.session()
        self.arm("reject", {"status": 429, "retryAfter": 3})
        refused = self.echo(session)
        assert (refused.status, refused.header("Retry-After")) == (429, "3")

    def test_a_redirect_leads_to_this_server(self) -> None:
        session = self.session()
        address = f"localhost:3000{self.endpoint}"
        for to, where in (
            ("slash", f"http://{address}/"),
            ("http", f"http://{address}"),
            ("https", f"https://{address}"),
        ):
            self.arm("redirect", {"to": to, "status": 308})
            answer = self.echo(session)
            assert (answer.status, answer.header("Location")) == (308, where)

    def test_an_empty_answer_has_no_body(self) -> None:
        session = self.session()
        self.arm("empty")
        answer = self.echo(session)
        assert (answer.status, answer.body) == (200, b"")

    def test_an_empty_response_is_not_a_single_byte(self) -> None:
        session = self.session()
        self.arm("empty", {"as": "response"})
        posted = self.begin_call(session)
        assert posted.status is None
        record = self.last_exchange()
        assert record["fault"] == "empty response"
        assert "status" not in record
        assert "left" not in record

    def test_headers_are_required_of_whoever_lacks_them(self) -> None:
        session = self.session()
        self.arm("headers-required", {"names": ["X-Team", "Accept"]}, times=5)
        lacking = self.echo(session)
        assert lacking.status == 400
        assert lacking.json["error"]["message"].endswith("required: X-Team")
        assert self.echo(session, X_Team="a").status == 200

    def test_a_preflight_is_never_hit(self) -> None:
        self.arm("reject")
        assert self.request("OPTIONS").status == 204

    def test_who_may_not_ask_is_told_so_and_not_hit(self) -> None:
        """2025-11-25 basic/transports, Security Warning: Origin is checked before anything else."""
        self.arm("reject", {"status": 503})
        refused = self.request(
            "POST",
            body={"jsonrpc": "2.0", "id": 1, "method": "ping"},
            headers={"Origin": "https://evil.example", "Accept": BOTH},
        )
        assert refused.status == 403

    def test_pages_that_may_ask_may_read_it(self) -> None:
        session = self.session()
        self.arm("reject", {"status": 503})
        refused = self.echo(session, Origin="http://localhost:5173")
        assert refused.header("Access-Control-Allow-Origin") == "http://localhost:5173"
