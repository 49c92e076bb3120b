"""The command line of ``mcp-echo report``. No I/O."""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.python import usage

from mcp_echo.host.command_line import shown
from mcp_echo.report.address import trace_address
from mcp_echo.report.client_options import LEVELS, ClientOptions

FORMATS = ("md", "json", "har", "sarif", "junit")


class ReportOptions(ClientOptions):
    """What to fetch, and what counts as a failure."""

    synopsis = "Usage: mcp-echo report URL [options]"
    longdesc = (
        "URL is the address of a trace or of its share, with or without what follows it. Exit status: 0 if "
        "no finding is at the level of --fail-on or above it, 1 if one is, 2 if that could not be told."
    )
    optParameters: ClassVar[list[list[Any]]] = [
        ["format", "f", "md", f"What to print: {', '.join(FORMATS)}."],
        ["fail-on", None, "error", f"The least level that fails: {', '.join(LEVELS)}."],
        ["timeout", None, 30.0, "Seconds that all of it may take.", float],
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

    def parseArgs(self, *words: str) -> None:
        """Take the address.

        Raises:
            UsageError: It is none of a trace, or there is none, or more than one word.
        """
        if not words:
            raise usage.UsageError("URL, the address of a trace, is missing")
        if len(words) > 1:
            raise usage.UsageError(f"{shown(words[1])} is not expected behind the address of the trace")
        try:
            self.address = trace_address(words[0])
        except ValueError as error:
            raise usage.UsageError(str(error)) from None

    def postOptions(self) -> None:
        """Hold the options to what is possible.

        Raises:
            UsageError: One is not.
        """
        self.insist("format", FORMATS)
        self.insist("fail-on", LEVELS)
        self.insist_on_seconds("timeout", 3600)
