"""What the commands that ask a server have in common on their command line. No I/O."""

from __future__ import annotations

import getopt
import re
import sys
from collections.abc import Sequence
from itertools import chain
from typing import Any, ClassVar

from twisted.python import usage

from mcp_echo import __version__
from mcp_echo.host.command_line import explained, refuse, show

LEVELS = ("error", "warning", "info")
"""The levels of findings, the worst first."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class ClientOptions(usage.Options):
    """How to reach a server; the addresses may stand anywhere among the options."""

    optParameters: ClassVar[list[list[Any]]] = [
        ["cacert", None, None, "A PEM file of the certificates to trust instead of the system's."],
    ]

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
        """Show the version."""
        show(f"mcp-echo {__version__}")

    opt_V = opt_version

    def opt_help(self) -> None:
        """Show this help."""
        show(str(self))

    opt_h = opt_help

    def parseOptions(self, options: list[str] | None = None) -> None:
        """Parse the command line; addresses may stand before options, after them and between them."""
        words = sys.argv[2:] if options is None else options
        if "--_shell-completion" not in words:
            words = self._options_first(words)
        super().parseOptions(words)

    def _options_first(self, words: list[str]) -> list[str]:
        """Return a command line with the addresses behind the options.

        Raises:
            UsageError: An option is not understood.
        """
        try:
            given, rest = getopt.gnu_getopt(words, self.shortOpt, self.longOpt)
        except getopt.GetoptError as error:
            raise usage.UsageError(explained(error, self.longOpt)) from None
        return [*chain.from_iterable(map(self._words, given)), "--", *rest]

    def _words(self, given: tuple[str, str]) -> Sequence[str]:
        """Return an option as it is written, with its value if it takes one."""
        name = given[0].lstrip("-")
        return given if f"{name}=" in self.longOpt or f"{name}:" in self.shortOpt else given[:1]

    def insist(self, option: str, possible: Sequence[str]) -> None:
        """Hold an option to what is possible.

        Raises:
            UsageError: It is something else.
        """
        if self[option] not in possible:
            raise usage.UsageError(f"--{option} must be one of {', '.join(possible)}")

    def insist_on_seconds(self, option: str, most: int) -> None:
        """Hold an option to a span of time, in seconds.

        Raises:
            UsageError: It is none, or longer.
        """
        if not 0 < self[option] <= most:
            raise usage.UsageError(f"--{option} must be more than 0 and at most {most} seconds")


def parse(options: usage.Options, arguments: Sequence[str], command: str) -> None:
    """Read the words of a command line into its options.

    Args:
        options: Takes them.
        arguments: The words after the command.
        command: Its name.

    Raises:
        SystemExit: One of them is wrong; standard error says which.
    """
    try:
        options.parseOptions(list(arguments))
    except usage.UsageError as error:
        refuse(f"{error} (mcp-echo {command} --help lists the options)")
