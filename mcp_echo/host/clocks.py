"""The clocks of the machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple


class Clocks(NamedTuple):
    """The two clocks of a server, in seconds."""

    now: Callable[[], float] = time.monotonic
    """The steady one, which never jumps."""
    wall: Callable[[], float] = time.time
    """The one on the wall, since the epoch."""


CLOCKS = Clocks()
