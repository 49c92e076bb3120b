"""The resources that show findings and traces, in both eras, and who hears of new findings."""

from __future__ import annotations

import json
from typing import Any

from mcp_echo.watch.rules.table import RULES
from tests.transport.support import Answer, Posted, modern_message, routing_headers
from tests.transport.test_traces import JSON, TraceTestCase

BELOW = ("", "/timeline", "/evidence.md", "/evidence.json")


class TraceResourceTests(TraceTestCase):
    def uri(self, made: Any, below: str = "") -> str:
        return f"echo://trace/{made['trace']}{below}"

    def modern(self, method: str, params: Any) -> Answer:
        message = modern_message(method, params)
        return self.request("POST", "/mcp", message, {**routing_headers(message), **JSON})

    def read(self, uri: str) -> Any:
        """Return what both eras read."""
        legacy = self.rpc("resources/read", {"uri": uri}, session=self.initialize()).json["result"]
        modern = self.modern("resources/read", {"uri": uri}).json["result"]
        assert legacy["contents"] == modern["contents"]
        (contents,) = legacy["contents"]
        assert contents["uri"] == uri
        return contents

    def break_a_rule(self, made: Any, *values: str) -> None:
        """Send what is refused, so that no session of the trace is in play."""
        headers = {"Authorization": ", ".join(values) or "Bearer undefined", **JSON}
        self.request("POST", self.path(made, "mcp"), b"x", headers)

    def subscribe(self, uri: str, session: str) -> Any:
        return self.rpc("resources/subscribe", {"uri": uri}, session=session).json

    # Reading.

    def test_the_catalogue_has_a_row_for_every_rule(self) -> None:
        """Our choice: whoever is shown the id of a finding can look it up."""
        contents = self.read("echo://findings")
        shown = json.loads(contents["text"])["findings"]
        assert [each["id"] for each in shown] == list(RULES)
        assert shown[0] == json.loads(json.dumps(next(iter(RULES.values())).described()))

    def test_a_trace_is_read_as_over_http(self) -> None:
        """Our choice: one report, whichever way it is asked for."""
        made = self.make(label="mine")
        self.initialize_at(made)
        self.break_a_rule(made)
        report = json.loads(self.read(self.uri(made))["text"])
        assert report == self.get(self.path(made, "report"))
        assert "authorization-malformed" in {each["id"] for each in report["findings"]}
        timeline = json.loads(self.read(self.uri(made, "/timeline"))["text"])
        assert timeline == {"verdict": report["verdict"], "flows": report["flows"]}
        for ending, kind in (("md", "text/markdown"), ("json", "application/json")):
            contents = self.read(self.uri(made, f"/evidence.{ending}"))
            served = self.request("GET", self.path(made, f"evidence.{ending}"))
            assert contents["mimeType"] == kind
            assert contents["text"] == served.body.decode()

    def test_an_unknown_trace_is_no_resource(self) -> None:
        """2025-11-25 server/resources, Error Handling: -32002; -32602 in 2026-07-28."""
        made = self.make()
        self.request("DELETE", self.path(made))
        session = self.initialize()
        for uri in (*(self.uri(made, each) for each in BELOW), "echo://trace/" + "a" * 32, "echo://trace/"):
            for method in ("read", "subscribe"):
                error = self.rpc(f"resources/{method}", {"uri": uri}, session=session).json["error"]
                assert (error["code"], error["message"]) == (-32002, f"Resource not found: {uri}"), uri
            assert self.modern("resources/read", {"uri": uri}).json["error"]["code"] == -32602

    def test_they_are_listed_where_there_are_traces(self) -> None:
        """docs: MCP_ECHO_WATCH."""
        for watch, offered in (("on", True), ("off", False)):
            self.serve({"MCP_ECHO_WATCH": watch})
            listed = self.modern("resources/list", {}).json["result"]["resources"]
            templates = self.modern("resources/templates/list", {}).json["result"]["resourceTemplates"]
            wanted = {f"echo://trace/{{trace}}{each}" for each in BELOW}
            assert ("echo://findings" in {each["uri"] for each in listed}) is offered
            assert (wanted <= {each["uriTemplate"] for each in templates}) is offered
            asked = self.modern("resources/read", {"uri": "echo://findings"}).json
            assert ("result" in asked) is offered

    def test_the_record_of_a_reader_does_not_have_the_id(self) -> None:
        """Our choice: who may read what comes to /mcp must not come to other traces by that."""
        made = self.make()
        self.read(self.uri(made))
        assert self.service.insight is not None
        plain = self.service.insight.plain
        assert plain is not None
        names = [each.name for record in plain.records for each in getattr(record, "messages", ())]
        assert names.count("echo://trace/{trace}") == 2
        assert made["trace"] not in str(list(plain.records))

    # Subscribing.

    def told(self, listening: Any) -> list[str]:
        self.client.flush()
        return [
            each["params"]["uri"]
            for each in listening.messages
            if each["method"] == "notifications/resources/updated"
        ]

    def test_a_subscriber_hears_of_each_new_finding_once(self) -> None:
        """2025-11-25 server/resources, Subscriptions: the server notifies of changes."""
        made = self.make()
        session = self.initialize()
        assert self.subscribe(self.uri(made), session)["result"] == {}
        listening = self.listen(session)
        assert self.told(listening) == []
        self.break_a_rule(made)
        self.break_a_rule(made)
        self.break_a_rule(self.make())
        assert self.told(listening) == [self.uri(made)]
        self.request("POST", self.path(made, "mcp/"), b"x", JSON)
        found = {each["id"] for each in self.get(self.path(made, "report"))["findings"]}
        assert "path-spelling" in found, found
        assert self.told(listening) == [self.uri(made)] * 2

    def test_all_that_shows_a_trace_has_changed_with_it(self) -> None:
        """As above: each of its resources."""
        made = self.make()
        session = self.initialize()
        for below in BELOW:
            assert self.subscribe(self.uri(made, below), session)["result"] == {}
        listening = self.listen(session)
        self.break_a_rule(made)
        assert self.told(listening) == [self.uri(made, below) for below in BELOW]

    def test_a_modern_subscriber_hears_of_it_on_its_stream(self) -> None:
        """2026-07-28 basic/patterns/subscriptions: resourceSubscriptions."""
        made = self.make()
        unknown = "echo://trace/" + "a" * 32
        wanted = {"notifications": {"resourceSubscriptions": [self.uri(made), unknown]}}
        message = modern_message("subscriptions/listen", wanted)
        listening = Posted(self, message, routing_headers(message))
        self.break_a_rule(made)
        assert unknown not in str(listening.messages)
        assert self.told(listening) == [self.uri(made)]
