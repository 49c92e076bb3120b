"""What tests of Redis begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.logger import LogEvent, LogLevel

from tests.contracts.test_engine import Ears, until
from tests.logged import Events, no_logged_failures, observed
from tests.stores.redis_server import RedisServer
from tests.stores.redis_support import Start, make


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

    def note(event: LogEvent) -> None:
        if event["log_level"] >= LogLevel.info and event["log_namespace"].startswith("mcp_echo"):
            noted.append(event)

    with observed(note):
        yield noted


@pytest.fixture
def no_tracebacks() -> Iterator[None]:
    """A Redis that fails is no reason for a traceback, of whoever's."""
    with no_logged_failures():
        yield
