"""How much memory the state of all clients takes together, counted as it changes. No I/O.

Every queue and every session reports here what it holds, by itself and exactly, so that nobody has to walk
over the sessions to know the sums, and so that one bound holds for all of them together, and a lower one for
those of each holder; see `mcp_echo.sessions.limits.holder_of`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from weakref import WeakValueDictionary

UNLIMITED = 1 << 62
"""More bytes than any machine has."""


class Budget(ABC):
    """The bytes of queued messages and last echoes, and the bound on them.

    Args:
        limit: Bytes that they may take together.
    """

    __slots__ = ("_told_full", "echoes", "limit", "queues")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._told_full = False
        self.queues = 0
        """Bytes of messages in the queues."""
        self.echoes = 0
        """Bytes of the last echoes of the sessions."""

    @property
    @abstractmethod
    def whole(self) -> StateBudget:
        """The sums over everything."""

    @property
    def used(self) -> int:
        """Bytes that count against the limit."""
        return self.queues + self.echoes

    @property
    def left(self) -> int:
        """Bytes that there is room for."""
        return max(0, self.limit - self.used)

    @abstractmethod
    def has_room(self, size: int) -> bool:
        """Return whether ``size`` bytes more stay within the limit; less than 0 says that bytes go, too."""

    @abstractmethod
    def count_queued(self, size: int) -> None:
        """Count ``size`` bytes more of messages; less than 0 says that they go."""

    @abstractmethod
    def count_echo(self, size: int) -> None:
        """Count ``size`` bytes more of last echoes; less than 0 says that they go."""

    def keep_echo(self, before: int, size: int) -> bool:
        """Count an echo of ``size`` bytes in place of one of ``before`` bytes.

        Returns:
            Whether it may be kept; if not, the one before is no longer counted either.
        """
        if self.has_room(size - before):
            self.count_echo(size - before)
            return True
        lacking = self._lacking(size - before) or self
        self.count_echo(-before)
        lacking.refuse_echo()
        return False

    def lose_message(self, size: int, most: int) -> None:
        """Count a message that was neither kept nor delivered.

        Args:
            size: Its bytes.
            most: The bytes that its queue may have.
        """
        if size <= most:
            # Where there is room, it is its own queue that had none.
            lacking = self._lacking(size)
            if lacking is not None:
                lacking.refuse_message()
            return
        self.whole.messages_too_large += 1
        self.whole.tell(
            f"A message of {size} bytes was dropped: nobody was reading, "
            f"and MCP_ECHO_MAX_QUEUE_BYTES allows a queue {most} bytes"
        )

    @abstractmethod
    def refuse_echo(self) -> None:
        """Count an echo that there was no room to keep."""

    @abstractmethod
    def refuse_message(self) -> None:
        """Count a message that there was no room to keep."""

    @abstractmethod
    def _lacking(self, size: int) -> Budget | None:
        """Return what has no room for ``size`` bytes: the whole, or else the share; None where both have."""

    @abstractmethod
    def _full(self) -> str:
        """Return the beginning of the sentence that tells of the limit."""

    def _tell_full(self) -> None:
        """Tell once that the limit is reached; again only after half of it has been free."""
        if self._told_full and self.used > self.limit // 2:
            return
        self._told_full = True
        self.whole.tell(f"{self._full()}: messages and echoes that do not fit are no longer kept")


class StateBudget(Budget):
    """The sums over all queues and last echoes, and the bound on them.

    Args:
        limit: Bytes that queued messages and last echoes may take together.
        tell: Told, in a sentence for the operator, when something could not be kept.
        share: Bytes that those of one holder may take; None for as many.
    """

    __slots__ = (
        "_holders",
        "_share",
        "_tell",
        "echoes_refused",
        "echoes_refused_to_holders",
        "messages_dropped",
        "messages_queued",
        "messages_refused",
        "messages_refused_to_holders",
        "messages_too_large",
        "sessions",
        "waiting",
    )

    def __init__(
        self, limit: int = UNLIMITED, tell: Callable[[str], None] | None = None, share: int | None = None
    ) -> None:
        super().__init__(limit)
        self._tell = tell
        self._share = limit if share is None else share
        # Most budgets that are made, those of single logs, are never asked for one.
        self._holders: WeakValueDictionary[str, HolderBudget] | None = None
        self.sessions = 0
        """Bytes of the sessions themselves, which MCP_ECHO_MAX_SESSIONS bounds and this limit does not."""
        self.waiting = 0
        """Messages in all queues that no connection has taken yet."""
        self.messages_queued = 0
        """Messages that were ever put in a queue."""
        self.messages_dropped = 0
        """Messages lost before any connection had taken them, for whichever reason."""
        self.messages_refused = 0
        """Messages lost because the limit left no room to keep them."""
        self.messages_refused_to_holders = 0
        """Messages lost because the share of their holder left no room to keep them."""
        self.messages_too_large = 0
        """Messages lost because each was larger than a whole queue may be."""
        self.echoes_refused = 0
        """Echoes not kept for replay because the limit was reached."""
        self.echoes_refused_to_holders = 0
        """Echoes not kept for replay because the share of their holder was full."""

    @property
    def whole(self) -> StateBudget:
        """The sums over everything: these."""
        return self

    def of(self, holder: str | None) -> Budget:
        """Return where to count what a holder has; the same one for as long as anything refers to it.

        Args:
            holder: Whose it is; None for nobody known, who has no share.
        """
        if holder is None:
            return self
        if self._holders is None:
            self._holders = WeakValueDictionary()
        budget = self._holders.get(holder)
        if budget is None:
            budget = self._holders[holder] = HolderBudget(self, self._share)
        return budget

    def has_room(self, size: int) -> bool:
        """Return whether ``size`` bytes more stay within the limit; less than 0 says that bytes go, too."""
        return self.queues + self.echoes + size <= self.limit

    def count_queued(self, size: int) -> None:
        """Count ``size`` bytes more of messages; less than 0 says that they go."""
        self.queues += size

    def count_echo(self, size: int) -> None:
        """Count ``size`` bytes more of last echoes; less than 0 says that they go."""
        self.echoes += size

    def refuse_echo(self) -> None:
        """Count an echo that the limit left no room to keep."""
        self.echoes_refused += 1
        self._tell_full()

    def refuse_message(self) -> None:
        """Count a message that the limit left no room to keep."""
        self.messages_refused += 1
        self._tell_full()

    def tell(self, sentence: str) -> None:
        """Tell the operator."""
        if self._tell is not None:
            self._tell(sentence)

    def _lacking(self, size: int) -> Budget | None:
        return None if self.has_room(size) else self

    def _full(self) -> str:
        return f"Sessions hold {self.used} of the {self.limit} bytes that MCP_ECHO_MAX_STATE_BYTES allows"


class HolderBudget(Budget):
    """What one holder has of the whole; gone with the last session or queue that counts in it.

    Args:
        whole: Counts it as well.
        limit: Bytes that the holder may have.
    """

    __slots__ = ("__weakref__", "_whole")

    def __init__(self, whole: StateBudget, limit: int) -> None:
        super().__init__(limit)
        self._whole = whole

    @property
    def whole(self) -> StateBudget:
        """The sums over everything."""
        return self._whole

    @property
    def left(self) -> int:
        """Bytes that there is room for, in the share and in the whole."""
        return min(super().left, self._whole.left)

    def has_room(self, size: int) -> bool:
        """Return whether ``size`` bytes more stay within the share, and within the limit for all."""
        return self.queues + self.echoes + size <= self.limit and self._whole.has_room(size)

    def count_queued(self, size: int) -> None:
        """Count ``size`` bytes more of messages, here and in the whole."""
        self.queues += size
        self._whole.queues += size

    def count_echo(self, size: int) -> None:
        """Count ``size`` bytes more of last echoes, here and in the whole."""
        self.echoes += size
        self._whole.echoes += size

    def refuse_echo(self) -> None:
        """Count an echo that the share left no room to keep."""
        self._whole.echoes_refused_to_holders += 1
        self._tell_full()

    def refuse_message(self) -> None:
        """Count a message that the share left no room to keep."""
        self._whole.messages_refused_to_holders += 1
        self._tell_full()

    def _lacking(self, size: int) -> Budget | None:
        return self._whole._lacking(size) or (None if self.has_room(size) else self)  # its own kind

    def _full(self) -> str:
        # No line of the log names a principal.
        return (
            f"One client holds {self.used} of the {self.limit} bytes of messages and echoes that "
            "MCP_ECHO_MAX_STATE_BYTES_PER_CLIENT allows it"
        )
