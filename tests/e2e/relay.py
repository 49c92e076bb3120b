"""A relay with faults of its own, in a thread: what `mcp-echo check` and `compareTraces` have to name."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Relay(BaseHTTPRequestHandler):
    """Passes on what comes; subclasses say where to, and what goes wrong."""

    protocol_version = "HTTP/1.1"
    upstream = 0
    drops: frozenset[str] = frozenset()
    """Answer headers that get lost, in lower case."""
    loses: frozenset[str] = frozenset()
    """Request headers that get lost, in lower case."""
    doubles: frozenset[str] = frozenset()
    """Request headers that are sent twice, in lower case."""
    adds: tuple[tuple[str, str], ...] = ()
    """Request headers that are added."""
    collects = False
    """Whether an answer is passed on only when it has ended."""
    cuts: float | None = None
    """Seconds of silence after which an answer is ended."""

    def do_POST(self) -> None:
        self._pass_on()

    do_GET = do_DELETE = do_POST

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with closing(http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=self.cuts)) as connection:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in (*self.headers.items(), *self.adds):
                for _ in range(self._times(name.lower())):
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            self._answer(connection.getresponse())

    def _times(self, name: str) -> int:
        """Return how often a request header is passed on."""
        return 0 if name in self.loses else 2 if name in self.doubles else 1

    def _answer(self, response: http.client.HTTPResponse) -> None:
        self.close_connection = True
        self.send_response_only(response.status)
        for name, value in response.getheaders():
            if name.lower() not in self.drops | {"connection", "transfer-encoding"}:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            held = b""
            while piece := response.read1(65536):
                held += piece
                if not self.collects:
                    self.wfile.write(held)
                    held = b""
            self.wfile.write(held)
        except OSError:
            # Silence for too long, or nobody listens any more.
            return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        pass


@contextmanager
def relaying(upstream: int, **faults: object) -> Iterator[int]:
    """Run a relay before a server; yield its port.

    Args:
        upstream: The port of the server on 127.0.0.1.
        faults: What goes wrong: the attributes of `_Relay`.
    """
    handler = type("Relay", (_Relay,), {"upstream": upstream, **faults})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        # Those that still wait for a silent stream end with the process.
        server.block_on_close = False
        server.server_close()


def wait_for(port: int, seconds: float = 30) -> None:
    """Return as soon as something listens on a port of 127.0.0.1."""
    deadline = time.monotonic() + seconds
    while True:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=1)) as connection:
            try:
                connection.connect()
            except OSError:
                assert time.monotonic() < deadline, f"nothing listens on {port}"
                time.sleep(0.1)
            else:
                return
