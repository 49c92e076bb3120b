"""Requests from the server to a legacy client, and requests that take their time.

Unless a test says otherwise, its duty is in "Sending Messages to the Server" and "Listening for Messages from
the Server" of https://modelcontextprotocol.io/specification/2025-11-25/basic/transports, or in
…/basic/utilities/cancellation.
"""

from __future__ import annotations

from typing import Any

from mcp_echo.eras.client_answers import MAX_ANSWER, MAX_ANSWER_VALUES
from tests.transport.support import BOTH, Listening, Posted, ServerTestCase

CAPABILITIES = {"sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {"listChanged": True}}
ROOTS = {"roots": [{"uri": "file:///home", "name": "home"}]}
PONG = {"role": "assistant", "content": {"type": "text", "text": "pong"}, "model": "none"}
FORM = {"action": "accept", "content": {"answer": "yes"}}


class AskingTestCase(ServerTestCase):
    settings = {"MCP_ECHO_CLIENT_TIMEOUT": "5"}

    def setUp(self) -> None:
        super().setUp()
        self.session = self.introduce()

    def tearDown(self) -> None:
        """Nothing may stay behind once the clients are gone."""
        self.leave()
        assert self.clock.getDelayedCalls() == []
        assert len(self.service.streams) == 0

    def introduce(self, revision: str = "2025-11-25", capabilities: Any = None) -> str:
        """Return a session of a client with these capabilities; without any given, it has all."""
        return self.initialize(revision, capabilities=CAPABILITIES if capabilities is None else capabilities)

    def probe(
        self,
        feature: str,
        session: str | None = None,
        message_id: Any = 1,
        accept: str = BOTH,
        meta: dict[str, Any] | None = None,
        **arguments: Any,
    ) -> Posted:
        """Begin a call of clientProbe."""
        params: dict[str, Any] = {"name": "clientProbe", "arguments": {"feature": feature, **arguments}}
        if meta is not None:
            params["_meta"] = meta
        message = {"jsonrpc": "2.0", "id": message_id, "method": "tools/call", "params": params}
        return Posted(self, message, {"Mcp-Session-Id": session or self.session, "Accept": accept})

    def reply(self, message_id: Any, session: str | None = None, **members: Any) -> None:
        """POST a client's response and see it taken."""
        body = {"jsonrpc": "2.0", "id": message_id, **members}
        answer = self.request("POST", body=body, headers={"Mcp-Session-Id": session or self.session})
        assert (answer.status, answer.body) == (202, b"")
        self.client.flush()

    def cancel(self, message_id: Any, session: str | None = None) -> None:
        """POST notifications/cancelled."""
        params = {"requestId": message_id, "reason": "a test"}
        body = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
        answer = self.request("POST", body=body, headers={"Mcp-Session-Id": session or self.session})
        assert answer.status == 202
        self.client.flush()

    def pass_time(self, seconds: float, step: float = 0.05) -> None:
        """Advance the clock in steps, so that what waits again after waiting gets its turn."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.client.flush()


def report(response: Any) -> Any:
    """Return what clientProbe reports in a JSON-RPC response."""
    return response["result"]["structuredContent"]


def is_cancellation(message: Any) -> bool:
    """Return whether a message is notifications/cancelled."""
    return bool(message.get("method") == "notifications/cancelled")


def asked(source: Posted | Listening) -> Any:
    """Return the one request on a stream."""
    (question,) = [message for message in source.messages if {"id", "method"} <= set(message)]
    return question


class QuestionTests(AskingTestCase):
    def test_the_question_comes_ahead_of_the_result_on_the_stream_of_the_call(self) -> None:
        """Sending Messages, rule 6; the response comes by POST and is 202 (rule 4)."""
        for arguments, method, answer in (
            ({"feature": "sampling"}, "sampling/createMessage", PONG),
            ({"feature": "elicitation"}, "elicitation/create", FORM),
            ({"feature": "elicitation", "mode": "url"}, "elicitation/create", {"action": "decline"}),
            ({"feature": "roots"}, "roots/list", ROOTS),
        ):
            call = self.probe(**arguments, message_id="call")
            question = asked(call)
            assert (question["jsonrpc"], question["method"], call.over) == ("2.0", method, False)
            self.clock.advance(2)
            self.reply(question["id"], result=answer)
            last = call.messages[-1]
            assert (last["id"], call.over) == ("call", True)
            found = report(last)
            assert (found["answer"], found["problems"], found["roundTrip"]) == (answer, [], 2)

    def test_every_question_of_a_session_has_an_id_of_its_own(self) -> None:
        """basic, Requests: an id must not be used twice within a session."""
        calls = [self.probe("roots", message_id=number) for number in range(3)]
        ids = [asked(call)["id"] for call in calls]
        assert len(set(ids)) == 3
        for question_id in reversed(ids):
            self.reply(question_id, result=ROOTS)
        assert [report(call.messages[-1])["answer"] for call in calls] == [ROOTS] * 3

    def test_a_url_question_has_its_id_in_this_era(self) -> None:
        """2025-11-25 client/elicitation, URL Mode: `elicitationId` is required."""
        call = self.probe("elicitation", mode="url")
        question = asked(call)
        assert question["params"]["elicitationId"]
        self.reply(question["id"], result={"action": "cancel"})

    def test_a_form_names_its_mode_only_where_the_revision_has_modes(self) -> None:
        """2025-06-18 has forms alone, and no `mode`."""
        for revision, mode in (("2025-06-18", None), ("2025-11-25", "form")):
            session = self.introduce(revision)
            question = asked(self.probe("elicitation", session))
            assert question["params"].get("mode") == mode
            self.reply(question["id"], session, result=FORM)

    def test_an_error_of_the_client_is_reported(self) -> None:
        """basic, Responses: an error is a response too."""
        call = self.probe("sampling")
        self.reply(asked(call)["id"], error={"code": -1, "message": "User rejected sampling request"})
        found = report(call.messages[-1])
        assert "answer" not in found
        assert "User rejected sampling request" in found["problems"][0]

    def test_an_answer_too_large_to_be_shown_is_reported(self) -> None:
        """Our choice: it is held several times while it is shown."""
        many = {"roots": [None] * MAX_ANSWER_VALUES}
        long = {"roots": [{"uri": "file:///" + "a" * MAX_ANSWER}]}
        for members, words in (
            ({"result": many}, f"more than {MAX_ANSWER_VALUES} values"),
            ({"result": long}, f"up to {MAX_ANSWER} are read"),
            ({"error": {"code": 1, "message": "x", "data": many}}, f"more than {MAX_ANSWER_VALUES} values"),
            ({"error": {"code": 1, "message": "x", "data": long}}, f"up to {MAX_ANSWER} are read"),
        ):
            call = self.probe("roots")
            self.reply(asked(call)["id"], **members)
            found = report(call.messages[-1])
            assert "answer" not in found
            (problem,) = found["problems"]
            assert words in problem

    def test_a_client_that_does_not_answer_is_reported_in_time(self) -> None:
        """MCP_ECHO_CLIENT_TIMEOUT: our setting; lifecycle, Timeouts: SHOULD."""
        call = self.probe("sampling")
        self.clock.advance(4.9)
        self.client.flush()
        assert not call.over
        self.clock.advance(0.1)
        self.client.flush()
        assert (call.over, "within 5 s" in report(call.messages[-1])["problems"][0]) == (True, True)
        (session,) = self.store
        assert session.take_expected(asked(call)["id"]) is None, "nothing is kept for an answer"

    def test_a_question_that_is_not_answered_in_time_is_cancelled_before_the_answer(self) -> None:
        """lifecycle, Timeouts: SHOULD issue a cancellation for it, which names its id as it was given."""
        for revision in ("2025-03-26", "2025-06-18", "2025-11-25"):
            session = self.introduce(revision)
            call = self.probe("sampling", session, message_id="call")
            question = asked(call)
            self.clock.advance(5)
            self.client.flush()
            *_, cancelled, answer = call.messages
            assert (cancelled["method"], answer["id"]) == ("notifications/cancelled", "call")
            reason = "No answer came in this session within 5 s"
            assert cancelled["params"] == {"requestId": question["id"], "reason": reason}
            assert call.events[-2]["id"].partition("-")[0] == call.events[-1]["id"].partition("-")[0]

    def test_a_question_on_a_get_stream_is_cancelled_there(self) -> None:
        """Cancellation, Behavior; Our choice: where it was asked."""
        listening = self.listen(self.session)
        call = self.probe("sampling", accept="application/json")
        self.clock.advance(5)
        self.client.flush()
        question, cancelled = listening.messages
        assert cancelled["params"]["requestId"] == question["id"]
        assert "within 5 s" in report(call.json)["problems"][0]

    def test_a_question_that_was_answered_is_not_cancelled(self) -> None:
        """Cancellation, Behavior: MUST only reference requests believed to be in progress."""
        call = self.probe("sampling")
        self.reply(asked(call)["id"], error={"code": -1, "message": "User rejected sampling request"})
        self.pass_time(6)
        assert [message.get("method") for message in call.messages] == ["sampling/createMessage", None]

    def test_only_the_questions_that_were_not_answered_are_cancelled(self) -> None:
        """Cancellation, Behavior: as above."""
        self.serve({**self.settings, "MCP_ECHO_CONFORMANCE": "core"})
        session = self.introduce()
        params = {"name": "test_input_required_result_multiple_inputs", "arguments": {}}
        message = {"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params}
        call = Posted(self, message, {"Mcp-Session-Id": session, "Accept": BOTH})
        questions = [each["id"] for each in call.messages if "method" in each]
        self.reply(questions[1], session, result={})
        self.clock.advance(5)
        self.client.flush()
        cancelled = [each["params"]["requestId"] for each in call.messages if is_cancellation(each)]
        assert cancelled == [questions[0], *questions[2:]]
        assert "id" in call.messages[-1]

    def test_a_question_of_a_cancelled_call_is_cancelled_too(self) -> None:
        """Our choice: nobody waits for it any more; the stream carries no response, but this it may."""
        call = self.probe("sampling", message_id=9)
        question = asked(call)
        self.cancel(9)
        assert call.over
        assert call.messages[-1]["params"] == {
            "requestId": question["id"],
            "reason": "The request that asked this was cancelled",
        }

    def test_a_question_of_a_session_that_ends_is_cancelled_and_its_call_answered(self) -> None:
        """Our choice: a request that was taken is answered, and nobody is left waiting."""
        for end in ("DELETE", "expiry"):
            self.serve({**self.settings, "MCP_SESSION_TIMEOUT": "2"})
            session = self.introduce()
            call = self.probe("sampling", session, message_id=9)
            question = asked(call)
            if end == "DELETE":
                self.request("DELETE", headers={"Mcp-Session-Id": session})
            else:
                self.clock.advance(3)
                self.store.expire()
            self.client.flush()
            *_, cancelled, answer = call.messages
            reason = "The session ended before the client answered"
            assert cancelled["params"] == {"requestId": question["id"], "reason": reason}
            assert (answer["id"], report(answer)["problems"], call.over) == (9, [reason], True)
            assert self.clock.getDelayedCalls() == []

    def test_an_answer_that_comes_too_late_is_taken_and_dropped(self) -> None:
        """Sending Messages, rule 4: it is a valid message; nobody waits for it any more."""
        call = self.probe("sampling")
        question = asked(call)
        self.clock.advance(5)
        self.client.flush()
        before = call.body
        self.reply(question["id"], result=PONG)
        assert call.body == before

    def test_an_answer_counts_once_and_under_its_own_id_alone(self) -> None:
        """JSON-RPC 2.0, Response object: the id is that of the request, of the same type."""
        call = self.probe("roots")
        number = asked(call)["id"]
        for wrong in (str(number), number + 1, -number, f"{number}.0"):
            self.reply(wrong, result={"roots": []})
        assert not call.over
        self.reply(number, result=ROOTS)
        self.reply(number, result={"roots": []})
        found = report(call.messages[-1])
        assert found["answer"] == ROOTS
        assert found["problems"] == [
            f"An answer came with id {shown}, the question has id {number}"
            for shown in (f'"{number}"', number + 1, -number)
        ]

    def test_an_answer_with_another_id_is_told_beside_the_id_of_the_question(self) -> None:
        """JSON-RPC 2.0, Response object: the id MUST be the same, in value and type."""
        for wrong, told in (
            ({"id": "1", "result": PONG}, 'with id "1"'),
            ({"id": 7, "result": PONG}, "with id 7"),
            ({"id": None, "error": {"code": 1, "message": "m"}}, "without an id"),
            ({"id": "x" * 100, "result": PONG}, f'with id "{"x" * 59}…'),
        ):
            self.session = self.introduce()
            call = self.probe("sampling")
            assert asked(call)["id"] == 1
            self.reply(wrong["id"], **{key: value for key, value in wrong.items() if key != "id"})
            self.clock.advance(5)
            self.client.flush()
            found = report(call.messages[-1])
            assert found["problems"] == [
                "No answer came in this session within 5 s",
                f"An answer came {told}, the question has id 1",
            ]
            assert ("answer" in found, "roundTrip" in found) == (False, False)
            assert found["sent"] == ["sampling/createMessage"]

    def test_a_malformed_answer_is_refused_and_told_of(self) -> None:
        """Schema: a response has a result or an error; Sending Messages, rule 4: an HTTP error otherwise."""
        both = {"result": PONG, "error": {"code": 1, "message": "m"}}
        for malformed, told in (({"id": 1, **both}, "with id 1"), ({"result": PONG}, "without an id")):
            self.session = self.introduce()
            call = self.probe("sampling")
            body = {"jsonrpc": "2.0", **malformed}
            answer = self.request("POST", body=body, headers={"Mcp-Session-Id": self.session})
            assert (answer.status, answer.json["error"]["code"]) == (400, -32600)
            self.reply(1, result=PONG)
            found = report(call.messages[-1])
            assert found["answer"] == PONG
            assert found["problems"] == [
                f"An answer came {told} and was refused as malformed, the question has id 1"
            ]

    def test_a_malformed_answer_in_a_batch_is_told_of_too(self) -> None:
        """2025-03-26 basic, Batching: an array of responses."""
        session = self.introduce("2025-03-26")
        call = self.probe("sampling", session)
        body = [{"jsonrpc": "2.0", "id": 1, "result": PONG, "error": {"code": 1, "message": "m"}}]
        self.request("POST", body=body, headers={"Mcp-Session-Id": session})
        self.reply(1, session, result=PONG)
        told = "An answer came with id 1 and was refused as malformed, the question has id 1"
        assert told in call.messages[-1]["result"]["content"][0]["text"]

    def test_a_malformed_answer_in_no_session_or_an_unknown_one_is_refused(self) -> None:
        """Session Management, rule 3: an unknown id is 404 whatever comes with it."""
        body = {"jsonrpc": "2.0", "id": 1, "result": {}, "error": {"code": 1, "message": "m"}}
        assert self.request("POST", body=body).status == 400
        answer = self.request("POST", body=body, headers={"Mcp-Session-Id": "nobody's"})
        assert answer.status == 404

    def test_an_answer_to_a_question_that_is_over_is_told_from_one_to_none(self) -> None:
        """Our choice: a client that answers late is another fault than one that answers under a wrong id."""
        first = self.probe("roots")
        self.reply(asked(first)["id"], result=ROOTS)
        second = self.probe("roots", message_id=2)
        self.reply(1, result=ROOTS)
        self.reply(asked(second)["id"], result=ROOTS)
        assert report(second.messages[-1])["problems"] == [
            "An answer came with id 1, of a question that is over, the question has id 2"
        ]

    def test_only_so_many_strays_are_told_of(self) -> None:
        """Our choice: what a client sends instead of an answer is bounded in what is kept of it."""
        call = self.probe("roots")
        for number in range(100, 200):
            self.reply(number, result=ROOTS)
        self.reply(1, result=ROOTS)
        assert len(report(call.messages[-1])["problems"]) == 3

    def test_an_answer_in_another_session_is_none(self) -> None:
        """Session Management: the report says what came in this session, and nothing of another's."""
        other = self.introduce()
        call = self.probe("roots")
        self.reply(1, other, result=ROOTS)
        self.clock.advance(5)
        self.client.flush()
        assert report(call.messages[-1])["problems"] == ["No answer came in this session within 5 s"]

    def test_a_call_without_a_session_id_is_told_that_its_session_is_new(self) -> None:
        """Our choice: what the client declared in another session is not said to be missing."""
        params = {"name": "clientProbe", "arguments": {"feature": "sampling"}}
        answer = self.rpc("tools/call", params, Accept=BOTH, MCP_Protocol_Version="2025-11-25")
        found = report(answer.json)
        assert found["problems"][0] == (
            "This request carried no session id: a new session was made for it, so nothing that came before "
            "it counts here"
        )
        assert (found["sent"], found["verdict"]) == ([], "problem")
        again = report(self.rpc("tools/call", params, session=self.session, Accept="application/json").json)
        assert "session id" not in " ".join(again["problems"])

    def test_every_tool_whose_answer_depends_on_the_session_says_that_it_is_new(self) -> None:
        """Our choice: the same sentence everywhere, and never in a session that was named."""
        new = "This request carried no session id: a new session was made for it"
        for name in ("replayLastEcho", "sessionInfo", "requestTiming"):
            assert new in self.text(name), name
            assert new not in self.text(name, session=self.session), name
        handle = self.call("createEchoSession", session=self.session)["structuredContent"]["session"]
        for name in ("replayLastEcho", "sessionInfo"):
            assert new not in self.text(name, {"session": handle}), name

    def test_an_answer_of_any_shape_is_reported_not_trusted(self) -> None:
        """What the probe is for."""
        for answer in ({}, [], "text", 7, {"roots": None}, {"roots": [None]}, {"roots": [{"uri": 7}]}):
            call = self.probe("roots")
            self.reply(asked(call)["id"], result=answer)
            found = report(call.messages[-1])
            assert (found["answer"], bool(found["problems"])) == (answer, answer != {"roots": []}), answer

    def test_an_answer_that_is_not_utf_8_is_refused_and_the_question_stays_open(self) -> None:
        """RFC 8259 section 8.1; a client's bad bytes are no fault of ours, so none is logged."""
        call = self.probe("roots")
        number = asked(call)["id"]
        body = b'{"jsonrpc":"2.0","id":%d,"result":{"roots":"\xff"}}' % number
        answer = self.request("POST", body=body, headers={"Mcp-Session-Id": self.session})
        assert (answer.status, answer.json["error"]["code"]) == (400, -32700)
        self.reply(number, result=ROOTS)
        assert report(call.messages[-1])["answer"] == ROOTS

    def test_two_sessions_that_ask_under_the_same_id_do_not_mix(self) -> None:
        """Session Management: ids are unique within a session, not beyond."""
        other = self.introduce()
        calls = {session: self.probe("roots", session) for session in (self.session, other)}
        (question_id,) = {asked(call)["id"] for call in calls.values()}
        mine, theirs = ({"roots": [{"uri": f"file:///{name}"}]} for name in ("mine", "theirs"))
        self.reply(question_id, other, result=theirs)
        assert (calls[other].over, calls[self.session].over) == (True, False)
        self.reply(question_id, self.session, result=mine)
        assert report(calls[other].messages[-1])["answer"] == theirs
        assert report(calls[self.session].messages[-1])["answer"] == mine

    def test_what_the_client_has_not_declared_is_not_asked(self) -> None:
        """lifecycle, Operation: MUST only use capabilities that were negotiated."""
        for arguments, capabilities in (
            ({"feature": "sampling"}, {}),
            ({"feature": "roots"}, {"sampling": {}}),
            ({"feature": "elicitation"}, {"elicitation": {"url": {}}}),
            ({"feature": "elicitation", "mode": "url"}, {"elicitation": {}}),
        ):
            call = self.probe(session=self.introduce(capabilities=capabilities), **arguments)
            found = report(call.json)
            assert (found["declared"], found["sent"]) == (False, [])

    def test_a_client_that_reads_no_stream_cannot_be_asked(self) -> None:
        """Our choice: tell so at once instead of waiting for an answer that cannot come."""
        call = self.probe("sampling", accept="application/json")
        found = report(call.json)
        assert (found["declared"], "answer" in found) == (True, False)
        assert found["problems"] == [
            "This request's Accept does not list text/event-stream, and no stream of the session is open, "
            "so the client is not asked"
        ]
        assert (found["sent"], "roundTrip" in found) == ([], False)

    def test_a_client_that_reads_only_its_get_stream_is_asked_there(self) -> None:
        """Listening for Messages, rule 4: requests may come on it."""
        listening = self.listen(self.session)
        call = self.probe("sampling", accept="application/json")
        self.client.flush()
        self.reply(asked(listening)["id"], result=PONG)
        assert report(call.json)["answer"] == PONG

    def test_an_answer_after_the_session_s_end_is_404(self) -> None:
        """Session Management, rule 3; the call itself still ends in time."""
        call = self.probe("roots")
        self.request("DELETE", headers={"Mcp-Session-Id": self.session})
        body = {"jsonrpc": "2.0", "id": asked(call)["id"], "result": ROOTS}
        answer = self.request("POST", body=body, headers={"Mcp-Session-Id": self.session})
        assert answer.status == 404
        self.clock.advance(5)
        self.client.flush()
        assert call.over


class PingTests(AskingTestCase):
    """basic/utilities/ping: either side may ping the other, and the answer is an empty result."""

    def test_a_client_is_pinged_on_the_stream_of_its_post(self) -> None:
        call = self.probe("ping")
        ping = asked(call)
        assert (ping["method"], set(ping) <= {"jsonrpc", "id", "method", "params"}) == ("ping", True)
        self.clock.advance(2)
        self.reply(ping["id"], result={})
        found = report(call.messages[-1])
        way = "the stream of this POST"
        assert (found["sent"], found["problems"], found["verdict"]) == ([f"ping on {way}"], [], "answered")
        assert found["answer"] == {way: {"answer": {}, "roundTrip": 2}}

    def test_each_stream_is_measured_by_itself(self) -> None:
        listening = self.listen(self.session)
        call = self.probe("ping")
        self.client.flush()
        on_get, on_post = asked(listening), asked(call)
        self.clock.advance(1)
        self.reply(on_get["id"], result={})
        self.clock.advance(2)
        self.reply(on_post["id"], result={})
        assert report(call.messages[-1])["answer"] == {
            "the stream of a GET": {"answer": {}, "roundTrip": 1},
            "the stream of this POST": {"answer": {}, "roundTrip": 3},
        }

    def test_a_stream_on_which_no_answer_comes_is_named(self) -> None:
        listening = self.listen(self.session)
        call = self.probe("ping")
        self.client.flush()
        self.reply(asked(listening)["id"], result={})
        self.clock.advance(5)
        self.client.flush()
        found = report(call.messages[-1])
        assert found["problems"] == ["On the stream of this POST: No answer came in this session within 5 s"]
        assert list(found["answer"]) == ["the stream of a GET"]

    def test_a_client_that_is_not_initialized_may_be_pinged(self) -> None:
        """basic/lifecycle, Initialization: before that nothing but pings and log messages."""
        session = self.rpc("initialize", {"protocolVersion": "2025-11-25"}).header("Mcp-Session-Id")
        call = self.probe("ping", session)
        self.reply(asked(call)["id"], session, result={})
        assert report(call.messages[-1])["problems"] == []

    def test_a_client_that_reads_no_stream_is_not_pinged(self) -> None:
        found = report(self.probe("ping", accept="application/json").json)
        assert (found["sent"], "answer" in found, found["verdict"]) == ([], False, "problem")
        assert "no stream of a GET is open" in found["problems"][0]

    def test_an_error_is_no_answer_to_a_ping(self) -> None:
        call = self.probe("ping")
        self.reply(asked(call)["id"], error={"code": -32601, "message": "Method not found"})
        assert "Method not found" in report(call.messages[-1])["problems"][0]


class SentTests(AskingTestCase):
    def test_a_client_that_reads_json_alone_is_sent_no_progress_and_told_so(self) -> None:
        """Our choice: only what was handed to somebody was sent."""
        call = self.probe("progress", accept="application/json", meta={"progressToken": "p"})
        self.pass_time(1)
        found = report(call.json)
        assert (found["sent"], found["verdict"]) == ([], "problem")
        assert found["problems"] == [
            "This request's Accept does not list text/event-stream: 3 of 3 could not be sent"
        ]

    def test_what_nobody_acknowledges_is_never_found_to_be_well(self) -> None:
        """Our choice: progress and log messages have no answer; that they arrived the client alone knows."""
        self.rpc("logging/setLevel", {"level": "critical"}, session=self.session)
        for feature in ("progress", "logging"):
            call = self.probe(feature, meta={"progressToken": "p"})
            self.pass_time(1)
            answer = call.messages[-1]["result"]
            assert (len(answer["structuredContent"]["sent"]), report(call.messages[-1])["verdict"]) == (
                3,
                "unacknowledged",
            )
            assert "✅" not in answer["content"][0]["text"]

    def test_a_token_of_a_wrong_type_is_told_of(self) -> None:
        """basic/utilities/progress, Progress Flow: a string or an integer."""
        for meta, told in (
            ({"progressToken": 1.5}, "progressToken is 1.5; it must be"),
            ({"progressToken": True}, "progressToken is true; it must be"),
            ({"progressToken": None}, "progressToken is null; it must be"),
            ({"progressToken": {}}, "progressToken is an object; it must be"),
            ({"progressToken": []}, "progressToken is an array; it must be"),
            ("x", "_meta is a string; it must be"),
            ([], "_meta is an array; it must be"),
            ({}, "has no progressToken"),
        ):
            (problem,) = report(self.probe("progress", meta=meta).json)["problems"]
            assert told in problem, meta


class CancellationTests(AskingTestCase):
    def batch(self, session: str) -> Posted:
        """Begin two calls of a second each in one POST."""
        params = {"name": "clientProbe", "arguments": {"feature": "cancellation", "seconds": 1}}
        call = {"jsonrpc": "2.0", "method": "tools/call", "params": params}
        headers = {"Mcp-Session-Id": session, "Accept": BOTH}
        return Posted(self, [{**call, "id": number} for number in (1, 2)], headers)

    def test_a_cancelled_call_ends_its_stream_without_a_response(self) -> None:
        """Cancellation, Behavior: SHOULD stop, free what it holds and send no response."""
        for feature, meta in (("roots", None), ("progress", {"progressToken": "p"})):
            call = self.probe(feature, message_id="slow", meta=meta)
            assert not call.over
            before = call.messages
            self.cancel("slow")
            came = call.messages[len(before) :]
            assert call.over
            assert [each["method"] for each in came] == ["notifications/cancelled"] * (feature == "roots")
            assert self.clock.getDelayedCalls() == []

    def test_a_cancelled_call_that_has_sent_nothing_yet_gets_no_response_either(self) -> None:
        """Cancellation, Behavior; the HTTP request still has to end: 202 says that nothing follows."""
        call = self.probe("cancellation", message_id=9)
        self.cancel(9)
        assert (call.status, call.body, call.over) == (202, b"", True)

    def test_only_the_named_call_of_the_same_session_is_cancelled(self) -> None:
        """Cancellation, Behavior: requests in flight, in the same direction; others are ignored."""
        call = self.probe("cancellation", message_id=9, seconds=1)
        self.cancel("9")
        self.cancel(10)
        self.cancel(9, self.introduce())
        assert not call.over
        self.pass_time(1)
        assert report(call.json)["problems"] == [
            "No notifications/cancelled for this request came in this session within 1 s"
        ]

    def test_a_malformed_cancellation_is_ignored(self) -> None:
        """Cancellation, Error Handling: invalid ones SHOULD be ignored."""
        call = self.probe("cancellation", message_id=9, seconds=1)
        for params in ({}, {"requestId": None}, {"requestId": [9]}, {"requestId": 9.5}):
            body = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
            answer = self.request("POST", body=body, headers={"Mcp-Session-Id": self.session})
            assert answer.status == 202
        assert not call.over
        self.pass_time(1)

    def test_a_call_that_is_over_is_not_cancelled(self) -> None:
        """Cancellation, Timing Considerations: it may come too late."""
        call = self.probe("roots", message_id=9)
        self.reply(asked(call)["id"], result=ROOTS)
        before = call.body
        self.cancel(9)
        assert call.body == before

    def test_the_probe_leaves_a_note_of_its_cancellation_in_the_queue(self) -> None:
        """clientProbe: our tool; the call itself must not be answered."""
        self.probe("cancellation", message_id=9)
        self.pass_time(0.5)
        self.cancel(9)
        (note,) = self.listen(self.session).messages
        assert note["method"] == "notifications/message"
        assert note["params"]["data"]["outcome"].startswith("cancelled after 500")

    def test_a_cancelled_call_waits_for_none_of_its_questions(self) -> None:
        """Cancellation, Behavior: free what the request holds."""
        self.serve({**self.settings, "MCP_ECHO_CONFORMANCE": "core"})
        session = self.introduce()
        params = {"name": "test_input_required_result_multiple_inputs", "arguments": {}}
        message = {"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params}
        call = Posted(self, message, {"Mcp-Session-Id": session, "Accept": BOTH})
        assert len([each for each in call.messages if "id" in each]) > 1, "it asks several questions"
        self.cancel(9, session)
        assert (call.over, self.clock.getDelayedCalls()) == (True, [])

    def test_a_call_in_a_batch_is_cancelled_as_any_other(self) -> None:
        """2025-03-26 basic/utilities/cancellation: requests in flight; a batch is nothing but requests."""
        session = self.introduce("2025-03-26")
        call = self.batch(session)
        self.cancel(1, session)
        self.pass_time(3)
        assert call.over
        assert [message["id"] for message in call.messages if "result" in message] == [2]

    def test_the_calls_of_a_batch_do_not_wait_for_each_other(self) -> None:
        """Our choice: a batch is a way to send requests, not an order to work on them."""
        call = self.batch(self.introduce("2025-03-26"))
        self.pass_time(1)
        over = call.over
        self.pass_time(2)
        assert over

    def test_a_client_that_disconnects_has_not_cancelled(self) -> None:
        """Sending Messages, rule 6; Resumability: the result waits for the client to come back."""
        call = self.probe("progress", message_id=9, meta={"progressToken": "p"})
        last_seen = call.events[-1]["id"]
        call.leave()
        self.pass_time(1)
        again = self.listen(self.session, **{"Last-Event-ID": last_seen})
        assert [message.get("method", "result") for message in again.messages] == [
            "notifications/progress",
            "notifications/progress",
            "result",
        ]
        assert (again.messages[-1]["id"], again.over) == (9, True)

    def test_a_client_that_comes_back_early_gets_the_rest_as_it_comes(self) -> None:
        """Resumability and Redelivery."""
        call = self.probe("progress", message_id=9, meta={"progressToken": "p"})
        last_seen = call.events[-1]["id"]
        call.leave()
        again = self.listen(self.session, **{"Last-Event-ID": last_seen})
        assert again.messages == []
        self.pass_time(1)
        assert (len(again.messages), again.over) == (3, True)

    def test_a_question_can_be_answered_after_coming_back(self) -> None:
        """Sending Messages, rule 6: the connection is not the request."""
        call = self.probe("roots", message_id=9)
        question, last_seen = asked(call), call.events[-1]["id"]
        call.leave()
        self.reply(question["id"], result=ROOTS)
        again = self.listen(self.session, **{"Last-Event-ID": last_seen})
        assert [report(message)["answer"] for message in again.messages] == [ROOTS]

    def test_a_client_that_reads_no_stream_and_leaves_does_no_harm(self) -> None:
        """Sending Messages, rule 6: the work goes on; there is nowhere to put its result."""
        call = self.probe("cancellation", accept="application/json", seconds=1)
        call.leave()
        self.pass_time(1)
        assert self.rpc("ping", session=self.session).status == 200


class ProgressTests(AskingTestCase):
    """basic/utilities/progress: only for a request in progress; it MUST stop after completion."""

    META = {"progressToken": "p"}

    def test_a_finished_call_leaves_no_progress_for_a_later_stream(self) -> None:
        """The answer has gone as JSON; a GET stream carries nothing of an earlier request."""
        for revision in ("2025-03-26", "2025-06-18", "2025-11-25"):
            session = self.introduce(revision)
            call = self.probe("progress", session, accept="application/json", meta=self.META)
            self.pass_time(1)
            assert call.json["id"] == 1
            assert self.listen(session).messages == []

    def test_progress_of_a_running_call_never_comes_on_a_get_stream(self) -> None:
        """Listening for Messages, rule 4: SHOULD be unrelated to any request that is being worked on."""
        listening = self.listen(self.session)
        call = self.probe("progress", accept="application/json", meta=self.META)
        self.pass_time(1)
        assert call.json["id"] == 1
        assert listening.messages == []

    def test_progress_comes_before_the_answer_on_the_stream_of_its_call(self) -> None:
        """Sending Messages, rule 6; the answer to another element of a batch does not matter."""
        session = self.introduce("2025-03-26")
        probe = {"name": "clientProbe", "arguments": {"feature": "progress"}}
        batch = [
            {
                "jsonrpc": "2.0",
                "id": token,
                "method": "tools/call",
                "params": {**probe, "_meta": {"progressToken": token}},
            }
            for token in ("a", "b")
        ]
        call = Posted(self, batch, {"Mcp-Session-Id": session, "Accept": BOTH})
        self.pass_time(1)
        for token in ("a", "b"):
            own = [
                "answer" if "result" in message else message["params"]["progress"]
                for message in call.messages
                if token in (message.get("id"), message.get("params", {}).get("progressToken"))
            ]
            assert own == [0, 50, 100, "answer"]


class ListChangedTests(AskingTestCase):
    def test_the_probe_announces_every_list_and_sees_one_asked_for_again(self) -> None:
        """clientProbe: our tool; 2025-11-25 server/tools, List Changed Notification."""
        listening = self.listen(self.session)
        call = self.probe("list-changed")
        self.client.flush()
        announced = [f"notifications/{which}/list_changed" for which in ("tools", "prompts", "resources")]
        assert [message["method"] for message in listening.messages] == announced
        self.pass_time(0.5)
        self.rpc("prompts/list", session=self.session)
        self.pass_time(0.1)
        found = report(call.json)
        assert (found["sent"], found["problems"]) == (announced, [])
        assert 0.5 <= found["roundTrip"] <= 0.6

    def test_another_session_s_asking_does_not_count(self) -> None:
        """clientProbe tests its caller."""
        other = self.introduce()
        self.listen(self.session)
        call = self.probe("list-changed", seconds=1)
        self.rpc("tools/list", session=other)
        self.pass_time(1.1)
        assert "The client asked for no list again within 1 s" in report(call.json)["problems"]

    def test_two_probes_of_one_session_both_see_the_list_asked_for(self) -> None:
        """clientProbe: our tool; the end of one must not blind the other."""
        self.listen(self.session)
        first = self.probe("list-changed", message_id=1, seconds=1)
        self.pass_time(0.5)
        second = self.probe("list-changed", message_id=2, seconds=1)
        self.pass_time(0.6)
        assert first.over
        self.rpc("tools/list", session=self.session)
        self.pass_time(0.5)
        assert report(second.json)["problems"] == []


class RevisionTests(ServerTestCase):
    def test_a_client_is_not_asked_what_its_revision_does_not_know(self) -> None:
        """Lifecycle, Operation: elicitation came with 2025-06-18, its URLs with 2025-11-25."""
        for revision, mode in (("2024-11-05", "form"), ("2025-03-26", "form"), ("2025-06-18", "url")):
            capabilities = {"elicitation": {"form": {}, "url": {}}}
            session = self.initialize(revision, capabilities=capabilities)
            arguments = {"feature": "elicitation", "mode": mode}
            text = self.text("clientProbe", arguments, session=session, Accept=BOTH)
            assert f"Revision {revision} does not have this" in text
            assert "- Sent: nothing" in text


class HandshakeTests(ServerTestCase):
    def test_a_client_is_not_asked_before_it_says_that_it_is_initialized(self) -> None:
        """Lifecycle, Initialization: SHOULD NOT send requests other than pings and logging before."""
        params = {"protocolVersion": "2025-11-25", "capabilities": {"roots": {}}}
        session = self.rpc("initialize", params).header("Mcp-Session-Id")
        text = self.text("clientProbe", {"feature": "roots"}, session=session, Accept=BOTH)
        assert "No notifications/initialized has come in this session, so the client is not asked" in text
        assert "- Sent: nothing" in text
