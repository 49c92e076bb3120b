"""What a client got wrong: createTrace, clientReport, flowTimeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from mcp_echo.auth import credentials
from mcp_echo.auth.proxies import Caller
from mcp_echo.faults.orders import FAULTS, MOST_ORDERS, CannotArm, Order, arm, check
from mcp_echo.http.urls import server_url
from mcp_echo.oauth.names import names_at
from mcp_echo.oauth.protection import PROTECTION, Algorithm, Consent
from mcp_echo.oauth.registration import KnownClient
from mcp_echo.oauth.wanted import (
    MOST_KNOWN,
    CannotProtect,
    ProtectionArguments,
    ServerWishes,
    protect,
    protected_as,
)
from mcp_echo.protocol.errors import TracesUnavailable
from mcp_echo.protocol.texts import moment, often
from mcp_echo.settings.table import Settings
from mcp_echo.tools.base import Answer, Call, Tool, ToolError
from mcp_echo.watch.findings import Finding, Report
from mcp_echo.watch.insight import Insight
from mcp_echo.watch.records import Record
from mcp_echo.watch.rules.rule import Level, reaches
from mcp_echo.watch.traces import Addresses, TooManyTraces, Trace, Wanted, addresses

_NOT_RECORDED = (
    "This address is not recorded. Call createTrace and use the address it returns, or "
    "start the server with --watch on."
)

ALONE = (
    "This report covers your own request alone: it belongs to no session, and no trusted proxy names you. "
    "Call createTrace, and use the address it returns."
)

TraceArgument = Annotated[
    str | None, Meta(description="From createTrace; else this address's trace, or your session.")
]

MOST_EXPECTED = 32
"""Headers that a trace can expect."""


class CreateTraceArguments(ProtectionArguments, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What createTrace takes."""

    label: Annotated[Annotated[str, Meta(max_length=100)] | None, Meta(description="A name for people.")] = (
        None
    )
    expect: Annotated[
        list[Annotated[str, Meta(max_length=100)]] | None,
        Meta(description="Headers to expect."),
    ] = None
    strict: Annotated[bool | None, Meta(description="Refuse what breaks a MUST or SHOULD.")] = None
    seconds: Annotated[
        Annotated[int, Meta(ge=1, le=604_800)] | None, Meta(description="How long it lasts.")
    ] = None

    faults: Annotated[list[dict[str, Any]] | None, Meta(description="Orders of faults.")] = None

    def orders(self) -> list[Order]:
        """Return what is ordered of it from the beginning.

        Raises:
            CannotArm: One is no order, or there are too many.
        """
        if len(self.faults or ()) > MOST_ORDERS:
            raise CannotArm(f"faults has {len(self.faults or ())} orders; {MOST_ORDERS} at most")
        try:
            return msgspec.convert(self.faults or [], list[Order])
        except msgspec.ValidationError as error:
            raise CannotArm(f"faults: {error}") from None


class TraceWishes(CreateTraceArguments, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What ``POST /t`` takes: the same, and what is seldom wanted."""

    consent: Consent | None = None
    clients: Annotated[list[KnownClient], Meta(max_length=MOST_KNOWN)] | None = None
    token_seconds: Annotated[int, Meta(ge=1, le=86_400)] | None = None
    algorithm: Algorithm | None = None

    @property
    def server(self) -> ServerWishes:
        """What its authorization server is to be like."""
        return ServerWishes(self.consent, self.clients, self.token_seconds, self.algorithm)


class ReportArguments(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What clientReport takes."""

    trace: TraceArgument = None
    level: Annotated[Level, Meta(description="The least level.")] = "info"


class ReportResult(msgspec.Struct, rename="camel"):
    """What clientReport answers: a `Report`, whose findings and flows are documented in docs/findings.md."""

    about: str
    verdict: str
    findings: list[dict[str, Any]]
    flows: list[dict[str, Any]]
    held: int
    not_applicable: int
    exchanges: int
    drills: list[dict[str, Any]] | None = None
    """What was hit by faults; None where nothing was."""


class TimelineArguments(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What flowTimeline takes."""

    trace: TraceArgument = None


class TimelineResult(msgspec.Struct, rename="camel"):
    """What flowTimeline answers."""

    verdict: str
    flows: list[dict[str, Any]]


class TooMuchExpected(ValueError):
    """A trace is to expect more headers than it may; the message says how many."""


async def made(
    insight: Insight, arguments: CreateTraceArguments, caller: Caller, settings: Settings
) -> Trace:
    """Make the trace that a caller wants.

    Raises:
        TooManyTraces: The caller has as many as one may have, or all together have.
        TooMuchExpected: It is to expect too many headers.
        TracesUnavailable: The store cannot be reached.
        CannotProtect: It is to be protected in a way that is not possible.
        CannotArm: It is to misbehave in a way that is not possible.
    """
    orders = arguments.orders()
    if orders and settings.faults == "off":
        raise CannotArm("faults cannot be ordered: MCP_ECHO_FAULTS is off")
    for order in orders:
        check(order)
    expected = tuple(arguments.expect or ())
    if len(expected) > MOST_EXPECTED:
        raise TooMuchExpected(f"expect names {len(expected)} headers; {MOST_EXPECTED} at most")
    protected = protected_as(arguments, settings, insight.tools, insight.clocks.wall())
    wanted = Wanted(arguments.label, expected, arguments.seconds, bool(arguments.strict))
    trace = await insight.make(wanted, caller)
    if protected is not None:
        # Nobody has been told of its address yet.
        await protect(insight.parts, trace, protected)
    if orders:
        now = insight.clocks.wall()
        await insight.parts.change(trace, FAULTS, lambda state: arm(state, orders, now))
    return trace


def told(trace: Trace, base: str) -> Addresses:
    """Return where a trace is, and where those learn more that have to bring a token.

    Args:
        trace: The trace.
        base: The address of the server, without a slash at its end.
    """
    where = addresses(trace, base)
    challenge = PROTECTION.read(trace).challenge
    if challenge == "off":
        return where
    names = names_at(base, f"/t/{trace.id}")
    where.metadata_url = names.resource_metadata
    where.mcp_url = names.resource
    where.issuer = names.issuer if challenge == "oauth" else None
    return where


async def create_trace(call: Call, arguments: CreateTraceArguments) -> Answer:
    """Make a trace.

    Raises:
        ToolError: The caller has as many as one may have, or expects too much.
    """
    insight = _insight(call)
    try:
        trace = await made(insight, arguments, call.caller(), call.context.settings)
    except (TooManyTraces, TooMuchExpected, CannotProtect, CannotArm, TracesUnavailable) as error:
        raise ToolError(str(error)) from None
    host = call.headers.get("Host")
    base = server_url(call.context.settings.public_url, host, secure=call.request.is_secure)
    result = told(trace, base)
    text = (
        "🔎 Trace Created\n\n"
        f"Point the client at: {result.mcp_url}\n"
        f"Read what it got wrong: {result.page_url}\n"
        f"To share, for reading only: {result.share_url}\n"
        f"Expires: {result.expires}\n"
        + ("Strict: what breaks a MUST or SHOULD is refused\n" if trace.strict else "")
        + f"{_protection_lines(result)}\n"
        "Whoever knows these addresses can use them."
    )
    return Answer(text, result)


def _protection_lines(where: Addresses) -> str:
    if where.metadata_url is None:
        return ""
    issuer = "" if where.issuer is None else f"Its authorization server: {where.issuer}\n"
    return f"It asks for a token; what it takes is said at: {where.metadata_url}\n{issuer}"


async def client_report(call: Call, arguments: ReportArguments) -> Answer:
    """Say what a client got wrong.

    Raises:
        ToolError: There is no such trace, or nothing is recorded.
    """
    report = await _report(call, arguments.trace)
    findings = tuple(each for each in report.findings if reaches(each.level, arguments.level))
    report = msgspec.structs.replace(report, findings=findings)
    lines = [
        f"📋 Client Report ({report.about})",
        "",
        report.verdict,
        *((ALONE,) if report.about == "exchange" else ()),
        *(line for finding in findings for line in _finding_lines(finding)),
        *(("",) if report.drills else ()),
        *(f"Fault {drill.fault} hit exchange {drill.exchange}: {drill.verdict}" for drill in report.drills),
        *(("",) if report.nodes else ()),
        *(f"Node {each.node} {each.kind} {moment(each.at)}" for each in report.nodes),
        "",
        f"Rules held: {report.held}; not applicable: {report.not_applicable}; exchanges: {report.exchanges}",
    ]
    return Answer("\n".join(lines), msgspec.convert(msgspec.to_builtins(report), ReportResult))


async def flow_timeline(call: Call, arguments: TimelineArguments) -> Answer:
    """Say what a client did, step by step, and which step never came.

    Raises:
        ToolError: There is no such trace, or nothing is recorded.
    """
    report = await _report(call, arguments.trace)
    lines = ["🧭 Flow Timeline", ""]
    for flow in report.flows:
        lines += [f"{flow.kind}, {flow.state}{', likely' if flow.likely else ''}: {flow.verdict}"]
        lines += [f"- {each.step}: {each.state} ({each.count})" for each in flow.steps]
    if not report.flows:
        lines.append("No flow has begun.")
    return Answer("\n".join(lines), TimelineResult(report.verdict, msgspec.to_builtins(report.flows)))


def _insight(call: Call) -> Insight:
    if call.context.insight is None:
        raise ToolError(
            "Nothing is recorded: the server was started with --watch off. Start it without that, and call "
            "createTrace."
        )
    return call.context.insight


async def _report(call: Call, named: str | None) -> Report:
    """Return the report on the trace that is named, that the call came by, or else on the caller itself."""
    if named is None:
        return (await own_record(call)).report
    insight = _insight(call)
    return insight.report(await _latest(insight, named))


class OwnRecord(NamedTuple):
    """What is known of a caller."""

    report: Report
    records: Sequence[Record]
    """What it is made of; without the request that asks."""


async def own_record(call: Call) -> OwnRecord:
    """Return what is known of the trace that a call came by, or at plain ``/mcp`` of its caller alone.

    Raises:
        ToolError: Nothing is recorded.
    """
    insight = _insight(call)
    seen = call.request.seen
    known = seen.trace or insight.plain
    if known is None:
        raise ToolError(_NOT_RECORDED)
    trace = await _latest(insight, known.id)
    if trace is not insight.plain:
        return OwnRecord(insight.report(trace), list(trace.records))
    own = _of_caller(call, insight, trace)
    token = credentials.read(call.headers.get("Authorization") or "").bearer
    if token is None or seen.subject is None:
        return own
    return own._replace(report=insight.with_way_in(own.report, trace, token))


def _of_caller(call: Call, insight: Insight, trace: Trace) -> OwnRecord:
    """Return what is known of the session of a call, its principal, or else of the call alone."""
    if call.session is not None:
        session = call.session.id
        records = insight.records_of_session(trace, session)
        return OwnRecord(insight.report_about_session(trace, session, "session"), records)
    principal = call.caller().principal
    if principal is not None:
        about = insight.report_about_principal(trace, principal)
        return OwnRecord(about, insight.records_of_principal(trace, principal))
    return OwnRecord(insight.report_about_exchange(call.request.seen, trace), ())


async def named_trace(call: Call, trace_id: str) -> Trace:
    """Return the trace of an id.

    Raises:
        ToolError: There is none, or nothing is recorded.
    """
    return await _latest(_insight(call), trace_id)


async def _latest(insight: Insight, trace_id: str) -> Trace:
    try:
        trace = await insight.latest(trace_id)
    except TracesUnavailable as error:
        raise ToolError(str(error)) from None
    if trace is not None:
        return trace
    ended = insight.traces.ended(trace_id)
    if ended is None:
        raise ToolError("There is no such trace. Call createTrace to make one.")
    raise ToolError(f"This trace has ended ({ended.reason}, {moment(ended.at)}). Call createTrace again.")


def _finding_lines(finding: Finding) -> list[str]:
    resolved = ", held since" if finding.resolved else ""
    lines = [
        "",
        f"{finding.level}: {finding.id} ({often(finding.count)}{resolved})",
        finding.summary,
        finding.advice,
    ]
    return lines if finding.rule.url is None else [*lines, finding.rule.url]


CREATE_TRACE = Tool(
    name="createTrace",
    title="Create trace",
    description="Return an address to point a client at. Call it to see what the client gets wrong.",
    arguments=CreateTraceArguments,
    result=Addresses,
    run=create_trace,
    read_only=False,
    idempotent=False,
)

CLIENT_REPORT = Tool(
    name="clientReport",
    title="Client report",
    description=(
        "Return the rules the client did not keep: found, wanted, where to read it. Call it when a client or "
        "gateway misbehaves."
    ),
    arguments=ReportArguments,
    result=ReportResult,
    run=client_report,
)

FLOW_TIMELINE = Tool(
    name="flowTimeline",
    title="Flow timeline",
    description="Return what the client did step by step. Call it to find the step that never came.",
    arguments=TimelineArguments,
    result=TimelineResult,
    run=flow_timeline,
)
