"""What authorization and token requests have to bring: PKCE, state, resource, scope. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mcp_echo.http.differences import MILD, differs_in
from mcp_echo.watch.oauth_records import OauthRecord
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.facts import listed
from mcp_echo.watch.rules.memory import Remembered
from mcp_echo.watch.rules.oauth_legs import OverLegs, scope_text
from mcp_echo.watch.rules.oauth_memory import Resource
from mcp_echo.watch.rules.pages import (
    CODE_PROTECTION,
    R2025_11_25,
    R2026_07_28,
    REDIRECTION,
    RESOURCE,
    authorization,
)
from mcp_echo.watch.rules.rule import Outcome, Rule


class PkceMissing(OverLegs):
    """An authorization request has a code challenge, by S256."""

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterator[Outcome]:
        """Look at an authorization request."""
        if oauth.leg != "authorize":
            return
        said = oauth.asked
        if said.code_challenge is None:
            problem, subject = "has no code_challenge", "query:code_challenge"
        elif said.code_challenge_method != "S256":
            method = said.code_challenge_method or "plain, which is what is meant without one"
            problem, subject = f"has the code_challenge_method {method}", "query:code_challenge_method"
        else:
            yield self.held(record, oauth)
            return
        yield self.broken(
            record,
            oauth,
            f"The authorization request {problem}",
            subject,
            found=said.code_challenge_method,
            wanted="a code_challenge with the code_challenge_method S256",
        )


class StateMissing(OverLegs):
    """An authorization request has a state."""

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterator[Outcome]:
        """Look at an authorization request."""
        if oauth.leg == "authorize" and oauth.asked.state is not None:
            yield self.held(record, oauth)
        elif oauth.leg == "authorize":
            yield self.broken(
                record,
                oauth,
                "The authorization request has no state: some servers insist on one, and the client cannot"
                " tell its own answers from those of others by it",
                "query:state",
                wanted="a state that nobody can guess",
            )


def _names_resource(oauth: OauthRecord) -> bool:
    """Return whether a leg is one that names the resource."""
    grants = ("authorization_code", "refresh_token")
    return oauth.leg == "authorize" or (oauth.leg == "token" and oauth.asked.grant in grants)


def _place(oauth: OauthRecord) -> str:
    return f"{'query' if oauth.leg == 'authorize' else 'body'}:resource"


class ResourceMissing(OverLegs):
    """Authorization and token requests name the resource."""

    def __init__(self) -> None:
        super().__init__()
        self._resource = Resource()

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterator[Outcome]:
        """Look at a request that names one."""
        self._resource.note(oauth)
        if not _names_resource(oauth):
            return
        if oauth.asked.resource:
            yield self.held(record, oauth)
            return
        yield self.broken(
            record,
            oauth,
            f"resource is missing at {oauth.leg}{self._grant(oauth)}",
            _place(oauth),
            wanted=self._resource.address,
        )

    def _grant(self, oauth: OauthRecord) -> str:
        return f" ({oauth.asked.grant})" if oauth.leg == "token" else ""


class ResourceDiffers(OverLegs):
    """A resource is named as its metadata names it."""

    def __init__(self) -> None:
        super().__init__()
        self._resource = Resource()

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterator[Outcome]:
        """Compare the resource that a request names."""
        self._resource.note(oauth)
        named, wanted = oauth.asked.resource, self._resource.address
        if not _names_resource(oauth) or not named or wanted is None:
            return
        if wanted in named:
            yield self.held(record, oauth)
            return
        parts = differs_in(named[0], wanted)
        yield self.broken(
            record,
            oauth,
            f"resource is {named[0]} at {oauth.leg}, the metadata says {wanted}; they differ in"
            f" {listed(parts)}",
            _place(oauth),
            found=named[0],
            wanted=wanted,
            differs_in=parts,
            level="warning" if MILD.issuperset(parts) else None,
        )


class ScopeNotFromChallenge(OverLegs):
    """An authorization request asks for what the challenge before it needs."""

    def __init__(self) -> None:
        super().__init__()
        self._needed: Remembered[str, tuple[str, ...]] = Remembered()

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterable[Outcome]:
        """Remember a challenge, and compare an authorization request."""
        scope = oauth.answered.scope
        if oauth.leg == "challenge" and scope is not None:
            self._needed.put(record.address, scope)
        if oauth.leg != "authorize":
            return ()
        needed = self._needed.get(self.parties.address_of(record, oauth))
        if needed is None:
            return ()
        wanted = set(needed)
        if wanted <= set(oauth.asked.scope or ()):
            return (self.held(record, oauth),)
        return (
            self.broken(
                record,
                oauth,
                f"The challenge asked for {scope_text(needed)}, and {scope_text(oauth.asked.scope)} was"
                " requested",
                "query:scope",
                found=scope_text(oauth.asked.scope),
                wanted=scope_text(needed),
            ),
        )


ROWS = (
    Rule(
        id="pkce-missing",
        level="error",
        keyword="MUST",
        title="An authorization request has a code challenge by S256.",
        advice="Send code_challenge and code_challenge_method=S256 with the authorization request, and the"
        " code_verifier with the token request.",
        pages=CODE_PROTECTION,
        conformance="pkce-code-challenge-sent",
        begin=PkceMissing,
    ),
    Rule(
        id="state-missing",
        level="warning",
        keyword="SHOULD",
        title="An authorization request has a state.",
        advice="Send a state that nobody can guess, and take no answer that does not bring it back.",
        pages=REDIRECTION,
        begin=StateMissing,
    ),
    Rule(
        id="resource-missing",
        level="error",
        keyword="MUST",
        title="Authorization and token requests name the resource.",
        advice="Send resource, with the value in the metadata of the resource, with both requests, whether"
        " the authorization server reads it or not.",
        pages=RESOURCE,
        conformance="resource-parameter-in-authorization",
        begin=ResourceMissing,
    ),
    Rule(
        id="resource-differs",
        level="error",
        keyword="MUST",
        title="A resource is named as its metadata names it.",
        advice="Send the metadata's resource value unchanged: parsing and printing a URL adds a slash in many"
        " languages.",
        pages=RESOURCE,
        conformance="resource-parameter-valid-uri",
        begin=ResourceDiffers,
    ),
    Rule(
        id="scope-not-from-challenge",
        level="warning",
        keyword="SHOULD",
        title="An authorization request asks for the scope that the challenge names.",
        advice="Take scope from WWW-Authenticate of the challenge before anything else; add to it what was"
        " granted before.",
        pages=authorization("scope-selection-strategy", R2025_11_25, R2026_07_28),
        conformance="scope-from-www-authenticate",
        begin=ScopeNotFromChallenge,
    ),
)
