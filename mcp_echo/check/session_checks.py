"""What is looked at in a conversation: sessions. No I/O."""

from __future__ import annotations

from mcp_echo.check.asking import SESSION
from mcp_echo.check.check import Check, broken, held, refused, transports
from mcp_echo.check.conversation import Conversation
from mcp_echo.watch.rules.rule import Outcome

_SHORTEST_SESSION = 16
"""Characters below which an id can hardly be beyond guessing."""


def session_characters(seen: Conversation) -> Outcome | None:
    """Make session ids of visible ASCII characters."""
    if seen.session is None:
        return None
    if all("\x21" <= each <= "\x7e" for each in seen.session):
        return held(seen.initialize)
    return broken(
        seen.initialize, f"{SESSION} has characters that are not visible ASCII", None, "0x21 to 0x7E"
    )


def session_length(seen: Conversation) -> Outcome | None:
    """Make session ids that nobody can guess."""
    if seen.session is None:
        return None
    if len(seen.session) >= _SHORTEST_SESSION:
        return held(seen.initialize)
    found = f"{len(seen.session)} characters"
    return broken(seen.initialize, f"{SESSION} has {found}", found, f"{_SHORTEST_SESSION} or more")


def session_required(seen: Conversation) -> Outcome | None:
    """Refuse a request without a session where there are sessions."""
    return refused(seen.without_session, f"A request without {SESSION}", 400)


def session_ends(seen: Conversation) -> Outcome | None:
    """End a session on DELETE, or say that clients cannot."""
    answer = seen.deleted
    if answer is None or not answer.status:
        return None
    if 200 <= answer.status < 300 or answer.status == 405:
        return held(answer)
    return broken(answer, f"DELETE was answered with {answer.status}", str(answer.status), "2xx, or 405")


def session_gone(seen: Conversation) -> Outcome | None:
    """Answer 404 to a session that has ended."""
    return refused(seen.after_delete, "A request of a session that DELETE has ended", 404)


CHECKS: tuple[Check[Conversation], ...] = (
    Check(
        id="session-characters",
        level="error",
        title="Session ids have visible ASCII characters only.",
        advice="Make ids of UUIDs or of random bytes in base64url.",
        url=transports("session-management"),
        judge=session_characters,
        keyword="MUST",
    ),
    Check(
        id="session-length",
        level="warning",
        title="Session ids cannot be guessed.",
        advice="Make ids of at least 128 random bits.",
        url=transports("session-management"),
        judge=session_length,
        keyword="SHOULD",
    ),
    Check(
        id="session-required",
        level="warning",
        title="A request without a session is refused with 400 where there are sessions.",
        advice="Answer 400, so that a client that lost its session id finds out.",
        url=transports("session-management"),
        judge=session_required,
        keyword="SHOULD",
    ),
    Check(
        id="session-ends",
        level="warning",
        title="DELETE ends a session, or is answered with 405.",
        advice="End the session, or answer 405.",
        url=transports("session-management"),
        judge=session_ends,
        keyword="MAY",
    ),
    Check(
        id="session-gone",
        level="error",
        title="A session that has ended is answered with 404.",
        advice="Answer 404: clients begin anew after it, and after nothing else.",
        url=transports("session-management"),
        judge=session_gone,
        keyword="MUST",
    ),
)
