"""POST /mcp in the modern era: what is checked, in which order, and what each failure answers.

The duties are in the sections "Request Metadata", "Server Validation" and "Earlier Streamable HTTP Revisions"
of https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http, in
…/basic (`_meta`, Error Codes) and in …/basic/versioning. Where they leave the order of the checks open, the
order is ours: `_meta`, version header, version, routing headers, method, parameter headers, params,
capabilities.
"""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

from mcp_echo.protocol.revisions import KNOWN
from tests.transport.support import (
    BOTH,
    META,
    MODERN,
    Answer,
    ModernTestCase,
    Posted,
    claim,
    modern_message,
    routing_headers,
    send,
)

SUPPORTED = [revision.name for revision in reversed(KNOWN)]
ECHO = {"name": "echo", "arguments": {"message": "m"}}
SERVER = {"uri": "echo://server"}


def outcome(answer: Answer) -> tuple[int, Any, int | None]:
    """Return the status, the id and the error code; None stands for a result."""
    message = answer.json
    return answer.status, message.get("id"), message.get("error", {}).get("code")


def without(key: str) -> dict[str, Any]:
    """Return a `_meta` that lacks one reserved member."""
    return {name: value for name, value in claim().items() if name != f"{META}{key}"}


def call_named(header: Any, name: str = "echo") -> dict[str, Any]:
    """Return a tool call whose Mcp-Name is `header`."""
    params = {"name": name, "arguments": {"message": "m"}}
    return {"method": "tools/call", "params": params, "headers": {"Mcp-Name": header}}


def with_method(header: Any) -> dict[str, Any]:
    return {"method": "tools/list", "headers": {"Mcp-Method": header}}


def in_version(claimed: str, header: str | None) -> dict[str, Any]:
    return {"method": "tools/list", "meta": claim(claimed), "headers": {"MCP-Protocol-Version": header}}


OK, BAD_PARAMS, BAD_META = (200, None), (200, -32602), (400, -32602)
MISMATCH, BAD_VERSION, NO_METHOD = (400, -32020), (400, -32022), (404, -32601)

LADDER: dict[str, tuple[dict[str, Any], tuple[int, int | None]]] = {
    # The required members of _meta.
    "no clientInfo": ({"method": "tools/list", "meta": without("clientInfo")}, OK),
    "no clientCapabilities": ({"method": "tools/list", "meta": without("clientCapabilities")}, BAD_META),
    "no protocolVersion": ({"method": "tools/list", "meta": without("protocolVersion")}, BAD_META),
    "an empty _meta": ({"method": "server/discover", "meta": {}}, BAD_META),
    "a version that is no string": (
        {"method": "tools/list", "meta": {**claim(), f"{META}protocolVersion": 7}},
        BAD_META,
    ),
    "capabilities that are no object": (
        {"method": "tools/list", "meta": {**claim(), f"{META}clientCapabilities": []}},
        BAD_META,
    ),
    # The version, in the header and in the body.
    "no version header": (in_version(MODERN, None), MISMATCH),
    "an empty version header": (in_version(MODERN, ""), MISMATCH),
    "another version in the header": (in_version(MODERN, "2025-11-25"), MISMATCH),
    "an unknown version in the header": (in_version(MODERN, "v999"), MISMATCH),
    "an unknown version in the body": (in_version("v999", MODERN), MISMATCH),
    "an unknown version in both": (in_version("v999", "v999"), BAD_VERSION),
    "a legacy version in both": (in_version("2025-11-25", "2025-11-25"), BAD_VERSION),
    "the version header twice": (in_version(MODERN, [MODERN, MODERN]), MISMATCH),
    # Mcp-Method.
    "no Mcp-Method": (with_method(None), MISMATCH),
    "another Mcp-Method": (with_method("tools/call"), MISMATCH),
    "Mcp-Method in another case": (with_method("Tools/List"), MISMATCH),
    "Mcp-Method twice": (with_method(["tools/list", "tools/list"]), MISMATCH),
    # Mcp-Name.
    "the right Mcp-Name": (call_named("echo"), OK),
    "no Mcp-Name": (call_named(None), MISMATCH),
    "another Mcp-Name": (call_named("sessionInfo"), MISMATCH),
    "Mcp-Name in another case": (call_named("Echo"), MISMATCH),
    "Mcp-Name twice": (call_named(["echo", "echo"]), MISMATCH),
    "Mcp-Name in base64": (call_named("=?base64?ZWNobw==?="), OK),
    "another Mcp-Name in base64": (call_named("=?base64?RWNobw==?="), MISMATCH),
    "base64 without its padding": (call_named("=?base64?ZWNobw?="), MISMATCH),
    "base64 with half its padding": (call_named("=?base64?ZWNobw=?="), MISMATCH),
    "base64 with too much padding": (call_named("=?base64?ZWNobw====?="), MISMATCH),
    "base64 of another alphabet": (call_named("=?base64?ZWN!bw==?="), MISMATCH),
    "base64 of what is not UTF-8": (call_named("=?base64?/w==?="), MISMATCH),
    "a sentinel in another case": (call_named("=?BASE64?ZWNobw==?="), MISMATCH),
    "a sentinel that is not closed": (call_named("=?base64?ZWNobw=="), MISMATCH),
    "a sentinel inside a value": (call_named("x=?base64?ZWNobw==?="), MISMATCH),
    "a literal that is nearly the sentinel": (call_named("=?BASE64?x?=", "=?BASE64?x?="), BAD_PARAMS),
    "a literal that is the sentinel": (call_named("=?base64?eA==?=", "=?base64?eA==?="), MISMATCH),
    "a name beyond ASCII, not wrapped": (call_named("é", "é"), MISMATCH),
    "a name beyond ASCII, wrapped": (call_named("=?base64?w6k=?=", "é"), BAD_PARAMS),
    "no Mcp-Name for a prompt": (
        {"method": "prompts/get", "params": {"name": "diagnose-auth"}, "headers": {"Mcp-Name": None}},
        MISMATCH,
    ),
    "no Mcp-Name for a resource": (
        {"method": "resources/read", "params": SERVER, "headers": {"Mcp-Name": None}},
        MISMATCH,
    ),
    "Mcp-Name where none is needed": ({"method": "tools/list", "headers": {"Mcp-Name": "anything"}}, OK),
    # Methods.
    "an unknown method": ({"method": "no/such"}, NO_METHOD),
    "initialize": ({"method": "initialize", "params": {"protocolVersion": MODERN}}, NO_METHOD),
    "ping": ({"method": "ping"}, NO_METHOD),
    "logging/setLevel": ({"method": "logging/setLevel", "params": {"level": "info"}}, NO_METHOD),
    "resources/subscribe": ({"method": "resources/subscribe", "params": SERVER}, NO_METHOD),
    "resources/unsubscribe": ({"method": "resources/unsubscribe", "params": SERVER}, NO_METHOD),
    "tasks/result": ({"method": "tasks/result", "params": {"taskId": "t"}}, NO_METHOD),
    # Params: HTTP 200, since a 400 with a code that is not the modern era's own makes clients fall back.
    "an unknown tool": (call_named("nothing", "nothing"), BAD_PARAMS),
    "a tool without a name": ({"method": "tools/call", "params": {}}, BAD_PARAMS),
    "arguments that are no object": (
        {"method": "tools/call", "params": {"name": "echo", "arguments": ["m"]}},
        BAD_PARAMS,
    ),
    "an unknown prompt": ({"method": "prompts/get", "params": {"name": "nothing"}}, BAD_PARAMS),
    "an unknown resource": ({"method": "resources/read", "params": {"uri": "echo://nothing"}}, BAD_PARAMS),
    "the legacy session's resource": (
        {"method": "resources/read", "params": {"uri": "echo://session"}},
        BAD_PARAMS,
    ),
    "an unknown cursor": ({"method": "tools/list", "params": {"cursor": "nonsense"}}, BAD_PARAMS),
    "an empty cursor": ({"method": "tools/list", "params": {"cursor": ""}}, BAD_PARAMS),
    "an unknown log level": (
        {"method": "tools/list", "meta": claim(**{f"{META}logLevel": "loud"})},
        BAD_PARAMS,
    ),
    "a subscription to nothing at all": ({"method": "subscriptions/listen"}, BAD_PARAMS),
}


class LadderTests(ModernTestCase):
    def test_each_request_gets_the_answer_of_its_rung_and_its_id_back(self) -> None:
        """Server Validation; basic, Error Responses: the id is echoed."""
        found, expected = {}, {}
        for what, (request, (status, code)) in LADDER.items():
            message_id = f"for {what}"
            found[what] = outcome(self.modern(**request, message_id=message_id))
            expected[what] = (status, message_id, code)
        assert found == expected
        assert len(self.store) == 0, "a modern request makes no session"

    def test_discover_without_meta_is_no_modern_request_even_with_the_header(self) -> None:
        """basic, _meta: both members are required; the header alone makes nothing modern."""
        body = {"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {}}
        headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "server/discover"}
        answer = self.request("POST", body=body, headers=headers)
        assert outcome(answer) == (400, 1, -32602)
        assert f"{META}protocolVersion" in answer.json["error"]["message"]

    def test_the_message_names_the_members_that_are_missing(self) -> None:
        """The person who reads the client's log has to find the fault."""
        answer = self.modern("tools/list", meta=without("clientCapabilities"))
        assert f"{META}clientCapabilities" in answer.json["error"]["message"]

    def test_an_unsupported_version_is_answered_with_the_ones_to_choose_from(self) -> None:
        """basic/versioning: `data` has `supported` and `requested`."""
        for version in ("v999.0.0", "2024-11-05"):
            answer = self.modern(**in_version(version, version))
            assert answer.json["error"]["data"] == {"supported": SUPPORTED, "requested": version}

    def test_a_missing_resource_is_named(self) -> None:
        """server/resources, Error Handling; -32002 is not of this era."""
        uri = "echo://nothing"
        assert self.modern("resources/read", {"uri": uri}).json["error"]["data"] == {"uri": uri}

    def test_bad_arguments_are_the_tool_s_result(self) -> None:
        """server/tools, Error Handling (SEP-1303): the model can mend its call."""
        for arguments in ({}, {"message": 7}, {"message": "m", "loud": True}):
            answer = self.modern("tools/call", {"name": "echo", "arguments": arguments})
            assert (answer.status, answer.json["result"]["isError"]) == (200, True)

    def test_an_undeclared_capability_is_refused_with_the_one_that_is_needed(self) -> None:
        """basic, _meta: 400 and -32021, with an object as clients declare it."""
        self.serve({"MCP_ECHO_CONFORMANCE": "core"})
        answer = self.modern("tools/call", {"name": "test_missing_capability"})
        assert outcome(answer) == (400, 1, -32021)
        assert answer.json["error"]["data"] == {"requiredCapabilities": {"sampling": {}}}

    def test_an_integer_id_is_echoed_as_one(self) -> None:
        """basic, Error Responses."""
        for message_id in (7, "7", 0, ""):
            assert self.modern("no/such", message_id=message_id).json["id"] == message_id


FAULTS: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "meta": ({"lacking": "clientCapabilities"}, BAD_META),
    "version header": ({"version_header": "2025-11-25"}, MISMATCH),
    "version": ({"version": "v999"}, BAD_VERSION),
    "Mcp-Method": ({"method_header": "wrong"}, MISMATCH),
    "method": ({"method": "no/such"}, NO_METHOD),
    "parameter header": ({"name": "test_x_mcp_header", "arguments": {"region": "eu"}}, MISMATCH),
    "level": ({"level": "loud"}, BAD_PARAMS),
    "capability": ({"name": "test_missing_capability"}, (400, -32021)),
}
"""One fault for each rung, in the order of the rungs."""


class OrderTests(ModernTestCase):
    settings = {"MCP_ECHO_CONFORMANCE": "core"}

    def setUp(self) -> None:
        super().setUp()
        (self.annotated,) = [
            tool["name"]
            for tool in self.modern("tools/list").json["result"]["tools"]
            if "x-mcp-header" in json.dumps(tool["inputSchema"])
        ]

    def faulty(self, **faults: Any) -> Answer:
        """POST a tool call with these faults and no others."""
        version = faults.get("version", MODERN)
        name = self.annotated if "arguments" in faults else faults.get("name", "echo")
        meta = claim(version, **({f"{META}logLevel": faults["level"]} if "level" in faults else {}))
        meta.pop(f"{META}{faults.get('lacking')}", None)
        method = faults.get("method", "tools/call")
        headers = {
            "MCP-Protocol-Version": faults.get("version_header", version),
            "Mcp-Method": faults.get("method_header", method),
            "Mcp-Name": name,
        }
        params = {"name": name, "arguments": faults.get("arguments", {})}
        return self.modern(method, params, meta=meta, headers=headers)

    def test_each_fault_alone_gets_its_own_answer(self) -> None:
        """The table below is what it says."""
        for what, (fault, expected) in FAULTS.items():
            assert outcome(self.faulty(**fault)) == (expected[0], 1, expected[1]), what

    def answers_to_pairs(self, pairs: list[tuple[str, str]]) -> dict[tuple[str, str], Any]:
        return {
            (first, second): outcome(self.faulty(**FAULTS[second][0], **FAULTS[first][0]))
            for first, second in pairs
        }

    def test_a_request_with_two_faults_gets_the_answer_of_the_earlier_rung(self) -> None:
        """Our ladder: clients act on the code, so which one comes must not be chance."""
        pairs = [
            (first, second)
            for first, second in combinations(FAULTS, 2)
            if not set(FAULTS[first][0]) & set(FAULTS[second][0])
            and (first, second) != ("parameter header", "level")
        ]
        expected = {pair: (FAULTS[pair[0]][1][0], 1, FAULTS[pair[0]][1][1]) for pair in pairs}
        assert len(pairs) > 20
        assert self.answers_to_pairs(pairs) == expected

    def test_headers_are_checked_before_the_log_level(self) -> None:
        """Our ladder: all that is of the headers comes before all that is of the params."""
        pair = ("parameter header", "level")
        assert self.answers_to_pairs([pair]) == {pair: (400, 1, -32020)}

    def test_a_parameter_header_has_to_agree_with_its_argument(self) -> None:
        """Server Behavior of x-mcp-header: missing, different, and not asked for where there is none."""

        def call(arguments: dict[str, Any], **headers: str) -> int | None:
            answer = self.modern(
                "tools/call", {"name": self.annotated, "arguments": arguments}, headers=headers or None
            )
            return outcome(answer)[2]

        region = {"region": "eu"}
        assert call(region, **{"Mcp-Param-Region": "eu"}) is None
        assert call(region, **{"mcp-param-region": "=?base64?ZXU=?="}) is None
        assert call(region) == -32020
        assert call(region, **{"Mcp-Param-Region": "EU"}) == -32020
        assert call({}, **{"Mcp-Param-Region": "eu"}) == -32020
        assert call({}) is None
        assert call(region, **{"Mcp-Param-Region": "eu", "Mcp-Param-Unknown": "x"}) is None


class HeaderTests(ModernTestCase):
    def raw(self, *lines: bytes) -> bytes:
        """Return the answer to a call of echo with exactly these header lines."""
        body = json.dumps(modern_message("tools/call", ECHO)).encode()
        head = b"\r\n".join(
            (b"POST /mcp HTTP/1.1", b"Host: localhost", b"Content-Length: %d" % len(body), *lines)
        )
        return send(self.service.site, head + b"\r\n\r\n" + body)

    def test_header_names_are_compared_without_case(self) -> None:
        """RFC 9110 section 5.1; the values keep theirs."""
        for change in (bytes.lower, bytes.upper, bytes.title):
            names = (change(name) for name in (b"mcp-protocol-version", b"mcp-method", b"mcp-name"))
            values = (MODERN.encode(), b"tools/call", b"echo")
            lines = (b"%b: %b" % pair for pair in zip(names, values, strict=True))
            assert self.raw(*lines).startswith(b"HTTP/1.1 200 ")

    def test_white_space_around_values_does_not_count(self) -> None:
        """RFC 9110 section 5.5."""
        answer = self.raw(
            b"MCP-Protocol-Version:  " + MODERN.encode() + b" \t",
            b"Mcp-Method:tools/call",
            b"Mcp-Name: \techo ",
        )
        assert answer.startswith(b"HTTP/1.1 200 ")

    def test_two_versions_in_the_header_are_a_mismatch(self) -> None:
        """Server Validation: a header that does not match the body is -32020, and the id is known."""
        answer = self.modern("tools/list", headers={"MCP-Protocol-Version": [MODERN, "2025-11-25"]})
        assert outcome(answer) == (400, 1, -32020)

    def test_session_and_event_ids_are_ignored_and_never_minted(self) -> None:
        """Earlier Streamable HTTP Revisions."""
        session = self.initialize()
        for ids in (
            {"Mcp-Session-Id": "invented"},
            {"Mcp-Session-Id": session},
            {"Last-Event-ID": "g1-1"},
            {"Last-Event-ID": "nonsense"},
        ):
            for answer in (
                self.modern("tools/call", ECHO, headers=ids),
                self.modern("no/such", headers=ids),
                self.modern("tools/list", meta={}, headers=ids),
            ):
                assert answer.header("Mcp-Session-Id") is None
            assert self.modern("tools/call", ECHO, headers=ids).status == 200
        assert len(self.store) == 1
        assert self.text("sessionInfo", session=session).count("Echo Count: 0") == 1

    def test_even_contradicting_session_and_event_ids_are_ignored(self) -> None:
        """Earlier Streamable HTTP Revisions: these headers mean nothing in this era."""
        for name in ("Mcp-Session-Id", "Last-Event-ID"):
            assert self.modern("tools/list", headers={name: ["a", "b"]}).status == 200, name

    def test_a_page_of_another_origin_is_refused_before_anything_else(self) -> None:
        """Security & Endpoint: 403, and no id, since the body is not looked at."""
        evil = {"Origin": "http://evil.example.com"}
        for answer in (
            self.modern("tools/list", headers=evil),
            self.modern("tools/list", meta={}, headers=evil),
            self.modern("no/such", headers={**evil, "Mcp-Method": None}),
            self.request("POST", body=b"no JSON", headers=evil),
            self.request("GET", headers={**evil, "MCP-Protocol-Version": MODERN}),
        ):
            assert (answer.status, "id" in answer.json) == (403, False)


class OtherMessagesTests(ModernTestCase):
    """What comes with a modern mark and is no single request."""

    HEADER = {"MCP-Protocol-Version": MODERN, "Accept": BOTH}

    def test_a_modern_request_in_an_array_is_refused(self) -> None:
        """Sending Messages: the body is a single request or notification."""
        request = modern_message("tools/list")
        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        for batch in ([request], [ping, request]):
            for headers in (self.HEADER, {}, {"Mcp-Session-Id": self.initialize("2025-03-26")}):
                answer = self.request("POST", body=batch, headers=headers)
                assert outcome(answer) == (400, None, -32600)

    def test_an_array_with_the_modern_header_makes_no_session(self) -> None:
        """Earlier Streamable HTTP Revisions: an id is never minted; a refusal leaves nothing behind."""
        batch = [{"jsonrpc": "2.0", "id": 1, "method": "ping"}]
        answer = self.request("POST", body=batch, headers=self.HEADER)
        assert outcome(answer) == (400, None, -32600)
        assert (answer.header("Mcp-Session-Id"), len(self.store)) == (None, 0)

    def test_a_modern_notification_in_an_array_is_refused_and_makes_no_session(self) -> None:
        """Sending Messages: the body is a single request or notification."""
        batch = [{"jsonrpc": "2.0", "method": "notifications/x", "params": {"_meta": claim()}}]
        answer = self.request("POST", body=batch)
        assert (answer.status, len(self.store)) == (400, 0)

    def test_a_response_is_refused(self) -> None:
        """Sending Messages: clients must not send responses."""
        for reply in ({"result": {}}, {"error": {"code": 1, "message": "no"}}):
            answer = self.request("POST", body={"jsonrpc": "2.0", "id": 1, **reply}, headers=self.HEADER)
            assert outcome(answer) == (400, None, -32600)

    def test_a_notification_is_taken_and_means_nothing(self) -> None:
        """Sending Messages: 202 without a body; the revision has no notifications from clients."""
        claimed = {"params": {"_meta": claim()}}
        for parts, headers in ((claimed, self.HEADER), (claimed, {}), ({}, self.HEADER)):
            for method in ("notifications/cancelled", "notifications/initialized", "no/such"):
                body = {"jsonrpc": "2.0", "method": method, **parts}
                answer = self.request("POST", body=body, headers=headers)
                assert (answer.status, answer.body) == (202, b"")
                assert answer.header("Mcp-Session-Id") is None
        assert len(self.store) == 0

    def test_a_cancelled_notification_stops_nobody_s_work(self) -> None:
        """Cancellation: by closing the stream. Ids are chosen by clients, so two may have the same."""
        probe = {"name": "clientProbe", "arguments": {"feature": "cancellation", "seconds": 1}}
        working = self.post("tools/call", probe, message_id=9)
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled"}
        params = {"requestId": 9, "_meta": claim()}
        self.request("POST", body={**cancelled, "params": params}, headers=self.HEADER)
        self.pass_time(1)
        assert working.json["id"] == 9

    def test_get_and_delete_with_the_modern_version_are_405(self) -> None:
        """Earlier Streamable HTTP Revisions: GET and DELETE are of the older ones; RFC 9110 15.5.6."""
        session = self.initialize()
        for method in ("GET", "DELETE"):
            for ids in ({}, {"Mcp-Session-Id": session}, {"Mcp-Session-Id": "gone"}):
                answer = self.request(method, headers={**self.HEADER, **ids})
                assert (answer.status, answer.header("Allow")) == (405, "POST")
        assert self.rpc("ping", session=session).status == 200, "DELETE has ended nothing"

    def test_get_is_405_whatever_the_client_accepts(self) -> None:
        """RFC 9110: there is nothing here that another Accept would get."""
        headers = {"MCP-Protocol-Version": MODERN, "Accept": "application/json"}
        assert self.request("GET", headers=headers).status == 405


class HalfModernTests(ModernTestCase):
    """Requests of which only one half says that they are modern. The body decides, the header is compared."""

    def plain(self, method: str = "tools/list", **headers: str) -> Answer:
        params = {"protocolVersion": MODERN} if method == "initialize" else {}
        return self.rpc(method, params, **headers)

    def test_a_modern_header_alone_is_refused_and_makes_no_session(self) -> None:
        """basic, _meta: a request without the required members is 400 with -32602."""
        for method in ("tools/list", "initialize", "ping", "server/discover"):
            answer = self.plain(method, MCP_Protocol_Version=MODERN, Mcp_Method=method)
            assert outcome(answer) == (400, 1, -32602), method
            assert answer.header("Mcp-Session-Id") is None
        assert len(self.store) == 0

    def test_a_header_and_a_body_of_two_eras_are_told_which_says_what(self) -> None:
        """Our choice: what to mend is plain only where both are named."""
        legacy = "2025-11-25"
        hello = {"protocolVersion": legacy}
        keys = f"_meta lacks {META}clientCapabilities and {META}protocolVersion"
        half = {"_meta": without("clientCapabilities")}
        other_half = {"_meta": without("protocolVersion")}
        new_session = {"Mcp-Session-Id": self.initialize()}
        said = "header and body disagree: the header MCP-Protocol-Version says {!r}, the body {}"
        for version, method, params, code, told, more in (
            (MODERN, "initialize", hello, -32602, f"is an initialize for {legacy!r}", {}),
            (MODERN, "initialize", {}, -32602, "is an initialize that names no revision", {}),
            (MODERN, "initialize", {"protocolVersion": 7}, -32602, "that names no revision", {}),
            (MODERN, "tools/list", {}, -32602, f"names no revision: {keys}", {}),
            (MODERN, "tools/list", {"_meta": 7}, -32602, "names no revision: Expected", {}),
            (MODERN, "tools/list", other_half, -32602, f"_meta lacks {META}protocolVersion", {}),
            (MODERN, "tools/list", {}, -32602, "Mcp-Session-Id belongs to the revisions", new_session),
            (MODERN, "tools/list", {"_meta": claim(legacy)}, -32020, f"says {legacy!r}", {}),
            ("v999", "initialize", hello, -32022, f"is an initialize for {legacy!r}", {}),
            ("v999", "tools/list", {"_meta": claim()}, -32020, f"says {MODERN!r}", {}),
            ("v999", "tools/list", half, -32602, f"says {MODERN!r}", {}),
            (legacy, "tools/list", {"_meta": claim()}, -32020, f"says {MODERN!r}", {}),
            (legacy, "initialize", {**hello, "_meta": claim()}, -32020, f"says {MODERN!r}", {}),
            (legacy, "tools/list", half, -32602, f"lacks {META}clientCapabilities; header and body", {}),
        ):
            headers = {"MCP-Protocol-Version": version, **more}
            body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            answer = self.request("POST", body=body, headers=headers)
            assert outcome(answer) == (400, 1, code), (version, method, params)
            message = answer.json["error"]["message"]
            assert said.format(version, "") in message, message
            assert told in message, message
        assert len(self.store) == 1

    def test_a_header_and_a_body_that_agree_are_not_said_to_disagree(self) -> None:
        """Our choice, as above: a revision that has no initialize is told so."""
        for version, params, told in (
            (MODERN, {"protocolVersion": MODERN}, f"{MODERN!r} has no initialize"),
            ("v999", {"protocolVersion": "v999"}, "Unsupported protocol version 'v999'"),
        ):
            answer = self.rpc("initialize", params, MCP_Protocol_Version=version)
            message = answer.json["error"]["message"]
            assert (answer.status, told in message, "disagree" in message) == (400, True, False), message

    def test_two_versions_in_the_header_are_refused_whatever_the_body(self) -> None:
        """Our choice: which of them the header means would depend on who reads it."""
        for versions in ([MODERN, "2025-11-25"], ["2025-11-25", MODERN], ["v999", MODERN]):
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
            answer = self.request("POST", body=body, headers={"MCP-Protocol-Version": versions})
            assert outcome(answer) == (400, 1, -32600), versions

    def test_a_modern_body_alone_is_a_mismatch(self) -> None:
        """Server Validation: a missing header is -32020; it does not make the request legacy."""
        body = modern_message("tools/list")
        for headers in ({}, {"Mcp-Session-Id": self.initialize()}):
            assert outcome(self.request("POST", body=body, headers=headers)) == (400, 1, -32020)

    def test_an_unknown_version_without_a_claim_is_refused_for_both_eras(self) -> None:
        """2025-11-25, Protocol Version Header: 400; 2026-07-28 versioning: -32022 with the supported ones."""
        answer = self.plain(MCP_Protocol_Version="v999")
        assert outcome(answer) == (400, 1, -32022)
        assert answer.json["error"]["data"] == {"supported": SUPPORTED, "requested": "v999"}
        assert len(self.store) == 0

    def test_meta_of_a_legacy_request_does_not_make_it_modern(self) -> None:
        """basic/versioning: only the claim of a version does; legacy requests have progress tokens there."""
        session = self.initialize()
        for meta in ({"progressToken": 1}, without("protocolVersion"), {}):
            answer = self.rpc("tools/list", {"_meta": meta}, session=session)
            assert (answer.status, "resultType" in answer.json["result"]) == (200, False)

    def test_the_text_of_the_key_elsewhere_does_not_make_a_request_modern(self) -> None:
        """Only `_meta` of the params is looked at."""
        session = self.initialize()
        arguments = {"message": json.dumps(claim())}
        assert "protocolVersion" in self.text("echo", arguments, session=session)
        nested = {"name": "echo", "arguments": {"message": "m", "_meta": claim()}}
        assert self.rpc("tools/call", nested, session=session).status == 200

    def test_a_key_with_an_escaped_slash_is_the_same_key(self) -> None:
        r"""RFC 8259 section 7: ``\/`` is ``/``; PHP's encoder writes every slash so."""
        message = modern_message("tools/list")
        body = json.dumps(message).replace("/", "\\/").encode()
        answer = self.request("POST", body=body, headers=routing_headers(message))
        assert outcome(answer) == (200, 1, None)

    def test_bytes_that_are_no_utf_8_are_the_client_s_fault(self) -> None:
        """RFC 8259 section 8.1; nothing a client sends may be logged as a fault of ours."""
        for member in ("clientInfo", "clientCapabilities", "another"):
            message = modern_message("tools/list", meta={**claim(), f"{META}{member}": {"name": "@"}})
            body = json.dumps(message).encode().replace(b"@", b"\xff")
            answer = self.request("POST", body=body, headers=routing_headers(message))
            assert (answer.status, answer.json["error"]["code"] in (-32700, -32602)) == (400, True), member

    def test_both_eras_are_served_at_once_without_cross_talk(self) -> None:
        """basic/versioning: a dual-era server may serve both on one endpoint."""
        session = self.initialize()
        probe = {"name": "clientProbe", "arguments": {"feature": "cancellation", "seconds": 1}}
        legacy = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": probe}
        waiting = [
            self.post("tools/call", probe),
            Posted(self, legacy, {"Mcp-Session-Id": session, "Accept": BOTH}),
        ]
        assert "resultType" not in self.rpc("tools/list", session=session).json["result"]
        assert "resultType" in self.modern("tools/list").json["result"]
        self.pass_time(1)
        eras = [each.json["result"]["structuredContent"]["era"] for each in waiting]
        assert eras == ["modern", "legacy"]


class FixtureTests(ModernTestCase):
    settings = {"MCP_ECHO_CONFORMANCE": "all"}

    def test_a_tool_whose_annotation_no_client_may_accept_is_answered_all_the_same(self) -> None:
        """Schema Extension: clients drop such a tool; one that calls it is told that it has not."""
        tools = [name for name in self.service.server._modern._methods.offer.tools if "invalid_" in name]
        assert len(tools) >= 10
        for name in tools:
            for value in ("x", 7, ["x"], {"a": "x"}, None):
                result = self.tool(name, {"value": value})
                assert result["isError"], name
                assert "its header annotation is illegal" in result["content"][0]["text"]

    def test_a_tool_with_any_header_sent_for_it_is_answered(self) -> None:
        """Our choice: nothing that a client writes into a header is a fault of ours."""
        for header in ("Mcp-Param-My", "Mcp-Param-Region", "Mcp-Param-"):
            answer = self.modern(
                "tools/call",
                {"name": "invalid_space_in_header", "arguments": {"value": "x"}},
                headers={header: "x"},
            )
            assert (answer.status, answer.json["result"]["isError"]) == (200, True)
