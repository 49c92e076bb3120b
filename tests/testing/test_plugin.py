"""The pytest plugin, in runs of pytest of its own, with a stub in the place of the server.

Unless a test says otherwise, its duty is our choice: docs/testing.md says what the plugin does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["pytester"]

STUB = Path(__file__).parent / "stub.py"
ROOT = Path(__file__).parents[2]

CONFTEST = f"""
import json, os, sys
import pytest

@pytest.fixture(scope="session")
def mcp_echo_command():
    return [sys.executable, {str(STUB)!r}, os.environ["STUB_LOG"]]

@pytest.fixture
def send(mcp_echo_trace):
    def send(*findings):
        import urllib.request

        request = urllib.request.Request(mcp_echo_trace.url, json.dumps(findings).encode(),
                                         {{"Content-Type": "application/json"}})
        urllib.request.urlopen(request).close()
    return send
"""

ERROR = {"id": "id-reused", "level": "error"}
WARNING = {"id": "accept-incomplete", "level": "warning"}


class Run:
    """Runs of pytest with the plugin and no other one.

    Args:
        pytester: Runs them.
        monkeypatch: Sets their environment.
    """

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pytester = pytester
        self.log = pytester.path / "stub.log"
        monkeypatch.setenv("STUB_LOG", str(self.log))
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *sys.path[1:]]))
        pytester.makeconftest(CONFTEST)

    def __call__(self, source: str, *options: str, ini: str = "") -> pytest.RunResult:
        """Return what a run of this test module comes to."""
        self._pytester.makeini(f"[pytest]\naddopts = --strict-markers\n{ini}")
        self._pytester.makepyfile(f"import pytest, sys\nERROR, WARNING = {ERROR}, {WARNING}\n{source}")
        return self._pytester.runpytest_subprocess("-p", "mcp_echo.testing.plugin", *options)

    @property
    def asked(self) -> list[tuple[str, str, int, Any]]:
        """The requests that the stub had."""
        return [tuple(json.loads(line)) for line in self.log.read_text().splitlines()]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(pytester, monkeypatch)


def test_a_test_without_findings_passes_and_leaves_no_trace(run: Run) -> None:
    result = run("""
def test_fine(mcp_echo_trace):
    assert mcp_echo_trace.url.endswith(f"/t/{mcp_echo_trace.id}/mcp")
    assert mcp_echo_trace.report()["held"] == 3
    assert mcp_echo_trace.findings() == []

def test_other(mcp_echo_trace):
    pass
""")
    result.assert_outcomes(passed=2)
    assert [each for each in run.asked if each[0] != "GET"] == [
        ("POST", "/t", 201, {"label": "test_fine"}),
        ("DELETE", "/t/trace-0", 204, None),
        # The stub numbers those that there are.
        ("POST", "/t", 201, {"label": "test_other"}),
        ("DELETE", "/t/trace-0", 204, None),
    ]


def test_a_finding_fails_its_test_with_summary_advice_and_link(run: Run) -> None:
    result = run("""
def test_bad(send):
    send({**ERROR, "count": 3})

def test_fine(send):
    send()
""")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "*mcp-echo has 1 finding about what came to http://127.0.0.1:*/t/trace-0/mcp",
            "*error id-reused, 3 times: id-reused was found",
            "*    Send what is right.",
            "*    MUST https://example.org/rules#id-reused",
            "*To let it pass: @pytest.mark.mcp_echo(ignore=*'id-reused'*), or mcp_echo_ignore for all tests",
        ]
    )
    assert ("DELETE", "/t/trace-0", 204, None) in run.asked


@pytest.mark.parametrize(
    ("options", "ini", "failed"),
    [
        ([], "", 1),
        (["--mcp-echo-level=warning"], "", 2),
        ([], "mcp_echo_level = info", 3),
        (["--mcp-echo-level=off"], "mcp_echo_level = info", 0),
        ([], "mcp_echo_ignore = other id-reused", 0),
    ],
)
def test_the_level_says_which_findings_fail_a_test(
    run: Run, options: list[str], ini: str, failed: int
) -> None:
    source = """
def test_error(send):
    send(ERROR)

def test_warning(send):
    send(WARNING)

def test_info(send):
    send({"id": "x", "level": "info"})
"""
    run(source, *options, ini=ini).assert_outcomes(failed=failed, passed=3 - failed)


def test_a_marker_says_it_for_one_test(run: Run) -> None:
    result = run(
        """
pytestmark = pytest.mark.mcp_echo(ignore=["id-reused"])

@pytest.mark.mcp_echo(level="warning", ignore=["x"])
def test_strict(send):
    send(ERROR, WARNING, {"id": "x", "level": "error"}, {"id": "z", "level": "error"})

@pytest.mark.mcp_echo(level="off")
def test_off(send):
    send({"id": "x", "level": "error"})
""",
        ini="mcp_echo_ignore = z",
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*mcp-echo has 1 finding*", "*warning accept-incomplete*"])


@pytest.mark.parametrize("ini", ["mcp_echo_level = fatal", ""])
def test_a_level_that_does_not_exist_is_refused(run: Run, ini: str) -> None:
    mark = "" if ini else "@pytest.mark.mcp_echo(level='fatal')"
    result = run(f"{mark}\ndef test_x(mcp_echo_trace):\n    pass", ini=ini)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the level must be one of error, warning, info, off, not 'fatal'*"])


def test_findings_stand_beside_another_failure(run: Run) -> None:
    """Whoever reads that a call failed sees at once what the server had to say of it."""
    result = run("""
def test_bad(send):
    send(ERROR)
    assert 1 == 2
""")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*assert 1 == 2*", "*mcp-echo call*", "*error id-reused: *"])


def test_what_a_fixture_sends_at_its_end_is_judged_too(run: Run) -> None:
    """A client is closed after its test has ended."""
    result = run("""
@pytest.fixture
def client(send):
    yield
    send(ERROR, WARNING)

def test_fine(client):
    pass
""")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*error id-reused: *"])


def test_what_was_told_is_not_told_again_at_the_end(run: Run) -> None:
    run("def test_bad(send):\n    send(ERROR)").assert_outcomes(failed=1, errors=0)


def test_an_expected_failure_may_be_a_finding(run: Run) -> None:
    run("@pytest.mark.xfail(strict=True)\ndef test_bad(send):\n    send(ERROR)").assert_outcomes(xfailed=1)
    run("def test_x(send):\n    send(ERROR)\n    pytest.skip('x')", "--mcp-echo-level=off").assert_outcomes(
        skipped=1
    )


def test_a_test_may_look_at_its_findings(run: Run) -> None:
    run("""
@pytest.mark.mcp_echo(level="off")
def test_look(send, mcp_echo_trace):
    send(WARNING, ERROR)
    first, second = mcp_echo_trace.findings("warning")
    assert (first.id, first.level, first.count, first.confidence) == ("id-reused", "error", 1, "certain")
    assert (first.url, first.keyword) == ("https://example.org/rules#id-reused", "MUST")
    assert second.id == "accept-incomplete"
    assert mcp_echo_trace.findings("error") == [first]
""").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("print('no such option'); raise SystemExit(3)", "mcp-echo ended with status 3 before it served*"),
        (
            "import time; print('no such option', flush=True); time.sleep(60)",
            "mcp-echo did not serve in 1 s*",
        ),
    ],
)
def test_a_daemon_that_does_not_start_fails_its_tests_with_its_log(
    run: Run, program: str, said: str, pytester: pytest.Pytester
) -> None:
    with (pytester.path / "conftest.py").open("a") as conftest:
        conftest.write(f"""
from mcp_echo.testing import daemon
daemon.READY_SECONDS = 1.0

@pytest.fixture(scope="session")
def mcp_echo_command():
    return [sys.executable, "-c", {program!r}]
""")
    result = run("def test_x(mcp_echo_trace):\n    pass")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{said}", "*no such option*"])
    result.stdout.no_fnmatch_line("*During handling*")


def test_a_server_without_traces_is_named(run: Run, pytester: pytest.Pytester) -> None:
    """One that somebody else has started, perhaps, and told to watch nothing."""
    with (pytester.path / "conftest.py").open("a") as conftest:
        conftest.write("""
@pytest.fixture(scope="session")
def mcp_echo_server(mcp_echo_server):
    return mcp_echo_server + "/t/trace-0"
""")
    result = run("def test_x(mcp_echo_trace):\n    pass")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*TraceError: *"])


def test_it_works_in_several_processes(run: Run) -> None:
    """pytest-xdist: each process has a server of its own."""
    source = """
@pytest.mark.parametrize("number", range(6))
def test_x(send, number):
    send(*[ERROR] * (number % 2))
"""
    run(source, "-p", "xdist", "-n2").assert_outcomes(failed=3, passed=3)


def test_the_server_is_stopped_when_the_session_ends(run: Run, pytester: pytest.Pytester) -> None:
    run("""
def test_x(mcp_echo_server):
    with open("address", "w") as file:
        file.write(mcp_echo_server)
""").assert_outcomes(passed=1)
    port = int((pytester.path / "address").read_text().rpartition(":")[2])
    program = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
    refused = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "ConnectionRefusedError" in refused.stderr


def test_a_run_that_does_not_use_it_loads_nothing_for_it(run: Run) -> None:
    """Whoever has the package installed has the plugin in every run of pytest."""
    result = run("""
def test_x():
    ours = {name for name in sys.modules if name.partition(".")[0] == "mcp_echo"}
    assert ours == {"mcp_echo", "mcp_echo.testing", "mcp_echo.testing.plugin"}
    assert not {"twisted", "http.client", "msgspec"} & set(sys.modules)
""")
    result.assert_outcomes(passed=1)
    assert not run.log.exists()


def test_a_run_that_uses_it_loads_no_twisted(run: Run) -> None:
    """A reactor in the process of a client's tests would be in the way of its event loop."""
    run("""
def test_x(mcp_echo_trace):
    assert not {"twisted", "msgspec", "mcp_echo.service"} & set(sys.modules)
""").assert_outcomes(passed=1)


def test_the_package_declares_the_plugin() -> None:
    """https://docs.pytest.org/en/stable/how-to/writing_plugins.html: pytest finds it by its entry point."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert declared == {"mcp_echo": "mcp_echo.testing.plugin"}


def test_the_daemon_itself_is_started(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the environment says of its port and its log."""
    monkeypatch.setenv("MCP_ECHO_PORT", "1")
    monkeypatch.setenv("LOG_FILE", str(pytester.path / "elsewhere.log"))
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    monkeypatch.setenv("MCP_ECHO_LOG_FORMAT", "json")
    pytester.makeconftest("")
    run("""
import json, urllib.request

def test_x(mcp_echo_server):
    with urllib.request.urlopen(mcp_echo_server + "/health") as answer:
        assert json.load(answer)["status"] == "healthy"
""").assert_outcomes(passed=1)
