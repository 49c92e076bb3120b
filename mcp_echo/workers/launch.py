"""How a worker is started: its command, its environment, its file descriptors."""

from __future__ import annotations

import os
import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp_echo.settings.table import DECLARED
from mcp_echo.workers.assignment import PARENT_FD, PORT_FD, VARIABLE, Assignment

COMMAND = (sys.executable, "-m", "mcp_echo")

_FOR_THE_PARENT = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
)
"""What a service manager has left word of for the process that it started."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What all workers have in common when they are started."""

    environ: Mapping[str, str]
    """The parent's environment variables."""
    arguments: Sequence[str] = ()
    """The options that the parent was given."""
    reactor: str | None = None
    """The reactor that twistd was told to take; None for Twisted's choice."""
    captures_output: bool = False
    """Whether standard output goes to the parent's log instead of being the parent's own."""
    command: Sequence[str] = COMMAND

    def environment(self, assignment: Assignment, notify: Path, watchdog: float) -> dict[str, str]:
        """Return the environment variables of one worker.

        Args:
            assignment: The worker's.
            notify: The socket on which it reports to the parent.
            watchdog: Seconds within which it has to report.
        """
        kept = {name: value for name, value in self.environ.items() if name not in _FOR_THE_PARENT}
        return {
            **kept,
            "NOTIFY_SOCKET": str(notify),
            "WATCHDOG_USEC": str(round(watchdog * 1e6)),
            VARIABLE: assignment.written(),
        }

    def spawn(self, reactor: Any, protocol: Any, environment: Mapping[str, str], port: int) -> None:
        """Start a worker.

        Args:
            reactor: Starts it.
            protocol: Hears of it.
            environment: Its environment variables.
            port: The file descriptor of the port.

        Raises:
            OSError: The machine does not take another process.
        """
        nothing = os.open(os.devnull, os.O_RDONLY)
        descriptors = {
            0: nothing,
            1: "r" if self.captures_output else 1,
            2: "r",
            PARENT_FD: "w",
            PORT_FD: port,
        }
        words = [*self.command, *self.arguments]
        try:
            reactor.spawnProcess(protocol, words[0], words, environment, childFDs=descriptors)
        finally:
            os.close(nothing)


def arguments_of(given: Mapping[str, str]) -> list[str]:
    """Return options as they are written on a command line.

    Args:
        given: Field name → value, only for options that were given.
    """
    words = []
    for each in DECLARED:
        if each.name not in given:
            continue
        if each.is_flag:
            words.append(f"--{each.option}" if given[each.name] == "true" else f"--no-{each.option}")
        else:
            words.append(f"--{each.option}={given[each.name]}")
    return words


def new_state_key() -> str:
    """Return a key for state that any worker can open: MCP_ECHO_STATE_KEY where nobody has set it."""
    return urlsafe_b64encode(os.urandom(32)).decode()
