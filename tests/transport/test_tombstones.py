"""What becomes of the ids of sessions that are gone, or are on another node: what is told, and to whom."""

from __future__ import annotations

import uuid
from typing import Any

from tests.transport.support import Answer
from tests.transport.test_traces import JSON, TraceTestCase

PLAIN = "Session not found or expired"


class TombstoneTestCase(TraceTestCase):
    settings = {"MCP_SESSION_TIMEOUT": "60", "MCP_ECHO_TRACE_EXCHANGES": "50"}

    def send(self, path: str, method: str, session: str, **headers: str) -> Answer:
        """Ask as a client of 2025-06-18 does."""
        body: dict[str, Any] = {"jsonrpc": "2.0", "id": 2, "method": method}
        if method == "initialize":
            client = {"name": "tests", "version": "1"}
            body["params"] = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
        known = {"Mcp-Session-Id": session, "Mcp-Protocol-Version": "2025-06-18", **JSON, **headers}
        return self.request("POST", path, body, known)

    def list_tools(self, made: Any, session: str, **headers: str) -> Answer:
        return self.send(self.path(made, "mcp"), "tools/list", session, **headers)

    def said(self, answer: Answer) -> str:
        assert answer.status == 404
        assert answer.json["error"]["code"] == -32603
        message: str = answer.json["error"]["message"]
        return message

    def findings(self, made: Any) -> dict[str, Any]:
        return {each["id"]: each for each in self.get(self.path(made, "report"))["findings"]}


class TombstoneOwnerTests(TombstoneTestCase):
    def test_the_owner_of_an_expired_session_is_told_its_life(self) -> None:
        """2025-11-25 basic/transports, Session Management, rule 3: 404. What it says is our choice."""
        made = self.make()
        session = self.initialize_at(made)
        self.clock.advance(10)
        assert self.list_tools(made, session).status == 200
        self.clock.advance(90)
        said = self.said(self.list_tools(made, session))
        assert said == (
            f"{PLAIN}: made 2023-11-14 22:13:20 UTC on {self.store.node}, last used 2023-11-14 22:13:30 UTC, "
            "expired 2023-11-14 22:14:30 UTC"
        )

    def test_a_session_that_expired_unseen_is_remembered(self) -> None:
        """Our choice: most ends are found by the sweep, and not by a request."""
        session = self.initialize()
        self.clock.advance(100)
        self.store.expire()
        assert "expired 2023-11-14 22:14:20 UTC" in self.said(self.send("/mcp", "tools/list", session))

    def test_the_owner_of_a_closed_session_is_told_so(self) -> None:
        """Our choice: whoever still uses it can see who ended it."""
        session = self.initialize()
        self.clock.advance(5)
        assert self.request("DELETE", headers={"Mcp-Session-Id": session}).status == 204
        for again in (
            self.send("/mcp", "tools/list", session),
            self.request("DELETE", headers={"Mcp-Session-Id": session}),
            self.request("GET", headers={"Mcp-Session-Id": session, "Accept": "text/event-stream"}),
        ):
            assert "closed by DELETE or by a fault 2023-11-14 22:13:25 UTC" in self.said(again)

    def test_the_owner_of_a_displaced_session_is_told_so(self) -> None:
        """Our choice: that there were too many is the operator's matter, and the client's to know."""
        self.serve({"MCP_MAX_SESSIONS": "1"})
        session = self.initialize()
        self.initialize()
        said = self.said(self.send("/mcp", "tools/list", session))
        assert "displaced by another session 2023-11-14 22:13:20 UTC" in said

    def test_nobody_else_learns_that_there_was_one(self) -> None:
        """Our choice: an id that was never given and one of somebody else's read the same, to the byte."""
        self.serve({**self.settings, "MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1", "MCP_ECHO_WATCH": "on"})
        made, other = self.make(), self.make()
        session = self.initialize_at(made)
        plain = self.initialize()
        self.clock.advance(100)
        self.store.expire()
        assert len(self.service.tombstones) == 2
        never = self.list_tools(other, f"{session[:-1]}{'1' if session[-1] == '0' else '0'}")
        for answer in (
            self.list_tools(other, session),
            self.list_tools(made, session, **{"X-User-Id": "mallory"}),
            self.send("/mcp", "tools/list", session),
            self.list_tools(made, plain),
            self.send("/mcp", "tools/list", plain, **{"X-User-Id": "mallory"}),
        ):
            assert (answer.status, answer.body) == (404, never.body)
        assert self.said(never) == PLAIN
        assert "session-expired" not in {**self.findings(other), **self.findings(made)}
        assert all("tombstone" not in each for each in self.exchanges(made) + self.exchanges(other))
        assert "expired 2023" in self.said(self.list_tools(made, session))

    def test_so_many_are_remembered(self) -> None:
        """docs: MCP_ECHO_TOMBSTONES."""
        self.serve({"MCP_ECHO_TOMBSTONES": "2"})
        sessions = [self.initialize() for _ in range(3)]
        for each in sessions:
            self.request("DELETE", headers={"Mcp-Session-Id": each})
        said = [self.said(self.send("/mcp", "tools/list", each)) for each in sessions]
        assert [each == PLAIN for each in said] == [True, False, False]
        assert len(self.service.tombstones) == 2

    def test_none_is_remembered_where_none_is_wanted(self) -> None:
        """docs: MCP_ECHO_TOMBSTONES."""
        self.serve({"MCP_ECHO_TOMBSTONES": "0"})
        session = self.initialize()
        self.request("DELETE", headers={"Mcp-Session-Id": session})
        assert self.said(self.send("/mcp", "tools/list", session)) == PLAIN


class TombstoneFindingTests(TombstoneTestCase):
    def test_calls_with_an_expired_id_are_told_of(self) -> None:
        """2025-11-25 basic/transports, Session Management, rule 4: after 404, a new session is begun."""
        made = self.make()
        session = self.initialize_at(made)
        self.clock.advance(61)
        for _ in range(2):
            self.list_tools(made, session)
            self.clock.advance(1)
        found = self.findings(made)
        expired, kept = found["session-expired"], found["session-kept-after-404"]
        assert (expired["count"], expired["level"], kept["count"]) == (1, "info", 1)
        for part in ("2023-11-14T22:13:20.000Z", "2023-11-14T22:14:20.000Z", self.store.node, "nobody used"):
            assert part in expired["summary"], part
        shown = self.exchanges(made)[-1]
        assert shown["tombstone"]["reason"] == "expired"
        assert shown["sessionForm"] == "ours"
        assert shown["messages"][0]["method"] == "tools/list"

    def test_initialize_with_the_id_of_a_dead_session_is_told_of(self) -> None:
        """2025-11-25 basic/transports, Session Management, rule 4: without a session id attached."""
        made = self.make()
        session = self.initialize_at(made)
        self.clock.advance(61)
        answer = self.send(self.path(made, "mcp"), "initialize", session)
        assert "expired" in self.said(answer)
        assert self.findings(made)["initialize-with-dead-id"]["count"] == 1

    def test_a_client_that_begins_anew_is_told_nothing_more(self) -> None:
        """As above: no rule accuses a client that does as it should."""
        made = self.make()
        session = self.initialize_at(made)
        self.clock.advance(61)
        self.list_tools(made, session)
        self.initialize_at(made)
        assert not {"session-kept-after-404", "initialize-with-dead-id"} & set(self.findings(made))

    def test_a_session_of_another_node_is_told_of(self) -> None:
        """Our choice: a load balancer without affinity is what most often loses sessions."""
        session = self.initialize()
        tag = self.get("/health")["node_tag"]
        self.serve(self.settings)
        here = self.get("/health")["node_tag"]
        made = self.make()
        answer = self.list_tools(made, session)
        assert self.said(answer) == PLAIN
        found = self.findings(made)["session-made-elsewhere"]
        assert found["confidence"] == "likely"
        (evidence,) = found["evidence"]
        assert (evidence["wanted"], evidence["found"]) == (tag, here)
        shown = self.exchanges(made)[-1]
        assert shown["tombstone"] == {"node": tag, "shared": False}
        assert shown["sessionForm"] == "elsewhere"
        assert "another node made it, or this one before it was started again" in found["summary"]

    def test_a_node_that_has_a_name_takes_no_session_of_its_former_life_for_that_of_another(self) -> None:
        """docs: MCP_ECHO_NODE. A restart is no fault of a load balancer."""
        self.serve({**self.settings, "MCP_ECHO_NODE": "a"})
        session = self.initialize()
        self.serve({**self.settings, "MCP_ECHO_NODE": "a"})
        made = self.make()
        assert self.said(self.list_tools(made, session)) == PLAIN
        assert self.exchanges(made)[-1]["sessionForm"] == "ours"
        assert "session-made-elsewhere" not in self.findings(made)
        self.serve({**self.settings, "MCP_ECHO_NODE": "b"})
        made = self.make()
        self.list_tools(made, session)
        assert self.findings(made)["session-made-elsewhere"]["summary"].endswith(": another node made it")

    def test_an_id_of_the_wrong_form_is_named(self) -> None:
        """Our choice: what is wrong with it tells where to look."""
        made = self.make()
        session = self.initialize_at(made)
        for sent, form in (
            ("undefined", "undefined"),
            (f'"{session}"', "quoted"),
            (f"{session}, {session}", "doubled"),
            (str(uuid.uuid1()), "foreign"),
            (str(uuid.uuid4()), "ours"),
        ):
            assert self.said(self.list_tools(made, sent)) == PLAIN
            shown = self.exchanges(made)[-1]
            assert (shown["sessionForm"], shown.get("tombstone")) == (form, None), sent
