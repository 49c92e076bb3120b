"""How long a stream may stay open that was opened with an access token.

Tokens are validated with each request (RFC 6750 section 3.1), and a stream that was opened with a good one
may go on for days. A resource server must not serve an expired token, so such a stream ends with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from mcp_echo.watch.seen import Ending
from mcp_echo.watch.traces import Trace


class Lease(Protocol):
    """What a stream is allowed by."""

    @property
    def trace(self) -> Trace | None:
        """Where it belongs."""

    def seconds(self) -> float:
        """Return the seconds until it is over at the latest, by the wall clock; infinity for never."""

    def over(self) -> Ending | None:
        """Return why the stream is to be closed now; None while it may stay open."""


class TokenLease(NamedTuple):
    """The token that a stream was opened with.

    Args:
        trace: What it was brought to.
        expires: Seconds since the epoch.
        stands: Returns whether its authorization server takes it still, as far as that is known here.
        wall: The wall clock.
    """

    trace: Trace | None
    expires: float
    stands: Callable[[], bool]
    wall: Callable[[], float]

    def seconds(self) -> float:
        """Return the seconds until it expires."""
        return self.expires - self.wall()

    def over(self) -> Ending | None:
        """Return what has become of the token."""
        if self.seconds() <= 0:
            return "token-expired"
        return None if self.stands() else "token-revoked"
