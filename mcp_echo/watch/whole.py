"""Whole exchanges as a debug log shows them: what came and what was answered, line by line, masked."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from mcp_echo.http.paths import shown_path, without_traces
from mcp_echo.protocol import strict_json
from mcp_echo.redaction import excerpt, mask, mask_body, mask_header, mask_json, mask_session_ids
from mcp_echo.watch.seen import BodyEvent, Head, Seen

MOST_HELD = 4 * 1024 * 1024
"""Characters of requests that are held until they are answered."""

_MOST_READ = 64 * 1024
"""Bytes of a body that is read to be shown: it is held as JSON, masked, and as a line at once."""
_MOST_VALUES_READ = 20_000
"""JSON values of a body that is read to be shown."""
_LONGEST_QUERY = 1024


class Shown(NamedTuple):
    """One exchange, line by line: first line, header lines, and behind an empty line the body, if any."""

    request: list[str]
    answer: list[str]


class _Held:
    """What has been read of an exchange that goes on."""

    __slots__ = ("answer", "lines", "request")

    def __init__(self) -> None:
        self.request: str | None = None
        """The body of the request; None as long as none was read."""
        self.answer: str | None = None
        self.lines: list[str] = []
        """The header lines of the answer."""

    @property
    def size(self) -> int:
        return len(self.request or "") + len(self.answer or "")


class WholeExchanges:
    """Puts together what is told of exchanges piece by piece, and holds it as long as they go on.

    Args:
        reveal: Whether they are shown with their secrets.
        is_session: Tells whether a UUID is the id of a session, rather than one of a client's own making.
    """

    def __init__(self, reveal: bool, is_session: Callable[[str], bool]) -> None:
        self._reveal = reveal
        self._is_session = is_session
        self._held: dict[Seen, _Held] = {}
        self._size = 0

    def take(self, event: BodyEvent) -> None:
        """Keep a body until its exchange is over."""
        held = self._held.setdefault(event.seen, _Held())
        self._size -= held.size
        room = self._size < MOST_HELD
        shown = self._body(event.data) if room else f"({len(event.data)} bytes; too many requests wait)"
        if event.status is None:
            held.request = shown
        else:
            held.answer = shown
            held.lines = [self._line(*_parted(line)) for line in event.lines]
        self._size += held.size

    def finish(self, seen: Seen) -> Shown:
        """Return an exchange that is over, and let go of it."""
        held = self._held.pop(seen, None) or _Held()
        self._size -= held.size
        request = _with_body(self._head(seen.head), held.request)
        status = "(none)" if seen.status is None else f"HTTP/1.1 {seen.status}"
        answer = f"(an event stream, {seen.sent} bytes so far)" if seen.streamed else held.answer
        return Shown(request, _with_body([status, *held.lines], answer))

    def _head(self, head: Head | None) -> list[str]:
        # A target that has not passed is no path.
        if head is None or not head.path:
            return ["(a head that cannot be read)"]
        if self._reveal:
            return head.raw.decode("utf-8", "backslashreplace").split("\r\n")
        return [self._request_line(head), *(self._line(*field) for field in head.headers())]

    def _request_line(self, head: Head) -> str:
        method, target, version = head.raw.partition(b"\r\n")[0].decode("latin-1").split(" ")
        _, mark, query = target.partition("?")
        return f"{method} {shown_path(head.path)}{mark}{self._ids_cut(_masked_query(query))} {version}"

    def _line(self, name: str, value: str) -> str:
        if self._reveal:
            return f"{name}: {value}"
        if name.lower() != "mcp-session-id":
            return f"{name}: {self._ids_cut(mask_header(name, value))}"
        shown = mask_session_ids(value, lambda _: True)
        return f"{name}: {mask(value) if shown == value else shown}"

    def _body(self, body: bytes) -> str:
        if not body:
            return ""
        if self._reveal:
            shown = body[:_MOST_READ].decode("utf-8", "backslashreplace")
            return shown if len(body) <= _MOST_READ else f"{shown} [{len(body)} bytes in all]"
        return self._ids_cut(_masked_body(body))

    def _ids_cut(self, text: str) -> str:
        return without_traces(mask_session_ids(text, self._is_session))


def _parted(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").partition(":")
    return name, value.strip()


def _masked_query(query: str) -> str:
    """Return a query without the credentials in it.

    A plus sign may be a blank, by which some are told, or part of one: where there are both, the whole of a
    query that has a credential is hidden.
    """
    shown = excerpt(query, _LONGEST_QUERY)
    spaced = query.replace("+", " ")
    if spaced != query and (shown != query or excerpt(spaced, _LONGEST_QUERY) != spaced):
        return mask(query)
    return shown


def _with_body(lines: list[str], body: str | None) -> list[str]:
    return [*lines, "", body] if body else lines


def _masked_body(body: bytes) -> str:
    """Return a body member by member, masked; of one that is too long for that, its beginning."""
    if len(body) > _MOST_READ:
        return mask_body(body, len(body))
    try:
        value = strict_json.read(body, _MOST_VALUES_READ)
    except strict_json.TooManyValues:
        return mask_body(body, len(body))
    except strict_json.NotJson:
        return f"({len(body)} bytes that are not JSON)"
    return msgspec.json.encode(mask_json(value)).decode()
