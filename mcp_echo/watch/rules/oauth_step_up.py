"""What a client makes of 403 ``insufficient_scope``: whether it asks for more, and for what. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mcp_echo.watch.oauth_records import OauthRecord
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.memory import Awaited, Remembered
from mcp_echo.watch.rules.oauth_legs import MOST, OverLegs, Party, kept, scope_text
from mcp_echo.watch.rules.oauth_memory import Issued, Tokens
from mcp_echo.watch.rules.over_time import answered, as_of, called, clock, seconds
from mcp_echo.watch.rules.pages import STEP_UP
from mcp_echo.watch.rules.rule import Broken, Outcome, Rule

ASKED_WITHIN = 60.0
"""Seconds in which a client asks for the scope that it lacks."""

FOLLOWS_WITHIN = 600.0
"""Seconds in which an authorization request is taken for one that a challenge has led to."""

FEW = 3
"""Authorization requests for more scope that are no loop."""

_REFRESHES_ONLY = "offline_access"
"""A scope that asks for a refresh token, and allows nothing."""


class Lacking(NamedTuple):
    """A request that was refused for its scope."""

    number: int
    at: float
    """When it was refused; seconds of the wall clock."""
    what: str
    needed: tuple[str, ...]
    token: Issued


class OverSteps(OverLegs):
    """A rule about what follows a refusal for scope.

    Only of tokens that were issued here: what a client asks another server for is not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tokens = Tokens()
        self.lacking: Remembered[str, Lacking] = Remembered(MOST)
        """Client id → what it was last refused."""

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterable[Outcome]:
        """Look at a refusal, and at what follows it."""
        self.tokens.note(record, oauth, self.parties.of(record, oauth))
        if oauth.leg == "challenge" and record.status == 403 and oauth.answered.error == "insufficient_scope":
            return self._refused(record, oauth)
        if oauth.leg in ("authorize", "token"):
            lacking = self.lacking.get(oauth.asked.client_id or "")
            if lacking is not None and 0 <= record.at - lacking.at <= FOLLOWS_WITHIN:
                return self.follows(record, oauth, lacking)
        return ()

    def _refused(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterable[Outcome]:
        token = self.tokens.of(oauth.asked.token)
        if token is None or token.client_id is None:
            return ()
        what = called(record.messages[0]) if record.messages else record.http_method
        lacking = Lacking(record.number, answered(record), what, oauth.answered.scope or (), token)
        before = self.lacking.get(token.client_id)
        self.lacking.put(token.client_id, lacking)
        return self.refused(record, oauth, lacking, before)

    def refused(
        self, record: ExchangeRecord, oauth: OauthRecord, lacking: Lacking, before: Lacking | None
    ) -> Iterable[Outcome]:
        """Return what a refusal shows; `before` is the one before it of the same client."""
        del record, oauth, lacking, before
        return ()

    def follows(self, record: ExchangeRecord, oauth: OauthRecord, lacking: Lacking) -> Iterable[Outcome]:
        """Return what an authorization or token request after a refusal shows."""
        del record, oauth, lacking
        return ()


class StepUpIgnored(OverSteps):
    """A client is told which scope it lacks, and does not ask for it."""

    def __init__(self) -> None:
        super().__init__()
        self._awaited: Awaited[str, Broken] = Awaited()

    def refused(
        self, record: ExchangeRecord, oauth: OauthRecord, lacking: Lacking, before: Lacking | None
    ) -> Iterable[Outcome]:
        """Wait for what follows."""
        client_id = lacking.token.client_id or ""
        again = before is not None and before.what == lacking.what
        if self._awaited.get(client_id) is None and not again:
            summary = (
                f"{lacking.what} was refused at {clock(lacking.at)} for want of"
                f" {scope_text(lacking.needed)}, and {client_id} has not asked for it"
            )
            self._awaited.put(
                client_id,
                lacking.at + ASKED_WITHIN,
                self.broken(
                    record, oauth, summary, "absence:GET authorize", wanted=scope_text(lacking.needed)
                ),
            )
        return ()

    def follows(self, record: ExchangeRecord, oauth: OauthRecord, lacking: Lacking) -> Iterable[Outcome]:
        """See that it goes on."""
        del lacking
        waited = self._awaited.take(oauth.asked.client_id or "")
        return () if waited is None else (kept(record.number, Party(waited.revision, None)),)

    def due(self, now: float) -> Iterable[Outcome]:
        """Return who has not gone on."""
        return [as_of(broken, deadline) for _, deadline, broken in self._awaited.overdue(now)]


class StepUpRefreshed(OverSteps):
    """A client that lacks a scope refreshes its token, and is refused again."""

    def refused(
        self, record: ExchangeRecord, oauth: OauthRecord, lacking: Lacking, before: Lacking | None
    ) -> Iterable[Outcome]:
        """Compare a refusal with the one before it."""
        token = lacking.token
        if before is None or before.what != lacking.what or token.at < before.at:
            return ()
        if token.grant != "refresh_token" or token.scope.issuperset(before.needed):
            return ()
        return (
            self.broken(
                record,
                oauth,
                f"{lacking.what} was refused for want of {scope_text(before.needed)}; the"
                f" token was refreshed, which gave it {scope_text(sorted(token.scope))}, and the call was"
                " refused again",
                "absence:GET authorize",
                found="grant_type=refresh_token",
                wanted=f"an authorization request for {scope_text(before.needed)}",
            ),
        )

    def follows(self, record: ExchangeRecord, oauth: OauthRecord, lacking: Lacking) -> Iterable[Outcome]:
        """See that a client asks its user instead."""
        del lacking
        return (self.held(record, oauth),) if oauth.leg == "authorize" else ()


class StepUpDropsScope(OverSteps):
    """A client that asks for more scope gives up what it had."""

    def follows(self, record: ExchangeRecord, oauth: OauthRecord, lacking: Lacking) -> Iterable[Outcome]:
        """Compare what is asked for with what was granted."""
        asked = oauth.asked.scope
        if oauth.leg != "authorize" or asked is None:
            return ()
        lost = lacking.token.scope.difference(asked, {_REFRESHES_ONLY})
        if not lost:
            return (self.held(record, oauth),)
        return (
            self.broken(
                record,
                oauth,
                f"After {lacking.what} was refused, {scope_text(asked)} is asked for, and"
                f" {scope_text(sorted(lost))} given up",
                "query:scope",
                found=scope_text(asked),
                wanted=scope_text(sorted(lacking.token.scope.union(lacking.needed))),
            ),
        )


class StepUpLoop(OverSteps):
    """A client asks for authorization again and again."""

    def __init__(self) -> None:
        super().__init__()
        self._times: Remembered[str, list[float]] = Remembered(MOST)

    def follows(self, record: ExchangeRecord, oauth: OauthRecord, lacking: Lacking) -> Iterable[Outcome]:
        """Count the authorization requests that refusals have led to."""
        del lacking
        if oauth.leg != "authorize":
            return ()
        client_id = oauth.asked.client_id or ""
        times = [at for at in self._times.get(client_id) or () if 0 <= record.at - at <= FOLLOWS_WITHIN]
        times = self._times.put(client_id, [*times[-20:], record.at])
        if len(times) <= FEW:
            return (self.held(record, oauth),)
        return (
            self.broken(
                record,
                oauth,
                f"{len(times)} authorizations in {seconds(times[-1] - times[0])} have followed refusals for"
                " scope",
                "query:scope",
                found=f"{len(times)} in {seconds(times[-1] - times[0])}",
                wanted=f"no more than {FEW}",
                key=f"{client_id} {times[0]}",
            ),
        )


ROWS = (
    Rule(
        id="step-up-ignored",
        level="warning",
        keyword="SHOULD",
        confidence="likely",
        title="A client that is told which scope it lacks asks for it.",
        advice="After 403 with insufficient_scope send a new authorization request with the scope that the"
        " challenge names beside those that were granted, or tell the user.",
        pages=STEP_UP,
        conformance="scope-step-up-escalation",
        begin=StepUpIgnored,
    ),
    Rule(
        id="step-up-refreshed",
        level="error",
        keyword="SHOULD",
        title="A client that lacks a scope asks for authorization, rather than for a fresh token.",
        advice="A refresh grants no more than was granted before: send an authorization request with the"
        " scope of the challenge.",
        pages=STEP_UP,
        conformance="scope-step-up-escalation",
        begin=StepUpRefreshed,
    ),
    Rule(
        id="step-up-drops-scope",
        level="warning",
        keyword="SHOULD",
        title="A client that asks for more scope asks for what it has as well.",
        advice="Ask for the union of the scopes that were granted and those that the challenge names.",
        pages=STEP_UP,
        conformance="sep-2350-scope-union-on-reauth",
        begin=StepUpDropsScope,
    ),
    Rule(
        id="step-up-loop",
        level="warning",
        keyword="SHOULD",
        title="A client gives up after a few authorizations that do not help.",
        advice="Count the authorizations for one request, and tell the user after two or three.",
        pages=STEP_UP,
        conformance="scope-retry-limit",
        begin=StepUpLoop,
    ),
)
