"""An engine in plain dicts: what the real ones are compared with, and what a store is tested on."""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec import UNSET

from mcp_echo.cluster.engine import (
    Applied,
    Broadcast,
    Change,
    Close,
    Conflict,
    Count,
    Counted,
    Create,
    Ended,
    EngineListener,
    Entry,
    Found,
    Full,
    KeptRecord,
    Load,
    Missing,
    Operation,
    Outcome,
    Peek,
    RecordLimits,
    Secret,
    SecretKept,
    SessionBytes,
    Sweep,
    Swept,
    Totals,
)
from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.sessions.limits import holder_of
from mcp_echo.sessions.store import Counts, StoreHealth


def record_limits(
    limit: int = 1000, limit_per_principal: int | None = None, limit_per_address: int | None = None
) -> RecordLimits:
    """Return how many records there may be, of whom."""
    return RecordLimits(limit, limit_per_principal, limit_per_address)


EPOCH = 1_700_000_000_000
"""Where the clock of `DictRecords` begins, in milliseconds."""
BROADCASTS_KEPT = 60_000
"""Milliseconds for which a node that begins to listen still hears what was broadcast."""


@dataclass(slots=True)
class Kept:
    """One record."""

    id: str
    owner: str | None
    handle: bool
    timeout: int
    state: bytes
    created: int
    used: int
    version: int = 1
    holder: str | None = None
    in_use: bool = False
    echo: bytes | None = None
    entries: dict[int, Entry] = field(default_factory=dict)
    held: SessionBytes = field(default_factory=SessionBytes)

    @property
    def expires(self) -> int:
        """Milliseconds of the clock from which on it is gone."""
        return self.used + self.timeout

    def seen(self, known: int) -> KeptRecord:
        """Return it as it is told to one who has the entries up to ``known``."""
        entries = tuple(entry for sequence, entry in sorted(self.entries.items()) if sequence > known)
        return KeptRecord(self.version, self.state, self.echo, self.created, self.used, entries)

    def change(self, change: Change, now: int) -> None:
        """Carry out a change that was found to be right."""
        self.version += 1
        self.state = change.state
        self.held = change.held
        self.in_use = self.in_use or change.used
        if change.touch:
            self.used = now
        if change.echo is not UNSET:
            self.echo = change.echo
        for sequence in change.drop:
            self.entries.pop(sequence, None)
        self.entries.update((entry.sequence, entry) for entry in change.add)


@dataclass(slots=True)
class DictRecords:
    """What several `DictEngine` share: the records, the clock, and who listens."""

    time: int = EPOCH
    """Milliseconds of the clock, which stands still until told otherwise."""
    records: dict[str, Kept] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    ended: list[Ended] = field(default_factory=list)
    """What was taken away and no sweep has told of yet."""
    nodes: dict[str, EngineListener] = field(default_factory=dict)
    bus: list[tuple[int, str, bytes]] = field(default_factory=list)
    """When, by whom, and what was broadcast."""
    secret: bytes | None = None

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.time += round(seconds * 1000)

    def take_away_expired(self) -> None:
        """Remove what has expired, and note that it has ended."""
        for kept in [kept for kept in self.records.values() if kept.expires <= self.time]:
            del self.records[kept.id]
            self.ended.append(Ended(kept.id, kept.expires - kept.created))
            self.count(expired=1)

    def count(self, created: int = 0, expired: int = 0, closed: int = 0, displaced: int = 0) -> None:
        """Count what was made or has ended."""
        more = (created, expired, closed, displaced)
        self.counts = Counts(*(old + new for old, new in zip(self.counts, more, strict=True)))

    def of(self, holder: str | None) -> list[Kept]:
        """Return the records of a holder, the oldest first; nobody's are none."""
        return [kept for kept in self.records.values() if holder is not None and kept.holder == holder]

    def displace(self, among: list[Kept]) -> bool:
        """Remove the oldest record that is not in use; return False if there is none."""
        victim = next((kept for kept in among if kept.holder is not None and not kept.in_use), None)
        if victim is None:
            return False
        del self.records[victim.id]
        self.ended.append(Ended(victim.id, self.time - victim.created, "displaced"))
        self.count(displaced=1)
        return True

    def displace_for(self, holder: str | None) -> bool:
        """Remove a record for one of a holder; return False if none gives way."""
        holders = {kept.holder for kept in self.records.values() if kept.holder and not kept.in_use}
        most = max((self.of(each) for each in holders), key=len, default=[])
        return len(most) >= len(self.of(holder)) and self.displace(most)

    def totals(self) -> Totals:
        """Return the sums over all records."""
        all_held = [kept.held for kept in self.records.values()]
        return Totals(
            len(self.records),
            sum(kept.handle for kept in self.records.values()),
            SessionBytes(
                *(sum(held[place] for held in all_held) for place in range(len(SessionBytes._fields)))
            ),
        )


class DictEngine:
    """One node's view of `DictRecords`. Everything is done at once, and listeners hear of it at once.

    Args:
        records: What it shares with other nodes.
        node: The name of this one.
        limits: How many records there may be, and of whom; see `record_limits`.
    """

    faults = (ArithmeticError,)

    def __init__(
        self,
        records: DictRecords,
        node: str = "a",
        **limits: int | None,
    ) -> None:
        self.node = node
        self.records = records
        self.totals = Totals()
        self.available = True
        """Set it to False to have everything refused, as when Redis cannot be reached."""
        self.submitted: list[Operation] = []
        """All operations so far, for tests that count them."""
        self._failures = 0
        self._limits = record_limits(**limits)

    @property
    def counts(self) -> Counts:
        """What was made and has ended; see `Engine.counts`."""
        return self.records.counts

    def open(self) -> None:
        """Do nothing: it is always open."""

    def start(self, listener: EngineListener) -> None:
        """Listen; see `Engine.start`."""
        self.records.nodes[self.node] = listener
        self.totals = self.records.totals()
        listener.caught_up()
        for sent, sender, payload in list(self.records.bus):
            if sender != self.node and self.now() - sent < BROADCASTS_KEPT:
                listener.receive(payload)

    async def stop(self) -> None:
        """Listen no more."""
        self.records.nodes.pop(self.node, None)

    def now(self) -> int:
        """Return the milliseconds of the shared clock."""
        return self.records.time

    async def submit(self, operation: Operation) -> Outcome:
        """Carry out an operation; see `Engine.submit`."""
        self._reach()
        self.submitted.append(operation)
        outcome = self._carry_out(operation)
        self.totals = self.records.totals()
        if isinstance(outcome, Applied) and isinstance(operation, Change | Close):
            self._nudge(operation.id, operation.tell)
        return outcome

    def health(self) -> StoreHealth:
        """Return how it is doing."""
        failure = "made unavailable" if self._failures else None
        breaker = "closed" if self.available else "open"
        latency = 0.0 if self.submitted else None
        reason = None if self.available else "made unavailable"
        return StoreHealth("dict", "here", self.available, breaker, latency, self._failures, failure, reason)

    def _reach(self) -> None:
        if not self.available:
            self._failures += 1
            raise StoreUnavailable(1)

    def _nudge(self, record_id: str, nodes: tuple[str, ...]) -> None:
        for name in dict.fromkeys(nodes):
            if name != self.node and name in self.records.nodes:
                self.records.nodes[name].invalidated(record_id)

    def _broadcast(self, payload: bytes) -> Applied:
        self.records.bus.append((self.now(), self.node, payload))
        for name, listener in list(self.records.nodes.items()):
            if name != self.node:
                listener.receive(payload)
        return Applied(self.now())

    def _carry_out(self, operation: Operation) -> Outcome:
        if isinstance(operation, Create):
            return self._create(operation)
        if isinstance(operation, Count):
            self.records.take_away_expired()
            return Counted(len(self.records.of(holder_of(operation.owner, operation.address))))
        if isinstance(operation, Sweep):
            self.records.take_away_expired()
            ended, self.records.ended = self.records.ended, []
            return Swept(ended)
        if isinstance(operation, Broadcast):
            return self._broadcast(operation.payload)
        if isinstance(operation, Secret):
            if self.records.secret is None:
                self.records.secret = operation.proposal
            return SecretKept(self.records.secret)
        kept = self._find(operation)
        if kept is None:
            return Missing()
        if isinstance(operation, Load | Peek):
            return Found(kept.seen(operation.known))
        if isinstance(operation, Close):
            del self.records.records[kept.id]
            self.records.count(closed=1)
        elif operation.version != kept.version:
            return Conflict(kept.seen(operation.known))
        else:
            kept.change(operation, self.now())
        return Applied(kept.created)

    def _find(self, operation: Change | Load | Peek | Close) -> Kept | None:
        kept = self.records.records.get(operation.id)
        if kept is None or kept.expires <= self.now():
            return None
        if isinstance(operation, Peek) or (kept.owner, kept.handle) == (operation.owner, operation.handle):
            return kept
        return None

    def _create(self, create: Create) -> Applied | Full:
        now, holder = self.now(), holder_of(create.owner, create.address)
        limit = self._limits.of(create.owner)
        if limit is not None and len(self.records.of(holder)) >= limit:
            self.records.take_away_expired()
            own = self.records.of(holder)
            if len(own) >= limit and not self.records.displace(own):
                return Full("holder", self._seconds_until_one_ends(own))
        if len(self.records.records) >= self._limits.records:
            self.records.take_away_expired()
        if len(self.records.records) >= self._limits.records and not self.records.displace_for(holder):
            return Full("all", self._seconds_until_one_ends(list(self.records.records.values())))
        kept = Kept(create.id, create.owner, create.handle, create.timeout, create.state, now, now)
        kept.holder, kept.in_use = holder, create.used
        self.records.records[create.id] = kept
        self.records.count(created=1)
        return Applied(now)

    def _seconds_until_one_ends(self, records: list[Kept]) -> int:
        remaining = min(kept.expires for kept in records) - self.now()
        return max(1, min(60, remaining // 1000 + 1))
