"""What is looked at in the way events come. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from mcp_echo.check.check import Check, broken, held
from mcp_echo.check.streaming import Watched
from mcp_echo.check.wire import HttpAnswer
from mcp_echo.watch.rules.pages import R2025_11_25, address, rfc
from mcp_echo.watch.rules.rule import Outcome

_FEWEST = 3
"""Events that are needed to tell whether they came together."""

_SHARE = 0.2
"""Of the time that a call took: events that came within less of it came together."""

_SHORTEST_CALL = 0.5
"""Seconds that a call must take for that."""

_SLOW_HEAD = 2.0
"""Seconds after which a stream's head is late: some gateways hold it back until the first event."""


def buffered(seen: Watched) -> Outcome | None:
    """Pass each event on as it comes."""
    answer, times = seen.call, seen.arrivals
    if answer is None or len(times) < _FEWEST:
        return None
    spread = times[-1] - times[0]
    if seen.step is not None:
        sent = seen.step * (_FEWEST - 1)
    elif times[-1] >= _SHORTEST_CALL:
        sent = 2 * _SHARE * times[-1]
    else:
        return None
    if spread >= sent / 2:
        return held(answer)
    found = f"{len(times)} events within {spread * 1000:.0f} ms"
    summary = f"{found}, after {times[0]:.2f} s of nothing: they were held back and came together"
    return broken(answer, summary, found, f"{sent * 1000:.0f} ms or more")


def cadence(seen: Watched) -> Outcome | None:
    """Tell of the times at which events came."""
    if seen.call is None or not seen.arrivals:
        return None
    times = ", ".join(f"{each * 1000:.0f}" for each in seen.arrivals[:10])
    return broken(seen.call, f"Events came after {times} ms", times)


def not_streamed(seen: Watched) -> Outcome | None:
    """Tell of a call without events."""
    if seen.call is None:
        return broken(seen.idle, "No tool was called: give one that reports its progress with --call")
    if seen.call.is_stream:
        return None
    found = seen.call.media_type or str(seen.call.status or seen.call.error)
    return broken(seen.call, f"The call was answered with {found}, so that no events came", found)


def compressed(seen: Watched) -> Outcome | None:
    """Leave event streams as they are."""
    return compressed_in([each for each in (seen.call, seen.idle) if each is not None])


def compressed_in(answers: Sequence[HttpAnswer]) -> Outcome | None:
    """Return whether event streams among some answers came as they were sent."""
    streams = [each for each in answers if each.is_stream]
    for each in streams:
        encoding = each.value("Content-Encoding")
        if encoding is not None and encoding.lower() != "identity":
            return broken(each, f"An event stream came with Content-Encoding: {encoding}", encoding, "none")
    return held(streams[0]) if streams else None


def offered(seen: Watched) -> Outcome | None:
    """Tell of a server that has no stream of its own."""
    if seen.idle.is_stream:
        return None
    found = str(seen.idle.status or seen.idle.error)
    return broken(seen.idle, f"GET was answered with {found}, so that no silence could be watched", found)


def head_late(seen: Watched) -> Outcome | None:
    """Send the head of a stream at once."""
    return late_in(seen.idle)


def late_in(stream: HttpAnswer) -> Outcome | None:
    """Return whether the head of a stream came at once."""
    if stream.status == 0:
        return broken(stream, f"GET was not answered: {stream.error}", stream.error, "a head at once")
    if not stream.is_stream:
        return None
    if stream.head <= _SLOW_HEAD:
        return held(stream)
    found = f"{stream.head:.1f} s"
    return broken(stream, f"The head of the stream came after {found}", found, f"{_SLOW_HEAD:g} s or less")


def cut(seen: Watched) -> Outcome | None:
    """Leave a silent stream open."""
    if not seen.idle.is_stream:
        return None
    if seen.idle.ended is None:
        return held(seen.idle)
    found = f"{seen.idle.ended:.1f} s"
    quiet = seen.idle.ended - max((at for at, _ in seen.idle.pieces), default=0.0)
    summary = f"The stream ended after {found}, {quiet:.1f} s after the last byte"
    return broken(seen.idle, summary, found, f"{seen.seconds:g} s or more")


def keep_alive(seen: Watched) -> Outcome | None:
    """Tell of what keeps a silent stream alive."""
    if not seen.idle.is_stream:
        return None
    times = [0.0, *(at for at, _ in seen.idle.pieces)]
    last = seen.idle.ended if seen.idle.ended is not None else seen.seconds
    longest = max(later - earlier for earlier, later in pairwise([*times, max(last, times[-1])]))
    found = f"{longest:.1f} s"
    return broken(seen.idle, f"The longest silence on the stream was {found}, of {seen.seconds:g} s", found)


_LISTENING = address(R2025_11_25, "basic/transports#listening-for-messages-from-the-server")
_SENDING = address(R2025_11_25, "basic/transports#sending-messages-to-the-server")

CHECKS: tuple[Check[Watched], ...] = (
    Check(
        id="stream-buffered",
        level="error",
        title="Each event is passed on as it comes.",
        advice="Switch buffering off for event streams (nginx: proxy_buffering off), and compression too.",
        url=_SENDING,
        judge=buffered,
        confidence="likely",
    ),
    Check(
        id="stream-compressed",
        level="warning",
        title="Event streams are not compressed: what compresses waits for more to compress.",
        advice="Leave text/event-stream out of what is compressed (nginx: gzip off).",
        url=rfc(9110, "8.4"),
        judge=compressed,
    ),
    Check(
        id="stream-head-late",
        level="error",
        title="The head of a stream comes at once.",
        advice="Switch buffering off for event streams: clients wait for the head, and give up.",
        url=_LISTENING,
        judge=head_late,
    ),
    Check(
        id="stream-cut-idle",
        level="warning",
        title="A silent stream stays open.",
        advice="Raise the gateway's limit on silence (nginx: proxy_read_timeout), or send keep-alives.",
        url=_LISTENING,
        judge=cut,
        confidence="likely",
    ),
    Check(
        id="stream-keep-alive",
        level="info",
        title="A stream that says something now and then is not cut by limits on silence.",
        advice="Keep the gateway's limit on silence above this.",
        url=_LISTENING,
        judge=keep_alive,
    ),
    Check(
        id="stream-cadence",
        level="info",
        title="The times at which events come show what holds them back.",
        advice="Compare with the times of the direct way.",
        url=_SENDING,
        judge=cadence,
    ),
    Check(
        id="stream-not-seen",
        level="info",
        title="Events can be timed where a call is answered with an event stream.",
        advice="Give a tool that reports its progress with --call 'NAME {arguments}'.",
        url=_SENDING,
        judge=not_streamed,
    ),
    Check(
        id="stream-not-offered",
        level="info",
        title="A server may have no stream of its own.",
        advice="Nothing needs to be done.",
        url=_LISTENING,
        judge=offered,
    ),
)
