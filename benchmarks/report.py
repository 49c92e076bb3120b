"""Writes what was measured: RESULTS.md, and bar charts beside it."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from measure import CONNECTIONS, SESSIONS_BEFORE_READING, Cores, Round, SessionCost

REFERENCE = "mcp-echo"
NOTHING = "–"  # an en dash, as in tables
MIB = 1024 * 1024


@dataclass(frozen=True)
class Result:
    """What was measured of one server.

    Attributes:
        title: The server's name.
        versions: Versions of what it runs on.
        medians: Medians over the rounds.
        session: What a session costs; None if the server has none.
    """

    title: str
    versions: dict[str, str]
    medians: Round
    session: SessionCost | None


@dataclass(frozen=True)
class Conditions:
    """How it was measured.

    Attributes:
        rounds: Number of rounds.
        seconds: Length of a round.
        sessions: Sessions made to measure the memory of one.
        cores: The cores that were used.
        load_average: The machine's load average before the first round.
    """

    rounds: int
    seconds: int
    sessions: int
    cores: Cores
    load_average: float


def write(
    out: Path, results: Sequence[Result], alone: str, not_measured: dict[str, str], conditions: Conditions
) -> list[Path]:
    """Write the results and the charts, and return their files.

    Args:
        out: The results' file; the charts' begin with the same name.
        results: What was measured, in the order of the tables; at least one.
        alone: A table of what was measured of mcp-echo by itself; empty if nothing was.
        not_measured: Why others were not, by their names.
        conditions: How it was measured.
    """
    charts = {
        chart: drawn
        for chart in CHARTS
        if (drawn := _draw(chart, [each for each in results if chart.figure(each) is not None]))
    }
    files = {chart: out.with_name(f"{out.stem}{chart.suffix}.svg") for chart in charts}
    parts = [
        "# Results",
        "Written by `run.py`; [README.md](README.md) says what is measured and how to do it again.",
        _conditions(conditions),
    ]
    for chart, drawn in charts.items():
        files[chart].write_text(drawn)
    parts += [f"![{chart.title}]({file.name})" for chart, file in files.items()]
    parts += [_medians(results), _ratios(results)]
    if alone:
        parts.append("## mcp-echo by itself\n\n" + alone)
    if not_measured:
        rows = [[name, reason] for name, reason in not_measured.items()]
        parts.append("## Not measured\n\n" + _table(["server", "reason"], rows))
    rows = [
        [each.title, ", ".join(f"{name} {version}" for name, version in each.versions.items())]
        for each in results
    ]
    parts.append("## Versions\n\n" + _table(["server", "runs on"], rows))
    out.write_text("\n\n".join(part for part in parts if part) + "\n")
    return [out, *files.values()]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table: the first column to the left, figures to the right."""
    is_figures = all(cell == NOTHING or cell[:1].isdigit() for row in rows for cell in row[1:])
    align = ["---", *(["---:" if is_figures else "---"] * (len(head) - 1))]
    clean = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in [head, align, *rows]]
    return "\n".join(f"| {' | '.join(row)} |" for row in clean)


def _conditions(conditions: Conditions) -> str:
    cores, rounds, seconds = conditions.cores, conditions.rounds, conditions.seconds
    lines = [
        f"- {time.strftime('%Y-%m-%d', time.gmtime())}, {_cpu_model()}, {os.cpu_count()} cores, "
        f"Linux {platform.release()}, Python {platform.python_version()}; "
        f"load average {conditions.load_average:.2f} before the first round",
        f"- server on core {cores.server}, `wrk -t1 -c{CONNECTIONS}` on core {cores.load}: {CONNECTIONS} "
        f"keep-alive connections over {CONNECTIONS} sessions, `tools/call echo`, revision 2025-06-18",
        f"- medians of {rounds} alternating round{'s' if rounds > 1 else ''} of {seconds} s each; "
        f"memory per session over {conditions.sessions:,} idle sessions, the first {SESSIONS_BEFORE_READING} "
        "not counted",
    ]
    return "\n".join(lines)


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _medians(results: Sequence[Result]) -> str:
    head = [
        "server",
        "requests/s",
        "CPU µs per request",
        "p50 ms",
        "p99 ms",
        "MiB after start",
        "KiB per session",
        "CPU µs per handshake",
    ]
    rows = [
        [
            each.title,
            f"{each.medians.requests_per_second:,.0f}",
            f"{each.medians.cpu_us:,.0f}",
            f"{each.medians.p50_us / 1000:.1f}",
            f"{each.medians.p99_us / 1000:.1f}",
            f"{each.medians.start_bytes / MIB:.1f}",
            NOTHING if each.session is None else f"{each.session.resident_bytes / 1024:.1f}",
            NOTHING if each.session is None else f"{each.session.handshake_us:,.0f}",
        ]
        for each in results
    ]
    return "## Medians\n\n" + _table(head, rows)


def _ratios(results: Sequence[Result]) -> str:
    """Return each server's figures divided by mcp-echo's; nothing if there is nothing to compare."""
    reference = next((each for each in results if each.title == REFERENCE), None)
    if reference is None or len(results) < 2:
        return ""
    figures: tuple[Callable[[Result], float | None], ...] = (
        lambda each: each.medians.requests_per_second,
        lambda each: each.medians.cpu_us,
        lambda each: each.medians.p99_us,
        lambda each: each.medians.start_bytes,
        _session_kib,
        lambda each: each.session and each.session.handshake_us,
    )
    rows = [
        [each.title, *(_ratio(figure(each), figure(reference)) for figure in figures)]
        for each in results
        if each is not reference
    ]
    head = [
        "server",
        "requests/s",
        "CPU per request",
        "p99",
        "memory after start",
        "memory per session",
        "CPU per handshake",
    ]
    return "## Relative to mcp-echo\n\nEach figure divided by mcp-echo's.\n\n" + _table(head, rows)


def _ratio(figure: float | None, reference: float | None) -> str:
    return NOTHING if figure is None or not reference else f"{figure / reference:.2f}"


def _session_kib(result: Result) -> float | None:
    return result.session and result.session.resident_bytes / 1024


@dataclass(frozen=True)
class Chart:
    """A bar chart of one figure.

    Attributes:
        suffix: What its file's name ends with.
        title: What it shows, and in which unit.
        figure: Returns the figure; None for a server that has none.
        digits: Digits after the point.
    """

    suffix: str
    title: str
    figure: Callable[[Result], float | None]
    digits: int


CHARTS = (
    Chart(
        "",
        "Requests per second on one core (more is better)",
        lambda each: each.medians.requests_per_second,
        0,
    ),
    Chart(
        "-p99",
        "99th percentile of latency at 32 connections, ms (less is better)",
        lambda each: each.medians.p99_us / 1000,
        1,
    ),
    Chart("-memory", "Memory of an idle session, KiB (less is better)", _session_kib, 1),
)


def _draw(chart: Chart, results: Sequence[Result]) -> str:
    """Return a bar chart as SVG; nothing if no server has the figure."""
    figures = [chart.figure(each) or 0.0 for each in results]
    longest = max(figures, default=0.0)
    if not longest:
        return ""
    width, bar, gap, left, right, top = 760, 26, 12, 220, 80, 44
    height = top + len(results) * (bar + gap)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="14" role="img" '
        f'aria-label="{escape(chart.title)}, one bar per server">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="26" font-weight="bold" fill="#222222">{escape(chart.title)}</text>',
    ]
    for number, (each, value) in enumerate(zip(results, figures, strict=True)):
        y = top + number * (bar + gap)
        middle = y + bar / 2 + 5
        length = (width - left - right) * value / longest
        shown = f"{value:,.{chart.digits}f}"
        colour = "#2a6fb0" if each.title == REFERENCE else "#a9b4c0"
        lines += [
            f'<text x="{left - 10}" y="{middle:g}" text-anchor="end" fill="#222222">'
            f"{escape(each.title)}</text>",
            f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar}" fill="{colour}"/>',
            f'<text x="{left + length + 8:.1f}" y="{middle:g}" fill="#222222">{shown}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"
