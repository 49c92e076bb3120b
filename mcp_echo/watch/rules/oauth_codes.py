"""What becomes of authorization codes: redeemed, once, with the right verifier, or never. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mcp_echo.watch.oauth_records import OauthRecord
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.memory import Awaited, Remembered
from mcp_echo.watch.rules.oauth_legs import MOST, OverLegs, Party, kept
from mcp_echo.watch.rules.oauth_memory import Request, Requests
from mcp_echo.watch.rules.over_time import answered, as_of, clock, seconds
from mcp_echo.watch.rules.pages import CODE_PROTECTION, rfc
from mcp_echo.watch.rules.rule import Broken, Outcome, Rule

REDEEMED_WITHIN = 60.0
"""Seconds in which a client redeems a code that its user's browser was sent back with."""


class VerifierWrong(OverLegs):
    """A code is redeemed with the verifier of its challenge."""

    def __init__(self) -> None:
        super().__init__()
        self._requests = Requests()

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterator[Outcome]:
        """Compare what the verifier proves with the challenge that the code was asked for with."""
        self._requests.note(record, oauth)
        request = self._requests.of(oauth.asked.code) if oauth.leg == "token" else None
        if request is None or request.challenge is None or request.method != "S256":
            return
        if oauth.asked.proves == request.challenge:
            yield self.held(record, oauth)
            return
        missing = oauth.asked.proves is None
        yield self.broken(
            record,
            oauth,
            "The code was asked for with a code_challenge, and "
            + ("no code_verifier came with it" if missing else "the code_verifier is not the one of it"),
            "body:code_verifier",
            found="no code_verifier" if missing else f"one for the code_challenge {oauth.asked.proves}",
            wanted=f"the code_verifier for {request.challenge}",
        )


class CodeReused(OverLegs):
    """A code is redeemed once."""

    def __init__(self) -> None:
        super().__init__()
        self._spent: Remembered[str, float] = Remembered(MOST)
        """Code → when it was redeemed."""

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterator[Outcome]:
        """Compare a code with those that are spent."""
        code = oauth.asked.code
        if oauth.leg != "token" or code is None:
            return
        spent = self._spent.get(code)
        if spent is not None:
            yield self.broken(
                record,
                oauth,
                f"A code came again {seconds(record.at - spent)} after it was redeemed",
                "body:code",
                found=f"#{code}",
                wanted="a refresh token, or a new authorization request",
            )
        elif oauth.answered.token is not None:
            self._spent.put(code, answered(record))
            yield self.held(record, oauth)


class CodeNotRedeemed(OverLegs):
    """A browser is sent back with a code, and its client does not redeem it."""

    def __init__(self) -> None:
        super().__init__()
        self._requests = Requests()
        self._awaited: Awaited[str, Broken] = Awaited()
        self._done: Remembered[str, bool] = Remembered(MOST)
        """Authorization requests of which a code was redeemed: a page that is loaded again makes another."""

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterable[Outcome]:
        """Wait for a code, and for what it was asked for with."""
        request = self._requests.note(record, oauth)
        if request is not None:
            self._issued(record, oauth, request)
        elif oauth.leg == "token" and oauth.asked.code is not None:
            return self._redeemed(record, oauth)
        return ()

    def due(self, now: float) -> Iterable[Outcome]:
        """Return which codes have not come."""
        return [as_of(broken, deadline) for _, deadline, broken in self._awaited.overdue(now)]

    def _issued(self, record: ExchangeRecord, oauth: OauthRecord, request: Request) -> None:
        if request.same in self._done or self._awaited.get(request.same) is not None:
            return
        at = clock(answered(record))
        self._awaited.put(
            request.same,
            answered(record) + REDEEMED_WITHIN,
            self.broken(
                record,
                oauth,
                f"The browser was sent back with a code at {at}, and the client has not redeemed it",
                "absence:POST token",
                wanted=f"a token request with the code #{oauth.answered.code}",
            ),
        )

    def _redeemed(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterable[Outcome]:
        request = self._requests.of(oauth.asked.code)
        if request is None:
            return ()
        self._done.put(request.same, True)
        waited = self._awaited.take(request.same)
        return () if waited is None else (kept(record.number, Party(waited.revision, None)),)


ROWS = (
    Rule(
        id="verifier-wrong",
        level="error",
        keyword="MUST",
        title="A code is redeemed with the code_verifier of its code_challenge.",
        advice="Keep the verifier with the authorization request that it was made for, and send it with the"
        " code of that one. Two requests at a time must not share a place for it.",
        pages=CODE_PROTECTION,
        url=rfc(7636, "4.6"),
        conformance="pkce-verifier-matches-challenge",
        begin=VerifierWrong,
    ),
    Rule(
        id="consent-not-returned",
        level="error",
        confidence="likely",
        title="A client redeems the code that the browser comes back with.",
        advice="Look at whether the browser could reach the redirect URI: the client's port may be closed, or"
        " its page may have refused state or iss. Look at what it logs there.",
        url=rfc(6749, "4.1.3"),
        begin=CodeNotRedeemed,
    ),
    Rule(
        id="code-reused",
        level="error",
        keyword="MUST NOT",
        title="A code is used once.",
        advice="Send a code once. A server that sees it twice may take back what it has issued for it.",
        url=rfc(6749, "4.1.2"),
        begin=CodeReused,
    ),
)
