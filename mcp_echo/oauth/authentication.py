"""How clients authenticate at the endpoints that programs use. No I/O.

RFC 6749 section 2.3, RFC 7591 section 2.
"""

from __future__ import annotations

import hmac
from typing import NamedTuple

from mcp_echo.oauth.authorize import Parameters, single
from mcp_echo.oauth.errors import InvalidClient, OAuthError
from mcp_echo.oauth.state import AuthMethod, AuthorizationState, OAuthClient, digest_of


class BasicCredentials(NamedTuple):
    """The credentials of ``Authorization: Basic`` (RFC 6749 section 2.3.1)."""

    client_id: str
    secret: str


def authenticate(
    state: AuthorizationState, parameters: Parameters, basic: BasicCredentials | None
) -> OAuthClient:
    """Return the client that asks, which has authenticated as it has registered.

    Args:
        state: Knows the clients.
        parameters: The form.
        basic: What ``Authorization`` has; None for nothing.

    Raises:
        OAuthError: It is not known, authenticates otherwise, or has another secret.
    """
    used, secret = _given(single(parameters, "client_secret"), basic)
    client = _named(state, single(parameters, "client_id"), basic)
    if client.method != used:
        raise InvalidClient(
            f"The client is registered with token_endpoint_auth_method {client.method}, and authenticates "
            f"with {used} (RFC 7591 section 2)"
        )
    if client.secret and not hmac.compare_digest(client.secret, digest_of(secret)):
        raise InvalidClient("The client_secret is not that of the client")
    return client


def _given(secret: str | None, basic: BasicCredentials | None) -> tuple[AuthMethod, str]:
    """Return how a client authenticates, and with which secret.

    Args:
        secret: What the form has.
        basic: What ``Authorization`` has.
    """
    if basic is None:
        return ("none", "") if secret is None else ("client_secret_post", secret)
    if secret is not None:
        raise OAuthError("invalid_request", "The client authenticates in two ways (RFC 6749 section 2.3)")
    return "client_secret_basic", basic.secret


def _named(state: AuthorizationState, client_id: str | None, basic: BasicCredentials | None) -> OAuthClient:
    if basic is not None and client_id not in (None, basic.client_id):
        raise OAuthError("invalid_request", "Authorization and client_id name different clients")
    named = client_id if basic is None else basic.client_id
    if named is None:
        raise InvalidClient("client_id is missing, and there is no Authorization")
    client = state.client(named)
    if client is None:
        raise InvalidClient("This client is not known here: each trace has clients of its own")
    return client
