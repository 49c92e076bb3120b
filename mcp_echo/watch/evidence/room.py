"""How much of a record fits into one piece of evidence. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

MOST = 256 * 1024
"""Bytes of one piece of evidence."""

FOR_FINDINGS = 128 * 1024
"""Bytes that findings may take."""

FOR_FLOWS = 32 * 1024
"""Bytes that flows may take."""

FOR_DRILLS = 16 * 1024
"""Bytes that drills may take."""


_Item = TypeVar("_Item")

_BETWEEN = 2
"""Bytes that stand between two pieces, at most."""


def first_that_fit(items: Iterable[_Item], write: Callable[[_Item], bytes], room: int) -> list[bytes]:
    """Return as many as fit, written, counted from the first; what does not fit is not written.

    Args:
        items: What may be shown.
        write: Writes one of them.
        room: Bytes there are.
    """
    pieces: list[bytes] = []
    for item in items:
        piece = write(item)
        room -= len(piece) + _BETWEEN
        if room < 0:
            break
        pieces.append(piece)
    return pieces


def last_that_fit(items: Sequence[_Item], write: Callable[[_Item], bytes], room: int) -> list[bytes]:
    """Return as many as fit, written, counted from the last, in their order.

    Args:
        items: What may be shown.
        write: Writes one of them.
        room: Bytes there are.
    """
    return first_that_fit(reversed(items), write, room)[::-1]
