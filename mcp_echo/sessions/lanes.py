"""The sessions in memory in the order in which they expire. No I/O."""

from __future__ import annotations

from collections import OrderedDict
from heapq import heappop, heappush, heapreplace

from mcp_echo.sessions.session import Session


class Lanes:
    """Keeps sessions with the same timeout in a lane of their own, in the order of their last activity.

    So the first of a lane expires first. Which lane comes first, a heap knows. It has one entry a lane: a
    moment before which nothing in it expires. Activity only puts that moment off, so an entry is put right
    when it is the first of the heap, and using a session costs no more than a new place in its lane.
    """

    def __init__(self) -> None:
        self._lanes: dict[float, OrderedDict[str, Session]] = {}
        self._ends: list[tuple[float, float]] = []
        """Seconds of the steady clock before which nothing in a lane expires, and the timeout of the lane."""

    def add(self, session: Session) -> None:
        """Take in a session that is active now."""
        lane = self._lanes.get(session.timeout)
        if lane is None:
            lane = self._lanes[session.timeout] = OrderedDict()
            heappush(self._ends, (session.ends, session.timeout))
        lane[session.id] = session

    def touch(self, session: Session) -> None:
        """Put a session last in its lane: it is active now."""
        self._lanes[session.timeout].move_to_end(session.id)

    def remove(self, session: Session) -> None:
        """Forget a session. A lane that is empty goes when its entry is the first of the heap."""
        del self._lanes[session.timeout][session.id]

    def first(self) -> Session | None:
        """Return the session that expires first if none is used until then; None if there is none."""
        while self._ends:
            moment, timeout = self._ends[0]
            session = next(iter(self._lanes[timeout].values()), None)
            if session is None:
                del self._lanes[timeout]
                heappop(self._ends)
            elif moment == session.ends:
                return session
            else:
                heapreplace(self._ends, (session.ends, timeout))
        return None
