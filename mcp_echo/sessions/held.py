"""What waiting requests and open streams hold, in bytes: in all, and of each holder. No I/O.

Each is counted from when it begins to wait until it is over, by what it may take, which is known beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable

from mcp_echo.protocol.errors import McpError, TooMuchHeld, TooMuchHeldByOne

CALL_BYTES = 16 * 1024
"""What a waiting request takes, beside its head and its params: its connection, and what is to answer it."""

FIELD_BYTES = 256
"""What a header field takes, beside twice its text: as it came, and as twisted.web has it."""

STREAM_BYTES = 16 * 1024
"""What an open stream takes, with its connection."""


def call_bytes(params: int, fields: Iterable[tuple[str, str]]) -> int:
    """Return what a waiting request may take, in bytes.

    Its body is let go of. What a tool keeps of its arguments is hardly more than its params are long.

    Args:
        params: Bytes of its params.
        fields: Its header fields.
    """
    head = sum(FIELD_BYTES + 2 * (len(name) + len(value)) for name, value in fields)
    return CALL_BYTES + head + params


class Hold:
    """Bytes that are held, until they are let go of.

    Args:
        held: Where they are counted.
        holder: Whose they are.
        size: How many.
    """

    __slots__ = ("_held", "_holder", "_size")

    def __init__(self, held: HeldBytes, holder: str, size: int) -> None:
        self._held = held
        self._holder = holder
        self._size = size

    def release(self) -> None:
        """Let go of them; once, however often it is called."""
        size, self._size = self._size, 0
        if size:
            self._held.subtract(self._holder, size)


class HeldBytes:
    """The bytes that are held, and how many there may be.

    Args:
        limit: In all.
        share: Of one holder.
    """

    def __init__(self, limit: int, share: int) -> None:
        self.limit = limit
        self.share = share
        self.total = 0
        self.refused = 0
        """How often there was no room for one more."""
        self.refused_to_holders = 0
        """How often a holder had no room for one more in its share."""
        self._by_holder: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._by_holder)

    def of(self, holder: str) -> int:
        """Return how many bytes a holder holds."""
        return self._by_holder.get(holder, 0)

    def hold(self, holder: str, size: int, instead: bool = False) -> Hold:
        """Count bytes from now on; return what lets go of them.

        Args:
            holder: Whose they are.
            size: How many.
            instead: Whether it takes the place of something that ends for it, so that there is room.

        Raises:
            TooMuchHeldByOne: The holder would have more than its share.
            TooMuchHeld: There would be more than may be.
        """
        if not instead:
            try:
                self.check(holder, size)
            except (TooMuchHeld, TooMuchHeldByOne) as error:
                self.count(error)
                raise
        self.total += size
        self._by_holder[holder] = self.of(holder) + size
        return Hold(self, holder, size)

    def check(self, holder: str, size: int) -> None:
        """Let a holder hold some bytes more.

        Raises:
            TooMuchHeldByOne: The holder would have more than its share.
            TooMuchHeld: There would be more than may be.
        """
        if self.of(holder) + size > self.share:
            raise TooMuchHeldByOne(self.of(holder), self.share)
        if self.total + size > self.limit:
            raise TooMuchHeld(self.limit)

    def count(self, error: McpError) -> None:
        """Count a refusal that `check` has raised."""
        if isinstance(error, TooMuchHeldByOne):
            self.refused_to_holders += 1
        else:
            self.refused += 1

    def subtract(self, holder: str, size: int) -> None:
        """Count bytes no more; see `Hold.release`."""
        self.total -= size
        left = self._by_holder.pop(holder) - size
        if left:
            self._by_holder[holder] = left
