"""Figures of the process and the machine, from psutil; a figure that cannot be read is None.

Under ``ProcSubset=pid`` and in some containers parts of /proc are hidden, and psutil raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import psutil

Figure = TypeVar("Figure")


class Machine:
    """The machine and the process this server runs in."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        # The first reading only sets the mark that later ones are measured from.
        self.cpu_percent()

    def cpu_percent(self) -> float | None:
        """Return the process's share of one core since the last reading, in percent."""
        return _read(lambda: self._process.cpu_percent(interval=None))

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
