"""Every rule about several records: what breaks it, what keeps it, and that it never forgets itself."""

from __future__ import annotations

import pytest

from tests.watch.rules import (
    lifecycle_stories,
    modern_stories,
    oauth_fault_stories,
    oauth_stories,
    oauth_token_stories,
    sessions_stories,
    stream_probes_stories,
    streams_stories,
    use_stories,
)
from tests.watch.rules.oauth_story import BASE, RESOURCE, OauthStory
from tests.watch.rules.over_time import RULES, Case, is_held, judged

CASES: dict[str, Case] = {
    **lifecycle_stories.CASES,
    **sessions_stories.CASES,
    **streams_stories.CASES,
    **stream_probes_stories.CASES,
    **modern_stories.CASES,
    **use_stories.CASES,
    **oauth_stories.CASES,
    **oauth_token_stories.CASES,
    **oauth_fault_stories.CASES,
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


def test_a_finding_weighs_as_much_as_its_worst_occurrence() -> None:
    """Our choice: a slash at the end of a resource is overlooked by many servers, another path by none."""
    rule, slash = RULES["resource-differs"], (f"{RESOURCE}/",)
    mild = oauth_stories.asked(resource=slash)
    assert [finding.level for finding in judged(rule, mild)] == ["warning"]
    assert [finding.level for finding in judged(rule, mild.token(resource=(BASE,)))] == ["error"]
    assert [finding.level for finding in judged(rule, mild.refresh(resource=slash))] == ["error"]


def test_a_token_that_comes_late_resolves_the_finding_which_stays() -> None:
    """Our choice: who looks later sees that it was late, and that it is there."""
    told = OauthStory().granted().wait(30)
    (finding,) = judged(RULES["token-never-used"], told)
    assert (finding.confidence, finding.resolved) == ("likely", False)
    assert finding.first == "2027-01-15T08:00:35.002Z"
    (finding,) = judged(RULES["token-never-used"], told.use())
    assert (finding.count, finding.resolved) == (1, True)
