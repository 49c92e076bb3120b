"""What the record of a trace is promised to show, conversation by conversation."""

from __future__ import annotations

from typing import Any

from tests.transport.support import META, Answer, Posted, claim, modern_message, routing_headers
from tests.transport.test_findings import JSON
from tests.transport.test_traces import TraceTestCase

REVISION = "2025-11-25"


class PromiseTestCase(TraceTestCase):
    """A client that keeps all rules, but for what a test has it break."""

    number = 0

    def send(self, made: Any, method: str, session: str | None = None, **more: Any) -> Answer:
        """Send a message in a session, with other params and headers where they are given."""
        self.number += 1
        fields: dict[str, Any] = {**JSON, "MCP-Protocol-Version": REVISION, "Mcp-Session-Id": session}
        params = more.get("params", {})
        if method == "initialize":
            client = {"name": "tests", "version": "1"}
            params = {"protocolVersion": REVISION, "capabilities": {}, "clientInfo": client}
            del fields["MCP-Protocol-Version"]
        body: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
        if not method.startswith("notifications/"):
            body["id"] = self.number
        fields |= more.get("headers", {})
        given = {name: value for name, value in fields.items() if value is not None}
        return self.request("POST", self.path(made, "mcp"), more.get("body", body), given)

    def ready(self, made: Any) -> str:
        session = self.send(made, "initialize").header("Mcp-Session-Id")
        assert session is not None
        self.send(made, "notifications/initialized", session)
        return session

    def found(self, made: Any) -> dict[str, Any]:
        """Return the errors and warnings of a trace by id."""
        findings = self.get(self.path(made, "report"))["findings"]
        return {each["id"]: each for each in findings if each["level"] != "info"}

    def evidence(self, made: Any, rule: str) -> tuple[str | None, str | None]:
        """Return what was found and wanted where a rule was broken, which is all that was."""
        found = self.found(made)
        assert set(found) == {rule}
        first = found[rule]["evidence"][0]
        return first.get("found"), first.get("wanted")


class PromiseTests(PromiseTestCase):
    def test_205_unknown_session_ids_change_nobody_s_record(self) -> None:
        """Our choice: who invents ids learns nothing of others, and takes nothing from them."""
        made, other = self.make(), self.make()
        session = self.ready(made)
        before = self.get(self.path(made, "report"))
        for number in range(205):
            assert self.send(other, "ping", f"00000000-0000-4000-8000-{number:012x}").status == 404
        assert self.get(self.path(made, "report")) == before
        assert self.send(made, "ping", session).status == 200
        assert self.found(made) == {}

    def test_four_exchanges_that_went_astray_and_their_findings(self) -> None:
        """Our choice: refused, misdirected and asked ahead of time are what is looked for."""
        made = self.make()
        foreign = {"Origin": "http://evil.example"}
        self.request("POST", self.path(made, "mcp"), b"{}", {**JSON, **foreign})
        self.request("GET", f"/.well-known/oauth-protected-resource{self.path(made, 'mcp')}")
        asks = {"Access-Control-Request-Method": "POST"}
        self.request("OPTIONS", self.path(made, "mcp"), None, {**foreign, **asks})
        self.request("GET", self.path(made, "mcp/"), None, {"Accept": "text/event-stream"})
        shown = self.exchanges(made)
        ids = [set(each.get("findings", ())) - {"user-agent-missing"} for each in shown]
        assert len(shown) == 4
        assert "origin-refused" in ids[0]
        assert ids[1] == set()
        assert "preflight-refused" in ids[2]
        assert "path-spelling" in ids[3]

    def test_initialize_and_tools_list_with_neither_initialized_nor_id(self) -> None:
        """basic/lifecycle, Initialization; basic/transports, Session Management."""
        made = self.make()
        self.send(made, "initialize")
        self.send(made, "tools/list")
        self.clock.advance(11)
        found = self.found(made)
        assert set(found) == {"session-id-not-returned", "initialized-never-sent"}
        assert "(1 of 1 requests)" in found["session-id-not-returned"]["summary"]

    def test_two_lines_of_the_session_id_are_told(self) -> None:
        """RFC 9110 section 5.3."""
        made = self.make()
        session = self.ready(made)
        self.send(made, "ping", None, headers={"Mcp-Session-Id": [session, session]})
        found, wanted = self.evidence(made, "header-repeated")
        assert found is not None
        assert found.count("; ") == 1
        assert wanted == "one line of Mcp-Session-Id"

    def test_an_id_that_is_joined_with_itself_is_told(self) -> None:
        """2025-11-25 basic/transports, Session Management."""
        made = self.make()
        session = self.ready(made)
        self.send(made, "ping", f"{session}, {session}")
        assert "session-id-joined" in self.found(made)
        evidence = self.found(made)["session-id-joined"]["evidence"][0]
        assert evidence["wanted"] == "the id, once"
        assert evidence["found"]
        assert session not in str(evidence)

    def test_a_progress_token_of_a_wrong_type_is_told(self) -> None:
        """basic/utilities/progress, Progress Flow."""
        made = self.make()
        session = self.ready(made)
        self.send(made, "tools/list", session, params={"_meta": {"progressToken": [1]}})
        _, wanted = self.evidence(made, "progress-token-type")
        assert wanted == "a string or an integer"

    def test_an_answer_with_another_id_is_told(self) -> None:
        """basic/transports, Sending Messages."""
        made = self.make()
        session = self.ready(made)
        answer = {"jsonrpc": "2.0", "id": "never-asked", "result": {}}
        self.send(made, "-", session, body=answer)
        found, wanted = self.evidence(made, "response-unasked")
        assert (found, wanted) == ("'never-asked'", "the id of a question of the server's")

    def test_a_cancellation_that_fits_nothing_is_told(self) -> None:
        """basic/utilities/cancellation, Behavior Requirements."""
        made = self.make()
        session = self.ready(made)
        self.send(made, "tools/list", session)
        self.send(made, "notifications/cancelled", session, params={"requestId": self.number})
        assert self.found(made) == {}
        self.send(made, "notifications/cancelled", session, params={"requestId": 999})
        assert self.found(made) == {}
        self.clock.advance(31)
        found, wanted = self.evidence(made, "cancellation-unknown")
        assert (found, wanted) == ("999", "the id of a request of this session, with its type")

    def test_a_call_that_is_cancelled_while_it_runs_is_what_the_cancellation_names(self) -> None:
        """As above: it is recorded when it has ended."""
        made = self.make()
        session = self.ready(made)
        self.endpoint = self.path(made, "mcp")
        call = {"name": "requestTiming", "arguments": {}}
        body = {"jsonrpc": "2.0", "id": 70, "method": "tools/call", "params": call}
        headers = {**JSON, "Mcp-Session-Id": session, "MCP-Protocol-Version": REVISION}
        Posted(self, body, headers)
        self.send(made, "notifications/cancelled", session, params={"requestId": 70})
        self.clock.advance(60)
        assert "cancellation-unknown" not in self.found(made)


class ExpiryTests(PromiseTestCase):
    settings = {"MCP_SESSION_TIMEOUT": "1"}

    def test_two_calls_after_the_session_has_expired_and_initialize_with_its_id(self) -> None:
        """2025-11-25 basic/transports, Session Management, rules 3 and 4."""
        made = self.make()
        session = self.ready(made)
        self.clock.advance(2)
        for _ in range(2):
            self.clock.advance(0.1)
            assert self.send(made, "tools/list", session).status == 404
        report = self.get(self.path(made, "report"))["findings"]
        counts = {each["id"]: each["count"] for each in report}
        told = {"session-expired": 1, "session-kept-after-404": 1}
        assert counts == {**told, "session-never-deleted": 1}
        (expired,) = [each for each in report if each["id"] == "session-expired"]
        for part in (f"on node {self.store.node}", "made 2023-11-14T22:13:20.000Z", "last used", "and ended"):
            assert part in expired["summary"]
        self.send(made, "initialize", session)
        assert self.found(made)["initialize-with-dead-id"]["count"] == 1


class ModernTests(TraceTestCase):
    settings = {"MCP_ECHO_WATCH": "on", "MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1"}

    def call(self, name: str, who: dict[str, str], **arguments: Any) -> Any:
        meta = claim(**{f"{META}clientInfo": {"name": "acme", "version": "1"}})
        message = modern_message("tools/call", {"name": name, "arguments": arguments}, meta=meta)
        fields = {**JSON, **routing_headers(message), "X-Forwarded-For": "192.0.2.1", **who}
        return self.request("POST", "/mcp", message, fields).json["result"]

    def test_two_callers_of_one_name_do_not_see_each_other(self) -> None:
        """Our choice: what reached the server from somebody is that one's alone."""
        alice, bob = {"X-User-Id": "alice"}, {"X-User-Id": "bob"}
        self.call("echo", {**alice, "Accept": "*/*"}, message="m")
        self.call("echo", {"Accept": "*/*"}, message="m")
        theirs = self.call("clientReport", bob)["structuredContent"]
        assert (theirs["about"], theirs["exchanges"], theirs["findings"]) == ("principal", 0, [])
        mine = self.call("clientReport", alice)["structuredContent"]
        assert (mine["exchanges"], "accept-wildcard" in str(mine["findings"])) == (1, True)
        nobody = self.call("clientReport", {})["structuredContent"]
        assert (nobody["about"], "accept-wildcard" in str(nobody["findings"])) == ("exchange", False)
