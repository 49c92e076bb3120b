"""One conversation for every official client: what they are told to say, and what they must hear."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mcp_echo.settings.load import load
from mcp_echo.tools.catalogue import catalogue

CLIENTS = Path(__file__).parent / "clients"

TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyMTIzIn0.c2lnbmF0dXJl"
"""A JWT with the subject user123."""

LEGACY = "2025-11-25"
MODERN = "2026-07-28"

HANDLE = "<session>"
"""Stands for the handle that createEchoSession has returned."""

SYMPTOM = "404 Session not found or expired"
"""Among what completion suggests for the prompt."""

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
    "createEchoSession": "🆕 Echo Session Created",
}
"""What the answer of each tool that is called for its answer must contain."""

TOOLS = tuple(catalogue(load({}, {}).settings))
"""What each client must be told of."""

PROBED = {
    "sampling": {"role": "assistant", "content": {"type": "text", "text": "pong"}, "model": "e2e"},
    "elicitation": {"action": "accept", "content": {"answer": "forty-two"}},
    "roots": {"roots": [{"uri": "file:///workspace", "name": "work"}]},
}
"""What every client answers when clientProbe asks it."""

LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


def tool(name: str, **arguments: Any) -> dict[str, Any]:
    """Return the params of a tool call."""
    return {"name": name, "arguments": arguments}


def calls(**state: str) -> tuple[dict[str, Any], ...]:
    """Return a call of each tool that ``TEXTS`` knows; ``state`` is what names the session, if anything."""
    return (
        tool("createEchoSession", label="e2e"),
        tool("echo", message="First message", uppercase=True, **state),
        tool("replayLastEcho", **state),
        tool("printHeader", category="mcp"),
        tool("bearerDecode", token=TOKEN),
        tool("authContext"),
        tool("requestTiming"),
        tool("corsAnalysis"),
        tool("environmentDump"),
        tool("healthProbe"),
        tool("sessionInfo", **state),
        tool("whoIStheGOAT", subject="MCP Protocol"),
    )


def script(watch: str, **state: str) -> dict[str, Any]:
    """Return what a client is told to do."""
    return {
        "calls": calls(**state),
        "probes": [tool("clientProbe", feature=feature) for feature in PROBED],
        "progress": tool("clientProbe", feature="progress"),
        "logging": tool("clientProbe", feature="logging"),
        "lists": tool("clientProbe", feature="list-changed", seconds=15),
        "cancel": tool("clientProbe", feature="cancellation", seconds=30),
        "watch": watch,
        "again": tool("echo", message="Second message", **state),
        "prompt": {"name": "diagnose-session", "arguments": {"symptom": "a lost session"}},
        "complete": {
            "ref": {"type": "ref/prompt", "name": "diagnose-session"},
            "argument": {"name": "symptom", "value": "404"},
        },
        "last": [
            tool("sessionInfo", **state),
            tool("closeEchoSession", session=HANDLE),
            tool("replayLastEcho", session=HANDLE),
        ],
    }


SCRIPTS = {
    LEGACY: script("echo://session"),
    MODERN: script(f"echo://session/{HANDLE}", session=HANDLE),
}


def run(command: Sequence[str], stdin: Any = None, cwd: Path | None = None) -> dict[str, Any]:
    """Run a client program and return what it heard."""
    done = subprocess.run(
        command, cwd=cwd, input=json.dumps(stdin).encode(), capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    heard: dict[str, Any] = json.loads(done.stdout)
    return heard


def hold(command: Sequence[str], revision: str, client_name: str, cwd: Path | None = None) -> None:
    """Have a client hold the conversation of a revision, and assert that it heard all it had to hear."""
    heard = run(command, SCRIPTS[revision], cwd)
    assert heard["protocol_version"] == revision
    assert heard["server"] == "mcp-echo"
    _check_offer(heard, revision)
    _check_answers(heard)
    _check_state(heard, revision, client_name)
    _check_probes(heard, revision)
    _check_notifications(heard, revision)


def _check_offer(heard: Mapping[str, Any], revision: str) -> None:
    assert heard["tools"] == list(TOOLS)
    # A modern client has no session that the server could show under a fixed name.
    own = ["echo://session"] if revision == LEGACY else []
    assert heard["resources"] == ["echo://server", *own, "echo://findings"]
    assert heard["templates"] == [
        "echo://session/{session}",
        "echo://session/{session}/messages",
        "echo://trace/{trace}",
        "echo://trace/{trace}/timeline",
        "echo://trace/{trace}/evidence.md",
        "echo://trace/{trace}/evidence.json",
    ]
    assert heard["prompts"] == ["diagnose-auth", "diagnose-session"]
    assert heard["prompt"].endswith("What was reported: a lost session")
    assert heard["completion"] == [SYMPTOM]


def _check_answers(heard: Mapping[str, Any]) -> None:
    assert set(heard["answers"]) == set(TEXTS)
    for name, answer in heard["answers"].items():
        assert TEXTS[name] in answer["content"][0]["text"]
        assert answer["structuredContent"]
        assert not answer["isError"]


def _check_state(heard: Mapping[str, Any], revision: str, client_name: str) -> None:
    """All calls found the same session: the protocol's or the handle's; a closed handle is gone."""
    info, closed, gone = heard["last"]
    before, after = heard["answers"]["sessionInfo"]["structuredContent"], info["structuredContent"]
    assert before["clientName"] == after["clientName"] == client_name
    assert before["session"] == after["session"] == heard["read"]["session"]
    assert (before["session"] == heard["handle"]) is before["isHandle"] is (revision == MODERN)
    assert (before["echoCount"], before["replayCount"]) == (1, 1)
    assert (after["echoCount"], after["replayCount"]) == (2, 1)
    assert heard["again"]["structuredContent"]["echoCount"] == heard["read"]["echoCount"] == 2
    assert after["totalRequests"] > before["totalRequests"]
    assert not closed["isError"]
    assert gone["isError"]


def _check_probes(heard: Mapping[str, Any], revision: str) -> None:
    """What the client answered arrived, by whichever way its era has for questions."""
    for feature, probe in heard["probes"].items():
        found = probe["structuredContent"]
        assert found["protocolVersion"] == revision
        assert found["problems"] == []
        assert PROBED[feature].items() <= found["answer"].items()
    assert list(heard["probes"]) == list(PROBED)
    assert heard["progress"] == [[done, 100, f"{done} of 100"] for done in (0, 50, 100)]
    assert heard["logging"]["structuredContent"]["problems"] == []
    assert heard["lists"]["structuredContent"]["problems"] == []


def _check_notifications(heard: Mapping[str, Any], revision: str) -> None:
    """Log messages came once asked for, the change of the resource on the stream opened for it."""
    assert heard["logs_before_asking"] == 0
    logs = heard["logs"]
    echoed = [log for log in logs if log["data"].get("tool") == "echo"]
    assert [(log["level"], log["data"]["event"]) for log in echoed] == [
        ("debug", "started"),
        ("info", "answered"),
    ]
    assert tuple(log["level"] for log in logs if log["data"].get("probe") == "logging") == LEVELS
    assert {log["logger"] for log in logs} == {"mcp-echo"}
    assert set(heard["updated"]) == {SCRIPTS[revision]["watch"].replace(HANDLE, heard["handle"])}
