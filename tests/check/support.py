"""Answers that never were, and a server in memory for the command to check."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest import mock

from treq.testing import RequestTraversalAgent, _SynchronousProducer
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from mcp_echo.check.command import check
from mcp_echo.check.options import CheckOptions
from mcp_echo.check.wire import HttpAnswer

URL = "http://mcp.example/mcp"
SESSION = "0f3a91c2-7e1b-4c6e-9d55-b3a1c7f20e4d"

Reply = tuple[int, dict[str, str], Any]
"""Status, headers, and the body: bytes, JSON, or None for no answer at all."""


def answered(status: int = 200, body: Any = b"", **headers: str) -> HttpAnswer:
    """Return an answer; names of headers have underscores for hyphens."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    if not isinstance(body, bytes):
        fields.append(("Content-Type", "application/json"))
    return HttpAnswer(
        number=1, method="POST", url=URL, status=status, headers=fields, body=bytearray(data), ended=0.01
    )


def result(number: int = 1, **members: Any) -> dict[str, Any]:
    """Return a JSON-RPC response."""
    return {"jsonrpc": "2.0", "id": number, "result": members}


def error(code: int, number: int = 1) -> dict[str, Any]:
    """Return a JSON-RPC error."""
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": "no"}}


class GoodServer(Resource):
    """An MCP server of both eras that does nothing wrong; tests change what it answers.

    Args:
        changes: Name of what is asked → what to answer instead of the usual.
    """

    isLeaf = True

    def __init__(self, **changes: Reply) -> None:
        super().__init__()
        self.changes = changes
        self.asked: list[Any] = []
        self.ended = False

    def render(self, request: Any) -> Any:
        self.asked.append(request)
        body = request.content.read()
        status, headers, answer = self._answer(request, json.loads(body) if body else {})
        if answer is None:
            return NOT_DONE_YET
        request.setResponseCode(status)
        for name, value in headers.items():
            request.setHeader(name, value)
        if isinstance(answer, bytes):
            return answer
        request.setHeader("Content-Type", "application/json")
        return json.dumps(answer).encode()

    def _answer(self, request: Any, message: dict[str, Any]) -> Reply:
        name = self.name_of(request, message)
        if name in self.changes:
            return self.changes[name]
        if name == "delete":
            self.ended = True
        number = message.get("id", 0)
        usual: dict[str, Reply] = {
            "initialize": (200, {"Mcp-Session-Id": SESSION}, result(number, protocolVersion="2025-11-25")),
            "discover": (200, {}, result(number, resultType="complete")),
            "notification": (202, {}, b""),
            "stream": (200, {"Content-Type": "text/event-stream"}, b": open\n\n"),
            "delete": (204, {}, b""),
            "ended": (404, {}, b""),
            "other_method": (400, {}, error(-32020)),
            "unknown_claim": (400, {}, error(-32022)),
            "version": (400, {}, b""),
            "sessionless": (400, {}, b""),
            "origin": (403, {}, b""),
        }
        return usual.get(name, (200, {}, result(number)) if name == "request" else (404, {}, b""))

    def name_of(self, request: Any, message: dict[str, Any]) -> str:
        """Return what a test calls a request."""
        header = request.getHeader
        if request.path.startswith(b"/.well-known/"):
            return request.path.decode().split("/")[2].replace("-", "_")
        if request.path != b"/mcp":
            return "elsewhere"
        if request.method != b"POST":
            return {b"GET": "stream", b"DELETE": "delete"}[request.method]
        if message["method"] == "server/discover":
            if header("Mcp-Method") != "server/discover":
                return "other_method"
            return "discover" if header("MCP-Protocol-Version") == "2026-07-28" else "unknown_claim"
        if message["method"] == "initialize":
            return "initialize"
        if header("MCP-Protocol-Version") != "2025-11-25":
            return "version"
        if header("Origin") is not None:
            return "origin"
        if header("Mcp-Session-Id") is None:
            return "sessionless"
        if self.ended:
            return "ended"
        return "notification" if "id" not in message else "request"


class Ran(NamedTuple):
    """What the command did."""

    status: int
    printed: str
    told: str

    @property
    def findings(self) -> dict[str, dict[str, Any]]:
        """The findings of ``--format json`` by id and subject."""
        found = json.loads(self.printed)["findings"]
        return {f"{each['id']} {each.get('subject', '')}".strip(): each for each in found}


def ran(server: Resource, *words: str, seconds: float = 0.5) -> Ran:
    """Run the command against a server in memory.

    Args:
        server: The server.
        words: The command line; without an address it is `URL`'s.
        seconds: How far time goes in each step.
    """
    options = CheckOptions()
    options.parseOptions([*words] if any(each.startswith("http") for each in words) else [*words, URL])
    agent, clock = RequestTraversalAgent(server), Clock()
    output, errors = io.BytesIO(), io.StringIO()
    with mock.patch("sys.stderr", errors):
        running = Deferred.fromCoroutine(check(clock, agent, options, output.write, _SynchronousProducer))
        ended: list[int] = []
        running.addCallback(ended.append)
        _until(lambda: bool(ended) or running.called, agent, clock, seconds)
    return Ran(ended[0], output.getvalue().decode(), errors.getvalue())


def _until(is_over: Callable[[], bool], agent: Any, clock: Clock, seconds: float) -> None:
    for _ in range(400):
        if is_over():
            return
        agent.flush()
        clock.advance(seconds)
    raise AssertionError("the command does not end")
