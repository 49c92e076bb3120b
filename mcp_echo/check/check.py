"""What a check is, and how its outcomes become a report. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from mcp_echo.check.wire import HttpAnswer
from mcp_echo.protocol.texts import timestamp
from mcp_echo.redaction import excerpt, mask_known, one_line
from mcp_echo.watch.findings import MOST_EVIDENCE, Evidence, Finding, Report, RuleLink
from mcp_echo.watch.rules.pages import R2025_11_25, address
from mcp_echo.watch.rules.rule import LEVELS, Broken, Confidence, Held, Keyword, Level, Outcome

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a check asks of a server, or of the way to it."""

    id: str
    """In kebab-case."""
    level: Level
    title: str
    """What it asks for, in one sentence that fits every case."""
    advice: str
    """What to do next."""
    url: str
    """Where to read it."""
    keyword: Keyword = ""
    confidence: Confidence = "certain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Asked, Generic[T]):
    """One thing that is looked at."""

    judge: Callable[[T], Outcome | None]
    """Says what it finds; None where it does not apply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one check."""

    check: Asked
    outcome: Outcome | None


def judged(checks: Iterable[Check[T]], seen: T) -> list[Result]:
    """Return what came of some checks, in their order."""
    return [Result(check=each, outcome=each.judge(seen)) for each in checks]


def broken(answer: HttpAnswer, summary: str, found: str | None = None, wanted: str | None = None) -> Broken:
    """Return that something is not as it should be, which an answer shows."""
    return Broken(exchange=answer.number, summary=summary, found=found, wanted=wanted)


def held(answer: HttpAnswer) -> Held:
    """Return that something is as it should be, which an answer shows."""
    return Held(answer.number)


def refused(answer: HttpAnswer | None, what: str, status: int, code: int | None = None) -> Outcome | None:
    """Return whether something was refused as it should be.

    Args:
        answer: What was answered; None where it was not asked.
        what: What was sent, as the beginning of a sentence.
        status: The HTTP status that is wanted.
        code: The JSON-RPC error code that is wanted; None for any.
    """
    if answer is None or not answer.status:
        return None
    error = (answer.response or {}).get("error")
    found_code = error.get("code") if isinstance(error, dict) else None
    if answer.status == status and code in (None, found_code):
        return held(answer)
    found = str(answer.status) if code is None else f"{answer.status} with the code {found_code}"
    wanted = str(status) if code is None else f"{status} with the code {code}"
    return broken(answer, f"{what} was answered with {found}", found, wanted)


def transports(heading: str) -> str:
    """Return the address of a heading on the page about transports."""
    return address(R2025_11_25, f"basic/transports#{heading}")


def report_on(results: Sequence[Result], *, exchanges: int, now: float, secrets: Iterable[str]) -> Report:
    """Return what came of checks as everybody is shown it.

    Args:
        results: In the order that they are told in; several of one check are one finding for each subject.
        exchanges: How many requests were sent.
        now: Seconds since the epoch.
        secrets: What must not be shown.
    """
    hidden = list(secrets)
    groups: dict[tuple[str, str], list[tuple[Asked, Broken]]] = {}
    for each in results:
        if isinstance(each.outcome, Broken):
            key = each.check.id, each.outcome.subject
            groups.setdefault(key, []).append((each.check, each.outcome))
    findings = [_finding(group, timestamp(now), hidden) for group in groups.values()]
    findings.sort(key=lambda each: LEVELS.index(each.level))
    said = {each.id for each in findings}
    kept = {each.check.id: None for each in results if isinstance(each.outcome, Held)}
    held_rules = tuple(each for each in kept if each not in said)
    idle = {each.check.id for each in results} - said - set(held_rules)
    return Report(
        verdict=_verdict(findings, len(held_rules)),
        findings=tuple(findings),
        held=len(held_rules),
        held_rules=held_rules,
        not_applicable=len(idle),
        flows=(),
        exchanges=exchanges,
        dropped=0,
        unrecorded=0,
        about="server",
    )


def _finding(group: Sequence[tuple[Asked, Broken]], at: str, secrets: Sequence[str]) -> Finding:
    check, first = group[0]

    def shown(text: str | None) -> str | None:
        return None if text is None else one_line(excerpt(mask_known(text, secrets), 500))

    evidence = tuple(
        Evidence(exchange=each.exchange, found=shown(each.found), wanted=shown(each.wanted))
        for _, each in group[:MOST_EVIDENCE]
    )
    return Finding(
        id=check.id,
        level=check.level,
        confidence=check.confidence,
        summary=shown(first.summary) or "",
        advice=check.advice,
        rule=RuleLink(title=check.title, url=check.url, keyword=check.keyword or None),
        subject=first.subject,
        count=len(group),
        first=at,
        last=at,
        evidence=evidence,
    )


def _verdict(findings: Sequence[Finding], kept: int) -> str:
    """Return the first thing to know."""
    counts = {level: sum(each.level == level for each in findings) for level in LEVELS}
    if not counts["error"] and not counts["warning"]:
        return f"Nothing is wrong: {_counted(kept, 'check')} held."
    weighed = f"{_counted(counts['error'], 'error')}, {_counted(counts['warning'], 'warning')}"
    return f"Something is wrong: {findings[0].summary} ({weighed})"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
