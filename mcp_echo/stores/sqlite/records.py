"""What is done to the records on one SQLite connection, many operations in one transaction. Blocking."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from mcp_echo.cluster.engine import (
    Applied,
    Broadcast,
    Change,
    Close,
    Conflict,
    Count,
    Counted,
    Create,
    Ended,
    Entry,
    Found,
    Full,
    KeptRecord,
    Load,
    Missing,
    Outcome,
    Peek,
    RecordLimits,
    Secret,
    SecretKept,
    SessionBytes,
    Sweep,
    Totals,
)
from mcp_echo.sessions.limits import holder_of
from mcp_echo.sessions.store import SAMPLE, Counts
from mcp_echo.stores.sqlite.news import remove_old, write_broadcast, write_nudges
from mcp_echo.stores.sqlite.tasks import Note, Task, TaskResults, Trial

SLICE = 200
"""How many expired records one step of a sweep takes away."""
TRIAL = "trial"
"""What a record is called that is there for no longer than a trial; no session is."""
ROOM = 64
"""How many expired records, at least, are taken away to make room for one."""

# What one operation is to blame for; all else is the database's trouble and hits the whole batch.
ITS_OWN_FAULT = (
    TypeError,
    ValueError,
    OverflowError,
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)


class _Row(NamedTuple):
    """A row of the table of records."""

    key: int
    id: str
    owner: bytes | None
    handle: int
    version: int
    created: int
    timeout: int
    used: int
    expires: int
    queued: int
    echoed: int
    waiting: int
    state: bytes
    holder: bytes | None
    fresh: int
    """1 until it is in use, 0 from then on."""


_COLUMNS = ", ".join(_Row._fields)
_FIND = f"SELECT {_COLUMNS} FROM record WHERE id = ?"  # noqa: S608 - names of our own
_EXPIRED = f"SELECT {_COLUMNS} FROM record WHERE expires <= ? ORDER BY expires LIMIT ?"  # noqa: S608
_ECHO = "SELECT data FROM echo WHERE record = ?"
_ENTRIES = "SELECT sequence, stream, data FROM entry WHERE record = ? AND sequence > ? ORDER BY sequence"
_CREATE = "INSERT INTO record VALUES (NULL, ?, ?, ?, 1, ?, ?, ?, ?, 0, 0, 0, ?, ?, ?)"
_CHANGE = "UPDATE record SET version = ?, state = ?, queued = ?, echoed = ?, waiting = ? WHERE key = ?"
_USE = (
    "UPDATE record SET version = ?, state = ?, queued = ?, echoed = ?, waiting = ?, used = ?, expires = ? "
    "WHERE key = ?"
)
_HELD = "SELECT records FROM share WHERE holder = ?"
_FIRST_OF = f"SELECT min(expires) FROM (SELECT expires FROM record WHERE holder = ? LIMIT {SAMPLE})"  # noqa: S608
_MOST = "SELECT holder, records FROM share WHERE fresh > 0 ORDER BY records DESC LIMIT 1"
_FRESH = f"SELECT {_COLUMNS} FROM record WHERE holder = ? AND fresh = 1 ORDER BY key LIMIT 1"  # noqa: S608
_COUNTS = "SELECT value FROM meta WHERE name = 'counts'"
_SUMS = f"SELECT records, handles, queued, echoed, waiting, ({_COUNTS}) FROM total"  # noqa: S608


class Records:
    """The records on one connection.

    Args:
        connection: To a file that was prepared, without a transaction.
        node: The name of this node.
        limits: How many records there may be.
        now: Milliseconds of the file's time.
        check: Called before anything is kept or answered; raises if this would be in vain.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        node: str,
        limits: RecordLimits,
        now: Callable[[], int],
        check: Callable[[], object] = lambda: None,
    ) -> None:
        self._connection = connection
        self._check = check
        self._cursor = connection.cursor()
        self._node = node
        self._limits = limits
        self._clock = now
        self._now = 0
        self._sums: list[int] = []
        self._before: list[int] = []
        self._counts: list[int] = []
        """How many records were made and have ended, as `Counts` has them."""
        self._counted: list[int] = []
        """The same before this batch."""
        self._ended: list[Ended] = []
        self._nudges: dict[tuple[str, str], None] = {}
        self._steps: dict[type, Callable[[Any], Any]] = {
            Create: self._create,
            Change: self._change,
            Load: self._load,
            Peek: self._peek,
            Close: self._close,
            Count: self._count,
            Sweep: self._sweep,
            Broadcast: self._broadcast,
            Secret: self._secret,
            Note: self._note,
            Trial: self._trial,
        }

    def carry_out(self, tasks: Sequence[Task]) -> TaskResults:
        """Carry out tasks in order in one transaction.

        Raises:
            sqlite3.Error: None of them was.
        """
        wrong: dict[int, Exception] = {}
        while True:
            try:
                self._begin(all(isinstance(task, Load | Peek) for task in tasks))
                answers = self._answers(tasks, wrong)
                if answers is not None:
                    return self._finish(answers)
            except BaseException:
                self._roll_back()
                raise
            self._roll_back()

    def _answers(self, tasks: Sequence[Task], wrong: dict[int, Exception]) -> list[Any] | None:
        """Return the answers; None if another task has turned out to be wrong, and was noted."""
        answers: list[Any] = []
        for place, task in enumerate(tasks):
            if place in wrong:
                answers.append(wrong[place])
                continue
            try:
                answers.append(self._steps[type(task)](task))
            except ITS_OWN_FAULT as error:
                # It may have done half of what it was to do, and has to leave nothing behind.
                wrong[place] = error
                return None
        return answers

    def _begin(self, reading: bool) -> None:
        self._cursor.execute("BEGIN" if reading else "BEGIN IMMEDIATE")
        # Not before: with the lock comes the right to say what is now.
        self._now = self._clock()
        *self._sums, counts = self._cursor.execute(_SUMS).fetchone()
        # A file of an earlier version has not counted.
        self._counts = list(Counts(self._sums[0]) if counts is None else Counts(*_counted(counts)))
        self._counted = self._counts.copy()
        self._before = self._sums.copy()
        self._ended = []
        self._nudges = {}

    def _finish(self, answers: list[Any]) -> TaskResults:
        if self._nudges:
            write_nudges(self._cursor, list(self._nudges), self._now)
        if self._sums != self._before:
            self._cursor.execute(
                "UPDATE total SET records = ?, handles = ?, queued = ?, echoed = ?, waiting = ?", self._sums
            )
        if self._counts != self._counted:
            self._note(Note("counts", msgspec.json.encode(self._counts)))
        self._check()
        self._cursor.execute("COMMIT")
        records, handles, *held = self._sums
        totals = Totals(records, handles, SessionBytes(*held))
        return TaskResults(answers, totals, Counts(*self._counts), self._ended)

    def _roll_back(self) -> None:
        # Some failures end the transaction by themselves.
        if self._connection.in_transaction:
            self._cursor.execute("ROLLBACK")

    def _find(self, record_id: str) -> _Row | None:
        try:
            found = self._cursor.execute(_FIND, (record_id,)).fetchone()
        except UnicodeEncodeError:
            return None
        if found is None:
            return None
        row = _Row._make(found)
        return row if row.expires > self._now else None

    def _find_own(self, task: Change | Load | Close) -> _Row | None:
        row = self._find(task.id)
        if row is None or row.handle != task.handle or row.owner != _as_kept(task.owner):
            return None
        return row

    def _seen(self, row: _Row, known: int) -> KeptRecord:
        echo = self._cursor.execute(_ECHO, (row.key,)).fetchone()
        entries = self._cursor.execute(_ENTRIES, (row.key, known)).fetchall()
        return KeptRecord(
            row.version,
            row.state,
            None if echo is None else echo[0],
            row.created,
            row.used,
            tuple(map(Entry._make, entries)),
        )

    def _load(self, load: Load) -> Outcome:
        row = self._find_own(load)
        return Missing() if row is None else Found(self._seen(row, load.known))

    def _peek(self, peek: Peek) -> Outcome:
        row = self._find(peek.id)
        return Missing() if row is None else Found(self._seen(row, peek.known))

    def _create(self, create: Create) -> Outcome:
        holder = _as_kept(holder_of(create.owner, create.address))
        full = self._make_room(create, holder)
        if full is not None:
            return full
        self._insert(create, holder)
        self._counts[0] += 1
        return Applied(self._now)

    def _insert(self, create: Create, holder: bytes | None) -> None:
        owner, now, expires = _as_kept(create.owner), self._now, self._now + create.timeout
        fresh = holder is not None and not create.used
        self._cursor.execute(
            _CREATE,
            (create.id, owner, create.handle, now, create.timeout, now, expires, create.state, holder, fresh),
        )
        self._sums[0] += 1
        self._sums[1] += create.handle

    def _make_room(self, create: Create, holder: bytes | None) -> Full | None:
        """Have room for one more record of a holder; return None if there is."""
        limit, most = self._limits.of(create.owner), self._limits.records
        if limit is not None and self._held_by(holder) >= limit:
            self._take_away_all_expired()
            if self._held_by(holder) >= limit and not self._displace(holder):
                earliest = self._cursor.execute(_FIRST_OF, (holder,)).fetchone()[0]
                return Full("holder", self._seconds_until(earliest))
        if self._sums[0] >= most:
            self._take_away_expired(max(ROOM, self._sums[0] - most + 1))
        if self._sums[0] >= most and not self._displace_for(holder):
            earliest = self._cursor.execute("SELECT min(expires) FROM record").fetchone()[0]
            return Full("all", self._seconds_until(earliest))
        return None

    def _held_by(self, holder: bytes | None) -> int:
        found = self._cursor.execute(_HELD, (holder,)).fetchone()
        return 0 if found is None else int(found[0])

    def _displace(self, holder: bytes | None) -> bool:
        """Have a holder's oldest record that is not in use give way; return False if it has none."""
        found = self._cursor.execute(_FRESH, (holder,)).fetchone()
        if found is None:
            return False
        row = _Row._make(found)
        self._take_away([row])
        self._counts[3] += 1
        self._ended.append(Ended(row.id, self._now - row.created, "displaced"))
        return True

    def _displace_for(self, holder: bytes | None) -> bool:
        """Have a record that is not in use give way to one of a holder; return False if none does."""
        most = self._cursor.execute(_MOST).fetchone()
        return most is not None and most[1] >= self._held_by(holder) and self._displace(most[0])

    def _seconds_until(self, moment: int) -> int:
        return max(1, min(60, (moment - self._now) // 1000 + 1))

    def _change(self, change: Change) -> Outcome:
        row = self._find_own(change)
        if row is None:
            return Missing()
        key, version, held = row.key, row.version, change.held
        if version != change.version:
            return Conflict(self._seen(row, change.known))
        if change.touch:
            expires = self._now + row.timeout
            self._cursor.execute(_USE, (version + 1, change.state, *held, self._now, expires, key))
        else:
            self._cursor.execute(_CHANGE, (version + 1, change.state, *held, key))
        if change.echo is not UNSET:
            self._echo(key, change.echo)
        if change.drop or change.add:
            self._log(key, change)
        if change.used and row.fresh:
            self._cursor.execute("UPDATE record SET fresh = 0 WHERE key = ?", (key,))
        sums = self._sums
        sums[2] += held.queued - row.queued
        sums[3] += held.echoed - row.echoed
        sums[4] += held.waiting - row.waiting
        self._tell(change)
        return Applied(row.created)

    def _echo(self, key: int, echo: bytes | None) -> None:
        if echo is None:
            self._cursor.execute("DELETE FROM echo WHERE record = ?", (key,))
        else:
            self._cursor.execute("INSERT OR REPLACE INTO echo VALUES (?, ?)", (key, echo))

    def _log(self, key: int, change: Change) -> None:
        dropped = [(key, sequence) for sequence in change.drop]
        self._cursor.executemany("DELETE FROM entry WHERE record = ? AND sequence = ?", dropped)
        added = [(key, *entry) for entry in change.add]
        self._cursor.executemany("INSERT INTO entry VALUES (?, ?, ?, ?)", added)

    def _close(self, close: Close) -> Outcome:
        row = self._find_own(close)
        if row is None:
            return Missing()
        self._take_away([row])
        self._counts[2] += 1
        self._tell(close)
        return Applied(row.created)

    def _count(self, count: Count) -> Outcome:
        self._take_away_all_expired()
        return Counted(self._held_by(_as_kept(holder_of(count.owner, count.address))))

    def _take_away_expired(self, most: int) -> int:
        found = self._cursor.execute(_EXPIRED, (self._now, most)).fetchall()
        rows = list(map(_Row._make, found))
        self._take_away(rows)
        self._counts[1] += len(rows)
        self._ended += [Ended(row.id, row.expires - row.created) for row in rows]
        return len(rows)

    def _take_away_all_expired(self) -> None:
        while self._take_away_expired(SLICE) == SLICE:
            pass

    def _take_away(self, rows: list[_Row]) -> None:
        keys = [(row.key,) for row in rows]
        for table in ("entry WHERE record", "echo WHERE record", "record WHERE key"):
            self._cursor.executemany(f"DELETE FROM {table} = ?", keys)  # noqa: S608 - names of our own
        for row in rows:
            gone = (1, row.handle, row.queued, row.echoed, row.waiting)
            self._sums = [total - part for total, part in zip(self._sums, gone, strict=True)]

    def _tell(self, task: Change | Close) -> None:
        for node in task.tell:
            if node != self._node:
                self._nudges[node, task.id] = None

    def _broadcast(self, broadcast: Broadcast) -> Outcome:
        write_broadcast(self._cursor, self._node, broadcast.payload, self._now)
        return Applied(self._now)

    def _sweep(self, _: Sweep) -> bool:
        """Take away some of what has expired, and old news; return whether there may be more."""
        if self._take_away_expired(SLICE) == SLICE:
            return True
        remove_old(self._cursor, self._now)
        return False

    def _secret(self, secret: Secret) -> Outcome:
        self._cursor.execute("INSERT OR IGNORE INTO meta VALUES ('secret', ?)", (secret.proposal,))
        kept = self._cursor.execute("SELECT value FROM meta WHERE name = 'secret'").fetchone()[0]
        return SecretKept(bytes(kept))

    def _note(self, note: Note) -> None:
        self._cursor.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", note)

    def _trial(self, _: Trial) -> None:
        """Do to a record all that is done to one, whether there is room for it or not."""
        self._insert(Create(TRIAL, None, False, 1, b""), None)
        added = (Entry(1, "", b""),)
        self._change(Change(TRIAL, None, False, 1, True, b"", b"", add=added))
        row = self._find(TRIAL)
        self._take_away([] if row is None else [row])
        # Not an update: where nothing is different SQLite writes nothing.
        self._cursor.execute("INSERT OR REPLACE INTO meta VALUES ('trial', x'')")


_counted = msgspec.json.Decoder(list[int]).decode


def _as_kept(owner: str | None) -> bytes | None:
    # A name that came in a header may hold what is no text for SQLite.
    return None if owner is None else owner.encode("utf-8", "surrogatepass")
