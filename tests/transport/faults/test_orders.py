"""Orders of faults: who may give them, what they hit, and when they are over. docs/faults.md."""

from __future__ import annotations

from mcp_echo.faults.kinds import KINDS
from tests.transport.faults.support import FaultTestCase
from tests.transport.support import ServerTestCase
from tests.transport.test_traces import JSON


class ArmingTests(FaultTestCase):
    def refused(self, order: object) -> str:
        answer = self.request("POST", self.path(self.made, "faults"), order, JSON)
        assert answer.status == 400
        message = answer.json["error"]["message"]
        assert isinstance(message, str)
        return message

    def test_an_order_is_told_as_it_was_given(self) -> None:
        given = {
            "fault": "reject",
            "options": {"status": 418},
            "match": {"method": "tools/call", "tool": "echo", "nth": 3},
            "after": 1,
            "times": 1,
            "seconds": 60,
            "probability": 0.5,
            "seed": 7,
        }
        answer = self.request("POST", self.path(self.made, "faults"), given, JSON)
        assert answer.status == 201
        assert {name: answer.json[name] for name in given} == given
        assert answer.json["armed"] == "2023-11-14T22:13:20.000Z"
        assert answer.json["expires"] == "2023-11-14T22:14:20.000Z"
        assert answer.json["state"] == "armed"

    def test_what_cannot_be_carried_out_is_refused_with_what_can(self) -> None:
        assert "fault is 'nope'; there are session-lost, " in self.refused({"fault": "nope"})
        assert "options of delay" in self.refused({"fault": "delay", "options": {"seconds": 121}})
        assert "upTo is less" in self.refused({"fault": "delay", "options": {"seconds": 5, "upTo": 1}})
        assert "unknown field `x`" in self.refused({"fault": "delay", "options": {"x": 1}})
        assert "names" in self.refused({"fault": "headers-required"})
        assert "times" in self.refused({"fault": "empty", "times": 101})
        assert "seconds" in self.refused({"fault": "empty", "seconds": 3601})
        assert "leg" in self.refused({"fault": "empty", "match": {"leg": "x"}})
        assert "plan is 'x'; there are session-loss" in self.refused({"plan": "x"})
        assert "Invalid request" in self.refused(b"[")
        assert "Invalid request" in self.refused([])
        assert self.orders() == []

    def test_a_trace_has_so_many_orders_and_those_that_are_over_give_way(self) -> None:
        """Our choice: 32."""
        for _ in range(32):
            self.arm("reject")
        assert "at most 32 orders" in self.refused({"fault": "reject"})
        self.request("POST", body={"jsonrpc": "2.0", "id": 1, "method": "ping"})
        assert self.arm("reject")["number"] == 33
        assert [each["number"] for each in self.orders()] == list(range(2, 34))

    def test_only_programs_and_our_own_pages_may_order(self) -> None:
        path, order = self.path(self.made, "faults"), {"fault": "reject"}
        assert self.request("POST", path, order).status == 415
        foreign = {**JSON, "Origin": "https://evil.example"}
        assert self.request("POST", path, order, foreign).status == 403
        assert self.request("DELETE", path, headers={"Origin": "https://evil.example"}).status == 403
        own = {**JSON, "Origin": "http://localhost:3000"}
        assert self.request("POST", path, order, own).status == 201

    def test_who_may_read_sees_the_orders_and_gives_none(self) -> None:
        self.arm("reject")
        path = self.made["shareUrl"].removeprefix("http://localhost:3000") + "faults"
        assert self.get(path)["orders"][0]["fault"] == "reject"
        assert self.request("POST", path, {"fault": "reject"}, JSON).status in (404, 405)
        assert self.request("DELETE", path).status in (404, 405)

    def test_every_fault_is_told_with_its_options(self) -> None:
        told = self.get(self.path(self.made, "faults"))
        assert [each["fault"] for each in told["kinds"]] == list(KINDS)
        status = next(each for each in told["kinds"] if each["fault"] == "reject")["options"][0]
        assert status == {
            "name": "status",
            "kind": "integer",
            "default": 503,
            "least": 400,
            "most": 599,
            "choices": None,
        }
        assert {each["plan"] for each in told["plans"]} >= {"session-loss"}

    def test_all_are_disarmed_at_once(self) -> None:
        self.arm("reject")
        self.arm("delay")
        assert self.request("DELETE", self.path(self.made, "faults")).status == 204
        assert [each["state"] for each in self.orders()] == ["disarmed", "disarmed"]
        assert self.request("POST", body={"jsonrpc": "2.0", "id": 1, "method": "ping"}).status == 200

    def test_a_trace_is_made_with_orders(self) -> None:
        self.made = self.make(faults=[{"fault": "reject", "options": {"status": 599}}])
        self.endpoint = f"/t/{self.made['trace']}/mcp"
        assert self.rpc("ping").status == 599
        assert self.rpc("ping").status == 200
        self.endpoint = "/mcp"
        orders = [{"fault": "reject", "options": {"status": 599}}]
        made = self.call("createTrace", {"faults": orders}, session=self.session())["structuredContent"]
        self.endpoint = f"/t/{made['trace']}/mcp"
        assert self.rpc("ping").status == 599
        unknown = self.request("POST", "/t", {"faults": [{"x": 1}]}, JSON)
        assert "faults: Object contains unknown field `x`" in unknown.json["error"]["message"]
        refused = self.request("POST", "/t", {"faults": [{"fault": "nope"}]}, JSON)
        assert refused.status == 400
        assert "fault is 'nope'" in refused.json["error"]["message"]


class FiringTests(FaultTestCase):
    def statuses(self, many: int, method: str = "ping") -> list[int]:
        return [self.rpc(method).status for _ in range(many)]

    def test_an_order_fires_as_often_as_it_says(self) -> None:
        self.arm("reject", times=2)
        assert self.statuses(4) == [503, 503, 200, 200]

    def test_the_first_ones_pass(self) -> None:
        self.arm("reject", after=2, times=2)
        assert self.statuses(6) == [200, 200, 503, 503, 200, 200]

    def test_only_the_nth_is_hit(self) -> None:
        self.arm("reject", match={"nth": 3}, times=5)
        assert self.statuses(6) == [200, 200, 503, 200, 200, 200]
        assert self.orders()[0]["state"] == "over"

    def test_only_what_matches_is_hit(self) -> None:
        self.arm("reject", match={"method": "tools/list"})
        assert self.statuses(2) == [200, 200]
        assert self.statuses(1, "tools/list") == [503]
        self.arm("reject", match={"tool": "echo"})
        session = self.session()
        assert self.text("healthProbe", session=session)
        assert self.echo(session).status == 503

    def test_an_order_is_over_with_its_time(self) -> None:
        self.arm("reject", seconds=10)
        self.clock.advance(10)
        assert self.statuses(1) == [200]
        assert self.orders()[0]["state"] == "expired"

    def test_the_same_seed_gives_the_same_sequence(self) -> None:
        self.arm("reject", times=100, probability=0.5, seed=42)
        first = self.statuses(20)
        self.made = self.make()
        self.endpoint = f"/t/{self.made['trace']}/mcp"
        self.arm("reject", times=100, probability=0.5, seed=42)
        assert self.statuses(20) == first
        assert {200, 503} == set(first)

    def test_the_first_order_that_fits_is_the_one(self) -> None:
        self.arm("reject", {"status": 500})
        self.arm("reject", {"status": 502})
        assert self.statuses(3) == [500, 502, 200]

    def test_a_plan_goes_one_after_the_other(self) -> None:
        answer = self.request("POST", self.path(self.made, "faults"), {"plan": "session-loss"}, JSON)
        assert answer.status == 201
        numbers = [each["number"] for each in answer.json["orders"]]
        states = [each["state"] for each in answer.json["orders"]]
        assert states == ["armed", *["waiting"] * (len(numbers) - 1)]
        session = self.session()
        self.pass_through(session, len(numbers))
        assert [each["state"] for each in self.orders()] == ["over"] * len(numbers)

    def pass_through(self, session: str, most: int) -> None:
        for _ in range(most * 4):
            self.echo(session)

    def test_the_order_behind_one_that_expires_has_its_turn(self) -> None:
        self.request("POST", self.path(self.made, "faults"), {"plan": "session-loss"}, JSON)
        self.clock.advance(301)
        assert [each["state"] for each in self.orders()][:2] == ["expired", "armed"]


class BoundsTests(FaultTestCase):
    def test_only_the_trace_that_it_belongs_to_is_hit(self) -> None:
        other = self.make()
        self.arm("reject", times=100)
        body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        assert self.request("POST", self.path(other, "mcp"), body).status == 200
        self.endpoint = "/mcp"
        assert self.request("POST", body=body).status == 200
        assert self.request("GET", "/health").status == 200
        assert self.request("GET", "/ready").status == 200
        assert self.request("GET", self.path(self.made, "report")).status == 200
        assert self.request("GET", self.path(self.made), headers={"Accept": "text/html"}).status == 200

    def test_the_trace_of_plain_mcp_takes_no_orders(self) -> None:
        """Our choice: /mcp is everybody's."""
        self.serve({"MCP_ECHO_WATCH": "on"})
        assert self.service.insight is not None
        plain = self.service.insight.plain
        assert plain is not None
        for method in ("GET", "POST", "DELETE"):
            answer = self.request(method, f"/t/{plain.id}/faults", {"fault": "reject"}, JSON)
            assert answer.status in (404, 405)


class OffTests(ServerTestCase):
    settings = {"MCP_ECHO_FAULTS": "off"}

    def test_nothing_of_faults_is_there(self) -> None:
        made = self.request("POST", "/t", {}, JSON).json
        for method in ("GET", "POST", "DELETE"):
            answer = self.request(method, f"/t/{made['trace']}/faults", {"fault": "reject"}, JSON)
            assert answer.status in (404, 405)
        refused = self.request("POST", "/t", {"faults": [{"fault": "reject"}]}, JSON)
        assert "MCP_ECHO_FAULTS is off" in refused.json["error"]["message"]
        names = {each["name"] for each in self.rpc("tools/list").json["result"]["tools"]}
        assert "createTrace" in names
        assert not names & {"armFault", "drillPlan"}


class ToolTests(FaultTestCase):
    def test_a_tool_arms_lists_and_disarms(self) -> None:
        trace = self.made["trace"]
        self.endpoint = "/mcp"
        session = self.session()
        armed = self.text(
            "armFault", {"trace": trace, "fault": "reject", "when": {"times": 3}}, session=session
        )
        assert armed == "🧨 Faults\n\n1. reject: armed, fired 0 of 3"
        assert self.text("armFault", {"trace": trace}, session=session) == armed
        gone = self.text("armFault", {"trace": trace, "disarm": True}, session=session)
        assert gone == "🧨 Faults\n\n1. reject: disarmed, fired 0 of 3"

    def test_a_tool_says_what_is_wrong_with_an_order(self) -> None:
        session = self.session()
        for arguments, part in (
            ({"fault": "nope"}, "there are session-lost"),
            ({"fault": "delay", "options": {"seconds": -1}}, "options of delay"),
            ({"fault": "reject", "match": {"x": 1}}, "unknown field `x`"),
            ({"fault": "reject", "when": {"times": 0}}, "times"),
            ({"fault": "reject", "when": {"often": 2}}, "unknown field `often`"),
            ({"trace": "x", "fault": "reject"}, "There is no such trace"),
        ):
            result = self.call("armFault", arguments, session=session)
            assert result["isError"]
            assert part in result["content"][0]["text"]

    def test_at_plain_mcp_a_trace_has_to_be_named(self) -> None:
        self.endpoint = "/mcp"
        result = self.call("armFault", {"fault": "reject"}, session=self.session())
        assert result["isError"]
        assert "call createTrace" in result["content"][0]["text"]

    def test_a_plan_is_armed_and_reported_on(self) -> None:
        session = self.session()
        assert "Drill Plan session-loss" in self.text("drillPlan", {"plan": "session-loss"}, session=session)
        self.echo(session)
        self.echo(self.session())
        self.endpoint = "/mcp"
        report = self.text("drillPlan", {"trace": self.made["trace"]}, session=self.session())
        assert "session-lost 404" in report
        shown = self.request("GET", self.path(self.made, "faults.md"))
        assert shown.header("Content-Type") == "text/markdown; charset=utf-8"
        assert shown.body.decode() == report
        assert "Began anew" in report
        assert self.made["trace"] not in report
