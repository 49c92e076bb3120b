"""The forms of evidence, by the ending of the address that they are fetched from. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from mcp_echo.watch.evidence.as_json import as_json
from mcp_echo.watch.evidence.har import har
from mcp_echo.watch.evidence.junit import junit
from mcp_echo.watch.evidence.markdown import markdown
from mcp_echo.watch.evidence.sarif import sarif
from mcp_echo.watch.findings import Report
from mcp_echo.watch.records import Record


class EvidenceForm(NamedTuple):
    """A form of evidence."""

    content_type: str
    """What ``Content-Type`` says of it."""
    write: Callable[[Report, Sequence[Record]], bytes]
    """Writes it; the records are in order, the oldest first."""


EVIDENCE: dict[str, EvidenceForm] = {
    "md": EvidenceForm("text/markdown; charset=utf-8", markdown),
    "json": EvidenceForm("application/json", as_json),
    "har": EvidenceForm("application/json", har),
    "sarif": EvidenceForm("application/sarif+json", sarif),
    "junit": EvidenceForm("application/xml; charset=utf-8", junit),
}
"""Ending → form: ``evidence.md`` and so on."""
