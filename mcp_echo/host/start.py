"""What a start says: where clients and people find the server, where its log goes, and what is open to all.

On a terminal it is a few lines to click or to paste; elsewhere they are entries of the log.
"""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.logger import Logger

from mcp_echo.host.private_file import PrivateFile
from mcp_echo.settings.table import DECLARED, Settings

_log = Logger("mcp_echo")

_OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""What this machine is called by itself, the best first."""

_PING = """--json '{"jsonrpc":"2.0","id":1,"method":"ping"}'"""

_DEFAULT_HOSTS = next(each.default for each in DECLARED if each.name == "allowed_hosts")


class Reached(NamedTuple):
    """How a port is reached."""

    base: str
    """The URL without a path."""
    socket: str | None = None
    """The Unix socket; None for TCP. An abstract one begins with a NUL."""
    by_others: bool = False
    """Whether it can be reached from other machines."""

    def at(self, path: str, options: str = "") -> str:
        """Return a path of the server for people to click or to paste.

        Args:
            path: Begins with a slash.
            options: What curl has to be told besides, for a Unix socket.
        """
        if self.socket is None:
            return f"{self.base}{path}"
        kind = "abstract-unix-socket" if self.socket.startswith("\0") else "unix-socket"
        words = f"curl --{kind} {shlex.quote(self.socket.lstrip(chr(0)))} {self.base}{path}"
        return f"{words} {options}" if options else words


def reached(description: str, address: object, allowed_hosts: tuple[str, ...] = ("*",)) -> Reached:
    """Return how a port is reached from this machine.

    Args:
        description: The endpoint's.
        address: What the port listens on (IAddress).
        allowed_hosts: The names that it answers for.
    """
    scheme = "https" if "ssl" in description.split(":")[:2] else "http"
    if isinstance(address, UNIXAddress):
        return Reached(f"{scheme}://localhost", os.fsdecode(address.name or b""))
    if not isinstance(address, IPv4Address | IPv6Address):
        return Reached(f"{scheme}://{address}")
    bound = ip_address(address.host.partition("%")[0])
    name = f"[{address.host}]" if bound.version == 6 else address.host
    if bound.is_unspecified:
        name = _name_for_all(allowed_hosts)
    return Reached(f"{scheme}://{name}:{address.port}", by_others=not bound.is_loopback)


def _name_for_all(allowed_hosts: tuple[str, ...]) -> str:
    """Return a name that is answered for, of a server that listens on all addresses."""
    if "*" in allowed_hosts or not allowed_hosts:
        return _OWN_NAMES[0]
    names = [each.removesuffix(":*") for each in allowed_hosts]
    return next((each for each in _OWN_NAMES if each in names), names[0].partition(":")[0])


@dataclass(frozen=True, slots=True)
class Start:
    """What there is to say of a server that has begun to listen."""

    settings: Settings
    description: str
    """The endpoint's."""
    address: object
    """What the port listens on (IAddress)."""

    def announce(self) -> None:
        """Say where the server and its page are found, and where its log goes."""
        settings, where = self.settings, self._where()
        for warning in self._warnings():
            warn(warning, settings)
        shown = for_people(settings)
        if settings.log_file is not None or not shown:
            self._log_addresses(where)
        if shown:
            _print(*self._lines(where))

    def tell_trace(self, trace: str) -> PrivateFile | None:
        """Say where it is shown what comes to ``/mcp``, to nobody but the operator.

        Args:
            trace: The trace's id, which lets read what it has.

        Returns:
            The file that has the address, for its user alone; None where a terminal shows it.
        """
        address = self._where().at(f"/t/{trace}/")
        if for_people(self.settings):
            _print(f"Trace:  {address}")
            return None
        try:
            file = PrivateFile("mcp-echo-trace-", f"{address}\n")
        except OSError as error:
            _log.warn(
                "The address of the page that shows what comes to /mcp cannot be written down: {reason}",
                reason=error.strerror,
            )
            return None
        path = str(file.path)
        _log.info("What comes to /mcp is shown at the address in {trace_page_file}", trace_page_file=path)
        return file

    def _where(self) -> Reached:
        if self.settings.public_url is not None:
            return Reached(self.settings.public_url)
        return reached(self.description, self.address, self.settings.allowed_hosts)

    @property
    def _has_page(self) -> bool:
        return self.settings.watch != "off"

    def _lines(self, where: Reached) -> list[str]:
        """Return what a terminal shows."""
        lines = [f"MCP:    {where.at('/mcp', _PING)}"]
        if self._has_page:
            lines.append(f"Page:   {where.at('/')}")
        if self.settings.log_file is not None:
            lines.append(f"Log:    {self.settings.log_file}")
        return lines

    def _log_addresses(self, where: Reached) -> None:
        on = " on the Unix socket {unix_socket}" if where.socket is not None else ""
        by = " by {workers} workers" if self.settings.workers > 1 else ""
        _log.info(
            f"Serving MCP at {{mcp_url}}{on}{by}",
            mcp_url=f"{where.base}/mcp",
            unix_socket=where.socket,
            workers=self.settings.workers,
        )
        if self._has_page:
            _log.info("The page for people is {page_url}", page_url=f"{where.base}/")

    def _warnings(self) -> list[str]:
        settings = self.settings
        if not reached(self.description, self.address).by_others:
            return []
        warnings = []
        if not settings.trusted_proxies:
            warnings.append(
                "Whoever reaches this port can use the server, which asks nobody who they are: open it to "
                "none but those who may, put a gateway before it, or bind it to 127.0.0.1 (MCP_ECHO_HOST)"
            )
        if ",".join(settings.allowed_hosts) == _DEFAULT_HOSTS:
            warnings.append(
                "MCP_ECHO_ALLOWED_HOSTS has only this machine's own names, and requests for any other are "
                "answered with 421: add the names by which clients on other machines reach it"
            )
        return warnings


def for_people(settings: Settings) -> bool:
    """Return whether standard output is a terminal that somebody reads."""
    return settings.log_format == "text" and sys.__stdout__ is not None and sys.__stdout__.isatty()


def warn(text: str, settings: Settings) -> None:
    """Log a warning about the start, and show it where the log does not."""
    _log.warn("{text}", text=text)
    if settings.log_file is not None and for_people(settings):
        _print(f"Warning: {text}")


def _print(*lines: str) -> None:
    # twistd has turned sys.stdout into a log by now.
    with suppress(OSError):
        print(*lines, sep="\n", file=sys.__stdout__, flush=True)
