"""The table of ``docs/clients.md``, which tests with real clients and with recordings of them hold to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"

LIVE = "every run"
"""Of a client that is seen whenever the end-to-end tests run; others have the date of their recording."""

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


def rows() -> dict[str, Row]:
    """Return the table: name → row."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    every = [_row([cell.strip() for cell in line.strip("|").split("|")]) for line in lines]
    assert len({row.name for row in every}) == len(every), "a client has two rows"
    return {row.name: row for row in every}


def _row(cells: list[str]) -> Row:
    name, product, era, seen, findings, meaning = cells
    return Row(name.strip("`"), product, era, seen, tuple(sorted(_ID.findall(findings))), meaning)


TRUE_FAULTS: dict[str, dict[str, str]] = {
    "gemini-cli": {
        "version-header-missing": "2025-06-18 basic/transports, Protocol Version Header: it MUST come "
        "with every request after initialize; the notification, the GET and the ping have none."
    }
}
"""Client → the errors that it does make: id → why it is one."""
