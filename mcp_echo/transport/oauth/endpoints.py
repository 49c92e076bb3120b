"""The legs that programs use: metadata, keys, registration, tokens, revocation, introspection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcp_echo.oauth.authentication import authenticate
from mcp_echo.oauth.authorize import single
from mcp_echo.oauth.errors import OAuthError
from mcp_echo.oauth.issued import introspect, kept_as, revoke
from mcp_echo.oauth.metadata import openid_metadata, resource_metadata, server_metadata
from mcp_echo.oauth.names import OPENID_METADATA
from mcp_echo.oauth.registration import read_metadata, register
from mcp_echo.oauth.state import AuthorizationState
from mcp_echo.oauth.tokens import Reused, TokenContext, grant
from mcp_echo.transport.oauth.forms import read_basic, read_form, read_json
from mcp_echo.transport.oauth.guard import TokenGuard
from mcp_echo.transport.oauth.legs import LegAnswer, LegRequest, json_answer
from mcp_echo.transport.oauth.signing import TraceKeys
from mcp_echo.watch.parts import Parts


class ProgramLegs:
    """Answers what programs ask.

    Args:
        parts: Keeps clients and tokens.
        keys: The signing keys of traces.
        guard: Knows whose tokens a trace takes.
        wall: The wall clock.
        new_secret: Makes ids, secrets and refresh tokens.
        takes_documents: Whether a client's id may be the address of its metadata.
    """

    def __init__(
        self,
        *,
        parts: Parts,
        keys: TraceKeys,
        guard: TokenGuard,
        wall: Callable[[], float],
        new_secret: Callable[[], str],
        takes_documents: bool,
    ) -> None:
        self._parts = parts
        self._keys = keys
        self._guard = guard
        self._wall = wall
        self._new_secret = new_secret
        self._takes_documents = takes_documents

    async def resource_metadata(self, asked: LegRequest) -> LegAnswer:
        """Answer with the metadata of the resource."""
        servers = self._guard.authorization_servers(asked.names, asked.protection)
        return json_answer(resource_metadata(asked.names, asked.protection, servers))

    async def server_metadata(self, asked: LegRequest) -> LegAnswer:
        """Answer with the metadata of the authorization server."""
        openid = OPENID_METADATA.encode() in asked.http.head.path
        document = openid_metadata if openid else server_metadata
        return json_answer(document(asked.names, asked.protection, takes_documents=self._takes_documents))

    async def jwks(self, asked: LegRequest) -> LegAnswer:
        """Answer with the public key that tokens are signed with."""
        key = await self._keys.key(asked.trace, asked.protection.algorithm)
        return json_answer({"keys": [key.jwk]})

    async def register(self, asked: LegRequest) -> LegAnswer:
        """Register a client."""
        metadata = read_metadata(read_json(asked.http))
        registered = await self._parts.change(
            asked.trace,
            asked.part,
            lambda state: register(state, metadata, self._wall(), self._new_secret),
        )
        return json_answer(registered, 201)

    async def token(self, asked: LegRequest) -> LegAnswer:
        """Give tokens for a code or a refresh token."""
        form, basic = read_form(asked.http), read_basic(asked.http)
        key = await self._keys.key(asked.trace, asked.protection.algorithm)
        context = TokenContext(asked.names, asked.protection, key, self._wall(), self._new_secret)
        given = await self._parts.change(
            asked.trace, asked.part, lambda state: grant(state, form, basic, context)
        )
        if isinstance(given, Reused):
            raise given
        return json_answer(given)

    async def revoke(self, asked: LegRequest) -> LegAnswer:
        """Take a token no more; that there was none is no error (RFC 7009 section 2.2)."""

        def work(state: AuthorizationState, token: bytes, client: Any) -> bool:
            return revoke(state, client, token)

        await self._about_token(asked, work)
        return json_answer({})

    async def introspect(self, asked: LegRequest) -> LegAnswer:
        """Say what is known of a token."""
        about = (asked.names, asked.protection, self._wall())

        def work(state: AuthorizationState, token: bytes, client: Any) -> dict[str, Any]:
            return introspect(state, client, token, about)

        return json_answer(await self._about_token(asked, work))

    async def _about_token(
        self, asked: LegRequest, work: Callable[[AuthorizationState, bytes, Any], Any]
    ) -> Any:
        """Return what work returns about the token that a client names, which has authenticated."""
        form, basic = read_form(asked.http), read_basic(asked.http)
        token = single(form, "token")
        if token is None:
            raise OAuthError("invalid_request", "token is missing")
        kept = kept_as(token, await self._keys.key(asked.trace, asked.protection.algorithm))
        return await self._parts.change(
            asked.trace, asked.part, lambda state: work(state, kept, authenticate(state, form, basic))
        )
