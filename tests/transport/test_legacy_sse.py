"""The transport of revision 2024-11-05: GET /sse and POST /messages.

Its duties are in https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
"""

from __future__ import annotations

from typing import Any

from tests.transport.support import Answer, Listening, ServerTestCase


class SseTestCase(ServerTestCase):
    settings = {"MCP_ECHO_LEGACY_SSE": "true"}

    def tearDown(self) -> None:
        """Nothing may stay behind once the clients are gone."""
        self.leave()
        assert len(self.service.streams) == 0

    def open(self) -> tuple[Listening, str]:
        """Return a stream and the path that its first event names."""
        listening = Listening(self.begin("GET", "/sse", headers={"Accept": "text/event-stream"}))
        self.client.flush()
        first = listening.events[0]
        assert first["event"] == "endpoint"
        return listening, first["data"]

    def send(self, path: str, method: str, params: Any = None, message_id: Any = 1, **headers: str) -> Answer:
        message = {"jsonrpc": "2.0", "method": method, "params": params or {}}
        if message_id is not None:
            message["id"] = message_id
        answer = self.request("POST", path, body=message, headers=headers)
        self.client.flush()
        return answer

    def initialize_on(self, path: str, revision: str = "2024-11-05", **params: Any) -> None:
        self.send(path, "initialize", {"protocolVersion": revision, **params})
        self.send(path, "notifications/initialized", message_id=None)


class ConversationTests(SseTestCase):
    def test_the_first_event_says_where_to_send_messages(self) -> None:
        """MUST send an endpoint event containing a URI."""
        listening, path = self.open()
        assert listening.headers.getRawHeaders("Content-Type") == ["text/event-stream"]
        assert path.startswith("/messages?session_id=")

    def test_every_answer_comes_on_the_stream_and_none_in_the_post(self) -> None:
        """Server messages are sent as SSE message events."""
        listening, path = self.open()
        answer = self.send(path, "initialize", {"protocolVersion": "2024-11-05"}, message_id="a")
        assert (answer.status, answer.body) == (202, b"")
        self.send(path, "tools/call", {"name": "echo", "arguments": {"message": "x"}}, message_id=2)
        self.send(path, "nope", message_id=3)
        ids = [(message["id"], "result" in message) for message in listening.messages]
        assert ids == [("a", True), (2, True), (3, False)]
        assert listening.messages[0]["result"]["protocolVersion"] == "2024-11-05"

    def test_a_quiet_stream_is_kept_alive_by_comments(self) -> None:
        """Our choice: only MCP clients read it, and the Python SDK asks for event streams alone and logs a
        warning for an event that it does not know."""
        self.service.streams.start()
        self.addCleanup(self.service.streams.stop)
        listening, _ = self.open()
        before = listening.events
        for _ in range(3):
            self.clock.advance(15)
            self.client.flush()
        assert listening.body.count(b": keep-alive\n\n") == 2
        assert listening.events == before

    def test_events_carry_no_ids(self) -> None:
        """This transport has no resumability."""
        listening, path = self.open()
        self.send(path, "ping")
        assert [set(event) for event in listening.events] == [{"event", "data"}] * 2

    def test_state_is_kept_in_the_connection_and_nowhere_else(self) -> None:
        """Messages of one connection never appear on another."""
        one, two = self.open(), self.open()
        self.send(one[1], "tools/call", {"name": "echo", "arguments": {"message": "mine"}})
        self.send(two[1], "tools/call", {"name": "replayLastEcho"})
        assert len(one[0].messages) == len(two[0].messages) == 1
        assert two[0].messages[0]["result"]["isError"]

    def test_logs_and_questions_come_on_the_stream_too(self) -> None:
        listening, path = self.open()
        self.initialize_on(path, capabilities={"roots": {}})
        self.send(path, "logging/setLevel", {"level": "info"}, message_id=2)
        self.send(
            path, "tools/call", {"name": "clientProbe", "arguments": {"feature": "roots"}}, message_id=3
        )
        asked = listening.messages[-1]
        assert asked["method"] == "roots/list"
        response = {"jsonrpc": "2.0", "id": asked["id"], "result": {"roots": []}}
        assert self.request("POST", path, body=response).status == 202
        self.client.flush()
        methods = [message.get("method", message.get("id")) for message in listening.messages]
        assert methods == [1, 2, "roots/list", "notifications/message", 3]

    def test_a_request_can_be_cancelled(self) -> None:
        """basic/utilities/cancellation."""
        listening, path = self.open()
        self.initialize_on(path)
        self.send(path, "tools/call", {"name": "clientProbe", "arguments": {"feature": "cancellation"}}, 7)
        self.send(path, "notifications/cancelled", {"requestId": 7}, message_id=None)
        self.clock.advance(30)
        assert 7 not in [message.get("id") for message in listening.messages]
        assert self.clock.getDelayedCalls() == []

    def test_it_works_beside_the_newer_transport(self) -> None:
        """Backwards Compatibility of every later revision: host both at once."""
        listening, path = self.open()
        session = self.initialize("2025-06-18")
        self.send(path, "ping")
        assert self.rpc("ping", session=session).status == 200
        assert len(listening.messages) == 1


class EndTests(SseTestCase):
    def test_the_session_ends_with_its_connection(self) -> None:
        """basic/lifecycle, Shutdown: closing the connection ends the session."""
        _, path = self.open()
        self.leave()
        assert len(self.store) == 0
        assert self.send(path, "ping").status == 404

    def test_an_expired_session_closes_its_stream(self) -> None:
        listening, path = self.open()
        self.clock.advance(3600)
        self.store.expire()
        self.client.flush()
        assert listening.over
        assert self.send(path, "ping").status == 404


class RefusalTests(SseTestCase):
    def test_what_is_no_message_is_refused_in_the_post(self) -> None:
        """The stream carries answers to messages alone."""
        listening, path = self.open()
        for body, code in (
            (b"{", -32700),
            (b"{}", -32600),
            (b"[]", -32600),
            (b'[{"jsonrpc":"2.0"}]', -32600),
        ):
            answer = self.request("POST", path, body=body)
            assert (answer.status, answer.json["error"]["code"]) == (400, code)
        assert listening.messages == []

    def test_a_message_for_nobody_is_refused(self) -> None:
        """Our statuses; the revision has none."""
        session = self.initialize()
        for path, status in (
            ("/messages", 400),
            ("/messages?session_id=gone", 404),
            (f"/messages?session_id={session}", 404),
        ):
            assert self.send(path, "ping").status == status

    def test_foreign_pages_are_refused_on_both_paths(self) -> None:
        """Security Warning: MUST validate Origin."""
        _, path = self.open()
        origin = {"Origin": "http://evil.example"}
        assert self.request("GET", "/sse", headers=origin).status == 403
        assert self.send(path, "ping", **origin).status == 403

    def test_wrong_methods_are_405(self) -> None:
        """RFC 9110 section 15.5.6."""
        for method, path in (("POST", "/sse"), ("HEAD", "/sse"), ("GET", "/messages")):
            assert self.request(method, path).status == 405

    def test_a_body_over_the_limit_is_413(self) -> None:
        self.serve({"MCP_ECHO_LEGACY_SSE": "true", "ECHO_MAX_MESSAGE_SIZE": "1024"})
        _, path = self.open()
        assert self.request("POST", path, body=b'{"x":"' + b"y" * 1024 + b'"}').status == 413

    def test_it_is_not_there_unless_switched_on(self) -> None:
        """--legacy-sse; deprecated since 2025-03-26."""
        for environ in ({}, {"MCP_ECHO_LEGACY_SSE": "true", "MCP_PROTOCOL_VERSIONS_SUPPORTED": "2026-07-28"}):
            self.serve(environ)
            assert self.request("GET", "/sse").status == 404
            refused = self.send("/messages?session_id=x", "ping")
            assert (refused.status, refused.json["error"]["code"]) == (404, -32600)
