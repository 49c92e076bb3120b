"""Probes of event streams as they go on: what is written when, and when that is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from mcp_echo.tools.base import Call, SentPing
from mcp_echo.tools.probed import ProbedStream, ProbeWishes, Verdict, in_ms, told
from mcp_echo.watch.clumps import Timed, clumps, is_enough
from mcp_echo.watch.seen import ProbedWay, ProbeEvent

PUSH_BYTES = 64 * 1024
"""What is written after events that nobody has answered: a gateway that collects passes a full buffer on."""

SHORTEST_CUT = 1.0
"""Seconds of silence from which on an end is taken for a cut."""

_LOOK = 0.05
"""Seconds between two looks at what has come."""

_WAYS: dict[str, ProbedWay] = {"the stream of a GET": "get", "the session's one stream": "get"}
"""Name of a stream → what records call it, where it is not the call's own."""


class Probe:
    """One probe as it goes on.

    Args:
        call: The call that asks for it.
        wishes: What it asks for.
    """

    def __init__(self, call: Call, wishes: ProbeWishes) -> None:
        self.notes: list[str] = []
        self.silence = 0.0
        """Seconds of silence that the stream has outlived."""
        self.has_own_stream = True
        """Whether the events come on the stream of the call, which alone can be silent."""
        self.cut: float | None = None
        """Seconds of silence after which the stream of the call was closed from the other end."""
        self.written: list[float] = []
        """When each event was written; seconds of the steady clock."""
        self._wishes = wishes
        self._call = call
        self._now = call.context.now
        self._sleep = call.back_channel.sleep

    def note(self, sentence: str) -> None:
        """Have something told, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    @property
    def has_left(self) -> bool:
        """Whether the stream of the call was closed from the other end."""
        return self._call.request.seen.left is not None

    async def write(self, event: Callable[[int], object]) -> None:
        """Write the events, each at its time, for as long as the stream is open.

        Args:
            event: Writes one; is given its number, from 1.
        """
        wishes, begun = self._wishes, self._now()
        for number in range(1, wishes.events + 1):
            due = begun + wishes.when(number)
            is_silent = number == wishes.events and wishes.silence > 0
            if is_silent and self.has_own_stream:
                await self._be_silent(due)
            else:
                await self._until(due, self._sleep)
            if is_silent and not self.has_own_stream:
                self.note("Other streams than that of the call may have carried something in the silence")
            if self.has_left:
                self.note(f"The stream was closed from the other end before event {number}")
                return
            event(number)
            self.written.append(self._now())

    async def _be_silent(self, until: float) -> None:
        begun = self.written[-1]
        try:
            await self._until(until, self._call.back_channel.silence)
        finally:
            # A modern client that leaves cancels the call, in the midst of the wait.
            left = self._call.request.seen.left
            if left is not None and left - begun >= SHORTEST_CUT:
                self.cut = round(left - begun, 3)
        if left is None:
            self.silence = round(self._now() - begun, 3)
            self.note(f"The stream has outlived {self.silence:g} s of silence")

    async def _until(self, at: float, wait: Callable[[float], Awaitable[None]]) -> None:
        while not self.has_left and (seconds := at - self._now()) > 0:
            await wait(min(seconds, _LOOK))

    async def are_answered(self, pings: Sequence[SentPing], seconds: float) -> bool:
        """Wait until pings are answered, or their time is over; return whether all are."""
        until = self._now() + seconds
        while not all(each.answered is not None for each in pings) and self._now() < until:
            await self._sleep(_LOOK)
        return all(each.answered is not None for each in pings)

    def tell(self, way: ProbedWay, written: Sequence[float], answered: Sequence[float | None] = ()) -> None:
        """Have it recorded what came of a stream.

        Args:
            way: Which one it is.
            written: When its events were written; seconds of the steady clock.
            answered: When they were answered, in the same.
        """
        call, own = self._call, way == "post"
        seen, begun = call.request.seen, written[0]
        event = ProbeEvent(
            at=self._now(),
            trace=seen.trace,
            way=way,
            written=tuple(each - begun for each in written),
            answered=tuple(None if each is None else each - begun for each in answered),
            silence=self.silence if own else 0.0,
            cut=self.cut if own else None,
            session=None if call.session is None else call.session.id,
            head=seen.head,
        )
        call.effects.then(seen.watch.tell, event)


class Pinged:
    """The pings of one probe on one stream.

    Args:
        call: The call that asks for it.
        name: The name of the stream.
    """

    def __init__(self, call: Call, name: str) -> None:
        self.name = name
        self.way: ProbedWay = _WAYS.get(name, "post")
        self.pings: list[SentPing] = []
        self._send = call.back_channel.send_ping
        self._pushing: list[SentPing] = []

    def send(self, padding: int) -> None:
        """Send a ping.

        Raises:
            AskError: The stream has not taken it.
        """
        self.pings.append(self._send(self.name, "x" * padding))

    def push(self) -> None:
        """Send one that is large enough to make a gateway pass on what it has collected.

        Raises:
            AskError: The stream has not taken it.
        """
        self._pushing.append(self._send(self.name, "x" * PUSH_BYTES))

    @property
    def is_answered(self) -> bool:
        """Whether all of them are answered."""
        return all(each.answered is not None for each in self.pings)

    def tell(self, probe: Probe) -> None:
        """Have what came of them recorded."""
        if self.pings:
            probe.tell(
                self.way, [each.written for each in self.pings], [each.answered for each in self.pings]
            )

    def drop(self) -> None:
        """Take no more answers."""
        for each in (*self.pings, *self._pushing):
            each.drop()

    def seen(self, probe: Probe) -> ProbedStream:
        """Return what is known of them by now, and have the probe note what came together."""
        begun = self.pings[0].written if self.pings else 0.0
        times = [
            Timed(each.written - begun, each.answered - begun)
            for each in self.pings
            if each.answered is not None
        ]
        found = clumps(times)
        for each in found:
            probe.note(told(each, self.name))
        verdict: Verdict = "prompt" if is_enough(times) else "answered"
        if probe.cut is not None and self.way == "post":
            verdict = "cut-idle"
        elif found:
            verdict = "buffered"
        elif not self.is_answered:
            verdict = "unanswered"
        return ProbedStream(self.name, verdict, [_event(each, begun) for each in self.pings])


def _event(ping: SentPing, begun: float) -> list[float]:
    times = [ping.written - begun]
    if ping.answered is not None:
        times += [ping.answered - begun, ping.answered - ping.written]
    return [in_ms(each) for each in times]
