"""Load a real daemon with a bit of everything for minutes, and look at what stays.

    python tests/soak.py --minutes 5

Reports the slope of resident memory, the descriptors, messages lost or delivered twice, and wrong answers.
The exit status is 1 if there is any of these, if descriptors are left, or if memory grows too fast.
Every client checks its own messages: by how many echoes it has sent and by the ids of the events it got.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from tests.e2e.daemon import MODULE, Daemon, running
from tests.e2e.test_fuzz import BASE, META, Sent, damaged, legacy, modern
from tests.ports import free_port

SESSION_TIMEOUT = 20
SETTINGS = {
    "MCP_SESSION_TIMEOUT": str(SESSION_TIMEOUT),
    "MCP_SESSION_CLEANUP_INTERVAL": "2",
    "MCP_ECHO_CLIENT_TIMEOUT": "2",
    "MCP_ECHO_KEEPALIVE_INTERVAL": "3",
    "ECHO_LOG_LEVEL": "WARNING",
}
CLIENTS = 4
"""How many of each kind are at work at once."""

PAUSE = 0.05
"""Mean seconds between two requests of a client."""

WARM_UP = 0.3
"""Part of the run that memory is not judged by; at least until as many sessions expire as are made, unless
the run is too short for that."""

SLOPE_ALLOWED = 256.0
"""KiB a minute."""

JSON_ONLY = (("Host", "localhost"), ("Accept", "application/json"))


class Wrong(Exception):
    """An answer was not what it should have been."""


class Tally:
    """What has been done and found."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []

    def check(self, holds: bool, what: str) -> None:
        """Note what does not hold."""
        if not holds:
            self.wrong.append(what)


class Events:
    """One client's event stream, across connections: what came, and what came twice.

    Args:
        port: Where the daemon listens.
        request: Opens the stream.
    """

    def __init__(self, port: int, request: Sent) -> None:
        self._port = port
        self._request = request
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self.last_id: str | None = None
        self.ids: list[str] = []
        self.methods: Counter[str] = Counter()

    async def open(self) -> None:
        """Connect, behind the last event if there was one."""
        headers = self._request.headers
        if self.last_id is not None:
            headers = (*headers, ("Last-Event-ID", self.last_id))
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(Sent(self._request.line, headers, self._request.message).to_bytes())
        status = await reader.readline()
        if b" 200 " not in status:
            raise Wrong(f"a stream was refused: {status!r}")
        self._reading = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                self._take(line.rstrip(b"\r\n"))

    def _take(self, line: bytes) -> None:
        if line.startswith(b"id: "):
            self.last_id = line[4:].decode()
        elif line.startswith(b"data: ") and b'"method"' in line:
            self.methods[json.loads(line[6:])["method"]] += 1
            if self.last_id is not None:
                self.ids.append(self.last_id)

    async def close(self) -> None:
        """Break the connection off."""
        if self._writer is not None:
            self._writer.transport.abort()
        if self._reading is not None:
            await self._reading

    async def settled(self, method: str, expected: int) -> int:
        """Return how many notifications of a method came, waiting a while for as many as expected."""
        deadline = time.monotonic() + 5
        while self.methods[method] < expected and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        return self.methods[method]


class Load:
    """The clients, each of which does its own thing over and over.

    Args:
        port: Where the daemon listens.
        tally: Where they note what they find.
        seed: Decides what they do.
    """

    def __init__(self, port: int, tally: Tally, seed: int) -> None:
        self._port = port
        self._tally = tally
        self._chance = random.Random(seed)
        self.stopping = False

    async def run(self, life: Callable[[], Awaitable[None]]) -> None:
        """Live one life after the other until told to stop."""
        while not self.stopping:
            try:
                await life()
            except Wrong as wrong:
                self._tally.wrong.append(f"{life.__name__}: {wrong}")
            except (OSError, asyncio.IncompleteReadError, ValueError) as error:
                self._tally.wrong.append(f"{life.__name__}: {error!r}")
            self._tally.done[life.__name__] += 1

    async def _pause(self) -> None:
        await asyncio.sleep(self._chance.expovariate(1 / PAUSE))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            yield reader, writer
        finally:
            writer.close()

    async def _ask(self, sent: Sent) -> tuple[int, Mapping[str, str], Any]:
        async with self._connection() as (reader, writer):
            writer.write(sent.to_bytes())
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode("latin-1")
            status, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        return int(status.split()[1]), headers, json.loads(body) if body else None

    # The legacy era.

    def _legacy(self, session: str | None, message: Any) -> Sent:
        named = () if session is None else (("Mcp-Session-Id", session),)
        return Sent("POST /mcp HTTP/1.1", (*JSON_ONLY, *named), message)

    async def _initialize(self) -> str:
        who = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "soak", "version": "1"},
        }
        message = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": who}
        status, headers, _ = await self._ask(self._legacy(None, message))
        if status != 200:
            raise Wrong(f"initialize was answered with {status}")
        return headers["mcp-session-id"]

    async def _call(self, session: str, method: str, params: dict[str, Any]) -> Any:
        number = self._chance.randrange(2**31)
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        status, _, answer = await self._ask(self._legacy(session, message))
        if status != 200 or answer["id"] != number or "result" not in answer:
            raise Wrong(f"{method} was answered with {status} {answer}")
        return answer["result"]

    async def stream(self) -> None:
        """A session whose log messages come on its stream, which is lost and resumed again and again."""
        session = await self._initialize()
        await self._call(session, "logging/setLevel", {"level": "debug"})
        headers = (("Host", "localhost"), ("Accept", "text/event-stream"), ("Mcp-Session-Id", session))
        events = Events(self._port, Sent("GET /mcp HTTP/1.1", headers))
        count = 0
        for _ in range(self._chance.randint(2, 5)):
            await events.open()
            for connected in [True] * self._chance.randint(1, 20) + [False] * self._chance.randint(0, 20):
                if not connected:
                    await events.close()
                text = f"message {count}"
                result = await self._call(
                    session, "tools/call", {"name": "echo", "arguments": {"message": text}}
                )
                count += 1
                if (
                    result["structuredContent"]["echoCount"] != count
                    or text not in result["content"][0]["text"]
                ):
                    raise Wrong(f"echo {count} was answered with {result}")
                await self._pause()
            await events.close()
        await events.open()
        came = await events.settled("notifications/message", 2 * count)
        await events.close()
        self._tally.done["messages"] += came
        self._tally.check(came == 2 * count, f"{2 * count} messages queued, {came} delivered")
        self._tally.check(len(set(events.ids)) == len(events.ids), "an event came twice")
        status, _, _ = await self._ask(Sent("DELETE /mcp HTTP/1.1", headers))
        self._tally.check(status == 204, f"DELETE was answered with {status}")

    async def abandoned(self) -> None:
        """A session that is left without a word."""
        session = await self._initialize()
        await self._call(session, "tools/call", {"name": "echo", "arguments": {"message": "x" * 1000}})
        await asyncio.sleep(0.5)

    async def slow_reader(self) -> None:
        """A client that opens its stream and reads nothing of what is queued for it."""
        session = await self._initialize()
        await self._call(session, "logging/setLevel", {"level": "debug"})
        stalled = socket.socket()
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with stalled:
            stalled.connect(("127.0.0.1", self._port))
            headers = (("Host", "localhost"), ("Accept", "text/event-stream"), ("Mcp-Session-Id", session))
            stalled.sendall(Sent("GET /mcp HTTP/1.1", headers).to_bytes())
            for _ in range(150):
                await self._call(
                    session, "tools/call", {"name": "echo", "arguments": {"message": "y" * 2000}}
                )
                await self._pause()

    # The modern era.

    async def _modern(self, method: str, params: dict[str, Any]) -> Any:
        status, _, answer = await self._ask(self._modern_request(method, params))
        if status != 200 or "result" not in answer:
            raise Wrong(f"{method} was answered with {status} {answer}")
        return answer["result"]

    def _modern_request(self, method: str, params: dict[str, Any], accept: str = "application/json") -> Sent:
        headers = [("Host", "localhost"), ("Accept", accept), ("MCP-Protocol-Version", "2026-07-28")]
        headers.append(("Mcp-Method", method))
        if "name" in params:
            headers.append(("Mcp-Name", params["name"]))
        meta = {key: value for key, value in META.items() if "logLevel" not in key}
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
        return Sent("POST /mcp HTTP/1.1", tuple(headers), message)

    async def handle(self) -> None:
        """State named by a handle, and a subscription that hears of each of its changes."""
        made = await self._modern("tools/call", {"name": "createEchoSession", "arguments": {}})
        handle = made["structuredContent"]["session"]
        wanted = {"notifications": {"resourceSubscriptions": [f"echo://session/{handle}"]}}
        events = Events(
            self._port,
            self._modern_request("subscriptions/listen", wanted, ", ".join(v for _, v in BASE[1:])),
        )
        await events.open()
        if not await events.settled("notifications/subscriptions/acknowledged", 1):
            raise Wrong("a subscription was not acknowledged")
        count = self._chance.randint(1, 40)
        for number in range(1, count + 1):
            arguments = {"message": str(number), "session": handle}
            result = await self._modern("tools/call", {"name": "echo", "arguments": arguments})
            if result["structuredContent"]["echoCount"] != number:
                raise Wrong(f"echo {number} was answered with {result}")
            await self._pause()
        came = await events.settled("notifications/resources/updated", count)
        await asyncio.sleep(0.1)
        self._tally.done["messages"] += came
        self._tally.check(
            events.methods["notifications/resources/updated"] == count, f"{count} changes, {came} heard of"
        )
        await events.close()
        await self._modern("tools/call", {"name": "closeEchoSession", "arguments": {"session": handle}})

    # What should not be.

    async def rubbish(self) -> None:
        """Damaged requests of all kinds."""
        valid = [*legacy(await self._initialize()), *modern()]
        for _ in range(50):
            async with self._connection() as (reader, writer):
                writer.write(damaged(self._chance, valid))
                with suppress(TimeoutError, ConnectionError):
                    status = await asyncio.wait_for(reader.readline(), 0.2)
                    self._tally.check(not status.startswith(b"HTTP/1.1 500"), "a damaged request got a 500")
            await self._pause()


def slope(readings: list[tuple[float, float]]) -> float:
    """Return the slope of a line through (x, y) pairs by least squares."""
    mean_x = sum(x for x, _ in readings) / len(readings)
    mean_y = sum(y for _, y in readings) / len(readings)
    spread = sum((x - mean_x) ** 2 for x, _ in readings)
    return sum((x - mean_x) * (y - mean_y) for x, y in readings) / spread


async def soak(daemon: Daemon, seconds: float, seed: int, tally: Tally) -> tuple[float, int, int]:
    """Run the load; return KiB a minute, and descriptors before and after."""
    process = psutil.Process(daemon.process.pid)
    descriptors = process.num_fds()
    load = Load(daemon.port, tally, seed)
    lives = (load.stream, load.abandoned, load.slow_reader, load.handle, load.rubbish)
    clients = [asyncio.create_task(load.run(life)) for life in lives for _ in range(CLIENTS)]
    begun = time.monotonic()
    warm = max(WARM_UP * seconds, min(2.5 * SESSION_TIMEOUT, seconds / 2))
    readings = []
    while (now := time.monotonic() - begun) < seconds:
        await asyncio.sleep(1)
        if now > warm:
            readings.append((now / 60, process.memory_info().rss / 1024))
    load.stopping = True
    await asyncio.gather(*clients)
    # The last sessions expire, the last streams are found to be gone.
    await asyncio.sleep(SESSION_TIMEOUT + 5)
    return slope(readings), descriptors, process.num_fds()


def report(tally: Tally, growth: float, allowed: float, before: int, after: int) -> None:
    """Print what was found."""
    print("Done: " + ", ".join(f"{count} × {what}" for what, count in sorted(tally.done.items())))
    print(f"Resident memory: {growth:+.1f} KiB a minute (allowed {allowed:g})")
    print(f"Descriptors: {before} before, {after} after")
    print(f"Wrong: {len(tally.wrong)}")
    for what, count in Counter(tally.wrong).most_common(20):
        print(f"  {count} × {what}")


def main() -> int:
    """Run and report; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slope", type=float, default=SLOPE_ALLOWED, help="most KiB a minute")
    asked = parser.parse_args()
    tally = Tally()
    port = free_port()
    with (
        tempfile.TemporaryDirectory() as directory,
        running([*MODULE, "--port", str(port)], Path(directory), port, SETTINGS) as daemon,
    ):
        growth, before, after = asyncio.run(soak(daemon, asked.minutes * 60, asked.seed, tally))
        # Said before the daemon stops, which fails if there is a traceback in its log.
        report(tally, growth, asked.slope, before, after)
    return int(bool(tally.wrong) or growth > asked.slope or after > before)


if __name__ == "__main__":
    sys.exit(main())
