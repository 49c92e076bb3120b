"""What is to happen because of a request, once what it has changed is kept. No I/O.

A request may be worked on more than once: what it changes in sessions that several processes share is kept
only if nobody else was faster, and what came of the work is dropped otherwise. So whoever works on a request
changes sessions, and asks for everything else by an effect: a function of the world outside, and what to call
it with. Effects happen in their order, each once; those of work that was dropped never do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Protocol


class Effects(Protocol):
    """Takes the effects of one request."""

    def then(self, do: Callable[..., object], *arguments: object) -> Any:
        """Have something happen once what the request has changed is kept; now, where it is already.

        Args:
            do: What happens. It may raise a `McpError`, which answers the request.
            arguments: What it is called with.

        Returns:
            What it has returned; True where it has yet to happen.
        """

    def expected(self, do: Callable[..., object]) -> int:
        """Return how many effects of this function are yet to happen."""


class Collected:
    """Effects that are yet to happen, in their order."""

    __slots__ = ("_counts", "_effects")

    def __init__(self) -> None:
        self._effects: list[tuple[Callable[..., object], tuple[object, ...]]] = []
        self._counts: Counter[Callable[..., object]] = Counter()

    def __iter__(self) -> Iterator[tuple[Callable[..., object], tuple[object, ...]]]:
        return iter(self._effects)

    def add(self, do: Callable[..., object], arguments: tuple[object, ...]) -> None:
        """Have one more happen; see `Effects.then`."""
        self._effects.append((do, arguments))
        self._counts[do] += 1

    def count(self, do: Callable[..., object]) -> int:
        """Return how many are of this function; a batch asks for each of its messages."""
        return self._counts[do]

    def happen(self) -> None:
        """Have all of them happen."""
        for do, arguments in self._effects:
            do(*arguments)


class AtOnce:
    """Has everything happen at once: for work on what nobody shares."""

    def then(self, do: Callable[..., object], *arguments: object) -> Any:
        """Have something happen now; see `Effects.then`."""
        return do(*arguments)

    def expected(self, do: Callable[..., object]) -> int:  # noqa: ARG002  # whatever it is
        """Return 0: everything has happened."""
        return 0


AT_ONCE = AtOnce()
