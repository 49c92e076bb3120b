"""``/t/{trace}/faults``: orders are listed, armed and disarmed there."""

from __future__ import annotations

from typing import Any

import msgspec

from mcp_echo.faults.kinds import kinds_shown
from mcp_echo.faults.orders import CannotArm, Order
from mcp_echo.faults.plans import PLANS
from mcp_echo.faults.shown import OrderShown, orders_of
from mcp_echo.protocol.errors import InvalidRequest
from mcp_echo.tools.faults import NoFaults, check_trace, disarmed, ordered, planned, report_on
from mcp_echo.watch.insight import Insight
from mcp_echo.watch.traces import Trace


class PlanWish(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A plan, as somebody orders it."""

    plan: str


class FaultOrders:
    """Takes the orders of traces.

    Args:
        insight: The traces.
        setting: ``MCP_ECHO_FAULTS``.
    """

    def __init__(self, insight: Insight, setting: str) -> None:
        self._insight = insight
        self._setting = setting

    def takes(self, trace: Trace) -> bool:
        """Return whether faults may hit a trace."""
        try:
            check_trace(self._insight, trace, self._setting)
        except NoFaults:
            return False
        return True

    def shown(self, trace: Trace) -> dict[str, Any]:
        """Return the orders of a trace, and what can be ordered."""
        plans = [{"plan": name, "summary": plan.summary} for name, plan in PLANS.items()]
        orders = orders_of(trace, self._insight.clocks.wall())
        return {"orders": orders, "kinds": kinds_shown(), "plans": plans}

    def report(self, trace: Trace) -> bytes:
        """Return what came of the orders of a trace, as Markdown for an issue."""
        return report_on(self._insight, trace)

    async def arm(self, trace: Trace, body: bytes) -> OrderShown | dict[str, list[OrderShown]]:
        """Arm what a body orders: an order, or a plan.

        Raises:
            InvalidRequest: It is none that can be carried out.
            TracesUnavailable: It cannot be kept.
            TraceGone: The trace has ended.
        """
        try:
            wish = _read(body)
            if isinstance(wish, PlanWish):
                return {"orders": await planned(self._insight, trace, wish.plan)}
            return (await ordered(self._insight, trace, [wish]))[0]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, CannotArm) as error:
            raise InvalidRequest(f"Invalid request: {error}") from None

    async def disarm(self, trace: Trace) -> None:
        """Disarm every order of a trace."""
        await disarmed(self._insight, trace)


def _read(body: bytes) -> Order | PlanWish:
    value = msgspec.json.decode(body or b"{}")
    kind: Any = PlanWish if isinstance(value, dict) and "plan" in value else Order
    wish: Order | PlanWish = msgspec.convert(value, kind)
    return wish
