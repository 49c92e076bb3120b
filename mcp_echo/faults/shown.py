"""Orders as those see them who may read the trace. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mcp_echo.faults.orders import FAULTS, Armed, FaultState, State
from mcp_echo.protocol.texts import timestamp
from mcp_echo.watch.drills import verdicts
from mcp_echo.watch.traces import Trace


class FiringShown(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True):
    """A time that an order fired, and what the client did then."""

    at: str
    node: str = ""
    exchange: int | None = None
    """The number of the record; None while there is none, or where it was let go of."""
    outcome: str | None = None
    verdict: str | None = None


class OrderShown(msgspec.Struct, rename="camel", frozen=True):
    """An order, and what came of it."""

    number: int
    fault: str
    options: dict[str, Any]
    match: dict[str, Any]
    after: int
    times: int
    seconds: int
    probability: float
    seed: int | None
    plan: str | None
    armed: str
    expires: str | None
    """None for one that waits for the one before it."""
    state: State
    fired: int
    firings: list[FiringShown]


def orders_of(trace: Trace, now: float) -> list[OrderShown]:
    """Return the orders of a trace, in the order in which they were armed.

    Args:
        trace: The trace.
        now: Seconds since the epoch.
    """
    state = FAULTS.read(trace)
    hits: dict[int, list[FiringShown]] = {}
    for record, verdict in verdicts(trace.records, now):
        shown = FiringShown(
            timestamp(record.at), record.node, record.number, verdict.outcome, verdict.summary
        )
        hits.setdefault(record.order or 0, []).append(shown)
    return [order_shown(each, state, now, hits) for each in state.orders]


def order_shown(
    armed: Armed, state: FaultState, now: float, hits: Mapping[int, Sequence[FiringShown]] = {}
) -> OrderShown:
    """Return one order.

    Args:
        armed: The order.
        state: All of them.
        now: Seconds since the epoch.
        hits: Number of an order → what is recorded of the times that it fired.
    """
    order, begun = armed.order, state.begun(armed, now)
    return OrderShown(
        number=armed.number,
        fault=order.fault,
        options=order.options,
        match=msgspec.to_builtins(order.match),
        after=order.after,
        times=1 if order.match.nth else order.times,
        seconds=order.seconds,
        probability=order.probability,
        seed=order.seed,
        plan=armed.plan,
        armed=timestamp(armed.at),
        expires=None if begun is None else timestamp(begun + order.seconds),
        state=state.state(armed, now),
        fired=armed.fired,
        firings=_firings(armed, hits.get(armed.number, ())),
    )


def _firings(armed: Armed, recorded: Sequence[FiringShown]) -> list[FiringShown]:
    """Return the times that an order fired: those without a record by what the order itself knows.

    A stream that is open, and one whose node has died, has none.
    """
    by_node: dict[str, list[FiringShown]] = {}
    for each in recorded:
        by_node.setdefault(each.node, []).append(each)
    shown: list[FiringShown] = []
    # From the newest on: the records of the oldest may have been let go of.
    for firing in reversed(armed.firings):
        of_node = by_node.get(firing.node)
        shown.append(of_node.pop() if of_node else FiringShown(timestamp(firing.at), firing.node))
    return shown[::-1]
