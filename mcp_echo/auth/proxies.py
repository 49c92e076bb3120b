"""What trusted proxies say of who is calling: addresses and principals, parsed and never guessed. No I/O.

A header that anybody can send proves nothing; it is believed only from a peer that the operator trusts, and
such a peer is expected to have removed what clients sent under the same name.
https://modelcontextprotocol.io/specification/2025-11-25/basic/security_best_practices#session-hijacking
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple

import msgspec

from mcp_echo.auth.credentials import is_invisible
from mcp_echo.protocol.errors import InvalidRequest
from mcp_echo.redaction.placeholders import is_unfilled

UNIX = "unix"
"""The word for peers on a Unix socket, which have no address."""

MAX_PRINCIPAL = 256
"""Longest name of a principal, in characters: e-mail addresses have 254 at most."""

MAX_HOPS = 32
"""Proxies that a request may have come through; beyond them nobody is believed."""


class Caller(NamedTuple):
    """Who sends a request, as far as it is known and believed."""

    peer: str
    """The address of the other end of the connection, or ``unix``."""
    address: str
    """The client's address: the peer's, or the one that trusted proxies report."""
    trusted: bool
    """Whether the peer is a trusted proxy."""
    principal: str | None
    """Who the caller is, as the trusted proxy says."""
    source: str | None
    """What the principal is taken from; None where there is none."""


class TrustedProxies:
    """The peers that are believed.

    Args:
        entries: Addresses, networks and the word ``unix``.

    Raises:
        ValueError: An entry is none of these.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        wanted = tuple(entries)
        self._unix = UNIX in wanted
        self._networks = tuple(ip_network(entry) for entry in wanted if entry != UNIX)

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def trusts(self, peer: str) -> bool:
        """Return whether ``peer``, an address or ``unix``, is to be believed."""
        if peer == UNIX:
            return self._unix
        address = parse_address(peer)
        return address is not None and self._trusts(address)

    def _trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(_contains(network, address) for network in self._networks)

    def client(self, peer: str, forwarded_for: Sequence[str]) -> str:
        """Return the address of the client behind a trusted ``peer``.

        Each proxy appends the address it was called from, so that only what trusted ones have appended can be
        believed: the walk goes from the right and ends at the first address that is not a trusted proxy's.

        Args:
            peer: The trusted peer.
            forwarded_for: The values of ``X-Forwarded-For``, in order.
        """
        client = peer
        hops = ",".join(forwarded_for).rsplit(",", MAX_HOPS)
        for hop in reversed(hops[-MAX_HOPS:]):
            address = parse_address(hop.strip())
            if address is None:
                return client
            client = str(address)
            if not self._trusts(address):
                return client
        return client


def _contains(network: IPv4Network | IPv6Network, address: IPv4Address | IPv6Address) -> bool:
    return network.version == address.version and address in network


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address written alone or with a port, IPv6 then in brackets; None when it is none.

    An IPv4 address that IPv6 carries is returned as what it is (RFC 4291 section 2.5.5.2).
    """
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


_DUTY = "it must name the caller, or be left out"


def named_principal(values: Sequence[str], field: str) -> str | None:
    """Return the principal that a header field names; None when there is none or it is empty.

    An empty value is what proxies send for callers that are not logged in. Whatever else is there names
    somebody or is refused: nobody is an owner like any other, and all who are nobody share what it owns.

    Args:
        values: The values of the field, which may only have one.
        field: Its name, for the error.

    Raises:
        InvalidRequest: It is given more than once, is too long, cannot be seen or is a variable that was not
            filled in: none of these names anybody.
    """
    name = single_value(values, field)
    if not name:
        return None
    if all(map(is_invisible, name)):
        raise InvalidRequest(f"Invalid request: {field} has no visible character; {_DUTY}")
    if is_unfilled(name):
        raise InvalidRequest(
            f"Invalid request: {field} is {name}, a variable that the proxy has not filled in; {_DUTY}"
        )
    # A token's principal is a JSON array of two texts; no name may read like one.
    return _bounded(_json([name]) if name.startswith("[") else name, field)


def single_value(values: Sequence[str], field: str) -> str | None:
    """Return the value of a header field that may only have one.

    Raises:
        InvalidRequest: It is given more than once.
    """
    if len(values) > 1:
        raise InvalidRequest(f"Invalid request: {field} is given {len(values)} times")
    return values[0] if values else None


def token_principal(claims: Mapping[str, Any] | None) -> str:
    """Return the principal of a token's claims: issuer and subject, which together name one (RFC 7519 4.1.2).

    Args:
        claims: The claims; None for a token that is encrypted.

    Raises:
        NamesNobody: The two do not name anybody, or are too long.
    """
    if claims is None:
        raise NamesNobody("it is encrypted (JWE), and its claims cannot be read here")
    subject, issuer = claims.get("sub"), claims.get("iss")
    if not isinstance(subject, str):
        raise NamesNobody("its sub is not a string" if "sub" in claims else "it has no sub")
    if all(map(is_invisible, subject)):
        raise NamesNobody("its sub is empty, or has no visible character")
    if not (isinstance(issuer, str) or "iss" not in claims):
        raise NamesNobody("its iss is not a string")
    return _bounded(_json([issuer, subject]), "the bearer token's iss and sub")


class NamesNobody(InvalidRequest):
    """There is a token, and it cannot be told whom it names: nobody is not meant.

    Args:
        reason: A clause about the token.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"Invalid request: the bearer token names nobody: {reason}. "
            "MCP_ECHO_PRINCIPAL_FROM=subject takes the caller from its iss and sub"
        )


def _json(texts: Sequence[str | None]) -> str:
    # As JSON no other texts read the same.
    return msgspec.json.encode(texts).decode()


def _bounded(principal: str, source: str) -> str:
    if len(principal) > MAX_PRINCIPAL:
        raise InvalidRequest(
            f"Invalid request: {source} names a principal of {len(principal)} characters; "
            f"at most {MAX_PRINCIPAL} are taken"
        )
    return principal
