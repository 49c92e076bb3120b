"""What is seen of exchanges that never were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcp_echo.transport.edge.head import Head
from mcp_echo.watch.observer import Watch
from mcp_echo.watch.seen import Seen


def seen(now: Callable[[], float] = lambda: 0.0, **fields: Any) -> Seen:
    """Return what is seen of an exchange, with these fields."""
    watch = Watch((), now, print)
    exchange = {
        "watch": watch,
        "peer": "127.0.0.1",
        "connection": 1,
        "head": None,
        "received": 0,
        "arrived": 0.0,
    }
    return Seen(**{**exchange, **fields})


def head(request_line: str = "POST /mcp HTTP/1.1", **fields: str) -> Head:
    """Return the head of a request; names of header fields are given with underscores."""
    lines = [request_line, "Host: localhost", *(f"{n.replace('_', '-')}: {v}" for n, v in fields.items())]
    made = Head("\r\n".join(lines).encode())
    made.check(100)
    return made
