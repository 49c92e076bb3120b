"""Names that were misspelt: which known one is nearest, and which variables mean nothing here. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from mcp_echo.settings.table import DECLARED, PREFIX

_LIKE = 0.7
"""How much of two names must be alike (`difflib.SequenceMatcher.ratio`) for one to be taken for the other."""

_LONGEST = 100
"""Characters of a name that are compared; the longest that is known has 37."""

_SHARED = ("MCP_", "ECHO_", "LOG_")
"""What the variables of this program that have not its prefix begin with, and those of other programs too."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like this one; None where none is."""
    found = get_close_matches(name[:_LONGEST], known, n=1, cutoff=_LIKE)
    return found[0] if found else None


def did_you_mean(name: str | None) -> str:
    """Return the question at the end of a message, or nothing for no name."""
    return "" if name is None else f"; did you mean {name}?"


def unknown_variables(environ: Iterable[str]) -> Iterator[str]:
    """Yield a warning for each variable that looks like one of this program's and is none.

    Names with the prefix of this program are meant for it. The others may be meant for another program, so
    that those alone are told of that are all but one of this program's.
    """
    known = {variable for setting in DECLARED for variable in setting.variables}
    for name in sorted(set(environ) - known):
        meant = _meant(name)
        if name.startswith(PREFIX) or meant is not None:
            yield f"{name} is no setting of mcp-echo and changes nothing{did_you_mean(meant)}"


def _meant(name: str) -> str | None:
    """Return the variable that is meant by one with a prefix of ours; None where none is like it."""
    prefix = next((each for each in (PREFIX, *_SHARED) if name.startswith(each)), None)
    if prefix is None:
        return None
    ours = {setting.variable.removeprefix(PREFIX): setting.variable for setting in DECLARED}
    rest = name.removeprefix(prefix)
    if prefix == PREFIX:
        near = nearest(rest, ours)
        return None if near is None else ours[near]
    # MCP_PORT for MCP_ECHO_PORT, LOG_FORMAT for MCP_ECHO_LOG_FORMAT.
    whole = ours.get(rest) or ours.get(name)
    return whole or _misspelt(name, prefix)


def _misspelt(name: str, prefix: str) -> str | None:
    """Return the variable that has a prefix of its own and differs from a name in a letter or two."""
    also = [each for setting in DECLARED for each in setting.also if each.startswith(prefix)]
    found = get_close_matches(name[:_LONGEST], also, n=1, cutoff=0.9)
    return found[0] if found else None
