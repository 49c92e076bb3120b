"""A tool call without a network: fake clocks, a machine with known figures, a store in memory."""

from __future__ import annotations

import base64
import inspect
import json
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from mcp_echo.auth.proxies import Caller
from mcp_echo.host.clocks import Clocks
from mcp_echo.http.headers import Headers
from mcp_echo.protocol.jsonrpc import encode
from mcp_echo.protocol.progress import ProgressToken
from mcp_echo.protocol.revisions import Revision, Supported
from mcp_echo.sessions.budget import StateBudget
from mcp_echo.sessions.effects import AtOnce
from mcp_echo.sessions.event_log import EventLog
from mcp_echo.sessions.limits import Limits, share_of
from mcp_echo.sessions.memory import MemoryStore
from mcp_echo.sessions.session import Client, Session
from mcp_echo.sessions.store import StoreLimits
from mcp_echo.sessions.subscriptions import Subscriptions
from mcp_echo.sessions.tombstones import Tombstones
from mcp_echo.settings.load import load
from mcp_echo.tools.base import (
    Answer,
    AskError,
    BackChannel,
    Call,
    Pong,
    Question,
    SentPing,
    ServerContext,
    ToolError,
)
from mcp_echo.tools.catalogue import catalogue
from mcp_echo.tools.machine import Machine
from mcp_echo.tools.schemas import without_nulls
from mcp_echo.watch.insight import Insight
from mcp_echo.watch.observer import Watch
from mcp_echo.watch.seen import Seen
from tests.making import session_in

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


class Answered:
    """A ping that is answered at once."""

    written = answered = 5000.0
    refused = False

    def drop(self) -> None:
        pass


class Nobody:
    """A client's end that takes notifications, and answers nothing but what streamProbe asks.

    Args:
        advance: Lets time pass.
    """

    since: float | None = None
    session_made = False
    obstacle: str | None = None

    def __init__(self, advance: Callable[[float], None]) -> None:
        self._advance = advance
        self.strays: list[str] = []
        self.notified: list[tuple[str, dict[str, Any]]] = []

    def notify(self, method: str, params: dict[str, Any]) -> bool:
        self.notified.append((method, params))
        return True

    async def ask(self, questions: dict[str, Question]) -> dict[str, Any]:
        raise AskError(f"Nobody answers {', '.join(questions)}")

    async def ping(self) -> dict[str, Pong]:
        return {}

    def ways(self) -> Sequence[str]:
        return ("the stream of this POST",)

    def send_ping(self, way: str, padding: str) -> SentPing:  # noqa: ARG002  # whatever is asked
        return Answered()

    async def silence(self, seconds: float) -> None:
        self._advance(seconds)

    async def sleep(self, seconds: float) -> None:
        self._advance(seconds)

    def hang_up(self) -> bool:
        return False


class Carried(AtOnce):
    """The HTTP request of a call; its effects happen at once."""

    def __init__(self, scene: Scene, headers: Headers, http_method: str, arrived: float) -> None:
        self._scene = scene
        self._headers = headers
        self.http_method = http_method
        self.arrived = arrived
        self.is_secure = False
        self.principal = scene.principal
        self.seen = Seen(
            watch=Watch((), scene.now, lambda _: None),
            peer="127.0.0.1",
            connection=1,
            head=None,
            received=0,
            arrived=arrived,
            trace=None if scene.context.insight is None else scene.context.insight.plain,
        )

    def headers(self) -> Headers:
        return self._headers

    def caller(self) -> Caller:
        return self._scene.caller


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
        most = effective.settings.max_state_bytes
        budget = StateBudget(most, share=share_of(effective.settings.max_state_bytes_per_client, most))
        self.store = MemoryStore(
            StoreLimits(effective.settings.session_timeout, limit), self.now, EventLog, budget=budget
        )
        insight = Insight(effective.settings, "here", Clocks(self.now, self.wall))
        insight.begin(b"of the tests")
        self.context = ServerContext(
            effective,
            self.store,
            machine or FakeMachine(),
            self.now,
            self.wall,
            self.now(),
            Subscriptions(),
            lambda work: work.close,
            Limits(effective.settings),
            Tombstones(0, "0000", self.wall, alone=True),
            insight,
        )
        self.caller = Caller("127.0.0.1", "127.0.0.1", False, None, None)
        self.back_channel: BackChannel = Nobody(self.advance)
        self.principal: str | None = None
        self.log_level: str | None = None
        self.progress_token: ProgressToken = None
        self.tools = catalogue(effective.settings)
        insight.tools = self.tools.keys()
        found = Supported().get(revision)
        assert found is not None
        self.revision: Revision = found
        self.session = self.new_session(client)

    def now(self) -> float:
        return 5000.0 + self.elapsed

    def wall(self) -> float:
        return NOON + self.elapsed

    def advance(self, seconds: float) -> None:
        self.elapsed += seconds

    def new_session(self, client: Client | None = None) -> Session:
        return session_in(self.store, None, self.revision, client or Client("test-client", "1.0"))

    def request(
        self, headers: Iterable[tuple[str, str]] = (), http_method: str = "POST", took: float = 0.0
    ) -> Call:
        """Return a request as tools, resources and prompts see it."""
        session = None if self.revision.stateless else self.session
        request = Carried(self, Headers(headers), http_method, self.now() - took)
        return Call(
            context=self.context,
            request=request,
            session=session,
            client=self.session.client,
            revision=self.revision,
            back_channel=self.back_channel,
            log_level=self.log_level,
            progress_token=self.progress_token,
        )

    def call(
        self,
        tool: str,
        arguments: object = msgspec.UNSET,
        headers: Iterable[tuple[str, str]] = (),
        http_method: str = "POST",
        took: float = 0.0,
    ) -> Answer:
        """Call a tool; the structured result is checked to be encodable, as the server encodes it."""
        given = {} if arguments is msgspec.UNSET else arguments
        request = self.request(headers, http_method, took)
        try:
            called = self.tools[tool]
            answer = called.run(request, called.read(msgspec.Raw(json.dumps(given).encode())))
            if inspect.iscoroutine(answer):
                answer = finished(answer)
        except ToolError as error:
            answer = Answer(str(error), None, is_error=True)
        assert isinstance(answer, Answer)
        encode({"text": answer.text, "content": list(answer.content), "structured": answer.structured})
        return answer

    def text(self, *args: Any, **kwargs: Any) -> str:
        """Return the text of a call that succeeds."""
        answer = self.call(*args, **kwargs)
        assert not answer.is_error
        return answer.text


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns whose awaits are all fulfilled at once, as those of `Nobody` are."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    work.close()
    raise AssertionError("the coroutine waits for something")


def wire(answer: Answer) -> Any:
    """Return every member of the structured result; those that are None are not sent (see `sent`)."""
    return json.loads(encode(answer.structured))


def sent(answer: Answer) -> Any:
    """Return the structured result as a client receives it."""
    return json.loads(encode(without_nulls(answer.structured)))


def base64url(data: bytes | object) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


RS256 = {"alg": "RS256", "typ": "JWT"}
# As long as a key of 2048 bits makes it.
SIGNATURE = base64url(b"s" * 256)


def jwt(payload: bytes | object, header: bytes | object = RS256, signature: str = SIGNATURE) -> str:
    """Return a token with this header and payload: JSON values, or the very bytes."""
    return f"{base64url(header)}.{base64url(payload)}.{signature}"


def padded(token: str) -> str:
    """Return a token with its parts padded, as AWS load balancers write them."""
    return ".".join(part + "=" * (-len(part) % 4) for part in token.split("."))
