"""The README is true: its settings table, and every command in it with its answer."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcp_echo.settings.load import load
from mcp_echo.settings.table import DECLARED, Declared
from mcp_echo.tools.catalogue import catalogue
from tests.e2e.conftest import Needs, Start

README = Path(__file__).parents[2] / "README.md"
_MARK = "-- end of the answer to command --"


def _row(setting: Declared) -> str:
    variables = ", ".join(f"`{name}`" for name in setting.variables)
    option = f"`--{setting.option}`" + (f", `--no-{setting.option}`" if setting.is_flag else "")
    default = f"`{setting.default}`" if setting.default else "not set"
    unit = f" In {setting.unit}." if setting.unit else ""
    return f"| {variables} | {option} | {default} | {setting.help}{unit} |"


def test_the_settings_table_is_what_the_code_declares() -> None:
    """Our interface: every setting, its option, its default and its unit in one table."""
    table = [line for line in README.read_text().splitlines() if line.startswith("| `")]
    assert table == [_row(setting) for setting in DECLARED]


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)


def _commands() -> Iterator[tuple[str, str]]:
    """Yield each command of the console blocks with the answer that is printed under it."""
    for block in _blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, answer = part.partition("\n")
            yield command, answer.rstrip("\n")


def _matches(expected: str, actual: str) -> bool:
    """Return whether ``actual`` is ``expected`` with something in place of each ``…``."""
    pattern = ".*?".join(re.escape(piece) for piece in expected.split("…"))
    return re.fullmatch(pattern, actual, re.DOTALL) is not None


def test_every_console_command_answers_as_printed(start: Start, program: Needs) -> None:
    """Somebody will paste them."""
    program("curl")
    daemon = start()
    commands = list(_commands())
    script = "\n".join(f"{command}\necho '{_MARK}'" for command, _ in commands)
    finished = subprocess.run(
        ["bash", "-c", script.replace("localhost:3000", f"localhost:{daemon.port}")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    answers = [answer.strip("\n") for answer in finished.stdout.split(f"{_MARK}\n")]
    assert len(answers) == len(commands) + 1, finished.stderr
    for (command, expected), actual in zip(commands, answers, strict=False):
        assert _matches(expected, actual), f"{command}\nprinted:\n{expected}\nanswered:\n{actual}"


def test_every_tool_is_told_of() -> None:
    """Our interface: people read of a tool before they call it."""
    told = set(re.findall(r"\*\*([A-Za-z]+)\*\*", README.read_text()))
    missing = [name for name in catalogue(load({}, {}).settings) if name not in told]
    assert not missing, f"write a paragraph of README.md that begins with **{missing[0]}**, and a call of it"


def test_client_snippets_are_json_with_the_endpoint() -> None:
    """Somebody will paste those too."""

    for block in _blocks("json"):
        (servers,) = json.loads(block).values()
        entry: dict[str, Any] = servers["echo"]
        assert entry["url"] == "http://localhost:3000/mcp"


def test_links_into_the_project_lead_somewhere() -> None:
    """A reader follows them."""
    for target in re.findall(r"\]\(([^)]+)\)", README.read_text()):
        assert target.startswith("https://") or (README.parent / target).exists(), target
