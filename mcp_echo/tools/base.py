"""What a tool is, what it is told, and what it gives back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from mcp_echo.auth.proxies import Caller
from mcp_echo.http.headers import Headers
from mcp_echo.oauth.verify import TokenJudge
from mcp_echo.protocol.errors import McpError
from mcp_echo.protocol.levels import log_params, reaches
from mcp_echo.protocol.modern import Path, mirrored_arguments
from mcp_echo.protocol.params import UNREADABLE, read_without_nulls
from mcp_echo.protocol.progress import ProgressToken
from mcp_echo.protocol.revisions import Revision
from mcp_echo.redaction import excerpt
from mcp_echo.sessions.effects import Effects
from mcp_echo.sessions.limits import Limits
from mcp_echo.sessions.session import Client, Session
from mcp_echo.sessions.store import Clock, SessionStore
from mcp_echo.sessions.subscriptions import Subscriptions
from mcp_echo.sessions.tombstones import Tombstones
from mcp_echo.settings.load import Effective
from mcp_echo.settings.table import Settings
from mcp_echo.tools.machine import Machine
from mcp_echo.tools.schemas import Schema, input_schema, output_schema
from mcp_echo.watch.insight import Insight
from mcp_echo.watch.seen import ClientInfo, Seen

PROGRESS = "notifications/progress"
"""The notification that belongs to one request and ends with it."""


@dataclass(frozen=True, slots=True)
class ServerContext:
    """What every tool may know of the server."""

    effective: Effective
    """The settings, and where each came from."""
    store: SessionStore
    machine: Machine
    now: Clock
    """Seconds of a clock that never jumps."""
    wall: Clock
    """Seconds since the epoch."""
    started: float
    """`now` when the server started."""
    subscriptions: Subscriptions
    """Who wants to hear of what changes."""
    spawn: Callable[[Coroutine[Any, Any, None]], Callable[[], None]]
    """Starts work that outlives its request, and returns what cancels it."""
    limits: Limits
    """How much one client may ask for."""
    tombstones: Tombstones
    """What became of sessions that are gone."""
    insight: Insight | None = None
    """What is known of clients; None where nothing is recorded."""
    tokens: TokenJudge | None = None
    """Judges access tokens; None where nothing is recorded."""
    agreed: Clock | None = None
    """Seconds of the clock that all who may work on one request agree on; None for the wall clock."""

    @property
    def agreed_now(self) -> float:
        """Seconds of that clock, for spans that begin with one request and end with another."""
        return (self.agreed or self.wall)()

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.effective.settings

    @property
    def uptime(self) -> float:
        """Seconds since the server started."""
        return self.now() - self.started


class InputRequired(Exception):
    """A modern tool call cannot go on before the client has answered.

    https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr

    Args:
        requests: Key → what to ask the client.
        answers: What it has answered in earlier rounds, to be carried by it to the next.
    """

    def __init__(self, requests: dict[str, Question], answers: dict[str, Any]) -> None:
        super().__init__(", ".join(requests))
        self.requests = requests
        self.answers = answers


class Question(NamedTuple):
    """A request to the client: ``elicitation/create``, ``sampling/createMessage`` or ``roots/list``."""

    method: str
    params: dict[str, Any]


class Pong(NamedTuple):
    """What became of one ping."""

    answer: Any
    """The client's result, or an `AskError`."""
    seconds: float | None
    """How long it took; None where none came."""


class SentPing(Protocol):
    """A ping on its way, whose answer nobody waits for."""

    written: float
    """When a stream has taken it; seconds of the steady clock."""
    answered: float | None
    """The same of its answer; None while there is none."""
    refused: bool
    """Whether that is an error."""

    def drop(self) -> None:
        """Take no answer any more."""


SESSION_MADE = "This request carried no session id: a new session was made for it"
"""What is said wherever an answer depends on a session that began with the very request."""


def input_requests(questions: Mapping[str, Question]) -> dict[str, Any]:
    """Return questions as the modern era's ``inputRequests`` have them."""
    return {key: question._asdict() for key, question in questions.items()}


class BackChannel(Protocol):
    """The client's end of a call: where notifications go and answers come from."""

    @property
    def since(self) -> float | None:
        """Seconds since the epoch when the client was first asked, if that was in an earlier request."""

    @property
    def session_made(self) -> bool:
        """Whether the session was made for this very request, which named none."""

    @property
    def obstacle(self) -> str | None:
        """Why nothing can be sent on a stream of this request's own, as a sentence; None where it can."""

    @property
    def strays(self) -> Sequence[str]:
        """What came while the client was asked, and was no answer to a question, as sentences."""

    def notify(self, method: str, params: dict[str, Any]) -> bool:
        """Send a notification ahead of the result.

        Returns:
            Whether a stream has taken it that a connection reads or that a client can come back to.
        """

    def ask(self, questions: dict[str, Question]) -> Awaitable[dict[str, Any]]:
        """Return the client's answers by key; an answer is a result, or an `AskError`.

        Raises:
            InputRequired: The answers come with another request (modern era).
            AskError: The client cannot be asked here.
        """

    def ping(self) -> Awaitable[dict[str, Pong]]:
        """Ping the client on each stream that leads to it; return what became of each by the stream's name.

        Empty where there is no stream, and in the modern era, whose servers send no requests.

        Raises:
            AskError: No stream has taken it.
        """

    def ways(self) -> Sequence[str]:
        """Return the names of the streams on which pings reach the client; that of the call is the first.

        Empty where there is none, and in the modern era.
        """

    def send_ping(self, way: str, padding: str) -> SentPing:
        """Ping the client on one stream, and wait for nothing.

        Args:
            way: Its name.
            padding: What to put into ``_meta``, so that the event is larger.

        Raises:
            AskError: The stream has not taken it.
        """

    def silence(self, seconds: float) -> Awaitable[None]:
        """Let time pass in which this request's stream carries nothing, not even a keep-alive."""

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Let time pass."""

    def hang_up(self) -> bool:
        """Close the connection, not the stream; the client may come back for the result (legacy era).

        Returns:
            Whether there was a connection to close in this way.
        """


class AskError(Exception):
    """The client could not be asked, or answered with an error or not at all."""


class NoAnswer(AskError):
    """The client did not answer in time."""


class HttpRequest(Effects, Protocol):
    """The HTTP request that carried a call, which takes its effects."""

    principal: str | None
    """Who the caller is, or None when nobody vouches for it."""
    arrived: float
    """Seconds of the steady clock when it was complete."""
    http_method: str
    seen: Seen
    """What observers will be told of it."""

    @property
    def is_secure(self) -> bool:
        """Whether it came by TLS."""

    def headers(self) -> Headers:
        """Return the header fields as they came."""

    def caller(self) -> Caller:
        """Return what is known of the caller."""


class Call(msgspec.Struct, kw_only=True, eq=False):
    """One request, as a tool sees it."""

    context: ServerContext
    """What is known of the server."""
    request: HttpRequest
    """The HTTP request that carried it."""
    session: Session | None
    """The protocol session it belongs to; None in the modern era, which has none."""
    client: Client
    """What the client says of itself."""
    revision: Revision
    """The protocol revision it is in."""
    back_channel: BackChannel
    """The client's end."""
    log_level: str | None = None
    """The least severe log message the client wants; None for none at all."""
    progress_token: ProgressToken = None
    """What progress notifications are to carry; anything else than a token sends none."""
    tool: str | None = None
    """The tool that the client names; None while that is not known, and for other methods."""
    _headers: Headers | None = None

    @property
    def effects(self) -> Effects:
        """Takes what is to happen outside of sessions: see `mcp_echo.sessions.effects`."""
        return self.request

    @property
    def principal(self) -> str | None:
        """Who the caller is, or None when nobody vouches for it."""
        return self.request.principal

    @property
    def arrived(self) -> float:
        """Seconds of the steady clock when the request was complete."""
        return self.request.arrived

    @property
    def http_method(self) -> str:
        """The HTTP method that carried it."""
        return self.request.http_method

    @property
    def headers(self) -> Headers:
        """The HTTP headers of the request that carried the call."""
        if self._headers is None:
            self._headers = self.request.headers()
        return self._headers

    def read_headers(self) -> Headers:
        """Return the headers without keeping them, for a call that waits."""
        return self.request.headers()

    def caller(self) -> Caller:
        """Return what is known of the caller."""
        return self.request.caller()

    @property
    def reader(self) -> str:
        """Who reads lists here: the session, or what stands for it where there is none."""
        return self.session.id if self.session is not None else reader_of(self.caller(), self.client)

    def log(self, level: str, data: Any) -> bool:
        """Send a log message ahead of the result, if the client wants such; see `BackChannel.notify`."""
        return reaches(level, self.log_level) and self.back_channel.notify(
            "notifications/message", log_params(level, data)
        )

    def progress(self, done: float, total: float, message: str | None = None) -> bool:
        """Send a progress notification ahead of the result, if the client gave a token for it.

        Returns:
            What `BackChannel.notify` does.
        """
        if not isinstance(self.progress_token, int | str):
            return False
        params = {"progressToken": self.progress_token, "progress": done, "total": total}
        if message is not None and self.revision.audio:
            params["message"] = message
        return self.back_channel.notify(PROGRESS, params)


def reader_of(caller: Caller, client: ClientInfo) -> str:
    """Return what tells modern callers apart: who they are, or else where they are, and their client.

    Two of one address whose clients say the same of themselves cannot be told apart.
    """
    return f"{Limits.owner(caller.principal, caller.address)} {client.name!r} {client.version!r}"


class NoArguments(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The arguments of a tool that takes none."""


class ToolError(Exception):
    """A tool could not do its work; the message goes to the caller as an ``isError`` result."""


class Answer(msgspec.Struct, eq=False):
    """What a tool answers."""

    text: str | None
    """The answer for people; None for an answer of content blocks alone."""
    structured: msgspec.Struct | None
    """The same facts for programs, as the tool's result type; None only with ``is_error``."""
    content: tuple[dict[str, Any], ...] = ()
    """Further content blocks after the text, as MCP has them on the wire."""
    is_error: bool = False
    """Whether the tool could not do its work."""


class WholeResult(dict[str, Any]):
    """A tool's answer that is the whole result as it goes over the wire."""


Arguments = TypeVar("Arguments", bound=msgspec.Struct)

_UNSAID = {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": True}
"""What clients take a tool for that says nothing."""

Answered = Answer | WholeResult
Run = Callable[[Call, Arguments], Any]
"""Returns `Answered`, or is an ``async def`` that does, where it takes its time."""
Adapt = Callable[[Schema, Revision], Schema]


@dataclass(frozen=True, slots=True)
class Tool(Generic[Arguments]):
    """One tool of the catalogue.

    ``arguments`` is the one definition of what it takes: the input schema, the validation and the error
    texts all come from it. ``result`` gives the output schema in the same way.
    """

    name: str
    title: str
    description: str
    """What it does and, for a model that has to choose, when to call it."""
    arguments: type[Arguments]
    result: type[msgspec.Struct] | None
    run: Run[Arguments]
    idempotent: bool = True
    read_only: bool = True
    open_world: bool = False
    adapt: Adapt = lambda schema, _: schema
    """Makes the input schema say what only holds in some revisions."""
    input_schema: Schema | None = None
    """The schema to publish where ``arguments`` cannot express it."""
    _decode: Callable[[bytes | msgspec.Raw], Arguments] = field(init=False, repr=False)
    headers: dict[Path, str] = field(init=False, repr=False)
    """Argument → the suffix of the ``Mcp-Param-`` header that modern clients mirror it to."""
    is_later: bool = field(init=False)
    """Whether it takes its time: `run` is an ``async def``, which begins once its request is kept."""
    has_nulls: bool = field(init=False)
    """Whether what is None has to be taken from its result; ``omit_defaults`` sees to that by itself."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_decode", msgspec.json.Decoder(self.arguments).decode)
        object.__setattr__(self, "headers", mirrored_arguments(self._schema()))
        object.__setattr__(self, "is_later", iscoroutinefunction(self.run))
        trimmed = self.result is None or self.result.__struct_config__.omit_defaults
        object.__setattr__(self, "has_nulls", not trimmed)

    def read(self, arguments: msgspec.Raw) -> Arguments:
        """Return the arguments, undecoded JSON, for `run`; null is taken for an absent one.

        Raises:
            ArgumentError: They do not fit the tool's definition.
        """
        try:
            try:
                return self._decode(arguments)
            except msgspec.ValidationError:
                decoded: Arguments = read_without_nulls(self._decode, arguments)
                return decoded
        except UNREADABLE as error:
            raise ArgumentError(self.name, error) from error

    def _schema(self) -> Schema:
        return input_schema(self.arguments) if self.input_schema is None else self.input_schema

    def describe(self, revision: Revision) -> dict[str, Any]:
        """Return the tool's entry in ``tools/list``, with only what ``revision`` knows."""
        entry: dict[str, Any] = {"name": self.name, "description": self.description}
        if revision.titles:
            entry["title"] = self.title
        entry["inputSchema"] = self.adapt(self._schema(), revision)
        if revision.structured_content and self.result is not None:
            entry["outputSchema"] = output_schema(self.result)
        if revision.annotations:
            entry["annotations"] = self._annotations(revision)
        return entry

    def _annotations(self, revision: Revision) -> dict[str, Any]:
        """Return what clients may know of the tool's effects.

        A hint that is not said has its default, and only what changes something can be destructive or
        idempotent. Where a tool has a title of its own, it is not said again here.
        https://modelcontextprotocol.io/specification/2025-11-25/schema#toolannotations
        """
        hints: dict[str, Any] = {} if revision.titles else {"title": self.title}
        said = {"readOnlyHint": self.read_only, "openWorldHint": self.open_world}
        if not self.read_only:
            said |= {"destructiveHint": False, "idempotentHint": self.idempotent}
        return hints | {hint: value for hint, value in said.items() if value is not _UNSAID[hint]}


class ArgumentError(Exception):
    """A tool's arguments do not fit its definition.

    Args:
        tool: The tool's name.
        error: What the validator said.
    """

    def __init__(self, tool: str, error: Exception) -> None:
        reason = "the JSON is nested too deeply" if isinstance(error, RecursionError) else str(error)
        super().__init__(f"Invalid arguments for tool {tool}: {reason}")


class UnknownToolError(McpError):
    """No tool has this name."""

    code = -32602
    status = 200

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown tool: {excerpt(name)}")


Catalogue = Mapping[str, Tool[Any]]
