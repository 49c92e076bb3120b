"""The judgement of an access token: each thing that has to be true of it, one by one. No I/O.

PyJWT says what holds; that it stops at the first that does not is why it is asked for each by itself.
RFC 7519, RFC 8725 (best current practices), RFC 9068 section 4; basic/authorization, Token Handling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jwt as pyjwt
import msgspec

from mcp_echo.auth import jwt
from mcp_echo.auth.jwt_claims import LAST_SECOND
from mcp_echo.http.differences import differs_in
from mcp_echo.oauth.protection import missing, scopes_in
from mcp_echo.protocol.texts import moment, span
from mcp_echo.redaction import cut, one_line
from mcp_echo.watch.traces import Trace

ALGORITHMS = frozenset("""ES256 ES384 ES512 EdDSA Ed25519 RS256 RS384 RS512 PS256 PS384 PS512""".split())
"""What tokens may be signed with: never ``none``, and no secret that a public key could be taken for."""

_TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt", "application/jwt"})
"""What ``typ`` may be (RFC 9068 section 2.1); many issuers write JWT, and some nothing."""

CLOCK_SECONDS = 60
"""How far ahead of this server's clock an issuer's may be, in seconds."""


LONGEST_SHOWN = 400
"""Characters of what is found that are shown: all of an ordinary URL, as the last one may be what differs."""


def shown(text: str) -> str:
    """Return what a token says as a check shows it."""
    return one_line(cut(text, LONGEST_SHOWN))


class Check(msgspec.Struct, rename="camel", omit_defaults=True):
    """One thing that has to be true of a token."""

    name: str
    """``form``, ``type``, ``algorithm``, ``issuer``, ``key``, ``signature``, ``expiry``, ``notBefore``,
    ``issuedAt``, ``audience``, ``standing``, ``scope``, and those of proofs."""
    held: bool | None
    """Whether it is; None where something else kept it from being looked at."""
    found: str | None = None
    wanted: str | None = None
    differs_in: list[str] = []
    note: str | None = None


class Key(NamedTuple):
    """One key of an issuer."""

    id: str | None
    algorithm: str | None
    """What it is for, where its issuer says so."""
    key: Any


class Expected(NamedTuple):
    """What a token has to be here."""

    issuers: Sequence[str]
    resource: str
    scopes: Sequence[str]
    """What the request needs."""
    keys: Callable[[str], Sequence[Key]]
    """Returns the keys of an issuer that is among those.

    Raises:
        NoKeys: They are not known, and why."""
    standing: Callable[[Mapping[str, Any]], str | None]
    """Returns why a token that is right is not taken all the same; None where it is."""
    wall: float
    """Seconds since the epoch."""


class NoKeys(Exception):
    """The keys of an issuer are not known; the message is a sentence that says why."""


class Judged(NamedTuple):
    """What became of a token."""

    checks: tuple[Check, ...]
    claims: Mapping[str, Any]
    """What it says; empty where it says nothing."""

    @property
    def failed(self) -> Check | None:
        """The first thing that is not true of it, leaving scopes aside; None where it is a good token."""
        return next((each for each in self.checks if each.held is not True and each.name != "scope"), None)


class Explained(NamedTuple):
    """What became of a token, and where."""

    judged: Judged
    resource: str


class TokenJudge(Protocol):
    """Says what is true of a token that is to be used with a trace."""

    async def explained(
        self, token: str, trace: Trace | None, host: str | None, *, secure: bool
    ) -> Explained:
        """Return what is true of it.

        Args:
            token: The token.
            trace: What it is to be used with; None for plain ``/mcp``.
            host: The ``Host`` of the request that asks, which names of this server are made of.
            secure: Whether that came by TLS.
        """

    def at_once(self, token: str, trace: Trace | None, host: str | None, *, secure: bool) -> Judged | None:
        """Return what is true of it as far as that is known here now: nothing is fetched for it.

        Args:
            token: The token.
            trace: As of `explained`.
            host: As of `explained`.
            secure: As of `explained`.

        Returns:
            None where no token is asked for there, and it is of no issuer that the operator has named.
        """


def judge(text: str, expected: Expected) -> Judged:
    """Return what is true of a token."""
    try:
        token = jwt.read(text)
    except jwt.NotAToken as error:
        return Judged((Check("form", False, note=f"it is no JWT: {error}"),), {})
    if token.payload is None:
        return Judged((Check("form", False, note="it is encrypted (JWE), and nobody here has its key"),), {})
    claims = token.payload
    checks = [
        Check("form", True),
        _type(token.header),
        _algorithm(token.header),
        _issuer(claims, expected.issuers),
    ]
    checks += _signature(text, token.header, claims, checks, expected)
    checks += [
        _expiry(token, expected.wall),
        _not_before(token, expected.wall),
        _issued_at(token, expected.wall),
        _audience(text, claims, expected.resource),
    ]
    if all(each.held for each in checks):
        checks.append(_standing(claims, expected))
    checks.append(_scope(claims, expected.scopes))
    return Judged(tuple(checks), claims)


def _type(header: Mapping[str, Any]) -> Check:
    found = header.get("typ")
    held = found is None or (isinstance(found, str) and found.lower() in _TYPES)
    note = None if held else "this is another kind of JWT than an access token (RFC 8725 section 3.11)"
    return Check("type", held, None if found is None else shown(str(found)), "at+jwt or JWT", note=note)


def _algorithm(header: Mapping[str, Any]) -> Check:
    found = header.get("alg")
    if found in ALGORITHMS:
        return Check("algorithm", True, str(found))
    note = "a token that a public key cannot verify is taken from nobody (RFC 8725 section 3.1)"
    if isinstance(found, str) and found.lower() == "none":
        note = "it is not signed: anybody can have written it (RFC 8725 section 3.1)"
    return Check("algorithm", False, shown(str(found)), ", ".join(sorted(ALGORITHMS)), note=note)


def _issuer(claims: Mapping[str, Any], issuers: Sequence[str]) -> Check:
    found = claims.get("iss")
    if isinstance(found, str) and found in issuers:
        return Check("issuer", True, found)
    if not issuers:
        note = "nobody has said here whose tokens are good (MCP_ECHO_ISSUERS, or a trace with a challenge)"
        return Check("issuer", None, shown(str(found)), note=note)
    nearest = _nearest(found, issuers)
    return Check(
        "issuer",
        False,
        shown(str(found)),
        ", ".join(issuers),
        nearest,
        "the resource's metadata names whose tokens it takes (authorization_servers)",
    )


def _nearest(found: object, wanted: Iterable[str]) -> list[str]:
    """Return in what a URL differs from that which it is nearest to."""
    if not isinstance(found, str):
        return []
    told = [list(differs_in(found, each)) for each in wanted]
    return min(told, key=len) if told else []


def _signature(
    text: str, header: Mapping[str, Any], claims: Mapping[str, Any], before: list[Check], expected: Expected
) -> list[Check]:
    """Return whether the issuer's key is known, and whether it has signed the token."""
    if not all(each.held for each in before if each.name in ("algorithm", "issuer")):
        # Whoever is not to be believed is not asked for keys.
        return [Check("key", None), Check("signature", None)]
    fitting = _fitting(header, str(claims["iss"]), expected)
    if isinstance(fitting, Check):
        return [fitting, Check("signature", None)]
    signed = any(is_signed(text, each.key, str(header["alg"])) for each in fitting)
    note = None if signed else "the key did not sign this: the token was changed, or another key signed it"
    kid = header.get("kid")
    return [
        Check("key", True, None if kid is None else shown(str(kid))),
        Check("signature", signed, note=note),
    ]


def _fitting(header: Mapping[str, Any], issuer: str, expected: Expected) -> list[Key] | Check:
    """Return the keys that may have signed a token, or what is wrong where there are none."""
    try:
        keys = expected.keys(issuer)
    except NoKeys as error:
        return Check("key", None, note=str(error))
    kid, algorithm = header.get("kid"), header["alg"]
    fitting = [each for each in keys if each.algorithm in (None, algorithm) and kid in (None, each.id)]
    if fitting:
        return fitting
    known = ", ".join(str(each.id) for each in keys)
    return Check("key", False, shown(str(kid)), known, note="the issuer's JWKS has no such key")


_NOTHING: Any = {f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}


def is_signed(text: str, key: Any, algorithm: str) -> bool:
    """Return whether a key has signed a token."""
    try:
        pyjwt.decode(text, key, algorithms=[algorithm], options=_NOTHING)
    except Exception:  # What calculates with a key of anybody's fails in many ways, and each says the same.
        return False
    return True


def _holds(text: str, name: str, **more: Any) -> str | None:
    """Return why PyJWT takes a token not for one of its claims; None where it does."""
    options: Any = {**_NOTHING, "verify_signature": False, f"verify_{name}": True}
    try:
        pyjwt.decode(text, options=options, **more)
    except pyjwt.InvalidTokenError as error:
        return str(error)
    return None


def _when(seconds: float) -> str:
    return moment(min(max(seconds, 0), LAST_SECOND))


def _expiry(token: jwt.Token, wall: float) -> Check:
    expires = token.expires
    if expires is None:
        return Check("expiry", False, note="it has no exp that can be read (RFC 9068 section 2.2)")
    found = _when(expires)
    if wall < expires:
        return Check("expiry", True, found, note=f"it ends in {span(expires - wall)}")
    note = f"its exp was {span(wall - expires)} ago by this server's clock, which says {moment(wall)}"
    if wall - expires <= CLOCK_SECONDS:
        note += "; verifiers that forgive a minute still take it"
    return Check("expiry", False, found, f"after {moment(wall)}", note=note)


def _not_before(token: jwt.Token, wall: float) -> Check:
    starts = token.not_before
    if starts is None or starts <= wall + CLOCK_SECONDS:
        ahead = None
        if starts is not None and starts > wall:
            ahead = f"it begins in {span(starts - wall)}, by a clock ahead of this server's"
        return Check("notBefore", True, None if starts is None else _when(starts), note=ahead)
    note = f"it begins in {span(starts - wall)} by this server's clock, which says {moment(wall)}"
    return Check("notBefore", False, _when(starts), f"before {moment(wall)}", note=note)


def _issued_at(token: jwt.Token, wall: float) -> Check:
    issued = token.issued
    if issued is None:
        return Check("issuedAt", True, note="it does not say when it was issued")
    if issued <= wall + CLOCK_SECONDS:
        skew = f"the issuer's clock is {span(issued - wall)} ahead, at least" if issued > wall else None
        return Check("issuedAt", True, _when(issued), note=skew)
    note = f"it was issued {span(issued - wall)} ahead of this server's clock, which says {moment(wall)}"
    return Check("issuedAt", False, _when(issued), f"before {moment(wall)}", note=note)


def _audience(text: str, claims: Mapping[str, Any], resource: str) -> Check:
    found = claims.get("aud")
    named = found if isinstance(found, list) else [found]
    told = None if found is None else ", ".join(shown(str(each)) for each in named[:5])
    wrong = _holds(text, "aud", audience=resource)
    if wrong is None:
        return Check("audience", True, told, resource)
    near = [list(differs_in(each, resource)) for each in named if isinstance(each, str)]
    return Check(
        "audience",
        False,
        told,
        resource,
        min(near, key=len) if near else [],
        "it was issued for another resource: a client asks for this one with resource (RFC 8707 section 2)",
    )


def _standing(claims: Mapping[str, Any], expected: Expected) -> Check:
    why = expected.standing(claims)
    return Check("standing", why is None, note=why)


def _scope(claims: Mapping[str, Any], needed: Sequence[str]) -> Check:
    return scope_check(scopes_in(claims), needed)


def scope_check(granted: Sequence[str], needed: Sequence[str]) -> Check:
    """Return whether what was granted is enough."""
    lacking = missing(needed, granted)
    note = f"it lacks {' '.join(lacking)}" if lacking else None
    return Check("scope", not lacking, shown(" ".join(granted)), " ".join(needed), note=note)
