"""The engine that keeps records in one SQLite file, for all processes of one machine."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcp_echo.cluster.engine import (
    Ended,
    EngineListener,
    EngineRefused,
    Operation,
    Outcome,
    RecordLimits,
    Sweep,
    Swept,
    Totals,
)
from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.sessions.store import Counts, StoreHealth
from mcp_echo.stores.batching import Queue, Room, unavailable
from mcp_echo.stores.breaker import PAUSE
from mcp_echo.stores.health import SESSIONS, EngineHealth, Notice, Purpose, Trouble
from mcp_echo.stores.sqlite.clock import FileClock, boot, since_boot
from mcp_echo.stores.sqlite.files import FileLost
from mcp_echo.stores.sqlite.news import NOTHING, News
from mcp_echo.stores.sqlite.records import ITS_OWN_FAULT, Records
from mcp_echo.stores.sqlite.schema import Address, connect, prepare
from mcp_echo.stores.sqlite.tasks import Note, Task, TaskResults, Trial
from mcp_echo.stores.sqlite.thread import DatabaseThread

QUIET_SECONDS = 60.0
"""Time for which a second outage is not logged: what fails now and then must not fill the log."""
LOOK_SECONDS = 0.05
"""Time between two looks at what other processes have done."""
LOOK_SECONDS_AT_REST = 0.2
"""The same when for a while nobody has done anything: each look wakes up two threads."""
REMEDIES = {
    sqlite3.SQLITE_FULL: "make room on the disk",
    sqlite3.SQLITE_BUSY: "another program holds it: stop that program",
    sqlite3.SQLITE_READONLY: "let this user write to it and its directory",
    sqlite3.SQLITE_CANTOPEN: "let this user write to it and its directory",
    sqlite3.SQLITE_IOERR: "check whether the disk is full or broken",
    sqlite3.SQLITE_CORRUPT: "put a copy in its place",
    sqlite3.SQLITE_ERROR: "another program has changed its tables: put a copy in its place",
}
"""What to do about each kind of error."""
LOOKS_UNTIL_REST = 20
"""How many looks in a row, in which neither this process nor another has changed anything, are a while."""


def _outage(purpose: Purpose) -> Notice:
    return Notice(
        f"The {purpose.name} {{where}} does not work: {{reason}}; {purpose.refused}",
        f"The {purpose.name} {{where}} works again",
        quiet=QUIET_SECONDS,
    )


class SqliteEngine:
    """Keeps records in an SQLite file; see `Engine`.

    A batch of operations is carried out in one transaction, so that all who wait share the price of it and of
    a change of threads.

    Args:
        reactor: The reactor (IReactorTime, IReactorCore and IReactorThreads, which no type joins).
        address: ``sqlite:PATH[?synchronous=normal|full]``.
        limits: How many records there may be.
        node: The name of this process among those that use the file.
        clock: Tells the time of the file; None for one that goes by this machine.
        purpose: What the log says is kept.

    Raises:
        EngineRefused: The address means nothing.
    """

    _log = Logger("mcp_echo")
    faults: tuple[type[Exception], ...] = ITS_OWN_FAULT

    def __init__(
        self,
        reactor: Any,
        address: str,
        limits: RecordLimits,
        node: str,
        clock: FileClock | None = None,
        *,
        purpose: Purpose = SESSIONS,
    ) -> None:
        self.node = node
        self.totals = Totals()
        self.counts = Counts()
        self._reactor = reactor
        self._address = Address.read(address).beside(purpose.suffix)
        self._limits = limits
        self._clock = FileClock(since_boot(), time.time, boot()) if clock is None else clock
        outage = Trouble(_outage(purpose), str(self._address.path), reactor.seconds)
        self._health = EngineHealth("sqlite", outage, reactor.seconds)
        self._thread: DatabaseThread | None = None
        self._listener: EngineListener | None = None
        self._queue: Queue[Task] = Queue(self._hand_over, Room())
        self._stopping = False
        self._ended: list[Ended] = []
        """What was taken away and no sweep has told of yet."""
        self._next_look: Any = None
        self._idle_looks = 0
        self._next_trial: Any = None

    def open(self) -> None:
        """Make or check the file, and read the sums; see `Engine.open`."""
        prepare(self._address)
        try:
            with closing(connect(self._address)) as connection:
                self._clock.follow(connection)
                records = self._records(connection)
                _, self.totals, self.counts, _ = records.carry_out([])
        except sqlite3.Error as error:
            raise EngineRefused(f"The store {self._address.path} cannot be read: {error}") from error

    def start(self, listener: EngineListener) -> None:
        """Begin to work; see `Engine.start`."""
        self._listener = listener
        self._thread = DatabaseThread(
            self._reactor,
            self._address,
            self.node,
            records=self._records,
            clock=self._clock,
            replaced=self._replaced,
        )
        self._look()
        self._queue.go_on()

    async def stop(self) -> None:
        """Finish what waits, write everything into the file itself, and close it."""
        self._note_time()
        self._stopping = True
        for call in (self._next_look, self._next_trial):
            if call is not None and call.active():
                call.cancel()
        await self._queue.finish()
        thread, self._thread = self._thread, None
        if thread is None:
            return
        try:
            await thread.checkpoint()
        except (sqlite3.Error, EngineRefused) as error:
            self._log.warn(
                "The store {where} could not be closed in order, so its log stays beside it: {error}",
                where=str(self._address.path),
                error=str(error),
            )
        thread.close()

    def now(self) -> int:
        """Return the milliseconds of the file's time; see `FileClock`."""
        return self._clock.now()

    def submit(self, operation: Operation) -> Deferred[Outcome]:
        """Carry out an operation, together with others that are waiting; see `Engine.submit`."""
        if type(operation) is Sweep:
            return Deferred.fromCoroutine(self._sweep(operation))
        return self._ask(operation)

    async def _sweep(self, sweep: Sweep) -> Outcome:
        """Take away what has expired, a slice at a time so that others get their turn."""
        while await self._ask(sweep):
            pass
        self._note_time()
        ended, self._ended = self._ended, []
        return Swept(ended)

    def health(self) -> StoreHealth:
        """Return how it is doing."""
        return self._health.report()

    def _records(self, connection: sqlite3.Connection, check: Callable[[], object] = lambda: None) -> Records:
        return Records(connection, self.node, self._limits, self.now, check)

    def _note_time(self) -> None:
        # What it is lost with is told of already.
        if self._thread is not None:
            self._ask(Note("clock", self._clock.note())).addErrback(_told_of_elsewhere)

    def _ask(self, task: Task) -> Deferred[Any]:
        if self._stopping or self._health.breaker.refuses:
            return fail(unavailable())
        return self._queue.add(task)

    def _hand_over(self) -> None:
        if self._thread is None:
            return
        begun = self._reactor.seconds()
        done = self._carry_out(self._thread, self._queue.take())
        done.addCallbacks(self._carried_out, self._failed, (begun,))
        done.addErrback(self._broken)

    @staticmethod
    def _carry_out(thread: DatabaseThread, tasks: list[Task]) -> Deferred[TaskResults]:
        def once_more(failure: Failure) -> Deferred[TaskResults]:
            if _is_passing(failure.value):
                return fail(failure)
            # Nothing was done yet; what is there now may do, and else says more exactly what is wrong.
            thread.let_go(doubtful=True)
            return thread.carry_out(tasks)

        return thread.carry_out(tasks).addErrback(once_more)

    def _carried_out(self, batch: TaskResults, begun: float) -> None:
        self._idle_looks = 0
        self._health.answered(self._reactor.seconds() - begun)
        self.totals, self.counts = batch.totals, batch.counts
        self._ended += batch.ended
        if self._health.reason is not None:
            self._try_later()
        self._queue.done(batch.answers)

    def _failed(self, failure: Failure) -> None:
        self._idle_looks = 0
        reason = _told(failure.value)
        self._health.failed(reason)
        self._health.lost(reason)
        self._replace_connection(failure)
        self._try_later()
        if self._health.breaker.refuses:
            self._queue.refuse()
        self._queue.fail()

    def _broken(self, failure: Failure) -> None:
        self._log.failure("The store could not pass on an answer", failure)

    def _replace_connection(self, failure: Failure) -> None:
        # What is locked will be let go of by another process; the connection is as good as ever.
        if self._thread is not None and _code(failure.value) != sqlite3.SQLITE_BUSY:
            self._thread.let_go(doubtful=not _is_passing(failure.value))

    def _replaced(self) -> None:
        self._log.warn(
            "The store {where} was replaced or overwritten; the new file is whole and in use, and what is "
            "not in it has ended",
            where=str(self._address.path),
        )
        if self._listener is not None and not self._stopping:
            self._tell(self._listener.replaced)

    def _try_later(self) -> None:
        if not self._stopping and not (self._next_trial and self._next_trial.active()):
            self._next_trial = self._reactor.callLater(PAUSE, self._try_again)

    def _try_again(self) -> None:
        if self._health.reason is None:
            return
        self._health.breaker.begin()
        self._try()

    def _try(self) -> None:
        """Find out whether what is given is kept."""
        trial = self._queue.add(Trial())
        trial.addCallbacks(lambda _: self._health.keeps(), _told_of_elsewhere)

    def _look(self) -> None:
        if self._thread is not None:
            self._thread.look().addCallbacks(self._found, self._saw_nothing)

    def _found(self, news: News) -> None:
        self._idle_looks = self._idle_looks + 1 if news is NOTHING else 0
        at_rest = self._idle_looks >= LOOKS_UNTIL_REST
        self._look_again(LOOK_SECONDS_AT_REST if at_rest else LOOK_SECONDS)
        if self._listener is None or self._stopping:
            return
        for record in news.invalidated:
            self._tell(self._listener.invalidated, record)
        for payload in news.told:
            self._tell(self._listener.receive, payload)
        if news.missed:
            self._tell(self._listener.caught_up)

    def _tell(self, hear: Callable[..., None], *what: Any) -> None:
        try:
            hear(*what)
        except Exception:
            self._log.failure("Handling the message of another process failed")

    def _saw_nothing(self, failure: Failure) -> None:
        if failure.check(FileLost) and self._health.reason is None and not self._stopping:
            # As a request would find it: it is known before one comes.
            self._try()
        else:
            self._replace_connection(failure)
        self._look_again(PAUSE)

    def _look_again(self, seconds: float) -> None:
        if not self._stopping:
            self._next_look = self._reactor.callLater(seconds, self._look)


def _told_of_elsewhere(failure: Failure) -> None:
    failure.trap(StoreUnavailable, *ITS_OWN_FAULT)


def _code(error: BaseException | None) -> int:
    """Return what kind of error it is, as SQLite numbers them; 0 for one of anybody else's."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _is_passing(error: BaseException | None) -> bool:
    """Return whether the file may still be what it was."""
    return isinstance(error, sqlite3.OperationalError) and not isinstance(error, FileLost)


def _told(error: BaseException | None) -> str:
    """Return what has gone wrong, for the operator."""
    if isinstance(error, sqlite3.Error | EngineRefused):
        remedy = REMEDIES.get(_code(error))
        return f"{error}: {remedy}" if remedy else str(error)
    if isinstance(error, OSError):
        return f"{error}: {REMEDIES[sqlite3.SQLITE_READONLY]}"
    # What is kept is not what this version keeps, so that its code stumbles over it.
    return f"it does not hold what it should ({type(error).__name__}: {error}): put a copy in its place"
