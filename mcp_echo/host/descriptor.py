"""A file descriptor that the reactor watches: pipes and sockets that no protocol of Twisted's is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IReadDescriptor)
@dataclass(eq=False)
class DescriptorReader:
    """Calls a function whenever there is something to read, the end included."""

    reactor: IReactorFDSet
    """Watches the descriptor."""
    descriptor: int
    """Which; it stays its owner's to close."""
    readable: Callable[[], None]
    """What to call."""

    def start(self) -> None:
        """Watch from now on."""
        self.reactor.addReader(self)

    def stop(self) -> None:
        """Watch no more."""
        self.reactor.removeReader(self)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self.descriptor

    def doRead(self) -> None:
        """Tell that there is something to read."""
        self.readable()

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002  # Twisted's interface
        """Tell that the other end has gone: some reactors say so instead of letting the end be read."""
        self.readable()

    def logPrefix(self) -> str:
        """Return what Twisted logs errors of this descriptor with."""
        return "mcp_echo"
