"""Real clients that are put through drills: what they do is what docs/clients.md says."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e import conversation, environments
from tests.e2e.conftest import Needs, Start
from tests.e2e.daemon import ANSWER_SECONDS, Daemon, environment
from tests.e2e.drills import ORDERS
from tests.e2e.trace import Trace
from tests.watch.clients import LIVE, drill_rows
from tests.watch.replay import drilled, read

pytestmark = pytest.mark.slow

SDK_1, SDK_2 = environments.python(environments.SDK_1), environments.python(environments.SDK_2)

CLIENTS: dict[str, tuple[list[str], list[str]]] = {
    "python-1": ([environments.SDK_1], [SDK_1, "drill_python_1.py", "{url}"]),
    "python-2-legacy": ([environments.SDK_2], [SDK_2, "drill_python_2.py", "{url}", "legacy"]),
    "python-2": ([environments.SDK_2], [SDK_2, "drill_python_2.py", "{url}", "auto"]),
    "typescript-1": ([environments.NODE], ["node", "drill_typescript_1.mjs", "{url}"]),
    "typescript-2-legacy": ([environments.NODE], ["node", "drill_typescript_2.mjs", "{url}", "legacy"]),
    "typescript-2": ([environments.NODE], ["node", "drill_typescript_2.mjs", "{url}", "auto"]),
    "mcp-remote": (
        [environments.SDK_1, environments.NODE],
        [SDK_1, "drill_through_stdio.py", "mcp-remote", "{url}"],
    ),
}
"""Name → the environments that it runs in, and how it is started."""


def test_the_page_has_a_row_for_each_client() -> None:
    """docs/clients.md."""
    assert {row.name for row in drill_rows().values() if row.seen == LIVE} == set(CLIENTS)


@pytest.mark.parametrize("name", CLIENTS)
def test_what_a_client_does_when_the_server_misbehaves_is_what_the_page_says(
    start: Start, client_environment: Needs, name: str, tmp_path: Path
) -> None:
    """docs/clients.md. Each order is of a trace of its own, and all of them run at once."""
    needs, command = CLIENTS[name]
    for each in needs:
        client_environment(each)
    row, daemon = drill_rows()[name], start()
    wanted = [fault for fault in ORDERS if row.cells[fault] is not None]
    traces = {fault: _trace(daemon, fault) for fault in wanted}
    bystander = Trace(daemon, "bystander")
    running = {fault: _begun(command, trace, fault, tmp_path) for fault, trace in traces.items()}
    for process in running.values():
        process.communicate(timeout=90)
    for fault, trace in traces.items():
        drill = drilled(read(trace.evidence()).records)
        cell = row.cells[fault]
        assert cell is not None
        assert (drill.outcome, set(drill.findings)) == (cell.outcome, set(cell.findings)), drill
        assert drill.fault.partition(" ")[0] == fault
    assert bystander.report().drills == ()


def _trace(daemon: Daemon, fault: str) -> Trace:
    return Trace(daemon, fault, faults=[ORDERS[fault].order])


def _begun(command: list[str], trace: Trace, fault: str, home: Path) -> subprocess.Popen[bytes]:
    """Start a client, which is told what to do; how it ends is its own business."""
    project = environments.cache() / environments.NODE
    own = home / fault
    own.mkdir()
    path = f"{project / 'node_modules' / '.bin'}{os.pathsep}{os.environ['PATH']}"
    program, script, *arguments = command
    process = subprocess.Popen(
        [
            program,
            str(conversation.CLIENTS / script),
            *(each.replace("{url}", trace.url) for each in arguments),
        ],
        cwd=project,
        env=environment({"PATH": path, "HOME": str(own)}),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    process.stdin.write(ORDERS[fault].script.encode())
    process.stdin.close()
    process.stdin = None
    return process


class Script:
    """A client of the legacy era that does as it is told.

    Args:
        url: The MCP endpoint.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._port, self._path = parts.port, parts.path
        self._session: dict[str, str] = {}
        who = {"name": "script", "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": who}
        headers, _ = self.post(1, "initialize", params)
        self._session = {"Mcp-Session-Id": headers["Mcp-Session-Id"], "MCP-Protocol-Version": "2025-11-25"}
        self.post(None, "notifications/initialized", {})

    def post(self, number: int | None, method: str, params: Any) -> tuple[Any, str]:
        """Send a message; return the header lines and the body of the answer."""
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        body = json.dumps(message if number is None else {**message, "id": number})
        both = "application/json, text/event-stream"
        return self._ask("POST", body, {"Accept": both, "Content-Type": "application/json"})

    def call(self, number: int, name: str, arguments: Any) -> tuple[Any, str]:
        """Call a tool, with a token for progress."""
        meta = {"progressToken": number}
        return self.post(number, "tools/call", {"name": name, "arguments": arguments, "_meta": meta})

    def resume(self, event_id: str) -> tuple[Any, str]:
        """Come back for the rest of a stream."""
        return self._ask("GET", None, {"Accept": "text/event-stream", "Last-Event-ID": event_id})

    def _ask(self, method: str, body: str | None, headers: dict[str, str]) -> tuple[Any, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port or 80, timeout=ANSWER_SECONDS)
        with closing(connection):
            connection.request(method, self._path, body, {**headers, **self._session})
            response = connection.getresponse()
            try:
                return response.headers, response.read().decode()
            except http.client.IncompleteRead as error:
                return response.headers, error.partial.decode()


@pytest.mark.parametrize(
    ("waits", "outcome", "findings"),
    [(0.1, "did-not-wait", ("retry-not-respected",)), (0.7, "resumed", ())],
)
def test_a_stream_that_was_cut_is_to_be_resumed_no_sooner_than_retry_says(
    own_daemon: Daemon, waits: float, outcome: str, findings: tuple[str, ...]
) -> None:
    """2025-11-25 basic/transports, Sending Messages: the client MUST respect retry."""
    cut = {"fault": "cut", "options": {"after": 1, "retryMs": 600}, "match": {"tool": "clientProbe"}}
    trace = Trace(own_daemon, "cut", faults=[cut])
    script = Script(trace.url)
    _, events = script.call(2, "clientProbe", {"feature": "progress"})
    assert "retry: 600" in events
    assert '"structuredContent"' not in events
    last = [line.removeprefix("id: ") for line in events.splitlines() if line.startswith("id: ")][-1]
    time.sleep(waits)
    _, rest = script.resume(last)
    assert '"structuredContent"' in rest
    (drill,) = trace.report().drills
    assert (drill.outcome, drill.findings) == (outcome, findings), drill
    assert (drill.milliseconds or 0) >= waits * 1000


@pytest.mark.parametrize(
    ("waits", "outcome", "findings"), [(0.1, "did-not-wait", ("retry-after-ignored",)), (1.1, "waited", ())]
)
def test_what_was_refused_for_a_time_is_to_be_sent_again_behind_it(
    own_daemon: Daemon, waits: float, outcome: str, findings: tuple[str, ...]
) -> None:
    """RFC 9110 section 10.2.3: Retry-After says how long to wait."""
    trace = Trace(own_daemon, "reject", faults=[ORDERS["reject"].order])
    script = Script(trace.url)
    headers, _ = script.call(2, "echo", {"message": "hi"})
    assert (headers["Retry-After"], headers["X-MCP-Echo-Fault"]) == ("1", "reject 429")
    time.sleep(waits)
    script.call(3, "echo", {"message": "hi"})
    (drill,) = trace.report().drills
    assert (drill.outcome, drill.findings) == (outcome, findings), drill


@pytest.mark.parametrize("status", [404, 400, 401, 403, 410, 503])
def test_a_session_is_said_to_be_gone_once_and_in_its_trace_alone(own_daemon: Daemon, status: int) -> None:
    """docs/faults.md: an order hits the trace that it belongs to, as often as it says."""
    order = {"fault": "session-lost", "options": {"status": status}, "match": {"method": "tools/call"}}
    hit, other = Trace(own_daemon, "hit", faults=[order]), Trace(own_daemon, "not hit")
    marks = []
    for trace in (hit, other):
        script = Script(trace.url)
        for number in (2, 3):
            headers, _ = script.call(number, "echo", {"message": "hi"})
            marks.append(headers["X-MCP-Echo-Fault"])
            # What comes at once may have left before the answer had arrived.
            time.sleep(0.05)
    assert marks == [f"session-lost {status}", None, None, None]
    (drill,) = hit.report().drills
    assert drill.outcome == "kept-dead-id"
    assert drill.findings == (("session-kept-after-404",) if status == 404 else ())
    assert other.report().drills == ()
