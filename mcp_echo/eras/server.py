"""The MCP server: which era a message belongs to, and what answers it.

Imports no Twisted; the transport hands in what it knows of the HTTP request as an `Exchange`.
"""

from __future__ import annotations

from typing import Any

from mcp_echo.auth.sealed import Seal
from mcp_echo.eras.exchange import Exchange, Reply, Timers
from mcp_echo.eras.half_modern import half_modern, not_spoken
from mcp_echo.eras.legacy.ladder import LegacyEra
from mcp_echo.eras.methods import Methods
from mcp_echo.eras.modern.ladder import ModernEra
from mcp_echo.eras.refusals import refuse
from mcp_echo.eras.running import Runner, Work
from mcp_echo.protocol.errors import (
    InvalidRequest,
    McpError,
    MetaIncomplete,
    StoreUnavailable,
    VersionNotSupported,
)
from mcp_echo.protocol.handshake import asked_for
from mcp_echo.protocol.jsonrpc import Malformed, Message, Notification, Request, Response
from mcp_echo.protocol.modern import is_claimed, what_is_lacking
from mcp_echo.watch.journal import Journal
from mcp_echo.watch.seen import Era


class Server:
    """A server for both eras on one endpoint.

    The body decides: a request whose ``_meta`` names a protocol version is served by the modern rules, every
    other one by the legacy rules. Headers are only compared with it.
    https://modelcontextprotocol.io/specification/2026-07-28/basic/versioning#backward-compatibility

    Args:
        methods: What it can do.
        journal: Where unexpected failures are written down.
        timers: Ways to wait.
        seal: Seals what modern clients carry from request to request.
        runner: Has requests worked on.
    """

    def __init__(
        self, methods: Methods, journal: Journal, timers: Timers, seal: Seal, runner: Runner
    ) -> None:
        self.context = methods.context
        self.supported = methods.supported
        self.legacy = LegacyEra(methods, journal, timers, runner)
        self._modern = ModernEra(methods, journal, timers, seal)
        self._runner = runner
        self.run_detached = runner.run_detached

    @property
    def methods(self) -> frozenset[str]:
        """The methods it knows."""
        return self.legacy.methods | self._modern.methods

    def post(self, message: Message | list[Message], exchange: Exchange) -> Reply | None:
        """Return the reply to one POST body; None when an event stream or later work answers."""
        if isinstance(message, Malformed) and not is_for_a_session(message, exchange):
            return Reply(message.error.status, refuse(message, exchange, exchange.seen, message.error, None))
        session_id = exchange.session_id
        return self._runner.run(exchange, session_id, self._unavailable, self._dispatch, message, exchange)

    def _unavailable(
        self, error: StoreUnavailable, message: Message | list[Message], exchange: Exchange
    ) -> Reply:
        body = refuse(message, exchange, exchange.seen, error, self._era_of(exchange))
        return Reply(error.status, body, error.headers)

    def _dispatch(self, message: Message | list[Message], exchange: Exchange) -> Reply | None:
        try:
            if isinstance(message, Request) and self.supported.modern:
                if is_claimed(message.params):
                    return self._modern.post(message, exchange)
                if exchange.version not in self.supported.legacy:
                    self._refuse_half_modern(message, exchange)
            elif self.supported.modern and self._is_modern_aside(message, exchange):
                exchange.seen.begin("modern", message, exchange.version)
                return Reply(202)
            return self.legacy.post(message, exchange)
        except McpError as error:
            modern = isinstance(error, (MetaIncomplete, VersionNotSupported))
            era: Era = "modern" if modern else self._era_of(exchange)
            body = refuse(message, exchange, exchange.seen, error, era)
            return Reply(error.status, body, error.headers)

    def _era_of(self, exchange: Exchange) -> Era:
        """Return the era that the headers of a request name."""
        return "modern" if exchange.version in self.supported.modern else "legacy"

    def listen(self, exchange: Exchange) -> Reply | None:
        """Answer a GET with the stream that it reads.

        Raises:
            McpError: It has none to read.
        """
        return self.within(exchange, None, self.legacy.listen, exchange)

    def close(self, exchange: Exchange) -> Reply | None:
        """End the session of a DELETE.

        Raises:
            McpError: There is no such session.
        """
        return self.within(exchange, None, self._close, exchange)

    def _close(self, exchange: Exchange) -> Reply:
        self.legacy.close(exchange)
        return Reply(204)

    def within(self, exchange: Exchange, session_id: str | None, work: Work, *arguments: Any) -> Reply | None:
        """Return what ``work`` returns of a request, or None when the answer comes later.

        Args:
            exchange: The HTTP request.
            session_id: The session it needs, if its headers do not name it.
            work: Works on it without waiting; see `mcp_echo.sessions.effects` for what it may do.
            arguments: What ``work`` is called with.
        """
        return self._runner.run(exchange, session_id or exchange.session_id, None, work, *arguments)

    def _refuse_half_modern(self, request: Request, exchange: Exchange) -> None:
        """Refuse a request that is not modern where it would have to be.

        Raises:
            MetaIncomplete: The header names a modern revision, or only those are spoken.
            VersionNotSupported: It asks for a revision that is not spoken here.
            InvalidRequest: It names two revisions in its header.
        """
        version = exchange.version
        if version is None and self.supported.legacy:
            return
        exchange.reject_ambiguous()
        asked = asked_for(request.params) if request.method == "initialize" else None
        if version in self.supported.modern or (version is None and (asked or "") in self.supported.modern):
            raise half_modern(request, version, asked, in_session=exchange.session_id is not None)
        if version is not None or asked is not None:
            raise not_spoken(version, asked, self.supported.names)
        raise MetaIncomplete(
            f"Invalid params: {what_is_lacking(request.params)}; "
            f"supported are {', '.join(self.supported.names)}"
        )

    def _is_modern_aside(self, message: Message | list[Message], exchange: Exchange) -> bool:
        """Return whether this is a modern notification, of which the revision defines none over HTTP.

        Raises:
            InvalidRequest: It is a message that must not be sent in the modern era.
        """
        modern = exchange.version in self.supported.modern or not self.supported.legacy
        if isinstance(message, list):
            if modern or any(_claims(each) for each in message):
                raise InvalidRequest("Invalid request: the modern era takes one message a POST, no array")
            return False
        if isinstance(message, Response) and modern:
            raise InvalidRequest("Invalid request: the modern era has no responses from clients")
        return isinstance(message, Notification) and (modern or is_claimed(message.params))


def is_for_a_session(message: Malformed, exchange: Exchange) -> bool:
    """Return whether a malformed message concerns a session: what was to answer a question of its."""
    return message.is_response and exchange.session_id is not None


def _claims(message: Message) -> bool:
    return isinstance(message, (Request, Notification)) and is_claimed(message.params)
