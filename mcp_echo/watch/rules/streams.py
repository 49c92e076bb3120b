"""What the transport asks of one request about streams, and of progress. No I/O."""

from __future__ import annotations

from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.facts import LAST_EVENT, broken, held, is_mcp, value
from mcp_echo.watch.rules.pages import HANDSHAKE, R2026_07_28, pages, sessions
from mcp_echo.watch.rules.rule import Outcome, Rule

SLOW = 10.0
"""Seconds from which on progress would keep a client from giving up."""


def event_id_on_post(x: ExchangeRecord) -> Outcome | None:
    """Resume with GET."""
    if value(x, LAST_EVENT) is None:
        return None
    if is_mcp(x, "GET"):
        return held(x)
    if not is_mcp(x, "POST"):
        return None
    return broken(
        x,
        f"A POST came with {LAST_EVENT}, which resumes a stream with GET alone",
        x.line_of(LAST_EVENT),
        found="POST",
        wanted="GET",
    )


def event_id_unknown(x: ExchangeRecord) -> Outcome | None:
    """Resume from an event that is there."""
    if not is_mcp(x, "GET") or value(x, LAST_EVENT) is None:
        return None
    if x.gap is None:
        return held(x) if x.streamed else None
    return broken(
        x,
        f"{LAST_EVENT} is {value(x, LAST_EVENT)}, from which nothing can be resumed: {x.gap}",
        x.line_of(LAST_EVENT),
        found=value(x, LAST_EVENT),
    )


def no_progress_token(x: ExchangeRecord) -> Outcome | None:
    """Ask for progress of a call that takes long."""
    for message in x.messages:
        if message.method != "tools/call" or message.seconds is None or message.seconds <= SLOW:
            continue
        if message.params.progress != "absent":
            return held(x)
        return broken(
            x,
            f"The call of {message.name or 'a tool'} took {message.seconds:.1f} s and had no progressToken, "
            "so the server could not tell its progress",
            "body:/params/_meta",
            wanted="_meta.progressToken",
        )
    return None


def progress_token_type(x: ExchangeRecord) -> Outcome | None:
    """Give a progress token that notifications can have."""
    forms = [each.params.progress for each in x.messages if each.params.progress != "absent"]
    if not forms:
        return None
    if "other" not in forms:
        return held(x)
    return broken(
        x,
        "progressToken is neither a string nor an integer, so the server tells no progress",
        "body:/params/_meta/progressToken",
        found="another type",
        wanted="a string or an integer",
    )


_PROGRESS = pages("basic/utilities/progress#progress-flow", *HANDSHAKE) | pages(
    "basic/patterns/progress#progress-flow", R2026_07_28
)

ROWS = (
    Rule(
        id="event-id-on-post",
        level="warning",
        keyword="SHOULD",
        title="A stream is resumed with GET.",
        advice="Send Last-Event-ID with a GET, whatever the stream began with, and leave it out of POST.",
        pages=sessions("resumability-and-redelivery"),
        check=event_id_on_post,
    ),
    Rule(
        id="event-id-unknown",
        level="warning",
        title="A stream is resumed from an event that the server still has.",
        advice="Assume that messages were lost: list again what matters, and repeat a call whose answer is "
        "missing if it may run twice. Keep event ids with the session that they belong to.",
        pages=sessions("resumability-and-redelivery"),
        check=event_id_unknown,
    ),
    Rule(
        id="no-progress-token",
        level="info",
        title="A call that takes long asks for progress.",
        advice="Send a progressToken in _meta, and have progress set back the time-out of the call: typical "
        "ones are 60 s and 300 s.",
        pages=_PROGRESS,
        check=no_progress_token,
    ),
    Rule(
        id="progress-token-type",
        level="error",
        keyword="MUST",
        title="A progress token is a string or an integer.",
        advice="Send a string or an integer as progressToken, another one for each request that is running.",
        pages=_PROGRESS,
        check=progress_token_type,
    ),
)
