"""Fixtures of the end-to-end tests: a real daemon, and the environments of real clients.

Everything runs in processes of its own; the test process has no reactor running.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e import environments
from tests.e2e.daemon import MODULE, Daemon, running
from tests.ports import free_port

Start = Callable[..., Daemon]
Needs = Callable[[str], str]


def absent(reason: str) -> None:
    """Skip the test; under CI, where everything has to be there, fail it."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with the default settings, for all tests that can share one."""
    port = free_port()
    command = [*MODULE, "--port", str(port)]
    with running(command, tmp_path_factory.mktemp("daemon"), port) as started:
        yield started


@pytest.fixture(scope="module")
def own_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon as above for one module, which makes many of the traces that one address may have."""
    port = free_port()
    with running([*MODULE, "--port", str(port)], tmp_path_factory.mktemp("own"), port) as started:
        yield started


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a daemon with arguments of the test's own: ``start("--strict", env={...})``."""
    with ExitStack() as stack:

        def start(*arguments: str, env: dict[str, str] | None = None) -> Daemon:
            port = free_port()
            command = [*MODULE, "--port", str(port), *arguments]
            return stack.enter_context(running(command, tmp_path, port, env))

        yield start


@pytest.fixture(scope="session")
def client_environment() -> Needs:
    """Return the name of a client environment that is there."""

    def need(name: str) -> str:
        if not environments.is_made(name):
            absent(f"no {name} clients in {environments.cache()}: run python tests/e2e/setup_clients.py")
        return name

    return need


@pytest.fixture(scope="session")
def program() -> Needs:
    """Return the path of a program that is installed."""

    def need(name: str) -> str:
        found = shutil.which(name)
        if found is None:
            absent(f"{name} is not installed: install the package that has it, such as curl, nginx, systemd")
        return str(found)

    return need
