"""What can be wrong with a request, as the client is told of it. No I/O.

McpError
├── ParseError               the body is not JSON
├── InvalidRequest           JSON, but no message this endpoint takes
│   ├── SessionRequired      no Mcp-Session-Id where one is needed
│   ├── UnsupportedRevision  MCP-Protocol-Version names one we do not speak
│   ├── TokenRequired        no access token that is taken here
│   │   └── ScopeInsufficient  one that lacks what the call needs
│   ├── OriginRefused        a web page of an origin that is not allowed
│   ├── HostRefused          a Host name this server does not answer for
│   ├── RouteNotFound        no such path
│   ├── WrongHttpMethod      the path exists, the HTTP method does not
│   ├── NotAcceptable        the client excludes every media type we could send
│   ├── WrongMediaType       a body that is not application/json
│   ├── BodyTooLarge         more than MCP_ECHO_MAX_MESSAGE_SIZE or MCP_ECHO_MAX_JSON_VALUES
│   ├── MalformedHttp        not HTTP as RFC 9112 has it
│   ├── OtherProtocol        TLS, HTTP/2 or a WebSocket where HTTP/1.1 is spoken
│   ├── RequestTooSlow       longer than MCP_ECHO_HEADER_TIMEOUT or MCP_ECHO_BODY_TIMEOUT
│   ├── TargetTooLong        a request line of more than MCP_ECHO_MAX_HEADER_BYTES
│   ├── ExpectationFailed    Expect asks for something else than 100-continue
│   ├── HeadTooLarge         more than MCP_ECHO_MAX_HEADERS or MCP_ECHO_MAX_HEADER_BYTES
│   ├── HttpMethodUnknown    no HTTP method that is known here for any path
│   ├── HttpVersionUnsupported
│   └── TooManyRequests      one client asks for more than its share
│       ├── TooManySessionsForHolder
│       │   ├── TooManySessionsForPrincipal  MCP_ECHO_MAX_SESSIONS_PER_PRINCIPAL reached
│       │   └── TooManySessionsForAddress    MCP_ECHO_MAX_SESSIONS_PER_ADDRESS reached
│       ├── TooMuchUnread    more waits on an event stream than one request may bring
│       ├── TooManyStreams   MCP_ECHO_MAX_STREAMS_PER_SESSION reached
│       ├── TooMuchInFlight  MCP_ECHO_MAX_REQUESTS_IN_FLIGHT reached
│       ├── TooMuchHeldByOne  MCP_ECHO_MAX_HELD_BYTES_PER_CLIENT reached
│       ├── SessionsTooFast  MCP_ECHO_INITIALIZE_RATE exceeded
│       └── CallsTooFast     MCP_ECHO_CALL_RATE exceeded
├── MethodNotFound
├── InvalidParams
│   ├── MetaIncomplete       a modern request without its required _meta
│   ├── MetaInvalid          _meta that --strict does not take
│   └── ResourceNotFound
├── HeaderMismatch           a modern request whose HTTP headers and body disagree
├── VersionNotSupported      a modern request in a revision we do not speak
├── CapabilityMissing        the client has not declared what the method needs
├── InternalError            our fault
│   ├── SessionNotFound      unknown, expired, closed, or someone else's
│   ├── TooManySessions      MCP_ECHO_MAX_SESSIONS reached
│   ├── TooMuchHeld          MCP_ECHO_MAX_HELD_BYTES reached
│   ├── IssuerUnreachable    who has issued a token cannot be asked for its keys
│   ├── StoreUnavailable     where sessions are kept cannot be reached
│   ├── TracesUnavailable    where traces are kept cannot be reached
│   └── ServerStopping       the request was not complete when the server began to stop

Each class names its JSON-RPC code and the HTTP status that goes with it, and, where the modern era has it
otherwise, those too: this is the one place where an error meets a status.
https://modelcontextprotocol.io/specification/2025-11-25/basic/transports
https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
"""

from __future__ import annotations

from typing import Any, ClassVar

from mcp_echo.redaction import cut, quoted

MAX_MESSAGE = 2000
"""Characters of a message; what quotes a client at more length is cut before it is worked on."""


class McpError(Exception):
    """A failure that is answered with a JSON-RPC error object.

    Args:
        message: One sentence for the person who reads the client's log.
        data: Machine-readable details, JSON-encodable, or None for no ``data`` member.
        retry_after: Whole seconds until another try makes sense; None where time alone changes nothing.
        remedy: What would let such requests in, for the operator who reads the log; None for nothing.
    """

    code: ClassVar[int] = -32603
    status: ClassVar[int] = 500
    modern_code: ClassVar[int | None] = None
    """The code in the modern era where it differs."""
    modern_status: ClassVar[int | None] = None
    """The status in the modern era where it differs."""

    def __init__(
        self, message: str, data: Any = None, *, retry_after: int | None = None, remedy: str | None = None
    ) -> None:
        self.message = cut(message, MAX_MESSAGE)
        super().__init__(self.message)
        self.data = data
        self.retry_after = retry_after
        self.remedy = remedy

    def code_in(self, modern: bool) -> int:
        """Return the JSON-RPC code in the modern or the legacy era."""
        return self.modern_code if modern and self.modern_code is not None else self.code

    def status_in(self, modern: bool) -> int:
        """Return the HTTP status in the modern or the legacy era."""
        return self.modern_status if modern and self.modern_status is not None else self.status

    @property
    def headers(self) -> dict[str, str]:
        """Extra HTTP response headers this failure calls for."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


class ParseError(McpError):
    """The body is not one JSON text in UTF-8."""

    code = -32700
    status = 400


class InvalidRequest(McpError):
    """The body is JSON, but not a message that this endpoint accepts."""

    code = -32600
    status = 400


class SessionRequired(InvalidRequest):
    """The request needs an ``Mcp-Session-Id`` header and has none (Session Management, rule 2)."""


class UnsupportedRevision(InvalidRequest):
    """``MCP-Protocol-Version`` is invalid or not supported (Protocol Version Header: MUST be 400).

    Args:
        requested: What the client asked for.
        supported: The revisions this server speaks, newest first.
    """

    def __init__(self, requested: str, supported: list[str]) -> None:
        super().__init__(
            f"Unsupported protocol version {quoted(requested)}; supported are {', '.join(supported)}",
            {"supported": supported, "requested": requested},
        )


class TokenRequired(InvalidRequest):
    """A request without an access token that is taken here (basic/authorization: MUST be 401).

    Args:
        message: Why.
        challenge: ``WWW-Authenticate``, which says what to do (RFC 6750 section 3, RFC 9728 section 5.1).
    """

    status = 401

    def __init__(self, message: str, challenge: str) -> None:
        super().__init__(message)
        self.challenge = challenge

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": self.challenge}


class ScopeInsufficient(TokenRequired):
    """The token lacks a scope that the call needs (basic/authorization, Scope Challenge)."""

    status = 403


class OriginRefused(InvalidRequest):
    """``Origin`` is present and not allowed (Security Warning: MUST be 403)."""

    status = 403


class HostRefused(InvalidRequest):
    """``Host`` names a server that this is not (RFC 9110 section 15.5.20)."""

    status = 421


class RouteNotFound(InvalidRequest):
    """No resource at this path."""

    status = 404


class WrongHttpMethod(InvalidRequest):
    """The path does not take this HTTP method (RFC 9110 section 15.5.6).

    Args:
        allowed: The methods it does take.
    """

    status = 405

    def __init__(self, message: str, allowed: list[str]) -> None:
        super().__init__(message)
        self.allowed = allowed

    @property
    def headers(self) -> dict[str, str]:
        return {"Allow": ", ".join(self.allowed)}


class NotAcceptable(InvalidRequest):
    """``Accept`` excludes what would have to be sent (RFC 9110 section 15.5.7)."""

    status = 406


class WrongMediaType(InvalidRequest):
    """``Content-Type`` is not ``application/json`` (RFC 9110 section 15.5.16)."""

    status = 415


class BodyTooLarge(InvalidRequest):
    """The body is larger, or holds more values, than the configured limits (RFC 9110 section 15.5.14)."""

    status = 413


class MalformedHttp(InvalidRequest):
    """The request breaks the grammar or the framing of HTTP/1.1 (RFC 9112)."""


class OtherProtocol(InvalidRequest):
    """A client speaks another protocol than HTTP/1.1: TLS, HTTP/2 or a WebSocket."""


class RequestTooSlow(InvalidRequest):
    """The request was not complete in time (RFC 9110 section 15.5.9)."""

    status = 408


class TargetTooLong(InvalidRequest):
    """The request line is longer than the configured limit (RFC 9112 section 3)."""

    status = 414


class ExpectationFailed(InvalidRequest):
    """``Expect`` has a member other than ``100-continue`` (RFC 9110 section 10.1.1)."""

    status = 417


class HeadTooLarge(InvalidRequest):
    """The header lines are more, or longer, than the configured limits (RFC 6585 section 5)."""

    status = 431


class HttpMethodUnknown(InvalidRequest):
    """No path takes this HTTP method (RFC 9110 section 9.1); methods are case-sensitive."""

    status = 501


class HttpVersionUnsupported(InvalidRequest):
    """The request is of a version of HTTP other than 1.1 and 1.0 (RFC 9110 section 15.6.6)."""

    status = 505


class TooManyRequests(InvalidRequest):
    """One client asks for more than its share (RFC 6585 section 4).

    Nothing is wrong with the server then, and other clients are served: so it is 429 and not 503, which would
    have a load balancer take the whole server for overloaded.
    """

    status = 429


class TooManySessionsForHolder(TooManyRequests):
    """One principal, or one address, has as many sessions and handles as it may, and has used each of them.

    A 429, while the full server of `TooManySessions` is a 503: this one is the caller's own doing, only the
    caller can mend it, and nobody else is kept out.

    Args:
        limit: How many that is.
        retry_after: Whole seconds until one of them may have expired.
    """

    whose: ClassVar[str]
    setting: ClassVar[str]

    def __init__(self, limit: int, retry_after: int) -> None:
        super().__init__(
            f"{self.whose} {limit} sessions in use, as many as {self.setting} allows. "
            f"Try again in {retry_after} s, or end one that is not needed.",
            retry_after=retry_after,
        )


class TooManySessionsForPrincipal(TooManySessionsForHolder):
    """One principal has as many as it may."""

    whose = "You have"
    setting = "MCP_ECHO_MAX_SESSIONS_PER_PRINCIPAL"


class TooManySessionsForAddress(TooManySessionsForHolder):
    """One address has as many as it may; an IPv6 address stands for its /64."""

    whose = "Your address has"
    setting = "MCP_ECHO_MAX_SESSIONS_PER_ADDRESS"


class TooManyStreams(TooManyRequests):
    """A session has as many GET streams open as it may.

    Args:
        limit: How many that is.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"This session has {limit} streams open, as many as MCP_ECHO_MAX_STREAMS_PER_SESSION allows; "
            "close one, or take it over with Last-Event-ID"
        )


class TooMuchUnread(TooManyRequests):
    """More waits for a client than it may leave unread while it goes on to ask."""

    def __init__(self) -> None:
        super().__init__(
            "More answers wait on this session's event stream than one request may bring "
            "(MCP_ECHO_MAX_MESSAGE_SIZE, MCP_ECHO_MAX_BATCH); read the stream, then send this again",
            retry_after=1,
        )


class TooMuchInFlight(TooManyRequests):
    """As many requests are being worked on as may be.

    Args:
        limit: How many that is.
        whose: Whose requests they are, with a preposition.
    """

    def __init__(self, limit: int, whose: str) -> None:
        super().__init__(
            f"{limit} requests {whose} are being worked on, as many as MCP_ECHO_MAX_REQUESTS_IN_FLIGHT "
            "allows; wait for an answer, or cancel one"
        )


class TooMuchHeldByOne(TooManyRequests):
    """The waiting requests and open streams of one client hold as many bytes as they may.

    Args:
        held: How many bytes that is.
        share: How many there may be.
    """

    def __init__(self, held: int, share: int) -> None:
        super().__init__(
            f"Your waiting requests and open streams hold {held} bytes, and with this one would hold more "
            f"than the {share} that MCP_ECHO_MAX_HELD_BYTES_PER_CLIENT allows; wait for an answer, cancel a "
            "request, or close a stream"
        )


class SessionsTooFast(TooManyRequests):
    """Sessions and handles are made from one address faster than they may be.

    Args:
        per_second: How many a second may be made, in the long run.
        retry_after: Whole seconds until one more may be.
    """

    def __init__(self, per_second: int, retry_after: int) -> None:
        super().__init__(
            f"Your address makes sessions faster than the {per_second} a second of MCP_ECHO_INITIALIZE_RATE. "
            f"Try again in {retry_after} s, or use one session for more requests.",
            retry_after=retry_after,
        )


class CallsTooFast(TooManyRequests):
    """Tools and completions are called faster than they may be.

    Args:
        per_second: How many calls a second there may be, in the long run.
        whose: Whose calls they are, with a preposition.
        retry_after: Whole seconds until one more may come.
    """

    def __init__(self, per_second: int, whose: str, retry_after: int) -> None:
        super().__init__(
            f"Calls {whose} come faster than the {per_second} a second that MCP_ECHO_CALL_RATE allows. "
            f"Try again in {retry_after} s.",
            retry_after=retry_after,
        )


class MethodNotFound(McpError):
    """The JSON-RPC method is not offered.

    HTTP 200 in the legacy era, where a 404 says that the session has ended; HTTP 404 in the modern one.
    """

    code = -32601
    status = 200
    modern_status = 404


class InvalidParams(McpError):
    """The params of a known method are wrong."""

    code = -32602
    status = 200


class MetaIncomplete(InvalidParams):
    """``_meta`` lacks what every modern request carries (2026-07-28 basic, _meta)."""

    status = 400


class MetaInvalid(InvalidParams):
    """``_meta`` is not what it must be (basic, _meta; basic/utilities/progress); only strict mode insists."""

    status = 400


class ResourceNotFound(InvalidParams):
    """No resource has this URI (server/resources, Error Handling; the modern era has no -32002)."""

    code = -32002
    modern_code = -32602


class HeaderMismatch(McpError):
    """An HTTP header is missing, malformed or says something else than the body.

    2026-07-28 basic/transports/streamable-http, Server Validation.
    """

    code = -32020
    status = 400


class VersionNotSupported(McpError):
    """A request claims a revision that is not served statelessly here (2026-07-28 basic/versioning).

    Args:
        requested: What the client asked for.
        supported: The revisions this server speaks, newest first.
        hint: A sentence more for the person who reads the client's log.
    """

    code = -32022
    status = 400

    def __init__(self, requested: str, supported: list[str], hint: str = "") -> None:
        super().__init__(
            f"Unsupported protocol version {quoted(requested)}; supported are {', '.join(supported)}{hint}",
            {"supported": supported, "requested": requested},
        )


class CapabilityMissing(McpError):
    """The request needs a client capability that it does not declare (2026-07-28 basic, _meta).

    Args:
        required: The capabilities, as a client would declare them.
    """

    code = -32021
    status = 400

    def __init__(self, required: dict[str, Any]) -> None:
        super().__init__(
            f"This needs the client capability {', '.join(required)}", {"requiredCapabilities": required}
        )


class InternalError(McpError):
    """Something went wrong on our side; the details are in the server's log."""

    def __init__(
        self,
        message: str = "Internal error; the server's log has the details",
        data: Any = None,
        *,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message, data, retry_after=retry_after)


class SessionNotFound(InternalError):
    """The session id is unknown, expired, closed or someone else's; all read the same but to its owner.

    Args:
        fate: What became of it, for its owner alone; None for all others, and where that is not known.
    """

    status = 404

    def __init__(self, fate: str | None = None) -> None:
        super().__init__("Session not found or expired" + ("" if fate is None else f": {fate}"))


class TooManySessions(InternalError):
    """The server holds as many sessions as it may.

    Args:
        limit: How many that is.
        retry_after: Whole seconds until another try makes sense.
    """

    status = 503

    def __init__(self, limit: int, retry_after: int) -> None:
        super().__init__(
            f"The server holds {limit} sessions in use, as many as MCP_ECHO_MAX_SESSIONS allows. "
            f"Try again in {retry_after} s, or end one that is not needed.",
            retry_after=retry_after,
        )


class TooMuchHeld(InternalError):
    """The waiting requests and open streams of all clients hold as many bytes as they may.

    Args:
        limit: How many that is.
    """

    status = 503

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"Waiting requests and open streams hold the {limit} bytes that MCP_ECHO_MAX_HELD_BYTES allows. "
            "Try again in 5 s.",
            retry_after=5,
        )


class IssuerUnreachable(InternalError):
    """The keys of a token's issuer cannot be had, so that nobody knows whether the token is good."""

    status = 503


class StoreUnavailable(InternalError):
    """Where sessions are kept cannot be reached, or takes nothing more.

    No 404: that would have every client begin a new session, all at once, although theirs may be there.

    Args:
        retry_after: Whole seconds until another try makes sense.
    """

    status = 503

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            f"The session store is unavailable. Keep your session, and try again in {retry_after} s.",
            retry_after=retry_after,
        )


class TracesUnavailable(InternalError):
    """Where traces are kept cannot be reached, or takes nothing more."""

    status = 503

    def __init__(self) -> None:
        super().__init__("The store of the traces is unavailable: try again in 2 s", retry_after=2)


class ServerStopping(InternalError):
    """The server stops, and does not wait for the rest of a request.

    Args:
        retry_after: Whole seconds until another try makes sense.
    """

    status = 503

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            f"The server is stopping, and this request was not complete. Try again in {retry_after} s.",
            retry_after=retry_after,
        )
