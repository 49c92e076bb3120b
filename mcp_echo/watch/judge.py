"""Holds what passes to the rules: which were broken, which were held, which never applied. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from mcp_echo.protocol.texts import timestamp
from mcp_echo.watch.findings import MOST_EVIDENCE, ClientName, Evidence, Finding, RuleLink
from mcp_echo.watch.records import ExchangeRecord, Record
from mcp_echo.watch.rules.facts import was_told
from mcp_echo.watch.rules.memory import Remembered
from mcp_echo.watch.rules.rule import LEVELS, Broken, Held, Level, Outcome, Rule
from mcp_echo.watch.seen import Era

MOST_OCCURRENCES = 1000
"""Keys of occurrences that are told apart, for each rule."""


_OWN_DOING = frozenset({"call-abandoned"})
"""Rules about what has not come that hold whatever the client was answered."""

_OF_HEAD = ("header:", "query:", "path", "absence:")
"""What the subject of a breach begins with that shows in the head of one request."""


class _Tally:
    """What is known of one rule."""

    __slots__ = (
        "client",
        "count",
        "era",
        "evidence",
        "first",
        "held",
        "keys",
        "last",
        "latest",
        "level",
        "likely",
        "revision",
    )

    def __init__(self) -> None:
        self.held = 0
        """How often it was kept since it was last broken."""
        self.count = 0
        """How often it was broken."""
        self.first = self.last = 0.0
        self.latest: Broken | None = None
        self.level: Level | None = None
        """That of the occurrence that weighs most."""
        self.likely = True
        """Whether each occurrence shows in an exchange that may be of somebody else."""
        self.client: ClientName | None = None
        self.era: Era | None = None
        self.revision: str | None = None
        self.evidence: list[Evidence] = []
        self.keys: dict[str, None] = {}

    def is_new(self, broken: Broken) -> bool:
        """Return whether this is another occurrence than those before, and remember it."""
        if broken.key in self.keys:
            self.latest = broken
            return False
        if broken.key and len(self.keys) < MOST_OCCURRENCES:
            self.keys[broken.key] = None
        return True


class Judge:
    """Judges the records of one trace, in order.

    Args:
        rules: The table: id → rule.
        noticed: Told of occurrences: the rule, the number of the record that shows it, and how many.
    """

    def __init__(
        self,
        rules: Mapping[str, Rule],
        noticed: Callable[[Rule, int, int], object] = lambda _rule, _number, _times: None,
    ) -> None:
        self._rules = rules
        self._noticed = noticed
        self._tallies: dict[str, _Tally] = {}
        self._untold: Remembered[int, bool] = Remembered(MOST_OCCURRENCES)
        """Numbers of the exchanges whose answer a fault has kept from the client."""
        self._checks = [(rule, rule.check) for rule in rules.values() if rule.check is not None]
        self.forget()

    def see(self, record: Record) -> list[str]:
        """Judge a record; return the ids of the rules that it breaks."""
        broken: list[str] = []
        if isinstance(record, ExchangeRecord):
            if not was_told(record):
                self._untold.put(record.number, True)
            for rule, check in self._checks:
                outcome = check(record)
                if outcome is not None and self._count(rule, outcome, record.at, record):
                    broken.append(rule.id)
        for rule, state in self._states:
            broken += self._count_all(rule, state.see(record), record.at, record)
        return broken

    def broken_alone(self, record: ExchangeRecord) -> list[str]:
        """Return the ids of the rules about a single exchange that one breaks, without counting it."""
        outcomes = ((rule, check(record)) for rule, check in self._checks)
        return [
            rule.id
            for rule, outcome in outcomes
            if isinstance(outcome, Broken) and rule.applies_to(outcome.revision or record.revision)
        ]

    def forget(self) -> None:
        """Remember nothing of what has passed for the rules about several exchanges; what was found stays.

        After something that was not seen they would take what came then for what never came.
        """
        self._states = [(rule, rule.begin()) for rule in self._rules.values() if rule.begin is not None]

    def of_head(self, broken: Iterable[str]) -> tuple[str, ...]:
        """Return which of the rules that an exchange breaks every other one with its head breaks too."""
        latest = {rule_id: self._tallies[rule_id].latest for rule_id in broken}
        return tuple(
            rule_id
            for rule_id, found in latest.items()
            if self._rules[rule_id].check is not None
            and found is not None
            and not found.key
            and found.subject.startswith(_OF_HEAD)
        )

    def again(self, broken: Iterable[str], times: int, at: float) -> None:
        """Count rules that exchanges break which are not recorded; see `of_head`.

        Args:
            broken: Their ids.
            times: How many exchanges.
            at: When the last of them came; seconds of the wall clock.
        """
        for rule_id in broken:
            tally = self._tallies[rule_id]
            tally.count += times
            tally.held = 0
            tally.last = max(tally.last, at)
            number = 0 if tally.latest is None else tally.latest.exchange
            self._noticed(self._rules[rule_id], number, times)

    def due(self, now: float) -> list[str]:
        """Judge what has not come by its deadline; return the ids of the rules that this breaks.

        Args:
            now: Seconds of the wall clock.
        """
        broken: list[str] = []
        for rule, state in self._states:
            broken += self._count_all(rule, state.due(now), now, None)
        return broken

    @property
    def held(self) -> int:
        """How many rules were kept whenever they applied."""
        return len(self.held_rules)

    @property
    def held_rules(self) -> tuple[str, ...]:
        """The ids of the rules that were kept whenever they applied."""
        return tuple(rule for rule, tally in self._tallies.items() if not tally.count and tally.held > 0)

    @property
    def not_applicable(self) -> int:
        """To how many rules nothing applied."""
        return len(self._rules) - len(self._tallies)

    def findings(self) -> tuple[Finding, ...]:
        """Return what was broken, errors first, then by when it was seen first."""
        found = [
            _finding(self._rules[rule_id], tally)
            for rule_id, tally in self._tallies.items()
            if tally.latest is not None
        ]
        return tuple(sorted(found, key=lambda finding: (LEVELS.index(finding.level), finding.first)))

    def _count_all(
        self, rule: Rule, outcomes: Iterable[Outcome], at: float, record: Record | None
    ) -> list[str]:
        return [rule.id for outcome in outcomes if self._count(rule, outcome, at, record)]

    def _may_not_know(self, rule: Rule, outcome: Outcome) -> bool:
        """Return whether nothing came of an answer that a fault has kept from the client."""
        is_absence = rule.confidence == "likely" and rule.id not in _OWN_DOING
        return is_absence and isinstance(outcome, Broken) and outcome.exchange in self._untold

    def _count(self, rule: Rule, outcome: Outcome, at: float, record: Record | None) -> bool:
        """Count an outcome; return whether it is a new occurrence of a broken rule."""
        exchange = record if isinstance(record, ExchangeRecord) else None
        revision = outcome.revision or (None if exchange is None else exchange.revision)
        if not rule.applies_to(revision) or self._may_not_know(rule, outcome):
            return False
        tally = self._tallies.get(rule.id)
        if tally is None:
            tally = self._tallies[rule.id] = _Tally()
        if isinstance(outcome, Held):
            tally.held += 1
            return False
        if not tally.is_new(outcome):
            return False
        _note(tally, outcome, outcome.at or at, rule.level)
        if exchange is not None:
            tally.era, tally.client = exchange.era, _client(exchange)
        tally.likely = tally.likely and exchange is not None and exchange.joined is not None
        if outcome.client is not None:
            tally.client = ClientName(outcome.client)
        tally.revision = revision
        self._noticed(rule, outcome.exchange, 1)
        return True


def _note(tally: _Tally, broken: Broken, at: float, most: Level) -> None:
    tally.level = min(tally.level or LEVELS[-1], broken.level or most, key=LEVELS.index)
    tally.count += 1
    tally.held = 0
    tally.first = tally.first or at
    tally.last = at
    tally.latest = broken
    if len(tally.evidence) < MOST_EVIDENCE:
        tally.evidence.append(
            Evidence(
                exchange=broken.exchange,
                found=broken.found,
                wanted=broken.wanted,
                differs_in=broken.differs_in,
            )
        )


def _client(exchange: ExchangeRecord) -> ClientName | None:
    if exchange.client is None and exchange.client_version is None:
        return None
    return ClientName(exchange.client, exchange.client_version)


def _finding(rule: Rule, tally: _Tally) -> Finding:
    latest = tally.latest or Broken(exchange=0, summary="")
    return Finding(
        id=rule.id,
        level=tally.level or rule.level,
        confidence="likely" if tally.likely else rule.confidence,
        summary=latest.summary,
        advice=rule.advice,
        rule=RuleLink(
            title=rule.title,
            url=rule.link(tally.revision),
            keyword=rule.keyword or None,
            conformance=rule.conformance,
        ),
        subject=latest.subject,
        count=tally.count,
        first=timestamp(tally.first),
        last=timestamp(tally.last),
        evidence=tuple(tally.evidence),
        client=tally.client,
        era=tally.era,
        revision=tally.revision,
        resolved=tally.held > 0,
    )
