"""A daemon in a terminal, as somebody at a keyboard starts it."""

from __future__ import annotations

import os
import pty
import re
import select
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.daemon import START_SECONDS, STOP_SECONDS, environment, spawn


class Output:
    """What is shown, and what is to come.

    Args:
        look: Returns everything that is shown by now; waits a little for more.
    """

    def __init__(self, look: Callable[[], str]) -> None:
        self.text = look

    def wait_for(self, pattern: str) -> str:
        """Return what stands in the group of a pattern, once it is shown."""
        deadline = time.monotonic() + START_SECONDS
        while (found := re.search(pattern, self.text(), re.MULTILINE)) is None:
            assert time.monotonic() < deadline, self.text()
        return found[1]


class Terminal(Output):
    """The terminal that a daemon was started in.

    Args:
        descriptor: Our end of it.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(self._look)
        self._descriptor = descriptor
        self._read = b""

    def _look(self) -> str:
        ready, _, _ = select.select([self._descriptor], [], [], 0.1)
        if ready:
            self._read += os.read(self._descriptor, 65536)
        return self._read.decode().replace("\r\n", "\n")


@contextmanager
def opened(
    command: Sequence[str], directory: Path, env: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    """Start a daemon in a terminal, and stop it at the end.

    Args:
        command: Starts it in the foreground.
        directory: Its working directory.
        env: Environment variables to add.
    """
    ours, theirs = pty.openpty()
    process = spawn(command, cwd=directory, env=environment(env), stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        yield Terminal(ours)
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)
