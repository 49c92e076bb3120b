"""What streamProbe takes and answers, and how its answer reads. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from mcp_echo.watch.clumps import Clump

LONGEST = 165.0
"""Seconds over which events may be written; with the waits after them a probe takes 180 at most."""

MOST_BYTES = 256 * 1024
"""Bytes that all events of a probe may be padded with together."""

Verdict = Literal["prompt", "buffered", "cut-idle", "unanswered", "answered", "unacknowledged", "not-sent"]


class ProbeWishes(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What streamProbe takes."""

    events: Annotated[Annotated[int, Meta(ge=1, le=50)], Meta(description="How many.")] = 5
    every: Annotated[Annotated[float, Meta(ge=0.05, le=30)], Meta(description="Seconds apart.")] = 0.3
    bytes: Annotated[Annotated[int, Meta(ge=0, le=16384)], Meta(description="Padding.")] = 0
    silence: Annotated[
        Annotated[float, Meta(ge=0, le=120)],
        Meta(description="Seconds of silence."),
    ] = 0

    def problem(self) -> str | None:
        """Return what is wrong with them together, as a sentence; None where nothing is."""
        if self.silence and self.events < 2:
            return "Silence comes before the last event, so that it takes 2 events at least"
        seconds = self.when(self.events)
        if seconds > LONGEST:
            return (
                f"The last event would be written after {seconds:g} s: at most {LONGEST:g} s are possible, so"
                " take fewer events, a shorter time between them or less silence"
            )
        if self.events * self.bytes > MOST_BYTES:
            return (
                f"The events would have {self.events * self.bytes} bytes: at most {MOST_BYTES} are possible"
            )
        return None

    def when(self, number: int) -> float:
        """Return when an event is written, in seconds since the first one.

        Args:
            number: Counted from 1.
        """
        regular = (number - 1) * self.every
        if number < self.events or not self.silence:
            return regular
        return (number - 2) * self.every + self.silence


class ProbedStream(NamedTuple):
    """What was seen of one stream."""

    name: str
    verdict: Verdict
    events: list[list[float]]
    """When each was written and answered, and how long that took: milliseconds since the first was written.
    One without an answer has the first number alone."""


class StreamProbeResult(msgspec.Struct, rename="camel", omit_defaults=True):
    """What streamProbe answers."""

    verdict: str
    events: list[list[float]] = []
    """Of the call's stream, if it has one; see `ProbedStream.events`."""
    cut_after: float | None = None
    """Seconds of silence after which the stream was closed from the other end."""
    notes: list[str] = []
    """What else is to be said, and of which other stream."""


_TOLD: dict[Verdict, str] = {
    "prompt": "✅ prompt: each event arrives as it is written",
    "buffered": "❌ buffered: events that were written apart arrive together",
    "cut-idle": "❌ cut-idle: the stream was closed from the other end because nothing was written",
    "unanswered": "❌ unanswered: not every event was answered while the stream was open",
    "answered": "❔ answered: too few events, or too close to each other, to tell whether they are collected",
    "unacknowledged": "❔ unacknowledged: nothing acknowledges these events",
    "not-sent": "❌ not-sent: there is no stream for the events, so none was written",
}

WORST: tuple[Verdict, ...] = ("cut-idle", "buffered", "unanswered", "unacknowledged", "answered", "prompt")
"""From the one that is told first, of several streams."""


def as_text(result: StreamProbeResult, verdict: Verdict, streams: Iterable[ProbedStream]) -> str:
    """Return the answer for people."""
    lines = ["📡 Stream Probe"]
    for stream in streams:
        lines += ["", f"On {stream.name} ({stream.verdict}), in ms since the first event:"]
        lines += [f"- Event {number}: {_shown(each)}" for number, each in enumerate(stream.events, 1)]
    lines.append("")
    if result.cut_after is not None:
        lines.append(f"- Cut: after {result.cut_after:g} s of silence")
    lines += [f"- Note: {note}" for note in result.notes]
    return "\n".join([*lines, "", f"Verdict: {_TOLD[verdict]}"])


def _shown(event: list[float]) -> str:
    if len(event) == 1:
        return f"written {event[0]:.0f}, no answer"
    written, answered, lag = event
    return f"written {written:.0f}, answered {answered:.0f}, lag {lag:.0f}"


def in_ms(seconds: float) -> float:
    """Return a span of time in milliseconds, as it is shown."""
    return round(seconds * 1000, 1)


def told(clump: Clump, stream: str) -> str:
    """Return for people what came together on a stream; events are counted from 1."""
    first, last = clump.first + 1, clump.first + clump.events
    return (
        f"Events {first} to {last} on {stream}, written over {clump.written * 1000:.0f} ms,"
        f" were answered within {clump.arrived * 1000:.0f} ms"
    )


def lags(stream: ProbedStream) -> str:
    """Return for people how long the answers on a stream took."""
    shown = ", ".join(f"{event[2]:.0f}" if len(event) > 1 else "-" for event in stream.events)
    return f"On {stream.name} ({stream.verdict}) the answers took, in ms: {shown}"
