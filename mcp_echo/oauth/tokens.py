"""The token endpoint. No I/O.

RFC 6749 sections 3.2, 4.1.3 and 6, RFC 7636 section 4.6, RFC 9068, RFC 9700.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any, NamedTuple

import msgspec

from mcp_echo.oauth.authentication import BasicCredentials, authenticate
from mcp_echo.oauth.authorize import Parameters, check_resource, single
from mcp_echo.oauth.errors import OAuthError
from mcp_echo.oauth.keys import SigningKey
from mcp_echo.oauth.names import Names
from mcp_echo.oauth.protection import OFFLINE_ACCESS, Protection
from mcp_echo.oauth.registration import NewSecret
from mcp_echo.oauth.state import (
    AuthorizationState,
    Code,
    IssuedToken,
    OAuthClient,
    digest_of,
    key_of,
)

ACCESS_TOKEN = "at+jwt"  # noqa: S105  # a media type
"""The ``typ`` of access tokens (RFC 9068 section 2.1)."""

SUBJECT = "somebody"
"""Who has consented: there are no users, and whoever it was is the same to everybody."""

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class TokenContext(NamedTuple):
    """What a request to the token endpoint is answered with."""

    names: Names
    protection: Protection
    key: SigningKey
    now: float
    """Seconds since the epoch."""
    new_secret: NewSecret


class TokenResponse(msgspec.Struct, omit_defaults=True):
    """What the token endpoint gives (RFC 6749 section 5.1)."""

    access_token: str
    expires_in: int
    scope: str
    token_type: str
    refresh_token: str | None = None


class Reused(OAuthError):
    """Something that can be used once was used again: all that came of it is revoked with it."""

    def __init__(self, description: str) -> None:
        super().__init__("invalid_grant", description)


def grant(
    state: AuthorizationState, parameters: Parameters, basic: BasicCredentials | None, context: TokenContext
) -> TokenResponse | Reused:
    """Return what a request to the token endpoint gets.

    What is used a second time is returned and not raised: it has changed the state.

    Raises:
        OAuthError: It gets nothing.
    """
    client = authenticate(state, parameters, basic)
    state.expire(context.now)
    kind = single(parameters, "grant_type")
    if kind == "authorization_code":
        return _redeem(state, client, parameters, context)
    if kind == "refresh_token":
        return _refresh(state, client, parameters, context)
    if kind is None:
        raise OAuthError("invalid_request", "grant_type is missing")
    raise OAuthError(
        "unsupported_grant_type", f"grant_type is {kind}; there are authorization_code and refresh_token"
    )


def _redeem(
    state: AuthorizationState, client: OAuthClient, parameters: Parameters, context: TokenContext
) -> TokenResponse | Reused:
    given = single(parameters, "code")
    if given is None:
        raise OAuthError("invalid_request", "code is missing")
    family = key_of(given)
    code = state.codes.get(family)
    if code is None:
        raise OAuthError("invalid_grant", "The code is none of this server's for this trace, or is long past")
    if code.client != client.number:
        raise OAuthError("invalid_grant", "The code was issued to another client")
    if code.spent:
        state.revoke_family(family)
        return Reused(
            "The code has been used before; the tokens that it was exchanged for are revoked (RFC 6749 4.1.2)"
        )
    if code.expires <= context.now:
        late = int(context.now - code.expires)
        raise OAuthError("invalid_grant", f"The code expired {late} s ago")
    _check_redirect(code, parameters)
    _check_verifier(code, parameters)
    check_resource(parameters, context.names, required=False)
    code.spent = True
    return _issue(state, client, family, code.scopes, context)


def _check_redirect(code: Code, parameters: Parameters) -> None:
    uri = single(parameters, "redirect_uri")
    if uri is None:
        raise OAuthError(
            "invalid_grant", "redirect_uri is missing, and was given to the authorization endpoint"
        )
    if digest_of(uri)[:16] != code.redirect_uri:
        raise OAuthError(
            "invalid_grant", f"redirect_uri is {uri}; the authorization endpoint was given another one"
        )


def _check_verifier(code: Code, parameters: Parameters) -> None:
    verifier = single(parameters, "code_verifier")
    if verifier is None:
        raise OAuthError("invalid_request", "code_verifier is missing (RFC 7636 section 4.5)")
    if not _VERIFIER.fullmatch(verifier):
        raise OAuthError(
            "invalid_grant",
            "code_verifier has 43 to 128 letters, digits, -, ., _ and ~ (RFC 7636 section 4.1)",
        )
    if not hmac.compare_digest(hashlib.sha256(verifier.encode()).digest(), code.challenge):
        raise OAuthError(
            "invalid_grant", "code_verifier does not fit the code_challenge that the code was asked for with"
        )


def _refresh(
    state: AuthorizationState, client: OAuthClient, parameters: Parameters, context: TokenContext
) -> TokenResponse | Reused:
    given = single(parameters, "refresh_token")
    if given is None:
        raise OAuthError("invalid_request", "refresh_token is missing")
    token = state.tokens.get(key_of(given))
    if token is None or not token.refresh:
        raise OAuthError(
            "invalid_grant", "The refresh token is none of this trace's, was revoked, or gave way"
        )
    if token.client != client.number:
        raise OAuthError("invalid_grant", "The refresh token was issued to another client")
    if token.spent:
        state.revoke_family(token.family)
        return Reused(
            "The refresh token has been used before, and another one was given for it; all that descend from "
            "the same code are revoked (RFC 9700 section 4.14.2)"
        )
    check_resource(parameters, context.names, required=False)
    scopes = _narrowed(token, parameters, context.protection)
    token.spent = True
    return _issue(state, client, token.family, scopes, context, kept=token.scopes)


def _narrowed(token: IssuedToken, parameters: Parameters, protection: Protection) -> list[int]:
    """Return the scopes of a refreshed token, which can be fewer and not more (RFC 6749 section 6)."""
    asked = (single(parameters, "scope") or "").split()
    grantable = protection.grantable
    granted = [grantable[place] for place in token.scopes]
    more = [each for each in asked if each not in granted]
    if more:
        raise OAuthError(
            "invalid_scope",
            f"A refresh cannot add scopes: {' '.join(more)} was not granted, {' '.join(granted)} was. Ask "
            "the authorization endpoint",
        )
    return sorted(grantable.index(each) for each in set(asked)) if asked else token.scopes


def _issue(
    state: AuthorizationState,
    client: OAuthClient,
    family: bytes,
    scopes: list[int],
    context: TokenContext,
    *,
    kept: list[int] | None = None,
) -> TokenResponse:
    """Return tokens, and keep them.

    Args:
        state: Keeps them.
        client: Whose they are.
        family: What they descend from.
        scopes: Of the access token.
        context: The rest.
        kept: Of the refresh token; None for the same.
    """
    seconds = context.protection.token_seconds
    expires = int(context.now) + seconds
    granted = [context.protection.grantable[place] for place in scopes]
    jti = context.new_secret()
    claims: dict[str, Any] = {
        "iss": context.names.issuer,
        "sub": SUBJECT,
        "aud": context.names.resource,
        "exp": expires,
        "iat": int(context.now),
        "jti": jti,
        "client_id": client.id,
        "scope": " ".join(granted),
    }
    state.add_token(key_of(jti), IssuedToken(False, client.number, family, scopes, expires))
    access = context.key.sign(claims, ACCESS_TOKEN)
    response = TokenResponse(access, seconds, claims["scope"], "Bearer")
    if client.refreshes or OFFLINE_ACCESS in granted:
        response.refresh_token = context.new_secret()
        of_family = IssuedToken(True, client.number, family, kept or scopes, 0)
        state.add_token(key_of(response.refresh_token), of_family)
    return response
