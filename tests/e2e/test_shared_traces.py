"""Traces of several daemons with one store, and of several workers: one record, whoever has seen it."""

from __future__ import annotations

import http.client
import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from mcp_echo.cluster.traces import DEAD_SECONDS
from tests.e2e.nodes import STORES, Node, address_of, nodes, wait_until
from tests.e2e.test_workers import fleet
from tests.e2e.test_workers import wait_until as daemon_does

pytestmark = pytest.mark.slow

BOTH = "application/json, text/event-stream"


class Client:
    """Sends to a trace, and reads it, on whichever node it likes; each request has a connection of its own.

    Args:
        port: Where the trace is made.
    """

    def __init__(self, port: int) -> None:
        made = self.ask(port, "POST", "/t", {})
        self.trace: str = made["trace"]
        self._session: str | None = None
        self._ids = 0

    @staticmethod
    def ask(port: int, method: str, path: str, body: Any = None) -> Any:
        """Return an answer's JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with closing(connection):
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {"Content-Type": "application/json"})
            response = connection.getresponse()
            data = response.read()
        assert response.status < 400, data
        return json.loads(data) if data else None

    def read(self, port: int, what: str) -> Any:
        """Return a read of the trace."""
        return self.ask(port, "GET", f"/t/{self.trace}/{what}")

    def send(self, port: int, method: str, params: Any = None, *, is_request: bool = True) -> None:
        """Send a message of the one session there is."""
        self._ids += 1
        message = {"jsonrpc": "2.0", "method": method, **({"params": params} if params else {})}
        headers = {"Content-Type": "application/json", "Accept": BOTH, "User-Agent": "tests"}
        if self._session is not None:
            headers |= {"Mcp-Session-Id": self._session, "MCP-Protocol-Version": "2025-11-25"}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with closing(connection):
            sent = json.dumps(message | ({"id": self._ids} if is_request else {}))
            connection.request("POST", f"/t/{self.trace}/mcp", sent, headers)
            response = connection.getresponse()
            data = response.read()
        assert response.status in (200, 202), data
        self._session = self._session or response.getheader("Mcp-Session-Id")

    def begin(self, port: int) -> None:
        """Begin the session."""
        client = {"name": "tests", "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
        self.send(port, "initialize", params)
        self.send(port, "notifications/initialized", is_request=False)


def numbers(client: Client, node: Node) -> list[int]:
    """Return the numbers of the exchanges that a node shows, of which busy nodes may have another order."""
    return sorted(each["number"] for each in client.read(node.port, "exchanges")["exchanges"])


@pytest.mark.parametrize("store", STORES)
def test_two_nodes_have_one_record_of_which_a_death_takes_no_more_than_its_last_moment(
    store: str, tmp_path: Path
) -> None:
    """docs/scaling.md: Traces. Made on one node, used on both; 600 exchanges where 500 are kept; kill -9."""
    with nodes(address_of(store, tmp_path), tmp_path) as (a, b):
        client = Client(a.port)
        client.begin(b.port)
        for place in range(598):
            client.send((a, b)[place % 2].port, "ping")
        wait_until(lambda: client.read(a.port, "report")["exchanges"] == 600)
        for node in (a, b):
            report = client.read(node.port, "report")
            assert (report["exchanges"], report["unrecorded"]) == (600, 0)
            assert report["dropped"] >= 100
            assert not report["findings"]
        assert numbers(client, a) == numbers(client, b)

        died = b.name
        client.send(b.port, "tools/list")
        time.sleep(0.1)
        b.kill()
        killed = time.time()
        wait_until(lambda: client.read(a.port, "report").get("nodes"), "the death of a node")
        assert time.time() - killed >= DEAD_SECONDS - 4
        (change,) = client.read(a.port, "report")["nodes"]
        assert (change["node"], change["kind"]) == (died, "died")
        assert abs(change["at"] - killed) < 5
        last = client.read(a.port, "exchanges")["exchanges"][-1]
        assert (last["node"], last["messages"][0]["method"]) == (died, "tools/list")
        client.send(a.port, "tools/list")
        assert client.read(a.port, "report")["exchanges"] == 602


def test_workers_have_one_record(tmp_path: Path) -> None:
    """docs/scaling.md: Traces; each connection may be another worker's."""
    with fleet(tmp_path) as daemon:
        client = Client(daemon.port)
        client.begin(daemon.port)
        for _ in range(30):
            client.send(daemon.port, "ping")
        wait_until(lambda: client.read(daemon.port, "report")["exchanges"] == 32)
        shown = client.read(daemon.port, "exchanges")["exchanges"]
        assert len({each["node"] for each in shown}) == 2
        assert not client.read(daemon.port, "report")["findings"]


def test_the_address_of_what_comes_to_mcp_is_told_once_for_all_workers(tmp_path: Path) -> None:
    """README: its address is told to the operator."""
    with fleet(tmp_path) as daemon:
        daemon_does(lambda: "What comes to /mcp is shown at" in daemon.log(), daemon)
        assert daemon.log().count("What comes to /mcp is shown at") == 1
        path = Path(daemon.log().split("What comes to /mcp is shown at the address in ")[1].split()[0])
        where = urlsplit(path.read_text().strip())
        Client.ask(daemon.port, "POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "ping"})
        wait_until(lambda: Client.ask(daemon.port, "GET", f"{where.path}report")["exchanges"] == 1)
