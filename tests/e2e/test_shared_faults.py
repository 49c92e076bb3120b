"""Faults of real daemons: orders over several nodes, the death of one that holds a stream, what is held."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.nodes import STORES, address_of, node, nodes, wait_until
from tests.e2e.test_shared_traces import BOTH, Client

pytestmark = pytest.mark.slow


def arm(client: Client, port: int, fault: str, **members: Any) -> Any:
    """Arm an order; return it as it is told."""
    return client.ask(port, "POST", f"/t/{client.trace}/faults", {"fault": fault, **members})


def statuses(client: Client, ports: list[int]) -> list[int]:
    """Return the status of a ping at each port."""
    found = []
    for port in ports:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            body = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
            connection.sendall(
                f"POST /t/{client.trace}/mcp HTTP/1.1\r\nHost: localhost\r\nAccept: {BOTH}\r\n"
                f"Content-Type: application/json\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
                "".encode()
                + body
            )
            found.append(int(connection.makefile("rb").readline().split()[1]))
    return found


@pytest.mark.parametrize("store", STORES)
def test_an_order_that_one_node_has_armed_fires_once_on_any(store: str, tmp_path: Path) -> None:
    """docs/faults.md: `times: 1` is once, whichever node is asked."""
    with nodes(address_of(store, tmp_path), tmp_path) as (a, b):
        client = Client(a.port)
        for _ in range(5):
            arm(client, a.port, "reject", options={"status": 429})
            assert sorted(statuses(client, [b.port, a.port, b.port])) == [200, 200, 429]
        arm(client, b.port, "reject", times=10)
        assert sorted(statuses(client, [a.port, b.port] * 10)) == [200] * 10 + [503] * 10
        client.ask(a.port, "DELETE", f"/t/{client.trace}/faults")
        arm(client, a.port, "reject", times=100)
        client.ask(b.port, "DELETE", f"/t/{client.trace}/faults")
        assert statuses(client, [a.port, b.port]) == [200, 200]


def open_silent_stream(client: Client, port: int) -> socket.socket:
    """Begin a call whose stream is silent behind its opening."""
    params = {"name": "clientProbe", "arguments": {"feature": "progress"}, "_meta": {"progressToken": 1}}
    body = json.dumps({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params}).encode()
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(
        f"POST /t/{client.trace}/mcp HTTP/1.1\r\nHost: localhost\r\nAccept: {BOTH}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    assert b"X-MCP-Echo-Fault: silence" in connection.recv(65_536)
    return connection


@pytest.mark.parametrize("store", STORES)
def test_the_end_of_an_order_outlives_the_node_that_held_its_stream(store: str, tmp_path: Path) -> None:
    """docs/scaling.md: what is ordered is kept with the trace; the record says which node died."""
    with nodes(address_of(store, tmp_path), tmp_path) as (a, b):
        client, died = Client(a.port), b.name
        arm(client, a.port, "silence", options={"seconds": 100})
        with open_silent_stream(client, b.port):
            b.kill()
            (order,) = client.read(a.port, "faults")["orders"]
            assert (order["state"], order["fired"]) == ("over", 1)
            (firing,) = order["firings"]
            assert firing["node"] == died
            assert "exchange" not in firing
            wait_until(lambda: client.read(a.port, "report").get("nodes"), "the death of a node")
            (change,) = client.read(a.port, "report")["nodes"]
            assert (change["node"], change["kind"]) == (died, "died")
            assert statuses(client, [a.port]) == [200]


def test_a_thousand_orders_leave_nothing_behind(tmp_path: Path) -> None:
    """Our choice: memory and descriptors are what they were."""
    with node("memory", tmp_path) as daemon:
        client = Client(daemon.port)
        kinds = [
            ("reject", {}),
            ("cut", {"reset": True}),
            ("cut", {}),
            ("delay", {"seconds": 0.01}),
            ("silence", {"seconds": 0.01}),
            ("empty", {"as": "response"}),
            ("drip", {"bytesPerSecond": 100_000}),
            ("content-type", {"value": "text/html"}),
            ("answer", {"as": "twice"}),
        ]
        process = psutil.Process(daemon.process.pid)

        def run(many: int) -> None:
            for place in range(many):
                fault, options = kinds[place % len(kinds)]
                arm(client, daemon.port, fault, options=options)
                # Of some answers there is not a single byte.
                with suppress(IndexError, ConnectionError):
                    statuses(client, [daemon.port])

        # The ring of records is full from here on.
        run(550)
        time.sleep(0.5)
        memory, descriptors = process.memory_info().rss, process.num_fds()
        run(1000)
        time.sleep(0.5)
        assert process.num_fds() <= descriptors + 2
        assert process.memory_info().rss - memory < 4 * 1024 * 1024
        assert statuses(client, [daemon.port]) == [200]
        assert all(each["state"] == "over" for each in client.read(daemon.port, "faults")["orders"])
