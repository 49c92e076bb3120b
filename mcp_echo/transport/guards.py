"""Who may talk to the server at all: Host and Origin, checked before anything else is looked at.

https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#security-warning
"""

from __future__ import annotations

from twisted.web.iweb import IRequest

from mcp_echo.config import Settings
from mcp_echo.protocol.cors import CorsPolicy
from mcp_echo.protocol.errors import HostRefused, OriginRefused
from mcp_echo.protocol.origins import AllowedHosts

_WILDCARD_ADDRESSES = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  # compared with, never bound

_MAX_SEEN_HOSTS = 64


class Guards:
    """The allow-lists of one server.

    Args:
        settings: ``allowed_hosts``, ``allowed_origins``, the bind address and the CORS settings.

    Raises:
        ValueError: An entry of an allow-list is malformed.
    """

    def __init__(self, settings: Settings) -> None:
        bound = () if settings.host in _WILDCARD_ADDRESSES else (_as_host(settings.host),)
        self._hosts = AllowedHosts((*settings.allowed_hosts, *bound))
        self._seen_hosts: set[bytes] = set()
        self.cors = CorsPolicy.of(settings)

    def check(self, request: IRequest) -> None:
        """Let the request pass, with the CORS headers its origin is due, or refuse it.

        Raises:
            OriginRefused: A page of an origin that is not allowed sent it.
            HostRefused: It is meant for another server (DNS rebinding).
        """
        self.check_origin(request)
        host = request.getHeader(b"host")
        if host is not None and host not in self._seen_hosts and not self._allows_host(host):
            raise HostRefused(
                "Host not allowed here; add it to MCP_ECHO_ALLOWED_HOSTS if it is this server's"
            )

    def _allows_host(self, host: bytes) -> bool:
        allowed = self._hosts.allows(host.decode("latin-1"))
        # Clients send the same few names over and over; only good ones are kept, and few of those.
        if allowed and len(self._seen_hosts) < _MAX_SEEN_HOSTS:
            self._seen_hosts.add(host)
        return allowed

    def check_origin(self, request: IRequest) -> None:
        """Check ``Origin`` alone.

        Raises:
            OriginRefused: A page of an origin that is not allowed sent it.
        """
        values = request.requestHeaders.getRawHeaders(b"origin")
        if values is None:
            return
        # Browsers send one (RFC 6454 section 7.3); of several, each has to be let in.
        origins = [value.decode("latin-1") for value in values]
        if not all(map(self.cors.allowed.allows, origins)):
            raise OriginRefused(
                "Origin not allowed; add it to MCP_ECHO_ALLOWED_ORIGINS if its pages may call"
            )
        for name, value in self.cors.answer_headers(origins[-1]):
            request.setHeader(name, value)


def _as_host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
