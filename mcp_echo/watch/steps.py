"""The steps that a client takes, as far as they have come. No I/O."""

from __future__ import annotations

from collections.abc import Container, Iterable

from mcp_echo.protocol.texts import timestamp
from mcp_echo.watch.findings import Step, StepState

MOST_EXCHANGES = 10
"""Exchanges that are named with each step."""


class Taken:
    """One step, as often as it was taken."""

    __slots__ = ("again", "at", "count", "exchanges", "failure", "last", "worked")

    def __init__(self) -> None:
        self.count = 0
        self.exchanges: list[int] = []
        self.at = self.last = 0.0
        """When it was taken first, and last; seconds of the wall clock."""
        self.failure: str | None = None
        """What it came to the last time, if to nothing."""
        self.worked = False
        """Whether it has come to something, at any time."""
        self.again = False
        """Whether it was taken more often than needed."""


class Steps:
    """What one client has done so far.

    Args:
        order: The steps of the flow, in the order in which they are shown.
    """

    __slots__ = ("_order", "_taken")

    def __init__(self, order: tuple[str, ...]) -> None:
        self._order = order
        self._taken: dict[str, Taken] = {}

    def take(
        self, step: str, exchange: int, at: float, *, failure: str | None = None, again: bool = False
    ) -> None:
        """A step is taken.

        Args:
            step: Its name.
            exchange: The number of the record that shows it.
            at: Seconds of the wall clock.
            failure: What it came to, if to nothing; None where it came to something.
            again: Whether it was not needed any more.
        """
        taken = self._taken.setdefault(step, Taken())
        taken.count += 1
        taken.at = taken.at or at
        taken.last = at
        taken.failure = failure
        taken.worked = taken.worked or failure is None
        taken.again = taken.again or again
        if len(taken.exchanges) < MOST_EXCHANGES:
            taken.exchanges.append(exchange)

    def __getitem__(self, step: str) -> Taken:
        """Return what is known of a step, taken or not."""
        return self._taken.get(step) or Taken()

    def __contains__(self, step: str) -> bool:
        return step in self._taken

    def worked(self, steps: Iterable[str]) -> bool:
        """Return whether any of some steps has come to something."""
        return any(step in self._taken and self._taken[step].worked for step in steps)

    def failures(self, steps: Iterable[str]) -> str:
        """Return for people which of some steps have come to nothing the last time; empty where none has."""
        every = ((step, self[step].failure) for step in steps)
        return "".join(f"; {step} got {failure}" for step, failure in every if failure is not None)

    def shown(self, missing: Container[str], optional: Container[str]) -> tuple[Step, ...]:
        """Return the steps as everybody is shown them.

        What has not come and is neither missing nor lawfully left out may come yet: it is not shown.

        Args:
            missing: Those that have not come by their deadline.
            optional: Those that may be left out.
        """
        every = ((name, self._state(name, missing, optional)) for name in self._order)
        return tuple(self._shown(name, state) for name, state in every if state is not None)

    def _state(self, name: str, missing: Container[str], optional: Container[str]) -> StepState | None:
        if name in missing:
            return "missing"
        taken = self._taken.get(name)
        if taken is None:
            return "skipped" if name in optional else None
        if taken.failure is not None:
            return "failed"
        return "repeated" if taken.again else "done"

    def _shown(self, name: str, state: StepState) -> Step:
        taken = self[name]
        return Step(
            step=name,
            state=state,
            count=taken.count,
            exchanges=tuple(taken.exchanges),
            at=timestamp(taken.at) if taken.count else None,
        )
