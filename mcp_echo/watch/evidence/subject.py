"""The very line that a finding is about. No I/O."""

from __future__ import annotations

from collections.abc import Mapping

from mcp_echo.watch.evidence.veil import LONGEST_SENTENCE
from mcp_echo.watch.evidence.wire import header_line
from mcp_echo.watch.findings import Finding
from mcp_echo.watch.records import ExchangeRecord


def line_of(finding: Finding, exchanges: Mapping[int, ExchangeRecord]) -> str | None:
    """Return the line that the subject of a finding names.

    Args:
        finding: The finding.
        exchanges: Number → exchange.

    Returns:
        The line as it was sent, secrets masked; None where the subject names none, or it is not kept or is
        very long.
    """
    shown = [each for each in finding.evidence if each.exchange in exchanges]
    if not shown:
        return None
    line = _line(finding.subject, exchanges[shown[-1].exchange])
    if line is None or len(line) > LONGEST_SENTENCE:
        return None
    # The subject is that of the last occurrence, and evidence is kept of the first ones.
    is_last = finding.count <= len(finding.evidence)
    return line if is_last or (shown[-1].found or "\n") in line else None


def _line(subject: str, exchange: ExchangeRecord) -> str | None:
    kind, _, name = subject.partition(":")
    if kind == "header" and name.isdecimal() and len(name) < 10:
        return header_line(exchange, int(name))
    if kind == "query":
        return next((f"{key}={value}" for key, value in exchange.query if key == name), None)
    return None
