"""The pytest plugin: a server for the session, a trace for each test, and findings that fail the test.

It is loaded into every run of pytest: what needs more than pytest is imported by the fixtures that need it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mcp_echo.testing.trace import Finding, Trace

LEVELS = ("error", "warning", "info", "off")
"""From which level on a finding fails a test."""

_MARKER = (
    "mcp_echo(level, ignore): from which level on a finding of mcp-echo fails the test (error, warning, info "
    "or off), and the ids of findings that never do"
)


class _Verdict:
    """What a test is to be told of its trace.

    Args:
        trace: The trace.
        level: From which level on a finding fails the test; one of `LEVELS`.
        ignored: Ids of findings that never do.
    """

    def __init__(self, trace: Trace, level: str, ignored: frozenset[str]) -> None:
        self._trace = trace
        self._level = level
        self._ignored = ignored
        self._told: set[str] = set()

    def news(self) -> str:
        """Return what is wrong and has not been told yet; nothing where all is well."""
        if self._level == "off":
            return ""
        findings = self._trace.findings(self._level)  # type: ignore[arg-type]  # one of the others
        new = [each for each in findings if each.id not in self._ignored | self._told]
        self._told.update(each.id for each in new)
        return _told(new, self._trace.url) if new else ""

    def hint(self) -> str:
        """Return the same beside a failure that is told anyway."""
        from mcp_echo.testing.trace import TraceError

        try:
            return self.news()
        except (TraceError, OSError) as error:
            return f"There is no report: {error}"


_VERDICT = pytest.StashKey[_Verdict]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options and the lines of the configuration file."""
    group = parser.getgroup("mcp-echo", "mcp-echo: findings about clients under test")
    group.addoption(
        "--mcp-echo-level",
        choices=LEVELS,
        help="fail tests whose client has findings of this level or a worse one (default: error)",
    )
    parser.addini("mcp_echo_level", "the same, for all runs", default="error")
    parser.addini("mcp_echo_ignore", "ids of findings that fail no test", type="args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture(scope="session")
def mcp_echo_command() -> list[str]:
    """The command that starts mcp-echo; override this fixture to add options."""
    from mcp_echo.testing.daemon import COMMAND

    return list(COMMAND)


@pytest.fixture(scope="session")
def mcp_echo_server(mcp_echo_command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an mcp-echo that runs as long as the test session, without a path."""
    from mcp_echo.testing.daemon import StartError, serving

    with ExitStack() as stack:
        log = tmp_path_factory.mktemp("mcp-echo") / "log"
        try:
            url = stack.enter_context(serving(mcp_echo_command, log))
        except StartError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        yield url


@pytest.fixture
def mcp_echo_trace(mcp_echo_server: str, request: pytest.FixtureRequest) -> Iterator[Trace]:
    """A trace for the test: its ``url`` is an MCP endpoint, and the test fails if findings say so."""
    from mcp_echo.testing.trace import Trace

    level, ignored = _tolerance(request.node)
    trace = Trace(mcp_echo_server, request.node.name)
    try:
        verdict = request.node.stash[_VERDICT] = _Verdict(trace, level, ignored)
        yield trace
        # What other fixtures have sent since, when they closed their clients.
        if news := verdict.news():
            pytest.fail(news, pytrace=False)
    finally:
        trace.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test for the findings of its trace, or show them beside another failure."""
    try:
        result = yield
    except (Exception, pytest.fail.Exception):
        verdict = item.stash.get(_VERDICT, None)
        if verdict is not None and (hint := verdict.hint()):
            item.add_report_section("call", "mcp-echo", hint)
        raise
    verdict = item.stash.get(_VERDICT, None)
    if verdict is not None and (news := verdict.news()):
        pytest.fail(news, pytrace=False)
    return result


def _tolerance(node: pytest.Item) -> tuple[str, frozenset[str]]:
    """Return from which level on findings fail a test, and the ids of those that never do.

    Raises:
        UsageError: There is no such level.
    """
    config = node.config
    level = config.getoption("--mcp-echo-level") or config.getini("mcp_echo_level")
    ignored = set(config.getini("mcp_echo_ignore"))
    for each in reversed(list(node.iter_markers("mcp_echo"))):
        level = each.kwargs.get("level", level)
        ignored.update(each.kwargs.get("ignore", ()))
    if level not in LEVELS:
        raise pytest.UsageError(f"mcp_echo: the level must be one of {', '.join(LEVELS)}, not {level!r}")
    return level, frozenset(ignored)


def _told(findings: list[Finding], url: str) -> str:
    count = f"{len(findings)} finding{'s' if len(findings) > 1 else ''}"
    ids = ", ".join(repr(each.id) for each in findings)
    return "\n\n".join(
        (
            f"mcp-echo has {count} about what came to {url}",
            *map(str, findings),
            f"To let it pass: @pytest.mark.mcp_echo(ignore=[{ids}]), or mcp_echo_ignore for all tests",
        )
    )
