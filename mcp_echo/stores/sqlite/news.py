"""What other processes have done to the records in one SQLite file. Blocking.

SQLite tells nobody of a change, but whether there was one can be asked for next to nothing. What the change
means for this node stands in two tables, where each row has a number one higher than the one before.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import NamedTuple

KEPT = 60_000
"""Milliseconds after which a row has been seen by all who are there, and may be removed."""
MOST_KEPT = 10_000
"""Rows of each table that are kept when there are many, however new they are."""


class News(NamedTuple):
    """What was found."""

    invalidated: list[str]
    """The records that have changed, each once."""
    told: list[bytes]
    missed: bool
    """Whether there may have been more, or this is the first look."""


NOTHING = News([], [], False)


@dataclass(slots=True)
class LastLook:
    """How far this node has looked."""

    nudge: int | None = None
    """The highest number; None before the first look."""
    bus: int = 0
    data_version: int | None = None
    """As the connection in use numbers the states of the file; None on a new connection."""

    def look(self, connection: sqlite3.Connection, node: str, now: int) -> News:
        """Return what is new for ``node``.

        Raises:
            sqlite3.Error: Nothing was found out.
        """
        data_version = connection.execute("PRAGMA data_version").fetchone()[0]
        if data_version == self.data_version:
            return NOTHING
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        try:
            news = self._read(cursor, node, now)
        finally:
            if connection.in_transaction:
                cursor.execute("COMMIT")
        # Only now: after a failure everything is looked at again.
        self.data_version = data_version
        return news

    def _read(self, cursor: sqlite3.Cursor, node: str, now: int) -> News:
        first_nudge, last_nudge = _range(cursor, "nudge")
        first_told, last_told = _range(cursor, "bus")
        seen = last_nudge if self.nudge is None else self.nudge
        first_look = self.nudge is None
        missed = first_look or first_nudge > seen + 1 or last_nudge < seen or first_told > self.bus + 1
        nudges = "SELECT record FROM nudge WHERE id > ? AND node = ? ORDER BY id"
        records = [row[0] for row in cursor.execute(nudges, (seen, node)).fetchall()]
        payloads = "SELECT payload FROM bus WHERE id > ? AND sender != ? AND at > ? ORDER BY id"
        told = [row[0] for row in cursor.execute(payloads, (self.bus, node, now - KEPT)).fetchall()]
        self.nudge, self.bus = last_nudge, last_told
        return News(list(dict.fromkeys(records)), told, missed)


def _range(cursor: sqlite3.Cursor, table: str) -> tuple[int, int]:
    first, last = cursor.execute(f"SELECT min(id), max(id) FROM {table}").fetchone()  # noqa: S608 - our own name
    return first or 0, last or 0


def write_nudges(cursor: sqlite3.Cursor, nudges: list[tuple[str, str]], now: int) -> None:
    """Tell nodes of records; pairs of a node and a record."""
    rows = [(node, record, now) for node, record in nudges]
    cursor.executemany("INSERT INTO nudge VALUES (NULL, ?, ?, ?)", rows)
    _bound(cursor, "nudge")


def write_broadcast(cursor: sqlite3.Cursor, node: str, payload: bytes, now: int) -> None:
    """Tell all nodes but this one."""
    cursor.execute("INSERT INTO bus VALUES (NULL, ?, ?, ?)", (node, payload, now))
    _bound(cursor, "bus")


def remove_old(cursor: sqlite3.Cursor, now: int) -> None:
    """Remove what all who are there have seen."""
    for table in ("nudge", "bus"):
        # The newest stays: the next one's number is counted from it.
        old = f"DELETE FROM {table} WHERE at < ? AND id < (SELECT max(id) FROM {table})"  # noqa: S608
        cursor.execute(old, (now - KEPT,))


def _bound(cursor: sqlite3.Cursor, table: str) -> None:
    first, last = _range(cursor, table)
    if last - first >= 2 * MOST_KEPT:
        cursor.execute(f"DELETE FROM {table} WHERE id <= ?", (last - MOST_KEPT,))  # noqa: S608
