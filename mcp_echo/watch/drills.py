"""The verdict of a drill: what a client did after a fault had hit it. No I/O.

A verdict rests on the records of one trace: it says what has come since, and when. That nothing has come does
not say that the client waits, and is told as what it is. Whether a rule was broken is for the rules to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mcp_echo.protocol.texts import timestamp
from mcp_echo.watch.drill_outcomes import DrillVerdict
from mcp_echo.watch.drill_watch import Watched
from mcp_echo.watch.findings import Drill, Finding
from mcp_echo.watch.records import ExchangeRecord, Record, StreamRecord
from mcp_echo.watch.rules.facts import LAST_EVENT
from mcp_echo.watch.rules.over_time import called, session_of

MOST_WATCHED = 32
"""Exchanges that are watched at a time; for one more, the oldest is watched no longer."""


def verdict_of(hit: ExchangeRecord, later: Iterable[Record], now: float) -> DrillVerdict:
    """Return what a client did after an exchange that was hit.

    Args:
        hit: The exchange.
        later: The records of its trace, those of before it too, which are passed over.
        now: Seconds of the wall clock.
    """
    records = _in_order(later)
    drill = Watched(hit, hit.client or _names(records).get(session_of(hit)))
    for record in records:
        if _when(record) > _when(hit) and drill.see(record):
            break
    return drill.verdict(now)


def verdicts(records: Iterable[Record], now: float) -> list[tuple[ExchangeRecord, DrillVerdict]]:
    """Return each exchange of a trace that was hit, with what its client did then, in the order they came in.

    Args:
        records: Those of one trace.
        now: Seconds of the wall clock.
    """
    every = list(records)
    if not any(map(is_hit, every)):
        return []
    drills: list[Watched] = []
    watched: list[Watched] = []
    ordered = _in_order(every)
    names = _names(ordered)
    for record in ordered:
        watched = [drill for drill in watched if not drill.see(record)]
        if isinstance(record, ExchangeRecord) and is_hit(record):
            drills.append(Watched(record, record.client or names.get(session_of(record))))
            watched.append(drills[-1])
            if len(watched) > MOST_WATCHED:
                watched.pop(0).stop(record.at)
    return [(drill.hit, drill.verdict(now)) for drill in drills]


def drills_of(records: Sequence[Record], findings: Iterable[Finding], now: float) -> tuple[Drill, ...]:
    """Return each exchange of a trace that was hit, as reports tell of it.

    Args:
        records: Those of one trace.
        findings: What was found in them.
        now: Seconds of the wall clock.
    """
    found = verdicts(records, now)
    if not found:
        return ()
    broken = _Broken(records, findings, found[0][0].at)
    return tuple(_drill(hit, verdict, broken.by(hit, verdict)) for hit, verdict in found)


def _drill(hit: ExchangeRecord, verdict: DrillVerdict, findings: tuple[str, ...]) -> Drill:
    return Drill(
        order=hit.order,
        fault=hit.fault or "",
        exchange=hit.number,
        request=asked_for(hit),
        status=hit.status,
        at=timestamp(hit.at),
        outcome=verdict.outcome,
        verdict=verdict.summary,
        milliseconds=verdict.milliseconds,
        shown=verdict.exchange,
        findings=findings,
    )


def asked_for(record: ExchangeRecord) -> str:
    """Return what a request asks for: its JSON-RPC method with the tool, or its HTTP method with the path."""
    return called(record.messages[0]) if record.messages else f"{record.http_method} {record.path}"


class _Broken:
    """Which rules are broken by what a client does after a fault.

    Args:
        records: Those of one trace.
        findings: What was found in them.
        since: When the first exchange came that was hit; what clients break before is no answer to it.
    """

    def __init__(self, records: Sequence[Record], findings: Iterable[Finding], since: float) -> None:
        self._resumes = _resumes(records)
        self._rules: dict[int, dict[str, None]] = {}
        """Number of a record → ids of the rules that it breaks."""
        self._absences: dict[int, dict[str, None]] = {}
        """The same of what did not come after it."""
        self._usual: set[str] = set()
        for record in records:
            if isinstance(record, ExchangeRecord) and record.findings:
                self._rules[record.number] = dict.fromkeys(record.findings)
                self._usual.update(record.findings if record.at < since else ())
        for finding in findings:
            kept = self._absences if finding.confidence == "likely" else self._rules
            for evidence in finding.evidence:
                kept.setdefault(evidence.exchange, {})[finding.id] = None

    def by(self, hit: ExchangeRecord, verdict: DrillVerdict) -> tuple[str, ...]:
        """Return the ids of those that a client breaks after an exchange was hit."""
        ids = dict(self._absences.get(hit.number, {}))
        if verdict.exchange is not None and verdict.exchange != hit.number:
            ids |= self._rules.get(verdict.exchange, {})
            ids |= self._rules.get(self._resumes.get(verdict.exchange, 0), {})
        return tuple(rule for rule in ids if rule not in self._usual and rule not in hit.findings)


def _resumes(records: Iterable[Record]) -> dict[int, int]:
    """Return number of an exchange that takes up a stream → number of the record that tells so."""
    asking: dict[str, int] = {}
    resumes: dict[int, int] = {}
    for record in _in_order(records):
        session = session_of(record) if isinstance(record, ExchangeRecord) else None
        if session is not None and isinstance(record, ExchangeRecord) and record.values(LAST_EVENT):
            asking[session] = record.number
        elif isinstance(record, StreamRecord) and record.kind == "resume" and record.session in asking:
            resumes[asking[record.session]] = record.number
    return resumes


def is_hit(record: Record) -> bool:
    """Return whether a record is of an exchange that was hit by a fault."""
    return isinstance(record, ExchangeRecord) and record.fault is not None


def _in_order(records: Iterable[Record]) -> list[Record]:
    """Return records by when they began: what took long is recorded after what came meanwhile."""
    return sorted(records, key=_when)


def _when(record: Record) -> tuple[float, int]:
    return record.at, record.number


def _names(records: Sequence[Record]) -> dict[str | None, str]:
    """Return what the client of each session calls itself, which an exchange that was hit may not say."""
    exchanges = (each for each in records if isinstance(each, ExchangeRecord))
    return {session: each.client for each in exchanges if each.client and (session := session_of(each))}
