"""Where traces are: in the memory of one process, or in a store that several share. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mcp_echo.watch.parts import Parts, PartsInMemory
from mcp_echo.watch.records import ExchangeRecord, Record
from mcp_echo.watch.traces import MadeTrace, Trace, Traces, Wanted, with_findings


class TraceStore(Parts, Protocol):
    """Has traces made, recorded, found and ended."""

    is_shared: bool
    """Whether other processes have the same traces: then one may be there that is not known here yet."""

    def take(self, trace: Trace, record: Record, size: int) -> list[str]:
        """Keep a record of a trace.

        Args:
            trace: Whose.
            record: Its number may become another one.
            size: Bytes of its text.

        Returns:
            The ids of the rules that it breaks, as far as that is known at once.
        """

    def skip(self, trace: Trace) -> None:
        """Count an exchange that is not recorded."""

    async def make(self, wanted: Wanted, holder: str, share: int) -> Trace:
        """Make a trace; see `Traces.plan`.

        Raises:
            TooManyTraces: There are as many as there may be.
            TracesUnavailable: The store cannot be reached.
        """

    async def find(self, trace_id: str) -> Trace | None:
        """Return a trace, wherever it was made; None where there is none.

        Raises:
            TracesUnavailable: It is not known here, and the store cannot be reached.
        """

    async def find_shared(self, key: str) -> Trace | None:
        """Return the trace that a share key lets read, as `find` does."""

    async def latest(self, trace: Trace) -> Trace | None:
        """Return a trace with all that has come to it anywhere by now; None where it has ended.

        While the store cannot be reached that is what is known here.
        """

    async def end(self, trace: Trace) -> None:
        """End a trace.

        Raises:
            TracesUnavailable: The store cannot be reached.
        """

    def stand(self, made: MadeTrace, told: Callable[[Trace], object]) -> None:
        """Have a trace that does not expire.

        Args:
            made: What it is made as, where it is not there.
            told: Told of it, and of what comes in its place.
        """

    def look(self) -> None:
        """See what other processes have not said; called every second."""


class TracesInMemory(PartsInMemory):
    """Traces of one process.

    Args:
        traces: The traces.
    """

    is_shared = False

    def __init__(self, traces: Traces) -> None:
        super().__init__(lambda trace: traces.find(trace.id) is trace)
        self._traces = traces

    def take(self, trace: Trace, record: Record, size: int) -> list[str]:
        """Judge and keep a record; see `TraceStore.take`."""
        trace.exchanges += isinstance(record, ExchangeRecord)
        broken = trace.see(record)
        self._traces.keep(trace, with_findings(record, broken), size)
        self._traces.tell(trace, broken)
        return broken

    def skip(self, trace: Trace) -> None:
        """Count an exchange that is not recorded."""
        trace.exchanges += 1
        trace.unrecorded += 1
        trace.miss()

    async def make(self, wanted: Wanted, holder: str, share: int) -> Trace:
        """Make a trace; see `TraceStore.make`."""
        trace = self._traces.plan(wanted, holder, share)
        self._traces.add(trace)
        return trace

    async def find(self, trace_id: str) -> Trace | None:
        """Return a trace."""
        return self._traces.find(trace_id)

    async def find_shared(self, key: str) -> Trace | None:
        """Return the trace that a share key lets read."""
        return self._traces.find_shared(key)

    async def latest(self, trace: Trace) -> Trace | None:
        """Return a trace, if it has not ended."""
        return self._traces.find(trace.id)

    async def end(self, trace: Trace) -> None:
        """End a trace."""
        self._traces.end(trace, "deleted")

    def stand(self, made: MadeTrace, told: Callable[[Trace], object]) -> None:
        """Have a trace that does not expire."""
        told(self._traces.stand(made))

    def look(self) -> None:
        """Do nothing: there are no other processes."""
