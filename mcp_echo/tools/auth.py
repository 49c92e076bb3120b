"""bearerDecode and authContext: who the request says is calling."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mcp_echo.protocol.headers import Headers
from mcp_echo.redaction import fingerprint, mask, mask_tokens, printable, split_credentials
from mcp_echo.tools import jwt
from mcp_echo.tools.base import Answer, Call, NoArguments, Tool
from mcp_echo.tools.headers import shown
from mcp_echo.tools.texts import moment

_BEARER = re.compile(r"bearer[ \t]+(\S+)[ \t]*", re.IGNORECASE)


def bearer_token(headers: Headers) -> str | None:
    """Return the token of ``Authorization: Bearer`` (RFC 6750 section 2.1), or None."""
    return token_in(headers.get("Authorization"))


def token_in(credentials: str | None) -> str | None:
    """Return the token in the value of an ``Authorization: Bearer`` field, or None."""
    found = _BEARER.fullmatch(credentials or "")
    return found[1] if found else None


class BearerDecodeArguments(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What bearerDecode takes."""

    token: Annotated[
        str | None,
        Meta(description="JWT token to decode (uses Authorization header if not provided)."),
    ] = None


class BearerDecodeResult(msgspec.Struct, rename="camel"):
    """What bearerDecode answers."""

    source: str
    is_jwt: bool
    kind: str | None = None
    header: dict[str, Any] | None = None
    payload: dict[str, Any] | None = None
    status: str | None = None
    issued: str | None = None
    not_before: str | None = None
    expires: str | None = None
    signature_verified: bool = False
    problems: list[str] = []


_NOT_VERIFIED = "- Signature: not verified (anyone could have written this token)"


def bearer_decode(call: Call, arguments: BearerDecodeArguments) -> Answer:
    """Decode a JWT without verifying it, or say why it is none."""
    source = "argument" if arguments.token is not None else "Authorization header"
    text = arguments.token if arguments.token is not None else bearer_token(call.headers)
    if text is None:
        present = call.headers.get("Authorization") is not None
        reason = "it is not a Bearer token" if present else "the request has none"
        problem = f"Nothing to decode: no token argument, and of the Authorization header {reason}"
        return _not_a_token(source, problem)
    text = text.strip()
    if found := _BEARER.fullmatch(text):
        text = found[1]
    try:
        token = jwt.read(text)
    except jwt.NotAToken as error:
        return _not_a_token(source, f"This is not a JWT: {error}")
    return _decoded(token, source, call.facts.wall())


def _not_a_token(source: str, problem: str) -> Answer:
    text = f"🔍 JWT Token Analysis\n\n⏱️ Token Status:\n- Status: NOT A JWT\n- Problem: {printable(problem)}"
    return Answer(text, BearerDecodeResult(source, is_jwt=False, problems=[problem]))


def _decoded(token: jwt.Token, source: str, wall: float) -> Answer:
    times = {
        name: None if seconds is None else moment(seconds)
        for name, seconds in (
            ("Issued", token.issued),
            ("Not Before", token.not_before),
            ("Expires", token.expires),
        )
    }
    status = token.status(wall)
    lines = [f"🔍 JWT Token Analysis\n\nHeader:\n{_pretty(token.header)}\n"]
    if token.payload is not None:
        lines.append(f"Payload:\n{_pretty(token.payload)}\n")
    lines.append("⏱️ Token Status:")
    lines.extend(f"- {name}: {time}" for name, time in times.items() if time is not None)
    lines.append(f"- Status: {status or 'ENCRYPTED (JWE)'}")
    lines.append(_NOT_VERIFIED if token.kind == "JWS" else "- Signature: none to verify in a JWE")
    lines.extend(f"- Problem: {printable(problem)}" for problem in token.problems)
    result = BearerDecodeResult(
        source=source,
        is_jwt=True,
        kind=token.kind,
        header=token.header,
        payload=token.payload,
        status=status,
        issued=times["Issued"],
        not_before=times["Not Before"],
        expires=times["Expires"],
        problems=token.problems,
    )
    return Answer("\n".join(lines), result)


def _pretty(value: dict[str, Any]) -> str:
    return printable(json.dumps(value, indent=2, ensure_ascii=False))


BEARER_DECODE = Tool(
    name="bearerDecode",
    title="Decode bearer token",
    description=(
        "Return what a JWT says and its problems; the signature is not verified. Call it when a token is "
        "refused."
    ),
    arguments=BearerDecodeArguments,
    result=BearerDecodeResult,
    run=bearer_decode,
)

# What each fact about the user is called by the proxies that vouch for it: Traefik ForwardAuth setups,
# oauth2-proxy (X-Auth-Request-*, X-Forwarded-*), Authelia and authentik (Remote-*), Grafana (X-WEBAUTH-USER).
USER_ID_HEADERS = ("X-User-Id", "X-Auth-Request-User", "X-Forwarded-User", "Remote-User", "X-WEBAUTH-USER")
USER_NAME_HEADERS = (
    "X-User-Name",
    "X-Auth-Request-Preferred-Username",
    "X-Forwarded-Preferred-Username",
    "Remote-Name",
)
_EMAIL_HEADERS = ("X-User-Email", "X-Auth-Request-Email", "X-Forwarded-Email", "Remote-Email")
_GROUP_HEADERS = ("X-User-Groups", "X-Auth-Request-Groups", "X-Forwarded-Groups", "Remote-Groups")
_TOKEN_HEADERS = ("X-Auth-Token", "X-Auth-Request-Access-Token", "X-Forwarded-Access-Token")
_EXPECTED = ("Authorization", "X-User-Id", "X-User-Name", "X-Auth-Token", "X-GitHub-User", "X-Request-Id")


def first_of(headers: Headers, names: tuple[str, ...]) -> str | None:
    """Return the value of the first of ``names`` that is present and not empty, tokens in it masked."""
    return next((mask_tokens(value) for name in names if (value := headers.get(name))), None)


class PrincipalShown(msgspec.Struct, rename="camel"):
    """Who the caller is as far as the server believes it, and why."""

    name: str | None
    source: str | None
    """What it was taken from; None where there is none."""
    peer: str
    """The other end of the connection."""
    peer_is_trusted: bool
    client_address: str


def shown_principal(call: Call) -> PrincipalShown:
    """Return what the server believes of a call's caller."""
    caller = call.caller()
    return PrincipalShown(caller.principal, caller.source, caller.peer, caller.trusted, caller.address)


def principal_text(principal: PrincipalShown) -> str:
    """Return, for people, whether a principal was believed, from what, and for which peer."""
    if principal.name is not None:
        via = f"{principal.source}, believed from the trusted proxy {principal.peer}"
        return f"{principal.name} ({via})"
    if principal.peer_is_trusted:
        return f"none (the trusted proxy {principal.peer} names nobody)"
    return f"none (peer {principal.peer} is not in MCP_ECHO_TRUSTED_PROXIES: headers are shown, not believed)"


class AuthContextResult(msgspec.Struct, rename="camel"):
    """What authContext answers."""

    user_id: str | None
    user_name: str | None
    github_user: str | None
    email: str | None
    groups: str | None
    token_type: str | None
    token_length: int | None
    token_fingerprint: str | None
    authenticated: bool
    session: str | None
    principal: PrincipalShown
    request_id: str | None
    present: list[str]
    missing: list[str]


def auth_context(call: Call, _: NoArguments) -> Answer:
    """Put together what the request says about its caller, as headers report it."""
    headers = call.headers
    credentials = headers.get("Authorization")
    token = _token(headers)
    vouched = (*USER_ID_HEADERS, *USER_NAME_HEADERS, *_EMAIL_HEADERS, *_GROUP_HEADERS, *_TOKEN_HEADERS)
    looked_for = dict.fromkeys((*_EXPECTED, *vouched))
    result = AuthContextResult(
        user_id=first_of(headers, USER_ID_HEADERS),
        user_name=first_of(headers, USER_NAME_HEADERS),
        github_user=first_of(headers, ("X-GitHub-User",)),
        email=first_of(headers, _EMAIL_HEADERS),
        groups=first_of(headers, _GROUP_HEADERS),
        token_type=split_credentials(credentials)[0] if credentials else None,
        token_length=len(token) if token is not None else None,
        token_fingerprint=fingerprint(token) if token is not None else None,
        authenticated=token is not None or first_of(headers, USER_ID_HEADERS) is not None,
        session=None if call.session is None else call.session.id,
        principal=shown_principal(call),
        request_id=first_of(headers, ("X-Request-Id",)),
        present=[name for name in looked_for if headers.get(name) is not None],
        missing=[name for name in _EXPECTED if headers.get(name) is None],
    )
    return Answer(_auth_text(result, token, call), result)


def _token(headers: Headers) -> str | None:
    credentials = headers.get("Authorization")
    if credentials:
        return split_credentials(credentials)[1]
    return next((value for name in _TOKEN_HEADERS if (value := headers.get(name))), None)


def _auth_text(result: AuthContextResult, token: str | None, call: Call) -> str:
    preview = "none"
    if token is not None:
        preview = token if call.facts.settings.reveal_secrets else mask(token)
    lines = [
        "🔐 Authentication Context",
        "",
        "👤 User Information:",
        f"- User ID: {result.user_id or 'not given'}",
        f"- Username: {result.user_name or 'not given'}",
        f"- GitHub User: {result.github_user or 'not given'}",
        *([f"- Email: {result.email}"] if result.email else []),
        *([f"- Groups: {result.groups}"] if result.groups else []),
        "",
        "🎫 Token Details:",
        f"- Token Type: {result.token_type or 'none'}",
        f"- Token Length: {result.token_length or 0} characters",
        f"- Token Preview: {preview}",
        "",
        "🔑 Derived Information:",
        f"- Authentication: {'✅ Authenticated' if result.authenticated else '❌ Not authenticated'}"
        " (as the headers say; this server verifies nothing)",
        f"- Session: {result.session or 'none (this request stands alone)'}",
        f"- Principal: {principal_text(result.principal)}",
        f"- Request ID: {result.request_id or 'not given'}",
        "",
        "📨 Headers:",
        *(f"- {name}: ✅ {shown(call, name, call.headers.get(name) or '')}" for name in result.present),
        *(f"- {name}: ❌ missing" for name in result.missing),
    ]
    return printable("\n".join(lines))


AUTH_CONTEXT = Tool(
    name="authContext",
    title="Authentication context",
    description=(
        "Return who the request says is calling, and what of it is believed. Call it on 401, 403 or a wrong "
        "user."
    ),
    arguments=NoArguments,
    result=AuthContextResult,
    run=auth_context,
)
