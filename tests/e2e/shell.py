"""A shell that takes text as a terminal does when somebody pastes it."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.e2e.daemon import spawn

# Interactive, and without the files in which people change how it behaves.
SHELLS = {"bash": ["bash", "--noprofile", "--norc", "-i"], "zsh": ["zsh", "-f", "-i"]}

_MARK = "-- end of what was pasted, status "
# What shells say where a block holds what only a script or another shell understands.
_MISREAD = re.compile(
    r"command not found|parse error|syntax error|no matches found|event not found|bad pattern"
)


class Shell:
    """One interactive shell, which dies with all that it has started.

    Args:
        name: One of `SHELLS`.
        directory: Where it stands.
        env: Its whole environment.
        errors: The file that takes what it and its commands write to standard error.
    """

    def __init__(self, name: str, directory: Path, env: Mapping[str, str], errors: Path) -> None:
        self._errors = errors
        with errors.open("wb") as sink:
            self._process = spawn(
                SHELLS[name],
                cwd=directory,
                env={**env, "PS1": "", "PS2": ""},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A shell ignores SIGTERM; what it has started does not, and ends in order.
        for number in (signal.SIGTERM, signal.SIGKILL):
            os.killpg(self._process.pid, number)
            time.sleep(0.5)
        self._process.communicate()

    def start(self, text: str) -> None:
        """Paste, and do not wait for an end."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def paste(self, text: str, seconds: float) -> tuple[str, int]:
        """Paste, and return what is printed and the status of the last command.

        Args:
            text: Whole lines.
            seconds: How long it may take.
        """
        self.start(f"{text}printf '%s%s\\n' '{_MARK}' $?\n")
        output = self._until_mark(time.monotonic() + seconds, text)
        printed, _, status = output.rpartition(_MARK)
        misread = [line for line in self.errors().splitlines() if _MISREAD.search(line)]
        assert not misread, f"{text}\n{misread}"
        return printed, int(status)

    def errors(self) -> str:
        """Return what was written to standard error."""
        return self._errors.read_text(encoding="utf-8", errors="replace")

    def _until_mark(self, deadline: float, text: str) -> str:
        assert self._process.stdout is not None
        output = b""
        while not re.search(_MARK.encode() + rb"\d+\n", output):
            ready, _, _ = select.select([self._process.stdout], [], [], max(0, deadline - time.monotonic()))
            piece = os.read(self._process.stdout.fileno(), 65536) if ready else b""
            assert piece, f"no end of:\n{text}\nprinted: {output.decode()}\nerrors: {self.errors()}"
            output += piece
        return output.decode()
