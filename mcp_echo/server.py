"""What the server does with a message: which session it belongs to, and what the method answers.

Imports no Twisted; the transport hands in what it knows of the HTTP request as an `Exchange`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Any, Protocol, TypeVar

import msgspec
from msgspec import Raw

from mcp_echo import __version__, prompts, resources
from mcp_echo.protocol.accept import Accepted
from mcp_echo.protocol.errors import (
    InternalError,
    InvalidParams,
    InvalidRequest,
    McpError,
    MethodNotFound,
    SessionRequired,
)
from mcp_echo.protocol.headers import Headers
from mcp_echo.protocol.jsonrpc import (
    NO_PARAMS,
    Malformed,
    Message,
    Notification,
    Request,
    error_bytes,
    notification_bytes,
    result_bytes,
)
from mcp_echo.protocol.legacy import (
    Initialize,
    check_version_header,
    check_version_header_strictly,
    read_initialize,
)
from mcp_echo.protocol.revisions import Revision, Supported
from mcp_echo.state.events import EventLog, Stream
from mcp_echo.state.session import UNKNOWN_CLIENT, Client, Session
from mcp_echo.tools.base import Answer, ArgumentError, Call, Catalogue, Facts, UnknownToolError

LOG_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""Least to most severe (RFC 5424, as MCP has them)."""

_INSTRUCTIONS = (
    "mcp-echo shows what reaches an MCP server. Call echo and replayLastEcho to test that state survives, "
    "printHeader and authContext to see which headers arrive, sessionInfo for the session, and healthProbe "
    "for the server."
)


class Exchange(Protocol):
    """One HTTP request, as the transport knows it."""

    accepted: Accepted
    arrived: float
    """Seconds of the steady clock when it was complete."""
    principal: str | None
    """Who the caller is, or None when nobody vouches for it."""
    session_id: str | None
    version: str | None
    """The ``MCP-Protocol-Version`` header."""
    last_event_id: str | None

    @property
    def http_method(self) -> str: ...

    @property
    def peer(self) -> str:
        """The address it came from, for people."""

    def headers(self) -> Headers: ...

    def announce(self, session: Session) -> None:
        """Send the session's id in ``Mcp-Session-Id``: it is new to the client."""

    def open_stream(self, session: Session, stream: Stream) -> None:
        """Answer with an event stream that carries ``stream``, from now on."""


class Reply:
    """What to answer an HTTP request with.

    Args:
        status: The HTTP status.
        body: The JSON to send; empty for none.
        headers: Further HTTP headers.
        streamed: True when the answer is on an event stream that was opened already.
    """

    __slots__ = ("body", "headers", "status", "streamed")

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        streamed: bool = False,
    ) -> None:
        self.status = status
        self.body = body
        self.headers = headers or {}
        self.streamed = streamed


class Journal(Protocol):
    """Where the server writes down what happens."""

    def note(self, text: str, **fields: Any) -> None:
        """Write down an event that an operator wants to see."""

    def debug(self, text: str, **fields: Any) -> None:
        """Write down a detail that matters while looking for a fault."""

    def failure(self, text: str, **fields: Any) -> None:
        """Write down the exception being handled, with its traceback."""


class _NamedCall(msgspec.Struct, frozen=True):
    name: str
    arguments: Raw = NO_PARAMS


class _PromptCall(msgspec.Struct, frozen=True):
    name: str
    arguments: dict[str, str] = {}


class _Uri(msgspec.Struct, frozen=True):
    uri: Annotated[str, msgspec.Meta(max_length=2048)]


class _Level(msgspec.Struct, frozen=True):
    level: str


class _Page(msgspec.Struct, frozen=True):
    cursor: str | None = None


Params = TypeVar("Params")


def _reader(of: type[Params]) -> Callable[[Raw], Params]:
    decode = msgspec.json.Decoder(of).decode

    def read(params: Raw) -> Params:
        try:
            return decode(params)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidParams(f"Invalid params: {error}") from None

    return read


_read_call = _reader(_NamedCall)
_read_prompt_call = _reader(_PromptCall)
_read_uri = _reader(_Uri)
_read_level = _reader(_Level)
_read_page = _reader(_Page)


class Server:
    """The MCP server of the legacy revisions.

    Args:
        facts: What tools may know.
        supported: The revisions it speaks.
        catalogue: The tools it offers.
        journal: Where it writes down what happens.
    """

    def __init__(self, facts: Facts, supported: Supported, catalogue: Catalogue, journal: Journal) -> None:
        self.facts = facts
        self.supported = supported
        self._tools = catalogue
        self._journal = journal
        self._strict = facts.settings.strict
        self._tool_lists = {
            revision: [tool.describe(revision) for tool in catalogue.values()] for revision in supported.rows
        }
        self._methods: dict[str, Callable[[Raw, Call], Any]] = {
            "ping": self._ping,
            "tools/list": self._tools_list,
            "tools/call": self._tools_call,
            "resources/list": self._resources_list,
            "resources/templates/list": self._resource_templates_list,
            "resources/read": self._resources_read,
            "resources/subscribe": self._resources_subscribe,
            "resources/unsubscribe": self._resources_unsubscribe,
            "prompts/list": self._prompts_list,
            "prompts/get": self._prompts_get,
            "logging/setLevel": self._logging_set_level,
        }

    # The ladder: one POST body, first failing rung answers.

    def post(self, message: Message | list[Message], exchange: Exchange) -> Reply:
        """Return the reply to one POST body.

        Raises:
            McpError: The whole POST is refused.
        """
        if isinstance(message, Malformed):
            return Reply(message.error.status, error_bytes(message.id, message.error))
        try:
            return self._post(message, exchange)
        except McpError as error:
            message_id = message.id if isinstance(message, Request) else None
            return Reply(error.status, error_bytes(message_id, error), headers=error.headers)

    def _post(self, message: Message | list[Message], exchange: Exchange) -> Reply:
        named = check_version_header(exchange.version, self.supported)
        if isinstance(message, Request) and message.method == "initialize":
            return self._initialize(message, exchange)
        if isinstance(message, Request) and message.method == "ping" and exchange.session_id is None:
            # Needs no state, so none is made: a prober must not fill the store.
            return Reply(200, result_bytes(message.id, {}))
        wants_answer = isinstance(message, (Request, list))
        session = self._session(exchange, named, may_create=wants_answer)
        if isinstance(message, Request):
            return self._answer(message, session, exchange)
        if isinstance(message, list):
            return self._answer_batch(message, session, exchange)
        self._take_note(message, session)
        return Reply(202)

    def _session(self, exchange: Exchange, named: Revision | None, *, may_create: bool) -> Session:
        """Return the session a request belongs to; without an id one is made, where that is allowed."""
        if exchange.session_id is not None:
            session = self.facts.store.use(exchange.session_id, exchange.principal)
            if self._strict:
                check_version_header_strictly(named, session.revision)
            return session
        if self._strict or not may_create:
            raise SessionRequired("Mcp-Session-Id header required: send initialize to get a session")
        return self._new_session(exchange, named or self.supported.assumed, UNKNOWN_CLIENT)

    def _new_session(self, exchange: Exchange, revision: Revision, client: Client) -> Session:
        session = self.facts.store.create(exchange.principal, revision, client)
        self._journal.note(
            "Session created",
            session=session,
            client_name=client.name,
            protocol_version=revision.name,
        )
        exchange.announce(session)
        return session

    def _initialize(self, request: Request, exchange: Exchange) -> Reply:
        if exchange.session_id is not None:
            self.facts.store.use(exchange.session_id, exchange.principal)
            raise InvalidRequest(
                "This session is initialized already; send initialize without Mcp-Session-Id"
            )
        params = read_initialize(request.params, self._strict)
        revision = self.supported.negotiate(params.protocolVersion)
        session = self._new_session(exchange, revision, _client(params))
        session.requests += 1
        body = result_bytes(request.id, self._initialize_result(revision))
        session.answered(self.facts.now() - exchange.arrived)
        return self._deliver(body, session, exchange)

    def _initialize_result(self, revision: Revision) -> dict[str, Any]:
        implementation = {"name": "mcp-echo", "version": __version__}
        if revision.titles:
            implementation["title"] = "mcp-echo"
        if revision.implementation_details:
            implementation["description"] = "A stateful diagnostic MCP server"
        return {
            "protocolVersion": revision.name,
            "capabilities": {"tools": {}, "resources": {"subscribe": True}, "prompts": {}, "logging": {}},
            "serverInfo": implementation,
            "instructions": _INSTRUCTIONS,
        }

    # Answers.

    def _answer(self, request: Request, session: Session, exchange: Exchange) -> Reply:
        stream = _LazyStream(session, exchange)
        status, body = self._result(request, session, exchange, stream.notify)
        if stream.opened is not None:
            session.log.append(stream.opened, body)
            session.log.end(stream.opened)
            return Reply(200, streamed=True)
        if status != 200:
            return Reply(status, body)
        return self._deliver(body, session, exchange)

    def _deliver(self, body: bytes, session: Session, exchange: Exchange) -> Reply:
        """Return the reply with one JSON body, as an event stream if the client reads nothing else."""
        if exchange.accepted.json:
            return Reply(200, body)
        stream = session.log.answer()
        exchange.open_stream(session, stream)
        session.log.append(stream, body)
        session.log.end(stream)
        return Reply(200, streamed=True)

    def _answer_batch(self, messages: list[Message], session: Session, exchange: Exchange) -> Reply:
        if not session.revision.batches:
            raise InvalidRequest(
                f"Invalid request: revision {session.revision.name} takes one message a POST, no array"
            )
        stream = _LazyStream(session, exchange)
        bodies = [body for message in messages if (body := self._element(message, session, exchange, stream))]
        if not bodies:
            return Reply(202)
        if exchange.accepted.names_event_stream or not exchange.accepted.json:
            opened = stream.open()
            for body in bodies:
                session.log.append(opened, body)
            session.log.end(opened)
            return Reply(200, streamed=True)
        return Reply(200, b"[" + b",".join(bodies) + b"]")

    def _element(
        self, message: Message, session: Session, exchange: Exchange, stream: _LazyStream
    ) -> bytes | None:
        """Return the response to one element of a batch, or None where none is due."""
        if isinstance(message, Malformed):
            return error_bytes(message.id, message.error)
        if not isinstance(message, Request):
            self._take_note(message, session)
            return None
        if message.method == "initialize":
            error = InvalidRequest("Invalid request: initialize must not be part of a batch")
            return error_bytes(message.id, error)
        return self._result(message, session, exchange, stream.notify)[1]

    def _result(
        self,
        request: Request,
        session: Session,
        exchange: Exchange,
        notify: Callable[[str, dict[str, Any]], None],
    ) -> tuple[int, bytes]:
        """Return the HTTP status and the JSON-RPC response to one request."""
        session.requests += 1
        call = Call(
            self.facts,
            session,
            session.revision,
            exchange.headers,
            exchange.http_method,
            exchange.peer,
            exchange.arrived,
            notify,
        )
        try:
            answer = 200, result_bytes(request.id, self.perform(request.method, request.params, call))
        except McpError as error:
            answer = error.status, error_bytes(request.id, error)
        except Exception:
            self._journal.failure("A method failed", session=session, method=request.method)
            failure = InternalError("Internal error; the server's log has the details")
            answer = failure.status, error_bytes(request.id, failure)
        session.answered(self.facts.now() - exchange.arrived)
        return answer

    def perform(self, method: str, params: Raw, call: Call) -> Any:
        """Return the result of a method, JSON-encodable.

        Raises:
            McpError: The method is not offered, or cannot be done.
        """
        do = self._methods.get(method)
        if do is None:
            raise MethodNotFound(f"Method not found: {method}")
        return do(params, call)

    def _take_note(self, message: Message, session: Session) -> None:
        """Act on a message that wants no answer."""
        kind = message.method if isinstance(message, Notification) else "response"
        if kind == "notifications/initialized":
            session.initialized = True
        self._journal.debug("Message received", session=session, kind=kind)

    # Streams and endings.

    def listen(self, exchange: Exchange) -> tuple[Session, Stream]:
        """Return the session and the stream that a GET reads.

        An id in ``Last-Event-ID`` that is unknown here opens a new stream: a 404 would end the session.

        Raises:
            McpError: There is no such session, or the revision is not spoken.
        """
        session = self._existing_session(exchange)
        resumed = session.log.resume(exchange.last_event_id) if exchange.last_event_id else None
        return session, resumed or session.log.listen()

    def close(self, exchange: Exchange) -> None:
        """End the session of a DELETE.

        Raises:
            McpError: There is no such session, or the revision is not spoken.
        """
        session = self._existing_session(exchange)
        self.facts.store.close(session.id, exchange.principal)

    def _existing_session(self, exchange: Exchange) -> Session:
        named = check_version_header(exchange.version, self.supported)
        return self._session(exchange, named, may_create=False)

    # Methods.

    def _ping(self, _params: Raw, _call: Call) -> Any:
        return {}

    def _tools_list(self, params: Raw, call: Call) -> Any:
        _only_page(params)
        return {"tools": self._tool_lists[call.revision]}

    def _tools_call(self, params: Raw, call: Call) -> Any:
        named = _read_call(params)
        tool = self._tools.get(named.name)
        if tool is None:
            raise UnknownToolError(named.name)
        if bytes(named.arguments)[:1] != b"{":
            raise InvalidParams("Invalid params: arguments must be an object")
        self._tell(call, "debug", {"tool": tool.name, "event": "started"})
        try:
            answer = tool.call(call, named.arguments)
        except ArgumentError as error:
            if not call.revision.argument_errors_are_results:
                raise InvalidParams(str(error)) from None
            answer = Answer(str(error), None, is_error=True)
        seconds = self.facts.now() - call.arrived
        self._tell(call, "info", {"tool": tool.name, "event": "answered", "seconds": round(seconds, 6)})
        if not tool.read_only and not answer.is_error:
            self._changed(call.session, resources.SESSION_URI)
        return _tool_result(answer, call.revision)

    def _tell(self, call: Call, level: str, data: dict[str, Any]) -> None:
        """Send a log message to a client that has asked for them."""
        wanted = call.session.log_level
        if wanted is not None and LOG_LEVELS.index(level) >= LOG_LEVELS.index(wanted):
            call.notify("notifications/message", {"level": level, "logger": "mcp-echo", "data": data})

    def _changed(self, session: Session, uri: str) -> None:
        """Queue the news of a changed resource for a client that has subscribed to it."""
        if uri in session.subscriptions:
            session.log.queue(notification_bytes("notifications/resources/updated", {"uri": uri}))

    def _resources_list(self, params: Raw, call: Call) -> Any:
        _only_page(params)
        return {"resources": [each.describe(call.revision) for each in resources.RESOURCES.values()]}

    def _resource_templates_list(self, params: Raw, _call: Call) -> Any:
        _only_page(params)
        return {"resourceTemplates": []}

    def _resources_read(self, params: Raw, call: Call) -> Any:
        return resources.read(_read_uri(params).uri, call)

    def _resources_subscribe(self, params: Raw, call: Call) -> Any:
        # A resource that does not exist yet may come to exist, so any URI can be subscribed to.
        wanted = call.session.subscriptions | {_read_uri(params).uri}
        if len(wanted) > resources.MAX_SUBSCRIPTIONS:
            raise InvalidParams(f"A session may subscribe to {resources.MAX_SUBSCRIPTIONS} resources at most")
        call.session.subscriptions = wanted
        return {}

    def _resources_unsubscribe(self, params: Raw, call: Call) -> Any:
        call.session.subscriptions -= {_read_uri(params).uri}
        return {}

    def _prompts_list(self, params: Raw, call: Call) -> Any:
        _only_page(params)
        return {"prompts": [prompt.describe(call.revision) for prompt in prompts.PROMPTS.values()]}

    def _prompts_get(self, params: Raw, _call: Call) -> Any:
        wanted = _read_prompt_call(params)
        return prompts.get(wanted.name, wanted.arguments)

    def _logging_set_level(self, params: Raw, call: Call) -> Any:
        level = _read_level(params).level
        if level not in LOG_LEVELS:
            raise InvalidParams(f"Invalid log level {level!r}; levels are {', '.join(LOG_LEVELS)}")
        call.session.log_level = level
        return {}


class _LazyStream:
    """The event stream of one POST, opened by the first notification that has to come before the result."""

    def __init__(self, session: Session, exchange: Exchange) -> None:
        self._session = session
        self._exchange = exchange
        self.opened: Stream | None = None

    def open(self) -> Stream:
        """Return the stream, opened now if it was not yet."""
        if self.opened is None:
            self.opened = self._session.log.answer()
            self._exchange.open_stream(self._session, self.opened)
        return self.opened

    def notify(self, method: str, params: dict[str, Any]) -> None:
        """Send a notification ahead of the result, or queue it if the client reads no streams here."""
        log: EventLog = self._session.log
        data = notification_bytes(method, params)
        if self._exchange.accepted.names_event_stream:
            log.append(self.open(), data)
        else:
            log.queue(data)


def _only_page(params: Raw) -> None:
    """Refuse a cursor: every list fits one page, so this server has given none out."""
    cursor = _read_page(params).cursor
    if cursor is not None:
        raise InvalidParams(f"Invalid cursor: {cursor!r}")


def _tool_result(answer: Answer, revision: Revision) -> dict[str, Any]:
    result: dict[str, Any] = {"content": [{"type": "text", "text": answer.text}, *answer.content]}
    if revision.structured_content and answer.structured is not None:
        result["structuredContent"] = answer.structured
    result["isError"] = answer.is_error
    return result


def _client(params: Initialize) -> Client:
    described = msgspec.json.encode([params.clientInfo, params.capabilities])
    return _shared_client(described)


@lru_cache(maxsize=1024)
def _shared_client(described: bytes) -> Client:
    """Return one object for all clients that say the same of themselves: most sessions share a few."""
    info, capabilities = msgspec.json.decode(described)
    name, version = info.get("name"), info.get("version")
    return Client(
        name if isinstance(name, str) else None,
        version if isinstance(version, str) else None,
        capabilities,
    )
