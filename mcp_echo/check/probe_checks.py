"""What is looked at in events that say when they were written: ``GET …/probe/stream`` of a trace. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from mcp_echo.check.check import Check, broken, held
from mcp_echo.check.stream_checks import CHECKS as STREAM_CHECKS
from mcp_echo.check.stream_checks import compressed_in, late_in
from mcp_echo.check.wire import HttpAnswer
from mcp_echo.watch.clumps import Timed, clumps, is_enough
from mcp_echo.watch.rules.rule import Outcome

_SHOWN = 10
"""Events whose times are told."""


@dataclass(kw_only=True, slots=True)
class Probed:
    """What was seen of one such stream."""

    stream: HttpAnswer
    wanted: int
    """How many events there are to be, as they say themselves; 0 where none has come."""
    times: list[Timed]
    """When each event was written, in seconds since the first one, and when it came, since the request."""


def _buffered(seen: Probed) -> Outcome | None:
    """Pass each event on as it comes."""
    found = max(clumps(seen.times), key=lambda clump: clump.events, default=None)
    if found is None:
        return held(seen.stream) if is_enough(seen.times) else None
    came = f"{found.events} events within {found.arrived * 1000:.0f} ms"
    summary = (
        f"{came}, after {found.at:.2f} s, which were written over {found.written:.2f} s: they were held back"
    )
    return broken(seen.stream, summary, came, f"about {found.written * 1000:.0f} ms")


def _compressed(seen: Probed) -> Outcome | None:
    """Leave event streams as they are."""
    return compressed_in([seen.stream])


def _head_late(seen: Probed) -> Outcome | None:
    """Send the head of a stream at once."""
    return late_in(seen.stream)


def _cut(seen: Probed) -> Outcome | None:
    """Leave a silent stream open until its last event has come."""
    if not seen.wanted:
        return None
    if len(seen.times) >= seen.wanted:
        return held(seen.stream)
    ended = seen.stream.ended
    came = f"{len(seen.times)} of {seen.wanted} events came"
    if ended is None:
        return broken(seen.stream, f"{came}, and then nothing more", came, f"{seen.wanted} events")
    quiet = ended - max((at for at, _ in seen.stream.pieces), default=0.0)
    summary = f"The stream ended after {ended:.1f} s, {quiet:.1f} s after the last byte: {came}"
    return broken(seen.stream, summary, f"cut after {quiet:.1f} s of silence", f"{seen.wanted} events")


def _cadence(seen: Probed) -> Outcome | None:
    """Tell of the times at which events were written, and came."""
    if not seen.times:
        return None
    shown = seen.times[:_SHOWN]
    written = ", ".join(f"{each.written * 1000:.0f}" for each in shown)
    came = ", ".join(f"{each.arrived * 1000:.0f}" for each in shown)
    return broken(seen.stream, f"Events written after {written} ms came after {came} ms", came, written)


_ROWS = {each.id: each for each in STREAM_CHECKS}
_JUDGES = {
    "stream-buffered": _buffered,
    "stream-compressed": _compressed,
    "stream-head-late": _head_late,
    "stream-cut-idle": _cut,
    "stream-cadence": _cadence,
}


def _check(name: str) -> Check[Probed]:
    row = _ROWS[name]
    return Check(
        id=row.id, level=row.level, title=row.title, advice=row.advice, url=row.url, judge=_JUDGES[name]
    )


CHECKS: tuple[Check[Probed], ...] = tuple(map(_check, _JUDGES))
"""As of ``--stream``, and sure: the events say when they were written."""
