"""The metadata documents of a protected resource and of its authorization server. No I/O.

RFC 9728, RFC 8414, OpenID Connect Discovery 1.0.
https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization#authorization-server-discovery
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcp_echo.oauth.names import Names
from mcp_echo.oauth.protection import Protection
from mcp_echo.oauth.state import AUTH_METHODS


def resource_metadata(names: Names, protection: Protection, issuers: Sequence[str]) -> dict[str, Any]:
    """Return the metadata of a protected resource (RFC 9728 section 2).

    Args:
        names: Of the resource.
        protection: What it asks for.
        issuers: Whose tokens it takes.
    """
    return {
        "resource": names.resource,
        "authorization_servers": list(issuers),
        "scopes_supported": protection.all_scopes,
        "bearer_methods_supported": ["header"],
        "resource_name": "mcp-echo",
    }


def server_metadata(names: Names, protection: Protection, *, takes_documents: bool) -> dict[str, Any]:
    """Return the metadata of an authorization server (RFC 8414 section 2).

    Args:
        names: Of the authorization server.
        protection: What it grants.
        takes_documents: Whether a client's id may be the address of its metadata.
    """
    documents = {"client_id_metadata_document_supported": True} if takes_documents else {}
    return {
        "issuer": names.issuer,
        "authorization_endpoint": names.endpoint("authorize"),
        "token_endpoint": names.endpoint("token"),
        "registration_endpoint": names.endpoint("register"),
        "revocation_endpoint": names.endpoint("revoke"),
        "introspection_endpoint": names.endpoint("introspect"),
        "jwks_uri": names.endpoint("jwks"),
        "scopes_supported": protection.grantable,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "revocation_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "introspection_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "protected_resources": [names.resource],
        **documents,
    }


def openid_metadata(names: Names, protection: Protection, *, takes_documents: bool) -> dict[str, Any]:
    """Return the same at the places of OpenID Connect, with what clients insist on there (Discovery 3).

    No id token is ever issued: the scope ``openid`` is none of those that there are.
    """
    return {
        **server_metadata(names, protection, takes_documents=takes_documents),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [protection.algorithm],
    }
