"""Who may use a protected trace: those who bring a token that is good there, with the scopes they need.

https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization#access-token-usage
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from mcp_echo.auth import jwt
from mcp_echo.eras.methods import read_call
from mcp_echo.faults.orders import token_order
from mcp_echo.http.urls import server_url
from mcp_echo.oauth.keys import SIGNING_KEY
from mcp_echo.oauth.names import OTHER_SERVER, Names, names_at
from mcp_echo.oauth.protection import PROTECTION, Protection, missing, scopes_in
from mcp_echo.oauth.state import AUTHORIZATION, MOST_TOKENS, OTHER_AUTHORIZATION, key_of
from mcp_echo.oauth.verify import Expected, Explained, Judged, Key, judge, scope_check
from mcp_echo.oauth.wanted import protection_of_plain
from mcp_echo.protocol.errors import (
    McpError,
    TracesUnavailable,
)
from mcp_echo.protocol.jsonrpc import Message, Request
from mcp_echo.protocol.modern import read_params
from mcp_echo.settings.table import Settings
from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.transport.edge.head import text_of
from mcp_echo.transport.oauth.challenges import challenge, insufficient, refusal
from mcp_echo.transport.oauth.issuers import IssuerKeys
from mcp_echo.transport.oauth.leases import Lease, TokenLease
from mcp_echo.transport.oauth.signing import TraceKeys
from mcp_echo.watch.insight import Insight
from mcp_echo.watch.rules.memory import Remembered
from mcp_echo.watch.traces import Trace

MOST_TAKEN = 2000
"""Tokens that are known to be good, so that nothing is calculated for their next request."""


HEARD_SECONDS = 2.0
"""Seconds in which a node hears that another one has revoked a token."""


class TokenKey(NamedTuple):
    """What a token is known by that was brought to a resource."""

    digest: bytes
    """SHA-256 of all of it."""
    resource: str


class TakenToken(NamedTuple):
    """A token that is good for one resource."""

    scopes: tuple[str, ...]
    owner: str
    """Who has it: issuer and subject."""
    expires: float
    jti: bytes | None
    """What its trace keeps it as; None for a token of an outside issuer."""
    keys: object
    """What it was verified with: another object once the keys have changed."""
    token_order: int
    """The newest order for a faulty token that there was in its trace; 0 for none."""


class TokenGuard:
    """Lets requests to protected traces through, or says what they lack.

    Args:
        insight: The traces.
        keys: Their signing keys.
        issuers: The keys of outside issuers.
        settings: Where clients reach the server, and whether plain ``/mcp`` is protected.
        wall: The wall clock.
    """

    def __init__(
        self,
        insight: Insight,
        keys: TraceKeys,
        issuers: IssuerKeys,
        settings: Settings,
        wall: Callable[[], float],
    ) -> None:
        self._insight = insight
        self._keys = keys
        self._issuers = issuers
        self._public_url = settings.public_url
        self._plain = protection_of_plain(settings)
        self.asks_plain = self._plain.challenge != "off"
        """Whether plain ``/mcp`` asks for a token."""
        self._wall = wall
        self._may_wait = bool(issuers.names) or insight.store.is_shared
        """Whether there may be anything to wait for, before a token can be judged."""
        self._asked: Remembered[str, float] = Remembered(MOST_TAKEN)
        """Id of a trace → when its store was asked last what has become of its tokens."""
        self._taken: dict[TokenKey, TakenToken] = {}

    def names(self, http: HttpExchange, trace: Trace) -> Names:
        """Return the names of a trace, as a request has to know them."""
        return self._named(trace, http.joined(b"host"), secure=http.is_secure)

    def _named(self, trace: Trace | None, host: str | None, *, secure: bool) -> Names:
        base = server_url(self._public_url, host, secure=secure)
        plain = trace is None or trace is self._insight.standing
        return names_at(base, "" if plain else f"/t/{trace.id}" if trace else "")

    def protection(self, trace: Trace) -> Protection:
        """Return how a trace is protected; plain ``/mcp`` is as the settings say, before anything is kept."""
        return self._plain if trace is self._insight.standing else PROTECTION.read(trace)

    def _protected(self, http: HttpExchange) -> tuple[Trace, Protection] | None:
        """Return the trace that a request comes to, and how it is protected; None where it is not.

        Raises:
            TracesUnavailable: It is, and cannot be had: then nobody is let in.
        """
        # Of plain /mcp not every request is recorded.
        trace: Trace | None = http.seen.trace or self._insight.standing
        if trace is None:
            if self.asks_plain:
                raise TracesUnavailable
            return None
        if not trace.parts and not self.asks_plain:
            return None
        protection = self.protection(trace)
        return None if protection.challenge == "off" else (trace, protection)

    def authorization_servers(self, names: Names, protection: Protection) -> Sequence[str]:
        """Return whose tokens a resource takes."""
        return (names.issuer,) if protection.challenge == "oauth" else self._issuers.names

    def preparing(self, http: HttpExchange) -> Awaitable[object] | None:
        """Return what has to be waited for before `check` can tell; None for nothing, as nearly always."""
        if not self._may_wait or (http.seen.trace or self._insight.standing) is None:
            return None
        token = _bearer(http)
        if token is None:
            return None
        found = self._protected(http)
        if found is None:
            return None
        trace, protection = found
        if protection.challenge == "token":
            return self._issuers.preparing(token)
        if not self._insight.store.is_shared:
            return None
        return self._heard(trace, known=self._known(self._key(http, trace), trace) is not None)

    def _heard(self, trace: Trace, *, known: bool) -> Awaitable[object] | None:
        """Return what has to be waited for to hear what other nodes have done; None for nothing by now.

        One of them may have issued a token a moment ago that is not known here, or revoked one that is.
        """
        now = self._insight.clocks.now()
        if known and now - (self._asked.get(trace.id) or 0.0) < HEARD_SECONDS:
            return None
        self._asked.put(trace.id, now)
        return self._insight.parts.change(trace, AUTHORIZATION, lambda _state: None)

    def check(self, http: HttpExchange) -> TakenToken | None:
        """Return the token of a request; None where its trace asks for none.

        Raises:
            TokenRequired: There is no token that is good here.
            TracesUnavailable: What knows its tokens cannot be reached.
            IssuerUnreachable: Nobody can tell.
            InvalidRequest: There are several.
        """
        found = self._protected(http)
        if found is None:
            return None
        trace, protection = found
        key = self._key(http, trace)
        return self._known(key, trace) or self._judged_now(http, trace, protection, key)

    def _key(self, http: HttpExchange, trace: Trace) -> TokenKey | None:
        """Return what a request's token is known by; None where it brings none.

        Whatever it is made of is in the head, which a client repeats as it is.
        """
        key: TokenKey | None = http.head.bearing
        if key is None:
            token = _bearer(http)
            if token is not None:
                key = TokenKey(hashlib.sha256(token).digest(), self.names(http, trace).resource)
                http.head.bearing = key
        return key

    def _judged_now(
        self, http: HttpExchange, trace: Trace, protection: Protection, key: TokenKey | None
    ) -> TakenToken:
        """Return a token that is good, and that is known to be from now on."""
        names, token = self.names(http, trace), _bearer(http)
        if token is None or key is None:
            raise challenge(http.values(b"authorization"), names, protection)
        judged = self._judge(text_of(token), trace, names, protection)
        http.seen.checks = judged.checks
        taken = self._taken[key] = self._good(judged, trace, names, protection)
        if len(self._taken) > MOST_TAKEN:
            del self._taken[next(iter(self._taken))]
        return taken

    def check_scopes(self, http: HttpExchange, messages: Sequence[Message | None], taken: TakenToken) -> None:
        """Insist on the scopes that a request needs, all at once.

        Args:
            http: The request.
            messages: What it brings; None for a request without a message.
            taken: Its token.

        Raises:
            ScopeInsufficient: The token lacks one.
        """
        found = self._protected(http)
        if found is not None:
            trace, protection = found
            by_tool = protection.tool_scopes
            needed = protection.needed(map(_called, messages)) if by_tool else protection.scopes
            if missing(needed, taken.scopes):
                http.seen.checks = [
                    *(each for each in http.seen.checks if each.name != "scope"),
                    scope_check(taken.scopes, needed),
                ]
                raise insufficient(self.names(http, trace), needed, taken.scopes)

    def lease(self, http: HttpExchange, taken: TakenToken) -> Lease:
        """Return how long a stream may stay open that a request with a good token has opened."""
        trace: Trace | None = http.seen.trace or self._insight.standing
        stands = (lambda: True) if trace is None else partial(self._stands, taken, trace)
        return TokenLease(trace, taken.expires, stands, self._wall)

    async def explained(
        self, token: str, trace: Trace | None, host: str | None, *, secure: bool
    ) -> Explained:
        """Return what is true of a token; see `TokenJudge.explained`."""
        names = self._named(trace, host, secure=secure)
        protection = self._plain if trace is None else self.protection(trace)
        waiting = self._issuers.preparing(token.encode("utf-8", "replace"))
        if waiting is not None:
            await waiting
        if trace is not None and protection.challenge == "oauth" and self._insight.store.is_shared:
            await self._insight.parts.change(trace, AUTHORIZATION, lambda _state: None)
        return Explained(self._judge(token, trace, names, protection), names.resource)

    def at_once(self, token: str, trace: Trace | None, host: str | None, *, secure: bool) -> Judged | None:
        """Return what is true of a token, as far as it is known now; see `TokenJudge.at_once`."""
        protection = self._plain if trace is None else self.protection(trace)
        if protection.challenge == "off" and not self._issuers.are_of(token.encode("utf-8", "replace")):
            return None
        judged = self._judge(token, trace, self._named(trace, host, secure=secure), protection)
        if not self._insight.store.is_shared:
            return judged
        # Another node may have issued it a moment ago: whether it stands is not known without asking.
        return judged._replace(checks=tuple(each for each in judged.checks if each.name != "standing"))

    def _judge(self, token: str, trace: Trace | None, names: Names, protection: Protection) -> Judged:
        own = protection.challenge == "oauth" and trace is not None
        issuers = self.authorization_servers(names, protection)
        if trace is not None and OTHER_AUTHORIZATION.name in trace.parts:
            issuers = (*issuers, names._replace(server=OTHER_SERVER).issuer)
        return judge(
            token,
            Expected(
                issuers=issuers,
                resource=names.resource,
                scopes=protection.scopes,
                keys=(lambda _issuer: self._own_keys(trace)) if own else self._issuers.keys,
                standing=(lambda claims: self._standing(trace, claims)) if own else (lambda _claims: None),
                wall=self._wall(),
            ),
        )

    def _own_keys(self, trace: Trace | None) -> Sequence[Key]:
        key = None if trace is None else self._keys.known(trace)
        return () if key is None else (Key(key.id, key.algorithm, key.public),)

    def _standing(self, trace: Trace | None, claims: Mapping[str, Any]) -> str | None:
        if trace is not None and self._is_kept(trace, key_of(str(claims.get("jti")))):
            return None
        return f"it was revoked, or gave way to newer ones: a trace keeps {MOST_TOKENS} tokens"

    @staticmethod
    def _is_kept(trace: Trace, jti: bytes) -> bool:
        kept = AUTHORIZATION.read(trace).tokens.get(jti) or OTHER_AUTHORIZATION.read(trace).tokens.get(jti)
        return kept is not None and not kept.refresh

    def _known(self, key: TokenKey | None, trace: Trace) -> TakenToken | None:
        """Return what is known of a token that was good, and is so still."""
        taken = None if key is None else self._taken.get(key)
        return taken if taken is not None and self._still_holds(taken, trace) else None

    def _still_holds(self, taken: TakenToken, trace: Trace) -> bool:
        """Return whether a token that was good is so still."""
        if taken.expires <= self._wall() or taken.token_order != token_order(trace):
            return False
        if taken.jti is None:
            return self._issuers.are_current(taken.keys)
        return self._stands(taken, trace)

    def _stands(self, taken: TakenToken, trace: Trace) -> bool:
        """Return whether a token that a trace has issued is neither revoked nor signed with an old key."""
        # Of a token of an outside issuer nobody is told here that it was revoked.
        if taken.jti is None:
            return True
        return taken.keys == trace.parts.get(SIGNING_KEY.name) and self._is_kept(trace, taken.jti)

    def _good(self, judged: Judged, trace: Trace, names: Names, protection: Protection) -> TakenToken:
        failed, claims = judged.failed, judged.claims
        if failed is not None:
            raise refusal(failed, names, protection)
        own = protection.challenge == "oauth"
        return TakenToken(
            scopes=tuple(scopes_in(claims)),
            owner=f"{claims.get('iss')} {claims.get('sub')}",
            expires=jwt.seconds(claims.get("exp")) or 0.0,
            jti=key_of(str(claims.get("jti"))) if own else None,
            keys=trace.parts.get(SIGNING_KEY.name) if own else self._issuers.current(str(claims["iss"])),
            token_order=token_order(trace),
        )


def _bearer(http: HttpExchange) -> bytes | None:
    """Return the token of a request (RFC 6750 section 2.1); None where there is none, or more than one."""
    given = http.head.fields.get(b"authorization")
    if given is None or len(given) != 1:
        return None
    scheme, _, token = given[0].partition(b" ")
    return token.strip() or None if scheme.lower() == b"bearer" else None


def _called(message: Message | None) -> str | None:
    """Return the tool that a message calls; None for none, and where its name cannot be read."""
    if not isinstance(message, Request) or message.method != "tools/call":
        return None
    try:
        return str(read_params(read_call, message.params).name)
    except McpError:
        return None
