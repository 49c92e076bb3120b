"""The one point that everything on the wire passes, and who is told there. No I/O.

Observers are told of events. What describes a state is read where it stands when somebody asks: how many
sessions a store has and has ended, what the budgets and limits count, what streams have written, how many
connections there are. A connection is no exchange, and a limit that refuses within a tool is no refusal on
the wire; their counts are plain integers beside the state that they belong to. So is what a probe waits for,
that its client reads a list: the method that reads it says so, within the work on the request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mcp_echo.watch.seen import Event

Observer = Callable[[Event], None]
"""Is told of an event, at once and in order. It keeps what it wants of it: nothing of a `Seen` changes after
that, but its head holds all header lines."""


@dataclass(slots=True, eq=False)
class Watch:
    """Tells observers of what passes."""

    observers: tuple[Observer, ...]
    """Who is told, in this order."""
    now: Callable[[], float]
    """The steady clock, in seconds."""
    failed: Callable[[str], Any]
    """Told, while the exception is handled, of an observer that raises one; of each observer once."""
    bodies: bool = False
    """Whether one of them wants the bodies."""
    _broken: set[Observer] = field(default_factory=set, init=False)

    def tell(self, event: Event) -> None:
        """Tell every observer; one that fails harms neither the others nor what it is told of."""
        for observer in self.observers:
            try:
                observer(event)
            except Exception:
                if observer not in self._broken:
                    self._broken.add(observer)
                    self.failed("An observer failed; its further failures are not logged")
