"""Event streams: GET /mcp, answers that come as streams, keep-alives, resuming.

Unless a test says otherwise, its duty is in
https://modelcontextprotocol.io/specification/2025-11-25/basic/transports, sections "Listening for Messages
from the Server", "Sending Messages to the Server" and "Resumability and Redelivery".
"""

from __future__ import annotations

import json

from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransportWithDisconnection

from tests.transport.support import Listening, Posted, ServerTestCase

BOTH = "application/json, text/event-stream"
KEEP_ALIVE = {"event": "keep-alive", "data": '{"type":"ping"}'}


class StreamTestCase(ServerTestCase):
    def tearDown(self) -> None:
        """Nothing may stay behind once the clients are gone."""
        self.leave()
        assert len(self.service.streams) == 0

    def watch(self, session: str) -> None:
        """Make every echo queue a notification."""
        self.rpc("resources/subscribe", {"uri": "echo://session"}, session=session)

    def stir(self, session: str, times: int = 1) -> None:
        """Queue notifications."""
        for _ in range(times):
            self.call("echo", {"message": "x"}, session=session)
        self.client.flush()

    def methods(self, listening: Listening) -> list[str]:
        return [message["method"] for message in listening.messages]


UPDATED = "notifications/resources/updated"


class GetTests(StreamTestCase):
    def test_what_was_queued_is_replayed_and_what_comes_is_streamed(self) -> None:
        """Our queue: first in, first out."""
        session = self.initialize()
        self.watch(session)
        self.stir(session, 2)
        assert "Message Queue: 2 pending" in self.text("sessionInfo", session=session)
        listening = self.listen(session)
        assert self.methods(listening) == [UPDATED] * 2
        assert "Message Queue: 0 pending" in self.text("sessionInfo", session=session)
        self.stir(session)
        assert self.methods(listening) == [UPDATED] * 3
        assert not listening.over

    def test_the_head_says_stream_and_asks_proxies_not_to_hold_it_back(self) -> None:
        """HTML, Server-sent events; X-Accel-Buffering is nginx's."""
        listening = self.listen(self.initialize())
        assert listening.status == 200
        for name, value in (
            ("Content-Type", "text/event-stream"),
            ("Cache-Control", "no-cache, no-transform"),
            ("X-Accel-Buffering", "no"),
        ):
            assert listening.headers.getRawHeaders(name) == [value]
        assert listening.body, "proxies hold the head back until the body starts"

    def test_a_stream_needs_a_session(self) -> None:
        """Session Management, rules 2 and 3."""
        assert self.request("GET", headers={"Accept": "text/event-stream"}).status == 400
        unknown = {"Accept": "text/event-stream", "Mcp-Session-Id": "gone"}
        assert self.request("GET", headers=unknown).status == 404

    def test_a_client_that_reads_no_streams_is_refused(self) -> None:
        """RFC 9110 section 15.5.7."""
        headers = {"Accept": "application/json", "Mcp-Session-Id": self.initialize()}
        assert self.request("GET", headers=headers).status == 406

    def test_each_message_goes_out_on_exactly_one_of_several_streams(self) -> None:
        """MUST NOT broadcast the same message across multiple streams."""
        session = self.initialize()
        self.watch(session)
        streams = [self.listen(session) for _ in range(3)]
        self.stir(session, 5)
        assert sum(len(stream.messages) for stream in streams) == 5

    def test_no_response_ever_comes_on_a_listening_stream(self) -> None:
        """MUST NOT send a response unless resuming a stream."""
        session = self.initialize()
        listening = self.listen(session)
        self.rpc("tools/list", session=session)
        assert listening.messages == []

    def test_a_stream_opens_with_a_comment_in_every_revision(self) -> None:
        """Sending Messages, rule 6, primes streams of POST alone: some clients read every event of a GET as
        JSON, and report an empty one as an error."""
        for revision in ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"):
            assert self.listen(self.initialize(revision)).body == b": open\n\n"

    def test_an_answer_that_is_resumed_by_get_opens_with_a_comment_too(self) -> None:
        """As above: what a client comes back for has an id already."""
        session = self.initialize("2025-11-25")
        answer = self.rpc("tools/list", session=session, Accept="text/event-stream")
        again = self.listen(session, **{"Last-Event-ID": answer.events[0]["id"]})
        assert again.body.startswith(b": open\n\n")
        assert [message["id"] for message in again.messages] == [1]

    def test_deleting_the_session_ends_its_streams(self) -> None:
        """MAY close the stream; a session that is gone has nothing more to say."""
        session = self.initialize()
        listening = self.listen(session)
        self.request("DELETE", headers={"Mcp-Session-Id": session})
        self.client.flush()
        assert listening.over

    def test_an_expired_session_ends_its_streams(self) -> None:
        session = self.initialize()
        listening = self.listen(session)
        self.clock.advance(3600)
        assert self.store.expire() == 1
        self.client.flush()
        assert listening.over

    def test_a_client_that_left_leaves_its_messages_to_the_next(self) -> None:
        """No message is lost while nobody listens."""
        session = self.initialize()
        self.watch(session)
        self.listen(session)
        self.leave()
        self.stir(session, 2)
        assert self.methods(self.listen(session)) == [UPDATED] * 2


class ResumeTests(StreamTestCase):
    def test_what_came_after_the_last_event_is_sent_again(self) -> None:
        session = self.initialize()
        self.watch(session)
        self.stir(session, 3)
        first = self.listen(session)
        ids = [event["id"] for event in first.events]
        self.leave()
        again = self.listen(session, **{"Last-Event-ID": ids[0]})
        assert [event["id"] for event in again.events] == ids[1:]

    def test_a_resumed_stream_goes_on_with_what_comes(self) -> None:
        session = self.initialize()
        self.watch(session)
        self.stir(session)
        last = self.listen(session).events[-1]["id"]
        self.leave()
        again = self.listen(session, **{"Last-Event-ID": last})
        self.stir(session)
        assert self.methods(again) == [UPDATED]

    def test_messages_of_another_stream_are_never_replayed(self) -> None:
        """MUST NOT replay messages that would have been delivered on a different stream."""
        session = self.initialize()
        self.watch(session)
        self.stir(session, 2)
        first = self.listen(session)
        second = self.listen(session)
        assert (len(first.messages), len(second.messages)) == (2, 0)
        self.leave()
        assert self.listen(session, **{"Last-Event-ID": "g2-0"}).messages == []

    def test_an_unknown_event_id_opens_a_new_stream(self) -> None:
        """A 404 would tell the client that its session is gone."""
        self.serve({"MCP_ECHO_MAX_STREAMS_PER_SESSION": "6"})
        session = self.initialize()
        for event_id in ("nonsense", "g99-1", "g1-", "-1", "\xff", "g1-1" * 500):
            listening = self.listen(session, **{"Last-Event-ID": event_id})
            assert listening.status == 200

    def test_a_second_connection_takes_a_stream_over(self) -> None:
        """A client that lost its connection may notice before the server does."""
        session = self.initialize()
        self.watch(session)
        self.stir(session)
        first = self.listen(session)
        second = self.listen(session, **{"Last-Event-ID": first.events[-1]["id"]})
        self.client.flush()
        assert (first.over, second.over) == (True, False)
        self.stir(session)
        assert (len(first.messages), len(second.messages)) == (1, 1)

    def test_a_replay_goes_to_the_connection_that_asked_for_it(self) -> None:
        """The old connection may not be noticed gone yet; it must not swallow what the new one is due."""
        session = self.initialize()
        self.watch(session)
        self.stir(session, 3)
        first = self.listen(session)
        ids = [event["id"] for event in first.events]
        second = self.listen(session, **{"Last-Event-ID": ids[0]})
        self.client.flush()
        assert [event["id"] for event in second.events] == ids[1:]
        assert len(first.messages) == 3

    def test_event_ids_are_unique_over_all_streams_of_a_session(self) -> None:
        """Rule 1."""
        session = self.initialize("2025-11-25")
        self.watch(session)
        self.rpc("logging/setLevel", {"level": "debug"}, session=session)
        listening = [self.listen(session) for _ in range(2)]
        self.stir(session, 3)
        answers = [self.rpc("tools/list", session=session, Accept="text/event-stream") for _ in range(2)]
        ids = [event["id"] for source in (*listening, *answers) for event in source.events]
        assert len(ids) == len(set(ids)) > 5


class AnswerStreamTests(StreamTestCase):
    """A POST becomes a stream only when something comes before the result."""

    def logging(self, revision: str = "2025-11-25", level: str = "debug") -> str:
        session = self.initialize(revision)
        self.rpc("logging/setLevel", {"level": level}, session=session)
        return session

    def test_log_messages_come_ahead_of_the_result_on_the_same_stream(self) -> None:
        """Logging: notifications/message; Sending Messages, rule 6."""
        answer = self.rpc(
            "tools/call", {"name": "echo", "arguments": {"message": "m"}}, session=self.logging(), Accept=BOTH
        )
        assert answer.header("Content-Type") == "text/event-stream"
        messages = [json.loads(event["data"]) for event in answer.events if event["data"]]
        assert [message.get("method") for message in messages] == ["notifications/message"] * 2 + [None]
        assert (messages[-1]["id"], "result" in messages[-1]) == (1, True)

    def test_the_level_that_was_set_is_kept_to(self) -> None:
        """Logging, Setting Log Level."""
        for level, count in (("debug", 2), ("info", 1), ("notice", 0)):
            answer = self.rpc(
                "tools/call", {"name": "healthProbe"}, session=self.logging(level=level), Accept=BOTH
            )
            assert answer.body.count(b"notifications/message") == count, level

    def test_without_a_level_nothing_is_logged_and_the_answer_is_json(self) -> None:
        answer = self.rpc("tools/call", {"name": "healthProbe"}, session=self.initialize(), Accept=BOTH)
        assert answer.header("Content-Type") == "application/json"

    def test_a_client_that_reads_no_stream_here_finds_its_log_messages_in_the_queue(self) -> None:
        """No message is lost: the session's queue takes what no answer stream carries."""
        session = self.logging("2025-06-18")
        answer = self.rpc("tools/call", {"name": "healthProbe"}, session=session, Accept="application/json")
        assert answer.header("Content-Type") == "application/json"
        assert self.methods(self.listen(session)) == ["notifications/message"] * 2

    def test_an_error_is_an_error_status_even_for_a_client_that_reads_streams(self) -> None:
        """The status is still open as long as nothing has come before the result."""
        answer = self.rpc("ping", session="gone", Accept="text/event-stream")
        assert (answer.status, answer.header("Content-Type")) == (404, "application/json")

    def test_an_answer_stream_opens_with_a_priming_event_since_2025_11_25(self) -> None:
        """Sending Messages, rule 6."""
        for revision, primed in (("2025-11-25", True), ("2025-06-18", False)):
            answer = self.rpc("tools/list", session=self.initialize(revision), Accept="text/event-stream")
            assert (answer.events[0]["data"] == "") == primed

    def test_an_answer_can_be_fetched_again_from_its_event_id(self) -> None:
        """Rule 2: always by GET, whichever request the stream began with."""
        session = self.initialize("2025-11-25")
        answer = self.rpc("tools/list", session=session, Accept="text/event-stream")
        again = self.listen(session, **{"Last-Event-ID": answer.events[0]["id"]})
        assert [message["id"] for message in again.messages] == [1]
        assert again.over, "a stream whose answer is complete ends"

    def test_a_session_made_on_the_way_is_named_in_the_head_of_the_stream(self) -> None:
        answer = self.rpc("tools/list", Accept="text/event-stream")
        assert answer.header("Mcp-Session-Id") is not None


class KeepAliveTests(StreamTestCase):
    def start(self, **environ: str) -> Listening:
        self.serve({"MCP_ECHO_KEEPALIVE_INTERVAL": "15", **environ})
        self.service.streams.start()
        self.addCleanup(self.service.streams.stop)
        return self.listen(self.initialize())

    def beat(self) -> None:
        self.clock.advance(15)
        self.client.flush()

    def beats(self, listening: Listening) -> str:
        """Return what keeps a stream alive; the first beat finds the opening just sent."""
        for _ in range(3):
            self.beat()
        events, comments = listening.events, listening.body.count(b": keep-alive\n\n")
        assert (events, comments) in (([KEEP_ALIVE] * 2, 0), ([], 2)), listening.body
        return "event" if events else "comment"

    def test_a_reader_of_events_alone_is_kept_alive_by_an_event(self) -> None:
        """The documented frame, for EventSource and for people: they see no comment."""
        self.start()
        for accept in (
            "text/event-stream",
            "Text/Event-Stream;charset=utf-8",
            "text/event-stream, text/html",
            "text/event-stream, application/json;q=0",
        ):
            assert self.beats(self.listen(self.initialize(), Accept=accept)) == "event", accept

    def test_a_reader_that_takes_json_too_is_kept_alive_by_a_comment(self) -> None:
        """Our choice: the Python SDKs list both, and log a warning for every event that they do not know; a
        wildcard tells nothing of events."""
        self.start()
        for accept in (
            "application/json, text/event-stream",
            "text/event-stream;q=0.5, application/json;q=0.1",
            "text/event-stream, */*",
            "text/event-stream, application/*",
            "text/*",
            "*/*",
            "",
        ):
            assert self.beats(self.listen(self.initialize(), Accept=accept)) == "comment", accept

    def test_two_accept_lines_are_one_list(self) -> None:
        """RFC 9110 section 5.3; httpx sends two when a client and a library each set one."""
        self.start()
        fields = {"Accept": ["application/json", "text/event-stream"], "Mcp-Session-Id": self.initialize()}
        assert self.beats(Listening(self.begin("GET", headers=fields))) == "comment"

    def test_one_style_can_be_told_for_all_readers(self) -> None:
        """MCP_ECHO_KEEPALIVE_STYLE."""
        for style in ("comment", "event"):
            self.start(MCP_ECHO_KEEPALIVE_STYLE=style)
            for accept in ("text/event-stream", "application/json, text/event-stream", "*/*"):
                assert self.beats(self.listen(self.initialize(), Accept=accept)) == style, accept

    def test_the_answer_to_a_post_is_kept_alive_by_comments_in_every_style(self) -> None:
        """Our choice: who reads it knows MCP, whatever its Accept says."""
        params = {"name": "clientProbe", "arguments": {"feature": "roots"}}
        question = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        for style in ("auto", "event", "comment"):
            self.start(MCP_ECHO_KEEPALIVE_STYLE=style)
            session = self.initialize(capabilities={"roots": {}})
            headers = {"Mcp-Session-Id": session, "Accept": "text/event-stream"}
            asked = Posted(self, question, headers)
            for _ in range(3):
                self.beat()
            assert [message["method"] for message in asked.messages] == ["roots/list"]
            assert asked.body.count(b": keep-alive\n\n") == 2
            assert KEEP_ALIVE not in asked.events

    def test_a_busy_stream_needs_none(self) -> None:
        listening = self.start()
        session = next(iter(self.store)).id
        self.watch(session)
        for _ in range(3):
            self.stir(session)
            self.beat()
        assert KEEP_ALIVE not in listening.events


class BackPressureTests(StreamTestCase):
    """A client that does not read costs no more than its queue."""

    def slow(self) -> tuple[str, StringTransportWithDisconnection]:
        self.serve({"MCP_ECHO_MAX_QUEUE_MESSAGES": "5"})
        session = self.initialize()
        self.watch(session)
        channel = self.service.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337))
        transport = StringTransportWithDisconnection()
        transport.protocol = channel
        channel.makeConnection(transport)
        channel.dataReceived(
            b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: %b\r\n\r\n" % session.encode()
        )
        self.addCleanup(transport.loseConnection)
        return session, transport

    def test_nothing_is_written_while_the_client_does_not_read(self) -> None:
        """twisted.internet.interfaces.IPushProducer."""
        session, transport = self.slow()
        transport.producer.pauseProducing()
        transport.producer.pauseProducing()
        transport.clear()
        self.stir(session, 3)
        assert transport.value() == b""
        transport.producer.resumeProducing()
        assert transport.value().count(b"event: message") == 3
        transport.loseConnection()

    def test_what_does_not_fit_the_queue_is_counted(self) -> None:
        """Nothing is dropped silently."""
        session, transport = self.slow()
        transport.producer.pauseProducing()
        self.stir(session, 8)
        assert "Message Queue: 5 pending (3 dropped)" in self.text("sessionInfo", session=session)
        transport.loseConnection()


class StopTests(StreamTestCase):
    def test_stopping_ends_every_stream_properly_and_asks_clients_back(self) -> None:
        """The specification of 2025-11-25: a retry field before the server closes a connection early."""
        session = self.initialize()
        streams = [self.listen(session) for _ in range(3)]
        self.service.streams.start()
        self.service.streams.stop()
        self.client.flush()
        assert [(stream.over, b"retry: 500\n\n" in stream.body) for stream in streams] == [(True, True)] * 3
        assert self.clock.getDelayedCalls() == []

    def test_a_stream_that_is_opened_while_the_server_stops_ends_as_well(self) -> None:
        """Our choice: a client is told to come back, not kept until it is cut off."""
        session = self.initialize()
        self.service.streams.start()
        self.service.streams.stop()
        listening = self.listen(session)
        self.client.flush()
        assert (listening.over, b"retry: 500\n\n" in listening.body) == (True, True)

    def test_an_answer_that_is_a_stream_is_let_come(self) -> None:
        """Our choice: a request in flight finishes, and is kept alive until then."""
        session = self.initialize()
        self.service.streams.start()
        message = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {
                "name": "clientProbe",
                "arguments": {"feature": "progress"},
                "_meta": {"progressToken": 1},
            },
        }
        posted = Posted(self, message, {"Accept": BOTH, "Mcp-Session-Id": session})
        self.service.streams.stop()
        assert not posted.over
        for _ in range(20):
            self.clock.advance(0.05)
            self.client.flush()
        assert (posted.over, b"retry" in posted.body) == (True, False)
        assert "result" in posted.messages[-1]
        assert self.clock.getDelayedCalls() == []
