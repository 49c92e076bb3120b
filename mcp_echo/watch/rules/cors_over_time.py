"""What shows only over several records: what browsers ask first, and whether they follow. No I/O."""

from __future__ import annotations

from collections.abc import Iterator

from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.memory import Awaited, Remembered
from mcp_echo.watch.rules.over_time import OverTime, answered, as_of, clock, who
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule

FOLLOWS_WITHIN = 5.0
"""Seconds in which a browser sends the request that it has asked for."""

_PREFLIGHTS = "https://fetch.spec.whatwg.org/#cors-preflight-fetch"

Page = tuple[str, str]
"""A caller, and the origin of the page."""


class PreflightWithoutRequest(OverTime):
    """A browser is granted a request and does not send it."""

    def __init__(self) -> None:
        self._awaited: Awaited[Page, Broken] = Awaited()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Wait for the request after each preflight."""
        page = _page(record)
        if page is None:
            return
        if _is_preflight(record):
            if _is_granted(record):
                self._wait(record, page)
        elif self._awaited.take(page) is not None:
            yield Held(record.number)

    def _wait(self, record: ExchangeRecord, page: Page) -> None:
        method = record.values("access-control-request-method")[0]
        self._awaited.put(
            page,
            answered(record) + FOLLOWS_WITHIN,
            Broken(
                exchange=record.number,
                summary=f"The preflight for {method} from {page[1]} was granted at"
                f" {clock(answered(record))}, and"
                " the request has not come",
                subject=f"absence:{method}",
                wanted=f"{method} from {page[1]}",
                key=str(record.number),
            ),
        )

    def due(self, now: float) -> Iterator[Outcome]:
        """Return the requests that have not come."""
        for _, deadline, broken in self._awaited.overdue(now):
            yield as_of(broken, deadline)


class PreflightForSecondOnly(OverTime):
    """A later request of a page needs headers granted that its first one did not."""

    def __init__(self) -> None:
        self._asked: Remembered[Page, tuple[frozenset[str], bool]] = Remembered()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Compare each preflight of a page with those before its first request."""
        page = _page(record)
        if page is None:
            return
        first, sent = self._asked.get(page) or (frozenset(), False)
        if not _is_preflight(record):
            self._asked.put(page, (first, sent or record.http_method == "POST"))
            return
        names = _names(record.values("access-control-request-headers"))
        more = sorted(names - first)
        self._asked.put(page, (first | names, sent))
        if not sent:
            return
        if not more:
            yield Held(record.number)
            return
        yield Broken(
            exchange=record.number,
            summary=f"A later request from {page[1]} needs {', '.join(more)} allowed, which its first"
            " one did not",
            subject=record.line_of("Access-Control-Request-Headers"),
            found=", ".join(more),
            key=f"{page} {more}",
        )


def _page(record: ExchangeRecord) -> Page | None:
    origins = record.values("origin")
    return (who(record), origins[0]) if origins else None


def _is_preflight(record: ExchangeRecord) -> bool:
    return record.http_method == "OPTIONS" and bool(record.values("access-control-request-method"))


def _is_granted(record: ExchangeRecord) -> bool:
    """Return whether a browser sends the request after this answer."""
    origin = record.answered("Access-Control-Allow-Origin")
    if not 200 <= (record.status or 500) < 300 or origin not in ("*", *record.values("origin")):
        return False
    allowed = _names([record.answered("Access-Control-Allow-Headers") or ""])
    methods = _names([record.answered("Access-Control-Allow-Methods") or ""])
    wanted = record.values("access-control-request-method")[0].lower()
    simple = wanted in ("get", "head", "post")
    headers = _names(record.values("access-control-request-headers"))
    return (simple or wanted in methods) and headers <= allowed


def _names(values: list[str]) -> frozenset[str]:
    names = (name.strip().lower() for value in values for name in value.split(","))
    return frozenset(name for name in names if name)


ROWS = (
    Rule(
        id="preflight-without-request",
        level="warning",
        title="A request follows the preflight that was granted.",
        advice="See the browser's console: it may have refused the answer, a hop may have changed it on"
        " the way"
        " back, or the page is gone.",
        confidence="likely",
        url=_PREFLIGHTS,
        begin=PreflightWithoutRequest,
    ),
    Rule(
        id="preflight-for-second-only",
        level="info",
        title="A preflight allows the headers of all the page's requests, not only those of the first.",
        advice="Allow these headers wherever the page is to work: a server that allows only what"
        " initialize needs"
        " stops it at its second request.",
        url=_PREFLIGHTS,
        begin=PreflightForSecondOnly,
    ),
)
"""The rules of this module."""
