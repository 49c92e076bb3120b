"""A process of its own that works on an SQLite file, for tests that need two, or one to kill."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from mcp_echo.cluster.engine import Applied, Change, Conflict, Create, Found, Peek, RecordLimits
from mcp_echo.stores.sqlite.engine import SqliteEngine


class Deaf:
    """A listener that does not care."""

    def invalidated(self, record_id: str) -> None:
        pass

    def receive(self, payload: bytes) -> None:
        pass

    def caught_up(self) -> None:
        pass

    def replaced(self) -> None:
        pass


async def write(engine: SqliteEngine) -> None:
    """Make records for ever, and say of each that it is there."""
    number = 0
    while True:
        number += 1
        assert isinstance(await engine.submit(Create(f"{number}", None, False, 3_600_000, b"")), Applied)
        print(number, flush=True)


async def count(engine: SqliteEngine, times: int) -> None:
    """Count up in the record ``counter`` from copies of it."""
    outcome = await engine.submit(Peek("counter"))
    assert isinstance(outcome, Found)
    version, counted = outcome.record.version, int(outcome.record.state)
    while times:
        answer = await engine.submit(Change("counter", None, False, version, True, b"%d" % (counted + 1)))
        if isinstance(answer, Applied):
            times, version, counted = times - 1, version + 1, counted + 1
        else:
            assert isinstance(answer, Conflict), answer
            version, counted = answer.record.version, int(answer.record.state)


async def work(command: str, address: str, *arguments: str) -> None:
    engine = SqliteEngine(reactor, address, RecordLimits(10**6), command)
    engine.open()
    engine.start(Deaf())
    if command == "write":
        await write(engine)
    await count(engine, int(arguments[0]))
    await engine.stop()


def main(_: Any, *arguments: str) -> Deferred[None]:
    working: Coroutine[Any, Any, None] = work(*arguments)
    return Deferred.fromCoroutine(working)


if __name__ == "__main__":
    react(main, sys.argv[1:])
