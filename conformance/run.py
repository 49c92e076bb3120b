"""Run the official MCP conformance suite against the daemon.

    python conformance/run.py [--store memory|sqlite|redis] [--only TEXT]

Installs the pinned suite (`npm ci`) when it is not there, starts the daemon of the interpreter that runs
this on a free port, and stops it at the end, and so a Redis server where one is to keep the sessions. A
warning counts as a failure, and so do a scenario that is
skipped, one that checks nothing, one that ends without a summary and one that is missing from a suite.
Standard library only.
"""

# ruff: noqa: S603  # runs npm, node, Redis and the daemon, with arguments of its own
from __future__ import annotations

import argparse
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
STABLE = "0.1.16"
NEXT = "0.2.0-alpha.12"
SUITES = {
    STABLE: HERE / "node_modules/conformance-stable/dist/index.js",
    NEXT: HERE / "node_modules/@modelcontextprotocol/conformance/dist/index.js",
}
NODE = HERE / "node_modules/.bin/node"

GENERIC = (
    "server-initialize",
    "logging-set-level",
    "ping",
    "tools-list",
    "resources-list",
    "prompts-list",
)
"""The scenarios that look for no tool, resource or prompt of a certain name."""

MODERN_GENERIC = (
    "tools-list",
    "resources-list",
    "prompts-list",
    "caching",
    "http-header-validation",
    "sep-2164-resource-not-found",
    "dns-rebinding-protection",
    "server-sse-multiple-streams",
    "input-required-result-unsupported-methods",
)
"""The same for 2026-07-28."""

NEVER_CHECKED = "tasks-status-notifications"
"""The one scenario that may check nothing. In 0.2.0-alpha.12 its only check is SKIPPED whatever the server
does, "pending subscriptions/listen rewrite", and it is listed with 0 passed and 0 failed."""

FIXTURES = ("--conformance=all",)
"""Has the daemon offer the tools, resources and prompts that scenarios look for by name."""


@dataclass(frozen=True)
class Run:
    """One call of the suite.

    Args:
        suite: Its version.
        spec: The revision to judge by; None where the suite has no such choice.
        scenarios: Run one by one; empty when ``selection`` says what to run.
        selection: The suite's own options for running many scenarios at once, such as
            ``("--suite", "all")`` or ``("--requirements", "2025-11-25")``.
        daemon: Options for the daemon.
        count: How many scenarios ``selection`` has to run, so that none vanishes unnoticed.
    """

    suite: str
    spec: str | None = None
    scenarios: tuple[str, ...] = ()
    selection: tuple[str, ...] = ()
    daemon: tuple[str, ...] = ()
    count: int = 0

    @property
    def judged_by(self) -> str:
        """The selection and the revision, for people."""
        return " ".join((*self.selection, self.spec or "")).strip() or "-"


RUNS = (
    Run(NEXT, "2025-06-18", (*GENERIC, "server-session-lifecycle")),
    Run(
        NEXT,
        "2025-11-25",
        (
            *GENERIC,
            "server-session-lifecycle",
            "server-sse-multiple-streams",
            "dns-rebinding-protection",
        ),
    ),
    Run(NEXT, "2026-07-28", MODERN_GENERIC),
    Run(STABLE, None, (*GENERIC, "server-sse-multiple-streams", "dns-rebinding-protection")),
    Run(NEXT, selection=("--suite", "all"), daemon=FIXTURES, count=65),
    Run(NEXT, selection=("--requirements", "2025-11-25"), daemon=FIXTURES, count=33),
    Run(NEXT, selection=("--requirements", "2026-07-28"), daemon=FIXTURES, count=50),
    Run(NEXT, "2025-06-18", selection=("--suite", "all"), daemon=FIXTURES, count=27),
    Run(STABLE, selection=("--suite", "all"), daemon=FIXTURES, count=32),
)
"""Everything that is judged; one line more is one run more."""

START_SECONDS = 30
STOP_SECONDS = 20
SCENARIO_SECONDS = 60
SELECTION_SECONDS = 300

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_SUMMARY = re.compile(r"^Passed: (\d+)/\d+, (\d+) failed, (\d+) warnings$", re.MULTILINE)
_LISTED = re.compile(
    r"^\W*(?P<name>[a-z0-9-]+): (?P<passed>\d+) passed, (?P<failed>\d+) failed(?:, (?P<warnings>\d+) warn)?",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Outcome:
    """What became of one scenario.

    Args:
        scenario: Its name.
        run: The run it was part of.
        counts: Checks passed, failed and warned about; None when the suite printed no count.
        output: What it printed.
        note: What is wrong beside the counts; empty for nothing.
    """

    scenario: str
    run: Run
    counts: tuple[int, int, int] | None
    output: str
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether every check passed, there was one, and nothing was warned about."""
        if self.note or self.counts is None or any(self.counts[1:]):
            return False
        return self.counts[0] > 0 or self.scenario == NEVER_CHECKED

    def row(self) -> tuple[str, ...]:
        """Return the cells of the table."""
        counts = "/".join(map(str, self.counts)) if self.counts else "-"
        verdict = "" if self.passed else f"FAILED {self.note}".rstrip()
        return self.scenario, self.run.suite, self.run.judged_by, counts, verdict


class CannotRunError(Exception):
    """The judge or the daemon could not be started; the message says why."""


def install() -> None:
    """Install the suite unless it is there."""
    if NODE.exists() and all(entry.exists() for entry in SUITES.values()):
        return
    print("Installing the conformance suite", flush=True)
    # The suite needs a newer Node.js than many systems have; npm brings it as a package.
    command = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        subprocess.run(command, cwd=HERE, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotRunError(f"{' '.join(command)} failed: {error}") from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextmanager
def daemon(options: Sequence[str]) -> Iterator[str]:
    """Start the daemon, give its URL, and stop it.

    Raises:
        CannotRunError: It does not start, or its log holds a traceback at the end.
    """
    port = _free_port()
    settings = ("MCP_", "ECHO_", "LOG_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, "-m", "mcp_echo", "--port", str(port), *options]
        process = subprocess.Popen(command, cwd=HERE.parent, env=env, stdout=log, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + START_SECONDS
            # A process that has ended cannot be what answers: someone else took the port.
            while not (_is_healthy(port) and process.poll() is None):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise CannotRunError(f"the daemon does not start: {_written(log.fileno())}")
                time.sleep(0.02)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            _stop(process)
        written = _written(log.fileno())
        if "Traceback" in written:
            raise CannotRunError(f"the daemon's log holds a traceback:\n{written}")


def _stop(process: subprocess.Popen[bytes], name: str = "the daemon") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise CannotRunError(f"{name} did not stop within {STOP_SECONDS} s") from None


@contextmanager
def sqlite() -> Iterator[tuple[str, ...]]:
    """Give the options that have a daemon keep its sessions in a file, and remove that at the end."""
    with tempfile.TemporaryDirectory() as directory:
        yield "--store", f"sqlite:{directory}/sessions.db"


@contextmanager
def redis() -> Iterator[tuple[str, ...]]:
    """Start a Redis server that saves nothing, give the options for it, and stop it.

    Raises:
        CannotRunError: It does not start.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise CannotRunError("redis-server is not installed")
    port = _free_port()
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as log:
        command = [program, "--bind", "127.0.0.1", "--port", str(port)]
        command += ["--save", "", "--appendonly", "no", "--dir", directory]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not (_takes_commands(port) and process.poll() is None):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise CannotRunError(f"redis-server does not start: {_written(log.fileno())}")
                time.sleep(0.02)
            yield "--store", f"redis://127.0.0.1:{port}"
        finally:
            _stop(process, "redis-server")


def _takes_commands(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
    except OSError:
        return False


STORES: dict[str, Callable[[], AbstractContextManager[tuple[str, ...]]]] = {
    "memory": lambda: nullcontext(()),
    "sqlite": sqlite,
    "redis": redis,
}
"""What can keep the sessions, and how it is made ready for the daemons of all runs, one after the other."""


def _written(file: int) -> str:
    size = os.fstat(file).st_size
    return os.pread(file, size, 0).decode("utf-8", "replace").strip()


def judge(run: Run, url: str, only: str) -> Iterator[Outcome]:
    """Run the scenarios of one run whose name contains ``only``; yield what became of each."""
    if run.selection:
        yield from (each for each in _selection(run, url) if only in each.scenario or each.counts is None)
    for scenario in run.scenarios:
        if only in scenario:
            yield _scenario(run, url, scenario)


def _scenario(run: Run, url: str, scenario: str) -> Outcome:
    status, output = _call(run, url, ("--scenario", scenario), SCENARIO_SECONDS)
    found = _SUMMARY.search(output)
    counts = (int(found[1]), int(found[2]), int(found[3])) if found else None
    # The suite answers 0 for a scenario that it skips, and for one that only warns.
    note = "" if found else "skipped" if "SKIPPED:" in output else "no summary"
    if not note and status != 0:
        note = f"status {status}"
    return Outcome(scenario, run, counts, output, note)


def _selection(run: Run, url: str) -> Iterator[Outcome]:
    status, output = _call(run, url, run.selection, SELECTION_SECONDS)
    listed = list(_LISTED.finditer(output))
    all_passed = True
    for found in listed:
        counts = int(found["passed"]), int(found["failed"]), int(found["warnings"] or 0)
        outcome = Outcome(found["name"], run, counts, output)
        all_passed = all_passed and outcome.passed
        yield outcome
    distinct = len({found["name"] for found in listed})
    if distinct != run.count or len(listed) != run.count or (status != 0 and all_passed):
        note = f"status {status}, {distinct} scenarios instead of {run.count}"
        yield Outcome(" ".join(run.selection), run, None, output, note)


def _call(run: Run, url: str, what: Sequence[str], seconds: float) -> tuple[int, str]:
    spec = ("--spec-version", run.spec) if run.spec else ()
    path = f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    with tempfile.TemporaryDirectory() as results:
        command = [str(NODE), str(SUITES[run.suite]), "server", "--url", url, *what, *spec, "-o", results]
        try:
            done = subprocess.run(
                command,
                env={**os.environ, "PATH": path},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return -1, f"no end within {seconds} s"
    return done.returncode, _COLOUR.sub("", done.stdout.decode("utf-8", "replace"))


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes as a table for people."""
    rows = [("scenario", "suite version", "spec version", "passed/failed/warnings", "")]
    rows += [outcome.row() for outcome in outcomes]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        " | ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip(" |")
        for row in rows
    )


def main() -> int:
    """Judge everything; return the exit status."""
    parser = argparse.ArgumentParser(description="Run the official MCP conformance suite.")
    parser.add_argument("--only", default="", metavar="TEXT", help="scenarios whose name contains TEXT")
    parser.add_argument("--store", default="memory", choices=STORES, help="what keeps the sessions")
    arguments = parser.parse_args()
    outcomes: list[Outcome] = []
    try:
        install()
        with STORES[arguments.store]() as store:
            for run in RUNS:
                with daemon((*run.daemon, *store)) as url:
                    outcomes += judge(run, url, arguments.only)
    except CannotRunError as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 2
    failed = [outcome for outcome in outcomes if not outcome.passed]
    for outcome in failed:
        print(f"--- {outcome.scenario} ({outcome.run.suite}, {outcome.run.judged_by})\n{outcome.output}\n")
    print(table(outcomes))
    passed = len(outcomes) - len(failed)
    print(f"{passed} passed, {len(failed)} failed, with sessions in {arguments.store}")
    return 1 if failed or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
