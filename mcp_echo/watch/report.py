"""What is said of a trace, or of the part of one that is a caller's own. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mcp_echo.protocol.texts import timestamp
from mcp_echo.watch.findings import ClientName, Finding, Report
from mcp_echo.watch.flows import Flows
from mcp_echo.watch.judge import Judge
from mcp_echo.watch.records import ExchangeRecord, Record
from mcp_echo.watch.rules.rule import Rule
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
        flows=trace.flows.flows(now),
        about="trace",
        exchanges=trace.exchanges,
        dropped=trace.dropped,
        unrecorded=trace.unrecorded,
        label=trace.label,
        begun=timestamp(trace.begun),
    )


def report_about(records: Sequence[Record], rules: Mapping[str, Rule], now: float, about: str) -> Report:
    """Return what some of the records of a trace say by themselves.

    Args:
        records: Those of one session, handle or principal, in order.
        rules: What they are held to.
        now: Seconds of the wall clock.
        about: What they are of; see `Report.about`.
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
        flows=flows.flows(now),
        about=about,
        exchanges=exchanges,
        dropped=0,
        unrecorded=0,
    )


def _report(records: Sequence[Record], judge: Judge, *, exchanges: int, **more: object) -> Report:
    seen = [record for record in records if isinstance(record, ExchangeRecord)]
    named = next((each for each in reversed(seen) if each.client is not None), None)
    spoken = next((each for each in reversed(seen) if each.revision is not None), None)
    findings = judge.findings()
    return Report(
        client=None if named is None else ClientName(named.client, named.client_version),
        era=None if spoken is None else spoken.era,
        revision=None if spoken is None else spoken.revision,
        verdict=_verdict(findings, exchanges),
        findings=findings,
        held=judge.held,
        held_rules=judge.held_rules,
        not_applicable=judge.not_applicable,
        exchanges=exchanges,
        **more,  # type: ignore[arg-type]  # fields of the report
    )


def _verdict(findings: tuple[Finding, ...], exchanges: int) -> str:
    """Return the first thing to know, in a sentence or two."""
    if not exchanges:
        return "Nothing has come yet: point a client at the address."
    open_ones = [finding for finding in findings if not finding.resolved]
    for level, word in (("error", "wrong"), ("warning", "worth a look")):
        some = [finding for finding in open_ones if finding.level == level]
        if some:
            more = f" ({len(some) - 1} more)" if len(some) > 1 else ""
            times = f" ({some[0].count} times)" if some[0].count > 1 else ""
            return f"Something is {word}: {some[0].summary}{times}.{more}"
    return f"Nothing is wrong in what was seen: {_counted(exchanges, 'exchange')}."


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
