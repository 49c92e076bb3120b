"""Pairs of requests through gateways that keep their connections: nobody gets another's answer.

RFC 9112 section 11.2. A gateway that sees one request where the daemon sees two, or the other way round,
gives the answer to one client's request to the next.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.conftest import Needs
from tests.e2e.daemon import START_SECONDS, Daemon, environment, spawn
from tests.e2e.raw import Closed, Connection, Silent
from tests.ports import free_port

pytestmark = pytest.mark.slow

KINDS = ("nginx", "haproxy")


def nginx(directory: Path, port: int, daemon: int) -> str:
    """Return a configuration that keeps connections to the daemon, as a tuned gateway does."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {directory}/{kind};" for kind in kinds)
    return f"""
daemon off; worker_processes 1; pid {directory}/pid; error_log stderr;
events {{ worker_connections 256; }}
http {{
    access_log off; {temporary}
    upstream daemon {{ server 127.0.0.1:{daemon}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://daemon; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_set_header Host localhost; proxy_request_buffering off; proxy_buffering off;
        }}
    }}
}}
"""


def haproxy(directory: Path, port: int, daemon: int) -> str:  # noqa: ARG001  # as above
    """Return a configuration that shares connections to the daemon among all clients."""
    return f"""
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    http-reuse always
frontend gateway
    bind 127.0.0.1:{port}
    default_backend daemon
backend daemon
    http-request set-header Host localhost
    server daemon 127.0.0.1:{daemon}
"""


@pytest.fixture(params=KINDS)
def gateway(request: pytest.FixtureRequest, program: Needs, daemon: Daemon, tmp_path: Path) -> Iterator[int]:
    """Run a gateway before the daemon; the value is its port."""
    path, port = program(request.param), free_port()
    kind = {"nginx": nginx, "haproxy": haproxy}[request.param]
    file = tmp_path / "gateway.conf"
    file.write_text(kind(tmp_path, port, daemon.port), encoding="utf-8")
    command = [path, "-e", "stderr", "-c", str(file)] if kind is nginx else [path, "-db", "-f", str(file)]
    with (tmp_path / "gateway.log").open("wb") as output:
        process = spawn(command, cwd=tmp_path, env=environment(), stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ping_is_answered(port, 0):
            assert process.poll() is None, (tmp_path / "gateway.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def ping(number: int, *fields: str) -> bytes:
    """Return a request that no other one has the answer of."""
    body = json.dumps({"jsonrpc": "2.0", "id": number, "method": "ping"})
    lines = ("POST /mcp HTTP/1.1", "Host: localhost", "Content-Type: application/json", *fields)
    return "\r\n".join((*lines, f"Content-Length: {len(body)}", "", body)).encode()


def ping_is_answered(port: int, number: int) -> bool:
    """Return whether a new client gets the answer to its own request."""
    try:
        with Connection(port) as connection:
            connection.send(ping(number))
            answer = connection.response()
            assert (answer.status, answer.json["id"]) == (200, number) or answer.status >= 502
            return answer.status == 200
    except (Closed, Silent, OSError):
        return False


def test_two_requests_split_at_any_byte_are_answered_in_order(gateway: int) -> None:
    """RFC 9112 section 9.3.2."""
    pair = ping(1) + ping(2)
    with Connection(gateway) as connection:
        for place in range(len(pair) + 1):
            connection.send(pair[:place])
            connection.send(pair[place:])
            assert [connection.response().json["id"] for _ in range(2)] == [1, 2], place


INNER = "GET /canary HTTP/1.1\r\nHost: localhost\r\n\r\n"
FIELDS = "Host: localhost\r\nContent-Type: application/json"
SMUGGLED = {
    "a length and chunks": f"POST /mcp HTTP/1.1\r\n{FIELDS}\r\nContent-Length: {len(INNER) + 5}\r\n"
    f"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{INNER}",
    "chunks and a length": f"POST /mcp HTTP/1.1\r\n{FIELDS}\r\nTransfer-Encoding: chunked\r\n"
    f"Content-Length: {len(INNER) + 5}\r\n\r\n0\r\n\r\n{INNER}",
    "chunked and identity": f"POST /mcp HTTP/1.1\r\n{FIELDS}\r\nTransfer-Encoding: chunked\r\n"
    f"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n{INNER}",
    "a coding behind a tab": f"POST /mcp HTTP/1.1\r\n{FIELDS}\r\nTransfer-Encoding:\tchunked\r\n"
    f"Content-Length: 4\r\n\r\n0\r\n\r\n{INNER}",
    "a coding with a vertical tab": f"POST /mcp HTTP/1.1\r\n{FIELDS}\r\nTransfer-Encoding: \x0bchunked\r\n"
    f"Content-Length: {len(INNER) + 5}\r\n\r\n0\r\n\r\n{INNER}",
    "a space before the colon": f"POST /mcp HTTP/1.1\r\n{FIELDS}\r\nTransfer-Encoding : chunked\r\n"
    f"Content-Length: {len(INNER) + 5}\r\n\r\n0\r\n\r\n{INNER}",
    "two lengths": f"POST /mcp HTTP/1.1\r\n{FIELDS}\r\nContent-Length: 0\r\n"
    f"Content-Length: {len(INNER)}\r\n\r\n{INNER}",
    "a folded length": f"POST /mcp HTTP/1.1\r\n{FIELDS}\r\nContent-Length:\r\n {len(INNER)}\r\n\r\n{INNER}",
    "a body behind a GET": f"GET /health HTTP/1.1\r\nHost: localhost\r\n"
    f"Content-Length: {len(INNER)}\r\n\r\n{INNER}",
    "chunks behind a GET": f"GET /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    f"{len(INNER):x}\r\n{INNER}\r\n0\r\n\r\n",
    "an offer of HTTP/2": f"POST /mcp HTTP/1.1\r\n{FIELDS}\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    f"Upgrade: h2c\r\nHTTP2-Settings: AAMA\r\nContent-Length: {len(INNER)}\r\n\r\n{INNER}",
    "an expectation": f"POST /mcp HTTP/1.1\r\n{FIELDS}\r\nExpect: 100-continue\r\n"
    f"Content-Length: {len(INNER)}\r\n\r\n{INNER}",
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_what_is_smuggled_gets_no_answer_of_its_own(gateway: int, name: str) -> None:
    """RFC 9112 section 11.2: it would be the next client's."""
    data = SMUGGLED[name].encode()
    for place in (0, *range(1, len(data), 7)):
        with Connection(gateway, patience=0.2) as connection:
            connection.send(data[:place])
            connection.send(data[place:] + ping(1))
            with suppress(Closed, Silent):
                while True:
                    answer = connection.response()
                    assert b"canary" not in answer.body, "the inner request was answered"
        if place % 5 == 0:
            assert ping_is_answered(gateway, 7_000 + place)
    for number in range(20):
        assert ping_is_answered(gateway, number)
