"""What tests of Redis begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.logger import LogLevel, globalLogPublisher

from tests.contracts.test_engine import Ears, until
from tests.stores.redis_server import RedisServer
from tests.stores.redis_support import Events, Start, make


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of the test's own."""
    made = RedisServer()
    yield made
    made.remove()


@pytest_twisted.async_yield_fixture
async def start() -> AsyncIterator[Start]:
    """Start an engine: ``engine, ears = await start(address, "a")``."""
    started = []

    async def start(address: str, node: str = "a", wait: bool = True, **more: Any) -> Any:
        engine, ears = make(address, node, **more), Ears()
        engine.open()
        engine.start(ears)
        started.append(engine)
        if wait:
            await until(lambda: ears.times_caught_up > 0)
        return engine, ears

    yield start
    for engine in started:
        await engine.stop()


@pytest.fixture
def events() -> Iterator[Events]:
    """What is logged from information on."""
    noted = Events()

    def note(event: dict[str, Any]) -> None:
        if event["log_level"] >= LogLevel.info and event["log_namespace"].startswith("mcp_echo"):
            noted.append(event)

    globalLogPublisher.addObserver(note)
    yield noted
    globalLogPublisher.removeObserver(note)


@pytest.fixture
def no_tracebacks() -> Iterator[None]:
    """A Redis that fails is no reason for a traceback, of whoever's."""
    failures: list[str] = []

    def note(event: dict[str, Any]) -> None:
        if "log_failure" in event:
            failures.append(event["log_failure"].getTraceback())

    globalLogPublisher.addObserver(note)
    yield
    globalLogPublisher.removeObserver(note)
    assert failures == []
