"""What becomes of tokens that were issued: revocation and introspection. No I/O.

RFC 7009, RFC 7662.
"""

from __future__ import annotations

from typing import Any

import jwt as pyjwt

from mcp_echo.oauth.keys import SigningKey
from mcp_echo.oauth.names import Names
from mcp_echo.oauth.protection import Protection
from mcp_echo.oauth.state import AuthorizationState, OAuthClient, key_of
from mcp_echo.oauth.tokens import SUBJECT


def revoke(state: AuthorizationState, client: OAuthClient, key: bytes) -> bool:
    """Take a token no more; with a refresh token all that descend from the same code (RFC 7009 section 2.1).

    Args:
        state: Keeps it.
        client: Who asks; the tokens of others stay.
        key: What the token is kept as.

    Returns:
        Whether there was such a token of this client.
    """
    token = state.tokens.get(key)
    if token is None or token.client != client.number:
        return False
    if token.refresh:
        state.revoke_family(token.family)
    else:
        del state.tokens[key]
    return True


def introspect(
    state: AuthorizationState, client: OAuthClient, key: bytes, context: tuple[Names, Protection, float]
) -> dict[str, Any]:
    """Return what is known of a token; of one that is not this client's no more than that (RFC 7662 2.2)."""
    names, protection, now = context
    token = state.tokens.get(key)
    is_over = token is None or token.spent or 0 < token.expires <= now
    if token is None or is_over or token.client != client.number:
        return {"active": False}
    granted = [protection.grantable[place] for place in token.scopes]
    told: dict[str, Any] = {
        "active": True,
        "client_id": client.id,
        "scope": " ".join(granted),
        "sub": SUBJECT,
        "iss": names.issuer,
        "aud": names.resource,
    }
    if not token.refresh:
        told |= {"token_type": "Bearer", "exp": token.expires}
    return told


def kept_as(token: str, key: SigningKey) -> bytes:
    """Return what a token is kept as: one of this key by its ``jti``, another text by itself."""
    try:
        claims = key.read(token)
    except pyjwt.InvalidTokenError:
        return key_of(token)
    return key_of(str(claims.get("jti")))
