"""What a server knows of its clients: its traces, that of plain ``/mcp``, and what fills them. No I/O."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

from mcp_echo.auth.networks import network_of
from mcp_echo.auth.proxies import Caller
from mcp_echo.host.clocks import Clocks
from mcp_echo.settings.table import Settings
from mcp_echo.watch.findings import Report
from mcp_echo.watch.masking import Masker
from mcp_echo.watch.recorder import Recorder
from mcp_echo.watch.records import ExchangeRecord, Record
from mcp_echo.watch.report import report_about, report_of
from mcp_echo.watch.rules.rule import Rule
from mcp_echo.watch.rules.table import RULES, SINGLE
from mcp_echo.watch.seen import Seen, SentEvent, SentState
from mcp_echo.watch.traces import Trace, TraceLimits, Traces, Wanted

PER_PRINCIPAL = 10
"""Traces that one principal may have."""

PER_ADDRESS = 20
"""Traces that one address may have, where nobody vouches for who calls from it."""

FULL_RECORDS = 50
"""Exchanges with plain ``/mcp`` that are recorded in one second; more are counted."""

BUSY = 500
"""Exchanges in one second behind which the next one has fewer records: they must not slow down what comes."""

FULL_RECORDS_WHEN_BUSY = 10
"""Exchanges that are recorded in such a second."""

LOOK_SECONDS = 1.0
"""Seconds between two looks at what has not come by its deadline."""

LOOKED_AT = 180.0
"""Seconds after its last exchange for which a trace is looked at: longer than the longest deadline."""

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Insight:
    """The traces of a server.

    Args:
        settings: ``watch`` and the bounds.
        node: The name of this node.
        clocks: The steady clock and the wall clock.
    """

    def __init__(self, settings: Settings, node: str, clocks: Clocks) -> None:
        self.clocks = clocks
        self.masker = Masker((settings.state_key or "").encode() or os.urandom(32))
        limits = TraceLimits(
            settings.traces,
            settings.trace_ttl,
            settings.trace_exchanges,
            settings.trace_bytes,
            settings.max_trace_bytes,
        )
        self.traces = Traces(limits, RULES, clocks.wall, self._count)
        self.recorder = Recorder(
            self.traces,
            self.masker,
            node,
            clocks,
            canonical=settings.public_url,
            body_bytes=settings.record_body,
        )
        self.plain: Trace | None = None
        """The trace of plain ``/mcp``; None where that is not recorded."""
        if records_plain(settings):
            self.plain = self.traces.standing("/mcp")
            self.traces.add(self.plain)
        self.found: Counter[str] = Counter()
        """Id of a rule → how often it was broken, in all traces since the start."""
        self._second = 0
        self._in_second = 0
        self._allowed = FULL_RECORDS

    def look(self) -> None:
        """End the traces whose time is over, and judge what has not come by its deadline in the others."""
        self.traces.expire()
        now = self.clocks.wall()
        for trace in self.traces:
            if now - trace.used < LOOKED_AT and trace.are_new(trace.judge.due(now)):
                self.recorder.found(trace)

    def _count(self, rule: Rule, _number: int) -> None:
        self.found[rule.id] += 1

    def admit(self, seen: Seen) -> None:
        """Have an exchange with plain ``/mcp`` recorded, or counted where there are too many in a second."""
        plain = self.plain
        if plain is None:
            return
        second = int(seen.arrived)
        if second != self._second:
            self._allowed = FULL_RECORDS if self._in_second < BUSY else FULL_RECORDS_WHEN_BUSY
            self._second, self._in_second = second, 0
        self._in_second += 1
        if self._in_second <= self._allowed:
            seen.trace = plain
        else:
            plain.skip()

    def queued(self, method: str, session_id: str, *, listening: bool) -> None:
        """Record a notification to a session, which a stream takes or which waits for one."""
        state: SentState = "written" if listening else "waiting"
        self.recorder.see(SentEvent(state, self.clocks.now(), "notification", method, session_id))

    def plan(self, wanted: Wanted, caller: Caller) -> Trace:
        """Return a trace for a caller, which is not there before it is added.

        Raises:
            TooManyTraces: The caller has as many as one may have.
        """
        if caller.principal is not None:
            return self.traces.plan(wanted, f"principal {caller.principal}", PER_PRINCIPAL)
        return self.traces.plan(wanted, f"address {network_of(caller.address)}", PER_ADDRESS)

    def report(self, trace: Trace) -> Report:
        """Return what is known of a trace by now."""
        return report_of(trace, self.clocks.wall())

    def report_about_session(self, trace: Trace, session_id: str, about: str) -> Report:
        """Return what is known of one session or handle by now.

        Args:
            trace: Where its records are.
            session_id: Its id, which the caller has shown to be its own.
            about: ``session`` or ``handle``.
        """
        shown = self.masker.session(session_id)
        return self._about(trace, [each for each in trace.records if each.session == shown], about)

    def report_about_principal(self, trace: Trace, principal: str) -> Report:
        """Return what is known of one principal by now."""
        shown = self.masker.text(principal)
        of_it = [each for each in trace.records if isinstance(each, ExchangeRecord)]
        return self._about(trace, [each for each in of_it if each.principal == shown], "principal")

    def report_about_exchange(self, seen: Seen, trace: Trace) -> Report:
        """Return what is known of an exchange by itself, which goes on."""
        record = self.recorder.record(seen, trace, number=0)
        return report_about([record], SINGLE, self.clocks.wall(), "exchange")

    def _about(self, trace: Trace, records: Sequence[Record], about: str) -> Report:
        """Return what records say; what is not there says something only where all of them are."""
        whole = bool(records) and trace.is_whole_from(records[0])
        return report_about(records, RULES if whole else SINGLE, self.clocks.wall(), about)


def has_traces(settings: Settings) -> bool:
    """Return whether there are traces at all.

    They live in the memory of one process. Where several take the requests of one client, another one than
    knows its trace would refuse it: so there are none with several workers, and with a store that nodes share
    only where the operator has switched them on.
    """
    if settings.watch == "off" or settings.workers > 1:
        return False
    return settings.watch == "on" or not settings.store.startswith(("redis", "valkey"))


def records_plain(settings: Settings) -> bool:
    """Return whether plain ``/mcp`` is recorded.

    By itself only where whoever reaches it is on this machine: behind a proxy here, the peer is loopback for
    the whole world.
    """
    if settings.watch != "auto":
        return settings.watch == "on"
    alone = not settings.trusted_proxies and settings.public_url is None
    return alone and settings.host in _LOOPBACK and settings.port.isdigit()
