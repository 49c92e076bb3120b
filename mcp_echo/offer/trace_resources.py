"""Resources about what clients got wrong: the catalogue of findings, and each trace for who knows its id."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from mcp_echo.offer.resources import Content, Resource, Template, json_content, no_resource
from mcp_echo.protocol.errors import TracesUnavailable
from mcp_echo.sessions.subscriptions import Subscriptions
from mcp_echo.tools.base import Call, ServerContext
from mcp_echo.watch.evidence.formats import EVIDENCE
from mcp_echo.watch.findings import Report
from mcp_echo.watch.insight import Insight
from mcp_echo.watch.rules.table import RULES
from mcp_echo.watch.traces import Trace, is_key

FINDINGS_URI = "echo://findings"
TRACE_URI = "echo://trace/{trace}"

Show = Callable[[Trace, Report], Content]


def news_of_traces(subscriptions: Subscriptions) -> Callable[[Trace], None]:
    """Return what tells everybody who asked that a trace has changed, and so all that shows it."""

    def tell(trace: Trace) -> None:
        for template in TRACE_TEMPLATES:
            subscriptions.resource_updated(template.uri.format(trace=trace.id))

    return tell


def _catalogue(_: Call) -> Content:
    return json_content({"findings": [rule.described() for rule in RULES.values()]})


def _report(_: Trace, report: Report) -> Content:
    return json_content(report)


def _timeline(_: Trace, report: Report) -> Content:
    return json_content({"verdict": report.verdict, "flows": report.flows})


def _evidence(ending: str) -> Show:
    def show(trace: Trace, report: Report) -> Content:
        return {"text": EVIDENCE[ending].write(report, list(trace.records)).decode()}

    return show


def _is_there(context: ServerContext, trace_id: str) -> bool:
    """Return whether there is a trace, or may be one in a store.

    The store is asked for it, so that this process hears of its changes.
    """
    insight = context.insight
    if insight is None:
        return False
    if insight.traces.find(trace_id) is not None:
        return True
    if not (insight.store.is_shared and is_key(trace_id)) or insight.traces.ended(trace_id) is not None:
        return False
    context.spawn(_watched(insight, trace_id))
    return True


async def _watched(insight: Insight, trace_id: str) -> None:
    with suppress(TracesUnavailable):
        await insight.store.find(trace_id)


def _template(ending: str, title: str, description: str, show: Show) -> Template:
    uri = f"{TRACE_URI}{ending}"

    async def read(call: Call, trace_id: str) -> Content:
        insight = call.context.insight
        trace = None if insight is None else await insight.latest(trace_id)
        if insight is None or trace is None:
            raise no_resource(uri.format(trace=trace_id))
        return show(trace, insight.report(trace))

    kind = "text/markdown" if ending.endswith(".md") else "application/json"
    name = f"trace{ending.replace('/', '-').replace('.', '-')}"
    return Template(uri, name, title, description, read, kind, _is_there)


TRACE_RESOURCES = {
    FINDINGS_URI: Resource(
        FINDINGS_URI,
        "findings",
        "Findings",
        "Every rule that clients are held to: how bad it is to break it, what to do, where it is written. "
        "Read it to look up the id of a finding.",
        _catalogue,
    )
}

TRACE_TEMPLATES = (
    _template(
        "",
        "Trace",
        "What a client got wrong at the address of createTrace. Read it when a client misbehaves; "
        "subscribe to hear of new findings.",
        _report,
    ),
    _template(
        "/timeline",
        "Timeline of a trace",
        "What a client did step by step. Read it to find the step that never came.",
        _timeline,
    ),
    _template(
        "/evidence.md",
        "Evidence of a trace",
        "Findings and exchanges as Markdown. Read it to paste into an issue.",
        _evidence("md"),
    ),
    _template(
        "/evidence.json",
        "Evidence of a trace, for programs",
        "Findings and exchanges as JSON. Read it to keep or compare them.",
        _evidence("json"),
    ),
)
