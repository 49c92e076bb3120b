"""One request's work on shared sessions, from the first attempt until what it changed is kept. No I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterable
from inspect import iscoroutine
from typing import Any, NamedTuple, Protocol

from mcp_echo.cluster.cached_session import Replica
from mcp_echo.cluster.engine import Count, Create, Record
from mcp_echo.cluster.record import Kept, encode
from mcp_echo.cluster.repository import Keeping
from mcp_echo.cluster.session import Keeper, SharedSession
from mcp_echo.cluster.session_cache import Copies
from mcp_echo.protocol.errors import SessionNotFound, TooManySessions, TooManySessionsForHolder
from mcp_echo.protocol.revisions import Revision
from mcp_echo.sessions.limits import holder_of
from mcp_echo.sessions.store import Clock

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_HANDLE = re.compile(r"es_[A-Za-z0-9_-]{32}", re.ASCII)


class Want(NamedTuple):
    """A session that a request needs."""

    id: str
    owner: str | None
    handle: bool

    @property
    def is_possible(self) -> bool:
        """Whether there may be such a session at all."""
        return (_HANDLE if self.handle else _ID).fullmatch(self.id) is not None


class NotHere(BaseException):
    """A session that was asked for has to be read first.

    No Exception: the server answers those.
    """

    def __init__(self, want: Want) -> None:
        super().__init__()
        self.want = want


class NotCounted(BaseException):
    """The sessions of a holder that were asked about have to be counted first; no Exception, likewise."""

    def __init__(self, count: Count) -> None:
        super().__init__()
        self.count = count


class Sessions(Keeper, Protocol):
    """What a unit needs of the store."""

    now: Clock

    @property
    def copies(self) -> Copies:
        """The copies of this node."""

    @property
    def keeping(self) -> Keeping:
        """Has changes kept."""


class Unit:
    """One request's work on sessions, from the first attempt until what it changed is kept.

    Args:
        store: The store.
        wants: Sessions that it is known to need.
    """

    def __init__(self, store: Sessions, wants: Iterable[Want]) -> None:
        self.store = store
        self.wants = {want.id: want for want in wants}
        self.replicas: dict[str, Replica] = {}
        """Those that are this unit's to change."""
        self.missing: set[str] = set()
        """Sessions that are known not to be there, or not to be the caller's."""
        self.refusal: TooManySessions | TooManySessionsForHolder | None = None
        self.admitted = 0
        self.counted: dict[Count, int] = {}
        """How many sessions each caller asked about has, as the engine counted them since the last change."""
        self.begin()

    def begin(self) -> None:
        """Begin an attempt: nothing of an earlier one has happened."""
        self.sessions: dict[str, SharedSession] = {}
        self.closed: list[SharedSession] = []
        self.new: list[tuple[SharedSession, Create]] = []
        self.effects: list[Callable[[], object]] = []
        self.undo: list[Callable[[], object]] = []

    def use(self, want: Want, notice: bool = False) -> SharedSession:
        """Return a session; see `SessionStore.use`."""
        session = self.sessions.get(want.id)
        if session is None:
            session = self._draw(want)
        elif session in self.closed or (session.principal, session.handle) != (want.owner, want.handle):
            raise SessionNotFound
        session.draft.touch = True
        session.used = session.used or not notice
        return session

    def _draw(self, want: Want) -> SharedSession:
        if want.id in self.missing or not want.is_possible:
            raise SessionNotFound
        replica = self.replicas.get(want.id) or self.store.copies.take(want.id)
        if replica is None:
            raise NotHere(want)
        self.replicas[want.id] = replica
        if replica.owner != want.owner or replica.handle is not want.handle or replica.revision is None:
            raise SessionNotFound
        return self._session(replica, replica.revision)

    def _session(self, replica: Replica, revision: Revision) -> SharedSession:
        store = self.store
        engine_now = store.keeping.engine.now()
        draft = store.keeping.draft(replica, engine_now)
        session = SharedSession(store, replica, draft, engine_now, store.now(), revision)
        self.sessions[replica.id] = session
        return session

    def create(self, want: Want, kept: Kept, revision: Revision, address: str | None) -> SharedSession:
        """Return a new session, which is kept with the rest of the work."""
        if self.refusal is not None:
            raise self.refusal
        now = self.store.keeping.engine.now()
        record = Record(0, encode(kept), None, now, now, ())
        replica = Replica(
            want.id, want.owner, want.handle, record, self.store.keeping.bounds, self.store.node
        )
        session = self._session(replica, revision)
        self.new.append((session, Create(want.id, want.owner, want.handle, kept.timeout, b"", address)))
        return session

    def close(self, want: Want) -> None:
        """End a session; see `SessionStore.close`."""
        session = self.use(want)
        self.closed.append(session)

    def held_by(self, principal: str | None, address: str, most: int) -> int:
        """Return how many sessions a caller has, with what this attempt has made and ended so far.

        Args:
            principal: Who the caller is, or None.
            address: The caller's network address.
            most: How many it may have: one that it makes beyond that takes the place of another of its own.
        """
        count = Count(principal, address)
        counted = self.counted.get(count)
        if counted is None:
            raise NotCounted(count)
        holder = holder_of(principal, address)
        made = sum(holder_of(create.owner, create.address) == holder for _, create in self.new)
        # The address that made a session without a principal is not known here; it is taken for the caller's.
        ended = sum(session.principal == principal for session in self.closed)
        return max(0, min(counted + made, max(counted, most)) - ended)


def abandon(work: Coroutine[Any, Any, Any]) -> None:
    """Close a coroutine that is never to begin, and those that it was to wait for."""
    frame = getattr(work, "cr_frame", None)
    given = [] if frame is None else [each for each in frame.f_locals.values() if iscoroutine(each)]
    work.close()
    for each in given:
        abandon(each)
