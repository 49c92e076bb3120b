"""One readable line for each exchange: an observer that says what came, how it ended, and what was wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from mcp_echo.http.paths import shown_path
from mcp_echo.redaction import excerpt, mask_session_ids, one_line, short_id
from mcp_echo.watch.seen import CANCELLED, Event, Seen

MOST_LINES = 20
"""Lines within any second; how many more there were is said in one line."""

_LEFT = "left"
"""Stands for the status of an exchange whose client left before it was answered."""
_UNANSWERED = "unanswered"
"""The same of one that a fault has ended without an answer."""
_LONGEST_NAME = 100
"""Characters of a name that a client gives to itself, a method or a tool."""
_LONGEST_METHOD = 16
_POLLED = frozenset({b"/health", b"/ready"})
"""What balancers and service managers ask for every few seconds. Figures are shown on a port of their own,
which is not watched."""

Later = Callable[[float, Callable[[], object]], object]
"""Calls a function after so many seconds."""


class RequestLog:
    """Writes a line for each exchange, or for those alone that are refused or have findings.

    Args:
        log: Where to; a `twisted.logger.Logger`.
        later: Calls a function later.
        everything: Whether exchanges are written that nothing is wrong with.
    """

    def __init__(self, log: Any, later: Later, *, everything: bool) -> None:
        self._log = log
        self._later = later
        self._everything = everything
        self._written: deque[float] = deque(maxlen=MOST_LINES)
        """When the last lines were written, in seconds of the steady clock."""
        self._more = 0

    def see(self, event: Event) -> None:
        """Write a line for an exchange that one is wanted for."""
        if not isinstance(event, Seen):
            return
        # Nearly all of them, where few are wanted.
        if event.status == 200 and not self._everything and not event.findings:
            return
        if event.refusal is not None or (self._is_wanted(event) and not _is_poll(event)):
            self._write(event)

    def _is_wanted(self, seen: Seen) -> bool:
        return self._everything or bool(seen.findings) or (seen.status is not None and seen.status >= 400)

    def _write(self, seen: Seen) -> None:
        now = seen.watch.now()
        if len(self._written) == MOST_LINES and now - self._written[0] < 1.0:
            self._more += 1
            if self._more == 1:
                self._later(1.0, self._tell_more)
            return
        self._written.append(now)
        text, fields = entry_of(seen)
        self._log.info(text, **fields)

    def _tell_more(self) -> None:
        more, self._more = self._more, 0
        self._log.info("{more:,} more in this second", more=more)


def _is_poll(seen: Seen) -> bool:
    return seen.head is not None and seen.head.path in _POLLED


def entry_of(seen: Seen) -> tuple[str, dict[str, Any]]:
    """Return what a log says of an exchange: a text with its fields' names in braces, and the fields.

    What a client wrote is masked, cut and on one line.
    """
    fields = {
        **_request(seen),
        "status": _ended(seen),
        "milliseconds": round(_seconds(seen) * 1000, 1),
        "method": _method(seen),
        "tool": _shown(seen.tool),
        "kind": "stream" if seen.streamed else None,
        "fault": seen.fault,
        "client_name": _shown(seen.client.name) if seen.client is not None else None,
        "session_id": _session(seen),
        "error": _error(seen),
        "leg": _leg(seen),
        "oauth_error": None if seen.notes is None else seen.notes.oauth.error,
        **_refusal(seen),
        "findings": list(seen.findings) or None,
    }
    known = {name: value for name, value in fields.items() if value is not None}
    text = "{http_method} {path}" if "path" in known else "A request that cannot be read"
    text += " {status} {milliseconds} ms"
    text += "".join(f" {{{name}}}" for name in ("method", "tool") if name in known)
    return text + (": {remedy}" if "remedy" in known else ""), known


def _request(seen: Seen) -> dict[str, str]:
    """Return method and path; nothing of a head that was refused before its target was read."""
    if seen.head is None or not seen.head.path:
        return {}
    method = seen.head.method.decode("latin-1")
    shown = method if method.isalpha() and len(method) <= _LONGEST_METHOD else "…"
    return {"http_method": shown, "path": one_line(shown_path(seen.head.path))}


def _refusal(seen: Seen) -> dict[str, str | None]:
    """Return the name of a refusal, and what lets such requests in."""
    if seen.refusal is None:
        return {}
    return {"refusal": type(seen.refusal).__name__, "remedy": seen.refusal.remedy}


def _ended(seen: Seen) -> int | str:
    if seen.outcome == CANCELLED and seen.batch is None:
        return CANCELLED
    if seen.status is not None:
        return seen.status
    return _LEFT if seen.fault is None or seen.left is not None else _UNANSWERED


def _seconds(seen: Seen) -> float:
    return seen.elapsed() if seen.last is None else seen.last - seen.arrived


def _method(seen: Seen) -> str | None:
    return _shown(seen.method) if seen.batch is None else f"batch of {len(seen.batch)}"


def _error(seen: Seen) -> int | None:
    if seen.refusal is not None:
        return seen.refusal.code
    return next((each.error for each in seen.messages if each.error is not None), None)


def _leg(seen: Seen) -> str | None:
    """Return which part of a flow of OAuth it is; None for none."""
    if seen.leg is None and any(line.lower().startswith(b"www-authenticate:") for line in seen.lines):
        return "challenge"
    return seen.leg


def _session(seen: Seen) -> str | None:
    """Return the beginning of the session's id, and of one not known here if it looks like one of ours."""
    if seen.session is not None:
        return short_id(seen.session)
    named = [] if seen.head is None else seen.head.values(b"mcp-session-id")
    if len(named) == 1 and mask_session_ids(named[0], lambda _: True) == f"{short_id(named[0])}…":
        return short_id(named[0])
    return None


def _shown(name: str | None) -> str | None:
    return None if name is None else one_line(excerpt(name, _LONGEST_NAME))
