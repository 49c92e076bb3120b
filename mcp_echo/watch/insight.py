"""What a server knows of its clients: its traces, that of plain ``/mcp``, and what fills them. No I/O."""

from __future__ import annotations

import base64
import hmac
import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence

from msgspec.structs import replace

from mcp_echo.auth.networks import network_of
from mcp_echo.auth.proxies import Caller
from mcp_echo.auth.sealed import Seal
from mcp_echo.host.clocks import Clocks
from mcp_echo.settings.table import Settings
from mcp_echo.watch.findings import Report
from mcp_echo.watch.masking import Masker
from mcp_echo.watch.pace import Pace
from mcp_echo.watch.parts import Parts
from mcp_echo.watch.recorder import Recorder
from mcp_echo.watch.records import ExchangeRecord, NodeChange, Record
from mcp_echo.watch.report import report_about, report_of
from mcp_echo.watch.rules.rule import Rule
from mcp_echo.watch.rules.table import RULES, SINGLE
from mcp_echo.watch.seen import Seen, SentEvent, SentState
from mcp_echo.watch.trace_store import TracesInMemory, TraceStore
from mcp_echo.watch.traces import ID_BYTES, Trace, TraceLimits, Traces, Wanted

PER_PRINCIPAL = 10
"""Traces that one principal may have."""

PER_ADDRESS = 20
"""Traces that one address may have, where nobody vouches for who calls from it."""

LOOK_SECONDS = 1.0
"""Seconds between two looks at what has not come by its deadline."""

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Insight:
    """The traces of a server.

    Args:
        settings: ``watch`` and the bounds.
        node: The name of this node.
        clocks: The steady clock and the wall clock.
        store: Returns where the traces are, which are known here as it is given them; None for this process.
    """

    def __init__(
        self,
        settings: Settings,
        node: str,
        clocks: Clocks,
        store: Callable[[Traces], TraceStore] | None = None,
    ) -> None:
        self.node = node
        self.clocks = clocks
        self.masker = Masker(os.urandom(32))
        limits = TraceLimits(
            settings.traces,
            settings.trace_ttl,
            settings.trace_exchanges,
            settings.trace_bytes,
            settings.max_trace_bytes,
        )
        self.traces = Traces(limits, RULES, clocks.wall, self._count)
        self.store: TraceStore = TracesInMemory(self.traces) if store is None else store(self.traces)
        self.recorder = Recorder(
            self.store.take,
            self.masker,
            node,
            clocks,
            canonical=settings.public_url,
            body_bytes=settings.record_body,
        )
        self.parts: Parts = self.store
        self.tools: Collection[str] = ()
        """The names of the tools of the server, once it is put together."""
        self.standing: Trace | None = None
        """What there is of plain ``/mcp``; None where that is neither recorded nor protected."""
        self.plain: Trace | None = None
        """The trace of plain ``/mcp``; None where that is not recorded."""
        self._records_plain = records_plain(settings)
        self._protects_plain = settings.challenge == "on"
        self.seal = Seal(clocks.wall)
        """Seals what only those may read who have the traces in common."""
        self._told: Callable[[Trace], object] = lambda _trace: None
        self._found: Counter[str] = Counter()
        self.pace = Pace(self.store, clocks)
        self.tools_changed: Callable[[str], object] = lambda _session_id: None
        """Tells a session that has a stream on this node that its tools have changed."""

    def begin(self, key: bytes) -> None:
        """Begin to record.

        Args:
            key: The secret of all who have the traces in common: equal secrets look equal in all records.
        """
        self.masker.use(derived(key, b"records"))
        self.seal.use(base64.urlsafe_b64encode(derived(key, b"seal")))
        if self._records_plain or self._protects_plain:
            plain_id = base64.urlsafe_b64encode(derived(key, b"the trace of /mcp")[:ID_BYTES]).decode()
            self.store.stand(self.traces.standing("/mcp", plain_id, plain=True), self._stands)

    def _stands(self, plain: Trace) -> None:
        self.standing = plain
        if not self._records_plain:
            return
        is_first = self.plain is None
        self.plain = plain
        self.pace.follow(plain)
        if is_first:
            self._told(plain)

    def when_plain(self, told: Callable[[Trace], object]) -> None:
        """Tell of the trace of plain ``/mcp``, once it is there."""
        self._told = told
        if self.plain is not None:
            told(self.plain)

    @property
    def found(self) -> Counter[str]:
        """Id of a rule → how often it was broken, in all traces since the start."""
        self.pace.settle()
        return self._found

    def look(self) -> None:
        """Look at what has not come by its deadline, anywhere."""
        self.pace.settle()
        self.traces.look()
        self.store.look()

    def _count(self, rule: Rule, _number: int, times: int) -> None:
        self._found[rule.id] += times

    def join(self, seen: Seen) -> None:
        """Have an exchange recorded where it is likely to belong, whose path names no trace."""
        caller = seen.caller
        home = self.recorder.challenged.home(seen.connection, caller.address, self.clocks.wall())
        trace = None if home is None else self.traces.find(home.trace_id)
        if home is not None and trace is not None:
            seen.trace, seen.joined = trace, home.by

    def queued(self, method: str, session_id: str, *, listening: bool) -> None:
        """Record a notification to a session, which a stream takes or which waits for one."""
        state: SentState = "written" if listening else "waiting"
        self.recorder.see(SentEvent(state, self.clocks.now(), "notification", method, session_id))

    async def make(self, wanted: Wanted, caller: Caller) -> Trace:
        """Make a trace for a caller.

        Raises:
            TooManyTraces: The caller has as many as one may have, or all together have.
            TracesUnavailable: The store cannot be reached.
        """
        if caller.principal is not None:
            return await self.store.make(wanted, f"principal {caller.principal}", PER_PRINCIPAL)
        return await self.store.make(wanted, f"address {network_of(caller.address)}", PER_ADDRESS)

    async def latest(self, trace_id: str) -> Trace | None:
        """Return a trace, wherever it was made, with all that has come to it; None where there is none.

        Raises:
            TracesUnavailable: It is not known here, and the store cannot be reached.
        """
        trace = await self.store.find(trace_id)
        return None if trace is None else await self.store.latest(trace)

    def report(self, trace: Trace) -> Report:
        """Return what is known of a trace by now."""
        self.pace.settle()
        return report_of(trace, self.clocks.wall())

    def report_about_session(self, trace: Trace, session_id: str, about: str) -> Report:
        """Return what is known of one session or handle by now.

        Args:
            trace: Where its records are.
            session_id: Its id, which the caller has shown to be its own.
            about: ``session`` or ``handle``.
        """
        records = self.records_of_session(trace, session_id)
        return self._about(trace, records, about, self.pace.passed(session_id))

    def records_of_session(self, trace: Trace, session_id: str) -> list[Record]:
        """Return the records of one session or handle, whose id the caller has shown to be its own."""
        shown = self.masker.session(session_id)
        of_it = [each for each in trace.records if not isinstance(each, NodeChange)]
        return [each for each in of_it if each.session == shown]

    def report_about_principal(self, trace: Trace, principal: str) -> Report:
        """Return what is known of one principal by now."""
        return self._about(trace, self.records_of_principal(trace, principal), "principal")

    def records_of_principal(self, trace: Trace, principal: str) -> list[Record]:
        """Return the exchanges of one principal."""
        shown = self.masker.text(principal)
        of_it = [each for each in trace.records if isinstance(each, ExchangeRecord)]
        return [each for each in of_it if each.principal == shown]

    def with_way_in(self, report: Report, trace: Trace, token: str) -> Report:
        """Return a report about a caller with the flow of OAuth in which its own token was issued.

        Args:
            report: The report, which has only what came to the endpoint.
            trace: Where the flow is.
            token: The token, which the caller has brought and which is good.
        """
        flow = trace.flows.of_token(self.masker.secret(token), self.clocks.wall())
        return report if flow is None else replace(report, flows=(flow, *report.flows))

    def report_about_exchange(self, seen: Seen, trace: Trace) -> Report:
        """Return what is known of an exchange by itself, which goes on."""
        record = self.recorder.record(seen, trace, number=0)
        return report_about([record], SINGLE, self.clocks.wall(), "exchange")

    def _about(self, trace: Trace, records: Sequence[Record], about: str, unrecorded: int = 0) -> Report:
        """Return what records say; what is not there says something only where all of them are."""
        whole = bool(records) and trace.is_whole_from(records[0])
        rules = RULES if whole else SINGLE
        return report_about(records, rules, self.clocks.wall(), about, unrecorded=unrecorded)


def derived(key: bytes, purpose: bytes) -> bytes:
    """Return a key for one purpose, from which the other cannot be told."""
    return hmac.digest(key, purpose, "sha256")


def has_traces(settings: Settings) -> bool:
    """Return whether there are traces at all."""
    return settings.watch != "off"


def records_plain(settings: Settings) -> bool:
    """Return whether plain ``/mcp`` is recorded.

    By itself only where whoever reaches it is on this machine: behind a proxy here, the peer is loopback for
    the whole world.
    """
    if settings.watch != "auto":
        return settings.watch == "on"
    alone = not settings.trusted_proxies and settings.public_url is None
    return alone and settings.host in _LOOPBACK and settings.port.isdigit()
