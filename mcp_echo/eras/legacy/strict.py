"""What ``--strict`` asks of legacy clients in each message, beside what is asked of all.

Each rule is one of the revision that the session speaks. What cannot be seen in a message, such as what a
client does with an answer, is not asked for: ``tests/client_assertions.txt`` goes through all of it.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from mcp_echo.protocol.errors import InvalidRequest
from mcp_echo.protocol.handshake import check_version_header_strictly
from mcp_echo.protocol.jsonrpc import Message, MessageId, Notification, Request, Response
from mcp_echo.protocol.meta import check_meta
from mcp_echo.protocol.progress import progress_token
from mcp_echo.protocol.revisions import Revision
from mcp_echo.redaction import excerpt
from mcp_echo.sessions.effects import Effects
from mcp_echo.sessions.session import Session, shown_id
from mcp_echo.sessions.used_ids import UsedIds

FREE_BEFORE_INITIALIZED = frozenset({"initialize", "ping"})
"""Requests that a client may send before it says that it is initialized (lifecycle, Initialization)."""


class _ErrorObject(msgspec.Struct):
    code: int
    message: str


_decode_error = msgspec.json.Decoder(_ErrorObject).decode


class _Known:
    """What has to be remembered of one session."""

    __slots__ = ("ids", "tokens")

    def __init__(self) -> None:
        self.ids = UsedIds()
        self.tokens: dict[int | str, MessageId] = {}
        """Progress token → the request it is for, of those that may still be worked on."""


class Strictness:
    """Refuses messages that a client must or should not send, and remembers what it has to for that.

    Args:
        methods: The methods that are requests.
    """

    def __init__(self, methods: Iterable[str]) -> None:
        self._methods = frozenset(methods)
        self._known: dict[str, _Known] = {}

    def __len__(self) -> int:
        return len(self._known)

    def began(self, session: Session, message_id: MessageId, effects: Effects) -> None:
        """Note the id of the ``initialize`` that a session began with."""
        effects.then(self._remember, session, {message_id: None})

    def ended(self, session_id: str) -> None:
        """Forget what is known of a session that is over."""
        self._known.pop(session_id, None)

    def check(
        self,
        message: Message | list[Message],
        session: Session,
        named: Revision | None,
        effects: Effects,
        *,
        has_header: bool = True,
    ) -> None:
        """Refuse a POST that breaks a rule for clients.

        Args:
            message: What it carries.
            session: The session it is for.
            named: The revision that its header names.
            effects: Takes what is to be remembered.
            has_header: Whether its transport has that header.

        Raises:
            McpError: A rule is broken; the message says which.
        """
        if has_header:
            check_version_header_strictly(named, session.revision)
        requests: dict[MessageId, int | str | None] = {}
        for each in message if isinstance(message, list) else (message,):
            if isinstance(each, Request):
                requests[each.id] = self._check_request(each, session, requests)
            elif isinstance(each, Notification):
                self._check_notification(each, session)
            elif isinstance(each, Response):
                _check_response(each, session)
        if requests:
            effects.then(self._remember, session, requests)

    def _remember(self, session: Session, requests: dict[MessageId, int | str | None]) -> None:
        """Remember requests, with the progress token of each."""
        session.stay()
        known = self._known.setdefault(session.id, _Known())
        # As many as are worked on at once, and those of this POST.
        known.tokens = {token: of for token, of in known.tokens.items() if session.running(of) is not None}
        for message_id, token in requests.items():
            known.ids.add(message_id)
            if token is not None:
                known.tokens[token] = message_id

    def _check_request(
        self, request: Request, session: Session, before: dict[MessageId, int | str | None]
    ) -> int | str | None:
        """Return the progress token of a request that breaks no rule.

        Args:
            request: The request.
            session: Its session.
            before: The requests that came before it in the same array, with the token of each.
        """
        if not session.record.initialized and request.method not in FREE_BEFORE_INITIALIZED:
            raise InvalidRequest(
                f"Invalid request: {excerpt(request.method)} came before notifications/initialized, which "
                "has to be sent first"
            )
        known = self._known.get(session.id) or _Known()
        if request.id in before or request.id in known.ids:
            raise InvalidRequest(
                f"Invalid request: the id {shown_id(request.id)} was used before in this session"
            )
        check_meta(request.params, session.revision)
        token = progress_token(request.params)
        if not isinstance(token, int | str):
            return None
        owner = known.tokens.get(token)
        if token in before.values() or (owner is not None and session.running(owner) is not None):
            raise InvalidRequest(
                f"Invalid request: the progressToken {shown_id(token)} is that of a request which is still "
                "being worked on"
            )
        return token

    def _check_notification(self, notification: Notification, session: Session) -> None:
        method = notification.method
        if method in self._methods:
            raise InvalidRequest(f"Invalid request: {method} is a request, and has no id")
        if method == "notifications/progress":
            raise InvalidRequest(
                "Invalid request: notifications/progress is for a token of the server's, which has given none"
            )
        if method == "notifications/roots/list_changed" and not _declares_changing_roots(session):
            raise InvalidRequest(f"Invalid request: {method} needs roots.listChanged, which was not declared")
        check_meta(notification.params, session.revision)


def _declares_changing_roots(session: Session) -> bool:
    roots = session.client.capabilities.get("roots")
    return isinstance(roots, dict) and roots.get("listChanged") is True


def _check_response(response: Response, session: Session) -> None:
    if not session.was_asked(response.id):
        raise InvalidRequest(
            f"Invalid request: no question with the id {shown_id(response.id)} was asked in this session"
        )
    if response.result is not None and bytes(response.result)[:1] != b"{":
        raise InvalidRequest("Invalid request: the result of a response must be an object")
    if response.error is not None:
        try:
            _decode_error(response.error)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest(f"Invalid request: the error of a response: {error}") from None
