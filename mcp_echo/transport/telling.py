"""Telling observers of bodies as they pass."""

from __future__ import annotations

from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.watch.seen import BodyEvent


def tell_request(http: HttpExchange) -> None:
    """Tell of the body that came, where somebody wants it."""
    seen = http.seen
    if seen.watch.bodies or seen.trace is not None:
        seen.watch.tell(BodyEvent(seen, http.body, None))


def tell_answer(http: HttpExchange, status: int, body: bytes = b"") -> None:
    """Tell of an answer that is about to be sent, where its client is there, and has no other one."""
    seen = http.seen
    if (seen.watch.bodies or seen.trace is not None) and http.transport is not None and not http.begun:
        seen.watch.tell(BodyEvent(seen, body, status, tuple(http.lines)))
