"""A trace with something wrong in it, in as many words of a client's choice as there can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcp_echo.watch.findings import ClientName, Drill, Evidence, Finding, Flow, Report, RuleLink, Step
from mcp_echo.watch.records import ExchangeRecord, Record, SessionChange, StreamRecord

AT = 1_790_000_000.0
SESSION = "2195e51e… [36 characters, sha256 0a43e0ba]"
ACCEPT = "text/event-stream"
SPECIFICATION = "https://modelcontextprotocol.io/specification/2025-11-25/basic/transports"


def exchange(number: int = 1, **fields: Any) -> ExchangeRecord:
    """Return a POST that was answered, with other fields where they are given."""
    plain: dict[str, Any] = {
        "number": number,
        "node": "node-1",
        "at": AT + number,
        "connection": 7,
        "peer": "203.0.113.7",
        "address": "203.0.113.7",
        "http_method": "POST",
        "path": "/t/{trace}/mcp",
        "http_version": "1.1",
        "headers": (("Host", "echo.example:3000"), ("Accept", ACCEPT)),
        "body_bytes": 123,
        "status": 200,
        "answer_headers": (("Content-Type", "application/json"),),
        "sent": 45,
        "first": 0.012,
        "last": 0.0125,
    }
    return ExchangeRecord(**{**plain, **fields})


def finding(rule: str = "accept-incomplete", **fields: Any) -> Finding:
    """Return an error, with other fields where they are given."""
    plain: dict[str, Any] = {
        "id": rule,
        "level": "error",
        "confidence": "certain",
        "summary": "Accept lists text/event-stream, and must list application/json as well",
        "advice": "Send Accept: application/json, text/event-stream.",
        "rule": RuleLink(title="A POST accepts both", url=f"{SPECIFICATION}#sending", keyword="MUST"),
        "subject": "header:1",
        "count": 1,
        "first": "2026-09-21T14:13:21.000Z",
        "last": "2026-09-21T14:13:21.000Z",
        "evidence": (Evidence(exchange=1, found=ACCEPT, wanted=f"application/json, {ACCEPT}"),),
    }
    return Finding(**{**plain, **fields})


def report(*findings: Finding, **fields: Any) -> Report:
    """Return a report, with other fields where they are given."""
    plain: dict[str, Any] = {"verdict": "One rule is broken.", "held": 2, "held_rules": ("one", "two")}
    counts = {"held": 0, "not_applicable": 0, "flows": (), "exchanges": 0, "dropped": 0, "unrecorded": 0}
    return Report(findings=findings, **{**counts, **plain, **fields})


def said(text: str, places: Sequence[str] = ("",)) -> tuple[Report, list[Record]]:
    """Return a trace in which a client's text stands wherever one can stand.

    Args:
        text: What the client has written.
        places: What header lines are called, beside one that the text itself is the name of.
    """
    client = ClientName(text, text)
    shown = finding(
        summary=text,
        subject=f"query:{text}",
        evidence=(Evidence(exchange=1, found=text, wanted=text, differs_in=(text,)),),
        client=client,
        revision=text,
    )
    flow = Flow(
        kind="oauth",
        state="stopped",
        verdict=text,
        steps=(Step(step="token", state="failed", count=2, exchanges=(1, 2), at="2026-09-21T14:13:21.000Z"),),
        session=text,
        client=client,
        begun="2026-09-21T14:13:20.000Z",
    )
    drill = Drill(
        order=1,
        fault=text,
        exchange=1,
        request=text,
        status=404,
        at="2026-09-21T14:13:21.000Z",
        outcome="kept-dead-id",
        verdict=text,
        milliseconds=40,
        shown=1,
        findings=(text,),
    )
    records: list[Record] = [
        exchange(
            1,
            http_method=text,
            path=text,
            query=((text, text),),
            http_version=text,
            headers=((text, text), *((place or "X-Text", text) for place in places)),
            answer_headers=((text, text),),
            body=text,
            reason=text,
            node=text,
            address=text,
        ),
        StreamRecord(number=2, at=AT, kind="open", session=text, tag=text),
        SessionChange(number=3, at=AT, kind="end", session=text, client=text, reason=text),
    ]
    named: dict[str, Any] = {"client": client, "verdict": text, "label": text, "revision": text}
    return report(shown, flows=(flow,), drills=(drill,), exchanges=1, **named), records
