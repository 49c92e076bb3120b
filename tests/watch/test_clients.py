"""The table of docs/clients.md, and the recordings of clients that cannot run with the tests."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mcp_echo.watch.drill_outcomes import MEANINGS
from mcp_echo.watch.rules.table import RULES
from tests.watch.clients import LIVE, PAGE, TRUE_FAULTS, drill_rows, rows
from tests.watch.replay import (
    drill_recordings,
    drilled,
    flows,
    found,
    left,
    read,
    recordings,
    written,
)

ROWS = rows()
E2E = Path(__file__).parents[1] / "e2e"

each_recording = pytest.mark.parametrize("file", recordings().values(), ids=recordings())


def test_each_recording_has_its_row() -> None:
    """docs/clients.md: a recording that nobody is told of says nothing, and so does a row without one."""
    assert {row.recording for row in ROWS.values() if row.seen != LIVE} == set(recordings())


@each_recording
def test_what_is_found_in_a_recording_is_what_the_page_says(file: Path) -> None:
    """Our choice: no rule accuses a client that is right, and none forgets what it has found."""
    (row,) = (row for row in ROWS.values() if row.recording == file.stem)
    kept = read(file.read_bytes()).records
    findings = found(left(kept))
    assert tuple(sorted(findings)) == row.findings, [each.summary for each in findings.values()]
    errors = {each.id for each in findings.values() if each.level == "error"}
    assert errors == set(TRUE_FAULTS.get(row.name, ()))
    done = {(flow.kind, flow.state) for flow in flows(kept)}
    assert done == ({(row.era, "complete")} if row.era != "none" else set())


def test_each_recording_of_a_drill_has_its_cell() -> None:
    """docs/clients.md, as above."""
    told = {
        f"{row.name}-{fault}-{row.seen}"
        for row in drill_rows().values()
        for fault, cell in row.cells.items()
        if row.seen != LIVE and cell is not None
    }
    assert told == set(drill_recordings())


@pytest.mark.parametrize(
    ("name", "fault"),
    [(row.name, fault) for row in drill_rows().values() if row.seen != LIVE for fault in row.cells],
)
def test_what_a_recorded_client_did_after_a_fault_is_what_the_page_says(name: str, fault: str) -> None:
    """docs/clients.md: the verdict of a drill, and the rules that are broken."""
    row = drill_rows()[name]
    cell, file = row.cells[fault], drill_recordings().get(f"{name}-{fault}-{row.seen}")
    assert (cell is None) is (file is None)
    if cell is not None and file is not None:
        drill = drilled(read(file.read_bytes()).records)
        assert (drill.outcome, set(drill.findings)) == (cell.outcome, set(cell.findings)), drill
        assert drill.fault.partition(" ")[0] == fault


@pytest.mark.parametrize(
    "file", [*recordings().values(), *drill_recordings().values()], ids=lambda file: file.stem
)
def test_a_recording_tells_nothing_of_where_it_was_made(file: Path) -> None:
    """Our choice: it is published. What masks secrets is tested elsewhere."""
    text = file.read_text()
    assert written(file.read_bytes()).decode() == text
    assert not re.search(r"127\.0\.0\.1|/(?:home|root|tmp|work)/", text)


def test_each_finding_on_the_page_is_explained_there() -> None:
    """docs/clients.md: what a finding means for whoever uses the client."""
    named = {finding for row in ROWS.values() for finding in row.findings}
    assert named <= set(RULES)
    cells = [cell for row in drill_rows().values() for cell in row.cells.values() if cell is not None]
    assert {finding for cell in cells for finding in cell.findings} <= set(RULES)
    assert {cell.outcome for cell in cells} <= set(MEANINGS)
    assert all(row.meaning for row in ROWS.values() if row.findings)
    assert {finding for faults in TRUE_FAULTS.values() for finding in faults} <= named


def test_the_page_names_the_versions_that_run() -> None:
    """Our choice: what is found of one version need not hold for another."""
    node = json.loads((E2E / "node" / "package.json").read_text())["dependencies"]
    pinned = {*re.findall(r"==([\d.]+)", (E2E / "environments.py").read_text()), *node.values()}
    every = [*ROWS.values(), *drill_rows().values()]
    live = [row for row in every if row.seen == LIVE]
    assert live
    versions = {row.name: row.product.partition(",")[0].rpartition(" ")[2] for row in live}
    assert [name for name, version in versions.items() if version not in pinned] == []
    assert "| client |" in PAGE.read_text()
