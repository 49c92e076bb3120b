"""The command line of ``mcp-echo check``. No I/O."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec
from twisted.python import usage

from mcp_echo.report.client_options import LEVELS, ClientOptions

FORMATS = ("text", "json", "junit", "sarif")


class CheckOptions(ClientOptions):
    """What to check."""

    synopsis = "Usage: mcp-echo check [--stream] URL, or mcp-echo check --hop DIRECT VIA"
    longdesc = (
        "URL is the address of any MCP server. --hop compares the way through a gateway, VIA, with the "
        "direct one, DIRECT. Exit status: 0 if no finding is at the level of --fail-on or above it, 1 if one "
        "is, 2 if that could not be told."
    )
    optFlags: ClassVar = [
        ["hop", None, "Compare what two addresses of one server answer, and what arrives there."],
        ["stream", None, "See whether events are passed on as they come, and when silence is cut."],
    ]
    optParameters: ClassVar[list[list[Any]]] = [
        ["format", "f", "text", f"What to print: {', '.join(FORMATS)}."],
        ["fail-on", None, "warning", f"The least level that fails: {', '.join(LEVELS)}."],
        ["timeout", None, 10.0, "Seconds that each answer may take.", float],
        ["seconds", None, 20.0, "With --stream: seconds of silence to watch.", float],
        ["call", None, None, "With --stream: a tool to call that reports its progress, 'NAME {arguments}'."],
    ]
    compData: ClassVar = usage.Completions(
        optActions={
            "format": usage.CompleteList(list(FORMATS)),
            "fail-on": usage.CompleteList(list(LEVELS)),
            "cacert": usage.CompleteFiles(),
        }
    )

    addresses: tuple[str, ...]
    """One, or with ``--hop`` two: the direct one first."""
    call: tuple[str, dict[str, Any]] | None = None
    """The name and the arguments of a tool."""

    def parseArgs(self, *words: str) -> None:
        """Take the addresses.

        Raises:
            UsageError: There are too few or too many, or one is none.
        """
        wanted = ("DIRECT", "VIA") if self["hop"] else ("URL",)
        if len(words) < len(wanted):
            raise usage.UsageError(f"{wanted[len(words)]}, the address of an MCP server, is missing")
        if len(words) > len(wanted):
            many = "two addresses are" if self["hop"] else "one address is"
            raise usage.UsageError(f"{many} expected, and {len(words)} were given")
        for word in words:
            _check_address(word)
        self.addresses = words

    def postOptions(self) -> None:
        """Hold the options to what is possible.

        Raises:
            UsageError: One is not.
        """
        if self["hop"] and self["stream"]:
            raise usage.UsageError("--hop and --stream are two checks: ask for one of them")
        self.insist("format", FORMATS)
        self.insist("fail-on", LEVELS)
        self.insist_on_seconds("timeout", 600)
        self.insist_on_seconds("seconds", 3600)
        if self["call"] is not None:
            self.call = _call(self["call"])


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_possible = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        is_possible = False
    if not is_possible or not url.isascii() or not url.isprintable() or " " in url:
        raise usage.UsageError("the address must begin with http:// or https:// and a host")
    if "@" in parts.netloc:
        raise usage.UsageError("the address has a user in it; use --header 'Authorization: …' instead")


def _call(text: str) -> tuple[str, dict[str, Any]]:
    name, _, arguments = text.strip().partition(" ")
    try:
        return name, msgspec.json.decode(arguments or "{}", type=dict[str, Any])
    except msgspec.MsgspecError:
        raise usage.UsageError("--call must be the name of a tool, and behind it a JSON object") from None
