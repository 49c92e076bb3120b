"""A whole server in memory, and a client that talks HTTP to it without a socket."""

from __future__ import annotations

import json
from typing import Any

import treq.testing
from treq.response import _Response
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from mcp_echo.cluster.engine import Engine
from mcp_echo.service import Clocks, EchoService
from mcp_echo.settings.load import load
from mcp_echo.settings.table import Settings
from mcp_echo.transport.edge.site import EchoSite
from mcp_echo.transport.oauth.assembly import Outside
from mcp_echo.transport.oauth.fetching import NotFetched

URL = "http://localhost:3000"
WALL = 1_700_000_000.0
"""What the wall clock shows when a test begins: 2023-11-14 22:13:20 UTC."""


class Answer:
    """An HTTP response with its body read."""

    def __init__(self, response: _Response, body: bytes) -> None:
        self.status: int = response.code
        self.headers = response.headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[dict[str, str]]:
        """The server-sent events in the body, as a browser would see them; comments are left out."""
        return parse_events(self.body)

    def header(self, name: str) -> str | None:
        values = self.headers.getRawHeaders(name)
        return ", ".join(values) if values else None


def parse_events(body: bytes) -> list[dict[str, str]]:
    """Return the fields of each event block in a text/event-stream body."""
    events = []
    for block in body.decode().split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            events.append(
                dict((line.split(": ", 1) if ": " in line else (line.rstrip(":"), "")) for line in lines)
            )
    return events


def send(site: EchoSite, data: bytes) -> bytes:
    """Return the bytes that a site answers to the bytes of one connection."""
    channel = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337))
    transport = StringTransportWithDisconnection()
    transport.protocol = channel
    channel.makeConnection(transport)
    channel.dataReceived(data)
    return transport.value()


def _part(site: EchoSite, client: Any) -> None:
    """Part a server and its clients."""
    site.abort()
    client.flush()


class Incoming:
    """A body that may still be coming."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: Any = None
        self.body = b""
        self.over = False

    def _begin(self, response: _Response) -> None:
        self.status = response.code
        self.headers = response.headers
        treq.collect(response, self._receive).addBoth(self._end)

    def _receive(self, data: bytes) -> None:
        self.body += data

    def _end(self, _: object) -> None:
        self.over = True

    @property
    def events(self) -> list[dict[str, str]]:
        return parse_events(self.body)

    @property
    def messages(self) -> list[Any]:
        """The JSON of the events that carry a message."""
        return [json.loads(event["data"]) for event in self.events if event.get("event") == "message"]


class Listening(Incoming):
    """A response whose body is still coming."""

    def __init__(self, response: _Response) -> None:
        super().__init__()
        self._begin(response)


async def _at_once(work: Any, algorithm: Any) -> bytes:
    data: bytes = work(algorithm)
    return data


async def _nothing(url: str, _most: int) -> bytes:
    raise NotFetched(f"nothing is at {url}")


class ServerTestCase(SynchronousTestCase):
    """A test with a server of its own; `settings` are environment variables."""

    settings: dict[str, str] = {}
    endpoint = "/mcp"
    """Where MCP is: here, or at the address of a trace."""
    stepped = 0.0
    """Seconds by which somebody has set the wall clock forward since the test began."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.serve(self.settings)

    def engine(self, settings: Settings) -> Engine | None:  # noqa: ARG002  # for those that have one
        """Return what keeps the sessions; None for the memory of the server."""
        return None

    def trace_engine(self, settings: Settings) -> Engine | None:  # noqa: ARG002  # as above
        """Return what keeps the traces; None for the memory of the server."""
        return None

    def world(self) -> Outside:
        """Return where keys are made and documents are fetched from: at once, and from nowhere."""
        return Outside(_at_once, _nothing, _nothing)

    def serve(self, environ: dict[str, str]) -> None:
        """Start over with a server that has these settings, and no request log unless they say so.

        What that one writes would depend on whether the tests run on a terminal.
        """
        effective = load({}, {"MCP_ECHO_ACCESS_LOG": "off", **environ})
        self.service = EchoService(
            self.clock,
            effective,
            clocks=Clocks(self.clock.seconds, lambda: WALL + self.stepped + self.clock.seconds()),
            engine=self.engine(effective.settings),
            world=self.world(),
            trace_engine=self.trace_engine(effective.settings),
        )
        self.store = self.service.store
        self.client = treq.testing.StubTreq(Resource())
        # The site of the real server, so that its channel and request classes are under test too.
        self.client._agent._serverFactory = self.service.site
        self.addCleanup(_part, self.service.site, self.client)

    def request(
        self, method: str, path: str = "/mcp", body: Any = None, headers: dict[str, Any] | None = None
    ) -> Answer:
        """Return the complete answer to one HTTP request."""
        response = self.begin(method, path, body, headers)
        collected: list[bytes] = []
        reading = treq.collect(response, collected.append)
        self.client.flush()
        self.successResultOf(reading)
        return Answer(response, b"".join(collected))

    def begin(
        self, method: str, path: str = "/mcp", body: Any = None, headers: dict[str, Any] | None = None
    ) -> _Response:
        """Return a response as soon as its head is there."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if path.startswith("/mcp"):
            path = path.replace("/mcp", self.endpoint, 1)
        sent: Deferred[_Response] = self.client.request(
            method, URL + path, data=data, headers=headers or {}, allow_redirects=False
        )
        self.client.flush()
        return self.successResultOf(sent)

    def listen(self, session: str, **headers: str) -> Listening:
        """Open a GET stream."""
        fields = {"Accept": "text/event-stream", "Mcp-Session-Id": session, **headers}
        listening = Listening(self.begin("GET", headers=fields))
        self.client.flush()
        return listening

    def leave(self) -> None:
        """Have every client whose connection is still open drop it."""
        for pump in list(self.client._agent._pumps):
            pump.clientIO.abortConnection()
        self.client.flush()

    def rpc(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        session: str | None = None,
        message_id: Any = 1,
        **headers: str,
    ) -> Answer:
        """POST one request; header names are given with underscores."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if session is not None:
            fields["Mcp-Session-Id"] = session
        body = {"jsonrpc": "2.0", "id": message_id, "method": method}
        if params is not None:
            body["params"] = params
        return self.request("POST", body=body, headers=fields)

    def initialize(self, revision: str = "2025-06-18", **params: Any) -> str:
        """Return the id of a new session of this revision, initialised."""
        answer = self.rpc("initialize", {"protocolVersion": revision, **params})
        session = answer.header("Mcp-Session-Id")
        assert session is not None
        self.notify("notifications/initialized", session=session)
        return session

    def notify(self, method: str, session: str | None = None, **headers: str) -> Answer:
        """POST one notification."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if session is not None:
            fields["Mcp-Session-Id"] = session
        return self.request("POST", body={"jsonrpc": "2.0", "method": method}, headers=fields)

    def call(self, name: str, arguments: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        """Return the result of a tool call."""
        answer = self.rpc("tools/call", {"name": name, "arguments": arguments or {}}, **kwargs)
        return answer.json["result"]

    def text(self, name: str, arguments: dict[str, Any] | None = None, **kwargs: Any) -> str:
        """Return the text of a tool's answer."""
        return str(self.call(name, arguments, **kwargs)["content"][0]["text"])


MODERN = "2026-07-28"
BOTH = "application/json, text/event-stream"
META = "io.modelcontextprotocol/"
NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


def claim(
    version: str = MODERN, capabilities: dict[str, Any] | None = None, **members: Any
) -> dict[str, Any]:
    """Return the `_meta` of a modern request; further members are given with their whole key."""
    return {
        f"{META}protocolVersion": version,
        f"{META}clientCapabilities": capabilities or {},
        f"{META}clientInfo": {"name": "tests", "version": "1"},
        **members,
    }


def modern_message(
    method: str,
    params: dict[str, Any] | None = None,
    message_id: Any = 1,
    meta: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a modern request."""
    whole = {**(params or {}), "_meta": claim() if meta is None else meta}
    return {"jsonrpc": "2.0", "id": message_id, "method": method, "params": whole}


def routing_headers(message: dict[str, Any]) -> dict[str, Any]:
    """Return the HTTP headers that agree with a modern request."""
    headers = {"Accept": BOTH, "MCP-Protocol-Version": MODERN, "Mcp-Method": message["method"]}
    named = message["params"].get(NAMED.get(message["method"], ""))
    if isinstance(named, str):
        headers["Mcp-Name"] = named
    return headers


class Posted(Incoming):
    """A POST whose answer comes later, or piece by piece; its client may leave before that."""

    def __init__(self, test: ServerTestCase, message: Any, headers: dict[str, Any]) -> None:
        super().__init__()
        self._client = test.client
        before = set(self._client._agent._pumps)
        url = URL + test.endpoint
        sent = self._client.request(
            "POST", url, data=json.dumps(message).encode(), headers=headers, allow_redirects=False
        )
        (self._pump,) = set(self._client._agent._pumps) - before
        # A client that leaves before the head has come sees its own request fail.
        sent.addCallbacks(self._begin, lambda _: None)
        self._client.flush()
        self._client.flush()

    def leave(self) -> None:
        """Have the client drop the connection."""
        self._pump.clientIO.abortConnection()
        self._client.flush()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ModernTestCase(ServerTestCase):
    """A test whose client speaks the modern era."""

    def modern(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        message_id: Any = 1,
        meta: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
    ) -> Answer:
        """POST one modern request; a header that is None is left out."""
        message = modern_message(method, params, message_id, meta)
        return self.request("POST", body=message, headers=_merged(routing_headers(message), headers))

    def post(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        message_id: Any = 1,
        meta: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
    ) -> Posted:
        """POST one modern request whose answer comes later."""
        message = modern_message(method, params, message_id, meta)
        return Posted(self, message, _merged(routing_headers(message), headers))

    def tool(self, name: str, arguments: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        """Return the result of a modern tool call."""
        return self.modern("tools/call", {"name": name, "arguments": arguments or {}}, **kwargs).json[
            "result"
        ]

    def handle(self, **arguments: Any) -> str:
        """Return a new handle."""
        return str(self.tool("createEchoSession", arguments)["structuredContent"]["session"])

    def pass_time(self, seconds: float, step: float = 0.05) -> None:
        """Advance the clock in steps, so that what waits again after waiting gets its turn."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.client.flush()


def _merged(headers: dict[str, Any], changes: dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in {**headers, **(changes or {})}.items() if value is not None}
