"""Faults of OAuth: challenges, metadata, the authorization server, its tokens. No I/O."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from mcp_echo.faults.answer import UNCACHED_JSON, Answer, Sending, World
from mcp_echo.faults.asked import Asked
from mcp_echo.faults.fault import Fault, InsteadFault
from mcp_echo.oauth.names import OTHER_SERVER
from mcp_echo.oauth.tokens import ACCESS_TOKEN
from mcp_echo.watch.seen import Leg

OTHER_ISSUER = "https://other-issuer.example.com"
"""The name of an authorization server that is not there (RFC 2606)."""

OTHER_SCOPE = "added-by-fault"
"""A scope that nothing is protected by."""

SLOW_SECONDS = 20.0
"""How long the token endpoint takes where it is slow: longer than most clients wait for a request."""

SHORT_SECONDS = 2
"""How long a token lasts that is short-lived."""


def _error(code: str, description: str, status: int = 400) -> Sending:
    body = msgspec.json.encode({"error": code, "error_description": description})
    return Sending(Answer(status, UNCACHED_JSON, body))


class Challenge(Fault):
    """Asks for a token in a way that some clients do not understand, or that leads nowhere."""

    summary = (
        "Sends the 401 without its header, without metadata or scope, unquoted, or with a second scheme."
    )

    as_: Literal["no-header", "no-metadata", "no-scope", "stale-metadata", "unquoted", "second-scheme"] = (
        "no-header"
    )

    def changes(self, asked: Asked, answer: Answer) -> bool:
        """Return whether the answer is a challenge."""
        return bool(answer.values("WWW-Authenticate"))

    def whole(self, asked: Asked, answer: Answer, world: World) -> Sending:
        """Return the other challenge."""
        told = answer.values("WWW-Authenticate")
        return Sending(answer.with_header("WWW-Authenticate", *self._told(told[0])))

    def _told(self, value: str) -> list[str]:
        if self.as_ == "no-header":
            return []
        if self.as_ == "second-scheme":
            return ['Basic realm="mcp-echo"', value]
        if self.as_ == "unquoted":
            return [value.replace('"', "")]
        if self.as_ == "stale-metadata":
            return [value.replace("/.well-known/", "/.well-known/stale-")]
        return [_without(value, "resource_metadata" if self.as_ == "no-metadata" else "scope")]


def _without(challenge: str, parameter: str) -> str:
    scheme, _, rest = challenge.partition(" ")
    kept = [each for each in rest.split(", ") if not each.startswith(f"{parameter}=")]
    return f"{scheme} {', '.join(kept)}".strip()


class Metadata(Fault):
    """Says something wrong of the protected resource."""

    summary = "Names another resource, another issuer, http, no issuer, or has no metadata at all."
    legs = frozenset[Leg]({"resource-metadata"})

    as_: Literal["wrong-resource", "other-issuer", "http", "no-servers", "404"] = "wrong-resource"

    def changes(self, asked: Asked, answer: Answer) -> bool:
        """Return whether there is metadata."""
        return answer.status == 200 and answer.read() is not None

    def whole(self, asked: Asked, answer: Answer, world: World) -> Sending:
        """Return the other metadata."""
        if self.as_ == "404":
            return _error("not_found", "There is no metadata, as a fault was ordered", 404)
        found = answer.read() or {}
        if self.as_ == "wrong-resource":
            found["resource"] = f"{OTHER_ISSUER}/mcp"
        elif self.as_ == "other-issuer":
            # This one is there: what a client does at it can be seen.
            found["authorization_servers"] = [f"{world.issuer}{OTHER_SERVER}"]
        elif self.as_ == "http":
            servers = found.get("authorization_servers") or []
            found["authorization_servers"] = [_with_scheme(each, "http") for each in servers]
            found["resource"] = _with_scheme(world.resource, "http")
        else:
            found.pop("authorization_servers", None)
        return Sending(answer.with_json(found))


def _with_scheme(address: str, scheme: str) -> str:
    return f"{scheme}://{address.partition('://')[2]}"


class Issuer(Fault):
    """Has an authorization server that does something wrong."""

    summary = (
        "Answers with another iss or none, names itself otherwise, lacks PKCE or registration, is slow …"
    )
    legs = frozenset[Leg]({"server-metadata", "authorize", "consent", "token"})

    as_: Literal[
        "iss-wrong",
        "iss-missing",
        "differs",
        "no-pkce",
        "no-registration",
        "slow-token",
        "code-expired",
        "rotated-refresh",
    ] = "iss-wrong"

    def hits(self, asked: Asked) -> bool:
        """Return whether a request is to what is wrong."""
        if self.as_ in ("iss-wrong", "iss-missing"):
            return asked.leg in ("authorize", "consent")
        if self.as_ in ("differs", "no-pkce", "no-registration"):
            return asked.leg == "server-metadata"
        grant = {"code-expired": "authorization_code", "rotated-refresh": "refresh_token"}.get(self.as_)
        return asked.leg == "token" and (grant is None or asked.grant == grant)

    def changes(self, asked: Asked, answer: Answer) -> bool:
        """Return whether the answer is one of success."""
        if asked.leg in ("authorize", "consent"):
            return bool(_answer_of(answer).get("code"))
        return answer.status == 200 and answer.read() is not None

    def whole(self, asked: Asked, answer: Answer, world: World) -> Sending:
        """Return the other answer."""
        if asked.leg in ("authorize", "consent"):
            iss = OTHER_ISSUER if self.as_ == "iss-wrong" else None
            return Sending(_with_answer(answer, iss=iss))
        if asked.leg == "server-metadata":
            return Sending(answer.with_json(self._metadata(answer.read() or {})))
        if self.as_ == "slow-token":
            return Sending(answer, wait=SLOW_SECONDS)
        what = "code" if self.as_ == "code-expired" else "refresh token"
        return _error("invalid_grant", f"The {what} is not taken any more, as a fault was ordered")

    def _metadata(self, found: dict[str, Any]) -> dict[str, Any]:
        if self.as_ == "differs":
            found["issuer"] = OTHER_ISSUER
        else:
            name = "code_challenge_methods_supported" if self.as_ == "no-pkce" else "registration_endpoint"
            found.pop(name, None)
        return found


class Consent(Fault):
    """Comes back from consent with something else than the code."""

    summary = "Sends the browser back with a refusal, with a wrong code or with a wrong state."
    legs = frozenset[Leg]({"authorize", "consent"})

    as_: Literal["decline", "wrong-code", "wrong-state"] = "decline"

    def changes(self, asked: Asked, answer: Answer) -> bool:
        """Return whether the browser goes back with a code, and with a state where that is to be wrong."""
        told = _answer_of(answer)
        return bool(told.get("code")) and (self.as_ != "wrong-state" or "state" in told)

    def whole(self, asked: Asked, answer: Answer, world: World) -> Sending:
        """Return where the browser goes instead."""
        if self.as_ == "wrong-code":
            return Sending(_with_answer(answer, code="wrong-code"))
        if self.as_ == "wrong-state":
            return Sending(_with_answer(answer, state="wrong-state"))
        why = "The person who was asked refused, as a fault was ordered"
        return Sending(_with_answer(answer, code=None, error="access_denied", error_description=why))


def _answer_of(answer: Answer) -> dict[str, str]:
    """Return the parameters that a redirect brings back to a client (RFC 6749 section 4.1.2)."""
    where = answer.values("Location")
    return dict(parse_qsl(urlsplit(where[0]).query, keep_blank_values=True)) if where else {}


def _with_answer(answer: Answer, **changed: str | None) -> Answer:
    where = urlsplit(answer.values("Location")[0])
    pairs = [pair for pair in parse_qsl(where.query, keep_blank_values=True) if pair[0] not in changed]
    pairs += [(name, value) for name, value in changed.items() if value is not None]
    return answer.with_header("Location", urlunsplit(where._replace(query=urlencode(pairs))))


class Token(Fault):
    """Issues a token that is not good, or takes none."""

    summary = "Issues a token that is wrong in one point, or refuses one that is good."
    legs = frozenset[Leg]({"token"})

    as_: Literal[
        "wrong-aud", "expired", "short", "unknown-kid", "other-issuer", "rejected-401", "rejected-500"
    ] = "rejected-401"

    @property
    def is_instead(self) -> bool:
        """Whether a token is refused, before the server sees it."""
        return self.as_.startswith("rejected")

    def hits(self, asked: Asked) -> bool:
        """Return whether a token is brought, or asked for."""
        if self.is_instead:
            return asked.leg is None and asked.token
        return asked.leg == "token"

    def instead(self, asked: Asked, world: World) -> Sending:
        """Return that the token is not taken."""
        if self.as_ == "rejected-500":
            return _error("server_error", "The token could not be looked at, as a fault was ordered", 500)
        told = 'Bearer error="invalid_token", error_description="As a fault was ordered", resource_metadata='
        answer = Answer(401, UNCACHED_JSON, b'{"error":"invalid_token"}')
        return Sending(answer.with_header("WWW-Authenticate", f'{told}"{world.metadata}"'))

    def changes(self, asked: Asked, answer: Answer) -> bool:
        """Return whether a token is issued."""
        return isinstance((answer.read() or {}).get("access_token"), str)

    def whole(self, asked: Asked, answer: Answer, world: World) -> Sending:
        """Return another token."""
        found = answer.read() or {}
        key = world.key
        if key is None:
            return Sending(answer)
        claims = {**key.read(found["access_token"]), **self._other_claims(world)}
        kid = "unknown-key" if self.as_ == "unknown-kid" else None
        found["access_token"] = key.sign(claims, ACCESS_TOKEN, kid)
        if self.as_ == "short":
            found["expires_in"] = SHORT_SECONDS
        return Sending(answer.with_json(found))

    def _other_claims(self, world: World) -> dict[str, Any]:
        now = int(world.now)
        others: dict[str, dict[str, Any]] = {
            "wrong-aud": {"aud": f"{world.resource}/"},
            "expired": {"iat": now - 7200, "exp": now - 3600},
            "short": {"exp": now + SHORT_SECONDS},
            "other-issuer": {"iss": OTHER_ISSUER},
        }
        return others.get(self.as_, {})


class Refresh(InsteadFault):
    """Gives nothing for a refresh token."""

    summary = "Refuses a refresh token, or says that it is another client's."
    legs = frozenset[Leg]({"token"})

    as_: Literal["reject", "other-client"] = "reject"

    def hits(self, asked: Asked) -> bool:
        """Return whether a token is refreshed."""
        return asked.leg == "token" and asked.grant == "refresh_token"

    def instead(self, asked: Asked, world: World) -> Sending:
        """Return the refusal."""
        if self.as_ == "reject":
            return _error("invalid_grant", "The refresh token is not taken, as a fault was ordered")
        return _error("invalid_client", "The client is another one, as a fault was ordered", 401)


class Scope(Fault):
    """Says otherwise than it does which scopes are needed."""

    summary = "Names other scopes in the metadata, names none, or asks for one more by 403."

    as_: Literal["metadata-differs", "hidden", "enforced"] = "enforced"

    @property
    def is_instead(self) -> bool:
        """Whether a call is refused, before the server sees it."""
        return self.as_ == "enforced"

    def hits(self, asked: Asked) -> bool:
        """Return whether scopes are told of, or are asked for."""
        if self.as_ == "enforced":
            return asked.leg is None and asked.token and bool(asked.tools)
        return asked.leg == "resource-metadata" or (self.as_ == "hidden" and asked.leg is None)

    def instead(self, asked: Asked, world: World) -> Sending:
        """Return that a scope is lacking."""
        told = f'error="insufficient_scope", scope="{OTHER_SCOPE}", resource_metadata="{world.metadata}"'
        answer = Answer(403, UNCACHED_JSON, b'{"error":"insufficient_scope"}')
        return Sending(answer.with_header("WWW-Authenticate", f"Bearer {told}"))

    def changes(self, asked: Asked, answer: Answer) -> bool:
        """Return whether an answer names scopes."""
        if asked.leg is None:
            return any("scope=" in each for each in answer.values("WWW-Authenticate"))
        return answer.status == 200 and "scopes_supported" in (answer.read() or {})

    def whole(self, asked: Asked, answer: Answer, world: World) -> Sending:
        """Return the answer with other scopes, or none."""
        if asked.leg is None:
            told = [_without(each, "scope") for each in answer.values("WWW-Authenticate")]
            return Sending(answer.with_header("WWW-Authenticate", *told))
        found = answer.read() or {}
        if self.as_ == "hidden":
            found.pop("scopes_supported", None)
        else:
            found["scopes_supported"] = [OTHER_SCOPE]
        return Sending(answer.with_json(found))
