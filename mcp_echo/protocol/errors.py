"""What can be wrong with a request, as the client is told of it. No I/O.

McpError
├── ParseError               the body is not JSON
├── InvalidRequest           JSON, but no message this endpoint takes
│   ├── SessionRequired      no Mcp-Session-Id where one is needed
│   ├── UnsupportedRevision  MCP-Protocol-Version names one we do not speak
│   ├── OriginRefused        a web page of an origin that is not allowed
│   ├── HostRefused          a Host name this server does not answer for
│   ├── RouteNotFound        no such path
│   ├── WrongHttpMethod      the path exists, the HTTP method does not
│   ├── NotAcceptable        the client excludes every media type we could send
│   ├── WrongMediaType       a body that is not application/json
│   └── BodyTooLarge         more bytes than ECHO_MAX_MESSAGE_SIZE
├── MethodNotFound
├── InvalidParams
├── ResourceNotFound
├── InternalError            our fault
│   ├── SessionNotFound      unknown, expired, closed, or someone else's
│   └── TooManySessions      MCP_MAX_SESSIONS reached

Each class names its JSON-RPC code and the HTTP status that goes with it: this is the one place where an
error meets a status. https://modelcontextprotocol.io/specification/2025-11-25/basic/transports
"""

from __future__ import annotations

from typing import Any, ClassVar


class McpError(Exception):
    """A failure that is answered with a JSON-RPC error object.

    Args:
        message: One sentence for the person who reads the client's log.
        data: Machine-readable details, JSON-encodable, or None for no ``data`` member.
    """

    code: ClassVar[int] = -32603
    status: ClassVar[int] = 500

    def __init__(self, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data

    @property
    def headers(self) -> dict[str, str]:
        """Extra HTTP response headers this failure calls for."""
        return {}


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
            f"Unsupported protocol version {requested!r}; supported are {', '.join(supported)}",
            {"supported": supported, "requested": requested},
        )


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
    """The body is larger than the configured limit (RFC 9110 section 15.5.14)."""

    status = 413


class MethodNotFound(McpError):
    """The JSON-RPC method is not offered.

    HTTP 200: in the legacy revisions a 404 says that the session has ended.
    """

    code = -32601
    status = 200


class InvalidParams(McpError):
    """The params of a known method are wrong."""

    code = -32602
    status = 200


class ResourceNotFound(McpError):
    """No resource has this URI (2025-11-25 server/resources, Error Handling)."""

    code = -32002
    status = 200


class InternalError(McpError):
    """Something went wrong on our side; the details are in the server's log."""


class SessionNotFound(InternalError):
    """The session id is unknown, expired, closed or someone else's; all read the same."""

    status = 404

    def __init__(self) -> None:
        super().__init__("Session not found or expired")


class TooManySessions(InternalError):
    """The server holds as many sessions as it may.

    Args:
        limit: How many that is.
        retry_after: Whole seconds until another try makes sense.
    """

    status = 503

    def __init__(self, limit: int, retry_after: int) -> None:
        super().__init__(
            f"The server holds {limit} sessions, as many as MCP_MAX_SESSIONS allows. "
            f"Try again in {retry_after} s, or end a session with DELETE."
        )
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}
