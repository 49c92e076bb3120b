"""The real daemon as a process of its own, started, asked and stopped from outside."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

START_SECONDS = 30
"""How long a start may take before it counts as failed."""

STOP_SECONDS = 20
"""How long a stop may take; the daemon's own drain timeout is 10."""

ANSWER_SECONDS = 20
"""How long an answer may take."""

OPERATORS_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What the daemon reacts to, unless it was started with the signal ignored."""

MODULE = (sys.executable, "-m", "mcp_echo")
"""The daemon as a module of the interpreter that runs the tests."""


def script(name: str) -> str:
    """Return the path of a script that was installed beside the interpreter."""
    return str(Path(sys.executable).parent / name)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without any setting of the daemon, and ``extra``."""
    settings = ("MCP_", "ECHO_", "LOG_", "LISTEN_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    return {**inherited, **(extra or {})}


def activated(program: str, *options: str) -> list[str]:
    """Return the command that has systemd-socket-activate start what follows.

    It passes on hardly any of its environment, and an interpreter may need to be told where the package is.
    """
    path = os.environ.get("PYTHONPATH")
    return [program, *options, *([] if path is None else [f"--setenv=PYTHONPATH={path}"])]


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket.

    Args:
        path: The socket.
    """

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Daemon:
    """One running daemon.

    Args:
        process: The process, which this object does not own.
        output: Where its standard output and standard error go.
        where: A port of 127.0.0.1 or the path of a Unix socket.
    """

    def __init__(self, process: subprocess.Popen[bytes], output: Path, where: int | Path) -> None:
        self.process = process
        self.output = output
        self._where = where

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert isinstance(self._where, int)
        return self._where

    @property
    def base(self) -> str:
        """Where its paths begin."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The MCP endpoint."""
        return f"{self.base}/mcp"

    def log(self) -> str:
        """Return what it has written so far."""
        return self.output.read_text(encoding="utf-8")

    def probe(self, path: str) -> tuple[int, Any]:
        """Return the status and the JSON of the answer to a GET."""
        with closing(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        ) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def wait_until_healthy(self) -> None:
        """Return as soon as /health answers."""
        deadline = time.monotonic() + START_SECONDS
        while not self._is_healthy():
            assert self.process.poll() is None, f"the daemon ended by itself:\n{self.log()}"
            assert time.monotonic() < deadline, f"/health does not answer:\n{self.log()}"
            time.sleep(0.02)

    def _is_healthy(self) -> bool:
        connection = (
            http.client.HTTPConnection("127.0.0.1", self._where, timeout=5)
            if isinstance(self._where, int)
            else _UnixConnection(self._where)
        )
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def terminate(self) -> None:
        """Send SIGTERM and wait for the end."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(STOP_SECONDS) == 0, self.log()


def spawn(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a process that stops and reopens its log when it is told to, however the tests were started.

    A shell ignores SIGINT for what it starts in the background, and nohup(1) ignores SIGHUP. A process that
    is started goes on to ignore what this one ignores (execve(2)). env(1) resets that, from any thread.

    Args:
        command: What to run.
        options: Of `subprocess.Popen`.
    """
    ignored = [each.name for each in OPERATORS_SIGNALS if signal.getsignal(each) is signal.SIG_IGN]
    reset = ["env", f"--default-signal={','.join(ignored)}"] if ignored else []
    return subprocess.Popen([*reset, *command], **options)


@contextmanager
def running(
    command: Sequence[str],
    directory: Path,
    where: int | Path,
    env: Mapping[str, str] | None = None,
    keep: Sequence[int] = (),
) -> Iterator[Daemon]:
    """Start the daemon, and stop it at the end; a traceback in its log fails the test.

    Args:
        command: Starts a daemon in the foreground.
        directory: Its working directory, which also takes its output.
        where: Where the command makes it listen: a port of 127.0.0.1 or the path of a Unix socket.
        env: Environment variables to add.
        keep: File descriptors that the command inherits.
    """
    output = directory / "output.txt"
    with output.open("wb") as sink:
        process = spawn(
            command,
            cwd=directory,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            pass_fds=keep,
        )
    daemon = Daemon(process, output, where)
    try:
        daemon.wait_until_healthy()
        yield daemon
        if process.poll() is None:
            daemon.terminate()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert "Traceback" not in daemon.log(), daemon.log()
