"""Who was asked for a token a moment ago, so that what they ask for at the root is theirs. No I/O.

A client that looks for metadata or endpoints at the root of the host names no trace. It is on one where it
comes by the connection that a challenge went out on, or where one trace alone has challenged its address.
"""

from __future__ import annotations

from typing import NamedTuple

from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.facts import credential_of, is_mcp
from mcp_echo.watch.rules.memory import Remembered
from mcp_echo.watch.seen import Joined

WITHIN = 60.0
"""Seconds from the last thing that came of a way in to what is taken for another of it."""

MOST_CHALLENGED = 1000
"""Addresses and connections that are remembered."""

MOST_TRACES = 8
"""Traces that are remembered for one address: with two of them nothing is known of it any more."""


class Home(NamedTuple):
    """The trace that a request is likely to be of."""

    trace_id: str
    by: Joined


class ChallengedClients:
    """Remembers where challenges went, on this node."""

    def __init__(self) -> None:
        self._connections: Remembered[int, tuple[str, float]] = Remembered(MOST_CHALLENGED)
        """Connection → the trace that has challenged it last, and when."""
        self._addresses: Remembered[str, dict[str, float]] = Remembered(MOST_CHALLENGED)
        """Address → the traces that have challenged it, and when."""

    def note(self, record: ExchangeRecord, trace_id: str) -> None:
        """Learn from an exchange of a trace.

        Args:
            record: The exchange.
            trace_id: The id of the trace.
        """
        if record.oauth is None:
            if (
                len(self._addresses)
                and is_mcp(record)
                and (record.status or 500) < 400
                and credential_of(record) is not None
            ):
                self._let_in(record, trace_id)
        elif record.oauth.leg == "challenge":
            if record.status == 401:
                self._challenged(record, trace_id)
        elif trace_id in (self._addresses.get(record.address) or ()):
            self._challenged(record, trace_id)

    def _challenged(self, record: ExchangeRecord, trace_id: str) -> None:
        if not record.proxied:
            # What comes by a proxy's connection may be of anybody.
            self._connections.put(record.connection, (trace_id, record.at))
        traces = self._addresses.get(record.address) or {}
        traces.pop(trace_id, None)
        traces[trace_id] = record.at
        if len(traces) > MOST_TRACES:
            del traces[next(iter(traces))]
        self._addresses.put(record.address, traces)

    def _let_in(self, record: ExchangeRecord, trace_id: str) -> None:
        """Expect nothing any more of a client that has its token."""
        self._connections.take(record.connection)
        (self._addresses.get(record.address) or {}).pop(trace_id, None)

    def home(self, connection: int, address: str, now: float) -> Home | None:
        """Return the trace that a request without one is likely to be of; None where that is not known.

        Args:
            connection: The number of its connection.
            address: Whom the server takes for the caller.
            now: Seconds of the wall clock.
        """
        known = self._connections.get(connection)
        if known is not None and now - known[1] <= WITHIN:
            return Home(known[0], "connection")
        traces = self._addresses.get(address) or {}
        recent = [trace_id for trace_id, at in traces.items() if now - at <= WITHIN]
        return Home(recent[0], "address") if len(recent) == 1 else None
