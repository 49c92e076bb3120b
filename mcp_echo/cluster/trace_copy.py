"""What one node has of a trace that others share. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from mcp_echo.cluster.engine import Change, Entry, KeptRecord, SessionBytes
from mcp_echo.cluster.trace_record import (
    Recorded,
    StoredTrace,
    decode_trace,
    encode_trace,
    entry_of,
    recorded_in,
)
from mcp_echo.watch.records import ExchangeRecord, Record
from mcp_echo.watch.rules.rule import Rule
from mcp_echo.watch.traces import TraceLimits, Traces, surplus_of, with_findings

STANDING_MS = 30 * 24 * 3600 * 1000
"""Milliseconds for which a trace that does not expire is kept after its last record."""

FOREVER = float("inf")


class _Kept(NamedTuple):
    """A record that is kept."""

    number: int
    size: int
    """Bytes that it takes."""


class TraceCopy:
    """A copy of a trace.

    What is kept comes in the order in which it was kept, which is not quite that in which it was recorded: a
    node keeps what it records a moment later. So where others record as well it waits for that moment, and
    is judged and shown in the order in which it was recorded.

    Args:
        kept: What is kept of it.
        traces: Where it is known by its id from now on.
        node: The name of this node.
    """

    def __init__(self, kept: KeptRecord, traces: Traces, node: str) -> None:
        self.version = kept.version
        self.stored = decode_trace(kept.state)
        self.trace = traces.copy(self.stored.made, self._noticed)
        self.waiting: list[Recorded] = []
        """What this node has recorded and is yet to keep."""
        self.waiting_bytes = 0
        """Bytes of the text of that."""
        self.skipped = 0
        """Exchanges that were only counted, and are yet to be counted for all nodes."""
        self.is_flushing = False
        """Whether what waits is on its way, or will be in a moment."""
        self.is_reading = False
        """Whether what is new is about to be read."""
        self.is_settling = False
        """Whether what is unsettled will be looked at in a moment."""
        self.seen = 0
        """The number of the newest record that is here."""
        self._traces = traces
        self._node = node
        self._ring: deque[_Kept] = deque()
        """What is kept of the records."""
        self._bytes = 0
        """The bytes of these."""
        self._unsettled: list[tuple[Recorded, int]] = []
        """Records before which others may be yet to come, with their bytes."""
        self._settled = 0.0
        """When the newest of all others was recorded."""
        self._judged: Record | None = None
        self._take_over(kept.version, self.stored, kept.entries)

    @property
    def is_alone(self) -> bool:
        """Whether no other node records."""
        return len(self.stored.nodes) <= 1

    @property
    def is_unsettled(self) -> bool:
        """Whether there are records before which others may be yet to come."""
        return bool(self._unsettled)

    def _noticed(self, rule: Rule, number: int, times: int) -> None:
        """Count an occurrence on one node alone: where the record was made, or else on the first by name."""
        record = self._judged
        if self._node == (min(self.stored.nodes, default=self._node) if record is None else record.node):
            self._traces.noticed(rule, number, times)

    def draft(self) -> StoredTrace:
        """Return what is kept, to work on."""
        return decode_trace(encode_trace(self.stored))

    def change(self, draft: StoredTrace, records: Sequence[Recorded], limits: TraceLimits) -> Change:
        """Return the change that keeps a draft, and further records behind those that are there.

        Args:
            draft: What is to be kept; its counters are brought up to date.
            records: What comes to it, in order.
            limits: What a trace may take.
        """
        entries = [entry_of(draft.last + place, each) for place, each in enumerate(records, 1)]
        sizes = [len(entry.data) for entry in entries]
        many, much = len(self._ring) + len(sizes), self._bytes + sum(sizes)
        surplus = surplus_of(chain((each.size for each in self._ring), sizes), many, much, limits)
        oldest = [each for each, _ in zip(self._ring, range(surplus), strict=False)]
        added = entries[surplus - len(oldest) :]
        if surplus:
            draft.first = added[0].sequence if len(added) < len(entries) else oldest[-1].number + 1
        draft.exchanges += sum(isinstance(each.record, ExchangeRecord) for each in records)
        draft.dropped += surplus
        draft.last += len(entries)
        gone = sum(each.size for each in oldest) + sum(sizes[: len(entries) - len(added)])
        return Change(
            self.trace.share,
            None,
            False,
            self.version,
            touch=draft.made.expires is None,
            state=encode_trace(draft),
            drop=tuple(each.number for each in oldest),
            add=tuple(added),
            held=SessionBytes(much - gone, 0, many - surplus),
            known=self.seen,
            tell=tuple(draft.nodes),
        )

    def applied(self, change: Change, draft: StoredTrace) -> None:
        """Have it say what a change has kept."""
        if change.version + 1 > self.version:
            self._take_over(change.version + 1, draft, change.add)

    def follow(self, kept: KeptRecord) -> None:
        """Have it say what is kept by now, with the records that may be new here."""
        if kept.version > self.version:
            self._take_over(kept.version, decode_trace(kept.state), kept.entries)

    def _take_over(self, version: int, stored: StoredTrace, entries: Sequence[Entry]) -> None:
        trace, self.version, self.stored = self.trace, version, stored
        trace.exchanges, trace.dropped, trace.parts = stored.exchanges, stored.dropped, stored.parts
        while self._ring and self._ring[0].number < stored.first:
            self._bytes -= self._ring.popleft().size
        for entry in entries:
            if entry.sequence > self.seen:
                self._add(entry)
        if stored.unrecorded > trace.unrecorded:
            trace.unrecorded = stored.unrecorded
            # Nobody knows any more when that was: before all of it, between, or after it.
            trace.miss()
            self.settle(FOREVER)
            trace.miss()
        elif self.is_alone:
            self.settle(FOREVER)

    def _add(self, entry: Entry) -> None:
        size = len(entry.data)
        self.seen = entry.sequence
        self._ring.append(_Kept(entry.sequence, size))
        self._bytes += size
        recorded = recorded_in(entry)
        if recorded is None:
            # A newer version knows what it is.
            self.trace.miss()
        else:
            self._unsettled.append((recorded, size))

    def settle(self, until: float) -> None:
        """Judge and show what was recorded until then, in the order in which it was.

        Args:
            until: Seconds of the clock that all nodes have in common.
        """
        if not self._unsettled:
            return
        before = self.trace.bytes
        self._unsettled.sort(key=lambda each: (each[0].at, each[0].record.number))
        ready = [each for each in self._unsettled if each[0].at <= until]
        self._unsettled = self._unsettled[len(ready) :]
        for recorded, size in ready:
            is_late = recorded.at < self._settled
            self._settled = max(self._settled, recorded.at)
            if is_late:
                # Those that it stood between have been judged without it.
                self.trace.miss()
            self._show(recorded.record, size)
            if is_late:
                self.trace.miss()
        self.trace.fit(self._traces.limits)
        self._traces.bytes += self.trace.bytes - before

    def _show(self, record: Record, size: int) -> None:
        self._judged = record
        try:
            broken = self.trace.see(record)
        finally:
            self._judged = None
        self.trace.keep(with_findings(record, broken), size)
        self._traces.tell(self.trace, broken)
