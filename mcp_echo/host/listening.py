"""Where to listen: from the settings to an endpoint, and a service that holds it while it runs."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcp_echo.redaction import mask_tokens
from mcp_echo.settings.table import ConfigError, Settings

STOP_MARGIN = 5.0
"""Seconds that a stop may take beyond the drain."""

UNSENT_BYTES = 64 * 1024
"""What the kernel is to hold for a client that does not read; left alone, it takes megabytes for each, and a
few thousand of them have all the memory that the machine has for TCP."""


class StartError(Exception):
    """The service cannot start; the message is one line for the operator."""


def endpoint_description(settings: Settings) -> str:
    """Return the Twisted endpoint description of the port to listen on."""
    return _description(settings.port, settings.host)


def metrics_description(settings: Settings) -> str | None:
    """Return the Twisted endpoint description of the port to be scraped on; None for none."""
    return None if settings.metrics_port is None else _description(settings.metrics_port, "127.0.0.1")


def _description(port: str, host: str) -> str:
    if not port.isdigit():
        return port
    interface = host.replace("\\", "\\\\").replace(":", "\\:")
    return f"tcp:{int(port)}:interface={interface}"


def endpoint(reactor: object, description: str, variable: str) -> IStreamServerEndpoint:
    """Return the endpoint that is described.

    Args:
        reactor: Listens.
        description: What `serverFromString` takes.
        variable: The setting it comes from, for the message.

    Raises:
        ConfigError: There is no such endpoint.
    """
    try:
        return cast(IStreamServerEndpoint, serverFromString(reactor, description))
    except Exception as error:
        # Endpoint parsers are plugins and raise what they like; to the operator it is one bad setting.
        reason = f"{type(error).__name__}: {error}"
        example = "such as 3000 or unix:/run/mcp.sock"
        problem = f"{variable} {description!r} is not a port or an endpoint, {example}"
        raise ConfigError(f"{problem} ({reason})") from None


class Place(NamedTuple):
    """Where to listen."""

    endpoint: IStreamServerEndpoint
    description: str
    """The endpoint's description, for the log."""
    refused: Callable[[], None]
    """Called when an endpoint that takes its time to listen has failed to."""
    quiet: bool = False
    """Whether nothing is said of it at the start: it is one worker's share of what its parent tells."""


class Listening(Service):
    """A port that listens while the service runs.

    Args:
        place: Where to listen.
        factory: Takes the connections.
    """

    _log = Logger("mcp_echo")

    def __init__(self, place: Place, factory: IProtocolFactory) -> None:
        self._place = place
        self._factory = factory
        self.port: Deferred[Any] | None = None
        """Fires with the port once it listens; None before the start."""

    def privilegedStartService(self) -> None:
        """Listen, while privileges last.

        Raises:
            StartError: The port cannot be had; a daemon that runs on without one helps nobody.
        """
        super().privilegedStartService()
        # Twisted's own service would write a late refusal to the log and run on.
        listening = self._place.endpoint.listen(self._factory)
        refusals: list[Failure] = []
        if listening.called:
            listening.addErrback(refusals.append)
        self.port = listening
        for refusal in refusals:
            refusal.trap(CannotListenError, OSError, OverflowError)
            raise StartError(mask_tokens(f"{self._cannot(refusal)}{_advice(refusal.value)}")) from None

    def startService(self) -> None:
        """Take connections.

        Raises:
            StartError: As for the above, if that was not called.
        """
        super().startService()
        if self.port is None:
            self.privilegedStartService()
        cast(Deferred[Any], self.port).addCallbacks(self._take_connections, self._give_up)

    def _take_connections(self, port: IListeningPort) -> IListeningPort:
        """Take connections on a port that listens."""
        _bound_unsent(port)
        return port

    def _give_up(self, refusal: Failure) -> None:
        if not refusal.check(CancelledError):
            self._log.critical("{problem}", problem=self._cannot(refusal))
            self._place.refused()

    def _cannot(self, refusal: Failure) -> str:
        return f"cannot listen on {self._place.description}: {refusal.getErrorMessage().rstrip('.')}"

    def _close(self) -> Deferred[Any] | None:
        """Take no more connections."""
        if self.port is None:
            return None
        self.port.cancel()
        return self.port.addCallback(lambda port: None if port is None else port.stopListening())


def _bound_unsent(port: IListeningPort) -> None:
    """Bound what the kernel takes of an answer ahead of the client; connections inherit it.

    As tcp_notsent_lowat does for all of a machine (https://docs.kernel.org/networking/ip-sysctl.html).
    """
    # In memory there is no socket, and a Unix socket's buffers do not grow. Not every system has the option.
    listening, option = getattr(port, "socket", None), getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if isinstance(listening, socket.socket) and listening.family != socket.AF_UNIX and option is not None:
        listening.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)


_ADVICE = {
    errno.EADDRINUSE: "stop what listens there, or take another port with --port (0: any that is free)",
    errno.EACCES: "take a port from 1024 on with --port, or a socket that systemd passes",
    errno.ENOENT: "make the directory of the socket first",
    errno.EADDRNOTAVAIL: "take an address of this machine with --host",
}


def _advice(problem: object) -> str:
    """Return what to do about a port that cannot be had, after a semicolon; nothing where that is unknown."""
    cause = getattr(problem, "socketError", problem)
    advice = _ADVICE.get(getattr(cause, "errno", None) or 0)
    return "" if advice is None else f"; {advice}"
