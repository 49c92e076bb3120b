"""Watches how events come: one by one or in clumps, compressed or not, and when silence is cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mcp_echo.check.asking import Asking
from mcp_echo.check.conversation import Progress
from mcp_echo.check.wire import CannotCheck, HttpAnswer, Wire

PROBE = "clientProbe"
"""The tool of mcp-echo that sends three events, `PROBE_STEP` apart."""

PROBE_STEP = 0.05
"""Seconds."""

_MOST_PAGES = 5
"""Pages of a list of tools that are asked for."""


@dataclass(kw_only=True, slots=True)
class Watched:
    """What was seen."""

    call: HttpAnswer | None = None
    """The answer to a call that reports its progress; None where there is no tool to call."""
    step: float | None = None
    """Seconds between its events as the server sends them; None where that is not known."""
    idle: HttpAnswer
    """The stream of the session."""
    seconds: float
    """How long that was watched."""
    arrivals: list[float] = field(default_factory=list)
    """Seconds from the request to each event of the call."""


async def watch(
    wire: Wire, url: str, call: tuple[str, dict[str, Any]] | None, seconds: float, tell: Progress
) -> Watched:
    """Return how events come from a server.

    Args:
        wire: Sends requests.
        url: The address of the server.
        call: The name and the arguments of a tool that reports its progress; None for that of mcp-echo.
        seconds: How long to watch a stream on which nothing happens.
        tell: Is told what is done now.

    Raises:
        CannotCheck: The server cannot be reached, or has no ``initialize``.
    """
    asking = Asking(wire, url)
    tell("initialize")
    begun = await asking.initialize()
    if begun.result is None:
        said = begun.error or f"initialize was answered with {begun.status}"
        raise CannotCheck(f"there is no session to watch: {said}")
    await asking.notify("notifications/initialized")
    own = call or await _probe(asking)
    answer = None
    if own is not None:
        tell(f"the events of {own[0]}")
        params = {"name": own[0], "arguments": own[1], "_meta": {"progressToken": "mcp-echo-check"}}
        answer = await asking.ask("tools/call", params, seconds=max(seconds, wire.timeout))
    tell(f"silence, for {seconds:g} s")
    idle = await asking.listen(seconds=seconds)
    await asking.delete()
    step = PROBE_STEP if call is None and own is not None else None
    return Watched(call=answer, step=step, idle=idle, seconds=seconds, arrivals=arrivals_of(answer))


async def _probe(asking: Asking) -> tuple[str, dict[str, Any]] | None:
    """Return the call of mcp-echo's own tool, where it is offered."""
    cursor: dict[str, Any] | None = None
    for _ in range(_MOST_PAGES):
        result = (await asking.ask("tools/list", cursor)).result or {}
        tools = result.get("tools")
        names = (
            [each.get("name") for each in tools if isinstance(each, dict)] if isinstance(tools, list) else []
        )
        if PROBE in names:
            return PROBE, {"feature": "progress"}
        if not isinstance(result.get("nextCursor"), str):
            return None
        cursor = {"cursor": result["nextCursor"]}
    return None


def arrivals_of(answer: HttpAnswer | None) -> list[float]:
    """Return when each event with data had come whole."""
    if answer is None or not answer.is_stream:
        return []
    found: list[float] = []
    at = 0
    has_data = False
    for moment, size in answer.pieces:
        piece = bytes(answer.body[at : at + size])
        at += size
        for line in piece.splitlines(keepends=True):
            has_data = has_data or line.startswith(b"data:")
            if has_data and line in (b"\n", b"\r\n"):
                found.append(moment)
                has_data = False
    return found
