"""What is looked at in a conversation: the modern era. No I/O."""

from __future__ import annotations

from mcp_echo.check.asking import SESSION
from mcp_echo.check.check import Check, broken, held, refused
from mcp_echo.check.conversation import Conversation
from mcp_echo.watch.rules.pages import R2026_07_28, address
from mcp_echo.watch.rules.rule import Outcome


def modern_complete(seen: Conversation) -> Outcome | None:
    """Say in each result of the modern era whether it is complete."""
    if not seen.is_modern:
        return None
    found = (seen.discover.result or {}).get("resultType")
    if found == "complete":
        return held(seen.discover)
    return broken(
        seen.discover, f"The result of server/discover has the resultType {found!r}", repr(found), "complete"
    )


def modern_sessionless(seen: Conversation) -> Outcome | None:
    """Make no sessions in the modern era."""
    if not seen.is_modern:
        return None
    if seen.discover.value(SESSION) is None:
        return held(seen.discover)
    return broken(seen.discover, f"server/discover was answered with {SESSION}", SESSION, "no such header")


def modern_headers_compared(seen: Conversation) -> Outcome | None:
    """Refuse headers that disagree with the body."""
    return refused(seen.other_method, "A request with an Mcp-Method that is not its method", 400, -32020)


def modern_version_refused(seen: Conversation) -> Outcome | None:
    """Refuse a revision that there is not."""
    return refused(seen.unknown_claim, "A modern request of a revision that does not exist", 400, -32022)


def _modern(heading: str) -> str:
    return address(R2026_07_28, f"basic/transports/streamable-http#{heading}")


CHECKS: tuple[Check[Conversation], ...] = (
    Check(
        id="modern-complete",
        level="error",
        title="A modern result says whether it is complete.",
        advice="Send resultType with each result.",
        url=address(R2026_07_28, "basic#responses"),
        judge=modern_complete,
        keyword="MUST",
    ),
    Check(
        id="modern-sessionless",
        level="error",
        title="There are no sessions in the modern era.",
        advice="Send no Mcp-Session-Id to modern requests.",
        url=_modern("overview"),
        judge=modern_sessionless,
    ),
    Check(
        id="modern-headers-compared",
        level="error",
        title="A modern request whose headers disagree with its body is refused with -32020.",
        advice="Compare Mcp-Method and Mcp-Name with the body: gateways decide by the headers.",
        url=_modern("server-validation"),
        judge=modern_headers_compared,
        keyword="MUST",
    ),
    Check(
        id="modern-version-refused",
        level="error",
        title="A modern request of an unknown revision is refused with -32022.",
        advice="Answer 400 with -32022 and the revisions that the server speaks.",
        url=_modern("protocol-version-header"),
        judge=modern_version_refused,
        keyword="MUST",
    ),
)
