"""What is ordered of a trace: orders that are armed, fire and are over. No I/O.

Theory of operation. An order is armed, and waits for exchanges that it can hit. Of those the first ``after``
pass, and then it fires ``times`` times, or once at the ``nth``; it is over when it has fired as often as it
may, when its time is over, or when it is disarmed. The order of a plan waits until the one before it is over.
All of that is a part of the trace (`mcp_echo.watch.parts`), changed by compare and set: so an order that may
fire once fires once, on however many nodes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mcp_echo.faults.answer import Answer
from mcp_echo.faults.asked import Asked
from mcp_echo.faults.fault import Fault
from mcp_echo.faults.kinds import KINDS, WrongOptions, fault_of
from mcp_echo.redaction import quoted
from mcp_echo.watch.parts import Part
from mcp_echo.watch.seen import Leg
from mcp_echo.watch.traces import Trace

MOST_ORDERS = 32
"""Orders of a trace that are known; the oldest one that is over gives way."""

MOST_FIRINGS = 16
"""Times that are kept of when an order fired; the newest stay."""

MOST_OPTION_BYTES = 4096
"""Bytes of the options of an order."""

State = Literal["waiting", "armed", "over", "expired", "disarmed"]
"""It waits for the one before it, can fire, has fired as often as it may, was not used up in its time, or was
called off."""


class Match(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Which of the exchanges that a fault can hit it is to hit; what is not given is any."""

    method: Annotated[str, Meta(max_length=100)] | None = None
    """A JSON-RPC method, or GET for the streams that a session listens on."""
    tool: Annotated[str, Meta(max_length=100)] | None = None
    leg: Leg | None = None
    nth: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """Only the nth of those."""

    def fits(self, asked: Asked) -> bool:
        """Return whether a request is one of those."""
        if self.leg is not None and asked.leg != self.leg:
            return False
        if self.tool is not None and self.tool not in asked.tools:
            return False
        return self.method is None or self.method in asked.methods or self.method == asked.http_method


class Order(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An order, as somebody gives it."""

    fault: Annotated[str, Meta(max_length=100)]
    options: dict[str, Any] = {}
    match: Match = Match()
    after: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """How many that it could hit pass before."""
    times: Annotated[int, Meta(ge=1, le=100)] = 1
    seconds: Annotated[int, Meta(ge=1, le=3600)] = 300
    probability: Annotated[float, Meta(ge=0, le=1)] = 1.0
    seed: Annotated[int, Meta(ge=0, le=2**53 - 1)] | None = None


class Firing(msgspec.Struct, array_like=True, frozen=True):
    """An order has fired."""

    at: float
    """When, by the wall clock."""
    node: str


class Armed(msgspec.Struct, omit_defaults=True):
    """An order as it is kept."""

    number: int
    order: Order
    at: float
    """When it was armed, by the wall clock."""
    follows: int | None = None
    """The number of the order before it in a plan."""
    plan: str | None = None
    met: int = 0
    """How many exchanges it could have hit."""
    fired: int = 0
    firings: list[Firing] = []
    disarmed: bool = False

    @property
    def is_used_up(self) -> bool:
        """Whether it has fired as often as it may."""
        return self.fired >= (1 if self.order.match.nth else self.order.times)


class FaultState(msgspec.Struct):
    """The orders of one trace."""

    orders: list[Armed] = []
    last: int = 0
    """The number of the newest order."""

    def begun(self, armed: Armed, now: float) -> float | None:
        """Return when an order could fire first; None for not yet, since it waits for the one before it."""
        before = next((each for each in self.orders if each.number == armed.follows), None)
        if before is None:
            return armed.at
        if before.is_used_up:
            return before.firings[-1].at
        begun = self.begun(before, now)
        over = None if begun is None else begun + before.order.seconds
        return None if over is None or over > now else over

    def state(self, armed: Armed, now: float) -> State:
        """Return what an order does."""
        if armed.is_used_up:
            return "over"
        if armed.disarmed:
            return "disarmed"
        begun = self.begun(armed, now)
        if begun is None:
            return "waiting"
        return "expired" if begun + armed.order.seconds <= now else "armed"

    def is_pending(self, armed: Armed, now: float) -> bool:
        """Return whether an order can fire now or later."""
        return self.state(armed, now) in ("armed", "waiting")


FAULTS = Part("faults", FaultState)
"""The orders of a trace."""


def token_order(trace: Trace) -> int:
    """Return the number of the newest order of a trace that has to do with tokens; 0 for none.

    What is known of tokens by then is known no more.
    """
    if FAULTS.name not in trace.parts:
        return 0
    orders = FAULTS.read(trace).orders
    return next((each.number for each in reversed(orders) if each.order.fault == "token"), 0)


def names_other_issuer(trace: Trace) -> bool:
    """Return whether an order of a trace has its metadata name another issuer, or had."""
    orders = (each.order for each in FAULTS.read(trace).orders)
    return any(each.fault == "metadata" and each.options.get("as") == "other-issuer" for each in orders)


class CannotArm(ValueError):
    """An order cannot be armed; the message says why, and what to do."""


class Claim(msgspec.Struct, frozen=True):
    """An order that has fired at an exchange."""

    number: int
    kind: str
    fault: Fault
    chance: float
    """A number from 0 to 1, the same for the same seed and turn."""

    @property
    def mark(self) -> str:
        """The fault and its variant."""
        return f"{self.kind} {self.fault.variant}".strip()


def check(order: Order) -> None:
    """Insist on an order that can be carried out.

    Raises:
        CannotArm: It cannot.
    """
    if order.fault not in KINDS:
        raise CannotArm(f"fault is {quoted(order.fault)}; there are {', '.join(KINDS)}")
    if len(msgspec.json.encode(order.options)) > MOST_OPTION_BYTES:
        raise CannotArm(f"options have more than {MOST_OPTION_BYTES} bytes")
    try:
        fault_of(order.fault, order.options)
    except WrongOptions as error:
        raise CannotArm(str(error)) from None


def arm(state: FaultState, orders: Sequence[Order], now: float, plan: str | None = None) -> list[Armed]:
    """Arm orders, which have been checked.

    Args:
        state: Of the trace.
        orders: What is ordered.
        now: Seconds since the epoch.
        plan: The name of the plan that they are, one after the other; None for all at once.

    Raises:
        CannotArm: There are too many.
    """
    _make_room(state, len(orders), now)
    armed: list[Armed] = []
    for order in orders:
        state.last += 1
        follows = armed[-1].number if plan is not None and armed else None
        seeded = order if order.seed is not None else msgspec.structs.replace(order, seed=state.last)
        armed.append(Armed(state.last, seeded, now, follows, plan))
    state.orders.extend(armed)
    return armed


def _make_room(state: FaultState, many: int, now: float) -> None:
    over = [each for each in state.orders if not state.is_pending(each, now)]
    surplus = len(state.orders) + many - MOST_ORDERS
    if surplus > len(over):
        raise CannotArm(
            f"A trace has at most {MOST_ORDERS} orders: disarm the others, or wait until they are over"
        )
    for each in over[: max(surplus, 0)]:
        state.orders.remove(each)


def disarm(state: FaultState) -> None:
    """Disarm every order of a trace; what one that is over holds is let go of as well."""
    for each in state.orders:
        each.disarmed = True


def may_fire(state: FaultState, asked: Asked, now: float) -> bool:
    """Return whether an order may fire at a request or at its answer."""
    return bool(_fitting(state, asked, now))


def request(state: FaultState, asked: Asked, body: bytes, now: float) -> bytes | None:
    """Return what the server is to see in the place of a request's body; None for the body itself."""
    for armed in state.orders:
        begun = state.begun(armed, now)
        if not armed.disarmed and begun is not None and begun <= now < begun + armed.order.seconds:
            fault = fault_of(armed.order.fault, armed.order.options)
            other = fault.request(asked, body) if armed.order.match.fits(asked) else None
            if other is not None:
                return other
    return None


def claim(state: FaultState, asked: Asked, answer: Answer | None, now: float, node: str) -> Claim | None:
    """Have the first order fire that can; return it, or None.

    Args:
        state: Of the trace.
        asked: The request.
        answer: Its answer; None where there is none yet.
        now: Seconds since the epoch.
        node: Where it fires.
    """
    for armed, fault in _fitting(state, asked, now):
        if fault.is_instead if answer is None else _changes(fault, asked, answer):
            armed.met += 1
            chance = random.Random(f"{armed.order.seed} {armed.met}")  # noqa: S311  # to be had again
            if _is_due(armed) and chance.random() < armed.order.probability:
                armed.fired += 1
                armed.firings = [*armed.firings, Firing(now, node)][-MOST_FIRINGS:]
                return Claim(armed.number, armed.order.fault, fault, chance.random())
    return None


def _changes(fault: Fault, asked: Asked, answer: Answer) -> bool:
    if fault.is_instead or (answer.is_end and not fault.answers_late):
        return False
    return fault.changes(asked, answer)


def _is_due(armed: Armed) -> bool:
    met, nth = armed.met - armed.order.after, armed.order.match.nth
    return met > 0 and (nth is None or met == nth)


def _fitting(state: FaultState, asked: Asked, now: float) -> list[tuple[Armed, Fault]]:
    armed = [each for each in state.orders if state.state(each, now) == "armed"]
    found = [(each, fault_of(each.order.fault, each.order.options)) for each in armed]
    return [each for each in found if _fits(*each, asked)]


def _fits(armed: Armed, fault: Fault, asked: Asked) -> bool:
    match = armed.order.match
    # What hits anything hits MCP alone, unless an order names a leg.
    is_meant = asked.leg is None or match.leg is not None or not fault.any_leg
    return is_meant and match.fits(asked) and fault.hits(asked)
