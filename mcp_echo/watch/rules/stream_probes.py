"""What probes of event streams show, and streams that are cut while nothing happens on them. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from mcp_echo.watch.clumps import Timed, clumps, is_enough
from mcp_echo.watch.records import ProbeRecord, StreamRecord
from mcp_echo.watch.rules.over_time import OverTime, seconds
from mcp_echo.watch.rules.pages import R2026_07_28, address
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule

TIMES = 3
"""Streams that are cut after equal silence, from which on something cuts them."""

EQUAL = 0.02
"""Share of the silence by which equal ones may differ."""

LEAST = 5.0
"""Seconds of silence below which a client is more likely to have closed its own stream."""


class StreamCutIdle(OverTime):
    """A stream is closed from the other end because nothing happens on it."""

    def __init__(self) -> None:
        self._silent: deque[float] = deque(maxlen=TIMES)

    def stream(self, record: StreamRecord) -> Iterator[Outcome]:
        """Compare the silence before each end that is not the server's."""
        if record.kind != "close" or record.why != "left" or (record.silent or 0.0) < LEAST:
            return
        self._silent.append(record.silent or 0.0)
        mean = sum(self._silent) / len(self._silent)
        if len(self._silent) == TIMES and all(abs(each - mean) <= EQUAL * mean for each in self._silent):
            self._silent.clear()
            yield _cut(record.number, mean, f"{TIMES} streams one after the other show")

    def probe(self, record: ProbeRecord) -> Iterator[Outcome]:
        """See whether the silence of a probe was outlived."""
        if record.cut is not None:
            yield _cut(record.number, record.cut, "a probe shows")
        elif record.silence:
            yield Held(record.number)


def _cut(number: int, silence: float, seen: str) -> Broken:
    return Broken(
        exchange=number,
        summary=f"Something on the way, or the client itself, cuts after {seconds(silence)} of silence, as"
        f" {seen}; a keep-alive below that helps",
        subject="stream",
        found=f"cut after {seconds(silence)}",
        wanted="a stream that lives while it is silent",
        key=str(number),
    )


class StreamBuffered(OverTime):
    """Something on the way collects events before it passes them on."""

    def probe(self, record: ProbeRecord) -> Iterable[Outcome]:
        """Compare when events were answered with when they were written."""
        pairs = zip(record.written, record.answered, strict=False)
        times = [Timed(written, answered) for written, answered in pairs if answered is not None]
        found = max(clumps(times), key=lambda clump: clump.events, default=None)
        if found is None:
            return (Held(record.number),) if is_enough(times) else ()
        written, arrived = seconds(found.written), seconds(found.arrived)
        return (
            Broken(
                exchange=record.number,
                summary=f"{found.events} events written over {written} arrived together after"
                f" {seconds(found.at)}: {record.hop or 'something on the way'} collects them",
                subject="stream",
                found=f"{found.events} events within {arrived}",
                wanted=f"about {written} from the first of them to the last",
                key=str(record.number),
            ),
        )


ROWS = (
    Rule(
        id="stream-cut-idle",
        level="warning",
        title="A stream that is silent for a while lives on.",
        advice="Raise the limit on silence of the gateway that cuts (nginx: proxy_read_timeout; haproxy:"
        " timeout server and timeout client), or set MCP_ECHO_KEEPALIVE_INTERVAL below it.",
        confidence="likely",
        begin=StreamCutIdle,
    ),
    Rule(
        id="stream-buffered",
        level="error",
        title="Each event of a stream is passed on as it comes.",
        advice="Switch buffering off for event streams in the gateway (nginx: proxy_buffering off), and have"
        " it obey X-Accel-Buffering; leave compression of text/event-stream away.",
        confidence="likely",
        url=address(R2026_07_28, "basic/transports/streamable-http#receiving-messages"),
        begin=StreamBuffered,
    ),
)
"""The rules of this module."""
