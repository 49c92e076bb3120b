"""Whether the files that one connection works on are still those that their names lead to. Blocking.

SQLite goes on with a file that was removed or replaced as if nothing had happened, and what is written from
then on is lost: https://sqlite.org/howtocorrupt.html#_unlinking_or_renaming_a_database_file_while_in_use
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

Identity = tuple[int, int]
"""The device and the number of a file, which stay its own whatever it is called."""


class FileLost(sqlite3.OperationalError):
    """The connection works on a file that nobody finds any more; the message is for the operator."""


def overwritten(path: Path) -> FileLost:
    """Return what is said of a file that another program has written to without SQLite."""
    return FileLost(f"{path} was cut off or overwritten")


def removed(path: Path) -> FileLost:
    """Return what is said of a file that is not there."""
    return FileLost(
        f"{path} was removed or emptied: put it or a copy of it back, and it is used again; or restart, "
        "to begin without sessions"
    )


class Files(NamedTuple):
    """The files of a connection: the database, its write-ahead log, and the index of that."""

    path: Path
    database: Identity
    wal: Identity
    shm: Identity
    size: int
    """Bytes of the database; it never becomes smaller by itself."""
    written: int
    """When the database was written to last, in nanoseconds: as a rule the log is, and not the database."""

    @classmethod
    def of(cls, path: Path) -> Files:
        """Return those that there are; a connection that was used has all three open.

        Raises:
            FileLost: One of them is not there.
        """
        database, wal, shm = map(_look, _paths(path))
        if not database.st_size:
            raise removed(path)
        return cls(
            path, _identity(database), _identity(wal), _identity(shm), database.st_size, database.st_mtime_ns
        )

    def check(self) -> Files:
        """Return them as they are now.

        Raises:
            FileLost: They are others.
        """
        now = Files.of(self.path)
        if now.database != self.database:
            raise FileLost(f"another file was put in the place of {self.path}")
        if (now.wal, now.shm) != (self.wal, self.shm):
            raise FileLost(f"another write-ahead log was put beside {self.path}")
        if now.size < self.size:
            raise overwritten(self.path)
        return now

    @property
    def is_moved(self) -> bool:
        """Whether the database is not the one that its name leads to."""
        return _found(self.path) != self.database

    @property
    def log_is_gone(self) -> bool:
        """Whether nothing but this connection has what is in the log and not yet in the database."""
        return not self.is_moved and _found(_paths(self.path)[1]) is None

    def clear_away(self) -> None:
        """Remove the log if the database that it belongs to is another one now: it would spoil that."""
        if _found(self.path) in (None, self.database):
            return
        for path, opened in zip(_paths(self.path)[1:], (self.wal, self.shm), strict=True):
            if _found(path) == opened:
                with suppress(FileNotFoundError):
                    path.unlink()


def _paths(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]


def _look(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError:
        raise removed(path) from None


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino


def _found(path: Path) -> Identity | None:
    try:
        return _identity(path.stat())
    except OSError:
        return None
