"""Gateways as processes of their own, with the configurations that docs/gateways.md tells people to use.

The tests put their own addresses and certificate in place of the ones in the files, and change nothing else.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.certificates import make_certificate
from tests.e2e.daemon import START_SECONDS, STOP_SECONDS, environment, spawn
from tests.ports import free_port

FILES = Path(__file__).parents[2] / "docs" / "proxies"

NAME = "mcp.example.com"
"""What the gateway is called; its certificate is made out to it."""

TOKEN = "a-token-that-is-worth-nothing"
ANONYMOUS = "a-token-of-somebody-without-a-name"

USER = {"X-User-Id": "user123", "X-User-Name": "Jane"}
"""What the authenticating service says about whoever has `TOKEN`."""

GATEWAY = "127.0.0.1:8443"
DAEMON = "127.0.0.1:3000"
SECOND = "127.0.0.1:3001"
AUTHENTICATION = "127.0.0.1:4181"
CERTIFICATE = "/etc/ssl/mcp.example.com.pem"
KEY = "/etc/ssl/mcp.example.com.key"
CERTIFICATE_AND_KEY = "/etc/ssl/mcp.example.com.both.pem"
"""What the files have in the places that are a deployment's own."""


class _Verify(BaseHTTPRequestHandler):
    """Says who a bearer token belongs to, as the services behind auth_request and ForwardAuth do."""

    def do_GET(self) -> None:
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        known = self.path == "/verify" and token in (TOKEN, ANONYMOUS)
        self.send_response(200 if known else 401)
        if not known:
            self.send_header("WWW-Authenticate", 'Bearer realm="mcp"')
        for name, value in USER.items() if token == TOKEN else ():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        pass


@contextmanager
def authentication() -> Iterator[int]:
    """Run the authenticating service; yield its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Verify)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class GatewayConnection(http.client.HTTPSConnection):
    """A connection to a gateway by its name, which no resolver knows.

    Args:
        port: Where it listens on 127.0.0.1.
        certificate: What to trust.
        token: The bearer token of every request that has no ``Authorization`` of its own; None for none.
    """

    def __init__(self, port: int, certificate: Path, token: str | None) -> None:
        self._trusted = ssl.create_default_context(cafile=str(certificate))
        super().__init__(NAME, port, timeout=15, context=self._trusted)
        self._token = token

    def connect(self) -> None:
        """Connect to the loopback interface."""
        plain = socket.create_connection(("127.0.0.1", self.port), self.timeout)
        # One segment a write, or the kernel delays each request's body by 40 ms.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._trusted.wrap_socket(plain, server_hostname=NAME)

    def endheaders(self, message_body: object = None, *, encode_chunked: bool = False) -> None:
        """Add the token to the head."""
        if self._token is not None:
            self.putheader("Authorization", f"Bearer {self._token}")
        super().endheaders(message_body, encode_chunked=encode_chunked)


class Gateway:
    """One running gateway.

    Args:
        process: The process, which this object does not own.
        port: Where it listens on 127.0.0.1.
        certificate: Its certificate.
        output: Where its standard output and standard error go.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, certificate: Path, output: Path) -> None:
        self.process = process
        self.port = port
        self.certificate = certificate
        self.output = output

    def connect(self) -> GatewayConnection:
        """Return a connection for somebody who has `TOKEN`."""
        return self.connect_with(TOKEN)

    def connect_with(self, token: str | None) -> GatewayConnection:
        """Return a connection for somebody who has another token, or none."""
        return GatewayConnection(self.port, self.certificate, token)

    def wait_until_it_serves(self) -> None:
        """Return as soon as a request comes through to the daemon."""
        deadline = time.monotonic() + START_SECONDS
        while not self._serves():
            assert self.process.poll() is None, f"the gateway ended by itself:\n{self.output.read_text()}"
            assert time.monotonic() < deadline, f"the gateway does not answer:\n{self.output.read_text()}"
            time.sleep(0.05)

    def _serves(self) -> bool:
        connection = self.connect()
        try:
            connection.request("OPTIONS", "/mcp")
            return connection.getresponse().status == 204
        except OSError:
            return False
        finally:
            connection.close()


class Places:
    """A test's own addresses and files, for the ones that the configurations name.

    Args:
        directory: Takes the configurations, the certificate and whatever the gateway writes.
        daemon: The daemon's port.
        authentication: The authenticating service's port.
        second: The port of another daemon, where there is one.
    """

    def __init__(self, directory: Path, daemon: int, authentication: int, second: int | None = None) -> None:
        self.directory = directory
        self.port = free_port()
        self.certificate, key = make_certificate(directory, NAME)
        self._own = {
            GATEWAY: f"127.0.0.1:{self.port}",
            f"{NAME}:8443": f"{NAME}:{self.port}",
            DAEMON: f"127.0.0.1:{daemon}",
            SECOND: f"127.0.0.1:{second}",
            AUTHENTICATION: f"127.0.0.1:{authentication}",
            CERTIFICATE: str(self.certificate),
            KEY: str(key),
            CERTIFICATE_AND_KEY: str(self.write("both.pem", self.certificate.read_text() + key.read_text())),
            "/etc/traefik/mcp-echo.yml": str(directory / "mcp-echo.yml"),
            # Envoy has address and port in places of their own.
            "port_value: 8443": f"port_value: {self.port}",
            "port_value: 3000": f"port_value: {daemon}",
        }

    def filled_in(self, name: str) -> str:
        """Return the text of a file under docs/proxies with the test's own places in it."""
        return self.fill((FILES / name).read_text(encoding="utf-8"))

    def fill(self, text: str) -> str:
        """Return a configuration with the test's own places in it."""
        for written, own in self._own.items():
            text = text.replace(written, own)
        return text

    def write(self, name: str, text: str) -> Path:
        """Write a file of the gateway's and return its path."""
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return path


Prepare = Callable[[str, Places], Sequence[str]]
"""Writes a gateway's configuration; returns the command that runs its program in the foreground."""


def nginx(program: str, places: Places, file: str = "nginx.conf") -> Sequence[str]:
    """Prepare nginx with a file."""
    return nginx_with(program, places, places.filled_in(file))


def nginx_with(program: str, places: Places, configuration: str) -> Sequence[str]:
    """Prepare nginx: what Debian's /etc/nginx/nginx.conf is around the file, without its system paths."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"    {kind}_temp_path {places.directory}/{kind};\n" for kind in kinds)
    places.write("mcp-echo.conf", configuration)
    around = places.write(
        "nginx.conf",
        f"{'user root;' if os.geteuid() == 0 else ''}\n"
        f"daemon off;\nworker_processes 1;\npid {places.directory}/nginx.pid;\nerror_log stderr;\n"
        f"events {{ worker_connections 256; }}\n"
        f"http {{\n    access_log off;\n{temporary}    include {places.directory}/mcp-echo.conf;\n}}\n",
    )
    return [program, "-p", str(places.directory), "-e", "stderr", "-c", str(around)]


def caddy(program: str, places: Places, file: str = "Caddyfile") -> Sequence[str]:
    """Prepare Caddy with a file."""
    return caddy_with(program, places, places.filled_in(file))


def caddy_with(program: str, places: Places, configuration: str) -> Sequence[str]:
    """Prepare Caddy, without the ports and files that one Caddy on a machine has for itself."""
    alone = f"{{\n\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system {places.directory}\n}}\n"
    around = places.write("Caddyfile", alone + configuration)
    return [program, "run", "--adapter", "caddyfile", "--config", str(around)]


def traefik(program: str, places: Places) -> Sequence[str]:
    """Prepare Traefik."""
    places.write("mcp-echo.yml", places.filled_in("traefik/mcp-echo.yml"))
    static = places.write("traefik.yml", places.filled_in("traefik/traefik.yml"))
    return [program, f"--configFile={static}"]


def haproxy(program: str, places: Places, file: str) -> Sequence[str]:
    """Prepare haproxy with a file."""
    return haproxy_with(program, places, places.filled_in(file))


def haproxy_with(program: str, places: Places, configuration: str) -> Sequence[str]:
    """Prepare haproxy, in the foreground."""
    return [program, "-db", "-f", str(places.write("haproxy.cfg", configuration))]


def envoy(program: str, places: Places, file: str) -> Sequence[str]:
    """Prepare Envoy with a file."""
    return envoy_with(program, places, places.filled_in(file))


def envoy_with(program: str, places: Places, configuration: str) -> Sequence[str]:
    """Prepare Envoy: one of several on a machine, with the threads that one test needs."""
    file = places.write("envoy.yaml", configuration)
    return [program, "-c", str(file), "--disable-hot-restart", "--concurrency", "1", "-l", "warning"]


def nginx_before_two(program: str, places: Places) -> Sequence[str]:
    """Prepare nginx before two daemons that share their sessions."""
    return nginx(program, places, "nginx-two-nodes.conf")


KINDS: dict[str, Prepare] = {"nginx": nginx, "caddy": caddy, "traefik": traefik}
"""Those before one daemon."""
SMALLEST: dict[str, Prepare] = {
    "smallest nginx": partial(nginx, file="smallest/nginx.conf"),
    "smallest caddy": partial(caddy, file="smallest/Caddyfile"),
    "smallest haproxy": partial(haproxy, file="smallest/haproxy.cfg"),
    "smallest envoy": partial(envoy, file="smallest/envoy.yaml"),
}
"""Those that docs/gateways.md begins with."""
ALL_KINDS: dict[str, Prepare] = {**KINDS, **SMALLEST, "nginx-two-nodes": nginx_before_two}


def running(kind: str, program: str, places: Places) -> AbstractContextManager[Gateway]:
    """Start a gateway, and stop it at the end.

    Args:
        kind: Its name in `ALL_KINDS`.
        program: The path of its program.
        places: Its addresses and files.
    """
    return started(ALL_KINDS[kind](program, places), places)


@contextmanager
def started(command: Sequence[str], places: Places) -> Iterator[Gateway]:
    """Start a gateway, and stop it at the end.

    Args:
        command: Runs it in the foreground.
        places: Its addresses and files.
    """
    output = places.directory / "gateway.txt"
    with output.open("wb") as sink:
        process = spawn(
            command,
            cwd=places.directory,
            env=environment({"HOME": str(places.directory)}),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    gateway = Gateway(process, places.port, places.certificate, output)
    try:
        gateway.wait_until_it_serves()
        yield gateway
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
