"""What the authorization server of one trace keeps: clients, codes, tokens. Everything of it is bounded.

Nothing in it is a secret that lets in: of codes, refresh tokens and client secrets there are digests, and an
access token is known by its ``jti``. Whatever changes the state may be worked out again on a copy.
"""

from __future__ import annotations

import hashlib
from typing import Literal, TypeVar

import msgspec

from mcp_echo.watch.parts import Part

MOST_CLIENTS = 20
"""Clients of one trace; the oldest gives way for one more, unless it came with the trace."""

MOST_CODES = 100
"""Authorization codes of one trace, spent ones included; the oldest gives way."""

MOST_TOKENS = 200
"""Access and refresh tokens of one trace, spent ones included; the oldest gives way."""

CODE_SECONDS = 60
"""How long a code can be redeemed (RFC 6749 section 4.1.2 has ten minutes at most)."""

AuthMethod = Literal["none", "client_secret_basic", "client_secret_post"]
"""How a client authenticates at the token endpoint (RFC 7591 section 2)."""

AUTH_METHODS: tuple[AuthMethod, ...] = ("none", "client_secret_basic", "client_secret_post")

ClientKind = Literal["dynamic", "pre-registered", "document"]
"""It registered itself; it came with the trace; its id is the address of its metadata."""


class OAuthClient(msgspec.Struct, array_like=True):
    """One client."""

    number: int
    """What codes and tokens know it by."""
    id: str
    kind: ClientKind
    redirect_uris: list[str]
    method: AuthMethod
    secret: bytes
    """The digest of its secret; empty where it has none."""
    name: str
    """What it calls itself."""
    refreshes: bool
    """Whether it has registered the grant type ``refresh_token``."""
    at: int
    """Seconds since the epoch when it was learned."""


class Code(msgspec.Struct, array_like=True):
    """One authorization code."""

    client: int
    redirect_uri: bytes
    """The digest of the URI that it was sent to."""
    challenge: bytes
    """The SHA-256 of the verifier (RFC 7636 section 4.2)."""
    scopes: list[int]
    expires: int
    spent: bool = False


class IssuedToken(msgspec.Struct, array_like=True):
    """One access or refresh token that is still taken, or a refresh token that was."""

    refresh: bool
    client: int
    family: bytes
    """The key of the code that it descends from."""
    scopes: list[int]
    expires: int
    """Seconds since the epoch; 0 for as long as the trace lasts."""
    spent: bool = False
    """Whether another one has taken the place of this refresh token."""


class AuthorizationState(msgspec.Struct):
    """The state of one authorization server."""

    clients: list[OAuthClient] = []
    numbered: int = 0
    """How many clients there ever were."""
    codes: dict[bytes, Code] = {}
    tokens: dict[bytes, IssuedToken] = {}
    """Of a refresh token the `key_of` it, of an access token that of its ``jti``."""

    def client(self, client_id: str) -> OAuthClient | None:
        """Return the client of an id."""
        return next((each for each in self.clients if each.id == client_id), None)

    def numbered_client(self, number: int) -> OAuthClient | None:
        """Return the client of a number."""
        return next((each for each in self.clients if each.number == number), None)

    def add_client(self, client: OAuthClient) -> None:
        """Know a client from now on, in the place of the oldest where there are as many as may be."""
        self.numbered += 1
        client.number = self.numbered
        replaced = self.client(client.id)
        if replaced is not None:
            client.number = replaced.number
            self.clients.remove(replaced)
        elif len(self.clients) >= MOST_CLIENTS:
            self._forget(next(each for each in self.clients if each.kind != "pre-registered"))
        self.clients.append(client)

    def _forget(self, client: OAuthClient) -> None:
        self.clients.remove(client)
        self.codes = {key: each for key, each in self.codes.items() if each.client != client.number}
        self.tokens = {key: each for key, each in self.tokens.items() if each.client != client.number}

    def add_code(self, key: bytes, code: Code) -> None:
        """Keep a code, in the place of the oldest where there are as many as may be."""
        self.codes[key] = code
        _shorten(self.codes, MOST_CODES)

    def add_token(self, key: bytes, token: IssuedToken) -> None:
        """Keep a token, in the place of the oldest where there are as many as may be."""
        self.tokens[key] = token
        _shorten(self.tokens, MOST_TOKENS)

    def revoke_family(self, family: bytes) -> None:
        """Take none of the tokens any more that descend from a code."""
        self.tokens = {key: each for key, each in self.tokens.items() if each.family != family}

    def expire(self, now: float) -> None:
        """Let go of the access tokens that are over; a code is kept for a while, to tell a second use."""
        self.tokens = {key: each for key, each in self.tokens.items() if not 0 < each.expires <= now}


AUTHORIZATION = Part("authorization", AuthorizationState)
"""The state of a trace's authorization server."""

OTHER_AUTHORIZATION = Part("other-authorization", AuthorizationState)
"""That of its second one, to which a fault sends clients."""

T = TypeVar("T")


def _shorten(kept: dict[bytes, T], most: int) -> None:
    while len(kept) > most:
        del kept[next(iter(kept))]


def key_of(secret: str) -> bytes:
    """Return what a code, a refresh token or a ``jti`` is kept as: half of its SHA-256."""
    return digest_of(secret)[:16]


def digest_of(secret: str) -> bytes:
    """Return the SHA-256 of a text that came or goes."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
