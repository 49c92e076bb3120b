"""Which tests run, how many examples they have, and in how many processes.

A plain run uses all cores and leaves out what is marked as slow. ``--all`` runs everything. A file or a test
that is named runs whole, and in this process, where debuggers and ``-s`` work.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

import mcp_echo

LEFT_OUT = pytest.StashKey[int]()
"""How many slow tests do not run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all",
        action="store_true",
        help="run the slow tests as well, and those that Hypothesis makes up examples for with all of them",
    )


def pytest_configure(config: pytest.Config) -> None:
    # How long an example takes says more about what else the machine does.
    settings.register_profile("whole", settings(), deadline=None)
    settings.register_profile("quick", settings(), deadline=None, max_examples=settings().max_examples // 4)
    settings.load_profile("whole" if config.getoption("all") else "quick")
    config.stash[LEFT_OUT] = 0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Start no other processes for what is named."""
    return 0 if _named(config) else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests out, unless they are asked for."""
    if config.getoption("all") or config.getoption("markexpr"):
        return
    named = _named(config)
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        is_left_out = item.get_closest_marker("slow") and item.path not in named
        (left_out if is_left_out else kept).append(item)
    config.hook.pytest_deselected(items=left_out)
    config.stash[LEFT_OUT] = len(left_out)
    items[:] = kept


def _named(config: pytest.Config) -> set[Path]:
    """Return the files that the command line names, or names tests of."""
    paths = [config.invocation_params.dir / name.partition("::")[0] for name in config.args]
    return {path.resolve() for path in paths if path.suffix == ".py"}


def pytest_report_header() -> str:
    return f"testing mcp_echo {mcp_echo.__version__} in {Path(mcp_echo.__file__).parent}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let the process that reports know what one that tests has left out."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["left_out"] = session.config.stash[LEFT_OUT]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    # Each collects all tests. One that crashed has no output.
    left_out = getattr(node, "workeroutput", {}).get("left_out", 0)
    node.config.stash[LEFT_OUT] = max(left_out, node.config.stash[LEFT_OUT])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[LEFT_OUT]:
        terminalreporter.write_line(
            f"{config.stash[LEFT_OUT]} slow tests were left out; --all runs them as well"
        )
