"""What came of comparing two traces, as everybody is shown it. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from mcp_echo.protocol.texts import often
from mcp_echo.watch.rules.rule import Level

HopRule = Literal[
    "hop-header-dropped",
    "hop-header-added",
    "hop-header-repeated",
    "hop-header-changed",
    "hop-order",
    "hop-path-changed",
    "hop-query-changed",
    "hop-version",
    "hop-body-changed",
]


class Occurrence(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """Where a difference shows."""

    direct: int
    """The number of the exchange in the trace that was reached directly."""
    via: int
    """The same in the other one."""
    found: str | None = None
    """What arrived through the gateway, masked."""
    wanted: str | None = None
    """What arrived directly, masked."""


class Difference(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One thing that the gateway does, in all requests where it does it."""

    id: HopRule
    level: Level
    subject: str
    """``header:Accept``, ``headers``, ``path``, ``query``, ``version`` or ``body``."""
    summary: str
    advice: str
    url: str
    """Where to read what a gateway may do."""
    count: int
    """The pairs of exchanges that show it."""
    evidence: tuple[Occurrence, ...]
    """The first ones."""


class Pair(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """Two exchanges that were compared."""

    direct: int
    via: int
    label: str | None = None
    """What both carried in ``X-MCP-Echo-Probe``; None where they were matched by method and order."""
    differences: tuple[str, ...] = ()
    """The id and the subject of each difference that is named, with a blank between."""


class Comparison(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """What ``compareTraces`` and ``GET …/compare`` answer."""

    verdict: str
    compared: int
    """Pairs of exchanges that were compared."""
    differences: tuple[Difference, ...]
    """Errors first."""
    cut: int
    """Differences that are not named, for want of room."""
    pairs: tuple[Pair, ...]
    """The first ones."""
    only_direct: tuple[int, ...]
    """Exchanges that nothing in the other trace corresponds to."""
    only_via: tuple[int, ...]


def as_text(comparison: Comparison) -> str:
    """Return a comparison for people."""
    lines = [comparison.verdict]
    for each in comparison.differences:
        lines += ["", f"{each.level}: {each.id} ({often(each.count)})", each.summary, each.advice]
    if comparison.cut:
        lines += ["", f"{comparison.cut} more differences are not shown."]
    for numbers, where in (
        (comparison.only_direct, "directly"),
        (comparison.only_via, "through the gateway"),
    ):
        if numbers:
            lines += ["", f"Came {where} alone: exchanges {', '.join(map(str, numbers))}"]
    return "\n".join(lines)


def _alone(where: str, numbers: Sequence[int]) -> list[str]:
    return ["", f"Came {where} alone: exchanges {', '.join(map(str, numbers))}"] if numbers else []
