"""A file that names what is to be found at the same address after a restart."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mcp_echo.redaction import mask_tokens
from mcp_echo.settings.table import ConfigError

_ID = re.compile(r"[A-Za-z0-9_-]{32}")


class Named(NamedTuple):
    """One line of the file: a name, and the id that belongs to it."""

    label: str
    id: str


def read_named(name: str, new_key: Callable[[], str]) -> list[Named]:
    """Return what a file names, once each line of it has an id.

    A line is a name, and behind it an id; where that is missing it is made, and the file is written anew, for
    its user alone. Empty lines and those that begin with ``#`` stay.

    Args:
        name: The file.
        new_key: Makes an id.

    Raises:
        ConfigError: It cannot be read or written, or a line is none.
    """
    path = Path(name)
    try:
        lines = path.read_text().splitlines()
        named = {place: _named(line, new_key) for place, line in enumerate(lines) if _says_something(line)}
        wanted = [" ".join(named[place]) if place in named else line for place, line in enumerate(lines)]
        if wanted != lines:
            _write(path, "".join(f"{line}\n" for line in wanted))
    except OSError as error:
        raise ConfigError(f"MCP_ECHO_TRACE_FILE {mask_tokens(name)}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"MCP_ECHO_TRACE_FILE {mask_tokens(name)} is not text in UTF-8") from None
    return list(named.values())


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _named(line: str, new_key: Callable[[], str]) -> Named:
    words = line.split()
    if len(words) == 1:
        return Named(words[0], new_key())
    if len(words) == 2 and _ID.fullmatch(words[1]):
        return Named(*words)
    raise ConfigError(
        "MCP_ECHO_TRACE_FILE: write one name without blanks in each line; the server adds the id"
    )


def _write(path: Path, text: str) -> None:
    """Write a file anew, or not at all."""
    beside = path.with_name(f"{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    beside.replace(path)
