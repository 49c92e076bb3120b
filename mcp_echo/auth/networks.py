"""Addresses that count as one client. No I/O."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Network, ip_address


@lru_cache(maxsize=1024)
def _ipv6_network(address: str) -> str:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((parsed, 64), strict=False))


def network_of(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 that an IPv6 subscriber has."""
    return _ipv6_network(address) if ":" in address else address
