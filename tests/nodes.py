"""Several nodes in memory that share the sessions of an engine in plain dicts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Literal, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from mcp_echo.cluster.budget import SharedBudget
from mcp_echo.cluster.cached_session import CachedSession
from mcp_echo.cluster.engine import Operation, Outcome
from mcp_echo.cluster.repository import StoreHooks
from mcp_echo.cluster.session import SharedSession
from mcp_echo.cluster.store import Runtime, SharedStore
from mcp_echo.cluster.stream_log import Bounds
from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.protocol.revisions import Supported
from mcp_echo.sessions.event_log import Stream
from mcp_echo.sessions.key import SessionKey
from mcp_echo.sessions.session import Client
from mcp_echo.sessions.store import EndReason, StoreLimits
from mcp_echo.transport.timers import ReactorTimers
from tests.engines import DictEngine, DictRecords
from tests.making import session_in

T = TypeVar("T")
REVISION = Supported().offered
BOUNDS = Bounds(100, 10_000)
CLIENT = Client("test-client", "1.0", {"roots": {}})


class Reader:
    """A client's connection to one stream: what it has got, with its ids."""

    def __init__(self, log: Any, stream: Stream) -> None:
        self.log = log
        self.stream = stream
        self.got: list[tuple[str, bytes]] = []
        self.open = True
        self.paused = False

    def start(self) -> None:
        self.log.attach(self.stream, self)

    def wake(self) -> None:
        while self.open and not self.paused:
            event = self.log.take(self.stream)
            if event is None:
                break
            self.got.append((event.id_on(self.stream), event.data))
        if self.stream.ended and not self.stream.unread:
            self.open = False

    def waiting(self) -> list[bytes]:
        """Return what the connection has not taken yet."""
        return [event.data for event in self.stream.unread] if self.open else []

    def replaced(self) -> None:
        self.open = False

    def leave(self) -> None:
        self.drop()

    def drop(self) -> None:
        """The connection is lost, and the server notices."""
        self.open = False
        self.log.detach(self.stream)


class CollectingStore(SharedStore):
    """A store that takes the effects of the work that is done on it, as an exchange does."""

    _effects: list[Callable[[], object]]

    def after(self, effect: Callable[[], object]) -> None:
        """Have something happen once what is being worked on is kept; now, if nothing is."""
        if self._transaction is None:
            effect()
        else:
            self._effects.append(effect)

    async def perform(
        self,
        work: Callable[[], T],
        wants: Iterable[SessionKey] = (),
        happen: Callable[[], None] | None = None,
    ) -> T:
        effects: list[Callable[[], object]] = []

        def attempt() -> T:
            effects.clear()
            self._effects = effects
            return work()

        def all_happen() -> None:
            for effect in effects:
                effect()
            if happen is not None:
                happen()

        return await super().perform(attempt, wants, all_happen)


def reading(store: CollectingStore, session_id: str, last_event_id: str | None) -> Reader:
    """Open a stream of a session, or come back to one, as a GET does."""
    session = store.use(session_id, None)
    resumed = session.log.resume(last_event_id) if last_event_id else None
    reader = Reader(session.log, resumed or session.log.listen())
    store.after(reader.start)
    return reader


class StepEngine(DictEngine):
    """An engine whose operations wait until a test lets one of them through, in whichever order it likes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stepping = False
        """Whether operations wait."""
        self.under_way: list[tuple[Operation, Deferred[None]]] = []
        self.answer_is_lost = False

    async def submit(self, operation: Operation) -> Outcome:
        """Carry out an operation once a test lets it."""
        if self.stepping:
            turn: Deferred[None] = Deferred()
            self.under_way.append((operation, turn))
            await turn
        outcome = await super().submit(operation)
        if self.answer_is_lost:
            raise StoreUnavailable(1)
        return outcome

    def step(self, place: int = 0, fate: Literal["done", "refused", "answer lost"] = "done") -> None:
        """Let one of the operations through."""
        _, turn = self.under_way.pop(place % len(self.under_way))
        available, self.available = self.available, self.available and fate != "refused"
        self.answer_is_lost = fate == "answer lost"
        try:
            turn.callback(None)
        finally:
            self.available, self.answer_is_lost = available, False


class Node:
    """One process that serves the sessions.

    Args:
        records: The sessions.
        name: Its name.
        clock: Times it, in step with the clock of the records.
        timeout: Seconds of idleness after which a session is gone.
        limit: How many sessions there may be.
        bounds: How much a log keeps.
    """

    def __init__(
        self,
        records: DictRecords,
        name: str,
        clock: Clock,
        timeout: float = 1000.0,
        limit: int = 100,
        bounds: Bounds = BOUNDS,
        limit_per_principal: int = 50,
    ) -> None:
        self.engine = StepEngine(records, name, limit=limit, limit_per_principal=limit_per_principal)
        self.clock = clock
        self.ended: list[tuple[str, EndReason]] = []
        self.echoed: list[str] = []
        self.alive = True
        self.store = CollectingStore(
            self.engine,
            StoreLimits(timeout, limit, limit_per_principal),
            bounds=bounds,
            budget=SharedBudget(1 << 20, self.engine),
            runtime=Runtime(clock.seconds, ReactorTimers(clock), self._spawn),
            hooks=StoreHooks(self._note_end, self.echoed.append),
        )
        self.engine.start(self.store)

    def _note_end(self, session_id: str, reason: EndReason, _replica: CachedSession | None) -> None:
        self.ended.append((session_id, reason))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> Callable[[], None]:
        if not self.alive:
            work.close()
            return lambda: None
        running = Deferred.fromCoroutine(work)
        running.addErrback(lambda failure: failure.trap(CancelledError))
        return running.cancel

    def start(self, work: Callable[[CollectingStore], T], *wants: SessionKey) -> Deferred[T]:
        """Begin to work on sessions."""
        return Deferred.fromCoroutine(self.store.perform(lambda: work(self.store), wants))

    def do(self, work: Callable[[CollectingStore], T], *wants: SessionKey) -> T:
        """Work on sessions, and return what came of it."""
        results: list[Any] = []
        self.start(work, *wants).addBoth(results.append)
        (result,) = results
        if hasattr(result, "raiseException"):
            result.raiseException()
        return result  # type: ignore[no-any-return]

    def create(self, principal: str | None = None) -> str:
        """Return the id of a new session."""
        return self.do(lambda store: session_in(store, principal, REVISION, CLIENT)).id

    def on(self, session_id: str, work: Callable[[SharedSession], T], principal: str | None = None) -> T:
        """Work on one session."""
        handle = session_id.startswith("es_")
        return self.do(lambda store: work(store.use(session_id, principal, handle)))

    def queue(self, session_id: str, data: bytes) -> None:
        """Queue a message."""
        self.on(session_id, lambda session: session.log.queue(data))

    def listen(self, session_id: str, last_event_id: str | None = None) -> Reader:
        """Open a stream, or come back to one."""

        return self.do(lambda store: reading(store, session_id, last_event_id))

    def kill(self) -> None:
        """End the process without a word."""
        self.alive = self.engine.available = False
        self.engine.records.nodes.pop(self.engine.node, None)
        self.engine.stepping = False
        # What waits for an answer will get none; here it has to end, or it ends with the interpreter.
        while self.engine.under_way:
            self.engine.step(0, "refused")
