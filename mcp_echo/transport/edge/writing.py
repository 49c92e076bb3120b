"""Writing at once where the socket takes it."""

from __future__ import annotations

import socket
import struct
from typing import Any

from twisted.internet.tcp import Connection

from mcp_echo.host.twisted_private import has_written_all


def write_now(transport: Any, data: bytes) -> None:
    """Write to a connection, to the socket itself where nothing waits to be written before it.

    The reactor would begin to watch the socket, come back to it in its next turn, write and cease to watch
    it, which for an answer of ordinary size costs more than the answer.
    """
    if isinstance(transport, Connection) and has_written_all(transport):
        sent = transport.writeSomeData(data)
        if sent == len(data):
            return
        # Otherwise the connection is broken, which the reactor will find out too.
        if isinstance(sent, int):
            data = data[sent:]
    transport.write(data)


def reset_at_end(transport: Any) -> None:
    """Have the kernel reset a connection when it is aborted (SO_LINGER in socket(7))."""
    # In memory there is none.
    connection = getattr(transport, "socket", None)
    if isinstance(connection, socket.socket):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def unsent(transport: Any) -> tuple[int, int]:
    """Return what changes whenever the client takes something of what waits for it."""
    return len(getattr(transport, "dataBuffer", b"")), getattr(transport, "offset", 0)
