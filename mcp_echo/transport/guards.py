"""Who may talk to the server at all: Host and Origin, checked before anything else is looked at.

https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#security-warning
"""

from __future__ import annotations

from collections.abc import Callable

from mcp_echo.http.cors import CorsPolicy
from mcp_echo.http.origins import AllowedHosts, entry_for_host, entry_for_origin
from mcp_echo.protocol.errors import HostRefused, OriginRefused, WrongMediaType
from mcp_echo.redaction import mask_tokens
from mcp_echo.settings.table import Settings
from mcp_echo.transport.edge.answer import lines_of
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.transport.edge.head import Head

_WILDCARD_ADDRESSES = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  # compared with, never bound

_MAX_SEEN_HOSTS = 64

_MOST_PARSED = 300
"""Characters of a header that could be an entry: a host name has 253 at most (RFC 1035 section 2.3.4)."""


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

    def check(self, exchange: HttpExchange) -> None:
        """Let the request pass, with the CORS headers its origin is due, or refuse it.

        Raises:
            OriginRefused: A page of an origin that is not allowed sent it.
            HostRefused: It is meant for another server (DNS rebinding).
        """
        if b"origin" in exchange.head.fields:
            self.check_origin(exchange)
        self.check_host(exchange)

    def check_host(self, exchange: HttpExchange) -> None:
        """Check ``Host`` alone.

        Raises:
            HostRefused: The request is meant for another server (DNS rebinding).
        """
        hosts = exchange.head.fields.get(b"host")
        if hosts is not None and hosts[0] not in self._seen_hosts and not self._allows_host(hosts[0]):
            entry = _entry(hosts[0], entry_for_host)
            raise HostRefused(
                f"Host not allowed here; {_add(entry, 'hosts')} if it is this server's",
                remedy=entry and f"add {entry} to --allowed-hosts",
            )

    def _allows_host(self, host: bytes) -> bool:
        allowed = self._hosts.allows(host.decode("latin-1"))
        # Clients send the same few names over and over; only good ones are kept, and few of those.
        if allowed and len(self._seen_hosts) < _MAX_SEEN_HOSTS:
            self._seen_hosts.add(host)
        return allowed

    def check_origin(self, exchange: HttpExchange) -> None:
        """Check ``Origin`` alone.

        Raises:
            OriginRefused: A page of an origin that is not allowed sent it.
        """
        if b"origin" not in exchange.head.fields:
            return
        lines = self.cors_lines(exchange.head)
        if not lines:
            entry = _entry(exchange.head.fields[b"origin"][-1], entry_for_origin)
            raise OriginRefused(
                f"Origin not allowed; {_add(entry, 'origins')} if its pages may call",
                remedy=entry and f"add {entry} to --allowed-origins",
            )
        exchange.lines.extend(lines)

    def cors_lines(self, head: Head) -> tuple[bytes, ...]:
        """Return the CORS headers that the origin of a request is due; none where it is not let in.

        Browsers send one origin (RFC 6454 section 7.3); of several, each has to be let in.
        """
        origins = [value.decode("latin-1") for value in head.fields.get(b"origin", ())]
        if not origins or not all(map(self.cors.allowed.allows, origins)):
            return ()
        return lines_of(self.cors.answer_headers(origins[-1]))


def check_json(exchange: HttpExchange) -> None:
    """Insist on a body that is said to be JSON.

    Raises:
        WrongMediaType: It is said to be something else, or nothing is said.
    """
    media_type = (exchange.joined(b"content-type") or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise WrongMediaType("Unsupported media type: Content-Type must be application/json")


def _entry(value: bytes, entry_for: Callable[[str], str | None]) -> str | None:
    """Return the entry of a list that would let a header in; None where there is none, or a secret is in it.

    An entry is made of what was parsed: letters, digits and a few marks, and at most 300 of them.
    """
    written = value[:_MOST_PARSED].decode("latin-1")
    if len(value) > _MOST_PARSED or mask_tokens(written) != written:
        return None
    return entry_for(written)


def _add(entry: str | None, what: str) -> str:
    return f"add {entry or 'it'} to --allowed-{what} (MCP_ECHO_ALLOWED_{what.upper()})"


def _as_host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
