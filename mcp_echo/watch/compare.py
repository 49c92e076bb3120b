"""What a gateway does to requests: one trace was reached directly, the other one through it. No I/O.

Both clients send the same requests, if they can with a number in ``X-MCP-Echo-Probe``. The records are masked
with one key, so that equal secrets look equal in both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from mcp_echo.watch.comparison import Comparison, Difference, HopRule, Occurrence, Pair
from mcp_echo.watch.header_changes import ChangeKind, Fields, header_changes, order_change
from mcp_echo.watch.records import ExchangeRecord, Record
from mcp_echo.watch.rules.pages import rfc
from mcp_echo.watch.rules.rule import LEVELS, Level

LABEL = "X-MCP-Echo-Probe"
"""The header that says which requests of two traces belong together."""

MOST_DIFFERENCES = 200
"""Differences that a comparison names, summed over all requests."""

MOST_PAIRS = 100
"""Pairs of exchanges that a comparison shows one by one."""

MOST_EVIDENCE = 3
"""Pairs that are shown with a difference."""

_RULES: dict[ChangeKind, HopRule] = {
    "dropped": "hop-header-dropped",
    "added": "hop-header-added",
    "repeated": "hop-header-repeated",
    "changed": "hop-header-changed",
}

_ADVICE: dict[HopRule, str] = {
    "hop-header-dropped": "Have the gateway pass it on as it came.",
    "hop-header-added": "See that this is meant: what a gateway adds, clients must not be able to send.",
    "hop-header-repeated": "Have the gateway set the header instead of adding one more.",
    "hop-header-changed": "Have the gateway pass it on as it came.",
    "hop-order": "Nothing needs to be done: order and spelling of names mean nothing.",
    "hop-path-changed": "See that the rewriting is meant: addresses that the server names have the old path.",
    "hop-query-changed": "Have the gateway pass the query on as it came.",
    "hop-version": "Have the gateway speak HTTP/1.1 to the server (nginx: proxy_http_version 1.1).",
    "hop-body-changed": "Have the gateway pass bodies on as they came, or send the same body both times.",
}

_PROTOCOL = frozenset({"accept", "authorization", "content-type", "last-event-id", "origin"})
"""Request headers that MCP cannot do without, beside all that begin with ``mcp-``."""

_OF_A_SESSION = frozenset({"mcp-session-id", "last-event-id"})
"""Headers whose values are of one trace, so that only their presence can be compared."""


class _Change(msgspec.Struct, frozen=True):
    """One difference in one pair."""

    id: HopRule
    level: Level
    subject: str
    summary: str
    wanted: str | None
    found: str | None

    @property
    def key(self) -> str:
        return f"{self.id} {self.subject}"


Matched = tuple[str | None, ExchangeRecord, ExchangeRecord]
"""The label, if any; the exchange that came directly; the one that came through the gateway."""


def compare(direct: Iterable[Record], via: Iterable[Record]) -> Comparison:
    """Return what a gateway changes in requests.

    Args:
        direct: The records of the trace that was reached directly.
        via: The records of the trace that was reached through the gateway.
    """
    here, there = _exchanges(direct), _exchanges(via)
    matched = sorted(_matched(here, there), key=lambda each: each[1].number)
    changes = [list(_changes(before, behind)) for _, before, behind in matched]
    found = _summed(matched, changes)
    return Comparison(
        verdict=_verdict(len(matched), found),
        compared=len(matched),
        differences=tuple(found[:MOST_DIFFERENCES]),
        cut=len(found[MOST_DIFFERENCES:]),
        pairs=_pairs(matched, changes, found[:MOST_DIFFERENCES]),
        only_direct=_alone(here, {before.number for _, before, _ in matched}),
        only_via=_alone(there, {behind.number for _, _, behind in matched}),
    )


def _exchanges(records: Iterable[Record]) -> list[ExchangeRecord]:
    return [each for each in records if isinstance(each, ExchangeRecord)]


def _alone(exchanges: Iterable[ExchangeRecord], matched: set[int]) -> tuple[int, ...]:
    return tuple(each.number for each in exchanges if each.number not in matched)


def _pairs(
    matched: Sequence[Matched], changes: Sequence[Sequence[_Change]], shown: Sequence[Difference]
) -> tuple[Pair, ...]:
    """Return the first pairs, with those of their differences that are shown."""
    named = {f"{each.id} {each.subject}" for each in shown}
    return tuple(
        Pair(
            direct=before.number,
            via=behind.number,
            label=label,
            differences=tuple(each.key for each in of_pair if each.key in named),
        )
        for (label, before, behind), of_pair in zip(matched[:MOST_PAIRS], changes[:MOST_PAIRS], strict=True)
    )


# Which exchanges belong together.


def _matched(direct: Sequence[ExchangeRecord], via: Sequence[ExchangeRecord]) -> list[Matched]:
    """Return the exchanges with the same label, then what is left, in order, by method.

    Where labels came through, one without a counterpart has none.
    """
    found = list(_by_label(direct, via))
    here = {before.number for _, before, _ in found}
    there = {behind.number for _, _, behind in found}
    left = [each for each in direct if each.number not in here and not (found and _label(each))]
    return [*found, *_in_order(left, [each for each in via if each.number not in there])]


def _by_label(direct: Sequence[ExchangeRecord], via: Sequence[ExchangeRecord]) -> Iterator[Matched]:
    """Yield the exchanges with the same label, the first with the first."""
    others = {label: each for each in reversed(via) if (label := _label(each)) is not None}
    for each in direct:
        label = _label(each)
        if label in others:
            yield label, each, others.pop(label)


def _in_order(direct: Sequence[ExchangeRecord], via: Sequence[ExchangeRecord]) -> Iterator[Matched]:
    """Yield the exchanges of the same method, the first with the first."""
    waiting: dict[str, deque[ExchangeRecord]] = {}
    for each in via:
        waiting.setdefault(_kind(each), deque()).append(each)
    for each in direct:
        if others := waiting.get(_kind(each)):
            yield None, each, others.popleft()


def _label(x: ExchangeRecord) -> str | None:
    return next(iter(x.values(LABEL)), None)


def _kind(x: ExchangeRecord) -> str:
    return " ".join([x.http_method, *(f"{each.kind} {each.method} {each.name}" for each in x.messages)])


# What is different.


def _changes(direct: ExchangeRecord, via: ExchangeRecord) -> Iterator[_Change]:
    yield from _of_headers(direct, via)
    order = order_change(direct.headers, via.headers)
    if order is not None:
        summary = f"The {order} of header names changes on the way"
        yield _Change("hop-order", "info", "headers", summary, _names(direct.headers), _names(via.headers))
    if direct.path != via.path:
        yield _changed("hop-path-changed", "path", "The path", direct.path, via.path)
    if direct.query != via.query:
        yield _changed("hop-query-changed", "query", "The query", _query(direct), _query(via))
    if direct.http_version != via.http_version:
        yield _changed(
            "hop-version", "version", "The version of HTTP", direct.http_version, via.http_version, "info"
        )
    # A request that is refused for its head has a body that nobody has read.
    if None not in (direct.body_hash, via.body_hash) and direct.body_hash != via.body_hash:
        before, behind = (f"{each.body_bytes} bytes, #{each.body_hash}" for each in (direct, via))
        yield _changed("hop-body-changed", "body", "The body", before, behind)


def _changed(
    rule: HopRule, subject: str, what: str, direct: str, via: str, level: Level = "warning"
) -> _Change:
    return _Change(rule, level, subject, f"{what} changes on the way, from {direct} to {via}", direct, via)


def _of_headers(direct: ExchangeRecord, via: ExchangeRecord) -> Iterator[_Change]:
    for change in header_changes(direct.headers, via.headers):
        name = change.name.lower()
        if change.kind == "changed" and name in _OF_A_SESSION and direct.known == via.known:
            continue
        said = {
            "dropped": f"{change.name} is lost on the way",
            "added": f"{change.name} appears on the way",
            "repeated": f"{change.name} comes more than once behind the way",
            "changed": f"{change.name} changes on the way, from {change.before} to {change.behind}",
        }
        yield _Change(
            _RULES[change.kind],
            _level(change.kind, name),
            f"header:{change.name}",
            said[change.kind],
            change.before,
            change.behind,
        )


def _level(kind: ChangeKind, name: str) -> Level:
    """Return how much a change weighs: a gateway may set credentials of its own, and many are meant to."""
    if name == "authorization" and kind == "added":
        return "info"
    return "error" if name in _PROTOCOL or name.startswith("mcp-") else "info"


def _names(fields: Fields) -> str:
    return ", ".join(name for name, _ in fields)


def _query(x: ExchangeRecord) -> str:
    return "&".join(f"{name}={value}" for name, value in x.query)


# All of it in one.


def _summed(matched: Sequence[Matched], changes: Sequence[Sequence[_Change]]) -> list[Difference]:
    """Return each difference once, the ones that weigh most first, then those seen first."""
    found: dict[str, list[tuple[_Change, Occurrence]]] = {}
    for (_, before, behind), of_pair in zip(matched, changes, strict=True):
        for each in of_pair:
            shown = Occurrence(direct=before.number, via=behind.number, found=each.found, wanted=each.wanted)
            found.setdefault(each.key, []).append((each, shown))
    differences = [_difference(occurrences) for occurrences in found.values()]
    return sorted(differences, key=lambda each: LEVELS.index(each.level))


def _difference(occurrences: Sequence[tuple[_Change, Occurrence]]) -> Difference:
    first = occurrences[0][0]
    return Difference(
        id=first.id,
        level=first.level,
        subject=first.subject,
        summary=first.summary,
        advice=_ADVICE[first.id],
        url=rfc(9110, "7.6" if first.id != "hop-order" else "5.3"),
        count=len(occurrences),
        evidence=tuple(shown for _, shown in occurrences[:MOST_EVIDENCE]),
    )


def _verdict(pairs: int, found: Sequence[Difference]) -> str:
    if not pairs:
        return "Nothing could be compared: send the same requests to both traces."
    of = {level: sum(each.level == level for each in found) for level in LEVELS}
    requests = "1 request was" if pairs == 1 else f"{pairs} requests were"
    if not found:
        return f"{requests} compared: all of them arrived as they were sent."
    counted = ", ".join(f"{count} {level}" for level, count in of.items() if count)
    things = "1 thing" if len(found) == 1 else f"{len(found)} things"
    return f"{requests} compared: the way changes {things} ({counted})."
