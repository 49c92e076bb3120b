"""How much memory the state of all clients takes together, counted as it changes. No I/O.

Every queue and every session reports here what it holds, by itself and exactly, so that nobody has to walk
over the sessions to know the sums, and so that one bound holds for all of them together.
"""

from __future__ import annotations

from collections.abc import Callable

UNLIMITED = 1 << 62
"""More bytes than any machine has."""


class StateBudget:
    """The sums over all queues and last echoes, and the bound on them.

    Args:
        limit: Bytes that queued messages and last echoes may take together.
        tell: Told, in a sentence for the operator, when something could not be kept.
    """

    __slots__ = (
        "_tell",
        "_told_full",
        "echoes",
        "echoes_refused",
        "limit",
        "messages_dropped",
        "messages_queued",
        "messages_refused",
        "messages_too_large",
        "queues",
        "sessions",
        "waiting",
    )

    def __init__(self, limit: int = UNLIMITED, tell: Callable[[str], None] | None = None) -> None:
        self.limit = limit
        self._tell = tell
        self._told_full = False
        self.queues = 0
        """Bytes of messages in all queues."""
        self.echoes = 0
        """Bytes of the last echoes of all sessions."""
        self.sessions = 0
        """Bytes of the sessions themselves, which MCP_MAX_SESSIONS bounds and this limit does not."""
        self.waiting = 0
        """Messages in all queues that no connection has taken yet."""
        self.messages_queued = 0
        """Messages that were ever put in a queue."""
        self.messages_dropped = 0
        """Messages lost before any connection had taken them, for whichever reason."""
        self.messages_refused = 0
        """Messages lost because the limit left no room to keep them."""
        self.messages_too_large = 0
        """Messages lost because each was larger than a whole queue may be."""
        self.echoes_refused = 0
        """Echoes not kept for replay because the limit was reached."""

    @property
    def used(self) -> int:
        """Bytes that count against the limit."""
        return self.queues + self.echoes

    def has_room(self, size: int) -> bool:
        """Return whether ``size`` bytes more stay within the limit; less than 0 says that bytes go, too."""
        return self.queues + self.echoes + size <= self.limit

    def keep_echo(self, before: int, size: int) -> bool:
        """Count an echo of ``size`` bytes in place of one of ``before`` bytes.

        Returns:
            Whether it may be kept; if not, the one before is no longer counted either.
        """
        self.echoes -= before
        if self.has_room(size):
            self.echoes += size
            return True
        self.refuse_echo()
        return False

    def refuse_echo(self) -> None:
        """Count an echo that there was no room to keep."""
        self.echoes_refused += 1
        self._tell_full()

    def lose_message(self, size: int, most: int) -> None:
        """Count a message that was neither kept nor delivered.

        Args:
            size: Its bytes.
            most: The bytes that its queue may have.
        """
        if size <= most:
            self.messages_refused += 1
            self._tell_full()
            return
        self.messages_too_large += 1
        if self._tell is not None:
            self._tell(
                f"A message of {size} bytes was dropped: nobody was reading, "
                f"and MCP_ECHO_MAX_QUEUE_BYTES allows a queue {most} bytes"
            )

    def _tell_full(self) -> None:
        """Tell once that the limit is reached; again only after half of it has been free."""
        if self._told_full and self.used > self.limit // 2:
            return
        self._told_full = True
        if self._tell is not None:
            self._tell(
                f"Sessions hold {self.used} of the {self.limit} bytes that MCP_ECHO_MAX_STATE_BYTES allows: "
                "messages and echoes that do not fit are no longer kept"
            )
