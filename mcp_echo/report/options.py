"""The command line of ``mcp-echo report``. No I/O."""

from __future__ import annotations

import getopt
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from typing import ClassVar

from twisted.python import usage

from mcp_echo import __version__
from mcp_echo.report.address import trace_address

FORMATS = ("md", "json", "har", "sarif", "junit")
LEVELS = ("error", "warning", "info")
"""The levels of findings, the worst first."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class ReportOptions(usage.Options):
    """What to fetch, and what counts as a failure."""

    synopsis = "Usage: mcp-echo report URL [options]"
    longdesc = (
        "URL is the address of a trace or of its share, with or without what follows it. Exit status: 0 if "
        "no finding is at the level of --fail-on or above it, 1 if one is, 2 if that could not be told."
    )
    optParameters: ClassVar = [
        ["format", "f", "md", f"What to print: {', '.join(FORMATS)}."],
        ["fail-on", None, "error", f"The least level that fails: {', '.join(LEVELS)}."],
        ["timeout", None, 30.0, "Seconds that all of it may take.", float],
        ["cacert", None, None, "A PEM file of the certificates to trust instead of the system's."],
    ]
    compData: ClassVar = usage.Completions(
        optActions={
            "format": usage.CompleteList(list(FORMATS)),
            "fail-on": usage.CompleteList(list(LEVELS)),
            "cacert": usage.CompleteFiles(),
        }
    )

    address: str
    """Of the trace, with a slash at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.headers: list[tuple[str, str]] = []
        """Name, value of headers to send as well."""

    def opt_header(self, line: str) -> None:
        """A header to send as well, 'Name: value'; may be given more than once."""
        name, colon, value = line.partition(":")
        if not colon or not _HEADER_NAME.fullmatch(name) or not value.isprintable():
            raise usage.UsageError("--header must be 'Name: value'")
        self.headers.append((name, value.strip()))

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"mcp-echo {__version__}")
        raise SystemExit(0)

    def parseOptions(self, options: list[str] | None = None) -> None:
        """Parse the command line; the address may stand before options, after them and between them."""
        words = sys.argv[2:] if options is None else options
        # What is not understood is for the inherited method to complain of.
        with suppress(getopt.GetoptError):
            given, rest = getopt.gnu_getopt(words, self.shortOpt, self.longOpt)
            words = [*chain.from_iterable(map(self._words, given)), "--", *rest]
        super().parseOptions(words)

    def _words(self, given: tuple[str, str]) -> Sequence[str]:
        """Return an option as it is written, with its value if it takes one."""
        name = given[0].lstrip("-")
        return given if f"{name}=" in self.longOpt or f"{name}:" in self.shortOpt else given[:1]

    def parseArgs(self, url: str) -> None:  # type: ignore[override]  # as usage has it
        """Take the address.

        Raises:
            UsageError: It is none of a trace.
        """
        try:
            self.address = trace_address(url)
        except ValueError as error:
            raise usage.UsageError(str(error)) from None

    def postOptions(self) -> None:
        """Hold the options to what is possible.

        Raises:
            UsageError: One is not.
        """
        for option, possible in (("format", FORMATS), ("fail-on", LEVELS)):
            if self[option] not in possible:
                raise usage.UsageError(f"--{option} must be one of {', '.join(possible)}")
        if not 0 < self["timeout"] <= 3600:
            raise usage.UsageError("--timeout must be more than 0 and at most 3600 seconds")
