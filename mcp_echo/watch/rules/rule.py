"""What a rule is, and what it says of what has passed. No I/O.

A rule says nothing of what it does not apply to; else it says that it was held, or how it was broken. A rule
about one exchange is a function. One about several is a class whose objects see every record of a trace in
order, keep a bounded memory of it, and are asked from time to time what has not come by its deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from mcp_echo.watch.records import ExchangeRecord, Record

Level = Literal["error", "warning", "info"]
"""A MUST is broken or the flow has stopped; a SHOULD is, or what is lawful is known to fail; good to know."""

LEVELS: tuple[Level, ...] = ("error", "warning", "info")
"""From the one that weighs most."""


def reaches(level: Level, least: Level) -> bool:
    """Return whether a level weighs as much as another one, or more."""
    return LEVELS.index(level) <= LEVELS.index(least)


Confidence = Literal["certain", "likely"]
"""Likely is what is said of something that has not come."""

Keyword = Literal["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY", ""]
"""The word of the text that binds (RFC 2119); none where it is advice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A rule that was not kept, once."""

    exchange: int
    """The number of the record that shows it."""
    summary: str
    """What is wrong, in one sentence with the values in it: subject, verb, what was wanted."""
    subject: str = ""
    """The line it is about: ``header:3``, ``body:/params/_meta``, ``query:token``, ``path``,
    ``absence:Accept``."""
    found: str | None = None
    wanted: str | None = None
    differs_in: tuple[str, ...] = ()
    at: float | None = None
    """When it became wrong, where that is later than the record: the deadline that passed."""
    revision: str | None = None
    """The revision that binds, where it is not the record's."""
    key: str = ""
    """What tells one occurrence from another, such as a session; the same key is the same occurrence."""
    client: str | None = None
    """The client it is about, where the record does not say."""
    level: Level | None = None
    """How much this one weighs, where that is less than the rule says."""


@dataclass(frozen=True, slots=True)
class Held:
    """A rule that was kept, once."""

    exchange: int
    revision: str | None = None
    """The revision that binds, where it is not the record's."""


Outcome = Broken | Held


class StateRule(Protocol):
    """A rule about several records."""

    def see(self, record: Record) -> Iterable[Outcome]:
        """Return what this record shows; called with every record of a trace, in order."""

    def due(self, now: float) -> Iterable[Outcome]:
        """Return what has not come in time; called from time to time, with the wall clock."""


Check = Callable[[ExchangeRecord], Outcome | None]
"""Says of one exchange whether it keeps the rule; None where the rule does not apply to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of the table.

    Exactly one of `check` and `begin` is given.
    """

    id: str
    """In kebab-case; never used again for another rule."""
    level: Level
    title: str
    """What it asks for, in one sentence that fits every case."""
    advice: str
    """What to do next, in one or two sentences."""
    keyword: Keyword = ""
    confidence: Confidence = "certain"
    pages: Mapping[str, str] | None = None
    """Revision → page and heading of the specification that binds, ``basic/transports#session-management``;
    the rule does not apply to a revision that is not here. None for a rule that no revision binds."""
    url: str | None = None
    """Where the rule is from, if not from the specification: an RFC, with its section."""
    conformance: str | None = None
    """The id of the check of the official suite that tests the same, where there is one."""
    check: Check | None = None
    begin: Callable[[], StateRule] | None = None
    """Makes the memory of the rule for one trace."""

    def applies_to(self, revision: str | None) -> bool:
        """Return whether it binds a client of this revision; what binds all binds one that is unknown."""
        return self.pages is None or (revision is not None and revision in self.pages)

    def link(self, revision: str | None) -> str | None:
        """Return where to read it: the text that binds this revision."""
        if self.pages is None or revision is None or revision not in self.pages:
            return self.url
        return f"https://modelcontextprotocol.io/specification/{revision}/{self.pages[revision]}"

    def described(self) -> dict[str, Any]:
        """Return the row as the catalogue shows it."""
        return {
            "id": self.id,
            "level": self.level,
            "confidence": self.confidence,
            "title": self.title,
            "advice": self.advice,
            "keyword": self.keyword or None,
            "scope": "exchange" if self.check is not None else "trace",
            "links": {revision: self.link(revision) for revision in self.pages or ()} or {"": self.url},
            "conformance": self.conformance,
        }
