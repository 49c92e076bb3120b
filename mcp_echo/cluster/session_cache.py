"""The copies of sessions that one node has, and whose turn it is to change one. No I/O."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol

from mcp_echo.cluster.cached_session import CachedSession

CACHE_BYTES = 64 * 1024 * 1024
"""Memory that copies of sessions take on which nothing here depends; the one used least recently goes."""

_LOOKS = 16
"""Copies that are looked at, for one more, for some that can go."""

_COPY_BYTES = 3000
"""Memory of a copy without messages and echo, about."""


class Waits(Protocol):
    """Ways to wait."""

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Let time pass."""

    def promise(self, seconds: float | None) -> Any:
        """Return a promise; see `mcp_echo.eras.exchange.Promise`."""


class SessionCache:
    """The copies of one node, by their id; changed by one at a time.

    Args:
        promise: Returns a promise.
    """

    def __init__(self, promise: Callable[[None], Any]) -> None:
        self._promise = promise
        self._replicas: OrderedDict[str, CachedSession] = OrderedDict()
        self._bytes = 0
        self._turns: deque[Any] = deque()
        self._giving_turns = False

    def __iter__(self) -> Iterator[CachedSession]:
        # A copy: what is done with one may end it.
        return iter(list(self._replicas.values()))

    def get(self, session_id: str) -> CachedSession | None:
        """Return the copy of a session, if there is one."""
        return self._replicas.get(session_id)

    def use(self, session_id: str) -> CachedSession | None:
        """Return the copy of a session, if there is one, and note that it is used."""
        cached = self._replicas.get(session_id)
        if cached is not None:
            self._replicas.move_to_end(session_id)
        return cached

    def has(self, cached: CachedSession) -> bool:
        """Return whether this very copy is the one of its session."""
        return self._replicas.get(cached.id) is cached

    def count(self, cached: CachedSession) -> None:
        """Count anew what a copy takes, which has changed."""
        if self._replicas.get(cached.id) is cached:
            before, held = cached.cache_bytes, cached.held
            cached.cache_bytes = _COPY_BYTES + held.queued + held.echoed
            self._bytes += cached.cache_bytes - before

    def remember(self, cached: CachedSession) -> None:
        """Keep a copy, and let go of others for it that nothing depends on."""
        self._replicas[cached.id] = cached
        self.count(cached)
        for _ in range(_LOOKS):
            oldest = next(iter(self._replicas.values()))
            if self._bytes <= CACHE_BYTES or oldest is cached:
                break
            if oldest.needed:
                self._replicas.move_to_end(oldest.id)
            else:
                self.forget(oldest)

    def forget(self, cached: CachedSession) -> None:
        """Let go of a copy."""
        if self.has(cached):
            del self._replicas[cached.id]
            self._bytes -= cached.cache_bytes
            cached.cache_bytes = 0

    def take(self, session_id: str) -> CachedSession | None:
        """Return a session for oneself, if that takes no waiting."""
        cached = self._replicas.get(session_id)
        if cached is None or cached.busy:
            return None
        self._replicas.move_to_end(session_id)
        cached.busy = True
        return cached

    async def lock(self, cached: CachedSession) -> None:
        """Have a session for oneself, in turn."""
        if cached.busy:
            turn = self._promise(None)
            cached.waiting.append(turn)
            try:
                await turn
            except BaseException:
                # Cancelled: nobody must wait for one that has gone.
                if turn in cached.waiting:
                    cached.waiting.remove(turn)
                else:
                    self.unlock(cached)
                raise
        cached.busy = True

    def unlock(self, cached: CachedSession) -> None:
        """Let the next one have it."""
        if not cached.waiting:
            cached.busy = False
            return
        # It stays busy: the next one has it.
        self._turns.append(cached.waiting.popleft())
        if self._giving_turns:
            return
        # One after the other: where all are refused at once, one inside the other would go too deep.
        self._giving_turns = True
        try:
            while self._turns:
                self._turns.popleft().keep(None)
        finally:
            self._giving_turns = False
