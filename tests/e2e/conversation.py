"""One conversation for every official client: what they are told to say, and what they must hear."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CLIENTS = Path(__file__).parent / "clients"

TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyMTIzIn0.c2lnbmF0dXJl"
"""A JWT with the subject user123."""

CALLS: tuple[dict[str, Any], ...] = (
    {"name": "echo", "arguments": {"message": "First message", "uppercase": True}},
    {"name": "replayLastEcho", "arguments": {}},
    {"name": "printHeader", "arguments": {"category": "mcp"}},
    {"name": "bearerDecode", "arguments": {"token": TOKEN}},
    {"name": "authContext", "arguments": {}},
    {"name": "requestTiming", "arguments": {}},
    {"name": "corsAnalysis", "arguments": {}},
    {"name": "environmentDump", "arguments": {}},
    {"name": "healthProbe", "arguments": {}},
    {"name": "sessionInfo", "arguments": {}},
    {"name": "whoIStheGOAT", "arguments": {"subject": "MCP Protocol"}},
)
"""All eleven tools, in the order of the catalogue."""

TEXTS = {
    "echo": "FIRST MESSAGE",
    "replayLastEcho": "🔄 Replaying last echo:\nFIRST MESSAGE",
    "printHeader": "🔄 MCP Headers",
    "bearerDecode": "user123",
    "authContext": "🔐 Authentication Context",
    "requestTiming": "⏱️ Request Timing Analysis",
    "corsAnalysis": "🌐 CORS Analysis",
    "environmentDump": "🔧 Environment Configuration",
    "healthProbe": "🏥 System Health Report",
    "sessionInfo": "📊 Session Information",
    "whoIStheGOAT": "🐐 GOAT Analysis Complete",
}
"""What each answer must contain."""

SCRIPT = {
    "calls": CALLS,
    "again": {"name": "echo", "arguments": {"message": "Second message"}},
    "subscribe": "echo://session",
    "prompt": "diagnose-session",
}


def hold(command: Sequence[str], cwd: Path | None = None) -> dict[str, Any]:
    """Run a client and return what it heard."""
    done = subprocess.run(
        command, cwd=cwd, input=json.dumps(SCRIPT).encode(), capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    heard: dict[str, Any] = json.loads(done.stdout)
    return heard


def check(heard: Mapping[str, Any], client_name: str) -> None:
    """Assert that a client heard everything that it had to hear."""
    names = [call["name"] for call in CALLS]
    assert heard["server"] == "mcp-echo"
    assert heard["protocol_version"] == "2025-11-25"
    assert heard["tools"] == names
    assert list(heard["answers"]) == names
    for name, answer in heard["answers"].items():
        assert TEXTS[name] in answer["text"]
        assert answer["structured"]
        assert not answer["is_error"]
    _check_state(heard, client_name)
    _check_notifications(heard)
    assert heard["resources"] == ["echo://server", "echo://session"]
    assert heard["prompts"] == ["diagnose-auth", "diagnose-session"]
    assert "sessionInfo" in heard["prompt"]


def _check_state(heard: Mapping[str, Any], client_name: str) -> None:
    """The tenth call and the last one found the same session, with what had happened in between."""
    before, after = heard["answers"]["sessionInfo"]["structured"], heard["info"]["structured"]
    assert before["clientName"] == after["clientName"] == client_name
    assert before["session"] == after["session"] == heard["read"]["session"]
    assert before["initialized"] is True
    assert (before["echoCount"], before["replayCount"]) == (1, 1)
    assert (after["echoCount"], after["replayCount"]) == (2, 1)
    assert heard["again"]["structured"]["echoCount"] == 2
    assert heard["read"]["echoCount"] == 2
    assert after["totalRequests"] > before["totalRequests"] > 10
    assert after["openStreams"] >= 1


def _check_notifications(heard: Mapping[str, Any]) -> None:
    """Log messages came once asked for, the change of the resource on the stream that a GET opened."""
    assert heard["logs_before_asking"] == 0
    echoed = [log for log in heard["logs"] if log["data"]["tool"] == "echo"]
    assert [(log["level"], log["data"]["event"]) for log in echoed] == [
        ("debug", "started"),
        ("info", "answered"),
    ]
    assert {log["logger"] for log in heard["logs"]} == {"mcp-echo"}
    assert heard["updated"] == ["echo://session"]
