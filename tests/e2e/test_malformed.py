"""Every row of malformed.txt, sent over a socket to a real daemon: what it answers, and that it lives on.

The file says in its head how it is read.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.e2e.daemon import MODULE, Daemon, running
from tests.e2e.raw import Closed, Connection, Response, Silent
from tests.e2e.wire import Wire
from tests.ports import free_port

TABLE = Path(__file__).with_name("malformed.txt")

_ESCAPE = re.compile(r"\\(x[0-9a-f]{2}|[rnt0\\])")
_ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
_REPEATED = re.compile(r"<(.+?)\*(\d+)>")
_ACTING = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_NAMED = re.compile(r"<([a-z0-9-]+)>")
META = (
    '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
    '"io.modelcontextprotocol/clientCapabilities":{}}'
)
CANARY = b"canary"
"""Stands in header values and targets of the table; no answer may have it in its head."""


@dataclass
class Row:
    """One thing to send and what must come back, as text."""

    name: str
    source: str = ""
    strict: bool = False
    head: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    half_closed: bool = False
    expected: list[str] = field(default_factory=list)


def read_table() -> list[Row]:
    """Return the rows of the table."""
    rows: list[Row] = []
    shared: dict[str, list[str]] = {}
    defined: list[str] | None = None
    for number, line in enumerate(TABLE.read_text(encoding="utf-8").splitlines(), 1):
        mark, _, rest = line.partition(" ")
        if not line or mark == "#":
            continue
        if mark == "define":
            defined = shared.setdefault(rest, [])
        elif mark == "row":
            defined = None
            rows.append(Row(rest))
        elif mark == ">" and defined is not None:
            defined.append(rest)
        else:
            assert _read_line(rows[-1], mark, rest, shared), f"{TABLE.name}:{number}: {line}"
    return rows


def _read_line(row: Row, mark: str, rest: str, shared: dict[str, list[str]]) -> bool:
    if mark == "by":
        row.source = rest
    elif mark == "to":
        row.strict = rest == "strict"
    elif mark == "+":
        row.head += shared[rest]
    elif mark == ">":
        row.head.append(rest)
    elif mark == ">>":
        row.body.append(rest)
    elif mark == "half-close":
        row.half_closed = True
    elif mark == "=":
        row.expected.append(rest)
    else:
        return False
    return True


def to_bytes(text: str, values: dict[str, str]) -> bytes:
    """Return the bytes that a text of the table stands for; UTF-8 where there is no escape."""
    text = _NAMED.sub(lambda found: values.get(found[1], found[0]), text)
    text = _REPEATED.sub(lambda found: found[1] * int(found[2]), text)
    pieces = _ESCAPE.split(text)
    return b"".join(
        (bytes([int(piece[1:], 16)]) if piece[0] == "x" else _ESCAPES[piece].encode())
        if escape
        else piece.encode()
        for escape, piece in ((number % 2, piece) for number, piece in enumerate(pieces))
    )


def request_bytes(row: Row, values: dict[str, str]) -> bytes:
    """Return what a row sends: head lines with their line ends, an empty line, the body."""
    body = b"".join(to_bytes(line, values) for line in row.body)
    filled = {**values, "length": str(len(body))}
    head = b"".join(to_bytes(line, filled) + b"\r\n" for line in row.head)
    return head + body if not head or head.endswith(b"\r\n\r\n") else head + b"\r\n" + body


ROWS = read_table()


class Target:
    """A daemon, and what the placeholders of the table stand for there."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.values = {"port": str(daemon.port), "meta": META}
        for year, revision in (("03", "2025-03-26"), ("06", "2025-06-18"), ("11", "2025-11-25")):
            with Wire(daemon.port, revision) as wire:
                self.values[f"session-{year}"] = wire.session_id
        with Wire(daemon.port, "2025-06-18") as wire:
            self.values["gone"] = wire.session_id
            wire.send("DELETE", wire.headers).read()
        self._process = psutil.Process(daemon.process.pid)
        self.answers()
        self.descriptors = self._process.num_fds()

    def answers(self) -> None:
        """Assert that a new connection is served."""
        with Connection(self.daemon.port) as connection:
            connection.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert connection.response().json["status"] == "healthy"
            assert connection.ends()

    def check_descriptors(self) -> None:
        """Assert that no descriptor is left of what was done."""
        self.answers()
        # The end of a connection takes a busy server a moment to see.
        for _ in range(100):
            if self._process.num_fds() <= self.descriptors:
                return
            time.sleep(0.05)
        pytest.fail(f"{self.descriptors} descriptors before, {self._process.num_fds()} after")


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, Target]]:
    """A lenient and a strict daemon; `running` fails at the end if there is a traceback in a log."""
    lenient, strict = free_port(), free_port()
    directories = [tmp_path_factory.mktemp(name) for name in ("lenient", "strict")]
    with (
        running([*MODULE, "--port", str(lenient)], directories[0], lenient) as one,
        running([*MODULE, "--port", str(strict), "--strict"], directories[1], strict) as other,
    ):
        targets = {False: Target(one), True: Target(other)}
        yield targets
        for target in targets.values():
            target.check_descriptors()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_malformed_request_is_answered_as_its_row_says(row: Row, targets: dict[bool, Target]) -> None:
    """Each row names its own source; our choice for all: the next client is served as ever."""
    target = targets[row.strict]
    sent = request_bytes(row, target.values)
    with Connection(target.daemon.port) as connection:
        connection.send(sent)
        if row.half_closed:
            connection.half_close()
        for expected in row.expected:
            _compare(expected, connection, sent)
    target.answers()


def _compare(expected: str, connection: Connection, sent: bytes) -> None:
    status, *others = expected.split(" ")
    statuses = status.split("|")
    if "silent" in statuses:
        connection.wait(0.2)
    response = _next(connection, to_head=sent.startswith(b"HEAD"))
    if not isinstance(response, Response):
        assert response in statuses
        return
    assert str(response.status) in statuses, (response.head, response.body)
    kinds, *others = others
    _check_kind(kinds.split("|"), response)
    _check_head(response)
    for other in others:
        _check_other(other, response, connection)


def _next(connection: Connection, *, to_head: bool) -> Response | str:
    try:
        return connection.response(to_head)
    except Closed:
        return "closed"
    except Silent:
        return "silent"


def _check_kind(kinds: list[str], response: Response) -> None:
    """Compare the body with what is expected of it: a JSON-RPC error code, or one of a few words."""
    found = _kind(response)
    assert found in kinds, response.body


def _kind(response: Response) -> str:
    if response.media_type == "text/event-stream":
        return "stream"
    if not response.body:
        return "empty"
    if isinstance(response.json, list):
        return "array"
    if "jsonrpc" not in response.json:
        return "json"
    if "error" in response.json:
        assert response.json["error"]["message"]
        return str(response.json["error"]["code"])
    return "tool-error" if response.json["result"].get("isError") else "result"


def _check_head(response: Response) -> None:
    """Assert what holds of every answer: its type, what browsers and caches may do, no text of clients."""
    assert CANARY not in response.head.lower()
    assert response.media_type in ("", "application/json", "text/event-stream")
    if response.body and response.status >= 400:
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
    assert "Traceback" not in response.body.decode()
    assert response.status < 500 or response.status in (501, 505)


def _check_other(other: str, response: Response, connection: Connection) -> None:
    name, _, value = other.partition("=")
    if name == "close":
        assert response.headers.get("connection", "close") == "close"
        assert connection.ends()
    elif name == "keep":
        connection.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.response().status == 200
    elif name == "id":
        assert response.json["id"] == json.loads(value)
    elif name == "no-id":
        assert "id" not in response.json
    elif name == "interim":
        assert response.interim == [int(value)]
    elif name == "no-interim":
        assert response.interim == []
    elif name == "printable":
        assert _ACTING.search(response.body.decode()) is None
    elif name == "has":
        assert value.lower() in {header.lower() for header in response.headers}
    else:
        raise AssertionError(f"{other!r} is nothing to expect")


def test_the_table_is_large_and_every_row_says_why() -> None:
    """Our choice: a row without its source cannot be judged by the next reader."""
    assert len(ROWS) >= 130
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert [row.name for row in ROWS if not row.source or not row.expected] == []
