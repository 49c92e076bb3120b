"""Evidence for programs, in the form that ``docs/evidence.schema.json`` describes. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from msgspec.json import encode

from mcp_echo import __version__
from mcp_echo.watch.evidence.room import (
    FOR_DRILLS,
    FOR_FINDINGS,
    FOR_FLOWS,
    MOST,
    first_that_fit,
    last_that_fit,
)
from mcp_echo.watch.evidence.veil import veiled
from mcp_echo.watch.findings import Report
from mcp_echo.watch.records import (
    ExchangeRecord,
    NodeChange,
    ProbeRecord,
    Record,
    SentRecord,
    SessionChange,
    StreamRecord,
)

_FOR_NOTES = 4096
"""Bytes of what stands around the records."""


class Cut(msgspec.Struct, kw_only=True, frozen=True):
    """What was left out for want of room: the oldest records, flows and drills, the last findings."""

    exchanges: int = 0
    streams: int = 0
    sessions: int = 0
    sent: int = 0
    nodes: int = 0
    probes: int = 0
    flows: int = 0
    drills: int = 0
    findings: int = 0


class EvidenceFile(msgspec.Struct, kw_only=True, frozen=True):
    """What mcp-echo has seen of a client: a report, and the records it is made from."""

    format: Literal["mcp-echo-evidence-1"] = "mcp-echo-evidence-1"
    """Names the form; another one is another number."""
    version: str
    """Of mcp-echo."""
    cut: Cut = Cut()
    report: Report
    exchanges: Sequence[ExchangeRecord] = ()
    """Each HTTP request with its answer, the oldest first."""
    streams: Sequence[StreamRecord] = ()
    """What happened to event streams."""
    sessions: Sequence[SessionChange] = ()
    """Which sessions began and ended."""
    sent: Sequence[SentRecord] = ()
    """What the server has sent of itself, and what became of it."""
    nodes: Sequence[NodeChange] = ()
    """Which nodes have stopped or died that have recorded some of it."""
    probes: Sequence[ProbeRecord] = ()
    """What came of probes of event streams."""


def as_json(report: Report, records: Sequence[Record]) -> bytes:
    """Return a report and its records as JSON, on one line.

    Args:
        report: The report.
        records: What it is about, the oldest first.
    """
    report, records = veiled(report, records)
    shown, cut = fitted(report)
    room = MOST - _FOR_NOTES - len(encode(shown))
    place = len(records) - len(last_that_fit(records, encode, room))
    lost, kept = records[:place], records[place:]
    cut = msgspec.structs.replace(
        cut,
        exchanges=len(_of(ExchangeRecord, lost)),
        streams=len(_of(StreamRecord, lost)),
        sessions=len(_of(SessionChange, lost)),
        sent=len(_of(SentRecord, lost)),
        nodes=len(_of(NodeChange, lost)),
        probes=len(_of(ProbeRecord, lost)),
    )
    return encode(
        EvidenceFile(
            version=__version__,
            cut=cut,
            report=shown,
            exchanges=_of(ExchangeRecord, kept),
            streams=_of(StreamRecord, kept),
            sessions=_of(SessionChange, kept),
            sent=_of(SentRecord, kept),
            nodes=_of(NodeChange, kept),
            probes=_of(ProbeRecord, kept),
        )
    )


def fitted(report: Report) -> tuple[Report, Cut]:
    """Return as much of a report as there is room for, and how much is cut."""
    findings = len(first_that_fit(report.findings, encode, FOR_FINDINGS))
    lost_flows = len(report.flows) - len(last_that_fit(report.flows, encode, FOR_FLOWS))
    lost_drills = len(report.drills) - len(last_that_fit(report.drills, encode, FOR_DRILLS))
    cut = Cut(findings=len(report.findings) - findings, flows=lost_flows, drills=lost_drills)
    shown = msgspec.structs.replace(
        report,
        findings=report.findings[:findings],
        flows=report.flows[lost_flows:],
        drills=report.drills[lost_drills:],
    )
    return shown, cut


def schema() -> dict[str, Any]:
    """Return the JSON Schema of this form, which ``docs/evidence.schema.json`` holds."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(EvidenceFile)}


def _of(kind: type, records: Iterable[Record]) -> list[Any]:
    return [each for each in records if isinstance(each, kind)]
