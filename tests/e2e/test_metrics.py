"""/metrics of a real daemon: what was done, and nothing else, is what a scraper finds."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from tests.e2e.conftest import Start
from tests.e2e.daemon import MODULE, STOP_SECONDS, environment
from tests.e2e.wire import ModernWire, Wire
from tests.ports import free_port

pytestmark = pytest.mark.slow

MODERN = "2026-07-28"
FORMATS = {
    "text": ("*/*", "text/plain; version=0.0.4; charset=utf-8", text_families),
    "openmetrics": (
        "application/openmetrics-text; version=1.0.0",
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        openmetrics_families,
    ),
}

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def get(
    port: int, path: str, accept: str = "*/*", method: str = "GET"
) -> tuple[http.client.HTTPResponse, str]:
    """Return the response to one request and its body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request(method, path, headers={"Accept": accept})
        response = connection.getresponse()
        return response, response.read().decode()
    finally:
        connection.close()


def scrape(port: int, form: str) -> Samples:
    """Return every sample, by name and labels."""
    accept, content_type, parse = FORMATS[form]
    response, body = get(port, "/metrics", accept)
    assert (response.status, response.headers["Content-Type"]) == (200, content_type)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(body)
        for sample in family.samples
    }


def post(port: int, body: object, **headers: str) -> int:
    """Return the status of one POST to /mcp."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request(
            "POST", "/mcp", data, {name.replace("_", "-"): text for name, text in headers.items()}
        )
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


@pytest.mark.parametrize("form", FORMATS)
def test_what_was_done_is_what_is_shown(form: str, start: Start) -> None:
    """Our choice: each request is counted once, in both eras and whichever way it is answered."""
    metrics = free_port()
    port = start(
        "--metrics-port", str(metrics), "--max-sessions", "3", "--max-sessions-per-address", "4"
    ).port
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    echo = {"name": "echo", "arguments": {"message": "m"}}

    with (
        Wire(port, "2025-11-25") as wire,
        ModernWire(port, MODERN) as modern,
        Wire(port, "2025-03-26") as batch,
    ):
        wire.listen()
        for _ in range(3):
            wire.ask("tools/call", echo)
        wire.ask("tools/call", {"name": "nope"})
        probe = {"name": "clientProbe", "arguments": {"feature": "progress"}, "_meta": {"progressToken": 1}}
        _, before = wire.ask("tools/call", probe)
        made, _ = modern.ask("tools/call", {"name": "createEchoSession", "arguments": {}})
        handle = made["result"]["structuredContent"]["session"]
        modern.ask("tools/call", {"name": "sessionInfo", "arguments": {"session": handle}})
        modern.ask("server/discover")
        modern.ask("nope")
        assert post(port, [ping, {**ping, "id": 2}], Mcp_Session_Id=batch.session_id) == 200
        assert post(port, b"{") == 400
        assert post(port, ping, Mcp_Session_Id="unknown") == 404
        assert post(port, ping, Origin="https://evil.example") == 403
        assert post(port, ping, Padding="x" * 100_000) == 431
        assert post(port, {**ping, "method": "tools/list"}) == 503
        found = scrape(metrics, form)

    names = ("method", "tool", "revision", "era", "status", "error")
    counted = {
        tuple(dict(labels)[name] for name in names): value
        for (metric, labels), value in found.items()
        if metric == "mcp_echo_requests_total"
    }
    assert counted == {
        ("initialize", "none", "2025-11-25", "legacy", "200", ""): 1,
        ("tools/call", "echo", "2025-11-25", "legacy", "200", ""): 3,
        ("tools/call", "other", "2025-11-25", "legacy", "200", "-32602"): 1,
        ("tools/call", "clientProbe", "2025-11-25", "legacy", "200", ""): 1,
        ("tools/call", "createEchoSession", MODERN, "modern", "200", ""): 1,
        ("tools/call", "sessionInfo", MODERN, "modern", "200", ""): 1,
        ("server/discover", "none", MODERN, "modern", "200", ""): 1,
        ("other", "none", MODERN, "modern", "404", "-32601"): 1,
        ("initialize", "none", "2025-03-26", "legacy", "200", ""): 1,
        ("ping", "none", "2025-03-26", "legacy", "200", ""): 2,
        ("none", "none", "none", "none", "400", "-32700"): 1,
        ("ping", "none", "none", "legacy", "404", "-32603"): 1,
        ("tools/list", "none", "none", "legacy", "503", "-32603"): 1,
    }

    def value(name: str, **labels: str) -> float:
        return found["mcp_echo_" + name, frozenset(labels.items())]

    assert value("request_seconds_count", method="tools/call") == 7
    assert 0 < value("request_seconds_sum", method="tools/call") < 60
    assert value("request_seconds_bucket", method="tools/call", le="+Inf") == 7
    assert value("http_refused_total", status="403") == 1
    assert value("http_refused_total", status="431") == 1
    assert (value("sessions", kind="session"), value("sessions", kind="handle")) == (2, 1)
    assert value("sessions_created_total") == 3
    assert value("sessions_refused_total", reason="full") == 1
    assert value("streams", kind="listening") == 1
    assert len(before) > 1
    assert value("stream_events_total") == value("messages_queued_total") == len(before) + 1
    assert value("stream_bytes_total") > 50 * len(before)
    assert value("messages_dropped_total", reason="pushed_out") == value("log_failures_total") == 0
    assert value("stalls_total") == value("connections_refused_total") == 0
    assert value("connections") >= 1
    assert value("reactor_lag_seconds_count") >= 0
    assert found["process_resident_memory_bytes", frozenset()] > 10_000_000


def test_clients_cannot_read_the_figures(start: Start) -> None:
    """Our choice: the port for clients has no /metrics, the one for scrapers nothing else."""
    metrics = free_port()
    daemon = start("--metrics-port", str(metrics))
    assert get(daemon.port, "/metrics")[0].status == 404
    assert get(metrics, "/mcp")[0].status == get(metrics, "/health")[0].status == 404
    refused, _ = get(metrics, "/metrics", method="POST")
    assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD")


def test_metrics_are_off_by_default(start: Start) -> None:
    """Our choice: a daemon listens nowhere that nobody asked it to."""
    daemon = start()
    assert "metrics" not in daemon.log()
    assert listening(daemon.process.pid) == {daemon.port}


def test_the_figures_stay_on_loopback_when_the_server_does_not(start: Start) -> None:
    """Our choice: a number is a port of 127.0.0.1, whatever --host says."""
    metrics = free_port()
    start("--host", "0.0.0.0", "--metrics-port", str(metrics))
    assert get(metrics, "/metrics")[0].status == 200
    # Another address of the loopback interface, where a wildcard would answer.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", metrics), timeout=5)


@pytest.mark.parametrize("bad", ["99999", "bogus:1"])
def test_a_port_that_cannot_be_is_refused_in_one_line(bad: str, tmp_path: Path) -> None:
    """Our choice: the message names the option or the variable, and there is no traceback."""
    command = [*MODULE, "--port", str(free_port()), "--metrics-port", bad]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=STOP_SECONDS
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.strip().splitlines()
    assert line.startswith("python -m mcp_echo: --metrics-port ")


def test_a_port_that_is_taken_ends_the_start(tmp_path: Path) -> None:
    """Our choice: who asks for figures and cannot have them is told at once."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = str(taken.getsockname()[1])
        ended = subprocess.run(
            [*MODULE, "--port", str(free_port()), "--metrics-port", where],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=STOP_SECONDS,
        )
    assert ended.returncode == 1
    assert f"mcp-echo: cannot listen on tcp:{where}:interface=127.0.0.1" in ended.stderr


def listening(pid: int) -> set[int]:
    """Return the TCP ports that a process listens on, from /proc (proc(5))."""
    sockets = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports
