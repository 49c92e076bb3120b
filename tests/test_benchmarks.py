"""The comparison with other servers: what it takes for a figure, for an answer, and for a failure.

That it says what went wrong, leaves out a server that failed and stops what it started is our choice; see
benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

# They are scripts beside each other, and import each other by their plain names.
sys.path.insert(0, str(BENCHMARKS))
try:
    measure, peers, report, run = map(importlib.import_module, ("measure", "peers", "report", "run"))
finally:
    sys.path.remove(str(BENCHMARKS))

FIGURES = '{"requests": 300, "microseconds": 3000000, "p50_us": 900, "p99_us": 4000, "errors": %d}'


def test_the_figures_are_read_from_among_what_wrk_prints() -> None:
    """Wrk prints a report of its own before what call_echo.lua prints."""
    output = f"Running 3s test @ http://127.0.0.1:1\n  1 threads and 32 connections\nRESULT {FIGURES % 0}\n"
    assert measure.read_wrk(output) == {
        "requests": 300,
        "microseconds": 3_000_000,
        "p50_us": 900,
        "p99_us": 4000,
        "errors": 0,
    }


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (f"RESULT {FIGURES % 3}", "300 answers and 3 errors"),
        (f"RESULT {FIGURES % 0}".replace("300,", "0,"), "0 answers"),
        ("unable to connect to 127.0.0.1:1 Connection refused", "no figures: unable to connect"),
        ("", "no figures"),
    ],
)
def test_a_load_with_errors_or_without_answers_gives_no_figures(output: str, reason: str) -> None:
    """A server of which one request fails has no figures: refusals are cheap, and would look like speed."""
    with pytest.raises(measure.MeasureError, match=reason):
        measure.read_wrk(output)


RESULT = '{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"hello world"}]}}'


@pytest.mark.parametrize(
    "body",
    [RESULT, f"event: message\r\nid: 5\r\ndata: {RESULT}\r\n\r\n", f"id: 1\ndata:\n\ndata: {RESULT}\n\n"],
)
def test_an_answer_is_found_in_json_and_in_an_event_stream(body: str) -> None:
    """Servers choose between the two (Transports, "Sending Messages to the Server"); both count."""
    assert measure.is_echo(body.encode(), 7)


@pytest.mark.parametrize(
    "body",
    [
        RESULT.replace('"id":7', '"id":8'),
        RESULT.replace('"result":{', '"result":{"isError":true,'),
        RESULT.replace("hello", "goodbye"),
        RESULT.replace('"hello world"', "null"),
        RESULT.replace('{"type":"text","text":"hello world"}', '"hello world"'),
        RESULT.replace('{"type":"text","text":"hello world"}', ""),
        f"[{RESULT}]",
        '{"jsonrpc":"2.0","id":7,"result":null}',
        '{"jsonrpc":"2.0","id":7,"result":[]}',
        '{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"hello world"}}',
        "5",
        "null",
        "<html>hello world</html>",
        "",
        "\ufffe",
    ],
)
def test_an_answer_of_any_other_form_is_no_echo(body: str) -> None:
    """A server that answers nonsense is left out, and the others are measured all the same."""
    assert not measure.is_echo(body.encode(), 7)


def _round(requests_per_second: float, cpu_us: float) -> object:
    return measure.Round(requests_per_second, cpu_us, p50_us=1000, p99_us=cpu_us * 10, start_bytes=2**20)


def test_medians_are_taken_figure_by_figure() -> None:
    """One bad round must not drag the others' figures along."""
    found = measure.median([_round(100, 9), _round(300, 1), _round(200, 5)])
    assert (found.requests_per_second, found.cpu_us) == (200, 5)


def _written(tmp_path: Path, *titles: str) -> str:
    """Return the results of servers of which each does twice the requests of the one before it."""
    results = [
        report.Result(
            title,
            {"Go": "1.27.3"},
            _round(1000 * 2**number, 80 / 2**number),
            measure.SessionCost(2048 / 2**number, 300 / 2**number),
        )
        for number, title in enumerate(titles)
    ]
    conditions = report.Conditions(1, 3, 1000, measure.Cores(0, 1), 0.5)
    out = tmp_path / "RESULTS.md"
    assert report.write(out, results, "| echo |", {"another": "failed: a | b\nc"}, conditions) == [
        out,
        tmp_path / "RESULTS.svg",
        tmp_path / "RESULTS-p99.svg",
        tmp_path / "RESULTS-memory.svg",
    ]
    return out.read_text()


def test_ratios_divide_each_figure_by_ours(tmp_path: Path) -> None:
    """Twice the requests at half the CPU time and half the memory of a session read 2.00, 0.50 and 0.50."""
    assert "| Go SDK | 2.00 | 0.50 | 0.50 | 1.00 | 0.50 | 0.50 |" in _written(tmp_path, "mcp-echo", "Go SDK")


@pytest.mark.parametrize("titles", [("mcp-echo",), ("Python SDK", "Go SDK")])
def test_there_are_no_ratios_without_ours_and_another(tmp_path: Path, titles: tuple[str, ...]) -> None:
    """With --only one may leave either out."""
    assert "Relative" not in _written(tmp_path, *titles)


def test_a_reason_stays_in_its_cell(tmp_path: Path) -> None:
    """Reasons are words of other programs, and a bar or a line break in them would end the table's cell."""
    assert "| another | failed: a \\| b c |" in _written(tmp_path, "mcp-echo")


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("npm warn old\nnpm error code E404\nnpm error A complete log is in: /x", "npm error code E404"),
        ("WARNING: slow\nERROR: Could not find it\nERROR: No match", "ERROR: Could not find it"),
        (
            'go: downloading a\ngo: b@v1: Get "https://c": no such host\n',
            'go: b@v1: Get "https://c": no such host',
        ),
        ("", ""),
    ],
)
def test_the_line_that_tells_why_an_install_failed_is_found(said: str, line: str) -> None:
    """The last line of npm's words names a log file, and nothing else."""
    assert peers.telling_line(said) == line


GO = """#!/bin/sh
case "$1" in
version) echo go version go{release} linux/amd64 ;;
mod) echo "{said}" >&2; exit 1 ;;
esac
"""


def _put_on_path(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, script: str) -> None:
    folder.mkdir()
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def _prepared(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """Return a run after it prepared the server of this name, and what it said."""
    one = run.Run(argparse.Namespace(project=tmp_path), measure.Cores(0, 1))
    one.prepare([each for each in peers.PEERS if each.name == name], tmp_path / "cache")
    assert one.results() == []
    assert not list(tmp_path.glob("cache/*/complete")), "what failed must be made anew the next time"
    return one, capsys.readouterr().err


def test_a_server_whose_modules_are_out_of_reach_is_not_measured_and_has_not_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine may have no way to the Go module proxy; the others are compared there all the same."""
    _put_on_path(monkeypatch, tmp_path / "bin", "go", GO.format(release="99.0.1", said="no such host"))
    one, said = _prepared(tmp_path, "go-sdk", capsys)
    assert not one.has_failed
    assert "out of reach: go failed: no such host" in one.not_measured["Go SDK"]
    assert "no such host" in said


def test_a_module_that_is_not_what_go_sum_says_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Go refuses such a module; to pass that over as a lack of network would hide an attack."""
    script = GO.format(release="99.0.1", said="verifying x@v1: checksum mismatch")
    _put_on_path(monkeypatch, tmp_path / "bin", "go", script)
    one, _ = _prepared(tmp_path, "go-sdk", capsys)
    assert one.has_failed
    assert "checksum mismatch" in one.not_measured["Go SDK"]


def test_a_go_that_is_too_old_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Distributions ship old ones; with GOTOOLCHAIN=local, which we set, such a Go refuses our go.mod."""
    _put_on_path(monkeypatch, tmp_path / "bin", "go", GO.format(release="1.19", said="the old go was used"))

    def install(_cache: Path, _name: str, requirements: list[str]) -> Path:
        raise peers.PrepareError(f"asked for {requirements}")

    monkeypatch.setattr(peers, "_virtual_environment", install)
    one, _ = _prepared(tmp_path, "go-sdk", capsys)
    assert one.not_measured["Go SDK"] == f"failed: asked for {[peers.GO]}"


def test_the_go_sdk_is_pinned_with_its_hashes() -> None:
    """Every module that go.mod names has its two lines in go.sum, so that Go asks nobody else for a hash."""
    folder = BENCHMARKS / "peers" / "go_sdk"
    modules = re.findall(r"^(?:require |\t)(\S+ v\S+)", (folder / "go.mod").read_text(), re.MULTILINE)
    sums = (folder / "go.sum").read_text()
    assert any(module.startswith(peers.GO_SDK) for module in modules)
    for module in modules:
        assert f"{module} h1:" in sums
        assert f"{module}/go.mod h1:" in sums


def test_all_that_an_installer_said_is_told_on_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The results have room for one line; whoever is to mend it needs the others."""
    script = "#!/bin/sh\n[ $1 = --version ] && echo v99 || { echo npm error code E1; echo more; exit 1; }\n"
    for name in ("node", "npm"):
        _put_on_path(monkeypatch, tmp_path / name, name, script)
    one, said = _prepared(tmp_path, "typescript-sdk", capsys)
    assert one.has_failed
    assert one.not_measured["TypeScript SDK"] == "failed: npm failed: npm error code E1"
    assert "npm error code E1\nmore\n" in said


def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run finds what the first has installed, without a network."""
    calls = tmp_path / "calls"
    _put_on_path(monkeypatch, tmp_path / "node", "node", "#!/bin/sh\necho v99\n")
    _put_on_path(monkeypatch, tmp_path / "npm", "npm", f"#!/bin/sh\necho $1 >> {calls}\n")
    prepare = next(each for each in peers.PEERS if each.name == "typescript-sdk").prepare
    assert prepare(tmp_path / "cache", tmp_path) == prepare(tmp_path / "cache", tmp_path)
    assert calls.read_text() == "ci\n"


def _runs(pid: int) -> bool:
    """Return whether a process runs: neither gone, nor ended and waiting for its parent to take note."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="the comparison needs Linux")
def test_what_an_installer_started_ends_with_it_when_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would go on to write into a folder that the next run has made anew."""
    child = tmp_path / "child"
    script = f"#!/bin/sh\nsleep 300 &\necho $! > {child}.new\nmv {child}.new {child}\nwait\n"
    _put_on_path(monkeypatch, tmp_path / "bin", "node", script)
    _put_on_path(monkeypatch, tmp_path / "npm", "npm", script)

    def interrupt() -> None:
        while not child.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            next(each for each in peers.PEERS if each.name == "typescript-sdk").prepare(tmp_path, tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    pid = int(child.read_text())
    deadline = time.monotonic() + 10
    while _runs(pid) and time.monotonic() < deadline:  # it ends by itself, once it has been killed
        time.sleep(0.01)
    assert not _runs(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="the comparison needs Linux")
def test_a_server_that_ends_at_its_start_is_told_with_its_last_words() -> None:
    """Its log is in a folder that is gone afterwards."""
    environment = peers.Environment(("sh", "-c", "echo no such module; exit 3", "{port}"), {})
    with (
        pytest.raises(measure.MeasureError, match="ended at its start: no such module"),
        measure.Server(environment, min(os.sched_getaffinity(0))),
    ):
        pass
