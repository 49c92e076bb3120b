"""Several daemons that keep their sessions in one store, and clients that talk to any of them."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.daemon import MODULE, Daemon, running
from tests.e2e.wire import Connect, ModernWire, Wire, to_port
from tests.ports import free_port
from tests.stores.redis_server import need_redis, shared_server

STORES = ("redis", "sqlite")

PATIENCE = 20.0
"""Seconds until what has not happened will not."""

UNBOUNDED = {
    "MCP_ECHO_INITIALIZE_RATE": "0",
    "MCP_ECHO_MAX_SESSIONS_PER_ADDRESS": "100000",
    "MCP_ECHO_CALL_RATE": "0",
    "MCP_ECHO_MAX_QUEUE_MESSAGES": "100000",
    "MCP_ECHO_MAX_QUEUE_BYTES": "100000000",
}
"""Settings under which no bound is what is tested."""


def address_of(kind: str, directory: Path) -> str:
    """Return the setting for a store that nobody else uses.

    Args:
        kind: One of `STORES`.
        directory: Where a file may be made.
    """
    if kind == "sqlite":
        return f"sqlite:{directory}/{secrets.token_hex(4)}.db"
    need_redis()
    return f"{shared_server().address}?prefix=t{secrets.token_hex(4)}"


class Node(Daemon):
    """A daemon that shares its sessions."""

    @property
    def name(self) -> str:
        """What it calls itself."""
        return str(self.probe("/health")[1]["node"])

    def kill(self) -> None:
        """End it at once, with SIGKILL."""
        self.process.kill()
        self.process.wait()


@contextmanager
def node(
    address: str,
    directory: Path,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Iterator[Node]:
    """Run one node.

    Args:
        address: The store.
        directory: Where it may make a directory of its own.
        arguments: Of the command line.
        env: Settings beside those that take the bounds away.
        port: Where it listens; None for any port that is free.
    """
    port = port or free_port()
    own = directory / f"node-{port}-{secrets.token_hex(2)}"
    own.mkdir()
    command = [*MODULE, "--port", str(port), "--store", address, *arguments]
    with running(command, own, port, {**UNBOUNDED, **(env or {})}) as daemon:
        started = Node(daemon.process, daemon.output, port)
        wait_until(lambda: started.probe("/ready")[0] == 200)
        yield started


@contextmanager
def nodes(
    address: str,
    directory: Path,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    count: int = 2,
) -> Iterator[list[Node]]:
    """Run several nodes; see `node`."""
    with ExitStack() as stack:
        yield [stack.enter_context(node(address, directory, arguments, env)) for _ in range(count)]


def wait_until(is_so: Callable[[], object], what: str = "it") -> None:
    """Return once something is so."""
    give_up = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < give_up, f"{what} does not come to be"
        time.sleep(0.02)


class Elsewhere(Wire):
    """The client of a session that was made on another node.

    Args:
        where: The port of 127.0.0.1 where a node listens, or what makes connections to it.
        wire: The client that made the session.
    """

    def __init__(self, where: int | Connect, wire: Wire) -> None:
        self._connect = to_port(where) if isinstance(where, int) else where
        # The ids of one session's requests must differ, whichever client object sends them.
        self._ids = itertools.count(secrets.randbelow(10**9) + 1000)
        self._open = []
        self.answers = wire.answers
        self.headers = dict(wire.headers)
        self.session_id = wire.session_id
        self.welcome = wire.welcome

    def status(self, method: str) -> int:
        """Return the status of a request without a body that is not a stream, or of a ping for POST."""
        message = {"jsonrpc": "2.0", "id": 1, "method": "ping"} if method == "POST" else None
        return self.send(method, self.headers, message).status


def modern_call(wire: ModernWire, tool: str, **arguments: Any) -> Any:
    """Return the result of a tool call without a session."""
    response, _ = wire.ask("tools/call", {"name": tool, "arguments": arguments})
    return response.get("result", response)


def structured(wire: ModernWire, tool: str, **arguments: Any) -> Any:
    """Return the structured content of a tool call without a session."""
    return modern_call(wire, tool, **arguments)["structuredContent"]
