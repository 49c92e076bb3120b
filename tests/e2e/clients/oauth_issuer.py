"""The official Python SDK's authorization server, alone: python oauth_issuer.py PORT

Its tokens are JWTs for the resource that was asked for; its OpenID metadata says where its keys are.
"""

import secrets
import sys
import time
from typing import Any

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.routes import create_auth_routes
from mcp.server.auth.settings import ClientRegistrationOptions
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

KEY = ec.generate_private_key(ec.SECP256R1())
SECONDS = 300


class Provider(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """Lets everybody in.

    Args:
        issuer: Its name.
    """

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._clients: dict[str, OAuthClientInformationFull] = {}
        self._codes: dict[str, AuthorizationCode] = {}

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        """Return a client."""
        return self._clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        """Keep a client."""
        self._clients[str(client_info.client_id)] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        """Return where the browser takes a code."""
        code = secrets.token_urlsafe(32)
        self._codes[code] = AuthorizationCode(
            code=code,
            scopes=params.scopes or [],
            expires_at=time.time() + 60,
            client_id=str(client.client_id),
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
        )
        return construct_redirect_uri(str(params.redirect_uri), code=code, state=params.state)

    async def load_authorization_code(
        self, _client: Any, authorization_code: str
    ) -> AuthorizationCode | None:
        """Return a code."""
        return self._codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        """Return a token for a code."""
        del self._codes[authorization_code.code]
        scope = " ".join(authorization_code.scopes)
        claims = {
            "iss": self._issuer,
            "sub": "alice",
            "aud": authorization_code.resource,
            "client_id": client.client_id,
            "scope": scope,
            "iat": int(time.time()),
            "exp": int(time.time()) + SECONDS,
        }
        token = jwt.encode(claims, KEY, "ES256", {"typ": "at+jwt", "kid": "1"})
        return OAuthToken(access_token=token, expires_in=SECONDS, scope=scope)

    async def load_refresh_token(self, _client: Any, refresh_token: str) -> None:
        """Return nothing: there are none."""

    async def exchange_refresh_token(self, *_: Any) -> OAuthToken:
        """Never called."""
        raise NotImplementedError

    async def load_access_token(self, token: str) -> None:
        """Return nothing: the resource verifies by the key."""

    async def revoke_token(self, token: Any) -> None:
        """Do nothing."""


def main(port: int) -> None:
    """Serve."""
    issuer = f"http://127.0.0.1:{port}"
    # The SDK writes an issuer without a path with a slash.
    name = str(AnyHttpUrl(issuer))

    async def openid(_: Request) -> JSONResponse:
        return JSONResponse({"issuer": name, "jwks_uri": f"{issuer}/jwks"})

    async def jwks(_: Request) -> JSONResponse:
        key = ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
        return JSONResponse({"keys": [{**key, "kid": "1", "use": "sig", "alg": "ES256"}]})

    options = ClientRegistrationOptions(enabled=True, valid_scopes=["mcp"], default_scopes=["mcp"])
    routes = create_auth_routes(Provider(name), AnyHttpUrl(issuer), client_registration_options=options)
    routes += [Route("/.well-known/openid-configuration", openid), Route("/jwks", jwks)]
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=port, log_level="warning")


main(int(sys.argv[1]))
