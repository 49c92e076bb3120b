"""Traces that several processes have in common. No I/O.

Theory of operation. An engine of their own keeps the traces, each as one record; see `trace_record`. A node
has a copy of each trace that it has had to do with. What it records is judged at once by the rules about a
single exchange, and kept a moment later, together with what else came by then. Its number, and what the rules
about several records make of it, are known from then on, and are the same on all nodes::

    recorded ──> waiting ──(FLUSH_SECONDS)──> change of what is kept ──> merged: numbered, judged, shown
                                                │         ^
                                                └─ conflict: what others have kept is merged first

- A change fits one version of what is kept. Where another node was faster, its records are merged first, and
  the change is made again: so the records of all nodes have one order.
- Every change tells the other nodes that have a copy, and they read what is new. Whoever is asked for a
  report reads first, since such news may be lost.
- What is merged is judged and shown `SETTLE_SECONDS` later where several nodes record, in the order in which
  it was recorded by the clock of the engine: see `trace_copy`.
- What cannot be kept is counted as unrecorded, and nothing is concluded from what was not seen.
- Nodes say every `BEAT_SECONDS` that they live. One that was not heard of for `DEAD_SECONDS` has died: a
  record says so, and nothing is concluded from what it may not have had time to keep.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeVar

import msgspec

from mcp_echo.cluster.agreed_clock import AgreedClock
from mcp_echo.cluster.engine import (
    Applied,
    Broadcast,
    Close,
    Conflict,
    Count,
    Counted,
    Create,
    Engine,
    Found,
    Full,
    Operation,
    Outcome,
    Peek,
    Secret,
    SecretKept,
    Sweep,
    Swept,
)
from mcp_echo.cluster.store import Runtime
from mcp_echo.cluster.trace_copy import STANDING_MS, TraceCopy
from mcp_echo.cluster.trace_record import Recorded, StoredTrace, encode_trace, join
from mcp_echo.protocol.errors import StoreUnavailable, TracesUnavailable
from mcp_echo.sessions.store import Clock
from mcp_echo.watch.parts import Part, TraceGone, encode_part
from mcp_echo.watch.records import ExchangeRecord, NodeChange, Record
from mcp_echo.watch.traces import (
    EndedTrace,
    MadeTrace,
    TooManyTraces,
    Trace,
    Traces,
    Wanted,
    share_of,
)

FLUSH_SECONDS = 0.05
"""Seconds that a record waits for others to be kept together with; a node that dies takes them along."""

SETTLE_SECONDS = 4 * FLUSH_SECONDS
"""Seconds after which what other nodes have recorded before is kept as well."""

BEAT_SECONDS = 3
"""Seconds between two signs of life of a node that has a copy of a trace."""

DEAD_SECONDS = 10
"""Seconds without a sign of life after which a node has died."""

SWEEP_SECONDS = 5
"""Seconds between two looks for traces whose time is over in the store."""

PATIENCE = 2.0
"""Seconds that a request waits for the store to be reached for the first time."""

MOST_HEARD = 1000
"""Nodes that are known to live or to have lived."""

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")


class _Beat(msgspec.Struct, tag="beat"):
    node: str


class _Ended(msgspec.Struct, tag="ended"):
    share: str
    at: float
    reason: str


_Word = _Beat | _Ended
_decode = msgspec.json.Decoder(_Word).decode


class Heard(NamedTuple):
    """The last sign of life of a node."""

    now: float
    """By the steady clock of this node."""
    wall: float
    """By its wall clock."""


class SharedTraces:
    """Traces that an engine keeps: see `mcp_echo.watch.trace_store.TraceStore`.

    Args:
        engine: Keeps them, and nothing else.
        traces: What is known of them here.
        runtime: Time, and work that goes on by itself.
        wall: The wall clock.
    """

    is_shared = True

    def __init__(self, engine: Engine, traces: Traces, runtime: Runtime, wall: Clock) -> None:
        self.node = engine.node
        self.began: Callable[[bytes], object] = lambda _key: None
        """Told of the key that all nodes have in common, once the store can be reached."""
        self._engine = engine
        self._traces = traces
        self._now, self._timers, self._spawn = runtime
        self._wall = wall
        self._agreed = AgreedClock(engine.now, self._now)
        self._copies: dict[str, TraceCopy] = {}
        """By share key."""
        self._standing: dict[str, tuple[MadeTrace, Callable[[Trace], object]]] = {}
        """Traces that do not expire, by share key, and who is told of the copy."""
        self._heard: dict[str, Heard] = {}
        self._is_ready = False
        self._looks = 0
        self._sweeping = False

    # Beginning and ending.

    async def begin(self, key: bytes | None) -> None:
        """Agree on the key with the other nodes.

        Args:
            key: The operator's; None for one that the store keeps.
        """
        proposal = Secret(os.urandom(32).hex().encode())
        while key is None:
            with suppress(TracesUnavailable):
                kept = await self._ask(proposal)
                key = kept.value if isinstance(kept, SecretKept) else None
            if key is None:
                await self._timers.sleep(1.0)
        self._is_ready = True
        self.began(key)
        for share in list(self._standing):
            await self._ensure(share)

    def stand(self, made: MadeTrace, told: Callable[[Trace], object]) -> None:
        """Have a trace that does not expire; see `TraceStore.stand`."""
        self._standing[share_of(made.id)] = made, told

    async def stop(self) -> None:
        """Keep what waits, say that this node has stopped, and let go of the engine."""
        await self.flush()
        for copy in list(self._copies.values()):
            with suppress(TracesUnavailable, TraceGone):
                await self._commit(copy, self._farewell)
        await self._engine.stop()

    def _farewell(self, stored: StoredTrace) -> Sequence[Recorded]:
        if not stored.nodes.pop(self.node, 0.0):
            return ()
        return (self._recorded(NodeChange(number=0, node=self.node, at=self._wall(), kind="stopped")),)

    # What is recorded.

    def take(self, trace: Trace, record: Record, size: int) -> list[str]:
        """Have a record kept in a moment; see `TraceStore.take`."""
        copy, limits = self._copy_of(trace), self._traces.limits
        if copy is not None:
            if len(copy.waiting) < limits.exchanges and copy.waiting_bytes + size <= limits.bytes:
                copy.waiting.append(self._recorded(record))
                copy.waiting_bytes += size
            else:
                copy.skipped += isinstance(record, ExchangeRecord)
            self._flush_soon(copy)
        return trace.judge.broken_alone(record) if isinstance(record, ExchangeRecord) else []

    def _recorded(self, record: Record) -> Recorded:
        return Recorded(self._agreed(), record)

    def skip(self, trace: Trace) -> None:
        """Count an exchange that is not recorded."""
        copy = self._copy_of(trace)
        if copy is not None:
            copy.skipped += 1
            self._flush_soon(copy)

    def _copy_of(self, trace: Trace) -> TraceCopy | None:
        copy = self._copies.get(trace.share)
        return copy if copy is not None and copy.trace is trace else None

    def _flush_soon(self, copy: TraceCopy) -> None:
        if not copy.is_flushing:
            copy.is_flushing = True
            self._spawn(self._flush_later(copy))

    async def _flush_later(self, copy: TraceCopy) -> None:
        try:
            await self._timers.sleep(FLUSH_SECONDS)
        finally:
            copy.is_flushing = False
        await self._flush(copy)

    async def flush(self) -> None:
        """Keep what waits, now."""
        for copy in list(self._copies.values()):
            await self._flush(copy)

    async def _flush(self, copy: TraceCopy) -> None:
        """Keep what waits; what cannot be kept is counted, and told of when it can."""
        records, skipped = copy.waiting, copy.skipped
        if not records and not skipped:
            return
        copy.waiting, copy.waiting_bytes, copy.skipped = [], 0, 0

        def add(stored: StoredTrace) -> Sequence[Recorded]:
            stored.exchanges += skipped
            stored.unrecorded += skipped
            join(stored, self.node, self._wall())
            return records

        try:
            await self._commit(copy, add)
        except TracesUnavailable:
            copy.skipped += skipped + sum(isinstance(each.record, ExchangeRecord) for each in records)
        except TraceGone:
            pass

    async def _commit(self, copy: TraceCopy, work: Callable[[StoredTrace], Sequence[Recorded]]) -> None:
        """Change what is kept of a trace.

        Args:
            copy: The copy of it.
            work: Changes what it is given, and returns the records that come to it; called again where
                another node was faster.

        Raises:
            TracesUnavailable: The store cannot be reached.
            TraceGone: It has ended.
            Exception: What ``work`` raises on what is kept by now.
        """
        version = -1
        while True:
            draft = copy.draft()
            try:
                records = work(draft)
            except Exception:
                # It may fail for what another node has kept and this one does not know yet.
                if copy.version == version:
                    raise
                if await self._brought(copy.trace.share) is None:
                    raise TraceGone from None
                version = copy.version
                continue
            change = copy.change(draft, records, self._traces.limits)
            outcome = await self._ask(change)
            if isinstance(outcome, Applied):
                copy.applied(change, draft)
                self._settle_soon(copy)
                return
            if not isinstance(outcome, Conflict):
                self._gone(copy)
                raise TraceGone
            copy.follow(outcome.record)
            self._settle_soon(copy)

    async def change(self, trace: Trace, part: Part[S], work: Callable[[S], T]) -> T:
        """Return what ``work`` returns, once what it has changed is kept; see `Parts.change`."""
        copy = self._copy_of(trace)
        if copy is None:
            raise TraceGone
        results: list[T] = []

        def edit(stored: StoredTrace) -> Sequence[Recorded]:
            value = part.decoded(stored.parts)
            results.append(work(value))
            stored.parts = {**stored.parts, part.name: encode_part(value)}
            # What it does with it may not be recorded yet when it dies.
            join(stored, self.node, self._wall())
            return ()

        await self._commit(copy, edit)
        return results[-1]

    def _settle_soon(self, copy: TraceCopy) -> None:
        """Have what is new judged and shown, once what other nodes recorded before it has come."""
        if copy.is_unsettled and not copy.is_settling:
            copy.is_settling = True
            self._spawn(self._settle_later(copy))

    async def _settle_later(self, copy: TraceCopy) -> None:
        try:
            await self._timers.sleep(SETTLE_SECONDS)
        finally:
            copy.is_settling = False
        copy.settle(self._agreed() - SETTLE_SECONDS)
        self._settle_soon(copy)

    # Making, finding and ending.

    async def make(self, wanted: Wanted, holder: str, share: int) -> Trace:
        """Make a trace; see `TraceStore.make`."""
        await self._readied()
        counted = await self._ask(Count(None, holder))
        if isinstance(counted, Counted) and counted.records >= share:
            raise TooManyTraces.of_holder(counted.records)
        made = self._traces.made(wanted, holder)
        outcome = await self._ask(_create(made, self.node))
        if isinstance(outcome, Full):
            raise TooManyTraces("The server holds all the traces that it may: wait until one expires")
        trace = await self._brought(share_of(made.id))
        if trace is None:
            raise TooManyTraces("The trace gave way to another one: try again")
        return trace

    async def find(self, trace_id: str) -> Trace | None:
        """Return a trace, wherever it was made; see `TraceStore.find`."""
        return await self.find_shared(share_of(trace_id))

    async def find_shared(self, key: str) -> Trace | None:
        """Return the trace that a share key lets read, wherever it was made."""
        copy = self._copies.get(key)
        if copy is not None:
            return self._traces.find(copy.trace.id)
        await self._readied()
        return await self._brought(key)

    async def latest(self, trace: Trace) -> Trace | None:
        """Return a trace with all that has come to it on any node by now; see `TraceStore.latest`."""
        copy = self._copy_of(trace)
        asked = self._agreed()
        if copy is not None:
            await self._flush(copy)
            if not copy.is_alone:
                await self._timers.sleep(SETTLE_SECONDS)
        brought = await self._brought(trace.share)
        copy = self._copies.get(trace.share)
        if copy is not None:
            copy.settle(asked)
        return brought

    async def end(self, trace: Trace) -> None:
        """End a trace, on all nodes."""
        await self._ask(Close(trace.share, None, False))
        self._end(trace.share, "deleted")

    def _end(self, share: str, reason: str) -> None:
        word = _Ended(share, self._wall(), reason)
        self._ended(word)
        self._spawn(self._broadcast(word))

    def _ended(self, word: _Ended) -> None:
        copy = self._copies.pop(word.share, None)
        self._traces.note_end(word.share, EndedTrace(word.at, word.reason))
        if copy is not None:
            self._traces.forget(copy.trace)

    async def _readied(self) -> None:
        """Wait until the key is known that everything is masked with.

        Raises:
            TracesUnavailable: It is not for long.
        """
        until = self._now() + PATIENCE
        while not self._is_ready:
            if self._now() >= until:
                raise TracesUnavailable
            await self._timers.sleep(0.02)

    async def _brought(self, share: str) -> Trace | None:
        copy = self._copies.get(share)
        try:
            outcome = await self._ask(Peek(share, 0 if copy is None else copy.seen))
        except TracesUnavailable:
            if copy is None:
                raise
            return copy.trace
        copy = self._copies.get(share)
        if not isinstance(outcome, Found):
            if copy is not None:
                self._gone(copy)
            return None
        if copy is None:
            copy = self._copies[share] = TraceCopy(outcome.record, self._traces, self.node)
            self._spawn(self._join(copy))
        else:
            copy.follow(outcome.record)
        self._settle_soon(copy)
        return self._traces.find(copy.trace.id)

    async def _join(self, copy: TraceCopy) -> None:
        """Have this node told of what comes."""

        def edit(stored: StoredTrace) -> Sequence[Recorded]:
            join(stored, self.node)
            return ()

        with suppress(TracesUnavailable, TraceGone):
            await self._commit(copy, edit)

    async def _ensure(self, share: str) -> None:
        """Have a copy of a trace that does not expire, which is made where it is not there."""
        made, told = self._standing[share]
        with suppress(TracesUnavailable):
            trace = await self._brought(share)
            if trace is None:
                # Another node may make it at the same time.
                with suppress(*self._engine.faults):
                    await self._ask(_create(made, self.node))
                trace = await self._brought(share)
            if trace is not None:
                told(trace)

    def _gone(self, copy: TraceCopy) -> None:
        """The store has it no more."""
        if self._copies.get(copy.trace.share) is copy:
            del self._copies[copy.trace.share]
        if self._traces.ended(copy.trace.share) is None:
            expires = copy.trace.expires
            is_over = expires is not None and expires <= self._wall()
            reason = "expired" if is_over else "deleted or displaced"
            self._traces.note_end(copy.trace.share, EndedTrace(self._wall(), reason))
        self._traces.forget(copy.trace)

    # What other nodes do; see `EngineListener`.

    def invalidated(self, record_id: str) -> None:
        """A trace has changed."""
        copy = self._copies.get(record_id)
        if copy is not None and not copy.is_reading:
            copy.is_reading = True
            self._spawn(self._read(copy))

    async def _read(self, copy: TraceCopy) -> None:
        # From here on another change is another reason to read.
        copy.is_reading = False
        with suppress(TracesUnavailable):
            await self._brought(copy.trace.share)

    def receive(self, payload: bytes) -> None:
        """Another node has broadcast this; what this version does not know is left alone."""
        try:
            word = _decode(payload)
        except msgspec.DecodeError:
            return
        if isinstance(word, _Ended):
            self._ended(word)
        else:
            self._heard.pop(word.node, None)
            self._heard[word.node] = Heard(self._now(), self._wall())
            if len(self._heard) > MOST_HEARD:
                del self._heard[next(iter(self._heard))]

    def caught_up(self) -> None:
        """Look at everything that is here."""
        for share in list(self._copies):
            self.invalidated(share)

    def replaced(self) -> None:
        """What is kept is another than until now."""
        for copy in list(self._copies.values()):
            self._traces.forget(copy.trace)
        self._copies.clear()

    async def _broadcast(self, word: _Word) -> None:
        with suppress(TracesUnavailable):
            await self._ask(Broadcast(msgspec.json.encode(word)))

    async def _ask(self, operation: Operation) -> Outcome:
        try:
            return await self._engine.submit(operation)
        except StoreUnavailable:
            raise TracesUnavailable from None

    # What is done every second.

    def look(self) -> None:
        """Give signs of life, and see who gives none any more; called every second."""
        self._looks += 1
        for share, copy in list(self._copies.items()):
            if self._traces.find(copy.trace.id) is not copy.trace:
                del self._copies[share]
                continue
            if copy.skipped:
                self._flush_soon(copy)
            for node in copy.stored.nodes:
                if self._is_dead(node):
                    self._spawn(self._bury(copy, node))
        if self._copies and self._looks % BEAT_SECONDS == 0:
            self._spawn(self._broadcast(_Beat(self.node)))
        if self._looks % SWEEP_SECONDS == 0 and not self._sweeping:
            self._sweeping = True
            self._spawn(self._sweep())
        for share in self._standing:
            if share not in self._copies and self._is_ready:
                self._spawn(self._ensure(share))

    def _is_dead(self, node: str) -> bool:
        """Return whether a node has given no sign of life for too long."""
        if node == self.node:
            return False
        # One that was not heard of yet may have spoken before this node listened.
        heard = self._heard.setdefault(node, Heard(self._now(), 0.0))
        return self._now() - heard.now > DEAD_SECONDS

    async def _bury(self, copy: TraceCopy, node: str) -> None:
        """Say that a node has died, unless another one has by then."""

        def edit(stored: StoredTrace) -> Sequence[Recorded]:
            return self._death(node, stored.nodes.pop(node, 0.0))

        with suppress(TracesUnavailable, TraceGone):
            await self._commit(copy, edit)

    def _death(self, node: str, recorded: float) -> Sequence[Recorded]:
        """Return the record of a node that has died, if it has recorded anything: when that was last."""
        if not recorded:
            return ()
        heard = self._heard.get(node)
        at = recorded if heard is None else max(recorded, heard.wall)
        return (self._recorded(NodeChange(number=0, node=node, at=at, kind="died")),)

    async def _sweep(self) -> None:
        try:
            swept = await self._ask(Sweep())
            for ended in swept.ended if isinstance(swept, Swept) else ():
                self._end(ended.id, ended.reason)
        except TracesUnavailable:
            pass
        finally:
            self._sweeping = False


def _create(made: MadeTrace, node: str) -> Create:
    """Return the operation that makes a trace; one that does not expire counts in nobody's share."""
    timeout = STANDING_MS if made.expires is None else max(1, round((made.expires - made.begun) * 1000))
    stored = StoredTrace(made=made, nodes={node: 0.0})
    return Create(share_of(made.id), None, False, timeout, encode_trace(stored), address=made.holder or None)
