"""Who holds how many sessions, and whose never-used session gives way when there are too many. No I/O.

A holder is a principal, or a client address where no principal is known. Sessions and handles count alike.

A session that no request has used, after the one that made it, is the one whose end costs least: a client
that comes back to it is told to begin anew, as after a restart. So it gives way to a new one:

- Where a holder has as many sessions as it may, its own oldest never-used one gives way.
- Where there are as many as may be at all, the holder that has most gives way, among those that have a
  never-used session: with the oldest of these. Nobody gives way to a holder that has more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from itertools import count, islice

from mcp_echo.sessions.session import Session
from mcp_echo.sessions.store import SAMPLE


class Share:
    """The sessions of one holder.

    Args:
        holder: Its name.
    """

    __slots__ = ("_fresh", "_used", "holder")

    def __init__(self, holder: str) -> None:
        self.holder = holder
        self._fresh: OrderedDict[str, Session] = OrderedDict()
        """Those not known to have been used, the oldest first."""
        self._used: dict[str, Session] | None = None
        """The others; None before the first."""

    def __len__(self) -> int:
        return len(self._fresh) + (0 if self._used is None else len(self._used))

    def add(self, session: Session) -> None:
        """Take in a new session."""
        self._fresh[session.id] = session

    def remove(self, session: Session) -> None:
        """Forget a session."""
        if self._fresh.pop(session.id, None) is None and self._used is not None:
            del self._used[session.id]

    def oldest_unused(self) -> Session | None:
        """Return the oldest session that was never used; None if there is none.

        Which ones have been used is found out here, once for each, so that using one costs nothing.
        """
        while self._fresh:
            session = next(iter(self._fresh.values()))
            if not session.record.used:
                return session
            self._used = {} if self._used is None else self._used
            self._used[session.id] = self._fresh.popitem(last=False)[1]
        return None

    @property
    def sample(self) -> Iterable[Session]:
        """Some of those that have been used, as many as are worth a look."""
        return islice((self._used or {}).values(), SAMPLE)


class Shares:
    """The sessions of all holders, and who has most."""

    def __init__(self) -> None:
        self._shares: dict[str, Share] = {}
        self._ranking: list[tuple[int, int, Share]] = []
        """A heap: how many sessions, negative, when it changed, and whose; old entries are among them."""
        self._subscriptions = count()

    def __len__(self) -> int:
        return len(self._shares)

    def held_by(self, holder: str | None) -> int:
        """Return how many sessions a holder has."""
        share = self._of(holder)
        return 0 if share is None else len(share)

    def add(self, session: Session) -> None:
        """Count a new session."""
        if session.holder is None:
            return
        share = self._shares.get(session.holder)
        if share is None:
            share = self._shares[session.holder] = Share(session.holder)
        # One text for all of a holder's sessions.
        session.holder = share.holder
        share.add(session)
        self._rank(share)

    def remove(self, session: Session) -> None:
        """Count a session that is over."""
        if session.holder is None:
            return
        share = self._shares[session.holder]
        share.remove(session)
        if share:
            self._rank(share)
        else:
            del self._shares[session.holder]

    def oldest_unused_of(self, holder: str | None) -> Session | None:
        """Return the oldest session of a holder that was never used; None if there is none."""
        share = self._of(holder)
        return None if share is None else share.oldest_unused()

    def first_to_give_way(self, holder: str | None) -> Session | None:
        """Return the never-used session that gives way to a new one of a holder; None if none does."""
        while self._ranking:
            size, _, share = self._ranking[0]
            session = share.oldest_unused() if len(share) == -size else None
            if session is None:
                heappop(self._ranking)
            else:
                return session if len(share) >= self.held_by(holder) else None
        return None

    def sample_of(self, holder: str | None) -> Iterable[Session]:
        """Return some sessions of a holder that has no never-used one."""
        share = self._of(holder)
        return () if share is None else share.sample

    def _of(self, holder: str | None) -> Share | None:
        return None if holder is None else self._shares.get(holder)

    def _rank(self, share: Share) -> None:
        heappush(self._ranking, (-len(share), next(self._subscriptions), share))
        if len(self._ranking) > 2 * len(self._shares) + SAMPLE:
            self._ranking = [(-len(each), next(self._subscriptions), each) for each in self._shares.values()]
            heapify(self._ranking)
