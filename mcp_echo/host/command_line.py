"""What the commands have in common: how they are called, how they show text, and how they refuse a slip."""

from __future__ import annotations

import getopt
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from mcp_echo.redaction import mask_tokens, one_line
from mcp_echo.settings.names import did_you_mean, nearest

SLIP = 2
"""The exit status of a command line, or a setting, that is not possible."""

SCRIPTS = ("mcp-echo", "mcp-echo-daemon")
"""The commands that are installed."""

_LONGEST = 200
"""Characters of a word that a message repeats."""


def program() -> str:
    """Return how this program was called: ``mcp-echo``, ``python -m mcp_echo`` or ``twistd mcp-echo``."""
    called = Path(sys.argv[0])
    if called.name in SCRIPTS:
        return called.name
    if called.name == "__main__.py" and called.parent.name == "mcp_echo":
        return "python -m mcp_echo"
    return f"{called.name} mcp-echo"


def refuse(problem: str) -> NoReturn:
    """Say in one line what is wrong with a command line or a setting, and end.

    Raises:
        SystemExit: Always, with `SLIP`.
    """
    print(f"{program()}: {one_line(mask_tokens(problem))}", file=sys.stderr)
    raise SystemExit(SLIP)


def show(text: str) -> NoReturn:
    """Print a text and end; whoever reads it may stop in the middle, as ``head`` does.

    Raises:
        SystemExit: Always, with 0.
    """
    try:
        print(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    raise SystemExit(0)


def slip(words: Sequence[str], short: str, long: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return what is wrong with the options of a command line, and the words behind them.

    Args:
        words: The command line.
        short: The short options, as `getopt` has them.
        long: The long options, likewise: with ``=`` at the end where they take a value.

    Returns:
        A sentence without an end, None where nothing is wrong; and the words that are no options.
    """
    try:
        return None, getopt.getopt(list(words), short, list(long))[1]
    except getopt.GetoptError as error:
        return explained(error, long), []


def explained(error: getopt.GetoptError, long: Sequence[str]) -> str:
    """Return what is wrong with an option, and which one was meant.

    Args:
        error: Has its name.
        long: As above.
    """
    name = error.opt
    if not error.msg.startswith("option --"):
        needs = error.msg.endswith("requires argument")
        return f"-{name} needs a value" if needs else f"-{shown(name)} is no option"
    known = [each.removesuffix("=") for each in long]
    meant = [each for each in known if each.startswith(name)]
    whole = name if name in known else meant[0] if len(meant) == 1 else None
    if whole is not None:
        return f"--{whole} needs a value" if f"{whole}=" in long else f"--{whole} takes no value"
    return f"--{shown(name)} is no option{did_you_mean(_listed(_nearest_first(name, known, sorted(meant))))}"


def _nearest_first(name: str, known: Sequence[str], begun: list[str]) -> list[str]:
    """Return the options that a name may be meant for: the nearest one, and those that begin with it."""
    near = nearest(name, known)
    return begun if near is None else [near, *(each for each in begun if each != near)]


def _listed(names: Sequence[str]) -> str | None:
    few = [f"--{name}" for name in names[:4]]
    if len(names) > len(few):
        return f"{', '.join(few)} or one of {len(names) - len(few)} more"
    return " or ".join([", ".join(few[:-1]), few[-1]]) if len(few) > 1 else next(iter(few), None)


def shown(word: str) -> str:
    """Return a word of a command line as a message repeats it."""
    return word if len(word) <= _LONGEST else f"{word[:_LONGEST]}…"
