"""POST /mcp in the legacy era: which message gets which answer.

Unless a test says otherwise, its duty is in the section "Streamable HTTP" of
https://modelcontextprotocol.io/specification/2025-11-25/basic/transports
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from unittest import mock

from mcp_echo.protocol.revisions import KNOWN, LEGACY
from mcp_echo.settings.load import load
from mcp_echo.tools.catalogue import catalogue
from tests.transport.support import ServerTestCase, send

NAMES = [revision.name for revision in LEGACY]
BOTH = "application/json, text/event-stream"


class InitializeTests(ServerTestCase):
    def test_each_supported_revision_is_answered_with_itself(self) -> None:
        """Lifecycle, Version Negotiation: MUST respond with the same version."""
        for name in NAMES:
            answer = self.rpc("initialize", {"protocolVersion": name})
            assert (answer.status, answer.json["result"]["protocolVersion"]) == (200, name)

    def test_an_unknown_revision_is_answered_with_the_newest(self) -> None:
        """Lifecycle, Version Negotiation: MUST be another supported version, SHOULD be the latest."""
        answer = self.rpc("initialize", {"protocolVersion": "1999-12-31"})
        assert answer.json["result"]["protocolVersion"] == NAMES[-1]

    def test_the_configured_revision_is_offered_instead_of_the_newest(self) -> None:
        """MCP_PROTOCOL_VERSION: our setting."""
        self.serve({"MCP_PROTOCOL_VERSION": "2025-06-18"})
        answer = self.rpc("initialize", {"protocolVersion": "1999-12-31"})
        assert answer.json["result"]["protocolVersion"] == "2025-06-18"

    def test_a_revision_switched_off_is_not_negotiated(self) -> None:
        """MCP_PROTOCOL_VERSIONS_SUPPORTED: our setting."""
        self.serve({"MCP_PROTOCOL_VERSIONS_SUPPORTED": "2025-06-18,2024-11-05"})
        answer = self.rpc("initialize", {"protocolVersion": "2025-11-25"})
        assert answer.json["result"]["protocolVersion"] == "2025-06-18"

    def test_the_session_id_is_a_uuid_of_version_8_in_the_response_head(self) -> None:
        """Session Management, rule 1: visible ASCII, cryptographically secure; RFC 9562 section 5.8."""
        assert re.search(
            r"\A[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z", self.initialize()
        )

    def test_a_refused_initialize_leaves_nothing_behind(self) -> None:
        """Our choice: a client that cannot start must not fill the store."""
        for params in ({}, {"protocolVersion": 7}, {"protocolVersion": "2025-06-18", "capabilities": []}):
            answer = self.rpc("initialize", params)
            assert (answer.status, answer.json["error"]["code"]) == (200, -32602)
            assert answer.header("Mcp-Session-Id") is None
        assert (len(self.store), self.store.statistics.created) == (0, 0)

    def test_an_oversized_self_description_is_refused(self) -> None:
        """Our choice: it is kept with the session, so it is bounded."""
        answer = self.rpc(
            "initialize",
            {"protocolVersion": "2025-06-18", "clientInfo": {"name": "x" * 20000, "version": "1"}},
        )
        assert answer.json["error"]["code"] == -32602
        assert len(self.store) == 0

    def test_initialize_inside_a_session_is_refused(self) -> None:
        """Lifecycle: initialization is the first interaction; B.3 of our ladder."""
        answer = self.rpc("initialize", {"protocolVersion": "2025-06-18"}, session=self.initialize())
        assert (answer.status, answer.json["error"]["code"]) == (400, -32600)

    def test_capabilities_name_only_what_is_offered(self) -> None:
        """Lifecycle, Capability Negotiation."""
        result = self.rpc("initialize", {"protocolVersion": "2025-11-25"}).json["result"]
        assert result["capabilities"] == {
            "tools": {"listChanged": True},
            "resources": {"subscribe": True, "listChanged": True},
            "prompts": {"listChanged": True},
            "logging": {},
            "completions": {},
        }

    def test_completions_are_declared_since_they_can_be(self) -> None:
        """Changelog of 2025-03-26: the capability completions."""
        for name in NAMES:
            capabilities = self.rpc("initialize", {"protocolVersion": name}).json["result"]["capabilities"]
            assert ("completions" in capabilities) == (name != "2024-11-05"), name

    def test_the_implementation_has_only_the_fields_its_revision_knows(self) -> None:
        """Lifecycle, Operation: respect the negotiated version. Schema of each revision, Implementation."""
        expected = {
            "2024-11-05": {"name", "version"},
            "2025-03-26": {"name", "version"},
            "2025-06-18": {"name", "version", "title"},
            "2025-11-25": {"name", "version", "title", "description"},
        }
        for name, fields in expected.items():
            result = self.rpc("initialize", {"protocolVersion": name}).json["result"]
            assert set(result["serverInfo"]) == fields, name


class SessionTests(ServerTestCase):
    settings = {
        "MCP_SESSION_TIMEOUT": "100",
        "MCP_MAX_SESSIONS": "2",
        "MCP_ECHO_MAX_SESSIONS_PER_ADDRESS": "3",
    }

    def test_state_is_kept_from_request_to_request(self) -> None:
        """What the server is for."""
        session = self.initialize()
        self.call("echo", {"message": "one"}, session=session)
        echoed = self.text("echo", {"message": "two", "uppercase": True}, session=session)
        assert echoed == f"TWO\n\nSession: {session}\nEcho count in session: 2"
        assert "TWO" in self.text("replayLastEcho", session=session)

    def test_sessions_do_not_see_each_other(self) -> None:
        """Lifecycle: state belongs to the session."""
        first, second = self.initialize(), self.initialize()
        self.call("echo", {"message": "mine"}, session=first)
        assert self.call("replayLastEcho", session=second)["isError"]

    def test_a_call_without_an_id_makes_a_session_and_names_it(self) -> None:
        """Our lenient mode: sessions are created automatically on first request."""
        answer = self.rpc("tools/call", {"name": "echo", "arguments": {"message": "hi"}})
        session = answer.header("Mcp-Session-Id")
        assert answer.status == 200
        assert "hi" in self.text("replayLastEcho", session=session)

    def test_the_session_made_on_the_way_speaks_the_assumed_revision(self) -> None:
        """Protocol Version Header: SHOULD assume 2025-03-26 when nothing names another."""
        session = self.rpc("tools/list").header("Mcp-Session-Id")
        assert "Protocol Version: 2025-03-26" in self.text("sessionInfo", session=session)

    def test_the_session_made_on_the_way_speaks_the_revision_of_the_header(self) -> None:
        """Protocol Version Header."""
        session = self.rpc("tools/list", MCP_Protocol_Version="2025-11-25").header("Mcp-Session-Id")
        assert "Protocol Version: 2025-11-25" in self.text("sessionInfo", session=session)

    def test_a_ping_without_an_id_makes_no_session(self) -> None:
        """Our choice: probers must not fill the store."""
        answer = self.rpc("ping")
        assert (answer.status, answer.json["result"], len(self.store)) == (200, {}, 0)

    def test_an_invented_id_is_never_adopted(self) -> None:
        """Session Management, rule 3; a server that adopts ids lets sessions be fixed."""
        for invented in ("mine", "00000000-0000-4000-8000-000000000000", "a" * 4000):
            answer = self.rpc("tools/list", session=invented)
            assert answer.status == 404
            assert answer.json == {
                "jsonrpc": "2.0",
                "id": 1,
                "error": {"code": -32603, "message": "Session not found or expired"},
            }
        assert len(self.store) == 0

    def test_an_expired_session_is_gone_before_any_sweep(self) -> None:
        """Session Management, rule 3: MUST respond with 404."""
        session = self.initialize()
        self.clock.advance(99)
        assert self.rpc("ping", session=session).status == 200
        self.clock.advance(100)
        assert self.rpc("ping", session=session).status == 404

    def test_initialize_with_an_unknown_id_is_404(self) -> None:
        """Our ladder: the client learns that its session is gone and starts over without an id."""
        assert self.rpc("initialize", {"protocolVersion": "2025-06-18"}, session="gone").status == 404

    def test_a_deleted_session_is_gone(self) -> None:
        """Session Management, rules 3 and 5."""
        session = self.initialize()
        assert self.request("DELETE", headers={"Mcp-Session-Id": session}).status == 204
        for method in ("POST", "GET", "DELETE"):
            body = {"jsonrpc": "2.0", "id": 1, "method": "ping"} if method == "POST" else None
            assert self.request(method, body=body, headers={"Mcp-Session-Id": session}).status == 404

    def test_delete_without_an_id_is_400(self) -> None:
        """Session Management, rule 2."""
        assert self.request("DELETE").status == 400

    def test_a_full_store_refuses_with_a_time_to_come_back(self) -> None:
        """RFC 9110 sections 15.6.4 and 10.2.3; MCP_MAX_SESSIONS is our setting."""
        self.rpc("ping", session=self.initialize())
        self.clock.advance(70)
        self.rpc("ping", session=self.initialize())
        for answer in (self.rpc("initialize", {"protocolVersion": "2025-06-18"}), self.rpc("tools/list")):
            assert (answer.status, answer.header("Retry-After")) == (503, "31")
            assert "MCP_ECHO_MAX_SESSIONS" in answer.json["error"]["message"]
        self.clock.advance(31)
        assert self.rpc("initialize", {"protocolVersion": "2025-06-18"}).status == 200

    def test_two_different_ids_in_one_request_are_refused(self) -> None:
        """RFC 9110 section 5.3: only list fields may come twice."""
        headers = {"Mcp-Session-Id": [self.initialize(), self.initialize()]}
        answer = self.request("POST", body={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=headers)
        assert (answer.status, answer.json["error"]["code"]) == (400, -32600)

    def test_initialized_is_seen_in_the_session(self) -> None:
        """Lifecycle: notifications/initialized."""
        session = self.rpc("initialize", {"protocolVersion": "2025-06-18"}).header("Mcp-Session-Id")
        assert "Initialized: ❌" in self.text("sessionInfo", session=session)
        answer = self.notify("notifications/initialized", session=session)
        assert (answer.status, answer.body) == (202, b"")
        assert "Initialized: ✅" in self.text("sessionInfo", session=session)

    def test_requests_and_times_are_counted(self) -> None:
        """The figures of requestTiming and sessionInfo."""
        session = self.initialize()
        timing = self.call("requestTiming", session=session)["structuredContent"]
        assert (timing["sessionRequests"], timing["averageResponseTime"]) == (2, 0.0)


class MessageTests(ServerTestCase):
    def refused(self, body: bytes, status: int, code: int, message_id: object = None) -> None:
        answer = self.request("POST", body=body)
        assert (answer.status, answer.json["error"]["code"]) == (status, code), body
        assert answer.json.get("id") == message_id, body
        assert answer.header("Content-Type") == "application/json"
        assert self.rpc("ping").status == 200

    def test_a_body_that_is_not_json_is_a_parse_error(self) -> None:
        """JSON-RPC 2.0, Error object: -32700."""
        for body in (b"", b"{", b"nope", b'{"jsonrpc":"2.0","id":NaN}', b'{"a":"\xff"}', b"[" * 100_000):
            self.refused(body, 400, -32700)

    def test_a_body_that_is_no_message_is_an_invalid_request(self) -> None:
        """JSON-RPC 2.0, Error object: -32600; ids that can be read are echoed."""
        for body, message_id in (
            (b"7", None),
            (b"{}", None),
            (b"[]", None),
            (b'{"jsonrpc":"1.0","id":3,"method":"ping"}', 3),
            (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', None),
            (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', None),
            (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', None),
            (b'{"jsonrpc":"2.0","id":"a","method":"ping","params":[1]}', "a"),
            (b'{"jsonrpc":"2.0","id":"a"}', "a"),
        ):
            self.refused(body, 400, -32600, message_id)

    def test_ids_come_back_as_they_were(self) -> None:
        """JSON-RPC 2.0, Response object: same value and type."""
        session = self.initialize()
        for message_id in (0, -1, 2**53, 2**80, "", "1", "é\u2028"):
            assert self.rpc("ping", session=session, message_id=message_id).json["id"] == message_id

    def test_an_unknown_method_is_an_error_in_a_200(self) -> None:
        """A 404 would say that the session has ended (Session Management, rule 4)."""
        session = self.initialize()
        answer = self.rpc("nope/never", session=session)
        assert (answer.status, answer.json["error"]["code"]) == (200, -32601)
        assert self.rpc("ping", session=session).status == 200

    def test_notifications_and_responses_get_202_and_no_body(self) -> None:
        """Sending Messages, rule 4."""
        session = self.initialize()
        for message in (
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}},
            {"jsonrpc": "2.0", "method": "notifications/unheard-of"},
            {"jsonrpc": "2.0", "id": 5, "result": {}},
            {"jsonrpc": "2.0", "id": 5, "error": {"code": -1, "message": "no"}},
        ):
            answer = self.request("POST", body=message, headers={"Mcp-Session-Id": session})
            assert (answer.status, answer.body) == (202, b"")

    def test_a_notification_that_belongs_to_no_session_is_refused(self) -> None:
        """Sending Messages, rule 4: not accepted means an HTTP error status."""
        answer = self.notify("notifications/initialized")
        assert (answer.status, answer.json["error"]["code"]) == (400, -32600)

    def test_a_fault_of_ours_is_an_internal_error_and_is_logged(self) -> None:
        """JSON-RPC 2.0: -32603; nothing of the fault reaches the client."""
        session = self.initialize()
        with mock.patch.object(
            type(self.service.health._context.machine), "cpu_percent", side_effect=ZeroDivisionError("s3cret")
        ):
            answer = self.rpc("tools/call", {"name": "requestTiming"}, session=session)
        assert (answer.status, answer.json["error"]["code"], answer.json["id"]) == (500, -32603, 1)
        assert b"s3cret" not in answer.body
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        assert self.rpc("ping", session=session).status == 200

    def test_an_unsupported_version_header_is_400(self) -> None:
        """Protocol Version Header: MUST respond with 400; our choice, which fits both eras: with the error
        -32022 of 2026-07-28 basic/versioning and every revision that is spoken."""
        session = self.initialize()
        for value in ("1999-01-01", "nonsense", ""):
            answer = self.rpc("ping", session=session, MCP_Protocol_Version=value)
            assert (answer.status, answer.json["error"]["code"]) == (400, -32022)
            assert answer.json["error"]["data"] == {
                "requested": value,
                "supported": [revision.name for revision in reversed(KNOWN)],
            }

    def test_another_supported_version_header_is_let_pass(self) -> None:
        """The specification leaves it open; official clients of one revision send an older one."""
        session = self.initialize("2025-11-25")
        assert self.rpc("ping", session=session, MCP_Protocol_Version="2025-03-26").status == 200


class BatchTests(ServerTestCase):
    """Batches exist in revision 2025-03-26 alone.

    https://modelcontextprotocol.io/specification/2025-03-26/basic/transports#sending-messages-to-the-server
    """

    settings = {"MCP_ECHO_MAX_BATCH": "3"}
    PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    NOTE = {"jsonrpc": "2.0", "method": "notifications/initialized"}

    def batch(self, messages: list[object], revision: str = "2025-03-26", accept: str = "application/json"):
        headers = {"Mcp-Session-Id": self.initialize(revision), "Accept": accept}
        return self.request("POST", body=messages, headers=headers)

    def test_every_request_gets_one_response(self) -> None:
        answer = self.batch([self.PING, self.NOTE, {**self.PING, "id": "b", "method": "nope"}])
        assert [(each["id"], "result" in each) for each in answer.json] == [(1, True), ("b", False)]

    def test_a_client_that_reads_streams_gets_one_event_a_response(self) -> None:
        answer = self.batch([self.PING, {**self.PING, "id": 2}], accept=BOTH)
        assert answer.header("Content-Type") == "text/event-stream"
        assert [json.loads(event["data"])["id"] for event in answer.events] == [1, 2]

    def test_nothing_but_notifications_and_responses_is_202(self) -> None:
        answer = self.batch([self.NOTE, {"jsonrpc": "2.0", "id": 1, "result": {}}])
        assert (answer.status, answer.body) == (202, b"")

    def test_initialize_in_a_batch_is_refused(self) -> None:
        """Lifecycle of 2025-03-26: MUST NOT be part of a JSON-RPC batch."""
        answer = self.batch([{**self.PING, "method": "initialize"}, {**self.PING, "id": 2}])
        assert [each.get("error", {}).get("code") for each in answer.json] == [-32600, None]

    def test_broken_elements_are_answered_one_by_one(self) -> None:
        """JSON-RPC 2.0, Batch."""
        answer = self.batch([1, [], self.PING])
        assert [(each.get("id"), each.get("error", {}).get("code")) for each in answer.json] == [
            (None, -32600),
            (None, -32600),
            (1, None),
        ]

    def test_a_batch_longer_than_allowed_is_refused_whole(self) -> None:
        answer = self.batch([{**self.PING, "id": number} for number in range(4)])
        assert answer.status == 400
        assert "MCP_ECHO_MAX_BATCH" in answer.json["error"]["message"]

    def test_other_revisions_take_no_arrays(self) -> None:
        """2025-06-18 changelog: JSON-RPC batching removed."""
        for revision in ("2024-11-05", "2025-06-18", "2025-11-25"):
            answer = self.batch([self.PING], revision)
            assert (answer.status, answer.json["error"]["code"]) == (400, -32600), revision

    def test_an_array_does_not_begin_a_session(self) -> None:
        """Lifecycle of 2025-03-26: initialize MUST NOT be part of a JSON-RPC batch."""
        first = {**self.PING, "method": "initialize", "params": {"protocolVersion": "2025-03-26"}}
        answer = self.request("POST", body=[first])
        assert (answer.status, answer.header("Mcp-Session-Id"), len(self.store)) == (400, None, 0)

    def test_a_refused_array_leaves_no_session_behind(self) -> None:
        """Our choice: what is refused must not fill the store."""
        before = len(self.store)
        for revision in ("2025-06-18", "2025-11-25"):
            answer = self.request("POST", body=[self.PING], headers={"MCP-Protocol-Version": revision})
            assert (answer.status, answer.header("Mcp-Session-Id")) == (400, None)
        assert len(self.store) == before


class ToolTests(ServerTestCase):
    def test_tools_are_listed_in_the_order_of_the_catalogue(self) -> None:
        """Our interface."""
        tools = self.rpc("tools/list", session=self.initialize()).json["result"]["tools"]
        assert [tool["name"] for tool in tools] == list(catalogue(load({}, {}).settings))

    def test_a_cursor_nobody_gave_out_is_refused(self) -> None:
        """Pagination, Error Handling: -32602."""
        session = self.initialize()
        for method in ("tools/list", "resources/list", "resources/templates/list", "prompts/list"):
            answer = self.rpc(method, {"cursor": "x"}, session=session)
            assert answer.json["error"]["code"] == -32602, method

    def test_an_unknown_tool_is_invalid_params_in_every_revision(self) -> None:
        """Tools, Error Handling."""
        for name in NAMES:
            answer = self.rpc("tools/call", {"name": "nope"}, session=self.initialize(name))
            assert (answer.status, answer.json["error"]["code"]) == (200, -32602)

    def test_bad_arguments_are_a_tool_error_since_2025_11_25(self) -> None:
        """SEP-1303; before it, JSON-RPC -32602."""
        for name in NAMES:
            for arguments in ({}, {"message": 7}, {"message": "x", "extra": 1}):
                answer = self.rpc(
                    "tools/call", {"name": "echo", "arguments": arguments}, session=self.initialize(name)
                ).json
                if name == "2025-11-25":
                    assert answer["result"]["isError"]
                    assert "Invalid arguments for tool echo" in answer["result"]["content"][0]["text"]
                else:
                    assert answer["error"]["code"] == -32602

    def test_a_malformed_call_is_invalid_params_in_every_revision(self) -> None:
        """Schema, CallToolRequest: name is required, arguments is an object."""
        for name in NAMES:
            session = self.initialize(name)
            for params in ({}, {"name": 1}, {"name": "echo", "arguments": []}):
                answer = self.rpc("tools/call", params, session=session)
                assert answer.json["error"]["code"] == -32602, params

    def test_structured_content_is_there_since_2025_06_18(self) -> None:
        """Changelog of 2025-06-18."""
        for name in NAMES:
            result = self.call("sessionInfo", session=self.initialize(name))
            assert ("structuredContent" in result) == (name >= "2025-06-18"), name

    def test_headers_are_shown_with_secrets_masked(self) -> None:
        """printHeader; spelling and order are tested where the wire is (test_site)."""
        session = self.initialize()
        token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."
        shown = self.text(
            "printHeader",
            session=session,
            X_Custom="1",
            Authorization="Bearer abc.def.ghi",
            X_Amzn_Oidc_Data=token,
        )
        assert token not in shown, "a JWT is a secret under any name"
        assert "  X-Custom: 1" in shown
        assert "  Authorization: Bearer [11 characters, sha256 " in shown
        assert "abc.def" not in shown

    def test_bytes_come_back_as_the_content_their_type_asks_for(self) -> None:
        """ECHO_ENABLE_BINARY; audio blocks exist since 2025-03-26."""
        data = base64.b64encode(b"\x00\xff").decode()
        for revision, mime_type, kind in (
            ("2025-06-18", "image/png", "image"),
            ("2025-06-18", "audio/wav", "audio"),
            ("2024-11-05", "audio/wav", "resource"),
            ("2025-06-18", "application/pdf", "resource"),
        ):
            session = self.initialize(revision)
            arguments = {"message": "m", "data": data, "mimeType": mime_type}
            for result in (
                self.call("echo", arguments, session=session),
                self.call("replayLastEcho", session=session),
            ):
                block = result["content"][1]
                assert block["type"] == kind
                shown = block["resource"] if kind == "resource" else block
                assert (shown["mimeType"], shown.get("data", shown.get("blob"))) == (mime_type, data)

    def test_what_is_not_base64_is_a_tool_error(self) -> None:
        """ECHO_ENABLE_BINARY."""
        result = self.call("echo", {"message": "m", "data": "%%%"}, session=self.initialize())
        assert result["isError"]

    def test_without_binary_support_echo_takes_no_data(self) -> None:
        """ECHO_ENABLE_BINARY=false."""
        self.serve({"ECHO_ENABLE_BINARY": "false"})
        answer = self.rpc("tools/call", {"name": "echo", "arguments": {"message": "m", "data": "AA=="}})
        assert answer.json["error"]["code"] == -32602

    def test_what_acts_on_a_terminal_leaves_the_server_escaped(self) -> None:
        """Our choice: printing an answer must not drive the terminal it is printed on."""
        session = self.initialize()
        hostile = "a\x1b[31m\x7f\x9b\u2028\u202e\x00b"
        answer = self.rpc("tools/call", {"name": "echo", "arguments": {"message": hostile}}, session=session)
        for character in hostile[1:-1]:
            if character not in "[31m":
                assert character.encode() not in answer.body
        assert answer.json["result"]["structuredContent"]["message"] == hostile


class OtherMethodTests(ServerTestCase):
    def test_resources_are_listed_and_read(self) -> None:
        """Resources, Listing and Reading."""
        session = self.initialize()
        listed = self.rpc("resources/list", session=session).json["result"]["resources"]
        assert [each["uri"] for each in listed] == ["echo://server", "echo://session", "echo://findings"]
        for each in listed:
            contents = self.rpc("resources/read", {"uri": each["uri"]}, session=session).json["result"][
                "contents"
            ]
            assert (contents[0]["uri"], contents[0]["mimeType"]) == (each["uri"], "application/json")
            assert isinstance(json.loads(contents[0]["text"]), dict)

    def test_an_unknown_resource_is_named_in_the_error(self) -> None:
        """Resources, Error Handling: -32002 with data.uri."""
        answer = self.rpc("resources/read", {"uri": "echo://nope"}, session=self.initialize()).json
        assert (answer["error"]["code"], answer["error"]["data"]) == (-32002, {"uri": "echo://nope"})

    def test_prompts_are_listed_and_got(self) -> None:
        """Prompts, Listing and Getting."""
        session = self.initialize()
        listed = self.rpc("prompts/list", session=session).json["result"]["prompts"]
        assert [each["name"] for each in listed] == ["diagnose-auth", "diagnose-session"]
        params = {"name": "diagnose-auth", "arguments": {"symptom": "401 after a day"}}
        got = self.rpc("prompts/get", params, session=session).json["result"]
        assert "401 after a day" in got["messages"][0]["content"]["text"]

    def test_unknown_prompts_and_arguments_are_invalid_params(self) -> None:
        """Prompts, Error Handling."""
        session = self.initialize()
        for params in ({"name": "nope"}, {"name": "diagnose-auth", "arguments": {"x": "y"}}, {}):
            assert self.rpc("prompts/get", params, session=session).json["error"]["code"] == -32602

    def test_an_unknown_log_level_is_invalid_params(self) -> None:
        """Logging, Error Handling."""
        answer = self.rpc("logging/setLevel", {"level": "loud"}, session=self.initialize())
        assert answer.json["error"]["code"] == -32602

    def test_subscriptions_are_bounded(self) -> None:
        """Our limit."""
        self.serve({"MCP_ECHO_CONFORMANCE": "core"})
        session = self.initialize()
        codes = [
            self.rpc("resources/subscribe", {"uri": f"test://template/{number}/data"}, session=session)
            .json.get("error", {})
            .get("code")
            for number in range(65)
        ]
        assert codes == [None] * 64 + [-32602]


class NegotiationTests(ServerTestCase):
    """RFC 9110 section 12: what the client can read."""

    def test_a_missing_or_open_accept_gets_json(self) -> None:
        for accept in (None, "*/*", "application/json", "application/*", "text/html, */*;q=0.1"):
            headers = {} if accept is None else {"Accept": accept}
            answer = self.rpc("ping", **headers)
            assert (answer.status, answer.header("Content-Type")) == (200, "application/json"), accept

    def test_a_client_that_reads_only_streams_gets_one(self) -> None:
        session = self.initialize()
        answer = self.rpc("tools/list", session=session, Accept="text/event-stream")
        assert answer.header("Content-Type") == "text/event-stream"
        assert json.loads(answer.events[-1]["data"])["id"] == 1

    def test_a_client_that_reads_neither_is_refused(self) -> None:
        for accept in ("text/html", "application/json;q=0, text/event-stream;q=0"):
            assert self.rpc("ping", Accept=accept).status == 406

    def test_large_answers_are_compressed_where_that_is_switched_on(self) -> None:
        """ECHO_ENABLE_COMPRESSION."""
        for switch, coding in (("true", b"gzip"), ("false", None)):
            self.serve({"ECHO_ENABLE_COMPRESSION": switch})
            head, body = self.raw_post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, b"gzip")
            assert head.get(b"content-encoding") == coding
            assert b"whoIStheGOAT" in (gzip.decompress(body) if coding else body)

    def test_small_answers_and_unasked_ones_and_streams_are_never_compressed(self) -> None:
        """ECHO_ENABLE_COMPRESSION: a gzip encoder would hold events back."""
        self.serve({"ECHO_ENABLE_COMPRESSION": "true"})
        ping, tools = ({"jsonrpc": "2.0", "id": 1, "method": method} for method in ("ping", "tools/list"))
        for message, coding, accept in (
            (ping, b"gzip", b"*/*"),
            (tools, b"identity", b"*/*"),
            (tools, b"gzip;q=0", b"*/*"),
            (tools, b"gzip", b"text/event-stream"),
        ):
            head, _ = self.raw_post(message, coding, accept)
            assert b"content-encoding" not in head, (message, coding, accept)

    def raw_post(
        self, message: dict[str, object], coding: bytes, accept: bytes = b"*/*"
    ) -> tuple[dict[bytes, bytes], bytes]:
        """Return head and body as they cross the wire: treq undoes the coding."""
        body = json.dumps(message).encode()
        head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: %b\r\nAccept: %b\r\n" % (
            coding,
            accept,
        )
        answer = send(self.service.site, head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        top, _, rest = answer.partition(b"\r\n\r\n")
        fields = (line.partition(b": ") for line in top.split(b"\r\n")[1:])
        return {name.lower(): value for name, _, value in fields}, rest

    def test_a_body_over_the_limit_is_413_declared_or_not(self) -> None:
        """RFC 9110 section 15.5.14; ECHO_MAX_MESSAGE_SIZE."""
        self.serve({"ECHO_MAX_MESSAGE_SIZE": "2048"})
        fits, too_large = (
            json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": "y" * size}}).encode()
            for size in (1900, 2048)
        )
        assert self.request("POST", body=fits).status == 200
        answer = self.request("POST", body=too_large)
        assert answer.status == 413
        assert "MCP_ECHO_MAX_MESSAGE_SIZE" in answer.json["error"]["message"]


class StrictTests(ServerTestCase):
    """--strict: what clients MUST and SHOULD do is enforced."""

    settings = {"MCP_ECHO_STRICT": "true"}
    FIELDS = {"Accept": BOTH, "Content-Type": "application/json"}
    FULL = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "c", "version": "1"},
    }

    def strictly(self, method: str, params: object = None, **headers: str):
        fields = {**self.FIELDS, **{name.replace("_", "-"): value for name, value in headers.items()}}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, **({} if params is None else {"params": params})}
        return self.request("POST", body=body, headers=fields)

    def session(self) -> str:
        return self.strictly("initialize", self.FULL).header("Mcp-Session-Id") or ""

    def test_a_request_without_an_id_is_400(self) -> None:
        """Session Management, rule 2."""
        assert self.strictly("tools/list").status == 400
        assert len(self.store) == 0

    def test_the_version_header_is_required_and_has_the_negotiated_value(self) -> None:
        """Protocol Version Header."""
        session = self.session()
        assert self.strictly("ping", Mcp_Session_Id=session).status == 400
        wrong = self.strictly("ping", Mcp_Session_Id=session, MCP_Protocol_Version="2025-11-25")
        assert wrong.status == 400

    def test_accept_lists_both_types(self) -> None:
        """Sending Messages, rule 2."""
        for accept in ("*/*", "application/json", "text/event-stream"):
            assert self.strictly("initialize", self.FULL, Accept=accept).status == 406, accept

    def test_the_body_is_declared_as_json(self) -> None:
        """RFC 9110 section 15.5.16."""
        answer = self.strictly("initialize", self.FULL, Content_Type="text/plain")
        assert answer.status == 415

    def test_initialize_fits_the_schema(self) -> None:
        """Schema, InitializeRequest."""
        for missing in ("capabilities", "clientInfo"):
            params = {key: value for key, value in self.FULL.items() if key != missing}
            assert self.strictly("initialize", params).json["error"]["code"] == -32602
        assert len(self.store) == 0

    def test_get_names_the_event_stream(self) -> None:
        """Listening for Messages, rule 2."""
        headers = {"Mcp-Session-Id": self.session(), "MCP-Protocol-Version": "2025-06-18"}
        assert self.request("GET", headers={**headers, "Accept": "*/*"}).status == 406
