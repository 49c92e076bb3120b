"""A request takes time in proportion to its length, wherever in it a client puts whatever text."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from twisted.logger import globalLogPublisher

from mcp_echo.host.logs import observer
from mcp_echo.settings.load import load
from tests.growth import FAMILIES, ONE_AT_A_TIME, check_linear, repeated
from tests.tools.test_catalogue import TOOLS, free_texts
from tests.transport.support import ModernTestCase, modern_message, routing_headers, send

pytestmark = [pytest.mark.slow, ONE_AT_A_TIME]

HEADERS = (
    "Accept",
    "Accept-Encoding",
    "Authorization",
    "Connection",
    "Content-Type",
    "Cookie",
    "Expect",
    "Forwarded",
    "Host",
    "Last-Event-ID",
    "MCP-Protocol-Version",
    "Mcp-Method",
    "Mcp-Name",
    "Mcp-Param-X",
    "Mcp-Session-Id",
    "Origin",
    "X-Forwarded-For",
    "X-User-Id",
    "X-Whatever",
)


def _argument(name: str, argument: str, text: str) -> dict[str, Any]:
    return tool(name, {**TOOLS[name].calls[0], argument: text})


MEMBERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "the method": lambda text: {"method": text},
    "the id": lambda text: {"id": text, "method": "ping"},
    "the version of JSON-RPC": lambda text: {"jsonrpc": text},
    "another member": lambda text: {"method": "ping", text: text},
    "a tool": lambda text: tool(text, {}),
    "the name of an argument": lambda text: tool("echo", {text: 1}),
    "a choice": lambda text: tool("printHeader", {"category": text}),
    "bytes": lambda text: tool("echo", {"message": "", "data": text, "mimeType": text}),
    "a token": lambda text: tool("bearerDecode", {"token": text}),
    "a token with its dots": lambda text: tool(
        "bearerDecode", {"token": f"eyJhbGciOiJub25lIn0.{text}.{text}"}
    ),
    "a handle": lambda text: tool("replayLastEcho", {"session": text}),
    "a feature": lambda text: tool("clientProbe", {"feature": text}),
    "a prompt": lambda text: {"method": "prompts/get", "params": {"name": text}},
    "a symptom": lambda text: {
        "method": "prompts/get",
        "params": {"name": "diagnose-auth", "arguments": {"symptom": text}},
    },
    "a URI": lambda text: {"method": "resources/read", "params": {"uri": text}},
    "the URI of a state": lambda text: {
        "method": "resources/read",
        "params": {"uri": f"echo://session/{text}"},
    },
    "a cursor": lambda text: {"method": "tools/list", "params": {"cursor": text}},
    "a level": lambda text: {"method": "logging/setLevel", "params": {"level": text}},
    "a value to complete": lambda text: {
        "method": "completion/complete",
        "params": {
            "ref": {"type": "ref/prompt", "name": "diagnose-auth"},
            "argument": {"name": "symptom", "value": text},
        },
    },
    "a reference": lambda text: {
        "method": "completion/complete",
        "params": {"ref": {"type": text, "uri": text}, "argument": {"name": text, "value": ""}},
    },
    "a revision": lambda text: {"method": "initialize", "params": {"protocolVersion": text}},
    "a client": lambda text: {
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "clientInfo": {"name": text, "version": text}},
    },
    "a progress token": lambda text: {"method": "ping", "params": {"_meta": {"progressToken": text}}},
    "what is cancelled": lambda text: {
        "method": "notifications/cancelled",
        "params": {"requestId": text, "reason": text},
    },
    "an answer": lambda text: {"id": 1, "result": {"content": text}},
    **{
        f"{each} of {name}": partial(_argument, name, each)
        for name, published in TOOLS.items()
        for each in free_texts(name)
        if published.calls
    },
}
"""Place → the message with the text there."""

UNITS = [
    FAMILIES[name]
    for name in (
        "one letter",
        "parameters",
        "named values",
        "names",
        "unfinished tokens",
        "objects in base64",
        "schemes and words",
        "escapes of escapes",
        "encoded words",
        "digits",
    )
]
"""The worst of them; all others are tried on the functions that look at texts."""

SMALLEST, LONGEST = 1024, 16 * 1024


def tool(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"method": "tools/call", "params": {"name": name, "arguments": arguments}}


def posted(body: bytes, headers: dict[str, str]) -> bytes:
    """Return the bytes of one POST."""
    fields = {"Host": "localhost", "Content-Type": "application/json", "Connection": "close", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return (
        b"POST /mcp HTTP/1.1\r\n"
        + head.encode("latin-1", "replace")
        + b"Content-Length: %d\r\n\r\n%b"
        % (
            len(body),
            body,
        )
    )


class LinearRequestTests(ModernTestCase):
    """A server that writes down all it can, and lets headers be as long as a body."""

    settings = {
        "MCP_ECHO_DEBUG": "true",
        "MCP_ECHO_CONFORMANCE": "client",
        "MCP_ECHO_MAX_HEADER_BYTES": "1048576",
        "MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1",
        "MCP_ECHO_ALLOWED_ORIGINS": "*",
        "MCP_ECHO_INITIALIZE_RATE": "0",
        "MCP_ECHO_CALL_RATE": "0",
        "MCP_MAX_SESSIONS": "1000000",
        "MCP_ECHO_MAX_SESSIONS_PER_PRINCIPAL": "1000000",
    }

    def setUp(self) -> None:
        super().setUp()
        for form in ("text", "json"):
            settings = load({}, {"ECHO_LOG_LEVEL": "DEBUG", "MCP_ECHO_LOG_FORMAT": form}).settings
            watching = observer(settings, io.StringIO())
            globalLogPublisher.addObserver(watching)
            self.addCleanup(globalLogPublisher.removeObserver, watching)

    def check(self, where: str, request: Callable[[str], bytes]) -> None:
        """Fail if the time that a request takes grows faster than the text in it."""
        for unit in UNITS:
            make = partial(lambda unit, size: partial(self.answer, request(repeated(unit, size))), unit)
            try:
                check_linear(make, LONGEST, SMALLEST)
            except AssertionError as error:
                raise AssertionError(f"{unit!r} in {where}: {error}") from None

    def answer(self, request: bytes) -> None:
        assert send(self.service.site, request).startswith(b"HTTP/1.1 ")

    def test_no_header_takes_more_than_its_length(self) -> None:
        """Our choice: a request may cost what it is long."""
        called = tool("printHeader", {})
        legacy = {"jsonrpc": "2.0", "id": 1, **called}
        modern = modern_message("tools/call", called["params"])
        for name in HEADERS:
            ways: list[tuple[Any, dict[str, Any]]] = [(legacy, {})]
            if name.lower().startswith("mcp-"):
                ways.append((modern, routing_headers(modern)))
            for message, headers in ways:
                body = json.dumps(message).encode()
                self.check(name, lambda text, name=name, body=body, headers=headers: posted(  # type: ignore[misc]
                    body, {**headers, name: one_field(text)}
                ))  # fmt: skip

    def test_no_member_takes_more_than_its_length(self) -> None:
        """Our choice, as above."""
        session = self.initialize()
        for where, message in MEMBERS.items():

            def legacy(text: str, message: Any = message) -> bytes:
                body = json.dumps({"jsonrpc": "2.0", "id": 1, **message(text)}).encode()
                return posted(
                    body, {"Mcp-Session-Id": session} if "initialize" not in str(message("")) else {}
                )

            def modern(text: str, message: Any = message) -> bytes:
                told = message(text)
                whole = modern_message(told.get("method", "ping"), told.get("params", {}))
                headers = {name: one_field(str(each)) for name, each in routing_headers(whole).items()}
                return posted(json.dumps({**whole, **told, "params": whole["params"]}).encode(), headers)

            self.check(where, legacy)
            self.check(f"{where}, modern", modern)

    def test_no_path_takes_more_than_its_length(self) -> None:
        """Our choice, as above."""
        for before in ("/", "/mcp?", "/messages?session_id=", "http://"):
            self.check(before, lambda text, before=before: (  # type: ignore[misc]
                f"GET {before}{one_field(text).replace(' ', '%20')} HTTP/1.1\r\nHost: localhost\r\n\r\n"
            ).encode("latin-1", "replace"))  # fmt: skip


def one_field(text: str) -> str:
    """Return a text as one header line can carry it."""
    return "".join(character if " " <= character != "\x7f" else "+" for character in text)
