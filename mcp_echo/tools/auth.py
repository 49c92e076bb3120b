"""bearerDecode and authContext: who the request says is calling."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mcp_echo.auth import credentials, jwt
from mcp_echo.auth.credentials import Credentials
from mcp_echo.auth.identity_headers import ANY_SERVICE, Fact, row_of
from mcp_echo.auth.jwt_claims import LAST_SECOND
from mcp_echo.auth.jwt_problems import problems_of
from mcp_echo.auth.token_search import (
    FoundToken,
    credentials_in,
    in_argument,
    in_header,
    in_request,
    tokens_elsewhere,
)
from mcp_echo.http.headers import Headers
from mcp_echo.protocol.texts import moment
from mcp_echo.redaction import fingerprint, mask, mask_header, mask_tokens, printable
from mcp_echo.tools.base import Answer, Call, NoArguments, Tool, ToolError
from mcp_echo.tools.headers import shown
from mcp_echo.tools.identity import Identity, identities_of, told, told_by_claims
from mcp_echo.tools.verification import Verification, verification_of


def bearer_token(headers: Headers) -> str | None:
    """Return the token of ``Authorization: Bearer`` (RFC 6750 section 2.1), or None."""
    return credentials.read(headers.get("Authorization") or "").bearer


class BearerDecodeArguments(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What bearerDecode takes."""

    token: Annotated[
        str | None,
        Meta(description="Token; else the request's."),
    ] = None
    header: Annotated[
        str | None,
        Meta(description="Header to decode instead."),
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
    verified_by: str | None = None
    """The key that has signed it; what of the claims does not hold here is among the problems."""
    problems: list[str] = []
    other_sources: list[str] = []
    """Further headers of the request that have tokens."""


_NOT_VERIFIED = "- Signature: not verified (anyone could have written this token)"
_LONGEST_INDENTED = 64 * 1024
"""Characters; each level of depth indents every line, so that more would be shown as many times as long."""
_DEEPEST_INDENTED = 8


def bearer_decode(call: Call, arguments: BearerDecodeArguments) -> Answer:
    """Decode a JWT and say what of it is verified, or say why it is none."""
    found, others = _found(call.headers, arguments)
    if found.token is None:
        return _not_a_token(found, others)
    try:
        token = jwt.read(found.token)
    except jwt.NotAToken as error:
        reasons = (f"This is not a JWT: {error}", *found.problems)
        return _not_a_token(found._replace(problems=reasons), others)
    return _decoded(token, found, others, call)


def _found(headers: Headers, arguments: BearerDecodeArguments) -> tuple[FoundToken, list[str]]:
    """Return the token to decode, and the other headers that have one where none was asked for."""
    if arguments.token is not None and arguments.header is not None:
        raise ToolError("Give bearerDecode a token or the name of a header, not both")
    if arguments.token is not None:
        return in_argument(arguments.token), []
    if arguments.header is not None:
        return in_header(headers, arguments.header), []
    found = in_request(headers)
    return found, [name for name in tokens_elsewhere(headers) if f"{name} header" != found.source]


def _not_a_token(found: FoundToken, others: list[str]) -> Answer:
    lines = ["🔍 JWT Token Analysis", "", "⏱️ Token Status:", "- Status: NOT A JWT"]
    lines.extend(f"- Problem: {problem}" for problem in found.problems)
    lines.extend(_origin(found, others))
    problems = list(found.problems)
    result = BearerDecodeResult(found.source, is_jwt=False, problems=problems, other_sources=others)
    return Answer(printable("\n".join(lines)), result)


def _origin(found: FoundToken, others: list[str]) -> list[str]:
    """Return the lines that say where a token came from, where that is not where everybody looks."""
    lines = [f"- Source: {found.source}"] if found.source not in ("argument", "Authorization header") else []
    if others:
        lines.append(f"- Other Tokens: {', '.join(others)} (give the name as header)")
    return lines


def _decoded(token: jwt.Token, found: FoundToken, others: list[str], call: Call) -> Answer:
    wall = call.context.wall()
    verified = verification_of(call, found.token)
    times = {
        name: None if seconds is None else _time(seconds)
        for name, seconds in (
            ("Issued", token.issued),
            ("Not Before", token.not_before),
            ("Expires", token.expires),
        )
    }
    status = token.status(wall)
    problems = [*found.problems, *problems_of(token, wall)]
    lines = [f"🔍 JWT Token Analysis\n\nHeader:\n{_pretty(token.header)}\n"]
    if token.payload is not None:
        lines.append(f"Payload:\n{_pretty(token.payload)}\n")
    lines.append("⏱️ Token Status:")
    lines.extend(f"- {name}: {time}" for name, time in times.items() if time is not None)
    lines.append(f"- Status: {status or 'ENCRYPTED (JWE)'}")
    lines.extend(_verified(token, verified))
    lines.extend(f"- Problem: {printable(problem)}" for problem in problems)
    lines.extend(_origin(found, others))
    result = BearerDecodeResult(
        source=found.source,
        is_jwt=True,
        kind=token.kind,
        header=token.header,
        payload=token.payload,
        status=status,
        issued=times["Issued"],
        not_before=times["Not Before"],
        expires=times["Expires"],
        signature_verified=verified is not None and verified.key is not None,
        verified_by=None if verified is None else verified.key,
        problems=[*problems, *(() if verified is None else verified.problems)],
        other_sources=others,
    )
    return Answer("\n".join(lines), result)


def _verified(token: jwt.Token, verified: Verification | None) -> list[str]:
    """Return the lines that say what was verified."""
    if token.kind != "JWS":
        return ["- Signature: none to verify in a JWE"]
    if verified is None:
        return [_NOT_VERIFIED]
    return [printable(f"- Signature: {verified.signature_text}\n- Claims: {verified.claims_text}")]


def _time(seconds: float) -> str:
    if seconds < 0:
        return f"before {moment(0)}"
    return moment(seconds) if seconds <= LAST_SECOND else f"after {moment(LAST_SECOND)}"


def _pretty(value: dict[str, Any]) -> str:
    compact = json.dumps(value, ensure_ascii=False)
    if len(compact) > _LONGEST_INDENTED or _is_deeper(value, _DEEPEST_INDENTED):
        return printable(compact)
    return printable(json.dumps(value, indent=2, ensure_ascii=False))


def _is_deeper(value: Any, levels: int) -> bool:
    """Return whether decoded JSON is nested more than so many levels deep; it looks no deeper."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    if inner is None:
        return False
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inner)


BEARER_DECODE = Tool(
    name="bearerDecode",
    title="Decode token",
    description=("Return what a JWT says, its problems and its verifier. Call it when one is refused."),
    arguments=BearerDecodeArguments,
    result=BearerDecodeResult,
    run=bearer_decode,
)

_EXPECTED = ("Authorization", "X-User-Id", "X-User-Name", "X-Auth-Token", "X-GitHub-User", "X-Request-Id")
_SECRET_FACTS = ("credential", "claims", "proof")
_OF_USERS: tuple[Fact, ...] = ("user_id", "user_name", "github_user", "email", "groups")


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
    """Whether the headers have what could be credentials, or name a caller; that alone verifies nothing."""
    verified_by: str | None
    """The key that has signed the token, where this server has verified that and its claims."""
    session: str | None
    principal: PrincipalShown
    request_id: str | None
    present: list[str]
    missing: list[str]
    problems: list[str]
    """What is wrong with the credentials, with the character and its place."""
    identities: list[Identity]
    """The headers in which gateways say who is calling."""


def auth_context(call: Call, _: NoArguments) -> Answer:
    """Put together what the request says about its caller, as headers report it."""
    headers = call.headers
    given = _credentials(headers)
    identities = identities_of(headers, reveal=call.context.settings.reveal_secrets)
    user: dict[str, Any] = {
        fact: told(headers, fact) or told_by_claims(identities, fact) for fact in _OF_USERS
    }
    verified = None if given is None else verification_of(call, given.token)
    request_id = headers.get("X-Request-Id")
    result = AuthContextResult(
        **user,
        **_of_token(given),
        authenticated=(given is not None and given.plausible) or bool(user["user_id"] or user["email"]),
        verified_by=verified.key if verified is not None and verified.claims else None,
        session=None if call.session is None else call.session.id,
        principal=shown_principal(call),
        request_id=mask_tokens(request_id) if request_id else None,
        present=_present(headers, identities),
        missing=[name for name in _EXPECTED if headers.get(name) is None],
        identities=identities,
    )
    return Answer(_auth_text(result, given, verified, call), result)


def _of_token(given: Credentials | None) -> dict[str, Any]:
    """Return what a result says of credentials."""
    if given is None:
        return {"token_type": None, "token_length": None, "token_fingerprint": None, "problems": []}
    return {
        "token_type": given.scheme,
        "token_length": len(given.token),
        "token_fingerprint": fingerprint(given.token) if given.token else None,
        "problems": list(given.problems),
    }


def _credentials(headers: Headers) -> Credentials | None:
    """Return the credentials of a request: those in ``Authorization``, or else a token in another header."""
    lines = headers.all("Authorization")
    elsewhere = next(tokens_elsewhere(headers), None)
    if any(lines) or (lines and elsewhere is None):
        return _checked(credentials.read(next(filter(None, lines), "")), len(lines))
    if elsewhere is None:
        return None
    return _checked(credentials_in(elsewhere, headers.get(elsewhere) or ""), 1)


def _checked(given: Credentials, lines: int) -> Credentials:
    """Return credentials with what only the whole request and the token itself can show."""
    problems = list(given.problems)
    if lines > 1:
        problems.append(f"Authorization came in {lines} lines: servers differ in which of them they take")
    if given.plausible and given.token.startswith("eyJ") and "." in given.token:
        try:
            jwt.read(given.token)
        except jwt.NotAToken as error:
            problems.append(f"The token looks like a JWT and is not one: {error}")
    plausible = given.plausible and len(problems) == len(given.problems)
    return given._replace(problems=tuple(problems), plausible=plausible)


def _present(headers: Headers, identities: list[Identity]) -> list[str]:
    known = dict.fromkeys((*_EXPECTED, *(each.header for each in identities)))
    return [name for name in known if headers.get(name) is not None]


def _auth_text(
    result: AuthContextResult, given: Credentials | None, verified: Verification | None, call: Call
) -> str:
    lines = [
        "🔐 Authentication Context",
        "",
        *_user_lines(result),
        "",
        "🎫 Token Details:",
        f"- Token Type: {result.token_type or 'none'}",
        f"- Token Length: {result.token_length or 0} characters",
        f"- Token Preview: {_preview(given, call)}",
        *(f"- Problem: {problem}" for problem in result.problems),
        "",
        *_derived_lines(result, _believed(call.request.seen.subject, verified)),
        "",
        "📨 Headers:",
        *(f"- {name}: ✅ {_header(call, name)}" for name in result.present),
        *(f"- {name}: ❌ missing" for name in result.missing),
        *_hops(result.identities),
    ]
    return printable("\n".join(lines))


def _user_lines(result: AuthContextResult) -> list[str]:
    lines = [
        "👤 User Information:",
        f"- User ID: {result.user_id or 'not given'}",
        f"- Username: {result.user_name or 'not given'}",
        f"- GitHub User: {result.github_user or 'not given'}",
    ]
    rarely_given = (("Email", result.email), ("Groups", result.groups))
    return lines + [f"- {name}: {value}" for name, value in rarely_given if value]


def _derived_lines(result: AuthContextResult, believed: str) -> list[str]:
    return [
        "🔑 Derived Information:",
        f"- Authentication: {'✅ Authenticated' if result.authenticated else '❌ Not authenticated'}"
        f" ({believed})",
        f"- Session: {result.session or 'none (this request stands alone)'}",
        f"- Principal: {principal_text(result.principal)}",
        f"- Request ID: {result.request_id or 'not given'}",
    ]


def _believed(subject: str | None, verified: Verification | None) -> str:
    """Return what the credentials of a request are worth.

    Args:
        subject: Issuer and subject of its access token, if its trace asks for one and has verified it.
        verified: What is known of the token that is shown.
    """
    if verified is None:
        return "as the headers say; this server verifies nothing"
    who = "" if subject is None else f"this trace has verified the access token of {subject}; "
    return f"{who}the token: {verified.text}; other headers are as they came"


def _preview(given: Credentials | None, call: Call) -> str:
    if given is None or not given.token:
        return "none"
    if given.is_placeholder or call.context.settings.reveal_secrets:
        return given.token
    return mask(given.token)


def _header(call: Call, name: str) -> str:
    return ", ".join(_value(call, name, value) for value in call.headers.all(name))


def _value(call: Call, name: str, value: str) -> str:
    """Return a header's value as it may be shown; a header that is known for tokens has one in any shape."""
    row = row_of(name)
    carries_token = name == "Authorization" or (row is not None and row.fact in _SECRET_FACTS)
    if not carries_token or call.context.settings.reveal_secrets:
        return shown(call, name, value)
    # A placeholder keeps no secret; of others the scheme may be seen.
    return value if credentials_in(name, value).is_placeholder else mask_header("Authorization", value)


def _hops(identities: list[Identity]) -> list[str]:
    """Return the lines that say which gateway each header comes from, but for those that any may set."""
    told_here = [each for each in identities if each.hop != ANY_SERVICE or each.problem is not None]
    if not told_here:
        return []
    lines = ["", "🛂 Identity Headers (as each hop says; anybody can send them past it):"]
    for each in told_here:
        lines.append(f"- {each.header}: {each.tells}, set by {each.hop}")
        if each.claims is not None:
            lines.append(f"  {json.dumps(each.claims, ensure_ascii=False)}")
        if each.problem is not None:
            lines.append(f"  Problem: {each.problem}")
    return lines


AUTH_CONTEXT = Tool(
    name="authContext",
    title="Auth context",
    description=("Return who seems to be calling and what is believed. Call it on 401, 403 or a wrong user."),
    arguments=NoArguments,
    result=AuthContextResult,
    run=auth_context,
)
