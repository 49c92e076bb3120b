"""``GET /t/{trace}/compare?with={other}``: what a gateway does to requests."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qs

from mcp_echo.protocol.errors import InvalidRequest
from mcp_echo.watch.compare import compare
from mcp_echo.watch.comparison import Comparison
from mcp_echo.watch.traces import Trace

_FORMATS = ("json", "text")


async def comparison(
    query: bytes, trace: Trace, find: Callable[[str], Coroutine[Any, Any, Trace]]
) -> tuple[Comparison, bool]:
    """Return what was asked for, and whether it is for people.

    Args:
        query: The query of the request.
        trace: The trace that was reached directly.
        find: Returns the trace of an id or a share key.

    Raises:
        InvalidRequest: ``with`` names no other trace, or ``format`` none that there is.
        TraceNotFound: What ``with`` names is no trace, or no more.
    """
    asked = parse_qs(query.decode("latin-1"))
    other = (asked.get("with") or [""])[0]
    form = (asked.get("format") or ["json"])[0]
    if other in ("", trace.id, trace.share):
        raise InvalidRequest(
            "Invalid request: with is the id or the share key of the trace that the gateway was used for"
        )
    if form not in _FORMATS:
        raise InvalidRequest(f"Invalid request: format is one of {', '.join(_FORMATS)}")
    via = await find(other)
    return compare(list(trace.records), list(via.records)), form == "text"
