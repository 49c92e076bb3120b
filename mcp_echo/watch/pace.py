"""How much of what comes to plain ``/mcp`` is recorded whole, and what goes on for the rest. No I/O.

Recording has a budget, not a price. Beyond it, calls of tools that come again and again are passed over: they
are counted, and so are the rules that their heads break. Nothing is concluded from what is passed over, and
nothing forgotten for it. That is sound for the rules about several exchanges, none of which waits for a call
like two that it has seen; but after an error, a preflight or a modern request one may wait for any call, so
that all are recorded anew after one of these. Whatever else is not recorded is a gap, behind which all such
rules begin anew.

It takes one process that sees everything: on a shared store nothing is passed over.
"""

from __future__ import annotations

from math import floor
from typing import TypeVar

from mcp_echo.host.clocks import Clocks
from mcp_echo.watch.seen import Seen
from mcp_echo.watch.trace_store import TraceStore
from mcp_echo.watch.traces import Trace

K = TypeVar("K")
V = TypeVar("V")

FULL_RECORDS, MORE_RECORDS = 50, 10
"""Exchanges that are recorded in one second, and how many more where they are not like those before."""

BUSY = 500
"""Exchanges in one second behind which there are fewer records: they must not slow down what comes."""

BUSY_FOR = 10.0
"""Seconds for which that goes on: load comes in bursts."""

FULL_RECORDS_WHEN_BUSY, MORE_RECORDS_WHEN_BUSY = 1, 9
"""The same in a second behind such a one."""

RECORDED_BEFORE = 2
"""Calls with one head that are recorded before others like them are passed over: two of them show that their
session is used for more than one."""

MOST_CALLS = 1000
"""Heads that are known, and sessions whose calls are counted; for one more the oldest is forgotten."""

LONGEST_HEAD = 2048
"""Bytes of a head that is remembered."""


class _Known:
    """Calls that have come with one head, which names their session."""

    __slots__ = ("findings", "last", "pace", "passed", "passes", "session", "times")

    def __init__(self, pace: Pace, session: str) -> None:
        self.pace = pace
        self.session = session
        self.times = 0
        """How many were recorded."""
        self.passes = False
        """Whether others like them are passed over."""
        self.passed = 0
        """How many were passed over since they were counted last."""
        self.last = 0.0
        """When the last of those came, by the steady clock."""
        self.findings: tuple[str, ...] = ()
        """The ids of the rules that the head breaks."""

    def over(self, seen: Seen) -> None:
        """Count an exchange that was passed over; it leaves a gap, unless it is what it was taken for."""
        # What `_is_call` says, but for what the head has settled: a call would cost more than all of this.
        if (
            self.passes
            and seen.outcome == 200
            and seen.error is None
            and seen.method == "tools/call"
            and seen.status == 200
            and not seen.streamed
            and (seen.session is not None or (seen.retry is None and not seen.asks))
        ):
            if not self.passed:
                self.pace.uncounted.append(self)
            self.passed += 1
            self.last = seen.arrived
        else:
            self.pace.skip()


class Pace:
    """Admits what comes to plain ``/mcp`` to its trace.

    Args:
        store: Where traces are.
        clocks: The steady clock, by which exchanges come, and the wall clock, by which they are dated.
    """

    def __init__(self, store: TraceStore, clocks: Clocks) -> None:
        self._store = store
        self._clocks = clocks
        self._trace: Trace | None = None
        self._ends = 0.0
        """When this second ends, by the steady clock."""
        self._busy_until = 0.0
        """When there are as many records again as usual, by the steady clock."""
        self._came = 0
        """How many exchanges came in it, but for those that were passed over and are not counted yet."""
        self._full = self._more = 0
        """How many may be recorded in it still, and how many that are not like those before."""
        self._heads: dict[bytes, _Known] = {}
        self.uncounted: list[_Known] = []
        """Those of them with calls that were passed over and are not counted yet."""
        self._sessions: dict[str, int] = {}
        """Session → how many of its calls were passed over."""

    def follow(self, trace: Trace) -> None:
        """Admit to a trace from now on: that of plain ``/mcp``."""
        self.settle()
        self._trace = trace

    def admit(self, seen: Seen) -> None:
        """Have an exchange with plain ``/mcp`` recorded, passed over, or only counted.

        Args:
            seen: The exchange, whose head is there.
        """
        if seen.arrived >= self._ends:
            self._begin(seen.arrived)
        # Of thousands in a second nearly all go no further than this.
        if not self._full and seen.head is not None:
            known = self._heads.get(seen.head.raw)
            if known is not None and known.passes:
                seen.pace = known
                return
        self._record(seen)

    def _record(self, seen: Seen) -> None:
        trace = self._trace
        if trace is None:
            return
        self._came += 1
        if self._full:
            self._full -= 1
        elif self._more:
            self._more -= 1
        else:
            self._store.skip(trace)
            return
        seen.trace, seen.pace = trace, self

    def _begin(self, now: float) -> None:
        self.settle()
        if self._came >= BUSY:
            self._busy_until = self._ends + BUSY_FOR
        is_busy = now < self._busy_until
        self._full = FULL_RECORDS_WHEN_BUSY if is_busy else FULL_RECORDS
        self._more = MORE_RECORDS_WHEN_BUSY if is_busy else MORE_RECORDS
        self._ends, self._came = floor(now) + 1, 0

    def over(self, seen: Seen) -> None:
        """Learn from what was recorded."""
        if seen.head is None:
            return
        if _is_call(seen):
            self._learn(seen, seen.head.raw, seen.trace)
        elif not _is_of_session(seen):
            for known in self._heads.values():
                known.passes = False
            self._heads.clear()

    def skip(self) -> None:
        """Count an exchange that nothing is known of."""
        if self._trace is not None:
            self._store.skip(self._trace)

    def settle(self) -> None:
        """Count what was passed over, and what it breaks: once a second, and before anybody reads.

        The log has told of it with the calls that were recorded.
        """
        uncounted, self.uncounted = self.uncounted, []
        for known in uncounted:
            passed, known.passed = known.passed, 0
            if self._trace is not None:
                self._count(known, passed, self._trace)

    def _count(self, known: _Known, passed: int, trace: Trace) -> None:
        self._came += passed
        trace.exchanges += passed
        trace.unrecorded += passed
        _keep(self._sessions, known.session, self._sessions.get(known.session, 0) + passed)
        if known.findings:
            at = self._clocks.wall() - (self._clocks.now() - known.last)
            trace.judge.again(known.findings, passed, at)

    def passed(self, session_id: str) -> int:
        """Return how many calls of a session were passed over."""
        self.settle()
        return self._sessions.get(session_id, 0)

    def _learn(self, seen: Seen, head: bytes, trace: Trace) -> None:
        if self._store.is_shared or len(head) > LONGEST_HEAD:
            return
        known = self._heads.get(head)
        if known is None:
            known = _Known(self, seen.session or "")
            _keep(self._heads, head, known)
        self.settle()
        known.times += 1
        known.passes = known.times >= RECORDED_BEFORE
        known.findings = trace.judge.of_head(seen.findings)


def _keep(held: dict[K, V], key: K, value: V) -> None:
    held[key] = value
    if len(held) > MOST_CALLS:
        del held[next(iter(held))]


def _is_call(seen: Seen) -> bool:
    """Return whether an exchange is the call of a tool by a client that is known, and has gone well."""
    # One that is answered by a status and no stream was answered whole, and has one message.
    return (
        seen.outcome == 200
        and seen.error is None
        and seen.method == "tools/call"
        and seen.status == 200
        and not seen.streamed
        and (
            not seen.made
            if seen.session is not None
            else seen.era == "modern" and seen.retry is None and not seen.asks
        )
    )


def _is_of_session(seen: Seen) -> bool:
    """Return whether an exchange went well within a session: after such a one no rule waits for a call."""
    is_answered = seen.status is not None and seen.status < 300 and seen.left is None
    return seen.session is not None and seen.era != "modern" and is_answered
