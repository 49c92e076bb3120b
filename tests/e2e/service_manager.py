"""A stand-in for systemd's end of sd_notify(3): a socket that keeps what it is told."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Self


class ServiceManager:
    """Listens where ``NOTIFY_SOCKET`` says.

    Args:
        directory: Where its socket is made.
    """

    def __init__(self, directory: Path) -> None:
        self.address = str(directory / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def wait_for(self, assignment: str, seconds: float = 15) -> list[str]:
        """Return what was told up to and with the first message that has the assignment."""
        heard: list[str] = []
        deadline = time.monotonic() + seconds
        while assignment not in heard:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            heard += self._socket.recv(4096).decode().splitlines()
        return heard

    def heard_within(self, seconds: float) -> list[str]:
        """Return what is told from now on, for that long."""
        heard: list[str] = []
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                heard += self._socket.recv(4096).decode().splitlines()
            except TimeoutError:
                break
        return heard
