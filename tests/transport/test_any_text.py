"""Any text at all wherever a client may put text that is parsed: none makes the server fail."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.transport.support import ModernTestCase, modern_message, routing_headers

HEADERS = [
    "Accept",
    "Accept-Encoding",
    "Content-Type",
    "Host",
    "Last-Event-ID",
    "Mcp-Method",
    "Mcp-Name",
    "Mcp-Param-X",
    "MCP-Protocol-Version",
    "Mcp-Session-Id",
    "Origin",
    "Authorization",
    "Forwarded",
    "Cookie",
]

# What a header line can carry on the way here, and what these headers are made of.
_wire = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=40)
_grammar = st.text(st.sampled_from(',;=*/"q.01-:[]@ \t?base64Bearer='), max_size=40)
values = _wire | _grammar | _grammar.map(lambda text: f"=?base64?{text}?=")
texts = st.text(st.characters(codec="utf-8"), max_size=40)
encoded = st.text(st.sampled_from("dG9vbHM6MQ=-_/+"), max_size=40)

quick = settings(
    max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.differing_executors]
)


class AnyTextTests(ModernTestCase):
    """Failures would be answered with 500 and logged, which fails the test as well."""

    @quick
    @given(st.sampled_from(HEADERS), values, st.booleans())
    def test_no_header_value_fails(self, name: str, value: str, modern: bool) -> None:
        """Our choice: parsers refuse, they do not raise."""
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        message["params"] = {"name": "printHeader", "arguments": {}}
        headers: dict[str, Any] = {}
        if modern:
            message = modern_message("tools/call", message["params"])
            headers = routing_headers(message)
        headers[name] = value.encode("latin-1")
        assert self.request("POST", body=message, headers=headers).status < 500
        # Each call without an id has made a session.
        self.clock.advance(3600)

    @quick
    @given(texts | encoded, st.sampled_from(["tools/list", "resources/list", "prompts/list"]))
    def test_no_cursor_fails(self, cursor: str, method: str) -> None:
        """Pagination, Error Handling: invalid cursors are -32602."""
        answer = self.modern(method, {"cursor": cursor})
        assert answer.status == 200
        assert answer.json["error"]["code"] == -32602

    @quick
    @given(texts | encoded)
    def test_no_request_state_fails(self, state: str) -> None:
        """Multi round-trip requests, Server Requirements 4: what is not the server's is refused."""
        params = {"name": "echo", "arguments": {"message": "a"}, "requestState": state}
        answer = self.modern("tools/call", params)
        assert answer.status == 200
        assert answer.json["error"]["code"] == -32602

    @quick
    @given(texts.filter(lambda text: not text.startswith("echo:")), texts)
    def test_no_uri_and_no_handle_fails(self, uri: str, handle: str) -> None:
        """Resources, Error Handling; tools, Stateful Tools: unknown ones are said to be so."""
        session = {"Mcp-Session-Id": self.initialize()}
        for place in (uri, f"echo://session/{handle}", f"echo://session/{handle}/messages"):
            message = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": place}}
            answer = self.request("POST", body=message, headers=session)
            assert answer.status == 200
            assert answer.json["error"]["code"] in (-32002, -32602)
        self.clock.advance(3600)
        result = self.tool("sessionInfo", {"session": handle})
        assert result["isError"] is True
