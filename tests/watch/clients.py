"""The tables of ``docs/clients.md``, which tests with real clients and with recordings of them hold to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"

LIVE = "every run"
"""Of a client that is seen whenever the end-to-end tests run; others have the date of their recording."""

DRILLS = "What clients do when the server misbehaves"
"""The heading of the table of drills."""

_ID = re.compile(r"`([a-z0-9-]+)`")


class Row(NamedTuple):
    """A client, and what is found of it."""

    name: str
    product: str
    """With its version."""
    era: str
    seen: str
    findings: tuple[str, ...]
    meaning: str

    @property
    def recording(self) -> str:
        """The name of the file that it is recorded in."""
        return f"{self.name}-{self.seen}"


class Cell(NamedTuple):
    """What a client does after a fault, and which rules it breaks by that."""

    outcome: str
    findings: tuple[str, ...]


class DrillRow(NamedTuple):
    """A client, and what it does when the server misbehaves."""

    name: str
    product: str
    """With its version."""
    seen: str
    cells: dict[str, Cell | None]
    """Kind of the fault → what comes of it; None where it cannot be hit."""


def rows() -> dict[str, Row]:
    """Return the table of what is found: name → row."""
    every = [_row(cells) for cells in _cells("What is found of real clients")]
    assert len({row.name for row in every}) == len(every), "a client has two rows"
    return {row.name: row for row in every}


def drill_rows() -> dict[str, DrillRow]:
    """Return the table of drills: name → row."""
    head = _section(DRILLS).partition("\n| client |")[2].partition("\n")[0]
    faults = _ID.findall(head)
    every = [_drill_row(cells, faults) for cells in _cells(DRILLS)]
    assert len({row.name for row in every}) == len(every), "a client has two rows"
    return {row.name: row for row in every}


def _section(heading: str) -> str:
    return PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def _cells(heading: str) -> list[list[str]]:
    lines = [line for line in _section(heading).splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _row(cells: list[str]) -> Row:
    name, product, era, seen, findings, meaning = cells
    return Row(name.strip("`"), product, era, seen, tuple(sorted(_ID.findall(findings))), meaning)


def _drill_row(cells: list[str], faults: list[str]) -> DrillRow:
    name, product, seen, *told = cells
    by_fault = {fault: _cell(cell) for fault, cell in zip(faults, told, strict=True)}
    return DrillRow(name.strip("`"), product, seen, by_fault)


def _cell(text: str) -> Cell | None:
    words = _ID.findall(text)
    return Cell(words[0], tuple(words[1:])) if words else None


TRUE_FAULTS: dict[str, dict[str, str]] = {
    "gemini-cli": {
        "version-header-missing": "2025-06-18 basic/transports, Protocol Version Header: it MUST come "
        "with every request after initialize; the notification, the GET and the ping have none."
    }
}
"""Client → the errors that it does make: id → why it is one."""
