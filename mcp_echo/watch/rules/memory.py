"""What rules about several records remember: never more than a bound, the oldest forgotten. No I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

MOST = 200
"""Sessions, callers or calls that one rule remembers."""


class Remembered(Generic[Key, Value]):
    """A mapping that forgets what was not touched for the longest time.

    Args:
        most: How much it holds.
    """

    __slots__ = ("_held", "_most", "forgot")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._held: OrderedDict[Key, Value] = OrderedDict()
        self.forgot = False
        """Whether something was forgotten, so that what is not here may have been."""

    def get(self, key: Key) -> Value | None:
        """Return what is remembered, and touch it."""
        value = self._held.get(key)
        if value is not None:
            self._held.move_to_end(key)
        return value

    def put(self, key: Key, value: Value) -> Value:
        """Remember a value, and return it."""
        self._held[key] = value
        self._held.move_to_end(key)
        if len(self._held) > self._most:
            self._held.popitem(last=False)
            self.forgot = True
        return value

    def take(self, key: Key) -> Value | None:
        """Return what is remembered, and remember it no more."""
        return self._held.pop(key, None)

    def items(self) -> list[tuple[Key, Value]]:
        """Return all of it, the longest untouched first."""
        return list(self._held.items())

    def __contains__(self, key: Key) -> bool:
        return key in self._held

    def __iter__(self) -> Iterator[Key]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


class Awaited(Generic[Key, Value]):
    """What should come, each by its deadline."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: Remembered[Key, tuple[float, Value]] = Remembered()

    def put(self, key: Key, deadline: float, value: Value) -> None:
        """Await something.

        Args:
            key: What tells it from others.
            deadline: Seconds of the wall clock.
            value: What to say if it does not come.
        """
        self._held.put(key, (deadline, value))

    def get(self, key: Key) -> Value | None:
        """Return what is awaited under this key."""
        held = self._held.get(key)
        return None if held is None else held[1]

    def take(self, key: Key) -> Value | None:
        """It has come, or is no more to come: return what was to be said."""
        held = self._held.take(key)
        return None if held is None else held[1]

    def items(self) -> list[tuple[Key, Value]]:
        """Return all that is awaited."""
        return [(key, value) for key, (_, value) in self._held.items()]

    def overdue(self, now: float) -> list[tuple[Key, float, Value]]:
        """Return what has not come in time, with its deadline, and await it no more."""
        late = [(key, *held) for key, held in self._held.items() if held[0] <= now]
        for key, _, _ in late:
            self._held.take(key)
        return late

    def __len__(self) -> int:
        return len(self._held)
