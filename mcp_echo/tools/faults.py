"""Misbehaviour on order: armFault, drillPlan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mcp_echo.faults.kinds import KINDS
from mcp_echo.faults.orders import FAULTS, CannotArm, FaultState, Order, arm, check, disarm
from mcp_echo.faults.plans import PLANS
from mcp_echo.faults.shown import OrderShown, orders_of
from mcp_echo.protocol.errors import TracesUnavailable
from mcp_echo.redaction import quoted
from mcp_echo.tools.base import Answer, Call, Tool, ToolError
from mcp_echo.tools.traces import named_trace
from mcp_echo.watch.drill_report import Planned, drill_report
from mcp_echo.watch.insight import Insight
from mcp_echo.watch.parts import TraceGone
from mcp_echo.watch.traces import Trace


class FaultArguments(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What armFault takes: an `Order`, with how often it fires in an object of its own, and where."""

    trace: Annotated[str | None, Meta(description="From createTrace; else this address's.")] = None
    fault: Annotated[str | None, Meta(description=f"{', '.join(KINDS)}; none to list orders.")] = None
    options: Annotated[dict[str, Any], Meta(description="Of the fault.")] = {}
    match: Annotated[dict[str, Any], Meta(description="Which requests: method, tool, leg, nth.")] = {}
    when: Annotated[
        dict[str, float], Meta(description="How often: after, times, seconds, probability, seed.")
    ] = {}
    disarm: Annotated[bool, Meta(description="Disarm all first.")] = False


class PlanArguments(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What drillPlan takes."""

    trace: Annotated[str | None, Meta(description="From createTrace; else this address's.")] = None
    plan: Annotated[str | None, Meta(description=f"{', '.join(PLANS)}; none for the report.")] = None


class FaultResult(msgspec.Struct, rename="camel"):
    """What armFault and drillPlan answer; docs/faults.md says what an order has."""

    pending: int
    """How many orders can fire now or later."""
    armed: list[int]
    """The numbers of those that were armed by this call."""
    orders: list[dict[str, Any]]


class NoFaults(ValueError):
    """Nothing can be ordered of a trace; the message says why, and what to do."""


def check_trace(insight: Insight, trace: Trace, faults: str) -> None:
    """Insist on a trace that faults may hit.

    Args:
        insight: The traces.
        trace: Which.
        faults: The setting.

    Raises:
        NoFaults: They may not.
    """
    if faults == "off":
        raise NoFaults("No faults are made here: MCP_ECHO_FAULTS is off")
    if trace is insight.standing or trace is insight.plain:
        raise NoFaults("Faults hit traces that were made, and never /mcp itself: call createTrace")


async def ordered(
    insight: Insight, trace: Trace, orders: Sequence[Order], plan: str | None = None
) -> list[OrderShown]:
    """Arm orders of a trace; return them.

    Raises:
        CannotArm: One cannot be carried out, or there are too many.
        TracesUnavailable: They cannot be kept.
        TraceGone: The trace has ended.
    """
    for order in orders:
        check(order)
    now = insight.clocks.wall()

    def work(state: FaultState) -> list[int]:
        return [each.number for each in arm(state, orders, now, plan)]

    numbers = await insight.parts.change(trace, FAULTS, work)
    await _known(insight, trace, orders)
    return [each for each in orders_of(trace, now) if each.number in numbers]


async def planned(insight: Insight, trace: Trace, plan: str) -> list[OrderShown]:
    """Arm the orders of a plan, one after the other; see `ordered`."""
    if plan not in PLANS:
        raise CannotArm(f"plan is {quoted(plan)}; there are {', '.join(PLANS)}")
    return await ordered(insight, trace, PLANS[plan].orders, plan)


async def disarmed(insight: Insight, trace: Trace) -> None:
    """Disarm every order of a trace.

    Raises:
        TracesUnavailable: It cannot be kept.
        TraceGone: The trace has ended.
    """
    orders = [each.order for each in FAULTS.read(trace).orders]
    await insight.parts.change(trace, FAULTS, disarm)
    await _known(insight, trace, orders)


async def _known(insight: Insight, trace: Trace, orders: Sequence[Order]) -> None:
    """Wait until the other nodes know of a change, and tell clients that their tools are others now."""
    await insight.store.latest(trace)
    if any(each.fault == "tools" for each in orders):
        for session_id in insight.recorder.sessions_of(trace):
            insight.tools_changed(session_id)


async def arm_fault(call: Call, arguments: FaultArguments) -> Answer:
    """Arm an order, disarm all, or list them.

    Raises:
        ToolError: It cannot be carried out, or there is no such trace.
    """
    insight, trace = await _trace(call, arguments.trace)
    try:
        if arguments.disarm:
            await disarmed(insight, trace)
        armed = [] if arguments.fault is None else await ordered(insight, trace, [_order(arguments)])
    except (CannotArm, TracesUnavailable, TraceGone) as error:
        raise ToolError(str(error) or "This trace has ended.") from None
    return _answer(insight, trace, armed, "🧨 Faults")


def _order(arguments: FaultArguments) -> Order:
    order = {"fault": arguments.fault, "options": arguments.options, "match": arguments.match}
    try:
        return msgspec.convert({**arguments.when, **order}, Order, strict=False)
    except msgspec.ValidationError as error:
        raise CannotArm(str(error)) from None


async def drill_plan(call: Call, arguments: PlanArguments) -> Answer:
    """Arm a plan, or report on what came of the orders.

    Raises:
        ToolError: There is no such plan or trace.
    """
    insight, trace = await _trace(call, arguments.trace)
    if arguments.plan is None:
        orders = orders_of(trace, insight.clocks.wall())
        return Answer(report_on(insight, trace).decode(), _result((), orders))
    try:
        armed = await planned(insight, trace, arguments.plan)
    except (CannotArm, TracesUnavailable, TraceGone) as error:
        raise ToolError(str(error) or "This trace has ended.") from None
    return _answer(insight, trace, armed, f"🧨 Drill Plan {arguments.plan}")


def report_on(insight: Insight, trace: Trace) -> bytes:
    """Return what came of the orders of a trace, as Markdown for an issue."""
    orders = orders_of(trace, insight.clocks.wall())
    told = [Planned(each.number, each.fault, each.state) for each in orders]
    return drill_report(insight.report(trace), list(trace.records), orders=told)


def _result(armed: Sequence[OrderShown], orders: Sequence[OrderShown]) -> FaultResult:
    pending = sum(each.state in ("armed", "waiting") for each in orders)
    return FaultResult(pending, [each.number for each in armed], msgspec.to_builtins(list(orders)))


async def _trace(call: Call, named: str | None) -> tuple[Insight, Trace]:
    insight, seen = call.context.insight, call.request.seen
    known = named or (None if seen.trace is None else seen.trace.id)
    if known is None:
        raise ToolError("Name a trace: faults hit traces that were made, and never /mcp. Call createTrace.")
    trace = await named_trace(call, known)
    assert insight is not None  # noqa: S101  # there is no trace without
    try:
        check_trace(insight, trace, call.context.settings.faults)
    except NoFaults as error:
        raise ToolError(f"{error}.") from None
    return insight, trace


def _answer(insight: Insight, trace: Trace, armed: Sequence[OrderShown], title: str) -> Answer:
    orders = orders_of(trace, insight.clocks.wall())
    lines = [title, "", *(line for each in orders for line in _lines(each))]
    if not orders:
        lines.append("Nothing is ordered. Name a fault to arm one.")
    return Answer("\n".join(lines), _result(armed, orders))


def _lines(order: OrderShown) -> list[str]:
    options = msgspec.json.encode(order.options).decode() if order.options else ""
    first = f"{order.number}. {order.fault} {options}".rstrip()
    return [
        f"{first}: {order.state}, fired {order.fired} of {order.times}",
        *(f"   {each.at}: {each.verdict}" for each in order.firings if each.verdict is not None),
    ]


ARM_FAULT = Tool(
    name="armFault",
    title="Arm fault",
    description="Have a trace misbehave; return its orders. Call it to see how the client copes.",
    arguments=FaultArguments,
    result=FaultResult,
    run=arm_fault,
    read_only=False,
    idempotent=False,
)

DRILL_PLAN = Tool(
    name="drillPlan",
    title="Drill plan",
    description="Arm faults one after the other, or return what the client did. Call it for a drill.",
    arguments=PlanArguments,
    result=FaultResult,
    run=drill_plan,
    read_only=False,
    idempotent=False,
)
