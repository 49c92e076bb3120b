"""The limits on one client where a request may be worked on more than once. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mcp_echo.auth.proxies import Caller
from mcp_echo.sessions.held import Hold
from mcp_echo.sessions.limits import Limits
from mcp_echo.sessions.session import Session
from mcp_echo.settings.table import Settings


class After(Protocol):
    """See `mcp_echo.cluster.store.SharedStore.after`."""

    def __call__(self, effect: Callable[[], object], undo: Callable[[], object] | None = None) -> object: ...


def _at_once(effect: Callable[[], object], undo: Callable[[], object] | None = None) -> object:  # noqa: ARG001
    return effect()


class SharedLimits(Limits):
    """Limits that count a request once, however often it is worked on.

    They hold for each node: rates and requests in flight are not shared.

    Args:
        settings: See `Limits`.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._credit = 0
        self._admitted = 0
        self.after: After = _at_once
        """Does something once what a request has changed is kept, or undoes it if that comes to nothing."""

    def begin_attempt(self, admitted: int) -> None:
        """Begin to work on a request.

        Args:
            admitted: How much earlier attempts were admitted, which is not counted again.
        """
        self._credit, self._admitted = admitted, 0

    def end_attempt(self) -> int:
        """Return how much was admitted since the attempt began."""
        self._credit = 0
        return self._admitted

    def _once(self, admit: Callable[[], None]) -> None:
        if self._credit:
            self._credit -= 1
        else:
            admit()
        self._admitted += 1

    def admit_session(self, address: str, now: float) -> None:
        """Count a session or handle that a client makes; see `Limits.admit_session`."""
        self._once(lambda: super(SharedLimits, self).admit_session(address, now))

    def admit_call(self, session: Session, now: float) -> None:
        """Count a call in a session; see `Limits.admit_call`."""
        self._once(lambda: super(SharedLimits, self).admit_call(session, now))

    def admit_call_from(self, address: str, now: float) -> None:
        """Count a call that belongs to no session; see `Limits.admit_call_from`."""
        self._once(lambda: super(SharedLimits, self).admit_call_from(address, now))

    def hold(self, caller: Caller, size: int, instead: bool = False) -> Hold:
        """Count what a waiting request or an open stream holds; see `Limits.hold`."""
        hold = super().hold(caller, size, instead)
        self.after(lambda: None, hold.release)
        return hold

    def begin(self, principal: str | None, address: str) -> str:
        """Count a request that takes its time; see `Limits.begin`."""
        owner = self.owner(principal, address)
        self.after(lambda: super(SharedLimits, self).begin(principal, address))
        return owner
