"""What a gateway does to answers. No I/O."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from mcp_echo.check.check import Asked, Result
from mcp_echo.check.wire import HttpAnswer
from mcp_echo.watch.header_changes import HeaderChange, header_changes
from mcp_echo.watch.masking import Masker
from mcp_echo.watch.rules.pages import rfc
from mcp_echo.watch.rules.rule import Broken, Held, Level

_PROTOCOL = frozenset({"allow", "content-type", "retry-after", "www-authenticate"})
"""Answer headers that MCP cannot do without, beside those of sessions, revisions and CORS."""

_BEGINNINGS = ("mcp-", "access-control-")

_OF_THE_MOMENT = frozenset({"age", "date"})

_ADVICE = {
    "dropped": "Have the gateway pass it on as it came.",
    "added": "See that this is meant.",
    "repeated": "Have the gateway set the header instead of adding one more.",
    "changed": "Have the gateway pass it on as it came.",
}


def compare_answers(
    direct: Mapping[str, HttpAnswer], via: Mapping[str, HttpAnswer], again: Mapping[str, HttpAnswer]
) -> list[Result]:
    """Return what differs in the answers that came through a gateway.

    Args:
        direct: Name of a step → what was answered directly.
        via: What was answered through the gateway; steps may be missing.
        again: What was answered directly once more: what differs there differs by itself.
    """
    masker = Masker(os.urandom(32))
    results: list[Result] = []
    for step, behind in via.items():
        results += _differences(step, direct[step], behind, again[step], masker)
    if results:
        return results
    unchanged = _check("hop-answers", "error", "Nothing needs to be done.")
    return [Result(check=unchanged, outcome=Held(next(iter(via.values())).number))]


def _differences(
    step: str, before: HttpAnswer, behind: HttpAnswer, again: HttpAnswer, masker: Masker
) -> Iterator[Result]:
    if before.status and not behind.status:
        summary = f"{step} is not answered through the gateway: {behind.error}"
        yield _told(
            "hop-answer-lost", "error", _SLOW, behind, summary, step, behind.error, str(before.status)
        )
        return
    if before.status != behind.status:
        summary = (
            f"{step} is answered with {behind.status} through the gateway, and directly with {before.status}"
        )
        found, wanted = str(behind.status), str(before.status)
        yield _told("hop-answer-status", "error", _STATUS, behind, summary, step, found, wanted)
        return
    varies = {each.name.lower() for each in header_changes(before.headers, again.headers)} | _OF_THE_MOMENT
    for change in header_changes(before.headers, behind.headers):
        if change.kind != "changed" or change.name.lower() not in varies:
            yield _header(change, behind, masker)
    if before.messages == again.messages and before.messages != behind.messages:
        summary = f"The body of the answer to {step} is another one through the gateway"
        yield _told("hop-answer-body", "warning", _BODY, behind, summary, step, None, None)


_SLOW = "See whether the gateway waits for the end of an answer: an event stream has none for a long time."
_STATUS = "See the gateway's log: it answers by itself, or changes what it asks the server."
_BODY = "Have the gateway pass bodies on as they came."


def _header(change: HeaderChange, behind: HttpAnswer, masker: Masker) -> Result:
    name = change.name.lower()
    is_needed = name in _PROTOCOL or name.startswith(_BEGINNINGS)
    said = {
        "dropped": f"{change.name} of the answer is lost on the way",
        "added": f"{change.name} of the answer appears on the way",
        "repeated": f"{change.name} of the answer comes more than once behind the way",
        "changed": f"{change.name} of the answer changes on the way",
    }[change.kind]
    found, wanted = (
        None if each is None else masker.header(change.name, each) for each in (change.behind, change.before)
    )
    level: Level = "error" if is_needed else "info"
    rule, subject = f"hop-answer-header-{change.kind}", f"header:{change.name}"
    return _told(rule, level, _ADVICE[change.kind], behind, said, subject, found, wanted)


def _told(
    rule: str,
    level: Level,
    advice: str,
    answer: HttpAnswer,
    summary: str,
    subject: str,
    found: str | None,
    wanted: str | None,
) -> Result:
    outcome = Broken(exchange=answer.number, summary=summary, subject=subject, found=found, wanted=wanted)
    return Result(check=_check(rule, level, advice), outcome=outcome)


def _check(rule: str, level: Level, advice: str) -> Asked:
    return Asked(
        id=rule,
        level=level,
        title="A gateway passes answers on as they came.",
        advice=advice,
        url=rfc(9110, "7.6"),
    )
