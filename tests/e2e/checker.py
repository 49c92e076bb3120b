"""A sender and a receiver that account for every message, and a judge that compares what they say.

The sender spells a number with each POST: a batch that calls one tool to begin with and then a tool for each
digit, so that the server queues their log messages, one behind the other. The receiver reads the session's
stream over whichever node lets it, and comes back with ``Last-Event-ID`` when it is lost.
"""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tests.e2e.conversation import TOKEN
from tests.e2e.wire import Wire

REVISION = "2025-03-26"
"""The one that has batches."""

BEGIN = "echo"
DIGITS: dict[str, dict[str, Any]] = {
    "replayLastEcho": {},
    "printHeader": {"category": "mcp"},
    "bearerDecode": {"token": TOKEN},
    "authContext": {},
    "requestTiming": {},
    "corsAnalysis": {},
    "sessionInfo": {},
    "whoIStheGOAT": {"subject": "MCP"},
}
"""Tool → its arguments; its place is the digit."""
LENGTH = 4
"""Digits of a number."""

RETRY_AFTER = range(1, 4)
"""Seconds that a refusal for want of the store may name."""

SETTLE = 60.0
"""Seconds until what has not come by then never will."""

Where = Callable[[], Sequence[int]]
"""The ports of the nodes that are thought to be up."""


def spelled(number: int) -> list[dict[str, Any]]:
    """Return the batch that spells a number."""
    tools = list(DIGITS)
    digits = [number // len(tools) ** place % len(tools) for place in reversed(range(LENGTH))]
    calls = [(BEGIN, {"message": str(number)}), *((tools[digit], DIGITS[tools[digit]]) for digit in digits)]
    return [
        {
            "jsonrpc": "2.0",
            "id": f"{number}.{place}",
            "method": "tools/call",
            "params": {"name": name, "arguments": arguments},
        }
        for place, (name, arguments) in enumerate(calls)
    ]


def read(tools: Sequence[str]) -> list[int]:
    """Return the numbers that tools spell.

    Raises:
        AssertionError: Something is missing within a word, or there is too much of it.
    """
    width = 1 + LENGTH
    words = [tools[place : place + width] for place in range(0, len(tools), width)]
    digits = {name: str(digit) for digit, name in enumerate(DIGITS)}
    for word in words:
        whole = len(word) == width and word[0] == BEGIN and all(name in digits for name in word[1:])
        assert whole, f"a number is torn: {word} in {tools[:200]}"
    return [int("".join(digits[name] for name in word[1:]), len(DIGITS)) for word in words]


class Sender(threading.Thread):
    """Sends numbers, one after the other, to one node after the other.

    Args:
        where: Where nodes are.
        wire: Whose session it is.
        count: How many are to be acknowledged.
    """

    def __init__(self, where: Where, wire: Wire, count: int) -> None:
        super().__init__(daemon=True)
        self._where = where
        self._headers = {**wire.headers, "Accept": "application/json"}
        self._count = count
        self.acknowledged: list[int] = []
        self.uncertain: set[int] = set()
        self.outcomes: Counter[str] = Counter()
        self.retry_after: set[str | None] = set()
        self.times: list[float] = []
        """Seconds of the steady clock of each acknowledgement."""
        self._connections: dict[int, http.client.HTTPConnection] = {}

    def run(self) -> None:
        for number in itertools.count():
            ports = self._where()
            if len(self.acknowledged) >= self._count:
                break
            outcome = self._send(ports[number % len(ports)], number)
            self.outcomes[outcome] += 1
            if outcome == "200":
                self.acknowledged.append(number)
                self.times.append(time.monotonic())
            else:
                self.uncertain.add(number)
                time.sleep(0.05)
        for connection in self._connections.values():
            connection.close()

    def _send(self, port: int, number: int) -> str:
        connection = self._connections.pop(port, None) or http.client.HTTPConnection(
            "127.0.0.1", port, timeout=10
        )
        try:
            connection.request("POST", "/mcp", json.dumps(spelled(number)), self._headers)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return type(error).__name__
        if response.will_close:
            connection.close()
        else:
            self._connections[port] = connection
        if response.status == 503:
            self.retry_after.add(response.headers["Retry-After"])
        if response.status == 200 and body.count(b'"isError":false') != 1 + LENGTH:
            return f"wrong answer: {body[:300]!r}"
        return str(response.status)


class Event(NamedTuple):
    """A message as it came."""

    connection: int
    id: str
    tool: str
    time: float


class Receiver(threading.Thread):
    """Reads the session's stream, over one connection after the other.

    Args:
        where: Where nodes are; the first is asked first.
        wire: Whose session it is.
    """

    def __init__(self, where: Where, wire: Wire) -> None:
        super().__init__(daemon=True)
        self._where = where
        self._headers = {**wire.headers, "Accept": "text/event-stream"}
        self.events: list[Event] = []
        self.connections = 0
        self.last_id: str | None = None
        self.refusals: Counter[str] = Counter()
        self.opened = threading.Event()
        self.stopping = threading.Event()
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        for attempt in itertools.count():
            if self.stopping.is_set():
                break
            ports = self._where()
            self._listen(ports[attempt % len(ports)])
            time.sleep(random.uniform(0.02, 0.1))

    def _listen(self, port: int) -> None:
        headers = self._headers if self.last_id is None else {**self._headers, "Last-Event-ID": self.last_id}
        # Keep-alives come sooner, so that a connection without any is dead.
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/mcp", headers=headers)
            response = connection.getresponse()
            if response.status != 200:
                self.refusals[str(response.status)] += 1
                return
            self.connections += 1
            self.opened.set()
            self._read(response)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.refusals[type(error).__name__] += 1
        finally:
            connection.close()

    def _read(self, response: http.client.HTTPResponse) -> None:
        event_id = None
        for line in response:
            if not line.endswith(b"\n"):
                break
            if line.startswith(b"id:"):
                event_id = line[3:].strip().decode()
            elif line.startswith(b"data:") and b'"tool"' in line and event_id is not None:
                tool = json.loads(line[5:])["params"]["data"]["tool"]
                self.events.append(Event(self.connections, event_id, tool, time.monotonic()))
                self.last_id = event_id
            if self.stopping.is_set():
                break


class Verdict(NamedTuple):
    """What became of the messages of one run."""

    sent: int
    acknowledged: int
    received: int
    lost: list[int]
    doubled: list[int]
    """Numbers that came more than once, under whichever ids."""
    positions_doubled: list[str]
    """Event ids that came more than once."""
    disordered: list[str]
    """Where ids within a stream, or numbers that were acknowledged, did not grow."""
    unasked: list[int]
    """Numbers that came although they were never sent."""
    gap: float
    """The longest time, in seconds, without an acknowledgement."""
    quiet: float
    """The longest time without an event on the stream."""

    @property
    def right(self) -> bool:
        """Whether every message came once and in its place."""
        return not (self.lost or self.doubled or self.positions_doubled or self.disordered or self.unasked)


def settle(sender: Sender, receiver: Receiver) -> None:
    """Wait until all that was acknowledged has come, or never will; then stop."""
    sender.join(SETTLE * 3)
    assert not sender.is_alive(), f"sending does not come to an end: {sender.outcomes}"
    give_up = time.monotonic() + SETTLE
    wanted = set(sender.acknowledged)
    while time.monotonic() < give_up:
        events = list(receiver.events)
        if len(events) % (1 + LENGTH) == 0 and wanted <= set(read([event.tool for event in events])):
            break
        time.sleep(0.05)
    # Were there more, it would come now.
    time.sleep(0.5)
    receiver.stopping.set()
    receiver.join(15)


def judge(sender: Sender, receiver: Receiver) -> Verdict:
    """Compare what was sent with what has come."""
    events = receiver.events
    numbers = read([event.tool for event in events])
    known = set(sender.acknowledged) | sender.uncertain
    ids = Counter(event.id for event in events)
    places: dict[str, int] = {}
    disordered = []
    for event in events:
        tag, _, place = event.id.rpartition("-")
        if int(place) <= places.get(tag, 0):
            disordered.append(event.id)
        places[tag] = int(place)
    order = [number for number in numbers if number in set(sender.acknowledged)]
    disordered += [str(b) for a, b in itertools.pairwise(order) if b < a]
    return Verdict(
        len(known),
        len(sender.acknowledged),
        len(numbers),
        sorted(set(sender.acknowledged) - set(numbers)),
        [number for number, count in Counter(numbers).items() if count > 1],
        [event_id for event_id, count in ids.items() if count > 1],
        disordered,
        sorted(set(numbers) - known),
        _longest([*sender.times]),
        _longest([event.time for event in events]),
    )


def _longest(times: Sequence[float]) -> float:
    return max((b - a for a, b in itertools.pairwise(times)), default=0.0)
