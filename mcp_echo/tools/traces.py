"""What a client got wrong: createTrace, clientReport, flowTimeline."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mcp_echo.auth.proxies import Caller
from mcp_echo.http.urls import server_url
from mcp_echo.protocol.texts import moment
from mcp_echo.tools.base import Answer, Call, Tool, ToolError
from mcp_echo.watch.findings import Finding, Report
from mcp_echo.watch.insight import Insight
from mcp_echo.watch.rules.rule import Level, reaches
from mcp_echo.watch.traces import Addresses, TooManyTraces, Trace, Wanted, addresses

_NOT_RECORDED = (
    "Nothing that comes to this address is recorded. Call createTrace and use the address it returns, or "
    "start the server with --watch on."
)

_ALONE = (
    "This is about your own request alone: it is of no session, and nobody vouches for who you are. Call "
    "createTrace, and use the address it returns."
)

TraceArgument = Annotated[
    str | None, Meta(description="From createTrace; else this address's trace, or your session.")
]

MOST_EXPECTED = 32
"""Headers that a trace can expect."""


class CreateTraceArguments(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What createTrace takes."""

    label: Annotated[Annotated[str, Meta(max_length=100)] | None, Meta(description="A name for people.")] = (
        None
    )
    expect: Annotated[
        list[Annotated[str, Meta(max_length=100)]] | None,
        Meta(description="Headers each request should bring."),
    ] = None
    seconds: Annotated[
        Annotated[int, Meta(ge=1, le=604_800)] | None, Meta(description="How long it lasts.")
    ] = None


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


class TimelineArguments(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What flowTimeline takes."""

    trace: TraceArgument = None


class TimelineResult(msgspec.Struct, rename="camel"):
    """What flowTimeline answers."""

    verdict: str
    flows: list[dict[str, Any]]


class TooMuchExpected(ValueError):
    """A trace is to expect more headers than it may; the message says how many."""


def planned(insight: Insight, arguments: CreateTraceArguments, caller: Caller) -> Trace:
    """Return the trace that a caller wants, which is not there before it is added.

    Raises:
        TooManyTraces: The caller has as many as one may have.
        TooMuchExpected: It is to expect too many headers.
    """
    expected = tuple(arguments.expect or ())
    if len(expected) > MOST_EXPECTED:
        raise TooMuchExpected(f"expect names {len(expected)} headers; {MOST_EXPECTED} at most")
    return insight.plan(Wanted(arguments.label, expected, arguments.seconds), caller)


def create_trace(call: Call, arguments: CreateTraceArguments) -> Answer:
    """Make a trace.

    Raises:
        ToolError: The caller has as many as one may have, or expects too much.
    """
    insight = _insight(call)
    try:
        trace = planned(insight, arguments, call.caller())
    except (TooManyTraces, TooMuchExpected) as error:
        raise ToolError(str(error)) from None
    call.effects.then(insight.traces.add, trace)
    host = call.headers.get("Host")
    base = server_url(call.context.settings.public_url, host, secure=call.request.is_secure)
    result = addresses(trace, base)
    text = (
        "🔎 Trace Created\n\n"
        f"Point the client at: {result.mcp_url}\n"
        f"Read what it got wrong: {result.page_url}\n"
        f"To share, for reading only: {result.share_url}\n"
        f"Expires: {result.expires}\n\n"
        "Whoever knows these addresses can use them."
    )
    return Answer(text, result)


def client_report(call: Call, arguments: ReportArguments) -> Answer:
    """Say what a client got wrong.

    Raises:
        ToolError: There is no such trace, or nothing is recorded.
    """
    report = _report(call, arguments.trace)
    findings = tuple(each for each in report.findings if reaches(each.level, arguments.level))
    report = msgspec.structs.replace(report, findings=findings)
    lines = [
        f"📋 Client Report ({report.about})",
        "",
        report.verdict,
        *((_ALONE,) if report.about == "exchange" else ()),
        *(line for finding in findings for line in _finding_lines(finding)),
        "",
        f"Rules held: {report.held}; not applicable: {report.not_applicable}; exchanges: {report.exchanges}",
    ]
    return Answer("\n".join(lines), msgspec.convert(msgspec.to_builtins(report), ReportResult))


def flow_timeline(call: Call, arguments: TimelineArguments) -> Answer:
    """Say what a client did, step by step, and which step never came.

    Raises:
        ToolError: There is no such trace, or nothing is recorded.
    """
    report = _report(call, arguments.trace)
    lines = ["🧭 Flow Timeline", ""]
    for flow in report.flows:
        lines += [f"{flow.kind}, {flow.state}: {flow.verdict}"]
        lines += [f"- {each.step}: {each.state} ({each.count})" for each in flow.steps]
    if not report.flows:
        lines.append("No flow has begun.")
    return Answer("\n".join(lines), TimelineResult(report.verdict, msgspec.to_builtins(report.flows)))


def _insight(call: Call) -> Insight:
    if call.context.insight is None:
        raise ToolError("There are no traces: the server was started with --watch off.")
    return call.context.insight


def _report(call: Call, named: str | None) -> Report:
    """Return the report on the trace that is named, that the call came by, or else on the caller itself."""
    insight = _insight(call)
    if named is not None:
        return insight.report(_named(insight, named))
    seen = call.request.seen
    trace: Trace | None = seen.trace
    if trace is None:
        raise ToolError(_NOT_RECORDED)
    if trace is not insight.plain:
        return insight.report(trace)
    if call.session is not None:
        return insight.report_about_session(trace, call.session.id, "session")
    principal = call.caller().principal
    if principal is not None:
        return insight.report_about_principal(trace, principal)
    return insight.report_about_exchange(seen, trace)


def _named(insight: Insight, trace_id: str) -> Trace:
    trace = insight.traces.find(trace_id)
    if trace is not None:
        return trace
    ended = insight.traces.ended(trace_id)
    if ended is None:
        raise ToolError("There is no such trace. Call createTrace to make one.")
    raise ToolError(f"This trace has ended ({ended.reason}, {moment(ended.at)}). Call createTrace again.")


def _finding_lines(finding: Finding) -> list[str]:
    times = "once" if finding.count == 1 else f"{finding.count} times"
    resolved = ", held since" if finding.resolved else ""
    lines = ["", f"{finding.level}: {finding.id} ({times}{resolved})", finding.summary, finding.advice]
    return lines if finding.rule.url is None else [*lines, finding.rule.url]


CREATE_TRACE = Tool(
    name="createTrace",
    title="Create trace",
    description=(
        "Make an address to point a client at, and return it. Call it to see what the client gets wrong."
    ),
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
