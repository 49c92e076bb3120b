"""``mcp-echo report``: from a command line to what is printed and an exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import msgspec
from treq.client import HTTPClient
from twisted.internet.defer import Deferred

from mcp_echo import __version__
from mcp_echo.report.client_options import parse
from mcp_echo.report.fetch import CannotFetch, fetch
from mcp_echo.report.options import ReportOptions
from mcp_echo.report.outcome import UNKNOWN, status_of, tell


class _Finding(msgspec.Struct):
    level: str


class _Report(msgspec.Struct):
    """What of a report decides on the exit status; newer servers may say more."""

    verdict: str
    findings: list[_Finding] = []
    exchanges: int = 0


def main(arguments: Sequence[str]) -> None:
    """Run the command.

    Args:
        arguments: The words after ``report``.

    Raises:
        SystemExit: Always, with the exit status.
    """
    options = ReportOptions()
    parse(options, arguments, "report")
    from twisted.internet.task import react

    react(_run, [options])


async def _run(reactor: Any, options: ReportOptions) -> None:
    from mcp_echo.report.client import client_for

    try:
        client = client_for(reactor, options["cacert"], options["timeout"])
    except CannotFetch as error:
        tell(str(error))
        raise SystemExit(UNKNOWN) from None
    raise SystemExit(await report(reactor, client, options, sys.stdout.buffer.write))


async def report(
    reactor: Any, client: HTTPClient, options: ReportOptions, write: Callable[[bytes], object]
) -> int:
    """Fetch what is asked for, print it, and return the exit status.

    Args:
        reactor: Measures the time.
        client: Sends requests.
        options: The command line.
        write: Takes what is printed.
    """
    fetching = Deferred.fromCoroutine(_fetched(client, options))
    try:
        evidence, found = await fetching.addTimeout(options["timeout"], reactor, _late)
    except CannotFetch as error:
        tell(str(error))
        return UNKNOWN
    write(evidence if evidence.endswith(b"\n") else evidence + b"\n")
    if not found.exchanges:
        tell("nothing has come to this trace: give the client its address")
    return status_of((each.level for each in found.findings), options["fail-on"])


async def _fetched(client: HTTPClient, options: ReportOptions) -> tuple[bytes, _Report]:
    headers = [("User-Agent", f"mcp-echo/{__version__}"), *options.headers]
    found = await fetch(client, f"{options.address}report", headers)
    try:
        decided = msgspec.json.decode(found, type=_Report)
    except msgspec.MsgspecError:
        raise CannotFetch("the answer is not a report of mcp-echo: check the address") from None
    return await fetch(client, f"{options.address}evidence.{options['format']}", headers), decided


def _late(_result: object, seconds: float) -> NoReturn:
    raise CannotFetch(f"no answer came within {seconds:g} s: give more with --timeout, or try again")
