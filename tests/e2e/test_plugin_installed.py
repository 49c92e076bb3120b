"""The pytest plugin in a project of its own, where the package is installed from its wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SOURCES = Path(os.environ.get("README_SOURCES") or Path(__file__).parents[2])
"""What the wheel is made of: the tests may run without the package's sources beside them."""

PROJECT = """
import json
import urllib.request


def post(url, message, **headers):
    headers |= {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    request = urllib.request.Request(url, json.dumps({"jsonrpc": "2.0", **message}).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return answer.headers["Mcp-Session-Id"]


def talk(url, **version):
    params = {"protocolVersion": "2025-06-18", "capabilities": {}}
    params["clientInfo"] = {"name": "mine", "version": "1"}
    session = {"Mcp-Session-Id": post(url, {"id": 1, "method": "initialize", "params": params})}
    post(url, {"method": "notifications/initialized"}, **session, **version)
    post(url, {"id": 2, "method": "tools/list"}, **session, **version)


def test_proper(mcp_echo_trace):
    talk(mcp_echo_trace.url, **{"MCP-Protocol-Version": "2025-06-18"})


def test_without_the_version_header(mcp_echo_trace):
    talk(mcp_echo_trace.url)
"""


def test_a_client_with_a_fault_fails_its_test_which_shows_the_finding_and_its_link(tmp_path: Path) -> None:
    """docs/testing.md."""
    sources = tmp_path / "sources"
    ignored = shutil.ignore_patterns(".git", "*.egg-info", "build", "__pycache__", "tests")
    shutil.copytree(SOURCES, sources, ignore=ignored)
    wheels = tmp_path / "wheels"
    _run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(wheels), str(sources))
    home = tmp_path / "env"
    venv.create(home, with_pip=True)
    python = str(home / "bin" / "python")
    (wheel,) = wheels.glob("*.whl")
    _run(python, "-m", "pip", "install", "-q", "--no-deps", str(wheel))
    project = tmp_path / "project"
    project.mkdir()
    (project / "test_mine.py").write_text(PROJECT)
    # What the package needs is here, and perhaps the package itself: behind what is installed there.
    site = next((home / "lib").glob("python*/site-packages"))
    (site / "needed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    needed = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        [python, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", "."],
        cwd=project,
        env=needed,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    assert "1 passed" in run.stdout
    assert "test_without_the_version_header" in run.stdout
    for part in (
        "version-header-missing",
        "https://modelcontextprotocol.io/specification/2025-06-18/basic/transports#protocol-version-header",
    ):
        assert part in run.stdout, run.stdout
    where = subprocess.run(
        [python, "-c", "import mcp_echo; print(mcp_echo.__file__)"],
        cwd=project,
        env=needed,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(home) in where.stdout


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
