"""Several nodes in memory that share the traces of an engine in plain dicts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Literal

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from mcp_echo.cluster.store import Runtime
from mcp_echo.cluster.traces import FLUSH_SECONDS, SETTLE_SECONDS, SharedTraces
from mcp_echo.transport.timers import ReactorTimers
from mcp_echo.watch.records import ExchangeRecord, MessageRecord, Record
from mcp_echo.watch.rules.rule import Rule
from mcp_echo.watch.rules.table import RULES
from mcp_echo.watch.traces import Trace, TraceLimits, Traces, Wanted
from tests.engines import DictRecords
from tests.nodes import StepEngine

LIMITS = TraceLimits(traces=10, seconds=3600, exchanges=50, bytes=100_000, all_bytes=1_000_000)
WALL = 1_700_000_000.0


class TraceNode:
    """One process that records into the traces.

    Args:
        records: The traces.
        name: Its name.
        clock: Times it.
        limits: What traces may take.
    """

    def __init__(self, records: DictRecords, name: str, clock: Clock, limits: TraceLimits = LIMITS) -> None:
        self.engine = StepEngine(records, name, limit=limits.traces)
        self.clock = clock
        self.alive = True
        self.noticed: list[str] = []
        self.changed: list[Trace] = []
        self.traces = Traces(limits, RULES, self.wall, self._notice)
        self.traces.changed = self.changed.append
        self.store = SharedTraces(
            self.engine, self.traces, Runtime(clock.seconds, ReactorTimers(clock), self._spawn), self.wall
        )
        self.engine.start(self.store)
        self.key = b""
        self.store.began = self._begin
        self._spawn(self.store.begin(None))

    def _begin(self, key: bytes) -> None:
        self.key = key

    def wall(self) -> float:
        return WALL + self.clock.seconds()

    def _notice(self, rule: Rule, _number: int, times: int) -> None:
        self.noticed += [rule.id] * times

    def _spawn(self, work: Coroutine[Any, Any, None]) -> Callable[[], None]:
        if not self.alive:
            work.close()
            return lambda: None
        running = Deferred.fromCoroutine(work)
        running.addErrback(lambda failure: failure.trap(CancelledError))
        return running.cancel

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Return what comes of work that has nothing to wait for, or for no longer than records do."""
        results: list[Any] = []
        Deferred.fromCoroutine(work).addBoth(results.append)
        if not results:
            self.clock.advance(SETTLE_SECONDS)
        (result,) = results
        if hasattr(result, "raiseException"):
            result.raiseException()
        return result

    def make(self, wanted: Wanted | None = None, share: int = 5) -> Trace:
        """Make a trace."""
        trace: Trace = self.do(self.store.make(wanted or Wanted("t"), "address 192.0.2.1", share))
        return trace

    def find(self, trace_id: str) -> Trace | None:
        """Return a trace."""
        trace: Trace | None = self.do(self.store.find(trace_id))
        return trace

    def bring(self, trace_id: str) -> Trace | None:
        """Return a trace with all that has come to it anywhere."""
        trace = self.find(trace_id)
        if trace is None:
            return None
        latest: Trace | None = self.do(self.store.latest(trace))
        return latest

    def record(self, trace_id: str, method: str = "ping", session: str = "s") -> list[str]:
        """Record an exchange of a session of 2025-11-25."""
        trace = self.find(trace_id)
        assert trace is not None
        return self.store.take(trace, self.exchange(method, session), 0)

    def exchange(
        self, method: str = "ping", session: str = "s", kind: Literal["request", "notification"] = "request"
    ) -> Record:
        """Return an exchange that this node has seen."""
        form: Any = {"id": 1, "id_form": "integer"} if kind == "request" else {}
        return ExchangeRecord(
            number=0,
            node=self.engine.node,
            at=self.wall(),
            http_method="POST",
            path="/t/{trace}/mcp",
            status=200,
            session=session,
            known=True,
            era="legacy",
            revision="2025-11-25",
            messages=(MessageRecord(kind=kind, method=method, outcome=200, **form),),
        )

    def kill(self) -> None:
        """End the process without a word."""
        self.alive = self.engine.available = False
        self.engine.records.nodes.pop(self.engine.node, None)


def pass_time(clock: Clock, seconds: float, *nodes: TraceNode) -> None:
    """Let time pass, with a look of each node that lives every second."""
    for _ in range(int(seconds)):
        clock.advance(1)
        for node in nodes:
            if node.alive:
                node.traces.look()
                node.store.look()
    clock.advance(FLUSH_SECONDS)
