"""The MCP Inspector's command line talks to the daemon, in both eras."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.documents.pages import ROOT, blocks
from tests.e2e import environments
from tests.e2e.conftest import Needs
from tests.e2e.conversation import LEGACY, MODERN, TOOLS
from tests.e2e.daemon import Daemon, environment

pytestmark = pytest.mark.slow

Inspect = Callable[..., Any]


def _printed_command() -> list[str]:
    """Return the command of docs/clients.md that lists the tools with the Inspector."""
    (line,) = (
        block.text for block in blocks(ROOT / "docs" / "clients.md") if "@modelcontextprotocol/" in block.text
    )
    return shlex.split(line)


@pytest.fixture
def inspect(daemon: Daemon, client_environment: Needs, program: Needs, tmp_path: Path) -> Inspect:
    """Run the page's command with the daemon's address and more options, and return what it prints."""
    project = environments.cache() / client_environment(environments.NODE)
    program("npx")
    # The Inspector needs a newer Node.js than many systems have; the project brings its own. It keeps
    # files in the home directory, and npx must not look for newer versions.
    path = f"{project / 'node_modules/.bin'}{os.pathsep}{os.environ['PATH']}"
    env = environment({"PATH": path, "HOME": str(tmp_path), "NPM_CONFIG_OFFLINE": "true"})

    def inspect(*options: str, npx: bool = False) -> Any:
        printed = [part.replace("localhost:3000", f"127.0.0.1:{daemon.port}") for part in _printed_command()]
        # Without npx, which is as slow to start as the Inspector itself.
        command = printed if npx else ["mcp-inspector", *printed[3:]]
        done = subprocess.run(
            [*command, *options], cwd=project, env=env, capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    return inspect


def test_the_command_that_is_printed_lists_the_tools(inspect: Inspect) -> None:
    """Our choice: it is printed for people to copy; only the address differs."""
    assert [tool["name"] for tool in inspect(npx=True)["tools"]] == list(TOOLS)


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_finds_no_error_in_the_schemas(inspect: Inspect, era: str) -> None:
    """Our choice: ``--strict`` fails on a tool whose schema clients would trip over."""
    listed = inspect("--protocol-era", era, "--strict")
    assert [tool["name"] for tool in listed["tools"]] == list(TOOLS)


@pytest.mark.parametrize(("era", "revision"), [("legacy", LEGACY), ("modern", MODERN)])
def test_the_inspector_calls_tools(inspect: Inspect, era: str, revision: str) -> None:
    """Our choice: people look at servers with it. Each command is a new client; a handle leads back."""

    def call(name: str, *arguments: str) -> Any:
        options = [option for argument in arguments for option in ("--tool-arg", argument)]
        # The last --method counts.
        called = inspect("--protocol-era", era, "--method", "tools/call", "--tool-name", name, *options)
        return called["structuredContent"]

    handle = call("createEchoSession")["session"]
    assert call("echo", "message=Hello", f"session={handle}")["message"] == "Hello"
    info = call("sessionInfo", f"session={handle}")
    assert (info["echoCount"], info["protocolVersion"]) == (1, revision)
    assert info["clientName"] == "inspector-cli"
