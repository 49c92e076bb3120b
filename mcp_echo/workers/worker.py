"""A worker's side: it serves on the port that its parent holds, for as long as the parent is there."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Callable
from typing import Any, cast

from twisted.application.service import Service
from twisted.internet import tcp, unix
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger

from mcp_echo.host.descriptor import DescriptorReader
from mcp_echo.host.listening import endpoint
from mcp_echo.host.twisted_private import tcp_port, unix_port
from mcp_echo.workers.assignment import PARENT_FD, PORT_FD, Assignment

FEW = 4
"""Connections that a worker takes without a look at the others: those of clients that close each at once."""

LOOK_AWAY = 0.001
"""Seconds that a worker with more leaves the next ones to the others."""

_ACTIVATED = re.compile(r"(^|:)systemd:.*")


def shared_endpoint(
    reactor: object, description: str, variable: str, has: Callable[[], int], descriptor: int = PORT_FD
) -> IStreamServerEndpoint:
    """Return the endpoint that is described, on a port that listens already.

    Everything but the port itself is as described: TLS, or whatever else wraps one.

    Args:
        reactor: Listens.
        description: What `serverFromString` takes.
        variable: The setting it comes from, for the message.
        has: Returns how many connections this worker has.
        descriptor: The port.

    Raises:
        ConfigError: There is no such endpoint.
    """
    # The sockets that systemd passes are the parent's alone (LISTEN_PID).
    inner = _ACTIVATED.sub(r"\1tcp:0", description)
    return endpoint(_Adopting(reactor, descriptor, has), inner, variable)


class _Adopting:
    """A reactor that listens on one port only, whichever it is asked for.

    Args:
        reactor: Does everything else.
        descriptor: The port.
        has: Returns how many connections this worker has.
    """

    def __init__(self, reactor: Any, descriptor: int, has: Callable[[], int]) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._has = has

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, _port: object, factory: IProtocolFactory, *_: object, **__: object) -> IListeningPort:
        """Listen."""
        return adopted(self._reactor, self._descriptor, factory, self._has)

    listenUNIX = listenTCP

    def listenSSL(
        self,
        _port: object,
        factory: IProtocolFactory,
        *,
        contextFactory: Any,  # noqa: N803  # Twisted's interface
        **_: object,
    ) -> IListeningPort:
        """Listen, with TLS as the reactor itself adds it."""
        from twisted.protocols.tls import TLSMemoryBIOFactory

        tls = TLSMemoryBIOFactory(contextFactory, False, factory)
        return adopted(self._reactor, self._descriptor, tls, self._has)


class _Sharing:
    """A port that leaves connections to the other workers.

    Twisted's takes all that there are, so that of many clients that come at once nearly all would be one
    worker's for as long as they stay. This one takes one at a time, and while it has some, it looks away
    before it takes the next.
    """

    numberAccepts = property(lambda _: 1, lambda _, __: None)
    _shouldShutdown = False  # shutdown(2) would end the port of all the others
    reactor: Any
    has: Callable[[], int]
    """Returns how many connections this worker has."""

    def doRead(self) -> None:
        """Take a connection, and give the others a chance to take the next."""
        super().doRead()  # type: ignore[misc]  # of the class that this one is mixed with
        if self.connected and self.has() >= FEW:  # type: ignore[attr-defined]
            self.stopReading()  # type: ignore[attr-defined]
            self.reactor.callLater(LOOK_AWAY, self._look_again)

    def _look_again(self) -> None:
        if self.connected:  # type: ignore[attr-defined]
            self.startReading()  # type: ignore[attr-defined]


class _TcpPort(_Sharing, tcp.Port):
    pass


class _UnixPort(_Sharing, unix.Port):
    pass


def adopted(
    reactor: Any, descriptor: int, factory: IProtocolFactory, has: Callable[[], int]
) -> IListeningPort:
    """Return a port that others share, listening.

    As `IReactorSocket.adoptStreamPort` does, with ports that leave something to the others.

    Args:
        reactor: Listens.
        descriptor: The port's socket, which is closed: the port has a copy.
        factory: Takes the connections.
        has: Returns how many connections this worker has.

    Raises:
        OSError: The descriptor is no socket.
    """
    with socket.socket(fileno=descriptor) as held:
        held.setblocking(False)
        port: Any
        if held.family == socket.AF_UNIX:
            port = unix_port(_UnixPort, reactor, descriptor, factory)
        else:
            port = tcp_port(_TcpPort, reactor, descriptor, held.family, factory)
        port.has = has
        port.startListening()
        return cast(IListeningPort, port)


class ParentWatch(Service):
    """Stops a worker whose parent has died, and takes away what the parent has left behind.

    Args:
        reactor: Runs it.
        assignment: The worker's.
        stop: Stops the worker in an orderly way.
        descriptor: Ends when the parent does.
    """

    _log = Logger("mcp_echo")

    def __init__(
        self, reactor: Any, assignment: Assignment, stop: Callable[[], None], descriptor: int = PARENT_FD
    ) -> None:
        self._reactor = reactor
        self._assignment = assignment
        self._stop = stop
        self._descriptor = descriptor
        self._reader = DescriptorReader(reactor, descriptor, self._readable)

    def startService(self) -> None:
        """Watch from now on."""
        super().startService()
        self._reader.start()

    def stopService(self) -> None:
        """Watch no more: a worker that stops is in no need of being told to."""
        super().stopService()
        self._reader.stop()

    def _readable(self) -> None:
        # Nothing is ever written to the pipe.
        if os.read(self._descriptor, 64):
            return
        self._reader.stop()
        self._log.error("The process that started this worker is gone: stopping")
        self._reactor.addSystemEventTrigger(
            "after", "shutdown", shutil.rmtree, self._assignment.directory, True
        )
        self._stop()
