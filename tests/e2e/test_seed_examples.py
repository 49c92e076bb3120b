"""The examples that users copy work against the daemon as they are printed, but for the port."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Sequence

import pytest

from tests.e2e import environments
from tests.e2e.conftest import Needs
from tests.e2e.conversation import CLIENTS
from tests.e2e.daemon import Daemon, environment

pytestmark = pytest.mark.slow


def _run(command: Sequence[str], daemon: Daemon) -> str:
    done = subprocess.run(
        command, env=environment({"PORT": str(daemon.port)}), capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_the_bash_example_keeps_its_session(daemon: Daemon, program: Needs) -> None:
    """Our choice: curl without ``Accept`` and without ``notifications/initialized`` is how people start."""
    program("curl")
    output = _run([program("bash"), str(CLIENTS / "seed_session.sh")], daemon)
    first, _, rest = output.partition("\n")
    session = first.removeprefix("Session ID: ")
    echoed, end = json.JSONDecoder().raw_decode(rest)
    info = json.loads(rest[end:])
    assert echoed["result"]["content"][0]["text"] == (
        f"Hello from bash!\n\nSession: {session}\nEcho count in session: 1"
    )
    assert info["id"] == 3
    assert f"- Session ID: {session}\n" in info["result"]["content"][0]["text"]
    assert "- Client: test v1.0" in info["result"]["content"][0]["text"]


def test_the_httpx_example_replays_its_first_message(daemon: Daemon, client_environment: Needs) -> None:
    """Our choice: the example with httpx, which sends ``Accept: */*``, shows state across requests."""
    python = environments.python(client_environment(environments.SDK_1))
    output = _run([python, str(CLIENTS / "seed_stateful_echo.py"), str(daemon.port)], daemon)
    replay = ast.literal_eval(output)
    assert replay["result"]["content"][0]["text"] == (
        "🔄 Replaying last echo:\nFirst message\n\n"
        "Original echo count: 1\nThis session has replayed 1 messages"
    )
