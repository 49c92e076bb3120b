"""Every private name of Twisted that is used, each behind a function: where to look at a new Twisted.

They bound the versions of Twisted that are allowed (pyproject.toml). Each has a test of what it is used for.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet import tcp, unix
from twisted.internet.interfaces import IProtocolFactory
from twisted.web.client import HTTPConnectionPool


def has_written_all(transport: tcp.Connection) -> bool:
    """Return whether this is a plain, open socket that nothing waits to be written to.

    Twisted has no public way to ask what waits in a connection's buffer.
    """
    return (
        not transport.TLS
        and bool(transport.connected)
        and not transport.disconnecting
        and not transport._tempDataBuffer
        and transport.offset == len(transport.dataBuffer)
    )


def leave_open_for_others(port: Any) -> None:
    """Have a port close its own descriptor at its end, and shut down nothing that others have too."""
    port._shouldShutdown = False


def tcp_port(
    kind: type[tcp.Port], reactor: Any, descriptor: int, family: int, factory: IProtocolFactory
) -> Any:
    """Return a port of this class for a copy of a listening socket.

    `IReactorSocket.adoptStreamPort` does so for Twisted's own class alone.
    """
    return cast(Any, kind)._fromListeningDescriptor(reactor, descriptor, family, factory)


def unix_port(kind: type[unix.Port], reactor: Any, descriptor: int, factory: IProtocolFactory) -> Any:
    """Return a port of this class for a copy of a listening Unix socket, whose file others remove."""
    port = cast(Any, kind)._fromListeningDescriptor(reactor, descriptor, factory)
    # Twisted would set the file's mode, and remove it at last; a name that begins so is in no file system.
    port._bindPath = b"\0" + port._bindPath
    return port


def connect_quietly(pool: HTTPConnectionPool) -> None:
    """Have a pool's connections begin and end without a line in the log."""

    class Quiet(pool._factory):  # type: ignore[name-defined]
        noisy = False

    pool._factory = Quiet
