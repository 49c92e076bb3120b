"""docs/findings.md is the catalogue for people; the table of rules is the catalogue."""

from __future__ import annotations

from pathlib import Path

from mcp_echo.watch.rules.rule import Rule
from mcp_echo.watch.rules.table import RULES

DOCUMENT = Path(__file__).parents[3] / "docs" / "findings.md"


def row(rule: Rule) -> str:
    """Return the line of a rule in the document's table."""
    newest = max(rule.pages) if rule.pages else None
    link = rule.link(newest) or rule.url
    word = rule.keyword or "–"
    where = f"[{word}]({link})" if link else word
    bound = ", ".join(rule.pages) if rule.pages else "all"
    return f"| `{rule.id}` | {rule.level} | {rule.title} | {rule.advice} | {where} | {bound} |"


def test_every_rule_is_in_the_document_as_it_is_in_the_table() -> None:
    """Our interface: whoever is shown an id finds what it means."""
    lines = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    wanted = [row(rule) for rule in RULES.values()]
    assert lines == wanted, "\n".join(["the rows of docs/findings.md must be:", *wanted])
