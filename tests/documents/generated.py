"""The parts of the documents that are written from the code.

    python -m tests.documents.generated

writes them anew. Each stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mcp_echo
from mcp_echo.faults.kinds import KindShown, kinds_shown
from mcp_echo.faults.plans import PLANS
from mcp_echo.settings.table import DECLARED, Declared
from mcp_echo.watch.drill_outcomes import MEANINGS
from mcp_echo.watch.rules.rule import Rule
from mcp_echo.watch.rules.table import RULES
from tests.test_layers import PLACE

DOCS = Path(__file__).parents[2] / "docs"
PACKAGE = Path(mcp_echo.__file__).parent


def _setting(setting: Declared) -> str:
    variables = ", ".join(f"`{name}`" for name in setting.variables)
    option = f"`--{setting.option}`" + (f", `--no-{setting.option}`" if setting.is_flag else "")
    default = f"`{setting.default}`" if setting.default else "not set"
    unit = f" In {setting.unit}." if setting.unit else ""
    return f"| {variables} | {option} | {default} | {setting.help}{unit} |"


def settings() -> str:
    """Return every setting, its option, its default and its unit."""
    head = ["| Variable | Option | Default | What it does |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *map(_setting, DECLARED)])


def rooms() -> str:
    """Return every room of the package in the order of their directions, and what it says of itself."""
    return "\n".join(["| Room | What is in it |", "| --- | --- |", *_rooms()])


def _rooms() -> Iterator[str]:
    paths = PACKAGE.glob("*/__init__.py")
    for path in sorted(paths, key=lambda path: (PLACE.get(path.parent.name, -1), path)):
        about = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        first = about.splitlines()[0].replace("``", "`")
        yield f"| `{path.parent.name}` | {first} |"


def findings() -> str:
    """Return every rule, what it asks for, and where the newest revision that has it says so."""
    head = ["| id | level | what it asks for | what to do | from | revisions |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *map(_rule, RULES.values())])


def _rule(rule: Rule) -> str:
    newest = max(rule.pages) if rule.pages else None
    link = rule.link(newest) or rule.url
    word = rule.keyword or "–"
    where = f"[{word}]({link})" if link else word
    bound = ", ".join(rule.pages) if rule.pages else "all"
    return f"| `{rule.id}` | {rule.level} | {rule.title} | {rule.advice} | {where} | {bound} |"


def faults() -> str:
    """Return every fault with its options."""
    head = ["| fault | options | what it does |", "|---|---|---|"]
    return "\n".join([*head, *map(_fault, kinds_shown())])


def _fault(kind: KindShown) -> str:
    return f"| `{kind.fault}` | {'; '.join(map(_option, kind.options)) or '–'} | {kind.summary} |"


def _option(option: dict[str, Any]) -> str:
    default = option["default"]
    if option["choices"]:
        return f"`{option['name']}`: " + ", ".join(f"`{each}`" for each in option["choices"])
    bounds = "" if option["most"] is None else f", {option['least']:.0f} to {option['most']:.0f}"
    shown = "" if default is None else f", `{str(default).lower()}`"
    return f"`{option['name']}`: {option['kind']}{bounds}{shown}"


def plans() -> str:
    """Return every plan with what it tries."""
    rows = [f"| `{name}` | {len(plan.orders)} | {plan.summary} |" for name, plan in PLANS.items()]
    return "\n".join(
        ["| plan | orders | what happens, and what a client should do |", "|---|---|---|", *rows]
    )


def outcomes() -> str:
    """Return every outcome of a drill with its meaning."""
    rows = [f"| `{outcome}` | {meaning} |" for outcome, meaning in MEANINGS.items()]
    return "\n".join(["| outcome | what the client did |", "|---|---|", *rows])


PARTS: dict[tuple[str, str], Callable[[], str]] = {
    ("settings.md", "settings"): settings,
    ("design.md", "rooms"): rooms,
    ("findings.md", "findings"): findings,
    ("faults.md", "faults"): faults,
    ("faults.md", "plans"): plans,
    ("faults.md", "outcomes"): outcomes,
}
"""Page, name of the part → what writes it."""


def renewed(text: str, name: str, part: str) -> str:
    """Return a page with one of its parts written anew."""
    begin, end = f"<!-- generated: {name} -->\n\n", "\n\n<!-- end -->"
    found = re.findall(re.escape(begin) + ".*?" + re.escape(end), text, re.DOTALL)
    assert len(found) == 1, f"{len(found)} parts are called {name}"
    return text.replace(found[0], f"{begin}{part}{end}")


def main() -> None:
    """Write all parts anew."""
    for (page, name), write in PARTS.items():
        path = DOCS / page
        path.write_text(renewed(path.read_text(encoding="utf-8"), name, write()), encoding="utf-8")


if __name__ == "__main__":
    main()
