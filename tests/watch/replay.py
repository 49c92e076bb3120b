"""What was recorded of a client, held to the rules again, with the silence that follows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from mcp_echo.watch.drills import drills_of
from mcp_echo.watch.findings import Drill, Finding, Flow
from mcp_echo.watch.flows import Flows
from mcp_echo.watch.judge import Judge
from mcp_echo.watch.records import ExchangeRecord, Record, SentRecord, SessionChange, StreamRecord
from mcp_echo.watch.rules.table import RULES
from tests.watch.recordings import DIRECTORY

DRILLS = DIRECTORY / "drills"
"""Where recordings of clients are that were put through a drill: ``NAME-FAULT-DATE.json``."""

LATER = 3600.0
"""Seconds after which what has not come does not come any more."""

EXPIRES = 1800.0
"""Seconds without a request after which a session ends by itself."""


class Recording(msgspec.Struct, kw_only=True, frozen=True):
    """The records of one trace: of an evidence file, what is not made from the rest of it."""

    version: str
    """Of mcp-echo, which has recorded it."""
    exchanges: tuple[ExchangeRecord, ...] = ()
    streams: tuple[StreamRecord, ...] = ()
    sessions: tuple[SessionChange, ...] = ()
    sent: tuple[SentRecord, ...] = ()

    @property
    def records(self) -> list[Record]:
        """All of them, in the order in which they were made."""
        every: list[Record] = [*self.exchanges, *self.streams, *self.sessions, *self.sent]
        return sorted(every, key=lambda record: record.number)


_read = msgspec.json.Decoder(Recording).decode


def recordings() -> dict[str, Path]:
    """Return the recordings of clients that do not run here: name and date → file."""
    return {path.stem: path for path in sorted(DIRECTORY.glob("*.json"))}


def drill_recordings() -> dict[str, Path]:
    """Return the recordings of drills of clients that do not run here: name, fault and date → file."""
    return {path.stem: path for path in sorted(DRILLS.glob("*.json"))}


def read(evidence: bytes) -> Recording:
    """Return the records of ``evidence.json`` of a trace, or of what was kept of it."""
    return _read(evidence)


def written(evidence: bytes) -> bytes:
    """Return the records of ``evidence.json`` of a trace as they are kept: each on a line of its own."""
    recording = read(evidence)
    lines = []
    for name in recording.__struct_fields__[1:]:
        rows = ",\n".join(msgspec.json.encode(each).decode() for each in getattr(recording, name))
        lines.append(f'"{name}": [\n{rows}\n]')
    body = ",\n".join([f'"version": "{recording.version}"', *lines])
    return f"{{\n{body}\n}}\n".encode()


def found(kept: Sequence[Record]) -> dict[str, Finding]:
    """Return what is found in records, and in the silence after them."""
    judge = Judge(RULES)
    for record in kept:
        judge.due(record.at)
        judge.see(record)
    judge.due(max(map(_ends, kept)) + LATER)
    return {finding.id: finding for finding in judge.findings()}


def flows(kept: Sequence[Record]) -> tuple[Flow, ...]:
    """Return what was done in records, step by step, as it stands in the silence after them."""
    seen = Flows()
    for record in kept:
        seen.see(record)
    return seen.flows(max(map(_ends, kept)) + LATER)


def drilled(kept: Sequence[Record]) -> Drill:
    """Return what a client did after the one fault that has hit it, once all is over."""
    over = left(kept)
    (drill,) = drills_of(over, found(over).values(), max(map(_ends, over)) + LATER)
    return drill


def left(kept: Sequence[Record]) -> list[Record]:
    """Return records, and then the end of each session that its client has left behind."""
    return [*kept, *_ended(kept)]


def _ended(kept: Iterable[Record]) -> Iterator[SessionChange]:
    records = list(kept)
    over = {each.session for each in records if isinstance(each, SessionChange) and each.kind == "end"}
    at = max(map(_ends, records)) + EXPIRES
    made = [each.session for each in records if isinstance(each, ExchangeRecord) and each.made]
    begun = [session for session in made if session is not None and session not in over]
    for number, session in enumerate(begun, records[-1].number + 1):
        yield SessionChange(number=number, at=at, kind="end", session=session, reason="expired")


def _ends(record: Record) -> float:
    return record.at + ((record.last or 0.0) if isinstance(record, ExchangeRecord) else 0.0)
