"""Evidence for code scanning: SARIF 2.1.0, one run with a result for each finding. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.json import encode

from mcp_echo import __version__
from mcp_echo.watch.evidence.room import FOR_FINDINGS, first_that_fit
from mcp_echo.watch.evidence.veil import veiled
from mcp_echo.watch.findings import Evidence, Finding, Report
from mcp_echo.watch.records import Record
from mcp_echo.watch.rules.rule import Level

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_LEVELS: dict[Level, str] = {"error": "error", "warning": "warning", "info": "note"}


def sarif(report: Report, records: Sequence[Record]) -> bytes:
    """Return the findings as SARIF.

    Args:
        report: The report.
        records: What it is about; SARIF has the findings alone.
    """
    report, _ = veiled(report, records)
    findings = report.findings
    fit = len(first_that_fit(findings, lambda each: encode([_rule(each), _result(each, 0)]), FOR_FINDINGS))
    driver = {"name": "mcp-echo", "version": __version__, "rules": [_rule(each) for each in findings[:fit]]}
    run = {
        "tool": {"driver": driver},
        "results": [_result(each, place) for place, each in enumerate(findings[:fit])],
        "properties": {
            "verdict": report.verdict,
            "held": report.held,
            "notApplicable": report.not_applicable,
            "findingsCut": len(findings) - fit,
        },
    }
    return encode({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(finding: Finding) -> dict[str, Any]:
    rule = finding.rule
    described = {
        "id": finding.id,
        "shortDescription": {"text": rule.title},
        "help": {"text": finding.advice},
        "defaultConfiguration": {"level": _LEVELS[finding.level]},
        "properties": {"keyword": rule.keyword, "conformance": rule.conformance},
    }
    return described if rule.url is None else {**described, "helpUri": rule.url}


def _result(finding: Finding, place: int) -> dict[str, Any]:
    return {
        "ruleId": finding.id,
        "ruleIndex": place,
        "level": _LEVELS[finding.level],
        # A viewer makes a link of [text](address) in a message (section 3.11.6).
        "message": {"text": finding.summary.replace("](", "] (")},
        "locations": [_location(each, finding.subject) for each in finding.evidence],
        "occurrenceCount": finding.count,
        "properties": {
            "confidence": finding.confidence,
            "resolved": finding.resolved,
            "first": finding.first,
            "last": finding.last,
            "revision": finding.revision,
        },
    }


def _location(evidence: Evidence, subject: str) -> dict[str, Any]:
    """Return where it was seen: viewers ask for a file, which an exchange stands for."""
    name = f"exchanges/{evidence.exchange}"
    return {
        "physicalLocation": {"artifactLocation": {"uri": name}, "region": {"startLine": 1}},
        "logicalLocations": [{"name": subject or name, "fullyQualifiedName": f"{name}#{subject}"}],
        "properties": {
            "found": evidence.found,
            "wanted": evidence.wanted,
            "differsIn": list(evidence.differs_in),
        },
    }
