"""What the script in script.lua answers. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from io import BytesIO
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
    KeptRecord,
    Missing,
    SecretKept,
    SessionBytes,
    Totals,
)
from mcp_echo.sessions.store import Counts


class NotCarriedOut(NamedTuple):
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


class ScriptAnswer(NamedTuple):
    """What the script tells of a batch."""

    now: int
    totals: Totals
    """The sums of its shard."""
    counts: Counts
    outcomes: list[Any]
    """One an operation: an `Outcome`, or one of the above."""


Numbers = Iterator[int]

_numbers = msgspec.msgpack.Decoder(list[int])


def read_answer(reply: Any, count: int) -> ScriptAnswer:
    """Return what the script's reply to a batch of so many operations says.

    Raises:
        ValueError: It is none of the script's.
    """
    try:
        end = 4 + int.from_bytes(reply[:4], "big")
        now, records, handles, queued, echoed, waiting, *rest = _numbers.decode(memoryview(reply)[4:end])
        counts, numbers, strings = Counts(*rest[:4]), iter(rest[4:]), BytesIO(reply)
        strings.seek(end)
        outcomes = [_READERS[kind](numbers, strings) for kind in numbers]
    except (msgspec.MsgspecError, LookupError, StopIteration, TypeError, ValueError):
        outcomes = []
    if len(outcomes) != count:
        raise ValueError("the server there does not run the script")
    return ScriptAnswer(
        now, Totals(records, handles, SessionBytes(queued, echoed, waiting)), counts, outcomes
    )


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


# What follows reads numbers and strings, one after the other; a string has its length among the numbers.


def _applied(numbers: Numbers, _: BytesIO) -> Applied:
    return Applied(next(numbers))


def _record(numbers: Numbers, strings: BytesIO) -> KeptRecord:
    version, created, used = next(numbers), next(numbers), next(numbers)
    state, length = strings.read(next(numbers)), next(numbers)
    echo = None if length < 0 else strings.read(length)
    entries = [_entry(numbers, strings) for _ in range(next(numbers))]
    return KeptRecord(version, state, echo, created, used, tuple(entries))


def _entry(numbers: Numbers, strings: BytesIO) -> Entry:
    return Entry(next(numbers), strings.read(next(numbers)).decode(), strings.read(next(numbers)))


def _full(numbers: Numbers, _: BytesIO) -> Full:
    return Full("holder" if next(numbers) else "all", next(numbers))


def _swept(numbers: Numbers, strings: BytesIO) -> SweptSlice:
    count, more = next(numbers), next(numbers)
    return SweptSlice([_ended(numbers, strings) for _ in range(count)], bool(more))


def _ended(numbers: Numbers, strings: BytesIO) -> Ended:
    name, lifetime = strings.read(next(numbers)).decode("utf-8", "surrogatepass"), next(numbers)
    return Ended(name, lifetime, "displaced" if next(numbers) else "expired")


def _heard(numbers: Numbers, strings: BytesIO) -> Heard:
    count, more = next(numbers), next(numbers)
    parts = [strings.read(next(numbers)) for _ in range(3 * count)]
    return Heard(list(zip(parts[::3], parts[1::3], parts[2::3], strict=True)), bool(more))


# In the order of the script's numbers for them.
_READERS: tuple[Callable[[Numbers, BytesIO], Any], ...] = (
    _applied,
    lambda numbers, strings: Found(_record(numbers, strings)),
    lambda numbers, strings: Conflict(_record(numbers, strings)),
    lambda _numbers, _strings: Missing(),
    _full,
    lambda numbers, strings: NotCarriedOut(strings.read(next(numbers)).decode("utf-8", "replace")),
    lambda _numbers, _strings: Later(),
    _swept,
    _heard,
    lambda numbers, strings: SecretKept(strings.read(next(numbers))),
    lambda numbers, _: Counted(next(numbers)),
)
