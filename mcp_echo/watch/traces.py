"""Traces: addresses of their own, each with all that came to it. No I/O.

The id of a trace is the only right to it: whoever knows it may send to it, read it and end it, and whoever
knows its share key may read it. Everything of a trace is bounded, and so is their number: one that has to
give way is that of the biggest holder which was idle for longest.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from mcp_echo.protocol.texts import timestamp
from mcp_echo.watch.flows import Flows
from mcp_echo.watch.judge import Judge
from mcp_echo.watch.records import ExchangeRecord, NodeChange, Record, SessionChange
from mcp_echo.watch.rules.rule import Rule

ID_BYTES = 24
"""Random bytes of an id: 192 bits."""

_KEY = re.compile(r"[A-Za-z0-9_-]{32}")

MOST_READERS = 8
"""Readers of the events of one trace at a time."""

MOST_ENDED = 1000
"""Traces that have ended and are still known to have been."""

LOOKED_AT = 180.0
"""Seconds after its last exchange for which a trace is looked at: longer than the longest deadline."""

_RECORD_BYTES = 1024
"""What a record takes beside its text, about."""


class TraceLimits(NamedTuple):
    """What traces may take."""

    traces: int
    """How many there may be (``MCP_ECHO_TRACES``)."""
    seconds: int
    """How long one lasts unless it says otherwise (``MCP_ECHO_TRACE_TTL``)."""
    exchanges: int
    """Records that one keeps (``MCP_ECHO_TRACE_EXCHANGES``)."""
    bytes: int
    """Bytes of them (``MCP_ECHO_TRACE_BYTES``)."""
    all_bytes: int
    """Bytes of the records of all traces (``MCP_ECHO_MAX_TRACE_BYTES``)."""


class Wanted(NamedTuple):
    """What a trace is to be."""

    label: str | None = None
    """What people call it."""
    expect: tuple[str, ...] = ()
    """Names of headers that each request should have."""
    seconds: int | None = None
    """How long it lasts; None for `TraceLimits.seconds`."""
    strict: bool = False
    """Whether what comes to it is held to what clients must and should do, as with ``--strict``."""


Noticed = Callable[[Rule, int, int], object]


class TooManyTraces(Exception):
    """There are as many as there may be; the message says of what, and what to do."""

    @classmethod
    def of_holder(cls, count: int) -> TooManyTraces:
        """Return it for one who has as many as one may have."""
        return cls(
            f"You have {count} traces, as many as one may have: end one with DELETE, or wait until one "
            "expires"
        )


class MadeTrace(NamedTuple):
    """What a trace was made as; times are of the wall clock."""

    id: str
    wanted: Wanted
    begun: float
    expires: float | None = None
    """When it ends; None for never."""
    holder: str = ""
    """Whose share it counts in; nobody's for one that does not expire."""
    plain: bool = False
    """Whether it is that of plain ``/mcp``, whose sessions are no trace's."""


class Trace:
    """One trace.

    Args:
        made: What it is made as.
        rules: What its records are held to.
        noticed: Told of each occurrence of a finding.
    """

    def __init__(self, made: MadeTrace, rules: dict[str, Rule], noticed: Noticed) -> None:
        self.made = made
        self.id = made.id
        self.share = share_of(made.id)
        """The key that lets read."""
        self.label = made.wanted.label
        self.expect = made.wanted.expect
        self.strict = made.wanted.strict
        self.begun = made.begun
        self.expires = made.expires
        self.holder = made.holder
        self.used = made.begun
        """When something came to it last."""
        self.records: deque[Record] = deque()
        self.bytes = 0
        self.exchanges = 0
        """How many exchanges came."""
        self.dropped = 0
        """How many records were let go of for newer ones."""
        self.unrecorded = 0
        """How many exchanges were only counted."""
        self.readers: list[Callable[[Record | None], None]] = []
        """Told of each record, and of None at the end."""
        self.judge = Judge(rules, noticed)
        self.flows = Flows()
        self.parts: dict[str, bytes] = {}
        """Name → what is kept of a part; see `mcp_echo.watch.parts`."""
        self.decoded: dict[str, tuple[bytes, Any]] = {}
        """The same, read: name → what was read, and what it says."""
        self.scope = None if made.plain else scope_of(made.id)
        """What tells its sessions and handles from those of others; None where they are nobody else's."""
        self._sizes: deque[int] = deque()
        self._is_following = True
        """Whether everything that has come since the last gap was recorded."""
        self._gap = 0
        """The number of the last record before something was not recorded."""
        self._number = 0
        self._found: set[str] = set()
        """The ids of the rules that records have broken."""

    def next_number(self) -> int:
        """Return the number of a new record."""
        self._number += 1
        return self._number

    def miss(self) -> None:
        """Conclude nothing from what was not seen: something has passed that was not recorded."""
        if self._is_following:
            self._is_following = False
            self.judge.forget()
            self.flows = Flows()

    def is_whole_from(self, record: Record) -> bool:
        """Return whether all that has come since a record is kept, and nothing before it is missing."""
        begins = isinstance(record, SessionChange) and record.kind == "begin"
        return self._is_following and record.number > self._gap and (not self.dropped or begins)

    def see(self, record: Record) -> list[str]:
        """Judge a record, and take the steps that it shows; return the ids of the rules that it breaks."""
        if isinstance(record, NodeChange):
            if record.kind == "died":
                # It may not have had time to keep all that it has seen.
                self.miss()
            return []
        if not self._is_following:
            self._is_following, self._gap = True, record.number - 1
        self.flows.see(record)
        return self.judge.see(record)

    def are_new(self, broken: Iterable[str]) -> bool:
        """Note the ids of rules that a record breaks; return whether one is told of for the first time."""
        known = len(self._found)
        self._found.update(broken)
        return len(self._found) > known

    def keep(self, record: Record, size: int) -> None:
        """Keep a record, and tell the readers.

        Args:
            record: What to keep.
            size: Bytes that it takes.
        """
        self.used = max(self.used, record.at)
        self.records.append(record)
        self._sizes.append(size)
        self.bytes += size
        for reader in list(self.readers):
            reader(record)

    def fit(self, limits: TraceLimits) -> int:
        """Let go of the oldest records, until the trace takes no more than it may; return how many."""
        surplus = surplus_of(self._sizes, len(self._sizes), self.bytes, limits)
        for _ in range(surplus):
            self.records.popleft()
            self.bytes -= self._sizes.popleft()
        return surplus

    def close(self) -> None:
        """Tell the readers that it has ended."""
        for reader in list(self.readers):
            reader(None)

    def owner(self, principal: str | None) -> str | None:
        """Return the owner of the sessions that a caller makes here, which no other trace knows."""
        return principal if self.scope is None else f"{self.scope} {principal or ''}"

    def masked(self, text: str) -> str:
        """Return a text without the id and the key."""
        return text.replace(self.id, "{trace}").replace(self.share, "{key}")


class EndedTrace(NamedTuple):
    """A trace that is no more."""

    at: float
    """When it ended, by the wall clock."""
    reason: str
    """``expired``, ``deleted``, ``displaced``; ``deleted or displaced`` where another process alone knows."""


class Traces:
    """All traces of a server.

    Args:
        limits: What they may take.
        rules: What their records are held to.
        wall: The wall clock.
        noticed: Told of each occurrence of a finding: the rule, and the number of the record.
    """

    def __init__(
        self,
        limits: TraceLimits,
        rules: dict[str, Rule],
        wall: Callable[[], float],
        noticed: Noticed = lambda _rule, _number, _times: None,
    ) -> None:
        self.limits = limits
        self.bytes = 0
        """Bytes of all records."""
        self.changed: Callable[[Trace], object] = lambda _trace: None
        """Told of a trace in which a rule is broken that was not broken there before."""
        self._rules = rules
        self._wall = wall
        self.noticed = noticed
        """Told of each occurrence of a finding."""
        self._traces: dict[str, Trace] = {}
        self._shares: dict[str, Trace] = {}
        self._ended: dict[str, EndedTrace] = {}

    def __iter__(self) -> Iterator[Trace]:
        return iter(list(self._traces.values()))

    def __len__(self) -> int:
        return len(self._traces)

    def plan(self, wanted: Wanted, holder: str, share: int) -> Trace:
        """Return a trace that is not there before it is added.

        Args:
            wanted: What it is to be.
            holder: The principal or address that it counts for.
            share: How many one such may have.

        Raises:
            TooManyTraces: Its holder has as many as one may have.
        """
        now = self._wall()
        mine = [trace for trace in self if trace.holder == holder and not _is_over(trace, now)]
        if len(mine) >= share:
            raise TooManyTraces.of_holder(len(mine))
        return Trace(self.made(wanted, holder), self._rules, self.noticed)

    def made(self, wanted: Wanted, holder: str) -> MadeTrace:
        """Return what a new trace is made as."""
        now = self._wall()
        seconds = self.limits.seconds if wanted.seconds is None else wanted.seconds
        return MadeTrace(new_key(), wanted, now, now + seconds, holder)

    def standing(self, label: str, trace_id: str, *, plain: bool = False) -> MadeTrace:
        """Return what a trace is made as that nobody asks for, and that does not expire."""
        return MadeTrace(trace_id, Wanted(label), self._wall(), plain=plain)

    def copy(self, made: MadeTrace, noticed: Noticed) -> Trace:
        """Have the copy of a trace that is kept elsewhere.

        Args:
            made: What it was made as.
            noticed: Told of each occurrence of a finding.
        """
        trace = Trace(made, self._rules, noticed)
        self._traces[trace.id] = self._shares[trace.share] = trace
        return trace

    def forget(self, trace: Trace) -> None:
        """Have the copy of a trace no more; it has not ended."""
        if self._traces.pop(trace.id, None) is not None:
            del self._shares[trace.share]
            self.bytes -= trace.bytes
            trace.close()

    def stand(self, made: MadeTrace) -> Trace:
        """Have a trace that does not expire."""
        trace = Trace(made, self._rules, self.noticed)
        self.add(trace)
        return trace

    def add(self, trace: Trace) -> None:
        """Have a trace from now on, in the place of another one where there are as many as may be."""
        self.expire()
        if len(self) >= self.limits.traces:
            self._displace()
        self._traces[trace.id] = self._shares[trace.share] = trace

    def find(self, trace_id: str) -> Trace | None:
        """Return the trace of an id; None where there is none, and `ended` may tell more."""
        trace = self._traces.get(trace_id)
        if trace is not None and _is_over(trace, self._wall()):
            self.end(trace, "expired")
            return None
        return trace

    def find_shared(self, key: str) -> Trace | None:
        """Return the trace that a key lets read."""
        trace = self._shares.get(key)
        return None if trace is None else self.find(trace.id)

    def ended(self, key: str) -> EndedTrace | None:
        """Return when and why a trace has ended, if there was one.

        Args:
            key: Its id or its share key.
        """
        return self._ended.get(key) or self._ended.get(share_of(key))

    def end(self, trace: Trace, reason: str) -> None:
        """End a trace."""
        if trace.id in self._traces:
            self.note_end(trace.share, EndedTrace(self._wall(), reason))
            self.forget(trace)

    def note_end(self, share: str, ended: EndedTrace) -> None:
        """Remember when and why the trace of a share key has ended."""
        self._ended[share] = ended
        while len(self._ended) > MOST_ENDED:
            del self._ended[next(iter(self._ended))]

    def expire(self) -> None:
        """End the traces whose time is over."""
        now = self._wall()
        for trace in self:
            if _is_over(trace, now):
                self.end(trace, "expired")

    def keep(self, trace: Trace, record: Record, size: int) -> None:
        """Keep a record of a trace in the place of its oldest ones, where it has no room.

        At the bound of all, the trace that gives way may be another one.
        """
        before = trace.bytes
        trace.keep(record, size + _RECORD_BYTES)
        trace.dropped += trace.fit(self.limits)
        self.bytes += trace.bytes - before
        while self.bytes > self.limits.all_bytes and any(each.expires is not None for each in self):
            self._displace()

    def tell(self, trace: Trace, broken: Iterable[str]) -> None:
        """Tell that rules are broken in a trace, where one of them was not broken there before."""
        if trace.are_new(broken):
            self.changed(trace)

    def look(self) -> None:
        """End the traces whose time is over, and judge what has not come by its deadline in the others."""
        self.expire()
        now = self._wall()
        for trace in self:
            if now - trace.used < LOOKED_AT:
                self.tell(trace, trace.judge.due(now))

    def _displace(self) -> None:
        """End the trace of the biggest holder that was idle for longest."""
        held: dict[str, int] = {}
        for trace in self:
            if trace.expires is not None:
                held[trace.holder] = held.get(trace.holder, 0) + trace.bytes + 1
        if held:
            biggest = max(held, key=lambda holder: held[holder])
            own = (trace for trace in self if trace.holder == biggest)
            self.end(min(own, key=lambda trace: trace.used), "displaced")


def surplus_of(sizes: Iterable[int], many: int, much: int, limits: TraceLimits) -> int:
    """Return how many of the oldest records have to go; the newest stays.

    Args:
        sizes: Bytes of each record, the oldest first.
        many: How many there are.
        much: The sum of their bytes.
        limits: What a trace may take.
    """
    surplus = 0
    for size in sizes:
        if many <= limits.exchanges and (much <= limits.bytes or many <= 1):
            break
        many, much, surplus = many - 1, much - size, surplus + 1
    return surplus


def with_findings(record: Record, broken: Sequence[str]) -> Record:
    """Return a record with the ids of the rules that it breaks, if it is an exchange."""
    if broken and isinstance(record, ExchangeRecord):
        return msgspec.structs.replace(record, findings=tuple(broken))
    return record


def scope_of(trace_id: str) -> str:
    """Return what tells the sessions of a trace from those of others, and does not tell its id."""
    return f"trace {hashlib.sha256(trace_id.encode()).hexdigest()[:16]}"


def new_key() -> str:
    """Return an id that nobody can guess."""
    return secrets.token_urlsafe(ID_BYTES)


def is_key(text: str) -> bool:
    """Return whether a text may be an id or a share key."""
    return _KEY.fullmatch(text) is not None


def share_of(trace_id: str) -> str:
    """Return the key that lets read a trace: whoever has it cannot tell the id from it."""
    digest = hashlib.sha256(f"share {trace_id}".encode()).digest()
    return base64.urlsafe_b64encode(digest[:ID_BYTES]).decode()


def _is_over(trace: Trace, now: float) -> bool:
    return trace.expires is not None and trace.expires <= now


class Addresses(msgspec.Struct, rename="camel", omit_defaults=True):
    """Where a trace is: what createTrace and ``POST /t`` answer."""

    trace: str
    mcp_url: str
    page_url: str
    share_url: str
    expires: str | None = None
    """When it ends; None for never."""
    label: str | None = None
    metadata_url: str | None = None
    """Where a protected trace says whose tokens it takes."""
    issuer: str | None = None
    """The authorization server of the trace, if it has one."""


def addresses(trace: Trace, base: str) -> Addresses:
    """Return where a trace is.

    Args:
        trace: The trace.
        base: The address of the server, without a slash at its end.
    """
    return Addresses(
        trace=trace.id,
        mcp_url=f"{base}/t/{trace.id}/mcp",
        page_url=f"{base}/t/{trace.id}/",
        share_url=f"{base}/v/{trace.share}/",
        expires=None if trace.expires is None else timestamp(trace.expires),
        label=trace.label,
    )
