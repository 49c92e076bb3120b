"""How many connections each address has open, and how many it may have."""

from __future__ import annotations

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from mcp_echo.auth.networks import network_of
from mcp_echo.auth.proxies import UNIX, TrustedProxies
from mcp_echo.transport.edge.peers import host_of


class Neighbours:
    """The addresses that have connections open, each with its number of them.

    A trusted proxy brings many clients, and a Unix socket has no address: neither has a share.

    Args:
        share: Connections that one address, or one IPv6 /64, may have.
        trusted: The proxies.
    """

    _log = Logger("mcp_echo")

    def __init__(self, share: int, trusted: TrustedProxies) -> None:
        self.share = share
        self._trusted = trusted
        self._open: dict[str, int] = {}
        self._crowded: set[str] = set()
        """Those that were told of, until they have a tenth of their share free again."""

    def __len__(self) -> int:
        return len(self._open)

    def name(self, address: IAddress | None) -> str | None:
        """Return what has the share that a connection counts against; None for nobody's."""
        peer = UNIX if address is None else host_of(address)
        return None if peer == UNIX or self._trusted.trusts(peer) else network_of(peer)

    def has_room(self, name: str | None) -> bool:
        """Return whether one more connection may come; the log hears once of an address that has none."""
        if name is None or self._open.get(name, 0) < self.share:
            return True
        if name not in self._crowded:
            self._crowded.add(name)
            self._log.warn(
                "{name} has {count} connections, as many as MCP_ECHO_MAX_CONNECTIONS_PER_ADDRESS allows: "
                "closing new ones",
                name=name,
                count=self.share,
            )
        return False

    def came(self, name: str | None) -> None:
        """Count a connection that is open now."""
        if name is not None:
            self._open[name] = self._open.get(name, 0) + 1

    def left(self, name: str | None) -> None:
        """Count a connection that has ended."""
        if name is None:
            return
        count = self._open.pop(name) - 1
        if count:
            self._open[name] = count
        if count <= self.share * 9 // 10:
            self._crowded.discard(name)
