"""Requests that are damaged, and requests that are made to take long, against a real daemon.

The first mode damages valid requests of both eras at random, and the daemon has to stay as it was. The second
measures what a request takes, in time and memory, while what is odd in it is made longer and longer.
``FUZZ_SEED``, ``FUZZ_CASES`` and ``FUZZ_FAMILIES`` (how many of the second mode) in the environment choose
another run, ``FUZZ_ONLY`` the families whose names a regular expression finds; a failure names its seed.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from mcp_echo.settings.load import load
from mcp_echo.tools.catalogue import catalogue
from tests import growth, json_shapes
from tests.e2e.daemon import MODULE, Daemon, running
from tests.e2e.raw import Closed, Connection, Silent
from tests.ports import free_port
from tests.test_linear_requests import HEADERS, MEMBERS, one_field, posted

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("FUZZ_SEED", "1"))
CASES = int(os.environ.get("FUZZ_CASES", "4000"))

CASES_A_SESSION = 100
"""A session is spoiled by what is done to it, so there is a new one every so often."""

GROWTH_ALLOWED = 3 * 1024 * 1024
"""Bytes of resident memory that the second half may add: the allocator's own ups and downs."""

SETTINGS = {
    # What is left behind has to go while the test looks, and must not fill the store before.
    "MCP_MAX_SESSIONS": "100000",
    "MCP_SESSION_TIMEOUT": "2",
    "MCP_SESSION_CLEANUP_INTERVAL": "0.5",
    "MCP_ECHO_CLIENT_TIMEOUT": "1",
    "MCP_ECHO_LEGACY_SSE": "true",
}

TOOLS = tuple(catalogue(load({}, {}).settings))

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}, "sampling": {}, "roots": {}},
    "io.modelcontextprotocol/clientInfo": {"name": "fuzz", "version": "1"},
    "io.modelcontextprotocol/logLevel": "debug",
    "progressToken": 1,
}

ARGUMENTS: dict[str, dict[str, Any]] = {
    "echo": {"message": "a", "uppercase": True, "data": "AAAA", "mimeType": "image/png"},
    "clientProbe": {"feature": "elicitation"},
    "createEchoSession": {"label": "a", "ttlSeconds": 1},
    "bearerDecode": {},
}

PARAMS: dict[str, dict[str, Any]] = {
    "ping": {},
    "tools/list": {"cursor": "dG9vbHM6MQ=="},
    "resources/list": {},
    "resources/templates/list": {},
    "resources/read": {"uri": "echo://server"},
    "resources/subscribe": {"uri": "echo://server"},
    "resources/unsubscribe": {"uri": "echo://server"},
    "prompts/list": {},
    "prompts/get": {"name": "diagnose-auth", "arguments": {"symptom": "a"}},
    "completion/complete": {
        "ref": {"type": "ref/prompt", "name": "diagnose-auth"},
        "argument": {"name": "symptom", "value": "a"},
    },
    "logging/setLevel": {"level": "debug"},
    "server/discover": {},
    "subscriptions/listen": {"notifications": {"toolsListChanged": True, "resourceSubscriptions": ["a:b"]}},
}

NASTY: list[Any] = [
    None,
    True,
    -1,
    0.5,
    1e308,
    10**400,
    2**63,
    "",
    "\x00\x1b[2J",
    "\u2028\u202e\u2066",
    "\ud800",
    "a" * 5000,
    "=?base64?//8=?=",
    "../../etc/passwd",
    "https://user:pass@evil.example/",
    [],
    {},
    [[[[[[]]]]]],
    {"$ref": "#"},
    ["a"] * 200,
    {"id": {"method": "ping"}},
]
NASTY_TEXTS = [
    "",
    "\x01",
    "\xff\xfe",
    ",",
    ";q=",
    "a" * 9000,
    "=?base64?x?=",
    "*",
    "null",
    "-1",
    "chunked",
    "\t",
]


@dataclass(frozen=True)
class Sent:
    """A request in the pieces that are damaged."""

    line: str
    headers: tuple[tuple[str, str], ...]
    message: Any = None

    def to_bytes(self) -> bytes:
        body = b"" if self.message is None else json.dumps(self.message).encode()
        length = () if self.message is None else (("Content-Length", str(len(body))),)
        lines = [self.line, *(f"{name}: {value}" for name, value in (*self.headers, *length))]
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


BASE = (("Host", "localhost"), ("Accept", "application/json, text/event-stream"))
TOKEN = ("Authorization", "Bearer eyJhbGciOiJub25lIn0.eyJleHAiOjF9.")


def legacy(session: str) -> Iterator[Sent]:
    """Yield one valid request of each kind, of a session."""
    headers = (*BASE, TOKEN, ("MCP-Protocol-Version", "2025-11-25"), ("Mcp-Session-Id", session))
    post = "POST /mcp HTTP/1.1"
    for method, params in {**PARAMS, **_calls()}.items():
        yield Sent(
            post, headers, _request(method.partition(" ")[0], {**params, "_meta": {"progressToken": 1}})
        )
    who = {"protocolVersion": "2025-11-25", "capabilities": {"roots": {}}, "clientInfo": {"name": "a"}}
    yield Sent(post, BASE, _request("initialize", who))
    yield Sent(post, headers, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    cancelled = {"requestId": 1, "reason": "a"}
    yield Sent(post, headers, {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled})
    yield Sent(post, headers, {"jsonrpc": "2.0", "id": 1, "result": {"action": "accept", "content": {}}})
    yield Sent(post, headers, {"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": "a"}})
    yield Sent(post, BASE, [_request("ping", {}), _request("tools/list", {})])
    yield Sent("GET /mcp HTTP/1.1", (*headers, ("Last-Event-ID", "g1-1")))
    yield Sent("OPTIONS /mcp HTTP/1.1", (*BASE, ("Origin", "http://localhost")))
    yield Sent("GET /health HTTP/1.1", BASE)
    yield Sent("GET /sse HTTP/1.1", BASE)
    yield Sent("POST /messages?session_id=a HTTP/1.1", BASE, _request("ping", {}))


def modern() -> Iterator[Sent]:
    """Yield one valid request of each kind, of the modern era."""
    for method, params in {**PARAMS, **_calls()}.items():
        name = method.partition(" ")[0]
        headers = [*BASE, TOKEN, ("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", name)]
        named = params.get("name") or params.get("uri")
        if isinstance(named, str):
            headers.append(("Mcp-Name", named))
        yield Sent("POST /mcp HTTP/1.1", tuple(headers), _request(name, {**params, "_meta": META}))


def _calls() -> dict[str, dict[str, Any]]:
    return {f"tools/call {tool}": {"name": tool, "arguments": ARGUMENTS.get(tool, {})} for tool in TOOLS}


def _request(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


# Damage.


def in_json(chance: random.Random, sent: Sent) -> bytes:
    """Damage the message here and there, leaving it JSON."""
    message = json.loads(json.dumps(sent.message))
    for _ in range(chance.randint(1, 3)):
        message = _node_damaged(chance, message)
    return replace(sent, message=message).to_bytes()


def _node_damaged(chance: random.Random, value: Any) -> Any:
    if not value or not isinstance(value, (dict, list)) or chance.random() < 0.1:
        return deepcopy(chance.choice(NASTY))
    key = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
    what = chance.random()
    if what < 0.15:
        del value[key]
    elif what < 0.25 and isinstance(value, dict):
        value[str(chance.choice(NASTY))] = value.pop(key)
    else:
        value[key] = _node_damaged(chance, value[key])
    return value


def in_headers(chance: random.Random, sent: Sent) -> bytes:
    """Drop, repeat or change header lines."""
    headers = list(sent.headers)
    for _ in range(chance.randint(1, 2)):
        at = chance.randrange(len(headers))
        name, value = headers[at]
        what = chance.randrange(4)
        if what == 0 and len(headers) > 1:
            del headers[at]
        elif what == 1:
            headers.insert(at, (name, chance.choice([value, *NASTY_TEXTS])))
        elif what == 2:
            headers[at] = (name.swapcase(), value + chance.choice(NASTY_TEXTS))
        else:
            headers[at] = (name, chance.choice(NASTY_TEXTS))
    return replace(sent, headers=tuple(headers)).to_bytes()


def in_bytes(chance: random.Random, sent: Sent) -> bytes:
    """Flip, drop, repeat and insert bytes anywhere."""
    data = bytearray(sent.to_bytes())
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data))
        what = chance.randrange(4)
        if what == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif what == 1:
            del data[at : at + chance.randint(1, 8)]
        elif what == 2:
            data[at:at] = data[at : at + chance.randint(1, 40)]
        else:
            data[at:at] = chance.choice(
                [b"\x00", b"\r\n", b"\n", b"\xff", b'"', b"{", b"]", b"9" * 30, b"\\u"]
            )
        if not data:
            break
    return bytes(data)


DAMAGES: list[Callable[[random.Random, Sent], bytes]] = [in_json, in_json, in_headers, in_bytes]


def damaged(chance: random.Random, valid: list[Sent]) -> bytes:
    """Return one damaged request."""
    sent = chance.choice(valid)
    damage = chance.choice(DAMAGES if sent.message is not None else DAMAGES[2:])
    return damage(chance, sent)


class Fuzz:
    """One run against one daemon.

    Args:
        daemon: The daemon.
        seed: Decides everything.
    """

    def __init__(self, daemon: Daemon, seed: int) -> None:
        self._daemon = daemon
        self._chance = random.Random(seed)
        self._process = psutil.Process(daemon.process.pid)
        self.statuses: dict[int | str, int] = {}

    def run(self, cases: int) -> None:
        """Send so many damaged requests."""
        for number in range(cases):
            if number % CASES_A_SESSION == 0:
                valid = [*legacy(self._session()), *modern()]
            data = damaged(self._chance, valid)
            outcome = self._send(data)
            self.statuses[outcome] = self.statuses.get(outcome, 0) + 1
            failed = isinstance(outcome, int) and outcome >= 500 and outcome not in (501, 505)
            assert not failed, f"{outcome} for {data!r} (FUZZ_SEED={SEED})"

    def _send(self, data: bytes) -> int | str:
        with Connection(self._daemon.port, patience=0.05) as connection:
            connection.send(data)
            try:
                return connection.response(to_head=True).status
            except Closed:
                return "closed"
            except Silent:
                return "silent"

    def _session(self) -> str:
        who = {
            "protocolVersion": "2025-11-25",
            "capabilities": META,
            "clientInfo": {"name": "a", "version": "1"},
        }
        with Connection(self._daemon.port) as connection:
            connection.send(Sent("POST /mcp HTTP/1.1", BASE, _request("initialize", who)).to_bytes())
            session = connection.response().headers["mcp-session-id"]
            headers = (*BASE, ("Mcp-Session-Id", session))
            initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
            connection.send(Sent("POST /mcp HTTP/1.1", headers, initialized).to_bytes())
            assert connection.response().status == 202
        return session

    def settled(self) -> tuple[int, int]:
        """Return resident bytes and descriptors once the sessions of the run have expired."""
        for _ in range(200):
            with Connection(self._daemon.port) as connection:
                connection.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                if connection.response().json["sessions"]["active"] == 0:
                    break
                connection.wait(0.05)
                with pytest.raises(Silent):
                    connection.response()
        else:
            pytest.fail(f"sessions do not expire (FUZZ_SEED={SEED})")
        return self._process.memory_info().rss, min(self._descriptors() for _ in range(20))

    def _descriptors(self) -> int:
        # The end of a connection takes the server a moment to see.
        time.sleep(0.05)
        return self._process.num_fds()


def test_no_damaged_request_fails_the_server_or_stays_in_its_memory(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Our choice: whatever arrives is answered below 500, without a traceback, and leaves nothing behind."""
    directory: Path = tmp_path_factory.mktemp("fuzz")
    port = free_port()
    with running([*MODULE, "--port", str(port)], directory, port, SETTINGS) as daemon:
        fuzz = Fuzz(daemon, SEED)
        # What a server loads and caches on first use is none of the run's growth.
        fuzz.run(CASES // 4)
        readings = []
        for _ in range(2):
            fuzz.run(CASES * 3 // 8)
            readings.append(fuzz.settled())
    (before, descriptors), (after, descriptors_after) = readings
    print(f"FUZZ_SEED={SEED} FUZZ_CASES={CASES}: {fuzz.statuses}, resident {before} then {after} bytes")
    assert fuzz.statuses.get(200, 0) > CASES // 10, "most of the damage is refused before anything is done"
    assert fuzz.statuses.get(400, 0) > CASES // 10
    assert descriptors_after <= descriptors, (
        f"{descriptors} descriptors, then {descriptors_after} (FUZZ_SEED={SEED})"
    )
    assert after - before < GROWTH_ALLOWED, f"{after - before} bytes more (FUZZ_SEED={SEED})"


# What a request takes.

FAMILIES = int(os.environ.get("FUZZ_FAMILIES", "60"))
ONLY = re.compile(os.environ.get("FUZZ_ONLY", ""))

HEADER_SIZES = (512, 2048, 8192)
BODY_SIZES = (1024, 4096, 16384, 65536)
COUNTS = (3000, 12_000, 48_000, 192_000)
"""Values or characters, of which a body may hold 50,000 or a MiB."""

MOST_GROWTH = 2.6**2
"""How many times more processor time four times the length may take."""
MEASURABLE = 0.02
"""Seconds of processor time; less is taken for this much, since it says nothing about growth."""
LONGEST_DELAY = 1.0
"""Seconds that another client may have to wait for its answer."""
MEMORY_ALLOWED = 8 * 1024 * 1024
"""Bytes of resident memory beside eight times the request."""
TRIES = 4
"""Readings before an outlier is believed: the machine may have been busy with something else."""

WATCHED = {**SETTINGS, "MCP_ECHO_DEBUG": "true", "MCP_ECHO_INITIALIZE_RATE": "0", "MCP_ECHO_CALL_RATE": "0"}
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass(frozen=True)
class Family:
    """Requests that differ in the length of what is odd in them."""

    name: str
    request: Callable[[int], bytes]
    sizes: tuple[int, ...]


def in_header(header: str, unit: str, size: int) -> bytes:
    """Return a request with a header line of a repeated unit."""
    body = json.dumps(_request("tools/call", {"name": "printHeader", "arguments": {}})).encode()
    return posted(body, {header: one_field(growth.repeated(unit, size))})


def in_member(place: str, unit: str, size: int) -> bytes:
    """Return a request with a repeated unit somewhere in its message."""
    message = MEMBERS[place](growth.repeated(unit, size))
    return posted(json.dumps({"jsonrpc": "2.0", "id": 1, **message}).encode(), {})


def in_ids(unit: str, size: int) -> bytes:
    """Return a batch whose ids are pieces of a repeated unit."""
    text = growth.repeated(unit, size)
    ids = [text[start : start + 100] for start in range(0, size, 100)]
    batch = [{"jsonrpc": "2.0", "id": each, "method": "ping"} for each in ids[:100]]
    return posted(json.dumps(batch).encode(), {"MCP-Protocol-Version": "2025-03-26"})


def in_params(shape: json_shapes.Shape, count: int) -> bytes:
    """Return a request whose params are JSON of a shape."""
    return posted(b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":%b}}' % shape(count), {})


def families() -> Iterator[Family]:
    """Yield every family: whatever is looked for, begun again and again, wherever a client can put it."""
    for what, unit in growth.FAMILIES.items():
        for header in HEADERS:
            yield Family(f"{what} in {header}", partial(in_header, header, unit), HEADER_SIZES)
        for place in MEMBERS:
            yield Family(f"{what} in {place}", partial(in_member, place, unit), BODY_SIZES)
        yield Family(f"{what} in the ids of a batch", partial(in_ids, unit), HEADER_SIZES)
    for what, shape in json_shapes.ALL.items():
        yield Family(f"{what} in params", partial(in_params, shape), COUNTS)


@dataclass(frozen=True)
class Reading:
    """What one request took."""

    processor: float
    """Seconds of processor time."""
    delay: float
    """Seconds that another client waited for its answer."""
    memory: int
    """Bytes by which resident memory was larger at most."""

    def least(self, other: Reading) -> Reading:
        """Return what both have taken."""
        return Reading(
            min(self.processor, other.processor),
            min(self.delay, other.delay),
            min(self.memory, other.memory),
        )


class Watch:
    """Measures what a daemon takes for a request, from outside.

    Args:
        daemon: The daemon.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._port = daemon.port
        self._proc = Path(f"/proc/{daemon.process.pid}")
        # What clock_getcpuclockid(3) returns on Linux: the processor time of another process.
        self._processor_clock = (~daemon.process.pid << 3) | 2

    def read(self, data: bytes) -> Reading:
        """Return what these bytes take."""
        (self._proc / "clear_refs").write_text("5")
        memory, spent = self._kilobytes("VmRSS"), time.clock_gettime(self._processor_clock)
        with Connection(self._port) as other, Connection(self._port) as connection:
            connection.send(data)
            asked = time.monotonic()
            other.send(HEALTH)
            assert other.response().status == 200
            delay = time.monotonic() - asked
            self._wait_for_the_answer(connection)
        return Reading(
            time.clock_gettime(self._processor_clock) - spent,
            delay,
            1024 * (self._kilobytes("VmHWM") - memory),
        )

    @staticmethod
    def _wait_for_the_answer(connection: Connection) -> None:
        with suppress(Closed):
            assert connection.response().status < 500

    def _kilobytes(self, name: str) -> int:
        (found,) = re.findall(rf"^{name}:\s+(\d+) kB$", (self._proc / "status").read_text(), re.MULTILINE)
        return int(found)


def outlier(data: bytes, reading: Reading, before: Reading | None) -> str | None:
    """Return what a request takes too much of, by what a quarter of it took, or None."""
    if before is not None and reading.processor > MOST_GROWTH * max(before.processor, MEASURABLE):
        return f"{reading.processor:.3f} s of the processor, a quarter of it {before.processor:.3f} s"
    if reading.delay > LONGEST_DELAY:
        return f"{reading.delay:.3f} s in which nobody else was answered"
    if reading.memory > 8 * len(data) + MEMORY_ALLOWED:
        return f"{reading.memory} bytes of memory for a request of {len(data)}"
    return None


def what_is_wrong_with(family: Family, read: Callable[[bytes], Reading]) -> str | None:
    """Return what a family takes too much of, or None; it is made no longer once that is found."""
    before = None
    for size in family.sizes:
        data = family.request(size)
        reading = read(data)
        for _ in range(TRIES - 1):
            if outlier(data, reading, before) is None:
                break
            reading = reading.least(read(data))
        wrong = outlier(data, reading, before)
        if wrong is not None:
            return f"{family.name}, {size} long: {wrong}"
        before = reading
    return None


def all_that_is_wrong_with(some: list[Family], read: Callable[[bytes], Reading]) -> Iterator[str]:
    """Yield what families take too much of, to the first after which nobody is answered any more."""
    for family in some:
        try:
            wrong = what_is_wrong_with(family, read)
        except Silent:
            yield f"{family.name}: nobody is answered any more"
            return
        if wrong is not None:
            yield wrong


def chosen() -> list[Family]:
    """Return the families of this run: all shapes of JSON, and some of the others."""
    every = [each for each in families() if ONLY.search(each.name)]
    shapes = [each for each in every if each.sizes is COUNTS]
    others = [each for each in every if each.sizes is not COUNTS]
    return shapes + random.Random(SEED).sample(others, min(FAMILIES, len(others)))


def test_no_request_takes_more_than_its_length(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Our choice: time grows as the length does, memory is at most 8 times the request and 8 MiB, and others
    are answered meanwhile; with everything written to the log."""
    directory: Path = tmp_path_factory.mktemp("takes")
    port = free_port()
    with running([*MODULE, "--port", str(port)], directory, port, WATCHED) as daemon:
        watch = Watch(daemon)
        for each in range(20):
            watch.read(in_member("a token", "a", 1000 * each))
        wrong = list(all_that_is_wrong_with(chosen(), watch.read))
    assert not wrong, f"FUZZ_SEED={SEED}:\n" + "\n".join(wrong)


def test_an_outlier_is_found_by_what_it_takes() -> None:
    """Our choice: the second mode is a measurement, and these are what it must not let pass."""
    family = Family("a", lambda size: b"a" * size, BODY_SIZES)
    linear = partial(_reading, lambda size: size * 1e-6)
    assert what_is_wrong_with(family, linear) is None
    for reading, words in (
        (partial(_reading, lambda size: size**2 * 1e-9), "of the processor"),
        (partial(_reading, _nothing, delay=lambda size: size / 60_000), "nobody else was answered"),
        (partial(_reading, _nothing, memory=lambda size: size * 300), "bytes of memory"),
    ):
        wrong = what_is_wrong_with(family, reading)
        assert wrong is not None
        assert words in wrong
    assert list(all_that_is_wrong_with([family, family], _silent)) == ["a: nobody is answered any more"]


def _silent(_data: bytes) -> Reading:
    raise Silent


def _nothing(_size: int) -> int:
    return 0


def _reading(
    processor: Callable[[int], float],
    data: bytes,
    delay: Callable[[int], float] = _nothing,
    memory: Callable[[int], int] = _nothing,
) -> Reading:
    return Reading(processor(len(data)), delay(len(data)), memory(len(data)))
