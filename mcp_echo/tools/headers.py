"""printHeader and corsAnalysis: what arrived over HTTP and what a browser would make of it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mcp_echo.auth.identity_headers import row_of
from mcp_echo.http.cors import CorsPolicy, Verdict
from mcp_echo.http.hops import known_hop
from mcp_echo.redaction import mask_header, mask_tokens, printable
from mcp_echo.tools.base import Answer, Call, NoArguments, Tool

Category = Literal["auth", "standard", "mcp", "custom"]

_HEADINGS: dict[Category, str] = {
    "auth": "🔐 Authentication Headers:",
    "standard": "🌐 Standard Headers:",
    "mcp": "🔄 MCP Headers:",
    "custom": "🧩 Custom Headers:",
}

# Beside the identity headers, which have a table of their own.
_AUTH = frozenset(
    """authorization cookie proxy-authorization x-amz-security-token x-api-key x-auth x-csrf-token""".split()
)
_AUTH_PREFIXES = ("x-auth-", "x-user-")

# The registered fields (RFC 9110, 9111, 9112, Fetch, Client Hints, W3C Trace Context) and the forwarding
# fields that every proxy uses.
_STANDARD = frozenset(
    """accept accept-charset accept-encoding accept-language access-control-request-headers
    access-control-request-method access-control-request-private-network baggage cache-control connection
    content-encoding content-language content-length content-location content-type date dnt expect forwarded
    from host if-match if-modified-since if-none-match if-range if-unmodified-since keep-alive last-event-id
    max-forwards origin pragma priority range referer te trailer transfer-encoding tracestate traceparent
    upgrade upgrade-insecure-requests user-agent via warning x-forwarded-for x-forwarded-host x-forwarded-port
    x-forwarded-prefix x-forwarded-proto x-forwarded-server x-real-ip x-request-id""".split()
)
_STANDARD_PREFIXES = ("sec-",)


def categorize(name: str) -> Category:
    """Return the group a header belongs to."""
    name = name.lower()
    if name.startswith("mcp-"):
        return "mcp"
    if name in _AUTH or name.startswith(_AUTH_PREFIXES) or row_of(name) is not None:
        return "auth"
    if name in _STANDARD or name.startswith(_STANDARD_PREFIXES):
        return "standard"
    return "custom"


class PrintHeaderArguments(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What printHeader takes."""

    category: Annotated[Category | None, Meta(description="Show this category only.")] = None


class Field(msgspec.Struct):
    """One header as it arrived, secrets masked."""

    name: str
    value: str
    category: Category


class PrintHeaderResult(msgspec.Struct, rename="camel"):
    """What printHeader answers."""

    headers: list[Field]
    total: int
    counts: dict[Category, int]


def shown(call: Call, name: str, value: str) -> str:
    """Return a header's value as this call may show it; the caller's own session id is no secret to it."""
    if call.context.settings.reveal_secrets or name.lower() == "mcp-session-id":
        return value
    return mask_header(name, value)


def print_header(call: Call, arguments: PrintHeaderArguments) -> Answer:
    """List the request's headers by category, spelled and ordered as they arrived."""
    every = [
        Field(mask_tokens(name), shown(call, name, value), categorize(name)) for name, value in call.headers
    ]
    by_category: dict[Category, list[Field]] = {category: [] for category in _HEADINGS}
    for field in every:
        by_category[field.category].append(field)
    counts = {category: len(fields) for category, fields in by_category.items()}
    wanted = arguments.category
    shown_fields = every if wanted is None else by_category[wanted]
    sections = [
        _section(category, fields)
        for category, fields in by_category.items()
        if category == wanted or (wanted is None and fields)
    ]
    statistics = (
        "📊 Header Statistics:\n"
        f"  Total headers: {len(every)}\n"
        f"  Auth headers: {counts['auth']}\n"
        f"  Custom headers: {counts['custom']}"
    )
    text = "\n\n".join(["📋 HTTP Headers Analysis", *sections, statistics])
    return Answer(text, PrintHeaderResult(shown_fields, len(every), counts))


def _section(category: Category, fields: list[Field]) -> str:
    lines = [f"  {printable(field.name)}: {printable(field.value)}" for field in fields]
    return "\n".join([_HEADINGS[category], *(lines or ["  (none)"])])


PRINT_HEADER = Tool(
    name="printHeader",
    title="Print headers",
    description=(
        "Return this request's HTTP headers as they came, secrets masked. Call it to see what a gateway "
        "changed."
    ),
    arguments=PrintHeaderArguments,
    result=PrintHeaderResult,
    run=print_header,
)


class CorsResult(msgspec.Struct, rename="camel"):
    """What corsAnalysis answers."""

    allowed_origins: list[str]
    allowed_methods: list[str]
    allowed_headers: list[str]
    exposed_headers: list[str]
    max_age: int
    credentials: bool
    origin: str | None
    requested_method: str
    cross_origin: bool | None
    allowed_by_browser: bool | None
    hops: list[str]
    problems: list[str]
    uncertain: list[str]


def cors_analysis(call: Call, _: NoArguments) -> Answer:
    """Say what the server allows, what this request asked, and what a browser would do with it."""
    policy = CorsPolicy.of(call.context.settings)
    verdict = policy.judge(call.headers, call.http_method)
    origin = verdict.origin and mask_tokens(verdict.origin)
    lines = [
        "🌐 CORS Analysis",
        "",
        f"Allowed Origins: {', '.join(policy.allowed.entries)}",
        f"Allowed Methods: {', '.join(policy.methods)}",
        f"Allowed Headers: {', '.join(policy.headers)}",
        f"Exposed Headers: {', '.join(policy.exposed)}",
        f"Max Age: {policy.max_age}",
        f"Credentials: {str(policy.credentials).lower()}",
        "",
        "This Request:",
        f"- Origin: {_origin(verdict, origin)}",
        f"- Method: {call.http_method}",
        f"- Preflight: {_preflight(verdict, call.http_method)}",
        f"- A browser would: {_outcome(verdict)}",
        *([f"- Probably Added On The Way: {_from_hops(verdict)}"] if verdict.from_hops else []),
        *(f"- Problem: {printable(problem)}" for problem in verdict.problems),
        *(f"- Cannot Be Told: {printable(point)}" for point in verdict.uncertain),
        "",
        f"Status: {_status(policy, verdict)}",
    ]
    result = CorsResult(
        allowed_origins=list(policy.allowed.entries),
        allowed_methods=list(policy.methods),
        allowed_headers=list(policy.headers),
        exposed_headers=list(policy.exposed),
        max_age=policy.max_age,
        credentials=policy.credentials,
        origin=origin,
        requested_method=call.http_method,
        cross_origin=verdict.cross_origin,
        allowed_by_browser=verdict.readable,
        hops=list(verdict.from_hops),
        problems=list(verdict.problems),
        uncertain=list(verdict.uncertain),
    )
    return Answer("\n".join(lines), result)


def _origin(verdict: Verdict, origin: str | None) -> str:
    if origin is None:
        return "(none: not a CORS request, unless a hop has removed it)"
    same = " (the host this request is for: CORS applies only if the scheme differs)"
    return printable(origin) + (same if verdict.cross_origin is None else "")


def _preflight(verdict: Verdict, http_method: str) -> str:
    method = [f"the method {http_method}"] if verdict.method_needs_preflight else []
    headers = (
        [f"{', '.join(verdict.preflight_for)}, where the page itself set it"] if verdict.preflight_for else []
    )
    needed = " and ".join([*method, *headers])
    return printable(f"needed for {needed}") if needed else "not needed"


def _outcome(verdict: Verdict) -> str:
    if verdict.origin is None:
        return "not apply CORS to what came"
    if verdict.readable is None:
        return "let the page read this server's answer only if it sent no cookies"
    if verdict.readable:
        return "let the page read this server's answer, if no hop changes its headers"
    return "keep this server's answer from the page"


def _from_hops(verdict: Verdict) -> str:
    return printable(", ".join(f"{name} ({known_hop(name)})" for name in verdict.from_hops))


def _status(policy: CorsPolicy, verdict: Verdict) -> str:
    if verdict.problems:
        return f"❌ {len(verdict.problems)} problem{'s' if len(verdict.problems) > 1 else ''} found"
    if policy.allowed.any:
        return "⚠️ Permissive CORS configuration: any web page may call this server"
    if verdict.uncertain:
        return "❔ no problem found; what cannot be told from this request is named above"
    return "✅ CORS is limited to the allowed origins"


CORS_ANALYSIS = Tool(
    name="corsAnalysis",
    title="CORS analysis",
    description=(
        "Return what a browser would do with this request. Call it when a web page cannot use the server."
    ),
    arguments=NoArguments,
    result=CorsResult,
    run=cors_analysis,
)
