"""The report of a drill plan, to paste into an issue: what was ordered, and what the client did. No I/O.

It is masked as evidence is: see `mcp_echo.watch.evidence.veil` and `mcp_echo.watch.evidence.markup`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from mcp_echo import __version__
from mcp_echo.redaction import cut
from mcp_echo.watch.drills import asked_for
from mcp_echo.watch.evidence.markdown import client_named
from mcp_echo.watch.evidence.markup import code, fence, link, prose
from mcp_echo.watch.evidence.room import first_that_fit
from mcp_echo.watch.evidence.veil import veiled
from mcp_echo.watch.evidence.wire import answer_head, request_head
from mcp_echo.watch.findings import Drill, Finding, Report, RuleLink
from mcp_echo.watch.records import ExchangeRecord, Record

MOST = 60_000
"""Bytes of a report: an issue on GitHub takes 65,536 characters."""

_FOR_NOTES = 4096
"""Bytes that the head and what is said of cuts may take."""

_MOST_LINES = 30
"""Header lines of a request or an answer that are shown."""

_LONGEST_LINE = 500
"""Characters of one of them."""

Links = Mapping[str, RuleLink]
"""Id of a finding → where its rule is from."""


class Planned(NamedTuple):
    """One order of a plan, as far as it is told of."""

    number: int
    fault: str
    """The kind of the fault, and its variant."""
    state: str
    """What has become of it: ``armed``, ``over``, ``expired`` …"""


def drill_report(
    report: Report, records: Sequence[Record], plan: str = "", orders: Sequence[Planned] = ()
) -> bytes:
    """Return what came of a plan as Markdown, in UTF-8.

    Args:
        report: On the trace.
        records: Of the trace, the oldest first.
        plan: The name of the plan; empty for every order of the trace.
        orders: Those that are to be told of, with or without hits; none for all that have hit something.
    """
    report, records = veiled(report, records)
    exchanges = {each.number: each for each in records if isinstance(each, ExchangeRecord)}
    links = {finding.id: finding.rule for finding in report.findings}
    sections = list(_sections(report.drills, exchanges, links, orders))
    pieces = first_that_fit(sections, str.encode, MOST - _FOR_NOTES)
    parts = [_head(report, plan, orders).encode(), *pieces]
    if len(pieces) < len(sections):
        parts.append(f"*The last {len(sections) - len(pieces)} are left out, to save room.*".encode())
    parts += _findings(report.findings, report.drills, MOST - sum(len(part) + 2 for part in parts))
    return b"\n\n".join(parts) + b"\n"


def _head(report: Report, plan: str, orders: Sequence[Planned]) -> str:
    spoken = f"{report.era or 'unknown'}, revision {code(report.revision) if report.revision else 'unknown'}"
    hit = len({drill.order for drill in _wanted(report.drills, orders)})
    said = f"{hit} of {len(orders)} orders hit something" if orders else f"{hit} hit something"
    facts = [f"**Drill:** {code(plan) if plan else 'orders'}; {said}", ""]
    if report.label:
        facts.append(f"- Trace: {code(report.label)}")
    facts += [
        f"- Client: {client_named(report.client)}",
        f"- Era: {spoken}",
        f"- Seen by: mcp-echo {__version__}; secrets are masked",
    ]
    return "\n".join(facts)


def _wanted(drills: Iterable[Drill], orders: Sequence[Planned]) -> list[Drill]:
    numbers = {each.number for each in orders}
    return [drill for drill in drills if not orders or drill.order in numbers]


def _sections(
    drills: Sequence[Drill], exchanges: Mapping[int, ExchangeRecord], links: Links, orders: Sequence[Planned]
) -> Iterator[str]:
    hit = _wanted(drills, orders)
    told = {drill.order for drill in hit}
    for order in orders:
        if order.number in told:
            yield from (_section(each, exchanges, links) for each in hit if each.order == order.number)
        else:
            yield f"## Order {order.number}: {code(order.fault)}\n\nIt has hit nothing: it is {order.state}."
    if not orders:
        yield from (_section(each, exchanges, links) for each in hit)


def _section(drill: Drill, exchanges: Mapping[int, ExchangeRecord], links: Links) -> str:
    order = f"Order {drill.order}: " if drill.order is not None else ""
    status = "no answer" if drill.status is None else str(drill.status)
    hit, then = exchanges.get(drill.exchange), exchanges.get(drill.shown or 0)
    lines = [
        f"## {order}{code(drill.fault)}",
        "",
        f"{code(drill.verdict)}",
        "",
        f"- What was hit: exchange {drill.exchange}, {code(drill.request)} → {status}, at {code(drill.at)}",
        f"- What the client did: {drill.outcome}{_by(drill, then)}",
        f"- Rules that it broke: {', '.join(_rule(each, links) for each in drill.findings) or 'none seen'}",
    ]
    if hit is not None and answer_head(hit):
        lines += ["", "What it was sent:", "", fence(_cut(answer_head(hit)), "http")]
    if then is not None and then is not hit:
        lines += ["", "What it sent then:", "", fence(_cut(request_head(then)), "http")]
    return "\n".join(lines)


def _by(drill: Drill, then: ExchangeRecord | None) -> str:
    shown = "" if drill.shown in (None, drill.exchange) else f", exchange {drill.shown}"
    if shown and then is not None:
        shown += f", {code(asked_for(then))}"
    return shown if drill.milliseconds is None else f"{shown}, after {drill.milliseconds:,} ms"


def _rule(rule: str, links: Links) -> str:
    url = links[rule].url if rule in links else None
    return code(rule) if url is None else link(rule, url)


def _cut(lines: Sequence[str]) -> list[str]:
    shown = [cut(line, _LONGEST_LINE) for line in lines[:_MOST_LINES]]
    return shown if len(lines) <= _MOST_LINES else [*shown, f"({len(lines) - _MOST_LINES} more lines)"]


def _findings(findings: Iterable[Finding], drills: Iterable[Drill], room: int) -> list[bytes]:
    """Return what the rules say that were broken in answer to a fault."""
    ids = {rule for drill in drills for rule in drill.findings}
    said = [
        f"- {finding.level.capitalize()}: {code(finding.id)}: {code(finding.summary)}."
        f" {prose(finding.advice)}"
        for finding in findings
        if finding.id in ids
    ]
    heading = b"## Findings"
    pieces = first_that_fit(said, str.encode, room - len(heading) - 4)
    return [heading, b"\n".join(pieces)] if pieces else []
