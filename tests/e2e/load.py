"""Clients that ask without a pause, and account for each request they sent."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from typing import Any, Self

_CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
BODY = json.dumps({**_CALL, "params": {"name": "echo", "arguments": {"message": "x"}}})


class _InOnePiece(http.client.HTTPConnection):
    """A connection that sends head and body together.

    http.client sends one after the other, and a daemon that begins to stop in between turns such a request
    away with 503, as it should: it may never be complete.
    """

    _pieces: list[bytes] | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request."""
        self._pieces = []
        super().request(*args, **kwargs)
        pieces, self._pieces = self._pieces, None
        self.send(b"".join(pieces))

    def send(self, data: Any) -> None:
        """Send, or collect what is to be sent."""
        if self._pieces is None:
            super().send(data)
        else:
            self._pieces.append(data)


class Client(threading.Thread):
    """Asks again and again, until it is told to stop or the port is refused.

    Args:
        port: Where the daemon listens on 127.0.0.1.
        session: The session it belongs to; None to ask for /health.
        keep: Whether to keep the connection open, as a gateway does.
    """

    def __init__(self, port: int, session: str | None, keep: bool) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._request: tuple[str, str, str | None, dict[str, str]] = ("GET", "/health", None, {})
        if session is not None:
            headers = {"Mcp-Session-Id": session, "Content-Type": "application/json"}
            self._request = ("POST", "/mcp", BODY, headers)
        self._keep = keep
        self.outcomes: Counter[str] = Counter()
        """How many requests came to each end; anything but ``answered`` and ``refused`` is a loss."""
        self.told_to_close = 0
        self.until_refused = True
        self.stopping = threading.Event()

    def run(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self.stopping.is_set():
            if connection is None:
                connection = _InOnePiece("127.0.0.1", self._port, timeout=15)
                try:
                    connection.connect()
                except OSError:
                    self.outcomes["refused"] += 1
                    if self.until_refused:
                        return
                    connection = None
                    continue
            connection = self._ask(connection)
        if connection is not None:
            connection.close()

    def _ask(self, connection: http.client.HTTPConnection) -> http.client.HTTPConnection | None:
        try:
            connection.request(*self._request)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.outcomes[type(error).__name__] += 1
            connection.close()
            return None
        whole = response.status == 200 and body.endswith(b"}")
        self.outcomes["answered" if whole else f"status {response.status}"] += 1
        if self._keep and not response.will_close:
            return connection
        self.told_to_close += response.will_close
        connection.close()
        return None


class Load:
    """Several clients at once.

    Args:
        port: Where the daemon listens on 127.0.0.1.
        session: The session they share; None to ask for /health.
        clients: How many.
        keep: Whether they keep their connections open.
        until_refused: Whether a client ends when the port is refused; otherwise it tries again.
    """

    def __init__(
        self, port: int, session: str | None, clients: int = 4, keep: bool = True, until_refused: bool = True
    ) -> None:
        self.clients = [Client(port, session, keep) for _ in range(clients)]
        for client in self.clients:
            client.until_refused = until_refused

    def __enter__(self) -> Self:
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.stopping.set()
        self.join()

    @property
    def outcomes(self) -> Counter[str]:
        """How many requests of all clients came to each end."""
        return sum((client.outcomes for client in self.clients), Counter[str]())

    def join(self) -> None:
        """Wait until every client has ended."""
        for client in self.clients:
            client.join(20)
            assert not client.is_alive()

    def wait_for(self, outcome: str, more: int) -> None:
        """Return when so many more requests have come to this end."""
        wanted = self.outcomes[outcome] + more
        pause = threading.Event()
        for _ in range(1000):
            if self.outcomes[outcome] >= wanted:
                return
            pause.wait(0.01)
        raise AssertionError(f"{self.outcomes}, wanted {wanted} {outcome}")
