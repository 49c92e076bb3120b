"""MCP_PROTOCOL_VERSIONS_SUPPORTED: a server of one era alone.

https://modelcontextprotocol.io/specification/2026-07-28/basic/versioning and "Earlier Streamable HTTP
Revisions" of …/basic/transports/streamable-http.
"""

from __future__ import annotations

from typing import Any

from tests.transport.support import META, MODERN, Answer, ModernTestCase

ECHO = {"name": "echo", "arguments": {"message": "m"}}


def outcome(answer: Answer) -> tuple[int, Any, int | None]:
    """Return the status, the id and the error code; None stands for a result."""
    message = answer.json
    return answer.status, message.get("id"), message.get("error", {}).get("code")


class ModernOnlyTests(ModernTestCase):
    settings = {"MCP_PROTOCOL_VERSIONS_SUPPORTED": MODERN}

    def test_modern_requests_are_served_as_ever(self) -> None:
        """basic/versioning: the era is switched off, not the features."""
        assert self.tool("echo", {"message": "m"})["content"][0]["text"] == "m"
        only = [tool["name"] for tool in self.modern("tools/list").json["result"]["tools"]]
        assert self.tool("echo", {"message": "m", "session": self.handle()})["isError"] is False
        self.serve({})
        assert only == [tool["name"] for tool in self.modern("tools/list").json["result"]["tools"]]

    def test_discover_lists_the_modern_revision_alone(self) -> None:
        """server/discover: `supportedVersions` are the ones that are spoken."""
        assert self.modern("server/discover").json["result"]["supportedVersions"] == [MODERN]

    def test_initialize_is_refused_and_told_what_is_spoken(self) -> None:
        """basic/versioning: SHOULD name the versions; it is all that a legacy client can show its user."""
        for headers in ({}, {"MCP_Protocol_Version": "2025-11-25"}, {"Mcp_Session_Id": "any"}):
            answer = self.rpc("initialize", {"protocolVersion": "2025-11-25"}, message_id="first", **headers)
            error = answer.json["error"]
            assert (answer.status, answer.json["id"]) == (400, "first")
            assert MODERN in error["message"]
            assert answer.header("Mcp-Session-Id") is None
        assert len(self.store) == 0

    def test_initialize_is_answered_with_the_error_that_modern_clients_recognise(self) -> None:
        """basic/versioning: -32022 with `supported` and `requested`; a client retries with one of them."""
        answer = self.rpc("initialize", {"protocolVersion": "2025-11-25"})
        assert outcome(answer) == (400, 1, -32022)
        assert answer.json["error"]["data"] == {"supported": [MODERN], "requested": "2025-11-25"}

    def test_legacy_requests_are_refused_and_make_no_session(self) -> None:
        """Earlier Streamable HTTP Revisions: `Mcp-Session-Id` is ignored and never minted."""
        for method in ("tools/list", "tools/call", "ping"):
            for session in (None, "any"):
                answer = self.rpc(method, ECHO, session=session)
                assert outcome(answer) == (400, 1, -32602)
                assert answer.header("Mcp-Session-Id") is None
        assert len(self.store) == 0

    def test_a_legacy_version_in_the_header_is_answered_with_the_ones_to_choose_from(self) -> None:
        """basic/versioning: -32022."""
        answer = self.rpc("tools/list", MCP_Protocol_Version="2025-11-25")
        assert outcome(answer) == (400, 1, -32022)
        assert answer.json["error"]["data"] == {"supported": [MODERN], "requested": "2025-11-25"}

    def test_get_and_delete_are_405(self) -> None:
        """Earlier Streamable HTTP Revisions: SHOULD; RFC 9110 section 15.5.6."""
        for method in ("GET", "DELETE"):
            for headers in ({}, {"Mcp-Session-Id": "any"}, {"MCP-Protocol-Version": "2025-11-25"}):
                answer = self.request(method, headers=headers)
                assert (answer.status, answer.header("Allow")) == (405, "POST")

    def test_what_is_no_request_does_not_send_the_client_to_initialize(self) -> None:
        """Earlier Streamable HTTP Revisions: the session id is ignored, and there is no session to get."""
        response = {"jsonrpc": "2.0", "id": 1, "result": {}}
        batch = [{"jsonrpc": "2.0", "id": 1, "method": "ping"}]
        found = {}
        for what, body in (("response", response), ("batch", batch)):
            for session in ({}, {"Mcp-Session-Id": "any"}):
                answer = self.request("POST", body=body, headers=session)
                named = "initialize" in answer.json["error"]["message"]
                found[what, bool(session)] = (answer.status, answer.json["error"]["code"], named)
        assert found == dict.fromkeys(found, (400, -32600, False))

    def test_a_notification_is_taken_whatever_session_it_names(self) -> None:
        """Earlier Streamable HTTP Revisions: `Mcp-Session-Id` is ignored, also where it is unknown."""
        body = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        found = {
            name: self.request("POST", body=body, headers=headers).status
            for name, headers in (("without", {}), ("with", {"Mcp-Session-Id": "any"}))
        }
        assert found["with"] == found["without"], found


class LegacyOnlyTests(ModernTestCase):
    LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26")
    settings = {"MCP_PROTOCOL_VERSIONS_SUPPORTED": ",".join(LEGACY)}

    def test_legacy_requests_are_served_as_ever(self) -> None:
        """basic/versioning: the era is switched off, not the features."""
        for revision in self.LEGACY:
            session = self.initialize(revision)
            assert self.text("echo", ECHO["arguments"], session=session).startswith("m\n")
        only = self.rpc("tools/list", session=session).json["result"]
        self.serve({})
        assert only == self.rpc("tools/list", session=self.initialize(self.LEGACY[-1])).json["result"]

    def test_initialize_offers_the_newest_that_is_supported(self) -> None:
        """2025-11-25 lifecycle, Version Negotiation; a modern revision has no handshake to negotiate it."""
        for asked in (MODERN, "2024-11-05"):
            result = self.rpc("initialize", {"protocolVersion": asked}).json["result"]
            assert result["protocolVersion"] == "2025-11-25"

    def test_a_modern_request_is_refused_as_legacy_servers_do(self) -> None:
        """2025-11-25, Protocol Version Header: 400. A code of the modern era would keep clients from
        falling back to initialize."""
        for method in ("tools/list", "server/discover", "subscriptions/listen", "no/such"):
            answer = self.modern(method, {})
            assert outcome(answer) == (400, 1, -32600), method
            assert answer.json["error"]["data"] == {"supported": list(self.LEGACY), "requested": MODERN}
            assert answer.header("Mcp-Session-Id") is None
        assert len(self.store) == 0

    def test_the_refusal_names_the_request(self) -> None:
        """JSON-RPC 2.0, Response object: the id of the request, unless it could not be read."""
        assert self.modern("tools/list", message_id="mine").json.get("id") == "mine"

    def test_a_claim_in_the_body_means_nothing(self) -> None:
        """2025-11-25 basic, `_meta`: unknown members are let pass."""
        session = self.initialize()
        meta = {f"{META}protocolVersion": MODERN}
        answer = self.rpc("tools/list", {"_meta": meta}, session=session)
        assert (answer.status, "resultType" in answer.json["result"]) == (200, False)

    def test_discover_is_not_offered(self) -> None:
        """server/discover is of the modern era."""
        answer = self.rpc("server/discover", {}, session=self.initialize())
        assert outcome(answer) == (200, 1, -32601)

    def test_get_and_delete_with_the_modern_version_are_400(self) -> None:
        """2025-11-25, Protocol Version Header: MUST be 400."""
        session = self.initialize()
        for method in ("GET", "DELETE"):
            headers = {"Mcp-Session-Id": session, "MCP-Protocol-Version": MODERN}
            assert self.request(method, headers=headers).status == 400
        assert self.rpc("ping", session=session).status == 200
