"""Figures of the process and the machine, from psutil; a figure that cannot be read is None.

Under ``ProcSubset=pid`` and in some containers parts of /proc are hidden, and psutil raises.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import psutil

Figure = TypeVar("Figure")

SHORTEST = 0.1
"""Seconds over which a share of a core is measured at least: over less it is an accident (psutil)."""


class Machine:
    """The machine and the process this server runs in."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        # The first reading only sets the mark that later ones are measured from.
        _read(self._process.cpu_percent)
        self._read_at = time.monotonic()
        self._share: float | None = None

    def cpu_percent(self) -> float | None:
        """Return the process's share of one core in percent, over `SHORTEST` or more; None before that."""
        now = time.monotonic()
        if now - self._read_at >= SHORTEST:
            self._read_at, self._share = now, _read(self._process.cpu_percent)
        return self._share

    def process_bytes(self) -> int | None:
        """Return the process's resident memory in bytes."""
        return _read(lambda: int(self._process.memory_info().rss))

    def memory_bytes(self) -> int | None:
        """Return the machine's physical memory in bytes."""
        return _read(lambda: int(psutil.virtual_memory().total))


def _read(figure: Callable[[], Figure]) -> Figure | None:
    try:
        return figure()
    except (psutil.Error, OSError, RuntimeError, ValueError):
        return None
