"""What shows only over several records: how clients treat the sessions that they are given. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mcp_echo.protocol.texts import often
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules import sessions_begun_over_time
from mcp_echo.watch.rules.facts import is_modern
from mcp_echo.watch.rules.memory import Awaited, Remembered
from mcp_echo.watch.rules.over_time import (
    Earlier,
    OverTime,
    as_of,
    asked,
    begins_session,
    brings_session,
    called,
    clock,
    connection_of,
    crossed,
    earlier,
    gone,
    revision_of,
    seconds,
    who,
)
from mcp_echo.watch.rules.pages import sessions
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule

RETURNED_WITHIN = 10.0
"""Seconds after a session id was given, or last came back, in which a request without one is told as its
client's."""

NEW_SESSION_WITHIN = 30.0
"""Seconds in which a client that lost its session begins another."""

UNSEEN = 3
"""Session ids in a row that have to be lost before a hop is suspected."""


_HOPS = ("via", "forwarded", "x-forwarded-", "cf-", "x-amzn-", "cdn-loop")
"""Headers that only hops add, or what their names begin with."""


class _Given:
    """A session id that a client was given."""

    __slots__ = ("last", "origin", "requests", "returned", "session", "without")

    def __init__(self, session: str, origin: Earlier) -> None:
        self.session = session
        self.origin = origin
        self.last = origin.answered
        """When it was given, or last came back."""
        self.returned = False
        self.requests = 0
        """Requests since."""
        self.without = 0
        """Those of them that came without an id."""


class IdNotReturned(OverTime):
    """A client that was given a session id sends a request without one.

    From the same connection, or the same caller as long as the id has not come back at all: once it has, it
    may be another program there that has no session.
    """

    def __init__(self) -> None:
        self._sessions: Remembered[str, _Given] = Remembered()
        self._callers: Remembered[str, _Given] = Remembered()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Look for the id that was given."""
        if begins_session(record) is not None and record.session is not None:
            given = _Given(record.session, earlier(record))
            self._sessions.put(record.session, given)
            self._callers.put(who(record), given)
            if not record.proxied:
                self._callers.put(connection_of(record), given)
        elif brings_session(record):
            yield from self._back(record, record.session or "")
        elif record.http_method == "POST" and not _needs_none(record):
            yield from self._without(record)

    def _back(self, record: ExchangeRecord, session: str) -> Iterator[Outcome]:
        given = self._sessions.get(session)
        if given is None:
            return
        given.requests += 1
        given.last = max(given.last, record.at)
        if not given.returned:
            given.returned = True
            yield Held(record.number, given.origin.revision)

    def _without(self, record: ExchangeRecord) -> Iterator[Outcome]:
        given = self._callers.get(connection_of(record))
        if given is None:
            given = self._callers.get(who(record))
            if given is None or given.returned:
                return
        if not given.last <= record.at <= given.last + RETURNED_WITHIN:
            return
        given.last = record.at
        given.requests += 1
        given.without += 1
        yield Broken(
            exchange=record.number,
            summary=f"The session id that initialize was answered with at {clock(given.origin.answered)} did"
            f" not come back with {called(record.messages[0])} ({given.without} of {given.requests}"
            " requests)",
            subject="absence:Mcp-Session-Id",
            wanted=given.session,
            revision=given.origin.revision,
            key=given.session,
            client=given.origin.client,
        )


def _needs_none(record: ExchangeRecord) -> bool:
    """Return whether what comes needs no session; a ping without one may be a prober's."""
    return is_modern(record) or all(each.method in ("initialize", "ping") for each in record.messages)


class KeptAfterGone(OverTime):
    """A session id comes again after it was answered 404."""

    def __init__(self) -> None:
        self._gone: Remembered[str, Earlier] = Remembered()
        self._uses: Remembered[str, int] = Remembered()
        self._told: Remembered[str, bool] = Remembered()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Look for sessions that are gone."""
        if begins_session(record) is not None and self._told.take(who(record)):
            yield Held(record.number, revision_of(record))
        if not brings_session(record) or record.session is None:
            return
        before = self._gone.get(record.session)
        if before is None:
            if gone(record):
                self._gone.put(record.session, earlier(record))
                self._told.put(who(record), True)
        elif record.http_method != "DELETE" and not crossed(before, record):
            uses = self._uses.put(record.session, (self._uses.get(record.session) or 0) + 1)
            yield Broken(
                exchange=record.number,
                summary=f"The session was answered 404 at {clock(before.answered)} and is still used"
                f" {seconds(record.at - before.answered)} later ({often(uses)})",
                subject=record.line_of("Mcp-Session-Id"),
                found=record.session,
                wanted="a new initialize, without a session id",
                revision=before.revision,
                key=str(record.number),
                client=before.client,
            )


class NotBegunAnew(OverTime):
    """A client whose session is gone does not begin another."""

    def __init__(self) -> None:
        self._awaited: Awaited[str, Broken] = Awaited()
        self._newest: Remembered[str, str] = Remembered()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Wait for an ``initialize`` after a 404."""
        caller = who(record)
        if asked(record, "initialize") is not None:
            self._newest.put(caller, record.session or "")
            if self._awaited.take(caller) is not None:
                yield Held(record.number, revision_of(record))
        elif brings_session(record) and gone(record) and record.http_method != "DELETE":
            self._lost(record, caller, record.session or "")

    def _lost(self, record: ExchangeRecord, caller: str, session: str) -> None:
        newest = self._newest.get(caller)
        if newest not in (None, session) or self._awaited.get(caller) is not None:
            return
        self._awaited.put(
            caller,
            earlier(record).answered + NEW_SESSION_WITHIN,
            Broken(
                exchange=record.number,
                summary=f"The session was answered 404 at {clock(earlier(record).answered)}, and no new"
                " initialize has come since",
                subject="absence:initialize",
                wanted="initialize, without a session id",
                revision=revision_of(record),
                key=f"{caller} {session}",
                client=record.client,
            ),
        )

    def due(self, now: float) -> Iterator[Outcome]:
        """Return those who have not begun anew."""
        for _, deadline, broken in self._awaited.overdue(now):
            yield as_of(broken, deadline)


class HopResponseUnseen(OverTime):
    """What comes through a hop never brings back a session id, however often one was given.

    Any client that can use sessions sends back what it was given, so that it probably was not.
    """

    def __init__(self) -> None:
        self._unseen: Remembered[str, int] = Remembered()

    def exchange(self, record: ExchangeRecord) -> Iterable[Outcome]:
        """Count the session ids in a row that were given and did not come back."""
        caller = who(record)
        if brings_session(record):
            known = self._unseen.take(caller)
            return () if known is None else (Held(record.number),)
        if begins_session(record) is None:
            return ()
        before = self._unseen.get(caller) or 0
        self._unseen.put(caller, before + 1)
        hop = _hop(record)
        if before < UNSEEN or hop is None:
            return ()
        broken = Broken(
            exchange=record.number,
            summary=f"{before} session ids in a row were given to {record.client or 'a client'} through a hop"
            f" ({hop}), and none has come back",
            subject="absence:Mcp-Session-Id",
            found="none",
            wanted="the Mcp-Session-Id of the answer to initialize",
            key=str(record.number),
        )
        return (broken,)


def _hop(record: ExchangeRecord) -> str | None:
    """Return what shows that a hop is between; clients themselves may send what traces calls."""
    names = [name for name, _ in record.headers if name.lower().startswith(_HOPS)]
    if names:
        return names[0]
    return "a trusted proxy" if record.proxied else None


ROWS = (
    Rule(
        id="session-id-not-returned",
        level="error",
        title="The session id that initialize is answered with comes with every later request.",
        advice="Read Mcp-Session-Id of the answer to initialize and send it with every request that follows."
        " If the client sends it, look for the gateway that drops it.",
        keyword="MUST",
        pages=sessions("session-management"),
        begin=IdNotReturned,
    ),
    Rule(
        id="session-kept-after-404",
        level="error",
        title="A session that was answered 404 is not used again.",
        advice="The session is over: forget its id, and send a new initialize without one.",
        keyword="MUST",
        pages=sessions("session-management"),
        begin=KeptAfterGone,
    ),
    Rule(
        id="session-not-reestablished",
        level="warning",
        title="A client whose session was answered 404 begins a new one.",
        advice="Send a new initialize without a session id, and repeat what was answered 404.",
        keyword="MUST",
        confidence="likely",
        pages=sessions("session-management"),
        begin=NotBegunAnew,
    ),
    Rule(
        id="hop-response-unseen",
        level="warning",
        title="The headers of an answer reach the client.",
        advice="Check that the gateway passes Mcp-Session-Id of the answer on, and that a browser may"
        " read it (Access-Control-Expose-Headers).",
        confidence="likely",
        url="https://www.rfc-editor.org/rfc/rfc9110.html#section-7.6",
        begin=HopResponseUnseen,
    ),
    *sessions_begun_over_time.ROWS,
)
"""The rules of this module, and those about how many sessions are begun."""
