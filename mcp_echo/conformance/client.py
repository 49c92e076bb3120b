"""Fixtures for people who write clients, and a report on what their client did.

The tools are those that the suite's own client mode serves; the report says what the client sent: which
headers, how soon it reconnected, whether it echoed state and mirrored arguments.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from mcp_echo.auth.proxies import Caller
from mcp_echo.conformance.core import ASK_NAME, add_tools, ask, elicitation, fixture, says, shown
from mcp_echo.http.accept import EVENT_STREAM, JSON, parse_accept
from mcp_echo.http.headers import Headers
from mcp_echo.offer import Offer
from mcp_echo.offer.prompts import Prompt, text, user_message
from mcp_echo.offer.resources import Resource
from mcp_echo.protocol.jsonrpc import Message, Notification, Request
from mcp_echo.protocol.revisions import MODERN, Revision
from mcp_echo.protocol.texts import milliseconds
from mcp_echo.redaction import mask_tokens, printable
from mcp_echo.sessions.event_log import event_id
from mcp_echo.sessions.limits import Limits
from mcp_echo.sessions.session import Client, Session
from mcp_echo.tools.base import (
    SESSION_MADE,
    Answer,
    Call,
    InputRequired,
    NoArguments,
    Tool,
    WholeResult,
    input_requests,
    reader_of,
)
from mcp_echo.tools.headers import shown as shown_header

MAX_CLIENTS = 200
"""Records kept at once. For one more, the one not seen for longest goes, of whoever has most of them."""

MAX_FINDINGS = 50
"""Findings kept of one client."""

MAX_NAMES = 100
"""Names of one kind kept of one client: headers, methods, revisions, tools."""

MAX_HUNG_UP = 20
"""Streams of one session that were closed early and are waited for."""

OTHER = "other"
"""What methods are counted as once there are too many of them."""

_RETRY = 0.5
"""Seconds that the server's ``retry:`` asks clients to wait before they reconnect."""

_UNRELATED = "test_mrtr_unrelated"
_NO_STATE = "test_mrtr_no_state"


@dataclass(slots=True)
class Record:
    """What one client has done."""

    owner: str
    """Whose it is: a principal, or else an address."""
    requests: Counter[str] = field(default_factory=Counter)
    headers: set[str] = field(default_factory=set)
    versions: set[str] = field(default_factory=set)
    last_event_ids: int = 0
    reconnect_delays: list[float] = field(default_factory=list)
    asking: set[str] = field(default_factory=set)
    """Tools that were answered with questions and a state."""
    states_echoed: int = 0
    states_missing: int = 0
    mirrored: int = 0
    findings: OrderedDict[str, None] = field(default_factory=OrderedDict)
    hung_up: OrderedDict[str, float] = field(default_factory=OrderedDict)
    """Tag of a stream that was closed early → when, until the client comes back for it."""

    def find(self, finding: str) -> None:
        """Note a rule that the client has not kept, once."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings[finding] = None

    def count(self, method: str) -> None:
        """Count a message."""
        known = method in self.requests or len(self.requests) < MAX_NAMES
        self.requests[method if known else OTHER] += 1


class _Retried(msgspec.Struct):
    name: str = ""
    inputResponses: Raw | msgspec.UnsetType = msgspec.UNSET
    requestState: Raw | msgspec.UnsetType = msgspec.UNSET


_read_retried = msgspec.json.Decoder(_Retried).decode


class Observations:
    """What clients have done: by session, or, where there is none, by caller and client.

    Only sessions that exist and modern requests that say who sends them have a record. Each rule is one of
    the revision that the client speaks: what a later one asks for breaks no rule of an older one.
    """

    def __init__(self) -> None:
        self._records: OrderedDict[str, Record] = OrderedDict()
        self.now: Callable[[], float] = lambda: 0.0

    def __len__(self) -> int:
        return len(self._records)

    def _of(self, key: str, caller: Caller) -> Record:
        """Return the record of one client, made if there is none."""
        record = self._records.get(key)
        if record is None:
            record = self._records[key] = Record(Limits.owner(caller.principal, caller.address))
        self._records.move_to_end(key)
        if len(self._records) > MAX_CLIENTS:
            self._make_room()
        return record

    def _make_room(self) -> None:
        """Forget one record: nobody can push out what others have left here."""
        held = Counter(record.owner for record in self._records.values())
        ((biggest, _),) = held.most_common(1)
        del self._records[next(key for key, record in self._records.items() if record.owner == biggest)]

    def ended(self, session_id: str) -> None:
        """Forget a session that is over: nobody can ask for its record."""
        self._records.pop(session_id, None)

    def saw_post(
        self, message: Message | list[Message], headers: Headers, session: Session, caller: Caller
    ) -> None:
        """Note a POST for a session."""
        record = self._of(session.id, caller)
        for each in message if isinstance(message, list) else (message,):
            record.count(_method(each))
        self._note_headers(record, headers, session.revision)

    def saw_modern(self, request: Request, headers: Headers, client: Client, caller: Caller) -> None:
        """Note a modern request."""
        record = self._of(reader_of(caller, client), caller)
        record.count(_method(request))
        self._note_headers(record, headers, MODERN[-1])
        if headers.get("Mcp-Method") is None:
            record.find("Mcp-Method is missing (Request Metadata)")
        record.mirrored += sum(name.lower().startswith("mcp-param-") for name, _ in headers)
        self._note_retry(record, request)

    @staticmethod
    def _note_headers(record: Record, headers: Headers, revision: Revision) -> None:
        record.headers.update(name[:100] for name, _ in headers if len(record.headers) < MAX_NAMES)
        version = headers.get("MCP-Protocol-Version")
        if version is None and revision.version_header:
            record.find("MCP-Protocol-Version is missing after initialize (Protocol Version Header)")
        if version is not None and len(record.versions) < MAX_NAMES:
            record.versions.add(version[:20])
        accepted = parse_accept(headers.get("Accept"))
        if revision.streamable_http and not (accepted.names_json and accepted.names_event_stream):
            record.find(f"Accept does not list {JSON} and {EVENT_STREAM} (Sending Messages, rule 2)")

    def asked(self, tool: str, client: Client, caller: Caller) -> None:
        """Note that a call was answered with questions."""
        record = self._of(reader_of(caller, client), caller)
        if len(record.asking) < MAX_NAMES:
            record.asking.add(tool)

    @staticmethod
    def _note_retry(record: Record, request: Request) -> None:
        retried = _retried(request)
        if retried.inputResponses is msgspec.UNSET:
            return
        stateful = retried.requestState is not msgspec.UNSET
        record.states_echoed += stateful
        if retried.name == _UNRELATED:
            record.find("inputResponses were sent with a call that had not asked (basic/patterns/mrtr)")
        elif retried.name == _NO_STATE and stateful:
            record.find("requestState was sent where none had been given (basic/patterns/mrtr)")
        elif retried.name in record.asking and not stateful:
            record.states_missing += 1
            record.find("requestState was not echoed with inputResponses (basic/patterns/mrtr)")

    def saw_get(self, headers: Headers, session: Session, caller: Caller) -> None:
        """Note a GET, and whether it comes back for a stream that was closed early."""
        record = self._of(session.id, caller)
        record.count("GET")
        last = headers.get("Last-Event-ID")
        record.last_event_ids += last is not None
        named = event_id(last or "")
        closed = None if named is None else record.hung_up.pop(named[0], None)
        if closed is None:
            return
        delay = self.now() - closed
        record.reconnect_delays = [*record.reconnect_delays, delay][-20:]
        if delay < _RETRY:
            record.find(
                f"Reconnected before the {_RETRY * 1000:g} ms that retry asked for (Sending Messages)"
            )

    def hung_up(self, session: Session, tag: str) -> None:
        """Note that the server has closed the connection of a stream early."""
        record = self._records.get(session.id)
        if record is not None:
            record.hung_up[tag] = self.now()
            while len(record.hung_up) > MAX_HUNG_UP:
                record.hung_up.popitem(last=False)

    def report(self, call: Call) -> Answer:
        """Return the record of the caller."""
        session = call.session
        key = call.reader if session is None else session.id
        record = self._records.get(key) or Record(owner="")
        result = ReportResult(
            client=call.client.name and mask_tokens(call.client.name),
            version=call.client.version and mask_tokens(call.client.version),
            seen_by=call.facts.store.node,
            requests=dict(record.requests),
            headers=sorted(record.headers),
            protocol_versions=sorted(record.versions),
            capabilities=sorted(call.client.capabilities),
            last_event_ids=record.last_event_ids,
            reconnect_delays=record.reconnect_delays,
            retry=_RETRY,
            states_echoed=record.states_echoed,
            states_missing=record.states_missing,
            mirrored_headers=record.mirrored,
            findings=[*record.findings, *self._not_resumed(record)],
        )
        return Answer(_text(result, call), result)

    def _not_resumed(self, record: Record) -> list[str]:
        """Return what to say of streams that the client has not come back for, though it was time to."""
        waiting = sum(self.now() - closed > _RETRY for closed in record.hung_up.values())
        if not waiting:
            return []
        return [
            f"{waiting} of the streams that the server closed early {'has' if waiting == 1 else 'have'} not "
            "been resumed with Last-Event-ID so far (Resumability and Redelivery)"
        ]


def _method(message: Message) -> str:
    return mask_tokens(message.method)[:100] if isinstance(message, Request | Notification) else "response"


def _retried(request: Request) -> _Retried:
    """Return the params of a request that may be sent again with answers."""
    try:
        return _read_retried(request.params)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Whatever is wrong with it, the ladder tells the client.
        return _Retried()


class ReportResult(msgspec.Struct, rename="camel"):
    """What conformanceReport answers; spans in seconds."""

    client: str | None
    version: str | None
    seen_by: str
    requests: dict[str, int]
    headers: list[str]
    protocol_versions: list[str]
    capabilities: list[str]
    last_event_ids: int
    reconnect_delays: list[float]
    retry: float
    states_echoed: int
    states_missing: int
    mirrored_headers: int
    findings: list[str]


def _text(result: ReportResult, call: Call) -> str:
    delays = ", ".join(milliseconds(delay) for delay in result.reconnect_delays) or "none"
    requests = ", ".join(f"{name} ×{count}" for name, count in result.requests.items())
    lines = [
        "📋 Client Conformance Report",
        "",
        f"- Client: {result.client or 'unknown'} {result.version or ''}".rstrip(),
        f"- Seen By: {result.seen_by}",
        *([f"- {SESSION_MADE}"] if call.outlet.session_made else []),
        f"- Requests: {requests or 'none before this one'}",
        f"- Headers Seen: {', '.join(result.headers)}",
        f"- Protocol Versions: {', '.join(result.protocol_versions) or 'none named'}",
        f"- Capabilities: {', '.join(result.capabilities) or 'none'}",
        f"- Reconnects After: {delays} (retry asks for {milliseconds(result.retry)})",
        f"- Last-Event-ID: {result.last_event_ids} times",
        f"- requestState: {result.states_echoed} echoed, {result.states_missing} missing",
        f"- Mirrored Mcp-Param Headers: {result.mirrored_headers}",
        *(f"- Finding: {finding}" for finding in result.findings),
        "",
        f"Verdict: {_verdict(result)}",
    ]
    return printable("\n".join(lines))


def _verdict(result: ReportResult) -> str:
    if result.findings:
        return "❌ see the findings above"
    return "✅ no rule that is looked at here was broken in these requests"


# The suite's client-mode tools.


class _Sum(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    a: Annotated[float, Meta(description="First number.")]
    b: Annotated[float, Meta(description="Second number.")]


def _add_numbers(_call: Call, arguments: _Sum) -> Answer:
    total = arguments.a + arguments.b
    return Answer(f"The sum of {arguments.a:g} and {arguments.b:g} is {total:g}", None)


_DEFAULTS = elicitation(
    "Accept the defaults.",
    {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "verified": {"type": "boolean", "default": True},
    },
)


async def _elicitation_defaults(call: Call, _: NoArguments) -> Answer:
    answer = await ask(call, "defaults", _DEFAULTS)
    return Answer(f"Elicitation completed: {shown(answer)}", None)


def _headers(call: Call, _: NoArguments) -> Answer:
    names = ", ".join(name for name, _ in call.headers)
    return Answer(printable(f"Headers of this request: {names}"), None)


def _mirrored(header: str, kind: Any) -> Any:
    return Annotated[kind, Meta(extra_json_schema={"x-mcp-header": header})]


class _CustomHeaders(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    region: _mirrored("Region", str)  # type: ignore[valid-type]
    priority: _mirrored("Priority", int)  # type: ignore[valid-type]
    verbose: _mirrored("Verbose", bool)  # type: ignore[valid-type]


class _CustomHeadersNull(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    region: _mirrored("Region", str | None) = None  # type: ignore[valid-type]


def _custom_headers(call: Call, arguments: Any) -> Answer:
    mirrored = (field for field in call.headers if field[0].lower().startswith("mcp-param-"))
    seen = {name: shown_header(call, name, value) for name, value in mirrored}
    return Answer(printable(f"Arguments {shown(arguments)} with headers {shown(seen)}"), None)


async def _echo_state(call: Call, _: NoArguments) -> Answer:
    answer = await ask(call, "user_name", ASK_NAME)
    state = "with" if call.outlet.since is not None else "without"
    return Answer(f"Hello {shown(answer.get('content'))}, {state} requestState", None)


async def _no_state(call: Call, _: NoArguments) -> Answer | WholeResult:
    """Ask without requestState, which a client must then not send back."""
    try:
        answer = await ask(call, "user_name", ASK_NAME)
    except InputRequired as asked:
        return WholeResult(resultType="input_required", inputRequests=input_requests(asked.requests))
    return Answer(f"Hello {shown(answer.get('content'))}", None)


def _no_result_type(_call: Call, _: NoArguments) -> WholeResult:
    return WholeResult(content=[text("A result without resultType")], isError=False, resultType=None)


_ILLEGAL = {
    "invalid_empty_header": {"type": "string", "x-mcp-header": ""},
    "invalid_space_in_header": {"type": "string", "x-mcp-header": "My Region"},
    "invalid_colon_in_header": {"type": "string", "x-mcp-header": "Region:"},
    "invalid_non_ascii_header": {"type": "string", "x-mcp-header": "Région"},
    "invalid_control_in_header": {"type": "string", "x-mcp-header": "Region\t1"},
    "invalid_header_on_number": {"type": "number", "x-mcp-header": "Amount"},
    "invalid_header_on_array": {"type": "array", "items": {"type": "string"}, "x-mcp-header": "Items"},
    "invalid_header_on_object": {"type": "object", "x-mcp-header": "Object"},
    "invalid_header_in_items": {"type": "array", "items": {"type": "string", "x-mcp-header": "Item"}},
    "invalid_header_not_string": {"type": "string", "x-mcp-header": 7},
}
"""Tool → the schema of its one argument, whose header annotation no client may accept."""


def _must_not_be_offered(call: Call, _arguments: msgspec.Struct) -> Answer:
    """Say what the call shows: clients of a revision with such annotations had to leave the tool out."""
    told = f"Revision {call.revision.name} has no header annotations, so that a client may offer this tool"
    if call.revision.stateless:
        told = "This tool was called, though its header annotation is illegal: a client has to leave it out"
    return Answer(told, None, is_error=call.revision.stateless)


class _Anything(msgspec.Struct, frozen=True):
    value: Any = None


def _illegal_tools() -> tuple[Tool[Any], ...]:
    return tuple(
        fixture(
            name,
            "Has an illegal header annotation: a modern client must not offer it.",
            _must_not_be_offered,
            _Anything,
            {"type": "object", "properties": {"value": schema}},
        )
        for name, schema in _ILLEGAL.items()
    )


class _User(msgspec.Struct, frozen=True):
    user: Any = None


_NETWORK_REF = {
    "type": "object",
    "properties": {"user": {"$ref": "https://schemas.invalid/user.json"}},
}
"""A reference that a client must not fetch by itself; the name can never resolve (RFC 2606)."""


class _Schema(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    schema: Annotated[dict[str, Any], Meta(description="The schema, as the client understood it.")]


def _schema_echo(_call: Call, arguments: _Schema) -> Answer:
    return Answer(shown(arguments.schema), None)


def add(offer: Offer) -> Offer:
    """Return ``offer`` with the client fixtures and the report."""
    observations = Observations()

    def report(call: Call, _: NoArguments) -> Answer:
        return observations.report(call)

    tools = (
        fixture("add_numbers", "Adds two numbers.", _add_numbers, _Sum),
        fixture("test_client_elicitation_defaults", "Asks with default values.", _elicitation_defaults),
        fixture("test_headers", "Names the headers of its request.", _headers),
        fixture("my-hyphenated-tool", "Has hyphens in its name.", says("Hyphens are fine in a name")),
        fixture("test_custom_headers", "Has three mirrored arguments.", _custom_headers, _CustomHeaders),
        fixture(
            "test_custom_headers_null",
            "Has a mirrored argument that may be null.",
            _custom_headers,
            _CustomHeadersNull,
        ),
        fixture("valid_tool", "Has a legal header annotation.", _custom_headers, _CustomHeadersNull),
        *_illegal_tools(),
        fixture("test_mrtr_echo_state", "Asks with state to echo.", _echo_state),
        fixture(_NO_STATE, "Asks without state.", _no_state),
        fixture(_UNRELATED, "Has nothing to do with earlier questions.", says("Nothing was asked here")),
        fixture("test_mrtr_no_result_type", "Answers without resultType.", _no_result_type),
        fixture("lookup_user", "Has a reference into the network.", says("Looked up"), _User, _NETWORK_REF),
        fixture("json_schema_echo", "Echoes the schema a client has understood.", _schema_echo, _Schema),
        Tool(
            "conformanceReport",
            "Client conformance report",
            "Reports what this client did: headers, reconnects, state, mirroring, capabilities.",
            NoArguments,
            ReportResult,
            report,
        ),
    )
    resource = Resource(
        "file:///path/to/file%20name.txt",
        "file name.txt",
        "A name with a space",
        "A resource whose URI has an escape.",
        lambda _: {"text": "A file that exists only here"},
        "text/plain",
    )
    prompt = Prompt("test_prompt", "Test prompt", "A prompt.", (), lambda *_: [user_message(text("Test."))])
    return replace(
        add_tools(offer, tools),
        resources={**offer.resources, resource.uri: resource},
        prompts={**offer.prompts, prompt.name: prompt},
        observer=observations,
    )
