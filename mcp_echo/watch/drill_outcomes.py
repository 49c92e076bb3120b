"""What a client may have done after it was hit by a fault: the words of a drill's verdict. No I/O."""

from __future__ import annotations

from typing import Literal

import msgspec

Outcome = Literal[
    "began-anew",
    "kept-dead-id",
    "waited",
    "did-not-wait",
    "resumed",
    "resumed-wrong",
    "repeated",
    "cancelled",
    "left",
    "stayed",
    "followed",
    "asked-for-token",
    "asked-elsewhere",
    "went-on",
    "ended",
    "nothing-yet",
    "silent",
    "unwatched",
]

MEANINGS: dict[Outcome, str] = {
    "began-anew": "It sent `initialize`, or began the flow of OAuth again from an earlier step.",
    "kept-dead-id": "It sent the session id again that was answered as gone.",
    "waited": "It sent the same request again, no sooner than `Retry-After` asks.",
    "did-not-wait": "It came back sooner than `Retry-After` or `retry` asks.",
    "resumed": "It came back for the rest of the stream with `Last-Event-ID`, no sooner than `retry` asks.",
    "resumed-wrong": "It came back with a `Last-Event-ID` from which nothing can be resumed.",
    "repeated": "It sent the same request again.",
    "cancelled": "It sent `notifications/cancelled` for the request.",
    "left": "It hung up before the answer had ended.",
    "stayed": "It was still there when the slow answer had come.",
    "followed": "It sent the request to where the redirect leads.",
    "asked-for-token": "It took a step of OAuth, or came back with another token.",
    "asked-elsewhere": "It asked for the same document at another address.",
    "went-on": "It sent another request, or took the next step of OAuth.",
    "ended": "It ended its session with DELETE.",
    "nothing-yet": "Nothing has come from it yet. Whether it waits cannot be seen.",
    "silent": "Nothing has come from it for as long as a drill watches.",
    "unwatched": "Too many faults had hit at once: what came after this one was not looked at.",
}
"""Outcome → what it says; exactly one is said of each exchange that was hit."""


class DrillVerdict(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What a client did after it was hit."""

    outcome: Outcome
    summary: str
    """One sentence for people."""
    milliseconds: int | None = None
    """From the answer to what shows the outcome, or from the request where the answer was slow; None where
    nothing does."""
    exchange: int | None = None
    """The number of the record that shows it; None where nothing does."""
