"""What the engine has the thread of the database do, besides the operations on records. No I/O."""

from __future__ import annotations

from typing import Any, NamedTuple

from mcp_echo.state.engine import Ended, Operation, Totals


class Sweep(NamedTuple):
    """Take away some expired records, and old news. Answered with whether there may be more."""


class Broadcast(NamedTuple):
    """Tell all other nodes. Answered with None."""

    payload: bytes


class Secret(NamedTuple):
    """Answered with the secret that all nodes share."""

    proposal: bytes


class Trial(NamedTuple):
    """Write something, to see whether that is possible. Answered with None."""


Task = Operation | Sweep | Broadcast | Secret | Trial


class Batch(NamedTuple):
    """What has become of some tasks; it is stored."""

    answers: list[Any]
    """One a task; an exception for one that was wrong in itself."""
    totals: Totals
    ended: list[Ended]
    """The expired records that were taken away."""
