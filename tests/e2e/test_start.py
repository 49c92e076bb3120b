"""The first minute: the command line with its slips, its help, and what a start shows on a terminal."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from mcp_echo import __version__
from tests.e2e.conftest import Needs
from tests.e2e.daemon import MODULE, START_SECONDS, STOP_SECONDS, environment, script, spawn
from tests.e2e.terminal import Output, Terminal, opened

MCP_ECHO = (script("mcp-echo"),)

SLIPS = [
    ("--prot 3000", "--prot", "did you mean --port"),
    ("--strct", "--strct", "did you mean --strict?"),
    ("--alowed-hosts x", "--alowed-hosts", "did you mean --allowed-hosts?"),
    ("-x", "-x", ""),
    ("--port", "--port", "needs a value"),
    ("--strict=1", "--strict", "takes no value"),
    ("--port 99999", "--port", "from 0 to 65535"),
    ("--port tcp:99999:interface=127.0.0.1", "--port", "from 0 to 65535"),
    ("--port threethousand", "--port 'threethousand'", "such as 3000"),
    ("--port -1", "--port '-1'", "such as 3000"),
    ("3000", "3000", "did you mean --port 3000?"),
    ("--max 5", "--max", "--max-batch"),
    ("--max-sessions many", "--max-sessions", "whole number"),
    ("--session-timeout soon", "--session-timeout", "number of seconds"),
    ("--log-level loud", "--log-level", "DEBUG"),
    ("--log-file /dev/null/x", "--log-file", "cannot be written"),
    ("--trace-file /nowhere/names", "--trace-file", "No such file"),
    ("--allowed-origins app.example", "--allowed-origins", "https://app.example.com"),
    ("--trusted-proxies gateway", "--trusted-proxies", "addresses, networks"),
    ("--store mysql://h", "--store", "sqlite:PATH"),
    ("--workers 4", "--workers", "sqlite:PATH"),
    ("--protocol-version 1999-01-01", "--protocol-version", "2025-11-25"),
    ("--conformance=everything", "--conformance", "core"),
    ("--public-url mcp.example.com", "--public-url", "https://mcp.example.com"),
    ("serve", "serve", "no command"),
    ("reprot http://127.0.0.1/t/x/", "reprot", "did you mean report?"),
    ("--strict report http://127.0.0.1/t/x/", "report", "mcp-echo report URL"),
    ("report", "URL", "is missing"),
    ("report http://127.0.0.1/t/x/ --fromat md", "--fromat", "did you mean --format?"),
    ("report http://127.0.0.1/t/x/ --format pdf", "--format", "sarif"),
]
"""Command line → the argument that the message names, and what else it says."""


def run(command: Sequence[str], env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment(env), capture_output=True, text=True, timeout=START_SECONDS, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize(("words", "named", "said"), SLIPS, ids=[each[0] for each in SLIPS])
def test_a_slip_is_told_in_few_lines_that_name_the_argument(words: str, named: str, said: str) -> None:
    """Our choice: status 2 as other commands have it, and nothing on standard output."""
    done = run([*MCP_ECHO, *shlex.split(words)])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mcp-echo: ")
    assert len(done.stderr.splitlines()) <= 3
    assert named in done.stderr
    assert said in done.stderr


def test_a_slip_is_told_alike_however_the_program_is_called() -> None:
    """Our choice: twistd would print all its options, and the message last."""
    for command, called in (
        (MODULE, "python -m mcp_echo"),
        ((script("mcp-echo-daemon"),), "mcp-echo-daemon"),
        ((script("twistd"), "-n", "mcp-echo"), "twistd mcp-echo"),
    ):
        done = run([*command, "--strct"])
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"{called}: --strct is no option; did you mean --strict? ({called} --help lists the options)\n"
        )


def test_the_version_and_the_help_are_shown_by_twistd_too() -> None:
    """Our interface: the plugin, the module and the scripts are one program."""
    for command in (MCP_ECHO, (script("twistd"), "mcp-echo")):
        for option in ("-V", "--version"):
            assert run([*command, option]).stdout == f"mcp-echo {__version__}\n"
        for option in ("-h", "--help", "--help-all"):
            done = run([*command, option])
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout.startswith("Usage: ")


@pytest.mark.parametrize("words", ["--help", "--help-all", "report --help"])
def test_a_reader_who_has_seen_enough_is_no_error(words: str) -> None:
    """Our choice: `| head -1` is quiet, even where the reader is gone before the first line."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*MCP_ECHO, *words.split()], env=environment(), stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


BASE = r"^MCP:    (\S+)/mcp$"
"""Where a terminal shows the address of the server."""

Open = Callable[..., Terminal]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Open]:
    """Starts mcp-echo in a terminal, and stops it at the end."""

    def begin(*arguments: str, env: dict[str, str] | None = None) -> Terminal:
        return stack.enter_context(opened([*MCP_ECHO, *arguments], tmp_path, env))

    with ExitStack() as stack:
        yield begin


def fetched(url: str) -> int:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as answer:
        return int(answer.status)


def test_a_terminal_shows_addresses_that_work_and_nothing_before_them(terminal: Open) -> None:
    """Our choice: three lines to click; the real port, where any was asked for."""
    shown = terminal("--port", "0")
    trace = shown.wait_for(r"^Trace:  (http://127\.0\.0\.1:[1-9]\d*/t/\S+/)$")
    mcp, page, last = shown.text().splitlines()
    base = trace.partition("/t/")[0]
    assert (mcp, page, last) == (f"MCP:    {base}/mcp", f"Page:   {base}/", f"Trace:  {trace}")
    assert fetched(f"{trace}report") == 200
    assert fetched(f"{base}/health") == 200


def test_requests_follow_the_addresses(terminal: Open) -> None:
    """Our choice: somebody watches."""
    shown = terminal("--port", "0")
    mcp = shown.wait_for(r"^MCP:    (\S+)$")
    body = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    request = urllib.request.Request(mcp, body, {"Content-Type": "application/json", "Accept": "*/*"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        assert answer.status == 200
    shown.wait_for(r"POST /mcp (200)")


@pytest.mark.slow
def test_a_terminal_says_where_the_log_goes(terminal: Open, tmp_path: Path) -> None:
    """Our choice: an empty terminal looks like a server that hangs."""
    file = tmp_path / "mcp-echo.log"
    shown = terminal("--port", "0", "--reveal-secrets", env={"LOG_FILE": str(file), "LOG_LEVEL": "warn"})
    assert shown.wait_for(r"^Log:    (\S+)$") == str(file)
    assert fetched(f"{shown.wait_for(BASE)}/health") == 200
    assert shown.text().startswith("Warning: Tokens, cookies and keys are shown in full to every client")
    assert "(--reveal-secrets)" in file.read_text()


@pytest.mark.slow
def test_the_commands_for_a_unix_socket_can_be_pasted(terminal: Open, program: Needs, tmp_path: Path) -> None:
    """curl(1), --unix-socket."""
    program("curl")
    shown = terminal("--port", f"unix:{tmp_path}/my mcp.sock", "--watch=on")
    command = shown.wait_for(r"^MCP:    (curl .*)$")
    trace = shown.wait_for(r"^Trace:  (curl .*)$")
    for each in (f"{command} -s", f"{trace}report -s -f -o {tmp_path}/report"):
        done = subprocess.run(["bash", "-c", each], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert "verdict" in (tmp_path / "report").read_text()


@pytest.mark.slow
def test_several_workers_show_one_address(terminal: Open, tmp_path: Path) -> None:
    """Our choice: once, when all of them serve."""
    shown = terminal("--port", "0", "--workers", "2", "--store", f"sqlite:{tmp_path}/sessions.db")
    assert fetched(f"{shown.wait_for(BASE)}/health") == 200
    assert fetched(shown.wait_for(r"^Trace:  (\S+)$") + "report") == 200
    assert (shown.text().count("MCP:"), shown.text().count("Trace:")) == (1, 1)
    assert "Serving" not in shown.text()


@pytest.mark.slow
def test_what_twisted_says_is_for_those_who_debug(terminal: Open) -> None:
    """Our choice: nobody else has a use for the reactor's class."""
    shown = terminal("--port", "0", "--debug")
    shown.wait_for(r"(reactor class: )")
    assert fetched(f"{shown.wait_for(BASE)}/health") == 200


def test_the_log_of_a_service_has_the_same_facts_and_not_the_key(tmp_path: Path) -> None:
    """Our choice: who reads the log of a service cannot read what its clients sent."""
    with _logging(tmp_path) as log:
        path = Path(log.wait_for(r"What comes to /mcp is shown at the address in (\S+)"))
        address = path.read_text().strip()
        assert path.stat().st_mode & 0o777 == 0o600
        assert fetched(f"{address}report") == 200
        assert address.split("/")[-2] not in log.text()
        assert len(log.text().splitlines()) == 3
    assert not path.exists()


def _read(output: Path) -> str:
    time.sleep(0.05)
    return output.read_text()


@contextmanager
def _logging(directory: Path) -> Iterator[Output]:
    output = directory / "output.txt"
    with output.open("wb") as sink:
        process = spawn([*MCP_ECHO, "--port", "0"], env=environment(), stdout=sink, stderr=sink)
    try:
        yield Output(partial(_read, output))
    finally:
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0
