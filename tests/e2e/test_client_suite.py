"""The test suite of a client, in a project of its own, with the pytest plugin and a real daemon."""

# runs pytest

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CLIENT = """
import json
import urllib.request


def post(url, message, **headers):
    fields = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    request = urllib.request.Request(url, json.dumps(message).encode(), {**fields, **headers})
    with urllib.request.urlopen(request) as answer:
        return answer.headers


def converse(url, **headers):
    client = {"name": "c", "version": "1"}
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
    begun = post(url, {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
    own = {"Mcp-Session-Id": begun["Mcp-Session-Id"], **headers}
    post(url, {"jsonrpc": "2.0", "method": "notifications/initialized"}, **own)
    post(url, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, **own)


def test_faulty(mcp_echo_trace):
    converse(mcp_echo_trace.url)


def test_correct(mcp_echo_trace):
    converse(mcp_echo_trace.url, **{"MCP-Protocol-Version": "2025-11-25"})
"""


def test_a_client_with_a_fault_fails_its_test_and_is_shown_the_rule(tmp_path: Path) -> None:
    """docs/testing.md: the failure names the rule, and has the link."""
    (tmp_path / "test_client.py").write_text(CLIENT)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_client.py"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "1 failed, 1 passed" in ended.stdout
    assert "error version-header-missing, 2 times" in ended.stdout
    assert "2025-11-25/basic/transports#protocol-version-header" in ended.stdout
