"""Sessions that several processes serve, or that outlive one: the store, and work in it. No I/O.

Servers work on sessions without waiting. So a request is worked on with copies, and what it changed is kept
by the engine before anything of it leaves: answers, messages, streams. If somebody else was faster, nothing
has happened yet, and the request is worked on once more with what is kept by then. What it needs and is not
here, it asks for by an exception that no code of the server catches, and it is worked on again once that has
been read.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from inspect import iscoroutine
from typing import Any, NamedTuple, Protocol, TypeVar

from mcp_echo.protocol.errors import (
    SessionNotFound,
    StoreUnavailable,
    TooManySessions,
    TooManySessionsForPrincipal,
)
from mcp_echo.protocol.jsonrpc import Response
from mcp_echo.protocol.revisions import Revision
from mcp_echo.state.budget import StateBudget
from mcp_echo.state.engine import (
    Applied,
    Change,
    Close,
    Conflict,
    Create,
    Engine,
    EngineHealth,
    Found,
    Full,
    Load,
    Missing,
    Outcome,
    Peek,
    Record,
)
from mcp_echo.state.engine import Operation as EngineOperation
from mcp_echo.state.ledger import LEASE, Bounds
from mcp_echo.state.peers import Peers
from mcp_echo.state.replica import Draft, Kept, Operation, Replica, describe, encode_new
from mcp_echo.state.session import Client
from mcp_echo.state.shared_limits import SharedLimits
from mcp_echo.state.shared_session import SharedSession
from mcp_echo.state.store import Clock, EndReason, Holdings, Statistics

HEARTBEAT = 15.0
"""Seconds between two looks at everything that is held here, in case a nudge was lost."""

ACKNOWLEDGE = 1.0
"""Seconds until the others know what a connection here has taken."""

RETRY = 0.5
"""Seconds between two tries to keep a change that could not be kept."""

CACHE_BYTES = 64 * 1024 * 1024
"""Memory that copies of sessions take on which nothing here depends; the one used least recently goes."""

_MEAN_OVER = 64
"""Changes over which the mean size of a session is taken, each counting less the longer it is ago."""

_LOOKS = 16
"""Copies that are looked at, for one more, for some that can go."""

_COPY_BYTES = 3000
"""Memory of a copy without messages and echo, about."""

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_HANDLE = re.compile(r"es_[A-Za-z0-9_-]{32}", re.ASCII)

T = TypeVar("T")


class Want(NamedTuple):
    """A session that a request needs."""

    id: str
    owner: str | None
    handle: bool


class Waits(Protocol):
    """Ways to wait."""

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Let time pass."""

    def promise(self, seconds: float | None) -> Any:
        """Return a promise; see `mcp_echo.server.exchange.Promise`."""


class _NotHere(BaseException):
    """A session that was asked for has to be read first.

    No Exception: the server answers those.
    """

    def __init__(self, want: Want) -> None:
        super().__init__()
        self.want = want


class SharedBudget(StateBudget):
    """What this node holds of its own, and what all sessions hold together.

    Args:
        limit: Bytes that queued messages and last echoes may take together.
        engine: Knows the sums.
        tell: Told, in a sentence for the operator, when something could not be kept.
    """

    __slots__ = ("_engine",)

    def __init__(self, limit: int, engine: Engine, tell: Callable[[str], None] | None = None) -> None:
        super().__init__(limit, tell)
        self._engine = engine

    @property
    def kept(self) -> int:
        """Bytes of messages and echoes that the engine keeps."""
        held = self._engine.totals.held
        return held.queued + held.echoed

    @property
    def used(self) -> int:
        """Bytes that count against the limit."""
        return super().used + self.kept

    def has_room(self, size: int) -> bool:
        """Return whether ``size`` bytes more stay within the limit; less than 0 says that bytes go, too."""
        return self.used + size <= self.limit


class Unit:
    """One request's work on sessions, from the first attempt until what it changed is kept.

    Args:
        store: The store.
        wants: Sessions that it is known to need.
    """

    def __init__(self, store: SharedStore, wants: Iterable[Want]) -> None:
        self.store = store
        self.wants = {want.id: want for want in wants}
        self.replicas: dict[str, Replica] = {}
        """Those that are this unit's to change."""
        self.missing: set[str] = set()
        """Sessions that are known not to be there, or not to be the caller's."""
        self.made: list[Replica] = []
        """Sessions that an earlier attempt has made."""
        self.refusal: TooManySessions | TooManySessionsForPrincipal | None = None
        self.admitted = 0
        self.begin()

    def begin(self) -> None:
        """Begin an attempt: nothing of an earlier one has happened."""
        self.sessions: dict[str, SharedSession] = {}
        self.closed: list[SharedSession] = []
        self.new: list[tuple[SharedSession, Create]] = []
        self.effects: list[Callable[[], object]] = []
        self.undo: list[Callable[[], object]] = []

    def use(self, want: Want) -> SharedSession:
        """Return a session; see `SessionStore.use`."""
        session = self.sessions.get(want.id)
        if session is None:
            session = self._draw(want)
        elif session in self.closed or (session.principal, session.handle) != (want.owner, want.handle):
            raise SessionNotFound
        session.draft.touch = True
        return session

    def _draw(self, want: Want) -> SharedSession:
        if want.id in self.missing or not (_HANDLE if want.handle else _ID).fullmatch(want.id):
            raise SessionNotFound
        replica = self.replicas.get(want.id) or self.store.take(want.id)
        if replica is None:
            raise _NotHere(want)
        self.replicas[want.id] = replica
        if replica.owner != want.owner or replica.handle is not want.handle or replica.revision is None:
            raise SessionNotFound
        return self._session(replica, replica.revision)

    def _session(self, replica: Replica, revision: Revision) -> SharedSession:
        store = self.store
        engine_now = store.engine.now()
        draft = store.draft(replica, engine_now)
        session = SharedSession(store, replica, draft, engine_now, store.now(), revision)
        self.sessions[replica.id] = session
        return session

    def create(self, want: Want, kept: Kept, revision: Revision) -> SharedSession:
        """Return a new session, which is kept with the rest of the work."""
        if self.refusal is not None:
            raise self.refusal
        place = len(self.new)
        if place < len(self.made):
            session = self._session(self.made[place], revision)
            self.new.append((session, _CREATED))
            return session
        now = self.store.engine.now()
        record = Record(0, encode_new(kept), None, now, now, ())
        replica = Replica(want.id, want.owner, want.handle, record, self.store.bounds, self.store.node)
        session = self._session(replica, revision)
        self.new.append((session, Create(want.id, want.owner, want.handle, kept.timeout, b"")))
        return session

    def close(self, want: Want) -> None:
        """End a session; see `SessionStore.close`."""
        session = self.use(want)
        self.closed.append(session)


_CREATED = Create("", None, False, 0, b"")
"""Stands for the creation of what an earlier attempt has made."""


class SharedStore:
    """Sessions that an engine keeps.

    It is a `SessionStore` for a request that is being worked on, and only then.

    Args:
        engine: Keeps them.
        timeout: Seconds of idleness after which a session is gone.
        limit: How many sessions may live at once.
        limit_per_principal: How many of them one principal may have.
        bounds: How much the log of one session keeps.
        max_bytes: Bytes that queued messages and last echoes may take together.
        now: The steady clock.
        waits: Ways to wait.
        spawn: Starts work that goes on by itself.
        limits: How much one client may ask for.
        ended: Told of every session that has ended here, and why.
        echoed: Told of every echo in a session that somebody here wants to hear of, with the echo count.
        tell: Told, in a sentence for the operator, when something could not be kept.
    """

    def __init__(
        self,
        engine: Engine,
        timeout: float,
        limit: int,
        limit_per_principal: int,
        bounds: Bounds,
        max_bytes: int,
        now: Clock,
        waits: Waits,
        spawn: Callable[[Coroutine[Any, Any, None]], Callable[[], None]],
        limits: SharedLimits,
        ended: Callable[[str, EndReason, Replica | None], None],
        echoed: Callable[[str], None],
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.engine = engine
        self.node = engine.node
        self.timeout = timeout
        self.limit = limit
        self._limit_per_principal = limit_per_principal
        self.bounds = bounds
        self.budget = SharedBudget(max_bytes, engine, tell)
        self.statistics = Statistics()
        self.now = now
        self.telling: int | None = None
        self.peers = Peers(self)
        self._waits = waits
        self._spawn = spawn
        self._limits = limits
        self._ended = ended
        self._echoed = echoed
        self._unit: Unit | None = None
        self._marks = secrets.randbits(32) << 16
        self._replicas: OrderedDict[str, Replica] = OrderedDict()
        self._cached = 0
        self._mean_state = 0.0
        self._flushing: set[str] = set()
        self._unacknowledged: set[str] = set()
        self._cut_off = -LEASE
        """Milliseconds of the engine's clock when it could not be reached last."""
        self._turns: deque[Any] = deque()
        self._giving_turns = False
        self._stopping = False

    # What a request that is being worked on asks for.

    def __len__(self) -> int:
        return self.engine.totals.records

    @property
    def handles(self) -> int:
        """How many of the sessions that live are named by a handle."""
        return self.engine.totals.handles

    @property
    def holdings(self) -> Holdings:
        """What all sessions hold: what the engine keeps, and what only waits for a connection here.

        The sessions themselves are counted with the mean size of those that were changed here lately.
        """
        held, own = self.engine.totals.held, self.budget
        return Holdings(
            held.echoed + round(len(self) * self._mean_state),
            held.echoed,
            held.queued + own.queues,
            held.waiting + own.waiting,
        )

    def health(self) -> EngineHealth:
        """Return how the engine is doing."""
        return self.engine.health()

    @property
    def unit(self) -> Unit:
        """The work that is being done at this moment."""
        if self._unit is None:
            raise RuntimeError("sessions of a shared store can be had only while a request is worked on")
        return self._unit

    def use(self, session_id: str, principal: str | None, handle: bool = False) -> SharedSession:
        """Return a session; see `SessionStore.use`."""
        return self.unit.use(Want(session_id, principal, handle))

    def create(self, principal: str | None, revision: Revision, client: Client) -> SharedSession:
        """Make a session; see `SessionStore.create`."""
        return self._create(Want(str(uuid.uuid4()), principal, False), revision, client, self.timeout, None)

    def create_handle(
        self,
        principal: str | None,
        revision: Revision,
        client: Client,
        timeout: float | None = None,
        label: str | None = None,
    ) -> SharedSession:
        """Make state that is named by a handle; see `SessionStore.create_handle`."""
        want = Want(f"es_{secrets.token_urlsafe(24)}", principal, True)
        return self._create(want, revision, client, self.timeout if timeout is None else timeout, label)

    def _create(
        self, want: Want, revision: Revision, client: Client, timeout: float, label: str | None
    ) -> SharedSession:
        kept = Kept(revision.name, describe(client), self.node, max(1, round(timeout * 1000)), label)
        return self.unit.create(want, kept, revision)

    def close(self, session_id: str, principal: str | None, handle: bool = False) -> None:
        """End a session; see `SessionStore.close`."""
        self.unit.close(Want(session_id, principal, handle))

    def after(self, effect: Callable[[], object], undo: Callable[[], object] | None = None) -> None:
        """Do something once what the request has changed is kept; at once if none is being worked on.

        Args:
            effect: What to do.
            undo: What to do instead if it comes to nothing.
        """
        if self._unit is None:
            effect()
            return
        self._unit.effects.append(effect)
        if undo is not None:
            self._unit.undo.append(undo)

    # One request.

    async def perform(self, work: Callable[[], T], wants: Iterable[Want] = ()) -> T:
        """Return what ``work`` returns, once all that it has changed is kept.

        Args:
            work: Works on sessions without waiting; done again as often as others were faster. What must not
                happen twice, it leaves to `after`.
            wants: Sessions that it is known to need.

        Raises:
            StoreUnavailable: What it changed could not be kept, or what it needs could not be read.
            Exception: What ``work`` raises; what it changed before is kept.
        """
        unit = Unit(self, wants)
        try:
            while True:
                await self._obtain(unit)
                result, error = self._attempt(unit, work)
                if isinstance(error, _NotHere):
                    unit.wants[error.want.id] = error.want
                    self._release(unit)
                elif await self._keep(unit):
                    break
            # While the sessions are still this unit's: whoever changes them next finds its streams open.
            unit.undo.clear()
            for effect in unit.effects:
                effect()
        except BaseException:
            for undo in unit.undo:
                undo()
            raise
        finally:
            self._release(unit)
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def _attempt(self, unit: Unit, work: Callable[[], T]) -> tuple[T | None, BaseException | None]:
        for undo in unit.undo:
            undo()
        unit.begin()
        self._unit = unit
        # What was admitted once is not counted again.
        self._limits.begin_attempt(unit.admitted)
        try:
            return work(), None
        except (_NotHere, Exception) as error:
            return None, error
        finally:
            self._unit = None
            unit.admitted = max(unit.admitted, self._limits.end_attempt())

    async def _obtain(self, unit: Unit) -> None:
        """Have every session that is needed here, and to oneself."""
        # In one order for all, so that no two wait for each other.
        for want in sorted(unit.wants.values()):
            if want.id in unit.replicas or want.id in unit.missing:
                continue
            replica = self._replicas.get(want.id)
            if replica is not None:
                self._replicas.move_to_end(want.id)
            else:
                replica = await self._read(want)
            if replica is None:
                unit.missing.add(want.id)
                continue
            await self._lock(replica)
            unit.replicas[want.id] = replica

    async def _read(self, want: Want) -> Replica | None:
        if not (_HANDLE if want.handle else _ID).fullmatch(want.id):
            return None
        outcome = await self._submit(Load(want.id, want.owner, want.handle))
        if not isinstance(outcome, Found):
            return None
        # Another request may have read it meanwhile.
        replica = self._replicas.get(want.id)
        if replica is None:
            replica = Replica(want.id, want.owner, want.handle, outcome.record, self.bounds, self.node)
            self._remember(replica)
        return replica

    def take(self, session_id: str) -> Replica | None:
        """Return a session for oneself, if that takes no waiting."""
        replica = self._replicas.get(session_id)
        if replica is None or replica.busy:
            return None
        self._replicas.move_to_end(session_id)
        replica.busy = True
        return replica

    async def _lock(self, replica: Replica) -> None:
        if replica.busy:
            turn = self._waits.promise(None)
            replica.waiting.append(turn)
            try:
                await turn
            except BaseException:
                # Cancelled: nobody must wait for one that has gone.
                if turn in replica.waiting:
                    replica.waiting.remove(turn)
                else:
                    self._unlock(replica)
                raise
        replica.busy = True

    def _unlock(self, replica: Replica) -> None:
        if not replica.waiting:
            replica.busy = False
            return
        # It stays busy: the next one has it.
        self._turns.append(replica.waiting.popleft())
        if self._giving_turns:
            return
        # One after the other: where all are refused at once, one inside the other would go too deep.
        self._giving_turns = True
        try:
            while self._turns:
                self._turns.popleft().keep(None)
        finally:
            self._giving_turns = False

    def _release(self, unit: Unit) -> None:
        replicas, unit.replicas = unit.replicas, {}
        for replica in replicas.values():
            self._lose_unclaimed(replica)
            self._unlock(replica)

    # Keeping what was changed.

    async def _keep(self, unit: Unit) -> bool:
        """Keep what a request has changed; return False if it has to be worked on once more."""
        for session, create in unit.new:
            if create is not _CREATED and not await self._make(unit, session, create):
                return False
        first = True
        # What was used last decides the answer; of the others only counts and messages change.
        for session in reversed(unit.sessions.values()):
            if any(session is made for made, create in unit.new if create is not _CREATED):
                continue
            if not await self._keep_session(unit, session, may_retry=not first):
                return False
            first = False
        for session in unit.closed:
            if not await self._close(unit, session):
                return False
        return True

    async def _make(self, unit: Unit, session: SharedSession, create: Create) -> bool:
        draft = session.seal()
        change = draft.change(self._mark())
        outcome = await self._submit(create._replace(state=change.state))
        if isinstance(outcome, Full):
            self._refuse(unit, outcome)
            return False
        if not isinstance(outcome, Applied):
            raise SessionNotFound
        replica = session.replica
        replica.created = replica.used = outcome.created
        self.statistics.created += 1
        self._remember(replica)
        await self._lock(replica)
        unit.replicas[replica.id] = replica
        unit.made.append(replica)
        if change.add or change.held.echoed:
            # A record begins with its state alone.
            change = change._replace(version=1)
            replica.version = 1
            outcome = await self._submit(change)
            if not isinstance(outcome, Applied):
                return False
            self._applied(session, change)
            return True
        replica.version = 0
        self._applied(session, change._replace(version=0))
        return True

    def _refuse(self, unit: Unit, full: Full) -> None:
        """Have the next attempt refused."""
        if full.whose == "owner":
            self.statistics.refused_to_principals += 1
            unit.refusal = TooManySessionsForPrincipal(self._limit_per_principal, full.seconds)
        else:
            self.statistics.refused += 1
            unit.refusal = TooManySessions(self.limit, full.seconds)

    async def _keep_session(self, unit: Unit, session: SharedSession, *, may_retry: bool) -> bool:
        base, replica = session.replica.kept, session.replica
        draft = session.seal()
        while True:
            change = draft.change(self._mark())
            outcome = await self._submit(change)
            if isinstance(outcome, Applied):
                self._applied(session, change, draft)
                return True
            if isinstance(outcome, Conflict):
                await self._follow(replica, outcome.record, change.known)
            elif isinstance(outcome, Missing):
                self._gone(replica)
                unit.missing.add(replica.id)
                unit.replicas.pop(replica.id, None)
                self._unlock(replica)
            if not may_retry or isinstance(outcome, Missing):
                return may_retry
            draft = self.draft(replica, self.engine.now())
            session.redo(draft, base)

    def _applied(self, session: SharedSession, change: Change, draft: Draft | None = None) -> None:
        session.close_draft()
        self._apply(draft or session.draft, change)

    def _apply(self, draft: Draft, change: Change) -> None:
        """Take over what was kept, and let the connections here have what is theirs."""
        replica, ledger = draft.replica, draft.worked_ledger
        unkept = [] if ledger is None else ledger.unkept
        if ledger is not None:
            self.budget.messages_queued += ledger.queued
            for size in ledger.lost:
                self._lose(size)
        size = len(change.state)
        self._mean_state += (size - self._mean_state) / _MEAN_OVER if self._mean_state else size
        self._cached -= self._size(replica)
        replica.apply(draft, change, self.engine.now())
        self._cached += self._size(replica)
        self._deliver(replica, unkept)

    def _lose(self, size: int) -> None:
        self.budget.messages_dropped += 1
        if size > self.bounds.bytes or not self.budget.has_room(0):
            self.budget.lose_message(size, self.bounds.bytes)

    def _deliver(self, replica: Replica, unkept: Any = ()) -> None:
        for size in replica.deliver(list(unkept)):
            self._lose(size)
        self._tell_echoes(replica)

    def _lose_unclaimed(self, replica: Replica) -> None:
        for size in replica.drop_unclaimed():
            self._lose(size)

    def _tell_echoes(self, replica: Replica) -> None:
        if not replica.watched:
            replica.seen_echoes = replica.kept.echo_count
        while replica.seen_echoes < replica.kept.echo_count:
            replica.seen_echoes += 1
            self.telling = replica.seen_echoes
            try:
                self._echoed(replica.id)
            finally:
                self.telling = None

    async def _follow(self, replica: Replica, record: Record, known: int) -> None:
        """Take over what somebody else has kept."""
        if record.version < replica.version:
            return
        self._cached -= self._size(replica)
        try:
            if not replica.follow(record, known):
                outcome = await self._submit(Peek(replica.id))
                if isinstance(outcome, Found):
                    replica.follow(outcome.record)
        finally:
            self._cached += self._size(replica)
        # Of a try that had come to something only the answer was lost.
        replica.drop_tried(replica.kept.marks.get(self.node, 0))
        self._deliver(replica)

    async def _close(self, unit: Unit, session: SharedSession) -> bool:
        replica = session.replica
        tell = tuple(sorted((replica.ledger.holders() | set(replica.kept.watchers)) - {self.node}))
        outcome = await self._submit(Close(replica.id, replica.owner, replica.handle, tell))
        if isinstance(outcome, Applied):
            self.statistics.closed += 1
            self.statistics.lifetime_seconds += max(0, self.engine.now() - outcome.created) / 1000
            unit.effects.insert(0, lambda: self._gone(replica, "closed"))
            return True
        self._gone(replica)
        unit.missing.add(replica.id)
        unit.replicas.pop(replica.id, None)
        self._unlock(replica)
        return False

    def _mark(self) -> int:
        self._marks += 1
        return self._marks

    def draft(self, replica: Replica, now: int) -> Draft:
        """Return a draft of a session.

        Args:
            replica: The copy to begin from.
            now: Milliseconds of the engine's clock.
        """
        # After an outage the leases of all have run out: those who live get the time to say so.
        patient = now - self._cut_off < LEASE
        return Draft(replica, now, self.budget.has_room, patient)

    async def _submit(self, operation: EngineOperation) -> Outcome:
        try:
            return await self.engine.submit(operation)
        except StoreUnavailable:
            self._cut_off = self.engine.now()
            raise

    # Copies.

    @staticmethod
    def _size(replica: Replica) -> int:
        echo = 0 if replica.echo is None else replica.echo.size
        return _COPY_BYTES + replica.ledger.bytes + echo

    def _remember(self, replica: Replica) -> None:
        self._replicas[replica.id] = replica
        self._cached += self._size(replica)
        for _ in range(_LOOKS):
            oldest = next(iter(self._replicas.values()))
            if self._cached <= CACHE_BYTES or oldest is replica:
                break
            if oldest.needed:
                self._replicas.move_to_end(oldest.id)
            else:
                self._forget(oldest)

    def _forget(self, replica: Replica) -> None:
        if self._replicas.get(replica.id) is replica:
            del self._replicas[replica.id]
            self._cached -= self._size(replica)

    def _gone(self, replica: Replica, reason: EndReason | None = None) -> None:
        """A session has ended, here or elsewhere: let go of everything that hangs on it.

        Args:
            replica: The copy.
            reason: Why; None where that is not known here.
        """
        if self._replicas.get(replica.id) is not replica:
            return
        if reason is None:
            # What had time left when it was last seen was closed, by a request to another node.
            idle = self.engine.now() - replica.used
            reason = "expired" if idle >= replica.kept.timeout else "closed"
        self._forget(replica)
        replica.end()
        self._ended(replica.id, reason, replica)

    # Late changes.

    def later(self, replica: Replica, operation: Operation, size: int = 0) -> None:
        """Make a change as soon as may be; see `Keeper.later`."""
        if replica.has_ended:
            return
        if replica.id not in self._replicas:
            self._remember(replica)
        replica = self._replicas[replica.id]
        if size and sum(size for _, size in replica.later) + size > self.bounds.bytes:
            self._lose(size)
            return
        replica.later.append((operation, size))
        if replica.id not in self._flushing:
            self._flushing.add(replica.id)
            self._spawn(self._flush(replica))

    async def _flush(self, replica: Replica) -> None:
        try:
            while replica.later:
                try:
                    await self._flush_once(replica)
                except StoreUnavailable as error:
                    replica.settle(error)
                    # Nothing is lost: it is tried again for as long as it takes.
                    if self._stopping:
                        return
                    await self._waits.sleep(RETRY)
        finally:
            self._flushing.discard(replica.id)
            replica.settle(None)

    async def settle(self, session_id: str) -> None:
        """Wait until the late changes of a session are kept that there are by now.

        Raises:
            StoreUnavailable: They could not be at the first try; they will be.
        """
        replica = self._replicas.get(session_id)
        if replica is None or not replica.later:
            return
        promise = self._waits.promise(None)
        replica.settling.append(promise)
        error = await promise
        if error is not None:
            raise error

    async def _flush_once(self, replica: Replica) -> None:
        await self._lock(replica)
        try:
            while replica.later:
                operations = list(replica.later)
                draft = self.draft(replica, self.engine.now())
                for operation, _ in operations:
                    operation(draft)
                mark = self._mark()
                change = draft.change(mark)
                # Until the answer is there, it may have been carried out or not.
                replica.tried[mark] = len(operations)
                outcome = await self._submit(change)
                if isinstance(outcome, Applied):
                    replica.drop_tried(mark)
                    self._apply(draft, change)
                    self._lose_unclaimed(replica)
                elif isinstance(outcome, Conflict):
                    await self._follow(replica, outcome.record, change.known)
                    # What had come to something is told by what is kept now; the rest had not.
                    replica.tried.clear()
                else:
                    self._gone(replica)
        finally:
            self._unlock(replica)

    def noticed(self, replica: Replica) -> None:
        """A connection has taken a message; see `Keeper.noticed`."""
        self._unacknowledged.add(replica.id)

    def acknowledge(self) -> None:
        """Keep what the connections here have taken; called every `ACKNOWLEDGE` seconds."""
        noticed, self._unacknowledged = self._unacknowledged, set()
        for session_id in noticed:
            replica = self._replicas.get(session_id)
            if replica is not None and replica.streams:
                self.later(replica, _note_written)

    def beat(self) -> None:
        """Renew the leases of what is held here, and look at it anew; called every `HEARTBEAT` seconds."""
        for replica in list(self._replicas.values()):
            if replica.streams:
                self.later(replica, _renew)
            elif replica.watched or replica.running or replica.expected:
                self._look(replica)

    # What happens elsewhere.

    def nudged(self, record_id: str) -> None:
        """A record has changed, or has ended; see `Listener.nudged`."""
        replica = self._replicas.get(record_id)
        if replica is not None and replica.needed:
            self._look(replica)

    def told(self, payload: bytes) -> None:
        """Another node has broadcast this; see `Listener.told`."""
        self.peers.told(payload)

    def caught_up(self) -> None:
        """Look at everything held; see `Listener.caught_up`."""
        for replica in list(self._replicas.values()):
            if replica.needed:
                self._look(replica)

    def _look(self, replica: Replica) -> None:
        # One that is still to begin sees all that has happened until then.
        if not replica.look_is_due:
            replica.look_is_due = True
            self._spawn(self._look_at(replica))

    async def _look_at(self, replica: Replica) -> None:
        await self._lock(replica)
        replica.look_is_due = False
        try:
            known = replica.known
            outcome = await self._submit(Peek(replica.id, known))
            if isinstance(outcome, Found):
                if outcome.record.version > replica.version:
                    await self._follow(replica, outcome.record, known)
            else:
                self._gone(replica)
        except StoreUnavailable:
            # The next heartbeat, or the end of the outage, looks again.
            return
        finally:
            self._unlock(replica)

    def find_here(self, session_id: str) -> Replica | None:
        """Return this node's copy of a session, if it has one."""
        return self._replicas.get(session_id)

    async def bring(self, want: Want) -> Replica | None:
        """Return a copy of a session, read if it is not here, or None if it is not the owner's.

        Raises:
            StoreUnavailable: It cannot be read.
        """
        replica = self._replicas.get(want.id) or await self._read(want)
        if replica is None or (replica.owner, replica.handle) != (want.owner, want.handle):
            return None
        return replica

    def bring_for(self, session_id: str, owner: str | None, do: Callable[[Replica], None]) -> None:
        """Call ``do`` with a copy of a handle's session as soon as it is here, if it is the owner's."""
        self._spawn(self._bring_for(Want(session_id, owner, True), do))

    async def _bring_for(self, want: Want, do: Callable[[Replica], None]) -> None:
        replica = await self.surely(lambda: self.bring(want))
        if replica is not None:
            do(replica)

    async def surely(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """Return what ``work`` returns, which is tried for as long as the engine cannot be reached."""
        while not self._stopping:
            with suppress(StoreUnavailable):
                return await work()
            await self._waits.sleep(RETRY)
        return None

    def spawn(self, work: Coroutine[Any, Any, None]) -> Callable[[], None]:
        """Start work that goes on by itself, once what the request has changed is kept.

        Returns:
            Cancels it; if it has not begun yet, it never does.
        """
        started: list[Callable[[], None]] = []
        cancelled: list[bool] = []

        def start() -> None:
            if cancelled:
                abandon(work)
            else:
                started.append(self._spawn(work))

        def cancel() -> None:
            cancelled.append(True)
            for stop in started:
                stop()

        self.after(start, lambda: abandon(work))
        return cancel

    def pass_answer(self, session_id: str, response: Response) -> None:
        """Hand a client's answer to the node that asked; see `Keeper.pass_answer`."""
        self.after(lambda: self.peers.pass_answer(session_id, response))

    def pass_cancellation(self, session_id: str, request_id: int | str) -> None:
        """Hand a client's cancellation on; see `Keeper.pass_cancellation`."""
        self.after(lambda: self.peers.pass_cancellation(session_id, request_id))

    def broadcast(self, payload: bytes) -> None:
        """Tell every other node, as soon as may be."""
        self._spawn(self._broadcast(payload))

    async def _broadcast(self, payload: bytes) -> None:
        await self.surely(lambda: self.engine.broadcast(payload))

    # The end of sessions, and of the store.

    def expire(self) -> int:
        """Begin to end every session whose time is up; return 0, since it is not known yet how many."""
        self.statistics.sweeps += 1
        self.statistics.last_sweep = self.now()
        self._spawn(self._sweep())
        return 0

    async def _sweep(self) -> None:
        with suppress(StoreUnavailable):
            for ended in await self.engine.sweep():
                self.statistics.expired += 1
                self.statistics.lifetime_seconds += ended.lifetime / 1000
                replica = self._replicas.get(ended.id)
                if replica is None:
                    self._ended(ended.id, "expired", None)
                else:
                    self._gone(replica, "expired")
        now = self.engine.now()
        for replica in list(self._replicas.values()):
            # Another node's sweep may have taken it.
            if replica.needed and now - replica.used >= replica.kept.timeout:
                await self._look_at(replica)

    async def stop(self) -> None:
        """Keep what is still to be kept, and let go of the engine."""
        for _ in range(40):
            if not self._flushing:
                break
            await self._waits.sleep(0.05)
        self._stopping = True
        await self.engine.stop()


def abandon(work: Coroutine[Any, Any, Any]) -> None:
    """Close a coroutine that is never to begin, and those that it was to wait for."""
    frame = getattr(work, "cr_frame", None)
    given = [] if frame is None else [each for each in frame.f_locals.values() if iscoroutine(each)]
    work.close()
    for each in given:
        abandon(each)


def _note_written(draft: Draft) -> None:
    """Change nothing but what the connections here have taken, which every change tells."""
    draft.ledger  # noqa: B018  # drawing it is what notes them


def _renew(draft: Draft) -> None:
    draft.ledger.renew(draft.replica.attended)
