"""The authorization endpoint: what a client asks for, and the code that it gets. No I/O.

OAuth 2.1 section 4.1, RFC 7636 (PKCE), RFC 8707 (resource), RFC 9207 (iss).
https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mcp_echo.oauth.errors import OAuthError
from mcp_echo.oauth.names import Names
from mcp_echo.oauth.protection import Protection
from mcp_echo.oauth.redirects import host_of, is_loopback, is_registered, with_parameters
from mcp_echo.oauth.registration import NewSecret
from mcp_echo.oauth.state import CODE_SECONDS, AuthorizationState, Code, OAuthClient, digest_of, key_of

_S256 = re.compile(r"[A-Za-z0-9_-]{43}")

MOST_PARAMETERS = 32
"""Parameters of one request."""

LONGEST_STATE = 2048
"""Characters of ``state``, which is given back as it came."""

Parameters = Mapping[str, list[str]]
"""Name → values, in their order."""


class Asker(NamedTuple):
    """Who asks, and where its answer goes; both are known to be right before anything is sent there."""

    client: OAuthClient
    redirect_uri: str
    state: str | None


class CodeRequest(NamedTuple):
    """What a client is about to be given."""

    asker: Asker
    scopes: list[int]
    """Places in `Protection.grantable`."""
    challenge: bytes


class ForTheClient(Exception):
    """Something is wrong with a request, and the client is to be told by a redirect.

    Args:
        asker: Who is told, and where.
        error: What is wrong.
    """

    def __init__(self, asker: Asker, error: OAuthError) -> None:
        super().__init__(str(error))
        self.asker = asker
        self.error = error


def single(parameters: Parameters, name: str) -> str | None:
    """Return a parameter; one that is empty is none (RFC 6749 section 3.1).

    Raises:
        OAuthError: It is given more than once.
    """
    values = parameters.get(name) or [""]
    if len(values) > 1:
        raise OAuthError("invalid_request", f"{name} is given {len(values)} times (RFC 6749 section 3.1)")
    return values[0] or None


def find_asker(state: AuthorizationState, parameters: Parameters) -> Asker:
    """Return who asks; until that is known nothing is sent anywhere (RFC 6749 section 4.1.2.1).

    Raises:
        OAuthError: The client is not known, or has not registered the redirect URI.
    """
    client_id = single(parameters, "client_id")
    if client_id is None:
        raise OAuthError("invalid_request", "client_id is missing")
    client = state.client(client_id)
    if client is None:
        raise OAuthError(
            "invalid_request",
            "This client is not known here. Each trace has clients of its own, and keeps the newest: "
            "register again, or open the trace's own authorization address",
        )
    uri = single(parameters, "redirect_uri")
    if uri is None and len(client.redirect_uris) == 1:
        uri = client.redirect_uris[0]
    if uri is None:
        raise OAuthError("invalid_request", "redirect_uri is missing, and the client has registered several")
    if not is_registered(uri, client.redirect_uris):
        raise OAuthError(
            "invalid_request",
            f"redirect_uri is {uri}, which the client has not registered; it registered "
            f"{', '.join(client.redirect_uris)}",
        )
    given = single(parameters, "state")
    if given is not None and len(given) > LONGEST_STATE:
        raise OAuthError("invalid_request", f"state has more than {LONGEST_STATE} characters")
    return Asker(client, uri, given)


def read_request(asker: Asker, parameters: Parameters, names: Names, protection: Protection) -> CodeRequest:
    """Return what a client wants.

    Raises:
        ForTheClient: It cannot have it.
    """
    try:
        _check_response_type(parameters)
        challenge = _challenge(parameters)
        check_resource(parameters, names, required=True)
        return CodeRequest(asker, _scopes(parameters, protection), challenge)
    except OAuthError as error:
        raise ForTheClient(asker, error) from None


def _check_response_type(parameters: Parameters) -> None:
    wanted = single(parameters, "response_type")
    if wanted is None:
        raise OAuthError("invalid_request", "response_type is missing; it has to be code")
    if wanted != "code":
        raise OAuthError("unsupported_response_type", f"response_type is {wanted}; only code is known here")
    if (single(parameters, "response_mode") or "query") != "query":
        raise OAuthError("invalid_request", "response_mode can only be query here")


def _challenge(parameters: Parameters) -> bytes:
    """Return the hash that the verifier must have; without PKCE a stolen code is enough (RFC 9700 2.1.1)."""
    challenge = single(parameters, "code_challenge")
    if challenge is None:
        raise OAuthError("invalid_request", "code_challenge is missing: PKCE with S256 is required here")
    method = single(parameters, "code_challenge_method") or "plain"
    if method != "S256":
        raise OAuthError(
            "invalid_request",
            f"code_challenge_method is {method}; transform algorithm not supported, use S256",
        )
    if not _S256.fullmatch(challenge):
        raise OAuthError(
            "invalid_request",
            "code_challenge is no SHA-256 in base64url, 43 characters (RFC 7636 section 4.2)",
        )
    return urlsafe_b64decode(f"{challenge}=")


def check_resource(parameters: Parameters, names: Names, *, required: bool) -> None:
    """Insist on the name of the resource, byte for byte (RFC 8707 section 2).

    Raises:
        OAuthError: It names another one, or none where one is required.
    """
    named = [each for each in parameters.get("resource", ()) if each]
    if not named and required:
        raise OAuthError("invalid_target", f"resource is missing; it has to be {names.resource}")
    for each in named:
        if each != names.resource:
            raise OAuthError(
                "invalid_target", f"resource is {each}; the metadata of the resource says {names.resource}"
            )


def _scopes(parameters: Parameters, protection: Protection) -> list[int]:
    """Return the scopes to grant: those that are asked for and known, or else what the challenge asks for.

    What is not known is left out, and the token response says what was granted (RFC 6749 section 3.3).
    """
    grantable = protection.grantable
    asked = (single(parameters, "scope") or "").split()
    places = [
        grantable.index(each) for each in dict.fromkeys(asked or protection.scopes) if each in grantable
    ]
    if not places:
        raise OAuthError(
            "invalid_scope", f"None of the scopes is known here; there are {', '.join(grantable)}"
        )
    return sorted(places)


def is_trusted(uri: str, protection: Protection, hosts: Iterable[str]) -> bool:
    """Return whether a browser may be sent to a redirect URI without asking.

    Whoever may register can register any URI: sent there unasked, this server would be an open redirector
    (RFC 9700 section 4.11.2).

    Args:
        uri: A registered redirect URI.
        protection: What its trace wants.
        hosts: Those of ``MCP_ECHO_REDIRECT_HOSTS``.
    """
    if protection.consent == "page":
        return False
    return is_loopback(uri) or (uri.startswith("https:") and host_of(uri) in hosts)


def issue_code(state: AuthorizationState, wanted: CodeRequest, now: float, new_secret: NewSecret) -> str:
    """Return a new code, bound to client, redirect URI and verifier (RFC 9700 section 4.5.3)."""
    code = new_secret()
    kept = Code(
        client=wanted.asker.client.number,
        redirect_uri=digest_of(wanted.asker.redirect_uri)[:16],
        challenge=wanted.challenge,
        scopes=wanted.scopes,
        expires=int(now) + CODE_SECONDS,
    )
    state.add_code(key_of(code), kept)
    return code


def answer_uri(asker: Asker, names: Names, answer: dict[str, str]) -> str:
    """Return where the browser takes an answer: with who gives it, against mix-up (RFC 9207 section 2).

    Args:
        asker: Who asked.
        names: Of the authorization server.
        answer: The code, or the error.
    """
    given: dict[str, Any] = {} if asker.state is None else {"state": asker.state}
    return with_parameters(asker.redirect_uri, {**answer, **given, "iss": names.issuer})


def error_answer(error: OAuthError) -> dict[str, str]:
    """Return an error as a client is told of it by a redirect."""
    return {"error": error.code, "error_description": error.description}
