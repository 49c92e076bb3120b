"""What shows only over several records: how clients look at what there is, and look again. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mcp_echo.watch.records import ExchangeRecord, MessageRecord, SentRecord
from mcp_echo.watch.rules import calls_over_time
from mcp_echo.watch.rules.facts import is_modern
from mcp_echo.watch.rules.memory import Remembered
from mcp_echo.watch.rules.over_time import (
    ON_ITS_WAY,
    OverTime,
    answered,
    asked,
    begins_session,
    clock,
    holder_of,
    requests_of,
    revision_of,
    session_of,
    who,
)
from mcp_echo.watch.rules.pages import ALL, pages
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule

FOLLOWED_WITHIN = 10.0
"""Seconds in which the next page is asked for, once the client goes on to use what it has seen."""

LOOKED_WITHIN = 30.0
"""Seconds in which a client looks again at what has changed."""

USES = {"tools/call": "tools", "prompts/get": "prompts", "resources/read": "resources"}
"""Method → what it uses."""

_LISTS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resources",
}
"""Method → what it lists."""

_CHANGES = {f"notifications/{what}/list_changed": what for what in USES.values()}


class _Page:
    """A page of a list that is not the last."""

    __slots__ = ("at", "client", "cursor", "entries", "number", "revision", "used")

    def __init__(self, record: ExchangeRecord, message: MessageRecord) -> None:
        self.cursor = message.result.next_cursor
        self.entries = message.result.entries
        self.number = record.number
        self.at = answered(record)
        self.revision = revision_of(record)
        self.client = record.client
        self.used: float | None = None
        """When the client first went on without the next page; seconds of the wall clock."""


class PaginationNotFollowed(OverTime):
    """A client sees one page of a list and goes on to use it, without the next."""

    def __init__(self) -> None:
        self._pages: Remembered[tuple[str, str], _Page] = Remembered()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Look for the cursor of each page."""
        holder = holder_of(record)
        for message in requests_of(record):
            method = message.method or ""
            if method in _LISTS:
                yield from self._listed(record, message, (holder, method))
            elif method in USES:
                self._used(holder, USES[method], record.at)

    def _listed(
        self, record: ExchangeRecord, message: MessageRecord, key: tuple[str, str]
    ) -> Iterator[Outcome]:
        page = self._pages.get(key)
        if page is not None and message.params.cursor == page.cursor:
            self._pages.take(key)
            yield Held(record.number, page.revision)
            page = None
        if page is None and message.result.next_cursor is not None:
            self._pages.put(key, _Page(record, message))

    def _used(self, holder: str, what: str, at: float) -> None:
        for method, lists in _LISTS.items():
            page = self._pages.get((holder, method)) if lists == what else None
            if page is not None and page.used is None:
                page.used = at

    def due(self, now: float) -> Iterator[Outcome]:
        """Return the lists that were not read to their end."""
        for (holder, method), page in self._pages.items():
            if page.used is None or now < (deadline := max(page.at, page.used) + FOLLOWED_WITHIN):
                continue
            self._pages.take((holder, method))
            seen = "a page" if page.entries is None else f"{page.entries} entries"
            yield Broken(
                exchange=page.number,
                summary=f"The client saw {seen} of {method} and went on; nextCursor was not followed",
                subject="absence:cursor",
                wanted=f"{method} with the nextCursor of the answer",
                at=deadline,
                revision=page.revision,
                key=f"{holder} {method}",
                client=page.client,
            )


class _Told(NamedTuple):
    """A client was told that a list has changed."""

    number: int
    at: float
    used: ExchangeRecord | None = None
    """Its first use of what may be there no more."""


class ListChangedIgnored(OverTime):
    """A client is told that a list has changed, and goes on with what it knew.

    Not to look at what is not used breaks nothing.
    """

    def __init__(self) -> None:
        self._told: Remembered[tuple[str, str], _Told] = Remembered()

    def sent(self, record: SentRecord) -> Iterable[Outcome]:
        """Remember who was told what."""
        what = _CHANGES.get(record.method)
        holder = record.session or record.caller
        if what is not None and record.state == "written" and holder and (holder, what) not in self._told:
            self._told.put((holder, what), _Told(record.number, record.at))
        return ()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Look for the list, or for a use without it."""
        if not len(self._told):
            return
        holder = holder_of(record)
        for message in requests_of(record):
            method = message.method or ""
            if method in _LISTS and self._told.take((holder, _LISTS[method])) is not None:
                yield Held(record.number, revision_of(record))
            elif method in USES:
                self._used((holder, USES[method]), record)

    def _used(self, key: tuple[str, str], record: ExchangeRecord) -> None:
        told = self._told.get(key)
        if told is not None and told.used is None and record.at > told.at + ON_ITS_WAY:
            self._told.put(key, told._replace(used=record))

    def due(self, now: float) -> Iterator[Outcome]:
        """Return those who have gone on and not looked."""
        for key, told in self._told.items():
            if told.used is None or now < told.at + LOOKED_WITHIN:
                continue
            self._told.take(key)
            yield Broken(
                exchange=told.used.number,
                summary=f"The client was told at {clock(told.at)} that its {key[1]} have changed, and"
                " has used one"
                " since without a look at the list",
                subject=f"absence:{key[1]}/list",
                wanted=f"{key[1]}/list after notifications/{key[1]}/list_changed",
                at=told.at + LOOKED_WITHIN,
                revision=revision_of(told.used),
                key=f"{key} {told.number}",
                client=told.used.client,
            )


class ToolUnlisted(OverTime):
    """A client calls a tool without a look at the list, as far as is known here."""

    def __init__(self) -> None:
        self._listed: Remembered[str, bool] = Remembered()
        self._begun: Remembered[str | None, bool] = Remembered()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Look for the list before each first call."""
        session = session_of(record)
        if begins_session(record) is not None:
            self._begun.put(session, True)
        if asked(record, "tools/list") is not None:
            self._listed.put(holder_of(record), True)
            self._listed.put(who(record), True)
        call = asked(record, "tools/call")
        if call is None or self._listed.forgot or not (is_modern(record) or session in self._begun):
            return
        if holder_of(record) in self._listed or who(record) in self._listed:
            yield Held(record.number, revision_of(record))
        else:
            yield self._unlisted(record, call)

    @staticmethod
    def _unlisted(record: ExchangeRecord, call: MessageRecord) -> Outcome:
        return Broken(
            exchange=record.number,
            summary=f"{call.name or 'A tool'} was called, and no tools/list has come before",
            subject="absence:tools/list",
            wanted="tools/list before the first call",
            revision=revision_of(record),
            key=holder_of(record),
        )


ROWS = (
    Rule(
        id="pagination-not-followed",
        level="warning",
        title="A client reads a list to its end.",
        advice="Ask for the list again with nextCursor as cursor, until an answer has none.",
        keyword="SHOULD",
        confidence="likely",
        pages=pages("server/utilities/pagination#implementation-guidelines", *ALL),
        begin=PaginationNotFollowed,
    ),
    Rule(
        id="list-changed-ignored",
        level="warning",
        title="A client that is told of a change looks at the list again.",
        advice="Ask for the list after its list_changed notification, at the latest before the next use.",
        confidence="likely",
        pages=pages("server/tools#list-changed-notification", *ALL),
        begin=ListChangedIgnored,
    ),
    Rule(
        id="tool-unlisted",
        level="info",
        title="A client knows the tools that it calls.",
        advice="List the tools first: their schemas say what they take, and whether they are there.",
        pages=pages("server/tools#listing-tools", *ALL),
        begin=ToolUnlisted,
    ),
    *calls_over_time.ROWS,
)
"""The rules of this module, and those about calls that are given up or repeated."""
