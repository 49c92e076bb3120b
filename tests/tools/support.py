"""A tool call without a network: fake clocks, a machine with known figures, a store in memory."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from mcp_echo.config import load
from mcp_echo.protocol.headers import Headers
from mcp_echo.protocol.jsonrpc import encode
from mcp_echo.protocol.revisions import Supported
from mcp_echo.state.events import EventLog
from mcp_echo.state.session import Client, Session
from mcp_echo.state.store import MemoryStore
from mcp_echo.tools import catalogue
from mcp_echo.tools.base import Answer, Call, Facts
from mcp_echo.tools.machine import Machine

MIB = 1024 * 1024

# 2024-01-01 12:00:00 UTC, the moment every test begins at.
NOON = 1704110400.0


class FakeMachine(Machine):
    """A machine with figures that are known; None for one that cannot be read."""

    def __init__(
        self, cpu: float | None = 15.2, process: int | None = 256 * MIB, memory: int | None = 1024 * MIB
    ) -> None:
        self.figures = (cpu, process, memory)

    def cpu_percent(self) -> float | None:
        return self.figures[0]

    def process_bytes(self) -> int | None:
        return self.figures[1]

    def memory_bytes(self) -> int | None:
        return self.figures[2]


UNREADABLE = FakeMachine(None, None, None)


def _ignore(_method: str, _params: dict[str, Any]) -> None:
    """Send a notification to nobody."""


class Scene:
    """A server without a transport, at a known time.

    Args:
        options: Settings as on the command line.
        environ: Settings as in the environment.
        revision: The revision of the session; the newest if not given.
        machine: The machine's figures.
        client: What the client said of itself.
        limit: How many sessions the store holds.
    """

    def __init__(
        self,
        options: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        revision: str = "2025-11-25",
        machine: Machine | None = None,
        client: Client | None = None,
        limit: int = 1000,
    ) -> None:
        self.elapsed = 0.0
        effective = load(options or {}, environ or {})
        self.store = MemoryStore(effective.settings.session_timeout, limit, self.now, self.wall, EventLog)
        self.facts = Facts(effective, self.store, machine or FakeMachine(), self.now, self.wall, self.now())
        self.tools = catalogue(effective.settings)
        self.revision = Supported().negotiate(revision)
        self.session = self.new_session(client)

    def now(self) -> float:
        return 5000.0 + self.elapsed

    def wall(self) -> float:
        return NOON + self.elapsed

    def advance(self, seconds: float) -> None:
        self.elapsed += seconds

    def new_session(self, client: Client | None = None) -> Session:
        return self.store.create(None, self.revision, client or Client("test-client", "1.0"))

    def call(
        self,
        tool: str,
        arguments: object = msgspec.UNSET,
        headers: Iterable[tuple[str, str]] = (),
        http_method: str = "POST",
        took: float = 0.0,
    ) -> Answer:
        """Call a tool; the structured result is checked to be encodable, as the server encodes it."""
        call = Call(
            self.facts,
            self.session,
            self.session.revision,
            lambda: Headers(headers),
            http_method,
            "127.0.0.1",
            self.now() - took,
            _ignore,
        )
        given = {} if arguments is msgspec.UNSET else arguments
        answer = self.tools[tool].call(call, msgspec.Raw(json.dumps(given).encode()))
        encode({"text": answer.text, "content": list(answer.content), "structured": answer.structured})
        return answer

    def text(self, *args: Any, **kwargs: Any) -> str:
        """Return the text of a call that succeeds."""
        answer = self.call(*args, **kwargs)
        assert not answer.is_error
        return answer.text


def wire(answer: Answer) -> Any:
    """Return the structured result as a client receives it."""
    return json.loads(encode(answer.structured))


def base64url(data: bytes | object) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


RS256 = {"alg": "RS256", "typ": "JWT"}


def jwt(payload: bytes | object, header: bytes | object = RS256, signature: str = "c2lnbmF0dXJl") -> str:
    """Return a token with this header and payload: JSON values, or the very bytes."""
    return f"{base64url(header)}.{base64url(payload)}.{signature}"
