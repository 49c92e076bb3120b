"""Ports for the servers that the tests start."""

from __future__ import annotations

import os
import random
import socket

FIRST, LAST = 10240, 32767
"""Below the ports that Linux takes for outgoing connections (ip(7), ip_local_port_range)."""
PROCESSES = 8
"""Test processes that get ports of their own; pytest-xdist may start no more (pyproject.toml)."""

# Hypothesis has the module's own generator begin anew for every test.
_random = random.SystemRandom()
_given: set[int] = set()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on, never the same for two tests of one run."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        port = _random.randrange(FIRST + process % PROCESSES, LAST, PROCESSES)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
