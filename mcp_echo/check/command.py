"""``mcp-echo check``: from a command line to what is printed and an exit status."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.web.iweb import IAgent

from mcp_echo.check.check import Result, judged, report_on
from mcp_echo.check.conversation import converse
from mcp_echo.check.hop import compare_ways
from mcp_echo.check.metadata_checks import CHECKS as METADATA_CHECKS
from mcp_echo.check.modern_checks import CHECKS as MODERN_CHECKS
from mcp_echo.check.options import CheckOptions
from mcp_echo.check.printed import printed
from mcp_echo.check.probe_checks import CHECKS as PROBE_CHECKS
from mcp_echo.check.probing import is_probe, watch_probe
from mcp_echo.check.server_checks import CHECKS as SERVER_CHECKS
from mcp_echo.check.session_checks import CHECKS as SESSION_CHECKS
from mcp_echo.check.stream_checks import CHECKS as STREAM_CHECKS
from mcp_echo.check.streaming import watch
from mcp_echo.check.wire import CannotCheck, Wire
from mcp_echo.redaction import split_credentials
from mcp_echo.report.client_options import parse
from mcp_echo.report.fetch import CannotFetch
from mcp_echo.report.outcome import UNKNOWN, status_of, tell

_SHORTEST_SECRET = 4
"""Characters below which the value of a header is looked for in nothing that is printed."""


def main(arguments: Sequence[str]) -> None:
    """Run the command.

    Args:
        arguments: The words after ``check``.

    Raises:
        SystemExit: Always, with the exit status.
    """
    options = CheckOptions()
    parse(options, arguments, "check")
    from twisted.internet.task import react

    react(_run, [options])


async def _run(reactor: Any, options: CheckOptions) -> None:
    from mcp_echo.report.client import agent_for

    try:
        agent = agent_for(reactor, options["cacert"], options["timeout"])
    except CannotFetch as error:
        tell(str(error))
        raise SystemExit(UNKNOWN) from None
    raise SystemExit(await check(reactor, agent, options, sys.stdout.buffer.write))


async def check(
    reactor: Any, agent: IAgent, options: CheckOptions, write: Callable[[bytes], object], producer: Any = None
) -> int:
    """Check what is asked for, print it, and return the exit status.

    Args:
        reactor: Measures the time.
        agent: Sends requests.
        options: The command line.
        write: Takes what is printed.
        producer: Makes of bytes what the agent sends; None for the usual.
    """
    wire = Wire(reactor, agent, options["timeout"], options.headers, options.addresses)
    if producer is not None:
        wire.producer = producer
    try:
        results = await _results(wire, options)
    except CannotCheck as error:
        _progress("")
        tell(str(error))
        return UNKNOWN
    _progress("")
    report = report_on(results, exchanges=wire.sent, now=time.time(), secrets=_secrets(options))
    body = printed(report, options["format"])
    write(body if body.endswith(b"\n") else body + b"\n")
    return status_of((each.level for each in report.findings), options["fail-on"])


async def _results(wire: Wire, options: CheckOptions) -> list[Result]:
    if options["hop"]:
        return await compare_ways(wire, options.addresses[0], options.addresses[1], _progress)
    if options["stream"] and is_probe(options.addresses[0]):
        probed = await watch_probe(wire, options.addresses[0], options["seconds"], _progress)
        return judged(PROBE_CHECKS, probed)
    if options["stream"]:
        watched = await watch(wire, options.addresses[0], options.call, options["seconds"], _progress)
        return judged(STREAM_CHECKS, watched)
    seen = await converse(wire, options.addresses[0], _progress)
    return judged((*SERVER_CHECKS, *SESSION_CHECKS, *MODERN_CHECKS, *METADATA_CHECKS), seen)


def _secrets(options: CheckOptions) -> set[str]:
    """Return what was given to be sent, and must not be printed."""
    values = {part for _, value in options.headers for part in (value, split_credentials(value)[1])}
    return {each for each in values if len(each) >= _SHORTEST_SECRET}


def _progress(what: str) -> None:
    """Say on a terminal what is done now, in place of what was said before."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what and f'checking {what} …'}", end="", file=sys.stderr, flush=True)
