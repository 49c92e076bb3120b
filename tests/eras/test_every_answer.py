"""Every request has its answer, and a client that reads gets what is meant for it, however slowly it reads.

JSON-RPC 2.0, Response object: the server MUST reply with a Response; basic/transports, Sending Messages, rule
6: the stream SHOULD eventually include a response for each request that was sent.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_echo.transport.sse import GAP_COMMENT
from tests.examples import examples
from tests.transport.slow import SlowClient
from tests.transport.support import BOTH, MODERN, ServerTestCase, claim, modern_message, routing_headers

STREAM = "text/event-stream"
JSON = "application/json"
SMALL = {"MCP_ECHO_MAX_QUEUE_MESSAGES": "2", "MCP_ECHO_MAX_QUEUE_BYTES": "1024"}
TINY = {**SMALL, "MCP_ECHO_MAX_STATE_BYTES": "65536"}
BOUNDS = [{}, SMALL, TINY]

# The same tests run on sessions in memory and on shared ones, each with examples of its own.
ANY_STORE = settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors])


def call(message_id: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": message_id, "method": "tools/call", "params": params}


def echo(message_id: Any, size: int) -> dict[str, Any]:
    return call(message_id, "echo", message="x" * size)


def ids(client: SlowClient) -> list[Any]:
    """Return the ids of the responses, in order."""
    return [each.get("id") for each in client.messages if "method" not in each]


class AnswerTestCase(ServerTestCase):
    def post(self, body: Any, session: str, accept: str = BOTH) -> SlowClient:
        headers = {"Mcp-Session-Id": session, "Accept": accept, "Content-Type": JSON}
        client = SlowClient(self.service.site, "POST", headers, body)
        self.addCleanup(client.leave)
        return client

    def get(self, session: str, **headers: str) -> SlowClient:
        fields = {"Mcp-Session-Id": session, "Accept": STREAM, **headers}
        client = SlowClient(self.service.site, "GET", fields)
        self.addCleanup(client.leave)
        return client

    def finish(self, *clients: SlowClient) -> None:
        """Let time pass, and have the clients read, until nothing happens any more."""
        for _ in range(30):
            self.clock.advance(0.05)
            for client in clients:
                client.read_all()


class WholeAnswerTests(AnswerTestCase):
    def test_a_batch_of_large_answers_comes_whole(self) -> None:
        """The log keeps a part of them; the connection gets all."""
        batch = [echo(number, 10_000) for number in range(100)]
        for bounds in BOUNDS:
            for accept in (BOTH, STREAM, JSON, "*/*"):
                self.serve(bounds)
                client = self.post(batch, self.initialize("2025-03-26"), accept)
                self.finish(client)
                assert (client.status, ids(client), client.over) == (200, list(range(100)), True)
                assert client.reads >= 100 or accept in (JSON, "*/*"), "it has read slowly"


ASYNC = ("progress", "cancellation", "sampling")
BROKEN = (7, "text", [], {}, {"jsonrpc": "2.0"}, {"jsonrpc": "1.0", "method": "ping"})


@st.composite
def elements(draw: st.DrawFn, message_id: Any) -> Any:
    """Return one element of a batch: a request under this id, or what is none."""
    kind = draw(st.sampled_from(["sync", "sync", "slow", "slow", "method", "note", "cancel", "broken"]))
    if kind == "sync":
        return echo(message_id, draw(st.sampled_from([0, 300, 3000, 12_000])))
    if kind == "slow":
        return probe(message_id, draw(st.sampled_from(ASYNC)))
    if kind == "method":
        method = draw(st.sampled_from(["ping", "tools/list", "nope", "initialize", "prompts/get"]))
        return {"jsonrpc": "2.0", "id": message_id, "method": method}
    if kind == "note":
        answer = {"jsonrpc": "2.0", "id": message_id, "result": {}}
        return draw(st.sampled_from([answer, {"jsonrpc": "2.0", "method": "notifications/initialized"}]))
    if kind == "cancel":
        return cancel(draw(st.sampled_from([message_id, 0, 1, "2"])))
    return draw(st.sampled_from(BROKEN))


@st.composite
def batches(draw: st.DrawFn) -> list[Any]:
    """Return a batch within the limits whose requests have ids of their own."""
    many = draw(st.integers(1, 40))
    return [draw(elements(place if place % 3 else str(place))) for place in range(many)]


def probe(message_id: Any, feature: str) -> dict[str, Any]:
    """Return a call that takes its time, and reports progress where that is asked of it."""
    message = call(message_id, "clientProbe", feature=feature, seconds=0.2)
    message["params"]["_meta"] = {"progressToken": message_id}
    return message


def cancel(message_id: Any) -> dict[str, Any]:
    params = {"requestId": message_id}
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}


def expected(batch: list[Any]) -> tuple[Counter[Any], set[Any]]:
    """Return how many answers there are to be under each id, and which of them may be missing."""
    due: Counter[Any] = Counter()
    spared = set()
    for place, element in enumerate(batch):
        if not isinstance(element, dict) or element.get("jsonrpc") != "2.0" or len(element) == 1:
            due[None] += 1
        elif element.get("method") == "notifications/cancelled":
            cancelled = element["params"]["requestId"]
            spared |= {cancelled for each in batch[:place] if is_slow(each) and each["id"] == cancelled}
        elif "method" in element and "id" in element:
            due[element["id"]] += 1
    return due, spared


def is_slow(element: Any) -> bool:
    return isinstance(element, dict) and "clientProbe" in json.dumps(element)


class AnyBatchTests(AnswerTestCase):
    @settings(ANY_STORE, max_examples=examples(60))
    @given(
        batch=batches(),
        accept=st.sampled_from([BOTH, STREAM, JSON, "*/*", "application/*"]),
        bounds=st.sampled_from(BOUNDS),
    )
    def test_each_request_has_one_answer(self, batch: list[Any], accept: str, bounds: dict[str, str]) -> None:
        """JSON-RPC 2.0, Batch: a Response for each Request, in any order; none for notifications."""
        self.serve(bounds)
        client = self.post(batch, self.initialize("2025-03-26"), accept)
        self.finish(client)
        due, spared = expected(batch)
        got = Counter(ids(client))
        assert {each for each in due if due[each] != got[each]} <= spared
        assert set(got) <= set(due)
        assert max((got[each] for each in spared), default=0) <= 1
        assert client.over
        assert client.status == (200 if got or "event-stream" in client.head else 202)
        self.assert_in_order(client)

    def assert_in_order(self, client: SlowClient) -> None:
        """No event is written twice, and no progress comes after its answer."""
        numbers = [each["id"] for each in client.events if "id" in each]
        assert len(numbers) == len(set(numbers))
        over = set()
        for message in client.messages:
            if "method" in message:
                assert message["params"]["progressToken"] not in over
            else:
                over.add(message.get("id"))

    def test_a_call_that_is_cancelled_in_its_own_batch_is_not_answered(self) -> None:
        """basic/utilities/cancellation, Behavior: SHOULD NOT send a response; the others have theirs."""
        for accept in (BOTH, JSON):
            batch = [call(1, "clientProbe", feature="cancellation", seconds=20), cancel(1), echo(2, 10)]
            client = self.post(batch, self.initialize("2025-03-26"), accept)
            client.read_all()
            assert (ids(client), client.over) == ([2], True)

    def test_what_is_cancelled_before_it_is_asked_for_is_answered(self) -> None:
        """basic/utilities/cancellation, Behavior: unknown requests cannot be cancelled; order counts."""
        for accept in (BOTH, JSON):
            batch = [cancel(1), call(1, "clientProbe", feature="cancellation", seconds=0.1)]
            client = self.post(batch, self.initialize("2025-03-26"), accept)
            self.finish(client)
            assert (ids(client), client.over) == ([1], True)

    def test_a_batch_of_calls_that_all_take_their_time_comes_as_they_end(self) -> None:
        """Our choice: no answer waits for another one."""
        batch = [call(n, "clientProbe", feature="cancellation", seconds=1 / (n + 1)) for n in range(10)]
        client = self.post(batch, self.initialize("2025-03-26"))
        self.finish(client)
        assert (ids(client), client.over) == (list(range(9, -1, -1)), True)

    def test_the_answers_that_are_ready_do_not_wait_for_one_that_is_not(self) -> None:
        """Our choice: as above."""
        batch = [call("slow", "clientProbe", feature="cancellation", seconds=1), echo("fast", 10)]
        client = self.post(batch, self.initialize("2025-03-26"))
        client.read_all()
        assert (ids(client), client.over) == (["fast"], False)
        self.finish(client)
        assert (ids(client), client.over) == (["fast", "slow"], True)


class SingleCallTests(AnswerTestCase):
    """One call, with what comes before its answer, in every revision that has such a stream."""

    @settings(ANY_STORE, max_examples=examples(30))
    @given(
        revision=st.sampled_from(["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", MODERN]),
        bounds=st.sampled_from(BOUNDS),
        beats=st.lists(st.booleans(), max_size=12),
    )
    def test_all_its_messages_come_once_and_the_answer_last(
        self, revision: str, bounds: dict[str, str], beats: list[bool]
    ) -> None:
        """Sending Messages, rule 6; keep-alives come between events, never within one."""
        self.serve(bounds)
        client = self.begin_probe(revision)
        for beat in beats:
            self.clock.advance(0.03)
            if beat:
                self.service.streams._beat_all()
            client.read()
        self.finish(client)
        assert [each.get("method", "answer") for each in client.messages] == [
            *["notifications/progress"] * 3,
            "answer",
        ]
        assert (client.messages[-1]["id"], client.over) == (5, True)

    def begin_probe(self, revision: str) -> SlowClient:
        params = {"name": "clientProbe", "arguments": {"feature": "progress"}}
        if revision == MODERN:
            message = modern_message("tools/call", params, 5, claim(progressToken="p"))
            headers = routing_headers(message)
            client = SlowClient(self.service.site, "POST", headers, message)
            self.addCleanup(client.leave)
            return client
        return self.post(probe(5, "progress"), self.initialize(revision))


class SlowNewsTests(AnswerTestCase):
    """What a session is told on its GET stream."""

    UPDATED = "notifications/resources/updated"

    def watched(self, revision: str = "2025-03-26") -> str:
        session = self.initialize(revision)
        self.rpc("resources/subscribe", {"uri": "echo://session"}, session)
        return session

    @settings(ANY_STORE, max_examples=examples(30))
    @given(
        steps=st.lists(st.sampled_from(["echo", "batch", "read", "lists", "large"]), max_size=25),
        bounds=st.sampled_from([{}, {"MCP_ECHO_MAX_STATE_BYTES": "65536"}]),
    )
    def test_a_slow_reader_gets_all_of_it_once_and_in_order(
        self, steps: list[str], bounds: dict[str, str]
    ) -> None:
        """Listening for Messages; Multiple Connections: each message on one stream."""
        self.serve(bounds)
        session, told = self.watched(), 0
        listening = self.get(session)
        for step in steps:
            if told - len(listening.messages) > 60:
                # Slow, but within the bounds of a queue.
                listening.read_all()
            if step == "read":
                listening.read()
            elif step == "lists":
                told += 3
                self.finish_call(call(1, "clientProbe", feature="list-changed", seconds=0.01), session)
            elif step == "batch":
                told += 30
                self.post([echo(number, 100) for number in range(30)], session, JSON).read_all()
            else:
                told += 1
                self.finish_call(echo(1, 3000 if step == "large" else 1), session)
        listening.read_all()
        assert len(listening.messages) == told
        numbers = [int(each["id"].partition("-")[2]) for each in listening.events if "id" in each]
        assert numbers == sorted(set(numbers))
        assert self.call("sessionInfo", session=session)["content"][0]["text"].count("dropped") == 0

    def finish_call(self, message: Any, session: str) -> None:
        client = self.post(message, session, JSON)
        self.clock.advance(0.1)
        client.read_all()
        assert client.over

    def test_the_news_of_one_batch_reaches_a_listener_though_a_queue_holds_less(self) -> None:
        """Our promise: no connection can read before the batch is done, so that none is slow for that."""
        for bounds in BOUNDS:
            self.serve(bounds)
            session = self.watched()
            listening = self.get(session)
            client = self.post([echo(number, 10) for number in range(100)], session)
            self.finish(client, listening)
            assert (len(ids(client)), len(listening.messages)) == (100, 100)
            assert "dropped" not in self.text("sessionInfo", session=session)

    def test_answers_on_one_stream_cost_another_none_of_its_messages(self) -> None:
        """Our promise: what one stream of a session carries takes no room from what another waits for."""
        self.serve(SMALL)
        session = self.watched()
        listening = self.get(session)
        listening.transport.producer.pauseProducing()
        self.finish_call(echo(1, 10), session)
        others = self.post([{"jsonrpc": "2.0", "id": n, "method": "tools/list"} for n in range(10)], session)
        self.finish(others)
        assert ids(others) == list(range(10))
        listening.transport.producer.resumeProducing()
        listening.read_all()
        assert [each["method"] for each in listening.messages] == [self.UPDATED]


class ComingBackTests(AnswerTestCase):
    """A client that loses its connection and resumes: what was kept comes, and what was not is counted."""

    def dropped(self, session: str) -> int:
        told = re.search(r"(\d+) dropped", self.text("sessionInfo", session=session))
        return int(told[1]) if told else 0

    def test_an_answer_that_comes_while_nobody_reads_is_there_for_who_comes_back(self) -> None:
        """Resumability and Redelivery."""
        for bounds in ({}, {"MCP_ECHO_MAX_QUEUE_MESSAGES": "4"}):
            self.serve(bounds)
            session = self.initialize("2025-11-25")
            client = self.post(probe(1, "progress"), session)
            client.read_all()
            client.leave()
            self.finish()
            again = self.get(session, **{"Last-Event-ID": client.events[-1]["id"]})
            self.finish(again)
            methods = [each.get("method", "answer") for each in again.messages]
            assert (methods, again.over) == (["notifications/progress"] * 2 + ["answer"], True)

    def test_a_client_that_comes_back_in_time_gets_a_late_answer_of_any_size(self) -> None:
        """Our promise: whoever reads gets the answer, though it could not be resumed once more."""
        self.serve({**TINY, "MCP_ECHO_CLIENT_TIMEOUT": "5"})
        session = self.initialize("2025-11-25", capabilities={"roots": {}})
        client = self.post(call(1, "clientProbe", feature="roots"), session)
        client.read_all()
        question = client.messages[-1]
        client.leave()
        again = self.get(session, **{"Last-Event-ID": client.events[-1]["id"]})
        again.read_all()
        roots = {"roots": [{"uri": "file:///" + "x" * 5000}]}
        self.post({"jsonrpc": "2.0", "id": question["id"], "result": roots}, session)
        self.finish(again)
        assert (ids(again), again.over) == ([1], True)

    def test_a_client_that_comes_back_for_what_was_not_kept_is_told_so(self) -> None:
        """Our promise: nothing is left out silently."""
        self.serve(SMALL)
        session = self.initialize("2025-03-26")
        client = self.post([echo(number, 2000) for number in range(10)], session)
        client.read()
        client.leave()
        assert ids(client) == [0]
        again = self.get(session, **{"Last-Event-ID": client.events[-1]["id"]})
        again.read_all()
        assert (ids(again), again.body.startswith(GAP_COMMENT)) == ([], True)
        # One more was written to the connection, though the client has not read it.
        assert self.dropped(session) == 8

    def test_a_client_that_comes_back_for_what_is_all_there_is_told_nothing(self) -> None:
        """Our choice: an ordinary resumption looks as it always did."""
        session = self.initialize("2025-03-26")
        client = self.post([echo(number, 2000) for number in range(10)], session)
        client.read()
        client.leave()
        again = self.get(session, **{"Last-Event-ID": client.events[-1]["id"]})
        self.finish(again)
        assert (ids(client) + ids(again), GAP_COMMENT in again.body) == (list(range(10)), False)

    def test_an_event_id_that_is_not_known_any_more_is_told_as_a_gap(self) -> None:
        """Our choice: the stream that it opens is a new one, which is worth a word."""
        session = self.initialize("2025-11-25")
        again = self.get(session, **{"Last-Event-ID": "r77-7"})
        again.read_all()
        assert again.body.startswith(GAP_COMMENT)


class EndedSessionTests(AnswerTestCase):
    def test_a_call_in_progress_is_answered_on_its_stream_after_the_session_s_end(self) -> None:
        """Our choice: a request that was taken is answered; only what listens ends with the session."""
        session = self.initialize("2025-11-25")
        probe = call("a", "clientProbe", feature="progress")
        probe["params"]["_meta"] = {"progressToken": 1}
        listening, client = self.get(session), self.post(probe, session)
        self.request("DELETE", headers={"Mcp-Session-Id": session})
        self.finish(listening, client)
        assert listening.over
        assert [each.get("method", "answer") for each in client.messages] == [
            *["notifications/progress"] * 3,
            "answer",
        ]
        assert (client.over, self.store.budget.queues) == (True, 0)


class OldTransportTests(AnswerTestCase):
    """Revision 2024-11-05: one stream carries the answers to all POSTs, and the news."""

    OLD = {"MCP_ECHO_LEGACY_SSE": "true"}

    def open(self, **bounds: str) -> tuple[SlowClient, str]:
        self.serve({**self.OLD, **bounds})
        stream = SlowClient(self.service.site, "GET", {"Accept": STREAM}, path="/sse")
        self.addCleanup(stream.leave)
        stream.read_all()
        return stream, stream.events[0]["data"]

    def send(self, path: str, message: Any) -> SlowClient:
        client = SlowClient(self.service.site, "POST", {"Accept": "*/*"}, message, path)
        self.addCleanup(client.leave)
        client.read_all()
        return client

    def test_many_posts_at_once_all_have_their_answers(self) -> None:
        """HTTP with SSE: server messages are sent as SSE message events."""
        for bounds in BOUNDS:
            stream, path = self.open(**bounds)
            for number in range(80):
                message = probe(number, "progress") if number % 10 == 0 else echo(number, 2000)
                assert self.send(path, message).status == 202
            self.finish(stream)
            assert Counter(ids(stream)) == Counter(range(80))
            progress = [each for each in stream.messages if "method" in each]
            assert len(progress) == 3 * 8
            assert "dropped" not in self.text("sessionInfo", session=path.partition("=")[2])

    def test_a_client_that_does_not_read_is_told_to_before_it_asks_more(self) -> None:
        """Our choice: what was accepted is answered, so that what cannot wait is refused with its own id."""
        for bounds in ({"MCP_ECHO_MAX_BATCH": "20"}, {"ECHO_MAX_MESSAGE_SIZE": "65536"}):
            stream, path = self.open(**bounds)
            answers = [self.send(path, echo(number, 5000)) for number in range(60)]
            accepted = [number for number, each in enumerate(answers) if each.status == 202]
            refused = [each for each in answers if each.status != 202]
            assert 0 < len(accepted) < 60
            assert {each.status for each in refused} == {429}
            assert "read the stream" in refused[0].messages[0]["error"]["message"]
            note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
            assert self.send(path, note).status == 202, "what wants no answer is taken"
            self.finish(stream)
            assert ids(stream) == accepted
            assert self.send(path, echo("again", 10)).status == 202

    def test_a_stop_writes_what_waits_for_a_slow_reader(self) -> None:
        """Our promise: an answer that is there is not lost with the server's end."""
        stream, path = self.open()
        for number in range(20):
            self.send(path, echo(number, 2000))
        assert self.service.streams.by_kind()["listening"] == 1
        self.service.streams.start()
        self.service.streams.stop()
        self.finish(stream)
        assert (ids(stream), stream.over) == (list(range(20)), True)


class StoppingTests(AnswerTestCase):
    def test_a_batch_that_is_half_written_when_the_server_stops_is_finished(self) -> None:
        """Our promise: requests in flight are answered."""
        self.service.streams.start()
        batch = [*(echo(number, 5000) for number in range(20)), probe("slow", "cancellation")]
        client = self.post(batch, self.initialize("2025-03-26"))
        client.read()
        self.service.streams.stop()
        self.finish(client)
        assert (ids(client), client.over) == ([*range(20), "slow"], True)

    def test_the_news_that_waits_goes_with_a_stream_that_the_server_closes(self) -> None:
        """Our promise: as above; the retry field comes last."""
        self.service.streams.start()
        session = self.initialize("2025-11-25")
        self.rpc("resources/subscribe", {"uri": "echo://session"}, session)
        listening = self.get(session)
        for number in range(50):
            self.call("echo", {"message": "x"}, session=session, message_id=number)
        self.service.streams.stop()
        self.finish(listening)
        assert (len(listening.messages), listening.over) == (50, True)
        assert b"retry: " in listening.body.rpartition(b"data: ")[2]


class LeftBatchTests(AnswerTestCase):
    def test_a_client_that_leaves_a_batch_before_anything_came_does_no_harm(self) -> None:
        """Sending Messages, rule 6: the work goes on; there is no event id to come back with."""
        session = self.initialize("2025-03-26")
        batch = [probe(1, "cancellation"), probe(2, "progress")]
        client = self.post(batch, session)
        client.leave()
        self.finish()
        assert len(self.service.streams) == 0
        assert "Total Requests: 4" in self.text("sessionInfo", session=session)


class SlowSubscriptionTests(AnswerTestCase):
    """Revision 2026-07-28, subscriptions/listen."""

    def subscribe(self) -> SlowClient:
        message = modern_message("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, 7)
        client = SlowClient(self.service.site, "POST", routing_headers(message), message)
        self.addCleanup(client.leave)
        client.read_all()
        return client

    def announce(self) -> None:
        params = {"name": "clientProbe", "arguments": {"feature": "list-changed", "seconds": 0.01}}
        message = modern_message("tools/call", params)
        SlowClient(self.service.site, "POST", routing_headers(message), message).read_all()
        self.clock.advance(0.1)

    def news(self, client: SlowClient) -> int:
        return sum(each.get("method") == "notifications/tools/list_changed" for each in client.messages)

    def test_a_burst_reaches_a_slow_reader_within_the_bounds_that_are_set(self) -> None:
        """Our bound: MCP_ECHO_MAX_QUEUE_MESSAGES beyond what the connection takes; the rest is counted."""
        for bounds, waiting in (({}, 100), ({"MCP_ECHO_MAX_QUEUE_MESSAGES": "200"}, 200)):
            self.serve({"MCP_ECHO_CALL_RATE": "0", **bounds})
            client = self.subscribe()
            client.transport.producer.pauseProducing()
            for _ in range(waiting + 20):
                self.announce()
            assert self.store.budget.messages_dropped == 20
            client.transport.producer.resumeProducing()
            client.read_all()
            assert self.news(client) == waiting

    def test_each_message_reaches_a_reader_that_keeps_up(self) -> None:
        """Our promise: the bounds are no bounds for who reads."""
        for bounds in BOUNDS:
            self.serve(bounds)
            client = self.subscribe()
            for _ in range(40):
                self.announce()
                client.read_all()
            assert self.news(client) == 40
