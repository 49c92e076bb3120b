"""The clock of one SQLite file, which no step of the machine's clock moves. Blocking.

It goes on with the time since the machine was started, which nobody can set and which all processes of one
machine have in common. What it says at a moment is kept in the file, with what the machine's clock says then:
after a restart of the machine that alone tells how much time has passed.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_UPTIME = Path("/proc/uptime")

Seconds = Callable[[], float]


class Noted(msgspec.Struct, array_like=True):
    """What the clocks said at one moment, in milliseconds."""

    boot: str
    """Which start of the machine it was; empty where that cannot be told."""
    uptime: int
    time: int
    wall: int


_decode = msgspec.json.Decoder(Noted).decode


def boot() -> str:
    """Return what no two starts of a machine have in common; nothing where that cannot be told."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def since_boot() -> Seconds:
    """Return a clock of the seconds since the machine was started, sleep included.

    Where there is none, it is one that is steady in this process.
    """
    try:
        begun = float(_UPTIME.read_text().split()[0])
    except (OSError, ValueError):
        return time.monotonic
    # Where it begins is the kernel's word: a library that fakes the clock of a process changes that one only.
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    return lambda: begun + time.clock_gettime(time.CLOCK_BOOTTIME) - before


class FileClock:
    """Tells the time of one file.

    Args:
        uptime: Seconds since the machine was started.
        wall: Seconds since the epoch, by the clock that people set.
        boot: Which start of the machine this is.
    """

    def __init__(self, uptime: Seconds, wall: Seconds, boot: str) -> None:
        self._uptime = uptime
        self._wall = wall
        self._boot = boot
        self._ahead = _milliseconds(wall) - _milliseconds(uptime)
        """By how much the file's time is ahead of the machine's uptime."""

    def now(self) -> int:
        """Return the milliseconds of the file's time."""
        return self._ahead + _milliseconds(self._uptime)

    def note(self) -> bytes:
        """Return what is kept in the file, for the next start."""
        uptime = _milliseconds(self._uptime)
        return msgspec.json.encode(Noted(self._boot, uptime, self._ahead + uptime, _milliseconds(self._wall)))

    def follow(self, connection: sqlite3.Connection) -> None:
        """Go on with the time of a file, on a connection without a transaction.

        Raises:
            sqlite3.Error: It cannot be read or kept.
        """
        if self._read(connection):
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have been faster.
            if not self._read(connection):
                self._ahead = self._time_until_now(connection) - _milliseconds(self._uptime)
                connection.execute("INSERT OR REPLACE INTO meta VALUES ('clock', ?)", (self.note(),))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _read(self, connection: sqlite3.Connection) -> bool:
        """Go on with what was noted since the machine was started; return whether anything was."""
        noted = _noted(connection)
        if noted is None or not self._boot or noted.boot != self._boot:
            return False
        self._ahead = noted.time - noted.uptime
        return True

    def _time_until_now(self, connection: sqlite3.Connection) -> int:
        noted, wall = _noted(connection), _milliseconds(self._wall)
        if noted is not None:
            return noted.time + max(0, wall - noted.wall)
        # Until now the file went by the machine's clock, which may have been ahead.
        return max(wall, connection.execute("SELECT max(used) FROM record").fetchone()[0] or 0)


def _noted(connection: sqlite3.Connection) -> Noted | None:
    kept = connection.execute("SELECT value FROM meta WHERE name = 'clock'").fetchone()
    try:
        return None if kept is None else _decode(kept[0])
    except (msgspec.MsgspecError, TypeError):
        # Whoever has written this has no time that could be gone on with.
        return None


def _milliseconds(clock: Seconds) -> int:
    return round(clock() * 1000)
