"""Engines on a SQLite file, and what they are asked to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import reactor

from mcp_echo.cluster.engine import Change, Create
from mcp_echo.stores.sqlite.clock import FileClock
from mcp_echo.stores.sqlite.engine import SqliteEngine
from tests.contracts.test_engine import Ears, until
from tests.engines import record_limits

LONG = 3_600_000


def make(
    path: Path, node: str = "a", options: str = "", clock: FileClock | None = None, **limits: Any
) -> SqliteEngine:
    return SqliteEngine(reactor, f"sqlite:{path}{options}", record_limits(**limits), node, clock)


def create(name: str, timeout: int = LONG) -> Create:
    return Create(name, None, False, timeout, b"new")


def change(name: str, version: int = 1, **more: Any) -> Change:
    return Change(name, None, False, version, True, b"changed", **more)


async def begun(
    path: Path, started: list[SqliteEngine], node: str = "a", **more: Any
) -> tuple[SqliteEngine, Ears]:
    """Start an engine on the file, note it among those that are started, and wait until it has caught up."""
    engine, ears = make(path, node, **more), Ears()
    engine.open()
    engine.start(ears)
    started.append(engine)
    await until(lambda: ears.times_caught_up > 0)
    return engine, ears
