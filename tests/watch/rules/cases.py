"""What breaks a rule about one exchange, what keeps it, and what it has nothing to say of."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule

SUBJECT = re.compile(r"header:(\d+)|absence:[\w-]+|query:[\w-]+|body:(?:/[\w_]+)*|path")


@dataclass(frozen=True)
class Case:
    """Exchanges of one rule.

    Args:
        broken: Those that break it, each with what the summary says of it.
        held: Those that keep it.
        silent: Those that it does not apply to.
    """

    broken: list[tuple[ExchangeRecord, str]]
    held: list[ExchangeRecord] = field(default_factory=list)
    silent: list[ExchangeRecord] = field(default_factory=list)


def outcome_of(rule: Rule, record: ExchangeRecord) -> Outcome | None:
    """Return what a rule says of an exchange, None too where it does not bind the client's revision."""
    assert rule.check is not None
    outcome = rule.check(record)
    if outcome is None or not rule.applies_to(outcome.revision or record.revision):
        return None
    assert outcome.exchange == record.number
    return outcome


def assert_case(rule: Rule, case: Case) -> None:
    """Assert that a rule says of each exchange what the case says."""
    assert case.broken
    assert case.held or case.silent
    for record, said in case.broken:
        outcome = outcome_of(rule, record)
        assert isinstance(outcome, Broken), said
        assert said in outcome.summary, outcome.summary
        assert_well_told(outcome, record)
    for record in case.held:
        assert isinstance(outcome_of(rule, record), Held), record
    for record in case.silent:
        assert outcome_of(rule, record) is None, record


def assert_well_told(outcome: Broken, record: ExchangeRecord) -> None:
    """Assert that a finding is a sentence without its full stop, about a line that is there."""
    assert " " in outcome.summary
    assert not outcome.summary.endswith(".")
    assert outcome.found != ""
    if outcome.subject.startswith("absence:"):
        assert outcome.found is None
    subject = SUBJECT.fullmatch(outcome.subject)
    assert subject is not None, outcome.subject
    if subject[1] is not None:
        assert int(subject[1]) < len(record.headers)
