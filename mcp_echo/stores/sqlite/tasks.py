"""What the engine has the thread of the database do, besides the operations. No I/O."""

from __future__ import annotations

from typing import Any, NamedTuple

from mcp_echo.cluster.engine import Ended, Operation, Totals
from mcp_echo.sessions.store import Counts


class Note(NamedTuple):
    """Keep a value under a name. Answered with None."""

    name: str
    value: bytes


class Trial(NamedTuple):
    """Do all that is done to a record, to see whether that is possible. Answered with None."""


Task = Operation | Note | Trial


class TaskResults(NamedTuple):
    """What has become of some tasks; it is stored."""

    answers: list[Any]
    """One a task: an `Outcome`, or an exception for one that was wrong in itself; for a step of a sweep,
    whether there may be more."""
    totals: Totals
    counts: Counts
    ended: list[Ended]
    """The records that were taken away, because they had expired or to make room."""
