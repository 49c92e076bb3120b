"""The service on the real reactor and real sockets, where they are the point."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import pytest_twisted
import treq
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone

from mcp_echo.service import build
from mcp_echo.settings.load import load
from tests.logged import no_logged_failures

Call = Callable[..., Awaitable[Any]]


class Server:
    """A running service and a client of its own."""

    def __init__(self, url: str, pool: HTTPConnectionPool) -> None:
        self.url = url
        self._agent = Agent(reactor, pool=pool)
        self.client = treq.client.HTTPClient(self._agent)

    async def rpc(self, method: str, params: dict[str, Any], session: str | None = None) -> Any:
        headers = {} if session is None else {"Mcp-Session-Id": session}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        response = await self.client.post(self.url, json=body, headers=headers)
        return response.headers.getRawHeaders("Mcp-Session-Id", [session])[0], await response.json()

    async def session(self) -> str:
        session, _ = await self.rpc("initialize", {"protocolVersion": "2025-06-18"})
        await self.rpc("resources/subscribe", {"uri": "echo://session"}, session)
        return str(session)

    async def listen(self, session: str) -> Events:
        headers = {"Mcp-Session-Id": session, "Accept": "text/event-stream"}
        response = await self.client.get(self.url, headers=headers, unbuffered=True)
        events = Events()
        response.original.deliverBody(events)
        return events


class Events(Protocol):
    """The body of an event stream as it comes."""

    def __init__(self) -> None:
        self.body = b""
        self.over: Deferred[type[Exception]] = Deferred()
        """Fires with how it ended."""
        self._waiting: list[tuple[int, Deferred[None]]] = []

    def dataReceived(self, data: bytes) -> None:
        self.body += data
        for count, waiting in list(self._waiting):
            if self.body.count(b"event: message") >= count:
                self._waiting.remove((count, waiting))
                waiting.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.over.callback(reason.type)

    async def until(self, count: int) -> list[Any]:
        """Return the messages once there are so many."""
        if self.body.count(b"event: message") < count:
            waiting: Deferred[None] = Deferred()
            self._waiting.append((count, waiting))
            await waiting.addTimeout(10, reactor)
        lines = [line for line in self.body.decode().split("\n") if line.startswith("data: ")]
        return [json.loads(line.removeprefix("data: ")) for line in lines]


@pytest.fixture(autouse=True)
def nothing_goes_wrong_unseen() -> Iterator[None]:
    """A failure that is only logged fails the test, as trial has it."""
    with no_logged_failures():
        yield


@pytest_twisted.async_yield_fixture
async def server() -> AsyncIterator[Server]:
    """A service on a free port of the loopback interface, stopped at the end."""
    service = build(reactor, load({}, {"MCP_ECHO_PORT": "tcp:0:interface=127.0.0.1"}))
    service.privilegedStartService()
    service.startService()
    port = await service.listener.port
    pool = HTTPConnectionPool(reactor, persistent=True)
    yield Server(f"http://127.0.0.1:{port.getHost().port}/mcp", pool)
    await pool.closeCachedConnections()
    await service.stopService()


@pytest_twisted.ensureDeferred
async def test_a_message_reaches_the_stream_that_waits_for_it(server: Server) -> None:
    """A Deferred-based consumer of the session's queue behind one long-lived request."""
    session = await server.session()
    events = await server.listen(session)
    for message in ("one", "two"):
        await server.rpc("tools/call", {"name": "echo", "arguments": {"message": message}}, session)
    assert [each["method"] for each in await events.until(2)] == ["notifications/resources/updated"] * 2


@pytest_twisted.ensureDeferred
async def test_many_streams_at_once_get_each_their_own(server: Server) -> None:
    """Sessions are isolated, also while they wait."""
    sessions = [await server.session() for _ in range(20)]
    streams = [await server.listen(session) for session in sessions]
    for place, session in enumerate(sessions):
        for _ in range(place % 3 + 1):
            await server.rpc("tools/call", {"name": "echo", "arguments": {"message": "x"}}, session)
    counts = [len(await events.until(place % 3 + 1)) for place, events in enumerate(streams)]
    assert counts == [place % 3 + 1 for place in range(20)]


@pytest_twisted.ensureDeferred
async def test_a_client_that_goes_away_is_noticed(server: Server) -> None:
    """What it had open is let go of, and the session lives on."""
    session = await server.session()
    events = await server.listen(session)
    events.transport.loseConnection()
    await events.over
    for _ in range(100):
        _, answer = await server.rpc("tools/call", {"name": "sessionInfo", "arguments": {}}, session)
        if answer["result"]["structuredContent"]["openStreams"] == 0:
            return
        await deferLater(reactor, 0.02)
    pytest.fail("the stream is still held")


@pytest_twisted.ensureDeferred
async def test_a_stop_ends_open_streams_properly() -> None:
    """A truncated chunked body would be an error to the client."""
    service = build(reactor, load({}, {"MCP_ECHO_PORT": "tcp:0:interface=127.0.0.1"}))
    service.privilegedStartService()
    service.startService()
    port = await service.listener.port
    server = Server(
        f"http://127.0.0.1:{port.getHost().port}/mcp", HTTPConnectionPool(reactor, persistent=False)
    )
    events = await server.listen(await server.session())
    await service.stopService()
    assert await events.over is ResponseDone
    assert b"retry: 500\n" in events.body
