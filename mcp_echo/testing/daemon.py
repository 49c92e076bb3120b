"""The daemon as a process of its own: started on a free port, stopped by its process id."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

READY_SECONDS = 20.0
"""How long a start may take."""

STOP_SECONDS = 10.0
"""How long a stop may take before the process is killed."""

_LOOK_SECONDS = 0.05
_SHOWN = 8000
"""Characters of the log that a failure shows."""
_SERVES = re.compile(r"Serving MCP at http://127\.0\.0\.1:([0-9]{1,5})/mcp\b")

COMMAND = (
    *(sys.executable, "-m", "mcp_echo", "--host=127.0.0.1", "--port=0"),
    # The port is read from the log, whatever the environment says of logs.
    *(
        "--log-file=",
        "--log-format=text",
        "--log-level=INFO",
        "--public-url=",
        "--workers=1",
        "--drain-timeout=1",
    ),
)
"""Starts the daemon on a port of loopback that is free."""


class StartError(RuntimeError):
    """The daemon does not come up; the message has its log."""


@contextmanager
def serving(command: Sequence[str], log: Path) -> Iterator[str]:
    """Run a daemon, and yield the URL that it serves at, without a path.

    Args:
        command: Starts it in the foreground; it logs to standard output.
        log: The file that its output goes to.

    Raises:
        StartError: It ends before it serves, or takes longer.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  # the command is the test suite's own
            list(command), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield f"http://127.0.0.1:{_port(process, log)}"
    finally:
        _stop(process)


def _port(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return the port that a daemon has taken, once it serves on it."""
    late = time.monotonic() + READY_SECONDS
    while True:
        # Asked before the log is read: what it has written by then is all there.
        status = process.poll()
        said = log.read_text(encoding="utf-8", errors="replace")
        found = _SERVES.search(said)
        if status is not None:
            raise StartError(f"mcp-echo ended with status {status} before it served; its log:\n{_end(said)}")
        if found is not None:
            return found[1]
        if time.monotonic() > late:
            raise StartError(f"mcp-echo did not serve in {READY_SECONDS:g} s; its log:\n{_end(said)}")
        time.sleep(_LOOK_SECONDS)


def _end(said: str) -> str:
    return said[-_SHOWN:].strip() or "(nothing)"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
