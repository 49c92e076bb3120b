"""How much one client may ask for: rates, and work that goes on at the same time. No I/O.

What is refused is counted by reason.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import cast

from mcp_echo.auth.networks import network_of
from mcp_echo.auth.proxies import Caller
from mcp_echo.protocol.errors import CallsTooFast, McpError, SessionsTooFast, TooManyStreams, TooMuchInFlight
from mcp_echo.sessions.effects import AT_ONCE, Effects
from mcp_echo.sessions.held import HeldBytes, Hold
from mcp_echo.sessions.session import Session
from mcp_echo.settings.table import Settings

MAX_ADDRESSES = 10_000
"""Addresses whose rates are remembered; the one that was quiet for longest is forgotten for one more."""

SESSION_BURST = 20
"""Seconds' worth of sessions that may be made at once after a quiet time."""

CALL_BURST = 10
"""Seconds' worth of calls that may come at once after a quiet time."""

CLIENTS_AT_AN_ADDRESS = 16
"""Clients that may share an address where nothing tells them apart: behind a NAT, or in one gateway."""


class Rate:
    """A token bucket, kept as the one number that says when it is full again.

    The number is the theoretical arrival time of the generic cell rate algorithm (ITU-T I.371): each admitted
    call moves it on by the time between two calls, and a call is refused while it is too far ahead of now.

    Args:
        per_second: How many calls a second are admitted in the long run; 0 for any number.
        burst: Seconds' worth of calls that are admitted at once after a quiet time.
    """

    __slots__ = ("interval", "per_second", "tolerance")

    def __init__(self, per_second: int, burst: int) -> None:
        self.per_second = per_second
        self.interval = 1 / per_second if per_second else 0.0
        """Seconds between two calls at the full rate; 0 for no limit."""
        self.tolerance = burst - self.interval
        """Seconds that the number may be ahead of a call that is still admitted."""

    def seconds_until(self, due: float, now: float) -> int:
        """Return the whole seconds, 1 at least, until a call that is refused now would be admitted."""
        return max(1, math.ceil(due - self.tolerance - now))


class AddressRates:
    """The rate of each client address, as far as it is worth remembering.

    Args:
        rate: The rate that each may have.
        most: Addresses remembered at once.
    """

    def __init__(self, rate: Rate, most: int = MAX_ADDRESSES) -> None:
        self._rate = rate
        self._most = most
        # By last use, so that who was quiet for longest is at the front.
        self._due: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._due)

    def seconds_until(self, address: str, now: float, more: int = 0) -> int:
        """Return how long a call has to wait.

        Args:
            address: The client's address; the /64 that an IPv6 subscriber has counts as one.
            now: Seconds of the steady clock.
            more: Calls of the same request that are admitted and have yet to be counted.

        Returns:
            0 if it may come now, else the whole seconds, 1 at least, until one may.
        """
        due = self._due.get(network_of(address), now)
        if more:
            due = max(due, now) + more * self._rate.interval
        return self._rate.seconds_until(due, now) if due - now > self._rate.tolerance else 0

    def count(self, address: str, now: float) -> None:
        """Count a call."""
        key = network_of(address)
        self._due[key] = max(self._due.get(key, now), now) + self._rate.interval
        self._due.move_to_end(key)
        self._forget(now)

    def _forget(self, now: float) -> None:
        """Forget an address whose bucket is full again, or one too many; each call adds one at most."""
        for _ in range(2):
            oldest = next(iter(self._due))
            if self._due[oldest] > now and len(self._due) <= self._most:
                return
            del self._due[oldest]


def holder_of(principal: str | None, address: str | None) -> str | None:
    """Return the name of who has a share of what there is, which nobody else has; None if it is nobody known.

    Args:
        principal: Who the caller is, or None.
        address: The caller's network address, which counts where no principal is known.
    """
    if principal is not None:
        return f"principal {principal}"
    return None if address is None else f"address {network_of(address)}"


def share_of(configured: int, bound: int) -> int:
    """Return how much of a bound one holder may have.

    Args:
        configured: The setting; 0 for half of the bound, rounded up.
        bound: What there may be in all.
    """
    return configured or (bound + 1) // 2


@dataclass(slots=True)
class RefusalCounts:
    """How often each limit has refused something since the server started."""

    sessions_too_fast: int = 0
    calls_too_fast: int = 0
    in_flight: int = 0
    streams: int = 0

    def count(self, limit: str) -> None:
        """Count a refusal by the limit of this name."""
        setattr(self, limit, getattr(self, limit) + 1)


class Limits:
    """The limits on what one client may ask for.

    Args:
        settings: ``initialize_rate``, ``call_rate``, ``max_requests_in_flight``, ``max_streams_per_session``,
            ``max_held_bytes`` and ``max_held_bytes_per_client``.
    """

    def __init__(self, settings: Settings) -> None:
        self.refused = RefusalCounts()
        self._sessions = Rate(settings.initialize_rate, SESSION_BURST)
        self._calls = Rate(settings.call_rate, CALL_BURST)
        self._sessions_by_address = AddressRates(self._sessions)
        self._calls_from_address = Rate(settings.call_rate * CLIENTS_AT_AN_ADDRESS, CALL_BURST)
        self._calls_by_address = AddressRates(self._calls_from_address)
        self._max_in_flight = settings.max_requests_in_flight
        self._max_streams = settings.max_streams_per_session
        self._in_flight: dict[str, int] = {}
        most = settings.max_held_bytes
        self.held = HeldBytes(most, share_of(settings.max_held_bytes_per_client, most))

    @property
    def limits_calls(self) -> bool:
        """Whether the rate of calls is limited at all."""
        return self._calls.per_second > 0

    def admit_session(self, address: str, now: float, effects: Effects = AT_ONCE) -> None:
        """Count a session or handle that a client makes.

        Args:
            address: The client's.
            now: Seconds of the steady clock.
            effects: Count it, once it is made.

        Raises:
            SessionsTooFast: Its address makes them too fast.
        """
        if not self._sessions.per_second:
            return
        count = self._sessions_by_address.count
        seconds = self._sessions_by_address.seconds_until(address, now, effects.expected(count))
        if seconds:
            effects.then(self.refused.count, "sessions_too_fast")
            raise SessionsTooFast(self._sessions.per_second, seconds)
        effects.then(count, address, now)

    def admit_call(self, session: Session, now: float, effects: Effects = AT_ONCE) -> None:
        """Count a call in a session; see `admit_session`.

        Raises:
            CallsTooFast: They come too fast.
        """
        due = session.calls_due
        if due - now > self._calls.tolerance:
            effects.then(self.refused.count, "calls_too_fast")
            wait = self._calls.seconds_until(due, now)
            raise CallsTooFast(self._calls.per_second, "in this session", wait)
        session.calls_due = (due if due > now else now) + self._calls.interval

    def admit_call_from(self, address: str, now: float, effects: Effects = AT_ONCE) -> None:
        """Count a call that belongs to no session; see `admit_session`.

        An address may be that of several clients, so that it has `CLIENTS_AT_AN_ADDRESS` times as many.

        Raises:
            CallsTooFast: They come too fast from this address.
        """
        count = self._calls_by_address.count
        seconds = self._calls_by_address.seconds_until(address, now, effects.expected(count))
        if seconds:
            effects.then(self.refused.count, "calls_too_fast")
            raise CallsTooFast(self._calls_from_address.per_second, "from your address", seconds)
        effects.then(count, address, now)

    def check_streams(self, session: Session, effects: Effects = AT_ONCE) -> None:
        """Let a session open one more stream to listen.

        Raises:
            TooManyStreams: It has as many as it may.
        """
        if session.log.listeners >= self._max_streams:
            effects.then(self.refused.count, "streams")
            raise TooManyStreams(self._max_streams)

    def check_in_flight(self, session: Session, effects: Effects = AT_ONCE) -> None:
        """Let one more request of a session take its time.

        Args:
            session: The session.
            effects: Count what is refused.

        Raises:
            TooMuchInFlight: As many are being worked on as may be.
        """
        if session.in_flight >= self._max_in_flight:
            effects.then(self.refused.count, "in_flight")
            raise TooMuchInFlight(self._max_in_flight, "of this session")

    def check_in_flight_of(self, principal: str | None, address: str, effects: Effects = AT_ONCE) -> None:
        """Let one more request that belongs to no session take its time.

        Where a principal is known, its requests are bounded as a session's are. An address may be that of
        several clients, so that it has `CLIENTS_AT_AN_ADDRESS` times as many.

        Raises:
            TooMuchInFlight: As many are being worked on as may be.
        """
        most = self._max_in_flight * (CLIENTS_AT_AN_ADDRESS if principal is None else 1)
        if self._in_flight.get(self.owner(principal, address), 0) >= most:
            effects.then(self.refused.count, "in_flight")
            raise TooMuchInFlight(most, "from your address" if principal is None else "of yours")

    def begin(self, principal: str | None, address: str) -> str:
        """Count a request that takes its time; return what `finish` wants."""
        owner = self.owner(principal, address)
        self._in_flight[owner] = self._in_flight.get(owner, 0) + 1
        return owner

    def finish(self, owner: str) -> None:
        """Count a request that is over."""
        left = self._in_flight.pop(owner) - 1
        if left:
            self._in_flight[owner] = left

    def check_hold(self, caller: Caller, size: int, effects: Effects = AT_ONCE) -> None:
        """Let a caller hold some bytes more; see `hold`.

        Raises:
            TooMuchHeldByOne: The caller would have more than its share.
            TooMuchHeld: There would be more than may be.
        """
        try:
            self.held.check(self.owner(caller.principal, caller.address), size)
        except McpError as error:
            effects.then(self.held.count, error)
            raise

    def hold(self, caller: Caller, size: int, instead: bool = False) -> Hold:
        """Count what a waiting request or an open stream of a caller holds; return what lets go of it.

        Args:
            caller: Whose it is.
            size: Bytes.
            instead: Whether it takes the place of something that ends for it.

        Raises:
            TooMuchHeldByOne: The caller would have more than its share.
            TooMuchHeld: There would be more than may be.
        """
        return self.held.hold(self.owner(caller.principal, caller.address), size, instead)

    @staticmethod
    def owner(principal: str | None, address: str) -> str:
        """Return whose a request is that belongs to no session."""
        return cast(str, holder_of(principal, address))
