"""What the pages are made of, in the programs that it is for: snippets in clients, helpers in Node.js."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

import mcp_echo.page
from mcp_echo.page.snippets import SNIPPETS, URL
from tests.e2e import environments, scene
from tests.e2e.conftest import Needs
from tests.e2e.daemon import Daemon, environment
from tests.e2e.trace import Trace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def daemon(own_daemon: Daemon) -> Daemon:
    """The daemon of this module alone."""
    return own_daemon


TEXTS = {snippet.client: snippet.text for snippet in SNIPPETS}


def _run(command: list[str], directory: Path, home: Path) -> str:
    project = environments.cache() / environments.NODE
    # The node that the clients need stands beside them; npx must not look for newer versions.
    path = f"{project / 'node_modules/.bin'}{os.pathsep}{os.environ['PATH']}"
    env = environment({"PATH": path, "HOME": str(home), "NPM_CONFIG_OFFLINE": "true"})
    done = subprocess.run(
        command, cwd=directory, env=env, capture_output=True, timeout=90, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_program_calls_a_tool(daemon: Daemon, client_environment: Needs, tmp_path: Path) -> None:
    """Our choice: what is copied works as it is."""
    python = environments.python(client_environment(environments.SDK_2))
    trace = Trace(daemon, "python")
    printed = _run([python, "-c", TEXTS["Python"].replace(URL, trace.url)], tmp_path, tmp_path)
    assert "Hello" in printed
    assert trace.report().exchanges > 0


def test_the_typescript_program_calls_a_tool(
    daemon: Daemon, client_environment: Needs, tmp_path: Path
) -> None:
    """As above; there is no type in it that Node.js would have to leave out."""
    project = environments.cache() / client_environment(environments.NODE)
    trace = Trace(daemon, "typescript")
    program = TEXTS["TypeScript"].replace(URL, trace.url)
    printed = _run(["node", "--input-type=module", "--eval", program], project, tmp_path)
    assert "Hello" in printed
    assert trace.report().exchanges > 0


def test_the_inspector_lists_the_tools(
    daemon: Daemon, client_environment: Needs, program: Needs, tmp_path: Path
) -> None:
    """As above."""
    program("npx")
    project = environments.cache() / client_environment(environments.NODE)
    trace = Trace(daemon, "inspector")
    printed = _run(shlex.split(TEXTS["Inspector"].replace(URL, trace.url)), project, tmp_path)
    assert "echo" in printed


def test_the_terminals_command_makes_a_trace(daemon: Daemon, program: Needs, tmp_path: Path) -> None:
    """As above, of what curl is shown."""
    program("curl")
    _, _, text = scene.ask(f"{daemon.base}/", "GET")
    (line,) = (line for line in text.decode().splitlines() if line.startswith("  curl"))
    assert '"mcpUrl":"' in _run(["bash", "-c", line], tmp_path, tmp_path)


HELPERS = sorted((Path(__file__).parents[1] / "page" / "js").glob("*.mjs"))


def test_the_helpers_of_the_page(client_environment: Needs, tmp_path: Path) -> None:
    """Our choice: what needs no browser is tested by Node.js's own runner."""
    client_environment(environments.NODE)
    modules = Path(mcp_echo.page.__file__).parent / "static"
    project = environments.cache() / environments.NODE
    done = subprocess.run(
        [str(project / "node_modules/.bin/node"), "--test", *map(str, HELPERS)],
        env=environment({"PAGE": str(modules), "HOME": str(tmp_path)}),
        capture_output=True,
        timeout=90,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    written = sum(file.read_text(encoding="utf-8").count('\ntest("') for file in HELPERS)
    assert f"pass {written}\n" in done.stdout, done.stdout
