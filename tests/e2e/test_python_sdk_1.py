"""The official Python SDK 1.x talks to the daemon, over both transports it knows."""

import pytest

from tests.e2e import conversation, environments
from tests.e2e.conftest import Needs, Start
from tests.e2e.daemon import Daemon

pytestmark = pytest.mark.slow


def test_the_python_sdk_1_client_holds_a_stateful_conversation(
    daemon: Daemon, client_environment: Needs
) -> None:
    """Our choice: most installed clients are of this line, and they must find what the newest one finds."""
    python = environments.python(client_environment(environments.SDK_1))
    client = conversation.CLIENTS / "python_sdk_1.py"
    conversation.hold([python, str(client), daemon.url], conversation.LEGACY, "python-sdk-1")


def test_the_same_conversation_is_held_over_http_with_sse(start: Start, client_environment: Needs) -> None:
    """2024-11-05 basic/transports, HTTP with SSE: every answer, notification and question on one stream."""
    python = environments.python(client_environment(environments.SDK_1))
    client = conversation.CLIENTS / "python_sdk_1.py"
    url = start("--legacy-sse").base + "/sse"
    conversation.hold([python, str(client), url], conversation.LEGACY, "python-sdk-1")


def test_both_transports_are_served_at_the_same_time(start: Start, client_environment: Needs) -> None:
    """2025-03-26 basic/transports, Backwards Compatibility: servers keep hosting the old endpoints.

    Each of the two clients is connected while the other one talks, and finds its own session only.
    """
    python = environments.python(client_environment(environments.SDK_1))
    client = conversation.CLIENTS / "two_transports.py"
    heard = conversation.run([python, str(client), start("--legacy-sse").base])
    for name, found in heard.items():
        assert f"\nover {name}\n" in found["replayed"]
        assert found["info"]["echoCount"] == 1
    assert heard["sse"]["info"]["session"] != heard["http"]["info"]["session"]
