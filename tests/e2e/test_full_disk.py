"""A daemon whose SQLite file can grow no more, and goes on when it can."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Start
from tests.e2e.wire import Wire, tool

pytestmark = pytest.mark.slow

PATIENCE = 20
"""Seconds for the daemon to notice that there is room again, which it looks for every second."""


def test_a_full_disk_is_answered_with_503_and_loses_nothing_acknowledged(
    start: Start, tmp_path: Path
) -> None:
    """MCP_ECHO_STORE: what was answered is kept, whatever happens then; RFC 9110 section 15.6.4."""
    daemon = start(f"--store=sqlite:{tmp_path / 'sessions.db'}")
    with Wire(daemon.port, "2025-06-18") as wire:
        session_id = wire.session_id
    acknowledged = 0
    status, _, body = tool(daemon.port, session_id, "echo", message="x")
    acknowledged += 1
    # What a disk without room does to a write: it writes less than asked for, or fails.
    size = sum(path.stat().st_size for path in tmp_path.glob("sessions.db*"))
    _, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (size, hard))
    retry_after = None
    for _ in range(200):
        status, retry_after, body = tool(daemon.port, session_id, "echo", message="y" * 100_000)
        if status != 200:
            break
        acknowledged += 1
        assert body["result"]["structuredContent"]["echoCount"] == acknowledged
    assert (status, retry_after in ("1", "2", "3")) == (503, True)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    deadline = time.monotonic() + PATIENCE
    while status != 200 and time.monotonic() < deadline:
        time.sleep(0.1)
        status, _, body = tool(daemon.port, session_id, "echo", message="z")
    assert status == 200
    assert body["result"]["structuredContent"]["echoCount"] == acknowledged + 1
