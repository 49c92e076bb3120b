"""A trace with something to look at: a real client that does well, and an agent of acme that does not."""

from __future__ import annotations

import http.client
import json
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.e2e import conversation, environments
from tests.e2e.daemon import ANSWER_SECONDS, environment

BOTH = "application/json, text/event-stream"
REVISION = "2025-11-25"


def make(base: str, **wanted: Any) -> dict[str, Any]:
    """Return the addresses of a new trace.

    Args:
        base: Where the daemon is.
        wanted: What `POST /t` takes.
    """
    status, _, body = ask(f"{base}/t", "POST", wanted, {})
    assert status == 201, body
    made: dict[str, Any] = json.loads(body)
    return made


def ask(
    url: str, method: str, message: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Send one request; return status, headers with names in lower case, and body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
    with closing(connection):
        body = None if message is None else json.dumps(message)
        given = {"Content-Type": "application/json"} if body else {}
        connection.request(method, parts.path, body, {**given, **(headers or {})})
        response = connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        return response.status, named, response.read()


def run_python_sdk(url: str, home: Path) -> None:
    """Have the official Python SDK hold its conversation with an MCP endpoint."""
    program = str(conversation.CLIENTS / "python_sdk_1.py")
    subprocess.run(
        [environments.python(environments.SDK_1), program, url],
        env=environment({"HOME": str(home)}),
        input=json.dumps(conversation.SCRIPTS[conversation.LEGACY]).encode(),
        capture_output=True,
        timeout=90,
        check=True,
    )


class Agent:
    """A client that makes mistakes.

    Args:
        url: The MCP endpoint.
        name: What it calls itself.
    """

    def __init__(self, url: str, name: str = "acme-agent") -> None:
        self._url = url
        self._name = name
        self._headers = {"Accept": BOTH, "User-Agent": "acme/2.1 (linux)"}
        self._id = 0

    def begin(self) -> None:
        """Begin a session; ``notifications/initialized`` never comes."""
        who = {"name": self._name, "version": "2.1"}
        params = {"protocolVersion": REVISION, "capabilities": {}, "clientInfo": who}
        _, headers, _ = self.send("initialize", params)
        self._headers["Mcp-Session-Id"] = headers["mcp-session-id"]

    def go_on(self) -> None:
        """Send ``notifications/initialized``, as clients that do well do after `begin`."""
        message = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        ask(self._url, "POST", message, {**self._headers, "MCP-Protocol-Version": REVISION})

    def send(
        self, method: str, params: Any = None, without: str = "", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request, with other headers or without one."""
        self._id += 1
        message = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": params or {}}
        sent = {name: value for name, value in self._headers.items() if name != without}
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(self._url, "POST", message, {**sent, **more})

    def err(self) -> None:
        """Do what breaks rules."""
        version = {"MCP_Protocol_Version": REVISION}
        self.send("tools/list", **version)
        self.send("tools/call", {"name": "echo", "arguments": {"message": "Hello"}}, **version)
        self.send("tools/call", {"name": "ehco", "arguments": {}}, **version)
        self.send("tools/list")
        call = {"name": "echo", "arguments": {"message": "Again"}}
        self.send("tools/call", call, Accept="text/event-stream", **version)
        self.send("tools/call", call, Accept="text/event-stream", **version)
