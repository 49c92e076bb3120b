"""A trace of a running daemon, as whoever made it sees it."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from msgspec.json import decode

from mcp_echo.watch.findings import Report
from tests.e2e.daemon import ANSWER_SECONDS, Daemon


class Trace:
    """A new trace.

    Args:
        daemon: Where it is made.
        label: What it is called.
        wishes: What else it is to be, as ``POST /t`` takes it.
    """

    def __init__(self, daemon: Daemon, label: str, **wishes: Any) -> None:
        self._port = daemon.port
        made = json.loads(self._ask("POST", "/t", {"label": label, **wishes}))
        self.url: str = made["mcpUrl"]
        """The MCP endpoint."""
        self.key: str = made["trace"]
        """Its id."""
        self._path = urlsplit(made["pageUrl"]).path

    def report(self) -> Report:
        """Return what is said of it."""
        return decode(self._ask("GET", f"{self._path}report"), type=Report)

    def exchanges(self) -> list[Any]:
        """Return what came to it."""
        shown: list[Any] = json.loads(self._ask("GET", f"{self._path}exchanges"))["exchanges"]
        return shown

    def evidence(self) -> bytes:
        """Return its ``evidence.json``."""
        return self._ask("GET", f"{self._path}evidence.json")

    def _ask(self, method: str, path: str, body: Any = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        with closing(connection):
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {"Content-Type": "application/json"} if sent else {})
            response = connection.getresponse()
            answer = response.read()
        assert response.status in (200, 201), answer
        return answer
