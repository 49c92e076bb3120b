"""Every block of commands in README.md and docs/ does what its page says, pasted into bash and into zsh.

Each page is read by somebody with an empty home directory who stands in a clone and has the package
installed. The only thing changed is the numbers of ports.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.documents.pages import FAILS, ONE_ROOM, PAGES, ROOT, SERVES, Block, blocks, matches
from tests.e2e import environments
from tests.e2e.conftest import Needs
from tests.e2e.daemon import Daemon, environment
from tests.e2e.shell import SHELLS, Shell
from tests.ports import free_port

pytestmark = pytest.mark.slow

SECONDS = 300
"""How long a block may take; installing takes the longest."""

PORTS = ("3000", "8080", "9464")
"""What the pages have servers listen on."""

PASSED_ON = ("PIP_", "UV_", "NPM_CONFIG_", "SSL_CERT_", "http_proxy", "https_proxy", "no_proxy", "TMPDIR")
"""Beginnings of the variables that say how registries are reached."""

SOURCES = Path(os.environ.get("README_SOURCES") or ROOT)
"""What to clone: the tests may run without the package's sources beside them."""

RUN = [page for page in PAGES if any(block.is_run for block in blocks(page))]


def _clone(directory: Path) -> Path:
    """Return a copy of what is, or is about to be, in the repository."""
    listed = ["git", "-C", str(SOURCES), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in names:
        source = SOURCES / name
        if name and source.is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, directory / name)
    return directory


def _is_healthy(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False


class Reader:
    """Somebody who pastes the blocks of a page, one after the other.

    Args:
        open_terminal: Opens one more terminal.
        stack: What ends with the page.
    """

    def __init__(self, open_terminal: Callable[[], Shell], stack: ExitStack) -> None:
        self._open = open_terminal
        self._stack = stack
        self._ports = {port: str(free_port()) for port in PORTS}
        self._terminal = stack.enter_context(open_terminal())
        self._server = stack.enter_context(ExitStack())
        self._is_served = False

    def paste(self, block: Block) -> None:
        """Do what the page says, and look whether the outcome is what it says."""
        if block.mark == SERVES:
            self.serve(block.text)
            return
        if not self._is_served:
            self.serve("mcp-echo\n")
        if block.mark == ONE_ROOM:
            self._terminal.paste("export PYTEST_ADDOPTS=tests/settings\n", SECONDS)
        printed, status = self._terminal.paste(self._here(block.text), SECONDS)
        if block.answer is None:
            said = f"{block}: status {status}\n{printed}\n{self._terminal.errors()}"
            assert (status != 0) == (block.mark == FAILS), said
        else:
            wanted = self._here(block.answer)
            assert matches(wanted, printed), f"{block}\nshown:\n{wanted}\nprinted:\n{printed}"

    def serve(self, text: str) -> None:
        """Stop the server that runs, if any; start another one in a terminal of its own, and wait for it."""
        self._server.close()
        terminal = self._server.enter_context(self._open())
        terminal.start(f"export MCP_ECHO_PORT={self._ports['3000']}\n{self._here(text)}")
        self._wait(terminal)
        self._is_served = True

    def _here(self, text: str) -> str:
        for port, ours in self._ports.items():
            text = text.replace(port, ours)
        return text

    def _wait(self, terminal: Shell) -> None:
        deadline = time.monotonic() + SECONDS
        while not _is_healthy(int(self._ports["3000"])):
            assert time.monotonic() < deadline, terminal.errors()
            time.sleep(0.2)


@pytest.fixture(params=SHELLS)
def reader(
    request: pytest.FixtureRequest, client_environment: Needs, program: Needs, tmp_path: Path
) -> Iterator[Reader]:
    """Somebody with an empty home directory and a clone, who uses one of the shells."""
    for name in (request.param, "git", "curl"):
        program(name)
    home, clone = tmp_path / "home", _clone(tmp_path / "mcp-echo")
    home.mkdir()
    # npx takes what is installed beside it for what it would fetch.
    node = environments.cache() / client_environment(environments.NODE) / "node_modules"
    (clone / "node_modules").symlink_to(node)
    tools = [environments.cache() / client_environment(name) / "bin" for name in environments.INSTALLERS]
    path = [Path(sys.executable).parent, node / ".bin", *tools, os.environ["PATH"]]
    env = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
    env |= {"HOME": str(home), "PATH": os.pathsep.join(map(str, path)), "LANG": "C.UTF-8"}
    with ExitStack() as stack:
        opened = iter(range(100))

        def open_terminal() -> Shell:
            return Shell(request.param, clone, env, tmp_path / f"errors-{next(opened)}.txt")

        yield Reader(open_terminal, stack)


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_every_block_of_a_page_can_be_pasted(reader: Reader, page: Path) -> None:
    """Our interface: somebody will."""
    for block in blocks(page):
        if block.is_run:
            reader.paste(block)


def test_the_python_program_talks_to_the_server(daemon: Daemon, client_environment: Needs) -> None:
    """docs/clients.md, with the official SDK."""
    (text,) = (each.text for each in blocks(ROOT / "docs" / "clients.md") if each.language == "python")
    python = environments.python(client_environment(environments.SDK_1))
    ran = subprocess.run(
        [python, "-c", text.replace("localhost:3000", f"127.0.0.1:{daemon.port}")],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Echo count in session: 1" in ran.stdout


def test_client_snippets_are_json_with_the_endpoint() -> None:
    """Somebody will paste those too."""
    pages = (ROOT / "README.md", ROOT / "docs" / "clients.md")
    snippets = [each for page in pages for each in blocks(page) if each.language == "json"]
    assert len(snippets) == 7
    for block in snippets:
        (servers,) = json.loads(block.text).values()
        assert "http://localhost:3000/mcp" in json.dumps(servers["echo"]), str(block)
