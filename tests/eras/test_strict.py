"""Strict mode: every rule for clients that a server can see broken is enforced.

tests/client_assertions.txt goes through all rules. Each test here breaks one in a conversation that keeps all
others, and most see that a lenient server takes the same.
"""

from __future__ import annotations

from typing import Any

from mcp_echo.sessions.used_ids import MAX_OTHERS
from tests.transport.support import (
    BOTH,
    META,
    MODERN,
    Answer,
    ModernTestCase,
    Posted,
    ServerTestCase,
    claim,
    modern_message,
    routing_headers,
)

LEGACY = ("2025-03-26", "2025-06-18", "2025-11-25")
NEWEST = LEGACY[-1]
WITH_NAMES = ("2025-06-18", "2025-11-25")
STRICT = {"MCP_ECHO_STRICT": "true", "MCP_ECHO_CLIENT_TIMEOUT": "5"}
LIST = {"method": "tools/list"}


class StrictTestCase(ServerTestCase):
    """A client that keeps all rules, but for what a test has it break."""

    settings = STRICT

    def setUp(self) -> None:
        super().setUp()
        strict = (self.service, self.store, self.client)
        self.serve({"MCP_ECHO_CLIENT_TIMEOUT": "5"})
        self._servers = {True: strict, False: (self.service, self.store, self.client)}
        self.ask(strict=True)

    def ask(self, *, strict: bool) -> None:
        """Talk to the strict or to the lenient server from now on."""
        self.service, self.store, self.client = self._servers[strict]

    def fields(self, revision: str, session: str | None = None) -> dict[str, str]:
        """Return the headers of a proper message after initialize."""
        fields = {"Accept": BOTH, "Content-Type": "application/json"}
        if session is not None:
            fields["Mcp-Session-Id"] = session
            if revision != "2025-03-26":
                fields["MCP-Protocol-Version"] = revision
        return fields

    def hello(self, revision: str, message_id: Any = 0, **members: Any) -> dict[str, Any]:
        """Return a proper initialize, with other members of the params where they are given."""
        params = {
            "protocolVersion": revision,
            "capabilities": {"sampling": {}, "roots": {}},
            "clientInfo": {"name": "c", "version": "1"},
            **members,
        }
        return {"jsonrpc": "2.0", "id": message_id, "method": "initialize", "params": params}

    def opened(self, revision: str = NEWEST, message_id: Any = 0, initialized: bool = True) -> str:
        """Return a session."""
        answer = self.request("POST", body=self.hello(revision, message_id), headers=self.fields(revision))
        session = answer.header("Mcp-Session-Id")
        assert session is not None
        if initialized:
            told = {"method": "notifications/initialized"}
            assert self.send(told, session, revision).status == 202
        return session

    def send(self, message: Any, session: str, revision: str = NEWEST) -> Answer:
        """POST a message, or several; a request gets an id if it has none."""
        whole = [_whole(each) for each in message] if isinstance(message, list) else _whole(message)
        return self.request("POST", body=whole, headers=self.fields(revision, session))

    def refused(self, message: Any, told: str, revision: str = NEWEST, **opening: Any) -> None:
        """See that a message is refused here with a reason, and taken by a lenient server."""
        for strict in (True, False):
            self.ask(strict=strict)
            answer = self.send(message, self.opened(revision, **opening), revision)
            assert (answer.status == 400) is strict, (message, answer.status, answer.body)
            if strict:
                error = answer.json["error"]
                assert told in error["message"], error
                assert error["code"] in (-32600, -32602)
        self.ask(strict=True)


def _whole(message: dict[str, Any]) -> dict[str, Any]:
    is_request = "method" in message and not message["method"].startswith("notifications/")
    asked = {"id": 1} if is_request and "id" not in message and not message.get("without id") else {}
    return {
        "jsonrpc": "2.0",
        **asked,
        **{key: value for key, value in message.items() if key != "without id"},
    }


class ProperTests(StrictTestCase):
    def test_a_client_that_keeps_the_rules_is_served_in_every_revision(self) -> None:
        """What follows breaks one rule at a time."""
        for revision in LEGACY:
            session = self.opened(revision)
            for number in range(1, 2 * MAX_OTHERS):
                assert self.send({**LIST, "id": number}, session, revision).status == 200
            call = {
                "name": "echo",
                "arguments": {"message": "m"},
                "_meta": {"progressToken": "p", "a.b/c": 1},
            }
            for message_id in ("a", "b", "1", "x" * 1000):
                answer = self.send(
                    {"id": message_id, "method": "tools/call", "params": call}, session, revision
                )
                assert "result" in answer.json, revision
            for method in ("notifications/cancelled", "notifications/anything"):
                assert self.send({"method": method}, session, revision).status == 202
            gone = self.request("DELETE", headers=self.fields(revision, session))
            assert gone.status == 204
        assert len(self.service.server.legacy.strict) == 0, "nothing is kept of sessions that are over"

    def test_a_question_and_its_answer_pass(self) -> None:
        """Schema: a result is an object, an error has a code and a message."""
        session = self.opened()
        for number, answer in enumerate(
            ({"result": {}}, {"error": {"code": -1, "message": "no", "data": [1]}}), start=1
        ):
            params = {"name": "clientProbe", "arguments": {"feature": "ping"}}
            call = Posted(
                self,
                {**_whole({"id": number, "method": "tools/call"}), "params": params},
                self.fields(NEWEST, session),
            )
            (question,) = call.messages
            assert self.send({"id": question["id"], **answer}, session).status == 202
            assert self.send({"id": question["id"], **answer}, session).status == 202, "late is no fault"

    def test_a_batch_passes_where_there_are_batches(self) -> None:
        session = self.opened("2025-03-26")
        both = [{**LIST, "id": 1}, {**LIST, "id": 2}, {"method": "notifications/cancelled"}]
        answer = self.send(both, session, "2025-03-26")
        assert answer.status == 200


class HandshakeTests(StrictTestCase):
    def test_nothing_but_pings_comes_before_initialized(self) -> None:
        """basic/lifecycle, Initialization: the client MUST send it, and SHOULD send pings alone before."""
        for revision in LEGACY:
            self.refused(
                LIST, "tools/list came before notifications/initialized", revision, initialized=False
            )
        self.ask(strict=True)
        session = self.opened(initialized=False)
        assert self.send({"method": "ping"}, session).json["result"] == {}

    def test_initialize_names_one_revision(self) -> None:
        """basic/transports, Protocol Version Header: it comes later, with what was negotiated."""
        for strict in (True, False):
            self.ask(strict=strict)
            fields = {**self.fields(NEWEST), "MCP-Protocol-Version": "2025-06-18"}
            answer = self.request("POST", body=self.hello(NEWEST), headers=fields)
            assert answer.status == (400 if strict else 200)
            if strict:
                told = "header and body disagree: the header MCP-Protocol-Version says '2025-06-18', the body"
                assert told in answer.json["error"]["message"]
                fields["MCP-Protocol-Version"] = NEWEST
                assert self.request("POST", body=self.hello(NEWEST), headers=fields).status == 200

    def test_initialize_fits_its_schema(self) -> None:
        """Schema, InitializeRequest: capabilities are objects, an implementation has a name and a version."""
        for members in (
            {"capabilities": {"roots": True}},
            {"capabilities": {"sampling": None}},
            {"capabilities": []},
            {"clientInfo": {"name": "c"}},
            {"clientInfo": {"name": "c", "version": 1}},
            {"_meta": "x"},
            {"_meta": {"progressToken": True}},
        ):
            answer = self.request("POST", body=self.hello(NEWEST, **members), headers=self.fields(NEWEST))
            assert answer.json["error"]["code"] == -32602, members
        assert len(self.store) == 0


class SessionTests(StrictTestCase):
    def test_every_message_but_initialize_names_its_session_pings_too(self) -> None:
        """basic/transports, Session Management, rule 2."""
        for message in ({"method": "ping"}, LIST, {"method": "notifications/initialized"}):
            answer = self.request("POST", body=_whole(message), headers=self.fields(NEWEST))
            assert answer.status == 400, message
            assert "Mcp-Session-Id header required" in answer.json["error"]["message"]
        assert len(self.store) == 0
        self.ask(strict=False)
        assert self.rpc("ping").status == 200

    def test_every_message_names_the_negotiated_revision(self) -> None:
        """basic/transports, Protocol Version Header: GET and DELETE as well."""
        for revision in WITH_NAMES:
            session = self.opened(revision)
            for version in (None, "2025-03-26", *({*WITH_NAMES} - {revision})):
                fields = {**self.fields(revision, session), "MCP-Protocol-Version": version}
                fields = {name: value for name, value in fields.items() if value is not None}
                for method, body in (("POST", _whole(LIST)), ("GET", None), ("DELETE", None)):
                    assert self.request(method, body=body, headers=fields).status == 400, (version, method)


class IdTests(StrictTestCase):
    """basic, Requests: an id MUST NOT have been used before by the requestor within the session."""

    def test_an_id_is_used_once(self) -> None:
        for revision in LEGACY:
            self.refused({**LIST, "id": 0}, "the id 0 was used before in this session", revision)
            self.refused({**LIST, "id": "a"}, 'the id "a" was used before', revision, message_id="a")

    def test_it_is_used_even_if_the_request_failed(self) -> None:
        session = self.opened()
        assert "error" in self.send({"id": 1, "method": "no/such"}, session).json
        assert self.send({**LIST, "id": 1}, session).status == 400

    def test_it_is_not_used_by_a_request_that_was_refused_for_another_rule(self) -> None:
        session = self.opened()
        assert self.send({**LIST, "id": 1, "params": {"_meta": 7}}, session).status == 400
        assert self.send({**LIST, "id": 1}, session).status == 200

    def test_text_and_number_are_two(self) -> None:
        session = self.opened()
        assert [self.send({**LIST, "id": each}, session).status for each in (1, "1", 2, "2")] == [200] * 4
        assert [self.send({**LIST, "id": each}, session).status for each in (1, "1", 2, "2")] == [400] * 4

    def test_it_is_used_once_in_an_array_too(self) -> None:
        session = self.opened("2025-03-26")
        answer = self.send([{**LIST, "id": 1}, {**LIST, "id": 1}], session, "2025-03-26")
        assert (answer.status, "the id 1 was used before" in answer.json["error"]["message"]) == (400, True)
        assert self.send([{**LIST, "id": 1}, {**LIST, "id": 2}], session, "2025-03-26").status == 200

    def test_another_session_has_ids_of_its_own(self) -> None:
        one, two = self.opened(), self.opened()
        assert [self.send({**LIST, "id": 1}, each).status for each in (one, two)] == [200, 200]

    def test_a_response_has_the_id_of_a_question(self) -> None:
        """basic, Responses: MUST include the same ID as the request they correspond to."""
        for wrong in (1, "1", -1, "node.1"):
            self.refused({"id": wrong, "result": {}}, "was asked in this session")

    def test_a_request_has_an_id_and_a_notification_none(self) -> None:
        """basic, Requests and Notifications."""
        self.refused({**LIST, "without id": True}, "tools/list is a request, and has no id")
        session = self.opened()
        answer = self.send({"id": 1, "method": "notifications/initialized"}, session)
        assert answer.json["error"]["code"] == -32601


class MetaTests(StrictTestCase):
    def test_meta_is_an_object(self) -> None:
        """Schema, RequestParams and NotificationParams."""
        for revision in LEGACY:
            for value, told in (
                ("x", "a string"),
                (7, "7"),
                (None, "null"),
                ([], "an array"),
                (True, "true"),
            ):
                for message in (LIST, {"method": "notifications/cancelled"}):
                    broken = {**message, "params": {"_meta": value}}
                    self.refused(broken, f"_meta is {told}; it must be", revision)

    def test_a_progress_token_is_text_or_an_integer(self) -> None:
        """basic/utilities/progress, Progress Flow."""
        for value, told in (
            (True, "true"),
            (1.5, "1.5"),
            (None, "null"),
            ({}, "an object"),
            ([], "an array"),
        ):
            broken = {**LIST, "params": {"_meta": {"progressToken": value}}}
            self.refused(broken, f"progressToken is {told}; it must be")

    def test_keys_have_the_form_that_keys_have(self) -> None:
        """basic, _meta: labels, dots, a slash and a name, since 2025-06-18."""
        for key in ("-a", "a-", "a b", ".x/y", "x./y", "1x/y", "x-/y", "a/b/c", "ü", "/a"):
            for revision in WITH_NAMES:
                self.refused({**LIST, "params": {"_meta": {key: 1}}}, f"the key {key!r}", revision)
        self.ask(strict=True)
        session = self.opened("2025-03-26")
        assert self.send({**LIST, "params": {"_meta": {"a b": 1}}}, session, "2025-03-26").status == 200

    def test_a_progress_token_is_that_of_one_request_at_a_time(self) -> None:
        """basic/utilities/progress, Progress Flow: unique across all active requests."""
        session = self.opened()
        arguments = {"feature": "cancellation", "seconds": 1}
        params = {"name": "clientProbe", "arguments": arguments, "_meta": {"progressToken": "t"}}
        waiting = Posted(
            self, _whole({"id": 1, "method": "tools/call", "params": params}), self.fields(NEWEST, session)
        )
        again = {**LIST, "params": {"_meta": {"progressToken": "t"}}}
        answer = self.send({**again, "id": 2}, session)
        assert 'the progressToken "t" is that of a request' in answer.json["error"]["message"]
        other = {**LIST, "params": {"_meta": {"progressToken": "u"}}}
        assert self.send({**other, "id": 3}, session).status == 200
        for _ in range(25):
            self.clock.advance(0.05)
            self.client.flush()
        assert waiting.over
        assert self.send({**again, "id": 4}, session).status == 200
        array = [{**again, "id": 1}, {**again, "id": 2}]
        session = self.opened("2025-03-26")
        assert self.send(array, session, "2025-03-26").status == 400


class UseTests(StrictTestCase):
    def test_only_what_was_declared_is_used(self) -> None:
        """basic/lifecycle, Operation; client/roots, Root List Changes."""
        method = "notifications/roots/list_changed"
        self.refused({"method": method}, "needs roots.listChanged, which was not declared")
        self.ask(strict=True)
        hello = self.hello(NEWEST, capabilities={"roots": {"listChanged": True}})
        session = self.request("POST", body=hello, headers=self.fields(NEWEST)).header("Mcp-Session-Id")
        assert self.send({"method": method}, session or "").status == 202

    def test_progress_is_told_of_requests_that_asked_for_it(self) -> None:
        """basic/utilities/progress, Behavior Requirements: this server never asks."""
        params = {"progressToken": 1, "progress": 1}
        self.refused({"method": "notifications/progress", "params": params}, "which has given none")

    def test_a_response_fits_its_schema(self) -> None:
        """basic, Responses: a result is an object, an error has an integer code and a message."""
        for wrong in (
            {"result": []},
            {"result": "x"},
            {"error": "no"},
            {"error": {"code": "1", "message": "m"}},
            {"error": {"code": 1.5, "message": "m"}},
            {"error": {"code": 1}},
            {"error": {"message": "m"}},
        ):
            for strict in (True, False):
                self.ask(strict=strict)
                session = self.opened()
                params = {"name": "clientProbe", "arguments": {"feature": "ping"}}
                call = Posted(
                    self, _whole({"method": "tools/call", "params": params}), self.fields(NEWEST, session)
                )
                (question,) = call.messages
                answer = self.send({"id": question["id"], **wrong}, session)
                assert answer.status == (400 if strict else 202), wrong
                assert call.over is not strict
                self.clock.advance(5)
                self.client.flush()

    def test_a_token_is_not_in_the_url(self) -> None:
        """basic/authorization, Token Requirements; RFC 6750 section 2.3."""
        session = self.opened()
        for method, body in (("POST", _whole(LIST)), ("GET", None), ("DELETE", None)):
            fields = self.fields(NEWEST, session)
            answer = self.request(method, "/mcp?access_token=x", body=body, headers=fields)
            assert answer.status == 400, method
            assert "must not be in the URL" in answer.json["error"]["message"]


class OldTransportTests(StrictTestCase):
    settings = {**STRICT, "MCP_ECHO_LEGACY_SSE": "true"}

    def test_the_rules_hold_on_the_transport_of_2024_11_05_too(self) -> None:
        """2024-11-05 basic/messages and basic/lifecycle: ids, order; it has no version header."""
        response = self.begin("GET", "/sse", headers={"Accept": "text/event-stream"})
        self.client.flush()
        (session,) = self.store
        path = f"/messages?session_id={session.id}"

        def post(message: dict[str, Any]) -> int:
            return self.request("POST", path, body=_whole(message)).status

        hello = self.hello("2024-11-05", 7)
        assert [post(hello), post({**LIST, "id": 8})] == [202, 400]
        assert [post({"method": "notifications/initialized"}), post({**LIST, "id": 7})] == [202, 400]
        assert [post({**LIST, "id": 8}), post({**LIST, "id": 8})] == [202, 400]
        assert post({**LIST, "id": 9, "params": {"_meta": 7}}) == 400
        assert response.code == 200
        self.leave()


class ModernTests(ModernTestCase):
    settings = STRICT

    def ask(self, *, strict: bool) -> None:
        """Talk to a strict or to a lenient server from now on."""
        self.serve(STRICT if strict else {})

    def strictly(self, meta: dict[str, Any], method: str = "tools/list", **params: Any) -> Answer:
        message = modern_message(method, params, 1, meta)
        headers = {**routing_headers(message), "Content-Type": "application/json"}
        return self.request("POST", body=message, headers=headers)

    def test_a_client_that_keeps_the_rules_is_served(self) -> None:
        trace = {
            "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "tracestate": "rojo=00f067aa0ba902b7, congo=t61rcWkgMzE,,a@b=c;d",
            "baggage": "userId=alice, serverNode=DF%2028;p=1 , isProduction=false",
        }
        future = {"traceparent": f"cc{trace['traceparent'][2:]}-what-comes"}
        for members in ({}, {"progressToken": 1}, trace, future, {"com.example/x-1": [1]}):
            assert self.strictly(claim(**members)).status == 200, members

    def test_meta_has_the_form_it_must_have(self) -> None:
        """basic, _meta: key names, and the formats of W3C Trace Context and Baggage."""
        ids = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"
        for members in (
            {"a b": 1},
            {"traceparent": "x"},
            {"traceparent": 7},
            {"traceparent": f"ff-{ids}-01"},
            {"traceparent": f"00-{ids}-01-more"},
            {"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"},
            {"traceparent": f"00-{ids.upper()}-01"},
            {"tracestate": "no equals sign"},
            {"tracestate": "UPPER=1"},
            {"baggage": "a b=c"},
            {"baggage": "a"},
        ):
            answer = self.strictly(claim(**members))
            assert (answer.status, answer.json["error"]["code"]) == (400, -32602), members
        self.ask(strict=False)
        assert self.strictly(claim(**{"a b": 1}, traceparent="x")).status == 200

    def test_a_retry_has_an_id_of_its_own(self) -> None:
        """basic/patterns/mrtr: MUST be different from the initial request's."""
        capable = claim(capabilities={"roots": {}})
        for strict in (True, False):
            self.ask(strict=strict)
            params: dict[str, Any] = {"name": "clientProbe", "arguments": {"feature": "roots"}}
            asked = self.strictly(capable, "tools/call", **params).json["result"]
            answers = {"inputResponses": {"probe": {"roots": []}}, "requestState": asked["requestState"]}
            again = self.strictly(capable, "tools/call", **params, **answers)
            assert again.status == (400 if strict else 200)
            if strict:
                assert "a retry needs one of its own" in again.json["error"]["message"]
                message = modern_message("tools/call", {**params, **answers}, 2, capable)
                fields = {**routing_headers(message), "Content-Type": "application/json"}
                assert self.request("POST", body=message, headers=fields).status == 200

    def test_accept_and_content_type_are_insisted_on(self) -> None:
        """basic/transports/streamable-http, Sending Messages 2."""
        message = modern_message("tools/list")
        fields = {**routing_headers(message), "Content-Type": "application/json"}
        for change, status in (({"Accept": "application/json"}, 406), ({"Content-Type": "text/plain"}, 415)):
            assert self.request("POST", body=message, headers={**fields, **change}).status == status

    def test_what_a_client_may_leave_out_is_not_insisted_on(self) -> None:
        """basic, _meta: clientInfo SHOULD be there unless a client is configured to leave it out."""
        meta = {key: value for key, value in claim().items() if key != f"{META}clientInfo"}
        assert self.strictly(meta).status == 200
        assert meta[f"{META}protocolVersion"] == MODERN
