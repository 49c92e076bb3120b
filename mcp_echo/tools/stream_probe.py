"""streamProbe: the server writes events at known times, and tells how they were answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mcp_echo.protocol.progress import WrongToken
from mcp_echo.tools.base import Answer, AskError, Call, Tool, ToolError
from mcp_echo.tools.probed import (
    WORST,
    ProbedStream,
    ProbeWishes,
    StreamProbeResult,
    Verdict,
    as_text,
    in_ms,
    lags,
)
from mcp_echo.tools.probing import PUSH_BYTES, Pinged, Probe

WAIT = 3.0
"""Seconds that answers have after the last event, and once more after what pushes it."""

LATE = 6.0
"""Seconds after the end of the stream in which answers still count: some hops pass all of it on only then."""

_ELSEWHERE = (
    "Whoever receives events can time them: open GET /t/{trace}/probe/stream of a trace the same way, with"
    " curl -N or mcp-echo check --stream"
)


async def stream_probe(call: Call, wishes: ProbeWishes) -> Answer:
    """Write events at known times, and report when they were answered."""
    problem = wishes.problem()
    if problem is not None:
        raise ToolError(problem)
    hold = call.context.limits.hold(call.caller(), wishes.events * wishes.bytes + PUSH_BYTES)
    try:
        return await (_told if call.revision.stateless else _pinged)(call, wishes)
    finally:
        hold.release()


async def _pinged(call: Call, wishes: ProbeWishes) -> Answer:
    """Probe with pings, which every client answers: the legacy era has them."""
    probe = Probe(call, wishes)
    streams = [Pinged(call, name) for name in call.back_channel.ways()]
    if not streams:
        return _not_sent(probe, f"{call.back_channel.obstacle}, and no stream of a GET is open")
    probe.has_own_stream = any(each.way == "post" for each in streams)

    def event(_number: int) -> None:
        for stream in streams:
            _try(probe, stream.send, wishes.bytes)

    try:
        await probe.write(event)
        await _wait(probe, streams)
    except BaseException:
        _over(streams)
        raise
    seen = [each.seen(probe) for each in streams]
    if all(each.is_answered for each in streams) or probe.has_left:
        _tell(probe, streams)
    else:
        probe.note("What is answered after the end of the stream is told in the trace's report alone")
        call.context.spawn(_late(probe, streams))
    return _answer(probe, seen)


async def _wait(probe: Probe, streams: Sequence[Pinged]) -> None:
    """Wait for answers, and try what comes of events that nobody has answered when more is written."""
    pings = [each for stream in streams for each in stream.pings]
    if probe.has_left or await probe.are_answered(pings, WAIT):
        return
    for stream in streams:
        if not stream.is_answered:
            probe.note(f"{PUSH_BYTES >> 10} KiB more were written, to push out what may be collected")
            _try(probe, stream.push)
    await probe.are_answered(pings, WAIT)


async def _late(probe: Probe, streams: Sequence[Pinged]) -> None:
    """Wait for what is answered only after the stream has ended."""
    try:
        await probe.are_answered([each for stream in streams for each in stream.pings], LATE)
    finally:
        _tell(probe, streams)


def _tell(probe: Probe, streams: Sequence[Pinged]) -> None:
    for stream in streams:
        stream.tell(probe)
    _over(streams)


def _over(streams: Sequence[Pinged]) -> None:
    for stream in streams:
        stream.drop()


def _try(probe: Probe, send: Callable[..., None], *arguments: int) -> None:
    """Send something, or note why that cannot be."""
    try:
        send(*arguments)
    except AskError as error:
        probe.note(str(error))


async def _told(call: Call, wishes: ProbeWishes) -> Answer:
    """Probe with news of progress, which nobody acknowledges: the modern era has no pings."""
    probe, obstacle = Probe(call, wishes), call.back_channel.obstacle
    token = call.progress_token
    if obstacle is None and not isinstance(token, int | str):
        wrong = f"The request's {token.reason}" if isinstance(token, WrongToken) else None
        obstacle = wrong or "The request has no progressToken in its _meta"
    if obstacle is not None:
        return _not_sent(probe, obstacle)
    probe.note("Nothing acknowledges news of progress: compare when they arrive with when they were written")
    probe.note(_ELSEWHERE)

    def event(number: int) -> None:
        if not call.progress(number, wishes.events, "x" * wishes.bytes or None):
            probe.note(f"The stream had no room for event {number}")

    try:
        await probe.write(event)
    finally:
        # A client that leaves cancels the call.
        if probe.written:
            probe.tell("post", probe.written)
    events = [[in_ms(each - probe.written[0])] for each in probe.written]
    return _answer(probe, [ProbedStream("the stream of this POST", "unacknowledged", events)])


def _not_sent(probe: Probe, why: str) -> Answer:
    probe.note(why)
    probe.note(_ELSEWHERE)
    return _answer(probe, [])


def _answer(probe: Probe, streams: list[ProbedStream]) -> Answer:
    said = {stream.verdict for stream in streams}
    verdict: Verdict = next((each for each in WORST if each in said), "not-sent")
    for each in streams[1:]:
        probe.note(lags(each))
    events = streams[0].events if streams else []
    result = StreamProbeResult(verdict, events, probe.cut, probe.notes)
    return Answer(as_text(result, verdict, streams), result)


STREAM_PROBE = Tool(
    name="streamProbe",
    title="Stream probe",
    description=("Return when events were answered. Call it to see whether a gateway holds or cuts streams."),
    arguments=ProbeWishes,
    result=StreamProbeResult,
    run=stream_probe,
    idempotent=False,
    open_world=True,
)
