"""Reads ``GET …/probe/stream`` of a trace, and notes when its events come."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from mcp_echo.check.conversation import Progress
from mcp_echo.check.probe_checks import Probed
from mcp_echo.check.streaming import arrivals_of
from mcp_echo.check.wire import CannotCheck, HttpAnswer, Wire
from mcp_echo.tools.probed import LONGEST
from mcp_echo.watch.clumps import Timed

_PLACE = re.compile(r"/t/[A-Za-z0-9_-]{32}/probe/stream$")

_LONGEST_SILENCE = 120
"""Seconds that may be asked for."""


def is_probe(url: str) -> bool:
    """Return whether an address is that of events that say when they were written."""
    return _PLACE.search(urlsplit(url).path) is not None


async def watch_probe(wire: Wire, url: str, seconds: float, tell: Progress) -> Probed:
    """Return how the events of an address come.

    Args:
        wire: Sends requests.
        url: The address; what its query asks for is kept.
        seconds: How long to have it silent, where it has no query.
        tell: Is told what is done now.

    Raises:
        CannotCheck: There is no such stream.
    """
    if not urlsplit(url).query:
        url = f"{url}?silence={min(seconds, _LONGEST_SILENCE):g}"
    tell("the events of a probe")
    longest = LONGEST + wire.timeout
    fields = (("Accept", "text/event-stream"),)
    # Where something collects all of it, the head comes with the rest.
    answer = await wire.send("GET", url, fields, seconds=longest, patience=longest)
    if answer.status and not answer.is_stream:
        raise CannotCheck(f"the probe was answered with {answer.status}: {_reason(answer)}")
    return probed(answer)


def probed(answer: HttpAnswer) -> Probed:
    """Return what the events of an answer say."""
    told = [each for each in answer.messages if "since" in each]
    times = [
        Timed(float(each["since"]), arrived)
        for each, arrived in zip(told, arrivals_of(answer), strict=False)
        if isinstance(each["since"], int | float)
    ]
    wanted = told[0].get("of", 0) if told else 0
    return Probed(stream=answer, wanted=wanted if isinstance(wanted, int) else 0, times=times)


def _reason(answer: HttpAnswer) -> str:
    error = (answer.document or {}).get("error")
    message = error.get("message") if isinstance(error, dict) else None
    return (
        message
        if isinstance(message, str)
        else f"{len(answer.body)} bytes of {answer.media_type or 'nothing'}"
    )
