"""How one request uses lists and tools. No I/O."""

from __future__ import annotations

from mcp_echo.watch.records import ExchangeRecord, MessageRecord
from mcp_echo.watch.rules.facts import broken, held
from mcp_echo.watch.rules.pages import ALL, pages
from mcp_echo.watch.rules.rule import Outcome, Rule

_REFUSED_CURSOR = "Invalid cursor"
_REFUSED_ARGUMENTS = "Invalid arguments for tool"


def cursor_invented(x: ExchangeRecord) -> Outcome | None:
    """Send a cursor as it was given."""
    message = next((each for each in x.messages if each.params.cursor is not None), None)
    if message is None:
        return None
    if not (message.result.message or "").startswith(_REFUSED_CURSOR):
        return held(x) if _is_answered(message) else None
    return broken(
        x,
        f"{message.method} came with a cursor that this server did not give for that list",
        "body:/params/cursor",
        found=message.params.cursor,
        wanted="the nextCursor of the page before, unchanged",
    )


def arguments_invalid(x: ExchangeRecord) -> Outcome | None:
    """Send arguments that fit the tool's schema."""
    message = next((each for each in x.messages if each.method == "tools/call"), None)
    if message is None:
        return None
    reason = message.result.message or ""
    if not reason.startswith(_REFUSED_ARGUMENTS):
        return held(x) if _is_answered(message) else None
    return broken(x, reason, "body:/params/arguments", wanted="arguments that fit the inputSchema")


def _is_answered(message: MessageRecord) -> bool:
    """Return whether a result came of a message, and no error."""
    return message.error is None and message.outcome is not None


ROWS = (
    Rule(
        id="cursor-invented",
        level="error",
        keyword="MUST",
        title="A cursor is one that the server gave.",
        advice="Send the nextCursor of the page before as it came, for the same list. Make none, change "
        "none, and keep none from session to session.",
        pages=pages("server/utilities/pagination#implementation-guidelines", *ALL),
        check=cursor_invented,
    ),
    Rule(
        id="arguments-invalid",
        level="info",
        title="The arguments of a call fit the tool's schema.",
        advice="Compare the arguments with the inputSchema of tools/list. If a model has made them, show it "
        "the error.",
        pages=pages("server/tools#error-handling", *ALL),
        check=arguments_invalid,
    ),
)
