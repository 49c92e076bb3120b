"""Which exchanges of a trace are shown to who asks for some of them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from mcp_echo.protocol.errors import InvalidRequest
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.rule import LEVELS, Level, reaches
from mcp_echo.watch.rules.table import RULES
from mcp_echo.watch.traces import Trace

MOST_SHOWN = 1000
"""Exchanges of one answer."""


def exchanges_of(trace: Trace, query: bytes) -> dict[str, Any]:
    """Return what ``GET …/exchanges`` answers.

    Args:
        trace: The trace.
        query: ``after``, the number of the last record that is known; ``q``, a text; ``level``, the least
            level of a finding.

    Raises:
        InvalidRequest: A parameter is not what it should be.
    """
    asked = parse_qs(query.decode("latin-1"))
    after = number_of((asked.get("after") or ["0"])[0])
    wanted = (asked.get("q") or [""])[0].lower()
    least = _level(asked["level"][0]) if "level" in asked else None
    found = (each for each in trace.records if isinstance(each, ExchangeRecord) and each.number > after)
    shown = [each for each in found if _matches(each, wanted) and _has_finding(each, least)]
    return {"exchanges": shown[:MOST_SHOWN], "dropped": trace.dropped, "unrecorded": trace.unrecorded}


def number_of(text: str) -> int:
    """Return the number of a record.

    Raises:
        InvalidRequest: It is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise InvalidRequest("Invalid request: after, exchange and Last-Event-ID are the number of a record")
    return int(text)


def _level(text: str) -> Level:
    if text not in LEVELS:
        raise InvalidRequest(f"Invalid request: level is one of {', '.join(LEVELS)}")
    return text


def _has_finding(record: ExchangeRecord, least: Level | None) -> bool:
    """Return whether a record has a finding that weighs so much; None asks for none."""
    return least is None or any(reaches(RULES[each].level, least) for each in record.findings)


def _matches(record: ExchangeRecord, wanted: str) -> bool:
    """Return whether a record has a text in what a list of exchanges shows of it."""
    if not wanted:
        return True
    shown = [record.http_method, record.path, record.client or "", str(record.status or "")]
    shown += [f"{each.method or ''} {each.name or ''}" for each in record.messages]
    return wanted in " ".join(shown).lower()
