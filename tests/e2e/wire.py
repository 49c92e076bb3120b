"""MCP over plain HTTP, with nothing between the test and the bytes but http.client."""

from __future__ import annotations

import http.client
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

Message = dict[str, Any]

JSON = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}

Connect = Callable[[], http.client.HTTPConnection]

_NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Modern methods that need Mcp-Name, and the member of their params it repeats."""


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


def to_port(port: int) -> Connect:
    """Return what makes connections to a port of 127.0.0.1."""
    return lambda: http.client.HTTPConnection("127.0.0.1", port, timeout=15)


def tool(port: int, session_id: str, name: str, **arguments: str) -> tuple[int, str | None, Any]:
    """Return the status, Retry-After and body of the answer to a call, whatever it is."""
    connection = to_port(port)()
    call = {"name": name, "arguments": arguments}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    connection.request("POST", "/mcp", json.dumps(request), {**JSON, "Mcp-Session-Id": session_id})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, answer.headers["Retry-After"], body


class Events:
    """A stream's events, one at a time.

    Args:
        response: The stream.
    """

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response

    def next(self, kind: str) -> dict[str, str]:
        """Return the fields of the next event of this kind; a priming event is of none."""
        for fields in self.all():
            if fields.get("event") == kind:
                return fields
        raise AssertionError(f"the stream ended before an event of kind {kind}")

    def all(self) -> Iterator[dict[str, str]]:
        """Yield the fields of every event until the stream ends; comments are left out."""
        fields: dict[str, str] = {}
        for line in self._response:
            name, _, value = line.decode().rstrip("\n").partition(":")
            if line != b"\n":
                fields[name] = value.strip()
            else:
                fields.pop("", None)
                if fields:
                    yield fields
                fields = {}


class _Client:
    """Sends messages to one daemon.

    Args:
        where: The port of 127.0.0.1 where the daemon listens, or what makes connections to it.
    """

    def __init__(self, where: int | Connect) -> None:
        self._connect = to_port(where) if isinstance(where, int) else where
        self._ids = itertools.count(1)
        self._open: list[http.client.HTTPConnection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        """Close every connection, whatever it carries."""
        for connection in self._open:
            connection.close()
        self._open.clear()

    def _request(self, method: str, params: Message) -> Message:
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}

    def send(
        self,
        http_method: str,
        headers: Mapping[str, str],
        message: Message | list[Message] | None = None,
        path: str = "/mcp",
    ) -> http.client.HTTPResponse:
        """Send one request on a connection of its own."""
        connection = self._connect()
        self._open.append(connection)
        body = None if message is None else json.dumps(message)
        connection.request(http_method, path, body, dict(headers))
        return connection.getresponse()


class Wire(_Client):
    """A client of one session.

    Args:
        where: The port of 127.0.0.1 where the daemon listens, or what makes connections to it.
        revision: What to ask for in ``initialize``.
        capabilities: What to declare there.
        answers: Method → the result to answer with when the server asks this.
        user: Who a trusted proxy says is calling.
    """

    def __init__(
        self,
        where: int | Connect,
        revision: str,
        capabilities: Message | None = None,
        answers: Mapping[str, Message] | None = None,
        user: str | None = None,
    ) -> None:
        super().__init__(where)
        self.answers = answers or {}
        self.headers = {**JSON, **({} if user is None else {"X-User-Id": user})}
        who = {"name": "wire", "version": "1"}
        opening = {"protocolVersion": revision, "capabilities": capabilities or {}, "clientInfo": who}
        response = self.send("POST", self.headers, self._request("initialize", opening))
        self.welcome: Message = next(messages(response))
        self.session_id = response.headers["Mcp-Session-Id"]
        self.headers |= {"Mcp-Session-Id": self.session_id, "MCP-Protocol-Version": revision}
        initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        self.send("POST", self.headers, initialized).read()

    def ask(self, method: str, params: Message | None = None) -> tuple[Message, list[Message]]:
        """Return the response to a request, and the messages that came before it; answer what is asked."""
        heard = []
        for message in messages(self.send("POST", self.headers, self._request(method, params or {}))):
            heard.append(message)
            if "method" in message and "id" in message:
                self._answer(message)
        *before, response = heard
        return response, before

    def _answer(self, question: Message) -> None:
        result = self.answers[question["method"]]
        answer = {"jsonrpc": "2.0", "id": question["id"], "result": result}
        self.send("POST", self.headers, answer).read()

    def listen(self) -> Iterator[Message]:
        """Open the session's stream and yield what arrives."""
        return messages(self.stream())

    def stream(self, **headers: str) -> http.client.HTTPResponse:
        """Open the session's stream; header names are given with underscores."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.send("GET", {**self.headers, **more})
        assert response.status == 200
        return response

    def call(self, tool: str, headers: Mapping[str, str] | None = None, **arguments: Any) -> Message:
        """Return the structured content that a tool answers with.

        Args:
            tool: The tool's name.
            headers: To send beside those that every request has.
            arguments: The tool's arguments.
        """
        request = self._request("tools/call", {"name": tool, "arguments": arguments})
        *_, response = messages(self.send("POST", {**self.headers, **(headers or {})}, request))
        structured: Message = response["result"]["structuredContent"]
        return structured

    def delete(self) -> int:
        """End the session; return the HTTP status."""
        return self.send("DELETE", self.headers).status


class ModernWire(_Client):
    """A client without a session.

    Args:
        where: The port of 127.0.0.1 where the daemon listens, or what makes connections to it.
        revision: What every request says it speaks.
        capabilities: What every request declares.
    """

    def __init__(self, where: int | Connect, revision: str, capabilities: Message | None = None) -> None:
        super().__init__(where)
        self._meta = {
            "io.modelcontextprotocol/protocolVersion": revision,
            "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": capabilities or {},
        }
        self._headers = {**JSON, "MCP-Protocol-Version": revision}

    def ask(
        self,
        method: str,
        params: Message | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Message, list[Message]]:
        """Return the response to a request, and the notifications that came before it.

        Args:
            method: The method.
            params: Its params; what their ``_meta`` says goes before what every request says.
            headers: To send instead of the right ones.
        """
        *notifications, response = messages(self._post(method, params or {}, headers or {}))
        return response, notifications

    def listen(self, wanted: Message) -> Iterator[Message]:
        """Subscribe and yield what arrives."""
        response = self._post("subscriptions/listen", {"notifications": wanted}, {})
        assert response.status == 200
        return messages(response)

    def _post(self, method: str, params: Message, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        routing = {"Mcp-Method": method}
        if method in _NAMED_BY:
            routing["Mcp-Name"] = params[_NAMED_BY[method]]
        whole = {**params, "_meta": {**self._meta, **params.get("_meta", {})}}
        return self.send("POST", {**self._headers, **routing, **headers}, self._request(method, whole))
