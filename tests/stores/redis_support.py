"""Engines on Redis for tests, what they log, and a way between them that can be disturbed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from mcp_echo.cluster.engine import Change, Create, Engine, Load, Outcome
from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.stores.redis.engine import RedisEngine
from tests.contracts.test_engine import until
from tests.engines import record_limits
from tests.stores.redis_server import RedisServer

LONG = 3_600_000

Start = Callable[..., Any]


def create(name: str, timeout: int = LONG, owner: str | None = None, state: bytes = b"new") -> Create:
    return Create(name, owner, False, timeout, state, used=True)


def change(name: str, version: int, owner: str | None = None, **more: Any) -> Change:
    return Change(name, owner, False, version, **{"touch": True, "state": b"changed", **more})


def load(name: str, owner: str | None = None, known: int = 0) -> Load:
    return Load(name, owner, False, known)


def make(address: str, node: str = "a", **more: Any) -> RedisEngine:
    return RedisEngine(reactor, address, record_limits(**{"limit": 100_000, **more}), node)


def own(server: RedisServer, options: str = "", prefix: str | None = None) -> str:
    """Return the address of a server with a prefix that nobody else has."""
    return f"{server.address}?prefix={prefix or uuid.uuid4()}{options}"


async def refused(engine: Engine, operation: Any) -> StoreUnavailable:
    """Return what an operation is refused with."""
    with pytest.raises(StoreUnavailable) as refusal:
        await engine.submit(operation)
    return refusal.value


async def attempt(engine: RedisEngine, operation: Any) -> Outcome | None:
    """Return the outcome of an operation; None if it was refused."""
    with suppress(StoreUnavailable):
        return await engine.submit(operation)
    return None


class Between:
    """A way to a server that holds back, cuts or forgets what goes over it.

    Args:
        server: Where it leads.
    """

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._port: Any = None
        self._pairs: list[_Near] = []
        self.connections = 0
        """Connections that were made so far."""
        self.holding = False
        """Whether answers are held back."""
        self.deaf = False
        """Whether requests are thrown away."""
        self.refusing = False
        """Whether new connections are reset at once."""

    async def open(self) -> None:
        """Begin to listen."""
        self._port = reactor.listenTCP(0, Factory.forProtocol(lambda: _Near(self)), interface="127.0.0.1")

    def address(self, options: str = "") -> str:
        """Return the setting that has an engine take this way."""
        return f"redis://127.0.0.1:{self._port.getHost().port}?prefix={uuid.uuid4()}{options}"

    @property
    def open_connections(self) -> int:
        """How many connections there are."""
        return len(self._pairs)

    def cut(self) -> None:
        """Reset all connections."""
        for pair in list(self._pairs):
            pair.transport.abortConnection()

    def release(self) -> None:
        """Hand over the answers that were held back, late."""
        self.holding = False
        for pair in self._pairs:
            pair.hand_over()

    async def close(self) -> None:
        """Let go of everything."""
        await self._port.stopListening()
        self.cut()
        await until(lambda: not self._pairs)


class _Far(Protocol):
    def __init__(self, near: _Near) -> None:
        self._near = near

    def dataReceived(self, data: bytes) -> None:
        self._near.answer(data)

    def connectionLost(self, _: Any = None) -> None:
        self._near.transport.loseConnection()


class _Near(Protocol):
    def __init__(self, between: Between) -> None:
        self._between = between
        self._far: Any = None
        self._asked = b""
        self._held = b""

    def connectionMade(self) -> None:
        between = self._between
        between.connections += 1
        between._pairs.append(self)
        if between.refusing:
            self.transport.abortConnection()
            return
        far = Factory.forProtocol(lambda: _Far(self))
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", between._server.port)
        endpoint.connect(far).addCallbacks(self._connected, lambda _: self.transport.loseConnection())

    def _connected(self, far: Any) -> None:
        self._far = far
        far.transport.write(self._asked)

    def dataReceived(self, data: bytes) -> None:
        if self._between.deaf:
            return
        if self._far is None:
            self._asked += data
        else:
            self._far.transport.write(data)

    def answer(self, data: bytes) -> None:
        self._held += data
        if not self._between.holding:
            self.hand_over()

    def hand_over(self) -> None:
        self.transport.write(self._held)
        self._held = b""

    def connectionLost(self, _: Any = None) -> None:
        self._between._pairs.remove(self)
        if self._far is not None:
            self._far.transport.abortConnection()
