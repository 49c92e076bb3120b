"""Drills that real clients are put through: what is ordered, what they are told to do, and how they run.

Each client makes a call that is hit, does nothing for two seconds, and makes another call.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

ECHO = {"name": "echo", "arguments": {"message": "first"}}
THEN = {"name": "echo", "arguments": {"message": "then"}}
PROGRESS = {"name": "clientProbe", "arguments": {"feature": "progress"}}
"""A call that is answered with a stream: progress comes three times before the answer."""


class DrillOrder(NamedTuple):
    """What a client meets."""

    fault: str
    options: dict[str, Any]
    first: dict[str, Any] = ECHO
    """The call that is hit."""

    @property
    def order(self) -> dict[str, Any]:
        """The order, as ``POST /t`` takes it."""
        return {"fault": self.fault, "options": self.options, "match": {"method": "tools/call"}}

    @property
    def script(self) -> str:
        """What the client is told on its standard input."""
        return json.dumps({"first": self.first, "then": THEN})


ORDERS = {
    "session-lost": DrillOrder("session-lost", {"status": 404}),
    # In the modern era events have no ids by themselves.
    "cut": DrillOrder("cut", {"after": 1, "retryMs": 700, "eventId": True}, PROGRESS),
    "reject": DrillOrder("reject", {"status": 429, "retryAfter": 1}),
    "answer": DrillOrder("answer", {"as": "wrong-id"}),
}
"""Column of the table in docs/clients.md → what is ordered."""
