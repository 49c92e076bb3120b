"""What is known of sessions that are no more, and of those that are on another node. No I/O.

Each node knows in its memory the sessions that it has seen end, and those that other nodes of a shared store
have ended and have told it of: each tells what it knew. Of such a session nobody can tell when it was used
last, since that may have been on another node.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from mcp_echo.protocol.session_ids import tag_in
from mcp_echo.protocol.texts import moment
from mcp_echo.sessions.key import SessionKey
from mcp_echo.sessions.session import Session
from mcp_echo.sessions.store import EndReason
from mcp_echo.watch.records import Tombstone

_ENDED: dict[EndReason, str] = {
    "expired": "expired",
    "closed": "closed by DELETE or by a fault",
    "displaced": "displaced by another session",
}


class Life(NamedTuple):
    """A session's life up to its end; spans are in seconds."""

    node: str
    """The node that made it."""
    age: float
    """Since it was made."""
    idle: float | None
    """Since it was used last; None where that is not known."""
    timeout: float
    """How long it is kept without being used."""

    @classmethod
    def of(cls, session: Session, node: str, now: float) -> Life:
        """Return the life of a session that no other node can serve.

        Args:
            session: The session.
            node: The name of this node.
            now: Seconds of the steady clock.
        """
        return cls(node, now - session.created, now - session.last_activity, session.timeout)


class Tombstones:
    """Remembers what became of sessions, for their owners alone.

    Args:
        most: How many sessions (``MCP_ECHO_TOMBSTONES``); the one that ended first is forgotten for one more.
        tag: What this node's ids have; see `mcp_echo.protocol.session_ids`.
        alone: Whether no other node can serve the sessions of this one, nor this one theirs.
        wall: The wall clock.
    """

    def __init__(self, most: int, tag: str, wall: Callable[[], float], *, alone: bool) -> None:
        self._most = most
        self._tag = tag
        self._wall = wall
        self._alone = alone
        self._graves: OrderedDict[str, tuple[str | None, Tombstone]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._graves)

    def bury(self, key: SessionKey, life: Life, reason: EndReason) -> None:
        """Remember a session that has just been found to be over, unless its end is known already.

        State behind a handle is let go of.

        One that expired ended when its time was up, which may be a while ago.
        """
        if key.handle or key.id in self._graves:
            return
        now = self._wall()
        idle = life.idle
        overdue = max(0.0, idle - life.timeout) if idle is not None and reason == "expired" else 0.0
        tombstone = Tombstone(
            made=now - life.age,
            node=life.node,
            used=None if idle is None else now - idle,
            ended=now - overdue,
            reason=reason,
        )
        self._graves[key.id] = key.owner, tombstone
        while len(self._graves) > self._most:
            self._graves.popitem(last=False)

    def find(self, session_id: str, owner: str | None) -> Tombstone | None:
        """Return what may be told of a session that is not here, or not the caller's.

        What became of it is told to its owner alone. That another node made it is told to everybody, since
        the id says so: then only `Tombstone.node` is there, with that node's tag.
        """
        of_whom, tombstone = self._graves.get(session_id, (None, None))
        if tombstone is not None:
            return tombstone if of_whom == owner else None
        tag = tag_in(session_id)
        if tag is None or tag == self._tag or not self._alone:
            return None
        return Tombstone(node=tag, shared=False)


def fate(tombstone: Tombstone) -> str | None:
    """Return for people when a session was made and used, and when and why it ended.

    None where it is not known to have ended.
    """
    if tombstone.ended is None or tombstone.reason is None:
        return None
    made = "" if tombstone.made is None else f"made {moment(tombstone.made)} on {tombstone.node}, "
    used = "" if tombstone.used is None else f"last used {moment(tombstone.used)}, "
    return f"{made}{used}{_ENDED[tombstone.reason]} {moment(tombstone.ended)}"
