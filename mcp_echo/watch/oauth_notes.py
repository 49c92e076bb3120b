"""What is noted of an exchange of OAuth while it goes on, and what comes of it in the end. No I/O."""

from __future__ import annotations

from mcp_echo.watch.masking import Masker
from mcp_echo.watch.oauth_facts import OauthFacts
from mcp_echo.watch.oauth_records import OauthAnswered, OauthAsked, OauthRecord, TokenRecord
from mcp_echo.watch.seen import BodyEvent, Head, Seen


class OauthNotes:
    """What its bodies have said; nothing as long as they have not passed."""

    __slots__ = ("answered", "asked")

    def __init__(self) -> None:
        self.asked: OauthAsked | None = None
        self.answered: OauthAnswered | None = None

    @property
    def error(self) -> str | None:
        """The ``error`` that it was answered with, masked; None without one."""
        return None if self.answered is None else self.answered.error


def take(event: BodyEvent, notes: OauthNotes, masker: Masker) -> None:
    """Note what a body of a leg says."""
    seen, leg = event.seen, event.seen.leg
    if leg is None or seen.head is None:
        return
    read = OauthFacts(masker, seen.trace.id)
    if event.status is None:
        notes.asked = read.asked(leg, seen.head, event.data)
    else:
        notes.answered = read.answered(leg, event.status, event.lines, event.data)


def token_of(seen: Seen, masker: Masker, trace_id: str) -> TokenRecord | None:
    """Return what became of the access token of an exchange; None where none was looked at."""
    if seen.subject is None and not seen.checks:
        return None
    return OauthFacts(masker, trace_id).token(seen.checks, taken=seen.subject is not None)


def record(seen: Seen, head: Head, notes: OauthNotes, masker: Masker, trace_id: str) -> OauthRecord | None:
    """Return the part that an exchange has in a flow of OAuth, with bodies or without; None for none."""
    read = OauthFacts(masker, trace_id)
    if seen.leg is None:
        return read.challenge(head, seen.status, seen.lines)
    answered = OauthAnswered()
    if seen.status is not None:
        answered = notes.answered or read.answered(seen.leg, seen.status, seen.lines, b"")
    return OauthRecord(leg=seen.leg, asked=notes.asked or read.asked(seen.leg, head, b""), answered=answered)
