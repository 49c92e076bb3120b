"""``GET …/probe/stream`` of a trace, and streamProbe over HTTP: what is written when, and what is found."""

from __future__ import annotations

import json
from typing import Any

from tests.transport.support import (
    BOTH,
    WALL,
    Incoming,
    Listening,
    Posted,
    modern_message,
    routing_headers,
)
from tests.transport.test_traces import JSON, TraceTestCase


def told(stream: Incoming) -> list[Any]:
    """What the events of a stream say."""
    return [json.loads(each["data"]) for each in stream.events]


class Probing(TraceTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.service.streams.start()
        self.addCleanup(self.service.streams.stop)
        self.made = self.make()

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)
            self.client.flush()

    def findings(self, made: Any = None) -> dict[str, Any]:
        """What is said of streams, and of the client's answers."""
        report = self.get(self.path(made or self.made, "report"))
        about = ("stream-", "ping-", "response-")
        return {each["id"]: each for each in report["findings"] if each["id"].startswith(about)}

    def held(self) -> list[str]:
        held: list[str] = self.get(self.path(self.made, "report")).get("heldRules", [])
        return held

    def probes(self) -> list[Any]:
        evidence = json.loads(self.request("GET", self.path(self.made, "evidence.json")).body)
        probes: list[Any] = evidence["probes"]
        return probes


class CutTests(Probing):
    """Streams that nobody probes."""

    settings = {"MCP_ECHO_KEEPALIVE_INTERVAL": "20"}

    def listen_for(self, session: str, *times: float) -> None:
        """Listen as often as there are times, and leave after so many seconds."""
        for seconds in times:
            headers = {"Accept": "text/event-stream", "Mcp-Session-Id": session}
            Listening(self.begin("GET", self.path(self.made, "mcp"), headers=headers))
            self.pass_time(seconds)
            self.leave()

    def test_three_that_are_cut_after_equal_silence_are_a_finding(self) -> None:
        """docs/findings.md, stream-cut-idle: ± 2 %."""
        session = self.initialize_at(self.made)
        self.listen_for(session, 8, 8.1)
        assert self.findings() == {}
        self.listen_for(session, 7.95)
        found = self.findings()["stream-cut-idle"]
        assert "cuts after 8.0 s of silence, as 3 streams one after the other show" in found["summary"]

    def test_silence_begins_anew_with_each_keep_alive(self) -> None:
        """As above: nothing cuts what is not silent."""
        self.settings = {"MCP_ECHO_KEEPALIVE_INTERVAL": "3"}
        self.serve(self.settings)
        self.service.streams.start()
        self.made = self.make()
        self.listen_for(self.initialize_at(self.made), 8, 8, 8)
        assert self.findings() == {}


class ProbeStreamTests(Probing):
    def open(self, query: str = "", made: Any = None) -> Listening:
        where = self.path(made or self.made, "probe/stream") + (f"?{query}" if query else "")
        listening = Listening(self.begin("GET", where))
        self.client.flush()
        return listening

    def test_events_say_when_they_were_written(self) -> None:
        """docs/gateways.md: who notes when they arrive sees what the way does to them."""
        stream = self.open()
        assert stream.status == 200
        assert stream.body.startswith(b": open\n\n")
        self.pass_time(0.65)
        assert [each["event"] for each in told(stream)] == [1, 2, 3]
        self.pass_time(0.7)
        assert stream.over
        assert told(stream) == [
            {"event": number, "of": 5, "sent": f"2023-11-14T22:13:{20 + since:06.3f}Z", "since": since}
            for number, since in enumerate((0.0, 0.3, 0.6, 0.9, 1.2), 1)
        ]
        assert WALL == 1_700_000_000

    def test_the_head_is_that_of_the_streams_of_mcp(self) -> None:
        """Our choice: a gateway is to treat it as it treats those."""
        head = self.open().headers
        assert head.getRawHeaders("Content-Type") == ["text/event-stream"]
        assert head.getRawHeaders("Cache-Control") == ["no-cache, no-transform"]
        assert head.getRawHeaders("X-Accel-Buffering") == ["no"]

    def test_events_are_padded_and_the_last_one_comes_after_the_silence(self) -> None:
        """Our interface: events, every, bytes, silence; no keep-alive either."""
        stream = self.open("events=3&every=1&bytes=2000&silence=40")
        self.pass_time(40.5)
        assert [len(each["padding"]) for each in told(stream)] == [2000, 2000]
        assert stream.body.count(b"\n\n") == 3
        self.pass_time(1)
        assert [round(each["since"]) for each in told(stream)] == [0, 1, 41]
        assert stream.over
        assert self.findings() == {}
        assert "stream-cut-idle" in self.held()
        (probe,) = self.probes()
        assert probe["way"] == "address"
        assert [round(each) for each in probe["written"]] == [0, 1, 41]
        assert round(probe["silence"]) == 40

    def test_a_stream_that_is_cut_while_it_is_silent_is_a_finding(self) -> None:
        """docs/findings.md: once in a probe."""
        self.open("events=2&silence=60")
        self.pass_time(12)
        self.leave()
        found = self.findings()["stream-cut-idle"]
        assert found["summary"].startswith(
            "Something on the way, or the client itself, cuts after 12 s of silence, as a probe shows"
        )
        assert (found["level"], found["confidence"]) == ("warning", "likely")

    def test_a_reader_that_leaves_between_events_is_none(self) -> None:
        """Our choice: whoever has seen enough may go."""
        self.open("events=20&every=1")
        self.pass_time(3.5)
        self.leave()
        assert (self.findings(), self.probes()) == ({}, [])
        self.clock.advance(60)

    def test_what_cannot_be_is_refused(self) -> None:
        """Our choice: bad input gets a clear error."""
        for query, said in (
            ("events=0", ">= 1"),
            ("events=x", "int"),
            ("bytes=16385", "<= 16384"),
            ("every=0.01", ">= 0.05"),
            ("every=nan", "every"),
            ("silence=121", "<= 120"),
            ("nonsense=1", "nonsense"),
            ("events=50&every=30", "at most 165 s"),
            ("events=50&bytes=16384", "at most 262144"),
            ("events=1&silence=2", "2 events"),
        ):
            answer = self.request("GET", self.path(self.made, f"probe/stream?{query}"))
            assert answer.status == 400, query
            assert said in answer.json["error"]["message"], query

    def test_it_is_only_for_those_who_know_the_trace(self) -> None:
        """Our choice: it is held open and leaves a record, so that a share, which only reads, has none."""
        share = self.made["shareUrl"].removeprefix("http://localhost:3000")
        assert self.request("GET", f"{share}probe/stream").status == 404
        for method in ("HEAD", "POST", "DELETE"):
            answer = self.request(method, self.path(self.made, "probe/stream"))
            assert (answer.status, answer.header("Allow")) == (405, "GET"), method
        foreign = {"Origin": "https://evil.example"}
        assert self.request("GET", self.path(self.made, "probe/stream"), headers=foreign).status == 403

    def test_so_many_are_open_at_a_time(self) -> None:
        """Our choice: 8 of a trace and 32 in all; who is refused is told when to come back."""
        streams = [self.open("events=2&every=20") for _ in range(8)]
        refused = self.request("GET", self.path(self.made, "probe/stream"))
        assert (refused.status, refused.header("Retry-After")) == (429, "5")
        for _ in range(3):
            made = self.make()
            streams += [self.open("events=2&every=20", made) for _ in range(8)]
        assert self.request("GET", self.path(self.make(), "probe/stream")).status == 429
        self.pass_time(21)
        assert all(each.over for each in streams)
        assert self.open().status == 200

    def test_those_that_are_left_make_room(self) -> None:
        """As above."""
        for _ in range(3):
            for _ in range(8):
                assert self.open("events=2&every=20").status == 200
            self.leave()
        assert self.request("GET", self.path(self.made, "probe/stream?events=1")).status == 200

    def test_a_trace_that_ends_meanwhile_takes_no_record(self) -> None:
        """Our choice: what is over stays over."""
        stream = self.open("events=2&silence=3")
        assert self.request("DELETE", self.path(self.made)).status == 204
        self.pass_time(4)
        assert stream.over
        insight = self.service.insight
        assert insight is not None
        assert insight.traces.bytes == 0

    def test_they_end_when_the_server_stops(self) -> None:
        """Our choice: nothing keeps a server from stopping."""
        stream = self.open("events=2&every=20")
        self.service.streams.stop()
        self.client.flush()
        assert stream.over
        assert [each for each in self.clock.getDelayedCalls() if each.active()] == []


class StreamProbeTests(Probing):
    """The tool, over HTTP."""

    def post(self, session: str, message: Any) -> Posted:
        self.endpoint = f"/t/{self.made['trace']}/mcp"
        return Posted(self, message, {"Accept": BOTH, "Mcp-Session-Id": session, **JSON})

    def call(self, session: str, **arguments: Any) -> Posted:  # type: ignore[override]
        params = {"name": "streamProbe", "arguments": arguments}
        return self.post(session, {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params})

    def session(self) -> str:
        session = self.initialize_at(self.made)
        self.post(session, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        return session

    def answer(self, session: str, stream: Incoming, done: int = 0) -> int:
        """Answer the pings of a stream that were not answered yet; return how many there are."""
        pings = [each for each in stream.messages if each.get("method") == "ping"]
        for ping in pings[done:]:
            self.post(session, {"jsonrpc": "2.0", "id": ping["id"], "result": {}})
        return len(pings)

    def test_a_client_that_answers_at_once_is_on_a_prompt_way(self) -> None:
        """docs/tools.md: streamProbe; the client needs to do nothing but answer pings."""
        session = self.session()
        stream, done = self.call(session, bytes=50), 0
        for _ in range(60):
            done = self.answer(session, stream, done)
            self.pass_time(0.05)
        *pings, result = stream.messages
        assert [len(each["params"]["_meta"]["mcp-echo/padding"]) for each in pings] == [50] * 5
        assert result["result"]["structuredContent"]["verdict"] == "prompt"
        assert self.findings() == {}
        assert {"stream-buffered"} <= set(self.held())

    def test_what_is_answered_only_when_the_stream_has_ended_was_collected(self) -> None:
        """Our choice: a gateway that passes on whole answers alone."""
        session = self.session()
        stream = self.call(session)
        self.pass_time(8)
        result = stream.messages[-1]["result"]["structuredContent"]
        assert result["verdict"] == "unanswered"
        assert self.answer(session, stream) == 6
        self.pass_time(0.1)
        found = self.findings()
        assert set(found) == {"stream-buffered"}
        assert found["stream-buffered"]["summary"].startswith("5 events written over 1.2 s arrived together")
        self.pass_time(10)

    def test_answers_that_never_come_are_nobody_s_fault(self) -> None:
        """Our choice: whether the way or the client is to blame is not known."""
        session = self.session()
        stream = self.call(session)
        self.pass_time(20)
        assert self.findings() == {}
        (probe,) = self.probes()
        assert probe["answered"] == [None] * 5
        # One that comes later still is an answer to something that was asked.
        self.answer(session, stream)
        assert self.findings() == {}

    def test_nothing_is_written_in_the_silence(self) -> None:
        """Our choice: a keep-alive would keep alive what is to be tried."""
        session = self.session()
        stream = self.call(session, events=2, silence=40)
        self.answer(session, stream)
        before = stream.body
        self.pass_time(39)
        assert stream.body == before
        self.pass_time(1.2)
        self.answer(session, stream, 1)
        self.pass_time(0.2)
        notes = stream.messages[-1]["result"]["structuredContent"]["notes"]
        assert notes[0].startswith("The stream has outlived 40")
        assert "stream-cut-idle" in self.held()

    def test_without_silence_keep_alives_come_as_ever(self) -> None:
        """As above: a long time between two events is not to be cut for that."""
        self.serve({"MCP_ECHO_KEEPALIVE_INTERVAL": "5"})
        self.service.streams.start()
        self.made = self.make()
        stream = self.call(self.session(), events=2, every=30)
        self.pass_time(29)
        assert stream.body.count(b": keep-alive") == 4

    def test_a_stream_that_is_cut_in_the_silence_is_told_of_at_once(self) -> None:
        """docs/findings.md: once in a streamProbe."""
        session = self.session()
        stream = self.call(session, events=2, silence=60)
        self.answer(session, stream)
        self.pass_time(10)
        stream.leave()
        self.pass_time(0.1)
        assert "cuts after 10" in self.findings()["stream-cut-idle"]["summary"]

    def test_a_call_that_is_cancelled_shows_nothing(self) -> None:
        """basic/utilities/cancellation: its client has asked for that."""
        session = self.session()
        stream = self.call(session, events=2, silence=60)
        self.answer(session, stream)
        self.pass_time(10)
        params = {"requestId": 7}
        self.post(session, {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
        self.pass_time(5)
        assert stream.over
        assert (self.findings(), self.probes()) == ({}, [])

    def modern(self, **arguments: Any) -> Posted:
        self.endpoint = f"/t/{self.made['trace']}/mcp"
        message = modern_message("tools/call", {"name": "streamProbe", "arguments": arguments})
        message["params"]["_meta"]["progressToken"] = "t"
        return Posted(self, message, {**routing_headers(message), **JSON})

    def test_a_modern_client_is_told_of_progress(self) -> None:
        """2026-07-28 basic/patterns/progress."""
        stream = self.modern(events=3, silence=40)
        self.pass_time(41)
        *events, result = stream.messages
        assert [each["params"]["progress"] for each in events] == [1, 2, 3]
        assert b"keep-alive" not in stream.body
        assert result["result"]["structuredContent"]["verdict"] == "unacknowledged"
        assert self.findings() == {}
        assert "stream-cut-idle" in self.held()

    def test_a_modern_stream_that_is_cut_in_the_silence_is_a_finding(self) -> None:
        """As above: there the call ends with its stream."""
        stream = self.modern(events=2, silence=60)
        self.pass_time(10)
        stream.leave()
        self.pass_time(0.1)
        assert "cuts after 10" in self.findings()["stream-cut-idle"]["summary"]
