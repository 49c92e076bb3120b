"""What shows only over several records: how many sessions clients begin, and how they leave them. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mcp_echo.watch.records import ExchangeRecord, SessionChange
from mcp_echo.watch.rules.memory import Remembered
from mcp_echo.watch.rules.over_time import (
    Earlier,
    OverTime,
    begins_session,
    brings_session,
    clock,
    earlier,
    gone,
    requests_of,
    revision_of,
    seconds,
    who,
)
from mcp_echo.watch.rules.pages import sessions
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule

AT_ONCE = 5.0
"""Seconds in which sessions of one caller are begun side by side."""

IN_A_ROW = 60.0
"""Seconds in which sessions for one call each are begun one after the other."""

FOR_EACH_CALL = 3
"""Such sessions from which on it is a habit."""

_KEPT = 8
"""Of the sessions of one caller, the newest that are looked at."""


class _Visit:
    """A session of a client's."""

    __slots__ = ("at", "calls", "number", "over", "session", "used")

    def __init__(self, record: ExchangeRecord, session: str) -> None:
        self.session = session
        self.number = record.number
        self.at = record.at
        self.used = False
        self.calls = 0
        self.over = False
        """Whether it was ended, or another was begun after its one call."""


class _Visits:
    """The newest sessions of each caller."""

    __slots__ = ("_callers", "_sessions")

    def __init__(self) -> None:
        self._callers: Remembered[str, list[_Visit]] = Remembered()
        self._sessions: Remembered[str, tuple[_Visit, list[_Visit]]] = Remembered()

    def begin(self, caller: str, record: ExchangeRecord, session: str) -> list[_Visit]:
        """Add a session, and return those of its caller, oldest first."""
        visits = self._callers.get(caller)
        if visits is None:
            visits = self._callers.put(caller, [])
        visit = _Visit(record, session)
        visits.append(visit)
        del visits[:-_KEPT]
        self._sessions.put(session, (visit, visits))
        return visits

    def of(self, session: str | None) -> tuple[_Visit, list[_Visit]] | None:
        """Return a session, with all of its caller."""
        return None if session is None else self._sessions.get(session)


class SessionDuplicate(OverTime):
    """Several sessions are begun at once from one place, and used side by side."""

    def __init__(self) -> None:
        self._visits = _Visits()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Look for sessions that were begun about the time of this one."""
        if begins_session(record) is not None and record.session is not None:
            visits = self._visits.begin(who(record), record, record.session)
            if len(_near(visits, record.at)) == 1:
                yield Held(record.number, revision_of(record))
        elif brings_session(record) and (record.status or 500) < 400:
            yield from self._used(record)

    def _used(self, record: ExchangeRecord) -> Iterator[Outcome]:
        found = self._visits.of(record.session)
        if found is None or found[0].used:
            return
        visit, visits = found
        visit.used = True
        used = [each for each in _near(visits, visit.at) if each.used]
        if len(used) > 1:
            span = seconds(used[-1].at - used[0].at)
            yield Broken(
                exchange=record.number,
                summary=f"{len(used)} sessions were begun within {span} from one place, and all are used",
                subject="header:Mcp-Session-Id",
                found=f"{len(used)} sessions",
                wanted="one session",
                revision=revision_of(record),
                key=used[0].session,
            )


def _near(visits: list[_Visit], at: float) -> list[_Visit]:
    return [each for each in visits if abs(at - each.at) <= AT_ONCE]


class SessionPerCall(OverTime):
    """A client begins a session for each call."""

    def __init__(self) -> None:
        self._visits = _Visits()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Count the calls of each session."""
        if begins_session(record) is not None and record.session is not None:
            visits = self._visits.begin(record.caller, record, record.session)
            for each in visits[:-1]:
                yield from self._over(each, visits, record)
            return
        found = self._visits.of(record.session) if brings_session(record) else None
        if found is None:
            return
        visit, visits = found
        if record.fault is not None or gone(record):
            # It is not the client's choice to begin another one then.
            visit.over, visit.calls = True, 0
            return
        visit.calls += sum(each.method == "tools/call" for each in requests_of(record))
        if visit.calls == 2:
            yield Held(record.number, revision_of(record))
        if record.http_method == "DELETE":
            yield from self._over(visit, visits, record)

    @staticmethod
    def _over(visit: _Visit, visits: list[_Visit], record: ExchangeRecord) -> Iterator[Outcome]:
        if visit.over or visit.calls != 1:
            return
        visit.over = True
        spent = [each for each in visits if _spent(each) and abs(visit.at - each.at) <= IN_A_ROW]
        if len(spent) >= FOR_EACH_CALL:
            span = seconds(spent[-1].at - spent[0].at)
            yield Broken(
                exchange=visit.number,
                summary=f"{len(spent)} sessions within {span} had one call each",
                subject="body:/method",
                found="a session for each call",
                wanted="one session for all of them",
                revision=revision_of(record),
                key=visit.session,
            )


def _spent(visit: _Visit) -> bool:
    return visit.over and visit.calls == 1


class NeverDeleted(OverTime):
    """A session expires that its client has not ended."""

    def __init__(self) -> None:
        self._begun: Remembered[str, Earlier] = Remembered()

    def exchange(self, record: ExchangeRecord) -> Iterable[Outcome]:
        """Look for the sessions that a client ends."""
        if record.session is None:
            return ()
        if (record.fault or "").startswith("session-lost"):
            # There is nothing to delete, as far as the client knows.
            self._begun.take(record.session)
        elif begins_session(record) is not None:
            self._begun.put(record.session, earlier(record))
        elif record.http_method == "DELETE" and self._begun.take(record.session) is not None:
            return (Held(record.number, revision_of(record)),)
        return ()

    def change(self, record: SessionChange) -> Iterable[Outcome]:
        """Look for the sessions that end by themselves."""
        begun = self._begun.take(record.session) if record.kind == "end" else None
        if begun is None or record.reason != "expired":
            return ()
        broken = Broken(
            exchange=record.number,
            summary=f"The session begun at {clock(begun.answered)} has expired; no DELETE came",
            subject="absence:DELETE",
            wanted="DELETE with the session id, when the client is done",
            revision=begun.revision,
            key=record.session,
            client=begun.client,
        )
        return (broken,)


ROWS = (
    Rule(
        id="session-duplicate",
        level="info",
        title="A client needs no more than one session at a time.",
        advice="Where they are of one client that only tries the server out first, let it go on with"
        " that session, or DELETE it.",
        pages=sessions("session-management"),
        begin=SessionDuplicate,
    ),
    Rule(
        id="session-per-call",
        level="warning",
        title="A session serves more than one call.",
        advice="Keep the session open between calls: what a server remembers in one, such as subscriptions,"
        " is lost with it.",
        pages=sessions("session-management"),
        begin=SessionPerCall,
    ),
    Rule(
        id="session-never-deleted",
        level="warning",
        title="A client ends a session that it no longer needs with DELETE.",
        advice="Send DELETE with the session id when the client closes; the server holds the session so"
        " long.",
        keyword="SHOULD",
        pages=sessions("session-management"),
        begin=NeverDeleted,
    ),
)
"""The rules of this module."""
