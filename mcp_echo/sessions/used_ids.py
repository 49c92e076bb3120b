"""The request ids that one client has used in one session, in bounded memory. No I/O."""

from __future__ import annotations

from hashlib import blake2b

MAX_OTHERS = 100
"""Ids kept beside the run; the one used longest ago is forgotten for one more."""

_LONGEST = 64
"""Characters of a text that is kept as it is; of a longer one a digest is."""


class UsedIds:
    """Tells an id that was used before.

    Integers that are counted up one by one, as nearly all clients do, take one run and are remembered for
    good; of all others the last `MAX_OTHERS` are.
    """

    __slots__ = ("_first", "_last", "_others")

    def __init__(self) -> None:
        self._first = 0
        self._last = -1
        self._others: dict[int | str | bytes, None] = {}

    def __contains__(self, message_id: int | str) -> bool:
        if isinstance(message_id, int) and self._first <= message_id <= self._last:
            return True
        return _kept(message_id) in self._others

    def add(self, message_id: int | str) -> None:
        """Remember an id."""
        if isinstance(message_id, int) and self._continues(message_id):
            self._last = message_id
            return
        self._others[_kept(message_id)] = None
        if len(self._others) > MAX_OTHERS:
            del self._others[next(iter(self._others))]

    def _continues(self, number: int) -> bool:
        """Return whether a number is the next of the run, or may begin it."""
        if self._last < self._first:
            self._first = number
            return True
        return number == self._last + 1


def _kept(message_id: int | str) -> int | str | bytes:
    if isinstance(message_id, int) or len(message_id) <= _LONGEST:
        return message_id
    return blake2b(message_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
