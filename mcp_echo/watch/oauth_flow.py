"""What one client does to be let in by OAuth, step by step. No I/O."""

from __future__ import annotations

from typing import NamedTuple

from mcp_echo.protocol.texts import timestamp
from mcp_echo.watch.findings import ClientName, Flow, FlowState
from mcp_echo.watch.legacy_flow import failure_of
from mcp_echo.watch.oauth_records import OauthRecord
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.facts import listed
from mcp_echo.watch.rules.oauth_legs import Party, scope_text
from mcp_echo.watch.rules.oauth_memory import Requests, Resource
from mcp_echo.watch.rules.oauth_tokens import described
from mcp_echo.watch.rules.over_time import answered, called, clock, seconds
from mcp_echo.watch.steps import Steps

STEPS = (
    "challenge",
    "resource-metadata",
    "server-metadata",
    "register",
    "authorize",
    "consent",
    "token",
    "first-call",
    "refresh",
    "step-up",
)
OPTIONAL = frozenset(STEPS)
"""Whoever is registered, knows the metadata, or is asked for no consent leaves steps out."""

WITHIN = {
    "resource-metadata": 30.0,
    "server-metadata": 30.0,
    "authorize": 60.0,
    "consent": 300.0,
    "token": 60.0,
    "first-call": 30.0,
    "refresh": 60.0,
    "step-up": 60.0,
}
"""Step → seconds in which it comes once the one before it is done; a person needs longer than a program."""

ELSEWHERE_WITHIN = 300.0
"""Seconds for all that a client and its user do at an authorization server whose legs are not seen."""

_MISSES = {
    "resource-metadata": "the client has not asked for the metadata of the resource since",
    "server-metadata": "that of its authorization server has not been asked for since",
    "authorize": "nobody has come to authorize since",
    "consent": "nobody has answered it",
    "token": "the client has not redeemed it",
    "first-call": "no token has come since",
    "refresh": "no refresh token has come since",
    "step-up": "the client has not asked for it",
}

_LOOK_UPS = frozenset({"resource-metadata", "server-metadata"})

_AT = "\0"
"""Where the time goes in a sentence, which has texts of clients in it: none of these has one."""

_MOST_LISTED = 3
_MOST_TOKENS = 50


class _Next(NamedTuple):
    """The step that should come next."""

    step: str
    deadline: float
    fact: str
    """What has come, and when."""


class _Lacking(NamedTuple):
    """A call that was refused for its scope."""

    what: str
    at: float
    scope: str


class OauthFlow:
    """The flow of one client.

    Args:
        record: The first exchange of it.
        party: Whose it is.
    """

    def __init__(self, record: ExchangeRecord, party: Party) -> None:
        self.number = record.number
        """That of its first record."""
        self.steps = Steps(STEPS)
        self.begun = record.at
        self.client_id: str | None = None
        self.likely = False
        """Whether some of it was joined by the address that it came from, which others may have as well."""
        self.party = party
        self.has_begun = False
        """Whether there is any OAuth: a client that finds no metadata has learned that there is none."""
        self._client = None if party.client is None else ClientName(party.client)
        self._resource = Resource()
        self._next: _Next | None = None
        self._failed: str | None = None
        """How the last leg that came to nothing did, as long as nothing has come of another."""
        self._lacking: _Lacking | None = None
        self._requests = Requests()
        self._redeemed: dict[str, None] = {}
        """Authorization requests of which a code was redeemed: a page that is loaded again makes another."""
        self._issued: float | None = None
        """When the first token was issued."""
        self.tokens: dict[str, None] = {}
        """The access tokens that were issued in it."""
        self._used: dict[str, None] = {}
        """The tokens that something has come with."""
        self._calls = 0
        self._last = record.at
        self._since: list[str] = []
        """What has come instead of the token that is awaited."""

    @property
    def is_over(self) -> bool:
        """Whether its client was let in, and is not on the way to more."""
        return self._calls > 0 and self._next is None

    @property
    def awaits_token(self) -> bool:
        """Whether the first request with a token is awaited, whoever has issued it."""
        return self._next is not None and self._next.step == "first-call"

    # What comes.

    def leg(self, record: ExchangeRecord, oauth: OauthRecord, party: Party) -> None:
        """Take the step that a leg is."""
        self._resource.note(oauth)
        self.has_begun |= oauth.leg not in _LOOK_UPS or record.status == 200
        if self.party.revision is None:
            self.party = party
        client_id = oauth.asked.client_id or oauth.answered.client_id or self.client_id
        self.likely |= self.client_id not in (None, client_id)
        self.client_id = client_id
        take = {
            "challenge": self._challenge,
            "resource-metadata": self._resource_metadata,
            "server-metadata": self._server_metadata,
            "register": self._register,
            "authorize": self._authorization,
            "consent": self._authorization,
            "token": self._token,
        }
        take[oauth.leg](record, oauth)

    def call(self, record: ExchangeRecord, token: str) -> None:
        """Take a request that comes with a token, and is not refused for it."""
        if record.client is not None:
            self._client = ClientName(record.client, record.client_version)
        is_new = token not in self._used
        if is_new:
            self.steps.take("first-call", record.number, record.at)
        if len(self._used) < _MOST_TOKENS:
            self._used[token] = None
        self._calls += 1
        self._last = record.at
        self._failed = None
        if is_new or (self._next is not None and self._next.step == "refresh"):
            self._next = self._lacking = None

    def other(self, record: ExchangeRecord) -> None:
        """Note what comes from the address of the client instead of a token."""
        if self.awaits_token and len(self._since) < _MOST_LISTED:
            self._since.append(described(record))

    def _challenge(self, record: ExchangeRecord, oauth: OauthRecord) -> None:
        if record.status == 403:
            self._insufficient(record, oauth)
            return
        again = "challenge" in self.steps
        self.steps.take("challenge", record.number, record.at, again=again)
        if oauth.asked.token is not None:
            self._failed = None
            step = "authorize" if self._issued is None else "refresh"
            self._await(step, record, f"The token was refused at {_AT}")
        elif not again:
            self._await("resource-metadata", record, f"The client was challenged at {_AT}")

    def _insufficient(self, record: ExchangeRecord, oauth: OauthRecord) -> None:
        what = called(record.messages[0]) if record.messages else record.http_method
        lacking = _Lacking(what, answered(record), scope_text(oauth.answered.scope))
        again = self._lacking is not None and self._lacking.what == what
        if again:
            text = f"403 at {clock(lacking.at)}"
            self.steps.take("step-up", record.number, record.at, failure=text)
            self._next = None
            self._failed = f"{what} was refused for want of {lacking.scope} again at {clock(lacking.at)}"
        else:
            fact = f"{what} was refused at {_AT} for want of {lacking.scope}"
            self._await("step-up", record, fact)
        self._lacking = lacking

    def _resource_metadata(self, record: ExchangeRecord, _oauth: OauthRecord) -> None:
        if not self._take("resource-metadata", record) or self._issued is not None or self._calls:
            return
        if not self._resource.is_its_own_server:
            there = listed(self._resource.servers) if self._resource.servers else "nobody"
            fact = f"The client was sent to {there} at {_AT}, which is not seen here"
            self._await("first-call", record, fact, ELSEWHERE_WITHIN)
        elif "server-metadata" not in self.steps:
            self._await("server-metadata", record, f"The metadata of the resource was read at {_AT}")

    def _server_metadata(self, record: ExchangeRecord, _oauth: OauthRecord) -> None:
        if self._take("server-metadata", record) and not self.steps.worked(("authorize",)):
            self._await("authorize", record, f"The client knows the authorization server since {_AT}")

    def _register(self, record: ExchangeRecord, oauth: OauthRecord) -> None:
        if self._attempt("register", record, oauth):
            self._await("authorize", record, f"{self.client_id or 'The client'} was registered at {_AT}")

    def _authorization(self, record: ExchangeRecord, oauth: OauthRecord) -> None:
        request = self._requests.note(record, oauth)
        again = request is not None and request.same in self._redeemed
        if not self._attempt(oauth.leg, record, oauth) or again:
            return
        if self._lacking is not None and oauth.leg == "authorize":
            self.steps.take("step-up", record.number, record.at)
        if oauth.answered.code is not None:
            self._await("token", record, f"The browser was sent back with a code at {_AT}")
        elif oauth.answered.asks:
            self._await("consent", record, f"The page that asks for consent was shown at {_AT}")

    def _token(self, record: ExchangeRecord, oauth: OauthRecord) -> None:
        refreshes = oauth.asked.grant == "refresh_token"
        if not self._attempt("refresh" if refreshes else "token", record, oauth):
            return
        request = self._requests.of(oauth.asked.code)
        if request is not None and len(self._redeemed) < _MOST_TOKENS:
            self._redeemed[request.same] = None
        if oauth.answered.token is not None and len(self.tokens) < _MOST_TOKENS:
            self.tokens[oauth.answered.token] = None
        self._issued = self._issued or answered(record)
        self._since = []
        if refreshes:
            self._next = None
        else:
            self._await("first-call", record, f"A token was issued at {_AT}")

    def _take(self, step: str, record: ExchangeRecord) -> bool:
        """Take a step; return whether it has come to something."""
        failure = failure_of(record)
        self.steps.take(
            step,
            record.number,
            record.at,
            failure=None if failure is None else f"{failure} at {clock(answered(record))}",
            again=step in self.steps,
        )
        return failure is None

    def _attempt(self, step: str, record: ExchangeRecord, oauth: OauthRecord) -> bool:
        """Take a step that the flow ends with where it fails; return whether it has come to something."""
        failure = oauth.answered.error or failure_of(record)
        at = clock(answered(record))
        text = None if failure is None else f"{failure} at {at}"
        again = step in self.steps and self._lacking is None and step != "refresh"
        self.steps.take(step, record.number, record.at, failure=text, again=again)
        if failure is not None:
            said = oauth.answered.description
            self._next = None
            self._failed = f"{step} got {text}" + (f": {said.rstrip('.')}" if said else "")
            return False
        self._failed = None
        return True

    def _await(self, step: str, record: ExchangeRecord, fact: str, within: float | None = None) -> None:
        at = answered(record)
        self._next = _Next(step, at + (within or WITHIN[step]), fact.replace(_AT, clock(at)))

    # What is told.

    def flow(self, now: float) -> Flow:
        """Return the flow as it stands.

        Args:
            now: Seconds of the wall clock.
        """
        late = self._next is not None and now >= self._next.deadline
        state, verdict = self._verdict(late=late)
        missing = (self._next.step,) if late and self._next is not None else ()
        return Flow(
            kind="oauth",
            state=state,
            verdict=verdict,
            steps=self.steps.shown(missing, OPTIONAL if state != "running" else ()),
            client=self._client,
            revision=self.party.revision,
            likely=self.likely,
            begun=timestamp(self.begun),
        )

    def _verdict(self, *, late: bool) -> tuple[FlowState, str]:
        if self._failed is not None:
            return "failed", self._failed
        if self._next is not None:
            return (
                ("stopped", self._stopped(self._next))
                if late
                else ("running", f"{self._next.fact}; {self._next.step} may come yet")
            )
        if self._calls:
            return "complete", self._done()
        return "running", "Nothing has come that says how it goes on"

    def _stopped(self, then: _Next) -> str:
        if then.step == "first-call" and self._issued is not None:
            since = listed(self._since) if self._since else "nothing"
            return f"{then.fact} and nothing has come with it; from that address came since: {since}"
        return f"{then.fact}, and {_MISSES[then.step]}"

    def _done(self) -> str:
        how = "registered itself" if "register" in self.steps else "was known before"
        who = "" if self.client_id is None else f"{self.client_id} {how}; "
        came = "" if self._issued is None else f"a token came {seconds(self._issued - self.begun)} later; "
        failures = self.steps.failures(("token", "refresh", "step-up"))
        return (
            f"The way in was begun at {clock(self.begun)}; {who}{came}{self._requested()} with a token, the"
            f" last at {clock(self._last)}{failures}"
        )

    def _requested(self) -> str:
        return "1 request" if self._calls == 1 else f"{self._calls} requests"
