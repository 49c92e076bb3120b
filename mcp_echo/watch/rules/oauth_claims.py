"""What a token that is refused says of itself: time, audience, issuer, algorithm, scope. No I/O.

Nothing is verified here: a token is looked at where it was refused, for what explains that.
"""

from __future__ import annotations

from collections.abc import Iterable

from mcp_echo.http.differences import differs_in
from mcp_echo.watch.oauth_records import OauthRecord, TokenClaims
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.facts import credential_of, listed
from mcp_echo.watch.rules.oauth_legs import OverLegs, kept, scope_text
from mcp_echo.watch.rules.oauth_memory import Resource, Tokens
from mcp_echo.watch.rules.over_time import clock, seconds
from mcp_echo.watch.rules.pages import R2025_11_25, R2026_07_28, TOKEN_HANDLING, authorization, rfc
from mcp_echo.watch.rules.rule import Broken, Outcome, Rule

_SYMMETRIC = ("HS256", "HS384", "HS512")
_OF_KEYS = ("signature", "signed", "key", "kid", "algorithm")
"""Words of a refusal that is about the signature."""


class AboutClaims(OverLegs):
    """A rule about what a token says; held by one that is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = Tokens()
        self.resource = Resource()

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterable[Outcome]:
        """Look at a token that is refused."""
        self.resource.note(oauth)
        self.tokens.note(record, oauth, self.parties.of(record, oauth))
        claims = oauth.asked.claims
        if oauth.leg != "challenge" or record.status != 401 or claims is None:
            return ()
        broken = self.problem(record, oauth, claims)
        return () if broken is None else (broken,)

    def call(self, record: ExchangeRecord) -> Iterable[Outcome]:
        """Notice a token that is taken, where what it says is known."""
        token = credential_of(record) if self.resource.address is not None else None
        issued = self.tokens.of(token)
        if issued is None or issued.claims is None or (record.status or 500) >= 400:
            return ()
        return (kept(record.number, issued.party),)

    def problem(self, record: ExchangeRecord, oauth: OauthRecord, claims: TokenClaims) -> Broken | None:
        """Return what is wrong with a token that was refused; None where it is not this."""
        raise NotImplementedError

    def says(
        self,
        record: ExchangeRecord,
        oauth: OauthRecord,
        summary: str,
        found: str | None,
        wanted: str | None,
        differs: tuple[str, ...] = (),
    ) -> Broken:
        """Return what is wrong, once for each token."""
        return self.broken(
            record,
            oauth,
            summary,
            record.line_of("Authorization"),
            found=found,
            wanted=wanted,
            differs_in=differs,
            key=oauth.asked.token or "",
        )


class TokenExpired(AboutClaims):
    """A token is used while it lasts."""

    def problem(self, record: ExchangeRecord, oauth: OauthRecord, claims: TokenClaims) -> Broken | None:
        """Compare ``exp`` with the clock."""
        if claims.expires is None or claims.expires > record.at:
            return None
        return self.says(
            record,
            oauth,
            f"The token has expired {seconds(record.at - claims.expires)} before, by the clock of this server"
            f" ({clock(record.at)})",
            f"exp {claims.expires:.0f}",
            f"exp after {record.at:.0f}",
        )


class TokenNotYet(AboutClaims):
    """A token is used once it counts."""

    def problem(self, record: ExchangeRecord, oauth: OauthRecord, claims: TokenClaims) -> Broken | None:
        """Compare ``nbf`` with the clock."""
        if claims.not_before is None or claims.not_before <= record.at:
            return None
        return self.says(
            record,
            oauth,
            f"The token counts only {seconds(claims.not_before - record.at)} from now, by the clock of this"
            f" server ({clock(record.at)})",
            f"nbf {claims.not_before:.0f}",
            f"nbf before {record.at:.0f}",
        )


class TokenAudience(AboutClaims):
    """A token is made for this resource."""

    def problem(self, record: ExchangeRecord, oauth: OauthRecord, claims: TokenClaims) -> Broken | None:
        """Compare ``aud`` with the resource."""
        resource = self.resource.address
        if resource is None or resource in claims.audience:
            return None
        found = " and ".join(claims.audience)
        parts = differs_in(claims.audience[0], resource) if len(claims.audience) == 1 else ()
        how = f"; they differ in {listed(parts)}" if parts else ""
        said = f"aud is {found}" if found else "There is no aud"
        return self.says(record, oauth, f"{said}, this resource is {resource}{how}", found, resource, parts)


class TokenIssuer(AboutClaims):
    """A token is of a server that the resource names."""

    def problem(self, record: ExchangeRecord, oauth: OauthRecord, claims: TokenClaims) -> Broken | None:
        """Compare ``iss`` with the authorization servers of the resource."""
        servers = self.resource.servers
        if not servers or claims.issuer in servers:
            return None
        found = claims.issuer or "no iss"
        parts = differs_in(found, servers[0]) if len(servers) == 1 and claims.issuer else ()
        how = f"; they differ in {listed(parts)}" if parts else ""
        return self.says(
            record,
            oauth,
            f"The token is of {found}, the resource takes those of {listed(servers)}{how}",
            found,
            " or ".join(servers),
            parts,
        )


class TokenSignature(AboutClaims):
    """A token has a signature that a public key proves."""

    def problem(self, record: ExchangeRecord, oauth: OauthRecord, claims: TokenClaims) -> Broken | None:
        """Look at the algorithm, and at what the refusal says."""
        algorithm = claims.algorithm or "no algorithm"
        said = oauth.answered.description or ""
        if algorithm.lower() == "none":
            reason = "The token has no signature (alg none)"
        elif algorithm in _SYMMETRIC:
            reason = f"The token is signed with {algorithm}, whose key would have to be secret on both sides"
        elif any(word in said.lower().split() for word in _OF_KEYS):
            reason = f"The signature was not taken ({algorithm}): {said.rstrip('.')}"
        else:
            return None
        return self.says(record, oauth, reason, algorithm, "a signature by a key of the issuer's JWKS")


class TokenScope(OverLegs):
    """A token has the scope that a request needs."""

    def __init__(self) -> None:
        super().__init__()
        self._tokens = Tokens()

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterable[Outcome]:
        """Compare what was needed with what a token has."""
        self._tokens.note(record, oauth, self.parties.of(record, oauth))
        if oauth.leg != "challenge" or record.status != 403 or oauth.answered.scope is None:
            return ()
        issued, claims = self._tokens.of(oauth.asked.token), oauth.asked.claims
        has = None if claims is None else claims.scope
        if issued is not None:
            has = tuple(sorted(issued.scope))
        if has is None:
            return ()
        return (
            self.broken(
                record,
                oauth,
                f"The request needs {scope_text(oauth.answered.scope)}, the token has {scope_text(has)}",
                record.line_of("Authorization"),
                found=scope_text(has),
                wanted=scope_text(oauth.answered.scope),
                key=f"{oauth.asked.token} {scope_text(oauth.answered.scope)}",
            ),
        )

    def call(self, record: ExchangeRecord) -> Iterable[Outcome]:
        """Notice a token that is taken."""
        issued = self._tokens.of(credential_of(record)) if len(self._tokens) else None
        if issued is None or (record.status or 500) >= 400:
            return ()
        return (kept(record.number, issued.party),)


ROWS = (
    Rule(
        id="token-expired",
        level="info",
        title="A token is used while it lasts.",
        advice="Nothing is wrong where a refresh follows. Compare the clocks of the issuer and of this server"
        " where the token is new.",
        pages=TOKEN_HANDLING,
        begin=TokenExpired,
    ),
    Rule(
        id="token-not-yet",
        level="error",
        title="A token is used once it counts.",
        advice="Set the clock of the issuer, or that of this server: nbf lies ahead of this server's time.",
        pages=TOKEN_HANDLING,
        url=rfc(7519, "4.1.5"),
        begin=TokenNotYet,
    ),
    Rule(
        id="token-audience",
        level="error",
        keyword="MUST NOT",
        title="A token is made for the resource that it is sent to.",
        advice="Send resource with the value of the metadata to the authorization server, and have it put"
        " that into aud: many servers take the client id, or an API that they have registered.",
        pages=TOKEN_HANDLING,
        begin=TokenAudience,
    ),
    Rule(
        id="token-issuer",
        level="error",
        keyword="MUST NOT",
        title="A token is of an authorization server that the metadata of the resource names.",
        advice="Ask the server that authorization_servers names for a token. Where the two are one, have it"
        " write iss as its metadata does, byte for byte.",
        pages=TOKEN_HANDLING,
        begin=TokenIssuer,
    ),
    Rule(
        id="token-signature",
        level="error",
        title="A token has a signature that a key of its issuer proves.",
        advice="Have the issuer sign with a key of its JWKS, and name the key in kid.",
        url=rfc(8725, "3.1"),
        begin=TokenSignature,
    ),
    Rule(
        id="token-scope",
        level="info",
        title="A token has the scope that a request needs.",
        advice="Nothing is wrong where the client asks for more now. Else grant the scope, or name it in the"
        " first challenge.",
        pages=authorization("scope-challenge-handling", R2025_11_25, R2026_07_28),
        begin=TokenScope,
    ),
)
