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

from mcp_echo.conformance.core import ASK_NAME, add_tools, ask, elicitation, fixture, says, shown
from mcp_echo.offer import Offer
from mcp_echo.offer.prompts import Prompt, text, user_message
from mcp_echo.offer.resources import Resource
from mcp_echo.protocol.headers import Headers
from mcp_echo.protocol.jsonrpc import Message, Request
from mcp_echo.protocol.modern import read_meta
from mcp_echo.redaction import mask_tokens, printable
from mcp_echo.state.session import Session
from mcp_echo.tools.base import Answer, Call, InputRequired, NoArguments, Tool, WholeResult, input_requests
from mcp_echo.tools.headers import shown as shown_header
from mcp_echo.tools.texts import milliseconds

MAX_CLIENTS = 200
"""Clients that are remembered; the one seen least recently is forgotten for one more."""

MAX_FINDINGS = 50
"""Findings kept of one client."""

_BOTH = ("application/json", "text/event-stream")
_RETRY = 0.5
"""Seconds that the server's ``retry:`` asks clients to wait before they reconnect."""


@dataclass(slots=True)
class Record:
    """What one client has done."""

    requests: Counter[str] = field(default_factory=Counter)
    headers: set[str] = field(default_factory=set)
    versions: set[str] = field(default_factory=set)
    capabilities: set[str] = field(default_factory=set)
    last_event_ids: int = 0
    reconnect_delays: list[float] = field(default_factory=list)
    states_echoed: int = 0
    states_missing: int = 0
    mirrored: int = 0
    findings: OrderedDict[str, None] = field(default_factory=OrderedDict)
    hung_up: float | None = None

    def find(self, finding: str) -> None:
        """Note a rule that the client has not kept, once."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings[finding] = None


_UNRELATED = "test_mrtr_unrelated"


class _Retried(msgspec.Struct):
    name: str = ""
    inputResponses: Raw | msgspec.UnsetType = msgspec.UNSET
    requestState: Raw | msgspec.UnsetType = msgspec.UNSET


_read_retried = msgspec.json.Decoder(_Retried).decode


class Observations:
    """What clients have done, by session or, where there is none, by what the client calls itself."""

    def __init__(self) -> None:
        self._records: OrderedDict[str, Record] = OrderedDict()
        self.now: Callable[[], float] = lambda: 0.0

    def of(self, key: str) -> Record:
        """Return the record of one client."""
        record = self._records.setdefault(key, Record())
        self._records.move_to_end(key)
        while len(self._records) > MAX_CLIENTS:
            self._records.popitem(last=False)
        return record

    def saw_post(self, message: Message | list[Message], headers: Headers, session_id: str | None) -> None:
        """Note a POST."""
        if not isinstance(message, Request):
            if session_id is not None:
                self.of(session_id).requests[getattr(message, "method", "response")] += 1
            return
        key = session_id or _client_key(message)
        if key is None:
            return
        record = self.of(key)
        record.requests[mask_tokens(message.method)[:100]] += 1
        self._note_headers(record, headers, modern=session_id is None)
        self._note_retry(record, message)

    @staticmethod
    def _note_headers(record: Record, headers: Headers, *, modern: bool) -> None:
        record.headers.update(name[:100] for name, _ in headers if len(record.headers) < 100)
        version = headers.get("MCP-Protocol-Version")
        if version is not None:
            record.versions.add(version[:20])
        accept = headers.get("Accept") or ""
        if not all(media_type in accept for media_type in _BOTH):
            record.find(f"Accept does not list {' and '.join(_BOTH)} (Sending Messages, rule 2)")
        if version is None:
            record.find("MCP-Protocol-Version is missing after initialize (Protocol Version Header)")
        if modern and headers.get("Mcp-Method") is None:
            record.find("Mcp-Method is missing (Request Metadata)")
        record.mirrored += sum(name.lower().startswith("mcp-param-") for name, _ in headers)

    @staticmethod
    def _note_retry(record: Record, request: Request) -> None:
        if b'"inputResponses"' not in bytes(request.params):
            return
        try:
            retried = _read_retried(request.params)
        except msgspec.MsgspecError:
            return
        if retried.name == _UNRELATED:
            record.find("inputResponses were sent with a call that had not asked (basic/patterns/mrtr)")
        if retried.requestState is not msgspec.UNSET:
            record.states_echoed += 1
        elif retried.name != "test_mrtr_no_state":
            record.states_missing += 1
            record.find("requestState was not echoed with inputResponses (basic/patterns/mrtr)")

    def saw_get(self, headers: Headers, session: Session) -> None:
        """Note a GET."""
        record = self.of(session.id)
        record.requests["GET"] += 1
        resumes = headers.get("Last-Event-ID") is not None
        record.last_event_ids += resumes
        if record.hung_up is None:
            return
        delay, record.hung_up = self.now() - record.hung_up, None
        record.reconnect_delays = [*record.reconnect_delays, delay][-20:]
        if not resumes:
            record.find("The stream was not resumed with Last-Event-ID (Resumability and Redelivery)")
        if delay < _RETRY:
            record.find(
                f"Reconnected before the {_RETRY * 1000:g} ms that retry asked for (Sending Messages)"
            )

    def hung_up(self, session: Session) -> None:
        """Note that the server has closed a connection early."""
        self.of(session.id).hung_up = self.now()

    def report(self, call: Call) -> Answer:
        """Return the record of the caller."""
        record = self.of(call.session.id if call.session is not None else _key_of(call))
        capabilities = sorted(call.client.capabilities)
        result = ReportResult(
            client=call.client.name and mask_tokens(call.client.name),
            version=call.client.version and mask_tokens(call.client.version),
            requests=dict(record.requests),
            headers=sorted(record.headers),
            protocol_versions=sorted(record.versions),
            capabilities=capabilities,
            last_event_ids=record.last_event_ids,
            reconnect_delays=record.reconnect_delays,
            retry=_RETRY,
            states_echoed=record.states_echoed,
            states_missing=record.states_missing,
            mirrored_headers=record.mirrored,
            findings=list(record.findings),
        )
        return Answer(_text(result), result)


def _client_key(request: Request) -> str | None:
    try:
        info = read_meta(request.params).client_info
        described = {} if info is msgspec.UNSET else msgspec.json.decode(info)
    except Exception:
        # Whatever is wrong with it, the ladder tells the client; there is nobody to note it for.
        return None
    return f"{described.get('name')} {described.get('version')}" if isinstance(described, dict) else None


def _key_of(call: Call) -> str:
    return f"{call.client.name} {call.client.version}"


class ReportResult(msgspec.Struct, rename="camel"):
    """What conformanceReport answers; spans in seconds."""

    client: str | None
    version: str | None
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


def _text(result: ReportResult) -> str:
    delays = ", ".join(milliseconds(delay) for delay in result.reconnect_delays) or "none"
    requests = ", ".join(f"{name} ×{count}" for name, count in result.requests.items())
    lines = [
        "📋 Client Conformance Report",
        "",
        f"- Client: {result.client or 'unknown'} {result.version or ''}".rstrip(),
        f"- Requests: {requests}",
        f"- Headers Seen: {', '.join(result.headers)}",
        f"- Protocol Versions: {', '.join(result.protocol_versions) or 'none named'}",
        f"- Capabilities: {', '.join(result.capabilities) or 'none'}",
        f"- Reconnects After: {delays} (retry asks for {milliseconds(result.retry)})",
        f"- Last-Event-ID: {result.last_event_ids} times",
        f"- requestState: {result.states_echoed} echoed, {result.states_missing} missing",
        f"- Mirrored Mcp-Param Headers: {result.mirrored_headers}",
        *(f"- Finding: {finding}" for finding in result.findings),
        "",
        f"Verdict: {'✅ nothing to complain about' if not result.findings else '❌ see the findings above'}",
    ]
    return printable("\n".join(lines))


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


class _Anything(msgspec.Struct, frozen=True):
    value: Any = None


def _illegal_tools() -> tuple[Tool[Any], ...]:
    return tuple(
        fixture(
            name,
            "Has an illegal header annotation: a modern client must not offer it.",
            says("A client that can call this has not checked its annotations", is_error=True),
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
        fixture("test_mrtr_no_state", "Asks without state.", _no_state),
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
