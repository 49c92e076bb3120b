"""The file that SQLite keeps: its address, its schema, and whether it may be used. Blocking."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from mcp_echo.cluster.engine import EngineRefused
from mcp_echo.stores.sqlite.files import FileLost, removed

APPLICATION_ID = 0x6D637065
"""What makes a database file ours: ``mcpe`` in the header (https://sqlite.org/pragma.html)."""
BUSY_SECONDS = 2.0
"""How long to wait for another process that writes."""
LONGEST_LOG_PAGES = 4000
"""Pages of 4 KiB in the write-ahead log at which it is written into the file, with everybody waiting."""
LARGEST_LOG_BYTES = 16 << 20
"""What the log is cut down to after that, if a burst has made it larger."""
SYNCHRONOUS = ("normal", "full")

SCRIPTS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE record (
            key INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            owner BLOB,
            handle INTEGER NOT NULL,
            version INTEGER NOT NULL,
            created INTEGER NOT NULL,
            timeout INTEGER NOT NULL,
            used INTEGER NOT NULL,
            expires INTEGER NOT NULL,
            queued INTEGER NOT NULL,
            echoed INTEGER NOT NULL,
            waiting INTEGER NOT NULL,
            state BLOB NOT NULL
        )
        """,
        "CREATE INDEX record_expires ON record (expires)",
        "CREATE INDEX record_owner ON record (owner) WHERE owner IS NOT NULL",
        # Apart from the record, which is written at every request and must be small for that.
        "CREATE TABLE echo (record INTEGER PRIMARY KEY, data BLOB NOT NULL)",
        """
        CREATE TABLE entry (
            record INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            stream TEXT NOT NULL,
            data BLOB NOT NULL,
            PRIMARY KEY (record, sequence)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE total (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            records INTEGER NOT NULL,
            handles INTEGER NOT NULL,
            queued INTEGER NOT NULL,
            echoed INTEGER NOT NULL,
            waiting INTEGER NOT NULL
        )
        """,
        "INSERT INTO total VALUES (1, 0, 0, 0, 0, 0)",
        """
        CREATE TABLE nudge (
            id INTEGER PRIMARY KEY,
            node TEXT NOT NULL,
            record TEXT NOT NULL,
            at INTEGER NOT NULL
        )
        """,
        """
        CREATE TABLE bus (
            id INTEGER PRIMARY KEY,
            sender TEXT NOT NULL,
            payload BLOB NOT NULL,
            at INTEGER NOT NULL
        )
        """,
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    ),
    (
        # Who has how many records, and how many of them are not in use; triggers keep that exact.
        "ALTER TABLE record ADD COLUMN holder BLOB",
        "ALTER TABLE record ADD COLUMN fresh INTEGER NOT NULL DEFAULT 0",
        "UPDATE record SET holder = CAST('principal ' || owner AS BLOB) WHERE owner IS NOT NULL",
        "DROP INDEX record_owner",
        "CREATE INDEX record_holder ON record (holder) WHERE holder IS NOT NULL",
        # Those of one holder are in the order of their keys, which is that in which they were made.
        "CREATE INDEX record_fresh ON record (holder) WHERE fresh = 1",
        """
        CREATE TABLE share (
            holder BLOB PRIMARY KEY,
            records INTEGER NOT NULL,
            fresh INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
        "CREATE INDEX share_records ON share (records) WHERE fresh > 0",
        "INSERT INTO share SELECT holder, count(*), 0 FROM record WHERE holder IS NOT NULL GROUP BY holder",
        """
        CREATE TRIGGER share_more AFTER INSERT ON record WHEN new.holder IS NOT NULL BEGIN
            INSERT INTO share VALUES (new.holder, 1, new.fresh)
            ON CONFLICT DO UPDATE SET records = records + 1, fresh = fresh + excluded.fresh;
        END
        """,
        """
        CREATE TRIGGER share_used AFTER UPDATE OF fresh ON record WHEN new.fresh <> old.fresh BEGIN
            UPDATE share SET fresh = fresh + new.fresh - old.fresh WHERE holder = old.holder;
        END
        """,
        """
        CREATE TRIGGER share_less AFTER DELETE ON record WHEN old.holder IS NOT NULL BEGIN
            UPDATE share SET records = records - 1, fresh = fresh - old.fresh WHERE holder = old.holder;
            DELETE FROM share WHERE holder = old.holder AND records = 0;
        END
        """,
    ),
)
"""The statements that lead from each version of the schema to the next, the first from an empty file. What
has been released is never changed: what has to be different is one more."""


@dataclass(frozen=True, slots=True)
class Address:
    """Which file, and how safe a write has to be."""

    path: Path
    synchronous: str = "normal"
    """``normal``: what was answered survives the death of the process; ``full``: the loss of power too."""

    @classmethod
    def read(cls, text: str) -> Address:
        """Return what ``sqlite:PATH[?synchronous=normal|full]`` means.

        Raises:
            EngineRefused: An option is unknown, or has a value it cannot have.
        """
        name, _, query = text.removeprefix("sqlite:").partition("?")
        if not name:
            raise EngineRefused("The store sqlite: names no file; write sqlite:PATH")
        synchronous = "normal"
        for option, value in parse_qsl(query, keep_blank_values=True):
            if option != "synchronous":
                raise EngineRefused(
                    f"The store sqlite:{name} has an unknown option {option!r}; there is only synchronous"
                )
            if value not in SYNCHRONOUS:
                raise EngineRefused(
                    f"The store sqlite:{name} has synchronous={value!r}; it is normal or full"
                )
            synchronous = value
        return cls(Path(name).resolve(), synchronous)

    def beside(self, suffix: str) -> Address:
        """Return the address of the file whose name has this at its end."""
        return Address(self.path.with_name(self.path.name + suffix), self.synchronous)

    def uri(self, options: str) -> str:
        """Return the address as SQLite takes it, so that no sign in a path has a meaning of its own."""
        return f"{self.path.as_uri()}?{options}"


CONNECTING: dict[str, Any] = {
    "uri": True,
    "timeout": BUSY_SECONDS,
    # Transactions begin when told to, and not otherwise.
    "isolation_level": None,
    # The pool of connections closes them in another thread than the one that used them.
    "check_same_thread": False,
    "cached_statements": 64,
}
"""What is passed to `sqlite3.connect` besides the file."""


def connect(address: Address, options: str = "mode=rw") -> sqlite3.Connection:
    """Return a connection to a file that is there."""
    connection: sqlite3.Connection = sqlite3.connect(address.uri(options), **CONNECTING)
    return connection


def set_up(connection: sqlite3.Connection, address: Address) -> None:
    """Set what SQLite keeps for each connection only."""
    # The values are our own: an address with others is refused.
    for setting in (
        f"synchronous = {address.synchronous}",
        f"journal_size_limit = {LARGEST_LOG_BYTES}",
        f"wal_autocheckpoint = {LONGEST_LOG_PAGES}",
        "cache_size = -8000",
        "temp_store = memory",
    ):
        connection.execute(f"PRAGMA {setting}")


def prepare(address: Address) -> None:
    """Make the file or make sure that it is ours and whole, and bring its schema up to date.

    A file that is refused is left as it is.

    Raises:
        EngineRefused: It cannot be used.
    """
    path = address.path
    with _refusing(path):
        if not path.parent.is_dir():
            raise EngineRefused(
                f"The directory of the store {path} does not exist: make it, or name another file"
            )
        if _is_missing(path):
            _make(address)
        _take(address)


def take_again(address: Address) -> None:
    """Make sure of a file as `prepare` does, but make none: the one that was in use is missed.

    Raises:
        EngineRefused: It cannot be used.
        FileLost: It is not there.
    """
    path = address.path
    with _refusing(path):
        if _is_missing(path):
            raise removed(path)
        _take(address)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except FileLost:
        raise
    except (OSError, sqlite3.Error) as error:
        raise EngineRefused(
            f"The store {path} cannot be used: {error}; let this user write to it and its directory"
        ) from error


def _is_missing(path: Path) -> bool:
    return not path.exists() or (path.is_file() and path.stat().st_size == 0)


def _take(address: Address) -> None:
    path = address.path
    if not path.is_file():
        raise EngineRefused(f"The store {path} is not a file: name another")
    _identify(address)
    _check(address)
    _keep_private(path)
    with closing(connect(address)) as connection:
        _log_ahead(connection)
        _migrate(connection, path)


def _make(address: Address) -> None:
    """Put a new database where there is nothing, or an empty file, in one step.

    So nobody ever sees half of one, nor does an interrupted start leave it. Of several processes that start
    together one makes it.
    """
    path = address.path
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        there = os.fstat(descriptor)
        if there.st_size or not os.path.samestat(there, path.stat()):
            return
        new = Address(path.with_name(path.name + ".new"))
        for left_over in _files(new.path):
            left_over.unlink(missing_ok=True)
        os.close(os.open(new.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(connect(new)) as connection:
            _log_ahead(connection)
            _migrate(connection, path)
        for left_over in _files(path)[1:]:
            # The log of a file that is no more would be taken for one of this file.
            left_over.unlink(missing_ok=True)
        new.path.replace(path)
    finally:
        os.close(descriptor)


def _files(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")]


def _keep_private(path: Path) -> None:
    for file in _files(path):
        with suppress(FileNotFoundError):
            file.chmod(0o600)


def number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _identify(address: Address) -> None:
    # As if it could not change: to look at somebody else's file must not write to it nor lay files beside it.
    try:
        with closing(connect(address, "mode=ro&immutable=1")) as connection:
            ours = number(connection, "application_id") == APPLICATION_ID
            version = number(connection, "user_version")
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise _damaged(address.path, str(error)) from error
        raise EngineRefused(
            f"The store {address.path} is not an SQLite database: name another file, or move this one away"
        ) from error
    if not ours:
        raise EngineRefused(
            f"The store {address.path} is the database of another application: name another file"
        )
    _refuse_newer(address.path, version)


def _refuse_newer(path: Path, version: int) -> None:
    if version > len(SCRIPTS):
        raise EngineRefused(
            f"The store {path} was written by a newer version of this server (schema {version}, known up to "
            f"{len(SCRIPTS)}): run that version, or name another file"
        )


def _check(address: Address) -> None:
    try:
        with closing(connect(address, "mode=ro")) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        found = str(error)
    if found != "ok":
        raise _damaged(address.path, found)


def _damaged(path: Path, what: str) -> EngineRefused:
    line = " ".join(what.split())
    return EngineRefused(f"The store {path} is damaged ({line}): put a copy in its place, or move it away")


def _log_ahead(connection: sqlite3.Connection) -> None:
    # Kept in the file; a tool of the operator's may have changed it.
    (mode,) = connection.execute("PRAGMA journal_mode = wal").fetchone()
    if mode != "wal":
        raise sqlite3.OperationalError("this directory does not allow a write-ahead log")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    if number(connection, "user_version") == len(SCRIPTS):
        return
    connection.execute("BEGIN IMMEDIATE")
    # Another process may have been faster.
    version = number(connection, "user_version")
    _refuse_newer(path, version)
    for script in SCRIPTS[version:]:
        for statement in script:
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(SCRIPTS)}")
    connection.execute("COMMIT")
    # The next start reads the version from the file itself, not from the log beside it.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
