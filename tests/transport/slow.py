"""A client that reads slowly: a connection that says when its buffer is full, and is emptied by the test."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransportWithDisconnection

from tests.transport.support import parse_events

BUFFER = 2000
"""Bytes that may wait in a connection before its producer is paused; a socket's would take 64 KiB."""


class SlowTransport(StringTransportWithDisconnection):
    """A transport that pauses its producer as a socket does, until the test reads."""

    paused = False

    def write(self, data: bytes) -> None:
        """Take in what is written, and pause whoever writes when it is much."""
        super().write(data)
        if self.producer is not None and len(self.value()) > BUFFER:
            self.paused = True
            self.producer.pauseProducing()

    def read(self) -> bytes:
        """Return what waits, and let the producer go on."""
        data: bytes = self.value()
        self.clear()
        if self.paused and self.producer is not None:
            self.paused = False
            self.producer.resumeProducing()
        return data


class SlowClient:
    """One HTTP request over a connection of its own, whose answer comes as fast as the test reads it.

    Args:
        site: The site of the server.
        method: The HTTP method.
        headers: The header fields beside ``Host`` and those of the body.
        body: A JSON value to send, or None.
        path: The path.
    """

    def __init__(
        self, site: Any, method: str, headers: dict[str, str], body: Any = None, path: str = "/mcp"
    ) -> None:
        self.transport = SlowTransport()
        self.transport.protocol = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 31337))
        self.transport.protocol.makeConnection(self.transport)
        data = b"" if body is None else json.dumps(body).encode()
        fields = {"Host": "localhost", **headers, "Content-Length": str(len(data))}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.received = b""
        self.reads = 0
        self.transport.protocol.dataReceived(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + data)

    def read(self) -> bool:
        """Read what waits once; return whether there was anything."""
        data = self.transport.read()
        self.received += data
        self.reads += bool(data)
        return bool(data)

    def read_all(self) -> None:
        """Read until nothing waits."""
        while self.read():
            pass

    def leave(self) -> None:
        """Drop the connection."""
        if self.transport.connected:
            self.transport.loseConnection()

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.received.split(b" ", 2)[1])

    @property
    def head(self) -> str:
        """The response head, in lower case."""
        return self.received.partition(b"\r\n\r\n")[0].decode().lower()

    @property
    def body(self) -> bytes:
        """The body so far, its chunks joined."""
        body = self.received.partition(b"\r\n\r\n")[2]
        return body if "transfer-encoding: chunked" not in self.head else _joined(body)[0]

    @property
    def over(self) -> bool:
        """Whether the body is complete."""
        body = self.received.partition(b"\r\n\r\n")[2]
        if "transfer-encoding: chunked" in self.head:
            return _joined(body)[1]
        length = next(
            (
                int(line.split(":")[1])
                for line in self.head.split("\r\n")
                if line.startswith("content-length")
            ),
            0,
        )
        return len(body) == length

    @property
    def events(self) -> list[dict[str, str]]:
        """The complete events of an event stream."""
        return parse_events(self.body.rpartition(b"\n\n")[0])

    @property
    def messages(self) -> list[Any]:
        """The JSON-RPC messages so far."""
        if "text/event-stream" in self.head:
            return [json.loads(each["data"]) for each in self.events if each.get("event") == "message"]
        if not self.body:
            return []
        value = json.loads(self.body)
        return value if isinstance(value, list) else [value]


def _joined(body: bytes) -> tuple[bytes, bool]:
    """Return the data of the chunks that are complete, and whether the last one is there."""
    data = b""
    while (end := body.find(b"\r\n")) != -1:
        size = int(body[:end], 16)
        if size == 0:
            return data, True
        if len(body) < end + 2 + size + 2:
            break
        data += body[end + 2 : end + 2 + size]
        body = body[end + 2 + size + 2 :]
    return data, False
