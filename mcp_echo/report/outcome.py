"""How the commands that ask a server end: what they say on standard error, and their exit statuses."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from mcp_echo.report.client_options import LEVELS

CLEAN, FOUND, UNKNOWN = 0, 1, 2
"""Exit statuses: nothing at the level asked for, something, and that it cannot be told."""


def status_of(levels: Iterable[str], fail_on: str) -> int:
    """Return the exit status.

    Args:
        levels: Those of what was found.
        fail_on: The least level that counts.
    """
    failing = LEVELS[: LEVELS.index(fail_on) + 1]
    return FOUND if any(level in failing for level in levels) else CLEAN


def tell(what: str) -> None:
    """Say something beside what is printed."""
    print(f"mcp-echo: {what}", file=sys.stderr)
