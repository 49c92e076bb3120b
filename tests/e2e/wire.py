"""MCP over plain HTTP, with nothing between the test and the bytes but http.client."""

from __future__ import annotations

import http.client
import itertools
import json
from collections.abc import Iterator
from types import TracebackType
from typing import Any

Message = dict[str, Any]


def messages(response: http.client.HTTPResponse) -> Iterator[Message]:
    """Yield the JSON-RPC messages of a response, JSON or event stream, as they come."""
    if response.headers.get_content_type() != "text/event-stream":
        body = response.read()
        if body:
            yield json.loads(body)
        return
    for line in response:
        data = line.removeprefix(b"data:").strip()
        # Keep-alives and priming events carry no JSON-RPC message.
        if line.startswith(b"data:") and b'"jsonrpc"' in data:
            yield json.loads(data)


class Wire:
    """A client of one session.

    Args:
        port: Where the daemon listens on 127.0.0.1.
        revision: What to ask for in ``initialize``.
    """

    def __init__(self, port: int, revision: str) -> None:
        self._port = port
        self._ids = itertools.count(1)
        self._open: list[http.client.HTTPConnection] = []
        self.headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        response = self._send(
            "POST",
            self._request(
                "initialize",
                {
                    "protocolVersion": revision,
                    "capabilities": {},
                    "clientInfo": {"name": "wire", "version": "1"},
                },
            ),
        )
        self.welcome: Message = next(messages(response))["result"]
        self.session_id = response.headers["Mcp-Session-Id"]
        self.headers |= {"Mcp-Session-Id": self.session_id, "MCP-Protocol-Version": revision}
        self._send("POST", {"jsonrpc": "2.0", "method": "notifications/initialized"}).read()

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        for connection in self._open:
            connection.close()

    def _request(self, method: str, params: Message) -> Message:
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}

    def _send(self, http_method: str, message: Message | None = None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=15)
        self._open.append(connection)
        body = None if message is None else json.dumps(message)
        connection.request(http_method, "/mcp", body, self.headers)
        return connection.getresponse()

    def ask(self, method: str, params: Message | None = None) -> tuple[Message, list[Message]]:
        """Return the response to a request, and the notifications that came before it."""
        *notifications, response = messages(self._send("POST", self._request(method, params or {})))
        return response, notifications

    def listen(self) -> Iterator[Message]:
        """Open the session's stream and yield what arrives."""
        response = self._send("GET")
        assert response.status == 200
        return messages(response)
