"""The one thread and the one connection on which an SQLite file is worked on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from mcp_echo.stores.sqlite_news import News, Seen
from mcp_echo.stores.sqlite_records import Records
from mcp_echo.stores.sqlite_schema import CONNECTING, Address, set_up
from mcp_echo.stores.sqlite_tasks import Batch, Task


class DatabaseThread:
    """Does what blocks, one thing after the other, away from the reactor.

    Args:
        reactor: The reactor.
        address: Which file.
        node: The name of this node.
        records: Makes the records on a connection.
        now: Milliseconds since the epoch.
    """

    def __init__(
        self,
        reactor: Any,
        address: Address,
        node: str,
        records: Callable[[sqlite3.Connection], Records],
        now: Callable[[], int],
    ) -> None:
        self._reactor = reactor
        self._address = address
        self._node = node
        self._new_records = records
        self._now = now
        self._seen = Seen()
        self._connection: sqlite3.Connection | None = None
        self._records: Records | None = None
        self._pool = ConnectionPool(
            "sqlite3",
            address.uri("mode=rw"),
            cp_reactor=reactor,
            cp_min=1,
            cp_max=1,
            cp_openfun=self._connected,
            **CONNECTING,
        )

    def carry_out(self, tasks: Sequence[Task]) -> Deferred[Batch]:
        """Carry out tasks in one transaction; fails with what SQLite fails with."""
        result: Deferred[Batch] = self._pool.runWithConnection(self._carry_out, tasks)
        return result

    def look(self) -> Deferred[News]:
        """Find out what other processes have done; fails with what SQLite fails with."""
        result: Deferred[News] = self._pool.runWithConnection(self._look)
        return result

    def let_go(self) -> None:
        """Use another connection from now on: this one may never work again."""
        deferToThreadPool(self._reactor, self._pool.threadpool, self._disconnect)

    def checkpoint(self) -> Deferred[None]:
        """Write everything into the file itself."""
        result: Deferred[None] = self._pool.runWithConnection(_checkpoint)
        return result

    def close(self) -> None:
        """Wait for what is being done, and close the connection."""
        self._pool.close()

    def _connected(self, connection: sqlite3.Connection) -> None:
        try:
            set_up(connection, self._address)
            self._records = self._new_records(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._seen.data_version = None

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._pool.disconnect(self._connection)
            self._connection = self._records = None

    def _carry_out(self, _: Any, tasks: Sequence[Task]) -> Batch:
        if self._records is None:
            raise sqlite3.OperationalError("not connected")
        return self._records.carry_out(tasks)

    def _look(self, _: Any) -> News:
        if self._connection is None:
            raise sqlite3.OperationalError("not connected")
        return self._seen.look(self._connection, self._node, self._now())


def _checkpoint(connection: Any) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
