"""What the command prints: a table for people, or one of the forms for programs. No I/O."""

from __future__ import annotations

from mcp_echo.protocol.jsonrpc import encode
from mcp_echo.watch.evidence.junit import junit
from mcp_echo.watch.evidence.sarif import sarif
from mcp_echo.watch.findings import Finding, Report

_INDENT = " " * 9


def printed(report: Report, form: str) -> bytes:
    """Return a report as it is printed.

    Args:
        report: What came of the checks.
        form: ``text``, ``json``, ``junit`` or ``sarif``.
    """
    if form == "text":
        return _text(report).encode()
    if form == "json":
        return encode(report)
    return (junit if form == "junit" else sarif)(report, ())


def _text(report: Report) -> str:
    lines = [report.verdict, ""]
    for each in report.findings:
        lines += _lines(each)
    if report.held_rules:
        lines += [f"{'held':<8} {each}" for each in report.held_rules]
    sent = "1 request was" if report.exchanges == 1 else f"{report.exchanges} requests were"
    lines += ["", f"{sent} sent; {report.not_applicable} checks did not apply."]
    return "\n".join(lines)


def _lines(finding: Finding) -> list[str]:
    times = "" if finding.count == 1 else f" ({finding.count} times)"
    lines = [f"{finding.level:<8} {finding.id}{times}", f"{_INDENT}{finding.summary}"]
    if finding.level != "info":
        shown = finding.evidence[0]
        if shown.wanted is not None:
            lines.append(f"{_INDENT}found: {shown.found}; wanted: {shown.wanted}")
        lines += [f"{_INDENT}{finding.advice}", f"{_INDENT}{finding.rule.url}"]
    return lines
