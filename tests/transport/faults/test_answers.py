"""Faults that change what the server answers. docs/faults.md."""

from __future__ import annotations

import json

from mcp_echo.faults.events import EVENT_STREAM
from mcp_echo.watch.records import StreamRecord
from tests.transport.faults.support import FaultTestCase
from tests.transport.support import MODERN, Posted, claim, modern_message, parse_events, routing_headers
from tests.transport.test_traces import JSON


class WholeAnswerTests(FaultTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.in_session = self.session()

    def test_an_answer_has_another_id(self) -> None:
        self.arm("answer", {"as": "wrong-id"})
        assert self.echo(self.in_session).json["id"] == 1_000_002
        self.arm("answer", {"as": "wrong-id"})
        assert self.echo(self.in_session, "a").json["id"] == "a-wrong"
        self.arm("answer", {"as": "null-id"})
        answer = self.echo(self.in_session).json
        assert (answer["id"], answer["result"]["structuredContent"]["echoCount"]) == (None, 3)

    def test_an_answer_is_no_json(self) -> None:
        self.arm("answer", {"as": "not-json"})
        answer = self.echo(self.in_session)
        assert answer.header("Content-Type") == "application/json"
        self.assertRaises(ValueError, json.loads, answer.body)
        self.arm("answer", {"as": "html"})
        page = self.echo(self.in_session)
        assert page.header("Content-Type") == "text/html; charset=utf-8"
        assert page.body.startswith(b"<!doctype html>")

    def test_an_answer_comes_twice_or_as_an_error_on_a_stream_of_its_own(self) -> None:
        self.arm("answer", {"as": "twice"})
        answer = self.echo(self.in_session)
        assert answer.header("Content-Type") == "text/event-stream"
        first, second = answer.events
        assert first == second
        assert json.loads(first["data"])["id"] == 2
        self.arm("answer", {"as": "error-mid-stream"})
        (event,) = self.echo(self.in_session).events
        assert json.loads(event["data"])["error"]["code"] == -32603

    def test_who_takes_no_stream_gets_none(self) -> None:
        """RFC 9110 section 15.5.7: an answer is of a type that Accept names."""
        self.arm("answer", {"as": "twice"})
        answer = self.rpc(
            "tools/call",
            {"name": "echo", "arguments": {"message": "x"}},
            self.in_session,
            Accept="application/json",
        )
        assert answer.json["result"]["isError"] is False
        assert self.orders()[0]["fired"] == 0

    def test_a_tool_fails(self) -> None:
        self.arm("tool-error", {"message": "out of paper"})
        result = self.echo(self.in_session).json["result"]
        assert result == {"content": [{"type": "text", "text": "out of paper"}], "isError": True}

    def test_the_type_of_an_answer_is_another(self) -> None:
        self.arm("content-type", {"value": "text/html"})
        assert self.echo(self.in_session).header("Content-Type") == "text/html"
        self.arm("content-type", {"value": "none"})
        assert self.echo(self.in_session).header("Content-Type") is None

    def test_a_tool_is_hidden_and_takes_no_calls(self) -> None:
        self.arm("tools", {"as": "hide"}, times=2)
        names = [each["name"] for each in self.rpc("tools/list", {}, self.in_session).json["result"]["tools"]]
        assert "printHeader" in names
        assert "echo" not in names
        assert self.echo(self.in_session).json["error"] == {"code": -32602, "message": "Unknown tool: echo"}
        assert self.echo(self.in_session).json["result"]["isError"] is False

    def test_the_schema_of_a_tool_asks_for_more(self) -> None:
        self.arm("tools", {"as": "schema-change", "tool": "printHeader"})
        listed = {
            each["name"]: each for each in self.rpc("tools/list", {}, self.in_session).json["result"]["tools"]
        }
        assert listed["printHeader"]["inputSchema"]["required"] == ["addedByFault"]

    def test_who_listens_hears_that_the_tools_have_changed(self) -> None:
        """2025-11-25 server/tools, List Changed Notification."""
        listening, other = self.listen(self.in_session), self.listen(self.session())
        self.arm("reject")
        assert listening.messages == []
        self.arm("tools", {"as": "hide"})
        self.client.flush()
        changed = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {}}
        assert listening.messages == other.messages == [changed]
        self.request("DELETE", self.path(self.made, "faults"))
        self.client.flush()
        assert listening.messages == [changed] * 2

    def test_a_tool_has_another_name_and_is_called_by_it(self) -> None:
        self.arm("tools", {"as": "rename"}, times=3)
        names = [each["name"] for each in self.rpc("tools/list", {}, self.in_session).json["result"]["tools"]]
        assert "echoRenamed" in names
        assert "echo" not in names
        assert self.echo(self.in_session).json["error"]["message"] == "Unknown tool: echo"
        result = self.call("echoRenamed", {"message": "x"}, session=self.in_session)
        assert result["structuredContent"]["message"] == "x"

    def test_a_cancelled_request_is_answered_all_the_same(self) -> None:
        """2025-11-25 basic/utilities/cancellation: receivers should not answer; clients ignore who does."""
        self.arm("answer", {"as": "after-cancel"})
        posted = self.begin_call(self.in_session, "clientProbe", 7, feature="cancellation", seconds=5)
        cancelled = {
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": {"requestId": 7, "reason": "test"},
        }
        self.request("POST", body=cancelled, headers={"Mcp-Session-Id": self.in_session})
        self.client.flush()
        assert (posted.status, posted.json) == (200, {"jsonrpc": "2.0", "id": 7, "result": {}})


class LateAnswerTests(FaultTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.in_session = self.session()

    def test_an_answer_comes_late(self) -> None:
        self.arm("delay", {"seconds": 2})
        posted = self.begin_call(self.in_session)
        self.pass_time(1.9)
        assert posted.status is None
        self.pass_time(0.2)
        assert posted.json["id"] == 2
        assert self.last_exchange()["last"] >= 2.0

    def test_a_range_of_delays_is_the_same_with_the_same_seed(self) -> None:
        taken = []
        for _ in range(2):
            self.arm("delay", {"seconds": 0.5, "upTo": 3.5}, seed=11)
            posted = self.begin_call(self.in_session)
            self.pass_time(3.6)
            assert posted.over
            taken.append(round(self.last_exchange()["last"], 2))
        assert taken[0] == taken[1]
        assert 0.5 < taken[0] < 3.5

    def test_silence_ends_without_an_answer(self) -> None:
        self.arm("silence", {"seconds": 3})
        posted = self.begin_call(self.in_session)
        self.pass_time(3.2)
        assert posted.status is None
        record = self.last_exchange()
        assert record["fault"] == "silence"
        assert "left" not in record

    def test_an_answer_drips(self) -> None:
        self.arm("drip", {"bytesPerSecond": 100})
        posted = self.begin_call(self.in_session)
        self.pass_time(1.0)
        assert 60 <= len(posted.body) <= 100
        self.pass_time(3.0)
        assert posted.json["id"] == 2

    def test_who_leaves_is_held_no_longer(self) -> None:
        self.arm("silence", {"seconds": 100}, times=100)
        for _ in range(3):
            held = [self.begin_call(self.in_session) for _ in range(8)]
            assert self.echo(self.in_session).status == 429
            for posted in held:
                posted.leave()
            self.pass_time(1.0)
        assert self.last_exchange()["left"] >= 0

    def test_the_ninth_of_a_trace_is_refused(self) -> None:
        """Our choice: 8 of a trace are held at a time."""
        self.arm("delay", {"seconds": 5}, times=100)
        held = [self.begin_call(self.in_session) for _ in range(8)]
        refused = self.echo(self.in_session)
        assert refused.status == 429
        assert refused.header("Retry-After") == "1"
        assert "8 of a trace or 32 in all" in refused.json["error"]["message"]
        self.pass_time(5.6)
        assert [each.status for each in held] == [200] * 8

    def test_the_thirty_third_of_all_is_refused(self) -> None:
        held = []
        for _ in range(4):
            self.made = self.make()
            self.endpoint = f"/t/{self.made['trace']}/mcp"
            self.in_session = self.session()
            self.arm("delay", {"seconds": 5}, times=100)
            held += [self.begin_call(self.in_session) for _ in range(8)]
        self.made = self.make()
        self.endpoint = f"/t/{self.made['trace']}/mcp"
        self.in_session = self.session()
        self.arm("delay", {"seconds": 5}, times=100)
        assert self.echo(self.in_session).status == 429
        self.pass_time(5.6)
        assert [each.status for each in held] == [200] * 32

    def test_disarming_lets_go_of_what_is_held(self) -> None:
        self.arm("delay", {"seconds": 100})
        posted = self.begin_call(self.in_session)
        assert self.request("DELETE", self.path(self.made, "faults")).status == 204
        self.pass_time(1.0)
        assert posted.json["id"] == 2


class StreamTests(FaultTestCase):
    settings = {**FaultTestCase.settings, "MCP_ECHO_MAX_QUEUE_MESSAGES": "1000"}

    def setUp(self) -> None:
        super().setUp()
        self.in_session = self.session()

    def test_a_stream_without_a_fault_is_as_ever(self) -> None:
        self.arm("reject", {"status": 503}, match={"method": "nothing/ever"})
        self.arm("events", {"as": "crlf"}, match={"tool": "clientProbe", "nth": 2})
        posted = self.progress(self.in_session)
        self.pass_time(0.3)
        assert posted.over
        assert len(posted.messages) == 4

    def test_a_stream_is_cut_behind_an_event_and_can_be_resumed(self) -> None:
        """2025-11-25 basic/transports, Resumability and Redelivery: retry, Last-Event-ID, the rest."""
        self.arm("cut", {"after": 1, "retryMs": 300})
        posted = self.progress(self.in_session)
        self.pass_time(0.3)
        assert posted.over
        assert len(posted.messages) == 1
        assert b"retry: 300\n\n" in posted.body
        last = [each["id"] for each in posted.events if "id" in each][-1]
        resumed = self.listen(self.in_session, **{"Last-Event-ID": last})
        self.client.flush()
        assert resumed.messages[-1]["id"] == 2
        assert "structuredContent" in resumed.messages[-1]["result"]
        kinds = [
            (each.kind, each.retry, each.why) for each in self.records() if isinstance(each, StreamRecord)
        ]
        assert ("hang-up", 300, None) in kinds
        assert ("close", None, "cut") in kinds

    def test_an_id_can_be_given_to_the_events_of_an_era_that_has_none(self) -> None:
        """2026-07-28 basic/transports: a stream that was cut cannot be resumed."""
        params = {"name": "clientProbe", "arguments": {"feature": "progress"}}
        meta = {**claim(), "progressToken": "t"}
        message = modern_message("tools/call", params, 2, meta)
        headers = {**routing_headers(message), **JSON}
        for wants_id in (False, True):
            self.arm("cut", {"after": 1, "retryMs": 300, "eventId": wants_id})
            posted = Posted(self, message, headers)
            self.pass_time(0.3)
            assert posted.over
            ids = [each.get("id") for each in posted.events if each.get("data")]
            assert ids == (["fault-1"] if wants_id else [None])
        again = {"Accept": EVENT_STREAM, "MCP-Protocol-Version": MODERN, "Last-Event-ID": "fault-1"}
        assert self.request("GET", headers=again).status == 405
        _, cut = self.get(self.path(self.made, "report"))["drills"]
        assert (cut["outcome"], cut["findings"]) == ("resumed-wrong", ["event-id-in-modern-era"])

    def test_a_stream_is_cut_before_its_first_event(self) -> None:
        self.arm("cut", {"after": 0, "reset": True})
        posted = self.progress(self.in_session)
        self.pass_time(0.2)
        assert posted.over
        assert posted.messages == []
        assert self.orders()[0]["fired"] == 1

    def test_nothing_is_left_of_a_stream_that_is_cut_or_refused_at_once(self) -> None:
        """Who comes back finds it free, and what is queued waits for that."""
        session = self.store._sessions[self.in_session]  # type: ignore[attr-defined]
        self.arm("cut", {"after": 0}, match={"method": "GET"})
        self.listen(self.in_session)
        assert (session.log.listeners, len(self.service.streams)) == (0, 0)
        self.arm("silence", {"seconds": 5}, times=100)
        held = [self.begin_call(self.in_session, message_id=10 + number) for number in range(8)]
        refused = self.progress(self.in_session)
        listening = self.listen(self.in_session)
        assert (refused.status, listening.status) == (429, 429)
        assert (session.log.listeners, len(self.service.streams)) == (0, 0)
        self.pass_time(6)
        assert all(each.status is None for each in held)
        self.request("DELETE", self.path(self.made, "faults"))
        resumed = self.listen(self.in_session)
        assert session.log.listeners == 1
        assert resumed.status == 200

    def test_events_are_late_each(self) -> None:
        self.arm("delay", {"seconds": 1, "of": "events"})
        posted = self.progress(self.in_session)
        self.pass_time(2.5)
        assert len(posted.messages) == 2
        self.pass_time(2.0)
        assert (len(posted.messages), posted.over) == (4, True)

    def test_a_stream_is_held_for_two_minutes_in_all(self) -> None:
        """Our choice: however many events are late, and then it makes room for others."""
        self.arm("delay", {"seconds": 100, "of": "events"}, match={"tool": "clientProbe"})
        posted = self.progress(self.in_session)
        self.pass_time(121, step=0.5)
        assert (len(posted.messages), posted.over) == (4, True)
        self.arm("drip", {"bytesPerSecond": 1}, match={"tool": "clientProbe"})
        dripping = self.progress(self.in_session)
        self.pass_time(121, step=0.5)
        assert (len(dripping.messages), dripping.over) == (4, True)

    def test_a_stream_that_goes_on_behind_its_silence_is_held_no_longer(self) -> None:
        """Our choice: it may be open for days."""
        self.arm("silence", {"seconds": 1}, times=100, match={"method": "GET"})
        for _ in range(12):
            session = self.session()
            assert self.listen(session).status == 200
            self.pass_time(2, step=0.5)

    def test_a_stream_is_silent_behind_its_opening(self) -> None:
        """No keep-alive either: something on the way may take the silence for its end."""
        self.arm("silence", {"seconds": 40})
        posted = self.progress(self.in_session)
        self.pass_time(39, step=0.5)
        assert posted.messages == []
        assert b"keep-alive" not in posted.body
        assert posted.status == 200
        self.pass_time(2, step=0.5)
        assert len(posted.messages) == 4

    def test_events_are_written_otherwise(self) -> None:
        for name, check in {
            "duplicate": lambda posted: len(posted.messages) == 8,
            "no-id": lambda posted: (
                [each.get("id") for each in posted.events if "data" in each][1:] == [None] * 4
            ),
            "id-reused": lambda posted: (
                {each["id"] for each in posted.events if each.get("event") == "message"} == {"0"}
            ),
            "crlf": lambda posted: posted.body.count(b"\r\ndata:") == 4,
            "comment-flood": lambda posted: posted.body.count(b":    ") >= 256,
            "split-utf8": lambda posted: len(posted.messages) == 4,
        }.items():
            with self.subTest(name):
                self.arm("events", {"as": name})
                posted = self.progress(self.in_session)
                self.pass_time(1.0)
                assert posted.over
                assert check(posted), posted.body[:400]

    def test_an_order_meets_a_stream_once(self) -> None:
        """Its opening, and not its end as well."""
        self.arm("delay", {"seconds": 1}, after=2)
        for _ in range(2):
            posted = self.progress(self.in_session)
            self.pass_time(0.3)
            assert posted.over
        assert self.orders()[0]["fired"] == 0
        posted = self.progress(self.in_session)
        self.pass_time(0.5)
        assert posted.status is None

    def test_who_is_answered_is_not_answered_once_more(self) -> None:
        self.arm("answer", {"as": "after-cancel"})
        posted = self.progress(self.in_session)
        self.pass_time(0.3)
        assert [each.get("id") for each in posted.messages] == [None, None, None, 2]
        assert self.orders()[0]["fired"] == 0

    def test_a_cancelled_stream_is_answered_all_the_same(self) -> None:
        """2025-11-25 basic/utilities/cancellation: clients ignore what comes then."""
        self.arm("answer", {"as": "after-cancel"})
        posted = self.progress(self.in_session, 7)
        self.pass_time(0.05)
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}
        self.request("POST", body=cancelled, headers={"Mcp-Session-Id": self.in_session})
        self.pass_time(0.2)
        assert posted.over
        assert posted.messages[-1] == {"jsonrpc": "2.0", "id": 7, "result": {}}
        assert self.orders()[0]["fired"] == 1

    def test_a_listening_stream_can_be_hit(self) -> None:
        self.arm("cut", {"after": 0}, match={"method": "GET"})
        listening = self.listen(self.in_session)
        self.client.flush()
        assert listening.over
        assert listening.headers.getRawHeaders("X-MCP-Echo-Fault") == ["cut"]

    def test_a_long_queue_is_carried_whole(self) -> None:
        """However many messages wait, one is written after the other."""
        session = self.store._sessions[self.in_session]  # type: ignore[attr-defined]
        sent = [{"jsonrpc": "2.0", "method": "notifications/test", "params": {"n": n}} for n in range(600)]
        for message in sent:
            session.log.queue(json.dumps(message).encode())
        self.arm("cut", {"after": 1000}, match={"method": "GET"})
        listening = self.listen(self.in_session)
        assert self.orders()[0]["fired"] == 1
        assert [each["params"]["n"] for each in listening.messages] == list(range(600))

    def test_the_answer_on_a_stream_has_another_id(self) -> None:
        self.arm("answer", {"as": "wrong-id"})
        posted = self.progress(self.in_session)
        self.pass_time(0.3)
        assert posted.messages[-1]["id"] == 1_000_002
        assert all(each["method"] == "notifications/progress" for each in posted.messages[:-1])

    def test_one_answer_is_written_as_a_stream_where_events_are_to_be_wrong(self) -> None:
        self.arm("events", {"as": "crlf"})
        answer = self.echo(self.in_session)
        assert answer.header("Content-Type") == "text/event-stream"
        assert b"\r\n\r\n" in answer.body
        (event,) = parse_events(answer.body.replace(b"\r\n", b"\n"))
        assert json.loads(event["data"])["id"] == 2
