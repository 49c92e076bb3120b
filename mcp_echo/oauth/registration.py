"""How an authorization server comes to know clients. No I/O.

Dynamic registration (RFC 7591), clients that come with a trace, and client id metadata documents
(draft-ietf-oauth-client-id-metadata-document; basic/authorization, Client ID Metadata Documents).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from mcp_echo.oauth.errors import OAuthError
from mcp_echo.oauth.redirects import BadRedirectUri, check_redirect_uri
from mcp_echo.oauth.state import (
    AUTH_METHODS,
    AuthMethod,
    AuthorizationState,
    ClientKind,
    OAuthClient,
    digest_of,
)

MOST_REDIRECT_URIS = 10
"""Redirect URIs of one client."""

MOST_BYTES = 900
"""What is kept of one client, in bytes; twenty of them, and all that they are given, fit into one part."""

LONGEST_NAME = 100
"""Characters of a client's name that are kept."""

NewSecret = Callable[[], str]
"""Returns a text that nobody can guess."""


class ClientMetadata(msgspec.Struct):
    """What a client says of itself, as far as it is looked at (RFC 7591 section 2)."""

    redirect_uris: list[str] = []
    token_endpoint_auth_method: str | None = None
    grant_types: list[str] = msgspec.field(default_factory=lambda: ["authorization_code"])
    response_types: list[str] = msgspec.field(default_factory=lambda: ["code"])
    client_name: str | None = None
    scope: str | None = None
    application_type: str | None = None
    client_id: str | None = None
    """Of a document: the address that it is at."""


class Registered(msgspec.Struct, omit_defaults=True):
    """The answer to a registration (RFC 7591 section 3.2.1)."""

    client_id: str
    client_id_issued_at: int
    redirect_uris: list[str]
    token_endpoint_auth_method: AuthMethod
    grant_types: list[str]
    response_types: list[str]
    client_secret: str | None = None
    client_secret_expires_at: int | None = None
    client_name: str | None = None
    scope: str | None = None
    application_type: str | None = None


_read = msgspec.json.Decoder(ClientMetadata).decode


def read_metadata(body: bytes) -> ClientMetadata:
    """Return what a client says of itself.

    Raises:
        OAuthError: It is no JSON object, or a member has another type than it should.
    """
    try:
        return _read(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OAuthError("invalid_client_metadata", f"The body cannot be read: {error}") from None


def check_metadata(metadata: ClientMetadata) -> None:
    """Insist on what this server can serve.

    Raises:
        OAuthError: A redirect URI is none, or something is asked for that is not there.
    """
    uris = metadata.redirect_uris
    if not 1 <= len(uris) <= MOST_REDIRECT_URIS:
        raise OAuthError(
            "invalid_redirect_uri",
            f"redirect_uris has {len(uris)} URIs, and has to have 1 to {MOST_REDIRECT_URIS}",
        )
    for number, uri in enumerate(uris, 1):
        try:
            check_redirect_uri(uri)
        except BadRedirectUri as error:
            raise OAuthError("invalid_redirect_uri", f"redirect_uris, number {number}: {error}") from None
    if "authorization_code" not in metadata.grant_types:
        raise _wrong("grant_types lacks authorization_code, which is how tokens are had here")
    if "code" not in metadata.response_types:
        raise _wrong("response_types lacks code, the only one here")
    if metadata.token_endpoint_auth_method not in (None, *AUTH_METHODS):
        raise _wrong(f"token_endpoint_auth_method has to be one of {', '.join(AUTH_METHODS)}")


def _wrong(description: str) -> OAuthError:
    return OAuthError("invalid_client_metadata", description)


def _client(
    metadata: ClientMetadata,
    client_id: str,
    kind: ClientKind,
    method: AuthMethod,
    secret: str | None,
    now: float,
) -> OAuthClient:
    """Return a client that is yet to be numbered.

    Raises:
        OAuthError: Too much would have to be kept of it.
    """
    client = OAuthClient(
        number=0,
        id=client_id,
        kind=kind,
        redirect_uris=metadata.redirect_uris,
        method=method,
        secret=b"" if secret is None else digest_of(secret),
        name=(metadata.client_name or "")[:LONGEST_NAME],
        refreshes="refresh_token" in metadata.grant_types,
        at=int(now),
    )
    size = len(msgspec.msgpack.encode(client))
    if size > MOST_BYTES:
        raise _wrong(f"what has to be kept of the client takes {size} bytes; {MOST_BYTES} at most")
    return client


def register(
    state: AuthorizationState, metadata: ClientMetadata, now: float, new_secret: NewSecret
) -> Registered:
    """Register a client that says what it is (RFC 7591 section 3.1).

    Args:
        state: Keeps the client.
        metadata: What it says of itself.
        now: Seconds since the epoch.
        new_secret: Makes its id, and its secret where it is to have one.

    Raises:
        OAuthError: Something of it cannot be served.
    """
    check_metadata(metadata)
    # What a client that says nothing authenticates with (RFC 7591 section 2).
    method: Any = metadata.token_endpoint_auth_method or "client_secret_basic"
    secret = None if method == "none" else new_secret()
    client = _client(metadata, f"c-{new_secret()[:20]}", "dynamic", method, secret, now)
    state.add_client(client)
    return Registered(
        client_id=client.id,
        client_id_issued_at=client.at,
        redirect_uris=client.redirect_uris,
        token_endpoint_auth_method=method,
        grant_types=[
            each for each in metadata.grant_types if each in ("authorization_code", "refresh_token")
        ],
        response_types=["code"],
        client_secret=secret,
        client_secret_expires_at=None if secret is None else 0,
        client_name=client.name or None,
        scope=metadata.scope,
        application_type=metadata.application_type,
    )


class KnownClient(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """A client that is registered with its trace."""

    client_id: str
    redirect_uris: list[str]
    client_secret: str | None = None
    name: str | None = None


def add_known(state: AuthorizationState, known: KnownClient, now: float) -> None:
    """Know a client from the beginning of its trace.

    Raises:
        OAuthError: A redirect URI is none, or too much would have to be kept of it.
    """
    metadata = ClientMetadata(
        redirect_uris=list(known.redirect_uris),
        grant_types=["authorization_code", "refresh_token"],
        client_name=known.name,
    )
    check_metadata(metadata)
    method: AuthMethod = "none" if known.client_secret is None else "client_secret_basic"
    state.add_client(_client(metadata, known.client_id, "pre-registered", method, known.client_secret, now))


def add_document(state: AuthorizationState, url: str, metadata: ClientMetadata, now: float) -> None:
    """Know a client by its metadata document from now on.

    Args:
        state: Keeps the client.
        url: The address that it was fetched from, which is the client's id.
        metadata: What it says.
        now: Seconds since the epoch.

    Raises:
        OAuthError: It is of another client, or something of it cannot be served.
    """
    if metadata.client_id != url:
        raise InvalidDocument("its client_id is not the address that it is at")
    check_metadata(metadata)
    if metadata.token_endpoint_auth_method not in (None, "none"):
        raise InvalidDocument(
            "a client that is known by its document has token_endpoint_auth_method none here"
        )
    state.add_client(_client(metadata, url, "document", "none", None, now))


class InvalidDocument(OAuthError):
    """A client id metadata document that is another client's, or cannot be had; the message is a clause."""

    def __init__(self, why: str) -> None:
        super().__init__("invalid_client", f"The client's metadata document cannot be used: {why}")
