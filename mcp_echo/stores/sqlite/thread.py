"""The one thread and the one connection on which an SQLite file is worked on."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from mcp_echo.stores.sqlite.clock import FileClock
from mcp_echo.stores.sqlite.files import Files, overwritten
from mcp_echo.stores.sqlite.news import LastLook, News
from mcp_echo.stores.sqlite.records import Records
from mcp_echo.stores.sqlite.schema import CONNECTING, Address, number, set_up, take_again
from mcp_echo.stores.sqlite.tasks import Task, TaskResults

RESCUE_TRIES = 40
RESCUE_SECONDS = 0.05
"""How often, and after how many seconds, it is tried again to write down a log that was removed."""

LONGEST_CHECKPOINT = 5.0
"""Seconds after a change by another process in which it may write its log into the database."""


class _Pool(ConnectionPool):
    """A pool that has a look before it connects.

    Args:
        look: Called before each connection is made; raises if there is to be none.
    """

    def __init__(self, look: Callable[[], None], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._look = look

    def connect(self) -> Any:
        """Return the connection of this thread."""
        if self.threadID() not in self.connections:
            self._look()
        return super().connect()


class DatabaseThread:
    """Does what blocks, one thing after the other, away from the reactor.

    Args:
        reactor: The reactor.
        address: Which file.
        node: The name of this node.
        records: Makes the records on a connection; told what to call before anything is kept.
        clock: Tells the time of the file.
        replaced: Told, in the reactor's thread, when another file was found in the place of the one in use.
    """

    _log = Logger("mcp_echo")

    def __init__(
        self,
        reactor: Any,
        address: Address,
        node: str,
        *,
        records: Callable[[sqlite3.Connection, Callable[[], object]], Records],
        clock: FileClock,
        replaced: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._address = address
        self._node = node
        self._new_records = records
        self._clock = clock
        self._replaced = replaced
        self._seen = LastLook()
        self._connection: sqlite3.Connection | None = None
        self._records: Records | None = None
        self._files: Files | None = None
        """Those of the connection, or of the last one there was."""
        self._version = 0
        """The state of the file as the connection in use numbers it."""
        self._others_until = 0.0
        """Seconds of the steady clock until which another process may be writing to the database."""
        self._foreign = False
        """Whether another program has written to the database without SQLite."""
        self._doubtful = False
        """Whether the file has to be looked at as at the start before it is used again."""
        self._pool = _Pool(
            self._look_at_the_file,
            "sqlite3",
            address.uri("mode=rw"),
            cp_reactor=reactor,
            cp_min=1,
            cp_max=1,
            cp_openfun=self._connected,
            **CONNECTING,
        )

    def carry_out(self, tasks: Sequence[Task]) -> Deferred[TaskResults]:
        """Carry out tasks in one transaction; fails with what SQLite fails with."""
        result: Deferred[TaskResults] = self._pool.runWithConnection(self._carry_out, tasks)
        return result

    def look(self) -> Deferred[News]:
        """Find out what other processes have done; fails with what SQLite fails with."""
        result: Deferred[News] = self._pool.runWithConnection(self._look)
        return result

    def let_go(self, doubtful: bool) -> None:
        """Use another connection from now on: this one may never work again.

        Args:
            doubtful: Whether the file may not be what it was.
        """
        deferToThreadPool(self._reactor, self._pool.threadpool, self._disconnect, doubtful)

    def checkpoint(self) -> Deferred[None]:
        """Write everything into the file itself."""
        result: Deferred[None] = self._pool.runWithConnection(_checkpoint)
        return result

    def close(self) -> None:
        """Wait for what is being done, and close the connection."""
        self._pool.close()
        if self._files is not None:
            self._files.clear_away()

    def _look_at_the_file(self) -> None:
        if self._files is None:
            # `SqliteEngine.open` has just done so.
            return
        self._files.clear_away()
        if self._doubtful or self._files.is_moved:
            take_again(self._address)

    def _connected(self, connection: sqlite3.Connection) -> None:
        try:
            set_up(connection, self._address)
            self._clock.follow(connection)
            files = Files.of(self._address.path)
            self._records = self._new_records(connection, self._check)
        except BaseException:
            connection.close()
            raise
        before, self._files = self._files, files
        self._connection = connection
        self._version = number(connection, "data_version")
        self._doubtful = False
        self._seen.data_version = None
        foreign, self._foreign = self._foreign, False
        if before is not None and (foreign or before.database != files.database or before.size > files.size):
            self._seen = LastLook()
            self._reactor.callFromThread(self._replaced)

    def _check(self) -> None:
        if self._files is None or self._connection is None:
            return
        now = self._files.check()
        if now.written != self._files.written and not self._others_write(self._connection):
            self._foreign = True
            raise overwritten(self._address.path)
        self._files = now

    def _others_write(self, connection: sqlite3.Connection) -> bool:
        """Return whether other processes have just changed something, so that it was they who wrote."""
        version, now = number(connection, "data_version"), time.monotonic()
        if version != self._version:
            self._version, self._others_until = version, now + LONGEST_CHECKPOINT
        return now < self._others_until

    def _wrote(self) -> None:
        """Note when the database was written to, in case this process has just done so."""
        if self._files is not None:
            with suppress(OSError):
                self._files = self._files._replace(written=self._address.path.stat().st_mtime_ns)

    def _disconnect(self, doubtful: bool) -> None:
        self._doubtful |= doubtful
        if self._connection is None:
            return
        if self._files is not None and self._files.log_is_gone:
            self._rescue(self._connection)
        self._pool.disconnect(self._connection)
        self._connection = self._records = None

    def _rescue(self, connection: sqlite3.Connection) -> None:
        """Write what is in a log that was removed into the file, before the log is closed and gone.

        Where that fails, another process may have done it already: its new log is not the one read here.
        """
        try:
            outcome = (
                "nothing is lost"
                if _is_written_down(connection)
                else "what was written last may be lost: another process is in the way"
            )
        except sqlite3.Error as error:
            outcome = f"what was written last may be lost: {error}"
        self._reactor.callFromThread(
            self._log.warn,
            "The log beside the store {where} was removed while it was in use; {outcome}",
            where=str(self._address.path),
            outcome=outcome,
        )

    def _carry_out(self, _: Any, tasks: Sequence[Task]) -> TaskResults:
        if self._records is None:
            raise sqlite3.OperationalError("not connected")
        try:
            batch = self._records.carry_out(tasks)
        except sqlite3.Error:
            # What goes wrong with files that are lost does not say so.
            self._check()
            raise
        self._wrote()
        return batch

    def _look(self, _: Any) -> News:
        if self._connection is None:
            raise sqlite3.OperationalError("not connected")
        self._check()
        return self._seen.look(self._connection, self._node, self._clock.now())


def _is_written_down(connection: sqlite3.Connection) -> bool:
    """Write the log into the file; return whether all of it is there (https://sqlite.org/pragma.html).

    Busy is also a log that is written down whole while somebody reads it, and one that another process is
    writing down: all that had it open share it, removed or not. SQLite does not wait for that one.
    """
    for _ in range(RESCUE_TRIES):
        busy, pages, written = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy or 0 <= pages == written:
            return True
        time.sleep(RESCUE_SECONDS)
    return False


def _checkpoint(connection: Any) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
