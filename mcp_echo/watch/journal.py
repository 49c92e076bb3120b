"""The log of what passes on the wire: an observer that writes lines, and the place for unexpected failures.

An exception with its traceback is nothing that was seen on the wire, and is written down where it is caught.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mcp_echo.protocol import strict_json
from mcp_echo.protocol.errors import McpError, OtherProtocol
from mcp_echo.redaction import mask_body, mask_json, mask_session_ids, short_id
from mcp_echo.watch.seen import Asked, BodyEvent, Event, Seen, SessionEvent

_MOST_READ = 64 * 1024
"""Bytes of a body that is read to be shown: it is held as JSON, masked, and as a line at once."""
_MOST_VALUES_READ = 20_000
"""JSON values of a body that is read to be shown."""

_WITH_SLASH = b"/mcp/"
_MOST_TOLD = 64
"""Clients that are told of for asking for it."""


@dataclass(eq=False)
class Journal:
    """Writes down what the server does.

    Of session ids it has the beginning: enough for the owner to find the session, and too little for whoever
    reads the log to take it over.
    """

    log: Any
    """Where to; a `twisted.logger.Logger`."""
    verbose: bool = False
    """Whether details are wanted at all; preparing them costs time."""
    reveal: bool = False
    """Whether bodies are logged with their secrets."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """The operator's own, which no traceback must show."""
    is_session: Callable[[str], bool] = lambda _: True
    """Tells whether a UUID is the id of a session, rather than one of a client's own making."""
    _with_slash: set[str] = field(default_factory=set, init=False)

    def see(self, event: Event) -> None:
        """Write down what an operator wants to see of an event."""
        if isinstance(event, Seen):
            if event.refusal is not None:
                self._refusal(event.peer, event.refusal)
            elif self.verbose and event.session is not None:
                self._detail(event)
            if event.head is not None and event.head.path == _WITH_SLASH:
                self._note_slash(event)
        elif isinstance(event, SessionEvent):
            self._session(event)
        elif isinstance(event, BodyEvent) and self.verbose:
            self._body(event)

    def _refusal(self, peer: str, refusal: McpError) -> None:
        if isinstance(refusal, OtherProtocol):
            self.log.warn("{reason}", peer=peer, reason=refusal.message)

    def _note_slash(self, seen: Seen) -> None:
        """Tell once of each client that asks for /mcp/, or of so many: other servers may not serve it."""
        if seen.identity is None or seen.peer in self._with_slash or len(self._with_slash) >= _MOST_TOLD:
            return
        self._with_slash.add(seen.peer)
        self.log.info("Requests for /mcp/ are served as those for /mcp", peer=seen.peer)

    def _session(self, event: SessionEvent) -> None:
        self.log.info(
            "Session created" if event.kind == "begin" else f"Session {event.reason}",
            session_id=short_id(event.session),
            client_name=event.client,
            protocol_version=event.revision,
        )

    def _detail(self, seen: Seen) -> None:
        session_id = short_id(seen.session or "")
        for each in seen.messages:
            if each.stray:
                self.log.debug("An answer to nothing that was asked here", session_id=session_id)
            if _is_taken(each):
                self.log.debug("Message received", session_id=session_id, kind=each.method or "response")

    def _body(self, event: BodyEvent) -> None:
        shown = self._shown(event.data)
        if event.status is None:
            self.log.debug("Request", body=shown, peer=event.seen.caller.address)
        else:
            self.log.debug("Answer", body=shown, status=event.status)

    def note(self, sentence: str) -> None:
        """Write down what an operator wants to know of the state of the server."""
        self.log.info("{sentence}", sentence=sentence)

    def failure(
        self, text: str, session_id: str | None = None, *, secrets: Iterable[str] = (), **fields: Any
    ) -> None:
        """Write down the exception being handled, or the given ``failure``, with its traceback.

        Args:
            text: What failed.
            session_id: The session it failed for.
            secrets: The client's, which the traceback must not show.
            fields: Further fields of the event.
        """
        shown = None if session_id is None else short_id(session_id)
        self.log.failure(text, session_id=shown, secrets=(*self.secrets, *secrets), **fields)

    def failed(
        self, text: str, error: Exception, session_id: str | None, method: str, secrets: Iterable[str]
    ) -> None:
        """Write down an exception that a method has raised; see `failure`."""
        try:
            raise error
        except Exception:
            self.failure(text, session_id, secrets=secrets, method=method)

    def _shown(self, body: bytes) -> str:
        if self.reveal:
            shown = body[:_MOST_READ].decode("utf-8", "backslashreplace")
            return shown if len(body) <= _MOST_READ else f"{shown} [{len(body)} bytes in all]"
        return mask_session_ids(_masked_body(body), self.is_session)


def _is_taken(asked: Asked) -> bool:
    """Return whether a message wants no answer and gets none."""
    return asked.era is not None and asked.outcome is None and (asked.method is None or asked.id is None)


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
