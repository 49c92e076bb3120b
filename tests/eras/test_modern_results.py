"""Results of the modern era: what each carries, the streams they come on, and questions to the client.

The duties are in https://modelcontextprotocol.io/specification/2026-07-28: basic (ResultType, `_meta`),
server/utilities/caching, server/discover, basic/transports/streamable-http, basic/patterns/mrtr,
basic/patterns/progress and server/utilities/logging.
"""

from __future__ import annotations

import base64
from typing import Any

from mcp_echo import __version__
from mcp_echo.eras.client_answers import MAX_ANSWER, MAX_ANSWER_VALUES
from mcp_echo.protocol.levels import LOG_LEVELS
from tests.transport.support import META, ModernTestCase, Posted, claim

KEYS = [base64.urlsafe_b64encode(bytes([number]) * 32).decode() for number in (1, 2)]

LISTS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}
CACHEABLE: list[tuple[str, dict[str, Any]]] = [
    ("server/discover", {}),
    *((method, {}) for method in LISTS),
    ("resources/read", {"uri": "echo://server"}),
]
NOT_CACHEABLE: list[tuple[str, dict[str, Any]]] = [
    ("tools/call", {"name": "echo", "arguments": {"message": "m"}}),
    ("tools/call", {"name": "echo", "arguments": {}}),
    ("tools/call", {"name": "replayLastEcho", "arguments": {"session": "es_gone"}}),
    ("prompts/get", {"name": "diagnose-auth"}),
    (
        "completion/complete",
        {
            "ref": {"type": "ref/prompt", "name": "diagnose-auth"},
            "argument": {"name": "symptom", "value": "4"},
        },
    ),
]


class EveryResultTests(ModernTestCase):
    def result(self, method: str, params: dict[str, Any], **kwargs: Any) -> Any:
        return self.modern(method, params, **kwargs).json["result"]

    def test_every_result_has_its_type_and_names_the_server(self) -> None:
        """basic: `resultType` MUST, `serverInfo` in `_meta` SHOULD be there."""
        for method, params in CACHEABLE + NOT_CACHEABLE:
            result = self.result(method, params)
            assert result["resultType"] == "complete", method
            info = result["_meta"][f"{META}serverInfo"]
            assert (info["name"], info["version"]) == ("mcp-echo", __version__), method

    def test_caching_hints_are_where_they_have_to_be(self) -> None:
        """server/utilities/caching: MUST, `ttlMs` an integer of 0 or more, `cacheScope` one of two words."""
        for method, params in CACHEABLE:
            result = self.result(method, params)
            assert type(result["ttlMs"]) is int, method
            assert result["ttlMs"] >= 0, method
            assert result["cacheScope"] in ("public", "private"), method

    def test_caching_hints_are_nowhere_else(self) -> None:
        """server/utilities/caching: the six cacheable results are listed."""
        for method, params in NOT_CACHEABLE:
            assert not {"ttlMs", "cacheScope"} & set(self.result(method, params)), method

    def test_what_depends_on_a_handle_is_nobody_else_s_to_cache(self) -> None:
        """server/utilities/caching, Cache Scope: "public" may be shared between callers."""
        handle = self.handle()
        for uri in (f"echo://session/{handle}", f"echo://session/{handle}/messages"):
            result = self.result("resources/read", {"uri": uri})
            assert (result["ttlMs"], result["cacheScope"]) == (0, "private")

    def test_every_listed_resource_can_be_read(self) -> None:
        """server/resources: the list has what there is; the legacy session's resource is not of this era."""
        uris = [each["uri"] for each in self.result("resources/list", {})["resources"]]
        assert uris == ["echo://server", "echo://findings"]
        assert all(self.result("resources/read", {"uri": uri})["contents"] for uri in uris)

    def test_discover_has_the_shape_of_its_schema(self) -> None:
        """server/discover: no `serverInfo` beside `_meta`, all versions that are spoken, newest first."""
        result = self.result("server/discover", {})
        assert set(result) == {
            "resultType",
            "supportedVersions",
            "capabilities",
            "instructions",
            "ttlMs",
            "cacheScope",
            "_meta",
        }
        assert result["supportedVersions"][0] == "2026-07-28"
        assert result["supportedVersions"] == sorted(result["supportedVersions"], reverse=True)
        assert set(result["capabilities"]) == {"tools", "resources", "prompts", "logging", "completions"}

    def test_a_tool_answers_text_and_the_same_facts_for_programs(self) -> None:
        """server/tools, Structured Content."""
        result = self.tool("echo", {"message": "m"})
        assert result["content"] == [{"type": "text", "text": "m"}]
        assert result["structuredContent"] == {"message": "m"}
        assert result["isError"] is False


class PageTests(ModernTestCase):
    settings = {"MCP_ECHO_PAGE_SIZE": "3"}

    def pages(self, method: str) -> list[Any]:
        """Return every page of a list."""
        pages = [self.modern(method).json["result"]]
        while "nextCursor" in pages[-1]:
            cursor = pages[-1]["nextCursor"]
            pages.append(self.modern(method, {"cursor": cursor}).json["result"])
        return pages

    def test_the_pages_of_a_list_make_up_the_whole(self) -> None:
        """server/utilities/pagination."""
        paged = {
            method: [entry for page in self.pages(method) for entry in page[key]]
            for method, key in LISTS.items()
        }
        assert len(self.pages("tools/list")) > 3
        self.serve({})
        assert paged == {method: self.modern(method).json["result"][key] for method, key in LISTS.items()}

    def test_every_page_has_its_hints_and_all_the_same_scope(self) -> None:
        """server/utilities/caching, Pagination: the same `cacheScope` on all pages is a MUST."""
        for method in LISTS:
            pages = self.pages(method)
            assert len({page["cacheScope"] for page in pages}) == 1, method
            assert all(page["ttlMs"] >= 0 and page["resultType"] == "complete" for page in pages), method

    def test_a_cursor_is_good_for_the_list_it_came_from_alone(self) -> None:
        """server/utilities/pagination, Error Handling."""
        cursor = self.pages("tools/list")[0]["nextCursor"]
        for wrong in (cursor[:-1], cursor + "A", "dG9vbHM6OTk5"):
            assert self.modern("tools/list", {"cursor": wrong}).json["error"]["code"] == -32602
        assert self.modern("prompts/list", {"cursor": cursor}).json["error"]["code"] == -32602


def logging(level: str) -> dict[str, Any]:
    """Return the `_meta` of a request that asks for log messages."""
    return claim(**{f"{META}logLevel": level})


def probe(feature: str, **arguments: Any) -> dict[str, Any]:
    """Return the params of a call of clientProbe."""
    return {"name": "clientProbe", "arguments": {"feature": feature, **arguments}}


def methods(posted: Posted) -> list[Any]:
    """Return what has come on a stream: methods, and None for the response."""
    return [message.get("method") for message in posted.messages]


class StreamTests(ModernTestCase):
    """A POST that becomes a stream because something comes before its result."""

    def tearDown(self) -> None:
        """Nothing may stay behind once the clients are gone."""
        self.leave()
        assert len(self.service.streams) == 0
        assert self.clock.getDelayedCalls() == []

    def test_a_stream_has_no_event_ids_and_no_retry(self) -> None:
        """Earlier Streamable HTTP Revisions: modern streams cannot be resumed."""
        answer = self.modern("tools/call", probe("progress"), meta=logging("debug"))
        assert answer.header("Content-Type") == "text/event-stream"
        assert answer.events
        assert all(set(event) == {"event", "data"} for event in answer.events)

    def test_proxies_are_asked_to_pass_a_stream_on_at_once(self) -> None:
        """Sending Messages: SHOULD."""
        answer = self.modern("tools/call", probe("progress"), meta=logging("debug"))
        assert answer.header("X-Accel-Buffering") == "no"

    def test_without_a_level_nothing_is_logged(self) -> None:
        """server/utilities/logging, Per-Request Log Level: MUST NOT."""
        answer = self.modern("tools/call", {"name": "healthProbe"})
        assert answer.header("Content-Type") == "application/json"

    def test_the_level_of_the_request_is_kept_to(self) -> None:
        """server/utilities/logging, Per-Request Log Level; nothing is remembered for the next request."""
        for level in LOG_LEVELS:
            posted = self.post("tools/call", probe("logging"), meta=logging(level))
            self.pass_time(1)
            logged = [each["params"]["level"] for each in posted.messages if "params" in each]
            wanted = list(LOG_LEVELS[LOG_LEVELS.index(level) :])
            assert [each for each in logged if each in wanted] == logged, level
            assert set(logged) >= set(wanted), level
        assert self.modern("tools/call", {"name": "healthProbe"}).header("Content-Type") == "application/json"

    def test_log_messages_come_on_the_stream_of_their_request_alone(self) -> None:
        """server/utilities/logging, Per-Request Log Level: MUST."""
        everything = {f"{which}ListChanged": True for which in ("tools", "prompts", "resources")}
        others = [
            self.post("tools/call", probe("progress"), meta=claim(progressToken="p")),
            self.post("subscriptions/listen", {"notifications": everything}),
        ]
        posted = self.post("tools/call", probe("logging"), meta=logging("debug"))
        self.pass_time(1)
        assert methods(posted).count("notifications/message") >= len(LOG_LEVELS)
        assert [methods(each).count("notifications/message") for each in others] == [0, 0]

    def test_the_response_is_the_last_thing_on_a_stream(self) -> None:
        """Sending Messages: the response ends the stream."""
        posted = self.post("tools/call", probe("logging"), message_id="last", meta=logging("error"))
        self.pass_time(1)
        assert (methods(posted)[-1], methods(posted).count(None)) == (None, 1)
        assert (posted.messages[-1]["id"], posted.over) == ("last", True)

    def test_progress_carries_its_token_and_grows(self) -> None:
        """basic/patterns/progress: MUST increase, with the token as it was given."""
        for token in ("token", 7, 0):
            posted = self.post("tools/call", probe("progress"), meta=claim(progressToken=token))
            self.pass_time(1)
            told = [each["params"] for each in posted.messages if "params" in each]
            assert [each["progressToken"] for each in told] == [token] * len(told)
            done = [each["progress"] for each in told]
            assert (done == sorted(set(done)), len(done)) == (True, 3)
            assert methods(posted)[-1] is None

    def test_without_a_token_there_is_no_progress(self) -> None:
        """basic/patterns/progress: only for a token that the request gave."""
        answer = self.modern("tools/call", probe("progress"))
        assert answer.header("Content-Type") == "application/json"
        assert answer.json["result"]["structuredContent"]["problems"]
        self.serve({"MCP_ECHO_CONFORMANCE": "core"})
        posted = self.post("tools/call", {"name": "test_tool_with_progress", "arguments": {}})
        self.pass_time(1)
        assert "result" in posted.json, "a JSON answer: nothing came before the result"

    def test_a_client_that_reads_no_streams_gets_the_result_alone(self) -> None:
        """Our choice: what it cannot read is not sent, and there is no queue to keep it in."""
        headers = {"Accept": "application/json"}
        answer = self.modern("tools/call", {"name": "healthProbe"}, meta=logging("debug"), headers=headers)
        assert "result" in answer.json

    def test_a_client_that_leaves_cancels_the_work(self) -> None:
        """Cancellation: closing the response stream MUST be treated as cancelling; nothing more is sent."""
        for feature, meta in (
            ("progress", claim(progressToken=1)),
            ("logging", logging("debug")),
            ("cancellation", claim()),
        ):
            posted = self.post("tools/call", probe(feature), meta=meta)
            assert len(self.clock.getDelayedCalls()) > 0, "the work goes on"
            posted.leave()
            assert self.clock.getDelayedCalls() == [], feature
            sent = posted.body
            self.pass_time(3)
            assert posted.body == sent

    def test_a_client_that_waits_is_not_cancelled(self) -> None:
        """The probe for cancellation tells a client that did not cancel."""
        posted = self.post("tools/call", probe("cancellation", seconds=1))
        self.pass_time(1)
        assert posted.json["result"]["structuredContent"]["problems"] == [
            "The client did not close the response stream within 1 s"
        ]

    def test_a_stop_lets_an_answer_come_that_is_a_stream(self) -> None:
        """Our choice: a request in flight finishes; the era has no way to come back for the rest of it."""
        posted = self.post("tools/call", probe("progress"), meta=claim(progressToken=1))
        self.service.streams.stop()
        self.client.flush()
        assert not posted.over
        self.pass_time(1)
        assert (posted.over, "result" in posted.messages[-1]) == (True, True)

    def test_a_stop_ends_a_subscription_with_its_result(self) -> None:
        """Subscriptions, Graceful closure: the server SHOULD send the result of subscriptions/listen."""
        for before in (True, False):
            self.serve(self.settings)
            if not before:
                self.service.streams.stop()
            posted = self.post("subscriptions/listen", {"notifications": {}})
            if before:
                self.service.streams.stop()
            self.client.flush()
            assert (posted.over, "result" in posted.messages[-1]) == (True, True)


DECLARED = {"sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {}}
ANSWERS: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    (
        {"feature": "sampling"},
        "sampling/createMessage",
        {"role": "assistant", "content": {"type": "text", "text": "pong"}, "model": "none"},
    ),
    ({"feature": "elicitation"}, "elicitation/create", {"action": "accept", "content": {"answer": "yes"}}),
    ({"feature": "elicitation"}, "elicitation/create", {"action": "decline"}),
    ({"feature": "elicitation"}, "elicitation/create", {"action": "cancel"}),
    ({"feature": "elicitation", "mode": "url"}, "elicitation/create", {"action": "accept"}),
    ({"feature": "roots"}, "roots/list", {"roots": [{"uri": "file:///home", "name": "home"}]}),
]
ROOTS = ANSWERS[-1][2]


class QuestionTests(ModernTestCase):
    """Multi round-trip requests: the result asks, and the retry brings the answer and the state."""

    settings = {"MCP_ECHO_STATE_KEY": KEYS[0]}

    def ask(
        self, arguments: dict[str, Any] | None = None, capabilities: Any = None, **more: Any
    ) -> dict[str, Any]:
        """Return the JSON-RPC response to a call of clientProbe."""
        params = {"name": "clientProbe", "arguments": arguments or {"feature": "roots"}, **more}
        meta = claim(capabilities=DECLARED if capabilities is None else capabilities)
        answer = self.modern("tools/call", params, meta=meta)
        assert answer.status == 200
        return dict(answer.json)

    def retry(self, state: Any, responses: Any, **kwargs: Any) -> dict[str, Any]:
        return self.ask(requestState=state, inputResponses=responses, **kwargs)

    def state(self, arguments: dict[str, Any] | None = None) -> str:
        return str(self.ask(arguments)["result"]["requestState"])

    def test_a_question_comes_as_a_result_and_its_answer_with_the_retry(self) -> None:
        """basic/patterns/mrtr, Basic Workflow."""
        for arguments, method, answer in ANSWERS:
            asked = self.ask(arguments)["result"]
            assert asked["resultType"] == "input_required"
            ((key, question),) = asked["inputRequests"].items()
            assert set(question) == {"method", "params"}, "no id and no jsonrpc: it is no JSON-RPC request"
            assert question["method"] == method
            assert question["params"].get("mode") == (
                arguments.get("mode", "form") if method == "elicitation/create" else None
            )
            assert "elicitationId" not in question["params"]
            self.clock.advance(7)
            result = self.retry(asked["requestState"], {key: answer}, arguments=arguments)["result"]
            assert result["resultType"] == "complete"
            report = result["structuredContent"]
            assert (report["answer"], report["problems"], report["roundTrip"]) == (answer, [], 7)

    def test_a_result_that_asks_names_the_server_and_is_not_cacheable(self) -> None:
        """basic, `_meta`; server/utilities/caching: no hints on input_required results."""
        result = self.ask()["result"]
        assert f"{META}serverInfo" in result["_meta"]
        assert not {"ttlMs", "cacheScope", "content"} & set(result)

    def test_the_state_is_sealed(self) -> None:
        """Server Requirements: it is attacker-controlled; nor is it for the client to read."""
        state = self.state()
        raw = base64.urlsafe_b64decode(state)
        assert b"roots" not in raw
        assert self.state() != state, "the same state twice would tell that nothing has changed"

    def test_a_state_that_was_changed_is_refused(self) -> None:
        """Server Requirements 4: MUST."""
        state = self.state()
        changed = [
            state[:place] + ("A" if state[place] != "A" else "B") + state[place + 1 :]
            for place in (0, 5, 20, len(state) // 2, len(state) - 8)
        ]
        for wrong in (*changed, state[:-4], state + "AAAA", state + " ", f" {state}", "", "nonsense", "é"):
            assert self.retry(wrong, {"probe": ROOTS})["error"]["code"] == -32602, wrong

    def test_a_state_expires_after_300_seconds(self) -> None:
        """Server Requirements 5: SHOULD expire; how soon is our choice."""
        state = self.state()
        self.clock.advance(300)
        assert "result" in self.retry(state, {"probe": ROOTS})
        self.clock.advance(1)
        assert self.retry(state, {"probe": ROOTS})["error"]["code"] == -32602

    def test_a_state_is_of_no_use_for_another_request(self) -> None:
        """Server Requirements 5: SHOULD be bound to the request it was made for."""
        state = self.state({"feature": "roots"})
        other = self.retry(state, {"probe": ROOTS}, arguments={"feature": "roots", "seconds": 3})
        assert other["error"]["code"] == -32602
        for method, params in (
            ("tools/call", {"name": "healthProbe", "arguments": {"feature": "roots"}}),
            ("resources/read", {"uri": "echo://server"}),
            ("prompts/get", {"name": "diagnose-auth"}),
        ):
            answer = self.modern(method, {**params, "requestState": state})
            assert answer.json["error"]["code"] == -32602, method

    def test_arguments_written_in_another_way_are_the_same_arguments(self) -> None:
        """JSON objects are unordered (RFC 8259 section 4): a hop may write the same request differently."""
        first = {"feature": "roots", "seconds": 3}
        second = {"seconds": 3, "feature": "roots"}
        assert "result" in self.retry(self.state(first), {"probe": ROOTS}, arguments=second)

    def test_what_was_not_answered_is_asked_again(self) -> None:
        """Error Handling: SHOULD be a new input_required, not an error; and the time goes on."""
        state = self.state()
        for missing in ({}, {"another": ROOTS}):
            self.clock.advance(5)
            again = self.retry(state, missing)["result"]
            assert (again["resultType"], list(again["inputRequests"])) == ("input_required", ["probe"])
            state = again["requestState"]
        report = self.retry(state, {"probe": ROOTS})["result"]["structuredContent"]
        assert report["roundTrip"] == 10

    def test_a_retry_that_brings_nothing_at_all_is_a_first_request(self) -> None:
        """basic/patterns/mrtr: a server must not assume that a retry ever comes."""
        assert self.ask()["result"]["resultType"] == "input_required"
        assert self.ask()["result"]["resultType"] == "input_required"
        assert (len(self.store), self.clock.getDelayedCalls()) == (0, [])

    def test_answers_to_nothing_are_ignored(self) -> None:
        """Error Handling: unknown keys SHOULD be ignored."""
        extra = {"probe": ROOTS, "another": {"action": "accept"}, "third": 3}
        assert self.retry(self.state(), extra)["result"]["structuredContent"]["answer"] == ROOTS
        plain = self.modern(
            "tools/call", {"name": "echo", "arguments": {"message": "m"}, "inputResponses": extra}
        )
        assert "result" in plain.json

    def test_a_malformed_answer_is_an_error(self) -> None:
        """Error Handling: malformed inputResponses SHOULD be a JSON-RPC error."""
        state = self.state()
        for malformed in ([], "probe", 7, {"probe": 7}, {"probe": None}, {"probe": []}, {"probe": {}}):
            assert self.retry(state, malformed)["error"]["code"] == -32602, malformed
        assert self.retry(7, {"probe": ROOTS})["error"]["code"] == -32602

    def test_an_answer_too_large_to_be_carried_is_an_error(self) -> None:
        """Our choice: it is held several times while it is shown, and sealed where there is more to ask."""
        for roots, words in (
            ([None] * MAX_ANSWER_VALUES, f"more than {MAX_ANSWER_VALUES} values"),
            ([{"uri": "file:///" + "a" * MAX_ANSWER}], f"up to {MAX_ANSWER} are read"),
        ):
            error = self.retry(self.state(), {"probe": {"roots": roots}})["error"]
            assert error["code"] == -32602
            assert error["message"].startswith("inputResponses.probe: ")
            assert words in error["message"]

    def test_an_answer_that_does_not_fit_is_reported(self) -> None:
        """What the probe is for: everything else of the answer is the client's, and shown."""
        for arguments, answer in (
            ({"feature": "roots"}, {"roots": [{"uri": "https://example.com"}]}),
            ({"feature": "elicitation"}, {"action": "maybe"}),
            ({"feature": "elicitation"}, {"action": "accept", "content": {"answer": 7}}),
            ({"feature": "sampling"}, {"role": "assistant", "content": {"type": "text", "text": "pong"}}),
        ):
            result = self.retry(self.state(arguments), {"probe": answer}, arguments=arguments)["result"]
            assert len(result["structuredContent"]["problems"]) == 1, answer

    def test_what_this_request_does_not_declare_is_not_asked(self) -> None:
        """basic, `_meta`: MUST NOT rely on capabilities of earlier requests, nor ask an undeclared mode."""
        self.ask()
        url = {"feature": "elicitation", "mode": "url"}
        for arguments, capabilities in (
            ({"feature": "roots"}, {}),
            ({"feature": "sampling"}, {"roots": {}, "elicitation": {}}),
            (url, {"elicitation": {}}),
            (url, {"elicitation": {"form": {}}}),
            ({"feature": "elicitation"}, {"elicitation": {"url": {}}}),
        ):
            result = self.ask(arguments, capabilities)["result"]
            assert result["resultType"] == "complete", arguments
            report = result["structuredContent"]
            assert (report["declared"], report["sent"], len(report["problems"])) == (False, [], 1)

    def test_an_empty_elicitation_capability_means_forms(self) -> None:
        """client/elicitation, Capabilities."""
        result = self.ask({"feature": "elicitation"}, {"elicitation": {}})["result"]
        assert result["resultType"] == "input_required"

    def test_a_server_with_the_same_key_takes_the_state(self) -> None:
        """Basic Workflow: the retry may reach another server."""
        state = self.state()
        self.serve({"MCP_ECHO_STATE_KEY": KEYS[0]})
        assert self.retry(state, {"probe": ROOTS})["result"]["resultType"] == "complete"

    def test_a_server_with_another_key_does_not(self) -> None:
        """Server Requirements 4."""
        state = self.state()
        for settings in ({"MCP_ECHO_STATE_KEY": KEYS[1]}, {}):
            self.serve(settings)
            assert self.retry(state, {"probe": ROOTS})["error"]["code"] == -32602


class FixtureQuestionTests(ModernTestCase):
    """Questions of a prompt and of several rounds, as the conformance fixtures have them."""

    settings = {"MCP_ECHO_CONFORMANCE": "core"}
    META = claim(capabilities=DECLARED)

    def asked(self, method: str, params: dict[str, Any], **more: Any) -> Any:
        answer = self.modern(method, {**params, **more}, meta=self.META)
        return answer.json.get("result", answer.json.get("error"))

    def ask_by_prompt(self) -> tuple[dict[str, Any], str, dict[str, Any]]:
        """Return the params of a prompt that asks, the state it gave, and answers to what it asked."""
        params = {"name": "test_input_required_result_prompt"}
        asked = self.asked("prompts/get", params)
        assert asked["resultType"] == "input_required"
        return params, asked["requestState"], answers_to(asked)

    def test_a_prompt_may_ask_too(self) -> None:
        """Supported Requests: tools/call, prompts/get, resources/read."""
        params, state, responses = self.ask_by_prompt()
        done = self.asked("prompts/get", params, requestState=state, inputResponses=responses)
        assert (done["resultType"], len(done["messages"]) > 0) == ("complete", True)

    def test_a_state_is_bound_to_the_arguments_of_its_prompt(self) -> None:
        """Server Requirements 5: SHOULD be bound to the request; it is looked at before the arguments."""
        params, state, responses = self.ask_by_prompt()
        other = {**params, "arguments": {"another": "argument"}}
        refused = self.asked("prompts/get", other, requestState=state, inputResponses=responses)
        assert "requestState" in refused["message"]

    def test_the_answers_of_earlier_rounds_are_carried_on(self) -> None:
        """basic/patterns/mrtr: clients send only the answers of the last round."""
        params = {"name": "test_input_required_result_multi_round", "arguments": {}}
        result, rounds = self.asked("tools/call", params), 0
        while result["resultType"] == "input_required":
            rounds += 1
            assert rounds < 5
            state, responses = result["requestState"], answers_to(result)
            result = self.asked("tools/call", params, requestState=state, inputResponses=responses)
        assert (rounds > 1, result["isError"]) == (True, False)


def answers_to(asked: dict[str, Any]) -> dict[str, Any]:
    """Return an answer to every form of a result that asks, with every field filled in."""
    return {
        key: {
            "action": "accept",
            "content": dict.fromkeys(question["params"]["requestedSchema"]["properties"], "x"),
        }
        for key, question in asked["inputRequests"].items()
    }


class NegotiationTests(ModernTestCase):
    """RFC 9110 section 12: what the client can read."""

    def test_a_client_that_reads_only_streams_gets_one(self) -> None:
        answer = self.modern("tools/list", headers={"Accept": "text/event-stream"})
        assert answer.header("Content-Type") == "text/event-stream"
        assert len(answer.events) == 1

    def test_a_client_that_reads_no_streams_cannot_listen(self) -> None:
        answer = self.modern(
            "subscriptions/listen", {"notifications": {}}, headers={"Accept": "application/json"}
        )
        assert (answer.status, answer.json["id"]) == (406, 1)


class SteppedClockTests(ModernTestCase):
    """A clock that is set is no time that has passed."""

    ASKED = {"name": "clientProbe", "arguments": {"feature": "roots"}}

    def ask(self, **more: Any) -> dict[str, Any]:
        answer = self.modern("tools/call", {**self.ASKED, **more}, meta=claim(capabilities=DECLARED))
        return dict(answer.json)

    def test_a_question_and_its_answer_are_as_far_apart_as_they_are(self) -> None:
        """basic/patterns/mrtr: the state is void after five minutes, and not on another day."""
        for step in (86_400 * 2, -86_400 * 2):
            state = self.ask()["result"]["requestState"]
            self.stepped += step
            self.clock.advance(20)
            result = self.ask(requestState=state, inputResponses={"probe": ROOTS})["result"]
            assert result["structuredContent"]["roundTrip"] == 20
            self.clock.advance(281)
            late = self.ask(requestState=state, inputResponses={"probe": ROOTS})
            assert late["error"]["code"] == -32602
