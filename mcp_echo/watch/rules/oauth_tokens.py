"""What becomes of tokens: used at once, with every request, or never. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mcp_echo.watch.oauth_records import OauthRecord
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.facts import credential_of, is_mcp, listed, value
from mcp_echo.watch.rules.memory import Awaited, Remembered
from mcp_echo.watch.rules.oauth_legs import MOST, OverLegs, Party, kept
from mcp_echo.watch.rules.oauth_memory import Issued, Tokens
from mcp_echo.watch.rules.over_time import (
    Earlier,
    OverTime,
    as_of,
    called,
    clock,
    crossed,
    earlier,
    revision_of,
    seconds,
    session_of,
)
from mcp_echo.watch.rules.pages import TOKENS
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule

USED_WITHIN = 30.0
"""Seconds in which a client uses a token that it has asked for."""

_MOST_LISTED = 3
"""Exchanges that are listed of what has come instead of a token."""


class _Unused(NamedTuple):
    """A token that nothing has come with yet."""

    issued: Issued
    since: list[str]
    """What has come from its client's address instead."""

    def is_of(self, record: ExchangeRecord) -> bool:
        """Return whether a record is to be listed."""
        room = len(self.since) < _MOST_LISTED
        return room and self.issued.address == record.address and record.at >= self.issued.at


class TokenNeverUsed(OverLegs):
    """A token is issued, and no request comes with it.

    Told of tokens that somebody asked for by a browser: one that was refreshed may wait for work.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tokens = Tokens()
        self._awaited: Awaited[str, _Unused] = Awaited()
        self._late: Remembered[str, Party] = Remembered(MOST)

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterable[Outcome]:
        """Wait for a token that is issued."""
        came = self.call(record)
        issued = self._tokens.note(record, oauth, self.parties.of(record, oauth))
        if issued is not None and issued.grant == "authorization_code":
            self._awaited.put(oauth.answered.token or "", issued.at + USED_WITHIN, _Unused(issued, []))
        return came

    def call(self, record: ExchangeRecord) -> Iterable[Outcome]:
        """Look for the tokens that are awaited, and note what comes instead."""
        if not len(self._awaited) and not len(self._late):
            return ()
        token = credential_of(record) or ""
        used = self._awaited.take(token)
        party = used.issued.party if used is not None else self._late.take(token)
        for other, waiting in self._awaited.items():
            if used is not None and waiting.issued.client_id == used.issued.client_id:
                self._awaited.take(other)
            elif waiting.is_of(record):
                waiting.since.append(described(record))
        return () if party is None else (kept(record.number, party),)

    def due(self, now: float) -> Iterable[Outcome]:
        """Return which tokens nothing has come with."""
        return [as_of(self._unused(*each), each[1]) for each in self._awaited.overdue(now)]

    def _unused(self, token: str, _deadline: float, unused: _Unused) -> Broken:
        issued = unused.issued
        self._late.put(token, issued.party)
        came = listed(unused.since) if unused.since else "nothing"
        return Broken(
            exchange=issued.number,
            summary=f"A token was issued at {clock(issued.at)} to {issued.client_id or 'a client'} at"
            f" {issued.address}, and nothing has come with it; from that address came since: {came}",
            subject="absence:Authorization",
            wanted=f"a request with the token #{token}",
            revision=issued.party.revision,
            client=issued.party.client,
            key=token,
        )


def described(record: ExchangeRecord) -> str:
    """Return for people what has come instead of a token."""
    method = f" {called(record.messages[0])}" if record.messages else ""
    token = "" if value(record, "Authorization") else " without a token"
    return f"{record.http_method} {record.path}{method}{token} ({record.status or 'no answer'})"


class _Fresh(NamedTuple):
    """A token that is not used yet."""

    token: str
    issued: Issued
    before: Earlier


class TokenNotAttached(OverLegs):
    """A client was given a token, and goes on without it.

    Told of what comes from its address before the token is used: after that, it may be another program there.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tokens = Tokens()
        self._fresh: Remembered[str, _Fresh] = Remembered()
        """Address → its newest token that is not used yet."""

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterable[Outcome]:
        """Remember a token that is issued."""
        if oauth.leg == "challenge":
            return self.call(record)
        issued = self._tokens.note(record, oauth, self.parties.of(record, oauth))
        if issued is not None:
            self._fresh.put(record.address, _Fresh(oauth.answered.token or "", issued, earlier(record)))
        return ()

    def call(self, record: ExchangeRecord) -> Iterable[Outcome]:
        """Look for the token in a request to the endpoint."""
        fresh = self._fresh.get(record.address) if len(self._fresh) and is_mcp(record) else None
        if fresh is None:
            return ()
        if credential_of(record) is not None:
            self._fresh.take(record.address)
            return (kept(record.number, fresh.issued.party),)
        within = record.at <= fresh.issued.at + USED_WITHIN
        if not within or record.values("Authorization") or crossed(fresh.before, record):
            return ()
        what = called(record.messages[0]) if record.messages else record.http_method
        return (
            Broken(
                exchange=record.number,
                summary=f"{what} came without a token {seconds(record.at - fresh.issued.at)} after one was"
                f" issued to {fresh.issued.client_id or 'a client'} at {record.address}",
                subject="absence:Authorization",
                wanted=f"Authorization: Bearer #{fresh.token}",
                revision=fresh.issued.party.revision,
                client=fresh.issued.party.client,
                key=fresh.token,
            ),
        )


class _Session(NamedTuple):
    """The requests of a session, with a token and without."""

    brought: int
    without: tuple[str, ...]
    """What came without."""
    lacking: int


class TokenNotOnEveryRequest(OverTime):
    """Some requests of a session have a token, and some have not."""

    def __init__(self) -> None:
        self._sessions: Remembered[str, _Session] = Remembered()

    def exchange(self, record: ExchangeRecord) -> Iterator[Outcome]:
        """Count the requests of a session."""
        session = session_of(record)
        if session is None or not is_mcp(record):
            return
        seen = self._sessions.get(session)
        if record.values("Authorization"):
            seen = seen or _Session(0, (), 0)
            self._sessions.put(session, seen._replace(brought=seen.brought + 1))
            if seen.brought and not seen.lacking:
                yield Held(record.number, revision_of(record))
        elif seen is not None:
            yield self._lacking(record, session, seen)

    def _lacking(self, record: ExchangeRecord, session: str, seen: _Session) -> Broken:
        what = called(record.messages[0]) if record.messages else record.http_method
        without = tuple(dict.fromkeys([*seen.without, what]))[:_MOST_LISTED]
        seen = self._sessions.put(session, _Session(seen.brought, without, seen.lacking + 1))
        return Broken(
            exchange=record.number,
            summary=f"{seen.lacking} of {seen.lacking + seen.brought} requests of the session lack the token:"
            f" {listed(without)}",
            subject="absence:Authorization",
            wanted="Authorization with every request",
            revision=revision_of(record),
            key=session,
        )


ROWS = (
    Rule(
        id="token-never-used",
        level="error",
        keyword="MUST",
        confidence="likely",
        title="A client uses the token that it was given.",
        advice="Look at what the client logs after the token. If it says that it called, something in front"
        " of this server stops it: bot rules, address lists, a gateway that has no route for it.",
        pages=TOKENS,
        begin=TokenNeverUsed,
    ),
    Rule(
        id="token-not-attached",
        level="error",
        keyword="MUST",
        confidence="likely",
        title="A client that has a token sends it.",
        advice="Send Authorization: Bearer with the token in every request, the first one after the token"
        " among them. Look for a hop that takes Authorization away.",
        pages=TOKENS,
        begin=TokenNotAttached,
    ),
    Rule(
        id="token-not-on-every-request",
        level="error",
        keyword="MUST",
        title="Each request of a session has the token.",
        advice="Send Authorization with each POST, GET and DELETE: a session id is no credential.",
        pages=TOKENS,
        conformance="valid-bearer-token",
        begin=TokenNotOnEveryRequest,
    ),
)
