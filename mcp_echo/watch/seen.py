"""What passes on the wire, as observers see it. No I/O.

Each HTTP exchange has one `Seen`, made at the edge, so that what no route has seen is seen too. Whoever
learns something fills it in: the edge, each rung of a ladder, the answer. What is worked out again, on a
shared store, is filled in again: its fields are only ever assigned, and nobody is told before the answer has
left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import msgspec

from mcp_echo.auth.proxies import Caller
from mcp_echo.http.headers import Headers
from mcp_echo.protocol.errors import McpError
from mcp_echo.protocol.jsonrpc import MessageId, Notification, Request

if TYPE_CHECKING:
    from mcp_echo.watch.observer import Watch

CANCELLED = "cancelled"
"""Stands for the HTTP status of a request that gets no answer because its client cancelled it."""

Era = Literal["legacy", "modern"]

StreamEventKind = Literal["open", "resume", "stalled", "hang-up", "close"]
"""A stream opens, or is taken up again by a client that comes back; its client has read nothing for half of
the time after which it is disconnected; the server closes its connection, for the client to come back; its
connection is done, or is lost."""

Ending = Literal["ended", "left", "hang-up", "replaced", "stopping", "cut", "token-expired", "token-revoked"]
"""Why a connection carries a stream no more: the stream has ended, its client has left, the server has asked
the client back, another connection carries it, the server stops, a fault has cut it, or the access token that
it was opened with has expired or is taken no more."""


Leg = Literal[
    "resource-metadata",
    "server-metadata",
    "jwks",
    "register",
    "authorize",
    "consent",
    "token",
    "revoke",
    "introspect",
]
"""What a request of an OAuth flow asks for, where it is none to the protected resource itself."""

Joined = Literal["connection", "address"]
"""By what a request is taken for one to a trace that its path does not name."""

ProbedWay = Literal["post", "get", "address"]
"""Which stream is probed: the call's, the one that its session listens on, or ``GET …/probe/stream``."""

SentState = Literal["waiting", "written", "answered", "unanswered"]
"""It waits for a stream to go out on; a stream that is read has taken it; of a request: the client has
answered, or has not in the time it has."""


class Head(Protocol):
    """The head of an HTTP request."""

    raw: bytes
    """The request line and the header lines as they came."""
    method: bytes
    path: bytes
    query: bytes
    version: bytes

    def values(self, name: bytes) -> list[str]:
        """Return every value of a header field, whose name is given in lower case."""

    def headers(self) -> Headers:
        """Return the header fields as they came: order, spelling, repetition."""


class ClientInfo(Protocol):
    """What a client says of itself."""

    name: str | None
    version: str | None

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """What it declares."""


class CallerIdentity(Protocol):
    """Tells who is calling."""

    def caller(self, seen: Seen) -> Caller:
        """Return what is known and believed of the caller."""


class Asked(msgspec.Struct, eq=False):
    """One JSON-RPC message, and what it came to."""

    era: Era | None = None
    """Whose rules it is served by; None where it is too broken to tell."""
    revision: str | None = None
    """The revision of the session, or else the one that the client names; None where it is unknown."""
    method: str | None = None
    """The JSON-RPC method; None for a response, and for what cannot be read."""
    id: MessageId | None = None
    """The id; None for what has none."""
    tool: str | None = None
    """The tool of a ``tools/call``; None for other methods, and where its name was not read."""
    outcome: int | str | None = None
    """The HTTP status that goes with the answer, or `CANCELLED`; None where no answer is due."""
    error: int | None = None
    """The JSON-RPC error code; None for a result."""
    seconds: float | None = None
    """From the arrival to the outcome; None where there is none."""
    stray: bool = False
    """Whether it is a response to nothing that was asked here."""

    def begin(self, era: Era | None, message: object, revision: str | None) -> None:
        """Note what came, and by whose rules it is served."""
        self.era = era
        self.revision = revision
        self.method = message.method if isinstance(message, (Request, Notification)) else None
        self.id = getattr(message, "id", None)

    def end(
        self, seconds: float, tool: str | None = None, outcome: int | str = 200, error: int | None = None
    ) -> None:
        """Note what it came to."""
        self.seconds = seconds
        self.tool = tool
        self.outcome = outcome
        self.error = error


class Seen(Asked, kw_only=True, eq=False):
    """One HTTP exchange; with its one message, as nearly all have, or its `batch`.

    Observers are told of it once: when its answer has left, or its client has, and whatever is answered later
    than that, on a stream or for a client that may come back, has come to something. One that opens a stream
    to listen on is told of when that is open; a `StreamEvent` tells of the end, which may be days later.
    """

    watch: Watch
    """Tells the observers."""
    peer: str
    """The other end of the connection: its address, or ``unix``."""
    connection: int
    """The number of the connection, counted from the start of the server."""
    head: Head | None
    """The head of the request; None where it is none."""
    received: int
    """Bytes of its body that came."""
    arrived: float
    """Seconds of the steady clock when it was complete, or was refused."""
    principal: str | None = None
    """Who the caller is, or None when nobody vouches for it."""
    identity: CallerIdentity | None = None
    """Tells who sends it; None until it is known to be for MCP."""
    batch: Sequence[Asked] | None = None
    """Its messages, where they come as an array; None for a single one."""
    session: str | None = None
    """The id of the session that it belongs to; None for none, and for one that is not there."""
    made: bool = False
    """Whether that session was made by this exchange."""
    tombstone: Any = None
    """What the caller may be told of the session that it names and that is not there; None for nothing. See
    `mcp_echo.watch.records.Tombstone`."""
    client: ClientInfo | None = None
    """What the client says of itself, in this request or in the session."""
    asks: bool = False
    """Whether a modern request was answered with questions, and a state to send back."""
    gap: str | None = None
    """Why the ``Last-Event-ID`` of a GET could not be resumed from; None where it could, and without one."""
    retry: bool | None = None
    """Whether the retry of such a request brings that state; None where it is no retry."""
    refusal: McpError | None = None
    """Why it was refused before a JSON-RPC message was looked at; None where it was not."""
    status: int | None = None
    """The HTTP status; None where the client left before."""
    sent: int = 0
    """Bytes of the answer's body."""
    first: float | None = None
    """Seconds of the steady clock when the first byte of the answer was written; None while none was."""
    last: float | None = None
    """The same of the last byte; None as long as a stream is open, and where the client left before."""
    left: float | None = None
    """Seconds of the steady clock when the client left before the answer had ended; None where it did not."""
    streamed: bool = False
    """Whether a stream answers."""
    lines: Sequence[bytes] = ()
    """The header lines of the answer, beside those that every answer has."""
    trace: Any = None
    """The `mcp_echo.watch.traces.Trace` that it belongs to; None for none, as nearly always."""
    joined: Joined | None = None
    """By what it is taken for one of that trace; None where its path says so, or there is none."""
    pace: Any = None
    """The `mcp_echo.watch.pace.Pace` that is told when it is over; None for none."""
    subject: str | None = None
    """Issuer and subject of the access token, where one was asked for and is good; None for none."""
    fault: str | None = None
    """The fault that its answer is made with, and its variant, such as ``answer wrong-id``; None for none."""
    order: int | None = None
    """The number of the order that it is hit by."""
    checks: Sequence[Any] = ()
    """What was looked at of its access token, if anything was: see `mcp_echo.oauth.verify.Check`."""
    leg: Leg | None = None
    """Which leg of an OAuth flow it is, by its address; None for MCP and all else."""
    notes: Any = None
    """What is noted for its trace while it goes on; see `mcp_echo.watch.recorder.Notes`."""
    findings: tuple[str, ...] = ()
    """The ids of the rules that it breaks, once its trace has been told."""
    pending: int = 1
    """How much goes on yet: the HTTP exchange, and each message that is answered whether its client stays or
    not. What begins is counted where it cannot begin twice."""

    def forget(self) -> None:
        """Know nothing of what the rungs of the ladders learn, as before the first of them."""
        self.era = self.revision = self.method = self.id = self.tool = self.outcome = self.error = None
        self.seconds = self.batch = self.session = self.client = self.retry = self.gap = None
        self.tombstone = None
        self.stray = self.made = self.asks = False

    @property
    def messages(self) -> Sequence[Asked]:
        """Each of its messages."""
        return self.batch or (self,)

    @property
    def caller(self) -> Caller:
        """Who sends it, as far as it is known and believed."""
        if self.identity is None:
            return Caller(self.peer, self.peer, False, None, None)
        return self.identity.caller(self)

    def elapsed(self) -> float:
        """Return the seconds since it arrived."""
        return self.watch.now() - self.arrived

    def settle(self) -> None:
        """Something that was `pending` is over; with the last of it, observers are told."""
        self.pending -= 1
        if not self.pending:
            self.watch.tell(self)


class BodyEvent(NamedTuple):
    """A body as it passes; told of only where an observer wants bodies, which nothing keeps for it."""

    seen: Seen
    data: bytes
    status: int | None
    """The HTTP status of the answer it is of; None for a request's body."""
    lines: Sequence[bytes] = ()
    """Of an answer, its header lines with their line ends, beside those that every answer has."""


class StreamEvent(NamedTuple):
    """What happens to an event stream, or rather to one connection that carries it."""

    kind: StreamEventKind
    at: float
    """Seconds of the steady clock."""
    session: str | None
    """The id of its session; None in the modern era, which has none."""
    tag: str
    """Its name within the session, as the ids of its events have it."""
    why: Ending | None = None
    """Of a close."""
    seconds: float | None = None
    """Of a close, how long the connection has carried it; of a stall, how long nothing was read."""
    retry: int | None = None
    """Of a hang-up, the milliseconds that the client was told to wait."""
    waiting: int = 0
    """Of a stall, the bytes that wait at least."""
    trace: Any = None
    """Of a close, the trace that it belongs to, where that is known and its session does not tell; see
    `Seen.trace`."""
    silent: float | None = None
    """Of a close, how long nothing had been written, not even a keep-alive."""


class SentEvent(NamedTuple):
    """What becomes of a request or notification that the server sends of itself."""

    state: SentState
    at: float
    """Seconds of the steady clock."""
    kind: Literal["request", "notification"]
    method: str
    session: str
    """The id of its session."""
    id: MessageId | None = None
    """Of a request."""
    error: int | None = None
    """The JSON-RPC error code that the client answered with."""
    seconds: float | None = None
    """Of a request that was answered or not, since it was sent."""


class SessionEvent(NamedTuple):
    """A session begins, or it or a handle ends."""

    kind: Literal["begin", "end"]
    at: float
    """Seconds of the steady clock."""
    session: str
    """Its id."""
    client: str | None
    """The name of its client, where that is known here."""
    revision: str | None
    """The protocol revision it speaks, where that is known here."""
    reason: str | None = None
    """Of an end: ``expired``, ``closed`` or ``displaced``."""
    trace: Any = None
    """Of a beginning, the trace that the session is made in; see `Seen.trace`."""


class ProbeEvent(NamedTuple):
    """What came of a probe of an event stream; see `mcp_echo.watch.records.ProbeRecord`."""

    at: float
    """Seconds of the steady clock."""
    trace: Any
    """See `Seen.trace`."""
    way: ProbedWay
    written: tuple[float, ...]
    """When each event was written, in seconds since the first one was."""
    answered: tuple[float | None, ...] = ()
    """When each was answered, in the same seconds; None for no answer, and nothing where none is possible."""
    silence: float = 0.0
    """Seconds of silence that the stream has outlived."""
    cut: float | None = None
    """Seconds of silence after which the other end closed it; None where it did not."""
    session: str | None = None
    """The id of the session; None for none."""
    head: Head | None = None
    """The head of the request that opened the stream."""


Event = Seen | BodyEvent | StreamEvent | SentEvent | SessionEvent | ProbeEvent
