"""The help of the command line: short for those who begin, and whole for those who look something up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mcp_echo.settings.help import FIRST, GROUPS, WIDTH, everything, overview
from mcp_echo.settings.table import DECLARED

NAMES = {each.name: each for each in DECLARED}


def flat(text: str) -> str:
    return "".join(text.split())


def test_every_setting_is_in_one_group() -> None:
    """A new setting needs a place in GROUPS."""
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(NAMES)


@pytest.mark.parametrize("show", [overview, everything])
def test_help_fits_a_terminal(show: Callable[[str], str]) -> None:
    """Our choice: 80 columns."""
    assert [line for line in show("mcp-echo").splitlines() if len(line) > WIDTH] == []


def test_the_overview_is_short_and_begins_with_what_matters() -> None:
    """Our choice: at most 150 lines; ten options with their text, and the names and units of all."""
    text = overview("mcp-echo")
    assert len(text.splitlines()) <= 150
    first, _, rest = text.partition("All options, by group:")
    assert len(FIRST) == 10
    for name in FIRST:
        assert flat(NAMES[name].help) in flat(first)
    for each in DECLARED:
        assert f"--{each.option}" in rest.split()
    assert "--idle-timeout SECONDS" in rest
    assert "--max-queue-bytes BYTES" in rest
    assert "--call-rate CALLS/SECOND" in rest
    assert [title for title in GROUPS if f"  {title}" not in rest.splitlines()] == []


def test_everything_is_told_of_every_setting() -> None:
    """Our interface: what it does, its default, and each variable that sets it."""
    text = everything("mcp-echo")
    for each in DECLARED:
        default = f"[default: {each.default.replace(',', ', ') or 'none'}; {', '.join(each.variables)}]"
        assert flat(f"--{each.option}{'' if each.is_flag else ' '}") in flat(text)
        assert flat(each.help + default) in flat(text), each.name


def test_help_names_the_program_as_it_was_called() -> None:
    """Our choice: a line can be pasted. twistd does not run the report."""
    assert overview("twistd mcp-echo").startswith("Usage: twistd mcp-echo [options]\n\n")
    assert "mcp-echo-daemon report URL" in overview("mcp-echo-daemon")
    assert "twistd mcp-echo report" not in overview("twistd mcp-echo") + everything("twistd mcp-echo")
