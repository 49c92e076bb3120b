"""What the server needs of a transport: one HTTP request, its answer, and time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mcp_echo.auth.proxies import Caller
from mcp_echo.http.accept import Accepted
from mcp_echo.http.headers import Headers
from mcp_echo.protocol.errors import McpError
from mcp_echo.sessions.effects import Effects
from mcp_echo.sessions.event_log import NOBODY, Log, Stream
from mcp_echo.sessions.held import STREAM_BYTES
from mcp_echo.sessions.limits import Limits
from mcp_echo.sessions.session import Session
from mcp_echo.watch.seen import Seen


class Reply:
    """What to answer an HTTP request with.

    Args:
        status: The HTTP status.
        body: The JSON to send; empty for none.
        headers: Further HTTP headers.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.body = body
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class StreamResponse:
    """How an event stream is carried.

    Args:
        log: The log the stream belongs to.
        stream: What to carry.
        resumable: Whether events have ids, and clients are asked to come back.
        primed: Whether the stream opens with an event id and no data.
        farewell: A message to end the stream with when the server stops.
        has_gap: Whether messages that the client comes back for are there no more.
        session: The id of its session; None where there is none.
    """

    log: Log
    stream: Stream
    resumable: bool = False
    primed: bool = False
    farewell: bytes | None = None
    has_gap: bool = False
    session: str | None = None

    def drop(self) -> None:
        """Let go of the stream, for which there is no connection; who comes back finds it free."""
        self.log.attach(self.stream, NOBODY)
        self.log.detach(self.stream)


def open_stream(
    exchange: Exchange,
    stream_response: StreamResponse,
    opening: bytes | None,
    limits: Limits,
    instead: bool = False,
) -> None:
    """Answer with an event stream that counts as held while it is open; an effect.

    Args:
        exchange: The request.
        stream_response: What to carry.
        opening: See `Exchange.open_stream`.
        limits: Count it.
        instead: Whether it takes the place of another one, so that there is room.

    Raises:
        TooMuchHeldByOne: The caller would hold more than its share.
        TooMuchHeld: All callers together would hold more than they may.
    """
    try:
        hold = limits.hold(exchange.caller(), STREAM_BYTES, instead)
    except McpError:
        stream_response.drop()
        exchange.tell_over()
        raise
    exchange.when_over(hold.release)
    exchange.open_stream(stream_response, opening)


class Exchange(Effects, Protocol):
    """One HTTP request, as the transport knows it.

    Whoever works on it may look at it. What answers it is an effect: see `mcp_echo.sessions.effects`.
    """

    http_method: str
    strict: bool
    """Whether it is held to what clients must and should do, as with ``--strict``."""
    seen: Seen
    """What observers will be told of it; each rung of a ladder sets there what it learns."""
    accepted: Accepted
    arrived: float
    """Seconds of the steady clock when it was complete."""
    principal: str | None
    """Who the caller is, or None when nobody vouches for it."""
    session_id: str | None
    version: str | None
    """The ``MCP-Protocol-Version`` header."""
    last_event_id: str | None
    left: bool
    """Whether the client has gone away."""

    @property
    def is_secure(self) -> bool:
        """Whether it came by TLS."""

    def reject_ambiguous(self) -> None:
        """Refuse a request whose session, version or event is named twice, differently."""

    def caller(self) -> Caller:
        """Return what is known of who sends it."""

    def headers(self) -> Headers:
        """Return the header fields as they came."""

    def values(self, name: str) -> list[str]:
        """Return every value of a header field."""

    def secrets(self) -> frozenset[str]:
        """Return the secrets in its header and body, which nobody is to be shown."""

    def let_go(self) -> None:
        """Let go of the body: it is read, and what it asked for takes its time."""

    def collect(self) -> None:
        """Collect effects from now on; those of an earlier attempt are dropped."""

    def happen(self) -> None:
        """Have the collected effects happen, and all later ones at once."""

    def drop(self) -> None:
        """Drop the collected effects; all later ones happen at once."""

    def began(self, session: Session) -> None:
        """Tell observers of a session that was made for it."""

    def announce(self, session: Session) -> None:
        """Send the session's id in ``Mcp-Session-Id``: it is new to the client."""

    def open_stream(self, stream_response: StreamResponse, opening: bytes | None = None) -> None:
        """Answer with an event stream, from now on.

        Args:
            stream_response: What to carry.
            opening: The bytes to open it with; None for what the response asks for.
        """

    def run(self, work: Coroutine[Any, Any, Reply | None], *, until_left: bool) -> Callable[[], None]:
        """Answer with what ``work`` returns in the end; None means that an event stream has answered.

        Args:
            work: Does the work.
            until_left: Whether a client that leaves cancels it.

        Returns:
            Cancels the work.
        """

    def tell_over(self) -> None:
        """Do what was to be done when the event stream has ended."""

    def when_over(self, do: Callable[[], None]) -> None:
        """Call ``do`` when the event stream that answers has ended or the client has left."""


class Promise(Protocol):
    """Something that will be known later."""

    def keep(self, value: Any) -> None:
        """It is known now."""

    def drop(self) -> None:
        """Nobody waits for it any more."""

    def __await__(self) -> Generator[Any, None, Any]: ...


class Timers(Protocol):
    """Ways to wait."""

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Let time pass."""

    def promise(self, seconds: float | None) -> Promise:
        """Return a promise; awaiting it raises TimeoutError when it is not kept within ``seconds``."""
