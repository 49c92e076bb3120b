"""What is seen of exchanges that never were."""

from __future__ import annotations

from typing import Any

from mcp_echo.watch.observer import Watch
from mcp_echo.watch.seen import Seen


def seen(**fields: Any) -> Seen:
    """Return what is seen of an exchange, with these fields."""
    watch = Watch((), lambda: 0.0, print)
    exchange = {
        "watch": watch,
        "peer": "127.0.0.1",
        "connection": 1,
        "head": None,
        "received": 0,
        "arrived": 0.0,
    }
    return Seen(**{**exchange, **fields})
