"""A request's HTTP headers as they arrived: order, spelling and repetition kept. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Headers:
    """HTTP header fields in wire order.

    Args:
        fields: (name, value) pairs as sent, without surrounding white space.
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = tuple(fields)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def get(self, name: str) -> str | None:
        """Return the first value of the field ``name``, in any spelling, or None."""
        wanted = name.lower()
        return next((value for key, value in self._fields if key.lower() == wanted), None)

    def all(self, name: str) -> list[str]:
        """Return the values of every line of the field ``name``, in any spelling, in order."""
        wanted = name.lower()
        return [value for key, value in self._fields if key.lower() == wanted]
