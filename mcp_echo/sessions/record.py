"""The facts of one session that requests change and that a store keeps. No I/O."""

from __future__ import annotations

import msgspec


class SessionRecord(msgspec.Struct, array_like=True, gc=False):
    """What requests change of a session; one more fact is one more member, at the end and with a default.

    Stores of several versions may share sessions: a member keeps its place and its type.
    """

    label: str | None = None
    """What its maker calls it, or None."""
    initialized: bool = False
    """True once the client has sent ``notifications/initialized``."""
    requests: int = 0
    """Requests received, the one being answered included."""
    responses: int = 0
    response_seconds: float = 0.0
    """Seconds spent on the ``responses`` answers so far, together."""
    echo_count: int = 0
    replay_count: int = 0
    log_level: str | None = None
    """The level set with ``logging/setLevel``; None sends no log messages."""
    subscriptions: frozenset[str] = frozenset()
    """URIs of resources whose changes the client wants to hear of."""
    legacy_stream: str | None = None
    """The tag of its one stream, where its transport is that of 2024-11-05."""
    used: bool = False
    """Whether a request has used it, after the one that made it; if not, it may give way to a new one."""

    @property
    def average_response_seconds(self) -> float | None:
        """Mean seconds from a request's arrival to its answer; None before the first answer."""
        return self.response_seconds / self.responses if self.responses else None

    def count_answer(self, seconds: float) -> None:
        """Count an answer that took ``seconds``."""
        self.responses += 1
        self.response_seconds += seconds
