"""What the rules about several records have in common: how they see records, and what they ask of one.

No I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from mcp_echo.watch.records import (
    ExchangeRecord,
    MessageRecord,
    ProbeRecord,
    Record,
    SentRecord,
    SessionChange,
    StreamRecord,
)
from mcp_echo.watch.rules import facts
from mcp_echo.watch.rules.facts import is_modern
from mcp_echo.watch.rules.memory import Remembered
from mcp_echo.watch.rules.rule import Broken, Outcome

NEAR = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1", "unix"})
"""Peers that an answer reaches at once."""

ON_ITS_WAY = 0.5
"""Seconds in which a request from afar may have left before the answer to another one had arrived."""

ON_ITS_WAY_NEAR = 0.01
"""The same from a peer on this machine."""


class OverTime:
    """A rule about several records, one method for each kind of record.

    Those that a rule does not care for are passed over.
    """

    __slots__ = ()

    def see(self, record: Record) -> Iterable[Outcome]:
        """Return what this record shows; called with every record of a trace, in order."""
        if isinstance(record, ExchangeRecord):
            return self.exchange(record)
        if isinstance(record, StreamRecord):
            return self.stream(record)
        if isinstance(record, SentRecord):
            return self.sent(record)
        if isinstance(record, ProbeRecord):
            return self.probe(record)
        return self.change(record) if isinstance(record, SessionChange) else ()

    def due(self, now: float) -> Iterable[Outcome]:
        """Return what has not come in time.

        Args:
            now: Seconds of the wall clock.
        """
        del now
        return ()

    def exchange(self, record: ExchangeRecord) -> Iterable[Outcome]:
        """Return what an exchange shows."""
        del record
        return ()

    def stream(self, record: StreamRecord) -> Iterable[Outcome]:
        """Return what an event of a stream shows."""
        del record
        return ()

    def sent(self, record: SentRecord) -> Iterable[Outcome]:
        """Return what a message of the server's shows."""
        del record
        return ()

    def probe(self, record: ProbeRecord) -> Iterable[Outcome]:
        """Return what a probe of a stream shows."""
        del record
        return ()

    def change(self, record: SessionChange) -> Iterable[Outcome]:
        """Return what the begin or end of a session shows."""
        del record
        return ()


class Holder(NamedTuple):
    """Who has a session."""

    revision: str
    client: str | None


class Holders:
    """Who has each of the newest sessions."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: Remembered[str, Holder] = Remembered()

    def note(self, record: ExchangeRecord) -> None:
        """Learn it from an exchange of the session."""
        session = session_of(record)
        if session is not None and record.revision is not None and session not in self._held:
            self._held.put(session, Holder(record.revision, record.client))

    def of(self, session: str | None) -> Holder | None:
        """Return who has this session; None where that is not known."""
        return None if session is None else self._held.get(session)


def who(record: ExchangeRecord) -> str:
    """Return what one caller is told from another by, whatever name its client gives itself.

    Requests of the legacy era say no name, so that a caller's may only be counted together like this.
    """
    return record.principal or record.address


class Earlier(NamedTuple):
    """What is remembered of an exchange that a later one is compared with."""

    number: int
    answered: float
    """When its answer had left; where that has not ended, when it began, and else when the request came.
    Seconds of the wall clock."""
    node: str
    connection: int
    status: int | None
    revision: str
    client: str | None


def earlier(record: ExchangeRecord) -> Earlier:
    """Return what to remember of an exchange."""
    return Earlier(
        record.number,
        answered(record),
        record.node,
        record.connection,
        record.status,
        revision_of(record),
        record.client,
    )


def answered(record: ExchangeRecord) -> float:
    """Return when an exchange was answered, as `Earlier` has it."""
    return record.at + (record.last if record.last is not None else record.first or 0.0)


def crossed(before: Earlier, later: ExchangeRecord) -> bool:
    """Return whether a request may have left its client before the answer to an earlier one had arrived.

    What comes on the same connection after the answer has been sent after it.
    """
    gap = later.at - before.answered
    if gap >= 0 and later.connection == before.connection and later.node == before.node:
        return False
    near = later.peer in NEAR and not later.proxied
    return gap < (ON_ITS_WAY_NEAR if near else ON_ITS_WAY)


def brings_session(record: ExchangeRecord) -> bool:
    """Return whether an exchange of the legacy era came with a session id."""
    return record.session is not None and record.session_form != "none" and not is_modern(record)


def session_of(record: ExchangeRecord) -> str | None:
    """Return the session of the legacy era that an exchange came with or made."""
    return None if is_modern(record) else record.session


def connection_of(record: ExchangeRecord) -> str:
    """Return what one connection is told from another by."""
    return f"connection {record.node} {record.connection}"


def gone(record: ExchangeRecord) -> bool:
    """Return whether a client was told that the session it came with is not there."""
    return record.status == 404 and record.path.endswith("/mcp")


def holder_of(record: ExchangeRecord) -> str:
    """Return what a client is known by from one request to the next: its session, or else its caller."""
    return session_of(record) or record.caller


def requests_of(record: ExchangeRecord) -> list[MessageRecord]:
    """Return the JSON-RPC requests of an exchange."""
    return [each for each in record.messages if each.kind == "request"]


def asked(record: ExchangeRecord, method: str) -> MessageRecord | None:
    """Return the first message of an exchange that has this method."""
    return next((each for each in record.messages if each.method == method), None)


def begins_session(record: ExchangeRecord) -> MessageRecord | None:
    """Return the ``initialize`` of an exchange that made a session of which its client was told."""
    if not record.made or record.session is None or not facts.was_told(record):
        return None
    return asked(record, "initialize")


def revision_of(record: ExchangeRecord) -> str:
    """Return the name of the revision that binds a request, also where none was agreed on."""
    return facts.revision_of(record).name


def seconds(span: float) -> str:
    """Return a span of time for people: ``250 ms``, ``3.2 s``, ``95 s``."""
    if span < 1:
        return f"{max(span, 0) * 1000:.0f} ms"
    return f"{span:.1f} s" if span < 10 else f"{span:.0f} s"


def clock(at: float) -> str:
    """Return a time of the wall clock for people, in UTC: ``14:02:11.120``."""
    thousandths = round(at * 1000)
    whole, part = divmod(thousandths, 1000)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours % 24:02}:{minute:02}:{second:02}.{part:03}"


def as_of(broken: Broken, deadline: float) -> Broken:
    """Return a breach with the time of the deadline that has passed, in seconds of the wall clock."""
    return replace(broken, at=deadline)


def called(message: MessageRecord) -> str:
    """Return a message for people: its method, and the tool or the like in brackets."""
    method = message.method or "a response"
    return f"{method} ({message.name})" if message.name else method
