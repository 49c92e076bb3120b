"""What the compose files have Docker start, started without it: the image's command, with their variables.

The address and the port are the tests' own; networks, published ports and the read-only files are Docker's.
"""

from __future__ import annotations

import http.client
import json
import re
from contextlib import closing
from pathlib import Path

import pytest

from tests.deployed import compose, environment_of, image_environment, only
from tests.e2e.daemon import ANSWER_SECONDS, running, script
from tests.e2e.terminal import opened
from tests.e2e.wire import JSON, Wire
from tests.ports import free_port

pytestmark = pytest.mark.slow


def command() -> list[str]:
    """Return the image's command."""
    program, *words = json.loads(only("ENTRYPOINT"))
    return [script(program), *words]


def variables(service: dict[str, object], port: int) -> dict[str, str]:
    """Return the variables of a service, on a port of loopback."""
    whole = {**image_environment(), **environment_of(service)}
    return {**whole, "MCP_ECHO_HOST": "127.0.0.1", "MCP_ECHO_PORT": str(port)}


def status(port: int, host: str) -> int:
    """Return the status of a ping with a Host."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)) as connection:
        body = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
        connection.request("POST", "/mcp", body, {**JSON, "Host": host})
        return connection.getresponse().status


def test_on_a_laptop_the_log_begins_with_the_addresses(tmp_path: Path) -> None:
    """compose.yaml: a terminal, the names of neighbours, and what comes to /mcp is recorded."""
    service, port = compose("compose.yaml")["services"]["mcp-echo"], free_port()
    assert service["tty"] is True
    with opened(command(), tmp_path, variables(service, port)) as terminal:
        terminal.wait_for(rf"^Trace:  (http://127\.0\.0\.1:{port}/t/\S+/)$")
        assert terminal.text().startswith(f"MCP:    http://127.0.0.1:{port}/mcp\nPage:   ")
        for host in ("localhost", f"127.0.0.1:{port}", "mcp-echo:3000", "host.docker.internal:3000"):
            assert status(port, host) == 200
        assert status(port, "evil.example") == 421
        terminal.wait_for(r"POST /mcp 421 .*(: add evil\.example to --allowed-hosts)")


def test_behind_traefik_the_gateway_is_believed_and_logs_go_to_standard_output(tmp_path: Path) -> None:
    """compose.traefik.yaml: the subnet of its network, of which Traefik has an address."""
    set_outside = {"BASE_DOMAIN": "example.com", "INTERNAL_SUBNET": "127.0.0.0/8"}
    service = compose("compose.traefik.yaml", **set_outside)["services"]["mcp-echo-stateful"]
    port = free_port()
    with running(command(), tmp_path, port, variables(service, port)) as daemon:
        with Wire(port, "2025-06-18", user="user123") as wire:
            assert wire.call("authContext")["principal"]["name"] == "user123"
        assert status(port, "mcp-echo-stateful.example.com") == 200
        assert status(port, "mcp-echo-stateful.example.org") == 421
        assert re.search(r"Serving MCP at https://mcp-echo-stateful\.example\.com/mcp", daemon.log())
        assert "#warn" not in daemon.log().partition("Serving MCP")[0]
