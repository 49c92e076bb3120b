"""Plans: named lists of orders, which fire one after the other. No I/O."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from mcp_echo.faults.orders import Order


class Plan(NamedTuple):
    """One plan."""

    summary: str
    """What it tries, for people."""
    orders: tuple[Order, ...]


def _plan(summary: str, *orders: dict[str, Any]) -> Plan:
    return Plan(summary, tuple(msgspec.convert(each, Order) for each in orders))


_CALLS = {"method": "tools/call"}


def _call(fault: str, **options: Any) -> dict[str, Any]:
    """Return an order that hits the next call of a tool."""
    return {"fault": fault, "options": options, "match": _CALLS}


def _asked(method: str, fault: str, **options: Any) -> dict[str, Any]:
    """Return an order that hits the next request with a method."""
    return {**_call(fault, **options), "match": {"method": method}}


PLANS: dict[str, Plan] = {
    "session-loss": _plan(
        "The session is gone: 404, then 400, 401 and 503. A client begins anew after the 404.",
        *(_call("session-lost", status=status) for status in (404, 400, 401, 503)),
    ),
    "stream-cut": _plan(
        "The stream of an answer breaks off behind its first event, with retry of 1 s and of 3 s and by a"
        " reset, and so does a stream to listen on. A client resumes with Last-Event-ID once it has waited.",
        _call("cut", retryMs=1000),
        _call("cut", retryMs=3000),
        _call("cut", reset=True),
        _asked("GET", "cut", after=0, retryMs=1000),
    ),
    "slow-start": _plan(
        "initialize and tools/list take 5 s and 10 s, one call comes in drops, and the next not at all for"
        " 70 s. A client waits, or cancels what it does not wait for.",
        _asked("initialize", "delay", seconds=5),
        _asked("tools/list", "delay", seconds=10),
        _call("drip", bytesPerSecond=100),
        _call("silence", seconds=70),
    ),
    "rate-limit": _plan(
        "Calls are refused with 429 and Retry-After of 1 s and 3 s, with 503 and 2 s, and with 429 alone. A"
        " client waits as long.",
        _call("reject", status=429, retryAfter=1),
        _call("reject", status=503, retryAfter=2),
        _call("reject", status=429, retryAfter=3),
        _call("reject", status=429),
    ),
    "bad-answers": _plan(
        "Calls are answered with another id, with none, twice, with broken JSON, with HTML, and with JSON"
        " under another name. A client gives such a call up and goes on.",
        *(_call("answer", **{"as": how}) for how in ("wrong-id", "null-id", "twice", "not-json", "html")),
        _call("content-type", value="text/plain"),
    ),
}
"""Name → plan."""
