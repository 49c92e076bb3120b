"""The table of rules: whole, well told, true to the specification, and just to who keeps to it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from mcp_echo.watch.judge import Judge
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.facts import VERSION
from mcp_echo.watch.rules.rule import Broken, Held, Rule
from mcp_echo.watch.rules.table import RULES, by_id
from tests.watch.rules import (
    test_cors,
    test_credentials,
    test_hops,
    test_http,
    test_lifecycle,
    test_modern,
    test_over_time,
    test_sessions,
    test_streams,
    test_use,
)
from tests.watch.rules.building import LEGACY, MODERN, REVISIONS, exchange
from tests.watch.rules.cases import outcome_of

DATA = Path(__file__).parents[1]
HEADINGS = json.loads((DATA / "specification_headings.json").read_text())
CHECKS = frozenset(json.loads((DATA / "conformance_checks.json").read_text()))
"""The checks of clients in modelcontextprotocol/conformance at c321dd3, 0.2.0-alpha.11."""
SITE = "https://modelcontextprotocol.io/specification/"

TRIED = {
    *test_http.CASES,
    *test_credentials.CASES,
    *test_hops.CASES,
    *test_cors.CASES,
    *test_lifecycle.CASES,
    *test_sessions.CASES,
    *test_streams.CASES,
    *test_modern.CASES,
    *test_use.CASES,
    *test_over_time.CASES,
}
"""The rules that the tests have something for which breaks them, and something which does not."""

each_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def test_each_rule_is_tried() -> None:
    """Our choice: a rule that nothing was ever seen to break, or to keep, may say anything."""
    assert set(RULES) == TRIED


def test_no_id_is_given_twice() -> None:
    """Our choice: an id names one rule for ever; tools and people keep them."""
    rule = next(iter(RULES.values()))
    with pytest.raises(ValueError, match=f"two rules are called {rule.id}"):
        by_id(rule, rule)


def test_a_rule_is_about_one_exchange_or_about_several() -> None:
    """Our choice: what has no way to be held is never found, and says nothing of it."""
    with pytest.raises(ValueError, match="nothing needs check or begin"):
        by_id(Rule(id="nothing", level="info", title="", advice=""))


@each_rule
def test_a_rule_is_told_in_sentences(rule: Rule) -> None:
    """Our choice: what it asks for, and what to do next."""
    assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", rule.id)
    for text in (rule.title, rule.advice):
        assert text.endswith(".")
        assert "  " not in text
    assert "\n" not in rule.title
    # A MUST or a SHOULD is somebody's.
    assert not rule.keyword or rule.pages or rule.url


def places(rule: Rule) -> Iterator[tuple[str, str, str]]:
    """Yield each place that a rule is from: revision, page, heading."""
    links = [link for revision in rule.pages or () if (link := rule.link(revision))]
    links += [rule.url] if rule.url and rule.url.startswith(SITE) else []
    for link in links:
        revision, _, place = link.removeprefix(SITE).partition("/")
        page, _, heading = place.partition("#")
        yield revision, page, heading


@each_rule
def test_a_rule_leads_to_a_heading_that_is_there(rule: Rule) -> None:
    """The specification's own headings, kept as data: pages and headings moved between the revisions."""
    for revision, page, heading in places(rule):
        assert heading in HEADINGS[revision].get(page, ()), f"{revision}: {page} has no heading {heading}"


@each_rule
def test_a_rule_names_a_check_that_the_official_suite_has(rule: Rule) -> None:
    """Our choice: whoever knows the suite finds the same rule here."""
    assert rule.conformance is None or rule.conformance in CHECKS


def test_the_headings_are_of_each_revision_that_is_spoken() -> None:
    """The test above must be able to fail for each of them."""
    assert set(REVISIONS) <= set(HEADINGS)
    assert all(len(pages) > 15 for pages in HEADINGS.values())


@each_rule
def test_what_is_said_in_the_era_before_binds_nobody_in_the_next(rule: Rule) -> None:
    """Our choice: a place of a revision is in the pages of that revision, or the rule binds all."""
    assert set(rule.pages or ()) <= set(REVISIONS)


# Whoever keeps to the specification.

LIFE = {
    "initialize": {},
    "notifications/initialized": {"status": 202},
    "tools/list": {},
    "tools/call": {},
    "prompts/get": {},
    "resources/read": {},
    "ping": {},
    "resources/subscribe": {},
    "logging/setLevel": {},
}
MODERN_LIFE = ("server/discover", "tools/list", "tools/call", "resources/read", "subscriptions/listen")


def life(revision: str) -> Iterator[ExchangeRecord]:
    """Yield what a well-behaved client of a revision sends, from the first to the last."""
    if REVISIONS[revision].stateless:
        yield from (exchange(method, revision) for method in MODERN_LIFE)
        yield exchange("tools/call", revision, {"Mcp-Name": "=?base64?ZWNobw==?="})
        return
    yield from (exchange(method, revision, **facts) for method, facts in LIFE.items())
    yield exchange(None, revision, http_method="GET", streamed=True)
    yield exchange(None, revision, {"Last-Event-ID": "g1-3"}, http_method="GET", streamed=True)
    yield exchange(message={"kind": "response", "method": None, "outcome": 202}, revision=revision)
    yield exchange(None, revision, http_method="DELETE", status=204)


@pytest.mark.parametrize("revision", REVISIONS)
def test_whoever_keeps_to_the_specification_breaks_no_rule(revision: str) -> None:
    """Our choice: no rule accuses a correct client, of whichever revision."""
    for record in life(revision):
        found = {
            rule.id
            for rule in RULES.values()
            if rule.check is not None and isinstance(outcome_of(rule, record), Broken)
        }
        assert found == set(), record


@pytest.mark.parametrize("revision", REVISIONS)
def test_rules_that_were_kept_are_counted_for_each_revision(revision: str) -> None:
    """Our choice: held is a result too, and what applies to nobody would accuse nobody either."""
    kept = {
        rule.id
        for record in life(revision)
        for rule in RULES.values()
        if rule.check is not None and isinstance(outcome_of(rule, record), Held)
    }
    assert {"content-type-wrong", "id-null", "header-repeated"} <= kept
    assert ("method-header" in kept) is (revision == MODERN)
    assert ("version-header-differs" in kept) is (revision in ("2025-06-18", LEGACY))


def judged(revision: str) -> Judge:
    """Return who has judged, request by request, a client that sends no version header."""
    judge = Judge({rule.id: rule for rule in RULES.values() if rule.check is not None})
    for record in life(revision):
        judge.see(replace(record, headers=tuple(line for line in record.headers if line[0] != VERSION)))
    return judge


def test_a_client_of_a_revision_without_a_version_header_needs_none() -> None:
    """2025-03-26 basic/transports: no such heading."""
    judge = judged("2025-03-26")
    assert judge.findings() == ()
    assert judge.held > 15


@pytest.mark.parametrize("revision", ["2025-06-18", LEGACY])
def test_a_client_that_leaves_it_out_has_one_finding_with_the_link_that_binds_it(revision: str) -> None:
    """2025-06-18 basic/transports, Protocol Version Header: all requests after ``initialize``."""
    (finding,) = judged(revision).findings()
    assert finding.id == "version-header-missing"
    assert finding.count == len(list(life(revision))) - 1
    assert finding.rule.url == f"{SITE}{revision}/basic/transports#protocol-version-header"
    assert finding.rule.keyword == "MUST"
