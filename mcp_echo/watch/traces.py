"""Traces: addresses of their own, each with all that came to it. No I/O.

The id of a trace is the only right to it: whoever knows it may send to it, read it and end it, and whoever
knows its share key may read it. Everything of a trace is bounded, and so is their number: one that has to
give way is that of the biggest holder which was idle for longest.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import msgspec

from mcp_echo.protocol.texts import timestamp
from mcp_echo.watch.flows import Flows
from mcp_echo.watch.judge import Judge
from mcp_echo.watch.records import Record, SessionChange
from mcp_echo.watch.rules.rule import Rule

ID_BYTES = 24
"""Random bytes of an id: 192 bits."""

MOST_READERS = 8
"""Readers of the events of one trace at a time."""

MOST_ENDED = 1000
"""Traces that have ended and are still known to have been."""

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


Noticed = Callable[[Rule, int], object]


class TooManyTraces(Exception):
    """There are as many as there may be; the message says of what, and what to do."""


class Trace:
    """One trace.

    Args:
        wanted: What it is to be.
        rules: What its records are held to.
        noticed: Told of each occurrence of a finding.
        begun: When it is made, by the wall clock.
        expires: When it ends; None for never.
        holder: Whose share it counts in.
    """

    def __init__(
        self,
        wanted: Wanted,
        rules: dict[str, Rule],
        noticed: Noticed,
        *,
        begun: float,
        expires: float | None,
        holder: str,
    ) -> None:
        self.id = new_key()
        self.share = new_key()
        """The key that lets read."""
        self.label = wanted.label
        self.expect = wanted.expect
        self.begun = begun
        self.expires = expires
        self.holder = holder
        self.used = begun
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
        self.scope: str | None = scope_of(self.id)
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

    def skip(self) -> None:
        """Count an exchange that is not recorded, and conclude nothing from what was not seen."""
        self.exchanges += 1
        self.unrecorded += 1
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
        if not self._is_following:
            self._is_following, self._gap = True, record.number - 1
        self.flows.see(record)
        return self.judge.see(record)

    def are_new(self, broken: Iterable[str]) -> bool:
        """Note the ids of rules that a record breaks; return whether one is told of for the first time."""
        known = len(self._found)
        self._found.update(broken)
        return len(self._found) > known

    def keep(self, record: Record, size: int, limits: TraceLimits) -> int:
        """Keep a record in the place of the oldest ones, where there is no room; tell the readers.

        Args:
            record: What to keep.
            size: Bytes of its text.
            limits: What the trace may take.

        Returns:
            How many bytes more it takes now.
        """
        before = self.bytes
        self.used = max(self.used, record.at)
        self.records.append(record)
        self._sizes.append(size + _RECORD_BYTES)
        self.bytes += size + _RECORD_BYTES
        while len(self.records) > limits.exchanges or (self.bytes > limits.bytes and len(self.records) > 1):
            self.records.popleft()
            self.bytes -= self._sizes.popleft()
            self.dropped += 1
        for reader in list(self.readers):
            reader(record)
        return self.bytes - before

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
    """``expired``, ``deleted`` or ``displaced``."""


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
        noticed: Noticed = lambda _rule, _number: None,
    ) -> None:
        self.limits = limits
        self.bytes = 0
        """Bytes of all records."""
        self._rules = rules
        self._wall = wall
        self._noticed = noticed
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
            raise TooManyTraces(
                f"You have {len(mine)} traces, as many as one may have: end one with DELETE, or wait until "
                "one expires"
            )
        seconds = self.limits.seconds if wanted.seconds is None else wanted.seconds
        return Trace(wanted, self._rules, self._noticed, begun=now, expires=now + seconds, holder=holder)

    def standing(self, label: str) -> Trace:
        """Return the trace of plain ``/mcp``, which nobody asked for and which does not expire."""
        trace = Trace(Wanted(label), self._rules, self._noticed, begun=self._wall(), expires=None, holder="")
        trace.scope = None
        return trace

    def named(self, label: str, trace_id: str, share: str) -> Trace:
        """Return a trace that keeps its id and its share key, and does not expire."""
        trace = Trace(Wanted(label), self._rules, self._noticed, begun=self._wall(), expires=None, holder="")
        trace.id, trace.share, trace.scope = trace_id, share, scope_of(trace_id)
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

    def ended(self, trace_id: str) -> EndedTrace | None:
        """Return when and why a trace has ended, if there was one."""
        return self._ended.get(trace_id)

    def end(self, trace: Trace, reason: str) -> None:
        """End a trace."""
        if self._traces.pop(trace.id, None) is None:
            return
        del self._shares[trace.share]
        self.bytes -= trace.bytes
        for key in (trace.id, trace.share):
            self._ended[key] = EndedTrace(self._wall(), reason)
        while len(self._ended) > 2 * MOST_ENDED:
            del self._ended[next(iter(self._ended))]
        trace.close()

    def expire(self) -> None:
        """End the traces whose time is over."""
        now = self._wall()
        for trace in self:
            if _is_over(trace, now):
                self.end(trace, "expired")

    def keep(self, trace: Trace, record: Record, size: int) -> None:
        """Keep a record of a trace; at the bound of all, the trace that gives way may be another one."""
        self.bytes += trace.keep(record, size, self.limits)
        while self.bytes > self.limits.all_bytes and any(each.expires is not None for each in self):
            self._displace()

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


def scope_of(trace_id: str) -> str:
    """Return what tells the sessions of a trace from those of others, and does not tell its id."""
    return f"trace {hashlib.sha256(trace_id.encode()).hexdigest()[:16]}"


def new_key() -> str:
    """Return an id, or a share key, that nobody can guess."""
    return secrets.token_urlsafe(ID_BYTES)


def _is_over(trace: Trace, now: float) -> bool:
    return trace.expires is not None and trace.expires <= now


class Addresses(msgspec.Struct, rename="camel"):
    """Where a trace is: what createTrace and ``POST /t`` answer."""

    trace: str
    mcp_url: str
    page_url: str
    share_url: str
    expires: str | None
    label: str | None


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
