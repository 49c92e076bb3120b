"""Duties of the specification that no other file of this directory is about.

Which assertion of the specification is held by which test, here and elsewhere, is in tests/assertions.txt.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from mcp_echo.offer.prompts import PROMPTS, Argument, Prompt, text, user_message
from mcp_echo.protocol.errors import McpError
from mcp_echo.protocol.revisions import LEGACY
from tests.transport.support import (
    BOTH,
    META,
    MODERN,
    Answer,
    ModernTestCase,
    Posted,
    claim,
    send,
)

NAMES = [revision.name for revision in LEGACY]
STREAMABLE = NAMES[1:]
ASKABLE = {"sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {}}


def calling(name: str, message_id: Any = 1, meta: dict[str, Any] | None = None, **arguments: Any) -> Any:
    """Return a legacy tools/call."""
    params: dict[str, Any] = {"name": name, "arguments": arguments}
    if meta is not None:
        params["_meta"] = meta
    return {"jsonrpc": "2.0", "id": message_id, "method": "tools/call", "params": params}


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a JSON value."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from walk(each)


class DutiesTestCase(ModernTestCase):
    def post_in(self, session: str, message: Any, accept: str = BOTH) -> Posted:
        """POST a legacy message whose answer comes later."""
        return Posted(self, message, {"Mcp-Session-Id": session, "Accept": accept})

    def asker(self, revision: str) -> Callable[..., Answer]:
        """Return what sends a request in this revision, legacy or modern."""
        if revision == MODERN:
            return self.modern
        session = self.initialize(revision)
        return lambda method, params=None: self.rpc(method, params, session=session)

    def each_revision(self) -> Iterator[tuple[str, Callable[..., Answer]]]:
        """Yield every revision and what sends a request in it."""
        for revision in (*NAMES, MODERN):
            yield revision, self.asker(revision)

    def stop_listening(self) -> None:
        """End every stream and see that nothing waits."""
        self.leave()
        assert self.clock.getDelayedCalls() == []


class HandshakeTests(DutiesTestCase):
    """https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle"""

    def test_the_handshake_never_answers_with_a_modern_revision(self) -> None:
        """2026-07-28 basic/versioning, Terminology: a modern revision has no handshake to agree on it."""
        answer = self.rpc("initialize", {"protocolVersion": MODERN})
        assert answer.json["result"]["protocolVersion"] == NAMES[-1]

    def test_a_ping_is_answered_before_the_client_says_it_is_initialized(self) -> None:
        """Initialization: pings are the exception to waiting; basic/utilities/ping: an empty result."""
        for revision in NAMES:
            session = self.rpc("initialize", {"protocolVersion": revision}).header("Mcp-Session-Id")
            answer = self.rpc("ping", session=session, message_id="p")
            assert answer.json == {"jsonrpc": "2.0", "id": "p", "result": {}}, revision

    def test_a_strict_server_names_the_session_in_the_answer_to_initialize_alone(self) -> None:
        """basic/transports, Session Management, rule 1; a lenient one also where it makes one on the way."""
        self.serve({"MCP_ECHO_STRICT": "true"})
        common = {"Accept": BOTH, "Content-Type": "application/json", "MCP-Protocol-Version": NAMES[-1]}
        client = {"clientInfo": {"name": "c", "version": "1"}, "capabilities": {}}
        hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        hello["params"] = {"protocolVersion": NAMES[-1], **client}
        session = self.request("POST", body=hello, headers=common).header("Mcp-Session-Id")
        assert session is not None
        told = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        named = {"Mcp-Session-Id": session}
        for body, fields, status in ((listing, {}, 400), (told, named, 202), (listing, named, 200)):
            answer = self.request("POST", body=body, headers={**common, **fields})
            assert (answer.status, answer.header("Mcp-Session-Id")) == (status, None)


class HeaderTests(DutiesTestCase):
    """https://modelcontextprotocol.io/specification/2025-11-25/basic/transports"""

    def test_a_client_that_is_no_browser_sends_no_origin_and_is_let_in(self) -> None:
        """Security Warning: an Origin is refused that is present and invalid."""
        session = self.initialize()
        assert self.rpc("ping", session=session).status == 200
        listening = self.listen(session)
        assert listening.status == 200
        assert self.request("DELETE", headers={"Mcp-Session-Id": session}).status == 204

    def test_an_unsupported_version_header_is_400_whatever_comes_with_it(self) -> None:
        """Protocol Version Header: MUST, and not for requests alone."""
        session = self.initialize()
        headers = {"Mcp-Session-Id": session, "MCP-Protocol-Version": "1999-01-01"}
        notification = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        response = {"jsonrpc": "2.0", "id": 1, "result": {}}
        for method, body in (("GET", None), ("DELETE", None), ("POST", notification), ("POST", response)):
            assert self.request(method, body=body, headers=headers).status == 400, (method, body)
        assert self.rpc("ping", session=session).status == 200, "DELETE has ended nothing"

    def test_header_names_are_compared_without_case(self) -> None:
        """RFC 9110 section 5.1."""
        session = self.initialize("2025-11-25").encode()
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
        for change in (bytes.lower, bytes.upper, bytes.title):
            names = (change(name) for name in (b"mcp-session-id", b"mcp-protocol-version", b"accept"))
            values = (session, b"2025-11-25", b"text/event-stream")
            lines = b"".join(b"%b: %b\r\n" % pair for pair in zip(names, values, strict=True))
            head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n" % len(body)
            answer = send(self.service.site, head + lines + b"\r\n" + body)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"text/event-stream" in answer
            assert b"mcp-session-id" not in answer.lower(), "the named session was found, none was made"


class StreamTests(DutiesTestCase):
    """https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#sending-messages-to-the-server"""

    settings = {"MCP_ECHO_CONFORMANCE": "core"}

    def tearDown(self) -> None:
        self.stop_listening()

    def test_only_revisions_that_can_be_polled_have_their_connection_closed_early(self) -> None:
        """Sending Messages, rule 6: before 2025-11-25 SHOULD NOT be closed before the response; since then
        it may be, after an event id, and `retry` SHOULD come first."""
        for revision in STREAMABLE:
            polled = revision == "2025-11-25"
            session = self.initialize(revision)
            call = self.post_in(session, calling("test_reconnection", 5))
            assert (call.over, b"retry: 500\n\n" in call.body) == (polled, polled), revision
            self.pass_time(1)
            if not polled:
                assert (call.over, call.json["id"]) == (True, 5), revision
                continue
            assert call.messages == []
            again = self.listen(session, **{"Last-Event-ID": call.events[0]["id"]})
            assert ([message["id"] for message in again.messages], again.over) == ([5], True)

    def test_a_priming_event_comes_only_where_clients_know_it(self) -> None:
        """SEP-1699 came with 2025-11-25; clients of older revisions read the empty data as JSON."""
        for revision in NAMES:
            answer = self.rpc("ping", session=self.initialize(revision), Accept="text/event-stream")
            first = answer.events[0]
            primed = set(first) == {"id", "data"} and first["data"] == ""
            assert primed == (revision == "2025-11-25"), revision

    def test_what_comes_ahead_of_a_response_belongs_to_its_request(self) -> None:
        """Sending Messages, rule 6: SHOULD relate to the request; other news goes to the GET stream."""
        handle = self.handle()
        uri = f"echo://session/{handle}"
        session = self.initialize("2025-11-25")
        self.rpc("resources/subscribe", {"uri": uri}, session=session)
        call = self.post_in(session, calling("clientProbe", 1, {"progressToken": 1}, feature="progress"))
        self.tool("echo", {"message": "m", "session": handle})
        self.pass_time(1)
        methods = [message.get("method") for message in call.messages]
        assert methods == ["notifications/progress"] * 3 + [None]
        assert [each["method"] for each in self.listen(session).messages] == [
            "notifications/resources/updated"
        ]

    def test_what_comes_ahead_of_a_modern_response_belongs_to_its_request(self) -> None:
        """2026-07-28 basic/transports/streamable-http, Receiving: MUST relate; and news of a resource comes
        on subscriptions/listen alone, though this very request has changed it."""
        handle = self.handle()
        meta = claim(**{f"{META}logLevel": "debug"})
        call = self.post(
            "tools/call", {"name": "echo", "arguments": {"message": "m", "session": handle}}, meta=meta
        )
        methods = [message.get("method") for message in call.messages]
        assert methods == ["notifications/message"] * 2 + [None]

    def test_progress_rides_the_stream_of_its_request_and_ends_with_it(self) -> None:
        """basic/utilities/progress: the token of the request, increasing, none after completion."""
        for revision in STREAMABLE:
            session = self.initialize(revision)
            call = self.post_in(
                session, calling("clientProbe", 7, {"progressToken": "tok"}, feature="progress")
            )
            self.pass_time(1)
            *told, last = call.messages
            assert [each["method"] for each in told] == ["notifications/progress"] * 3
            assert {each["params"]["progressToken"] for each in told} == {"tok"}
            done = [each["params"]["progress"] for each in told]
            assert done == sorted(set(done))
            assert (last["id"], call.over) == (7, True)
            assert self.listen(session).messages == []

    def test_a_changed_list_is_announced_to_the_sessions_that_listen(self) -> None:
        """server/tools and server/prompts, List Changed Notification."""
        sessions = [self.initialize(revision) for revision in STREAMABLE]
        streams = [self.listen(session) for session in sessions]
        self.call("test_trigger_tool_change", session=sessions[0])
        self.call("test_trigger_prompt_change", session=sessions[0])
        self.client.flush()
        for stream in streams:
            methods = [message["method"] for message in stream.messages]
            assert methods == ["notifications/tools/list_changed", "notifications/prompts/list_changed"]

    def test_log_messages_hold_nothing_of_what_the_caller_sent(self) -> None:
        """server/utilities/logging, Security: MUST NOT contain credentials or personal data."""
        session = self.initialize("2025-11-25")
        self.rpc("logging/setLevel", {"level": "debug"}, session=session)
        secrets = ("s3cret-of-the-message", "s3cret-of-the-header")
        for name, arguments in (("echo", {"message": secrets[0]}), ("bearerDecode", {}), ("authContext", {})):
            answer = self.rpc(
                "tools/call",
                {"name": name, "arguments": arguments},
                session=session,
                Accept=BOTH,
                Authorization=f"Bearer {secrets[1]}",
            )
            logged = [
                event["data"] for event in answer.events if "notifications/message" in event.get("data", "")
            ]
            assert len(logged) == 2, name
            assert not any(secret in line for secret in (*secrets, session) for line in logged), name


class ListTests(DutiesTestCase):
    def test_lists_are_the_same_for_every_caller_and_after_every_call(self) -> None:
        """2026-07-28 server/tools, resources and prompts, Capabilities: MUST NOT vary per connection or as a
        side effect of other requests."""
        self.serve({"MCP_ECHO_CONFORMANCE": "core"})

        def lists(meta: dict[str, Any]) -> list[Any]:
            methods = ("tools/list", "resources/list", "resources/templates/list", "prompts/list")
            return [self.modern(method, meta=meta).json["result"] for method in methods]

        before = lists(claim())
        self.tool("echo", {"message": "m", "session": self.handle()})
        self.tool("test_trigger_tool_change")
        self.initialize()
        assert lists(claim(capabilities=ASKABLE, **{f"{META}clientInfo": {"name": "another"}})) == before

    def test_the_pages_of_a_legacy_list_make_up_the_whole(self) -> None:
        """server/utilities/pagination of each revision."""
        whole = {
            revision: ask("tools/list").json["result"]["tools"] for revision, ask in self.each_revision()
        }
        self.serve({"MCP_ECHO_PAGE_SIZE": "4"})
        for revision, ask in self.each_revision():
            page = ask("tools/list").json["result"]
            tools, pages = page["tools"], 1
            while "nextCursor" in page:
                page = ask("tools/list", {"cursor": page["nextCursor"]}).json["result"]
                tools, pages = tools + page["tools"], pages + 1
            assert (tools, pages > 2) == (whole[revision], True), revision

    def test_every_tool_has_a_legal_name_and_an_object_for_a_schema(self) -> None:
        """2025-11-25 server/tools, Tool Names and Tool: the schema is an object and not null."""
        self.serve({"MCP_ECHO_CONFORMANCE": "all", "MCP_ECHO_PAGE_SIZE": "1000"})
        for revision, ask in self.each_revision():
            tools = ask("tools/list").json["result"]["tools"]
            names = [tool["name"] for tool in tools]
            assert len(names) == len(set(names)) > 40
            assert [name for name in names if not re.fullmatch(r"[A-Za-z0-9_.-]{1,128}", name)] == []
            assert {tool["inputSchema"]["type"] for tool in tools} == {"object"}, revision

    def test_a_mirrored_argument_is_marked_as_it_has_to_be(self) -> None:
        """2026-07-28 server/tools, x-mcp-header: a token, unique without case, of a string, an integer or a
        boolean, and reached from the root through properties alone; clients drop other tools."""
        self.serve({"MCP_ECHO_CONFORMANCE": "core"})
        marked = 0
        for tool in self.modern("tools/list").json["result"]["tools"]:
            schema = tool["inputSchema"]
            properties = [each for each in schema.get("properties", {}).values() if "x-mcp-header" in each]
            suffixes = [each["x-mcp-header"] for each in properties]
            assert all(re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", each) for each in suffixes), tool["name"]
            assert len({each.lower() for each in suffixes}) == len(suffixes), tool["name"]
            assert {each["type"] for each in properties} <= {"string", "integer", "boolean"}, tool["name"]
            assert len(properties) == sum("x-mcp-header" in each for each in walk(schema)), tool["name"]
            marked += len(properties)
        assert marked > 0

    def test_no_schema_refers_to_anything_on_the_network(self) -> None:
        """2026-07-28 basic, $ref Resolution: readers MUST NOT fetch, so ours give them nothing to fetch."""
        self.serve({"MCP_ECHO_CONFORMANCE": "core"})
        tools = self.modern("tools/list").json["result"]["tools"]
        references = [each["$ref"] for each in walk(tools) if isinstance(each.get("$ref"), str)]
        assert references
        assert all(each.startswith("#") for each in references)


class FailureTests(DutiesTestCase):
    def test_a_tool_that_cannot_do_its_work_says_so_in_its_result(self) -> None:
        """server/tools, Error Handling: isError, and no error of HTTP or JSON-RPC."""
        for revision, ask in self.each_revision():
            arguments = {"session": "es_gone"} if revision == MODERN else {}
            answer = ask("tools/call", {"name": "replayLastEcho", "arguments": arguments})
            assert (answer.status, answer.json["result"]["isError"]) == (200, True), revision
            assert answer.json["result"]["content"][0]["text"]

    def test_what_cannot_be_read_is_not_found_and_named(self) -> None:
        """server/resources, Error Handling; 2026-07-28, Security: no way into the file system."""
        uris = (
            "echo://nothing",
            "file:///etc/passwd",
            "echo://session/../../etc/passwd",
            "echo://session/..%2f..%2fetc%2fpasswd",
            "no URI at all\x00",
            "",
        )
        for revision, ask in self.each_revision():
            for uri in uris:
                headers = {"Mcp-Name": f"=?base64?{base64.b64encode(uri.encode()).decode()}?="}
                params = {"uri": uri}
                answer = (
                    self.modern("resources/read", params, headers=headers)
                    if revision == MODERN
                    else ask("resources/read", params)
                )
                error = answer.json["error"]
                code = -32602 if revision == MODERN else -32002
                assert (answer.status, error["code"], error["data"]) == (200, code, params), (revision, uri)

    def test_a_uri_that_is_none_is_refused(self) -> None:
        """server/resources, Security Considerations: servers MUST validate URIs; 2048 characters are ours."""
        for revision, ask in self.each_revision():
            for params in ({}, {"uri": None}, {"uri": 7}, {"uri": ["echo://server"]}):
                assert ask("resources/read", params).json["error"]["code"] == -32602, (revision, params)
        for method in ("resources/read", "resources/subscribe", "resources/unsubscribe"):
            answer = self.rpc(method, {"uri": "echo://" + "x" * 2048}, session=self.initialize())
            assert answer.json["error"]["code"] == -32602, method

    def test_a_prompt_without_a_required_argument_is_refused(self) -> None:
        """server/prompts, Error Handling: -32602."""
        self.serve({"MCP_ECHO_CONFORMANCE": "core"})
        for revision, ask in self.each_revision():
            for arguments in ({}, {"arg1": "x"}):
                answer = ask("prompts/get", {"name": "test_prompt_with_arguments", "arguments": arguments})
                assert answer.json["error"]["code"] == -32602, (revision, arguments)

    def test_a_completion_for_what_is_not_there_is_refused(self) -> None:
        """server/utilities/completion, Error Handling and Security: -32602, and inputs MUST be validated."""
        prompt = {"type": "ref/prompt", "name": "diagnose-auth"}
        begun = {"name": "symptom", "value": "4"}
        wrong: list[dict[str, Any]] = [
            {"ref": {"type": "ref/prompt", "name": "nothing"}, "argument": begun},
            {"ref": {"type": "ref/resource", "uri": "echo://nothing/{x}"}, "argument": begun},
            {"ref": {"type": "ref/tool", "name": "echo"}, "argument": begun},
            {"ref": prompt, "argument": {"name": "nothing", "value": ""}},
            {"ref": prompt, "argument": {"name": "symptom", "value": 4}},
            {"ref": prompt},
            {"argument": begun},
            {"ref": "diagnose-auth", "argument": begun},
        ]
        for revision, ask in self.each_revision():
            good = ask("completion/complete", {"ref": prompt, "argument": begun}).json["result"]
            assert good["completion"]["values"] == ["401 although a token was sent", "403 for one tool only"]
            for params in wrong:
                code = ask("completion/complete", params).json["error"]["code"]
                assert code == -32602, (revision, params)

    def test_no_error_has_a_code_that_is_not_ours_to_use(self) -> None:
        """2026-07-28 basic, Error Codes: of -32099 to -32000 the three that are defined, and no others; ours
        beyond those of JSON-RPC would have to lie outside -32768 to -32000."""
        known = [McpError]
        for error in known:
            known.extend(error.__subclasses__())
        codes = {error.__new__(error).code_in(modern=True) for error in known}
        assert codes == {-32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022}


class ContentTests(DutiesTestCase):
    settings = {"MCP_ECHO_CONFORMANCE": "core"}

    def test_bytes_of_a_resource_are_base64(self) -> None:
        """server/resources, Security Considerations: binary data MUST be properly encoded."""
        for revision, ask in self.each_revision():
            (content,) = ask("resources/read", {"uri": "test://static-binary"}).json["result"]["contents"]
            assert set(content) == {"uri", "mimeType", "blob"}, revision
            assert base64.b64decode(content["blob"], validate=True).startswith(b"\x89PNG"), revision

    def test_a_resource_in_a_prompt_is_whole(self) -> None:
        """server/prompts, Embedded Resources: MUST have a URI, a media type and text or blob."""
        wanted = {"name": "test_prompt_with_embedded_resource", "arguments": {"resourceUri": "test://x"}}
        for revision, ask in self.each_revision():
            content = ask("prompts/get", wanted).json["result"]["messages"][0]["content"]
            assert (content["type"], content["resource"]["uri"]) == ("resource", "test://x"), revision
            assert content["resource"]["mimeType"]
            assert len({"text", "blob"} & set(content["resource"])) == 1

    def test_a_completion_has_at_most_100_values(self) -> None:
        """server/utilities/completion, Completion Results."""
        colours = Argument("colour", "A colour.", suggestions=tuple(f"grey {n}" for n in range(150)))
        prompt = Prompt("paint", "Paint", "Paints.", (colours,), lambda *_: [user_message(text("Paint"))])
        params = {
            "ref": {"type": "ref/prompt", "name": "paint"},
            "argument": {"name": "colour", "value": "grey"},
        }
        self.serve({})
        with mock.patch.dict(PROMPTS, {"paint": prompt}):
            for revision, ask in self.each_revision():
                completion = ask("completion/complete", params).json["result"]["completion"]
                assert len(completion["values"]) == 100, revision
                assert (completion["total"], completion["hasMore"]) == (150, True), revision

    def test_results_use_no_reserved_key_of_meta_but_those_that_are_defined(self) -> None:
        """2026-07-28 basic, _meta: prefixes with mcp or modelcontextprotocol are reserved."""
        for method, params in (
            ("server/discover", {}),
            ("tools/list", {}),
            ("tools/call", {"name": "echo", "arguments": {"message": "m"}}),
            ("resources/read", {"uri": "echo://server"}),
            ("prompts/get", {"name": "diagnose-auth"}),
        ):
            result = self.modern(method, params).json["result"]
            keys = {key for each in walk(result) for key in each.get("_meta", {})}
            assert keys == {f"{META}serverInfo"}, method


class ExtensionTests(DutiesTestCase):
    """Extensions and tasks that the server does not offer, or offers as fixtures."""

    TASKS = {"extensions": {f"{META}tasks": {}}}
    COMPUTE = {"name": "slow_compute", "arguments": {"seconds": 1}}

    def test_an_extension_that_is_not_offered_changes_nothing(self) -> None:
        """2026-07-28 basic/versioning, Extension Negotiation: core behaviour, or an error."""
        unknown = claim(capabilities={"extensions": {"com.example/unheard-of": {"x": 1}, **self.TASKS}})
        for method, params in (
            ("tools/call", {"name": "echo", "arguments": {"message": "m"}}),
            ("tools/list", {}),
        ):
            assert self.modern(method, params, meta=unknown).json == self.modern(method, params).json
        assert "extensions" not in self.modern("server/discover").json["result"]["capabilities"]

    def test_a_task_that_is_asked_for_where_none_is_offered_is_an_ordinary_call(self) -> None:
        """2025-11-25 basic/utilities/tasks, Task Support: `task` MUST be ignored where tasks are not
        declared; 2026-07-28, tasks extension: always."""
        params = {"name": "echo", "arguments": {"message": "m"}, "task": {"ttl": 60000}}
        for revision, ask in self.each_revision():
            result = ask("tools/call", params).json["result"]
            assert result["content"][0]["text"].startswith("m"), revision
            assert "task" not in result, revision
            if revision != MODERN:
                assert ask("tasks/get", {"taskId": "t"}).json["error"]["code"] == -32601, revision

    def test_the_old_way_to_ask_for_a_task_is_ignored_where_tasks_are_offered(self) -> None:
        """Tasks extension: `params.task` MUST be ignored; the server decides."""
        self.serve({"MCP_ECHO_CONFORMANCE": "tasks"})
        params = {"name": "greet", "arguments": {"name": "you"}, "task": {"ttl": 60000}}
        for capabilities in ({}, self.TASKS):
            result = self.modern("tools/call", params, meta=claim(capabilities=capabilities)).json["result"]
            assert (result["resultType"], result["content"][0]["text"]) == ("complete", "Hello, you!")

    def test_a_task_is_given_only_to_who_declares_the_extension(self) -> None:
        """Tasks extension: undeclared, a result or -32021 comes instead; it counts for each request alone."""
        self.serve({"MCP_ECHO_CONFORMANCE": "tasks"})
        declared = claim(capabilities=self.TASKS)
        begun = self.modern("tools/call", self.COMPUTE, meta=declared).json["result"]
        assert begun["resultType"] == "task"
        plain = self.post("tools/call", self.COMPUTE)
        self.pass_time(1.1)
        assert plain.json["result"]["resultType"] == "complete"
        headers = {"Mcp-Name": begun["taskId"]}
        for method in ("tasks/get", "tasks/update", "tasks/cancel"):
            params = {"taskId": begun["taskId"], "inputResponses": {}}
            refused = self.modern(method, params, headers=headers)
            assert (refused.status, refused.json["error"]["code"]) == (400, -32021), method
            needed = refused.json["error"]["data"]["requiredCapabilities"]
            assert needed == self.TASKS, method
            assert "result" in self.modern(method, params, meta=declared, headers=headers).json, method

    def test_methods_of_the_older_tasks_are_not_found(self) -> None:
        """Tasks extension: tasks/result and tasks/list are gone."""
        for settings in ({}, {"MCP_ECHO_CONFORMANCE": "tasks"}):
            self.serve(settings)
            for method in ("tasks/result", "tasks/list"):
                answer = self.modern(method, {"taskId": "t"}, meta=claim(capabilities=self.TASKS))
                assert (answer.status, answer.json["error"]["code"]) == (404, -32601), method


class QuestionTests(DutiesTestCase):
    """https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation and …/client/sampling"""

    def question(self, revision: str, feature: str, **arguments: Any) -> dict[str, Any]:
        """Return the params of the question that clientProbe asks."""
        arguments = {"feature": feature, **arguments}
        if revision == MODERN:
            asked = self.tool("clientProbe", arguments, meta=claim(capabilities=ASKABLE))
            return dict(asked["inputRequests"]["probe"]["params"])
        session = self.initialize(revision, capabilities=ASKABLE)
        (asked,) = self.post_in(session, calling("clientProbe", **arguments)).messages
        answer = {"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -1, "message": "no"}}
        self.request("POST", body=answer, headers={"Mcp-Session-Id": session})
        return dict(asked["params"])

    def test_a_form_has_flat_fields_and_asks_for_nothing_secret(self) -> None:
        """Requested Schema: primitives; User Interaction: MUST NOT ask for sensitive information."""
        for revision in ("2025-06-18", "2025-11-25", MODERN):
            schema = self.question(revision, "elicitation")["requestedSchema"]
            assert (schema["type"], set(schema["properties"])) == ("object", {"answer"}), revision
            assert schema["properties"]["answer"]["type"] == "string", revision

    def test_a_page_to_visit_is_the_same_for_everybody(self) -> None:
        """Safe URL Handling: MUST NOT hold user data or authenticate whoever opens it."""
        for revision in ("2025-11-25", MODERN):
            urls = {self.question(revision, "elicitation", mode="url")["url"] for _ in range(2)}
            (url,) = map(urlsplit, urls)
            assert (url.scheme, url.username, url.query, url.fragment) == ("https", None, "", ""), revision

    def test_a_model_is_offered_no_tools(self) -> None:
        """client/sampling: MUST NOT be sent to a client that does not declare sampling.tools."""
        for revision in (*STREAMABLE, MODERN):
            asked = self.question(revision, "sampling")
            assert not {"tools", "toolChoice"} & set(asked), revision
            assert not asked.get("includeContext"), revision
