"""What the nodes of a shared store tell each other of the sessions that they end."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from mcp_echo.sessions.key import SessionKey
from mcp_echo.sessions.store import EndReason
from mcp_echo.sessions.tombstones import Life
from tests.engines import DictRecords
from tests.nodes import Node

Heard = list[tuple[SessionKey, Life, EndReason]]


def pair(timeout: float = 1000.0) -> tuple[Node, Node, Heard, DictRecords, Clock]:
    """Return two nodes, and what the second one hears of the ends of sessions."""
    kept, clock = DictRecords(), Clock()
    a, b = (Node(kept, name, clock, timeout) for name in "ab")
    heard: Heard = []

    def hear(*what: Any) -> None:
        heard.append(what)  # type: ignore[arg-type]

    b.store.bus.buried = hear
    return a, b, heard, kept, clock


def test_a_node_that_never_had_a_session_hears_that_another_has_closed_it() -> None:
    """docs: an id that is gone tells when it was made and ended, whichever node is asked."""
    a, _, heard, kept, _ = pair()
    session_id = a.create("alice")
    kept.advance(7)
    a.do(lambda store: store.close(session_id, "alice"))
    assert heard == [(SessionKey(session_id, "alice", False), Life("a", 7.0, None, 1000.0), "closed")]


def test_a_node_hears_that_another_has_found_a_session_to_have_expired() -> None:
    """As above."""
    a, _, heard, kept, clock = pair(60.0)
    session_id = a.create("alice")
    kept.advance(61)
    clock.advance(61)
    a.store.expire()
    ((key, life, reason),) = heard
    assert (key.id, life.node, reason) == (session_id, "a", "expired")
