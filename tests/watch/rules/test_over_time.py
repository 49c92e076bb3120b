"""Every rule about several records: what breaks it, what keeps it, and that it never forgets itself."""

from __future__ import annotations

import pytest

from tests.watch.rules import (
    lifecycle_stories,
    modern_stories,
    sessions_stories,
    streams_stories,
    use_stories,
)
from tests.watch.rules.over_time import RULES, Case, is_held, judged

CASES: dict[str, Case] = {
    **lifecycle_stories.CASES,
    **sessions_stories.CASES,
    **streams_stories.CASES,
    **modern_stories.CASES,
    **use_stories.CASES,
}


def test_every_rule_has_stories_that_break_it_and_that_keep_it() -> None:
    """Our choice: a rule that nobody has seen fire, or keep silent, is none."""
    assert CASES.keys() == RULES.keys()
    assert [name for name, case in CASES.items() if not case.broken or not case.kept] == []


@pytest.mark.parametrize("name", CASES)
def test_what_breaks_a_rule_is_found_and_said(name: str) -> None:
    """Source: the row of each rule names the text that binds."""
    for story, said in CASES[name].broken:
        findings = judged(RULES[name], story)
        assert [finding.id for finding in findings] == [name], said
        assert said in findings[0].summary, findings[0].summary
        assert not findings[0].summary.endswith(".")
        assert findings[0].count == 1, findings[0]


@pytest.mark.parametrize("name", CASES)
def test_what_keeps_a_rule_is_not_found(name: str) -> None:
    """Our choice: no rule accuses a client that is right, or of which that is not known."""
    for place, story in enumerate(CASES[name].kept):
        findings = judged(RULES[name], story)
        assert findings == (), (place, [finding.summary for finding in findings])


@pytest.mark.parametrize("name", CASES)
def test_a_breach_is_dated_within_the_story(name: str) -> None:
    """Our choice: what did not come is dated by its deadline, not by when somebody asked."""
    for story, said in CASES[name].broken:
        early, late = judged(RULES[name], story), judged(RULES[name], story.wait(1000))
        assert [finding.first for finding in early] == [finding.first for finding in late], said


@pytest.mark.parametrize("name", CASES)
def test_what_keeps_a_rule_is_told(name: str) -> None:
    """Our choice: which rules were kept is a result as well as which were not."""
    assert any(is_held(RULES[name], story) for story in CASES[name].kept)
