"""The daemon behind the smallest configurations that docs/gateways.md begins with."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.e2e import daemon as daemons
from tests.e2e import gateways
from tests.e2e.conftest import Needs
from tests.e2e.daemon import MODULE
from tests.e2e.gateways import NAME, SMALLEST, Gateway, Places
from tests.e2e.test_gateways import program_of
from tests.e2e.wire import JSON, Events, ModernWire, Wire
from tests.ports import free_port

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=list(SMALLEST))
def gateway(
    request: pytest.FixtureRequest, program: Needs, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway, with a daemon behind it that is told its name and nothing else."""
    kind = str(request.param)
    directory, port = tmp_path_factory.mktemp(kind.split()[1]), free_port()
    command = [*MODULE, "--port", str(port), "--allowed-hosts", NAME, "--keepalive-interval", "0.5"]
    with (
        daemons.running(command, directory, port),
        gateways.running(kind, program_of(kind.split()[1], program), Places(directory, port, 0)) as running,
    ):
        yield running


def ask(
    gateway: Gateway, method: str, path: str, body: dict[str, Any] | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    with closing(gateway.connect()) as connection:
        connection.request(method, path, None if body is None else json.dumps(body), JSON)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def test_both_eras_work(gateway: Gateway) -> None:
    """Session Management; and the routing headers of 2026-07-28."""
    with Wire(gateway.connect, "2025-11-25") as wire:
        wire.call("echo", message="through the gateway")
        assert wire.call("replayLastEcho")["message"] == "through the gateway"
        assert wire.delete() == 204
    with ModernWire(gateway.connect, "2026-07-28") as wire:
        response, _ = wire.ask("tools/call", {"name": "echo", "arguments": {"message": "hello"}})
    assert response["result"]["structuredContent"]["message"] == "hello"


def test_events_come_at_once(gateway: Gateway) -> None:
    """A gateway that collects would hold back what is less than a buffer."""
    with Wire(gateway.connect, "2025-11-25") as wire:
        events = Events(wire.stream())
        wire.ask("resources/subscribe", {"uri": "echo://session"})
        wire.call("echo", message="now")
        assert "resources/updated" in events.next("message")["data"]


def test_traces_shares_and_metadata_are_let_through_and_health_is_not(gateway: Gateway) -> None:
    """Our choice: what clients and people need is named, and the rest stays inside."""
    status, _, body = ask(gateway, "POST", "/t", {})
    made = json.loads(body)
    assert status == 201
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert ask(gateway, "POST", f"/t/{made['trace']}/mcp", ping)[0] == 200
    assert json.loads(ask(gateway, "GET", f"/t/{made['trace']}/report")[2])["exchanges"] == 1
    assert ask(gateway, "GET", f"/v/{made['shareUrl'].split('/v/')[1]}report")[0] == 200

    status, _, body = ask(gateway, "GET", "/.well-known/oauth-protected-resource/mcp")
    assert (status, json.loads(body)["error"]["message"][:10]) == (404, "Not found:")
    for path in ("/health", "/ready", "/t/../health", "/metrics"):
        status, _, body = ask(gateway, "GET", path)
        assert (status, b"uptime" in body) == (404, False), path


def test_nobody_calls_in_the_name_of_another(gateway: Gateway) -> None:
    """Our choice: where nobody authenticates, the header that would say who is calling is dropped."""
    with Wire(gateway.connect, "2025-11-25") as wire:
        fields = wire.call("printHeader", {"X-User-Id": "admin"})["headers"]
    assert "x-user-id" not in {field["name"].lower() for field in fields}
