"""Redis servers of the tests' own: on loopback, with nothing saved, and never the one of the machine."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.ports import free_port

REDIS = shutil.which("redis-server")
PATIENCE = 20
"""Seconds until what has not come up will not."""


def need_redis() -> None:
    """Skip the test where there is no Redis; where tests are run for good, its absence is a failure."""
    if REDIS is not None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail("redis-server is not installed")
    pytest.skip("redis-server is not installed")


class EndedAtOnceError(Exception):
    """A server did not run."""


class RedisServer:
    """A server.

    Args:
        options: Of redis-server, beside what keeps it apart from all others.
        tls: Certificate and key, for a server that speaks nothing but TLS.
    """

    def __init__(self, *options: str, tls: tuple[Path, Path] | None = None) -> None:
        need_redis()
        self.port = 0
        self.bus = 0
        """The port on which servers of a cluster talk, if it is one of them."""
        self.directory = tempfile.mkdtemp(prefix="mcp-echo-redis-")
        self._options = options
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None
        # Somebody else may take the port meanwhile.
        assert any(self._try() for _ in range(5)), "redis-server ends at once"

    @property
    def address(self) -> str:
        """The setting that has an engine use it."""
        scheme, host = ("rediss", "localhost") if self._tls else ("redis", "127.0.0.1")
        return f"{scheme}://{host}:{self.port}"

    def _try(self) -> bool:
        self.port = free_port()
        try:
            self.start()
        except EndedAtOnceError:
            return False
        return True

    def start(self) -> None:
        """Start it, again if need be, and wait until it answers.

        Raises:
            EndedAtOnceError: It did not, perhaps because somebody else has the port.
        """
        port = ["--port", str(self.port)]
        if self._tls is not None:
            certificate, key = map(str, self._tls)
            port = ["--port", "0", "--tls-port", str(self.port), "--tls-cert-file", certificate]
            port += ["--tls-key-file", key, "--tls-auth-clients", "no"]
        self._process = subprocess.Popen(
            [
                str(REDIS),
                *("--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", self.directory),
                *("--unixsocket", f"{self.directory}/socket", "--enable-debug-command", "local"),
                *port,
                *self._options,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait_until(lambda: self.says("PING") in (b"+PONG", b"-NOAUTH Authentication required."))

    def _wait_until(self, is_so: Callable[[], bool]) -> None:
        give_up = time.monotonic() + PATIENCE
        while not is_so():
            assert self._process is not None
            if self._process.poll() is not None:
                self.stop()
                raise EndedAtOnceError
            assert time.monotonic() < give_up, "redis-server does not come up"
            time.sleep(0.01)

    def says(self, *command: str) -> bytes:
        """Return the first line of its answer to a command that is sent past any TLS, or nothing."""
        words = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in command)
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE)
                client.connect(f"{self.directory}/socket")
                client.sendall(f"*{len(command)}\r\n{words}".encode())
                return client.makefile("rb").readline().rstrip()
        except OSError:
            return b""

    def ask(self, *command: str) -> bytes:
        """Have it do something, and return the first line of its answer.

        Raises:
            AssertionError: It does not.
        """
        answer = self.says(*command)
        assert answer[:1] not in (b"-", b""), answer
        return answer

    def number(self, *command: str) -> int:
        """Return a number that it answers with."""
        return int(self.ask(*command)[1:])

    def text(self, *command: str) -> str:
        """Return the string that it answers with, of a Lua expression or a command."""
        words = ["redis-cli", "-s", f"{self.directory}/socket", "--raw", *command]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.rstrip("\n")

    def freeze(self) -> None:
        """Have it do nothing any more: it takes connections still, or rather its kernel does."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it at once; it keeps nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """End it, and take away its directory."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


@cache
def shared_server() -> RedisServer:
    """Return a server that many tests use, each with a prefix of its own."""
    server = RedisServer()
    atexit.register(server.remove)
    return server
