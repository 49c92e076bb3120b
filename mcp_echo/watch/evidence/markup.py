"""Markdown in which no text of a client becomes structure. No I/O.

What a client may have written stands in code, where neither Markdown nor HTML nor a mention means anything;
the backticks around it are more than any that it has itself (CommonMark 0.31.2, sections 4.5 and 6.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mcp_echo.redaction import one_line

_BACKTICKS = re.compile(r"`+")
_MARKS = re.compile(r"[\\`*_{}\[\]<>()#|~&!@]")


def code(text: str) -> str:
    """Return a text as code within a line."""
    line = one_line(text)
    if not line.strip():
        return "(empty)"
    marks = "`" * (_longest_run(line) + 1)
    # One blank at either end is taken away again where both are there.
    pad = " " if line.startswith(("`", " ")) or line.endswith(("`", " ")) else ""
    return f"{marks}{pad}{line}{pad}{marks}"


def fence(lines: Iterable[str], language: str) -> str:
    """Return lines as a block of code.

    Args:
        lines: What stands in it.
        language: What it is, for those who colour it.
    """
    shown = [one_line(line) for line in lines]
    marks = "`" * max(3, 1 + max(map(_longest_run, shown), default=0))
    return "\n".join([f"{marks}{language}", *shown, marks])


def prose(text: str) -> str:
    """Return a text of ours so that each of its characters is read as it stands."""
    return _MARKS.sub(r"\\\g<0>", one_line(text))


def link(text: str, url: str) -> str:
    """Return a link to a page that we name."""
    return f"[{prose(text)}](<{url.replace('<', '%3C').replace('>', '%3E')}>)"


def _longest_run(text: str) -> int:
    return max(map(len, _BACKTICKS.findall(text)), default=0)
