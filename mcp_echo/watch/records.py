"""What is kept of what has passed, masked, as plain values that any node can read. No I/O.

Everything here is safe to show to whoever may read the trace: secrets, session ids and handles are masked
when a record is made (`mcp_echo.watch.masking`), equal ones by equal fingerprints, so that a rule can
still compare them. Times are seconds of the wall clock.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import msgspec

from mcp_echo.protocol.modern import VERSION_HEADER
from mcp_echo.protocol.revisions import BY_NAME
from mcp_echo.watch.oauth_records import OauthRecord, TokenRecord
from mcp_echo.watch.seen import Ending, Era, Joined, ProbedWay, SentState, StreamEventKind

JsonId = int | str

IdForm = Literal["absent", "string", "integer", "fraction", "null", "other"]
"""Which kind of JSON value the ``id`` of a message is."""

TokenForm = Literal["absent", "string", "integer", "other"]
"""Which kind of JSON value a ``progressToken`` is."""

SessionForm = Literal["none", "ours", "elsewhere", "undefined", "quoted", "doubled", "characters", "foreign"]
"""What an ``Mcp-Session-Id`` looks like: there is none, it is as this node makes them, as another node does,
empty or what a program prints for a value it does not have, in quotation marks, joined with itself, has
characters that no id may have, or is as somebody else makes them."""

AuthorizationForm = Literal[
    "none", "well-formed", "empty", "no-credential", "undefined", "doubled", "quoted", "malformed"
]
"""What ``Authorization`` looks like: there is none, it is a scheme and what belongs to it, it has no value,
it is one word, its credential is the word that a program prints for a value it does not have, it names the
scheme twice, it is in quotation marks, or it breaks the grammar otherwise."""


class Params(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, rename="camel"):
    """What rules want to know of the params of a message."""

    client: str | None = None
    """``clientInfo.name``, of ``initialize`` or of ``_meta``."""
    client_version: str | None = None
    """``clientInfo.version``."""
    capabilities: tuple[str, ...] | None = None
    """What the client declares, with dots: ``roots``, ``roots.listChanged``; None where it is absent."""
    protocol_version: str | None = None
    """The revision that ``initialize`` asks for, or that ``_meta`` names."""
    modern: bool = False
    """Whether ``_meta`` names a revision at all."""
    lacks: tuple[str, ...] = ()
    """Required members of ``initialize`` or of a modern ``_meta`` that are not there."""
    progress: TokenForm = "absent"
    cursor: str | None = None
    """Fingerprint of ``cursor``."""
    arguments: str | None = None
    """Fingerprint of the arguments of a tool or prompt, equal for equal ones."""
    state: str | None = None
    """Fingerprint of ``requestState``."""
    inputs: tuple[str, ...] | None = None
    """The keys of ``inputResponses``; None where that is absent."""
    cancels: JsonId | None = None
    """Of ``notifications/cancelled``, which request."""


class Result(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, rename="camel"):
    """What rules want to know of the answer to a message."""

    protocol_version: str | None = None
    """The revision that ``initialize`` was answered with."""
    next_cursor: str | None = None
    """Fingerprint of ``nextCursor``."""
    entries: int | None = None
    """How many tools, prompts or resources a list has."""
    state: str | None = None
    """Fingerprint of the ``requestState`` of an input-required result."""
    asks: tuple[str, ...] = ()
    """The keys of its ``inputRequests``."""
    supported: tuple[str, ...] = ()
    """The revisions that an error names as spoken here."""
    message: str | None = None
    """The message of an error, masked."""


class MessageRecord(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, rename="camel"):
    """One JSON-RPC message of a request's body, and what it came to."""

    kind: Literal["request", "notification", "response", "unreadable"]
    method: str | None = None
    id: JsonId | None = None
    id_form: IdForm = "absent"
    name: str | None = None
    """The tool, prompt, resource or task that the params name, masked."""
    era: Era | None = None
    revision: str | None = None
    """The revision of the session, or else the one that the client names."""
    outcome: int | str | None = None
    """The HTTP status that goes with the answer, or ``cancelled``; None where no answer is due, or came."""
    error: int | None = None
    """The JSON-RPC error code; None for a result."""
    seconds: float | None = None
    """From the arrival to the outcome."""
    stray: bool = False
    """Whether it is a response to nothing that was asked here."""
    params: Params = Params()
    result: Result = Result()


class Tombstone(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, rename="camel"):
    """What is known of a session that is no more, or that is on another node. Times are of the wall clock."""

    made: float | None = None
    """When it was made; None where that is not known here."""
    node: str = ""
    """The node that made it; its tag alone, where it is on another one."""
    used: float | None = None
    """When it was last used."""
    ended: float | None = None
    """When it ended; None where it lives on on another node."""
    reason: Literal["expired", "closed", "displaced"] | None = None
    """Why it ended: nobody used it in time, its client deleted it, or others took its room."""
    shared: bool = True
    """Whether all nodes have one store, so that a session of one is there for each."""


class ExchangeRecord(
    msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, rename="camel", dict=True
):
    """One HTTP request and its answer, refused ones included."""

    number: int
    """Counted from 1 within the trace."""
    node: str = ""
    """The node that it arrived at."""
    at: float
    """When it was complete, or was refused."""
    connection: int = 0
    """Counted from the start of the node."""
    peer: str = ""
    """The other end of the connection: its address, or ``unix``."""
    address: str = ""
    """Whom the server takes for the caller: the peer, or what a trusted proxy says."""
    proxied: bool = False
    """Whether the peer is a trusted proxy."""

    http_method: str = ""
    path: str = ""
    """With ``{trace}`` in the place of a trace's id."""
    query: tuple[tuple[str, str], ...] = ()
    """Name, value masked."""
    http_version: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    """Name as it was spelled, value masked, in the order and repetition of the wire."""
    complete: bool = True
    """Whether all of the request came."""
    body_bytes: int = 0
    body_hash: str | None = None
    """Fingerprint of the body."""
    body: str | None = None
    """The beginning of the body, masked; only where it was asked for."""

    status: int | None = None
    """None where the client left before, or nothing could be answered."""
    answer_headers: tuple[tuple[str, str], ...] = ()
    """Those beside ``Server``, ``Date`` and ``Content-Length``, masked."""
    sent: int = 0
    """Bytes of the answer's body."""
    first: float | None = None
    """Seconds from the arrival to the first byte of the answer."""
    last: float | None = None
    """The same of the last byte; None as long as a stream is open, and where the client left before."""
    left: float | None = None
    """Seconds from the arrival until the client hung up, where it did so before the answer had ended."""
    streamed: bool = False
    """Whether an event stream answers."""
    refusal: str | None = None
    """The name of the reason for which it was refused before a message was looked at: ``OriginRefused``."""
    reason: str | None = None
    """The sentence that the client was told then, masked."""

    session: str | None = None
    """The beginning of the session id that was sent or made, with its fingerprint: equal for equal ids."""
    session_form: SessionForm = "none"
    """Of the id that was sent."""
    known: bool = False
    """Whether there is such a session here."""
    made: bool = False
    """Whether this exchange made it."""
    partial: bool = False
    """Whether calls of that session have come that are not recorded; see `mcp_echo.watch.pace`."""
    tombstone: Tombstone | None = None
    """What is known of the session that the id names, where there is none here and the caller may be told."""
    declared: tuple[str, ...] | None = None
    """What the client of the session has declared, as `Params.capabilities`; None where that is not known."""
    gap: str | None = None
    """Why a ``Last-Event-ID`` could not be resumed from; None where it could, and without one."""
    authorization: AuthorizationForm = "none"
    """What ``Authorization`` looked like before it was masked."""
    canonical: str | None = None
    """The URL that the operator says the server is reached by; None where that is not said."""
    expects: tuple[str, ...] = ()
    """The names of headers that the trace was made to wait for."""
    principal: str | None = None
    """Who the caller is, masked; None when nobody vouches for it."""
    client: str | None = None
    """The name of the client, as the session or this request says."""
    client_version: str | None = None
    era: Era | None = None
    revision: str | None = None
    messages: tuple[MessageRecord, ...] = ()
    batch: bool = False
    """Whether the messages came as an array."""
    joined: Joined | None = None
    """By what it is taken for one of this trace, which its path does not name: likely, and no more. Then
    neither its header nor its query is kept. None where the path says it."""
    oauth: OauthRecord | None = None
    """The part that it has in a flow of OAuth; None for none."""
    fault: str | None = None
    """The fault that its answer was made with, and its variant; None for none."""
    order: int | None = None
    """The number of the order that it was hit by."""
    token: TokenRecord | None = None
    """What became of its access token; None where none was asked for, or none came."""
    findings: tuple[str, ...] = ()
    """The ids of the rules that it breaks, as far as it shows by itself or with what came before it."""

    def values(self, name: str) -> list[str]:
        """Return every value of a request header, masked, in the order of its lines."""
        return self._by_name.get(name.lower(), [])

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, value in self.headers:
            found.setdefault(name.lower(), []).append(value)
        return found

    @cached_property
    def is_modern(self) -> bool:
        """Whether its client speaks the modern era, as the body or the header says."""
        header = BY_NAME.get(next(iter(self.values(VERSION_HEADER)), ""))
        return any(each.params.modern for each in self.messages) or (header is not None and header.stateless)

    def line_of(self, name: str) -> str:
        """Return the ``subject`` of a finding about a request header: its place among the lines, from 0."""
        wanted = name.lower()
        for place, (key, _) in enumerate(self.headers):
            if key.lower() == wanted:
                return f"header:{place}"
        return f"absence:{name}"

    def answered(self, name: str) -> str | None:
        """Return the first value of an answer header, masked; None without one."""
        wanted = name.lower()
        return next((value for key, value in self.answer_headers if key.lower() == wanted), None)

    @property
    def message(self) -> MessageRecord | None:
        """Its one message; None for an array, and where there is none."""
        return self.messages[0] if len(self.messages) == 1 and not self.batch else None

    @property
    def caller(self) -> str:
        """What one client is told from another by, where there is no session."""
        return self.principal or f"{self.address} {self.client or ''}".strip()


class StreamRecord(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, rename="camel"):
    """What happened to an event stream, or rather to one connection that carries it."""

    number: int
    """Counted with the exchanges of the trace."""
    node: str = ""
    at: float
    kind: StreamEventKind
    session: str | None = None
    """As of `ExchangeRecord`; None in the modern era."""
    tag: str = ""
    """The stream's name within its session."""
    why: Ending | None = None
    """Of a close."""
    seconds: float | None = None
    """Of a close, how long the connection has carried it; of a stall, how long nothing was read."""
    retry: int | None = None
    """Of a hang-up, the milliseconds that the client was told to wait."""
    waiting: int = 0
    """Of a stall, the bytes that wait."""
    silent: float | None = None
    """Of a close, how long nothing had been written, not even a keep-alive."""


class SentRecord(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, rename="camel"):
    """What becomes of a request or notification that the server sends of itself."""

    number: int
    """Counted with the exchanges of the trace."""
    node: str = ""
    at: float
    state: SentState
    """It waits for a stream to go out on; a stream that is read has taken it; of a request: the client has
    answered, or has not in the time it has."""
    kind: Literal["request", "notification"]
    method: str
    id: JsonId | None = None
    """Of a request."""
    error: int | None = None
    """The JSON-RPC error code that the client answered with."""
    seconds: float | None = None
    """Of a request that was answered or not, since it was sent."""
    session: str | None = None
    """As of `ExchangeRecord`; None in the modern era."""
    caller: str = ""
    """As of `ExchangeRecord`; empty where it is not known."""


class SessionChange(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, rename="camel"):
    """A session begins, or it or a handle ends."""

    number: int
    """Counted with the exchanges of the trace."""
    node: str = ""
    at: float
    kind: Literal["begin", "end"]
    session: str
    """As of `ExchangeRecord`."""
    client: str | None = None
    revision: str | None = None
    reason: str | None = None
    """Of an end: ``expired``, ``closed`` or ``displaced``."""


class NodeChange(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, rename="camel"):
    """A node that has recorded something here has stopped or died."""

    number: int
    """Counted with the exchanges of the trace."""
    node: str
    at: float
    """When; of one that died, when it was last heard of."""
    kind: Literal["stopped", "died"]


class ProbeRecord(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, rename="camel"):
    """What came of a probe of an event stream: of ``streamProbe``, or of ``GET …/probe/stream``."""

    number: int
    """Counted with the exchanges of the trace."""
    node: str = ""
    at: float
    """When it was over."""
    way: ProbedWay
    """That of the call, the one that its session listens on, or that of the address."""
    written: tuple[float, ...]
    """When each event was written, in seconds since the first one was."""
    answered: tuple[float | None, ...] = ()
    """When each was answered, in the same seconds; None for no answer, and nothing where none is possible."""
    silence: float = 0.0
    """Seconds of silence that the stream has outlived."""
    cut: float | None = None
    """Seconds of silence after which the other end closed it; None where it did not."""
    session: str | None = None
    """As of `ExchangeRecord`; None for none."""
    hop: str | None = None
    """What the request that opened the stream says it came through, masked; None where it does not say."""


Record = ExchangeRecord | StreamRecord | SentRecord | SessionChange | NodeChange | ProbeRecord
