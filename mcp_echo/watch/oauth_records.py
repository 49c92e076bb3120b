"""What is kept of an exchange of OAuth, masked: what was asked, and what was answered. No I/O.

Kept as they came are client_id, redirect_uri, code_challenge, scope, resource, and what a token says of its
audience, issuer, time and scope. Codes, tokens, secrets and ``state`` are fingerprints, equal for equal ones:
that of a token is the one that ``Authorization`` is shown with.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from mcp_echo.watch.seen import Leg

OauthLeg = Literal["challenge"] | Leg
"""A challenge is a request to the MCP endpoint that was answered 401 or 403 with ``WWW-Authenticate``; all
others are requests to what OAuth needs beside it."""

ClientAuthentication = Literal[
    "none", "client_secret_basic", "client_secret_post", "private_key_jwt", "other"
]
"""``token_endpoint_auth_method`` (RFC 7591 section 2); ``other`` for what is none of the usual ones."""


class TokenClaims(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, rename="camel"):
    """What a JSON Web Token says of itself; none of it is verified."""

    algorithm: str | None = None
    """``alg`` of its header."""
    issuer: str | None = None
    audience: tuple[str, ...] = ()
    scope: tuple[str, ...] | None = None
    """``scope`` or ``scp``; None without either."""
    expires: float | None = None
    """``exp``, seconds since the epoch."""
    not_before: float | None = None
    """``nbf``, likewise."""


class TokenCheck(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, rename="camel"):
    """One thing that has to be true of an access token; see `mcp_echo.oauth.verify.Check`."""

    name: str
    held: bool | None = None
    """Whether it is; None where something else kept it from being looked at."""
    found: str | None = None
    wanted: str | None = None
    differs_in: tuple[str, ...] = ()
    note: str | None = None


class TokenRecord(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, rename="camel"):
    """What became of the access token that came with a request to what asks for one."""

    taken: bool = False
    checks: tuple[TokenCheck, ...] = ()
    """What was looked at for this request; of a token that was known to be good, only what is new."""


class OauthAsked(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, rename="camel"):
    """What a request says, in its query, its form, its JSON or its ``Authorization``."""

    client_id: str | None = None
    redirect_uris: tuple[str, ...] = ()
    """Those to be registered, or the one of an authorization or token request."""
    resource: tuple[str, ...] = ()
    """Each ``resource`` (RFC 8707), in order."""
    scope: tuple[str, ...] | None = None
    """The words of ``scope``; None where it is absent."""
    grant: str | None = None
    """``grant_type``."""
    state: str | None = None
    """Fingerprint."""
    code: str | None = None
    """Fingerprint."""
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    proves: str | None = None
    """The S256 code challenge that the ``code_verifier`` fits (RFC 7636 section 4.6); None without one."""
    refresh_token: str | None = None
    """Fingerprint."""
    token: str | None = None
    """Fingerprint of the token that came along: in ``Authorization`` of a challenged request, else as
    ``token``."""
    claims: TokenClaims | None = None
    """Of that token, where it is a JSON Web Token."""
    authentication: ClientAuthentication | None = None
    """How the client authenticates: at registration what it names, at the token endpoint what it does."""
    software: str | None = None
    """``software_id`` and ``client_name`` of a registration."""
    application_type: str | None = None


class OauthAnswered(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, rename="camel"):
    """What an answer says, in its ``WWW-Authenticate``, its ``Location`` or its JSON."""

    error: str | None = None
    """``error``, of whichever kind of answer."""
    description: str | None = None
    """``error_description``, masked."""
    scope: tuple[str, ...] | None = None
    """Of a challenge what is needed, of a token what was granted, of resource metadata what there is."""
    resource_metadata: str | None = None
    """Of a challenge, the URL of the resource's metadata."""
    resource: str | None = None
    """Of resource metadata."""
    servers: tuple[str, ...] = ()
    """``authorization_servers`` of resource metadata."""
    issuer: str | None = None
    """``issuer`` of server metadata, ``iss`` of an authorization's answer."""
    takes_documents: bool = False
    """``client_id_metadata_document_supported`` of server metadata."""
    client_id: str | None = None
    """Of a registration."""
    redirect_uris: tuple[str, ...] = ()
    """Of a registration, or where a browser is sent to, without its query."""
    authentication: ClientAuthentication | None = None
    """``token_endpoint_auth_method`` of a registration."""
    asks: bool = False
    """Whether a page asks for consent."""
    code: str | None = None
    """Fingerprint of the code that was issued."""
    state: str | None = None
    """Fingerprint."""
    token: str | None = None
    """Fingerprint of the access token that was issued."""
    claims: TokenClaims | None = None
    """Of that token, where it is a JSON Web Token."""
    refresh_token: str | None = None
    """Fingerprint of the refresh token that was issued."""
    seconds: float | None = None
    """``expires_in``."""


class OauthRecord(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, rename="camel"):
    """The part that an exchange has in a flow of OAuth."""

    leg: OauthLeg
    asked: OauthAsked = OauthAsked()
    answered: OauthAnswered = OauthAnswered()
