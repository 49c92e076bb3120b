"""HTTP as bytes on a socket: what no client library would send, and what comes back for it."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

PATIENCE = 5.0
"""Seconds to wait for an answer that has to come."""


@dataclass
class Response:
    """One HTTP response."""

    status: int
    head: bytes
    headers: Mapping[str, str]
    body: bytes = b""
    interim: list[int] = field(default_factory=list)
    """The statuses of the 1xx responses before it."""

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Closed(Exception):
    """The server has closed the connection, gracefully or not."""


class Silent(Exception):
    """The server has said nothing yet."""


class Connection:
    """A connection to a port of 127.0.0.1.

    Args:
        port: The port.
        patience: Seconds to wait for what has to come.
    """

    def __init__(self, port: int, patience: float = PATIENCE) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=patience)
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes; a server that has heard enough may hang up meanwhile."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(data)

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def wait(self, patience: float) -> None:
        """Wait this long from now on, in seconds."""
        self._socket.settimeout(patience)

    def _more(self) -> None:
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            raise Silent(self._unread) from None
        except ConnectionResetError:
            raise Closed(self._unread) from None
        if not data:
            raise Closed(self._unread)
        self._unread += data

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._unread:
            self._more()
        found, _, self._unread = self._unread.partition(mark)
        return found

    def _exactly(self, count: int) -> bytes:
        while len(self._unread) < count:
            self._more()
        found, self._unread = self._unread[:count], self._unread[count:]
        return found

    def response(self, to_head: bool = False) -> Response:
        """Read one final response; of an event stream that stays open only the head.

        Raises:
            Closed: The server hung up instead.
            Silent: Nothing came in time.
        """
        interim = []
        while True:
            response = self._head()
            if response.status >= 200:
                break
            interim.append(response.status)
        response.interim = interim
        if not to_head and response.status not in (204, 304):
            response.body = self._body(response)
        return response

    def _head(self) -> Response:
        head = self._until(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        pairs = [line.split(":", 1) for line in lines]
        return Response(
            int(status.split(" ")[1]), head, {name.lower(): value.strip() for name, value in pairs}
        )

    def _body(self, response: Response) -> bytes:
        if response.media_type == "text/event-stream":
            return b""
        if response.headers.get("transfer-encoding") == "chunked":
            return self._chunks()
        return self._exactly(int(response.headers.get("content-length", "0")))

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self._until(b"\r\n"), 16):
            body += self._exactly(size)
            self._until(b"\r\n")
        self._until(b"\r\n")
        return body

    def ends(self) -> bool:
        """Return whether the server hangs up without another byte."""
        try:
            self._more()
        except Closed as closed:
            return closed.args == (b"",)
        except Silent:
            return False
        return False
