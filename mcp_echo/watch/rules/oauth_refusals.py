"""What a client makes of a token that is refused: it refreshes it, or sends it again and again. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mcp_echo.watch.oauth_records import OauthRecord
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.facts import credential_of
from mcp_echo.watch.rules.memory import Awaited, Remembered
from mcp_echo.watch.rules.oauth_legs import MOST, OverLegs, Party, kept
from mcp_echo.watch.rules.oauth_memory import Tokens
from mcp_echo.watch.rules.over_time import (
    Earlier,
    answered,
    as_of,
    clock,
    earlier,
)
from mcp_echo.watch.rules.pages import rfc
from mcp_echo.watch.rules.rule import Broken, Outcome, Rule

REFRESHED_WITHIN = 60.0
"""Seconds in which a client whose token is refused uses its refresh token."""

REPLAYS = 3
"""Times that a refused token comes again before it is told."""

UNDER_WAY = 0.5
"""Seconds in which a client that works at several things at a time sends what it has begun."""


class _Refused(NamedTuple):
    """A token that was refused."""

    before: Earlier
    party: Party
    again: int


class TokenReplayed(OverLegs):
    """A token that was refused comes again and again."""

    def __init__(self) -> None:
        super().__init__()
        self._refused: Remembered[str, _Refused] = Remembered(MOST)
        self._newest: Remembered[str, str] = Remembered(MOST)
        """Address → the token that was refused there last."""

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterable[Outcome]:
        """Count how often a refused token has come."""
        token = oauth.asked.token
        if oauth.leg != "challenge" or token is None or record.status != 401:
            return self.call(record)
        refused = self._refused.get(token)
        self._newest.put(record.address, token)
        if refused is None:
            self._refused.put(token, _Refused(earlier(record), self.parties.of(record, oauth), 0))
            return ()
        if record.at - refused.before.answered < UNDER_WAY:
            return ()
        refused = self._refused.put(token, refused._replace(again=refused.again + 1))
        if refused.again < REPLAYS:
            return ()
        return (
            self.broken(
                record,
                oauth,
                f"A token was refused at {clock(refused.before.answered)} and has come {refused.again} times"
                " since",
                record.line_of("Authorization"),
                found=f"#{token}",
                wanted="another token",
                key=token,
            ),
        )

    def call(self, record: ExchangeRecord) -> Iterable[Outcome]:
        """Look for another token than the one that was refused."""
        token = credential_of(record) if len(self._newest) else None
        refused = self._newest.get(record.address) if token is not None else None
        if refused is None or refused == token:
            return ()
        self._newest.take(record.address)
        known = self._refused.get(refused)
        return () if known is None or known.again >= REPLAYS else (kept(record.number, known.party),)


class RefreshNotTried(OverLegs):
    """A token is refused, and its client does not use the refresh token that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self._tokens = Tokens()
        self._awaited: Awaited[str, Broken] = Awaited()
        """Client id → what is to be said of it."""
        self._dead: Remembered[str, bool] = Remembered(MOST)
        """Refresh tokens that were refused."""

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterable[Outcome]:
        """Wait for a refresh after a token was refused."""
        self._tokens.note(record, oauth, self.parties.of(record, oauth))
        client_id = oauth.asked.client_id or ""
        if oauth.leg == "challenge" and record.status == 401:
            self._wait(record, oauth)
        elif oauth.leg == "token" and oauth.asked.refresh_token is not None:
            if oauth.answered.token is None:
                self._dead.put(oauth.asked.refresh_token, True)
            waited = self._awaited.take(client_id)
            return () if waited is None else (kept(record.number, Party(waited.revision, None)),)
        elif oauth.leg == "authorize":
            waited = self._awaited.take(client_id)
            return () if waited is None else (waited,)
        return ()

    def due(self, now: float) -> Iterable[Outcome]:
        """Return who has not come."""
        return [as_of(broken, deadline) for _, deadline, broken in self._awaited.overdue(now)]

    def _wait(self, record: ExchangeRecord, oauth: OauthRecord) -> None:
        issued = self._tokens.of(oauth.asked.token)
        if issued is None or issued.refresh_token is None or issued.refresh_token in self._dead:
            return
        client_id = issued.client_id or ""
        if self._awaited.get(client_id) is not None:
            return
        self._awaited.put(
            client_id,
            answered(record) + REFRESHED_WITHIN,
            self.broken(
                record,
                oauth,
                f"A token was refused at {clock(answered(record))}, and {client_id or 'the client'} has not"
                " used the refresh token that came with it",
                "absence:POST token",
                wanted=f"grant_type=refresh_token with #{issued.refresh_token}",
            ),
        )


ROWS = (
    Rule(
        id="token-replayed-after-401",
        level="error",
        title="A token that was refused does not come again and again.",
        advice="After 401 with invalid_token use the refresh token, or ask for authorization anew, and forget"
        " the token. Look at the finding that says why it is refused.",
        url=rfc(6750, "3.1"),
        begin=TokenReplayed,
    ),
    Rule(
        id="refresh-not-tried",
        level="warning",
        confidence="likely",
        title="A client whose token is refused uses its refresh token.",
        advice="Send grant_type=refresh_token before users are asked again: access tokens are short-lived.",
        url=rfc(6749, "1.5"),
        begin=RefreshNotTried,
    ),
)
