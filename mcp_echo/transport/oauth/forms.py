"""What comes to an authorization server: parameters, forms and credentials, as they have to be read."""

from __future__ import annotations

import binascii
from base64 import b64decode
from urllib.parse import parse_qs, unquote_plus

from mcp_echo.oauth.authentication import BasicCredentials
from mcp_echo.oauth.authorize import MOST_PARAMETERS, Parameters
from mcp_echo.oauth.errors import InvalidClient, OAuthError
from mcp_echo.transport.edge.exchange import HttpExchange

MOST_BYTES = 16_384
"""Bytes of a form or of client metadata."""

FORM = "application/x-www-form-urlencoded"


def read_query(http: HttpExchange) -> Parameters:
    """Return the parameters of a query.

    Raises:
        OAuthError: There are too many.
    """
    return _parameters(http.head.query)


def read_form(http: HttpExchange) -> Parameters:
    """Return the parameters of a form.

    Raises:
        OAuthError: It is none, or too large.
    """
    _check_body(http, FORM)
    return _parameters(http.body)


def read_json(http: HttpExchange) -> bytes:
    """Return a body of JSON.

    Raises:
        OAuthError: It is said to be something else, or is too large.
    """
    _check_body(http, "application/json", "invalid_client_metadata")
    return http.body


def _check_body(http: HttpExchange, wanted: str, error: str = "invalid_request") -> None:
    media_type = (http.joined(b"content-type") or "").partition(";")[0].strip().lower()
    if media_type != wanted:
        raise OAuthError(error, f"Content-Type is {media_type or 'missing'}; it has to be {wanted}")
    if len(http.body) > MOST_BYTES:
        raise OAuthError(error, f"The body has more than {MOST_BYTES} bytes", 413)


def _parameters(data: bytes) -> Parameters:
    if data.count(b"&") >= MOST_PARAMETERS:
        raise OAuthError("invalid_request", f"There are more than {MOST_PARAMETERS} parameters")
    return parse_qs(data.decode("latin-1"), keep_blank_values=True, errors="replace")


def read_basic(http: HttpExchange) -> BasicCredentials | None:
    """Return the credentials of ``Authorization: Basic`` (RFC 6749 section 2.3.1); None where there are none.

    Raises:
        OAuthError: They cannot be read.
    """
    scheme, _, given = (http.joined(b"authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, secret = b64decode(given.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise InvalidClient("Authorization: Basic cannot be read") from None
    if not colon:
        raise InvalidClient("Authorization: Basic has no colon between client_id and client_secret")
    return BasicCredentials(unquote_plus(user), unquote_plus(secret))
