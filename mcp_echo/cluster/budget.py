"""What sessions that an engine keeps hold, counted by the engine. No I/O."""

from __future__ import annotations

from collections.abc import Callable

from mcp_echo.cluster.engine import Engine
from mcp_echo.sessions.budget import StateBudget


class SharedBudget(StateBudget):
    """What this node holds of its own, and what all sessions hold together.

    Args:
        limit: Bytes that queued messages and last echoes may take together.
        engine: Knows the sums.
        tell: Told, in a sentence for the operator, when something could not be kept.
        share: Bytes that what one holder has on this node alone may take; None for as many.
    """

    __slots__ = ("_engine",)

    def __init__(
        self,
        limit: int,
        engine: Engine,
        tell: Callable[[str], None] | None = None,
        share: int | None = None,
    ) -> None:
        super().__init__(limit, tell, share)
        self._engine = engine

    @property
    def kept(self) -> int:
        """Bytes of messages and echoes that the engine keeps."""
        held = self._engine.totals.held
        return held.queued + held.echoed

    @property
    def used(self) -> int:
        """Bytes that count against the limit."""
        return super().used + self.kept

    def has_room(self, size: int) -> bool:
        """Return whether ``size`` bytes more stay within the limit; less than 0 says that bytes go, too."""
        held = self._engine.totals.held
        return self.queues + self.echoes + held.queued + held.echoed + size <= self.limit
