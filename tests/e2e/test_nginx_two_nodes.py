"""Two daemons behind nginx, with the configuration of docs/proxies: no session is bound to one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e import gateways
from tests.e2e.conftest import Needs
from tests.e2e.gateways import NAME, Gateway, Places
from tests.e2e.nodes import Node, address_of, nodes
from tests.e2e.test_nodes import call, logged, set_level, updates
from tests.e2e.wire import Events, ModernWire, Wire

pytestmark = pytest.mark.slow

LEGACY = "2025-11-25"
SETTINGS = {"MCP_ECHO_ALLOWED_HOSTS": NAME}


class Deployment(NamedTuple):
    """nginx, and the daemons behind it."""

    gateway: Gateway
    nodes: list[Node]


@contextmanager
def deployed(program: Needs, directory: Path) -> Iterator[Deployment]:
    """Run two daemons and nginx before them."""
    path = program("nginx")
    with nodes(address_of("redis", directory), directory, env=SETTINGS) as (a, b):
        places = Places(directory, a.port, 0, b.port)
        with gateways.running("nginx-two-nodes", path, places) as gateway:
            yield Deployment(gateway, [a, b])


@pytest.fixture(scope="module")
def behind(program: Needs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment whose nodes stay alive."""
    with deployed(program, tmp_path_factory.mktemp("two")) as deployment:
        yield deployment


def test_requests_of_one_session_go_to_both_nodes(behind: Deployment) -> None:
    """Our choice: any node serves any session, and a balancer needs to know nothing of sessions."""
    with Wire(behind.gateway.connect, LEGACY) as wire:
        served = Counter(call(wire, "sessionInfo")["servedBy"] for _ in range(10))
        counts = [call(wire, "echo", message="x")["echoCount"] for _ in range(10)]

    assert set(served) == {node.name for node in behind.nodes}
    assert counts == list(range(1, 11))


def test_a_stream_hears_of_what_both_nodes_do(behind: Deployment) -> None:
    """Listening for Messages: each echo is made only when the news of the one before has come."""
    with Wire(behind.gateway.connect, LEGACY) as wire:
        events = Events(wire.stream())
        wire.ask("resources/subscribe", {"uri": "echo://session"})
        for _ in range(6):
            call(wire, "echo", message="x")
            updates(1, events)


def test_a_modern_subscription_hears_of_what_both_nodes_do(behind: Deployment) -> None:
    """2026-07-28 subscriptions/listen: the same for a handle."""
    with ModernWire(behind.gateway.connect, "2026-07-28") as wire:
        made, _ = wire.ask("tools/call", {"name": "createEchoSession", "arguments": {}})
        handle = made["result"]["structuredContent"]["session"]
        heard = wire.listen({"resourceSubscriptions": [f"echo://session/{handle}"]})
        next(heard)
        for _ in range(6):
            wire.ask("tools/call", {"name": "echo", "arguments": {"message": "x", "session": handle}})
            assert next(heard)["method"] == "notifications/resources/updated"


@pytest.mark.parametrize("place", [0, 1])
def test_when_a_node_dies_service_goes_on_and_streams_are_resumed(
    program: Needs, tmp_path: Path, place: int
) -> None:
    """Resumability and Redelivery: the client comes back for the rest, whichever node had its stream.

    One request at most is told 502: none is sent to the other node that may have been worked on.
    """
    with deployed(program, tmp_path) as behind, Wire(behind.gateway.connect, LEGACY) as wire:
        set_level(wire)
        response = wire.stream()
        events = Events(response)
        call(wire, "authContext")
        last = events.next("message")["id"]
        behind.nodes[place].kill()
        for tool in ("printHeader", "corsAnalysis", "printHeader", "corsAnalysis"):
            call(wire, tool)
        again = Events(wire.stream(Last_Event_ID=last))
        heard = [logged(again.next("message")) for _ in range(4)]

    assert heard == ["printHeader", "corsAnalysis"] * 2
