"""What the script in script.lua answers. Pure."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from mcp_echo.cluster.engine import (
    Applied,
    Conflict,
    Counted,
    Ended,
    Entry,
    Found,
    Full,
    Held,
    Missing,
    Record,
    SecretKept,
    Totals,
)
from mcp_echo.sessions.store import Counts


class Refused(NamedTuple):
    """Redis would not carry it out, and it was not carried out."""

    reason: str


class Later(NamedTuple):
    """The answer to the batch was long enough without it: it was not carried out, and is to be sent again."""


class SweptSlice(NamedTuple):
    """What one step of a sweep has taken away in a shard."""

    ended: list[Ended]
    more: bool
    """Whether another step will find more."""


class Heard(NamedTuple):
    """What was broadcast."""

    entries: list[tuple[bytes, bytes, bytes]]
    """Its place on the bus, who told it, and what."""
    more: bool


class Answer(NamedTuple):
    """What the script tells of a batch."""

    now: int
    totals: Totals
    """The sums of its shard."""
    counts: Counts
    outcomes: list[Any]
    """One an operation: an `Outcome`, or one of the above."""


_numbers = msgspec.msgpack.Decoder(list[int])


def read_answer(reply: Any, count: int) -> Answer:
    """Return what the script's reply to a batch of so many operations says.

    Raises:
        ValueError: It is none of the script's.
    """
    try:
        end = 4 + int.from_bytes(reply[:4], "big")
        answer = _Reader(_numbers.decode(memoryview(reply)[4:end]), reply, end).answer()
    except (msgspec.MsgspecError, IndexError, TypeError, ValueError):
        answer = None
    if answer is None or len(answer.outcomes) != count:
        raise ValueError("what answers does not run the script")
    return answer


# Errors that say that this server is of no use now, or to us; the others are about one operation.
_ALL = re.compile(
    r"\b(READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|MOVED|NOAUTH|WRONGPASS|NOPERM|MISCONF|NOREPLICAS"
    r"|ACL failure|executing the script can't)\b"
)


def concerns_all(reason: str) -> bool:
    """Whether an error of Redis's says that no operation will be carried out over this connection."""
    return _ALL.search(reason) is not None


def is_full(reason: str) -> bool:
    """Whether an error of Redis's says that it has no memory left: it still reads, and takes away."""
    return re.search(r"\bOOM\b", reason) is not None


class _Reader:
    """Reads numbers and strings, one after the other."""

    def __init__(self, numbers: list[int], reply: bytes, start: int) -> None:
        self._numbers = numbers
        self._at = 10
        self._reply = reply
        self._start = start
        self._readers = (
            self._applied,
            self._found,
            self._conflict,
            Missing,
            self._full,
            lambda: Refused(self._string().decode("utf-8", "replace")),
            Later,
            self._swept,
            self._heard,
            lambda: SecretKept(self._string()),
            lambda: Counted(self._number()),
        )

    def answer(self) -> Answer:
        now, records, handles, queued, echoed, waiting, *counts = self._numbers[:10]
        outcomes = []
        while self._at < len(self._numbers):
            outcomes.append(self._readers[self._number()]())
        totals = Totals(records, handles, Held(queued, echoed, waiting))
        return Answer(now, totals, Counts(*counts), outcomes)

    def _number(self) -> int:
        number = self._numbers[self._at]
        self._at += 1
        return number

    def _string(self) -> bytes:
        start = self._start
        self._start = start + self._number()
        return self._reply[start : self._start]

    def _applied(self) -> Applied:
        return Applied(self._number())

    def _found(self) -> Found:
        return Found(self._record())

    def _conflict(self) -> Conflict:
        return Conflict(self._record())

    def _record(self) -> Record:
        version, created, used = self._number(), self._number(), self._number()
        state = self._string()
        echo = None
        if self._numbers[self._at] < 0:
            self._at += 1
        else:
            echo = self._string()
        entries = tuple(
            Entry(self._number(), self._string().decode(), self._string()) for _ in range(self._number())
        )
        return Record(version, state, echo, created, used, entries)

    def _full(self) -> Full:
        return Full("holder" if self._number() else "all", self._number())

    def _swept(self) -> SweptSlice:
        count, more = self._number(), self._number()
        return SweptSlice([self._ended() for _ in range(count)], bool(more))

    def _ended(self) -> Ended:
        name, lifetime = self._string().decode("utf-8", "surrogatepass"), self._number()
        return Ended(name, lifetime, "displaced" if self._number() else "expired")

    def _heard(self) -> Heard:
        count, more = self._number(), self._number()
        return Heard([(self._string(), self._string(), self._string()) for _ in range(count)], bool(more))
