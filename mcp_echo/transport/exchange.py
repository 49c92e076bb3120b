"""One HTTP request to /mcp, as the server wants to know it, and the ways it is answered."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from mcp_echo.auth.proxies import Caller
from mcp_echo.eras.exchange import Reply, StreamResponse
from mcp_echo.http.accept import parse_accept
from mcp_echo.http.headers import Headers
from mcp_echo.protocol.errors import InvalidRequest
from mcp_echo.sessions.effects import Collected
from mcp_echo.sessions.session import Session
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.transport.edge.head import text_of
from mcp_echo.transport.identity import CallerIdentity, header_values
from mcp_echo.transport.oauth.guard import TakenToken
from mcp_echo.watch.seen import Seen, SessionEvent

Carry = Callable[[HttpExchange, StreamResponse, bytes | None, TakenToken | None], Deferred[None]]
Send = Callable[[HttpExchange, Reply], None]
Fail = Callable[[HttpExchange, Failure], None]


class _McpHead:
    """What the head of a request says of MCP."""

    __slots__ = ("accepted", "ambiguous", "last_event_id", "method", "session_id", "values", "version")

    def __init__(self, http: HttpExchange) -> None:
        self.values: dict[str, list[str]] = {}
        """Name → values of the header fields that have been asked for."""
        self.method = http.head.method.decode("ascii")
        self.accepted = parse_accept(http.joined(b"accept"))
        self.ambiguous: str | None = None
        self.session_id = self._single(http, b"mcp-session-id", "Mcp-Session-Id")
        self.version = self._single(http, b"mcp-protocol-version", "Mcp-Protocol-Version")
        self.last_event_id = self._single(http, b"last-event-id", "Last-Event-Id")

    def _single(self, http: HttpExchange, name: bytes, spelling: str) -> str | None:
        values = http.head.fields.get(name)
        if values is None:
            return None
        if len(values) > 1 and len(set(values)) > 1:
            self.ambiguous = f"{spelling} is given {len(values)} times"
        return text_of(values[0])


class McpExchange:
    """A request and its answer: at once, later, or as an event stream.

    Args:
        http: The HTTP request.
        carry: Answers with an event stream.
        send: Answers with a reply.
        fail: Answers with what went wrong.
        identity: Tells who sends it.
        strict: Whether all clients are held to what they must and should do; those of a trace that was made
            strict are in any case.

    Raises:
        InvalidRequest: A trusted proxy does not say clearly who the caller is.
    """

    __slots__ = (
        "_carry",
        "_effects",
        "_fail",
        "_http",
        "_over",
        "_running",
        "_said",
        "_send",
        "_until_left",
        "_when_over",
        "accepted",
        "arrived",
        "http_method",
        "last_event_id",
        "left",
        "principal",
        "seen",
        "session_id",
        "strict",
        "token",
        "version",
    )

    def __init__(
        self,
        http: HttpExchange,
        carry: Carry,
        send: Send,
        fail: Fail,
        identity: CallerIdentity,
        *,
        strict: bool,
    ) -> None:
        self.seen: Seen = http.seen
        self.strict = strict
        self.seen.identity = identity
        self.principal = self.seen.principal = identity.principal(http) if identity.believes else None
        if self.seen.trace is not None:
            self.principal = self.seen.trace.owner(self.principal)
            self.strict = strict or self.seen.trace.strict
        self.token: TakenToken | None = None
        """The access token that it brings; None where none is asked for."""
        self._http = http
        self._carry = carry
        self._send = send
        self._fail = fail
        self._over: Deferred[None] | None = None
        self._running: Deferred[Any] | None = None
        self._until_left = False
        self._effects: Collected | None = None
        """What is to happen; None while everything happens at once."""
        self._when_over: list[Callable[[], None]] | None = []
        self.arrived = self.seen.arrived
        head = http.head
        self._said: _McpHead = head.meaning or _McpHead(http)
        head.meaning = said = self._said
        self.http_method = said.method
        self.accepted = said.accepted
        self.session_id = said.session_id
        self.version = said.version
        self.last_event_id = said.last_event_id
        self.left = False
        http.when_left(self._left)

    def belongs_to(self, token: TakenToken) -> None:
        """Have it sent by whoever has a token, so that no session passes from one to another.

        https://modelcontextprotocol.io/specification/2025-11-25/basic/security_best_practices#session-hijacking
        """
        self.token = token
        self.seen.subject = token.owner
        trace = self.seen.trace
        self.principal = token.owner if trace is None else trace.owner(token.owner)

    @property
    def is_secure(self) -> bool:
        """Whether it came by TLS."""
        return self._http.is_secure

    def reject_ambiguous(self) -> None:
        """Refuse a request whose session, version or event is named twice, differently.

        Raises:
            InvalidRequest: One of them is.
        """
        if self._said.ambiguous is not None:
            raise InvalidRequest(f"Invalid request: {self._said.ambiguous}")

    def caller(self) -> Caller:
        """Return what is known of who sends it; asked for while its headers are still there."""
        return self.seen.caller

    def headers(self) -> Headers:
        """Return the header fields as they came."""
        return self._http.headers()

    def values(self, name: str) -> list[str]:
        """Return every value of a header field."""
        known = self._said.values.get(name)
        if known is None:
            known = self._said.values[name] = header_values(self._http, name)
        return known

    def secrets(self) -> frozenset[str]:
        """Return the secrets in its header and body."""
        return self._http.secrets()

    def let_go(self) -> None:
        """Let go of the body: it is read."""
        self._http.let_go()

    def then(self, do: Callable[..., object], *arguments: object) -> Any:
        """Have something happen once what the request has changed is kept; see `Effects.then`."""
        if self._effects is None:
            return do(*arguments)
        self._effects.add(do, arguments)
        return True

    def expected(self, do: Callable[..., object]) -> int:
        """Return how many effects of this function are yet to happen."""
        return 0 if self._effects is None else self._effects.count(do)

    def collect(self) -> None:
        """Collect effects from now on; those of an earlier attempt are dropped, and what it has learned."""
        self._effects = Collected()
        self.seen.forget()

    def happen(self) -> None:
        """Have the collected effects happen, and all later ones at once."""
        effects, self._effects = self._effects, None
        if effects is not None:
            effects.happen()

    def drop(self) -> None:
        """Drop the collected effects, and what was learned; all later ones happen at once."""
        self._effects = None
        self.seen.forget()

    def began(self, session: Session) -> None:
        """Tell observers of the session that was made for it."""
        seen, client = self.seen, session.client
        seen.session, seen.client, seen.made = session.id, client, True
        watch = seen.watch
        watch.tell(
            SessionEvent(
                "begin", watch.now(), session.id, client.name, session.revision.name, trace=seen.trace
            )
        )

    def announce(self, session: Session) -> None:
        """Send the session's id in the response head."""
        self._http.add_header(b"Mcp-Session-Id", session.id.encode())

    def open_stream(self, stream_response: StreamResponse, opening: bytes | None = None) -> None:
        """Answer with an event stream.

        Args:
            stream_response: What to carry.
            opening: The bytes to open it with; None for what the response asks for.
        """
        if self.left:
            stream_response.drop()
            return
        self._over = self._carry(self._http, stream_response, opening, self.token)
        # One that may be open for days has been told of, with all that came.
        self.seen = self._http.seen
        self._over.addBoth(self._stream_over)

    def _stream_over(self, _outcome: object) -> None:
        self.tell_over()
        self._http.finish()

    def when_over(self, do: Callable[[], None]) -> None:
        """Call ``do`` when the event stream has ended or the client has left; now if that has been."""
        if self._when_over is None:
            do()
        else:
            self._when_over.append(do)

    def tell_over(self) -> None:
        """Do what was to be done when the event stream has ended."""
        waiting, self._when_over = self._when_over, None
        for do in waiting or ():
            do()

    def run(self, work: Coroutine[Any, Any, Reply | None], *, until_left: bool) -> Callable[[], None]:
        """Answer with what ``work`` returns in the end."""
        self._until_left = until_left
        running = Deferred.fromCoroutine(work)
        if not running.called:
            # What is over already may have left other work to answer.
            self._running = running
        running.addCallbacks(self._replied, self._failed)
        return running.cancel

    def _replied(self, reply: Reply | None) -> None:
        # An event stream answers for itself; and who has left gets no answer.
        if reply is not None and not self._http.answered:
            self._send(self._http, reply)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            # Its client has asked for that, and wants no answer (basic/utilities/cancellation).
            self._http.reply(200)
        elif not self._http.answered and not self.left:
            self._fail(self._http, failure)

    def _left(self) -> None:
        """The client has gone: let go of the stream, and of the work where the era has it so."""
        self.left = True
        if self._over is not None:
            self._over.cancel()
        if self._until_left and self._running is not None:
            self._running.cancel()
        self.tell_over()
