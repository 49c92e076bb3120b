"""Who is calling, told by a proxy on a Unix socket: the peer's address is the operating system's here."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.e2e.daemon import MODULE, running

pytestmark = pytest.mark.slow

_BODY = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"authContext"}}'


def _answer(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        connection.sendall(
            b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-User-Id: alice\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
        )
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_proxy_on_a_unix_socket_is_believed_where_it_is_trusted(tmp_path: Path) -> None:
    """Our interface: ``unix`` in MCP_ECHO_TRUSTED_PROXIES; else the header is only shown."""
    for number, options in enumerate(([], ["--trusted-proxies", "unix"])):
        path = tmp_path / f"{number}.sock"
        with running([*MODULE, "--port", f"unix:{path}", *options], tmp_path, path):
            answered = _answer(path)
        told = b"believed from the trusted proxy unix" if options else b"peer unix is not in MCP_ECHO_TRUSTED"
        assert told in answered
