"""Compares the way through a gateway with the direct one: what is answered, and what arrives.

The same requests go to the server directly, through the gateway, and directly once more: what differs between
the two direct answers differs by itself, and is not blamed on the way. Where the server is mcp-echo each way
has a trace of its own, and what arrived is compared as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from mcp_echo.check.asking import SESSION, Asking
from mcp_echo.check.check import Asked, Result, broken
from mcp_echo.check.conversation import Progress
from mcp_echo.check.hop_answers import compare_answers
from mcp_echo.check.wire import CannotCheck, HttpAnswer, Wire
from mcp_echo.watch.compare import LABEL
from mcp_echo.watch.comparison import Comparison, Difference
from mcp_echo.watch.rules.pages import rfc
from mcp_echo.watch.rules.rule import Broken, Held

_ENDPOINT = "/mcp"

_NEEDED = 3
"""Traces: one for each time that is asked."""

Answers = dict[str, HttpAnswer]
"""Name of a step → what was answered."""


@dataclass(frozen=True, slots=True)
class _Ways:
    """Where the requests go."""

    direct: str
    via: str
    again: str
    traces: tuple[str, ...] = ()
    """The ids of the traces of these addresses, if they have some."""


async def compare_ways(wire: Wire, direct: str, via: str, tell: Progress) -> list[Result]:
    """Return what the way does.

    Args:
        wire: Sends requests.
        direct: The address of the server.
        via: The address of the same server through the gateway.
        tell: Is told what is asked now.

    Raises:
        CannotCheck: One of them cannot be reached.
    """
    ways = await _ways(wire, direct, via)
    try:
        tell("the direct way")
        before = await _ask(wire, ways.direct)
        tell("the way through the gateway")
        behind = await _ask(wire, ways.via, has_session=_has_session(before))
        tell("the direct way once more")
        again = await _ask(wire, ways.again)
        results = compare_answers(before, behind, again)
        arrived = await _arrived(wire, direct, ways)
    finally:
        for trace in ways.traces:
            await wire.send("DELETE", f"{_base(direct)}/t/{trace}/", _JSON)
    return [*results, *arrived]


_JSON = (("Content-Type", "application/json"),)


async def _ways(wire: Wire, direct: str, via: str) -> _Ways:
    """Return where to send to: to traces, where the server makes some and the gateway leads to them."""
    traces: tuple[str, ...] = ()
    if direct.endswith(_ENDPOINT) and via.endswith(_ENDPOINT):
        traces = await _made(wire, _base(direct))
    if len(traces) < _NEEDED:
        return _Ways(direct, via, direct, traces)
    here = [f"{_base(direct)}/t/{trace}{_ENDPOINT}" for trace in traces]
    through = f"{_base(via)}/t/{traces[1]}{_ENDPOINT}"
    await Asking(wire, through).ask("ping")
    seen = await wire.send("GET", f"{_base(direct)}/t/{traces[1]}/exchanges")
    if not (seen.document or {}).get("exchanges"):
        return _Ways(direct, via, direct, traces)
    return _Ways(here[0], through, here[2], traces)


async def _made(wire: Wire, base: str) -> tuple[str, ...]:
    """Return the ids of traces that were made; fewer than needed where the server makes none, or no more."""
    made: list[str] = []
    for _ in range(_NEEDED):
        answer = await wire.send("POST", f"{base}/t", _JSON, b'{"label":"mcp-echo check"}')
        trace = (answer.document or {}).get("trace")
        if answer.status != 201 or not isinstance(trace, str):
            break
        made.append(trace)
    return tuple(made)


def _base(url: str) -> str:
    return url.removesuffix(_ENDPOINT)


async def _ask(wire: Wire, url: str, *, has_session: bool = False) -> Answers:
    """Ask the same on each of the ways, with a number in each request.

    Args:
        wire: Sends requests.
        url: Where to.
        has_session: Whether the server makes sessions. Where none comes through, the requests within one are
            left out: they would lack what the way has dropped before.
    """
    asking = Asking(wire, url)
    found = {"initialize": await asking.initialize(_label(1))}
    first = found["initialize"]
    if not first.status:
        raise CannotCheck(first.error or "nothing was answered")
    found["server/discover"] = await asking.ask_modern("server/discover", _label(2))
    if asking.session is not None or not has_session:
        found["notifications/initialized"] = await asking.notify("notifications/initialized", _label(3))
        found["ping"] = await asking.ask("ping", None, _label(4))
        found["tools/list"] = await asking.ask("tools/list", None, _label(5))
        found["GET"] = await asking.listen(_label(6))
        found["DELETE"] = await asking.delete(_label(7))
    return found


def _has_session(answers: Answers) -> bool:
    return answers["initialize"].value(SESSION) is not None


def _label(number: int) -> tuple[str, str]:
    return LABEL, str(number)


# What arrived.


async def _arrived(wire: Wire, direct: str, ways: _Ways) -> list[Result]:
    """Return what the way does to requests, as the traces show it; nothing where there are none."""
    if ways.direct == direct:
        unseen = Result(check=UNSEEN, outcome=Broken(exchange=wire.sent, summary=_NO_WAY))
        return [unseen] if ways.traces else []
    address = f"{_base(direct)}/t/{ways.traces[0]}/compare?with={ways.traces[1]}"
    answer = await wire.send("GET", address)
    try:
        comparison = msgspec.json.decode(answer.body, type=Comparison)
    except msgspec.MsgspecError:
        outcome = broken(answer, f"The traces were not compared: {answer.status}")
        return [Result(check=UNSEEN, outcome=outcome)]
    if not comparison.differences:
        return [Result(check=UNCHANGED, outcome=Held(answer.number))]
    return [_told(each) for each in comparison.differences for _ in range(each.count)]


_NO_WAY = "The gateway does not lead to /t/, so that only answers were compared"

UNCHANGED = Asked(
    id="hop-requests",
    level="error",
    title="A gateway passes requests on as they came.",
    advice="Nothing needs to be done.",
    url=rfc(9110, "7.6"),
)

UNSEEN = Asked(
    id="hop-requests-unseen",
    level="info",
    title="What arrives can be compared where the gateway leads to the traces of mcp-echo.",
    advice="Have the gateway lead to /t/ as it does to /mcp, and check again.",
    url=rfc(9110, "7.6"),
)


def _told(difference: Difference) -> Result:
    check = Asked(
        id=difference.id,
        level=difference.level,
        title="A gateway passes requests on as they came.",
        advice=difference.advice,
        url=difference.url,
    )
    shown = difference.evidence[0]
    outcome = Broken(
        exchange=shown.via,
        summary=difference.summary,
        subject=difference.subject,
        found=shown.found,
        wanted=shown.wanted,
    )
    return Result(check=check, outcome=outcome)
