"""A daemon whose store does not keep what it is given, or whose clock is set: what is seen of it."""

from __future__ import annotations

import http.client
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Needs, Start
from tests.e2e.daemon import Daemon
from tests.e2e.nodes import wait_until
from tests.e2e.wire import Wire, tool
from tests.stores.redis_server import RedisServer

pytestmark = pytest.mark.slow

REVISION = "2025-11-25"
FAKETIME = next(Path("/usr/lib").glob("**/faketime/libfaketime.so.1"), None)


def echo(daemon: Daemon, session_id: str) -> tuple[int, str | None, Any]:
    return tool(daemon.port, session_id, "echo", message="x")


def new_session(daemon: Daemon) -> str:
    with Wire(daemon.port, REVISION) as wire:
        return str(wire.session_id)


def session_info(daemon: Daemon, session_id: str) -> Any:
    """Return what is known of a session that has just been made."""
    status, _, body = tool(daemon.port, session_id, "sessionInfo")
    assert status == 200, body
    shown = body["result"]["structuredContent"]
    assert 0 <= shown["age"] < 60
    return shown


def is_refused(daemon: Daemon, session_id: str) -> None:
    status, retry_after, body = echo(daemon, session_id)
    assert (status, retry_after in ("1", "2", "3")) == (503, True), body


def lines(daemon: Daemon, *words: str) -> list[str]:
    return [line for line in daemon.log().splitlines() if all(word in line for word in words)]


def both_work(daemon: Daemon) -> None:
    """Wait for the second worker: whoever begins without a file makes one."""
    wait_until(lambda: daemon.log().count(" is ready") >= 2)


def remove(path: Path) -> None:
    path.unlink()


def move_away(path: Path) -> None:
    path.rename(path.with_name("moved"))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("act", [remove, move_away])
def test_a_file_that_is_gone_is_503_and_said_once_a_process(
    start: Start, tmp_path: Path, act: Callable[[Path], None], workers: int
) -> None:
    """docs/scaling.md: what a client was answered is kept; `/ready` is true of writing, and says why."""
    path = tmp_path / "sessions.db"
    daemon = start(f"--store=sqlite:{path}", *(["--workers=2"] if workers == 2 else []))
    if workers == 2:
        both_work(daemon)
    session_id = new_session(daemon)
    assert echo(daemon, session_id)[0] == 200
    act(path)
    for _ in range(10):
        is_refused(daemon, session_id)
    wait_until(lambda: all(daemon.probe("/ready")[0] == 503 for _ in range(10)))
    _, body = daemon.probe("/ready")
    assert body["store"]["available"] is False
    assert "put it or a copy of it back" in body["store"]["reason"]
    assert daemon.probe("/health")[0] == 200
    time.sleep(2.5)
    assert len(lines(daemon, "removed", "503")) == workers
    if act is move_away:
        path.with_name("moved").rename(path)
        wait_until(lambda: all(daemon.probe("/ready")[0] == 200 for _ in range(10)))
        assert echo(daemon, session_id)[2]["result"]["structuredContent"]["echoCount"] == 2


@pytest.mark.parametrize("gone", [("-wal",), ("-shm",), ("-wal", "-shm")], ids="+".join)
def test_a_log_that_was_removed_under_several_processes_takes_nothing_along(
    start: Start, tmp_path: Path, gone: tuple[str, ...]
) -> None:
    """https://sqlite.org/howtocorrupt.html: each has it open, and only one may write it down."""
    path = tmp_path / "sessions.db"
    daemon = start(f"--store=sqlite:{path}", "--workers=2")
    both_work(daemon)
    sessions = [new_session(daemon) for _ in range(10)]
    for session_id in sessions:
        assert echo(daemon, session_id)[0] == 200
    for suffix in gone:
        path.with_name(path.name + suffix).unlink()
    for session_id in sessions:
        wait_until(lambda session_id=session_id: echo(daemon, session_id)[0] == 200)
    daemon.terminate()
    assert bool(lines(daemon, "nothing is lost")) == ("-wal" in gone)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM record").fetchone() == (10,)
    daemon = start(f"--store=sqlite:{path}")
    for session_id in sessions:
        assert echo(daemon, session_id)[2]["result"]["structuredContent"]["echoCount"] == 3


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    made = RedisServer()
    yield made
    made.remove()


def test_a_redis_without_memory_is_not_ready_and_says_why_until_it_has_some(
    start: Start, redis: RedisServer
) -> None:
    """docs/scaling.md: `/ready` is true of writing."""
    redis.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    daemon = start(f"--store={redis.address}")
    wait_until(lambda: daemon.probe("/ready")[0] == 200)
    assert len(lines(daemon, "allkeys-lru", "set maxmemory-policy noeviction")) == 1
    redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    session_id = new_session(daemon)
    redis.ask("CONFIG", "SET", "maxmemory", "1")
    is_refused(daemon, session_id)
    wait_until(lambda: daemon.probe("/ready")[0] == 503)
    assert "OOM" in daemon.probe("/ready")[1]["store"]["reason"]
    redis.ask("CONFIG", "SET", "maxmemory", "0")
    wait_until(lambda: daemon.probe("/ready")[0] == 200)
    assert echo(daemon, session_id)[0] == 200
    assert len(lines(daemon, "no memory left", "smaller sessions")) == 1


@pytest.mark.parametrize("monotonic", ["0", "1"], ids=["every clock", "the wall clock"])
@pytest.mark.parametrize("offset", ["+2d", "-2d"])
def test_a_clock_that_is_set_between_two_runs_ends_no_session(
    start: Start, tmp_path: Path, program: Needs, offset: str, monotonic: str
) -> None:
    """docs/scaling.md: no age is below zero, and none is that of the step."""
    program("faketime")
    store = f"--store=sqlite:{tmp_path / 'sessions.db'}"
    daemon = start(store)
    session_id = new_session(daemon)
    today = session_info(daemon, session_id)["created"][:10]
    daemon.terminate()
    fake = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": offset, "DONT_FAKE_MONOTONIC": monotonic}
    daemon = start(store, env=fake)
    status, _, body = tool(daemon.port, session_id, "sessionInfo")
    assert status == 200, body
    shown = body["result"]["structuredContent"]
    assert 0 <= shown["age"] < 60
    assert shown["created"][:10] != today, "the clock was not set"
    daemon.terminate()


def test_a_clock_that_is_set_while_it_runs_ends_no_session(
    start: Start, tmp_path: Path, program: Needs
) -> None:
    """docs/scaling.md, as above."""
    program("faketime")
    offset = tmp_path / "offset"
    offset.write_text("+0\n")
    fake = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    daemon = start(f"--store=sqlite:{tmp_path / 'sessions.db'}", env=fake)
    session_id = new_session(daemon)
    today = session_info(daemon, session_id)["created"][:10]
    for step in ("+2d", "-2d", "+400d"):
        offset.write_text(f"{step}\n")
        wait_until(lambda: session_info(daemon, session_id)["created"][:10] != today)


def test_what_health_tells_has_one_scope_in_one_object_over_restarts(start: Start, tmp_path: Path) -> None:
    """Our choice: sessions are those of all nodes; what this process has done is said to be so."""
    store = f"--store=sqlite:{tmp_path / 'sessions.db'}"
    daemon = start(store)
    first = [new_session(daemon) for _ in range(3)]
    daemon.terminate()
    daemon = start(store)
    new_session(daemon)
    with Wire(daemon.port, REVISION) as wire:
        ended = str(wire.session_id)
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=15)
    connection.request("DELETE", "/mcp", headers={"Mcp-Session-Id": ended})
    assert connection.getresponse().status in (200, 204)
    connection.close()
    _, body = daemon.probe("/health")
    assert body["sessions"] == {"scope": "store", "active": 4, "total_created": 5, "expired": 0}
    assert body["this_node"] == {"created": 2, "expired": 0, "closed": 1}
    text = tool(daemon.port, first[0], "healthProbe")[2]["result"]["content"][0]["text"]
    assert re.search(r"\(all nodes\):\n- Active Sessions: 4\n- Total Sessions Created: 5\n", text)
    assert re.search(r"This Node:\n- Sessions Created: 2\n", text)
