"""What is said of a trace, or of the part of one that is a caller's own. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mcp_echo.protocol.texts import timestamp
from mcp_echo.watch.drills import drills_of
from mcp_echo.watch.findings import ClientName, Finding, Flow, Report
from mcp_echo.watch.flows import Flows
from mcp_echo.watch.judge import Judge
from mcp_echo.watch.records import ExchangeRecord, NodeChange, Record
from mcp_echo.watch.rules.rule import Level, Rule
from mcp_echo.watch.traces import Trace


def report_of(trace: Trace, now: float) -> Report:
    """Return what is known of a trace.

    Args:
        trace: The trace.
        now: Seconds of the wall clock, for what has not come by its deadline.
    """
    trace.judge.due(now)
    return _report(
        trace.records,
        trace.judge,
        now,
        flows=trace.flows.flows(now),
        about="trace",
        exchanges=trace.exchanges,
        dropped=trace.dropped,
        unrecorded=trace.unrecorded,
        nodes=tuple(each for each in trace.records if isinstance(each, NodeChange)),
        label=trace.label,
        begun=timestamp(trace.begun),
    )


def report_about(
    records: Sequence[Record], rules: Mapping[str, Rule], now: float, about: str, *, unrecorded: int = 0
) -> Report:
    """Return what some of the records of a trace say by themselves.

    Args:
        records: Those of one session, handle or principal, in order.
        rules: What they are held to.
        now: Seconds of the wall clock.
        about: What they are of; see `Report.about`.
        unrecorded: How many exchanges of it were only counted.
    """
    judge, flows = Judge(rules), Flows()
    for record in records:
        judge.see(record)
        flows.see(record)
    judge.due(now)
    exchanges = sum(isinstance(record, ExchangeRecord) for record in records)
    return _report(
        records,
        judge,
        now,
        flows=flows.flows(now),
        about=about,
        exchanges=exchanges + unrecorded,
        dropped=0,
        unrecorded=unrecorded,
    )


def _report(
    records: Sequence[Record],
    judge: Judge,
    now: float,
    *,
    exchanges: int,
    flows: tuple[Flow, ...],
    **more: object,
) -> Report:
    seen = [record for record in records if isinstance(record, ExchangeRecord)]
    named = next((each for each in reversed(seen) if each.client is not None), None)
    spoken = next((each for each in reversed(seen) if each.revision is not None), None)
    findings = judge.findings()
    return Report(
        client=None if named is None else ClientName(named.client, named.client_version),
        era=None if spoken is None else spoken.era,
        revision=None if spoken is None else spoken.revision,
        verdict=_verdict(findings, flows, exchanges),
        findings=findings,
        held=judge.held,
        held_rules=judge.held_rules,
        not_applicable=judge.not_applicable,
        exchanges=exchanges,
        flows=flows,
        drills=drills_of(records, findings, now),
        **more,  # type: ignore[arg-type]  # fields of the report
    )


def _verdict(findings: tuple[Finding, ...], flows: tuple[Flow, ...], exchanges: int) -> str:
    """Return the first thing to know, in a sentence or two."""
    if not exchanges:
        return "Nothing has come yet: point a client at the address."
    told = (
        _worst(findings, "error", "Something is wrong"),
        _way_in(flows),
        _worst(findings, "warning", "Something is worth a look"),
        f"Nothing is wrong in what was seen: {_counted(exchanges, 'exchange')}.",
    )
    return next(each for each in told if each is not None)


def _worst(findings: tuple[Finding, ...], level: Level, said: str) -> str | None:
    """Return what is said of the first open finding of a level; None without one."""
    some = [finding for finding in findings if finding.level == level and not finding.resolved]
    if not some:
        return None
    more = f" ({len(some) - 1} more)" if len(some) > 1 else ""
    times = f" ({some[0].count} times)" if some[0].count > 1 else ""
    return f"{said}: {some[0].summary}{times}.{more}"


def _way_in(flows: tuple[Flow, ...]) -> str | None:
    """Return how the newest flow of OAuth has ended, where that was not well: nothing comes after it."""
    newest = next((flow for flow in reversed(flows) if flow.kind == "oauth"), None)
    if newest is None or newest.state not in ("stopped", "failed"):
        return None
    is_in = any(step.step == "step-up" and step.state in ("missing", "failed") for step in newest.steps)
    return f"The client was not {'given more' if is_in else 'let in'}: {newest.verdict}."


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
