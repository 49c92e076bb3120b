"""The log of what passes on the wire: an observer that writes lines, and the place for unexpected failures.

An exception with its traceback is nothing that was seen on the wire, and is written down where it is caught.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from mcp_echo.protocol.errors import McpError, OtherProtocol
from mcp_echo.redaction import short_id
from mcp_echo.watch.request_log import entry_of
from mcp_echo.watch.seen import Asked, BodyEvent, Event, Seen, SessionEvent
from mcp_echo.watch.whole import WholeExchanges

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
    """Whether exchanges are logged with their secrets."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """The operator's own, which no traceback must show."""
    is_session: Callable[[str], bool] = lambda _: True
    """Tells whether a UUID is the id of a session, rather than one of a client's own making."""
    _with_slash: set[str] = field(default_factory=set, init=False)
    _whole: WholeExchanges = field(init=False)

    def __post_init__(self) -> None:
        self._whole = WholeExchanges(self.reveal, self.is_session)

    def see(self, event: Event) -> None:
        """Write down what an operator wants to see of an event."""
        if isinstance(event, Seen):
            if event.refusal is not None:
                self._refusal(event.peer, event.refusal)
            if self.verbose:
                self._detail(event)
            if event.head is not None and event.head.path == _WITH_SLASH:
                self._note_slash(event)
        elif isinstance(event, SessionEvent):
            self._session(event)
        elif isinstance(event, BodyEvent) and self.verbose:
            self._whole.take(event)

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
        """Write down an exchange whole, and what of its messages an answer does not tell."""
        text, fields = entry_of(seen)
        request, answer = self._whole.finish(seen)
        self.log.debug(text, peer=seen.caller.address, request=request, answer=answer, **fields)
        if seen.refusal is not None or seen.session is None:
            return
        session_id = short_id(seen.session)
        for each in seen.messages:
            if each.stray:
                self.log.debug("A client answered a question that was not asked", session_id=session_id)
            if _is_taken(each):
                self.log.debug("Message received", session_id=session_id, kind=each.method or "response")

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


def _is_taken(asked: Asked) -> bool:
    """Return whether a message wants no answer and gets none."""
    return asked.era is not None and asked.outcome is None and (asked.method is None or asked.id is None)
