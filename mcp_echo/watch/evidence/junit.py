"""Evidence for CI: JUnit's XML, with a test case for each rule that applied. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from mcp_echo import __version__
from mcp_echo.watch.evidence.room import FOR_FINDINGS, first_that_fit
from mcp_echo.watch.evidence.veil import veiled
from mcp_echo.watch.findings import Finding, Report
from mcp_echo.watch.records import Record

_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What no XML 1.0 document may have (section 2.2)."""

_SUITE = "mcp-echo"


def junit(report: Report, records: Sequence[Record]) -> bytes:
    """Return the findings as JUnit's XML: errors and warnings are failures.

    Args:
        report: The report.
        records: What it is about; JUnit has the findings alone.
    """
    report, _ = veiled(report, records)
    fit = len(first_that_fit(report.findings, lambda each: _written(_broken(each)), FOR_FINDINGS))
    shown = [*map(_broken, report.findings[:fit]), *map(_case, report.held_rules)]
    failures = sum(case.find("failure") is not None for case in shown)
    suite = Element("testsuite", name=_SUITE, tests=str(len(shown)), failures=str(failures), errors="0")
    _properties(suite, _facts(report, len(report.findings) - fit))
    suite.extend(shown)
    suites = Element("testsuites")
    suites.append(suite)
    return _written(suites)


def _written(element: Element) -> bytes:
    written: bytes = tostring(element, encoding="utf-8", xml_declaration=True)
    return written


def _facts(report: Report, cut: int) -> dict[str, str | None]:
    client = report.client
    return {
        "verdict": report.verdict,
        "client": None if client is None else client.name,
        "clientVersion": None if client is None else client.version,
        "revision": report.revision,
        "held": str(report.held),
        "notApplicable": str(report.not_applicable),
        "findingsCut": str(cut),
        "mcpEchoVersion": __version__,
    }


def _case(rule: str) -> Element:
    return Element("testcase", classname=_SUITE, name=_text(rule))


def _broken(finding: Finding) -> Element:
    case = _case(finding.id)
    facts = {
        "level": finding.level,
        "confidence": finding.confidence,
        "count": str(finding.count),
        "resolved": str(finding.resolved).lower(),
        "revision": finding.revision,
        "rule": finding.rule.url,
        "conformance": finding.rule.conformance,
    }
    _properties(case, facts)
    if finding.level == "info":
        SubElement(case, "system-out").text = _text(_told(finding))
    else:
        failure = SubElement(case, "failure", type=finding.level, message=_text(finding.summary))
        failure.text = _text(_told(finding))
    return case


def _told(finding: Finding) -> str:
    seen = [
        f"exchange {each.exchange}: found {each.found!r}, wanted {each.wanted!r}" for each in finding.evidence
    ]
    return "\n".join([finding.summary, finding.advice, finding.rule.url or finding.rule.title, *seen])


def _properties(parent: Element, facts: dict[str, str | None]) -> None:
    properties = SubElement(parent, "properties")
    for name, value in facts.items():
        if value is not None:
            SubElement(properties, "property", name=name, value=_text(value))


def _text(text: str) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
