"""Traces: addresses of their own, what comes to them, and who may read it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from tests.transport.support import BOTH, META, Listening, ServerTestCase, modern_message, routing_headers

JSON = {"Content-Type": "application/json"}
CANARY = "ghp_Xk29fLq81mZr04TtYb67Vn35Cw12De89Gh01"


class TraceTestCase(ServerTestCase):
    settings = {"MCP_ECHO_TRACE_EXCHANGES": "50"}

    def make(self, **wanted: Any) -> Any:
        return self.request("POST", "/t", wanted, JSON).json

    def path(self, made: Any, below: str = "") -> str:
        return f"/t/{made['trace']}/{below}"

    def get(self, path: str) -> Any:
        return self.request("GET", path).json

    def initialize_at(self, made: Any) -> str:
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "tests", "version": "1"},
            },
        }
        answer = self.request("POST", self.path(made, "mcp"), body, {"Accept": BOTH, **JSON})
        session = answer.header("Mcp-Session-Id")
        assert session is not None
        return session

    def exchanges(self, made: Any) -> list[Any]:
        found: list[Any] = self.get(self.path(made, "exchanges"))["exchanges"]
        return found


class MakingTests(TraceTestCase):
    def test_a_trace_is_made_by_one_request(self) -> None:
        """Our choice: what is needed to point a client at it, read it and share it."""
        answer = self.request("POST", "/t", {"label": "mine", "seconds": 60}, JSON)
        made = answer.json
        assert answer.status == 201
        assert answer.header("Location") == made["pageUrl"]
        assert made["mcpUrl"] == f"http://localhost:3000/t/{made['trace']}/mcp"
        assert made["expires"] == "2023-11-14T22:14:20.000Z"
        assert made["label"] == "mine"
        assert made["trace"] not in made["shareUrl"]
        assert self.get(self.path(made, "report"))["label"] == "mine"

    def test_what_is_no_wish_is_refused(self) -> None:
        """Our choice: bad input gets a clear error, and nothing is made."""
        for body, headers, status in (
            ({"seconds": 0}, JSON, 400),
            ({"nonsense": 1}, JSON, 400),
            ({"expect": ["X-Tenant"] * 33}, JSON, 400),
            (b"{", JSON, 400),
            ({}, {"Content-Type": "text/plain"}, 415),
            ({}, {**JSON, "Origin": "http://evil.example"}, 403),
            # That may call MCP, and is no page of this server.
            ({}, {**JSON, "Origin": "http://localhost:5173"}, 403),
        ):
            assert self.request("POST", "/t", body, headers).status == status, body
        assert self.request("GET", "/t").status == 405
        # That of plain /mcp alone.
        assert self.service.insight is not None
        assert len(self.service.insight.traces) == 1

    def test_one_address_has_a_share_of_the_traces(self) -> None:
        """Our choice: whoever makes the most of anything must not take all of it."""
        for _ in range(20):
            assert self.request("POST", "/t", {}, JSON).status == 201
        refused = self.request("POST", "/t", {}, JSON)
        assert refused.status == 429
        assert "as many as one may have" in refused.json["error"]["message"]

    def test_a_trace_of_nobody_makes_nothing(self) -> None:
        """Our choice: only the server mints ids."""
        for path in ("/t/" + "a" * 32 + "/mcp", "/t/" + "a" * 32 + "/report", "/v/" + "a" * 32 + "/report"):
            refused = self.request("POST" if path.endswith("mcp") else "GET", path, None, JSON)
            assert refused.status == 404
            assert "no such trace" in refused.json["error"]["message"]
        assert len(self.store) == 0

    def test_a_trace_that_is_over_says_when_and_why(self) -> None:
        """Our choice: whoever comes back to an old address is told."""
        made, other = self.make(seconds=10), self.make()
        assert self.request("DELETE", self.path(other)).status == 204
        self.clock.advance(10)
        for each, reason in ((made, "expired"), (other, "deleted")):
            refused = self.request("GET", self.path(each, "report"))
            assert refused.status == 404
            assert f"({reason}, 2023-11-14 22:13:" in refused.json["error"]["message"]

    def test_off_means_that_there_are_none(self) -> None:
        """docs: MCP_ECHO_WATCH."""
        self.serve({"MCP_ECHO_WATCH": "off"})
        assert self.request("POST", "/t", {}, JSON).status == 404
        assert "createTrace" not in self.service._offer.tools


class ReadingTests(TraceTestCase):
    def test_whatever_comes_below_its_address_is_recorded(self) -> None:
        """Our choice: refused, misdirected and asked ahead of time are what is looked for."""
        made = self.make()
        session = self.initialize_at(made)
        self.request("POST", self.path(made, "mcp"), b"x", {"Origin": "http://evil.example"})
        self.request("GET", "/.well-known/oauth-protected-resource" + self.path(made, "mcp"))
        self.request("OPTIONS", self.path(made, "mcp"))
        self.request("DELETE", self.path(made, "mcp/"), headers={"Mcp-Session-Id": session})
        self.request("GET", self.path(made, "nowhere"))
        seen = self.exchanges(made)
        assert [(each["httpMethod"], each["path"], each["status"]) for each in seen] == [
            ("POST", "/t/{trace}/mcp", 200),
            ("POST", "/t/{trace}/mcp", 403),
            ("GET", "/.well-known/oauth-protected-resource/t/{trace}/mcp", 404),
            ("OPTIONS", "/t/{trace}/mcp", 204),
            ("DELETE", "/t/{trace}/mcp/", 204),
            ("GET", "/t/{trace}/nowhere", 404),
        ]
        assert seen[0]["messages"][0]["params"]["client"] == "tests"
        assert seen[1]["refusal"] == "OriginRefused"
        assert seen[4]["session"] == seen[0]["session"]

    def test_who_is_refused_is_named(self) -> None:
        """Our choice: what a client got wrong is to be found under its name."""
        made = self.make()
        lacking = modern_message("tools/list", meta={f"{META}clientInfo": {"name": "lax", "version": "2"}})
        proper = modern_message("tools/list")
        wrong = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"clientInfo": {"name": "old"}}}
        for body, headers in (
            (lacking, routing_headers(lacking)),
            (proper, {**routing_headers(proper), "Mcp-Method": "wrong"}),
            (proper, {**routing_headers(proper), "MCP-Protocol-Version": "1999-01-01"}),
            (wrong, {"MCP-Protocol-Version": "1999-01-01"}),
        ):
            assert self.request("POST", self.path(made, "mcp"), body, {**headers, **JSON}).status == 400
        named = [(each.get("client"), each.get("clientVersion")) for each in self.exchanges(made)]
        assert named == [("lax", "2"), ("tests", "1"), ("tests", "1"), ("old", None)]
        assert self.get(self.path(made, "report"))["client"] == {"name": "old"}

    def test_the_address_of_another_trace_is_in_no_record(self) -> None:
        """Our choice: a page of one trace may have led to the other, and its address is a right to read."""
        made, other = self.make(), self.make()
        self.request("GET", self.path(made, "nowhere"), headers={"Referer": other["pageUrl"]})
        shown = self.request("GET", self.path(made, "exchanges")).body.decode()
        assert other["trace"] not in shown
        assert "/t/{trace}/" in shown

    def test_reading_it_is_not_recorded(self) -> None:
        """Our choice: a record that grows by being read tells nothing."""
        made = self.make()
        for below in ("", "report", "exchanges", "report?x=1"):
            assert self.request("GET", self.path(made, below)).status == 200
        assert self.exchanges(made) == []

    def test_the_share_key_reads_and_does_no_more(self) -> None:
        """Our choice: what is shown around must not let anybody change or delete it."""
        made = self.make()
        self.initialize_at(made)
        shared = "/v/" + made["shareUrl"].split("/")[-2]
        assert self.get(f"{shared}/report")["exchanges"] == 1
        assert self.request("DELETE", f"{shared}/").status == 405
        assert self.request("POST", f"{shared}/mcp", {}, JSON).status == 404
        assert made["trace"] not in self.request("GET", f"{shared}/exchanges").body.decode()

    def test_what_it_shows_is_for_its_reader_alone(self) -> None:
        """Our choice: an address that is a right to read must not be passed on by a browser or a cache."""
        answer = self.request("GET", self.path(self.make(), "report"))
        assert answer.header("Referrer-Policy") == "no-referrer"
        assert answer.header("Cache-Control") == "no-store"
        assert answer.header("X-Content-Type-Options") == "nosniff"
        assert answer.header("Access-Control-Allow-Origin") is None

    def test_exchanges_can_be_asked_for_from_where_they_were_left(self) -> None:
        """Our choice: for whoever comes back, or looks for one thing."""
        made = self.make()
        session = self.initialize_at(made)
        for name in ("one", "two"):
            body = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": name}}
            self.request("POST", self.path(made, "mcp"), body, {"Mcp-Session-Id": session})
        first = self.exchanges(made)[0]["number"]
        rest = self.get(self.path(made, f"exchanges?after={first}"))["exchanges"]
        assert [each["messages"][0]["name"] for each in rest] == ["one", "two"]
        found = self.get(self.path(made, "exchanges?q=TWO"))["exchanges"]
        assert [each["messages"][0]["name"] for each in found] == ["two"]
        assert self.request("GET", self.path(made, "exchanges?after=-1")).status == 400
        self.request("GET", self.path(made, "mcp/"))
        wrong = self.get(self.path(made, "exchanges?level=warning"))["exchanges"]
        assert ["path-spelling" in each["findings"] for each in wrong][-1:] == [True]
        assert self.request("GET", self.path(made, "exchanges?level=loud")).status == 400

    def test_the_oldest_records_give_way_and_it_is_said_how_many(self) -> None:
        """docs: MCP_ECHO_TRACE_EXCHANGES."""
        made = self.make()
        for _ in range(60):
            self.request("GET", self.path(made, "nowhere"))
        shown = self.get(self.path(made, "exchanges"))
        assert len(shown["exchanges"]) == 50
        assert shown["dropped"] == 10
        assert self.get(self.path(made, "report"))["exchanges"] == 60

    def test_no_secret_is_in_any_view(self) -> None:
        """Our choice: whoever is shown a trace must not be able to act as the client."""
        made = self.make()
        session = self.initialize_at(made)
        headers = {
            "Authorization": f"Bearer {CANARY}",
            "X-Api-Key": CANARY,
            "Mcp-Session-Id": session,
            **JSON,
        }
        body = {
            "jsonrpc": "2.0",
            "id": CANARY,
            "method": "tools/call",
            "params": {"name": CANARY, "arguments": {"token": CANARY}},
        }
        self.request("POST", self.path(made, f"mcp?token={CANARY}&x={CANARY}"), body, headers)
        self.request("POST", self.path(made, "mcp"), body, headers)
        self.request("GET", self.path(made, CANARY), headers=headers)
        commands = tuple(f"curl?exchange={each['number']}" for each in self.exchanges(made))
        assert len(commands) == 4
        for below in ("", "report", "exchanges", *commands):
            answer = self.request("GET", self.path(made, below))
            assert answer.status == 200
            shown = answer.body.decode()
            assert CANARY not in shown, below
            assert session not in shown, below
            assert made["trace"] not in shown, below
        one, two, three = (each["headers"] for each in self.exchanges(made)[1:])
        secrets = [[value for name, value in each if name == "Authorization"] for each in (one, two, three)]
        assert secrets[0] == secrets[1] == secrets[2], "equal secrets look equal"


class EventsTests(TraceTestCase):
    def follow(self, made: Any, **headers: str) -> Listening:
        listening = Listening(self.begin("GET", self.path(made, "events"), headers=headers))
        self.client.flush()
        return listening

    def kinds(self, listening: Listening) -> list[str]:
        self.client.flush()
        return [each["event"] for each in listening.events]

    def test_records_come_as_they_are_made(self) -> None:
        """Our choice: what is debugged is looked at while it happens."""
        made = self.make()
        self.request("GET", self.path(made, "before"))
        listening = self.follow(made)
        self.initialize_at(made)
        assert self.kinds(listening) == ["beat", "exchange", "session", "exchange"]
        again = self.follow(made, **{"Last-Event-ID": listening.events[1]["id"]})
        assert self.kinds(again) == ["beat", "session", "exchange"]

    def test_it_ends_with_the_trace(self) -> None:
        """Our choice: a reader is told that nothing more will come."""
        made = self.make()
        listening = self.follow(made)
        self.request("DELETE", self.path(made))
        assert self.kinds(listening) == ["beat", "end"]
        assert listening.over

    def test_its_head_alone_cannot_be_had(self) -> None:
        """RFC 9110 section 9.3.2: an answer to HEAD has no body, and this one would never end."""
        assert self.request("HEAD", self.path(self.make(), "events")).status == 405

    def test_it_beats(self) -> None:
        """Our choice: a reader can tell silence from a connection that is lost."""
        listening = self.follow(self.make())
        self.clock.advance(15)
        assert self.kinds(listening) == ["beat", "beat"]

    def test_so_many_may_read_at_a_time(self) -> None:
        """Our choice: each reader costs something with each record."""
        made = self.make()
        for _ in range(8):
            assert self.follow(made).status == 200
        refused = self.request("GET", self.path(made, "events"))
        assert (refused.status, refused.header("Retry-After")) == (429, "5")
        self.leave()
        assert self.follow(made).status == 200


class OwnTests(TraceTestCase):
    def test_sessions_belong_to_their_trace(self) -> None:
        """Our choice: two addresses are two servers, as far as a client can tell."""
        made, other = self.make(), self.make()
        session = self.initialize_at(made)
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        headers = {"Mcp-Session-Id": session, **JSON}
        assert self.request("POST", self.path(made, "mcp"), ping, headers).status == 200
        assert self.request("POST", self.path(other, "mcp"), ping, headers).status == 404
        assert self.request("POST", "/mcp", ping, headers).status == 404
        plain = self.initialize()
        answer = self.request("POST", self.path(made, "mcp"), ping, {**headers, "Mcp-Session-Id": plain})
        assert answer.status == 404

    def test_handles_belong_to_their_trace(self) -> None:
        """Our choice, as above, in the modern era."""
        made = self.make()
        handle = self.modern(made, "createEchoSession")["structuredContent"]["session"]
        assert not self.modern(made, "sessionInfo", session=handle)["isError"]
        assert self.modern(None, "sessionInfo", session=handle)["isError"]

    def modern(self, made: Any, tool: str, **arguments: Any) -> Any:
        message = modern_message("tools/call", {"name": tool, "arguments": arguments})
        path = "/mcp" if made is None else self.path(made, "mcp")
        return self.request("POST", path, message, routing_headers(message)).json["result"]

    def test_a_report_is_on_the_address_that_it_is_asked_by(self) -> None:
        """Our choice: whoever sends to a trace knows its id, and so may read it."""
        made = self.make(label="mine")
        self.initialize_at(made)
        report = self.modern(made, "clientReport")["structuredContent"]
        assert (report["about"], report["exchanges"]) == ("trace", 1)
        named = self.modern(None, "clientReport", trace=made["trace"])["structuredContent"]
        assert (named["about"], named["exchanges"]) == ("trace", 2)

    def test_a_report_without_a_trace_is_on_the_callers_own_session(self) -> None:
        """Our choice: nobody is told about anybody else."""
        mine, other = self.initialize(), self.initialize()
        self.call("echo", {"message": "a"}, session=other)
        report = self.call("clientReport", session=mine)["structuredContent"]
        assert (report["about"], report["exchanges"]) == ("session", 2)

    def test_session_info_names_the_findings_of_its_own_session(self) -> None:
        """Our choice: whoever looks at a session sees that there is more to read, and of no other session."""
        session, other = self.initialize(), self.initialize()
        for name in ("tools/list", "resources/list"):
            body = {"jsonrpc": "2.0", "id": name, "method": name}
            headers = {"Mcp-Session-Id": session, "Accept": BOTH, "Authorization": "Bearer undefined", **JSON}
            assert self.request("POST", "/mcp", body, headers).status == 200
        shown = self.call("sessionInfo", session=session)
        assert "authorization-malformed" in shown["structuredContent"]["findings"]
        (line,) = (each for each in shown["content"][0]["text"].splitlines() if "Findings" in each)
        assert "authorization-malformed" in line
        of_other = self.call("sessionInfo", session=other)["structuredContent"]
        assert "authorization-malformed" not in of_other["findings"]

    def test_session_info_has_no_findings_where_nothing_is_recorded(self) -> None:
        """Our choice: none were found is another thing than nobody looked."""
        self.serve({"MCP_ECHO_WATCH": "off"})
        shown = self.call("sessionInfo", session=self.initialize())
        assert "findings" not in shown["structuredContent"]
        assert "Findings" not in shown["content"][0]["text"]

    def test_a_modern_caller_whom_nobody_knows_is_told_of_its_own_exchange_alone(self) -> None:
        """Our choice: in the modern era nothing else holds requests together."""
        self.modern(None, "echo", message="somebody else's")
        report = self.modern(None, "clientReport")
        shown = report["structuredContent"]
        assert (shown["about"], shown["exchanges"]) == ("exchange", 1)
        assert "createTrace" in report["content"][0]["text"]

    def test_a_trace_is_made_by_a_tool(self) -> None:
        """Our choice: an agent can make one for another client."""
        made = self.modern(None, "createTrace", label="a")["structuredContent"]
        assert made["mcpUrl"].startswith("http://localhost:3000/t/")
        assert self.get(self.path(made, "report"))["label"] == "a"

    def test_the_trace_of_plain_mcp_is_counted_beyond_a_rate(self) -> None:
        """Our choice: recording has a budget, not a price."""
        session = self.initialize()
        for _ in range(70):
            self.rpc("ping", session=session)
        assert self.service.insight is not None
        plain = self.service.insight.plain
        assert plain is not None
        assert plain.exchanges == 72
        assert plain.unrecorded == 12

    def test_plain_mcp_is_recorded_only_where_all_who_come_are_here(self) -> None:
        """docs: MCP_ECHO_WATCH; behind a proxy here, the peer is loopback for the whole world."""
        for settings, recorded in (
            ({}, True),
            ({"MCP_ECHO_WATCH": "on", "MCP_ECHO_HOST": "0.0.0.0"}, True),
            ({"MCP_ECHO_HOST": "0.0.0.0"}, False),
            ({"MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1"}, False),
            ({"MCP_ECHO_PUBLIC_URL": "https://mcp.example.com"}, False),
            ({"MCP_ECHO_PORT": "unix:/tmp/mcp.sock"}, False),
        ):
            self.serve(settings)
            assert self.service.insight is not None
            assert (self.service.insight.plain is not None) == recorded, settings

    def test_addresses_are_those_that_clients_use(self) -> None:
        """docs: MCP_ECHO_PUBLIC_URL."""
        self.serve({"MCP_ECHO_PUBLIC_URL": "https://mcp.example.com"})
        assert self.make()["mcpUrl"].startswith("https://mcp.example.com/t/")

    def test_a_session_of_a_trace_streams_and_resumes(self) -> None:
        """insight: every transport feature of /mcp."""
        made = self.make()
        session = self.initialize_at(made)
        fields = {"Accept": "text/event-stream", "Mcp-Session-Id": session}
        listening = Listening(self.begin("GET", self.path(made, "mcp"), headers=fields))
        assert listening.status == 200
        self.leave()
        kinds = [type(each).__name__ for each in self.trace(made).records]
        assert kinds == ["SessionChange", "ExchangeRecord", "StreamRecord", "ExchangeRecord", "StreamRecord"]
        assert self.request("DELETE", self.path(made, "mcp"), headers=fields).status == 204

    def trace(self, made: Any) -> Any:
        assert self.service.insight is not None
        return self.service.insight.traces.find(made["trace"])

    def test_a_trace_that_a_file_names_is_at_the_same_address_after_a_restart(self) -> None:
        """docs: MCP_ECHO_TRACE_FILE."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = Path(directory.name) / "traces"
        path.write_text("my-client\n")
        addresses = []
        for _ in range(2):
            self.serve({"MCP_ECHO_TRACE_FILE": str(path)})
            addresses.append(path.read_text().split()[1])
            assert self.get(f"/t/{addresses[-1]}/report")["label"] == "my-client"
        assert addresses[0] == addresses[1]

    def test_fewer_are_recorded_behind_a_busy_second(self) -> None:
        """Our choice: recording has a budget, not a price."""
        insight = self.service.insight
        assert insight is not None
        assert insight.plain is not None
        for seconds, requests, recorded in ((0, 500, 60), (1, 60, 70), (9, 60, 80), (1, 60, 140)):
            self.clock.advance(seconds)
            for _ in range(requests):
                self.rpc("ping")
            assert insight.plain.exchanges - insight.plain.unrecorded == recorded

    def test_what_was_not_recorded_is_held_against_nobody(self) -> None:
        """Our choice: no rule accuses a correct client, also where there is no time to record it."""
        for _ in range(59):
            self.rpc("ping")
        # The last that is recorded in this second; what follows is counted.
        session = self.initialize("2025-11-25")
        version = {"MCP_Protocol_Version": "2025-11-25", "Accept": BOTH}
        for _ in range(2):
            self.clock.advance(1)
            self.rpc("tools/list", session=session, **version)
        self.clock.advance(60)
        report = self.call("clientReport", session=session, **version)["structuredContent"]
        assert "initialized-never-sent" not in [each["id"] for each in report["findings"]]
        insight = self.service.insight
        assert insight is not None
        assert insight.plain is not None
        assert insight.plain.unrecorded > 0
        assert "initialized-never-sent" not in [each.id for each in insight.report(insight.plain).findings]
