"""The one observation point: what passes on the wire is seen there, once, as it was in the end.

Unless a test says otherwise, its duty is our choice: whoever watches the server sees all that reaches it.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransportWithDisconnection

from mcp_echo.protocol.errors import HostRefused, OtherProtocol, RequestTooSlow, RouteNotFound
from mcp_echo.watch.seen import CANCELLED, Event, Seen, SessionEvent, StreamEvent
from tests.eras.test_shared_server import OnARivalEngine
from tests.logged import Events, observed
from tests.transport.support import (
    BOTH,
    MODERN,
    Listening,
    ModernTestCase,
    Posted,
    ServerTestCase,
    claim,
    send,
)

ECHO = {"name": "echo", "arguments": {"message": "m"}}
ELICITING = claim(capabilities={"elicitation": {}})
PROBE = {"name": "clientProbe", "arguments": {"feature": "cancellation", "seconds": 1}}


class Watched(ModernTestCase):
    """A server with an observer that keeps everything."""

    settings = {"MCP_ECHO_LEGACY_SSE": "true"}
    events: list[Event]

    def serve(self, environ: dict[str, str]) -> None:
        super().serve(environ)
        self.events = []
        self.service.watch.observers += (self.events.append,)

    def tearDown(self) -> None:
        self.leave()
        self.doCleanups()

    @property
    def seen(self) -> list[Seen]:
        return [event for event in self.events if isinstance(event, Seen)]

    @property
    def last(self) -> Seen:
        return self.seen[-1]

    @property
    def streams(self) -> list[StreamEvent]:
        return [event for event in self.events if isinstance(event, StreamEvent)]

    @property
    def sessions(self) -> list[tuple[str, str, str | None]]:
        events = [event for event in self.events if isinstance(event, SessionEvent)]
        return [(event.kind, event.session, event.reason) for event in events]

    def connect(self) -> Any:
        """Return a new connection."""
        channel: Any = self.service.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337))
        transport = StringTransportWithDisconnection()
        transport.protocol = channel
        channel.makeConnection(transport)
        return channel

    def begin_session(self, revision: str = "2025-11-25") -> str:
        """Return a session, with nothing seen of how it was made."""
        session = self.initialize(revision)
        self.events.clear()
        return session

    def probe(self, session: str, message_id: int = 9, accept: str = BOTH, seconds: float = 1) -> Posted:
        params = {**PROBE, "arguments": {**PROBE["arguments"], "seconds": seconds}}  # type: ignore[dict-item]
        message = {"jsonrpc": "2.0", "id": message_id, "method": "tools/call", "params": params}
        return Posted(self, message, {"Mcp-Session-Id": session, "Accept": accept})


class ExchangeTests(Watched):
    def test_a_call_is_seen_with_all_that_is_known_of_it(self) -> None:
        client = {"clientInfo": {"name": "probe", "version": "7"}}
        session = self.initialize("2025-11-25", **client)
        self.clock.advance(1)
        answer = self.rpc("tools/call", ECHO, session, message_id="x")
        seen = self.last
        assert seen.head is not None
        assert (seen.era, seen.revision, seen.method, seen.tool) == (
            "legacy",
            "2025-11-25",
            "tools/call",
            "echo",
        )
        assert (seen.id, seen.outcome, seen.error, seen.status) == ("x", 200, None, 200)
        assert (seen.session, seen.made, seen.principal, seen.batch) == (session, False, None, None)
        assert seen.client is not None
        assert (seen.client.name, seen.client.version) == ("probe", "7")
        assert (seen.peer, seen.caller.address, seen.sent) == ("127.0.0.1", "127.0.0.1", len(answer.body))
        body = {"jsonrpc": "2.0", "id": "x", "method": "tools/call", "params": ECHO}
        assert seen.received == len(json.dumps(body))
        assert (seen.arrived, seen.first, seen.last, seen.streamed) == (1.0, 1.0, 1.0, False)
        assert seen.head.headers().get("mcp-session-id") == session
        assert len(self.seen) == 3

    def test_connections_are_numbered(self) -> None:
        for _ in range(2):
            self.connect().dataReceived(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
        assert [seen.connection for seen in self.seen] == [1, 1, 2, 2]

    def test_who_is_behind_a_proxy_is_seen(self) -> None:
        self.serve({"MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1"})
        self.rpc("ping", X_User_Id="alice", X_Forwarded_For="192.0.2.1")
        assert (self.last.principal, self.last.caller.address) == ("alice", "192.0.2.1")

    def test_a_modern_request_is_seen(self) -> None:
        self.tool("echo", {"message": "m", "session": self.handle()})
        seen = self.last
        assert (seen.era, seen.revision, seen.method, seen.tool, seen.outcome) == (
            "modern",
            MODERN,
            "tools/call",
            "echo",
            200,
        )
        assert (seen.session, seen.client and seen.client.name) == (None, "tests")

    def test_a_preflight_is_seen(self) -> None:
        """Fetch: a browser asks before it sends; whoever looks for a lost request has to see that."""
        headers = {"Origin": "http://localhost:1", "Access-Control-Request-Method": "POST"}
        self.request("OPTIONS", headers=headers)
        assert self.last.head is not None
        assert (self.last.head.method, self.last.status, self.last.refusal) == (b"OPTIONS", 204, None)

    def test_what_has_no_route_or_is_for_another_server_is_seen(self) -> None:
        self.request("GET", "/nope")
        self.request("POST", body={}, headers={"Host": "evil.example"})
        assert [(seen.status, type(seen.refusal)) for seen in self.seen] == [
            (404, RouteNotFound),
            (HostRefused.status, HostRefused),
        ]
        assert [seen.head.path for seen in self.seen if seen.head is not None] == [b"/nope", b"/mcp"]

    def test_what_the_edge_refuses_is_seen(self) -> None:
        """Half requests, and those who speak something else."""
        site = self.service.site
        send(site, b"\x16\x03\x01\x02\x00\x01")
        assert (self.last.head, self.last.status, type(self.last.refusal)) == (None, 400, OtherProtocol)
        site.start()
        self.connect().dataReceived(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1234")
        self.clock.pump([1] * 31)
        assert (self.last.status, type(self.last.refusal), self.last.received) == (408, RequestTooSlow, 4)
        assert len(self.seen) == 2

    def test_a_client_that_leaves_in_the_middle_of_a_request_is_seen(self) -> None:
        channel = self.connect()
        channel.dataReceived(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1234")
        channel.transport.loseConnection()
        assert [(seen.status, seen.refusal, seen.received) for seen in self.seen] == [(None, None, 4)]

    def test_what_the_ladder_refuses_is_seen(self) -> None:
        self.rpc("tools/call", ECHO, "unknown")
        assert (self.last.session, self.last.outcome, self.last.error, self.last.refusal) == (
            None,
            404,
            -32603,
            None,
        )
        assert (self.last.method, self.last.tool, self.last.id) == ("tools/call", "echo", 1)
        self.request("POST", body=b"{")
        assert (self.last.era, self.last.method, self.last.outcome, self.last.error) == (
            None,
            None,
            400,
            -32700,
        )

    def test_each_message_of_a_batch_is_seen_in_one_exchange(self) -> None:
        """2025-03-26 basic, Batching."""
        session = self.begin_session("2025-03-26")
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": ECHO}
        note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        stray = {"jsonrpc": "2.0", "id": 5, "result": {}}
        nope = {"jsonrpc": "2.0", "id": "b", "method": "nope"}
        self.request("POST", body=[call, note, stray, nope, 1], headers={"Mcp-Session-Id": session})
        (seen,) = self.seen
        assert (seen.status, seen.session, seen.method, seen.outcome) == (200, session, None, None)
        shown = [(each.method, each.id, each.tool, each.outcome, each.error) for each in seen.messages]
        assert shown == [
            ("tools/call", 1, "echo", 200, None),
            ("notifications/initialized", None, None, None, None),
            (None, 5, None, None, None),
            ("nope", "b", None, 200, -32601),
            (None, None, None, 400, -32600),
        ]
        assert [each.stray for each in seen.messages] == [False, False, True, False, False]

    def test_an_answer_that_comes_later_is_seen_when_it_does(self) -> None:
        session = self.begin_session()
        for accept in ("application/json", "text/event-stream"):
            self.events.clear()
            self.probe(session, accept=accept)
            assert self.seen == []
            self.pass_time(1.5)
            (seen,) = self.seen
            assert (seen.tool, seen.outcome, seen.status) == ("clientProbe", 200, 200)
            assert seen.seconds is not None
            assert 1 <= seen.seconds < 1.2
            assert seen.streamed is (accept == "text/event-stream")
            assert seen.last is not None
            assert seen.last - seen.arrived >= 1

    def test_an_answer_whose_client_has_left_is_seen_when_it_is_known(self) -> None:
        """Sending Messages, rule 6: who disconnects has not cancelled."""
        session = self.begin_session()
        self.probe(session).leave()
        assert self.seen == []
        self.pass_time(1.5)
        assert [(seen.outcome, seen.last) for seen in self.seen] == [(200, None)]

    def test_answers_of_a_batch_that_come_later_are_seen_with_the_last_of_them(self) -> None:
        session = self.begin_session("2025-03-26")
        batch = [{"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": PROBE} for n in range(2)] + [
            {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        ]  # type: ignore[dict-item]
        Posted(self, batch, {"Mcp-Session-Id": session, "Accept": BOTH}).leave()
        assert self.seen == []
        self.pass_time(1.5)
        (seen,) = self.seen
        assert [each.outcome for each in seen.messages] == [200] * 3

    def test_a_cancelled_request_is_seen_as_such(self) -> None:
        """basic/utilities/cancellation; in the modern era by leaving."""
        session = self.begin_session()
        self.probe(session)
        body = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}}
        self.request("POST", body=body, headers={"Mcp-Session-Id": session})
        outcomes = {seen.method: (seen.outcome, seen.error) for seen in self.seen}
        assert outcomes == {"tools/call": (CANCELLED, None), "notifications/cancelled": (None, None)}
        self.events.clear()
        self.post("tools/call", PROBE).leave()
        assert [(seen.outcome, seen.status) for seen in self.seen] == [(CANCELLED, None)]

    def test_an_answer_on_the_stream_of_2024_11_05_is_seen_with_the_post_that_asked(self) -> None:
        """2024-11-05 basic/transports: HTTP itself says 202."""
        listening = Listening(self.begin("GET", "/sse", headers={"Accept": "text/event-stream"}))
        self.client.flush()
        path = listening.events[0]["data"]
        self.events.clear()
        for message_id, params in ((1, ECHO), (2, PROBE)):
            message = {"jsonrpc": "2.0", "id": message_id, "method": "tools/call", "params": params}
            assert self.request("POST", path, body=message).status == 202
        assert [(seen.id, seen.outcome, seen.status) for seen in self.seen] == [(1, 200, 202)]
        self.pass_time(1.5)
        assert [(seen.id, seen.outcome, seen.status) for seen in self.seen[1:]] == [(2, 200, 202)]

    def test_what_a_question_needs_to_be_followed_is_seen(self) -> None:
        """basic/patterns/mrtr."""
        self.serve({"MCP_ECHO_CONFORMANCE": "client"})
        params = {"name": "test_mrtr_echo_state", "arguments": {}}
        asked = self.modern("tools/call", params, meta=ELICITING).json["result"]
        assert (self.last.asks, self.last.retry) == (True, None)
        answers = {key: {"action": "accept", "content": {"name": "Ada"}} for key in asked["inputRequests"]}
        retry = {**params, "inputResponses": answers, "requestState": asked["requestState"]}
        self.modern("tools/call", retry, message_id=2, meta=ELICITING)
        assert (self.last.asks, self.last.retry) == (False, True)


class StreamTests(Watched):
    def test_a_stream_is_seen_when_it_opens_and_told_of_when_it_closes(self) -> None:
        session = self.begin_session()
        self.listen(session)
        (seen,) = self.seen
        assert (seen.session, seen.status, seen.streamed, seen.last) == (session, 200, True, None)
        self.clock.advance(5)
        self.leave()
        assert len(self.seen) == 1
        assert [(each.kind, each.session, each.why, each.seconds) for each in self.streams] == [
            ("open", session, None, None),
            ("close", session, "left", 5.0),
        ]

    def test_a_stream_that_is_resumed_and_ended_is_told_of(self) -> None:
        session = self.begin_session()
        self.rpc("resources/subscribe", {"uri": "echo://session"}, session)
        self.rpc("tools/call", ECHO, session)
        listening = self.listen(session)
        self.leave()
        self.listen(session, **{"Last-Event-ID": listening.events[0]["id"]})
        self.request("DELETE", headers={"Mcp-Session-Id": session})
        told = [(each.kind, each.tag, each.why) for each in self.streams]
        tag = self.streams[0].tag
        assert told == [
            ("open", tag, None),
            ("close", tag, "left"),
            ("resume", tag, None),
            ("close", tag, "ended"),
        ]

    def test_a_stream_that_another_connection_takes_is_told_of(self) -> None:
        session = self.begin_session()
        self.rpc("resources/subscribe", {"uri": "echo://session"}, session)
        self.rpc("tools/call", ECHO, session)
        first = self.listen(session)
        self.listen(session, **{"Last-Event-ID": first.events[0]["id"]})
        assert [(each.kind, each.why) for each in self.streams] == [
            ("open", None),
            ("resume", None),
            ("close", "replaced"),
        ]

    def test_a_connection_that_the_server_closes_early_is_told_of(self) -> None:
        """Sending Messages, rule 6 (SEP-1699)."""
        self.serve({"MCP_ECHO_CONFORMANCE": "core"})
        session = self.begin_session()
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "test_reconnection"}}
        headers = {"Mcp-Session-Id": session, "Accept": BOTH, "MCP-Protocol-Version": "2025-11-25"}
        self.request("POST", body=message, headers=headers)
        assert [(each.kind, each.why) for each in self.streams] == [
            ("open", None),
            ("hang-up", None),
            ("close", "hang-up"),
        ]
        self.pass_time(5)
        assert [seen.outcome for seen in self.seen] == [200]

    def test_a_server_that_stops_says_so(self) -> None:
        self.listen(self.begin_session())
        self.service.streams.start()
        self.service.streams.stop()
        assert [(each.kind, each.why) for each in self.streams] == [("open", None), ("close", "stopping")]

    def test_a_modern_subscription_is_seen_when_it_begins(self) -> None:
        """docs/metrics.md: it counts when it begins."""
        self.post("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        assert [(seen.method, seen.outcome, seen.streamed) for seen in self.seen] == [
            ("subscriptions/listen", 200, True)
        ]
        assert [(each.kind, each.session) for each in self.streams] == [("open", None)]

    def test_a_stream_holds_nothing_of_the_request_that_opened_it(self) -> None:
        """It may be open for days."""
        self.listen(self.begin_session())
        (connection,) = [each for each in self.service.site._open if each.state == "answering"]
        assert connection.exchange is not None
        assert connection.exchange.seen.head is None


class SessionTests(Watched):
    settings = {"MCP_SESSION_TIMEOUT": "10", "MCP_ECHO_LEGACY_SSE": "true"}

    def test_sessions_are_told_of_from_their_begin_to_their_end(self) -> None:
        first = self.rpc("initialize", {"protocolVersion": "2025-11-25"}).header("Mcp-Session-Id")
        assert (self.last.session, self.last.made) == (first, True)
        second = self.rpc("tools/list").header("Mcp-Session-Id")
        assert (self.last.session, self.last.made) == (second, True)
        self.request("DELETE", headers={"Mcp-Session-Id": first})
        assert (self.last.session, self.last.status) == (first, 204)
        self.clock.advance(10)
        self.store.expire()
        assert self.sessions == [
            ("begin", first, None),
            ("begin", second, None),
            ("end", first, "closed"),
            ("end", second, "expired"),
        ]

    def test_a_session_of_2024_11_05_is_told_of(self) -> None:
        """2024-11-05 basic/transports: it begins and ends with its stream."""
        self.begin("GET", "/sse", headers={"Accept": "text/event-stream"})
        self.leave()
        assert [(kind, reason) for kind, _, reason in self.sessions] == [("begin", None), ("end", "closed")]


class SharedTests(OnARivalEngine, Watched):
    """Our promise: that a request is worked on once more is seen nowhere."""

    settings = {"MCP_ECHO_DEBUG": "true"}

    def test_a_request_that_was_worked_on_again_is_seen_once(self) -> None:
        session = self.begin_session()
        self.kept.rivals = 5
        self.rpc("tools/call", ECHO, session)
        assert self.kept.rivals == 0
        assert [(seen.tool, seen.outcome, seen.session) for seen in self.seen] == [("echo", 200, session)]

    def test_it_is_seen_as_it_was_in_the_end(self) -> None:
        """Another node has ended the session between two attempts."""
        session = self.begin_session()
        del self.kept.records.records[session]
        assert self.rpc("tools/call", ECHO, session).status == 404
        (seen,) = self.seen
        assert (seen.session, seen.client, seen.outcome, seen.error) == (None, None, 404, -32603)

    def test_a_session_that_could_not_be_kept_has_not_begun(self) -> None:
        self.kept.available = False
        assert self.rpc("initialize", {"protocolVersion": "2025-11-25"}).status == 503
        assert (self.sessions, [(seen.outcome, seen.session, seen.made) for seen in self.seen]) == (
            [],
            [(503, None, False)],
        )

    def test_what_could_not_be_kept_has_taught_nothing(self) -> None:
        session = self.begin_session()
        self.kept.available = False
        assert self.rpc("tools/call", ECHO, session).status == 503
        (seen,) = self.seen
        assert (seen.session, seen.client, seen.outcome) == (None, None, 503)

    def test_a_message_that_was_taken_again_is_logged_once(self) -> None:
        session = self.begin_session()
        self.kept.rivals = 3
        logged = Events()
        with observed(logged.append):
            self.notify("notifications/initialized", session)
        assert [event["log_format"] for event in logged].count("Message received") == 1

    def test_what_comes_to_something_after_its_client_has_left_is_seen(self) -> None:
        session = self.begin_session()
        self.kept.stepping = True
        message = {"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": ECHO}
        Posted(self, message, {"Mcp-Session-Id": session, "Accept": BOTH}).leave()
        assert self.seen == []
        while self.kept.under_way:
            self.kept.step()
        self.kept.stepping = False
        assert [(seen.outcome, seen.status) for seen in self.seen] == [(200, None)]


class ObserverTests(ServerTestCase):
    def test_an_observer_that_fails_harms_nothing_and_is_logged_once(self) -> None:
        seen: list[Event] = []

        def fail(_event: Event) -> None:
            raise ZeroDivisionError

        self.service.watch.observers = (fail, seen.append)
        assert self.rpc("ping").status == 200
        assert self.rpc("ping").status == 200
        assert len([each for each in seen if isinstance(each, Seen)]) == 2
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
